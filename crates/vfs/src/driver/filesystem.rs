//! [`FileSystem`] for [`DriverFs`]: numbers to paths, one or two calls of the driver, paths to numbers.

use std::sync::Arc;

use super::file::DriverFile;
use super::handle_file::HandleFile;
use super::paths::ROOT;
use super::{DriverFs, Held, Shared, attr};
use crate::name;
use crate::{
    Access, Attr, DirEntry, Errno, FileSystem, FileType, FsStat, Ino, InodePin, Link, Name, NameBuf, NewKind,
    NewNode, OpenFile, PATH_MAX, RenameFlags, Reply, Result, SetAttr, SetTime, Timespec,
};

/// The most entries of one directory; then EOVERFLOW.
const MAX_ENTRIES: usize = 1 << 20;

impl Shared {
    /// The path of a name. EILSEQ unless it is UTF-8, ENAMETOOLONG above [`PATH_MAX`].
    fn child(&self, dir: Ino, name: &Name) -> Result<Arc<str>> {
        name::check(name)?;
        let name = std::str::from_utf8(name).map_err(|_| Errno::EILSEQ)?;
        let path = join(&self.path(dir)?, name);
        // A driver may have directories without end, and a program go on and on in them.
        if path.len() > PATH_MAX { Err(Errno::ENAMETOOLONG) } else { Ok(path.into()) }
    }

    /// A path that cannot be seen any more takes its number along.
    fn forget_if_gone<T>(&self, path: &str, result: Result<T>) -> Result<T> {
        if matches!(result, Err(Errno::ENOENT)) {
            self.paths.lock().removed(path);
        }
        result
    }

    async fn lookup(&self, dir: Ino, name: &Name) -> Result<Attr> {
        let path = self.child(dir, name)?;
        let stat = self.lstat(path.clone()).await;
        let stat = match self.forget_if_gone(&path, stat) {
            Ok(stat) => stat,
            // Not every driver tells a file in the way from nothing at all.
            Err(Errno::ENOENT) if self.attr(dir).await.is_ok_and(|attr| attr.kind != FileType::Directory) => {
                return Err(Errno::ENOTDIR);
            }
            Err(error) => return Err(error),
        };
        let ino = self.paths.lock().number(&path);
        Ok(attr(&stat, ino))
    }

    pub(super) async fn setattr(&self, ino: Ino, change: SetAttr) -> Result<Attr> {
        self.writable()?;
        let path = self.path(ino)?;
        let before = self.lstat(path.clone()).await?;
        if let Some(size) = change.size {
            match before.kind {
                FileType::Regular => {}
                FileType::Directory => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
            let path = path.clone();
            self.call(move |driver| Box::pin(async move { driver.truncate(&path, size).await })).await?;
        }
        let (uid, gid) = (change.uid.unwrap_or(before.uid), change.gid.unwrap_or(before.gid));
        if (uid, gid) != (before.uid, before.gid) {
            let path = path.clone();
            self.call(move |driver| Box::pin(async move { driver.chown(&path, uid, gid).await })).await?;
        }
        if let Some(perm) = change.perm
            && before.kind != FileType::Symlink
        {
            let path = path.clone();
            self.call(move |driver| Box::pin(async move { driver.chmod(&path, perm & 0o7777).await }))
                .await?;
        }
        if change.atime.is_some() || change.mtime.is_some() {
            let atime = time(change.atime, before.atime)?;
            let mtime = time(change.mtime, before.mtime)?;
            let path = path.clone();
            self.call(move |driver| Box::pin(async move { driver.utimes(&path, atime, mtime).await }))
                .await?;
        }
        Ok(attr(&self.lstat(path).await?, ino))
    }

    async fn create(&self, dir: Ino, name: &Name, node: NewNode) -> Result<Attr> {
        self.writable()?;
        let path = self.child(dir, name)?;
        let (perm, at) = (node.perm & 0o7777, path.clone());
        match node.kind {
            NewKind::Regular => {
                self.call(move |driver| Box::pin(async move { driver.create_file(&at, perm).await })).await?;
            }
            NewKind::Directory => {
                self.call(move |driver| Box::pin(async move { driver.mkdir(&at, perm).await })).await?;
            }
            NewKind::Symlink(target) => {
                let target = String::from_utf8(target).map_err(|_| Errno::EILSEQ)?;
                self.call(move |driver| Box::pin(async move { driver.symlink(&target, &at).await })).await?;
            }
            NewKind::Fifo | NewKind::CharDevice(_) | NewKind::BlockDevice(_) | NewKind::Socket => {
                return Err(Errno::EPERM);
            }
        }
        let stat = self.lstat(path.clone()).await?;
        let mut paths = self.paths.lock();
        // Whatever had this path before is gone: the driver created something new.
        paths.removed(&path);
        let ino = paths.number(&path);
        Ok(attr(&stat, ino))
    }

    async fn link(&self, ino: Ino, dir: Ino, name: &Name) -> Result<Attr> {
        self.writable()?;
        let (existing, new) = (self.path(ino)?, self.child(dir, name)?);
        let at = new.clone();
        self.call(move |driver| Box::pin(async move { driver.link(&existing, &at).await })).await?;
        let stat = self.lstat(new.clone()).await?;
        let ino = self.paths.lock().number(&new);
        Ok(attr(&stat, ino))
    }

    async fn remove(&self, dir: Ino, name: &Name, is_dir: bool) -> Result<()> {
        self.writable()?;
        let path = self.child(dir, name)?;
        let at = path.clone();
        self.call(move |driver| {
            Box::pin(async move { if is_dir { driver.rmdir(&at).await } else { driver.unlink(&at).await } })
        })
        .await?;
        self.paths.lock().removed(&path);
        Ok(())
    }

    async fn rename(
        &self,
        from_dir: Ino,
        from: &Name,
        to_dir: Ino,
        to: &Name,
        flags: RenameFlags,
    ) -> Result<()> {
        self.writable()?;
        // Swapping takes two steps by path; half of it would be worse than EINVAL, which rename(2) allows.
        if flags.exchange {
            return Err(Errno::EINVAL);
        }
        let (from, to) = (self.child(from_dir, from)?, self.child(to_dir, to)?);
        let source = self.lstat(from.clone()).await?;
        if flags.no_replace && self.lstat(to.clone()).await.is_ok() {
            return Err(Errno::EEXIST);
        }
        if source.kind == FileType::Directory
            && to.strip_prefix(&*from).is_some_and(|rest| rest.starts_with('/'))
        {
            return Err(Errno::EINVAL);
        }
        if from == to {
            return Ok(());
        }
        let (old, new) = (from.clone(), to.clone());
        self.call(move |driver| Box::pin(async move { driver.rename(&old, &new).await })).await?;
        self.paths.lock().moved(&from, &to);
        Ok(())
    }

    async fn readdir(&self, dir: Ino) -> Result<Vec<DirEntry>> {
        let path = self.path(dir)?;
        let at = path.clone();
        let names = self.call(move |driver| Box::pin(async move { driver.read_dir(&at).await })).await?;
        if names.len() > MAX_ENTRIES {
            return Err(Errno::EOVERFLOW);
        }
        let mut entries = Vec::with_capacity(names.len());
        let mut paths = self.paths.lock();
        for (entry, kind) in names.iter().filter(|(entry, _)| entry != "." && entry != "..") {
            // A name that cannot be one would lead out of the directory.
            name::check(entry.as_bytes()).map_err(|_| Errno::EIO)?;
            let ino = paths.peek(&join(&path, entry));
            entries.push(DirEntry { ino, kind: *kind, name: entry.as_bytes().into() });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    async fn open(self: &Arc<Self>, ino: Ino, access: Access) -> Result<Arc<dyn OpenFile>> {
        if access.write {
            self.writable()?;
        }
        let held = Held::new(self, ino)?;
        if self.driver.keeps_open_files() {
            let path = self.path(ino)?;
            let opened = path.clone();
            let handle =
                self.call(move |driver| Box::pin(async move { driver.open(&opened, access).await })).await;
            let handle = self.forget_if_gone(&path, handle)?;
            return Ok(Arc::new(HandleFile { held, access, handle }));
        }
        match self.attr(ino).await?.kind {
            FileType::Regular => Ok(Arc::new(DriverFile { held, access, appending: Default::default() })),
            FileType::Directory => Err(Errno::EISDIR),
            FileType::Symlink => Err(Errno::ELOOP),
            _ => Err(Errno::ENXIO),
        }
    }

    fn place(&self, dir: Ino) -> Result<Option<(Ino, NameBuf)>> {
        if dir == ROOT {
            return Ok(None);
        }
        let mut paths = self.paths.lock();
        let path = paths.path(dir)?;
        let (parent, name) = path.rsplit_once('/').ok_or(Errno::ESTALE)?;
        let name = NameBuf::new(name.as_bytes())?;
        Ok(Some((paths.number(if parent.is_empty() { "/" } else { parent }), name)))
    }
}

fn join(dir: &str, name: &str) -> String {
    if dir == "/" { format!("/{name}") } else { format!("{dir}/{name}") }
}

fn time(change: Option<SetTime>, before: Timespec) -> Result<Timespec> {
    match change {
        None => Ok(before),
        Some(SetTime::Now) => Ok(Timespec::now()),
        Some(SetTime::At(at)) if at.nanos >= 1_000_000_000 => Err(Errno::EINVAL),
        Some(SetTime::At(at)) => Ok(at),
    }
}

impl FileSystem for DriverFs {
    fn type_name(&self) -> &str {
        &self.0.options.type_name
    }

    fn root(&self) -> Ino {
        ROOT
    }

    fn lookup(&self, dir: Ino, name: &Name) -> Reply<'_, Attr> {
        let name = NameBuf::new(name);
        Reply::later(async move { self.0.lookup(dir, &name?).await })
    }

    fn parent(&self, dir: Ino) -> Reply<'_, Ino> {
        Reply::Now(self.0.place(dir).map(|place| place.map_or(ROOT, |(parent, _)| parent)))
    }

    fn name_of(&self, dir: Ino) -> Reply<'_, Option<(Ino, NameBuf)>> {
        Reply::Now(self.0.place(dir))
    }

    fn getattr(&self, ino: Ino) -> Reply<'_, Attr> {
        Reply::later(self.0.attr(ino))
    }

    fn setattr(&self, ino: Ino, change: &SetAttr) -> Reply<'_, Attr> {
        Reply::later(self.0.setattr(ino, *change))
    }

    fn readlink(&self, ino: Ino, _pid: u32) -> Reply<'_, Link> {
        Reply::later(async move {
            let path = self.0.path(ino)?;
            let target =
                self.0.call(move |driver| Box::pin(async move { driver.read_link(&path).await })).await?;
            Ok(Link::Path(target.into_bytes()))
        })
    }

    fn create(&self, dir: Ino, name: &Name, node: &NewNode) -> Reply<'_, Attr> {
        let (name, node) = (NameBuf::new(name), node.clone());
        Reply::later(async move { self.0.create(dir, &name?, node).await })
    }

    fn link(&self, ino: Ino, dir: Ino, name: &Name) -> Reply<'_, Attr> {
        let name = NameBuf::new(name);
        Reply::later(async move { self.0.link(ino, dir, &name?).await })
    }

    fn unlink(&self, dir: Ino, name: &Name) -> Reply<'_, ()> {
        let name = NameBuf::new(name);
        Reply::later(async move { self.0.remove(dir, &name?, false).await })
    }

    fn rmdir(&self, dir: Ino, name: &Name) -> Reply<'_, ()> {
        let name = NameBuf::new(name);
        Reply::later(async move { self.0.remove(dir, &name?, true).await })
    }

    fn rename(
        &self,
        from_dir: Ino,
        from: &Name,
        to_dir: Ino,
        to: &Name,
        flags: RenameFlags,
    ) -> Reply<'_, ()> {
        let (from, to) = (NameBuf::new(from), NameBuf::new(to));
        Reply::later(async move { self.0.rename(from_dir, &from?, to_dir, &to?, flags).await })
    }

    fn readdir(&self, dir: Ino) -> Reply<'_, Vec<DirEntry>> {
        Reply::later(self.0.readdir(dir))
    }

    fn open(&self, ino: Ino, access: Access) -> Reply<'_, Arc<dyn OpenFile>> {
        Reply::later(self.0.open(ino, access))
    }

    fn pin(&self, ino: Ino) -> InodePin {
        Held::new(&self.0, ino).map_or(InodePin::none(), InodePin::new)
    }

    fn statfs(&self) -> Reply<'_, FsStat> {
        // Nobody knows what a driver has.
        Reply::Now(Ok(FsStat { block_size: 4096, ..FsStat::default() }))
    }

    fn sync(&self) -> Reply<'_, ()> {
        if !self.0.driver.keeps_open_files() {
            return Reply::Now(Ok(()));
        }
        Reply::later(self.0.call(|driver| Box::pin(async move { driver.sync().await })))
    }

    fn sync_dir(&self, _dir: Ino) -> Reply<'_, ()> {
        // Names are changed at once.
        Reply::Now(Ok(()))
    }

    fn read_only(&self) -> bool {
        self.0.options.read_only
    }
}
