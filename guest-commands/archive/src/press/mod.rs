//! The compressors: what gzip, bzip2, xz and zstd do alike with their operands. What they call things, and in which order they
//! look, is in the file of each; the formats are `codec`.

pub(crate) mod bzip2;
pub(crate) mod gzip;
mod job;
mod list;
pub(crate) mod xz;
pub(crate) mod zgrep;
pub(crate) mod zstd;

use crate::codec::{Damage, Format};
use crate::context::Cx;
use std::ffi::{OsStr, OsString};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Compress,
    Decompress,
    Test,
}

/// Why an operand is left alone or fails, for each tool to put in its words.
enum Trouble<'a> {
    /// The system's words.
    System(&'a std::io::Error),
    Directory,
    /// A symbolic link, which is not followed.
    Link,
    /// Neither file nor directory.
    Special,
    /// It has other names too: how many.
    Links(u64),
    /// It has the suffix of the format already.
    Suffixed(&'a str),
    /// Its suffix is none of the format.
    Unsuffixed,
    /// The output is there already.
    Exists(&'a OsStr),
    Damage(Damage),
    /// Compressed data would go to a terminal, or come from one.
    Terminal,
}

/// What makes a compressor.
struct Tool {
    format: Format,
    /// The suffix that compressing adds, with its dot.
    suffix: String,
    /// Suffixes that decompressing takes away, and what it puts there.
    known: &'static [(&'static str, &'static str)],
    action: Action,
    /// To standard output, whatever the operands are.
    stdout: bool,
    /// Write to this file.
    output: Option<OsString>,
    keep: bool,
    force: bool,
    quiet: bool,
    verbose: bool,
    level: i32,
    /// The longest name of an operand, for columns of bzip2.
    width: usize,
    /// Operands that are directories stand for all that is in them.
    recursive: bool,
    /// gzip only: keep name and time in the header, and restore them.
    store_name: bool,
    restore_name: bool,
    /// Decompressing also tries the name with the suffix added.
    tries_suffix: bool,
    /// Files with several names are left alone.
    counts_links: bool,
    /// What is of no known format goes through as it is, with -f to standard output.
    passes: bool,
    /// Says what is wrong with an operand; the status to end with.
    complain: fn(&mut Cx, &Tool, &OsStr, Trouble<'_>) -> i32,
    /// Says that an operand is done: sizes before and after.
    tell: fn(&mut Cx, &Tool, &OsStr, &job::Done),
}

impl Tool {
    fn new(format: Format, suffix: &str, known: &'static [(&'static str, &'static str)]) -> Tool {
        Tool {
            format,
            suffix: suffix.to_owned(),
            known,
            action: Action::Compress,
            stdout: false,
            output: None,
            keep: false,
            force: false,
            quiet: false,
            verbose: false,
            level: 6,
            width: 7,
            recursive: false,
            store_name: false,
            restore_name: false,
            tries_suffix: false,
            counts_links: true,
            passes: true,
            complain: |_, _, _, _| 1,
            tell: |_, _, _, _| {},
        }
    }

    /// Takes an option that the tools have in common, whose names and numbers mean the same; false if it is none.
    fn take(&mut self, id: &str) -> bool {
        match id {
            "stdout" | "to-stdout" => self.stdout = true,
            "compress" => self.action = Action::Compress,
            "decompress" | "uncompress" => self.action = Action::Decompress,
            "test" => self.action = Action::Test,
            "force" => self.force = true,
            "keep" => self.keep = true,
            "best" => self.level = 9,
            digit => match digit.parse() {
                Ok(level) => self.level = level,
                Err(_) => return false,
            },
        }
        true
    }

    /// Takes what the name of the command means: `gunzip` and its like decompress, `zcat` and its like to standard output.
    fn called(&mut self, name: &str) {
        if name.ends_with("cat") {
            (self.action, self.stdout) = (Action::Decompress, true);
        } else if name.starts_with("un") || name.contains("unz") {
            self.action = Action::Decompress;
        }
    }

    /// How large the plain data are, and the packed ones.
    fn sizes(&self, done: &job::Done) -> (u64, u64) {
        if self.action == Action::Compress { (done.read, done.written) } else { (done.written, done.read) }
    }

    /// The name without the suffix of the format; `None`: it has none.
    fn stem(&self, name: &str) -> Option<String> {
        let own = (self.suffix.as_str(), "");
        std::iter::once(own).chain(self.known.iter().copied()).find_map(|(suffix, instead)| {
            let stem = name.strip_suffix(suffix)?;
            (!stem.is_empty() && !stem.ends_with('/')).then(|| format!("{stem}{instead}"))
        })
    }
}

/// A name as a message shows it.
fn shown(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

/// Writes a line to standard error as it is.
fn note(cx: &mut Cx, text: &str) {
    use std::io::Write as _;
    let _ = cx.out.flush();
    let _ = std::io::stderr().write_all(text.as_bytes());
}
