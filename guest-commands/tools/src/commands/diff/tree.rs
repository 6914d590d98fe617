//! Which files `diff` compares with which: the operands, and the entries of two directories. What differs in two files is
//! found in `lines` and shown by `print`.

use super::print::{self, Side, Style};
use super::{Config, kind_name, lines, paged};
use crate::context::{Cx, End, open_input};
use crate::glob;
use crate::os::{OsStrExt, base_name, join};
use crate::walk;
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::{Errno, errno_of, io_error, strerror};
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::io;

/// How much of a file is looked at for NUL bytes, as GNU's first buffer.
const PEEK: usize = 32 * 1024;

/// One side of a comparison; `stat` is `None` for a file that is absent and counts as empty.
struct File {
    path: OsString,
    stat: Option<Stat>,
    /// What messages call it instead of its path.
    label: Option<OsString>,
}

impl File {
    /// The first (`at` 0) or second file.
    fn new(c: &Config, at: usize, path: OsString, stat: Option<Stat>) -> File {
        File { path, stat, label: c.labels.get(at).cloned() }
    }

    fn is_dir(&self) -> bool {
        self.stat.is_some_and(|s| file_type(s.mode) == FileType::Dir)
    }

    fn name(&self) -> &OsStr {
        self.label.as_deref().unwrap_or(&self.path)
    }

    fn shown(&self) -> String {
        self.name().to_string_lossy().into_owned()
    }
}

fn trouble(cx: &mut Cx, path: &OsStr, error: &io::Error) {
    cx.status = 2;
    cx.say(format_args!("{}: {}", path.to_string_lossy(), strerror(error)));
}

fn look(c: &Config, path: &OsStr) -> io::Result<Stat> {
    match path.as_bytes() {
        b"-" => fs::fstat(0),
        _ if c.follow => fs::stat(path),
        _ => fs::lstat(path),
    }
}

/// Compares the two operands; whether they differ.
pub(super) fn operands(cx: &mut Cx, c: &Config, a: &OsStr, b: &OsStr) -> Result<bool, End> {
    let found = [look(c, a), look(c, b)];
    let absent = |r: &io::Result<Stat>| r.as_ref().is_err_and(|e| errno_of(e) == Some(Errno::ENOENT));
    let forgiven =
        [c.new.0 && absent(&found[0]) && found[1].is_ok(), c.new.1 && absent(&found[1]) && found[0].is_ok()];
    let mut files = Vec::new();
    for (at, ((path, found), forgiven)) in [a, b].into_iter().zip(found).zip(forgiven).enumerate() {
        match found {
            Ok(stat) => files.push(File::new(c, at, path.to_owned(), Some(stat))),
            Err(_) if forgiven => files.push(File::new(c, at, path.to_owned(), None)),
            Err(error) => trouble(cx, path, &error),
        }
    }
    let [a, b] = &mut files[..] else { return Ok(false) };
    // A directory and a file: the file of that name in the directory.
    if a.stat.is_some() && b.stat.is_some() && a.is_dir() != b.is_dir() {
        let (dir, file) = if a.is_dir() { (&mut *a, &*b) } else { (&mut *b, &*a) };
        if file.path == "-" {
            cx.status = 2;
            cx.say("cannot compare '-' to a directory");
            return Ok(false);
        }
        dir.path = join(&dir.path, base_name(&file.path));
        match look(c, &dir.path) {
            Ok(stat) => dir.stat = Some(stat),
            Err(error) => {
                let path = dir.path.clone();
                trouble(cx, &path, &error);
                return Ok(false);
            }
        }
    }
    pair(cx, c, a, b, 0)
}

/// Compares two files of any kind; `depth` 0: they are the operands.
fn pair(cx: &mut Cx, c: &Config, a: &File, b: &File, depth: usize) -> Result<bool, End> {
    let some = a.stat.or(b.stat);
    if a.is_dir() || b.is_dir() {
        if a.is_dir() == b.is_dir() || a.stat.is_none() || b.stat.is_none() {
            if depth > 0 && !c.recursive {
                if a.stat.is_some() && b.stat.is_some() {
                    let (a, b) = (a.path.to_string_lossy(), b.path.to_string_lossy());
                    cx.print(format_args!("Common subdirectories: {a} and {b}\n"))?;
                }
                return Ok(false);
            }
            return directories(cx, c, a, b, depth);
        }
        return kinds_differ(cx, a, b);
    }
    if let (Some(s), Some(t)) = (a.stat, b.stat) {
        let always = matches!(c.style, Style::SideBySide | Style::Formats);
        if (s.dev, s.ino) == (t.dev, t.ino) && file_type(s.mode) == FileType::File && !always {
            return identical(cx, c, a, b);
        }
        let links = [s, t].map(|s| file_type(s.mode) == FileType::Symlink);
        if links == [true, true] {
            let targets = [std::fs::read_link(&a.path), std::fs::read_link(&b.path)];
            if let [Ok(x), Ok(y)] = targets {
                if x == y {
                    return identical(cx, c, a, b);
                }
                cx.print(format_args!("Symbolic links {} and {} differ\n", a.shown(), b.shown()))?;
            }
            return Ok(true);
        }
        // Within trees only files are read: a FIFO there would be waited for.
        let plain = |s: Stat| file_type(s.mode) == FileType::File;
        if links[0] != links[1] || (depth > 0 && !(plain(s) && plain(t))) {
            return kinds_differ(cx, a, b);
        }
    } else if depth > 0 && some.is_some_and(|s| file_type(s.mode) != FileType::File) {
        return kinds_differ(cx, a, b);
    }
    contents(cx, c, a, b, depth)
}

fn identical(cx: &mut Cx, c: &Config, a: &File, b: &File) -> Result<bool, End> {
    if c.identical {
        cx.print(format_args!("Files {} and {} are identical\n", a.shown(), b.shown()))?;
    }
    Ok(false)
}

fn kinds_differ(cx: &mut Cx, a: &File, b: &File) -> Result<bool, End> {
    let name = |f: &File| f.stat.map_or("regular empty file", |s| kind_name(s.mode, s.size));
    let (x, y) = (a.shown(), b.shown());
    cx.print(format_args!("File {x} is a {} while file {y} is a {}\n", name(a), name(b)))?;
    Ok(true)
}

/// The order of names in directories.
fn order(c: &Config, a: &OsStr, b: &OsStr) -> Ordering {
    if c.fold_names {
        a.to_string_lossy().to_lowercase().cmp(&b.to_string_lossy().to_lowercase())
    } else {
        a.as_bytes().cmp(b.as_bytes())
    }
}

fn entries(cx: &mut Cx, c: &Config, dir: &File, depth: usize) -> Option<Vec<OsString>> {
    if dir.stat.is_none() {
        return Some(Vec::new());
    }
    let names = if depth < walk::MAX_DEPTH { walk::names(&dir.path) } else { Err(walk::too_deep()) };
    match names {
        Ok(mut names) => {
            names.retain(|n| !c.exclude.iter().any(|g| glob::matches(g, n.as_bytes(), c.fold_names)));
            if let (0, Some(start)) = (depth, &c.start) {
                names.retain(|n| order(c, n, start).is_ge());
            }
            if c.fold_names {
                names.sort_by(|a, b| order(c, a, b).then_with(|| a.cmp(b)));
            }
            Some(names)
        }
        Err(error) => {
            trouble(cx, &dir.path, &error);
            None
        }
    }
}

fn directories(cx: &mut Cx, c: &Config, a: &File, b: &File, depth: usize) -> Result<bool, End> {
    let (Some(ours), Some(theirs)) = (entries(cx, c, a, depth), entries(cx, c, b, depth)) else {
        return Ok(false);
    };
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
    let mut differ = false;
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (Some(x), Some(y)) => order(c, x, y),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(differ),
        };
        let left = if order.is_le() { ours.next() } else { None };
        let right = if order.is_ge() { theirs.next() } else { None };
        let Some(name) = left.as_ref().or(right.as_ref()) else { return Ok(differ) };
        // Names that are the same but for their case are two.
        let theirs_name = right.as_ref().unwrap_or(name);
        let missing = match order {
            Ordering::Less if !c.new.1 => Some(a),
            Ordering::Greater if !c.new.0 => Some(b),
            _ => None,
        };
        if let Some(dir) = missing {
            differ = true;
            let (dir, name) = (dir.path.to_string_lossy(), name.to_string_lossy());
            cx.print(format_args!("Only in {dir}: {name}\n"))?;
            continue;
        }
        let mut sides = Vec::new();
        let both = [(a, name, left.is_some()), (b, theirs_name, right.is_some())];
        for (at, (dir, name, there)) in both.into_iter().enumerate() {
            let path = join(&dir.path, name);
            match if there { look(c, &path).map(Some) } else { Ok(None) } {
                Ok(stat) => sides.push(File::new(c, at, path, stat)),
                Err(error) => trouble(cx, &path, &error),
            }
        }
        if let [x, y] = &sides[..] {
            differ |= pair(cx, c, x, y, depth + 1)?;
        }
    }
}

fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(stat) = file.stat {
        if file_type(stat.mode) == FileType::Dir {
            return Err(io_error(Errno::EISDIR));
        }
        text.reserve(usize::try_from(stat.size).unwrap_or(0).min(1 << 30));
        open_input(&file.path)?.read_to_end(&mut text)?;
    }
    Ok(text)
}

fn contents(cx: &mut Cx, c: &Config, a: &File, b: &File, depth: usize) -> Result<bool, End> {
    let sizes = [a, b].map(|f| f.stat.map(|s| (file_type(s.mode), s.size)));
    // Files of different lengths differ, however long they are.
    if let ([Some((FileType::File, x)), Some((FileType::File, y))], true) =
        (sizes, c.brief && c.compare.exact() && !c.strip_cr)
        && x != y
        && x > 0
        && y > 0
    {
        return brief(cx, a, b, false);
    }
    let mut texts = Vec::new();
    for file in [a, b] {
        match read(file) {
            Ok(text) => texts.push(text),
            Err(error) => trouble(cx, &file.path, &error),
        }
    }
    if c.strip_cr {
        texts.iter_mut().for_each(super::strip_cr);
    }
    // A script for `ed` cannot say that a newline is missing, so it counts as there.
    let script = matches!(c.style, Style::Ed | Style::ForwardEd) && !c.brief;
    let ended = |text: &Vec<u8>| text.last().is_none_or(|last| *last == b'\n');
    let unended: Vec<bool> = texts.iter().map(|text| script && !ended(text)).collect();
    for text in texts.iter_mut().filter(|text| script && !ended(text)) {
        text.push(b'\n');
    }
    let [x, y] = &texts[..] else { return Ok(false) };
    if unended.contains(&true) && x == y {
        say_unended(cx, [a, b], &unended);
        return Ok(false);
    }
    let shown_if_equal = match c.style {
        Style::SideBySide => !c.look.suppress_common,
        Style::Formats => !c.formats.silent_if_equal(),
        _ => false,
    } && !c.brief;
    if x == y && !shown_if_equal {
        return identical(cx, c, a, b);
    }
    let binary = |text: &[u8]| !c.text && memchr::memchr(0, &text[..text.len().min(PEEK)]).is_some();
    if binary(x) || binary(y) {
        return if x == y { identical(cx, c, a, b) } else { brief(cx, a, b, !c.brief) };
    }
    let side = |file: &File, text| Side {
        header: match file.label {
            Some(_) => file.shown(),
            None => print::header(&file.shown(), file.stat.as_ref()),
        },
        lines: lines::split(text),
    };
    let (old, new) = (side(a, x), side(b, y));
    let changes = lines::changes(c.compare, &c.uncounted, &old.lines, &new.lines);
    let same = changes.iter().all(|change| change.ignore);
    if same && !shown_if_equal {
        return identical(cx, c, a, b);
    }
    if c.brief {
        return brief(cx, a, b, false);
    }
    let title = {
        let (x, y) = (crate::quote::quotef(a.name()), crate::quote::quotef(b.name()));
        format!("diff{} {x} {y}", c.given)
    };
    let differ = if c.paginate {
        paged(cx, &title, |cx| print::print(cx, c, &old, &new, &changes))?
    } else {
        if depth > 0 {
            cx.print(format_args!("{title}\n"))?;
        }
        print::print(cx, c, &old, &new, &changes)?
    };
    if same {
        return identical(cx, c, a, b);
    }
    say_unended(cx, [a, b], &unended);
    Ok(differ)
}

/// Names the files whose missing newline was made up for.
fn say_unended(cx: &mut Cx, files: [&File; 2], unended: &[bool]) {
    for (file, _) in files.into_iter().zip(unended).filter(|(_, unended)| **unended) {
        cx.status = 2;
        cx.say(format_args!("{}: No newline at end of file\n", file.shown()));
    }
}

fn brief(cx: &mut Cx, a: &File, b: &File, binary: bool) -> Result<bool, End> {
    let what = if binary { "Binary files" } else { "Files" };
    cx.print(format_args!("{what} {} and {} differ\n", a.shown(), b.shown()))?;
    Ok(true)
}
