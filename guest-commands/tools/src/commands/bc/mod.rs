//! `bc`: a calculator with a language, of any precision. It has no line editor: at a terminal that of the terminal serves.

mod lex;
mod library;
pub(crate) mod number;
mod parse;
mod run;

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use lex::Lexer;
use parse::{Interner, Item, Parser, Strictness, Trouble};
use run::{Machine, Stop};
use std::ffi::OsString;

const SPEC: &[&str] =
    &["i,interactive", "l,mathlib", "q,quiet", "s,standard", "w,warn", "h,help", "v,version"];
const HELP: &str = "{} [options] [file ...]
Calculate with numbers of any precision. Files are read first, then standard input.
  -h, --help         print this usage and exit
  -i, --interactive  read from a terminal: what bc does anyway
  -l, --mathlib      use the predefined math routines: s c a l e j
  -q, --quiet        don't print initial banner: there is none
  -s, --standard     non-standard bc constructs are errors
  -w, --warn         warn about non-standard bc constructs
  -v, --version      print version information and exit";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut strictness = Strictness::Gnu;
    let mut machine = Machine::new();
    let mut names = Interner::default();
    for opt in &parsed.opts {
        match opt.id {
            "mathlib" => {
                machine.scale = 20;
                for letter in *b"scalej" {
                    machine.library.insert(names.id(&char::from(letter).to_string()), letter);
                }
            }
            "standard" => strictness = Strictness::Standard,
            "warn" => strictness = Strictness::Warn,
            "help" => {
                cx.print(format_args!("Usage: {}\n", HELP.replace("{}", "bc")))?;
                return Ok(0);
            }
            "version" => {
                cx.print(format_args!("bc (agentos-tools) {}\n", env!("CARGO_PKG_VERSION")))?;
                return Ok(0);
            }
            _ => {}
        }
    }
    let mut lexer = Lexer::new(parsed.operands, strictness == Strictness::Standard);
    loop {
        let parser = Parser::new(cx, &mut lexer, &mut names, strictness);
        match parser.item() {
            Ok(None | Some(Item::Quit)) => return Ok(0),
            Ok(Some(Item::Define(id, function))) => {
                machine.functions.insert(id, function);
            }
            Ok(Some(Item::Code(code))) => match machine.run(cx, &mut lexer, &names, code) {
                Ok(()) | Err(Stop::Fault) => {}
                Err(Stop::Halt) => return Ok(0),
                Err(Stop::End(end)) => return Err(end),
            },
            Err(Trouble::Syntax) => {}
            Err(Trouble::End(end)) => return quit(end),
        }
    }
}

/// The end that `quit` asks for, or another one.
fn quit(end: End) -> Outcome {
    match end {
        End::Status(status) => Ok(status),
        end => Err(end),
    }
}
