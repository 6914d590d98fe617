//! `:substitute` and what repeats it.

use super::Command;
use super::range::number;
use crate::buffer::{Place, place};
use crate::chars;
use crate::editor::{Editor, Res, say};
use crate::key::Key;
use crate::pattern::{Match, Pattern};
use crate::searching::{split_pattern, too_hard};

/// The last substitution.
#[derive(Clone, Debug, Default)]
pub(crate) struct Substituted {
    pub(crate) pattern: String,
    pub(crate) replacement: String,
    flags: String,
}

/// What a run has done.
#[derive(Default)]
pub(crate) struct Tally {
    matches: usize,
    lines: usize,
}

/// What somebody answered to a question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    All,
    Last,
    Quit,
}

impl Editor {
    /// `s`, `&` and `~`; gives what is left of the line.
    pub(super) fn substitute(&mut self, name: &str, c: &Command, text: &str) -> Res<Option<String>> {
        let text = text.trim_start_matches([' ', '\t']);
        let mut wish = self.substituted.clone().unwrap_or_default();
        let known = self.substituted.is_some();
        let first = text.chars().next().unwrap_or(' ');
        let mut rest = text;
        let delimited = name == "substitute"
            && !first.is_alphanumeric()
            && !matches!(first, ' ' | '"' | '|' | '&' | '~' | '\t' | '\n')
            && !text.is_empty();
        if delimited {
            let (pattern, after) = split_pattern(&text[first.len_utf8()..], first);
            let (replacement, after) = match after {
                Some(after) => split_replacement(after, first),
                None => (String::new(), ""),
            };
            wish.pattern = match (pattern.is_empty(), &self.search.pattern) {
                (false, _) => pattern,
                (true, Some(last)) => last.clone(),
                (true, None) => return say("E35: No previous regular expression"),
            };
            if let Some(expression) = replacement.strip_prefix("\\=") {
                return say(format!("E15: Invalid expression: {expression}"));
            }
            // `~` is the text that was put in last.
            wish.replacement = self.with_tilde(&replacement);
            wish.flags.clear();
            rest = after;
        } else {
            if !known {
                return say("E35: No previous regular expression");
            }
            if name == "~" {
                wish.pattern = self.search.pattern.clone().unwrap_or(wish.pattern);
            }
        }
        let old_flags = self.substituted.as_ref().map(|s| s.flags.clone()).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('&') {
            wish.flags = old_flags;
            rest = after;
        } else if !delimited {
            wish.flags.clear();
        }
        while let Some(flag) = rest
            .chars()
            .next()
            .filter(|c| matches!(c, 'g' | 'c' | 'i' | 'I' | 'n' | 'e' | 'r' | 'p' | '#' | 'l'))
        {
            match flag {
                'r' => wish.pattern = self.search.pattern.clone().unwrap_or(wish.pattern),
                // Given twice it is taken away.
                'g' | 'c' if wish.flags.contains(flag) => wish.flags.retain(|f| f != flag),
                flag => wish.flags.push(flag),
            }
            rest = &rest[1..];
        }
        let (mut from, mut to) = (c.from, c.to);
        let trimmed = rest.trim_start();
        if trimmed.starts_with(|c: char| c.is_ascii_digit()) {
            let (n, after) = number(trimmed);
            if n == 0 {
                return say("E939: Positive count required");
            }
            from = to;
            to = to.saturating_add(n - 1).min(self.buf.len());
            rest = after;
        }
        let rest = rest.trim_start();
        let next = match rest.chars().next() {
            None | Some('"') => None,
            Some('|' | '\n') => Some(rest[1..].to_owned()),
            Some(_) => return say(format!("E488: Trailing characters: {rest}")),
        };
        if from == 0 {
            return say("E16: Invalid range");
        }
        self.search.pattern = Some(wish.pattern.clone());
        self.search.backward = false;
        self.search.offset.clear();
        self.highlight = true;
        self.substituted =
            Some(Substituted { flags: wish.flags.replace(['p', '#', 'l', 'n'], ""), ..wish.clone() });
        self.run_substitute(&wish, from - 1, to)?;
        Ok(next)
    }

    fn with_tilde(&self, replacement: &str) -> String {
        let last = self.substituted.as_ref().map_or("", |s| s.replacement.as_str());
        let mut out = String::new();
        let mut chars = replacement.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some('~') => out.push('~'),
                    Some(d) => out.extend(['\\', d]),
                    None => out.push('\\'),
                },
                '~' => out.push_str(last),
                c => out.push(c),
            }
        }
        out
    }

    fn run_substitute(&mut self, wish: &Substituted, from: usize, to: usize) -> Res<()> {
        let flag = |f: char| wish.flags.contains(f);
        let text = match (flag('i'), flag('I')) {
            (true, _) => format!("{}\\c", wish.pattern),
            (_, true) => format!("{}\\C", wish.pattern),
            _ => wish.pattern.clone(),
        };
        let pattern = self.pattern(&text)?;
        let global = flag('g') != self.options.on("gdefault");
        let start = self.cursor;
        let mut tally = Tally::default();
        let (mut line, mut end) = (from, to);
        let mut answer = if flag('c') { Answer::Yes } else { Answer::All };
        let mut last = None;
        while line < end && answer != Answer::Quit {
            if line % 1024 == 1023 && self.interrupted() {
                return say("Interrupted");
            }
            let before = self.buf.len();
            let (next, did) = if flag('n') {
                (line + 1, self.count(&pattern, line, global)?)
            } else {
                self.substitute_line(&pattern, wish, line, end, global, &mut answer)?
            };
            if did > 0 {
                tally.matches += did;
                tally.lines += 1;
                last = Some(next - 1);
            }
            end = (end + self.buf.len()).saturating_sub(before).max(next);
            end = end.min(self.buf.len());
            line = next;
        }
        if flag('n') {
            self.cursor = start;
            if tally.matches > 0 {
                let text = tally.text("match", "matches");
                self.tell(text);
            }
        } else if let Some(line) = last {
            self.jump_mark(start);
            self.mark_change(place(from.min(self.buf.last()), 0), place(line, 0));
            if flag('c') && !self.line_mode {
                // The cursor stays where it was asked last.
                self.clamp();
                self.aim();
            } else {
                self.go_line(line);
            }
            if tally.matches > self.options.number("report") && !self.global {
                let text = tally.text("substitution", "substitutions");
                self.tell(text);
            }
            if let Some(shape) = wish.flags.chars().find(|f| matches!(f, 'p' | '#' | 'l')) {
                let text = self.shown_line(line, shape == '#', shape == 'l');
                self.print(text);
            }
        }
        if tally.matches == 0 && !self.global && !flag('e') && answer != Answer::Quit && !flag('c') {
            return say(format!("E486: Pattern not found: {}", wish.pattern));
        }
        Ok(())
    }

    fn jump_mark(&mut self, start: Place) {
        if !self.global {
            self.buf.mark('\'', start);
        }
    }

    /// What `:global` has to say of the substitutions in it is nothing.
    pub(super) fn report_global(&mut self) {
        self.message.clear();
    }

    fn count(&self, pattern: &Pattern, line: usize, global: bool) -> Res<usize> {
        let (mut from, mut many) = (0, 0);
        let len = self.buf.line(line).len();
        while let Some(m) = pattern.find(&self.buf, line, from).map_err(too_hard)? {
            many += 1;
            if !global || m.end.line > line {
                break;
            }
            from =
                if m.end.col > m.start.col { m.end.col } else { chars::next(self.buf.line(line), m.end.col) };
            if m.end.col >= len {
                break;
            }
        }
        Ok(many)
    }

    /// One line; the line behind what came of it, and how many matches were replaced.
    fn substitute_line(
        &mut self,
        pattern: &Pattern,
        wish: &Substituted,
        line: usize,
        end_of_range: usize,
        global: bool,
        answer: &mut Answer,
    ) -> Res<(usize, usize)> {
        // The common case costs no copy.
        let Some(mut m) = pattern.find(&self.buf, line, 0).map_err(too_hard)? else {
            return Ok((line + 1, 0));
        };
        let mut new: Vec<Vec<u8>> = vec![Vec::new()];
        let (mut at, mut did) = (place(line, 0), 0);
        let mut last_end: Option<Place> = None;
        loop {
            if m.start.line != at.line {
                break;
            }
            let empty = m.start == m.end;
            if !(empty && last_end == Some(m.start)) {
                let yes = match *answer {
                    Answer::All | Answer::Last => true,
                    _ => {
                        let done = new.last().map_or(0, Vec::len) + m.start.col - at.col;
                        *answer = self.ask(&m, wish)?;
                        self.cursor = place(line + new.len() - 1, done);
                        matches!(answer, Answer::Yes | Answer::All | Answer::Last)
                    }
                };
                if yes {
                    let text = &self.buf.line(at.line)[at.col..m.start.col];
                    push(&mut new, text);
                    self.put_replacement(&wish.replacement, &m, &mut new);
                    at = m.end;
                    last_end = Some(m.end);
                    did += 1;
                    let size: usize = new.iter().map(Vec::len).sum();
                    if size > 1 << 30 {
                        return say("E342: Out of memory!");
                    }
                }
            }
            if *answer == Answer::Last {
                *answer = Answer::Quit;
            }
            // A line that came to this one is one of those that are asked for.
            let joined = m.end.line > m.start.line && at.line < end_of_range;
            if (!global && !joined) || *answer == Answer::Quit || at.line >= self.buf.len() {
                break;
            }
            let here = self.buf.line(at.line);
            let mut from = m.end.col.max(at.col);
            if empty {
                // Nothing is matched again at the very end.
                from = chars::next(here, from);
                if from >= here.len() {
                    break;
                }
            }
            match pattern.find(&self.buf, at.line, from).map_err(too_hard)? {
                // At the end of the line what was matched before it does not match again as nothing.
                Some(next)
                    if !(next.start == next.end
                        && next.start.col >= here.len()
                        && last_end == Some(next.start)) =>
                {
                    m = next
                }
                _ => break,
            }
        }
        if did == 0 {
            return Ok((line + 1, 0));
        }
        let end = at.line.min(self.buf.last());
        if at.line < self.buf.len() {
            let text = self.buf.line(at.line)[at.col..].to_vec();
            push(&mut new, &text);
        }
        let many = new.len();
        self.buf.replace(line, end - line + 1, new);
        Ok((line + many, did))
    }

    fn ask(&mut self, m: &Match, wish: &Substituted) -> Res<Answer> {
        if self.line_mode {
            let line = self.host.as_mut().and_then(|h| h.line()).unwrap_or_else(|| b"q".to_vec());
            return Ok(match line.first() {
                Some(b'y') => Answer::Yes,
                Some(b'a') => Answer::All,
                Some(b'l') => Answer::Last,
                Some(b'q') | None => Answer::Quit,
                _ => Answer::No,
            });
        }
        self.cursor = m.start;
        self.clamp();
        let text = format!("replace with {} (y/n/a/q/l/^E/^Y)?", wish.replacement);
        let len = text.chars().count();
        self.prompt = Some((String::new(), text, len));
        let answer = loop {
            match self.key() {
                Ok(Key::Char('y')) => break Ok(Answer::Yes),
                Ok(Key::Char('n')) => break Ok(Answer::No),
                Ok(Key::Char('a')) => break Ok(Answer::All),
                Ok(Key::Char('l')) => break Ok(Answer::Last),
                Ok(Key::Char('q' | '\x1b' | '\x03')) => break Ok(Answer::Quit),
                Ok(Key::Char('\x05')) => self.scroll(1),
                Ok(Key::Char('\x19')) => self.scroll(-1),
                Ok(_) => {}
                Err(stop) => break Err(stop),
            }
        };
        self.prompt = None;
        answer
    }

    /// The text of a match: groups, and case as the replacement says; `\r` begins a new line.
    fn put_replacement(&self, template: &str, m: &Match, new: &mut Vec<Vec<u8>>) {
        let (mut all, mut next) = (Case::Same, Case::Same);
        let mut chars = template.chars();
        let magic = self.options.on("magic");
        let put = |c: char, all: Case, next: &mut Case, new: &mut Vec<Vec<u8>>| {
            let case = if *next == Case::Same { all } else { *next };
            *next = Case::Same;
            let Some(last) = new.last_mut() else { return };
            match case {
                Case::Same => chars::encode(c, last),
                Case::Upper => last.extend(c.to_uppercase().flat_map(|c| chars::bytes(&c.to_string()))),
                Case::Lower => last.extend(c.to_lowercase().flat_map(|c| chars::bytes(&c.to_string()))),
            }
        };
        let group = |n: usize, all: Case, next: &mut Case, new: &mut Vec<Vec<u8>>| {
            let Some((from, to)) = m.groups[n] else { return };
            for line in from.line..=to.line.min(self.buf.last()) {
                let bytes = self.buf.line(line);
                let start = if line == from.line { from.col } else { 0 };
                let end = if line == to.line { to.col } else { bytes.len() };
                for (_, c) in chars::iterate(&bytes[start.min(end)..end]) {
                    put(c, all, next, new);
                }
                if line < to.line {
                    new.push(Vec::new());
                }
            }
        };
        while let Some(c) = chars.next() {
            match c {
                '&' if magic => group(0, all, &mut next, new),
                '\r' => new.push(Vec::new()),
                '\\' => match chars.next() {
                    Some('&') if !magic => group(0, all, &mut next, new),
                    Some(d @ '0'..='9') => group(d as usize - '0' as usize, all, &mut next, new),
                    Some('r' | '\r') => new.push(Vec::new()),
                    Some('n') => put('\0', all, &mut next, new),
                    Some('t') => put('\t', all, &mut next, new),
                    Some('b') => put('\x08', all, &mut next, new),
                    Some('u') => next = Case::Upper,
                    Some('l') => next = Case::Lower,
                    Some('U') => all = Case::Upper,
                    Some('L') => all = Case::Lower,
                    Some('E' | 'e') => (all, next) = (Case::Same, Case::Same),
                    Some(c) => put(c, all, &mut next, new),
                    None => put('\\', all, &mut next, new),
                },
                c => put(c, all, &mut next, new),
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Same,
    Upper,
    Lower,
}

impl Tally {
    fn text(&self, one: &str, many: &str) -> String {
        let what = if self.matches == 1 { one } else { many };
        let lines = if self.lines == 1 { "line" } else { "lines" };
        format!("{} {what} on {} {lines}", self.matches, self.lines)
    }
}

fn push(lines: &mut [Vec<u8>], text: &[u8]) {
    if let Some(last) = lines.last_mut() {
        last.extend_from_slice(text);
    }
}

/// The replacement up to the delimiter that is not escaped, and what comes behind it.
fn split_replacement(text: &str, delimiter: char) -> (String, &str) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == delimiter => return (out, &text[i + c.len_utf8()..]),
            '\n' => return (out, &text[i..]),
            '\\' => match chars.next() {
                Some((_, d)) if d == delimiter => out.push(d),
                Some((_, d)) => out.extend(['\\', d]),
                None => out.push('\\'),
            },
            // A bar ends the command only in front of the delimiter, where vim lets it.
            c => out.push(c),
        }
    }
    (out, "")
}
