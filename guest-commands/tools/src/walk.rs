//! Directory listings and bounded walks over bytes paths. It never follows a symbolic link unless told.

use crate::context::Cx;
use crate::options::Opt;
use crate::os::{OsStrExt, join};
use crate::quote::quoteaf;
use agentos_guest::fs::stat;
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

/// Whether the options ask for a walk that must not begin at `/`.
pub(crate) fn guards_root(opts: &[Opt]) -> bool {
    let last = opts.iter().rfind(|o| matches!(o.id, "preserve-root" | "no-preserve-root"));
    last.is_some_and(|o| o.id == "preserve-root") && opts.iter().any(|o| o.id == "recursive")
}

/// Says that a walk must not begin at `path` if that is `/`.
pub(crate) fn refuse_root(cx: &mut Cx, path: &OsStr) -> bool {
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
pub(crate) fn too_deep() -> io::Error {
    agentos_guest::io_error(agentos_guest::Errno::ENAMETOOLONG)
}
