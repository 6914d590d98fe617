//! The one error of this library, and how the wire's errors become it.
//! It decides nothing: codes are given by the sidecar, or by the checks at the edge of this library.

use std::time::Duration;

use agentos_abi::{Errno, Signal};
pub use agentos_protocol::message::{AgentFailure, LimitInfo, PermissionDenial};
use agentos_protocol::message::{ErrorDetails, WireError, code};

/// What calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed, and what the caller can do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A guest path must begin with `/`. Pass an absolute path.
    #[error("{path:?} is not an absolute path")]
    PathNotAbsolute {
        /// The path as given.
        path: String,
    },
    /// A guest path must not contain `.`, `..`, empty components or NUL. Normalise it.
    #[error("{path:?} is not a normalised path")]
    PathNotNormalized {
        /// The path as given.
        path: String,
    },
    /// The path lies on a read-only mount or root. Write elsewhere, or mount it writable.
    #[error("{path:?} is read-only")]
    ReadOnly {
        /// The path.
        path: String,
    },
    /// No process of this pid was spawned, or it is forgotten.
    #[error("no process {pid}")]
    ProcessNotFound {
        /// The pid.
        pid: u32,
    },
    /// No shell of this id is open.
    #[error("no shell {shell_id}")]
    ShellNotFound {
        /// The id.
        shell_id: String,
    },
    /// No session of this id.
    #[error("no session {session_id}")]
    SessionNotFound {
        /// The id.
        session_id: String,
    },
    /// No agent of this id is registered; see `list_agents`.
    #[error("no agent {agent}")]
    AgentNotFound {
        /// The id.
        agent: String,
    },
    /// No cron job of this id: it was cancelled, or its last time has passed.
    #[error("no cron job {id:?}")]
    CronJobNotFound {
        /// The id.
        id: String,
    },
    /// No checkpoint of this name; see `list_checkpoints`.
    #[error("no checkpoint {name:?}")]
    CheckpointNotFound {
        /// The name.
        name: String,
    },
    /// Nothing is mounted at this path.
    #[error("no mount at {path:?}")]
    MountNotFound {
        /// The path.
        path: String,
    },
    /// Programs use the mount, or something is mounted in it. End them, unmount that first, or detach it
    /// ([`crate::UnmountOptions`]).
    #[error("{path:?} is in use: {}", users.join("; "))]
    MountBusy {
        /// The mount point.
        path: String,
        /// Who uses it, for people: at most eight, and perhaps others.
        users: Vec<String>,
    },
    /// No such permission request is open: it was answered, or its turn ended.
    #[error("no open permission request {permission_id}")]
    PermissionRequestNotFound {
        /// The id.
        permission_id: String,
    },
    /// The VM was disposed or ended. Create another one.
    #[error("the VM is gone")]
    Disposed,
    /// A system call in the VM failed.
    #[error("{operation}{}: {errno}", path.as_ref().map(|p| format!(" {p}")).unwrap_or_default())]
    Kernel {
        /// The POSIX error.
        errno: Errno,
        /// The operation, such as `open`.
        operation: String,
        /// The guest path, if it was about one.
        path: Option<String>,
    },
    /// The permission tree forbids it. `grant_that_would_allow` is the smallest rule that would allow it.
    #[error("permission denied: {} {} on {} by {}; a rule that would allow it: {}", .0.domain, .0.operation, .0.resource,
            .0.rule.as_deref().unwrap_or("the default"), .0.grant_that_would_allow.as_deref().unwrap_or("none"))]
    PermissionDenied(Box<PermissionDenial>),
    /// A limit was reached. Free something, or configure more.
    #[error("{}", limit_text(name, *configured, *used, *requested))]
    Limit {
        /// Field of `VmLimits`, or the name of a limit of this library.
        name: String,
        /// The configured value.
        configured: u64,
        /// In use before the request.
        used: u64,
        /// Asked for on top.
        requested: u64,
    },
    /// A field of the configuration is wrong, or this version cannot honour it.
    #[error("configuration: {path}: {reason}")]
    InvalidConfig {
        /// Where, such as `mounts[1].plugin.id`.
        path: String,
        /// Why.
        reason: String,
    },
    /// An argument is wrong.
    #[error("{message}")]
    InvalidRequest {
        /// What is wrong.
        message: String,
    },
    /// A cron expression or time stamp that cannot be understood.
    #[error("schedule {schedule:?}: {reason}")]
    InvalidSchedule {
        /// As given.
        schedule: String,
        /// Why.
        reason: String,
    },
    /// A schedule that has no time left: a moment, or years, in the past.
    #[error("schedule {schedule:?} is in the past")]
    PastSchedule {
        /// As given.
        schedule: String,
    },
    /// It took longer than allowed.
    #[error("{operation}{}", after.map(|time| format!(": no result within {time:?}")).unwrap_or_default())]
    Timeout {
        /// What.
        operation: String,
        /// The time allowed, if it was this library's.
        after: Option<Duration>,
    },
    /// A signal to this program ended the connection of its terminal. The terminal was given back first.
    #[error("the terminal was given back at {}", signal.name())]
    Interrupted {
        /// Such as SIGTERM or SIGHUP.
        signal: Signal,
    },
    /// It was cancelled.
    #[error("{message}")]
    Cancelled {
        /// What.
        message: String,
    },
    /// The agent exited, or answered with an error. `failure` has its exit status and last words on stderr.
    #[error("{message}")]
    Agent {
        /// What happened.
        message: String,
        /// How.
        failure: Box<AgentFailure>,
    },
    /// No sidecar program was found. Install one, or set `AGENTOS_SIDECAR`.
    #[error("no sidecar program found; tried: {}", tried.join(", "))]
    SidecarNotFound {
        /// Everything that was tried, in order.
        tried: Vec<String>,
    },
    /// The sidecar process ended, or could not start. Its VMs are lost; create new ones.
    #[error("the sidecar ended{}{}", status.as_ref().map(|s| format!(" ({s})")).unwrap_or_default(),
            last_stderr.last().map(|l| format!(": {l}")).unwrap_or_default())]
    SidecarExited {
        /// How, as the operating system says it, if it was started by this process.
        status: Option<String>,
        /// Its last lines on stderr, if they were seen.
        last_stderr: Vec<String>,
    },
    /// This library and the sidecar do not fit; the text says which one to upgrade.
    #[error("{message}")]
    VersionMismatch {
        /// Both versions and what to do.
        message: String,
    },
    /// The sidecar does not know this method or cannot do it.
    #[error("{message}")]
    Unsupported {
        /// What.
        message: String,
    },
    /// Too much is under way at once. Try later.
    #[error("{message}")]
    Busy {
        /// What.
        message: String,
    },
    /// The connection failed or carried nonsense.
    #[error("{message}")]
    Transport {
        /// What happened.
        message: String,
    },
    /// A bug of the sidecar; please report it.
    #[error("internal error of the sidecar: {message}")]
    Internal {
        /// What it said.
        message: String,
    },
}

impl Error {
    /// The POSIX error, if it is one.
    ///
    /// ```
    /// use agentos::{Errno, Error};
    /// let error = Error::Kernel { errno: Errno::ENOENT, operation: "open".into(), path: Some("/x".into()) };
    /// assert_eq!(error.errno(), Some(Errno::ENOENT));
    /// assert_eq!(error.to_string(), "open /x: no such file or directory");
    /// ```
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Error::Kernel { errno, .. } => Some(*errno),
            Error::ReadOnly { .. } => Some(Errno::EROFS),
            Error::MountBusy { .. } => Some(Errno::EBUSY),
            Error::PermissionDenied(_) => Some(Errno::EACCES),
            // What a program in the machine gets at that limit.
            Error::Limit { name, .. } => match name.as_bytes() {
                b"filesystemBytes" | b"inodes" | b"mountSize" | b"ptys" => Some(Errno::ENOSPC),
                b"pathBytes" | b"nameBytes" => Some(Errno::ENAMETOOLONG),
                b"argvEnvBytes" => Some(Errno::E2BIG),
                b"processes" | b"vmCpuTimeMs" => Some(Errno::EAGAIN),
                b"pipes" => Some(Errno::ENFILE),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn config(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::InvalidConfig { path: path.into(), reason: reason.into() }
    }
}

/// Name of the limit of one call's output.
pub(crate) const MAX_OUTPUT: &str = "maxOutput";
/// Name of the limit of what is read into memory at once.
pub(crate) const READ_FILE: &str = "readFile";

/// Name of the limit of a snapshot that is taken into memory.
pub(crate) const SNAPSHOT: &str = "snapshotBytes";

fn limit_text(name: &str, configured: u64, used: u64, requested: u64) -> String {
    match name {
        MAX_OUTPUT => format!(
            "more output than max_output of this call allows: {configured} bytes, of which {used} were taken when \
             {requested} more came"
        ),
        READ_FILE => format!(
            "read_file takes at most {configured} bytes of this file into memory: {used} were taken when {requested} more \
             came; use open_read"
        ),
        SNAPSHOT => format!(
            "snapshot_root_filesystem takes at most {configured} bytes into memory; use export_root_filesystem"
        ),
        _ => format!("limit {name}: {used} of {configured} in use, {requested} more asked for"),
    }
}

/// The number of a POSIX name.
pub(crate) fn errno_by_name(name: &str) -> Option<Errno> {
    (1..=u16::from(u8::MAX)).filter_map(Errno::from_raw).find(|e| e.name() == name)
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        let WireError { code: name, message, details } = error;
        let ErrorDetails { errno, operation, path, resource, limit, config, permission, agent, users } =
            details.map(|d| *d).unwrap_or_default();
        let resource = resource.unwrap_or_default();
        let place = path.clone().unwrap_or_default();
        match name.as_str() {
            code::UNSUPPORTED => Error::Unsupported { message },
            code::INVALID_REQUEST => Error::InvalidRequest { message },
            code::INVALID_CONFIG => {
                let issue = config.unwrap_or_default();
                Error::InvalidConfig { path: issue.path, reason: issue.reason }
            }
            code::PATH_NOT_ABSOLUTE => Error::PathNotAbsolute { path: place },
            code::PATH_NOT_NORMALIZED => Error::PathNotNormalized { path: place },
            code::READ_ONLY => Error::ReadOnly { path: place },
            code::VM_NOT_FOUND => Error::Disposed,
            code::PROCESS_NOT_FOUND => Error::ProcessNotFound { pid: resource.parse().unwrap_or(0) },
            code::SHELL_NOT_FOUND => Error::ShellNotFound { shell_id: resource },
            code::SESSION_NOT_FOUND => Error::SessionNotFound { session_id: resource },
            code::AGENT_NOT_FOUND => Error::AgentNotFound { agent: resource },
            code::CHECKPOINT_NOT_FOUND => Error::CheckpointNotFound { name: resource },
            code::MOUNT_NOT_FOUND => Error::MountNotFound { path: place },
            code::MOUNT_BUSY => Error::MountBusy { path: place, users },
            code::PERMISSION_REQUEST_NOT_FOUND => {
                Error::PermissionRequestNotFound { permission_id: resource }
            }
            code::KERNEL => match errno.as_deref().and_then(errno_by_name) {
                Some(errno) => Error::Kernel { errno, operation: operation.unwrap_or_default(), path },
                None => Error::Internal { message },
            },
            code::PERMISSION_DENIED => Error::PermissionDenied(Box::new(permission.unwrap_or_default())),
            code::LIMIT => {
                let limit = limit.unwrap_or_default();
                Error::Limit {
                    name: limit.name,
                    configured: limit.configured,
                    used: limit.used,
                    requested: limit.requested,
                }
            }
            code::TIMEOUT => Error::Timeout { operation: message, after: None },
            code::CANCELLED => Error::Cancelled { message },
            code::AGENT => Error::Agent { message, failure: Box::new(agent.unwrap_or_default()) },
            code::BUSY => Error::Busy { message },
            code::SHUTTING_DOWN => Error::SidecarExited { status: None, last_stderr: vec![message] },
            code::VERSION_MISMATCH => Error::VersionMismatch { message },
            code::PROTOCOL => Error::Transport { message },
            _ => Error::Internal { message },
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind;
        let kind = match error.errno() {
            Some(Errno::ENOENT) => ErrorKind::NotFound,
            Some(Errno::EACCES | Errno::EPERM) => ErrorKind::PermissionDenied,
            Some(Errno::EEXIST) => ErrorKind::AlreadyExists,
            Some(Errno::EISDIR) => ErrorKind::IsADirectory,
            Some(Errno::ENOTDIR) => ErrorKind::NotADirectory,
            Some(Errno::ENOSPC) => ErrorKind::StorageFull,
            Some(Errno::EROFS) => ErrorKind::ReadOnlyFilesystem,
            _ => ErrorKind::Other,
        };
        std::io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_for_people() {
        let timeout = |after| Error::Timeout { operation: "exec".into(), after }.to_string();
        assert_eq!(timeout(Some(Duration::from_secs(10))), "exec: no result within 10s");
        assert_eq!(timeout(None), "exec");
        let limit = |name: &str| {
            Error::Limit { name: name.into(), configured: 100, used: 90, requested: 300 }.to_string()
        };
        assert_eq!(limit("processes"), "limit processes: 90 of 100 in use, 300 more asked for");
        assert_eq!(
            limit(MAX_OUTPUT),
            "more output than max_output of this call allows: 100 bytes, of which 90 were taken when 300 more came"
        );
        assert!(limit(READ_FILE).contains("use open_read"));
    }
}
