//! One operand of a compressor: opens it, makes the file beside it, compresses or decompresses, passes on mode, times and owner, and
//! removes the original once all went well. Nothing of a failed attempt is left.

use super::{Action, Tool, Trouble};
use crate::codec::gzip::{self, GzipReader};
use crate::codec::input::Input;
use crate::codec::{self, Damage, Finish, Format};
use crate::context::{Cx, End};
use crate::files::{self, CopyError, Counted};
use crate::os::{OsStrExt, base_name, os};
use crate::walk;
use agentos_guest::fd::{self, Owned};
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::{Errno, errno_of};
use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::io::{BufWriter, Read, Write};
use std::rc::Rc;

/// What came of an operand.
pub(super) struct Done {
    /// Bytes read and written.
    pub(super) read: u64,
    pub(super) written: u64,
    /// The new file; `None`: standard output or nowhere.
    pub(super) output: Option<OsString>,
}

impl Tool {
    /// Does all operands, standard input if there are none. The status is the worst.
    pub(super) fn run(&self, cx: &mut Cx, operands: &[OsString]) -> Result<i32, End> {
        let mut status = 0;
        if operands.is_empty() {
            return self.stdin(cx);
        }
        for operand in operands {
            let new = if operand == "-" { self.stdin(cx)? } else { self.operand(cx, operand, 0)? };
            status = worse(status, new);
        }
        Ok(status)
    }

    fn stdin(&self, cx: &mut Cx) -> Result<i32, End> {
        let name = OsStr::new("-");
        cx.flush()?;
        let terminal = if self.action == Action::Compress { 1 } else { 0 };
        if !self.force && self.action != Action::Test && self.output.is_none() && fd::isatty(terminal) {
            return Ok((self.complain)(cx, self, name, Trouble::Terminal));
        }
        let (input, output) = match (files::stdin(), self.output.as_deref()) {
            (Ok(input), None) => (input, None),
            (Ok(input), Some(output)) => (input, Some(output.to_owned())),
            (Err(error), _) => return Ok((self.complain)(cx, self, name, Trouble::System(&error))),
        };
        let stat = fs::fstat(0).ok();
        self.convert(cx, name, input, stat.as_ref().filter(|_| output.is_some()), output)
    }

    fn operand(&self, cx: &mut Cx, name: &OsStr, depth: usize) -> Result<i32, End> {
        let mut name = name.to_owned();
        let mut found = self.look(&name);
        // `gunzip a` means `a.gz`.
        if self.tries_suffix
            && self.action != Action::Compress
            && found.as_ref().is_err_and(|e| errno_of(e) == Some(Errno::ENOENT))
            && self.stem(&name.to_string_lossy()).is_none()
        {
            name.push(&self.suffix);
            found = self.look(&name);
        }
        let stat = match found {
            Ok(stat) => stat,
            Err(error) => return Ok((self.complain)(cx, self, &name, Trouble::System(&error))),
        };
        if file_type(stat.mode) == FileType::Dir && self.recursive {
            return self.directory(cx, &name, depth);
        }
        let trouble = match file_type(stat.mode) {
            FileType::File => None,
            FileType::Dir => Some(Trouble::Directory),
            FileType::Symlink => Some(Trouble::Link),
            _ => Some(Trouble::Special),
        };
        let in_place = !self.stdout && self.action != Action::Test;
        if let Some(trouble) = trouble.filter(|t| in_place || matches!(t, Trouble::Directory)) {
            return Ok((self.complain)(cx, self, &name, trouble));
        }
        let output = match self.output_of(cx, &name, in_place) {
            Ok(output) => output,
            Err(status) => return Ok(status),
        };
        if in_place && self.counts_links && !self.force && !self.keep && stat.nlink > 1 {
            return Ok((self.complain)(cx, self, &name, Trouble::Links(u64::from(stat.nlink) - 1)));
        }
        cx.flush()?;
        match files::open(&name, 0) {
            Ok(input) => self.convert(cx, &name, input, Some(&stat), output),
            Err(error) => Ok((self.complain)(cx, self, &name, Trouble::System(&error))),
        }
    }

    fn look(&self, name: &OsStr) -> std::io::Result<Stat> {
        if self.stdout || self.force || self.action == Action::Test {
            fs::stat(name)
        } else {
            fs::lstat(name)
        }
    }

    fn directory(&self, cx: &mut Cx, name: &OsStr, depth: usize) -> Result<i32, End> {
        let names = if depth < walk::MAX_DEPTH { walk::children(name) } else { Err(walk::too_deep()) };
        let names = match names {
            Ok(names) => names,
            Err(error) => return Ok((self.complain)(cx, self, name, Trouble::System(&error))),
        };
        let mut status = 0;
        for child in names {
            // What has the suffix already, or has none to take away, is not meant.
            let suffixed = self.stem(&child.to_string_lossy()).is_some();
            let directory = fs::lstat(&child).is_ok_and(|s| file_type(s.mode) == FileType::Dir);
            if directory || suffixed != (self.action == Action::Compress) {
                status = worse(status, self.operand(cx, &child, depth + 1)?);
            }
        }
        Ok(status)
    }

    /// Where the result goes: a file if `in_place` or `-o` says so.
    fn output_of(&self, cx: &mut Cx, name: &OsStr, in_place: bool) -> Result<Option<OsString>, i32> {
        if let Some(output) = &self.output {
            return Ok(Some(output.clone()).filter(|_| self.action != Action::Test));
        }
        let text = name.to_string_lossy();
        let stem = self.stem(&text);
        if self.action == Action::Compress {
            if !in_place {
                return Ok(None);
            }
            if stem.is_some() && self.format != Format::Zstd {
                let suffix = text.rfind('.').map_or("", |i| &text[i..]).to_owned();
                if !self.force || self.format != Format::Gzip {
                    return Err((self.complain)(cx, self, name, Trouble::Suffixed(&suffix)));
                }
            }
            let mut output = name.to_owned();
            output.push(&self.suffix);
            return Ok(Some(output));
        }
        match stem {
            Some(stem) if in_place => Ok(Some(stem.into())),
            None if in_place && self.format == Format::Bzip2 => {
                let mut output = name.to_owned();
                output.push(".out");
                (self.complain)(cx, self, name, Trouble::Unsuffixed);
                Ok(Some(output))
            }
            None if in_place => Err((self.complain)(cx, self, name, Trouble::Unsuffixed)),
            _ => Ok(None),
        }
    }

    fn convert(
        &self,
        cx: &mut Cx,
        name: &OsStr,
        input: Owned,
        stat: Option<&Stat>,
        output: Option<OsString>,
    ) -> Result<i32, End> {
        let read = Rc::new(Cell::new(0));
        let written = Rc::new(Cell::new(0));
        let source = Counted { inner: input, bytes: read.clone() };
        let mut output = output;
        let mut restored = None;
        // The header has to be read before the name is known.
        let mut decoder = None;
        let mut source = Some(source);
        if self.action != Action::Compress
            && let Some(source) = source.take()
        {
            match self.decoder(source, output.is_none()) {
                Ok((reader, header)) => {
                    decoder = Some(reader);
                    if let (Some(output), Some(header), true) = (&mut output, header, self.restore_name) {
                        if let Some(stored) = &header.name {
                            *output = beside(name, stored);
                        }
                        restored = Some(header.mtime).filter(|mtime| *mtime != 0);
                    }
                }
                Err(error) => return Ok(self.failed(cx, name, &error)),
            }
        }
        let target: Box<dyn Write> = match &output {
            None if self.action == Action::Test => Box::new(std::io::sink()),
            None => match files::stdout() {
                Ok(out) => Box::new(out),
                Err(error) => return Err(End::Output(error)),
            },
            Some(path) => match self.create(cx, name, path)? {
                Ok(file) => Box::new(file),
                Err(status) => return Ok(status),
            },
        };
        let target = Counted { inner: BufWriter::with_capacity(64 << 10, target), bytes: written.clone() };
        let result = match (decoder, source) {
            (Some(mut reader), _) => decompress(&mut reader, target),
            (None, Some(source)) => self.compress(name, stat, source, target),
            (None, None) => Ok(()),
        };
        let status = match result {
            Ok(()) => 0,
            Err(Failure::Write(error)) if output.is_none() => return Err(End::Output(error)),
            Err(Failure::Read(error) | Failure::Write(error)) => {
                let status = self.failed(cx, name, &error);
                if codec::damage(&error) != Some(Damage::Trailing) {
                    if let Some(path) = &output {
                        let _ = std::fs::remove_file(path);
                    }
                    return Ok(status);
                }
                status
            }
        };
        if let (Some(path), Some(stat)) = (&output, stat) {
            pass_on(path, stat, restored);
            if !self.keep && name != "-" {
                let _ = std::fs::remove_file(name);
            }
        }
        let done = Done { read: read.get(), written: written.get(), output };
        (self.tell)(cx, self, name, &done);
        Ok(status)
    }

    fn failed(&self, cx: &mut Cx, name: &OsStr, error: &std::io::Error) -> i32 {
        match codec::damage(error) {
            Some(damage) => (self.complain)(cx, self, name, Trouble::Damage(damage)),
            None => (self.complain)(cx, self, name, Trouble::System(error)),
        }
    }

    /// The reader of what was compressed. With -f, what is of no known format goes to standard output as it is.
    fn decoder(
        &self,
        source: Counted<Owned>,
        to_stdout: bool,
    ) -> std::io::Result<(Box<dyn Read>, Option<gzip::Header>)> {
        let mut input = Input::new(Box::new(source));
        let start = input.peek(6)?;
        let found = Format::of(start);
        let empty = start.is_empty();
        let format = match (self.format, found) {
            (own, Some(found)) if own == found => own,
            // xz reads its old format too, zstd whatever it knows.
            (Format::Xz, Some(Format::Lzma)) => Format::Lzma,
            (Format::Lzma, Some(Format::Xz)) if self.suffix != ".lzma" => Format::Xz,
            (Format::Zstd, Some(found)) if found != Format::Bzip2 => found,
            (own, _) if empty => match own {
                // Nothing at all is what nothing was compressed to.
                Format::Zstd | Format::Bzip2 => return Ok((Box::new(std::io::empty()), None)),
                _ => return Err(Damage::Truncated.into()),
            },
            _ if self.force && to_stdout && self.passes => return Ok((Box::new(input), None)),
            // Skippable frames come before others.
            (Format::Zstd, None)
                if (0x50..=0x5f).contains(&start[0]) && start.get(1..4) == Some(&[0x2a, 0x4d, 0x18]) =>
            {
                Format::Zstd
            }
            _ => return Err(Damage::Format.into()),
        };
        if format == Format::Gzip {
            let mut reader = GzipReader::new(input);
            let header = reader.header()?.clone();
            return Ok((Box::new(reader), Some(header)));
        }
        Ok((format.decoder(input)?, None))
    }

    fn create(&self, cx: &mut Cx, name: &OsStr, path: &OsStr) -> Result<Result<Owned, i32>, End> {
        for _ in 0..2 {
            match files::create_new(path, 0o600) {
                Ok(file) => return Ok(Ok(file)),
                Err(error) if errno_of(&error) == Some(Errno::EEXIST) => {
                    let special = fs::stat(path).is_ok_and(|s| file_type(s.mode) != FileType::File);
                    if special && self.output.is_some() {
                        let opened = fd::open(path, fd::O_WRONLY | fd::O_CLOEXEC, 0).map(Owned::from_raw);
                        return Ok(opened.map_err(|e| (self.complain)(cx, self, path, Trouble::System(&e))));
                    }
                    if !self.force {
                        return Ok(Err((self.complain)(cx, self, name, Trouble::Exists(path))));
                    }
                    if let Err(error) = std::fs::remove_file(path) {
                        return Ok(Err((self.complain)(cx, self, path, Trouble::System(&error))));
                    }
                }
                Err(error) => return Ok(Err((self.complain)(cx, self, path, Trouble::System(&error)))),
            }
        }
        Ok(Err((self.complain)(cx, self, name, Trouble::Exists(path))))
    }

    fn compress(
        &self,
        name: &OsStr,
        stat: Option<&Stat>,
        mut source: Counted<Owned>,
        target: Counted<BufWriter<Box<dyn Write>>>,
    ) -> Result<(), Failure> {
        let mut encoder: Box<dyn Finish> = if self.format == Format::Gzip {
            let regular = fs::fstat(source.inner.raw()).ok().filter(|s| file_type(s.mode) == FileType::File);
            let mtime = regular.or(stat.copied()).filter(|_| self.store_name).map_or(0, |s| s.mtime);
            let stored = base_name(name).as_bytes();
            let stored = Some(stored).filter(|_| self.store_name && name != "-");
            Box::new(gzip::writer(
                self.level.unsigned_abs(),
                stored,
                u32::try_from(mtime).unwrap_or(0),
                target,
            ))
        } else {
            self.format.encoder(self.level, Box::new(target)).map_err(Failure::Write)?
        };
        files::copy(&mut source, &mut encoder)?;
        encoder.finish().map_err(Failure::Write)
    }
}

enum Failure {
    Read(std::io::Error),
    Write(std::io::Error),
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Failure {
        match error {
            CopyError::Read(e) => Failure::Read(e),
            CopyError::Write(e) => Failure::Write(e),
        }
    }
}

fn decompress(reader: &mut dyn Read, mut target: Counted<BufWriter<Box<dyn Write>>>) -> Result<(), Failure> {
    let copied = files::copy(reader, &mut target);
    // What came before the damage is written, as the reference tools do to standard output.
    let flushed = target.flush().map_err(Failure::Write);
    copied?;
    flushed
}

/// Status 1 is an error and 2 a warning for all of them: an error stays.
fn worse(a: i32, b: i32) -> i32 {
    if a == 1 || b == 1 { 1 } else { a.max(b) }
}

/// The name that a header holds, in the directory of the compressed file: only its last component counts.
fn beside(name: &OsStr, stored: &[u8]) -> OsString {
    let last = base_name(os(stored)).as_bytes().to_vec();
    let bytes = name.as_bytes();
    let directory = bytes.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
    let mut path = bytes[..directory].to_vec();
    path.extend_from_slice(&last);
    crate::os::os_owned(path)
}

/// Gives the new file the owner, mode and times of the old one, as far as the user may.
fn pass_on(path: &OsStr, stat: &Stat, mtime: Option<u32>) {
    if file_type(stat.mode) != FileType::File {
        return;
    }
    let _ = fs::lchown(path, Some(stat.uid), Some(stat.gid));
    let _ = fs::chmod(path, stat.mode & 0o777);
    let mut stat = *stat;
    if let Some(mtime) = mtime {
        (stat.mtime, stat.mtime_nsec) = (i64::from(mtime), 0);
    }
    let _ = files::copy_times(path, &stat);
}
