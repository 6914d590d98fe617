//! `cmp`: compares two files byte by byte. It says where they differ first, or with `-l` everywhere, but not how.

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use crate::quote::quote_plain;
use crate::size::parse_size;
use agentos_guest::fd;
use agentos_guest::fs::{FileType, Stat, file_type, fstat};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, SeekFrom};

const SPEC: &[&str] =
    &["b,print-bytes", "i,ignore-initial=", "l,verbose", "n,bytes=", "s,quiet", "silent", "v,version"];
const HELP: &str = "{} [OPTION]... FILE1 [FILE2 [SKIP1 [SKIP2]]]
Compare two files byte by byte.
  -b, --print-bytes          print differing bytes
  -i, --ignore-initial=SKIP[:SKIP2]  skip first SKIP bytes of both inputs, or of each
  -l, --verbose              output byte numbers and differing byte values
  -n, --bytes=LIMIT          compare at most LIMIT bytes
  -s, --quiet, --silent      suppress all normal output
Exit status is 0 if inputs are the same, 1 if different, 2 if trouble.";

const PIECE: usize = 256 << 10;

struct Config {
    bytes: bool,
    all: bool,
    quiet: bool,
    skip: [u64; 2],
    limit: u64,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut c = Config { bytes: false, all: false, quiet: false, skip: [0, 0], limit: u64::MAX };
    for opt in &parsed.opts {
        match opt.id {
            "version" => return Err(cx.version()),
            "print-bytes" => c.bytes = true,
            "verbose" => c.all = true,
            "ignore-initial" => {
                let text = opt.text();
                let (first, second) = text.split_once(':').unwrap_or((&text, &text));
                c.skip = [skip(cx, first, &text)?, skip(cx, second, &text)?];
            }
            "bytes" => {
                let bad = || cx.usage(format!("invalid --bytes value {}", quote_plain(opt.arg())));
                c.limit = c.limit.min(parse_size(&opt.text()).ok_or_else(bad)?);
            }
            _ => c.quiet = true,
        }
    }
    if c.all && c.quiet {
        return Err(cx.usage("options -l and -s are incompatible"));
    }
    let mut operands = parsed.operands;
    match operands.len() {
        0 => return Err(cx.usage("missing operand after 'cmp'")),
        1 => operands.push("-".into()),
        2..=4 => {}
        _ => return Err(cx.usage(format!("extra operand {}", quote_plain(&operands[4])))),
    }
    for (i, text) in operands.iter().skip(2).enumerate() {
        let text = text.to_string_lossy();
        c.skip[i] = skip(cx, &text, &text)?;
    }
    let mut files = [open(&operands[0])?, open(&operands[1])?];
    let stats = [files[0].stat(), files[1].stat()];
    if let [Some(a), Some(b)] = &stats {
        let places = [files[0].position(), files[1].position()];
        if (a.dev, a.ino) == (b.dev, b.ino) && places[0] == places[1] && c.skip[0] == c.skip[1] {
            return Ok(0);
        }
        if c.quiet && regular(a) && regular(b) && a.size > 0 && b.size > 0 {
            let left =
                |s: &Stat, i: usize| s.size.saturating_sub(places[i].saturating_add(c.skip[i])).min(c.limit);
            if left(a, 0) != left(b, 1) {
                return Ok(1);
            }
        }
    }
    for (file, skip) in files.iter_mut().zip(c.skip) {
        file.skip(skip)?;
    }
    compare(cx, &c, &mut files, &stats)
}

fn skip(cx: &Cx, text: &str, whole: &str) -> Result<u64, End> {
    parse_size(text)
        .ok_or_else(|| cx.usage(format!("invalid --ignore-initial value {}", quote_plain(OsStr::new(whole)))))
}

fn regular(s: &Stat) -> bool {
    file_type(s.mode) == FileType::File
}

/// One of the two, read in pieces.
struct Input {
    name: OsString,
    fd: fd::Owned,
    buf: Vec<u8>,
    from: usize,
    to: usize,
}

fn open(name: &OsStr) -> Result<Input, End> {
    let opened = if name == "-" { fd::dup(0, 3, true) } else { fd::open(name, fd::O_RDONLY, 0) };
    match opened {
        Ok(fd) => {
            let fd = fd::Owned::from_raw(fd);
            Ok(Input { name: name.to_owned(), fd, buf: Vec::new(), from: 0, to: 0 })
        }
        Err(error) => Err(failed(name, &error)),
    }
}

fn failed(name: &OsStr, error: &io::Error) -> End {
    End::Failure(2, format!("{}: {}", name.to_string_lossy(), strerror(error)))
}

impl Input {
    fn stat(&self) -> Option<Stat> {
        fstat(self.fd.raw()).ok()
    }

    fn position(&self) -> u64 {
        fd::seek(self.fd.raw(), SeekFrom::Current(0)).unwrap_or(0)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), End> {
        if bytes == 0 {
            return Ok(());
        }
        let forward = i64::try_from(bytes).ok().filter(|_| self.stat().is_some_and(|s| regular(&s)));
        if forward.is_some_and(|by| fd::seek(self.fd.raw(), SeekFrom::Current(by)).is_ok()) {
            return Ok(());
        }
        let copied = io::copy(&mut Descriptor(self.fd.raw()).take(bytes), &mut io::sink());
        copied.map(drop).map_err(|error| failed(&self.name, &error))
    }

    /// What has been read and not been compared; empty at the end.
    fn rest(&mut self) -> Result<&[u8], End> {
        if self.from == self.to {
            if self.buf.is_empty() {
                self.buf = vec![0; PIECE];
            }
            let n = loop {
                match fd::read(self.fd.raw(), &mut self.buf) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    other => break other.map_err(|error| failed(&self.name, &error))?,
                }
            };
            (self.from, self.to) = (0, n);
        }
        Ok(&self.buf[self.from..self.to])
    }
}

fn compare(cx: &mut Cx, c: &Config, files: &mut [Input; 2], stats: &[Option<Stat>; 2]) -> Outcome {
    let most = stats.iter().zip(c.skip).fold(c.limit.min(i64::MAX as u64), |most, (s, skip)| {
        s.filter(regular).map_or(most, |s| most.min(s.size.saturating_sub(skip)))
    });
    let width = most.checked_ilog10().unwrap_or(0) as usize + 1;
    let names = [files[0].name.clone(), files[1].name.clone()];
    let [a, b] = files;
    // Bytes that are equal so far, and newlines among them.
    let (mut done, mut lines, mut last) = (0u64, 0u64, b'\n');
    let mut differ = false;
    loop {
        let left = c.limit - done;
        if left == 0 {
            return Ok(i32::from(differ));
        }
        let (x, y) = (a.rest()?, b.rest()?);
        let n = x.len().min(y.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
        if n == 0 {
            let short = if x.is_empty() && y.is_empty() { None } else { Some(x.is_empty()) };
            return Ok(match short {
                None => i32::from(differ),
                Some(first) => {
                    let name = &names[usize::from(!first)];
                    if !c.quiet {
                        cx.say(end_of(name, done, lines, last, c.all));
                    }
                    1
                }
            });
        }
        let (x, y) = (&x[..n], &y[..n]);
        let same = x == y;
        if !same && c.quiet {
            return Ok(1);
        }
        if !same {
            differ = true;
            for (at, (p, q)) in x.iter().zip(y).enumerate().filter(|(_, (p, q))| p != q) {
                let byte = done + at as u64 + 1;
                if !c.all {
                    let line = lines + memchr::memchr_iter(b'\n', &x[..at]).count() as u64 + 1;
                    let [a, b] = names.each_ref().map(|name| name.to_string_lossy());
                    cx.print(format_args!("{a} {b} differ: byte {byte}, line {line}"))?;
                    if c.bytes {
                        cx.print(format_args!(" is {p:3o} {} {q:3o} {}", shown(*p), shown(*q)))?;
                    }
                    cx.put(b"\n")?;
                    return Ok(1);
                }
                if c.bytes {
                    cx.print(format_args!("{byte:width$} {p:3o} {:4} {q:3o} {}\n", shown(*p), shown(*q)))?;
                } else {
                    cx.print(format_args!("{byte:width$} {p:3o} {q:3o}\n"))?;
                }
            }
        }
        done += n as u64;
        if !c.all && !c.quiet {
            lines += memchr::memchr_iter(b'\n', x).count() as u64;
        }
        last = x[n - 1];
        a.from += n;
        b.from += n;
    }
}

fn end_of(name: &OsStr, done: u64, lines: u64, last: u8, all: bool) -> String {
    let name = name.to_string_lossy();
    match (done, all) {
        (0, _) => format!("EOF on {name} which is empty"),
        (_, true) => format!("EOF on {name} after byte {done}"),
        _ if last == b'\n' => format!("EOF on {name} after byte {done}, line {lines}"),
        _ => format!("EOF on {name} after byte {done}, in line {}", lines + 1),
    }
}

/// A byte as `cat -t` shows it.
fn shown(byte: u8) -> String {
    let mut text = String::new();
    if byte >= 0x80 {
        text += "M-";
    }
    match byte & 0x7f {
        low @ 0..32 => {
            text.push('^');
            text.push(char::from(low + 64));
        }
        127 => text += "^?",
        low => text.push(char::from(low)),
    }
    text
}
