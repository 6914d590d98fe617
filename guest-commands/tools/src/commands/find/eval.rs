//! Evaluates the expression of `find` on one file, with its actions. It does not walk.

use super::Entry;
use super::parse::{Bits, Expr};
use crate::context::{Cx, End};
use crate::glob;
use crate::mode::{letters, permission_letters};
use crate::names::Names;
use crate::os::{OsStrExt, os, os_owned};
use crate::quote::quote;
use crate::time;
use agentos_guest::fs::{FileType, Stat, access};
use agentos_guest::process::Command;
use agentos_guest::strerror;
use std::ffi::{OsStr, OsString};

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
    waiting: Vec<(Vec<OsString>, usize)>,
    names: Names,
    now: i64,
}

impl<'a> State<'a> {
    pub(crate) fn new(cx: &'a mut Cx) -> State<'a> {
        State {
            cx,
            status: 0,
            prune: false,
            quit: false,
            waiting: Vec::new(),
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
            Expr::Print { end } => {
                self.cx.put(entry.path.as_bytes())?;
                self.cx.put(&[*end])?;
                true
            }
            Expr::Printf(format) => {
                self.printf(format, entry)?;
                true
            }
            Expr::Ls => {
                self.ls(entry)?;
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
            Expr::Exec { argv } => {
                let argv: Vec<OsString> = argv.iter().map(|word| substitute(word, entry.path)).collect();
                self.run(&argv)?
            }
            Expr::ExecMany { argv, at } => {
                while self.waiting.len() <= *at {
                    self.waiting.push((Vec::new(), 0));
                }
                let bytes = entry.path.len() + 1;
                if self.waiting[*at].1 + bytes > MAX_LINE {
                    self.run_waiting(argv, *at)?;
                }
                let (paths, size) = &mut self.waiting[*at];
                paths.push(entry.path.to_owned());
                *size += bytes;
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
            Expr::Age { clock, number, seconds } => {
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
            Expr::ExecMany { argv, at } => self.run_waiting(argv, *at),
            _ => Ok(()),
        }
    }

    fn run_waiting(&mut self, argv: &[OsString], at: usize) -> Result<(), End> {
        let paths = match self.waiting.get_mut(at) {
            Some((paths, size)) if !paths.is_empty() => {
                *size = 0;
                std::mem::take(paths)
            }
            _ => return Ok(()),
        };
        let line: Vec<OsString> = argv.iter().cloned().chain(paths).collect();
        if !self.run(&line)? {
            self.status = 1;
        }
        Ok(())
    }

    fn run(&mut self, argv: &[OsString]) -> Result<bool, End> {
        self.cx.flush()?;
        match Command::new(&argv[0]).args(&argv[1..]).search_path(true).status() {
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

    fn ls(&mut self, entry: &Entry<'_>) -> Result<(), End> {
        let Some(s) = entry.stat(self) else { return Ok(()) };
        let recent = s.mtime <= self.now && s.mtime > self.now - 15_778_476;
        let when = time::format(s.mtime, 0, if recent { "%b %e %H:%M" } else { "%b %e  %Y" });
        let (user, group) = (self.names.user_or_id(s.uid), self.names.group_or_id(s.gid));
        let target = self.link_target(entry).map_or(String::new(), |t| format!(" -> {t}"));
        self.cx.print(format_args!(
            "{:9} {:6} {} {:3} {user:8} {group:8} {:8} {when} {}{target}\n",
            s.ino,
            s.blocks.div_ceil(2),
            letters(s.mode),
            s.nlink,
            s.size,
            entry.path.to_string_lossy()
        ))
    }

    fn printf(&mut self, format: &str, entry: &Entry<'_>) -> Result<(), End> {
        let mut chars = format.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\\' {
                let text = match chars.next() {
                    Some('n') => "\n",
                    Some('t') => "\t",
                    Some('0') => "\0",
                    Some('r') => "\r",
                    Some('a') => "\x07",
                    Some('\\') | None => "\\",
                    Some('c') => return Ok(()),
                    Some(other) => {
                        self.cx.print(format_args!("\\{other}"))?;
                        continue;
                    }
                };
                self.cx.put(text.as_bytes())?;
                continue;
            }
            if c != '%' {
                self.cx.print(format_args!("{c}"))?;
                continue;
            }
            let mut spec = String::new();
            while let Some(c) = chars.next_if(|c| "-0123456789".contains(*c)) {
                spec.push(c);
            }
            let Some(directive) = chars.next() else {
                self.cx.put(b"%")?;
                break;
            };
            let clock = matches!(directive, 'A' | 'C' | 'T').then(|| chars.next()).flatten();
            let bytes = self.directive(directive, clock, entry);
            let width = spec.trim_start_matches('-').parse::<usize>().unwrap_or(0).min(4096);
            let fill = vec![b' '; width.saturating_sub(bytes.len())];
            if !spec.starts_with('-') {
                self.cx.put(&fill)?;
            }
            self.cx.put(&bytes)?;
            if spec.starts_with('-') {
                self.cx.put(&fill)?;
            }
        }
        Ok(())
    }

    fn link_target(&mut self, entry: &Entry<'_>) -> Option<String> {
        if entry.kind(self)? != FileType::Symlink {
            return None;
        }
        Some(std::fs::read_link(entry.path).ok()?.to_string_lossy().into_owned())
    }

    fn directive(&mut self, directive: char, clock: Option<char>, entry: &Entry<'_>) -> Vec<u8> {
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
            '%' => return b"%".to_vec(),
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
            other => format!("%{other}"),
        };
        text.into_bytes()
    }
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
