//! The pager: where it is in the text, what is on the screen, and searches. The keys are in `commands`.

use super::options::Options;
use super::source::Source;
use super::{open, rows};
use crate::terminal::{Event, Key, Terminal};
use crate::text;
use agentos_guest::{fd, strerror};
use regex::Regex;
use std::collections::HashMap;
use std::ffi::OsString;
use std::rc::Rc;

/// The pager at its terminal.
pub(super) struct Pager {
    pub(super) t: Terminal,
    pub(super) o: Options,
    pub(super) files: Vec<OsString>,
    pub(super) current: usize,
    pub(super) source: Source,
    /// The line at the top, and which of its rows.
    pub(super) top: (u64, usize),
    pub(super) shift: usize,
    pub(super) pattern: Option<Regex>,
    pub(super) backward: bool,
    pub(super) filter: Option<Regex>,
    pub(super) marks: HashMap<char, (u64, usize)>,
    pub(super) last_place: (u64, usize),
    pub(super) message: String,
    /// Nothing was typed yet: the prompt is the name of the file.
    pub(super) fresh: bool,
    pub(super) half: Option<usize>,
    /// The offset after the last line on the screen; `None`: beyond the end.
    pub(super) bottom: Option<u64>,
    pub(super) at_end: bool,
    pub(super) ends_seen: u8,
    /// The rows of the line that was asked for last.
    cache: Option<(u64, Rc<Vec<String>>)>,
}

/// Whether it goes on.
pub(super) enum Next {
    Go,
    Quit,
}

impl Pager {
    pub(super) fn open(o: Options, files: Vec<OsString>) -> Result<Pager, String> {
        let first = files.iter().position(|f| f == "-" || open(f).is_ok());
        let current = match first {
            Some(at) => at,
            None => return Err(open(&files[0]).err().unwrap_or_default()),
        };
        let source =
            if files[current] == "-" { Source::pipe() } else { Source::file(open(&files[current])?) };
        let t = Terminal::open(false).map_err(|e| format!("no terminal: {}", strerror(&e)))?;
        Ok(Pager {
            t,
            o,
            files,
            current,
            source,
            top: (0, 0),
            shift: 0,
            pattern: None,
            backward: false,
            filter: None,
            marks: HashMap::new(),
            last_place: (0, 0),
            message: String::new(),
            fresh: true,
            half: None,
            bottom: None,
            at_end: false,
            ends_seen: 0,
            cache: None,
        })
    }

    pub(super) fn name(&self) -> String {
        if self.files[self.current] == "-" {
            String::new()
        } else {
            self.files[self.current].to_string_lossy().into_owned()
        }
    }

    pub(super) fn height(&self) -> usize {
        self.t.rows - 1
    }

    pub(super) fn run(&mut self) -> i32 {
        if self.o.quit_if_one
            && let Some(rows) = self.all_rows()
        {
            self.t.leave();
            return i32::from(fd::write_all(1, rows.as_bytes()).is_err());
        }
        if !self.o.no_init && self.t.alternate().is_err() {
            return 1;
        }
        if !self.accepts_binary() {
            self.t.leave();
            return 0;
        }
        if let Some(text) = self.o.pattern.clone() {
            self.search_for(&text, false, 1);
        }
        for command in self.o.commands.clone() {
            self.first_command(&command);
        }
        loop {
            if self.show().is_err() {
                return 1;
            }
            let last = self.current + 1 == self.files.len();
            if self.at_end
                && last
                && (self.o.quit_at_end == 2 || (self.o.quit_at_end == 1 && self.ends_seen > 0))
            {
                break;
            }
            let event = self.t.event(-1);
            self.message.clear();
            self.cache = None;
            match event {
                Event::Hangup => return 1,
                Event::Resize | Event::Timeout => {
                    // The row of a line that was wrapped otherwise may not be there any more.
                    self.top.1 = 0;
                }
                Event::Interrupt if self.o.quit_on_interrupt => {
                    self.t.leave();
                    return 2;
                }
                Event::Interrupt => {}
                Event::Key(key) => {
                    self.fresh = false;
                    self.source.go_on();
                    if matches!(self.command(key), Next::Quit) {
                        break;
                    }
                }
            }
        }
        self.t.leave();
        0
    }

    /// The whole text as it is shown, if it fits on the screen.
    fn all_rows(&mut self) -> Option<String> {
        if self.files.len() > 1 {
            return None;
        }
        let (mut at, mut count, mut out) = (0, 0, String::new());
        while let Some((start, line, next)) = self.next_line(at) {
            let rows = self.rows_of(&line, start);
            count += rows.len();
            if count > self.height() {
                return None;
            }
            for row in rows.iter() {
                out.push_str(row);
                out.push('\n');
            }
            at = next;
        }
        Some(out)
    }

    /// Asks whether a file that looks like no text is to be shown.
    pub(super) fn accepts_binary(&mut self) -> bool {
        if self.o.force || self.files[self.current] == "-" || !self.source.binary() {
            return true;
        }
        let question = format!("\"{}\" may be a binary file.  See it anyway? ", self.name());
        let mut rows = vec![String::new(); self.height()];
        rows.push(text::cut(&question, self.t.cols - 1));
        let place = (rows.len() - 1, question.len());
        loop {
            if self.t.draw(&rows, place).is_err() {
                return false;
            }
            match self.t.event(-1) {
                Event::Resize => {
                    rows.splice(..rows.len() - 1, vec![String::new(); self.t.rows - 1]).for_each(drop)
                }
                event => return matches!(event, Event::Key(Key::Char('y' | 'Y'))),
            }
        }
    }

    pub(super) fn first_command(&mut self, command: &str) {
        if let Some(pattern) = command.strip_prefix('/') {
            self.search_for(pattern, false, 1);
        } else if let Some(pattern) = command.strip_prefix('?') {
            self.search_for(pattern, true, 1);
        } else if let Ok(number) = command.trim_end_matches('g').parse::<u64>() {
            let at = self.source.find_number(number);
            self.put(at);
        } else {
            for c in command.chars() {
                if c == 'F' {
                    self.follow();
                    continue;
                }
                if matches!(self.simple(Key::Char(c), None), Some(Next::Quit)) {
                    break;
                }
            }
        }
    }

    /// The rows of a line: what is shown of each.
    pub(super) fn rows_of(&mut self, line: &[u8], at: u64) -> Rc<Vec<String>> {
        if let Some((of, rows)) = &self.cache
            && *of == at
        {
            return Rc::clone(rows);
        }
        let number = if self.o.numbers { Some(self.source.number(at)) } else { None };
        let pattern = self.pattern.as_ref().filter(|_| self.o.highlight);
        let rows = Rc::new(rows::of(line, &self.o, self.t.cols, self.shift, number, pattern));
        self.cache = Some((at, Rc::clone(&rows)));
        rows
    }

    /// The next line from here that is to be shown: where it begins, its bytes and its end.
    pub(super) fn next_line(&mut self, mut at: u64) -> Option<(u64, Vec<u8>, u64)> {
        loop {
            let (line, next) = self.source.line(at)?;
            let hidden = self.filter.as_ref().is_some_and(|f| !f.is_match(&rows::plain(&line)));
            let squeezed = self.o.squeeze && line.is_empty() && at > 0 && {
                let before = self.source.before(at);
                before.and_then(|b| self.source.line(b)).is_some_and(|(l, _)| l.is_empty())
            };
            if !hidden && !squeezed {
                return Some((at, line, next));
            }
            at = next;
            if self.t.interrupted() {
                return None;
            }
        }
    }

    pub(super) fn line_before(&mut self, mut at: u64) -> Option<(u64, Vec<u8>)> {
        loop {
            at = self.source.before(at)?;
            match self.next_line(at) {
                Some((start, line, _)) if start == at => return Some((at, line)),
                _ => {}
            }
            if self.t.interrupted() {
                return None;
            }
        }
    }

    /// Moves so many rows down.
    pub(super) fn down(&mut self, count: usize) {
        for _ in 0..count {
            if self.reaches_end() {
                self.ends_seen = self.ends_seen.saturating_add(1);
                return;
            }
            let Some((at, line, next)) = self.next_line(self.top.0) else { return };
            let rows = self.rows_of(&line, at).len();
            if at == self.top.0 && self.top.1 + 1 < rows {
                self.top.1 += 1;
            } else {
                match self.next_line(next) {
                    Some((at, _, _)) => self.top = (at, 0),
                    None => return,
                }
            }
        }
    }

    /// Whether the last row of the text is on the screen.
    pub(super) fn reaches_end(&mut self) -> bool {
        let mut left = self.height();
        let (mut at, mut skip) = self.top;
        while let Some((start, line, next)) = self.next_line(at) {
            let rows = self.rows_of(&line, start).len().saturating_sub(skip);
            skip = 0;
            if rows > left {
                return false;
            }
            left -= rows;
            at = next;
        }
        true
    }

    pub(super) fn up(&mut self, count: usize) {
        for _ in 0..count {
            if self.top.1 > 0 {
                self.top.1 -= 1;
                continue;
            }
            let Some((at, line)) = self.line_before(self.top.0) else { return };
            let rows = self.rows_of(&line, at).len();
            self.top = (at, rows - 1);
        }
    }

    pub(super) fn go_to_end(&mut self) {
        let end = self.source.read_all();
        self.top = (end, 0);
        let rows = self.height();
        self.up(rows);
    }

    pub(super) fn jump(&mut self, to: (u64, usize)) {
        self.last_place = self.top;
        self.top = to;
    }

    /// The rows of the text that are on the screen, and where the line after them begins.
    fn screen(&mut self) -> (Vec<String>, u64, bool) {
        self.cache = None;
        let mut rows: Vec<String> = Vec::new();
        let (mut at, mut skip) = self.top;
        let mut ended = false;
        while rows.len() < self.height() {
            match self.next_line(at) {
                Some((start, line, next)) => {
                    let all = self.rows_of(&line, start);
                    let room = self.height() - rows.len();
                    rows.extend(all.iter().skip(skip).take(room).cloned());
                    skip = 0;
                    at = next;
                }
                None => {
                    ended = true;
                    rows.push(if self.o.tildes { "~".into() } else { String::new() });
                }
            }
        }
        (rows, at, ended)
    }

    pub(super) fn show(&mut self) -> std::io::Result<()> {
        let (mut rows, at, ended) = self.screen();
        self.bottom = Some(at);
        self.at_end = ended || self.reaches_end();
        let prompt = self.prompt();
        let width = rows::width(&prompt);
        rows.push(prompt);
        let row = rows.len() - 1;
        self.t.draw(&rows, (row, width))
    }

    pub(super) fn prompt(&mut self) -> String {
        let reverse = |s: &str| format!("\x1b[7m{s}\x1b[27m");
        if !self.message.is_empty() {
            let m = text::cut(&self.message, self.t.cols - 1);
            return reverse(&m);
        }
        let name = self.name();
        if self.o.more {
            let next = self.files.get(self.current + 1).filter(|_| self.at_end);
            let size = self.source.known();
            let percent = (self.bottom.unwrap_or(size) * 100).checked_div(size).unwrap_or(100);
            let known = !name.is_empty();
            let text = match next {
                Some(file) => format!("--More--(Next file: {})", file.to_string_lossy()),
                None if known => format!("--More--({percent}%)"),
                None => "--More--".to_owned(),
            };
            return reverse(&text::cut(&text, self.t.cols - 1));
        }
        let mut text = String::new();
        let of = if self.files.len() > 1 {
            format!(" (file {} of {})", self.current + 1, self.files.len())
        } else {
            String::new()
        };
        if self.o.prompt == 2 || (self.fresh && !name.is_empty()) {
            text += &name;
            text += &of;
        }
        if self.o.prompt == 2 {
            text += &format!("{}lines {}", if text.is_empty() { "" } else { " " }, self.span());
        }
        if self.at_end {
            let next = self.files.get(self.current + 1).map(|f| format!(" - Next: {}", f.to_string_lossy()));
            text += &format!("{}(END){}", if text.is_empty() { "" } else { " " }, next.unwrap_or_default());
        } else if self.o.prompt > 0 {
            let size = self.source.known();
            let percent = (self.bottom.unwrap_or(size) * 100).checked_div(size).unwrap_or(100);
            text += &format!("{}{percent}%", if text.is_empty() { "" } else { " " });
        }
        let text = text::cut(&text, self.t.cols - 1);
        if text.is_empty() { ":".into() } else { reverse(&text) }
    }

    pub(super) fn span(&mut self) -> String {
        let first = self.source.number(self.top.0);
        let end = self.bottom.unwrap_or(0);
        let last = match self.source.before(end) {
            Some(start) => self.source.number(start),
            None => first,
        };
        format!("{first}-{last}")
    }

    /// Asks for a line at the bottom; `None`: it was given up.
    pub(super) fn ask(&mut self, prompt: &str) -> Option<String> {
        let mut line = String::new();
        loop {
            self.message.clear();
            let shown = format!("{prompt}{}", text::cut(&line, self.t.cols.saturating_sub(prompt.len() + 1)));
            self.draw_prompt(&shown);
            match self.t.event(-1) {
                Event::Key(Key::Char('\r' | '\n')) => return Some(line),
                Event::Key(Key::Char('\x7f' | '\x08')) => {
                    line.pop()?;
                }
                Event::Key(Key::Char('\x15')) => line.clear(),
                Event::Key(Key::Char('\x1b')) | Event::Interrupt | Event::Hangup => return None,
                Event::Key(Key::Char(c)) if !c.is_control() && line.len() < 4096 => line.push(c),
                _ => {}
            }
        }
    }

    pub(super) fn draw_prompt(&mut self, prompt: &str) {
        let (mut rows, ..) = self.screen();
        let width = rows::width(prompt);
        rows.push(prompt.to_owned());
        let row = rows.len() - 1;
        // A terminal that is gone shows itself at the next key.
        let _ = self.t.draw(&rows, (row, width));
    }

    pub(super) fn compile(&mut self, text: &str) -> Option<Regex> {
        let fold =
            self.o.ignore_case == 2 || (self.o.ignore_case == 1 && !text.chars().any(char::is_uppercase));
        match regex::RegexBuilder::new(text).case_insensitive(fold).size_limit(1 << 20).build() {
            Ok(pattern) => Some(pattern),
            Err(_) => {
                self.message = "Invalid pattern".into();
                None
            }
        }
    }

    /// Puts a line at the row where what was found is to be.
    pub(super) fn put(&mut self, at: u64) {
        self.jump((at, 0));
        self.up(self.o.target.min(self.height() - 1));
    }

    pub(super) fn search_for(&mut self, text: &str, backward: bool, count: usize) {
        if !text.is_empty() {
            let Some(pattern) = self.compile(text) else { return };
            self.pattern = Some(pattern);
        }
        self.cache = None;
        self.backward = backward;
        // The line at the top counts only when nothing was shown yet.
        self.search(backward, count, self.fresh);
    }

    pub(super) fn search(&mut self, backward: bool, count: usize, here: bool) {
        let Some(pattern) = self.pattern.clone() else {
            self.message = "No previous regular expression".into();
            return;
        };
        let mut left = count;
        let mut at = self.top.0;
        if backward {
            while let Some((start, line)) = self.line_before(at) {
                if pattern.is_match(&rows::plain(&line)) {
                    left -= 1;
                    if left == 0 {
                        self.put(start);
                        return;
                    }
                }
                at = start;
            }
        } else {
            if !here {
                at = match self.next_line(at) {
                    Some((_, _, next)) => next,
                    None => at,
                };
            }
            while let Some((start, line, next)) = self.next_line(at) {
                if pattern.is_match(&rows::plain(&line)) {
                    left -= 1;
                    if left == 0 {
                        self.put(start);
                        return;
                    }
                }
                at = next;
            }
        }
        self.message = "Pattern not found".into();
    }
}
