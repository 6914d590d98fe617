//! Watching files: changes of a path and what lies below it, as records on a stream.

use serde::{Deserialize, Serialize};

use super::{StreamId, WirePath};

/// Watches a path until the client closes the stream. When the VM ends the stream is reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watch {
    /// The VM.
    pub vm_id: String,
    /// A file or directory that exists; symbolic links are followed.
    pub path: WirePath,
    /// All below a directory, not only what lies directly in it.
    #[serde(default)]
    pub recursive: bool,
    /// Sidecar → client: records of [`WatchRecord`].
    pub stream: StreamId,
}

/// What is watched from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WatchReply {
    /// The path without symbolic links.
    pub path: WirePath,
}

/// A change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WatchRecord {
    /// Where, without symbolic links.
    pub path: WirePath,
    /// What happened.
    pub kind: WatchKind,
    /// Where it was, of a `renamed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<WirePath>,
    /// It is, or was, a directory.
    pub is_directory: bool,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WatchKind {
    /// It came to be, or was moved here from elsewhere.
    Created,
    /// Its content changed.
    Modified,
    /// It is gone, or was moved elsewhere.
    Removed,
    /// It was moved here from another watched path.
    Renamed,
    /// Mode, owner or times changed.
    Attributes,
    /// Changes were left out: look at all of the watched path anew. What a later version tells is read as this, too.
    #[default]
    #[serde(other)]
    Overflow,
}

#[cfg(test)]
mod tests {
    use super::super::{decode, encode};
    use super::*;

    #[test]
    fn a_kind_of_a_later_version_says_to_look_anew() {
        #[derive(Serialize)]
        struct Later {
            path: &'static str,
            kind: &'static str,
            mood: u8,
        }
        for (kind, read) in [("renamed", WatchKind::Renamed), ("reflinked", WatchKind::Overflow)] {
            let bytes = encode(&Later { path: "/a", kind, mood: 1 }).unwrap();
            let record: WatchRecord = decode(&bytes).unwrap();
            assert_eq!((record.path, record.kind, record.from), ("/a".into(), read, None));
        }
    }
}
