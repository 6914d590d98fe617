//! Evaluates the expression of `find` on one file, with its actions. It does not walk.

use super::Entry;
use super::format::{Directive, Piece};
use super::parse::{Bits, Expr, Target};
use crate::context::{Cx, End};
use crate::glob;
use crate::mode::{letters, permission_letters};
use crate::names::Names;
use crate::os::{OsStrExt, base_name, os, os_owned};
use crate::quote::quote;
use crate::time;
use agentos_guest::fs::{self, FileType, Stat, access, file_type};
use agentos_guest::process::{Command, Stdio};
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};
use std::io::Write;

/// The most bytes of one command line of `-exec … +`.
const MAX_LINE: usize = 128 * 1024;

/// What evaluation changes.
pub(crate) struct State<'a> {
    cx: &'a mut Cx,
    pub(crate) status: i32,
    /// Do not enter this directory.
    pub(crate) prune: bool,
    /// Stop everything.
    pub(crate) quit: bool,
    /// Paths that wait for each `-exec … +`, with their bytes.
    waiting: Vec<Waiting>,
    /// What `-fprint` and the like write to.
    targets: Vec<Target>,
    names: Names,
    now: i64,
}

/// Paths that wait for a command line.
#[derive(Default)]
struct Waiting {
    paths: Vec<OsString>,
    bytes: usize,
    /// The directory that the command runs in, with `-execdir`.
    dir: Option<OsString>,
}

impl<'a> State<'a> {
    pub(crate) fn new(cx: &'a mut Cx, targets: Vec<Target>) -> State<'a> {
        State {
            cx,
            status: 0,
            prune: false,
            quit: false,
            waiting: Vec::new(),
            targets,
            names: Names::default(),
            now: time::now(),
        }
    }

    pub(crate) fn warn(&mut self, message: &str) {
        self.status = 1;
        self.cx.say(message);
    }

    pub(crate) fn evaluate(&mut self, e: &Expr, entry: &Entry<'_>) -> Result<bool, End> {
        Ok(match e {
            Expr::And(parts) => {
                for part in parts {
                    if !self.evaluate(part, entry)? || self.quit {
                        return Ok(false);
                    }
                }
                true
            }
            Expr::Or(parts) => {
                for part in parts {
                    if self.evaluate(part, entry)? || self.quit {
                        return Ok(true);
                    }
                }
                false
            }
            Expr::List(parts) => {
                let mut last = false;
                for part in parts {
                    last = self.evaluate(part, entry)?;
                }
                last
            }
            Expr::Not(inner) => !self.evaluate(inner, entry)?,
            Expr::True => true,
            Expr::False => false,
            Expr::Name { pattern, fold } => glob::matches(pattern, entry.name().as_bytes(), *fold),
            Expr::Path { pattern, fold } => glob::matches(pattern, entry.path.as_bytes(), *fold),
            Expr::Type(letters) => entry.kind(self).is_some_and(|kind| letters.contains(&type_letter(kind))),
            Expr::Empty => self.is_empty(entry),
            Expr::Access(mode) => access(entry.path, *mode).is_ok(),
            Expr::Regex(regex) => match regex.is_match(entry.path.as_bytes()) {
                Ok(matches) => matches,
                Err(_) => {
                    self.warn(&format!("{}: the regular expression takes too many steps", quote(entry.path)));
                    false
                }
            },
            Expr::LinkName { pattern, fold } => {
                self.link_target(entry).is_some_and(|target| glob::matches(pattern, target.as_bytes(), *fold))
            }
            Expr::OtherType(letters) => {
                let other = if entry.through { fs::lstat(entry.path) } else { fs::stat(entry.path) };
                // A link that leads nowhere is a link.
                let kind = other.map_or(FileType::Symlink, |s| file_type(s.mode));
                letters.contains(&type_letter(kind))
            }
            Expr::FileSystem(name) => name == crate::commands::stat::FILE_SYSTEM.as_bytes(),
            Expr::Print { end: b'\n', to: None } => {
                self.cx.put(entry.path.as_bytes())?;
                self.cx.put(b"\n")?;
                true
            }
            Expr::Print { end, to } => {
                let mut line = entry.path.as_bytes().to_vec();
                line.push(*end);
                self.put(*to, &line)?;
                true
            }
            Expr::Printf { format, to } => {
                self.printf(format, *to, entry)?;
                true
            }
            Expr::Ls { to } => {
                self.ls(*to, entry)?;
                true
            }
            Expr::Prune => {
                self.prune = true;
                true
            }
            Expr::Quit => {
                self.quit = true;
                true
            }
            Expr::Delete => self.delete(entry),
            Expr::Exec { argv, in_dir, ask } => {
                let (dir, path) = place(entry.path, *in_dir);
                let line: Vec<OsString> = argv.iter().map(|word| substitute(word, &path)).collect();
                if *ask && !self.agreed(argv, entry.path)? {
                    return Ok(false);
                }
                self.run(&line, dir.as_deref(), *ask)?
            }
            Expr::ExecMany { argv, at, in_dir } => {
                if self.waiting.len() <= *at {
                    self.waiting.resize_with(at + 1, Waiting::default);
                }
                let (dir, path) = place(entry.path, *in_dir);
                let bytes = path.len() + 1;
                if self.waiting[*at].bytes + bytes > MAX_LINE || self.waiting[*at].dir != dir {
                    self.run_waiting(argv, *at)?;
                }
                let waiting = &mut self.waiting[*at];
                waiting.paths.push(path);
                waiting.bytes += bytes;
                waiting.dir = dir;
                true
            }
            _ => match entry.stat(self) {
                Some(stat) => self.attribute(e, stat),
                None => false,
            },
        })
    }

    fn is_empty(&mut self, entry: &Entry<'_>) -> bool {
        match entry.kind(self) {
            Some(FileType::File) => entry.stat(self).is_some_and(|s| s.size == 0),
            Some(FileType::Dir) => match std::fs::read_dir(entry.path) {
                Ok(mut entries) => entries.next().is_none(),
                Err(error) => {
                    self.warn(&format!("{}: {}", quote(entry.path), strerror(&error)));
                    false
                }
            },
            _ => false,
        }
    }

    /// The tests that compare an attribute.
    fn attribute(&mut self, e: &Expr, s: &Stat) -> bool {
        match e {
            Expr::Size { number, unit } => number.holds(s.size.div_ceil(*unit)),
            Expr::Newer { clock, sec, nsec } => clock.of(s) > (*sec, *nsec),
            Expr::Used(number) => {
                // Days are whole: a file that was read on the day it was changed is not used.
                let days = (s.atime - s.ctime).div_euclid(86_400);
                days >= 0 && number.holds(days as u64)
            }
            Expr::Age { clock, number, seconds, from: Some(end) } => {
                // The day ends where the next begins.
                let age = (end - 1 - clock.of(s).0).max(0);
                let units = if *seconds == 60 { (age + 59) / 60 } else { age / seconds };
                number.holds(u64::try_from(units).unwrap_or(0))
            }
            Expr::Age { clock, number, seconds, from: None } => {
                let age = (self.now - clock.of(s).0).max(0);
                // Minutes are rounded up, days down, as GNU does.
                let units = if *seconds == 60 { (age + 59) / 60 } else { age / seconds };
                number.holds(u64::try_from(units).unwrap_or(0))
            }
            Expr::Perm(bits) => {
                let mode = s.mode & 0o7777;
                match bits {
                    Bits::Exactly(want) => mode == *want,
                    Bits::All(want) => mode & want == *want,
                    Bits::Any(want) => *want == 0 || mode & want != 0,
                }
            }
            Expr::Links(number) => number.holds(u64::from(s.nlink)),
            Expr::Inode(number) => number.holds(s.ino),
            Expr::User(uid) => s.uid == *uid,
            Expr::Group(gid) => s.gid == *gid,
            Expr::Uid(number) => number.holds(u64::from(s.uid)),
            Expr::Gid(number) => number.holds(u64::from(s.gid)),
            Expr::NoUser => self.names.user(s.uid).is_none(),
            Expr::NoGroup => self.names.group(s.gid).is_none(),
            Expr::SameFile(dev, ino) => (s.dev, s.ino) == (*dev, *ino),
            // Everything else has been evaluated before.
            _ => false,
        }
    }

    /// Runs what still waits for `-exec … +`.
    pub(crate) fn finish(&mut self, e: &Expr) -> Result<(), End> {
        match e {
            Expr::And(parts) | Expr::Or(parts) | Expr::List(parts) => {
                for part in parts {
                    self.finish(part)?;
                }
                Ok(())
            }
            Expr::Not(inner) => self.finish(inner),
            Expr::ExecMany { argv, at, .. } => self.run_waiting(argv, *at),
            _ => Ok(()),
        }
    }

    fn run_waiting(&mut self, argv: &[OsString], at: usize) -> Result<(), End> {
        let waiting = match self.waiting.get_mut(at) {
            Some(waiting) if !waiting.paths.is_empty() => std::mem::take(waiting),
            _ => return Ok(()),
        };
        let line: Vec<OsString> = argv.iter().cloned().chain(waiting.paths).collect();
        if !self.run(&line, waiting.dir.as_deref(), false)? {
            self.status = 1;
        }
        Ok(())
    }

    /// Asks whether a command is to be run.
    fn agreed(&mut self, argv: &[OsString], path: &OsStr) -> Result<bool, End> {
        self.cx.flush()?;
        eprint!("< {} ... {} > ? ", argv[0].to_string_lossy(), path.to_string_lossy());
        let mut answer = Vec::new();
        let mut byte = [0];
        // Byte by byte: the rest of the input belongs to the next question.
        while let Ok(1) = agentos_guest::fd::read(0, &mut byte) {
            if byte[0] == b'\n' {
                break;
            }
            answer.push(byte[0]);
            answer.truncate(16);
        }
        Ok(matches!(answer.first(), Some(b'y' | b'Y')))
    }

    fn run(&mut self, argv: &[OsString], dir: Option<&OsStr>, alone: bool) -> Result<bool, End> {
        self.cx.flush()?;
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).search_path(true);
        if let Some(dir) = dir {
            command.current_dir(dir);
        }
        if alone {
            // Standard input has the answers.
            command.stdin(Stdio::Null);
        }
        match command.status() {
            Ok(status) => Ok(status.success()),
            Err(error) => {
                self.warn(&format!("{}: {}", quote(&argv[0]), strerror(&error)));
                Ok(false)
            }
        }
    }

    fn delete(&mut self, entry: &Entry<'_>) -> bool {
        // The starting point `.` cannot be removed, and need not be.
        if entry.path == "." {
            return true;
        }
        let is_dir = entry.kind(self) == Some(FileType::Dir);
        let done = if is_dir { std::fs::remove_dir(entry.path) } else { std::fs::remove_file(entry.path) };
        match done {
            Ok(()) => true,
            Err(error) => {
                self.warn(&format!("cannot delete {}: {}", quote(entry.path), strerror(&error)));
                false
            }
        }
    }

    fn ls(&mut self, to: Option<usize>, entry: &Entry<'_>) -> Result<(), End> {
        let Some(s) = entry.stat(self) else { return Ok(()) };
        let recent = s.mtime <= self.now && s.mtime > self.now - 15_778_476;
        let when = time::format(s.mtime, 0, if recent { "%b %e %H:%M" } else { "%b %e  %Y" });
        let (user, group) = (self.names.user_or_id(s.uid), self.names.group_or_id(s.gid));
        let target =
            self.link_target(entry).map_or(String::new(), |t| format!(" -> {}", escaped(t.as_bytes())));
        let line = format!(
            "{:9} {:6} {} {:3} {user:8} {group:8} {:8} {when} {}{target}\n",
            s.ino,
            s.blocks.div_ceil(2),
            letters(s.mode),
            s.nlink,
            s.size,
            escaped(entry.path.as_bytes())
        );
        self.put(to, line.as_bytes())
    }

    /// Writes to standard output or one of the files.
    fn put(&mut self, to: Option<usize>, bytes: &[u8]) -> Result<(), End> {
        match to.and_then(|at| self.targets.get_mut(at)).and_then(|target| target.file.as_mut()) {
            Some(file) => file.write_all(bytes).map_err(End::Output),
            None => self.cx.put(bytes),
        }
    }

    /// Writes down what the files still have to get.
    pub(crate) fn close(&mut self) -> Result<(), End> {
        for file in self.targets.iter_mut().filter_map(|target| target.file.as_mut()) {
            file.flush().map_err(End::Output)?;
        }
        Ok(())
    }

    fn printf(&mut self, format: &[Piece], to: Option<usize>, entry: &Entry<'_>) -> Result<(), End> {
        for piece in format {
            match piece {
                Piece::Text(text) => self.put(to, text)?,
                Piece::Directive(directive) => {
                    let text = self.directive(directive, entry);
                    self.put(to, &directive.pad(&text))?;
                }
                Piece::Stop => {
                    if to.is_none() {
                        self.cx.flush()?;
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The letter of what a file leads to: `N` for nothing, `L` for itself.
    fn other_type(&mut self, entry: &Entry<'_>) -> Vec<u8> {
        let letter = match fs::stat(entry.path) {
            Ok(s) => type_letter(file_type(s.mode)),
            Err(error) => match agentos_guest::errno_of(&error) {
                Some(agentos_guest::Errno::ELOOP) => b'L',
                Some(agentos_guest::Errno::ENOENT | agentos_guest::Errno::ENOTDIR) => b'N',
                _ => b'?',
            },
        };
        vec![letter]
    }

    fn link_target(&mut self, entry: &Entry<'_>) -> Option<String> {
        if entry.kind(self)? != FileType::Symlink {
            return None;
        }
        Some(std::fs::read_link(entry.path).ok()?.to_string_lossy().into_owned())
    }

    fn directive(&mut self, directive: &Directive, entry: &Entry<'_>) -> Vec<u8> {
        let (directive, clock) = (char::from(directive.letter), directive.clock);
        let path = entry.path.as_bytes();
        match directive {
            'p' => return path.to_vec(),
            'f' => return entry.name().as_bytes().to_vec(),
            'h' => {
                let end = path.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1);
                return match path[..end].iter().rposition(|b| *b == b'/') {
                    Some(0) => b"/".to_vec(),
                    Some(at) => path[..at].to_vec(),
                    None => b".".to_vec(),
                };
            }
            'H' => return entry.root.as_bytes().to_vec(),
            'P' => {
                let below = path.strip_prefix(entry.root.as_bytes()).unwrap_or(path);
                return below.strip_prefix(b"/").unwrap_or(below).to_vec();
            }
            'd' => return entry.depth.to_string().into_bytes(),
            'y' => return entry.kind(self).map_or(Vec::new(), |kind| vec![type_letter(kind)]),
            'l' => return self.link_target(entry).unwrap_or_default().into_bytes(),
            'Y' => return self.other_type(entry),
            'F' => return crate::commands::stat::FILE_SYSTEM.as_bytes().to_vec(),
            // There are no security contexts.
            'Z' => return Vec::new(),
            _ => {}
        }
        let Some(s) = entry.stat(self) else { return Vec::new() };
        let stamp = |sec: i64, nsec: u32| match clock {
            Some('@') => format!("{sec}.{nsec:09}0"),
            Some('T') => time::format(sec, nsec, "%H:%M:%S.%N0"),
            Some('+') => time::format(sec, nsec, "%Y-%m-%d+%H:%M:%S.%N0"),
            Some('S') => time::format(sec, nsec, "%S.%N0"),
            Some(letter) => time::format(sec, nsec, &format!("%{letter}")),
            None => String::new(),
        };
        let plain = |sec: i64, nsec: u32| time::format(sec, nsec, "%a %b %e %H:%M:%S.%N0 %Y");
        let text = match directive {
            's' => s.size.to_string(),
            'b' => s.blocks.to_string(),
            'k' => s.blocks.div_ceil(2).to_string(),
            'D' => s.dev.to_string(),
            'i' => s.ino.to_string(),
            'n' => s.nlink.to_string(),
            'm' => format!("{:o}", s.mode & 0o7777),
            'M' => format!("{}{}", letters(s.mode).chars().next().unwrap_or('?'), permission_letters(s.mode)),
            'u' => self.names.user_or_id(s.uid),
            'g' => self.names.group_or_id(s.gid),
            'U' => s.uid.to_string(),
            'G' => s.gid.to_string(),
            't' => plain(s.mtime, s.mtime_nsec),
            'a' => plain(s.atime, s.atime_nsec),
            'c' => plain(s.ctime, s.ctime_nsec),
            'T' => stamp(s.mtime, s.mtime_nsec),
            'A' => stamp(s.atime, s.atime_nsec),
            'C' => stamp(s.ctime, s.ctime_nsec),
            'B' => stamp(s.btime, s.btime_nsec),
            // How much of the file is there, of 1.
            'S' if s.size == 0 => "1".to_owned(),
            'S' => significant(s.blocks as f64 * 512.0 / s.size as f64),
            _ => String::new(),
        };
        text.into_bytes()
    }
}

/// The directory of a file, and the file as it is called there; without `in_dir` the path as it is.
fn place(path: &OsStr, in_dir: bool) -> (Option<OsString>, OsString) {
    if !in_dir {
        return (None, path.to_owned());
    }
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1);
    let dir = match bytes[..end].iter().rposition(|b| *b == b'/') {
        Some(0) => os(b"/").to_owned(),
        Some(at) => os(&bytes[..at]).to_owned(),
        None => os(b".").to_owned(),
    };
    let name = base_name(path);
    let here = if name == "/" { name.to_owned() } else { os_owned([b"./", name.as_bytes()].concat()) };
    (Some(dir), here)
}

/// A name as `-ls` shows it.
fn escaped(name: &[u8]) -> String {
    let mut out = String::new();
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\x08' => out.push_str("\\b"),
                '\x0c' => out.push_str("\\f"),
                ' ' | '\\' | '"' => out.extend(['\\', c]),
                c if c.is_control() => out.push_str(&format!("\\{:03o}", c as u32)),
                c => out.push(c),
            }
        }
        for b in chunk.invalid() {
            out.push_str(&format!("\\{b:03o}"));
        }
    }
    out
}

/// A number with six significant digits, as C's `%g`.
fn significant(value: f64) -> String {
    let whole = value.trunc().to_string().len();
    let text = format!("{value:.*}", 6usize.saturating_sub(whole));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn type_letter(kind: FileType) -> u8 {
    match kind {
        FileType::File => b'f',
        FileType::Dir => b'd',
        FileType::Symlink => b'l',
        FileType::Fifo => b'p',
        FileType::CharDevice => b'c',
        FileType::BlockDevice => b'b',
        FileType::Socket => b's',
        FileType::Other => b'?',
    }
}

fn substitute(word: &OsStr, path: &OsStr) -> OsString {
    let mut out = Vec::new();
    let mut rest = word.as_bytes();
    while let Some(at) = memchr::memmem::find(rest, b"{}") {
        out.extend_from_slice(os(&rest[..at]).as_bytes());
        out.extend_from_slice(path.as_bytes());
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    os_owned(out)
}
