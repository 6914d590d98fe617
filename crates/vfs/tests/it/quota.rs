//! Trees that share an account: the sum is exact, whatever they do at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentos_vfs::layer::diff;
use agentos_vfs::{
    Access, DriverFs, DriverOptions, Errno, FileSystem, Overlay, Quota, Tree, TreeLimits, Usage,
};

use crate::driver::TreeDriver;
use crate::script::{Script, wait};

const LIMITS: TreeLimits = TreeLimits { bytes: 4096, inodes: 6 };

#[test]
fn the_sum_of_all_trees_is_limited() {
    let told = Arc::new(AtomicU64::new(0));
    let of_meter = told.clone();
    let quota = Quota::new(LIMITS, move |usage| of_meter.store(usage.bytes, Ordering::Relaxed));
    let base = Tree::new();
    base.put_file("/base", 0o644, 0, 0, vec![1; 100_000]).unwrap();
    let root = Tree::from_layer(&base.freeze());
    root.share_beyond(&quota, base.usage());
    assert_eq!(quota.usage(), Usage::default(), "what came with the base is free");

    let (one, two) = (Tree::new(), Overlay::new(Tree::new(), vec![Arc::new(base)]).unwrap());
    one.share(&quota);
    two.share(&quota);
    assert_eq!(quota.usage(), Usage { bytes: 0, inodes: 2 }, "their roots");
    let (mut a, mut b, mut c) =
        (Script::new(Arc::new(one.clone())), Script::new(Arc::new(two)), Script::new(Arc::new(root.clone())));
    a.check("create /f");
    b.check("create /f");
    c.check("create /f; create /g; create /h => ENOSPC");
    a.check("fill /f 0 2048 => 2048");
    // Four entries of 65 bytes leave 1788: three units of 512.
    c.check("fill /f 0 9999 => 1536; unlink /g; fill /f 1536 1 => ENOSPC");
    b.check("fill /f 0 1 => ENOSPC; create /x");
    b.check("fill /x 0 1 => ENOSPC");
    assert_eq!(one.account().unwrap().1, LIMITS, "the account is nearer than its own limits");
    assert_eq!(wait(one.statfs()).unwrap().inodes_free, 0);
    a.check("truncate /f 0");
    b.check("fill /f 0 9999 => 2048; fill /f 0 2048 => 2048");
    assert_eq!(told.load(Ordering::Relaxed), quota.usage().bytes);
    drop((a, one));
    b.check("mkdir /d");
    drop(b);
    assert_eq!(quota.usage(), Usage { bytes: 65 + 1536, inodes: 1 });
    c.check("unlink /f; unlink /base");
    assert_eq!(quota.usage(), Usage::default());
    drop((c, root));
    assert_eq!(quota.usage(), Usage::default());
}

/// An overlay over a tree of `setup`, after it did `before`, and a tree that has taken all other inodes of their account.
fn full(upper: &Tree, setup: &str, before: &str) -> (Script, Script, Arc<Quota>) {
    let base = Tree::new();
    Script::new(Arc::new(base.clone())).check(setup);
    let quota = Quota::new(TreeLimits { bytes: 1 << 20, inodes: 100 }, |_| ());
    let other = Tree::new();
    let fs = Overlay::new(upper.clone(), vec![Arc::new(base)]).unwrap();
    fs.share(&quota);
    other.share(&quota);
    let (mut script, mut other) = (Script::new(Arc::new(fs)), Script::new(Arc::new(other)));
    script.check(before);
    for n in quota.usage().inodes..100 {
        other.check(&format!("create /{n}"));
    }
    (script, other, quota)
}

#[test]
fn in_a_full_account_what_was_removed_stays_removed() {
    let (mut script, mut other, quota) = full(&Tree::new(), "file /x lower", "unlink /x");
    // Leaves no byte: units of 512 first, then the target of a link.
    other.check("unlink /10; fill /11 0 2000000");
    let left = quota.limits().bytes - quota.usage().bytes;
    other.check(&format!("symlink {} /10", "t".repeat(usize::try_from(left - 66).unwrap())));
    let (usage, limits) = (quota.usage(), quota.limits());
    assert_eq!((usage.bytes, usage.inodes), (limits.bytes, limits.inodes));
    script.check("symlink target /x => ENOSPC; ls / => ; read /x => ENOENT");
    // What takes no more than the whiteout gave fits.
    script.check("create /x; ls / => x; read /x => ; unlink /x; ls / => ");
}

#[test]
fn in_a_full_account_nothing_is_half_removed() {
    let upper = Tree::new();
    let setup = "file /x lower; mkdir /d; mkdir /e; file /e/f";
    let (mut script, mut other, quota) =
        full(&upper, setup, "write /x 0 upper; chmod /d 0o700; unlink /e/f; chmod /e 0o700");
    let before = upper.freeze();
    script.check("unlink /x => ENOSPC; rmdir /d => ENOSPC; ls / => d/,e/,x");
    assert!(diff(&before, &upper.freeze()).is_empty());
    // The whiteout in it gives its inode to the one that hides it.
    script.check("rmdir /e; ls / => d/,x");
    other.check("unlink /10; unlink /11");
    script.check("unlink /x; rmdir /d; ls / => ");
    assert!(quota.usage().inodes <= 100);
}

#[test]
fn in_a_full_account_nothing_is_half_moved() {
    let upper = Tree::new();
    let (mut script, mut other, _) = full(&upper, "file /x lower", "write /x 0 upper");
    let before = upper.freeze();
    script.check("mv /x /y => ENOSPC; ls / => x");
    assert!(diff(&before, &upper.freeze()).is_empty());
    other.check("unlink /10");
    script.check("mv /x /y; ls / => y; read /y => upper");
}

#[test]
fn a_full_account_reads_no_large_file_to_refuse_it() {
    let lower = Tree::new();
    lower.put_file("/large", 0o644, 0, 0, vec![1; 8 << 20]).unwrap();
    let driver = TreeDriver::new(lower);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = DriverOptions { runtime: Some(runtime.handle().clone()), ..DriverOptions::default() };
    let below = DriverFs::new(driver.clone(), options).unwrap();
    let fs = Overlay::new(Tree::new(), vec![Arc::new(below)]).unwrap();
    fs.share(&Quota::new(TreeLimits { bytes: 1 << 20, inodes: 100 }, |_| ()));
    let mut script = Script::new(Arc::new(fs));
    script.check("append /large x => ENOSPC");
    let read = driver.read.load(Ordering::SeqCst);
    assert!(read <= 2 << 20, "{read} bytes were read");
    script.check("ls / => large; stat /large size => 8388608");
}

#[test]
fn no_race_passes_the_limit_and_nothing_is_lost() {
    let limits = TreeLimits { bytes: 1 << 20, inodes: 100 };
    let most = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let of_meter = most.clone();
    let quota = Quota::new(limits, move |usage| {
        of_meter.0.fetch_max(usage.bytes, Ordering::Relaxed);
        of_meter.1.fetch_max(usage.inodes, Ordering::Relaxed);
    });
    let trees: Vec<_> = (0..4).map(|_| Tree::new()).collect();
    trees.iter().for_each(|tree| tree.share(&quota));
    std::thread::scope(|threads| {
        for tree in &trees {
            threads.spawn(move || {
                for round in 0..200_usize {
                    let path = format!("/{}", round % 40);
                    let ino = match tree.put_file(&path, 0o644, 0, 0, "") {
                        Ok(ino) => ino,
                        Err(error) => {
                            assert_eq!(error, Errno::ENOSPC);
                            let _ =
                                wait(tree.unlink(tree.root(), format!("{}", (round * 7) % 40).as_bytes()));
                            continue;
                        }
                    };
                    let file = wait(tree.open(ino, Access { read: true, write: true })).unwrap();
                    let data = vec![1; round * 997 % 100_000];
                    let written = wait(file.write_at(&data, (round % 3) as u64 * 70_000));
                    assert!(written.is_ok() || written == Err(Errno::ENOSPC));
                }
            });
        }
    });
    let sum = trees.iter().map(Tree::usage).fold(Usage::default(), |sum, usage| Usage {
        bytes: sum.bytes + usage.bytes,
        inodes: sum.inodes + usage.inodes,
    });
    assert_eq!(quota.usage(), sum);
    assert!(
        most.0.load(Ordering::Relaxed) <= limits.bytes && most.1.load(Ordering::Relaxed) <= limits.inodes
    );
    trees.iter().for_each(|tree| tree.fsck().unwrap());
    drop(trees);
    assert_eq!(quota.usage(), Usage::default());
}
