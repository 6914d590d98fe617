//! Terminals: a program in a session of its own on a pseudo terminal, whose master is here. Two tasks move bytes: from the
//! client to the keyboard side, from the screen side into a ring, which is read as that of a spawned process.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentos_executor::{Invocation, Launch};
use agentos_kernel::tty::{Typeahead, Winsize};
use agentos_kernel::{HostStream, Process, Terminal};
use agentos_protocol::WireError;
use agentos_protocol::message::{
    CloseShell, Empty, ExitStatus, ListShells, OpenShell, OpenShellReply, Program, ReadShell, ResizeShell,
    ShellInfo, ShellList, WaitShell, code,
};
use agentos_protocol::mux::{RecvStream, Responder};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::outputs::send_ring;
use super::processes::{Prepared, exit_status, prepare};
use crate::connection::Client;
use crate::errors;
use crate::stdio::Ring;
use crate::vm::Vm;

/// Terminals whose program has ended that stay in the listing.
const ENDED_KEPT: usize = 64;
/// Bytes moved at a time.
const CHUNK: usize = 16 << 10;
/// From SIGHUP to SIGKILL.
const GRACE: Duration = Duration::from_secs(1);
/// How long killed processes may take to end; more means that the host is overloaded.
const KILL_TIME: Duration = Duration::from_secs(10);
/// Between two looks at processes that are ending.
const LOOK: Duration = Duration::from_millis(5);
/// More than can wait in a terminal to be shown when its program ends, output and echo.
const QUEUE: usize = 128 << 10;
/// The shell of an environment that names none.
const SHELL: &str = "/bin/sh";
/// What a terminal is if nobody says.
const TERM: &[u8] = b"TERM=xterm-256color";

/// A terminal of a VM.
pub(crate) struct Shell {
    number: u64,
    process: Arc<Process>,
    command: String,
    args: Vec<String>,
    /// Until it is hung up.
    terminal: Mutex<Option<Arc<Terminal>>>,
    size: Mutex<Winsize>,
    ring: Arc<Ring>,
    /// The program has ended.
    ended: CancellationToken,
    /// Nobody is to wait for what is not shown yet.
    closed: CancellationToken,
}

impl Shell {
    fn id(&self) -> String {
        format!("shell-{}", self.number)
    }

    /// Moves what is shown into the ring, to the end of the program and of what it has shown.
    async fn show(&self, terminal: &Terminal) {
        let mut buffer = vec![0; CHUNK];
        let mut left = usize::MAX;
        loop {
            if self.ended.is_cancelled() {
                // Others may open the terminal anew and write for ever: what can have been there is the end.
                left = left.min(QUEUE);
            }
            if left == 0 {
                break;
            }
            let most = left.min(CHUNK);
            let n = tokio::select! {
                biased;
                () = self.closed.cancelled() => break,
                n = terminal.read(&mut buffer[..most]) => n,
                // What it had written was there before; what others write later is not waited for.
                () = self.ended.cancelled() => break,
            };
            if n == 0 {
                break;
            }
            left -= n;
            let mut rest = &buffer[..n];
            while !rest.is_empty() {
                let written = tokio::select! {
                    biased;
                    () = self.closed.cancelled() => break,
                    written = poll_fn(|cx| self.ring.poll_write(cx, rest)) => written,
                };
                rest = &rest[written.unwrap_or(rest.len())..];
            }
        }
        self.hang_up();
    }

    /// Moves what is typed to the terminal.
    async fn keys(&self, terminal: &Terminal, typed: RecvStream) {
        let moved = async {
            let (mut ahead, mut typing) = (Typeahead::default(), true);
            while typing || !ahead.is_empty() {
                tokio::select! {
                    // Also while the terminal takes nothing: a signal may be among it.
                    chunk = typed.next_chunk(), if typing && ahead.has_room() => match chunk {
                        Ok(Some(chunk)) => ahead.push(&chunk),
                        Ok(None) | Err(_) => typing = false,
                    },
                    taken = poll_fn(|cx| terminal.poll_type(cx, &mut ahead)), if !ahead.is_empty() => {
                        if taken.is_err() {
                            return;
                        }
                        tokio::task::yield_now().await;
                    }
                }
            }
            // Nobody types any more, but the terminal stays.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = moved => {}
            () = self.ended.cancelled() => {}
            () = self.closed.cancelled() => {}
        }
        // The client's writes fail from now on, instead of filling a window that nobody empties.
        typed.close();
    }

    /// The end of the terminal: its session gets SIGHUP, and its readers the end.
    fn hang_up(&self) {
        self.closed.cancel();
        self.ring.close();
        if let Some(terminal) = self.terminal.lock().take() {
            *self.size.lock() = terminal.size();
            terminal.hang_up();
        }
    }

    /// Hangs up and waits for the end of the session; what does not end in time is killed.
    async fn close(&self, vm: &Vm) {
        self.hang_up();
        let begin = Instant::now();
        loop {
            if vm.kernel().session_count(self.process.pid) == 0 {
                return;
            }
            if begin.elapsed() >= GRACE {
                vm.kernel().kill_session(self.process.pid);
            }
            if begin.elapsed() >= GRACE + KILL_TIME {
                return tracing::error!(vm = %vm.id, shell = self.number, "processes did not end in time");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn info(&self) -> ShellInfo {
        let exit = self.process.exit_info();
        let size = self.terminal.lock().as_ref().map_or_else(|| *self.size.lock(), |t| t.size());
        ShellInfo {
            shell_id: self.id(),
            pid: self.process.pid.0,
            command: self.command.clone(),
            args: self.args.clone(),
            cols: size.cols,
            rows: size.rows,
            running: exit.is_none(),
            exit_code: exit.map(|info| info.status.shell_status()),
        }
    }
}

fn no_shell(id: &str) -> WireError {
    WireError::not_found(code::SHELL_NOT_FOUND, id)
}

fn find(vm: &Vm, id: &str) -> Result<Arc<Shell>, WireError> {
    let number = id.strip_prefix("shell-").and_then(|number| number.parse().ok());
    let shell = number.and_then(|number: u64| vm.shells.lock().get(&number).cloned());
    // `shell-01` is none.
    shell.filter(|shell| shell.id() == id).ok_or_else(|| no_shell(id))
}

/// Hangs up all terminals of a VM that ends; what does not end at once is killed with it.
pub(crate) fn close_all(vm: &Vm) {
    let shells = std::mem::take(&mut *vm.shells.lock());
    for shell in shells.values() {
        shell.hang_up();
    }
}

/// What is to be started: the VM's `SHELL` as an interactive login shell, unless the request has a program.
fn invocation(vm: &Vm, request: &OpenShell) -> Result<(Prepared, String), WireError> {
    let value = |env: &[Vec<u8>], name: &str| {
        let found = env.iter().find_map(|v| v.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
        found.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let command = match &request.command {
        Some(command) => command.clone(),
        None => request
            .options
            .env
            .get("SHELL")
            .cloned()
            .or_else(|| value(vm.kernel().env(), "SHELL"))
            .filter(|shell| !shell.is_empty())
            .unwrap_or_else(|| SHELL.to_owned()),
    };
    let argv = std::iter::once(command.clone()).chain(request.args.iter().cloned()).collect();
    let mut prepared = prepare(vm, &Program::Argv(argv), &request.options)?;
    let Invocation { argv, env, .. } = &mut prepared.invocation;
    if request.command.is_none() {
        // A name that begins with `-` makes a login shell, and one of the standard name would be a POSIX shell.
        let name = match command.rsplit('/').next() {
            None | Some("" | "sh") => "bash",
            Some(name) => name,
        };
        argv[0] = format!("-{name}").into_bytes();
    }
    if value(env, "TERM").is_none() {
        Arc::make_mut(env).push(TERM.to_vec());
    }
    Ok((prepared, command))
}

pub(super) fn open(client: &Client, request: OpenShell, responder: Responder) {
    let vm = match client.vm(&request.vm_id) {
        Ok(vm) => vm,
        Err(error) => return responder.error(&error),
    };
    let set_up = || {
        let invalid = |message: String| WireError::new(code::INVALID_REQUEST, message);
        let typed = responder.connection().accept_recv(request.input).map_err(|e| invalid(e.to_string()))?;
        let size = Winsize {
            cols: request.cols.unwrap_or(vm.terminal_size.cols),
            rows: request.rows.unwrap_or(vm.terminal_size.rows),
            ..vm.terminal_size
        };
        sized(size)?;
        let (prepared, command) = invocation(&vm, &request)?;
        let terminal = vm.kernel().open_terminal(size).map_err(|e| errors::kernel(&e))?;
        let stdio = terminal.stdio().map_err(|e| WireError::kernel(e.name(), "open", None))?;
        Ok((typed, prepared, command, Arc::new(terminal), stdio))
    };
    let (typed, prepared, command, terminal, stdio) = match set_up() {
        Ok(set_up) => set_up,
        Err(error) => return responder.error(&error),
    };
    tokio::spawn(async move {
        let Prepared { invocation, cwd, cpu_limit_ns, .. } = prepared;
        let cwd = match vm.directory(cwd.as_deref()).await {
            Ok(cwd) => cwd,
            Err(error) => return responder.error(&error),
        };
        let launch = Launch { invocation, cwd, stdio, controlling: true, cpu_limit_ns, agent: false };
        let ended = CancellationToken::new();
        let at_end = ended.clone();
        let of_vm = Arc::clone(&vm);
        vm.machine.launch(
            launch,
            move |started| match started {
                Ok(process) => {
                    let shell = Shell {
                        number: of_vm.host.next_id(),
                        process: Arc::clone(process),
                        command,
                        args: request.args,
                        size: Mutex::new(terminal.size()),
                        terminal: Mutex::new(Some(Arc::clone(&terminal))),
                        ring: Ring::new(of_vm.output_bytes),
                        ended,
                        closed: CancellationToken::new(),
                    };
                    started_on(&of_vm, shell, terminal, typed, responder);
                }
                Err(error) => responder.error(&errors::load(&error)),
            },
            move |_, _| at_end.cancel(),
        );
    });
}

fn started_on(vm: &Arc<Vm>, shell: Shell, terminal: Arc<Terminal>, typed: RecvStream, responder: Responder) {
    let shell = Arc::new(shell);
    // Nobody would ever end what nobody knows of.
    if responder.cancelled().is_cancelled() {
        shell.hang_up();
        vm.kernel().kill_job(shell.process.pid);
        return responder.error(&WireError::new(code::CANCELLED, "the caller cancelled it"));
    }
    remember(vm, &shell);
    let (shows, keys, keyboard) = (Arc::clone(&shell), Arc::clone(&shell), Arc::clone(&terminal));
    // This runs on a guest thread, which has the wire's runtime at hand.
    tokio::spawn(async move { shows.show(&terminal).await });
    tokio::spawn(async move { keys.keys(&keyboard, typed).await });
    let reply = OpenShellReply { shell_id: shell.id(), pid: shell.process.pid.0 };
    responder.reply::<OpenShell>(Ok(reply));
}

fn remember(vm: &Vm, shell: &Arc<Shell>) {
    let mut all = vm.shells.lock();
    let ended: Vec<u64> =
        all.iter().filter(|(_, s)| s.process.exit_info().is_some()).map(|(number, _)| *number).collect();
    for number in ended.iter().take(ended.len().saturating_sub(ENDED_KEPT)) {
        all.remove(number);
    }
    all.insert(shell.number, Arc::clone(shell));
}

fn sized(size: Winsize) -> Result<(), WireError> {
    if size.cols == 0 || size.rows == 0 {
        let message = "a terminal has at least one column and one row";
        return Err(WireError::new(code::INVALID_REQUEST, message));
    }
    Ok(())
}

pub(super) fn read(client: &Client, r: &ReadShell, responder: Responder) {
    match client.vm(&r.vm_id).and_then(|vm| find(&vm, &r.shell_id)) {
        Ok(shell) => send_ring::<ReadShell>(&shell.ring, r.from_offset, r.follow, r.stream, responder),
        Err(error) => responder.error(&error),
    }
}

pub(super) async fn resize(vm: Arc<Vm>, r: ResizeShell) -> Result<Empty, WireError> {
    let shell = find(&vm, &r.shell_id)?;
    let asked = Winsize { cols: r.cols, rows: r.rows, ..vm.terminal_size };
    sized(asked)?;
    // One that has ended has nobody to tell.
    if let Some(terminal) = &*shell.terminal.lock() {
        terminal.resize(asked);
    }
    Ok(Empty {})
}

pub(super) async fn close(vm: Arc<Vm>, r: CloseShell) -> Result<Empty, WireError> {
    let shell = find(&vm, &r.shell_id)?;
    vm.shells.lock().remove(&shell.number);
    // Goes on if the caller does not wait for it.
    let closing = tokio::spawn(async move { shell.close(&vm).await });
    let _ = closing.await;
    Ok(Empty {})
}

pub(super) async fn wait(vm: Arc<Vm>, r: WaitShell) -> Result<ExitStatus, WireError> {
    let shell = find(&vm, &r.shell_id)?;
    let info = shell.process.wait_exit().await;
    Ok(exit_status(&info, false))
}

pub(super) async fn list(vm: Arc<Vm>, _r: ListShells) -> Result<ShellList, WireError> {
    let shells = vm.shells.lock().values().map(|shell| shell.info()).collect();
    Ok(ShellList { shells })
}
