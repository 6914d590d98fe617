//! Preview 1 calls on descriptors.

use std::sync::Arc;

use agentos_abi::fd::{O_APPEND, O_DSYNC, O_NONBLOCK, O_SYNC};
use agentos_kernel::sys::Whence;
use agentos_kernel::{Description, Errno, Fd, FileKind, Result};
use agentos_vfs::SetAttr;
use wasmtime::{Caller, Linker};

use super::wasi::{self, FDFLAG_APPEND, FDFLAG_DSYNC, FDFLAG_NONBLOCK, FDFLAG_RSYNC, FDFLAG_SYNC};
use super::{WASI, fd_number, offset, quick, rights, waiting};
use crate::guest::{FIRST_PREOPEN, Guest, parts};
use crate::memory::{Iovec, bytes, bytes_mut, iovecs, put, put_u32, put_u64};

/// A vectored write gathers so many bytes at once; more is a partial write.
const GATHER: usize = 1 << 20;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    waiting!(linker, WASI, fd_read(fd: i32, iovs: i32, count: i32, out: i32));
    waiting!(linker, WASI, fd_write(fd: i32, iovs: i32, count: i32, out: i32));
    waiting!(linker, WASI, fd_pread(fd: i32, iovs: i32, count: i32, at: i64, out: i32));
    waiting!(linker, WASI, fd_pwrite(fd: i32, iovs: i32, count: i32, at: i64, out: i32));
    waiting!(linker, WASI, fd_seek(fd: i32, delta: i64, whence: i32, out: i32));
    waiting!(linker, WASI, fd_tell(fd: i32, out: i32));
    waiting!(linker, WASI, fd_close(fd: i32));
    waiting!(linker, WASI, fd_renumber(fd: i32, to: i32));
    waiting!(linker, WASI, fd_sync(fd: i32));
    waiting!(linker, WASI, fd_datasync(fd: i32));
    waiting!(linker, WASI, fd_allocate(fd: i32, at: i64, len: i64));
    quick!(linker, WASI, fd_advise(fd: i32, at: i64, len: i64, advice: i32));
    quick!(linker, WASI, fd_fdstat_get(fd: i32, out: i32));
    quick!(linker, WASI, fd_fdstat_set_flags(fd: i32, flags: i32));
    waiting!(linker, WASI, fd_filestat_get(fd: i32, out: i32));
    waiting!(linker, WASI, fd_filestat_set_size(fd: i32, size: i64));
    waiting!(linker, WASI, fd_filestat_set_times(fd: i32, atime: i64, mtime: i64, flags: i32));
    quick!(linker, WASI, fd_prestat_get(fd: i32, out: i32));
    quick!(linker, WASI, fd_prestat_dir_name(fd: i32, name: i32, len: i32));
    quick!(linker, WASI, sock_accept(fd: i32, flags: i32, out: i32));
    waiting!(linker, WASI, sock_recv(fd: i32, iovs: i32, count: i32, flags: i32, out: i32, out_flags: i32));
    waiting!(linker, WASI, sock_send(fd: i32, iovs: i32, count: i32, flags: i32, out: i32));
    quick!(linker, WASI, sock_shutdown(fd: i32, how: i32));
    Ok(())
}

fn count_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

async fn fd_read(caller: &mut Caller<'_, Guest>, fd: i32, iovs: i32, count: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let file = guest.file(fd)?;
    rights::demand(guest, fd, &file, rights::FD_READ)?;
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let mut total = 0;
    for Iovec { ptr, len } in iovecs(memory, iovs, count)? {
        if len == 0 {
            continue;
        }
        // Only files are read into the next buffers: a stream has given what it has.
        if total > 0 && !matches!(file.kind(), FileKind::Regular { .. }) {
            break;
        }
        let n = match kernel.read(&process, &file, bytes_mut(memory, ptr, len)?).await {
            Ok(n) => n,
            Err(_) if total > 0 => break,
            Err(errno) => return Err(errno),
        };
        total += n;
        if n < len {
            break;
        }
    }
    if total == 0 && !file.access().read {
        return Err(if matches!(file.kind(), FileKind::Directory(_)) { Errno::EISDIR } else { Errno::EBADF });
    }
    put_u32(memory, out, count_of(total))
}

/// The bytes of a vectored write: the guest's own memory when there is one buffer, else gathered, so that the write stays
/// atomic where POSIX says so.
enum Gathered<'a> {
    One(&'a [u8]),
    Many(Vec<u8>),
}

fn gather(memory: &[u8], iovs: i32, count: i32) -> Result<Gathered<'_>> {
    let iovs = iovecs(memory, iovs, count)?;
    let mut used = iovs.iter().filter(|v| v.len > 0);
    match (used.next(), used.next()) {
        (None, _) => Ok(Gathered::One(&[])),
        (Some(one), None) => Ok(Gathered::One(bytes(memory, one.ptr, one.len as i32)?)),
        _ => {
            let mut all = Vec::new();
            for Iovec { ptr, len } in iovs {
                let room = GATHER - all.len();
                all.extend_from_slice(bytes(memory, ptr, len.min(room) as i32)?);
                if all.len() == GATHER {
                    break;
                }
            }
            Ok(Gathered::Many(all))
        }
    }
}

impl Gathered<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Gathered::One(slice) => slice,
            Gathered::Many(all) => all,
        }
    }
}

async fn fd_write(caller: &mut Caller<'_, Guest>, fd: i32, iovs: i32, count: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let file = guest.file(fd)?;
    rights::demand(guest, fd, &file, rights::FD_WRITE)?;
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let n = {
        let data = gather(memory, iovs, count)?;
        kernel.write(&process, &file, data.as_slice()).await?
    };
    put_u32(memory, out, count_of(n))
}

async fn fd_pread(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    iovs: i32,
    count: i32,
    at: i64,
    out: i32,
) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let file = guest.file(fd)?;
    rights::demand(guest, fd, &file, rights::FD_READ)?;
    let kernel = Arc::clone(&guest.machine.kernel);
    let at = offset(at)?;
    let mut total = 0;
    for Iovec { ptr, len } in iovecs(memory, iovs, count)? {
        let n = kernel.pread(&file, bytes_mut(memory, ptr, len)?, at.saturating_add(total as u64)).await?;
        total += n;
        if n < len {
            break;
        }
    }
    put_u32(memory, out, count_of(total))
}

async fn fd_pwrite(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    iovs: i32,
    count: i32,
    at: i64,
    out: i32,
) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let file = guest.file(fd)?;
    rights::demand(guest, fd, &file, rights::FD_WRITE)?;
    let (kernel, process) = (Arc::clone(&guest.machine.kernel), Arc::clone(&guest.process));
    let at = offset(at)?;
    let n = {
        let data = gather(memory, iovs, count)?;
        kernel.pwrite(Some(&process), &file, data.as_slice(), at).await?
    };
    put_u32(memory, out, count_of(n))
}

async fn fd_seek(caller: &mut Caller<'_, Guest>, fd: i32, delta: i64, whence: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let file = guest.file(fd)?;
    rights::demand(guest, fd, &file, rights::FD_SEEK)?;
    let kernel = Arc::clone(&guest.machine.kernel);
    let whence = match whence {
        0 => Whence::Set,
        1 => Whence::Current,
        2 => Whence::End,
        _ => return Err(Errno::EINVAL),
    };
    let at = kernel.seek(&file, delta, whence).await?;
    put_u64(memory, out, at)
}

async fn fd_tell(caller: &mut Caller<'_, Guest>, fd: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let file = guest.file(fd)?;
    rights::demand(guest, fd, &file, rights::FD_TELL)?;
    let kernel = Arc::clone(&guest.machine.kernel);
    let at = kernel.seek(&file, 0, Whence::Current).await?;
    put_u64(memory, out, at)
}

async fn fd_close(caller: &mut Caller<'_, Guest>, fd: i32) -> Result<()> {
    let guest = caller.data_mut();
    let number = fd_number(fd)?;
    guest.withheld.remove(&fd);
    match guest.machine.kernel.close_and_flush(&guest.process, number).await {
        Err(Errno::EBADF) => {
            let slot = number.0.checked_sub(FIRST_PREOPEN).and_then(|i| guest.preopens.get_mut(i as usize));
            slot.and_then(Option::take).map(|_| ()).ok_or(Errno::EBADF)
        }
        done => done,
    }
}

async fn fd_renumber(caller: &mut Caller<'_, Guest>, fd: i32, to: i32) -> Result<()> {
    let guest = caller.data_mut();
    let (from, to) = (fd_number(fd)?, fd_number(to)?);
    // Unlike dup2, the target must be open.
    guest.file(to.0.cast_signed())?;
    guest.file(fd)?;
    if from == to {
        return Ok(());
    }
    let kernel = Arc::clone(&guest.machine.kernel);
    let is_preopen = guest.process.fds.lock().get(from).is_err();
    if is_preopen {
        return Err(Errno::ENOTSUP);
    }
    kernel.renumber(&guest.process, from, to).await?;
    let guest = caller.data_mut();
    rights::renumbered(guest, fd, to.0.cast_signed());
    if let Some(slot) = to.0.checked_sub(FIRST_PREOPEN).and_then(|i| guest.preopens.get_mut(i as usize)) {
        // The number now means this descriptor in every call.
        *slot = None;
    }
    Ok(())
}

async fn fd_sync(caller: &mut Caller<'_, Guest>, fd: i32) -> Result<()> {
    let (file, kernel) = file_and_kernel(caller, fd)?;
    kernel.fsync(&file, false).await
}

async fn fd_datasync(caller: &mut Caller<'_, Guest>, fd: i32) -> Result<()> {
    let (file, kernel) = file_and_kernel(caller, fd)?;
    kernel.fsync(&file, true).await
}

fn file_and_kernel(
    caller: &Caller<'_, Guest>,
    fd: i32,
) -> Result<(Arc<Description>, Arc<agentos_kernel::Kernel>)> {
    let guest = caller.data();
    Ok((guest.file(fd)?, Arc::clone(&guest.machine.kernel)))
}

async fn fd_allocate(caller: &mut Caller<'_, Guest>, fd: i32, at: i64, len: i64) -> Result<()> {
    let (file, kernel) = file_and_kernel(caller, fd)?;
    let process = Arc::clone(&caller.data().process);
    kernel.allocate(&process, &file, offset(at)?, offset(len)?).await
}

fn fd_advise(caller: &mut Caller<'_, Guest>, fd: i32, at: i64, len: i64, advice: i32) -> Result<()> {
    let file = caller.data().file(fd)?;
    if !(0..=5).contains(&advice) {
        return Err(Errno::EINVAL);
    }
    offset(at)?;
    offset(len)?;
    // Advice may be ignored (POSIX posix_fadvise()), but not on a pipe.
    match file.kind() {
        FileKind::Regular { .. } | FileKind::Directory(_) | FileKind::Device(..) => Ok(()),
        _ => Err(Errno::ESPIPE),
    }
}

fn fd_fdstat_get(caller: &mut Caller<'_, Guest>, fd: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let file = guest.file(fd)?;
    let mut flags = 0;
    if file.flags() & O_APPEND != 0 {
        flags |= FDFLAG_APPEND;
    }
    if file.flags() & O_NONBLOCK != 0 {
        flags |= FDFLAG_NONBLOCK;
    }
    match file.flags() & O_SYNC {
        0 => {}
        O_DSYNC => flags |= FDFLAG_DSYNC,
        _ => flags |= FDFLAG_DSYNC | FDFLAG_RSYNC | FDFLAG_SYNC,
    }
    let rights = rights::get(guest, fd, &file);
    let mut stat = [0; 24];
    stat[0] = wasi::filetype_of(file.kind());
    stat[2..4].copy_from_slice(&(flags as u16).to_le_bytes());
    stat[8..16].copy_from_slice(&rights.base.to_le_bytes());
    stat[16..24].copy_from_slice(&rights.inheriting.to_le_bytes());
    put(memory, out, &stat)
}

/// Status flags of preview 1 as the kernel has them.
pub(super) fn status_flags(flags: u32) -> Result<u32> {
    let known = FDFLAG_APPEND | FDFLAG_NONBLOCK | FDFLAG_DSYNC | FDFLAG_RSYNC | FDFLAG_SYNC;
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let mut status = 0;
    if flags & FDFLAG_APPEND != 0 {
        status |= O_APPEND;
    }
    if flags & FDFLAG_NONBLOCK != 0 {
        status |= O_NONBLOCK;
    }
    if flags & FDFLAG_DSYNC != 0 {
        status |= O_DSYNC;
    }
    if flags & (FDFLAG_RSYNC | FDFLAG_SYNC) != 0 {
        // As on Linux, where reads are synchronised as writes are.
        status |= O_SYNC;
    }
    Ok(status)
}

fn fd_fdstat_set_flags(caller: &mut Caller<'_, Guest>, fd: i32, flags: i32) -> Result<()> {
    let file = caller.data().file(fd)?;
    file.set_flags(status_flags(flags.cast_unsigned())?);
    Ok(())
}

async fn fd_filestat_get(caller: &mut Caller<'_, Guest>, fd: i32, out: i32) -> Result<()> {
    let (file, kernel) = file_and_kernel(caller, fd)?;
    let (dev, attr) = kernel.fstat(&file).await?;
    let (memory, _) = parts(caller)?;
    put(memory, out, &wasi::filestat(dev, &attr))
}

async fn fd_filestat_set_size(caller: &mut Caller<'_, Guest>, fd: i32, size: i64) -> Result<()> {
    let (file, kernel) = file_and_kernel(caller, fd)?;
    let process = Arc::clone(&caller.data().process);
    kernel.ftruncate(&process, &file, offset(size)?).await
}

async fn fd_filestat_set_times(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    atime: i64,
    mtime: i64,
    flags: i32,
) -> Result<()> {
    let (file, kernel) = file_and_kernel(caller, fd)?;
    let (atime, mtime) = wasi::set_times(atime, mtime, flags)?;
    let who = kernel.who(&caller.data().process);
    kernel.fsetattr(&who, &file, &SetAttr { atime, mtime, ..SetAttr::default() }).await
}

fn fd_prestat_get(caller: &mut Caller<'_, Guest>, fd: i32, out: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let Fd(number) = fd_number(fd)?;
    let len = guest.preopen(number).ok_or(Errno::EBADF)?.name.len();
    put_u32(memory, out, 0)?;
    put_u32(memory, out.wrapping_add(4), count_of(len))
}

fn fd_prestat_dir_name(caller: &mut Caller<'_, Guest>, fd: i32, name: i32, len: i32) -> Result<()> {
    let (memory, guest) = parts(caller)?;
    let Fd(number) = fd_number(fd)?;
    let preopen = guest.preopen(number).ok_or(Errno::EBADF)?;
    if preopen.name.len() > len.cast_unsigned() as usize {
        return Err(Errno::ENAMETOOLONG);
    }
    put(memory, name, &preopen.name)
}

/// Sockets come with the network; until then no descriptor is one. The number of a preopen is none at all here.
fn not_a_socket(caller: &Caller<'_, Guest>, fd: i32) -> Result<()> {
    caller.data().process.fds.lock().get(fd_number(fd)?)?;
    Err(Errno::ENOTSOCK)
}

fn sock_accept(caller: &mut Caller<'_, Guest>, fd: i32, _flags: i32, _out: i32) -> Result<()> {
    not_a_socket(caller, fd)
}

async fn sock_recv(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    _iovs: i32,
    _count: i32,
    _flags: i32,
    _out: i32,
    _out_flags: i32,
) -> Result<()> {
    not_a_socket(caller, fd)
}

async fn sock_send(
    caller: &mut Caller<'_, Guest>,
    fd: i32,
    _iovs: i32,
    _count: i32,
    _flags: i32,
    _out: i32,
) -> Result<()> {
    not_a_socket(caller, fd)
}

fn sock_shutdown(caller: &mut Caller<'_, Guest>, fd: i32, _how: i32) -> Result<()> {
    not_a_socket(caller, fd)
}
