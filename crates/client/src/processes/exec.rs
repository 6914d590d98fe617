//! Running a program to its end. A short one is one frame out and one frame back.
//! Nothing is left behind: a dropped future kills the program.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use agentos_protocol::message::{Captured, Exec, ExecReply, INLINE_LIMIT, LimitInfo, Program, Stdin};
use agentos_protocol::mux::CallError;
use serde::Serialize;

use super::capture::{Capture, CaptureError};
use super::process_options;
use crate::error::{Error, Result};
use crate::sidecar::Link;
use crate::vm::AgentOs;
use crate::wire;

/// Called with output as it comes.
pub type OutputCallback = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Extra time for the sidecar to enforce a timeout, before this library gives up on it.
const GRACE: Duration = Duration::from_secs(10);

/// Options of [`AgentOs::exec`].
#[derive(Clone)]
pub struct ExecOptions {
    /// Added to the environment of the VM.
    pub env: BTreeMap<String, String>,
    /// Exactly `env`, without the VM's.
    pub clear_env: bool,
    /// Working directory; the VM's.
    pub cwd: Option<String>,
    /// Input; none.
    pub stdin: Option<Vec<u8>>,
    /// After this long the process group is killed and `timed_out` set.
    pub timeout: Option<Duration>,
    /// After this much CPU time the process gets SIGXCPU, which ends it, and one second of CPU time later SIGKILL.
    pub cpu_time_limit: Option<Duration>,
    /// Called with output as it comes, on the task that awaits the exec; a slow callback slows the program.
    pub on_stdout: Option<OutputCallback>,
    /// As `on_stdout`, for error output.
    pub on_stderr: Option<OutputCallback>,
    /// Return the output in the result; true.
    pub capture: bool,
    /// Most captured bytes of each output; more is [`Error::Limit`]. 64 MiB.
    pub max_output: usize,
}

impl Default for ExecOptions {
    fn default() -> Self {
        ExecOptions {
            env: BTreeMap::new(),
            clear_env: false,
            cwd: None,
            stdin: None,
            timeout: None,
            cpu_time_limit: None,
            on_stdout: None,
            on_stderr: None,
            capture: true,
            max_output: 64 << 20,
        }
    }
}

impl fmt::Debug for ExecOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecOptions")
            .field("cwd", &self.cwd)
            .field("timeout", &self.timeout)
            .field("capture", &self.capture)
            .finish_non_exhaustive()
    }
}

/// How an exec ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExecResult {
    /// Status 0-255; 128 + n after signal n.
    pub exit_code: i32,
    /// Name of the signal that ended it, such as `SIGKILL`.
    pub signal: Option<String>,
    /// Output; U+FFFD stands for what is not UTF-8.
    pub stdout: String,
    /// Error output.
    pub stderr: String,
    /// `timeout` ended it.
    pub timed_out: bool,
    /// The limit of the machine that ended it, such as `processMemory`. For a program that it started itself, see
    /// [`crate::Event::LimitKilled`].
    pub limit: Option<LimitInfo>,
    /// The bytes of `stdout`, if they are not UTF-8.
    pub stdout_raw: Option<Vec<u8>>,
    /// The bytes of `stderr`, if they are not UTF-8.
    pub stderr_raw: Option<Vec<u8>>,
}

impl ExecResult {
    /// Status 0, no signal, in time.
    #[must_use]
    pub const fn success(&self) -> bool {
        self.exit_code == 0 && self.signal.is_none() && !self.timed_out
    }

    /// Output, byte for byte.
    #[must_use]
    pub fn stdout_bytes(&self) -> &[u8] {
        self.stdout_raw.as_deref().unwrap_or(self.stdout.as_bytes())
    }

    /// Error output, byte for byte.
    #[must_use]
    pub fn stderr_bytes(&self) -> &[u8] {
        self.stderr_raw.as_deref().unwrap_or(self.stderr.as_bytes())
    }
}

fn text(bytes: Vec<u8>) -> (String, Option<Vec<u8>>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(error.into_bytes())),
    }
}

impl AgentOs {
    /// Runs a line of shell, as `sh -c`, to its end. Dropping the future kills it.
    ///
    /// A program that fails is no error: look at the exit code (127: not found, 126: not executable).
    ///
    /// # Errors
    /// [`Error::Limit`] (processes, `max_output`), [`Error::Disposed`], [`Error::SidecarExited`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// use agentos::ExecOptions;
    /// let sorted = os.exec("sort | uniq -c", ExecOptions {
    ///     stdin: Some(b"b\na\nb\n".to_vec()),
    ///     timeout: Some(std::time::Duration::from_secs(5)),
    ///     ..ExecOptions::default()
    /// }).await?;
    /// assert!(sorted.success());
    /// # Ok(()) }
    /// ```
    pub async fn exec(&self, command: impl Into<String>, options: ExecOptions) -> Result<ExecResult> {
        self.run(Program::Shell(command.into()), options).await
    }

    /// Runs a program with these arguments, without a shell. The program is found through PATH unless it contains `/`.
    ///
    /// # Errors
    /// As [`AgentOs::exec`].
    pub async fn exec_argv<S: Into<String>>(
        &self,
        argv: impl IntoIterator<Item = S>,
        options: ExecOptions,
    ) -> Result<ExecResult> {
        let argv: Vec<String> = argv.into_iter().map(Into::into).collect();
        if argv.is_empty() {
            return Err(Error::InvalidRequest { message: "argv is empty".to_owned() });
        }
        self.run(Program::Argv(argv), options).await
    }

    async fn run(&self, program: Program, options: ExecOptions) -> Result<ExecResult> {
        let link = self.vm.open()?;
        let ExecOptions { env, clear_env, cwd, stdin, timeout, cpu_time_limit, on_stdout, on_stderr, .. } =
            options;
        let (keep, limit) = (options.capture, options.max_output);
        let process = process_options(env, clear_env, cwd.as_deref(), timeout, cpu_time_limit)?;
        let (out, stdout) = Capture::open(link, on_stdout, keep, limit).await?;
        let (err, stderr) = Capture::open(link, on_stderr, keep, limit).await?;
        let (stdin, feed) = match stdin {
            None => (Stdin::None, None),
            Some(bytes) if bytes.len() <= INLINE_LIMIT => (Stdin::Inline(bytes), None),
            Some(bytes) => {
                let stream = link.open_send().await?;
                (Stdin::Stream(stream.id()), Some((stream, bytes)))
            }
        };
        let call = Exec { vm_id: self.vm.id(), program, options: process, stdin, stdout, stderr };
        let run = drive(link, call, out, err, feed);
        match timeout {
            None => run.await,
            Some(time) => tokio::select! {
                biased;
                result = run => result,
                () = wire::sleep(time.saturating_add(GRACE))? => {
                    Err(Error::Timeout { operation: "exec".to_owned(), after: Some(time) })
                }
            },
        }
    }
}

/// Input that is too large for the request.
type Feed = (agentos_protocol::SendStream, Vec<u8>);

async fn drive(
    link: &Link,
    call: Exec,
    mut out: Capture,
    mut err: Capture,
    feed: Option<Feed>,
) -> Result<ExecResult> {
    let mut pending = link.start(&call).await?;
    let mut feed = feed.map(|(stream, bytes)| {
        Box::pin(async move {
            // A program that does not read all of its input stops it; that is its right.
            if stream.write_all(&bytes).await.is_ok() {
                stream.finish();
            }
        })
    });
    let mut reply: Option<ExecReply> = None;
    let ended = poll_fn(|cx| {
        if let Some(feeding) = &mut feed
            && feeding.as_mut().poll(cx).is_ready()
        {
            feed = None;
        }
        if reply.is_none() {
            match Pin::new(&mut pending).poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(done)) => reply = Some(done),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Ended::Call(error))),
            }
        }
        for (capture, is_out) in [(&mut out, true), (&mut err, false)] {
            if let Poll::Ready(Err(error)) = capture.poll(cx) {
                return Poll::Ready(Err(if is_out { Ended::Out(error) } else { Ended::Err(error) }));
            }
        }
        match reply.take() {
            Some(done) if out.expects_more(&done.stdout) || err.expects_more(&done.stderr) => {
                reply = Some(done);
                Poll::Pending
            }
            Some(done) => Poll::Ready(Ok(done)),
            None => Poll::Pending,
        }
    });
    match ended.await {
        Ok(done) => Ok(result(done, out, err)),
        Err(Ended::Call(error)) => {
            out.discard();
            err.discard();
            Err(link.error(error).await)
        }
        Err(Ended::Out(error)) => Err(out.error(link, error).await),
        Err(Ended::Err(error)) => Err(err.error(link, error).await),
    }
}

enum Ended {
    Call(CallError),
    Out(CaptureError),
    Err(CaptureError),
}

fn result(reply: ExecReply, out: Capture, err: Capture) -> ExecResult {
    let ExecReply { status, stdout, stderr, .. } = reply;
    let finish = |capture: Capture, reply: Captured| text(capture.finish(reply));
    let (stdout, stdout_raw) = finish(out, stdout);
    let (stderr, stderr_raw) = finish(err, stderr);
    ExecResult {
        exit_code: status.exit_code,
        signal: status.signal,
        stdout,
        stderr,
        timed_out: status.timed_out,
        limit: status.limit,
        stdout_raw,
        stderr_raw,
    }
}
