//! `rev`: the characters of every line in reverse order. Bytes that are no UTF-8 count as characters of their own.

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use agentos_guest::strerror;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help =
        "{} [OPTION]... [FILE]...\nReverse lines characterwise.\n  -0, --zero  lines end in NUL, not newline";
    let parsed = cx.parse(&["0,zero"], args, Order::Permute, help)?;
    let end = if parsed.opts.is_empty() { b'\n' } else { 0 };
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    for file in files {
        let input = match open_input(file) {
            Ok(input) => input,
            Err(error) => {
                cx.warn(format_args!("cannot open {}: {}", file.to_string_lossy(), strerror(&error)));
                continue;
            }
        };
        if let Err(error) = lines(cx, &mut BufReader::with_capacity(64 * 1024, input), end)? {
            cx.warn(format_args!("{}: {}", file.to_string_lossy(), strerror(&error)));
        }
    }
    Ok(0)
}

fn lines(cx: &mut Cx, input: &mut dyn BufRead, end: u8) -> Result<io::Result<()>, End> {
    let (mut line, mut out) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        match input.read_until(end, &mut line) {
            Ok(0) => return Ok(Ok(())),
            Ok(_) => {}
            Err(error) => return Ok(Err(error)),
        }
        let ended = line.pop_if(|last| *last == end).is_some();
        out.clear();
        reverse(&line, &mut out);
        if ended {
            out.push(end);
        }
        cx.put(&out)?;
    }
}

fn reverse(line: &[u8], out: &mut Vec<u8>) {
    if line.is_ascii() {
        out.extend(line.iter().rev());
        return;
    }
    let chunks: Vec<std::str::Utf8Chunk<'_>> = line.utf8_chunks().collect();
    for chunk in chunks.iter().rev() {
        out.extend(chunk.invalid().iter().rev());
        for c in chunk.valid().chars().rev() {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}
