//! A VM: its machine, what the host spawned in it, its terminals and sessions, and its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentos_executor::Machine;
use agentos_kernel::sys::At;
use agentos_kernel::tty::Winsize;
use agentos_kernel::{Errno, Kernel, KernelConfig};
use agentos_protocol::WireError;
use agentos_protocol::message::{VmConfig, VmInfo};
use agentos_vfs::{GuestPath, Location, NewKind, Tree, TreeLimits};
use parking_lot::Mutex;

use crate::config::{self, Checked};
use crate::errors::failed;
use crate::host::Host;
use crate::service::processes::Spawned;
use crate::service::shells::{self, Shell};
use crate::session::Sessions;

/// How long the processes of a VM may take to end; they are killed, so more means that the host is overloaded.
pub(crate) const DISPOSE_TIME: Duration = Duration::from_secs(10);

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
    labels: BTreeMap<String, String>,
    created: Duration,
    disposed: AtomicBool,
}

impl Vm {
    /// Makes a VM of a configuration, mounts included.
    pub(crate) async fn create(
        host: &Arc<Host>,
        connection: &agentos_protocol::Connection,
        config: VmConfig,
    ) -> Result<Arc<Self>, WireError> {
        let checked = config::check(&config)?;
        crate::service::mounts::check(&config.mounts)?;
        let internal = |what: &str| {
            let what = what.to_owned();
            move |reason: String| {
                WireError::new(agentos_protocol::message::code::INTERNAL, format!("{what}: {reason}"))
            }
        };
        let base = host.base().await.map_err(internal("prepare the machine"))?;
        let used = base.usage();
        // The base is not charged to the VM: the limits are what it can add.
        let tree = Tree::from_layer_with(
            &base,
            TreeLimits {
                bytes: checked.limits.fs_bytes.saturating_add(used.bytes),
                inodes: checked.limits.fs_inodes.saturating_add(used.inodes),
            },
        );
        furnish(&tree, &checked, &config).map_err(|e| failed(e, "furnish", "/"))?;
        let kernel = Kernel::new(KernelConfig {
            root: Arc::new(tree),
            limits: checked.limits,
            hostname: checked.hostname,
            cred: checked.cred,
            env: checked.env,
        })
        .await
        .map_err(|e| failed(e, "mount", "/proc"))?;
        let machine = Machine::new(kernel, Arc::clone(host.executor()));
        let vm = Arc::new(Self {
            id: format!("vm-{}", host.next_id()),
            host: Arc::clone(host),
            machine,
            cwd: checked.cwd,
            output_bytes: checked.output_bytes,
            readdir_page: checked.readdir_page,
            spawned: Mutex::default(),
            shells: Mutex::default(),
            terminal_size: checked.terminal_size,
            sessions: Sessions::new(),
            labels: config.labels,
            created: std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default(),
            disposed: AtomicBool::new(false),
        });
        for (n, mount) in config.mounts.into_iter().enumerate() {
            crate::service::mounts::mount(&vm, connection, mount)
                .await
                .map_err(|error| WireError::invalid_config(format!("mounts[{n}]"), error.message))?;
        }
        vm.make_directories(&vm.cwd).await?;
        host.vm_came(&vm);
        Ok(vm)
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
            labels: self.labels.clone(),
        }
    }

    /// Ends sessions, then terminals, then processes, and lets go of everything. The second call does nothing.
    pub(crate) async fn dispose(&self) {
        if self.disposed.swap(true, Ordering::SeqCst) {
            return;
        }
        self.sessions.close_all().await;
        shells::close_all(self);
        if tokio::time::timeout(DISPOSE_TIME, self.kernel().shutdown()).await.is_err() {
            tracing::error!(vm = %self.id, "processes did not end in time");
        }
        let spawned = std::mem::take(&mut *self.spawned.lock());
        for process in spawned.values() {
            process.stdout.close();
            process.stderr.close();
        }
        self.host.vm_went(&self.id);
    }

    /// The process of this pid that the host spawned.
    pub(crate) fn spawned(&self, pid: u32) -> Option<Arc<Spawned>> {
        self.spawned.lock().get(&pid).cloned()
    }
}

/// What differs from VM to VM in the root: host name, user, instructions.
fn furnish(tree: &Tree, checked: &Checked, config: &VmConfig) -> Result<(), Errno> {
    let hostname = &checked.hostname;
    tree.put_file("/etc/hostname", 0o644, 0, 0, format!("{hostname}\n").into_bytes())?;
    if hostname != "agentos" {
        let mut hosts = tree.read_file("/etc/hosts")?;
        hosts.extend_from_slice(format!("127.0.1.1\t{hostname}\n").as_bytes());
        tree.put_file("/etc/hosts", 0o644, 0, 0, hosts)?;
    }
    let user = &checked.user;
    let known = matches!((user.name.as_str(), user.uid, user.gid), ("agentos", 1000, 1000) | ("root", 0, 0));
    if !known || checked.home.as_bytes() != b"/home/agentos" {
        tree.put_dir(checked.home.as_bytes(), 0o755, user.uid, user.gid)?;
    }
    if !known {
        let (name, uid, gid, home) = (&user.name, user.uid, user.gid, &checked.home);
        replace_line(tree, "/etc/passwd", name, &format!("{name}:x:{uid}:{gid}::{home}:/bin/sh\n"))?;
        replace_line(tree, "/etc/group", name, &format!("{name}:x:{gid}:\n"))?;
        tree.put_dir("/workspace", 0o755, uid, gid)?;
    }
    if let Some(more) = &config.additional_instructions {
        let mut all = tree.read_file("/etc/agentos/instructions.md")?;
        all.extend_from_slice(format!("\n{}\n", more.trim_end()).as_bytes());
        tree.put_file("/etc/agentos/instructions.md", 0o444, 0, 0, all)?;
    }
    Ok(())
}

/// Replaces the line of `name` in a colon-separated file, or appends it.
fn replace_line(tree: &Tree, file: &str, name: &str, line: &str) -> Result<(), Errno> {
    let old = tree.read_file(file)?;
    let prefix = format!("{name}:").into_bytes();
    let mut all: Vec<u8> =
        old.split_inclusive(|b| *b == b'\n').filter(|l| !l.starts_with(&prefix)).flatten().copied().collect();
    all.extend_from_slice(line.as_bytes());
    tree.put_file(file, 0o644, 0, 0, all)?;
    Ok(())
}
