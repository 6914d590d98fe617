//! Directory listings and bounded walks over bytes paths. It never follows a symbolic link unless told.

use crate::context::Cx;
use crate::options::Opt;
use crate::os::{OsStrExt, join};
use crate::quote::quoteaf;
use agentos_guest::fs::{FileType, stat};
use std::ffi::{OsStr, OsString};
use std::io;

/// The deepest a recursive command goes: beyond it the path would not fit a system call anyway.
pub const MAX_DEPTH: usize = 2048;

/// The names in a directory without `.` and `..`, sorted by bytes.
pub fn names(dir: &OsStr) -> io::Result<Vec<OsString>> {
    let mut names = std::fs::read_dir(dir)?.map(|e| Ok(e?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Ok(names)
}

/// An entry of a directory: its name, and its kind where the listing says it. A symbolic link is a symbolic link.
pub struct Listed {
    /// Its name.
    pub name: OsString,
    /// Its kind; `None`: to be looked up.
    pub kind: Option<FileType>,
}

/// The entries of a directory without `.` and `..`, sorted by bytes. No entry is looked at: its kind is in the listing.
pub fn listed(dir: &OsStr) -> io::Result<Vec<Listed>> {
    let read = |e: io::Result<std::fs::DirEntry>| {
        let e = e?;
        // Anything else (a FIFO, a device, what the file system does not tell) is rare enough to be looked at.
        let kind = e.file_type().ok().and_then(|kind| match kind {
            kind if kind.is_file() => Some(FileType::File),
            kind if kind.is_dir() => Some(FileType::Dir),
            kind if kind.is_symlink() => Some(FileType::Symlink),
            _ => None,
        });
        Ok(Listed { name: e.file_name(), kind })
    };
    let mut entries = std::fs::read_dir(dir)?.map(read).collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    Ok(entries)
}

/// The paths of a directory's entries, sorted.
pub fn children(dir: &OsStr) -> io::Result<Vec<OsString>> {
    Ok(names(dir)?.iter().map(|name| join(dir, name)).collect())
}

/// Whether the options ask for a walk that must not begin at `/`.
pub fn guards_root(opts: &[Opt]) -> bool {
    let last = opts.iter().rfind(|o| matches!(o.id, "preserve-root" | "no-preserve-root"));
    last.is_some_and(|o| o.id == "preserve-root") && opts.iter().any(|o| o.id == "recursive")
}

/// Says that a walk must not begin at `path` if that is `/`.
pub fn refuse_root(cx: &mut Cx, path: &OsStr) -> bool {
    let same = match (stat(path), stat("/")) {
        (Ok(s), Ok(root)) => (s.dev, s.ino) == (root.dev, root.ino),
        _ => false,
    };
    if same {
        let also = if path == "/" { "" } else { " (same as '/')" };
        cx.warn(format_args!("it is dangerous to operate recursively on {}{also}", quoteaf(path)));
        cx.say("use --no-preserve-root to override this failsafe");
    }
    same
}

/// The error of a tree that is too deep.
pub fn too_deep() -> io::Error {
    agentos_guest::io_error(agentos_guest::Errno::ENAMETOOLONG)
}
