//! Answering the sidecar's callbacks with a driver.
//! It checks what the driver returns, since the guest is to get sense or EIO.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use agentos_abi::Errno;
use agentos_protocol::Responder;
use agentos_protocol::message::*;

use super::driver::{DriverDirEntry, DriverStat, VirtualFileSystem};

/// Entries of a page of a directory, if it does not say.
const PAGE: usize = 1024;
/// The most entries of a page.
const LARGEST_PAGE: usize = 65_536;
/// Bytes of the names of a page, as long as there is more than one.
const PAGE_BYTES: usize = 4 << 20;

fn path(path: &WirePath) -> &Path {
    Path::new(OsStr::from_bytes(&path.0))
}

fn attr(stat: DriverStat) -> DriverAttr {
    DriverAttr {
        kind: stat.kind,
        ino: stat.ino,
        mode: stat.mode & 0o7777,
        nlink: stat.nlink,
        uid: stat.uid,
        gid: stat.gid,
        size: stat.size,
        atime_ms: stat.atime_ms,
        mtime_ms: stat.mtime_ms,
        ctime_ms: stat.ctime_ms,
        birthtime_ms: stat.birthtime_ms,
    }
}

fn page(all: Vec<DriverDirEntry>, cursor: u64, page: u32) -> DriverEntries {
    let skip = usize::try_from(cursor).unwrap_or(usize::MAX);
    let take = match page {
        0 => PAGE,
        n => LARGEST_PAGE.min(n as usize),
    };
    let (count, mut bytes) = (all.len(), 0_usize);
    let fits = |e: &DriverDirEntry| {
        let first = bytes == 0;
        bytes = bytes.saturating_add(e.name.len() + 1);
        first || bytes <= PAGE_BYTES
    };
    let entry = |e: DriverDirEntry| DriverEntry { name: WirePath(e.name), kind: e.kind, ino: e.ino };
    let entries: Vec<_> = all.into_iter().skip(skip).take(take).take_while(fits).map(entry).collect();
    let more = count > skip.saturating_add(entries.len());
    let next = more.then(|| cursor + entries.len() as u64);
    DriverEntries { entries, next }
}

fn data(bytes: Vec<u8>, asked: u32) -> Result<DriverData, Errno> {
    if bytes.len() > asked as usize { Err(Errno::EIO) } else { Ok(DriverData { data: bytes }) }
}

/// Runs one callback.
pub(crate) async fn serve_driver(fs: Arc<dyn VirtualFileSystem>, callback: Callback, responder: Responder) {
    macro_rules! answer {
        ($Call:ty, $result:expr) => {{
            let result: Result<_, Errno> = $result;
            responder.reply::<$Call>(result.map_err(|e| WireError::kernel(e.name(), <$Call>::METHOD, None)))
        }};
    }
    let done = |result: Result<(), Errno>| result.map(|()| Empty {});
    match callback {
        Callback::DriverStat(c) => {
            answer!(agentos_protocol::message::DriverStat, fs.stat(path(&c.path)).await.map(attr))
        }
        Callback::DriverReadDir(c) => {
            answer!(DriverReadDir, fs.read_dir(path(&c.path)).await.map(|all| page(all, c.cursor, c.page)))
        }
        Callback::DriverRead(c) => {
            let len = c.len.min(u32::try_from(INLINE_LIMIT).unwrap_or(u32::MAX));
            let read = fs.read(path(&c.path), c.offset, len as usize).await;
            answer!(DriverRead, read.and_then(|bytes| data(bytes, len)))
        }
        Callback::DriverWrite(c) => {
            let written = c.data.len() as u64;
            let result = fs.write(path(&c.path), c.offset, c.data).await;
            answer!(DriverWrite, result.map(|()| DriverWritten { written }))
        }
        Callback::DriverCreate(c) => answer!(DriverCreate, fs.create(path(&c.path), c.mode).await.map(attr)),
        Callback::DriverMkdir(c) => answer!(DriverMkdir, fs.mkdir(path(&c.path), c.mode).await.map(attr)),
        Callback::DriverUnlink(c) => answer!(DriverUnlink, done(fs.remove_file(path(&c.path)).await)),
        Callback::DriverRmdir(c) => answer!(DriverRmdir, done(fs.remove_dir(path(&c.path)).await)),
        Callback::DriverRename(c) => {
            answer!(DriverRename, done(fs.rename(path(&c.from), path(&c.to), c.no_replace).await))
        }
        Callback::DriverLink(c) => answer!(DriverLink, done(fs.link(path(&c.from), path(&c.to)).await)),
        Callback::DriverSymlink(c) => {
            answer!(DriverSymlink, fs.symlink(path(&c.target), path(&c.path)).await.map(attr))
        }
        Callback::DriverReadLink(c) => {
            let target = fs.read_link(path(&c.path)).await;
            answer!(DriverReadLink, target.map(|bytes| DriverTarget { target: WirePath(bytes) }))
        }
        Callback::DriverTruncate(c) => {
            answer!(DriverTruncate, done(fs.truncate(path(&c.path), c.size).await))
        }
        Callback::DriverChmod(c) => answer!(DriverChmod, done(fs.chmod(path(&c.path), c.mode).await)),
        Callback::DriverChown(c) => answer!(DriverChown, done(fs.chown(path(&c.path), c.uid, c.gid).await)),
        Callback::DriverUtimes(c) => {
            answer!(DriverUtimes, done(fs.utimes(path(&c.path), c.atime_ms, c.mtime_ms).await))
        }
        other => responder.unsupported(other.method()),
    }
}
