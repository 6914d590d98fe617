//! The root file system of a new VM: the base layer, and what differs from VM to VM in it. It mounts nothing.

use std::sync::Arc;

use agentos_kernel::{Errno, Observer, Warning};
use agentos_protocol::message::{VmConfig, code};
use agentos_protocol::{Connection, WireError};
use agentos_vfs::{Layer, Tree, TreeLimits, Usage};

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
}

impl Root {
    /// A root that starts as this one is now.
    pub(crate) fn fork(&self, checked: &Checked, observer: &Arc<dyn Observer>) -> Self {
        let root = Root { tree: self.tree.copy(), base: self.base, persistence: None };
        root.warn(checked, observer);
        root
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
    fn warn(&self, checked: &Checked, observer: &Arc<dyn Observer>) {
        let bytes = Warning::new(Some(observer), "filesystemBytes", checked.limits.fs_bytes);
        let inodes = Warning::new(Some(observer), "inodes", checked.limits.fs_inodes);
        let base = self.base;
        self.tree.metered(move |now| {
            bytes.uses(now.bytes.saturating_sub(base.bytes));
            inodes.uses(now.inodes.saturating_sub(base.inodes));
        });
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
    let root = Root { tree, base: used, persistence };
    root.warn(checked, observer);
    Ok(root)
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
