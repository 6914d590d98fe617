//! The table of `gzip -l`: sizes, ratio and name of each file. All of a file is read, so that the size is right beyond 4 GiB.

use super::{Action, Tool, Trouble, gzip};
use crate::codec::gzip::{GzipReader, Header};
use crate::codec::input::Input;
use crate::codec::{self, Damage};
use crate::context::{Cx, End, Outcome};
use crate::files::{self, CopyError, Counted};
use crate::time;
use agentos_guest::fs;
use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::rc::Rc;

/// What part of `plain` bytes compressing saved.
pub(super) fn ratio(plain: u64, packed: u64) -> String {
    let part = if plain == 0 { 0.0 } else { (plain as f64 - packed as f64) / plain as f64 };
    format!("{:5.1}%", part * 100.0)
}

struct Line {
    header: Header,
    crc: u32,
    packed: u64,
    plain: u64,
}

pub(super) fn gzip(cx: &mut Cx, tool: &Tool, operands: &[OsString]) -> Outcome {
    debug_assert_eq!(tool.action, Action::Test);
    let one = [OsString::from("-")];
    let operands = if operands.is_empty() { &one[..] } else { operands };
    let (mut status, mut titled, mut lines) = (0, tool.quiet, 0);
    let (mut packed, mut plain) = (0, 0);
    for operand in operands {
        let mut name = operand.clone();
        if name != "-" && fs::stat(&name).is_err() && tool.stem(&name.to_string_lossy()).is_none() {
            name.push(&tool.suffix);
        }
        let line = match read(&name) {
            Ok(line) => line,
            Err(error) => {
                let trouble = codec::damage(&error).map_or(Trouble::System(&error), Trouble::Damage);
                let new = gzip::complain(cx, tool, &name, trouble);
                status = if status == 1 { 1 } else { status.max(new) };
                continue;
            }
        };
        if !titled {
            titled = true;
            if tool.verbose {
                cx.print(format_args!("method  crc     date  time  "))?;
            }
            cx.print(format_args!("         compressed        uncompressed  ratio uncompressed_name\n"))?;
        }
        let shown = shown_name(tool, &name, &line.header);
        let detail = detail(tool, &name, &line);
        put(cx, &detail, line.packed, line.plain, line.header_length(&name), &shown)?;
        lines += 1;
        packed += line.packed;
        plain += line.plain;
    }
    if lines > 1 && !tool.quiet {
        let blank = if tool.verbose { " ".repeat(28) } else { String::new() };
        let blank = if tool.verbose { &blank[..27] } else { &blank };
        put(cx, blank, packed, plain, 0, "(totals)")?;
    }
    Ok(status)
}

impl Line {
    fn header_length(&self, _: &OsStr) -> u64 {
        18 + self.header.name.as_ref().map_or(0, |name| name.len() as u64 + 1)
    }
}

fn put(cx: &mut Cx, detail: &str, packed: u64, plain: u64, header: u64, name: &str) -> Result<(), End> {
    let ratio = ratio(plain, packed.saturating_sub(header));
    cx.print(format_args!("{detail}{packed:19} {plain:19} {ratio} {name}\n"))
}

fn detail(tool: &Tool, name: &OsStr, line: &Line) -> String {
    if !tool.verbose {
        return String::new();
    }
    let mtime = match line.header.mtime {
        0 => fs::stat(name).or_else(|_| fs::fstat(0)).map_or(0, |s| s.mtime),
        mtime => i64::from(mtime),
    };
    format!("defla {:08x} {} ", line.crc, time::format(mtime, 0, "%b %e %H:%M"))
}

fn shown_name(tool: &Tool, name: &OsStr, header: &Header) -> String {
    if let Some(stored) = header.name.as_ref().filter(|_| tool.restore_name) {
        return String::from_utf8_lossy(stored).into_owned();
    }
    if name == "-" {
        return "stdout".to_owned();
    }
    let text = name.to_string_lossy();
    tool.stem(&text).unwrap_or_else(|| text.into_owned())
}

fn read(name: &OsStr) -> std::io::Result<Line> {
    let file = if name == "-" { files::stdin()? } else { files::open(name, 0)? };
    let bytes = Rc::new(Cell::new(0));
    let input = Input::new(Box::new(Counted { inner: file, bytes: bytes.clone() }));
    let mut reader = GzipReader::new(input);
    let header = reader.header()?.clone();
    match files::copy(&mut reader, &mut std::io::sink()) {
        Ok(plain) => Ok(Line { header, crc: reader.last_crc(), packed: bytes.get(), plain }),
        Err(CopyError::Read(error)) if codec::damage(&error) == Some(Damage::Trailing) => Err(error),
        Err(CopyError::Read(error) | CopyError::Write(error)) => Err(error),
    }
}
