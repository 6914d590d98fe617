//! `mknod`, `chcon` and `runcon`: what kernels without devices of one's own and without SELinux refuse, and FIFOs, which
//! they make.

use crate::context::{Cx, End, Outcome};
use crate::mode::Mode;
use crate::options::Order;
use crate::quote::{quote, quotef};
use agentos_guest::{Errno, fs, io_error, strerror};
use std::ffi::OsString;

/// `mknod`.
pub(crate) fn mknod(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]... NAME TYPE [MAJOR MINOR]
Create the special file NAME of the given TYPE; a VM makes only FIFOs.
  -m, --mode=MODE  set file permission bits to MODE, not a=rw - umask
TYPE is b (block), c or u (character), p (FIFO).";
    let parsed = cx.parse(&["m,mode=", "Z", "context=?"], args, Order::Permute, help)?;
    let mut mode = None;
    for opt in parsed.opts.iter().filter(|o| o.id == "mode") {
        let bad = || End::Failure(1, "invalid mode".to_owned());
        mode = Some(Mode::parse(&opt.text()).ok_or_else(bad)?);
    }
    let (name, kind) = match &parsed.operands[..] {
        [] => return Err(cx.missing_operand()),
        [only] => return Err(cx.usage(format!("missing operand after {}", quote(only)))),
        [name, kind, ..] => (name, kind),
    };
    let fifo = kind == "p";
    match (fifo, &parsed.operands[2..]) {
        (true, [extra, rest @ ..]) => {
            let why =
                if rest.len() == 1 { "\nFifos do not have major and minor device numbers." } else { "" };
            return Err(cx.usage(format!("extra operand {}{why}", quote(extra))));
        }
        (false, []) => {
            let why = "Special files require major and minor device numbers.";
            return Err(cx.usage(format!("missing operand after {}\n{why}", quote(kind))));
        }
        (false, [only]) => return Err(cx.usage(format!("missing operand after {}", quote(only)))),
        (false, [_, _, extra, ..]) => return Err(cx.usage(format!("extra operand {}", quote(extra)))),
        _ => {}
    }
    if !fifo && !["b", "c", "u"].iter().any(|k| kind == k) {
        return Err(cx.usage(format!("invalid device type {}", quote(kind))));
    }
    let failed = |error: &std::io::Error| End::Failure(1, format!("{}: {}", quotef(name), strerror(error)));
    if !fifo {
        return Err(failed(&io_error(Errno::EPERM)));
    }
    let umask = fs::umask(0);
    fs::umask(umask);
    fs::mkfifo(name, 0o666).map_err(|e| failed(&e))?;
    if let Some(mode) = mode {
        fs::chmod(name, mode.apply(0o666, false, umask)).map_err(|e| failed(&e))?;
    }
    Ok(0)
}

/// `chcon`.
pub(crate) fn chcon(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "dereference",
        "h,no-dereference",
        "u,user=",
        "r,role=",
        "t,type=",
        "l,range=",
        "no-preserve-root",
        "preserve-root",
        "reference=",
        "R,recursive",
        "v,verbose",
        "H",
        "L",
        "P",
    ];
    let help = "{} [OPTION]... CONTEXT FILE...
Change the SELinux security context of each FILE to CONTEXT; a VM has no SELinux.
  -h, --no-dereference  affect symbolic links instead of any referenced file
  -u, --user=USER  -r, --role=ROLE  -t, --type=TYPE  -l, --range=RANGE
                        set this part of the target security context
      --reference=RFILE use RFILE's security context
  -R, --recursive       operate on files and directories recursively
  -v, --verbose         output a diagnostic for every file processed";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let parts = parsed.opts.iter().any(|o| matches!(o.id, "user" | "role" | "type" | "range" | "reference"));
    let least = if parts { 1 } else { 2 };
    match &parsed.operands[..] {
        [] => return Err(cx.missing_operand()),
        list if list.len() < least => {
            return Err(cx.usage(format!("missing operand after {}", quote(&list[0]))));
        }
        list => {
            for file in &list[least - 1..] {
                let why = strerror(&io_error(Errno::ENOTSUP));
                cx.warn(if parts {
                    format!("failed to get security context of {}: {why}", crate::quote::quoteaf(file))
                } else {
                    format!(
                        "failed to change context of {} to {}: {why}",
                        crate::quote::quoteaf(file),
                        quote(&list[0])
                    )
                });
            }
        }
    }
    Ok(0)
}

/// `runcon`.
pub(crate) fn runcon(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 125;
    let spec = &["c,compute", "t,type=", "u,user=", "r,role=", "l,range="];
    let help = "{} CONTEXT COMMAND [args]
Run a program in a different SELinux security context; a VM has no SELinux.
  -c, --compute    compute process transition context before modifying
  -t, --type=TYPE  -u, --user=USER  -r, --role=ROLE  -l, --range=RANGE  parts of the context";
    let parsed = cx.parse(spec, args, Order::StopAtOperand, help)?;
    if parsed.opts.is_empty() && parsed.operands.is_empty() {
        return Err(End::Failure(
            1,
            format!("failed to get current context: {}", strerror(&io_error(Errno::EINVAL))),
        ));
    }
    Err(End::Failure(1, "runcon may be used only on a SELinux kernel".to_owned()))
}
