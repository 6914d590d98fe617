//! `grep`, `egrep` and `fgrep` with GNU's options over ripgrep's searcher.

mod colors;
mod files;
mod finder;
mod search;

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::os::{OsStrExt, os_owned};
use crate::quote::quote;
use crate::regex::{Syntax, Translated, translate};
use agentos_guest::fs::{FileType, file_type, stat};
use agentos_guest::strerror;
use colors::Colors;
use finder::{Finder, Manner};
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "E,extended-regexp",
    "F,fixed-strings",
    "G,basic-regexp",
    "P,perl-regexp",
    "e,regexp=",
    "f,file=",
    "i,ignore-case",
    "y",
    "no-ignore-case",
    "w,word-regexp",
    "x,line-regexp",
    "z,null-data",
    "s,no-messages",
    "v,invert-match",
    "m,max-count=",
    "b,byte-offset",
    "n,line-number",
    "line-buffered",
    "H,with-filename",
    "h,no-filename",
    "label=",
    "o,only-matching",
    "q,quiet",
    "silent",
    "binary-files=",
    "a,text",
    "I",
    "d,directories=",
    "D,devices=",
    "r,recursive",
    "R,dereference-recursive",
    "include=",
    "exclude=",
    "exclude-from=",
    "exclude-dir=",
    "L,files-without-match",
    "l,files-with-matches",
    "c,count",
    "Z,null",
    "B,before-context=",
    "A,after-context=",
    "C,context=",
    "group-separator=",
    "no-group-separator",
    "color=?",
    "colour=?",
    "U,binary",
    "T,initial-tab",
    "u,unix-byte-offsets",
    "V,version",
    "help",
];
const USAGE: &str = "Usage: grep [OPTION]... PATTERNS [FILE]...";
const HELP: &str = "Search for PATTERNS in each FILE.
  -E, --extended-regexp      PATTERNS are extended regular expressions
  -F, --fixed-strings        PATTERNS are strings
  -G, --basic-regexp         PATTERNS are basic regular expressions
  -P, --perl-regexp          PATTERNS are Perl-like expressions
  -e, --regexp=PATTERNS      use PATTERNS for matching
  -f, --file=FILE            take PATTERNS from FILE
  -i, --ignore-case          ignore case distinctions
  -w, --word-regexp          match only whole words
  -x, --line-regexp          match only whole lines
  -z, --null-data            a data line ends in 0 byte, not newline
  -s, --no-messages          suppress error messages
  -v, --invert-match         select non-matching lines
  -m, --max-count=NUM        stop after NUM selected lines
  -b, --byte-offset          print the byte offset with output lines
  -n, --line-number          print line number with output lines
      --line-buffered        flush output on every line
  -H, --with-filename        print file name with output lines
  -h, --no-filename          suppress the file name prefix on output
      --label=LABEL          use LABEL as the standard input file name prefix
  -o, --only-matching        show only nonempty parts of lines that match
  -q, --quiet, --silent      suppress all normal output
      --binary-files=TYPE    TYPE is 'binary', 'text', or 'without-match'
  -a, --text                 equivalent to --binary-files=text
  -I                         equivalent to --binary-files=without-match
  -d, --directories=ACTION   ACTION is 'read', 'recurse', or 'skip'
  -r, --recursive            like --directories=recurse
  -R, --dereference-recursive  likewise, but follow all symlinks
      --include=GLOB, --exclude=GLOB, --exclude-from=FILE, --exclude-dir=GLOB
  -L, --files-without-match  print only names of FILEs with no selected lines
  -l, --files-with-matches   print only names of FILEs with selected lines
  -c, --count                print only a count of selected lines per FILE
  -Z, --null                 print 0 byte after FILE name
  -B, -A, -C NUM, -NUM       print NUM lines of context before, after, around
      --group-separator=SEP, --no-group-separator
  -T, --initial-tab          make tabs line up (if needed)
      --color[=WHEN]         use markers to highlight the matching strings; WHEN is 'always', 'never', or 'auto'";

/// What is done with binary files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Report,
    Text,
    Skip,
}

/// What is shown of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    Lines,
    Parts,
    Count,
    NamesWith,
    NamesWithout,
    Nothing,
}

/// The options that searching one file needs.
pub(crate) struct Config {
    pub(crate) show: Show,
    pub(crate) binary: Binary,
    pub(crate) invert: bool,
    pub(crate) max: Option<u64>,
    pub(crate) numbers: bool,
    pub(crate) offsets: bool,
    pub(crate) names: bool,
    pub(crate) null_names: bool,
    pub(crate) line_end: u8,
    pub(crate) before: usize,
    pub(crate) after: usize,
    /// Groups of lines are separated, also where no line stands around another (`-A 0`).
    pub(crate) grouped: bool,
    pub(crate) separator: Option<Vec<u8>>,
    pub(crate) line_buffered: bool,
    pub(crate) silent: bool,
    pub(crate) label: OsString,
    pub(crate) initial_tab: bool,
    pub(crate) colors: Option<Colors>,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let args = modern(args);
    let parsed = match cx.parse(SPEC, &args, Order::Permute, "") {
        Err(End::Usage(status, message)) => return Err(End::Usage(status, format!("{message}\n{USAGE}"))),
        other => other?,
    };
    let mut syntax = match cx.name {
        "egrep" => Syntax::Extended,
        "fgrep" => Syntax::Fixed,
        _ => Syntax::Basic,
    };
    let mut config = Config {
        show: Show::Lines,
        binary: Binary::Report,
        invert: false,
        max: None,
        numbers: false,
        offsets: false,
        names: false,
        null_names: false,
        line_end: b'\n',
        before: 0,
        after: 0,
        grouped: false,
        separator: Some(b"--".to_vec()),
        line_buffered: false,
        silent: false,
        label: "(standard input)".into(),
        initial_tab: false,
        colors: None,
    };
    let mut tree = files::Tree::default();
    let (mut patterns, mut fold, mut word, mut line) = (None::<Vec<Vec<u8>>>, false, false, false);
    let mut names = None;
    let mut colored = false;
    let (mut quiet, mut list, mut count, mut only) = (false, None, false, false);
    for opt in &parsed.opts {
        let keyword = |allowed: &[&str]| {
            let text = opt.text();
            if allowed.contains(&text.as_str()) { Ok(text) } else { Err(unknown(opt.id, &text)) }
        };
        match opt.id {
            "extended-regexp" => syntax = Syntax::Extended,
            "fixed-strings" => syntax = Syntax::Fixed,
            "basic-regexp" => syntax = Syntax::Basic,
            "perl-regexp" => syntax = Syntax::Perl,
            "regexp" => patterns.get_or_insert_default().extend(lines(opt.arg().as_bytes())),
            "file" => patterns.get_or_insert_default().extend(pattern_file(opt.arg())?),
            "ignore-case" | "y" => fold = true,
            "no-ignore-case" => fold = false,
            "word-regexp" => word = true,
            "line-regexp" => line = true,
            "null-data" => config.line_end = 0,
            "no-messages" => config.silent = true,
            "invert-match" => config.invert = true,
            "max-count" => config.max = max_count(&opt.text())?,
            "byte-offset" => config.offsets = true,
            "line-number" => config.numbers = true,
            "line-buffered" => config.line_buffered = true,
            "with-filename" => names = Some(true),
            "no-filename" => names = Some(false),
            "label" => config.label = opt.arg().to_owned(),
            "only-matching" => only = true,
            "quiet" | "silent" => quiet = true,
            "binary-files" => {
                config.binary = match keyword(&["binary", "text", "without-match"])?.as_str() {
                    "binary" => Binary::Report,
                    "text" => Binary::Text,
                    _ => Binary::Skip,
                }
            }
            "text" => config.binary = Binary::Text,
            "I" => config.binary = Binary::Skip,
            "directories" => {
                let action = keyword(&["read", "recurse", "skip"])?;
                tree.recurse = action == "recurse";
                tree.skip_dirs = action == "skip";
            }
            "devices" => tree.skip_devices = Some(keyword(&["read", "skip"])? == "skip"),
            "recursive" => (tree.recurse, tree.follow) = (true, false),
            "dereference-recursive" => (tree.recurse, tree.follow) = (true, true),
            "include" => tree.rules.push((false, opt.arg().as_bytes().to_vec())),
            "exclude" => tree.rules.push((true, opt.arg().as_bytes().to_vec())),
            "exclude-from" => {
                tree.rules.extend(pattern_file(opt.arg())?.into_iter().map(|glob| (true, glob)))
            }
            "exclude-dir" => tree.exclude_dirs.push(files::trim_slashes(opt.arg().as_bytes())),
            "files-without-match" => list = Some(Show::NamesWithout),
            "files-with-matches" => list = Some(Show::NamesWith),
            "count" => count = true,
            "null" => config.null_names = true,
            "before-context" => (config.before, config.grouped) = (context(&opt.text())?, true),
            "after-context" => (config.after, config.grouped) = (context(&opt.text())?, true),
            "context" => {
                (config.before, config.grouped) = (context(&opt.text())?, true);
                config.after = config.before;
            }
            "group-separator" => config.separator = Some(opt.arg().as_bytes().to_vec()),
            "no-group-separator" => config.separator = None,
            "color" | "colour" => {
                colored = match opt.value.as_ref().map(|_| opt.text()).as_deref() {
                    Some("never" | "no" | "none") => false,
                    None | Some("auto" | "tty" | "if-tty") => terminal(),
                    Some("always" | "yes" | "force") => true,
                    // GNU's shows its help here, and is content.
                    Some(_) => {
                        cx.print(format_args!("Usage: {}\n", HELP.replace("{}", "grep")))?;
                        return Ok(0);
                    }
                }
            }
            "initial-tab" => config.initial_tab = true,
            // Carriage returns are never left out here.
            "binary" => {}
            "unix-byte-offsets" => cx.say("warning: --unix-byte-offsets (-u) is obsolete"),
            "version" => {
                let name = cx.name;
                cx.print(format_args!("{name} (agentos-tools) {}\n", env!("CARGO_PKG_VERSION")))?;
                return Ok(0);
            }
            _ => {
                cx.print(format_args!("{USAGE}\n{HELP}\n"))?;
                return Ok(0);
            }
        }
    }
    let mut operands = parsed.operands.clone();
    let patterns = match patterns {
        Some(patterns) => patterns,
        None if operands.is_empty() => {
            eprintln!("{USAGE}\nTry 'grep --help' for more information.");
            return Ok(2);
        }
        None => lines(operands.remove(0).as_bytes()),
    };
    config.show = match (quiet, list, count, only) {
        (true, ..) => Show::Nothing,
        (_, Some(list), ..) => list,
        (_, _, true, _) => Show::Count,
        (.., true) => Show::Parts,
        _ => Show::Lines,
    };
    if !matches!(config.show, Show::Lines | Show::Parts) {
        // Nothing of the lines is shown, so nothing around them either. (Of parts, GNU shows where groups end.)
        (config.before, config.after, config.grouped) = (0, 0, false);
    }
    config.names = names.unwrap_or_else(|| match operands.as_slice() {
        [] => tree.recurse,
        // A single file needs no name even with -r.
        [one] => tree.recurse && one != "-" && stat(one).is_ok_and(|s| file_type(s.mode) == FileType::Dir),
        _ => true,
    });
    let mut written = Vec::new();
    for pattern in &patterns {
        written.push(translate(pattern, syntax, false).map_err(|message| End::Failure(2, message))?);
    }
    for warning in written.iter().flat_map(|pattern| &pattern.warnings) {
        cx.say(format_args!("warning: {warning}"));
    }
    if syntax == Syntax::Perl && written.len() > 1 {
        return Err(End::Failure(2, "the -P option only supports a single pattern".to_owned()));
    }
    // No pattern at all matches nothing, an empty one everything.
    if written.is_empty() {
        written.push(Translated { text: "[^\\s\\S]".to_owned(), ..Translated::default() });
    }
    if colored {
        config.colors = Some(chosen_colors(cx));
    }
    let places = config.show == Show::Parts || config.colors.is_some();
    let manner = Manner { fold, word, line, end: config.line_end, places };
    let matcher = Finder::new(&written, manner).map_err(|why| {
        if syntax != Syntax::Perl {
            return End::Failure(2, format!("invalid pattern: {why}"));
        }
        let known = [
            (&["unclosed group", "Opening parenthesis without"][..], "missing closing parenthesis"),
            (&["unclosed character class", "character class"], "missing terminating ] for character class"),
            (
                &["repetition operator missing", "Target of repeat"],
                "quantifier does not follow a repeatable item",
            ),
            (&["unopened group", "Closing parenthesis"], "unmatched closing parenthesis"),
        ];
        let words = known.iter().find(|(theirs, _)| theirs.iter().any(|t| why.contains(t)));
        End::Failure(
            2,
            words.map_or_else(|| format!("unsupported Perl-like pattern: {why}"), |w| w.1.to_owned()),
        )
    })?;
    let mut run = search::Run::new(cx, &config, &matcher);
    let found = files::each(&mut run, &tree, &operands)?;
    // GNU: an error decides, except when -q found something.
    Ok(match (found, run.failed()) {
        (true, _) if quiet => 0,
        (_, true) => 2,
        (true, _) => 0,
        _ => 1,
    })
}

/// Whether colours would be seen.
fn terminal() -> bool {
    agentos_guest::fd::isatty(1) && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

fn chosen_colors(cx: &mut Cx) -> Colors {
    let old = std::env::var_os("GREP_COLOR").filter(|old| !old.is_empty());
    if let Some(old) = &old {
        let old = old.to_string_lossy();
        cx.say(format_args!("warning: GREP_COLOR='{old}' is deprecated; use GREP_COLORS='mt={old}'"));
    }
    let changes = std::env::var_os("GREP_COLORS").unwrap_or_default();
    Colors::new(old.as_ref().map(|old| old.as_bytes()), changes.as_bytes())
}

/// `-3` of old is `-C 3`.
fn modern(args: &[OsString]) -> Vec<OsString> {
    let mut out = Vec::with_capacity(args.len());
    let mut literal = false;
    let mut value_next = false;
    for arg in args {
        let bytes = arg.as_bytes();
        let old = !literal
            && !value_next
            && bytes.len() > 1
            && bytes[0] == b'-'
            && bytes[1..].iter().all(u8::is_ascii_digit);
        literal |= bytes == b"--";
        value_next = !literal && bytes.len() == 2 && bytes[0] == b'-' && b"efmdDABC".contains(&bytes[1]);
        out.push(if old { os_owned([b"-C", &bytes[1..]].concat()) } else { arg.clone() });
    }
    out
}

fn unknown(option: &str, text: &str) -> End {
    match option {
        "binary-files" => End::Failure(2, "unknown binary-files type".to_owned()),
        "devices" => End::Failure(2, "unknown devices method".to_owned()),
        _ => {
            let list: String = ["read", "recurse", "skip"]
                .iter()
                .map(|word| format!("\n  - {}", quote(word.as_ref())))
                .collect();
            let (text, option) = (quote(text.as_ref()), quote(format!("--{option}").as_ref()));
            let message =
                format!("invalid argument {text} for {option}\nValid arguments are:{list}\n{USAGE}");
            End::Usage(1, message)
        }
    }
}

fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

fn pattern_file(path: &OsStr) -> Result<Vec<Vec<u8>>, End> {
    let mut text = Vec::new();
    if let Err(error) = open_input(path).and_then(|mut input| input.read_to_end(&mut text)) {
        return Err(End::Failure(2, format!("{}: {}", path.to_string_lossy(), strerror(&error))));
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    Ok(lines(&text))
}

fn max_count(text: &str) -> Result<Option<u64>, End> {
    match text.parse::<i64>() {
        Ok(n) => Ok(u64::try_from(n).ok()),
        Err(_) => Err(End::Failure(2, "invalid max count".to_owned())),
    }
}

fn context(text: &str) -> Result<usize, End> {
    // More than this is all there is.
    match text.parse::<u64>() {
        Ok(n) => Ok(usize::try_from(n).unwrap_or(usize::MAX).min(1 << 24)),
        Err(_) => Err(End::Failure(2, format!("{text}: invalid context length argument"))),
    }
}
