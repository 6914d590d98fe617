//! Commands of normal mode: what each key does. Motions are in `moves`, operators in `operator`.

use crate::buffer::{Place, place};
use crate::chars;
use crate::edit::{Case, change_case};
use crate::editor::{Again, Editor, Mode, Res, Stop, say};
use crate::insert::Start;
use crate::key::{self, Key};
use crate::moves::Kind;
use crate::register::{Came, Text, writable};

/// Larger counts are no counts.
const MOST_COUNT: usize = 99_999_999;

impl Editor {
    /// One command.
    pub(crate) fn command(&mut self) -> Res<()> {
        let (mut count, mut register) = (None, None);
        let key = loop {
            match self.key()? {
                Key::Char('"') => {
                    let name = self.literal_key()?;
                    if !writable(name) && !matches!(name, '%' | '#' | ':' | '/' | '.') {
                        return Err(Stop::Bell);
                    }
                    register = Some(name);
                }
                Key::Char(c) if c.is_ascii_digit() && (c != '0' || count.is_some()) => {
                    count = Some(more(count, c));
                }
                Key::Delete if count.is_some() => count = count.map(|c| c / 10).filter(|c| *c > 0),
                key => break key,
            }
        };
        // The keys before the command are kept as what they mean.
        let first = self.recent.pop();
        self.recent.clear();
        self.recent.extend(first);
        let selection = match self.mode {
            Mode::Visual { from, lines } => Some(self.selection_size(from, lines)),
            _ => None,
        };
        let result = if selection.is_some() {
            self.visual_command(key, count, register)
        } else {
            self.normal(key, count, register)
        };
        if self.changes && !self.repeating && !matches!(result, Err(Stop::Bell | Stop::Say(_))) {
            let keys = std::mem::take(&mut self.recent);
            self.again = Some(Again { keys, count, register, selection });
        }
        result
    }

    fn normal(&mut self, key: Key, count: Option<usize>, register: Option<char>) -> Res<()> {
        let n = count.unwrap_or(1).max(1);
        if let Key::Char(c @ ('d' | 'c' | 'y' | '>' | '<' | '!' | '=')) = key {
            return self.operator(&c.to_string(), count, register);
        }
        let command = match key {
            Key::Char(c) => c,
            Key::PageDown => '\x06',
            Key::PageUp => '\x02',
            Key::Delete => 'x',
            Key::Insert => 'i',
            _ => '\0',
        };
        match command {
            'x' | 'X' | 'D' | 'C' | 's' => {
                let line = self.line().len();
                if line == 0 && matches!(command, 'x' | 'X') {
                    return Err(Stop::Bell);
                }
                let keys = match command {
                    'x' => "dl",
                    'X' => "dh",
                    'D' => "d$",
                    'C' => "c$",
                    _ => "cl",
                };
                return self.as_if(keys, count, register);
            }
            'S' => return self.as_if("cc", count, register),
            'Y' => return self.as_if("yy", count, register),
            '&' => return self.ex_again("s", count),
            'i' => return self.insert_command(n, Start::Here),
            'a' => return self.insert_command(n, Start::Behind),
            'I' => return self.insert_command(n, Start::First),
            'A' => return self.insert_command(n, Start::End),
            'o' => return self.insert_command(n, Start::Below),
            'O' => return self.insert_command(n, Start::Above),
            'R' => return self.replace_mode(n),
            'r' => return self.replace_chars(n),
            'J' => return self.join_command(n, true),
            '~' => return self.swap_case(n),
            'p' | 'P' => {
                let text = self.put_text(register)?;
                self.changes = true;
                return self.put(&text, command == 'P', n, false);
            }
            'u' => self.undo(false, n),
            '\x12' => self.undo(true, n),
            'U' => return self.undo_line(),
            '.' => return self.repeat(count),
            'm' => {
                let name = self.literal_key()?;
                let name = if name == '`' { '\'' } else { name };
                if !name.is_ascii_alphabetic() && !matches!(name, '\'' | '[' | ']' | '<' | '>') {
                    return Err(Stop::Bell);
                }
                self.buf.mark(name, self.cursor);
            }
            'q' => return self.record(),
            '@' => return self.run_register(n),
            ':' => {
                let start = match count {
                    Some(1) => ".".to_owned(),
                    Some(n) => format!(".,.+{}", n - 1),
                    None => String::new(),
                };
                if let Some(text) = self.prompt(':', &start)? {
                    self.last_typed(&text);
                    let result = self.ex(&text);
                    if !self.output.is_empty() && self.message == format!(":{text}") {
                        // The command stands above what it printed, if that takes more than the last row.
                        let typed = std::mem::take(&mut self.message);
                        if self.output.len() > 1 {
                            self.output.insert(0, typed);
                        }
                    }
                    return result;
                }
            }
            '\x16' => self.start_block(),
            'v' | 'V' => {
                self.message.clear();
                self.mode = Mode::Visual { from: self.cursor, lines: command == 'V' };
                self.block = false;
                self.behind = false;
                if let Some(n) = count.filter(|n| *n > 1) {
                    let key = if command == 'V' { 'j' } else { 'l' };
                    let target = self.motion(Key::Char(key), Some(n - 1), None)?;
                    self.cursor = target.map_or(self.cursor, |t| t.to);
                }
            }
            'Z' => match self.literal_key()? {
                'Z' => return self.ex("x"),
                'Q' => return self.ex("q!"),
                _ => return Err(Stop::Bell),
            },
            'z' => return self.z_command(count),
            '\x06' => return self.page(true, n),
            '\x02' => return self.page(false, n),
            '\x04' => return self.half_page(true, count),
            '\x15' => return self.half_page(false, count),
            '\x05' => self.scroll(n.cast_signed()),
            '\x19' => self.scroll(-n.cast_signed()),
            '\x07' => return self.ex("f"),
            '\x0c' => {
                if let Some(host) = &mut self.host {
                    host.enter(false);
                }
            }
            '\x01' => {
                self.changes = true;
                return self.add(i64::try_from(n).unwrap_or(i64::MAX));
            }
            '\x18' => {
                self.changes = true;
                return self.add(-i64::try_from(n).unwrap_or(i64::MAX));
            }
            '\x1e' => return self.ex("e #"),
            '\x1d' => return say("E433: No tags file"),
            '\x0f' => return self.older_jump(n),
            '\t' => return self.newer_jump(n),
            '\x1a' => {
                if let Some(host) = &mut self.host {
                    host.suspend();
                }
            }
            '\x1b' if count.is_none() && register.is_none() => return Err(Stop::Bell),
            '\x1b' => {}
            '\x03' => return say("Type  :qa!  and press <Enter> to abandon all changes and exit Vim"),
            _ => match self.motion(key, count, None)? {
                Some(target) => self.follow(target.to, target.jump, target.keeps, target.kind),
                None if key == Key::Char('g') => {}
                None => return Err(Stop::Bell),
            },
        }
        Ok(())
    }

    /// Goes where a motion leads.
    pub(crate) fn follow(&mut self, to: Place, jump: bool, keeps: bool, _kind: Kind) {
        if jump && to.line != self.cursor.line {
            self.jumped(self.cursor);
        } else if jump {
            self.buf.mark('\'', self.cursor);
        }
        self.cursor = to;
        self.clamp();
        if !keeps {
            self.aim();
        }
    }

    /// Does what other keys do.
    fn as_if(&mut self, keys: &str, count: Option<usize>, register: Option<char>) -> Res<()> {
        let mut chars = keys.chars();
        let (Some(first), Some(second)) = (chars.next(), chars.next()) else { return Ok(()) };
        // The second key is fed, but what is done again is the key that was typed. Keys of an insertion follow it.
        let recent = std::mem::take(&mut self.recent);
        self.feed([Key::Char(second)].into())?;
        let result = self.operator(&first.to_string(), count, register);
        let mut all = recent;
        all.extend(self.recent.iter().skip(1));
        self.recent = all;
        result
    }

    /// Commands behind `g` that are no motions.
    pub(crate) fn g_command(&mut self, c: char, count: Option<usize>) -> Res<()> {
        let n = count.unwrap_or(1).max(1);
        match c {
            '~' | 'u' | 'U' | '?' => self.operator(&format!("g{c}"), count, None),
            'J' => self.join_command(n, false),
            'p' | 'P' => {
                let text = self.put_text(None)?;
                self.changes = true;
                self.put(&text, c == 'P', n, true)
            }
            'v' => {
                let Some((from, to, lines)) = self.selected else { return Err(Stop::Bell) };
                let from = self.inside(from);
                self.mode = Mode::Visual { from, lines };
                self.go(to);
                Ok(())
            }
            'i' => {
                if let Some(p) = self.buf.marked('^') {
                    self.cursor = place(p.line.min(self.buf.last()), p.col);
                }
                self.insert_command(n, Start::Exactly)
            }
            'I' => {
                self.cursor.col = 0;
                self.insert_command(n, Start::Here)
            }
            'a' => {
                let text = match crate::motion::char_at(&self.buf, self.cursor) {
                    Some(c) => {
                        let n = u32::from(c);
                        format!(
                            "<{}>  {n},  Hex {n:02x},  Oct {n:03o}",
                            chars::shown(c).unwrap_or_else(|| c.to_string())
                        )
                    }
                    None => "NUL".into(),
                };
                self.tell(text);
                Ok(())
            }
            '&' => self.ex("%s//~/&"),
            '\x07' => {
                let bytes = self.buf.bytes(0, self.buf.len());
                let at = self.buf.bytes(0, self.cursor.line).len() + self.cursor.col + 1;
                let words = bytes.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).count();
                let text = format!(
                    "Col {} of {}; Line {} of {}; {words} Words; Byte {at} of {}",
                    self.cursor.col + 1,
                    self.line().len(),
                    self.cursor.line + 1,
                    self.buf.len(),
                    bytes.len()
                );
                self.tell(text);
                Ok(())
            }
            _ => Err(Stop::Bell),
        }
    }

    fn ex_again(&mut self, command: &str, count: Option<usize>) -> Res<()> {
        self.changes = true;
        match count {
            Some(n) => self.ex(&format!("{command} {n}")),
            None => self.ex(command),
        }
    }

    /// The text that `p` puts.
    pub(crate) fn put_text(&self, register: Option<char>) -> Res<Text> {
        let name = register.unwrap_or('"');
        match self.register(name) {
            Some(text) if !text.lines.is_empty() => Ok(text),
            _ => say(format!("E353: Nothing in register {name}")),
        }
    }

    fn replace_chars(&mut self, n: usize) -> Res<()> {
        let c = match self.key()? {
            Key::Char('\x1b' | '\x03') => return Err(Stop::Bell),
            Key::Char('\x16') => self.literal_key()?,
            Key::Char('\r' | '\n') => '\n',
            Key::Char(c) => c,
            _ => return Err(Stop::Bell),
        };
        let line = self.line().to_vec();
        let mut end = self.cursor.col;
        for _ in 0..n {
            if end >= line.len() {
                return Err(Stop::Bell);
            }
            end = chars::next(&line, end);
        }
        self.changes = true;
        let start = self.cursor;
        if c == '\n' {
            self.remove(start, place(start.line, end));
            self.insert_at(start, &[Vec::new(), Vec::new()]);
            if self.options.on("autoindent") {
                let (_, bytes) = self.indent_of(&line);
                let indent = line[..bytes].to_vec();
                self.insert_at(place(start.line + 1, 0), &[indent]);
            }
            self.go_line(start.line + 1);
        } else {
            let mut new = line[..start.col].to_vec();
            for _ in 0..n {
                chars::encode(c, &mut new);
            }
            let at = new.len();
            new.extend_from_slice(&line[end..]);
            self.buf.set(start.line, new);
            self.go(place(start.line, chars::previous(self.buf.line(start.line), at)));
            self.mark_change(start, self.cursor);
        }
        Ok(())
    }

    fn join_command(&mut self, n: usize, spaces: bool) -> Res<()> {
        let from = self.cursor.line;
        if from == self.buf.last() {
            return Err(Stop::Bell);
        }
        self.changes = true;
        self.join(from, (from + n.max(2) - 1).min(self.buf.last()), spaces);
        Ok(())
    }

    fn swap_case(&mut self, n: usize) -> Res<()> {
        if self.options.on("tildeop") {
            return self.operator("g~", Some(n), None);
        }
        let line = self.line().to_vec();
        if line.is_empty() {
            return Err(Stop::Bell);
        }
        self.changes = true;
        let mut end = self.cursor.col;
        let mut new = line[..end].to_vec();
        for _ in 0..n {
            let Some((c, len)) = chars::decode(&line, end) else { break };
            new.extend(chars::bytes(&change_case(c, Case::Swap)));
            end += len;
        }
        let at = new.len();
        new.extend_from_slice(&line[end..]);
        let start = self.cursor;
        self.buf.set(start.line, new);
        self.go(place(start.line, at));
        self.mark_change(start, self.cursor);
        Ok(())
    }

    fn undo_line(&mut self) -> Res<()> {
        let Some((line, old, col)) = self.whole_line.clone() else { return Err(Stop::Bell) };
        if line > self.buf.last() || line != self.cursor.line || self.buf.line(line) == old {
            return Err(Stop::Bell);
        }
        let now = self.buf.line(line).to_vec();
        self.buf.set(line, old);
        // A second one takes this back.
        self.whole_line = Some((line, now, col));
        self.cursor.col = col;
        self.clamp();
        self.aim();
        Ok(())
    }

    fn repeat(&mut self, count: Option<usize>) -> Res<()> {
        let Some(mut again) = self.again.clone() else { return Err(Stop::Bell) };
        again.count = count.or(again.count);
        // Each time the next of the texts that were deleted.
        if let Some(c @ '1'..='8') = again.register {
            again.register = char::from_u32(u32::from(c) + 1);
        }
        self.repeating = true;
        let result = self.with_keys(again.keys.iter().copied().collect(), |e| {
            let key = e.key()?;
            if let Some(size) = again.selection {
                e.select(size);
                e.visual_command(key, again.count, again.register)
            } else {
                e.normal(key, again.count, again.register)
            }
        });
        self.repeating = false;
        // What is done again next is what was done now, not the dot.
        self.changes = false;
        if matches!(self.mode, Mode::Visual { .. }) {
            self.end_visual();
        }
        self.mode = Mode::Normal;
        self.again = Some(again);
        match result {
            Err(Stop::End) if self.quit.is_none() => Ok(()),
            other => other,
        }
    }

    fn record(&mut self) -> Res<()> {
        if let Some((name, mut keys)) = self.recording.take() {
            // The key that ends it is no part of it.
            keys.pop();
            let text = key::to_text(&keys);
            self.registers.set(
                name,
                Text { lines: text.split('\n').map(chars::bytes).collect(), whole: false, block: false },
            );
            return Ok(());
        }
        let name = self.literal_key()?;
        if !name.is_ascii_alphanumeric() && name != '"' {
            return Err(Stop::Bell);
        }
        self.recording = Some((name, Vec::new()));
        Ok(())
    }

    fn run_register(&mut self, n: usize) -> Res<()> {
        let name = match self.literal_key()? {
            '@' => self.last_register.ok_or(Stop::Say("E748: No previously used register".into()))?,
            c => c,
        };
        if name == ':' {
            let Some(command) = self.last_command.clone() else {
                return say("E30: No previous command line");
            };
            self.last_register = Some(':');
            for _ in 0..n {
                self.ex(&command)?;
            }
            return Ok(());
        }
        let Some(text) = self.register(name) else { return Err(Stop::Bell) };
        self.last_register = Some(name);
        let mut keys = chars::text(&text.lines.join(&b'\n'));
        if text.whole {
            keys.push('\n');
        }
        let keys = key::of_text(&keys);
        if keys.len().saturating_mul(n) > 1 << 22 {
            return say("E169: Command too recursive");
        }
        let all = keys.iter().copied().cycle().take(keys.len() * n).collect();
        self.feed(all)
    }

    fn older_jump(&mut self, n: usize) -> Res<()> {
        if self.jump_at < n {
            return Err(Stop::Bell);
        }
        if self.jump_at == self.jumps.len() {
            let here = self.cursor;
            self.jumps.push(here);
        }
        self.jump_at -= n;
        self.go(self.jumps[self.jump_at]);
        Ok(())
    }

    fn newer_jump(&mut self, n: usize) -> Res<()> {
        let Some(to) = self.jumps.get(self.jump_at + n).copied() else { return Err(Stop::Bell) };
        self.jump_at += n;
        self.go(to);
        Ok(())
    }

    /// Keeps what an operator took.
    pub(crate) fn keep(&mut self, register: Option<char>, text: Text, came: Came) {
        self.registers.keep(register, text, came);
    }
}

/// A count with one more digit.
pub(crate) fn more(count: Option<usize>, digit: char) -> usize {
    let digit = digit.to_digit(10).unwrap_or(0) as usize;
    (count.unwrap_or(0) * 10 + digit).min(MOST_COUNT)
}
