//! A VM: making it, ending it, and what it tells.
//! What is done in it is in `cron`, `files`, `mounts`, `processes`, `sessions` and `shells`.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use agentos_protocol::message::{
    Call, CreateVm, DescribeVm, DisposeVm, ForkVm, MountSource, RootLower, WirePath,
};
pub use agentos_protocol::message::{Event, PermissionDenied, VmInfo};
use agentos_protocol::mux::SendStream;
use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::config::{AgentOsConfig, AgentOsSidecarConfig, lower, named_by_field};
use crate::cron::Cron;
use crate::error::{Error, Result};
use crate::sidecar::{
    self, AgentOsSidecar, CreateSidecarOptions, DriverLease, Link, Making, SharedSidecarOptions, TextsLease,
    ToolsLease,
};
use crate::{snapshots, wire};

/// A machine. Clones are the same machine; it ends by [`AgentOs::dispose`], or when the last clone is dropped.
///
/// ```no_run
/// # async fn f() -> Result<(), agentos::Error> {
/// use agentos::{AgentOs, AgentOsConfig};
/// let os = AgentOs::create(AgentOsConfig::builder().hostname("box").build()).await?;
/// let same = os.clone();
/// tokio::spawn(async move { same.exists("/etc/passwd").await });
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct AgentOs {
    pub(crate) vm: Arc<Vm>,
    /// What the program's clones have, and those of cron's runs do not: runs alone keep no machine.
    _owned: Option<Arc<Owned>>,
}

/// The machine as the program's own. Without it no run of cron begins, and the last that is under way ends it.
struct Owned(Arc<Vm>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.cron.stop_now();
    }
}

impl std::fmt::Debug for AgentOs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentOs").field("vm_id", &self.vm.id).finish_non_exhaustive()
    }
}

/// An open stdin; the lock keeps each write in one piece.
pub(crate) type Stdin = Arc<tokio::sync::Mutex<SendStream>>;

pub(crate) struct Vm {
    pub(crate) id: String,
    sidecar: Arc<AgentOsSidecar>,
    disposed: AtomicBool,
    pub(crate) stdins: Mutex<HashMap<u32, Stdin>>,
    /// What is typed into terminals, by shell.
    pub(crate) shell_inputs: Mutex<HashMap<String, Stdin>>,
    /// Tools that its guests may call; shared with its forks.
    tools: Option<Arc<ToolsLease>>,
    /// Files of this program for agents, by session.
    pub(crate) texts: Mutex<HashMap<String, TextsLease>>,
    /// Drivers by mount point.
    pub(crate) drivers: Mutex<BTreeMap<WirePath, Arc<DriverLease>>>,
    pub(crate) cron: Cron,
}

impl AgentOs {
    /// Makes a VM.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] with the field that is wrong or not supported; [`Error::SidecarNotFound`],
    /// [`Error::SidecarExited`], [`Error::VersionMismatch`]; [`Error::Limit`].
    pub async fn create(config: AgentOsConfig) -> Result<AgentOs> {
        let from = config.sidecar.clone().unwrap_or_default();
        let driver = config.schedule_driver.clone();
        let mut lowered = lower(config)?;
        let sidecar = match from {
            AgentOsSidecarConfig::Explicit { handle } => handle,
            AgentOsSidecarConfig::Shared { pool } => {
                sidecar::get_shared(SharedSidecarOptions { pool, binary: None }).await?
            }
        };
        let mut drivers = BTreeMap::new();
        for (index, driver) in lowered.drivers {
            let lease = sidecar.link().add_driver(driver);
            if let Some(mount) = lowered.config.mounts.get_mut(index) {
                mount.source = MountSource::Driver { driver_id: lease.id };
                drivers.insert(mount.path.clone(), Arc::new(lease));
            }
        }
        // They are let go once the machine is made: it has what it needs of them.
        let mut layers = Vec::new();
        for (index, source) in lowered.snapshots {
            let layer = snapshots::send(sidecar.link(), index, source, &lowered.config.limits).await?;
            if let Some(lower) = lowered.config.root.lowers.get_mut(index) {
                *lower = RootLower::Layer { layer_id: layer.id().to_owned() };
            }
            layers.push(layer);
        }
        let tools = lowered.tools.map(|tools| Arc::new(sidecar.link().add_tools(tools)));
        if let (Some(lease), Some(spec)) = (&tools, &mut lowered.config.tools) {
            spec.tools_id = lease.id;
        }
        let modules = lowered.modules;
        let made = sidecar.link().call(&CreateVm { config: lowered.config }).await;
        let info = made.map_err(|error| named_by_field(error, modules))?;
        drop(layers);
        let cron = Cron::new(driver);
        Ok(AgentOs::owned(Vm::new(info.vm_id, sidecar, drivers, tools, cron)))
    }

    /// Makes a machine that starts as this one is now: its files, environment, limits and configuration, and none of its
    /// processes, terminals and sessions. Neither sees what the other changes afterwards, in the root and in file systems in
    /// memory. What is mounted from elsewhere (host directories, drivers of this program) is the same for both.
    ///
    /// Whatever the files hold, it takes less than a millisecond and no memory to speak of: both share what they do not
    /// change. Of a file that is being written, the copy has what was written before.
    ///
    /// # Errors
    /// [`Error::Disposed`]; [`Error::Limit`] (machines of the sidecar).
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// let attempt = os.fork().await?;
    /// attempt.write_file("/workspace/main.rs", "fn main() {}").await?;
    /// assert!(!os.exists("/workspace/main.rs").await?);
    /// # Ok(()) }
    /// ```
    pub async fn fork(&self) -> Result<AgentOs> {
        let of = self.vm.id();
        let undo = |made: VmInfo| DisposeVm { vm_id: made.vm_id };
        // Held before the call: a driver that is unmounted here meanwhile must not be gone for the copy.
        let drivers = self.vm.drivers.lock().clone();
        let info = self.vm.make(&ForkVm { vm_id: of }, undo).await?;
        let cron = self.vm.cron.fork();
        let tools = self.vm.tools.clone();
        Ok(AgentOs::owned(Vm::new(info.vm_id, Arc::clone(&self.vm.sidecar), drivers, tools, cron)))
    }

    fn owned(vm: Vm) -> AgentOs {
        let vm = Arc::new(vm);
        AgentOs { _owned: Some(Arc::new(Owned(Arc::clone(&vm)))), vm }
    }

    /// For a run of cron.
    pub(crate) fn unowned(vm: Arc<Vm>) -> AgentOs {
        AgentOs { vm, _owned: None }
    }

    /// Ends the VM: its cron jobs, sessions, terminals, processes and files, in this order. Ending it again succeeds at once; so does ending one whose sidecar
    /// has gone.
    ///
    /// # Errors
    /// [`Error::Transport`] if the sidecar does not answer sensibly.
    pub async fn dispose(&self) -> Result<()> {
        self.vm.cron.stop_now();
        if self.vm.cron.is_idle() {
            return self.vm.end().await;
        }
        // Where nobody drops it: this may be called by a run of cron, which is cancelled here.
        let vm = Arc::clone(&self.vm);
        wire::on_wire(async move {
            vm.cron.stopped().await;
            vm.end().await
        })
        .await
    }

    /// Its id, unique in its sidecar.
    #[must_use]
    pub fn vm_id(&self) -> &str {
        &self.vm.id
    }

    /// What it is now.
    ///
    /// # Errors
    /// [`Error::Disposed`].
    pub async fn describe(&self) -> Result<VmInfo> {
        self.vm.call(&DescribeVm { vm_id: self.vm.id() }).await
    }

    /// The sidecar it runs in.
    #[must_use]
    pub fn sidecar(&self) -> &Arc<AgentOsSidecar> {
        &self.vm.sidecar
    }

    /// The sidecar of a pool that programs of this user share; started if there is none.
    ///
    /// # Errors
    /// [`Error::SidecarNotFound`], [`Error::SidecarExited`], [`Error::VersionMismatch`], [`Error::Timeout`].
    pub async fn get_shared_sidecar(options: SharedSidecarOptions) -> Result<Arc<AgentOsSidecar>> {
        sidecar::get_shared(options).await
    }

    /// A new sidecar for this program alone.
    ///
    /// # Errors
    /// As [`AgentOs::get_shared_sidecar`].
    ///
    /// ```no_run
    /// # async fn f() -> Result<(), agentos::Error> {
    /// use agentos::{AgentOs, AgentOsConfig, AgentOsSidecarConfig};
    /// let handle = AgentOs::create_sidecar(Default::default()).await?;
    /// let config = AgentOsConfig::builder().sidecar(AgentOsSidecarConfig::Explicit { handle }).build();
    /// let os = AgentOs::create(config).await?;
    /// # Ok(()) }
    /// ```
    pub async fn create_sidecar(options: CreateSidecarOptions) -> Result<Arc<AgentOsSidecar>> {
        sidecar::create_private(options).await
    }

    /// What the VM and its sidecar tell from now on. A subscriber that is slow misses the oldest.
    #[must_use]
    pub fn events(&self) -> EventStream {
        let vm_id = self.vm.id.clone();
        EventStream::new(self.vm.link().events(), move |event| match event {
            Event::LimitWarning(warning) => warning.vm_id == vm_id,
            Event::PermissionDenied(denied) => denied.vm_id == vm_id,
            Event::LimitKilled(killed) => killed.vm_id == vm_id,
            Event::VmClosed(closed) => closed.vm_id == vm_id,
            Event::PersistenceFailed(failed) => failed.vm_id == vm_id,
            _ => true,
        })
    }
}

impl Vm {
    fn new(
        id: String,
        sidecar: Arc<AgentOsSidecar>,
        drivers: BTreeMap<WirePath, Arc<DriverLease>>,
        tools: Option<Arc<ToolsLease>>,
        cron: Cron,
    ) -> Self {
        Vm {
            id,
            sidecar,
            disposed: AtomicBool::new(false),
            stdins: Mutex::default(),
            shell_inputs: Mutex::default(),
            tools,
            texts: Mutex::default(),
            drivers: Mutex::new(drivers),
            cron,
        }
    }

    /// Ends it. Its jobs have ended before.
    async fn end(&self) -> Result<()> {
        self.cron.end_events();
        if self.disposed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.shell_inputs.lock().clear();
        self.stdins.lock().clear();
        let result = self.link().call(&DisposeVm { vm_id: self.id.clone() }).await;
        self.drivers.lock().clear();
        let texts = std::mem::take(&mut *self.texts.lock());
        drop(texts);
        match result {
            Ok(_) | Err(Error::Disposed | Error::SidecarExited { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        self.sidecar.link()
    }

    pub(crate) fn id(&self) -> String {
        self.id.clone()
    }

    /// The link, unless the VM is disposed.
    pub(crate) fn open(&self) -> Result<&Link> {
        if self.disposed.load(Ordering::Acquire) { Err(Error::Disposed) } else { Ok(self.link()) }
    }

    pub(crate) async fn call<C: Call>(&self, call: &C) -> Result<C::Reply> {
        self.open()?.call(call).await
    }

    /// A call that makes something; `undo` takes it back if the caller goes before it has the reply.
    pub(crate) async fn make<C: Call, D: Call>(
        &self,
        call: &C,
        undo: impl FnOnce(C::Reply) -> D + Send + 'static,
    ) -> Result<C::Reply> {
        let pending = self.open()?.start(call).await?;
        match Making::new(self.link(), pending, undo).await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.link().error(error).await),
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        if self.disposed.swap(true, Ordering::AcqRel) {
            return;
        }
        // Best effort: if the request cannot be sent the sidecar ends the VM with the connection.
        let Ok(pending) = self.link().connection().start_call(&DisposeVm { vm_id: self.id() }) else {
            return;
        };
        let sidecar = Arc::clone(&self.sidecar);
        if let Ok(handle) = wire::wire() {
            handle.spawn(async move {
                if let Err(error) = pending.await {
                    tracing::debug!(%error, "a dropped VM was not disposed by request");
                }
                // Only now may the last handle close the connection.
                drop(sidecar);
            });
        }
    }
}

/// Events of a VM and its sidecar.
pub struct EventStream {
    inner: Pin<Box<dyn Stream<Item = Event> + Send>>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventStream")
    }
}

impl EventStream {
    pub(crate) fn new(
        receiver: broadcast::Receiver<Event>,
        wanted: impl Fn(&Event) -> bool + Send + Sync + 'static,
    ) -> Self {
        let inner = futures_util::stream::unfold((receiver, wanted), |(mut receiver, wanted)| async move {
            loop {
                match receiver.recv().await {
                    Ok(event) if wanted(&event) => return Some((event, (receiver, wanted))),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        // Whoever asks on after the end is told again.
        EventStream { inner: Box::pin(inner.fuse()) }
    }

    /// The next event; `None` when the sidecar handle is gone.
    pub async fn next(&mut self) -> Option<Event> {
        self.inner.next().await
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.inner.as_mut().poll_next(cx)
    }
}
