//! `stat`: what the system knows of files and file systems, in GNU's formats. SELinux contexts and mount points are not
//! shown.

use crate::context::{Cx, End, Outcome};
use crate::mode::letters;
use crate::names::Names;
use crate::options::Order;
use crate::os::OsStrExt;
use crate::quote::quoteaf;
use crate::time;
use agentos_guest::fs::{self, FileType, Stat, StatFs, file_type};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &["L,dereference", "f,file-system", "c,format=", "printf=", "t,terse", "cached="];
const HELP: &str = "{} [OPTION]... FILE...
Display file or file system status.
  -L, --dereference   follow links
  -f, --file-system   display file system status instead of file status
  -c, --format=FORMAT use the specified FORMAT instead of the default
      --printf=FORMAT like --format, but interpret backslash escapes, and no trailing newline
  -t, --terse         print the information in terse form";

const TERSE: &str = "%n %s %b %f %u %g %D %i %h %t %T %X %Y %Z %W %o";
const FS_TERSE: &str = "%n %i %l %t %s %S %b %f %a %c %d";
const FS_FULL: &str = "  File: \"%n\"\n    ID: %-8i Namelen: %-7l Type: %T\nBlock size: %-10s Fundamental block size: %S\nBlocks: Total: %-10b Free: %-10f Available: %a\nInodes: Total: %-10c Free: %d";

/// What file systems are called: there is one kind.
pub(crate) const FILE_SYSTEM: &str = "agentos";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let (mut follow, mut system, mut terse, mut escapes) = (false, false, false, false);
    let mut format = None;
    for opt in &parsed.opts {
        match opt.id {
            "dereference" => follow = true,
            "file-system" => system = true,
            "terse" => terse = true,
            "format" => (format, escapes) = (Some(opt.text()), false),
            "printf" => (format, escapes) = (Some(opt.text()), true),
            // No attributes are cached here, so each of them is what is done.
            _ => drop(cx.keyword("--cached", opt.arg(), &[&["default"], &["never"], &["always"]])?),
        }
    }
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    let mut names = Names::default();
    for path in &parsed.operands {
        if system {
            match fs::statfs(path) {
                Ok(found) => {
                    let text = format.as_deref().unwrap_or(if terse { FS_TERSE } else { FS_FULL });
                    show(cx, text, escapes, &mut |d| fs_directive(d, path, &found))?;
                }
                Err(error) => {
                    let why = strerror(&error);
                    cx.warn(format_args!("cannot read file system information for {}: {why}", quoteaf(path)));
                }
            }
            continue;
        }
        let found = match path.as_bytes() {
            b"-" => fs::fstat(0),
            _ if follow => fs::stat(path),
            _ => fs::lstat(path),
        };
        match found {
            Ok(found) => {
                let device = matches!(file_type(found.mode), FileType::CharDevice | FileType::BlockDevice);
                let text = match &format {
                    Some(format) => format.clone(),
                    None if terse => TERSE.to_owned(),
                    None => full(device),
                };
                show(cx, &text, escapes, &mut |d| directive(d, path, &found, &mut names, format.is_some()))?;
            }
            Err(error) => cx.warn(format_args!("cannot statx {}: {}", quoteaf(path), strerror(&error))),
        }
    }
    Ok(0)
}

fn full(device: bool) -> String {
    let links = if device { "%-5h Device type: %t,%T" } else { "%h" };
    format!(
        "  File: %N\n  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F\nDevice: %Hd,%Ld\tInode: %-11i Links: {links}\n\
         Access: (%04a/%10.10A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)\nAccess: %x\nModify: %y\nChange: %z\n Birth: %w"
    )
}

/// Writes `format` with its directives replaced; a newline follows unless escapes are interpreted.
fn show(
    cx: &mut Cx,
    format: &str,
    escapes: bool,
    value: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<(), End> {
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' && escapes {
            let text = match chars.next() {
                Some('n') => "\n".to_owned(),
                Some('t') => "\t".to_owned(),
                Some('0') => "\0".to_owned(),
                Some('a') => "\x07".to_owned(),
                Some('e') => "\x1b".to_owned(),
                Some('r') => "\r".to_owned(),
                Some('"') => "\"".to_owned(),
                Some('b') => "\x08".to_owned(),
                Some('f') => "\x0c".to_owned(),
                Some('v') => "\x0b".to_owned(),
                Some('\\') | None => "\\".to_owned(),
                Some(other) => format!("\\{other}"),
            };
            cx.put(text.as_bytes())?;
            continue;
        }
        if c != '%' {
            cx.print(format_args!("{c}"))?;
            continue;
        }
        let mut spec = String::new();
        while let Some(c) = chars.next_if(|c| "-0+ #'.123456789".contains(*c)) {
            spec.push(c);
        }
        let Some(mut directive) = chars.next().map(String::from) else {
            cx.put(b"%")?;
            break;
        };
        if matches!(directive.as_str(), "H" | "L") && chars.peek().is_some_and(|c| matches!(c, 'd' | 'r')) {
            directive.extend(chars.next());
        }
        if directive == "%" {
            cx.put(b"%")?;
            continue;
        }
        let text = value(&directive).unwrap_or_else(|| "?".to_owned());
        cx.put(pad(&spec, &text).as_bytes())?;
    }
    if escapes { Ok(()) } else { cx.put(b"\n") }
}

fn pad(spec: &str, text: &str) -> String {
    let flags: String = spec.chars().take_while(|c| "-0+ #'".contains(*c)).collect();
    let rest = &spec[flags.len()..];
    let (width, precision) = rest.split_once('.').map_or((rest, None), |(w, p)| (w, p.parse::<usize>().ok()));
    let width = width.parse::<usize>().unwrap_or(0).min(4096);
    let text: String = text.chars().take(precision.unwrap_or(usize::MAX)).collect();
    if flags.contains('-') {
        format!("{text:<width$}")
    } else if flags.contains('0') {
        format!("{text:0>width$}")
    } else {
        format!("{text:>width$}")
    }
}

/// The name of a file's type, as `stat` and `find` say it.
pub(crate) fn type_name(stat: &Stat) -> &'static str {
    match file_type(stat.mode) {
        FileType::File if stat.size == 0 => "regular empty file",
        FileType::File => "regular file",
        FileType::Dir => "directory",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "fifo",
        FileType::CharDevice => "character special file",
        FileType::BlockDevice => "block special file",
        FileType::Socket => "socket",
        FileType::Other => "weird file",
    }
}

/// Major and minor number of a device, split as Linux splits them.
pub(crate) fn device_numbers(device: u64) -> (u64, u64) {
    (
        ((device >> 32) & 0xffff_f000) | ((device >> 8) & 0xfff),
        ((device >> 12) & 0xffff_ff00) | (device & 0xff),
    )
}

fn directive(d: &str, path: &OsStr, s: &Stat, names: &mut Names, always: bool) -> Option<String> {
    let stamp = |sec, nsec| time::format(sec, nsec, "%Y-%m-%d %H:%M:%S.%N %z");
    Some(match d {
        "a" => format!("{:o}", s.mode & 0o7777),
        "A" => letters(s.mode),
        "b" => s.blocks.to_string(),
        "B" => "512".to_owned(),
        "C" => return None,
        "d" => s.dev.to_string(),
        "D" => format!("{:x}", s.dev),
        "Hd" => device_numbers(s.dev).0.to_string(),
        "Ld" => device_numbers(s.dev).1.to_string(),
        "f" => format!("{:x}", s.mode),
        "F" => type_name(s).to_owned(),
        "g" => s.gid.to_string(),
        "G" => names.group(s.gid).unwrap_or_else(|| "UNKNOWN".to_owned()),
        "h" => s.nlink.to_string(),
        "i" => s.ino.to_string(),
        "n" => path.to_string_lossy().into_owned(),
        "N" => match std::fs::read_link(path).ok().filter(|_| file_type(s.mode) == FileType::Symlink) {
            Some(target) if always => format!("{} -> {}", quoteaf(path), quoteaf(target.as_os_str())),
            Some(target) => format!("{} -> {}", path.to_string_lossy(), target.to_string_lossy()),
            None if always => quoteaf(path),
            None => path.to_string_lossy().into_owned(),
        },
        "o" => s.blksize.to_string(),
        "s" => s.size.to_string(),
        "r" => s.rdev.to_string(),
        "R" => format!("{:x}", s.rdev),
        "t" => format!("{:x}", device_numbers(s.rdev).0),
        "T" => format!("{:x}", device_numbers(s.rdev).1),
        "Hr" => device_numbers(s.rdev).0.to_string(),
        "Lr" => device_numbers(s.rdev).1.to_string(),
        "u" => s.uid.to_string(),
        "U" => names.user(s.uid).unwrap_or_else(|| "UNKNOWN".to_owned()),
        "w" => {
            if s.btime == 0 {
                "-".to_owned()
            } else {
                stamp(s.btime, s.btime_nsec)
            }
        }
        "W" => s.btime.to_string(),
        "x" => stamp(s.atime, s.atime_nsec),
        "X" => s.atime.to_string(),
        "y" => stamp(s.mtime, s.mtime_nsec),
        "Y" => s.mtime.to_string(),
        "z" => stamp(s.ctime, s.ctime_nsec),
        "Z" => s.ctime.to_string(),
        _ => return None,
    })
}

fn fs_directive(d: &str, path: &OsStr, s: &StatFs) -> Option<String> {
    Some(match d {
        "a" | "f" => s.bfree.to_string(),
        "b" => s.blocks.to_string(),
        "c" => s.files.to_string(),
        "d" => s.ffree.to_string(),
        "i" => "0".to_owned(),
        "l" => s.namelen.to_string(),
        "n" => path.to_string_lossy().into_owned(),
        "s" | "S" => s.bsize.to_string(),
        "t" => "0".to_owned(),
        "T" => FILE_SYSTEM.to_owned(),
        _ => return None,
    })
}
