//! The connection to a sidecar, as the rest of this library uses it: calls with this library's error, drivers that are
//! called back, and events.
//! It does not know how the connection was made.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use agentos_protocol::message::{Call, Callback, ClientFilesSpec, Event, Request, WireError, code};
use agentos_protocol::mux::{
    CallError, Connection, ConnectionLost, Handler, HandshakeError, Limits, PendingCall, RecvStream,
    Responder, SendStream, StreamError, connect,
};
use agentos_protocol::version::{Hello, Role};
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::child::Child;
use super::pulse;
use crate::error::{Error, Result};
use crate::mounts::{VirtualFileSystem, serve_driver};
use crate::text_files::TextHost;
use crate::tools::ToolHost;
use crate::wire;

/// Events kept for a subscriber that is slow; older ones are dropped for it.
const EVENTS: usize = 256;

/// How long to wait for the exit status once the connection broke.
const STATUS: Duration = Duration::from_millis(500);

pub(crate) struct Link {
    connection: Connection,
    inbox: Arc<Inbox>,
    child: Option<Child>,
    /// It was given up because it did not answer.
    stuck: Arc<AtomicBool>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// A driver that is mounted somewhere. Dropped, it ends the calls that are under way.
struct Registered {
    driver: Arc<dyn VirtualFileSystem>,
    gone: watch::Sender<()>,
}

/// What the sidecar tells and asks.
struct Inbox {
    drivers: Mutex<HashMap<u64, Registered>>,
    next_driver: AtomicU64,
    tools: Mutex<HashMap<u64, Arc<ToolHost>>>,
    texts: Mutex<HashMap<u64, Arc<TextHost>>>,
    events: broadcast::Sender<Event>,
}

impl Handler for Inbox {
    fn request(&self, request: Request, responder: Responder) {
        responder.unsupported(request.method());
    }

    fn callback(&self, callback: Callback, responder: Responder) {
        let callback = match callback {
            Callback::CallTool(call) => {
                return match self.tool_host(call.tools_id) {
                    Some(tools) => tools.call(call, responder),
                    None => responder.error(&no_tools()),
                };
            }
            Callback::AskTool(ask) => {
                return match self.tool_host(ask.tools_id) {
                    Some(tools) => tools.ask(ask, responder),
                    None => responder.error(&no_tools()),
                };
            }
            Callback::ReadTextFile(call) => {
                let texts = self.texts.lock().get(&call.files_id).cloned();
                return match texts {
                    Some(texts) => texts.read(call, responder),
                    None => responder.error(&no_texts()),
                };
            }
            Callback::WriteTextFile(call) => {
                let texts = self.texts.lock().get(&call.files_id).cloned();
                return match texts {
                    Some(texts) => texts.write(call, responder),
                    None => responder.error(&no_texts()),
                };
            }
            callback => callback,
        };
        let found = |of: &Registered| (Arc::clone(&of.driver), of.gone.subscribe());
        let driver = callback.driver_id().and_then(|id| self.drivers.lock().get(&id).map(found));
        let (Some((driver, mut gone)), Ok(threads)) = (driver, wire::callbacks()) else {
            return responder.error(&WireError::kernel("EIO", callback.method(), None));
        };
        threads.spawn(async move {
            let cancelled = responder.cancelled().clone();
            tokio::select! {
                () = serve_driver(driver, callback, responder) => {}
                () = cancelled.cancelled() => {}
                // Only the end of the registration tells something. The caller gets EIO.
                _ = gone.changed() => {}
            }
        });
    }

    fn event(&self, event: Event) {
        // Without a subscriber there is nobody to tell.
        let _ = self.events.send(event);
    }
}

impl Inbox {
    fn tool_host(&self, id: u64) -> Option<Arc<ToolHost>> {
        self.tools.lock().get(&id).cloned()
    }
}

fn no_tools() -> WireError {
    WireError::new(code::TOOL, "the machine that had this tool is gone")
}

/// Not the machine's files instead: they may be older than those that were meant.
fn no_texts() -> WireError {
    WireError::new(code::TOOL, "the program no longer has the files of this session")
}

/// Registered tools; when dropped they are forgotten, and calls under way end.
pub(crate) struct ToolsLease {
    pub(crate) id: u64,
    inbox: Arc<Inbox>,
}

impl Drop for ToolsLease {
    fn drop(&mut self) {
        // Not under the lock: a callback may do anything when it goes.
        let tools = self.inbox.tools.lock().remove(&self.id);
        if let Some(tools) = tools {
            tools.end();
        }
    }
}

/// Registered files of a session; forgotten when dropped. Questions that are open go on: the sidecar holds names until the program is done
/// with what it was asked.
pub(crate) struct TextsLease {
    id: u64,
    inbox: Arc<Inbox>,
}

impl Drop for TextsLease {
    fn drop(&mut self) {
        // Not under the lock: a callback may do anything when it goes.
        let texts = self.inbox.texts.lock().remove(&self.id);
        drop(texts);
    }
}

/// A registered driver; forgotten when dropped.
pub(crate) struct DriverLease {
    pub(crate) id: u64,
    inbox: Arc<Inbox>,
}

impl Drop for DriverLease {
    fn drop(&mut self) {
        // Not under the lock: a driver may do anything when it goes.
        let registered = self.inbox.drivers.lock().remove(&self.id);
        drop(registered);
    }
}

impl Link {
    /// Shakes hands. To be called on the wire's thread.
    pub(super) async fn connect(socket: UnixStream, child: Option<Child>) -> Result<Arc<Link>> {
        let inbox = Arc::new(Inbox {
            drivers: Mutex::default(),
            next_driver: AtomicU64::new(1),
            tools: Mutex::default(),
            texts: Mutex::default(),
            events: broadcast::channel(EVENTS).0,
        });
        let handler: Arc<dyn Handler> = Arc::<Inbox>::clone(&inbox);
        match connect(socket, Hello::new(Role::Client), handler, Limits::default()).await {
            Ok(connection) => {
                let stuck = Arc::new(AtomicBool::new(false));
                let watch =
                    pulse::watch(connection.clone(), pulse::EVERY, pulse::PATIENCE, Arc::clone(&stuck));
                tokio::spawn(watch);
                Ok(Arc::new(Link { connection, inbox, child, stuck }))
            }
            Err(HandshakeError::Version(mismatch)) => {
                Err(Error::VersionMismatch { message: mismatch.to_string() })
            }
            Err(HandshakeError::Timeout(after)) => {
                Err(Error::Timeout { operation: "handshake with the sidecar".to_owned(), after: Some(after) })
            }
            Err(HandshakeError::Lost(lost)) => Err(lost_error(lost, child.as_ref()).await),
            Err(error) => Err(Error::Transport { message: error.to_string() }),
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn add_driver(&self, driver: Arc<dyn VirtualFileSystem>) -> DriverLease {
        let id = self.inbox.next_driver.fetch_add(1, Ordering::Relaxed);
        self.inbox.drivers.lock().insert(id, Registered { driver, gone: watch::channel(()).0 });
        DriverLease { id, inbox: Arc::clone(&self.inbox) }
    }

    pub(crate) fn add_tools(&self, tools: Arc<ToolHost>) -> ToolsLease {
        let id = self.inbox.next_driver.fetch_add(1, Ordering::Relaxed);
        self.inbox.tools.lock().insert(id, tools);
        ToolsLease { id, inbox: Arc::clone(&self.inbox) }
    }

    pub(crate) fn add_texts(&self, texts: Arc<TextHost>) -> (TextsLease, ClientFilesSpec) {
        let id = self.inbox.next_driver.fetch_add(1, Ordering::Relaxed);
        let spec = texts.spec(id);
        self.inbox.texts.lock().insert(id, texts);
        (TextsLease { id, inbox: Arc::clone(&self.inbox) }, spec)
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        self.inbox.events.subscribe()
    }

    pub(crate) async fn call<C: Call>(&self, call: &C) -> Result<C::Reply> {
        match self.connection.call(call).await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.error(error).await),
        }
    }

    pub(crate) async fn start<C: Call>(&self, call: &C) -> Result<PendingCall<C>> {
        match self.connection.start_call(call) {
            Ok(pending) => Ok(pending),
            Err(error) => Err(self.error(error).await),
        }
    }

    pub(crate) async fn open_recv(&self) -> Result<RecvStream> {
        match self.connection.open_recv() {
            Ok(stream) => Ok(stream),
            Err(error) => Err(self.stream_error(error).await),
        }
    }

    pub(crate) async fn open_send(&self) -> Result<SendStream> {
        match self.connection.open_send() {
            Ok(stream) => Ok(stream),
            Err(error) => Err(self.stream_error(error).await),
        }
    }

    /// This library's error for a failed call. Waits a moment for the exit status if the sidecar has ended.
    pub(crate) async fn error(&self, error: CallError) -> Error {
        match error {
            CallError::Remote(error) => error.into(),
            CallError::Busy { .. } | CallError::TooManyStreams { .. } => {
                Error::Busy { message: error.to_string() }
            }
            CallError::TooLong { .. } | CallError::Encode(_) => {
                Error::InvalidRequest { message: error.to_string() }
            }
            CallError::Lost(lost) => self.lost(lost).await,
            other => Error::Transport { message: other.to_string() },
        }
    }

    async fn lost(&self, lost: ConnectionLost) -> Error {
        if lost == ConnectionLost::Local && self.stuck.load(Ordering::Acquire) {
            let operation = "sign of life of the sidecar".to_owned();
            return Error::Timeout { operation, after: Some(pulse::PATIENCE) };
        }
        lost_error(lost, self.child.as_ref()).await
    }

    /// This library's error for a broken stream.
    pub(crate) async fn stream_error(&self, error: StreamError) -> Error {
        match error {
            StreamError::Lost(lost) => self.lost(lost).await,
            StreamError::TooMany { .. } => Error::Busy { message: error.to_string() },
            other => quick_stream_error(other),
        }
    }
}

/// As [`Link::stream_error`], where nothing can be waited for.
pub(crate) fn quick_stream_error(error: StreamError) -> Error {
    match error {
        StreamError::Reset { code } => {
            match u16::try_from(code).ok().and_then(agentos_abi::Errno::from_raw) {
                Some(errno) => Error::Kernel { errno, operation: "stream".to_owned(), path: None },
                None => Error::Transport { message: error.to_string() },
            }
        }
        StreamError::Lost(ConnectionLost::Local) => Error::Disposed,
        StreamError::Lost(ConnectionLost::Closed) => {
            Error::SidecarExited { status: None, last_stderr: Vec::new() }
        }
        other => Error::Transport { message: other.to_string() },
    }
}

async fn lost_error(lost: ConnectionLost, child: Option<&Child>) -> Error {
    match lost {
        ConnectionLost::Local => Error::Disposed,
        ConnectionLost::Goodbye(reason) if reason.code != code::SHUTTING_DOWN => reason.into(),
        ConnectionLost::Closed | ConnectionLost::Io { .. } | ConnectionLost::Goodbye(_) => {
            let Some(child) = child else {
                return Error::SidecarExited { status: None, last_stderr: Vec::new() };
            };
            if let Ok(timer) = wire::sleep(STATUS) {
                tokio::select! {
                    () = child.exited() => {}
                    () = timer => {}
                }
            }
            Error::SidecarExited { status: child.status(), last_stderr: child.last_stderr() }
        }
        other => Error::Transport { message: other.to_string() },
    }
}
