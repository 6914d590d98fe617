//! `tail`: the last part of files, and what is added to them (`-f`). Nothing tells it of changes: it looks for them, once per
//! interval, and more often where none is given, since GNU's is told at once.

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, os_owned};
use crate::quote::{quote, quoteaf};
use crate::size::parse_size;
use agentos_guest::fs::{FileType, file_type, stat};
use agentos_guest::{signal, strerror};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

/// How often it looks by itself.
const INTERVAL: Duration = Duration::from_millis(50);

const SPEC: &[&str] = &[
    "c,bytes=",
    "f",
    "follow=?",
    "F",
    "n,lines=",
    "max-unchanged-stats=",
    "pid=",
    "q,quiet",
    "silent",
    "retry",
    "s,sleep-interval=",
    "v,verbose",
    "z,zero-terminated",
];
const HELP: &str = "{} [OPTION]... [FILE]...
Print the last 10 lines of each FILE to standard output.
  -c, --bytes=[+]NUM       output the last NUM bytes, or with + from byte NUM on
  -f, --follow[={name|descriptor}]  output appended data as the file grows
  -F                       same as --follow=name --retry
  -n, --lines=[+]NUM       output the last NUM lines, or with + from line NUM on
      --max-unchanged-stats=N  with --follow=name, look whether a FILE that did not change was renamed only
                           after N looks (default: at once)
      --pid=PID            with -f, terminate after process ID, PID dies
  -q, --quiet, --silent    never output headers giving file names
      --retry              keep trying to open a file if it is inaccessible
  -s, --sleep-interval=N   with -f, sleep for approximately N seconds between iterations (default 0.05)
  -v, --verbose            always output headers giving file names
  -z, --zero-terminated    line delimiter is NUL, not newline";

#[derive(Clone, Copy)]
struct Count {
    number: u64,
    from_start: bool,
    bytes: bool,
    end: u8,
}

struct Followed {
    path: OsString,
    file: Option<File>,
    id: (u64, u64),
    position: u64,
    /// Looks in a row that found nothing new.
    unchanged: u64,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let args = modern(args);
    let parsed = cx.parse(SPEC, &args, Order::Permute, HELP)?;
    let mut count = Count { number: 10, from_start: false, bytes: false, end: b'\n' };
    let (mut follow, mut by_name, mut retry, mut interval, mut pid) = (false, false, false, INTERVAL, None);
    let mut patience = 0;
    let mut headers = parsed.operands.len() > 1;
    for opt in &parsed.opts {
        match opt.id {
            "bytes" | "lines" => {
                let text = opt.text();
                let (from_start, number) = match text.strip_prefix('+') {
                    Some(number) => (true, number),
                    None => (false, text.strip_prefix('-').unwrap_or(&text)),
                };
                let valid = number.starts_with(|c: char| c.is_ascii_digit());
                let Some(number) = valid.then(|| parse_size(number)).flatten() else {
                    return Err(End::Failure(
                        1,
                        format!("invalid number of {}: {}", opt.id, quote(opt.arg())),
                    ));
                };
                count = Count { number, from_start, bytes: opt.id == "bytes", ..count };
            }
            "f" => follow = true,
            "follow" => match opt.text().as_str() {
                "" | "descriptor" => follow = true,
                "name" => (follow, by_name) = (true, true),
                _ => {
                    return Err(cx.usage(format!(
                        "invalid argument {} for {}",
                        quote(opt.arg()),
                        quote(OsStr::new("--follow"))
                    )));
                }
            },
            "F" => (follow, by_name, retry) = (true, true, true),
            "retry" => retry = true,
            "pid" => match opt.text().parse::<i32>() {
                Ok(number) => pid = Some(number),
                Err(_) => return Err(End::Failure(1, format!("invalid PID: {}", quote(opt.arg())))),
            },
            "sleep-interval" => match super::sleep::parse_interval(opt.arg()).flatten() {
                Some(time) => interval = time.max(Duration::from_millis(10)),
                None => {
                    return Err(End::Failure(1, format!("invalid number of seconds: {}", quote(opt.arg()))));
                }
            },
            "verbose" => headers = true,
            "zero-terminated" => count.end = 0,
            "max-unchanged-stats" => match opt.text().parse() {
                Ok(number) => patience = number,
                Err(_) => {
                    let what = "invalid maximum number of unchanged stats between opens";
                    return Err(End::Failure(1, format!("{what}: {}", quote(opt.arg()))));
                }
            },
            _ => headers = false,
        }
    }
    if !follow && retry {
        cx.say("warning: --retry ignored; --retry is useful only when following");
    } else if retry && !by_name {
        cx.say("warning: --retry only effective for the initial open");
    }
    if !follow && pid.is_some() {
        cx.say("warning: PID ignored; --pid=PID is useful only when following");
    }
    let stdin = [OsString::from("-")];
    let files = if parsed.operands.is_empty() { &stdin[..] } else { &parsed.operands[..] };
    let mut followed = Vec::new();
    let mut last = None;
    for (i, path) in files.iter().enumerate() {
        if path == "-" {
            header(cx, headers, &mut last, i, path)?;
            let done = from_stream(cx, &mut Descriptor(0), count);
            finish(cx, path, done)?;
            continue;
        }
        match File::open(path) {
            Ok(mut file) => {
                header(cx, headers, &mut last, i, path)?;
                let done = from_file(cx, &mut file, path, count);
                finish(cx, path, done)?;
                let position = file.stream_position().unwrap_or(0);
                followed.push(Followed {
                    path: path.clone(),
                    file: Some(file),
                    id: identity(path),
                    position,
                    unchanged: 0,
                });
            }
            Err(error) => {
                cx.warn(format_args!("cannot open {} for reading: {}", quoteaf(path), strerror(&error)));
                if follow && retry {
                    let path = path.clone();
                    followed.push(Followed { path, file: None, id: (0, 0), position: 0, unchanged: 0 });
                }
            }
        }
    }
    if !follow || followed.is_empty() {
        return Ok(0);
    }
    cx.flush()?;
    loop {
        let gone = pid.is_some_and(|pid| signal::kill(pid, None).is_err());
        for (i, one) in followed.iter_mut().enumerate() {
            if by_name && (one.file.is_none() || one.unchanged >= patience) {
                one.unchanged = 0;
                reopen(cx, one);
            }
            let before = one.position;
            grow(cx, one, headers, &mut last, i)?;
            one.unchanged = if one.position == before { one.unchanged.saturating_add(1) } else { 0 };
        }
        cx.flush()?;
        if gone {
            return Ok(0);
        }
        std::thread::sleep(interval);
    }
}

/// `-5`, `-5f` and `+5` of old, as the options of today.
fn modern(args: &[OsString]) -> Vec<OsString> {
    let mut out = args.to_vec();
    let Some(first) = args.first().map(|a| a.as_bytes()) else { return out };
    let (from_start, rest) = match first {
        [b'-', rest @ ..] => (false, rest),
        [b'+', rest @ ..] => (true, rest),
        _ => return out,
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, letters) = rest.split_at(digits);
    if digits == 0 || !letters.iter().all(|b| b"cblf".contains(b)) {
        return out;
    }
    let mut option =
        if letters.contains(&b'c') || letters.contains(&b'b') { b"-c".to_vec() } else { b"-n".to_vec() };
    if from_start {
        option.push(b'+');
    }
    option.extend_from_slice(number);
    if letters.contains(&b'b') {
        option.push(b'b');
    }
    out[0] = os_owned(option);
    if letters.contains(&b'f') {
        out.insert(1, "-f".into());
    }
    out
}

fn identity(path: &OsStr) -> (u64, u64) {
    stat(path).map_or((0, 0), |s| (s.dev, s.ino))
}

fn header(cx: &mut Cx, shown: bool, last: &mut Option<usize>, i: usize, path: &OsStr) -> Result<(), End> {
    if shown && *last != Some(i) {
        cx.put(if last.is_none() { b"==> " } else { b"\n==> " })?;
        cx.put(if path == "-" { b"standard input" } else { path.as_bytes() })?;
        cx.put(b" <==\n")?;
    }
    *last = Some(i);
    Ok(())
}

type Copied = io::Result<Result<(), End>>;

fn finish(cx: &mut Cx, path: &OsStr, done: Copied) -> Result<(), End> {
    match done {
        Ok(done) => done,
        Err(error) => {
            let name = if path == "-" { OsStr::new("standard input") } else { path };
            cx.warn(format_args!("error reading {}: {}", quoteaf(name), strerror(&error)));
            Ok(())
        }
    }
}

fn read_some(input: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buf) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A regular file is read from its end backwards; everything else from its start.
fn from_file(cx: &mut Cx, file: &mut File, path: &OsStr, count: Count) -> Copied {
    let regular = stat(path).is_ok_and(|s| file_type(s.mode) == FileType::File && s.size > 0);
    if !regular {
        return from_stream(cx, file, count);
    }
    let size = file.seek(SeekFrom::End(0))?;
    let start = match count {
        Count { from_start: true, bytes: true, number, .. } => number.saturating_sub(1).min(size),
        Count { from_start: true, .. } => {
            file.seek(SeekFrom::Start(0))?;
            return from_stream(cx, file, count);
        }
        Count { bytes: true, number, .. } => size.saturating_sub(number),
        Count { number: 0, .. } => size,
        Count { number, end, .. } => start_of_last(file, size, number, end)?,
    };
    file.seek(SeekFrom::Start(start))?;
    copy(cx, file)
}

fn start_of_last(file: &mut File, size: u64, lines: u64, end: u8) -> io::Result<u64> {
    let mut at = size;
    let mut left = lines;
    let mut buf = vec![0; 16 * 1024];
    while at > 0 {
        let n = usize::try_from(at).unwrap_or(buf.len()).min(buf.len());
        at -= n as u64;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut buf[..n])?;
        for i in memchr::memrchr_iter(end, &buf[..n]) {
            let position = at + i as u64;
            // The end of the last line does not begin another one.
            if position + 1 == size {
                continue;
            }
            left -= 1;
            if left == 0 {
                return Ok(position + 1);
            }
        }
    }
    Ok(0)
}

fn copy(cx: &mut Cx, input: &mut dyn Read) -> Copied {
    let mut buf = vec![0; 16 * 1024];
    loop {
        let n = read_some(input, &mut buf)?;
        if n == 0 {
            return Ok(Ok(()));
        }
        if let Err(end) = cx.put(&buf[..n]) {
            return Ok(Err(end));
        }
    }
}

fn from_stream(cx: &mut Cx, input: &mut dyn Read, count: Count) -> Copied {
    let mut buf = vec![0; 16 * 1024];
    if count.from_start {
        let mut skip = count.number.saturating_sub(1);
        while skip > 0 {
            let n = read_some(input, &mut buf)?;
            if n == 0 {
                return Ok(Ok(()));
            }
            let mut used = 0;
            if count.bytes {
                used = usize::try_from(skip).unwrap_or(n).min(n);
                skip -= used as u64;
            } else {
                for at in memchr::memchr_iter(count.end, &buf[..n]) {
                    skip -= 1;
                    used = at + 1;
                    if skip == 0 {
                        break;
                    }
                }
                if skip > 0 {
                    used = n;
                }
            }
            if let Err(end) = cx.put(&buf[used..n]) {
                return Ok(Err(end));
            }
        }
        return copy(cx, input);
    }
    let keep = usize::try_from(count.number).unwrap_or(usize::MAX);
    let mut held: VecDeque<u8> = VecDeque::new();
    let mut ends: VecDeque<u64> = VecDeque::new();
    let mut dropped = 0u64;
    loop {
        let n = read_some(input, &mut buf)?;
        if n == 0 {
            break;
        }
        let base = dropped + held.len() as u64;
        held.extend(&buf[..n]);
        let surplus = if count.bytes {
            held.len().saturating_sub(keep)
        } else {
            ends.extend(memchr::memchr_iter(count.end, &buf[..n]).map(|i| base + i as u64 + 1));
            // One end more than lines are kept: the last line may be open.
            let mut cut = 0;
            while ends.len() > keep.saturating_add(1) {
                cut = ends.pop_front().map_or(0, |end| (end - dropped) as usize);
            }
            cut
        };
        held.drain(..surplus);
        dropped += surplus as u64;
    }
    if !count.bytes {
        let open = held.back().is_some_and(|b| *b != count.end);
        let lines = ends.len() + usize::from(open);
        let surplus = lines.saturating_sub(keep);
        if surplus > 0 {
            let cut = ends.get(surplus - 1).map_or(held.len(), |end| (end - dropped) as usize);
            held.drain(..cut);
        }
    }
    let (a, b) = held.as_slices();
    Ok(cx.put(a).and_then(|()| cx.put(b)))
}

/// With `--follow=name`: the file that has the name now.
fn reopen(cx: &mut Cx, one: &mut Followed) {
    let id = identity(&one.path);
    if id == one.id {
        return;
    }
    match File::open(&one.path) {
        Ok(file) => {
            let why = if one.file.is_some() {
                "has been replaced;  following new file"
            } else {
                "has appeared;  following new file"
            };
            cx.say(format_args!("{} {why}", quoteaf(&one.path)));
            (one.file, one.id, one.position) = (Some(file), id, 0);
        }
        Err(error) => {
            if one.file.take().is_some() {
                cx.say(format_args!("{} has become inaccessible: {}", quoteaf(&one.path), strerror(&error)));
            }
            one.id = id;
        }
    }
}

fn grow(
    cx: &mut Cx,
    one: &mut Followed,
    headers: bool,
    last: &mut Option<usize>,
    i: usize,
) -> Result<(), End> {
    let Some(file) = &mut one.file else { return Ok(()) };
    let size = file.seek(SeekFrom::End(0)).unwrap_or(one.position);
    if size < one.position {
        cx.say(format_args!("{}: file truncated", crate::quote::quotef(&one.path)));
        one.position = 0;
    }
    if file.seek(SeekFrom::Start(one.position)).is_err() {
        // A pipe: it goes on where it is.
    }
    let mut buf = vec![0; 16 * 1024];
    loop {
        match read_some(file, &mut buf) {
            Ok(0) | Err(_) => return Ok(()),
            Ok(n) => {
                header(cx, headers, last, i, &one.path)?;
                cx.put(&buf[..n])?;
                one.position += n as u64;
            }
        }
    }
}
