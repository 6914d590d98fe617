//! An open file of a union. One that was opened to read follows its inode into the upper when somebody else changes it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Pinned;
use crate::{Access, Attr, Errno, FileSystem, OpenFile, Reply, Result, SetAttr};

pub(crate) struct OverlayFile {
    pinned: Pinned,
    access: Access,
    /// The file of a layer, and whether that is the upper.
    open: Mutex<(Arc<dyn OpenFile>, bool)>,
}

impl OverlayFile {
    pub(crate) fn new(pinned: Pinned, access: Access, open: Arc<dyn OpenFile>, in_upper: bool) -> Self {
        OverlayFile { pinned, access, open: Mutex::new((open, in_upper)) }
    }

    async fn current(&self) -> Result<Arc<dyn OpenFile>> {
        let (file, in_upper) = self.open.lock().clone();
        if in_upper {
            return Ok(file);
        }
        let Some(upper) = self.pinned.shared.table.lock().node(self.pinned.ino)?.upper else {
            return Ok(file);
        };
        let file = self.pinned.shared.upper.open(upper, self.access).await?;
        *self.open.lock() = (file.clone(), true);
        Ok(file)
    }
}

impl OpenFile for OverlayFile {
    fn getattr(&self) -> Reply<'_, Attr> {
        super::filesystem::eager(async move {
            let shared = &self.pinned.shared;
            let _turn = shared.turn.read().await;
            shared.attr(self.pinned.ino).await
        })
    }

    fn setattr(&self, change: &SetAttr) -> Reply<'_, Attr> {
        let change = *change;
        super::filesystem::eager(async move {
            let shared = &self.pinned.shared;
            let _turn = shared.turn.write().await;
            shared.setattr(self.pinned.ino, change).await
        })
    }

    fn read_at<'a>(&'a self, buf: &'a mut [u8], offset: u64) -> Reply<'a, usize> {
        super::filesystem::eager(async move { self.current().await?.read_at(buf, offset).await })
    }

    fn write_at<'a>(&'a self, data: &'a [u8], offset: u64) -> Reply<'a, usize> {
        if !self.access.write {
            return Reply::Now(Err(Errno::EBADF));
        }
        super::filesystem::eager(async move { self.current().await?.write_at(data, offset).await })
    }

    fn append<'a>(&'a self, data: &'a [u8]) -> Reply<'a, (usize, u64)> {
        if !self.access.write {
            return Reply::Now(Err(Errno::EBADF));
        }
        super::filesystem::eager(async move { self.current().await?.append(data).await })
    }

    fn sync(&self, data_only: bool) -> Reply<'_, ()> {
        super::filesystem::eager(async move { self.current().await?.sync(data_only).await })
    }

    fn writes_back(&self) -> bool {
        self.open.lock().0.writes_back()
    }

    fn flush(&self) -> Reply<'_, ()> {
        super::filesystem::eager(async move { self.current().await?.flush().await })
    }
}
