//! The store by path: names are changed at once, contents through handles.

use std::sync::Arc;

use agentos_vfs::{Access, DriverHandle, Errno, FileType, PathDriver, Result, Timespec, VirtualStat};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::attributes::parent;
use crate::handle::Handle;
use crate::mount::Shared;
use crate::remote::Condition;
use crate::version::{Found, Version};

/// How far from now a time may be to be taken for now.
const NOW: i64 = 2;

pub(crate) struct Driver(pub(crate) Arc<Shared>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Driver {
    async fn file(&self, path: &str) -> Result<Version> {
        match self.0.look_anew(path).await? {
            Found::File(version) => Ok(version),
            Found::Directory => Err(Errno::EISDIR),
        }
    }

    /// Close-to-open: an open shows what the store has at that moment, or what was written here and is not there yet.
    async fn handle(&self, path: &str) -> Result<Handle> {
        if let Some(node) = self.0.open_dirty(path) {
            return Ok(Handle::new(node));
        }
        let version = match self.0.take_created(path) {
            Some(version) => version,
            None => self.file(path).await?,
        };
        Ok(Handle::new(self.0.open_node(path, &version)))
    }

    async fn create_file(&self, path: &str) -> Result<()> {
        // At once, since only the store can say whether it is new.
        let version = self.0.remote.put(path, Bytes::new(), &Condition::New, &mut false).await?;
        if let Some(node) = self.0.node(path) {
            self.0.move_node(&node, None);
        }
        self.0.attributes.forget(path);
        let generation = self.0.attributes.generation();
        self.0.attributes.put(generation, path, Some(Found::File(version.clone())));
        self.0.created(path, version);
        Ok(())
    }

    async fn mkdir(&self, path: &str) -> Result<()> {
        match self.0.look_anew(path).await {
            Ok(_) => return Err(Errno::EEXIST),
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
        self.0.remote.new_directory(path).await?;
        self.0.marked(path);
        self.0.attributes.forget(path);
        Ok(())
    }

    async fn unlink(&self, path: &str) -> Result<()> {
        let node = self.0.node(path);
        // An upload under way would bring it back.
        let held = match &node {
            Some(node) => Some(node.written.lock().await),
            None => None,
        };
        match self.0.look_anew(path).await? {
            Found::File(_) => {}
            Found::Directory => return Err(Errno::EISDIR),
        }
        self.0.keep_directory(parent(path)).await?;
        self.0.remote.delete(path).await?;
        // Before an upload that waits goes on.
        if let Some(node) = &node {
            self.0.move_node(node, None);
        }
        drop(held);
        self.0.attributes.forget(path);
        Ok(())
    }

    async fn rmdir(&self, path: &str) -> Result<()> {
        match self.0.look_anew(path).await? {
            Found::File(_) => return Err(Errno::ENOTDIR),
            Found::Directory => {}
        }
        if !self.0.remote.is_empty(path).await? {
            return Err(Errno::ENOTEMPTY);
        }
        self.0.keep_directory(parent(path)).await?;
        self.0.remote.delete_directory(path).await?;
        self.0.markers.lock().remove(path);
        self.0.attributes.forget(path);
        Ok(())
    }

    async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let _turn = self.0.moving.lock().await;
        let source = self.0.look_anew(from).await?;
        let target = match self.0.look_anew(to).await {
            Ok(found) => Some(found),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        match (&source, &target) {
            (Found::File(_), Some(Found::Directory)) => return Err(Errno::EISDIR),
            (Found::Directory, Some(Found::File(_))) => return Err(Errno::ENOTDIR),
            (Found::Directory, Some(Found::Directory)) if !self.0.remote.is_empty(to).await? => {
                return Err(Errno::ENOTEMPTY);
            }
            _ => {}
        }
        match source {
            Found::File(_) => self.rename_file(from, to).await,
            Found::Directory => self.rename_directory(from, to).await,
        }
    }

    async fn rename_file(&self, from: &str, to: &str) -> Result<()> {
        let remote = &self.0.remote;
        let handle = self.handle(from).await?;
        let node = handle.node();
        let mut written = node.written.lock().await;
        node.flush_held(&mut written).await?;
        let version = node.state.lock().version.clone();
        let target = self.0.node(to);
        // Whatever is written to the target from now on is lost, as it is for a file that was replaced.
        let target_held = match &target {
            Some(target) => Some(target.written.lock().await),
            None => None,
        };
        self.0.keep_directory(parent(from)).await?;
        if remote.moves(to) {
            remote.rename(from, to).await?;
        } else {
            if remote.capability.copy {
                remote.copy(from, to, &version).await?;
            } else {
                node.copy_to(&mut written, to).await?;
            }
            remote.delete(from).await?;
        }
        // Before an upload of it that waits goes on.
        if let Some(target) = &target {
            self.0.move_node(target, None);
        }
        drop(target_held);
        self.0.take_created(to);
        self.0.attributes.forget(from);
        self.0.attributes.forget(to);
        // The object at the new place is another one for the store: its version is looked up by the next open.
        match self.0.look_anew(to).await {
            Ok(Found::File(version)) => {
                let content = self.0.new_content(to, &version);
                let mut state = node.state.lock();
                (state.version, state.content) = (version, content);
                drop(state);
                self.0.move_node(node, Some(to));
            }
            // It is moved; who has it open sees an error when it goes on.
            _ => self.0.move_node(node, None),
        }
        Ok(())
    }

    /// One step where the store has it. Elsewhere a directory is as many objects as it has names, which cannot be moved
    /// at once: EXDEV, upon which mv(1) copies.
    async fn rename_directory(&self, from: &str, to: &str) -> Result<()> {
        let remote = &self.0.remote;
        if !remote.moves(to) {
            if !remote.is_empty(from).await? {
                return Err(Errno::EXDEV);
            }
            self.0.keep_directory(parent(from)).await?;
            remote.make_directory(to).await?;
            remote.delete_directory(from).await?;
            self.0.marked(to);
        } else {
            let nodes = self.0.nodes_below(from);
            let mut held = Vec::new();
            for node in &nodes {
                let mut written = node.written.lock().await;
                node.flush_held(&mut written).await?;
                // An upload under way would go to where nothing is any more.
                held.push(written);
            }
            remote.rename(from, to).await?;
            // Also what was opened meanwhile.
            for node in nodes.iter().chain(&self.0.nodes_below(from)) {
                let path = node.state.lock().path.clone();
                if let Some(rest) = path.as_deref().and_then(|path| path.strip_prefix(from)) {
                    self.0.move_node(node, Some(&format!("{to}{rest}")));
                }
            }
            drop(held);
        }
        self.0.markers.lock().retain(|marker| !marker.starts_with(from));
        self.0.attributes.forget_all();
        Ok(())
    }

    async fn read_dir(&self, path: &str) -> Result<Vec<(String, FileType)>> {
        let listed = match self.0.attributes.listing(path) {
            Some(listed) => listed,
            None => {
                let generation = self.0.attributes.generation();
                let listed: Arc<[_]> = self.0.remote.list(path).await?.into();
                // A store lists what is not there as empty.
                if listed.is_empty() && self.0.look_anew(path).await? != Found::Directory {
                    return Err(Errno::ENOTDIR);
                }
                self.0.attributes.put_listing(generation, path, &listed);
                listed
            }
        };
        Ok(listed.iter().map(|entry| (entry.name.clone(), entry.kind())).collect())
    }
}

impl PathDriver for Driver {
    fn lstat<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<VirtualStat>> {
        Box::pin(async move {
            if let Some(node) = self.0.node(path) {
                let state = node.state.lock();
                if state.dirty {
                    let version = Version { size: state.size, modified: state.modified, etag: None };
                    return Ok(self.0.file_stat(&version));
                }
            }
            Ok(self.0.found_stat(&self.0.look(path).await?))
        })
    }

    fn read_dir<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Vec<(String, FileType)>>> {
        Box::pin(self.read_dir(path))
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, len: usize) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move { self.handle(path).await?.read(offset, len).await })
    }

    fn write<'a>(&'a self, path: &'a str, offset: u64, data: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let handle = self.handle(path).await?;
            handle.write(Some(offset), data).await?;
            handle.flush().await
        })
    }

    fn create_file<'a>(&'a self, path: &'a str, _perm: u32) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.create_file(path))
    }

    fn mkdir<'a>(&'a self, path: &'a str, _perm: u32) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.mkdir(path))
    }

    fn unlink<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.unlink(path))
    }

    fn rmdir<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.rmdir(path))
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.rename(from, to))
    }

    fn truncate<'a>(&'a self, path: &'a str, size: u64) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let handle = self.handle(path).await?;
            handle.truncate(size).await?;
            handle.flush().await
        })
    }

    /// The bits are those of the mount: what they are already is no change.
    fn chmod<'a>(&'a self, path: &'a str, perm: u32) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let now = self.lstat(path).await?.perm;
            if perm == now { Ok(()) } else { Err(Errno::EPERM) }
        })
    }

    /// The time is that of the last write: what it is already is no change, and now it can be, for a file, by writing it again.
    fn utimes<'a>(&'a self, path: &'a str, atime: Timespec, mtime: Timespec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let stat = self.lstat(path).await?;
            if (stat.atime, stat.mtime) == (atime, mtime) {
                return Ok(());
            }
            if stat.kind == FileType::Directory || (mtime.secs - Timespec::now().secs).abs() > NOW {
                return Err(Errno::EPERM);
            }
            let handle = self.handle(path).await?;
            handle.node().touch().await?;
            handle.flush().await
        })
    }

    fn keeps_open_files(&self) -> bool {
        true
    }

    fn open<'a>(&'a self, path: &'a str, _access: Access) -> BoxFuture<'a, Result<Arc<dyn DriverHandle>>> {
        Box::pin(async move { Ok(Arc::new(self.handle(path).await?) as Arc<dyn DriverHandle>) })
    }

    fn sync(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.0.sync())
    }
}
