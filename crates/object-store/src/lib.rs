//! Object stores as file systems of a VM: S3 and what speaks it, Google Drive, WebDAV. It knows nothing of VMs and of the wire; what it lacks of POSIX is listed in `docs/object-stores.md`.
//!
//! Consistency is close-to-open: an open shows the object as it is then, and what was written is there for others when close
//! or fsync returns. Attributes and listings may be as old as the time of the cache. Within one mount everything is seen at
//! once.

#![forbid(unsafe_code)]

mod attributes;
mod blocks;
mod config;
mod dav;
mod driver;
mod errors;
mod handle;
mod mount;
mod node;
mod parts;
mod remote;
mod staging;
#[cfg(test)]
mod tests;
mod transport;
mod version;

pub use config::{ConfigError, IDS, MountOptions, ObjectStore};
