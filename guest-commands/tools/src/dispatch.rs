//! The command table and the program's entry: finds the command by the exact last component of `argv[0]`.
//!
//! No suffix, prefix or case folding counts: `/bin/chmod` is `chmod` and nothing else.

use crate::commands;
use crate::context::{Cx, Outcome, start_like_c};
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
            cx.finish(end)
        }
    }
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
