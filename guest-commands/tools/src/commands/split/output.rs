//! Where the pieces of `split` go: files with names that count up, or commands of `--filter`. It cuts nothing.

use crate::context::{Cx, End};
use crate::os::{os, os_owned};
use crate::quote::{quoteaf, quotef};
use agentos_guest::fs::{fstat, stat};
use agentos_guest::process::{Child, Command, Stdio, WaitStatus};
use agentos_guest::{Signal, fd, strerror};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// How names are made.
pub(super) struct Names {
    pub(super) prefix: Vec<u8>,
    pub(super) additional: Vec<u8>,
    pub(super) digits: &'static [u8],
    pub(super) length: usize,
    /// Names get longer when they run out.
    pub(super) grows: bool,
    pub(super) start: Vec<u8>,
}

/// The names in turn.
pub(super) struct Series {
    names: Names,
    /// Places of the digits; empty before the first.
    now: Vec<usize>,
}

fn fail(message: impl Into<String>) -> End {
    End::Failure(1, message.into())
}

impl Series {
    pub(super) fn new(names: Names) -> Series {
        Series { names, now: Vec::new() }
    }

    fn next(&mut self) -> Result<Vec<u8>, End> {
        let exhausted = || fail("output file suffixes exhausted");
        let base = self.names.digits.len();
        if self.now.is_empty() {
            let given = self.names.start.iter().filter_map(|b| self.names.digits.iter().position(|d| d == b));
            let start: Vec<usize> = given.collect();
            self.now = vec![0; self.names.length.saturating_sub(start.len())];
            self.now.extend(start);
        } else {
            let lead = self.grown();
            let mut at = self.now.len();
            loop {
                at = at.checked_sub(1).ok_or_else(exhausted)?;
                self.now[at] += 1;
                // Before the last letter of all is used names get longer, so that they stay sorted.
                if at == lead && self.names.grows && self.now[at] == base - 1 {
                    self.now.truncate(at + 1);
                    self.names.length += 1;
                    self.now.extend(std::iter::repeat_n(0, self.names.length));
                    break;
                }
                if self.now[at] < base {
                    break;
                }
                self.now[at] = 0;
            }
        }
        let mut name = self.names.prefix.clone();
        name.extend(self.now.iter().map(|place| self.names.digits[*place]));
        name.extend_from_slice(&self.names.additional);
        Ok(name)
    }

    /// Where the digits begin that count: before them stand those that made the name longer.
    fn grown(&self) -> usize {
        let last = self.names.digits.len() - 1;
        if self.names.grows { self.now.iter().take_while(|place| **place == last).count() } else { 0 }
    }
}

/// A piece that is being written.
pub(super) enum Piece {
    File(BufWriter<File>, OsString),
    Filter(Child, Option<fd::Owned>, OsString),
    /// The chunk that is wanted on standard output.
    Standard,
}

/// What pieces are opened with.
pub(super) struct Output {
    pub(super) series: Series,
    pub(super) filter: Option<OsString>,
    pub(super) verbose: bool,
    /// The input, which no piece may overwrite.
    pub(super) input: u32,
}

impl Output {
    pub(super) fn open(&mut self, cx: &mut Cx) -> Result<Piece, End> {
        let name = os_owned(self.series.next()?);
        if let Some(command) = &self.filter {
            if self.verbose {
                cx.print(format_args!("executing with FILE={}\n", quotef(&name)))?;
                cx.flush()?;
            }
            let failed = |error: io::Error| fail(format!("failed to run command: {}", strerror(&error)));
            let (reader, writer) = fd::pipe(true).map_err(failed)?;
            let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
            let child = Command::new(&shell)
                .arg("-c")
                .arg(command)
                .env("FILE", &name)
                .stdin(Stdio::Fd(reader.raw()))
                .reset_signals(true)
                .spawn()
                .map_err(failed)?;
            return Ok(Piece::Filter(child, Some(writer), name));
        }
        if self.verbose {
            cx.print(format_args!("creating file {}\n", quoteaf(&name)))?;
        }
        if let (Ok(input), Ok(output)) = (fstat(self.input), stat(&name))
            && (input.dev, input.ino) == (output.dev, output.ino)
        {
            return Err(fail(format!("{} would overwrite input; aborting", quoteaf(&name))));
        }
        let file =
            File::create(&name).map_err(|error| fail(format!("{}: {}", quotef(&name), strerror(&error))))?;
        Ok(Piece::File(BufWriter::with_capacity(64 * 1024, file), name))
    }
}

impl Piece {
    /// Writes; whether more is wanted.
    pub(super) fn write(&mut self, cx: &mut Cx, bytes: &[u8]) -> Result<bool, End> {
        match self {
            Piece::Standard => cx.put(bytes).map(|()| true),
            Piece::File(writer, name) => writer
                .write_all(bytes)
                .map(|()| true)
                .map_err(|error| fail(format!("{}: {}", quotef(name), strerror(&error)))),
            Piece::Filter(_, pipe, name) => {
                let Some(writer) = pipe else { return Ok(false) };
                match fd::write_all(writer.raw(), bytes) {
                    Ok(()) => Ok(true),
                    // The command has read all that it wants.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        *pipe = None;
                        Ok(false)
                    }
                    Err(error) => Err(fail(format!("{}: {}", quotef(name), strerror(&error)))),
                }
            }
        }
    }

    /// Ends the piece; with a filter, waits for it.
    pub(super) fn close(self, filter: Option<&OsStr>) -> Result<(), End> {
        match self {
            Piece::Standard => Ok(()),
            Piece::File(mut writer, name) => {
                writer.flush().map_err(|error| fail(format!("{}: {}", quotef(&name), strerror(&error))))
            }
            Piece::Filter(mut child, pipe, name) => {
                drop(pipe);
                let ended = child
                    .wait()
                    .map_err(|error| fail(format!("waiting for child process: {}", strerror(&error))))?;
                let what = filter.unwrap_or(os(b"")).to_string_lossy().into_owned();
                let name = quotef(&name);
                match ended.0 {
                    WaitStatus::Exited(0) => Ok(()),
                    WaitStatus::Exited(code) => {
                        let message = format!("with FILE={name}, exit {code} from command: {what}");
                        Err(End::Failure(i32::from(code), message))
                    }
                    _ => {
                        let status = ended.shell_status();
                        let signal = u8::try_from(status - 128).ok().and_then(Signal::from_raw);
                        // A filter that had enough is no failure.
                        if signal == Some(Signal::SIGPIPE) {
                            return Ok(());
                        }
                        let signal =
                            signal.map_or_else(|| status.to_string(), |signal| signal.name().to_owned());
                        let signal = signal.trim_start_matches("SIG");
                        let message = format!("with FILE={name}, signal {signal} from command: {what}");
                        Err(End::Failure(status, message))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, Series};

    #[test]
    fn names_count_up_and_grow() {
        let letters: &[u8] = b"abc";
        let names = |length, grows, start: &[u8]| Names {
            prefix: b"x".to_vec(),
            additional: Vec::new(),
            digits: letters,
            length,
            grows,
            start: start.to_vec(),
        };
        let take = |mut series: Series, count: usize| -> Vec<String> {
            (0..count)
                .map(|_| series.next().map_or("-".into(), |n| String::from_utf8_lossy(&n).into()))
                .collect()
        };
        assert_eq!(
            take(Series::new(names(2, true, b"")), 8),
            ["xaa", "xab", "xac", "xba", "xbb", "xbc", "xcaaa", "xcaab"]
        );
        assert_eq!(take(Series::new(names(1, false, b"b")), 3), ["xb", "xc", "-"]);
    }
}
