//! `time`, the program: runs a command and says what it used. The shell's keyword is the shell's. Counts that a VM does not
//! keep (page faults, blocks, switches) are 0.

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use crate::os::OsStrExt;
use agentos_guest::process::{self, Command, WaitFor, WaitStatus};
use agentos_guest::signal::{self, Signal};
use agentos_guest::{Errno, errno_of, strerror};
use std::ffi::OsString;
use std::io::Write;
use std::time::{Duration, Instant};

const DEFAULT: &str = "%Uuser %Ssystem %Eelapsed %PCPU (%Xavgtext+%Davgdata %Mmaxresident)k\n%Iinputs+%Ooutputs (%Fmajor+%Rminor)pagefaults %Wswaps";
const POSIX: &str = "real %e\nuser %U\nsys %S";
const VERBOSE: &str = "\tCommand being timed: \"%C\"
\tUser time (seconds): %U
\tSystem time (seconds): %S
\tPercent of CPU this job got: %P
\tElapsed (wall clock) time (h:mm:ss or m:ss): %E
\tAverage shared text size (kbytes): %X
\tAverage unshared data size (kbytes): %D
\tAverage stack size (kbytes): %p
\tAverage total size (kbytes): %K
\tMaximum resident set size (kbytes): %M
\tAverage resident set size (kbytes): %t
\tMajor (requiring I/O) page faults: %F
\tMinor (reclaiming a frame) page faults: %R
\tVoluntary context switches: %w
\tInvoluntary context switches: %c
\tSwaps: %W
\tFile system inputs: %I
\tFile system outputs: %O
\tSocket messages sent: %s
\tSocket messages received: %r
\tSignals delivered: %k
\tPage size (bytes): %Z
\tExit status: %x";

const SPEC: &[&str] =
    &["a,append", "f,format=", "o,output=", "p,portability", "q,quiet", "v,verbose", "V,version"];
const HELP: &str = "{} [OPTIONS] COMMAND [ARG]...
Run COMMAND, then print system resource usage.
  -a, --append         with -o FILE, append instead of overwriting
  -f, --format=FORMAT  use the specified FORMAT instead of the default
  -o, --output=FILE    write to FILE instead of STDERR
  -p, --portability    print POSIX standard 1003.2 conformant string:
                         real %%e, user %%U, sys %%S
  -q, --quiet          do not print information about abnormal program termination
  -v, --verbose        print all resource usage information
  -V, --version        output version information and exit";

/// What a run took.
struct Spent {
    elapsed: Duration,
    user: Duration,
    system: Duration,
    memory: u64,
    status: i32,
    killed: bool,
    command: Vec<u8>,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 125;
    let parsed = cx.parse(SPEC, args, Order::StopAtOperand, &HELP.replace("%%", "%"))?;
    let mut format = std::env::var("TIME").unwrap_or_else(|_| DEFAULT.to_owned());
    let (mut append, mut quiet, mut output) = (false, false, None);
    for opt in &parsed.opts {
        match opt.id {
            "append" => append = true,
            "format" => format = opt.text(),
            "output" => output = Some(opt.arg().to_owned()),
            "portability" => POSIX.clone_into(&mut format),
            "quiet" => quiet = true,
            "verbose" => VERBOSE.clone_into(&mut format),
            _ => return Err(cx.version()),
        }
    }
    if parsed.operands.is_empty() {
        return Err(cx.usage("missing program to run"));
    }
    let mut out: Box<dyn Write> = match &output {
        None => Box::new(Descriptor(2)),
        Some(path) => {
            let mut how = std::fs::OpenOptions::new();
            let opened = how.create(true).write(true).append(append).truncate(!append).open(path);
            let failed = |e| End::Failure(125, format!("{}: {}", path.to_string_lossy(), strerror(&e)));
            Box::new(opened.map_err(failed)?)
        }
    };
    let spent = run(cx, &parsed.operands)?;
    let mut text = Vec::new();
    if !quiet && format != POSIX {
        match spent.status {
            0 => {}
            n if spent.killed => {
                text.extend(format!("Command terminated by signal {}\n", n - 128).bytes());
            }
            n => text.extend(format!("Command exited with non-zero status {n}\n").bytes()),
        }
    }
    text.extend(filled(&format, &spent));
    text.push(b'\n');
    if let Err(error) = out.write_all(&text) {
        return Err(End::Failure(1, strerror(&error)));
    }
    Ok(spent.status)
}

fn run(cx: &mut Cx, argv: &[OsString]) -> Result<Spent, End> {
    let started = Instant::now();
    let mut spent = Spent {
        elapsed: Duration::ZERO,
        user: Duration::ZERO,
        system: Duration::ZERO,
        memory: 0,
        status: 0,
        killed: false,
        command: argv.iter().map(|a| a.as_bytes()).collect::<Vec<_>>().join(&b' '),
    };
    let child = Command::new(&argv[0]).args(&argv[1..]).search_path(true).spawn();
    match child {
        Ok(child) => {
            // As a shell does: a key that interrupts is for the command.
            let _ = signal::ignore(Signal::SIGINT);
            let _ = signal::ignore(Signal::SIGQUIT);
            let waited = loop {
                match process::wait(WaitFor::Pid(child.id())) {
                    Ok(waited) => break waited,
                    Err(error) if errno_of(&error) == Some(Errno::EINTR) => {}
                    Err(error) => {
                        return Err(End::Failure(
                            1,
                            format!("error waiting for child process: {}", strerror(&error)),
                        ));
                    }
                }
            };
            spent.user = Duration::from_micros(waited.usage.utime_us);
            spent.system = Duration::from_micros(waited.usage.stime_us);
            spent.memory = waited.usage.maxrss_kb;
            spent.status = match waited.status {
                WaitStatus::Exited(code) => code.into(),
                other => {
                    spent.killed = true;
                    other.shell_status()
                }
            };
        }
        Err(error) => {
            cx.say(format_args!("cannot run {}: {}", argv[0].to_string_lossy(), strerror(&error)));
            spent.status = if errno_of(&error) == Some(Errno::ENOENT) { 127 } else { 126 };
        }
    }
    spent.elapsed = started.elapsed();
    Ok(spent)
}

fn seconds(time: Duration) -> String {
    format!("{}.{:02}", time.as_secs(), time.subsec_millis() / 10)
}

fn clock(time: Duration) -> String {
    let all = time.as_secs();
    let (hours, minutes, rest) = (all / 3600, all / 60 % 60, all % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes}:{rest:02}.{:02}", time.subsec_millis() / 10)
    }
}

/// The format with what was measured in it.
fn filled(format: &str, spent: &Spent) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        match c {
            '%' => match rest.next() {
                Some('%') => out.push(b'%'),
                Some('C') => out.extend(&spent.command),
                Some('E') => out.extend(clock(spent.elapsed).bytes()),
                Some('e') => out.extend(seconds(spent.elapsed).bytes()),
                Some('U') => out.extend(seconds(spent.user).bytes()),
                Some('S') => out.extend(seconds(spent.system).bytes()),
                Some('P') => {
                    let elapsed = spent.elapsed.as_millis();
                    let used = (spent.user + spent.system).as_millis();
                    match (used * 100).checked_div(elapsed) {
                        Some(percent) => out.extend(format!("{percent}%").bytes()),
                        None => out.extend(b"?%"),
                    }
                }
                Some('M') => out.extend(spent.memory.to_string().bytes()),
                // Of a command that a signal ended it is 0.
                Some('x') if spent.killed => out.push(b'0'),
                Some('x') => out.extend(spent.status.to_string().bytes()),
                Some('Z') => out.extend(b"4096"),
                Some(
                    'D' | 'F' | 'I' | 'K' | 'O' | 'R' | 'W' | 'X' | 'c' | 'k' | 'p' | 'r' | 's' | 't' | 'w',
                ) => {
                    out.push(b'0');
                }
                Some(other) => out.extend(format!("?{other}").bytes()),
                None => out.push(b'?'),
            },
            '\\' => match rest.next() {
                Some('t') => out.push(b'\t'),
                Some('n') => out.push(b'\n'),
                Some('\\') => out.push(b'\\'),
                Some(other) => out.extend(format!("?\\{other}").bytes()),
                None => out.extend(b"?\\"),
            },
            c => out.extend(c.to_string().bytes()),
        }
    }
    out
}
