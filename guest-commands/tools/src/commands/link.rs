//! `link` and `unlink`: one call of the system each. They follow nothing and ask nothing.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::quote::{quote, quoteaf};
use agentos_guest::strerror;
use std::ffi::OsString;

pub(crate) fn link(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} FILE1 FILE2\nCall the link function to create a link named FILE2 to an existing FILE1.";
    let operands = cx.parse(&[], args, Order::StopAtOperand, help)?.operands;
    match &operands[..] {
        [] => Err(cx.missing_operand()),
        [one] => Err(cx.usage(format!("missing operand after {}", quote(one)))),
        [_, _, extra, ..] => Err(cx.usage(format!("extra operand {}", quote(extra)))),
        [from, to] => match std::fs::hard_link(from, to) {
            Ok(()) => Ok(0),
            Err(error) => {
                let (from, to, why) = (quoteaf(from), quoteaf(to), strerror(&error));
                Err(End::Failure(1, format!("cannot create link {to} to {from}: {why}")))
            }
        },
    }
}

pub(crate) fn unlink(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} FILE\nCall the unlink function to remove the specified FILE.";
    let operands = cx.parse(&[], args, Order::StopAtOperand, help)?.operands;
    match &operands[..] {
        [] => Err(cx.missing_operand()),
        [_, extra, ..] => Err(cx.usage(format!("extra operand {}", quote(extra)))),
        [path] => match std::fs::remove_file(path) {
            Ok(()) => Ok(0),
            Err(error) => {
                Err(End::Failure(1, format!("cannot unlink {}: {}", quoteaf(path), strerror(&error))))
            }
        },
    }
}
