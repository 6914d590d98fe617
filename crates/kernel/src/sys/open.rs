//! open(2): files, directories, devices, FIFOs and `/proc/self/fd`.

use std::sync::{Arc, Weak};
use std::task::Poll;

use agentos_abi::fd::{
    O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
};
use agentos_vfs::{
    Access, FileType, Found, Last, Location, Missing, NameBuf, NewKind, OpenFile, Resolved, SetAttr, reply,
};

use super::names::born;
use super::permit::Object;
use super::walk::{At, LINK_HOPS, Who, writable};
use super::watch::note;
use crate::cred::{WANT_READ, WANT_WRITE};
use crate::description::{DirectoryHandle, FileKind};
use crate::device::Device;
use crate::permissions::{Operation, Operations};
use crate::{ChangeKind, Description, Errno, Fd, Kernel, Pid, Pipe, Process, Result};

/// Another process may create or remove the name between two steps; so often the open starts anew.
const RACES: u32 = 8;

/// A file that may be executed.
pub struct Executable {
    /// Where.
    pub location: Location,
    /// Attributes.
    pub attr: agentos_vfs::Attr,
    /// Content.
    pub file: Arc<dyn OpenFile>,
    /// Its resolved path, if the permission tree has to know it.
    pub path: Option<Vec<u8>>,
}

pub(super) fn access_of(flags: u32) -> Result<Access> {
    match flags & O_ACCMODE {
        O_RDONLY => Ok(Access { read: true, write: false }),
        O_WRONLY => Ok(Access { read: false, write: true }),
        O_RDWR => Ok(Access { read: true, write: true }),
        _ => Err(Errno::EINVAL),
    }
}

/// What the tree calls opening an existing file.
pub(super) fn operations(kind: FileType, flags: u32, access: Access) -> Operations {
    if kind == FileType::Directory {
        return Operations::of(Operation::Readdir);
    }
    Operations::NONE
        .with_if(access.read, Operation::Read)
        .with_if(access.write, Operation::Write)
        .with_if(flags & O_TRUNC != 0, Operation::Truncate)
}

impl Kernel {
    /// open(2) with the `O_*` flags of `agentos_abi::fd`; `mode` is subject to the umask. `process` is who waits for the
    /// other end of a FIFO; the host (`None`) never waits there.
    pub async fn open(
        &self,
        who: &Who,
        process: Option<&Process>,
        at: At<'_>,
        flags: u32,
        mode: u32,
    ) -> Result<Arc<Description>> {
        self.open_within(who, process, at, flags, mode, LINK_HOPS).await
    }

    async fn open_within(
        &self,
        who: &Who,
        process: Option<&Process>,
        at: At<'_>,
        flags: u32,
        mode: u32,
        hops: u32,
    ) -> Result<Arc<Description>> {
        let access = access_of(flags)?;
        if flags & (O_CREAT | O_DIRECTORY) == O_CREAT | O_DIRECTORY {
            return Err(Errno::EINVAL);
        }
        let slash = flags & O_CREAT != 0 && at.path().ends_with(b"/");
        let follow = flags & O_NOFOLLOW == 0 && flags & (O_CREAT | O_EXCL) != O_CREAT | O_EXCL;
        for _ in 0..RACES {
            let resolved =
                if slash { self.walk_to_name(who, at).await? } else { self.walk(who, at, follow).await? };
            match resolved {
                // A slash after a name that may have to be made: nothing but a directory could be meant.
                Resolved::Found(found) if slash && found.last == Last::Name => return Err(Errno::EISDIR),
                Resolved::Found(found) => {
                    if self.is_guarded(who) {
                        let operations = operations(found.attr.kind, flags, access);
                        self.permit(who, at, Object::Found(&found), operations).await?;
                    }
                    return self.open_found(who, process, found, flags, access).await;
                }
                Resolved::Missing(missing) if flags & O_CREAT == 0 => {
                    if self.is_guarded(who) {
                        let operations = operations(FileType::Regular, flags, access);
                        self.permit(who, at, Object::Missing(&missing), operations).await?;
                    }
                    return Err(Errno::ENOENT);
                }
                Resolved::Missing(missing) => {
                    match self.open_new(who, at, &missing, flags, access, mode).await {
                        Err(Errno::EEXIST) if flags & O_EXCL == 0 => {}
                        done => return done,
                    }
                }
                Resolved::Descriptor(link) if link.rest.is_empty() => {
                    return self.reopen(who, link.pid, link.fd, flags, access).await;
                }
                Resolved::Descriptor(link) => {
                    self.may_inspect(who, link.pid)?;
                    let start = self.descriptor(link.pid, link.fd)?;
                    let Some(start) = start.location() else { return Err(Errno::ENOTDIR) };
                    // Each such link starts a new walk, which counts its own links: the hops bound them all.
                    let hops = hops.checked_sub(1).ok_or(Errno::ELOOP)?;
                    let rest = At::Directory(start, &link.rest);
                    return Box::pin(self.open_within(who, process, rest, flags, mode, hops)).await;
                }
            }
        }
        Err(Errno::EAGAIN)
    }

    async fn open_new(
        &self,
        who: &Who,
        at: At<'_>,
        missing: &Missing,
        flags: u32,
        access: Access,
        mode: u32,
    ) -> Result<Arc<Description>> {
        if missing.trailing_slash {
            return Err(Errno::EISDIR);
        }
        writable(&missing.parent)?;
        who.cred.check(&missing.parent_attr, WANT_WRITE | crate::cred::WANT_EXEC)?;
        if self.is_guarded(who) {
            let operations = Operations::of(Operation::Write).with_if(access.read, Operation::Read);
            self.permit(who, at, Object::Missing(missing), operations).await?;
        }
        let node = born(who, &missing.parent_attr, NewKind::Regular, mode);
        let fs = &missing.parent.mount.fs;
        let attr = fs.create(missing.parent.ino, &missing.name, &node).await?;
        note!(self, note_entry(&missing.parent, &missing.name, ChangeKind::Created, false));
        let file = fs.open(attr.ino, access).await?;
        let location = Location { mount: Arc::clone(&missing.parent.mount), ino: attr.ino };
        let entry = (missing.parent.clone(), missing.name.clone());
        Ok(Description::new(FileKind::Regular { file, location }, access, flags, Some(entry)))
    }

    async fn open_found(
        &self,
        who: &Who,
        process: Option<&Process>,
        found: Found,
        flags: u32,
        access: Access,
    ) -> Result<Arc<Description>> {
        let attr = found.attr;
        if flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL {
            return Err(Errno::EEXIST);
        }
        if flags & O_CREAT != 0 && attr.kind == FileType::Directory {
            return Err(Errno::EISDIR);
        }
        if flags & O_DIRECTORY != 0 && attr.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        let mut want = 0;
        if access.read {
            want |= WANT_READ;
        }
        if access.write || flags & O_TRUNC != 0 {
            want |= WANT_WRITE;
        }
        if attr.kind == FileType::Directory && want & WANT_WRITE != 0 {
            return Err(Errno::EISDIR);
        }
        if attr.kind == FileType::Symlink {
            return Err(Errno::ELOOP);
        }
        who.cred.check(&attr, want)?;
        let (location, entry) = (found.location, found.parent);
        match attr.kind {
            FileType::Regular => {
                if want & WANT_WRITE != 0 {
                    writable(&location)?;
                }
                let file = reply!(location.mount.fs.open(location.ino, access))?;
                if flags & O_TRUNC != 0 {
                    let empty = SetAttr { size: Some(0), ..SetAttr::default() };
                    if access.write {
                        reply!(file.setattr(&empty))?;
                    } else {
                        location.mount.fs.setattr(location.ino, &empty).await?;
                    }
                    if attr.size > 0
                        && let Some((dir, name)) = &entry
                    {
                        note!(self, note_entry(dir, name, ChangeKind::Modified, false));
                    }
                }
                Ok(Description::new(FileKind::Regular { file, location }, access, flags, entry))
            }
            FileType::Directory => Ok(self.directory_description(location)),
            FileType::CharDevice => {
                if let Some(terminal) =
                    self.open_terminal_device(process, attr.rdev, flags, access, entry.clone())?
                {
                    return Ok(terminal);
                }
                let device = Device::of(attr.rdev)?;
                Ok(Description::new(FileKind::Device(device, location), access, flags, entry))
            }
            FileType::Fifo => self.open_fifo(process, &location, flags, access, entry).await,
            FileType::BlockDevice | FileType::Socket | FileType::Symlink => Err(Errno::ENXIO),
        }
    }

    /// An open directory.
    #[must_use]
    pub fn directory_description(&self, location: Location) -> Arc<Description> {
        let pin = location.pin();
        Description::new(
            FileKind::Directory(DirectoryHandle { location, kept: parking_lot::Mutex::new(None), pin }),
            Access { read: true, write: false },
            0,
            None,
        )
    }

    async fn open_fifo(
        &self,
        process: Option<&Process>,
        location: &Location,
        flags: u32,
        access: Access,
        entry: Option<(Location, NameBuf)>,
    ) -> Result<Arc<Description>> {
        let key = (location.mount.id, location.ino);
        let pipe = {
            let mut fifos = self.fifos.lock();
            fifos.retain(|_, pipe| pipe.strong_count() > 0);
            match fifos.get(&key).and_then(Weak::upgrade) {
                Some(pipe) => pipe,
                None => {
                    let held = self.count_pipe()?;
                    let pipe = Pipe::fifo(self.limits.pipe_bytes, self.next_id(), held);
                    fifos.insert(key, Arc::downgrade(&pipe));
                    pipe
                }
            }
        };
        let wait = flags & O_NONBLOCK == 0 && process.is_some();
        if access.read && access.write {
            // Unspecified by POSIX. As on Linux it waits for nobody, and whoever waits for one of its ends goes on.
            return Ok(reopened(&pipe, flags, access, entry));
        }
        let waiting = process.filter(|_| wait);
        if access.write {
            if !wait && pipe.readers() == 0 {
                return Err(Errno::ENXIO);
            }
            let (writer, alone) = pipe.writer();
            wait_for_partner(waiting, &pipe, || alone != Some(pipe.opens().0)).await?;
            Ok(Description::new(FileKind::PipeWriter(writer), access, flags, entry))
        } else {
            let (reader, alone) = pipe.reader();
            wait_for_partner(waiting, &pipe, || alone != Some(pipe.opens().1)).await?;
            Ok(Description::new(FileKind::PipeReader(reader), access, flags, entry))
        }
    }

    /// The description behind `/proc/<pid>/fd/<fd>`. ENOENT.
    pub(crate) fn descriptor(&self, pid: u32, fd: u32) -> Result<Arc<Description>> {
        let process = self.process(Pid(pid)).ok_or(Errno::ENOENT)?;
        let description = Arc::clone(process.fds.lock().get(Fd(fd)).map_err(|_| Errno::ENOENT)?);
        Ok(description)
    }

    /// Opens what a descriptor refers to once more: a new description of a file or pipe, the same one of a host stream.
    async fn reopen(
        &self,
        who: &Who,
        pid: u32,
        fd: u32,
        flags: u32,
        access: Access,
    ) -> Result<Arc<Description>> {
        self.may_inspect(who, pid)?;
        let old = self.descriptor(pid, fd)?;
        if self.is_guarded(who) {
            let kind = match old.kind() {
                FileKind::Directory(_) => FileType::Directory,
                _ => FileType::Regular,
            };
            self.permit(who, At::Cwd(b""), Object::Open(&old), operations(kind, flags, access)).await?;
        }
        let entry = old.entry().cloned();
        match old.kind() {
            FileKind::Regular { location, .. } => {
                let attr = location.getattr().await?;
                let mut want = if access.read { WANT_READ } else { 0 };
                if access.write {
                    want |= WANT_WRITE;
                    writable(location)?;
                }
                who.cred.check(&attr, want)?;
                let file = reply!(location.mount.fs.open(location.ino, access))?;
                if flags & O_TRUNC != 0 && access.write {
                    file.setattr(&SetAttr { size: Some(0), ..SetAttr::default() }).await?;
                    note!(self, note_file(&old, ChangeKind::Modified));
                }
                Ok(Description::new(
                    FileKind::Regular { file, location: location.clone() },
                    access,
                    flags,
                    entry,
                ))
            }
            FileKind::Directory(_) if access.write => Err(Errno::EISDIR),
            FileKind::Directory(dir) => Ok(self.directory_description(dir.location.clone())),
            FileKind::Device(device, location) => {
                Ok(Description::new(FileKind::Device(*device, location.clone()), access, flags, entry))
            }
            FileKind::PipeReader(r) | FileKind::PipeBoth(r, _) => {
                Ok(reopened(r.pipe(), flags, access, entry))
            }
            FileKind::PipeWriter(w) => Ok(reopened(w.pipe(), flags, access, entry)),
            // A master exists once: what is opened again is a new pair on Linux, which nobody means here.
            FileKind::PtyMaster(_) => Err(Errno::EIO),
            FileKind::PtySlave(slave) => {
                let attr = crate::tty::attr_of(self, slave.pty().index())?;
                let mut want = if access.read { WANT_READ } else { 0 };
                if access.write {
                    want |= WANT_WRITE;
                }
                who.cred.check(&attr, want)?;
                let slave = slave.pty().slave()?;
                Ok(Description::new(FileKind::PtySlave(slave), access, flags, entry))
            }
            FileKind::Host(_) if access.read != old.access().read || access.write != old.access().write => {
                Err(Errno::EACCES)
            }
            FileKind::Host(_) => Ok(old),
        }
    }

    /// A file to execute. ENOENT, EACCES (not executable, a directory, or no regular file).
    pub async fn executable(
        &self,
        process: Option<&Process>,
        cwd: &Location,
        path: &[u8],
    ) -> Result<Executable> {
        let mut who = match process {
            Some(process) => self.who(process),
            None => Who { cred: Arc::clone(self.cred()), ..self.host() },
        };
        who.cwd = cwd.clone();
        let found = match self.walk(&who, At::Cwd(path), true).await? {
            Resolved::Found(found) => found,
            Resolved::Missing(_) => return Err(Errno::ENOENT),
            Resolved::Descriptor(link) if link.rest.is_empty() => {
                self.may_inspect(&who, link.pid)?;
                let file = self.descriptor(link.pid, link.fd)?;
                let location = file.location().ok_or(Errno::EACCES)?.clone();
                let attr = location.getattr().await?;
                let parent = file.entry().cloned();
                Found { location, attr, parent, last: Last::Name, trailing_slash: false, straight: false }
            }
            Resolved::Descriptor(_) => return Err(Errno::EACCES),
        };
        let attr = found.attr;
        if attr.kind != FileType::Regular {
            return Err(Errno::EACCES);
        }
        who.cred.check(&attr, crate::cred::WANT_EXEC)?;
        let resolved = self.program_path(&who, path, &found).await?;
        let location = found.location;
        let file = location.mount.fs.open(attr.ino, Access { read: true, write: false }).await?;
        Ok(Executable { location, attr, file, path: resolved })
    }
}

/// One or both ends of a pipe that is open already.
fn reopened(
    pipe: &Arc<Pipe>,
    flags: u32,
    access: Access,
    entry: Option<(Location, NameBuf)>,
) -> Arc<Description> {
    let kind = match (access.read, access.write) {
        (true, true) => FileKind::PipeBoth(pipe.reader().0, pipe.writer().0),
        (false, true) => FileKind::PipeWriter(pipe.writer().0),
        _ => FileKind::PipeReader(pipe.reader().0),
    };
    Description::new(kind, access, flags, entry)
}

/// Waits until the other end of a FIFO is open, or was opened and closed again meanwhile.
async fn wait_for_partner(
    process: Option<&Process>,
    pipe: &Arc<Pipe>,
    there: impl Fn() -> bool,
) -> Result<()> {
    let Some(process) = process else { return Ok(()) };
    process
        .interruptible(
            |cx| {
                pipe.register(cx);
                if there() { Poll::Ready(Ok(())) } else { Poll::Pending }
            },
            |waker| pipe.leave(waker),
        )
        .await
}
