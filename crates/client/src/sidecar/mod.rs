//! Sidecars: finding or starting one, describing and ending it.
//! What runs in it is reached through [`crate::AgentOs`].

mod bundled;
mod child;
mod link;
mod locate;
mod making;
mod private;
mod pulse;
mod shared;
mod streamed;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use agentos_protocol::message::{DescribeSidecar, ShutdownSidecar, SidecarInfo};
pub use agentos_protocol::message::{SidecarLimits, SidecarState};
pub use bundled::init;
use child::Child;
pub(crate) use link::{DriverLease, Link, TextsLease, ToolsLease, quick_stream_error};
pub(crate) use making::Making;
use serde::Serialize;
#[cfg(test)]
pub(crate) use tests::fake_sidecar;

use crate::error::{Error, Result};
use crate::vm::EventStream;
use crate::wire;

/// How long a sidecar may take to end its VMs.
const SHUTDOWN: Duration = Duration::from_secs(15);

/// Options of a private sidecar.
#[derive(Clone, Debug, Default)]
pub struct CreateSidecarOptions {
    /// Its program; looked up if absent: `AGENTOS_SIDECAR`, the bundled one, beside the current executable, PATH.
    pub binary: Option<PathBuf>,
}

/// Options of a shared sidecar.
#[derive(Clone, Debug, Default)]
pub struct SharedSidecarOptions {
    /// Name of the pool, `[a-z0-9_-]{1,32}`; `default`.
    pub pool: Option<String>,
    /// As [`CreateSidecarOptions::binary`]. Different programs never share a pool.
    pub binary: Option<PathBuf>,
}

/// Who uses a sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[non_exhaustive]
pub enum SidecarPlacement {
    /// Every program of this user that asks for this pool.
    Shared {
        /// Its name.
        pool: String,
    },
    /// Whoever holds the handle.
    Explicit,
}

/// What [`AgentOsSidecar::describe`] tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SidecarDescription {
    /// Its id, unique on the machine.
    pub sidecar_id: String,
    /// Who uses it.
    pub placement: SidecarPlacement,
    /// What it is doing.
    pub state: SidecarState,
    /// VMs of all its users.
    pub active_vm_count: u32,
    /// Version of its package.
    pub version: String,
    /// Process on the host; 0 once it is disposed.
    pub pid: u32,
    /// Limits over all VMs.
    pub limits: SidecarLimits,
}

/// A sidecar process that VMs can be made in. It ends when the last handle and the last VM are dropped (a shared one: when
/// nobody uses it any more), or by [`AgentOsSidecar::dispose`].
#[derive(Debug)]
pub struct AgentOsSidecar {
    link: Arc<Link>,
    placement: SidecarPlacement,
    last: parking_lot::Mutex<SidecarInfo>,
    state: AtomicU8,
    child: Option<Child>,
}

const READY: u8 = 0;
const DISPOSING: u8 = 1;
const DISPOSED: u8 = 2;

impl AgentOsSidecar {
    fn new(
        link: Arc<Link>,
        placement: SidecarPlacement,
        info: SidecarInfo,
        child: Option<Child>,
    ) -> Arc<Self> {
        let last = parking_lot::Mutex::new(info);
        Arc::new(AgentOsSidecar { link, placement, last, state: AtomicU8::new(READY), child })
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// It can take VMs.
    pub(crate) fn usable(&self) -> bool {
        self.state.load(Ordering::Acquire) == READY && self.link.connection().lost().is_none()
    }

    /// Asks the sidecar; once it is disposed or gone, tells what was known last.
    ///
    /// # Errors
    /// [`Error::Transport`] if it does not answer sensibly.
    pub async fn describe(&self) -> Result<SidecarDescription> {
        let state = match self.state.load(Ordering::Acquire) {
            READY => match self.link.call(&DescribeSidecar {}).await {
                Ok(info) => {
                    let state = info.state;
                    *self.last.lock() = info;
                    state
                }
                Err(Error::SidecarExited { .. } | Error::Disposed) => SidecarState::Disposed,
                Err(error) => return Err(error),
            },
            DISPOSING => SidecarState::Disposing,
            _ => SidecarState::Disposed,
        };
        let info = self.last.lock().clone();
        let gone = state == SidecarState::Disposed;
        Ok(SidecarDescription {
            sidecar_id: info.sidecar_id,
            placement: self.placement.clone(),
            state,
            active_vm_count: if gone { 0 } else { info.active_vm_count },
            version: info.version,
            pid: if gone { 0 } else { info.pid },
            limits: info.limits,
        })
    }

    /// Ends it and its VMs; waits for its process if this program started it. A shared one that others still use goes on
    /// without us. Disposing it again succeeds at once.
    ///
    /// # Errors
    /// None at present: what cannot be ended in time is killed.
    pub async fn dispose(&self) -> Result<()> {
        if self.state.compare_exchange(READY, DISPOSING, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return Ok(());
        }
        let force = self.placement == SidecarPlacement::Explicit;
        let asked = async {
            // It may be gone already, busy with others, or never answer; the connection is closed in any case.
            if let Err(error) = self.link.call(&ShutdownSidecar { force }).await {
                tracing::debug!(%error, "the sidecar was not shut down by request");
            }
        };
        tokio::select! {
            () = asked => {}
            () = wire::sleep(SHUTDOWN)? => {}
        }
        self.link.connection().close();
        if let (Some(child), SidecarPlacement::Explicit) = (&self.child, &self.placement) {
            child.end();
            child.exited().await;
        }
        self.state.store(DISPOSED, Ordering::Release);
        Ok(())
    }

    /// What the sidecar and its VMs tell from now on, such as the progress of preparing images on the first start. A
    /// subscriber that is slow misses the oldest.
    #[must_use]
    pub fn events(&self) -> EventStream {
        EventStream::new(self.link.events(), |_| true)
    }

    /// The standard error of its process so far, last lines, if this program started it.
    #[must_use]
    pub fn last_stderr(&self) -> Vec<String> {
        self.child.as_ref().map(Child::last_stderr).unwrap_or_default()
    }
}

impl Drop for AgentOsSidecar {
    fn drop(&mut self) {
        self.link.connection().close();
        if let (Some(child), SidecarPlacement::Explicit) = (&self.child, &self.placement) {
            child.end();
        }
    }
}

/// Starts a sidecar for this program alone.
pub(crate) async fn create_private(options: CreateSidecarOptions) -> Result<Arc<AgentOsSidecar>> {
    wire::on_wire(private::start(options)).await
}

/// Connects to the shared sidecar of a pool, and starts it if there is none.
pub(crate) async fn get_shared(options: SharedSidecarOptions) -> Result<Arc<AgentOsSidecar>> {
    wire::on_wire(shared::get(options)).await
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use agentos_protocol::mux::{Handler, Limits, connect};
    use agentos_protocol::version::{Hello, Role};

    use super::*;

    /// A sidecar in this process, behind a socket pair.
    pub(crate) async fn fake_sidecar(
        handler: Arc<dyn Handler>,
    ) -> (Arc<AgentOsSidecar>, agentos_protocol::Connection) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        wire::on_wire(async move {
            let hello = Hello::new(Role::Sidecar);
            let (link, peer) =
                tokio::join!(Link::connect(ours, None), connect(theirs, hello, handler, Limits::default()));
            let sidecar =
                AgentOsSidecar::new(link?, SidecarPlacement::Explicit, SidecarInfo::default(), None);
            Ok((sidecar, peer.unwrap()))
        })
        .await
        .unwrap()
    }
}
