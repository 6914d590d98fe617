//! Reading, writing and the attributes of inodes. Names are in `names`.

use super::content::{Content, MAX_FILE};
use super::inode::{Body, Inode};
use super::state::State;
use crate::{Attr, Errno, Ino, Result, SetAttr, SetTime, Timespec};

impl State {
    /// Reads; the second answer says that the access time must be moved.
    pub(crate) fn read(&self, ino: Ino, buf: &mut [u8], offset: u64) -> Result<(usize, bool)> {
        let inode = self.get(ino)?;
        match &inode.body {
            Body::Regular(content) => {
                let n = content.read(buf, offset);
                Ok((n, !buf.is_empty() && inode.atime_is_old(Timespec::now())))
            }
            Body::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    pub(crate) fn touch_atime(&mut self, ino: Ino) -> Result<()> {
        self.edit(ino, |inode| inode.atime = Timespec::now())
    }

    pub(crate) fn write(&mut self, ino: Ino, data: &[u8], offset: u64) -> Result<usize> {
        self.regular(ino)?;
        if data.is_empty() {
            return Ok(0);
        }
        let room = MAX_FILE.checked_sub(offset).filter(|&room| room > 0).ok_or(Errno::EFBIG)?;
        let data = &data[..usize::try_from(room).unwrap_or(usize::MAX).min(data.len())];
        let budget = self.budget(Content::most_charged(offset, data.len()));
        let written = self.edit_charged(ino, |inode| {
            let Body::Regular(content) = &mut inode.body else { return 0 };
            let written = content.write(data, offset, budget);
            if written > 0 {
                inode.modified(Timespec::now());
            }
            written
        })?;
        if written == 0 { Err(Errno::ENOSPC) } else { Ok(written) }
    }

    /// Writes at the end; returns how much, and the new end.
    pub(crate) fn append(&mut self, ino: Ino, data: &[u8]) -> Result<(usize, u64)> {
        let end = self.regular(ino)?;
        let written = self.write(ino, data, end)?;
        Ok((written, end + written as u64))
    }

    /// The size of a regular file.
    fn regular(&self, ino: Ino) -> Result<u64> {
        match &self.get(ino)?.body {
            Body::Regular(content) => Ok(content.size()),
            Body::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    pub(crate) fn setattr(&mut self, ino: Ino, change: &SetAttr) -> Result<Attr> {
        if let Some(size) = change.size {
            self.regular(ino)?;
            if size > MAX_FILE {
                return Err(Errno::EFBIG);
            }
        }
        if [change.atime, change.mtime]
            .iter()
            .any(|time| matches!(time, Some(SetTime::At(t)) if t.nanos >= 1_000_000_000))
        {
            return Err(Errno::EINVAL);
        }
        if *change != SetAttr::default() {
            self.edit_charged(ino, |inode| apply(inode, change, Timespec::now()))?;
        }
        Ok(self.get(ino)?.attr(ino))
    }
}

fn apply(inode: &mut Inode, change: &SetAttr, now: Timespec) {
    if let Some(size) = change.size
        && let Body::Regular(content) = &mut inode.body
    {
        content.set_size(size);
        inode.modified(now);
    }
    if change.uid.is_some() || change.gid.is_some() {
        inode.uid = change.uid.unwrap_or(inode.uid);
        inode.gid = change.gid.unwrap_or(inode.gid);
        if !matches!(inode.body, Body::Directory(_)) {
            inode.drop_set_ids();
        }
    }
    if let Some(perm) = change.perm
        && !matches!(inode.body, Body::Symlink(_))
    {
        inode.perm = perm & 0o7777;
    }
    let at = |time| match time {
        SetTime::Now => now,
        SetTime::At(time) => time,
    };
    if let Some(time) = change.atime {
        inode.atime = at(time);
    }
    if let Some(time) = change.mtime {
        inode.mtime = at(time);
    }
    inode.ctime = now;
}
