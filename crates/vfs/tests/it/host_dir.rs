//! Host directories under attack: nothing of the host outside of the mount is ever read, listed or opened.

use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agentos_vfs::host_dir::{Calls, Private};
use agentos_vfs::{
    Access, Errno, FileSystem, FileType, GuestPath, HostDir, HostDirOptions, MountOptions, Namespace, Reply,
    Resolved, Result, Tree, WalkContext, WalkFlags,
};
use tempfile::TempDir;

use crate::script::{Script, wait};

const SECRET: &str = "secret of the host";

/// A host with a mounted directory `mount` and a secret beside it.
fn host() -> (TempDir, Arc<HostDir>) {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(temp.path().join("mount/dir")).unwrap();
    std::fs::create_dir(temp.path().join("outside")).unwrap();
    std::fs::write(temp.path().join("outside/file"), SECRET).unwrap();
    std::fs::write(temp.path().join("mount/dir/file"), "inside").unwrap();
    let fs = HostDir::open(temp.path().join("mount"), HostDirOptions::default()).unwrap();
    (temp, Arc::new(fs))
}

fn namespace(fs: Arc<HostDir>) -> Namespace {
    let root = Tree::new();
    root.mkdir_p("/mnt", 0, 0).unwrap();
    root.put_file("/outside/file", 0o644, 0, 0, "of the VM").unwrap();
    let ns = Namespace::new(Arc::new(root));
    wait(ns.mount(&GuestPath::new("/mnt").unwrap(), fs, MountOptions::default())).unwrap();
    ns
}

async fn read(ns: &Namespace, path: &str) -> Result<String> {
    let root = ns.root();
    let cx = WalkContext { root: Some(&root), cwd: &root, pid: 1, now_only: false, may_search: &|_| Ok(()) };
    let found = ns.resolve(&cx, path.as_bytes(), WalkFlags::FOLLOW).await?.found()?;
    let file = found.location.mount.fs.open(found.location.ino, Access { read: true, write: false }).await?;
    let mut buf = [0; 64];
    let n = file.read_at(&mut buf, 0).await?;
    Ok(String::from_utf8_lossy(&buf[..n]).into_owned())
}

#[test]
fn no_path_leads_out() {
    let (temp, fs) = host();
    let mount = temp.path().join("mount");
    symlink(temp.path().join("outside/file"), mount.join("absolute")).unwrap();
    symlink("../outside/file", mount.join("relative")).unwrap();
    symlink("../../../../../../../../../../../../etc/passwd", mount.join("far")).unwrap();
    symlink("/outside/file", mount.join("vm")).unwrap();
    symlink("..", mount.join("up")).unwrap();
    let ns = namespace(fs);
    wait(async {
        assert_eq!(read(&ns, "/mnt/dir/file").await.unwrap(), "inside");
        assert_eq!(read(&ns, "/mnt/vm").await.unwrap(), "of the VM", "absolute links lead into the VM");
        assert_eq!(read(&ns, "/mnt/relative").await.unwrap(), "of the VM");
        assert_eq!(read(&ns, "/mnt/up/outside/file").await.unwrap(), "of the VM");
        for path in ["/mnt/absolute", "/mnt/far", "/mnt/dir/../../../etc/passwd", "/mnt/../../../etc/passwd"]
        {
            assert_eq!(read(&ns, path).await, Err(Errno::ENOENT), "{path}");
        }
    });
}

#[test]
fn private_directories_are_not_shown_wherever_they_go() {
    let temp = tempfile::tempdir().unwrap();
    let (private, mount) = (temp.path().join("private"), temp.path().join("mount"));
    std::fs::create_dir_all(private.join("deep/deeper")).unwrap();
    std::fs::create_dir(&mount).unwrap();
    std::fs::write(private.join("deep/image"), SECRET).unwrap();
    std::fs::write(mount.join("own"), "own").unwrap();
    std::fs::hard_link(mount.join("own"), mount.join("own-too")).unwrap();
    let known = Arc::new(Private::of([&private, &temp.path().join("missing")]).unwrap());
    let open = |path: &Path| {
        HostDir::open(path, HostDirOptions { private: Some(known.clone()), ..HostDirOptions::default() })
    };
    for path in [private.clone(), private.join("deep"), private.join("deep/deeper")] {
        assert_eq!(open(&path).err(), Some(Errno::EACCES), "{path:?}");
    }
    let fs = Arc::new(open(&mount).unwrap());
    // A further name of a file in it may be read and taken away, and nothing of the file changes.
    std::fs::hard_link(private.join("deep/image"), mount.join("image")).unwrap();
    let mode = || std::fs::metadata(private.join("deep/image")).unwrap().mode();
    let before = mode();
    let mut script = Script::new(fs.clone());
    script.check("read /own-too => own; write /own-too 0 O; chmod /own 0o600; stat /image nlink => 2");
    script.check("write /image 0 X => EACCES; truncate /image 1 => EACCES; chmod /image 0o666 => EACCES");
    script.check("open r /image r; unlink /image; ls / => own,own-too");
    assert_eq!(
        (std::fs::read_to_string(private.join("deep/image")).unwrap(), mode()),
        (SECRET.to_owned(), before)
    );
    // The operator moves it into the mount: names in it are not reached.
    std::fs::rename(&private, mount.join("moved")).unwrap();
    script.check("ls / => moved/,own,own-too; ls /moved => EACCES; ls /moved/deep => EACCES; chmod /moved 0o777 => EACCES");
    script.check(
        "file /moved/new x => EACCES; read /moved/deep/image => EACCES; unlink /moved/deep/image => EACCES",
    );
    script.check("mv /own /moved/own => EACCES; rmdir /moved => ENOTEMPTY");
    drop(script);
    assert_eq!(std::fs::read_to_string(mount.join("moved/deep/image")).unwrap(), SECRET);
}

#[test]
fn process_files_of_the_host_are_not_shown() {
    assert_eq!(HostDir::open("/proc", HostDirOptions::default()).err(), Some(Errno::EACCES));
    assert_eq!(HostDir::open("/proc/self/task", HostDirOptions::default()).err(), Some(Errno::EACCES));
    // Nor where they lie in what is mounted.
    let mut script = Script::new(Arc::new(HostDir::open("/", HostDirOptions::default()).unwrap()));
    let own = std::process::id();
    script.check(&format!(
        "ls /proc => EACCES; read /proc/{own}/environ => EACCES; read /proc/{own}/mem => EACCES"
    ));
}

#[test]
fn names_that_are_paths_are_refused() {
    let (_temp, fs) = host();
    let root = fs.root();
    for name in [&b".."[..], b".", b"", b"dir/file", b"../outside/file", b"/etc/passwd", b"a\0b"] {
        assert_eq!(wait(fs.lookup(root, name)), Err(Errno::EINVAL));
        assert_eq!(wait(fs.unlink(root, name)), Err(Errno::EINVAL));
        assert_eq!(wait(fs.rename(root, b"dir", root, name, Default::default())), Err(Errno::EINVAL));
    }
}

/// Swaps `mount/dir` between a directory and a link to the outside until told to stop.
fn swapper(mount: &Path, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let (dir, spare, link) = (mount.join("dir"), mount.join("spare"), mount.join("link"));
    symlink("../outside", &link).unwrap();
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            std::fs::rename(&dir, &spare).unwrap();
            std::fs::rename(&link, &dir).unwrap();
            std::fs::rename(&dir, &link).unwrap();
            std::fs::rename(&spare, &dir).unwrap();
        }
    })
}

#[test]
fn a_directory_swapped_for_a_link_never_leads_out() {
    let (temp, fs) = host();
    let ns = namespace(fs.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let host = swapper(&temp.path().join("mount"), stop.clone());
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut inside = 0;
    wait(async {
        while Instant::now() < deadline {
            match read(&ns, "/mnt/dir/file").await.as_deref() {
                Ok("inside") => inside += 1,
                // While the link is there, it leads into the VM.
                Ok("of the VM") => {}
                Ok(other) => panic!("read {other:?}"),
                Err(Errno::ENOENT | Errno::ESTALE | Errno::EINVAL) => {}
                Err(other) => panic!("{other:?}"),
            }
            // Also without the walk, which would follow the link in the VM.
            let Ok(dir) = fs.lookup(fs.root(), b"dir").await else { continue };
            for entry in fs.readdir(dir.ino).await.unwrap_or_default() {
                assert_eq!(&*entry.name, b"file");
            }
            if let Ok(file) = fs.lookup(dir.ino, b"file").await {
                assert_eq!(file.size, 6, "the secret is longer");
                let _ = fs.create(dir.ino, b"new", &node()).await;
                let _ = fs.unlink(dir.ino, b"new").await;
            }
        }
    });
    stop.store(true, Ordering::Relaxed);
    host.join().unwrap();
    assert!(inside > 0);
    let outside: Vec<_> = std::fs::read_dir(temp.path().join("outside")).unwrap().collect();
    assert_eq!(outside.len(), 1, "something was written outside");
}

fn node() -> agentos_vfs::NewNode {
    agentos_vfs::NewNode { kind: agentos_vfs::NewKind::Regular, perm: 0o644, uid: 1000, gid: 1000 }
}

#[test]
fn special_files_are_shown_and_never_opened() {
    let (temp, fs) = host();
    let fifo = temp.path().join("mount/fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(temp.path().join("mount/socket")).unwrap();
    let mut script = Script::new(fs.clone());
    script.check("stat /fifo kind => Fifo; stat /socket kind => Socket; ls / => dir/,fifo?,socket?");
    // Opening the FIFO on the host would hang here.
    script.check("open h /fifo r => ENXIO; open h /fifo w => ENXIO; open h /socket rw => ENXIO; truncate /fifo 0 => EINVAL");
    script.check(
        "fifo /p => EPERM; socket /p => EPERM; char /p 1 => EPERM; block /p 1 => EPERM; fifo /fifo => EEXIST",
    );
    script.check("mv /fifo /moved; chmod /moved 0o600; unlink /moved");
    assert!(std::fs::metadata(temp.path().join("mount/socket")).unwrap().file_type().is_socket());
}

#[test]
fn read_only_refuses_every_change() {
    let (temp, _) = host();
    let options = HostDirOptions { read_only: true, ..HostDirOptions::default() };
    let fs = Arc::new(HostDir::open(temp.path().join("mount"), options).unwrap());
    assert!(fs.read_only());
    let mut script = Script::new(fs);
    script.check("read /dir/file => inside; create /f => EROFS; mkdir /d => EROFS; symlink t /l => EROFS");
    script.check(
        "unlink /dir/file => EROFS; rmdir /dir => EROFS; mv /dir /e => EROFS; link /dir/file /f => EROFS",
    );
    script.check("chmod /dir 0 => EROFS; truncate /dir/file 0 => EROFS; mtime /dir 1 => EROFS; open h /dir/file w => EROFS");
    script.check("open h /dir/file r; truncate h 0 => EROFS; write h 0 x => EBADF; append h x => EBADF");
}

#[test]
fn owners_are_mapped_and_set_id_bits_stay_in_the_vm() {
    let (temp, _) = host();
    let options = HostDirOptions { uid: 7, gid: 8, ..HostDirOptions::default() };
    let fs = Arc::new(HostDir::open(temp.path().join("mount"), options).unwrap());
    let mut script = Script::new(fs);
    script.check(
        "stat /dir/file uid => 7; stat /dir gid => 8; chown /dir/file 7 8; chown /dir/file 0 8 => EPERM",
    );
    script.check("chmod /dir/file 0o6755; stat /dir/file perm => 755; create /f 0o4777; stat /f perm => 777");
    assert_eq!(std::fs::metadata(temp.path().join("mount/f")).unwrap().mode() & 0o7777, 0o777);
}

#[test]
fn what_the_host_moves_is_found_again_or_stale() {
    let (temp, fs) = host();
    let mount = temp.path().join("mount");
    let mut script = Script::new(fs.clone());
    script.check("note f /dir/file; pin d /dir");
    std::fs::rename(mount.join("dir"), mount.join("moved")).unwrap();
    script.check("stat /dir kind => ENOENT; ls #d => file; ls /moved => file; same /moved #d => true; nameof #d => moved");
    script.check("same /moved/file #f => true; stat #f size => 6");
    std::fs::write(mount.join("moved/other"), "other").unwrap();
    std::fs::rename(mount.join("moved/other"), mount.join("moved/file")).unwrap();
    script.check(
        "stat #f size => ESTALE; open h #f r => ESTALE; stat /moved/file size => 5; readlink #f => ESTALE",
    );
    assert_eq!(wait(fs.getattr(1 << 60)), Err(Errno::ESTALE), "a number nobody gave out");
}

#[test]
fn many_directories_do_not_keep_handles() {
    let (temp, fs) = host();
    // Other tests have descriptors of their own.
    let ours = |fd: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_link(fd.unwrap().path()).is_ok_and(|path| path.starts_with(temp.path()))
    };
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().map(ours).filter(|ours| *ours).count();
    let mut script = Script::new(fs);
    for n in 0..500 {
        std::fs::create_dir(temp.path().join(format!("mount/dir/{n}"))).unwrap();
        script.check(&format!("mkdir /dir/{n}/e; ls /dir/{n} => e/; ls /dir/{n}/e => "));
    }
    assert!(count() < 400, "{} descriptors are open", count());
}

#[test]
fn deep_trees_are_walked_without_recursion() {
    let (_temp, fs) = host();
    let mut dir = fs.root();
    for _ in 0..600 {
        let node = agentos_vfs::NewNode { kind: agentos_vfs::NewKind::Directory, ..node() };
        dir = wait(fs.create(dir, b"d", &node)).unwrap().ino;
    }
    // The handles of the upper directories were closed meanwhile and are opened again on the way.
    assert_eq!(wait(fs.readdir(dir)), Ok(vec![]));
    assert_eq!(wait(fs.getattr(dir)).unwrap().kind, FileType::Directory);
}

#[test]
fn calls_that_may_hang_take_few_threads_and_the_next_waits() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (temp, _) = host();
    let options = HostDirOptions {
        calls: Calls::Threads,
        runtime: Some(runtime.handle().clone()),
        ..HostDirOptions::default()
    };
    let fs = Arc::new(HostDir::open(temp.path().join("mount"), options).unwrap());
    // No runtime and no way to answer at once is an error, not a panic.
    let options = HostDirOptions { calls: Calls::Threads, ..HostDirOptions::default() };
    assert_eq!(HostDir::open(temp.path(), options).err(), Some(Errno::EINVAL));
    runtime.block_on(async {
        let calls = (0..200).map(|_| {
            let fs = fs.clone();
            tokio::spawn(async move { fs.lookup(fs.root(), b"dir").await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap();
        }
        let found = fs.lookup(fs.root(), b"dir").await.unwrap();
        assert_eq!(found.kind, FileType::Directory);
    });
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let blocking = threads
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("tokio"))
        .count();
    assert!(blocking < 200);
}

/// Takes from this thread what lets root open any file.
fn without_override() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let mut sets = capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::DAC_OVERRIDE);
    set_capabilities(None, sets).unwrap();
}

#[test]
fn who_creates_a_read_only_file_may_write_it() {
    without_override();
    let (temp, fs) = host();
    let node = |perm| agentos_vfs::NewNode { perm, ..node() };
    let write = Access { read: false, write: true };
    let new = wait(fs.create(fs.root(), b"object", &node(0o444))).unwrap();
    let file = wait(fs.open(new.ino, write)).unwrap();
    assert_eq!(wait(file.write_at(b"blob", 0)), Ok(4));
    assert_eq!(std::fs::read(temp.path().join("mount/object")).unwrap(), b"blob");
    assert_eq!(wait(fs.open(new.ino, write)).err(), Some(Errno::EACCES), "the mode binds from then on");
    // Also without any right, and only for what was asked.
    let new = wait(fs.create(fs.root(), b"closed", &node(0))).unwrap();
    let file = wait(fs.open(new.ino, Access { read: true, write: false })).unwrap();
    assert_eq!(wait(file.read_at(&mut [0; 4], 0)), Ok(0));
    assert_eq!(wait(file.write_at(b"blob", 0)), Err(Errno::EBADF));
    // Another file of the same name is another file.
    wait(fs.create(fs.root(), b"gone", &node(0o444))).unwrap();
    wait(fs.unlink(fs.root(), b"gone")).unwrap();
    std::fs::write(temp.path().join("mount/gone"), "of the host").unwrap();
    let other = wait(fs.lookup(fs.root(), b"gone")).unwrap();
    let file = wait(fs.open(other.ino, write)).unwrap();
    assert_eq!(wait(file.getattr()).unwrap().size, 11);
}

#[test]
fn a_reader_does_not_keep_a_writer_from_truncating() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (temp, _) = host();
    let runtime = Some(runtime.handle().clone());
    let options = HostDirOptions { calls: Calls::Threads, runtime, ..HostDirOptions::default() };
    let fs = HostDir::open(temp.path().join("mount"), options).unwrap();
    let mut script = Script::new(Arc::new(fs));
    script.check("open tail /dir/file r; open log /dir/file w; truncate log 0; stat /dir/file size => 0");
    script.check("truncate tail 1 => EINVAL; chmod /dir/file 0o640; stat /dir/file perm => 640");
}

#[test]
fn a_directory_is_synced_alone_and_on_another_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (temp, _) = host();
    let options = HostDirOptions { runtime: Some(runtime.handle().clone()), ..HostDirOptions::default() };
    let fs = HostDir::open(temp.path().join("mount"), options).unwrap();
    let dir = wait(fs.lookup(fs.root(), b"dir")).unwrap();
    let file = wait(fs.lookup(dir.ino, b"file")).unwrap();
    assert!(matches!(fs.sync_dir(dir.ino), Reply::Later(_)), "the caller waits for the disk");
    assert_eq!(wait(fs.sync_dir(fs.root())), Ok(()));
    assert_eq!(wait(fs.sync_dir(dir.ino)), Ok(()));
    // It looks at this directory, not at the whole file system.
    assert_eq!(wait(fs.sync_dir(file.ino)), Err(Errno::ENOTDIR));
    assert_eq!(wait(fs.sync_dir(1 << 60)), Err(Errno::ESTALE));
    let open = wait(fs.open(file.ino, Access { read: true, write: true })).unwrap();
    assert!(matches!(open.sync(true), Reply::Later(_)));
    assert_eq!(wait(open.sync(false)), Ok(()));
}

#[test]
fn what_is_no_directory_cannot_be_mounted() {
    let (temp, _) = host();
    let open = |path: &str| HostDir::open(temp.path().join(path), HostDirOptions::default()).err();
    assert_eq!(open("missing"), Some(Errno::ENOENT));
    assert_eq!(open("outside/file"), Some(Errno::ENOTDIR));
}

#[test]
fn resolving_says_what_is_missing() {
    let (_temp, fs) = host();
    let ns = namespace(fs);
    let root = ns.root();
    let cx = WalkContext { root: Some(&root), cwd: &root, pid: 1, now_only: false, may_search: &|_| Ok(()) };
    let resolved = wait(ns.resolve(&cx, b"/mnt/dir/new", WalkFlags::FOLLOW)).unwrap();
    assert!(matches!(&resolved, Resolved::Missing(missing) if missing.name[..] == *b"new"));
    assert_eq!(wait(resolved.path(&ns)).unwrap().unwrap(), b"/mnt/dir/new");
}
