//! Starting programs that stay, feeding and ending them.
//! Their output is kept by the sidecar: see `output`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentos_abi::Signal;
use agentos_protocol::message::{
    ExitStatus, INLINE_LIMIT, Program, SignalProcess, Spawn, SpawnReply, Stdin, WaitProcess,
};

use super::{ProcessHandle, process_options};
use crate::error::{Error, Result};
use crate::vm::AgentOs;

/// Where stdin of a spawned process comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SpawnStdin {
    /// From [`AgentOs::write_process_stdin`], until [`AgentOs::close_process_stdin`].
    #[default]
    Piped,
    /// At its end from the beginning.
    Null,
    /// These bytes, at most 256 KiB.
    Bytes(Vec<u8>),
}

/// Options of [`AgentOs::spawn`].
#[derive(Clone, Debug, Default)]
pub struct SpawnOptions {
    /// Added to the environment of the VM.
    pub env: BTreeMap<String, String>,
    /// Exactly `env`, without the VM's.
    pub clear_env: bool,
    /// Working directory; the VM's.
    pub cwd: Option<String>,
    /// Input.
    pub stdin: SpawnStdin,
    /// After this long the process group is killed.
    pub timeout: Option<Duration>,
    /// After this much CPU time the process gets SIGXCPU, which ends it, and one second of CPU time later SIGKILL.
    pub cpu_time_limit: Option<Duration>,
}

impl AgentOs {
    /// Starts a program and leaves it running. It is found through PATH unless `command` contains `/`. If the future is
    /// dropped before it has the pid, the program is killed.
    ///
    /// # Errors
    /// [`Error::Kernel`] (ENOENT, EACCES, ENOEXEC), [`Error::Limit`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// let cat = os.spawn("cat", ["-n"], Default::default()).await?;
    /// cat.write_stdin("hello\n").await?;
    /// cat.close_stdin().await?;
    /// let mut out = cat.stdout().await?;
    /// while let Some(chunk) = out.next().await {
    ///     print!("{}", String::from_utf8_lossy(&chunk?.data));
    /// }
    /// assert_eq!(cat.wait().await?.exit_code, 0);
    /// # Ok(()) }
    /// ```
    pub async fn spawn<S: Into<String>>(
        &self,
        command: impl Into<String>,
        args: impl IntoIterator<Item = S>,
        options: SpawnOptions,
    ) -> Result<ProcessHandle> {
        let link = self.vm.open()?;
        let mut argv = vec![command.into()];
        argv.extend(args.into_iter().map(Into::into));
        let SpawnOptions { env, clear_env, cwd, stdin, timeout, cpu_time_limit } = options;
        let process = process_options(env, clear_env, cwd.as_deref(), timeout, cpu_time_limit)?;
        let (stdin, pipe) = match stdin {
            SpawnStdin::Null => (Stdin::None, None),
            SpawnStdin::Bytes(bytes) if bytes.len() <= INLINE_LIMIT => (Stdin::Inline(bytes), None),
            SpawnStdin::Bytes(bytes) => {
                let message =
                    format!("stdin of {} bytes: use SpawnStdin::Piped above {INLINE_LIMIT}", bytes.len());
                return Err(Error::InvalidRequest { message });
            }
            SpawnStdin::Piped => {
                let stream = link.open_send().await?;
                (Stdin::Stream(stream.id()), Some(stream))
            }
        };
        let call = Spawn { vm_id: self.vm.id(), program: Program::Argv(argv), options: process, stdin };
        let vm_id = self.vm.id();
        let undo = move |made: SpawnReply| SignalProcess {
            vm_id,
            pid: made.pid,
            signal: signal_name(Signal::SIGKILL),
            group: true,
        };
        let pid = self.vm.make(&call, undo).await?.pid;
        if let Some(stream) = pipe {
            let mut stdins = self.vm.stdins.lock();
            // Those of processes that no longer read are of no use.
            stdins.retain(|_, stdin| stdin.try_lock().map_or(true, |stream| stream.ended().is_none()));
            stdins.insert(pid, Arc::new(tokio::sync::Mutex::new(stream)));
        }
        Ok(ProcessHandle::new(self.clone(), pid))
    }

    /// Writes to stdin of a spawned process; waits while it does not read.
    ///
    /// # Errors
    /// [`Error::ProcessNotFound`] if its stdin is not open; [`Error::Kernel`] EPIPE if it no longer reads.
    pub async fn write_process_stdin(&self, pid: u32, data: impl AsRef<[u8]>) -> Result<()> {
        let stdin = self.vm.stdins.lock().get(&pid).cloned().ok_or(Error::ProcessNotFound { pid })?;
        let written = stdin.lock().await.write_all(data.as_ref()).await;
        match written {
            Ok(()) => Ok(()),
            Err(
                agentos_protocol::mux::StreamError::Closed | agentos_protocol::mux::StreamError::Finished,
            ) => {
                let operation = "write_process_stdin".to_owned();
                Err(Error::Kernel { errno: agentos_abi::Errno::EPIPE, operation, path: None })
            }
            Err(error) => Err(self.vm.link().stream_error(error).await),
        }
    }

    /// Ends stdin of a spawned process, after what was written. Closing it again succeeds.
    ///
    /// # Errors
    /// None at present.
    pub async fn close_process_stdin(&self, pid: u32) -> Result<()> {
        let stdin = self.vm.stdins.lock().remove(&pid);
        if let Some(stdin) = stdin {
            stdin.lock().await.finish();
        }
        Ok(())
    }

    /// Waits for the end of a spawned process; at once if it has ended.
    ///
    /// # Errors
    /// [`Error::ProcessNotFound`].
    pub async fn wait_process(&self, pid: u32) -> Result<ExitStatus> {
        self.vm.call(&WaitProcess { vm_id: self.vm.id(), pid }).await
    }

    /// As [`AgentOs::wait_process`]; the waiting begins at once, and the future needs no borrow.
    pub fn on_process_exit(&self, pid: u32) -> impl Future<Output = Result<ExitStatus>> + Send + 'static {
        let call = WaitProcess { vm_id: self.vm.id(), pid };
        let started = self.vm.open().map(|link| link.connection().start_call(&call));
        let vm = Arc::clone(&self.vm);
        async move {
            let ended = match started? {
                Ok(pending) => pending.await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(status) => Ok(status),
                Err(error) => Err(vm.link().error(error).await),
            }
        }
    }

    /// Sends a signal to a process.
    ///
    /// # Errors
    /// [`Error::ProcessNotFound`]; [`Error::Kernel`] ESRCH if it has ended, EPERM.
    pub async fn signal_process(&self, pid: u32, signal: Signal) -> Result<()> {
        let signal = signal_name(signal);
        self.vm.call(&SignalProcess { vm_id: self.vm.id(), pid, signal, group: false }).await?;
        Ok(())
    }

    /// Asks a process to end (SIGTERM).
    ///
    /// # Errors
    /// As [`AgentOs::signal_process`].
    pub async fn stop_process(&self, pid: u32) -> Result<()> {
        self.signal_process(pid, Signal::SIGTERM).await
    }

    /// Ends a process (SIGKILL).
    ///
    /// # Errors
    /// As [`AgentOs::signal_process`].
    pub async fn kill_process(&self, pid: u32) -> Result<()> {
        self.signal_process(pid, Signal::SIGKILL).await
    }
}

fn signal_name(signal: Signal) -> String {
    signal.name().to_owned()
}
