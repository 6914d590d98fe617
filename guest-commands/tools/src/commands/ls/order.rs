//! The order of a listing.

use super::config::{Sort, Which};
use super::{Entry, Lister, name};
use crate::os::OsStrExt;
use agentos_guest::fs::{FileType, Stat, file_type};
use std::cmp::Ordering;
use std::ffi::OsStr;

impl Lister {
    /// The time of a file that is asked for.
    pub(super) fn stamp(&self, stat: &Stat) -> (i64, u32) {
        match self.c.time {
            Which::Modified => (stat.mtime, stat.mtime_nsec),
            Which::Changed => (stat.ctime, stat.ctime_nsec),
            Which::Accessed => (stat.atime, stat.atime_nsec),
            Which::Born => (stat.btime, stat.btime_nsec),
        }
    }

    pub(super) fn sort(&self, entries: &mut [Entry]) {
        if self.c.sort == Sort::None {
            return;
        }
        let size = |e: &Entry| e.stat.map_or(0, |s| s.size);
        let when = |e: &Entry| e.stat.map_or((0, 0), |s| self.stamp(&s));
        entries.sort_by(|a, b| {
            let by_name = a.name.as_bytes().cmp(b.name.as_bytes());
            let order = match self.c.sort {
                Sort::Name | Sort::None => Ordering::Equal,
                Sort::Time => when(b).cmp(&when(a)),
                Sort::Size => size(b).cmp(&size(a)),
                Sort::Extension => extension(&a.name).cmp(extension(&b.name)),
                Sort::Version => version(a.name.as_bytes(), b.name.as_bytes()),
                Sort::Width => name::width(&a.shown).cmp(&name::width(&b.shown)),
            };
            let order = order.then(by_name);
            if self.c.reverse { order.reverse() } else { order }
        });
        if self.c.dirs_first {
            let is_dir = |e: &Entry| {
                e.kind == Some(FileType::Dir) || e.leads_to.is_some_and(|m| file_type(m) == FileType::Dir)
            };
            entries.sort_by_key(|e| !is_dir(e));
        }
    }
}

fn extension(name: &OsStr) -> &[u8] {
    let bytes = name.as_bytes();
    bytes.iter().rposition(|b| *b == b'.').map_or(&[], |at| &bytes[at..])
}

/// Natural order: runs of digits by their number.
fn version(a: &[u8], b: &[u8]) -> Ordering {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].is_ascii_digit() && b[j].is_ascii_digit() {
            let run = |s: &[u8]| s.iter().take_while(|b| b.is_ascii_digit()).count();
            let (x, y) = (&a[i..i + run(&a[i..])], &b[j..j + run(&b[j..])]);
            (i, j) = (i + x.len(), j + y.len());
            let strip =
                |s: &[u8]| s.iter().position(|b| *b != b'0').map_or(Vec::new(), |at| s[at..].to_vec());
            let (x, y) = (strip(x), strip(y));
            let order = x.len().cmp(&y.len()).then_with(|| x.cmp(&y));
            if order != Ordering::Equal {
                return order;
            }
        } else if a[i] != b[j] {
            return a[i].cmp(&b[j]);
        } else {
            (i, j) = (i + 1, j + 1);
        }
    }
    (a.len() - i).cmp(&(b.len() - j))
}
