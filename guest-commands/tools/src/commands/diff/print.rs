//! How `diff` shows changes: normal, unified, context. It finds none of them.

use super::lines::Change;
use crate::context::{Cx, End};
use crate::time;
use agentos_guest::fs::Stat;

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Normal,
    Unified(usize),
    Context(usize),
}

/// One of the two files.
pub(super) struct Side<'a> {
    /// What stands for it in headers: the label, or the name with the time.
    pub(super) header: String,
    pub(super) lines: Vec<&'a [u8]>,
}

/// `name<tab>time` of a header, the name in C quotes where it has blanks or worse.
pub(super) fn header(name: &str, stat: Option<&Stat>) -> String {
    let special = |c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '\\';
    let shown = if name.chars().any(special) {
        let mut out = String::from("\"");
        for c in name.chars() {
            match c {
                '"' | '\\' => {
                    out.push('\\');
                    out.push(c);
                }
                '\n' => out += "\\n",
                '\t' => out += "\\t",
                c if c.is_control() => out += &format!("\\{:03o}", c as u32),
                c => out.push(c),
            }
        }
        out.push('"');
        out
    } else {
        name.to_owned()
    };
    let (sec, nsec) = stat.map_or((0, 0), |s| (s.mtime, s.mtime_nsec));
    format!("{shown}\t{}", time::format(sec, nsec, "%F %T.%N %z"))
}

/// Prints all changes in the given style; false when none of them counts.
pub(super) fn print(
    cx: &mut Cx,
    style: Style,
    old: &Side<'_>,
    new: &Side<'_>,
    changes: &[Change],
) -> Result<bool, End> {
    let around = match style {
        Style::Normal => return normal(cx, old, new, changes),
        Style::Unified(around) | Style::Context(around) => around,
    };
    let mut any = false;
    for hunk in hunks(changes, around).filter(|hunk| hunk.iter().any(|c| !c.ignore)) {
        let unified = matches!(style, Style::Unified(_));
        if !any {
            let (a, b) = if unified { ("---", "+++") } else { ("***", "---") };
            cx.print(format_args!("{a} {}\n{b} {}\n", old.header, new.header))?;
        }
        any = true;
        if unified {
            print_unified(cx, old, new, hunk, around)?
        } else {
            print_context(cx, old, new, hunk, around)?
        }
    }
    Ok(any)
}

/// Groups of changes whose contexts touch. A change that does not count joins only when it is within the context.
fn hunks(changes: &[Change], around: usize) -> impl Iterator<Item = &[Change]> {
    changes.chunk_by(move |a, b| {
        let most = if b.ignore { around } else { around.saturating_mul(2).saturating_add(1) };
        b.old.0 - a.old.1 < most
    })
}

fn put_line(cx: &mut Cx, mark: &str, line: &[u8]) -> Result<(), End> {
    // A blank line of context has no trailing blank only with an option that is not here.
    cx.put(mark.as_bytes())?;
    cx.put(line)?;
    if line.last() != Some(&b'\n') {
        cx.put(b"\n\\ No newline at end of file\n")?;
    }
    Ok(())
}

fn normal(cx: &mut Cx, old: &Side<'_>, new: &Side<'_>, changes: &[Change]) -> Result<bool, End> {
    // A range of lines; an empty one is named by the line before it.
    let range = |(from, to): (usize, usize)| match to - from {
        0 | 1 => format!("{to}"),
        _ => format!("{},{to}", from + 1),
    };
    let mut any = false;
    for change in changes.iter().filter(|c| !c.ignore) {
        any = true;
        let removed = &old.lines[change.old.0..change.old.1];
        let added = &new.lines[change.new.0..change.new.1];
        let letter = match (removed.is_empty(), added.is_empty()) {
            (true, _) => 'a',
            (_, true) => 'd',
            _ => 'c',
        };
        cx.print(format_args!("{}{letter}{}\n", range(change.old), range(change.new)))?;
        for line in removed {
            put_line(cx, "< ", line)?;
        }
        if letter == 'c' {
            cx.put(b"---\n")?;
        }
        for line in added {
            put_line(cx, "> ", line)?;
        }
    }
    Ok(any)
}

/// First line and the line after the last of a hunk with its context, of both files.
fn span(
    old: &Side<'_>,
    new: &Side<'_>,
    hunk: &[Change],
    around: usize,
) -> Option<((usize, usize), (usize, usize))> {
    let (first, last) = (hunk.first()?, hunk.last()?);
    let from = |at: usize| at.saturating_sub(around);
    let to = |at: usize, len: usize| at.saturating_add(around).min(len);
    Some((
        (from(first.old.0), to(last.old.1, old.lines.len())),
        (from(first.new.0), to(last.new.1, new.lines.len())),
    ))
}

fn print_unified(
    cx: &mut Cx,
    old: &Side<'_>,
    new: &Side<'_>,
    hunk: &[Change],
    around: usize,
) -> Result<(), End> {
    let Some((a, b)) = span(old, new, hunk, around) else { return Ok(()) };
    let range = |(from, to): (usize, usize)| match to - from {
        0 => format!("{from},0"),
        1 => format!("{to}"),
        n => format!("{},{n}", from + 1),
    };
    cx.print(format_args!("@@ -{} +{} @@\n", range(a), range(b)))?;
    let mut at = a.0;
    for change in hunk {
        for line in &old.lines[at..change.old.0] {
            put_line(cx, " ", line)?;
        }
        for line in &old.lines[change.old.0..change.old.1] {
            put_line(cx, "-", line)?;
        }
        for line in &new.lines[change.new.0..change.new.1] {
            put_line(cx, "+", line)?;
        }
        at = change.old.1;
    }
    for line in &old.lines[at..a.1] {
        put_line(cx, " ", line)?;
    }
    Ok(())
}

fn print_context(
    cx: &mut Cx,
    old: &Side<'_>,
    new: &Side<'_>,
    hunk: &[Change],
    around: usize,
) -> Result<(), End> {
    let Some((a, b)) = span(old, new, hunk, around) else { return Ok(()) };
    let range = |(from, to): (usize, usize)| match to - from {
        0 | 1 => format!("{to}"),
        _ => format!("{},{to}", from + 1),
    };
    cx.print(format_args!("***************\n*** {} ****\n", range(a)))?;
    let half = |cx: &mut Cx, side: &Side<'_>, (from, to): (usize, usize), old: bool| {
        // A file that only gains (or loses) lines shows nothing but the range.
        let own = |c: &Change| if old { c.old } else { c.new };
        if hunk.iter().all(|c| own(c).0 == own(c).1) {
            return Ok(());
        }
        let mut at = from;
        for change in hunk {
            let (first, end) = own(change);
            for line in &side.lines[at..first] {
                put_line(cx, "  ", line)?;
            }
            let both = change.old.0 < change.old.1 && change.new.0 < change.new.1;
            let mark = if both {
                "! "
            } else if old {
                "- "
            } else {
                "+ "
            };
            for line in &side.lines[first..end] {
                put_line(cx, mark, line)?;
            }
            at = end;
        }
        for line in &side.lines[at..to] {
            put_line(cx, "  ", line)?;
        }
        Ok(())
    };
    half(cx, old, a, true)?;
    cx.print(format_args!("--- {} ----\n", range(b)))?;
    half(cx, new, b, false)
}
