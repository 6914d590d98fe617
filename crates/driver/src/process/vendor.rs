//! A vendor's process as the backends use it: lines of JSON in, lines of JSON out, the end of its log, and an end in
//! bounded time. What the lines mean is the backend's affair.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Exit, LaunchSpec, Launcher, Lines, Signal};
use crate::ErrorInfo;
use crate::error::BACKEND_EXITED;

/// How much of the log is kept, in bytes.
const STDERR: usize = 4096;
/// Lines that wait to be written.
const QUEUE: usize = 256;
/// How long a vendor may leave a line unread.
const STUCK: Duration = Duration::from_secs(30);
/// Steps of the end: after the end of its input, after SIGTERM, after SIGKILL.
const STEPS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(2), Duration::from_secs(1)];
/// How long the rest of the log is waited for.
const LOG: Duration = Duration::from_secs(1);

/// What a vendor reads.
pub type Input = Box<dyn tokio::io::AsyncWrite + Send + Unpin>;
/// What a vendor writes.
pub type Output = Box<dyn tokio::io::AsyncRead + Send + Unpin>;

/// The vendor's input is closed: it ended, or is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the vendor takes no more input")]
pub struct Closed;

/// A process of a vendor. Dropped, it is killed.
pub struct Vendor {
    input: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    stderr: Arc<Mutex<VecDeque<u8>>>,
    exit: watch::Receiver<Option<Exit>>,
    kill: CancellationToken,
    terminate: CancellationToken,
}

impl std::fmt::Debug for Vendor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vendor").field("exit", &*self.exit.borrow()).finish_non_exhaustive()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

impl Vendor {
    /// Starts one, and gives what it writes.
    ///
    /// # Errors
    /// Those of the launcher.
    pub async fn launch(
        launcher: &dyn Launcher,
        spec: LaunchSpec,
    ) -> Result<(Self, Lines<Output>), ErrorInfo> {
        let (vendor, mut stdin, stdout) = Self::launch_streams(launcher, spec).await?;
        let (sender, mut queue) = mpsc::channel::<Vec<u8>>(QUEUE);
        *vendor.input.lock() = Some(sender);
        let stuck = vendor.kill.clone();
        tokio::spawn(async move {
            while let Some(line) = queue.recv().await {
                let written = tokio::time::timeout(STUCK, async {
                    stdin.write_all(&line).await?;
                    stdin.flush().await
                });
                match written.await {
                    Ok(Ok(())) => {}
                    // It has closed its input, and will end by itself or be told to.
                    Ok(Err(_)) => return,
                    Err(_) => return stuck.cancel(),
                }
            }
            let _ = stdin.shutdown().await;
        });
        Ok((vendor, Lines::new(stdout)))
    }

    /// Starts one whose streams are the caller's: what it reads, then what it writes. [`send`](Self::send) takes nothing,
    /// and its input is to be closed before [`stop`](Self::stop).
    ///
    /// # Errors
    /// Those of the launcher.
    pub async fn launch_streams(
        launcher: &dyn Launcher,
        spec: LaunchSpec,
    ) -> Result<(Self, Input, Output), ErrorInfo> {
        let launched = launcher.launch(spec).await?;
        let (kill, terminate) = (CancellationToken::new(), CancellationToken::new());
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let (kept, mut log) = (Arc::clone(&stderr), launched.stderr);
        let logged = tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(n @ 1..) = log.read(&mut buffer).await {
                let mut kept = kept.lock();
                kept.extend(&buffer[..n]);
                let more = kept.len().saturating_sub(STDERR);
                kept.drain(..more);
            }
        });
        let (ended, exit) = watch::channel(None);
        let (handle, killed, terminated) = (launched.handle, kill.clone(), terminate.clone());
        tokio::spawn(async move {
            let mut told = false;
            let exit = loop {
                tokio::select! {
                    exit = handle.wait() => break exit,
                    () = killed.cancelled() => {
                        handle.signal(Signal::Kill);
                        break handle.wait().await;
                    }
                    () = terminated.cancelled(), if !told => {
                        told = true;
                        handle.signal(Signal::Terminate);
                    }
                }
            };
            // What it logged last says why it ended; a child of its own may keep the log open.
            let _ = tokio::time::timeout(LOG, logged).await;
            let _ = ended.send(Some(exit));
        });
        let vendor = Vendor { input: Mutex::new(None), stderr, exit, kill, terminate };
        Ok((vendor, launched.stdin, launched.stdout))
    }

    /// Writes a message as a line. Waits while it reads slowly.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn send(&self, message: &(impl Serialize + Sync)) -> Result<(), Closed> {
        let sender = self.input.lock().clone().ok_or(Closed)?;
        let mut line = serde_json::to_vec(message).map_err(|_| Closed)?;
        line.push(b'\n');
        sender.send(line).await.map_err(|_| Closed)
    }

    /// Kills it with all that it has started.
    pub fn kill(&self) {
        self.kill.cancel();
    }

    /// Waits for its end.
    pub async fn exited(&self) -> Exit {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        ended.ok().and_then(|exit| *exit).unwrap_or_default()
    }

    /// Why it ended: its status and what it logged last. To be called once it has.
    pub async fn exit_error(&self) -> ErrorInfo {
        let exit = self.exited().await;
        let how = match (exit.code, exit.signal) {
            (_, Some(signal)) => format!("was ended by signal {signal}"),
            (Some(code), _) => format!("ended with status {code}"),
            (None, None) => "ended".to_owned(),
        };
        let error = ErrorInfo::retryable(BACKEND_EXITED, format!("the agent's process {how}"));
        error.with("exitCode", exit.code).with("signal", exit.signal).with("stderr", self.stderr())
    }

    /// What it logged last.
    #[must_use]
    pub fn stderr(&self) -> String {
        let kept = self.stderr.lock();
        let (a, b) = kept.as_slices();
        String::from_utf8_lossy(&[a, b].concat()).into_owned()
    }

    /// Ends it: closes its input, and tells it twice if it does not end by itself. At most 5 seconds.
    pub async fn stop(&self) {
        self.input.lock().take();
        let [by_itself, after_term, after_kill] = STEPS;
        if tokio::time::timeout(by_itself, self.exited()).await.is_ok() {
            return;
        }
        self.terminate.cancel();
        if tokio::time::timeout(after_term, self.exited()).await.is_ok() {
            return;
        }
        self.kill.cancel();
        let _ = tokio::time::timeout(after_kill, self.exited()).await;
    }
}
