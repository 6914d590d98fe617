//! `uniq`: joins adjacent lines that are equal, or shows which are. It compares bytes, and holds two lines at a time.

use crate::context::{Cx, End, Outcome, open_input};
use crate::lines::Lines;
use crate::options::{Order, Parsed};
use crate::os::{OsStrExt, os_owned};
use crate::quote::{quote, quoteaf, quotef};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufWriter, Write};

const SPEC: &[&str] = &[
    "c,count",
    "d,repeated",
    "D",
    "all-repeated=?",
    "f,skip-fields=",
    "group=?",
    "i,ignore-case",
    "s,skip-chars=",
    "u,unique",
    "w,check-chars=",
    "z,zero-terminated",
];
const HELP: &str = "{} [OPTION]... [INPUT [OUTPUT]]
Filter adjacent matching lines from INPUT, writing to OUTPUT.
  -c, --count            prefix lines by the number of occurrences
  -d, --repeated         only print duplicate lines, one for each group
  -D                     print all duplicate lines
      --all-repeated[=METHOD]  like -D, but allow separating groups: METHOD={none(default),prepend,separate}
  -f, --skip-fields=N    avoid comparing the first N fields
      --group[=METHOD]   show all items, separating groups: METHOD={separate(default),prepend,append,both}
  -i, --ignore-case      ignore differences in case when comparing
  -s, --skip-chars=N     avoid comparing the first N characters
  -u, --unique           only print unique lines
  -z, --zero-terminated  line delimiter is NUL, not newline
  -w, --check-chars=N    compare no more than N characters in lines";

/// Where empty lines stand between groups.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    None,
    Prepend,
    Append,
    Separate,
    Both,
}

struct Options {
    count: bool,
    /// Lines that stand alone are shown; the first of others; the others of them.
    alone: bool,
    first: bool,
    others: bool,
    group: Option<Gap>,
    gap: Gap,
    fields: usize,
    skip: usize,
    compare: usize,
    fold: bool,
    end: u8,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let args = modern(args);
    let parsed = cx.parse(SPEC, &args, Order::Permute, HELP)?;
    let options = options(cx, &parsed)?;
    if let Some(extra) = parsed.operands.get(2) {
        return Err(cx.usage(format!("extra operand {}", quote(extra))));
    }
    let named = |place: usize| parsed.operands.get(place).map_or(OsStr::new("-"), |name| name.as_os_str());
    let input = named(0);
    let reader = open_input(input)
        .map_err(|error| End::Failure(1, format!("{}: {}", quotef(input), strerror(&error))))?;
    let mut lines = Lines::new(reader, options.end);
    let output = named(1);
    if output == "-" {
        return filter(&options, &mut lines, input, &mut |bytes| cx.put(bytes)).map(|()| 0);
    }
    let failed = |error: std::io::Error| End::Failure(1, format!("{}: {}", quotef(output), strerror(&error)));
    let mut writer = BufWriter::with_capacity(64 * 1024, File::create(output).map_err(failed)?);
    filter(&options, &mut lines, input, &mut |bytes| writer.write_all(bytes).map_err(End::Output))?;
    writer.flush().map_err(End::Output)?;
    Ok(0)
}

fn options(cx: &Cx, parsed: &Parsed) -> Result<Options, End> {
    let mut o = Options {
        count: false,
        alone: true,
        first: true,
        others: false,
        group: None,
        gap: Gap::None,
        fields: 0,
        skip: 0,
        compare: usize::MAX,
        fold: false,
        end: b'\n',
    };
    let mut chosen = false;
    for opt in &parsed.opts {
        match opt.id {
            "count" => {
                o.count = true;
                chosen = true;
            }
            "repeated" => {
                o.alone = false;
                chosen = true;
            }
            "unique" => {
                o.first = false;
                chosen = true;
            }
            "D" | "all-repeated" => {
                (o.alone, o.others, chosen) = (false, true, true);
                if opt.value.is_some() {
                    let words: &[&[&str]] = &[&["none"], &["prepend"], &["separate"]];
                    let gaps = [Gap::None, Gap::Prepend, Gap::Separate];
                    o.gap = gaps[cx.keyword("--all-repeated", opt.arg(), words)?];
                }
            }
            "group" => {
                let words: &[&[&str]] = &[&["prepend"], &["append"], &["separate"], &["both"]];
                let gaps = [Gap::Prepend, Gap::Append, Gap::Separate, Gap::Both];
                o.group = Some(match &opt.value {
                    Some(word) => gaps[cx.keyword("--group", word, words)?],
                    None => Gap::Separate,
                });
            }
            "skip-fields" => o.fields = number(opt.arg(), "invalid number of fields to skip")?,
            "skip-chars" => o.skip = number(opt.arg(), "invalid number of bytes to skip")?,
            "check-chars" => o.compare = number(opt.arg(), "invalid number of bytes to compare")?,
            "ignore-case" => o.fold = true,
            _ => o.end = 0,
        }
    }
    if o.group.is_some() && chosen {
        return Err(cx.usage("--group is mutually exclusive with -c/-d/-D/-u"));
    }
    if o.count && o.others {
        return Err(cx.usage("printing all duplicated lines and repeat counts is meaningless"));
    }
    Ok(o)
}

/// A number; one that is too large is as large as there is.
fn number(text: &OsStr, why: &str) -> Result<usize, End> {
    let bytes = text.as_bytes();
    let digits = bytes.strip_prefix(b"+").unwrap_or(bytes);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(End::Failure(1, format!("{}: {why}", text.to_string_lossy())));
    }
    Ok(digits.iter().fold(0, |n: usize, b| n.saturating_mul(10).saturating_add(usize::from(b - b'0'))))
}

/// `-N` of old as `-f N`, `+N` as `-s N`.
fn modern(args: &[OsString]) -> Vec<OsString> {
    let mut out = Vec::with_capacity(args.len());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            out.push(arg.clone());
            break;
        }
        match bytes {
            [sign @ (b'-' | b'+'), digits @ ..]
                if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) =>
            {
                let mut option = if *sign == b'-' { b"-f".to_vec() } else { b"-s".to_vec() };
                option.extend_from_slice(digits);
                out.push(os_owned(option));
            }
            _ => out.push(arg.clone()),
        }
        if matches!(bytes, b"-f" | b"-s" | b"-w") {
            out.extend(rest.next().cloned());
        }
    }
    out.extend(rest.cloned());
    out
}

impl Options {
    /// The part of a line that is compared.
    fn compared<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let mut at = 0;
        let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\n');
        for _ in 0..self.fields {
            if at == line.len() {
                break;
            }
            at += line[at..].iter().take_while(|b| blank(b)).count();
            at += line[at..].iter().take_while(|b| !blank(b)).count();
        }
        at = at.saturating_add(self.skip).min(line.len());
        let rest = &line[at..];
        &rest[..rest.len().min(self.compare)]
    }

    fn same(&self, a: &[u8], b: &[u8]) -> bool {
        if self.fold { a.eq_ignore_ascii_case(b) } else { a == b }
    }
}

fn filter(
    o: &Options,
    lines: &mut Lines,
    name: &OsStr,
    put: &mut dyn FnMut(&[u8]) -> Result<(), End>,
) -> Result<(), End> {
    let read = |lines: &mut Lines| {
        lines.advance().map_err(|_| End::Failure(1, format!("error reading {}", quoteaf(name))))
    };
    let mut any_group = false;
    let mut more = read(lines)?;
    let mut first: Vec<u8> = Vec::new();
    while more {
        first.clear();
        first.extend_from_slice(lines.whole());
        let line = &first[..first.len() - 1];
        let wanted = o.compared(line);
        let mut count = 1_u64;
        if let Some(gap) = o.group {
            if matches!(gap, Gap::Prepend | Gap::Both) || (any_group && gap != Gap::Append) {
                put(&[o.end])?;
            }
            any_group = true;
            put(&first)?;
        }
        loop {
            more = read(lines)?;
            if !more || !o.same(wanted, o.compared(lines.line())) {
                break;
            }
            count += 1;
            if o.group.is_some() {
                put(lines.whole())?;
            } else if o.others {
                if count == 2 && o.first {
                    if o.gap == Gap::Prepend || (o.gap == Gap::Separate && any_group) {
                        put(&[o.end])?;
                    }
                    any_group = true;
                    put(&first)?;
                }
                if o.first {
                    put(lines.whole())?;
                }
            }
        }
        if let Some(gap) = o.group {
            if gap == Gap::Append || (gap == Gap::Both && !more) {
                put(&[o.end])?;
            }
        } else if !o.others && (if count == 1 { o.alone } else { o.first }) {
            if o.count {
                put(format!("{count:7} ").as_bytes())?;
            }
            put(&first)?;
        }
    }
    Ok(())
}
