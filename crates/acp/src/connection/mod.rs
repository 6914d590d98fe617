//! The JSON-RPC connection to one agent process: one task reads, one task writes, and a table per direction holds the
//! open ids. It knows no ACP method except `$/cancel_request` and leaves everything else to an [`Incoming`] handler.

mod junk;
mod outbox;
mod reader;
mod responder;

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{oneshot, watch},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use responder::{IncomingRequest, Responder};

use crate::{
    Closure, Error, ExitStatus, Fatal, Limits, Timeouts,
    envelope::{self, Id, RpcError, code},
};
use outbox::Outbox;

/// The outcome of one of our requests.
pub type Outcome = Result<Box<RawValue>, Error>;

/// Receives what the agent sends. Calls come one at a time, in the order of the lines; as long as one runs, nothing
/// more is read, which is how back-pressure reaches the agent.
pub trait Incoming: Send + Sync + 'static {
    /// A notification other than `$/cancel_request`. Tells whether it was of use: an agent that sends too much that is
    /// of none is given up.
    fn notification(&self, method: &str, params: Option<Box<RawValue>>) -> impl Future<Output = bool> + Send;

    /// A request. Must not wait for the answer: keep the [`Responder`] and return. False if it was refused.
    fn request(&self, request: IncomingRequest) -> impl Future<Output = bool> + Send;

    /// One of our requests is over, by an answer or with the connection. Runs before the caller learns of it and
    /// before the next line is read. `context` is what was given to [`Connection::request`].
    fn responded(
        &self,
        method: &str,
        context: Option<&str>,
        outcome: &mut Outcome,
    ) -> impl Future<Output = ()> + Send;

    /// A line that is no message was skipped; `what` says in which way.
    fn ignored(&self, what: &'static str) -> impl Future<Output = ()> + Send {
        let _ = what;
        async {}
    }

    /// The connection is over; called once, after the last of the other calls.
    fn closed(&self, closure: &Closure);
}

struct Open {
    method: Box<str>,
    context: Option<Arc<str>>,
    answer: oneshot::Sender<Outcome>,
}

#[derive(Default)]
struct Outgoing {
    next: i64,
    open: HashMap<i64, Open>,
    closure: Option<Closure>,
}

/// What the handles and the tasks share.
struct Inner {
    limits: Limits,
    timeouts: Timeouts,
    outbox: Outbox,
    outgoing: Mutex<Outgoing>,
    /// Open requests of the agent; the token tells their responders of `$/cancel_request`.
    incoming: Mutex<HashMap<Id, CancellationToken>>,
    /// Ends both tasks.
    stop: CancellationToken,
    fatal: Mutex<Option<Fatal>>,
    exit: watch::Sender<Option<ExitStatus>>,
    /// Of an agent that was given up it is known before what is open fails, so that the status of the process, which has
    /// to be killed, can be in what fails.
    closure: watch::Sender<Option<Closure>>,
    /// Everything that was open has failed.
    settled: CancellationToken,
    last_message: Mutex<Instant>,
}

impl Inner {
    fn fail(&self, fatal: Fatal) {
        self.fatal.lock().get_or_insert(fatal);
        self.stop.cancel();
    }

    async fn closed(&self) -> Closure {
        let mut closure = self.closure.subscribe();
        match closure.wait_for(Option::is_some).await {
            Ok(closure) => closure.clone().unwrap_or(Closure::Dropped),
            Err(_) => Closure::Dropped,
        }
    }

    /// Why nothing can be sent or received any more. The stream to the agent may fail a moment before the reader
    /// learns why, and the reader waits for the status of the process, so this waits for the reader, but not for long.
    async fn closed_error(&self) -> Error {
        let _ = tokio::time::timeout(self.timeouts.exit_status * 2, self.settled.cancelled()).await;
        self.closure.borrow().clone().map_or(Error::Closed, Error::from)
    }

    async fn send(&self, line: Vec<u8>) -> Result<(), Error> {
        match self.outbox.send(line).await {
            Ok(()) => Ok(()),
            Err(Some(error)) => Err(error),
            Err(None) => Err(self.closed_error().await),
        }
    }
}

/// A handle on a connection. Clones share it; when the last one is dropped, the connection ends.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
    _alive: Arc<DropGuard>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("closure", &*self.inner.closure.borrow()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Starts the two tasks on the current tokio runtime. `reader` is the agent's stdout, `writer` its stdin.
    pub fn spawn<R, W, H>(reader: R, writer: W, handler: Arc<H>, limits: Limits, timeouts: Timeouts) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
        H: Incoming,
    {
        let stop = CancellationToken::new();
        let (outbox, queue) = Outbox::new(&limits, stop.clone());
        let inner = Arc::new(Inner {
            outbox,
            outgoing: Mutex::default(),
            incoming: Mutex::default(),
            stop: stop.clone(),
            fatal: Mutex::new(None),
            exit: watch::Sender::new(None),
            closure: watch::Sender::new(None),
            settled: CancellationToken::new(),
            last_message: Mutex::new(Instant::now()),
            limits,
            timeouts,
        });
        tokio::spawn(outbox::run(writer, queue, Arc::clone(&inner)));
        tokio::spawn(reader::run(reader, handler, Arc::clone(&inner)));
        Self { inner, _alive: Arc::new(stop.drop_guard()) }
    }

    /// Sends a request and waits for its answer. After `timeout`, or if the future is dropped, the agent is sent
    /// `$/cancel_request` and a late answer is ignored. `context` is handed to [`Incoming::responded`].
    ///
    /// # Errors
    /// An error answer, [`Error::Timeout`], a message over the limits, or the end of the connection.
    pub async fn request<P>(
        &self,
        method: &str,
        context: Option<&str>,
        params: &P,
        timeout: Duration,
    ) -> Outcome
    where
        P: Serialize + ?Sized + Sync,
    {
        let (id, line, answer) = self.register(method, context, params)?;
        let forget = Forget { inner: &self.inner, id };
        let exchange = async {
            self.inner.send(line).await?;
            match answer.await {
                Ok(outcome) => outcome,
                Err(_) => Err(self.inner.closed_error().await),
            }
        };
        let outcome = tokio::time::timeout(timeout, exchange).await;
        drop(forget);
        outcome.unwrap_or_else(|_| Err(Error::Timeout { method: method.to_owned(), after: timeout }))
    }

    /// Sends a request whose answer is awaited without limit, by [`Incoming::responded`] or through the receiver,
    /// which may be dropped.
    ///
    /// # Errors
    /// A message over the limits, or the end of the connection. Then `responded` is not called, nor is it if the future is
    /// dropped: the request was not sent.
    pub async fn start<P>(
        &self,
        method: &str,
        context: Option<&str>,
        params: &P,
    ) -> Result<oneshot::Receiver<Outcome>, Error>
    where
        P: Serialize + ?Sized + Sync,
    {
        let (id, line, answer) = self.register(method, context, params)?;
        let mut unsent = Unsent { inner: &self.inner, id: Some(id) };
        self.inner.send(line).await?;
        unsent.id = None;
        Ok(answer)
    }

    fn register<P: Serialize + ?Sized>(
        &self,
        method: &str,
        context: Option<&str>,
        params: &P,
    ) -> Result<(i64, Vec<u8>, oneshot::Receiver<Outcome>), Error> {
        let (sender, answer) = oneshot::channel();
        let id = {
            let mut outgoing = self.inner.outgoing.lock();
            if let Some(closure) = &outgoing.closure {
                return Err(closure.clone().into());
            }
            let (configured, used) = (self.inner.limits.outgoing_requests, outgoing.open.len() + 1);
            if used > configured {
                return Err(Error::Limit { name: "outgoing_requests", configured, used });
            }
            let id = outgoing.next;
            outgoing.next += 1;
            outgoing
                .open
                .insert(id, Open { method: method.into(), context: context.map(Arc::from), answer: sender });
            id
        };
        let line = self.encode(Some(&Id::Number(id)), method, params);
        if line.is_err() {
            self.inner.outgoing.lock().open.remove(&id);
        }
        Ok((id, line?, answer))
    }

    fn encode<P: Serialize + ?Sized>(
        &self,
        id: Option<&Id>,
        method: &str,
        params: &P,
    ) -> Result<Vec<u8>, Error> {
        let line = envelope::call(id, method, Some(params))
            .map_err(|e| Error::Encode { method: method.to_owned(), reason: e.to_string() })?;
        let (configured, used) = (self.inner.limits.line_bytes, line.len());
        if used > configured {
            return Err(Error::Limit { name: "line_bytes", configured, used });
        }
        Ok(line)
    }

    /// Sends a notification. Done when it is queued.
    ///
    /// # Errors
    /// A message over the limits, or the end of the connection.
    pub async fn notify<P: Serialize + ?Sized + Sync>(&self, method: &str, params: &P) -> Result<(), Error> {
        let line = self.encode(None, method, params)?;
        self.inner.send(line).await
    }

    /// Closes the agent's stdin after what is queued. Most agents then exit; some do not.
    pub fn close_stdin(&self) {
        self.inner.outbox.close();
    }

    /// The embedder knows how the process ended. Output still in the pipe is read first, for a limited time.
    pub fn exited(&self, status: ExitStatus) {
        self.inner.exit.send_replace(Some(status));
    }

    /// Ends the connection from our side, without a verdict on the agent: nothing more is read or written, and everything
    /// open fails.
    pub fn end(&self) {
        self.inner.stop.cancel();
    }

    /// How long the agent has been silent.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.inner.last_message.lock().elapsed()
    }

    /// Waits for the end of the connection. If the agent was given up, what is open fails a little later: as soon as
    /// [`exited`](Self::exited) was called, or after [`Timeouts::exit_status`].
    pub async fn closed(&self) -> Closure {
        self.inner.closed().await
    }
}

/// Removes a request from the table when nobody waits for it any more, and tells the agent.
struct Forget<'a> {
    inner: &'a Inner,
    id: i64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let open = self.inner.outgoing.lock().open.remove(&self.id);
        if open.is_some() {
            let params = serde_json::json!({ "requestId": self.id });
            if let Ok(line) = envelope::call(None, "$/cancel_request", Some(&params)) {
                self.inner.outbox.try_send(line);
            }
        }
    }
}

/// Removes a request from the table that was not sent: it has no answer.
struct Unsent<'a> {
    inner: &'a Inner,
    id: Option<i64>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.inner.outgoing.lock().open.remove(&id);
        }
    }
}

/// Turns an error answer into ours.
fn error_of(method: &str, error: RpcError) -> Error {
    match error.code {
        code::METHOD_NOT_FOUND => Error::NotSupported { what: method.to_owned() },
        _ => Error::Rpc { method: method.to_owned(), error: Box::new(error) },
    }
}
