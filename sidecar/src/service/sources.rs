//! What can be mounted: file systems in memory, directories of the host, unions of them, drivers of the client. It mounts
//! nothing.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentos_kernel::Errno;
use agentos_protocol::message::{MountSource, MountSpec, OverlayLower, WirePath, code};
use agentos_protocol::{Connection, WireError};
use agentos_vfs::host_dir::Private;
use agentos_vfs::overlay::MAX_LOWERS;
use agentos_vfs::{
    DriverFs, DriverOptions, FileSystem, HostDir, HostDirOptions, Overlay, Reply, SetAttr, Tree, TreeLimits,
};

use super::plugins::{self, Plugin};
use crate::errors::failed;
use crate::service::driver::ClientDriver;
use crate::vm::Vm;

/// The file system to mount, and what listings show as its source.
pub(super) async fn file_system(
    vm: &Arc<Vm>,
    connection: &Connection,
    spec: &MountSpec,
) -> Result<(Arc<dyn FileSystem>, String), WireError> {
    match &spec.source {
        MountSource::Memory { size, inodes, mode, uid, gid } => {
            let owner = (*uid, *gid);
            let tree = memory(vm, (*size, *inodes), mode.unwrap_or(0o755), owner)
                .map_err(|errno| failed(errno, "mount", &spec.path))?;
            Ok((Arc::new(tree), "memory".into()))
        }
        MountSource::HostDir { host_path, uid, gid } => {
            let field = "plugin.config.hostPath";
            let dir = host_dir(vm, host_path, field, spec.read_only, (*uid, *gid))?;
            Ok((Arc::new(dir), host_path.to_text()))
        }
        MountSource::Overlay { lowers } => {
            if lowers.is_empty() || lowers.len() > MAX_LOWERS {
                let reason = format!("{} layers; 1 to {MAX_LOWERS} are allowed", lowers.len());
                return Err(WireError::invalid_config("filesystem.lowers", reason));
            }
            let mut below: Vec<Arc<dyn FileSystem>> = Vec::with_capacity(lowers.len());
            let mut source = "bundled".to_owned();
            for (n, lower) in lowers.iter().enumerate() {
                match lower {
                    OverlayLower::Bundled => below.push(Arc::new(base(vm).await?)),
                    OverlayLower::HostDir { host_path } => {
                        let field = format!("filesystem.lowers[{n}].hostPath");
                        below.push(Arc::new(host_dir(vm, host_path, &field, true, (None, None))?));
                    }
                }
                if let (0, OverlayLower::HostDir { host_path }) = (n, lower) {
                    source = host_path.to_text();
                }
            }
            let made =
                memory(vm, (None, None), 0o755, (None, None)).and_then(|upper| Overlay::new(upper, below));
            let overlay = made.map_err(|errno| failed(errno, "mount", &spec.path))?;
            Ok((Arc::new(overlay), source))
        }
        MountSource::Driver { driver_id } => {
            let driver = Arc::new(ClientDriver::new(connection.clone(), *driver_id));
            let options = DriverOptions { read_only: spec.read_only, ..DriverOptions::default() };
            let fs = DriverFs::new(driver, options).map_err(|e| failed(e, "mount", &spec.path))?;
            Ok((Arc::new(fs), format!("driver:{driver_id}")))
        }
        MountSource::Plugin { id, config } => {
            let wrong = |(field, reason)| WireError::invalid_config(format!("plugin.{field}"), reason);
            match plugins::read(id, config).map_err(wrong)? {
                Plugin::Directory(root) => {
                    let dir = host_dir(vm, &root, "plugin.config.root", spec.read_only, (None, None))?;
                    Ok((Arc::new(dir), root.to_text()))
                }
                Plugin::Store(store) => {
                    let fs = store.mount(plugins::options(vm.kernel().cred(), spec.read_only));
                    let fs = fs.map_err(|e| failed(e, "mount", &spec.path))?;
                    Ok((Arc::new(fs), store.source().to_owned()))
                }
            }
        }
    }
}

/// An empty file system in memory; what is not said is the VM's: limits of bytes and inodes, owner of the root.
fn memory(
    vm: &Vm,
    (bytes, inodes): (Option<u64>, Option<u64>),
    mode: u32,
    (uid, gid): (Option<u32>, Option<u32>),
) -> agentos_vfs::Result<Tree> {
    let (kernel, user) = (vm.kernel(), vm.kernel().cred());
    let limits = TreeLimits {
        bytes: bytes.unwrap_or(kernel.limits.fs_bytes),
        inodes: inodes.unwrap_or(kernel.limits.fs_inodes),
    };
    let tree = Tree::with_limits(limits);
    let root = SetAttr {
        perm: Some(mode & 0o7777),
        uid: Some(uid.unwrap_or(user.uid)),
        gid: Some(gid.unwrap_or(user.gid)),
        ..SetAttr::default()
    };
    // A tree answers at once.
    if let Reply::Now(Err(errno)) = tree.setattr(tree.root(), &root) {
        return Err(errno);
    }
    Ok(tree)
}

/// The base layer.
async fn base(vm: &Vm) -> Result<Tree, WireError> {
    let layer = vm.host.base().await.map_err(|reason| WireError::new(code::INTERNAL, reason))?;
    let tree = Tree::from_layer(&layer);
    tree.seal();
    Ok(tree)
}

/// A directory of the host; `field` is where its path stands.
fn host_dir(
    vm: &Vm,
    path: &WirePath,
    field: &str,
    read_only: bool,
    (uid, gid): (Option<u32>, Option<u32>),
) -> Result<HostDir, WireError> {
    if !path.0.starts_with(b"/") {
        return Err(WireError::invalid_config(field, format!("{path} is not absolute")));
    }
    let user = vm.kernel().cred();
    let host = Path::new(std::ffi::OsStr::from_bytes(&path.0));
    let own = vm.host.own_directories();
    let private = Private::of(&own).map(Arc::new).map_err(|error| {
        WireError::new(code::INTERNAL, format!("look at the sidecar's own directories: {error}"))
    })?;
    let options = HostDirOptions {
        read_only,
        private: Some(Arc::clone(&private)),
        steady: vm.steady.clone(),
        uid: uid.unwrap_or(user.uid),
        gid: gid.unwrap_or(user.gid),
        ..HostDirOptions::default()
    };
    // First whether it may be mounted at all: what is refused says why.
    let dir = match HostDir::open(host, options) {
        Ok(dir) => dir,
        Err(Errno::EACCES) if private.refuses(host) => {
            return Err(own_directory(host, &own, field));
        }
        Err(errno) => return Err(failed(errno, "open host directory", path)),
    };
    // What cannot be looked at counts as an overlap.
    if own.iter().any(|own| dir.overlaps(own).unwrap_or(true)) {
        return Err(own_directory(host, &own, field));
    }
    // Noted first: a store that is opened meanwhile is seen here, or sees this.
    vm.host.shows(&private, host);
    crate::persistence::refuse_shown(&vm.host, &dir, host, field)?;
    Ok(dir)
}

/// The image cache holds native code that this process runs: a guest that could write there would own the host.
fn own_directory(host: &Path, own: &[PathBuf], field: &str) -> WireError {
    let own: Vec<String> = own.iter().map(|own| own.display().to_string()).collect();
    let reason = format!(
        "{} is, contains, or lies in what the sidecar runs from ({}, /proc); mount another directory",
        host.display(),
        own.join(", ")
    );
    WireError::invalid_config(field, reason)
}
