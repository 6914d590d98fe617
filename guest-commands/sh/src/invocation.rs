//! The command line: which script is run, and how it is read. Options of `set` are applied by that builtin's code.

use crate::cmdline;
use crate::input::Input;
use crate::interactive::repl;
use crate::interactive::startup::Startup;
use crate::restricted;
use crate::shell::{Flow, Shell};
use crate::source::units::Units;
use agentos_guest::{Errno, Signal, errno_of, fd, signal};
use std::rc::Rc;

/// Runs the shell; returns its exit status.
pub(crate) fn run(args: Vec<String>) -> i32 {
    // Rust's start-up ignores SIGPIPE on a Unix host, which programs inherit, and handles memory faults.
    for which in [Signal::SIGPIPE, Signal::SIGSEGV, Signal::SIGBUS] {
        let _ = signal::default(which);
    }
    let zero = args.first().cloned().unwrap_or_else(|| "sh".into());
    let mut sh = Shell::new(zero);
    sh.ignore_quit();
    let name = sh.zero.rsplit('/').next().unwrap_or("sh").trim_start_matches('-').to_owned();
    sh.opts.braceexpand = true;
    sh.opts.hashall = true;
    sh.shopts = crate::options::Shopts::at_start();
    sh.opts.interactive_comments = true;
    sh.session.name = sh.zero.clone();
    if name == "sh" {
        sh.set_option("posix", true);
    }
    sh.inherit_options();
    let startup = Startup { sh: name == "sh", login: sh.zero.starts_with('-'), ..Startup::default() };
    let mut asked = match cmdline::parse(&mut sh, &args, startup) {
        Ok(asked) => asked,
        Err(status) => return status,
    };
    let (command, stdin) = (asked.command, asked.stdin);
    let rest = args.get(asked.len..).unwrap_or_default();
    let typed = !command && (stdin || rest.is_empty());
    let interactive = asked.interactive.unwrap_or_else(|| typed && fd::isatty(0) && fd::isatty(2));
    if interactive {
        sh.become_interactive(!asked.plain_lines);
    }
    if sh.opts.monitor && !interactive {
        sh.check_terminal();
    }
    sh.shopts.login_shell = asked.startup.login;
    if let Err(status) = asked.apply_shopts(&mut sh) {
        return status;
    }
    let started = sh.read_startup(&asked.startup);
    if asked.restricted || restricted::is_restricted_name(&name) {
        sh.shopts.restricted_shell = true;
        sh.restrict();
    }
    let result = if started.is_err() {
        started
    } else if command {
        let Some((text, rest)) = rest.split_first() else {
            let message = format!("{}: -c: option requires an argument\n", sh.zero);
            sh.write_error(&message);
            return 2;
        };
        if let Some((zero, rest)) = rest.split_first() {
            sh.zero = zero.clone();
            sh.session.name = zero.clone();
            sh.args = rest.to_vec();
        }
        sh.command_string = true;
        sh.lowers = true;
        sh.vars.put_str(crate::symbols::sym("BASH_EXECUTION_STRING"), text.as_str());
        run_text(&mut sh, text.clone())
    } else if let (Some((file, rest)), false) = (rest.split_first(), stdin) {
        sh.args = rest.to_vec();
        match script(&mut sh, file) {
            Ok(text) => {
                sh.zero = file.clone();
                sh.source = Rc::from(file.as_str());
                sh.script = Some(sh.source.clone());
                run_text(&mut sh, text)
            }
            Err(status) => return status,
        }
    } else {
        sh.args = rest.to_vec();
        sh.session.stdin = true;
        if sh.session.active { repl::run(&mut sh) } else { run_stdin(&mut sh) }
    };
    if result == Err(Flow::Discard) && sh.status == 0 {
        sh.status = 1;
    }
    if sh.session.active && sh.shopts.login_shell {
        // Whatever it does, the shell ends.
        let _ = sh.read_logout();
    }
    if sh.session.active && sh.shopts.login_shell && sh.shopts.huponexit {
        sh.hang_up_jobs();
    }
    let status = sh.exit_trap();
    sh.save_history();
    sh.flush();
    sh.wait_for_readers();
    // The process ends: its memory goes as a whole, and not variable by variable.
    std::mem::forget(sh);
    status & 0xff
}

/// The text of a script file.
fn script(sh: &mut Shell, file: &str) -> Result<String, i32> {
    let mut path = file.to_owned();
    if !file.contains('/') && !crate::builtins::test::is_file(file) {
        path = sh.find_program(file).unwrap_or(path);
    }
    let bytes = std::fs::read(&*crate::text::os(&path)).map_err(|error| {
        let zero = if crate::builtins::test::is_dir(&path) { file } else { &sh.zero };
        sh.write_error(&format!("{zero}: {file}: {}\n", agentos_guest::strerror(&error)));
        if errno_of(&error) == Some(Errno::ENOENT) { 127 } else { 126 }
    })?;
    if is_binary(&bytes) {
        sh.write_error(&format!("{file}: {file}: cannot execute binary file\n"));
        return Err(126);
    }
    Ok(crate::text::from_bytes(bytes))
}

/// Whether a file is no script: its first line holds a null byte.
fn is_binary(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(80)];
    head.split(|b| *b == b'\n').next().is_some_and(|line| line.contains(&0))
}

fn run_text(sh: &mut Shell, text: String) -> Result<(), Flow> {
    if sh.opts.verbose {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        sh.write_error(&format!("{text}{end}"));
    }
    let mut units = Units::new(text, 1).named(if sh.command_string { "-c" } else { "" });
    let mut remembers = sh.remembers();
    if remembers && !sh.command_string {
        return run_rest(sh, &units);
    }
    let Some(mut unit) = next(sh, &mut units)? else { return Ok(()) };
    loop {
        // One unit ahead, so that the last command can replace the shell; but not past an error, which must not come early.
        let last = units.at_end();
        let result = if sh.opts.noexec { Ok(()) } else { sh.run_list(&unit, last) };
        sh.session.command_number += 1;
        match if sh.command_string { result } else { sh.goes_on(result) } {
            Ok(()) => {}
            Err(Flow::Discard) => units.goes_on_after(sh.line),
            Err(Flow::Abandon) if !sh.command_string => units.goes_on_after(sh.line),
            Err(flow) => return Err(flow),
        }
        if sh.opts.onecmd && !sh.command_string {
            return Err(Flow::Exit);
        }
        if !std::mem::replace(&mut remembers, sh.remembers()) && remembers {
            return run_rest(sh, &units);
        }
        match next(sh, &mut units)? {
            Some(following) => unit = following,
            None => return sh.poll_traps(),
        }
    }
}

/// The next command of a script that is all here.
fn next(sh: &mut Shell, units: &mut Units) -> Result<Option<Rc<crate::ir::List>>, Flow> {
    loop {
        match sh.next_unit(units) {
            Ok(unit) => return Ok(unit),
            Err(effect) => sh.after_script_error(effect)?,
        }
    }
}

/// Runs a script that arrives on standard input, which the programs it runs share: nothing is read ahead.
fn run_stdin(sh: &mut Shell) -> Result<(), Flow> {
    run_lines(sh, &mut line)
}

/// Runs the rest of a text line by line, so that each line can become history before it is run.
fn run_rest(sh: &mut Shell, units: &Units) -> Result<(), Flow> {
    let (text, first) = units.rest();
    let mut lines = text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>().into_iter();
    run_numbered(sh, &mut || lines.next(), first)
}

/// Runs a script that `read` gives line by line.
pub(crate) fn run_lines(sh: &mut Shell, read: &mut dyn FnMut() -> Option<String>) -> Result<(), Flow> {
    run_numbered(sh, read, 1)
}

fn run_numbered(sh: &mut Shell, read: &mut dyn FnMut() -> Option<String>, first: u32) -> Result<(), Flow> {
    let mut units = Units::new(String::new(), first);
    // What was read of the command that is not complete yet.
    let mut pending = String::new();
    let mut number = first;
    loop {
        pending.clear();
        let next = units.read(sh.dialect(), &mut |begun| {
            // The first word of a command may itself go over several lines.
            if !(begun || sh.remembers() && crate::history::is_open(&pending)) {
                pending.clear();
            }
            loop {
                let Some(text) = read() else { return Ok(None) };
                if sh.opts.verbose {
                    sh.write_error(&text);
                }
                if !sh.remembers() {
                    number += 1;
                    return Ok(Some(text));
                }
                sh.line = number;
                let text = match sh.expand_read_line(&pending, text) {
                    Some(text) => text,
                    // Nothing is left of it; bash does not even count it.
                    None if pending.is_empty() => continue,
                    None => "\n".to_owned(),
                };
                sh.note_line(&pending, &text);
                number += 1;
                pending.push_str(&text);
                return Ok(Some(text));
            }
        });
        match sh.read_unit(&mut units, next) {
            Ok(Some(unit)) => {
                sh.session.history_number = sh.history_number();
                let result = if sh.opts.noexec { Ok(()) } else { sh.run_list(&unit, false) };
                sh.session.command_number += 1;
                match sh.goes_on(result) {
                    Ok(()) => {}
                    Err(Flow::Discard | Flow::Abandon) => units.goes_on_after(sh.line),
                    Err(flow) => return Err(flow),
                }
                if sh.opts.onecmd {
                    return Err(Flow::Exit);
                }
            }
            Ok(None) => return sh.poll_traps(),
            Err(effect) => sh.after_script_error(effect)?,
        }
    }
}

/// Whether a line ends with a backslash that quotes its newline.
pub(crate) fn continues(line: &str) -> bool {
    let Some(text) = line.strip_suffix('\n') else { return false };
    (text.len() - text.trim_end_matches('\\').len()) % 2 == 1
}

/// The next line of standard input with its newline, and no byte more.
pub(crate) fn line() -> Option<String> {
    let mut input = Input::new(0);
    let mut bytes = Vec::new();
    loop {
        match input.next() {
            Ok(None) => break,
            Ok(Some(byte)) => {
                bytes.push(byte);
                if byte == b'\n' {
                    break;
                }
            }
            Err(error) if errno_of(&error) == Some(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    if bytes.is_empty() { None } else { Some(crate::text::from_bytes(bytes)) }
}
