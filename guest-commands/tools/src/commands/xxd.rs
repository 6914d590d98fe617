//! `xxd`: hex dumps of bytes, and bytes out of hex dumps. Options are those of Vim's program; it knows no colours.

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::os::OsStrExt;
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

const HELP: &str = "\
Usage:
       xxd [options] [infile [outfile]]
    or
       xxd -r [-s [-]offset] [-c cols] [-ps] [infile [outfile]]
Options:
    -a          a line of zeros only is shown as '*'
    -b          bits in place of hex digits
    -C          names of -i in capitals
    -c cols     bytes per line: 16, with -i 12, with -ps 30
    -d          offsets in decimal
    -E          characters in EBCDIC
    -e          little-endian groups
    -g bytes    bytes per group: 2, with -e 4
    -h          this help
    -i          a C array
    -l len      at most so many bytes
    -n name     the name of the array of -i
    -o off      is added to the offsets shown
    -ps         hex digits only
    -r          bytes out of a dump
    -s [+][-]seek  begin at this byte; with -r: added to the offsets
    -u          digits in upper case
    -v          the version
";

/// EBCDIC (code page 1047 as the program prints it): the ASCII character of each byte from 64 on.
const EBCDIC: &[u8; 192] = b" ...........<(+|&.........!$*);~-/.........,%_>?.........`:#@'=\".abcdefghi.......jklmnopqr^.......stuvwxyz...[...............]..{ABCDEFGHI......}JKLMNOPQR......\\.STUVWXYZ......0123456789......";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Hex,
    Bits,
    Little,
    Plain,
    Array,
}

struct Request {
    form: Form,
    revert: bool,
    autoskip: bool,
    capitals: bool,
    decimal: bool,
    ebcdic: bool,
    upper: bool,
    cols: Option<usize>,
    group: Option<usize>,
    length: Option<u64>,
    name: Option<String>,
    added: i64,
    /// Where to begin; relative to the end if `from_end`.
    seek: i64,
    from_end: bool,
    relative: bool,
    files: Vec<OsString>,
}

fn number(text: &str) -> i64 {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let n = i64::from_str_radix(&digits[..end], radix).unwrap_or(0);
    if negative { -n } else { n }
}

fn usage() -> End {
    let _ = io::stderr().write_all(HELP.as_bytes());
    End::Status(1)
}

fn read_options(cx: &mut Cx, args: &[OsString]) -> Result<Request, End> {
    let mut r = Request {
        form: Form::Hex,
        revert: false,
        autoskip: false,
        capitals: false,
        decimal: false,
        ebcdic: false,
        upper: false,
        cols: None,
        group: None,
        length: None,
        name: None,
        added: 0,
        seek: 0,
        from_end: false,
        relative: false,
        files: Vec::new(),
    };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            r.files.extend(rest.cloned());
            break;
        }
        let body = match text.strip_prefix("--").or_else(|| text.strip_prefix('-')) {
            Some(body) if !body.is_empty() => body,
            _ => {
                r.files.push(arg.clone());
                continue;
            }
        };
        let letter = body.as_bytes()[0];
        let mut value = |long: &[&str]| -> Result<String, End> {
            if body.len() > 1 && !long.contains(&body) {
                return Ok(body[1..].to_owned());
            }
            rest.next().map(|v| v.to_string_lossy().into_owned()).ok_or_else(usage)
        };
        match letter {
            b'a' => r.autoskip = !r.autoskip,
            b'b' => r.form = Form::Bits,
            b'C' => r.capitals = true,
            b'c' if body.starts_with("cap") => r.capitals = true,
            b'c' => r.cols = Some(usize::try_from(number(&value(&["cols"])?)).unwrap_or(0)),
            b'd' => r.decimal = true,
            b'E' => r.ebcdic = true,
            b'e' => r.form = Form::Little,
            b'g' => r.group = Some(usize::try_from(number(&value(&["group", "groupsize"])?)).unwrap_or(0)),
            b'h' => {
                cx.put(HELP.as_bytes())?;
                return Err(End::Status(0));
            }
            b'i' => r.form = Form::Array,
            b'l' => {
                let n = number(&value(&["len", "length"])?);
                r.length = Some(u64::try_from(n).unwrap_or(0));
            }
            b'n' => r.name = Some(value(&["name"])?),
            b'o' => r.added = number(&value(&["off", "offset"])?),
            b'p' => r.form = Form::Plain,
            b'r' => r.revert = true,
            b's' => {
                let text = value(&["seek", "skip"])?;
                r.relative = text.starts_with('+');
                let text = text.strip_prefix('+').unwrap_or(&text);
                r.from_end = text.starts_with('-');
                r.seek = number(text);
            }
            b'u' => r.upper = true,
            b'v' => {
                cx.say(concat!("(agentos-tools) ", env!("CARGO_PKG_VERSION")));
                return Err(End::Status(0));
            }
            _ => return Err(usage()),
        }
    }
    if r.files.len() > 2 {
        return Err(usage());
    }
    Ok(r)
}

trait Input: Read {
    fn begin(&mut self, at: SeekFrom) -> io::Result<u64>;
}

impl Input for File {
    fn begin(&mut self, at: SeekFrom) -> io::Result<u64> {
        self.seek(at)
    }
}

impl Input for Descriptor {
    fn begin(&mut self, at: SeekFrom) -> io::Result<u64> {
        agentos_guest::fd::seek(self.0, at)
    }
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let r = read_options(cx, args)?;
    let stdin = OsString::from("-");
    let source = r.files.first().unwrap_or(&stdin);
    let mut input: Box<dyn Input> = if source == "-" {
        Box::new(Descriptor(0))
    } else {
        match File::open(source) {
            Ok(file) => Box::new(file),
            Err(error) => {
                return Err(End::Failure(2, format!("{}: {}", source.to_string_lossy(), strerror(&error))));
            }
        }
    };
    let most = if r.form == Form::Plain || r.form == Form::Array || r.revert { usize::MAX } else { 256 };
    if r.cols.is_some_and(|c| c > most) {
        return Err(End::Failure(1, "invalid number of columns (max. 256).".into()));
    }
    if r.form == Form::Little && !r.group.unwrap_or(4).is_power_of_two() {
        return Err(End::Failure(1, "number of octets per group must be a power of 2 with -e.".into()));
    }
    if r.revert && !matches!(r.form, Form::Hex | Form::Plain) {
        return Err(End::Failure(255, "Sorry, cannot revert this type of hexdump".into()));
    }
    let mut file;
    let out: &mut dyn Output = match r.files.get(1).filter(|name| *name != "-") {
        None => &mut cx.out,
        Some(name) => {
            // A dump patches the file that is there; anything else replaces it.
            let opened = File::options().write(true).create(true).truncate(!r.revert).open(name);
            let opened = opened.map_err(|error| {
                End::Failure(3, format!("{}: {}", name.to_string_lossy(), strerror(&error)))
            })?;
            file = BufWriter::new(opened);
            &mut file
        }
    };
    if r.revert {
        let result =
            if r.form == Form::Plain { plain_back(&mut input, out) } else { back(&r, &mut input, out) };
        result.map_err(End::Output)?;
        out.flush().map_err(End::Output)?;
        return Ok(0);
    }
    let begun = begin(&r, input.as_mut()).map_err(|_| End::Failure(4, "Sorry, cannot seek.".into()))?;
    let mut input = BufReader::with_capacity(64 * 1024, input.take(r.length.unwrap_or(u64::MAX)));
    match r.form {
        Form::Array => array(&r, source, &mut input, out),
        Form::Plain => plain(&r, &mut input, out),
        _ => dump(&r, begun, &mut input, out),
    }
    .and_then(|()| out.flush())
    .map_err(End::Output)?;
    Ok(0)
}

/// Where bytes go: what can be patched is moved in, everything else gets zeros.
trait Output: Write {
    fn pass(&mut self, count: u64) -> io::Result<()>;
}

impl Output for BufWriter<Descriptor> {
    fn pass(&mut self, count: u64) -> io::Result<()> {
        io::copy(&mut io::repeat(0).take(count), self).map(drop)
    }
}

impl Output for BufWriter<File> {
    fn pass(&mut self, count: u64) -> io::Result<()> {
        self.seek(SeekFrom::Current(count.cast_signed())).map(drop)
    }
}

/// Moves to where the dump begins and returns the offset.
fn begin(r: &Request, input: &mut dyn Input) -> io::Result<u64> {
    if r.seek == 0 && !r.from_end {
        return Ok(0);
    }
    let to = if r.relative && r.from_end {
        SeekFrom::Current(r.seek)
    } else if r.from_end {
        SeekFrom::End(r.seek)
    } else if r.relative {
        SeekFrom::Current(r.seek)
    } else {
        SeekFrom::Start(r.seek.unsigned_abs())
    };
    match input.begin(to) {
        Ok(at) => Ok(at),
        Err(error) if r.seek < 0 => Err(error),
        Err(_) => io::copy(&mut input.take(r.seek.unsigned_abs()), &mut io::sink()),
    }
}

/// Fills the buffer as far as the input goes.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match input.read(&mut buffer[n..]) {
            Ok(0) => break,
            Ok(got) => n += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n)
}

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn dump(r: &Request, begun: u64, input: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    let (cols, group) = match r.form {
        Form::Bits => (r.cols.unwrap_or(6), r.group.unwrap_or(1)),
        Form::Little => (r.cols.unwrap_or(16), r.group.unwrap_or(4)),
        _ => (r.cols.unwrap_or(16), r.group.unwrap_or(2)),
    };
    let cols = if cols == 0 { if r.form == Form::Bits { 6 } else { 16 } } else { cols };
    let group = if group == 0 || group > cols { cols } else { group };
    let digits = if r.upper { UPPER } else { LOWER };
    let per = if r.form == Form::Bits { 8 } else { 2 };
    let width = cols * per + cols.div_ceil(group) - 1;
    // Groups of a little-endian dump are whole, so the last may reach into the place of the characters.
    let spare = group * per;
    let mut at = begun;
    let mut buffer = vec![0; cols];
    let mut zeros = 0_u64;
    let (mut second, mut last): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    loop {
        let n = fill(input, &mut buffer)?;
        if n == 0 {
            // The last line is shown even if it is one of the zeros left out.
            skipped(zeros.saturating_sub(1), &second, out)?;
            if zeros > 1 {
                out.write_all(&last)?;
            }
            return Ok(());
        }
        let offset = i128::from(at) + i128::from(r.added);
        let mut line =
            if r.decimal { format!("{offset:08}: ") } else { format!("{offset:08x}: ") }.into_bytes();
        let start = line.len();
        line.resize(start + width + 2 + spare, b' ');
        for (i, byte) in buffer[..n].iter().enumerate() {
            let slot = if r.form == Form::Little { i ^ (group - 1) } else { i };
            let to = start + slot * per + slot / group;
            if r.form == Form::Bits {
                (0..8).for_each(|bit| line[to + bit] = b'0' + (byte >> (7 - bit) & 1));
            } else {
                line[to] = digits[usize::from(byte >> 4)];
                line[to + 1] = digits[usize::from(byte & 15)];
            }
        }
        line.truncate(start + width + 2);
        for byte in &buffer[..n] {
            let c = match byte {
                b if r.ebcdic => {
                    if *b < 64 {
                        b'.'
                    } else {
                        EBCDIC[usize::from(b - 64)]
                    }
                }
                b' '..=b'~' => *byte,
                _ => b'.',
            };
            line.push(c);
        }
        line.push(b'\n');
        at += n as u64;
        if r.autoskip && buffer[..n].iter().all(|b| *b == 0) {
            zeros += 1;
            match zeros {
                1 => out.write_all(&line)?,
                2 => {
                    second.clone_from(&line);
                    last = line;
                }
                _ => last = line,
            }
            continue;
        }
        skipped(zeros, &second, out)?;
        zeros = 0;
        out.write_all(&line)?;
    }
}

/// What stands for lines of zeros after the first.
fn skipped(zeros: u64, second: &[u8], out: &mut dyn Write) -> io::Result<()> {
    match zeros {
        0 | 1 => Ok(()),
        2 => out.write_all(second),
        _ => out.write_all(b"*\n"),
    }
}

fn plain(r: &Request, input: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    let cols = r.cols.unwrap_or(30);
    let digits = if r.upper { UPPER } else { LOWER };
    let mut buffer = vec![0; if cols == 0 { 4096 } else { cols.min(1 << 20) }];
    let mut any = false;
    loop {
        let n = fill(input, &mut buffer)?;
        if n == 0 {
            return if cols == 0 && any { out.write_all(b"\n") } else { Ok(()) };
        }
        any = true;
        let mut line: Vec<u8> = buffer[..n]
            .iter()
            .flat_map(|b| [digits[usize::from(b >> 4)], digits[usize::from(b & 15)]])
            .collect();
        if cols != 0 {
            line.push(b'\n');
        }
        out.write_all(&line)?;
    }
}

fn array(r: &Request, source: &OsStr, input: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    let cols = r.cols.filter(|c| *c > 0).unwrap_or(12);
    let name = r.name.clone().or_else(|| (source != "-").then(|| source.to_string_lossy().into_owned()));
    let name = name.map(|name| {
        let mut text = String::new();
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            text.push_str("__");
        }
        text.extend(
            OsStr::new(&name)
                .as_bytes()
                .iter()
                .map(|b| if b.is_ascii_alphanumeric() { char::from(*b) } else { '_' }),
        );
        if r.capitals { text.to_ascii_uppercase() } else { text }
    });
    if let Some(name) = &name {
        writeln!(out, "unsigned char {name}[] = {{")?;
    }
    let mut buffer = vec![0; 4096];
    let mut count = 0_usize;
    loop {
        let n = fill(input, &mut buffer)?;
        if n == 0 {
            break;
        }
        for byte in &buffer[..n] {
            let before = match count {
                0 => "  ",
                c if c % cols == 0 => ",\n  ",
                _ => ", ",
            };
            if r.upper {
                write!(out, "{before}0X{byte:02X}")?;
            } else {
                write!(out, "{before}0x{byte:02x}")?;
            }
            count += 1;
        }
    }
    if count > 0 {
        out.write_all(b"\n")?;
    }
    match name {
        Some(name) if r.capitals => writeln!(out, "}};\nunsigned int {name}_LEN = {count};"),
        Some(name) => writeln!(out, "}};\nunsigned int {name}_len = {count};"),
        None => Ok(()),
    }
}

fn nibble(c: u8) -> Option<u8> {
    char::from(c).to_digit(16).map(|d| d as u8)
}

/// Bytes out of digits alone; anything else between them is passed over.
fn plain_back(input: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let mut high = None;
    let mut line = Vec::new();
    while {
        line.clear();
        input.read_until(b'\n', &mut line)? > 0
    } {
        for c in &line {
            match (high, nibble(*c)) {
                (None, Some(d)) => high = Some(d),
                (Some(h), Some(d)) => {
                    out.write_all(&[h << 4 | d])?;
                    high = None;
                }
                (_, None) => {}
            }
        }
    }
    Ok(())
}

/// The longest hole that a dump may make in an output that cannot seek.
const LONGEST_HOLE: u64 = 1 << 30;

/// Bytes out of whole lines of a dump, each at its offset.
fn back(r: &Request, input: &mut dyn Read, out: &mut dyn Output) -> io::Result<()> {
    let cols = r.cols.filter(|c| *c > 0).unwrap_or(16);
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    let mut at = 0_u64;
    while {
        line.clear();
        input.read_until(b'\n', &mut line)? > 0
    } {
        let Some(colon) = line.iter().position(|b| !b.is_ascii_hexdigit() && *b != b' ') else { continue };
        let digits = String::from_utf8_lossy(&line[..colon]).trim().to_owned();
        let Ok(offset) = i64::from_str_radix(&digits, 16) else { continue };
        let to = u64::try_from(offset.saturating_add(r.seek)).unwrap_or(0);
        if to > at {
            if to - at > LONGEST_HOLE {
                return Err(agentos_guest::io_error(agentos_guest::Errno::EFBIG));
            }
            out.pass(to - at)?;
            at = to;
        }
        let mut bytes: Vec<u8> = Vec::new();
        let (mut value, mut have, mut blanks) = (0_u8, 0, 0);
        for c in &line[colon + 1..] {
            match nibble(*c) {
                Some(d) => {
                    blanks = 0;
                    value = value << 4 | d;
                    have += 1;
                    if have == 2 {
                        bytes.push(value);
                        (value, have) = (0, 0);
                        if bytes.len() == cols {
                            break;
                        }
                    }
                }
                None if matches!(c, b' ' | b'\t') => {
                    blanks += 1;
                    // Two blanks come before the characters.
                    if blanks > 1 && !bytes.is_empty() {
                        break;
                    }
                }
                None => break,
            }
        }
        out.write_all(&bytes)?;
        at += bytes.len() as u64;
    }
    Ok(())
}
