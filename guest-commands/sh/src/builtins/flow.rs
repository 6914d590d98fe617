//! Builtins that steer execution: `break`, `return`, `exit`, `eval`, `.`, `let`, `shift`, and the trivial ones.

use super::getopt;
use crate::shell::{Call, Flow, Shell};
use crate::source::units::Units;
use crate::symbols;
use std::rc::Rc;

pub(super) fn truth(_: &mut Shell, _: &[String]) -> Result<i32, Flow> {
    Ok(0)
}

pub(super) fn falsehood(_: &mut Shell, _: &[String]) -> Result<i32, Flow> {
    Ok(1)
}

/// More arguments than the builtin takes: bash gives up everything that runs.
fn too_many(sh: &mut Shell, name: &str) -> Result<i32, Flow> {
    sh.status = sh.complain(name, "too many arguments");
    Err(Flow::Abandon)
}

fn count(sh: &mut Shell, args: &[String]) -> Result<u32, i32> {
    match args.get(1) {
        None => Ok(1),
        Some(text) => match text.parse::<i64>() {
            Ok(n) if n > 0 => Ok(u32::try_from(n).unwrap_or(u32::MAX)),
            Ok(_) => {
                sh.complain(&args[0], &format!("{text}: loop count out of range"));
                Err(1)
            }
            Err(_) => {
                sh.complain(&args[0], &format!("{text}: numeric argument required"));
                Err(128)
            }
        },
    }
}

pub(super) fn break_loop(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    leave(sh, args, Flow::Break)
}

pub(super) fn continue_loop(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    leave(sh, args, Flow::Continue)
}

fn leave(sh: &mut Shell, args: &[String], flow: fn(u32) -> Flow) -> Result<i32, Flow> {
    if sh.loops == 0 {
        if !sh.opts.posix {
            sh.complain(&args[0], "only meaningful in a `for', `while', or `until' loop");
        }
        return Ok(0);
    }
    match count(sh, args) {
        Ok(_) if args.len() > 2 => too_many(sh, &args[0]),
        Ok(n) => {
            sh.status = 0;
            Err(flow(n.min(sh.loops)))
        }
        Err(status) => {
            // Bash leaves the shell for a word that is no number, and the loops for one that is no count.
            sh.status = status;
            if status == 128 {
                return sh.leave();
            }
            Err(Flow::Break(sh.loops))
        }
    }
}

/// The status that `return` or `exit` names.
fn wanted(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let name = &args[0];
    let words = if args.get(1).is_some_and(|a| a == "--") { &args[2..] } else { &args[1..] };
    match words.first().map(|text| (text, text.trim_matches([' ', '\t']).parse::<i64>())) {
        None => Ok(sh.status),
        Some((text, Err(_))) => {
            sh.complain(name, &format!("{text}: numeric argument required"));
            Ok(2)
        }
        Some(_) if words.len() > 1 => too_many(sh, name),
        Some((_, Ok(n))) => Ok((n & 0xff) as i32),
    }
}

pub(super) fn return_from(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    if sh.functions_active == 0 && sh.sources_active == 0 {
        wanted(sh, args)?;
        sh.complain("return", "can only `return' from a function or sourced script");
        return Ok(2);
    }
    sh.before_return = sh.status;
    sh.status = match sh.traps.status_for_return() {
        Some(status) if args.len() == 1 => status,
        _ => wanted(sh, args)?,
    };
    Err(Flow::Return)
}

pub(super) fn exit(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    sh.status = match sh.traps.status_for_exit() {
        Some(status) if args.len() == 1 => status,
        _ => wanted(sh, args)?,
    };
    sh.leave()
}

pub(super) fn eval(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words = match getopt::flags(sh, args, "") {
        Ok((_, words)) => words,
        Err(status) => return Ok(status),
    };
    if words.is_empty() {
        return Ok(0);
    }
    sh.eval(&words.join(" "))?;
    Ok(sh.status)
}

/// How many null bytes a file to source may hold, which are left out.
const MAX_NULLS: usize = 256;

pub(super) fn source(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words = match getopt::flags(sh, args, "") {
        Ok((_, words)) => words,
        Err(status) => return Ok(status),
    };
    let Some(name) = words.first() else {
        sh.complain(&args[0], "filename argument required");
        return Ok(sh.usage(&args[0]));
    };
    let path = if name.contains('/') || !sh.shopts.sourcepath {
        name.clone()
    } else {
        let path = sh.vars.get(crate::symbols::PATH).unwrap_or_default().into_owned();
        path.split(':')
            .map(|dir| if dir.is_empty() { format!("./{name}") } else { format!("{dir}/{name}") })
            .find(|f| super::test::is_file(f))
            // POSIX knows no file of the working directory.
            .unwrap_or_else(|| if sh.opts.posix { String::new() } else { name.clone() })
    };
    let text = match std::fs::read(&*crate::text::os(&path)) {
        Ok(bytes) if bytes.iter().filter(|byte| **byte == 0).count() > MAX_NULLS => {
            sh.complain(&args[0], &format!("{path}: cannot execute binary file"));
            return Ok(126);
        }
        Ok(mut bytes) => {
            bytes.retain(|byte| *byte != 0);
            crate::text::from_bytes(bytes)
        }
        Err(error) => {
            let message = if path.is_empty() {
                format!("{}: {name}: file not found", args[0])
            } else if super::test::is_dir(&path) {
                format!("{}: {name}: is a directory", args[0])
            } else {
                format!("{name}: {}", agentos_guest::strerror(&error))
            };
            sh.flush();
            sh.error(&message);
            if sh.opts.posix && !sh.session.active && !sh.tolerant {
                sh.status = 1;
                return Err(Flow::Exit);
            }
            return Ok(1);
        }
    };
    if sh.sources_active > 100 {
        sh.complain(&args[0], "commands nest too deeply");
        return Ok(1);
    }
    let outer = (words.len() > 1).then(|| std::mem::replace(&mut sh.args, words[1..].to_vec()));
    let set_before = sh.args_set_in.take();
    let line = sh.line;
    sh.sources_active += 1;
    sh.depth += 1;
    let file: Rc<str> = Rc::from(path.as_str());
    let shown = sh.shopts.extdebug.then(|| words.to_vec());
    sh.calls.push(Call {
        name: Rc::from("source"),
        source: file.clone(),
        line,
        first: 0,
        args: shown,
        opts: None,
    });
    let before = std::mem::replace(&mut sh.source, file);
    let debug = if sh.opts.functrace { None } else { sh.traps.debug.take() };
    sh.indirection += 1;
    let mut result = run(sh, text);
    sh.indirection -= 1;
    sh.source = before;
    sh.calls.pop();
    if matches!(result, Ok(()) | Err(Flow::Return)) && sh.traps.on_return.is_some() {
        let returned = result.is_err();
        result = sh.return_trap(returned);
    }
    if sh.traps.debug.is_none() {
        sh.traps.debug = debug;
    }
    sh.depth -= 1;
    sh.sources_active -= 1;
    sh.line = line;
    // Arguments that the file gave itself by `set` stay.
    match outer {
        Some(outer) if sh.args_set_in != Some(sh.functions_active) => {
            sh.args = outer;
            sh.args_set_in = set_before;
        }
        _ => sh.args_set_in = sh.args_set_in.or(set_before),
    }
    match result {
        Ok(()) | Err(Flow::Return) => Ok(sh.status),
        Err(flow) => Err(flow),
    }
}

fn run(sh: &mut Shell, text: String) -> Result<(), Flow> {
    let mut units = Units::new(text, 1);
    let mut empty = true;
    loop {
        match sh.next_unit(&mut units) {
            Ok(Some(unit)) => {
                empty = false;
                let (loops, tested) = (sh.loops, sh.tested);
                let result = sh.run_list(&unit, false);
                let result = sh.given_up(result);
                sh.goes_on(result)?;
                (sh.loops, sh.tested) = (loops, tested);
            }
            Ok(None) => {
                if empty {
                    sh.status = 0;
                }
                return Ok(());
            }
            Err(effect) => return sh.after_syntax_error(effect, true),
        }
    }
}

pub(super) fn let_arith(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let args = if args.get(1).is_some_and(|a| a == "--") { &args[1..] } else { args };
    if args.len() < 2 {
        sh.complain("let", "expression expected");
        return Ok(1);
    }
    let mut value = 0;
    for text in &args[1..] {
        match sh.eval_text(text, 0) {
            Ok(n) => value = n,
            // An assignment to a constant, which has been reported.
            Err(crate::arith::eval::ArithError::Flow(Flow::Discard)) => return Ok(1),
            Err(crate::arith::eval::ArithError::Flow(flow)) => return Err(flow),
            Err(crate::arith::eval::ArithError::Message(message)) => {
                sh.complain("let", &message);
                return Ok(1);
            }
        }
    }
    Ok(i32::from(value == 0))
}

pub(super) fn shift(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words = if args.get(1).is_some_and(|a| a == "--") { &args[2..] } else { &args[1..] };
    let n = match words {
        [] => 1,
        [text, rest @ ..] => match getopt::number(text) {
            None => return Ok(sh.complain("shift", &format!("{text}: numeric argument required"))),
            Some(_) if !rest.is_empty() => return too_many(sh, "shift"),
            Some(n) => n,
        },
    };
    match usize::try_from(n) {
        Ok(n) if n <= sh.args.len() => {
            sh.args.drain(..n);
            Ok(0)
        }
        Ok(_) if !sh.shopts.shift_verbose => Ok(1),
        _ => {
            sh.complain("shift", &format!("{n}: shift count out of range"));
            Ok(1)
        }
    }
}

pub(super) fn times(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    if let Err(status) = getopt::flags(sh, args, "") {
        return Ok(status);
    }
    let t = agentos_guest::system::times().unwrap_or_default();
    let show = |us: u64| format!("{}m{:.3}s", us / 60_000_000, (us % 60_000_000) as f64 / 1e6);
    let text =
        format!("{} {}\n{} {}\n", show(t.utime_us), show(t.stime_us), show(t.cutime_us), show(t.cstime_us));
    sh.print(&text);
    Ok(0)
}

pub(super) fn caller(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let lines = sh.computed_array(symbols::BASH_LINENO).unwrap_or_default();
    let sources = sh.computed_array(symbols::BASH_SOURCE).unwrap_or_default();
    if sources.is_empty() {
        return Ok(1);
    }
    let words = match super::getopt::flags(sh, args, "") {
        Ok((_, words)) => words,
        Err(status) => return Ok(status),
    };
    let text = match words.first() {
        None => {
            let source = sources.get(1).map_or("NULL", String::as_str);
            format!("{} {source}\n", lines.first().map_or("NULL", String::as_str))
        }
        Some(word) => {
            let Ok(n) = word.trim().parse::<i64>() else {
                sh.complain("caller", &format!("{word}: invalid number"));
                return Ok(sh.usage("caller"));
            };
            let Ok(n) = usize::try_from(n) else { return Ok(1) };
            let names = sh.computed_array(symbols::FUNCNAME).unwrap_or_default();
            let above = n.saturating_add(1);
            match (lines.get(n), names.get(above), sources.get(above)) {
                (Some(line), Some(name), Some(source)) => format!("{line} {name} {source}\n"),
                _ => return Ok(1),
            }
        }
    };
    sh.print(&text);
    Ok(0)
}
