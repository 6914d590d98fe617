//! What the files of `/proc` hold, in the formats of proc(5).

use std::fmt::Write;
use std::time::Duration;

use super::node::{Machine, Node, OfProcess};
use crate::{Errno, Kernel, ProcessInfo, ProcessState, Result};

/// Clock ticks per second in `stat` files, as sysconf(_SC_CLK_TCK) has it.
const TICKS: u64 = 100;

pub(super) async fn of(kernel: &Kernel, node: Node) -> Result<Vec<u8>> {
    match node {
        Node::Machine(machine) => Ok(of_machine(kernel, machine)),
        Node::OfProcess(pid, file) => {
            let info = kernel.process_info(pid).await.ok_or(Errno::ENOENT)?;
            of_process(kernel, &info, file)
        }
        _ => Err(Errno::EINVAL),
    }
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn of_machine(kernel: &Kernel, machine: Machine) -> Vec<u8> {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match machine {
        Machine::CpuInfo => (0..cpus()).try_for_each(|n| {
            writeln!(
                out,
                "processor\t: {n}\nvendor_id\t: AgentOs\nmodel name\t: WebAssembly virtual processor\n"
            )
        }),
        Machine::FileSystems => write!(out, "nodev\tproc\nnodev\ttmpfs\nnodev\toverlay\n"),
        Machine::LoadAvg => {
            let live = kernel.process_count();
            writeln!(out, "0.00 0.00 0.00 1/{} {}", live + 1, kernel.processes().last().map_or(1, |p| p.0))
        }
        Machine::MemInfo => {
            let (total, used) = (kernel.memory.limit() / 1024, kernel.memory.used() / 1024);
            let free = total.saturating_sub(used);
            writeln!(
                out,
                "MemTotal:       {total:>8} kB\nMemFree:        {free:>8} kB\nMemAvailable:   {free:>8} kB\n\
                 Buffers:               0 kB\nCached:                0 kB\nSwapTotal:             0 kB\n\
                 SwapFree:              0 kB"
            )
        }
        Machine::Mounts => return mounts(kernel),
        Machine::Stat => {
            let boot = kernel.clock.boot_time().as_secs();
            writeln!(out, "cpu  0 0 0 0 0 0 0 0 0 0\nbtime {boot}\nprocs_running 1\nprocs_blocked 0")
        }
        Machine::Uptime => {
            let up = kernel.clock.monotonic().as_secs_f64();
            writeln!(out, "{up:.2} {:.2}", up * cpus() as f64)
        }
        Machine::Version => writeln!(out, "Linux version 6.1.0-agentos (agentos) #1 SMP AgentOs"),
    };
    out.into_bytes()
}

fn mounts(kernel: &Kernel) -> Vec<u8> {
    let mut out = Vec::new();
    for mount in kernel.namespace.list() {
        let mode = if mount.is_read_only() { "ro" } else { "rw" };
        for field in [mount.source.as_bytes(), mount.path.as_bytes(), mount.fs.type_name().as_bytes()] {
            // Blanks and backslashes are octal, so that a field is always one word (getmntent(3)).
            for byte in field {
                match byte {
                    b' ' | b'\t' | b'\n' | b'\\' => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
                    byte => out.push(*byte),
                }
            }
            out.push(b' ');
        }
        out.extend_from_slice(mode.as_bytes());
        out.extend_from_slice(b" 0 0\n");
    }
    out
}

fn comm(info: &ProcessInfo) -> String {
    let name = match info.argv.first() {
        Some(name) if !info.exe.is_empty() => name.rsplit(|b| *b == b'/').next().unwrap_or_default(),
        _ => info.exe.rsplit(|b| *b == b'/').next().unwrap_or_default(),
    };
    String::from_utf8_lossy(&name[..name.len().min(15)]).into_owned()
}

fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) / (1000 / TICKS)
}

fn joined(strings: &[Vec<u8>]) -> Vec<u8> {
    strings.iter().flat_map(|s| s.iter().copied().chain(std::iter::once(0))).collect()
}

fn of_process(kernel: &Kernel, info: &ProcessInfo, file: OfProcess) -> Result<Vec<u8>> {
    let process = kernel.process(info.pid).ok_or(Errno::ENOENT)?;
    let (state, word) = match info.state {
        ProcessState::Running => ('S', "sleeping"),
        ProcessState::Stopped => ('T', "stopped"),
        ProcessState::Zombie => ('Z', "zombie"),
    };
    let text = match file {
        OfProcess::Cmdline if info.state == ProcessState::Zombie => return Ok(Vec::new()),
        OfProcess::Cmdline => return Ok(joined(&info.argv)),
        OfProcess::Environ => return Ok(joined(&process.image.read().env)),
        OfProcess::Mounts => return Ok(mounts(kernel)),
        OfProcess::Comm => format!("{}\n", comm(info)),
        OfProcess::Statm => {
            let pages = info.memory / 4096;
            format!("{pages} {pages} 0 0 0 {pages} 0\n")
        }
        OfProcess::Stat => {
            let started = info.started.saturating_sub(kernel.clock.boot_time());
            format!(
                "{} ({}) {state} {} {} {} 0 -1 0 0 0 0 0 {} 0 {} 0 20 0 1 0 {} {} {} 18446744073709551615 0 0 0 0 0 0 0 0 0 \
                 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
                info.pid,
                comm(info),
                info.ppid,
                info.pgid,
                info.sid,
                ticks(info.cpu),
                ticks(process.children_cpu()),
                ticks(started),
                info.memory,
                info.memory / 4096,
            )
        }
        OfProcess::Status => status(info, &process, state, word),
        OfProcess::Cwd | OfProcess::Exe | OfProcess::Root | OfProcess::Fd => return Err(Errno::EINVAL),
    };
    Ok(text.into_bytes())
}

fn status(info: &ProcessInfo, process: &crate::Process, state: char, word: &str) -> String {
    let signals = process.signal_state();
    let mask = |wanted: crate::Disposition| {
        crate::Signal::ALL.iter().filter(|s| signals.disposition(**s) == wanted).fold(0, |m, s| m | s.bit())
    };
    let (kb, peak) = (info.memory / 1024, process.memory().1 / 1024);
    format!(
        "Name:\t{}\nUmask:\t{:04o}\nState:\t{state} ({word})\nTgid:\t{pid}\nPid:\t{pid}\nPPid:\t{}\n\
         Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\nFDSize:\t{}\nNSpgid:\t{}\nNSsid:\t{}\n\
         VmPeak:\t{peak:>8} kB\nVmSize:\t{kb:>8} kB\nVmHWM:\t{peak:>8} kB\nVmRSS:\t{kb:>8} kB\nThreads:\t1\n\
         SigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{:016x}\n",
        comm(info),
        process.umask(),
        info.ppid,
        process.fds.lock().limit(),
        info.pgid,
        info.sid,
        0,
        signals.pending(),
        signals.blocked(),
        mask(crate::Disposition::Ignore),
        mask(crate::Disposition::Catch),
        pid = info.pid,
        uid = info.uid,
        gid = info.gid,
    )
}
