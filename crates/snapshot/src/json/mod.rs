//! Snapshots as JSON, for looking at, keeping in a configuration and writing by hand. docs/snapshots.md has the fields.

mod entry;
mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::write;

/// The version of the fields.
const VERSION: u32 = 1;
