//! What the functions of the line editor do to the line being edited. It draws nothing and knows no shell; which keys they are
//! on is in `bindings`.

use super::bindings::Keymap;
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
    /// The word before the cursor is to be completed; the second time in a row, candidates are shown.
    Complete { again: bool },
    /// Candidates are shown.
    List,
    /// The screen is to be cleared.
    Clear,
    /// The next byte is inserted as it is.
    Quote,
    /// The line was changed, and its function is not to be repeated.
    Done,
    /// The line is to be drawn anew.
    Redraw,
    /// The next candidate is put in place of the word; the first time, or again.
    Menu { again: bool, back: bool },
    /// A function that wants more than the line.
    Shell(&'static str),
}

/// What the key before did, where the next one asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Other,
    Cut,
    Yank { from: usize },
    Argument { from: usize, index: usize },
    Complete,
    Prefix,
}

/// A number before a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    negative: bool,
    digits: Option<usize>,
}

impl Count {
    fn value(self) -> isize {
        let value = self.digits.unwrap_or(1) as isize;
        if self.negative { -value } else { value }
    }
}

/// The function that goes the other way, which a negative number asks for.
fn opposite(name: &'static str) -> &'static str {
    const PAIRS: [(&str, &str); 11] = [
        ("forward-char", "backward-char"),
        ("forward-word", "backward-word"),
        ("shell-forward-word", "shell-backward-word"),
        ("delete-char", "backward-delete-char"),
        ("kill-word", "backward-kill-word"),
        ("shell-kill-word", "shell-backward-kill-word"),
        ("kill-line", "backward-kill-line"),
        ("next-history", "previous-history"),
        ("character-search", "character-search-backward"),
        ("history-search-forward", "history-search-backward"),
        ("menu-complete", "menu-complete-backward"),
    ];
    PAIRS
        .iter()
        .find_map(|(a, b)| match name {
            name if name == *a => Some(*b),
            name if name == *b => Some(*a),
            _ => None,
        })
        .unwrap_or(name)
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
    /// A text that is looked for at once is being typed: forward or not.
    pub(super) asked: Option<(bool, Vec<char>)>,
    /// What a search for lines that begin alike goes by.
    pub(super) prefix: Vec<char>,
    count: Option<Count>,
    /// The number that the function being done was given.
    given: Option<isize>,
    /// The cursor goes to the next such character: forward or not.
    find: Option<bool>,
    /// What is typed replaces what is there.
    overwrite: bool,
    /// The cursor stays where it is when another line of the history is shown.
    pub(crate) preserves: bool,
    /// How wide the window is.
    pub(crate) columns: usize,
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
            asked: None,
            prefix: Vec::new(),
            count: None,
            given: None,
            find: None,
            overwrite: false,
            preserves: false,
            columns: 80,
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
        (self.search, self.asked, self.count, self.find, self.overwrite) = (None, None, None, None, false);
        self.set_mode(vi);
        if let Some(next) = self.following.take().filter(|next| *next < past.count()) {
            self.show(past, next);
        }
    }

    /// Changes to the keys of vi or back, which begin in insert mode.
    pub(crate) fn set_mode(&mut self, vi: bool) {
        self.vi = match (vi, self.vi.take()) {
            (true, Some(vi)) => Some(vi.restarted()),
            (true, None) => Some(Vi::default()),
            (false, _) => None,
        };
    }

    /// What stands in place of the last line of the prompt, if anything does.
    pub(crate) fn message(&self) -> Option<String> {
        if let Some(search) = &self.search {
            return Some(search.message());
        }
        if let Some(text) = self.vi.as_ref().and_then(Vi::message) {
            return Some(text);
        }
        if let Some((_, text)) = &self.asked {
            return Some(format!(":{}", text.iter().collect::<String>()));
        }
        self.count.filter(|_| self.vi.is_none()).map(|count| format!("(arg: {}) ", count.value()))
    }

    /// Whether an escape is a key by itself.
    pub(crate) fn escape_is_key(&self) -> bool {
        self.vi.is_some() && self.search.is_none()
    }

    /// The keymap that the next key is looked up in.
    pub(crate) fn keymap(&self) -> Keymap {
        match &self.vi {
            None => Keymap::Emacs,
            Some(vi) if vi.inserts() => Keymap::ViInsert,
            Some(_) => Keymap::ViCommand,
        }
    }

    /// Does what a key stands for.
    pub(crate) fn key(&mut self, key: Key, past: &dyn Past) -> Outcome {
        if self.search.is_some() {
            match self.search_key(&key, past) {
                Some(outcome) => return outcome,
                None => self.last = Last::Other,
            }
        }
        if self.asked.is_some() {
            return self.asked_key(&key, past);
        }
        if self.vi.is_some()
            && let Some(outcome) = self.vi_key(&key, past)
        {
            self.last = Last::Other;
            self.kills.end();
            return outcome;
        }
        let (name, c) = match key {
            Key::Function(name, c) => (name, c),
            Key::Paste(text) => {
                self.end_of_row();
                self.pasted(&text);
                return Outcome::Edited;
            }
            Key::Unbound(_) | Key::Command(_) => {
                self.end_of_row();
                return Outcome::Bell;
            }
        };
        match (name, &mut self.count) {
            ("digit-argument", _) => return self.digit(c),
            ("self-insert", Some(_)) if c.is_ascii_digit() => return self.digit(c),
            ("universal-argument", count) => {
                let digits = count.and_then(|count| count.digits).unwrap_or(1);
                *count = Some(Count { negative: false, digits: Some((digits * 4).min(MAX_COUNT)) });
                return Outcome::Edited;
            }
            _ => {}
        }
        let counted = self.count.take();
        self.given = counted.map(|count| count.value());
        let negative = counted.is_some_and(|count| count.negative);
        let name = if negative { opposite(name) } else { name };
        let before = self.last;
        self.last = Last::Other;
        if name != "self-insert" {
            self.buffer.end_group();
        }
        let mut outcome = Outcome::Edited;
        for _ in 0..counted.map_or(1, |count| count.digits.unwrap_or(1)).max(1) {
            outcome = self.function(name, c, negative, before, past);
            if outcome != Outcome::Edited {
                break;
            }
        }
        if self.last != Last::Cut {
            self.kills.end();
        }
        outcome
    }

    /// What was done in a row is over.
    fn end_of_row(&mut self) {
        self.last = Last::Other;
        self.count = None;
        self.buffer.end_group();
        self.kills.end();
    }

    /// A completion changed the line: the next one is not the second in a row.
    pub(crate) fn completed(&mut self) {
        self.last = Last::Other;
    }

    fn digit(&mut self, digit: char) -> Outcome {
        let count = self.count.get_or_insert_default();
        match digit.to_digit(10) {
            Some(value) => {
                count.digits = Some((count.digits.unwrap_or(0) * 10 + value as usize).min(MAX_COUNT));
            }
            None => count.negative = !count.negative,
        }
        Outcome::Edited
    }

    /// Does one function of the table of keys.
    fn function(
        &mut self,
        name: &'static str,
        c: char,
        negative: bool,
        before: Last,
        past: &dyn Past,
    ) -> Outcome {
        if let Some(way) = self.find.take() {
            let found = match way {
                true => {
                    let from = self.buffer.point + 1;
                    self.buffer.text.iter().skip(from).position(|t| *t == c).map(|at| from + at)
                }
                false => self.buffer.text[..self.buffer.point].iter().rposition(|t| *t == c),
            };
            return self.moved(found);
        }
        let point = self.buffer.point;
        let len = self.buffer.text.len();
        match name {
            "self-insert" => self.typed(c),
            "tab-insert" => self.typed('\t'),
            "accept-line" => return Outcome::Accept,
            "operate-and-get-next" => {
                self.following = (self.at < past.count()).then_some(self.at + 1);
                return Outcome::Accept;
            }
            "complete" | "menu-complete" | "menu-complete-backward" | "old-menu-complete" => {
                self.last = Last::Complete;
                return match name {
                    "complete" => Outcome::Complete { again: before == Last::Complete },
                    _ => Outcome::Menu { again: before == Last::Complete, back: name.ends_with("backward") },
                };
            }
            "possible-completions" => return Outcome::List,
            "delete-char-or-list" if point == len && len > 0 => return Outcome::List,
            "clear-screen" | "clear-display" => return Outcome::Clear,
            "redraw-current-line" => return Outcome::Redraw,
            "quoted-insert" => return Outcome::Quote,
            "delete-char" | "delete-char-or-list" if len == 0 && c == '\x04' => return Outcome::End,
            "delete-char" | "delete-char-or-list" if point < len => {
                self.buffer.remove(point, self.buffer.after(point));
            }
            "forward-backward-delete-char" if point < len => {
                self.buffer.remove(point, self.buffer.after(point));
            }
            "backward-delete-char" | "forward-backward-delete-char" if point > 0 => {
                self.buffer.remove(self.buffer.before(point), point);
            }
            "beginning-of-line" => self.buffer.point = self.buffer.line_start(point),
            "end-of-line" => self.buffer.point = self.buffer.line_end(point),
            "backward-char" | "backward-byte" if point > 0 => self.buffer.point = self.buffer.before(point),
            "forward-char" | "forward-byte" if point < len => self.buffer.point = self.buffer.after(point),
            "backward-word" => self.buffer.point = self.buffer.word_start(point),
            "forward-word" => self.buffer.point = self.buffer.word_end(point),
            "shell-backward-word" => self.buffer.point = self.buffer.shell_word_start(point),
            "shell-forward-word" => self.buffer.point = self.buffer.shell_word_end(point),
            "previous-screen-line" => self.buffer.point = point.saturating_sub(self.columns),
            "next-screen-line" => self.buffer.point = (point + self.columns).min(len),
            "kill-line" => self.cut(point, self.buffer.line_end(point), Cut::Forward),
            "backward-kill-line" => self.cut(0, point, Cut::Backward),
            "unix-line-discard" => self.cut(self.buffer.line_start(point), point, Cut::Backward),
            "kill-whole-line" => self.cut(0, len, Cut::Forward),
            "unix-word-rubout" | "vi-unix-word-rubout" => {
                self.cut(self.buffer.blank_word_start(point), point, Cut::Backward);
            }
            "unix-filename-rubout" => self.cut(self.buffer.file_name_start(point), point, Cut::Backward),
            "backward-kill-word" => self.cut(self.buffer.word_start(point), point, Cut::Backward),
            "kill-word" => self.cut(point, self.buffer.word_end(point), Cut::Forward),
            "shell-backward-kill-word" => {
                self.cut(self.buffer.shell_word_start(point), point, Cut::Backward);
            }
            "shell-kill-word" => self.cut(point, self.buffer.shell_word_end(point), Cut::Forward),
            "set-mark" => self.buffer.mark = point,
            "exchange-point-and-mark" => {
                self.buffer.point = self.buffer.mark.min(len);
                self.buffer.mark = point;
            }
            "kill-region" => {
                let mark = self.buffer.mark.min(len);
                let way = if mark < point { Cut::Backward } else { Cut::Forward };
                self.cut(point.min(mark), point.max(mark), way);
            }
            "copy-region-as-kill" => self.copy(point, self.buffer.mark.min(len)),
            "copy-forward-word" => self.copy(point, self.buffer.word_end(point)),
            "copy-backward-word" => self.copy(self.buffer.word_start(point), point),
            "delete-horizontal-space" => {
                let blank = |c: &&char| matches!(c, ' ' | '\t');
                let left = self.buffer.text[..point].iter().rev().take_while(blank).count();
                let right = self.buffer.text[point..].iter().take_while(blank).count();
                self.buffer.remove(point - left, point + right);
            }
            "yank" => return self.yank(),
            "yank-pop" | "vi-yank-pop" => return self.yank_other(before),
            "yank-last-arg" | "insert-last-argument" | "vi-yank-arg" => {
                return self.last_argument(before, past);
            }
            "yank-nth-arg" => return self.nth_argument(past),
            "transpose-chars" if self.buffer.transpose_chars() => {}
            "transpose-words" if self.buffer.transpose_words() => {}
            "shell-transpose-words" if self.buffer.transpose_shell_words() => {}
            "upcase-word" => self.buffer.change_case(Case::Upper, negative),
            "downcase-word" => self.buffer.change_case(Case::Lower, negative),
            "capitalize-word" => self.buffer.change_case(Case::Capital, negative),
            "overwrite-mode" => self.overwrite = !self.overwrite,
            "undo" | "vi-undo" if self.buffer.undo() => {}
            "revert-line" => self.buffer.undo_all(),
            "previous-history" => return self.go(past, self.at.checked_sub(1)),
            "next-history" => return self.go(past, self.at.checked_add(1)),
            "beginning-of-history" => return self.go(past, (self.at > 0).then_some(0)),
            "end-of-history" => return self.go(past, (self.at < past.count()).then_some(past.count())),
            "fetch-history" => {
                let to = self.given.map_or(0, |n| n.unsigned_abs().saturating_sub(1));
                self.given = None;
                return match self.go(past, Some(to)) {
                    Outcome::Edited => Outcome::Done,
                    other => other,
                };
            }
            "history-search-backward"
            | "history-search-forward"
            | "history-substring-search-backward"
            | "history-substring-search-forward" => {
                let again = before == Last::Prefix;
                self.last = Last::Prefix;
                return self.prefix_search(
                    name.ends_with("forward"),
                    name.contains("substring"),
                    again,
                    past,
                );
            }
            "reverse-search-history" => self.begin_search(false),
            "forward-search-history" => self.begin_search(true),
            "non-incremental-reverse-search-history" => self.ask(false),
            "non-incremental-forward-search-history" => self.ask(true),
            "non-incremental-reverse-search-history-again" => {
                return self.seek_line(false, Vec::new(), past);
            }
            "non-incremental-forward-search-history-again" => {
                return self.seek_line(true, Vec::new(), past);
            }
            "character-search" => self.find = Some(true),
            "character-search-backward" => self.find = Some(false),
            "vi-eof-maybe" if len == 0 => return Outcome::End,
            "vi-eof-maybe" => return Outcome::Accept,
            "vi-movement-mode" | "vi-editing-mode" | "emacs-editing-mode" => return Outcome::Shell(name),
            "skip-csi-sequence" | "abort" => return Outcome::Bell,
            _ if super::functions::NAMES.contains(&name) => return Outcome::Shell(name),
            _ => return Outcome::Bell,
        }
        Outcome::Edited
    }

    fn copy(&mut self, a: usize, b: usize) {
        self.kills.end();
        self.kills.push(self.buffer.text[a.min(b)..a.max(b)].to_vec(), Cut::Forward);
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

    /// Inserts a character that was typed, or puts it in place of the one that is there.
    pub(crate) fn typed(&mut self, c: char) {
        let point = self.buffer.point;
        if self.overwrite && point < self.buffer.text.len() {
            self.buffer.replace(point, self.buffer.after(point), &[c]);
        } else {
            self.buffer.type_char(c);
        }
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
    pub(super) fn last_argument(&mut self, before: Last, past: &dyn Past) -> Outcome {
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

    /// Inserts a word of the line before: the first argument, or the one that was asked for, from the end if negative.
    fn nth_argument(&mut self, past: &dyn Past) -> Outcome {
        let line = past.count().checked_sub(1).and_then(|index| past.line(index));
        let words = line.map(words).unwrap_or_default();
        let wanted = match self.given {
            Some(n) if n < 0 => words.len().checked_sub(n.unsigned_abs()),
            Some(n) => Some(n.unsigned_abs()),
            None => Some(1),
        };
        let Some(word) = wanted.and_then(|n| words.get(n)) else { return Outcome::Bell };
        self.buffer.insert(&word.chars().collect::<Vec<_>>());
        Outcome::Done
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
        let point = self.buffer.point;
        self.buffer.reset(text);
        if self.preserves {
            self.buffer.point = point.min(self.buffer.text.len());
        }
    }

    /// The lines of the history that were changed and are not the one that is finished.
    pub(crate) fn changed_lines(&mut self, past: &dyn Past) -> Vec<(usize, String)> {
        let (at, count) = (self.at, past.count());
        let changed = self.edited.drain().filter(|(index, _)| *index != at && *index < count);
        changed.map(|(index, text)| (index, text.into_iter().collect())).collect()
    }

    /// Whether the line that is shown is one of the history and was changed.
    pub(crate) fn is_modified(&self, past: &dyn Past) -> bool {
        past.line(self.at).is_some_and(|line| !line.chars().eq(self.buffer.text.iter().copied()))
    }

    /// The number that was typed before a key that is no function.
    pub(crate) fn take_count(&mut self) -> Option<isize> {
        self.count.take().map(Count::value)
    }

    /// The number that the function that is done was given.
    pub(crate) fn given(&self) -> Option<isize> {
        self.given
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
pub(super) fn words(line: &str) -> Vec<String> {
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
