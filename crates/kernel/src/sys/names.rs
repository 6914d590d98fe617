//! mkdir, mknod, symlink, link, unlink, rmdir, rename, readlink. Errors come in the order of Linux: what is wrong with the
//! path, then with the mount, with the rights, with the type.

use agentos_vfs::{
    Attr, FileType, Found, Last, Link, Location, Missing, NameBuf, NewKind, NewNode, RenameFlags, Resolved,
};

use super::permit::Object;
use super::walk::{At, Who, writable};
use super::watch::note;
use crate::cred::{WANT_EXEC, WANT_WRITE};
use crate::permissions::{Operation, Operations};
use crate::{ChangeKind, Errno, Kernel, Result};

const S_ISGID: u32 = 0o2000;
const S_ISVTX: u32 = 0o1000;
const S_IXGRP: u32 = 0o010;
/// Longest target of a symbolic link (PATH_MAX without its NUL).
const TARGET_MAX: usize = 4095;

/// A name in a directory, and what it is there.
struct Named {
    parent: Location,
    name: NameBuf,
    found: Option<Found>,
    trailing_slash: bool,
    /// Of the directory, where the walk told them.
    parent_attr: Option<Attr>,
    /// See [`Found::straight`].
    straight: bool,
}

impl Named {
    fn is_directory(&self) -> bool {
        self.found.as_ref().is_some_and(|found| found.attr.kind == FileType::Directory)
    }

    fn object(&self) -> Object<'_> {
        Object::Name(&self.parent, &self.name, self.straight)
    }
}

impl Kernel {
    /// The name that a path ends in; otherwise what else it ends in.
    async fn named(&self, who: &Who, at: At<'_>) -> Result<std::result::Result<Named, Last>> {
        Ok(match self.walk_to_name(who, at).await? {
            Resolved::Missing(Missing { parent, parent_attr, name, trailing_slash, straight }) => Ok(Named {
                parent,
                name,
                found: None,
                trailing_slash,
                parent_attr: Some(parent_attr),
                straight,
            }),
            Resolved::Found(found) => match &found.parent {
                Some((parent, name)) => Ok(Named {
                    parent: parent.clone(),
                    name: name.clone(),
                    trailing_slash: found.trailing_slash,
                    straight: found.straight,
                    found: Some(found),
                    parent_attr: None,
                }),
                None => Err(found.last),
            },
            // Nobody follows the last component.
            Resolved::Descriptor(_) => return Err(Errno::ELOOP),
        })
    }

    /// The place of a name that is to be made. EEXIST, ENOENT for a slash after what is no directory, EROFS.
    async fn vacant(&self, who: &Who, at: At<'_>, directory: bool) -> Result<Missing> {
        match self.walk_to_name(who, at).await? {
            Resolved::Found(_) | Resolved::Descriptor(_) => Err(Errno::EEXIST),
            Resolved::Missing(missing) if missing.trailing_slash && !directory => Err(Errno::ENOENT),
            Resolved::Missing(missing) => {
                writable(&missing.parent)?;
                Ok(missing)
            }
        }
    }

    /// mkdir(2), mkfifo(2), mknod(2): `mode` is subject to the umask. EEXIST. Devices are EPERM but for the superuser.
    pub async fn make(&self, who: &Who, at: At<'_>, kind: NewKind, mode: u32) -> Result<()> {
        let missing = self.vacant(who, at, kind == NewKind::Directory).await?;
        who.cred.check(&missing.parent_attr, WANT_WRITE | WANT_EXEC)?;
        if matches!(kind, NewKind::CharDevice(_) | NewKind::BlockDevice(_)) && who.cred.uid != 0 {
            return Err(Errno::EPERM);
        }
        if self.is_guarded(who) {
            let operation = match kind {
                NewKind::Directory => Operation::Mkdir,
                NewKind::Symlink(_) => Operation::Symlink,
                _ => Operation::Write,
            };
            self.permit(who, at, Object::Missing(&missing), Operations::of(operation)).await?;
        }
        let is_dir = kind == NewKind::Directory;
        let node = born(who, &missing.parent_attr, kind, mode);
        missing.parent.mount.fs.create(missing.parent.ino, &missing.name, &node).await?;
        note!(self, note_entry(&missing.parent, &missing.name, ChangeKind::Created, is_dir));
        Ok(())
    }

    /// symlink(2). ENOENT for an empty target.
    pub async fn symlink(&self, who: &Who, target: Vec<u8>, at: At<'_>) -> Result<()> {
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if target.len() > TARGET_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.make(who, at, NewKind::Symlink(target), 0o777).await
    }

    /// readlink(2). EINVAL if it is none.
    pub async fn readlink(&self, who: &Who, at: At<'_>) -> Result<Vec<u8>> {
        let found = self.found(who, at, false).await?;
        if self.is_guarded(who) {
            self.permit(who, at, Object::Found(&found), Operations::of(Operation::Readlink)).await?;
        }
        if found.attr.kind != FileType::Symlink {
            return Err(Errno::EINVAL);
        }
        match found.location.mount.fs.readlink(found.location.ino, who.pid).await? {
            Link::Path(path) => Ok(path),
            Link::Descriptor { shown, .. } | Link::Directory { shown, .. } => Ok(shown),
        }
    }

    /// link(2). EXDEV across mounts, EPERM for directories.
    pub async fn link(&self, who: &Who, from: At<'_>, follow: bool, to: At<'_>) -> Result<()> {
        let source = self.found(who, from, follow).await?;
        let missing = self.vacant(who, to, false).await?;
        if source.location.mount.id != missing.parent.mount.id {
            return Err(Errno::EXDEV);
        }
        who.cred.check(&missing.parent_attr, WANT_WRITE | WANT_EXEC)?;
        if source.attr.kind == FileType::Directory {
            return Err(Errno::EPERM);
        }
        if self.guards_names(who) {
            let both = [(from, Object::Found(&source)), (to, Object::Missing(&missing))];
            self.permit_names(who, both, Operation::Link, (false, false)).await?;
        }
        missing.parent.mount.fs.link(source.location.ino, missing.parent.ino, &missing.name).await?;
        note!(self, note_entry(&missing.parent, &missing.name, ChangeKind::Created, false));
        Ok(())
    }

    /// unlink(2). EISDIR.
    pub async fn unlink(&self, who: &Who, at: At<'_>) -> Result<()> {
        let named = self.named(who, at).await?.map_err(|_| Errno::EISDIR)?;
        writable(&named.parent)?;
        let found = named.found.as_ref().ok_or(Errno::ENOENT)?;
        if named.trailing_slash {
            return Err(if named.is_directory() { Errno::EISDIR } else { Errno::ENOTDIR });
        }
        self.may_remove(who, &named.parent, found).await?;
        if self.is_guarded(who) {
            self.permit(who, at, named.object(), Operations::of(Operation::Rm)).await?;
        }
        if named.is_directory() {
            return Err(Errno::EISDIR);
        }
        named.parent.mount.fs.unlink(named.parent.ino, &named.name).await?;
        note!(self, note_entry(&named.parent, &named.name, ChangeKind::Removed, false));
        Ok(())
    }

    /// rmdir(2). ENOTDIR, ENOTEMPTY, EINVAL for `.`, EBUSY for a mount point.
    pub async fn rmdir(&self, who: &Who, at: At<'_>) -> Result<()> {
        let named = match self.named(who, at).await? {
            Ok(named) => named,
            Err(Last::Dot) => return Err(Errno::EINVAL),
            Err(Last::DotDot) => return Err(Errno::ENOTEMPTY),
            Err(Last::Root | Last::Name) => return Err(Errno::EBUSY),
        };
        writable(&named.parent)?;
        let found = named.found.as_ref().ok_or(Errno::ENOENT)?;
        self.may_remove(who, &named.parent, found).await?;
        if self.is_guarded(who) {
            self.permit(who, at, named.object(), Operations::of(Operation::Rm)).await?;
        }
        if !named.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        self.not_busy(found)?;
        named.parent.mount.fs.rmdir(named.parent.ino, &named.name).await?;
        note!(self, note_entry(&named.parent, &named.name, ChangeKind::Removed, true));
        Ok(())
    }

    /// EACCES if the tree forbids to link or move (`directory`: a directory; or `back`: to exchange) what has one name to
    /// another one.
    async fn permit_names(
        &self,
        who: &Who,
        [(from, source), (to, target)]: [(At<'_>, Object<'_>); 2],
        operation: Operation,
        (directory, back): (bool, bool),
    ) -> Result<()> {
        let source = Box::pin(self.permitted_path(who, from, source, Operations::of(operation))).await?;
        let target = Box::pin(self.permitted_path(who, to, target, Operations::of(operation))).await?;
        let (Some(source), Some(target)) = (source, target) else { return Ok(()) };
        self.may_pass(&source, &target, directory || back)?;
        if back { self.may_pass(&target, &source, true) } else { Ok(()) }
    }

    /// Permission to take a name out of a directory: it is writable, and the sticky bit.
    async fn may_remove(&self, who: &Who, parent: &Location, found: &Found) -> Result<()> {
        let directory = parent.getattr().await?;
        who.cred.check(&directory, WANT_WRITE | WANT_EXEC)?;
        let sticky = directory.perm & S_ISVTX != 0;
        if sticky && !who.cred.owns(&directory) && !who.cred.owns(&found.attr) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// EBUSY for a mount point.
    fn not_busy(&self, found: &Found) -> Result<()> {
        if found.is_mount_point() || self.namespace.is_mount_point(&found.location) {
            return Err(Errno::EBUSY);
        }
        Ok(())
    }

    /// renameat2(2). EXDEV across mounts, EBUSY for mount points, `.` and `..`, EINVAL into itself.
    pub async fn rename(&self, who: &Who, from: At<'_>, to: At<'_>, flags: RenameFlags) -> Result<()> {
        if flags.no_replace && flags.exchange {
            return Err(Errno::EINVAL);
        }
        let ends = (from, to);
        let (from, to) = (self.named(who, from).await?, self.named(who, to).await?);
        let from = from.map_err(|_| Errno::EBUSY)?;
        let to = to.map_err(|_| if flags.no_replace { Errno::EEXIST } else { Errno::EBUSY })?;
        if from.parent.mount.id != to.parent.mount.id {
            return Err(Errno::EXDEV);
        }
        writable(&from.parent)?;
        let source = from.found.as_ref().ok_or(Errno::ENOENT)?;
        match &to.found {
            Some(_) if flags.no_replace => return Err(Errno::EEXIST),
            None if flags.exchange => return Err(Errno::ENOENT),
            _ => {}
        }
        let no_directory = (from.trailing_slash && !from.is_directory())
            || (to.trailing_slash && !if flags.exchange { to.is_directory() } else { from.is_directory() });
        if no_directory {
            return Err(Errno::ENOTDIR);
        }
        if to.found.as_ref().is_some_and(|target| target.location == source.location) {
            return Ok(());
        }
        self.may_remove(who, &from.parent, source).await?;
        match (&to.found, &to.parent_attr) {
            (Some(target), _) => self.may_remove(who, &to.parent, target).await?,
            (None, Some(attr)) => who.cred.check(attr, WANT_WRITE | WANT_EXEC)?,
            (None, None) => who.cred.check(&to.parent.getattr().await?, WANT_WRITE | WANT_EXEC)?,
        }
        if from.parent != to.parent {
            // A directory that gets another parent is itself changed: its `..`.
            let moved = [Some(source), to.found.as_ref().filter(|_| flags.exchange)];
            for found in moved.into_iter().flatten().filter(|f| f.attr.kind == FileType::Directory) {
                who.cred.check(&found.attr, WANT_WRITE)?;
            }
        }
        for found in [Some(source), to.found.as_ref()].into_iter().flatten() {
            self.not_busy(found)?;
        }
        if self.guards_names(who) {
            let both = [(ends.0, from.object()), (ends.1, to.object())];
            self.permit_names(who, both, Operation::Rename, (from.is_directory(), flags.exchange)).await?;
        }
        let fs = &from.parent.mount.fs;
        fs.rename(from.parent.ino, &from.name, to.parent.ino, &to.name, flags).await?;
        note!(self, note_move((&from.parent, &from.name), (&to.parent, &to.name), source));
        if let Some(other) = to.found.as_ref().filter(|_| flags.exchange) {
            note!(self, note_move((&to.parent, &to.name), (&from.parent, &from.name), other));
        }
        Ok(())
    }
}

/// What a new inode starts with.
pub(super) fn born(who: &Who, parent: &Attr, kind: NewKind, mode: u32) -> NewNode {
    let perm = match kind {
        NewKind::Symlink(_) => 0o777,
        // The set-id bits of a directory come from its parent alone.
        NewKind::Directory => mode & 0o1777 & !who.umask,
        _ => {
            // Nobody makes what runs with the rights of a group that is not theirs.
            let foreign = parent.perm & S_ISGID != 0 && who.cred.uid != 0 && !who.cred.in_group(parent.gid);
            let executed = mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP;
            let mode = if foreign && executed { mode & !S_ISGID } else { mode };
            mode & 0o7777 & !who.umask
        }
    };
    NewNode { kind, perm, uid: who.owner.0, gid: who.owner.1 }
}
