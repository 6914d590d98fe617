//! The history file: one command per line, with `#seconds` before it where times are kept. It decides not when it is read.

use super::Entry;
use crate::shell::Shell;
use crate::symbols;
use agentos_guest::fd;
use std::io;

/// How much of a file is read.
const MAX_FILE: usize = 16 << 20;

impl Shell {
    /// The file of `HISTFILE`.
    pub(crate) fn history_file(&self) -> Option<String> {
        self.vars.get(symbols::HISTFILE).map(|name| name.into_owned()).filter(|name| !name.is_empty())
    }

    /// Reads the history file when the shell begins to keep a history.
    pub(super) fn load_history(&mut self) {
        if !self.vars.is_set(symbols::HISTSIZE) {
            self.vars.put_str(symbols::HISTSIZE, "500");
        }
        if !self.vars.is_set(symbols::HISTFILESIZE) {
            let size = self.vars.get(symbols::HISTSIZE).unwrap_or_default().into_owned();
            self.vars.put_str(symbols::HISTFILESIZE, size);
        }
        if let Some(file) = self.history_file() {
            // That there is none yet is no error.
            let _ = self.read_history(&file, 0);
        }
        self.history.session = 0;
    }

    /// Adds the lines of a file after the first `skip`; returns how many lines it has.
    ///
    /// # Errors
    /// Those of reading the file.
    pub(crate) fn read_history(&mut self, file: &str, skip: usize) -> io::Result<usize> {
        let text = read(file)?;
        let mut time = None;
        let timed = text.lines().any(|line| stamp(line).is_some());
        let mut lines = 0;
        let mut open = false;
        for line in text.lines() {
            lines += 1;
            if lines <= skip {
                continue;
            }
            if let Some(seconds) = stamp(line) {
                time = Some(seconds);
                open = false;
            } else if open && timed {
                // Without a time of its own, it is a further line of the command before.
                let at = self.history.len() - 1;
                if let Some(entry) = self.history.get_mut(at) {
                    entry.line.push('\n');
                    entry.line.push_str(line);
                }
            } else if !line.is_empty() {
                open = time.is_some();
                let time = time.take().or_else(|| self.entry_time());
                self.history.push(line.to_owned(), time);
            }
        }
        self.stifle();
        Ok(lines)
    }

    /// Writes the last `count` entries, replacing the file or at its end; returns how many lines.
    ///
    /// # Errors
    /// Those of writing the file.
    pub(crate) fn write_history(&mut self, file: &str, count: usize, append: bool) -> io::Result<usize> {
        let skip = self.history.len().saturating_sub(count);
        let times = self.vars.is_set(symbols::HISTTIMEFORMAT);
        let text: String = self.history.iter().skip(skip).map(|entry| stored(entry, times)).collect();
        let how = if append { fd::O_APPEND } else { fd::O_TRUNC };
        // Commands may hold secrets: the file is for its owner.
        let out = fd::open(&*crate::text::os(file), fd::O_WRONLY | fd::O_CREAT | fd::O_CLOEXEC | how, 0o600)?;
        let out = fd::Owned::from_raw(out);
        fd::write_all(out.raw(), &crate::text::to_bytes(&text))?;
        Ok(text.lines().count())
    }

    /// When the shell ends: adds what is new to the file.
    pub(crate) fn save_history(&mut self) {
        let new = self.history.session;
        if !self.opts.history || self.subshell != 0 || new == 0 {
            return;
        }
        self.history.session = 0;
        let Some(file) = self.history_file() else { return };
        let append = new <= self.history.len() || self.shopts.histappend;
        let count = if append { new } else { usize::MAX };
        if self.write_history(&file, count, append).is_ok() {
            let size = self.vars.get(symbols::HISTFILESIZE).unwrap_or_default();
            self.limit_history_file(&size);
        }
    }

    /// Applies a value of `HISTFILESIZE` to the file.
    pub(crate) fn limit_history_file(&self, size: &str) {
        let size = size.trim().parse::<usize>().ok();
        let (Some(size), Some(file)) = (size, self.history_file()) else { return };
        let Ok(text) = read(&file) else { return };
        let lines: Vec<&str> = text.lines().collect();
        let mut left = size;
        let mut from = lines.len();
        while from > 0 && left > 0 {
            from -= 1;
            if stamp(lines[from]).is_none() {
                left -= 1;
            }
        }
        if from > 0 && stamp(lines[from - 1]).is_some() {
            from -= 1;
        }
        if from > 0 {
            let text: String = lines[from..].iter().map(|line| format!("{line}\n")).collect();
            // A file that cannot be written stays as it is.
            let _ = std::fs::write(&*crate::text::os(&file), &*crate::text::to_bytes(&text));
        }
    }
}

fn stored(entry: &Entry, times: bool) -> String {
    match entry.time.filter(|_| times) {
        Some(seconds) => format!("#{seconds}\n{}\n", entry.line),
        None => format!("{}\n", entry.line),
    }
}

/// The time in a line `#seconds`.
fn stamp(line: &str) -> Option<u64> {
    let digits = line.strip_prefix('#')?;
    digits.starts_with(|c: char| c.is_ascii_digit()).then(|| {
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().unwrap_or(0)
    })
}

fn read(file: &str) -> io::Result<String> {
    let input = fd::Owned::from_raw(fd::open(&*crate::text::os(file), fd::O_RDONLY | fd::O_CLOEXEC, 0)?);
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    while bytes.len() < MAX_FILE {
        match fd::read(input.raw(), &mut chunk)? {
            0 => break,
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
    Ok(crate::text::from_bytes(bytes))
}
