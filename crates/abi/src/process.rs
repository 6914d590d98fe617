//! Flags and encodings of the process calls.

/// `spawn`: `path` without a slash is looked up in the PATH of the new environment.
pub const SPAWN_SEARCH_PATH: u32 = 1;
/// `spawn`: `env` is ignored, the child inherits the environment that the caller was started with.
pub const SPAWN_INHERIT_ENV: u32 = 2;
/// `spawn`: only the descriptors of the map (and nothing else) are given to the child. Without it the child gets every
/// descriptor that is not close-on-exec, then the map is applied.
pub const SPAWN_MAP_ONLY: u32 = 4;
/// `spawn`: signals ignored by the caller are reset to their default in the child.
pub const SPAWN_RESET_SIGNALS: u32 = 8;
/// `spawn`: the child becomes the leader of a new session.
pub const SPAWN_SETSID: u32 = 16;

/// `spawn` and `clone_call`: the group of the child becomes the foreground group of the caller's controlling terminal
/// before the child runs. Nothing happens without one, or when the caller is in the background itself.
pub const SPAWN_FOREGROUND: u32 = 32;

/// `spawn` and `clone_call`: the child stays in the process group of the caller.
pub const PGID_INHERIT: i32 = -1;
/// `spawn` and `clone_call`: the child leads a new process group of its own pid.
pub const PGID_NEW: i32 = 0;

/// In a descriptor map: this child descriptor is closed.
pub const FD_CLOSE: u32 = u32::MAX;

/// `waitpid`: return at once with pid 0 if no child changed state.
pub const WNOHANG: u32 = 1;
/// `waitpid`: also report stopped children.
pub const WUNTRACED: u32 = 2;
/// `waitpid`: also report continued children.
pub const WCONTINUED: u32 = 8;

/// `getrusage`: the caller.
pub const RUSAGE_SELF: i32 = 0;
/// `getrusage`: its waited-for children and theirs.
pub const RUSAGE_CHILDREN: i32 = -1;

/// `setitimer`: real time, SIGALRM.
pub const ITIMER_REAL: u32 = 0;

/// CPU time, seconds: SIGXCPU at the soft limit, SIGKILL at the hard one.
pub const RLIMIT_CPU: u32 = 0;
/// Size of a file that is written, bytes: SIGXFSZ and EFBIG.
pub const RLIMIT_FSIZE: u32 = 1;
/// Data segment, bytes.
pub const RLIMIT_DATA: u32 = 2;
/// Stack, bytes.
pub const RLIMIT_STACK: u32 = 3;
/// Core file, bytes. There are none.
pub const RLIMIT_CORE: u32 = 4;
/// Processes of the user.
pub const RLIMIT_NPROC: u32 = 6;
/// Descriptors.
pub const RLIMIT_NOFILE: u32 = 7;
/// Memory, bytes.
pub const RLIMIT_AS: u32 = 9;
/// Number of resources.
pub const RLIM_NLIMITS: u32 = 16;
/// No limit.
pub const RLIM_INFINITY: u64 = u64::MAX;

/// How a process ended, or that it stopped; encoded as Linux encodes a wait status.
///
/// ```
/// use agentos_abi::process::WaitStatus;
/// assert_eq!(WaitStatus::Exited(3).encode(), 0x300);
/// assert_eq!(WaitStatus::decode(9), WaitStatus::Signaled(9));
/// assert_eq!(WaitStatus::Signaled(15).shell_status(), 143);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitStatus {
    /// Ended by exit, with this status (0-255).
    Exited(u8),
    /// Ended by this signal.
    Signaled(u8),
    /// Stopped by this signal.
    Stopped(u8),
    /// Continued by SIGCONT.
    Continued,
}

impl WaitStatus {
    /// The number that `waitpid` stores.
    #[must_use]
    pub const fn encode(self) -> i32 {
        match self {
            WaitStatus::Exited(code) => (code as i32) << 8,
            WaitStatus::Signaled(sig) => sig as i32,
            WaitStatus::Stopped(sig) => ((sig as i32) << 8) | 0x7f,
            WaitStatus::Continued => 0xffff,
        }
    }

    /// The meaning of a number that `waitpid` stored.
    #[must_use]
    pub const fn decode(status: i32) -> Self {
        if status == 0xffff {
            WaitStatus::Continued
        } else if status & 0x7f == 0x7f {
            WaitStatus::Stopped((status >> 8) as u8)
        } else if status & 0x7f == 0 {
            WaitStatus::Exited((status >> 8) as u8)
        } else {
            WaitStatus::Signaled((status & 0x7f) as u8)
        }
    }

    /// The number that a shell shows as `$?`: the exit status, or 128 + signal.
    #[must_use]
    pub const fn shell_status(self) -> i32 {
        match self {
            WaitStatus::Exited(code) => code as i32,
            WaitStatus::Signaled(sig) | WaitStatus::Stopped(sig) => 128 + sig as i32,
            WaitStatus::Continued => 0,
        }
    }
}
