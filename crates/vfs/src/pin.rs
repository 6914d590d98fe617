//! A guard that keeps an inode number valid. It does not open the inode.

use std::any::Any;
use std::fmt;

/// Keeps an inode valid, although unlinked or long unused, until it is dropped.
///
/// The holder of a working directory, an open directory or an open FIFO keeps one. A file system that never forgets
/// an inode hands out [`InodePin::none`].
#[must_use = "the inode may be forgotten when the pin is dropped"]
pub struct InodePin(#[allow(dead_code, reason = "held for its Drop")] Option<Box<dyn Any + Send + Sync>>);

impl InodePin {
    /// A pin that holds nothing.
    pub const fn none() -> Self {
        InodePin(None)
    }

    /// A pin that drops `guard` at its end.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        InodePin(Some(Box::new(guard)))
    }
}

impl fmt::Debug for InodePin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InodePin")
    }
}
