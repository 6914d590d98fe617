//! The quick way down a path: what is known of a directory is not asked for twice, and a component costs one call to the
//! host. It decides nothing, and remembers nothing of the host but names and numbers, and for a moment the directory in
//! which the last walk began (`recent`).

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs;
use rustix::io::Errno as Host;

use super::attr;
use super::inner::{Inner, stat_name};
use crate::{Attr, Descent, FileType, Ino, NAME_MAX, Reached, Steps};

/// Goes down from `start`, whose handle must be open. Where a call fails, the walk makes it again and has the error.
pub(crate) fn descend(inner: &Inner, start: Ino, steps: Steps<'_>) -> Option<Descent> {
    let (top, top_handle) = &inner.top;
    let opened;
    let handle = if start == *top {
        top_handle
    } else {
        opened = inner.table.lock().handle(start)?;
        &opened
    };
    match steps.start {
        Some(attr) if attr.kind == FileType::Directory => return along(inner, handle, attr, steps),
        Some(_) => return None,
        None => {}
    }
    let look = || Some(attr::from_stat(&fs::fstat(&**handle).ok()?, start, &inner.owner));
    let recent = inner.recent_directory.lock().get(start);
    let recent = match recent {
        Ok(recent) => recent,
        Err(changes) => {
            let since = Instant::now();
            let attr = look()?;
            inner.recent_directory.lock().keep(attr, since, changes);
            return along(inner, handle, attr, steps);
        }
    };
    let came = along(inner, handle, recent, steps)?;
    // What was seen a moment ago allows to search, and nothing else: who needs more of the directory has it as it is now.
    if came.dir != start || matches!(came.reached, Reached::Last(_)) {
        return Some(came);
    }
    let now = look()?;
    let reached = match came.reached {
        Reached::Missing(_) if (steps.may_search)(&now).is_ok() => Reached::Missing(now),
        Reached::Entry { entry, .. } if (steps.may_search)(&now).is_ok() => {
            Reached::Entry { directory: now, entry }
        }
        _ => Reached::Directory(now),
    };
    Some(Descent { reached, ..came })
}

/// Goes down from a directory whose attributes are known.
fn along(inner: &Inner, start: &Arc<OwnedFd>, attr: Attr, steps: Steps<'_>) -> Option<Descent> {
    let Steps { path, mut at, .. } = steps;
    let mut opened;
    let (mut handle, mut dir) = (start, attr);
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
