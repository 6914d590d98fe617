//! [`FileSystem`] for [`Tree`]: every answer is there at once. The rules are in `names` and `data`.

use std::sync::Arc;

use super::file::TreeFile;
use super::{Body, FileContent, Quota, ROOT, Tree, TreeLimits, Usage, descend};
use crate::{
    Access, Attr, Descent, DirEntry, Errno, FileSystem, FsStat, Ino, InodePin, Link, Listing, Name, NameBuf,
    NewNode, OpenFile, RenameFlags, Reply, Result, SetAttr, Steps,
};

/// Bytes of a block in statfs.
const BLOCK: u64 = 4096;

impl Tree {
    fn find(&self, dir: Ino, name: &Name) -> Result<Attr> {
        let state = self.0.state.read();
        let entry = state.entry(dir, name)?;
        Ok(state.get(entry.ino)?.attr(entry.ino))
    }

    fn open_file(&self, ino: Ino, access: Access) -> Result<Arc<dyn OpenFile>> {
        let state = self.0.state.read();
        match &state.get(ino)?.body {
            Body::Regular(_) => {
                let held = self.0.pin(ino);
                Ok(Arc::new(TreeFile { held, read: access.read, write: access.write }))
            }
            Body::Directory(_) => Err(Errno::EISDIR),
            Body::Symlink(_) => Err(Errno::ELOOP),
            _ => Err(Errno::ENXIO),
        }
    }

    fn entries(&self, dir: Ino) -> Result<Vec<DirEntry>> {
        let state = self.0.state.read();
        let entries = &state.dir(dir)?.entries;
        Ok(entries
            .iter()
            .map(|(name, entry)| DirEntry { ino: entry.ino, kind: entry.kind, name: Box::from(&name[..]) })
            .collect())
    }

    fn place(&self, dir: Ino) -> Result<Option<(Ino, NameBuf)>> {
        if dir == ROOT {
            return Ok(None);
        }
        let state = self.0.state.read();
        let own = state.dir(dir)?;
        let parent = state.get(dir)?.homes.one().ok_or(Errno::ENOENT)?;
        Ok(Some((parent, NameBuf::new(&own.name)?)))
    }
}

impl FileSystem for Tree {
    fn type_name(&self) -> &str {
        "tmpfs"
    }

    fn root(&self) -> Ino {
        ROOT
    }

    fn lookup(&self, dir: Ino, name: &Name) -> Reply<'_, Attr> {
        Reply::Now(self.find(dir, name))
    }

    fn descend(&self, dir: Ino, steps: Steps<'_>) -> Option<Descent> {
        descend::descend(&self.0.state.read(), dir, steps)
    }

    fn parent(&self, dir: Ino) -> Reply<'_, Ino> {
        if dir == ROOT {
            return Reply::Now(Ok(ROOT));
        }
        let state = self.0.state.read();
        Reply::Now(
            state.dir(dir).and_then(|_| state.get(dir)).and_then(|i| i.homes.one().ok_or(Errno::ENOENT)),
        )
    }

    fn getattr(&self, ino: Ino) -> Reply<'_, Attr> {
        Reply::Now(self.0.state.read().get(ino).map(|inode| inode.attr(ino)))
    }

    fn setattr(&self, ino: Ino, change: &SetAttr) -> Reply<'_, Attr> {
        Reply::Now(self.0.state.write().setattr(ino, change))
    }

    fn readlink(&self, ino: Ino, _pid: u32) -> Reply<'_, Link> {
        Reply::Now(match self.0.state.read().get(ino).map(|inode| &inode.body) {
            Ok(Body::Symlink(target)) => Ok(Link::Path(target.to_vec())),
            Ok(_) => Err(Errno::EINVAL),
            Err(error) => Err(error),
        })
    }

    fn create(&self, dir: Ino, name: &Name, node: &NewNode) -> Reply<'_, Attr> {
        Reply::Now(self.0.state.write().create(dir, name, node, Body::from(&node.kind)))
    }

    fn link(&self, ino: Ino, dir: Ino, name: &Name) -> Reply<'_, Attr> {
        Reply::Now(self.0.state.write().link(ino, dir, name))
    }

    fn unlink(&self, dir: Ino, name: &Name) -> Reply<'_, ()> {
        Reply::Now(self.0.state.write().unlink(dir, name))
    }

    fn rmdir(&self, dir: Ino, name: &Name) -> Reply<'_, ()> {
        Reply::Now(self.0.state.write().rmdir(dir, name))
    }

    fn rename(
        &self,
        from_dir: Ino,
        from: &Name,
        to_dir: Ino,
        to: &Name,
        flags: RenameFlags,
    ) -> Reply<'_, ()> {
        Reply::Now(self.0.state.write().rename(from_dir, from, to_dir, to, flags))
    }

    fn readdir(&self, dir: Ino) -> Reply<'_, Vec<DirEntry>> {
        Reply::Now(self.entries(dir))
    }

    fn listing(&self, dir: Ino) -> Reply<'_, Listing> {
        let names = self.0.state.read().dir(dir).map(|directory| directory.entries.clone());
        Reply::Now(names.map(Listing::of_names))
    }

    fn open(&self, ino: Ino, access: Access) -> Reply<'_, Arc<dyn OpenFile>> {
        Reply::Now(self.open_file(ino, access))
    }

    fn name_of(&self, dir: Ino) -> Reply<'_, Option<(Ino, NameBuf)>> {
        Reply::Now(self.place(dir))
    }

    fn pin(&self, ino: Ino) -> InodePin {
        self.pin_ino(ino)
    }

    fn content(&self, ino: Ino) -> Option<FileContent> {
        match &self.0.state.read().get(ino).ok()?.body {
            Body::Regular(content) => Some(FileContent(content.clone())),
            _ => None,
        }
    }

    fn fork(&self) -> Option<Arc<dyn FileSystem>> {
        Some(Arc::new(self.copy()))
    }

    fn tree(&self) -> Option<&Tree> {
        Some(self)
    }

    fn sync(&self) -> Reply<'_, ()> {
        self.0.sync()
    }

    fn read_only(&self) -> bool {
        self.sealed()
    }

    fn statfs(&self) -> Reply<'_, FsStat> {
        let (usage, limits) = self.0.state.read().account();
        Reply::Now(Ok(FsStat {
            block_size: BLOCK,
            blocks: limits.bytes / BLOCK,
            blocks_free: limits.bytes.saturating_sub(usage.bytes) / BLOCK,
            inodes: limits.inodes,
            inodes_free: limits.inodes.saturating_sub(usage.inodes),
        }))
    }

    fn share(&self, quota: &Arc<Quota>) {
        self.share_beyond(quota, Usage::default());
    }

    fn account(&self) -> Option<(Usage, TreeLimits)> {
        Some(self.0.state.read().account())
    }
}
