//! The store of a VM's root: opened before anything is made in the root, kept out of every mount, closed at the VM's end. What
//! is in a store, it does not know.

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agentos_protocol::message::{Event, PersistenceFailed, PersistenceSpec, VmConfig, code};
use agentos_protocol::{Connection, WireError};
use agentos_store::sessions::SessionLogs;
use agentos_store::{Durable, Options, Place, Root, StoreError};
use agentos_vfs::{HostDir, Layer, Tree};

use crate::host::Host;

/// How long the last commit may take: what is at most 2 seconds old, on a disk that is busy.
const KEEP_TIME: Duration = Duration::from_secs(60);

/// Checks what of a configuration can be known before anything is opened.
pub(crate) fn check(config: &VmConfig) -> Result<(), WireError> {
    let Some(spec) = &config.persistence else { return Ok(()) };
    let (field, path) = match spec {
        PersistenceSpec::Directory { path } => ("persistence.directory.path", path),
        PersistenceSpec::Sqlite { path } => ("persistence.sqlite.path", path),
    };
    if !path.0.starts_with(b"/") {
        return Err(WireError::invalid_config(field, format!("{path} is not absolute")));
    }
    if config.root.read_only {
        return Err(WireError::invalid_config("persistence", "in a read-only root nothing changes"));
    }
    if config.mounts.iter().any(|mount| mount.path.0[..] == *b"/") {
        let reason = "a mount takes the place of the root, whose files would be kept";
        return Err(WireError::invalid_config("persistence", reason));
    }
    Ok(())
}

fn place(spec: &PersistenceSpec) -> Place {
    let of = |path: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
    match spec {
        PersistenceSpec::Directory { path } => Place::Directory(of(&path.0)),
        PersistenceSpec::Sqlite { path } => Place::Sqlite(of(&path.0)),
    }
}

fn refused(error: &StoreError) -> WireError {
    WireError::invalid_config("persistence", error.to_string())
}

/// A store in use: no mount of any VM may show it.
pub(crate) struct Claim {
    host: Arc<Host>,
    place: Place,
}

impl Claim {
    /// Claims a place, unless a mount shows it already.
    fn new(host: &Arc<Host>, place: Place) -> Result<Self, WireError> {
        host.stores.lock().push(place.clone());
        let claim = Claim { host: Arc::clone(host), place };
        for shown in host.shown() {
            // A directory that cannot be looked at any more counts as one that shows it.
            if agentos_vfs::host_dir::contains(&shown, &claim.place.directory()).unwrap_or(true) {
                let reason =
                    format!("{} is mounted in a VM and shows it; keep it elsewhere", shown.display());
                return Err(WireError::invalid_config("persistence", reason));
            }
        }
        Ok(claim)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut stores = self.host.stores.lock();
        if let Some(at) = stores.iter().position(|place| *place == self.place) {
            stores.swap_remove(at);
        }
    }
}

/// Refuses to mount what shows the store of a VM; `field` is where the path stands.
pub(crate) fn refuse_shown(host: &Host, dir: &HostDir, path: &Path, field: &str) -> Result<(), WireError> {
    let stores = host.stores.lock().clone();
    for store in stores {
        let shown = match &store {
            Place::Directory(path) => dir.overlaps(path),
            // What lies beside a file does not show it, but the sessions lie there too.
            Place::Sqlite(_) => dir.shows(&store.directory()).and_then(|shows| {
                Ok(shows || (store.sessions().exists() && dir.overlaps(&store.sessions())?))
            }),
        };
        // What cannot be looked at counts as shown.
        if shown.unwrap_or(true) {
            let (path, store) = (path.display(), store.path().display());
            let reason =
                format!("{path} shows {store}, which keeps the files of a VM; mount another directory");
            return Err(WireError::invalid_config(field, reason));
        }
    }
    Ok(())
}

/// A root that is opened and not yet kept.
pub(crate) struct Opened {
    pub(crate) root: Root,
    claim: Claim,
}

/// Opens the store of a configuration, if it has one. `may_lose` sees its note, and says whether files may be lost that were moved
/// and that the base does not have any more.
pub(crate) async fn open(
    host: &Arc<Host>,
    config: &VmConfig,
    base: &Layer,
    may_lose: impl Fn(Option<&[u8]>) -> bool + Send + 'static,
) -> Result<Option<Opened>, WireError> {
    let Some(spec) = &config.persistence else { return Ok(None) };
    let claim = Claim::new(host, place(spec))?;
    let (place, base) = (claim.place.clone(), base.clone());
    let opened = tokio::task::spawn_blocking(move || Root::open_over(&place, &base, &may_lose)).await;
    let root = opened
        .map_err(|error| WireError::new(code::INTERNAL, format!("open the store: {error}")))?
        .map_err(|error| refused(&error))?;
    for lost in root.lost() {
        let (store, file) = (root.path().display(), String::from_utf8_lossy(lost));
        tracing::warn!(%store, %file, "the base does not have this file of an earlier one any more");
    }
    Ok(Some(Opened { root, claim }))
}

/// A root that is kept.
pub(crate) struct Persistence {
    durable: Durable,
    place: Place,
}

impl Opened {
    /// Keeps `tree`, which began as the opened root, and tells the client when that fails.
    pub(crate) fn keep(
        self,
        tree: &Tree,
        vm_id: &str,
        connection: &Connection,
    ) -> Result<Persistence, WireError> {
        let (vm_id, connection) = (vm_id.to_owned(), connection.clone());
        let claim = self.claim;
        let place = claim.place.clone();
        let failed = move |error: &StoreError| {
            // Here it lasts as long as the store is open, also when nobody waits for its end any more.
            let _held = &claim;
            tracing::error!(vm = %vm_id, %error, "files are not kept any more");
            let event = PersistenceFailed { vm_id: vm_id.clone(), reason: error.to_string() };
            // Who does not listen is told by every fsync, and at the end.
            let _ = connection.event(&Event::PersistenceFailed(event));
        };
        let options = Options { failed: Box::new(failed), ..Options::default() };
        let durable = Durable::start(self.root, tree.clone(), options).map_err(|error| refused(&error))?;
        Ok(Persistence { durable, place })
    }
}

impl Persistence {
    /// The logs of sessions, beside the root: whoever has its lock has them.
    pub(crate) fn session_logs(&self) -> Result<SessionLogs, WireError> {
        SessionLogs::open(&self.place.sessions()).map_err(|error| refused(&error))
    }

    /// Everything up to now is kept, and the store is closed.
    pub(crate) async fn close(&self) -> Result<(), WireError> {
        let failed = |why: String| WireError::new(code::INTERNAL, format!("files were not kept: {why}"));
        tokio::time::timeout(KEEP_TIME, self.durable.close())
            .await
            .map_err(|_| failed(format!("the store took more than {} s", KEEP_TIME.as_secs())))?
            .map_err(|error| failed(error.to_string()))
    }
}
