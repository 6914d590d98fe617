//! A terminal in a VM as a value: the methods of [`AgentOs`] without the id.
//! Dropping it does not close the terminal.

use agentos_protocol::message::ExitStatus;

use super::TerminalPolicy;
use crate::error::Result;
use crate::processes::ProcessOutput;
use crate::vm::AgentOs;

/// A terminal in a VM.
#[derive(Clone, Debug)]
pub struct ShellHandle {
    /// Its id, unique in its VM.
    pub shell_id: String,
    /// Its program, which leads the session.
    pub pid: u32,
    os: AgentOs,
}

impl ShellHandle {
    pub(super) const fn new(os: AgentOs, shell_id: String, pid: u32) -> Self {
        ShellHandle { shell_id, pid, os }
    }

    /// [`AgentOs::write_shell`].
    ///
    /// # Errors
    /// As there.
    pub async fn write(&self, data: impl AsRef<[u8]>) -> Result<()> {
        self.os.write_shell(&self.shell_id, data).await
    }

    /// [`AgentOs::on_shell_data`].
    ///
    /// # Errors
    /// As there.
    pub async fn data(&self) -> Result<ProcessOutput> {
        self.os.on_shell_data(&self.shell_id).await
    }

    /// [`AgentOs::resize_shell`].
    ///
    /// # Errors
    /// As there.
    pub async fn resize(&self, cols: u16, rows: u16) -> Result<()> {
        self.os.resize_shell(&self.shell_id, cols, rows).await
    }

    /// [`AgentOs::close_shell`].
    ///
    /// # Errors
    /// As there.
    pub async fn close(&self) -> Result<()> {
        self.os.close_shell(&self.shell_id).await
    }

    /// [`AgentOs::wait_shell`].
    ///
    /// # Errors
    /// As there.
    pub async fn wait(&self) -> Result<ExitStatus> {
        self.os.wait_shell(&self.shell_id).await
    }

    /// Lends it the terminal of this program, as [`AgentOs::connect_terminal`] does for a new one: what was shown lately is
    /// shown again. When the future is dropped, the terminal in the VM stays.
    ///
    /// # Errors
    /// As there.
    pub async fn connect_terminal(&self, policy: TerminalPolicy) -> Result<ExitStatus> {
        super::connect::connect(self, policy).await
    }
}
