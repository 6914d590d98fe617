//! Mounts of a VM, and file systems that run in this program.
//! The mount table itself is in the sidecar.

mod driver;
mod serve;

use std::path::Path;
use std::sync::Arc;

pub use agentos_protocol::message::MountInfo;
use agentos_protocol::message::{ListMounts, Mount, MountSource, MountSpec, Unmount, WirePath};
pub use driver::{DriverDirEntry, DriverFuture, DriverStat, VirtualFileSystem};
pub(crate) use serve::serve_driver;

use crate::config::{MountPlugin, OverlayMountConfig, overlay_source, plugin_source};
use crate::error::Result;
use crate::path::guest_path;
use crate::sidecar::DriverLease;
use crate::vm::AgentOs;

/// Options of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountFsOptions {
    /// Refuse changes with EROFS.
    pub read_only: bool,
}

/// Options of an unmount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnmountOptions {
    /// Unmount although it is in use, and all that is mounted in it, at once. No path leads there any more. Files that are open and
    /// working directories go on until they are closed; those of a driver of this program fail with EIO.
    pub detach: bool,
}

impl AgentOs {
    /// Mounts a file system that runs in this program. It takes effect in the guest at once.
    ///
    /// # Errors
    /// [`crate::Error::Kernel`] (EBUSY if something is mounted there, ENOTDIR on a file); [`crate::Error::Limit`] (256 mounts);
    /// [`crate::Error::InvalidConfig`] if a link lies on the way,
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

    /// Mounts a file system of the sidecar; see [`MountPlugin`] for what there is.
    ///
    /// # Errors
    /// [`crate::Error::InvalidConfig`]; as [`AgentOs::mount_fs`].
    pub async fn mount_native(
        &self,
        path: impl AsRef<Path>,
        plugin: MountPlugin,
        options: MountFsOptions,
    ) -> Result<()> {
        let (source, read_only) = plugin_source("plugin", plugin)?;
        let mount = MountSpec { path: guest_path(path)?, source, read_only: read_only || options.read_only };
        self.vm.call(&Mount { vm_id: self.vm.id(), mount }).await?;
        Ok(())
    }

    /// Mounts an overlay: what programs change is in memory, the layers below stay as they are.
    ///
    /// # Errors
    /// As [`AgentOs::mount_native`].
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// use agentos::OverlayMountConfig;
    /// let lower = serde_json::json!({"kind": "host-dir", "hostPath": "/srv/data"});
    /// let overlay = serde_json::from_value::<OverlayMountConfig>(serde_json::json!({"lowers": [lower]})).unwrap();
    /// os.mount_overlay("/data", overlay).await?;
    /// # Ok(()) }
    /// ```
    pub async fn mount_overlay(&self, path: impl AsRef<Path>, filesystem: OverlayMountConfig) -> Result<()> {
        let (source, read_only) = overlay_source("filesystem", filesystem)?;
        let mount = MountSpec { path: guest_path(path)?, source, read_only };
        self.vm.call(&Mount { vm_id: self.vm.id(), mount }).await?;
        Ok(())
    }

    /// Removes a mount that nobody uses: nothing is mounted in it, no program has a file of it open or works in it. A program that
    /// was started from it may run on. What the directory held before is seen again.
    ///
    /// # Errors
    /// [`crate::Error::MountNotFound`]; [`crate::Error::MountBusy`], which says who uses it, and leaves it as it was.
    pub async fn unmount_fs(&self, path: impl AsRef<Path>) -> Result<()> {
        self.unmount_fs_with(path, UnmountOptions::default()).await
    }

    /// Removes a mount, with options.
    ///
    /// # Errors
    /// As [`AgentOs::unmount_fs`]; never [`crate::Error::MountBusy`] when it is to be detached.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// use agentos::{Error, UnmountOptions};
    /// if let Err(Error::MountBusy { users, .. }) = os.unmount_fs("/mnt/db").await {
    ///     eprintln!("still used: {users:?}");
    ///     os.unmount_fs_with("/mnt/db", UnmountOptions { detach: true }).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn unmount_fs_with(&self, path: impl AsRef<Path>, options: UnmountOptions) -> Result<()> {
        let path = guest_path(path)?;
        let detach = options.detach;
        let below = [&path.0[..], b"/"].concat();
        let goes = |at: &WirePath| *at == path || (detach && at.0.starts_with(&below));
        let mut going = self.vm.drivers.lock().clone();
        going.retain(|at, _| goes(at));
        self.vm.call(&Unmount { vm_id: self.vm.id(), path: path.clone(), detach }).await?;
        // Others may have been mounted in their places meanwhile.
        let gone = |at: &WirePath, lease: &DriverLease| going.get(at).is_some_and(|was| was.id == lease.id);
        self.vm.drivers.lock().retain(|at, lease| !gone(at, lease));
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
