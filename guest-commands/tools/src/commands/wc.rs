//! `wc`: counts lines, words, characters, bytes and the longest line. Words are divided by ASCII white space.

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::os::{OsStrExt, os};
use crate::quote::{quote, quotef};
use agentos_guest::fs::{FileType, file_type, fstat, stat};
use std::ffi::OsString;
use std::io::{self, Read};

const SPEC: &[&str] =
    &["c,bytes", "m,chars", "l,lines", "L,max-line-length", "w,words", "files0-from=", "total="];
const HELP: &str = "{} [OPTION]... [FILE]...
Print newline, word, and byte counts for each FILE, and a total line if more than one FILE is given.
  -c, --bytes            print the byte counts
  -m, --chars            print the character counts
  -l, --lines            print the newline counts
  -L, --max-line-length  print the maximum display width
  -w, --words            print the word counts
      --files0-from=F    read input from the files named by NUL-terminated names in file F
      --total=WHEN       when to print a line with total counts: auto, always, only, never";

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Which {
    lines: bool,
    words: bool,
    chars: bool,
    bytes: bool,
    longest: bool,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    lines: u64,
    words: u64,
    chars: u64,
    bytes: u64,
    longest: u64,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut which = Which::default();
    let mut list = None;
    let mut total_when = "auto";
    for opt in &parsed.opts {
        match opt.id {
            "bytes" => which.bytes = true,
            "chars" => which.chars = true,
            "lines" => which.lines = true,
            "words" => which.words = true,
            "max-line-length" => which.longest = true,
            "files0-from" => list = Some(opt.arg().to_owned()),
            _ => {
                let text = opt.text();
                total_when = match ["auto", "always", "only", "never"].iter().find(|w| **w == text) {
                    Some(when) => when,
                    None => {
                        return Err(cx.usage(format!("invalid argument {} for '--total'", quote(opt.arg()))));
                    }
                };
            }
        }
    }
    if which == Which::default() {
        which = Which { lines: true, words: true, bytes: true, ..which };
    }
    let mut files = parsed.operands.clone();
    // Names that come from a pipe are not known ahead to GNU's, whose columns then have no width.
    let mut ahead = true;
    if let Some(list) = list {
        if let Some(extra) = files.first() {
            let message = format!(
                "extra operand {}\nfile operands cannot be combined with --files0-from",
                quote(extra)
            );
            return Err(cx.usage(message));
        }
        let mut names = Vec::new();
        if let Err(error) = open_input(&list).and_then(|mut input| input.read_to_end(&mut names)) {
            let why = agentos_guest::strerror(&error);
            return Err(End::Failure(1, format!("cannot open {} for reading: {why}", quotef(&list))));
        }
        let found = if list == "-" { fstat(0) } else { stat(&list) };
        ahead = found.is_ok_and(|s| file_type(s.mode) == FileType::File);
        files = names.split(|b| *b == 0).filter(|n| !n.is_empty()).map(|n| os(n).to_owned()).collect();
    } else if files.is_empty() {
        return count_stdin(cx, which, total_when);
    }
    let width = if ahead { width(&files, which) } else { 1 };
    let mut total = Counts::default();
    for file in &files {
        match open_input(file).and_then(|mut input| count(&mut input, which, size_of(file))) {
            Ok(counts) => {
                add(&mut total, counts);
                if total_when != "only" {
                    put(cx, which, counts, width, Some(file))?;
                }
            }
            Err(error) => {
                if error.raw_os_error().is_some()
                    && stat(file).is_ok_and(|s| file_type(s.mode) == FileType::Dir)
                {
                    cx.warn_path(file, &error);
                    if total_when != "only" {
                        put(cx, which, Counts::default(), width, Some(file))?;
                    }
                } else {
                    cx.warn_path(file, &error);
                }
            }
        }
    }
    let shown = match total_when {
        "auto" => files.len() > 1,
        "never" => false,
        _ => true,
    };
    if shown {
        let name = OsString::from("total");
        let (width, name) = if total_when == "only" { (1, None) } else { (width, Some(&name)) };
        put(cx, which, total, width, name)?;
    }
    Ok(0)
}

fn count_stdin(cx: &mut Cx, which: Which, total_when: &str) -> Outcome {
    let name = OsString::from("-");
    let size = fstat(0).ok().filter(|s| file_type(s.mode) == FileType::File).map(|s| s.size);
    let width = match size {
        _ if which.many() == 1 => 1,
        Some(size) => digits(size),
        None => 7,
    };
    match open_input(&name).and_then(|mut input| count(&mut input, which, None)) {
        Ok(counts) => {
            if total_when != "only" {
                put(cx, which, counts, width, None)?;
            }
            if matches!(total_when, "only" | "always") {
                let total = OsString::from("total");
                let only = total_when == "only";
                put(cx, which, counts, if only { 1 } else { width }, (!only).then_some(&total))?;
            }
        }
        Err(error) => cx.warn_path(&name, &error),
    }
    Ok(0)
}

impl Which {
    fn many(self) -> u32 {
        [self.lines, self.words, self.chars, self.bytes, self.longest].iter().map(|b| u32::from(*b)).sum()
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |n| n as usize + 1)
}

/// The column width GNU takes: the digits of the summed sizes, 7 when something is not a regular file.
fn width(files: &[OsString], which: Which) -> usize {
    if files.len() == 1 && which.many() == 1 {
        return 1;
    }
    let mut least = 1;
    let mut sum = 0u64;
    for file in files {
        let found = if file == "-" { fstat(0) } else { stat(file) };
        match found {
            Ok(s) if file_type(s.mode) == FileType::File => sum = sum.saturating_add(s.size),
            Ok(_) => least = 7,
            Err(_) => {}
        }
    }
    digits(sum).max(least)
}

/// The size of a regular file that says it has one: `/proc` files say 0.
fn size_of(file: &OsString) -> Option<u64> {
    stat(file)
        .ok()
        .filter(|s| file != "-" && file_type(s.mode) == FileType::File && s.size > 0)
        .map(|s| s.size)
}

fn add(total: &mut Counts, c: Counts) {
    total.lines += c.lines;
    total.words += c.words;
    total.chars += c.chars;
    total.bytes += c.bytes;
    total.longest = total.longest.max(c.longest);
}

fn put(cx: &mut Cx, which: Which, c: Counts, width: usize, name: Option<&OsString>) -> Result<(), End> {
    let columns = [
        (which.lines, c.lines),
        (which.words, c.words),
        (which.chars, c.chars),
        (which.bytes, c.bytes),
        (which.longest, c.longest),
    ];
    let mut first = true;
    for (_, number) in columns.iter().filter(|(shown, _)| *shown) {
        cx.print(format_args!("{}{number:width$}", if first { "" } else { " " }))?;
        first = false;
    }
    if let Some(name) = name {
        cx.put(b" ")?;
        cx.put(
            if name.as_bytes().contains(&b'\n') {
                quotef(name).into_bytes()
            } else {
                name.as_bytes().to_vec()
            }
            .as_slice(),
        )?;
    }
    cx.put(b"\n")
}

fn count(input: &mut dyn Read, which: Which, size: Option<u64>) -> io::Result<Counts> {
    let mut counts = Counts::default();
    if let (Some(size), true) = (size, which == (Which { bytes: true, ..Which::default() })) {
        counts.bytes = size;
        return Ok(counts);
    }
    let mut buf = vec![0; 64 * 1024];
    let mut in_word = false;
    let mut text = Text::default();
    loop {
        let n = match input.read(&mut buf) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let bytes = &buf[..n];
        counts.bytes += n as u64;
        if which.lines {
            counts.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        }
        if which.words {
            for b in bytes {
                let space = matches!(b, b'\t'..=b'\r' | b' ');
                counts.words += u64::from(in_word && space);
                in_word = !space && (in_word || (*b > b' ' && *b != 0x7f));
            }
        }
        if which.chars || which.longest {
            text.feed(bytes, &mut counts);
        }
    }
    counts.words += u64::from(in_word);
    counts.longest = counts.longest.max(text.column);
    Ok(counts)
}

/// Characters and line widths across buffer edges.
#[derive(Default)]
struct Text {
    partial: Vec<u8>,
    column: u64,
}

impl Text {
    fn feed(&mut self, bytes: &[u8], counts: &mut Counts) {
        let mut all = std::mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        let end = all.len();
        for chunk in all.utf8_chunks() {
            for c in chunk.valid().chars() {
                counts.chars += 1;
                match c {
                    '\n' | '\r' | '\x0c' => {
                        counts.longest = counts.longest.max(self.column);
                        self.column = 0;
                    }
                    '\t' => self.column += 8 - self.column % 8,
                    c => self.column += unicode_width::UnicodeWidthChar::width(c).unwrap_or(0) as u64,
                }
            }
            let bad = chunk.invalid();
            let at_end = !bad.is_empty() && bad.as_ptr_range().end == all[..end].as_ptr_range().end;
            if at_end && bad.len() < 4 && self.partial.is_empty() {
                self.partial = bad.to_vec();
            }
        }
    }
}
