//! Visual mode: a selection of characters or whole lines, and the commands on it.

use crate::buffer::{Place, place};
use crate::chars;
use crate::editor::{Editor, Mode, Res, Stop};
use crate::key::Key;
use crate::object;
use crate::operator::Part;
use crate::register::Came;

impl Editor {
    /// How large a selection is: lines more, columns of its last line, whole lines.
    pub(crate) fn selection_size(&self, from: Place, lines: bool) -> (usize, usize, bool) {
        let (a, b) = (from.min(self.cursor), from.max(self.cursor));
        let line = self.buf.line(b.line);
        let start = if a.line == b.line { a.col } else { 0 };
        let many = chars::iterate(line.get(start..chars::next(line, b.col)).unwrap_or_default()).count();
        (b.line - a.line, many, lines)
    }

    /// Selects as much from the cursor on.
    pub(crate) fn select(&mut self, (more, columns, lines): (usize, usize, bool)) {
        let from = self.cursor;
        self.mode = Mode::Visual { from, lines };
        let line = (from.line + more).min(self.buf.last());
        let bytes = self.buf.line(line);
        let mut col = if more == 0 { from.col } else { 0 };
        for _ in 1..columns.min(bytes.len().max(1)) {
            col = chars::next(bytes, col);
        }
        self.cursor = place(line, col);
        self.clamp();
    }

    /// Ends the selection, which is remembered.
    pub(crate) fn end_visual(&mut self) {
        if let Mode::Visual { from, lines } = self.mode {
            self.selected = Some((from, self.cursor, lines));
            let (a, b) = (from.min(self.cursor), from.max(self.cursor));
            if lines {
                self.buf.mark('<', place(a.line, 0));
                self.buf.mark('>', place(b.line, usize::MAX));
            } else {
                self.buf.mark('<', a);
                self.buf.mark('>', b);
            }
        }
        self.block = false;
        self.mode = Mode::Normal;
        self.clamp();
    }

    /// A command on the selection.
    pub(crate) fn visual_command(
        &mut self,
        key: Key,
        count: Option<usize>,
        register: Option<char>,
    ) -> Res<()> {
        let Mode::Visual { from, lines } = self.mode else { return Err(Stop::Bell) };
        if self.block && self.block_command(key, register, from)? {
            return Ok(());
        }
        let (a, b) = (from.min(self.cursor), from.max(self.cursor));
        let command = match key {
            Key::Char(c) => c,
            Key::Delete => 'x',
            Key::PageDown => '\x06',
            Key::PageUp => '\x02',
            _ => '\0',
        };
        let part = |lines: bool, e: &Editor| {
            if lines {
                e.whole(a.line, b.line)
            } else {
                let line = e.buf.line(b.line);
                let mut to = place(b.line, chars::next(line, b.col));
                // The end of a line is part of the selection if the cursor is behind the text.
                if (line.is_empty() || (e.behind && b == e.cursor)) && b.line < e.buf.last() {
                    to = place(b.line + 1, 0);
                }
                Part { from: a, to, lines: false, large: false, cursor: a }
            }
        };
        let name = match command {
            'd' | 'x' => Some(("d", lines)),
            'D' | 'X' => Some(("d", true)),
            'y' => Some(("y", lines)),
            'Y' => Some(("y", true)),
            'c' | 's' => Some(("c", lines)),
            'C' | 'S' | 'R' => Some(("c", true)),
            '>' => Some((">", true)),
            '<' => Some(("<", true)),
            '=' => Some(("=", true)),
            '~' => Some(("g~", lines)),
            'u' => Some(("gu", lines)),
            'U' => Some(("gU", lines)),
            _ => None,
        };
        if let Some((name, lines)) = name {
            let mut part = part(lines, self);
            if lines {
                part.cursor = place(a.line, if self.cursor < from { self.cursor.col } else { 0 });
            }
            self.end_visual();
            self.changes = name != "y";
            self.cursor = a;
            let result = self.apply(name, part, register, count.unwrap_or(1).max(1));
            self.aim();
            return result;
        }
        match command {
            '\x1b' | '\x03' => self.end_visual(),
            // Back from behind the end of the line.
            'h' | '\x08' | '\x7f' if self.behind => {
                self.behind = false;
                self.aim();
            }
            '\x16' if self.block => self.end_visual(),
            '\x16' => {
                self.mode = Mode::Visual { from, lines: false };
                self.block = true;
            }
            'v' | 'V' if self.block => {
                self.block = false;
                self.mode = Mode::Visual { from, lines: command == 'V' };
            }
            'v' | 'V' => {
                if lines == (command == 'V') {
                    self.end_visual();
                } else {
                    self.mode = Mode::Visual { from, lines: command == 'V' };
                }
            }
            'o' | 'O' => {
                self.mode = Mode::Visual { from: self.cursor, lines };
                self.go(from);
            }
            'J' => {
                self.end_visual();
                self.changes = true;
                if a.line == b.line && a.line == self.buf.last() {
                    return Err(Stop::Bell);
                }
                self.join(a.line, b.line.max(a.line + 1), true);
            }
            'p' | 'P' => {
                // Without a text the selection only goes.
                let text = self.put_text(register);
                let part = part(lines, self);
                self.end_visual();
                self.changes = true;
                let old =
                    if lines { self.extract_lines(a.line, b.line) } else { self.extract(part.from, part.to) };
                let whole = lines && b.line == self.buf.last();
                if lines {
                    self.buf.replace(a.line, b.line - a.line + 1, Vec::new());
                } else {
                    self.remove(part.from, part.to);
                }
                self.cursor = if lines { place(a.line.min(self.buf.last()), 0) } else { a };
                let text = match text {
                    Ok(text) => text,
                    Err(stop) => {
                        self.keep(
                            None,
                            old,
                            if lines || b.line > a.line { Came::Large } else { Came::Small },
                        );
                        self.clamp();
                        return Err(stop);
                    }
                };
                if lines && !text.whole {
                    // Characters in place of lines stand on a line of their own.
                    let own = crate::register::Text { whole: true, block: false, ..text };
                    self.put(&own, !whole, count.unwrap_or(1).max(1), false)?;
                } else if !lines && text.whole {
                    let at = self.cursor;
                    self.insert_at(at, &[Vec::new(), Vec::new()]);
                    self.cursor = place(at.line, 0);
                    self.put(&text, false, count.unwrap_or(1).max(1), false)?;
                } else {
                    let end = !lines && self.cursor.col >= self.line().len() && !self.line().is_empty();
                    let before = !(end || (whole && lines));
                    self.clamp();
                    self.put(&text, before, count.unwrap_or(1).max(1), false)?;
                }
                if command == 'p' {
                    self.keep(None, old, if lines || b.line > a.line { Came::Large } else { Came::Small });
                }
            }
            'r' => {
                let c = self.literal_key()?;
                let part = part(lines, self);
                self.end_visual();
                self.changes = true;
                for i in a.line..=b.line {
                    let line = self.buf.line(i).to_vec();
                    let start = if i == a.line { part.from.col } else { 0 };
                    let end = if i == b.line && part.to.line == b.line { part.to.col } else { line.len() };
                    let mut new = line[..start].to_vec();
                    for _ in chars::iterate(&line[start..end]) {
                        chars::encode(c, &mut new);
                    }
                    new.extend_from_slice(&line[end..]);
                    self.buf.set(i, new);
                }
                self.go(a);
            }
            ':' => {
                self.end_visual();
                if let Some(text) = self.prompt(':', "'<,'>")? {
                    self.last_typed(&text);
                    return self.ex(&text);
                }
            }
            '!' => {
                let part = part(true, self);
                self.end_visual();
                self.go(a);
                self.changes = true;
                return self.apply("!", part, register, 1);
            }
            'I' | 'A' if !lines => return Err(Stop::Bell),
            'i' | 'a' => {
                let Key::Char(kind) = self.key()? else { return Err(Stop::Bell) };
                let n = count.unwrap_or(1).max(1);
                let found =
                    object::object(&self.buf, self.cursor, command == 'a', kind, n).ok_or(Stop::Bell)?;
                let end =
                    place(found.end.line, chars::previous(self.buf.line(found.end.line), found.end.col));
                let start = if from < self.cursor { from } else { found.start };
                self.mode = Mode::Visual { from: start, lines: lines || found.lines };
                self.go(end);
            }
            'm' => {
                let name = self.literal_key()?;
                if !name.is_ascii_alphabetic() {
                    return Err(Stop::Bell);
                }
                self.buf.mark(name, self.cursor);
            }
            '\x06' => return self.page(true, count.unwrap_or(1)),
            '\x02' => return self.page(false, count.unwrap_or(1)),
            '\x04' => return self.half_page(true, count),
            '\x15' => return self.half_page(false, count),
            '\x05' => self.scroll(count.unwrap_or(1).cast_signed()),
            '\x19' => self.scroll(-count.unwrap_or(1).cast_signed()),
            'z' => return self.z_command(count),
            'g' => {
                let Key::Char(c) = self.key()? else { return Err(Stop::Bell) };
                if let 'J' | '?' | '~' | 'u' | 'U' = c {
                    let part = part(lines, self);
                    self.end_visual();
                    self.changes = true;
                    self.cursor = a;
                    if c == 'J' {
                        self.join(a.line, b.line.max(a.line + 1).min(self.buf.last()), false);
                        return Ok(());
                    }
                    return self.apply(&format!("g{c}"), part, register, 1);
                }
                if c == 'v' {
                    let Some((from, to, lines)) = self.selected else { return Err(Stop::Bell) };
                    let from = self.inside(from);
                    self.end_visual();
                    self.mode = Mode::Visual { from, lines };
                    self.go(to);
                    return Ok(());
                }
                self.feed([Key::Char(c)].into())?;
                if let Some(target) = self.motion(Key::Char('g'), count, None)? {
                    self.follow(target.to, target.jump, target.keeps, target.kind);
                }
            }
            _ => match self.motion(key, count, None)? {
                Some(target) => {
                    self.follow(target.to, target.jump, target.keeps, target.kind);
                    self.behind = (self.behind && target.keeps) || matches!(key, Key::Char('$') | Key::End);
                }
                None => return Err(Stop::Bell),
            },
        }
        Ok(())
    }
}
