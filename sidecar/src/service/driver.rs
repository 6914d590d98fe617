//! A file system driver that runs in the client: every operation is a callback over the wire.

use agentos_kernel::Errno;
use agentos_protocol::Connection;
use agentos_protocol::message::{
    Call, DriverChmod, DriverChown, DriverCreate, DriverLink, DriverMkdir, DriverRead, DriverReadDir,
    DriverReadLink, DriverRename, DriverRmdir, DriverStat, DriverSymlink, DriverTruncate, DriverUnlink,
    DriverUtimes, DriverWrite, FileKind, INLINE_LIMIT,
};
use agentos_protocol::mux::CallError;
use agentos_vfs::{FileType, NAME_MAX, PathDriver, Timespec, VirtualStat};
use futures_util::future::BoxFuture;

/// Entries of a driver's directory that are taken; more is EOVERFLOW.
const MOST_ENTRIES: usize = 1_000_000;
/// Entries per page: the client makes the listing anew for each.
const PAGE: u32 = 65_536;

/// A driver of the client.
pub(crate) struct ClientDriver {
    connection: Connection,
    driver_id: u64,
}

type Reply<'a, T> = BoxFuture<'a, Result<T, Errno>>;

impl ClientDriver {
    pub(crate) fn new(connection: Connection, driver_id: u64) -> Self {
        Self { connection, driver_id }
    }

    async fn call<C: Call>(&self, call: C) -> Result<C::Reply, Errno> {
        self.connection.call(&call).await.map_err(|error| match error {
            CallError::Remote(error) => {
                let errno = error.errno().and_then(|name| Errno::ALL.iter().find(|e| e.name() == name));
                errno.copied().unwrap_or(Errno::EIO)
            }
            // A dead client, or one that does not keep to the protocol.
            _ => Errno::EIO,
        })
    }
}

fn kind(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::Regular,
        FileKind::Directory => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::CharDevice => FileType::CharDevice,
        FileKind::BlockDevice => FileType::BlockDevice,
        FileKind::Fifo => FileType::Fifo,
        FileKind::Socket => FileType::Socket,
    }
}

fn time(ms: f64) -> Timespec {
    super::tree::timespec(ms).unwrap_or_default()
}

fn milliseconds(time: Timespec) -> f64 {
    time.secs as f64 * 1000.0 + f64::from(time.nanos) / 1_000_000.0
}

impl PathDriver for ClientDriver {
    fn lstat<'a>(&'a self, path: &'a str) -> Reply<'a, VirtualStat> {
        Box::pin(async move {
            let attr = self.call(DriverStat { driver_id: self.driver_id, path: path.into() }).await?;
            Ok(VirtualStat {
                kind: kind(attr.kind),
                perm: attr.mode & 0o7777,
                uid: attr.uid,
                gid: attr.gid,
                nlink: attr.nlink.max(1),
                size: attr.size,
                atime: time(attr.atime_ms),
                mtime: time(attr.mtime_ms),
                ctime: time(attr.ctime_ms),
                btime: time(attr.birthtime_ms),
            })
        })
    }

    fn read_dir<'a>(&'a self, path: &'a str) -> Reply<'a, Vec<(String, FileType)>> {
        Box::pin(async move {
            let mut all = Vec::new();
            let mut cursor = 0;
            loop {
                let call = DriverReadDir { driver_id: self.driver_id, path: path.into(), cursor, page: PAGE };
                let page = self.call(call).await?;
                for entry in page.entries {
                    // A name that is none (or not text) cannot be reached by path, so it is not shown.
                    let Ok(name) = String::from_utf8(entry.name.0) else { continue };
                    let is_no_name = matches!(name.as_str(), "" | "." | "..") || name.len() > NAME_MAX;
                    if !is_no_name && !name.contains(['/', '\0']) {
                        all.push((name, kind(entry.kind)));
                    }
                }
                if all.len() > MOST_ENTRIES {
                    return Err(Errno::EOVERFLOW);
                }
                match page.next {
                    Some(next) if next > cursor => cursor = next,
                    _ => return Ok(all),
                }
            }
        })
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, len: usize) -> Reply<'a, Vec<u8>> {
        Box::pin(async move {
            let len = len.min(INLINE_LIMIT);
            let call = DriverRead { driver_id: self.driver_id, path: path.into(), offset, len: len as u32 };
            let mut data = self.call(call).await?.data;
            data.truncate(len);
            Ok(data)
        })
    }

    fn write<'a>(&'a self, path: &'a str, offset: u64, data: Vec<u8>) -> Reply<'a, ()> {
        Box::pin(async move {
            let mut at = offset;
            let mut rest = &data[..];
            while !rest.is_empty() {
                let piece = &rest[..rest.len().min(INLINE_LIMIT)];
                let call = DriverWrite {
                    driver_id: self.driver_id,
                    path: path.into(),
                    offset: Some(at),
                    data: piece.to_vec(),
                };
                let written = self.call(call).await?.written;
                let n = usize::try_from(written).unwrap_or(usize::MAX).min(piece.len());
                if n == 0 {
                    return Err(Errno::EIO);
                }
                at += n as u64;
                rest = &rest[n..];
            }
            Ok(())
        })
    }

    fn create_file<'a>(&'a self, path: &'a str, perm: u32) -> Reply<'a, ()> {
        Box::pin(async move {
            self.call(DriverCreate { driver_id: self.driver_id, path: path.into(), mode: perm })
                .await
                .map(drop)
        })
    }

    fn mkdir<'a>(&'a self, path: &'a str, perm: u32) -> Reply<'a, ()> {
        Box::pin(async move {
            self.call(DriverMkdir { driver_id: self.driver_id, path: path.into(), mode: perm })
                .await
                .map(drop)
        })
    }

    fn unlink<'a>(&'a self, path: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            self.call(DriverUnlink { driver_id: self.driver_id, path: path.into() }).await.map(drop)
        })
    }

    fn rmdir<'a>(&'a self, path: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            self.call(DriverRmdir { driver_id: self.driver_id, path: path.into() }).await.map(drop)
        })
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let driver_id = self.driver_id;
            self.call(DriverRename { driver_id, from: from.into(), to: to.into(), no_replace: false })
                .await
                .map(drop)
        })
    }

    fn truncate<'a>(&'a self, path: &'a str, size: u64) -> Reply<'a, ()> {
        Box::pin(async move {
            self.call(DriverTruncate { driver_id: self.driver_id, path: path.into(), size }).await.map(drop)
        })
    }

    fn link<'a>(&'a self, existing: &'a str, new: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let driver_id = self.driver_id;
            self.call(DriverLink { driver_id, from: existing.into(), to: new.into() }).await.map(drop)
        })
    }

    fn symlink<'a>(&'a self, target: &'a str, path: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let driver_id = self.driver_id;
            self.call(DriverSymlink { driver_id, path: path.into(), target: target.into() }).await.map(drop)
        })
    }

    fn read_link<'a>(&'a self, path: &'a str) -> Reply<'a, String> {
        Box::pin(async move {
            let reply = self.call(DriverReadLink { driver_id: self.driver_id, path: path.into() }).await?;
            String::from_utf8(reply.target.0).map_err(|_| Errno::EILSEQ)
        })
    }

    fn chmod<'a>(&'a self, path: &'a str, perm: u32) -> Reply<'a, ()> {
        Box::pin(async move {
            self.call(DriverChmod { driver_id: self.driver_id, path: path.into(), mode: perm })
                .await
                .map(drop)
        })
    }

    fn chown<'a>(&'a self, path: &'a str, uid: u32, gid: u32) -> Reply<'a, ()> {
        Box::pin(async move {
            self.call(DriverChown { driver_id: self.driver_id, path: path.into(), uid, gid }).await.map(drop)
        })
    }

    fn utimes<'a>(&'a self, path: &'a str, atime: Timespec, mtime: Timespec) -> Reply<'a, ()> {
        Box::pin(async move {
            let call = DriverUtimes {
                driver_id: self.driver_id,
                path: path.into(),
                atime_ms: Some(milliseconds(atime)),
                mtime_ms: Some(milliseconds(mtime)),
            };
            self.call(call).await.map(drop)
        })
    }
}
