//! `tree`: directories as trees, in the words of tree 2.1. What is read is in `read`, how it is shown in `show`. It writes no
//! HTML and reads no lists of paths.

mod ignore;
mod read;
mod show;

use crate::context::{Cx, End, Outcome};
use std::ffi::OsString;
use std::io::Write;

const HELP: &str = "\
usage: tree [options] [--] [directory ...]
  -a            all files, those with a dot too
  -d            directories only
  -l            follow symbolic links to directories
  -f            the whole path of each file
  -x            stay on one file system
  -L level      only so many levels
  -P pattern    only files that match; `|` between several
  -I pattern    no files that match
  --gitignore   nothing that .gitignore files name
  --ignore-case patterns match either case
  --matchdirs   -P is for directories too
  --metafirst   what is told of a file comes first
  --prune       no directories without files
  --noreport    no counts at the end
  --charset X   lines of this charset
  --filelimit # no directories with more entries
  -o filename   output to a file
  -q -N -Q      unprintable characters as `?`, as they are; names in quotes
  -p -u -g      mode, owner, group
  -s -h --si    size in bytes, in units of 1024, of 1000
  --du          size of directories with all in them
  -D            time of the last change; --timefmt <f>: by strftime(3)
  -F            a letter for the kind of file
  --inodes --device  numbers of inode and device
  -v -t -c -U   sort by version, time, status change, not
  -r            reverse
  --dirsfirst --filesfirst  directories or files first
  --sort X      name, version, size, mtime, ctime
  -i            no lines
  -A -S         lines of ANSI or the console
  -n -C         colours never, always
  -X -J         XML, JSON
  --version --help
";

const USAGE: &str = "\
usage: tree [-acdfghilnpqrstuvxACDFJNQSUX] [-L level] [-o filename] [-P pattern]
	[-I pattern] [--gitignore] [--matchdirs] [--metafirst] [--ignore-case]
	[--inodes] [--device] [--sort[=]<name>] [--dirsfirst] [--filesfirst]
	[--filelimit #] [--si] [--du] [--prune] [--charset[=]X]
	[--timefmt[=]format] [--noreport] [--version] [--help] [--] [directory ...]
";

/// What the entries of a directory are sorted by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Name,
    Version,
    Size,
    Changed,
    Status,
    None,
}

/// How names with unprintable characters are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Escaped,
    Question,
    Raw,
}

/// What the whole is written as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Tree,
    Json,
    Xml,
}

/// What lines are drawn with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    None,
    Utf8,
    Ascii,
}

struct Options {
    all: bool,
    dirs_only: bool,
    follow: bool,
    full_path: bool,
    one_system: bool,
    level: usize,
    include: Vec<String>,
    exclude: Vec<String>,
    gitignore: bool,
    fold: bool,
    match_dirs: bool,
    meta_first: bool,
    prune: bool,
    report: bool,
    file_limit: usize,
    names: Names,
    quote: bool,
    mode: bool,
    user: bool,
    group: bool,
    size: bool,
    /// Units of sizes: 1024, 1000.
    human: Option<u64>,
    du: bool,
    date: bool,
    time_format: Option<String>,
    classify: bool,
    inodes: bool,
    device: bool,
    sort: Sort,
    reverse: bool,
    dirs_first: bool,
    files_first: bool,
    lines: Lines,
    colour: Option<bool>,
    form: Form,
    output: Option<OsString>,
    roots: Vec<OsString>,
}

impl Options {
    fn new() -> Options {
        // Characters of the locale: only one that says so is without UTF-8.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|n| std::env::var(n).ok().filter(|v| !v.is_empty()));
        let ascii = locale.is_some_and(|l| l == "C" || l == "POSIX");
        Options {
            all: false,
            dirs_only: false,
            follow: false,
            full_path: false,
            one_system: false,
            level: usize::MAX,
            include: Vec::new(),
            exclude: Vec::new(),
            gitignore: false,
            fold: false,
            match_dirs: false,
            meta_first: false,
            prune: false,
            report: true,
            file_limit: 0,
            names: Names::Escaped,
            quote: false,
            mode: false,
            user: false,
            group: false,
            size: false,
            human: None,
            du: false,
            date: false,
            time_format: None,
            classify: false,
            inodes: false,
            device: false,
            sort: Sort::Name,
            reverse: false,
            dirs_first: false,
            files_first: false,
            lines: if ascii { Lines::Ascii } else { Lines::Utf8 },
            colour: None,
            form: Form::Tree,
            output: None,
            roots: Vec::new(),
        }
    }
}

fn bad(cx: &mut Cx, message: &str, usage: bool) -> End {
    cx.say(message);
    if usage {
        let _ = std::io::stderr().write_all(USAGE.as_bytes());
    }
    End::Status(1)
}

fn read_options(cx: &mut Cx, args: &[OsString]) -> Result<Options, End> {
    let mut o = Options::new();
    let mut rest = args.iter();
    let mut only_roots = false;
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy().into_owned();
        if only_roots || !text.starts_with('-') || text == "-" {
            o.roots.push(arg.clone());
        } else if text == "--" {
            only_roots = true;
        } else if let Some(long) = text.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let takes = matches!(name, "charset" | "filelimit" | "timefmt" | "sort");
            let value = match value.filter(|_| takes) {
                Some(value) => value,
                None if takes => match rest.next() {
                    Some(value) => value.to_string_lossy().into_owned(),
                    None => return Err(bad(cx, &format!("Missing argument to --{name}=<arg>"), false)),
                },
                None => String::new(),
            };
            match name {
                "help" => {
                    cx.put(HELP.as_bytes())?;
                    return Err(End::Status(0));
                }
                "version" => {
                    cx.put(concat!("tree (agentos-tools) ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())?;
                    return Err(End::Status(0));
                }
                "gitignore" => o.gitignore = true,
                "ignore-case" => o.fold = true,
                "matchdirs" => o.match_dirs = true,
                "metafirst" => o.meta_first = true,
                "prune" => o.prune = true,
                "noreport" => o.report = false,
                "si" => (o.human, o.size) = (Some(1000), true),
                "du" => (o.du, o.size) = (true, true),
                "inodes" => o.inodes = true,
                "device" => o.device = true,
                "dirsfirst" => o.dirs_first = true,
                "filesfirst" => o.files_first = true,
                "charset" => {
                    let utf8 = matches!(&*value.to_ascii_lowercase(), "utf-8" | "utf8");
                    o.lines = if utf8 { Lines::Utf8 } else { Lines::Ascii };
                }
                "filelimit" => o.file_limit = value.parse().unwrap_or(0),
                "timefmt" => (o.time_format, o.date) = (Some(value), true),
                "sort" => {
                    o.sort = match &*value {
                        "name" => Sort::Name,
                        "version" => Sort::Version,
                        "size" => Sort::Size,
                        "mtime" => Sort::Changed,
                        "ctime" => Sort::Status,
                        _ => {
                            let message = format!(
                                "Sort type '{value}' not valid, should be one of: name,version,size,mtime,ctime"
                            );
                            return Err(bad(cx, &message, false));
                        }
                    }
                }
                _ => return Err(bad(cx, &format!("Invalid argument `{text}'."), true)),
            }
        } else {
            for letter in text.chars().skip(1) {
                short(cx, &mut o, letter, &mut rest)?;
            }
        }
    }
    if o.roots.is_empty() {
        o.roots.push(".".into());
    }
    Ok(o)
}

fn short(
    cx: &mut Cx,
    o: &mut Options,
    letter: char,
    rest: &mut std::slice::Iter<'_, OsString>,
) -> Result<(), End> {
    let split = |text: &OsString| text.to_string_lossy().split('|').map(str::to_owned).collect::<Vec<_>>();
    match letter {
        'a' => o.all = true,
        'd' => o.dirs_only = true,
        'l' => o.follow = true,
        'f' => o.full_path = true,
        'x' => o.one_system = true,
        'L' => {
            let Some(value) = rest.next() else {
                return Err(bad(cx, "Missing argument to -L option.", false));
            };
            o.level = value.to_string_lossy().parse().unwrap_or(0);
            if o.level == 0 {
                return Err(bad(cx, "Invalid level, must be greater than 0.", false));
            }
        }
        'P' | 'I' => {
            let Some(value) = rest.next() else {
                return Err(bad(cx, &format!("Missing argument to -{letter} option."), false));
            };
            let list = if letter == 'P' { &mut o.include } else { &mut o.exclude };
            list.extend(split(value));
        }
        'o' => {
            let Some(value) = rest.next() else {
                return Err(bad(cx, "Missing argument to -o option.", false));
            };
            o.output = Some(value.clone());
        }
        'q' => o.names = Names::Question,
        'N' => o.names = Names::Raw,
        'Q' => o.quote = true,
        'p' => o.mode = true,
        'u' => o.user = true,
        'g' => o.group = true,
        's' => o.size = true,
        'h' => (o.human, o.size) = (Some(1024), true),
        'D' => o.date = true,
        'F' => o.classify = true,
        'v' => o.sort = Sort::Version,
        't' => o.sort = Sort::Changed,
        'c' => o.sort = Sort::Status,
        'U' => o.sort = Sort::None,
        'r' => o.reverse = true,
        'i' => o.lines = Lines::None,
        'A' => o.lines = Lines::Utf8,
        'S' => o.lines = Lines::Utf8,
        'n' => o.colour = o.colour.or(Some(false)),
        'C' => o.colour = Some(true),
        'X' => o.form = Form::Xml,
        'J' => o.form = Form::Json,
        _ => return Err(bad(cx, &format!("Invalid argument -`{letter}'."), true)),
    }
    Ok(())
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let o = read_options(cx, args)?;
    let mut out: Vec<u8> = Vec::new();
    let failed = show::forest(&o, &mut out);
    match &o.output {
        None => cx.put(&out)?,
        Some(file) => std::fs::write(file, &out)
            .map_err(|_| End::Failure(1, format!("invalid filename '{}'", file.to_string_lossy())))?,
    }
    Ok(if failed { 2 } else { 0 })
}
