//! Snapshots of root file systems: taking one of a machine, and sending layers for a new one.
//! Archives are written and read by the sidecar; here pass bytes.

mod export;
mod send;
mod source;

pub use export::{RootSnapshotExport, SnapshotFormat, SnapshotOptions, SnapshotReader};
pub(crate) use send::send;
pub(crate) use source::Source;
