//! The root file system of a new VM: the base layer, and what differs from VM to VM in it. It mounts nothing.

use std::sync::{Arc, OnceLock};

use agentos_kernel::{Errno, Limits, Observer, Warning};
use agentos_protocol::message::{VmConfig, code};
use agentos_protocol::{Connection, WireError};
use agentos_vfs::{FileSystem, Layer, Quota, Tree, TreeLimits, Usage};

use crate::config::Checked;
use crate::errors::failed;
use crate::host::Host;
use crate::persistence::{self, Persistence};

/// A root file system.
pub(crate) struct Root {
    /// What is mounted at `/`.
    pub(crate) tree: Tree,
    /// What of it came with the base, and is not charged to the VM.
    base: Usage,
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
        persistence: Option<Persistence>,
        limits: &Limits,
        observer: &Arc<dyn Observer>,
    ) -> Self {
        let limits = TreeLimits { bytes: limits.fs_bytes, inodes: limits.fs_inodes };
        let (quota, observer) = (OnceLock::new(), Arc::clone(observer));
        let root = Root { tree, base, persistence, quota, limits, observer };
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
        Root::new(self.tree.copy(), self.base, None, &checked.limits, observer)
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

/// Makes the root of a VM.
pub(crate) async fn make(
    host: &Arc<Host>,
    checked: &Checked,
    config: &VmConfig,
    vm_id: &str,
    connection: &Connection,
    observer: &Arc<dyn Observer>,
) -> Result<Root, WireError> {
    let base = host
        .base()
        .await
        .map_err(|reason| WireError::new(code::INTERNAL, format!("prepare the machine: {reason}")))?;
    let used = base.usage();
    let mut opened = persistence::open(host, config, &base).await?;
    let begin = opened.as_ref().map_or(&base, |opened| opened.root.layer());
    // The base is not charged to the VM: the limits are what it can add.
    let tree = Tree::from_layer_with(
        begin,
        TreeLimits {
            bytes: checked.limits.fs_bytes.saturating_add(used.bytes),
            inodes: checked.limits.fs_inodes.saturating_add(used.inodes),
        },
    );
    let furnished = furnished(checked, config);
    // What was furnished like this before belongs to the guest by now.
    if opened.as_ref().is_none_or(|opened| opened.root.note() != Some(&furnished)) {
        furnish(&tree, &base, checked, config).map_err(|e| failed(e, "furnish", "/"))?;
    }
    if let Some(opened) = &mut opened {
        opened.root.set_note(furnished);
    }
    let persistence = opened.map(|opened| opened.keep(&tree, vm_id, connection)).transpose()?;
    Ok(Root::new(tree, used, persistence, &checked.limits, observer))
}

/// All that [`furnish`] looks at, as bytes that can be kept and compared.
fn furnished(checked: &Checked, config: &VmConfig) -> Vec<u8> {
    let user = &checked.user;
    let instructions = &config.additional_instructions;
    format!("{:?}", (&checked.hostname, &user.name, user.uid, user.gid, &checked.home, instructions))
        .into_bytes()
}

/// What differs from VM to VM in the root: host name, user, instructions. Doing it again changes nothing more.
fn furnish(tree: &Tree, base: &Layer, checked: &Checked, config: &VmConfig) -> Result<(), Errno> {
    let hostname = &checked.hostname;
    tree.put_file("/etc/hostname", 0o644, 0, 0, format!("{hostname}\n").into_bytes())?;
    if hostname != "agentos" {
        replace_line(tree, "/etc/hosts", "127.0.1.1\t", &format!("127.0.1.1\t{hostname}\n"))?;
    }
    let user = &checked.user;
    let known = matches!((user.name.as_str(), user.uid, user.gid), ("agentos", 1000, 1000) | ("root", 0, 0));
    if !known || checked.home.as_bytes() != b"/home/agentos" {
        tree.put_dir(checked.home.as_bytes(), 0o755, user.uid, user.gid)?;
    }
    if !known {
        let (name, uid, gid, home) = (&user.name, user.uid, user.gid, &checked.home);
        let entry = format!("{name}:");
        replace_line(tree, "/etc/passwd", &entry, &format!("{name}:x:{uid}:{gid}::{home}:/bin/sh\n"))?;
        replace_line(tree, "/etc/group", &entry, &format!("{name}:x:{gid}:\n"))?;
        tree.put_dir("/workspace", 0o755, uid, gid)?;
    }
    if let Some(more) = &config.additional_instructions {
        let mut all = Tree::from_layer(base).read_file("/etc/agentos/instructions.md")?;
        all.extend_from_slice(format!("\n{}\n", more.trim_end()).as_bytes());
        tree.put_file("/etc/agentos/instructions.md", 0o444, 0, 0, all)?;
    }
    Ok(())
}

/// Replaces the lines that begin with `prefix`, or appends one.
fn replace_line(tree: &Tree, file: &str, prefix: &str, line: &str) -> Result<(), Errno> {
    let old = tree.read_file(file)?;
    let others = old.split_inclusive(|b| *b == b'\n').filter(|l| !l.starts_with(prefix.as_bytes()));
    let mut all: Vec<u8> = others.flatten().copied().collect();
    all.extend_from_slice(line.as_bytes());
    tree.put_file(file, 0o644, 0, 0, all)?;
    Ok(())
}
