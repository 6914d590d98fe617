//! Resource limits: who may change them, and what happens at them.

use std::sync::Arc;

use agentos_abi::fd::{O_APPEND, O_CREAT, O_RDWR};
use agentos_abi::process::{
    PGID_INHERIT, RLIM_INFINITY, RLIMIT_AS, RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC,
};
use agentos_kernel::process::Image;
use agentos_kernel::sys::{At, WaitTarget};
use agentos_kernel::{
    ChildSpec, Disposition, Errno, Fd, HostSpawn, Kernel, Limits, Process, Result, Rlimit, Signal, WaitStatus,
};
use agentos_vfs::Tree;

use crate::config;

async fn program(cpu_limit_ns: u64) -> (Arc<Kernel>, Arc<Process>) {
    let tree = Tree::new();
    tree.put_dir("/tmp", 0o1777, 0, 0).unwrap();
    tree.put_char_device("/null", 0o666, agentos_kernel::device::rdev(1, 3)).unwrap();
    let kernel = Kernel::new(config(&tree, Limits::default())).await.unwrap();
    let null = kernel.open(&kernel.host(), None, At::Cwd(b"/null"), O_RDWR, 0).await.unwrap();
    let spawn = HostSpawn {
        image: Image::default(),
        cwd: kernel.namespace.root(),
        stdio: [Arc::clone(&null), Arc::clone(&null), null],
        cpu_limit_ns,
        agent: false,
        controlling: false,
    };
    let process = kernel.host_spawn(spawn).unwrap();
    (kernel, process)
}

fn child(kernel: &Kernel, parent: &Process) -> Result<Arc<Process>> {
    let spec = ChildSpec {
        fds: parent.fds.lock().clone(),
        image: None,
        cwd: None,
        pgid: PGID_INHERIT,
        setsid: false,
        reset_signals: false,
        foreground: false,
    };
    kernel.spawn_child(parent, spec)
}

fn both(value: u64) -> Rlimit {
    Rlimit { soft: value, hard: value }
}

#[tokio::test]
async fn hard_limits_only_go_down() {
    let (kernel, process) = program(0).await;
    let set = |resource, soft, hard| kernel.setrlimit(&process, resource, Rlimit { soft, hard });
    assert_eq!(kernel.getrlimit(&process, RLIMIT_NOFILE), Ok(both(1024)));
    assert_eq!(set(RLIMIT_NOFILE, 10, 5), Err(Errno::EINVAL));
    assert_eq!(set(RLIMIT_NOFILE, 10, 2000), Err(Errno::EPERM));
    assert_eq!(set(RLIMIT_NOFILE, 10, 20), Ok(()));
    assert_eq!(set(RLIMIT_NOFILE, 20, 20), Ok(()));
    assert_eq!(set(RLIMIT_NOFILE, 20, 21), Err(Errno::EPERM));
    assert_eq!(set(16, 1, 1), Err(Errno::EINVAL));
    let child = child(&kernel, &process).unwrap();
    assert_eq!(kernel.getrlimit(&child, RLIMIT_NOFILE), Ok(both(20)), "children inherit");
    assert_eq!(kernel.dup(&process, Fd(0), 19, false), Ok(Fd(19)));
    assert_eq!(kernel.dup(&process, Fd(0), 20, false), Err(Errno::EMFILE));
}

#[tokio::test]
async fn files_end_at_their_limit() {
    let (kernel, process) = program(0).await;
    kernel.sigaction(&process, Signal::SIGXFSZ, Disposition::Catch);
    kernel.setrlimit(&process, RLIMIT_FSIZE, both(10)).unwrap();
    let who = kernel.who(&process);
    let file = kernel.open(&who, Some(&process), At::Cwd(b"/tmp/f"), O_RDWR | O_CREAT, 0o644).await.unwrap();
    assert_eq!(kernel.write(&process, &file, b"123456").await, Ok(6));
    assert_eq!(kernel.write(&process, &file, b"123456").await, Ok(4), "up to the limit");
    assert_eq!(process.take_caught(), None);
    assert_eq!(kernel.write(&process, &file, b"1").await, Err(Errno::EFBIG));
    assert_eq!(process.take_caught(), Some(Signal::SIGXFSZ));
    assert_eq!(kernel.pwrite(Some(&process), &file, b"x", 3).await, Ok(1));
    assert_eq!(kernel.pwrite(Some(&process), &file, b"x", 10).await, Err(Errno::EFBIG));
    assert_eq!(kernel.ftruncate(&process, &file, 11).await, Err(Errno::EFBIG));
    assert_eq!(kernel.ftruncate(&process, &file, 10).await, Ok(()));
    let append = O_RDWR | O_APPEND;
    let file = kernel.open(&who, Some(&process), At::Cwd(b"/tmp/f"), append, 0).await.unwrap();
    assert_eq!(kernel.write(&process, &file, b"1").await, Err(Errno::EFBIG));
}

#[tokio::test]
async fn processes_and_memory() {
    let (kernel, process) = program(0).await;
    kernel.setrlimit(&process, RLIMIT_NPROC, both(2)).unwrap();
    let first = child(&kernel, &process).unwrap();
    assert_eq!(child(&kernel, &process).err(), Some(Errno::EAGAIN));
    kernel.exit(&first, WaitStatus::Exited(0));
    kernel.waitpid(&process, WaitTarget::Any, 0).await.unwrap();
    assert!(child(&kernel, &process).is_ok());
    kernel.setrlimit(&process, RLIMIT_AS, both(1 << 20)).unwrap();
    assert!(process.charge_memory(1 << 19));
    assert!(!process.charge_memory(1 << 20));
}

#[tokio::test]
async fn cpu_time_warns_at_the_soft_limit_and_kills_at_the_hard_one() {
    let second = 1_000_000_000;
    let (kernel, process) = program(0).await;
    kernel.setrlimit(&process, RLIMIT_CPU, Rlimit { soft: 1, hard: 3 }).unwrap();
    assert!(!process.add_cpu(second) && process.add_cpu(second) && !process.must_be_killed());
    process.add_cpu(second);
    assert!(process.must_be_killed());
    let (kernel, process) = program(second).await;
    assert_eq!(kernel.getrlimit(&process, RLIMIT_CPU), Ok(both(1)));
    assert_eq!(kernel.setrlimit(&process, RLIMIT_CPU, both(RLIM_INFINITY)), Err(Errno::EPERM));
    assert!(!process.add_cpu(second) && process.add_cpu(second / 2) && !process.must_be_killed());
    process.add_cpu(second / 2);
    assert!(process.must_be_killed(), "a second after the limit of the host");
}

#[tokio::test]
async fn what_children_used_counts_when_they_were_waited_for() {
    let (kernel, process) = program(0).await;
    let child = child(&kernel, &process).unwrap();
    child.add_cpu(5_000);
    assert!(child.charge_memory(1 << 16));
    kernel.exit(&child, WaitStatus::Exited(0));
    assert_eq!((process.children_cpu().as_nanos(), process.children_max_rss()), (0, 0));
    kernel.waitpid(&process, WaitTarget::Any, 0).await.unwrap();
    assert_eq!((process.children_cpu().as_nanos(), process.children_max_rss()), (5_000, 1 << 16));
}
