//! The command table and the program's entry: finds the command by the exact last component of `argv[0]`.
//!
//! No suffix, prefix or case folding counts: `/bin/chmod` is `chmod` and nothing else.

use crate::commands;
use crate::context::{Cx, End, Outcome};
use crate::os::base_name;
use std::ffi::OsString;

/// How a command runs.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// One of ours: arguments without the name.
    Own(fn(&mut Cx, &[OsString]) -> Outcome),
    /// An upstream uutils command, whole command line included, with its localization key.
    Upstream(&'static str, fn(Vec<OsString>) -> i32),
}

/// The names of all commands, sorted.
///
/// ```
/// assert!(agentos_tools::command_names().any(|name| name == "cat"));
/// ```
pub fn command_names() -> impl Iterator<Item = &'static str> {
    commands::TABLE.iter().map(|(name, _)| *name)
}

/// Runs the command that the arguments name and returns its exit status.
///
/// `argv[0]`'s last component names the command; when that is no command, the first argument does
/// (`agentos-tools cat f`). An unknown command is status 127.
pub fn main() -> i32 {
    let mut args = std::env::args_os();
    let first = args.next().unwrap_or_default();
    if let Some((name, run)) = find(&first) {
        return start(name, run, first, args);
    }
    let Some(second) = args.next() else {
        eprintln!("usage: agentos-tools COMMAND [ARGUMENT]...");
        return 2;
    };
    match find(&second) {
        Some((name, run)) => {
            uucore::set_utility_is_second_arg();
            start(name, run, second, args)
        }
        None => {
            eprintln!("agentos-tools: {}: no such command", second.to_string_lossy());
            127
        }
    }
}

fn find(argv0: &OsString) -> Option<(&'static str, Run)> {
    let name = base_name(argv0).to_str()?;
    let at = commands::TABLE.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    Some(commands::TABLE[at])
}

fn start(name: &'static str, run: Run, argv0: OsString, args: std::env::ArgsOs) -> i32 {
    match run {
        Run::Upstream(key, main) => {
            start_like_c();
            let mut argv = vec![argv0];
            argv.extend(args);
            commands::upstream(key, main, argv)
        }
        Run::Own(main) => {
            // `true` and `false` need no surroundings at all.
            match name {
                "true" => return 0,
                "false" => return 1,
                _ => {}
            }
            start_like_c();
            let args: Vec<OsString> = args.collect();
            let mut cx = Cx::new(name);
            let end = main(&mut cx, &args);
            finish(cx, end)
        }
    }
}

/// Natively std ignores SIGPIPE; a command dies of it, as in the guest.
fn start_like_c() {
    #[cfg(unix)]
    // Should it fail, a write error is reported instead.
    let _ = agentos_guest::signal::default(agentos_guest::Signal::SIGPIPE);
}

fn finish(mut cx: Cx, end: Outcome) -> i32 {
    let (status, flush) = match end {
        Ok(status) => (status.max(cx.status), true),
        Err(End::Status(status)) => (status, true),
        Err(End::Failure(status, message)) => {
            cx.say(message);
            (status, true)
        }
        Err(End::Usage(status, message)) => {
            let name = cx.name;
            // GNU's diffutils name themselves once more.
            let before = if matches!(name, "cmp" | "diff") { format!("{name}: ") } else { String::new() };
            let hint = format!("{before}Try '{name} --help' for more information.");
            if message.is_empty() {
                let _ = cx.flush();
                eprintln!("{hint}");
            } else {
                cx.say(format_args!("{message}\n{hint}"));
            }
            (status, true)
        }
        Err(End::Output(error)) => {
            write_error(&mut cx, &error);
            (cx.usage_status, false)
        }
    };
    if flush && let Err(End::Output(error)) = cx.flush() {
        write_error(&mut cx, &error);
        return status.max(cx.usage_status);
    }
    status
}

fn write_error(cx: &mut Cx, error: &std::io::Error) {
    let text = agentos_guest::strerror(error);
    eprintln!("{}: write error: {text}", cx.name);
}

#[cfg(test)]
mod tests {
    use super::command_names;

    #[test]
    fn the_table_is_sorted_and_agrees_with_the_list() {
        let names: Vec<&str> = command_names().collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        let listed: Vec<&str> = include_str!("../commands.txt").lines().collect();
        assert_eq!(names, listed, "commands.txt and the table in commands/mod.rs differ");
    }
}
