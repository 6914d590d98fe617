//! The rules of POSIX and Linux, one case per line, for every file system of the crate.

use std::sync::Arc;

use agentos_vfs::{DriverFs, DriverOptions, FileSystem, HostDir, HostDirOptions, Overlay, Tree};

use crate::driver::TreeDriver;
use crate::script::Script;

/// What holds everywhere.
const COMMON: &[&str] = &[
    // Look-ups.
    "ls / => ; stat / kind => Directory; stat / nlink => 2",
    "stat /x kind => ENOENT",
    "file /f; stat /f/x kind => ENOTDIR",
    "stat /d/x kind => ENOENT; mkdir /d; stat /d/x kind => ENOENT",
    "parent / / => true; mkdir /d; mkdir /d/e; parent /d/e /d => true",
    "mkdir /d; nameof /d => d; nameof / => /",
    "file /f; listed /f => true; mkdir /d; listed /d => true",
    // Creating.
    "file /f; create /f => EEXIST",
    "mkdir /d; mkdir /d => EEXIST; create /d => EEXIST",
    "file /f; mkdir /f => EEXIST; symlink t /f => EEXIST",
    "file /f; create /f/g => ENOTDIR; mkdir /f/g => ENOTDIR",
    "create /LONG => ENAMETOOLONG; mkdir /LONG => ENAMETOOLONG",
    "create /MAX; mv /MAX /d => ; create /MAX",
    "create /. => EINVAL; mkdir /.. => EINVAL",
    "create /f 0o640; stat /f perm => 640; stat /f kind => Regular; stat /f size => 0",
    "mkdir /d 0o1777; stat /d perm => 1777; stat /d kind => Directory",
    "create /f 0o7; stat /f perm => 7",
    "create /f; stat /f uid => 1000; stat /f gid => 1000; stat /f nlink => 1",
    "symlink ../t /l; stat /l kind => Symlink; readlink /l => ../t; stat /l size => 4",
    "file /f; readlink /f => EINVAL; mkdir /d; readlink /d => EINVAL",
    "symlink /etc/passwd /l; readlink /l => /etc/passwd; stat /l/x kind => ENOTDIR",
    "mkdir /d; moves mtime /d create /d/f => true",
    // Link counts of directories.
    "mkdir /d; stat /d nlink => 2; stat / nlink => 3; mkdir /d/e; stat /d nlink => 3; rmdir /d/e; stat /d nlink => 2",
    "mkdir /d; file /d/f; stat /d nlink => 2",
    // Hard links.
    "file /f abc; link /f /g; write /g 0 X; read /f => Xbc",
    "file /f; link /f /g; unlink /f; stat /g nlink => 1; stat /f kind => ENOENT",
    "file /f; link /f /f => EEXIST; mkdir /d; link /f /d => EEXIST",
    "mkdir /d; link /d /e => EPERM; file /f; link /d /f => EEXIST",
    "file /f; link /f /LONG => ENAMETOOLONG; file /g; link /f /g/x => ENOTDIR",
    "symlink t /l; link /l /m; stat /m kind => Symlink; stat /l nlink => 2",
    "file /f; moves ctime /f link /f /g => true",
    // Unlink and rmdir.
    "unlink /x => ENOENT; rmdir /x => ENOENT",
    "mkdir /d; unlink /d => EISDIR; file /f; rmdir /f => ENOTDIR",
    "mkdir /d; file /d/f; rmdir /d => ENOTEMPTY; unlink /d/f; rmdir /d; ls / => ",
    "file /f; unlink /f/x => ENOTDIR; rmdir /f/x => ENOTDIR",
    "symlink d /l; rmdir /l => ENOTDIR; unlink /l; ls / => ",
    "mkdir /d; file /d/f; moves mtime /d unlink /d/f => true",
    "unlink /LONG => ENAMETOOLONG; rmdir /LONG => ENAMETOOLONG",
    // Open files outlive their names.
    "file /f abc; open h /f r; mv /f /g; read h => abc",
    // Rename.
    "mv /x /y => ENOENT; file /f; mv /f /d/f => ENOENT; mv /f /f/g => ENOTDIR",
    "file /f abc; mv /f /g; read /g => abc; ls / => g",
    "file /f abc; file /g def; mv /f /g; read /g => abc; ls / => g",
    "file /f; mkdir /d; mv /f /d => EISDIR; mv /d /f => ENOTDIR; ls / => d/,f",
    "mkdir /d; mkdir /e; mv /d /e; ls / => e/; stat / nlink => 3",
    "mkdir /d; mkdir /e; file /e/f; mv /d /e => ENOTEMPTY",
    "mkdir /d; mkdir /d/e; mv /d /d/e/x => EINVAL; mv /d /d/x => EINVAL",
    "mkdir /d; mkdir /d/e; mv /d /d/e => EINVAL; mv /d/e /d => ENOTEMPTY",
    "mkdir /d; mv /d /d; ls / => d/; file /f; mv /f /f; ls / => d/,f",
    "file /f; link /f /g; mv /f /g; ls / => f,g",
    "mkdir /a; mkdir /b; mkdir /a/d; mv /a/d /b/d; stat /a nlink => 2; stat /b nlink => 3; parent /b/d /b => true",
    "mkdir /a; mkdir /b; file /b/f; mv /b /a/b; ls /a/b => f; nameof /a/b => b",
    "mkdir /a; mv /a /b; nameof /b => b; mkdir /b/c; ls /b => c/",
    "symlink t /l; mv /l /m; readlink /m => t; symlink u /n; mv /m /n; readlink /n => t",
    "file /f; mv /f /LONG => ENAMETOOLONG; ls / => f",
    "file /f; file /g; mvn /f /g => EEXIST; mvn /f /h; ls / => g,h",
    "mkdir /a; mkdir /b; moves mtime /a mkdir /a/x => true; moves mtime /b mv /a/x /b/x => true",
    "mkdir /d; file /d/f abc; note i /d; mv /d /e; read #i/f => abc",
    // Reading and writing.
    "file /f hello; read /f => hello; read /f 1 3 => ell; read /f 5 => ; read /f 99 => ; stat /f size => 5",
    "file /f hello; write /f 0 J => 1; read /f => Jello; write /f 5 !!; read /f => Jello!!",
    "create /f; write /f 3 x; read /f => ...x; stat /f size => 4",
    "file /f ab; append /f cd => 2@4; append /f e => 1@5; read /f => abcde",
    "create /f; fill /f 0 200000 => 200000; stat /f size => 200000; write /f 65535 abc; read /f 65533 6 => xxabcx",
    "create /f; fill /f 131072 5; read /f 131070 10 => ..xxxxx; stat /f size => 131077",
    "mkdir /d; read /d => EISDIR; write /d 0 x => EISDIR",
    "symlink t /l; read /l => ELOOP",
    "file /f abc; open h /f r; write h 0 x => EBADF; open w /f w; read w => EBADF",
    "file /f abc; moves mtime /f write /f 0 x => true; moves ctime /f write /f 0 x => true",
    "file /f abc; mtime /f 100; write /f 0 => 0; stat /f mtime => 100",
    "file /f abc; mtime /f 100; read /f; stat /f mtime => 100",
    // Truncating.
    "file /f hello; truncate /f 2; read /f => he; truncate /f 4; read /f => he..; stat /f size => 4",
    "create /f; fill /f 0 70000; truncate /f 65537; truncate /f 70000; read /f 65535 4 => xx..",
    "file /f; truncate /f 1000000; stat /f size => 1000000; read /f 999998 => ..",
    "mkdir /d; truncate /d 0 => EISDIR; symlink t /l; truncate /l 0 => EINVAL",
    "file /f abc; moves mtime /f truncate /f 1 => true",
    // Attributes.
    "file /f; chmod /f 0o600; stat /f perm => 600; mkdir /d; chmod /d 0o1750; stat /d perm => 1750",
    "file /f; moves ctime /f chmod /f 0o600 => true; moves mtime /f chmod /f 0o644 => false",
    "file /f; chown /f 1000 1000; stat /f uid => 1000",
    "file /f; mtime /f 12345; stat /f mtime => 12345; atime /f 54321; stat /f atime => 54321; stat /f mtime => 12345",
    "file /f; mtime /f -100; stat /f mtime => -100; moves mtime /f mtime /f now => true",
    "file /f; mtime /f 1.1000000000 => EINVAL",
    "symlink t /l; mtime /l 777; stat /l mtime => 777; file /t; stat /l mtime => 777",
    "mkdir /d; mtime /d 777; stat /d mtime => 777; create /d/f; moves mtime /d ls / => false",
    "file /f; link /f /g; chmod /g 0o400; stat /f perm => 400",
    // Directories.
    "file /b; mkdir /a; symlink t /c; ls / => a/,b,c@; ls /b => ENOTDIR",
    "mkdir /d; create /d/1; create /d/2; unlink /d/1; ls /d => 2",
    "mkdir /d; pin i /d; mkdir /d/e; mv /d /z; ls #i => e/",
];

/// What needs inodes that outlive their names, and so more than calls by path.
const INODES: &[&str] = &[
    "file /f abc; link /f /g; stat /f nlink => 2; same /f /g => true; read /g => abc",
    "file /f; link /f /g; moves ctime /g unlink /f => true",
    "file /f abc; open h /f r; unlink /f; read h => abc; close h; ls / => ",
    "file /f abc; open h /f rw; unlink /f; write h 3 def; read h => abcdef; truncate h 1; read h => a",
    "file /f abc; open h /f r; note i /f; unlink /f; stat #i nlink => 0; stat #i size => 3",
    "file /f abc; open h /f r; unlink /f; file /f new; read h => abc; read /f => new",
    "file /f abc; file /g new; open h /f r; mv /g /f; read h => abc; read /f => new",
    "file /f abc; mkdir /d; swap /f /d; read /d => abc; stat /f kind => Directory",
    "mkdir /a; mkdir /b; file /a/f x; mkdir /b/d; swap /a/f /b/d; stat /a nlink => 3; stat /b nlink => 2; read /b/d => x",
    "file /f; swap /f /g => ENOENT; swap /g /f => ENOENT; mvswap /f /f => EINVAL",
    "mkdir /a; mkdir /a/b; swap /a /a/b => EINVAL; swap /a/b /a => EINVAL",
    "file /f; note i /f; mv /f /g; same #i /g => true; mkdir /d; note j /d; mv /d /e; same #j /e => true",
    "mkdir /d; pin i /d; rmdir /d; create #i/f => ENOENT; ls #i => ",
    "mkdir /d; pin i /d; rmdir /d; mkdir /d; stat #i/x kind => ENOENT; stat #i nlink => 0",
];

/// What a host directory refuses or leaves to the host.
const MEMORY: &[&str] = &[
    "fifo /p; stat /p kind => Fifo; read /p => ENXIO; socket /s; stat /s kind => Socket",
    "char /c 259; stat /c rdev => 259; stat /c kind => CharDevice; block /b 5; stat /b kind => BlockDevice",
    "fifo /p; truncate /p 0 => EINVAL; unlink /p; ls / => ",
    "mkdir /d 0o2755; chown /d 7 8; mkdir /d/e; stat /d/e gid => 8; stat /d/e perm => 2755; create /d/f; stat /d/f gid => 8; stat /d/f perm => 644",
    "file /f; chown /f 1 2; stat /f uid => 1; stat /f gid => 2",
    "create /f 0o6755; write /f 0 x; stat /f perm => 755",
    "create /f 0o2644; write /f 0 x; stat /f perm => 2644",
    "create /f 0o4755; chown /f 5 5; stat /f perm => 755; mkdir /d 0o4755; chown /d 5 5; stat /d perm => 4755",
    "create /f 0o4755; truncate /f 0; stat /f perm => 755",
    "file /f; truncate /f 1099511627777 => EFBIG; truncate /f 1099511627776; write /f 1099511627776 x => EFBIG",
    "file /f; moves atime /f read /f => true; moves atime /f read /f => false; write /f 0 abc; moves atime /f read /f => true; moves atime /f read /f => false",
    "file /f abc; atime /f 200; moves atime /f read /f => true; moves atime /f read /f => false",
    "create /f; write /f 0 x; stat /f blocks => 1; fill /f 0 4096; stat /f blocks => 8; truncate /f 0; stat /f blocks => 0",
    "symlink t /l; chmod /l 0o600; stat /l perm => 777",
    "file /f; open h /f r; unlink /f; note i /; link #i /g => EPERM",
    "file /f; pin i /f; unlink /f; link #i /g => ENOENT; unpin i; stat #i kind => ENOENT",
    "mkdir /d; mkdir /d/e; pin i /d/e; rmdir /d/e; parent #i /d => ENOENT; stat / nlink => 3; stat /d nlink => 2",
];

#[track_caller]
fn check(lists: &[&[&str]], make: impl Fn() -> (Arc<dyn FileSystem>, Box<dyn std::any::Any>)) {
    for case in lists.iter().copied().flatten() {
        let (fs, keep) = make();
        Script::new(fs).check(case);
        drop(keep);
    }
}

#[test]
fn there_are_enough_cases() {
    assert!(COMMON.len() + INODES.len() >= 80);
}

#[test]
fn tree() {
    for case in COMMON.iter().chain(INODES).chain(MEMORY) {
        let tree = Tree::new();
        let mut script = Script::new(Arc::new(tree.clone()));
        script.check(case);
        tree.fsck().unwrap_or_else(|wrong| panic!("{wrong} after `{case}`"));
        drop(script);
        tree.fsck().unwrap_or_else(|wrong| panic!("{wrong} after `{case}` and closing"));
    }
}

#[test]
fn host_dir() {
    check(&[COMMON, INODES], || {
        let temp = tempfile::tempdir().unwrap();
        let fs = HostDir::open(temp.path(), HostDirOptions::default()).unwrap();
        (Arc::new(fs), Box::new(temp))
    });
}

#[test]
fn host_dir_on_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    check(&[COMMON, INODES], || {
        let temp = tempfile::tempdir().unwrap();
        let options = HostDirOptions {
            calls: agentos_vfs::host_dir::Calls::Threads,
            runtime: Some(runtime.handle().clone()),
            ..HostDirOptions::default()
        };
        (Arc::new(HostDir::open(temp.path(), options).unwrap()), Box::new(temp))
    });
}

#[test]
fn driver() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    check(&[COMMON], || {
        let options = DriverOptions { runtime: Some(runtime.handle().clone()), ..DriverOptions::default() };
        let fs = DriverFs::new(TreeDriver::new(Tree::new()), options).unwrap();
        (Arc::new(fs), Box::new(()))
    });
}

#[test]
fn overlay_over_nothing() {
    check(&[COMMON, INODES, MEMORY], || (Arc::new(Overlay::new(Tree::new(), vec![]).unwrap()), Box::new(())));
}

#[test]
fn overlay_over_a_tree() {
    check(&[COMMON, INODES, MEMORY], || {
        let fs = Overlay::new(Tree::new(), vec![Arc::new(Tree::new()), Arc::new(Tree::new())]).unwrap();
        (Arc::new(fs), Box::new(()))
    });
}

#[test]
fn overlay_over_a_host_dir() {
    check(&[COMMON, INODES, MEMORY], || {
        let temp = tempfile::tempdir().unwrap();
        let lower = HostDir::open(temp.path(), HostDirOptions::default()).unwrap();
        (Arc::new(Overlay::new(Tree::new(), vec![Arc::new(lower)]).unwrap()), Box::new(temp))
    });
}
