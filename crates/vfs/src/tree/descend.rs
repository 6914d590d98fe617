//! The quick way down a path: many components under one lock. It decides nothing: whatever is not a plain name of a
//! directory is left to the walk, which then starts from here.

use memchr::memchr;

use super::Tree;
use super::inode::Body;
use crate::fs::{Descent, Reached};
use crate::{Attr, FileType, Ino, NAME_MAX, Result};

impl Tree {
    pub(crate) fn descend(
        &self,
        start: Ino,
        path: &[u8],
        mut at: usize,
        may_search: &dyn Fn(&Attr) -> Result<()>,
        covered: &dyn Fn(Ino) -> bool,
    ) -> Option<Descent> {
        let state = self.0.state.read();
        let (mut ino, mut inode) = (start, state.get(start).ok()?);
        loop {
            let attr = inode.attr(ino);
            let here = Descent { dir: ino, at, reached: Reached::Directory(attr) };
            let Body::Directory(dir) = &inode.body else { return Some(here) };
            let end = memchr(b'/', &path[at..]).map_or(path.len(), |n| at + n);
            let name = &path[at..end];
            if matches!(name, b"" | b"." | b"..") || name.len() > NAME_MAX || may_search(&attr).is_err() {
                return Some(here);
            }
            let Some(entry) = dir.entries.get(name) else { return Some(here) };
            let next = end + path[end..].iter().take_while(|&&byte| byte == b'/').count();
            let last = next == path.len();
            let goes_on = match entry.kind {
                FileType::Directory => !covered(entry.ino),
                FileType::Symlink => false,
                _ => last,
            };
            let (true, Ok(child)) = (goes_on, state.get(entry.ino)) else { return Some(here) };
            if last {
                return Some(Descent { dir: ino, at, reached: Reached::Last(child.attr(entry.ino)) });
            }
            (ino, inode, at) = (entry.ino, child, next);
        }
    }
}
