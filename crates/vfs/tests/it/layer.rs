//! Freezing, forking and the difference of layers.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentos_vfs::layer::{Change, ChangeKind, LayerDiff, diff};
use agentos_vfs::{Attr, FileSystem, FileType, Ino, Layer, Link, Tree, TreeLimits};
use proptest::prelude::*;

use crate::ops::op;
use crate::script::{Script, wait};

/// Everything that can be seen of a tree: attributes but for numbers, content, and which paths are one inode.
pub type Dump = BTreeMap<String, (Attr, Vec<u8>, String)>;

pub fn dump(layer: &Layer) -> Dump {
    let tree = Tree::from_layer(layer);
    let mut all = BTreeMap::new();
    let mut first: BTreeMap<Ino, String> = BTreeMap::new();
    let mut todo = vec![("/".to_owned(), tree.root())];
    while let Some((path, ino)) = todo.pop() {
        let mut attr = wait(tree.getattr(ino)).unwrap();
        let content = match attr.kind {
            FileType::Directory => {
                for entry in wait(tree.readdir(ino)).unwrap().iter().rev() {
                    let name = String::from_utf8_lossy(&entry.name).into_owned();
                    todo.push((format!("{}/{name}", path.trim_end_matches('/')), entry.ino));
                }
                Vec::new()
            }
            FileType::Regular => tree.read_file(&path).unwrap(),
            FileType::Symlink => match wait(tree.readlink(ino, 0)).unwrap() {
                Link::Path(target) => target,
                Link::Descriptor { .. } | Link::Directory { .. } => unreachable!(),
            },
            _ => Vec::new(),
        };
        let group = first.entry(ino).or_insert(path.clone()).clone();
        attr.ino = 0;
        // Blocks follow from how a file was written.
        attr.blocks = 0;
        all.insert(path, (attr, content, group));
    }
    tree.fsck().unwrap();
    all
}

pub fn run(tree: &Tree, ops: &[String]) {
    let mut script = Script::new(Arc::new(tree.clone()));
    for op in ops {
        let _ = script.run(op);
    }
}

fn paths(diff: &LayerDiff) -> Vec<String> {
    let name = |change: &Change| {
        let mark = match &change.kind {
            ChangeKind::Removed => "-",
            ChangeKind::Directory { opaque: true, .. } => "!",
            ChangeKind::HardLink { .. } => "=",
            _ => "+",
        };
        format!("{mark}{}", String::from_utf8_lossy(&change.path))
    };
    diff.changes.iter().map(name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn apply_of_diff_gives_the_top(
        before in prop::collection::vec(op(), 0..40),
        after in prop::collection::vec(op(), 0..25),
    ) {
        let tree = Tree::new();
        run(&tree, &before);
        let base = tree.freeze();
        run(&tree, &after);
        let top = tree.freeze();
        tree.fsck().unwrap();
        prop_assert_eq!(dump(&diff(&base, &top).apply(&base).unwrap()), dump(&top));
        prop_assert_eq!(dump(&diff(&top, &base).apply(&top).unwrap()), dump(&base));
        prop_assert!(diff(&top, &top.clone()).is_empty());
    }

    #[test]
    fn layers_without_a_common_past_differ_rightly(
        one in prop::collection::vec(op(), 0..25),
        other in prop::collection::vec(op(), 0..25),
    ) {
        let (a, b) = (Tree::new(), Tree::new());
        run(&a, &one);
        run(&b, &other);
        let (a, b) = (a.freeze(), b.freeze());
        prop_assert_eq!(dump(&diff(&a, &b).apply(&a).unwrap()), dump(&b));
    }
}

#[test]
fn whiteouts_opaque_directories_and_links_are_told() {
    let tree = Tree::new();
    let mut script = Script::new(Arc::new(tree.clone()));
    script.check("mkdir /keep; file /keep/f; mkdir /new; file /new/old; mkdir /gone; file /gone/f; file /l");
    let base = tree.freeze();
    script.check(
        "unlink /new/old; rmdir /new; mkdir /new; file /new/f; unlink /gone/f; rmdir /gone; link /l /m",
    );
    let told = paths(&diff(&base, &tree.freeze()));
    assert_eq!(told, ["+/", "-/gone", "+/l", "=/m", "!/new", "+/new/f"]);
}

#[test]
fn only_what_changed_is_looked_at() {
    let tree = Tree::new();
    for n in 0..20_000 {
        tree.put_file(format!("/d{}/f{n}", n % 100), 0o644, 0, 0, "x").unwrap();
    }
    let base = tree.freeze();
    let mut script = Script::new(Arc::new(tree.clone()));
    script.check("write /d7/f7 0 y");
    assert_eq!(paths(&diff(&base, &tree.freeze())), ["+/d7/f7"]);
}

#[test]
fn a_moved_directory_keeps_links_across_its_border() {
    let tree = Tree::new();
    let mut script = Script::new(Arc::new(tree.clone()));
    script.check("mkdir /a; file /a/x abc; mkdir /c; link /a/x /c/x");
    let base = tree.freeze();
    script.check("mv /a /b");
    let top = diff(&base, &tree.freeze()).apply(&base).unwrap();
    Script::new(Arc::new(Tree::from_layer(&top))).check("same /b/x /c/x => true; stat /c/x nlink => 2");
}

#[test]
fn forks_do_not_see_each_other() {
    let tree = Tree::new();
    let mut script = Script::new(Arc::new(tree.clone()));
    script.check("mkdir /d; file /d/f abc");
    let layer = tree.freeze();
    let fork = Tree::from_layer(&layer);
    let mut other = Script::new(Arc::new(fork.clone()));
    other.check("write /d/f 0 X; file /d/g; unlink /d/f");
    script.check("read /d/f => abc; ls /d => f; append /d/f d; read /d/f => abcd");
    other.check("ls /d => g");
    Script::new(Arc::new(Tree::from_layer(&layer))).check("read /d/f => abc");
    tree.fsck().unwrap();
    fork.fsck().unwrap();
}

#[test]
fn orphans_are_in_no_layer() {
    let tree = Tree::new();
    let mut script = Script::new(Arc::new(tree.clone()));
    let empty = tree.usage();
    script.check("create /f; fill /f 0 100000; open h /f rw; unlink /f");
    assert_eq!(tree.usage().inodes, 2);
    assert_eq!(tree.freeze().usage(), empty);
    script.check("fill h 0 200000; close h");
    assert_eq!(tree.usage(), empty);
    tree.fsck().unwrap();
}

#[test]
fn limits_are_exact() {
    let tree = Tree::with_limits(TreeLimits { bytes: 4096, inodes: 3 });
    let mut script = Script::new(Arc::new(tree.clone()));
    script.check("create /f; create /g; create /h => ENOSPC; mkdir /h => ENOSPC; link /f /h; unlink /h");
    // Two entries of 65 bytes leave 3966: seven units of 512.
    script.check(
        "fill /f 0 9999 => 3584; fill /f 3584 1 => ENOSPC; fill /g 0 1 => ENOSPC; fill /f 0 3584 => 3584",
    );
    script.check("truncate /f 1; fill /g 0 1 => 1; unlink /f; fill /g 0 9999 => 3584");
    script.check("truncate /g 1000000; stat /g size => 1000000; fill /g 999999 1 => ENOSPC");
    let stat = wait(tree.statfs()).unwrap();
    assert_eq!((stat.blocks, stat.inodes, stat.inodes_free), (1, 3, 1));
    tree.fsck().unwrap();
}
