//! `setsid`: a program in a session of its own.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::quote::quotef;
use agentos_guest::process::{self, Command};
use agentos_guest::{Errno, errno_of, strerror, tty};
use std::ffi::OsString;

/// `setsid`.
pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... PROGRAM [ARGUMENT]...
Run a program in a new session.
  -c, --ctty  make the terminal of standard input the controlling one
  -f, --fork  always make a new process
  -w, --wait  wait for the program and end with its status";
    let parsed = cx.parse(&["c,ctty", "f,fork", "w,wait"], args, Order::StopAtOperand, help)?;
    let Some(program) = parsed.operands.first() else {
        return Err(cx.usage("no command specified"));
    };
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let failed = |error: &std::io::Error| {
        let status = if errno_of(error) == Some(Errno::ENOENT) { 127 } else { 126 };
        End::Failure(status, format!("failed to execute {}: {}", quotef(program), strerror(error)))
    };
    // A group leader cannot leave its group: then, as when asked, a child does it.
    let leads = process::getpgid(0).is_ok_and(|group| group == process::id());
    if has("fork") || leads {
        let take = has("ctty");
        let child = if take {
            let argv = parsed.operands.clone();
            process::fork_call(move || {
                let error = in_new_session(&argv, true);
                eprintln!("setsid: {}", strerror(&error));
                126
            })
            .map_err(|e| failed(&e))?
        } else {
            let mut command = Command::new(program);
            command.args(&parsed.operands[1..]).search_path(true).new_session(true);
            command.spawn().map_err(|e| failed(&e))?.id()
        };
        if !has("wait") {
            return Ok(0);
        }
        let waited = process::wait(process::WaitFor::Pid(child)).map_err(|e| failed(&e))?;
        return Ok(waited.status.shell_status());
    }
    Err(failed(&in_new_session(&parsed.operands, has("ctty"))))
}

/// Becomes the program in a session of its own; returns only the error.
fn in_new_session(argv: &[OsString], ctty: bool) -> std::io::Error {
    if let Err(error) = process::setsid() {
        return error;
    }
    if ctty && let Err(error) = tty::tcsetctty(0) {
        return error;
    }
    process::exec(&argv[0], argv, None, true)
}
