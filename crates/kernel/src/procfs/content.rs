//! What the files about processes hold, in the formats of proc(5).

use std::fmt::Write;
use std::time::Duration;

use agentos_abi::fd::{O_RDWR, O_WRONLY};
use agentos_abi::process::RLIM_INFINITY;

use super::machine::{mountinfo, mounts, of_machine, of_sys};
use super::node::{Node, OfProcess};
use crate::tty::pts_number;
use crate::{Disposition, Errno, Fd, Kernel, Process, ProcessInfo, ProcessState, Result, Signal};

/// Clock ticks per second in `stat` files, as sysconf(_SC_CLK_TCK) has it.
const TICKS: u64 = 100;
const PAGE: u64 = 4096;

pub(super) async fn of(kernel: &Kernel, node: Node) -> Result<Vec<u8>> {
    match node {
        Node::Machine(machine) => of_machine(kernel, machine),
        Node::Sys(file) if !file.is_directory() => Ok(of_sys(kernel, file)),
        Node::OfProcess(pid, file) => {
            let info = kernel.process_info(pid).await.ok_or(Errno::ENOENT)?;
            of_process(kernel, &info, file)
        }
        Node::DescriptorInfo(pid, fd) => {
            let process = kernel.process(pid).ok_or(Errno::ENOENT)?;
            fdinfo(kernel, &process, Fd(fd)).await
        }
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) / (1000 / TICKS)
}

fn comm(info: &ProcessInfo) -> String {
    let name = match info.argv.first() {
        Some(name) if !info.exe.is_empty() => name.rsplit(|b| *b == b'/').next().unwrap_or_default(),
        _ => info.exe.rsplit(|b| *b == b'/').next().unwrap_or_default(),
    };
    String::from_utf8_lossy(&name[..name.len().min(15)]).into_owned()
}

fn joined(strings: &[Vec<u8>]) -> Vec<u8> {
    strings.iter().flat_map(|s| s.iter().copied().chain(std::iter::once(0))).collect()
}

fn of_process(kernel: &Kernel, info: &ProcessInfo, file: OfProcess) -> Result<Vec<u8>> {
    let process = kernel.process(info.pid).ok_or(Errno::ENOENT)?;
    let text = match file {
        OfProcess::Cmdline if info.state == ProcessState::Zombie => return Ok(Vec::new()),
        OfProcess::Cmdline => return Ok(joined(&info.argv)),
        OfProcess::Environ => return Ok(joined(&process.image.read().env)),
        OfProcess::Mounts => return Ok(mounts(kernel)),
        OfProcess::MountInfo => return Ok(mountinfo(kernel)),
        OfProcess::Comm => format!("{}\n", comm(info)),
        // Bytes are not counted; the lines are there for those who look for them.
        OfProcess::Io => "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n\
                          cancelled_write_bytes: 0\n"
            .to_owned(),
        OfProcess::Limits => limits(&process),
        OfProcess::Maps => maps(info),
        OfProcess::Statm => {
            let pages = info.memory / PAGE;
            format!("{pages} {pages} 0 0 0 {pages} 0\n")
        }
        OfProcess::Stat => stat(kernel, info, &process),
        OfProcess::Status => status(info, &process),
        OfProcess::Cwd
        | OfProcess::Exe
        | OfProcess::Root
        | OfProcess::Fd
        | OfProcess::FdInfo
        | OfProcess::Task => return Err(Errno::EINVAL),
    };
    Ok(text.into_bytes())
}

fn state(info: &ProcessInfo) -> (char, &'static str) {
    match info.state {
        ProcessState::Running => ('S', "sleeping"),
        ProcessState::Stopped => ('T', "stopped"),
        ProcessState::Zombie => ('Z', "zombie"),
    }
}

/// The signals of a process as masks: blocked, ignored, caught.
fn masks(process: &Process) -> [u64; 3] {
    let signals = process.signal_state();
    let of = |wanted: Disposition| {
        let such = Signal::ALL.iter().filter(|s| signals.disposition(**s) == wanted);
        such.fold(0, |mask, s| mask | s.bit())
    };
    [signals.blocked(), of(Disposition::Ignore), of(Disposition::Catch)]
}

/// The 52 fields of `stat`.
fn stat(kernel: &Kernel, info: &ProcessInfo, process: &Process) -> String {
    let terminal = kernel.terminals.of_session(info.sid);
    let (tty, foreground) = match &terminal {
        Some(pty) => (pts_number(pty.index()).cast_signed(), pty.control().1.map_or(-1, |g| i64::from(g.0))),
        None => (0, -1),
    };
    let [blocked, ignored, caught] = masks(process);
    let started = info.started.saturating_sub(kernel.clock.boot_time());
    let number = |n: u64| n.cast_signed();
    let status = info.exit.map_or(0, |exit| i64::from(exit.status.encode()));
    let fields = [
        i64::from(info.ppid.0),
        i64::from(info.pgid.0),
        i64::from(info.sid.0),
        tty,
        foreground,
        // Flags and faults.
        0,
        0,
        0,
        0,
        0,
        number(ticks(info.cpu)),
        0,
        number(ticks(process.children_cpu())),
        0,
        // Priority, nice, threads, the timer that is no more.
        20,
        0,
        1,
        0,
        number(ticks(started)),
        number(info.memory),
        number(info.memory / PAGE),
    ];
    let mut out = format!("{} ({}) {}", info.pid, comm(info), state(info).0);
    for field in fields {
        let _ = write!(out, " {field}");
    }
    // No limit of resident memory, five addresses; then after the signals: waits and swaps, SIGCHLD, the processor.
    let _ = writeln!(
        out,
        " {RLIM_INFINITY} 0 0 0 0 0 {} {blocked} {ignored} {caught} 0 0 0 {} 0 0 0 0 0 0 0 0 0 0 0 0 0 {status}",
        process.signal_state().pending(),
        Signal::SIGCHLD.raw(),
    );
    out
}

fn status(info: &ProcessInfo, process: &Process) -> String {
    let (letter, word) = state(info);
    let (pid, uid, gid) = (info.pid, info.uid, info.gid);
    let groups: String = process.cred().groups.iter().map(|g| format!("{g} ")).collect();
    let mut out = format!(
        "Name:\t{}\nUmask:\t{:04o}\nState:\t{letter} ({word})\nTgid:\t{pid}\nNgid:\t0\nPid:\t{pid}\nPPid:\t{}\n\
         TracerPid:\t0\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\nFDSize:\t{}\n\
         Groups:\t{groups}\nNStgid:\t{pid}\nNSpid:\t{pid}\nNSpgid:\t{}\nNSsid:\t{}\n",
        comm(info),
        process.umask(),
        info.ppid,
        process.fds.lock().limit(),
        info.pgid,
        info.sid,
    );
    if info.state != ProcessState::Zombie {
        let (kb, peak) = (info.memory / 1024, process.memory().1 / 1024);
        for (name, kb) in [
            ("VmPeak", peak),
            ("VmSize", kb),
            ("VmLck", 0),
            ("VmPin", 0),
            ("VmHWM", peak),
            ("VmRSS", kb),
            ("RssAnon", kb),
            ("RssFile", 0),
            ("RssShmem", 0),
            ("VmData", kb),
            ("VmStk", 0),
            ("VmExe", 0),
            ("VmLib", 0),
            ("VmPTE", 0),
            ("VmSwap", 0),
        ] {
            let _ = writeln!(out, "{name}:\t{kb:>8} kB");
        }
    }
    let [blocked, ignored, caught] = masks(process);
    let pending = process.signal_state().pending();
    let _ = write!(
        out,
        "Threads:\t1\nSigPnd:\t{pending:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\n\
         SigCgt:\t{caught:016x}\nvoluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n",
        0
    );
    out
}

/// The linear memory is all that a guest has.
fn maps(info: &ProcessInfo) -> String {
    let end = info.memory.next_multiple_of(PAGE);
    if end == 0 {
        String::new()
    } else {
        format!("00000000-{end:08x} rw-p 00000000 00:00 0 {:>26}\n", "[heap]")
    }
}

fn limits(process: &Process) -> String {
    let all = process.rlimits();
    let mut out = format!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    let value = |n: u64| if n == RLIM_INFINITY { "unlimited".to_owned() } else { n.to_string() };
    for (resource, name, unit) in [
        (0, "Max cpu time", "seconds"),
        (1, "Max file size", "bytes"),
        (2, "Max data size", "bytes"),
        (3, "Max stack size", "bytes"),
        (4, "Max core file size", "bytes"),
        (5, "Max resident set", "bytes"),
        (6, "Max processes", "processes"),
        (7, "Max open files", "files"),
        (8, "Max locked memory", "bytes"),
        (9, "Max address space", "bytes"),
        (10, "Max file locks", "locks"),
        (11, "Max pending signals", "signals"),
        (12, "Max msgqueue size", "bytes"),
        (13, "Max nice priority", ""),
        (14, "Max realtime priority", ""),
        (15, "Max realtime timeout", "us"),
    ] {
        if let Ok(limit) = all.get(resource) {
            let (soft, hard) = (value(limit.soft), value(limit.hard));
            let _ = writeln!(out, "{name:<25} {soft:<20} {hard:<20} {unit:<10}");
        }
    }
    out
}

async fn fdinfo(kernel: &Kernel, process: &Process, fd: Fd) -> Result<Vec<u8>> {
    let (file, cloexec) = {
        let fds = process.fds.lock();
        let entry = fds.entry(fd).map_err(|_| Errno::ENOENT)?;
        (std::sync::Arc::clone(&entry.description), entry.cloexec)
    };
    let access = file.access();
    let mode = match (access.read, access.write) {
        (true, true) => O_RDWR,
        (false, true) => O_WRONLY,
        _ => 0,
    };
    let cloexec = if cloexec { agentos_abi::fd::O_CLOEXEC } else { 0 };
    // The offset of a read or write that is under way is not known yet: then it is shown as 0.
    let offset = file.offset.try_lock().map_or(0, |offset| *offset);
    let (device, attr) = kernel.fstat(&file).await?;
    Ok(format!(
        "pos:\t{offset}\nflags:\t0{:o}\nmnt_id:\t{device}\nino:\t{}\n",
        mode | file.flags() | cloexec,
        attr.ino
    )
    .into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cred, KernelConfig, Limits};

    async fn kernel() -> std::sync::Arc<Kernel> {
        let tree = agentos_vfs::Tree::new();
        tree.put_dir("/proc", 0o555, 0, 0).unwrap();
        Kernel::new(KernelConfig {
            root: std::sync::Arc::new(tree),
            limits: Limits::default(),
            hostname: "box".into(),
            cred: Cred::root(),
            env: Vec::new(),
            permissions: None,
            tools: None,
            observer: None,
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn files_have_the_fields_of_proc5() {
        let kernel = kernel().await;
        let init = crate::Pid::INIT;
        let text = async |node: Node| String::from_utf8(of(&kernel, node).await.unwrap()).unwrap();
        let stat = text(Node::OfProcess(init, OfProcess::Stat)).await;
        assert_eq!(stat.trim_end().split(' ').count(), 52, "{stat}");
        assert!(stat.starts_with("1 (init) S 0 1 1 0 -1 "), "{stat}");
        assert_eq!(text(Node::OfProcess(init, OfProcess::Statm)).await.split_whitespace().count(), 7);
        let limits = text(Node::OfProcess(init, OfProcess::Limits)).await;
        assert_eq!(limits.lines().count(), 17);
        assert!(limits.contains("Max open files            1024                 1024                 files"));
        let status = text(Node::OfProcess(init, OfProcess::Status)).await;
        assert!(status.lines().all(|line| line.contains(":\t")), "{status}");
        assert!(status.contains("\nPPid:\t0\n") && status.contains("\nNSsid:\t1\n"));
        assert_eq!(text(Node::Sys(super::super::node::Sys::Hostname)).await, "box\n");
        let machine = text(Node::Machine(super::super::node::Machine::Stat)).await;
        let first = machine.lines().next().unwrap();
        assert!(first.starts_with("cpu  ") && first.split_whitespace().count() == 11, "{first}");
    }
}
