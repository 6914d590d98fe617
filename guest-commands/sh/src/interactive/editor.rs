//! What keys do to the line being edited: the default keys of readline. It draws nothing and knows no shell.

use super::buffer::{Buffer, Case, Cut, Kills};
use super::keys::Key;
use super::search::Search;
use super::vi::Vi;
use std::collections::HashMap;

/// The largest count that a key is repeated by.
const MAX_COUNT: usize = 9999;
/// How many changed lines of the history are kept while one line is edited.
const MAX_EDITED: usize = 1000;

/// Earlier lines, oldest first.
pub(crate) trait Past {
    /// How many there are.
    fn count(&self) -> usize;
    /// The line at an index.
    fn line(&self, index: usize) -> Option<&str>;
}

/// What whoever runs the editor has to do after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Show the line as it is now.
    Edited,
    /// That could not be done.
    Bell,
    /// The line is finished.
    Accept,
    /// There will be no more lines.
    End,
    /// The line is given up.
    Interrupt,
    /// The word before the cursor is to be completed; the second time in a row, candidates are shown.
    Complete { again: bool },
    /// Candidates are shown.
    List,
    /// The screen is to be cleared.
    Clear,
    /// The next byte is inserted as it is.
    Quote,
}

/// What the key before did, where the next one asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Other,
    Cut,
    Yank { from: usize },
    Argument { from: usize, index: usize },
    Complete,
}

/// The state of editing one line, and what is kept between lines.
#[derive(Debug)]
pub(crate) struct Editor {
    pub(crate) buffer: Buffer,
    pub(super) kills: Kills,
    /// Which line of the history is shown; their number is the new line.
    pub(super) at: usize,
    edited: HashMap<usize, Vec<char>>,
    last: Last,
    pub(super) search: Option<Search>,
    /// What was last looked for.
    pub(super) sought: Vec<char>,
    count: Option<usize>,
    /// `^X` was typed.
    prefix: bool,
    /// `^]` was typed: the cursor goes to the next such character.
    find: bool,
    /// The line after this one of the history is shown next.
    following: Option<usize>,
    pub(super) vi: Option<Vi>,
}

impl Default for Editor {
    fn default() -> Self {
        Editor {
            buffer: Buffer::default(),
            kills: Kills::default(),
            at: 0,
            edited: HashMap::new(),
            last: Last::Other,
            search: None,
            sought: Vec::new(),
            count: None,
            prefix: false,
            find: false,
            following: None,
            vi: None,
        }
    }
}

impl Editor {
    /// Begins a new line.
    pub(crate) fn begin(&mut self, past: &dyn Past, vi: bool) {
        self.at = past.count();
        self.edited.clear();
        self.buffer.reset(Vec::new());
        self.kills.end();
        self.last = Last::Other;
        (self.search, self.count, self.prefix, self.find) = (None, None, false, false);
        self.vi = match (vi, self.vi.take()) {
            (true, Some(vi)) => Some(vi.restarted()),
            (true, None) => Some(Vi::default()),
            (false, _) => None,
        };
        if let Some(next) = self.following.take().filter(|next| *next < past.count()) {
            self.show(past, next);
        }
    }

    /// What stands in place of the last line of the prompt, if anything does.
    pub(crate) fn message(&self) -> Option<String> {
        if let Some(search) = &self.search {
            return Some(search.message());
        }
        if let Some(text) = self.vi.as_ref().and_then(Vi::message) {
            return Some(text);
        }
        self.count.filter(|_| self.vi.is_none()).map(|n| format!("(arg: {n}) "))
    }

    /// Whether an escape is a key by itself.
    pub(crate) fn escape_is_key(&self) -> bool {
        self.vi.is_some() && self.search.is_none()
    }

    /// Does what a key stands for.
    pub(crate) fn key(&mut self, key: Key, past: &dyn Past) -> Outcome {
        if self.search.is_some() {
            match self.search_key(&key, past) {
                Some(outcome) => return outcome,
                None => self.last = Last::Other,
            }
        }
        if self.vi.is_some()
            && let Some(outcome) = self.vi_key(&key, past)
        {
            self.last = Last::Other;
            self.kills.end();
            return outcome;
        }
        if self.vi.is_none()
            && let Key::Meta(digit @ '0'..='9') = key
        {
            return self.digit(digit);
        }
        if let (Some(_), Key::Char(digit @ '0'..='9')) = (self.count, &key) {
            return self.digit(*digit);
        }
        let count = self.count.take().unwrap_or(1);
        let before = self.last;
        self.last = Last::Other;
        if !matches!(key, Key::Char(_)) {
            self.buffer.end_group();
        }
        let mut outcome = Outcome::Edited;
        for _ in 0..count.max(1) {
            outcome = self.emacs(&key, before, past);
            if outcome != Outcome::Edited {
                break;
            }
        }
        if self.last != Last::Cut {
            self.kills.end();
        }
        outcome
    }

    /// A completion changed the line: the next one is not the second in a row.
    pub(crate) fn completed(&mut self) {
        self.last = Last::Other;
    }

    fn digit(&mut self, digit: char) -> Outcome {
        let value = digit.to_digit(10).unwrap_or(0) as usize;
        self.count = Some((self.count.unwrap_or(0) * 10 + value).min(MAX_COUNT));
        Outcome::Edited
    }

    fn emacs(&mut self, key: &Key, before: Last, past: &dyn Past) -> Outcome {
        if std::mem::take(&mut self.prefix) {
            return self.prefixed(key);
        }
        if std::mem::take(&mut self.find) {
            let Key::Char(wanted) = key else { return Outcome::Bell };
            let from = self.buffer.point + 1;
            let found = self.buffer.text.iter().skip(from).position(|c| c == wanted);
            return self.moved(found.map(|at| from + at));
        }
        let point = self.buffer.point;
        let len = self.buffer.text.len();
        match key {
            Key::Char(c) => self.typed(*c),
            Key::Paste(text) => self.pasted(text),
            Key::Ctrl('m' | 'j') => return Outcome::Accept,
            Key::Ctrl('o') => {
                self.following = (self.at < past.count()).then_some(self.at + 1);
                return Outcome::Accept;
            }
            Key::Ctrl('c') => return Outcome::Interrupt,
            Key::Ctrl('g') => return Outcome::Bell,
            Key::Ctrl('i') => {
                self.last = Last::Complete;
                return Outcome::Complete { again: before == Last::Complete };
            }
            Key::Meta('?' | '=') => return Outcome::List,
            Key::Ctrl('l') => return Outcome::Clear,
            Key::Ctrl('q' | 'v') => return Outcome::Quote,
            Key::Ctrl('d') if len == 0 => return Outcome::End,
            Key::Ctrl('d') | Key::Delete if point < len => {
                self.buffer.remove(point, self.buffer.after(point));
            }
            Key::Ctrl('h') | Key::Backspace if point > 0 => {
                self.buffer.remove(self.buffer.before(point), point);
            }
            Key::Ctrl('a') | Key::Home => self.buffer.point = self.buffer.line_start(point),
            Key::Ctrl('e') | Key::End => self.buffer.point = self.buffer.line_end(point),
            Key::Ctrl('b') | Key::Left if point > 0 => self.buffer.point = self.buffer.before(point),
            Key::Ctrl('f') | Key::Right if point < len => self.buffer.point = self.buffer.after(point),
            Key::Meta('b') | Key::WordLeft => self.buffer.point = self.buffer.word_start(point),
            Key::Meta('f') | Key::WordRight => self.buffer.point = self.buffer.word_end(point),
            Key::Ctrl('k') => self.cut(point, self.buffer.line_end(point), Cut::Forward),
            Key::Ctrl('u') => self.cut(self.buffer.line_start(point), point, Cut::Backward),
            Key::Ctrl('w') => self.cut(self.buffer.blank_word_start(point), point, Cut::Backward),
            Key::MetaBackspace | Key::MetaCtrl('h') => {
                self.cut(self.buffer.word_start(point), point, Cut::Backward);
            }
            Key::Meta('d') | Key::DeleteWord => self.cut(point, self.buffer.word_end(point), Cut::Forward),
            Key::Meta('\\') => {
                let blank = |c: &&char| matches!(c, ' ' | '\t');
                let left = self.buffer.text[..point].iter().rev().take_while(blank).count();
                let right = self.buffer.text[point..].iter().take_while(blank).count();
                self.buffer.remove(point - left, point + right);
            }
            Key::Ctrl('y') => return self.yank(),
            Key::Meta('y') => return self.yank_other(before),
            Key::Meta('.' | '_') => return self.last_argument(before, past),
            Key::MetaCtrl('y') => return self.first_argument(past),
            Key::Ctrl('t') if self.buffer.transpose_chars() => {}
            Key::Meta('t') if self.buffer.transpose_words() => {}
            Key::Meta('u') => self.buffer.change_case(Case::Upper),
            Key::Meta('l') => self.buffer.change_case(Case::Lower),
            Key::Meta('c') => self.buffer.change_case(Case::Capital),
            Key::Ctrl('_') if self.buffer.undo() => {}
            Key::Meta('r') => self.buffer.undo_all(),
            Key::Meta('#') => {
                self.buffer.point = 0;
                self.buffer.insert(&['#']);
                return Outcome::Accept;
            }
            Key::Ctrl('p') | Key::Up => return self.go(past, self.at.checked_sub(1)),
            Key::Ctrl('n') | Key::Down => return self.go(past, self.at.checked_add(1)),
            Key::Meta('<') | Key::PageUp => return self.go(past, (self.at > 0).then_some(0)),
            Key::Meta('>') | Key::PageDown => {
                return self.go(past, (self.at < past.count()).then_some(past.count()));
            }
            Key::Ctrl('r') => self.begin_search(false),
            Key::Ctrl('s') => self.begin_search(true),
            Key::Ctrl('x') => self.prefix = true,
            Key::Ctrl(']') => self.find = true,
            Key::Insert | Key::Unknown | Key::Ctrl('z' | '\\' | '@' | '[') => {}
            _ => return Outcome::Bell,
        }
        Outcome::Edited
    }

    fn prefixed(&mut self, key: &Key) -> Outcome {
        match key {
            Key::Ctrl('u') if self.buffer.undo() => {}
            Key::Backspace => self.cut(0, self.buffer.point, Cut::Backward),
            _ => return Outcome::Bell,
        }
        Outcome::Edited
    }

    fn moved(&mut self, to: Option<usize>) -> Outcome {
        match to {
            Some(to) => {
                self.buffer.point = to;
                Outcome::Edited
            }
            None => Outcome::Bell,
        }
    }

    /// Inserts a character that was typed.
    pub(crate) fn typed(&mut self, c: char) {
        self.buffer.type_char(c);
    }

    /// Inserts pasted text as it is; its line ends do not end the line.
    pub(super) fn pasted(&mut self, text: &str) {
        let text: Vec<char> = text.replace("\r\n", "\n").replace('\r', "\n").chars().collect();
        self.buffer.insert(&text);
    }

    pub(super) fn cut(&mut self, from: usize, to: usize, way: Cut) {
        let text = self.buffer.remove(from, to);
        self.kills.push(text, way);
        self.last = Last::Cut;
    }

    fn yank(&mut self) -> Outcome {
        let from = self.buffer.point;
        let Some(text) = self.kills.current() else { return Outcome::Bell };
        self.buffer.insert(text);
        self.last = Last::Yank { from };
        Outcome::Edited
    }

    fn yank_other(&mut self, before: Last) -> Outcome {
        let Last::Yank { from } = before else { return Outcome::Bell };
        self.kills.rotate();
        let Some(text) = self.kills.current() else { return Outcome::Bell };
        self.buffer.replace(from, self.buffer.point, text);
        self.last = before;
        Outcome::Edited
    }

    /// Inserts the last word of the line before; in a row, of those before that.
    fn last_argument(&mut self, before: Last, past: &dyn Past) -> Outcome {
        let (from, index) = match before {
            Last::Argument { from, index } => (from, index),
            _ => (self.buffer.point, past.count()),
        };
        let Some(index) = index.checked_sub(1) else {
            self.buffer.remove(from, self.buffer.point);
            return Outcome::Bell;
        };
        let word = past.line(index).and_then(|line| words(line).pop()).unwrap_or_default();
        self.buffer.replace(from, self.buffer.point, &word.chars().collect::<Vec<_>>());
        self.last = Last::Argument { from, index };
        Outcome::Edited
    }

    fn first_argument(&mut self, past: &dyn Past) -> Outcome {
        let line = past.count().checked_sub(1).and_then(|index| past.line(index));
        let Some(word) = line.and_then(|line| words(line).into_iter().nth(1)) else { return Outcome::Bell };
        self.buffer.insert(&word.chars().collect::<Vec<_>>());
        Outcome::Edited
    }

    /// Shows another line of the history; what was changed in this one stays until the line is finished.
    pub(super) fn go(&mut self, past: &dyn Past, to: Option<usize>) -> Outcome {
        let Some(to) = to.filter(|to| *to <= past.count()) else { return Outcome::Bell };
        self.show(past, to);
        Outcome::Edited
    }

    pub(super) fn show(&mut self, past: &dyn Past, to: usize) {
        let text = self.text_at(past, to);
        let own = std::mem::replace(&mut self.at, to);
        let changed = past.line(own).is_none_or(|line| !line.chars().eq(self.buffer.text.iter().copied()));
        if changed && self.edited.len() < MAX_EDITED {
            self.edited.insert(own, std::mem::take(&mut self.buffer.text));
        }
        self.buffer.reset(text);
    }

    /// The text of a line as it would be shown.
    pub(super) fn text_at(&self, past: &dyn Past, index: usize) -> Vec<char> {
        if index == self.at {
            return self.buffer.text.clone();
        }
        match self.edited.get(&index) {
            Some(text) => text.clone(),
            None => past.line(index).unwrap_or_default().chars().collect(),
        }
    }
}

/// The words of a command line, quotes kept.
fn words(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None | Some('"'), '\\') => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}
