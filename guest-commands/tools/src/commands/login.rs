//! `logname`, `users`, `hostid` and `chroot`: what a VM has no record of, or no call for. Nobody logs in at a VM, its number
//! is 0 and its root is fixed; each says so as GNU does where that is so.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::quote::{quote, quoteaf};
use std::ffi::OsString;

fn no_operands(cx: &Cx, operands: &[OsString]) -> Result<(), End> {
    match operands.first() {
        Some(extra) => Err(cx.usage(format!("extra operand {}", quote(extra)))),
        None => Ok(()),
    }
}

/// `logname`.
pub(crate) fn logname(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(&[], args, Order::Permute, "{} [OPTION]\nPrint the user's login name.")?;
    no_operands(cx, &parsed.operands)?;
    Err(End::Failure(1, "no login name".to_owned()))
}

/// `users`: there is no record of logins, so without one nobody is there.
pub(crate) fn users(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]...\nOutput who is currently logged in: nobody, in a VM.";
    let parsed = cx.parse(&[], args, Order::Permute, help)?;
    match parsed.operands.first() {
        Some(file) => Err(End::Failure(1, format!("{}: records of logins are not read", quoteaf(file)))),
        None => Ok(0),
    }
}

/// `hostid`.
pub(crate) fn hostid(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]\nPrint the numeric identifier (in hexadecimal) for the current host.";
    let parsed = cx.parse(&[], args, Order::Permute, help)?;
    no_operands(cx, &parsed.operands)?;
    cx.put(b"00000000\n")?;
    Ok(0)
}

/// `chroot`.
pub(crate) fn chroot(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 125;
    let spec = &["groups=", "userspec=", "skip-chdir"];
    let help = "{} [OPTION] NEWROOT [COMMAND [ARG]...]\nRun COMMAND with root directory set to NEWROOT: not permitted in a VM.";
    let parsed = cx.parse(spec, args, Order::StopAtOperand, help)?;
    let Some(root) = parsed.operands.first() else { return Err(cx.missing_operand()) };
    let why = match std::fs::metadata(root) {
        Ok(found) if found.is_dir() => "Operation not permitted".to_owned(),
        Ok(_) => "Not a directory".to_owned(),
        Err(error) => agentos_guest::strerror(&error),
    };
    Err(End::Failure(125, format!("cannot change root directory to {}: {why}", quoteaf(root))))
}
