//! The shell of the VM: POSIX `sh`, and as `bash` the much-used part of bash. It has no line editing and no prompt.

#![forbid(unsafe_code)]

mod arith;
mod assoc;
mod builtins;
mod cmdline;
mod compile;
mod completion;
mod ending;
mod environment;
mod exec;
mod expand;
mod history;
mod input;
mod interactive;
mod invocation;
mod ir;
mod jobs;
mod options;
mod pattern;
mod print;
mod prompt;
mod regex;
mod restricted;
mod script;
mod shell;
mod source;
mod spare;
mod stack;
mod symbols;
mod text;
mod traps;
mod vars;

use expand::{ansi_quote as expand_ansi_quote, double_quote as expand_double_quote, quote as expand_quote};

fn main() {
    stack::begin();
    let args: Vec<String> = std::env::args_os().map(text::from_os).collect();
    let status = invocation::run(args);
    agentos_guest::process::exit(status)
}
