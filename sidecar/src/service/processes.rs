//! Running programs: `exec` to the end, `spawn` to be left running.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use agentos_executor::{Invocation, Launch, LoadError};
use agentos_kernel::{Description, ExitInfo, HostStream, Pid, Process, WaitStatus};
use agentos_protocol::message::{
    Captured, Exec, ExecReply, ExitStatus, INLINE_LIMIT, OUTPUT_INLINE_LIMIT, Output, ProcessOptions,
    Program, Spawn, SpawnReply, Stdin, code,
};
use agentos_protocol::mux::Responder;
use agentos_protocol::{Connection, WireError};
use agentos_vfs::Location;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config::variable;
use crate::connection::{Client, begin};
use crate::errors;
use crate::stdio::{Capture, InlineInput, Live, Nothing, Ring, StreamInput};
use crate::vm::Vm;

/// Ended processes that stay in the listing.
const ENDED_KEPT: usize = 256;
/// Spawned processes at once.
const SPAWNED: usize = 4096;

/// A program that the host spawned.
pub(crate) struct Spawned {
    pub(crate) process: Arc<Process>,
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    pub(crate) stdout: Arc<Ring>,
    pub(crate) stderr: Arc<Ring>,
    pub(crate) timed_out: Arc<AtomicBool>,
}

/// How a process ended, for the wire.
pub(crate) fn exit_status(info: &ExitInfo, timed_out: bool) -> ExitStatus {
    let signal = match info.status {
        WaitStatus::Signaled(signal) => agentos_kernel::Signal::from_raw(signal).map(|s| s.name().to_owned()),
        _ => None,
    };
    let limit = info.limit.map(errors::limit_info);
    ExitStatus { exit_code: info.status.shell_status(), signal, timed_out, limit }
}

/// What a request becomes.
pub(super) struct Prepared {
    pub(super) invocation: Invocation,
    pub(super) cwd: Option<Vec<u8>>,
    pub(super) cpu_limit_ns: u64,
    timeout: Option<Duration>,
}

pub(super) fn prepare(vm: &Vm, program: &Program, options: &ProcessOptions) -> Result<Prepared, WireError> {
    let argv: Vec<Vec<u8>> = match program {
        Program::Shell(line) => ["/bin/sh", "-c", line].iter().map(|s| s.as_bytes().to_vec()).collect(),
        Program::Argv(argv) => argv.iter().map(|s| s.as_bytes().to_vec()).collect(),
    };
    let invalid = |message: &str| WireError::new(code::INVALID_REQUEST, message);
    let path = argv.first().cloned().ok_or_else(|| invalid("the argument list is empty"))?;
    if argv.iter().any(|a| a.contains(&0)) {
        return Err(invalid("an argument contains a NUL byte"));
    }
    let env = if options.env.is_empty() && !options.clear_env {
        Arc::clone(vm.kernel().env())
    } else {
        let mut env: Vec<Vec<u8>> = if options.clear_env {
            Vec::new()
        } else {
            let given = |v: &[u8]| {
                let name = v.split(|b| *b == b'=').next().unwrap_or_default();
                options.env.keys().any(|k| k.as_bytes() == name)
            };
            vm.kernel().env().iter().filter(|v| !given(v)).cloned().collect()
        };
        for (name, value) in &options.env {
            env.push(variable("env", name, value)?);
        }
        Arc::new(env)
    };
    Ok(Prepared {
        invocation: Invocation { path, search: true, argv, env },
        cwd: options.cwd.as_ref().map(|p| p.0.clone()),
        cpu_limit_ns: options.cpu_time_limit_ms.map_or(0, |ms| ms.saturating_mul(1_000_000).max(1)),
        timeout: options.timeout_ms.map(Duration::from_millis),
    })
}

fn stdin(stdin: Stdin, connection: &Connection) -> Result<Arc<dyn HostStream>, WireError> {
    match stdin {
        Stdin::None => Ok(Arc::new(Nothing)),
        Stdin::Inline(data) if data.len() > INLINE_LIMIT => Err(WireError::new(
            code::INVALID_REQUEST,
            format!("more than {INLINE_LIMIT} bytes of inline input"),
        )),
        Stdin::Inline(data) => Ok(Arc::new(InlineInput::new(data))),
        Stdin::Stream(id) => match connection.accept_recv(id) {
            Ok(stream) => Ok(Arc::new(StreamInput::new(stream))),
            Err(error) => Err(WireError::new(code::INVALID_REQUEST, error.to_string())),
        },
    }
}

/// An output of `exec`.
#[derive(Clone)]
enum Sink {
    Discard,
    Capture(Arc<Capture>),
    Live(Arc<Live>),
}

impl Sink {
    fn new(output: &Output, connection: &Connection) -> Result<Self, WireError> {
        match output {
            Output::Discard => Ok(Sink::Discard),
            Output::Capture { inline_limit, stream } => {
                let limit = (*inline_limit).min(OUTPUT_INLINE_LIMIT) as usize;
                Ok(Sink::Capture(Arc::new(Capture::new(connection.clone(), *stream, limit))))
            }
            Output::Live(stream) => match connection.accept_send(*stream) {
                Ok(stream) => Ok(Sink::Live(Arc::new(Live::new(stream)))),
                Err(error) => Err(WireError::new(code::INVALID_REQUEST, error.to_string())),
            },
        }
    }

    fn stream(&self) -> Arc<dyn HostStream> {
        match self {
            Sink::Discard => Arc::new(Nothing),
            Sink::Capture(capture) => Arc::<Capture>::clone(capture),
            Sink::Live(live) => Arc::<Live>::clone(live),
        }
    }

    fn finish_now(&self) -> Option<Captured> {
        match self {
            Sink::Discard => Some(Captured::default()),
            Sink::Capture(capture) => capture.finish_now(),
            Sink::Live(live) => {
                live.finish();
                Some(Captured { data: Vec::new(), streamed: true })
            }
        }
    }

    async fn finish(&self) -> Captured {
        match self {
            Sink::Capture(capture) => capture.finish().await,
            other => other.finish_now().unwrap_or_default(),
        }
    }
}

/// Kills a job when its time is over or its caller no longer waits.
struct Watch {
    job: Arc<OnceLock<Pid>>,
    timed_out: Arc<AtomicBool>,
    ended: CancellationToken,
}

impl Watch {
    fn start(vm: &Arc<Vm>, timeout: Option<Duration>, cancelled: Option<CancellationToken>) -> Self {
        let watch = Self {
            job: Arc::new(OnceLock::new()),
            timed_out: Arc::new(AtomicBool::new(false)),
            ended: CancellationToken::new(),
        };
        if timeout.is_none() && cancelled.is_none() {
            return watch;
        }
        let (job, timed_out, ended) =
            (Arc::clone(&watch.job), Arc::clone(&watch.timed_out), watch.ended.clone());
        let vm = Arc::downgrade(vm);
        tokio::spawn(async move {
            let time = async {
                match timeout {
                    Some(time) => tokio::time::sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            let cancel = async {
                match &cancelled {
                    Some(token) => token.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = ended.cancelled() => return,
                () = cancel => {}
                () = time => timed_out.store(true, Ordering::SeqCst),
            }
            // The process may be just about to start: kill it then.
            loop {
                let Some(vm) = vm.upgrade() else { return };
                if let Some(pid) = job.get() {
                    vm.kernel().kill_job(*pid);
                    return;
                }
                drop(vm);
                tokio::select! {
                    () = ended.cancelled() => return,
                    () = tokio::time::sleep(Duration::from_millis(1)) => {}
                }
            }
        });
        watch
    }
}

pub(super) fn exec(client: &Client, request: Exec, responder: Responder) {
    let vm = match client.vm(&request.vm_id) {
        Ok(vm) => vm,
        Err(error) => return responder.error(&error),
    };
    let connection = responder.connection();
    let set_up = || {
        let prepared = prepare(&vm, &request.program, &request.options)?;
        let input = stdin(request.stdin, &connection)?;
        let (stdout, stderr) =
            (Sink::new(&request.stdout, &connection)?, Sink::new(&request.stderr, &connection)?);
        Ok((prepared, input, stdout, stderr))
    };
    let (prepared, input, stdout, stderr) = match set_up() {
        Ok(set_up) => set_up,
        Err(error) => return responder.error(&error),
    };
    let watch = Watch::start(&vm, prepared.timeout, Some(responder.cancelled().clone()));
    let streams = [input, stdout.stream(), stderr.stream()];
    let run = Exec1 { responder, stdout, stderr, watch };
    start(&vm, prepared, streams, run);
}

/// Resolves the working directory and hands over to the guest runtime; without a directory to look up that happens at
/// once.
fn start(vm: &Arc<Vm>, prepared: Prepared, streams: [Arc<dyn HostStream>; 3], run: Exec1) {
    let vm = Arc::clone(vm);
    let Prepared { invocation, cwd, cpu_limit_ns, .. } = prepared;
    let work = async move {
        match vm.directory(cwd.as_deref()).await {
            Ok(directory) => launch(&vm, invocation, directory, cpu_limit_ns, streams, run),
            Err(error) => run.fail(&error),
        }
    };
    let mut work = Box::pin(work);
    if begin(work.as_mut()).is_pending() {
        tokio::spawn(work);
    }
}

fn stdio(streams: [Arc<dyn HostStream>; 3]) -> [Arc<Description>; 3] {
    let [input, output, error] = streams;
    [Description::host_reader(input), Description::host_writer(output), Description::host_writer(error)]
}

fn launch(
    vm: &Arc<Vm>,
    invocation: Invocation,
    cwd: Location,
    cpu_limit_ns: u64,
    streams: [Arc<dyn HostStream>; 3],
    run: Exec1,
) {
    let launch =
        Launch { invocation, cwd, stdio: stdio(streams), cpu_limit_ns, agent: false, controlling: false };
    // Whichever of the two is called last takes it.
    let run = Arc::new(Mutex::new(Some(run)));
    let ended = Arc::clone(&run);
    vm.machine.launch(
        launch,
        move |started| match started {
            Ok(process) => {
                if let Some(run) = &*run.lock() {
                    let _ = run.watch.job.set(process.pid);
                }
            }
            Err(error) => {
                if let Some(run) = run.lock().take() {
                    run.not_started(&error);
                }
            }
        },
        move |process, info| {
            if let Some(run) = ended.lock().take() {
                run.ended(process, info);
            }
        },
    );
}

/// An exec under way.
struct Exec1 {
    responder: Responder,
    stdout: Sink,
    stderr: Sink,
    watch: Watch,
}

impl Exec1 {
    fn fail(self, error: &WireError) {
        self.watch.ended.cancel();
        self.responder.error(error);
    }

    /// A program that cannot be started is an ordinary result, as a shell has it: 127 or 126 and a message.
    fn not_started(self, error: &LoadError) {
        self.watch.ended.cancel();
        if matches!(error, LoadError::Kernel(_)) {
            return self.responder.error(&errors::load(error));
        }
        let message = format!("agentos: {error}\n").into_bytes();
        let mut stderr = Captured { data: message.clone(), streamed: false };
        if let Sink::Live(live) = &self.stderr {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            // The window of a new stream is larger than any message.
            let _ = live.poll_write(&mut cx, &message);
            stderr = self.stderr.finish_now().unwrap_or_default();
        }
        let stdout = self.stdout.finish_now().unwrap_or_default();
        let status = ExitStatus {
            exit_code: i32::from(error.shell_status()),
            signal: None,
            timed_out: false,
            limit: None,
        };
        self.responder.reply::<Exec>(Ok(ExecReply { pid: 0, status, stdout, stderr }));
    }

    fn ended(self, process: &Arc<Process>, info: ExitInfo) {
        self.watch.ended.cancel();
        let timed_out = self.watch.timed_out.load(Ordering::SeqCst);
        let (pid, status) = (process.pid.0, exit_status(&info, timed_out));
        let Self { responder, stdout, stderr, .. } = self;
        // One look at each: a background process may still write and turn an inline output into a stream.
        match (stdout.finish_now(), stderr.finish_now()) {
            (Some(stdout), Some(stderr)) => {
                responder.reply::<Exec>(Ok(ExecReply { pid, status, stdout, stderr }));
            }
            // A slow client has not taken everything yet. This runs on a guest thread, which has the wire's runtime at hand.
            (out, err) => {
                tokio::spawn(async move {
                    let stdout = match out {
                        Some(out) => out,
                        None => stdout.finish().await,
                    };
                    let stderr = match err {
                        Some(err) => err,
                        None => stderr.finish().await,
                    };
                    responder.reply::<Exec>(Ok(ExecReply { pid, status, stdout, stderr }));
                });
            }
        }
    }
}

pub(super) fn spawn(client: &Client, request: Spawn, responder: Responder) {
    let vm = match client.vm(&request.vm_id) {
        Ok(vm) => vm,
        Err(error) => return responder.error(&error),
    };
    let connection = responder.connection();
    let set_up = || {
        let used = vm.spawned.lock().values().filter(|s| s.process.exit_info().is_none()).count();
        if used >= SPAWNED {
            return Err(WireError::limit(agentos_protocol::message::LimitInfo {
                name: "spawnedProcesses".into(),
                configured: SPAWNED as u64,
                used: used as u64,
                requested: 1,
            }));
        }
        Ok((prepare(&vm, &request.program, &request.options)?, stdin(request.stdin, &connection)?))
    };
    let (prepared, input) = match set_up() {
        Ok(set_up) => set_up,
        Err(error) => return responder.error(&error),
    };
    let watch = Watch::start(&vm, prepared.timeout, None);
    let (command, args) = match request.program {
        Program::Shell(line) => ("/bin/sh".to_owned(), vec!["-c".to_owned(), line]),
        Program::Argv(argv) => {
            let mut argv = argv.into_iter();
            (argv.next().unwrap_or_default(), argv.collect())
        }
    };
    let (stdout, stderr) = (Ring::new(vm.output_bytes), Ring::new(vm.output_bytes));
    tokio::spawn(async move {
        let Prepared { invocation, cwd, cpu_limit_ns, .. } = prepared;
        let directory = match vm.directory(cwd.as_deref()).await {
            Ok(directory) => directory,
            Err(error) => {
                watch.ended.cancel();
                return responder.error(&error);
            }
        };
        let streams: [Arc<dyn HostStream>; 3] =
            [input, Arc::<Ring>::clone(&stdout), Arc::<Ring>::clone(&stderr)];
        let launch = Launch {
            invocation,
            cwd: directory,
            stdio: stdio(streams),
            cpu_limit_ns,
            agent: false,
            controlling: false,
        };
        let rings = (Arc::clone(&stdout), Arc::clone(&stderr));
        let (job, ended) = (Arc::clone(&watch.job), watch.ended.clone());
        let not_started = watch.ended.clone();
        let timed_out = Arc::clone(&watch.timed_out);
        let of_vm = Arc::clone(&vm);
        vm.machine.launch(
            launch,
            move |started| match started {
                Ok(process) => {
                    let _ = job.set(process.pid);
                    let process = Arc::clone(process);
                    // Nobody would ever end what nobody knows of.
                    if responder.cancelled().is_cancelled() {
                        of_vm.kernel().kill_job(process.pid);
                        return responder.error(&WireError::new(code::CANCELLED, "the caller cancelled it"));
                    }
                    let pid = process.pid.0;
                    remember(&of_vm, Spawned { process, command, args, stdout, stderr, timed_out });
                    responder.reply::<Spawn>(Ok(SpawnReply { pid }));
                }
                Err(error) => {
                    not_started.cancel();
                    responder.error(&errors::load(&error));
                }
            },
            move |_, _| {
                ended.cancel();
                rings.0.close();
                rings.1.close();
            },
        );
    });
}

fn remember(vm: &Vm, spawned: Spawned) {
    let mut all = vm.spawned.lock();
    let ended: Vec<u32> =
        all.iter().filter(|(_, s)| s.process.exit_info().is_some()).map(|(pid, _)| *pid).collect();
    for pid in ended.iter().take(ended.len().saturating_sub(ENDED_KEPT)) {
        all.remove(pid);
    }
    all.insert(spawned.process.pid.0, Arc::new(spawned));
}
