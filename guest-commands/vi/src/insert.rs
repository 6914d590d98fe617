//! Insert and replace mode: what keys do while text is typed.

use crate::buffer::{Place, place};
use crate::chars;
use crate::editor::{Editor, Mode, Res, Stop};
use crate::key::Key;

/// Where the typing begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Here,
    /// Wherever the cursor is, behind the line, too.
    Exactly,
    Behind,
    First,
    End,
    Below,
    Above,
}

/// What an insertion knows of itself.
struct Typing {
    /// Where it began; keys that erase stop there, but for those that erase more on purpose.
    start: Place,
    /// The text that `R` has typed over, character by character; none where it was behind the line.
    over: Option<Vec<Option<Vec<u8>>>>,
    /// An indent that was made, and goes if nothing is typed.
    indent: bool,
    text: Vec<u8>,
}

impl Editor {
    /// A command that inserts text, some times.
    pub(crate) fn insert_command(&mut self, n: usize, start: Start) -> Res<()> {
        self.changes = true;
        self.message.clear();
        let line = self.line();
        match start {
            Start::Here => {}
            // Where text was typed last the line may have become shorter.
            Start::Exactly => self.cursor.col = chars::floor(line, self.cursor.col.min(line.len())),
            Start::Behind => self.cursor.col = chars::next(line, self.cursor.col),
            Start::End => self.cursor.col = line.len(),
            Start::First => {
                let indent = line.iter().take_while(|c| matches!(c, b' ' | b'\t')).count();
                self.cursor.col = indent;
            }
            Start::Below | Start::Above => {}
        }
        self.buf.changes_at(self.cursor);
        let opens = matches!(start, Start::Below | Start::Above);
        let indent = opens && self.open_line(start == Start::Below);
        self.mode = Mode::Insert;
        let from = self.recent.len();
        let result = self.typing(None, indent);
        let keys: Vec<Key> = self.recent.get(from..).unwrap_or_default().to_vec();
        if result.is_ok() || result == Err(Stop::End) {
            // What was typed comes as often as the count says.
            let size = self.inserted.len().max(1);
            if n.saturating_mul(size) > 1 << 28 {
                self.mode = Mode::Normal;
                return Err(Stop::Say("E342: Out of memory!".into()));
            }
            for i in 1..n {
                if i % 1024 == 0 && self.interrupted() {
                    break;
                }
                let recent = std::mem::take(&mut self.recent);
                let again = self.with_keys(keys.iter().copied().collect(), |e| {
                    let mut indent = false;
                    if opens {
                        indent = e.open_line(true);
                    } else {
                        e.cursor.col = chars::next(e.line(), e.cursor.col);
                    }
                    e.mode = Mode::Insert;
                    e.typing(None, indent)
                });
                self.recent = recent;
                if again.is_err() && again != Err(Stop::End) {
                    break;
                }
            }
        }
        self.mode = Mode::Normal;
        self.clamp();
        self.aim();
        result
    }

    /// Opens a line; whether it has an indent that nobody typed.
    fn open_line(&mut self, below: bool) -> bool {
        let line = self.line();
        let indent =
            if self.options.on("autoindent") { line[..self.indent_of(line).1].to_vec() } else { Vec::new() };
        let at = if below { self.cursor.line + 1 } else { self.cursor.line };
        let col = indent.len();
        self.buf.void = false;
        self.buf.insert(at, vec![indent]);
        self.cursor = place(at, col);
        col > 0
    }

    /// `R`.
    pub(crate) fn replace_mode(&mut self, n: usize) -> Res<()> {
        self.changes = true;
        self.message.clear();
        self.mode = Mode::Replace;
        let result = self.typing(Some(Vec::new()), false);
        if n > 1 && result.is_ok() && !self.inserted.contains(&b'\n') {
            let text = self.inserted.repeat(n.min((1 << 20) / self.inserted.len().max(1)).saturating_sub(1));
            let at = chars::next(self.line(), self.cursor.col);
            let line = self.line();
            let many = chars::iterate(&text).count();
            let mut end = at;
            for _ in 0..many {
                end = chars::next(line, end);
            }
            let mut new = line[..at].to_vec();
            new.extend_from_slice(&text);
            new.extend_from_slice(&line[end..]);
            self.cursor.col = at + text.len();
            self.buf.set(self.cursor.line, new);
            self.cursor.col = chars::previous(self.line(), self.cursor.col);
        }
        self.mode = Mode::Normal;
        self.clamp();
        self.aim();
        result
    }

    fn typing(&mut self, over: Option<Vec<Option<Vec<u8>>>>, indent: bool) -> Res<()> {
        let mut t = Typing { start: self.cursor, over, indent, text: Vec::new() };
        self.buf.mark('[', self.cursor);
        loop {
            let key = match self.key() {
                Ok(key) => key,
                Err(stop) => {
                    self.stop_typing(&mut t);
                    return Err(stop);
                }
            };
            if matches!(key, Key::Char('\x1b' | '\x03')) {
                self.stop_typing(&mut t);
                return Ok(());
            }
            if let Err(stop) = self.typed_key(&mut t, key) {
                match stop {
                    Stop::End => {
                        self.stop_typing(&mut t);
                        return Err(stop);
                    }
                    other => self.complain(other),
                }
            }
        }
    }

    fn stop_typing(&mut self, t: &mut Typing) {
        self.drop_indent(t);
        self.buf.mark('^', self.cursor);
        self.buf.mark(']', self.cursor);
        if self.buf.changed_now() {
            self.buf.mark('.', self.cursor);
        }
        self.inserted = std::mem::take(&mut t.text);
        if self.cursor.col > 0 {
            self.cursor.col = chars::previous(self.line(), self.cursor.col);
        }
    }

    /// An indent that nobody typed, on a line that stays empty, goes.
    fn drop_indent(&mut self, t: &mut Typing) {
        if t.indent && self.line().iter().all(|c| matches!(c, b' ' | b'\t')) {
            self.buf.set(self.cursor.line, Vec::new());
            self.cursor.col = 0;
        }
        t.indent = false;
    }

    fn typed_key(&mut self, t: &mut Typing, key: Key) -> Res<()> {
        let moved = match key {
            Key::Up | Key::Down => {
                let down = key == Key::Down;
                if if down { self.cursor.line >= self.buf.last() } else { self.cursor.line == 0 } {
                    return Err(Stop::Bell);
                }
                self.aim();
                let line = if down { self.cursor.line + 1 } else { self.cursor.line - 1 };
                let text = self.buf.line(line);
                let wide = chars::column(text, text.len(), self.tab());
                Some(if self.want >= wide { place(line, text.len()) } else { self.aimed(line) })
            }
            Key::Left if self.cursor.col > 0 => {
                Some(place(self.cursor.line, chars::previous(self.line(), self.cursor.col)))
            }
            Key::Right if self.cursor.col < self.line().len() => {
                Some(place(self.cursor.line, chars::next(self.line(), self.cursor.col)))
            }
            Key::Left | Key::Right => return Err(Stop::Bell),
            Key::Home => Some(place(self.cursor.line, 0)),
            Key::End => Some(place(self.cursor.line, self.line().len())),
            Key::PageDown | Key::PageUp => {
                let mode = std::mem::replace(&mut self.mode, Mode::Normal);
                let result = self.page(key == Key::PageDown, 1);
                self.mode = mode;
                result?;
                Some(self.cursor)
            }
            _ => None,
        };
        if let Some(to) = moved {
            self.drop_indent(t);
            self.cursor = to;
            self.clamp();
            t.start = self.cursor;
            t.text.clear();
            if let Some(over) = &mut t.over {
                over.clear();
            }
            // What was typed before and what follows are taken back one after the other.
            self.buf.end_all();
            self.buf.begin_all(self.cursor);
            return Ok(());
        }
        match key {
            Key::Char('\x08' | '\x7f') => self.erase(t),
            Key::Char('\x17') => {
                if t.over.is_some() {
                    return self.erase(t);
                }
                let line = self.line();
                let mut at = self.cursor.col;
                if at == 0 {
                    return self.erase(t);
                }
                let kind = |at: usize| {
                    chars::class(chars::decode(line, chars::previous(line, at)).map(|c| c.0), false)
                };
                while at > 0 && kind(at) == 0 {
                    at = chars::previous(line, at);
                }
                let word = if at > 0 { kind(at) } else { 0 };
                while at > 0 && kind(at) == word {
                    at = chars::previous(line, at);
                }
                // The text before the insertion goes by a second one only.
                let start = if t.start.line == self.cursor.line && t.start.col < self.cursor.col {
                    t.start.col
                } else {
                    0
                };
                self.erase_to(t, at.max(start));
                Ok(())
            }
            Key::Char('\x15') => {
                if self.cursor.col == 0 || t.over.is_some() {
                    return self.erase(t);
                }
                let start = if t.start.line == self.cursor.line && t.start.col < self.cursor.col {
                    t.start.col
                } else {
                    let (_, bytes) = self.indent_of(self.line());
                    if bytes < self.cursor.col { bytes } else { 0 }
                };
                self.erase_to(t, start);
                Ok(())
            }
            Key::Delete => {
                let line = self.line();
                if self.cursor.col < line.len() {
                    let end = chars::next(line, self.cursor.col);
                    self.remove(self.cursor, place(self.cursor.line, end));
                } else if self.cursor.line < self.buf.last() {
                    self.remove(self.cursor, place(self.cursor.line + 1, 0));
                } else {
                    return Err(Stop::Bell);
                }
                Ok(())
            }
            Key::Insert => {
                if t.over.is_some() {
                    t.over = None;
                    self.mode = Mode::Insert;
                } else {
                    t.over = Some(Vec::new());
                    self.mode = Mode::Replace;
                }
                Ok(())
            }
            Key::Char('\r' | '\n') => {
                self.break_line(t);
                Ok(())
            }
            Key::Char('\t') if self.options.on("expandtab") || self.options.number("softtabstop") > 0 => {
                self.tab_key(t);
                Ok(())
            }
            Key::Char('\x16' | '\x11') => {
                let c = self.verbatim()?;
                self.put_char(t, c);
                Ok(())
            }
            Key::Char('\x14') => self.shift_here(t, true),
            Key::Char('\x04') => self.shift_here(t, false),
            Key::Char('\x05' | '\x19') => {
                let line = if key == Key::Char('\x05') {
                    Some(self.cursor.line + 1)
                } else {
                    self.cursor.line.checked_sub(1)
                };
                let column = chars::column(self.line(), self.cursor.col, self.tab());
                let Some(text) = line.map(|l| self.buf.line(l)).filter(|t| !t.is_empty()) else {
                    return Err(Stop::Bell);
                };
                if column >= chars::column(text, text.len(), self.tab()) {
                    return Err(Stop::Bell);
                }
                let c = chars::decode(text, chars::at_column(text, column, self.tab())).map(|c| c.0);
                c.into_iter().for_each(|c| self.put_char(t, c));
                Ok(())
            }
            Key::Char('\x01') => {
                let text = self.inserted.clone();
                self.put_bytes(t, &text);
                Ok(())
            }
            Key::Char('\x12') => {
                let Key::Char(name) = self.key()? else { return Err(Stop::Bell) };
                let Some(text) = self.register(name) else { return Err(Stop::Bell) };
                self.put_bytes(t, &text.bytes());
                Ok(())
            }
            Key::Char('\x0f') => {
                // One command of normal mode.
                let mode = std::mem::replace(&mut self.mode, Mode::Normal);
                let behind = self.cursor.col >= self.line().len() && self.cursor.col > 0;
                let recent = std::mem::take(&mut self.recent);
                let result = self.command();
                self.recent = recent;
                self.mode = mode;
                if behind && result.is_ok() {
                    self.clamp();
                }
                t.start = self.cursor;
                result
            }
            Key::Char('\x1a') => {
                if let Some(host) = &mut self.host {
                    host.suspend();
                }
                Ok(())
            }
            Key::Char(c) => {
                self.put_char(t, c);
                Ok(())
            }
            _ => Err(Stop::Bell),
        }
    }

    fn put_bytes(&mut self, t: &mut Typing, bytes: &[u8]) {
        let text = chars::text(bytes);
        for c in text.chars() {
            if c == '\n' {
                self.break_line(t);
            } else {
                self.put_char(t, c);
            }
        }
    }

    fn put_char(&mut self, t: &mut Typing, c: char) {
        t.indent = false;
        if c == '\n' {
            // A byte 10 in the middle of a line stands for NUL elsewhere; here it is a line's end.
            self.break_line(t);
            return;
        }
        let col = self.cursor.col;
        let mut line = self.line().to_vec();
        let mut new = Vec::new();
        chars::encode(c, &mut new);
        if let Some(over) = &mut t.over {
            let end = chars::next(&line, col);
            over.push((col < line.len()).then(|| line[col..end].to_vec()));
            line.drain(col..end);
        }
        line.splice(col..col, new.iter().copied());
        t.text.extend_from_slice(&new);
        self.buf.set(self.cursor.line, line);
        self.cursor.col += new.len();
    }

    fn break_line(&mut self, t: &mut Typing) {
        let line = self.line();
        let indent = if self.options.on("autoindent") {
            line[..self.indent_of(line).1.min(self.cursor.col)].to_vec()
        } else {
            Vec::new()
        };
        self.drop_indent(t);
        let line = self.line();
        let (mut head, tail) = (line[..self.cursor.col].to_vec(), line[self.cursor.col..].to_vec());
        let mut tail = tail;
        if self.options.on("autoindent") {
            let blanks = tail.iter().take_while(|c| matches!(c, b' ' | b'\t')).count();
            tail.drain(..blanks);
            if head.iter().all(|c| matches!(c, b' ' | b'\t')) {
                head.clear();
            }
        }
        let col = indent.len();
        let mut below = indent;
        below.extend(tail);
        let at = self.cursor.line;
        self.buf.replace(at, 1, vec![head, below]);
        self.cursor = place(at + 1, col);
        t.indent = col > 0;
        t.text.push(b'\n');
        if let Some(over) = &mut t.over {
            over.clear();
        }
    }

    fn tab_key(&mut self, t: &mut Typing) {
        let column = chars::column(self.line(), self.cursor.col, self.tab());
        let step = match self.options.number("softtabstop") {
            0 => self.tab(),
            n => n.min(9999),
        };
        let wanted = column - column % step + step;
        if self.options.on("expandtab") {
            for _ in column..wanted {
                self.put_char(t, ' ');
            }
            return;
        }
        // Blanks before the cursor become tabs as far as they fill one.
        let line = self.line();
        let mut from = self.cursor.col;
        while from > 0 && line[from - 1] == b' ' {
            from -= 1;
        }
        let tab = self.tab();
        let start = chars::column(line, from, tab);
        let mut blanks = Vec::new();
        let mut at = start;
        while at - at % tab + tab <= wanted {
            blanks.push(b'\t');
            at = at - at % tab + tab;
        }
        blanks.extend(std::iter::repeat_n(b' ', wanted - at));
        let mut new = line[..from].to_vec();
        new.extend_from_slice(&blanks);
        let col = new.len();
        new.extend_from_slice(&line[self.cursor.col..]);
        self.buf.set(self.cursor.line, new);
        self.cursor.col = col;
        t.start.col = t.start.col.min(from);
        t.text.push(b'\t');
        t.indent = false;
    }

    /// The character behind `^V`: as it is, or by number.
    pub(crate) fn verbatim(&mut self) -> Res<char> {
        let first = match self.key()? {
            Key::Char(c) => c,
            _ => return Err(Stop::Bell),
        };
        let (radix, most) = match first {
            'u' => (16, 4),
            'U' => (16, 8),
            'x' | 'X' => (16, 2),
            c if c.is_ascii_digit() => (10, 3),
            c => return Ok(c),
        };
        let mut digits = if radix == 10 { first.to_string() } else { String::new() };
        while digits.len() < most {
            match self.key()? {
                Key::Char(c) if c.is_digit(radix) => digits.push(c),
                other => {
                    self.recent.pop();
                    self.feed([other].into())?;
                    break;
                }
            }
        }
        if digits.is_empty() {
            return Ok(first);
        }
        u32::from_str_radix(&digits, radix).ok().and_then(char::from_u32).ok_or(Stop::Bell)
    }

    /// `^T` and `^D`.
    fn shift_here(&mut self, t: &mut Typing, right: bool) -> Res<()> {
        let line = self.line().to_vec();
        let (old, bytes) = self.indent_of(&line);
        let width = self.options.shift();
        let new =
            if right { (old / width + 1) * width } else { old.div_ceil(width).saturating_sub(1) * width };
        let mut text = self.indent(new);
        let added = text.len();
        text.extend_from_slice(&line[bytes..]);
        self.buf.set(self.cursor.line, text);
        self.cursor.col = (self.cursor.col + added).saturating_sub(bytes);
        t.start.col = t.start.col.min(self.cursor.col);
        t.indent &= new > 0;
        Ok(())
    }

    /// Erases the character before the cursor; in replace mode the old one comes back.
    fn erase(&mut self, t: &mut Typing) -> Res<()> {
        let col = self.cursor.col;
        if let Some(over) = &mut t.over {
            if col == 0 {
                return Err(Stop::Bell);
            }
            let start = chars::previous(self.buf.line(self.cursor.line), col);
            if let Some(old) = over.pop() {
                let mut line = self.line().to_vec();
                line.splice(start..col, old.unwrap_or_default());
                self.buf.set(self.cursor.line, line);
                let keep = t.text.len().saturating_sub(col - start);
                t.text.truncate(keep);
            }
            self.cursor.col = start;
            return Ok(());
        }
        if col == 0 {
            if self.cursor.line == 0 {
                return Err(Stop::Bell);
            }
            let above = self.cursor.line - 1;
            let end = self.buf.line(above).len();
            self.remove(place(above, end), self.cursor);
            self.cursor = place(above, end);
            t.start = t.start.min(self.cursor);
            t.text.pop();
            return Ok(());
        }
        // In blanks, as far as a tab key went.
        let step = self.options.number("softtabstop").min(9999);
        let line = self.line();
        if step > 0 && line[col - 1] == b' ' {
            let column = chars::column(line, col, self.tab());
            let wanted = (column - 1) / step * step;
            let mut at = col;
            while at > 0 && line[at - 1] == b' ' && chars::column(line, at, self.tab()) > wanted {
                at -= 1;
            }
            self.erase_to(t, at);
            return Ok(());
        }
        let at = chars::previous(line, col);
        self.erase_to(t, at);
        Ok(())
    }

    fn erase_to(&mut self, t: &mut Typing, at: usize) {
        let col = self.cursor.col;
        let mut line = self.line().to_vec();
        line.drain(at..col);
        let keep = t.text.len().saturating_sub(col - at);
        t.text.truncate(keep);
        self.buf.set(self.cursor.line, line);
        self.cursor.col = at;
        if t.start.line == self.cursor.line {
            t.start.col = t.start.col.min(at);
        }
    }
}
