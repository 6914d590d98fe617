//! `set -o vi`: the insert and command mode of readline, with the commands that are much used.

use super::buffer::{Cut, MAX_TEXT};
use super::editor::{Editor, Last, Outcome, Past};
use super::keys::Key;
use crate::builtins::keys::FUNCTIONS;

const MAX_COUNT: usize = 9999;
/// How many keys of a change are kept to be done again.
const MAX_KEYS: usize = 4096;

/// What the next key of command mode is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wants {
    Command,
    /// A motion for `d`, `c` or `y`.
    Motion(char),
    /// The character of `f`, `F`, `t` or `T`, and the operator waiting for that motion.
    Find(char, Option<char>),
    /// The character of `r`.
    Replacement,
    /// The name of a mark that is set with `m` or gone to.
    Mark(char),
    /// The text of `/` or `?`.
    Search(char, Vec<char>),
}

/// The state of vi mode.
#[derive(Debug)]
pub(crate) struct Vi {
    insert: bool,
    /// `R`: characters replace those that are there.
    over: bool,
    wants: Wants,
    count: Option<usize>,
    found: Option<(char, char)>,
    /// Where the marks are.
    marks: [usize; 26],
    /// The keys of the change being made, and of the last one that was.
    keys: Vec<Key>,
    change: Vec<Key>,
    changing: bool,
    replaying: bool,
}

impl Default for Vi {
    fn default() -> Self {
        Vi {
            insert: true,
            over: false,
            wants: Wants::Command,
            count: None,
            found: None,
            marks: [0; 26],
            keys: Vec::new(),
            change: Vec::new(),
            changing: false,
            replaying: false,
        }
    }
}

impl Vi {
    /// For the next line: in insert mode.
    pub(super) fn restarted(self) -> Self {
        Vi { found: self.found, change: self.change, ..Vi::default() }
    }

    /// Whether keys insert characters.
    pub(super) fn inserts(&self) -> bool {
        self.insert
    }

    /// What stands in place of the prompt.
    pub(super) fn message(&self) -> Option<String> {
        match &self.wants {
            Wants::Search(c, text) => Some(format!("{c}{}", text.iter().collect::<String>())),
            _ => None,
        }
    }
}

/// The command that a function of command mode is: the key it was typed with if that is its own, else its first one.
fn command(name: &str, typed: char) -> Option<char> {
    Some(match name {
        "backward-char" | "backward-delete-char" => 'h',
        "forward-char" => 'l',
        "previous-history" => 'k',
        "next-history" => 'j',
        "beginning-of-line" => '0',
        "end-of-line" => '$',
        "delete-char" => 'x',
        "insert-comment" => '#',
        "revert-line" => 'U',
        "vi-bWord" | "vi-backward-bigword" => 'B',
        "vi-bword" | "vi-backward-word" => 'b',
        "vi-eWord" | "vi-end-bigword" => 'E',
        "vi-eword" => 'e',
        "vi-fWord" | "vi-forward-bigword" => 'W',
        "vi-fword" | "vi-forward-word" => 'w',
        "vi-back-to-indent" => '^',
        "vi-complete" if matches!(typed, '=' | '*') => typed,
        "vi-complete" => '\\',
        "vi-eof-maybe" | "vi-unix-word-rubout" | "vi-yank-pop" | "vi-movement-mode" => return None,
        _ => {
            let (.., keys) =
                FUNCTIONS.iter().find(|(known, ..)| *known == name && name.starts_with("vi-"))?;
            let own = |key: &&&str| key.chars().eq([typed]);
            return keys.iter().find(own).or(keys.first())?.chars().next();
        }
    })
}

impl Editor {
    /// Handles a key in vi mode; `None` leaves it to the keys of emacs mode.
    pub(super) fn vi_key(&mut self, key: &Key, past: &dyn Past) -> Option<Outcome> {
        let vi = self.vi.as_mut()?;
        if !vi.replaying && vi.keys.len() < MAX_KEYS {
            vi.keys.push(key.clone());
        }
        let outcome = if vi.insert { self.vi_insert(key) } else { self.vi_command(key, past) };
        let vi = self.vi.as_mut()?;
        if !vi.insert && vi.wants == Wants::Command && vi.count.is_none() && !vi.replaying {
            let keys = std::mem::take(&mut vi.keys);
            if std::mem::take(&mut vi.changing) {
                vi.change = keys;
            }
        }
        outcome
    }

    fn vi_insert(&mut self, key: &Key) -> Option<Outcome> {
        let point = self.buffer.point;
        let vi = self.vi.as_mut()?;
        match key {
            Key::Function("vi-movement-mode", _) => {
                vi.insert = false;
                vi.over = false;
                self.buffer.end_group();
                self.buffer.point = self.buffer.before(point).max(self.buffer.line_start(point));
                Some(Outcome::Edited)
            }
            Key::Function("self-insert", c) if vi.over && point < self.buffer.text.len() => {
                self.buffer.replace(point, self.buffer.after(point), &[*c]);
                Some(Outcome::Edited)
            }
            _ => None,
        }
    }

    fn vi_command(&mut self, key: &Key, past: &dyn Past) -> Option<Outcome> {
        let vi = self.vi.as_mut()?;
        let raw = key.char().unwrap_or('\x1b');
        let c = match (&vi.wants, key) {
            (Wants::Search(..), Key::Function("accept-line", _)) => '\n',
            (Wants::Search(..) | Wants::Find(..) | Wants::Replacement | Wants::Mark(_), _)
                if !raw.is_control() =>
            {
                raw
            }
            (Wants::Search(..), _) if matches!(raw, '\x08' | '\x7f') => raw,
            (_, Key::Function(name, _)) => match command(name, raw) {
                Some(c) => c,
                None => {
                    (vi.wants, vi.count) = (Wants::Command, None);
                    return None;
                }
            },
            // These are bound without a name that could be listed, as in bash.
            (_, Key::Unbound(c @ ('=' | '*' | '\\'))) => *c,
            (_, Key::Command(_)) => return None,
            _ => {
                (vi.wants, vi.count) = (Wants::Command, None);
                return Some(Outcome::Bell);
            }
        };
        if let Wants::Search(way, mut text) = vi.wants.clone() {
            match c {
                '\n' => {
                    vi.wants = Wants::Command;
                    return Some(self.seek_line(way == '?', text, past));
                }
                '\x08' | '\x7f' => drop(text.pop()),
                c if text.len() < 1000 => text.push(c),
                _ => {}
            }
            vi.wants = Wants::Search(way, text);
            return Some(Outcome::Edited);
        }
        if matches!(vi.wants, Wants::Command | Wants::Motion(_))
            && (c.is_ascii_digit() && c != '0' || c == '0' && vi.count.is_some())
        {
            let digit = c.to_digit(10).unwrap_or(0) as usize;
            vi.count = Some((vi.count.unwrap_or(0) * 10 + digit).min(MAX_COUNT));
            return Some(Outcome::Edited);
        }
        let wants = std::mem::replace(&mut vi.wants, Wants::Command);
        if let ('f' | 'F' | 't' | 'T', Wants::Command | Wants::Motion(_)) = (c, &wants) {
            let operator = if let Wants::Motion(operator) = wants { Some(operator) } else { None };
            vi.wants = Wants::Find(c, operator);
            return Some(Outcome::Edited);
        }
        let counted = vi.count;
        let count = vi.count.take().unwrap_or(1);
        Some(match wants {
            Wants::Find(way, operator) => {
                vi.found = Some((way, c));
                let to = self.find_char(way, c, count);
                self.vi_apply(operator, to)
            }
            Wants::Mark(way) => {
                let place = (c as usize).checked_sub('a' as usize).filter(|place| *place < 26)?;
                let point = self.buffer.point;
                let mark = self.vi.as_mut().map(|vi| &mut vi.marks[place])?;
                if way == 'm' {
                    *mark = point;
                } else {
                    self.buffer.point = (*mark).min(self.buffer.text.len());
                    self.stay_on_text();
                }
                Outcome::Edited
            }
            Wants::Replacement => {
                let (from, mut to) = (self.buffer.point, self.buffer.point);
                for _ in 0..count {
                    to = self.buffer.after(to);
                }
                let with = vec![c; count.min(to - from)];
                self.buffer.replace(from, to, &with);
                self.buffer.point = self.buffer.before(self.buffer.point);
                self.changed()
            }
            Wants::Motion(operator) if c == operator => {
                let (start, end) = (0, self.buffer.text.len());
                self.operate(operator, start, end)
            }
            Wants::Motion('c') if c == 'w' || c == 'W' => {
                // `cw` leaves the blanks after the word.
                let to = self.motion(if c == 'w' { 'e' } else { 'E' }, count).map(|(at, _)| (at, true));
                self.vi_apply(Some('c'), to)
            }
            Wants::Motion(operator) => match self.motion(c, count) {
                Some(to) => self.vi_apply(Some(operator), Some(to)),
                None => Outcome::Bell,
            },
            Wants::Command | Wants::Search(..) => self.vi_simple(c, count, counted, past),
        })
    }

    fn changed(&mut self) -> Outcome {
        if let Some(vi) = &mut self.vi {
            vi.changing = true;
        }
        Outcome::Edited
    }

    fn inserting(&mut self, at: usize) -> Outcome {
        self.buffer.point = at.min(self.buffer.text.len());
        if let Some(vi) = &mut self.vi {
            vi.insert = true;
        }
        self.changed()
    }

    fn vi_apply(&mut self, operator: Option<char>, to: Option<(usize, bool)>) -> Outcome {
        let Some((to, inclusive)) = to else { return Outcome::Bell };
        let point = self.buffer.point;
        match operator {
            None => {
                self.buffer.point = to;
                self.stay_on_text();
                Outcome::Edited
            }
            Some(operator) => {
                let (from, to) = (point.min(to), point.max(to));
                let to = if inclusive { self.buffer.after(to) } else { to };
                self.operate(operator, from, to)
            }
        }
    }

    fn operate(&mut self, operator: char, from: usize, to: usize) -> Outcome {
        self.kills.end();
        if operator == 'y' {
            self.kills.push(self.buffer.text[from..to].to_vec(), Cut::Forward);
            self.buffer.point = from;
            return Outcome::Edited;
        }
        self.cut(from, to, Cut::Forward);
        if operator == 'c' {
            return self.inserting(from);
        }
        self.stay_on_text();
        self.changed()
    }

    /// In command mode the cursor stands on a character.
    fn stay_on_text(&mut self) {
        let len = self.buffer.text.len();
        if self.buffer.point >= len {
            self.buffer.point = self.buffer.before(len);
        }
    }

    /// Where a motion leads, and whether an operator takes that character too.
    fn motion(&self, c: char, count: usize) -> Option<(usize, bool)> {
        let text = &self.buffer.text;
        let point = self.buffer.point;
        let class = |c: char, big: bool| match c {
            c if c.is_whitespace() => 0,
            _ if big => 1,
            c if c.is_alphanumeric() || c == '_' => 1,
            _ => 2,
        };
        let mut at = point;
        match c {
            'h' if point > 0 => (0..count).for_each(|_| at = self.buffer.before(at)),
            'l' | ' ' if point < text.len() => (0..count).for_each(|_| at = self.buffer.after(at)),
            '0' => at = 0,
            '^' => at = text.iter().position(|c| !c.is_whitespace()).unwrap_or(0),
            '$' => at = text.len(),
            '|' => at = (count - 1).min(text.len()),
            'w' | 'W' => {
                let kind = |i: usize| class(text[i], c == 'W');
                for _ in 0..count {
                    let first = text.get(at).map(|t| class(*t, c == 'W'));
                    while at < text.len() && Some(kind(at)) == first && first != Some(0) {
                        at += 1;
                    }
                    while at < text.len() && kind(at) == 0 {
                        at += 1;
                    }
                }
            }
            'b' | 'B' => {
                let kind = |i: usize| class(text[i], c == 'B');
                for _ in 0..count {
                    while at > 0 && kind(at - 1) == 0 {
                        at -= 1;
                    }
                    let first = at.checked_sub(1).map(kind);
                    while at > 0 && Some(kind(at - 1)) == first {
                        at -= 1;
                    }
                }
            }
            'e' | 'E' => {
                let kind = |i: usize| class(text[i], c == 'E');
                for _ in 0..count {
                    at += 1;
                    while at < text.len() && kind(at) == 0 {
                        at += 1;
                    }
                    let first = text.get(at).map(|t| class(*t, c == 'E'));
                    while at + 1 < text.len() && Some(kind(at + 1)) == first {
                        at += 1;
                    }
                }
                return (!text.is_empty()).then(|| (at.min(text.len() - 1), true));
            }
            '%' => return self.matching().map(|at| (at, true)),
            ';' | ',' => {
                let (way, wanted) = self.vi.as_ref()?.found?;
                let other =
                    if way.is_lowercase() { way.to_ascii_uppercase() } else { way.to_ascii_lowercase() };
                return self.find_char(if c == ';' { way } else { other }, wanted, count);
            }
            _ => return None,
        }
        Some((at, false))
    }

    /// The bracket that belongs to the one at or after the cursor.
    fn matching(&self) -> Option<usize> {
        const PAIRS: [char; 6] = ['(', ')', '[', ']', '{', '}'];
        let text = &self.buffer.text;
        let at = (self.buffer.point..text.len()).find(|i| PAIRS.contains(&text[*i]))?;
        let kind = PAIRS.iter().position(|p| *p == text[at])?;
        let (own, other) = (text[at], PAIRS[kind ^ 1]);
        let mut depth = 0usize;
        let mut step = |i: &usize| {
            depth = if text[*i] == own {
                depth + 1
            } else if text[*i] == other {
                depth - 1
            } else {
                depth
            };
            depth == 0
        };
        if kind % 2 == 0 { (at..text.len()).find(&mut step) } else { (0..=at).rev().find(&mut step) }
    }

    fn find_char(&self, way: char, wanted: char, count: usize) -> Option<(usize, bool)> {
        let text = &self.buffer.text;
        let point = self.buffer.point;
        let near = matches!(way, 't' | 'T');
        Some(if way.is_ascii_lowercase() {
            let at = (point + 1..text.len()).filter(|i| text[*i] == wanted).nth(count - 1)?;
            (at - usize::from(near), true)
        } else {
            let at = (0..point).rev().filter(|i| text[*i] == wanted).nth(count - 1)?;
            (at + usize::from(near), false)
        })
    }

    fn vi_go(&mut self, past: &dyn Past, to: Option<usize>) -> Outcome {
        let outcome = self.go(past, to);
        if outcome == Outcome::Edited {
            self.buffer.point = 0;
        }
        outcome
    }

    /// A command that is one character.
    fn vi_simple(&mut self, c: char, count: usize, counted: Option<usize>, past: &dyn Past) -> Outcome {
        let point = self.buffer.point;
        let len = self.buffer.text.len();
        if let Some(to) = self.motion(c, count) {
            return self.vi_apply(None, Some(to));
        }
        let wants = match c {
            'd' | 'c' | 'y' => Some(Wants::Motion(c)),
            'r' if point < len => Some(Wants::Replacement),
            '/' | '?' => Some(Wants::Search(c, Vec::new())),
            'm' | '`' => Some(Wants::Mark(c)),
            _ => None,
        };
        if let (Some(wants), Some(vi)) = (wants, self.vi.as_mut()) {
            (vi.wants, vi.count) = (wants, counted);
            return Outcome::Edited;
        }
        match c {
            'i' => self.inserting(point),
            'a' => self.inserting(self.buffer.after(point)),
            'I' => self.inserting(0),
            'A' => self.inserting(len),
            'R' => {
                if let Some(vi) = &mut self.vi {
                    vi.over = true;
                }
                self.inserting(point)
            }
            'x' | 's' if point < len => {
                let mut to = point;
                (0..count).for_each(|_| to = self.buffer.after(to));
                self.operate(if c == 'x' { 'd' } else { 'c' }, point, to)
            }
            'X' if point > 0 => {
                let mut from = point;
                (0..count).for_each(|_| from = self.buffer.before(from));
                self.operate('d', from, point)
            }
            's' => self.inserting(point),
            'D' => self.operate('d', point, len),
            'C' => self.operate('c', point, len),
            'S' => self.operate('c', 0, len),
            'Y' => self.operate('y', point, len),
            'p' | 'P' => {
                let Some(text) = self.kills.current() else { return Outcome::Bell };
                let text: Vec<char> =
                    std::iter::repeat_n(text, count).flatten().copied().take(MAX_TEXT).collect();
                self.buffer.point = if c == 'p' { self.buffer.after(point) } else { point };
                self.buffer.insert(&text);
                self.buffer.point = self.buffer.before(self.buffer.point);
                self.changed()
            }
            '~' if point < len => {
                let mut to = point;
                (0..count).for_each(|_| to = self.buffer.after(to));
                let swapped = |c: &char| {
                    let mut other: Box<dyn Iterator<Item = char>> = if c.is_uppercase() {
                        Box::new(c.to_lowercase())
                    } else {
                        Box::new(c.to_uppercase())
                    };
                    other.next().unwrap_or(*c)
                };
                let text: Vec<char> = self.buffer.text[point..to].iter().map(swapped).collect();
                self.buffer.replace(point, to, &text);
                self.stay_on_text();
                self.changed()
            }
            'u' if self.buffer.undo() => {
                self.stay_on_text();
                Outcome::Edited
            }
            'U' => {
                self.buffer.undo_all();
                self.stay_on_text();
                Outcome::Edited
            }
            'k' | '-' => self.vi_go(past, self.at.checked_sub(count)),
            'j' | '+' => self.vi_go(past, self.at.checked_add(count)),
            'G' => self.vi_go(past, Some(counted.map_or(0, |n| n - 1))),
            'n' => self.seek_line(false, Vec::new(), past),
            'N' => self.seek_line(true, Vec::new(), past),
            '#' => Outcome::Shell("insert-comment"),
            '\\' | '=' | '*' => {
                let rest = self.buffer.text[point..].iter();
                let end = point + rest.take_while(|c| !c.is_whitespace()).count();
                if c == '=' {
                    self.buffer.point = end;
                    return Outcome::Shell("possible-completions");
                }
                self.inserting(end);
                Outcome::Shell(if c == '*' { "insert-completions" } else { "complete-in-place" })
            }
            '&' => Outcome::Shell("tilde-expand"),
            'v' => Outcome::Shell("vi-edit-and-execute-command"),
            '_' => {
                self.buffer.point = self.buffer.after(point);
                self.inserting(self.buffer.point);
                self.last_argument(Last::Other, past)
            }
            '.' => self.vi_again(past),
            _ => Outcome::Bell,
        }
    }

    /// Does the last change again.
    fn vi_again(&mut self, past: &dyn Past) -> Outcome {
        let Some(vi) = self.vi.as_mut().filter(|vi| !vi.change.is_empty() && !vi.replaying) else {
            return Outcome::Bell;
        };
        vi.replaying = true;
        for key in vi.change.clone() {
            let _ = self.key(key, past);
        }
        if let Some(vi) = &mut self.vi {
            vi.replaying = false;
        }
        Outcome::Edited
    }
}
