//! Directory listings and bounded walks over bytes paths. It never follows a symbolic link unless told.

use crate::os::{OsStrExt, join};
use std::ffi::{OsStr, OsString};
use std::io;

/// The deepest a recursive command goes: beyond it the path would not fit a system call anyway.
pub(crate) const MAX_DEPTH: usize = 2048;

/// The names in a directory without `.` and `..`, sorted by bytes.
pub(crate) fn names(dir: &OsStr) -> io::Result<Vec<OsString>> {
    let mut names = std::fs::read_dir(dir)?.map(|e| Ok(e?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Ok(names)
}

/// The paths of a directory's entries, sorted.
pub(crate) fn children(dir: &OsStr) -> io::Result<Vec<OsString>> {
    Ok(names(dir)?.iter().map(|name| join(dir, name)).collect())
}

/// The error of a tree that is too deep.
pub(crate) fn too_deep() -> io::Error {
    agentos_guest::io_error(agentos_guest::Errno::ENAMETOOLONG)
}
