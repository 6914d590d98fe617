//! What the host keeps per running guest: the data of its store.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentos_kernel::{Description, Errno, Fd, Interrupt, Process, Result, Signal};
use wasmtime::{Caller, Memory, ResourceLimiter};

use crate::host::Rights;
use crate::huge::Moved;
use crate::loader::Machine;
use crate::program::Program;

/// The first number of a preopen.
pub(crate) const FIRST_PREOPEN: u32 = 3;

/// A directory that `fd_prestat_*` shows.
pub(crate) struct Preopen {
    pub(crate) name: Vec<u8>,
    pub(crate) directory: Arc<Description>,
}

/// The state of a guest.
pub(crate) struct Guest {
    pub(crate) machine: Arc<Machine>,
    pub(crate) process: Arc<Process>,
    pub(crate) program: Arc<Program>,
    pub(crate) memory: Option<Memory>,
    /// Address of the word that tells the guest of a caught signal; 0 is none.
    pub(crate) pending_word: u32,
    pub(crate) preopens: Vec<Option<Preopen>>,
    /// Rights of preview 1 that a descriptor does not have although its file would; empty for a program of our ABI.
    pub(crate) withheld: BTreeMap<i32, Rights>,
    /// PWD of a program that only knows preopens, if it did not start in `/`.
    pub(crate) pwd: Option<Vec<u8>>,
    /// What `exec` replaces the program with.
    pub(crate) exec: Option<Arc<Program>>,
    /// A growth of memory was refused; a trap that follows is an out-of-memory kill.
    pub(crate) out_of_memory: bool,
    /// What moved into the memory of a clone; goes before the memory does.
    pub(crate) moved: Option<Moved>,
}

/// Why a guest stopped running, carried as the error of a host call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    #[error("exit {0}")]
    Exit(u8),
    #[error("signal {0:?}")]
    Signal(Signal),
    #[error("exec")]
    Exec,
}

impl Guest {
    pub(crate) fn new(machine: Arc<Machine>, process: Arc<Process>, program: Arc<Program>) -> Self {
        Self {
            machine,
            process,
            program,
            memory: None,
            pending_word: 0,
            preopens: Vec::new(),
            withheld: BTreeMap::new(),
            pwd: None,
            exec: None,
            out_of_memory: false,
            moved: None,
        }
    }

    /// The description of a number: the program's own descriptor first, else a preopen.
    pub(crate) fn file(&self, fd: i32) -> Result<Arc<Description>> {
        let number = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
        if let Ok(description) = self.process.fds.lock().get(Fd(number)) {
            return Ok(Arc::clone(description));
        }
        self.preopen(number).map(|p| Arc::clone(&p.directory)).ok_or(Errno::EBADF)
    }

    /// The preopen of a number.
    pub(crate) fn preopen(&self, number: u32) -> Option<&Preopen> {
        self.preopens.get(number.checked_sub(FIRST_PREOPEN)? as usize)?.as_ref()
    }

    /// The directory that a `path_*` call starts from: a preopen first, else an open directory. EBADF, ENOTDIR.
    pub(crate) fn directory(&self, fd: i32) -> Result<Arc<Description>> {
        let number = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
        if let Some(preopen) = self.preopen(number) {
            return Ok(Arc::clone(&preopen.directory));
        }
        Ok(Arc::clone(self.process.fds.lock().get(Fd(number))?))
    }

    /// The lowest number for a new directory descriptor: numbers of preopens mean the preopen in `path_*` calls.
    pub(crate) fn first_directory_fd(&self) -> u32 {
        FIRST_PREOPEN + u32::try_from(self.preopens.len()).unwrap_or(0)
    }

    /// The memory limit of the limits error, for logs.
    fn may_grow(&mut self, from: u64, to: u64) -> bool {
        let initial = self.program.initial_memory;
        let more = to.max(initial) - from.max(initial);
        let granted = self.process.charge_memory(more);
        self.out_of_memory |= !granted;
        granted
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|m| desired > m) {
            return Ok(false);
        }
        Ok(self.may_grow(current as u64, desired as u64))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 64 << 10)
    }
}

/// The guest's memory and its state, borrowed together.
pub(crate) fn parts<'a>(caller: &'a mut Caller<'_, Guest>) -> Result<(&'a mut [u8], &'a mut Guest)> {
    let memory = caller.data().memory.ok_or(Errno::EFAULT)?;
    Ok(memory.data_and_store_mut(caller))
}

/// What a host call returns to the guest, unless a signal ends it. Called after every call, so that a signal acts no
/// later than the next call.
pub(crate) fn finish(caller: &mut Caller<'_, Guest>, result: Result<()>) -> wasmtime::Result<i32> {
    match caller.data().process.pending_interrupt() {
        None | Some(Interrupt::Stopped) => {}
        Some(Interrupt::Terminate(signal)) => return Err(Ended::Signal(signal).into()),
        Some(Interrupt::Caught) => tell_pending(caller),
    }
    Ok(match result {
        Ok(()) => 0,
        Err(errno) => i32::from(errno.raw()),
    })
}

/// The same for a call that may wait: a stopped process stays in it until it is continued.
pub(crate) async fn finish_waiting(
    caller: &mut Caller<'_, Guest>,
    result: Result<()>,
) -> wasmtime::Result<i32> {
    if caller.data().process.pending_interrupt() == Some(Interrupt::Stopped) {
        let process = Arc::clone(&caller.data().process);
        process.while_stopped().await;
    }
    finish(caller, result)
}

/// Sets the guest's pending word, if it has one.
pub(crate) fn tell_pending(caller: &mut Caller<'_, Guest>) {
    let address = caller.data().pending_word;
    if address != 0
        && let Ok((memory, _)) = parts(caller)
    {
        let _ = crate::memory::put_u32(memory, address.cast_signed(), 1);
    }
}
