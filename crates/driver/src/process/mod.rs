//! The process of a vendor, wherever it runs: a guest of a machine, a program beside the driver, or a script of a test.

#[cfg(unix)]
pub mod host;
mod lines;
mod vendor;

use std::collections::BTreeMap;
use std::fmt;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::ErrorInfo;

pub use lines::{Line, Lines, MAX_LINE};
pub use vendor::{Closed, Input, Output, Vendor};

/// What is to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchSpec {
    /// The program: a name to be looked for, or a path.
    pub program: String,
    /// Its arguments, without the name.
    pub args: Vec<String>,
    /// All of its environment that is not of the launcher's own allow list.
    pub env: BTreeMap<String, String>,
    /// Where it runs; absolute.
    pub cwd: String,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its status.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// What a process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// The hold on a process. Dropped, it kills it.
pub trait ProcessHandle: Send + Sync {
    /// Signals it with all that it has started. Nothing if it has ended.
    fn signal(&self, signal: Signal);

    /// Waits for its end; any number of times.
    fn wait(&self) -> BoxFuture<'_, Exit>;
}

/// A process that runs.
pub struct Launched {
    /// What it reads.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it writes.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// What it logs.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// The hold on it.
    pub handle: Box<dyn ProcessHandle>,
}

impl fmt::Debug for Launched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launched").finish_non_exhaustive()
    }
}

/// Who starts processes.
pub trait Launcher: Send + Sync {
    /// Starts one. Errors say what is missing and where it was looked for.
    fn launch(&self, spec: LaunchSpec) -> BoxFuture<'_, Result<Launched, ErrorInfo>>;
}
