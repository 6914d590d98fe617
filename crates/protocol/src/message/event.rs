//! Events: told without being asked, and not answered.
//! What must not be lost travels on a stream instead (session events, process output).

use serde::{Deserialize, Serialize};

use super::{DecodeError, EncodeError, LimitInfo, PermissionDenial, decode_named, encode_named};

/// An event. Events of a later version are skipped by the reader.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Something long is under way, such as compiling images on the first start.
    Progress(Progress),
    /// A VM uses 80 % of a limit.
    LimitWarning(LimitWarning),
    /// The permission tree of a VM denied something to a guest, or would have.
    PermissionDenied(PermissionDenied),
    /// A process was ended because it reached a limit.
    LimitKilled(LimitKilled),
    /// A VM ended without being asked to.
    VmClosed(VmClosed),
    /// The files of a VM are not kept any more.
    PersistenceFailed(PersistenceFailed),
}

/// How far something is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// What, in a few words, such as `preparing images`.
    pub what: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all; 0 if not known.
    pub total: u64,
}

/// A VM uses 80 % of a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LimitWarning {
    /// The VM.
    pub vm_id: String,
    /// The limit; `requested` is 0.
    pub limit: LimitInfo,
}

/// The permission tree of a VM denied something to a guest, or would have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PermissionDenied {
    /// The VM.
    pub vm_id: String,
    /// What was denied, and what would allow it.
    pub denial: PermissionDenial,
    /// It did not happen. In a dry run it did.
    pub enforced: bool,
    /// How often it came so far: it is told at the first, tenth, hundredth time and so on. After a hundred different ones
    /// those that are new are counted together.
    pub count: u64,
}

/// The files of a VM are not kept any more: its store failed. It runs on; what is in memory is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PersistenceFailed {
    /// The VM.
    pub vm_id: String,
    /// Which store, and why.
    pub reason: String,
}

/// A process was ended because it reached a limit of memory or CPU time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LimitKilled {
    /// The VM.
    pub vm_id: String,
    /// The process.
    pub pid: u32,
    /// The limit, and what was asked for when it ended.
    pub limit: LimitInfo,
}

/// A VM ended without being asked to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VmClosed {
    /// The VM.
    pub vm_id: String,
    /// Why.
    pub reason: String,
}

impl Event {
    /// Reads an event.
    ///
    /// # Errors
    /// [`DecodeError::Unknown`] for an event of a later version, else [`DecodeError::Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        decode_named(payload, |name, body| match name {
            "progress" => Some(Progress::deserialize(body).map(Event::Progress)),
            "vm.limitWarning" => Some(LimitWarning::deserialize(body).map(Event::LimitWarning)),
            "vm.permissionDenied" => Some(PermissionDenied::deserialize(body).map(Event::PermissionDenied)),
            "vm.persistenceFailed" => {
                Some(PersistenceFailed::deserialize(body).map(Event::PersistenceFailed))
            }
            "vm.limitKilled" => Some(LimitKilled::deserialize(body).map(Event::LimitKilled)),
            "vm.closed" => Some(VmClosed::deserialize(body).map(Event::VmClosed)),
            _ => None,
        })
    }

    /// Writes an event.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        match self {
            Event::Progress(body) => encode_named("progress", body),
            Event::LimitWarning(body) => encode_named("vm.limitWarning", body),
            Event::PermissionDenied(body) => encode_named("vm.permissionDenied", body),
            Event::PersistenceFailed(body) => encode_named("vm.persistenceFailed", body),
            Event::LimitKilled(body) => encode_named("vm.limitKilled", body),
            Event::VmClosed(body) => encode_named("vm.closed", body),
        }
    }
}
