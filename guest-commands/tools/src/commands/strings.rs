//! `strings`: the printable text in any files. It scans whole files and knows no object formats, so `-d` and `-T` are refused.

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use agentos_guest::fs::{FileType, file_type, stat};
use std::ffi::OsString;
use std::io::{BufReader, Read};

const SPEC: &[&str] = &[
    "a,all",
    "f,print-file-name",
    "n,bytes=",
    "t,radix=",
    "w,include-all-whitespace",
    "o",
    "e,encoding=",
    "s,output-separator=",
];

const HELP: &str = "\
{} [OPTION]... [FILE]...
Print the sequences of printable characters in files, or in standard input.
  -a, --all                       scan the whole file (always so)
  -f, --print-file-name           the name of the file before each string
  -n, --bytes=NUMBER, -NUMBER     at least so many characters (4)
  -t, --radix=o|d|x               the place of the string before it
  -o                              as -t o
  -w, --include-all-whitespace    all white space is printable
  -e, --encoding=s|S|b|l|B|L      7 bit, 8 bit, 16 bit big or little-endian, 32 bit
  -s, --output-separator=STRING   between strings, in place of a newline";

struct Request {
    least: usize,
    radix: Option<char>,
    space: bool,
    names: bool,
    encoding: char,
    separator: Option<Vec<u8>>,
}

/// How much of a string is kept until it is long enough or printed.
const CHUNK: usize = 4096;

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut r = Request { least: 4, radix: None, space: false, names: false, encoding: 's', separator: None };
    // `-8` is short for `-n 8`, `-` for `-a`.
    let mut words: Vec<OsString> = Vec::new();
    let mut takes = false;
    for arg in args {
        let text = arg.to_string_lossy();
        let digits =
            text.strip_prefix('-').filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()));
        match digits {
            Some(digits) if !takes => words.push(format!("-n{digits}").into()),
            _ if text == "-" && !takes => words.push("-a".into()),
            _ => words.push(arg.clone()),
        }
        takes = matches!(&*text, "-n" | "-t" | "-e" | "-s");
    }
    let parsed = cx.parse(SPEC, &words, Order::Permute, HELP)?;
    for opt in &parsed.opts {
        match opt.id {
            "all" => {}
            "print-file-name" => r.names = true,
            "bytes" => {
                let text = opt.text();
                r.least =
                    text.parse().map_err(|_| End::Failure(1, format!("invalid integer argument {text}")))?;
                if r.least == 0 {
                    return Err(End::Failure(1, format!("invalid minimum string length {text}")));
                }
            }
            "radix" => match &*opt.text() {
                "o" => r.radix = Some('o'),
                "d" => r.radix = Some('d'),
                "x" => r.radix = Some('x'),
                other => return Err(cx.usage(format!("invalid radix '{other}'"))),
            },
            "o" => r.radix = Some('o'),
            "include-all-whitespace" => r.space = true,
            "encoding" => match &*opt.text() {
                text @ ("s" | "S" | "b" | "l" | "B" | "L") => r.encoding = text.chars().next().unwrap_or('s'),
                other => return Err(cx.usage(format!("invalid encoding '{other}'"))),
            },
            _ => r.separator = Some(opt.arg().as_encoded_bytes().to_vec()),
        }
    }
    if parsed.operands.is_empty() {
        scan(cx, &r, "{standard input}", Descriptor(0))?;
    }
    for file in &parsed.operands {
        let name = file.to_string_lossy();
        match stat(file) {
            Err(_) => cx.warn(format_args!("'{name}': No such file")),
            Ok(s) if file_type(s.mode) == FileType::Dir => {
                cx.warn(format_args!("Warning: '{name}' is a directory"));
            }
            Ok(_) => match std::fs::File::open(file) {
                Err(error) => cx.warn_path(file, &error),
                Ok(input) => scan(cx, &r, &name, input)?,
            },
        }
    }
    Ok(0)
}

fn scan(cx: &mut Cx, r: &Request, name: &str, input: impl Read) -> Result<(), End> {
    let unit = match r.encoding {
        's' | 'S' => 1,
        'b' | 'l' => 2,
        _ => 4,
    };
    let big = matches!(r.encoding, 'b' | 'B');
    let printable = |c: u32| match c {
        9 | 0x20..=0x7e => true,
        0x0a..=0x0d => r.space,
        0x80..=0xff => r.encoding == 'S',
        _ => false,
    };
    let mut window: Vec<u8> = Vec::new();
    let mut text: Vec<u8> = Vec::new();
    let (mut begun, mut start, mut at) = (false, 0_u64, 0_u64);
    let end = |cx: &mut Cx, text: &mut Vec<u8>, begun: &mut bool| -> Result<(), End> {
        if *begun {
            cx.put(text)?;
            cx.put(r.separator.as_deref().unwrap_or(b"\n"))?;
        }
        text.clear();
        *begun = false;
        Ok(())
    };
    for byte in BufReader::with_capacity(64 * 1024, input).bytes() {
        let Ok(byte) = byte else { break };
        at += 1;
        window.push(byte);
        if window.len() < unit {
            continue;
        }
        let fold = |value: u32, byte: &u8| value << 8 | u32::from(*byte);
        let c = if big { window.iter().fold(0, fold) } else { window.iter().rev().fold(0, fold) };
        if !printable(c) {
            end(cx, &mut text, &mut begun)?;
            // A character may begin at any byte.
            window.remove(0);
            if unit == 1 || window.len() >= unit {
                window.clear();
            }
            continue;
        }
        window.clear();
        if text.is_empty() && !begun {
            start = at - unit as u64;
        }
        text.push(c as u8);
        if !begun && text.len() >= r.least {
            begun = true;
            if r.names {
                cx.print(format_args!("{name}: "))?;
            }
            match r.radix {
                Some('o') => cx.print(format_args!("{start:>7o} "))?,
                Some('x') => cx.print(format_args!("{start:>7x} "))?,
                Some(_) => cx.print(format_args!("{start:>7} "))?,
                None => {}
            }
        }
        if begun && text.len() >= CHUNK {
            cx.put(&text)?;
            text.clear();
        }
    }
    end(cx, &mut text, &mut begun)
}
