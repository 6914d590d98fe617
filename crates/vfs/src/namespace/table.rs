//! The mount table. Reading it is one lock and one reference count per walk; changes replace the whole.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{GuestPath, Location, Mount, MountOptions, PathLimits, Resolved, WalkContext, WalkFlags};
use crate::{Errno, FileSystem, FileType, Ino, Result};

/// The most mounts of a namespace, those of the kernel included; then ENOSPC, as on Linux.
pub const MAX_MOUNTS: usize = 256;

/// One state of the table.
#[derive(Clone)]
pub(crate) struct Table {
    /// In the order they were mounted; the first is the first root.
    mounts: Vec<Arc<Mount>>,
    /// Covered directories by (mount, inode), sorted; at most one mount each.
    points: Vec<((u64, Ino), Arc<Mount>)>,
    /// The root directory: of the last mount on `/`.
    pub(super) root: Location,
    next_id: u64,
}

impl Table {
    /// What is mounted on this directory.
    pub(crate) fn covering(&self, mount: u64, ino: Ino) -> Option<&Arc<Mount>> {
        let at = self.points.binary_search_by_key(&(mount, ino), |point| point.0).ok()?;
        Some(&self.points[at].1)
    }

    /// What lies over all that is mounted on the root of `mount`.
    pub(crate) fn topmost<'a>(&'a self, mut mount: &'a Arc<Mount>) -> &'a Arc<Mount> {
        while let Some(over) = self.covering(mount.id, mount.fs.root()) {
            mount = over;
        }
        mount
    }

    /// What was last mounted at `path`. EINVAL when nothing was.
    fn last_at(&self, path: &GuestPath) -> Result<&Arc<Mount>> {
        self.mounts.iter().rfind(|mount| mount.at.is_some() && mount.path == *path).ok_or(Errno::EINVAL)
    }

    /// The mount of this number and all that are mounted in it: whatever is mounted comes after what it is mounted in.
    fn above(&self, id: u64) -> Vec<u64> {
        let mut all = vec![id];
        for mount in &self.mounts {
            if mount.parent_id().is_some_and(|parent| all.contains(&parent)) {
                all.push(mount.id);
            }
        }
        all
    }

    fn without(&self, gone: &[u64]) -> Arc<Table> {
        let mut table = Table::clone(self);
        table.mounts.retain(|mount| !gone.contains(&mount.id));
        table.points.retain(|(_, mount)| !gone.contains(&mount.id));
        table.find_root();
        Arc::new(table)
    }

    /// Finds the root anew after a change.
    fn find_root(&mut self) {
        let mount = self.topmost(&self.mounts[0]);
        self.root = Location { mount: mount.clone(), ino: mount.fs.root() };
    }
}

/// The file systems of a VM, mounted into one tree.
///
/// ```
/// use std::sync::Arc;
/// use agentos_vfs::{GuestPath, MountOptions, Namespace, Tree};
/// # async fn example() -> Result<(), agentos_vfs::Errno> {
/// let root = Tree::new();
/// root.mkdir_p("/tmp", 0, 0)?;
/// let ns = Namespace::new(Arc::new(root));
/// ns.mount(&GuestPath::new("/tmp")?, Arc::new(Tree::new()), MountOptions::default()).await?;
/// assert_eq!(ns.list().len(), 2);
/// ns.unmount(&GuestPath::new("/tmp")?)?;
/// # Ok(())
/// # }
/// ```
pub struct Namespace {
    table: RwLock<Arc<Table>>,
    pub(super) limits: PathLimits,
}

impl Namespace {
    /// A namespace with `root` at `/`.
    #[must_use]
    pub fn new(root: Arc<dyn FileSystem>) -> Self {
        Self::with_limits(root, PathLimits::default())
    }

    /// A namespace with `root` at `/` whose walks keep to these limits.
    #[must_use]
    pub fn with_limits(root: Arc<dyn FileSystem>, limits: PathLimits) -> Self {
        let mount = Mount {
            id: 1,
            source: root.type_name().to_owned(),
            read_only: false,
            path: GuestPath::root(),
            at: None,
            fs: root,
        };
        let mount = Arc::new(mount);
        let root = Location { ino: mount.fs.root(), mount: mount.clone() };
        let table = Table { mounts: vec![mount], points: Vec::new(), root, next_id: 2 };
        Namespace { table: RwLock::new(Arc::new(table)), limits }
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.read().clone()
    }

    /// The root directory: of the last mount on `/`.
    #[must_use]
    pub fn root(&self) -> Location {
        self.table.read().root.clone()
    }

    /// Mounts `fs` on the directory at `path`, symbolic links followed. ENOENT, ENOTDIR, ENOSPC ([`MAX_MOUNTS`]).
    pub async fn mount(
        &self,
        path: &GuestPath,
        fs: Arc<dyn FileSystem>,
        options: MountOptions,
    ) -> Result<Arc<Mount>> {
        let root = self.root();
        let cx = WalkContext { root: None, cwd: &root, pid: 0, now_only: false, may_search: &|_| Ok(()) };
        let at = match self.resolve(&cx, path.as_bytes(), WalkFlags::FOLLOW).await? {
            Resolved::Found(found) if found.attr.kind == FileType::Directory => found.location,
            Resolved::Found(_) | Resolved::Descriptor(_) => return Err(Errno::ENOTDIR),
            Resolved::Missing(_) => return Err(Errno::ENOENT),
        };
        self.mount_at(at, path, fs, options)
    }

    /// Mounts `fs` on this directory, whatever the way to it is by now; `path` is what listings show. ENOENT when its own
    /// mount is gone, EBUSY when something is mounted there, ENOSPC.
    pub fn mount_at(
        &self,
        at: Location,
        path: &GuestPath,
        fs: Arc<dyn FileSystem>,
        options: MountOptions,
    ) -> Result<Arc<Mount>> {
        let pin = at.pin();
        let mut current = self.table.write();
        if current.mounts.len() >= MAX_MOUNTS {
            return Err(Errno::ENOSPC);
        }
        let key = (at.mount.id, at.ino);
        if !current.mounts.iter().any(|mount| mount.id == key.0) {
            return Err(Errno::ENOENT);
        }
        // Somebody may have mounted here since the walk; then the caller sees what a second mount(2) would not.
        let Err(slot) = current.points.binary_search_by_key(&key, |point| point.0) else {
            return Err(Errno::EBUSY);
        };
        let source = if options.source.is_empty() { fs.type_name().to_owned() } else { options.source };
        let mut table = Table::clone(&current);
        let mount = Arc::new(Mount {
            id: table.next_id,
            source,
            read_only: options.read_only,
            path: path.clone(),
            at: Some((at, pin)),
            fs,
        });
        table.next_id += 1;
        table.points.insert(slot, (key, mount.clone()));
        table.mounts.push(mount.clone());
        table.find_root();
        *current = Arc::new(table);
        Ok(mount)
    }

    /// Unmounts what was last mounted at `path`. EINVAL when nothing was, EBUSY while a mount lies below or somebody
    /// holds a [`Location`] or the [`Mount`]; a look at the table ([`Namespace::list`]) may be that somebody.
    pub fn unmount(&self, path: &GuestPath) -> Result<()> {
        let mut current = self.table.write();
        let mount = current.last_at(path)?;
        // The table has two references, and one more of the mount that is its root; the caller of this function none. The
        // count comes before the copy of the table, which adds to it; old copies in flight count as use.
        let own = 2 + usize::from(Arc::ptr_eq(mount, &current.root.mount));
        if current.above(mount.id).len() > 1 || Arc::strong_count(mount) > own {
            return Err(Errno::EBUSY);
        }
        let gone = [mount.id];
        *current = current.without(&gone);
        Ok(())
    }

    /// Unmounts it although it is in use, and all that is mounted in it, at once: no path leads there any more. Open files
    /// and working directories keep what they have (MNT_DETACH). EINVAL when nothing was mounted at `path`.
    pub fn detach(&self, path: &GuestPath) -> Result<()> {
        let mut current = self.table.write();
        let gone = current.above(current.last_at(path)?.id);
        *current = current.without(&gone);
        Ok(())
    }

    /// What was last mounted at `path`, by its number, and the paths of the mounts in it. EINVAL when nothing was.
    pub fn mounted_at(&self, path: &GuestPath) -> Result<(u64, Vec<GuestPath>)> {
        let table = self.table();
        let id = table.last_at(path)?.id;
        let in_it = &table.above(id)[1..];
        let paths =
            table.mounts.iter().filter(|mount| in_it.contains(&mount.id)).map(|mount| mount.path.clone());
        Ok((id, paths.collect()))
    }

    /// All mounts, in the order they were mounted. As long as they are held, they count as in use.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Mount>> {
        self.table().mounts.clone()
    }

    /// Whether something is mounted at this place: then rename, rmdir and unlink of it fail with EBUSY.
    #[must_use]
    pub fn is_mount_point(&self, location: &Location) -> bool {
        (location.is_mount_root() && location.mount.at.is_some())
            || self.table().covering(location.mount.id, location.ino).is_some()
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.table().mounts).finish()
    }
}
