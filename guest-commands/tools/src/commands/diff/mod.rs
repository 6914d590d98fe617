//! `diff`: what two files, or two trees of files, differ in. Of its formats it has normal, unified and context.

mod lines;
mod print;
mod tree;

use crate::context::{Cx, End, Outcome};
use crate::options::{Opt, Order};
use crate::os::OsStrExt;
use crate::quote::quote_plain;
use agentos_guest::fs::{FileType, file_type};
use lines::Compare;
use print::Style;
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "normal",
    "q,brief",
    "s,report-identical-files",
    "c",
    "C,context=?",
    "u",
    "U,unified=?",
    "L,label=",
    "r,recursive",
    "no-dereference",
    "N,new-file",
    "unidirectional-new-file",
    "x,exclude=",
    "X,exclude-from=",
    "i,ignore-case",
    "b,ignore-space-change",
    "w,ignore-all-space",
    "Z,ignore-trailing-space",
    "B,ignore-blank-lines",
    "strip-trailing-cr",
    "a,text",
    "d,minimal",
    "color=?",
];
const HELP: &str = "{} [OPTION]... FILES
Compare FILES line by line: two files, two directories, or a directory and a file.
      --normal                  output a normal diff (the default)
  -q, --brief                   report only when files differ
  -s, --report-identical-files  report when two files are the same
  -c, -C NUM, --context[=NUM]   output NUM (default 3) lines of copied context
  -u, -U NUM, --unified[=NUM]   output NUM (default 3) lines of unified context
  -L, --label LABEL             use LABEL instead of file name and timestamp (can be repeated)
  -r, --recursive               recursively compare any subdirectories found
      --no-dereference          don't follow symbolic links
  -N, --new-file                treat absent files as empty
      --unidirectional-new-file treat absent first files as empty
  -x, --exclude=PAT             exclude files that match PAT
  -X, --exclude-from=FILE       exclude files that match any pattern in FILE
  -i, --ignore-case             ignore case differences in file contents
  -Z, --ignore-trailing-space   ignore white space at line end
  -b, --ignore-space-change     ignore changes in the amount of white space
  -w, --ignore-all-space        ignore all white space
  -B, --ignore-blank-lines      ignore changes where lines are all blank
      --strip-trailing-cr       strip trailing carriage return on input
  -a, --text                    treat all files as text
  -d, --minimal                 try hard to find a smaller set of changes
      --color[=WHEN]            WHEN is never or auto; there are no colours
Exit status is 0 if inputs are the same, 1 if different, 2 if trouble.";

/// What the options say.
struct Config {
    style: Style,
    brief: bool,
    identical: bool,
    labels: Vec<OsString>,
    recursive: bool,
    follow: bool,
    /// Absent files of the first tree, and of the second, count as empty.
    new: (bool, bool),
    exclude: Vec<Vec<u8>>,
    compare: Compare,
    text: bool,
    /// The options as they were given, for the headings of files in trees.
    given: String,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let (args, given) = separate(args);
    let parsed = cx.parse(SPEC, &args, Order::Permute, HELP)?;
    let mut c = Config {
        style: Style::Normal,
        brief: false,
        identical: false,
        labels: Vec::new(),
        recursive: false,
        follow: true,
        new: (false, false),
        exclude: Vec::new(),
        compare: Compare::default(),
        text: false,
        given,
    };
    let mut style = None;
    for opt in &parsed.opts {
        match opt.id {
            "normal" => choose(cx, &mut style, Style::Normal)?,
            "c" => choose(cx, &mut style, Style::Context(3))?,
            "u" => choose(cx, &mut style, Style::Unified(3))?,
            "context" => choose(cx, &mut style, Style::Context(around(cx, opt)?))?,
            "unified" => choose(cx, &mut style, Style::Unified(around(cx, opt)?))?,
            "brief" => c.brief = true,
            "report-identical-files" => c.identical = true,
            "label" => c.labels.push(opt.arg().to_owned()),
            "recursive" => c.recursive = true,
            "no-dereference" => c.follow = false,
            "new-file" => c.new = (true, true),
            "unidirectional-new-file" => c.new.0 = true,
            "exclude" => c.exclude.push(opt.arg().as_bytes().to_vec()),
            "exclude-from" => c.exclude.extend(patterns(opt.arg())?),
            "ignore-case" => c.compare.fold = true,
            "ignore-space-change" => c.compare.space_change = true,
            "ignore-all-space" => c.compare.no_space = true,
            "ignore-trailing-space" => c.compare.trailing_space = true,
            "ignore-blank-lines" => c.compare.blank_lines = true,
            "strip-trailing-cr" => c.compare.strip_cr = true,
            "text" => c.text = true,
            "minimal" => c.compare.minimal = true,
            _ => match opt.text().as_str() {
                "never" | "auto" | "" => {}
                "always" => return Err(End::Failure(2, "--color=always is not supported".to_owned())),
                _ => return Err(cx.usage(format!("invalid color {}", quote_plain(opt.arg())))),
            },
        }
    }
    if c.labels.len() > 2 {
        return Err(End::Failure(2, "too many file label options".to_owned()));
    }
    c.style = style.unwrap_or(Style::Normal);
    let [a, b] = match &parsed.operands[..] {
        [a, b] => [a, b],
        [_, _, extra, ..] => return Err(cx.usage(format!("extra operand {}", quote_plain(extra)))),
        list => {
            let last = list.last().map_or(OsStr::new("diff"), |o| o.as_os_str());
            return Err(cx.usage(format!("missing operand after {}", quote_plain(last))));
        }
    };
    let differ = tree::operands(cx, &c, a, b)?;
    // Trouble outweighs a difference: the dispatcher takes the higher of this and `cx.status`.
    Ok(i32::from(differ))
}

/// A second style must be the first one again; the larger context counts.
fn choose(cx: &Cx, style: &mut Option<Style>, new: Style) -> Result<(), End> {
    *style = Some(match (*style, new) {
        (None, new) => new,
        (Some(Style::Normal), Style::Normal) => new,
        (Some(Style::Unified(a)), Style::Unified(b)) => Style::Unified(a.max(b)),
        (Some(Style::Context(a)), Style::Context(b)) => Style::Context(a.max(b)),
        _ => return Err(cx.usage("conflicting output style options")),
    });
    Ok(())
}

fn around(cx: &Cx, opt: &Opt) -> Result<usize, End> {
    match &opt.value {
        None => Ok(3),
        Some(text) => match text.to_str().and_then(|t| t.parse::<usize>().ok()) {
            Some(n) => Ok(n.min(usize::MAX / 4)),
            None => Err(cx.usage(format!("invalid context length {}", quote_plain(text)))),
        },
    }
}

fn patterns(file: &OsStr) -> Result<Vec<Vec<u8>>, End> {
    match crate::context::open_input(file).and_then(|mut input| {
        let mut text = Vec::new();
        input.read_to_end(&mut text)?;
        Ok(text)
    }) {
        Ok(text) => Ok(text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect()),
        Err(error) => {
            let why = agentos_guest::strerror(&error);
            Err(End::Failure(2, format!("{}: {why}", file.to_string_lossy())))
        }
    }
}

/// The arguments with `-U 3` as `-U3` (the argument of the long option is optional, that of the letter is not), and the
/// options among them as they were given, each after a blank, for the headings of files in trees.
fn separate(args: &[OsString]) -> (Vec<OsString>, String) {
    let (mut out, mut given) = (Vec::with_capacity(args.len()), String::new());
    let mut tell = |word: &OsString| {
        given.push(' ');
        given += &crate::quote::quotef(word);
    };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            out.push(arg.clone());
            out.extend(rest.cloned());
            break;
        }
        let mut joined = arg.clone();
        if bytes.len() > 1 && bytes[0] == b'-' {
            tell(arg);
            let takes = bytes.iter().position(|b| b"UCLxX".contains(b)).filter(|_| bytes[1] != b'-');
            let long = matches!(bytes, b"--label" | b"--exclude" | b"--exclude-from");
            if (long || takes == Some(bytes.len() - 1))
                && let Some(value) = rest.next()
            {
                tell(value);
                if long {
                    joined.push("=");
                }
                joined.push(value);
            }
        }
        out.push(joined);
    }
    (out, given)
}

/// What `Only in` and its like call a kind of file.
fn kind_name(mode: u32, size: u64) -> &'static str {
    match file_type(mode) {
        FileType::File if size == 0 => "regular empty file",
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
