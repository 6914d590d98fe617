//! The programs that take the whole screen, as one multicall program: a pager, and what shows a command again and
//! again.
//! The program is found by the exact last component of `argv[0]`. Filters are not here.

#![forbid(unsafe_code)]

mod clear;
mod less;
mod terminal;
mod terminfo;
mod text;
mod top;
mod tput;
mod watch;

use std::ffi::OsString;

/// Says it on standard error, after the name of the program.
fn say(name: &str, message: impl std::fmt::Display) {
    use std::io::Write;
    // A failing standard error cannot be reported.
    let _ = writeln!(std::io::stderr(), "{name}: {message}");
}

fn main() {
    let argv: Vec<OsString> = std::env::args_os().collect();
    let base = |path: &OsString| path.to_string_lossy().rsplit('/').next().unwrap_or("").to_owned();
    let mut name = argv.first().map(base).unwrap_or_default();
    let mut args = argv.get(1..).unwrap_or(&[]);
    if name == "agentos-screen" && !args.is_empty() {
        name = base(&args[0]);
        args = &args[1..];
    }
    let status = match name.as_str() {
        "less" | "more" | "pager" => less::main(&name, args),
        "clear" | "reset" => clear::main(&name, args),
        "tput" => tput::main(args),
        "top" => top::main(args),
        "watch" => watch::main(args),
        _ => {
            say("agentos-screen", format_args!("{name}: no such program"));
            127
        }
    };
    agentos_guest::process::exit(status);
}
