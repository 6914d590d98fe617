//! Errors that the host side sees: an errno with what was done to what, or a limit.

use crate::Errno;
use crate::permissions::Denial;

/// A limit that was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit {name} of {configured} reached: {used} in use, {requested} more requested")]
pub struct LimitHit {
    /// Name of the limit as in the client API, such as `processes`.
    pub name: &'static str,
    /// Its configured value.
    pub configured: u64,
    /// What was in use.
    pub used: u64,
    /// What was asked for in addition.
    pub requested: u64,
}

impl LimitHit {
    /// What a guest sees of it.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self.name {
            "argvEnvBytes" => Errno::E2BIG,
            "filesystemBytes" | "inodes" => Errno::ENOSPC,
            "pathBytes" | "nameBytes" => Errno::ENAMETOOLONG,
            "symlinkDepth" => Errno::ELOOP,
            "processMemory" | "agentMemory" | "vmMemory" => Errno::ENOMEM,
            "pipes" => Errno::ENFILE,
            _ => Errno::EAGAIN,
        }
    }
}

/// An error of an operation that the host asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The operation failed as a system call would.
    #[error("{operation} {path}: {errno}")]
    Failed {
        /// The error.
        errno: Errno,
        /// What was tried, such as `open`.
        operation: &'static str,
        /// On what.
        path: String,
    },
    /// A limit of the VM was hit.
    #[error(transparent)]
    Limit(#[from] LimitHit),
    /// The permission tree forbids it.
    #[error("{} of {} is denied", .0.operation, String::from_utf8_lossy(&.0.resource))]
    Denied(Box<Denial>),
    /// There is no such process.
    #[error("no process {pid}")]
    NoProcess {
        /// The process.
        pid: u32,
    },
    /// The VM is being disposed.
    #[error("the VM is disposed")]
    Disposed,
}

impl KernelError {
    /// A failed operation.
    #[must_use]
    pub fn failed(errno: Errno, operation: &'static str, path: impl AsRef<[u8]>) -> Self {
        Self::Failed { errno, operation, path: String::from_utf8_lossy(path.as_ref()).into_owned() }
    }

    /// The errno that a guest would see.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::Failed { errno, .. } => *errno,
            Self::Limit(hit) => hit.errno(),
            Self::Denied(_) => Errno::EACCES,
            Self::NoProcess { .. } | Self::Disposed => Errno::ESRCH,
        }
    }
}
