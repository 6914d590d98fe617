//! sync(2) and syncfs(2): which file systems are asked, and who is told what failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use agentos_abi::fd::O_RDONLY;
use agentos_kernel::sys::At;
use agentos_kernel::{Errno, Kernel, Limits};
use agentos_vfs::{GuestPath, MountOptions, Reply, Tree};
use tokio::sync::Notify;

use crate::config;

/// A tree that counts how often it is synced, each of which answers like this.
fn counted(answer: impl Fn() -> Reply<'static, ()> + Send + Sync + 'static) -> (Tree, Arc<AtomicU32>) {
    let (tree, count) = (Tree::new(), Arc::new(AtomicU32::new(0)));
    let counts = Arc::clone(&count);
    tree.backed_by(move || {
        counts.fetch_add(1, Ordering::SeqCst);
        answer()
    });
    (tree, count)
}

#[tokio::test]
async fn sync_asks_all_that_can_be_written_at_once_and_syncfs_one() {
    let began = Arc::new(Notify::new());
    let (waits, tells) = (Arc::clone(&began), began);
    let (root, of_root) = counted(|| Reply::Now(Ok(())));
    for dir in ["/a", "/b", "/ro"] {
        root.put_dir(dir, 0o755, 0, 0).unwrap();
    }
    let (a, of_a) = counted(move || {
        let waits = Arc::clone(&waits);
        Reply::later(async move {
            waits.notified().await;
            Ok(())
        })
    });
    let (b, of_b) = counted(move || {
        tells.notify_one();
        Reply::Now(Err(Errno::EIO))
    });
    let (ro, of_ro) = counted(|| Reply::Now(Ok(())));
    let kernel = Kernel::new(config(&root, Limits::default())).await.unwrap();
    for (path, tree, read_only) in [("/a", a, false), ("/b", b, false), ("/ro", ro, true)] {
        let options = MountOptions { read_only, ..MountOptions::default() };
        kernel.namespace.mount(&GuestPath::new(path).unwrap(), Arc::new(tree), options).await.unwrap();
    }
    let counts = || [&of_root, &of_a, &of_b, &of_ro].map(|count| count.load(Ordering::SeqCst));
    kernel.sync().await;
    assert_eq!(counts(), [1, 1, 1, 0]);
    for (path, answer) in [("/", Ok(())), ("/b", Err(Errno::EIO)), ("/a", Ok(())), ("/ro", Ok(()))] {
        let file = kernel.open(&kernel.host(), None, At::Cwd(path.as_bytes()), O_RDONLY, 0).await.unwrap();
        assert_eq!(kernel.syncfs(&file).await, answer, "{path}");
    }
    assert_eq!(counts(), [2, 2, 2, 0]);
}
