//! Ways that stay as they are. Somebody outside of the machine who opens a file of a mount by its path follows links, and may be
//! led out of the mount by one that a program puts there in between. While a hold is kept, no program can: what makes
//! a link or moves a name waits.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Whether names of some host directories are held as they are; clones are the same one. A machine has one for all of its mounts.
///
/// Holds do not exclude each other, nor do changes.
///
/// ```
/// use agentos_vfs::host_dir::Steady;
/// # async fn example(steady: Steady) {
/// let held = steady.hold().await;
/// // Here a path that was resolved leads to the same file, for whoever opens it.
/// drop(held);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Steady(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// The last hold or the last change ended, or a change is not waited for any more.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    holds: usize,
    changes: usize,
    /// Changes that wait: no hold begins before them.
    waiting: usize,
}

/// Names stay as they are until this is dropped.
#[derive(Debug)]
#[must_use = "names are free again when it is dropped"]
pub struct Held(Arc<Shared>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.end(|state| &mut state.holds);
    }
}

/// A name changes until this is dropped.
pub(crate) struct Turning(Arc<Shared>);

impl Drop for Turning {
    fn drop(&mut self) {
        self.0.end(|state| &mut state.changes);
    }
}

/// A change that waits.
struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.end(|state| &mut state.waiting);
    }
}

impl Shared {
    fn end(&self, of: impl Fn(&mut State) -> &mut usize) {
        let mut state = self.state.lock();
        let count = of(&mut state);
        *count -= 1;
        let last = *count == 0;
        drop(state);
        if last {
            self.freed.notify_waiters();
        }
    }

    /// Waits until `enter` lets it in.
    async fn wait(&self, enter: impl Fn(&mut State) -> bool) {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on nothing that ends is missed.
            freed.as_mut().enable();
            if enter(&mut self.state.lock()) {
                return;
            }
            freed.await;
        }
    }
}

impl Steady {
    /// Waits for the changes of names that are under way or wait, and keeps others back. Who holds must let go soon: programs wait.
    pub async fn hold(&self) -> Held {
        self.0
            .wait(|state| {
                let free = state.changes == 0 && state.waiting == 0;
                state.holds += usize::from(free);
                free
            })
            .await;
        Held(Arc::clone(&self.0))
    }

    /// To change a name at once, if nobody holds them.
    pub(crate) fn try_turn(&self) -> Option<Turning> {
        let mut state = self.0.state.lock();
        (state.holds == 0).then(|| {
            state.changes += 1;
            Turning(Arc::clone(&self.0))
        })
    }

    /// To change a name, as soon as nobody holds them.
    pub(crate) async fn turn(&self) -> Turning {
        self.0.state.lock().waiting += 1;
        let waiting = Waiting(&self.0);
        self.0
            .wait(|state| {
                let free = state.holds == 0;
                state.changes += usize::from(free);
                free
            })
            .await;
        let turning = Turning(Arc::clone(&self.0));
        drop(waiting);
        turning
    }
}
