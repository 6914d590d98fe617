//! File systems of the host for mounts: one that works, one that only fails, one that never answers.
//! They check nothing: paths come to them resolved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use agentos::{DriverDirEntry, DriverFuture, DriverStat, Errno, FileType, VirtualFileSystem};

#[derive(Debug, Clone)]
enum Node {
    File { mode: u32, data: Vec<u8> },
    Directory { mode: u32 },
    Link(PathBuf),
}

impl Node {
    fn stat(&self) -> DriverStat {
        match self {
            Node::File { mode, data } => DriverStat { mode: *mode, ..DriverStat::file(data.len() as u64) },
            Node::Directory { mode } => DriverStat { mode: *mode, ..DriverStat::directory() },
            Node::Link(target) => DriverStat {
                kind: FileType::Symlink,
                mode: 0o777,
                ..DriverStat::file(target.as_os_str().len() as u64)
            },
        }
    }
}

/// A file system in a map.
#[derive(Debug)]
pub struct MemoryDriver(Mutex<BTreeMap<PathBuf, Node>>);

impl Default for MemoryDriver {
    fn default() -> Self {
        let root = (PathBuf::from("/"), Node::Directory { mode: 0o755 });
        MemoryDriver(Mutex::new([root].into()))
    }
}

impl MemoryDriver {
    /// With these files in its root.
    #[must_use]
    pub fn with(files: &[(&str, &str)]) -> Self {
        let driver = MemoryDriver::default();
        for (name, text) in files {
            let file = Node::File { mode: 0o644, data: text.as_bytes().to_vec() };
            driver.nodes().insert(Path::new("/").join(name), file);
        }
        driver
    }

    /// What the host sees in a file.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        match self.nodes().get(Path::new(path)) {
            Some(Node::File { data, .. }) => Some(data.clone()),
            _ => None,
        }
    }

    fn nodes(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Node>> {
        self.0.lock().expect("no test panics with the lock")
    }

    fn change<T>(&self, path: &Path, change: impl FnOnce(&mut Node) -> Result<T, Errno>) -> Result<T, Errno> {
        self.nodes().get_mut(path).ok_or(Errno::ENOENT).and_then(change)
    }

    fn make(&self, path: &Path, node: Node) -> Result<DriverStat, Errno> {
        let mut nodes = self.nodes();
        if nodes.contains_key(path) {
            return Err(Errno::EEXIST);
        }
        match path.parent().and_then(|parent| nodes.get(parent)) {
            Some(Node::Directory { .. }) => {}
            Some(_) => return Err(Errno::ENOTDIR),
            None => return Err(Errno::ENOENT),
        }
        let stat = node.stat();
        nodes.insert(path.to_owned(), node);
        Ok(stat)
    }
}

fn ready<T: Send + 'static>(result: Result<T, Errno>) -> DriverFuture<'static, T> {
    Box::pin(std::future::ready(result))
}

fn data(node: &mut Node) -> Result<&mut Vec<u8>, Errno> {
    match node {
        Node::File { data, .. } => Ok(data),
        Node::Directory { .. } => Err(Errno::EISDIR),
        Node::Link(_) => Err(Errno::EINVAL),
    }
}

impl VirtualFileSystem for MemoryDriver {
    fn stat<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, DriverStat> {
        ready(self.change(path, |node| Ok(node.stat())))
    }

    fn read_dir<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, Vec<DriverDirEntry>> {
        let nodes = self.nodes();
        let inside = nodes.iter().filter(|(at, _)| at.parent() == Some(path));
        let entry = |(at, node): (&PathBuf, &Node)| DriverDirEntry {
            name: at.file_name().unwrap_or_default().as_encoded_bytes().to_vec(),
            kind: node.stat().kind,
            ino: 0,
        };
        ready(Ok(inside.map(entry).collect()))
    }

    fn read<'a>(&'a self, path: &'a Path, offset: u64, len: usize) -> DriverFuture<'a, Vec<u8>> {
        ready(self.change(path, |node| {
            let data = data(node)?;
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
            Ok(data[from..data.len().min(from.saturating_add(len))].to_vec())
        }))
    }

    fn write<'a>(&'a self, path: &'a Path, offset: Option<u64>, new: Vec<u8>) -> DriverFuture<'a, ()> {
        ready(self.change(path, |node| {
            let data = data(node)?;
            let from = offset.map_or(Ok(data.len()), usize::try_from).map_err(|_| Errno::EFBIG)?;
            let end = from + new.len();
            if data.len() < end {
                data.resize(end, 0);
            }
            data[from..end].copy_from_slice(&new);
            Ok(())
        }))
    }

    fn create<'a>(&'a self, path: &'a Path, mode: u32) -> DriverFuture<'a, DriverStat> {
        ready(self.make(path, Node::File { mode, data: Vec::new() }))
    }

    fn mkdir<'a>(&'a self, path: &'a Path, mode: u32) -> DriverFuture<'a, DriverStat> {
        ready(self.make(path, Node::Directory { mode }))
    }

    fn remove_file<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, ()> {
        let mut nodes = self.nodes();
        ready(match nodes.get(path) {
            None => Err(Errno::ENOENT),
            Some(Node::Directory { .. }) => Err(Errno::EISDIR),
            Some(_) => {
                nodes.remove(path);
                Ok(())
            }
        })
    }

    fn remove_dir<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, ()> {
        let mut nodes = self.nodes();
        if nodes.keys().any(|at| at.parent() == Some(path)) {
            return ready(Err(Errno::ENOTEMPTY));
        }
        ready(match nodes.get(path) {
            None => Err(Errno::ENOENT),
            Some(Node::Directory { .. }) => {
                nodes.remove(path);
                Ok(())
            }
            Some(_) => Err(Errno::ENOTDIR),
        })
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path, no_replace: bool) -> DriverFuture<'a, ()> {
        let mut nodes = self.nodes();
        if no_replace && nodes.contains_key(to) {
            return ready(Err(Errno::EEXIST));
        }
        let moved: Vec<PathBuf> = nodes.keys().filter(|at| at.starts_with(from)).cloned().collect();
        if moved.is_empty() {
            return ready(Err(Errno::ENOENT));
        }
        for at in moved {
            let rest = at.strip_prefix(from).unwrap_or(Path::new("")).to_owned();
            if let Some(node) = nodes.remove(&at) {
                let place = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
                nodes.insert(place, node);
            }
        }
        ready(Ok(()))
    }

    fn symlink<'a>(&'a self, target: &'a Path, path: &'a Path) -> DriverFuture<'a, DriverStat> {
        ready(self.make(path, Node::Link(target.to_owned())))
    }

    fn read_link<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, Vec<u8>> {
        ready(self.change(path, |node| match node {
            Node::Link(target) => Ok(target.as_os_str().as_encoded_bytes().to_vec()),
            _ => Err(Errno::EINVAL),
        }))
    }

    fn truncate<'a>(&'a self, path: &'a Path, size: u64) -> DriverFuture<'a, ()> {
        ready(self.change(path, |node| {
            data(node)?.resize(usize::try_from(size).map_err(|_| Errno::EFBIG)?, 0);
            Ok(())
        }))
    }

    fn chmod<'a>(&'a self, path: &'a Path, new: u32) -> DriverFuture<'a, ()> {
        ready(self.change(path, |node| {
            if let Node::File { mode, .. } | Node::Directory { mode } = node {
                *mode = new;
            }
            Ok(())
        }))
    }
}

/// Has a directory with one file, of which nothing can be read: every access to `/broken` is EIO.
#[derive(Debug)]
pub struct BrokenDriver;

impl VirtualFileSystem for BrokenDriver {
    fn stat<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, DriverStat> {
        ready(match path.to_str() {
            Some("/") => Ok(DriverStat::directory()),
            Some("/file") => Ok(DriverStat::file(10)),
            Some("/broken") => Err(Errno::EIO),
            _ => Err(Errno::ENOENT),
        })
    }

    fn read_dir<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, Vec<DriverDirEntry>> {
        ready(Err(Errno::EIO))
    }

    fn read<'a>(&'a self, _: &'a Path, _: u64, _: usize) -> DriverFuture<'a, Vec<u8>> {
        ready(Err(Errno::ENXIO))
    }
}

/// Has a file that is never read to the end: the driver does not answer.
#[derive(Debug)]
pub struct StuckDriver;

impl VirtualFileSystem for StuckDriver {
    fn stat<'a>(&'a self, path: &'a Path) -> DriverFuture<'a, DriverStat> {
        ready(if path == Path::new("/") { Ok(DriverStat::directory()) } else { Ok(DriverStat::file(10)) })
    }

    fn read_dir<'a>(&'a self, _: &'a Path) -> DriverFuture<'a, Vec<DriverDirEntry>> {
        Box::pin(std::future::pending())
    }

    fn read<'a>(&'a self, _: &'a Path, _: u64, _: usize) -> DriverFuture<'a, Vec<u8>> {
        Box::pin(std::future::pending())
    }
}
