//! What a restored tree counts against its limits is what it counted before.

use std::path::Path;

use agentos_store::{FileStore, Root};
use agentos_vfs::{Access, Errno, FileSystem, NewKind, NewNode, Tree, TreeLimits};

use crate::device::Device;
use crate::work::{base, now};

#[test]
fn a_full_tree_is_full_again() {
    let (device, path, base) = (Device::default(), Path::new("d"), base());
    let used = base.usage();
    let limits = TreeLimits { bytes: used.bytes + 100_000, inodes: used.inodes + 3 };
    let mut root = Root::on(FileStore::on(device.clone(), path).unwrap(), path, &base).unwrap();
    let tree = Tree::from_layer_with(root.layer(), limits);
    let node = NewNode { kind: NewKind::Regular, perm: 0o644, uid: 0, gid: 0 };
    let file = now(tree.create(tree.root(), b"full", &node)).unwrap();
    let open = now(tree.open(file.ino, Access { read: true, write: true })).unwrap();
    while now(open.append(&[1; 5000])).is_ok() {}
    root.commit(&tree.freeze()).unwrap();
    drop(root);

    let root = Root::on(FileStore::on(Device::holding(device.image()), path).unwrap(), path, &base).unwrap();
    let again = Tree::from_layer_with(root.layer(), limits);
    assert_eq!(again.usage(), tree.usage());
    let open = now(again.open(file.ino, Access { read: true, write: true })).unwrap();
    assert_eq!(now(open.append(&[1; 5000])), Err(Errno::ENOSPC));
    let more = (0..5).filter(|n| {
        let kind = NewKind::Fifo;
        now(again.create(again.root(), format!("{n}").as_bytes(), &NewNode { kind, ..node.clone() })).is_ok()
    });
    assert!(more.count() <= 2);
}
