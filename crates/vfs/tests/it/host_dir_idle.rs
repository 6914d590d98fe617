//! Files of a host directory that stay open for a moment after they were closed: nobody notices but by the time it takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentos_vfs::host_dir::Calls;
use agentos_vfs::{
    Access, Errno, FileSystem, HostDir, HostDirOptions, NewKind, NewNode, OpenFile, RenameFlags, Result,
};

const READ: Access = Access { read: true, write: false };
const BOTH: Access = Access { read: true, write: true };

fn mount(directory: &Path) -> HostDir {
    HostDir::open(directory, HostDirOptions::default()).unwrap()
}

async fn open(fs: &HostDir, name: &str, access: Access) -> Result<Arc<dyn OpenFile>> {
    let found = fs.lookup(fs.root(), name.as_bytes()).await?;
    fs.open(found.ino, access).await
}

/// Opens, reads and closes.
async fn read(fs: &HostDir, name: &str) -> Result<String> {
    let file = open(fs, name, READ).await?;
    let mut buf = vec![0; 64];
    let n = file.read_at(&mut buf, 0).await?;
    Ok(String::from_utf8_lossy(&buf[..n]).into_owned())
}

/// The files beneath `directory` that this process has open; the mark of a removed one is left out.
fn held(directory: &Path) -> Vec<PathBuf> {
    let fds = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = fds.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
    links.filter(|path| path != directory && path.starts_with(directory)).collect()
}

/// Waits until nothing is open there.
async fn until_closed(directory: &Path) {
    let end = Instant::now() + Duration::from_secs(30);
    while !held(directory).is_empty() {
        assert!(Instant::now() < end, "still open: {:?}", held(directory));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_was_closed_is_closed_on_the_host_soon_and_opened_again_as_it_is_by_then() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    let fs = mount(temp.path());
    std::fs::write(at("f"), "one").unwrap();
    for round in 0..3 {
        assert_eq!(read(&fs, "f").await.as_deref(), Ok("one"));
        assert_eq!(read(&fs, "f").await.as_deref(), Ok("one"));
        // Written in place, replaced, removed and made again by the host.
        std::fs::write(at("f"), "two").unwrap();
        assert_eq!(read(&fs, "f").await.as_deref(), Ok("two"));
        std::fs::write(at("g"), "three").unwrap();
        std::fs::rename(at("g"), at("f")).unwrap();
        assert_eq!(read(&fs, "f").await.as_deref(), Ok("three"));
        std::fs::remove_file(at("f")).unwrap();
        assert_eq!(read(&fs, "f").await, Err(Errno::ENOENT));
        std::os::unix::fs::symlink("g", at("f")).unwrap();
        assert_eq!(open(&fs, "f", READ).await.err(), Some(Errno::ELOOP));
        std::fs::remove_file(at("f")).unwrap();
        std::fs::write(at("f"), "one").unwrap();
        if round == 1 {
            until_closed(temp.path()).await;
        }
    }
    until_closed(temp.path()).await;
}

#[tokio::test]
async fn many_open_files_of_one_name_are_many() {
    let temp = tempfile::tempdir().unwrap();
    let fs = mount(temp.path());
    std::fs::write(temp.path().join("f"), "one").unwrap();
    read(&fs, "f").await.unwrap();
    let (a, b) = (open(&fs, "f", READ).await.unwrap(), open(&fs, "f", READ).await.unwrap());
    assert_eq!(held(temp.path()).len(), 2);
    drop(a);
    let mut buf = [0; 3];
    assert_eq!(b.read_at(&mut buf, 0).await, Ok(3));
    drop(b);
    until_closed(temp.path()).await;
    // One that outlives the moment is not taken away.
    let kept = open(&fs, "f", READ).await.unwrap();
    read(&fs, "f").await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(kept.read_at(&mut buf, 0).await, Ok(3));
    drop((kept, fs));
    until_closed(temp.path()).await;
}

#[tokio::test]
async fn what_the_guest_removes_or_replaces_is_closed_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let fs = mount(temp.path());
    for name in ["a", "b", "c"] {
        std::fs::write(temp.path().join(name), name).unwrap();
    }
    for name in ["a", "b", "c"] {
        read(&fs, name).await.unwrap();
    }
    let is = |path: &PathBuf, name: &str| path.file_name().is_some_and(|is| is.to_string_lossy() == name);
    let gone = |name: &str| !held(temp.path()).iter().any(|path| is(path, name));
    fs.unlink(fs.root(), b"a").await.unwrap();
    assert!(gone("a (deleted)"), "{:?}", held(temp.path()));
    read(&fs, "b").await.unwrap();
    fs.rename(fs.root(), b"c", fs.root(), b"b", RenameFlags::default()).await.unwrap();
    assert!(gone("b (deleted)"), "{:?}", held(temp.path()));
    assert_eq!(read(&fs, "b").await.as_deref(), Ok("c"));
    // While it is open.
    let open = open(&fs, "b", READ).await.unwrap();
    fs.unlink(fs.root(), b"b").await.unwrap();
    assert!(!gone("b (deleted)"));
    drop(open);
    assert!(gone("b (deleted)"), "{:?}", held(temp.path()));
}

#[test]
fn when_the_runtime_ends_nothing_stays_open() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("f"), "one").unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let first = runtime();
    let options = HostDirOptions { runtime: Some(first.handle().clone()), ..HostDirOptions::default() };
    let fs = HostDir::open(temp.path(), options).unwrap();
    // Nobody runs the first one, so nothing is swept.
    assert_eq!(runtime().block_on(read(&fs, "f")).as_deref(), Ok("one"));
    assert_eq!(held(temp.path()).len(), 1);
    drop(first);
    assert_eq!(held(temp.path()), Vec::<PathBuf>::new());
    // The mount goes on without it.
    assert_eq!(runtime().block_on(read(&fs, "f")).as_deref(), Ok("one"));
    assert_eq!(held(temp.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_could_be_written_is_closed_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let fs = mount(temp.path());
    std::fs::write(temp.path().join("f"), "one").unwrap();
    drop(open(&fs, "f", BOTH).await.unwrap());
    assert_eq!(held(temp.path()), Vec::<PathBuf>::new());
    // The descriptor that created a file can write, whatever for it is opened.
    let node = NewNode { kind: NewKind::Regular, perm: 0o644, uid: 0, gid: 0 };
    let new = fs.create(fs.root(), b"new", &node).await.unwrap();
    drop(fs.open(new.ino, READ).await.unwrap());
    assert_eq!(held(temp.path()), Vec::<PathBuf>::new());
    // Read before, and then to be written: another descriptor.
    read(&fs, "f").await.unwrap();
    let file = open(&fs, "f", BOTH).await.unwrap();
    assert_eq!(file.write_at(b"two", 0).await, Ok(3));
    drop(file);
    assert_eq!(read(&fs, "f").await.as_deref(), Ok("two"));
}

#[test]
fn without_a_runtime_nothing_stays_open() {
    let temp = tempfile::tempdir().unwrap();
    let fs = mount(temp.path());
    std::fs::write(temp.path().join("f"), "one").unwrap();
    let here = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(here.block_on(read(&fs, "f")).as_deref(), Ok("one"));
    assert_eq!(held(temp.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn where_calls_may_hang_nothing_stays_open() {
    let temp = tempfile::tempdir().unwrap();
    let options = HostDirOptions { calls: Calls::Threads, ..HostDirOptions::default() };
    let fs = HostDir::open(temp.path(), options).unwrap();
    std::fs::write(temp.path().join("f"), "one").unwrap();
    assert_eq!(read(&fs, "f").await.as_deref(), Ok("one"));
    until_closed(temp.path()).await;
}
