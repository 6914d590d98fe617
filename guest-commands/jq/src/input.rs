//! The inputs of a program: its files one after another as one text, read as values, events, lines, or as a whole.

use crate::json::parse::{Mode, Reader, Source};
use crate::value::Value;
use std::collections::VecDeque;
use std::io::Read;

/// The files, or standard input if there are none.
pub(crate) struct Files {
    names: VecDeque<String>,
    stdin: bool,
    open: Option<std::fs::File>,
    /// The name of the file that is being read.
    current: Option<String>,
    /// Whether the last piece began a file.
    switched: bool,
    /// Whether a file could not be read.
    pub(crate) failed: bool,
}

impl Source for Files {
    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        self.switched = false;
        loop {
            let read = if let Some(file) = &mut self.open {
                file.read(buffer)
            } else if self.stdin {
                agentos_guest::fd::read(0, buffer)
            } else {
                let Some(name) = self.names.pop_front() else { return 0 };
                match std::fs::File::open(&name) {
                    Ok(file) => {
                        self.open = Some(file);
                        self.current = Some(name);
                        self.switched = true;
                    }
                    Err(e) => {
                        self.failed = true;
                        eprintln!("jq: error: Could not open file {name}: {}", agentos_guest::strerror(&e));
                    }
                }
                continue;
            };
            match read {
                Ok(0) if self.open.is_some() => self.open = None,
                Ok(count) => return count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failed = true;
                    let name = self.current.as_deref().unwrap_or("<stdin>");
                    eprintln!("jq: error: Input error on {name}: {}", agentos_guest::strerror(&e));
                    if self.open.take().is_none() {
                        return 0;
                    }
                }
            }
        }
    }

    fn switched(&self) -> bool {
        self.switched
    }
}

/// What inputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json(Mode),
    /// Each line is a string.
    Lines,
}

/// The inputs.
pub(crate) struct Inputs {
    reader: Reader<Files>,
    kind: Kind,
    slurp: bool,
    /// Whether anything was asked for.
    started: bool,
    done: bool,
}

impl Inputs {
    pub(crate) fn new(names: Vec<String>, kind: Kind, slurp: bool, seq: bool) -> Self {
        let files = Files {
            stdin: names.is_empty(),
            names: names.into(),
            open: None,
            current: None,
            switched: false,
            failed: false,
        };
        let mode = match kind {
            Kind::Json(mode) => mode,
            Kind::Lines => Mode::Values,
        };
        Inputs { reader: Reader::new(files, mode, seq), kind, slurp, started: false, done: false }
    }

    /// The next input; none at the end. The error is what is wrong with the text.
    pub(crate) fn next(&mut self) -> Result<Option<Value>, String> {
        self.started = true;
        if self.done {
            return Ok(None);
        }
        if self.slurp {
            self.done = true;
            return self.whole().map(Some);
        }
        match self.kind {
            Kind::Json(_) => self.reader.read(),
            Kind::Lines => Ok(self.reader.line().map(|line| text(&line))),
        }
    }

    fn whole(&mut self) -> Result<Value, String> {
        if self.kind == Kind::Lines {
            return Ok(text(&self.reader.rest()));
        }
        let mut all = Vec::new();
        while let Some(value) = self.reader.read()? {
            all.push(value);
        }
        Ok(all.into())
    }

    /// Where we are, as messages say it.
    pub(crate) fn place(&self) -> String {
        if !self.started {
            return "<unknown>".to_owned();
        }
        let name = self.reader.source.current.as_deref().unwrap_or("<stdin>");
        format!("{name}:{}", self.line())
    }

    pub(crate) fn line(&self) -> usize {
        if self.started { self.reader.lines_read() } else { 0 }
    }

    pub(crate) fn file_name(&self) -> Value {
        self.reader.source.current.as_deref().map_or(Value::Null, Value::from)
    }

    /// Whether a file could not be read.
    pub(crate) fn failed(&self) -> bool {
        self.reader.source.failed
    }
}

fn text(bytes: &[u8]) -> Value {
    (&*String::from_utf8_lossy(bytes)).into()
}
