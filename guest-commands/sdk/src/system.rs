//! The machine: its names, its figures, the limits and CPU times of this process. It changes nothing but limits.

use crate::sys;
pub use agentos_abi::layout::{Rusage, SysInfo, Times};
pub use agentos_abi::process::{
    RLIM_INFINITY, RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NOFILE,
    RLIMIT_NPROC, RLIMIT_STACK,
};
use agentos_abi::process::{RUSAGE_CHILDREN, RUSAGE_SELF};
use std::io;

/// The names of the machine, as uname(2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uname {
    /// Name of the operating system.
    pub sysname: String,
    /// Name of the machine in its network.
    pub nodename: String,
    /// Release of the kernel.
    pub release: String,
    /// Version of the kernel.
    pub version: String,
    /// Kind of processor.
    pub machine: String,
}

/// The names of the machine.
///
/// # Errors
/// None in a VM.
pub fn uname() -> io::Result<Uname> {
    let [sysname, nodename, release, version, machine] =
        sys::uname()?.map(|part| String::from_utf8_lossy(&part).into_owned());
    Ok(Uname { sysname, nodename, release, version, machine })
}

/// Uptime, memory, processes and processors.
///
/// # Errors
/// None in a VM.
pub fn sysinfo() -> io::Result<SysInfo> {
    sys::sysinfo()
}

/// CPU times of this process and its waited-for children.
///
/// # Errors
/// None in a VM.
pub fn times() -> io::Result<Times> {
    sys::times()
}

/// What this process used.
///
/// # Errors
/// None in a VM.
pub fn rusage() -> io::Result<Rusage> {
    sys::getrusage(RUSAGE_SELF)
}

/// What its waited-for children used.
///
/// # Errors
/// None in a VM.
pub fn rusage_of_children() -> io::Result<Rusage> {
    sys::getrusage(RUSAGE_CHILDREN)
}

/// Soft and hard limit of a resource (`RLIMIT_*` numbers of Linux); `u64::MAX` is no limit.
///
/// # Errors
/// `EINVAL`: no such resource.
pub fn getrlimit(resource: u32) -> io::Result<(u64, u64)> {
    sys::getrlimit(resource)
}

/// Sets soft and hard limit of a resource.
///
/// # Errors
/// `EPERM`: the hard limit cannot be raised.
pub fn setrlimit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    sys::setrlimit(resource, soft, hard)
}
