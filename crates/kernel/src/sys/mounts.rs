//! Mounting and unmounting for the host: where a mount may go, and who keeps one in use. Guests mount nothing. The table
//! itself is [`agentos_vfs::Namespace`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use agentos_vfs::{FileSystem, FileType, GuestPath, Location, Mount, MountOptions, NewKind, Resolved};

use super::walk::At;
use crate::{Errno, Kernel, Pid, Process};

/// How long an unmount waits for calls that are under way.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often it looks meanwhile.
const EVERY: Duration = Duration::from_millis(5);
/// Users of a mount that are named.
const MOST_NAMED: usize = 8;
/// Bytes of a name in an error.
const MOST_SHOWN: usize = 256;

/// Why something was not mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountRefused {
    /// EBUSY (something is mounted there), ENOTDIR, EROFS, and what making the directory says.
    Failed(Errno),
    /// There are [`agentos_vfs::namespace::MAX_MOUNTS`].
    TooMany,
    /// A link lies on the way: a guest that may write there could choose the place.
    Link {
        /// The link.
        link: Vec<u8>,
        /// The directory that the whole path leads to, or what the link holds if it leads to none.
        leads_to: Vec<u8>,
    },
}

impl From<Errno> for MountRefused {
    fn from(errno: Errno) -> Self {
        MountRefused::Failed(errno)
    }
}

/// Who keeps a mount in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountUser {
    /// A mount in it.
    Mount(GuestPath),
    /// The working directory of a process.
    WorkingDirectory(Pid, Vec<u8>),
    /// Open descriptors of a process.
    Descriptors(Pid, Vec<u8>, Vec<u32>),
    /// A call, of a program or of the host.
    Call,
}

impl fmt::Display for MountUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_SHOWN)]).into_owned();
        match self {
            MountUser::Mount(path) => write!(f, "{path:?} is mounted in it"),
            MountUser::WorkingDirectory(pid, exe) => {
                write!(f, "process {} ({:?}) works in it", pid.0, text(exe))
            }
            MountUser::Descriptors(pid, exe, fds) => {
                let some: Vec<String> = fds.iter().take(MOST_NAMED).map(u32::to_string).collect();
                let more = if fds.len() > some.len() { ", ..." } else { "" };
                write!(f, "process {} ({:?}) has it open: {}{more}", pid.0, text(exe), some.join(", "))
            }
            MountUser::Call => f.write_str("a call is under way in it"),
        }
    }
}

/// Why something was not unmounted; it is mounted as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnmountRefused {
    /// Nothing is mounted there.
    NotMounted,
    /// Somebody uses it: these, at most eight, and perhaps others.
    Busy(Vec<MountUser>),
}

impl Kernel {
    /// Mounts `fs` at `path`, for the host. The directory is made if there is none, with all above it; if the mount is refused they are
    /// taken away again. What the directory holds is hidden meanwhile.
    pub async fn mount(
        &self,
        path: &GuestPath,
        fs: Arc<dyn FileSystem>,
        options: MountOptions,
    ) -> std::result::Result<Arc<Mount>, MountRefused> {
        let mut made = Vec::new();
        let mounted = self.mount_in(path, fs, options, &mut made).await;
        if mounted.is_ok() {
            self.rescan(path.as_bytes());
        } else {
            let host = self.host();
            for (parent, name) in made.iter().rev() {
                // A guest may have put something into it: then it stays.
                let _ = self.rmdir(&host, At::Directory(parent, name)).await;
            }
        }
        mounted
    }

    async fn mount_in(
        &self,
        path: &GuestPath,
        fs: Arc<dyn FileSystem>,
        options: MountOptions,
        made: &mut Vec<(Location, Vec<u8>)>,
    ) -> std::result::Result<Arc<Mount>, MountRefused> {
        let host = self.host();
        let mut place = self.namespace.root();
        let mut above = GuestPath::root();
        // Component by component, so that no guest can swap one for a link behind a check.
        for name in path.components() {
            let at = At::Directory(&place, name);
            let next = match self.walk(&host, at, false).await? {
                Resolved::Found(found) => found,
                Resolved::Missing(_) => {
                    self.make(&host, at, NewKind::Directory, 0o755).await?;
                    made.push((place.clone(), name.to_vec()));
                    self.walk(&host, at, false).await?.found()?
                }
                Resolved::Descriptor(_) => return Err(Errno::ELOOP.into()),
            };
            above = above.join(name).map_err(Errno::from)?;
            match next.attr.kind {
                FileType::Directory => place = next.location,
                FileType::Symlink => {
                    let leads_to = match self.resolve_directory(&host, At::Cwd(path.as_bytes())).await {
                        Ok(there) => self.namespace.path_of(&there).await?,
                        Err(_) => self.readlink(&host, at).await?,
                    };
                    return Err(MountRefused::Link { link: above.as_bytes().to_vec(), leads_to });
                }
                _ => return Err(Errno::ENOTDIR.into()),
            }
        }
        // One mount per place: a second one would hide the first.
        if place.is_mount_root() && place.mount.place().is_some() {
            return Err(Errno::EBUSY.into());
        }
        self.namespace.mount_at(place, path, fs, options).map_err(|errno| match errno {
            Errno::ENOSPC => MountRefused::TooMany,
            other => other.into(),
        })
    }

    /// Unmounts what was last mounted at `path`, if nobody uses it. Calls that are under way are waited for, a moment. A program that
    /// runs is in memory and holds nothing.
    pub async fn unmount(&self, path: &GuestPath) -> std::result::Result<(), UnmountRefused> {
        let begin = std::time::Instant::now();
        loop {
            match self.namespace.unmount(path) {
                Ok(()) => {
                    self.rescan(path.as_bytes());
                    return Ok(());
                }
                Err(Errno::EBUSY) => {}
                Err(_) => return Err(UnmountRefused::NotMounted),
            }
            let users = self.users_of(path)?;
            if !users.is_empty() {
                return Err(UnmountRefused::Busy(users));
            }
            if begin.elapsed() >= PATIENCE {
                return Err(UnmountRefused::Busy(vec![MountUser::Call]));
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Unmounts it, and all that is mounted in it, whoever uses it: no path leads there any more, while open files and working
    /// directories stay until they are closed.
    pub fn detach(&self, path: &GuestPath) -> std::result::Result<(), UnmountRefused> {
        self.namespace.detach(path).map_err(|_| UnmountRefused::NotMounted)?;
        self.rescan(path.as_bytes());
        Ok(())
    }

    fn users_of(&self, path: &GuestPath) -> std::result::Result<Vec<MountUser>, UnmountRefused> {
        let (id, inside) = self.namespace.mounted_at(path).map_err(|_| UnmountRefused::NotMounted)?;
        let mut users: Vec<MountUser> = inside.into_iter().take(MOST_NAMED).map(MountUser::Mount).collect();
        let processes: Vec<Arc<Process>> = {
            let table = self.table.lock();
            table.iter().filter(|e| e.exit.is_none()).map(|e| Arc::clone(&e.process)).collect()
        };
        for process in processes {
            if users.len() >= MOST_NAMED {
                break;
            }
            let exe = || process.image.read().exe.to_vec();
            if process.cwd().mount.id == id {
                users.push(MountUser::WorkingDirectory(process.pid, exe()));
            }
            let open = descriptors_on(&process, id);
            if !open.is_empty() {
                users.push(MountUser::Descriptors(process.pid, exe(), open));
            }
        }
        users.truncate(MOST_NAMED);
        Ok(users)
    }
}

/// The descriptors of a process that are open on a mount, or were found in it, as a FIFO is.
fn descriptors_on(process: &Process, mount: u64) -> Vec<u32> {
    let fds = process.fds.lock();
    let on = |fd: &crate::Fd| {
        let Ok(description) = fds.get(*fd) else { return false };
        let found_in = description.entry().map(|(parent, _)| parent);
        description.location().into_iter().chain(found_in).any(|at| at.mount.id == mount)
    };
    fds.numbers().filter(on).map(|fd| fd.0).collect()
}
