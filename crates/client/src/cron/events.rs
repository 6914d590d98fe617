//! What is told of jobs as they run. Whoever reads too slowly is told how much was left out.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::broadcast;

/// An event of [`crate::AgentOs::cron_events`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum CronEvent {
    /// A run begins.
    Fire {
        /// Id of the job.
        job_id: String,
        /// When, by the driver's time.
        time: DateTime<Utc>,
    },
    /// A run has ended well.
    Complete {
        /// Id of the job.
        job_id: String,
        /// When, by the driver's time.
        time: DateTime<Utc>,
        /// How long it took, in real time; `durationMs` in JSON.
        #[serde(rename = "durationMs", serialize_with = "to_millis", deserialize_with = "from_millis")]
        duration: Duration,
    },
    /// A run has failed, or could not begin. The job goes on.
    Error {
        /// Id of the job.
        job_id: String,
        /// When, by the driver's time.
        time: DateTime<Utc>,
        /// What happened.
        error: String,
    },
    /// This many events were left out: they were not read in time.
    Missed {
        /// How many.
        count: u64,
    },
}

fn to_millis<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).serialize(to)
}

fn from_millis<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}

/// Events of the jobs of a machine, from when it was asked for; ends with the machine.
pub struct CronEventStream {
    inner: Pin<Box<dyn Stream<Item = CronEvent> + Send>>,
}

impl CronEventStream {
    /// Without a sender there will be none: the machine is gone.
    pub(super) fn new(receiver: Option<broadcast::Receiver<CronEvent>>) -> Self {
        let inner = futures_util::stream::unfold(receiver, |receiver| async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Ok(event) => Some((event, Some(receiver))),
                Err(broadcast::error::RecvError::Lagged(count)) => {
                    Some((CronEvent::Missed { count }, Some(receiver)))
                }
                Err(broadcast::error::RecvError::Closed) => None,
            }
        });
        // Whoever asks on after the end is told again.
        CronEventStream { inner: Box::pin(inner.fuse()) }
    }

    /// The next event; `None` after the end of the machine.
    pub async fn next(&mut self) -> Option<CronEvent> {
        self.inner.next().await
    }
}

impl Stream for CronEventStream {
    type Item = CronEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<CronEvent>> {
        self.inner.as_mut().poll_next(cx)
    }
}

impl std::fmt::Debug for CronEventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CronEventStream")
    }
}
