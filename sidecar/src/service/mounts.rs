//! Mounting at create and at run time: memory, host directories, drivers of the client.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use agentos_kernel::Errno;
use agentos_kernel::sys::At;
use agentos_protocol::message::{
    Empty, ListMounts, Mount, MountInfo, MountList, MountSource, MountSpec, Unmount, code,
};
use agentos_protocol::mux::Responder;
use agentos_protocol::{Connection, WireError};
use agentos_vfs::{
    DriverFs, DriverOptions, FileSystem, GuestPath, HostDir, HostDirOptions, Location, Mount as VfsMount,
    MountOptions, Namespace, Tree, TreeLimits,
};

use super::files::guest_path;
use crate::connection::{Client, answer_later};
use crate::errors::failed;
use crate::service::driver::ClientDriver;
use crate::vm::Vm;

/// Mounts of one VM.
const MOST_MOUNTS: usize = 256;
/// Places that must stay what they are.
const RESERVED: [&[u8]; 3] = [b"/proc", b"/dev", b"/dev/pts"];

/// What every kernel mounts for itself.
const OWN_TYPES: [&str; 2] = ["proc", "devpts"];

/// Checks mounts of a configuration before anything is made.
pub(crate) fn check(mounts: &[MountSpec]) -> Result<(), WireError> {
    for (n, mount) in mounts.iter().enumerate() {
        let refuse =
            |field: &str, reason: String| WireError::invalid_config(format!("mounts[{n}].{field}"), reason);
        GuestPath::strict(&mount.path).map_err(|e| refuse("path", e.to_string()))?;
        match &mount.source {
            MountSource::Plugin { id, .. } => {
                let reason = format!("unknown plugin `{id}`; this version has memory and host_dir");
                return Err(refuse("plugin.id", reason));
            }
            MountSource::HostDir { host_path } if !host_path.0.starts_with(b"/") => {
                return Err(refuse("plugin.config.hostPath", format!("{host_path} is not absolute")));
            }
            _ => {}
        }
    }
    if mounts.len() > MOST_MOUNTS {
        return Err(WireError::invalid_config(
            "mounts",
            format!("{} mounts; {MOST_MOUNTS} are allowed", mounts.len()),
        ));
    }
    Ok(())
}

/// Mounts one. The mount point is made if missing.
pub(crate) async fn mount(vm: &Arc<Vm>, connection: &Connection, spec: MountSpec) -> Result<(), WireError> {
    let path = guest_path(&spec.path)?;
    if RESERVED.contains(&path.as_bytes()) {
        return Err(failed(Errno::EBUSY, "mount", &path));
    }
    let namespace = &vm.kernel().namespace;
    if namespace.list().len() >= MOST_MOUNTS {
        return Err(failed(Errno::ENOSPC, "mount", &path));
    }
    // One mount per place: a second one would hide the first, whose driver the client would then forget.
    if path.as_bytes() != b"/" && namespace.list().iter().any(|mount| mount.path == path) {
        return Err(failed(Errno::EBUSY, "mount", &path));
    }
    let (fs, source) = file_system(vm, connection, &spec)?;
    if path.as_bytes() == b"/" {
        return replace_root(vm, fs, source, spec.read_only).await;
    }
    let place = mount_point(vm, &path).await?;
    let options = MountOptions { source, read_only: spec.read_only };
    namespace.mount_at(place, &path, fs, options).map_err(|e| failed(e, "mount", &path))?;
    Ok(())
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

/// The directory that a mount covers, made if there is none. Its parents belong to the VM's user, as everything that the host
/// makes. A link would let the guest choose the place: what leads through one is refused.
async fn mount_point(vm: &Vm, path: &GuestPath) -> Result<Location, WireError> {
    let kernel = vm.kernel();
    let host = kernel.host();
    let refuse = |e| failed(e, "mount", path);
    let place = match kernel.resolve_directory(&host, At::Cwd(path.as_bytes())).await {
        Err(Errno::ENOENT) => {
            vm.make_directories(path).await?;
            kernel.resolve_directory(&host, At::Cwd(path.as_bytes())).await.map_err(refuse)?
        }
        found => found.map_err(refuse)?,
    };
    let real = kernel.namespace.path_of(&place).await.map_err(refuse)?;
    if real != path.as_bytes() {
        let real = String::from_utf8_lossy(&real);
        return Err(WireError::invalid_config("path", format!("{path} leads to {real}; mount there")));
    }
    Ok(place)
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
    kernel.remount_own().await.map_err(|e| failed(e, "mount", "/proc"))?;
    Ok(())
}

fn file_system(
    vm: &Arc<Vm>,
    connection: &Connection,
    spec: &MountSpec,
) -> Result<(Arc<dyn FileSystem>, String), WireError> {
    let kernel = vm.kernel();
    let user = kernel.cred();
    match &spec.source {
        MountSource::Memory { size } => {
            let mut limits = TreeLimits { bytes: kernel.limits.fs_bytes, inodes: kernel.limits.fs_inodes };
            if let Some(size) = size {
                limits.bytes = *size;
            }
            let tree = Tree::with_limits(limits);
            let owner = agentos_vfs::SetAttr {
                perm: Some(0o755),
                uid: Some(user.uid),
                gid: Some(user.gid),
                ..agentos_vfs::SetAttr::default()
            };
            match tree.setattr(tree.root(), &owner) {
                agentos_vfs::Reply::Now(Ok(_)) | agentos_vfs::Reply::Later(_) => {}
                agentos_vfs::Reply::Now(Err(errno)) => return Err(failed(errno, "mount", &spec.path)),
            }
            Ok((Arc::new(tree), "memory".into()))
        }
        MountSource::HostDir { host_path } => {
            let host = Path::new(std::ffi::OsStr::from_bytes(&host_path.0));
            let options = HostDirOptions {
                read_only: spec.read_only,
                uid: user.uid,
                gid: user.gid,
                ..HostDirOptions::default()
            };
            let dir =
                HostDir::open(host, options).map_err(|e| failed(e, "open host directory", host_path))?;
            refuse_own_directories(vm, &dir, host)?;
            Ok((Arc::new(dir), host_path.to_text()))
        }
        MountSource::Driver { driver_id } => {
            let driver = Arc::new(ClientDriver::new(connection.clone(), *driver_id));
            let options = DriverOptions { read_only: spec.read_only, ..DriverOptions::default() };
            let fs = DriverFs::new(driver, options).map_err(|e| failed(e, "mount", &spec.path))?;
            Ok((Arc::new(fs), format!("driver:{driver_id}")))
        }
        MountSource::Plugin { id, .. } => {
            let reason = format!("unknown plugin `{id}`; this version has memory and host_dir");
            Err(WireError::invalid_config("plugin.id", reason))
        }
    }
}

/// The image cache holds native code that this process runs: a guest that could write there would own the host.
fn refuse_own_directories(vm: &Vm, dir: &HostDir, host: &Path) -> Result<(), WireError> {
    for own in vm.host.own_directories() {
        // What cannot be looked at counts as an overlap.
        let overlaps = dir.overlaps(&own).unwrap_or(true);
        if overlaps {
            let reason = format!(
                "{} contains, or lies in, {}, which the sidecar runs from; mount another directory",
                host.display(),
                own.display()
            );
            return Err(WireError::invalid_config("plugin.config.hostPath", reason));
        }
    }
    Ok(())
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
    if RESERVED.contains(&path.as_bytes()) || path.as_bytes() == b"/" {
        return Err(failed(Errno::EBUSY, "unmount", &path));
    }
    match vm.kernel().namespace.unmount(&path) {
        Ok(()) => Ok(Empty {}),
        Err(Errno::EINVAL) => Err(WireError::path(code::MOUNT_NOT_FOUND, path.to_string())),
        Err(errno) => Err(failed(errno, "unmount", &path)),
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
