//! Checkpoints of a VM's files, the way back to them, and what changed between two moments.
//! Which files are part of it is decided in the sidecar: the root and the mounts in memory.

use std::path::Path;

use agentos_protocol::RecvStream;
use agentos_protocol::message::{
    self as wire, DeleteCheckpoint, DiffForm, DiffMoments, FileKind, ListCheckpoints, MakeCheckpoint,
    Rollback, StreamId,
};
pub use agentos_protocol::message::{ChangeKind, CheckpointInfo, Moment};
use agentos_protocol::mux::RecordReader;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::path::guest_path;
use crate::vm::AgentOs;

/// Bytes of a patch that is returned as a whole.
const MOST_PATCH: usize = 256 << 20;
/// Changes that are returned as one list.
const MOST_CHANGES: usize = 1 << 20;

/// Options of [`AgentOs::diff_with`] and [`AgentOs::patch`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiffOptions {
    /// Only what is in this directory, with paths from there on: `/workspace/repo` for a patch that can be applied in
    /// that repository. Everything.
    pub within: Option<String>,
}

/// A file that differs between two moments.
///
/// The content, permission bits, owner and type are compared, not the times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileChange {
    /// Absolute guest path, or from [`DiffOptions::within`] on: where it is, or was if it is gone. U+FFFD stands for what is
    /// not UTF-8.
    pub path: String,
    /// How it differs.
    pub change: ChangeKind,
    /// Its type; what it was, if it is gone.
    #[serde(rename = "type")]
    pub kind: FileKind,
    /// Its type before, if it was another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_kind: Option<FileKind>,
    /// Where it was, if it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    /// Permission bits before, if it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_mode: Option<u32>,
    /// Permission bits now, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Bytes before, if it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_size: Option<u64>,
    /// Bytes now, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl From<wire::FileChange> for FileChange {
    fn from(change: wire::FileChange) -> Self {
        let wire::FileChange { path, change, kind, old_kind, old_path, old_mode, mode, old_size, size } =
            change;
        let (path, old_path) = (path.to_text(), old_path.map(|path| path.to_text()));
        FileChange { path, change, kind, old_kind, old_path, old_mode, mode, old_size, size }
    }
}

/// Checkpoint names stand for themselves: `os.diff("before", Moment::Now)`.
pub trait IntoMoment {
    /// The moment.
    fn into_moment(self) -> Moment;
}

impl IntoMoment for Moment {
    fn into_moment(self) -> Moment {
        self
    }
}

impl IntoMoment for &str {
    fn into_moment(self) -> Moment {
        Moment::Checkpoint(self.to_owned())
    }
}

impl IntoMoment for String {
    fn into_moment(self) -> Moment {
        Moment::Checkpoint(self)
    }
}

impl AgentOs {
    /// Notes the files in memory as they are now under a name: those of the root and of memory mounts, at one moment. It
    /// costs no copy; memory is used for what changes afterwards. Host directories, drivers and object stores are not part of it.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a name that is taken, empty or longer than 255 bytes; [`Error::Limit`]
    /// (`checkpoints`, `checkpointBytes`): delete some.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// use agentos::Moment;
    /// os.checkpoint("before").await?;
    /// os.exec("rm -rf /workspace/src", Default::default()).await?;
    /// for change in os.diff("before", Moment::Now).await? {
    ///     println!("{:?} {}", change.change, change.path);
    /// }
    /// os.rollback("before").await?;
    /// # Ok(()) }
    /// ```
    pub async fn checkpoint(&self, name: impl Into<String>) -> Result<CheckpointInfo> {
        self.vm.call(&MakeCheckpoint { vm_id: self.vm.id(), name: name.into() }).await
    }

    /// The checkpoints, oldest first.
    ///
    /// # Errors
    /// [`Error::Disposed`].
    pub async fn list_checkpoints(&self) -> Result<Vec<CheckpointInfo>> {
        let list = self.vm.call(&ListCheckpoints { vm_id: self.vm.id() }).await?;
        Ok(list.checkpoints)
    }

    /// Forgets a checkpoint. The files stay as they are.
    ///
    /// # Errors
    /// [`Error::CheckpointNotFound`].
    pub async fn delete_checkpoint(&self, name: impl Into<String>) -> Result<()> {
        self.vm.call(&DeleteCheckpoint { vm_id: self.vm.id(), name: name.into() }).await?;
        Ok(())
    }

    /// Makes the files what they were at a checkpoint, also while programs run. Files that are open and were there then
    /// have their content of then; others stay readable until they are closed, like unlinked ones. Checkpoints stay, later ones
    /// too. Processes, mounts and sessions are not touched.
    ///
    /// # Errors
    /// [`Error::CheckpointNotFound`]; [`Error::Busy`] if something was mounted since, on a directory that was not there.
    pub async fn rollback(&self, name: impl Into<String>) -> Result<()> {
        self.vm.call(&Rollback { vm_id: self.vm.id(), name: name.into() }).await?;
        Ok(())
    }

    /// What changed from one moment to another, sorted by path. A moment is the name of a checkpoint, [`Moment::Start`] or
    /// [`Moment::Now`].
    ///
    /// # Errors
    /// [`Error::CheckpointNotFound`]; [`Error::Limit`] above 1,048,576 changes.
    pub async fn diff(&self, from: impl IntoMoment, to: impl IntoMoment) -> Result<Vec<FileChange>> {
        self.diff_with(from, to, DiffOptions::default()).await
    }

    /// As [`AgentOs::diff`], with options.
    ///
    /// # Errors
    /// As [`AgentOs::diff`]; path errors of the options.
    pub async fn diff_with(
        &self,
        from: impl IntoMoment,
        to: impl IntoMoment,
        options: DiffOptions,
    ) -> Result<Vec<FileChange>> {
        let call = self.diff_call(from.into_moment(), to.into_moment(), options, DiffForm::Changes)?;
        let read = async |stream| {
            let mut records = RecordReader::<wire::FileChange>::new(stream);
            let mut all = Vec::new();
            while let Some(record) = records.next().await? {
                check("diffChanges", MOST_CHANGES, all.len(), 1)?;
                all.push(FileChange::from(record));
            }
            Ok(all)
        };
        let (reply, all) = self.vm.open()?.streamed(call, read).await?;
        match reply.changes == all.len() as u64 {
            true => Ok(all),
            false => Err(Error::Transport { message: "the list of changes is incomplete".to_owned() }),
        }
    }

    /// What changed from one moment to another as a patch that `git apply` and `patch -p1` take. Renames and modes are told as
    /// git does. Files that are not text, or have more than 8 MiB, are only named; empty directories, owners, devices
    /// and pipes have no place in a patch.
    ///
    /// # Errors
    /// As [`AgentOs::diff_with`]; [`Error::Limit`] above 256 MiB.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs) -> Result<(), agentos::Error> {
    /// use agentos::{DiffOptions, Moment};
    /// let within = DiffOptions { within: Some("/workspace".into()) };
    /// let patch = os.patch(Moment::Start, Moment::Now, within).await?;
    /// print!("{}", String::from_utf8_lossy(&patch));
    /// # Ok(()) }
    /// ```
    pub async fn patch(
        &self,
        from: impl IntoMoment,
        to: impl IntoMoment,
        options: DiffOptions,
    ) -> Result<Vec<u8>> {
        let call = self.diff_call(from.into_moment(), to.into_moment(), options, DiffForm::Patch)?;
        let read = async |stream: RecvStream| {
            let mut all = Vec::new();
            while let Some(piece) = stream.next_chunk().await? {
                check("patchBytes", MOST_PATCH, all.len(), piece.len())?;
                all.extend_from_slice(&piece);
            }
            Ok(all)
        };
        Ok(self.vm.open()?.streamed(call, read).await?.1)
    }

    fn diff_call(
        &self,
        from: Moment,
        to: Moment,
        options: DiffOptions,
        form: DiffForm,
    ) -> Result<impl FnOnce(StreamId) -> DiffMoments + use<>> {
        let within = options.within.map(|path| guest_path(Path::new(&path))).transpose()?;
        let vm_id = self.vm.id();
        Ok(move |stream| DiffMoments { vm_id, from, to, within, form, stream })
    }
}

fn check(name: &str, most: usize, used: usize, more: usize) -> Result<()> {
    if used + more <= most {
        return Ok(());
    }
    let (configured, used, requested) = (most as u64, used as u64, more as u64);
    Err(Error::Limit { name: name.to_owned(), configured, used, requested })
}
