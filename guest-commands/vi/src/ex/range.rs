//! Addresses: which lines a command is for.

use crate::editor::{Editor, Res, Stop, say};
use crate::searching::{split_pattern, too_hard};

impl Editor {
    /// The addresses before a command, as numbers of lines from 1, and the rest.
    pub(crate) fn range<'a>(&mut self, text: &'a str) -> Res<(Vec<usize>, &'a str)> {
        let mut rest = text.trim_start();
        let mut found = Vec::new();
        loop {
            if let Some(after) = rest.strip_prefix('%') {
                found.extend([1, self.buf.len()]);
                rest = after.trim_start();
                if !rest.starts_with([',', ';']) {
                    return Ok((found, rest));
                }
            } else if rest.starts_with('*') && found.is_empty() {
                found.extend([self.ex_mark_line('<')?, self.ex_mark_line('>')?]);
                return Ok((found, rest[1..].trim_start()));
            } else {
                let (line, after) = self.address(rest)?;
                rest = after.trim_start();
                let more = rest.starts_with([',', ';']);
                match line {
                    Some(line) => found.push(line),
                    // `,` alone stands between two current lines.
                    None if more
                        || (!found.is_empty() && text.trim_end().len() > rest.len() && ended(text, rest)) =>
                    {
                        found.push(self.cursor.line + 1);
                    }
                    None => {}
                }
                if !more {
                    break;
                }
            }
            if rest.starts_with(';')
                && let Some(line) = found.last()
            {
                self.cursor = crate::buffer::place((line.max(&1) - 1).min(self.buf.last()), 0);
            }
            rest = rest[1..].trim_start();
        }
        if found.len() > 2 {
            found.drain(..found.len() - 2);
        }
        Ok((found, rest))
    }

    fn ex_mark_line(&self, name: char) -> Res<usize> {
        Ok(self.mark(name)?.line + 1)
    }

    /// One address: none if there is none.
    pub(crate) fn address<'a>(&mut self, text: &'a str) -> Res<(Option<usize>, &'a str)> {
        let mut rest = text.trim_start();
        let here = self.cursor.line + 1;
        let mut line: Option<usize> = None;
        let first = rest.chars().next();
        match first {
            Some('.') => (line, rest) = (Some(here), &rest[1..]),
            Some('$') => (line, rest) = (Some(self.buf.len()), &rest[1..]),
            Some('0'..='9') => {
                let (n, after) = number(rest);
                (line, rest) = (Some(n), after);
            }
            Some('\'') => {
                let Some(name) = rest[1..].chars().next() else { return say("E78: Unknown mark") };
                line = Some(self.ex_mark_line(name)?);
                rest = &rest[1 + name.len_utf8()..];
            }
            Some(delimiter @ ('/' | '?')) => {
                let (pattern, after) = split_pattern(&rest[1..], delimiter);
                rest = after.unwrap_or("");
                line = Some(self.ex_search(&pattern, delimiter == '?')?);
                // More patterns go on from there.
                while let Some(delimiter) = rest.chars().next().filter(|c| matches!(c, '/' | '?')) {
                    let keep = self.cursor;
                    self.cursor = crate::buffer::place(line.unwrap_or(1) - 1, 0);
                    let (pattern, after) = split_pattern(&rest[1..], delimiter);
                    let found = self.ex_search(&pattern, delimiter == '?');
                    self.cursor = keep;
                    line = Some(found?);
                    rest = after.unwrap_or("");
                }
            }
            Some('\\') => {
                let backward = match rest[1..].chars().next() {
                    Some('/') => false,
                    Some('?') => true,
                    Some('&') => {
                        let pattern = self.substituted.as_ref().map(|s| s.pattern.clone());
                        let Some(pattern) = pattern else {
                            return say("E35: No previous regular expression");
                        };
                        line = Some(self.ex_search(&pattern, false)?);
                        rest = &rest[2..];
                        return self.offsets(line, rest, here);
                    }
                    _ => return say("E10: \\ should be followed by /, ? or &"),
                };
                line = Some(self.ex_search("", backward)?);
                rest = &rest[2..];
            }
            _ => {}
        }
        self.offsets(line, rest, here)
    }

    /// `+n` and `-n` behind an address.
    fn offsets<'a>(&self, line: Option<usize>, text: &'a str, here: usize) -> Res<(Option<usize>, &'a str)> {
        let (mut line, mut rest) = (line, text);
        loop {
            let trimmed = rest.trim_start();
            let Some(sign) = trimmed.chars().next().filter(|c| matches!(c, '+' | '-')) else {
                // A number behind an address is added to it.
                if line.is_some()
                    && trimmed.starts_with(|c: char| c.is_ascii_digit())
                    && rest.len() > trimmed.len()
                {
                    let (n, after) = number(trimmed);
                    line = line.map(|l| l.saturating_add(n));
                    rest = after;
                    continue;
                }
                return Ok((line, rest));
            };
            let (n, after) = if trimmed[1..].starts_with(|c: char| c.is_ascii_digit()) {
                number(&trimmed[1..])
            } else {
                (1, &trimmed[1..])
            };
            let base = line.unwrap_or(here);
            line = Some(if sign == '+' {
                base.saturating_add(n)
            } else if n > base {
                return say("E16: Invalid range");
            } else {
                base - n
            });
            rest = after;
        }
    }

    fn ex_search(&mut self, pattern: &str, backward: bool) -> Res<usize> {
        let pattern = match (pattern.is_empty(), &self.search.pattern) {
            (false, _) => pattern.to_owned(),
            (true, Some(last)) => last.clone(),
            (true, None) => return say("E35: No previous regular expression"),
        };
        let compiled = self.pattern(&pattern)?;
        self.remember_search(&pattern, backward, "");
        let (total, here) = (self.buf.len(), self.cursor.line);
        for step in 1..=total {
            if step % 4096 == 0 && self.interrupted() {
                return Err(Stop::Say("Interrupted".into()));
            }
            let line = if backward { (here + total - step) % total } else { (here + step) % total };
            let wrapped = if backward { step > here } else { here + step >= total };
            if wrapped && !self.options.on("wrapscan") {
                break;
            }
            if compiled.find(&self.buf, line, 0).map_err(too_hard)?.is_some() {
                return Ok(line + 1);
            }
        }
        say(format!("E486: Pattern not found: {pattern}"))
    }
}

/// Whether the text before `rest` ends in a comma.
fn ended(text: &str, rest: &str) -> bool {
    text[..text.len() - rest.len()].trim_end().ends_with([',', ';'])
}

/// A number at the beginning of a text.
pub(crate) fn number(text: &str) -> (usize, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().unwrap_or(usize::MAX >> 8), &text[end..])
}
