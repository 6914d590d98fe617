//! `tac`: writes files with their records in reverse order. It holds one file in memory at a time.

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::os::OsStrExt;
use crate::quote::{quoteaf, quotef};
use crate::regex::{Flags, Regex, Span, Syntax, from_emacs};
use agentos_guest::{Errno, errno_of, io_error, strerror};
use std::ffi::{OsStr, OsString};
use std::io::Read;

const SPEC: &[&str] = &["b,before", "r,regex", "s,separator="];
const HELP: &str = "{} [OPTION]... [FILE]...
Write each FILE to standard output, last line first.
  -b, --before             attach the separator before instead of after
  -r, --regex              interpret the separator as a regular expression
  -s, --separator=STRING   use STRING as the separator instead of newline";

/// What records end with.
enum Separator {
    Text(Vec<u8>),
    Pattern(Box<Regex>),
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let (mut before, mut regex, mut separator) = (false, false, b"\n".to_vec());
    for opt in &parsed.opts {
        match opt.id {
            "before" => before = true,
            "regex" => regex = true,
            // GNU takes an empty separator as NUL.
            _ => separator = opt.arg().as_bytes().to_vec(),
        }
    }
    let separator = if regex {
        if separator.is_empty() {
            return Err(End::Failure(1, "separator cannot be empty".to_owned()));
        }
        let pattern = Regex::new(
            &from_emacs(&separator),
            Syntax::Basic,
            Flags { lines: true, newlines: true, ..Flags::default() },
        );
        Separator::Pattern(Box::new(pattern.map_err(|message| End::Failure(1, message))?))
    } else if separator.is_empty() {
        Separator::Text(vec![0])
    } else {
        Separator::Text(separator)
    };
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    for file in files {
        let mut text = Vec::new();
        let name = if file == "-" { OsStr::new("standard input") } else { file };
        match open_input(file) {
            Err(error) => {
                cx.warn(format_args!("failed to open {} for reading: {}", quoteaf(name), strerror(&error)));
            }
            Ok(mut input) => match input.read_to_end(&mut text) {
                Ok(_) => reverse(cx, &text, &separator, before)?,
                Err(error) => {
                    // GNU begins at the end of a directory, where it finds none.
                    let directory = errno_of(&error) == Some(Errno::EISDIR);
                    let error = if directory { io_error(Errno::EINVAL) } else { error };
                    cx.warn(format_args!("{}: read error: {}", quotef(name), strerror(&error)));
                }
            },
        }
    }
    Ok(0)
}

/// Writes the records of `text` from the last to the first, each with its separator.
fn reverse(cx: &mut Cx, text: &[u8], separator: &Separator, before: bool) -> Result<(), End> {
    let mut end = text.len();
    let mut put = |(start, after): Span| {
        let cut = if before { start } else { after };
        let record = &text[cut..end];
        end = cut;
        cx.put(record)
    };
    match separator {
        Separator::Text(wanted) => {
            let mut search = text.len();
            while let Some(at) = rfind(&text[..search], wanted) {
                put((at, at + wanted.len()))?;
                search = at;
            }
        }
        Separator::Pattern(regex) => {
            let too_hard = |_| End::Failure(1, "error in regular expression search".to_owned());
            let mut starts = Vec::new();
            let mut from = 0;
            while let Some((start, _)) = regex.find_at(text, from).map_err(too_hard)? {
                starts.push(start);
                from = start + 1;
                if from > text.len() {
                    break;
                }
            }
            // From the end backwards, as GNU's searches: the shortest match of those that end at one place.
            let mut search = text.len();
            for start in starts.into_iter().rev().filter(|start| *start < text.len()) {
                match regex.find_at(&text[..search], start).map_err(too_hard)? {
                    Some(found) if found.0 == start && found.1 > start => {
                        put(found)?;
                        search = start;
                    }
                    _ => {}
                }
            }
        }
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
