//! Runs a program over its inputs and prints the results.

use crate::builtins::Host;
use crate::cli::Options;
use crate::compile::{Code, compile};
use crate::input::{Inputs, Kind};
use crate::json::parse::Mode;
use crate::json::print::{compact, print};
use crate::machine::Machine;
use crate::modules::Directories;
use crate::ops::Stop;
use crate::parse::parse;
use crate::syntax::Wrong;
use crate::value::Value;

/// Statuses of jq.
const NO_OUTPUT: i32 = 4;
const PARSE_ERROR: i32 = 4;
const SYSTEM_ERROR: i32 = 2;
const COMPILE_ERROR: i32 = 3;
const ERROR: i32 = 5;
/// How much output is gathered.
const PIECE: usize = 64 * 1024;

struct World {
    inputs: Inputs,
}

impl Host for World {
    fn input(&mut self) -> Result<Option<Value>, Stop> {
        self.inputs.next().map_err(|e| Stop::Error(e.into()))
    }

    fn file_name(&self) -> Value {
        self.inputs.file_name()
    }

    fn line(&self) -> usize {
        self.inputs.line()
    }

    fn message(&mut self, bytes: &[u8]) {
        // A failing standard error cannot be reported.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), bytes);
    }
}

struct Output {
    bytes: Vec<u8>,
    failed: bool,
}

impl Output {
    fn flush(&mut self) {
        let mut rest = &self.bytes[..];
        while !rest.is_empty() && !self.failed {
            match agentos_guest::fd::write(1, rest) {
                Ok(count) => rest = &rest[count..],
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failed = true;
                    eprintln!("jq: error: writing output failed: {}", agentos_guest::strerror(&e));
                }
            }
        }
        self.bytes.clear();
    }
}

/// Runs; the result is the exit status.
pub(crate) fn run(mut options: Options) -> i32 {
    let code = match program(&mut options) {
        Ok(code) => code,
        Err(status) => return status,
    };
    let kind = match (options.raw_input, options.stream) {
        (true, _) => Kind::Lines,
        (_, true) => Kind::Json(Mode::Events),
        _ => Kind::Json(Mode::Values),
    };
    let files = std::mem::take(&mut options.files);
    let mut world = World { inputs: Inputs::new(files, kind, options.slurp, options.seq) };
    let mut output = Output { bytes: Vec::new(), failed: false };
    let mut status = 0;
    let (mut last, mut any) = (None, false);
    let mut null = options.null_input;
    loop {
        let input = if null {
            Some(Value::Null)
        } else if options.null_input {
            None
        } else {
            match world.inputs.next() {
                Ok(input) => input,
                Err(message) => {
                    eprintln!("parse error: {message}");
                    status = PARSE_ERROR;
                    None
                }
            }
        };
        null = false;
        let Some(input) = input else { break };
        any = true;
        // The status is that of the last input.
        status = 0;
        let mut machine = Machine::new(&code, input);
        while let Some(result) = machine.next(&mut world) {
            match result {
                Ok(value) => {
                    if let Err(message) = put(&mut output, &value, &options) {
                        eprintln!("jq: error (at {}): {message}", world.inputs.place());
                        status = ERROR;
                        break;
                    }
                    last = Some(value.truthy());
                    if options.unbuffered || output.bytes.len() >= PIECE {
                        output.flush();
                        if output.failed {
                            return SYSTEM_ERROR;
                        }
                    }
                }
                Err(Stop::Halt(code, message)) => {
                    output.flush();
                    match message {
                        Some(Value::Str(text)) => world.message(text.as_bytes()),
                        Some(Value::Null) | None => {}
                        Some(value) => world.message(format!("{}\n", compact(&value)).as_bytes()),
                    }
                    return code;
                }
                Err(stop) => {
                    status = ERROR;
                    uncaught(&stop, &world.inputs.place());
                }
            }
        }
    }
    output.flush();
    if output.failed || (status == 0 && world.inputs.failed()) {
        return SYSTEM_ERROR;
    }
    if status == 0 && options.exit_status {
        return match last {
            // As 1.6: where nothing was read, nothing is wrong with what was found.
            None if !any => 0,
            None => NO_OUTPUT,
            Some(truthy) => i32::from(!truthy),
        };
    }
    status
}

fn uncaught(stop: &Stop, place: &str) {
    match stop {
        Stop::Error(Value::Str(message)) => eprintln!("jq: error (at {place}): {message}"),
        Stop::Error(value) => eprintln!("jq: error (at {place}) (not a string): {}", compact(value)),
        _ => eprintln!("jq: error (at {place}): break"),
    }
}

fn put(output: &mut Output, value: &Value, options: &Options) -> Result<(), String> {
    if options.seq {
        output.bytes.push(0x1e);
    }
    match value {
        // In ASCII a string is JSON even then.
        Value::Str(text) if options.raw && !options.style.ascii => {
            if options.raw_zero && text.contains('\0') {
                return Err("Cannot dump a string containing NUL with --raw-output0 option".to_owned());
            }
            output.bytes.extend_from_slice(text.as_bytes());
        }
        value => print(&mut output.bytes, value, &options.style),
    }
    output.bytes.extend_from_slice(&options.end);
    Ok(())
}

/// The compiled program; what is wrong with it has been said.
fn program(options: &mut Options) -> Result<Code, i32> {
    if options.from_file {
        let name = options.program.clone();
        match std::fs::read(&name) {
            Ok(bytes) => options.program = String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) => {
                eprintln!("jq: Could not open {name}: {}", agentos_guest::strerror(&e));
                return Err(SYSTEM_ERROR);
            }
        }
    }
    let text = &options.program;
    let mut parsed = parse(text, false).map_err(|wrong| refuse(text, &wrong))?;
    // A file of this name has definitions for every program.
    if let Some(home) = std::env::var_os("HOME") {
        let own = std::path::Path::new(&home).join(".jq");
        if own.is_file()
            && let Ok(bytes) = std::fs::read(&own)
        {
            let own_text = String::from_utf8_lossy(&bytes).into_owned();
            let module = parse(&own_text, true).map_err(|wrong| refuse(&own_text, &wrong))?;
            let body = std::mem::replace(&mut parsed.body, crate::syntax::Expr::Identity);
            parsed.body = module
                .defs
                .into_iter()
                .rev()
                .fold(body, |body, def| crate::syntax::Expr::Def(Box::new(def), Box::new(body)));
        }
    }
    let prelude = parse(crate::PRELUDE, true).map_err(|wrong| refuse(crate::PRELUDE, &wrong))?;
    let mut modules = Directories(options.search.clone());
    compile(&parsed, &prelude.defs, &options.globals, &mut modules).map_err(|wrong| refuse(text, &wrong))
}

/// Says what is wrong with a program, each with its line.
fn refuse(text: &str, wrong: &[Wrong]) -> i32 {
    for Wrong { message, at } in wrong {
        let at = (*at).min(text.len());
        let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
        let end = text[at..].find('\n').map_or(text.len(), |n| at + n);
        let line = text[..start].matches('\n').count() + 1;
        eprintln!(
            "jq: error: {message} at <top-level>, line {line}:\n{}{}",
            &text[start..end],
            " ".repeat(at - start)
        );
    }
    eprintln!("jq: {} compile error{}", wrong.len(), if wrong.len() == 1 { "" } else { "s" });
    COMPILE_ERROR
}
