//! `uname`, `arch`, `hostname`, `nproc`, `tty`, `sync` and `pwd`: what the machine and the process are called. They set
//! nothing.

use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::os::OsStrExt;
use crate::quote::{quote, quoteaf};
use agentos_guest::fs::stat;
use agentos_guest::{fd, strerror, system};
use std::ffi::{OsStr, OsString};

fn no_operands(cx: &Cx, operands: &[OsString]) -> Result<(), End> {
    match operands.first() {
        Some(extra) => Err(cx.usage(format!("extra operand {}", quote(extra)))),
        None => Ok(()),
    }
}

fn failed(error: &std::io::Error) -> End {
    End::Failure(1, format!("cannot get system name: {}", strerror(error)))
}

/// `uname`.
pub(crate) fn uname(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &[
        "a,all",
        "s,kernel-name",
        "n,nodename",
        "r,kernel-release",
        "v,kernel-version",
        "m,machine",
        "p,processor",
        "i,hardware-platform",
        "o,operating-system",
    ];
    let help = "{} [OPTION]...\nPrint certain system information.  With no OPTION, same as -s.
  -a, --all                print all information
  -s, --kernel-name  -n, --nodename  -r, --kernel-release  -v, --kernel-version
  -m, --machine  -p, --processor  -i, --hardware-platform  -o, --operating-system";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    no_operands(cx, &parsed.operands)?;
    let u = system::uname().map_err(|e| failed(&e))?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let all = has("all");
    let plain = parsed.opts.is_empty();
    let parts = [
        (all || plain || has("kernel-name"), u.sysname.as_str()),
        (all || has("nodename"), &u.nodename),
        (all || has("kernel-release"), &u.release),
        (all || has("kernel-version"), &u.version),
        (all || has("machine"), &u.machine),
        // Unknown, and so left out of -a, as GNU does.
        (has("processor") && !all, "unknown"),
        (has("hardware-platform") && !all, "unknown"),
        (all || has("operating-system"), "GNU/Linux"),
    ];
    let words: Vec<&str> = parts.iter().filter(|(shown, _)| *shown).map(|(_, word)| *word).collect();
    cx.print(format_args!("{}\n", words.join(" ")))?;
    Ok(0)
}

/// `arch`.
pub(crate) fn arch(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(&[], args, Order::Permute, "{}\nPrint machine architecture.")?;
    no_operands(cx, &parsed.operands)?;
    let u = system::uname().map_err(|e| failed(&e))?;
    cx.print(format_args!("{}\n", u.machine))?;
    Ok(0)
}

/// `hostname`.
pub(crate) fn hostname(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [-s | -f]\nPrint the name of this machine.\n  -s, --short  the name up to the first dot\n  -f, --fqdn   the whole name";
    let parsed = cx.parse(&["s,short", "f,fqdn", "long"], args, Order::Permute, help)?;
    if !parsed.operands.is_empty() {
        return Err(End::Failure(1, "you must be root to change the host name".to_owned()));
    }
    let name = system::uname().map_err(|e| failed(&e))?.nodename;
    let short = parsed.opts.iter().any(|o| o.id == "short");
    let shown = if short { name.split('.').next().unwrap_or_default() } else { &name };
    cx.print(format_args!("{shown}\n"))?;
    Ok(0)
}

/// `nproc`.
pub(crate) fn nproc(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]...\nPrint the number of processing units available.\n      --all       print the number of installed processors\n      --ignore=N  if possible, exclude N processing units";
    let parsed = cx.parse(&["all", "ignore="], args, Order::Permute, help)?;
    no_operands(cx, &parsed.operands)?;
    let mut count = u64::from(system::sysinfo().map_err(|e| failed(&e))?.cpus).max(1);
    for opt in parsed.opts.iter().filter(|o| o.id == "ignore") {
        match opt.text().parse::<u64>() {
            Ok(n) => count = count.saturating_sub(n).max(1),
            Err(_) => return Err(End::Failure(1, format!("invalid number: {}", quote(opt.arg())))),
        }
    }
    cx.print(format_args!("{count}\n"))?;
    Ok(0)
}

/// `tty`.
pub(crate) fn tty(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let help = "{} [OPTION]...\nPrint the file name of the terminal connected to standard input.\n  -s, --silent, --quiet  print nothing, only return an exit status";
    let parsed = cx.parse(&["s,silent", "quiet"], args, Order::Permute, help)?;
    no_operands(cx, &parsed.operands)?;
    let terminal = fd::isatty(0);
    if parsed.opts.is_empty() {
        let name = std::fs::read_link("/proc/self/fd/0").ok().filter(|p| p.starts_with("/dev"));
        match name {
            Some(name) if terminal => cx.print(format_args!("{}\n", name.display()))?,
            _ if terminal => cx.put(b"/dev/tty\n")?,
            _ => cx.put(b"not a tty\n")?,
        }
    }
    Ok(i32::from(!terminal))
}

/// `sync`: without operands all that was written anywhere.
pub(crate) fn sync(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION] [FILE]...\nSynchronize cached writes to persistent storage.\n  -d, --data         sync only file data\n  -f, --file-system  sync the file systems that contain the files";
    let parsed = cx.parse(&["d,data", "f,file-system"], args, Order::Permute, help)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    let (data, system) = (has("data"), has("file-system"));
    if data && system {
        return Err(End::Failure(1, "cannot specify both --data and --file-system".to_owned()));
    }
    if data && parsed.operands.is_empty() {
        return Err(End::Failure(1, "--data needs at least one argument".to_owned()));
    }
    if parsed.operands.is_empty() {
        fd::sync_all();
    }
    for file in &parsed.operands {
        let opened = match open_to_sync(file) {
            Ok(opened) => opened,
            Err(error) => {
                cx.warn(format_args!("error opening {}: {}", quoteaf(file), strerror(&error)));
                continue;
            }
        };
        let synced = if system { fd::syncfs(opened.raw()) } else { fd::sync(opened.raw(), data) };
        if let Err(error) = synced {
            cx.warn(format_args!("error syncing {}: {}", quoteaf(file), strerror(&error)));
        }
    }
    Ok(0)
}

/// For reading, or else for writing, of which one may be allowed alone; a FIFO is not waited for.
fn open_to_sync(file: &OsStr) -> std::io::Result<fd::Owned> {
    let flags = fd::O_NONBLOCK | fd::O_NOCTTY | fd::O_CLOEXEC;
    let opened = fd::open(file, fd::O_RDONLY | flags, 0);
    opened
        .or_else(|error| fd::open(file, fd::O_WRONLY | flags, 0).map_err(|_| error))
        .map(fd::Owned::from_raw)
}

/// `pwd`.
pub(crate) fn pwd(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [OPTION]...\nPrint the full filename of the current working directory.\n  -L, --logical   use PWD from environment, even if it contains symlinks\n  -P, --physical  avoid all symlinks";
    let parsed = cx.parse(&["L,logical", "P,physical"], args, Order::Permute, help)?;
    let logical = parsed.opts.last().is_some_and(|o| o.id == "logical");
    if !parsed.operands.is_empty() {
        cx.say("ignoring non-option arguments");
    }
    let named = std::env::var_os("PWD").filter(|p| logical && is_logical(p));
    let path = match named {
        Some(path) => path,
        None => match agentos_guest::env::current_dir() {
            Ok(path) => path.into_os_string(),
            Err(error) => return Err(End::Failure(1, strerror(&error))),
        },
    };
    cx.put(path.as_bytes())?;
    cx.put(b"\n")?;
    Ok(0)
}

/// POSIX: PWD counts when it is absolute, has no dot components and is this directory.
fn is_logical(path: &OsStr) -> bool {
    let bytes = path.as_bytes();
    bytes.first() == Some(&b'/')
        && !bytes.split(|b| *b == b'/').any(|part| part == b"." || part == b"..")
        && matches!((stat(path), stat(".")), (Ok(a), Ok(b)) if (a.dev, a.ino) == (b.dev, b.ino))
}
