//! Files of `agentos_v1`: what preview 1 cannot say about modes, owners and links.

use std::sync::Arc;

use agentos_abi::MODULE;
use agentos_abi::fd::{AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, UTIME_NOW, UTIME_OMIT};
use agentos_abi::layout::Stat;
use agentos_kernel::sys::Who;
use agentos_kernel::{Errno, Kernel, Result};
use agentos_vfs::{Attr, NewKind, SetTime, Timespec};
use wasmtime::{Caller, Linker};

use super::native_fds::Start;
use super::paths::change;
use super::waiting;
use crate::guest::{Guest, parts};
use crate::memory::put;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    waiting!(linker, MODULE, stat(dirfd: i32, path: i32, len: i32, flags: i32, out: i32));
    waiting!(linker, MODULE, chmod(dirfd: i32, path: i32, len: i32, mode: i32, flags: i32));
    waiting!(linker, MODULE, fchmod(fd: i32, mode: i32));
    waiting!(linker, MODULE, chown(dirfd: i32, path: i32, len: i32, uid: i32, gid: i32, flags: i32));
    waiting!(linker, MODULE, fchown(fd: i32, uid: i32, gid: i32));
    waiting!(linker, MODULE, access(dirfd: i32, path: i32, len: i32, mode: i32));
    waiting!(linker, MODULE, mkfifo(dirfd: i32, path: i32, len: i32, mode: i32));
    waiting!(linker, MODULE, mkdir(dirfd: i32, path: i32, len: i32, mode: i32));
    waiting!(linker, MODULE, statfs(path: i32, len: i32, out: i32));
    waiting!(linker, MODULE, sync());
    waiting!(linker, MODULE, syncfs(fd: i32));
    waiting!(linker, MODULE, utimens(dirfd: i32, path: i32, len: i32, atime: i64, atime_nsec: i64, mtime: i64, mtime_nsec: i64, flags: i32));
    Ok(())
}

struct Call {
    kernel: Arc<Kernel>,
    who: Who,
    start: Start,
    path: Vec<u8>,
}

impl Call {
    fn new(caller: &mut Caller<'_, Guest>, dirfd: i32, path: i32, len: i32) -> Result<Self> {
        let (memory, guest) = parts(caller)?;
        let path = crate::memory::path(memory, path, len)?.to_vec();
        let start = Start::new(guest, dirfd)?;
        let kernel = Arc::clone(&guest.machine.kernel);
        let who = kernel.who(&guest.process);
        Ok(Self { kernel, who, start, path })
    }
}

fn follow(flags: i32) -> bool {
    flags.cast_unsigned() & AT_SYMLINK_NOFOLLOW == 0
}

fn encode(dev: u64, attr: &Attr) -> Stat {
    Stat {
        dev,
        ino: attr.ino,
        mode: attr.mode(),
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: attr.rdev,
        size: attr.size,
        blocks: attr.blocks,
        blksize: 4096,
        atime: attr.atime.secs,
        atime_nsec: attr.atime.nanos,
        mtime: attr.mtime.secs,
        mtime_nsec: attr.mtime.nanos,
        ctime: attr.ctime.secs,
        ctime_nsec: attr.ctime.nanos,
        btime: attr.btime.secs,
        btime_nsec: attr.btime.nanos,
    }
}

async fn stat(
    caller: &mut Caller<'_, Guest>,
    dirfd: i32,
    path: i32,
    len: i32,
    flags: i32,
    out: i32,
) -> Result<()> {
    let (dev, attr) = if len == 0 && flags.cast_unsigned() & AT_EMPTY_PATH != 0 {
        let guest = caller.data();
        let (file, kernel) = (guest.file(dirfd)?, Arc::clone(&guest.machine.kernel));
        kernel.fstat(&file).await?
    } else {
        let call = Call::new(caller, dirfd, path, len)?;
        let at = call.start.at(&call.path)?;
        match call.kernel.stat_now(&call.who, at, follow(flags)) {
            Some(done) => done?,
            None => Box::pin(call.kernel.stat(&call.who, at, follow(flags))).await?,
        }
    };
    let (memory, _) = parts(caller)?;
    put(memory, out, &encode(dev, &attr).encode())
}

async fn sync(caller: &mut Caller<'_, Guest>) -> Result<()> {
    let kernel = Arc::clone(&caller.data().machine.kernel);
    kernel.sync().await;
    Ok(())
}

async fn syncfs(caller: &mut Caller<'_, Guest>, fd: i32) -> Result<()> {
    let guest = caller.data();
    let (file, kernel) = (guest.file(fd)?, Arc::clone(&guest.machine.kernel));
    kernel.syncfs(&file).await
}

async fn chmod(
    caller: &mut Caller<'_, Guest>,
    dirfd: i32,
    path: i32,
    len: i32,
    mode: i32,
    flags: i32,
) -> Result<()> {
    let call = Call::new(caller, dirfd, path, len)?;
    let change = change(Some(mode.cast_unsigned() & 0o7777), None, None);
    call.kernel.setattr(&call.who, call.start.at(&call.path)?, follow(flags), &change).await
}

async fn fchmod(caller: &mut Caller<'_, Guest>, fd: i32, mode: i32) -> Result<()> {
    let guest = caller.data();
    let (file, kernel) = (guest.file(fd)?, Arc::clone(&guest.machine.kernel));
    let who = kernel.who(&guest.process);
    kernel.fsetattr(&who, &file, &change(Some(mode.cast_unsigned() & 0o7777), None, None)).await
}

fn id(raw: i32) -> Option<u32> {
    if raw == -1 { None } else { Some(raw.cast_unsigned()) }
}

async fn chown(
    caller: &mut Caller<'_, Guest>,
    dirfd: i32,
    path: i32,
    len: i32,
    uid: i32,
    gid: i32,
    flags: i32,
) -> Result<()> {
    let call = Call::new(caller, dirfd, path, len)?;
    let change = change(None, id(uid), id(gid));
    call.kernel.setattr(&call.who, call.start.at(&call.path)?, follow(flags), &change).await
}

async fn fchown(caller: &mut Caller<'_, Guest>, fd: i32, uid: i32, gid: i32) -> Result<()> {
    let guest = caller.data();
    let (file, kernel) = (guest.file(fd)?, Arc::clone(&guest.machine.kernel));
    let who = kernel.who(&guest.process);
    kernel.fsetattr(&who, &file, &change(None, id(uid), id(gid))).await
}

async fn access(caller: &mut Caller<'_, Guest>, dirfd: i32, path: i32, len: i32, mode: i32) -> Result<()> {
    let call = Call::new(caller, dirfd, path, len)?;
    call.kernel.access(&call.who, call.start.at(&call.path)?, mode.cast_unsigned()).await
}

async fn mkfifo(caller: &mut Caller<'_, Guest>, dirfd: i32, path: i32, len: i32, mode: i32) -> Result<()> {
    let call = Call::new(caller, dirfd, path, len)?;
    let mode = mode.cast_unsigned() & 0o777;
    call.kernel.make(&call.who, call.start.at(&call.path)?, NewKind::Fifo, mode).await
}

async fn mkdir(caller: &mut Caller<'_, Guest>, dirfd: i32, path: i32, len: i32, mode: i32) -> Result<()> {
    let call = Call::new(caller, dirfd, path, len)?;
    let mode = mode.cast_unsigned() & 0o7777;
    call.kernel.make(&call.who, call.start.at(&call.path)?, NewKind::Directory, mode).await
}

async fn statfs(caller: &mut Caller<'_, Guest>, path: i32, len: i32, out: i32) -> Result<()> {
    let call = Call::new(caller, agentos_abi::fd::AT_FDCWD, path, len)?;
    let (stat, read_only) = call.kernel.statfs(&call.who, call.start.at(&call.path)?).await?;
    let encoded = agentos_abi::layout::StatFs {
        bsize: stat.block_size,
        blocks: stat.blocks,
        bfree: stat.blocks_free,
        files: stat.inodes,
        ffree: stat.inodes_free,
        namelen: 255,
        readonly: u64::from(read_only),
    };
    let (memory, _) = parts(caller)?;
    put(memory, out, &encoded.encode())
}

fn time(secs: i64, nanos: i64) -> Result<Option<SetTime>> {
    match nanos {
        UTIME_OMIT => Ok(None),
        UTIME_NOW => Ok(Some(SetTime::Now)),
        0..1_000_000_000 => Ok(Some(SetTime::At(Timespec { secs, nanos: nanos as u32 }))),
        _ => Err(Errno::EINVAL),
    }
}

#[expect(clippy::too_many_arguments, reason = "the signature is the ABI's")]
async fn utimens(
    caller: &mut Caller<'_, Guest>,
    dirfd: i32,
    path: i32,
    len: i32,
    atime: i64,
    atime_nsec: i64,
    mtime: i64,
    mtime_nsec: i64,
    flags: i32,
) -> Result<()> {
    let (atime, mtime) = (time(atime, atime_nsec)?, time(mtime, mtime_nsec)?);
    let call = Call::new(caller, dirfd, path, len)?;
    call.kernel.utimens(&call.who, call.start.at(&call.path)?, follow(flags), atime, mtime).await
}
