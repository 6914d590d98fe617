//! Creating, linking, removing and moving names. Data is in `data`; permissions are the kernel's.

use std::sync::Arc;

use super::inode::{Body, Directory, Entry, Homes, Inode, entry_charge};
use super::state::{ROOT, State};
use crate::name;
use crate::{Attr, Errno, FileType, Ino, NewKind, NewNode, RenameFlags, Result, Timespec};

/// The most names an inode may have, as on common Linux file systems.
const LINK_MAX: u32 = 65_000;
/// The longest target of a symbolic link, in bytes (PATH_MAX without the NUL).
const SYMLINK_MAX: usize = 4095;

/// The most names in one directory: hard links cost no inode, and a listing is made in one piece.
const MAX_ENTRIES: usize = 1 << 20;

impl State {
    pub(crate) fn entry(&self, dir: Ino, name: &[u8]) -> Result<Entry> {
        if name.len() > name::NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.dir(dir)?.entries.get(name).copied().ok_or(Errno::ENOENT)
    }

    /// The directory, when names may be added: a removed one takes none.
    fn live_dir(&self, ino: Ino) -> Result<&Inode> {
        self.dir(ino)?;
        let inode = self.get(ino)?;
        if inode.nlink == 0 { Err(Errno::ENOENT) } else { Ok(inode) }
    }

    fn vacant(&self, dir: Ino, name: &[u8]) -> Result<()> {
        name::check(name)?;
        self.live_dir(dir)?;
        let entries = &self.dir(dir)?.entries;
        match entries.contains_key(name) {
            true => Err(Errno::EEXIST),
            false if entries.len() >= MAX_ENTRIES => Err(Errno::ENOSPC),
            false => Ok(()),
        }
    }

    /// Adds a name; the inode exists and the room was checked.
    fn attach(&mut self, dir: Ino, name: &[u8], entry: Entry, now: Timespec) -> Result<()> {
        let key: Arc<[u8]> = Arc::from(name);
        let is_dir = entry.kind == FileType::Directory;
        self.edit(entry.ino, |inode| {
            inode.homes.add(dir);
            inode.ctime = now;
            if let Body::Directory(own) = &mut inode.body {
                own.name = key.clone();
            }
        })?;
        self.edit_dir(dir, |inode| {
            let Body::Directory(parent) = &mut inode.body else { return None };
            parent.entries.insert(key, entry);
            if is_dir {
                parent.subdirs += 1;
                inode.nlink += 1;
            }
            inode.mtime = now;
            inode.ctime = now;
            Some(())
        })?;
        self.charge(entry_charge(name));
        Ok(())
    }

    /// Takes a name away; the inode stays as it is, with one home less.
    fn detach(&mut self, dir: Ino, name: &[u8], now: Timespec) -> Result<Entry> {
        let entry = self.edit_dir(dir, |inode| {
            let Body::Directory(parent) = &mut inode.body else { return None };
            let entry = parent.entries.remove(name)?;
            if entry.kind == FileType::Directory {
                parent.subdirs -= 1;
                inode.nlink -= 1;
            }
            inode.mtime = now;
            inode.ctime = now;
            Some(entry)
        })?;
        self.refund(entry_charge(name));
        self.edit(entry.ino, |inode| {
            inode.homes.remove(dir);
            inode.ctime = now;
        })?;
        Ok(entry)
    }

    /// Takes a name away for good.
    fn remove(&mut self, dir: Ino, name: &[u8], now: Timespec) -> Result<()> {
        let entry = self.detach(dir, name, now)?;
        let left = self.edit(entry.ino, |inode| {
            inode.nlink = if entry.kind == FileType::Directory { 0 } else { inode.nlink - 1 };
            inode.nlink
        })?;
        if left == 0 {
            self.unlinked(entry.ino);
        }
        Ok(())
    }

    pub(crate) fn create(&mut self, dir: Ino, name: &[u8], node: &NewNode, body: Body) -> Result<Attr> {
        self.vacant(dir, name)?;
        if let Body::Symlink(target) = &body {
            match target.len() {
                0 => return Err(Errno::ENOENT),
                n if n > SYMLINK_MAX => return Err(Errno::ENAMETOOLONG),
                _ => {}
            }
        }
        let parent = self.get(dir)?;
        let (mut perm, mut gid) = (node.perm & 0o7777, node.gid);
        if parent.perm & 0o2000 != 0 {
            gid = parent.gid;
            if matches!(body, Body::Directory(_)) {
                perm |= 0o2000;
            }
        }
        let is_dir = matches!(body, Body::Directory(_));
        if is_dir && parent.nlink >= u32::MAX - 1 {
            return Err(Errno::EMLINK);
        }
        let now = Timespec::now();
        let inode = Inode {
            perm: if matches!(body, Body::Symlink(_)) { 0o777 } else { perm },
            uid: node.uid,
            gid,
            nlink: if is_dir { 2 } else { 1 },
            atime: now,
            mtime: now,
            ctime: now,
            btime: now,
            homes: Homes::None,
            body,
        };
        self.room(entry_charge(name) + inode.charge(), 1)?;
        let kind = inode.kind();
        let ino = self.insert(inode);
        self.attach(dir, name, Entry { ino, kind }, now)?;
        Ok(self.get(ino)?.attr(ino))
    }

    pub(crate) fn link(&mut self, ino: Ino, dir: Ino, name: &[u8]) -> Result<Attr> {
        self.vacant(dir, name)?;
        let inode = self.get(ino)?;
        if inode.kind() != FileType::Directory && inode.nlink == 0 {
            return Err(Errno::ENOENT);
        }
        self.link_any(ino, dir, name)
    }

    /// Links also an inode without any name.
    pub(crate) fn link_any(&mut self, ino: Ino, dir: Ino, name: &[u8]) -> Result<Attr> {
        self.vacant(dir, name)?;
        let inode = self.get(ino)?;
        let kind = inode.kind();
        match inode.nlink {
            _ if kind == FileType::Directory => return Err(Errno::EPERM),
            LINK_MAX.. => return Err(Errno::EMLINK),
            _ => {}
        }
        self.room(entry_charge(name), 0)?;
        self.revive(ino);
        self.edit(ino, |inode| inode.nlink += 1)?;
        self.attach(dir, name, Entry { ino, kind }, Timespec::now())?;
        Ok(self.get(ino)?.attr(ino))
    }

    pub(crate) fn unlink(&mut self, dir: Ino, name: &[u8]) -> Result<()> {
        match self.entry(dir, name)?.kind {
            FileType::Directory => Err(Errno::EISDIR),
            _ => self.remove(dir, name, Timespec::now()),
        }
    }

    pub(crate) fn rmdir(&mut self, dir: Ino, name: &[u8]) -> Result<()> {
        let entry = self.entry(dir, name)?;
        if entry.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        if !self.dir(entry.ino)?.entries.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.remove(dir, name, Timespec::now())
    }

    /// Whether `dir` is `ancestor` or lies below it.
    fn is_within(&self, mut dir: Ino, ancestor: Ino) -> bool {
        loop {
            if dir == ancestor {
                return true;
            }
            match self.get(dir).ok().and_then(|inode| inode.homes.one()) {
                Some(parent) if dir != ROOT => dir = parent,
                _ => return false,
            }
        }
    }

    /// rename(2), with the order of errors of Linux.
    pub(crate) fn rename(
        &mut self,
        from_dir: Ino,
        from: &[u8],
        to_dir: Ino,
        to: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        if flags.no_replace && flags.exchange {
            return Err(Errno::EINVAL);
        }
        name::check(to)?;
        let source = self.entry(from_dir, from)?;
        self.live_dir(to_dir)?;
        let target = match self.entry(to_dir, to) {
            Ok(entry) => Some(entry),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        if flags.no_replace && target.is_some() {
            return Err(Errno::EEXIST);
        }
        if flags.exchange && target.is_none() {
            return Err(Errno::ENOENT);
        }
        if source.kind == FileType::Directory && self.is_within(to_dir, source.ino) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = target
            && target.kind == FileType::Directory
            && self.is_within(from_dir, target.ino)
        {
            return Err(if flags.exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        if target.is_some_and(|target| target.ino == source.ino) {
            return Ok(());
        }
        let now = Timespec::now();
        if let (true, Some(target)) = (flags.exchange, target) {
            self.detach(from_dir, from, now)?;
            self.detach(to_dir, to, now)?;
            self.attach(from_dir, from, target, now)?;
            return self.attach(to_dir, to, source, now);
        }
        if let Some(target) = target {
            match (source.kind == FileType::Directory, target.kind == FileType::Directory) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                (true, true) if !self.dir(target.ino)?.entries.is_empty() => return Err(Errno::ENOTEMPTY),
                _ => {}
            }
            self.remove(to_dir, to, now)?;
        } else {
            self.room(entry_charge(to).saturating_sub(entry_charge(from)), 0)?;
        }
        self.detach(from_dir, from, now)?;
        self.attach(to_dir, to, source, now)
    }
}

impl From<&NewKind> for Body {
    fn from(kind: &NewKind) -> Self {
        match kind {
            NewKind::Regular => Body::Regular(Default::default()),
            NewKind::Directory => Body::Directory(Directory::default()),
            NewKind::Symlink(target) => Body::Symlink(Arc::from(&target[..])),
            NewKind::Fifo => Body::Fifo,
            NewKind::CharDevice(rdev) => Body::CharDevice(*rdev),
            NewKind::BlockDevice(rdev) => Body::BlockDevice(*rdev),
            NewKind::Socket => Body::Socket,
        }
    }
}
