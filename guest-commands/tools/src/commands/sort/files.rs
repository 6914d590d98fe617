//! What `sort` reads and where it writes: inputs line by line, temporary files without a name, the output. It knows no order.

use crate::context::{Cx, Descriptor, End, open_input};
use crate::os::os;
use crate::quote::{quoteaf, quotef};
use agentos_guest::fs::{fstat, stat};
use agentos_guest::strerror;
use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::hash::BuildHasher;
use std::io::{self, BufWriter, Read, Seek, Write};

/// The end by an error of `what` with a file.
pub(super) fn failed(what: &str, name: &OsStr, error: &io::Error) -> End {
    End::Failure(2, format!("{what}: {}: {}", quotef(name), strerror(error)))
}

/// Opens an input.
pub(super) fn open(name: &OsStr) -> Result<Box<dyn Read>, End> {
    open_input(name).map_err(|error| failed("open failed", name, &error))
}

/// An input of which one line at a time is held.
pub(super) struct Lines {
    lines: crate::lines::Lines,
    name: OsString,
}

impl Lines {
    pub(super) fn new(input: Box<dyn Read>, name: &OsStr, end: u8) -> Lines {
        Lines { lines: crate::lines::Lines::new(input, end), name: name.to_owned() }
    }

    pub(super) fn line(&self) -> &[u8] {
        self.lines.line()
    }

    /// The current line with its end, which the last of a file has too.
    pub(super) fn whole(&self) -> &[u8] {
        self.lines.whole()
    }

    /// Goes to the next line; whether there is one.
    pub(super) fn advance(&mut self) -> Result<bool, End> {
        self.lines.advance().map_err(|error| failed("read failed", &self.name, &error))
    }
}

/// Where lines go.
pub(super) trait Sink {
    /// Takes a line with its end.
    fn put(&mut self, line: &[u8]) -> Result<(), End>;

    /// All that is to be read has been read.
    fn begin(&mut self) {}
}

/// Standard output or the file of `-o`.
pub(super) enum Output<'a> {
    Standard(&'a mut Cx),
    File(BufWriter<File>, OsString),
}

impl<'a> Output<'a> {
    /// Opens the file without touching what is in it.
    pub(super) fn open(cx: &'a mut Cx, name: Option<&OsStr>) -> Result<Output<'a>, End> {
        let Some(name) = name else { return Ok(Output::Standard(cx)) };
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(name);
        let file = opened.map_err(|error| failed("open failed", name, &error))?;
        Ok(Output::File(BufWriter::with_capacity(64 * 1024, file), name.to_owned()))
    }

    /// Hands everything over.
    pub(super) fn finish(&mut self) -> Result<(), End> {
        match self {
            Output::Standard(cx) => {
                cx.out.flush().map_err(|error| unwritten("fflush failed", "'standard output'", &error))
            }
            Output::File(writer, name) => {
                let name = quotef(name);
                writer.flush().map_err(|error| unwritten("fflush failed", &name, &error))
            }
        }
    }
}

impl Sink for Output<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), End> {
        let (result, name) = match self {
            Output::Standard(cx) => (cx.out.write_all(bytes), None),
            Output::File(writer, name) => (writer.write_all(bytes), Some(name)),
        };
        result.map_err(|error| {
            let name = name.map_or_else(|| "'standard output'".to_owned(), |name| quotef(name));
            unwritten("write failed", &name, &error)
        })
    }

    fn begin(&mut self) {
        if let Output::File(writer, _) = self {
            // A device has no length.
            let _ = writer.get_ref().set_len(0);
        }
    }
}

fn unwritten(what: &str, name: &str, error: &io::Error) -> End {
    eprintln!("sort: {what}: {name}: {}\nsort: write error", strerror(error));
    End::Lost(2)
}

/// A file without a name that is written, then read.
pub(super) struct Temporary {
    writer: BufWriter<File>,
    dir: OsString,
}

impl Temporary {
    pub(super) fn create(dir: &OsStr) -> Result<Temporary, End> {
        let mut result = Err(io::ErrorKind::AlreadyExists.into());
        for attempt in 0..16_u8 {
            let number = RandomState::new().hash_one(attempt);
            let path = crate::os::join(dir, os(format!("sort{number:016x}").as_bytes()));
            result = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
            if result.is_ok() {
                // It lives as long as it is open, and nothing is left behind whatever ends us.
                let _ = std::fs::remove_file(&path);
            }
            if !result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
                break;
            }
        }
        match result {
            Ok(file) => {
                Ok(Temporary { writer: BufWriter::with_capacity(64 * 1024, file), dir: dir.to_owned() })
            }
            Err(error) => Err(End::Failure(
                2,
                format!("cannot create temporary file in {}: {}", quoteaf(dir), strerror(&error)),
            )),
        }
    }

    /// What has been written, from its beginning.
    pub(super) fn read_back(self, end: u8) -> Result<Lines, End> {
        let Temporary { writer, dir } = self;
        let rewound = writer.into_inner().map_err(io::IntoInnerError::into_error).and_then(|mut file| {
            file.rewind()?;
            Ok(file)
        });
        let file = rewound.map_err(|error| failed("write failed", &dir, &error))?;
        Ok(Lines::new(Box::new(file), &dir, end))
    }
}

impl Sink for Temporary {
    fn put(&mut self, bytes: &[u8]) -> Result<(), End> {
        let dir = &self.dir;
        self.writer.write_all(bytes).map_err(|error| failed("write failed", dir, &error))
    }
}

/// Whether two names are one file; `-` is standard input.
pub(super) fn same(input: &OsStr, output: &OsStr) -> bool {
    let found = if input == "-" { fstat(0) } else { stat(input) };
    match (found, stat(output)) {
        (Ok(a), Ok(b)) => (a.dev, a.ino) == (b.dev, b.ino),
        _ => false,
    }
}

/// Sixteen bytes for the order of `-R`, out of a file or of chance.
pub(super) fn salt(source: Option<&OsStr>) -> Result<[u8; 16], End> {
    let mut salt = [0; 16];
    let Some(name) = source else {
        for (half, seed) in salt.chunks_mut(8).zip(0_u8..) {
            half.copy_from_slice(&RandomState::new().hash_one(seed).to_ne_bytes());
        }
        return Ok(salt);
    };
    let mut file = File::open(name).map_err(|error| failed("open failed", name, &error))?;
    match file.read_exact(&mut salt) {
        Ok(()) => Ok(salt),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(End::Failure(2, format!("{}: end of file", crate::quote::quote(name))))
        }
        Err(error) => Err(End::Failure(2, format!("{}: read error: {}", quoteaf(name), strerror(&error)))),
    }
}

/// Whether an input can be read, said before anything is.
pub(super) fn check_readable(name: &OsStr) -> Result<(), End> {
    if name == "-" {
        return Ok(());
    }
    agentos_guest::fs::access(name, agentos_guest::fs::R_OK)
        .map_err(|error| failed("cannot read", name, &error))
}

/// Standard input is a stream like others.
pub(super) fn names_from(list: &OsStr) -> Result<Vec<OsString>, End> {
    let mut input: Box<dyn Read> = if list == "-" {
        Box::new(Descriptor(0))
    } else {
        Box::new(File::open(list).map_err(|error| failed("open failed", list, &error))?)
    };
    let mut text = Vec::new();
    if input.read_to_end(&mut text).is_err() {
        return Err(End::Failure(2, format!("cannot read file names from {}", quoteaf(list))));
    }
    let mut names: Vec<OsString> = text.split(|b| *b == 0).map(|name| os(name).to_owned()).collect();
    // What follows the last NUL is a name only if there is something.
    names.pop_if(|name| name.is_empty());
    if names.is_empty() {
        return Err(End::Failure(2, format!("no input from {}", quoteaf(list))));
    }
    for (number, name) in names.iter().enumerate() {
        if list == "-" && name == "-" {
            let message = "when reading file names from stdin, no file name of '-' allowed";
            return Err(End::Failure(2, message.to_owned()));
        }
        if name.is_empty() {
            let message = format!("{}:{}: invalid zero-length file name", quotef(list), number + 1);
            return Err(End::Failure(2, message));
        }
    }
    Ok(names)
}
