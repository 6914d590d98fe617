//! Copying lower inodes into the upper before they change. To the eye nothing happens: numbers, times and names stay.

use super::Shared;
use super::table::{Node, Source};
use crate::layer::Meta;
use crate::tree::{Body, Content, Directory};
use crate::{Access, Attr, Errno, FileType, Ino, Link, Result};

/// Bytes copied at a time.
const PIECE: usize = 256 << 10;
/// The deepest directory that is copied up, in components.
const MAX_DEPTH: usize = 4096;

impl Shared {
    /// The upper number of a directory, copied up with all above it.
    pub(crate) async fn upper_dir(&self, dir: Ino) -> Result<Ino> {
        let mut missing = Vec::new();
        let mut at = dir;
        let mut upper = loop {
            let node = self.table.lock().node(at)?;
            if node.removed {
                return Err(Errno::ENOENT);
            }
            if let Some(upper) = node.upper {
                break upper;
            }
            if missing.len() >= MAX_DEPTH {
                return Err(Errno::ENAMETOOLONG);
            }
            let parent = node.parent;
            missing.push((at, node));
            at = parent;
        };
        for (ino, node) in missing.into_iter().rev() {
            upper = self.copy_dir(ino, &node, upper).await?;
        }
        Ok(upper)
    }

    async fn copy_dir(&self, ino: Ino, node: &Node, parent: Ino) -> Result<Ino> {
        let source = *node.lowers.first().ok_or(Errno::ENOENT)?;
        let name = node.name.as_deref().ok_or(Errno::ENOENT)?;
        let attr = self.fs(source.layer).getattr(source.ino).await?;
        let copy =
            self.upper.adopt(parent, name, &Meta::of_attr(&attr), Body::Directory(Directory::default()))?;
        let upper = copy.ino();
        let mut table = self.table.lock();
        table.copied(ino, copy, 1);
        // The parent has it in its upper now.
        if let Ok(parent) = table.node_mut(node.parent)
            && let Some(count) = &mut parent.lower_subdirs
        {
            *count = count.saturating_sub(1);
        }
        Ok(upper)
    }

    /// The upper number of an inode that is no directory; of a regular file at most `keep` bytes are copied.
    pub(crate) async fn upper_file(&self, ino: Ino, keep: u64) -> Result<Ino> {
        let node = self.table.lock().node(ino)?;
        if let Some(upper) = node.upper {
            return Ok(upper);
        }
        let source = *node.lowers.first().ok_or(Errno::ENOENT)?;
        let attr = self.fs(source.layer).getattr(source.ino).await?;
        let body = self.body(source, &attr, keep).await?;
        let meta = Meta::of_attr(&attr);
        let copy = match &node.name {
            Some(name) => {
                let dir = self.upper_dir(node.parent).await?;
                self.upper.adopt(dir, name, &meta, body)?
            }
            // Its name is gone, but it is open, or has others.
            None => self.upper.adopt_orphan(&meta, body)?,
        };
        let upper = copy.ino();
        self.table.lock().copied(ino, copy, attr.nlink);
        Ok(upper)
    }

    async fn body(&self, source: Source, attr: &Attr, keep: u64) -> Result<Body> {
        let fs = self.fs(source.layer);
        Ok(match attr.kind {
            FileType::Regular => Body::Regular(self.content(source, attr.size.min(keep)).await?),
            FileType::Symlink => match fs.readlink(source.ino, 0).await? {
                Link::Path(target) => Body::Symlink(target.into()),
                Link::Descriptor { .. } | Link::Directory { .. } => return Err(Errno::EPERM),
            },
            FileType::CharDevice => Body::CharDevice(attr.rdev),
            FileType::BlockDevice => Body::BlockDevice(attr.rdev),
            FileType::Fifo => Body::Fifo,
            FileType::Socket => Body::Socket,
            FileType::Directory => return Err(Errno::EISDIR),
        })
    }

    async fn content(&self, source: Source, keep: u64) -> Result<Content> {
        if keep == 0 {
            return Ok(Content::default());
        }
        let fs = self.fs(source.layer);
        if let Some(shared) = fs.content(source.ino) {
            let mut content = shared.0;
            if content.size() > keep {
                content.set_size(keep);
            }
            return Ok(content);
        }
        let file = fs.open(source.ino, Access { read: true, write: false }).await?;
        let mut content = Content::default();
        let mut piece = vec![0; PIECE];
        let budget = self.upper.bytes_left();
        while content.size() < keep {
            let want = usize::try_from(keep - content.size()).unwrap_or(PIECE).min(PIECE);
            let n = file.read_at(&mut piece[..want], content.size()).await?;
            if n == 0 {
                break;
            }
            let left = budget.saturating_sub(content.charge());
            if content.write(&piece[..n], content.size(), left) < n {
                return Err(Errno::ENOSPC);
            }
        }
        Ok(content)
    }

    /// Copies a directory up with all it holds, and cuts it off from the lowers: it is about to move.
    pub(crate) async fn upper_tree(&self, dir: Ino) -> Result<Ino> {
        let upper = self.upper_dir(dir).await?;
        let mut todo = vec![dir];
        let mut done = Vec::new();
        while let Some(dir) = todo.pop() {
            let own = self.upper_dir(dir).await?;
            if self.table.lock().node(dir)?.lowers.is_empty() {
                // All of it is in the upper, and all below: a directory is cut off only after what it holds.
                continue;
            }
            for (name, kind, _) in self.entries(dir).await? {
                let seen = self.see(dir, &name).await?;
                if kind == FileType::Directory {
                    self.upper_dir(seen.attr.ino).await?;
                    todo.push(seen.attr.ino);
                } else {
                    let file = self.upper_file(seen.attr.ino, u64::MAX).await?;
                    self.upper.adopt_name(file, own, &name)?;
                }
            }
            done.push((dir, own));
        }
        for (dir, own) in done.into_iter().rev() {
            self.upper.make_opaque(own)?;
            let mut table = self.table.lock();
            let node = table.node_mut(dir)?;
            node.lowers.clear();
            node.lower_subdirs = None;
        }
        Ok(upper)
    }
}
