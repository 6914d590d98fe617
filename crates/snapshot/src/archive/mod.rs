//! Tar archives: POSIX extended headers for what the old fields cannot hold, whiteouts of OCI images for what is gone.
//!
//! Three records of our own say what tar has no words for: `AGENTOS.literal` (the name only looks like a whiteout),
//! `AGENTOS.socket`, and `AGENTOS.hides-lower` (a directory that, in an upper layer of an overlay mount, is opaque).

mod header;
mod pax;
mod read;
mod sparse;
mod write;

pub(crate) use header::plain;
pub(crate) use read::{read, sound, symlink};
pub(crate) use write::{END, write};

/// A block of tar, in bytes.
pub(crate) const BLOCK: usize = 512;
/// What begins the name of a whiteout.
const WHITEOUT: &[u8] = b".wh.";
/// The name that empties its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

const LITERAL: &str = "AGENTOS.literal";
const SOCKET: &str = "AGENTOS.socket";
const HIDES_LOWER: &str = "AGENTOS.hides-lower";

/// Bytes after `size` up to the next block.
pub(crate) fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}
