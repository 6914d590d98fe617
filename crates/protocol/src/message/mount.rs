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
    },
    /// A directory of the host.
    #[serde(rename_all = "camelCase")]
    HostDir {
        /// Absolute path on the host.
        host_path: WirePath,
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

/// Mounts at once, for guests too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// The VM.
    pub vm_id: String,
    /// What and where.
    pub mount: MountSpec,
}

/// Removes a mount; EBUSY while it is in use by a mount below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unmount {
    /// The VM.
    pub vm_id: String,
    /// The mount point.
    pub path: WirePath,
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
