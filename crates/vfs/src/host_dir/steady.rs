//! Ways that stay as they are. Somebody outside of the machine who opens a file of a mount by its path follows links, and may be
//! led out of the mount by one that a program puts there in between. While a hold is kept, no program can: what makes
//! a link or moves a name waits.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Whether names of some host directories are held as they are; clones are the same one. A machine has one for all of its mounts.
///
/// ```
/// use agentos_vfs::host_dir::Steady;
/// # async fn example(steady: Steady) {
/// let held = steady.hold().await;
/// // Here a path that was resolved leads to the same file, for whoever opens it.
/// drop(held);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Steady(Arc<RwLock<()>>);

/// Names stay as they are until this is dropped.
#[derive(Debug)]
#[must_use = "names are free again when it is dropped"]
pub struct Held(#[allow(dead_code, reason = "held for its Drop")] OwnedRwLockReadGuard<()>);

/// A name changes until this is dropped.
pub(crate) struct Turning(#[allow(dead_code, reason = "held for its Drop")] OwnedRwLockWriteGuard<()>);

impl Steady {
    /// Waits for the changes of names that are under way, and keeps others back. Who holds must let go soon: programs wait.
    pub async fn hold(&self) -> Held {
        Held(Arc::clone(&self.0).read_owned().await)
    }

    /// To change a name at once, if nobody holds them.
    pub(crate) fn try_turn(&self) -> Option<Turning> {
        Arc::clone(&self.0).try_write_owned().ok().map(Turning)
    }

    /// To change a name, as soon as nobody holds them.
    pub(crate) async fn turn(&self) -> Turning {
        Turning(Arc::clone(&self.0).write_owned().await)
    }
}
