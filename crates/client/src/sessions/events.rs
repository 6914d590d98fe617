//! Events of a session: numbered, kept, and readable from any cursor.
//! None is left out: a stream that is read slowly waits in the sidecar.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use agentos_protocol::message::{GetSessionEvents, SessionEventRecord, SessionEvents};
use agentos_protocol::mux::RecordReader;
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parse;
use crate::error::Result;
use crate::sidecar::Link;
use crate::vm::AgentOs;

/// An event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionEvent {
    /// Its number in the session: 1, 2, 3… The cursor to go on after it.
    pub seq: u64,
    /// When, milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// ACP method, such as `session/update` or `session/request_permission`; those that are only the Driver Kernel's begin with
    /// `_agentos/`, then their kind with `_` for `.`, such as `_agentos/turn_completed`.
    pub method: String,
    /// Its parameters, unchanged.
    pub params: Value,
    /// The kind that the Driver Kernel gave it, such as `item.delta` or `turn.completed`; `x_native.message` if it is nothing
    /// but a message of the agent.
    #[serde(default)]
    pub kind: String,
    /// The turn that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<String>,
    /// The Driver Kernel's payload of that kind; absent where `params` are it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

impl SessionEvent {
    fn new(record: SessionEventRecord) -> Result<Self> {
        let params = parse("event", &record.params)?;
        let payload = record.payload.as_ref().map(|payload| parse("event", payload)).transpose()?;
        Ok(SessionEvent {
            seq: record.seq,
            time_ms: record.time_ms,
            method: record.method,
            params,
            kind: record.kind,
            turn_id: record.turn_id,
            payload,
        })
    }

    /// What the Driver Kernel says of it, in the form of its [`kind`](Self::kind).
    ///
    /// ```
    /// # let event: agentos::SessionEvent = serde_json::from_str(r#"{"seq": 1, "timeMs": 0, "method": "session/update",
    /// #     "params": {}, "kind": "item.delta", "payload": {"itemId": "m", "delta": "Hello"}}"#)?;
    /// if event.kind == "item.delta" {
    ///     assert_eq!(event.kernel_payload()["delta"], "Hello");
    /// }
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn kernel_payload(&self) -> &Value {
        self.payload.as_ref().unwrap_or(&self.params)
    }
}

/// Options of [`AgentOs::get_session_events`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GetSessionEventsOptions {
    /// Only events after this number; all.
    pub since: u64,
    /// Only of this method; all.
    pub method: Option<String>,
    /// Most events; all.
    pub limit: Option<usize>,
}

type Reading = Pin<Box<dyn Stream<Item = Result<SessionEvent>> + Send>>;

/// Events of a session, past and live; ends with the session.
pub struct SessionEventStream {
    inner: Reading,
    last_seq: u64,
}

impl std::fmt::Debug for SessionEventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionEventStream").field("last_seq", &self.last_seq).finish_non_exhaustive()
    }
}

impl SessionEventStream {
    /// Number of the last event when the stream was opened; 0: there was none.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The next event.
    pub async fn next(&mut self) -> Option<Result<SessionEvent>> {
        self.inner.next().await
    }
}

impl Stream for SessionEventStream {
    type Item = Result<SessionEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.as_mut().poll_next(cx)
    }
}

fn read(records: RecordReader<SessionEventRecord>, link: Arc<Link>) -> Reading {
    let start = Some((records, link));
    let all = futures_util::stream::unfold(start, |state| async move {
        let (mut records, link) = state?;
        match records.next().await {
            Ok(Some(record)) => Some((SessionEvent::new(record), Some((records, link)))),
            Ok(None) => None,
            Err(error) => Some((Err(link.stream_error(error).await), None)),
        }
    });
    // Whoever asks on after the end is told again.
    Box::pin(all.fuse())
}

impl AgentOs {
    /// Events after a cursor (`None`: from the first), those that are kept and then live ones, without a gap.
    ///
    /// # Errors
    /// [`crate::Error::SessionNotFound`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs, id: String) -> Result<(), agentos::Error> {
    /// let mut events = os.on_session_event(id, None).await?;
    /// while let Some(event) = events.next().await {
    ///     let event = event?;
    ///     println!("{} {} {}", event.seq, event.method, event.params);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn on_session_event(
        &self,
        session_id: impl Into<String>,
        from_cursor: Option<u64>,
    ) -> Result<SessionEventStream> {
        let link = self.vm.open()?;
        let stream = link.open_recv().await?;
        let call = SessionEvents {
            vm_id: self.vm.id(),
            session_id: session_id.into(),
            from_cursor: from_cursor.unwrap_or(0),
            stream: stream.id(),
        };
        let last_seq = link.call(&call).await?.last_seq;
        let inner = read(RecordReader::new(stream), Arc::clone(self.vm.link()));
        Ok(SessionEventStream { inner, last_seq })
    }

    /// Kept events.
    ///
    /// # Errors
    /// [`crate::Error::SessionNotFound`].
    pub async fn get_session_events(
        &self,
        session_id: impl Into<String>,
        options: GetSessionEventsOptions,
    ) -> Result<Vec<SessionEvent>> {
        let session_id = session_id.into();
        let most = options.limit.unwrap_or(usize::MAX);
        let mut since = options.since;
        let mut events = Vec::new();
        while events.len() < most {
            let page = self
                .vm
                .call(&GetSessionEvents {
                    vm_id: self.vm.id(),
                    session_id: session_id.clone(),
                    since,
                    method: options.method.clone(),
                    limit: u32::try_from(most - events.len()).ok(),
                })
                .await?;
            let more = page.more && page.events.last().is_some_and(|last| last.seq > since);
            since = page.events.last().map_or(since, |last| last.seq);
            for record in page.events {
                events.push(SessionEvent::new(record)?);
            }
            if !more {
                break;
            }
        }
        events.truncate(most);
        Ok(events)
    }
}
