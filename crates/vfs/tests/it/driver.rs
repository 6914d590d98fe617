//! A file system the embedding program implements by path.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use agentos_vfs::{
    Access, DriverFs, DriverOptions, Errno, FileSystem, FileType, Ino, Link, NewKind, NewNode, PathDriver,
    Result, SetAttr, SetTime, Timespec, Tree, VirtualStat,
};
use futures_util::future::BoxFuture;

use crate::script::{Script, wait};

/// A driver as an embedder may write it, over a tree.
pub struct TreeDriver {
    tree: Tree,
    /// Bytes that were read.
    pub read: AtomicUsize,
}

impl TreeDriver {
    pub fn new(tree: Tree) -> Arc<Self> {
        Arc::new(TreeDriver { tree, read: AtomicUsize::new(0) })
    }

    fn split<'a>(&self, path: &'a str) -> Result<(Ino, &'a [u8])> {
        let (dir, name) = path.rsplit_once('/').unwrap();
        Ok((self.tree.ino_at(dir)?, name.as_bytes()))
    }

    async fn create(&self, path: &str, kind: NewKind, perm: u32) -> Result<()> {
        let (dir, name) = self.split(path)?;
        let node = NewNode { kind, perm, uid: 1000, gid: 1000 };
        self.tree.create(dir, name, &node).await.map(|_| ())
    }

    async fn set(&self, path: &str, change: SetAttr) -> Result<()> {
        self.tree.setattr(self.tree.ino_at(path)?, &change).await.map(|_| ())
    }
}

impl PathDriver for TreeDriver {
    fn lstat<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<VirtualStat>> {
        Box::pin(async move {
            let attr = self.tree.getattr(self.tree.ino_at(path)?).await?;
            Ok(VirtualStat {
                kind: attr.kind,
                perm: attr.perm,
                uid: attr.uid,
                gid: attr.gid,
                nlink: attr.nlink,
                size: attr.size,
                atime: attr.atime,
                mtime: attr.mtime,
                ctime: attr.ctime,
                btime: attr.btime,
            })
        })
    }

    fn read_dir<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Vec<(String, FileType)>>> {
        Box::pin(async move {
            let entries = self.tree.readdir(self.tree.ino_at(path)?).await?;
            Ok(entries.iter().map(|e| (String::from_utf8_lossy(&e.name).into_owned(), e.kind)).collect())
        })
    }

    fn read<'a>(&'a self, path: &'a str, offset: u64, len: usize) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let file = self.tree.open(self.tree.ino_at(path)?, Access { read: true, write: false }).await?;
            let mut buf = vec![0; len];
            let n = file.read_at(&mut buf, offset).await?;
            self.read.fetch_add(n, Ordering::SeqCst);
            buf.truncate(n);
            Ok(buf)
        })
    }

    fn write<'a>(&'a self, path: &'a str, offset: u64, data: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let file = self.tree.open(self.tree.ino_at(path)?, Access { read: false, write: true }).await?;
            file.write_at(&data, offset).await.map(|_| ())
        })
    }

    fn create_file<'a>(&'a self, path: &'a str, perm: u32) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.create(path, NewKind::Regular, perm))
    }

    fn mkdir<'a>(&'a self, path: &'a str, perm: u32) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.create(path, NewKind::Directory, perm))
    }

    fn unlink<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (dir, name) = self.split(path)?;
            self.tree.unlink(dir, name).await
        })
    }

    fn rmdir<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (dir, name) = self.split(path)?;
            self.tree.rmdir(dir, name).await
        })
    }

    fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let ((from_dir, from), (to_dir, to)) = (self.split(from)?, self.split(to)?);
            self.tree.rename(from_dir, from, to_dir, to, Default::default()).await
        })
    }

    fn truncate<'a>(&'a self, path: &'a str, size: u64) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.set(path, SetAttr { size: Some(size), ..SetAttr::default() }))
    }

    fn link<'a>(&'a self, existing: &'a str, new: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (dir, name) = self.split(new)?;
            self.tree.link(self.tree.ino_at(existing)?, dir, name).await.map(|_| ())
        })
    }

    fn symlink<'a>(&'a self, target: &'a str, path: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.create(path, NewKind::Symlink(target.into()), 0o777))
    }

    fn read_link<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            match self.tree.readlink(self.tree.ino_at(path)?, 0).await? {
                Link::Path(target) => Ok(String::from_utf8_lossy(&target).into_owned()),
                Link::Descriptor { .. } | Link::Directory { .. } => Err(Errno::EINVAL),
            }
        })
    }

    fn chmod<'a>(&'a self, path: &'a str, perm: u32) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.set(path, SetAttr { perm: Some(perm), ..SetAttr::default() }))
    }

    fn chown<'a>(&'a self, path: &'a str, uid: u32, gid: u32) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.set(path, SetAttr { uid: Some(uid), gid: Some(gid), ..SetAttr::default() }))
    }

    fn utimes<'a>(&'a self, path: &'a str, atime: Timespec, mtime: Timespec) -> BoxFuture<'a, Result<()>> {
        let (atime, mtime) = (Some(SetTime::At(atime)), Some(SetTime::At(mtime)));
        Box::pin(self.set(path, SetAttr { atime, mtime, ..SetAttr::default() }))
    }
}

/// A driver whose every call takes a while and is counted. It has one empty file, `/f`.
struct Slow {
    delay: Duration,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Slow {
    fn new(delay: Duration) -> Arc<Self> {
        Arc::new(Slow { delay, running: AtomicUsize::new(0), most: AtomicUsize::new(0) })
    }
}

fn no<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T>> {
    Box::pin(async { panic!("a driver may panic") })
}

impl PathDriver for Slow {
    fn lstat<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<VirtualStat>> {
        Box::pin(async move {
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            tokio::time::sleep(self.delay).await;
            self.running.fetch_sub(1, Ordering::SeqCst);
            let kind = if path == "/" { FileType::Directory } else { FileType::Regular };
            let zero = Timespec::default();
            Ok(VirtualStat {
                kind,
                perm: 0o644,
                uid: 0,
                gid: 0,
                nlink: 1,
                size: 0,
                atime: zero,
                mtime: zero,
                ctime: zero,
                btime: zero,
            })
        })
    }

    fn read_dir<'a>(&'a self, _path: &'a str) -> BoxFuture<'a, Result<Vec<(String, FileType)>>> {
        Box::pin(async { Ok(vec![("../escape".to_owned(), FileType::Regular)]) })
    }

    fn read<'a>(&'a self, _path: &'a str, _offset: u64, len: usize) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move { Ok(vec![b'!'; len * 2]) })
    }

    fn write<'a>(&'a self, _path: &'a str, _offset: u64, _data: Vec<u8>) -> BoxFuture<'a, Result<()>> {
        no()
    }

    fn create_file<'a>(&'a self, _path: &'a str, _perm: u32) -> BoxFuture<'a, Result<()>> {
        no()
    }

    fn mkdir<'a>(&'a self, _path: &'a str, _perm: u32) -> BoxFuture<'a, Result<()>> {
        no()
    }

    fn unlink<'a>(&'a self, _path: &'a str) -> BoxFuture<'a, Result<()>> {
        no()
    }

    fn rmdir<'a>(&'a self, _path: &'a str) -> BoxFuture<'a, Result<()>> {
        no()
    }

    fn rename<'a>(&'a self, _from: &'a str, _to: &'a str) -> BoxFuture<'a, Result<()>> {
        no()
    }

    fn truncate<'a>(&'a self, _path: &'a str, _size: u64) -> BoxFuture<'a, Result<()>> {
        no()
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_ends_with_etimedout() {
    let options = DriverOptions { timeout: Duration::from_millis(50), ..DriverOptions::default() };
    let fs = DriverFs::new(Slow::new(Duration::from_secs(3600)), options).unwrap();
    let start = Instant::now();
    assert_eq!(fs.lookup(fs.root(), b"f").await, Err(Errno::ETIMEDOUT));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn calls_wait_for_their_turn() {
    let driver = Slow::new(Duration::from_millis(20));
    let options = DriverOptions { max_calls: 3, ..DriverOptions::default() };
    let fs = DriverFs::new(driver.clone(), options).unwrap();
    let calls = (0..12).map(|n| {
        let fs = fs.clone();
        tokio::spawn(async move { fs.lookup(fs.root(), format!("f{n}").as_bytes()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(driver.most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_faulty_driver_hurts_nobody() {
    let fs = DriverFs::new(Slow::new(Duration::ZERO), DriverOptions::default()).unwrap();
    assert_eq!(fs.readdir(fs.root()).await, Err(Errno::EIO), "a name that leads out");
    assert_eq!(fs.unlink(fs.root(), b"f").await, Err(Errno::EIO), "a panic");
    let file = fs.lookup(fs.root(), b"f").await.unwrap();
    let file = fs.open(file.ino, Access { read: true, write: false }).await.unwrap();
    let mut buf = [0; 4];
    assert_eq!(file.read_at(&mut buf, 0).await, Ok(4), "more bytes than asked for");
    assert_eq!(fs.lookup(fs.root(), b"\xff").await, Err(Errno::EILSEQ));
}

#[test]
fn nothing_is_cached() {
    let tree = Tree::new();
    tree.put_file("/f", 0o644, 0, 0, "one").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = DriverOptions { runtime: Some(runtime.handle().clone()), ..DriverOptions::default() };
    let fs = DriverFs::new(TreeDriver::new(tree.clone()), options).unwrap();
    let mut script = Script::new(Arc::new(fs));
    script.check("open h /f rw; note i /f; read h => one");
    tree.put_file("/f", 0o600, 0, 0, "other").unwrap();
    script.check("stat #i size => 5; stat #i perm => 600; read h => other; mv /f /g; read h => other");
    script.check(
        "mkdir /d; mv /g /d/g; append h ! => 1@6; same /d/g #i => true; unlink /d/g; read h => ESTALE",
    );
    assert!(wait(script.fs.statfs()).is_ok());
}

#[test]
fn read_only_refuses_changes() {
    let tree = Tree::new();
    tree.put_file("/f", 0o644, 0, 0, "one").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = DriverOptions {
        runtime: Some(runtime.handle().clone()),
        read_only: true,
        ..DriverOptions::default()
    };
    let fs = DriverFs::new(TreeDriver::new(tree), options).unwrap();
    let mut script = Script::new(Arc::new(fs));
    script.check(
        "read /f => one; write /f 0 x => EROFS; mkdir /d => EROFS; unlink /f => EROFS; mv /f /g => EROFS",
    );
    script.check(
        "chmod /f 0 => EROFS; truncate /f 0 => EROFS; link /f /g => EROFS; rmdir /f => EROFS; ls / => f",
    );
}
