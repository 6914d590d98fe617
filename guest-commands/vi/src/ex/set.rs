//! `:set`.

use crate::editor::{Editor, Res, say};
use crate::options::Value;

/// What has no effect here, but stands in scripts out of habit: taken in the form in which it asks for what is the case anyway.
const HABITS: [&str; 14] = [
    "nocompatible",
    "nocp",
    "noswapfile",
    "noswf",
    "nobackup",
    "nobk",
    "nowritebackup",
    "nowb",
    "nomodeline",
    "noml",
    "nofoldenable",
    "nofen",
    "noundofile",
    "hidden",
];

impl Editor {
    pub(super) fn ex_set(&mut self, text: &str) -> Res<()> {
        if text.is_empty() || text == "all" {
            for row in self.options.list(text == "all") {
                self.print(row);
            }
            return Ok(());
        }
        for word in words(text) {
            self.set_one(&word)?;
        }
        Ok(())
    }

    fn set_one(&mut self, word: &str) -> Res<()> {
        if HABITS.contains(&word) {
            return Ok(());
        }
        let end = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
        let (name, rest) = word.split_at(end);
        if self.set_file_option(name, rest)? {
            return Ok(());
        }
        let Some(full) = self.options.full(name) else {
            if let Some(bare) =
                name.strip_prefix("no").filter(|n| matches!(self.options.get(n), Some(Value::On(_))))
            {
                if !rest.is_empty() {
                    return say(format!("E474: Invalid argument: {word}"));
                }
                self.options.set(bare, Value::On(false));
                return Ok(());
            }
            if let Some(bare) =
                name.strip_prefix("inv").filter(|n| matches!(self.options.get(n), Some(Value::On(_))))
            {
                let on = self.options.on(self.options.full(bare).unwrap_or(bare));
                self.options.set(bare, Value::On(!on));
                return Ok(());
            }
            return say(format!("E518: Unknown option: {word}"));
        };
        match (rest, self.options.get(full).cloned()) {
            ("?", _) => {
                let text = self.options.show(full);
                self.print(text);
            }
            ("&", _) => {
                if let Some(value) = self.options.default(full) {
                    self.options.set(full, value);
                }
            }
            ("", Some(Value::On(_))) => self.options.set(full, Value::On(true)),
            ("!", Some(Value::On(on))) => self.options.set(full, Value::On(!on)),
            ("", Some(_)) => {
                let text = self.options.show(full);
                self.print(text);
            }
            (rest, Some(Value::Number(old))) => {
                let (how, digits) = match rest.split_once('=') {
                    Some((how @ ("" | "+" | "-" | "^"), digits)) => (how, digits),
                    _ => match rest.strip_prefix(':') {
                        Some(digits) => ("", digits),
                        None => return say(format!("E488: Trailing characters: {word}")),
                    },
                };
                let Ok(n) = digits.parse::<usize>() else {
                    return say(format!("E521: Number required after =: {word}"));
                };
                let n = match how {
                    "+" => old.saturating_add(n),
                    "-" => old.saturating_sub(n),
                    "^" => old.saturating_mul(n),
                    _ => n,
                };
                if full == "tabstop" && n == 0 {
                    return say(format!("E487: Argument must be positive: {word}"));
                }
                self.options.set(full, Value::Number(n.min(99_999)));
            }
            (rest, Some(Value::Text(_))) => match rest.strip_prefix('=') {
                Some(text) => self.options.set(full, Value::Text(text.to_owned())),
                None => return say(format!("E488: Trailing characters: {word}")),
            },
            _ => return say(format!("E474: Invalid argument: {word}")),
        }
        Ok(())
    }

    /// What is a property of the text: how lines end, and whether the last one does.
    fn set_file_option(&mut self, name: &str, rest: &str) -> Res<bool> {
        match (name, rest) {
            ("ff" | "fileformat", "=dos" | "=unix") => {
                let crlf = rest == "=dos";
                if self.buf.crlf != crlf {
                    self.buf.crlf = crlf;
                    self.buf.set_modified(true);
                }
            }
            ("ff" | "fileformat", "" | "?") => {
                let text = if self.buf.crlf { "  fileformat=dos" } else { "  fileformat=unix" };
                self.print(text);
            }
            ("ff" | "fileformat", _) => return say(format!("E474: Invalid argument: {name}{rest}")),
            ("eol" | "endofline", "") => self.buf.final_newline = true,
            ("noeol" | "noendofline", "") => self.buf.final_newline = false,
            ("mod" | "modified", "") => self.buf.set_modified(true),
            ("nomod" | "nomodified", "") => self.buf.set_modified(false),
            ("mod" | "modified", "?") => {
                let text = if self.buf.modified() { "  modified" } else { "nomodified" };
                self.print(text);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Words with blanks that may be escaped; a `"` begins a comment.
fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            ' ' | '\t' => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
            }
            '"' if word.is_empty() => break,
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}
