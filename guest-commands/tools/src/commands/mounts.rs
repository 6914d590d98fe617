//! `mount`, `findmnt` and `mountpoint`: what is mounted where. They mount nothing: the owner of the VM does that.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use agentos_guest::fs::{FileType, file_type, lstat, stat};
use agentos_guest::strerror;
use std::ffi::OsString;

/// A line of `/proc/mounts`.
struct Mount {
    source: String,
    target: String,
    kind: String,
    options: String,
}

fn all() -> Vec<Mount> {
    let text = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    // Blanks and backslashes are written in octal there.
    let plain = |word: &str| word.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let mut next = || words.next().map(plain);
            Some(Mount { source: next()?, target: next()?, kind: next()?, options: next()? })
        })
        .collect()
}

/// `mount`.
pub(crate) fn mount(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &["l,show-labels", "t,types=", "v,verbose", "h,help", "V,version"];
    let help = "{} [-l] [-t <list>]
List mounted filesystems; nothing can be mounted from inside a VM.
 -l, --show-labels   show also filesystem labels: there are none
 -t, --types <list>  limit the set of filesystem types
 -h, --help          display this help
 -V, --version       display version";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let mut types: Option<Vec<String>> = None;
    for opt in &parsed.opts {
        match opt.id {
            "types" => types = Some(opt.text().split(',').map(str::to_owned).collect()),
            "help" => {
                cx.print(format_args!("Usage:\n {}\n", help.replace("{}", "mount")))?;
                return Ok(0);
            }
            "version" => return Err(cx.version()),
            _ => {}
        }
    }
    match &parsed.operands[..] {
        [] => {}
        [only] => {
            let only = only.to_string_lossy();
            return Err(End::Failure(1, format!("{only}: can't find in /etc/fstab.")));
        }
        [_, target, ..] => {
            let shown = target.to_string_lossy();
            let why = if stat(target).is_ok() {
                "must be superuser to use mount."
            } else {
                "mount point does not exist."
            };
            cx.say(format_args!(
                "{shown}: {why}\n       dmesg(1) may have more information after failed mount system call."
            ));
            return Ok(32);
        }
    }
    for m in all().iter().filter(|m| types.as_ref().is_none_or(|t| t.contains(&m.kind))) {
        let Mount { source, target, kind, options } = m;
        let short: Vec<&str> = options.split(',').filter(|o| !o.is_empty()).collect();
        cx.print(format_args!("{source} on {target} type {kind} ({})\n", short.join(",")))?;
    }
    Ok(0)
}

/// `findmnt`.
pub(crate) fn findmnt(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "n,noheadings",
        "o,output=",
        "l,list",
        "r,raw",
        "t,types=",
        "T,target=",
        "M,mountpoint=",
        "S,source=",
        "f,first-only",
        "u,notruncate",
        "h,help",
        "V,version",
    ];
    let help = "{} [options] [<device> | <mountpoint>]
Find a (mounted) filesystem.
 -f, --first-only         print the first found filesystem only
 -l, --list               use list format output
 -M, --mountpoint <dir>   the mountpoint directory
 -n, --noheadings         don't print column headings
 -o, --output <list>      the output columns to be shown: TARGET, SOURCE, FSTYPE, OPTIONS
 -r, --raw                use raw output format
 -S, --source <string>    the device to mount
 -t, --types <list>       limit the set of filesystems by FS types
 -T, --target <path>      the path to the filesystem to use
 -u, --notruncate         don't truncate text in columns
 -h, --help               display this help
 -V, --version            display version";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let mut columns = vec!["TARGET", "SOURCE", "FSTYPE", "OPTIONS"];
    let known = columns.clone();
    let (mut heading, mut raw, mut first) = (true, false, false);
    let mut mounts = all();
    let mut narrowed = false;
    for opt in &parsed.opts {
        let text = opt.text();
        match opt.id {
            "noheadings" => heading = false,
            "raw" => raw = true,
            "first-only" => first = true,
            "output" => {
                columns.clear();
                for word in text.split(',') {
                    let upper = word.to_ascii_uppercase();
                    match known.iter().find(|k| **k == upper) {
                        Some(column) => columns.push(column),
                        None => return Err(End::Failure(1, format!("unknown column: {word}"))),
                    }
                }
            }
            "types" => mounts.retain(|m| text.split(',').any(|t| t == m.kind)),
            "source" => mounts.retain(|m| m.source == text),
            "mountpoint" => mounts.retain(|m| m.target == text),
            "target" => {
                narrowed = true;
                let path = absolute(&text);
                let holds = |m: &Mount| {
                    m.target == "/" || path == m.target || path.starts_with(&format!("{}/", m.target))
                };
                let best = mounts.iter().filter(|m| holds(m)).map(|m| m.target.len()).max();
                mounts.retain(|m| holds(m) && Some(m.target.len()) == best);
            }
            "help" => {
                cx.print(format_args!("Usage:\n {}\n", help.replace("{}", "findmnt")))?;
                return Ok(0);
            }
            "version" => return Err(cx.version()),
            _ => {}
        }
        narrowed |= matches!(opt.id, "types" | "source" | "mountpoint" | "list");
    }
    if let Some(word) = parsed.operands.first() {
        let word = word.to_string_lossy();
        let path = absolute(&word);
        mounts.retain(|m| m.source == word || m.target == path);
        narrowed = true;
    }
    if first {
        mounts.truncate(1);
    }
    if mounts.is_empty() {
        return Ok(1);
    }
    // Without a choice the list is a tree below the root.
    let tree = !narrowed && !raw;
    let last = mounts.len() - 1;
    let cell = |i: usize, m: &Mount, column: &str| match column {
        "TARGET" if tree && i > 0 => format!("{}{}", if i == last { "└─" } else { "├─" }, m.target),
        "TARGET" => m.target.clone(),
        "SOURCE" => m.source.clone(),
        "FSTYPE" => m.kind.clone(),
        _ => m.options.clone(),
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    // The heading makes the columns wide even where it is not shown.
    rows.push(columns.iter().map(|c| (*c).to_owned()).collect());
    rows.extend(mounts.iter().enumerate().map(|(i, m)| columns.iter().map(|c| cell(i, m, c)).collect()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows.into_iter().skip(usize::from(!heading)) {
        let mut line = String::new();
        for (i, text) in row.iter().enumerate() {
            line += text;
            if i + 1 < row.len() {
                let pad = if raw { 0 } else { widths[i] - text.chars().count() };
                line += &" ".repeat(pad + 1);
            }
        }
        cx.print(format_args!("{line}\n"))?;
    }
    Ok(0)
}

/// The path from the root, without `.`, `..` and doubled slashes.
fn absolute(path: &str) -> String {
    let here = agentos_guest::env::current_dir().unwrap_or_default();
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", here.display()) };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `mountpoint`.
pub(crate) fn mountpoint(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &["q,quiet", "nofollow", "d,fs-devno", "x,devno", "h,help", "V,version"];
    let help = "{} [-qd] </path/directory>
 mountpoint -x </dev/device>
Check whether a directory or file is a mountpoint.
 -q, --quiet      quiet mode - don't print anything
     --nofollow   do not follow symlink
 -d, --fs-devno   print maj:min device number of the filesystem
 -x, --devno      print maj:min device number of the block device
 -h, --help       display this help
 -V, --version    display version";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    if has("help") {
        cx.print(format_args!("Usage:\n {}\n", help.replace("{}", "mountpoint")))?;
        return Ok(0);
    }
    if has("version") {
        return Err(cx.version());
    }
    let [path] = &parsed.operands[..] else { return Err(cx.usage("bad usage")) };
    let (shown, quiet) = (path.to_string_lossy(), has("quiet"));
    let found = if has("nofollow") { lstat(path) } else { stat(path) };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            if !quiet {
                cx.say(format_args!("{shown}: {}", strerror(&error)));
            }
            return Ok(1);
        }
    };
    let number = |dev: u64| format!("{}:{}", (dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00));
    if has("devno") {
        if file_type(found.mode) != FileType::BlockDevice {
            if !quiet {
                cx.say(format_args!("{shown}: not a block device"));
            }
            return Ok(32);
        }
        cx.print(format_args!("{}\n", number(found.rdev)))?;
        return Ok(0);
    }
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| absolute(&shown).into());
    let mounted = all().iter().any(|m| path == std::path::Path::new(&m.target));
    if has("fs-devno") {
        if mounted {
            cx.print(format_args!("{}\n", number(found.dev)))?;
        }
    } else if !quiet {
        cx.print(format_args!("{shown} is {}a mountpoint\n", if mounted { "" } else { "not " }))?;
    }
    Ok(if mounted { 0 } else { 32 })
}
