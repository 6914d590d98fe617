//! Mounts: what may be mounted where.
//! The file systems themselves live in the sidecar, those of [`MountSource::Driver`] in the client (see `callback`).

use serde::{Deserialize, Serialize};

use super::{JsonText, WirePath};

/// Something to mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountSpec {
    /// Guest path, absolute and normalised; made if missing.
    pub path: WirePath,
    /// What.
    pub source: MountSource,
    /// Every change fails with EROFS.
    #[serde(default)]
    pub read_only: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MountSource {
    /// An empty file system in memory.
    Memory {
        /// Most bytes; `None`: the VM's limit.
        #[serde(default)]
        size: Option<u64>,
        /// Most inodes; `None`: the VM's limit.
        #[serde(default)]
        inodes: Option<u64>,
        /// Permission bits of its root; `None`: 0755.
        #[serde(default)]
        mode: Option<u32>,
        /// Owner of its root; `None`: the VM's user.
        #[serde(default)]
        uid: Option<u32>,
        /// Group of its root; `None`: that of the VM's user.
        #[serde(default)]
        gid: Option<u32>,
    },
    /// A directory of the host.
    #[serde(rename_all = "camelCase")]
    HostDir {
        /// Absolute path on the host.
        host_path: WirePath,
        /// Owner of all it holds, as guests see it; `None`: the VM's user.
        #[serde(default)]
        uid: Option<u32>,
        /// Group of all it holds; `None`: that of the VM's user.
        #[serde(default)]
        gid: Option<u32>,
    },
    /// A union: all changes go into memory, over file systems that stay as they are.
    Overlay {
        /// Topmost first.
        lowers: Vec<OverlayLower>,
    },
    /// A driver in the client, called back.
    #[serde(rename_all = "camelCase")]
    Driver {
        /// Its number in the callbacks, chosen by the client, unique on the connection.
        driver_id: u64,
    },
    /// Any other plugin.
    Plugin {
        /// Its name, such as `s3`.
        id: String,
        /// Its configuration.
        #[serde(default)]
        config: JsonText,
    },
}

/// What lies below an overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OverlayLower {
    /// The base that comes with the sidecar.
    Bundled,
    /// A directory of the host, which is only read.
    #[serde(rename_all = "camelCase")]
    HostDir {
        /// Absolute path on the host.
        host_path: WirePath,
    },
}

/// Mounts at once, for guests too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// The VM.
    pub vm_id: String,
    /// What and where.
    pub mount: MountSpec,
}

/// Removes a mount; `mount_busy` while somebody uses it: a mount in it, an open file, a working directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unmount {
    /// The VM.
    pub vm_id: String,
    /// The mount point.
    pub path: WirePath,
    /// Whoever uses it: no path leads there any more, nor to what is mounted in it; open files stay until they are closed.
    #[serde(default)]
    pub detach: bool,
}

/// Asks for all mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMounts {
    /// The VM.
    pub vm_id: String,
}

/// All mounts of a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountList {
    /// In the order of `/proc/mounts`.
    #[serde(default)]
    pub mounts: Vec<MountInfo>,
}

/// A mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MountInfo {
    /// Guest path.
    pub path: String,
    /// Type as `/proc/mounts` shows it, such as `overlay`, `tmpfs`, `hostdir`.
    pub fs_type: String,
    /// Source as `/proc/mounts` shows it.
    pub source: String,
    /// No changes.
    pub read_only: bool,
}
