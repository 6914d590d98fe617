//! A VM's kernel: its file system name space, process table, clocks, limits and accounts.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use agentos_abi::process::RLIMIT_NPROC;
use agentos_vfs::{FileSystem, Location, Namespace};
use parking_lot::Mutex;

use crate::cpu::{CpuAccount, CpuLimits};
use crate::fd_table::FdTable;
use crate::lock::{LockTable, RecordTable};
use crate::memory::MemoryLimit;
use crate::permissions::{Gate, Guarded};
use crate::process::{Image, NewProcess, WorkingDirectory};
use crate::table::{Entry, Table};
use crate::tty::Registry;
use crate::watch::Watches;
use crate::{
    Clock, Cred, Errno, KernelError, LimitHit, Limits, MemoryAccount, Observer, Pid, Process, Result,
    Rlimits, SignalState, Tools, Waiters, Warning,
};

/// Kept directory listings of one VM, bytes.
const LISTING_BYTES: u64 = 64 << 20;

/// The version that uname(2) tells: what programs of that age may expect of system calls.
pub const RELEASE: &str = "6.1.0-agentos";
/// The build that uname(2) tells.
pub const VERSION: &str = "#1 SMP AgentOs";

/// What a kernel starts with.
pub struct KernelConfig {
    /// The root file system.
    pub root: Arc<dyn FileSystem>,
    /// Limits.
    pub limits: Limits,
    /// Host name.
    pub hostname: String,
    /// The VM's user: whose rights programs get unless told otherwise.
    pub cred: Cred,
    /// Environment of programs, `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// What guests may do; `None`: all.
    pub permissions: Option<Guarded>,
    /// Tools of the host that guests may call; `None`: there are none.
    pub tools: Option<Arc<dyn Tools>>,
    /// Who is told what happens in it.
    pub observer: Option<Arc<dyn Observer>>,
}

/// The kernel of one VM.
pub struct Kernel {
    /// Mounted file systems.
    pub namespace: Namespace,
    /// Limits.
    pub limits: Limits,
    /// Clocks.
    pub clock: Clock,
    /// Memory of all processes.
    pub memory: Arc<MemoryAccount>,
    /// Bytes of kept directory listings, which a guest could otherwise multiply by opening one directory many times.
    pub(crate) listings: Arc<MemoryAccount>,
    pub(crate) table: Mutex<Table>,
    pub(crate) locks: Arc<LockTable>,
    pub(crate) records: Arc<RecordTable>,
    pub(crate) pipes: Arc<AtomicU32>,
    pub(crate) pipe_warning: Warning,
    /// Of the arguments and environment of one program.
    pub argv_warning: Warning,
    pub(crate) terminals: Arc<Registry>,
    /// The mount of `/dev/pts`: the device of terminals.
    pub(crate) devpts: AtomicU64,
    itself: Weak<Kernel>,
    pub(crate) watches: Arc<Watches>,
    pub(crate) fifos: Mutex<std::collections::HashMap<(u64, u64), std::sync::Weak<crate::Pipe>>>,
    next_id: AtomicU64,
    hostname: Mutex<String>,
    cred: Arc<Cred>,
    env: Arc<Vec<Vec<u8>>>,
    pub(crate) gate: Option<Gate>,
    pub(crate) tools: Option<Arc<dyn Tools>>,
    /// CPU time of all processes, where it is limited.
    pub(crate) cpu: Option<Arc<CpuAccount>>,
    /// CPU time of processes that ended, nanoseconds.
    pub(crate) ended_cpu_ns: AtomicU64,
    disposed: AtomicBool,
    table_changed: Waiters,
    observer: Option<Arc<dyn Observer>>,
}

/// A program that the host starts.
pub struct HostSpawn {
    /// The program with arguments and environment.
    pub image: Image,
    /// Working directory.
    pub cwd: Location,
    /// Standard input, output and error.
    pub stdio: [Arc<crate::Description>; 3],
    /// CPU limit, nanoseconds; 0 is the VM's.
    pub cpu_limit_ns: u64,
    /// It is the runtime of an agent, which has a limit of memory of its own.
    pub agent: bool,
    /// Standard input is a terminal (see [`Terminal`](crate::Terminal)) and becomes the controlling one.
    pub controlling: bool,
}

/// How a process is started by another one.
pub struct ChildSpec {
    /// Descriptors of the child.
    pub fds: FdTable,
    /// Its program; `None` for a copy of the parent.
    pub image: Option<Image>,
    /// Its working directory; `None` for the parent's.
    pub cwd: Option<Location>,
    /// `PGID_INHERIT`, `PGID_NEW` or a group.
    pub pgid: i32,
    /// It leads a new session.
    pub setsid: bool,
    /// Ignored signals go back to their default.
    pub reset_signals: bool,
    /// Its group becomes the foreground one of the parent's controlling terminal.
    pub foreground: bool,
}

impl Kernel {
    /// A kernel without processes but init; `/proc` is mounted when the root has that directory.
    pub async fn new(config: KernelConfig) -> Result<Arc<Kernel>> {
        let limits = config.limits;
        let namespace = Namespace::with_limits(config.root, limits.paths);
        let warning = |name, limit| Warning::new(config.observer.as_ref(), name, limit);
        let memory = Arc::new(MemoryAccount::warned(limits.memory, warning("vmMemory", limits.memory)));
        let table = Table::new(limits.processes, warning("processes", u64::from(limits.processes)));
        let terminals = Registry::new(limits.ptys, warning("ptys", u64::from(limits.ptys)));
        let pipe_warning = warning("pipes", u64::from(limits.pipes));
        let argv_warning = warning("argvEnvBytes", limits.argv_env_bytes as u64);
        let root = namespace.root();
        let kernel = Arc::new_cyclic(|itself| Kernel {
            limits,
            clock: Clock::new(),
            memory: Arc::clone(&memory),
            listings: Arc::new(MemoryAccount::new(LISTING_BYTES)),
            table: Mutex::new(table),
            locks: Arc::default(),
            records: Arc::default(),
            pipes: Arc::default(),
            pipe_warning,
            argv_warning,
            terminals,
            devpts: AtomicU64::new(0),
            itself: Weak::clone(itself),
            watches: Watches::new(&limits, config.observer.as_ref()),
            fifos: Mutex::default(),
            next_id: AtomicU64::new(1),
            hostname: Mutex::new(config.hostname),
            cred: Arc::new(config.cred),
            env: Arc::new(config.env),
            gate: config.permissions.map(|guarded| Gate::new(guarded, config.observer.clone())),
            tools: config.tools,
            cpu: CpuAccount::new(&limits, config.observer.as_ref()),
            ended_cpu_ns: AtomicU64::new(0),
            disposed: AtomicBool::new(false),
            table_changed: Waiters::new(),
            observer: config.observer,
            namespace,
        });
        kernel.start_init(&root);
        kernel.remount_own().await?;
        Ok(kernel)
    }

    fn start_init(&self, root: &Location) {
        let mut table = self.table.lock();
        let pid = table.reserve().unwrap_or(Pid::INIT);
        let process = Process::new(NewProcess {
            pid,
            job: pid,
            fds: FdTable::new(0),
            image: Image {
                exe: Arc::from(&b"/sbin/init"[..]),
                argv: Arc::new(vec![b"init".to_vec()]),
                env: Arc::default(),
            },
            cred: Arc::new(Cred::root()),
            cwd: WorkingDirectory::new(root.clone()),
            umask: 0o022,
            signals: SignalState::default(),
            started: self.clock.realtime(),
            cpu: CpuLimits::default(),
            vm_cpu: None,
            rlimits: Rlimits::of(&self.limits, 0, 0),
            memory_limit: MemoryLimit { name: "processMemory", bytes: 0 },
            vm_memory: Arc::clone(&self.memory),
            observer: self.observer.clone(),
        });
        table.insert(Entry {
            process,
            ppid: Pid(0),
            pgid: pid,
            sid: pid,
            children: Vec::new(),
            exit: None,
            changed: None,
            took_from: None,
        });
    }

    pub(crate) fn weak(&self) -> Weak<Kernel> {
        Weak::clone(&self.itself)
    }

    /// A number that this VM has not given before.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The VM's user.
    #[must_use]
    pub fn cred(&self) -> &Arc<Cred> {
        &self.cred
    }

    /// The VM's environment, `NAME=value`.
    #[must_use]
    pub fn env(&self) -> &Arc<Vec<Vec<u8>>> {
        &self.env
    }

    /// Host name.
    #[must_use]
    pub fn hostname(&self) -> String {
        self.hostname.lock().clone()
    }

    /// Whether [`Kernel::shutdown`] began.
    #[must_use]
    pub fn is_disposed(&self) -> bool {
        self.disposed.load(Ordering::SeqCst)
    }

    /// A process started by the host, in a session of its own; the embedder runs it.
    pub fn host_spawn(&self, spawn: HostSpawn) -> std::result::Result<Arc<Process>, KernelError> {
        if self.is_disposed() {
            return Err(KernelError::Disposed);
        }
        if let Some(hit) = self.cpu.as_ref().and_then(|cpu| cpu.used_up()) {
            return Err(KernelError::Limit(hit));
        }
        let cpu_limit_ns = self.cpu_limit(spawn.cpu_limit_ns);
        let memory_limit = MemoryLimit::of(&self.limits, spawn.agent);
        let mut fds = FdTable::new(self.limits.fds_per_process).warning(self.observer.clone());
        let terminal = spawn.controlling.then(|| Arc::clone(&spawn.stdio[0]));
        let image = self.with_permitted_env(spawn.image, None);
        for (number, description) in spawn.stdio.into_iter().enumerate() {
            fds.insert_at(crate::Fd(number as u32), description, false)
                .map_err(|e| KernelError::failed(e, "spawn", &image.exe))?;
        }
        let mut table = self.table.lock();
        // Again, under the lock: a shutdown that began meanwhile has perhaps looked at the table already.
        if self.is_disposed() {
            return Err(KernelError::Disposed);
        }
        let pid = table.reserve().map_err(|_| self.process_limit(&table))?;
        if let Some(terminal) = terminal {
            self.control_by(pid, &terminal).map_err(|e| KernelError::failed(e, "spawn", &image.exe))?;
        }
        let process = Process::new(NewProcess {
            pid,
            job: pid,
            fds,
            image,
            cred: Arc::clone(&self.cred),
            cwd: WorkingDirectory::new(spawn.cwd),
            umask: 0o022,
            signals: SignalState::default(),
            started: self.clock.realtime(),
            cpu: CpuLimits::of_host(cpu_limit_ns),
            vm_cpu: self.cpu.clone(),
            rlimits: Rlimits::of(&self.limits, memory_limit.bytes, cpu_limit_ns),
            memory_limit,
            vm_memory: Arc::clone(&self.memory),
            observer: self.observer.clone(),
        });
        table.insert(Entry {
            process: Arc::clone(&process),
            ppid: Pid::INIT,
            pgid: pid,
            sid: pid,
            children: Vec::new(),
            exit: None,
            changed: None,
            took_from: None,
        });
        Ok(process)
    }

    fn cpu_limit(&self, asked_ns: u64) -> u64 {
        match (asked_ns, self.limits.cpu_time_ms.saturating_mul(1_000_000)) {
            (0, vm) => vm,
            (asked, 0) => asked,
            (asked, vm) => asked.min(vm),
        }
    }

    fn process_limit(&self, table: &Table) -> KernelError {
        KernelError::Limit(LimitHit {
            name: "processes",
            configured: u64::from(self.limits.processes),
            used: table.len() as u64 - 1,
            requested: 1,
        })
    }

    /// A child of `parent`; the executor runs it. EAGAIN at the limit of processes, EPERM for a group of another session.
    pub fn spawn_child(&self, parent: &Process, spec: ChildSpec) -> Result<Arc<Process>> {
        if self.is_disposed() {
            return Err(Errno::EAGAIN);
        }
        let image = spec.image.map(|image| self.with_permitted_env(image, Some(parent)));
        let mut table = self.table.lock();
        // Under the lock: whoever kills a job or a VM looks at the table after it made us dying or disposed.
        if parent.is_dying() || self.is_disposed() {
            return Err(Errno::EINTR);
        }
        let (ppgid, psid) = {
            let entry = table.get(parent.pid).ok_or(Errno::ESRCH)?;
            (entry.pgid, entry.sid)
        };
        let wanted_group = match spec.pgid {
            agentos_abi::process::PGID_INHERIT => Some(ppgid),
            agentos_abi::process::PGID_NEW => None,
            group if group > 0 => {
                let group = Pid(group.unsigned_abs());
                if !table.iter().any(|e| e.pgid == group && e.sid == psid) {
                    return Err(Errno::EPERM);
                }
                Some(group)
            }
            _ => return Err(Errno::EINVAL),
        };
        let most = parent.rlimit_now(RLIMIT_NPROC);
        if most < u64::from(self.limits.processes) {
            let uid = parent.cred().uid;
            let of_user = table.iter().filter(|e| e.process.cred().uid == uid).count() as u64;
            if uid != 0 && of_user >= most {
                return Err(Errno::EAGAIN);
            }
        }
        let pid = table.reserve()?;
        let mut signals = parent.signal_state().for_child();
        let execed = image.is_some();
        if execed {
            signals.on_exec(false);
        }
        if spec.reset_signals {
            signals = SignalState::default();
        }
        // The tools of an agent are programs like others; a copy of its runtime is one.
        let memory_limit =
            if execed { MemoryLimit::of(&self.limits, false) } else { parent.vm_memory_limit() };
        let process = Process::new(NewProcess {
            pid,
            job: parent.job,
            fds: spec.fds,
            image: image.unwrap_or_else(|| parent.image.read().clone()),
            cred: parent.cred(),
            cwd: spec.cwd.map_or_else(|| parent.working_directory(), WorkingDirectory::new),
            umask: parent.umask(),
            signals,
            started: self.clock.realtime(),
            cpu: parent.cpu_limits(),
            vm_cpu: self.cpu.clone(),
            rlimits: if execed { parent.rlimits().within(&memory_limit) } else { parent.rlimits() },
            memory_limit,
            vm_memory: Arc::clone(&self.memory),
            observer: self.observer.clone(),
        });
        process.execed.store(execed, Ordering::Relaxed);
        // Arguments and environment lie in our memory: they count as the child's, also those it shares with its parent, which
        // may be gone before it.
        if !process.charge_memory(process.image.read().bytes()) {
            // First the lock: descriptors that the child alone has may need it when they close.
            drop(table);
            return Err(Errno::ENOMEM);
        }
        let pgid = if spec.setsid { pid } else { wanted_group.unwrap_or(pid) };
        let mut took_from = None;
        if spec.foreground
            && !spec.setsid
            && let Some(terminal) = self.terminals.of_session(psid)
            && terminal.control().1 == Some(ppgid)
        {
            terminal.set_foreground(pgid, ppgid);
            took_from = Some(ppgid);
        }
        table.insert(Entry {
            process: Arc::clone(&process),
            ppid: parent.pid,
            pgid,
            sid: if spec.setsid { pid } else { psid },
            children: Vec::new(),
            exit: None,
            changed: None,
            took_from,
        });
        Ok(process)
    }

    /// Undoes [`Kernel::spawn_child`] of a child that never ran; the terminal goes back to whom it was taken from.
    pub fn abandon(&self, child: &Process) {
        let files = child.fds.lock().take_all();
        drop(files);
        {
            let mut table = self.table.lock();
            if let Some(entry) = table.remove(child.pid)
                && let Some(before) = entry.took_from
                && let Some(terminal) = self.terminals.of_session(entry.sid)
                && terminal.control().1 == Some(entry.pgid)
            {
                terminal.set_foreground(before, before);
            }
        }
        self.table_changed();
    }

    /// Forbids new processes, kills all and waits until they ended. The embedder bounds the wait.
    pub async fn shutdown(&self) {
        self.disposed.store(true, Ordering::SeqCst);
        self.watches.close();
        std::future::poll_fn(|cx| {
            self.table_changed.register(cx.waker());
            // All under the lock that an exit takes: none ends because another one was killed before it.
            let live: Vec<_> = {
                let table = self.table.lock();
                let live = |e: &&Entry| e.process.pid != Pid::INIT && e.exit.is_none();
                let live: Vec<_> = table.iter().filter(live).map(|e| Arc::clone(&e.process)).collect();
                for process in &live {
                    process.raise(crate::Signal::SIGKILL);
                }
                live
            };
            if live.is_empty() {
                self.table_changed.unregister(cx.waker());
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }

    pub(crate) fn table_changed(&self) {
        self.table_changed.wake();
    }
}
