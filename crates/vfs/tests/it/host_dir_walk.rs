//! Paths that lead through a host directory: the quick way down gives what single steps give, and both see what the host
//! changed at once. Attacks are in `host_dir`.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agentos_vfs::host_dir::Calls;
use agentos_vfs::{
    Attr, Errno, GuestPath, HostDir, HostDirOptions, Location, MountOptions, Namespace, Resolved, Result,
    SetAttr, Timespec, Tree, WalkContext, WalkFlags,
};
use tempfile::TempDir;

fn host() -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(temp.path().join("a/b/c/covered")).unwrap();
    std::fs::write(temp.path().join("top"), "1").unwrap();
    std::fs::write(temp.path().join("a/b/file"), "12").unwrap();
    std::fs::write(temp.path().join("a/b/c/file"), "123").unwrap();
    symlink("b/c", temp.path().join("a/link")).unwrap();
    symlink("/mnt/a/b", temp.path().join("a/away")).unwrap();
    symlink("nowhere", temp.path().join("a/b/dangling")).unwrap();
    symlink("loop", temp.path().join("loop")).unwrap();
    temp
}

async fn mount(ns: &Namespace, at: &str, fs: Arc<dyn agentos_vfs::FileSystem>) {
    let at = GuestPath::new(at).unwrap();
    ns.mount(&at, fs, MountOptions::default()).await.unwrap();
}

/// The directory at `/mnt` of a machine; with calls on other threads there is no quick way.
async fn machine(directory: &Path, calls: Calls) -> Namespace {
    let root = Tree::new();
    root.mkdir_p("/mnt", 0, 0).unwrap();
    let ns = Namespace::new(Arc::new(root));
    let options = HostDirOptions { calls, ..HostDirOptions::default() };
    mount(&ns, "/mnt", Arc::new(HostDir::open(directory, options).unwrap())).await;
    let inner = Tree::new();
    inner.put_file("/in/file", 0o644, 0, 0, "of the mount in it").unwrap();
    mount(&ns, "/mnt/a/b/c/covered", Arc::new(inner)).await;
    ns
}

/// As the owner of what is mounted.
fn may_search(attr: &Attr) -> Result<()> {
    if attr.perm & 0o100 == 0 { Err(Errno::EACCES) } else { Ok(()) }
}

async fn walk(ns: &Namespace, cwd: &Location, path: &str, flags: WalkFlags) -> Result<Resolved> {
    let cx = WalkContext { root: None, cwd, pid: 1, now_only: false, may_search: &may_search };
    ns.resolve(&cx, path.as_bytes(), flags).await
}

async fn size(ns: &Namespace, path: &str) -> Result<u64> {
    Ok(walk(ns, &ns.root(), path, WalkFlags::FOLLOW).await?.found()?.attr.size)
}

/// All that a walk says, but for numbers of mounts and the times of what is in memory.
fn told(resolved: &Result<Resolved>) -> String {
    let attr = |location: &Location, attr: &Attr| {
        let zero = Timespec::default();
        let memory = location.mount.fs.tree().is_some();
        if memory { Attr { atime: zero, mtime: zero, ctime: zero, btime: zero, ..*attr } } else { *attr }
    };
    let place = |location: &Location| format!("{} #{}", location.mount.fs.type_name(), location.ino);
    match resolved {
        Ok(Resolved::Found(found)) => format!(
            "{} {:?} in {:?} {:?} {} {}",
            place(&found.location),
            attr(&found.location, &found.attr),
            found.parent.as_ref().map(|(dir, name)| (place(dir), name)),
            found.last,
            found.trailing_slash,
            found.straight
        ),
        Ok(Resolved::Missing(missing)) => format!(
            "no {:?} in {} {:?} {} {}",
            missing.name,
            place(&missing.parent),
            attr(&missing.parent, &missing.parent_attr),
            missing.trailing_slash,
            missing.straight
        ),
        other => format!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quick_way_down_says_what_single_steps_say() {
    let temp = host();
    let closed = temp.path().join("closed");
    std::fs::create_dir_all(closed.join("dir")).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o600)).unwrap();
    let (quick, steps) =
        (machine(temp.path(), Calls::Auto).await, machine(temp.path(), Calls::Threads).await);
    // Both make numbers of their own for what is mounted, so they are asked the same in the same order.
    let long = "n".repeat(256);
    let paths = [
        "",
        "/",
        ".",
        "..",
        "top",
        "top/",
        "top/x",
        "top/.",
        "none",
        "none/",
        "none/x",
        "loop",
        "loop/x",
        "a",
        "a/",
        "a//b///c//",
        "a/b/c/file",
        "a/b/c/file/",
        "a/b/c/none",
        "a/b/c/none/",
        "a/b/../b/c/./file",
        "a/b/c/..",
        "a/link",
        "a/link/",
        "a/link/file",
        "a/link/../file",
        "a/link/covered",
        "a/away/file",
        "a/away/c/covered/in",
        "a/b/dangling",
        "a/b/dangling/",
        "a/b/dangling/x",
        "a/b/c/covered",
        "a/b/c/covered/",
        "a/b/c/covered/in/file",
        "a/b/c/covered/in/none",
        "a/b/c/covered/..",
        "a/b/c/covered/../file",
        "closed",
        "closed/",
        "closed/dir",
        "closed/none",
        "closed/..",
        &long,
        "a/b/c/../../../../mnt/top",
    ];
    let name_only = WalkFlags { name_only: true, ..WalkFlags::NO_FOLLOW };
    let beneath = WalkFlags { beneath: true, ..WalkFlags::FOLLOW };
    for cwd in ["/", "/mnt", "/mnt/a", "/mnt/a/b/c", "/mnt/a/b/c/covered"] {
        let at =
            |ns| async move { walk(ns, &ns.root(), cwd, WalkFlags::FOLLOW).await.unwrap().found().unwrap() };
        let (in_quick, in_steps) = (at(&quick).await.location, at(&steps).await.location);
        let pins = (in_quick.pin(), in_steps.pin());
        for path in
            paths.iter().map(|path| (*path).to_owned()).chain(paths.map(|path| format!("/mnt/{path}")))
        {
            for flags in [WalkFlags::FOLLOW, WalkFlags::NO_FOLLOW, name_only, beneath] {
                let one = told(&walk(&quick, &in_quick, &path, flags).await);
                let other = told(&walk(&steps, &in_steps, &path, flags).await);
                assert_eq!(one, other, "{path} in {cwd}, {flags:?}");
            }
        }
        drop(pins);
    }
}

/// The permission to search in the directory where a walk begins may be that of 100 us ago.
fn a_moment() {
    std::thread::sleep(Duration::from_micros(200));
}

#[tokio::test]
async fn what_the_host_changes_is_seen_by_the_next_walk() {
    let temp = host();
    let ns = machine(temp.path(), Calls::Auto).await;
    let (a, b) = (temp.path().join("a"), temp.path().join("a/b"));
    let chmod = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let file = "/mnt/a/b/c/file";
    for _ in 0..3 {
        assert_eq!(size(&ns, file).await, Ok(3));
        // Search permission: of the mounted directory, of one on the way, of the last one.
        for directory in [temp.path(), &a, &b.join("c")] {
            chmod(directory, 0o600);
            a_moment();
            assert_eq!(size(&ns, file).await, Err(Errno::EACCES), "{}", directory.display());
            chmod(directory, 0o700);
            assert_eq!(size(&ns, file).await, Ok(3));
        }
        std::fs::write(b.join("c/file"), "1234").unwrap();
        assert_eq!(size(&ns, file).await, Ok(4));
        // Another directory under the same name, then none, a link, a file.
        std::fs::rename(&b, a.join("moved")).unwrap();
        assert_eq!(size(&ns, file).await, Err(Errno::ENOENT));
        assert_eq!(size(&ns, "/mnt/a/moved/c/file").await, Ok(4));
        std::fs::create_dir_all(b.join("c")).unwrap();
        assert_eq!(size(&ns, file).await, Err(Errno::ENOENT));
        std::fs::write(b.join("c/file"), "another").unwrap();
        assert_eq!(size(&ns, file).await, Ok(7));
        std::fs::remove_dir_all(&b).unwrap();
        symlink("moved", &b).unwrap();
        assert_eq!(size(&ns, file).await, Ok(4));
        std::fs::remove_file(&b).unwrap();
        std::fs::write(&b, "").unwrap();
        assert_eq!(size(&ns, file).await, Err(Errno::ENOTDIR));
        std::fs::remove_file(&b).unwrap();
        std::fs::rename(a.join("moved"), &b).unwrap();
        std::fs::write(b.join("c/file"), "123").unwrap();
    }
}

#[tokio::test]
async fn of_a_directory_seen_a_moment_ago_only_the_permission_to_search_is_used() {
    let temp = host();
    let ns = machine(temp.path(), Calls::Auto).await;
    let flags = WalkFlags::NO_FOLLOW;
    let parent = async |path: &str| match walk(&ns, &ns.root(), path, flags).await.unwrap() {
        Resolved::Missing(missing) => missing.parent_attr.perm,
        other => panic!("{path}: {other:?}"),
    };
    for n in 0..50 {
        assert_eq!(size(&ns, "/mnt/top").await, Ok(1));
        let mode = 0o700 + n % 8;
        std::fs::set_permissions(temp.path(), PermissionsExt::from_mode(mode)).unwrap();
        // Who would create a file here is judged by the directory as it is.
        assert_eq!(parent("/mnt/new").await, mode);
        // What the guest itself changes counts at once.
        assert_eq!(size(&ns, "/mnt/top").await, Ok(1));
        let root = walk(&ns, &ns.root(), "/mnt", flags).await.unwrap().found().unwrap().location;
        let perm = |perm| SetAttr { perm: Some(perm), ..SetAttr::default() };
        root.mount.fs.setattr(root.ino, &perm(0o600)).await.unwrap();
        assert_eq!(size(&ns, "/mnt/top").await, Err(Errno::EACCES));
        root.mount.fs.setattr(root.ino, &perm(0o700)).await.unwrap();
    }
}

#[tokio::test]
async fn a_working_directory_that_the_host_removes_or_closes_is_known_at_once() {
    let temp = host();
    let ns = machine(temp.path(), Calls::Auto).await;
    let found = walk(&ns, &ns.root(), "/mnt/a/b", WalkFlags::FOLLOW).await.unwrap().found().unwrap();
    let (cwd, _pin) = (found.location.clone(), found.location.pin());
    let b = temp.path().join("a/b");
    let file = async || Ok(walk(&ns, &cwd, "file", WalkFlags::FOLLOW).await?.found()?.attr.size);
    assert_eq!(file().await, Ok(2));
    std::fs::set_permissions(&b, PermissionsExt::from_mode(0o600)).unwrap();
    a_moment();
    assert_eq!(file().await, Err(Errno::EACCES));
    std::fs::set_permissions(&b, PermissionsExt::from_mode(0o700)).unwrap();
    // It is held open: it goes along when it is moved.
    std::fs::rename(&b, temp.path().join("elsewhere")).unwrap();
    assert_eq!(file().await, Ok(2));
    std::fs::remove_dir_all(temp.path().join("elsewhere")).unwrap();
    assert_eq!(file().await, Err(Errno::ENOENT));
}
