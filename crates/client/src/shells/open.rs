//! Opening terminals, typing into them, resizing and ending them.
//! Their output is kept by the sidecar: it is read as that of processes.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentos_abi::Errno;
use agentos_protocol::message::{
    CloseShell, ExitStatus, ListShells, OpenShell, OpenShellReply, ReadShell, ResizeShell, ShellInfo,
    WaitShell,
};
use agentos_protocol::mux::StreamError;

use super::ShellHandle;
use crate::error::{Error, Result};
use crate::processes::{ProcessOutput, process_options};
use crate::vm::AgentOs;

/// Options of [`AgentOs::open_shell`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenShellOptions {
    /// The program, found through PATH unless it contains `/`; the VM's `SHELL` as an interactive login shell.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Added to the environment of the VM. `TERM` is `xterm-256color` unless given.
    pub env: BTreeMap<String, String>,
    /// Exactly `env`, without the VM's.
    pub clear_env: bool,
    /// Working directory; the VM's.
    pub cwd: Option<String>,
    /// Columns; 80.
    pub cols: Option<u16>,
    /// Rows; 24.
    pub rows: Option<u16>,
}

impl AgentOs {
    /// Opens a terminal and starts a program on it, in a session of its own. If the future is dropped before it has the id,
    /// the terminal is closed.
    ///
    /// # Errors
    /// [`Error::Kernel`] (ENOENT, EACCES, ENOEXEC), [`Error::Limit`] (`ptys`, processes), [`Error::InvalidRequest`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// let shell = os.open_shell(Default::default()).await?;
    /// let mut screen = shell.data().await?;
    /// shell.write("echo hello; exit 3\n").await?;
    /// while let Some(chunk) = screen.next().await {
    ///     print!("{}", String::from_utf8_lossy(&chunk?.data));
    /// }
    /// assert_eq!(shell.wait().await?.exit_code, 3);
    /// # Ok(()) }
    /// ```
    pub async fn open_shell(&self, options: OpenShellOptions) -> Result<ShellHandle> {
        let link = self.vm.open()?;
        let OpenShellOptions { command, args, env, clear_env, cwd, cols, rows } = options;
        if cols == Some(0) || rows == Some(0) {
            return Err(no_size());
        }
        let options = process_options(env, clear_env, cwd.as_deref(), None, None)?;
        let input = link.open_send().await?;
        let vm_id = self.vm.id();
        let call = OpenShell { vm_id: vm_id.clone(), command, args, options, cols, rows, input: input.id() };
        let undo = move |made: OpenShellReply| CloseShell { vm_id, shell_id: made.shell_id };
        let OpenShellReply { shell_id, pid } = self.vm.make(&call, undo).await?;
        let mut inputs = self.vm.shell_inputs.lock();
        // Those of terminals that are gone are of no use.
        inputs.retain(|_, input| input.try_lock().map_or(true, |stream| stream.ended().is_none()));
        inputs.insert(shell_id.clone(), Arc::new(tokio::sync::Mutex::new(input)));
        drop(inputs);
        Ok(ShellHandle::new(self.clone(), shell_id, pid))
    }

    /// Types into a terminal; waits while nobody reads what was typed before.
    ///
    /// # Errors
    /// [`Error::ShellNotFound`]; [`Error::Kernel`] EIO if its program has ended.
    pub async fn write_shell(&self, shell_id: &str, data: impl AsRef<[u8]>) -> Result<()> {
        let input = self.vm.shell_inputs.lock().get(shell_id).cloned();
        let Some(input) = input else {
            self.vm.open()?;
            return Err(Error::ShellNotFound { shell_id: shell_id.to_owned() });
        };
        let written = input.lock().await.write_all(data.as_ref()).await;
        match written {
            Ok(()) => Ok(()),
            Err(StreamError::Closed | StreamError::Finished) => {
                let operation = "write_shell".to_owned();
                Err(Error::Kernel { errno: Errno::EIO, operation, path: None })
            }
            Err(error) => Err(self.vm.link().stream_error(error).await),
        }
    }

    /// What a terminal shows, from the first byte that is still kept. It ends when the program has ended and everything
    /// was shown. A reader that is slow stops the terminal at a full ring.
    ///
    /// # Errors
    /// [`Error::ShellNotFound`].
    pub async fn on_shell_data(&self, shell_id: &str) -> Result<ProcessOutput> {
        self.on_shell_data_from(shell_id, 0).await
    }

    /// As [`AgentOs::on_shell_data`] from an offset; later if the ring no longer has it.
    ///
    /// # Errors
    /// [`Error::ShellNotFound`].
    pub async fn on_shell_data_from(&self, shell_id: &str, from_offset: u64) -> Result<ProcessOutput> {
        let link = self.vm.open()?;
        let stream = link.open_recv().await?;
        let (vm_id, shell_id) = (self.vm.id(), shell_id.to_owned());
        let call = ReadShell { vm_id, shell_id, from_offset, follow: true, stream: stream.id() };
        let offset = link.call(&call).await?.start_offset;
        Ok(ProcessOutput::new(stream, offset, self.vm.link()))
    }

    /// Sets the size of a terminal. If it differs, the foreground process group gets SIGWINCH.
    ///
    /// # Errors
    /// [`Error::ShellNotFound`]; [`Error::InvalidRequest`] for a size of 0.
    pub async fn resize_shell(&self, shell_id: &str, cols: u16, rows: u16) -> Result<()> {
        if cols == 0 || rows == 0 {
            return Err(no_size());
        }
        let (vm_id, shell_id) = (self.vm.id(), shell_id.to_owned());
        self.vm.call(&ResizeShell { vm_id, shell_id, cols, rows }).await?;
        Ok(())
    }

    /// Hangs a terminal up: its session gets SIGHUP, and SIGKILL what does not end within a second. Returns when no process
    /// of the session is left; the terminal is forgotten. A process that has begun a session of its own lives on, as long
    /// as the VM.
    ///
    /// # Errors
    /// [`Error::ShellNotFound`].
    pub async fn close_shell(&self, shell_id: &str) -> Result<()> {
        self.vm.shell_inputs.lock().remove(shell_id);
        self.vm.call(&CloseShell { vm_id: self.vm.id(), shell_id: shell_id.to_owned() }).await?;
        Ok(())
    }

    /// Waits for the end of the program of a terminal; at once if it has ended.
    ///
    /// # Errors
    /// [`Error::ShellNotFound`].
    pub async fn wait_shell(&self, shell_id: &str) -> Result<ExitStatus> {
        self.vm.call(&WaitShell { vm_id: self.vm.id(), shell_id: shell_id.to_owned() }).await
    }

    /// The terminals that were opened and not closed, those whose program has ended too while they are kept.
    ///
    /// # Errors
    /// [`Error::Disposed`].
    pub async fn list_shells(&self) -> Result<Vec<ShellInfo>> {
        Ok(self.vm.call(&ListShells { vm_id: self.vm.id() }).await?.shells)
    }
}

fn no_size() -> Error {
    Error::InvalidRequest { message: "a terminal has at least one column and one row".to_owned() }
}
