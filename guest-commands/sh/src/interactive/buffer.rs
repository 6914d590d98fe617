//! The text of the line being edited: where the cursor is, how it moves, what is cut and brought back. It knows no keys.

use super::width::width;

/// How long a line may become, in characters.
pub(crate) const MAX_TEXT: usize = 1 << 20;
/// How many former states are kept, and how many characters they may have together.
const MAX_UNDO: usize = 1000;
const MAX_UNDO_TEXT: usize = 4 << 20;
/// How many cut texts are kept, as readline does.
const MAX_KILLS: usize = 10;
/// How many characters typed one after the other are undone at once.
const GROUP: u32 = 20;

/// A line and its cursor.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    pub(crate) text: Vec<char>,
    /// The cursor stands before this character.
    pub(crate) point: usize,
    /// The other end of the region.
    pub(crate) mark: usize,
    undo: Vec<(Vec<char>, usize)>,
    undo_text: usize,
    /// How many characters the last state to undo covers already.
    typed: u32,
}

/// Which way text was cut, so that cuts in a row become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Forward,
    Backward,
}

/// What case a word gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Upper,
    Lower,
    Capital,
}

impl Buffer {
    pub(crate) fn string(&self) -> String {
        self.text.iter().collect()
    }

    /// Begins with another text, cursor at its end; nothing can be undone.
    pub(crate) fn reset(&mut self, text: Vec<char>) {
        self.point = text.len();
        self.mark = 0;
        self.text = text;
        self.undo.clear();
        self.undo_text = 0;
        self.typed = 0;
    }

    /// Notes the state so that [`Buffer::undo`] comes back to it.
    pub(crate) fn save(&mut self) {
        self.typed = 0;
        self.undo_text += self.text.len();
        self.undo.push((self.text.clone(), self.point));
        while self.undo.len() > MAX_UNDO || self.undo_text > MAX_UNDO_TEXT && self.undo.len() > 1 {
            self.undo_text -= self.undo.remove(0).0.len();
        }
    }

    /// Goes back one change; false if there is none.
    pub(crate) fn undo(&mut self) -> bool {
        self.typed = 0;
        let Some((text, point)) = self.undo.pop() else { return false };
        self.undo_text -= text.len();
        (self.text, self.point) = (text, point);
        true
    }

    /// Goes back all changes.
    pub(crate) fn undo_all(&mut self) {
        while self.undo() {}
    }

    /// Inserts a character that was typed; those before it in a row are undone with it.
    pub(crate) fn type_char(&mut self, c: char) {
        if self.typed == 0 || self.typed >= GROUP {
            self.save();
        }
        let typed = self.typed + 1;
        self.put(&[c]);
        self.typed = typed;
    }

    /// Something other than typing happened.
    pub(crate) fn end_group(&mut self) {
        self.typed = 0;
    }

    pub(crate) fn insert(&mut self, text: &[char]) {
        self.save();
        self.put(text);
    }

    fn put(&mut self, text: &[char]) {
        let room = MAX_TEXT.saturating_sub(self.text.len()).min(text.len());
        self.text.splice(self.point..self.point, text[..room].iter().copied());
        self.point += room;
    }

    /// Replaces a range; the cursor stands after what came in.
    pub(crate) fn replace(&mut self, from: usize, to: usize, text: &[char]) {
        self.save();
        self.text.drain(from..to);
        self.point = from;
        self.put(text);
    }

    /// Removes a range and returns it.
    pub(crate) fn remove(&mut self, from: usize, to: usize) -> Vec<char> {
        if from >= to {
            return Vec::new();
        }
        self.save();
        self.point = match self.point {
            p if p > to => p - (to - from),
            p => p.min(from),
        };
        self.text.drain(from..to).collect()
    }

    // --- positions

    /// The start of the character before `at`, with what joins it.
    pub(crate) fn before(&self, at: usize) -> usize {
        let mut at = at;
        while at > 0 {
            at -= 1;
            if self.text[at].is_control() || width(self.text[at]) > 0 {
                break;
            }
        }
        at
    }

    /// The end of the character at `at`, with what joins it.
    pub(crate) fn after(&self, at: usize) -> usize {
        let mut at = at;
        while at < self.text.len() {
            at += 1;
            if self.text.get(at).is_none_or(|c| c.is_control() || width(*c) > 0) {
                break;
            }
        }
        at
    }

    /// The end of the word at or after `at`; a word is of letters and digits.
    pub(crate) fn word_end(&self, at: usize) -> usize {
        let word = |i: usize| self.text.get(i).is_some_and(|c| c.is_alphanumeric());
        let mut at = at;
        while at < self.text.len() && !word(at) {
            at += 1;
        }
        while word(at) {
            at += 1;
        }
        at
    }

    /// The start of the word before `at`.
    pub(crate) fn word_start(&self, at: usize) -> usize {
        let mut at = at;
        while at > 0 && !self.text[at - 1].is_alphanumeric() {
            at -= 1;
        }
        while at > 0 && self.text[at - 1].is_alphanumeric() {
            at -= 1;
        }
        at
    }

    /// The start of the blank-separated word before `at`.
    pub(crate) fn blank_word_start(&self, at: usize) -> usize {
        let mut at = at;
        while at > 0 && self.text[at - 1].is_whitespace() {
            at -= 1;
        }
        while at > 0 && !self.text[at - 1].is_whitespace() {
            at -= 1;
        }
        at
    }

    /// The start of what a slash or a blank separates before `at`.
    pub(crate) fn file_name_start(&self, at: usize) -> usize {
        let separates = |c: char| c.is_whitespace() || c == '/';
        let mut at = at;
        while at > 0 && separates(self.text[at - 1]) {
            at -= 1;
        }
        while at > 0 && !separates(self.text[at - 1]) {
            at -= 1;
        }
        at
    }

    /// Where the words of the shell are: blanks and operators separate them, quotes keep them together.
    fn shell_words(&self) -> Vec<(usize, usize)> {
        let mut words = Vec::new();
        let mut start = None;
        let mut quote = None;
        let mut at = 0;
        while at < self.text.len() {
            let c = self.text[at];
            let separates = c.is_whitespace() || matches!(c, ';' | '&' | '|' | '<' | '>' | '(' | ')');
            if quote.is_none() && separates {
                words.extend(start.take().map(|start| (start, at)));
            } else {
                start = start.or(Some(at));
                match (quote, c) {
                    (None | Some('"'), '\\') => at += 1,
                    (None, '\'' | '"') => quote = Some(c),
                    (Some(open), c) if open == c => quote = None,
                    _ => {}
                }
            }
            at += 1;
        }
        words.extend(start.map(|start| (start, self.text.len())));
        words
    }

    /// The end of the shell's word at or after `at`.
    pub(crate) fn shell_word_end(&self, at: usize) -> usize {
        self.shell_words().iter().find(|(_, end)| *end > at).map_or(self.text.len(), |(_, end)| *end)
    }

    /// The start of the shell's word before `at`.
    pub(crate) fn shell_word_start(&self, at: usize) -> usize {
        self.shell_words().iter().rev().find(|(start, _)| *start < at).map_or(0, |(start, _)| *start)
    }

    /// The start of the line of a text of several that `at` is in.
    pub(crate) fn line_start(&self, at: usize) -> usize {
        self.text[..at].iter().rposition(|c| *c == '\n').map_or(0, |i| i + 1)
    }

    /// Its end.
    pub(crate) fn line_end(&self, at: usize) -> usize {
        self.text[at..].iter().position(|c| *c == '\n').map_or(self.text.len(), |i| at + i)
    }

    // --- changes of words

    /// Exchanges the characters around the cursor.
    pub(crate) fn transpose_chars(&mut self) -> bool {
        if self.point == 0 || self.text.len() < 2 {
            return false;
        }
        self.save();
        let at = self.point.min(self.text.len() - 1);
        self.text.swap(at - 1, at);
        self.point = at + 1;
        true
    }

    /// Exchanges the word before the cursor with the one after it.
    pub(crate) fn transpose_words(&mut self) -> bool {
        let second_end = self.word_end(self.point);
        let second = self.word_start(second_end);
        let first = self.word_start(second);
        self.exchange((first, self.word_end(first)), (second, second_end))
    }

    /// The same with words of the shell.
    pub(crate) fn transpose_shell_words(&mut self) -> bool {
        let second_end = self.shell_word_end(self.point);
        let second = self.shell_word_start(second_end);
        let first = self.shell_word_start(second);
        self.exchange((first, self.shell_word_end(first)), (second, second_end))
    }

    fn exchange(&mut self, first: (usize, usize), second: (usize, usize)) -> bool {
        if first.0 == second.0 || second.0 < first.1 {
            return false;
        }
        self.save();
        let mut changed: Vec<char> = self.text[second.0..second.1].to_vec();
        changed.extend_from_slice(&self.text[first.1..second.0]);
        changed.extend_from_slice(&self.text[first.0..first.1]);
        self.text.splice(first.0..second.1, changed);
        self.point = second.1;
        true
    }

    /// Changes the case up to the end of the word; or of the word before the cursor, which stays.
    pub(crate) fn change_case(&mut self, case: Case, back: bool) {
        let (start, end) = match back {
            true => (self.word_start(self.point), self.point),
            false => (self.point, self.word_end(self.point)),
        };
        if end == start {
            return;
        }
        self.save();
        let mut first = true;
        for c in &mut self.text[start..end] {
            let upper = case == Case::Upper || case == Case::Capital && first && c.is_alphanumeric();
            first = first && !c.is_alphanumeric();
            // Where a case is not one character, it stays.
            *c = if upper { one(c.to_uppercase(), *c) } else { one(c.to_lowercase(), *c) };
        }
        self.point = end;
    }
}

fn one(mut chars: impl Iterator<Item = char>, or: char) -> char {
    match (chars.next(), chars.next()) {
        (Some(c), None) => c,
        _ => or,
    }
}

/// Texts that were cut.
#[derive(Debug, Default)]
pub(crate) struct Kills {
    ring: Vec<Vec<char>>,
    at: usize,
    last: Option<Cut>,
}

impl Kills {
    /// Keeps a text; cuts in a row become one.
    pub(crate) fn push(&mut self, text: Vec<char>, cut: Cut) {
        if text.is_empty() {
            return;
        }
        match (self.last, self.ring.last_mut()) {
            (Some(_), Some(last)) if last.len() + text.len() <= MAX_TEXT => match cut {
                Cut::Forward => last.extend(text),
                Cut::Backward => drop(last.splice(0..0, text)),
            },
            _ => {
                if self.ring.len() >= MAX_KILLS {
                    self.ring.remove(0);
                }
                self.ring.push(text);
            }
        }
        self.last = Some(cut);
        self.at = self.ring.len().saturating_sub(1);
    }

    /// The next cut begins a text of its own.
    pub(crate) fn end(&mut self) {
        self.last = None;
    }

    pub(crate) fn current(&self) -> Option<&[char]> {
        self.ring.get(self.at).map(Vec::as_slice)
    }

    /// Turns to the text before.
    pub(crate) fn rotate(&mut self) {
        self.at = if self.at == 0 { self.ring.len().saturating_sub(1) } else { self.at - 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(text: &str) -> Buffer {
        let mut buffer = Buffer::default();
        let point = text.find('|').unwrap_or(text.len());
        buffer.reset(text.replace('|', "").chars().collect());
        buffer.point = buffer.string()[..point].chars().count();
        buffer
    }

    fn shown(buffer: &Buffer) -> String {
        let (a, b) = buffer.text.split_at(buffer.point);
        format!("{}|{}", a.iter().collect::<String>(), b.iter().collect::<String>())
    }

    #[test]
    fn words() {
        for (text, end, start, blank) in
            [("ab| cd", 5, 0, 0), ("a-b c-|", 6, 4, 4), ("|", 0, 0, 0), ("x /usr/l|ib", 10, 7, 2)]
        {
            let b = buffer(text);
            let found = (b.word_end(b.point), b.word_start(b.point), b.blank_word_start(b.point));
            assert_eq!(found, (end, start, blank), "{text}");
        }
    }

    #[test]
    fn changes() {
        type Change = fn(&mut Buffer);
        let table: [(&str, Change, &str); 8] = [
            ("ab|", |b| assert!(b.transpose_chars()), "ba|"),
            ("a|bc", |b| assert!(b.transpose_chars()), "ba|c"),
            ("one |two", |b| assert!(b.transpose_words()), "two one|"),
            ("|one two", |b| b.change_case(Case::Upper, false), "ONE| two"),
            ("| one TWO", |b| b.change_case(Case::Capital, false), " One| TWO"),
            ("one| TWO", |b| b.change_case(Case::Lower, false), "one two|"),
            ("a|bcd", |b| drop(b.remove(1, 3)), "a|d"),
            ("abcd|", |b| drop(b.remove(1, 3)), "ad|"),
        ];
        for (text, change, wanted) in table {
            let mut b = buffer(text);
            change(&mut b);
            assert_eq!(shown(&b), wanted, "{text}");
            b.undo_all();
            assert_eq!(shown(&b), text);
        }
    }

    #[test]
    fn undo_is_bounded() {
        let mut b = buffer("");
        for _ in 0..3 * MAX_UNDO {
            b.insert(&['x'; 10]);
        }
        assert!(b.undo.len() <= MAX_UNDO && b.undo_text <= MAX_UNDO_TEXT);
        b.undo_all();
        assert_eq!(b.undo_text, 0);
    }

    #[test]
    fn combining_characters_stay_together() {
        let b = buffer("e\u{301}a|");
        assert_eq!((b.before(2), b.after(0)), (0, 2));
    }

    #[test]
    fn cuts_in_a_row_are_one() {
        let mut kills = Kills::default();
        kills.push(vec!['b'], Cut::Forward);
        kills.push(vec!['a'], Cut::Backward);
        kills.push(vec!['c'], Cut::Forward);
        assert_eq!(kills.current(), Some(&['a', 'b', 'c'][..]));
        kills.end();
        kills.push(vec!['z'], Cut::Forward);
        kills.rotate();
        assert_eq!(kills.current().map(<[char]>::len), Some(3));
    }
}
