//! `timeout`, `nohup` and `nice`: run a command under a time limit, deaf to SIGHUP, or at another priority (which
//! a VM does not have, and `nice` says so). None of them starts a shell.

use super::env::{cannot_run, exec};
use super::kill::signal_operand;
use super::sleep::parse_interval;
use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::quote::quote;
use agentos_guest::process::{self, WaitFor, WaitStatus};
use agentos_guest::signal::{self, Signal};
use agentos_guest::{Errno, errno_of, fd, strerror};
use std::ffi::OsString;
use std::io;
use std::time::{Duration, Instant};

const SPEC: &[&str] = &["k,kill-after=", "s,signal=", "preserve-status", "foreground", "v,verbose"];
const HELP: &str = "{} [OPTION] DURATION COMMAND [ARG]...
Start COMMAND, and kill it if still running after DURATION.
      --preserve-status   exit with the same status as COMMAND, even when the command times out
      --foreground        do not make a process group of COMMAND: its children are not timed out
  -k, --kill-after=DURATION  also send a KILL signal if COMMAND is still running this long after the first signal
  -s, --signal=SIGNAL     the signal to be sent on timeout
  -v, --verbose           diagnose to stderr any signal sent upon timeout";

/// Signals that ask `timeout` to end; it passes them on.
const PASSED_ON: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 125;
    let parsed = cx.parse(SPEC, args, Order::StopAtOperand, HELP)?;
    let mut limit_signal = Signal::SIGTERM;
    let mut kill_after = None;
    let (mut preserve, mut foreground, mut verbose) = (false, false, false);
    for opt in &parsed.opts {
        match opt.id {
            "kill-after" => kill_after = interval(cx, opt.arg())?,
            "signal" => match signal_operand(&opt.text()).and_then(Signal::from_raw) {
                Some(signal) => limit_signal = signal,
                None => return Err(cx.usage(format!("{}: invalid signal", quote(opt.arg())))),
            },
            "preserve-status" => preserve = true,
            "foreground" => foreground = true,
            _ => verbose = true,
        }
    }
    let [duration, argv @ ..] = &parsed.operands[..] else { return Err(cx.usage("")) };
    if argv.is_empty() {
        return Err(cx.usage(""));
    }
    let limit = interval(cx, duration)?;
    if !foreground {
        // As GNU: lead a group of our own, so that one signal reaches the command and its children.
        let _ = process::setpgid(0, 0);
    }
    for caught in PASSED_ON.iter().chain([&Signal::SIGALRM]) {
        let _ = signal::catch(*caught);
    }
    // Else a background job would be stopped when the command touches the terminal.
    let _ = signal::ignore(Signal::SIGTTIN);
    let _ = signal::ignore(Signal::SIGTTOU);
    let mut command = process::Command::new(&argv[0]);
    command.args(&argv[1..]).search_path(true);
    let _ = signal::default(Signal::SIGTTIN);
    let _ = signal::default(Signal::SIGTTOU);
    let pid = match command.spawn() {
        Ok(child) => child.id(),
        Err(error) => {
            return Err(cannot_run("failed to run command ", &quote(&argv[0]), &error));
        }
    };
    let mut wait = Wait { cx, pid, foreground, verbose, name: argv[0].clone() };
    let mut timed_out = false;
    let mut status = wait.until(limit)?;
    if status.is_none() {
        timed_out = true;
        wait.send(limit_signal, true);
        if limit_signal != Signal::SIGKILL {
            status = wait.until(kill_after)?;
            if status.is_none() {
                wait.send(Signal::SIGKILL, true);
            }
        }
    }
    let status = match status {
        Some(status) => status,
        None => loop {
            if let Some(status) = wait.until(None)? {
                break status;
            }
        },
    };
    Ok(match status {
        // GNU dies of SIGKILL too when the command had to be killed, whatever the options.
        WaitStatus::Signaled(9) if timed_out => {
            let _ = signal::kill(process::id() as i32, Some(Signal::SIGKILL));
            137
        }
        _ if timed_out && !preserve => 124,
        status => status.shell_status(),
    })
}

fn interval(cx: &Cx, text: &std::ffi::OsStr) -> Result<Option<Duration>, End> {
    match parse_interval(text) {
        Some(time) => Ok(time.filter(|t| !t.is_zero())),
        None => Err(cx.usage(format!("invalid time interval {}", quote(text)))),
    }
}

struct Wait<'a> {
    cx: &'a mut Cx,
    pid: u32,
    foreground: bool,
    verbose: bool,
    name: OsString,
}

impl Wait<'_> {
    /// Waits for the command; `None` when the time was over first. Signals for us are passed on to it.
    fn until(&mut self, limit: Option<Duration>) -> Result<Option<WaitStatus>, End> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            if let Some(end) = end {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(None);
                }
                // At least one millisecond: 0 would switch the alarm off.
                let ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX / 2).saturating_add(1);
                signal::alarm(ms).map_err(|e| self.failed(&e))?;
            }
            match process::wait(WaitFor::Pid(self.pid)) {
                Ok(waited) => {
                    let _ = signal::alarm(0);
                    return Ok(Some(waited.status));
                }
                Err(error) if errno_of(&error) == Some(Errno::EINTR) => {}
                Err(error) => return Err(self.failed(&error)),
            }
            while let Some(signal) = signal::next() {
                if signal != Signal::SIGALRM {
                    self.send(signal, false);
                }
            }
        }
    }

    fn send(&mut self, signal: Signal, report: bool) {
        if report && self.verbose {
            let name = &signal.name()[3..];
            self.cx.say(format_args!("sending signal {name} to command {}", quote(&self.name)));
        }
        let _ = signal::kill(self.pid as i32, Some(signal));
        if !self.foreground && signal != Signal::SIGKILL {
            // The group holds us too: do not hear our own signal.
            let _ = signal::ignore(signal);
            let _ = signal::kill(0, Some(signal));
            let _ = signal::kill(0, Some(Signal::SIGCONT));
        } else if !self.foreground {
            let _ = signal::kill(self.pid as i32, Some(Signal::SIGCONT));
        }
    }

    fn failed(&self, error: &io::Error) -> End {
        End::Failure(125, format!("error waiting for command: {}", strerror(error)))
    }
}

/// `nohup`.
pub(crate) fn nohup(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 125;
    let help = "{} COMMAND [ARG]...\nRun COMMAND, ignoring hangup signals.";
    let parsed = cx.parse(&[], args, Order::StopAtOperand, help)?;
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    let (input, output) = (fd::isatty(0), fd::isatty(1));
    let failed =
        |error: io::Error, what: &str| End::Failure(125, format!("failed to {what}: {}", strerror(&error)));
    if input {
        let null = fd::open("/dev/null", fd::O_WRONLY, 0).map_err(|e| failed(e, "open '/dev/null'"))?;
        fd::dup2(null, 0, false).map_err(|e| failed(e, "redirect standard input"))?;
        if !output {
            cx.say("ignoring input");
        }
    }
    if output {
        let flags = fd::O_CREAT | fd::O_WRONLY | fd::O_APPEND;
        let file = fd::open("nohup.out", flags, 0o600).map_err(|e| failed(e, "open 'nohup.out'"))?;
        cx.say(if input {
            "ignoring input and appending output to 'nohup.out'"
        } else {
            "appending output to 'nohup.out'"
        });
        fd::dup2(file, 1, false).map_err(|e| failed(e, "redirect standard output"))?;
    }
    if fd::isatty(2) {
        fd::dup2(1, 2, false).map_err(|e| failed(e, "redirect standard error"))?;
    }
    signal::ignore(Signal::SIGHUP).map_err(|e| failed(e, "ignore SIGHUP"))?;
    exec(cx, "failed to run command ", &parsed.operands, None)
}

/// `nice`.
pub(crate) fn nice(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 125;
    let help = "{} [OPTION] [COMMAND [ARG]...]\nRun COMMAND; every process of this system has the same niceness, 0.\n  -n, --adjustment=N  add N to the niceness (10 if not given), which cannot be done here: a warning tells";
    // `-5` of old is `-n 5`.
    let mut args = args.to_vec();
    if let Some(first) = args.first().and_then(|a| a.to_str())
        && let Some(number) = first.strip_prefix('-').filter(|n| n.parse::<i32>().is_ok())
    {
        args[0] = format!("-n{number}").into();
    }
    let parsed = cx.parse(&["n,adjustment="], &args, Order::StopAtOperand, help)?;
    let mut adjustment = 10;
    for opt in &parsed.opts {
        match opt.text().parse::<i64>() {
            Ok(n) => adjustment = n,
            Err(_) => return Err(End::Failure(125, format!("invalid adjustment {}", quote(opt.arg())))),
        }
    }
    if parsed.operands.is_empty() {
        if !parsed.opts.is_empty() {
            return Err(cx.usage("a command must be given with an adjustment"));
        }
        cx.put(b"0\n")?;
        return Ok(0);
    }
    // As GNU does where the system does not let it: the command runs all the same.
    if adjustment != 0 {
        cx.say(format_args!("cannot set niceness: {}", strerror(&agentos_guest::io_error(Errno::ENOTSUP))));
    }
    exec(cx, "", &parsed.operands, None)
}

/// `renice`: there is one niceness, 0, which cannot be changed.
pub(crate) fn renice(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [-n|--priority|--relative] <priority> [-p|--pid] <pid>...
 renice [-n|--priority|--relative] <priority> -g|--pgrp <pgid>...
 renice [-n|--priority|--relative] <priority> -u|--user <user>...
Alter the priority of running processes; here every process has the same, 0.
  -n, --priority <num>   specify the nice value
      --relative <num>   specify the nice value, relative to the current one
  -p, --pid              interpret arguments as process ID (default)
  -g, --pgrp             interpret arguments as process group ID
  -u, --user             interpret arguments as username or user ID
  -V, --version          display version";
    let (mut wanted, mut kind) = (None, "process ID");
    let mut targets = Vec::new();
    let mut words = args.iter().map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" | "--help" => {
                cx.print(format_args!("Usage:\n {}\n", help.replace("{}", "renice")))?;
                return Ok(0);
            }
            "-V" | "--version" => return Err(cx.version()),
            "-n" | "--priority" | "--relative" if wanted.is_none() => wanted = words.next(),
            "-p" | "--pid" => kind = "process ID",
            "-g" | "--pgrp" => kind = "process group ID",
            "-u" | "--user" => kind = "user ID",
            _ if wanted.is_none() => wanted = Some(word),
            _ => targets.push((kind, word)),
        }
    }
    let (Some(wanted), false) = (wanted, targets.is_empty()) else {
        return Err(cx.usage("not enough arguments"));
    };
    let Ok(wanted) = wanted.parse::<i64>() else {
        return Err(cx.usage(format!("invalid priority '{wanted}'")));
    };
    let all = super::ps::all();
    let mut status = 0;
    for (kind, word) in targets {
        let number = match kind {
            "user ID" => crate::names::user_operand(&word),
            _ => word.parse().ok(),
        };
        let Some(number) = number else {
            cx.say(if kind == "user ID" {
                format!("unknown user {word}")
            } else {
                format!("bad {kind} value: {word}")
            });
            status = 1;
            continue;
        };
        let there = all.iter().any(|p| match kind {
            "process ID" => p.pid == number,
            "process group ID" => p.pgid == number,
            _ => p.uid == number,
        });
        let why = |errno| strerror(&agentos_guest::io_error(errno));
        if !there {
            cx.say(format_args!("failed to get priority for {number} ({kind}): {}", why(Errno::ESRCH)));
            status = 1;
        } else if wanted != 0 {
            cx.say(format_args!("failed to set priority for {number} ({kind}): {}", why(Errno::ENOTSUP)));
            status = 1;
        } else {
            cx.print(format_args!("{number} ({kind}) old priority 0, new priority 0\n"))?;
        }
    }
    Ok(status)
}
