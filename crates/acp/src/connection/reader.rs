//! The reading task: takes lines in order, sorts them into requests, notifications and answers, and ends everything
//! when the agent ends. It is the only place that decides how a connection ended.

use std::{collections::hash_map::Entry, sync::Arc};

use bytes::BytesMut;
use serde::Deserialize;
use tokio::{
    io::AsyncRead,
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Incoming, IncomingRequest, Inner, Responder, error_of,
    junk::{Junk, Tally},
};
use crate::{
    Closure, Error, ExitStatus, Fatal,
    envelope::{self, Id, Malformed, Message, RpcError, code},
    line::{LineError, LineReader},
    text::loggable,
};

pub(super) async fn run<R: AsyncRead + Unpin, H: Incoming>(reader: R, handler: Arc<H>, inner: Arc<Inner>) {
    let mut reading = Reading {
        slots: Arc::new(Semaphore::new(inner.limits.incoming_requests.max(1))),
        lines: LineReader::new(reader, inner.limits.line_bytes),
        handler,
        tally: Tally::default(),
        inner,
    };
    let inner = Arc::clone(&reading.inner);
    let read = tokio::select! {
        biased;
        () = inner.stop.cancelled() => None,
        closure = reading.until_the_end() => Some(closure),
    };
    let closure = match (inner.fatal.lock().clone(), read) {
        (Some(fatal), _) => Closure::Fatal(fatal),
        (None, Some(closure)) => closure,
        (None, None) => Closure::Dropped,
    };
    inner.stop.cancel();
    if matches!(closure, Closure::Fatal(_)) {
        // Whoever started the process kills it now. What fails below may then tell how it ended.
        inner.closure.send_replace(Some(closure.clone()));
        let mut exit = inner.exit.subscribe();
        let _ = timeout(inner.timeouts.exit_status, exit.wait_for(Option::is_some)).await;
    }
    let open = {
        let mut outgoing = inner.outgoing.lock();
        outgoing.closure = Some(closure.clone());
        std::mem::take(&mut outgoing.open)
    };
    for open in open.into_values() {
        // The handler hears of all of them at once in `closed`, which does not wait for any consumer.
        let _ = open.answer.send(Err(closure.clone().into()));
    }
    reading.handler.closed(&closure);
    inner.closure.send_replace(Some(closure));
    inner.settled.cancel();
}

struct Reading<R, H> {
    inner: Arc<Inner>,
    handler: Arc<H>,
    lines: LineReader<R>,
    slots: Arc<Semaphore>,
    tally: Tally,
}

impl<R: AsyncRead + Unpin, H: Incoming> Reading<R, H> {
    async fn until_the_end(&mut self) -> Closure {
        let mut exit = self.inner.exit.subscribe();
        // After the process ended, what is left in its pipe is read, but a surviving child of it that holds the
        // pipe open cannot keep the connection alive.
        let lingering = {
            let grace = self.inner.timeouts.exit_status;
            let mut exit = exit.clone();
            async move {
                if exit.wait_for(Option::is_some).await.is_err() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(grace).await;
            }
        };
        tokio::select! {
            end = self.read_lines() => match end {
                Err(LineError::TooLong { limit }) => return Closure::Fatal(Fatal::LineTooLong { limit }),
                Err(LineError::Io(error)) => return Closure::Fatal(Fatal::Io { reason: error.to_string() }),
                Ok(Some(fatal)) => return Closure::Fatal(fatal),
                Ok(None) => {}
            },
            () = lingering => {}
        }
        let status = match timeout(self.inner.timeouts.exit_status, exit.wait_for(Option::is_some)).await {
            Ok(Ok(status)) => status.unwrap_or_default(),
            _ => ExitStatus::default(),
        };
        Closure::Exited(status)
    }

    async fn read_lines(&mut self) -> Result<Option<Fatal>, LineError> {
        loop {
            // A stream that always has more must not keep this thread from others, nor from our own end.
            tokio::task::coop::consume_budget().await;
            let (junk, length) = match self.lines.next().await {
                Ok(None) => return Ok(None),
                Ok(Some(line)) => {
                    let length = line.len() + 1;
                    (self.take(line).await, length)
                }
                Err(LineError::TooLong { limit }) if self.inner.limits.skip_long_lines => {
                    if self.inner.limits.answer_long_lines {
                        let text = format!("a line of more than {limit} bytes was skipped");
                        self.refuse(&Id::Null, code::INVALID_REQUEST, &text).await;
                    }
                    (Some(Junk::TooLong), limit)
                }
                Err(error) => return Err(error),
            };
            match junk {
                None => self.tally.useful(),
                Some(junk) => {
                    if junk.is_no_message() {
                        self.handler.ignored(junk.name()).await;
                    }
                    if let Err(fatal) = self.tally.add(junk, length, &self.inner.limits) {
                        return Ok(Some(fatal));
                    }
                }
            }
        }
    }

    /// Does what one line says; tells why it was of no use, if so.
    async fn take(&mut self, line: BytesMut) -> Option<Junk> {
        if line.is_empty() {
            return Some(Junk::EmptyLine);
        }
        *self.inner.last_message.lock() = Instant::now();
        match envelope::parse(&line) {
            Ok(message) => {
                drop(line);
                self.dispatch(message).await
            }
            Err(Malformed::NotJson { attempted }) => {
                tracing::debug!(line = %loggable(&String::from_utf8_lossy(&line[..line.len().min(200)])), "not JSON");
                // Chatter on stdout is skipped; something that set out to be a message is told so.
                if attempted {
                    self.refuse(&Id::Null, code::PARSE_ERROR, "parse error").await;
                }
                Some(Junk::NotJson)
            }
            Err(Malformed::Invalid { id, reason }) => {
                self.refuse(&id, code::INVALID_REQUEST, reason).await;
                Some(Junk::NotMessage)
            }
            Err(Malformed::Ignore { reason }) => {
                tracing::debug!(reason, "message ignored");
                Some(Junk::NotMessage)
            }
        }
    }

    async fn refuse(&mut self, id: &Id, code: i64, message: &str) {
        if let Ok(line) = envelope::answer::<()>(id, Err(&RpcError::new(code, message))) {
            let _ = self.inner.outbox.send(line).await;
        }
    }

    async fn dispatch(&mut self, message: Message) -> Option<Junk> {
        match message {
            Message::Response { id, outcome } => self.answered(id, outcome).await,
            Message::Notification { method, params } if method == "$/cancel_request" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "camelCase")]
                struct Cancel {
                    request_id: Box<serde_json::value::RawValue>,
                }
                let cancel = params.and_then(|p| serde_json::from_str::<Cancel>(p.get()).ok());
                let id = cancel.and_then(|c| Id::from_raw(&c.request_id));
                let open = id.and_then(|id| self.inner.incoming.lock().get(&id).cloned());
                match open.filter(|token| !token.is_cancelled()) {
                    Some(token) => {
                        token.cancel();
                        None
                    }
                    None => Some(Junk::Notification),
                }
            }
            Message::Notification { method, params } => {
                let useful = self.handler.notification(&method, params).await;
                (!useful).then_some(Junk::Notification)
            }
            Message::Request { id, method, params } => {
                if self.inner.incoming.lock().contains_key(&id) {
                    self.refuse(&id, code::INVALID_REQUEST, "a request with this id is open").await;
                    return Some(Junk::RefusedRequest);
                }
                // At the limit this waits, and nothing is read until one of the open requests is answered.
                let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return None };
                let cancelled = CancellationToken::new();
                match self.inner.incoming.lock().entry(id.clone()) {
                    Entry::Occupied(_) => return None,
                    Entry::Vacant(vacant) => vacant.insert(cancelled.clone()),
                };
                let responder =
                    Responder { inner: Arc::clone(&self.inner), id: Some(id), cancelled, _slot: slot };
                let served = self.handler.request(IncomingRequest { method, params, responder }).await;
                (!served).then_some(Junk::RefusedRequest)
            }
        }
    }

    async fn answered(
        &mut self,
        id: Id,
        outcome: Result<Box<serde_json::value::RawValue>, RpcError>,
    ) -> Option<Junk> {
        let open = match &id {
            Id::Number(id) => self.inner.outgoing.lock().open.remove(id),
            _ => None,
        };
        let Some(open) = open else {
            tracing::debug!(?id, "answer to no open request dropped");
            return Some(Junk::StrayAnswer);
        };
        let mut outcome: Result<_, Error> = outcome.map_err(|error| error_of(&open.method, error));
        self.handler.responded(&open.method, open.context.as_deref(), &mut outcome).await;
        let _ = open.answer.send(outcome);
        None
    }
}
