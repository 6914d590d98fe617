//! The files and commands that a program has open, by the name it calls them.

use crate::ast::Redirect;
use crate::cli::os;
use crate::error::{Error, Result, fatal};
use crate::input::Reader;
use crate::output::Output;
use agentos_guest::process::{Child, Command, Stdio, WaitStatus};
use agentos_guest::{Errno, errno_of, fd, strerror};
use std::collections::HashMap;
use std::io;

/// Files and commands open at once.
const MAX_OPEN: usize = 1000;

/// What is open.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdout: Output,
    outputs: HashMap<Vec<u8>, Output>,
    inputs: HashMap<Vec<u8>, (Reader, Option<Child>)>,
}

/// What close and system return for a status.
fn status_number(status: WaitStatus) -> f64 {
    match status {
        WaitStatus::Exited(code) => f64::from(code),
        // Another number than any status: 256 and the signal.
        other => 128.0 + f64::from(other.shell_status()),
    }
}

fn wait(child: &mut Child) -> f64 {
    loop {
        match child.wait() {
            Ok(status) => return status_number(status.0),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return -1.0,
        }
    }
}

fn name(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn shell(command: &[u8]) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg0("sh").arg("-c").arg(os(command)).reset_signals(true);
    shell
}

impl Streams {
    /// Only standard output.
    pub(crate) fn new() -> Streams {
        Streams { stdout: Output::new(1, false, None), outputs: HashMap::new(), inputs: HashMap::new() }
    }

    fn room(&self) -> Result<()> {
        if self.outputs.len() + self.inputs.len() >= MAX_OPEN {
            return fatal("too many files and commands are open");
        }
        Ok(())
    }

    /// The output of a redirection, opened if it is not open yet.
    pub(crate) fn output(&mut self, kind: Redirect, to: &[u8]) -> Result<&mut Output> {
        if kind == Redirect::None
            || matches!(to, b"/dev/stdout" | b"-") && matches!(kind, Redirect::File | Redirect::Append)
        {
            return Ok(&mut self.stdout);
        }
        if to.is_empty() {
            let mark = match kind {
                Redirect::Append => ">>",
                Redirect::Pipe => "|",
                Redirect::Coprocess => "|&",
                _ => ">",
            };
            return fatal(format!("expression for `{mark}' redirection has null string value"));
        }
        if !self.outputs.contains_key(to) {
            self.room()?;
            let output = self.open(kind, to)?;
            self.outputs.insert(to.to_vec(), output);
        }
        Ok(self.outputs.get_mut(to).unwrap_or(&mut self.stdout))
    }

    fn open(&mut self, kind: Redirect, to: &[u8]) -> Result<Output> {
        if kind == Redirect::Pipe || kind == Redirect::Coprocess {
            self.flush_all()?;
            let mut command = shell(to);
            command.stdin(Stdio::Piped);
            if kind == Redirect::Coprocess {
                command.stdout(Stdio::Piped);
            }
            let mut child = command.spawn().map_err(|e| {
                Error::Fatal(format!("cannot open pipe `{}' for output: {}", name(to), strerror(&e)))
            })?;
            let end = child.stdin.take().map_or(1, fd::Owned::into_raw);
            if kind == Redirect::Coprocess
                && let Some(from) = child.stdout.take()
            {
                self.inputs.insert(to.to_vec(), (Reader::new(from.into_raw(), true), None));
            }
            return Ok(Output::new(end, true, Some(child)));
        }
        if to == b"/dev/stderr" {
            return Ok(Output::new(2, false, None));
        }
        if let Some(number) =
            to.strip_prefix(b"/dev/fd/").and_then(|n| std::str::from_utf8(n).ok()?.parse().ok())
            && fd::is_open(number)
        {
            return Ok(Output::new(number, false, None));
        }
        let how = if kind == Redirect::Append { fd::O_APPEND } else { fd::O_TRUNC };
        match fd::open(os(to), fd::O_WRONLY | fd::O_CREAT | fd::O_CLOEXEC | how, 0o666) {
            Ok(number) => Ok(Output::new(number, true, None)),
            Err(e) => fatal(format!("cannot redirect to `{}': {}", name(to), strerror(&e))),
        }
    }

    /// Says whether a write failed, and how that ends the program.
    pub(crate) fn written(result: io::Result<()>, to: &[u8]) -> Result<()> {
        match result {
            Ok(()) => Ok(()),
            Err(e) if errno_of(&e) == Some(Errno::EPIPE) => Err(Error::Pipe),
            Err(e) => {
                let to = if to.is_empty() { b"standard output" } else { to };
                fatal(format!("print to \"{}\" failed: {}", name(to), strerror(&e)))
            }
        }
    }

    /// Writes what waits in every output.
    pub(crate) fn flush_all(&mut self) -> Result<()> {
        Self::written(self.stdout.flush(), b"")?;
        for output in self.outputs.values_mut() {
            // Who has stopped reading is found out when the output is closed.
            let _ = output.flush();
        }
        Ok(())
    }

    /// Writes what waits for one name: 0, or -1 if nothing of that name is open.
    pub(crate) fn flush(&mut self, which: &[u8]) -> Result<f64> {
        if which == b"/dev/stdout" {
            Self::written(self.stdout.flush(), b"")?;
            return Ok(0.0);
        }
        match self.outputs.get_mut(which) {
            Some(output) => Ok(if output.flush().is_ok() { 0.0 } else { -1.0 }),
            None => Ok(-1.0),
        }
    }

    /// A file to read, opened if it is not open yet.
    pub(crate) fn file(&mut self, from: &[u8]) -> io::Result<&mut Reader> {
        if !self.inputs.contains_key(from) {
            if self.inputs.len() + self.outputs.len() >= MAX_OPEN {
                return Err(agentos_guest::io_error(Errno::EMFILE));
            }
            let reader = if from == b"-" || from == b"/dev/stdin" {
                Reader::new(0, false)
            } else {
                Reader::new(fd::open(os(from), fd::O_RDONLY | fd::O_CLOEXEC, 0)?, true)
            };
            self.inputs.insert(from.to_vec(), (reader, None));
        }
        match self.inputs.get_mut(from) {
            Some((reader, _)) => Ok(reader),
            None => Err(agentos_guest::io_error(Errno::EBADF)),
        }
    }

    /// A command to read from, started if it does not run yet.
    pub(crate) fn command(&mut self, from: &[u8]) -> Result<&mut Reader> {
        if !self.inputs.contains_key(from) {
            self.room()?;
            self.flush_all()?;
            let mut command = shell(from);
            let spawned = command.stdout(Stdio::Piped).spawn();
            let mut child = spawned.map_err(|e| {
                Error::Fatal(format!("cannot open pipe `{}' for input: {}", name(from), strerror(&e)))
            })?;
            let end = child.stdout.take().map_or(0, fd::Owned::into_raw);
            self.inputs.insert(from.to_vec(), (Reader::new(end, true), Some(child)));
        }
        match self.inputs.get_mut(from) {
            Some((reader, _)) => Ok(reader),
            None => fatal("a command ended while it was started"),
        }
    }

    /// A coprocess to read from; what is written to it goes out first.
    pub(crate) fn coprocess(&mut self, from: &[u8]) -> Result<&mut Reader> {
        self.output(Redirect::Coprocess, from)?;
        self.flush(from)?;
        match self.inputs.get_mut(from) {
            Some((reader, _)) => Ok(reader),
            None => fatal(format!("`{}' is no coprocess", name(from))),
        }
    }

    /// Closes everything of a name, or only one side of a coprocess: its status, or -1 if nothing was open.
    pub(crate) fn close(&mut self, which: &[u8], side: Option<&[u8]>) -> f64 {
        let mut status = -1.0;
        if side != Some(b"from") {
            if side == Some(b"to") {
                return match self.outputs.get_mut(which) {
                    Some(output) => {
                        let _ = output.finish();
                        0.0
                    }
                    None => -1.0,
                };
            }
            if let Some(mut output) = self.outputs.remove(which) {
                status = if output.finish().is_ok() { 0.0 } else { -1.0 };
                if let Some(child) = &mut output.child {
                    self.inputs.remove(which);
                    status = wait(child);
                }
            }
        }
        // One thing of that name is closed at a time, outputs first.
        if status >= 0.0 {
            return status;
        }
        if let Some((reader, child)) = self.inputs.remove(which) {
            drop(reader);
            status = child.map_or(0.0, |mut child| wait(&mut child));
        }
        status
    }

    /// Closes everything at the end of the program, waiting for what was written to.
    pub(crate) fn end(&mut self) -> Result<()> {
        let flushed = Self::written(self.stdout.flush(), b"");
        let mut outputs: Vec<_> = self.outputs.drain().collect();
        // In a fixed order: commands see the end of their input one after the other.
        outputs.sort_by(|a, b| a.0.cmp(&b.0));
        for (_, output) in &mut outputs {
            let _ = output.finish();
        }
        for (_, output) in &mut outputs {
            if let Some(child) = &mut output.child {
                wait(child);
            }
        }
        for (_, (reader, child)) in self.inputs.drain() {
            drop(reader);
            if let Some(mut child) = child {
                wait(&mut child);
            }
        }
        flushed
    }

    /// Runs a command with our own standard streams.
    pub(crate) fn system(&mut self, command: &[u8]) -> Result<f64> {
        self.flush_all()?;
        match shell(command).spawn() {
            Ok(mut child) => Ok(wait(&mut child)),
            Err(_) => Ok(127.0),
        }
    }
}
