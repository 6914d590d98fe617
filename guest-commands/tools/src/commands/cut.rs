//! `cut`: parts of lines, by bytes or by fields. Characters are bytes, as in GNU's, and parts keep the order of the line.

use crate::context::{Cx, End, Outcome, open_input};
use crate::lines::Lines;
use crate::options::{Order, Parsed};
use crate::os::{OsStrExt, os};
use crate::quote::quote;
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "b,bytes=",
    "c,characters=",
    "d,delimiter=",
    "f,fields=",
    "n",
    "complement",
    "s,only-delimited",
    "output-delimiter=",
    "z,zero-terminated",
];
const HELP: &str = "{} OPTION... [FILE]...
Print selected parts of lines from each FILE to standard output.
  -b, --bytes=LIST        select only these bytes
  -c, --characters=LIST   select only these characters (bytes)
  -d, --delimiter=DELIM   use DELIM instead of TAB for field delimiter
  -f, --fields=LIST       select only these fields; also print any line that contains no delimiter, unless -s
  -n                      (ignored)
      --complement        complement the set of selected bytes, characters or fields
  -s, --only-delimited    do not print lines not containing delimiters
      --output-delimiter=STRING  use STRING as the output delimiter
  -z, --zero-terminated   line delimiter is NUL, not newline
A LIST is made of one range, or many ranges separated by commas: N, N-, N-M, -M.";

/// Places from one to another, both counted from 1 and part of it.
type Range = (u64, u64);

struct Cut {
    ranges: Vec<Range>,
    fields: bool,
    delimiter: u8,
    only_delimited: bool,
    between: Option<Vec<u8>>,
    end: u8,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let cut = options(cx, &parsed)?;
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    let mut out = Vec::with_capacity(64 * 1024);
    for file in files {
        let mut lines = match open_input(file) {
            Ok(input) => Lines::new(input, cut.end),
            Err(error) => {
                cx.warn_path(file, &error);
                continue;
            }
        };
        // Lines that are the fields themselves are one line.
        if cut.fields && cut.delimiter == cut.end {
            if let Err(error) = cut.whole(cx, &mut lines)? {
                cx.warn_path(file, &error);
            }
            continue;
        }
        loop {
            match lines.advance() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    cx.warn_path(file, &error);
                    break;
                }
            }
            if cut.fields {
                cut.fields_of(lines.line(), &mut out);
            } else {
                cut.bytes_of(lines.line(), &mut out);
            }
            if out.len() > 32 * 1024 {
                cx.put(&out)?;
                out.clear();
            }
        }
        cx.put(&out)?;
        out.clear();
    }
    Ok(0)
}

fn options(cx: &Cx, parsed: &Parsed) -> Result<Cut, End> {
    let (mut list, mut fields, mut delimiter, mut complement) = (None, false, None, false);
    let (mut only_delimited, mut between, mut end) = (false, None, b'\n');
    for opt in &parsed.opts {
        match opt.id {
            "bytes" | "characters" | "fields" => {
                if list.is_some() {
                    return Err(cx.usage("only one list may be specified"));
                }
                list = Some(opt.arg().to_owned());
                fields = opt.id == "fields";
            }
            "delimiter" => {
                delimiter = Some(match opt.arg().as_bytes() {
                    [] => 0,
                    [one] => *one,
                    _ => return Err(cx.usage("the delimiter must be a single character")),
                });
            }
            "complement" => complement = true,
            "only-delimited" => only_delimited = true,
            "output-delimiter" => {
                let text = opt.arg().as_bytes();
                between = Some(if text.is_empty() { vec![0] } else { text.to_vec() });
            }
            "zero-terminated" => end = 0,
            _ => {}
        }
    }
    let Some(list) = list else {
        return Err(cx.usage("you must specify a list of bytes, characters, or fields"));
    };
    if !fields && delimiter.is_some() {
        return Err(cx.usage("an input delimiter may be specified only when operating on fields"));
    }
    if !fields && only_delimited {
        return Err(cx.usage("suppressing non-delimited lines makes sense\n\tonly when operating on fields"));
    }
    let mut ranges = ranges(&list, fields).map_err(|message| cx.usage(message))?;
    // Without a separator of their own, bytes that touch are one part.
    join_ranges(&mut ranges, fields || between.is_none());
    if complement {
        join_ranges(&mut ranges, true);
        ranges = others(&ranges);
    }
    Ok(Cut { ranges, fields, delimiter: delimiter.unwrap_or(b'\t'), only_delimited, between, end })
}

fn ranges(list: &OsStr, fields: bool) -> Result<Vec<Range>, String> {
    let zero =
        if fields { "fields are numbered from 1" } else { "byte/character positions are numbered from 1" };
    let mut ranges = Vec::new();
    let text = list.as_bytes();
    let mut at = 0;
    let number = |from: usize| -> Result<(Option<u64>, usize), String> {
        let digits = text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return Ok((None, from));
        }
        let word = &text[from..from + digits];
        let value = word
            .iter()
            .try_fold(0_u64, |n, b| n.checked_mul(10)?.checked_add(u64::from(b - b'0')))
            .filter(|n| *n < u64::MAX);
        match value {
            Some(value) => Ok((Some(value), from + digits)),
            None => {
                let what = if fields { "field number" } else { "byte/character offset" };
                Err(format!("{what} {} is too large", quote(os(word))))
            }
        }
    };
    loop {
        let (first, after) = number(at)?;
        at = after;
        let mut range = None;
        if text.get(at) == Some(&b'-') {
            let (last, after) = number(at + 1)?;
            at = after;
            if first == Some(0) {
                return Err(zero.to_owned());
            }
            if text.get(at) == Some(&b'-') {
                return Err(
                    if fields { "invalid field range" } else { "invalid byte or character range" }.to_owned()
                );
            }
            range = Some((first, last));
        }
        match text.get(at) {
            None | Some(b',' | b' ' | b'\t') => {}
            Some(_) => {
                let what = if fields { "field value" } else { "byte/character position" };
                return Err(format!("invalid {what} {}", quote(os(&text[at..]))));
            }
        }
        match (range, first) {
            (Some((None, None)), _) => return Err("invalid range with no endpoint: -".to_owned()),
            (Some((first, last)), _) => {
                let (first, last) = (first.unwrap_or(1), last.unwrap_or(u64::MAX));
                if last < first {
                    return Err("invalid decreasing range".to_owned());
                }
                ranges.push((first, last));
            }
            (None, None | Some(0)) => return Err(zero.to_owned()),
            (None, Some(place)) => ranges.push((place, place)),
        }
        if at == text.len() {
            return Ok(ranges);
        }
        at += 1;
    }
}

/// The fields that a list names, or what is wrong with it.
pub(super) fn list_of_fields(list: &OsStr) -> Result<Vec<Range>, String> {
    ranges(list, true)
}

/// Sorts ranges and joins those that overlap, or that only touch.
fn join_ranges(ranges: &mut Vec<Range>, touching: bool) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let joined = next.0 <= last.1 || (touching && next.0 == last.1.saturating_add(1));
        if joined {
            last.1 = last.1.max(next.1);
        }
        joined
    });
}

fn others(ranges: &[Range]) -> Vec<Range> {
    let mut out = Vec::new();
    let mut next = 1;
    for (first, last) in ranges {
        if next < *first {
            out.push((next, first - 1));
        }
        next = last.saturating_add(1);
    }
    if next < u64::MAX {
        out.push((next, u64::MAX));
    }
    out
}

impl Cut {
    fn bytes_of(&self, line: &[u8], out: &mut Vec<u8>) {
        let mut any = false;
        for (first, last) in &self.ranges {
            let from = usize::try_from(first - 1).unwrap_or(usize::MAX);
            if from >= line.len() {
                break;
            }
            let to = usize::try_from(*last).unwrap_or(usize::MAX).min(line.len());
            if let (true, Some(between)) = (any, &self.between) {
                out.extend_from_slice(between);
            }
            out.extend_from_slice(&line[from..to]);
            any = true;
        }
        out.push(self.end);
    }

    fn fields_of(&self, line: &[u8], out: &mut Vec<u8>) {
        let mut stops = memchr::memchr_iter(self.delimiter, line);
        let mut stop = stops.next();
        if stop.is_none() {
            if !self.only_delimited {
                out.extend_from_slice(line);
                out.push(self.end);
            }
            return;
        }
        let own = [self.delimiter];
        let between = self.between.as_deref();
        let (mut field, mut start, mut any) = (1, 0, false);
        'ranges: for (first, last) in &self.ranges {
            while field < *first {
                let Some(at) = stop else { break 'ranges };
                start = at + 1;
                field += 1;
                stop = stops.next();
            }
            if any {
                out.extend_from_slice(between.unwrap_or(&own));
            }
            any = true;
            // The rest of a line is one piece if nothing in it changes.
            if *last == u64::MAX && between.is_none() {
                out.extend_from_slice(&line[start..]);
                break;
            }
            loop {
                out.extend_from_slice(&line[start..stop.unwrap_or(line.len())]);
                let Some(at) = stop else { break 'ranges };
                start = at + 1;
                field += 1;
                stop = stops.next();
                if field > *last {
                    break;
                }
                out.extend_from_slice(between.unwrap_or(&own));
            }
        }
        out.push(self.end);
    }

    /// Cuts an input whose lines are its fields.
    fn whole(&self, cx: &mut Cx, lines: &mut Lines) -> Result<std::io::Result<()>, End> {
        let own = [self.delimiter];
        let between = self.between.as_deref().unwrap_or(&own);
        let (mut field, mut any) = (0, false);
        loop {
            match lines.advance() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Ok(Err(error)),
            }
            field += 1;
            if self.selects(field) {
                if any {
                    cx.put(between)?;
                }
                any = true;
                cx.put(lines.line())?;
            }
        }
        if field > 0 {
            cx.put(&[self.end])?;
        }
        Ok(Ok(()))
    }

    fn selects(&self, field: u64) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&field))
    }
}
