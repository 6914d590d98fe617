//! `zstd`, `unzstd`, `zstdcat`: the options and words of zstd. There are no dictionaries, no training and no benchmarks.

use super::job::Done;
use super::{Action, Tool, Trouble, note, shown};
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
    "rm",
    "f,force",
    "c,stdout",
    "o=",
    "T,threads=",
    "ultra",
    "fast=?",
    "single-thread",
    "no-progress",
    "q,quiet",
    "v,verbose",
    "r",
];
const HELP: &str = "{} [OPTION]... [FILE]... [-o OUTPUT]
Compress or decompress FILEs.
  -1 ... -19        compression level; default is 3
  --ultra           levels up to 22
  --fast[=N]        levels faster than 1
  -z, --compress    force compression
  -d, --decompress  decompress
  -t, --test        test compressed file integrity
  -k, --keep        keep input files (default)
  --rm              remove input files after success
  -f, --force       overwrite without asking
  -c, --stdout      write to standard output, keep input files
  -o OUTPUT         write to the file OUTPUT
  -r                operate recursively on directories
  -T, --threads=N   number of threads; there is always one
  -q, --quiet       say less
  -v, --verbose     say more
With no FILE, or when FILE is -, read standard input.";

const KNOWN: &[(&str, &str)] = &[
    (".zst", ""),
    (".tzst", ".tar"),
    (".gz", ""),
    (".tgz", ".tar"),
    (".lzma", ""),
    (".xz", ""),
    (".txz", ".tar"),
];

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut tool = Tool::new(Format::Zstd, ".zst", KNOWN);
    (tool.complain, tool.tell, tool.level, tool.keep, tool.counts_links) = (complain, tell, 3, true, false);
    match cx.name {
        "unzstd" => tool.action = Action::Decompress,
        "zstdcat" => (tool.action, tool.stdout, tool.force) = (Action::Decompress, true, true),
        _ => {}
    }
    cx.name = "zstd";
    let (mut words, mut levels) = (Vec::new(), Vec::new());
    for (i, word) in args.iter().enumerate() {
        // Levels have several digits, which no bundle of letters can say.
        let takes = i > 0 && (args[i - 1] == "-o" || args[i - 1] == "-T");
        match level(word).filter(|_| !takes) {
            Some((level, rest)) => {
                levels.push(level);
                words.extend(rest);
            }
            None => words.push(word.clone()),
        }
    }
    let parsed = match crate::options::parse(SPEC, &words, Order::Permute) {
        Err(message) if !message.contains("'--h") && !message.contains("'--vers") => {
            cx.say(format_args!("Incorrect parameter: {message}"));
            return Ok(1);
        }
        _ => cx.parse(SPEC, &words, Order::Permute, HELP)?,
    };
    let mut most = 19;
    for opt in &parsed.opts {
        match opt.id {
            "compress" => tool.action = Action::Compress,
            "decompress" | "uncompress" => tool.action = Action::Decompress,
            "test" => tool.action = Action::Test,
            "keep" => tool.keep = true,
            "rm" => tool.keep = false,
            "force" => tool.force = true,
            "stdout" => tool.stdout = true,
            "o" => tool.output = opt.value.clone(),
            "ultra" => most = 22,
            "fast" => levels.push(
                opt.value.as_ref().map_or(-1, |v| v.to_string_lossy().parse::<i32>().map_or(-1, |n| -n)),
            ),
            "quiet" => tool.quiet = true,
            "verbose" => tool.verbose = true,
            "r" => tool.recursive = true,
            // One thread is all there is, and progress is never shown.
            _ => {}
        }
    }
    if let Some(level) = levels.last() {
        tool.level = *level;
        if *level > most {
            cx.say(format_args!("Warning : compression level higher than max, reduced to {most} "));
            tool.level = most;
        }
    }
    if tool.stdout {
        tool.keep = true;
        tool.output = None;
    }
    if tool.output.as_ref().is_some_and(|o| o == "-") {
        (tool.stdout, tool.output) = (true, None);
    }
    if tool.output.is_some() && parsed.operands.len() > 1 {
        cx.say("-o with several inputs is not supported");
        return Ok(1);
    }
    if parsed.operands.is_empty() {
        tool.quiet = true;
    }
    Ok(i32::from(tool.run(cx, &parsed.operands)? != 0))
}

/// `-19`: the level, and what else is in the word, such as `-q` of `-q19`.
fn level(word: &OsStr) -> Option<(i32, Option<OsString>)> {
    let text = word.to_str()?.strip_prefix('-').filter(|t| !t.starts_with(['-', 'o', 'T']))?;
    let from = text.find(|c: char| c.is_ascii_digit())?;
    let to = text[from..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |n| from + n);
    let level = text[from..to].parse().ok()?;
    let rest = format!("-{}{}", &text[..from], &text[to..]);
    (!rest.contains(['T', 'o'])).then_some((level, Some(rest.into()).filter(|r: &OsString| r != "-")))
}

fn complain(cx: &mut Cx, tool: &Tool, name: &OsStr, trouble: Trouble<'_>) -> i32 {
    let file = if name == "-" { "/*stdin*\\".to_owned() } else { shown(name) };
    let missing =
        |error: &std::io::Error| agentos_guest::errno_of(error) == Some(agentos_guest::Errno::ENOENT);
    let (status, text) = match trouble {
        Trouble::System(error) if missing(error) => {
            (1, format!("zstd: can't stat {file} : {} -- ignored \n", strerror(error)))
        }
        Trouble::System(error) => (1, format!("zstd: {file}: {} \n", strerror(error))),
        Trouble::Directory => (1, format!("zstd: {file} is a directory -- ignored \n")),
        Trouble::Link => (1, format!("Warning : {file} is a symbolic link, ignoring \n")),
        Trouble::Special | Trouble::Links(_) => {
            (1, format!("zstd: {file} is not a regular file -- ignored \n"))
        }
        Trouble::Suffixed(_) => (0, String::new()),
        Trouble::Unsuffixed => {
            let known = "(.zst/.tzst/.gz/.tgz/.lzma/.xz/.txz expected)";
            let hint = "Can't derive the output file name. Specify it with -o dstFileName. Ignoring.";
            (1, format!("zstd: {file}: unknown suffix {known}. {hint}\n"))
        }
        Trouble::Exists(path) => (1, format!("zstd: {} already exists; not overwritten  \n", shown(path))),
        Trouble::Terminal if tool.action == Action::Compress => {
            (1, "stdout is a console, aborting\n".to_owned())
        }
        Trouble::Terminal => (1, "stdin is a console, aborting\n".to_owned()),
        Trouble::Damage(damage) => {
            let text = match damage {
                Damage::Format => format!("zstd: {file}: unsupported format \n"),
                Damage::Truncated => format!("{file} : Read error (39) : premature end \n"),
                Damage::Checksum => {
                    format!("{file} : Decoding error (36) : Restored data doesn't match checksum \n")
                }
                Damage::Memory => {
                    format!("{file} : Decoding error (36) : Frame requires too much memory for decoding \n")
                }
                _ => format!("{file} : Decoding error (36) : Data corruption detected \n"),
            };
            (1, text)
        }
    };
    note(cx, &text);
    status
}

fn tell(cx: &mut Cx, tool: &Tool, name: &OsStr, done: &Done) {
    if tool.quiet || (done.output.is_none() && tool.action != Action::Test) {
        return;
    }
    let file = shown(name);
    if tool.action != Action::Compress {
        return note(cx, &format!("{file:20}: {} bytes \n", done.written));
    }
    let output = done.output.as_deref().map(shown).unwrap_or_default();
    let sizes = format!("({} => {}, {output}) \n", size(done.read), size(done.written));
    if done.read == 0 {
        return note(cx, &format!("{file:21}:  {sizes}"));
    }
    let percent = done.written as f64 / done.read as f64 * 100.0;
    note(cx, &format!("{file:21}:{percent:6.2}%   {sizes}"));
}

/// A size in seven columns with its unit.
fn size(bytes: u64) -> String {
    let (value, unit) = match bytes {
        0..1024 => return format!("{bytes:6}   B"),
        1024..1_048_576 => (bytes as f64 / 1024.0, "KiB"),
        1_048_576..1_073_741_824 => (bytes as f64 / 1_048_576.0, "MiB"),
        _ => (bytes as f64 / 1_073_741_824.0, "GiB"),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:6.digits$} {unit}")
}
