//! Starting, replacing, cloning and waiting for processes. Job control on a terminal is not here.

mod command;

pub use agentos_abi::process::WaitStatus;
pub use command::{Child, Command, Stdio};

use crate::sys;
use agentos_abi::process::{PGID_INHERIT, SPAWN_FOREGROUND, SPAWN_SEARCH_PATH};
pub use agentos_abi::process::{WCONTINUED, WNOHANG, WUNTRACED};
use std::ffi::OsStr;
use std::io;

/// A process id.
pub type Pid = u32;

/// CPU time and memory of a child that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User time, microseconds.
    pub utime_us: u64,
    /// System time, microseconds.
    pub stime_us: u64,
    /// Largest memory, kilobytes.
    pub maxrss_kb: u64,
}

/// A child that changed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// Which child.
    pub pid: Pid,
    /// What happened to it.
    pub status: WaitStatus,
    /// What it used.
    pub usage: Usage,
}

/// Which children [`wait`] waits for (waitpid(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// Any child.
    Any,
    /// This child.
    Pid(Pid),
    /// Any child of this process group.
    Group(Pid),
    /// Any child of the caller's process group.
    OwnGroup,
}

impl WaitFor {
    fn raw(self) -> i32 {
        match self {
            WaitFor::Any => -1,
            WaitFor::Pid(pid) => pid as i32,
            WaitFor::Group(pgid) => -(pgid as i32),
            WaitFor::OwnGroup => 0,
        }
    }
}

fn wait_raw(which: WaitFor, flags: u32) -> io::Result<Option<Waited>> {
    let result = sys::waitpid(which.raw(), flags)?;
    Ok((result.pid > 0).then(|| Waited {
        pid: result.pid as u32,
        status: WaitStatus::decode(result.status),
        usage: Usage { utime_us: result.utime_us, stime_us: result.stime_us, maxrss_kb: result.maxrss_kb },
    }))
}

/// Waits until such a child ends.
///
/// # Errors
/// `ECHILD`: there is no such child. `EINTR`: a caught signal arrived first.
pub fn wait(which: WaitFor) -> io::Result<Waited> {
    loop {
        if let Some(waited) = wait_raw(which, 0)? {
            return Ok(waited);
        }
    }
}

/// As [`wait`], but also reports children that stopped.
///
/// # Errors
/// As [`wait`].
pub fn wait_untraced(which: WaitFor) -> io::Result<Waited> {
    loop {
        if let Some(waited) = wait_raw(which, WUNTRACED)? {
            return Ok(waited);
        }
    }
}

/// Such a child that has already ended, if there is one.
///
/// # Errors
/// `ECHILD`: there is no such child.
pub fn try_wait(which: WaitFor) -> io::Result<Option<Waited>> {
    wait_raw(which, WNOHANG)
}

/// waitpid(2) with any of [`WNOHANG`], [`WUNTRACED`] and [`WCONTINUED`]; `None` only with `WNOHANG`.
///
/// # Errors
/// As [`wait`].
pub fn wait_with(which: WaitFor, flags: u32) -> io::Result<Option<Waited>> {
    wait_raw(which, flags)
}

/// As [`try_wait`], but also reports children that stopped.
///
/// # Errors
/// As [`try_wait`].
pub fn try_wait_untraced(which: WaitFor) -> io::Result<Option<Waited>> {
    wait_raw(which, WNOHANG | WUNTRACED)
}

/// Runs `f` in a child that has a copy of this process: its memory, descriptors and signal dispositions, as fork(2).
///
/// The result of `f` becomes the child's exit status (its low 8 bits). Rust's and C's stdio are flushed first. The
/// child ends when `f` returns; nothing of the caller's code after `fork_call` runs in it.
///
/// # Errors
/// `EAGAIN`: too many processes. `ENOSYS`: the module was not linked for cloning.
///
/// ```
/// use agentos_guest::process::{WaitFor, WaitStatus, fork_call, wait};
/// let seven = 7;
/// let pid = fork_call(|| seven)?;
/// assert_eq!(wait(WaitFor::Pid(pid))?.status, WaitStatus::Exited(7));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn fork_call<F: FnOnce() -> i32>(f: F) -> io::Result<Pid> {
    sys::clone(Box::new(f), PGID_INHERIT, 0)
}

/// As [`fork_call`], in the process group `pgid` (0: a new one of the child's own pid).
///
/// # Errors
/// As [`fork_call`]; `EPERM`: the group is not of this session.
pub fn fork_call_in_group<F: FnOnce() -> i32>(pgid: Pid, f: F) -> io::Result<Pid> {
    sys::clone(Box::new(f), pgid as i32, 0)
}

/// As [`fork_call_in_group`]; that group becomes the foreground one of the controlling terminal before `f` runs. Nothing
/// happens without a terminal, or when this process is in the background itself.
///
/// # Errors
/// As [`fork_call_in_group`].
pub fn fork_call_in_foreground<F: FnOnce() -> i32>(pgid: Pid, f: F) -> io::Result<Pid> {
    sys::clone(Box::new(f), pgid as i32, SPAWN_FOREGROUND)
}

/// Replaces this program; returns only the error. `path` without a slash is looked up in PATH when `search` is set.
/// `env` is a list of `KEY=value`; `None` passes the environment that this program was started with.
///
/// The errors are those of execve(2): `ENOENT`, `EACCES`, `ENOEXEC`, `E2BIG`.
pub fn exec<A: AsRef<OsStr>>(
    path: impl AsRef<OsStr>,
    argv: &[A],
    env: Option<&[A]>,
    search: bool,
) -> io::Error {
    let bytes = |list: &[A]| -> Vec<Vec<u8>> {
        list.iter().map(|a| a.as_ref().as_encoded_bytes().to_vec()).collect()
    };
    let (argv, env) = (bytes(argv), env.map(bytes));
    let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
    let env: Option<Vec<&[u8]>> = env.as_ref().map(|env| env.iter().map(Vec::as_slice).collect());
    sys::flush_stdio();
    let flags = if search { SPAWN_SEARCH_PATH } else { 0 };
    sys::exec(path.as_ref().as_encoded_bytes(), &argv, env.as_deref(), flags)
}

/// Flushes Rust's and C's stdio, then ends this process.
pub fn exit(status: i32) -> ! {
    sys::flush_stdio();
    std::process::exit(status)
}

/// The id of this process.
#[must_use]
pub fn id() -> Pid {
    sys::getpid()
}

/// The id of the parent.
#[must_use]
pub fn parent_id() -> Pid {
    sys::getppid()
}

/// The process group of a process; 0 means this one.
///
/// # Errors
/// `ESRCH`: there is no such process.
pub fn getpgid(pid: Pid) -> io::Result<Pid> {
    sys::getpgid(pid)
}

/// The session of a process; 0 means this one.
///
/// # Errors
/// `ESRCH`: there is no such process.
pub fn getsid(pid: Pid) -> io::Result<Pid> {
    sys::getsid(pid)
}

/// Moves a process (0: this one) into a process group (0: a new one of its own pid).
///
/// # Errors
/// `EPERM`, `ESRCH`, `EACCES` as setpgid(2).
pub fn setpgid(pid: Pid, pgid: Pid) -> io::Result<()> {
    sys::setpgid(pid, pgid)
}

/// Makes this process the leader of a new session and returns its id.
///
/// # Errors
/// `EPERM`: it already leads a process group.
pub fn setsid() -> io::Result<Pid> {
    sys::setsid()
}

/// Sets the name and arguments that `/proc` and `ps` show.
///
/// # Errors
/// `E2BIG`: too long.
pub fn set_title(argv: &[&[u8]]) -> io::Result<()> {
    sys::set_title(argv)
}
