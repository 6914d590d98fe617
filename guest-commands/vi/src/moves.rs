//! The keys that move the cursor, alone or behind an operator. What words and brackets are is in `motion`.

use crate::buffer::{Place, place};
use crate::chars;
use crate::editor::{Editor, Mode, Res, Stop, say};
use crate::key::Key;
use crate::motion;

/// What an operator takes up to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Exclusive,
    Inclusive,
    Lines,
}

/// Where a motion leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) to: Place,
    pub(crate) kind: Kind,
    /// It is remembered where it began.
    pub(crate) jump: bool,
    /// The column that vertical motions aim at stays.
    pub(crate) keeps: bool,
    /// Text deleted over it goes into the numbered registers, however short.
    pub(crate) large: bool,
}

fn to(to: Place, kind: Kind) -> Target {
    Target { to, kind, jump: false, keeps: false, large: false }
}

impl Editor {
    /// The place of the aimed column in a line.
    pub(crate) fn aimed(&self, line: usize) -> Place {
        let bytes = self.buf.line(line);
        if self.want == usize::MAX {
            return place(line, chars::last(bytes));
        }
        place(line, chars::at_column(bytes, self.want, self.tab()))
    }

    fn first_of(&self, line: usize) -> Place {
        place(line, motion::first(&self.buf, line))
    }

    /// The target of the motion of this key; none if it is none. `pending`: the operator that waits for it.
    pub(crate) fn motion(
        &mut self,
        key: Key,
        count: Option<usize>,
        pending: Option<&str>,
    ) -> Res<Option<Target>> {
        use Kind::{Exclusive, Inclusive, Lines};
        let here = self.cursor;
        let n = count.unwrap_or(1).max(1);
        let last = self.buf.last();
        let vertical = |e: &Editor, down: bool| -> Res<Target> {
            if if down { here.line == last } else { here.line == 0 } {
                return Err(Stop::Bell);
            }
            let line = if down { here.line.saturating_add(n).min(last) } else { here.line.saturating_sub(n) };
            Ok(Target { keeps: true, ..to(e.aimed(line), Lines) })
        };
        let far = |t: Target| Target { jump: true, ..t };
        let large = |t: Target| Target { jump: true, large: true, ..t };
        let found = match key {
            Key::Char('h' | '\x08' | '\x7f') | Key::Left => {
                let wraps = matches!(key, Key::Char('\x08' | '\x7f'));
                let mut p = here;
                for _ in 0..n {
                    if p.col > 0 {
                        p.col = chars::previous(self.buf.line(p.line), p.col);
                    } else if wraps && p.line > 0 {
                        p = place(p.line - 1, chars::last(self.buf.line(p.line - 1)));
                    } else {
                        break;
                    }
                }
                if p == here && pending.is_none() {
                    return Err(Stop::Bell);
                }
                to(p, Exclusive)
            }
            Key::Char('l' | ' ') | Key::Right => {
                let wraps = key == Key::Char(' ');
                let behind = pending.is_some() || matches!(self.mode, Mode::Visual { .. });
                let mut p = here;
                for _ in 0..n {
                    let line = self.buf.line(p.line);
                    let next = chars::next(line, p.col);
                    if p.col < line.len() && (next < line.len() || (behind && pending.is_some())) {
                        p.col = next;
                    } else if wraps && p.line < last && pending.is_none() {
                        p = place(p.line + 1, 0);
                    } else {
                        break;
                    }
                }
                if p == here && pending.is_none() && !matches!(self.mode, Mode::Visual { .. }) {
                    return Err(Stop::Bell);
                }
                to(p, Exclusive)
            }
            Key::Char('j' | '\n' | '\x0e') | Key::Down => vertical(self, true)?,
            Key::Char('k' | '\x10') | Key::Up => vertical(self, false)?,
            Key::Char('+' | '\r') => {
                let t = vertical(self, true)?;
                to(self.first_of(t.to.line), Lines)
            }
            Key::Char('-') => {
                let t = vertical(self, false)?;
                to(self.first_of(t.to.line), Lines)
            }
            Key::Char('_') => {
                if here.line + (n - 1) > last {
                    return Err(Stop::Bell);
                }
                to(self.first_of(here.line + n - 1), Lines)
            }
            Key::Char('0') => to(place(here.line, 0), Exclusive),
            Key::Home => to(place(here.line, 0), Exclusive),
            Key::Char('^') => to(self.first_of(here.line), Exclusive),
            Key::Char('$') | Key::End => {
                let line = here.line.saturating_add(n - 1);
                if line > last {
                    return Err(Stop::Bell);
                }
                self.want = usize::MAX;
                Target { keeps: true, ..to(self.aimed(line), Inclusive) }
            }
            Key::Char('|') => {
                let line = self.line();
                let p = place(here.line, chars::at_column(line, n - 1, self.tab()));
                self.want = n - 1;
                Target { keeps: true, ..to(p, Exclusive) }
            }
            Key::Char('g') => return self.g_motion(count, pending),
            Key::Char('G') => far(to(self.first_of(count.map_or(last, |c| c.max(1) - 1).min(last)), Lines)),
            Key::Char('H' | 'M' | 'L') => {
                let (top, bottom) = self.shown_lines();
                let line = match key {
                    Key::Char('H') => (top + n - 1).min(bottom),
                    Key::Char('L') => (bottom + 1).saturating_sub(n).max(top),
                    _ => top + (bottom - top) / 2,
                };
                far(to(self.first_of(line), Lines))
            }
            Key::Char(c @ ('w' | 'W')) => self.word_motion(c == 'W', n, pending)?,
            Key::Char(c @ ('b' | 'B')) => {
                to(self.often(n, |e, p| motion::back(&e.buf, p, c == 'B'))?, Exclusive)
            }
            Key::Char(c @ ('e' | 'E')) => {
                let end = self.often(n, |e, p| motion::end(&e.buf, p, c == 'E', false));
                match end {
                    Ok(p) => to(p, Inclusive),
                    Err(_) => self.text_end()?,
                }
            }
            Key::Char(c @ ('f' | 'F' | 't' | 'T')) => {
                let wanted = self.literal_key()?;
                self.find = Some((c, wanted));
                self.find_motion(c, wanted, n, false)?
            }
            Key::Char(c @ (';' | ',')) => {
                let Some((kind, wanted)) = self.find else { return Err(Stop::Bell) };
                let kind = match (c, kind.is_ascii_lowercase()) {
                    (';', _) => kind,
                    (_, true) => kind.to_ascii_uppercase(),
                    (_, false) => kind.to_ascii_lowercase(),
                };
                self.find_motion(kind, wanted, n, true)?
            }
            Key::Char('%') => match count {
                Some(percent) => {
                    if percent > 100 {
                        return Err(Stop::Bell);
                    }
                    let line = (percent * self.buf.len()).div_ceil(100).max(1) - 1;
                    far(to(self.first_of(line.min(last)), Lines))
                }
                None => large(to(motion::matching(&self.buf, here).ok_or(Stop::Bell)?, Inclusive)),
            },
            Key::Char(c @ ('{' | '}')) => {
                let p = self.exactly(n, |e, p| motion::paragraph(&e.buf, p, c == '}'))?;
                large(self.to_end(p, c == '}'))
            }
            Key::Char(c @ ('(' | ')')) => {
                let p = self.exactly(n, |e, p| motion::sentence(&e.buf, p, c == ')'))?;
                large(self.to_end(p, c == ')'))
            }
            Key::Char(c @ ('[' | ']')) => {
                let second = self.literal_key()?;
                let (open, close) = if matches!(second, '(' | ')') { (b'(', b')') } else { (b'{', b'}') };
                let p = match (c, second) {
                    ('[', '[') => self.often(n, |e, p| Some(motion::section(&e.buf, p, false, b'{')))?,
                    (']', ']') => self.often(n, |e, p| Some(motion::section(&e.buf, p, true, b'{')))?,
                    ('[', ']') => self.often(n, |e, p| Some(motion::section(&e.buf, p, false, b'}')))?,
                    (']', '[') => self.often(n, |e, p| Some(motion::section(&e.buf, p, true, b'}')))?,
                    ('[', '(' | '{') => self.often(n, |e, p| motion::enclosing(&e.buf, p, open, close))?,
                    (']', ')' | '}') => self.often(n, |e, p| motion::closing(&e.buf, p, open, close))?,
                    _ => return Err(Stop::Bell),
                };
                let kind = if matches!(second, ')' | '}') { Inclusive } else { Exclusive };
                large(to(p, kind))
            }
            Key::Char(c @ ('n' | 'N')) => {
                let backward = self.search.backward != (c == 'N');
                let pattern = self
                    .search
                    .pattern
                    .clone()
                    .ok_or(Stop::Say("E35: No previous regular expression".into()))?;
                let offset = self.search.offset.clone();
                self.message = format!("{}{pattern}", if backward { '?' } else { '/' });
                let (p, kind) = self.search_for(&pattern, &offset, backward, n)?;
                large(to(p, kind))
            }
            Key::Char(c @ ('*' | '#')) => self.star(c == '#', true, n)?,
            Key::Char(c @ ('/' | '?')) => {
                let Some(text) = self.prompt(c, "")? else { return Err(Stop::Bell) };
                let (p, kind) = self.typed_search(&text, c == '?', n)?;
                large(to(p, kind))
            }
            Key::Char(c @ ('\'' | '`')) => {
                let name = self.literal_key()?;
                let p = self.mark(name)?;
                if c == '`' {
                    Target { jump: !matches!(name, '[' | ']' | '<' | '>' | '.'), ..to(p, Exclusive) }
                } else {
                    far(to(self.first_of(p.line), Lines))
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(found))
    }

    /// A motion to the end of the text takes its last character, too.
    fn to_end(&self, p: Place, forward: bool) -> Target {
        let line = self.buf.line(p.line);
        let end = forward && p.line == self.buf.last() && !line.is_empty() && p.col == chars::last(line);
        to(p, if end { Kind::Inclusive } else { Kind::Exclusive })
    }

    fn text_end(&self) -> Res<Target> {
        let last = self.buf.last();
        let end = place(last, chars::last(self.buf.line(last)));
        if end == self.cursor { Err(Stop::Bell) } else { Ok(to(end, Kind::Inclusive)) }
    }

    /// A motion some times, as far as it goes.
    fn often(&self, n: usize, step: impl Fn(&Editor, Place) -> Option<Place>) -> Res<Place> {
        let mut p = self.cursor;
        for i in 0..n {
            match step(self, p) {
                Some(next) if next != p => p = next,
                _ if i == 0 => return Err(Stop::Bell),
                _ => break,
            }
        }
        Ok(p)
    }

    /// A motion some times, or not at all.
    fn exactly(&self, n: usize, step: impl Fn(&Editor, Place) -> Option<Place>) -> Res<Place> {
        let mut p = self.cursor;
        for _ in 0..n {
            p = step(self, p).filter(|next| *next != p).ok_or(Stop::Bell)?;
        }
        Ok(p)
    }

    fn word_motion(&self, big: bool, n: usize, pending: Option<&str>) -> Res<Target> {
        let blank = chars::class(motion::char_at(&self.buf, self.cursor), false) == 0;
        if pending == Some("c") && !blank {
            // `cw` changes up to the end of the word, and leaves the blanks.
            let mut p = self.cursor;
            for i in 0..n {
                match motion::end(&self.buf, p, big, i == 0) {
                    Some(next) => p = next,
                    None => return self.text_end().or(Ok(to(p, Kind::Inclusive))),
                }
            }
            return Ok(to(p, Kind::Inclusive));
        }
        let mut p = self.cursor;
        let mut at_end = false;
        for i in 0..n {
            if pending.is_some() && i + 1 == n && self.buf.line(p.line).is_empty() && p.line < self.buf.last()
            {
                // An empty line is taken with its end.
                return Ok(to(place(p.line + 1, 0), Kind::Exclusive));
            }
            match motion::word(&self.buf, p, big) {
                Some(next) => p = next,
                None => {
                    let last = self.buf.last();
                    let line = self.buf.line(last);
                    let end = place(last, chars::last(line));
                    if i == 0 && end == p && pending.is_none() {
                        return Err(Stop::Bell);
                    }
                    p = place(last, if pending.is_some() { line.len() } else { end.col });
                    at_end = true;
                    break;
                }
            }
        }
        // The last word of a line is deleted without the end of the line.
        if pending.is_some()
            && p.line > self.cursor.line
            && !at_end
            && p.col <= motion::first(&self.buf, p.line)
        {
            let line = p.line - 1;
            p = place(line, self.buf.line(line).len());
            if self.buf.line(line).is_empty() && line > self.cursor.line {
                // An empty line is a word: it is taken whole.
                p = place(line + 1, 0);
            }
        }
        Ok(to(p, Kind::Exclusive))
    }

    fn find_motion(&self, kind: char, wanted: char, n: usize, again: bool) -> Res<Target> {
        let p = motion::find(&self.buf, self.cursor, kind, wanted, n, again).ok_or(Stop::Bell)?;
        Ok(to(p, if kind.is_ascii_lowercase() { Kind::Inclusive } else { Kind::Exclusive }))
    }

    fn g_motion(&mut self, count: Option<usize>, pending: Option<&str>) -> Res<Option<Target>> {
        let n = count.unwrap_or(1).max(1);
        let here = self.cursor;
        let Key::Char(c) = self.key()? else { return Err(Stop::Bell) };
        Ok(Some(match c {
            'g' => {
                let line = count.map_or(0, |c| c.max(1) - 1).min(self.buf.last());
                Target { jump: true, ..to(self.first_of(line), Kind::Lines) }
            }
            'e' | 'E' => to(self.often(n, |e, p| motion::back_end(&e.buf, p, c == 'E'))?, Kind::Inclusive),
            '_' => {
                let line = (here.line + n - 1).min(self.buf.last());
                let text = self.buf.line(line).trim_ascii_end();
                to(place(line, chars::last(text)), Kind::Inclusive)
            }
            'j' | 'k' => return self.motion(Key::Char(c), count, pending),
            '0' | '^' | '$' => return self.motion(Key::Char(c), count, pending),
            'm' => {
                let middle = self.view.cols / 2;
                to(place(here.line, chars::at_column(self.line(), middle, self.tab())), Kind::Exclusive)
            }
            'o' => {
                let bytes = self.byte_place(count.unwrap_or(1));
                Target { jump: true, ..to(bytes, Kind::Exclusive) }
            }
            '*' | '#' => self.star(c == '#', false, n)?,
            _ if pending.is_some() => return Err(Stop::Bell),
            c => {
                self.g_command(c, count)?;
                return Ok(None);
            }
        }))
    }

    fn byte_place(&self, n: usize) -> Place {
        let mut left = n.saturating_sub(1);
        let end = 1 + usize::from(self.buf.crlf);
        for line in 0..self.buf.len() {
            let len = self.buf.line(line).len() + end;
            if left < len {
                return place(line, left);
            }
            left -= len;
        }
        place(self.buf.last(), usize::MAX)
    }

    fn star(&mut self, backward: bool, whole: bool, n: usize) -> Res<Target> {
        let line = self.line();
        let word = |at: usize| chars::class(chars::decode(line, at).map(|c| c.0), false);
        let mut from = self.cursor.col;
        // The word here, or the next of the line; else other characters.
        if word(from) != 1 {
            let mut at = from;
            while at < line.len() && word(at) != 1 {
                at = chars::next(line, at);
            }
            if at < line.len() {
                from = at;
            } else {
                while from < line.len() && word(from) == 0 {
                    from = chars::next(line, from);
                }
            }
        }
        if from >= line.len() {
            return say("E348: No string under cursor");
        }
        let kind = word(from);
        while from > 0 && word(chars::previous(line, from)) == kind {
            from = chars::previous(line, from);
        }
        let mut end = from;
        while end < line.len() && word(end) == kind {
            end = chars::next(line, end);
        }
        let mut text = String::new();
        for c in chars::text(&line[from..end]).chars() {
            if matches!(c, '/' | '\\' | '.' | '*' | '[' | '^' | '$' | '~') {
                text.push('\\');
            }
            text.push(c);
        }
        if whole && kind == 1 {
            text = format!("\\<{text}\\>");
        }
        let start = self.cursor;
        self.cursor.col = from;
        let found = {
            self.remember_search(&text, backward, "");
            self.search_for(&text, "", backward, n)
        };
        self.cursor = start;
        let (p, kind) = found?;
        Ok(Target { jump: true, large: true, ..to(p, kind) })
    }

    /// A character that is typed for a command: `^V` takes the next one as it is, Escape gives up.
    pub(crate) fn literal_key(&mut self) -> Res<char> {
        match self.key()? {
            Key::Char('\x1b' | '\x03') => Err(Stop::Bell),
            Key::Char('\x16') => match self.key()? {
                Key::Char(c) => Ok(c),
                _ => Err(Stop::Bell),
            },
            Key::Char(c) => Ok(c),
            _ => Err(Stop::Bell),
        }
    }

    /// The place of a mark.
    pub(crate) fn mark(&self, name: char) -> Res<Place> {
        let p = match name {
            '\'' | '`' => Some(self.buf.marked('\'').unwrap_or_default()),
            c if c.is_ascii_alphabetic() || matches!(c, '[' | ']' | '<' | '>' | '.' | '^' | '"') => {
                self.buf.marked(c)
            }
            _ => return say("E78: Unknown mark"),
        };
        match p {
            Some(p) if p.line <= self.buf.last() => {
                let line = self.buf.line(p.line);
                Ok(place(p.line, chars::floor(line, p.col.min(chars::last(line)))))
            }
            _ => say("E20: Mark not set"),
        }
    }
}
