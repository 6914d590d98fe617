//! What every command of ours gets: its name, a buffered standard output, and GNU-shaped messages.
//!
//! It does not decide when a command ends: a command returns [`End`] and the dispatcher flushes and exits.

use crate::options::{self, Order, Parsed};
use crate::quote::{quote, quotef};
use agentos_guest::{fd, strerror};
use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Read, Write};

/// Why a command ends early.
#[derive(Debug)]
pub enum End {
    /// With this status; what there is to say has been said.
    Status(i32),
    /// With a message and this status.
    Failure(i32, String),
    /// With a message (unless empty), the hint to `--help`, and this status.
    Usage(i32, String),
    /// Standard output cannot be written.
    Output(io::Error),
    /// The output is lost, which has been said: with this status.
    Lost(i32),
}

/// What a command returns: its exit status, or why it ended early.
pub type Outcome = Result<i32, End>;

/// A command's surroundings.
pub struct Cx {
    /// The name it was called by.
    pub name: &'static str,
    /// The status of a usage error.
    pub usage_status: i32,
    /// The status so far; [`Cx::warn`] raises it.
    pub status: i32,
    /// Buffered standard output.
    pub out: BufWriter<Descriptor>,
}

impl Cx {
    /// Surroundings for the command `name`.
    pub fn new(name: &'static str) -> Cx {
        Cx { name, usage_status: 1, status: 0, out: BufWriter::with_capacity(32 * 1024, Descriptor(1)) }
    }

    /// Parses options, answering `--help` and `--version`.
    pub fn parse(
        &mut self,
        spec: &'static [&'static str],
        args: &[OsString],
        order: Order,
        help: &str,
    ) -> Result<Parsed, End> {
        // Only a word that begins as they do can be one of the two, so the common case pays one comparison per word.
        match options::parse(spec, args, order) {
            Ok(parsed) => Ok(parsed),
            Err(message) => {
                let asked = |long: &str| {
                    message.strip_prefix("unrecognized option '--").is_some_and(|rest| {
                        let word = rest.trim_end_matches('\'');
                        word.len() >= 2 && long.starts_with(word)
                    })
                };
                if asked("help") {
                    let name = self.name;
                    self.print(format_args!("Usage: {}\n", help.replace("{}", name)))?;
                    return Err(End::Status(0));
                }
                if asked("version") {
                    return Err(self.version());
                }
                Err(self.usage(message))
            }
        }
    }

    /// Answers `--version`, which ends the command.
    pub fn version(&mut self) -> End {
        let name = self.name;
        match self.print(format_args!("{name} (agentos-tools) {}\n", env!("CARGO_PKG_VERSION"))) {
            Ok(()) => End::Status(0),
            Err(end) => end,
        }
    }

    /// Writes bytes to standard output.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.out.write_all(bytes).map_err(End::Output)
    }

    /// Writes formatted text to standard output.
    pub fn print(&mut self, text: std::fmt::Arguments<'_>) -> Result<(), End> {
        self.out.write_fmt(text).map_err(End::Output)
    }

    /// Hands everything written so far to the system.
    pub fn flush(&mut self) -> Result<(), End> {
        self.out.flush().map_err(End::Output)
    }

    /// `name: message` on standard error. Output written before comes first.
    pub fn say(&mut self, message: impl std::fmt::Display) {
        // A failing standard output is reported when the command ends, a failing standard error cannot be reported.
        let _ = self.out.flush();
        let _ = io::stderr().write_all(format!("{}: {message}\n", self.name).as_bytes());
    }

    /// Says it and makes the exit status at least 1.
    pub fn warn(&mut self, message: impl std::fmt::Display) {
        self.status = self.status.max(1);
        self.say(message);
    }

    /// `name: path: error`.
    pub fn warn_path(&mut self, path: &OsStr, error: &io::Error) {
        self.warn(format_args!("{}: {}", quotef(path), strerror(error)));
    }

    /// The end by a usage error.
    pub fn usage(&self, message: impl Into<String>) -> End {
        End::Usage(self.usage_status, message.into())
    }

    /// Which of `groups` the argument of an option is, abbreviated or whole; a group holds the words of one meaning.
    ///
    /// `option` is named in the message as it stands: `--reflink`, `backup type`.
    pub fn keyword(&self, option: &str, word: &OsStr, groups: &[&[&str]]) -> Result<usize, End> {
        let text = word.to_string_lossy();
        let holds = |test: &dyn Fn(&str) -> bool| {
            let mut hits = (0..groups.len()).filter(|i| groups[*i].iter().any(|w| test(w)));
            (hits.next(), hits.next())
        };
        if let (Some(found), _) = holds(&|w| w == text) {
            return Ok(found);
        }
        let (found, other) = holds(&|w| w.starts_with(&*text));
        if let (Some(found), None) = (found, other) {
            return Ok(found);
        }
        let kind = if other.is_some() { "ambiguous" } else { "invalid" };
        let mut message = format!(
            "{kind} argument {} for {}\nValid arguments are:",
            quote(word),
            quote(OsStr::new(option))
        );
        for group in groups {
            let words: Vec<String> = group.iter().map(|w| quote(OsStr::new(w))).collect();
            message += &format!("\n  - {}", words.join(", "));
        }
        Err(self.usage(message))
    }

    /// Says what is left to say, hands over the output, and gives the exit status.
    pub fn finish(mut self, end: Outcome) -> i32 {
        let (status, flush) = match end {
            Ok(status) => (status.max(self.status), true),
            Err(End::Status(status)) => (status, true),
            Err(End::Failure(status, message)) => {
                self.say(message);
                (status, true)
            }
            Err(End::Usage(status, message)) => {
                let name = self.name;
                // GNU's diffutils and patch name themselves once more.
                let before = if matches!(name, "cmp" | "diff" | "diff3" | "patch" | "sdiff") {
                    format!("{name}: ")
                } else {
                    String::new()
                };
                let hint = format!("{before}Try '{name} --help' for more information.");
                if message.is_empty() {
                    let _ = self.flush();
                    eprintln!("{hint}");
                } else {
                    self.say(format_args!("{message}\n{hint}"));
                }
                (status, true)
            }
            Err(End::Output(error)) => {
                write_error(&mut self, &error);
                (self.usage_status, false)
            }
            Err(End::Lost(status)) => (status, false),
        };
        if flush && let Err(End::Output(error)) = self.flush() {
            write_error(&mut self, &error);
            return status.max(self.usage_status);
        }
        status
    }

    /// The end by `missing operand`.
    pub fn missing_operand(&self) -> End {
        self.usage("missing operand")
    }
}

/// Natively std ignores SIGPIPE; a command dies of it, as in the guest.
pub fn start_like_c() {
    #[cfg(unix)]
    // Should it fail, a write error is reported instead.
    let _ = agentos_guest::signal::default(agentos_guest::Signal::SIGPIPE);
}

fn write_error(cx: &mut Cx, error: &std::io::Error) {
    let text = agentos_guest::strerror(error);
    eprintln!("{}: write error: {text}", cx.name);
}

/// A descriptor that the program was started with, unbuffered.
#[derive(Debug)]
pub struct Descriptor(pub u32);

impl Read for Descriptor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        fd::read(self.0, buf)
    }
}

impl Write for Descriptor {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        fd::write(self.0, buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens an operand for reading, `-` being standard input.
pub fn open_input(path: &OsStr) -> io::Result<Box<dyn Read>> {
    if path == "-" {
        return Ok(Box::new(Descriptor(0)));
    }
    Ok(Box::new(std::fs::File::open(path)?))
}
