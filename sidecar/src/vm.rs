//! A VM: its machine, what the host spawned in it, its terminals and sessions, and its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentos_executor::Machine;
use agentos_kernel::permissions::Guarded;
use agentos_kernel::sys::At;
use agentos_kernel::tty::Winsize;
use agentos_kernel::{Errno, Kernel, KernelConfig, Observer, Tools};
use agentos_protocol::WireError;
use agentos_protocol::message::{VmConfig, VmInfo, code};
use agentos_vfs::host_dir::Steady;
use agentos_vfs::{GuestPath, Layer, Location, NewKind};
use parking_lot::Mutex;

use crate::config::{self, Checked};
use crate::egress::WayOut;
use crate::errors::failed;
use crate::host::Host;
use crate::layers::{Checkpoints, Past};
use crate::lowers::Lower;
use crate::notices;
use crate::root::{self, Root};
use crate::service::processes::Spawned;
use crate::service::shells::{self, Shell};
use crate::session::Sessions;
use crate::tools::{Toolkits, VmTools};

/// How long the processes of a VM may take to end; they are killed, so more means that the host is overloaded.
pub(crate) const DISPOSE_TIME: Duration = Duration::from_secs(10);
/// How long object stores may take what closed files left to be written.
pub(crate) const WRITE_BACK_TIME: Duration = Duration::from_secs(60);

/// A VM.
pub(crate) struct Vm {
    pub(crate) id: String,
    pub(crate) host: Arc<Host>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) cwd: GuestPath,
    pub(crate) output_bytes: usize,
    pub(crate) readdir_page: usize,
    /// Programs started by `spawn`, by pid; ended ones stay for the listing, a bounded number.
    pub(crate) spawned: Mutex<BTreeMap<u32, Arc<Spawned>>>,
    /// Terminals by number; those whose program has ended stay for the listing, a bounded number.
    pub(crate) shells: Mutex<BTreeMap<u64, Arc<Shell>>>,
    /// Size of a new terminal.
    pub(crate) terminal_size: Winsize,
    pub(crate) sessions: Sessions,
    pub(crate) checkpoints: Arc<Checkpoints>,
    /// Tools of the client that its guests may call, if it has any.
    pub(crate) toolkits: Option<Arc<Toolkits>>,
    /// The file system that was mounted first.
    pub(crate) root: Root,
    /// Holds the names in its directories of the host. A fork has those directories too, and so it has this one.
    pub(crate) steady: Steady,
    way_out: Arc<WayOut>,
    /// As it was created; run time mounts are in the mount table. Its secrets are gone to the way out.
    pub(crate) config: Arc<VmConfig>,
    created: Duration,
    disposed: AtomicBool,
}

/// What a VM is put together of.
struct Parts {
    observer: Arc<dyn Observer>,
    checked: Checked,
    root: Root,
    permissions: Option<Guarded>,
    way_out: Arc<WayOut>,
    toolkits: Option<Arc<Toolkits>>,
    steady: Steady,
    config: Arc<VmConfig>,
}

impl Vm {
    /// Makes a VM of a configuration, mounts included.
    pub(crate) async fn create(
        host: &Arc<Host>,
        connection: &agentos_protocol::Connection,
        mut config: VmConfig,
        lowers: Vec<Lower>,
    ) -> Result<Arc<Self>, WireError> {
        let checked = config::check(&config)?;
        crate::service::mounts::check(&config.mounts)?;
        let permissions = crate::permissions::compile(&config)?;
        let way_out = crate::egress::take(&mut config)?;
        let toolkits = config.tools.as_ref().map(Toolkits::compile).transpose()?;
        let id = format!("vm-{}", host.next_id());
        let observer: Arc<dyn Observer> = Arc::new(notices::ToClient::new(&id, connection));
        let root =
            root::make(host, &checked, &config, lowers, &id, connection, &observer, toolkits.as_deref())
                .await?;
        let config = Arc::new(config);
        let steady = Steady::default();
        let parts = Parts { observer, checked, root, permissions, way_out, toolkits, steady, config };
        let vm = Self::assemble(host, id, connection, parts).await?;
        if let Err(error) = vm.prepare(connection).await {
            // Another attempt must find the store free. Why this one failed is known.
            let _ = vm.dispose().await;
            return Err(error);
        }
        host.vm_came(&vm);
        Ok(vm)
    }

    /// Mounts what it is to have, and makes its directory.
    async fn prepare(self: &Arc<Self>, connection: &agentos_protocol::Connection) -> Result<(), WireError> {
        for (n, mount) in self.config.mounts.iter().enumerate() {
            crate::service::mounts::mount(self, connection, mount.clone()).await.map_err(
                |error| match error.details.and_then(|details| details.config) {
                    Some(issue) => {
                        WireError::invalid_config(format!("mounts[{n}].{}", issue.path), issue.reason)
                    }
                    None => WireError::invalid_config(format!("mounts[{n}]"), error.message),
                },
            )?;
        }
        self.make_directories(&self.cwd).await?;
        self.root.finished(&self.config);
        self.checkpoints.started(&self.kernel().namespace, Past::default());
        Ok(())
    }

    /// A VM that starts as this one is now: files, mounts, configuration; no processes, no sessions.
    pub(crate) async fn fork(
        &self,
        connection: &agentos_protocol::Connection,
    ) -> Result<Arc<Self>, WireError> {
        let id = format!("vm-{}", self.host.next_id());
        let mut checked = config::check(&self.config)?;
        checked.hostname = self.kernel().hostname();
        let observer: Arc<dyn Observer> = Arc::new(notices::ToClient::new(&id, connection));
        let past = match self.checkpoints.past_now() {
            Some(past) => past,
            None => {
                let checkpoints = Arc::clone(&self.checkpoints);
                let waited = tokio::task::spawn_blocking(move || checkpoints.past()).await;
                waited.map_err(|error| WireError::new(code::INTERNAL, error.to_string()))?
            }
        };
        // All are copied before anything is made: no wait comes between one and the next.
        let first = self.kernel().namespace.list()[0].id;
        let mounts = crate::service::mounts::copies(&self.kernel().namespace);
        let root = self.root.fork(&checked, &observer);
        let permissions = self.kernel().permissions().cloned();
        let (way_out, config) = (self.way_out.for_fork(), Arc::clone(&self.config));
        let toolkits = self.toolkits.clone();
        let steady = self.steady.clone();
        let parts = Parts { observer, checked, root, permissions, way_out, toolkits, steady, config };
        let vm = Self::assemble(&self.host, id, connection, parts).await?;
        crate::service::mounts::mount_copies(&vm, first, mounts).await?;
        vm.root.finished(&vm.config);
        vm.checkpoints.started(&vm.kernel().namespace, past);
        self.host.vm_came(&vm);
        Ok(vm)
    }

    async fn assemble(
        host: &Arc<Host>,
        id: String,
        connection: &agentos_protocol::Connection,
        parts: Parts,
    ) -> Result<Arc<Self>, WireError> {
        let Parts { observer, checked, root, permissions, way_out, toolkits, steady, config } = parts;
        let checkpoints = Arc::new(Checkpoints::new(&config.limits, &observer));
        let tools = toolkits
            .as_ref()
            .zip(config.tools.as_ref())
            .map(|(kits, spec)| -> Arc<dyn Tools> { Arc::new(VmTools::new(kits, spec, connection)) });
        let kernel = Kernel::new(KernelConfig {
            root: Arc::new(root.tree.clone()),
            limits: checked.limits,
            hostname: checked.hostname,
            cred: checked.cred,
            env: checked.env,
            permissions,
            tools,
            observer: Some(observer),
        })
        .await
        .map_err(|e| failed(e, "mount", "/proc"))?;
        let sessions = match root.session_logs()? {
            None => Ok(Sessions::default()),
            // Reading what an earlier life has left may take a while.
            Some(logs) => tokio::task::spawn_blocking(move || Sessions::stored(logs))
                .await
                .map_err(|error| WireError::new(code::INTERNAL, format!("open the sessions: {error}")))?,
        };
        let sessions = sessions
            .map_err(|error| WireError::invalid_config("persistence", format!("sessions: {error}")))?;
        let outbound = Arc::clone(&way_out) as Arc<dyn agentos_executor::Outbound>;
        let machine = Machine::new(kernel, Arc::clone(host.executor()), outbound);
        Ok(Arc::new(Self {
            id,
            host: Arc::clone(host),
            machine,
            cwd: checked.cwd,
            output_bytes: checked.output_bytes,
            readdir_page: checked.readdir_page,
            spawned: Mutex::default(),
            shells: Mutex::default(),
            terminal_size: checked.terminal_size,
            sessions,
            steady,
            checkpoints,
            way_out,
            toolkits,
            config,
            root,
            created: std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default(),
            disposed: AtomicBool::new(false),
        }))
    }

    /// The bundled base of its root, if it is in it, and the root as it is now.
    pub(crate) fn root_layers(&self) -> Result<(Option<Layer>, Layer), WireError> {
        let namespace = &self.kernel().namespace;
        if namespace.list().first().is_none_or(|first| first.id != namespace.root().mount.id) {
            let reason = "a mount is in the place of the root; mounts are in no snapshot";
            return Err(WireError::new(code::INVALID_REQUEST, reason));
        }
        Ok((self.root.bundled.clone(), self.root.tree.freeze()))
    }

    /// Its way out.
    pub(crate) fn way_out(&self) -> &WayOut {
        &self.way_out
    }

    /// The kernel.
    pub(crate) fn kernel(&self) -> &Arc<Kernel> {
        &self.machine.kernel
    }

    /// Makes a directory and its parents; those that are there stay as they are.
    pub(crate) async fn make_directories(&self, path: &GuestPath) -> Result<(), WireError> {
        let kernel = self.kernel();
        let host = kernel.host();
        let mut current = Vec::new();
        for part in path.components() {
            current.push(b'/');
            current.extend_from_slice(part);
            match kernel.make(&host, At::Cwd(&current), NewKind::Directory, 0o755).await {
                Ok(()) | Err(Errno::EEXIST) => {}
                // A read-only mount has the directory, or the next step tells.
                Err(Errno::EROFS) if kernel.stat(&host, At::Cwd(&current), true).await.is_ok() => {}
                Err(errno) => return Err(failed(errno, "mkdir", &current)),
            }
        }
        Ok(())
    }

    /// A working directory: the VM's, or the one asked for.
    pub(crate) async fn directory(&self, asked: Option<&[u8]>) -> Result<Location, WireError> {
        let path = asked.unwrap_or(self.cwd.as_bytes());
        let kernel = self.kernel();
        let mut who = kernel.host();
        // Relative ones count from the VM's own.
        if !path.starts_with(b"/") {
            who.cwd = kernel
                .resolve_directory(&who, At::Cwd(self.cwd.as_bytes()))
                .await
                .map_err(|e| failed(e, "chdir", &self.cwd))?;
        }
        kernel.resolve_directory(&who, At::Cwd(path)).await.map_err(|e| failed(e, "chdir", path))
    }

    /// What it is doing.
    pub(crate) fn info(&self) -> VmInfo {
        VmInfo {
            vm_id: self.id.clone(),
            hostname: self.kernel().hostname(),
            cwd: self.cwd.to_string(),
            created_ms: u64::try_from(self.created.as_millis()).unwrap_or(u64::MAX),
            processes: u32::try_from(self.kernel().process_count()).unwrap_or(u32::MAX),
            sessions: u32::try_from(self.sessions.count()).unwrap_or(u32::MAX),
            labels: self.config.labels.clone(),
        }
    }

    /// Ends sessions, then terminals, then processes, and lets go of everything. The second call does nothing. It fails if files
    /// could not be kept.
    pub(crate) async fn dispose(&self) -> Result<(), WireError> {
        if self.disposed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.sessions.close_all().await;
        shells::close_all(self);
        if tokio::time::timeout(DISPOSE_TIME, self.kernel().shutdown()).await.is_err() {
            tracing::error!(vm = %self.id, "processes did not end in time");
        }
        let write_back = async {
            let done = crate::service::mounts::write_back(&self.kernel().namespace);
            if tokio::time::timeout(WRITE_BACK_TIME, done).await.is_err() {
                tracing::error!(vm = %self.id, "files are lost: an object store did not take them in time");
            }
        };
        // Side by side: a store that does not answer is no reason for the root to wait. No longer than a disk needs; the VM is
        // counted until then, so nobody ends this process too early.
        let ((), kept) = tokio::join!(write_back, self.root.close());
        let spawned = std::mem::take(&mut *self.spawned.lock());
        for process in spawned.values() {
            process.stdout.close();
            process.stderr.close();
        }
        self.host.vm_went(&self.id);
        kept
    }

    /// The process of this pid that the host spawned.
    pub(crate) fn spawned(&self, pid: u32) -> Option<Arc<Spawned>> {
        self.spawned.lock().get(&pid).cloned()
    }
}
