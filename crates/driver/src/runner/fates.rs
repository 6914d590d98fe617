//! What became of commands, on its way to the host: in order, bounded, and kept until the host has heard it, also over the loss
//! of a connection.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{CommandUpdate, Fate};

/// Most updates that wait. While there is no room for both updates of each command under way, no more commands are taken.
const MAX_WAITING: usize = 1024;

#[derive(Default)]
struct Inner {
    queue: VecDeque<CommandUpdate>,
    /// Commands that were given to the session, and whose end is not known yet.
    open: usize,
    /// Commands of the runner itself: the host hears nothing of them.
    own: Vec<String>,
}

/// Updates that the host does not have yet.
pub(super) struct Fates {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

impl Fates {
    pub(super) fn new() -> Self {
        Fates { inner: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Does something, and tells who waits for what it changes.
    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        let done = act(&mut self.inner.lock());
        self.changed.send_replace(());
        done
    }

    async fn until<T>(&self, mut is: impl FnMut(&mut Inner) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if let Some(found) = is(&mut self.inner.lock()) {
                return found;
            }
            // The sender is here: it cannot be gone.
            let _ = changed.changed().await;
        }
    }

    /// A command goes to the session: its end will be told. `own`: not to the host.
    pub(super) fn opened(&self, own: Option<&str>) {
        self.with(|inner| {
            inner.open += 1;
            inner.own.extend(own.map(str::to_owned));
        });
    }

    /// Adds an update, once there is room.
    pub(super) async fn add(&self, update: CommandUpdate) {
        let mut update = Some(update);
        self.until(|inner| {
            let own = update.as_ref().is_some_and(|update| inner.own.contains(&update.command_id));
            if !own && inner.queue.len() >= MAX_WAITING {
                return None;
            }
            let update = update.take()?;
            if update.status != Fate::Accepted {
                inner.open = inner.open.saturating_sub(1);
            }
            if !own {
                inner.queue.push_back(update);
            }
            Some(())
        })
        .await;
        self.changed.send_replace(());
    }

    /// Waits until there is room for what one more command will come to.
    pub(super) async fn room(&self) {
        self.until(|inner| (inner.queue.len() + 2 * (inner.open + 1) <= MAX_WAITING).then_some(())).await;
    }

    /// The next update, once there is one. It stays until [`Fates::heard`].
    pub(super) async fn next(&self) -> CommandUpdate {
        self.until(|inner| inner.queue.front().cloned()).await
    }

    /// The host has the first one.
    pub(super) fn heard(&self) {
        self.with(|inner| drop(inner.queue.pop_front()));
    }

    /// Waits until all commands have ended and the host has heard of it.
    pub(super) async fn settled(&self) {
        self.until(|inner| (inner.open == 0 && inner.queue.is_empty()).then_some(())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(id: usize, status: Fate) -> CommandUpdate {
        CommandUpdate { command_id: id.to_string(), status, result: None, error: None }
    }

    #[tokio::test]
    async fn updates_come_in_order_and_wait_where_there_is_no_room() {
        let fates = Fates::new();
        for n in 0..MAX_WAITING {
            fates.add(update(n, Fate::Accepted)).await;
        }
        let full = std::time::Duration::from_millis(10);
        assert!(tokio::time::timeout(full, fates.add(update(7, Fate::Failed))).await.is_err());
        assert!(tokio::time::timeout(full, fates.room()).await.is_err());
        assert_eq!(fates.next().await.command_id, "0");
        assert_eq!(fates.next().await.command_id, "0", "it stays until it was heard");
        fates.heard();
        assert!(tokio::time::timeout(full, fates.room()).await.is_err(), "a command has two of them");
        fates.heard();
        fates.room().await;
        assert_eq!(fates.next().await.command_id, "2");
    }

    #[tokio::test]
    async fn it_is_settled_when_commands_ended_and_were_heard_of_and_own_ones_are_not_told() {
        let fates = Fates::new();
        fates.settled().await;
        fates.opened(Some("1"));
        fates.opened(None);
        for (id, status) in [(1, Fate::Accepted), (1, Fate::Completed), (2, Fate::Failed)] {
            fates.add(update(id, status)).await;
        }
        assert_eq!(fates.next().await.command_id, "2");
        fates.heard();
        fates.settled().await;
    }
}
