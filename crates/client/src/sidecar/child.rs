//! A sidecar process that this program started: its last words, its exit status, and its end.
//! It does not speak with it.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, Command};
use tokio::sync::{Notify, watch};

use crate::error::{Error, Result};

/// Lines of stderr that are kept, and bytes of a line.
const LINES: usize = 64;
const LINE: usize = 1024;

/// How long a process that was told to end may take.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(super) struct Child {
    shared: Arc<Shared>,
    status: watch::Receiver<Option<String>>,
}

#[derive(Debug, Default)]
struct Shared {
    stderr: Mutex<VecDeque<String>>,
    end: Notify,
    log: Option<PathBuf>,
}

impl Child {
    /// Starts it. To be called on the wire's thread, where it is also waited for.
    ///
    /// Its stderr is a pipe, or `log` for one that may outlive this program: writing to a pipe that nobody holds fails.
    pub(super) fn spawn(mut command: Command, program: &Path, log: Option<(File, PathBuf)>) -> Result<Child> {
        let (stderr, log) = match log {
            Some((file, path)) => (Stdio::from(file), Some(path)),
            None => (Stdio::piped(), None),
        };
        // Not in our process group: an interrupt from the terminal is for the program, which then ends the sidecar.
        command.stdout(Stdio::null()).stderr(stderr).process_group(0);
        let mut child = command.spawn().map_err(|error| Error::SidecarExited {
            status: Some(format!("{} cannot be started", program.display())),
            last_stderr: vec![error.to_string()],
        })?;
        let shared = Arc::new(Shared { log, ..Shared::default() });
        let reader = child.stderr.take().map(|stderr| tokio::spawn(keep_last(stderr, Arc::clone(&shared))));
        let (tell, status) = watch::channel(None);
        let ending = Arc::clone(&shared);
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = child.wait() => ended,
                () = ending.end.notified() => match tokio::time::timeout(GRACE, child.wait()).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        // It fails only if the process has ended meanwhile.
                        let _ = child.start_kill();
                        child.wait().await
                    }
                },
            };
            if let Some(reader) = reader {
                // Its last words are there already, unless a child of its own holds the pipe.
                let _ = tokio::time::timeout(Duration::from_millis(100), reader).await;
            }
            let text = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
            tell.send_replace(Some(text));
        });
        Ok(Child { shared, status })
    }

    /// How it ended, if it has.
    pub(super) fn status(&self) -> Option<String> {
        self.status.borrow().clone()
    }

    /// Ends when it has ended.
    pub(super) async fn exited(&self) {
        // An error means that the waiting task was ended, and the process is not ours any more.
        let _ = self.status.clone().wait_for(Option::is_some).await;
    }

    /// Gives it a moment to end by itself (its connection is closed), then kills it.
    pub(super) fn end(&self) {
        self.shared.end.notify_one();
    }

    pub(super) fn last_stderr(&self) -> Vec<String> {
        match &self.shared.log {
            Some(log) => tail(log).unwrap_or_default(),
            None => self.shared.stderr.lock().iter().cloned().collect(),
        }
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> std::io::Result<Vec<String>> {
    let mut file = OpenOptions::new().read(true).open(log)?;
    let most = (LINES * LINE) as u64;
    let begin = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines.iter().skip(lines.len().saturating_sub(LINES)).map(|line| (*line).to_owned()).collect())
}

async fn keep_last(mut stderr: ChildStderr, shared: Arc<Shared>) {
    let mut line = Vec::new();
    let mut buf = [0; 4096];
    let keep = |line: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(line).into_owned();
        line.clear();
        tracing::debug!(target: "agentos::sidecar", "{text}");
        let mut lines = shared.stderr.lock();
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(text);
    };
    while let Ok(n @ 1..) = stderr.read(&mut buf).await {
        for byte in buf.iter().take(n) {
            match byte {
                b'\n' => keep(&mut line),
                byte if line.len() < LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        keep(&mut line);
    }
}
