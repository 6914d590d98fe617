//! A terminal in a VM on the terminal of this program: bytes both ways, the window's size, and the end.
//! How the terminal of this program is taken and given back is in `host`, what it may be told in `filter`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentos_abi::Signal;
use agentos_protocol::message::{CloseShell, ExitStatus};
use rustix::process::{getpid, kill_process};

use super::host::{HostTerminal, Keyboard, Screen, Tty};
use super::signals::{Came, Signals};
use super::{OpenShellOptions, ShellHandle, TerminalPolicy};
use crate::error::{Error, Result};
use crate::processes::ProcessOutput;
use crate::vm::{AgentOs, Vm};
use crate::wire;

/// How long a terminal may take to answer what it was asked.
const ANSWER: Duration = Duration::from_millis(100);
/// A question before this is answered.
const ANSWERED: Duration = Duration::from_secs(1);

/// Options of [`AgentOs::connect_terminal`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectTerminalOptions {
    /// What to open. The size is that of the terminal of this program, and so is `TERM`, unless they are given.
    pub shell: OpenShellOptions,
    /// What it may do to the terminal of this program beyond drawing on it.
    pub policy: TerminalPolicy,
}

/// Closes a terminal in the VM that nobody has any more.
struct Closing {
    vm: Arc<Vm>,
    shell_id: Option<String>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let Some(shell_id) = self.shell_id.take() else { return };
        self.vm.shell_inputs.lock().remove(&shell_id);
        let call = CloseShell { vm_id: self.vm.id(), shell_id };
        // Best effort: if it cannot be sent, the VM ends with the connection.
        if let (Ok(pending), Ok(wire)) = (self.vm.link().connection().start_call(&call), wire::wire()) {
            wire.spawn(pending);
        }
    }
}

impl AgentOs {
    /// Opens a terminal in the VM and lends it the terminal of this program, which is put in raw mode, until its program
    /// ends; returns how. Output passes a [`super::TerminalFilter`].
    ///
    /// Standard input must be a terminal. It is given back as it was on every way out: the end of the program, an error, a
    /// panic, the death of the sidecar, a dropped future, and SIGTERM, SIGHUP, SIGINT and SIGQUIT to this program, which
    /// end the connection. From the first call on, these signals do not end this program any more by themselves.
    /// Except at the regular end, the terminal in the VM is closed.
    ///
    /// # Errors
    /// As [`AgentOs::open_shell`]; [`Error::InvalidRequest`] if standard input is no terminal; [`Error::Interrupted`];
    /// [`Error::SidecarExited`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// let status = os.connect_terminal(Default::default()).await?;
    /// println!("the shell ended with {}", status.exit_code);
    /// # Ok(()) }
    /// ```
    pub async fn connect_terminal(&self, options: ConnectTerminalOptions) -> Result<ExitStatus> {
        let ConnectTerminalOptions { mut shell, policy } = options;
        // Nothing is made in the VM for a program without a terminal.
        let size = HostTerminal::size()?;
        shell.cols = shell.cols.or(size.map(|(cols, _)| cols));
        shell.rows = shell.rows.or(size.map(|(_, rows)| rows));
        if !shell.env.contains_key("TERM")
            && let Ok(term) = std::env::var("TERM")
            && !term.is_empty()
        {
            shell.env.insert("TERM".to_owned(), term);
        }
        let opened = self.open_shell(shell).await?;
        let mut closing = Closing { vm: Arc::clone(&self.vm), shell_id: Some(opened.shell_id.clone()) };
        let status = connect(&opened, policy).await?;
        // The program has ended by itself; what it left in the background is none of ours.
        closing.shell_id = None;
        Ok(status)
    }
}

/// Lends the terminal of this program to `shell` until its program ends.
pub(super) async fn connect(shell: &ShellHandle, policy: TerminalPolicy) -> Result<ExitStatus> {
    let shown = shell.data().await?;
    let mut signals = Signals::watch()?;
    let mut terminal = HostTerminal::take(policy)?;
    let HostTerminal { keyboard, screen, tty } = &mut terminal;
    let tty = &*tty;
    // Signals are heard to the very end: a program may close its terminal and live on, a terminal may take no more.
    let to_the_end = async {
        let asked = show(shown, screen).await?;
        let recent = asked.is_some_and(|asked| asked.elapsed() < ANSWERED);
        let status = shell.wait().await?;
        screen.finish().await?;
        if recent {
            // The answer is for nobody now: not for the program that has the terminal next.
            wire::sleep(ANSWER)?.await;
            tty.discard_input();
        }
        Ok(status)
    };
    tokio::select! {
        biased;
        never = follow(shell, tty, &mut signals) => match never? {},
        status = to_the_end => status,
        never = forward(shell, keyboard) => match never? {},
    }
}

/// What the guest shows, to its end. Returns when the terminal was last asked for something.
async fn show(mut shown: ProcessOutput, screen: &mut Screen) -> Result<Option<Instant>> {
    let mut asked = None;
    while let Some(piece) = shown.next().await {
        if screen.show(&piece?.data).await? {
            asked = Some(Instant::now());
        }
    }
    Ok(asked)
}

/// What is typed.
async fn forward(shell: &ShellHandle, keyboard: &mut Keyboard) -> Result<Infallible> {
    while let Some(typed) = keyboard.next().await? {
        match shell.write(&typed).await {
            // Its program has ended, which its output will say.
            Ok(()) | Err(Error::Kernel { .. } | Error::ShellNotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Interrupted { signal: Signal::SIGHUP })
}

/// What happens to this program and to its window.
async fn follow(shell: &ShellHandle, tty: &Tty, signals: &mut Signals) -> Result<Infallible> {
    let mut size = None;
    loop {
        if let Some((cols, rows)) = tty.size()
            && size != Some((cols, rows))
        {
            size = Some((cols, rows));
            match shell.resize(cols, rows).await {
                Ok(()) | Err(Error::Kernel { .. } | Error::ShellNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match signals.next().await {
            Came::End(signal) => return Err(Error::Interrupted { signal }),
            Came::Resized => {}
            Came::Continued => tty.raw()?,
            Came::Stop => {
                tty.cooked();
                // As the default action would. SIGCONT is seen when this program goes on.
                let _ = kill_process(getpid(), rustix::process::Signal::STOP);
            }
        }
    }
}
