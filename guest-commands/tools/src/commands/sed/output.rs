//! Where `sed` writes: standard output, a file that is edited in place, the files of `w`. A line without a newline at its end
//! gets one as soon as another follows.

use super::Options;
use agentos_guest::fs::{FileType, Stat, chmod, chown, file_type, lstat, stat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::context::Descriptor;
use crate::os::{OsStrExt, base_name, join, os, os_owned};

/// One stream of output.
pub(super) struct Stream {
    writer: Box<dyn Write>,
    unended: bool,
    /// Flush after every line.
    eager: bool,
}

impl Stream {
    pub(super) fn descriptor(number: u32, eager: bool) -> Stream {
        let writer = Box::new(BufWriter::with_capacity(64 * 1024, Descriptor(number)));
        Stream { writer, unended: false, eager }
    }

    fn file(file: File) -> Stream {
        Stream { writer: Box::new(BufWriter::with_capacity(64 * 1024, file)), unended: false, eager: false }
    }

    /// Writes a line and, if `ended`, what ends it.
    pub(super) fn line(&mut self, text: &[u8], ended: bool, end: u8) -> io::Result<()> {
        self.complete(end)?;
        self.writer.write_all(text)?;
        if ended {
            self.writer.write_all(&[end])?;
        } else {
            self.unended = true;
        }
        if self.eager { self.writer.flush() } else { Ok(()) }
    }

    /// Writes bytes as they are.
    pub(super) fn raw(&mut self, text: &[u8], end: u8) -> io::Result<()> {
        self.complete(end)?;
        self.writer.write_all(text)?;
        if self.eager { self.writer.flush() } else { Ok(()) }
    }

    fn complete(&mut self, end: u8) -> io::Result<()> {
        if std::mem::take(&mut self.unended) { self.writer.write_all(&[end]) } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The files of `w`, opened when the script has been read.
pub(super) enum Target {
    Output,
    Stream(Stream),
}

/// Opens them; the error says which cannot be.
pub(super) fn open_targets(names: &[Vec<u8>]) -> Result<Vec<Target>, String> {
    let open = |name: &Vec<u8>| match name.as_slice() {
        b"/dev/stdout" => Ok(Target::Output),
        b"/dev/stderr" => Ok(Target::Stream(Stream::descriptor(2, true))),
        name => File::create(os(name)).map(|file| Target::Stream(Stream::file(file))).map_err(|error| {
            let why = agentos_guest::strerror(&error);
            format!("couldn't open file {}: {why}", String::from_utf8_lossy(name))
        }),
    };
    names.iter().map(open).collect()
}

/// A file that is being edited in place: what is written goes to a new file, which takes the name of the old one at the end.
pub(super) struct Edited {
    pub(super) stream: Stream,
    path: OsString,
    new: OsString,
    old: Stat,
}

impl Edited {
    pub(super) fn begin(name: &OsStr, options: &Options) -> Result<Edited, String> {
        let path = if options.follow_symlinks { resolve(name) } else { name.to_owned() };
        let cannot = |error: io::Error| {
            format!("couldn't edit {}: {}", name.to_string_lossy(), agentos_guest::strerror(&error))
        };
        let old = stat(&path).map_err(cannot)?;
        let dir = folder(&path);
        for attempt in 0..1000u32 {
            let number = u64::from(agentos_guest::process::id()) * 1000 + u64::from(attempt);
            let new = join(&dir, OsStr::new(&format!("sed{number:06x}")));
            match File::options().write(true).create_new(true).open(&new) {
                Ok(file) => {
                    // Nobody else may read it before it has the mode of the old one.
                    let _ = chmod(&new, 0o600);
                    return Ok(Edited { stream: Stream::file(file), path, new, old });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let why = agentos_guest::strerror(&error);
                    return Err(format!("couldn't open temporary file {}: {why}", new.to_string_lossy()));
                }
            }
        }
        Err(format!("couldn't open temporary file in {}", dir.to_string_lossy()))
    }

    /// Puts the new file in the old one's place, which is kept under another name if there is a suffix.
    pub(super) fn finish(mut self, suffix: Option<&[u8]>) -> Result<(), String> {
        let path = self.path.to_string_lossy().into_owned();
        let cannot =
            |what: &str, error: io::Error| format!("{what} {path}: {}", agentos_guest::strerror(&error));
        let written = self.stream.flush();
        if let Err(error) = written {
            // What is half written must not stay.
            let _ = std::fs::remove_file(&self.new);
            return Err(cannot("couldn't write", error));
        }
        // As sed itself: only root may give files away.
        let _ = chown(&self.new, Some(self.old.uid), Some(self.old.gid));
        chmod(&self.new, self.old.mode & 0o7777).map_err(|e| cannot("couldn't keep the mode of", e))?;
        if let Some(suffix) = suffix.filter(|s| !s.is_empty()) {
            let backup = backup(&self.path, suffix);
            if let Err(error) = std::fs::rename(&self.path, &backup) {
                let _ = std::fs::remove_file(&self.new);
                return Err(cannot("cannot rename", error));
            }
        }
        std::fs::rename(&self.new, &self.path).map_err(|e| cannot("cannot rename", e))
    }
}

fn folder(path: &OsStr) -> OsString {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|b| *b == b'/') {
        Some(at) => os(&bytes[..=at]).to_owned(),
        None => OsString::from("."),
    }
}

/// The name of the old file: `*` in the suffix stands for its own.
fn backup(path: &OsStr, suffix: &[u8]) -> OsString {
    let name = base_name(path).as_bytes();
    let mut new = Vec::new();
    if suffix.contains(&b'*') {
        for b in suffix {
            if *b == b'*' { new.extend_from_slice(name) } else { new.push(*b) }
        }
    } else {
        new = [name, suffix].concat();
    }
    if new.contains(&b'/') { os_owned(new) } else { join(&folder(path), &os_owned(new)) }
}

/// What a name leads to, links of links included.
fn resolve(name: &OsStr) -> OsString {
    let mut path = name.to_owned();
    for _ in 0..40 {
        if !lstat(&path).is_ok_and(|s| file_type(s.mode) == FileType::Symlink) {
            break;
        }
        let Ok(target) = std::fs::read_link(&path) else { break };
        let target = target.into_os_string();
        path = if target.as_bytes().first() == Some(&b'/') { target } else { join(&folder(&path), &target) };
    }
    path
}
