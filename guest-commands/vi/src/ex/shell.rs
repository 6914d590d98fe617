//! Commands of the shell: alone, as filters of lines, and as the origin of text.

use super::Command;
use crate::buffer::{place, split};
use crate::editor::{Editor, Res, Stop, say};
use crate::options::Value;
use agentos_guest::process::{Command as Process, Stdio};
use agentos_guest::strerror;
use std::io::{Read, Seek, SeekFrom, Write};

/// How much a command may write before it is given up.
const MOST_OUTPUT: u64 = 1 << 30;

impl Editor {
    fn shell(&self) -> String {
        match self.options.get("shell") {
            Some(Value::Text(shell)) => shell.clone(),
            _ => "/bin/sh".into(),
        }
    }

    /// The command behind `!`: `!` in it is the last one, `%` and `#` are files.
    fn shell_text(&mut self, text: &str) -> Res<String> {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some(d @ ('!' | '%' | '#')) => out.push(d),
                    Some(d) => out.extend(['\\', d]),
                    None => out.push('\\'),
                },
                '!' => match &self.last_shell {
                    Some(last) => out.push_str(last),
                    None => return say("E34: No previous command"),
                },
                '%' => match &self.file.name {
                    Some(name) => out.push_str(name),
                    None => return say("E499: Empty file name for '%' or '#', only works with \":p:h\""),
                },
                '#' if self.file.alternate.is_some() => {
                    out.push_str(self.file.alternate.as_ref().map_or("", |(n, _)| n));
                }
                c => out.push(c),
            }
        }
        if !out.trim().is_empty() {
            self.last_shell = Some(out.clone());
        }
        Ok(out)
    }

    /// `:!`, alone or with lines.
    pub(super) fn ex_bang(&mut self, c: &Command) -> Res<()> {
        let text = self.shell_text(c.argument.trim_start())?;
        if c.given > 0 {
            return self.filter(c.from.max(1) - 1, c.to, &text);
        }
        let command = self.process(&text);
        self.outside(command, true)
    }

    fn process(&self, text: &str) -> Process {
        let mut command = Process::new(self.shell());
        command.arg("-c").arg(text).search_path(true).reset_signals(true);
        command
    }

    pub(super) fn ex_shell(&mut self) -> Res<()> {
        let mut command = Process::new(self.shell());
        command.search_path(true).reset_signals(true);
        self.outside(command, false)
    }

    /// Runs a program at the terminal.
    fn outside(&mut self, mut command: Process, wait: bool) -> Res<()> {
        let Some(mut host) = self.host.take() else { return Err(Stop::End) };
        host.leave();
        let status = command.status();
        if let Ok(status) = &status
            && wait
            && !status.success()
            && host.draws()
        {
            println!("\nshell returned {}", status.shell_status());
        }
        host.enter(wait);
        self.host = Some(host);
        status.map(|_| ()).map_err(|e| Stop::Say(format!("E371: Command not found: {}", strerror(&e))))
    }

    /// The output of a command that gets this input; its errors are part of it.
    fn output_of(&mut self, text: &str, input: Option<&[u8]>) -> Res<(Vec<u8>, i32)> {
        let told = |e: std::io::Error| Stop::Say(format!("E482: Can't create file: {}", strerror(&e)));
        let mut stdin = match input {
            Some(bytes) => {
                let mut file = scratch().map_err(told)?;
                file.write_all(bytes)
                    .and_then(|()| file.seek(SeekFrom::Start(0)).map(|_| ()))
                    .map_err(told)?;
                Some(file)
            }
            None => None,
        };
        let output = scratch().map_err(told)?;
        let mut command = self.process(text);
        match &stdin {
            Some(file) => command.stdin(Stdio::Fd(raw(file))),
            None => command.stdin(Stdio::Null),
        };
        command.stdout(Stdio::Fd(raw(&output))).stderr(Stdio::Fd(raw(&output)));
        let status = command.status().map_err(told)?;
        stdin.take();
        let mut file = output;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).map_err(told)?;
        file.take(MOST_OUTPUT).read_to_end(&mut bytes).map_err(told)?;
        Ok((bytes, status.shell_status()))
    }

    /// Lines are replaced by what a command makes of them.
    fn filter(&mut self, from: usize, to: usize, text: &str) -> Res<()> {
        let mut input = self.buf.bytes(from, to);
        if !input.is_empty() && !input.ends_with(b"\n") {
            input.push(b'\n');
        }
        let (bytes, status) = self.output_of(text, Some(&input))?;
        let before = self.buf.len() - usize::from(self.buf.void);
        let lines = if bytes.is_empty() { Vec::new() } else { split(&bytes).0 };
        let many = lines.len();
        self.buf.replace(from, to - from, lines);
        let first = from.min(self.buf.last());
        self.mark_change(place(first, 0), place((from + many.max(1) - 1).min(self.buf.last()), 0));
        self.go_line(from);
        let filtered = to - from;
        if status != 0 {
            self.tell(format!("shell returned {status}"));
        } else if filtered > self.options.number("report") {
            self.tell(format!("{filtered} lines filtered"));
        } else {
            self.report(before);
        }
        Ok(())
    }

    /// `:r !command`.
    pub(super) fn read_command(&mut self, at: usize, text: &str) -> Res<()> {
        let text = self.shell_text(text)?;
        let (bytes, status) = self.output_of(&text, None)?;
        if status != 0 {
            self.tell(format!("shell returned {status}"));
        }
        self.put_file(at, &bytes);
        Ok(())
    }

    /// `:w !command`.
    pub(super) fn write_command(&mut self, bytes: &[u8], text: &str) -> Res<()> {
        let text = self.shell_text(text)?;
        let told = |e: std::io::Error| Stop::Say(format!("E482: Can't create file: {}", strerror(&e)));
        let mut file = scratch().map_err(told)?;
        file.write_all(bytes).and_then(|()| file.seek(SeekFrom::Start(0)).map(|_| ())).map_err(told)?;
        let mut command = self.process(&text);
        command.stdin(Stdio::Fd(raw(&file)));
        if self.silent {
            command.stdout(Stdio::Null).stderr(Stdio::Null);
        }
        self.outside(command, true)
    }

    /// Text of a file or a command comes below a line.
    pub(super) fn put_file(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let (lines, _, _) = split(bytes);
        let many = lines.len();
        let void = self.buf.void;
        self.buf.insert(at, lines);
        let first = if void { 0 } else { at };
        self.mark_change(place(first, 0), place(first + many - 1, 0));
        self.go_line(if self.line_mode { first + many - 1 } else { first });
    }
}

/// A file without a name.
fn scratch() -> std::io::Result<std::fs::File> {
    let dir = agentos_guest::env::temp_dir();
    for n in 0..100 {
        let path = dir.join(format!("vi-{}-{n}", agentos_guest::process::id()));
        match std::fs::File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                // It lives as long as it is open.
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

fn raw(file: &std::fs::File) -> u32 {
    use std::os::fd::AsRawFd;
    file.as_raw_fd().cast_unsigned()
}
