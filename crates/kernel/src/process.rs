//! A process: descriptors, signals, working directory, identity and accounts. Who is whose child is in the table.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use agentos_vfs::{InodePin, Location};
use parking_lot::{Mutex, RwLock};

use crate::cpu::{CpuAccount, CpuLimits, MS};
use crate::fd_table::FdTable;
use crate::memory::MemoryLimit;
use crate::signals::Posted;
use crate::warning::nearly;
use crate::{
    Cred, Interrupt, LimitHit, MemoryAccount, Notice, Observer, Rlimit, Rlimits, Signal, SignalState,
    WaitStatus, Waiters,
};

/// A process id; 1 is the VM's init, which adopts orphans and reaps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(pub u32);

impl Pid {
    /// The process that adopts orphans.
    pub const INIT: Pid = Pid(1);
}

impl std::fmt::Display for Pid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The state that ps(1) shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// Runs or waits.
    Running,
    /// Stopped by a signal.
    Stopped,
    /// Ended, not yet waited for.
    Zombie,
}

/// How a process ended and what it used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitInfo {
    /// Status.
    pub status: WaitStatus,
    /// CPU time of the process and of its children that were waited for.
    pub cpu: Duration,
    /// Largest memory, bytes.
    pub max_rss: u64,
    /// When, on the VM's wall clock since 1970 UTC.
    pub at: Duration,
    /// The limit of the VM that ended it.
    pub limit: Option<LimitHit>,
}

/// What `/proc` and the host API tell of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Process.
    pub pid: Pid,
    /// Parent.
    pub ppid: Pid,
    /// Process group.
    pub pgid: Pid,
    /// Session.
    pub sid: Pid,
    /// State.
    pub state: ProcessState,
    /// Path of the program.
    pub exe: Vec<u8>,
    /// Arguments.
    pub argv: Arc<Vec<Vec<u8>>>,
    /// Working directory.
    pub cwd: Vec<u8>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Started, since 1970 UTC.
    pub started: Duration,
    /// CPU time so far.
    pub cpu: Duration,
    /// Memory beyond the initial image, bytes.
    pub memory: u64,
    /// How it ended.
    pub exit: Option<ExitInfo>,
}

/// The program that a process runs.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Its path.
    pub exe: Arc<[u8]>,
    /// Arguments.
    pub argv: Arc<Vec<Vec<u8>>>,
    /// Environment, `NAME=value`.
    pub env: Arc<Vec<Vec<u8>>>,
}

impl Image {
    /// Bytes of arguments and environment.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.argv.iter().chain(self.env.iter()).map(|s| s.len() as u64 + 56).sum()
    }
}

/// A process.
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// The process that the host started and this one descends from; the host kills a whole job by it.
    pub job: Pid,
    /// Descriptors.
    pub fds: Mutex<FdTable>,
    /// The program.
    pub image: RwLock<Image>,
    /// Rights.
    pub cred: RwLock<Arc<Cred>>,
    cwd: RwLock<Arc<WorkingDirectory>>,
    umask: AtomicU32,
    signals: Mutex<SignalState>,
    attention: AtomicBool,
    interrupt: Waiters,
    pub(crate) children_changed: Waiters,
    pub(crate) execed: AtomicBool,
    /// It locked records once: what it closes may have to be unlocked.
    pub(crate) locked_records: AtomicBool,
    started: Duration,
    cpu_ns: AtomicU64,
    pub(crate) children_cpu_ns: AtomicU64,
    pub(crate) children_max_rss: AtomicU64,
    cpu_limit_ns: AtomicU64,
    /// Where SIGKILL comes.
    cpu_kill_ns: AtomicU64,
    /// What the host set, nanoseconds; 0 is none.
    host_cpu_limit_ns: u64,
    rlimits: Mutex<Rlimits>,
    memory: AtomicU64,
    memory_peak: AtomicU64,
    memory_limit: MemoryLimit,
    vm_memory: Arc<MemoryAccount>,
    vm_cpu: Option<Arc<CpuAccount>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    memory_warned: AtomicBool,
    cpu_warned: AtomicBool,
    /// The last memory that was refused.
    refused: Mutex<Option<LimitHit>>,
    /// The limit that it is being ended for.
    ended_by: Mutex<Option<(Signal, LimitHit)>>,
    exit: OnceLock<ExitInfo>,
    exited: Waiters,
    pub(crate) alarm: Mutex<Alarm>,
}

/// A working directory; its inode stays while it is one.
pub(crate) struct WorkingDirectory {
    location: Location,
    _pin: InodePin,
}

impl WorkingDirectory {
    pub(crate) fn new(location: Location) -> Arc<Self> {
        let pin = location.pin();
        Arc::new(Self { location, _pin: pin })
    }
}

/// The timer of real time of a process, which raises SIGALRM.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    pub(crate) due: Option<std::time::Instant>,
    /// Zero: it rings once.
    pub(crate) interval: Duration,
    /// The timer: one task per process, made by its first alarm and told of each change. A task for each change could
    /// be made faster than they can be ended.
    pub(crate) timer: Option<tokio::task::AbortHandle>,
    pub(crate) changed: Arc<tokio::sync::Notify>,
}

/// What a new process starts with.
pub(crate) struct NewProcess {
    pub(crate) pid: Pid,
    pub(crate) job: Pid,
    pub(crate) fds: FdTable,
    pub(crate) image: Image,
    pub(crate) cred: Arc<Cred>,
    pub(crate) cwd: Arc<WorkingDirectory>,
    pub(crate) umask: u32,
    pub(crate) signals: SignalState,
    pub(crate) started: Duration,
    pub(crate) cpu: CpuLimits,
    pub(crate) vm_cpu: Option<Arc<CpuAccount>>,
    pub(crate) rlimits: Rlimits,
    pub(crate) memory_limit: MemoryLimit,
    pub(crate) vm_memory: Arc<MemoryAccount>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl Process {
    pub(crate) fn new(new: NewProcess) -> Arc<Self> {
        Arc::new(Self {
            pid: new.pid,
            job: new.job,
            fds: Mutex::new(new.fds),
            image: RwLock::new(new.image),
            cred: RwLock::new(new.cred),
            cwd: RwLock::new(new.cwd),
            umask: AtomicU32::new(new.umask),
            signals: Mutex::new(new.signals),
            attention: AtomicBool::new(false),
            interrupt: Waiters::new(),
            children_changed: Waiters::new(),
            execed: AtomicBool::new(false),
            locked_records: AtomicBool::new(false),
            started: new.started,
            cpu_ns: AtomicU64::new(0),
            children_cpu_ns: AtomicU64::new(0),
            children_max_rss: AtomicU64::new(0),
            cpu_limit_ns: AtomicU64::new(new.cpu.soft_ns),
            cpu_kill_ns: AtomicU64::new(new.cpu.kill_ns),
            host_cpu_limit_ns: new.cpu.host_ns,
            rlimits: Mutex::new(new.rlimits),
            memory: AtomicU64::new(0),
            memory_peak: AtomicU64::new(0),
            memory_limit: new.memory_limit,
            vm_memory: new.vm_memory,
            observer: new.observer,
            vm_cpu: new.vm_cpu,
            memory_warned: AtomicBool::new(false),
            cpu_warned: AtomicBool::new(false),
            refused: Mutex::new(None),
            ended_by: Mutex::new(None),
            exit: OnceLock::new(),
            exited: Waiters::new(),
            alarm: Mutex::new(Alarm::default()),
        })
    }

    /// The working directory.
    #[must_use]
    pub fn cwd(&self) -> Location {
        self.cwd.read().location.clone()
    }

    /// Sets the working directory.
    pub fn set_cwd(&self, location: Location) {
        *self.cwd.write() = WorkingDirectory::new(location);
    }

    pub(crate) fn working_directory(&self) -> Arc<WorkingDirectory> {
        Arc::clone(&self.cwd.read())
    }

    /// The file mode creation mask.
    #[must_use]
    pub fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }

    /// Sets the mask and returns the old one.
    pub fn set_umask(&self, mask: u32) -> u32 {
        self.umask.swap(mask & 0o777, Ordering::Relaxed)
    }

    /// Whose rights it has.
    #[must_use]
    pub fn cred(&self) -> Arc<Cred> {
        Arc::clone(&self.cred.read())
    }

    // --- signals

    /// What it has to act on, most urgent first. One load when there is nothing.
    #[must_use]
    pub fn pending_interrupt(&self) -> Option<Interrupt> {
        if !self.attention.load(Ordering::SeqCst) {
            return None;
        }
        self.signals.lock().interrupt()
    }

    /// Whether it has to end.
    #[must_use]
    pub fn is_dying(&self) -> bool {
        matches!(self.pending_interrupt(), Some(Interrupt::Terminate(_)))
    }

    /// Looks at or changes its signal state; what it has to act on is told to its waits.
    pub(crate) fn with_signals<T>(&self, change: impl FnOnce(&mut SignalState) -> T) -> T {
        let (result, interrupt) = {
            let mut signals = self.signals.lock();
            let result = change(&mut signals);
            let interrupt = signals.interrupt().is_some();
            self.attention.store(interrupt, Ordering::SeqCst);
            (result, interrupt)
        };
        if interrupt {
            self.interrupt.wake();
        }
        result
    }

    /// A copy of its signal state.
    #[must_use]
    pub fn signal_state(&self) -> SignalState {
        self.signals.lock().clone()
    }

    /// A signal arrives. Permissions were checked; the parent is told of stops by the caller.
    pub(crate) fn post(&self, signal: Signal) -> Posted {
        let posted = self.with_signals(|s| s.post(signal));
        if posted == Posted::Continued {
            self.interrupt.wake();
        }
        posted
    }

    /// Raises a signal in the process itself, as a broken pipe or a trap does.
    pub fn raise(&self, signal: Signal) {
        self.post(signal);
    }

    /// Takes the next caught signal.
    pub fn take_caught(&self) -> Option<Signal> {
        if !self.attention.load(Ordering::SeqCst) {
            return None;
        }
        self.with_signals(SignalState::take_caught)
    }

    /// Wakes `waker` when there is something to act on.
    pub fn on_interrupt(&self, waker: &Waker) {
        self.interrupt.register(waker);
    }

    /// Takes `waker` out again.
    pub fn off_interrupt(&self, waker: &Waker) {
        self.interrupt.unregister(waker);
    }

    /// Ends its timer: a zombie needs none.
    pub(crate) fn stop_alarm(&self) {
        let mut alarm = self.alarm.lock();
        alarm.due = None;
        if let Some(timer) = alarm.timer.take() {
            timer.abort();
        }
    }

    // --- accounts

    /// Adds CPU time; true when the CPU limit is passed, its own or the VM's.
    pub fn add_cpu(&self, ns: u64) -> bool {
        let total = self.cpu_ns.fetch_add(ns, Ordering::Relaxed) + ns;
        let limit = self.cpu_limit_ns.load(Ordering::Relaxed);
        if let Some(vm) = &self.vm_cpu {
            vm.add(ns);
            if vm.used_up().is_some() {
                return true;
            }
        }
        if limit == 0 || total < nearly(limit) {
            return false;
        }
        self.warn_of_cpu(total);
        total > limit
    }

    #[cold]
    fn warn_of_cpu(&self, used_ns: u64) {
        let host = self.host_cpu_limit_ns;
        if host > 0 && used_ns >= nearly(host) && !self.cpu_warned.swap(true, Ordering::Relaxed) {
            self.warn(LimitHit {
                name: "cpuTimeMs",
                configured: host / MS,
                used: used_ns / MS,
                requested: 0,
            });
        }
    }

    fn warn(&self, hit: LimitHit) {
        if let Some(observer) = &self.observer {
            observer.notice(Notice::LimitWarning(hit));
        }
    }

    /// CPU time so far.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_ns.load(Ordering::Relaxed))
    }

    /// CPU time of its children that were waited for.
    #[must_use]
    pub fn children_cpu(&self) -> Duration {
        Duration::from_nanos(self.children_cpu_ns.load(Ordering::Relaxed))
    }

    /// Largest memory of one of its children that were waited for, bytes.
    #[must_use]
    pub fn children_max_rss(&self) -> u64 {
        self.children_max_rss.load(Ordering::Relaxed)
    }

    /// Whether its CPU time passed the limit where SIGXCPU is no longer enough, or all of the VM's is used up.
    #[must_use]
    pub fn must_be_killed(&self) -> bool {
        if self.vm_cpu.as_ref().is_some_and(|vm| vm.used_up().is_some()) {
            return true;
        }
        let limit = self.cpu_kill_ns.load(Ordering::Relaxed);
        limit != 0 && self.cpu_ns.load(Ordering::Relaxed) >= limit
    }

    /// It gets a signal for the CPU time that it used: if that ends it, this is why.
    pub fn blame_cpu(&self, signal: Signal) {
        let host = self.host_cpu_limit_ns;
        let used = self.cpu_ns.load(Ordering::Relaxed);
        let own = (host > 0 && used > host).then_some(LimitHit {
            name: "cpuTimeMs",
            configured: host / MS,
            used: used / MS,
            requested: 1,
        });
        let hit = self.vm_cpu.as_ref().and_then(|vm| vm.used_up()).or(own);
        *self.ended_by.lock() = hit.map(|hit| (signal, hit));
    }

    /// It ends since it was refused memory.
    pub fn blame_memory(&self) {
        *self.ended_by.lock() = self.refused.lock().map(|hit| (Signal::SIGKILL, hit));
    }

    /// The limit that it ended for, if it was one of the VM's.
    pub(crate) fn blamed(&self, status: WaitStatus) -> Option<LimitHit> {
        // A signal that it outlived is not what it ended by.
        let (signal, hit) = (*self.ended_by.lock())?;
        (status == WaitStatus::Signaled(signal.raw())).then_some(hit)
    }

    pub(crate) fn cpu_limits(&self) -> CpuLimits {
        CpuLimits {
            soft_ns: self.cpu_limit_ns.load(Ordering::Relaxed),
            kill_ns: self.cpu_kill_ns.load(Ordering::Relaxed),
            host_ns: self.host_cpu_limit_ns,
        }
    }

    /// The CPU limit that the host set, nanoseconds; 0 is none.
    pub(crate) fn host_cpu_limit(&self) -> u64 {
        self.host_cpu_limit_ns
    }

    /// Sets the limits of CPU time, seconds. That of the host stays.
    pub(crate) fn set_cpu_limits(&self, to: Rlimit) {
        let host = CpuLimits::of_host(self.host_cpu_limit_ns);
        let least = |asked: u64, host: u64| match (asked, host) {
            (u64::MAX, host) => host,
            (asked, 0) => asked.saturating_mul(1_000_000_000).max(1),
            (asked, host) => asked.saturating_mul(1_000_000_000).clamp(1, host),
        };
        self.cpu_limit_ns.store(least(to.soft, host.soft_ns), Ordering::Relaxed);
        self.cpu_kill_ns.store(least(to.hard, host.kill_ns), Ordering::Relaxed);
    }

    /// Its resource limits.
    #[must_use]
    pub fn rlimits(&self) -> Rlimits {
        *self.rlimits.lock()
    }

    /// The soft limit of a resource that exists.
    pub(crate) fn rlimit_now(&self, resource: u32) -> u64 {
        self.rlimits.lock().get(resource).map_or(u64::MAX, |limit| limit.soft)
    }

    pub(crate) fn change_rlimits(&self, change: impl FnOnce(&mut Rlimits)) {
        change(&mut self.rlimits.lock());
    }

    /// Takes memory beyond the initial image; false at the limit of the process or the VM.
    #[must_use]
    pub fn charge_memory(&self, bytes: u64) -> bool {
        let used = self.memory.load(Ordering::Relaxed);
        if used.saturating_add(bytes) > self.memory_limit() {
            let MemoryLimit { name, bytes: configured } = self.memory_limit;
            // What the process itself chose is no limit of the VM.
            let hit = LimitHit { name, configured, used, requested: bytes };
            *self.refused.lock() = (used.saturating_add(bytes) > configured).then_some(hit);
            return false;
        }
        if !self.vm_memory.charge(bytes) {
            let (configured, used) = (self.vm_memory.limit(), self.vm_memory.used());
            *self.refused.lock() = Some(LimitHit { name: "vmMemory", configured, used, requested: bytes });
            return false;
        }
        let now = self.memory.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.memory_peak.fetch_max(now, Ordering::Relaxed);
        if now >= nearly(self.memory_limit.bytes) {
            self.warn_of_memory(now);
        }
        true
    }

    #[cold]
    fn warn_of_memory(&self, used: u64) {
        let MemoryLimit { name, bytes: configured } = self.memory_limit;
        if configured > 0 && !self.memory_warned.swap(true, Ordering::Relaxed) {
            self.warn(LimitHit { name, configured, used, requested: 0 });
        }
    }

    /// Takes `bytes` in place of all that it had, at exec; false and nothing changed at a limit.
    #[must_use]
    pub(crate) fn recharge_memory(&self, bytes: u64) -> bool {
        if bytes > self.memory_limit() || !self.vm_memory.charge(bytes) {
            return false;
        }
        self.vm_memory.release(self.memory.swap(bytes, Ordering::Relaxed));
        self.memory_peak.fetch_max(bytes, Ordering::Relaxed);
        true
    }

    /// Gives all memory back, at exit.
    pub fn release_memory(&self) {
        self.vm_memory.release(self.memory.swap(0, Ordering::Relaxed));
    }

    /// Memory beyond the initial image, bytes: now and at most.
    #[must_use]
    pub fn memory(&self) -> (u64, u64) {
        (self.memory.load(Ordering::Relaxed), self.memory_peak.load(Ordering::Relaxed))
    }

    /// The memory limit of this process, bytes beyond the initial image.
    #[must_use]
    pub fn memory_limit(&self) -> u64 {
        self.memory_limit.bytes.min(self.rlimits.lock().memory())
    }

    /// The same as the VM has it, whatever the process chose.
    pub(crate) fn vm_memory_limit(&self) -> MemoryLimit {
        self.memory_limit
    }

    /// When it was started, since 1970 UTC.
    #[must_use]
    pub fn started(&self) -> Duration {
        self.started
    }

    // --- end

    /// How it ended, if it did.
    #[must_use]
    pub fn exit_info(&self) -> Option<ExitInfo> {
        self.exit.get().copied()
    }

    pub(crate) fn set_exit(&self, info: ExitInfo) {
        // Set once: only the task that runs the process ends it.
        if self.exit.set(info).is_ok() {
            self.exited.wake();
        }
    }

    /// Waits until it ended. For the host; guests use `waitpid`.
    pub async fn wait_exit(&self) -> ExitInfo {
        std::future::poll_fn(|cx| {
            if let Some(info) = self.exit_info() {
                return std::task::Poll::Ready(info);
            }
            self.exited.register(cx.waker());
            match self.exit_info() {
                Some(info) => {
                    self.exited.unregister(cx.waker());
                    std::task::Poll::Ready(info)
                }
                None => std::task::Poll::Pending,
            }
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop_alarm();
        self.release_memory();
    }
}
