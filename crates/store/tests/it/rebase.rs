//! A store whose base is another one than last time, as after an upgrade.

use agentos_store::{Place, Root};
use agentos_vfs::{Access, FileSystem, Layer, SetAttr, Tree};

use crate::work::{self, listing, now};

fn old_base() -> Tree {
    let tree = Tree::new();
    tree.put_file("/bin/ls", 0o755, 0, 0, "ls 1").unwrap();
    tree.put_file("/bin/gone", 0o755, 0, 0, "gone 1").unwrap();
    tree.put_file("/bin/moved", 0o755, 0, 0, "moved 1").unwrap();
    tree.put_file("/bin/read", 0o755, 0, 0, "read 1").unwrap();
    tree.put_file("/etc/motd", 0o644, 0, 0, "motd 1").unwrap();
    tree.put_file("/etc/issue", 0o644, 0, 0, "issue 1").unwrap();
    tree.put_file("/usr/share/old/data", 0o644, 0, 0, "data 1").unwrap();
    tree.put_dir("/home/user", 0o755, 1000, 1000).unwrap();
    tree
}

fn new_base() -> Tree {
    let tree = Tree::new();
    tree.put_file("/etc/issue", 0o644, 0, 0, "issue 2").unwrap();
    tree.put_file("/bin/new", 0o755, 0, 0, "new 2").unwrap();
    tree.put_file("/bin/ls", 0o755, 0, 0, "ls 2").unwrap();
    tree.put_file("/bin/moved", 0o755, 0, 0, "moved 2").unwrap();
    tree.put_file("/bin/read", 0o700, 0, 0, "read 2").unwrap();
    tree.put_file("/etc/motd", 0o644, 0, 0, "motd 2").unwrap();
    tree.put_dir("/home/user", 0o755, 1000, 1000).unwrap();
    tree
}

fn rename(tree: &Tree, from: &str, to: &str) {
    let place = |path: &str| {
        let (dir, name) = path.rsplit_once('/').unwrap();
        (tree.ino_at(dir).unwrap(), name.as_bytes().to_vec())
    };
    let ((from_dir, from), (to_dir, to)) = (place(from), place(to));
    now(tree.rename(from_dir, &from, to_dir, &to, Default::default())).unwrap();
}

#[test]
fn changes_are_carried_and_the_new_programs_are_there() {
    let scratch = tempfile::tempdir().unwrap();
    for place in [Place::Directory(scratch.path().join("s")), Place::Sqlite(scratch.path().join("s.db"))] {
        let mut root = Root::open(&place, &old_base().freeze()).unwrap();
        let tree = Tree::from_layer(root.layer());
        // Own files, also where the new base has no directory.
        tree.put_file("/home/user/mine", 0o600, 1000, 1000, "mine").unwrap();
        tree.put_link("/home/user/again", "/home/user/mine").unwrap();
        tree.put_file("/usr/share/old/own/deep", 0o600, 1000, 1000, "deep").unwrap();
        // Changed, removed, moved, read, given other attributes.
        tree.put_file("/etc/motd", 0o644, 0, 0, "motd of mine").unwrap();
        now(tree.unlink(tree.ino_at("/etc").unwrap(), b"issue")).unwrap();
        rename(&tree, "/bin/moved", "/home/user/moved");
        let read =
            now(tree.open(tree.ino_at("/bin/read").unwrap(), Access { read: true, write: false })).unwrap();
        now(read.read_at(&mut [0; 4], 0)).unwrap();
        for path in ["/bin/ls", "/bin/gone"] {
            let change = SetAttr { perm: Some(0o711), ..SetAttr::default() };
            now(tree.setattr(tree.ino_at(path).unwrap(), &change)).unwrap();
        }
        root.commit(&tree.freeze()).unwrap();
        let sequence = root.sequence();
        drop(root);

        let base = new_base().freeze();
        let root = Root::open(&place, &base).unwrap();
        assert_eq!(root.lost(), [b"/bin/gone".to_vec()]);
        assert!(root.sequence() > sequence);
        let tree = Tree::from_layer(root.layer());
        tree.fsck().unwrap();
        let text = |path: &str| tree.read_file(path).map(|bytes| String::from_utf8(bytes).unwrap());
        let perm = |path: &str| now(tree.getattr(tree.ino_at(path).unwrap())).unwrap().perm;
        assert_eq!(text("/home/user/mine").unwrap(), "mine");
        assert_eq!(tree.ino_at("/home/user/again"), tree.ino_at("/home/user/mine"));
        assert_eq!(text("/usr/share/old/own/deep").unwrap(), "deep");
        assert_eq!(text("/etc/motd").unwrap(), "motd of mine");
        text("/etc/issue").unwrap_err();
        assert_eq!(text("/home/user/moved").unwrap(), "moved 2");
        text("/bin/moved").unwrap_err();
        assert_eq!((text("/bin/read").unwrap().as_str(), perm("/bin/read")), ("read 2", 0o700));
        assert_eq!((text("/bin/ls").unwrap().as_str(), perm("/bin/ls")), ("ls 2", 0o711));
        text("/bin/gone").unwrap_err();
        text("/usr/share/old/data").unwrap_err();
        assert_eq!(text("/bin/new").unwrap(), "new 2");

        // From then on it is a store of the new base.
        let (kept, sequence) = (listing(&tree), root.sequence());
        drop(root);
        let root = Root::open(&place, &base).unwrap();
        assert_eq!((listing(&Tree::from_layer(root.layer())), root.sequence()), (kept, sequence));
    }
}

#[test]
fn a_base_of_the_same_shape_only_brings_other_bytes() {
    let scratch = tempfile::tempdir().unwrap();
    let place = Place::Directory(scratch.path().join("s"));
    let base = |content: &str| {
        let tree = Tree::new();
        tree.put_file("/bin/tool", 0o755, 0, 0, content.to_owned()).unwrap();
        tree.freeze()
    };
    let mut root = Root::open(&place, &base("one")).unwrap();
    let tree = Tree::from_layer(root.layer());
    tree.put_file("/mine", 0o644, 0, 0, "mine").unwrap();
    let change = SetAttr { uid: Some(3), ..SetAttr::default() };
    now(tree.setattr(tree.ino_at("/bin/tool").unwrap(), &change)).unwrap();
    root.commit(&tree.freeze()).unwrap();
    let sequence = root.sequence();
    drop(root);
    let root = Root::open(&place, &base("another")).unwrap();
    assert_eq!(root.sequence(), sequence);
    let tree = Tree::from_layer(root.layer());
    assert_eq!(tree.read_file("/bin/tool").unwrap(), b"another");
    assert_eq!(tree.read_file("/mine").unwrap(), b"mine");
}

/// A link goes with the file it leads to, whatever the new base has in its place.
#[test]
fn a_link_to_a_lost_file_is_lost() {
    let scratch = tempfile::tempdir().unwrap();
    let place = Place::Directory(scratch.path().join("s"));
    let mut root = Root::open(&place, &old_base().freeze()).unwrap();
    let tree = Tree::from_layer(root.layer());
    tree.put_link("/home/user/ls", "/bin/ls").unwrap();
    // Moved into a directory that is another one now.
    rename(&tree, "/etc", "/home/user/etc");
    tree.put_dir("/etc", 0o755, 0, 0).unwrap();
    rename(&tree, "/bin/gone", "/etc/motd");
    tree.put_link("/home/user/motd", "/etc/motd").unwrap();
    root.commit(&tree.freeze()).unwrap();
    drop(root);

    let base = Tree::new();
    base.put_file("/bin/ls/main", 0o755, 0, 0, "ls 2").unwrap();
    base.put_file("/etc/motd", 0o644, 0, 0, "motd 2").unwrap();
    let root = Root::open(&place, &base.freeze()).unwrap();
    let tree = Tree::from_layer(root.layer());
    tree.fsck().unwrap();
    assert_eq!(tree.read_file("/bin/ls/main").unwrap(), b"ls 2");
    for path in ["/home/user/ls", "/home/user/motd"] {
        tree.ino_at(path).unwrap_err();
        assert!(root.lost().contains(&path.as_bytes().to_vec()));
    }
}

/// Whatever was done to a base, it can be carried to any other, and what was made stays.
#[test]
fn random_work_is_carried() {
    let bases: [Layer; 3] = [work::base(), old_base().freeze(), new_base().freeze()];
    for seed in 0..30u64 {
        let scratch = tempfile::tempdir().unwrap();
        let place = Place::Directory(scratch.path().join("s"));
        for (turn, base) in bases.iter().cycle().take(5).enumerate() {
            let mut root = Root::open(&place, base).unwrap();
            let tree = Tree::from_layer(root.layer());
            tree.fsck().unwrap();
            for earlier in 0..turn {
                let kept = tree.read_file(format!("/kept/{earlier}")).unwrap();
                assert_eq!(kept, format!("{seed} {earlier}").into_bytes());
            }
            for number in 0..60 {
                work::step(&tree, (seed << 32) + ((turn as u64) << 16) + number);
            }
            tree.put_file(format!("/kept/{turn}"), 0o600, 1000, 1000, format!("{seed} {turn}")).unwrap();
            root.commit(&tree.freeze()).unwrap();
        }
    }
}
