//! One client: its VMs, and the way from a request to the service that answers it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use agentos_protocol::Connection;
use agentos_protocol::message::{Call, Request, WireError, code};
use agentos_protocol::mux::{ConnectionLost, Handler, Responder};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::errors;
use crate::host::Host;
use crate::lowers::Layers;
use crate::service;
use crate::vm::Vm;

/// A client and what belongs to it.
pub(crate) struct Client {
    pub(crate) host: Arc<Host>,
    /// Layers for roots, which it has sent.
    pub(crate) layers: Arc<Layers>,
    itself: Weak<Client>,
    vms: Mutex<BTreeMap<String, Arc<Vm>>>,
    id: Mutex<Option<u64>>,
    gone: CancellationToken,
}

impl Client {
    pub(crate) fn new(host: &Arc<Host>) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            host: Arc::clone(host),
            layers: Arc::default(),
            itself: Weak::clone(itself),
            vms: Mutex::default(),
            id: Mutex::new(None),
            gone: CancellationToken::new(),
        })
    }

    /// A reference for tasks, which must not keep it.
    pub(crate) fn handle(&self) -> Weak<Self> {
        Weak::clone(&self.itself)
    }

    /// The handshake is over.
    pub(crate) fn connected(&self, connection: Connection) {
        match self.host.client_came(&connection) {
            Some(id) => {
                *self.id.lock() = Some(id);
                if self.gone.is_cancelled() {
                    self.host.client_went(id);
                }
            }
            None => connection.goodbye(&WireError::new(code::BUSY, "this sidecar has too many clients")),
        }
    }

    /// Waits until the client is gone; its VMs are being disposed of then.
    pub(crate) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// A VM of this client. Those of others do not exist for it.
    pub(crate) fn vm(&self, id: &str) -> Result<Arc<Vm>, WireError> {
        self.vms.lock().get(id).cloned().ok_or_else(|| errors::no_vm(id))
    }

    pub(crate) fn vms(&self) -> Vec<Arc<Vm>> {
        self.vms.lock().values().cloned().collect()
    }

    /// Takes a new VM in; refused when the client went meanwhile.
    pub(crate) fn add_vm(&self, vm: &Arc<Vm>) -> bool {
        let mut vms = self.vms.lock();
        if self.gone.is_cancelled() {
            return false;
        }
        vms.insert(vm.id.clone(), Arc::clone(vm));
        true
    }

    pub(crate) fn remove_vm(&self, id: &str) -> Option<Arc<Vm>> {
        self.vms.lock().remove(id)
    }
}

/// Polls `work` once, in place: what it does before it first has to wait is done in the order of the requests, which tasks
/// do not keep. Whoever gets it back pending has to poll it on.
pub(crate) fn begin<F: Future + ?Sized>(work: Pin<&mut F>) -> Poll<F::Output> {
    // A task that has read many requests is out of budget; a lock that is free would look taken.
    let mut work = std::pin::pin!(tokio::task::unconstrained(work));
    work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Answers when `work` is done: at once if it does not have to wait, else from a task. Two works begin in the order of
/// their requests.
pub(crate) fn answer<C: Call>(
    responder: Responder,
    work: impl Future<Output = Result<C::Reply, WireError>> + Send + 'static,
) {
    let mut work: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(work);
    // Most calls concern memory and are done here, without a task. One that has to wait is polled again by its task.
    match begin(work.as_mut()) {
        Poll::Ready(result) => responder.reply::<C>(result),
        Poll::Pending => {
            tokio::spawn(async move {
                let cancelled = responder.cancelled().clone();
                tokio::select! {
                    result = work => responder.reply::<C>(result),
                    () = cancelled.cancelled() => {
                        responder.error(&WireError::new(code::CANCELLED, "the caller cancelled it"));
                    }
                }
            });
        }
    }
}

/// The same for work that may be long: never in the task that reads the socket, and in no order.
pub(crate) fn answer_later<C: Call>(
    responder: Responder,
    work: impl Future<Output = Result<C::Reply, WireError>> + Send + 'static,
) {
    tokio::spawn(async move {
        let cancelled = responder.cancelled().clone();
        tokio::select! {
            result = work => responder.reply::<C>(result),
            () = cancelled.cancelled() => {
                responder.error(&WireError::new(code::CANCELLED, "the caller cancelled it"));
            }
        }
    });
}

impl Handler for Client {
    fn request(&self, request: Request, responder: Responder) {
        service::dispatch(self, request, responder);
    }

    fn closed(&self, reason: &ConnectionLost) {
        tracing::debug!(%reason, "client went");
        let vms = {
            let mut vms = self.vms.lock();
            self.gone.cancel();
            std::mem::take(&mut *vms)
        };
        self.layers.clear();
        let (host, id) = (Arc::clone(&self.host), *self.id.lock());
        tokio::spawn(async move {
            futures_util::future::join_all(vms.values().map(|vm| vm.dispose())).await;
            if let Some(id) = id {
                host.client_went(id);
            }
        });
    }
}
