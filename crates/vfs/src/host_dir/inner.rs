//! The calls to the host, each about one name in one verified directory handle. It decides nothing about threads.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::fs::{self, AtFlags, CWD, FileType as HostType, Mode, OFlags, RenameFlags as HostRename, Stat};
use rustix::io::Errno as Host;
use tokio::runtime::Handle;

use super::attr::{self, Owner, timestamps};
use super::errno::errno;
use super::file::HostFile;
use super::fresh::Fresh;
use super::gate::Gate;
use super::idle::{IDLE, Idle, Kept};
use super::private::{Private, no_process_files};
use super::recent::RecentDirectory;
use super::slots::Slots;
use super::steady::Steady;
use super::table::{Identity, Place, Stamp, Table};
use crate::name;
use crate::{
    Access, Attr, DirEntry, Errno, FileType, FsStat, Ino, Link, NewKind, NewNode, RenameFlags, Result,
    SetAttr,
};

/// The most entries of one directory; then EOVERFLOW.
const MAX_ENTRIES: usize = 1 << 20;

pub(crate) struct Inner {
    /// The mounted directory and its number: they never change.
    pub(crate) top: (Ino, Arc<OwnedFd>),
    /// Its device.
    pub(crate) top_dev: u64,
    pub(crate) table: Mutex<Table>,
    pub(crate) fresh: Mutex<Fresh>,
    pub(crate) recent_directory: Mutex<RecentDirectory>,
    pub(crate) idle: Mutex<Idle>,
    /// Where idle files are closed; without it there are none.
    pub(crate) runtime: Option<Handle>,
    /// What may be open.
    pub(crate) slots: Slots,
    pub(crate) owner: Owner,
    pub(crate) read_only: bool,
    pub(crate) private: Option<Arc<Private>>,
    pub(crate) steady: Steady,
    pub(crate) gate: Gate,
    /// Where waiting for the disk happens: on other threads also when the file system is local, if there are any.
    pub(crate) syncs: Gate,
}

/// A directory that was there when its inode was looked up and is not any more.
fn stale(error: Host) -> Errno {
    match error {
        Host::NOENT | Host::NOTDIR | Host::LOOP => Errno::ESTALE,
        other => errno(other),
    }
}

/// The path by which a handle can be opened again with more rights.
fn proc_path(fd: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

pub(crate) fn stat_name(dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<Stat> {
    fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

impl Inner {
    pub(crate) fn writable(&self) -> Result<()> {
        if self.read_only { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// EACCES for a directory that is not to be shown.
    fn shown(&self, identity: Identity) -> Result<()> {
        match &self.private {
            Some(private) if private.has_directory(identity) => Err(Errno::EACCES),
            _ => Ok(()),
        }
    }

    /// EACCES for a file that is not to be changed, since it has a name where nobody may.
    pub(crate) fn changeable(&self, stat: &Stat) -> Result<()> {
        match &self.private {
            Some(private) if stat.st_nlink > 1 && private.has_file(attr::identity(stat)) => {
                Err(Errno::EACCES)
            }
            _ => Ok(()),
        }
    }

    /// A handle of a directory. Each step opens one name without following links, and the directory must be the one
    /// that was seen under this number.
    pub(crate) fn dir(&self, ino: Ino) -> Result<Arc<OwnedFd>> {
        let (mut handle, steps) = self.table.lock().way(ino)?;
        for step in steps.iter().rev() {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = fs::openat(&*handle, &step.name[..], flags, Mode::empty()).map_err(stale)?;
            let stat = fs::fstat(&next).map_err(errno)?;
            if attr::identity(&stat) != step.identity {
                return Err(Errno::ESTALE);
            }
            self.shown(step.identity)?;
            if step.identity.dev != self.top_dev {
                no_process_files(&next)?;
            }
            handle = Arc::new(next);
            self.table.lock().keep(step.ino, &handle);
        }
        Ok(handle)
    }

    /// A directory whose entries are asked for: what is no directory is ENOTDIR.
    fn dir_for(&self, ino: Ino) -> Result<Arc<OwnedFd>> {
        self.dir(ino).map_err(|error| match error {
            Errno::ESTALE => match self.getattr(ino) {
                Ok(attr) if attr.kind != FileType::Directory => Errno::ENOTDIR,
                _ => Errno::ESTALE,
            },
            other => other,
        })
    }

    /// What the inode is now. ESTALE when its name leads elsewhere.
    fn stat(&self, ino: Ino) -> Result<Stat> {
        if ino == self.root() {
            return fs::fstat(&*self.top.1).map_err(errno);
        }
        let Place { parent, name, identity, .. } = self.table.lock().place(ino)?;
        let by_name = self.dir(parent).and_then(|dir| stat_name(&dir, &name).map_err(stale));
        match by_name {
            Ok(stat) if attr::identity(&stat) == identity => Ok(stat),
            Ok(_) | Err(Errno::ESTALE) => {
                // A working directory that was renamed by the host is still open.
                let (handle, steps) = self.table.lock().way(ino)?;
                if steps.is_empty() { fs::fstat(&*handle).map_err(errno) } else { Err(Errno::ESTALE) }
            }
            Err(error) => Err(error),
        }
    }

    /// A handle of any inode, which permits nothing by itself. Opening it touches neither FIFO nor device.
    fn handle(&self, ino: Ino) -> Result<(OwnedFd, Stat)> {
        let Place { parent, name, identity, .. } = self.table.lock().place(ino)?;
        let dir = self.dir(parent)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = if ino == self.root() { &b"."[..] } else { &name[..] };
        let handle = fs::openat(&*dir, name, flags, Mode::empty()).map_err(stale)?;
        let stat = fs::fstat(&handle).map_err(errno)?;
        if attr::identity(&stat) == identity { Ok((handle, stat)) } else { Err(Errno::ESTALE) }
    }

    pub(crate) fn root(&self) -> Ino {
        self.top.0
    }

    pub(crate) fn note(&self, dir: Ino, name: &[u8], stat: &Stat) -> Result<Attr> {
        let mut attr = attr::from_stat(stat, 0, &self.owner);
        {
            let mut table = self.table.lock();
            attr.ino = table.seen(dir, name, attr::identity(stat), attr.kind)?;
            table.looked(attr.ino, attr::stamp(stat));
        }
        // Where a pin must not wait for the host, the handle it may want to keep is opened ahead.
        if !self.gate.is_inline() && attr.kind == FileType::Directory {
            let _ = self.dir(attr.ino);
        }
        Ok(attr)
    }

    pub(crate) fn lookup(&self, dir: Ino, name: &[u8]) -> Result<Attr> {
        name::check(name)?;
        let handle = self.dir_for(dir)?;
        let stat = stat_name(&handle, name).map_err(errno)?;
        self.note(dir, name, &stat)
    }

    pub(crate) fn getattr(&self, ino: Ino) -> Result<Attr> {
        match self.stat(ino) {
            Ok(stat) => Ok(attr::from_stat(&stat, ino, &self.owner)),
            Err(Errno::ESTALE) => self.still_open(ino)?.stat(),
            Err(error) => Err(error),
        }
    }

    fn still_open(&self, ino: Ino) -> Result<Arc<HostFile>> {
        self.table.lock().open_file(ino).ok_or(Errno::ESTALE)
    }

    pub(crate) fn setattr(&self, ino: Ino, change: &SetAttr) -> Result<Attr> {
        self.writable()?;
        self.owner.check(change)?;
        let (handle, stat) = match self.handle(ino) {
            Err(Errno::ESTALE) => return self.still_open(ino)?.change(change),
            other => other?,
        };
        let kind = HostType::from_raw_mode(stat.st_mode);
        match kind {
            HostType::RegularFile => self.changeable(&stat)?,
            HostType::Directory => self.shown(attr::identity(&stat))?,
            _ => {}
        }
        if let Some(size) = change.size {
            match kind {
                HostType::RegularFile => {}
                HostType::Directory => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
            let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let file = fs::open(proc_path(&handle), flags, Mode::empty()).map_err(errno)?;
            fs::ftruncate(&file, size).map_err(errno)?;
        }
        // A link itself has no mode to change.
        if let Some(perm) = change.perm
            && kind != HostType::Symlink
        {
            let changed = fs::chmod(proc_path(&handle), attr::file_mode(perm));
            if kind == HostType::Directory {
                self.recent_directory.lock().clear();
            }
            changed.map_err(errno)?;
        }
        if let Some(times) = timestamps(change) {
            if kind == HostType::Symlink {
                let Place { parent, name, .. } = self.table.lock().place(ino)?;
                fs::utimensat(&*self.dir(parent)?, &name[..], &times, AtFlags::SYMLINK_NOFOLLOW)
            } else {
                fs::utimensat(CWD, proc_path(&handle), &times, AtFlags::empty())
            }
            .map_err(errno)?;
        }
        let stat = fs::fstat(&handle).map_err(errno)?;
        Ok(attr::from_stat(&stat, ino, &self.owner))
    }

    pub(crate) fn readlink(&self, ino: Ino) -> Result<Link> {
        let Place { parent, name, identity, .. } = self.table.lock().place(ino)?;
        if ino == self.root() {
            return Err(Errno::EINVAL);
        }
        let dir = self.dir(parent)?;
        let stat = stat_name(&dir, &name).map_err(stale)?;
        if attr::identity(&stat) != identity {
            return Err(Errno::ESTALE);
        }
        let target = fs::readlinkat(&*dir, &name[..], Vec::new()).map_err(errno)?;
        Ok(Link::Path(target.into_bytes()))
    }

    pub(crate) fn create(&self, dir: Ino, name: &[u8], node: &NewNode) -> Result<Attr> {
        self.writable()?;
        name::check(name)?;
        let handle = self.dir_for(dir)?;
        let mode = attr::file_mode(node.perm);
        match &node.kind {
            NewKind::Regular => {
                let slot = self.slots.take()?;
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
                let file = fs::openat(&*handle, name, flags, mode).map_err(errno)?;
                // The umask of the sidecar is not the guest's.
                fs::fchmod(&file, mode).map_err(errno)?;
                let identity = attr::identity(&fs::fstat(&file).map_err(errno)?);
                self.fresh.lock().keep(identity, slot.hold(file));
            }
            NewKind::Directory => {
                fs::mkdirat(&*handle, name, mode).map_err(errno)?;
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let new = fs::openat(&*handle, name, flags, Mode::empty()).map_err(errno)?;
                fs::chmod(proc_path(&new), mode).map_err(errno)?;
            }
            NewKind::Symlink(target) => fs::symlinkat(&target[..], &*handle, name).map_err(errno)?,
            // Special files of a guest would be in the way of programs of the host.
            NewKind::Fifo | NewKind::CharDevice(_) | NewKind::BlockDevice(_) | NewKind::Socket => {
                return Err(match stat_name(&handle, name) {
                    Ok(_) => Errno::EEXIST,
                    Err(_) => Errno::EPERM,
                });
            }
        }
        let stat = stat_name(&handle, name).map_err(errno)?;
        self.note(dir, name, &stat)
    }

    pub(crate) fn link(&self, ino: Ino, dir: Ino, name: &[u8]) -> Result<Attr> {
        self.writable()?;
        name::check(name)?;
        let to = self.dir_for(dir)?;
        let Place { parent, name: old, identity, .. } = self.table.lock().place(ino)?;
        if stat_name(&to, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        if ino == self.root() {
            return Err(Errno::EPERM);
        }
        let from = self.dir(parent)?;
        let stat = stat_name(&from, &old).map_err(errno)?;
        if attr::identity(&stat) != identity {
            return Err(Errno::ESTALE);
        }
        fs::linkat(&*from, &old[..], &*to, name, AtFlags::empty()).map_err(errno)?;
        let stat = stat_name(&to, name).map_err(errno)?;
        self.note(dir, name, &stat)
    }

    pub(crate) fn remove(&self, dir: Ino, name: &[u8], flags: AtFlags) -> Result<()> {
        self.writable()?;
        name::check(name)?;
        let handle = self.dir_for(dir)?;
        let removed = if self.keeps_open() { stat_name(&handle, name).ok() } else { None };
        fs::unlinkat(&*handle, name, flags).map_err(errno)?;
        // What is gone must not take up room until the next files push it out.
        if let Some(removed) = removed {
            self.close_kept(attr::identity(&removed));
        }
        Ok(())
    }

    /// Whether any file is open, by somebody or nobody.
    fn keeps_open(&self) -> bool {
        !self.fresh.lock().is_empty() || !self.idle.lock().is_empty() || self.table.lock().has_open_files()
    }

    /// Closes what nobody has open of an inode that lost a name, and the rest as soon as nobody has it.
    fn close_kept(&self, identity: Identity) {
        let fresh = self.fresh.lock().take(identity);
        let idle = self.idle.lock().remove(identity);
        let open = self.table.lock().open_files(identity);
        open.iter().for_each(|file| file.close_at_once());
        // Closed here, without the locks.
        drop((fresh, idle, open));
    }

    pub(crate) fn rename(
        &self,
        from_dir: Ino,
        from: &[u8],
        to_dir: Ino,
        to: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        self.writable()?;
        name::check(from)?;
        name::check(to)?;
        let (source, target) = (self.dir_for(from_dir)?, self.dir_for(to_dir)?);
        let identity = |dir, name| stat_name(dir, name).ok().map(|stat| attr::identity(&stat));
        let (moved, replaced): (Option<Identity>, _) = (identity(&source, from), identity(&target, to));
        let mut host = HostRename::empty();
        host.set(HostRename::NOREPLACE, flags.no_replace);
        host.set(HostRename::EXCHANGE, flags.exchange);
        fs::renameat_with(&*source, from, &*target, to, host).map_err(errno)?;
        if moved == replaced {
            return Ok(());
        }
        if let (false, Some(replaced)) = (flags.exchange, replaced) {
            self.close_kept(replaced);
        }
        let mut table = self.table.lock();
        if let Some(moved) = moved {
            table.moved(moved, to_dir, to);
        }
        if let (true, Some(replaced)) = (flags.exchange, replaced) {
            table.moved(replaced, from_dir, from);
        }
        Ok(())
    }

    pub(crate) fn readdir(&self, dir: Ino) -> Result<Vec<DirEntry>> {
        let handle = self.dir_for(dir)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = fs::openat(&*handle, c".", flags, Mode::empty()).map_err(errno)?;
        let dev = fs::fstat(&open).map_err(errno)?.st_dev;
        let mut entries = Vec::new();
        for entry in fs::Dir::new(open).map_err(errno)? {
            let entry = entry.map_err(errno)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if entries.len() >= MAX_ENTRIES {
                return Err(Errno::EOVERFLOW);
            }
            let (kind, identity) = match attr::kind(entry.file_type()) {
                Some(kind) => (kind, Identity { dev, ino: entry.ino() }),
                // Some file systems do not say; what has gone meanwhile is not listed.
                None => match stat_name(&handle, name) {
                    Ok(stat) => {
                        let kind = attr::kind(HostType::from_raw_mode(stat.st_mode));
                        (kind.unwrap_or(FileType::Regular), attr::identity(&stat))
                    }
                    Err(_) => continue,
                },
            };
            let ino = self.table.lock().number(identity);
            entries.push(DirEntry { ino, kind, name: name.into() });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    pub(crate) fn open(self: &Arc<Self>, ino: Ino, access: Access) -> Result<Arc<HostFile>> {
        if access.write {
            self.writable()?;
        }
        let (place, dir) = self.table.lock().place_and_handle(ino)?;
        match place.kind {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            FileType::Symlink => return Err(Errno::ELOOP),
            _ => return Err(Errno::ENXIO),
        }
        let fresh = self.fresh.lock().take(place.identity);
        // Another device may be one on which what was opened once is not what is there now.
        let may_idle = fresh.is_none() && !access.write && place.identity.dev == self.top_dev;
        let fd = match fresh {
            Some(fd) => fd,
            None => {
                let slot = self.slots.take()?;
                let idle = if may_idle { self.idle.lock().take(place.identity, place.stamp) } else { None };
                let fd = match idle {
                    Some(fd) => fd,
                    None => {
                        let dir = dir.map_or_else(|| self.dir(place.parent), Ok)?;
                        self.open_regular(&dir, &place, access)?
                    }
                };
                slot.hold(fd)
            }
        };
        let idle = may_idle.then_some((place.identity, place.stamp));
        let file = Arc::new(HostFile::new(self.clone(), ino, idle, fd, access.write));
        self.table.lock().opened(ino, &file);
        Ok(file)
    }

    /// Opens what was a regular file when it was looked up, and must still be that very file.
    ///
    /// By its name, since a second way through `/proc/self/fd` costs more than all the rest. Should the host put something
    /// else there in this instant, it is closed again unread; the flags keep that from waiting or taking a terminal.
    fn open_regular(&self, dir: &OwnedFd, place: &Place, access: Access) -> Result<OwnedFd> {
        let mode = match (access.read, access.write) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        let flags = mode | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = fs::openat(dir, &place.name[..], flags, Mode::empty()).map_err(|error| match error {
            // What FIFOs, sockets and devices say to these flags.
            Host::NXIO | Host::NODEV => Errno::ESTALE,
            other => stale(other),
        })?;
        let stat = fs::fstat(&file).map_err(errno)?;
        let regular = HostType::from_raw_mode(stat.st_mode) == HostType::RegularFile;
        if !regular || attr::identity(&stat) != place.identity {
            return Err(Errno::ESTALE);
        }
        if access.write {
            self.changeable(&stat)?;
        }
        Ok(file)
    }

    /// Closes a file that was open to be read: in some milliseconds, should nobody open it again.
    pub(crate) fn close_later(self: &Arc<Self>, identity: Identity, stamp: Stamp, file: OwnedFd) {
        let Some(runtime) = self.runtime.as_ref().filter(|_| self.gate.is_inline()) else {
            return self.gate.spawn(move || drop(file));
        };
        // The lock is let go before a file is closed.
        let kept = self.idle.lock().keep(identity, stamp, file);
        match kept {
            Kept::Yes => {}
            Kept::No(file) => drop(file),
            Kept::ToSweep => {
                runtime.spawn(sweep(Sweeper(Arc::downgrade(self))));
            }
        }
    }

    pub(crate) fn statfs(&self) -> Result<FsStat> {
        let root = self.dir(self.root())?;
        let stat = fs::fstatvfs(&*root).map_err(errno)?;
        Ok(FsStat {
            block_size: stat.f_frsize.max(1),
            blocks: stat.f_blocks,
            blocks_free: stat.f_bavail,
            inodes: stat.f_files,
            inodes_free: stat.f_favail,
        })
    }

    /// Syncs the entries of one directory.
    pub(crate) fn sync_dir(&self, dir: Ino) -> Result<()> {
        let handle = self.dir_for(dir)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = fs::openat(&*handle, c".", flags, Mode::empty()).map_err(errno)?;
        fs::fsync(&open).map_err(errno)
    }

    pub(crate) fn sync(&self) -> Result<()> {
        let root = self.dir(self.root())?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = fs::openat(&*root, c".", flags, Mode::empty()).map_err(errno)?;
        fs::syncfs(&open).map_err(errno)
    }
}

/// Who closes idle files. Should it end before its time, with its runtime, it closes all of them.
struct Sweeper(Weak<Inner>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            let closed = inner.idle.lock().give_up();
            drop(closed);
        }
    }
}

/// Closes idle files until there are none; those of a mount that is gone are closed with it.
async fn sweep(mut sweeper: Sweeper) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(inner) = sweeper.0.upgrade() else { return };
        let (closed, more) = inner.idle.lock().sweep();
        if !more {
            // Whoever keeps the next file starts another.
            sweeper.0 = Weak::new();
        }
        if !closed.is_empty() {
            // To close the last descriptor of a large file that was removed takes its time.
            tokio::task::spawn_blocking(move || drop(closed));
        }
        if !more {
            return;
        }
    }
}
