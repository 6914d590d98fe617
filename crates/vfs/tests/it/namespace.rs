//! Path walking and mounts, with the rules of Linux path_resolution(7).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use agentos_vfs::{
    Access, Attr, DirEntry, Errno, FileSystem, FileType, FsStat, GuestPath, Ino, Link, Location,
    MountOptions, Name, Namespace, NewNode, OpenFile, PathError, RenameFlags, Reply, Resolved, Result,
    SetAttr, Tree, WalkContext, WalkFlags,
};
use proptest::prelude::*;

use crate::script::{Script, wait};

/// A namespace over a tree that a script made.
fn make(setup: &str) -> (Namespace, Tree) {
    let tree = Tree::new();
    Script::new(Arc::new(tree.clone())).check(setup);
    (Namespace::new(Arc::new(tree.clone())), tree)
}

fn walk(ns: &Namespace, cwd: &Location, path: &str, flags: WalkFlags) -> Result<Resolved> {
    let root = ns.root();
    let cx = WalkContext { root: Some(&root), cwd, pid: 1, now_only: false, may_search: &|_| Ok(()) };
    wait(ns.resolve(&cx, path.as_bytes(), flags))
}

/// What a path leads to: its canonical path, `?` before it when it is missing, or the error.
fn shown(ns: &Namespace, cwd: &Location, path: &str, flags: WalkFlags) -> String {
    let resolved = match walk(ns, cwd, path, flags) {
        Ok(resolved) => resolved,
        Err(errno) => return errno.name().to_owned(),
    };
    let mark = if matches!(resolved, Resolved::Missing(_)) { "?" } else { "" };
    let slash = if resolved.trailing_slash() { "/" } else { "" };
    let path = wait(resolved.path(ns)).unwrap().unwrap();
    format!("{mark}{}{slash}", String::from_utf8_lossy(&path))
}

fn at(ns: &Namespace, path: &str) -> Location {
    walk(ns, &ns.root(), path, WalkFlags::FOLLOW).unwrap().found().unwrap().location
}

#[track_caller]
fn check(ns: &Namespace, cwd: &str, flags: WalkFlags, cases: &[(&str, &str)]) {
    let cwd = at(ns, cwd);
    for (path, expected) in cases {
        assert_eq!(shown(ns, &cwd, path, flags), *expected, "{path}");
    }
}

const SETUP: &str = "mkdir /a; mkdir /a/b; file /a/b/f text; file /f; symlink /a/b /abs; symlink a/b /rel; \
    symlink ../f /a/up; symlink nowhere /dangling; symlink loop /loop; symlink f/ /slash; symlink a/ /dirslash";

#[test]
fn paths() {
    let (ns, _) = make(SETUP);
    let long = "n".repeat(256);
    let far = "/a".repeat(2048);
    let fits = format!("/{}", "/".repeat(4094));
    let cases = [
        ("", "ENOENT"),
        ("/", "//"),
        ("///", "//"),
        (".", "/"),
        ("..", "/"),
        ("../../..", "/"),
        ("/a", "/a"),
        ("a/", "/a/"),
        ("/a//b/./f", "/a/b/f"),
        ("/a/b/..", "/a"),
        ("/a/b/../../f", "/f"),
        ("/a/./", "/a/"),
        ("/f/", "ENOTDIR"),
        ("/f/x", "ENOTDIR"),
        ("/f/..", "ENOTDIR"),
        ("/f/.", "ENOTDIR"),
        ("/x", "?/x"),
        ("/x/", "?/x/"),
        ("/x/y", "ENOENT"),
        ("/x/..", "ENOENT"),
        ("/a/x", "?/a/x"),
        ("/abs/f", "/a/b/f"),
        ("/rel/f", "/a/b/f"),
        ("/abs", "/a/b"),
        ("/rel/", "/a/b/"),
        ("/rel/..", "/a"),
        ("/rel/../up", "/f"),
        ("/a/up", "/f"),
        ("/dangling", "?/nowhere"),
        ("/dangling/x", "ENOENT"),
        ("/loop", "ELOOP"),
        ("/loop/x", "ELOOP"),
        ("/slash", "ENOTDIR"),
        ("/dirslash", "/a/"),
        ("/dirslash/b", "/a/b"),
        (&*long, "ENAMETOOLONG"),
        (&*far, "ENAMETOOLONG"),
        (&*fits, "//"),
        ("/a\0b", "EINVAL"),
    ];
    check(&ns, "/", WalkFlags::FOLLOW, &cases);
}

#[test]
fn the_last_link_stays_unless_followed() {
    let (ns, _) = make(SETUP);
    let cases = [
        ("/abs", "/abs"),
        ("/abs/", "/a/b/"),
        ("/abs/.", "/a/b"),
        ("/rel/f", "/a/b/f"),
        ("/dangling", "/dangling"),
        ("/dangling/", "?/nowhere/"),
        ("/loop", "/loop"),
        ("/loop/", "ELOOP"),
        ("/slash", "/slash"),
    ];
    check(&ns, "/", WalkFlags::NO_FOLLOW, &cases);
}

#[test]
fn relative_paths_begin_at_the_working_directory() {
    let (ns, tree) = make(SETUP);
    let cases = [
        ("f", "/a/b/f"),
        ("..", "/a"),
        ("../up", "/f"),
        ("../../f", "/f"),
        ("/f", "/f"),
        ("../../../..", "/"),
    ];
    check(&ns, "/a/b", WalkFlags::FOLLOW, &cases);
    let cwd = at(&ns, "/a/b");
    Script::new(Arc::new(tree.clone())).check("mv /a/b /z; mkdir /a/b");
    assert_eq!(wait(ns.path_of(&cwd)).unwrap(), b"/z");
    assert_eq!(shown(&ns, &cwd, "..", WalkFlags::FOLLOW), "/");
    Script::new(Arc::new(tree)).check("unlink /z/f; rmdir /z");
    assert_eq!(wait(ns.path_of(&cwd)), Err(Errno::ENOENT));
    assert_eq!(shown(&ns, &cwd, "x", WalkFlags::FOLLOW), "ENOENT");
}

#[test]
fn forty_links_and_no_more() {
    let mut setup = "file /l0".to_owned();
    for n in 1..=41 {
        setup += &format!("; symlink l{} /l{n}", n - 1);
    }
    let (ns, _) = make(&setup);
    check(&ns, "/", WalkFlags::FOLLOW, &[("/l40", "/l0"), ("/l41", "ELOOP")]);
}

#[test]
fn search_permission_is_asked_at_every_directory() {
    let (ns, tree) = make("mkdir /a; mkdir /a/b; file /a/b/f; symlink /a/b/f /l");
    // Where a quick descent ends, the same directory is asked for again.
    let asked = Mutex::new(BTreeSet::new());
    let may_search = |attr: &Attr| {
        asked.lock().unwrap().insert(attr.ino);
        if attr.perm & 0o100 == 0 { Err(Errno::EACCES) } else { Ok(()) }
    };
    let root = ns.root();
    let cx = WalkContext { root: Some(&root), cwd: &root, pid: 1, now_only: false, may_search: &may_search };
    assert!(wait(ns.resolve(&cx, b"/a/b/f", WalkFlags::FOLLOW)).is_ok());
    assert_eq!(std::mem::take(&mut *asked.lock().unwrap()).len(), 3);
    assert!(wait(ns.resolve(&cx, b"/l", WalkFlags::FOLLOW)).is_ok());
    assert_eq!(asked.lock().unwrap().len(), 3);
    Script::new(Arc::new(tree)).check("chmod /a 0o600");
    for path in ["/a/b", "/a/x", "/a/.", "/a/..", "/l"] {
        let error = wait(ns.resolve(&cx, path.as_bytes(), WalkFlags::FOLLOW)).err();
        assert_eq!(error, Some(Errno::EACCES), "{path}");
    }
    assert!(wait(ns.resolve(&cx, b"/a", WalkFlags::FOLLOW)).is_ok());
    assert!(wait(ns.resolve(&cx, b"/a/", WalkFlags::FOLLOW)).is_ok());
}

#[test]
fn beneath_nothing_leads_out() {
    let (ns, _) = make(
        "mkdir /d; mkdir /d/e; file /d/f; file /out; symlink /out /d/abs; symlink ../out /d/up; symlink e/../f /d/ok; \
         symlink ../f /d/e/ok",
    );
    let flags = WalkFlags { follow_last: true, beneath: true, name_only: false };
    let cases = [
        ("f", "/d/f"),
        ("e/../f", "/d/f"),
        ("ok", "/d/f"),
        ("e/ok", "/d/f"),
        (".", "/d"),
        ("..", "EPERM"),
        ("e/../..", "EPERM"),
        ("/d/f", "EPERM"),
        ("abs", "EPERM"),
        ("up", "EPERM"),
        ("e/../../d/f", "EPERM"),
    ];
    check(&ns, "/d", flags, &cases);
    assert_eq!(
        shown(&ns, &at(&ns, "/d"), "abs", WalkFlags { follow_last: false, beneath: true, name_only: false }),
        "/d/abs"
    );
}

#[test]
fn a_process_root_is_the_end_of_the_way_up() {
    let (ns, _) = make("mkdir /jail; mkdir /jail/d; file /f; symlink /f /jail/l; file /jail/f");
    let root = at(&ns, "/jail");
    let cwd = at(&ns, "/jail/d");
    let cx = WalkContext { root: Some(&root), cwd: &cwd, pid: 1, now_only: false, may_search: &|_| Ok(()) };
    for path in ["/../f", "../../../f", "/l", "/f"] {
        let found = wait(ns.resolve(&cx, path.as_bytes(), WalkFlags::FOLLOW)).unwrap();
        assert_eq!(wait(found.path(&ns)).unwrap().unwrap(), b"/jail/f", "{path}");
    }
    assert_eq!(wait(ns.path_from(&root, &cwd)).unwrap(), b"/d");
    assert_eq!(wait(ns.path_from(&root, &root)).unwrap(), b"/");
    assert_eq!(wait(ns.path_from(&cwd, &root)), Err(Errno::ENOENT));
}

fn path(text: &str) -> GuestPath {
    GuestPath::new(text).unwrap()
}

fn mount(ns: &Namespace, at: &str, setup: &str) -> Tree {
    let tree = Tree::new();
    Script::new(Arc::new(tree.clone())).check(setup);
    wait(ns.mount(&path(at), Arc::new(tree.clone()), MountOptions::default())).unwrap();
    tree
}

#[test]
fn mounts_are_crossed_both_ways() {
    let (ns, _) = make("mkdir /m; file /m/covered; file /f; mkdir /n");
    mount(&ns, "/m", "mkdir /in; file /g; symlink /f /abs; symlink ../f /up");
    mount(&ns, "/m/in", "file /deep");
    let cases = [
        ("/m/g", "/m/g"),
        ("/m/covered", "?/m/covered"),
        ("/m/in/deep", "/m/in/deep"),
        ("/m/in/..", "/m"),
        ("/m/in/../..", "/"),
        ("/m/in/../../f", "/f"),
        ("/m/abs", "/f"),
        ("/m/up", "/f"),
        ("/m/.", "/m"),
        ("/m/", "/m/"),
    ];
    check(&ns, "/", WalkFlags::FOLLOW, &cases);
    check(
        &ns,
        "/m/in",
        WalkFlags::FOLLOW,
        &[("..", "/m"), ("../g", "/m/g"), ("../..", "/"), ("deep", "/m/in/deep")],
    );
    let found = walk(&ns, &ns.root(), "/m", WalkFlags::FOLLOW).unwrap().found().unwrap();
    assert!(found.is_mount_point() && ns.is_mount_point(&found.location));
    assert!(!ns.is_mount_point(&at(&ns, "/n")) && !ns.is_mount_point(&ns.root()));
}

#[test]
fn mounts_cover_and_uncover() {
    let (ns, _) = make("mkdir /m; file /m/one; symlink m /l; file /f");
    mount(&ns, "/l", "file /two");
    mount(&ns, "/m", "file /three");
    check(&ns, "/", WalkFlags::FOLLOW, &[("/m/three", "/m/three"), ("/m/two", "?/m/two")]);
    ns.unmount(&path("/m")).unwrap();
    check(&ns, "/", WalkFlags::FOLLOW, &[("/m/two", "/m/two")]);
    ns.unmount(&path("/l")).unwrap();
    check(&ns, "/", WalkFlags::FOLLOW, &[("/m/one", "/m/one")]);
    assert_eq!(ns.unmount(&path("/m")), Err(Errno::EINVAL));
    assert_eq!(ns.unmount(&path("/")), Err(Errno::EINVAL));
    let fs = || Arc::new(Tree::new());
    let mount = |at: &str| wait(ns.mount(&path(at), fs(), MountOptions::default())).err();
    assert_eq!(mount("/missing"), Some(Errno::ENOENT));
    assert_eq!(mount("/f"), Some(Errno::ENOTDIR));
}

#[test]
fn busy_mounts_stay() {
    let (ns, _) = make("mkdir /m");
    mount(&ns, "/m", "mkdir /n; file /f");
    let cwd = at(&ns, "/m");
    assert_eq!(ns.unmount(&path("/m")), Err(Errno::EBUSY));
    drop(cwd);
    mount(&ns, "/m/n", "");
    assert_eq!(ns.unmount(&path("/m")), Err(Errno::EBUSY));
    ns.unmount(&path("/m/n")).unwrap();
    ns.unmount(&path("/m")).unwrap();
    assert_eq!(ns.unmount(&path("/m")), Err(Errno::EINVAL));
}

#[test]
fn what_is_detached_is_gone_with_all_that_is_mounted_in_it() {
    let (ns, _) = make("mkdir /m; mkdir /other; file /m/below");
    mount(&ns, "/m", "mkdir /n; file /f");
    mount(&ns, "/other", "file /stays");
    mount(&ns, "/m/n", "mkdir /deep");
    mount(&ns, "/m/n/deep", "file /g");
    let cwd = at(&ns, "/m/n/deep");
    let (_, inside) = ns.mounted_at(&path("/m")).unwrap();
    assert_eq!(inside, [path("/m/n"), path("/m/n/deep")]);
    ns.detach(&path("/m")).unwrap();
    assert_eq!(wait(cwd.getattr()).unwrap().kind, FileType::Directory);
    check(&ns, "/", WalkFlags::FOLLOW, &[("/m/below", "/m/below"), ("/other/stays", "/other/stays")]);
    assert_eq!(ns.list().len(), 2);
    assert_eq!(ns.detach(&path("/m/n")), Err(Errno::EINVAL));
    assert_eq!(ns.detach(&path("/")), Err(Errno::EINVAL));
}

#[test]
fn the_root_can_be_covered() {
    let (ns, _) = make("file /old");
    mount(&ns, "/", "file /new; mkdir /d");
    check(&ns, "/", WalkFlags::FOLLOW, &[("/new", "/new"), ("/old", "?/old"), ("/d/..", "/"), ("..", "/")]);
    assert_eq!(wait(ns.path_of(&at(&ns, "/d"))).unwrap(), b"/d");
    ns.unmount(&path("/")).unwrap();
    check(&ns, "/", WalkFlags::FOLLOW, &[("/old", "/old")]);
}

#[test]
fn options_are_shown() {
    let (ns, _) = make("mkdir /m");
    let options = MountOptions { source: "disk".to_owned(), read_only: true };
    let mount = wait(ns.mount(&path("/m"), Arc::new(Tree::new()), options)).unwrap();
    assert!(mount.is_read_only());
    assert_eq!(
        (mount.source.as_str(), mount.path.as_bytes(), mount.fs.type_name()),
        ("disk", &b"/m"[..], "tmpfs")
    );
    assert_eq!(ns.list()[0].source, "tmpfs");
    assert!(!ns.list()[0].is_read_only());
}

#[test]
fn the_number_of_mounts_is_bounded() {
    let (ns, tree) = make("");
    for n in 1..agentos_vfs::namespace::MAX_MOUNTS {
        tree.mkdir_p(format!("/{n}"), 0, 0).unwrap();
        mount(&ns, &format!("/{n}"), "");
    }
    tree.mkdir_p("/more", 0, 0).unwrap();
    let result = wait(ns.mount(&path("/more"), Arc::new(Tree::new()), MountOptions::default()));
    assert_eq!(result.err(), Some(Errno::ENOSPC));
}

#[test]
fn a_walk_in_memory_is_ready_at_the_first_poll() {
    let (ns, _) = make(SETUP);
    let root = ns.root();
    let cx = WalkContext { root: Some(&root), cwd: &root, pid: 1, now_only: false, may_search: &|_| Ok(()) };
    let walk = std::pin::pin!(ns.resolve(&cx, b"/rel/../b/f", WalkFlags::FOLLOW));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::future::Future::poll(walk, &mut context).is_ready());
}

/// `/proc` in small: a directory whose every name is a link to descriptor 3 of the asking process.
struct Magic;

fn attr(ino: Ino, kind: FileType) -> Attr {
    let zero = Default::default();
    let (perm, nlink) = (0o555, 1);
    let (uid, gid, rdev, size, blocks) = (0, 0, 0, 0, 0);
    Attr {
        ino,
        kind,
        perm,
        nlink,
        uid,
        gid,
        rdev,
        size,
        blocks,
        atime: zero,
        mtime: zero,
        ctime: zero,
        btime: zero,
    }
}

impl FileSystem for Magic {
    fn type_name(&self) -> &str {
        "proc"
    }
    fn root(&self) -> Ino {
        1
    }
    fn lookup(&self, _: Ino, _: &Name) -> Reply<'_, Attr> {
        Reply::later(async { Ok(attr(2, FileType::Symlink)) })
    }
    fn parent(&self, _: Ino) -> Reply<'_, Ino> {
        Reply::Now(Ok(1))
    }
    fn getattr(&self, ino: Ino) -> Reply<'_, Attr> {
        Reply::Now(Ok(attr(ino, FileType::Directory)))
    }
    fn setattr(&self, _: Ino, _: &SetAttr) -> Reply<'_, Attr> {
        Reply::Now(Err(Errno::EPERM))
    }
    fn readlink(&self, _: Ino, pid: u32) -> Reply<'_, Link> {
        Reply::Now(Ok(Link::Descriptor { pid, fd: 3, shown: b"pipe:[1]".to_vec() }))
    }
    fn create(&self, _: Ino, _: &Name, _: &NewNode) -> Reply<'_, Attr> {
        Reply::Now(Err(Errno::EPERM))
    }
    fn link(&self, _: Ino, _: Ino, _: &Name) -> Reply<'_, Attr> {
        Reply::Now(Err(Errno::EPERM))
    }
    fn unlink(&self, _: Ino, _: &Name) -> Reply<'_, ()> {
        Reply::Now(Err(Errno::EPERM))
    }
    fn rmdir(&self, _: Ino, _: &Name) -> Reply<'_, ()> {
        Reply::Now(Err(Errno::EPERM))
    }
    fn rename(&self, _: Ino, _: &Name, _: Ino, _: &Name, _: RenameFlags) -> Reply<'_, ()> {
        Reply::Now(Err(Errno::EPERM))
    }
    fn readdir(&self, _: Ino) -> Reply<'_, Vec<DirEntry>> {
        Reply::Now(Ok(vec![DirEntry { ino: 2, kind: FileType::Symlink, name: (*b"fd").into() }]))
    }
    fn open(&self, _: Ino, _: Access) -> Reply<'_, Arc<dyn OpenFile>> {
        Reply::Now(Err(Errno::ENXIO))
    }
    fn statfs(&self) -> Reply<'_, FsStat> {
        Reply::Now(Ok(FsStat::default()))
    }
}

#[test]
fn links_to_descriptors_end_the_walk() {
    let (ns, _) = make("mkdir /proc; symlink /proc/fd /stdin");
    wait(ns.mount(&path("/proc"), Arc::new(Magic), MountOptions::default())).unwrap();
    let root = ns.root();
    let cx = WalkContext { root: Some(&root), cwd: &root, pid: 42, now_only: false, may_search: &|_| Ok(()) };
    let resolve = |path: &str, flags| wait(ns.resolve(&cx, path.as_bytes(), flags)).unwrap();
    let cases = [
        ("/stdin", "", false),
        ("/proc/fd", "", false),
        ("/proc/fd/x/y", "x/y", false),
        ("/proc/fd/", "", true),
    ];
    for (path, rest, slash) in cases {
        let Resolved::Descriptor(link) = resolve(path, WalkFlags::FOLLOW) else { panic!("{path}") };
        assert_eq!((link.pid, link.fd, &link.rest[..], link.trailing_slash), (42, 3, rest.as_bytes(), slash));
    }
    assert!(matches!(resolve("/proc/fd", WalkFlags::NO_FOLLOW), Resolved::Found(_)));
    let flags = WalkFlags { follow_last: true, beneath: true, name_only: false };
    assert_eq!(wait(ns.resolve(&cx, b"proc/fd", flags)).err(), Some(Errno::EPERM));
}

#[test]
fn guest_paths() {
    let cases = [
        ("/", "/"),
        ("//", "/"),
        ("/a/", "/a"),
        ("/a/../..", "/"),
        ("/a/./b//c", "/a/b/c"),
        ("/...", "/..."),
    ];
    for (given, normal) in cases {
        assert_eq!(path(given).as_bytes(), normal.as_bytes(), "{given}");
        assert_eq!(GuestPath::strict(given).is_ok(), given == normal, "{given}");
    }
    assert!(matches!(GuestPath::new("a"), Err(PathError::NotAbsolute { .. })));
    assert!(matches!(GuestPath::new(""), Err(PathError::NotAbsolute { .. })));
    assert!(matches!(GuestPath::new("/a\0"), Err(PathError::Nul { at: 2 })));
    assert!(matches!(
        GuestPath::new(format!("/{}", "a".repeat(256))),
        Err(PathError::ComponentTooLong { len: 256 })
    ));
    assert!(matches!(GuestPath::new("/a".repeat(2048)), Err(PathError::TooLong { len: 4096 })));
    assert_eq!(path("/a/b").parent(), Some(path("/a")));
    assert_eq!(path("/a").parent(), Some(path("/")));
    assert_eq!(path("/").parent(), None);
    assert_eq!(path("/a/b").file_name(), Some(&b"b"[..]));
    assert_eq!(path("/a").join("../b/./c").unwrap(), path("/b/c"));
    assert!(path("/a/b").starts_with(&path("/a")) && path("/a").starts_with(&path("/")));
    assert!(!path("/ab").starts_with(&path("/a")) && !path("/").starts_with(&path("/a")));
}

proptest! {
    #[test]
    fn normalised_paths_are_normal(text in "[/.a\u{e9}]{0,40}") {
        let text = format!("/{text}");
        let normal = GuestPath::new(&text).unwrap();
        let bytes = normal.as_bytes();
        prop_assert_eq!(bytes[0], b'/');
        prop_assert!(bytes.len() == 1 || !bytes.ends_with(b"/"));
        prop_assert!(normal.components().all(|part| !part.is_empty() && part != b"." && part != b".."));
        prop_assert_eq!(GuestPath::strict(bytes).unwrap(), normal.clone());
        // It is what a walk finds where there are no links.
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let expected = format!("/{}", parts.join("/"));
        prop_assert_eq!(bytes, expected.as_bytes());
    }

    #[test]
    fn any_bytes_are_a_path_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = GuestPath::new(&bytes);
        let (ns, _) = make(SETUP);
        let root = ns.root();
        let cx = WalkContext { root: Some(&root), cwd: &root, pid: 1, now_only: false, may_search: &|_| Ok(()) };
        let _ = wait(ns.resolve(&cx, &bytes, WalkFlags::FOLLOW));
    }
}
