//! `ls`, `dir` and `vdir`: lists files with real modes, owners and link counts. There are no colours.

use crate::context::{Cx, End, Outcome};
use crate::mode::letters;
use crate::names::Names;
use crate::options::Order;
use crate::os::{OsStrExt, join};
use crate::quote::{quote, quoteaf, quotef};
use crate::size::human;
use crate::time;
use crate::walk::{self, Listed};
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::{fd, strerror};
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use unicode_width::UnicodeWidthStr;

const SPEC: &[&str] = &[
    "a,all",
    "A,almost-all",
    "b,escape",
    "B,ignore-backups",
    "c",
    "C",
    "color=?",
    "d,directory",
    "f",
    "F,classify=?",
    "file-type",
    "format=",
    "full-time",
    "g",
    "group-directories-first",
    "G,no-group",
    "h,human-readable",
    "si",
    "H,dereference-command-line",
    "hide=",
    "i,inode",
    "I,ignore=",
    "k,kibibytes",
    "l",
    "L,dereference",
    "m",
    "n,numeric-uid-gid",
    "N,literal",
    "o",
    "p",
    "q,hide-control-chars",
    "Q,quote-name",
    "r,reverse",
    "R,recursive",
    "s,size",
    "S",
    "sort=",
    "t",
    "time=",
    "time-style=",
    "u",
    "U",
    "v",
    "w,width=",
    "x",
    "X",
    "1",
    "zero",
    "show-control-chars",
];
const HELP: &str = "{} [OPTION]... [FILE]...
List information about the FILEs (the current directory by default).
  -a, --all  -A, --almost-all  -d, --directory  -R, --recursive  -L, --dereference  -H
  -l  -g  -o  -n, --numeric-uid-gid  -G, --no-group  -1  -C  -x  -m  --format=WORD  -w, --width=COLS
  -h, --human-readable  --si  -k  -s, --size  -i, --inode  --full-time  --time-style=STYLE
  -F, --classify[=WHEN]  -p  --file-type  -Q, --quote-name  -N, --literal  -q  -b, --escape  --zero
  -t  -S  -X  -v  -U  -f  -r, --reverse  -c  -u  --sort=WORD  --time=WORD  --group-directories-first
  -B, --ignore-backups  -I, --ignore=PATTERN  --hide=PATTERN  --color[=WHEN] (no colours)";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Long,
    One,
    Down,
    Across,
    Commas,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Name,
    Time,
    Size,
    Extension,
    Version,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Modified,
    Changed,
    Accessed,
    Born,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    Literal,
    Shell,
    C,
    Escape,
}

struct Config {
    all: bool,
    almost_all: bool,
    layout: Layout,
    sort: Sort,
    reverse: bool,
    dirs_first: bool,
    time: Which,
    /// Formats of recent and of older times.
    time_format: Option<(String, String)>,
    directory: bool,
    recursive: bool,
    follow: bool,
    follow_operands: bool,
    classify: Option<&'static str>,
    human: Option<u64>,
    inode: bool,
    blocks: bool,
    owner: bool,
    group: bool,
    numeric: bool,
    quoting: Quoting,
    hide_control: bool,
    backups: bool,
    ignore: Vec<Vec<u8>>,
    hide: Vec<Vec<u8>>,
    width: usize,
    end: u8,
}

struct Entry {
    name: OsString,
    path: OsString,
    /// `None`: it cannot be looked at, or nothing of it but its kind is asked for.
    stat: Option<Stat>,
    kind: Option<FileType>,
    shown: String,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let terminal = fd::isatty(1);
    let mut c = Config {
        all: false,
        almost_all: false,
        layout: match cx.name {
            "dir" => Layout::Down,
            "vdir" => Layout::Long,
            _ if terminal => Layout::Down,
            _ => Layout::One,
        },
        sort: Sort::Name,
        reverse: false,
        dirs_first: false,
        time: Which::Modified,
        time_format: None,
        directory: false,
        recursive: false,
        follow: false,
        follow_operands: false,
        classify: None,
        human: None,
        inode: false,
        blocks: false,
        owner: true,
        group: true,
        numeric: false,
        quoting: match cx.name {
            "ls" if terminal => Quoting::Shell,
            "ls" => Quoting::Literal,
            _ => Quoting::Escape,
        },
        hide_control: false,
        backups: false,
        ignore: Vec::new(),
        hide: Vec::new(),
        width: std::env::var("COLUMNS").ok().and_then(|w| w.parse().ok()).filter(|w| *w > 0).unwrap_or(80),
        end: b'\n',
    };
    let mut sorted = false;
    for opt in &parsed.opts {
        let text = opt.text();
        match opt.id {
            "all" => c.all = true,
            "almost-all" => c.almost_all = true,
            "ignore-backups" => c.backups = true,
            "escape" => c.quoting = Quoting::Escape,
            "c" => c.time = Which::Changed,
            "u" => c.time = Which::Accessed,
            "C" => c.layout = Layout::Down,
            "x" => c.layout = Layout::Across,
            "m" => c.layout = Layout::Commas,
            "1" if c.layout != Layout::Long => {
                c.layout = Layout::One;
            }
            "l" => c.layout = Layout::Long,
            "g" => (c.layout, c.owner) = (Layout::Long, false),
            "o" => (c.layout, c.group) = (Layout::Long, false),
            "no-group" => c.group = false,
            "numeric-uid-gid" => (c.layout, c.numeric) = (Layout::Long, true),
            "full-time" => (c.layout, c.time_format) = (Layout::Long, same("%F %T.%N %z")),
            "directory" => c.directory = true,
            "recursive" => c.recursive = true,
            "dereference" => c.follow = true,
            "dereference-command-line" => c.follow_operands = true,
            "f" => (c.all, c.sort, sorted) = (true, Sort::None, true),
            "classify" => match text.as_str() {
                "" | "always" | "yes" | "force" => c.classify = Some("/@|*="),
                "never" | "no" | "none" => c.classify = None,
                "auto" | "tty" | "if-tty" => c.classify = terminal.then_some("/@|*="),
                _ => return Err(bad(&text, "--classify")),
            },
            "file-type" => c.classify = Some("/@|="),
            "p" => c.classify = Some("/"),
            "group-directories-first" => c.dirs_first = true,
            "human-readable" => c.human = Some(1024),
            "si" => c.human = Some(1000),
            "inode" => c.inode = true,
            "size" => c.blocks = true,
            "ignore" => c.ignore.push(opt.arg().as_bytes().to_vec()),
            "hide" => c.hide.push(opt.arg().as_bytes().to_vec()),
            "literal" => c.quoting = Quoting::Literal,
            "show-control-chars" => c.hide_control = false,
            "hide-control-chars" => c.hide_control = true,
            "quote-name" => c.quoting = Quoting::C,
            "reverse" => c.reverse = true,
            "S" => (c.sort, sorted) = (Sort::Size, true),
            "t" => (c.sort, sorted) = (Sort::Time, true),
            "X" => (c.sort, sorted) = (Sort::Extension, true),
            "v" => (c.sort, sorted) = (Sort::Version, true),
            "U" => (c.sort, sorted) = (Sort::None, true),
            "sort" => {
                sorted = true;
                c.sort = match text.as_str() {
                    "none" => Sort::None,
                    "time" => Sort::Time,
                    "size" => Sort::Size,
                    "extension" => Sort::Extension,
                    "version" => Sort::Version,
                    "name" => Sort::Name,
                    _ => return Err(bad(&text, "--sort")),
                };
            }
            "time" => {
                c.time = match text.as_str() {
                    "atime" | "access" | "use" => Which::Accessed,
                    "ctime" | "status" => Which::Changed,
                    "mtime" | "modification" => Which::Modified,
                    "birth" | "creation" => Which::Born,
                    _ => return Err(bad(&text, "--time")),
                }
            }
            "time-style" => {
                c.time_format = match text.as_str() {
                    "full-iso" => same("%F %T.%N %z"),
                    "long-iso" => same("%F %H:%M"),
                    "iso" => Some(("%m-%d %H:%M".to_owned(), "%F ".to_owned())),
                    "locale" => None,
                    _ => match text.strip_prefix('+') {
                        Some(format) => same(format),
                        None => return Err(bad(&text, "--time-style")),
                    },
                }
            }
            "format" => {
                c.layout = match text.as_str() {
                    "long" | "verbose" => Layout::Long,
                    "single-column" => Layout::One,
                    "vertical" => Layout::Down,
                    "across" | "horizontal" => Layout::Across,
                    "commas" => Layout::Commas,
                    _ => return Err(bad(&text, "--format")),
                }
            }
            "width" => match text.parse() {
                Ok(width) => c.width = if width == 0 { usize::MAX } else { width },
                Err(_) => return Err(End::Failure(2, format!("invalid line width: {}", quote(opt.arg())))),
            },
            "zero" => {
                c.end = 0;
                c.quoting = Quoting::Literal;
                if c.layout != Layout::Long {
                    c.layout = Layout::One;
                }
            }
            "color" => match text.as_str() {
                "" | "never" | "no" | "none" | "auto" | "tty" | "if-tty" => {}
                "always" | "yes" | "force" if opt.value.is_some() => {
                    return Err(End::Failure(2, "--color=always is not supported".to_owned()));
                }
                _ => return Err(bad(&text, "--color")),
            },
            // -k is how blocks are counted here anyway, and -1 changes nothing of -l.
            _ => {}
        }
    }
    // -c and -u alone also sort by that time, unless the times are shown.
    if !sorted && c.time != Which::Modified && c.layout != Layout::Long {
        c.sort = Sort::Time;
    }
    Lister { c, names: Names::default(), now: time::now(), any: false, above: Vec::new() }
        .run(cx, &parsed.operands)
}

fn same(format: &str) -> Option<(String, String)> {
    Some((format.to_owned(), format.to_owned()))
}

fn bad(text: &str, option: &str) -> End {
    End::Usage(1, format!("invalid argument {} for {}", quote(OsStr::new(text)), quote(OsStr::new(option))))
}

struct Lister {
    c: Config,
    names: Names,
    now: i64,
    /// Something has been printed: a blank line comes before the next directory.
    any: bool,
    above: Vec<(u64, u64)>,
}

impl Lister {
    fn run(&mut self, cx: &mut Cx, operands: &[OsString]) -> Outcome {
        let here = [OsString::from(".")];
        let operands = if operands.is_empty() { &here[..] } else { operands };
        let (mut files, mut dirs) = (Vec::new(), Vec::new());
        for operand in operands {
            // Without -l, -d and -F a link on the command line stands for what it leads to.
            let through = self.c.follow
                || self.c.follow_operands
                || !(self.c.layout == Layout::Long || self.c.directory || self.c.classify.is_some());
            let mut found = if through { fs::stat(operand) } else { fs::lstat(operand) };
            if found.is_err() && !self.c.follow {
                found = fs::lstat(operand);
            }
            match found {
                Ok(stat) => {
                    let kind = Some(file_type(stat.mode));
                    let entry = self.entry(operand.clone(), operand.clone(), Some(stat), kind);
                    if file_type(stat.mode) == FileType::Dir && !self.c.directory {
                        dirs.push(entry)
                    } else {
                        files.push(entry)
                    }
                }
                Err(error) => {
                    cx.status = 2;
                    cx.say(format_args!("cannot access {}: {}", quoteaf(operand), strerror(&error)));
                }
            }
        }
        self.sort(&mut files);
        self.sort(&mut dirs);
        if !files.is_empty() {
            self.print(cx, &files)?;
            self.any = true;
        }
        let headed = self.c.recursive || operands.len() > 1;
        for dir in &dirs {
            self.directory(cx, &dir.path, headed, true)?;
        }
        Ok(0)
    }

    fn directory(&mut self, cx: &mut Cx, dir: &OsStr, headed: bool, named: bool) -> Result<(), End> {
        let read = if self.above.len() < walk::MAX_DEPTH { walk::listed(dir) } else { Err(walk::too_deep()) };
        let listed = match read {
            Ok(listed) => listed,
            Err(error) => {
                cx.status = cx.status.max(if named { 2 } else { 1 });
                cx.say(format_args!("cannot open directory {}: {}", quoteaf(dir), strerror(&error)));
                return Ok(());
            }
        };
        if headed {
            if self.any {
                cx.put(b"\n")?;
            }
            let shown = self.quote(dir);
            cx.print(format_args!("{shown}:\n"))?;
        }
        self.any = true;
        let mut entries = Vec::new();
        let dots = if self.c.all { &[".", ".."][..] } else { &[] };
        let dots = dots.iter().map(|dot| Listed { name: OsString::from(dot), kind: Some(FileType::Dir) });
        let looks = self.looks();
        for Listed { name, kind } in dots.chain(listed) {
            if !self.wanted(name.as_bytes()) {
                continue;
            }
            let path = join(dir, &name);
            if kind.is_some() && !looks {
                entries.push(self.entry(name, path, None, kind));
                continue;
            }
            let found =
                if self.c.follow { fs::stat(&path).or_else(|_| fs::lstat(&path)) } else { fs::lstat(&path) };
            let stat = match found {
                Ok(stat) => Some(stat),
                Err(error) => {
                    cx.status = cx.status.max(1);
                    cx.say(format_args!("cannot access {}: {}", quoteaf(&path), strerror(&error)));
                    None
                }
            };
            let kind = stat.map(|s| file_type(s.mode));
            entries.push(self.entry(name, path, stat, kind));
        }
        self.sort(&mut entries);
        if self.c.layout == Layout::Long || self.c.blocks {
            let blocks: u64 = entries.iter().filter_map(|e| e.stat).map(|s| s.blocks).sum();
            let total = self.blocks(blocks);
            cx.print(format_args!("total {total}"))?;
            cx.put(&[self.c.end])?;
        }
        self.print(cx, &entries)?;
        if self.c.recursive {
            for entry in entries {
                if entry.kind != Some(FileType::Dir) || entry.name == "." || entry.name == ".." {
                    continue;
                }
                // Only a followed link leads back up, and then everything is looked at.
                let id = entry.stat.map_or((0, 0), |s| (s.dev, s.ino));
                if self.c.follow && self.above.contains(&id) {
                    cx.status = 2;
                    cx.say(format_args!("{}: not listing already-listed directory", quotef(&entry.path)));
                    continue;
                }
                self.above.push(id);
                self.directory(cx, &entry.path, true, false)?;
                self.above.pop();
            }
        }
        Ok(())
    }

    fn wanted(&self, name: &[u8]) -> bool {
        let c = &self.c;
        let hit = |globs: &[Vec<u8>]| {
            globs.iter().any(|g| {
                crate::glob::matches(g, name, false) && (!name.starts_with(b".") || g.starts_with(b"."))
            })
        };
        let hidden = name.starts_with(b".") && !c.all && !c.almost_all;
        !(hidden
            || (c.backups && name.ends_with(b"~"))
            || hit(&c.ignore)
            || (!c.all && !c.almost_all && hit(&c.hide)))
    }

    fn entry(&self, name: OsString, path: OsString, stat: Option<Stat>, kind: Option<FileType>) -> Entry {
        let shown = self.quote(&name);
        Entry { name, path, stat, kind, shown }
    }

    /// Whether more is asked for than names and kinds, so that every file must be looked at.
    fn looks(&self) -> bool {
        let c = &self.c;
        c.layout == Layout::Long
            || c.follow
            || c.blocks
            || c.inode
            || matches!(c.sort, Sort::Time | Sort::Size)
            // The mark of a file that can be executed.
            || c.classify.is_some_and(|set| set.contains('*'))
    }

    fn quote(&self, name: &OsStr) -> String {
        match self.c.quoting {
            Quoting::Shell => quotef(name),
            Quoting::C => format!("\"{}\"", c_escape(name, true)),
            Quoting::Escape => c_escape(name, false),
            Quoting::Literal if self.c.hide_control => name
                .to_string_lossy()
                .chars()
                .map(|c| if c.is_control() || c == '\u{fffd}' { '?' } else { c })
                .collect(),
            Quoting::Literal => name.to_string_lossy().into_owned(),
        }
    }

    fn stamp(&self, stat: &Stat) -> (i64, u32) {
        match self.c.time {
            Which::Modified => (stat.mtime, stat.mtime_nsec),
            Which::Changed => (stat.ctime, stat.ctime_nsec),
            Which::Accessed => (stat.atime, stat.atime_nsec),
            Which::Born => (stat.btime, stat.btime_nsec),
        }
    }

    fn sort(&self, entries: &mut [Entry]) {
        if self.c.sort == Sort::None {
            if self.c.reverse {
                entries.reverse();
            }
            return;
        }
        let size = |e: &Entry| e.stat.map_or(0, |s| s.size);
        let when = |e: &Entry| e.stat.map_or((0, 0), |s| self.stamp(&s));
        entries.sort_by(|a, b| {
            let by_name = a.name.as_bytes().cmp(b.name.as_bytes());
            let order = match self.c.sort {
                Sort::Name | Sort::None => Ordering::Equal,
                Sort::Time => when(b).cmp(&when(a)),
                Sort::Size => size(b).cmp(&size(a)),
                Sort::Extension => extension(&a.name).cmp(extension(&b.name)),
                Sort::Version => version(a.name.as_bytes(), b.name.as_bytes()),
            };
            let order = order.then(by_name);
            if self.c.reverse { order.reverse() } else { order }
        });
        if self.c.dirs_first {
            entries.sort_by_key(|e| e.kind != Some(FileType::Dir));
        }
    }

    fn blocks(&self, blocks: u64) -> String {
        match self.c.human {
            Some(base) => human(blocks * 512, base),
            None => blocks.div_ceil(2).to_string(),
        }
    }

    fn size(&self, stat: &Stat) -> String {
        match self.c.human {
            Some(base) => human(stat.size, base),
            None => stat.size.to_string(),
        }
    }

    fn mark(&self, kind: Option<FileType>, mode: Option<u32>) -> &'static str {
        let (Some(set), Some(kind)) = (self.c.classify, kind) else { return "" };
        let mark = match kind {
            FileType::Dir => "/",
            FileType::Symlink => "@",
            FileType::Fifo => "|",
            FileType::Socket => "=",
            FileType::File if mode.is_some_and(|mode| mode & 0o111 != 0) => "*",
            _ => return "",
        };
        if set.contains(mark) { mark } else { "" }
    }

    fn print(&mut self, cx: &mut Cx, entries: &[Entry]) -> Result<(), End> {
        if self.c.layout == Layout::Long {
            return self.print_long(cx, entries);
        }
        let inode_width =
            entries.iter().filter_map(|e| e.stat).map(|s| s.ino.to_string().len()).max().unwrap_or(0);
        let block_width =
            entries.iter().filter_map(|e| e.stat).map(|s| self.blocks(s.blocks).len()).max().unwrap_or(0);
        let aligned = self.c.layout != Layout::Commas;
        let cells: Vec<String> = entries
            .iter()
            .map(|e| {
                let mut cell = String::new();
                if self.c.inode {
                    let ino = e.stat.map_or("?".to_owned(), |s| s.ino.to_string());
                    cell += &format!("{ino:>0$} ", if aligned { inode_width } else { 0 });
                }
                if self.c.blocks {
                    let blocks = e.stat.map_or("?".to_owned(), |s| self.blocks(s.blocks));
                    cell += &format!("{blocks:>0$} ", if aligned { block_width } else { 0 });
                }
                cell += &e.shown;
                cell += self.mark(e.kind, e.stat.map(|s| s.mode));
                cell
            })
            .collect();
        match self.c.layout {
            Layout::Commas => print_commas(cx, &cells, self.c.width),
            Layout::Down => print_columns(cx, &cells, self.c.width, true),
            Layout::Across => print_columns(cx, &cells, self.c.width, false),
            _ => {
                for (cell, entry) in cells.iter().zip(entries) {
                    self.put_cell(cx, cell, entry)?;
                    cx.put(&[self.c.end])?;
                }
                Ok(())
            }
        }
    }

    /// A name with bytes that are no UTF-8 is written as it is.
    fn put_cell(&self, cx: &mut Cx, cell: &str, entry: &Entry) -> Result<(), End> {
        if self.c.quoting == Quoting::Literal && !self.c.hide_control && entry.name.to_str().is_none() {
            let at = cell.len() - entry.shown.len() - self.mark(entry.kind, entry.stat.map(|s| s.mode)).len();
            cx.put(&cell.as_bytes()[..at])?;
            cx.put(entry.name.as_bytes())?;
            return cx.put(&cell.as_bytes()[at + entry.shown.len()..]);
        }
        cx.put(cell.as_bytes())
    }

    fn print_long(&mut self, cx: &mut Cx, entries: &[Entry]) -> Result<(), End> {
        let mut rows = Vec::new();
        for entry in entries {
            let Some(s) = entry.stat else {
                rows.push(None);
                continue;
            };
            let device = matches!(file_type(s.mode), FileType::CharDevice | FileType::BlockDevice);
            let (sec, nsec) = self.stamp(&s);
            let recent = sec <= self.now && sec > self.now - 15_778_476;
            let format = match &self.c.time_format {
                Some((format, _)) if recent => format.as_str(),
                Some((_, format)) => format.as_str(),
                None if recent => "%b %e %H:%M",
                None => "%b %e  %Y",
            };
            let (user, group) = if self.c.numeric {
                (s.uid.to_string(), s.gid.to_string())
            } else {
                (self.names.user_or_id(s.uid), self.names.group_or_id(s.gid))
            };
            let size = if device {
                let (major, minor) = super::stat::device_numbers(s.rdev);
                format!("{major}, {minor}")
            } else {
                self.size(&s)
            };
            rows.push(Some([
                s.ino.to_string(),
                self.blocks(s.blocks),
                letters(s.mode),
                s.nlink.to_string(),
                user,
                group,
                size,
                time::format(sec, nsec, format),
            ]));
        }
        let mut widths = [0; 8];
        for row in rows.iter().flatten() {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        for (row, entry) in rows.iter().zip(entries) {
            let mut line = String::new();
            match row {
                None => line += "?????????? ? ? ? ?            ? ",
                Some(row) => {
                    for (i, cell) in row.iter().enumerate() {
                        let shown = match i {
                            0 => self.c.inode,
                            1 => self.c.blocks,
                            4 => self.c.owner,
                            5 => self.c.group,
                            _ => true,
                        };
                        if !shown {
                            continue;
                        }
                        let fill = " ".repeat(widths[i] - cell.width());
                        let left = matches!(i, 2 | 4 | 5) && !(self.c.numeric && i != 2);
                        if left {
                            line += &format!("{cell}{fill} ")
                        } else {
                            line += &format!("{fill}{cell} ")
                        }
                    }
                }
            }
            cx.put(line.as_bytes())?;
            self.put_cell(
                cx,
                &entry.shown,
                &Entry {
                    name: entry.name.clone(),
                    path: OsString::new(),
                    stat: None,
                    kind: None,
                    shown: entry.shown.clone(),
                },
            )?;
            let link = entry.stat.filter(|s| file_type(s.mode) == FileType::Symlink);
            match (link, std::fs::read_link(&entry.path)) {
                (Some(_), Ok(target)) => {
                    let mark = fs::stat(&entry.path)
                        .map_or("", |s| self.mark(Some(file_type(s.mode)), Some(s.mode)));
                    let target = self.quote(target.as_os_str());
                    cx.print(format_args!(" -> {target}{mark}"))?;
                }
                _ => cx.put(self.mark(entry.kind, entry.stat.map(|s| s.mode)).as_bytes())?,
            }
            cx.put(&[self.c.end])?;
        }
        Ok(())
    }
}

fn c_escape(name: &OsStr, quotes: bool) -> String {
    let mut out = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out += "\\n",
                '\t' => out += "\\t",
                '\r' => out += "\\r",
                '\\' => out += "\\\\",
                '"' if quotes => out += "\\\"",
                ' ' if !quotes => out += "\\ ",
                c if c.is_control() => out += &format!("\\{:03o}", c as u32),
                c => out.push(c),
            }
        }
        for b in chunk.invalid() {
            out += &format!("\\{b:03o}");
        }
    }
    out
}

fn extension(name: &OsStr) -> &[u8] {
    let bytes = name.as_bytes();
    bytes.iter().rposition(|b| *b == b'.').map_or(&[], |at| &bytes[at..])
}

/// Natural order: runs of digits by their number.
fn version(a: &[u8], b: &[u8]) -> Ordering {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].is_ascii_digit() && b[j].is_ascii_digit() {
            let run = |s: &[u8]| s.iter().take_while(|b| b.is_ascii_digit()).count();
            let (x, y) = (&a[i..i + run(&a[i..])], &b[j..j + run(&b[j..])]);
            (i, j) = (i + x.len(), j + y.len());
            let strip =
                |s: &[u8]| s.iter().position(|b| *b != b'0').map_or(Vec::new(), |at| s[at..].to_vec());
            let (x, y) = (strip(x), strip(y));
            let order = x.len().cmp(&y.len()).then_with(|| x.cmp(&y));
            if order != Ordering::Equal {
                return order;
            }
        } else if a[i] != b[j] {
            return a[i].cmp(&b[j]);
        } else {
            (i, j) = (i + 1, j + 1);
        }
    }
    (a.len() - i).cmp(&(b.len() - j))
}

fn print_commas(cx: &mut Cx, cells: &[String], width: usize) -> Result<(), End> {
    let mut column = 0;
    for (i, cell) in cells.iter().enumerate() {
        let more = cell.width() + if i + 1 < cells.len() { 2 } else { 0 };
        if i > 0 {
            if column + more > width {
                cx.put(b"\n")?;
                column = 0;
            } else {
                cx.put(b" ")?;
            }
        }
        cx.put(cell.as_bytes())?;
        if i + 1 < cells.len() {
            cx.put(b",")?;
        }
        column += more;
    }
    if cells.is_empty() { Ok(()) } else { cx.put(b"\n") }
}

fn print_columns(cx: &mut Cx, cells: &[String], width: usize, down: bool) -> Result<(), End> {
    if cells.is_empty() {
        return Ok(());
    }
    let widths: Vec<usize> = cells.iter().map(|c| c.width()).collect();
    // The most columns, each as wide as its widest cell and two blanks, that fit.
    let most = cells.len().min(width.div_ceil(3).max(1));
    let layout = |columns: usize| {
        let rows = cells.len().div_ceil(columns);
        let mut column_widths = vec![0; columns];
        for (i, w) in widths.iter().enumerate() {
            let column = if down { i / rows } else { i % columns };
            let last = column == columns - 1;
            column_widths[column] = column_widths[column].max(w + if last { 0 } else { 2 });
        }
        (rows, column_widths)
    };
    let columns = (1..=most).rev().find(|n| layout(*n).1.iter().sum::<usize>() < width).unwrap_or(1);
    let (rows, column_widths) = layout(columns);
    for row in 0..rows {
        let mut position = 0;
        let mut wanted = 0;
        for (column, column_width) in column_widths.iter().enumerate() {
            let i = if down { column * rows + row } else { row * columns + column };
            let Some(cell) = cells.get(i) else { break };
            indent(cx, position, wanted)?;
            cx.put(cell.as_bytes())?;
            position = wanted + widths[i];
            wanted += column_width;
        }
        cx.put(b"\n")?;
    }
    Ok(())
}

/// Moves from one column to another with tabs where they reach, as GNU does.
fn indent(cx: &mut Cx, mut from: usize, to: usize) -> Result<(), End> {
    while from < to {
        if to / 8 > (from + 1) / 8 {
            cx.put(b"\t")?;
            from += 8 - from % 8;
        } else {
            cx.put(b" ")?;
            from += 1;
        }
    }
    Ok(())
}
