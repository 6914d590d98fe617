//! `xz`, `unxz`, `xzcat` and their elders `lzma`, `unlzma`, `lzcat`: the options and words of xz.

use super::job::Done;
use super::{Action, Tool, Trouble, note, shown};
use crate::codec::input::Input;
use crate::codec::{Damage, Format};
use crate::context::{Cx, Outcome};
use crate::options::Order;
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "z,compress",
    "d,decompress",
    "uncompress",
    "t,test",
    "k,keep",
    "f,force",
    "c,stdout",
    "to-stdout",
    "S,suffix=",
    "F,format=",
    "T,threads=",
    "e,extreme",
    "q,quiet",
    "v,verbose",
    "0,fast",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9,best",
];
const HELP: &str = "{} [OPTION]... [FILE]...
Compress or decompress FILEs in the .xz format.
  -z, --compress     force compression
  -d, --decompress   force decompression
  -t, --test         test compressed file integrity
  -k, --keep         keep (don't delete) input files
  -f, --force        force overwrite of output file and (de)compress links
  -c, --stdout       write to standard output and don't delete input files
  -0 ... -9          compression preset; default is 6
  -e, --extreme      same as the preset here
  -F, --format=FMT   file format: auto, xz, lzma
  -S, --suffix=.SUF  use the suffix .SUF on compressed files
  -T, --threads=NUM  number of threads; there is always one
  -q, --quiet        suppress warnings
  -v, --verbose      be verbose
With no FILE, or when FILE is -, read standard input.";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let old = cx.name.contains("lz");
    let (format, suffix): (_, _) = if old { (Format::Lzma, ".lzma") } else { (Format::Xz, ".xz") };
    let known: &'static [(&str, &str)] = &[(".xz", ""), (".txz", ".tar"), (".lzma", ""), (".tlz", ".tar")];
    let mut tool = Tool::new(format, suffix, known);
    (tool.complain, tool.tell) = (complain, tell);
    tool.called(cx.name);
    let parsed = match crate::options::parse(SPEC, args, Order::Permute) {
        Err(message) if !message.contains("'--h") && !message.contains("'--vers") => {
            cx.say(&message);
            let hint = format!("Try `{} --help' for more information.", cx.name);
            cx.say(hint);
            return Ok(1);
        }
        _ => cx.parse(SPEC, args, Order::Permute, HELP)?,
    };
    for opt in &parsed.opts {
        match opt.id {
            "suffix" => {
                tool.suffix = opt.text();
                if tool.suffix.is_empty() || tool.suffix.contains('/') {
                    cx.say(format_args!("{}: Invalid filename suffix", tool.suffix));
                    return Ok(1);
                }
            }
            "format" => match opt.text().as_str() {
                "auto" => {}
                "xz" => (tool.format, tool.suffix) = (Format::Xz, ".xz".to_owned()),
                "lzma" | "alone" => (tool.format, tool.suffix) = (Format::Lzma, ".lzma".to_owned()),
                other => {
                    cx.say(format_args!("{other}: Unknown file format type"));
                    return Ok(1);
                }
            },
            "threads" => {
                if opt.text().parse::<u32>().is_err() {
                    cx.say(format_args!("{}: Value is not a non-negative decimal integer", opt.text()));
                    return Ok(1);
                }
            }
            // The presets are what the encoder has; it does not try harder.
            "extreme" => {}
            "quiet" => tool.quiet = true,
            "verbose" => tool.verbose = true,
            "fast" => tool.level = 0,
            id => {
                let taken = tool.take(id);
                debug_assert!(taken, "{id} is an option");
            }
        }
    }
    tool.run(cx, &parsed.operands)
}

fn complain(cx: &mut Cx, tool: &Tool, name: &OsStr, trouble: Trouble<'_>) -> i32 {
    let file = if name == "-" { "(stdin)".to_owned() } else { shown(name) };
    let (status, text) = match trouble {
        Trouble::System(error) => (1, format!("{file}: {}", strerror(error))),
        Trouble::Directory => (2, format!("{file}: Is a directory, skipping")),
        Trouble::Link => (2, format!("{file}: Is a symbolic link, skipping")),
        Trouble::Special => (2, format!("{file}: Not a regular file, skipping")),
        Trouble::Links(_) => (2, format!("{file}: Input file has more than one hard link, skipping")),
        Trouble::Suffixed(suffix) => (2, format!("{file}: File already has `{suffix}' suffix, skipping")),
        // Its content is looked at first.
        Trouble::Unsuffixed if !recognized(name) => (1, format!("{file}: File format not recognized")),
        Trouble::Unsuffixed => (2, format!("{file}: Filename has an unknown suffix, skipping")),
        Trouble::Exists(path) => (1, format!("{}: File exists", shown(path))),
        Trouble::Terminal if tool.action == Action::Compress => {
            (1, "Compressed data cannot be written to a terminal".to_owned())
        }
        Trouble::Terminal => (1, "Compressed data cannot be read from a terminal".to_owned()),
        Trouble::Damage(damage) => {
            let words = match damage {
                Damage::Format => "File format not recognized",
                Damage::Truncated => "Unexpected end of input",
                Damage::Memory => "Memory usage limit reached",
                _ => "Compressed data is corrupt",
            };
            (1, format!("{file}: {words}"))
        }
    };
    if !(tool.quiet && status == 2) {
        cx.say(text);
    }
    status
}

fn tell(cx: &mut Cx, tool: &Tool, name: &OsStr, done: &Done) {
    if !tool.verbose {
        return;
    }
    let file = if name == "-" { "(stdin)".to_owned() } else { shown(name) };
    let (plain, packed) = tool.sizes(done);
    let ratio = packed as f64 / plain as f64;
    let ratio = if plain == 0 || ratio > 9.999 { "> 9.999".to_owned() } else { format!("= {ratio:.3}") };
    note(cx, &format!("{file}: {} / {} {ratio}\n", size(packed), size(plain)));
}

/// Whether a file begins as one of the formats does.
fn recognized(name: &OsStr) -> bool {
    let start = crate::files::open(name, 0).and_then(|file| Ok(Input::new(Box::new(file)).peek(6)?.to_vec()));
    start.is_ok_and(|start| matches!(Format::of(&start), Some(Format::Xz | Format::Lzma)))
}

/// A size as xz writes it: bytes as they are, then tenths.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    if bytes < 10_000 {
        return format!("{bytes} B");
    }
    for unit in ["KiB", "MiB", "GiB"] {
        value /= 1024.0;
        if value < 9999.5 {
            return format!("{value:.1} {unit}");
        }
    }
    format!("{:.1} TiB", value / 1024.0)
}
