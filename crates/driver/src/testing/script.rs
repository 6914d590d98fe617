//! A vendor's process that a test plays: it reads what the backend writes, and writes what a vendor would.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, DuplexStream, ReadBuf, duplex};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ErrorInfo;
use crate::process::{Exit, LaunchSpec, Launched, Launcher, ProcessHandle, Signal};

/// What a pipe holds.
const PIPE: usize = 64 << 10;
/// What no test waits for longer.
const HANG: Duration = Duration::from_secs(30);

type Play = Arc<dyn Fn(VendorSide) -> Pin<Box<dyn Future<Output = Exit> + Send>> + Send + Sync>;

/// An output that tells how much of it was read, whenever there is no more.
struct Told {
    from: DuplexStream,
    read: u64,
    done: watch::Sender<u64>,
}

impl AsyncRead for Told {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Task<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.from).poll_read(cx, buf);
        self.read += (buf.filled().len() - before) as u64;
        if read.is_pending() {
            let read = self.read;
            self.done.send_if_modified(|done| std::mem::replace(done, read) != read);
        }
        read
    }
}

/// Starts vendors that a test plays.
#[derive(Clone)]
pub struct ScriptedLauncher {
    play: Play,
    launched: Arc<Mutex<Vec<LaunchSpec>>>,
}

impl std::fmt::Debug for ScriptedLauncher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedLauncher")
            .field("launched", &self.launched.lock().len())
            .finish_non_exhaustive()
    }
}

/// The vendor's end of its streams.
#[derive(Debug)]
pub struct VendorSide {
    /// Which start it is, from 0.
    pub start: usize,
    /// What was to be started.
    pub spec: LaunchSpec,
    stdin: BufReader<DuplexStream>,
    stdout: DuplexStream,
    /// Bytes that were written to it.
    written: u64,
    /// Bytes of it that whoever reads it has done with.
    done: watch::Receiver<u64>,
    stderr: DuplexStream,
    terminated: CancellationToken,
}

impl VendorSide {
    /// The next message of the backend; nothing at the end of the input.
    ///
    /// # Panics
    /// If it is no JSON, or nothing comes for 30 s: this is for tests.
    pub async fn recv(&mut self) -> Option<Value> {
        let line = self.recv_line().await?;
        Some(
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("the backend wrote {line:?}: {error}")),
        )
    }

    /// As [`recv`](Self::recv), however long that takes: for sessions that are left alone for a while.
    ///
    /// # Panics
    /// If it is no JSON.
    pub async fn recv_at_last(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.stdin.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        Some(
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("the backend wrote {line:?}: {error}")),
        )
    }

    /// The next line of the backend, whatever it is.
    ///
    /// # Panics
    /// If nothing comes for 30 s.
    pub async fn recv_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(HANG, self.stdin.read_line(&mut line)).await;
        match read.unwrap_or_else(|_| panic!("the backend wrote nothing for {HANG:?}")) {
            Ok(1..) => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }

    /// Writes a message. Whether anybody may read it.
    pub async fn send(&mut self, message: Value) -> bool {
        self.send_line(&message.to_string()).await
    }

    /// Writes a line, whatever it is.
    pub async fn send_line(&mut self, line: &str) -> bool {
        self.send_bytes(format!("{line}\n").as_bytes()).await
    }

    /// Writes bytes.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.written += bytes.len() as u64;
        self.stdout.write_all(bytes).await.is_ok()
    }

    /// Waits until whoever reads what was written has read all of it and wants more, but not for long.
    pub(super) async fn heard(&mut self, limit: Duration) {
        let written = self.written;
        let _ = tokio::time::timeout(limit, self.done.wait_for(|done| *done >= written)).await;
    }

    /// Writes to its log.
    pub async fn log(&mut self, text: &str) {
        let _ = self.stderr.write_all(text.as_bytes()).await;
    }

    /// Waits for SIGTERM.
    pub async fn terminated(&self) {
        self.terminated.cancelled().await;
    }
}

impl ScriptedLauncher {
    /// Each process is played by `play`, which is its whole life: it ends as that says. SIGKILL ends it anywhere.
    pub fn new<F>(play: impl Fn(VendorSide) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Exit> + Send + 'static,
    {
        let play: Play = Arc::new(move |side| Box::pin(play(side)));
        ScriptedLauncher { play, launched: Arc::default() }
    }

    /// What was started.
    #[must_use]
    pub fn launched(&self) -> Vec<LaunchSpec> {
        self.launched.lock().clone()
    }
}

struct Played {
    exit: watch::Receiver<Option<Exit>>,
    kill: CancellationToken,
    terminate: CancellationToken,
}

impl Drop for Played {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

impl ProcessHandle for Played {
    fn signal(&self, signal: Signal) {
        match signal {
            Signal::Terminate => self.terminate.cancel(),
            Signal::Kill => self.kill.cancel(),
        }
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.clone();
        Box::pin(async move {
            let ended = exit.wait_for(Option::is_some).await;
            ended.ok().and_then(|exit| *exit).unwrap_or_default()
        })
    }
}

impl Launcher for ScriptedLauncher {
    fn launch(&self, spec: LaunchSpec) -> BoxFuture<'_, Result<Launched, ErrorInfo>> {
        Box::pin(async move {
            let start = {
                let mut launched = self.launched.lock();
                launched.push(spec.clone());
                launched.len() - 1
            };
            let (ours_in, theirs_in) = duplex(PIPE);
            let (ours_out, theirs_out) = duplex(PIPE);
            let (ours_err, theirs_err) = duplex(PIPE);
            let (kill, terminate) = (CancellationToken::new(), CancellationToken::new());
            let (done, heard) = watch::channel(0);
            let side = VendorSide {
                start,
                spec,
                stdin: BufReader::new(theirs_in),
                stdout: theirs_out,
                written: 0,
                done: heard,
                stderr: theirs_err,
                terminated: terminate.clone(),
            };
            let (ended, exit) = watch::channel(None);
            let (life, killed) = ((self.play)(side), kill.clone());
            tokio::spawn(async move {
                let exit = tokio::select! {
                    exit = life => exit,
                    () = killed.cancelled() => Exit { code: None, signal: Some(9) },
                };
                let _ = ended.send(Some(exit));
            });
            Ok(Launched {
                stdin: Box::new(ours_in),
                stdout: Box::new(Told { from: ours_out, read: 0, done }),
                stderr: Box::new(ours_err),
                handle: Box::new(Played { exit, kill, terminate }),
            })
        })
    }
}
