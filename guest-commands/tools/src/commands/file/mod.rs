//! `file`: what files hold, told from their first bytes, in the words of file 5.44. Binary formats are in `magic`, kinds of text in `text`.
//! It reads no magic files and has one answer: `-m`, `-C`, `-e` and `-k` are refused.

mod magic;
mod text;

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use crate::os::OsStrExt;
use agentos_guest::fs::{FileType, Stat, UTIME_OMIT, file_type, lstat, stat, utimens};
use agentos_guest::strerror;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use unicode_width::UnicodeWidthStr;

const SPEC: &[&str] = &[
    "b,brief",
    "i,mime",
    "mime-type",
    "mime-encoding",
    "L,dereference",
    "h,no-dereference",
    "f,files-from=",
    "F,separator=",
    "N,no-pad",
    "E",
    "n,no-buffer",
    "0,print0",
    "s,special-files",
    "r,raw",
    "p,preserve-date",
    "S",
    "v,version",
];

const HELP: &str = "\
{} [OPTION...] [FILE...]
Determine type of FILEs.

  -b, --brief                do not prepend filenames to output lines
  -E                         end with an error at what cannot be looked at
  -f, --files-from FILE      read the filenames to be examined from FILE
  -F, --separator STRING     use string as separator instead of `:'
  -h, --no-dereference       don't follow symlinks (default)
  -i, --mime                 output MIME type strings
      --mime-type            output the MIME type
      --mime-encoding        output the MIME encoding
  -L, --dereference          follow symlinks
  -n, --no-buffer            do not buffer output
  -N, --no-pad               do not pad output
  -0, --print0               terminate filenames with ASCII NUL
  -p, --preserve-date        preserve access times on files
  -r, --raw                  don't translate unprintable chars to \\ooo
  -S                         (ignored: there is no sandbox)
  -s, --special-files        treat special files as ordinary ones
  -v, --version              output version information and exit";

/// How much of a file is looked at.
const MOST: u64 = 1 << 20;

/// What a file is: in words, as a MIME type, and its encoding.
pub(super) struct Found {
    pub(super) words: String,
    pub(super) mime: String,
    pub(super) encoding: String,
}

impl Found {
    fn new(words: impl Into<String>, mime: impl Into<String>, encoding: impl Into<String>) -> Found {
        Found { words: words.into(), mime: mime.into(), encoding: encoding.into() }
    }
}

#[derive(Default)]
struct Options {
    brief: bool,
    mime: bool,
    encoding: bool,
    follow: bool,
    separator: String,
    pad: bool,
    fail: bool,
    flush: bool,
    nul: bool,
    special: bool,
    raw: bool,
    keep_date: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut o = Options { separator: ":".into(), pad: true, ..Options::default() };
    let mut files: Vec<OsString> = Vec::new();
    for opt in &parsed.opts {
        match opt.id {
            "brief" => o.brief = true,
            "mime" => (o.mime, o.encoding) = (true, true),
            "mime-type" => o.mime = true,
            "mime-encoding" => o.encoding = true,
            "dereference" => o.follow = true,
            "no-dereference" => o.follow = false,
            "separator" => o.separator = opt.text(),
            "no-pad" => o.pad = false,
            "E" => o.fail = true,
            "no-buffer" => o.flush = true,
            "print0" => o.nul = true,
            "special-files" => o.special = true,
            "version" => {
                cx.put(concat!("file (agentos-tools) ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())?;
                return Ok(0);
            }
            "files-from" => {
                let list: Box<dyn Read> = if opt.arg() == "-" {
                    Box::new(Descriptor(0))
                } else {
                    let file = std::fs::File::open(opt.arg()).map_err(|e| {
                        End::Failure(1, format!("Cannot open `{}' ({})", opt.text(), strerror(&e)))
                    })?;
                    Box::new(file)
                };
                let lines = BufReader::new(list).split(b'\n').map_while(Result::ok);
                files.extend(lines.map(crate::os::os_owned));
            }
            "raw" => o.raw = true,
            "preserve-date" => o.keep_date = true,
            // -S: what would be switched off is not there.
            _ => {}
        }
    }
    files.extend(parsed.operands);
    if files.is_empty() {
        let usage = "Usage: file [-bEhiLnNprSsv0] [--mime-type] [--mime-encoding] [-f <namefile>] [-F <separator>] <file> ...\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), usage.as_bytes());
        return Ok(1);
    }
    let shown = |file: &OsString| {
        if file == "-" { "/dev/stdin".to_owned() } else { visible(file.as_bytes()) }
    };
    let widest = files.iter().map(|f| shown(f).width()).max().unwrap_or(0);
    let mut failed = false;
    for file in &files {
        let name = shown(file);
        let text = match examine(file, &o) {
            Ok(found) => match (o.mime, o.encoding) {
                (false, false) => found.words,
                (true, false) => found.mime,
                (false, true) => found.encoding,
                (true, true) => format!("{}; charset={}", found.mime, found.encoding),
            },
            Err(message) if o.fail => {
                failed = true;
                message.replacen("cannot open", "ERROR: cannot stat", 1)
            }
            Err(message) => message,
        };
        let text = if o.raw { text } else { visible(text.as_bytes()) };
        if !o.brief {
            cx.put(if o.raw && file != "-" { file.as_bytes() } else { name.as_bytes() })?;
            if o.nul {
                cx.put(b"\0")?;
            }
            let pad = if o.pad { widest - name.width() } else { 0 };
            cx.print(format_args!("{} {:pad$}", o.separator, ""))?;
        }
        cx.print(format_args!("{text}\n"))?;
        if o.flush {
            cx.flush()?;
        }
        if failed {
            break;
        }
    }
    Ok(i32::from(failed))
}

/// Text with octal numbers in place of what cannot be printed.
fn visible(text: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let octal = |out: &mut String, bytes: &[u8]| {
        for b in bytes {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\{b:03o}");
        }
    };
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                octal(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                out.push(c);
            }
        }
        octal(&mut out, chunk.invalid());
    }
    out
}

fn examine(file: &OsString, o: &Options) -> Result<Found, String> {
    let name = file.to_string_lossy();
    let refused = |e: &std::io::Error| format!("cannot open `{name}' ({})", strerror(e));
    if file == "-" {
        return Ok(content(&mut Descriptor(0), None));
    }
    let s = if o.follow { stat(file) } else { lstat(file) }.map_err(|e| refused(&e))?;
    let mut bits = String::new();
    for (bit, word) in [(0o4000, "setuid "), (0o2000, "setgid "), (0o1000, "sticky ")] {
        if s.mode & bit != 0 {
            bits += word;
        }
    }
    let with_bits = |word: &str| if bits.is_empty() { word.to_owned() } else { format!("{bits}{word}") };
    let device = |s: &Stat| format!("({}/{})", s.rdev >> 8 & 0xfff, s.rdev & 0xff);
    let special = |words: String, mime: &str| Ok(Found::new(words, format!("inode/{mime}"), "binary"));
    match file_type(s.mode) {
        FileType::Dir => special(with_bits("directory"), "directory"),
        FileType::Symlink => {
            let target = std::fs::read_link(file).unwrap_or_default();
            let target = target.to_string_lossy();
            if stat(file).is_ok() {
                special(format!("symbolic link to {target}"), "symlink")
            } else {
                special(format!("broken symbolic link to {target}"), "symlink")
            }
        }
        FileType::Fifo => special(with_bits("fifo (named pipe)"), "fifo"),
        FileType::Socket => special(with_bits("socket"), "socket"),
        FileType::CharDevice if !o.special => {
            special(format!("character special {}", device(&s)), "chardevice")
        }
        FileType::BlockDevice if !o.special => {
            special(format!("block special {}", device(&s)), "blockdevice")
        }
        _ => {
            let mut found = match std::fs::File::open(file) {
                Ok(mut input) => {
                    let found = content(&mut input, Some(s.size));
                    if o.keep_date {
                        // Only who may set it can keep it; nobody is told, as of GNU's.
                        let _ = utimens(file, (s.atime, s.atime_nsec.into()), (0, UTIME_OMIT), true);
                    }
                    found
                }
                // What may not be read is told by its attributes.
                Err(_) => {
                    let how = if s.mode & 0o222 != 0 { "writable, " } else { "" };
                    let exec = if s.mode & 0o111 != 0 { "executable, " } else { "" };
                    Found::new(
                        format!("{how}{exec}regular file, no read permission"),
                        "regular file, no read permission",
                        "binary",
                    )
                }
            };
            if !bits.is_empty() {
                found.words = format!("{bits}, {}", found.words);
            }
            Ok(found)
        }
    }
}

fn content(input: &mut dyn Read, size: Option<u64>) -> Found {
    let mut bytes = Vec::new();
    // What was read before an error is as good as it is.
    let _ = input.take(MOST).read_to_end(&mut bytes);
    let whole = (bytes.len() as u64) < MOST;
    if bytes.is_empty() {
        return Found::new("empty", "inode/x-empty", "binary");
    }
    let kind = text::encoding(&bytes, whole);
    if let Some((words, mime)) = magic::find(&bytes, size) {
        let encoding = kind.as_ref().map_or("binary", |k| k.charset);
        return Found::new(words, mime, encoding);
    }
    if bytes.len() == 1 {
        return Found::new("very short file (no magic)", "application/octet-stream", "binary");
    }
    match kind {
        Some(kind) => text::describe(&bytes, &kind),
        None => Found::new("data", "application/octet-stream", "binary"),
    }
}
