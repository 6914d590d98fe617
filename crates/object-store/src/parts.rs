//! An upload in parts, step by step. What is not finished is taken back, also when it is dropped; later if the store is away.

use std::sync::{Arc, Weak};
use std::time::Duration;

use agentos_vfs::{Errno, Result};
use bytes::Bytes;
use opendal::Writer;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::errors::errno;
use crate::mount::{Shared, may_pass};
use crate::remote::{Condition, Remote, refused};
use crate::version::Version;

/// Parts that are under way at a time.
pub(crate) const CONCURRENT: usize = 3;
/// Uploads of a mount that wait for being taken back; none of them has its parts in memory.
const MOST_ABANDONED: usize = 256;
/// Pauses between tries to take them back; they double.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);

pub(crate) struct Parts {
    shared: Arc<Shared>,
    path: Arc<str>,
    condition: Condition,
    /// `None` once it is finished.
    writer: Option<Writer>,
    sent: u64,
}

impl Parts {
    /// Begins an upload whose parts have `part` bytes.
    pub(crate) async fn begin(
        shared: &Arc<Shared>,
        path: &Arc<str>,
        part: usize,
        condition: Condition,
    ) -> Result<Self> {
        let writer = shared.remote.writer(path, part, CONCURRENT, &condition).await?;
        Ok(Parts { shared: shared.clone(), path: path.clone(), condition, writer: Some(writer), sent: 0 })
    }

    /// Bytes sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Where it goes.
    pub(crate) fn path(&self) -> &Arc<str> {
        &self.path
    }

    fn remote(&self) -> &Remote {
        &self.shared.remote
    }

    /// Sends the next bytes; waits only while as many parts as allowed are under way.
    pub(crate) async fn send(&mut self, data: Bytes) -> Result<()> {
        let timeout = self.remote().timeout;
        let mut writer = self.writer.take().ok_or(Errno::EIO)?;
        self.sent += data.len() as u64;
        // The answer to the request that begins an upload says by what it is taken back: it is waited for also when nobody
        // waits for the part any more.
        let task = self.shared.runtime.spawn(async move {
            let written = tokio::time::timeout(2 * timeout, writer.write(data)).await;
            let result = written.map_err(|_| Errno::ETIMEDOUT);
            (writer, result.and_then(|result| result.map_err(|error| errno(&error))))
        });
        let mut sending = Sending { shared: self.shared.clone(), task: Some(task) };
        let task = sending.task.as_mut().ok_or(Errno::EIO)?;
        let sent = tokio::time::timeout(timeout, task).await.map_err(|_| Errno::ETIMEDOUT)?;
        sending.task = None;
        let (writer, result) = sent.map_err(|_| Errno::EIO)?;
        self.writer = Some(writer);
        result
    }

    /// Makes an object of it.
    pub(crate) async fn finish(mut self) -> Result<Version> {
        // Closing waits for all parts that are under way.
        let limit = self.remote().timeout * u32::try_from(CONCURRENT).unwrap_or(1);
        let writer = self.writer.as_mut().ok_or(Errno::EIO)?;
        let closed = tokio::time::timeout(limit, writer.close()).await;
        let closed = closed.map_err(|_| Errno::ETIMEDOUT)?;
        let metadata = closed.map_err(|error| refused(errno(&error), &self.condition))?;
        self.writer = None;
        self.remote().written(&self.path, &metadata, self.sent).await
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.shared.runtime.spawn(give_up(self.shared.clone(), writer));
        }
    }
}

/// A part that is handed to its writer.
struct Sending {
    shared: Arc<Shared>,
    /// `None` once it is.
    task: Option<JoinHandle<(Writer, Result<()>)>>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        let shared = self.shared.clone();
        self.shared.runtime.spawn(async move {
            if let Ok((writer, _)) = task.await {
                give_up(shared, writer).await;
            }
        });
    }
}

/// Takes an upload back, whenever the store is there.
async fn give_up(shared: Arc<Shared>, writer: Writer) {
    let keep = shared.abandoned.add(&shared.remote, writer).await;
    let mount = Arc::downgrade(&shared);
    drop(shared);
    if keep {
        keep_trying(mount).await;
    }
}

/// Uploads that the store could not take back, as it was away: they would be stored, and paid for, without being seen.
#[derive(Default)]
pub(crate) struct Abandoned {
    waiting: Mutex<Waiting>,
    /// Held by who tries, as what is tried does not wait meanwhile.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    writers: Vec<Writer>,
    /// Somebody tries from time to time.
    kept: bool,
}

impl Abandoned {
    /// Throws away what the store has of an upload, now or when it is there again. Whether the caller is to [`keep_trying`].
    async fn add(&self, remote: &Remote, writer: Writer) -> bool {
        let Some(writer) = take_back(remote, writer).await else { return false };
        let mut waiting = self.waiting.lock();
        if waiting.writers.len() >= MOST_ABANDONED {
            stays(Errno::EAGAIN);
            return false;
        }
        waiting.writers.push(writer);
        !std::mem::replace(&mut waiting.kept, true)
    }

    /// Tries all again, until one shows that the store is still away.
    pub(crate) async fn retry(&self, remote: &Remote) {
        let _turn = self.turn.lock().await;
        self.retry_in_turn(remote).await;
    }

    async fn retry_in_turn(&self, remote: &Remote) {
        let mut writers = std::mem::take(&mut self.waiting.lock().writers);
        while let Some(writer) = writers.pop() {
            if let Some(writer) = take_back(remote, writer).await {
                writers.push(writer);
                break;
            }
        }
        self.waiting.lock().writers.append(&mut writers);
    }
}

/// As long as the mount is there.
async fn keep_trying(mount: Weak<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        pause = LAST_PAUSE.min(2 * pause);
        let Some(shared) = mount.upgrade() else { return };
        let _turn = shared.abandoned.turn.lock().await;
        shared.abandoned.retry_in_turn(&shared.remote).await;
        let mut waiting = shared.abandoned.waiting.lock();
        if waiting.writers.is_empty() {
            waiting.kept = false;
            return;
        }
    }
}

/// Gives it back if the store may take it later.
async fn take_back(remote: &Remote, mut writer: Writer) -> Option<Writer> {
    let error = match tokio::time::timeout(remote.timeout, writer.abort()).await {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => errno(&error),
        Err(_) => Errno::ETIMEDOUT,
    };
    if may_pass(error) {
        return Some(writer);
    }
    // Where it is not found it was finished after all, or somebody else threw it away.
    if error != Errno::ENOENT {
        stays(error);
    }
    None
}

fn stays(error: Errno) {
    tracing::warn!(
        ?error,
        "parts of an upload stay in their object store: a rule of the bucket should remove them"
    );
}
