//! The commands of `ed`.

use super::address::{Cursor, Range};
use super::{Ed, Fault, fault};
use crate::context::Cx;
use crate::os::{OsStrExt, os};
use agentos_guest::process::{Command, Stdio};
use agentos_guest::{fd, strerror};
use std::collections::VecDeque;
use std::io::Write as _;
use std::rc::Rc;

/// How a line is shown after a command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shown {
    print: bool,
    number: bool,
    list: bool,
}

impl Shown {
    pub(super) fn add(&mut self, letter: u8) {
        match letter {
            b'n' => self.number = true,
            b'l' => self.list = true,
            _ => self.print = true,
        }
    }

    fn any(self) -> bool {
        self.print || self.number || self.list
    }
}

/// Columns of a line of `l`.
const WIDTH: usize = 72;

impl Ed {
    /// Runs one command line. `warned`: the command before was told that the text is not saved.
    pub(super) fn execute(&mut self, cx: &mut Cx, line: &[u8], warned: bool) -> Result<(), Fault> {
        let mut c = Cursor::new(line);
        let range = self.addresses(&mut c)?;
        c.blanks();
        let (dot, last) = (self.buffer.dot, self.buffer.last());
        let Some(letter) = c.next() else {
            let line = range.line(dot + 1);
            if line < 1 || line > last {
                return fault("Invalid address");
            }
            self.buffer.dot = line;
            return self.show(cx, line, line, Shown { print: true, ..Shown::default() });
        };
        match letter {
            b'a' | b'i' => {
                let shown = self.suffix(&mut c)?;
                let at = range.line(dot);
                self.step();
                let before = if letter == b'i' { at.saturating_sub(1) } else { at };
                self.append(cx, before, at)?;
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'c' => {
                let shown = self.suffix(&mut c)?;
                let (from, to) = range.or(dot, dot, last)?;
                self.step();
                self.yank(from, to);
                self.buffer.delete(from, to);
                let rest = self.buffer.dot;
                self.append(cx, from - 1, rest)?;
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'd' => {
                let (from, to) = range.or(dot, dot, last)?;
                let shown = self.suffix(&mut c)?;
                self.step();
                self.yank(from, to);
                self.buffer.delete(from, to);
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'e' | b'E' => {
                self.no_address(range)?;
                let name = self.name(&mut c)?;
                if letter == b'e' && self.buffer.modified && !warned {
                    return self.warn();
                }
                let name = self.known(name)?;
                self.buffer.lines.clear();
                self.buffer.dot = 0;
                if name.first() != Some(&b'!') {
                    self.file = Some(os(&name).to_owned());
                }
                let read = self.read(cx, &name, 0);
                self.buffer.modified = false;
                self.buffer.forget();
                read
            }
            b'f' => {
                self.no_address(range)?;
                let name = self.name(&mut c)?;
                if name.first() == Some(&b'!') {
                    return fault("Invalid redirection");
                }
                if !name.is_empty() {
                    self.file = Some(os(&name).to_owned());
                }
                let name = self.known(Vec::new())?;
                cx.put(&name)?;
                Ok(cx.put(b"\n")?)
            }
            b'g' | b'v' | b'G' | b'V' => self.global(cx, &mut c, letter, range),
            b'h' | b'H' => {
                self.no_address(range)?;
                let shown = self.suffix(&mut c)?;
                if letter == b'H' {
                    self.verbose = !self.verbose;
                }
                if (letter == b'h' || self.verbose) && !self.message.is_empty() {
                    cx.print(format_args!("{}\n", self.message))?;
                }
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'j' => {
                let (from, to) = range.or(dot, dot + 1, last)?;
                let shown = self.suffix(&mut c)?;
                if from != to {
                    self.step();
                    let joined = self.buffer.texts(from, to).concat();
                    self.yank(from, to);
                    self.buffer.delete(from, to);
                    self.buffer.insert(from - 1, vec![joined.into()]);
                }
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'k' => {
                let line = range.line(dot);
                if line == 0 {
                    return fault("Invalid address");
                }
                let Some(mark @ b'a'..=b'z') = c.next() else { return fault("Invalid mark character") };
                let shown = self.suffix(&mut c)?;
                self.buffer.mark(mark, line);
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'l' | b'n' | b'p' => {
                let (from, to) = range.or(dot, dot, last)?;
                let mut shown = self.suffix(&mut c)?;
                shown.add(letter);
                self.buffer.dot = to;
                self.show(cx, from, to, shown)
            }
            b'm' | b't' => {
                let (from, to) = range.or(dot, dot, last)?;
                let target = match c.peek() {
                    None => dot,
                    _ => match self.addresses(&mut c)? {
                        Range { count: 0, .. } => return fault("Destination expected"),
                        range => range.second,
                    },
                };
                let shown = self.suffix(&mut c)?;
                if letter == b'm' && (from..to).contains(&target) {
                    return fault("Invalid destination");
                }
                self.step();
                if letter == b't' {
                    let copies = self.buffer.texts(from, to);
                    self.buffer.insert(target, copies);
                } else if target == to || target == from - 1 {
                    (self.buffer.dot, self.buffer.modified) = (to, true);
                } else {
                    self.buffer.move_lines(from, to, target);
                }
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'P' => {
                self.no_address(range)?;
                self.suffix(&mut c)?;
                self.prompting = !self.prompting;
                Ok(())
            }
            b'q' | b'Q' => {
                self.no_address(range)?;
                self.suffix(&mut c)?;
                if letter == b'q' && self.buffer.modified && !warned {
                    return self.warn();
                }
                Err(Fault::Quit)
            }
            b'r' => {
                let at = range.line(last);
                let name = self.name(&mut c)?;
                if self.file.is_none() && !name.is_empty() && name[0] != b'!' {
                    self.file = Some(os(&name).to_owned());
                }
                let name = self.known(name)?;
                self.step();
                self.read(cx, &name, at)
            }
            b's' => self.substitute(cx, &mut c, range),
            b'u' => {
                self.no_address(range)?;
                let shown = self.suffix(&mut c)?;
                if !self.buffer.undo() {
                    return fault("Nothing to undo");
                }
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'w' | b'W' => self.write(cx, &mut c, range, letter == b'W', warned),
            b'x' => {
                let at = range.line(dot);
                let shown = self.suffix(&mut c)?;
                if self.yanked.is_empty() {
                    return fault("Nothing to put");
                }
                self.step();
                self.buffer.insert(at, self.yanked.clone());
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'y' => {
                let (from, to) = range.or(dot, dot, last)?;
                let shown = self.suffix(&mut c)?;
                self.yank(from, to);
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'z' => {
                let from = range.line(dot + 1);
                if from < 1 || from > last {
                    return fault("Invalid address");
                }
                if let Some(lines) = c.number() {
                    self.window = usize::try_from(lines).unwrap_or(1).max(1);
                }
                let mut shown = self.suffix(&mut c)?;
                shown.add(b'p');
                let to = last.min(from.saturating_add(self.window - 1));
                self.buffer.dot = to;
                self.show(cx, from, to, shown)
            }
            b'=' => {
                let shown = self.suffix(&mut c)?;
                cx.print(format_args!("{}\n", range.line(last)))?;
                self.show_if(cx, shown, self.buffer.dot)
            }
            b'!' => {
                self.no_address(range)?;
                let typed = c.rest();
                let command = self.shell_command(typed)?;
                if command != typed {
                    cx.put(&command)?;
                    cx.put(b"\n")?;
                }
                self.shell.clone_from(&command);
                cx.flush()?;
                let ran = Command::new("/bin/sh").arg("-c").arg(os(&command)).search_path(true).status();
                if let Err(error) = ran {
                    return Err(Fault::Message(strerror(&error)));
                }
                if !self.script {
                    cx.put(b"!\n")?;
                }
                Ok(())
            }
            b'#' => Ok(()),
            _ => fault("Unknown command"),
        }
    }

    fn warn(&mut self) -> Result<(), Fault> {
        self.warned = true;
        fault("Warning: buffer modified")
    }

    /// Remembers the text for `u`; within a global command that was done before it.
    fn step(&mut self) {
        if self.list.is_none() {
            self.buffer.keep();
        }
    }

    fn yank(&mut self, from: usize, to: usize) {
        self.yanked = self.buffer.texts(from, to);
    }

    fn no_address(&self, range: Range) -> Result<(), Fault> {
        if range.count > 0 { fault("Unexpected address") } else { Ok(()) }
    }

    /// The letters after a command, which show the line.
    fn suffix(&self, c: &mut Cursor<'_>) -> Result<Shown, Fault> {
        let mut shown = Shown::default();
        while let Some(letter @ (b'p' | b'l' | b'n')) = c.peek() {
            shown.add(letter);
            c.at += 1;
        }
        if c.peek().is_some() { fault("Invalid command suffix") } else { Ok(shown) }
    }

    pub(super) fn show_if(&self, cx: &mut Cx, shown: Shown, line: usize) -> Result<(), Fault> {
        match line {
            0 if shown.any() => fault("Invalid address"),
            line if shown.any() => self.show(cx, line, line, shown),
            _ => Ok(()),
        }
    }

    fn show(&self, cx: &mut Cx, from: usize, to: usize, shown: Shown) -> Result<(), Fault> {
        for (i, line) in self.buffer.lines[from - 1..to].iter().enumerate() {
            if shown.number {
                cx.print(format_args!("{}\t", from + i))?;
            }
            if shown.list {
                cx.put(&listed(&line.text, if shown.number { 8 } else { 0 }))?;
            } else {
                cx.put(&line.text)?;
            }
            cx.put(b"\n")?;
        }
        Ok(())
    }

    /// Puts the lines that are typed, up to one of a dot, behind the line `at`. Without any the line `rest` is current.
    fn append(&mut self, cx: &mut Cx, at: usize, rest: usize) -> Result<(), Fault> {
        let mut lines: Vec<Rc<[u8]>> = Vec::new();
        while let Some(line) = self.line(cx)? {
            if line == b"." {
                break;
            }
            lines.push(line.into());
        }
        if lines.is_empty() {
            self.buffer.dot = rest;
        } else {
            self.buffer.insert(at, lines);
        }
        Ok(())
    }

    /// A file name, or a shell command after `!`; empty for the usual one.
    fn name(&mut self, c: &mut Cursor<'_>) -> Result<Vec<u8>, Fault> {
        match c.peek() {
            None => return Ok(Vec::new()),
            Some(b' ' | b'\t') => {}
            Some(_) => return fault("Unexpected command suffix"),
        }
        c.blanks();
        let rest = c.rest();
        if let Some(command) = rest.strip_prefix(b"!") {
            return Ok([b"!", &self.shell_command(command)?[..]].concat());
        }
        if self.restricted && (rest.contains(&b'/') || rest == b"..") {
            return fault("Directory access restricted");
        }
        // A backslash makes the next character part of the name.
        let mut name = Vec::new();
        let mut bytes = rest.iter();
        while let Some(b) = bytes.next() {
            name.push(if *b == b'\\' { *bytes.next().unwrap_or(b) } else { *b });
        }
        Ok(name)
    }

    fn known(&self, name: Vec<u8>) -> Result<Vec<u8>, Fault> {
        if !name.is_empty() {
            return Ok(name);
        }
        match &self.file {
            Some(file) => Ok(file.as_bytes().to_vec()),
            None => fault("No current filename"),
        }
    }

    /// A command with `%` for the file's name and a leading `!` for the last command.
    fn shell_command(&mut self, text: &[u8]) -> Result<Vec<u8>, Fault> {
        if self.restricted {
            return fault("Shell access restricted");
        }
        let mut out = Vec::new();
        let mut rest = text;
        if let Some(after) = text.strip_prefix(b"!") {
            if self.shell.is_empty() {
                return fault("No previous command");
            }
            out.extend(&self.shell);
            rest = after;
        }
        let mut bytes = rest.iter().peekable();
        while let Some(b) = bytes.next() {
            match b {
                b'\\' if bytes.peek() == Some(&&b'%') => out.extend(bytes.next()),
                b'%' => out.extend(self.known(Vec::new())?),
                b => out.push(*b),
            }
        }
        Ok(out)
    }

    /// Reads a file, or what a command writes, behind the line `at`, and says how much.
    pub(super) fn read(&mut self, cx: &mut Cx, name: &[u8], at: usize) -> Result<(), Fault> {
        let text = if let Some(command) = name.strip_prefix(b"!") {
            cx.flush()?;
            let ran = Command::new("/bin/sh")
                .arg("-c")
                .arg(os(command))
                .search_path(true)
                .stdin(Stdio::Inherit)
                .output();
            ran.map(|(_, text)| text)
        } else {
            std::fs::read(os(name))
        };
        let mut text = match text {
            Ok(text) => text,
            Err(error) => {
                if !self.quiet {
                    cx.flush()?;
                    eprintln!("{}: {}", String::from_utf8_lossy(name), strerror(&error));
                }
                return fault("Cannot open input file");
            }
        };
        if text.last().is_some_and(|b| *b != b'\n') {
            text.push(b'\n');
            if !self.script {
                cx.put(b"Newline appended\n")?;
            }
        }
        let size = text.len();
        let mut lines: Vec<Rc<[u8]>> = Vec::new();
        for line in text.split_inclusive(|b| *b == b'\n') {
            let line = &line[..line.len() - 1];
            lines.push(if self.strip_cr { line.strip_suffix(b"\r").unwrap_or(line) } else { line }.into());
        }
        self.buffer.insert(at, lines);
        if !self.script {
            cx.print(format_args!("{size}\n"))?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        cx: &mut Cx,
        c: &mut Cursor<'_>,
        range: Range,
        append: bool,
        warned: bool,
    ) -> Result<(), Fault> {
        let quit = match c.peek() {
            Some(letter @ (b'q' | b'Q')) => {
                c.at += 1;
                Some(letter)
            }
            _ => None,
        };
        let name = self.name(c)?;
        let last = self.buffer.last();
        let (from, to) = if range.count == 0 && last == 0 { (1, 0) } else { range.or(1, last, last)? };
        if self.file.is_none() && !name.is_empty() && name[0] != b'!' {
            self.file = Some(os(&name).to_owned());
        }
        let name = self.known(name)?;
        let mut text = Vec::new();
        for line in &self.buffer.lines[from - 1..to] {
            text.extend(&*line.text);
            text.push(b'\n');
        }
        cx.flush()?;
        if let Some(command) = name.strip_prefix(b"!") {
            piped(command, &text).map_err(|error| Fault::Message(strerror(&error)))?;
        } else {
            let mut how = std::fs::OpenOptions::new();
            let opened = how.create(true).write(true).append(append).truncate(!append).open(os(&name));
            if let Err(error) = opened.and_then(|mut file| file.write_all(&text)) {
                if !self.quiet {
                    eprintln!("{}: {}", String::from_utf8_lossy(&name), strerror(&error));
                }
                return fault("Cannot open output file");
            }
            if from == 1 && to == last {
                self.buffer.modified = false;
            }
        }
        if !self.script {
            cx.print(format_args!("{}\n", text.len()))?;
        }
        match quit {
            Some(b'q') if self.buffer.modified && !warned => self.warn(),
            Some(_) => Err(Fault::Quit),
            None => Ok(()),
        }
    }

    /// `g` and its kin: a list of commands for each line that fits, or does not.
    fn global(&mut self, cx: &mut Cx, c: &mut Cursor<'_>, letter: u8, range: Range) -> Result<(), Fault> {
        if self.list.is_some() {
            return fault("Cannot nest global commands");
        }
        let (from, to) = range.or(1, self.buffer.last(), self.buffer.last())?;
        let delimiter = match c.next() {
            Some(b) if b != b' ' => b,
            _ => return fault("Invalid pattern delimiter"),
        };
        let regex = self.pattern(c, delimiter)?;
        let wanted = matches!(letter, b'g' | b'G');
        let ids: Vec<u64> = self.buffer.lines[from - 1..to]
            .iter()
            .filter(|line| regex.is_match(&line.text).unwrap_or(false) == wanted)
            .map(|line| line.id)
            .collect();
        let asking = matches!(letter, b'G' | b'V');
        let mut commands: VecDeque<Vec<u8>> = VecDeque::new();
        if asking {
            self.suffix(c)?;
        } else {
            // A backslash at its end continues the list on the next line.
            let mut line = c.rest().to_vec();
            while continues(&line) {
                line.pop();
                commands.push_back(line);
                line = match self.typed(cx)? {
                    Some(line) => line,
                    None => return fault("Unexpected end-of-file"),
                };
            }
            commands.push_back(line);
            if commands.len() == 1 && commands[0].is_empty() {
                commands[0].push(b'p');
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        self.buffer.keep();
        for id in ids {
            let Some(line) = self.buffer.place(id) else { continue };
            self.buffer.dot = line;
            if asking {
                self.show(cx, line, line, Shown { print: true, ..Shown::default() })?;
                match self.typed(cx)? {
                    None => return fault("Unexpected end-of-file"),
                    Some(typed) if typed.is_empty() => continue,
                    Some(typed) if typed == b"&" => {}
                    Some(typed) => commands = VecDeque::from([typed]),
                }
            }
            self.list = Some(commands.clone());
            while let Some(command) = self.list.as_mut().and_then(VecDeque::pop_front) {
                self.execute(cx, &command, false)?;
            }
            self.list = None;
        }
        Ok(())
    }
}

/// Whether a line ends in a backslash that no other takes its meaning from.
fn continues(line: &[u8]) -> bool {
    line.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1
}

/// Gives text to a shell command.
fn piped(command: &[u8], text: &[u8]) -> std::io::Result<()> {
    let (read, write) = fd::pipe(true)?;
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(os(command))
        .search_path(true)
        .stdin(Stdio::Fd(read.raw()))
        .spawn()?;
    drop(read);
    // A command that ends early takes no more.
    let old = agentos_guest::signal::ignore(agentos_guest::Signal::SIGPIPE);
    let _ = fd::write_all(write.raw(), text);
    drop(write);
    child.wait()?;
    if let Ok(old) = old {
        agentos_guest::signal::set(agentos_guest::Signal::SIGPIPE, old)?;
    }
    Ok(())
}

/// A line as `l` shows it, which begins at a column.
fn listed(text: &[u8], column: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut column = column;
    for b in text {
        let shown = match b {
            b'\\' => "\\\\".to_owned(),
            b'$' => "\\$".to_owned(),
            7 => "\\a".to_owned(),
            8 => "\\b".to_owned(),
            12 => "\\f".to_owned(),
            b'\n' => "\\n".to_owned(),
            b'\r' => "\\r".to_owned(),
            b'\t' => "\\t".to_owned(),
            11 => "\\v".to_owned(),
            b' '..=b'~' => char::from(*b).to_string(),
            b => format!("\\{b:03o}"),
        };
        if column + shown.len() > WIDTH {
            out.extend(b"\\\n");
            column = 0;
        }
        column += shown.len();
        out.extend(shown.bytes());
    }
    out.push(b'$');
    out
}
