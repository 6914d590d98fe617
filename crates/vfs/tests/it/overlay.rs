//! A union behaves as the one tree its user believes to see.

use std::sync::Arc;

use agentos_vfs::layer::{Change, ChangeKind, diff};
use agentos_vfs::{Errno, FileSystem, HostDir, HostDirOptions, Overlay, Result, Tree, TreeLimits};
use proptest::prelude::*;

use crate::ops::{look, op};
use crate::script::{Script, wait};

fn build(tree: &Tree, ops: &[String]) {
    let mut script = Script::new(Arc::new(tree.clone()));
    for op in ops {
        let _ = script.run(op);
    }
}

/// Runs the same commands on both; answers must be the same.
fn compare(fs: Arc<dyn FileSystem>, model: Tree, ops: &[String]) -> std::result::Result<(), TestCaseError> {
    let (mut real, mut model) = (Script::new(fs), Script::new(Arc::new(model)));
    for (n, op) in ops.iter().enumerate() {
        let answers: (Result<String>, Result<String>) = (real.run(op), model.run(op));
        prop_assert_eq!(&answers.0, &answers.1, "`{}` after {:?}", op, &ops[..n]);
    }
    Ok(())
}

fn mixed() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop_oneof![op(), look()], 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn over_a_tree_it_is_like_one_tree(before in prop::collection::vec(op(), 0..30), ops in mixed()) {
        let lower = Tree::new();
        build(&lower, &before);
        let frozen = lower.freeze();
        let upper = Tree::new();
        let fs = Overlay::new(upper.clone(), vec![Arc::new(lower.clone())]).unwrap();
        compare(Arc::new(fs), Tree::from_layer(&frozen), &ops)?;
        prop_assert_eq!(upper.fsck(), Ok(()));
        // Reading may move the access time of a lower file, nothing else of it.
        for change in diff(&frozen, &lower.freeze()).changes {
            let before = Tree::from_layer(&frozen);
            let (path, meta, content) = match change {
                Change { path, kind: ChangeKind::Regular { meta, content } } => (path, meta, content),
                // A further name of such a file.
                Change { kind: ChangeKind::HardLink { .. }, .. } => continue,
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            let old = before.ino_at(&path).unwrap();
            prop_assert_eq!(before.content(old).unwrap(), content);
            let old = wait(before.getattr(old)).unwrap();
            prop_assert_eq!((old.perm, old.mtime, old.ctime), (meta.perm, meta.mtime, meta.ctime));
        }
    }

    #[test]
    fn over_two_trees_it_is_like_one_tree(
        before in prop::collection::vec(op(), 0..25),
        between in prop::collection::vec(op(), 0..15),
        ops in mixed(),
    ) {
        // The middle layer is an overlay itself: what it hides of the bottom stays hidden.
        let bottom = Tree::new();
        build(&bottom, &before);
        let model = Tree::from_layer(&bottom.freeze());
        build(&model, &between);
        let middle = Arc::new(Overlay::new(Tree::new(), vec![Arc::new(bottom)]).unwrap());
        let mut script = Script::new(middle.clone());
        for op in &between {
            let _ = script.run(op);
        }
        drop(script);
        let fs = Overlay::new(Tree::new(), vec![middle]).unwrap();
        compare(Arc::new(fs), model, &ops)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_copy_is_like_a_copy_of_one_tree(
        before in prop::collection::vec(op(), 0..20),
        between in prop::collection::vec(op(), 0..20),
        ours in mixed(),
        theirs in mixed(),
    ) {
        let (lower, model) = (Tree::new(), Tree::new());
        build(&lower, &before);
        build(&model, &before);
        let fs = Overlay::new(Tree::new(), vec![Arc::new(lower)]).unwrap();
        let mut script = Script::new(Arc::new(fs.clone()));
        for op in &between {
            let _ = script.run(op);
        }
        build(&model, &between);
        drop(script);
        let (copy, model_copy) = (fs.copy(), Tree::from_layer(&model.freeze()));
        compare(Arc::new(fs), model, &ours)?;
        compare(Arc::new(copy), model_copy, &theirs)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn over_a_host_directory_it_is_like_one_tree(before in prop::collection::vec(op(), 0..25), ops in mixed()) {
        let temp = tempfile::tempdir().unwrap();
        let host: Arc<dyn FileSystem> = Arc::new(HostDir::open(temp.path(), HostDirOptions::default()).unwrap());
        let model = Tree::new();
        build(&model, &before);
        let mut script = Script::new(host.clone());
        for op in &before {
            let _ = script.run(op);
        }
        drop(script);
        let fs = Overlay::new(Tree::new(), vec![host]).unwrap();
        compare(Arc::new(fs), model, &ops)?;
    }
}

fn over(setup: &str) -> (Script, Tree, Tree) {
    let (lower, upper) = (Tree::new(), Tree::new());
    Script::new(Arc::new(lower.clone())).check(setup);
    let fs = Overlay::new(upper.clone(), vec![Arc::new(lower.clone())]).unwrap();
    (Script::new(Arc::new(fs)), upper, lower)
}

#[test]
fn lookers_change_nothing() {
    let (mut script, upper, _) = over("mkdir /d; file /d/f abc; symlink d /l");
    let before = upper.freeze();
    script.check(
        "read /d/f => abc; ls / => d/,l@; ls /d => f; stat /d nlink => 2; readlink /l => d; open h /d/f r",
    );
    assert!(diff(&before, &upper.freeze()).is_empty());
}

#[test]
fn numbers_stay_through_copying_up() {
    let (mut script, ..) = over("mkdir /d; file /d/f abc");
    script.check("note d /d; note f /d/f; write /d/f 0 X; same /d #d => true; same /d/f #f => true");
    script
        .check("listed /d => true; listed /d/f => true; mv /d /e; same /e #d => true; same /e/f #f => true");
}

#[test]
fn hard_links_of_a_lower_are_one_file() {
    let (mut script, ..) = over("mkdir /d; file /d/a abc; link /d/a /b");
    script.check("write /b 0 X; read /d/a => Xbc; stat /d/a nlink => 2; same /d/a /b => true; link /b /c; stat /b nlink => 3");
    script.check(
        "unlink /b; stat /d/a nlink => 2; append /d/a d; read /c => Xbcd; unlink /d/a; unlink /c; ls / => d/",
    );
}

#[test]
fn a_lower_file_without_its_name_can_change() {
    let (mut script, upper, lower) = over("file /a abc; link /a /b; file /f xyz");
    script.check(
        "open h /a rw; unlink /a; write h 0 X; read /b => Xbc; stat /b nlink => 1; close h; read /b => Xbc",
    );
    script.check("link /b /c; unlink /b; read /c => Xbc; stat /c nlink => 1");
    script.check("open r /f r; note f /f; unlink /f; stat #f nlink => 0; read r => xyz; truncate #f 1; read r => x; close r");
    upper.fsck().unwrap();
    assert_eq!(lower.read_file("/a").unwrap(), b"abc");
}

#[test]
fn a_reader_sees_what_a_later_writer_writes() {
    let (mut script, ..) = over("file /f abc");
    script.check("open r /f r; read r => abc; write /f 0 X; read r => Xbc; unlink /f; read r => Xbc");
}

#[test]
fn removed_and_made_again_is_empty() {
    let (mut script, upper, _) = over("mkdir /d; file /d/f abc; mkdir /d/e");
    script.check("rmdir /d => ENOTEMPTY; unlink /d/f; rmdir /d/e; rmdir /d; ls / => ; mkdir /d; ls /d => ; stat /d nlink => 2");
    let thawed = Tree::from_layer(&upper.freeze());
    let lower = Tree::new();
    Script::new(Arc::new(lower.clone())).check("mkdir /d; file /d/f abc; file /g");
    let fs = Overlay::new(thawed, vec![Arc::new(lower)]).unwrap();
    Script::new(Arc::new(fs)).check("ls /d => ; ls / => d/,g");
}

#[test]
fn content_of_a_tree_is_copied_by_reference() {
    let lower = Tree::new();
    lower.put_file("/f", 0o644, 0, 0, vec![7; 1 << 20]).unwrap();
    let fs = Overlay::new(Tree::new(), vec![Arc::new(lower.clone())]).unwrap();
    let mut script = Script::new(Arc::new(fs.clone()));
    script.check("chmod /f 0o600");
    let (copy, original) = (fs.upper().ino_at("/f").unwrap(), lower.ino_at("/f").unwrap());
    let start = |tree: &Tree, ino| tree.content(ino).unwrap().as_shared().unwrap().as_ptr();
    assert_eq!(start(fs.upper(), copy), start(&lower, original));
}

#[test]
fn a_full_upper_loses_nothing() {
    let lower = Tree::new();
    Script::new(Arc::new(lower.clone())).check("file /a abc; file /b def; mkdir /d; file /d/f x");
    let upper = Tree::with_limits(TreeLimits { bytes: 1 << 20, inodes: 2 });
    let fs = Overlay::new(upper.clone(), vec![Arc::new(lower)]).unwrap();
    let mut script = Script::new(Arc::new(fs));
    script
        .check("unlink /a; unlink /b => ENOSPC; read /b => def; write /b 0 x => ENOSPC; mv /b /c => ENOSPC");
    script.check("mv /d /e => ENOSPC; ls / => b,d/; read /d/f => x; file /a new; ls / => a,b,d/; unlink /a; ls / => b,d/");
    upper.fsck().unwrap();
    assert_eq!(Overlay::new(Tree::new(), vec![upper_of(101)]).err(), None);
    assert_eq!(Overlay::new(Tree::new(), (0..101).map(|_| upper_of(1)).collect()).err(), Some(Errno::EINVAL));
}

fn upper_of(inodes: u64) -> Arc<dyn FileSystem> {
    Arc::new(Tree::with_limits(TreeLimits { bytes: 1 << 20, inodes }))
}

#[test]
fn a_copy_goes_its_own_way_and_keeps_the_numbers() {
    let lower = Tree::new();
    Script::new(Arc::new(lower.clone()))
        .check("mkdir /d; file /d/f abc; file /g def; link /g /h; mkdir /gone");
    let fs = Overlay::new(Tree::new(), vec![Arc::new(lower.clone())]).unwrap();
    let mut script = Script::new(Arc::new(fs.clone()));
    script.check(
        "write /d/f 0 X; mkdir /d/new; unlink /h; rmdir /gone; file /made 1; open o /g r; chmod /g 0o600",
    );
    let numbers = |fs: &Overlay| {
        let d = wait(fs.lookup(fs.root(), b"d")).unwrap().ino;
        let of = |dir, name: &[u8]| wait(fs.lookup(dir, name)).unwrap().ino;
        [fs.root(), d, of(d, b"f"), of(d, b"new"), of(fs.root(), b"g"), of(fs.root(), b"made")]
    };
    let before = numbers(&fs);
    let copy = fs.copy();
    assert_eq!(numbers(&copy), before);
    let mut other = Script::new(Arc::new(copy.clone()));
    other.check(
        "read /d/f => Xbc; stat /g nlink => 1; ls / => d/,g,made; rmdir /d/new; write /g 0 Y; file /two 2",
    );
    script.check("ls / => d/,g,made; ls /d => f,new/; read /g => def; unlink /g; read o => def");
    other.check("read /g => Yef; ls /d => f; mv /d /e; read /e/f => Xbc; ls / => e/,g,made,two");
    script.check("read /d/f => Xbc");
    assert_eq!(copy.upper().fsck(), Ok(()));
    assert_eq!(lower.read_file("/d/f").unwrap(), b"abc");
}

#[test]
fn whiteouts_cannot_be_made_by_hand() {
    let (mut script, ..) = over("file /f");
    script.check("char /c 0 => EPERM; char /c 1; ls / => c?,f");
}
