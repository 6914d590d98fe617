//! Mounts of a VM, and file systems that run in this program.
//! The mount table itself is in the sidecar.

mod driver;
mod serve;

use std::path::Path;
use std::sync::Arc;

pub use agentos_protocol::message::MountInfo;
use agentos_protocol::message::{ListMounts, Mount, MountSource, MountSpec, Unmount};
pub use driver::{DriverDirEntry, DriverFuture, DriverStat, VirtualFileSystem};
pub(crate) use serve::serve_driver;

use crate::config::{MountPlugin, plugin_source};
use crate::error::Result;
use crate::path::guest_path;
use crate::vm::AgentOs;

/// Options of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountFsOptions {
    /// Refuse changes with EROFS.
    pub read_only: bool,
}

impl AgentOs {
    /// Mounts a file system that runs in this program. It takes effect in the guest at once.
    ///
    /// # Errors
    /// [`crate::Error::Kernel`] (EBUSY if something is mounted there); [`crate::Error::InvalidConfig`] if a link lies on the way,
    /// since a guest could lead the mount elsewhere by one: the error names where it leads; path errors.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs, driver: std::sync::Arc<dyn agentos::VirtualFileSystem>) -> Result<(), agentos::Error> {
    /// use agentos::MountFsOptions;
    /// os.mount_fs("/mnt/db", driver, MountFsOptions { read_only: true }).await?;
    /// # Ok(()) }
    /// ```
    pub async fn mount_fs(
        &self,
        path: impl AsRef<Path>,
        driver: Arc<dyn VirtualFileSystem>,
        options: MountFsOptions,
    ) -> Result<()> {
        let path = guest_path(path)?;
        let lease = self.vm.open()?.add_driver(driver);
        let source = MountSource::Driver { driver_id: lease.id };
        let mount = MountSpec { path: path.clone(), source, read_only: options.read_only };
        self.vm.call(&Mount { vm_id: self.vm.id(), mount }).await?;
        self.vm.drivers.lock().insert(path, Arc::new(lease));
        Ok(())
    }

    /// Mounts a file system of the sidecar: `memory` (config `{size?}`) or `host_dir` (config `{hostPath}`).
    ///
    /// # Errors
    /// [`crate::Error::InvalidConfig`]; as [`AgentOs::mount_fs`].
    pub async fn mount_native(
        &self,
        path: impl AsRef<Path>,
        plugin: MountPlugin,
        options: MountFsOptions,
    ) -> Result<()> {
        let source = plugin_source("plugin", plugin)?;
        let mount = MountSpec { path: guest_path(path)?, source, read_only: options.read_only };
        self.vm.call(&Mount { vm_id: self.vm.id(), mount }).await?;
        Ok(())
    }

    /// Removes a mount.
    ///
    /// # Errors
    /// [`crate::Error::MountNotFound`]; [`crate::Error::Kernel`] (EBUSY).
    pub async fn unmount_fs(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = guest_path(path)?;
        self.vm.call(&Unmount { vm_id: self.vm.id(), path: path.clone() }).await?;
        self.vm.drivers.lock().remove(&path);
        Ok(())
    }

    /// All mounts, the root first.
    ///
    /// # Errors
    /// [`crate::Error::Disposed`].
    pub async fn list_mounts(&self) -> Result<Vec<MountInfo>> {
        Ok(self.vm.call(&ListMounts { vm_id: self.vm.id() }).await?.mounts)
    }
}
