//! Mounting at create and at run time: where, by whom and when not. What is mounted is made in `sources`.

use std::collections::HashMap;
use std::sync::Arc;

use agentos_kernel::Errno;
use agentos_kernel::sys::{MountRefused, UnmountRefused};
use agentos_protocol::message::{
    Empty, LimitInfo, ListMounts, Mount, MountInfo, MountList, MountSource, MountSpec, Unmount, code,
};
use agentos_protocol::mux::Responder;
use agentos_protocol::{Connection, WireError};
use agentos_vfs::namespace::MAX_MOUNTS;
use agentos_vfs::{FileSystem, GuestPath, Location, Mount as VfsMount, MountOptions, Namespace};

use super::files::guest_path;
use super::plugins;
use super::sources::file_system;
use crate::connection::{Client, answer_later};
use crate::errors::failed;
use crate::vm::Vm;

/// Places that the kernel keeps for itself, with all below them.
const KEPT: [&str; 2] = ["/proc", "/dev/pts"];

/// What every kernel mounts for itself.
const OWN_TYPES: [&str; 2] = ["proc", "devpts"];

/// Checks mounts of a configuration before anything is made.
pub(crate) fn check(mounts: &[MountSpec]) -> Result<(), WireError> {
    for (n, mount) in mounts.iter().enumerate() {
        let refuse =
            |field: &str, reason: String| WireError::invalid_config(format!("mounts[{n}].{field}"), reason);
        GuestPath::strict(&mount.path).map_err(|e| refuse("path", e.to_string()))?;
        if let MountSource::Plugin { id, config } = &mount.source {
            plugins::read(id, config)
                .map_err(|(field, reason)| refuse(&format!("plugin.{field}"), reason))?;
        }
    }
    if mounts.len() > MAX_MOUNTS {
        return Err(WireError::invalid_config(
            "mounts",
            format!("{} mounts; {MAX_MOUNTS} are allowed", mounts.len()),
        ));
    }
    Ok(())
}

/// Mounts one. The mount point is made if missing.
pub(crate) async fn mount(vm: &Arc<Vm>, connection: &Connection, spec: MountSpec) -> Result<(), WireError> {
    let path = guest_path(&spec.path)?;
    if reserved(&path) {
        return Err(failed(Errno::EBUSY, "mount", &path));
    }
    let (fs, source) = file_system(vm, connection, &spec).await?;
    vm.root.share_with(&*fs);
    if path.as_bytes() == b"/" {
        return replace_root(vm, fs, source, spec.read_only).await;
    }
    let options = MountOptions { source, read_only: spec.read_only };
    vm.kernel().mount(&path, fs, options).await.map_err(|refused| match refused {
        MountRefused::Link { link, leads_to } => {
            let (link, to) = (String::from_utf8_lossy(&link), String::from_utf8_lossy(&leads_to));
            let what =
                if *link == *path.to_string() { String::new() } else { format!(" through the link {link}") };
            WireError::invalid_config("path", format!("{path} leads to {to}{what}; mount there"))
        }
        MountRefused::TooMany => {
            let most = MAX_MOUNTS as u64;
            WireError::limit(LimitInfo { name: "mounts".into(), configured: most, used: most, requested: 1 })
        }
        MountRefused::Failed(errno) => failed(errno, "mount", &path),
    })?;
    Ok(())
}

/// Places that the kernel keeps for itself.
fn reserved(path: &GuestPath) -> bool {
    let below = |kept: &&str| GuestPath::new(kept).is_ok_and(|kept| path.starts_with(&kept));
    path.as_bytes() == b"/dev" || KEPT.iter().any(below)
}

/// The file systems that a copy of this VM mounts, in order: those in memory are copied, others are the same ones.
pub(crate) fn copies(namespace: &Namespace) -> Vec<(Arc<VfsMount>, Arc<dyn FileSystem>)> {
    let own = |mount: &VfsMount| mount.parent_id().is_none() || OWN_TYPES.contains(&mount.fs.type_name());
    let copy = |mount: Arc<VfsMount>| {
        let fs = mount.fs.fork().unwrap_or_else(|| Arc::clone(&mount.fs));
        (mount, fs)
    };
    namespace.list().into_iter().filter(|mount| !own(mount)).map(copy).collect()
}

/// Mounts in a copy of a VM what the original has, each on the directory that it covers there: the guest may have moved that.
pub(crate) async fn mount_copies(
    vm: &Vm,
    first: u64,
    mounts: Vec<(Arc<VfsMount>, Arc<dyn FileSystem>)>,
) -> Result<(), WireError> {
    let namespace = &vm.kernel().namespace;
    // The mounts of the copy by the numbers that the original has for them.
    let mut known: HashMap<u64, Arc<VfsMount>> =
        namespace.list().into_iter().take(1).map(|root| (first, root)).collect();
    for (mount, fs) in mounts {
        let refuse = |e| failed(e, "mount", &mount.path);
        if !Arc::ptr_eq(&fs, &mount.fs) {
            vm.root.share_with(&*fs);
        }
        let options = MountOptions { source: mount.source.clone(), read_only: mount.read_only };
        let place = mount.place().and_then(|at| Some((known.get(&at.mount.id)?, at.ino)));
        let copy = match place {
            Some((over, ino)) => {
                let at = Location { mount: Arc::clone(over), ino };
                namespace.mount_at(at, &mount.path, fs, options).map_err(refuse)?
            }
            // On something of the kernel's own, which every VM has anew.
            None => namespace.mount(&mount.path, fs, options).await.map_err(refuse)?,
        };
        if mount.path.as_bytes() == b"/" {
            vm.kernel().remount_own().await.map_err(|e| failed(e, "mount", "/proc"))?;
        }
        known.insert(mount.id, copy);
    }
    Ok(())
}

/// A mount at `/` takes the place of the root, and nothing is made in it: `/proc` and `/dev/pts` are there if it has such
/// directories; devices and programs are what it brings.
async fn replace_root(
    vm: &Vm,
    fs: Arc<dyn FileSystem>,
    source: String,
    read_only: bool,
) -> Result<(), WireError> {
    let kernel = vm.kernel();
    let root = GuestPath::root();
    let options = MountOptions { source, read_only };
    kernel.namespace.mount(&root, fs, options).await.map_err(|e| failed(e, "mount", &root))?;
    kernel.rescan(root.as_bytes());
    kernel.remount_own().await.map_err(|e| failed(e, "mount", "/proc"))?;
    Ok(())
}

/// Brings to object stores what closed files left to be written: when a VM ends. What cannot be written is told in the log.
pub(crate) async fn write_back(namespace: &Namespace) {
    for mount in namespace.list() {
        if plugins::is_store(mount.fs.type_name())
            && let Err(errno) = mount.fs.sync().await
        {
            tracing::error!(mount = %mount.path, %errno, "files are lost: the object store does not take them");
        }
    }
}

pub(super) fn add(client: &Client, request: Mount, responder: Responder) {
    match client.vm(&request.vm_id) {
        Ok(vm) => {
            let connection = responder.connection();
            answer_later::<Mount>(responder, async move {
                mount(&vm, &connection, request.mount).await?;
                Ok(Empty {})
            });
        }
        Err(error) => responder.error(&error),
    }
}

pub(super) async fn remove(vm: Arc<Vm>, request: Unmount) -> Result<Empty, WireError> {
    let path = guest_path(&request.path)?;
    if reserved(&path) || path.as_bytes() == b"/" {
        return Err(failed(Errno::EBUSY, "unmount", &path));
    }
    // What is written and not there yet would be lost: then the mount stays.
    let mounted = vm.kernel().namespace.list().into_iter().find(|mount| mount.path == path);
    if let Some(mount) = mounted.filter(|mount| !request.detach && plugins::is_store(mount.fs.type_name())) {
        mount.fs.sync().await.map_err(|e| failed(e, "write back to", &mount.source))?;
    }
    let kernel = vm.kernel();
    let done = if request.detach { kernel.detach(&path) } else { kernel.unmount(&path).await };
    match done {
        Ok(()) => Ok(Empty {}),
        Err(UnmountRefused::NotMounted) => Err(WireError::path(code::MOUNT_NOT_FOUND, path.to_string())),
        Err(UnmountRefused::Busy(users)) => {
            let users = users.iter().map(ToString::to_string).collect();
            Err(WireError::mount_busy(path.to_string(), users))
        }
    }
}

pub(super) async fn list(vm: Arc<Vm>, _request: ListMounts) -> Result<MountList, WireError> {
    let mounts = vm
        .kernel()
        .namespace
        .list()
        .iter()
        .map(|mount| MountInfo {
            path: mount.path.to_string(),
            fs_type: mount.fs.type_name().to_owned(),
            source: mount.source.clone(),
            read_only: mount.is_read_only(),
        })
        .collect();
    Ok(MountList { mounts })
}
