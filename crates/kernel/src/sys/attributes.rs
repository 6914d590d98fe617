//! stat, chmod, chown, utimens, access, truncate, statfs.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use agentos_abi::fd::{R_OK, W_OK, X_OK};
use agentos_vfs::{Attr, FileType, FsStat, Location, Reply, Resolved, SetAttr, SetTime, Timespec, WalkFlags};

use super::permit::Object;
use super::walk::{At, Who, writable};
use super::watch::note;
use crate::cred::{WANT_EXEC, WANT_READ, WANT_WRITE};
use crate::description::FileKind;
use crate::permissions::{Operation, Operations};
use crate::{ChangeKind, Description, Errno, Fd, Kernel, Pid, Result};

const S_ISUID: u32 = 0o4000;
const S_ISGID: u32 = 0o2000;
const S_IXGRP: u32 = 0o010;

impl Kernel {
    /// stat(2), lstat(2): the device (one number per mount) and the attributes.
    pub async fn stat(&self, who: &Who, at: At<'_>, follow: bool) -> Result<(u64, Attr)> {
        let resolved = self.walk(who, at, follow).await?;
        if self.is_guarded(who) {
            self.may_look(who, at, &resolved, Operations::of(Operation::Stat)).await?;
        }
        match resolved {
            Resolved::Found(found) => Ok((found.location.mount.id, found.attr)),
            Resolved::Missing(_) => Err(Errno::ENOENT),
            Resolved::Descriptor(link) if link.rest.is_empty() => {
                let process = self.process(Pid(link.pid)).ok_or(Errno::ENOENT)?;
                let file = process.fds.lock().get(Fd(link.fd)).map_err(|_| Errno::ENOENT)?.clone();
                self.fstat(&file).await
            }
            Resolved::Descriptor(_) => Err(Errno::ENOTDIR),
        }
    }

    /// [`Kernel::stat`] of what local file systems hold; `None` where an answer has to be waited for. It runs where it is
    /// called: a caller that keeps the future of the other only for that case stays small, and so does what it costs.
    pub fn stat_now(&self, who: &Who, at: At<'_>, follow: bool) -> Option<Result<(u64, Attr)>> {
        let flags = if follow { WalkFlags::FOLLOW } else { WalkFlags::NO_FOLLOW };
        // It waits for nothing, so it is ready at once.
        let mut cx = Context::from_waker(Waker::noop());
        let resolved = pin!(self.walk_with(who, at, flags, true)).poll(&mut cx);
        if self.is_guarded(who)
            && let Poll::Ready(Ok(resolved @ (Resolved::Found(_) | Resolved::Missing(_)))) = &resolved
        {
            let answer = match self.may_look(who, at, resolved, Operations::of(Operation::Stat)) {
                Reply::Now(answer) => Poll::Ready(answer),
                Reply::Later(mut answer) => answer.as_mut().poll(&mut cx),
            };
            match answer {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(errno)) => return Some(Err(errno)),
                Poll::Pending => return None,
            }
        }
        match resolved {
            Poll::Ready(Ok(Resolved::Found(found))) => Some(Ok((found.location.mount.id, found.attr))),
            Poll::Ready(Ok(Resolved::Missing(_))) => Some(Err(Errno::ENOENT)),
            Poll::Ready(Ok(Resolved::Descriptor(_)) | Err(Errno::EAGAIN)) | Poll::Pending => None,
            Poll::Ready(Err(errno)) => Some(Err(errno)),
        }
    }

    /// EACCES if the tree forbids operations on what was resolved, be it there or not.
    fn may_look<'a>(
        &'a self,
        who: &'a Who,
        at: At<'a>,
        resolved: &'a Resolved,
        operations: Operations,
    ) -> Reply<'a, ()> {
        match resolved {
            Resolved::Found(found) => self.permit(who, at, Object::Found(found), operations),
            Resolved::Missing(missing) => self.permit(who, at, Object::Missing(missing), operations),
            Resolved::Descriptor(link) => Reply::later(async move {
                self.may_inspect(who, link.pid)?;
                let file = self.descriptor(link.pid, link.fd)?;
                self.permit(who, at, Object::Open(&file), operations).await
            }),
        }
    }

    /// fstat(2).
    pub async fn fstat(&self, file: &Description) -> Result<(u64, Attr)> {
        match file.kind() {
            FileKind::Regular { file: content, location } => {
                Ok((location.mount.id, content.getattr().await?))
            }
            FileKind::Directory(dir) => Ok((dir.location.mount.id, dir.location.getattr().await?)),
            FileKind::Device(_, location) => Ok((location.mount.id, location.getattr().await?)),
            FileKind::PipeReader(r) | FileKind::PipeBoth(r, _) => {
                Ok((0, self.pipe_attr(r.pipe().id(), r.pipe().len() as u64)))
            }
            FileKind::PipeWriter(w) => Ok((0, self.pipe_attr(w.pipe().id(), w.pipe().len() as u64))),
            FileKind::PtyMaster(_) => {
                let kind = FileType::CharDevice;
                Ok((0, Attr { kind, perm: 0o666, uid: 0, rdev: crate::tty::PTMX, ..self.pipe_attr(2, 0) }))
            }
            FileKind::PtySlave(slave) => {
                let device = self.devpts.load(std::sync::atomic::Ordering::Relaxed);
                Ok((device, crate::tty::attr_of(self, slave.pty().index())?))
            }
            FileKind::Host(stream) => {
                Ok((0, self.pipe_attr(std::sync::Arc::as_ptr(stream).cast::<()>() as u64, 0)))
            }
        }
    }

    fn pipe_attr(&self, ino: u64, size: u64) -> Attr {
        let boot = self.clock.boot_time();
        let time = Timespec { secs: boot.as_secs().cast_signed(), nanos: boot.subsec_nanos() };
        let user = self.cred();
        Attr {
            ino,
            kind: FileType::Fifo,
            perm: 0o600,
            nlink: 1,
            uid: user.uid,
            gid: user.gid,
            rdev: 0,
            size,
            blocks: 0,
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
        }
    }

    /// Changes mode, owner or size by the rules of chmod(2), chown(2), truncate(2). EPERM, EROFS.
    pub async fn setattr(&self, who: &Who, at: At<'_>, follow: bool, change: &SetAttr) -> Result<()> {
        let found = self.found(who, at, follow).await?;
        if self.is_guarded(who) {
            self.permit(who, at, Object::Found(&found), operations(change)).await?;
        }
        writable(&found.location)?;
        let change = allowed(who, &found.attr, change)?;
        found.location.mount.fs.setattr(found.location.ino, &change).await?;
        note!(self, note_found(&found, kind_of(&change)));
        Ok(())
    }

    /// The same on a descriptor: fchmod(2), fchown(2), futimens(2).
    pub async fn fsetattr(&self, who: &Who, file: &Description, change: &SetAttr) -> Result<()> {
        if self.is_guarded(who) {
            self.permit(who, At::Cwd(b""), Object::Open(file), operations(change)).await?;
        }
        match file.kind() {
            FileKind::Regular { file: content, location } => {
                writable(location)?;
                let change = allowed(who, &content.getattr().await?, change)?;
                content.setattr(&change).await?;
                note!(self, note_file(file, kind_of(&change)));
                Ok(())
            }
            FileKind::Directory(_) | FileKind::Device(..) => {
                let location: &Location = file.location().ok_or(Errno::EINVAL)?;
                writable(location)?;
                let change = allowed(who, &location.getattr().await?, change)?;
                location.mount.fs.setattr(location.ino, &change).await?;
                note!(self, note_file(file, kind_of(&change)));
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// utimensat(2).
    pub async fn utimens(
        &self,
        who: &Who,
        at: At<'_>,
        follow: bool,
        atime: Option<SetTime>,
        mtime: Option<SetTime>,
    ) -> Result<()> {
        self.setattr(who, at, follow, &SetAttr { atime, mtime, ..SetAttr::default() }).await
    }

    /// access(2). EACCES, EROFS for a write on a read-only mount.
    pub async fn access(&self, who: &Who, at: At<'_>, mode: u32) -> Result<()> {
        if mode & !(R_OK | W_OK | X_OK) != 0 {
            return Err(Errno::EINVAL);
        }
        let resolved = self.walk(who, at, true).await?;
        if self.is_guarded(who) {
            let operations = Operations::of(Operation::Exists)
                .with_if(mode & R_OK != 0, Operation::Read)
                .with_if(mode & W_OK != 0, Operation::Write);
            self.may_look(who, at, &resolved, operations).await?;
        }
        if let Resolved::Descriptor(link) = resolved
            && link.rest.is_empty()
        {
            let file = self.descriptor(link.pid, link.fd)?;
            if file.location().is_none() {
                // A pipe may be used as it was opened, and never executed.
                let open = file.access();
                let denied =
                    (mode & R_OK != 0 && !open.read) || (mode & W_OK != 0 && !open.write) || mode & X_OK != 0;
                return if denied { Err(Errno::EACCES) } else { Ok(()) };
            }
        }
        let found = self.found(who, at, true).await?;
        let mut want = 0;
        for (bit, meaning) in [(R_OK, WANT_READ), (W_OK, WANT_WRITE), (X_OK, WANT_EXEC)] {
            if mode & bit != 0 {
                want |= meaning;
            }
        }
        who.cred.check(&found.attr, want)?;
        let on_disk = matches!(found.attr.kind, FileType::Regular | FileType::Directory | FileType::Symlink);
        if mode & W_OK != 0 && on_disk {
            writable(&found.location)?;
        }
        Ok(())
    }

    /// statfs(2), and whether the mount is read-only.
    pub async fn statfs(&self, who: &Who, at: At<'_>) -> Result<(FsStat, bool)> {
        let found = self.found(who, at, true).await?;
        if self.is_guarded(who) {
            self.permit(who, at, Object::Found(&found), Operations::of(Operation::Stat)).await?;
        }
        let stat = found.location.mount.fs.statfs().await?;
        Ok((stat, found.location.mount.is_read_only()))
    }
}

/// What the tree calls a change.
fn operations(change: &SetAttr) -> Operations {
    Operations::NONE
        .with_if(change.perm.is_some(), Operation::Chmod)
        .with_if(change.uid.or(change.gid).is_some(), Operation::Chown)
        .with_if(change.size.is_some(), Operation::Truncate)
        .with_if(change.atime.or(change.mtime).is_some(), Operation::Utimes)
}

/// What is told of a change.
fn kind_of(change: &SetAttr) -> ChangeKind {
    if change.size.is_some() { ChangeKind::Modified } else { ChangeKind::Attributes }
}

/// What `who` may change of `attr`; EPERM or EACCES otherwise. Clears set-id bits where POSIX says so.
fn allowed(who: &Who, attr: &Attr, change: &SetAttr) -> Result<SetAttr> {
    let mut change = *change;
    let owns = who.cred.owns(attr);
    let root = who.cred.uid == 0;
    if change.size.is_some() {
        match attr.kind {
            FileType::Directory => return Err(Errno::EISDIR),
            FileType::Regular => who.cred.check(attr, WANT_WRITE)?,
            _ => return Err(Errno::EINVAL),
        }
    }
    if let Some(perm) = change.perm {
        if !owns {
            return Err(Errno::EPERM);
        }
        // POSIX chmod(): a group that the caller is not in loses set-group-id.
        let strip = !root && !who.cred.in_group(attr.gid);
        change.perm = Some(if strip { perm & !S_ISGID } else { perm });
    }
    if change.uid.is_some_and(|uid| uid != attr.uid) && !root {
        return Err(Errno::EPERM);
    }
    if change.gid.is_some_and(|gid| gid != attr.gid && !(owns && who.cred.in_group(gid))) && !root {
        return Err(Errno::EPERM);
    }
    if (change.uid.is_some() || change.gid.is_some()) && !owns {
        return Err(Errno::EPERM);
    }
    if (change.uid.is_some() || change.gid.is_some())
        && !root
        && change.perm.is_none()
        && attr.kind == FileType::Regular
    {
        // Without the right to execute for the group, set-group-id once meant mandatory locking.
        let executed = attr.perm & S_IXGRP != 0 || !who.cred.in_group(attr.gid);
        change.perm = Some(attr.perm & !(S_ISUID | if executed { S_ISGID } else { 0 }));
    }
    if (change.atime.is_some() || change.mtime.is_some()) && !owns {
        let only_now = [change.atime, change.mtime].iter().all(|t| matches!(t, Some(SetTime::Now)));
        if !only_now {
            return Err(Errno::EPERM);
        }
        who.cred.check(attr, WANT_WRITE)?;
    }
    Ok(change)
}
