//! How `diff` shows changes: normal, unified, context; the other formats have files of their own. It finds none of them.

use super::lines::Change;
use super::look::{Headings, Look, Part};
use super::{Config, format, script, side};
use crate::context::{Cx, End};
use crate::time;
use agentos_guest::fs::Stat;

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Normal,
    /// With this many lines around changes.
    Unified(usize),
    Context(usize),
    SideBySide,
    Ed,
    ForwardEd,
    Rcs,
    /// Formats of groups and lines.
    Formats,
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

/// Prints all changes in the chosen style; false when none of them counts.
pub(super) fn print(
    cx: &mut Cx,
    c: &Config,
    old: &Side<'_>,
    new: &Side<'_>,
    changes: &[Change],
) -> Result<bool, End> {
    let look = &c.look;
    let around = match c.style {
        Style::Normal => return normal(cx, look, old, new, changes),
        Style::SideBySide => return side::print(cx, look, &old.lines, &new.lines, changes),
        Style::Ed => return script::ed(cx, look, new, changes),
        Style::ForwardEd => return script::forward(cx, look, new, changes),
        Style::Rcs => return script::rcs(cx, look, new, changes),
        Style::Formats => return format::print(cx, &c.formats, look, old, new, changes),
        Style::Unified(around) | Style::Context(around) => around,
    };
    let unified = matches!(c.style, Style::Unified(_));
    let mut headings = Headings::new(&c.headings, &old.lines);
    let mut any = false;
    for hunk in hunks(changes, around).filter(|hunk| hunk.iter().any(|c| !c.ignore)) {
        if !any {
            let (a, b) = if unified { ("---", "+++") } else { ("***", "---") };
            for (mark, side) in [(a, old), (b, new)] {
                look.put(cx, Part::Header, format_args!("{mark} {}", side.header))?;
                cx.put(b"\n")?;
            }
        }
        any = true;
        let Some(spans) = span(old, new, hunk, around) else { continue };
        let heading = headings.before(spans.0.0);
        if unified {
            print_unified(cx, look, [old, new], hunk, spans, &heading)?
        } else {
            print_context(cx, look, [old, new], hunk, spans, &heading)?
        }
    }
    Ok(any)
}

/// A range of lines; an empty one is named by the line before it.
pub(super) fn range((from, to): (usize, usize)) -> String {
    match to - from {
        0 | 1 => format!("{to}"),
        _ => format!("{},{to}", from + 1),
    }
}

/// Groups of changes whose contexts touch. A change that does not count joins only when it is within the context.
fn hunks(changes: &[Change], around: usize) -> impl Iterator<Item = &[Change]> {
    changes.chunk_by(move |a, b| {
        let most = if b.ignore { around } else { around.saturating_mul(2).saturating_add(1) };
        b.old.0 - a.old.1 < most
    })
}

fn normal(cx: &mut Cx, look: &Look, old: &Side<'_>, new: &Side<'_>, changes: &[Change]) -> Result<bool, End> {
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
        look.put(cx, Part::Range, format_args!("{}{letter}{}", range(change.old), range(change.new)))?;
        cx.put(b"\n")?;
        for line in removed {
            look.line(cx, Part::Deleted, "<", " ", line)?;
        }
        if letter == 'c' {
            cx.put(b"---\n")?;
        }
        for line in added {
            look.line(cx, Part::Added, ">", " ", line)?;
        }
    }
    Ok(any)
}

/// First line and the line after the last, of both files.
type Spans = ((usize, usize), (usize, usize));

/// The place of a hunk with its context.
fn span(old: &Side<'_>, new: &Side<'_>, hunk: &[Change], around: usize) -> Option<Spans> {
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
    look: &Look,
    [old, new]: [&Side<'_>; 2],
    hunk: &[Change],
    (a, b): Spans,
    heading: &str,
) -> Result<(), End> {
    let range = |(from, to): (usize, usize)| match to - from {
        0 => format!("{from},0"),
        1 => format!("{to}"),
        n => format!("{},{n}", from + 1),
    };
    look.put(cx, Part::Range, format_args!("@@ -{} +{} @@", range(a), range(b)))?;
    cx.print(format_args!("{heading}\n"))?;
    let mut at = a.0;
    for change in hunk {
        for line in &old.lines[at..change.old.0] {
            look.line(cx, Part::Plain, " ", "", line)?;
        }
        for line in &old.lines[change.old.0..change.old.1] {
            look.line(cx, Part::Deleted, "-", "", line)?;
        }
        for line in &new.lines[change.new.0..change.new.1] {
            look.line(cx, Part::Added, "+", "", line)?;
        }
        at = change.old.1;
    }
    for line in &old.lines[at..a.1] {
        look.line(cx, Part::Plain, " ", "", line)?;
    }
    Ok(())
}

fn print_context(
    cx: &mut Cx,
    look: &Look,
    [old, new]: [&Side<'_>; 2],
    hunk: &[Change],
    (a, b): Spans,
    heading: &str,
) -> Result<(), End> {
    let half = |cx: &mut Cx, side: &Side<'_>, (from, to): (usize, usize), old: bool| {
        // A file that only gains (or loses) lines shows nothing but the range.
        let own = |c: &Change| if old { c.old } else { c.new };
        if hunk.iter().all(|c| own(c).0 == own(c).1) {
            return Ok(());
        }
        let (part, alone) = if old { (Part::Deleted, "-") } else { (Part::Added, "+") };
        let mut at = from;
        for change in hunk {
            let (first, end) = own(change);
            for line in &side.lines[at..first] {
                look.line(cx, part, " ", " ", line)?;
            }
            let both = change.old.0 < change.old.1 && change.new.0 < change.new.1;
            for line in &side.lines[first..end] {
                look.line(cx, part, if both { "!" } else { alone }, " ", line)?;
            }
            at = end;
        }
        for line in &side.lines[at..to] {
            look.line(cx, part, " ", " ", line)?;
        }
        Ok(())
    };
    cx.print(format_args!("***************{heading}\n"))?;
    look.put(cx, Part::Range, format_args!("*** {} ****", range(a)))?;
    cx.put(b"\n")?;
    half(cx, old, a, true)?;
    look.put(cx, Part::Range, format_args!("--- {} ----", range(b)))?;
    cx.put(b"\n")?;
    half(cx, new, b, false)
}
