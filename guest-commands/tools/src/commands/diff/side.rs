//! `diff -y` and what `sdiff` shows: the two files beside each other.

use super::lines::Change;
use super::look::{Look, Part};
use crate::context::{Cx, End};
use crate::os::OsStrExt;
use unicode_width::UnicodeWidthChar as _;

/// Where the columns are.
#[derive(Clone, Copy)]
struct Columns {
    /// Most columns of a half.
    half: usize,
    /// Where the second half begins.
    second: usize,
}

impl Columns {
    fn new(look: &Look) -> Columns {
        let (width, tab) = (look.width, if look.expand { 1 } else { look.tab });
        let middle = (width.saturating_add(tab).saturating_add(3)) / (2 * tab) * tab;
        let half = middle.saturating_sub(3).min(width.saturating_sub(middle));
        Columns { half, second: if half == 0 { width } else { middle } }
    }
}

/// Writes both files; whether a change counts.
pub(crate) fn print(
    cx: &mut Cx,
    look: &Look,
    old: &[&[u8]],
    new: &[&[u8]],
    changes: &[Change],
) -> Result<bool, End> {
    let mut at = (0, 0);
    let mut any = false;
    for change in changes.iter().filter(|c| !c.ignore) {
        any = true;
        common(cx, look, &old[at.0..change.old.0], &new[at.1..change.new.0])?;
        changed(cx, look, &old[change.old.0..change.old.1], &new[change.new.0..change.new.1])?;
        at = (change.old.1, change.new.1);
    }
    common(cx, look, &old[at.0..], &new[at.1..])?;
    Ok(any)
}

/// Lines that count as equal. There may be more of them on one side, where blank lines do not count.
pub(crate) fn common(cx: &mut Cx, look: &Look, old: &[&[u8]], new: &[&[u8]]) -> Result<(), End> {
    if look.suppress_common {
        return Ok(());
    }
    for i in 0..old.len().max(new.len()) {
        match (old.get(i), new.get(i)) {
            (Some(a), Some(_)) if look.left_column => row(cx, look, Some(a), '(', None)?,
            (Some(a), Some(b)) => row(cx, look, Some(a), ' ', Some(b))?,
            (Some(a), None) => row(cx, look, Some(a), '(', None)?,
            (None, b) => row(cx, look, None, ')', b.copied())?,
        }
    }
    Ok(())
}

/// Lines that take each other's place.
pub(crate) fn changed(cx: &mut Cx, look: &Look, old: &[&[u8]], new: &[&[u8]]) -> Result<(), End> {
    for i in 0..old.len().max(new.len()) {
        match (old.get(i), new.get(i)) {
            (Some(a), Some(b)) => row(cx, look, Some(a), '|', Some(b))?,
            (Some(a), None) => row(cx, look, Some(a), '<', None)?,
            (None, b) => row(cx, look, None, '>', b.copied())?,
        }
    }
    Ok(())
}

fn row(cx: &mut Cx, look: &Look, left: Option<&[u8]>, mark: char, right: Option<&[u8]>) -> Result<(), End> {
    let columns = Columns::new(look);
    let ends = |line: &[u8]| line.last() == Some(&b'\n');
    let mut newline = left.is_some_and(ends);
    let mut mark = mark;
    if let (true, '|', Some(right)) = (left.is_some(), mark, right)
        && newline != ends(right)
    {
        mark = if newline { '/' } else { '\\' };
    }
    let part = match mark {
        '<' => Part::Deleted,
        '>' => Part::Added,
        _ => Part::Plain,
    };
    let mut out = Vec::new();
    let mut column = left.map_or(0, |line| half(&mut out, look, line, 0, columns.half));
    if mark != ' ' {
        column = blanks(&mut out, look, column, (columns.half + columns.second).saturating_sub(1) / 2) + 1;
        out.push(mark as u8);
    }
    if let Some(line) = right {
        newline |= ends(line);
        if line != b"\n" {
            column = blanks(&mut out, look, column, columns.second);
            half(&mut out, look, line, column, columns.half);
        }
    }
    if newline {
        out.push(b'\n');
    }
    look.begin(cx, part)?;
    cx.put(&out)?;
    look.end(cx, part)
}

/// White space from one column to another; where that leads.
fn blanks(out: &mut Vec<u8>, look: &Look, from: usize, to: usize) -> usize {
    let mut at = from;
    if !look.expand {
        loop {
            let stop = at + look.tab - at % look.tab;
            if stop > to {
                break;
            }
            out.push(b'\t');
            at = stop;
        }
    }
    out.resize(out.len() + to.saturating_sub(at), b' ');
    to.max(from)
}

/// As much of a line as fits in `most` columns, beginning at column `indent`; the columns it takes.
fn half(out: &mut Vec<u8>, look: &Look, line: &[u8], indent: usize, most: usize) -> usize {
    // Columns of the line, and of what is shown of it: the second stays behind once something does not fit.
    let (mut line_at, mut shown) = (0usize, 0usize);
    let mut piece = [0; 4];
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => return shown,
                '\t' => {
                    let width = look.tab - line_at % look.tab;
                    if line_at == shown {
                        let stop = shown + width;
                        if look.expand {
                            let stop = stop.min(most);
                            out.resize(out.len() + stop.saturating_sub(shown), b' ');
                            shown = shown.max(stop);
                        } else if stop < most {
                            shown = stop;
                            out.push(b'\t');
                        }
                    }
                    line_at += width;
                }
                '\r' => {
                    out.push(b'\r');
                    blanks(out, look, 0, indent);
                    (line_at, shown) = (0, 0);
                }
                '\u{8}' => {
                    if line_at > 0 {
                        line_at -= 1;
                        if line_at < most {
                            if shown <= line_at {
                                out.resize(out.len() + line_at - shown, b' ');
                            } else {
                                out.push(8);
                            }
                            shown = line_at;
                        }
                    }
                }
                c => {
                    let width = c.width().unwrap_or(0);
                    line_at += width;
                    let fits = if width > 0 { line_at <= most } else { line_at < most };
                    if fits {
                        shown = line_at;
                        out.extend(c.encode_utf8(&mut piece).as_bytes());
                    }
                }
            }
        }
        if line_at < most {
            out.extend(chunk.invalid());
        }
    }
    shown
}

/// The width that a word names.
pub(crate) fn width(cx: &Cx, word: &std::ffi::OsStr) -> Result<usize, End> {
    let number = std::str::from_utf8(word.as_bytes()).ok().and_then(|t| t.parse::<usize>().ok());
    match number {
        Some(n) if n > 0 => Ok(n.min(1 << 20)),
        _ => Err(cx.usage(format!("invalid width {}", crate::quote::quote_plain(word)))),
    }
}
