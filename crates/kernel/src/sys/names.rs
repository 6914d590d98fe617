//! mkdir, mknod, symlink, link, unlink, rmdir, rename, readlink.

use agentos_vfs::{Attr, FileType, Found, Last, Link, Location, NewKind, NewNode, RenameFlags, Resolved};

use super::walk::{At, Who, writable};
use crate::cred::{WANT_EXEC, WANT_WRITE};
use crate::{Errno, Kernel, Result};

const S_ISVTX: u32 = 0o1000;
/// Longest target of a symbolic link (PATH_MAX without its NUL).
const TARGET_MAX: usize = 4095;

impl Kernel {
    /// mkdir(2), mkfifo(2), mknod(2): `mode` is subject to the umask. EEXIST. Devices are EPERM but for the superuser.
    pub async fn make(&self, who: &Who, at: At<'_>, kind: NewKind, mode: u32) -> Result<()> {
        if matches!(kind, NewKind::CharDevice(_) | NewKind::BlockDevice(_)) && who.cred.uid != 0 {
            return Err(Errno::EPERM);
        }
        let missing = self.missing(who, at).await?;
        if missing.trailing_slash && kind != NewKind::Directory {
            return Err(Errno::ENOENT);
        }
        let perm = if matches!(kind, NewKind::Symlink(_)) { 0o777 } else { mode & 0o7777 & !who.umask };
        let node = NewNode { kind, perm, uid: who.owner.0, gid: who.owner.1 };
        missing.parent.mount.fs.create(missing.parent.ino, &missing.name, &node).await?;
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
        if found.attr.kind != FileType::Symlink {
            return Err(Errno::EINVAL);
        }
        match found.location.mount.fs.readlink(found.location.ino, who.pid).await? {
            Link::Path(path) => Ok(path),
            Link::Descriptor { shown, .. } => Ok(shown),
        }
    }

    /// link(2). EXDEV across mounts, EPERM for directories.
    pub async fn link(&self, who: &Who, from: At<'_>, follow: bool, to: At<'_>) -> Result<()> {
        let source = self.found(who, from, follow).await?;
        if source.attr.kind == FileType::Directory {
            return Err(Errno::EPERM);
        }
        let missing = self.missing(who, to).await?;
        if missing.trailing_slash {
            return Err(Errno::ENOENT);
        }
        if source.location.mount.id != missing.parent.mount.id {
            return Err(Errno::EXDEV);
        }
        missing.parent.mount.fs.link(source.location.ino, missing.parent.ino, &missing.name).await?;
        Ok(())
    }

    /// unlink(2). EISDIR, EBUSY for a mount point.
    pub async fn unlink(&self, who: &Who, at: At<'_>) -> Result<()> {
        let found = self.found(who, at, false).await?;
        if found.attr.kind == FileType::Directory {
            return Err(Errno::EISDIR);
        }
        if found.trailing_slash {
            return Err(Errno::ENOTDIR);
        }
        let (parent, name) = found.parent.as_ref().ok_or(Errno::EISDIR)?;
        self.may_remove(who, parent, &found).await?;
        parent.mount.fs.unlink(parent.ino, name).await
    }

    /// rmdir(2). ENOTDIR, ENOTEMPTY, EINVAL for `.`, EBUSY for a mount point.
    pub async fn rmdir(&self, who: &Who, at: At<'_>) -> Result<()> {
        let found = self.found(who, at, false).await?;
        if found.attr.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        match found.last {
            Last::Name => {}
            Last::Dot => return Err(Errno::EINVAL),
            Last::DotDot => return Err(Errno::ENOTEMPTY),
            Last::Root => return Err(Errno::EBUSY),
        }
        let (parent, name) = found.parent.as_ref().ok_or(Errno::EBUSY)?;
        self.may_remove(who, parent, &found).await?;
        parent.mount.fs.rmdir(parent.ino, name).await
    }

    /// Permission to take a name out of a directory: writable, not a mount point, sticky bit.
    async fn may_remove(&self, who: &Who, parent: &Location, found: &Found) -> Result<()> {
        if found.is_mount_point() || self.namespace.is_mount_point(&found.location) {
            return Err(Errno::EBUSY);
        }
        writable(parent)?;
        let directory = parent.getattr().await?;
        may_unlink(who, &directory, &found.attr)
    }

    /// renameat2(2). EXDEV across mounts, EBUSY for mount points, EINVAL for `.`, `..` and into itself.
    pub async fn rename(&self, who: &Who, from: At<'_>, to: At<'_>, flags: RenameFlags) -> Result<()> {
        let source = self.found(who, from, false).await?;
        let target = self.walk(who, to, false).await?;
        if source.last != Last::Name {
            return Err(Errno::EBUSY);
        }
        let (from_dir, from_name) = source.parent.as_ref().ok_or(Errno::EBUSY)?;
        self.may_remove(who, from_dir, &source).await?;
        if source.trailing_slash && source.attr.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        let (to_dir, to_name) = match &target {
            Resolved::Found(found) => {
                if found.last != Last::Name {
                    return Err(Errno::EBUSY);
                }
                if flags.no_replace {
                    return Err(Errno::EEXIST);
                }
                let (parent, name) = found.parent.as_ref().ok_or(Errno::EBUSY)?;
                self.may_remove(who, parent, found).await?;
                if found.trailing_slash && source.attr.kind != FileType::Directory {
                    return Err(Errno::ENOTDIR);
                }
                (parent, name)
            }
            Resolved::Missing(missing) => {
                if flags.exchange {
                    return Err(Errno::ENOENT);
                }
                if missing.trailing_slash && source.attr.kind != FileType::Directory {
                    return Err(Errno::ENOTDIR);
                }
                writable(&missing.parent)?;
                who.cred.check(&missing.parent_attr, WANT_WRITE | WANT_EXEC)?;
                (&missing.parent, &missing.name)
            }
            Resolved::Descriptor(_) => return Err(Errno::EBUSY),
        };
        if from_dir.mount.id != to_dir.mount.id {
            return Err(Errno::EXDEV);
        }
        from_dir.mount.fs.rename(from_dir.ino, from_name, to_dir.ino, to_name, flags).await
    }
}

fn may_unlink(who: &Who, directory: &Attr, victim: &Attr) -> Result<()> {
    who.cred.check(directory, WANT_WRITE | WANT_EXEC)?;
    let sticky = directory.perm & S_ISVTX != 0;
    if sticky && !who.cred.owns(directory) && !who.cred.owns(victim) {
        return Err(Errno::EPERM);
    }
    Ok(())
}
