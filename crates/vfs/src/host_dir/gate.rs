//! Where calls to the host run: inline on a local file system, on other threads where a call may hang. The gate bounds
//! the threads a hung mount can hold; it has no time limit of its own.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::{Errno, Reply, Result};

/// The most calls of one mount that block a thread at a time.
pub(crate) const MAX_BLOCKING: usize = 16;

/// File systems behind a network or another process, by `f_type` of statfs(2): NFS, FUSE, CIFS, SMB2, SMB, 9p, AFS, Ceph,
/// Coda, Lustre, OCFS2, autofs, VirtualBox.
const MAY_HANG: [u32; 13] = [
    0x6969,
    0x6573_5546,
    0xff53_4d42,
    0xfe53_4d42,
    0x517b,
    0x0102_1997,
    0x5346_414f,
    0x00c3_6400,
    0x7375_7245,
    0x0bd0_0bd0,
    0x7461_636f,
    0x0187,
    0x786f_4256,
];

pub(crate) fn may_hang(f_type: rustix::fs::FsWord) -> bool {
    // The low half: the type is a signed word.
    MAY_HANG.contains(&((f_type & 0xffff_ffff) as u32))
}

#[derive(Clone)]
pub(crate) enum Gate {
    Inline,
    Threads { permits: Arc<Semaphore>, runtime: Handle },
}

impl Gate {
    pub(crate) fn threads(runtime: Handle) -> Self {
        Gate::Threads { permits: Arc::new(Semaphore::new(MAX_BLOCKING)), runtime }
    }

    pub(crate) fn is_inline(&self) -> bool {
        matches!(self, Gate::Inline)
    }

    /// Runs `call` here and now, or on another thread once one of the permits is free.
    pub(crate) fn run<'a, T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Reply<'a, T> {
        match self {
            Gate::Inline => Reply::Now(call()),
            Gate::Threads { permits, runtime } => {
                let (permits, runtime) = (permits.clone(), runtime.clone());
                Reply::later(async move {
                    let permit = permits.acquire_owned().await.map_err(|_| Errno::EIO)?;
                    // The permit moves along: a caller that gives up does not free the thread.
                    let task = runtime.spawn_blocking(move || {
                        let result = call();
                        drop(permit);
                        result
                    });
                    task.await.map_err(|_| Errno::EIO)?
                })
            }
        }
    }

    /// Does what nobody waits for, such as closing a file; on another thread once one of the permits is free.
    pub(crate) fn spawn(&self, call: impl FnOnce() + Send + 'static) {
        match self {
            Gate::Inline => call(),
            Gate::Threads { permits, runtime } => {
                let (permits, blocking) = (permits.clone(), runtime.clone());
                runtime.spawn(async move {
                    let Ok(permit) = permits.acquire_owned().await else { return };
                    blocking.spawn_blocking(move || {
                        call();
                        drop(permit);
                    });
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture;
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_takes_permits_too() {
        let gate = Gate::threads(Handle::current());
        let (started, all_started) = sync_channel(2 * MAX_BLOCKING);
        let (release, released) = sync_channel::<()>(2 * MAX_BLOCKING);
        let released = Arc::new(std::sync::Mutex::new(released));
        let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for _ in 0..2 * MAX_BLOCKING {
            let (started, released, running) = (started.clone(), released.clone(), running.clone());
            gate.spawn(move || {
                running.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                started.send(()).unwrap();
                let _ = released.lock().unwrap().recv();
            });
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(running.load(std::sync::atomic::Ordering::SeqCst), MAX_BLOCKING);
        // As threads come free, all is done.
        drop(release);
        tokio::task::spawn_blocking(move || {
            for _ in 0..2 * MAX_BLOCKING {
                all_started.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn the_seventeenth_call_waits_without_a_thread() {
        let gate = Gate::threads(Handle::current());
        let (started, all_started) = sync_channel(MAX_BLOCKING);
        let mut releases = Vec::new();
        let hung: Vec<_> = (0..MAX_BLOCKING)
            .map(|_| {
                let (release, released) = sync_channel::<()>(1);
                releases.push(release);
                let started = started.clone();
                let reply = gate.run(move || {
                    started.send(()).unwrap();
                    // Ends with an error when the other side is dropped.
                    let _ = released.recv();
                    Ok(())
                });
                tokio::spawn(async move { reply.await })
            })
            .collect();
        for _ in 0..MAX_BLOCKING {
            tokio::task::yield_now().await;
        }
        for _ in 0..MAX_BLOCKING {
            all_started.recv().unwrap();
        }
        let mut next = tokio::spawn(gate.run(|| Ok(17)).into_future());
        let waited = tokio::time::timeout(std::time::Duration::from_millis(50), &mut next).await;
        assert!(waited.is_err(), "it did not wait");
        // One call is given up: its thread still hangs, so nothing is free.
        hung[0].abort();
        let waited = tokio::time::timeout(std::time::Duration::from_millis(50), &mut next).await;
        assert!(waited.is_err(), "the thread of a given up call was counted as free");
        releases.pop();
        assert_eq!(next.await.unwrap(), Ok(17));
        drop(releases);
    }
}
