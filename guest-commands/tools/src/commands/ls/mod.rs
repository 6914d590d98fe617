//! `ls`, `dir` and `vdir`: list files with real modes, owners and link counts. Here is the walk: which files are listed,
//! what of them is looked at, and in what order they come.

mod color;
mod config;
mod name;
mod order;
mod show;

use crate::context::{Cx, End, Outcome};
use crate::names::Names;
use crate::os::{OsStrExt, join};
use crate::quote::{quoteaf, quotef};
use crate::time;
use crate::walk::{self, Listed};
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::strerror;
use config::{Config, Follow, Hidden, Layout, Sort};
use std::ffi::{OsStr, OsString};

struct Entry {
    name: OsString,
    path: OsString,
    /// `None`: it cannot be looked at, or nothing of it but its kind is asked for.
    stat: Option<Stat>,
    kind: Option<FileType>,
    /// What a symbolic link holds, where that is asked for, and the mode of what it leads to.
    target: Option<OsString>,
    leads_to: Option<u32>,
    shown: Vec<u8>,
    /// The name has quotes that not every name has.
    quoted: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let (c, operands) = config::read(cx, args)?;
    let mut lister = Lister {
        c,
        names: Names::default(),
        now: time::now(),
        any: false,
        above: Vec::new(),
        some_quoted: false,
        colored: false,
        at: 0,
        dired: Vec::new(),
        subdired: Vec::new(),
    };
    lister.run(cx, operands)?;
    lister.offsets(cx)?;
    Ok(0)
}

struct Lister {
    c: Config,
    names: Names,
    now: i64,
    /// Something has been printed: a blank line comes before the next directory.
    any: bool,
    above: Vec<(u64, u64)>,
    /// A name of this listing has quotes.
    some_quoted: bool,
    /// A colour has been written.
    colored: bool,
    /// Bytes written so far, and where names and headings begin and end, for `--dired`.
    at: usize,
    dired: Vec<usize>,
    subdired: Vec<usize>,
}

impl Lister {
    fn run(&mut self, cx: &mut Cx, operands: Vec<OsString>) -> Result<(), End> {
        let operands = if operands.is_empty() { vec![OsString::from(".")] } else { operands };
        let many = operands.len() > 1;
        let (mut files, mut dirs) = (Vec::new(), Vec::new());
        for operand in operands {
            match self.operand(&operand) {
                Ok(stat) => {
                    let kind = Some(file_type(stat.mode));
                    let entry = self.entry(operand.clone(), operand, Some(stat), kind);
                    if kind == Some(FileType::Dir) && !self.c.directory {
                        dirs.push(entry);
                    } else {
                        files.push(entry);
                    }
                }
                Err(error) => {
                    cx.status = 2;
                    cx.say(format_args!("cannot access {}: {}", quoteaf(&operand), strerror(&error)));
                }
            }
        }
        self.sort(&mut files);
        self.sort(&mut dirs);
        if !files.is_empty() {
            // GNU makes the columns wide enough for all operands.
            self.print(cx, &files, &dirs)?;
            self.any = true;
        }
        let headed = self.c.recursive || many;
        for dir in &dirs {
            self.above.push(dir.stat.map_or((0, 0), |s| (s.dev, s.ino)));
            self.directory(cx, &dir.path, headed, true)?;
            self.above.pop();
        }
        Ok(())
    }

    fn operand(&self, path: &OsStr) -> std::io::Result<Stat> {
        match self.c.follow {
            Follow::Never => fs::lstat(path),
            Follow::Always | Follow::Operands => fs::stat(path),
            Follow::ToDirectory => match fs::lstat(path) {
                Ok(link) if file_type(link.mode) == FileType::Symlink => {
                    Ok(fs::stat(path).ok().filter(|s| file_type(s.mode) == FileType::Dir).unwrap_or(link))
                }
                found => found,
            },
        }
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
            self.heading(cx, dir)?;
        }
        self.any = true;
        let mut entries = Vec::new();
        let dots = if self.c.hidden == Hidden::Nothing { &[".", ".."][..] } else { &[] };
        let dots = dots.iter().map(|dot| Listed { name: OsString::from(dot), kind: Some(FileType::Dir) });
        let looks = self.looks();
        for Listed { name, kind } in dots.chain(listed) {
            if !self.wanted(name.as_bytes()) {
                continue;
            }
            let path = if dir == "." { name.clone() } else { join(dir, &name) };
            if kind.is_some() && !looks {
                entries.push(self.entry(name, path, None, kind));
                continue;
            }
            let found = if self.c.follow == Follow::Always { fs::stat(&path) } else { fs::lstat(&path) };
            let stat = match found {
                Ok(stat) => Some(stat),
                Err(error) => {
                    cx.status = cx.status.max(1);
                    cx.say(format_args!("cannot access {}: {}", quoteaf(&path), strerror(&error)));
                    None
                }
            };
            let kind = stat.map_or(kind, |s| Some(file_type(s.mode)));
            entries.push(self.entry(name, path, stat, kind));
        }
        self.sort(&mut entries);
        if self.c.layout == Layout::Long || self.c.show_blocks {
            let blocks: u64 = entries.iter().filter_map(|e| e.stat).map(|s| s.blocks).sum();
            let indent = if self.c.dired { "  " } else { "" };
            let total = format!("{indent}total {}", self.c.blocks.show(blocks.saturating_mul(512)));
            self.put(cx, total.as_bytes())?;
            self.put(cx, &[self.c.end])?;
        }
        self.print(cx, &entries, &[])?;
        if self.c.recursive {
            for entry in entries {
                if entry.kind != Some(FileType::Dir) || entry.name == "." || entry.name == ".." {
                    continue;
                }
                let path = join(dir, &entry.name);
                // Only a followed link leads back up, and then everything is looked at.
                let id = entry.stat.map_or((0, 0), |s| (s.dev, s.ino));
                if self.c.follow == Follow::Always && self.above.contains(&id) {
                    cx.status = 2;
                    cx.say(format_args!("{}: not listing already-listed directory", quotef(&path)));
                    continue;
                }
                self.above.push(id);
                self.directory(cx, &path, true, false)?;
                self.above.pop();
            }
        }
        Ok(())
    }

    fn wanted(&self, name: &[u8]) -> bool {
        let hit = |globs: &[Vec<u8>]| {
            globs.iter().any(|g| {
                crate::glob::matches(g, name, false) && (!name.starts_with(b".") || g.starts_with(b"."))
            })
        };
        let default = self.c.hidden == Hidden::Dotted;
        !(default && (name.starts_with(b".") || hit(&self.c.hide)) || hit(&self.c.ignore))
    }

    fn entry(&mut self, name: OsString, path: OsString, stat: Option<Stat>, kind: Option<FileType>) -> Entry {
        let c = &self.c;
        let shown = name::quoted(&name, c.style, c.hide_control, name::also(c.style));
        let quoted = c.align && shown != name.as_bytes();
        let (mut target, mut leads_to) = (None, None);
        let long = c.layout == Layout::Long;
        let follows = c.dirs_first || c.colors.as_ref().is_some_and(|colors| colors.follows(long));
        if kind == Some(FileType::Symlink) && (long || follows) {
            target = std::fs::read_link(&path).ok().map(|p| p.into_os_string());
            if follows || c.marks.len() > 1 {
                leads_to = fs::stat(&path).ok().map(|s| s.mode);
            }
        }
        Entry { name, path, stat, kind, target, leads_to, shown, quoted }
    }

    /// Whether more is asked for than names and kinds, so that every file must be looked at.
    fn looks(&self) -> bool {
        let c = &self.c;
        c.layout == Layout::Long
            || (c.follow == Follow::Always
                && (c.recursive || c.dirs_first || c.colors.is_some() || !c.marks.is_empty()))
            || c.show_blocks
            || c.inode
            || matches!(c.sort, Sort::Time | Sort::Size)
            || c.colors.as_ref().is_some_and(color::Colors::looks)
            // The mark of a file that can be executed.
            || c.marks.contains('*')
    }
}
