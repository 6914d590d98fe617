//! Preview 1 calls on paths.
//!
//! A program of our ABI gets Linux path semantics: its C library has made every path relative to the preopen `/`. Any
//! other program gets the strict rules: nothing leaves the directory that the path starts from.

use std::sync::Arc;

use agentos_abi::fd::{O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use agentos_kernel::sys::{At, Who};
use agentos_kernel::{Description, Errno, FileKind, Kernel, Result};
use agentos_vfs::{NewKind, RenameFlags, SetAttr};
use wasmtime::{Caller, Linker};

use super::fds::status_flags;
use super::rights::{self, Rights};
use super::wasi::{self, LOOKUP_SYMLINK_FOLLOW, OFLAG_CREAT, OFLAG_DIRECTORY, OFLAG_EXCL, OFLAG_TRUNC};
use super::{WASI, waiting};
use crate::guest::{Guest, parts};
use crate::memory::{bytes_mut, put, put_u32};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    waiting!(linker, WASI, path_open(fd: i32, lookup: i32, path: i32, len: i32, oflags: i32, base: i64, inheriting: i64, flags: i32, out: i32));
    waiting!(linker, WASI, path_filestat_get(fd: i32, lookup: i32, path: i32, len: i32, out: i32));
    waiting!(linker, WASI, path_filestat_set_times(fd: i32, lookup: i32, path: i32, len: i32, atime: i64, mtime: i64, flags: i32));
    waiting!(linker, WASI, path_create_directory(fd: i32, path: i32, len: i32));
    waiting!(linker, WASI, path_remove_directory(fd: i32, path: i32, len: i32));
    waiting!(linker, WASI, path_unlink_file(fd: i32, path: i32, len: i32));
    waiting!(linker, WASI, path_rename(fd: i32, from: i32, from_len: i32, to_fd: i32, to: i32, to_len: i32));
    waiting!(linker, WASI, path_link(fd: i32, lookup: i32, from: i32, from_len: i32, to_fd: i32, to: i32, to_len: i32));
    waiting!(linker, WASI, path_symlink(target: i32, target_len: i32, fd: i32, path: i32, len: i32));
    waiting!(linker, WASI, path_readlink(fd: i32, path: i32, len: i32, buffer: i32, buffer_len: i32, out: i32));
    Ok(())
}

/// A path argument with all that its look-up needs.
pub(super) struct PathCall {
    pub(super) kernel: Arc<Kernel>,
    pub(super) who: Who,
    directory: Arc<Description>,
    path: Vec<u8>,
    strict: bool,
}

impl PathCall {
    fn new(caller: &mut Caller<'_, Guest>, fd: i32, path: i32, len: i32) -> Result<Self> {
        let (memory, guest) = parts(caller)?;
        let path = crate::memory::path(memory, path, len)?.to_vec();
        let directory = guest.directory(fd)?;
        if !matches!(directory.kind(), FileKind::Directory(_)) {
            return Err(Errno::ENOTDIR);
        }
        let kernel = Arc::clone(&guest.machine.kernel);
        let who = kernel.who(&guest.process);
        let strict = !guest.program.native_abi;
        Ok(Self { kernel, who, directory, path, strict })
    }

    pub(super) fn at(&self) -> At<'_> {
        match self.directory.kind() {
            FileKind::Directory(dir) if self.strict => At::Beneath(&dir.location, &self.path),
            FileKind::Directory(dir) => At::Directory(&dir.location, &self.path),
            _ => At::Cwd(&self.path),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
async fn path_open(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    lookup: i32,
    path: i32,
    len: i32,
    oflags: i32,
    base: i64,
    inheriting: i64,
    flags: i32,
    out: i32,
) -> Result<()> {
    let call = PathCall::new(caller, fd, path, len)?;
    let (base, oflags) = (base.cast_unsigned(), oflags.cast_unsigned());
    let asked = Rights { base, inheriting: inheriting.cast_unsigned() };
    let directory = rights::get(caller.data(), fd, &call.directory);
    if call.strict {
        rights::may_open(directory, asked, oflags & OFLAG_DIRECTORY != 0)?;
    }
    let mut how = match (base & (rights::FD_READ | rights::FD_READDIR) != 0, base & rights::FD_WRITE != 0) {
        (true, true) => O_RDWR,
        (false, true) => O_WRONLY,
        _ => O_RDONLY,
    };
    for (flag, meaning) in
        [(OFLAG_CREAT, O_CREAT), (OFLAG_DIRECTORY, O_DIRECTORY), (OFLAG_EXCL, O_EXCL), (OFLAG_TRUNC, O_TRUNC)]
    {
        if oflags & flag != 0 {
            how |= meaning;
        }
    }
    if how & O_DIRECTORY != 0 {
        if how & O_CREAT != 0 {
            return Err(Errno::EINVAL);
        }
        how &= !(O_RDWR | O_WRONLY);
    }
    if lookup.cast_unsigned() & LOOKUP_SYMLINK_FOLLOW == 0 {
        how |= O_NOFOLLOW;
    }
    how |= status_flags(flags.cast_unsigned())?;
    let process = Arc::clone(&caller.data().process);
    process.fds.lock().has_room(0)?;
    let file = call.kernel.open(&call.who, Some(&process), call.at(), how, 0o666).await?;
    let (strict, opened) = (call.strict, Arc::clone(&file));
    let (memory, guest) = parts(caller)?;
    let at_least = if matches!(file.kind(), FileKind::Directory(_)) { guest.first_directory_fd() } else { 0 };
    let number = guest.process.fds.lock().insert(file, at_least, false)?;
    if strict {
        rights::opened(guest, number.0.cast_signed(), &opened, directory, asked);
    }
    put_u32(memory, out, number.0)
}

async fn path_filestat_get(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    lookup: i32,
    path: i32,
    len: i32,
    out: i32,
) -> Result<()> {
    let call = PathCall::new(caller, fd, path, len)?;
    let follow = lookup.cast_unsigned() & LOOKUP_SYMLINK_FOLLOW != 0;
    let (dev, attr) = match call.kernel.stat_now(&call.who, call.at(), follow) {
        Some(done) => done?,
        None => Box::pin(call.kernel.stat(&call.who, call.at(), follow)).await?,
    };
    let (memory, _) = parts(caller)?;
    put(memory, out, &wasi::filestat(dev, &attr))
}

#[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
async fn path_filestat_set_times(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    lookup: i32,
    path: i32,
    len: i32,
    atime: i64,
    mtime: i64,
    flags: i32,
) -> Result<()> {
    let call = PathCall::new(caller, fd, path, len)?;
    let follow = lookup.cast_unsigned() & LOOKUP_SYMLINK_FOLLOW != 0;
    let (atime, mtime) = wasi::set_times(atime, mtime, flags)?;
    call.kernel.utimens(&call.who, call.at(), follow, atime, mtime).await
}

async fn path_create_directory(caller: &mut Caller<'_, Guest>, fd: i32, path: i32, len: i32) -> Result<()> {
    let call = PathCall::new(caller, fd, path, len)?;
    call.kernel.make(&call.who, call.at(), NewKind::Directory, 0o777).await
}

async fn path_remove_directory(caller: &mut Caller<'_, Guest>, fd: i32, path: i32, len: i32) -> Result<()> {
    let call = PathCall::new(caller, fd, path, len)?;
    call.kernel.rmdir(&call.who, call.at()).await
}

async fn path_unlink_file(caller: &mut Caller<'_, Guest>, fd: i32, path: i32, len: i32) -> Result<()> {
    let call = PathCall::new(caller, fd, path, len)?;
    call.kernel.unlink(&call.who, call.at()).await
}

async fn path_rename(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    from: i32,
    from_len: i32,
    to_fd: i32,
    to: i32,
    to_len: i32,
) -> Result<()> {
    let from = PathCall::new(caller, fd, from, from_len)?;
    let to = PathCall::new(caller, to_fd, to, to_len)?;
    from.kernel.rename(&from.who, from.at(), to.at(), RenameFlags::default()).await
}

#[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
async fn path_link(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    lookup: i32,
    from: i32,
    from_len: i32,
    to_fd: i32,
    to: i32,
    to_len: i32,
) -> Result<()> {
    let from = PathCall::new(caller, fd, from, from_len)?;
    let to = PathCall::new(caller, to_fd, to, to_len)?;
    let follow = lookup.cast_unsigned() & LOOKUP_SYMLINK_FOLLOW != 0;
    if from.strict && follow {
        // The public preview 1 suite demands that links are made to links, never through them.
        return Err(Errno::EINVAL);
    }
    from.kernel.link(&from.who, from.at(), follow, to.at()).await
}

async fn path_symlink(
    caller: &mut Caller<'_, Guest>,
    target: i32,
    target_len: i32,
    fd: i32,
    path: i32,
    len: i32,
) -> Result<()> {
    let call = PathCall::new(caller, fd, path, len)?;
    let (memory, _) = parts(caller)?;
    let target = crate::memory::path(memory, target, target_len)?.to_vec();
    if call.strict && target.starts_with(b"/") {
        return Err(Errno::EPERM);
    }
    call.kernel.symlink(&call.who, target, call.at()).await
}

async fn path_readlink(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    path: i32,
    len: i32,
    buffer: i32,
    buffer_len: i32,
    out: i32,
) -> Result<()> {
    let call = PathCall::new(caller, fd, path, len)?;
    let target = call.kernel.readlink(&call.who, call.at()).await?;
    let (memory, _) = parts(caller)?;
    let n = target.len().min(buffer_len.cast_unsigned() as usize);
    bytes_mut(memory, buffer, n)?.copy_from_slice(&target[..n]);
    put_u32(memory, out, u32::try_from(n).map_err(|_| Errno::EOVERFLOW)?)
}

/// Changes attributes that preview 1 cannot: used by the calls of our ABI.
pub(super) fn change(perm: Option<u32>, uid: Option<u32>, gid: Option<u32>) -> SetAttr {
    SetAttr { perm, uid, gid, ..SetAttr::default() }
}
