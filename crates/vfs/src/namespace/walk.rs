//! The walk along a path, with the rules of Linux path_resolution(7). It neither allocates nor suspends where the file
//! systems answer at once and no symbolic link is met.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memchr;

use super::table::Table;
use super::{Descriptor, Found, Last, Location, Missing, Mount, Namespace, PATH_MAX, Resolved};
use crate::{Attr, Descent, Errno, FileType, Ino, Link, NAME_MAX, NameBuf, Reached, Reply, Result, Steps};

/// How many symbolic links one walk follows unless configured otherwise; the next is ELOOP.
pub const SYMLINK_MAX: u32 = 40;

/// How long paths and names may be, and how many links one walk follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathLimits {
    /// Bytes of a path, at most [`PATH_MAX`].
    pub path: usize,
    /// Bytes of a new name, at most [`NAME_MAX`]. Longer ones that are there already can be used.
    pub name: usize,
    /// Symbolic links; the next is ELOOP.
    pub links: u32,
}

impl Default for PathLimits {
    fn default() -> Self {
        PathLimits { path: PATH_MAX, name: NAME_MAX, links: SYMLINK_MAX }
    }
}

/// On whose behalf a path is walked.
#[derive(Clone, Copy)]
pub struct WalkContext<'a> {
    /// The root of the process: where absolute paths begin and `..` ends; `None` is that of the namespace.
    pub root: Option<&'a Location>,
    /// Where relative paths begin: the working directory, or the directory argument of an `*at` call.
    pub cwd: &'a Location,
    /// The process; `/proc/self` depends on it.
    pub pid: u32,
    /// Wait for no file system: EAGAIN where one does not answer at once. For callers that then walk again and wait.
    pub now_only: bool,
    /// Asked at every directory before a component is looked up in it; usually EACCES or nothing.
    pub may_search: &'a (dyn Fn(&Attr) -> Result<()> + Sync),
}

/// The answer of a file system, waited for if that is wanted. A macro, because to move an answer through a future costs as
/// much as to find it.
macro_rules! answer {
    ($cx:expr, $reply:expr) => {
        match $reply {
            Reply::Now(result) => result,
            Reply::Later(_) if $cx.now_only => Err(Errno::EAGAIN),
            Reply::Later(future) => future.await,
        }
    };
}

/// How to walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkFlags {
    /// Follow a symbolic link in the last component; those before it are always followed.
    pub follow_last: bool,
    /// Never leave the start directory: absolute paths, absolute links, `..` above the start and links to descriptors
    /// are EPERM, as WASI demands.
    pub beneath: bool,
    /// The last component is only a name: it is not followed though a slash comes after it, and may then be no directory.
    /// For calls that make, remove or move names; they judge the slash themselves.
    pub name_only: bool,
}

impl WalkFlags {
    /// Follow a link in the last component.
    pub const FOLLOW: WalkFlags = WalkFlags { follow_last: true, beneath: false, name_only: false };
    /// Stop at a link in the last component.
    pub const NO_FOLLOW: WalkFlags = WalkFlags { follow_last: false, beneath: false, name_only: false };
}

/// Where the walk is: always a directory, or the start.
struct Walker<'a> {
    cx: &'a WalkContext<'a>,
    table: &'a Table,
    limits: &'a PathLimits,
    mount: Arc<Mount>,
    ino: Ino,
    attr: Attr,
    /// In a beneath walk, the directories from the start to here. `..` goes back along them, so that a directory moved
    /// away meanwhile opens no way out.
    trail: Option<Vec<(Arc<Mount>, Ino)>>,
    /// See [`Found::straight`].
    straight: bool,
    /// What the quick way found for the component that comes next; whether the directory may be searched was asked.
    looked: Option<Result<Attr>>,
}

impl Namespace {
    /// Walks along `path`. ENOENT (also for an empty path and a missing component before the last), ENOTDIR, ELOOP,
    /// ENAMETOOLONG, EINVAL (NUL), and whatever `may_search` and the file systems say.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use agentos_vfs::{Namespace, Resolved, Tree, WalkContext, WalkFlags};
    /// # async fn example() -> Result<(), agentos_vfs::Errno> {
    /// let tree = Tree::new();
    /// tree.put_file("/etc/hosts", 0o644, 0, 0, "127.0.0.1 localhost\n")?;
    /// let ns = Namespace::new(Arc::new(tree));
    /// let root = ns.root();
    /// let cx = WalkContext { root: None, cwd: &root, pid: 1, now_only: false, may_search: &|_| Ok(()) };
    /// let found = ns.resolve(&cx, b"etc/../etc/hosts", WalkFlags::FOLLOW).await?;
    /// assert_eq!(found.path(&ns).await?.as_deref(), Some(&b"/etc/hosts"[..]));
    /// assert!(matches!(ns.resolve(&cx, b"/etc/new", WalkFlags::FOLLOW).await?, Resolved::Missing(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn resolve(&self, cx: &WalkContext<'_>, path: &[u8], flags: WalkFlags) -> Result<Resolved> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() > self.limits.path {
            return Err(Errno::ENAMETOOLONG);
        }
        if memchr(0, path).is_some() {
            return Err(Errno::EINVAL);
        }
        let absolute = path[0] == b'/';
        if absolute && flags.beneath {
            return Err(Errno::EPERM);
        }
        let table = self.table();
        let start = if absolute { cx.root.unwrap_or(&table.root) } else { cx.cwd };
        let (mut mount, mut ino, mut at) = (&start.mount, start.ino, skip_slashes(path, 0));
        let mut looked = None;
        let attr = loop {
            let Some(down) = descend(cx, &table, mount, ino, (path, at), None, flags) else {
                break answer!(cx, mount.fs.getattr(ino))?;
            };
            (ino, at) = (down.dir, down.at);
            match down.reached {
                Reached::Last(attr) => {
                    return reached_last(mount, ino, &path[at..], attr, flags, true);
                }
                Reached::Directory(attr) => break attr,
                Reached::Missing(attr) => {
                    looked = Some(Err(Errno::ENOENT));
                    break attr;
                }
                Reached::Entry { directory, entry } => {
                    let next = next_component(path, at);
                    match table.covering(mount.id, entry.ino) {
                        Some(over) if entry.kind == FileType::Directory && next < path.len() => {
                            mount = table.topmost(over);
                            (ino, at) = (mount.fs.root(), next);
                        }
                        _ => {
                            looked = Some(Ok(entry));
                            break directory;
                        }
                    }
                }
            }
        };
        let trail = flags.beneath.then(Vec::new);
        let (limits, straight) = (&self.limits, true);
        let mut walker =
            Walker { cx, mount: mount.clone(), ino, attr, trail, table: &table, limits, straight, looked };
        walker.walk(path, at, flags).await
    }
}

/// The quick way down, where the file system has one and it does not have to be remembered.
fn descend(
    cx: &WalkContext<'_>,
    table: &Table,
    mount: &Mount,
    ino: Ino,
    (path, at): (&[u8], usize),
    start: Option<Attr>,
    flags: WalkFlags,
) -> Option<Descent> {
    if flags.beneath {
        return None;
    }
    let covered = |ino| table.covering(mount.id, ino).is_some();
    mount.fs.descend(ino, Steps { path, at, start, may_search: cx.may_search, covered: &covered })
}

/// What a path leads to whose last component, in the directory `dir`, is known.
fn reached_last(
    mount: &Arc<Mount>,
    dir: Ino,
    last: &[u8],
    attr: Attr,
    flags: WalkFlags,
    straight: bool,
) -> Result<Resolved> {
    let (name, trailing_slash) = match memchr(b'/', last) {
        Some(end) => (&last[..end], true),
        None => (last, false),
    };
    if trailing_slash && !flags.name_only && attr.kind != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    Ok(Resolved::Found(Found {
        location: Location { mount: mount.clone(), ino: attr.ino },
        attr,
        parent: Some((Location { mount: mount.clone(), ino: dir }, NameBuf::new(name)?)),
        last: Last::Name,
        trailing_slash,
        straight,
    }))
}

impl Walker<'_> {
    async fn walk(&mut self, path: &[u8], mut at: usize, flags: WalkFlags) -> Result<Resolved> {
        let mut path = Cow::Borrowed(path);
        let mut links = 0;
        // After a link or in another file system the quick way is tried again; where it ended, single steps go on.
        let mut anew = false;
        loop {
            at = skip_slashes(&path, at);
            if std::mem::take(&mut anew)
                && let start = Some(self.attr)
                && let Some(down) =
                    descend(self.cx, self.table, &self.mount, self.ino, (&path, at), start, flags)
            {
                (self.ino, at) = (down.dir, down.at);
                match down.reached {
                    Reached::Last(attr) => {
                        let last = &path[at..];
                        return reached_last(&self.mount, self.ino, last, attr, flags, self.straight);
                    }
                    Reached::Directory(attr) => self.attr = attr,
                    Reached::Missing(attr) => (self.attr, self.looked) = (attr, Some(Err(Errno::ENOENT))),
                    Reached::Entry { directory, entry } => {
                        (self.attr, self.looked) = (directory, Some(Ok(entry)));
                    }
                }
            }
            if at == path.len() {
                // Only a path of slashes gets here: others end at their last component.
                return Ok(self.found(Last::Root, true));
            }
            let end = memchr(b'/', &path[at..]).map_or(path.len(), |n| at + n);
            let next = skip_slashes(&path, end);
            let last = next == path.len();
            let trailing_slash = last && end < path.len();
            let name = &path[at..end];

            let looked = self.looked.take();
            if looked.is_none() {
                if self.attr.kind != FileType::Directory {
                    return Err(Errno::ENOTDIR);
                }
                (self.cx.may_search)(&self.attr)?;
            }
            if name == b"." || name == b".." {
                if name == b".." {
                    self.straight = false;
                    self.up().await?;
                }
                if last {
                    let last = if name == b".." { Last::DotDot } else { Last::Dot };
                    return Ok(self.found(last, trailing_slash));
                }
                at = next;
                continue;
            }
            if name.len() > NAME_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            let looked = match looked {
                Some(looked) => looked,
                None => answer!(self.cx, self.mount.fs.lookup(self.ino, name)),
            };
            let child = match looked {
                Ok(attr) => attr,
                Err(Errno::ENOENT) if last && name.len() > self.limits.name => {
                    return Err(Errno::ENAMETOOLONG);
                }
                Err(Errno::ENOENT) if last => {
                    return Ok(Resolved::Missing(Missing {
                        parent: self.location(),
                        parent_attr: self.attr,
                        name: NameBuf::new(name)?,
                        trailing_slash,
                        straight: self.straight,
                    }));
                }
                Err(error) => return Err(error),
            };

            let followed = !last || (!flags.name_only && (trailing_slash || flags.follow_last));
            if child.kind == FileType::Symlink && followed {
                links += 1;
                if links > self.limits.links {
                    return Err(Errno::ELOOP);
                }
                self.straight = false;
                let link = answer!(self.cx, self.mount.fs.readlink(child.ino, self.cx.pid))?;
                match link {
                    Link::Path(target) => {
                        path = Cow::Owned(self.enter_link(target, &path[end..], flags).await?);
                        (at, anew) = (0, true);
                    }
                    Link::Descriptor { .. } | Link::Directory { .. } if flags.beneath => {
                        return Err(Errno::EPERM);
                    }
                    Link::Directory { place, .. } => {
                        self.attr = answer!(self.cx, place.mount.fs.getattr(place.ino))?;
                        (self.mount, self.ino) = (place.mount, place.ino);
                        path = Cow::Owned([b".", &path[end..]].concat());
                        (at, anew) = (0, true);
                    }
                    Link::Descriptor { pid, fd, .. } => {
                        let rest = path[next..].to_vec();
                        return Ok(Resolved::Descriptor(Descriptor { pid, fd, rest, trailing_slash }));
                    }
                }
                continue;
            }

            if last {
                let parent = (self.location(), NameBuf::new(name)?);
                let (location, attr) = self.cross(child).await?;
                if trailing_slash && !flags.name_only && attr.kind != FileType::Directory {
                    return Err(Errno::ENOTDIR);
                }
                return Ok(Resolved::Found(Found {
                    location,
                    attr,
                    parent: Some(parent),
                    last: Last::Name,
                    trailing_slash,
                    straight: self.straight,
                }));
            }
            if child.kind != FileType::Directory {
                return Err(Errno::ENOTDIR);
            }
            anew = self.down(child).await?;
            at = next;
        }
    }

    fn location(&self) -> Location {
        Location { mount: self.mount.clone(), ino: self.ino }
    }

    fn found(&self, last: Last, trailing_slash: bool) -> Resolved {
        let (location, attr) = (self.location(), self.attr);
        let straight = self.straight;
        Resolved::Found(Found { location, attr, parent: None, last, trailing_slash, straight })
    }

    /// The path to walk instead of a link: its target and `rest`, which is empty or begins with a slash.
    async fn enter_link(&mut self, mut target: Vec<u8>, rest: &[u8], flags: WalkFlags) -> Result<Vec<u8>> {
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if target[0] == b'/' {
            if flags.beneath {
                return Err(Errno::EPERM);
            }
            let root = self.cx.root.unwrap_or(&self.table.root);
            self.attr = answer!(self.cx, root.mount.fs.getattr(root.ino))?;
            (self.mount, self.ino) = (root.mount.clone(), root.ino);
        }
        target.extend_from_slice(rest);
        Ok(target)
    }

    /// Follows what is mounted on a child of this directory.
    async fn cross(&self, child: Attr) -> Result<(Location, Attr)> {
        let over = match self.table.covering(self.mount.id, child.ino) {
            Some(over) if child.kind == FileType::Directory => self.table.topmost(over),
            _ => return Ok((Location { mount: self.mount.clone(), ino: child.ino }, child)),
        };
        let location = Location { mount: over.clone(), ino: over.fs.root() };
        let attr = answer!(self.cx, location.mount.fs.getattr(location.ino))?;
        Ok((location, attr))
    }

    /// Enters a child directory; whether that leads into another file system.
    async fn down(&mut self, child: Attr) -> Result<bool> {
        if let Some(trail) = &mut self.trail {
            trail.push((self.mount.clone(), self.ino));
        }
        if self.table.covering(self.mount.id, child.ino).is_none() {
            self.ino = child.ino;
            self.attr = child;
            return Ok(false);
        }
        let (location, attr) = self.cross(child).await?;
        self.mount = location.mount;
        self.ino = location.ino;
        self.attr = attr;
        Ok(true)
    }

    /// Goes to the parent, across mounts; at the root of the process it stays.
    async fn up(&mut self) -> Result<()> {
        if let Some(trail) = &mut self.trail {
            (self.mount, self.ino) = trail.pop().ok_or(Errno::EPERM)?;
            self.attr = answer!(self.cx, self.mount.fs.getattr(self.ino))?;
            return Ok(());
        }
        let root = self.cx.root.unwrap_or(&self.table.root);
        let is_root = |mount: &Mount, ino| ino == root.ino && mount.id == root.mount.id;
        let (mut mount, mut ino) = (&self.mount, self.ino);
        while !is_root(mount, ino) && ino == mount.fs.root() {
            match &mount.at {
                Some((at, _)) => (mount, ino) = (&at.mount, at.ino),
                None => return Ok(()),
            }
        }
        if is_root(mount, ino) {
            return Ok(());
        }
        ino = answer!(self.cx, mount.fs.parent(ino))?;
        while let Some(over) = self.table.covering(mount.id, ino) {
            (mount, ino) = (over, over.fs.root());
        }
        self.attr = answer!(self.cx, mount.fs.getattr(ino))?;
        self.mount = mount.clone();
        self.ino = ino;
        Ok(())
    }
}

/// Where the component after the one at `at` begins.
fn next_component(path: &[u8], at: usize) -> usize {
    let end = memchr(b'/', &path[at..]).map_or(path.len(), |n| at + n);
    skip_slashes(path, end)
}

fn skip_slashes(path: &[u8], at: usize) -> usize {
    path[at..].iter().position(|&byte| byte != b'/').map_or(path.len(), |n| at + n)
}
