//! Changes of the text that several commands make: taking out a part, putting text in, joining lines, shifting, changing case.

use crate::buffer::{Place, place};
use crate::chars;
use crate::editor::{Editor, Res, Stop};
use crate::motion;
use crate::register::Text;

/// How letters change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Swap,
    Upper,
    Lower,
    Rot13,
}

/// A character in another case.
pub(crate) fn change_case(c: char, case: Case) -> String {
    match case {
        Case::Swap if c.is_lowercase() => c.to_uppercase().collect(),
        Case::Swap if c.is_uppercase() => c.to_lowercase().collect(),
        Case::Upper => c.to_uppercase().collect(),
        Case::Lower => c.to_lowercase().collect(),
        Case::Rot13 if c.is_ascii_alphabetic() => {
            let base = if c.is_ascii_lowercase() { b'a' } else { b'A' };
            char::from((c as u8 - base + 13) % 26 + base).to_string()
        }
        _ => c.to_string(),
    }
}

impl Editor {
    /// A part of the text; `to` is not included.
    pub(crate) fn extract(&self, from: Place, to: Place) -> Text {
        let mut lines = self.buf.copy(from.line, to.line + 1);
        if let Some(last) = lines.last_mut() {
            last.truncate(to.col);
        }
        if let Some(first) = lines.first_mut() {
            first.drain(..from.col.min(first.len()));
        }
        Text { lines, whole: false, block: false }
    }

    /// Whole lines.
    pub(crate) fn extract_lines(&self, from: usize, to: usize) -> Text {
        Text { lines: self.buf.copy(from, to + 1), whole: true, block: false }
    }

    /// Takes a part out; `to` is not included.
    pub(crate) fn remove(&mut self, from: Place, to: Place) {
        let mut line = self.buf.line(from.line)[..from.col.min(self.buf.line(from.line).len())].to_vec();
        let rest = self.buf.line(to.line);
        line.extend_from_slice(&rest[to.col.min(rest.len())..]);
        self.buf.replace(from.line, to.line - from.line + 1, vec![line]);
        self.mark_change(from, from);
    }

    /// Puts text, which may have line ends, at a place; where its end is.
    pub(crate) fn insert_at(&mut self, at: Place, lines: &[Vec<u8>]) -> Place {
        let old = self.buf.line(at.line);
        let col = at.col.min(old.len());
        let (head, tail) = (old[..col].to_vec(), old[col..].to_vec());
        let mut new: Vec<Vec<u8>> = Vec::with_capacity(lines.len());
        let mut current = head;
        for (i, line) in lines.iter().enumerate() {
            if i > 0 {
                new.push(std::mem::take(&mut current));
            }
            current.extend_from_slice(line);
        }
        let end = place(at.line + lines.len().saturating_sub(1), current.len());
        current.extend(tail);
        new.push(current);
        self.buf.replace(at.line, 1, new);
        end
    }

    /// The marks of the last change.
    pub(crate) fn mark_change(&mut self, from: Place, to: Place) {
        self.buf.mark('[', from);
        self.buf.mark(']', to);
        self.buf.mark('.', from);
    }

    /// Says how many lines there are more or fewer, if they are many.
    pub(crate) fn report(&mut self, before: usize) {
        let now = self.buf.len() - usize::from(self.buf.void);
        let many = self.options.number("report");
        if self.global {
            return;
        }
        if now > before + many {
            self.tell(format!("{} more lines", now - before));
        } else if before > now + many {
            self.tell(format!("{} fewer lines", before - now));
        }
    }

    /// `p` and `P`; `behind`: the cursor goes behind the text.
    pub(crate) fn put(&mut self, text: &Text, before: bool, count: usize, behind: bool) -> Res<()> {
        if text.lines.is_empty() {
            return Err(Stop::Bell);
        }
        let size: usize = text.lines.iter().map(|l| l.len() + 1).sum();
        if size.saturating_mul(count) > 1 << 30 {
            return Err(Stop::Say("E342: Out of memory!".into()));
        }
        let lines_before = self.buf.len() - usize::from(self.buf.void);
        if text.block {
            self.put_block(text, before, count);
            self.report(lines_before);
            return Ok(());
        }
        if text.whole {
            let at = if before { self.cursor.line } else { self.cursor.line + 1 };
            let mut lines = Vec::with_capacity(text.lines.len() * count);
            for _ in 0..count {
                lines.extend(text.lines.iter().cloned());
            }
            let many = lines.len();
            // Unlike a file of nothing, a text that is edited has an empty line to put others around.
            self.buf.void = false;
            self.buf.insert(at, lines);
            self.mark_change(place(at, 0), place(at + many - 1, 0));
            if behind {
                self.go(place((at + many).min(self.buf.last()), 0));
            } else {
                self.go_line(at);
            }
        } else {
            let line = self.line();
            let col =
                if before || line.is_empty() { self.cursor.col } else { chars::next(line, self.cursor.col) };
            let start = place(self.cursor.line, col);
            let mut at = start;
            if text.lines.len() == 1 {
                at = self.insert_at(at, &[text.lines[0].repeat(count)]);
            } else {
                for _ in 0..count {
                    at = self.insert_at(at, &text.lines);
                }
            }
            let last = place(at.line, chars::previous(self.buf.line(at.line), at.col));
            self.mark_change(start, last);
            self.cursor = match (behind, text.lines.len()) {
                (true, _) => at,
                (_, 1) => last,
                _ => start,
            };
            self.clamp();
            self.aim();
        }
        self.report(lines_before);
        Ok(())
    }

    /// Joins lines; `spaces`: with a blank between them.
    pub(crate) fn join(&mut self, from: usize, to: usize, spaces: bool) {
        let mut line = self.buf.line(from).to_vec();
        let mut col = line.len();
        // What counts is how the part before ends, not all that was joined already.
        let mut end = line.last().copied();
        for i in from + 1..=to {
            let next = self.buf.line(i);
            col = line.len();
            if !spaces {
                line.extend_from_slice(next);
                continue;
            }
            let next = &next[next.iter().take_while(|c| matches!(c, b' ' | b'\t')).count()..];
            if !next.is_empty()
                && !next.starts_with(b")")
                && !line.is_empty()
                && !matches!(end, Some(b' ' | b'\t'))
            {
                line.push(b' ');
                // Two blanks stand behind a sentence.
                if self.options.on("joinspaces")
                    && (end == Some(b'.') || (!self.compatible && matches!(end, Some(b'!' | b'?'))))
                {
                    line.push(b' ');
                }
            } else if next.is_empty() {
                col = chars::last(&line);
            }
            end = next.last().copied();
            line.extend_from_slice(next);
        }
        self.buf.replace(from, to - from + 1, vec![line]);
        self.mark_change(place(from, 0), place(from, col));
        self.go(place(from, col));
    }

    /// Blanks as wide as `columns`, with tabs if the options want them.
    pub(crate) fn indent(&self, columns: usize) -> Vec<u8> {
        if self.options.on("expandtab") {
            return vec![b' '; columns];
        }
        let tab = self.tab();
        let mut out = vec![b'\t'; columns / tab];
        out.extend(std::iter::repeat_n(b' ', columns % tab));
        out
    }

    /// How wide the indent of a line is, and how many bytes it has.
    pub(crate) fn indent_of(&self, line: &[u8]) -> (usize, usize) {
        let bytes = line.iter().take_while(|c| matches!(c, b' ' | b'\t')).count();
        (chars::column(line, bytes, self.tab()), bytes)
    }

    /// Shifts lines to the right or left.
    pub(crate) fn shift(&mut self, from: usize, to: usize, right: bool, amount: usize) {
        let width = self.options.shift();
        for i in from..=to {
            let line = self.buf.line(i);
            if line.is_empty() {
                continue;
            }
            let (old, bytes) = self.indent_of(line);
            let by = width.saturating_mul(amount).min(1 << 16);
            let new = match (right, self.options.on("shiftround")) {
                (true, false) => old + by,
                (true, true) => (old / width + amount) * width,
                (false, false) => old.saturating_sub(by),
                (false, true) => old.div_ceil(width).saturating_sub(amount) * width,
            };
            let mut text = self.indent(new);
            text.extend_from_slice(&line[bytes..]);
            self.buf.set(i, text);
        }
        self.mark_change(place(from, 0), place(to, 0));
        let many = to - from + 1;
        if many > self.options.number("report") {
            let times = if amount == 1 { "1 time".to_owned() } else { format!("{amount} times") };
            self.tell(format!("{many} lines {}ed {times}", if right { '>' } else { '<' }));
        }
    }

    /// Indents lines by the brackets that are open around them.
    pub(crate) fn reindent(&mut self, from: usize, to: usize) {
        let width = self.options.shift();
        let before = (0..from).rev().find(|i| !self.buf.line(*i).trim_ascii().is_empty());
        let mut level = match before {
            Some(i) => {
                let line = self.buf.line(i);
                self.indent_of(line).0.cast_signed() + balance(line).clamp(-1, 1) * width.cast_signed()
            }
            None => 0,
        };
        for i in from..=to {
            let text = self.buf.line(i).trim_ascii_start().to_vec();
            if text.is_empty() {
                self.buf.set(i, text);
                continue;
            }
            let closes = text.iter().take_while(|c| matches!(c, b'}' | b')' | b']')).count().min(1);
            let own = level - closes.cast_signed() * width.cast_signed();
            let mut line = self.indent(own.max(0).cast_unsigned());
            line.extend_from_slice(&text);
            self.buf.set(i, line);
            level = own + (balance(&text) + closes.cast_signed()).clamp(-1, 1) * width.cast_signed();
            level = level.max(0);
        }
        self.mark_change(place(from, 0), place(to, 0));
    }

    /// Changes the case of a part; `to` is not included.
    pub(crate) fn recase(&mut self, from: Place, to: Place, case: Case) {
        for i in from.line..=to.line {
            let line = self.buf.line(i);
            let start = if i == from.line { from.col.min(line.len()) } else { 0 };
            let end = if i == to.line { to.col.min(line.len()) } else { line.len() };
            let mut new = line[..start].to_vec();
            for (_, c) in chars::iterate(&line[start..end]) {
                new.extend(chars::bytes(&change_case(c, case)));
            }
            new.extend_from_slice(&line[end..]);
            if new != line {
                self.buf.set(i, new);
            }
        }
        self.mark_change(from, to);
    }

    /// `^A` and `^X`: adds to the number here or behind the cursor.
    pub(crate) fn add(&mut self, by: i64) -> Res<()> {
        let line = self.line().to_vec();
        let hex = |i: usize| {
            let start =
                (0..=i).rev().find(|s| line[*s..].starts_with(b"0x") || line[*s..].starts_with(b"0X"))?;
            let end = start + 2 + line[start + 2..].iter().take_while(|c| c.is_ascii_hexdigit()).count();
            (end > start + 2 && i < end).then_some((start, end))
        };
        let mut at = self.cursor.col;
        while at < line.len() && !line[at].is_ascii_digit() && hex(at).is_none() {
            at += 1;
        }
        if at >= line.len() {
            return Err(Stop::Bell);
        }
        let (start, end, new) = if let Some((start, end)) = hex(at) {
            let digits = String::from_utf8_lossy(&line[start + 2..end]).into_owned();
            let n = u64::from_str_radix(&digits, 16).unwrap_or(u64::MAX).wrapping_add_signed(by);
            let width = digits.len();
            let prefix = String::from_utf8_lossy(&line[start..start + 2]).into_owned();
            let upper = digits.bytes().any(|c| c.is_ascii_uppercase());
            (
                start,
                end,
                if upper { format!("{prefix}{n:0width$X}") } else { format!("{prefix}{n:0width$x}") },
            )
        } else {
            let mut start = at;
            while start > 0 && line[start - 1].is_ascii_digit() {
                start -= 1;
            }
            let end = at + line[at..].iter().take_while(|c| c.is_ascii_digit()).count();
            let width = end - start;
            let zero = line[start] == b'0' && width > 1;
            if start > 0 && line[start - 1] == b'-' {
                start -= 1;
            }
            let n = String::from_utf8_lossy(&line[start..end])
                .parse::<i64>()
                .unwrap_or(i64::MAX)
                .saturating_add(by);
            let digits = n.unsigned_abs().to_string();
            let digits = if zero { format!("{digits:0>width$}") } else { digits };
            (start, end, if n < 0 { format!("-{digits}") } else { digits })
        };
        let mut text = line[..start].to_vec();
        text.extend_from_slice(new.as_bytes());
        text.extend_from_slice(&line[end..]);
        self.buf.set(self.cursor.line, text);
        self.go(place(self.cursor.line, start + new.len() - 1));
        self.mark_change(self.cursor, self.cursor);
        Ok(())
    }

    /// `u` and `^R`.
    pub(crate) fn undo(&mut self, again: bool, count: usize) {
        self.buf.end_all();
        for i in 0..count {
            match self.buf.undo(again) {
                Some(done) => {
                    self.cursor = done.cursor;
                    self.clamp();
                    if done.cursor.col == 0 {
                        self.cursor.col = motion::first(&self.buf, self.cursor.line);
                    }
                    self.aim();
                    let text = match done.more {
                        1 => "1 more line".to_owned(),
                        -1 => "1 line less".to_owned(),
                        0 if done.changed == 1 => "1 change".to_owned(),
                        0 => format!("{} changes", done.changed),
                        n if n > 0 => format!("{n} more lines"),
                        n => format!("{} fewer lines", -n),
                    };
                    self.tell(text);
                }
                None if i > 0 => break,
                None => {
                    self.tell(if again { "Already at newest change" } else { "Already at oldest change" });
                    break;
                }
            }
        }
        self.buf.begin_all(self.cursor);
    }
}

/// How many more brackets open than close.
fn balance(line: &[u8]) -> isize {
    let mut depth = 0_isize;
    let mut quote = None;
    let mut i = 0;
    while i < line.len() {
        match (quote, line[i]) {
            (Some(_), b'\\') => i += 1,
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, b'"') => quote = Some(b'"'),
            (None, b'/') if line.get(i + 1) == Some(&b'/') => break,
            (None, b'{' | b'(' | b'[') => depth += 1,
            (None, b'}' | b')' | b']') => depth -= 1,
            _ => {}
        }
        i += 1;
    }
    depth
}
