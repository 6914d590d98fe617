//! Limits of memory, CPU time and paths: what counts, who is told, and that nothing stays in an account.

use std::sync::Arc;

use agentos_abi::fd::{O_CREAT, O_RDWR};
use agentos_abi::process::{PGID_INHERIT, RLIMIT_AS, RLIMIT_DATA};
use agentos_kernel::process::Image;
use agentos_kernel::sys::At;
use agentos_kernel::{
    ChildSpec, Errno, HostSpawn, Kernel, KernelConfig, KernelError, LimitHit, Limits, Notice, Observer,
    Process, Rlimit, Signal, WaitStatus,
};
use agentos_vfs::{NewKind, PathLimits, Tree};
use parking_lot::Mutex;

use crate::config;

const MIB: u64 = 1 << 20;
const SECOND: u64 = 1_000_000_000;

#[derive(Default)]
struct Heard(Mutex<Vec<Notice>>);

impl Observer for Heard {
    fn notice(&self, notice: Notice) {
        self.0.lock().push(notice);
    }
}

impl Heard {
    fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut self.0.lock())
    }
}

async fn kernel(limits: Limits) -> (Arc<Kernel>, Arc<Heard>) {
    let tree = Tree::new();
    tree.put_dir("/tmp", 0o1777, 0, 0).unwrap();
    tree.put_char_device("/null", 0o666, agentos_kernel::device::rdev(1, 3)).unwrap();
    let heard = Arc::new(Heard::default());
    let observer: Arc<dyn Observer> = Arc::<Heard>::clone(&heard);
    let config = KernelConfig { observer: Some(observer), ..config(&tree, limits) };
    (Kernel::new(config).await.unwrap(), heard)
}

pub(crate) async fn start(kernel: &Kernel, agent: bool) -> Result<Arc<Process>, KernelError> {
    let null = kernel.open(&kernel.host(), None, At::Cwd(b"/null"), O_RDWR, 0).await.unwrap();
    kernel.host_spawn(HostSpawn {
        image: Image::default(),
        cwd: kernel.namespace.root(),
        stdio: [Arc::clone(&null), Arc::clone(&null), null],
        cpu_limit_ns: 0,
        agent,
        controlling: false,
    })
}

fn child(kernel: &Kernel, parent: &Process, image: Option<Image>) -> Arc<Process> {
    let spec = ChildSpec {
        fds: parent.fds.lock().clone(),
        image,
        cwd: None,
        pgid: PGID_INHERIT,
        setsid: false,
        reset_signals: false,
        foreground: false,
    };
    kernel.spawn_child(parent, spec).unwrap()
}

fn image(bytes: usize) -> Image {
    Image { exe: Arc::from(&b"/bin/x"[..]), argv: Arc::new(vec![vec![b'x'; bytes]]), env: Arc::default() }
}

fn killed(signal: Signal) -> WaitStatus {
    WaitStatus::Signaled(signal.raw())
}

#[tokio::test]
async fn runtimes_of_agents_have_memory_of_their_own() {
    let limits = Limits { memory_per_process: 10 * MIB, agent_memory: 20 * MIB, ..Limits::default() };
    let (kernel, heard) = kernel(limits).await;
    let agent = start(&kernel, true).await.unwrap();
    assert!(agent.charge_memory(15 * MIB) && !agent.charge_memory(6 * MIB));
    let copy = child(&kernel, &agent, None);
    assert!(copy.charge_memory(15 * MIB), "a copy of a runtime is one");
    let tool = child(&kernel, &agent, Some(image(0)));
    assert!(!tool.charge_memory(11 * MIB) && tool.charge_memory(9 * MIB), "its tools are none");
    let ten = Rlimit { soft: 10 * MIB, hard: 10 * MIB };
    assert_eq!(kernel.getrlimit(&tool, RLIMIT_AS), Ok(ten));
    let name = |notice: &Notice| match notice {
        Notice::LimitWarning(hit) => (hit.name, hit.configured),
        other => panic!("{other:?}"),
    };
    assert!(agent.charge_memory(2 * MIB));
    let told: Vec<_> = heard.take().iter().map(name).collect();
    assert_eq!(told, [("processMemory", 10 * MIB), ("agentMemory", 20 * MIB)]);
}

#[tokio::test]
async fn the_size_of_data_is_limited_as_the_address_space_is() {
    let (kernel, _) = kernel(Limits::default()).await;
    let process = start(&kernel, false).await.unwrap();
    for resource in [RLIMIT_DATA, RLIMIT_AS] {
        kernel.setrlimit(&process, resource, Rlimit { soft: MIB, hard: 256 * MIB }).unwrap();
        assert!(!process.charge_memory(2 * MIB) && process.charge_memory(MIB / 4));
        kernel.setrlimit(&process, resource, Rlimit { soft: 256 * MIB, hard: 256 * MIB }).unwrap();
        assert!(process.charge_memory(2 * MIB));
        process.release_memory();
    }
}

#[tokio::test]
async fn who_is_ended_for_memory_is_told_which_limit_it_was() {
    let limits = Limits { memory_per_process: 10 * MIB, memory: 14 * MIB, ..Limits::default() };
    let (kernel, heard) = kernel(limits).await;
    let (first, second) = (start(&kernel, false).await.unwrap(), start(&kernel, false).await.unwrap());
    assert!(first.charge_memory(6 * MIB) && !first.charge_memory(5 * MIB));
    assert!(!second.charge_memory(9 * MIB));
    heard.take();
    // One that was refused memory and then ended by somebody is no victim of the limit.
    let third = start(&kernel, false).await.unwrap();
    assert!(!third.charge_memory(11 * MIB));
    kernel.exit(&third, killed(Signal::SIGKILL));
    assert_eq!((third.exit_info().unwrap().limit, heard.take()), (None, vec![]));
    let process_limit =
        LimitHit { name: "processMemory", configured: 10 * MIB, used: 6 * MIB, requested: 5 * MIB };
    let vm_limit = LimitHit { name: "vmMemory", configured: 14 * MIB, used: 6 * MIB, requested: 9 * MIB };
    for (process, limit) in [(second, vm_limit), (first, process_limit)] {
        process.blame_memory();
        kernel.exit(&process, killed(Signal::SIGKILL));
        assert_eq!(process.exit_info().unwrap().limit, Some(limit));
        assert_eq!(heard.take(), [Notice::Killed { pid: process.pid, limit }]);
    }
    // What a process chose for itself is no limit of the machine.
    let own = start(&kernel, false).await.unwrap();
    kernel.setrlimit(&own, RLIMIT_AS, Rlimit { soft: MIB, hard: MIB }).unwrap();
    assert!(!own.charge_memory(2 * MIB));
    own.blame_memory();
    kernel.exit(&own, killed(Signal::SIGKILL));
    assert_eq!(own.exit_info().unwrap().limit, None);
    assert_eq!(kernel.memory.used(), 0);
}

#[tokio::test]
async fn the_cpu_time_of_all_processes_is_one_account() {
    let (kernel, heard) = kernel(Limits { vm_cpu_time_ms: 10_000, ..Limits::default() }).await;
    let (first, second) = (start(&kernel, false).await.unwrap(), start(&kernel, false).await.unwrap());
    assert!(!first.add_cpu(5 * SECOND) && !second.add_cpu(2 * SECOND));
    assert_eq!(heard.take(), []);
    kernel.exit(&second, WaitStatus::Exited(0));
    assert!(!first.add_cpu(SECOND) && !first.must_be_killed());
    let warning = LimitHit { name: "vmCpuTimeMs", configured: 10_000, used: 8_000, requested: 0 };
    assert_eq!(heard.take(), [Notice::LimitWarning(warning)]);
    let child = child(&kernel, &first, None);
    assert!(child.add_cpu(2 * SECOND) && child.must_be_killed() && first.must_be_killed());
    child.blame_cpu(Signal::SIGKILL);
    kernel.exit(&child, killed(Signal::SIGKILL));
    let limit = LimitHit { used: 10_000, requested: 1, ..warning };
    assert_eq!(child.exit_info().unwrap().limit, Some(limit));
    assert_eq!(heard.take(), [Notice::Killed { pid: child.pid, limit }]);
    match start(&kernel, false).await.err().unwrap() {
        KernelError::Limit(hit) => assert_eq!(hit, limit),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_cpu_time_of_a_process_is_warned_of_and_ends_it() {
    let (kernel, heard) = kernel(Limits { cpu_time_ms: 1_000, ..Limits::default() }).await;
    let process = start(&kernel, false).await.unwrap();
    assert!(!process.add_cpu(SECOND / 2));
    assert_eq!(heard.take(), []);
    assert!(!process.add_cpu(SECOND * 2 / 5) && process.add_cpu(SECOND / 5));
    let warning = LimitHit { name: "cpuTimeMs", configured: 1_000, used: 900, requested: 0 };
    assert_eq!(heard.take(), [Notice::LimitWarning(warning)]);
    process.blame_cpu(Signal::SIGXCPU);
    kernel.exit(&process, killed(Signal::SIGXCPU));
    let limit = LimitHit { used: 1_100, requested: 1, ..warning };
    assert_eq!(process.exit_info().unwrap().limit, Some(limit));
    // One that outlives SIGXCPU and is killed for another reason did not end by it.
    let other = start(&kernel, false).await.unwrap();
    assert!(other.add_cpu(SECOND * 6 / 5));
    other.blame_cpu(Signal::SIGXCPU);
    kernel.exit(&other, killed(Signal::SIGKILL));
    assert_eq!(other.exit_info().unwrap().limit, None);
}

#[tokio::test]
async fn shared_arguments_count_for_everybody_who_holds_them() {
    let (kernel, _) = kernel(Limits::default()).await;
    let parent = start(&kernel, false).await.unwrap();
    kernel.exec(&parent, image(MIB as usize)).unwrap();
    let copy = child(&kernel, &parent, None);
    assert_eq!(copy.memory(), parent.memory());
    kernel.exit(&parent, WaitStatus::Exited(0));
    assert!(kernel.memory.used() >= MIB, "the copy still holds them");
    kernel.exit(&copy, WaitStatus::Exited(0));
    assert_eq!(kernel.memory.used(), 0);
}

#[tokio::test]
async fn paths_names_and_links_end_where_they_are_told_to() {
    let paths = PathLimits { path: 300, name: 20, links: 2 };
    let (kernel, _) = kernel(Limits { paths, ..Limits::default() }).await;
    let host = kernel.host();
    let open = async |path: &str| {
        kernel.open(&host, None, At::Cwd(path.as_bytes()), O_RDWR | O_CREAT, 0o644).await.map(|_| ())
    };
    assert_eq!(open(&format!("/tmp/{}", "n".repeat(20))).await, Ok(()));
    assert_eq!(open(&format!("/tmp/{}", "n".repeat(21))).await, Err(Errno::ENAMETOOLONG));
    let long = At::Cwd(b"/tmp/a-name-that-is-too-long");
    assert_eq!(kernel.make(&host, long, NewKind::Directory, 0o755).await, Err(Errno::ENAMETOOLONG));
    let moved = kernel.rename(&host, At::Cwd(b"/tmp"), long, Default::default()).await;
    assert_eq!(moved, Err(Errno::ENAMETOOLONG));
    assert_eq!(open(&format!("/tmp{}f", "/".repeat(295))).await, Ok(()));
    assert_eq!(open(&format!("/tmp{}f", "/".repeat(296))).await, Err(Errno::ENAMETOOLONG));
    for (target, link) in [("f", "/tmp/1"), ("1", "/tmp/2"), ("2", "/tmp/3")] {
        kernel.symlink(&host, target.into(), At::Cwd(link.as_bytes())).await.unwrap();
    }
    assert_eq!((open("/tmp/2").await, open("/tmp/3").await), (Ok(()), Err(Errno::ELOOP)));
}
