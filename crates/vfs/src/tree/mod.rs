//! The in-memory file system: a mutable face over an immutable persistent tree, so that freezing it costs nothing.
//! It does not know mounts, paths (but for the helpers that fill it) or permissions.
//!
//! All inodes are in one persistent map from number to inode; a directory holds a persistent map from name to number.
//! [`Tree::freeze`] clones the root of the map; whatever changes afterwards copies only the nodes on the way to it.
//! Layers never stack, so a look-up costs the same after any number of freezes.

mod build;
mod content;
mod data;
mod descend;
mod file;
mod filesystem;
pub(crate) mod fsck;
mod inode;
mod names;
mod pieces;
mod quota;
mod restore;
mod state;
mod upper;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

pub use content::FileContent;
pub use quota::Quota;

pub(crate) use content::{CHUNK, Content};
pub(crate) use inode::{Body, Directory, Entry, Homes, Inode, Node, entry_charge};
pub(crate) use restore::only_in;
pub(crate) use state::{Frozen, ROOT, State};
pub(crate) use upper::is_whiteout;

use crate::{Ino, InodePin, Layer, Reply, Result};
use quota::{Locked, Share};
use state::Pins;

/// What a tree may hold. At the limit, calls fail with ENOSPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeLimits {
    /// Bytes: file data in units of 512, entries of directories at 64 + their name, targets of symbolic links.
    pub bytes: u64,
    /// Inodes, the root included.
    pub inodes: u64,
}

impl Default for TreeLimits {
    /// 1 GiB and 262,144 inodes.
    fn default() -> Self {
        TreeLimits { bytes: 1 << 30, inodes: 262_144 }
    }
}

/// What a tree holds, in the units of [`TreeLimits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes charged.
    pub bytes: u64,
    /// Inodes, the root included.
    pub inodes: u64,
}

pub(crate) struct Shared {
    state: Locked,
    pins: Arc<Pins>,
    sealed: AtomicBool,
    /// What brings changes to stable storage, if there is any.
    stable: OnceLock<Stable>,
    /// Shared by copies.
    line: u64,
}

/// Answers when all that happened before the call is on stable storage.
type Stable = Box<dyn Fn() -> Reply<'static, ()> + Send + Sync>;

impl Shared {
    fn sync(&self) -> Reply<'static, ()> {
        self.stable.get().map_or(Reply::Now(Ok(())), |stable| stable())
    }

    fn pin(self: &Arc<Self>, ino: Ino) -> Held {
        self.pins.add(ino);
        Held { tree: self.clone(), ino }
    }
}

/// Keeps one inode from being purged.
pub(crate) struct Held {
    tree: Arc<Shared>,
    ino: Ino,
}

impl Held {
    pub(crate) fn ino(&self) -> Ino {
        self.ino
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.tree.pins.remove(self.ino) {
            self.tree.state.write().released(self.ino);
        }
    }
}

/// An in-memory file system. A clone is a further handle of the same one.
///
/// ```
/// use agentos_vfs::{FileSystem, Tree};
/// let tree = Tree::new();
/// tree.put_file("/etc/hostname", 0o644, 0, 0, "agentos\n")?;
/// let layer = tree.freeze();
/// tree.put_file("/etc/hostname", 0o644, 0, 0, "changed\n")?;
///
/// let copy = Tree::from_layer(&layer);
/// assert_eq!(copy.read_file("/etc/hostname")?, b"agentos\n");
/// assert_eq!(tree.read_file("/etc/hostname")?, b"changed\n");
/// # Ok::<(), agentos_vfs::Errno>(())
/// ```
#[derive(Clone)]
pub struct Tree(pub(crate) Arc<Shared>);

impl Tree {
    /// An empty tree with the default limits; its root belongs to 0:0, mode 755.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(TreeLimits::default())
    }

    /// An empty tree with these limits.
    #[must_use]
    pub fn with_limits(limits: TreeLimits) -> Self {
        Self::thaw(Frozen::empty(), limits)
    }

    /// A tree that starts as `layer`, with the default limits. O(1): everything is shared until it changes.
    #[must_use]
    pub fn from_layer(layer: &Layer) -> Self {
        Self::from_layer_with(layer, TreeLimits::default())
    }

    /// A tree that starts as `layer`. What the layer holds counts against `limits`.
    #[must_use]
    pub fn from_layer_with(layer: &Layer, limits: TreeLimits) -> Self {
        Self::thaw(layer.0.as_ref().clone(), limits)
    }

    fn thaw(tree: Frozen, limits: TreeLimits) -> Self {
        Self::of_line(tree, limits, restore::next_line())
    }

    fn of_line(tree: Frozen, limits: TreeLimits, line: u64) -> Self {
        let pins = Arc::new(Pins::default());
        let state = Locked::new(State::new(tree, limits, pins.clone()));
        let stable = OnceLock::new();
        Tree(Arc::new(Shared { state, pins, sealed: AtomicBool::new(false), stable, line }))
    }

    /// The tree as it is now, for ever. O(1). Files that are open but unlinked are not in it.
    #[must_use]
    pub fn freeze(&self) -> Layer {
        Layer(Arc::new(self.0.state.read().freeze()))
    }

    /// What is in use, open unlinked files included.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.state.read().tree.usage
    }

    /// From now on it is a read-only file system: the kernel refuses changes with EROFS, reading moves no time.
    pub fn seal(&self) {
        self.0.sealed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn sealed(&self) -> bool {
        self.0.sealed.load(Ordering::Relaxed)
    }

    /// From now on, syncing this tree or a file of it waits for `sync`, which answers when all that happened before the call is
    /// on stable storage. Only the first call counts. Copies have none.
    pub fn backed_by(&self, sync: impl Fn() -> Reply<'static, ()> + Send + Sync + 'static) {
        // A tree has one owner that keeps it.
        let _ = self.0.stable.set(Box::new(sync));
    }

    /// Tells `meter` of the usage, now and after each change. It is called under the lock of the tree: it must be quick and
    /// must not call the tree.
    pub fn metered(&self, meter: impl Fn(Usage) + Send + Sync + 'static) {
        let mut state = self.0.state.write();
        meter(state.tree.usage);
        state.meter = Some(Box::new(meter));
    }

    /// From now on `quota` counts what the tree holds beyond `free`, also what it holds already. Its own limits and its meter
    /// stay.
    pub fn share_beyond(&self, quota: &Arc<Quota>, free: Usage) {
        let mut state = self.0.state.write();
        state.share = Some(Share::new(quota, free));
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> TreeLimits {
        self.0.state.read().limits
    }

    /// Checks all that must hold between inodes, names and counters; for tests. The error says what is wrong.
    pub fn fsck(&self) -> std::result::Result<(), String> {
        let state = self.0.state.read();
        fsck::check(&state)
    }

    pub(crate) fn hold(&self, ino: Ino) -> Result<Held> {
        // Under the lock, so that the inode cannot go between the look and the pin.
        let state = self.0.state.read();
        state.get(ino)?;
        Ok(self.0.pin(ino))
    }

    fn pin_ino(&self, ino: Ino) -> InodePin {
        self.hold(ino).map_or(InodePin::none(), InodePin::new)
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tree").field(&self.usage()).finish()
    }
}
