//! Where a file that is being written waits for its upload: in memory while it is small, else in a file of the host without a
//! name. All stagings of a mount share one bound.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentos_vfs::{Errno, Result};
use bytes::Bytes;
use tempfile::SpooledTempFile;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Up to here a staging is in memory.
const SMALL: usize = 256 << 10;

/// What all stagings of a mount may hold.
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
    /// Where the files are.
    directory: PathBuf,
}

impl Budget {
    pub(crate) fn new(limit: u64, directory: PathBuf) -> Arc<Self> {
        Arc::new(Budget { limit, used: AtomicU64::new(0), directory })
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// ENOSPC beyond the limit.
    fn take(&self, bytes: u64) -> Result<()> {
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map(drop).map_err(|used| {
            let limit = self.limit;
            tracing::warn!(used, wanted = bytes, limit, "`stagingBytes` of an object store is reached");
            Errno::ENOSPC
        })
    }

    fn give(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The whole content of one file. Holes count as bytes.
pub(crate) struct Staging {
    file: SpooledTempFile,
    len: u64,
    budget: Arc<Budget>,
}

impl Staging {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        let file = tempfile::spooled_tempfile_in(SMALL, &budget.directory);
        Staging { file, len: 0, budget: budget.clone() }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether it is on the disk, or will be with this length.
    fn on_disk(&self, len: u64) -> bool {
        self.file.is_rolled() || len > SMALL as u64
    }

    /// Up to `len` bytes; empty at the end.
    pub(crate) fn read(&mut self, offset: u64, len: usize) -> Result<Bytes> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        if left.min(len) == 0 {
            return Ok(Bytes::new());
        }
        waiting(self.on_disk(0), || {
            let mut data = vec![0; len.min(left)];
            self.file
                .seek(SeekFrom::Start(offset))
                .and_then(|_| self.file.read_exact(&mut data))
                .map_err(host)?;
            Ok(data.into())
        })
    }

    /// Writes all of it; what lies between the end and `offset` is zeros.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let end = offset.checked_add(data.len() as u64).ok_or(Errno::EFBIG)?;
        let before = self.len;
        if end > before {
            self.set_len(end)?;
        }
        let written = waiting(self.on_disk(end), || {
            self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.write_all(data))
        });
        if let Err(error) = written {
            // The host has no more space: as long as it was.
            self.set_len(before)?;
            return Err(host(error));
        }
        Ok(())
    }

    pub(crate) fn set_len(&mut self, len: u64) -> Result<()> {
        if len > self.len {
            self.budget.take(len - self.len)?;
        }
        if let Err(error) = waiting(self.on_disk(len), || self.file.set_len(len)) {
            self.budget.give(len.saturating_sub(self.len));
            return Err(host(error));
        }
        self.budget.give(self.len.saturating_sub(len));
        self.len = len;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.budget.give(self.len);
    }
}

/// Runs what may wait for the disk, or takes its time. A thread of the runtime hands its other tasks on before.
pub(crate) fn waiting<T>(long: bool, work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) if long => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn host(error: std::io::Error) -> Errno {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Errno::ENOSPC,
        std::io::ErrorKind::FileTooLarge => Errno::EFBIG,
        _ => Errno::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_stagings_share_one_bound_and_give_it_back() {
        let budget = Budget::new(1 << 20, std::env::temp_dir());
        let mut first = Staging::new(&budget);
        first.write(700_000, b"end").unwrap();
        assert_eq!(first.read(0, 3).unwrap(), [0, 0, 0].as_slice());
        assert_eq!(first.read(699_999, 10).unwrap(), b"\0end".as_slice());
        let mut second = Staging::new(&budget);
        assert_eq!(second.write(0, &vec![1; 400_000]), Err(Errno::ENOSPC));
        assert_eq!((second.len(), budget.used()), (0, 700_003));
        first.set_len(10).unwrap();
        second.write(0, &vec![1; 400_000]).unwrap();
        assert_eq!(first.set_len(u64::MAX), Err(Errno::ENOSPC));
        assert_eq!(first.write(u64::MAX, b"x"), Err(Errno::EFBIG));
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_disk_may_be_waited_for_on_any_thread() {
        use tokio::runtime::Builder;

        let write = || {
            let mut staging = Staging::new(&Budget::new(1 << 30, std::env::temp_dir()));
            staging.write(2 * SMALL as u64, b"end").unwrap();
            assert_eq!(staging.read(2 * SMALL as u64, 9).unwrap(), b"end".as_slice());
        };
        write();
        for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
            let runtime = builder.build().unwrap();
            runtime.block_on(async { write() });
            runtime.block_on(runtime.spawn(async move { write() })).unwrap();
            let _entered = runtime.enter();
            write();
        }
    }

    #[test]
    fn other_tasks_go_on_while_the_disk_is_waited_for() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let time = std::time::Duration::from_secs(10);
        let waits = runtime.spawn(async move { waiting(true, || receiver.recv_timeout(time)) });
        runtime.spawn(async move { sender.send(()) });
        runtime.block_on(waits).unwrap().unwrap();
    }

    #[test]
    fn what_is_cut_comes_back_as_zeros() {
        for size in [100, 2 * SMALL] {
            let mut staging = Staging::new(&Budget::new(1 << 30, std::env::temp_dir()));
            staging.write(0, &vec![7; size]).unwrap();
            staging.set_len(50).unwrap();
            staging.set_len(100).unwrap();
            assert_eq!(staging.read(49, 100).unwrap()[..3], [7, 0, 0]);
        }
    }
}
