//! Snapshots of root file systems: writing one to a stream, and reading layers for new VMs from one.

use serde::{Deserialize, Serialize};

use super::StreamId;

/// What a snapshot is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotFormat {
    /// A tar archive with the whiteouts of OCI images.
    #[default]
    Tar,
    /// JSON.
    Json,
    /// A tar archive of an OCI image layout.
    Oci,
}

/// Writes the root file system of a VM, as it is when the call comes, to a stream. The reply comes after all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportSnapshot {
    /// The VM.
    pub vm_id: String,
    /// As what.
    #[serde(default)]
    pub format: SnapshotFormat,
    /// All of it, not only what differs from the bundled base.
    #[serde(default)]
    pub flatten: bool,
    /// Where to.
    pub stream: StreamId,
}

/// Reads layers from a stream. They belong to this connection until they are dropped, or it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportLayer {
    /// Where from.
    pub stream: StreamId,
    /// What it is; absent: found out by looking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<SnapshotFormat>,
    /// Most bytes that are taken in, in the units of `VmLimits::filesystem_bytes`; the bundled base is not counted.
    pub filesystem_bytes: u64,
    /// Most inodes that are taken in.
    pub inodes: u64,
}

/// Layers that were read; those of an image are one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImportLayerReply {
    /// Its id, for [`super::RootLower::Layer`].
    pub layer_id: String,
}

/// Forgets a layer. VMs that were made of it keep what they have. Forgetting one that is gone succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropLayer {
    /// The layer.
    pub layer_id: String,
}
