//! `paste`: joins lines of several files, or all lines of one. Standard input can stand for several of the files.

use crate::context::{Cx, End, Outcome, open_input};
use crate::lines::Lines;
use crate::options::Order;
use crate::os::OsStrExt;
use crate::quote::quotef;
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &["d,delimiters=", "s,serial", "z,zero-terminated"];
const HELP: &str = "{} [OPTION]... [FILE]...
Write lines consisting of the sequentially corresponding lines from each FILE, separated by TABs.
  -d, --delimiters=LIST   reuse characters from LIST instead of TABs
  -s, --serial            paste one file at a time instead of in parallel
  -z, --zero-terminated   line delimiter is NUL, not newline";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let (mut list, mut serial, mut end) = (OsString::from("\\t"), false, b'\n');
    for opt in &parsed.opts {
        match opt.id {
            "delimiters" => list = opt.arg().to_owned(),
            "serial" => serial = true,
            _ => end = 0,
        }
    }
    let delimiters = delimiters(&list)?;
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    if serial {
        for file in files {
            match open_input(file) {
                Ok(input) => one(cx, file, Lines::new(input, end), &delimiters, end)?,
                Err(error) => cx.warn_path(file, &error),
            }
        }
        return Ok(0);
    }
    let mut standard = None;
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        // All that are standard input read on where the last has stopped.
        if file == "-" && standard.is_some() {
            sources.push(Source::Shared);
            continue;
        }
        match open_input(file) {
            Ok(input) => {
                let lines = Lines::new(input, end);
                if file == "-" {
                    standard = Some(lines);
                    sources.push(Source::Shared);
                } else {
                    sources.push(Source::File(lines));
                }
            }
            Err(error) => {
                return Err(End::Failure(1, format!("{}: {}", quotef(file), strerror(&error))));
            }
        }
    }
    parallel(cx, files, sources, standard, &delimiters, end)?;
    Ok(0)
}

/// The delimiters in turn; `\0` is none.
fn delimiters(list: &OsStr) -> Result<Vec<Option<u8>>, End> {
    let mut out = Vec::new();
    let mut rest = list.as_bytes().iter();
    while let Some(b) = rest.next() {
        out.push(if *b != b'\\' {
            Some(*b)
        } else {
            match rest.next() {
                Some(b'0') => None,
                Some(b'b') => Some(8),
                Some(b'f') => Some(12),
                Some(b'n') => Some(b'\n'),
                Some(b'r') => Some(b'\r'),
                Some(b't') => Some(b'\t'),
                Some(b'v') => Some(11),
                Some(other) => Some(*other),
                None => {
                    let list = list.to_string_lossy();
                    let message = format!("delimiter list ends with an unescaped backslash: {list}");
                    return Err(End::Failure(1, message));
                }
            }
        });
    }
    if out.is_empty() {
        out.push(None);
    }
    Ok(out)
}

/// All lines of a file as one.
fn one(cx: &mut Cx, name: &OsStr, mut lines: Lines, delimiters: &[Option<u8>], end: u8) -> Result<(), End> {
    let mut turn = delimiters.iter().cycle();
    let mut first = true;
    loop {
        match lines.advance() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                cx.warn_path(name, &error);
                break;
            }
        }
        if !std::mem::take(&mut first)
            && let Some(Some(delimiter)) = turn.next()
        {
            cx.put(&[*delimiter])?;
        }
        cx.put(lines.line())?;
    }
    cx.put(&[end])
}

enum Source {
    File(Lines),
    /// Standard input.
    Shared,
    Over,
}

fn parallel(
    cx: &mut Cx,
    names: &[OsString],
    mut sources: Vec<Source>,
    mut standard: Option<Lines>,
    delimiters: &[Option<u8>],
    end: u8,
) -> Result<(), End> {
    let mut row: Vec<u8> = Vec::new();
    loop {
        row.clear();
        let mut any = false;
        let mut turn = delimiters.iter().cycle();
        for (i, source) in sources.iter_mut().enumerate() {
            let delimiter = if i == 0 { None } else { turn.next().copied().flatten() };
            row.extend(delimiter);
            let lines = match source {
                Source::File(lines) => Some(lines),
                Source::Shared => standard.as_mut(),
                Source::Over => None,
            };
            let Some(lines) = lines else { continue };
            match lines.advance() {
                Ok(true) => {
                    any = true;
                    row.extend_from_slice(lines.line());
                }
                Ok(false) => *source = Source::Over,
                Err(error) => {
                    // What has been read of this row is shown.
                    any |= names.len() > 1 && i > 0 && !row.is_empty();
                    cx.warn_path(&names[i], &error);
                    *source = Source::Over;
                }
            }
        }
        if !any {
            return Ok(());
        }
        row.push(end);
        cx.put(&row)?;
    }
}
