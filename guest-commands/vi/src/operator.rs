//! Operators: what they take, by a motion, a text object or a selection, and what they do with it.

use crate::buffer::{Place, place};
use crate::chars;
use crate::edit::Case;
use crate::editor::{Editor, Res, Stop};
use crate::insert::Start;
use crate::key::Key;
use crate::motion;
use crate::moves::Kind;
use crate::normal::more;
use crate::object;
use crate::register::Came;

/// A part of the text: from its first place to its end, which is not inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) from: Place,
    pub(crate) to: Place,
    pub(crate) lines: bool,
    pub(crate) large: bool,
    /// Where the cursor goes if the text stays as it is.
    pub(crate) cursor: Place,
}

impl Editor {
    /// An operator whose key was typed: waits for the motion, and acts.
    pub(crate) fn operator(&mut self, name: &str, count: Option<usize>, register: Option<char>) -> Res<()> {
        let (mut inner, mut force) = (None, None);
        let key = loop {
            match self.key()? {
                Key::Char(c) if c.is_ascii_digit() && (c != '0' || inner.is_some()) => {
                    inner = Some(more(inner, c))
                }
                Key::Char(c @ ('v' | 'V')) => force = Some(c),
                key => break key,
            }
        };
        let total = match (count, inner) {
            (Some(a), Some(b)) => Some(a.saturating_mul(b).min(99_999_999)),
            (a, b) => a.or(b),
        };
        let start = self.cursor;
        let last = name.chars().next_back();
        let doubled = key == Key::Char(last.unwrap_or('\0')) || (name.len() == 2 && key == Key::Char('g'));
        let part = if doubled && self.doubled(name, key)? {
            let end = start.line.saturating_add(total.unwrap_or(1).max(1) - 1);
            if end > self.buf.last() {
                if total.is_some_and(|n| n > 1)
                    && matches!(name, "d" | "y" | "c")
                    && start.line < self.buf.last()
                {
                    self.whole(start.line, self.buf.last())
                } else {
                    return Err(Stop::Bell);
                }
            } else {
                self.whole(start.line, end)
            }
        } else if let Key::Char(c @ ('i' | 'a')) = key {
            let Key::Char(kind) = self.key()? else { return Err(Stop::Bell) };
            let n = total.unwrap_or(1).max(1);
            let found = object::object(&self.buf, start, c == 'a', kind, n).ok_or(Stop::Bell)?;
            Part { from: found.start, to: found.end, lines: found.lines, large: false, cursor: found.start }
        } else {
            let target = self.motion(key, total, Some(name));
            let moved = std::mem::replace(&mut self.cursor, start);
            let _ = moved;
            let target = target?.ok_or(Stop::Bell)?;
            if target.jump {
                self.buf.mark('\'', start);
            }
            let part = self.part(start, target.to, target.kind, target.large, force);
            // What begins and ends with nothing but blanks around it is deleted as whole lines.
            let blank = |text: &[u8]| text.iter().all(|c| matches!(c, b' ' | b'\t'));
            let rest = self.buf.line(part.to.line);
            if name == "d"
                && force.is_none()
                && !part.lines
                && part.to.line > part.from.line
                && blank(&self.buf.line(part.from.line)[..part.from.col])
                && blank(&rest[part.to.col.min(rest.len())..])
            {
                self.whole(part.from.line, part.to.line)
            } else {
                part
            }
        };
        if name != "y" {
            self.changes = true;
        }
        self.apply(name, part, register, 1)
    }

    /// Whether the second key of an operator means its line.
    fn doubled(&mut self, name: &str, key: Key) -> Res<bool> {
        if name.len() == 2 && key == Key::Char('g') {
            // `g~g~`; other motions that begin with `g` come here as well.
            let Key::Char(c) = self.key()? else { return Err(Stop::Bell) };
            if name.ends_with(c) {
                return Ok(true);
            }
            self.recent.pop();
            self.feed([Key::Char(c)].into())?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Whole lines.
    pub(crate) fn whole(&self, from: usize, to: usize) -> Part {
        Part {
            from: place(from, 0),
            to: place(to, self.buf.line(to).len()),
            lines: true,
            large: true,
            cursor: if self.cursor.line == from { self.cursor } else { place(from, 0) },
        }
    }

    /// The part between two places as a motion of this kind takes it.
    fn part(&self, a: Place, b: Place, kind: Kind, large: bool, force: Option<char>) -> Part {
        let (from, mut to) = (a.min(b), a.max(b));
        let (mut lines, mut inclusive) = (kind == Kind::Lines, kind == Kind::Inclusive);
        match force {
            Some('V') => lines = true,
            Some(_) if lines => lines = false,
            Some(_) => inclusive = !inclusive,
            None if kind == Kind::Exclusive && to.col == 0 && to.line > from.line => {
                // What ends before a line's first character ends with the line above, and is whole lines if it begins as one.
                to = place(to.line - 1, self.buf.line(to.line - 1).len());
                let indent =
                    self.buf.line(from.line).iter().take_while(|c| matches!(c, b' ' | b'\t')).count();
                lines = from.col <= indent;
            }
            None => {}
        }
        if lines {
            return Part { large, cursor: a.min(b), ..self.whole(from.line, to.line) };
        }
        if inclusive {
            to.col = chars::next(self.buf.line(to.line), to.col);
        }
        Part { from, to, lines: false, large, cursor: from }
    }

    /// Does it.
    pub(crate) fn apply(&mut self, name: &str, part: Part, register: Option<char>, amount: usize) -> Res<()> {
        let Part { from, to, lines, large, cursor } = part;
        self.buf.changes_at(if lines { place(from.line, self.cursor.col) } else { from });
        let text = || if lines { self.extract_lines(from.line, to.line) } else { self.extract(from, to) };
        match name {
            "y" => {
                let text = text();
                let many = text.lines.len();
                self.keep(register, text, Came::Yanked);
                self.buf.mark('[', from);
                let line = self.buf.line(to.line);
                self.buf.mark(']', place(to.line, chars::previous(line, to.col)));
                if cursor != self.cursor {
                    self.go(cursor);
                }
                self.clamp();
                if many > self.options.number("report") {
                    self.tell(format!("{many} lines yanked"));
                }
            }
            "d" | "c" => {
                let text = text();
                let came = if large || lines || text.lines.len() > 1 { Came::Large } else { Came::Small };
                let before = self.buf.len() - usize::from(self.buf.void);
                if !(text.lines.len() == 1 && text.lines[0].is_empty() && !lines) {
                    self.keep(register, text, came);
                }
                if name == "c" {
                    return self.change(part);
                }
                if lines {
                    self.buf.replace(from.line, to.line - from.line + 1, Vec::new());
                    self.mark_change(
                        place(from.line.min(self.buf.last()), 0),
                        place(from.line.min(self.buf.last()), 0),
                    );
                    self.go_line(from.line);
                } else {
                    self.remove(from, to);
                    self.go(from);
                }
                self.report(before);
            }
            ">" | "<" => {
                self.shift(from.line, to.line, name == ">", amount);
                self.go_line(from.line);
            }
            "=" => {
                self.reindent(from.line, to.line);
                self.go_line(from.line);
                let many = to.line - from.line + 1;
                if many > self.options.number("report") {
                    self.tell(format!("{many} lines indented "));
                }
            }
            "!" => {
                let start = match (from.line == self.cursor.line, to.line - from.line) {
                    (true, 0) => ".!".to_owned(),
                    (true, n) => format!(".,.+{n}!"),
                    (false, _) => format!("{},{}!", from.line + 1, to.line + 1),
                };
                let Some(text) = self.prompt(':', &start)? else { return Err(Stop::Bell) };
                self.last_typed(&text);
                return self.ex(&text);
            }
            "g~" | "gu" | "gU" | "g?" => {
                let case = match name {
                    "g~" => Case::Swap,
                    "gu" => Case::Lower,
                    "gU" => Case::Upper,
                    _ => Case::Rot13,
                };
                // Nothing at the beginning of a line is its first character.
                let next = chars::next(self.buf.line(from.line), 0);
                let to = if from == to && from.col == 0 && !lines { place(from.line, next) } else { to };
                self.recase(from, to, case);
                self.go(cursor);
            }
            _ => return Err(Stop::Bell),
        }
        Ok(())
    }

    /// `c`: the text is kept already; it goes, and other text is typed.
    fn change(&mut self, part: Part) -> Res<()> {
        let Part { from, to, lines, .. } = part;
        if lines {
            let line = self.buf.line(from.line);
            let indent = if self.options.on("autoindent") {
                line[..self.indent_of(line).1].to_vec()
            } else {
                Vec::new()
            };
            let col = indent.len();
            self.buf.replace(from.line, to.line - from.line + 1, vec![indent]);
            self.mark_change(place(from.line, 0), place(from.line, 0));
            self.cursor = place(from.line, col);
        } else {
            self.remove(from, to);
            self.cursor = from;
        }
        self.insert_command(1, Start::Exactly)
    }

    /// Where the first character of a line is that is no blank; for messages of commands that end there.
    pub(crate) fn first_column(&self, line: usize) -> usize {
        motion::first(&self.buf, line)
    }
}
