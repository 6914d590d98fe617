//! A directory of the host as a file system, beneath one directory handle. It resolves no path: each call is about one
//! name in one directory, symbolic links are never followed here (the walk in the VM does), so nothing leads out.
//!
//! A number of ours stands for (directory, name) and the (device, inode) seen there. Handles are opened name by name
//! with `O_NOFOLLOW` and must show the same (device, inode) again; otherwise the call ends with ESTALE. A name that a
//! host thread swaps for a link is therefore refused, not followed. FIFOs, sockets and devices are shown, never opened.
//! Linux only: files are opened for data through `/proc/self/fd`.

mod attr;
mod contains;
mod descend;
mod errno;
mod file;
mod filesystem;
mod fresh;
mod gate;
mod idle;
mod inner;
mod private;
mod recent;
mod slots;
mod steady;
mod table;

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use parking_lot::Mutex;
use tokio::runtime::Handle;

pub use contains::contains;
pub use private::Private;
pub use steady::{Held, Steady};

use crate::{Errno, Result};
use attr::Owner;
use errno::{errno, from_io};
use gate::Gate;
use inner::Inner;
use slots::Slots;
use table::Table;

/// Where calls to the host run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// Inline where the host's file system is local; on other threads, at most 16 at a time, for NFS, FUSE, CIFS and
    /// the like. Syncs wait for the disk and run on other threads wherever there is a runtime.
    #[default]
    Auto,
    /// Always on other threads.
    Threads,
}

/// How to show a directory of the host.
#[derive(Clone, Debug)]
pub struct HostDirOptions {
    /// Refuse changes with EROFS.
    pub read_only: bool,
    /// The owner of everything, as the guest sees it.
    pub uid: u32,
    /// The group of everything.
    pub gid: u32,
    /// Where calls to the host run.
    pub calls: Calls,
    /// Directories that it must not show, wherever they appear in it: EACCES. Nor are files changed that have a name in them.
    pub private: Option<Arc<Private>>,
    /// By whom names are held as they are now and then.
    pub steady: Steady,
    /// Whose blocking threads and timer are used; `None` takes the runtime of the calling thread.
    pub runtime: Option<Handle>,
}

impl Default for HostDirOptions {
    /// Writable, owned by the user of a VM, 1000:1000.
    fn default() -> Self {
        HostDirOptions {
            read_only: false,
            uid: 1000,
            gid: 1000,
            calls: Calls::Auto,
            private: None,
            steady: Steady::default(),
            runtime: None,
        }
    }
}

/// A directory of the host.
///
/// ```no_run
/// use agentos_vfs::{FileSystem, HostDir, HostDirOptions};
/// let dir = HostDir::open("/home/me/project", HostDirOptions { read_only: true, ..Default::default() })?;
/// assert!(dir.read_only());
/// # Ok::<(), agentos_vfs::Errno>(())
/// ```
pub struct HostDir {
    inner: Arc<Inner>,
}

impl HostDir {
    /// Opens the directory at `path` of the host, symbolic links followed. ENOENT, ENOTDIR, EACCES (also for what is private, and for `/proc`); EINVAL when threads
    /// are needed and there is no runtime.
    pub fn open(path: impl AsRef<Path>, options: HostDirOptions) -> Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| from_io(&error))?;
        Self::from_dir(dir, options)
    }

    /// Whether this very directory contains the one at `path` of the host, lies in it, or is it. Where `path` does not
    /// exist yet, its nearest existing ancestor counts. Errors are those of looking at either.
    ///
    /// The sidecar refuses mounts that overlap its cache or socket directory. What was opened is judged, not its name.
    pub fn overlaps(&self, path: &Path) -> std::io::Result<bool> {
        contains::overlaps(self.inner.top.1.as_fd(), path)
    }

    /// Whether this directory contains the one at `path`, or is it, as [`HostDir::overlaps`] judges.
    pub fn shows(&self, path: &Path) -> std::io::Result<bool> {
        contains::shows(self.inner.top.1.as_fd(), path)
    }

    /// Shows a directory that is open already.
    pub fn from_dir(dir: Dir, options: HostDirOptions) -> Result<Self> {
        let fd = OwnedFd::from(dir.into_std_file());
        let stat = rustix::fs::fstat(&fd).map_err(errno)?;
        if options.private.as_ref().is_some_and(|private| private.has_directory(attr::identity(&stat))) {
            return Err(Errno::EACCES);
        }
        private::no_process_files(&fd)?;
        let f_type = rustix::fs::fstatfs(&fd).map_err(errno)?.f_type;
        let runtime = options.runtime.or_else(|| Handle::try_current().ok());
        let gate = if options.calls == Calls::Threads || gate::may_hang(f_type) {
            Gate::threads(runtime.clone().ok_or(Errno::EINVAL)?)
        } else {
            Gate::Inline
        };
        let syncs = match &runtime {
            Some(runtime) if gate.is_inline() => Gate::threads(runtime.clone()),
            _ => gate.clone(),
        };
        let fd = Arc::new(fd);
        let table = Table::new(attr::identity(&stat), fd.clone());
        let inner = Inner {
            top: (table.root(), fd),
            top_dev: stat.st_dev,
            table: Mutex::new(table),
            fresh: Mutex::default(),
            recent_directory: Mutex::default(),
            idle: Mutex::default(),
            runtime,
            slots: Slots::new(),
            owner: Owner { uid: options.uid, gid: options.gid },
            read_only: options.read_only,
            private: options.private,
            steady: options.steady,
            gate,
            syncs,
        };
        Ok(HostDir { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for HostDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostDir").field("read_only", &self.inner.read_only).finish_non_exhaustive()
    }
}
