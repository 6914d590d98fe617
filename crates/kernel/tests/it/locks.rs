//! Record locks and what becomes of descriptors; what they exclude is in the table of cases.

use std::sync::Arc;

use agentos_abi::fd::{F_SETLK, F_WRLCK, O_CREAT, O_RDWR};
use agentos_abi::layout::RecordLock;
use agentos_kernel::process::Image;
use agentos_kernel::sys::At;
use agentos_kernel::{Fd, HostSpawn, Kernel, Limits, Process};
use agentos_vfs::Tree;

use crate::config;

async fn opened(kernel: &Kernel, process: &Process, path: &[u8]) -> Fd {
    let (who, flags) = (kernel.who(process), O_RDWR | O_CREAT);
    let file = kernel.open(&who, Some(process), At::Cwd(path), flags, 0o600).await.unwrap();
    process.fds.lock().insert(file, 0, false).unwrap()
}

#[tokio::test]
async fn a_moved_descriptor_keeps_the_locks_and_the_replaced_one_does_not() {
    let root = Tree::new();
    root.put_dir("/tmp", 0o777, 0, 0).unwrap();
    root.put_file("/null", 0o666, 0, 0, "").unwrap();
    let kernel = Kernel::new(config(&root, Limits::default())).await.unwrap();
    let null = kernel.open(&kernel.host(), None, At::Cwd(b"/null"), O_RDWR, 0).await.unwrap();
    let spawn = HostSpawn {
        image: Image::default(),
        cwd: kernel.namespace.root(),
        stdio: [Arc::clone(&null), Arc::clone(&null), null],
        cpu_limit_ns: 0,
        agent: false,
        controlling: false,
    };
    let process = kernel.host_spawn(spawn).unwrap();
    let (one, two) = (opened(&kernel, &process, b"/tmp/a").await, opened(&kernel, &process, b"/tmp/b").await);
    let lock = RecordLock { kind: F_WRLCK, ..RecordLock::default() };
    for fd in [one, two] {
        kernel.record_lock(&process, fd, F_SETLK, lock).await.unwrap();
    }
    assert_eq!(kernel.record_lock_count(), (2, 0));
    kernel.renumber(&process, one, one).await.unwrap();
    assert_eq!(kernel.record_lock_count(), (2, 0));
    kernel.renumber(&process, one, two).await.unwrap();
    assert_eq!(kernel.record_lock_count(), (1, 0));
    assert!(process.fds.lock().get(one).is_err());
    kernel.close(&process, two).unwrap();
    assert_eq!(kernel.record_lock_count(), (0, 0));
}
