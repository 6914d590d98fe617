//! Descriptors of `agentos_v1`.

use std::sync::Arc;

use agentos_abi::MODULE;
use agentos_abi::fd::{AT_FDCWD, CLOEXEC, O_CLOEXEC};
use agentos_abi::layout::{RECORD_LOCK_SIZE, RecordLock};
use agentos_kernel::sys::At;
use agentos_kernel::{Errno, FileKind, Result};
use wasmtime::{Caller, Linker};

use super::{fd_number, quick, waiting};
use crate::guest::{Guest, parts};
use crate::memory::{bytes, bytes_mut, put, put_u32};

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    quick!(linker, MODULE, pipe(flags: i32, out: i32));
    quick!(linker, MODULE, dup(fd: i32, at_least: i32, flags: i32, out: i32));
    waiting!(linker, MODULE, dup2(fd: i32, to: i32, flags: i32));
    quick!(linker, MODULE, fcntl(fd: i32, cmd: i32, arg: i32, out: i32));
    waiting!(linker, MODULE, flock(fd: i32, op: i32));
    waiting!(linker, MODULE, record_lock(fd: i32, cmd: i32, lock: i32));
    waiting!(linker, MODULE, open(dirfd: i32, path: i32, len: i32, flags: i32, mode: i32, out: i32));
    quick!(linker, MODULE, list_fds(buffer: i32, capacity: i32, out_len: i32));
    Ok(())
}

fn pipe(caller: &mut Caller<'_, Guest>, flags: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    bytes(memory, out, 8)?;
    let (reader, writer) = guest.machine.kernel.pipe(&guest.process, flags.cast_unsigned())?;
    put_u32(memory, out, reader.0)?;
    put_u32(memory, out.wrapping_add(4), writer.0)
}

fn dup(caller: &mut Caller<'_, Guest>, fd: i32, at_least: i32, flags: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    bytes(memory, out, 4)?;
    let at_least = u32::try_from(at_least).map_err(|_| Errno::EINVAL)?;
    let cloexec = flags.cast_unsigned() & CLOEXEC != 0;
    let number = guest.machine.kernel.dup(&guest.process, fd_number(fd)?, at_least, cloexec)?;
    put_u32(memory, out, number.0)
}

async fn dup2(caller: &mut Caller<'_, Guest>, fd: i32, to: i32, flags: i32) -> Result<()> {
    let guest = caller.data();
    let cloexec = flags.cast_unsigned() & CLOEXEC != 0;
    let kernel = Arc::clone(&guest.machine.kernel);
    kernel.dup2_and_flush(&guest.process, fd_number(fd)?, fd_number(to)?, cloexec).await
}

fn fcntl(caller: &mut Caller<'_, Guest>, fd: i32, cmd: i32, arg: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let kernel = Arc::clone(&guest.machine.kernel);
    let value = kernel.fcntl(&guest.process, fd_number(fd)?, cmd.cast_unsigned(), arg.cast_unsigned())?;
    put_u32(memory, out, value)
}

async fn flock(caller: &mut Caller<'_, Guest>, fd: i32, op: i32) -> Result<()> {
    let guest = caller.data();
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    kernel.flock(&process, fd_number(fd)?, op.cast_unsigned()).await
}

async fn record_lock(caller: &mut Caller<'_, Guest>, fd: i32, cmd: i32, lock: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let mut raw = [0; RECORD_LOCK_SIZE];
    raw.copy_from_slice(bytes_mut(memory, lock, RECORD_LOCK_SIZE)?);
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let asked = RecordLock::decode(&raw);
    let told = kernel.record_lock(&process, fd_number(fd)?, cmd.cast_unsigned(), asked).await?;
    if told == asked {
        return Ok(());
    }
    let (memory, _) = parts(caller)?;
    put(memory, lock, &told.encode())
}

/// The start of a relative path: the working directory, or an open directory.
pub(super) enum Start {
    Cwd,
    Directory(Arc<agentos_kernel::Description>),
}

impl Start {
    pub(super) fn new(guest: &Guest, dirfd: i32) -> Result<Self> {
        if dirfd == AT_FDCWD { Ok(Start::Cwd) } else { Ok(Start::Directory(guest.directory(dirfd)?)) }
    }

    pub(super) fn at<'a>(&'a self, path: &'a [u8]) -> Result<At<'a>> {
        match self {
            Start::Cwd => Ok(At::Cwd(path)),
            Start::Directory(file) => match file.kind() {
                FileKind::Directory(dir) => Ok(At::Directory(&dir.location, path)),
                _ if path.starts_with(b"/") => Ok(At::Cwd(path)),
                _ => Err(Errno::ENOTDIR),
            },
        }
    }
}

async fn open(
    caller: &mut Caller<'_, Guest>,
    dirfd: i32,
    path: i32,
    len: i32,
    flags: i32,
    mode: i32,
    out: i32,
) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let path = crate::memory::path(memory, path, len)?.to_vec();
    let start = Start::new(guest, dirfd)?;
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let who = kernel.who(&process);
    let flags = flags.cast_unsigned();
    process.fds.lock().has_room(0)?;
    let file =
        kernel.open(&who, Some(&process), start.at(&path)?, flags, mode.cast_unsigned() & 0o7777).await?;
    let guest = caller.data();
    let at_least = if matches!(file.kind(), FileKind::Directory(_)) { guest.first_directory_fd() } else { 0 };
    let number = process.fds.lock().insert(file, at_least, flags & O_CLOEXEC != 0)?;
    let (memory, _) = parts(caller)?;
    put_u32(memory, out, number.0)
}

fn list_fds(caller: &mut Caller<'_, Guest>, buffer: i32, capacity: i32, out_len: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let numbers: Vec<_> = guest.process.fds.lock().numbers().collect();
    for (i, fd) in numbers.iter().take(capacity.cast_unsigned() as usize).enumerate() {
        let at = buffer.checked_add((i * 4) as i32).ok_or(Errno::EFAULT)?;
        put_u32(memory, at, fd.0)?;
    }
    put_u32(memory, out_len, numbers.len() as u32)
}
