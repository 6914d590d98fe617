//! Watching processes: their output, their end, listings, signals.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use agentos_kernel::{Pid, ProcessState, Signal};
use agentos_protocol::WireError;
use agentos_protocol::message::{
    AllProcesses, Call, Empty, ExitStatus, ListProcesses, OutputKind, ProcessInfo, ProcessList,
    ProcessStatus, ReadOutput, ReadOutputReply, SignalProcess, SpawnedProcessInfo, SpawnedProcessList,
    StreamId, WaitProcess, code,
};
use agentos_protocol::mux::Responder;

use super::processes::{Spawned, exit_status};
use crate::connection::Client;
use crate::stdio::Ring;
use crate::vm::Vm;

/// Bytes moved at a time from a ring to a stream.
const CHUNK: usize = 64 << 10;

fn no_process(pid: u32) -> WireError {
    WireError::not_found(code::PROCESS_NOT_FOUND, pid)
}

pub(super) fn read(client: &Client, r: &ReadOutput, responder: Responder) {
    let found = client.vm(&r.vm_id).and_then(|vm| vm.spawned(r.pid).ok_or_else(|| no_process(r.pid)));
    let spawned: Arc<Spawned> = match found {
        Ok(spawned) => spawned,
        Err(error) => return responder.error(&error),
    };
    let ring = match r.output {
        OutputKind::Stdout => &spawned.stdout,
        OutputKind::Stderr => &spawned.stderr,
    };
    send_ring::<ReadOutput>(ring, r.from_offset, r.follow, r.stream, responder);
}

/// Answers with where the stream begins, and sends what a ring has, perhaps to its end.
pub(super) fn send_ring<C: Call<Reply = ReadOutputReply>>(
    ring: &Arc<Ring>,
    from_offset: u64,
    follow: bool,
    stream: StreamId,
    responder: Responder,
) {
    let stream = match responder.connection().accept_send(stream) {
        Ok(stream) => stream,
        Err(error) => return responder.error(&WireError::new(code::INVALID_REQUEST, error.to_string())),
    };
    let (reader, start_offset) = ring.reader(from_offset);
    responder.reply::<C>(Ok(ReadOutputReply { start_offset }));
    tokio::spawn(async move {
        loop {
            let chunk = tokio::select! {
                chunk = reader.next(CHUNK, follow) => chunk,
                // A client that looks away must not hold the process up.
                _ = stream.closed() => return,
            };
            match chunk {
                Some(chunk) => {
                    if stream.write_all(&chunk).await.is_err() {
                        return;
                    }
                }
                None => return stream.finish(),
            }
        }
    });
}

pub(super) async fn wait(vm: Arc<Vm>, r: WaitProcess) -> Result<ExitStatus, WireError> {
    let spawned = vm.spawned(r.pid).ok_or_else(|| no_process(r.pid))?;
    let info = spawned.process.wait_exit().await;
    Ok(exit_status(&info, spawned.timed_out.load(Ordering::SeqCst)))
}

pub(super) async fn list(vm: Arc<Vm>, _r: ListProcesses) -> Result<SpawnedProcessList, WireError> {
    let spawned: Vec<_> = vm.spawned.lock().values().cloned().collect();
    let processes = spawned
        .iter()
        .map(|s| {
            let exit = s.process.exit_info();
            SpawnedProcessInfo {
                pid: s.process.pid.0,
                command: s.command.clone(),
                args: s.args.clone(),
                running: exit.is_none(),
                exit_code: exit.map(|info| info.status.shell_status()),
            }
        })
        .collect();
    Ok(SpawnedProcessList { processes })
}

fn milliseconds(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Bytes of arguments that a listing shows of a process, as ps(1) has a limit too: a thousand processes with megabytes of
/// them would fit into no message.
const SHOWN_ARGS: usize = 4096;

fn cut(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(SHOWN_ARGS)]
}

fn shown(argv: &[Vec<u8>]) -> Vec<String> {
    let mut left = SHOWN_ARGS;
    let mut args = Vec::new();
    for arg in argv.iter().skip(1) {
        let Some(rest) = left.checked_sub(arg.len() + 1) else {
            args.push(String::from_utf8_lossy(&arg[..arg.len().min(left)]).into_owned());
            break;
        };
        args.push(String::from_utf8_lossy(arg).into_owned());
        left = rest;
    }
    args
}

pub(super) async fn all(vm: Arc<Vm>, _r: AllProcesses) -> Result<ProcessList, WireError> {
    let kernel = vm.kernel();
    let mut processes = Vec::new();
    for pid in kernel.processes() {
        let Some(info) = kernel.process_info(pid).await else { continue };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        processes.push(ProcessInfo {
            pid: pid.0,
            ppid: info.ppid.0,
            pgid: info.pgid.0,
            sid: info.sid.0,
            driver: "wasm".into(),
            command: text(cut(info.argv.first().map_or(&info.exe, |name| name))),
            args: shown(&info.argv),
            cwd: text(&info.cwd),
            status: match info.state {
                ProcessState::Running => ProcessStatus::Running,
                ProcessState::Stopped => ProcessStatus::Stopped,
                ProcessState::Zombie => ProcessStatus::Exited,
            },
            exit_code: info.exit.map(|e| e.status.shell_status()),
            start_time: milliseconds(info.started),
            exit_time: info.exit.map(|e| milliseconds(e.at)),
        });
    }
    Ok(ProcessList { processes })
}

pub(super) async fn signal(vm: Arc<Vm>, r: SignalProcess) -> Result<Empty, WireError> {
    let signal = Signal::from_name(&r.signal)
        .ok_or_else(|| WireError::new(code::INVALID_REQUEST, format!("{}: no such signal", r.signal)))?;
    let pid = Pid(r.pid);
    match vm.spawned(r.pid) {
        // It is still listed, and may still wait to be reaped, but it takes no signal any more; its group may.
        Some(spawned) if spawned.process.exit_info().is_some() && !r.group => {
            Err(WireError::kernel("ESRCH", "kill", None))
        }
        _ if vm.kernel().host_kill(pid, signal, r.group) => Ok(Empty {}),
        Some(_) => Err(WireError::kernel("ESRCH", "kill", None)),
        None => Err(no_process(r.pid)),
    }
}
