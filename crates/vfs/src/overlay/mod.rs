//! A union: a tree that takes all changes over file systems that are only read, such as a host directory. The root of a
//! VM needs none: a [`Tree`] made from a layer is O(1) and has one look-up per component instead of two; the overlay is
//! for lowers that are no trees.
//!
//! Names are hidden by whiteouts and opaque directories in the upper. A lower inode is copied up before its first change,
//! by reference where the lower holds its content in memory, and keeps its number and its hard links. A lower directory
//! that is renamed is copied up with all it holds. The lowers must not change below an overlay.

mod copy_up;
mod file;
mod filesystem;
mod look;
mod names;
mod table;

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Errno, FileSystem, Ino, Result, Tree};
use table::{Source, Table};

/// The most lowers of an overlay.
pub const MAX_LOWERS: usize = 100;

struct Shared {
    upper: Tree,
    lowers: Vec<Arc<dyn FileSystem>>,
    table: Mutex<Table>,
    /// Looks share it, changes of names and copying up have it alone.
    turn: tokio::sync::RwLock<()>,
}

/// A union of an upper tree and lower file systems.
///
/// ```
/// use std::sync::Arc;
/// use agentos_vfs::{FileSystem, Overlay, Tree};
/// # async fn example() -> Result<(), agentos_vfs::Errno> {
/// let lower = Tree::new();
/// lower.put_file("/etc/motd", 0o644, 0, 0, "hello\n")?;
/// let upper = Tree::new();
/// let fs = Overlay::new(upper.clone(), vec![Arc::new(lower.clone())])?;
/// let etc = fs.lookup(fs.root(), b"etc").await?;
/// fs.unlink(etc.ino, b"motd").await?;
/// assert!(lower.read_file("/etc/motd").is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Overlay(Arc<Shared>);

impl Overlay {
    /// `upper` over `lowers`, the topmost first. EINVAL above 100 lowers.
    ///
    /// An upper that was frozen and thawed again goes on where it was. Only the overlay may change `upper`.
    pub fn new(upper: Tree, lowers: Vec<Arc<dyn FileSystem>>) -> Result<Self> {
        if lowers.len() > MAX_LOWERS {
            return Err(Errno::EINVAL);
        }
        let root = upper.root();
        let sources = if upper.is_opaque(root) {
            Vec::new()
        } else {
            lowers.iter().enumerate().map(|(n, fs)| Source { layer: n + 1, ino: fs.root() }).collect()
        };
        let table = Mutex::new(Table::new(root, sources));
        Ok(Overlay(Arc::new(Shared { upper, lowers, table, turn: tokio::sync::RwLock::new(()) })))
    }

    /// A union that starts as this one is now and goes its own way, with the same lowers and the same inode numbers. O(1) in what
    /// the files hold.
    #[must_use]
    pub fn copy(&self) -> Overlay {
        // The table first: what it knows of copies is then in the upper. Each step in the upper leaves the view as it was.
        let table = self.0.table.lock();
        let upper = self.0.upper.copy();
        let table = Mutex::new(table.fork(&upper));
        let (lowers, turn) = (self.0.lowers.clone(), tokio::sync::RwLock::new(()));
        Overlay(Arc::new(Shared { upper, lowers, table, turn }))
    }

    /// The tree that holds the changes, whiteouts included: to freeze it.
    #[must_use]
    pub fn upper(&self) -> &Tree {
        &self.0.upper
    }
}

impl Shared {
    fn fs(&self, layer: usize) -> &dyn FileSystem {
        match layer.checked_sub(1) {
            Some(lower) => &*self.lowers[lower],
            None => &self.upper,
        }
    }
}

/// Keeps a number, and the copy it may have, while it is in use.
struct Pinned {
    shared: Arc<Shared>,
    ino: Ino,
}

impl Pinned {
    fn new(shared: &Arc<Shared>, ino: Ino) -> Result<Self> {
        if shared.table.lock().pin(ino) {
            Ok(Pinned { shared: shared.clone(), ino })
        } else {
            Err(Errno::ESTALE)
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let copy = self.shared.table.lock().unpin(self.ino);
        drop(copy);
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").field("upper", &self.0.upper).finish_non_exhaustive()
    }
}
