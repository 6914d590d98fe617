//! What goes between kernel and host by itself: events to the sink in batches, commands from the source. A sink that fails
//! loses nothing, and ends nothing.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::dispatch::settled;
use crate::command::{CommandUpdate, Fate};
use crate::event::{Body, DiagnosticSource, Draft, Severity};

/// How long deltas alone may wait for more.
const DELTAS_WAIT: Duration = Duration::from_millis(50);
/// How long until a source that has nothing is asked again.
const POLL: Duration = Duration::from_millis(250);
/// How long the host may take to hear of a fate.
const TELL: Duration = Duration::from_secs(10);
/// How long until a sink that failed is tried again: first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl Shared {
    pub(super) fn spawn_pumps(self: &Arc<Self>) {
        if self.cx.ports.event_sink.is_some() {
            let shared = Arc::clone(self);
            self.tasks.spawn(async move { shared.push_events().await });
        }
        if self.cx.ports.command_source.is_some() {
            let shared = Arc::clone(self);
            self.tasks.spawn(async move {
                tokio::select! {
                    () = shared.clone().take_commands() => {}
                    () = shared.over.cancelled() => {}
                }
            });
        }
    }

    /// Pushes events until the last one is out, or nobody is there any more.
    async fn push_events(&self) {
        let Some(sink) = self.cx.ports.event_sink.clone() else { return };
        let outbox = &self.link.outbox;
        let mut retry = RETRY.0;
        while outbox.wait().await {
            if outbox.can_wait(self.batch) {
                tokio::time::sleep(DELTAS_WAIT).await;
            }
            let batch = outbox.batch(self.batch);
            if batch.is_empty() {
                continue;
            }
            let pushed = tokio::select! {
                pushed = sink.push_events(batch) => pushed,
                () = self.over.cancelled() => return,
            };
            let went = match pushed {
                Ok(last) => outbox.acknowledge(last),
                Err(error) => {
                    tracing::debug!(%error, "events were not taken");
                    false
                }
            };
            // What it did not keep comes again.
            outbox.again();
            if went {
                retry = RETRY.0;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(retry) => {}
                () = self.over.cancelled() => return,
            }
            retry = (retry * 2).min(RETRY.1);
        }
    }

    async fn take_commands(self: Arc<Self>) {
        let Some(source) = self.cx.ports.command_source.clone() else { return };
        let mut broken = false;
        loop {
            match source.next_command().await {
                Ok(Some(Ok(command))) => {
                    let (shared, command_id) = (Arc::clone(&self), command.command_id.clone());
                    // Taken on in their order; none waits for another, nor for the host to hear of it.
                    let fate = self.accept(command);
                    self.tasks.spawn(async move {
                        let accepted = CommandUpdate {
                            command_id: command_id.clone(),
                            status: Fate::Accepted,
                            result: None,
                            error: None,
                        };
                        shared.tell(accepted).await;
                        let update = settled(fate, command_id).await;
                        shared.tell(update).await;
                    });
                }
                Ok(Some(Err(malformed))) => {
                    let (command_id, error) = (malformed.command_id, Some(malformed.error));
                    let update = CommandUpdate { command_id, status: Fate::Failed, result: None, error };
                    let shared = Arc::clone(&self);
                    self.tasks.spawn(async move { shared.tell(update).await });
                }
                Ok(None) => tokio::time::sleep(POLL).await,
                Err(error) => {
                    if !std::mem::replace(&mut broken, true) {
                        let body = Body::diagnostic(
                            "driver.command_loop_failed",
                            Severity::Warn,
                            DiagnosticSource::Core,
                            error.to_string(),
                        );
                        self.link.locked().push(Draft::of_session(body));
                    }
                    tokio::time::sleep(RETRY.1).await;
                    continue;
                }
            }
            broken = false;
        }
    }

    async fn tell(&self, update: CommandUpdate) {
        let Some(sink) = &self.cx.ports.event_sink else { return };
        match tokio::time::timeout(TELL, sink.command_update(update)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the fate of a command was not taken"),
            Err(_) => tracing::debug!("the fate of a command was not taken in time"),
        }
    }
}
