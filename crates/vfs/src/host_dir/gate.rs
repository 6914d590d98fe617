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

    /// Does what nobody waits for, such as closing a file.
    pub(crate) fn spawn(&self, call: impl FnOnce() + Send + 'static) {
        match self {
            Gate::Inline => call(),
            Gate::Threads { runtime, .. } => drop(runtime.spawn_blocking(call)),
        }
    }
}
