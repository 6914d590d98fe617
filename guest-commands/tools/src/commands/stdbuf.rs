//! `stdbuf`: runs a command with the buffering of its streams in the environment, as GNU's does. Programs of a VM do not use
//! the C library's streams, and those that look at nobody's wishes keep their own.

use super::env::exec;
use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::quote::quote;
use crate::size::parse_size;
use agentos_guest::env::set_var;
use std::ffi::OsString;

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 125;
    let help = "{} OPTION... COMMAND
Run COMMAND, with modified buffering operations for its standard streams.
  -i, --input=MODE   adjust standard input stream buffering
  -o, --output=MODE  adjust standard output stream buffering
  -e, --error=MODE   adjust standard error stream buffering
MODE is L (line buffered), 0 (unbuffered), or the size of a buffer.";
    let parsed = cx.parse(&["i,input=", "o,output=", "e,error="], args, Order::StopAtOperand, help)?;
    let mut modes = Vec::new();
    for opt in &parsed.opts {
        let text = opt.text();
        let mode = match text.as_str() {
            "L" if opt.id == "input" => {
                return Err(cx.usage("line buffering stdin is meaningless"));
            }
            "L" => text,
            _ => match parse_size(&text) {
                Some(size) => size.to_string(),
                None => return Err(End::Failure(125, format!("invalid mode {}", quote(opt.arg())))),
            },
        };
        let name = match opt.id {
            "input" => "_STDBUF_I",
            "output" => "_STDBUF_O",
            _ => "_STDBUF_E",
        };
        modes.push((name, mode));
    }
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    if modes.is_empty() {
        return Err(cx.usage("you must specify a buffering mode option"));
    }
    for (name, mode) in modes {
        set_var(name, mode);
    }
    exec(cx, "failed to run command ", &parsed.operands, None)
}
