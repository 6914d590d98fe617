//! `sed` with GNU's commands and options. `--debug` is not here.

mod exec;
mod input;
mod output;
mod parse;
mod replace;
mod script;
mod text;

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::os::OsStrExt;
use agentos_guest::strerror;
use exec::{Machine, Stop};
use parse::{Dialect, Piece};
use std::ffi::OsString;

const SPEC: &[&str] = &[
    "n,quiet",
    "silent",
    "e,expression=",
    "f,file=",
    "E,regexp-extended",
    "r",
    "i,in-place=?",
    "follow-symlinks",
    "l,line-length=",
    "b,binary",
    "posix",
    "s,separate",
    "sandbox",
    "u,unbuffered",
    "z,null-data",
    "zero-terminated",
];
const HELP: &str = "{} [OPTION]... {script-only-if-no-other-script} [input-file]...

  -n, --quiet, --silent      suppress automatic printing of pattern space
  -e, --expression=SCRIPT    add the script to the commands to be executed
  -f, --file=SCRIPT-FILE     add the contents of script-file to the commands to be executed
      --follow-symlinks      follow symlinks when processing in place
  -i[SUFFIX], --in-place[=SUFFIX]  edit files in place (makes backup if SUFFIX supplied)
  -l, --line-length=N        specify the desired line-wrap length for the `l' command
      --posix                disable all GNU extensions
  -E, -r, --regexp-extended  use extended regular expressions in the script
  -s, --separate             consider files as separate rather than as a single continuous long stream
      --sandbox              operate in sandbox mode (disable e/r/w commands)
  -u, --unbuffered           load minimal amounts of data and flush the output buffers more often
  -z, --null-data            separate lines by NUL characters
      --help, --version";
const USAGE: &str = "Usage: sed [OPTION]... {script-only-if-no-other-script} [input-file]...";

/// What the command line asks for.
pub(crate) struct Options {
    quiet: bool,
    posix: bool,
    separate: bool,
    unbuffered: bool,
    follow_symlinks: bool,
    /// Edit in place, and the suffix of what is kept.
    in_place: Option<Vec<u8>>,
    line_length: usize,
    /// What ends lines.
    end: u8,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = match cx.parse(SPEC, args, Order::Permute, HELP) {
        Err(End::Usage(_, message)) => {
            let usage = HELP.replacen("{}", "sed", 1);
            return Err(End::Failure(1, format!("{message}\nUsage: {usage}")));
        }
        other => other?,
    };
    let mut options = Options {
        quiet: false,
        posix: std::env::var_os("POSIXLY_CORRECT").is_some(),
        separate: false,
        unbuffered: false,
        follow_symlinks: false,
        in_place: None,
        line_length: 70,
        end: b'\n',
    };
    let mut dialect = Dialect { extended: false, posix: false, sandbox: false };
    let mut pieces = Vec::new();
    for opt in &parsed.opts {
        match opt.id {
            "quiet" | "silent" => options.quiet = true,
            "expression" => pieces.push(Piece::Expression(opt.arg().as_bytes().to_vec())),
            "file" => pieces.push(script_file(opt.arg())?),
            "regexp-extended" | "r" => dialect.extended = true,
            "in-place" => {
                options.separate = true;
                options.in_place = Some(opt.arg().as_bytes().to_vec());
            }
            "follow-symlinks" => options.follow_symlinks = true,
            "line-length" => match opt.text().parse() {
                // 1 stands for no limit, too.
                Ok(length) => options.line_length = if length == 1 { 0 } else { length },
                Err(_) => {
                    return Err(End::Failure(1, format!("invalid line length: {}", opt.text())));
                }
            },
            "posix" => (options.posix, dialect.posix) = (true, true),
            "separate" => options.separate = true,
            "sandbox" => dialect.sandbox = true,
            "unbuffered" => options.unbuffered = true,
            "null-data" | "zero-terminated" => options.end = 0,
            // Files are read as they are anyway.
            _ => {}
        }
    }
    let mut files = parsed.operands;
    if pieces.is_empty() {
        if files.is_empty() {
            eprintln!("{USAGE}");
            return Ok(1);
        }
        pieces.push(Piece::Expression(files.remove(0).as_bytes().to_vec()));
    }
    if files.is_empty() {
        files.push("-".into());
    }
    let fail = |(message, status): (String, i32)| End::Failure(status, message);
    let script = parse::parse(pieces, dialect).map_err(fail)?;
    let targets = output::open_targets(&script.writes).map_err(|message| End::Failure(4, message))?;
    match Machine::new(&script, &options, files, targets).run() {
        Ok(status) => Ok(status),
        Err(Stop::Failure(message, status)) => Err(End::Failure(status, message)),
        Err(Stop::Output(error)) => {
            Err(End::Failure(4, format!("couldn't write to standard output: {}", strerror(&error))))
        }
    }
}

fn script_file(name: &std::ffi::OsStr) -> Result<Piece, End> {
    let shown = name.to_string_lossy().into_owned();
    let mut text = Vec::new();
    let read = open_input(name).and_then(|mut input| input.read_to_end(&mut text));
    if let Err(error) = read {
        return Err(End::Failure(1, format!("couldn't open file {shown}: {}", strerror(&error))));
    }
    // `#!/bin/sed -f` is a comment; a newline at the end ends nothing.
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    Ok(Piece::File(shown, text))
}
