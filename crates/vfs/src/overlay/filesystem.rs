//! [`FileSystem`] for [`Overlay`]: takes its turn and answers at once where the lowers do.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::file::OverlayFile;
use super::table::Source;
use super::{Overlay, Pinned, Shared};
use crate::{
    Access, Attr, DirEntry, Errno, FileContent, FileSystem, FileType, FsStat, Ino, InodePin, Link, Name,
    NameBuf, NewNode, OpenFile, Quota, RenameFlags, Reply, Result, SetAttr, TreeLimits, Usage,
};

/// Answers at once what does not have to wait.
pub(crate) fn eager<'a, T>(future: impl Future<Output = Result<T>> + Send + 'a) -> Reply<'a, T> {
    let mut future = Box::pin(future);
    // A future that waits is polled again with the waker of whoever awaits the reply.
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Reply::Now(result),
        Poll::Pending => Reply::Later(future),
    }
}

impl Shared {
    /// The layer an inode is in now.
    fn source(&self, ino: Ino) -> Result<(Source, FileType)> {
        let node = self.table.lock().node(ino)?;
        let source = match node.upper {
            Some(ino) => Source { layer: 0, ino },
            None => *node.lowers.first().ok_or(Errno::ENOENT)?,
        };
        Ok((source, node.kind))
    }

    async fn open(self: &Arc<Self>, ino: Ino, access: Access) -> Result<Arc<dyn OpenFile>> {
        let (mut source, kind) = self.source(ino)?;
        match kind {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            FileType::Symlink => return Err(Errno::ELOOP),
            _ => return Err(Errno::ENXIO),
        }
        if access.write {
            source = Source { layer: 0, ino: self.upper_file(ino, u64::MAX).await? };
        }
        let file = self.fs(source.layer).open(source.ino, access).await?;
        let pinned = Pinned::new(self, ino)?;
        Ok(Arc::new(OverlayFile::new(pinned, access, file, source.layer == 0)))
    }

    fn readable(&self, ino: Ino) -> Result<Source> {
        match self.source(ino)? {
            (source, FileType::Symlink) => Ok(source),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl FileSystem for Overlay {
    fn type_name(&self) -> &str {
        "overlay"
    }

    fn root(&self) -> Ino {
        self.0.table.lock().root
    }

    fn lookup(&self, dir: Ino, name: &Name) -> Reply<'_, Attr> {
        let name = NameBuf::new(name);
        eager(async move {
            let _turn = self.0.turn.read().await;
            Ok(self.0.see(dir, &name?).await?.attr)
        })
    }

    fn parent(&self, dir: Ino) -> Reply<'_, Ino> {
        let mut table = self.0.table.lock();
        let root = table.root;
        Reply::Now(table.place_of(dir).map(|place| place.map_or(root, |(parent, _)| parent)))
    }

    fn name_of(&self, dir: Ino) -> Reply<'_, Option<(Ino, NameBuf)>> {
        Reply::Now(self.0.table.lock().place_of(dir))
    }

    fn getattr(&self, ino: Ino) -> Reply<'_, Attr> {
        eager(async move {
            let _turn = self.0.turn.read().await;
            self.0.attr(ino).await
        })
    }

    fn setattr(&self, ino: Ino, change: &SetAttr) -> Reply<'_, Attr> {
        let change = *change;
        eager(async move {
            let _turn = self.0.turn.write().await;
            self.0.setattr(ino, change).await
        })
    }

    fn readlink(&self, ino: Ino, pid: u32) -> Reply<'_, Link> {
        eager(async move {
            let _turn = self.0.turn.read().await;
            let source = self.0.readable(ino)?;
            self.0.fs(source.layer).readlink(source.ino, pid).await
        })
    }

    fn create(&self, dir: Ino, name: &Name, node: &NewNode) -> Reply<'_, Attr> {
        let (name, node) = (NameBuf::new(name), node.clone());
        eager(async move {
            let _turn = self.0.turn.write().await;
            self.0.create(dir, &name?, &node).await
        })
    }

    fn link(&self, ino: Ino, dir: Ino, name: &Name) -> Reply<'_, Attr> {
        let name = NameBuf::new(name);
        eager(async move {
            let _turn = self.0.turn.write().await;
            self.0.link(ino, dir, &name?).await
        })
    }

    fn unlink(&self, dir: Ino, name: &Name) -> Reply<'_, ()> {
        let name = NameBuf::new(name);
        eager(async move {
            let _turn = self.0.turn.write().await;
            self.0.unlink(dir, &name?).await
        })
    }

    fn rmdir(&self, dir: Ino, name: &Name) -> Reply<'_, ()> {
        let name = NameBuf::new(name);
        eager(async move {
            let _turn = self.0.turn.write().await;
            self.0.rmdir(dir, &name?).await
        })
    }

    fn rename(
        &self,
        from_dir: Ino,
        from: &Name,
        to_dir: Ino,
        to: &Name,
        flags: RenameFlags,
    ) -> Reply<'_, ()> {
        let (from, to) = (NameBuf::new(from), NameBuf::new(to));
        eager(async move {
            let _turn = self.0.turn.write().await;
            self.0.rename(from_dir, &from?, to_dir, &to?, flags).await
        })
    }

    fn readdir(&self, dir: Ino) -> Reply<'_, Vec<DirEntry>> {
        eager(async move {
            let _turn = self.0.turn.read().await;
            self.0.readdir(dir).await
        })
    }

    fn open(&self, ino: Ino, access: Access) -> Reply<'_, Arc<dyn OpenFile>> {
        eager(async move {
            if access.write {
                let _turn = self.0.turn.write().await;
                return self.0.open(ino, access).await;
            }
            let _turn = self.0.turn.read().await;
            self.0.open(ino, access).await
        })
    }

    fn pin(&self, ino: Ino) -> InodePin {
        let Ok(pinned) = Pinned::new(&self.0, ino) else { return InodePin::none() };
        let Ok(node) = self.0.table.lock().node(ino) else { return InodePin::none() };
        let layers = node.upper.map(|ino| Source { layer: 0, ino }).into_iter().chain(node.lowers);
        let below: Vec<InodePin> = layers.map(|source| self.0.fs(source.layer).pin(source.ino)).collect();
        InodePin::new((pinned, below))
    }

    fn content(&self, ino: Ino) -> Option<FileContent> {
        let (source, _) = self.0.source(ino).ok()?;
        self.0.fs(source.layer).content(source.ino)
    }

    fn fork(&self) -> Option<Arc<dyn FileSystem>> {
        Some(Arc::new(self.copy()))
    }

    fn statfs(&self) -> Reply<'_, FsStat> {
        self.0.upper.statfs()
    }

    fn share(&self, quota: &Arc<Quota>) {
        self.0.upper.share(quota);
    }

    fn account(&self) -> Option<(Usage, TreeLimits)> {
        self.0.upper.account()
    }
}
