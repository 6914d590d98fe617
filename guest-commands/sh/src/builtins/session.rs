//! `logout` and `suspend`: builtins for the shell that a person sits at.

use super::getopt;
use crate::shell::{Flow, Shell};
use agentos_guest::{Signal, process, signal};

pub(super) fn logout(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    if !sh.shopts.login_shell {
        return Ok(sh.complain("logout", "not login shell: use `exit'"));
    }
    super::flow::exit(sh, args)
}

pub(super) fn suspend(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (flags, words) = match getopt::flags(sh, args, "f") {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    if !words.is_empty() {
        sh.status = sh.complain("suspend", "too many arguments");
        return Err(Flow::Discard);
    }
    if flags.is_empty() {
        if !sh.opts.monitor {
            return Ok(sh.complain("suspend", "cannot suspend: no job control"));
        }
        if sh.shopts.login_shell {
            return Ok(sh.complain("suspend", "cannot suspend a login shell"));
        }
    }
    match i32::try_from(process::id()).map(|pid| signal::kill(pid, Some(Signal::SIGSTOP))) {
        Ok(Ok(())) => Ok(0),
        _ => Ok(1),
    }
}
