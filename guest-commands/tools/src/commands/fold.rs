//! `fold`: breaks lines that are too wide. Columns are bytes, as in GNU's, but tabs, backspaces and returns move.

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::os::{OsStrExt, os_owned};
use crate::quote::quote;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};

const SPEC: &[&str] = &["b,bytes", "s,spaces", "w,width="];
const HELP: &str = "{} [OPTION]... [FILE]...
Wrap input lines in each FILE, writing to standard output.
  -b, --bytes        count bytes rather than columns
  -s, --spaces       break at spaces
  -w, --width=WIDTH  use WIDTH columns instead of 80";

struct Fold {
    width: usize,
    bytes: bool,
    spaces: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, &modern(args), Order::Permute, HELP)?;
    let mut fold = Fold { width: 80, bytes: false, spaces: false };
    for opt in &parsed.opts {
        match opt.id {
            "bytes" => fold.bytes = true,
            "spaces" => fold.spaces = true,
            _ => fold.width = width(opt.arg())?,
        }
    }
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    for file in files {
        match open_input(file) {
            Ok(mut input) => {
                if let Err(error) = fold.file(cx, &mut *input)? {
                    cx.warn_path(file, &error);
                }
            }
            Err(error) => cx.warn_path(file, &error),
        }
    }
    Ok(0)
}

/// `-N` of old as `-w N`, also after other letters.
fn modern(args: &[OsString]) -> Vec<OsString> {
    let mut after_w = false;
    let mut out = Vec::with_capacity(args.len());
    for arg in args {
        let bytes = arg.as_bytes();
        let letters = bytes.iter().skip(1).take_while(|b| matches!(b, b'b' | b's')).count();
        let old = !std::mem::take(&mut after_w)
            && bytes.first() == Some(&b'-')
            && bytes.get(1 + letters).is_some_and(u8::is_ascii_digit);
        if old {
            out.push(os_owned([&bytes[..=letters], b"w", &bytes[1 + letters..]].concat()));
        } else {
            after_w =
                bytes.first() == Some(&b'-') && bytes.len() == 2 + letters && bytes.last() == Some(&b'w');
            out.push(arg.clone());
        }
    }
    out
}

fn width(text: &OsStr) -> Result<usize, End> {
    let digits = text.to_string_lossy().trim_start().trim_start_matches('+').to_owned();
    let invalid = |why: &str| End::Failure(1, format!("invalid number of columns: {}{why}", quote(text)));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(""));
    }
    match digits.parse::<u64>() {
        Ok(0) => Err(invalid(": Numerical result out of range")),
        Ok(number) if number < u64::MAX - 8 => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
        Ok(_) => Err(invalid(": Numerical result out of range")),
        Err(_) => Err(invalid(": Value too large for defined data type")),
    }
}

impl Fold {
    fn column(&self, column: usize, b: u8) -> usize {
        match b {
            _ if self.bytes => column + 1,
            b'\x08' => column.saturating_sub(1),
            b'\r' => 0,
            b'\t' => column + 8 - column % 8,
            _ => column + 1,
        }
    }

    fn file(&self, cx: &mut Cx, input: &mut dyn Read) -> Result<io::Result<()>, End> {
        let mut buf = vec![0; 64 * 1024];
        let mut line: Vec<u8> = Vec::new();
        let mut column = 0;
        loop {
            let n = match input.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error)),
            };
            for b in &buf[..n] {
                if *b == b'\n' {
                    line.push(b'\n');
                    cx.put(&line)?;
                    line.clear();
                    column = 0;
                    continue;
                }
                column = self.column(column, *b);
                while column > self.width && !line.is_empty() {
                    let blank =
                        if self.spaces { line.iter().rposition(|b| matches!(b, b' ' | b'\t')) } else { None };
                    let end = blank.map_or(line.len(), |at| at + 1);
                    cx.put(&line[..end])?;
                    cx.put(b"\n")?;
                    line.drain(..end);
                    column = line.iter().chain([b]).fold(0, |column, b| self.column(column, *b));
                }
                line.push(*b);
            }
        }
        cx.put(&line)?;
        Ok(Ok(()))
    }
}
