//! What the files about the machine hold, in the formats of proc(5).

use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::content::ticks;
use super::node::{Machine, Sys};
use crate::table::PID_MAX;
use crate::{Kernel, Pid, RELEASE, Result, VERSION};

pub(super) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(super) fn of_machine(kernel: &Kernel, machine: Machine) -> Result<Vec<u8>> {
    Ok(match machine {
        Machine::CpuInfo => cpuinfo(),
        Machine::FileSystems => b"nodev\tproc\nnodev\ttmpfs\nnodev\tdevpts\nnodev\toverlay\n".to_vec(),
        Machine::LoadAvg => loadavg(kernel).into_bytes(),
        Machine::Locks => super::locks::locks(kernel)?,
        Machine::MemInfo => meminfo(kernel).into_bytes(),
        Machine::Mounts => mounts(kernel),
        Machine::Stat => stat(kernel).into_bytes(),
        Machine::Swaps => b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_vec(),
        Machine::Uptime => {
            let up = kernel.clock.monotonic();
            let idle = (up * cpus() as u32).saturating_sub(used(kernel));
            format!("{:.2} {:.2}\n", up.as_secs_f64(), idle.as_secs_f64()).into_bytes()
        }
        Machine::Version => format!("Linux version {RELEASE} (agentos@agentos) {VERSION}\n").into_bytes(),
    })
}

pub(super) fn of_sys(kernel: &Kernel, file: Sys) -> Vec<u8> {
    let text = match file {
        Sys::Root | Sys::Kernel => String::new(),
        Sys::Hostname => kernel.hostname(),
        Sys::OsRelease => RELEASE.to_owned(),
        Sys::OsType => "Linux".to_owned(),
        Sys::PidMax => (PID_MAX + 1).to_string(),
        Sys::Version => VERSION.to_owned(),
    };
    format!("{text}\n").into_bytes()
}

fn cpuinfo() -> Vec<u8> {
    let count = cpus();
    let mut out = String::new();
    for n in 0..count {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "processor\t: {n}\nvendor_id\t: AgentOs\ncpu family\t: 0\nmodel\t\t: 0\n\
             model name\t: WebAssembly virtual processor\nphysical id\t: 0\nsiblings\t: {count}\n\
             core id\t\t: {n}\ncpu cores\t: {count}\nflags\t\t: simd128\n\n"
        );
    }
    out.into_bytes()
}

/// CPU time of all processes, those that ended included.
fn used(kernel: &Kernel) -> Duration {
    let live: Duration =
        kernel.table.lock().iter().filter(|e| e.exit.is_none()).map(|e| e.process.cpu()).sum();
    live + Duration::from_nanos(kernel.ended_cpu_ns.load(Ordering::Relaxed))
}

/// How many processes there are, init included, and the pid that was given last.
fn processes(kernel: &Kernel) -> (usize, Pid) {
    let table = kernel.table.lock();
    (table.len(), table.last_pid())
}

/// The load is the part of the time that processes had the processors for, since the VM began: nothing samples it.
fn loadavg(kernel: &Kernel) -> String {
    let up = kernel.clock.monotonic().as_secs_f64().max(1.0);
    let load = used(kernel).as_secs_f64() / up;
    let (count, last) = processes(kernel);
    format!("{load:.2} {load:.2} {load:.2} 1/{count} {last}\n")
}

fn meminfo(kernel: &Kernel) -> String {
    let (total, used) = (kernel.memory.limit() / 1024, kernel.memory.used() / 1024);
    let free = total.saturating_sub(used);
    let mut out = String::new();
    for (name, kb) in [
        ("MemTotal", total),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapCached", 0),
        ("Active", used),
        ("Inactive", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("AnonPages", used),
        ("Mapped", 0),
        ("Shmem", 0),
        ("Slab", 0),
        ("SReclaimable", 0),
        ("SUnreclaim", 0),
    ] {
        let _ = writeln!(out, "{:<15} {kb:>8} kB", format!("{name}:"));
    }
    out
}

fn stat(kernel: &Kernel) -> String {
    let cpus = cpus() as u64;
    let user = ticks(used(kernel));
    let all = ticks(kernel.clock.monotonic()).saturating_mul(cpus);
    let idle = all.saturating_sub(user);
    let mut out = format!("cpu  {user} 0 0 {idle} 0 0 0 0 0 0\n");
    for n in 0..cpus {
        let _ = writeln!(out, "cpu{n} {} 0 0 {} 0 0 0 0 0 0", user / cpus, idle / cpus);
    }
    let (_, last) = processes(kernel);
    let boot = kernel.clock.boot_time().as_secs();
    let _ = write!(
        out,
        "intr 0\nctxt 0\nbtime {boot}\nprocesses {last}\nprocs_running 1\nprocs_blocked 0\nsoftirq 0\n"
    );
    out
}

/// A field of `mounts`: blanks and backslashes are octal, so that it is always one word (getmntent(3)).
fn word(field: &[u8], out: &mut Vec<u8>) {
    for byte in field {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
            byte => out.push(*byte),
        }
    }
    out.push(b' ');
}

pub(super) fn mounts(kernel: &Kernel) -> Vec<u8> {
    let mut out = Vec::new();
    for mount in kernel.namespace.list() {
        for field in [mount.source.as_bytes(), mount.path.as_bytes(), mount.fs.type_name().as_bytes()] {
            word(field, &mut out);
        }
        out.extend_from_slice(if mount.is_read_only() { b"ro" } else { b"rw" });
        out.extend_from_slice(b" 0 0\n");
    }
    out
}

pub(super) fn mountinfo(kernel: &Kernel) -> Vec<u8> {
    let mut out = Vec::new();
    for mount in kernel.namespace.list() {
        let mode = if mount.is_read_only() { "ro" } else { "rw" };
        let parent = mount.parent_id().unwrap_or(mount.id);
        out.extend_from_slice(format!("{} {parent} 0:{} / ", mount.id, mount.id).as_bytes());
        word(mount.path.as_bytes(), &mut out);
        out.extend_from_slice(format!("{mode} - ").as_bytes());
        word(mount.fs.type_name().as_bytes(), &mut out);
        word(mount.source.as_bytes(), &mut out);
        out.extend_from_slice(format!("{mode}\n").as_bytes());
    }
    out
}
