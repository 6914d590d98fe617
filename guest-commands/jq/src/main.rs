//! jq: the language, its functions, and a command line, for the VM. Results, messages and statuses are those of jq 1.6;
//! what later versions added is here too, and where 1.6 has a fault that 1.7 mended, so is it here.
//!
//! An engine of our own instead of the jaq crates: those take products in another order, assign by other rules, split
//! numbers into integers and floats, and word every error differently, none of which can be mended from outside.
//!
//! Known differences: `try` takes no error of what follows it (as 1.7); `limit(0; f)` has no result
//! (1.7); `.[] |= empty` deletes all of them (1.7); `from_entries` takes `k`, `v` and keys that are no strings (1.7); `input`
//! at the end says so instead of `break` (1.7); `repeat` begins with its input (1.7); an operator may stand in the value of an object's member without
//! parentheses; the rarer constructs of Oniguruma are not known; more than 200 levels of nesting in a program are refused.
//! `modulemeta`, `get_jq_origin`, `get_prog_origin`, `getpath` of `$__prog_args`, `--stream-errors` and SQL-like
//! `ascii` tables are absent.

#![forbid(unsafe_code)]

mod builtins;
mod cli;
mod compile;
mod input;
mod json;
mod lex;
mod machine;
mod modules;
mod ops;
mod parse;
mod run;
mod syntax;
mod value;

/// The functions that are written in jq.
const PRELUDE: &str = include_str!("prelude.jq");

fn main() {
    // Natively std ignores SIGPIPE; a program dies of it, as in the guest. Should it fail, an error is reported instead.
    #[cfg(unix)]
    let _ = agentos_guest::signal::default(agentos_guest::Signal::SIGPIPE);
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    let status = match cli::parse(&arguments) {
        Ok(cli::Wish::Run(options)) => run::run(*options),
        Ok(cli::Wish::Say(text)) => {
            print!("{text}");
            0
        }
        Err(message) => {
            eprintln!("{message}");
            2
        }
    };
    std::process::exit(status);
}
