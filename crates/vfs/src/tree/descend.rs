//! The quick way down a path: many components under one lock. It decides nothing: whatever is not a plain name of a
//! directory is left to the walk, which then starts from here.

use super::State;
use super::inode::Body;
use crate::{Descent, FileType, Ino, NAME_MAX, Reached, Steps};

pub(crate) fn descend(state: &State, start: Ino, steps: Steps<'_>) -> Option<Descent> {
    let Steps { path, mut at, .. } = steps;
    let (mut ino, mut inode) = (start, state.get(start).ok()?);
    loop {
        let attr = inode.attr(ino);
        let here = Descent { dir: ino, at, reached: Reached::Directory(attr) };
        let Body::Directory(dir) = &inode.body else { return Some(here) };
        let (name, next) = steps.component(at);
        if matches!(name, b"" | b"." | b"..") || name.len() > NAME_MAX || (steps.may_search)(&attr).is_err() {
            return Some(here);
        }
        let Some(entry) = dir.entries.get(name) else {
            return Some(Descent { reached: Reached::Missing(attr), ..here });
        };
        let last = next == path.len();
        let goes_on = match entry.kind {
            FileType::Directory => !(steps.covered)(entry.ino),
            FileType::Symlink => false,
            _ => last,
        };
        let Ok(child) = state.get(entry.ino) else { return Some(here) };
        if !goes_on {
            let reached = Reached::Entry { directory: attr, entry: child.attr(entry.ino) };
            return Some(Descent { reached, ..here });
        }
        if last {
            return Some(Descent { dir: ino, at, reached: Reached::Last(child.attr(entry.ino)) });
        }
        (ino, inode, at) = (entry.ino, child, next);
    }
}
