//! `cat`: copies files to standard output, numbered and made visible on request. A regular file
//! that is its own output is refused: it would never end.

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::quote::quotef;
use agentos_guest::fd;
use agentos_guest::fs::{FileType, file_type, fstat, stat};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, SeekFrom};

const SPEC: &[&str] = &[
    "A,show-all",
    "b,number-nonblank",
    "e",
    "E,show-ends",
    "n,number",
    "s,squeeze-blank",
    "t",
    "T,show-tabs",
    "u",
    "v,show-nonprinting",
];
const HELP: &str = "{} [OPTION]... [FILE]...
Concatenate FILE(s) to standard output.
  -A, --show-all           equivalent to -vET
  -b, --number-nonblank    number nonempty output lines, overrides -n
  -e                       equivalent to -vE
  -E, --show-ends          display $ at end of each line
  -n, --number             number all output lines
  -s, --squeeze-blank      suppress repeated empty output lines
  -t                       equivalent to -vT
  -T, --show-tabs          display TAB characters as ^I
  -u                       (ignored)
  -v, --show-nonprinting   use ^ and M- notation, except for LFD and TAB";

#[derive(Default)]
struct Show {
    number: bool,
    nonblank: bool,
    ends: bool,
    tabs: bool,
    nonprinting: bool,
    squeeze: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut show = Show::default();
    let mut plain = true;
    for opt in &parsed.opts {
        if opt.id == "u" {
            continue;
        }
        plain = false;
        match opt.id {
            "show-all" => (show.nonprinting, show.ends, show.tabs) = (true, true, true),
            "number-nonblank" => (show.number, show.nonblank) = (true, true),
            "e" => (show.nonprinting, show.ends) = (true, true),
            "show-ends" => show.ends = true,
            "number" => show.number = true,
            "squeeze-blank" => show.squeeze = true,
            "t" => (show.nonprinting, show.tabs) = (true, true),
            "show-tabs" => show.tabs = true,
            _ => show.nonprinting = true,
        }
    }
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    let mut state = State { line: 0, at_start: true, blanks: 0, pending_cr: false };
    let mut buf = vec![0; 64 * 1024];
    let output = fstat(1).ok().filter(|s| file_type(s.mode) == FileType::File).map(|s| (s.dev, s.ino));
    for file in files {
        if let Some(output) = output
            && is_output(file, output)
        {
            cx.warn(format_args!("{}: input file is output file", quotef(file)));
            continue;
        }
        let result = open_input(file).and_then(|mut input| {
            loop {
                let n = match input.read(&mut buf) {
                    Ok(0) => return Ok(Ok(())),
                    Ok(n) => n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(e) => return Err(e),
                };
                let written = if plain {
                    cx.put(&buf[..n]).and_then(|()| cx.flush())
                } else {
                    state.put(cx, &show, &buf[..n])
                };
                if let Err(end) = written {
                    return Ok(Err(end));
                }
            }
        });
        match result {
            Ok(done) => done?,
            Err(error) => cx.warn_path(file, &error),
        }
    }
    if state.pending_cr {
        cx.put(b"\r")?;
    }
    Ok(0)
}

/// Whether something is left to be read of a file that is also the output.
fn is_output(file: &OsStr, output: (u64, u64)) -> bool {
    let (found, position) = if file == "-" {
        (fstat(0), fd::seek(0, SeekFrom::Current(0)).unwrap_or(0))
    } else {
        (stat(file), 0)
    };
    found.is_ok_and(|s| (s.dev, s.ino) == output && position < s.size)
}

struct State {
    line: u64,
    at_start: bool,
    blanks: u32,
    /// `-E` holds a CR back: before LF it shows as `^M`.
    pending_cr: bool,
}

impl State {
    fn put(&mut self, cx: &mut Cx, show: &Show, bytes: &[u8]) -> Result<(), End> {
        for &b in bytes {
            if self.at_start {
                if b == b'\n' {
                    self.blanks += 1;
                    if show.squeeze && self.blanks > 1 {
                        continue;
                    }
                } else {
                    self.blanks = 0;
                }
                if show.number && !(show.nonblank && b == b'\n') {
                    self.line += 1;
                    cx.print(format_args!("{:6}\t", self.line))?;
                }
                self.at_start = false;
            }
            if self.pending_cr {
                self.pending_cr = false;
                cx.put(if b == b'\n' { b"^M" } else { b"\r" })?;
            }
            match b {
                b'\n' => {
                    cx.put(if show.ends { b"$\n" } else { b"\n" })?;
                    self.at_start = true;
                }
                b'\t' if !show.tabs => cx.put(b"\t")?,
                b'\t' => cx.put(b"^I")?,
                b'\r' if show.ends && !show.nonprinting => self.pending_cr = true,
                _ if show.nonprinting => put_visible(cx, b)?,
                _ => cx.put(&[b])?,
            }
        }
        cx.flush()
    }
}

fn put_visible(cx: &mut Cx, b: u8) -> Result<(), End> {
    let low = b & 0x7f;
    if b >= 0x80 {
        cx.put(b"M-")?;
    }
    match low {
        0..32 => cx.put(&[b'^', low + 64]),
        127 => cx.put(b"^?"),
        _ => cx.put(&[low]),
    }
}
