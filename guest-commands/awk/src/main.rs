//! awk of the VM: POSIX awk with the extensions of gawk that scripts use. It has no debugger, profiler, extension
//! libraries, networking or arbitrary precision.

#![forbid(unsafe_code)]

mod array;
mod ast;
mod builtins;
mod cli;
mod compile;
mod error;
mod format;
mod input;
mod lexer;
mod number;
mod op;
mod order;
mod output;
mod parser;
mod posix;
mod random;
mod record;
mod regex;
mod scope;
mod sorting;
mod special;
mod splitting;
mod streams;
mod substitute;
mod text;
mod times;
mod value;
mod vm;

fn main() {
    agentos_guest::process::exit(cli::main(std::env::args_os().collect()))
}
