//! `tee`: copies its input to its output and to files, each piece as it comes.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::quote::quotef;
use agentos_guest::{Errno, Signal, errno_of, fd, signal, strerror};
use std::ffi::OsString;

/// What happens when an output fails.
#[derive(Clone, Copy, PartialEq, Eq)]
struct OnError {
    /// A reader that is gone counts too.
    pipe: bool,
    exit: bool,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... [FILE]...
Copy standard input to each FILE, and also to standard output.
  -a, --append               append to the given FILEs, do not overwrite
  -i, --ignore-interrupts    ignore interrupt signals
  -p                         operate in a more appropriate MODE with pipes
      --output-error[=MODE]  set behavior on write error: warn, warn-nopipe (default with -p), exit, exit-nopipe";
    let spec = &["a,append", "i,ignore-interrupts", "p", "output-error=?"];
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let (mut how, mut on_error) = (fd::O_TRUNC, None);
    for opt in &parsed.opts {
        match opt.id {
            "append" => how = fd::O_APPEND,
            "ignore-interrupts" => drop(signal::ignore(Signal::SIGINT)),
            _ => {
                let modes: &[&[&str]] = &[&["warn"], &["warn-nopipe"], &["exit"], &["exit-nopipe"]];
                let mode = match &opt.value {
                    Some(word) => cx.keyword("--output-error", word, modes)?,
                    None => 1,
                };
                on_error = Some(OnError { pipe: mode % 2 == 0, exit: mode > 1 });
            }
        }
    }
    if on_error.is_some() {
        // A broken pipe is an error then, and not the end.
        let _ = signal::ignore(Signal::SIGPIPE);
    }
    let on_error = on_error.unwrap_or(OnError { pipe: false, exit: false });
    let mut outputs = vec![("'standard output'".to_owned(), 1)];
    for path in &parsed.operands {
        match fd::open(path, fd::O_WRONLY | fd::O_CREAT | how, 0o666) {
            Ok(raw) => outputs.push((quotef(path), raw)),
            Err(error) => {
                cx.warn_path(path, &error);
                if on_error.exit {
                    return Ok(1);
                }
            }
        }
    }
    let mut buffer = vec![0; 64 * 1024];
    while !outputs.is_empty() {
        let piece = match fd::read(0, &mut buffer) {
            Ok(0) => break,
            Ok(read) => &buffer[..read],
            Err(error) if errno_of(&error) == Some(Errno::EINTR) => continue,
            Err(error) => {
                cx.warn(format_args!("read error: {}", strerror(&error)));
                break;
            }
        };
        let mut at = 0;
        while at < outputs.len() {
            match fd::write_all(outputs[at].1, piece) {
                Ok(()) => at += 1,
                Err(error) => {
                    let (name, _) = outputs.remove(at);
                    if errno_of(&error) != Some(Errno::EPIPE) || on_error.pipe {
                        cx.warn(format_args!("{name}: {}", strerror(&error)));
                        if on_error.exit {
                            return Err(End::Status(1));
                        }
                    }
                }
            }
        }
    }
    Ok(0)
}
