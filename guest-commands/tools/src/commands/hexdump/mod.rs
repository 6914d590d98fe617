//! `hexdump` and `hd`: dumps of files by format strings; the usual ones are built in. Formats are parsed in `format`.

mod format;

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use agentos_guest::strerror;
use format::{Block, What};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};

const SPEC: &[&str] = &[
    "b,one-byte-octal",
    "c,one-byte-char",
    "C,canonical",
    "d,two-bytes-decimal",
    "o,two-bytes-octal",
    "x,two-bytes-hex",
    "e,format=",
    "f,format-file=",
    "n,length=",
    "s,skip=",
    "v,no-squeezing",
];

const HELP: &str = "
 {} [options] <file>...

Display file contents in hexadecimal, decimal, octal, or ascii.

Options:
 -b, --one-byte-octal      one-byte octal display
 -c, --one-byte-char       one-byte character display
 -C, --canonical           canonical hex+ASCII display
 -d, --two-bytes-decimal   two-byte decimal display
 -o, --two-bytes-octal     two-byte octal display
 -x, --two-bytes-hex       two-byte hexadecimal display
 -e, --format <format>     format string to be used for displaying data
 -f, --format-file <file>  file that contains format strings
 -n, --length <length>     interpret only length bytes of input
 -s, --skip <offset>       skip offset bytes from the beginning
 -v, --no-squeezing        output identical lines
 -h, --help                display this help
 -V, --version             display version";

const OFFSET: &str = "\"%07.7_Ax\n\"";

/// The files one after the other; what cannot be opened is told and passed over.
struct Input<'a> {
    cx: &'a mut Cx,
    names: std::slice::Iter<'a, OsString>,
    now: Option<Box<dyn Read>>,
    opened: usize,
}

impl Input<'_> {
    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let mut n = 0;
        while n < buffer.len() {
            let Some(now) = &mut self.now else {
                let Some(name) = self.names.next() else { break };
                match File::open(name) {
                    Ok(file) => {
                        self.opened += 1;
                        self.now = Some(Box::new(BufReader::with_capacity(64 * 1024, file)));
                    }
                    Err(error) => {
                        self.cx.warn(format_args!("{}: {}", name.to_string_lossy(), strerror(&error)))
                    }
                }
                continue;
            };
            match now.read(&mut buffer[n..]) {
                Ok(0) => self.now = None,
                Ok(got) => n += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.cx.warn(strerror(&error));
                    self.now = None;
                }
            }
        }
        n
    }
}

fn size(what: &str, text: &str) -> Result<u64, End> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(text, 8).ok(),
        None => crate::size::parse_size(text),
    };
    parsed.ok_or_else(|| End::Failure(1, format!("failed to parse {what}: '{text}'")))
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let words: Vec<OsString> = args
        .iter()
        .map(|arg| match arg.to_str() {
            Some("-h") => "--help".into(),
            Some("-V") => "--version".into(),
            _ => arg.clone(),
        })
        .collect();
    let parsed = cx.parse(SPEC, &words, Order::Permute, HELP)?;
    let mut formats: Vec<String> = Vec::new();
    let (mut length, mut skip, mut squeeze) = (u64::MAX, 0, true);
    if cx.name == "hd" {
        canonical(&mut formats);
    }
    for opt in &parsed.opts {
        let mut with_offset = |row: &str| {
            formats.push(OFFSET.into());
            formats.push(row.into());
        };
        match opt.id {
            "one-byte-octal" => with_offset("\"%07.7_ax \" 16/1 \"%03o \" \"\\n\""),
            "one-byte-char" => with_offset("\"%07.7_ax \" 16/1 \"%3_c \" \"\\n\""),
            "two-bytes-decimal" => with_offset("\"%07.7_ax \" 8/2 \"  %05u \" \"\\n\""),
            "two-bytes-octal" => with_offset("\"%07.7_ax \" 8/2 \" %06o \" \"\\n\""),
            "two-bytes-hex" => with_offset("\"%07.7_ax \" 8/2 \"   %04x \" \"\\n\""),
            "canonical" => canonical(&mut formats),
            "format" => formats.push(opt.text()),
            "format-file" => {
                let text = std::fs::read_to_string(opt.arg())
                    .map_err(|e| End::Failure(1, format!("can't read {}: {}", opt.text(), strerror(&e))))?;
                let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
                formats.extend(lines.map(str::to_owned));
            }
            "length" => length = size("length", &opt.text())?,
            "skip" => skip = size("offset", &opt.text())?,
            _ => squeeze = false,
        }
    }
    if formats.is_empty() {
        formats.push(OFFSET.into());
        formats.push("\"%07.7_ax \" 8/2 \"%04x \" \"\\n\"".into());
    }
    let mut blocks = Vec::new();
    for text in &formats {
        blocks.push(format::parse(text).map_err(|message| End::Failure(1, message))?);
    }
    let size = blocks.iter().map(Block::size).max().unwrap_or(0);
    for block in &mut blocks {
        block.grow(size);
    }
    dump(cx, &parsed.operands, &blocks, (size, skip, length, squeeze))
}

fn canonical(formats: &mut Vec<String>) {
    formats.push("\"%08.8_Ax\n\"".into());
    formats.push("\"%08.8_ax  \" 8/1 \"%02x \" \"  \" 8/1 \"%02x \"".into());
    formats.push("\"  |\" 16/1 \"%_p\" \"|\\n\"".into());
}

fn dump(
    cx: &mut Cx,
    files: &[OsString],
    blocks: &[Block],
    (size, skip, mut left, squeeze): (usize, u64, u64, bool),
) -> Outcome {
    if size == 0 {
        return Ok(0);
    }
    let now: Option<Box<dyn Read>> = if files.is_empty() { Some(Box::new(Descriptor(0))) } else { None };
    let mut input = Input { cx, names: files.iter(), now, opened: 0 };
    let mut at = 0_u64;
    let mut waste = vec![0; 64 * 1024];
    while at < skip {
        let want = usize::try_from(skip - at).unwrap_or(usize::MAX).min(waste.len());
        let n = input.fill(&mut waste[..want]);
        if n == 0 {
            break;
        }
        at += n as u64;
    }
    let (mut line, mut before) = (vec![0; size], Vec::new());
    let mut same = false;
    let mut out = Vec::new();
    loop {
        let want = size.min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = input.fill(&mut line[..want]);
        if n == 0 {
            break;
        }
        left -= n as u64;
        line[n..].fill(0);
        if squeeze && n == size && before == line {
            if !same {
                input.cx.put(b"*\n")?;
            }
            same = true;
        } else {
            same = false;
            out.clear();
            for block in blocks {
                block.show(&line, n, at, &mut out);
            }
            input.cx.put(&out)?;
            before.clear();
            before.extend_from_slice(&line[..n]);
        }
        at += n as u64;
    }
    let failed = input.opened == 0 && !files.is_empty() && input.names.len() == 0;
    if failed {
        input.cx.warn("all input file arguments failed");
        return Ok(1);
    }
    out.clear();
    if at > 0 {
        for unit in blocks.iter().flat_map(|b| &b.units).flat_map(|u| &u.pieces) {
            if let What::End(radix) = unit.what {
                unit.offset(at, radix, &mut out);
                out.extend_from_slice(unit.after.as_bytes());
            }
        }
    }
    cx.put(&out)?;
    Ok(0)
}
