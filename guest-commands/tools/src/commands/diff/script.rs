//! The formats that another program reads: scripts of `ed`, backwards (`-e`) and forwards (`-f`), and RCS (`-n`).

use super::lines::Change;
use super::look::Look;
use super::print::{Side, range};
use crate::context::{Cx, End};

fn letter(change: &Change) -> char {
    match (change.old.0 < change.old.1, change.new.0 < change.new.1) {
        (false, _) => 'a',
        (_, false) => 'd',
        _ => 'c',
    }
}

/// The text of a line, ended whether it ends or not.
fn put(cx: &mut Cx, look: &Look, line: &[u8]) -> Result<(), End> {
    look.text(cx, line.strip_suffix(b"\n").unwrap_or(line))?;
    cx.put(b"\n")
}

/// `-e`: from the last change to the first, so that numbers stay true.
pub(super) fn ed(cx: &mut Cx, look: &Look, new: &Side<'_>, changes: &[Change]) -> Result<bool, End> {
    let mut any = false;
    for change in changes.iter().rev().filter(|c| !c.ignore) {
        any = true;
        let letter = letter(change);
        cx.print(format_args!("{}{letter}\n", range(change.old)))?;
        if letter == 'd' {
            continue;
        }
        let lines = &new.lines[change.new.0..change.new.1];
        let mut inserting = true;
        for line in lines {
            if !inserting {
                cx.put(b"a\n")?;
                inserting = true;
            }
            // A line of one dot would end the insertion: it is written as two and mended.
            if matches!(*line, b".\n" | b".") {
                cx.put(b"..\n.\ns/.//\n")?;
                inserting = false;
            } else {
                put(cx, look, line)?;
            }
        }
        if inserting {
            cx.put(b".\n")?;
        }
    }
    Ok(any)
}

/// `-f`: from the first to the last, by the numbers of the file as it was.
pub(super) fn forward(cx: &mut Cx, look: &Look, new: &Side<'_>, changes: &[Change]) -> Result<bool, End> {
    let mut any = false;
    for change in changes.iter().filter(|c| !c.ignore) {
        any = true;
        let letter = letter(change);
        cx.print(format_args!("{letter}{}\n", range(change.old).replace(',', " ")))?;
        if letter == 'd' {
            continue;
        }
        for line in &new.lines[change.new.0..change.new.1] {
            put(cx, look, line)?;
        }
        cx.put(b".\n")?;
    }
    Ok(any)
}

/// `-n`.
pub(super) fn rcs(cx: &mut Cx, look: &Look, new: &Side<'_>, changes: &[Change]) -> Result<bool, End> {
    let mut any = false;
    for change in changes.iter().filter(|c| !c.ignore) {
        any = true;
        let (from, to) = change.old;
        if from < to {
            cx.print(format_args!("d{} {}\n", from + 1, to - from))?;
        }
        let lines = &new.lines[change.new.0..change.new.1];
        if !lines.is_empty() {
            cx.print(format_args!("a{to} {}\n", lines.len()))?;
        }
        for line in lines {
            let text = line.strip_suffix(b"\n");
            look.text(cx, text.unwrap_or(line))?;
            if text.is_some() {
                cx.put(b"\n")?;
            }
        }
    }
    Ok(any)
}
