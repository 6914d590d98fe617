//! A file system that a program outside implements by path, such as a driver in the client. It keeps no attributes and
//! no content: the guest and the driver always see the same.
//!
//! Inode numbers stand for paths in a bounded table that renames through this mount keep right. What the driver renames
//! behind our back gets a new number. An open file that is removed answers ESTALE: paths cannot reach it any more; drivers that
//! keep open files (`DriverHandle`) may know better.

mod file;
mod filesystem;
mod handle_file;
mod path_driver;
mod paths;
mod pieces;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub use path_driver::{DriverHandle, PathDriver, VirtualStat};

use crate::{Attr, Errno, Ino, Result};
use paths::Paths;

/// How to call a driver.
#[derive(Clone, Debug)]
pub struct DriverOptions {
    /// The type `/proc/mounts` shows.
    pub type_name: String,
    /// Refuse changes with EROFS.
    pub read_only: bool,
    /// A call that takes longer, waiting for its turn included, fails with ETIMEDOUT.
    pub timeout: Duration,
    /// The most calls at a time; further ones wait.
    pub max_calls: usize,
    /// The runtime of calls and timers; `None` takes that of the calling thread.
    pub runtime: Option<Handle>,
}

impl Default for DriverOptions {
    /// 30 seconds, 16 calls.
    fn default() -> Self {
        DriverOptions {
            type_name: "driver".to_owned(),
            read_only: false,
            timeout: Duration::from_secs(30),
            max_calls: 16,
            runtime: None,
        }
    }
}

struct Shared {
    driver: Arc<dyn PathDriver>,
    paths: Mutex<Paths>,
    permits: Arc<Semaphore>,
    runtime: Handle,
    options: DriverOptions,
}

/// A [`PathDriver`] as a file system.
#[derive(Clone)]
pub struct DriverFs(Arc<Shared>);

impl DriverFs {
    /// Mounts nothing yet. EINVAL when there is no runtime or `max_calls` is 0.
    pub fn new(driver: Arc<dyn PathDriver>, options: DriverOptions) -> Result<Self> {
        let runtime = options.runtime.clone().or_else(|| Handle::try_current().ok()).ok_or(Errno::EINVAL)?;
        if options.max_calls == 0 {
            return Err(Errno::EINVAL);
        }
        let permits = Arc::new(Semaphore::new(options.max_calls.min(Semaphore::MAX_PERMITS)));
        Ok(DriverFs(Arc::new(Shared { driver, paths: Mutex::new(Paths::new()), permits, runtime, options })))
    }
}

impl Shared {
    /// Runs one call of the driver on its runtime, in time and in turn.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(Arc<dyn PathDriver>) -> BoxFuture<'static, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let begin = std::time::Instant::now();
        let (driver, timeout) = (self.driver.clone(), self.options.timeout);
        // The turn first, then the call with what it carries: a caller that is killed while it waits leaves nothing here.
        let turn = self.permits.clone().acquire_owned();
        let turn = self.runtime.spawn(async move { tokio::time::timeout(timeout, turn).await });
        let permit = match turn.await {
            Ok(Ok(Ok(permit))) => permit,
            Ok(Err(_)) => return Err(Errno::ETIMEDOUT),
            Ok(Ok(Err(_))) | Err(_) => return Err(Errno::EIO),
        };
        let left = timeout.saturating_sub(begin.elapsed());
        let task = self.runtime.spawn(async move {
            let _permit = permit;
            tokio::time::timeout(left, call(driver)).await.unwrap_or(Err(Errno::ETIMEDOUT))
        });
        // A driver that panics loses its own call only.
        task.await.unwrap_or(Err(Errno::EIO))
    }

    async fn lstat(&self, path: Arc<str>) -> Result<VirtualStat> {
        self.call(move |driver| Box::pin(async move { driver.lstat(&path).await })).await
    }

    async fn attr(&self, ino: Ino) -> Result<Attr> {
        let path = self.path(ino)?;
        let stat = self.lstat(path).await?;
        Ok(attr(&stat, ino))
    }

    fn path(&self, ino: Ino) -> Result<Arc<str>> {
        self.paths.lock().path(ino)
    }

    fn writable(&self) -> Result<()> {
        if self.options.read_only { Err(Errno::EROFS) } else { Ok(()) }
    }
}

fn attr(stat: &VirtualStat, ino: Ino) -> Attr {
    Attr {
        ino,
        kind: stat.kind,
        perm: stat.perm & 0o7777,
        nlink: stat.nlink,
        uid: stat.uid,
        gid: stat.gid,
        rdev: 0,
        size: stat.size,
        blocks: stat.size.div_ceil(512),
        atime: stat.atime,
        mtime: stat.mtime,
        ctime: stat.ctime,
        btime: stat.btime,
    }
}

/// Keeps a number while it is in use.
struct Held {
    shared: Arc<Shared>,
    ino: Ino,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.paths.lock().unpin(self.ino);
    }
}

impl Held {
    fn new(shared: &Arc<Shared>, ino: Ino) -> Result<Self> {
        if shared.paths.lock().pin(ino) {
            Ok(Held { shared: shared.clone(), ino })
        } else {
            Err(Errno::ESTALE)
        }
    }
}

impl fmt::Debug for DriverFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DriverFs").field(&self.0.options).finish()
    }
}
