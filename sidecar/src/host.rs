//! What all VMs of this process share: the executor, the base layer, and the count of VMs and clients.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use agentos_executor::Executor;
use agentos_protocol::Connection;
use agentos_protocol::message::{Event, Progress};
use agentos_store::Place;
use agentos_vfs::Layer;
use agentos_vfs::host_dir::Private;
use parking_lot::Mutex;
use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::vm::Vm;

/// VMs of one sidecar.
pub(crate) const MOST_VMS: usize = 4096;
/// Archives that are read or written at once.
const ARCHIVES: usize = 64;
/// Clients of one sidecar.
pub(crate) const MOST_CLIENTS: usize = 256;

/// What all VMs share.
pub(crate) struct Host {
    pub(crate) sidecar_id: String,
    executor: Arc<Executor>,
    base: OnceCell<Layer>,
    preparing: AtomicBool,
    vms: Mutex<BTreeMap<String, Weak<Vm>>>,
    clients: Mutex<BTreeMap<u64, Connection>>,
    next: AtomicU64,
    /// Where the socket is, if there is one.
    pub(crate) socket_directory: Mutex<Option<std::path::PathBuf>>,
    /// Stores of VMs; no mount may show them.
    pub(crate) stores: Mutex<Vec<Place>>,
    /// Directories of the host that VMs see, each for as long as something holds it open.
    shown: Mutex<Vec<(Weak<Private>, PathBuf)>>,
    /// Threads for reading and writing archives.
    pub(crate) archives: Arc<Semaphore>,
    /// A client or VM came or went.
    pub(crate) changed: Notify,
    /// The sidecar ends.
    pub(crate) shutdown: CancellationToken,
}

impl Host {
    pub(crate) fn new(executor: Arc<Executor>) -> Arc<Self> {
        let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Arc::new(Self {
            sidecar_id: format!("sidecar-{}-{:x}", std::process::id(), started.as_millis()),
            executor,
            base: OnceCell::new(),
            preparing: AtomicBool::new(false),
            vms: Mutex::default(),
            clients: Mutex::default(),
            next: AtomicU64::new(1),
            socket_directory: Mutex::new(None),
            stores: Mutex::default(),
            shown: Mutex::default(),
            archives: Arc::new(Semaphore::new(ARCHIVES)),
            changed: Notify::new(),
            shutdown: CancellationToken::new(),
        })
    }

    /// A number that this sidecar has not given before.
    pub(crate) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn executor(&self) -> &Arc<Executor> {
        &self.executor
    }

    /// The base layer, with all bundled programs loaded. The first call of an installation compiles images and tells all
    /// clients how far it is.
    pub(crate) async fn base(self: &Arc<Self>) -> Result<Layer, String> {
        let layer = self
            .base
            .get_or_try_init(|| async {
                self.preparing.store(true, Ordering::Relaxed);
                let host = Arc::clone(self);
                let prepared = tokio::task::spawn_blocking(move || {
                    host.executor.prepare(|what, done, total| host.progress(what, done, total))
                })
                .await;
                self.preparing.store(false, Ordering::Relaxed);
                prepared.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
                agentos_base_snapshot::base_layer().map_err(|e| format!("base layer: {e}"))
            })
            .await?;
        Ok(layer.clone())
    }

    /// Directories of the host that no VM may see: what this process runs from and listens in.
    pub(crate) fn own_directories(&self) -> Vec<std::path::PathBuf> {
        let mut own = vec![self.executor.cache_directory().to_owned()];
        own.extend(self.socket_directory.lock().clone());
        own
    }

    /// A VM sees a directory of the host, for as long as `held` lives.
    pub(crate) fn shows(&self, held: &Arc<Private>, directory: &Path) {
        let mut shown = self.shown.lock();
        shown.retain(|(held, _)| held.strong_count() > 0);
        shown.push((Arc::downgrade(held), directory.to_owned()));
    }

    /// The directories of the host that VMs see.
    pub(crate) fn shown(&self) -> Vec<PathBuf> {
        let shown = self.shown.lock();
        shown.iter().filter(|(held, _)| held.strong_count() > 0).map(|(_, path)| path.clone()).collect()
    }

    fn progress(&self, what: &str, done: usize, total: usize) {
        let event = Event::Progress(Progress {
            what: format!("preparing {what}"),
            done: done as u64,
            total: total as u64,
        });
        let clients: Vec<_> = self.clients.lock().values().cloned().collect();
        for client in clients {
            // Progress may be missed: a client that does not read is no reason to wait.
            let _ = client.event(&event);
        }
    }

    /// Registers a client; `None` when there are too many.
    pub(crate) fn client_came(&self, connection: &Connection) -> Option<u64> {
        let id = self.next_id();
        let mut clients = self.clients.lock();
        if clients.len() >= MOST_CLIENTS {
            return None;
        }
        clients.insert(id, connection.clone());
        drop(clients);
        self.changed.notify_waiters();
        Some(id)
    }

    pub(crate) fn client_went(&self, id: u64) {
        self.clients.lock().remove(&id);
        self.changed.notify_waiters();
    }

    pub(crate) fn client_count(&self) -> usize {
        self.clients.lock().len()
    }

    pub(crate) fn vm_came(&self, vm: &Arc<Vm>) {
        self.vms.lock().insert(vm.id.clone(), Arc::downgrade(vm));
    }

    pub(crate) fn vm_went(&self, id: &str) {
        self.vms.lock().remove(id);
        self.changed.notify_waiters();
    }

    pub(crate) fn vm_count(&self) -> usize {
        self.vms.lock().len()
    }

    pub(crate) fn all_vms(&self) -> Vec<Arc<Vm>> {
        self.vms.lock().values().filter_map(Weak::upgrade).collect()
    }
}
