//! `split`: cuts a file into pieces by lines, bytes or number. It holds one buffer of the input, and of a record what `-C` needs.

mod cut;
mod output;

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, os, os_owned};
use crate::quote::{quote, quoteaf};
use crate::size::{multiplier, parse_size};
use agentos_guest::{Signal, signal, strerror};
use cut::{Chunks, Way};
use output::{Names, Output, Series};
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "a,suffix-length=",
    "additional-suffix=",
    "b,bytes=",
    "C,line-bytes=",
    "d",
    "numeric-suffixes=?",
    "x",
    "hex-suffixes=?",
    "e,elide-empty-files",
    "filter=",
    "l,lines=",
    "n,number=",
    "t,separator=",
    "u,unbuffered",
    "verbose",
];
const HELP: &str = "{} [OPTION]... [FILE [PREFIX]]
Output pieces of FILE to PREFIXaa, PREFIXab, ...; default size is 1000 lines, and default PREFIX is 'x'.
  -a, --suffix-length=N   generate suffixes of length N (default 2)
      --additional-suffix=SUFFIX  append an additional SUFFIX to file names
  -b, --bytes=SIZE        put SIZE bytes per output file
  -C, --line-bytes=SIZE   put at most SIZE bytes of records per output file
  -d                      use numeric suffixes starting at 0, not alphabetic
      --numeric-suffixes[=FROM]  same as -d, but allow setting the start value
  -x                      use hex suffixes starting at 0, not alphabetic
      --hex-suffixes[=FROM]      same as -x, but allow setting the start value
  -e, --elide-empty-files  do not generate empty output files with '-n'
      --filter=COMMAND    write to shell COMMAND; file name is $FILE
  -l, --lines=NUMBER      put NUMBER lines/records per output file
  -n, --number=CHUNKS     generate CHUNKS output files: N, K/N, l/N, l/K/N, r/N, r/K/N
  -t, --separator=SEP     use SEP instead of newline as the record separator
  -u, --unbuffered        immediately copy input to output with '-n r/...'
      --verbose           print a diagnostic just before each output file is opened";

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
/// Longer names than this no file system has.
const MOST_SUFFIX: usize = 4096;

fn fail(message: impl Into<String>) -> End {
    End::Failure(1, message.into())
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, &modern(args), Order::Permute, HELP)?;
    let (mut way, mut separator, mut verbose, mut unbuffered, mut elide) = (None, None, false, false, false);
    let (mut length, mut additional, mut filter) = (0_usize, Vec::new(), None);
    let (mut digits, mut start): (&'static [u8], Vec<u8>) = (LETTERS, Vec::new());
    for opt in &parsed.opts {
        let new = match opt.id {
            "suffix-length" => {
                let digits = opt.text();
                let number = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
                let invalid = || fail(format!("invalid suffix length: {}", quote(opt.arg())));
                length = number.filter(|n| *n <= MOST_SUFFIX).ok_or_else(invalid)?;
                None
            }
            "additional-suffix" => {
                additional = opt.arg().as_bytes().to_vec();
                if additional.contains(&b'/') {
                    let shown = quote(opt.arg());
                    return Err(cx.usage(format!("invalid suffix {shown}, contains directory separator")));
                }
                None
            }
            "bytes" => Some(Way::Bytes(size(opt.arg())?)),
            "line-bytes" => Some(Way::Records(size(opt.arg())?)),
            "lines" => Some(Way::Lines(count(opt.arg(), "number of lines")?)),
            "number" => Some(chunks(opt.arg())?),
            "d" | "numeric-suffixes" | "x" | "hex-suffixes" => {
                let hex = opt.id.starts_with(['x', 'h']);
                digits = if hex { b"0123456789abcdef" } else { b"0123456789" };
                if let Some(from) = &opt.value {
                    start = from.as_bytes().to_vec();
                    if start.is_empty() || start.iter().any(|b| !digits.contains(b)) {
                        let kind = if hex { "hexadecimal" } else { "numerical" };
                        let shown = quote(from);
                        return Err(cx.usage(format!("{shown}: invalid start value for {kind} suffix")));
                    }
                }
                None
            }
            "elide-empty-files" => {
                elide = true;
                None
            }
            "filter" => {
                filter = Some(opt.arg().to_owned());
                None
            }
            "separator" => {
                let new = match opt.arg().as_bytes() {
                    [] => return Err(fail("empty record separator")),
                    [one] => *one,
                    b"\\0" => 0,
                    _ => return Err(fail(format!("multi-character separator {}", quote(opt.arg())))),
                };
                if separator.is_some_and(|old| old != new) {
                    return Err(fail("multiple separator characters specified"));
                }
                separator = Some(new);
                None
            }
            "unbuffered" => {
                unbuffered = true;
                None
            }
            _ => {
                verbose = true;
                None
            }
        };
        if new.is_some() {
            if way.is_some() {
                return Err(cx.usage("cannot split in more than one way"));
            }
            way = new;
        }
    }
    let way = way.unwrap_or(Way::Lines(1000));
    if let (Way::Chunks(Chunks { only: Some(_), .. }), true) = (&way, filter.is_some()) {
        return Err(cx.usage("--filter does not process a chunk extracted to stdout"));
    }
    if let Some(extra) = parsed.operands.get(2) {
        return Err(cx.usage(format!("extra operand {}", quote(extra))));
    }
    let mut needed = 0;
    if let Way::Chunks(Chunks { count, .. }) = &way {
        let base = digits.len() as u64;
        let first = start.iter().fold(0_u64, |n, b| {
            let digit = digits.iter().position(|d| d == b).unwrap_or(0) as u64;
            n.saturating_mul(base).saturating_add(digit)
        });
        // Where there is a start that is larger, names may not grow with the number of chunks.
        let first = if first < *count { first } else { 0 };
        let mut last = (count - 1).saturating_add(first);
        while last > 0 {
            needed += 1;
            last /= base;
        }
    }
    if length > 0 && length < needed {
        let needed = needed.to_string();
        return Err(fail(format!("the suffix length needs to be at least {needed}")));
    }
    let grows = length == 0 && needed == 0 && start.is_empty();
    if length == 0 {
        length = needed.max(2).max(start.len());
    }
    let prefix = parsed.operands.get(1).map_or(b"x".to_vec(), |prefix| prefix.as_bytes().to_vec());
    let names = Names { prefix, additional, digits, length, grows, start };
    let input = parsed.operands.first().map_or(OsStr::new("-"), |name| name.as_os_str());
    let source = cut::Source::open(input)
        .map_err(|error| fail(format!("cannot open {} for reading: {}", quoteaf(input), strerror(&error))))?;
    if filter.is_some() {
        // A command that reads no further is no end; should this fail, it is.
        let _ = signal::ignore(Signal::SIGPIPE);
    }
    let output = Output { series: Series::new(names), filter, verbose, input: source.descriptor() };
    let job = cut::Job { cx, output, source, end: separator.unwrap_or(b'\n'), elide, unbuffered };
    job.run(&way)
}

/// `-N` of old as `-l N`, also after other letters.
fn modern(args: &[OsString]) -> Vec<OsString> {
    let mut out = Vec::with_capacity(args.len());
    let mut value = false;
    for arg in args {
        let bytes = arg.as_bytes();
        let letters = bytes.get(1..).unwrap_or_default();
        if !std::mem::take(&mut value)
            && let [b'-', b'0'..=b'9', ..] = bytes
        {
            let digits = letters.iter().take_while(|b| b.is_ascii_digit()).count();
            out.push(os_owned([b"-l", &letters[..digits]].concat()));
            if digits < letters.len() {
                out.push(os_owned([b"-", &letters[digits..]].concat()));
            }
            continue;
        }
        let flags = letters.iter().take_while(|b| b"dxeu".contains(b)).count();
        value = bytes.first() == Some(&b'-')
            && flags + 1 == letters.len()
            && letters.last().is_some_and(|b| b"abClnt".contains(b));
        out.push(arg.clone());
    }
    out
}

/// A number of things.
fn count(text: &OsStr, what: &str) -> Result<u64, End> {
    let digits = text.to_string_lossy();
    let invalid = |why: &str| fail(format!("invalid {what}: {}{why}", quote(text)));
    let plain = digits.strip_prefix('+').unwrap_or(&digits);
    if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(""));
    }
    match plain.parse::<u64>() {
        Ok(0) => Err(invalid(": Numerical result out of range")),
        Ok(number) => Ok(number),
        Err(_) => Err(invalid(": Value too large for defined data type")),
    }
}

fn size(text: &OsStr) -> Result<u64, End> {
    let shown = text.to_string_lossy();
    let invalid = |why: &str| fail(format!("invalid number of bytes: {}{why}", quote(text)));
    let digits = shown.bytes().take_while(u8::is_ascii_digit).count();
    let unit = &shown[digits..];
    let known = unit.is_empty()
        || multiplier(unit).is_some()
        || matches!(unit, "Z" | "Y" | "ZB" | "YB" | "ZiB" | "YiB");
    if shown.is_empty() || !known {
        return Err(invalid(""));
    }
    match parse_size(&shown) {
        Some(0) => Err(invalid(": Numerical result out of range")),
        Some(number) => Ok(number),
        None => Err(invalid(": Value too large for defined data type")),
    }
}

/// Reads `N`, `K/N` and both with `l/` or `r/` before.
fn chunks(text: &OsStr) -> Result<Way, End> {
    let bytes = text.as_bytes();
    let (kind, rest) = match bytes {
        [kind @ (b'l' | b'r'), b'/', rest @ ..] => (*kind, rest),
        rest => (b'b', rest),
    };
    let (only, number) = match rest.iter().position(|b| *b == b'/') {
        Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
        None => (None, rest),
    };
    let total = count(os(number), "number of chunks")?;
    let only = match only {
        // A number that is left out is none.
        None | Some([]) => None,
        Some(number) => {
            let chosen = count(os(number), "chunk number")?;
            if chosen > total {
                let shown = quote(os(number));
                return Err(fail(format!("invalid chunk number: {shown}: Numerical result out of range")));
            }
            Some(chosen)
        }
    };
    Ok(Way::Chunks(Chunks { count: total, only, kind }))
}
