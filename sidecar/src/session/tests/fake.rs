//! An agent that the test plays, at the guest's end of the channels.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentos_acp::{ExitStatus, PeerOptions, Timeouts};
use agentos_kernel::HostStream;
use agentos_protocol::WireError;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::agent::{Agent, Job, Starting};
use super::super::start::{Setup, start};
use super::super::{Session, pipe};

/// Longer than anything here takes, also on a busy machine.
pub(super) const SHORT: Duration = Duration::from_secs(20);

/// A process that only remembers what was done to it.
#[derive(Default)]
pub(super) struct FakeJob {
    killed: AtomicBool,
    terminated: AtomicBool,
}

impl FakeJob {
    pub(super) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::SeqCst)
    }
}

impl Job for FakeJob {
    fn pid(&self) -> u32 {
        7
    }

    fn terminate(&self) {
        self.terminated.store(true, Ordering::SeqCst);
    }

    fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
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
    agent: Arc<Agent>,
    ends: Arc<Ends>,
    line: Vec<u8>,
}

impl Fake {
    /// An agent and the session being made of it.
    pub(super) fn start(
        setup: Setup,
        timeouts: Timeouts,
    ) -> (JoinHandle<Result<Arc<Session>, WireError>>, Fake) {
        let (stdin, input) = pipe::to_guest();
        let (stdout, output) = pipe::from_guest();
        let (stderr, error) = pipe::from_guest();
        let job = Arc::new(FakeJob::default());
        let options = PeerOptions { timeouts, ..PeerOptions::default() };
        let agent = Agent::connect(Arc::<FakeJob>::clone(&job), options, stdin, stdout, stderr);
        let of = Arc::clone(&agent);
        let started = tokio::spawn(async move {
            let starting = Starting::new(Arc::clone(&of));
            let setup = Setup { cwd: "/workspace".into(), ..setup };
            let session = start("ours".into(), "fake".into(), &of, setup).await?;
            starting.keep();
            Ok(session)
        });
        (started, Fake { job, agent, ends: Arc::new(Ends { input, output, error }), line: Vec::new() })
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
        self.agent.process_ended(ExitStatus { code, signal });
    }

    /// From now on SIGKILL ends it.
    pub(super) fn dies_when_killed(&mut self) {
        let (job, agent, ends) = (Arc::clone(&self.job), Arc::clone(&self.agent), Arc::clone(&self.ends));
        tokio::spawn(async move {
            while !job.is_killed() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            ends.close();
            agent.process_ended(ExitStatus { code: None, signal: Some(9) });
        });
    }
}

/// A session that is ready, and its agent.
pub(super) async fn ready() -> (Arc<Session>, Fake) {
    ready_with(Timeouts::default()).await
}

/// The same with these times.
pub(super) async fn ready_with(timeouts: Timeouts) -> (Arc<Session>, Fake) {
    let (started, mut agent) = Fake::start(Setup::default(), timeouts);
    agent.greet().await;
    let session = timeout(SHORT, started).await.unwrap().unwrap().unwrap();
    (session, agent)
}
