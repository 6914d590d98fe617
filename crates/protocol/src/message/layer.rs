//! Layers of a VM: checkpoints, going back to them, and what changed between two moments.

use serde::{Deserialize, Serialize};

use super::{FileKind, StreamId, WirePath};

/// Notes the files in memory of a VM as they are now, under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MakeCheckpoint {
    /// The VM.
    pub vm_id: String,
    /// Its name: 1 to 255 bytes, none that another checkpoint has.
    pub name: String,
}

/// A checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckpointInfo {
    /// Its name.
    pub name: String,
    /// Made, milliseconds since 1970 UTC.
    pub created_ms: u64,
    /// Made before the turn of an agent.
    pub automatic: bool,
    /// Bytes that are kept because of it: what the next checkpoint no longer has.
    pub bytes: u64,
}

/// Asks for the checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListCheckpoints {
    /// The VM.
    pub vm_id: String,
}

/// Checkpoints, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckpointList {
    /// The checkpoints.
    pub checkpoints: Vec<CheckpointInfo>,
}

/// Forgets a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteCheckpoint {
    /// The VM.
    pub vm_id: String,
    /// Its name.
    pub name: String,
}

/// Makes the files in memory what they were at a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// The VM.
    pub vm_id: String,
    /// Where to.
    pub name: String,
}

/// A moment in the life of a VM's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Moment {
    /// When the VM was ready: created, or forked.
    Start,
    /// A checkpoint.
    Checkpoint(String),
    /// Now.
    #[default]
    Now,
}

/// Asks what changed between two moments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffMoments {
    /// The VM.
    pub vm_id: String,
    /// From here.
    pub from: Moment,
    /// To here.
    pub to: Moment,
    /// Only what is in this directory, and paths from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<WirePath>,
    /// What comes on the stream.
    pub form: DiffForm,
    /// Where it comes.
    pub stream: StreamId,
}

/// How a difference is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DiffForm {
    /// Records of [`FileChange`].
    #[default]
    Changes,
    /// The bytes of a patch.
    Patch,
}

/// A difference was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DiffReply {
    /// Files that differ.
    pub changes: u64,
}

/// How a file differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// Other content, permissions, owner or type.
    #[default]
    Modified,
    /// It is not there any more.
    Deleted,
    /// It had another path; its content may differ as well.
    Renamed,
}

/// A file that differs. Times alone make no difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileChange {
    /// Where it is; where it was, if it is gone.
    pub path: WirePath,
    /// How it differs.
    pub change: ChangeKind,
    /// Its type; what it was, if it is gone.
    pub kind: FileKind,
    /// Its type before, if it was another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_kind: Option<FileKind>,
    /// Its path before, if it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_path: Option<WirePath>,
    /// Permission bits before; absent for what was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_mode: Option<u32>,
    /// Permission bits; absent for what is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Bytes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_size: Option<u64>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}
