//! `head`: the first lines or bytes of files, or all but the last. It never seeks its input back.

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::os::{OsStrExt, os_owned};
use crate::quote::{quote, quoteaf};
use crate::size::parse_size;
use agentos_guest::strerror;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read};

const SPEC: &[&str] = &["c,bytes=", "n,lines=", "q,quiet", "silent", "v,verbose", "z,zero-terminated"];
const HELP: &str = "{} [OPTION]... [FILE]...
Print the first 10 lines of each FILE to standard output.
  -c, --bytes=[-]NUM       print the first NUM bytes; with '-', all but the last NUM
  -n, --lines=[-]NUM       print the first NUM lines; with '-', all but the last NUM
  -q, --quiet, --silent    never print headers giving file names
  -v, --verbose            always print headers giving file names
  -z, --zero-terminated    line delimiter is NUL, not newline";

#[derive(Clone, Copy)]
struct Count {
    number: u64,
    but_last: bool,
    bytes: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let args = modern(args);
    let parsed = cx.parse(SPEC, &args, Order::Permute, HELP)?;
    let mut count = Count { number: 10, but_last: false, bytes: false };
    let mut headers = parsed.operands.len() > 1;
    let mut end = b'\n';
    for opt in &parsed.opts {
        match opt.id {
            "bytes" | "lines" => {
                let text = opt.text();
                let (number, but_last) = match text.strip_prefix('-') {
                    Some(number) => (number, true),
                    None => (text.strip_prefix('+').unwrap_or(&text), false),
                };
                let valid = number.starts_with(|c: char| c.is_ascii_digit());
                let Some(number) = valid.then(|| parse_size(number)).flatten() else {
                    return Err(End::Failure(
                        1,
                        format!("invalid number of {}: {}", opt.id, quote(opt.arg())),
                    ));
                };
                count = Count { number, but_last, bytes: opt.id == "bytes" };
            }
            "verbose" => headers = true,
            "zero-terminated" => end = 0,
            _ => headers = false,
        }
    }
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    let mut first = true;
    for file in files {
        let mut input = match open_input(file) {
            Ok(input) => input,
            Err(error) => {
                cx.warn(format_args!("cannot open {} for reading: {}", quoteaf(file), strerror(&error)));
                continue;
            }
        };
        if headers {
            cx.put(if first { b"==> " } else { b"\n==> " })?;
            cx.put(if file == "-" { b"standard input" } else { file.as_bytes() })?;
            cx.put(b" <==\n")?;
        }
        first = false;
        let result = match count {
            Count { number: 0, but_last: false, .. } => Ok(Ok(())),
            Count { but_last: false, .. } => take(cx, &mut input, count, end)
                .inspect(|(_, unread)| {
                    if file == "-" && *unread > 0 {
                        // The next reader of a shared file goes on after the last line; a pipe takes nothing back.
                        let _ = agentos_guest::fd::seek(0, io::SeekFrom::Current(-(*unread as i64)));
                    }
                })
                .map(|(done, _)| done),
            Count { bytes: true, .. } => drop_last_bytes(cx, &mut input, count.number),
            Count { .. } => drop_last_lines(cx, &mut input, count.number, end),
        };
        match result {
            Ok(done) => done?,
            Err(error) => {
                let name = if file == "-" { OsString::from("standard input") } else { file.clone() };
                cx.warn(format_args!("error reading {}: {}", quoteaf(&name), strerror(&error)));
            }
        }
    }
    Ok(0)
}

/// `-5` and `-5c` of old, as the options of today.
fn modern(args: &[OsString]) -> Vec<OsString> {
    let mut out = args.to_vec();
    let Some(first) = args.first() else { return out };
    let Some(rest) = first.as_bytes().strip_prefix(b"-") else { return out };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return out;
    }
    let mut option = b"-n".to_vec();
    let mut number = rest[..digits].to_vec();
    let mut others = Vec::new();
    for letter in &rest[digits..] {
        match letter {
            b'c' => option = b"-c".to_vec(),
            b'b' | b'k' | b'm' => {
                option = b"-c".to_vec();
                number.push(if *letter == b'b' { b'b' } else { letter.to_ascii_uppercase() });
            }
            b'l' => option = b"-n".to_vec(),
            other => others.push(os_owned(vec![b'-', *other])),
        }
    }
    option.extend(number);
    out[0] = os_owned(option);
    out.splice(1..1, others);
    out
}

type Copied = io::Result<Result<(), End>>;

fn read_some(input: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buf) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Shows the beginning; also how much was read beyond it.
fn take(cx: &mut Cx, input: &mut dyn Read, count: Count, end: u8) -> io::Result<(Result<(), End>, usize)> {
    let mut unread = 0;
    let mut left = count.number;
    let mut buf = vec![0; 16 * 1024];
    while left > 0 {
        let most =
            if count.bytes { usize::try_from(left).unwrap_or(buf.len()).min(buf.len()) } else { buf.len() };
        let n = read_some(input, &mut buf[..most])?;
        if n == 0 {
            break;
        }
        let mut shown = n;
        if count.bytes {
            left -= n as u64;
        } else {
            for at in memchr::memchr_iter(end, &buf[..n]) {
                left -= 1;
                if left == 0 {
                    shown = at + 1;
                    break;
                }
            }
        }
        unread = n - shown;
        if let Err(e) = cx.put(&buf[..shown]) {
            return Ok((Err(e), unread));
        }
    }
    Ok((Ok(()), unread))
}

fn drop_last_bytes(cx: &mut Cx, input: &mut dyn Read, number: u64) -> Copied {
    let keep = usize::try_from(number).unwrap_or(usize::MAX);
    let mut held: VecDeque<u8> = VecDeque::new();
    let mut buf = vec![0; 16 * 1024];
    loop {
        let n = read_some(input, &mut buf)?;
        if n == 0 {
            return Ok(Ok(()));
        }
        held.extend(&buf[..n]);
        let ready: Vec<u8> = held.drain(..held.len().saturating_sub(keep)).collect();
        if let Err(e) = cx.put(&ready) {
            return Ok(Err(e));
        }
    }
}

fn drop_last_lines(cx: &mut Cx, input: &mut dyn Read, number: u64, end: u8) -> Copied {
    let keep = usize::try_from(number).unwrap_or(usize::MAX);
    let mut held: VecDeque<Vec<u8>> = VecDeque::new();
    let mut line = Vec::new();
    let mut buf = vec![0; 16 * 1024];
    loop {
        let n = read_some(input, &mut buf)?;
        if n == 0 {
            break;
        }
        let mut start = 0;
        for at in memchr::memchr_iter(end, &buf[..n]) {
            line.extend_from_slice(&buf[start..=at]);
            start = at + 1;
            held.push_back(std::mem::take(&mut line));
            if held.len() > keep {
                let ready = held.pop_front().unwrap_or_default();
                if let Err(e) = cx.put(&ready) {
                    return Ok(Err(e));
                }
            }
        }
        line.extend_from_slice(&buf[start..n]);
    }
    // A last line without an end counts as a line.
    if !line.is_empty() && held.len() == keep {
        let ready = if keep == 0 { line } else { held.pop_front().unwrap_or_default() };
        if let Err(e) = cx.put(&ready) {
            return Ok(Err(e));
        }
    }
    Ok(Ok(()))
}
