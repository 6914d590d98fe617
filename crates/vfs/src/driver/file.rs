//! An open file of a driver: its number, by which the path of the moment is found. It buffers nothing.

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::Held;
use super::pieces::{self, MAX_CALL};
use crate::{Access, Attr, Errno, OpenFile, Reply, SetAttr};

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
        let ask = move |at, len| -> BoxFuture<'a, _> {
            Box::pin(async move {
                let path = shared.path(self.held.ino)?;
                shared.call(move |driver| Box::pin(async move { driver.read(&path, at, len).await })).await
            })
        };
        Reply::later(pieces::read(buf, offset, shared.options.timeout, ask))
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
