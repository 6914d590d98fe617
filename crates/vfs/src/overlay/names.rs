//! Creating, linking, removing and moving names of a union. The rules are those of a tree; the lowers stay as they are.

use super::Shared;
use super::look::Seen;
use crate::name;
use crate::{Attr, Errno, FileSystem, FileType, Ino, NewKind, NewNode, RenameFlags, Result, SetAttr};

impl Shared {
    async fn see_if_there(&self, dir: Ino, name: &[u8]) -> Result<Option<Seen>> {
        match self.see(dir, name).await {
            Ok(seen) => Ok(Some(seen)),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The upper directory in which a free name can be made.
    async fn vacant(&self, dir: Ino, name: &[u8]) -> Result<Ino> {
        name::check(name)?;
        if self.see_if_there(dir, name).await?.is_some() {
            return Err(Errno::EEXIST);
        }
        self.upper_dir(dir).await
    }

    pub(crate) async fn create(&self, dir: Ino, name: &[u8], node: &NewNode) -> Result<Attr> {
        let upper = self.vacant(dir, name).await?;
        if node.kind == NewKind::CharDevice(0) {
            // That is what a whiteout looks like.
            return Err(Errno::EPERM);
        }
        self.upper.create_over(upper, name, node)?;
        Ok(self.see(dir, name).await?.attr)
    }

    pub(crate) async fn link(&self, ino: Ino, dir: Ino, name: &[u8]) -> Result<Attr> {
        let upper = self.vacant(dir, name).await?;
        let attr = self.attr(ino).await?;
        match attr.nlink {
            _ if attr.kind == FileType::Directory => return Err(Errno::EPERM),
            0 => return Err(Errno::ENOENT),
            _ => {}
        }
        let file = self.upper_file(ino, u64::MAX).await?;
        self.upper.link_over(file, upper, name)?;
        self.table.lock().linked(ino);
        Ok(self.see(dir, name).await?.attr)
    }

    pub(crate) async fn unlink(&self, dir: Ino, name: &[u8]) -> Result<()> {
        let seen = self.see(dir, name).await?;
        if seen.attr.kind == FileType::Directory {
            return Err(Errno::EISDIR);
        }
        self.remove(dir, name, &seen).await
    }

    pub(crate) async fn rmdir(&self, dir: Ino, name: &[u8]) -> Result<()> {
        let seen = self.see(dir, name).await?;
        if seen.attr.kind != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        if !self.entries(seen.attr.ino).await?.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.remove(dir, name, &seen).await
    }

    async fn remove(&self, dir: Ino, name: &[u8], seen: &Seen) -> Result<()> {
        let upper = self.upper_dir(dir).await?;
        // Held over the change: afterwards the copy must still be known to whoever has it open.
        self.upper.remove_over(upper, name, seen.in_lower)?;
        self.lost(dir, name, seen);
        Ok(())
    }

    /// Books that a name is gone.
    fn lost(&self, dir: Ino, name: &[u8], seen: &Seen) {
        let mut table = self.table.lock();
        if seen.attr.kind == FileType::Directory
            && !seen.in_upper
            && let Ok(parent) = table.node_mut(dir)
            && let Some(count) = &mut parent.lower_subdirs
        {
            *count = count.saturating_sub(1);
        }
        table.unlinked(seen.attr.ino, dir, name, seen.attr.nlink);
    }

    pub(crate) async fn rename(
        &self,
        from_dir: Ino,
        from: &[u8],
        to_dir: Ino,
        to: &[u8],
        flags: RenameFlags,
    ) -> Result<()> {
        if flags.no_replace && flags.exchange {
            return Err(Errno::EINVAL);
        }
        name::check(to)?;
        let source = self.see(from_dir, from).await?;
        let target = self.see_if_there(to_dir, to).await?;
        if self.table.lock().node(to_dir)?.removed {
            return Err(Errno::ENOENT);
        }
        if flags.no_replace && target.is_some() {
            return Err(Errno::EEXIST);
        }
        if flags.exchange && target.is_none() {
            return Err(Errno::ENOENT);
        }
        let is_dir = |seen: &Seen| seen.attr.kind == FileType::Directory;
        {
            let table = self.table.lock();
            if is_dir(&source) && table.is_within(to_dir, source.attr.ino) {
                return Err(Errno::EINVAL);
            }
            if target.as_ref().is_some_and(|seen| is_dir(seen) && table.is_within(from_dir, seen.attr.ino)) {
                return Err(if flags.exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
            }
        }
        if target.as_ref().is_some_and(|seen| seen.attr.ino == source.attr.ino) {
            return Ok(());
        }
        if let (Some(target), false) = (&target, flags.exchange) {
            match (is_dir(&source), is_dir(target)) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                (true, true) if !self.entries(target.attr.ino).await?.is_empty() => {
                    return Err(Errno::ENOTEMPTY);
                }
                _ => {}
            }
        }
        let (upper_from, upper_to) = (self.upper_dir(from_dir).await?, self.upper_dir(to_dir).await?);
        self.bring(&source, upper_from, from).await?;
        if let (Some(target), true) = (&target, flags.exchange) {
            self.bring(target, upper_to, to).await?;
        }
        let hide = source.in_lower && !flags.exchange;
        self.upper.rename_over((upper_from, from), (upper_to, to), flags, hide)?;
        match target {
            Some(target) if flags.exchange => {
                self.table.lock().place(target.attr.ino, from_dir, Some(from));
            }
            Some(target) => self.lost(to_dir, to, &target),
            None => {}
        }
        self.table.lock().place(source.attr.ino, to_dir, Some(to));
        Ok(())
    }

    /// Has a name and all it leads to in the upper.
    async fn bring(&self, seen: &Seen, dir: Ino, name: &[u8]) -> Result<()> {
        if seen.attr.kind == FileType::Directory {
            self.upper_tree(seen.attr.ino).await?;
            return Ok(());
        }
        let file = self.upper_file(seen.attr.ino, u64::MAX).await?;
        self.upper.adopt_name(file, dir, name)
    }

    pub(crate) async fn setattr(&self, ino: Ino, change: SetAttr) -> Result<Attr> {
        let attr = self.attr(ino).await?;
        if change == SetAttr::default() {
            return Ok(attr);
        }
        if change.size.is_some() {
            match attr.kind {
                FileType::Regular => {}
                FileType::Directory => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
        }
        let upper = match attr.kind {
            FileType::Directory => self.upper_dir(ino).await?,
            _ => self.upper_file(ino, change.size.unwrap_or(u64::MAX)).await?,
        };
        self.upper.setattr(upper, &change).await?;
        self.attr(ino).await
    }
}
