//! `/`, `?` and what repeats them: patterns with offsets, around the end of the text. The patterns themselves are in `pattern`.

use crate::buffer::{Place, place};
use crate::chars;
use crate::editor::{Editor, Res, Stop, say};
use crate::moves::Kind;
use crate::pattern::{Match, Pattern, Reading, TooHard};

/// What a search that takes too long says.
pub(crate) fn too_hard(_: TooHard) -> Stop {
    Stop::Say("E363: Pattern uses more memory than 'maxmempattern'".into())
}

/// The part of `text` before the delimiter that is not escaped, and what comes behind it. Escaped delimiters lose their backslash.
pub(crate) fn split_pattern(text: &str, delimiter: char) -> (String, Option<&str>) {
    let mut out = String::new();
    let mut chars = text.char_indices().peekable();
    let mut bracket = false;
    while let Some((i, c)) = chars.next() {
        if c == delimiter && !bracket {
            return (out, Some(&text[i + c.len_utf8()..]));
        }
        match c {
            '\\' => match chars.next() {
                Some((_, d)) if d == delimiter && d != '\\' => {
                    // `?` alone has another meaning without its backslash.
                    out.push(d);
                }
                Some((_, d)) => {
                    out.push('\\');
                    out.push(d);
                }
                None => out.push('\\'),
            },
            '[' if !bracket && text[i..].chars().skip(2).any(|c| c == ']') => {
                bracket = true;
                out.push('[');
                // A bracket that comes first is one of the set.
                if let Some((_, '^')) = chars.peek() {
                    out.push('^');
                    chars.next();
                }
                if let Some((_, ']')) = chars.peek() {
                    out.push(']');
                    chars.next();
                }
            }
            ']' if bracket => {
                bracket = false;
                out.push(']');
            }
            c => out.push(c),
        }
    }
    if bracket {
        // It was no set: search again without.
        return split_plain(text, delimiter);
    }
    (out, None)
}

fn split_plain(text: &str, delimiter: char) -> (String, Option<&str>) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        if c == delimiter {
            return (out, Some(&text[i + c.len_utf8()..]));
        }
        out.push(c);
        if c == '\\'
            && let Some((_, d)) = chars.next()
        {
            if d == delimiter {
                out.pop();
            }
            out.push(d);
        }
    }
    (out, None)
}

impl Editor {
    /// A pattern, compiled as the options say.
    pub(crate) fn pattern(&self, text: &str) -> Res<Pattern> {
        let reading = Reading {
            ignore_case: self.options.on("ignorecase"),
            smart_case: self.options.on("smartcase"),
            magic: self.options.on("magic"),
            last_substitute: self.substituted.as_ref().map(|s| s.replacement.clone()).unwrap_or_default(),
        };
        Pattern::new(text, &reading).map_err(Stop::Say)
    }

    /// Keeps a search for the next time.
    pub(crate) fn remember_search(&mut self, pattern: &str, backward: bool, offset: &str) {
        self.search.pattern = Some(pattern.to_owned());
        self.search.backward = backward;
        self.search.offset = offset.to_owned();
        self.highlight = true;
    }

    /// What was typed behind `/` or `?`.
    pub(crate) fn typed_search(&mut self, text: &str, backward: bool, n: usize) -> Res<(Place, Kind)> {
        let start = self.cursor;
        let result = self.typed_searches(text, backward, n);
        self.cursor = start;
        result
    }

    fn typed_searches(&mut self, text: &str, backward: bool, n: usize) -> Res<(Place, Kind)> {
        let (mut text, mut backward, mut n) = (text.to_owned(), backward, n);
        for _ in 0..100 {
            let (pattern, rest) = split_pattern(&text, if backward { '?' } else { '/' });
            let rest = rest.unwrap_or("").to_owned();
            let (offset, next) = match rest.split_once(';') {
                Some((offset, next)) if next.starts_with(['/', '?']) => {
                    (offset.to_owned(), Some(next.to_owned()))
                }
                _ => (rest, None),
            };
            let pattern = match (pattern.is_empty(), &self.search.pattern) {
                (false, _) => pattern,
                (true, Some(last)) => last.clone(),
                (true, None) => return say("E35: No previous regular expression"),
            };
            let offset = if text.is_empty() { self.search.offset.clone() } else { offset };
            self.remember_search(&pattern, backward, &offset);
            let found = self.search_for(&pattern, &offset, backward, n)?;
            let Some(next) = next else { return Ok(found) };
            self.cursor = found.0;
            backward = next.starts_with('?');
            text = next[1..].to_owned();
            n = 1;
        }
        say("E386: Expected '?' or '/' after ';'")
    }

    /// Searches from the cursor, and applies the offset.
    pub(crate) fn search_for(
        &mut self,
        pattern: &str,
        offset: &str,
        backward: bool,
        n: usize,
    ) -> Res<(Place, Kind)> {
        let compiled = self.pattern(pattern)?;
        let mut at = self.cursor;
        // With an offset of lines the search begins beyond the line.
        if let Some((_, lines)) = line_offset(offset) {
            if backward {
                at.col = 0;
            } else {
                at.col = usize::MAX;
            }
            let _ = lines;
        } else if offset.starts_with('e') && !backward {
            at.col = chars::next(self.buf.line(at.line), at.col);
        }
        let mut found = None;
        for _ in 0..n.min(10_000) {
            let m = self.next_match(&compiled, at, backward)?;
            let Some((m, wrapped)) = m else {
                return match self.options.on("wrapscan") {
                    true => say(format!("E486: Pattern not found: {pattern}")),
                    false if backward => say(format!("E384: Search hit TOP without match for: {pattern}")),
                    false => say(format!("E385: Search hit BOTTOM without match for: {pattern}")),
                };
            };
            if wrapped {
                let text = if backward {
                    "search hit TOP, continuing at BOTTOM"
                } else {
                    "search hit BOTTOM, continuing at TOP"
                };
                self.message = text.into();
            }
            at = m.start;
            found = Some(m);
        }
        let Some(m) = found else { return Err(Stop::Bell) };
        self.apply_offset(&m, offset)
    }

    fn apply_offset(&self, m: &Match, offset: &str) -> Res<(Place, Kind)> {
        if let Some((down, lines)) = line_offset(offset) {
            let line = if down {
                (m.start.line + lines).min(self.buf.last())
            } else {
                m.start.line.saturating_sub(lines)
            };
            return Ok((place(line, crate::motion::first(&self.buf, line)), Kind::Lines));
        }
        let (base, kind) = match offset.chars().next() {
            Some('e') => {
                let line = self.buf.line(m.end.line);
                let end = if m.end.col == 0 && m.end.line > m.start.line {
                    place(m.end.line - 1, self.buf.line(m.end.line - 1).len())
                } else {
                    place(m.end.line, chars::previous(line, m.end.col))
                };
                (end.max(m.start), Kind::Inclusive)
            }
            _ => (m.start, Kind::Exclusive),
        };
        let digits = offset.trim_start_matches(['e', 's', 'b']);
        let n: isize = match digits {
            "" => 0,
            "+" => 1,
            "-" => -1,
            n => n.trim_start_matches('+').parse().unwrap_or(0),
        };
        let line = self.buf.line(base.line);
        let mut col = base.col;
        for _ in 0..n.unsigned_abs().min(line.len()) {
            col = if n < 0 { chars::previous(line, col) } else { chars::next(line, col) };
        }
        Ok((place(base.line, col.min(line.len())), kind))
    }

    /// The next match before or behind a place, and whether the search went around the end.
    pub(crate) fn next_match(
        &mut self,
        p: &Pattern,
        at: Place,
        backward: bool,
    ) -> Res<Option<(Match, bool)>> {
        let around = self.options.on("wrapscan");
        let total = self.buf.len();
        for step in 0..=total {
            if step % 4096 == 4095 && self.interrupted() {
                return say("Interrupted");
            }
            let line =
                if backward { (at.line + total - step % total) % total } else { (at.line + step) % total };
            let wrapped = if backward { step > at.line } else { at.line + step >= total };
            if wrapped && !around {
                return Ok(None);
            }
            let found = if backward {
                // In the line of the cursor: before it; at the very end what is behind it.
                let limit = if step == 0 { Some(at.col) } else { None };
                self.last_match_in(p, line, limit)?
            } else {
                self.first_match_in(p, line, (step == 0).then_some(at.col))?
            };
            if let Some(m) = found {
                return Ok(Some((m, wrapped)));
            }
        }
        Ok(None)
    }

    /// Matches follow one another: none begins inside of another one.
    fn first_match_in(&self, p: &Pattern, line: usize, behind: Option<usize>) -> Res<Option<Match>> {
        let mut from = 0;
        while let Some(m) = p.find(&self.buf, line, from).map_err(too_hard)? {
            let bytes = self.buf.line(line);
            let Some(behind) = behind else { return Ok(Some(m)) };
            // What is found behind the last character stands on it.
            let start = if m.start.col >= bytes.len() { chars::last(bytes) } else { m.start.col };
            if start > behind || m.start.line > line {
                return Ok(Some(m));
            }
            match after(bytes, line, &m) {
                Some(next) => from = next,
                None => break,
            }
        }
        Ok(None)
    }

    fn last_match_in(&self, p: &Pattern, line: usize, before: Option<usize>) -> Res<Option<Match>> {
        let bytes = self.buf.line(line);
        let (mut from, mut found) = (0, None);
        while let Some(m) = p.find(&self.buf, line, from).map_err(too_hard)? {
            let start = if m.start.col >= bytes.len() { chars::last(bytes) } else { m.start.col };
            if m.start.line != line || before.is_some_and(|b| start >= b) {
                break;
            }
            let next = after(bytes, line, &m);
            found = Some(m);
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
        Ok(found)
    }
}

/// Where the search for the next match of a line goes on.
fn after(bytes: &[u8], line: usize, m: &Match) -> Option<usize> {
    let next = if m.end.line == line && m.end.col > m.start.col {
        m.end.col
    } else {
        chars::next(bytes, m.start.col)
    };
    (m.end.line == line && m.start.col < bytes.len() && next < bytes.len()).then_some(next)
}

/// An offset of lines: down or up, and how many.
fn line_offset(offset: &str) -> Option<(bool, usize)> {
    let rest = offset.trim_start_matches(['+', '-']);
    if !offset.starts_with(|c: char| c == '+' || c == '-' || c.is_ascii_digit()) {
        return None;
    }
    let n = if rest.is_empty() { 1 } else { rest.parse().ok()? };
    Some((!offset.starts_with('-'), n))
}
