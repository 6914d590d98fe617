//! Filling a tree by path: base layers, tests, programs that look on. Links are not followed, nobody's rights checked.

use std::sync::Arc;

use super::content::Content;
use super::{Body, FileContent, ROOT, Tree};
use crate::{Errno, FileSystem, FileType, Ino, NewKind, NewNode, Result, SetAttr};

fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|part| !part.is_empty())
}

fn split(path: &[u8]) -> Result<(&[u8], &[u8])> {
    let end = path.iter().rposition(|&byte| byte != b'/').ok_or(Errno::EEXIST)? + 1;
    let start = path[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    Ok((&path[..start], &path[start..end]))
}

impl Tree {
    /// The inode at `path`, symbolic links not followed. ENOENT, ENOTDIR.
    pub fn ino_at(&self, path: impl AsRef<[u8]>) -> Result<Ino> {
        let state = self.0.state.read();
        parts(path.as_ref()).try_fold(ROOT, |dir, part| state.entry(dir, part).map(|entry| entry.ino))
    }

    /// The directory at `path`; missing ones are made with mode 755 and belong to `uid:gid`.
    pub fn mkdir_p(&self, path: impl AsRef<[u8]>, uid: u32, gid: u32) -> Result<Ino> {
        let mut state = self.0.state.write();
        let node = NewNode { kind: NewKind::Directory, perm: 0o755, uid, gid };
        parts(path.as_ref()).try_fold(ROOT, |dir, part| match state.entry(dir, part) {
            Ok(entry) if entry.kind == FileType::Directory => Ok(entry.ino),
            Ok(_) => Err(Errno::ENOTDIR),
            Err(Errno::ENOENT) => state.create(dir, part, &node, Body::from(&node.kind)).map(|attr| attr.ino),
            Err(error) => Err(error),
        })
    }

    /// A directory with exactly these attributes; parents are made as by [`Tree::mkdir_p`] for 0:0.
    pub fn put_dir(&self, path: impl AsRef<[u8]>, perm: u32, uid: u32, gid: u32) -> Result<Ino> {
        let ino = self.mkdir_p(path, 0, 0)?;
        let change = SetAttr { perm: Some(perm), uid: Some(uid), gid: Some(gid), ..SetAttr::default() };
        self.0.state.write().setattr(ino, &change)?;
        Ok(ino)
    }

    /// A file of this content, without a copy when it is `bytes::Bytes`, `&'static [u8]` or `&'static str`. A file that
    /// is there is replaced, parents are made. EISDIR, ENOTDIR, ENOSPC.
    pub fn put_file(
        &self,
        path: impl AsRef<[u8]>,
        perm: u32,
        uid: u32,
        gid: u32,
        content: impl Into<bytes::Bytes>,
    ) -> Result<Ino> {
        self.put(path.as_ref(), perm, uid, gid, Body::Regular(Content::from(content.into())))
    }

    /// A file that shares `content`, for example of another tree.
    pub fn put_content(
        &self,
        path: impl AsRef<[u8]>,
        perm: u32,
        uid: u32,
        gid: u32,
        content: &FileContent,
    ) -> Result<Ino> {
        self.put(path.as_ref(), perm, uid, gid, Body::Regular(content.0.clone()))
    }

    /// A symbolic link.
    pub fn put_symlink(&self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Result<Ino> {
        self.put(path.as_ref(), 0o777, 0, 0, Body::Symlink(Arc::from(target.as_ref())))
    }

    /// A character device of number `major << 8 | minor`.
    pub fn put_char_device(&self, path: impl AsRef<[u8]>, perm: u32, rdev: u64) -> Result<Ino> {
        self.put(path.as_ref(), perm, 0, 0, Body::CharDevice(rdev))
    }

    fn put(&self, path: &[u8], perm: u32, uid: u32, gid: u32, body: Body) -> Result<Ino> {
        let (dir, name) = split(path)?;
        let dir = self.mkdir_p(dir, 0, 0)?;
        let mut state = self.0.state.write();
        match state.entry(dir, name) {
            Ok(_) => state.unlink(dir, name)?,
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
        // The body says what is made; the kind of the description is not looked at.
        let node = NewNode { kind: NewKind::Regular, perm, uid, gid };
        Ok(state.create(dir, name, &node, body)?.ino)
    }

    /// A further name of the inode at `path`.
    pub fn put_link(&self, path: impl AsRef<[u8]>, existing: impl AsRef<[u8]>) -> Result<Ino> {
        let ino = self.ino_at(existing)?;
        let (dir, name) = split(path.as_ref())?;
        let dir = self.mkdir_p(dir, 0, 0)?;
        self.0.state.write().link(ino, dir, name)?;
        Ok(ino)
    }

    /// The whole of a regular file. EISDIR, EINVAL.
    pub fn read_file(&self, path: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        let ino = self.ino_at(path)?;
        let content = self.content(ino).ok_or(Errno::EINVAL)?;
        let len = usize::try_from(content.len()).map_err(|_| Errno::EFBIG)?;
        let mut buf = vec![0; len];
        content.read_at(&mut buf, 0);
        Ok(buf)
    }
}
