//! `tac`: writes files with their records in reverse order. It holds one file in memory at a time.

use crate::context::{Cx, Outcome, open_input};
use crate::options::Order;
use crate::os::OsStrExt;
use std::ffi::OsString;
use std::io::Read;

const SPEC: &[&str] = &["b,before", "s,separator="];
const HELP: &str = "{} [OPTION]... [FILE]...
Write each FILE to standard output, last line first.
  -b, --before             attach the separator before instead of after
  -s, --separator=STRING   use STRING as the separator instead of newline";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let (mut before, mut separator) = (false, b"\n".to_vec());
    for opt in &parsed.opts {
        match opt.id {
            "before" => before = true,
            // GNU takes an empty separator as NUL.
            _ => separator = if opt.arg().is_empty() { vec![0] } else { opt.arg().as_bytes().to_vec() },
        }
    }
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    for file in files {
        let mut text = Vec::new();
        match open_input(file).and_then(|mut input| input.read_to_end(&mut text)) {
            Ok(_) => reverse(cx, &text, &separator, before)?,
            Err(error) => cx.warn_path(file, &error),
        }
    }
    Ok(0)
}

/// Writes the records of `text` from the last to the first, each with its separator.
fn reverse(cx: &mut Cx, text: &[u8], separator: &[u8], before: bool) -> Result<(), crate::context::End> {
    let mut end = text.len();
    let mut search = end;
    while let Some(at) = rfind(&text[..search], separator) {
        let cut = if before { at } else { at + separator.len() };
        cx.put(&text[cut..end])?;
        (end, search) = (cut, at);
    }
    cx.put(&text[..end])
}

fn rfind(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let last = *wanted.last()?;
    let mut end = text.len();
    while end >= wanted.len() {
        let at = text[..end].iter().rposition(|b| *b == last)?;
        if text[..=at].ends_with(wanted) {
            return Some(at + 1 - wanted.len());
        }
        end = at;
    }
    None
}
