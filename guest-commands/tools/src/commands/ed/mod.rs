//! `ed`: the line editor. Its text is in memory, and its commands come from standard input.

mod address;
mod buffer;
mod command;
mod substitute;

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use crate::os::OsStrExt;
use crate::regex::Regex;
use buffer::Buffer;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::rc::Rc;
use substitute::Substitution;

const SPEC: &[&str] = &[
    "h,help",
    "V,version",
    "E,extended-regexp",
    "l,loose-exit-status",
    "p,prompt=",
    "q,quiet",
    "silent",
    "r,restricted",
    "s,script",
    "v,verbose",
    "strip-trailing-cr",
];
const HELP: &str = "{} [options] [file]
Edit text line by line.
  -h, --help                 display this help and exit
  -V, --version              output version information and exit
  -E, --extended-regexp      use extended regular expressions
  -l, --loose-exit-status    exit with 0 status even if a command fails
  -p, --prompt=STRING        use STRING as an interactive prompt
  -q, --quiet, --silent      suppress diagnostics written to stderr
  -r, --restricted           run in restricted mode
  -s, --script               suppress byte counts and '!' prompt
  -v, --verbose              be verbose; equivalent to the 'H' command
      --strip-trailing-cr    strip carriage returns at end of text lines
If 'file' begins with a '!', the output of that shell command is read.";

/// Why a command does not go on.
enum Fault {
    /// A mistake, as `h` explains it.
    Message(String),
    /// `q` and its like, with the status.
    Quit,
    /// The program ends.
    End(End),
}

impl From<End> for Fault {
    fn from(end: End) -> Fault {
        Fault::End(end)
    }
}

fn fault<T>(message: &str) -> Result<T, Fault> {
    Err(Fault::Message(message.to_owned()))
}

/// The editor.
struct Ed {
    buffer: Buffer,
    file: Option<OsString>,
    /// That the text is not saved has been said.
    warned: bool,
    regex: Option<Rc<Regex>>,
    /// The text of that pattern.
    source: Vec<u8>,
    substitution: Option<Substitution>,
    yanked: Vec<Rc<[u8]>>,
    prompt: Option<String>,
    prompting: bool,
    verbose: bool,
    script: bool,
    quiet: bool,
    extended: bool,
    restricted: bool,
    strip_cr: bool,
    message: String,
    failed: bool,
    window: usize,
    shell: Vec<u8>,
    input: BufReader<Descriptor>,
    /// The lines of a global command that are still to be run.
    list: Option<VecDeque<Vec<u8>>>,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut ed = Ed {
        buffer: Buffer::default(),
        file: None,
        warned: false,
        regex: None,
        source: Vec::new(),
        substitution: None,
        yanked: Vec::new(),
        prompt: None,
        prompting: false,
        verbose: false,
        script: false,
        quiet: false,
        extended: false,
        restricted: cx.name == "red",
        strip_cr: false,
        message: String::new(),
        failed: false,
        window: 22,
        shell: Vec::new(),
        input: BufReader::new(Descriptor(0)),
        list: None,
    };
    let mut loose = false;
    for opt in &parsed.opts {
        match opt.id {
            "extended-regexp" => ed.extended = true,
            "loose-exit-status" => loose = true,
            "prompt" => {
                ed.prompt = Some(opt.text());
                ed.prompting = true;
            }
            "quiet" | "silent" => ed.quiet = true,
            "restricted" => ed.restricted = true,
            "script" => ed.script = true,
            "verbose" => ed.verbose = true,
            "strip-trailing-cr" => ed.strip_cr = true,
            "help" => {
                cx.print(format_args!("Usage: {}\n", HELP.replace("{}", "ed")))?;
                return Ok(0);
            }
            _ => return Err(cx.version()),
        }
    }
    if let Some(name) = parsed.operands.iter().find(|name| name.as_bytes() != b"-") {
        match ed.open(cx, name.as_bytes()) {
            Ok(()) | Err(Fault::Quit) => {}
            Err(Fault::Message(message)) => ed.complain(cx, message)?,
            Err(Fault::End(end)) => return Err(end),
        }
    }
    let status = ed.run(cx)?;
    Ok(if loose { 0 } else { status })
}

impl Ed {
    /// The first file; that it does not exist is no mistake.
    fn open(&mut self, cx: &mut Cx, name: &[u8]) -> Result<(), Fault> {
        if name.first() != Some(&b'!') {
            self.file = Some(crate::os::os(name).to_owned());
        }
        let there = name.first() == Some(&b'!') || std::fs::symlink_metadata(crate::os::os(name)).is_ok();
        match self.read(cx, name, 0) {
            Err(Fault::Message(_)) if !there => {}
            other => other?,
        }
        self.buffer.modified = false;
        self.buffer.forget();
        Ok(())
    }

    /// Runs commands until one ends the program, and gives the status.
    fn run(&mut self, cx: &mut Cx) -> Result<i32, End> {
        loop {
            if self.prompting {
                let prompt = self.prompt.clone().unwrap_or_else(|| "*".to_owned());
                cx.put(prompt.as_bytes())?;
            }
            cx.flush()?;
            let Some(line) = self.line(cx)? else {
                if self.buffer.modified && !self.warned {
                    self.complain(cx, "Warning: buffer modified".to_owned())?;
                    return Ok(2);
                }
                return Ok(i32::from(self.failed));
            };
            let warned = std::mem::take(&mut self.warned);
            match self.execute(cx, &line, warned) {
                Ok(()) => {}
                Err(Fault::Quit) => return Ok(i32::from(self.failed)),
                Err(Fault::End(end)) => return Err(end),
                Err(Fault::Message(message)) => {
                    self.list = None;
                    self.complain(cx, message)?;
                }
            }
        }
    }

    fn complain(&mut self, cx: &mut Cx, message: String) -> Result<(), End> {
        self.failed = true;
        cx.put(b"?\n")?;
        if self.verbose {
            cx.print(format_args!("{message}\n"))?;
        }
        self.message = message;
        Ok(())
    }

    /// The next line of commands or text, without its newline: of the global command, or of the input.
    fn line(&mut self, cx: &mut Cx) -> Result<Option<Vec<u8>>, End> {
        if let Some(list) = &mut self.list {
            return Ok(list.pop_front());
        }
        self.typed(cx)
    }

    /// The next line of the input.
    fn typed(&mut self, cx: &mut Cx) -> Result<Option<Vec<u8>>, End> {
        cx.flush()?;
        let mut line = Vec::new();
        let read = self.input.read_until(b'\n', &mut line);
        read.map_err(|error| End::Failure(1, agentos_guest::strerror(&error)))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        Ok(Some(line))
    }
}
