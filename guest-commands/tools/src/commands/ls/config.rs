//! What the options and the environment ask `ls`, `dir` and `vdir` for. It looks at no file.

use super::color::Colors;
use super::name::{STYLES, Style};
use crate::block::Block;
use crate::context::{Cx, End};
use crate::options::{Opt, Order};
use crate::os::OsStrExt;
use crate::quote::{is_utf8, quote};
use agentos_guest::{fd, tty};
use std::ffi::{OsStr, OsString};

/// In the order in which GNU names what an abbreviation may mean.
const SPEC: &[&str] = &[
    "a,all",
    "b,escape",
    "d,directory",
    "D,dired",
    "full-time",
    "group-directories-first",
    "h,human-readable",
    "i,inode",
    "k,kibibytes",
    "n,numeric-uid-gid",
    "G,no-group",
    "q,hide-control-chars",
    "r,reverse",
    "s,size",
    "w,width=",
    "A,almost-all",
    "B,ignore-backups",
    "F,classify=?",
    "file-type",
    "si",
    "H,dereference-command-line",
    "dereference-command-line-symlink-to-dir",
    "hide=",
    "I,ignore=",
    "indicator-style=",
    "L,dereference",
    "N,literal",
    "Q,quote-name",
    "quoting-style=",
    "R,recursive",
    "format=",
    "show-control-chars",
    "sort=",
    "T,tabsize=",
    "time=",
    "time-style=",
    "zero",
    "color=?",
    "hyperlink=?",
    "block-size=",
    "Z,context",
    "author",
    "c",
    "C",
    "f",
    "g",
    "l",
    "m",
    "o",
    "p",
    "S",
    "t",
    "u",
    "U",
    "v",
    "x",
    "X",
    "1",
];
const HELP: &str = "{} [OPTION]... [FILE]...
List information about the FILEs (the current directory by default).
  -a, --all  -A, --almost-all  -d, --directory  -R, --recursive  -B, --ignore-backups  -I, --ignore=PATTERN  --hide=PATTERN
  -L, --dereference  -H, --dereference-command-line  --dereference-command-line-symlink-to-dir
  -l  -g  -o  -n, --numeric-uid-gid  -G, --no-group  --author  -Z, --context  -1  -C  -x  -m  --format=WORD
  -i, --inode  -s, --size  -h, --human-readable  --si  -k, --kibibytes  --block-size=SIZE
  -c  -u  --time=WORD  --full-time  --time-style=STYLE (full-iso, long-iso, iso, locale, +FORMAT)
  -F, --classify[=WHEN]  -p  --file-type  --indicator-style=WORD
  -N, --literal  -Q, --quote-name  -b, --escape  --quoting-style=WORD  -q, --hide-control-chars  --show-control-chars
  -t  -S  -X  -v  -U  -f  -r, --reverse  --sort=WORD  --group-directories-first
  --color[=WHEN]  --hyperlink[=WHEN]  -w, --width=COLS  -T, --tabsize=COLS  --zero  -D, --dired";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Long,
    One,
    Down,
    Across,
    Commas,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    Time,
    Size,
    Extension,
    Version,
    Width,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Modified,
    Changed,
    Accessed,
    Born,
}

/// Which names are left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hidden {
    Dotted,
    OnlyDots,
    Nothing,
}

/// Which symbolic links are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    Never,
    /// Operands that lead to directories.
    ToDirectory,
    Operands,
    Always,
}

pub(super) struct Config {
    pub(super) hidden: Hidden,
    pub(super) layout: Layout,
    pub(super) sort: Sort,
    pub(super) reverse: bool,
    pub(super) dirs_first: bool,
    pub(super) time: Which,
    /// Formats of recent and of older times.
    pub(super) time_format: (String, String),
    pub(super) directory: bool,
    pub(super) recursive: bool,
    pub(super) follow: Follow,
    /// The marks after names that are asked for.
    pub(super) marks: &'static str,
    pub(super) blocks: Block,
    pub(super) sizes: Block,
    pub(super) inode: bool,
    pub(super) show_blocks: bool,
    pub(super) owner: bool,
    pub(super) group: bool,
    pub(super) author: bool,
    pub(super) context: bool,
    pub(super) numeric: bool,
    pub(super) style: Style,
    pub(super) hide_control: bool,
    pub(super) ignore: Vec<Vec<u8>>,
    pub(super) hide: Vec<Vec<u8>>,
    /// 0: without end.
    pub(super) width: usize,
    pub(super) tab: usize,
    pub(super) end: u8,
    pub(super) colors: Option<Colors>,
    pub(super) links: bool,
    pub(super) dired: bool,
    /// Names without quotes get a blank, so that they stand below those with quotes.
    pub(super) align: bool,
}

/// The configuration and the operands.
pub(super) fn read(cx: &mut Cx, args: &[OsString]) -> Result<(Config, Vec<OsString>), End> {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let terminal = fd::isatty(1);
    let mut c = Config {
        hidden: Hidden::Dotted,
        layout: Layout::One,
        sort: Sort::Name,
        reverse: false,
        dirs_first: false,
        time: Which::Modified,
        time_format: (String::new(), String::new()),
        directory: false,
        recursive: false,
        follow: Follow::Never,
        marks: "",
        blocks: Block::plain(1024),
        sizes: Block::plain(1),
        inode: false,
        show_blocks: false,
        owner: true,
        group: true,
        author: false,
        context: false,
        numeric: false,
        style: Style::Literal,
        hide_control: false,
        ignore: Vec::new(),
        hide: Vec::new(),
        width: 0,
        tab: 8,
        end: b'\n',
        colors: None,
        links: false,
        dired: false,
        align: false,
    };
    let (mut layout, mut sort, mut follow, mut style, mut block) = (None, None, None, None, None);
    let (mut width, mut tab, mut time_style, mut control) = (None, None, None, None);
    let (mut color, mut timed, mut kibibytes) = (false, false, false);
    // GNU ends otherwise where a word is none that an option knows.
    cx.usage_status = 1;
    for opt in &parsed.opts {
        match opt.id {
            "all" => c.hidden = Hidden::Nothing,
            "almost-all" => c.hidden = Hidden::OnlyDots,
            "author" => c.author = true,
            "ignore-backups" => c.ignore.extend([b"*~".to_vec(), b".*~".to_vec()]),
            "block-size" => {
                block = Some(Block::parse(&opt.text()).map_err(|message| End::Failure(2, message))?);
            }
            "human-readable" => block = Some(Block::Human(1024)),
            "si" => block = Some(Block::Human(1000)),
            "kibibytes" => kibibytes = true,
            "c" => (c.time, timed) = (Which::Changed, true),
            "u" => (c.time, timed) = (Which::Accessed, true),
            "C" => layout = Some(Layout::Down),
            "x" => layout = Some(Layout::Across),
            "m" => layout = Some(Layout::Commas),
            // It changes nothing of -l.
            "1" if layout != Some(Layout::Long) => layout = Some(Layout::One),
            "l" => layout = Some(Layout::Long),
            "g" => (layout, c.owner) = (Some(Layout::Long), false),
            "o" => (layout, c.group) = (Some(Layout::Long), false),
            "no-group" => c.group = false,
            "numeric-uid-gid" => (layout, c.numeric) = (Some(Layout::Long), true),
            "full-time" => (layout, time_style) = (Some(Layout::Long), Some("full-iso".to_owned())),
            "directory" => c.directory = true,
            "recursive" => c.recursive = true,
            "dired" => c.dired = true,
            "dereference" => follow = Some(Follow::Always),
            "dereference-command-line" => follow = Some(Follow::Operands),
            "dereference-command-line-symlink-to-dir" => follow = Some(Follow::ToDirectory),
            "f" => {
                (c.hidden, sort) = (Hidden::Nothing, Some(Sort::None));
                (color, c.links, c.show_blocks) = (false, false, false);
                layout = layout.filter(|l| *l != Layout::Long);
            }
            // "never" takes nothing back.
            "classify" => c.marks = if when(cx, "--classify", opt, terminal)? { "/@|*=" } else { c.marks },
            "file-type" => c.marks = "/@|=",
            "p" => c.marks = "/",
            "indicator-style" => {
                let groups: &[&[&str]] = &[&["none"], &["slash"], &["file-type"], &["classify"]];
                c.marks = ["", "/", "/@|=", "/@|*="][cx.keyword("--indicator-style", opt.arg(), groups)?];
            }
            "group-directories-first" => c.dirs_first = true,
            "inode" => c.inode = true,
            "size" => c.show_blocks = true,
            "context" => c.context = true,
            "ignore" => c.ignore.push(opt.arg().as_bytes().to_vec()),
            "hide" => c.hide.push(opt.arg().as_bytes().to_vec()),
            "literal" => style = Some(Style::Literal),
            "escape" => style = Some(Style::Escape),
            "quote-name" => style = Some(Style::C),
            "quoting-style" => {
                let names: Vec<[&str; 1]> = STYLES.iter().map(|(name, _)| [*name]).collect();
                let groups: Vec<&[&str]> = names.iter().map(|name| &name[..]).collect();
                style = Some(STYLES[cx.keyword("--quoting-style", opt.arg(), &groups)?].1);
            }
            "show-control-chars" => control = Some(false),
            "hide-control-chars" => control = Some(true),
            "reverse" => c.reverse = true,
            "S" => sort = Some(Sort::Size),
            "t" => sort = Some(Sort::Time),
            "X" => sort = Some(Sort::Extension),
            "v" => sort = Some(Sort::Version),
            "U" => sort = Some(Sort::None),
            "sort" => {
                let groups: &[&[&str]] =
                    &[&["none"], &["time"], &["size"], &["extension"], &["version"], &["width"]];
                sort = Some(
                    [Sort::None, Sort::Time, Sort::Size, Sort::Extension, Sort::Version, Sort::Width]
                        [cx.keyword("--sort", opt.arg(), groups)?],
                );
            }
            "time" => {
                timed = true;
                let groups: &[&[&str]] =
                    &[&["atime", "access", "use"], &["ctime", "status"], &["birth", "creation"]];
                c.time = [Which::Accessed, Which::Changed, Which::Born]
                    [cx.keyword("--time", opt.arg(), groups)?];
            }
            "time-style" => time_style = Some(opt.text()),
            "format" => {
                let groups: &[&[&str]] = &[
                    &["verbose", "long"],
                    &["commas"],
                    &["horizontal", "across"],
                    &["vertical"],
                    &["single-column"],
                ];
                layout = Some(
                    [Layout::Long, Layout::Commas, Layout::Across, Layout::Down, Layout::One]
                        [cx.keyword("--format", opt.arg(), groups)?],
                );
            }
            "width" => width = Some(columns(opt.arg()).ok_or_else(|| bad("line width", opt))?),
            "tabsize" => tab = Some(columns(opt.arg()).ok_or_else(|| bad("tab size", opt))?),
            "zero" => {
                (c.end, control, style, color) = (0, Some(false), Some(Style::Literal), false);
                if layout != Some(Layout::Long) {
                    layout = Some(Layout::One);
                }
            }
            "color" => color = when(cx, "--color", opt, terminal)?,
            "hyperlink" => c.links = when(cx, "--hyperlink", opt, terminal)?,
            _ => {}
        }
    }
    cx.usage_status = 2;
    c.layout = layout.unwrap_or(match cx.name {
        "dir" => Layout::Down,
        "vdir" => Layout::Long,
        _ if terminal => Layout::Down,
        _ => Layout::One,
    });
    let long = c.layout == Layout::Long;
    // -c and -u alone also sort by that time, unless the times are shown.
    c.sort = sort.unwrap_or(if timed && !long { Sort::Time } else { Sort::Name });
    if color {
        c.colors = Colors::new(cx);
    }
    if c.layout != Layout::Long && c.layout != Layout::One || c.colors.is_some() {
        c.width = width.unwrap_or_else(|| line_width(cx, terminal));
        c.tab = tab.unwrap_or_else(|| environment_columns(cx, "TABSIZE", "tab size").unwrap_or(8));
        if c.colors.is_some() {
            // A tab would take the background of what stands before it.
            c.tab = 0;
        }
    }
    c.style = style.unwrap_or_else(|| default_style(cx, terminal));
    c.hide_control = control.unwrap_or(cx.name == "ls" && terminal);
    c.dired &= long && !c.links;
    let columns = matches!(c.layout, Layout::Down | Layout::Across) && c.width > 0;
    c.align = (long || columns) && matches!(c.style, Style::Shell | Style::ShellEscape | Style::CMaybe);
    c.follow = follow.unwrap_or(if c.directory || long || c.marks.contains('*') {
        Follow::Never
    } else {
        Follow::ToDirectory
    });
    (c.blocks, c.sizes) = units(block, kibibytes);
    if long {
        let text = time_style.or_else(|| std::env::var("TIME_STYLE").ok()).unwrap_or("locale".to_owned());
        c.time_format = time_format(cx, &text)?;
    }
    Ok((c, parsed.operands))
}

fn when(cx: &Cx, option: &str, opt: &Opt, terminal: bool) -> Result<bool, End> {
    let groups: &[&[&str]] =
        &[&["always", "yes", "force"], &["never", "no", "none"], &["auto", "tty", "if-tty"]];
    Ok(match &opt.value {
        None => true,
        Some(word) => match cx.keyword(option, word, groups)? {
            0 => true,
            1 => false,
            _ => terminal,
        },
    })
}

/// A number of columns, octal or hexadecimal too; too many are without end.
fn columns(word: &OsStr) -> Option<usize> {
    let text = word.to_str()?;
    let (digits, base) = match text.strip_prefix("0x") {
        Some(rest) => (rest, 16),
        None if text.starts_with('0') && text.len() > 1 => (text, 8),
        None => (text, 10),
    };
    let digits_only = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    digits_only.then(|| usize::from_str_radix(digits, base).unwrap_or(0))
}

fn bad(what: &str, opt: &Opt) -> End {
    End::Failure(2, format!("invalid {what}: {}", quote(opt.arg())))
}

fn line_width(cx: &mut Cx, terminal: bool) -> usize {
    if let Some(columns) = environment_columns(cx, "COLUMNS", "width") {
        return columns;
    }
    let size = if terminal { tty::tcgetwinsize(1).ok() } else { None };
    size.map(|size| usize::from(size.cols)).filter(|columns| *columns > 0).unwrap_or(80)
}

fn environment_columns(cx: &mut Cx, name: &str, what: &str) -> Option<usize> {
    let value = std::env::var_os(name).filter(|v| !v.is_empty())?;
    let found = columns(&value);
    if found.is_none() {
        let value = quote(&value);
        cx.say(format_args!("ignoring invalid {what} in environment variable {name}: {value}"));
    }
    found
}

fn default_style(cx: &mut Cx, terminal: bool) -> Style {
    if let Some(word) = std::env::var_os("QUOTING_STYLE") {
        if let Some((_, style)) = STYLES.iter().find(|(name, _)| word == *name) {
            return *style;
        }
        let word = quote(&word);
        cx.say(format_args!("ignoring invalid value of environment variable QUOTING_STYLE: {word}"));
    }
    match cx.name {
        "ls" if terminal => Style::ShellEscape,
        "ls" => Style::Literal,
        _ => Style::Escape,
    }
}

/// The units of blocks and of sizes.
fn units(given: Option<Block>, kibibytes: bool) -> (Block, Block) {
    if let Some(block) = given {
        return (block.clone(), block);
    }
    let value = |name: &str| std::env::var(name).ok();
    let named = value("LS_BLOCK_SIZE").or_else(|| value("BLOCK_SIZE"));
    let is_named = named.is_some();
    let fallback = || if value("POSIXLY_CORRECT").is_some() { 512 } else { 1024 };
    let block = named
        .or_else(|| value("BLOCKSIZE"))
        .and_then(|text| Block::parse(&text).ok())
        .unwrap_or_else(|| Block::plain(fallback()));
    let sizes = if is_named { block.clone() } else { Block::plain(1) };
    (if kibibytes { Block::plain(1024) } else { block }, sizes)
}

fn time_format(cx: &Cx, text: &str) -> Result<(String, String), End> {
    let both = |format: &str| Ok((format.to_owned(), format.to_owned()));
    if let Some(formats) = text.strip_prefix('+') {
        return match formats.split_once('\n') {
            None => both(formats),
            Some((_, more)) if more.contains('\n') => {
                Err(End::Failure(2, format!("invalid time style format {}", quote(OsStr::new(formats)))))
            }
            Some((old, recent)) => Ok((recent.to_owned(), old.to_owned())),
        };
    }
    let style = match text.strip_prefix("posix-") {
        Some(style) if is_utf8() => style,
        Some(_) => "locale",
        None => text,
    };
    let styles = ["full-iso", "long-iso", "iso", "locale"];
    let mut hits = styles.iter().filter(|s| !style.is_empty() && s.starts_with(style));
    match (styles.iter().find(|s| **s == style).or(hits.next()), hits.next()) {
        (Some(&"full-iso"), None) => both("%Y-%m-%d %H:%M:%S.%N %z"),
        (Some(&"long-iso"), None) => both("%Y-%m-%d %H:%M"),
        (Some(&"iso"), None) => Ok(("%m-%d %H:%M".to_owned(), "%Y-%m-%d ".to_owned())),
        (Some(_), None) => Ok(("%b %e %H:%M".to_owned(), "%b %e  %Y".to_owned())),
        (found, _) => Err(cx.usage(format!(
            "{} argument {} for {}
Valid arguments are:
  - [posix-]full-iso
  - [posix-]long-iso
  - [posix-]iso
  - [posix-]locale
  - +FORMAT (e.g., +%H:%M) for a 'date'-style format",
            if found.is_some() { "ambiguous" } else { "invalid" },
            quote(OsStr::new(style)),
            quote(OsStr::new("time style"))
        ))),
    }
}
