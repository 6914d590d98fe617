//! The queue of lines for the agent's stdin, bounded in lines and bytes, and the task that writes it. It does not
//! look into the lines.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::{Error, Fatal, Limits};

/// Bytes per permit of the byte budget.
const UNIT: usize = 1024;

/// One queued line and its share of the budget.
pub(super) struct Line {
    bytes: Vec<u8>,
    _budget: OwnedSemaphorePermit,
}

/// The sending end.
pub(super) struct Outbox {
    /// Taken away by [`close`](Self::close); the writer ends when the queue is empty.
    queue: Mutex<Option<mpsc::Sender<Line>>>,
    budget: Arc<Semaphore>,
    units: usize,
    stop: CancellationToken,
}

impl Outbox {
    pub(super) fn new(limits: &Limits, stop: CancellationToken) -> (Self, mpsc::Receiver<Line>) {
        let (sender, receiver) = mpsc::channel(limits.write_queue.max(1));
        let units = (limits.write_queue_bytes / UNIT).max(1);
        let outbox =
            Self { queue: Mutex::new(Some(sender)), budget: Arc::new(Semaphore::new(units)), units, stop };
        (outbox, receiver)
    }

    /// A line larger than the whole budget takes all of it: it waits until it is alone.
    fn share(&self, bytes: &[u8]) -> u32 {
        u32::try_from(bytes.len().div_ceil(UNIT).clamp(1, self.units)).unwrap_or(u32::MAX)
    }

    /// Queues a line, waiting for room. Fails with `None` when the connection is over.
    pub(super) async fn send(&self, bytes: Vec<u8>) -> Result<(), Option<Error>> {
        let Some(queue) = self.queue.lock().clone() else { return Err(Some(Error::Closed)) };
        let put = async {
            let budget =
                Arc::clone(&self.budget).acquire_many_owned(self.share(&bytes)).await.map_err(|_| None)?;
            queue.send(Line { bytes, _budget: budget }).await.map_err(|_| None)
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(None),
            done = put => done,
        }
    }

    /// Queues a line if there is room at once; else it is dropped. For courtesies the agent can do without.
    pub(super) fn try_send(&self, bytes: Vec<u8>) -> bool {
        let Some(queue) = self.queue.lock().clone() else { return false };
        let Ok(budget) = Arc::clone(&self.budget).try_acquire_many_owned(self.share(&bytes)) else {
            return false;
        };
        queue.try_send(Line { bytes, _budget: budget }).is_ok()
    }

    pub(super) fn close(&self) {
        self.queue.lock().take();
    }
}

/// Writes until the queue is closed, the stream fails or the connection stops.
pub(super) async fn run<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut queue: mpsc::Receiver<Line>,
    inner: Arc<Inner>,
) {
    let write_all = async {
        while let Some(line) = queue.recv().await {
            let mut rest = line.bytes.as_slice();
            while !rest.is_empty() {
                // Each piece must make progress in time; a slow agent that reads on is not stuck.
                match timeout(inner.timeouts.write, writer.write(rest)).await {
                    Ok(Ok(written)) if written > 0 => rest = &rest[written..],
                    Ok(_) => return,
                    Err(_) => return inner.fail(Fatal::WriteStuck { after: inner.timeouts.write }),
                }
            }
            match timeout(inner.timeouts.write, writer.flush()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => return inner.fail(Fatal::WriteStuck { after: inner.timeouts.write }),
            }
        }
    };
    tokio::select! {
        biased;
        () = inner.stop.cancelled() => {}
        // A stream that fails is no verdict: the reader sees what the agent still had to say, and its end.
        () = write_all => {}
    }
    queue.close();
    let _ = timeout(inner.timeouts.write, writer.shutdown()).await;
}
