//! An agent that the test plays, at the guest's end of the channels.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentos_driver::ErrorInfo;
use agentos_driver::process::{Exit, LaunchSpec, Launched, Launcher, ProcessHandle, Signal};
use agentos_kernel::HostStream;
use agentos_protocol::WireError;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::head::{Head, Setup};
use super::super::launch::Guest;
use super::super::log::{Bounds as Kept, EventLog};
use super::super::start::{Bounds, boot};
use super::super::{Session, pipe};

/// Longer than anything here takes, also on a busy machine.
pub(super) const SHORT: Duration = Duration::from_secs(20);

/// A process that only remembers what was done to it.
pub(super) struct FakeJob {
    killed: AtomicBool,
    terminated: AtomicBool,
    exit: watch::Sender<Option<Exit>>,
}

impl FakeJob {
    pub(super) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::SeqCst)
    }
}

struct Handle(Arc<FakeJob>);

impl ProcessHandle for Handle {
    fn signal(&self, signal: Signal) {
        match signal {
            Signal::Terminate => self.0.terminated.store(true, Ordering::SeqCst),
            Signal::Kill => self.0.killed.store(true, Ordering::SeqCst),
        }
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.0.exit.subscribe();
        Box::pin(async move {
            exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit).unwrap_or_default()
        })
    }
}

/// Starts the fake once; there is no second one.
struct Once {
    job: Arc<FakeJob>,
    streams: Mutex<Option<Launched>>,
}

impl Launcher for Once {
    fn launch(&self, _: LaunchSpec) -> BoxFuture<'_, Result<Launched, ErrorInfo>> {
        let launched = self.streams.lock().take();
        Box::pin(
            async move { launched.ok_or_else(|| ErrorInfo::new("test.once", "there is no second agent")) },
        )
    }
}

impl Guest for Once {
    fn pid(&self) -> u32 {
        7
    }

    fn kill(&self) {
        self.job.killed.store(true, Ordering::SeqCst);
    }
}

/// The agent's descriptors; the last one to go closes them, as in the kernel.
struct Ends {
    input: Arc<dyn HostStream>,
    output: Arc<dyn HostStream>,
    error: Arc<dyn HostStream>,
}

impl Ends {
    fn close(&self) {
        self.input.closed();
        self.output.closed();
        self.error.closed();
    }
}

pub(super) struct Fake {
    pub(super) job: Arc<FakeJob>,
    ends: Arc<Ends>,
    line: Vec<u8>,
}

impl Fake {
    /// An agent and the session being made of it.
    pub(super) fn start(setup: Setup, bounds: Bounds) -> (JoinHandle<Result<Arc<Session>, WireError>>, Fake) {
        let (stdin, input) = pipe::to_guest();
        let (stdout, output) = pipe::from_guest();
        let (stderr, error) = pipe::from_guest();
        let (killed, terminated) = (AtomicBool::new(false), AtomicBool::new(false));
        let job = Arc::new(FakeJob { killed, terminated, exit: watch::Sender::new(None) });
        let launched = Launched {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            handle: Box::new(Handle(Arc::clone(&job))),
        };
        let once = Arc::new(Once { job: Arc::clone(&job), streams: Mutex::new(Some(launched)) });
        let started = tokio::spawn(async move {
            let mut setup = Setup { cwd: "/workspace".into(), ..setup };
            setup.agent.command = Some("fake".into());
            setup.agent.id = "scripted".into();
            let log = EventLog::bounded(None, Kept { events: 1024, bytes: 16 << 20 });
            let session = Session::new("ours".into(), log, Head::new(setup, 0), Default::default());
            boot(&session, Arc::<Once>::clone(&once), once, None, bounds, Vec::new(), None).await?;
            Ok(session)
        });
        (started, Fake { job, ends: Arc::new(Ends { input, output, error }), line: Vec::new() })
    }

    /// Answers `initialize` and `session/new`; gives the latter.
    pub(super) async fn greet(&mut self) -> Value {
        let request = self.expect("initialize").await;
        let result = json!({
            "protocolVersion": 1,
            "agentCapabilities": {"sessionCapabilities": {"close": {}}},
            "agentInfo": {"name": "fake", "version": "1"},
        });
        self.answer(&request, result).await;
        let new = self.expect("session/new").await;
        assert_eq!(new["params"]["cwd"], "/workspace");
        self.answer(&new, json!({"sessionId": "inner"})).await;
        new
    }

    /// The next message; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.line.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.line.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let mut buf = [0; 4096];
            let n = poll_fn(|cx| self.ends.input.poll_read(cx, &mut buf)).await.unwrap();
            if n == 0 {
                return None;
            }
            self.line.extend_from_slice(&buf[..n]);
        }
    }

    pub(super) async fn recv(&mut self) -> Value {
        timeout(SHORT, self.next()).await.expect("a message in time").expect("not the end")
    }

    pub(super) async fn expect(&mut self, method: &str) -> Value {
        let message = self.recv().await;
        assert_eq!(message["method"], method, "{message}");
        message
    }

    pub(super) async fn eof(&mut self) -> bool {
        timeout(SHORT, self.next()).await.expect("the end in time").is_none()
    }

    async fn write(stream: &Arc<dyn HostStream>, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let n = poll_fn(|cx| stream.poll_write(cx, bytes)).await.unwrap();
            bytes = &bytes[n..];
        }
    }

    async fn send(&self, message: Value) {
        Self::write(&self.ends.output, format!("{message}\n").as_bytes()).await;
    }

    /// Writes to stderr.
    pub(super) async fn complain(&self, text: &str) {
        Self::write(&self.ends.error, text.as_bytes()).await;
    }

    pub(super) async fn answer(&self, request: &Value, result: Value) {
        self.send(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).await;
    }

    pub(super) async fn fail(&self, request: &Value, code: i64, message: &str) {
        let error = json!({"code": code, "message": message});
        self.send(json!({"jsonrpc": "2.0", "id": request["id"], "error": error})).await;
    }

    pub(super) async fn say(&self, text: &str) {
        let update =
            json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}});
        let params = json!({"sessionId": "inner", "update": update});
        self.send(json!({"jsonrpc": "2.0", "method": "session/update", "params": params})).await;
    }

    pub(super) async fn ask(&self, id: Value, options: &[(&str, &str)]) {
        let options: Vec<_> = options
            .iter()
            .map(|(name, kind)| json!({"optionId": name, "name": name, "kind": kind}))
            .collect();
        let params = json!({"sessionId": "inner", "toolCall": {"toolCallId": "t"}, "options": options});
        let method = "session/request_permission";
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
    }

    /// The process ends: its descriptors close, the host is told.
    pub(super) fn die(&mut self, code: Option<i32>, signal: Option<i32>) {
        self.ends.close();
        self.job.exit.send_replace(Some(Exit { code, signal }));
    }

    /// From now on SIGKILL ends it.
    pub(super) fn dies_when_killed(&mut self) {
        let (job, ends) = (Arc::clone(&self.job), Arc::clone(&self.ends));
        tokio::spawn(async move {
            while !job.is_killed() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            ends.close();
            job.exit.send_replace(Some(Exit { code: None, signal: Some(9) }));
        });
    }
}

/// A session that is ready, and its agent.
pub(super) async fn ready() -> (Arc<Session>, Fake) {
    ready_with(Bounds::default()).await
}

/// The same with these times.
pub(super) async fn ready_with(bounds: Bounds) -> (Arc<Session>, Fake) {
    let (started, mut agent) = Fake::start(Setup::default(), bounds);
    agent.greet().await;
    let session = timeout(SHORT, started).await.unwrap().unwrap().unwrap();
    (session, agent)
}
