//! `flock`: holds a lock on a file while a command runs, or on a descriptor that the shell has open.

use super::sleep::parse_interval;
use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use agentos_guest::process::Command;
use agentos_guest::{Errno, errno_of, fd, strerror};
use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

/// The numbers of flock(2).
const SHARED: u32 = 1;
const EXCLUSIVE: u32 = 2;
const AT_ONCE: u32 = 4;
const UNLOCK: u32 = 8;

/// How long to wait before a lock is tried again.
const PAUSE: Duration = Duration::from_millis(5);

const SPEC: &[&str] = &[
    "s,shared",
    "x,exclusive",
    "e",
    "u,unlock",
    "n,nonblock",
    "nb",
    "w,timeout=",
    "wait=",
    "E,conflict-exit-code=",
    "o,close",
    "F,no-fork",
    "fcntl",
    "verbose",
    "h,help",
    "V,version",
];
const HELP: &str = "{} [options] <file>|<directory> <command> [<argument>...]
 {} [options] <file>|<directory> -c <command>
 {} [options] <file descriptor number>
Manage file locks from shell scripts.
 -s, --shared             get a shared lock
 -x, --exclusive          get an exclusive lock (default)
 -u, --unlock             remove a lock
 -n, --nonblock           fail rather than wait
 -w, --timeout <secs>     wait for a limited amount of time
 -E, --conflict-exit-code <number>  exit code after conflict or timeout
 -o, --close              close file descriptor before running command
 -c, --command <command>  run a single command string through the shell
 -F, --no-fork            execute command without forking
     --fcntl              use a record lock of fcntl(2) on the whole file
     --verbose            increase verbosity
 -h, --help               display this help
 -V, --version            display version";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 64;
    let parsed = cx.parse(SPEC, args, Order::StopAtOperand, HELP)?;
    let (mut kind, mut wait, mut at_once, mut conflict) = (EXCLUSIVE, None, false, 1);
    let (mut close, mut replace, mut verbose, mut record) = (false, false, false, false);
    for opt in &parsed.opts {
        match opt.id {
            "shared" => kind = SHARED,
            "exclusive" | "e" => kind = EXCLUSIVE,
            "unlock" => kind = UNLOCK,
            "nonblock" | "nb" => at_once = true,
            "timeout" | "wait" => {
                let bad = || End::Failure(64, format!("invalid timeout value: '{}'", opt.text()));
                wait = parse_interval(opt.arg()).ok_or_else(bad)?;
            }
            "conflict-exit-code" => {
                let bad = || End::Failure(64, "exit code out of range (expected 0 to 255)".to_owned());
                conflict = opt.text().parse::<u8>().map(i32::from).map_err(|_| bad())?;
            }
            "close" => close = true,
            "no-fork" => replace = true,
            "fcntl" => record = true,
            "verbose" => verbose = true,
            "help" => {
                cx.print(format_args!("Usage:\n {}\n", HELP.replace("{}", "flock")))?;
                return Ok(0);
            }
            "version" => return Err(cx.version()),
            _ => {}
        }
    }
    if replace && close {
        return Err(End::Failure(64, "the --no-fork and --close options are incompatible".to_owned()));
    }
    let by_shell = |word: &OsStr| word == "-c" || word == "--command";
    let Some((target, mut command)) = parsed.operands.split_first() else {
        return Err(cx.usage("not enough arguments"));
    };
    let mut shell: Vec<OsString> = Vec::new();
    if command.first().is_some_and(|word| by_shell(word)) {
        let [text] = &command[1..] else {
            return Err(End::Failure(64, "-c requires exactly one command argument".to_owned()));
        };
        let program = std::env::var_os("SHELL").filter(|s| !s.is_empty()).unwrap_or_else(|| "/bin/sh".into());
        shell.extend([program, "-c".into(), text.clone()]);
        command = &shell;
    }
    let lock = if command.is_empty() {
        let number = target.to_str().and_then(|t| t.parse::<u32>().ok());
        number
            .ok_or_else(|| End::Failure(64, format!("bad file descriptor: '{}'", target.to_string_lossy())))?
    } else {
        // A record lock that is exclusive asks for the right to write.
        open(target, if record && kind == EXCLUSIVE { fd::O_RDWR } else { fd::O_RDONLY })?
    };
    let name = target.to_string_lossy();
    let started = Instant::now();
    let limit = if at_once { Some(Duration::ZERO) } else { wait };
    if !locked(lock, kind, record, limit).map_err(|error| {
        let status = if command.is_empty() { 65 } else { 66 };
        End::Failure(status, format!("{name}: {}", strerror(&error)))
    })? {
        if verbose {
            cx.say(if at_once { "failed to get lock" } else { "timeout while waiting to get lock" });
        }
        return Ok(conflict);
    }
    if verbose {
        let took = started.elapsed();
        cx.print(format_args!("flock: getting lock took {:.6} seconds\n", took.as_secs_f64()))?;
    }
    if command.is_empty() {
        return Ok(0);
    }
    if verbose {
        cx.print(format_args!("flock: executing {}\n", command[0].to_string_lossy()))?;
    }
    cx.flush()?;
    let failed = |error: &std::io::Error| {
        let status = if errno_of(error) == Some(Errno::ENOMEM) { 71 } else { 69 };
        End::Failure(
            status,
            format!("failed to execute {}: {}", command[0].to_string_lossy(), strerror(error)),
        )
    };
    if replace {
        let _ = fd::set_cloexec(lock, false);
        return Err(failed(&agentos_guest::process::exec(&command[0], command, None, true)));
    }
    let mut child = Command::new(&command[0]);
    child.args(&command[1..]).search_path(true);
    // What the command leaves running holds the lock too, unless `-o` says that it must not.
    let _ = fd::set_cloexec(lock, close);
    match child.status() {
        Ok(status) => Ok(status.shell_status()),
        Err(error) => Err(failed(&error)),
    }
}

/// Opens the file, making it if it is not there; a directory only for reading.
fn open(path: &OsStr, access: u32) -> Result<u32, End> {
    let create = access | fd::O_CREAT | fd::O_NOCTTY;
    let opened = match fd::open(path, create, 0o666) {
        Err(error) if errno_of(&error) == Some(Errno::EISDIR) => fd::open(path, fd::O_RDONLY, 0),
        other => other,
    };
    opened.map_err(|error| {
        End::Failure(66, format!("cannot open lock file {}: {}", path.to_string_lossy(), strerror(&error)))
    })
}

/// Takes the lock; false when the time was over first.
fn locked(lock: u32, kind: u32, record: bool, limit: Option<Duration>) -> std::io::Result<bool> {
    let end = limit.map(|limit| Instant::now() + limit.min(Duration::from_secs(1 << 30)));
    loop {
        let taken = if record {
            of_records(lock, kind, end.is_some())
        } else {
            fd::flock(lock, if end.is_some() { kind | AT_ONCE } else { kind })
        };
        match taken {
            Ok(()) => return Ok(true),
            Err(error) if errno_of(&error) == Some(Errno::EINTR) => {}
            Err(error) if errno_of(&error) == Some(Errno::EAGAIN) => {
                let left = end.map_or(PAUSE, |end| end.saturating_duration_since(Instant::now()));
                if left.is_zero() {
                    return Ok(false);
                }
                std::thread::sleep(left.min(PAUSE));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The lock as one of fcntl(2), which belongs to the open file as that of flock(2) does.
fn of_records(lock: u32, kind: u32, at_once: bool) -> std::io::Result<()> {
    let command = if at_once { fd::F_OFD_SETLK } else { fd::F_OFD_SETLKW };
    let kind = match kind {
        SHARED => fd::F_RDLCK,
        EXCLUSIVE => fd::F_WRLCK,
        _ => fd::F_UNLCK,
    };
    fd::record_lock(lock, command, &fd::RecordLock { kind, ..fd::RecordLock::default() }).map(drop)
}
