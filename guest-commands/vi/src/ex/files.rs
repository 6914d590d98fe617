//! Commands on files: edit, read, write, quit, and the list of arguments.

use super::Command;
use crate::buffer::{Buffer, Place};
use crate::editor::{Editor, File, Res, say};
use crate::file;
use crate::key::Key;
use crate::options::Value;
use agentos_guest::{Errno, errno_of};
use std::path::Path;

const NOT_WRITTEN: &str = "E37: No write since last change (add ! to override)";

impl Editor {
    pub(super) fn ex_file(&mut self, name: &str, c: &Command) -> Res<()> {
        match name {
            "edit" | "view" => self.ex_edit(name == "view", c),
            "enew" => {
                self.check_written(c.bang)?;
                self.open(None, false)
            }
            "file" => {
                if !c.argument.is_empty() {
                    let name = self.file_name(&c.argument)?;
                    let old = self.file.name.replace(name);
                    self.file.alternate = old.map(|n| (n, self.cursor.line)).or(self.file.alternate.take());
                    self.file.other = true;
                    self.file.new = false;
                }
                let text = self.file_text();
                self.tell(text);
                Ok(())
            }
            "read" => self.ex_read(c),
            "write" => self.ex_write(c),
            "update" if !self.buf.modified() => Ok(()),
            "update" => self.ex_write(c),
            "wall" => {
                if self.buf.modified() {
                    self.ex_write(&Command { argument: String::new(), given: 0, ..c.clone() })?;
                }
                Ok(())
            }
            "wq" => {
                self.ex_write(c)?;
                self.leave(c.bang)
            }
            "xit" => {
                if self.buf.modified() {
                    self.ex_write(c)?;
                }
                self.leave(c.bang)
            }
            "quit" => {
                if !c.bang {
                    self.check_written(false)?;
                }
                self.leave(c.bang)
            }
            "qall" => {
                if !c.bang {
                    self.check_written(false)?;
                }
                self.quit = Some(self.status());
                Ok(())
            }
            "cquit" => {
                let code = c.argument.parse().ok().or((c.given > 0).then_some(c.to.try_into().unwrap_or(1)));
                self.quit = Some(code.unwrap_or(1));
                Ok(())
            }
            "next" | "Next" | "rewind" | "last" | "wnext" => self.ex_next(name, c),
            "args" => {
                let list: Vec<String> = self
                    .arguments
                    .iter()
                    .enumerate()
                    .map(|(i, n)| if i == self.argument { format!("[{n}]") } else { n.clone() })
                    .collect();
                if !self.silent {
                    self.print(list.join(" "));
                }
                Ok(())
            }
            "cd" => {
                let dir = if c.argument.is_empty() {
                    std::env::var("HOME").unwrap_or_default()
                } else {
                    self.file_name(&c.argument)?
                };
                match agentos_guest::env::set_current_dir(&dir) {
                    Ok(()) => Ok(()),
                    Err(_) => say(format!("E344: Can't find directory \"{dir}\" in cdpath")),
                }
            }
            "preserve" => {
                match file::keep(self.file.name.as_deref(), &|out| self.buf.write(0, self.buf.len(), out)) {
                    Ok(path) => self.tell(format!("File preserved as {}", path.display())),
                    Err(e) => return say(format!("E313: Cannot preserve: {}", agentos_guest::strerror(&e))),
                }
                Ok(())
            }
            "source" => {
                let path = self.file_name(&c.argument)?;
                self.source(&path)
            }
            other => say(format!("E492: Not an editor command: {other}")),
        }
    }

    /// The status of a regular end: in a script, whether something failed.
    pub(crate) fn status(&self) -> i32 {
        i32::from(self.line_mode && self.failed)
    }

    fn check_written(&self, anyway: bool) -> Res<()> {
        if !anyway && self.buf.modified() {
            return say(NOT_WRITTEN);
        }
        Ok(())
    }

    fn leave(&mut self, bang: bool) -> Res<()> {
        let more = self.arguments.len().saturating_sub(self.argument + 1);
        if more > 0 && !bang {
            // Asked a second time it ends.
            let text = format!("E173: {more} more file{} to edit", if more == 1 { "" } else { "s" });
            if self.warned_of_more {
                self.quit = Some(self.status());
                return Ok(());
            }
            self.warned_of_more = true;
            return say(text);
        }
        self.quit = Some(self.status());
        Ok(())
    }

    /// The name in an argument: `%`, `#`, `~`, variables and escapes are what they stand for.
    pub(crate) fn file_name(&self, text: &str) -> Res<String> {
        let mut out = String::new();
        let mut chars = text.chars().peekable();
        if let Some(rest) = text.strip_prefix('~').filter(|r| r.is_empty() || r.starts_with('/')) {
            out.push_str(&std::env::var("HOME").unwrap_or_else(|_| "~".into()));
            chars = rest.chars().peekable();
        }
        while let Some(c) = chars.next() {
            match c {
                '\\' => out.extend(chars.next()),
                '%' => match &self.file.name {
                    Some(name) => out.push_str(&modified(name, &mut chars)),
                    None => return say("E499: Empty file name for '%' or '#', only works with \":p:h\""),
                },
                '#' => match &self.file.alternate {
                    Some((name, _)) => out.push_str(&modified(name, &mut chars)),
                    None => return say("E194: No alternate file name to substitute for '#'"),
                },
                '$' => {
                    let mut name = String::new();
                    while let Some(c) = chars.peek().filter(|c| c.is_ascii_alphanumeric() || **c == '_') {
                        name.push(*c);
                        chars.next();
                    }
                    match std::env::var(&name) {
                        Ok(value) if !name.is_empty() => out.push_str(&value),
                        _ => {
                            out.push('$');
                            out.push_str(&name);
                        }
                    }
                }
                c => out.push(c),
            }
        }
        Ok(out)
    }

    /// Opens a file, or an empty text.
    pub(crate) fn open(&mut self, name: Option<String>, view: bool) -> Res<()> {
        let old = self.file.name.clone().map(|n| (n, self.cursor.line));
        let same = name.is_some() && self.file.name == name;
        let line = match (&name, &self.file.alternate) {
            (Some(name), Some((other, line))) if name == other => *line,
            _ => 0,
        };
        let alternate = if same { self.file.alternate.clone() } else { old.or(self.file.alternate.clone()) };
        let mut told = String::new();
        let (mut bytes, mut new, mut failed) = (Vec::new(), false, None);
        if let Some(name) = &name {
            match file::read(name) {
                Ok(read) => bytes = read,
                Err(e) => match errno_of(&e) {
                    Some(Errno::ENOENT) => {
                        new = true;
                        let dir = Path::new(name).parent().filter(|d| !d.as_os_str().is_empty());
                        told = if dir.is_some_and(|d| !d.is_dir()) {
                            format!("\"{name}\" [New DIRECTORY]")
                        } else {
                            format!("\"{name}\" [New]")
                        };
                    }
                    _ if e.kind() == std::io::ErrorKind::IsADirectory => {
                        failed = Some(format!("\"{name}\" is a directory"))
                    }
                    Some(Errno::EACCES) => failed = Some(format!("\"{name}\" [Permission Denied]")),
                    _ => failed = Some(format!("\"{name}\" {}", agentos_guest::strerror(&e))),
                },
            }
        }
        self.buf = Buffer::of(&bytes);
        self.whole_line = None;
        self.jumps.clear();
        self.jump_at = 0;
        let stamp = name.as_deref().and_then(file::stamp);
        let read_only = view || name.as_deref().is_some_and(file::read_only);
        self.options.set("readonly", Value::On(read_only || self.only_view));
        if told.is_empty()
            && let Some(name) = &name
        {
            told = format!("\"{name}\" {}", self.size_text(&bytes, read_only || self.only_view));
        }
        self.file = File { name, alternate, new, other: false, stamp };
        self.view.top = 0;
        self.cursor = Place::default();
        self.go_line(line);
        if self.line_mode {
            // ex stands on the last line.
            self.go_line(self.buf.last());
        }
        if let Some(failed) = failed {
            return say(failed);
        }
        self.tell(told);
        Ok(())
    }

    fn size_text(&self, bytes: &[u8], read_only: bool) -> String {
        let mut notes = String::new();
        if !self.buf.final_newline {
            notes.push_str("[noeol]");
        }
        if self.buf.crlf {
            notes.push_str("[dos]");
        }
        if read_only {
            notes.push_str("[readonly]");
        }
        if !notes.is_empty() {
            notes.push(' ');
        }
        let lines = if self.buf.void { 0 } else { self.buf.len() };
        format!("{notes}{lines}L, {}B", bytes.len())
    }

    fn file_text(&self) -> String {
        let name = match &self.file.name {
            Some(name) => format!("\"{name}\""),
            None => "\"[No Name]\"".into(),
        };
        let modified = if self.buf.modified() { " [Modified]" } else { "" };
        let new = if self.file.new { " [New]" } else { "" };
        let other = if self.file.other { " [Not edited]" } else { "" };
        let read_only = if self.options.on("readonly") { " [readonly]" } else { "" };
        if self.buf.void {
            return format!("{name}{modified}{other}{new}{read_only} --No lines in buffer--");
        }
        let (line, all) = (self.cursor.line + 1, self.buf.len());
        let lines = if all == 1 { "1 line".to_owned() } else { format!("{all} lines") };
        let percent = line * 100 / all;
        if self.options.on("ruler") {
            return format!("{name}{modified}{other}{new}{read_only} {lines} --{percent}%--");
        }
        let col = self.cursor.col + 1;
        format!("{name}{modified}{other}{new}{read_only} line {line} of {all} --{percent}%-- col {col}")
    }

    fn ex_edit(&mut self, view: bool, c: &Command) -> Res<()> {
        let mut rest = c.argument.as_str();
        let mut command = None;
        if let Some(plus) = rest.strip_prefix('+') {
            let (first, after) = plus.split_once(' ').unwrap_or((plus, ""));
            command = Some(if first.is_empty() { "$".to_owned() } else { first.to_owned() });
            rest = after.trim_start();
        }
        if rest == "#" && self.file.alternate.is_none() {
            return say("E23: No alternate file");
        }
        let name = if rest.is_empty() { self.file.name.clone() } else { Some(self.file_name(rest)?) };
        if self.options.on("autowrite") && self.buf.modified() && !c.bang && name != self.file.name {
            self.write_all(false)?;
        }
        self.check_written(c.bang)?;
        let line = self.cursor.line;
        let same = name == self.file.name;
        self.open(name, view)?;
        if same && !self.line_mode {
            self.go_line(line);
        }
        match command {
            Some(command) => self.ex(&command),
            None => Ok(()),
        }
    }

    fn ex_read(&mut self, c: &Command) -> Res<()> {
        let at = if c.given == 0 { self.cursor.line + usize::from(!self.buf.void) } else { c.to };
        if let Some(command) = c.argument.strip_prefix('!') {
            return self.read_command(at, command);
        }
        let name =
            if c.argument.is_empty() { self.file.name.clone() } else { Some(self.file_name(&c.argument)?) };
        let Some(name) = name else { return say("E32: No file name") };
        match file::read(&name) {
            Ok(bytes) => {
                self.put_file(at, &bytes);
                let lines = bytes.split(|b| *b == b'\n').count()
                    - usize::from(bytes.is_empty() || bytes.ends_with(b"\n"));
                self.tell(format!("\"{name}\" {lines}L, {}B", bytes.len()));
                if self.file.name.is_none() {
                    self.file.name = Some(name);
                    self.file.other = true;
                }
                Ok(())
            }
            Err(e) if e.kind() == std::io::ErrorKind::IsADirectory => {
                say(format!("\"{name}\" is a directory"))
            }
            Err(_) => say(format!("E484: Can't open file {name}")),
        }
    }

    fn write_all(&mut self, bang: bool) -> Res<()> {
        let to = self.buf.len();
        self.ex_write(&Command { given: 0, from: 1, to, bang, argument: String::new() })
    }

    fn ex_write(&mut self, c: &Command) -> Res<()> {
        let whole = c.given == 0 || (c.from <= 1 && c.to == self.buf.len());
        let (from, to) = if c.given == 0 { (0, self.buf.len()) } else { (c.from.max(1) - 1, c.to) };
        if let Some(command) = c.argument.strip_prefix('!') {
            let bytes = self.buf.bytes(from, to);
            return self.write_command(&bytes, command);
        }
        let (append, argument) = match c.argument.strip_prefix(">>") {
            Some(rest) => (true, rest.trim_start()),
            None => (false, c.argument.as_str()),
        };
        let name = if argument.is_empty() { self.file.name.clone() } else { Some(self.file_name(argument)?) };
        let Some(name) = name else { return say("E32: No file name") };
        let own = self.file.name.as_deref() == Some(name.as_str());
        let there = Path::new(&name).exists();
        if there && Path::new(&name).is_dir() {
            return say(format!("E502: \"{name}\" is a directory"));
        }
        if !c.bang && !append {
            if own && !whole && there {
                return say("E140: Use ! to write partial buffer");
            }
            if own && self.options.on("readonly") {
                return say("E45: 'readonly' option is set (add ! to override)");
            }
            if there && (!own || self.file.other || self.file.new) {
                return say("E13: File exists (add ! to override)");
            }
            if own
                && there
                && !self.line_mode
                && self.file.stamp.is_some()
                && file::stamp(&name) != self.file.stamp
            {
                self.ask_to_overwrite()?;
            }
        }
        if self.options.on("fixendofline") && to == self.buf.len() {
            self.buf.final_newline = true;
        }
        let content = |out: &mut dyn std::io::Write| self.buf.write(from, to, out);
        let result = if append {
            if !there && !c.bang {
                return say(format!("E212: Can't open file for writing: {name}"));
            }
            file::append(&name, &content).map_err(|e| agentos_guest::strerror(&e))
        } else {
            file::save(Path::new(&name), &content)
        };
        let size = match result {
            Ok(size) => size,
            Err(error) => {
                return say(match error.as_str() {
                    "No such file or directory" | "Permission denied" | "Is a directory" => {
                        format!("\"{name}\" E212: Can't open file for writing")
                    }
                    error => format!("\"{name}\" E514: Write error ({error})"),
                });
            }
        };
        if self.file.name.is_none() && !append && whole {
            self.file.name = Some(name.clone());
        }
        if self.file.name.as_deref() == Some(name.as_str()) {
            if whole && !append {
                self.buf.set_modified(false);
                self.file.other = false;
                self.file.new = false;
            }
            self.file.stamp = file::stamp(&name);
        }
        let lines = if self.buf.void { 0 } else { to - from };
        let new = if there { "" } else { "[New] " };
        let notes = match (self.buf.final_newline || to < self.buf.len(), self.buf.crlf) {
            (true, true) => "[dos] ",
            (true, false) => "",
            (false, true) => "[noeol][dos] ",
            (false, false) => "[noeol] ",
        };
        let how = if append { "appended" } else { "written" };
        self.tell(format!("\"{name}\" {new}{notes}{lines}L, {size}B {how}"));
        Ok(())
    }

    fn ask_to_overwrite(&mut self) -> Res<()> {
        let text =
            "WARNING: The file has been changed since reading it!!! Do you really want to write to it (y/n)?";
        self.prompt = Some((String::new(), text.into(), text.len()));
        let answer = loop {
            match self.key() {
                Ok(Key::Char('y' | 'Y')) => break Ok(()),
                Ok(Key::Char('n' | 'N' | '\x1b' | '\x03' | '\r')) => break say("Not written"),
                Ok(_) => {}
                Err(stop) => break Err(stop),
            }
        };
        self.prompt = None;
        answer
    }

    fn ex_next(&mut self, name: &str, c: &Command) -> Res<()> {
        let n: usize = if c.given > 0 { c.to } else { c.argument.parse().unwrap_or(1) };
        if self.buf.modified() && (name == "wnext" || self.options.on("autowrite")) {
            self.write_all(c.bang)?;
        }
        if name == "next" && !c.argument.is_empty() && c.argument.parse::<usize>().is_err() {
            self.check_written(c.bang)?;
            let names: Vec<&str> = c.argument.split_whitespace().collect();
            self.arguments = names.into_iter().map(|n| self.file_name(n)).collect::<Res<_>>()?;
            self.argument = 0;
        } else {
            let target = match name {
                "rewind" => 0,
                "last" => self.arguments.len().saturating_sub(1),
                "Next" => match self.argument.checked_sub(n) {
                    Some(i) => i,
                    None => return say("E164: Cannot go before first file"),
                },
                _ => self.argument + n,
            };
            if target >= self.arguments.len() {
                return say(if self.arguments.len() <= 1 {
                    "E163: There is only one file to edit"
                } else {
                    "E165: Cannot go beyond last file"
                });
            }
            self.check_written(c.bang)?;
            self.argument = target;
        }
        self.warned_of_more = false;
        let name = self.arguments.get(self.argument).cloned();
        self.open(name, false)
    }

    /// The editor is made to end: the text is kept if it was not written.
    pub(crate) fn preserve(&mut self, note: &str) {
        if let Some(host) = &mut self.host {
            host.leave();
        }
        if !note.is_empty() {
            eprintln!("{note}");
        }
        if !self.buf.modified() {
            return;
        }
        match file::keep(self.file.name.as_deref(), &|out| self.buf.write(0, self.buf.len(), out)) {
            Ok(path) => {
                let name = self.file.name.as_deref().unwrap_or("");
                eprintln!("Vim: the text was not written; it is kept in {} (vi -r {name})", path.display());
            }
            Err(e) => eprintln!("Vim: the text could not be kept: {}", agentos_guest::strerror(&e)),
        }
    }

    /// `-`: the text that comes on standard input.
    pub(crate) fn read_stdin(&mut self) -> Res<()> {
        use std::io::Read;
        let mut bytes = Vec::new();
        if let Err(e) = std::io::stdin().lock().take(1 << 31).read_to_end(&mut bytes) {
            return say(format!("E1179: Cannot read from stdin: {}", agentos_guest::strerror(&e)));
        }
        self.buf = Buffer::of(&bytes);
        // It is in no file.
        self.buf.set_modified(!bytes.is_empty());
        self.go_line(0);
        Ok(())
    }

    /// `-r`: the text that was kept of a file.
    pub(crate) fn recover(&mut self, name: &str) -> Res<()> {
        let path = file::kept_as(Some(name));
        let Ok(bytes) = std::fs::read(&path) else {
            return say(format!("E305: No swap file found for {name}"));
        };
        self.open(Some(name.to_owned()), false)?;
        self.buf = Buffer::of(&bytes);
        self.buf.set_modified(true);
        self.go_line(0);
        self.tell(format!("Recovered from {}; delete it when the text is written", path.display()));
        Ok(())
    }
}

/// `:h`, `:t`, `:r`, `:e` and `:p` behind a name.
fn modified(name: &str, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut out = name.to_owned();
    loop {
        let mut ahead = chars.clone();
        if ahead.next() != Some(':') {
            return out;
        }
        let path = Path::new(&out);
        let text =
            |s: Option<&std::ffi::OsStr>| s.map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        out = match ahead.next() {
            Some('h') => match path.parent() {
                Some(p) if !p.as_os_str().is_empty() => p.display().to_string(),
                _ => ".".into(),
            },
            Some('t') => text(path.file_name()),
            Some('r') => path.with_extension("").display().to_string(),
            Some('e') => text(path.extension()),
            Some('p') if path.is_absolute() => out,
            Some('p') => match agentos_guest::env::current_dir() {
                Ok(dir) => dir.join(path).display().to_string(),
                Err(_) => out,
            },
            _ => return out,
        };
        chars.next();
        chars.next();
    }
}
