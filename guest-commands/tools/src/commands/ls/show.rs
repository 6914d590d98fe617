//! What `ls` writes of a listing: lines, columns, colours, hyperlinks, and the offsets for `--dired`.

use super::config::Layout;
use super::name::{self, quoted, url, width};
use super::{Entry, Lister};
use crate::commands::canonical::{Exists, canonical};
use crate::context::{Cx, End};
use crate::mode::letters;
use crate::os::OsStrExt;
use crate::time;
use agentos_guest::fs::{FileType, Stat, file_type};
use agentos_guest::system;
use std::ffi::OsStr;

/// The columns of a long line before the time; owner, group and author may be names, which stand left.
const COLUMNS: usize = 9;

impl Lister {
    pub(super) fn put(&mut self, cx: &mut Cx, bytes: &[u8]) -> Result<(), End> {
        self.at += bytes.len();
        cx.put(bytes)
    }

    /// The name of a directory before its listing.
    pub(super) fn heading(&mut self, cx: &mut Cx, dir: &OsStr) -> Result<(), End> {
        if self.any {
            self.put(cx, b"\n")?;
        }
        if self.c.dired {
            self.put(cx, b"  ")?;
        }
        let shown = quoted(dir, self.c.style, self.c.hide_control, b":");
        if self.c.links {
            self.link(cx, dir)?;
        }
        let start = self.at;
        self.put(cx, &shown)?;
        if self.c.dired {
            self.subdired.extend([start, self.at]);
        }
        if self.c.links {
            self.put(cx, b"\x1b]8;;\x07")?;
        }
        self.put(cx, b":\n")
    }

    fn link(&mut self, cx: &mut Cx, path: &OsStr) -> Result<(), End> {
        let host = system::uname().map(|u| u.nodename).unwrap_or_default();
        let path = canonical(path, Exists::None, true).unwrap_or_else(|_| path.to_owned());
        self.put(cx, format!("\x1b]8;;file://{host}{}\x07", url(&path)).as_bytes())
    }

    /// Writes the entries; the columns of a long listing are wide enough for `others` too.
    pub(super) fn print(&mut self, cx: &mut Cx, entries: &[Entry], others: &[Entry]) -> Result<(), End> {
        self.some_quoted = entries.iter().chain(others).any(|e| e.quoted);
        match self.c.layout {
            Layout::Long => self.long(cx, entries, others),
            Layout::One => {
                let widths = self.frill_widths(entries);
                for entry in entries {
                    self.cell(cx, entry, widths, 0)?;
                    self.put(cx, &[self.c.end])?;
                }
                Ok(())
            }
            Layout::Commas => self.separated(cx, entries, b','),
            _ if self.c.width == 0 => self.separated(cx, entries, b' '),
            Layout::Down => self.columns(cx, entries, true),
            Layout::Across => self.columns(cx, entries, false),
        }
    }

    fn mark(&self, kind: Option<FileType>, mode: Option<u32>) -> &'static str {
        let Some(kind) = kind else { return "" };
        let mark = match kind {
            FileType::Dir => "/",
            FileType::Symlink => "@",
            FileType::Fifo => "|",
            FileType::Socket => "=",
            FileType::File if mode.is_some_and(|mode| mode & 0o111 != 0) => "*",
            _ => return "",
        };
        if self.c.marks.contains(mark) { mark } else { "" }
    }

    fn mark_of(&self, entry: &Entry) -> &'static str {
        self.mark(entry.kind, entry.stat.map(|s| s.mode))
    }

    /// Whether a blank stands before a name, where others have quotes.
    fn padded(&self, entry: &Entry) -> bool {
        self.c.align && self.some_quoted && !entry.quoted
    }

    /// Widths of the inode number, the blocks and the context.
    fn frill_widths(&self, entries: &[Entry]) -> (usize, usize) {
        let most = |f: &dyn Fn(&Stat) -> String| {
            entries.iter().map(|e| e.stat.as_ref().map_or(1, |s| f(s).len())).max().unwrap_or(0)
        };
        if self.c.layout == Layout::Commas {
            return (0, 0);
        }
        let inode = if self.c.inode { most(&|s| s.ino.to_string()) } else { 0 };
        let blocks = if self.c.show_blocks { most(&|s| self.blocks(s)) } else { 0 };
        (inode, blocks)
    }

    fn blocks(&self, stat: &Stat) -> String {
        self.c.blocks.show(stat.blocks.saturating_mul(512))
    }

    fn frills(&self, entry: &Entry, (inode, blocks): (usize, usize)) -> String {
        let mut frills = String::new();
        if self.c.inode {
            let shown = entry.stat.map_or("?".to_owned(), |s| s.ino.to_string());
            frills += &format!("{shown:>inode$} ");
        }
        if self.c.show_blocks {
            let shown = entry.stat.map_or("?".to_owned(), |s| self.blocks(&s));
            frills += &format!("{shown:>blocks$} ");
        }
        if self.c.context {
            frills += "? ";
        }
        frills
    }

    fn cell_width(&self, entry: &Entry, widths: (usize, usize)) -> usize {
        let blank = usize::from(self.padded(entry));
        self.frills(entry, widths).len() + blank + width(&entry.shown) + self.mark_of(entry).len()
    }

    fn cell(&mut self, cx: &mut Cx, entry: &Entry, widths: (usize, usize), at: usize) -> Result<(), End> {
        let frills = self.frills(entry, widths);
        self.put(cx, frills.as_bytes())?;
        self.name(cx, entry, at + frills.len())?;
        self.put(cx, self.mark_of(entry).as_bytes())
    }

    /// The name, with its colour and its link; `at` is the column where it begins.
    fn name(&mut self, cx: &mut Cx, entry: &Entry, at: usize) -> Result<(), End> {
        let leads = match (entry.kind, &self.c.colors) {
            _ if entry.stat.is_none() && self.looks() => None,
            (Some(FileType::Symlink), _) => Some(entry.leads_to.is_some()),
            _ => Some(true),
        };
        let mode = entry.stat.map(|s| s.mode);
        let color = self.c.colors.as_ref().and_then(|colors| {
            let mode = if colors.as_target { entry.leads_to.or(mode) } else { mode };
            let links = entry.stat.map_or(1, |s| u64::from(s.nlink));
            colors.of(entry.name.as_bytes(), entry.kind, mode, links, leads).map(<[u8]>::to_vec)
        });
        if self.padded(entry) {
            self.put(cx, b" ")?;
        }
        self.text(cx, entry, &entry.shown, color, at + usize::from(self.padded(entry)))
    }

    fn text(
        &mut self,
        cx: &mut Cx,
        entry: &Entry,
        shown: &[u8],
        color: Option<Vec<u8>>,
        at: usize,
    ) -> Result<(), End> {
        let paint = |lister: &Lister, seq: &[u8]| {
            let kind = |key: &[u8; 2]| lister.c.colors.as_ref().map_or(&b""[..], |c| c.kind(key));
            [kind(b"lc"), seq, kind(b"rc")].concat()
        };
        let reset = |lister: &Lister| {
            let colors = lister.c.colors.as_ref();
            match colors.map(|c| c.kind(b"ec")) {
                Some(end) if !end.is_empty() => end.to_vec(),
                _ => paint(lister, colors.map_or(&b""[..], |c| c.kind(b"rs"))),
            }
        };
        if let Some(seq) = &color {
            if !self.colored {
                self.colored = true;
                let bytes = reset(self);
                self.put(cx, &bytes)?;
            }
            let bytes = paint(self, seq);
            self.put(cx, &bytes)?;
        }
        // Quotes that stick out are not part of the link.
        let outside = self.c.links && self.c.align && self.some_quoted && entry.quoted && shown.len() > 1;
        let inner = if outside { &shown[1..shown.len() - 1] } else { shown };
        if outside {
            self.put(cx, &shown[..1])?;
        }
        if self.c.links {
            self.link(cx, &entry.path)?;
        }
        self.put(cx, inner)?;
        if self.c.links {
            self.put(cx, b"\x1b]8;;\x07")?;
        }
        if outside {
            self.put(cx, &shown[shown.len() - 1..])?;
        }
        if color.is_some() {
            let mut bytes = reset(self);
            // A name that goes on in the next line leaves its background there.
            let line = self.c.width;
            if line > 0 && at / line != (at + shown.len()).saturating_sub(1) / line {
                bytes.extend_from_slice(self.c.colors.as_ref().map_or(&b""[..], |c| c.kind(b"cl")));
            }
            self.put(cx, &bytes)?;
        }
        Ok(())
    }

    fn separated(&mut self, cx: &mut Cx, entries: &[Entry], separator: u8) -> Result<(), End> {
        let widths = self.frill_widths(entries);
        let mut column = 0;
        for (i, entry) in entries.iter().enumerate() {
            let length = self.cell_width(entry, widths);
            if i > 0 {
                let fits = self.c.width == 0 || column + length + 2 < self.c.width;
                column = if fits { column + 2 } else { 0 };
                self.put(cx, &[separator, if fits { b' ' } else { self.c.end }])?;
            }
            self.cell(cx, entry, widths, column)?;
            column += length;
        }
        if entries.is_empty() { Ok(()) } else { self.put(cx, &[self.c.end]) }
    }

    fn columns(&mut self, cx: &mut Cx, entries: &[Entry], down: bool) -> Result<(), End> {
        if entries.is_empty() {
            return Ok(());
        }
        let frills = self.frill_widths(entries);
        let widths: Vec<usize> = entries.iter().map(|e| self.cell_width(e, frills)).collect();
        let line = self.c.width;
        // The most columns, each as wide as its widest cell and two blanks, that fit.
        let most = entries.len().min(line.div_ceil(3).max(1));
        let layout = |columns: usize| {
            let rows = entries.len().div_ceil(columns);
            let mut column_widths = vec![0; columns];
            for (i, w) in widths.iter().enumerate() {
                let column = if down { i / rows } else { i % columns };
                let last = column == columns - 1;
                column_widths[column] = column_widths[column].max(w + if last { 0 } else { 2 });
            }
            (rows, column_widths)
        };
        // The narrowest column has three.
        let fits = |n: &usize| layout(*n).1.iter().map(|w| *w.max(&3)).sum::<usize>() < line;
        let columns = (1..=most).rev().find(fits).unwrap_or(1);
        let (rows, column_widths) = layout(columns);
        for row in 0..rows {
            let mut position = 0;
            let mut wanted = 0;
            for (column, column_width) in column_widths.iter().enumerate() {
                let i = if down { column * rows + row } else { row * columns + column };
                let Some(entry) = entries.get(i) else { break };
                self.indent(cx, position, wanted)?;
                self.cell(cx, entry, frills, wanted)?;
                position = wanted + widths[i];
                wanted += column_width;
            }
            self.put(cx, &[self.c.end])?;
        }
        Ok(())
    }

    /// Moves from one column to another with tabs where they reach, as GNU does.
    fn indent(&mut self, cx: &mut Cx, mut from: usize, to: usize) -> Result<(), End> {
        let tab = self.c.tab;
        while from < to {
            if tab != 0 && to / tab > (from + 1) / tab {
                self.put(cx, b"\t")?;
                from += tab - from % tab;
            } else {
                self.put(cx, b" ")?;
                from += 1;
            }
        }
        Ok(())
    }

    /// The cells of a long line, whether each stands left, and the time.
    fn row(&mut self, entry: &Entry) -> ([String; COLUMNS], [bool; COLUMNS], String) {
        let unknown = || "?".to_owned();
        let Some(s) = entry.stat else {
            let letter = match entry.kind {
                Some(FileType::File) => '-',
                Some(FileType::Dir) => 'd',
                Some(FileType::Symlink) => 'l',
                _ => '?',
            };
            let mut cells = [(); COLUMNS].map(|()| unknown());
            cells[2] = format!("{letter}?????????");
            let left = [false, false, true, false, true, true, true, true, false];
            return (cells, left, format!("{:>12}", '?'));
        };
        let (user, group) =
            if self.c.numeric { (None, None) } else { (self.names.user(s.uid), self.names.group(s.gid)) };
        let left = [false, false, true, false, user.is_some(), group.is_some(), user.is_some(), true, false];
        let user = user.unwrap_or_else(|| s.uid.to_string());
        let (sec, nsec) = self.stamp(&s);
        let recent = sec <= self.now && sec > self.now - 15_778_476;
        let format = if recent { &self.c.time_format.0 } else { &self.c.time_format.1 };
        let cells = [
            s.ino.to_string(),
            self.blocks(&s),
            letters(s.mode),
            s.nlink.to_string(),
            user.clone(),
            group.unwrap_or_else(|| s.gid.to_string()),
            user,
            unknown(),
            self.c.sizes.show(s.size),
        ];
        (cells, left, time::format(sec, nsec, format))
    }

    fn long(&mut self, cx: &mut Cx, entries: &[Entry], others: &[Entry]) -> Result<(), End> {
        let device = |e: &Entry| {
            let s = e
                .stat
                .filter(|s| matches!(file_type(s.mode), FileType::CharDevice | FileType::BlockDevice))?;
            let (major, minor) = crate::commands::stat::device_numbers(s.rdev);
            Some((major.to_string(), minor.to_string()))
        };
        let all = || entries.iter().chain(others);
        let devices: Vec<_> = all().map(device).collect();
        let major = devices.iter().flatten().map(|(major, _)| major.len()).max().unwrap_or(0);
        let minor = devices.iter().flatten().map(|(_, minor)| minor.len()).max().unwrap_or(0);
        let mut rows: Vec<_> = all().map(|e| self.row(e)).collect();
        for (row, device) in rows.iter_mut().zip(&devices) {
            if let Some((a, b)) = device {
                row.0[8] = format!("{a:>major$}, {b:>minor$}");
            }
        }
        let shows = [
            self.c.inode,
            self.c.show_blocks,
            true,
            true,
            self.c.owner,
            self.c.group,
            self.c.author,
            self.c.context,
            true,
        ];
        let mut widths = [0; COLUMNS];
        for (cells, ..) in &rows {
            for (widest, cell) in widths.iter_mut().zip(cells) {
                *widest = (*widest).max(width(cell.as_bytes()));
            }
        }
        for ((cells, left, when), entry) in rows.iter().zip(entries) {
            let mut line = if self.c.dired { "  ".to_owned() } else { String::new() };
            for (i, cell) in cells.iter().enumerate().filter(|(i, _)| shows[*i]) {
                let fill = " ".repeat(widths[i] - width(cell.as_bytes()));
                line += &if left[i] { format!("{cell}{fill} ") } else { format!("{fill}{cell} ") };
            }
            line += when;
            line.push(' ');
            self.put(cx, line.as_bytes())?;
            let start = self.at + usize::from(self.padded(entry));
            self.name(cx, entry, line.len())?;
            if self.c.dired {
                self.dired.extend([start, self.at]);
            }
            let is_link = entry.kind == Some(FileType::Symlink) && entry.stat.is_some();
            match entry.target.as_ref().filter(|_| is_link) {
                Some(target) => self.target(cx, entry, target, line.len())?,
                None => self.put(cx, self.mark_of(entry).as_bytes())?,
            }
            self.put(cx, &[self.c.end])?;
        }
        Ok(())
    }

    fn target(&mut self, cx: &mut Cx, entry: &Entry, target: &OsStr, at: usize) -> Result<(), End> {
        self.put(cx, b" -> ")?;
        let shown = name::quoted(target, self.c.style, self.c.hide_control, name::also(self.c.style));
        let color = self.c.colors.as_ref().and_then(|colors| {
            let kind = entry.leads_to.map(file_type);
            let leads = entry.leads_to.map(|_| true);
            let links = entry.stat.map_or(1, |s| u64::from(s.nlink));
            colors.of(target.as_bytes(), kind, entry.leads_to, links, leads).map(<[u8]>::to_vec)
        });
        self.text(cx, entry, &shown, color, at + entry.shown.len() + 4)?;
        if let Some(mode) = entry.leads_to {
            self.put(cx, self.mark(Some(file_type(mode)), Some(mode)).as_bytes())?;
        }
        Ok(())
    }

    /// Where names and headings were, for `--dired`.
    pub(super) fn offsets(&mut self, cx: &mut Cx) -> Result<(), End> {
        if !self.c.dired {
            return Ok(());
        }
        for (heading, offsets) in [("//DIRED//", &self.dired), ("//SUBDIRED//", &self.subdired)] {
            if !offsets.is_empty() {
                let list: String = offsets.iter().map(|at| format!(" {at}")).collect();
                cx.print(format_args!("{heading}{list}\n"))?;
            }
        }
        let style =
            name::STYLES.iter().find(|(_, style)| *style == self.c.style).map_or("", |(name, _)| name);
        cx.print(format_args!("//DIRED-OPTIONS// --quoting-style={style}\n"))
    }
}
