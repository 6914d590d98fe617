//! An open file of a driver: its number, by which the path of the moment is found. It buffers nothing.

use tokio::sync::Mutex;

use super::Held;
use crate::{Access, Attr, Errno, OpenFile, Reply, SetAttr};

/// The most bytes of one call.
const MAX_CALL: usize = 1 << 20;

pub(crate) struct DriverFile {
    pub(crate) held: Held,
    pub(crate) access: Access,
    /// Appends go one by one: the end is looked up before each.
    pub(crate) appending: Mutex<()>,
}

impl DriverFile {
    async fn write(&self, data: &[u8], offset: u64) -> crate::Result<usize> {
        let shared = &self.held.shared;
        shared.writable()?;
        if !self.access.write {
            return Err(Errno::EBADF);
        }
        if offset.checked_add(data.len() as u64).is_none() {
            return Err(Errno::EFBIG);
        }
        let mut done = 0;
        for piece in data.chunks(MAX_CALL) {
            let path = shared.path(self.held.ino)?;
            let (piece, at) = (piece.to_vec(), offset + done as u64);
            let len = piece.len();
            let result = shared
                .call(move |driver| Box::pin(async move { driver.write(&path, at, piece).await }))
                .await;
            match result {
                Ok(()) => done += len,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl OpenFile for DriverFile {
    fn getattr(&self) -> Reply<'_, Attr> {
        Reply::later(self.held.shared.attr(self.held.ino))
    }

    fn setattr(&self, change: &SetAttr) -> Reply<'_, Attr> {
        let change = *change;
        Reply::later(async move { self.held.shared.setattr(self.held.ino, change).await })
    }

    fn read_at<'a>(&'a self, buf: &'a mut [u8], offset: u64) -> Reply<'a, usize> {
        if !self.access.read {
            return Reply::Now(Err(Errno::EBADF));
        }
        let shared = &self.held.shared;
        Reply::later(async move {
            let (mut done, begin) = (0, std::time::Instant::now());
            // A driver that answers in small pieces has the time of one call for all of them.
            while done < buf.len() && begin.elapsed() <= shared.options.timeout {
                let path = shared.path(self.held.ino)?;
                let (len, Some(at)) = ((buf.len() - done).min(MAX_CALL), offset.checked_add(done as u64))
                else {
                    break;
                };
                let piece = shared
                    .call(move |driver| Box::pin(async move { driver.read(&path, at, len).await }))
                    .await;
                let piece = match piece {
                    Ok(piece) => piece,
                    Err(_) if done > 0 => break,
                    Err(error) => return Err(error),
                };
                if piece.is_empty() {
                    break;
                }
                // More than was asked for is a fault of the driver; the guest gets what fits.
                let n = piece.len().min(len);
                buf[done..done + n].copy_from_slice(&piece[..n]);
                done += n;
            }
            Ok(done)
        })
    }

    fn write_at<'a>(&'a self, data: &'a [u8], offset: u64) -> Reply<'a, usize> {
        Reply::later(self.write(data, offset))
    }

    fn append<'a>(&'a self, data: &'a [u8]) -> Reply<'a, (usize, u64)> {
        Reply::later(async move {
            let _turn = self.appending.lock().await;
            let end = self.held.shared.attr(self.held.ino).await?.size;
            let n = self.write(data, end).await?;
            Ok((n, end + n as u64))
        })
    }

    fn sync(&self, _data_only: bool) -> Reply<'_, ()> {
        Reply::Now(Ok(()))
    }
}
