//! Changes as a patch that `git apply` and `patch -p1` take. Directories and owners are not in it: the format has no place
//! for them.

use std::io::{self, Write};
use std::time::Duration;

use agentos_vfs::{FileContent, FileType};
use similar::{Algorithm, TextDiff};

use super::changes::{Changed, Side};

/// Bigger files are told as binary.
const MOST_BYTES: u64 = 8 << 20;
/// How long the shortest difference of two files is looked for; then a longer one is taken.
const MOST_TIME: Duration = Duration::from_secs(2);
/// Bytes that are looked at to tell text from others, as git does.
const LOOK: usize = 8000;
/// Lines around a change.
const CONTEXT: usize = 3;

/// Writes the patch of one file; nothing for what a patch cannot tell.
pub(crate) fn write_patch(changed: &Changed, out: &mut impl Write) -> io::Result<()> {
    let old = changed.old.as_ref().filter(|side| mode(side).is_some());
    let new = changed.new.as_ref().filter(|side| mode(side).is_some());
    let old_path = changed.old_path.as_ref().unwrap_or(&changed.path);
    match (old, new) {
        (None, None) => Ok(()),
        // Git has no change of a type: the one goes, the other comes.
        (Some(old), Some(new)) if old.attr.kind != new.attr.kind => {
            file(old_path, &changed.path, Some(old), None, out)?;
            file(&changed.path, &changed.path, None, Some(new), out)
        }
        (old, new) => file(old_path, &changed.path, old, new, out),
    }
}

/// As git knows it: a file that may be run or not, or a link.
fn mode(side: &Side) -> Option<&'static str> {
    match side.attr.kind {
        FileType::Regular if side.attr.perm & 0o100 != 0 => Some("100755"),
        FileType::Regular => Some("100644"),
        FileType::Symlink => Some("120000"),
        _ => None,
    }
}

fn file(
    old_path: &[u8],
    path: &[u8],
    old: Option<&Side>,
    new: Option<&Side>,
    out: &mut impl Write,
) -> io::Result<()> {
    let renamed = old.is_some() && new.is_some() && old_path != path;
    let (from, to) = (old.map(Side::content).unwrap_or_default(), new.map(Side::content).unwrap_or_default());
    let (old_mode, new_mode) = (old.and_then(mode), new.and_then(mode));
    let same = from == to;
    if same && !renamed && old_mode == new_mode {
        // The owner, or permissions that git does not know.
        return Ok(());
    }
    let (before, after) = (if new.is_none() { path } else { old_path }, path);
    writeln(out, &[b"diff --git ", &quoted(b"a", before), b" ", &quoted(b"b", after)])?;
    match (old_mode, new_mode) {
        (None, Some(mode)) => writeln(out, &[b"new file mode ", mode.as_bytes()])?,
        (Some(mode), None) => writeln(out, &[b"deleted file mode ", mode.as_bytes()])?,
        (Some(old), Some(new)) if old != new => {
            writeln(out, &[b"old mode ", old.as_bytes()])?;
            writeln(out, &[b"new mode ", new.as_bytes()])?;
        }
        _ => {}
    }
    if renamed {
        if same {
            writeln(out, &[b"similarity index 100%"])?;
        }
        writeln(out, &[b"rename from ", &quoted(b"", before)[..]])?;
        writeln(out, &[b"rename to ", &quoted(b"", after)[..]])?;
    }
    if same {
        return Ok(());
    }
    let header = |there: Option<&Side>, side: &[u8], path: &[u8]| match there {
        // As git: a name with a blank ends with a tab, so that what follows is no date.
        Some(_) => {
            let name = quoted(side, path);
            if name.contains(&b' ') && !name.starts_with(b"\"") { [&name[..], b"\t"].concat() } else { name }
        }
        None => b"/dev/null".to_vec(),
    };
    let (Some(from), Some(to)) = (text(&from), text(&to)) else {
        let name = |there: Option<&Side>, side: &[u8], path: &[u8]| match there {
            Some(_) => quoted(side, path),
            None => b"/dev/null".to_vec(),
        };
        let (from, to) = (name(old, b"a", before), name(new, b"b", after));
        return writeln(out, &[b"Binary files ", &from, b" and ", &to, b" differ"]);
    };
    writeln(out, &[b"--- ", &header(old, b"a", before)])?;
    writeln(out, &[b"+++ ", &header(new, b"b", after)])?;
    let diff =
        TextDiff::configure().algorithm(Algorithm::Myers).timeout(MOST_TIME).diff_lines(&from[..], &to[..]);
    diff.unified_diff().context_radius(CONTEXT).to_writer(out)
}

fn writeln(out: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    for part in parts {
        out.write_all(part)?;
    }
    out.write_all(b"\n")
}

/// The whole, if it is text and not too big.
fn text(content: &FileContent) -> Option<Vec<u8>> {
    if content.len() > MOST_BYTES {
        return None;
    }
    let mut all = vec![0; usize::try_from(content.len()).ok()?];
    let n = content.read_at(&mut all, 0);
    all.truncate(n);
    (!all[..n.min(LOOK)].contains(&0)).then_some(all)
}

/// A path as it stands in a header: below `side`, in quotes if it has bytes that need them.
fn quoted(side: &[u8], path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = if side.is_empty() { path.to_vec() } else { [side, b"/", path].concat() };
    let plain = |&byte: &u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if path.iter().all(plain) {
        return path;
    }
    let mut all = vec![b'"'];
    for byte in path {
        match byte {
            b'"' | b'\\' => all.extend([b'\\', byte]),
            b'\n' => all.extend(b"\\n"),
            b'\t' => all.extend(b"\\t"),
            b'\r' => all.extend(b"\\r"),
            byte if plain(&byte) => all.push(byte),
            byte => all.extend(format!("\\{byte:03o}").bytes()),
        }
    }
    all.push(b'"');
    all
}
