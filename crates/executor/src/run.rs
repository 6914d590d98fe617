//! Running a process from its first instruction to its end.

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;

use agentos_kernel::{Interrupt, Process, Signal, WaitStatus};
use wasmtime::{Instance, Store, Trap, UpdateDeadline};

use crate::executor::Slot;
use crate::guest::{Ended, Guest};
use crate::loader::Machine;
use crate::program::Program;
use crate::runtime::{Metered, slice_elapsed};

/// Ends the process however its task ends: by a status, by a panic of ours, or because the runtime was closed.
struct ExitGuard {
    machine: Arc<Machine>,
    process: Arc<Process>,
    status: WaitStatus,
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        self.machine.kernel.exit(&self.process, self.status);
    }
}

/// How an image ended.
enum Outcome {
    Status(WaitStatus),
    Exec(Arc<Program>),
}

/// Starts a new process on its program.
pub(crate) fn start(machine: &Arc<Machine>, process: Arc<Process>, program: Arc<Program>, slot: Slot) {
    let task = run(Arc::clone(machine), Arc::clone(&process), program, slot);
    machine.executor.runtime().spawn(&machine.share, Metered::new(process, task));
}

/// Runs a new process on its program, in the task of the caller.
pub(crate) async fn run_to_end(
    machine: &Arc<Machine>,
    process: &Arc<Process>,
    program: Arc<Program>,
    slot: Slot,
) {
    let task = run(Arc::clone(machine), Arc::clone(process), program, slot);
    Metered::new(Arc::clone(process), task).await;
}

/// Starts a clone: its store is filled already, `entry` is called with `func` and `arg`.
pub(crate) fn start_clone(
    machine: &Arc<Machine>,
    process: Arc<Process>,
    store: Store<Guest>,
    instance: Instance,
    call: (i32, i32),
    slot: Slot,
) {
    let machine_of_task = Arc::clone(machine);
    let process_of_task = Arc::clone(&process);
    let task = async move {
        let mut guard = guard(&machine_of_task, &process_of_task);
        let mut store = store;
        let ran = or_killed(&process_of_task, call_clone_entry(&mut store, &instance, call)).await;
        let outcome = match ran {
            Ok(result) => outcome(store, result),
            Err(signal) => Outcome::Status(WaitStatus::Signaled(signal.raw())),
        };
        finish(&mut guard, outcome, slot).await;
    };
    machine.executor.runtime().spawn(&machine.share, Metered::new(process, task));
}

fn guard(machine: &Arc<Machine>, process: &Arc<Process>) -> ExitGuard {
    ExitGuard {
        machine: Arc::clone(machine),
        process: Arc::clone(process),
        status: WaitStatus::Signaled(Signal::SIGABRT.raw()),
    }
}

async fn run(machine: Arc<Machine>, process: Arc<Process>, program: Arc<Program>, slot: Slot) {
    let mut guard = guard(&machine, &process);
    finish(&mut guard, Outcome::Exec(program), slot).await;
}

/// Runs images until one ends without `exec`. The slot is given back before the process becomes a zombie, so that
/// whoever waits for it can start the next one.
async fn finish(guard: &mut ExitGuard, mut outcome: Outcome, slot: Slot) {
    loop {
        match outcome {
            Outcome::Status(status) => {
                guard.status = status;
                drop(slot);
                // A process that is killed does not wait: what it wrote arrives behind its back.
                if matches!(status, WaitStatus::Exited(_)) {
                    let flush = guard.machine.kernel.flush_files(&guard.process);
                    if let Err(signal) = or_killed(&guard.process, flush).await {
                        guard.status = WaitStatus::Signaled(signal.raw());
                    }
                }
                return;
            }
            Outcome::Exec(program) => outcome = run_image(&guard.machine, &guard.process, program).await,
        }
    }
}

async fn run_image(machine: &Arc<Machine>, process: &Arc<Process>, program: Arc<Program>) -> Outcome {
    if let Some(Interrupt::Terminate(signal)) = process.pending_interrupt() {
        return Outcome::Status(WaitStatus::Signaled(signal.raw()));
    }
    let mut store = new_store(machine, process, &program);
    let ran = or_killed(process, async {
        // A working directory in a driver or on a hung host may keep it waiting.
        if let Err(errno) = crate::host::set_preopens(&mut store).await {
            tracing::warn!(pid = %process.pid, %errno, "preopens");
            return Err(Ended::Exit(126).into());
        }
        match instantiate(&mut store, &program).await {
            Ok(instance) => call_start(&mut store, &instance).await,
            Err(error) => Err(error),
        }
    })
    .await;
    match ran {
        Ok(result) => outcome(store, result),
        Err(signal) => Outcome::Status(WaitStatus::Signaled(signal.raw())),
    }
}

/// Drives a guest, but lets a fatal signal end it whatever it waits for: most waits end by themselves, this is for those
/// that cannot, such as a hung host directory. Dropping the call unwinds the guest's stack.
async fn or_killed<T>(process: &Process, run: impl Future<Output = T>) -> Result<T, Signal> {
    let mut run = std::pin::pin!(run);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = run.as_mut().poll(cx) {
            process.off_interrupt(cx.waker());
            return Poll::Ready(Ok(done));
        }
        process.on_interrupt(cx.waker());
        match process.pending_interrupt() {
            Some(Interrupt::Terminate(signal)) => Poll::Ready(Err(signal)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// A store for a process: limits, preemption.
pub(crate) fn new_store(
    machine: &Arc<Machine>,
    process: &Arc<Process>,
    program: &Arc<Program>,
) -> Store<Guest> {
    let guest = Guest::new(Arc::clone(machine), Arc::clone(process), Arc::clone(program));
    let mut store = Store::new(machine.executor.engine(), guest);
    store.limiter(|guest| guest);
    store.set_epoch_deadline(1);
    // An image gets SIGXCPU once: one that catches it would do nothing else.
    let mut warned = false;
    store.epoch_deadline_callback(move |mut context| {
        let guest = context.data();
        let process = Arc::clone(&guest.process);
        let elapsed = u64::try_from(slice_elapsed().as_nanos()).unwrap_or(u64::MAX);
        if process.add_cpu(elapsed) {
            if process.must_be_killed() {
                process.blame_cpu(Signal::SIGKILL);
                process.raise(Signal::SIGKILL);
            } else if !std::mem::replace(&mut warned, true) {
                process.blame_cpu(Signal::SIGXCPU);
                process.raise(Signal::SIGXCPU);
            }
        }
        let contended = guest.machine.executor.runtime().contended();
        match process.pending_interrupt() {
            Some(Interrupt::Terminate(signal)) => return Err(Ended::Signal(signal).into()),
            Some(Interrupt::Stopped) => {
                return Ok(UpdateDeadline::YieldCustom(
                    1,
                    Box::pin(async move { process.while_stopped().await }),
                ));
            }
            Some(Interrupt::Caught) => {
                let (address, memory) = (guest.pending_word, guest.memory);
                if address != 0
                    && let Some(memory) = memory
                {
                    let _ = crate::memory::put_u32(memory.data_mut(&mut context), address.cast_signed(), 1);
                }
            }
            None => {}
        }
        Ok(if contended { UpdateDeadline::Yield(1) } else { UpdateDeadline::Continue(1) })
    });
    store
}

pub(crate) async fn instantiate(
    store: &mut Store<Guest>,
    program: &Arc<Program>,
) -> wasmtime::Result<Instance> {
    let instance = program.pre.instantiate_async(&mut *store).await?;
    let memory = instance.get_memory(&mut *store, "memory");
    store.data_mut().memory = memory;
    Ok(instance)
}

async fn call_start(store: &mut Store<Guest>, instance: &Instance) -> wasmtime::Result<i32> {
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
    start.call_async(&mut *store, ()).await?;
    Ok(0)
}

async fn call_clone_entry(
    store: &mut Store<Guest>,
    instance: &Instance,
    (func, arg): (i32, i32),
) -> wasmtime::Result<i32> {
    let entry = instance.get_typed_func::<(i32, i32), i32>(&mut *store, agentos_abi::CLONE_ENTRY)?;
    entry.call_async(&mut *store, (func, arg)).await
}

/// Maps the end of an image to a wait status. A trap is the signal that the hardware would raise.
fn outcome(mut store: Store<Guest>, result: wasmtime::Result<i32>) -> Outcome {
    let error = match result {
        Ok(status) => return Outcome::Status(WaitStatus::Exited(status as u8)),
        Err(error) => error,
    };
    let guest = store.data_mut();
    match error.downcast_ref::<Ended>() {
        Some(Ended::Exit(status)) => return Outcome::Status(WaitStatus::Exited(*status)),
        Some(Ended::Signal(signal)) => return Outcome::Status(WaitStatus::Signaled(signal.raw())),
        Some(Ended::Exec) => {
            return match guest.exec.take() {
                Some(program) => Outcome::Exec(program),
                None => Outcome::Status(WaitStatus::Signaled(Signal::SIGABRT.raw())),
            };
        }
        None => {}
    }
    let signal = match error.downcast_ref::<Trap>() {
        _ if guest.out_of_memory => {
            guest.process.blame_memory();
            Signal::SIGKILL
        }
        Some(Trap::StackOverflow | Trap::MemoryOutOfBounds) => Signal::SIGSEGV,
        Some(Trap::UnreachableCodeReached) => Signal::SIGABRT,
        Some(Trap::IntegerDivisionByZero | Trap::IntegerOverflow | Trap::BadConversionToInteger) => {
            Signal::SIGFPE
        }
        Some(_) => Signal::SIGILL,
        None => {
            tracing::error!(pid = %guest.process.pid, error = %format!("{error:#}"), "guest could not be run");
            Signal::SIGABRT
        }
    };
    tracing::debug!(pid = %guest.process.pid, %error, ?signal, "guest trapped");
    Outcome::Status(WaitStatus::Signaled(signal.raw()))
}
