//! A spawned process as a value: the methods of [`AgentOs`] without the pid.
//! Dropping it does not end the process.

use agentos_abi::Signal;
use agentos_protocol::message::ExitStatus;

use super::ProcessOutput;
use crate::error::Result;
use crate::vm::AgentOs;

/// A spawned process.
#[derive(Clone, Debug)]
pub struct ProcessHandle {
    /// Its pid.
    pub pid: u32,
    os: AgentOs,
}

impl ProcessHandle {
    pub(super) const fn new(os: AgentOs, pid: u32) -> Self {
        ProcessHandle { pid, os }
    }

    /// [`AgentOs::write_process_stdin`].
    ///
    /// # Errors
    /// As there.
    pub async fn write_stdin(&self, data: impl AsRef<[u8]>) -> Result<()> {
        self.os.write_process_stdin(self.pid, data).await
    }

    /// [`AgentOs::close_process_stdin`].
    ///
    /// # Errors
    /// As there.
    pub async fn close_stdin(&self) -> Result<()> {
        self.os.close_process_stdin(self.pid).await
    }

    /// [`AgentOs::on_process_stdout`].
    ///
    /// # Errors
    /// As there.
    pub async fn stdout(&self) -> Result<ProcessOutput> {
        self.os.on_process_stdout(self.pid).await
    }

    /// [`AgentOs::on_process_stderr`].
    ///
    /// # Errors
    /// As there.
    pub async fn stderr(&self) -> Result<ProcessOutput> {
        self.os.on_process_stderr(self.pid).await
    }

    /// [`AgentOs::wait_process`].
    ///
    /// # Errors
    /// As there.
    pub async fn wait(&self) -> Result<ExitStatus> {
        self.os.wait_process(self.pid).await
    }

    /// [`AgentOs::signal_process`].
    ///
    /// # Errors
    /// As there.
    pub async fn signal(&self, signal: Signal) -> Result<()> {
        self.os.signal_process(self.pid, signal).await
    }

    /// [`AgentOs::stop_process`].
    ///
    /// # Errors
    /// As there.
    pub async fn stop(&self) -> Result<()> {
        self.os.stop_process(self.pid).await
    }

    /// [`AgentOs::kill_process`].
    ///
    /// # Errors
    /// As there.
    pub async fn kill(&self) -> Result<()> {
        self.os.kill_process(self.pid).await
    }
}
