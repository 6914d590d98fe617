//! An open file of a driver that keeps open files: all goes to its handle. Attributes other than the size go by path, as
//! they do not belong to the content.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::pieces::{self, MAX_CALL};
use super::{DriverHandle, Held, attr};
use crate::{Access, Attr, Errno, OpenFile, Reply, Result, SetAttr};

pub(crate) struct HandleFile {
    pub(crate) held: Held,
    pub(crate) access: Access,
    pub(crate) handle: Arc<dyn DriverHandle>,
}

impl HandleFile {
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(Arc<dyn DriverHandle>) -> BoxFuture<'static, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let handle = self.handle.clone();
        self.held.shared.call(move |_| call(handle)).await
    }

    async fn attr(&self) -> Result<Attr> {
        let stat = self.call(|handle| Box::pin(async move { handle.stat().await })).await?;
        Ok(attr(&stat, self.held.ino))
    }

    /// Bytes written, and where they end.
    async fn write(&self, data: &[u8], mut offset: Option<u64>) -> Result<(usize, u64)> {
        self.held.shared.writable()?;
        if !self.access.write {
            return Err(Errno::EBADF);
        }
        if offset.is_some_and(|at| at.checked_add(data.len() as u64).is_none()) {
            return Err(Errno::EFBIG);
        }
        let (mut done, mut end) = (0, offset.unwrap_or(0));
        for piece in data.chunks(MAX_CALL) {
            let (piece, len) = (piece.to_vec(), piece.len());
            match self.call(move |handle| Box::pin(async move { handle.write(offset, piece).await })).await {
                Ok(at) => (done, end) = (done + len, at),
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
            offset = Some(end);
        }
        Ok((done, end))
    }

    async fn upload(&self) -> Result<()> {
        self.call(|handle| Box::pin(async move { handle.flush().await })).await
    }
}

impl OpenFile for HandleFile {
    fn getattr(&self) -> Reply<'_, Attr> {
        Reply::later(self.attr())
    }

    fn setattr(&self, change: &SetAttr) -> Reply<'_, Attr> {
        let change = *change;
        Reply::later(async move {
            self.held.shared.writable()?;
            if let Some(size) = change.size {
                self.call(move |handle| Box::pin(async move { handle.truncate(size).await })).await?;
            }
            let rest = SetAttr { size: None, ..change };
            if rest == SetAttr::default() {
                return self.attr().await;
            }
            self.held.shared.setattr(self.held.ino, rest).await
        })
    }

    fn read_at<'a>(&'a self, buf: &'a mut [u8], offset: u64) -> Reply<'a, usize> {
        if !self.access.read {
            return Reply::Now(Err(Errno::EBADF));
        }
        let time = self.held.shared.options.timeout;
        let ask = move |at, len| -> BoxFuture<'a, _> {
            Box::pin(self.call(move |handle| Box::pin(async move { handle.read(at, len).await })))
        };
        Reply::later(pieces::read(buf, offset, time, ask))
    }

    fn write_at<'a>(&'a self, data: &'a [u8], offset: u64) -> Reply<'a, usize> {
        Reply::later(async move { Ok(self.write(data, Some(offset)).await?.0) })
    }

    fn append<'a>(&'a self, data: &'a [u8]) -> Reply<'a, (usize, u64)> {
        Reply::later(self.write(data, None))
    }

    fn sync(&self, _data_only: bool) -> Reply<'_, ()> {
        // Also of a file that is open to read only: it is the file that is synced, not what was written here.
        Reply::later(self.upload())
    }

    fn writes_back(&self) -> bool {
        self.access.write
    }

    fn flush(&self) -> Reply<'_, ()> {
        if self.writes_back() { Reply::later(self.upload()) } else { Reply::Now(Ok(())) }
    }
}
