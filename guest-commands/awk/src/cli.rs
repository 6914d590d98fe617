//! The command line: options, where the program comes from, the run from BEGIN to END, and the exit status.

use crate::compile;
use crate::error::{Error, Result};
use crate::parser;
use crate::special;
use crate::value::Value;
use crate::vm::{Flow, Vm};
use agentos_command::options::{self, Order};
use agentos_command::os::{OsStrExt, OsStringExt, os_owned};
use agentos_guest::{Signal, fd, signal, strerror};
use std::ffi::OsString;
use std::sync::OnceLock;

/// The name that messages begin with.
static NAME: OnceLock<String> = OnceLock::new();

const OPTIONS: &[&str] = &[
    "F,field-separator=",
    "v,assign=",
    "f,file=",
    "e,source=",
    "E,exec=",
    "i,include=",
    "b,characters-as-bytes",
    "r,re-interval",
    "O,optimize",
    "s,no-optimize",
    "h,help",
    "V,version",
];

const HELP: &str = "\
Usage: awk [options] -f progfile [--] file ...
Usage: awk [options] [--] 'program' file ...
Runs the program's actions for the records that its patterns match.

  -F, --field-separator=FS   separate fields by FS
  -v, --assign=VAR=VALUE     set a variable before the program begins
  -f, --file=PROGFILE        read the program from PROGFILE; may be repeated
  -e, --source=TEXT          take TEXT as program; may be repeated
  -E, --exec=PROGFILE        as -f, and the last option
  -i, --include=PROGFILE     as -f, but the program follows
  -i, --include=inplace      write what is printed while a file is read back to it
  -b, --characters-as-bytes  treat every byte as a character
  -r, --re-interval          intervals in regular expressions (always on)
  -O, --optimize             (no effect: programs are always optimized)
  -s, --no-optimize          (no effect)
  -h, --help                 show this help and exit
  -V, --version              show the version and exit
";

/// `name: text` on standard error.
pub(crate) fn say(text: &str) {
    let name = NAME.get().map_or("awk", String::as_str);
    // What cannot be said cannot be reported either.
    let _ = fd::write_all(2, format!("{name}: {text}\n").as_bytes());
}

/// Runs awk with these arguments, the first being its name; returns the exit status.
pub(crate) fn main(args: Vec<OsString>) -> i32 {
    let mut args = args.into_iter();
    let called = args.next().unwrap_or_default();
    let base = called.as_bytes().rsplit(|b| *b == b'/').next().unwrap_or(b"awk");
    let _ = NAME.set(String::from_utf8_lossy(base).into_owned());
    // A command that stops reading is no reason to die; for standard output that is decided below.
    let _ = signal::ignore(Signal::SIGPIPE);
    match setup(&args.collect::<Vec<_>>()) {
        Ok(Start::Status(status)) => status,
        Ok(Start::Run(vm)) => run(*vm),
        Err(error) => report(&error, ""),
    }
}

/// Says an error; returns the status.
fn report(error: &Error, place: &str) -> i32 {
    match error {
        Error::Syntax(text) => {
            for line in text.split('\n') {
                say(line);
            }
            if text.contains(": fatal: ") { 2 } else { 1 }
        }
        Error::Fatal(text) => {
            say(&format!("{place}fatal: {text}"));
            2
        }
        Error::Open(text) => {
            say(&format!("fatal: {text}"));
            2
        }
        Error::Pipe => {
            // As any program whose output nobody reads.
            let _ = signal::default(Signal::SIGPIPE);
            let _ = signal::kill(agentos_guest::process::id() as i32, Some(Signal::SIGPIPE));
            141
        }
    }
}

/// What the command line asks for.
enum Start {
    Status(i32),
    Run(Box<Vm>),
}

fn read_source(path: &std::ffi::OsStr) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let result = if path == "-" {
        fd::read_to_end(0).map(|all| text = all)
    } else {
        fd::open(path, fd::O_RDONLY | fd::O_CLOEXEC, 0)
            .and_then(|number| fd::read_to_end(fd::Owned::from_raw(number).raw()))
            .map(|all| text = all)
    };
    match result {
        Ok(()) => Ok(text),
        Err(e) => Err(Error::Fatal(format!(
            "cannot open source file `{}' for reading: {}",
            path.to_string_lossy(),
            strerror(&e)
        ))),
    }
}

/// Whether characters are UTF-8: unless the locale says otherwise.
fn utf8() -> bool {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")) {
        Some(locale) => locale != "C" && locale != "POSIX",
        None => true,
    }
}

/// The arguments up to the last option: with `-E` everything behind its argument is an operand.
fn up_to_exec(args: &[OsString]) -> (Vec<OsString>, &[OsString]) {
    let exec = args.iter().position(|arg| arg == "-E" || arg == "--exec");
    match exec {
        Some(at) if args[..at].iter().all(|arg| arg.as_bytes().starts_with(b"-") && arg != "--") => {
            let end = (at + 2).min(args.len());
            (args[..end].to_vec(), &args[end..])
        }
        _ => (args.to_vec(), &[]),
    }
}

fn setup(args: &[OsString]) -> Result<Start> {
    let (args, behind) = up_to_exec(args);
    let parsed = match options::parse(OPTIONS, &args, Order::StopAtOperand) {
        Ok(parsed) => parsed,
        Err(message) => {
            say(&message);
            let _ = fd::write_all(2, HELP.as_bytes());
            return Ok(Start::Status(1));
        }
    };
    let mut sources: Vec<(String, Vec<u8>)> = Vec::new();
    let (mut programs, mut in_place) = (0, false);
    let (mut separator, mut assignments, mut utf8) = (None, Vec::new(), utf8());
    for option in &parsed.opts {
        match option.id {
            "field-separator" => separator = Some(option.arg().as_bytes().to_vec()),
            "assign" => assignments.push(option.arg().as_bytes().to_vec()),
            "file" | "exec" => {
                sources.push((option.text(), read_source(option.arg())?));
                programs += 1;
            }
            "include" if option.arg() == "inplace" => in_place = true,
            "include" => sources.push((option.text(), read_source(option.arg())?)),
            "source" => {
                sources.push(("cmd. line".to_owned(), option.arg().as_bytes().to_vec()));
                programs += 1;
            }
            "characters-as-bytes" => utf8 = false,
            "help" => {
                let _ = fd::write_all(1, HELP.as_bytes());
                return Ok(Start::Status(0));
            }
            "version" => {
                let version = format!("awk (agentos-awk) {}\n", env!("CARGO_PKG_VERSION"));
                let _ = fd::write_all(1, version.as_bytes());
                return Ok(Start::Status(0));
            }
            // What is always so.
            _ => {}
        }
    }
    let mut operands = parsed.operands;
    operands.extend_from_slice(behind);
    if programs == 0 {
        if operands.is_empty() {
            let _ = fd::write_all(2, HELP.as_bytes());
            return Ok(Start::Status(1));
        }
        sources.push(("cmd. line".to_owned(), operands.remove(0).into_vec()));
    }
    let (program, functions) = parser::parse(&sources, utf8, &mut |text| say(&text))?;
    let only_begin = program.rules.iter().all(|rule| matches!(rule.pattern, crate::ast::Pattern::Begin));
    let mut vm = Box::new(Vm::new(compile::compile(program, functions), utf8));
    vm.reads_input = !only_begin;
    vm.in_place = in_place;
    fill(&mut vm, &operands);
    if let Some(fs) = separator {
        vm.assign_text("FS", &fs)?;
    }
    for assignment in &assignments {
        match crate::vm::assignment(assignment) {
            Some((name, value)) => vm.assign_text(name, value)?,
            None => {
                let text = String::from_utf8_lossy(assignment);
                if let Some((name, _)) = text.split_once('=') {
                    return Err(Error::Fatal(format!("`{name}' is not a legal variable name")));
                }
                say(&format!("`{text}' argument to `-v' not in `var=value' form\n"));
                let _ = fd::write_all(2, HELP.as_bytes());
                return Ok(Start::Status(1));
            }
        }
    }
    Ok(Start::Run(vm))
}

/// Fills the predefined arrays.
fn fill(vm: &mut Vm, operands: &[OsString]) {
    let name = NAME.get().map_or("awk", String::as_str).as_bytes().to_vec();
    vm.fill(special::ARGV, b"0", &name);
    for (i, operand) in operands.iter().enumerate() {
        vm.fill(special::ARGV, (i + 1).to_string().as_bytes(), operand.as_bytes());
    }
    vm.globals[special::ARGC as usize] = Value::Num(operands.len() as f64 + 1.0);
    for (key, value) in std::env::vars_os() {
        vm.fill(special::ENVIRON, key.as_bytes(), value.as_bytes());
    }
    for (key, value) in [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("platform", "posix".to_owned()),
        ("pid", agentos_guest::process::id().to_string()),
        ("ppid", agentos_guest::process::parent_id().to_string()),
    ] {
        vm.fill(special::PROCINFO, key.as_bytes(), value.as_bytes());
    }
}

fn run(mut vm: Vm) -> i32 {
    let result = phases(&mut vm);
    let mut status = match &result {
        Ok(()) => vm.status,
        Err(Error::Pipe) => 0,
        Err(error) => {
            // What was written before the error comes before its message.
            vm.abandon_edit();
            let _ = vm.streams.stdout.flush();
            report(error, &vm.place_of_error())
        }
    };
    let ended = vm.streams.end();
    if let Err(error @ Error::Pipe) = result {
        status = report(&error, "");
    } else if let Err(error) = ended {
        status = report(&error, "");
    }
    // The process ends here: nothing is gained by taking arrays apart.
    std::mem::forget(vm);
    status
}

/// BEGIN, the records, END.
fn phases(vm: &mut Vm) -> Result<()> {
    let (begin, end) = (vm.code.begin, vm.code.end);
    let flow = match begin {
        Some(begin) => vm.run(begin)?,
        None => Flow::Done,
    };
    if flow != Flow::Exit && vm.reads_input {
        vm.run_main()?;
    }
    vm.end_edit()?;
    // `exit` leads to END, too.
    if let Some(end) = end {
        vm.run(end)?;
    }
    Ok(())
}

/// An operating system's string of these bytes.
pub(crate) fn os(bytes: &[u8]) -> OsString {
    os_owned(bytes.to_vec())
}
