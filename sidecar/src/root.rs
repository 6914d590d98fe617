//! The root file system of a new VM: its layers, one over the other, and who pays for them. It mounts nothing; what differs
//! from VM to VM is in `furnish`.

mod furnish;

use std::sync::{Arc, OnceLock};

use agentos_kernel::{Limits, Observer, Warning};
use agentos_protocol::message::{LimitInfo, VmConfig, code};
use agentos_protocol::{Connection, WireError};
use agentos_store::sessions::SessionLogs;
use agentos_vfs::layer::ApplyError;
use agentos_vfs::{FileSystem, Layer, Quota, Tree, TreeLimits, Usage, layer};

use crate::config::Checked;
use crate::host::Host;
use crate::lowers::Lower;
use crate::persistence::{self, Persistence};
use crate::tools::Toolkits;

/// A root file system.
pub(crate) struct Root {
    /// What is mounted at `/`.
    pub(crate) tree: Tree,
    /// What of it came with the base, and is not charged to the VM.
    base: Usage,
    /// The bundled base, if it is in it.
    pub(crate) bundled: Option<Layer>,
    /// What keeps it; copies are kept nowhere.
    persistence: Option<Persistence>,
    /// The account of the root and of what is mounted beside it in memory, once there is something.
    quota: OnceLock<Arc<Quota>>,
    limits: TreeLimits,
    observer: Arc<dyn Observer>,
}

impl Root {
    fn new(
        tree: Tree,
        base: Usage,
        bundled: Option<Layer>,
        persistence: Option<Persistence>,
        limits: &Limits,
        observer: &Arc<dyn Observer>,
    ) -> Self {
        let limits = TreeLimits { bytes: limits.fs_bytes, inodes: limits.fs_inodes };
        let (quota, observer) = (OnceLock::new(), Arc::clone(observer));
        let root = Root { tree, base, bundled, persistence, quota, limits, observer };
        let (warn, base) = (root.warnings(), root.base);
        root.tree.metered(move |now| {
            warn(Usage {
                bytes: now.bytes.saturating_sub(base.bytes),
                inodes: now.inodes.saturating_sub(base.inodes),
            });
        });
        root
    }

    /// A root that starts as this one is now.
    pub(crate) fn fork(&self, checked: &Checked, observer: &Arc<dyn Observer>) -> Self {
        let bundled = self.bundled.clone();
        Root::new(self.tree.copy(), self.base, bundled, None, &checked.limits, observer)
    }

    /// A file system that is mounted in the VM: what it holds in memory counts together with the root.
    pub(crate) fn share_with(&self, fs: &dyn FileSystem) {
        if fs.account().is_none() {
            return;
        }
        let quota = self.quota.get_or_init(|| {
            let quota = Quota::new(self.limits, self.warnings());
            // The account tells of all that it counts, the root included.
            self.tree.metered(|_| ());
            self.tree.share_beyond(&quota, self.base);
            quota
        });
        fs.share(quota);
        if let Some(tree) = fs.tree()
            && tree.limits().bytes < self.limits.bytes
        {
            let size = Warning::new(Some(&self.observer), "mountSize", tree.limits().bytes);
            tree.metered(move |now| size.uses(now.bytes));
        }
    }

    /// All that the VM needs in it is there: if it is to be read-only, it is from now on.
    pub(crate) fn finished(&self, config: &VmConfig) {
        if config.root.read_only {
            self.tree.seal();
        }
    }

    /// The VM ended: everything is kept, if it is to be.
    pub(crate) async fn close(&self) -> Result<(), WireError> {
        match &self.persistence {
            Some(persistence) => persistence.close().await,
            None => Ok(()),
        }
    }

    /// Where the sessions of the machine are kept, if its files are.
    pub(crate) fn session_logs(&self) -> Result<Option<SessionLogs>, WireError> {
        self.persistence.as_ref().map(Persistence::session_logs).transpose()
    }

    /// Tells when it is nearly full.
    fn warnings(&self) -> impl Fn(Usage) + Send + Sync + use<> {
        let warning = |name, limit| Warning::new(Some(&self.observer), name, limit);
        let bytes = warning("filesystemBytes", self.limits.bytes);
        let inodes = warning("inodes", self.limits.inodes);
        move |now| {
            bytes.uses(now.bytes);
            inodes.uses(now.inodes);
        }
    }
}

/// Makes the root of a VM of its layers, lowest first.
#[expect(clippy::too_many_arguments, reason = "what a root is made of, once")]
pub(crate) async fn make(
    host: &Arc<Host>,
    checked: &Checked,
    config: &VmConfig,
    lowers: Vec<Lower>,
    vm_id: &str,
    connection: &Connection,
    observer: &Arc<dyn Observer>,
    toolkits: Option<&Toolkits>,
) -> Result<Root, WireError> {
    let base = host
        .base()
        .await
        .map_err(|reason| WireError::new(code::INTERNAL, format!("prepare the machine: {reason}")))?;
    let bundled = lowers.iter().any(|lower| matches!(lower, Lower::Bundled)).then(|| base.clone());
    let layered = lowers.iter().any(|lower| matches!(lower, Lower::Sent(_)));
    let layer = match &lowers[..] {
        [Lower::Bundled] => base,
        _ => {
            let stacked = tokio::task::spawn_blocking(move || stack(&base, &lowers)).await;
            stacked.map_err(|error| WireError::new(code::INTERNAL, error.to_string()))??
        }
    };
    // The base is not charged to the VM: the limits are what it can add. Other layers are.
    let used = bundled.as_ref().map_or(Usage::default(), Layer::usage);
    let limits = TreeLimits {
        bytes: checked.limits.fs_bytes.saturating_add(used.bytes),
        inodes: checked.limits.fs_inodes.saturating_add(used.inodes),
    };
    fits(layer.usage(), used, limits)?;
    // The programs of the product may change with it; what a user brings is not to be lost because it was left out once.
    let may_lose = move |note: Option<&[u8]>| !layered && !note.is_some_and(furnish::was_layered);
    let mut opened = persistence::open(host, config, &layer, may_lose).await?;
    let begin = opened.as_ref().map_or(&layer, |opened| opened.root.layer());
    let tree = Tree::from_layer_with(begin, limits);
    let furnished = furnish::inputs(checked, config, toolkits, bundled.is_some(), layered);
    // What was furnished like this before belongs to the guest by now.
    if opened.as_ref().is_none_or(|opened| opened.root.note() != Some(&furnished)) {
        furnish::furnish(&tree, &layer, checked, config, toolkits, bundled.is_some())?;
    }
    if let Some(opened) = &mut opened {
        opened.root.set_note(furnished);
    }
    let persistence = opened.map(|opened| opened.keep(&tree, vm_id, connection)).transpose()?;
    Ok(Root::new(tree, used, bundled, persistence, &checked.limits, observer))
}

/// One layer over the other.
fn stack(base: &Layer, lowers: &[Lower]) -> Result<Layer, WireError> {
    let refuse = |error: ApplyError| WireError::invalid_config("rootFilesystem.lowers", error.to_string());
    let mut below: Option<Layer> = None;
    for lower in lowers {
        below = Some(match (lower, below) {
            (Lower::Bundled, None) => base.clone(),
            (Lower::Bundled, Some(below)) => {
                layer::diff(&Layer::empty(), base).lay_over(&below, &[]).map_err(refuse)?
            }
            (Lower::Sent(layers), below) => layers
                .iter()
                .try_fold(below.unwrap_or_default(), |below, layer| layer.lay_over(&below))
                .map_err(refuse)?,
        });
    }
    Ok(below.unwrap_or_default())
}

/// Refuses what holds more than the VM may have.
fn fits(holds: Usage, base: Usage, limits: TreeLimits) -> Result<(), WireError> {
    for (name, holds, base, limit) in [
        ("filesystemBytes", holds.bytes, base.bytes, limits.bytes),
        ("inodes", holds.inodes, base.inodes, limits.inodes),
    ] {
        if holds > limit {
            return Err(WireError::limit(LimitInfo {
                name: name.to_owned(),
                configured: limit - base,
                used: 0,
                requested: holds - base,
            }));
        }
    }
    Ok(())
}
