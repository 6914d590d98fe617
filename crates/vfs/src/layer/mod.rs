//! A frozen tree: what a snapshot, a fork and a base image are. It never changes.

mod apply;
mod change;
mod diff;
mod restore;
mod rows;
mod stack;

use std::fmt;
use std::sync::Arc;

pub use apply::ApplyError;
pub use change::{Change, ChangeKind, LayerDiff, Meta};
pub use diff::{TooLong, diff, diff_within};
pub use restore::{Restore, RowsDamaged};
pub use rows::{BodyRow, CHUNK_BYTES, InodeRow, Row, RowChange, RowKey, changed_rows};

use crate::tree::{Frozen, only_in};
use crate::{Ino, Tree, Usage};

/// A file system as it was at one moment. Cloning it and making a [`Tree`] of it are O(1).
#[derive(Clone)]
pub struct Layer(pub(crate) Arc<Frozen>);

impl Layer {
    /// A root directory and nothing in it.
    #[must_use]
    pub fn empty() -> Self {
        Layer(Arc::new(Frozen::empty()))
    }

    /// Bytes that are kept because of this layer although `newer`, a later one of the same tree, is kept as well: what was
    /// changed or removed between them. Parts of files that both share are not counted. The cost is that of the difference.
    #[must_use]
    pub fn only_here(&self, newer: &Layer) -> u64 {
        only_in(&self.0, &newer.0)
    }

    /// Whether the inode of this number is in it.
    #[must_use]
    pub fn contains(&self, ino: Ino) -> bool {
        self.0.table.contains_key(&ino)
    }

    /// What it holds.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.usage
    }

    /// The number of the next new inode.
    #[must_use]
    pub fn next_ino(&self) -> Ino {
        self.0.next
    }

    /// Whether nothing changed between two moments of one tree. O(1); layers without a common past are never the same.
    #[must_use]
    pub fn is_same_moment(&self, other: &Layer) -> bool {
        self.0.table.ptr_eq(&other.0.table)
    }
}

impl Default for Layer {
    fn default() -> Self {
        Layer::empty()
    }
}

impl From<&Tree> for Layer {
    fn from(tree: &Tree) -> Self {
        tree.freeze()
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layer").field(&self.usage()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_holds_no_earlier_one() {
        let mut tree = Tree::new();
        let mut earlier = Vec::new();
        for n in 0..1000 {
            tree.put_file("/f", 0o644, 0, 0, format!("{n}")).unwrap();
            let layer = tree.freeze();
            tree = Tree::from_layer(&layer);
            earlier.push(Arc::downgrade(&layer.0));
        }
        assert!(earlier.iter().all(|layer| layer.upgrade().is_none()));
        // Two inodes in one map, as in a fresh tree: a look-up has nothing else to go through.
        assert_eq!(tree.freeze().0.table.len(), 2);
        assert_eq!(tree.read_file("/f").unwrap(), b"999");
    }
}
