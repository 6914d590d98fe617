//! Restoring a layer in a tree in which files are open.

use std::sync::Arc;

use agentos_vfs::{Access, Errno, FileSystem, FileType, Ino, InodePin, OpenFile, Tree};
use proptest::prelude::*;

use crate::layer::{dump, run};
use crate::ops::op;
use crate::script::{Script, wait};

/// What is held open and pinned.
type Held = (Vec<Arc<dyn OpenFile>>, Vec<(Ino, InodePin)>);

/// Holds every inode: files open, the rest pinned.
fn hold_all(tree: &Tree) -> Held {
    let (mut files, mut pins) = (Vec::new(), Vec::new());
    let mut todo = vec![tree.root()];
    while let Some(ino) = todo.pop() {
        match wait(tree.getattr(ino)).unwrap().kind {
            FileType::Regular => {
                files.push(wait(tree.open(ino, Access { read: true, write: true })).unwrap());
            }
            FileType::Directory => {
                pins.push((ino, tree.pin(ino)));
                todo.extend(wait(tree.readdir(ino)).unwrap().iter().map(|entry| entry.ino));
            }
            _ => pins.push((ino, tree.pin(ino))),
        }
    }
    (files, pins)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_restored_tree_is_the_layer_and_its_accounts_are_exact(
        before in prop::collection::vec(op(), 0..40),
        between in prop::collection::vec(op(), 0..25),
        after in prop::collection::vec(op(), 0..25),
        later in prop::collection::vec(op(), 0..25),
        hold in prop::array::uniform3(any::<bool>()),
    ) {
        let tree = Tree::new();
        run(&tree, &before);
        let mut held = Vec::new();
        held.extend(hold[0].then(|| hold_all(&tree)));
        run(&tree, &between);
        let layer = tree.freeze();
        held.extend(hold[1].then(|| hold_all(&tree)));
        run(&tree, &after);
        held.extend(hold[2].then(|| hold_all(&tree)));
        let newer = tree.freeze();

        tree.restore(&layer);
        tree.fsck().unwrap();
        prop_assert_eq!(dump(&tree.freeze()), dump(&layer));
        prop_assert_eq!(layer.only_here(&tree.freeze()), 0);
        // Whatever was open can be used on, and new files are not mistaken for it.
        for (files, _) in &held {
            for file in files {
                let mut buf = [0; 8];
                wait(file.read_at(&mut buf, 0)).unwrap();
                wait(file.getattr()).unwrap();
            }
        }
        run(&tree, &later);
        tree.fsck().unwrap();
        tree.restore(&newer);
        tree.fsck().unwrap();
        prop_assert_eq!(dump(&tree.freeze()), dump(&newer));
        tree.restore(&layer);
        for (files, _) in &held {
            for file in files {
                let _ = wait(file.write_at(b"written", 3));
            }
        }
        tree.fsck().unwrap();
        tree.restore(&layer);
        drop(held);
        tree.fsck().unwrap();
        prop_assert_eq!(tree.usage(), layer.usage());
        prop_assert_eq!(dump(&tree.freeze()), dump(&layer));
    }
}

#[test]
fn open_files_show_what_was_or_are_unlinked() {
    let tree = Tree::new();
    let mut script = Script::new(Arc::new(tree.clone()));
    script.check("mkdir /d; file /d/kept old; file /gone abc; open g /gone rw; unlink /gone; file /back xyz");
    let layer = tree.freeze();
    script.check("open k /d/kept rw; write /d/kept 0 new; open b /back rw; unlink /back");
    script.check("mkdir /d/late; file /d/late/f 123; open l /d/late/f rw");
    tree.restore(&layer);
    script.check("read k => old; read b => xyz; read /back => xyz; read l => 123; read g => abc");
    script.check("write k 0 NEW; read /d/kept => NEW; write l 0 9; read l => 923; ls /d => kept");
    script.check("close l; close b; close k; close g");
    tree.fsck().unwrap();
    assert_eq!(tree.usage(), layer.usage());
}

#[test]
fn a_directory_that_is_not_in_the_layer_is_removed_under_who_works_in_it() {
    let tree = Tree::new();
    let mut script = Script::new(Arc::new(tree.clone()));
    script.check("mkdir /a; file /a/f 1");
    let layer = tree.freeze();
    script.check("mkdir /new; mv /a/f /new/f; mkdir /new/below");
    let ino = tree.ino_at("/new").unwrap();
    let pin = tree.pin(ino);
    tree.restore(&layer);
    tree.fsck().unwrap();
    script.check("read /a/f => 1; ls / => a/");
    let attr = wait(tree.getattr(ino)).unwrap();
    assert_eq!((attr.kind, attr.nlink), (FileType::Directory, 0));
    assert!(wait(tree.readdir(ino)).unwrap().is_empty());
    assert_eq!(wait(tree.lookup(ino, b"f")), Err(Errno::ENOENT));
    let node = agentos_vfs::NewNode { kind: agentos_vfs::NewKind::Regular, perm: 0o644, uid: 0, gid: 0 };
    assert_eq!(wait(tree.create(ino, b"x", &node)), Err(Errno::ENOENT));
    script.check("mkdir /new");
    assert_ne!(tree.ino_at("/new").unwrap(), ino);
    drop(pin);
    assert_eq!(wait(tree.getattr(ino)), Err(Errno::ENOENT));
    tree.fsck().unwrap();
}

#[test]
fn copies_are_of_one_line_and_others_are_not() {
    let tree = Tree::new();
    tree.put_file("/f", 0o644, 0, 0, "1").unwrap();
    let layer = tree.freeze();
    let copy = tree.copy();
    assert_eq!(copy.line(), tree.line());
    assert_ne!(Tree::from_layer(&layer).line(), tree.line());
    copy.put_file("/f", 0o644, 0, 0, "2").unwrap();
    copy.restore(&layer);
    assert_eq!(copy.read_file("/f").unwrap(), b"1");
    tree.seal();
    assert!(tree.copy().read_only());
}

#[test]
fn what_a_layer_keeps_for_itself_is_counted_by_the_chunk() {
    let tree = Tree::new();
    let mut script = Script::new(Arc::new(tree.clone()));
    script.check("create /f; fill /f 0 1000000; create /g; fill /g 0 300000");
    let first = tree.freeze();
    assert_eq!(first.only_here(&tree.freeze()), 0);
    script.check("write /f 0 x");
    let second = tree.freeze();
    let one_chunk = first.only_here(&second);
    assert!((65_536..70_000).contains(&one_chunk), "{one_chunk}");
    script.check("unlink /g");
    let third = second.only_here(&tree.freeze());
    assert!((300_000..310_000).contains(&third), "{third}");
}
