//! The quick way down a path: what is known of a directory is not asked for twice, and a component costs one call to the
//! host. It decides nothing, and remembers nothing of the host but names and numbers: modes are those of this moment.

use rustix::fs;
use rustix::io::Errno as Host;

use super::attr;
use super::inner::{Inner, stat_name};
use crate::{Attr, Descent, FileType, Ino, NAME_MAX, Reached, Steps};

/// Goes down from `start`, whose handle must be open. Where a call fails, the walk makes it again and has the error.
pub(crate) fn descend(inner: &Inner, start: Ino, steps: Steps<'_>) -> Option<Descent> {
    let Steps { path, mut at, .. } = steps;
    let (top, top_handle) = &inner.top;
    let mut opened;
    let mut handle = if start == *top {
        top_handle
    } else {
        opened = inner.table.lock().handle(start)?;
        &opened
    };
    let mut dir = match steps.start {
        Some(attr) if attr.kind == FileType::Directory => attr,
        Some(_) => return None,
        None => attr::from_stat(&fs::fstat(&**handle).ok()?, start, &inner.owner),
    };
    loop {
        let stop = |reached| Some(Descent { dir: dir.ino, at, reached });
        let (name, next) = steps.component(at);
        if matches!(name, b"" | b"." | b"..") || name.len() > NAME_MAX || (steps.may_search)(&dir).is_err() {
            return stop(Reached::Directory(dir));
        }
        let entry: Attr = match stat_name(handle, name) {
            Ok(stat) => match inner.note(dir.ino, name, &stat) {
                Ok(entry) => entry,
                Err(_) => return stop(Reached::Directory(dir)),
            },
            Err(Host::NOENT) => return stop(Reached::Missing(dir)),
            Err(_) => return stop(Reached::Directory(dir)),
        };
        let last = next == path.len();
        let goes_on = match entry.kind {
            FileType::Directory => !(steps.covered)(entry.ino),
            FileType::Symlink => false,
            _ => last,
        };
        if !goes_on {
            return stop(Reached::Entry { directory: dir, entry });
        }
        if last {
            return stop(Reached::Last(entry));
        }
        match inner.dir(entry.ino) {
            Ok(below) => opened = below,
            Err(_) => return Some(Descent { dir: entry.ino, at: next, reached: Reached::Directory(entry) }),
        }
        (handle, dir, at) = (&opened, entry, next);
    }
}
