//! Commands on whole lines: delete, copy, move, put, join, shift, print, and those that bring text.

use super::Command;
use super::range::number;
use crate::buffer::place;
use crate::chars;
use crate::editor::{Editor, Res, Stop, say};
use crate::register::{Came, writable};

/// What may follow a command: a register, a count, and letters that show the line afterwards.
struct Tail {
    register: Option<char>,
    from: usize,
    to: usize,
    show: String,
}

impl Editor {
    /// Reads `[register] [count] [flags]`.
    fn tail(&self, c: &Command, register: bool) -> Res<Tail> {
        let mut rest = c.argument.as_str();
        let mut tail = Tail { register: None, from: c.from, to: c.to, show: String::new() };
        if register && let Some(name) = rest.chars().next().filter(|n| writable(*n) && !n.is_ascii_digit()) {
            tail.register = Some(name);
            rest = rest[name.len_utf8()..].trim_start();
        }
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            let (n, after) = number(rest);
            if n == 0 {
                return say("E939: Positive count required");
            }
            tail.from = c.to;
            tail.to = c.to.saturating_add(n - 1).min(self.buf.len());
            rest = after.trim_start();
        }
        tail.show = rest.to_owned();
        if !rest.chars().all(|c| matches!(c, 'l' | '#' | 'p' | '+' | '-')) {
            return say(format!("E488: Trailing characters: {rest}"));
        }
        Ok(tail)
    }

    fn show_after(&mut self, flags: &str) {
        if flags.contains(['l', '#', 'p']) {
            let text = self.shown_line(self.cursor.line, flags.contains('#'), flags.contains('l'));
            self.print(text);
        }
    }

    fn needs_line(&self, from: usize) -> Res<usize> {
        if from == 0 {
            return say("E16: Invalid range");
        }
        Ok(from - 1)
    }

    pub(super) fn ex_delete(&mut self, delete: bool, c: &Command) -> Res<()> {
        let tail = self.tail(c, true)?;
        let from = self.needs_line(tail.from.max(usize::from(tail.to > 0)))?;
        let to = tail.to - 1;
        if delete && self.buf.void {
            return Ok(());
        }
        let text = self.extract_lines(from, to);
        let many = text.lines.len();
        self.keep(tail.register, text, if delete { Came::Large } else { Came::Yanked });
        if delete {
            let before = self.buf.len();
            self.buf.replace(from, many, Vec::new());
            let line = from.min(self.buf.last());
            self.mark_change(place(line, 0), place(line, 0));
            self.go_line(from);
            self.report(before);
        } else {
            self.buf.mark('[', place(from, 0));
            self.buf.mark(']', place(to, 0));
            if many > self.options.number("report") {
                self.tell(format!("{many} lines yanked"));
            }
        }
        self.show_after(&tail.show);
        Ok(())
    }

    pub(super) fn ex_copy(&mut self, moves: bool, c: &Command) -> Res<()> {
        let from = self.needs_line(c.from)?;
        let (target, rest) = self.address(&c.argument)?;
        let Some(target) = target else { return say("E14: Invalid address") };
        if target > self.buf.len() {
            return say("E16: Invalid range");
        }
        let flags = rest.trim().to_owned();
        let many = c.to - from;
        let lines = self.buf.copy(from, c.to);
        let before = self.buf.len();
        let last = if moves {
            if target > from && target < c.to {
                return say("E134: Cannot move a range of lines into itself");
            }
            if target == c.to || target == from {
                // It is there already.
                c.to - 1
            } else if target > from {
                self.buf.insert(target, lines);
                self.buf.replace(from, many, Vec::new());
                target - 1
            } else {
                self.buf.replace(from, many, Vec::new());
                self.buf.insert(target, lines);
                target + many - 1
            }
        } else {
            self.buf.insert(target, lines);
            target + many - 1
        };
        self.mark_change(place(last + 1 - many, 0), place(last, 0));
        self.go_line(last);
        if moves && many > self.options.number("report") {
            self.tell(format!("{many} lines moved"));
        } else {
            self.report(before);
        }
        self.show_after(&flags);
        Ok(())
    }

    pub(super) fn ex_put(&mut self, c: &Command) -> Res<()> {
        let name = c.argument.chars().next().unwrap_or('"');
        let text = self.put_text(Some(name))?;
        let at = if c.bang { c.to.saturating_sub(1) } else { c.to };
        let before = self.buf.len() - usize::from(self.buf.void);
        let many = text.lines.len();
        self.buf.void = false;
        self.buf.insert(at, text.lines);
        self.mark_change(place(at, 0), place(at + many - 1, 0));
        self.go_line(at + many - 1);
        self.report(before);
        Ok(())
    }

    pub(super) fn ex_join(&mut self, c: &Command) -> Res<()> {
        let mut tail = self.tail(c, false)?;
        let counted = c.argument.starts_with(|c: char| c.is_ascii_digit());
        let from = self.needs_line(tail.from)?;
        if counted {
            tail.to = tail.from.saturating_add(number(&c.argument).0 - 1).min(self.buf.len());
        }
        if c.given < 2 && !counted {
            if c.given == 0 || tail.from == tail.to {
                tail.to = tail.from + 1;
            }
            if tail.to > self.buf.len() {
                return Err(Stop::Bell);
            }
        }
        let before = self.buf.len();
        if tail.to - 1 > from {
            self.join(from, tail.to - 1, !c.bang);
            let col = self.first_column(from);
            self.go(place(from, col));
        }
        self.report(before);
        self.show_after(&tail.show);
        Ok(())
    }

    pub(super) fn ex_shift(&mut self, right: bool, c: &Command) -> Res<()> {
        let mark = if right { '>' } else { '<' };
        let more = c.argument.chars().take_while(|c| *c == mark).count();
        let rest = Command { argument: c.argument[more..].trim_start().to_owned(), ..c.clone() };
        let tail = self.tail(&rest, false)?;
        let from = self.needs_line(tail.from)?;
        self.shift(from, tail.to - 1, right, more + 1);
        self.go_line(tail.to - 1);
        self.show_after(&tail.show);
        Ok(())
    }

    /// How `:print` shows a line.
    pub(crate) fn shown_line(&self, line: usize, number: bool, list: bool) -> String {
        let bytes = self.buf.line(line);
        let mut out = if number || self.options.on("number") {
            let width = if self.compatible { 7 } else { (self.buf.len().to_string().len()).max(3) };
            format!("{:>width$} ", line + 1)
        } else {
            String::new()
        };
        let list = list || self.options.on("list");
        if bytes.is_empty() && !list {
            out.push(' ');
        }
        let mut column = 0;
        for (_, c) in chars::iterate(bytes) {
            let width = chars::width(c, column, if list { 0 } else { self.tab() });
            column += width;
            match c {
                '\t' if !list => out.extend(std::iter::repeat_n(' ', width)),
                c => match chars::shown(c) {
                    Some(s) => out.push_str(&s),
                    None => out.push(c),
                },
            }
        }
        if list {
            out.push('$');
        }
        out
    }

    pub(super) fn ex_print(&mut self, name: &str, c: &Command) -> Res<()> {
        let tail = self.tail(c, false)?;
        let from = self.needs_line(tail.from)?;
        if self.buf.void {
            return say("E749: Empty buffer");
        }
        let number = matches!(name, "number" | "#") || tail.show.contains('#');
        let list = name == "list" || tail.show.contains('l');
        for line in from..tail.to {
            if line % 1024 == 1023 && self.interrupted() {
                return say("Interrupted");
            }
            let text = self.shown_line(line, number, list);
            self.print(text);
        }
        self.go_line(tail.to - 1);
        Ok(())
    }

    pub(super) fn ex_equals(&mut self, c: &Command) -> Res<()> {
        let line = if c.given == 0 { self.buf.len() } else { c.to };
        // vim takes this for a message, which a silent script does not show.
        if !self.silent {
            self.print(line.to_string());
        }
        Ok(())
    }

    pub(super) fn ex_mark(&mut self, c: &Command) -> Res<()> {
        let mut name = c.argument.chars();
        match (name.next(), name.next()) {
            (Some(n), None) if n.is_ascii_alphabetic() || matches!(n, '\'' | '`' | '[' | ']' | '<' | '>') => {
                let line = self.needs_line(c.to)?;
                self.buf.mark(n, place(line, self.first_column(line)));
                Ok(())
            }
            (None, _) => say("E471: Argument required"),
            (Some(_), Some(_)) => say(format!("E488: Trailing characters: {}", &c.argument[1..])),
            _ => say("E191: Argument must be a letter or forward/backward quote"),
        }
    }

    pub(super) fn ex_marks(&mut self) -> Res<()> {
        if self.silent {
            return Ok(());
        }
        self.print("mark line  col file/text");
        for (name, p) in self.buf.marks() {
            let text = chars::text(self.buf.line(p.line)).trim_start().to_owned();
            self.print(format!(
                " {name} {:>6} {:>4} {text}",
                p.line + 1,
                p.col.min(self.buf.line(p.line).len())
            ));
        }
        Ok(())
    }

    pub(super) fn ex_delete_marks(&mut self, c: &Command) -> Res<()> {
        let names: Vec<char> =
            if c.bang { ('a'..='z').collect() } else { c.argument.chars().filter(|c| *c != ' ').collect() };
        for name in names {
            // A place beyond the text is none.
            self.buf.mark(name, place(usize::MAX >> 1, 0));
        }
        Ok(())
    }

    pub(super) fn ex_registers(&mut self, c: &Command) -> Res<()> {
        if self.silent {
            return Ok(());
        }
        let mut rows = Vec::new();
        for (name, text) in self.registers.all() {
            if c.argument.is_empty() || c.argument.contains(name) {
                let kind = if text.whole { 'l' } else { 'c' };
                let shown: String = chars::text(&text.bytes()).chars().take(200).collect();
                let shown: String =
                    shown.chars().map(|c| chars::shown(c).unwrap_or_else(|| c.to_string())).collect();
                rows.push(format!("  {kind}  \"{name}   {}", shown.replace("^@", "^J")));
            }
        }
        self.print("Type Name Content");
        rows.into_iter().for_each(|r| self.print(r));
        Ok(())
    }

    pub(super) fn ex_normal(&mut self, c: &Command) -> Res<()> {
        if c.argument.is_empty() {
            return say("E471: Argument required");
        }
        if c.given == 0 {
            return self.run_keys(&c.argument);
        }
        let from = self.needs_line(c.from)?;
        for line in from..c.to {
            if line >= self.buf.len() || self.quit.is_some() {
                break;
            }
            self.cursor = place(line, 0);
            self.run_keys(&c.argument)?;
        }
        Ok(())
    }

    /// `:@a`: the lines of a register are commands.
    pub(super) fn ex_register(&mut self, c: &Command) -> Res<()> {
        let name = c.argument.chars().next().filter(|n| *n != '@').or(self.last_register).unwrap_or('"');
        if c.given > 0 {
            self.go_line(c.to.saturating_sub(1));
        }
        let Some(text) = self.register(name) else { return Err(Stop::Bell) };
        self.last_register = Some(name);
        for line in text.lines {
            self.ex(&chars::text(&line))?;
        }
        Ok(())
    }

    pub(super) fn ex_retab(&mut self, c: &Command) -> Res<()> {
        let (from, to) = if c.given == 0 { (0, self.buf.len()) } else { (self.needs_line(c.from)?, c.to) };
        let (old, new) = (self.tab(), c.argument.parse().ok().filter(|n| (1..=9999).contains(n)));
        let new: usize = new.unwrap_or(old);
        let expand = self.options.on("expandtab");
        for i in from..to {
            let line = self.buf.line(i).to_vec();
            if !line.contains(&b'\t') && !c.bang {
                continue;
            }
            let mut out: Vec<u8> = Vec::with_capacity(line.len());
            let (mut at, mut column) = (0, 0);
            while at < line.len() {
                if !matches!(line[at], b' ' | b'\t') {
                    let Some((ch, len)) = chars::decode(&line, at) else { break };
                    column += chars::width(ch, column, old);
                    out.extend_from_slice(&line[at..at + len]);
                    at += len;
                    continue;
                }
                let (start, first) = (column, at);
                while at < line.len() && matches!(line[at], b' ' | b'\t') {
                    column += if line[at] == b'\t' { old - column % old } else { 1 };
                    at += 1;
                }
                let run = &line[first..at];
                if !run.contains(&b'\t') && !c.bang {
                    out.extend_from_slice(run);
                } else if expand {
                    out.extend(std::iter::repeat_n(b' ', column - start));
                } else {
                    let mut here = start;
                    while here - here % new + new <= column {
                        out.push(b'\t');
                        here = here - here % new + new;
                    }
                    out.extend(std::iter::repeat_n(b' ', column - here));
                }
            }
            if out != line {
                self.buf.set(i, out);
            }
        }
        if new != old {
            self.options.set("tabstop", crate::options::Value::Number(new));
        }
        Ok(())
    }

    /// `:append`, `:insert` and `:change`: lines up to one with a dot.
    pub(super) fn ex_input(&mut self, name: &str, c: &Command) -> Res<()> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        if self.global || !self.line_mode {
            // In a `:global`, or typed, the lines stand in the command itself.
            let mut rest = c.argument.split('\n').skip(1);
            if !c.argument.contains('\n') {
                return self.typed_input(name, c);
            }
            lines.extend(rest.by_ref().take_while(|l| *l != ".").map(chars::bytes));
        } else {
            while let Some(line) = self.host.as_mut().and_then(|h| h.line()) {
                if line == b"." {
                    break;
                }
                lines.push(line);
            }
        }
        self.put_input(name, c, lines)
    }

    fn typed_input(&mut self, name: &str, c: &Command) -> Res<()> {
        let mut lines = Vec::new();
        while let Some(line) = self.prompt(' ', "")? {
            if line == "." {
                break;
            }
            lines.push(chars::bytes(&line));
        }
        self.put_input(name, c, lines)
    }

    fn put_input(&mut self, name: &str, c: &Command, lines: Vec<Vec<u8>>) -> Res<()> {
        let many = lines.len();
        let at = match name {
            "append" => c.to,
            "insert" => c.to.saturating_sub(1),
            _ => {
                let from = self.needs_line(c.from)?;
                if !self.buf.void {
                    let text = self.extract_lines(from, c.to - 1);
                    self.keep(None, text, Came::Large);
                    self.buf.replace(from, c.to - from, Vec::new());
                }
                from
            }
        };
        if many > 0 {
            self.buf.insert(at, lines);
            self.mark_change(place(at, 0), place(at + many - 1, 0));
            self.go_line(at + many - 1);
        } else {
            self.go_line(at.saturating_sub(usize::from(name != "change" || at > self.buf.last())));
        }
        Ok(())
    }
}
