//! `dos2unix`, `unix2dos`, `mac2unix` and `unix2mac`: the ends of lines in files. Character sets are `iconv`'s business.

use crate::context::{Cx, Descriptor, End, Outcome};
use agentos_guest::fs::{self, FileType, file_type};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;

const HELP: &str = "[options] [file ...] [-n infile outfile ...]
 -ascii                convert only line breaks (default)
 -b, --keep-bom        keep Byte Order Mark
 -c, --convmode        conversion mode: ascii or mac
 -f, --force           force conversion of binary files
 -h, --help            display this help text
 -i, --info[=FLAGS]    display file information; FLAGS are d, u, m, b, t, c, h, p
 -k, --keepdate        keep output file date
 -l, --newline         add additional newline
 -m, --add-bom         add Byte Order Mark (default UTF-8)
 -n, --newfile         write to new file
 -o, --oldfile         write to old file (default)
 -q, --quiet           quiet mode, suppress all messages
 -r, --remove-bom      remove Byte Order Mark (default for dos2unix)
 -s, --safe            skip binary files (default)
 -F, --follow-symlink  follow symbolic links and convert the targets
 -R, --replace-symlink  replace symbolic links with converted files
 -S, --skip-symlink    keep symbolic links and targets unchanged (default)
 -v, --verbose         verbose operation
 -V, --version         display version number
";

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What becomes of links.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Skip,
    Follow,
    Replace,
}

struct Config {
    /// To the ends of lines of DOS, or of old Macs; else from them.
    to: bool,
    mac: bool,
    force: bool,
    quiet: bool,
    verbose: bool,
    keep_date: bool,
    double: bool,
    keep_bom: bool,
    add_bom: bool,
    links: Links,
    info: Option<String>,
    new: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let to = cx.name.starts_with("unix");
    let mut c = Config {
        to,
        mac: cx.name.contains("mac"),
        force: false,
        quiet: false,
        verbose: false,
        keep_date: false,
        double: false,
        keep_bom: to,
        add_bom: false,
        links: Links::Skip,
        info: None,
        new: false,
    };
    let mut words = args.iter();
    let (mut any, mut plain) = (false, false);
    let mut status = 0;
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if plain || !text.starts_with('-') || text == "-" {
            any = true;
            let target = if c.new && c.info.is_none() {
                let Some(target) = words.next() else {
                    cx.say(format_args!("target of file {text} not specified in new-file mode"));
                    return Ok(1);
                };
                target
            } else {
                word
            };
            status = status.max(file(cx, &c, word, target)?);
            continue;
        }
        match &*text {
            "--" => plain = true,
            "-h" | "--help" => {
                let name = cx.name;
                cx.print(format_args!("Usage: {name} {HELP}"))?;
                return Ok(0);
            }
            "-V" | "--version" => return Err(cx.version()),
            "-ascii" | "-s" | "--safe" => c.force = false,
            "-b" | "--keep-bom" => c.keep_bom = true,
            "-r" | "--remove-bom" => (c.keep_bom, c.add_bom) = (false, false),
            "-m" | "--add-bom" => c.add_bom = true,
            "-f" | "--force" => c.force = true,
            "-k" | "--keepdate" => c.keep_date = true,
            "-l" | "--newline" => c.double = true,
            "-n" | "--newfile" => c.new = true,
            "-o" | "--oldfile" => c.new = false,
            "-q" | "--quiet" => c.quiet = true,
            "-v" | "--verbose" => c.verbose = true,
            "-F" | "--follow-symlink" => c.links = Links::Follow,
            "-R" | "--replace-symlink" => c.links = Links::Replace,
            "-S" | "--skip-symlink" => c.links = Links::Skip,
            "-c" | "--convmode" => {
                match words.next().map(|w| w.to_string_lossy().to_lowercase()).as_deref() {
                    Some("ascii") => c.mac = false,
                    Some("mac") => c.mac = true,
                    Some(other) => {
                        cx.say(format_args!("invalid {other} conversion mode specified"));
                        return Ok(1);
                    }
                    None => {
                        cx.say("option '-c' requires an argument");
                        return Ok(1);
                    }
                }
            }
            _ => {
                let flags = text
                    .strip_prefix("--info")
                    .map(|rest| rest.strip_prefix('=').unwrap_or(rest))
                    .or_else(|| text.strip_prefix("-i"));
                match flags.filter(|f| f.chars().all(|c| "dumbtchp0".contains(c))) {
                    Some(flags) => c.info = Some(flags.to_owned()),
                    None => {
                        eprint!("Usage: {} {HELP}", cx.name);
                        return Ok(1);
                    }
                }
            }
        }
    }
    if !any {
        let mut text = Vec::new();
        if let Err(error) = Descriptor(0).read_to_end(&mut text) {
            return Err(End::Failure(1, strerror(&error)));
        }
        match &c.info {
            Some(flags) => info(cx, &c, flags, &text, "")?,
            None => match binary(&text) {
                Some((byte, line)) if !c.force => {
                    say_binary(cx, &c, byte, line);
                    if !c.quiet {
                        cx.say("Skipping binary file stdin");
                    }
                    return Ok(1);
                }
                _ => cx.put(&converted(&c, &text))?,
            },
        }
    }
    Ok(status)
}

fn say_binary(cx: &mut Cx, c: &Config, byte: u8, line: usize) {
    if !c.quiet {
        cx.say(format_args!("Binary symbol 0x{byte:02X} found at line {line}"));
    }
}

/// The first byte that no text has, and its line.
fn binary(text: &[u8]) -> Option<(u8, usize)> {
    let odd = |b: &u8| *b < 32 && !matches!(b, b'\t'..=b'\r' | 27 | 26);
    let at = text.iter().position(odd)?;
    Some((text[at], memchr::memchr_iter(b'\n', &text[..at]).count() + 1))
}

fn converted(c: &Config, text: &[u8]) -> Vec<u8> {
    let body = text.strip_prefix(BOM).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() + text.len() / 16);
    if c.add_bom || (c.keep_bom && body.len() < text.len()) {
        out.extend(BOM);
    }
    for (i, b) in body.iter().enumerate() {
        let (before, after) = (i.checked_sub(1).map(|i| body[i]), body.get(i + 1));
        match (c.to, c.mac, b) {
            (true, false, b'\n') if before != Some(b'\r') => {
                out.extend(b"\r\n");
                if c.double {
                    out.extend(b"\r\n");
                }
            }
            (true, true, b'\n') if before != Some(b'\r') => {
                out.push(b'\r');
                if c.double {
                    out.push(b'\r');
                }
            }
            (false, false, b'\r') if after == Some(&b'\n') => {
                if c.double {
                    out.push(b'\n');
                }
            }
            (false, true, b'\r') if after != Some(&b'\n') => {
                out.push(b'\n');
                if c.double {
                    out.push(b'\n');
                }
            }
            _ => out.push(*b),
        }
    }
    out
}

fn info(cx: &mut Cx, c: &Config, flags: &str, text: &[u8], name: &str) -> Result<(), End> {
    let ends = memchr::memmem::find_iter(text, b"\r\n").count();
    let unix = memchr::memchr_iter(b'\n', text).count() - ends;
    let mac = memchr::memchr_iter(b'\r', text).count() - ends;
    if flags.contains('c') {
        let touched = match (c.to, c.mac) {
            (true, _) => unix > 0,
            (false, false) => ends > 0,
            (false, true) => mac > 0,
        };
        if touched && (c.force || binary(text).is_none()) {
            cx.print(format_args!("{name}\n"))?;
        }
        return Ok(());
    }
    let shown: String = flags.chars().filter(|f| "dumbt".contains(*f)).collect();
    let all = shown.is_empty();
    if flags.contains('h') {
        cx.put(b"     DOS    UNIX     MAC  BOM       TXTBIN  FILE\n")?;
    }
    for (flag, count) in [('d', ends), ('u', unix), ('m', mac)] {
        if all || shown.contains(flag) {
            cx.print(format_args!("{count:8}"))?;
        }
    }
    if all || shown.contains('b') {
        cx.print(format_args!("  {:<8}", if text.starts_with(BOM) { "UTF-8" } else { "no_bom" }))?;
    }
    if all || shown.contains('t') {
        cx.print(format_args!("  {:<6}", if binary(text).is_some() { "binary" } else { "text" }))?;
    }
    cx.print(format_args!("{}{name}\n", if name.is_empty() { "" } else { "  " }))
}

/// Converts one file; the status that this makes.
fn file(cx: &mut Cx, c: &Config, path: &OsStr, target: &OsStr) -> Result<i32, End> {
    let shown = path.to_string_lossy().into_owned();
    let stat = match fs::lstat(path) {
        Ok(stat) => stat,
        Err(error) => {
            if !c.quiet {
                cx.say(format_args!("{shown}: {}", strerror(&error)));
                cx.say(format_args!("Skipping {shown}, not a regular file."));
            }
            return Ok(2);
        }
    };
    let link = file_type(stat.mode) == FileType::Symlink;
    let followed = fs::stat(path).map_or(stat.mode, |s| s.mode);
    if link && c.links == Links::Skip && !c.new && c.info.is_none() {
        if !c.quiet {
            cx.say(format_args!("Skipping symbolic link {shown}."));
        }
        return Ok(0);
    }
    if file_type(followed) != FileType::File {
        if !c.quiet {
            cx.say(format_args!("Skipping {shown}, not a regular file."));
        }
        return Ok(0);
    }
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) => {
            if !c.quiet {
                cx.say(format_args!("{shown}: {}", strerror(&error)));
            }
            return Ok(1);
        }
    };
    if let Some(flags) = &c.info {
        info(cx, c, flags, &text, &shown)?;
        return Ok(0);
    }
    if let (Some((byte, line)), false) = (binary(&text), c.force) {
        say_binary(cx, c, byte, line);
        if !c.quiet {
            cx.say(format_args!("Skipping binary file {shown}"));
        }
        return Ok(0);
    }
    let out = converted(c, &text);
    if !c.quiet {
        let kind = match (c.to, c.mac) {
            (true, false) => "DOS",
            (true, true) => "Mac",
            _ => "Unix",
        };
        if c.new {
            cx.say(format_args!(
                "converting file {shown} to file {} in {kind} format...",
                target.to_string_lossy()
            ));
        } else {
            cx.say(format_args!("converting file {shown} to {kind} format..."));
        }
        if c.verbose {
            let count = out.len().abs_diff(text.len());
            cx.say(format_args!("Converted {count} line breaks."));
        }
    }
    let written = if link && c.links == Links::Replace && !c.new {
        std::fs::remove_file(path).and_then(|()| std::fs::write(target, &out))
    } else {
        std::fs::write(target, &out)
    };
    if let Err(error) = written {
        if !c.quiet {
            cx.say(format_args!("{}: {}", target.to_string_lossy(), strerror(&error)));
        }
        return Ok(1);
    }
    if c.new {
        let _ = fs::chmod(target, stat.mode & 0o7777);
    }
    if c.keep_date
        && let Ok(old) = std::fs::File::options().write(true).open(target)
    {
        let at = std::time::UNIX_EPOCH
            + std::time::Duration::new(stat.mtime.max(0).cast_unsigned(), stat.mtime_nsec);
        let _ = old.set_modified(at);
    }
    Ok(0)
}
