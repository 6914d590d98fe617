//! Where files are that somebody else reads and writes for a process: found as open(2) finds them, refused as it refuses.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use agentos_kernel::permissions::{Domain, Guarded, Mode, Permissions, RuleSource, ScopeSource};
use agentos_kernel::sys::At;
use agentos_kernel::sys::PlacedFor::{Reading, Writing};
use agentos_kernel::{Errno, Kernel, KernelConfig, Limits};
use agentos_vfs::{GuestPath, HostDir, HostDirOptions, MountOptions, Tree};

use crate::{config, limits};

fn denied(path: &str, operation: &str) -> RuleSource {
    RuleSource {
        mode: Mode::Deny,
        operations: Some(vec![operation.to_owned()]),
        paths: Some(vec![path.to_owned()]),
        patterns: None,
    }
}

async fn machine(host: &std::path::Path) -> Arc<Kernel> {
    let root = Tree::new();
    root.put_dir("/tmp", 0o1777, 0, 0).unwrap();
    root.put_char_device("/null", 0o666, agentos_kernel::device::rdev(1, 3)).unwrap();
    root.put_dir("/proc", 0o555, 0, 0).unwrap();
    root.put_file("/tmp/mine", 0o644, 1000, 1000, "m").unwrap();
    root.put_file("/etc/of-root", 0o644, 0, 0, "r").unwrap();
    root.put_file("/etc/secret", 0o600, 0, 0, "s").unwrap();
    let rules =
        vec![denied("/p/denied/**", "read"), denied("/p/kept", "write"), denied("/p/grows", "truncate")];
    let scope = ScopeSource::Rules { default: Some(Mode::Allow), rules };
    let tree = Permissions::compile([(Domain::Fs, scope)]).unwrap();
    let permissions = Some(Guarded { tree: Arc::new(tree), ..Guarded::default() });
    let kernel = Kernel::new(KernelConfig { permissions, ..config(&root, Limits::default()) }).await.unwrap();
    for (place, read_only) in [("/p", false), ("/ro", true)] {
        let fs = HostDir::open(host, HostDirOptions { read_only, ..HostDirOptions::default() }).unwrap();
        let options = MountOptions { read_only, ..MountOptions::default() };
        kernel.mount(&GuestPath::new(place).unwrap(), Arc::new(fs), options).await.unwrap();
    }
    kernel
}

#[tokio::test]
async fn a_file_is_where_open_would_find_it_or_refused_as_by_open() {
    let host = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(host.path().join("a/b")).unwrap();
    std::fs::create_dir(host.path().join("denied")).unwrap();
    for file in ["a/b/f", "denied/f", "kept", "grows"] {
        std::fs::write(host.path().join(file), "x").unwrap();
    }
    for (target, link) in [
        ("a/b", "inside"),
        ("/etc/of-root", "out"),
        ("/p/a/b/f", "whole"),
        ("/p/a/none", "dangling"),
        ("denied/f", "around"),
        ("loop", "loop"),
    ] {
        symlink(target, host.path().join(link)).unwrap();
    }
    let kernel = machine(host.path()).await;
    let process = limits::start(&kernel, false).await.unwrap();
    let who = kernel.who(&process);
    for (path, wanted, expected) in [
        ("/p/a/b/f", Reading, Ok(("/p", "/a/b/f", true))),
        ("/p/inside/../b/f", Writing, Ok(("/p", "/a/b/f", true))),
        ("/p/whole", Writing, Ok(("/p", "/a/b/f", true))),
        ("/p/out", Reading, Ok(("/", "/etc/of-root", true))),
        ("/p/out", Writing, Err(Errno::EACCES)),
        ("/p/dangling", Writing, Ok(("/p", "/a/none", false))),
        ("/p/inside/new", Reading, Ok(("/p", "/a/b/new", false))),
        ("/ro/a/b/f", Reading, Ok(("/ro", "/a/b/f", true))),
        ("/ro/a/b/f", Writing, Err(Errno::EROFS)),
        ("/ro/new", Writing, Err(Errno::EROFS)),
        ("/tmp/mine", Writing, Ok(("/", "/tmp/mine", true))),
        ("/etc/secret", Reading, Err(Errno::EACCES)),
        ("/etc/new", Writing, Err(Errno::EACCES)),
        ("/etc/new", Reading, Ok(("/", "/etc/new", false))),
        ("/p/denied/f", Reading, Err(Errno::EACCES)),
        ("/p/around", Reading, Err(Errno::EACCES)),
        ("/p/denied/new", Reading, Err(Errno::EACCES)),
        ("/p/denied/f", Writing, Ok(("/p", "/denied/f", true))),
        ("/p/kept", Writing, Err(Errno::EACCES)),
        ("/p/kept", Reading, Ok(("/p", "/kept", true))),
        ("/p/grows", Writing, Err(Errno::EACCES)),
        ("/p/grows", Reading, Ok(("/p", "/grows", true))),
        ("/p/a", Reading, Err(Errno::EISDIR)),
        ("/p", Writing, Err(Errno::EISDIR)),
        ("/p/a/b/f/", Reading, Err(Errno::ENOTDIR)),
        ("/p/a/new/", Writing, Err(Errno::EISDIR)),
        ("/p/none/f", Writing, Err(Errno::ENOENT)),
        ("/p/loop", Reading, Err(Errno::ELOOP)),
        ("", Reading, Err(Errno::ENOENT)),
    ] {
        let placed = kernel.placed(&who, path.as_bytes(), wanted).await;
        let seen = placed.map(|at| (at.mount.path.to_string(), at.beneath, at.exists));
        let expected =
            expected.map(|(mount, beneath, exists)| (mount.to_owned(), beneath.as_bytes().to_vec(), exists));
        assert_eq!(seen, expected, "{path} {wanted:?}");
    }
    assert!(!host.path().join("a/none").exists() && !host.path().join("a/b/new").exists());
}

#[tokio::test]
async fn a_directory_that_was_removed_is_not_where_something_else_is_now() {
    let host = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("f"), "of the host").unwrap();
    for directory in ["gone", "moved"] {
        std::fs::create_dir(host.path().join(directory)).unwrap();
    }
    let kernel = machine(host.path()).await;
    let process = limits::start(&kernel, false).await.unwrap();
    for (directory, wanted) in [("gone", Reading), ("gone", Writing), ("moved", Writing)] {
        let path = format!("/p/{directory}");
        let who = kernel.who(&process);
        let there = kernel.resolve_directory(&who, At::Cwd(path.as_bytes())).await.unwrap();
        process.set_cwd(there);
        let who = kernel.who(&process);
        // Where it is, it is found.
        let placed = kernel.placed(&who, b"/proc/self/cwd/f", wanted).await;
        let placed = placed.unwrap_or_else(|errno| panic!("{directory} {wanted:?}: {errno:?}"));
        assert_eq!(placed.beneath, format!("/{directory}/f").into_bytes());
        match directory {
            "gone" => kernel.rmdir(&who, At::Cwd(path.as_bytes())).await.unwrap(),
            _ => std::fs::rename(host.path().join("moved"), host.path().join("elsewhere")).unwrap(),
        }
        symlink(outside.path(), host.path().join(directory)).unwrap();
        assert_eq!(kernel.placed(&who, b"/proc/self/cwd/f", wanted).await.map(drop), Err(Errno::ENOENT));
        std::fs::remove_file(host.path().join(directory)).unwrap();
        std::fs::create_dir(host.path().join(directory)).unwrap();
    }
}
