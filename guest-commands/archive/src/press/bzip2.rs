//! `bzip2`, `bunzip2`, `bzcat`: the options and words of bzip2.

use super::job::Done;
use super::{Action, Tool, Trouble, note, shown};
use crate::codec::{Damage, Format};
use crate::context::{Cx, Outcome};
use crate::options::Order;
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "c,stdout",
    "d,decompress",
    "f,force",
    "k,keep",
    "q,quiet",
    "s,small",
    "t,test",
    "v,verbose",
    "z,compress",
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
Compress or uncompress FILEs by sorting blocks.
  -c, --stdout      output to standard out
  -d, --decompress  force decompression
  -f, --force       overwrite existing output files
  -k, --keep        keep (don't delete) input files
  -q, --quiet       suppress noncritical error messages
  -s, --small       use less memory (nothing changes)
  -t, --test        test compressed file integrity
  -v, --verbose     be verbose
  -z, --compress    force compression
  -1 .. -9          set block size to 100k .. 900k
With no FILE, or when FILE is -, read standard input.";

const KNOWN: &[(&str, &str)] = &[(".bz", ""), (".tbz2", ".tar"), (".tbz", ".tar")];

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut tool = Tool::new(Format::Bzip2, ".bz2", KNOWN);
    (tool.complain, tool.tell, tool.level) = (complain, tell, 9);
    tool.called(cx.name);
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    for opt in &parsed.opts {
        match opt.id {
            "quiet" => tool.quiet = true,
            "verbose" => tool.verbose = true,
            "fast" => tool.level = 1,
            id => {
                let taken = tool.take(id);
                // Memory is what the format needs, which is bounded.
                debug_assert!(taken || id == "small");
            }
        }
    }
    tool.width = parsed.operands.iter().map(|o| o.len()).fold(tool.width, usize::max);
    tool.run(cx, &parsed.operands)
}

fn complain(cx: &mut Cx, tool: &Tool, name: &OsStr, trouble: Trouble<'_>) -> i32 {
    let me = cx.name;
    let file = if name == "-" { "(stdin)".to_owned() } else { shown(name) };
    let recover = "\nYou can use the `bzip2recover' program to attempt to recover\ndata from undamaged sections of corrupted files.\n";
    let (status, text) = match trouble {
        Trouble::System(error) => (1, format!("{me}: Can't open input file {file}: {}.\n", strerror(error))),
        Trouble::Directory => (1, format!("{me}: Input file {file} is a directory.\n")),
        Trouble::Link | Trouble::Special => (1, format!("{me}: Input file {file} is not a normal file.\n")),
        Trouble::Links(n) => {
            let s = if n == 1 { "" } else { "s" };
            (1, format!("{me}: Input file {file} has {n} other link{s}.\n"))
        }
        Trouble::Suffixed(suffix) => (1, format!("{me}: Input file {file} already has {suffix} suffix.\n")),
        Trouble::Unsuffixed => {
            (0, format!("{me}: Can't guess original name for {file} -- using {file}.out\n"))
        }
        Trouble::Exists(path) => (1, format!("{me}: Output file {} already exists.\n", shown(path))),
        Trouble::Terminal => {
            let what = if tool.action == Action::Compress { "write" } else { "read" };
            let side = if tool.action == Action::Compress { "to" } else { "from" };
            (
                1,
                format!(
                    "{me}: I won't {what} compressed data {side} a terminal.\n{me}: For help, type: `{me} --help'.\n"
                ),
            )
        }
        Trouble::Damage(Damage::Format) if tool.action == Action::Test => {
            (2, format!("{me}: {file}: bad magic number (file not created by bzip2)\n{recover}\n"))
        }
        Trouble::Damage(Damage::Format) => (2, format!("{me}: {file} is not a bzip2 file.\n")),
        Trouble::Damage(Damage::Truncated) if tool.action == Action::Test => {
            (2, format!("{me}: {file}: file ends unexpectedly\n{recover}\n"))
        }
        Trouble::Damage(Damage::Truncated) => {
            (2, format!("{me}: {file}: Compressed file ends unexpectedly;\n\tperhaps it is corrupted?\n"))
        }
        Trouble::Damage(Damage::Trailing) => {
            (0, format!("\n{me}: {file}: trailing garbage after EOF ignored\n"))
        }
        Trouble::Damage(_) => (2, format!("{me}: {file}: data integrity (CRC) error in data\n{recover}\n")),
    };
    if !(tool.quiet && status == 0) {
        note(cx, &text);
    }
    status
}

fn tell(cx: &mut Cx, tool: &Tool, name: &OsStr, done: &Done) {
    if !tool.verbose {
        return;
    }
    let file = if name == "-" { "(stdin)".to_owned() } else { shown(name) };
    let blank = " ".repeat(tool.width.saturating_sub(file.len()));
    let text = match tool.action {
        Action::Test => "ok".to_owned(),
        Action::Decompress => "done".to_owned(),
        Action::Compress if done.read == 0 => " no data compressed.".to_owned(),
        Action::Compress => {
            let (plain, packed) = (done.read as f64, done.written as f64);
            let saved = 100.0 * (1.0 - packed / plain);
            format!(
                "{:6.3}:1, {:6.3} bits/byte, {saved:5.2}% saved, {} in, {} out.",
                plain / packed,
                packed * 8.0 / plain,
                done.read,
                done.written
            )
        }
    };
    note(cx, &format!("  {file}: {blank}{text}\n"));
}
