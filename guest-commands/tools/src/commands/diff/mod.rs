//! `diff`: what two files, or two trees of files, differ in, in GNU's formats. `sdiff` and `diff3` take their lists of
//! changes from here.

mod format;
pub(super) mod lines;
pub(super) mod look;
mod print;
mod script;
pub(super) mod side;
mod tree;

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::{Opt, Order};
use crate::os::OsStrExt;
use crate::quote::quote_plain;
use agentos_guest::fs::{FileType, file_type};
use agentos_guest::process::{Command, Stdio};
use agentos_guest::{fd, strerror};
use format::Formats;
use lines::Compare;
use look::{Look, Palette, Patterns};
use print::Style;
use std::ffi::{OsStr, OsString};
use std::io::BufWriter;

const SPEC: &[&str] = &[
    "normal",
    "q,brief",
    "s,report-identical-files",
    "c",
    "C,context=?",
    "u",
    "U,unified=?",
    "e,ed",
    "f",
    "n,rcs",
    "y,side-by-side",
    "W,width=",
    "left-column",
    "suppress-common-lines",
    "p,show-c-function",
    "F,show-function-line=",
    "L,label=",
    "t,expand-tabs",
    "T,initial-tab",
    "tabsize=",
    "suppress-blank-empty",
    "l,paginate",
    "r,recursive",
    "no-dereference",
    "N,new-file",
    "unidirectional-new-file",
    "ignore-file-name-case",
    "no-ignore-file-name-case",
    "x,exclude=",
    "X,exclude-from=",
    "S,starting-file=",
    "from-file=",
    "to-file=",
    "i,ignore-case",
    "E,ignore-tab-expansion",
    "Z,ignore-trailing-space",
    "b,ignore-space-change",
    "w,ignore-all-space",
    "B,ignore-blank-lines",
    "I,ignore-matching-lines=",
    "a,text",
    "strip-trailing-cr",
    "D,ifdef=",
    "unchanged-group-format=",
    "old-group-format=",
    "new-group-format=",
    "changed-group-format=",
    "line-format=",
    "unchanged-line-format=",
    "old-line-format=",
    "new-line-format=",
    "d,minimal",
    "horizon-lines=",
    "H,speed-large-files",
    "color=?",
    "palette=",
    "v,version",
];
const HELP: &str = "{} [OPTION]... FILES
Compare FILES line by line: two files, two directories, or a directory and a file.
      --normal                  output a normal diff (the default)
  -q, --brief                   report only when files differ
  -s, --report-identical-files  report when two files are the same
  -c, -C NUM, --context[=NUM]   output NUM (default 3) lines of copied context
  -u, -U NUM, --unified[=NUM]   output NUM (default 3) lines of unified context
  -e, --ed                      output an ed script
  -n, --rcs                     output an RCS format diff
  -y, --side-by-side            output in two columns
  -W, --width=NUM               output at most NUM (default 130) print columns
      --left-column             output only the left column of common lines
      --suppress-common-lines   do not output common lines
  -p, --show-c-function         show which C function each change is in
  -F, --show-function-line=RE   show the most recent line matching RE
  -L, --label LABEL             use LABEL instead of file name and timestamp (can be repeated)
  -t, --expand-tabs             expand tabs to spaces in output
  -T, --initial-tab             make tabs line up by prepending a tab
      --tabsize=NUM             tab stops every NUM (default 8) print columns
      --suppress-blank-empty    suppress space or tab before empty output lines
  -l, --paginate                pass output through 'pr' to paginate it
  -r, --recursive               recursively compare any subdirectories found
      --no-dereference          don't follow symbolic links
  -N, --new-file                treat absent files as empty
      --unidirectional-new-file treat absent first files as empty
      --ignore-file-name-case   ignore case when comparing file names
      --no-ignore-file-name-case  consider case when comparing file names
  -x, --exclude=PAT             exclude files that match PAT
  -X, --exclude-from=FILE       exclude files that match any pattern in FILE
  -S, --starting-file=FILE      start with FILE when comparing directories
      --from-file=FILE1         compare FILE1 to all operands; FILE1 can be a directory
      --to-file=FILE2           compare all operands to FILE2; FILE2 can be a directory
  -i, --ignore-case             ignore case differences in file contents
  -E, --ignore-tab-expansion    ignore changes due to tab expansion
  -Z, --ignore-trailing-space   ignore white space at line end
  -b, --ignore-space-change     ignore changes in the amount of white space
  -w, --ignore-all-space        ignore all white space
  -B, --ignore-blank-lines      ignore changes where lines are all blank
  -I, --ignore-matching-lines=RE  ignore changes where all lines match RE
  -a, --text                    treat all files as text
      --strip-trailing-cr       strip trailing carriage return on input
  -D, --ifdef=NAME              output merged file with '#ifdef NAME' diffs
      --GTYPE-group-format=GFMT format GTYPE (old, new, unchanged, changed) input groups with GFMT
      --line-format=LFMT        format all input lines with LFMT
      --LTYPE-line-format=LFMT  format LTYPE (old, new, unchanged) input lines with LFMT
  -d, --minimal                 try hard to find a smaller set of changes
      --horizon-lines=NUM       keep NUM lines of the common prefix and suffix
  -H, --speed-large-files       assume large files and many scattered small changes
      --color[=WHEN]            color output; WHEN is 'never', 'always', or 'auto'
      --palette=PALETTE         the colors to use, as rs=0:hd=1:ad=32:de=31:ln=36
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
    /// Names of files are the same in either case.
    fold_names: bool,
    exclude: Vec<Vec<u8>>,
    /// Entries of the first directories before this one are left out.
    start: Option<OsString>,
    compare: Compare,
    strip_cr: bool,
    uncounted: Patterns,
    headings: Patterns,
    formats: Formats,
    look: Look,
    paginate: bool,
    text: bool,
    /// The options as they were given, for the headings of files in trees.
    given: String,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let (args, given, digits) = separate(args);
    let parsed = cx.parse(SPEC, &args, Order::Permute, HELP)?;
    let mut c = Config {
        style: Style::Normal,
        brief: false,
        identical: false,
        labels: Vec::new(),
        recursive: false,
        follow: true,
        new: (false, false),
        fold_names: false,
        exclude: Vec::new(),
        start: None,
        compare: Compare::default(),
        strip_cr: false,
        uncounted: Patterns::default(),
        headings: Patterns::default(),
        formats: Formats::default(),
        look: Look::default(),
        paginate: false,
        text: false,
        given,
    };
    let (mut style, mut c_function) = (None, false);
    let (mut from, mut to) = (None, None);
    let mut palette = None;
    let mut color = false;
    let mut tabs_count = false;
    for opt in &parsed.opts {
        let new_style = match opt.id {
            "normal" => Some(Style::Normal),
            "c" => Some(Style::Context(digits.unwrap_or(3))),
            "u" => Some(Style::Unified(digits.unwrap_or(3))),
            "context" => Some(Style::Context(around(cx, opt)?)),
            "unified" => Some(Style::Unified(around(cx, opt)?)),
            "ed" => Some(Style::Ed),
            "f" => Some(Style::ForwardEd),
            "rcs" => Some(Style::Rcs),
            "side-by-side" => Some(Style::SideBySide),
            "ifdef" => {
                c.formats.ifdef(cx, opt.arg())?;
                Some(Style::Formats)
            }
            id if id.ends_with("-format") => {
                c.formats.option(cx, id, opt.arg())?;
                Some(Style::Formats)
            }
            _ => None,
        };
        if let Some(new) = new_style {
            choose(cx, &mut style, new)?;
            continue;
        }
        match opt.id {
            "version" => return Err(cx.version()),
            "brief" => c.brief = true,
            "report-identical-files" => c.identical = true,
            "width" => c.look.width = side::width(cx, opt.arg())?,
            "left-column" => c.look.left_column = true,
            "suppress-common-lines" => c.look.suppress_common = true,
            "show-c-function" => {
                c_function = true;
                c.headings.add(OsStr::new("^[[:alpha:]$_]"))?;
            }
            "show-function-line" => c.headings.add(opt.arg())?,
            "label" => c.labels.push(opt.arg().to_owned()),
            "expand-tabs" => c.look.expand = true,
            "initial-tab" => c.look.initial_tab = true,
            "tabsize" => c.look.tab = tab_size(cx, opt.arg())?,
            "suppress-blank-empty" => c.look.suppress_blank = true,
            "paginate" => c.paginate = true,
            "recursive" => c.recursive = true,
            "no-dereference" => c.follow = false,
            "new-file" => c.new = (true, true),
            "unidirectional-new-file" => c.new.0 = true,
            "ignore-file-name-case" => c.fold_names = true,
            "no-ignore-file-name-case" => c.fold_names = false,
            "exclude" => c.exclude.push(opt.arg().as_bytes().to_vec()),
            "exclude-from" => c.exclude.extend(patterns(opt.arg())?),
            "starting-file" => c.start = Some(opt.arg().to_owned()),
            "from-file" => from = Some(opt.arg()),
            "to-file" => to = Some(opt.arg()),
            "ignore-case" => c.compare.fold = true,
            "ignore-tab-expansion" => tabs_count = true,
            "ignore-space-change" => c.compare.space_change = true,
            "ignore-all-space" => c.compare.no_space = true,
            "ignore-trailing-space" => c.compare.trailing_space = true,
            "ignore-blank-lines" => c.compare.blank_lines = true,
            "ignore-matching-lines" => c.uncounted.add(opt.arg())?,
            "strip-trailing-cr" => c.strip_cr = true,
            "text" => c.text = true,
            "minimal" => c.compare.minimal = true,
            // How the shortest list is looked for is not ours to steer.
            "speed-large-files" => {}
            "horizon-lines" => {
                if opt.text().parse::<usize>().is_err() {
                    return Err(cx.usage(format!("invalid horizon length {}", quote_plain(opt.arg()))));
                }
            }
            "palette" => palette = Some(opt.text()),
            _ => color = colors(cx, opt)?,
        }
    }
    if c.labels.len() > 2 {
        return Err(End::Failure(2, "too many file label options".to_owned()));
    }
    c.style = style.unwrap_or(if c_function { Style::Context(3) } else { Style::Normal });
    c.compare.tab_expansion = tabs_count.then_some(c.look.tab);
    if color {
        c.look.palette = Palette::read(cx, palette.as_deref().unwrap_or_default());
    }
    let pairs: Vec<[&OsStr; 2]> = match (from, to, &parsed.operands[..]) {
        (Some(_), Some(_), _) => {
            return Err(End::Failure(2, "--from-file and --to-file both specified".to_owned()));
        }
        (Some(a), None, list) => list.iter().map(|b| [a, b.as_os_str()]).collect(),
        (None, Some(b), list) => list.iter().map(|a| [a.as_os_str(), b]).collect(),
        (None, None, [a, b]) => vec![[a, b]],
        (None, None, [_, _, extra, ..]) => {
            return Err(cx.usage(format!("extra operand {}", quote_plain(extra))));
        }
        (None, None, list) => {
            let last = list.last().map_or_else(|| args.last(), Some);
            let last = last.map_or(OsStr::new("diff"), |o| o.as_os_str());
            return Err(cx.usage(format!("missing operand after {}", quote_plain(last))));
        }
    };
    let mut differ = false;
    for [a, b] in pairs {
        differ |= tree::operands(cx, &c, a, b)?;
    }
    // Trouble outweighs a difference: the dispatcher takes the higher of this and `cx.status`.
    Ok(i32::from(differ))
}

pub(super) fn tab_size(cx: &Cx, word: &OsStr) -> Result<usize, End> {
    match word.to_str().and_then(|t| t.parse::<usize>().ok()) {
        Some(n) if n > 0 => Ok(n.min(1 << 16)),
        _ => Err(cx.usage(format!("invalid tabsize {}", quote_plain(word)))),
    }
}

fn colors(cx: &Cx, opt: &Opt) -> Result<bool, End> {
    let terminal =
        || fd::isatty(1) && std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    match opt.value.as_ref().map(|_| opt.text()).as_deref() {
        Some("never") => Ok(false),
        Some("always") => Ok(true),
        None | Some("auto") => Ok(terminal()),
        Some(_) => Err(cx.usage(format!("invalid color {}", quote_plain(opt.arg())))),
    }
}

/// Gives what `show` writes to `pr`, under a title.
fn paged(cx: &mut Cx, title: &str, show: impl FnOnce(&mut Cx) -> Result<bool, End>) -> Result<bool, End> {
    let failed = |error: std::io::Error| End::Failure(2, format!("pr: {}", strerror(&error)));
    cx.flush()?;
    let (read, write) = fd::pipe(true).map_err(failed)?;
    let mut pager = Command::new("pr")
        .args(["-h", title])
        .search_path(true)
        .stdin(Stdio::Fd(read.raw()))
        .spawn()
        .map_err(failed)?;
    drop(read);
    let own = std::mem::replace(&mut cx.out, BufWriter::with_capacity(32 * 1024, Descriptor(write.raw())));
    let shown = show(cx);
    let flushed = cx.flush();
    cx.out = own;
    drop(write);
    pager.wait().map_err(failed)?;
    flushed?;
    shown
}

/// A second style must be the first one again; the larger context counts.
fn choose(cx: &Cx, style: &mut Option<Style>, new: Style) -> Result<(), End> {
    *style = Some(match (*style, new) {
        (None, new) => new,
        (Some(old), new) if old == new => new,
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
            let why = strerror(&error);
            Err(End::Failure(2, format!("{}: {why}", file.to_string_lossy())))
        }
    }
}

/// The arguments with `-U 3` as `-U3` (the argument of the long option is optional, that of the letter is not), the
/// options among them as they were given, each after a blank, for the headings of files in trees, and the number of lines
/// that digits among the letters say.
fn separate(args: &[OsString]) -> (Vec<OsString>, String, Option<usize>) {
    let (mut out, mut given) = (Vec::with_capacity(args.len()), String::new());
    let mut number: Option<usize> = None;
    let mut tell = |word: &OsString| {
        given.push(' ');
        // GNU quotes an equals sign here, as a shell might take it for an assignment.
        given += &if word.as_bytes().contains(&b'=') {
            crate::quote::quoteaf(word)
        } else {
            crate::quote::quotef(word)
        };
    };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            tell(arg);
            out.push(arg.clone());
            out.extend(rest.cloned());
            break;
        }
        let mut joined = arg.clone();
        if bytes.len() > 1 && bytes[0] == b'-' {
            tell(arg);
            let short = bytes[1] != b'-';
            let takes = bytes.iter().position(|b| b"UCLxXIFSDW".contains(b)).filter(|_| short);
            let letters = if short { &bytes[..takes.unwrap_or(bytes.len())] } else { &[] };
            if letters.iter().any(u8::is_ascii_digit) {
                for b in letters.iter().filter(|b| b.is_ascii_digit()) {
                    let so_far = number.unwrap_or(0).min(usize::MAX / 40);
                    number = Some(so_far * 10 + usize::from(b - b'0'));
                }
                let mut left: Vec<u8> = letters.iter().copied().filter(|b| !b.is_ascii_digit()).collect();
                left.extend(&bytes[letters.len()..]);
                if left.len() == 1 {
                    continue;
                }
                joined = crate::os::os_owned(left);
            }
            let long = LONG_WITH_ARGUMENT.iter().any(|name| bytes == name.as_bytes());
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
    (out, given, number)
}

/// Long options whose argument may be the next word, for the same headings.
const LONG_WITH_ARGUMENT: &[&str] = &[
    "--label",
    "--exclude",
    "--exclude-from",
    "--ignore-matching-lines",
    "--show-function-line",
    "--width",
    "--starting-file",
    "--ifdef",
    "--tabsize",
    "--horizon-lines",
    "--palette",
    "--line-format",
];

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

/// Takes the carriage returns away that stand before newlines.
pub(super) fn strip_cr(text: &mut Vec<u8>) {
    let mut kept = 0;
    for i in 0..text.len() {
        if text[i] != b'\r' || text.get(i + 1) != Some(&b'\n') {
            text[kept] = text[i];
            kept += 1;
        }
    }
    text.truncate(kept);
}
