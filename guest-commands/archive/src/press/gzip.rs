//! `gzip`, `gunzip`, `zcat`: the options and words of gzip.

use super::job::Done;
use super::{Action, Tool, Trouble, list, note, shown};
use crate::codec::{Damage, Format};
use crate::context::{Cx, Outcome};
use crate::options::Order;
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "a,ascii",
    "c,stdout",
    "to-stdout",
    "d,decompress",
    "uncompress",
    "f,force",
    "k,keep",
    "l,list",
    "n,no-name",
    "N,name",
    "q,quiet",
    "silent",
    "r,recursive",
    "rsyncable",
    "S,suffix=",
    "synchronous",
    "t,test",
    "v,verbose",
    "1,fast",
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
Compress or uncompress FILEs (by default, compress FILES in-place).
  -c, --stdout      write on standard output, keep original files unchanged
  -d, --decompress  decompress
  -f, --force       force overwrite of output file and compress links
  -k, --keep        keep (don't delete) input files
  -l, --list        list compressed file contents
  -n, --no-name     do not save or restore the original name and timestamp
  -N, --name        save or restore the original name and timestamp
  -q, --quiet       suppress all warnings
  -r, --recursive   operate recursively on directories
  -S, --suffix=SUF  use suffix SUF on compressed files
  -t, --test        test compressed file integrity
  -v, --verbose     verbose mode
  -1, --fast        compress faster
  -9, --best        compress better
With no FILE, or when FILE is -, read standard input.";

const KNOWN: &[(&str, &str)] = &[
    (".gz", ""),
    (".tgz", ".tar"),
    (".taz", ".tar"),
    (".z", ""),
    ("-gz", ""),
    ("-z", ""),
    ("_z", ""),
    (".Z", ""),
];

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut tool = Tool::new(Format::Gzip, ".gz", KNOWN);
    (tool.complain, tool.tell, tool.tries_suffix, tool.store_name) = (complain, tell, true, true);
    tool.called(cx.name);
    // The name that messages begin with.
    cx.name = "gzip";
    let parsed = match crate::options::parse(SPEC, args, Order::Permute) {
        Err(message) if !message.contains("'--h") && !message.contains("'--vers") => {
            cx.say(format_args!("{message}"));
            note(cx, "Try `gzip --help' for more information.\n");
            return Ok(1);
        }
        _ => cx.parse(SPEC, args, Order::Permute, HELP)?,
    };
    let mut listing = false;
    for opt in &parsed.opts {
        match opt.id {
            "list" => listing = true,
            "no-name" => (tool.store_name, tool.restore_name) = (false, false),
            "name" => (tool.store_name, tool.restore_name) = (true, true),
            "quiet" | "silent" => (tool.quiet, tool.verbose) = (true, false),
            "recursive" => tool.recursive = true,
            "suffix" => {
                tool.suffix = opt.text();
                if tool.suffix.is_empty() || tool.suffix.contains('/') {
                    cx.say(format_args!("invalid suffix '{}'", tool.suffix));
                    return Ok(1);
                }
            }
            "verbose" => (tool.verbose, tool.quiet) = (true, false),
            "fast" => tool.level = 1,
            // These change nothing here: text is not converted, and what is written is as good as it gets.
            "ascii" | "synchronous" => {}
            "rsyncable" => return Err(cx.usage("--rsyncable is not supported")),
            id => {
                let taken = tool.take(id);
                debug_assert!(taken, "{id} is an option");
            }
        }
    }
    if listing {
        tool.action = Action::Test;
        return list::gzip(cx, &tool, &parsed.operands);
    }
    tool.run(cx, &parsed.operands)
}

pub(super) fn complain(cx: &mut Cx, tool: &Tool, name: &OsStr, trouble: Trouble<'_>) -> i32 {
    let file = if name == "-" { "stdin".to_owned() } else { shown(name) };
    let (status, text) = match trouble {
        Trouble::System(error) => (1, format!("gzip: {file}: {}\n", strerror(error))),
        Trouble::Directory => (2, format!("gzip: {file} is a directory -- ignored\n")),
        Trouble::Link => (1, format!("gzip: {file}: Too many levels of symbolic links\n")),
        Trouble::Special => (2, format!("gzip: {file} is not a directory or a regular file - ignored\n")),
        Trouble::Links(n) => {
            let s = if n == 1 { "" } else { "s" };
            (2, format!("gzip: {file} has {n} other link{s} -- file ignored\n"))
        }
        // gzip calls this a warning but ends with 0.
        Trouble::Suffixed(suffix) => (0, format!("gzip: {file} already has {suffix} suffix -- unchanged\n")),
        Trouble::Unsuffixed => (2, format!("gzip: {file}: unknown suffix -- ignored\n")),
        Trouble::Exists(path) => (2, format!("gzip: {} already exists;\tnot overwritten\n", shown(path))),
        Trouble::Terminal if tool.action == Action::Compress => {
            let text = "compressed data not written to a terminal. Use -f to force compression.";
            (1, format!("gzip: {text}\nFor help, type: gzip -h\n"))
        }
        Trouble::Terminal => {
            let text = "compressed data not read from a terminal. Use -f to force decompression.";
            (1, format!("gzip: {text}\nFor help, type: gzip -h\n"))
        }
        Trouble::Damage(damage) => {
            let (status, words) = match damage {
                Damage::Format => (1, "not in gzip format"),
                Damage::Truncated => (1, "unexpected end of file"),
                Damage::Checksum => (1, "invalid compressed data--crc error"),
                Damage::Length => (1, "invalid compressed data--length error"),
                Damage::Data | Damage::Memory => (1, "invalid compressed data--format violated"),
                Damage::Trailing => (2, "decompression OK, trailing garbage ignored"),
            };
            (status, format!("\ngzip: {file}: {words}\n"))
        }
    };
    // Only warnings are kept quiet.
    if !(tool.quiet && status != 1) {
        note(cx, &text);
    }
    status
}

fn tell(cx: &mut Cx, tool: &Tool, name: &OsStr, done: &Done) {
    if !tool.verbose {
        return;
    }
    let file = if name == "-" { String::new() } else { format!("{}:\t", shown(name)) };
    if tool.action == Action::Test {
        return note(cx, &format!("{file} OK\n"));
    }
    let (plain, packed) = tool.sizes(done);
    let target = match &done.output {
        _ if name == "-" => String::new(),
        Some(output) if tool.keep => format!(" -- created {}", shown(output)),
        Some(output) => format!(" -- replaced with {}", shown(output)),
        None if tool.keep => " -- created stdout".to_owned(),
        None => " -- replaced with stdout".to_owned(),
    };
    // The header does not count as what compressing cost.
    let stored = shown(crate::os::base_name(name));
    let stored = if tool.action == Action::Compress { None } else { tool.stem(&stored) }.unwrap_or(stored);
    let header = 18 + if tool.store_name && name != "-" { stored.len() as u64 + 1 } else { 0 };
    note(cx, &format!("{file}{}{target}\n", list::ratio(plain, packed.saturating_sub(header))));
}
