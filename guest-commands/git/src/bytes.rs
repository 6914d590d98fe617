//! Paths and lines are bytes here: splitting, joining, quoting as git prints names. It touches no files.

#[cfg(unix)]
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
#[cfg(target_os = "wasi")]
use std::os::wasi::ffi::{OsStrExt as _, OsStringExt as _};

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A path of these bytes.
pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// The bytes of an OS string.
pub(crate) fn of(text: &OsStr) -> &[u8] {
    text.as_bytes()
}

/// An owned path of these bytes.
pub(crate) fn path_buf(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

/// Text of bytes that were asked for as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `dir/name`; just the name in no directory.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut all = dir.to_vec();
    if !all.is_empty() && all.last() != Some(&b'/') {
        all.push(b'/');
    }
    all.extend_from_slice(name);
    all
}

/// Everything before the last slash; nothing if there is none.
pub(crate) fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').map_or(b"", |at| &path[..at])
}

/// Everything after the last slash.
pub(crate) fn base(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').map_or(path, |at| &path[at + 1..])
}

/// Whether `path` is `dir` or lies in it. The empty directory holds everything.
pub(crate) fn within(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() || path == dir || (path.starts_with(dir) && path.get(dir.len()) == Some(&b'/'))
}

/// Joins `dir` and a relative `path`, resolving `.` and `..`; `None` if it leads out.
pub(crate) fn normalize(dir: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = dir.split(|b| *b == b'/').filter(|p| !p.is_empty()).collect();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// `path` as seen from the directory `from` (both relative to the same root).
pub(crate) fn relative(path: &[u8], from: &[u8]) -> Vec<u8> {
    if from.is_empty() {
        return path.to_vec();
    }
    let from: Vec<&[u8]> = from.split(|b| *b == b'/').filter(|p| !p.is_empty()).collect();
    let trailing = path.last() == Some(&b'/');
    let to: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|p| !p.is_empty()).collect();
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut parts: Vec<&[u8]> = vec![b".."; from.len() - same];
    parts.extend(&to[same..]);
    let mut all = parts.join(&b'/');
    if all.is_empty() {
        return b"./".to_vec();
    }
    if trailing {
        all.push(b'/');
    }
    all
}

/// Whether a name needs quotes: control characters, quotes, backslashes, and (with `all`) bytes beyond ASCII.
fn odd(byte: u8, all: bool) -> bool {
    byte < 0x20 || byte == 0x7f || byte == b'"' || byte == b'\\' || (all && byte >= 0x80)
}

/// The inside of a quoted name.
fn escape(name: &[u8], all: bool, out: &mut Vec<u8>) {
    for &b in name {
        match b {
            b'"' | b'\\' => out.extend([b'\\', b]),
            b'\n' => out.extend(b"\\n"),
            b'\t' => out.extend(b"\\t"),
            b'\r' => out.extend(b"\\r"),
            7 => out.extend(b"\\a"),
            8 => out.extend(b"\\b"),
            11 => out.extend(b"\\v"),
            12 => out.extend(b"\\f"),
            b if odd(b, all) => out.extend(format!("\\{b:03o}").bytes()),
            b => out.push(b),
        }
    }
}

/// A name as git prints it: in double quotes with C escapes if it has odd bytes. `all`: core.quotePath.
pub(crate) fn quote(name: &[u8], all: bool) -> Vec<u8> {
    quote_with(b"", name, all)
}

/// [`quote`] of a prefix (`a/`) and a name as one word.
pub(crate) fn quote_with(prefix: &[u8], name: &[u8], all: bool) -> Vec<u8> {
    if !name.iter().any(|b| odd(*b, all)) {
        return [prefix, name].concat();
    }
    let mut out = vec![b'"'];
    escape(prefix, all, &mut out);
    escape(name, all, &mut out);
    out.push(b'"');
    out
}

/// The lines of a text, each with its newline if it has one.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|b| *b == b'\n')
}

/// Where `needle` begins in `text`.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    text.windows(needle.len()).position(|w| w == needle)
}
