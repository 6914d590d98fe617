//! The main input with its files, getline, and print.

use super::places::Spot;
use super::{Flow, Vm};
use crate::ast::{Redirect, Source};
use crate::cli::os;
use crate::error::{Error, Result, fatal};
use crate::format;
use crate::input::Reader;
use crate::number;
use crate::output::Output;
use crate::special;
use crate::streams::Streams;
use crate::value::{Str, Value};
use agentos_guest::{Errno, errno_of, fd, fs, strerror};

/// The files of the main input.
#[derive(Debug, Default)]
pub(crate) struct MainInput {
    /// The operand after the present one.
    next: usize,
    reader: Option<Reader>,
    /// An operand was a file, so standard input is not read.
    any_file: bool,
    ended: bool,
    /// The file that is edited in place.
    edit: Option<Edit>,
}

/// A file that gets as its content what is written to standard output while it is read.
#[derive(Debug)]
struct Edit {
    path: Vec<u8>,
    /// Where the new content is kept until it is whole.
    temporary: Vec<u8>,
    /// The real standard output.
    stdout: Output,
}

/// The parts of `name=value`, if it is an assignment.
pub(crate) fn assignment(operand: &[u8]) -> Option<(&str, &[u8])> {
    let at = memchr::memchr(b'=', operand)?;
    let name = std::str::from_utf8(&operand[..at]).ok()?;
    let first = name.bytes().next()?;
    let fits = !first.is_ascii_digit() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    fits.then(|| (name, &operand[at + 1..]))
}

impl Vm {
    /// Runs the main rules over all records. The result says whether the program goes on with END.
    pub(crate) fn run_main(&mut self) -> Result<Flow> {
        let main = self.code.main;
        loop {
            match self.read_main(None)? {
                Some(false) => return Ok(Flow::Done),
                None => return Ok(Flow::Exit),
                Some(true) => {}
            }
            let Some(main) = main else { continue };
            match self.run(main)? {
                Flow::Exit => return Ok(Flow::Exit),
                Flow::NextFile if self.end_file()? == Flow::Exit => return Ok(Flow::Exit),
                _ => {}
            }
        }
    }

    fn between(&mut self, code: Option<u32>) -> Result<Flow> {
        let Some(code) = code else { return Ok(Flow::Done) };
        if std::mem::replace(&mut self.between_files, true) {
            return Ok(Flow::Done);
        }
        let flow = self.run(code);
        self.between_files = false;
        flow
    }

    fn end_file(&mut self) -> Result<Flow> {
        if self.input.reader.take().is_none() {
            return Ok(Flow::Done);
        }
        let flow = self.between(self.code.end_file)?;
        self.end_edit()?;
        Ok(flow)
    }

    /// Standard output becomes the new content of a file.
    fn begin_edit(&mut self, path: &[u8], number: u32) -> Result<()> {
        let name = String::from_utf8_lossy(path).into_owned();
        let wrong =
            |e: std::io::Error| Error::Fatal(format!("inplace: cannot edit `{name}': {}", strerror(&e)));
        let stat = fs::fstat(number).map_err(wrong)?;
        if fs::file_type(stat.mode) != fs::FileType::File {
            self.warn(&format!("inplace: `{name}' is not a regular file"));
            return Ok(());
        }
        let temporary = [path, format!(".{}.awk", agentos_guest::process::id()).as_bytes()].concat();
        let how = fd::O_WRONLY | fd::O_CREAT | fd::O_EXCL | fd::O_CLOEXEC;
        let new = fd::open(os(&temporary), how, 0o600).map_err(wrong)?;
        // Who may not give the file away keeps it.
        let _ = fs::fchown(new, Some(stat.uid), Some(stat.gid));
        fs::fchmod(new, stat.mode & 0o7777).map_err(wrong)?;
        Streams::written(self.streams.stdout.flush(), b"")?;
        let stdout = std::mem::replace(&mut self.streams.stdout, Output::new(new, true, None));
        self.input.edit = Some(Edit { path: path.to_vec(), temporary, stdout });
        Ok(())
    }

    /// The edited file gets its new content.
    pub(crate) fn end_edit(&mut self) -> Result<()> {
        let Some(Edit { path, temporary, stdout }) = self.input.edit.take() else { return Ok(()) };
        let mut new = std::mem::replace(&mut self.streams.stdout, stdout);
        let moved = new.finish().and_then(|()| std::fs::rename(os(&temporary), os(&path)));
        moved.map_err(|e| {
            let _ = std::fs::remove_file(os(&temporary));
            let path = String::from_utf8_lossy(&path);
            Error::Fatal(format!("inplace: cannot write `{path}': {}", strerror(&e)))
        })
    }

    /// What was not finished is thrown away, the file staying as it was.
    pub(crate) fn abandon_edit(&mut self) {
        if let Some(Edit { temporary, stdout, .. }) = self.input.edit.take() {
            self.streams.stdout = stdout;
            let _ = std::fs::remove_file(os(&temporary));
        }
    }

    /// Opens the next file of the main input: none if the program is to exit, false at the end.
    fn next_file(&mut self) -> Result<Option<bool>> {
        loop {
            let count = self.load(crate::ast::Var::Global(special::ARGC)).num() as usize;
            if self.input.next == 0 {
                self.input.next = 1;
            }
            let operand = if self.input.next < count {
                let number = self.input.next;
                self.input.next += 1;
                let Value::Array(argv) = &self.globals[special::ARGV as usize] else { continue };
                let Some(operand) = argv.borrow().get(number.to_string().as_bytes()).cloned() else {
                    continue;
                };
                self.globals[special::ARGIND as usize] = Value::Num(number as f64);
                self.str(&operand)
            } else if self.input.any_file {
                return Ok(Some(false));
            } else {
                self.input.any_file = true;
                Str::EMPTY
            };
            if operand.is_empty() && self.input.next <= count && !self.input.any_file {
                continue;
            }
            if operand.is_empty() && self.input.next < count {
                continue;
            }
            if let Some((name, value)) = assignment(&operand) {
                self.assign_text(name, value)?;
                continue;
            }
            self.input.any_file = true;
            self.globals[special::FILENAME as usize] = Value::Input(operand.clone());
            self.fnr = 0.0;
            if self.open_main(&operand)? {
                return match self.between(self.code.begin_file)? {
                    Flow::Exit => Ok(None),
                    Flow::NextFile => {
                        self.input.reader = None;
                        continue;
                    }
                    _ => Ok(Some(true)),
                };
            }
        }
    }

    fn open_main(&mut self, operand: &[u8]) -> Result<bool> {
        let name = String::from_utf8_lossy(operand).into_owned();
        if operand.is_empty() || operand == b"-" || operand == b"/dev/stdin" {
            self.input.reader = Some(Reader::new(0, false));
            return Ok(true);
        }
        let wrong = match fd::open(os(operand), fd::O_RDONLY | fd::O_CLOEXEC, 0) {
            Ok(number) => {
                // Only reading tells a directory from a file here.
                match fd::read(number, &mut []) {
                    Err(e) if errno_of(&e) == Some(Errno::EISDIR) => {
                        let _ = fd::close(number);
                        self.say_plain(&format!(
                            "warning: command line argument `{name}' is a directory: skipped"
                        ));
                        return Ok(false);
                    }
                    _ => {}
                }
                self.input.reader = Some(Reader::new(number, true));
                if self.code.begin_file.is_some() {
                    self.globals[special::ERRNO as usize] = Value::text(b"");
                }
                if self.in_place {
                    self.begin_edit(operand, number)?;
                }
                return Ok(true);
            }
            Err(e) => e,
        };
        self.globals[special::ERRNO as usize] = Value::text(strerror(&wrong).as_bytes());
        if self.code.begin_file.is_some() {
            match self.between(self.code.begin_file)? {
                Flow::NextFile => return Ok(false),
                Flow::Exit => {
                    self.input.ended = true;
                    return Ok(false);
                }
                _ => {}
            }
        }
        Err(Error::Open(format!("cannot open file `{name}' for reading: {}", strerror(&wrong))))
    }

    fn say_plain(&mut self, text: &str) {
        let _ = self.streams.stdout.flush();
        crate::cli::say(text);
    }

    /// Reads the next record of the main input, into `$0` or a place: none if the program is to exit, false at the end.
    fn read_main(&mut self, spot: Option<&Spot>) -> Result<Option<bool>> {
        loop {
            if self.input.ended {
                return Ok(Some(false));
            }
            let Some(reader) = &mut self.input.reader else {
                match self.next_file()? {
                    Some(true) => continue,
                    Some(false) => {
                        self.input.ended = true;
                        return Ok(Some(false));
                    }
                    None => return Ok(None),
                }
            };
            let next = match reader.next(&self.ending) {
                Ok(next) => next,
                Err(e) if errno_of(&e) == Some(Errno::EISDIR) => {
                    let file = self.str(&self.globals[special::FILENAME as usize]);
                    let file = String::from_utf8_lossy(&file).into_owned();
                    self.say_plain(&format!(
                        "warning: command line argument `{file}' is a directory: skipped"
                    ));
                    self.input.reader = None;
                    continue;
                }
                Err(e) => {
                    let file = self.str(&self.globals[special::FILENAME as usize]);
                    return fatal(format!(
                        "error reading input file `{}': {}",
                        String::from_utf8_lossy(&file),
                        strerror(&e)
                    ));
                }
            };
            let Some((record, end)) = next else {
                if self.end_file()? == Flow::Exit {
                    return Ok(None);
                }
                continue;
            };
            self.nr += 1.0;
            self.fnr += 1.0;
            if self.keeps_rt {
                self.globals[special::RT as usize] = Value::text(reader.bytes(&end));
            }
            match spot {
                None => self.record.set(reader.bytes(&record)),
                Some(spot) => {
                    let value = Value::Input(Str::new(reader.bytes(&record)));
                    self.set(spot, value)?;
                }
            }
            return Ok(Some(true));
        }
    }

    /// getline: 1 with a record, 0 at the end, -1 if the file cannot be read.
    pub(super) fn getline(&mut self, source: Source, spot: Option<&Spot>) -> Result<f64> {
        let from = if source == Source::Main { Str::EMPTY } else { self.pop_key()? };
        let ending = self.ending.clone();
        let opened = match source {
            Source::Main => {
                if self.between_files {
                    return fatal("non-redirected `getline' undefined inside BEGINFILE or ENDFILE action");
                }
                // `exit` in a rule between files is seen when the main input is read again.
                return Ok(match self.read_main(spot)? {
                    Some(true) => 1.0,
                    Some(false) => 0.0,
                    None => {
                        self.input.ended = true;
                        0.0
                    }
                });
            }
            Source::File => self.streams.file(&from),
            Source::Command => Ok(self.streams.command(&from)?),
            Source::Coprocess => Ok(self.streams.coprocess(&from)?),
        };
        let next = match opened {
            Ok(reader) => reader.next(&ending).map(|next| {
                next.map(|(record, end)| {
                    let record = Str::new(reader.bytes(&record));
                    (record, Str::new(reader.bytes(&end)))
                })
            }),
            Err(e) => Err(e),
        };
        let (record, end) = match next {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(0.0),
            Err(e) => {
                self.globals[special::ERRNO as usize] = Value::text(strerror(&e).as_bytes());
                return Ok(-1.0);
            }
        };
        if self.keeps_rt {
            self.globals[special::RT as usize] = Value::Str(end);
        }
        match spot {
            None => self.record.set(&record),
            Some(spot) => self.set(spot, Value::Input(record))?,
        }
        Ok(1.0)
    }

    /// The output and its name, the name being on the stack.
    fn destination(&mut self, redirect: Redirect) -> Result<Str> {
        if redirect == Redirect::None { Ok(Str::EMPTY) } else { self.pop_key() }
    }

    pub(super) fn print(&mut self, count: usize, redirect: Redirect) -> Result<()> {
        let to = self.destination(redirect)?;
        let from = self.stack.len() - count;
        let output = self.streams.output(redirect, &to)?;
        for (i, value) in self.stack[from..].iter().enumerate() {
            if i > 0 {
                output.buf.extend_from_slice(&self.ofs);
            }
            match value {
                Value::Num(n) => output.buf.extend_from_slice(&number::text(*n, &self.ofmt)),
                Value::Array(_) => return fatal("attempt to use an array in a scalar context"),
                other => other.with_bytes(&self.conv, |bytes| output.buf.extend_from_slice(bytes)),
            }
        }
        self.stack.truncate(from);
        output.buf.extend_from_slice(&self.ors);
        self.sent(redirect, &to)
    }

    /// After something was added to an output.
    fn sent(&mut self, redirect: Redirect, to: &[u8]) -> Result<()> {
        let result = self.streams.output(redirect, to)?.added();
        match Streams::written(result, to) {
            // Who reads our output has gone; that a command of ours has is seen when it is closed.
            Err(Error::Pipe) if redirect == Redirect::Pipe || redirect == Redirect::Coprocess => Ok(()),
            other => other,
        }
    }

    pub(super) fn print_record(&mut self) -> Result<()> {
        let output = &mut self.streams.stdout;
        output.buf.extend_from_slice(self.record.text(&self.ofs, &self.conv));
        output.buf.extend_from_slice(&self.ors);
        Streams::written(output.added(), b"")
    }

    pub(super) fn print_field(&mut self, n: usize) -> Result<()> {
        let output = &mut self.streams.stdout;
        match self.record.bytes(n, &self.splitter) {
            Some(bytes) => output.buf.extend_from_slice(bytes),
            None => match self.record.field(n, &self.splitter) {
                Value::Num(n) => output.buf.extend_from_slice(&number::text(n, &self.ofmt)),
                other => other.with_bytes(&self.conv, |bytes| output.buf.extend_from_slice(bytes)),
            },
        }
        output.buf.extend_from_slice(&self.ors);
        Streams::written(output.added(), b"")
    }

    pub(super) fn printf(&mut self, count: usize, redirect: Redirect) -> Result<()> {
        let to = self.destination(redirect)?;
        let from = self.stack.len() - count;
        let format = self.stack[from].str(&self.conv);
        let output = self.streams.output(redirect, &to)?;
        let context = format::Context { conv: &self.conv, utf8: self.utf8 };
        let old = output.buf.len();
        if let Err(error) = format::printf(&mut output.buf, &format, &self.stack[from + 1..], &context) {
            output.buf.truncate(old);
            return Err(error);
        }
        self.stack.truncate(from);
        self.sent(redirect, &to)
    }
}
