//! `:global` and `:vglobal`: a command at each line that matches, or does not.

use super::Command;
use crate::buffer::place;
use crate::editor::{Editor, Res, say};
use crate::searching::{split_pattern, too_hard};

impl Editor {
    pub(super) fn ex_global(&mut self, contrary: bool, c: &Command) -> Res<()> {
        if self.global {
            return say("E147: Cannot do :global recursive with a range");
        }
        let contrary = contrary || c.bang;
        let mut text = c.argument.chars();
        let Some(delimiter) = text.next() else {
            return say("E148: Regular expression missing from global");
        };
        if delimiter.is_alphanumeric() || matches!(delimiter, '"' | '|') {
            return say("E146: Regular expressions can't be delimited by letters");
        }
        let (pattern, command) = split_pattern(text.as_str(), delimiter);
        let command = command.unwrap_or("").to_owned();
        let pattern = match (pattern.is_empty(), &self.search.pattern) {
            (false, _) => pattern,
            (true, Some(last)) => last.clone(),
            (true, None) => return say("E35: No previous regular expression"),
        };
        let compiled = self.pattern(&pattern)?;
        self.remember_search(&pattern, false, "");
        let (from, to) = if c.given == 0 { (0, self.buf.len()) } else { (c.from.max(1) - 1, c.to) };
        let mut any = false;
        for line in from..to {
            if line % 4096 == 4095 && self.interrupted() {
                self.buf.untag();
                return say("Interrupted");
            }
            let found = compiled.find(&self.buf, line, 0).map_err(too_hard);
            let found = match found {
                Ok(found) => found.is_some(),
                Err(stop) => {
                    self.buf.untag();
                    return Err(stop);
                }
            };
            if found != contrary {
                self.buf.tag(line);
                any = true;
            }
        }
        if !any {
            // Nothing fails in a script for this.
            self.tell(if contrary {
                format!("E538: Pattern found in every line: {pattern}")
            } else {
                format!("E486: Pattern not found: {pattern}")
            });
            return Ok(());
        }
        let before = self.buf.len() - usize::from(self.buf.void);
        self.global = true;
        let start = self.cursor;
        let mut result = Ok(());
        let mut turns = 0_usize;
        while let Some(line) = self.buf.next_tagged() {
            self.cursor = place(line, 0);
            result = self.ex(if command.trim().is_empty() { "p" } else { &command });
            turns += 1;
            if result.is_err() || self.quit.is_some() {
                break;
            }
            if turns.is_multiple_of(256) && self.interrupted() {
                result = say("Interrupted");
                break;
            }
        }
        self.buf.untag();
        self.global = false;
        self.clamp();
        if start.line != self.cursor.line && !self.line_mode {
            self.buf.mark('\'', start);
        }
        self.aim();
        if result.is_ok() {
            self.report_global();
            self.report(before);
        }
        result
    }
}
