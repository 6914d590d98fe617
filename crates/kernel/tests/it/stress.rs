//! Nothing is left behind: processes, groups, sessions, terminals, pipes, files, locks and watches are made, moved, stopped and ended at random,
//! and when all have ended, every table is empty and every account at zero. The same seeds every time.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use agentos_abi::fd::{
    F_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX, LOCK_NB,
    LOCK_SH, O_CREAT, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY,
};
use agentos_abi::layout::RecordLock;
use agentos_abi::process::{PGID_INHERIT, PGID_NEW, WCONTINUED, WNOHANG, WUNTRACED};
use agentos_abi::tty::TCSAFLUSH;
use agentos_kernel::process::Image;
use agentos_kernel::sys::{At, WaitTarget};
use agentos_kernel::tty::Winsize;
use agentos_kernel::{
    ChildSpec, Disposition, Errno, Fd, HostSpawn, Interrupt, Kernel, KernelError, Limits, Process, Signal,
    Terminal, WaitStatus, Watch,
};
use agentos_vfs::{NewKind, RenameFlags, Tree, Usage};

use crate::config;

const PTYS: u32 = 6;
const PIPES: u32 = 24;
const PROCESSES: u32 = 40;
const WATCHES: u32 = 3;

async fn kernel() -> Arc<Kernel> {
    kernel_of(&tree()).await
}

fn tree() -> Tree {
    let tree = Tree::new();
    for dir in ["/dev", "/dev/pts", "/proc"] {
        tree.put_dir(dir, 0o755, 0, 0).unwrap();
    }
    tree.put_dir("/tmp", 0o1777, 0, 0).unwrap();
    tree.put_char_device("/dev/tty", 0o666, agentos_kernel::tty::TTY).unwrap();
    tree.put_char_device("/dev/ptmx", 0o666, agentos_kernel::tty::PTMX).unwrap();
    tree
}

async fn kernel_of(tree: &Tree) -> Arc<Kernel> {
    let limits = Limits {
        ptys: PTYS,
        pipes: PIPES,
        processes: PROCESSES,
        fds_per_process: 16,
        watches: WATCHES,
        watch_queue_bytes: 4096,
        ..Limits::default()
    };
    Kernel::new(config(tree, limits)).await.unwrap()
}

/// Numbers that are the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.below(from.len())].clone())
    }
}

/// One look at a call that may wait; then it is given up.
fn attempt<T>(call: impl Future<Output = T>) -> Option<T> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

fn image(bytes: usize) -> Image {
    Image { exe: Arc::from(&b"/bin/x"[..]), argv: Arc::new(vec![vec![b'x'; bytes]]), env: Arc::default() }
}

fn spec(parent: &Process, pgid: i32) -> ChildSpec {
    ChildSpec {
        fds: parent.fds.lock().clone(),
        image: None,
        cwd: None,
        pgid,
        setsid: false,
        reset_signals: false,
        foreground: false,
    }
}

struct World {
    kernel: Arc<Kernel>,
    tree: Tree,
    at_start: Usage,
    random: Random,
    live: Vec<Arc<Process>>,
    terminals: Vec<Terminal>,
    watches: Vec<Watch>,
}

impl World {
    fn on_terminal(&mut self) {
        let Ok(terminal) = self.kernel.open_terminal(Winsize { rows: 24, cols: 80, ..Winsize::default() })
        else {
            return;
        };
        let spawn = HostSpawn {
            image: image(100),
            cwd: self.kernel.namespace.root(),
            stdio: terminal.stdio().unwrap(),
            cpu_limit_ns: 0,
            agent: false,
            controlling: self.random.below(4) > 0,
        };
        self.live.extend(self.kernel.host_spawn(spawn));
        self.terminals.push(terminal);
    }

    /// Makes, writes, moves or removes a file of a few, and perhaps leaves it open.
    fn on_file(&mut self, process: &Process) {
        let kernel = Arc::clone(&self.kernel);
        let (who, names) = (kernel.who(process), [&b"/tmp/a"[..], b"/tmp/b", b"/tmp/fifo"]);
        let (one, other) = (At::Cwd(names[self.random.below(3)]), At::Cwd(names[self.random.below(3)]));
        match self.random.below(6) {
            0 => drop(attempt(kernel.unlink(&who, one))),
            1 => drop(attempt(kernel.rename(&who, one, other, RenameFlags::default()))),
            2 => drop(attempt(kernel.make(&who, one, NewKind::Fifo, 0o600))),
            _ => {
                let flags = O_CREAT | [O_RDWR, O_WRONLY, O_RDONLY][self.random.below(3)] | O_NONBLOCK;
                if let Some(Ok(file)) = attempt(kernel.open(&who, Some(process), one, flags, 0o600)) {
                    attempt(kernel.write(process, &file, &[b'z'; 5000]));
                    let _ = process.fds.lock().insert(file, 0, false);
                }
            }
        }
    }

    fn child(&mut self, parent: &Process) {
        let group = self.random.pick(&self.live).map_or(0, |p| p.pid.0 as i32);
        let pgid = [PGID_INHERIT, PGID_NEW, group][self.random.below(3)];
        let spec = ChildSpec {
            image: (self.random.below(2) == 0).then(|| image(1000)),
            setsid: self.random.below(6) == 0,
            reset_signals: self.random.below(3) == 0,
            foreground: self.random.below(3) == 0,
            ..spec(parent, pgid)
        };
        match self.kernel.spawn_child(parent, spec) {
            Ok(child) if self.random.below(8) == 0 => self.kernel.abandon(&child),
            made => self.live.extend(made),
        }
    }

    fn end(&mut self, process: &Arc<Process>) {
        let status = match process.pending_interrupt() {
            Some(Interrupt::Terminate(signal)) => WaitStatus::Signaled(signal.raw()),
            _ => WaitStatus::Exited(0),
        };
        self.kernel.exit(process, status);
        self.live.retain(|p| p.pid != process.pid);
    }

    /// Whoever has to end, ends, as if it ran.
    fn end_the_dying(&mut self) {
        loop {
            let dying: Vec<_> = self.live.iter().filter(|p| p.is_dying()).cloned().collect();
            if dying.is_empty() {
                return;
            }
            dying.iter().for_each(|process| self.end(process));
        }
    }

    fn step(&mut self) {
        let Some(process) = self.random.pick(&self.live) else { return self.on_terminal() };
        let Some(other) = self.random.pick(&self.live) else { return };
        let kernel = Arc::clone(&self.kernel);
        let numbers: Vec<Fd> = process.fds.lock().numbers().collect();
        let fd = self.random.pick(&numbers).unwrap_or(Fd(0));
        let file = kernel.description(&process, fd);
        let signal = self.random.pick(Signal::ALL).unwrap();
        match self.random.below(36) {
            28..=30 => self.on_file(&process),
            31 => {
                const LOCKS: [u32; 3] = [LOCK_SH | LOCK_NB, LOCK_EX | LOCK_NB, LOCK_EX];
                attempt(kernel.flock(&process, fd, LOCKS[self.random.below(3)]));
            }
            34..=35 => {
                const COMMANDS: [u32; 5] = [F_GETLK, F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW];
                let (start, len) = (self.random.below(8) as i64, self.random.below(8) as i64);
                let kind = [F_RDLCK, F_WRLCK, F_WRLCK, F_UNLCK][self.random.below(4)];
                let lock = RecordLock { kind, start, len, ..RecordLock::default() };
                attempt(kernel.record_lock(&process, fd, COMMANDS[self.random.below(5)], lock));
            }
            32 => match attempt(kernel.watch(&kernel.host(), At::Cwd(b"/tmp"), true)) {
                Some(Ok(watch)) => self.watches.push(watch),
                Some(Err(KernelError::Limit(hit))) => {
                    assert_eq!((hit.name, hit.used), ("watches", u64::from(WATCHES)));
                    assert_eq!(self.watches.len(), WATCHES as usize);
                    self.watches.clear();
                }
                other => panic!("{:?}", other.map(|watched| watched.err())),
            },
            33 => {
                if let Some(watch) = self.watches.last_mut() {
                    attempt(watch.next(5, &mut Vec::new()));
                }
            }
            0 => self.on_terminal(),
            1..=4 => self.child(&process),
            5 => self.end(&process),
            6 => drop(kernel.setpgid(&process, process.pid.0, [0, other.pid.0][self.random.below(2)])),
            7 => drop(kernel.setpgid(&process, other.pid.0, 0)),
            8 => drop(kernel.setsid(&process)),
            9 => drop(kernel.kill(&process, other.pid.0 as i32, Some(signal))),
            10 => drop(kernel.kill(&process, -(other.pid.0 as i32), Some(signal))),
            11 => drop(kernel.kill(&process, other.pid.0 as i32, Some(Signal::SIGCONT))),
            12 => {
                let to =
                    [Disposition::Default, Disposition::Ignore, Disposition::Catch][self.random.below(3)];
                kernel.sigaction(&process, signal, to);
            }
            13 => kernel.set_sigmask(&process, self.random.next() & self.random.next()),
            14 => drop(process.take_caught()),
            15 => {
                let flags = WNOHANG | WUNTRACED | WCONTINUED;
                attempt(kernel.waitpid(&process, WaitTarget::Any, flags));
            }
            16 => drop(attempt(kernel.waitpid(&process, WaitTarget::Any, 0))),
            17 => drop(kernel.openpty(&process, self.random.below(2) == 0)),
            18 => drop(kernel.pipe(&process, 0)),
            19 => drop(kernel.close(&process, fd)),
            20 => drop(kernel.dup(&process, fd, 0, false)),
            21 => drop(kernel.exec(&process, image(500))),
            22 => drop(process.charge_memory(4096)),
            23 => {
                let path: &[u8] = [&b"/dev/tty"[..], b"/dev/ptmx", b"/dev/pts/1"][self.random.below(3)];
                if let Some(Ok(opened)) =
                    attempt(kernel.open(&kernel.who(&process), Some(&process), At::Cwd(path), O_RDWR, 0))
                {
                    let _ = process.fds.lock().insert(opened, 0, false);
                }
            }
            24 => drop(kernel.setitimer(&process, Duration::ZERO, Duration::from_millis(1))),
            25 => {
                let Some(at) = self.terminals.len().checked_sub(1).map(|last| self.random.below(last + 1))
                else {
                    return;
                };
                match self.random.below(5) {
                    0 => drop(self.terminals.swap_remove(at)),
                    1 => self.terminals[at]
                        .resize(Winsize { rows: 1 + self.random.below(50) as u16, ..Winsize::default() }),
                    2 => drop(attempt(self.terminals[at].read(&mut [0; 4096]))),
                    _ => drop(attempt(
                        self.terminals[at]
                            .write(&[b'x', b'\n', 0x1a, 0x03, 0x1c][..1 + self.random.below(5)]),
                    )),
                }
            }
            _ => {
                let Ok(file) = file else { return };
                match self.random.below(6) {
                    0 => drop(attempt(kernel.read(&process, &file, &mut [0; 64]))),
                    1 => drop(attempt(kernel.write(&process, &file, &[b'y'; 3000]))),
                    2 => drop(attempt(kernel.tcsetpgrp(&process, &file, other.pid))),
                    3 => drop(kernel.tcsetctty(&process, &file)),
                    4 => drop(
                        kernel
                            .tcgetattr(&file)
                            .map(|t| attempt(kernel.tcsetattr(&process, &file, TCSAFLUSH, &t))),
                    ),
                    _ => drop(kernel.tcgetpgrp(&process, &file)),
                }
            }
        }
        if self.random.below(3) == 0 {
            self.end_the_dying();
        }
    }

    /// What must be true at any time.
    fn check(&self) {
        let kernel = &self.kernel;
        assert!(kernel.process_count() <= PROCESSES as usize);
        let memory: u64 =
            kernel.processes().iter().filter_map(|p| kernel.process(*p)).map(|p| p.memory().0).sum();
        assert_eq!(kernel.memory.used(), memory, "what is charged is what processes have");
    }
}

#[tokio::test]
async fn nothing_is_left_behind() {
    for seed in 0..60 {
        let tree = tree();
        let kernel = kernel_of(&tree).await;
        let mut world = World {
            kernel: Arc::clone(&kernel),
            at_start: tree.usage(),
            tree,
            random: Random(seed),
            live: Vec::new(),
            terminals: Vec::new(),
            watches: Vec::new(),
        };
        for step in 0..1500 {
            world.step();
            if step % 50 == 0 {
                world.check();
                // Timers of processes get their turn.
                tokio::task::yield_now().await;
            }
        }
        // All sessions are killed, as if their terminals were closed, in no order that anybody made.
        let mut sessions: Vec<_> = world.live.iter().map(|p| kernel.getsid(p, 0).unwrap()).collect();
        sessions.dedup();
        for session in sessions {
            kernel.kill_session(session);
            world.end_the_dying();
        }
        assert!(world.live.is_empty(), "seed {seed}: {} escaped", world.live.len());
        world.terminals.clear();
        world.watches.clear();
        assert_eq!(kernel.processes(), [], "seed {seed}");
        // Files that are open have no name any more, and locks nobody who holds them.
        for name in [&b"/tmp/a"[..], b"/tmp/b", b"/tmp/fifo"] {
            attempt(kernel.unlink(&kernel.host(), At::Cwd(name)));
        }
        assert_eq!(world.tree.usage(), world.at_start, "seed {seed}: files");
        assert_eq!(kernel.lock_count(), 0, "seed {seed}: locks");
        assert_eq!(kernel.record_lock_count(), (0, 0), "seed {seed}: records");
        let all: Vec<_> = (0..WATCHES)
            .filter_map(|_| attempt(kernel.watch(&kernel.host(), At::Cwd(b"/tmp"), false))?.ok())
            .collect();
        assert_eq!(all.len(), WATCHES as usize, "seed {seed}: watches");
        drop(all);
        assert_eq!(kernel.memory.used(), 0, "seed {seed}");
        assert_eq!(kernel.pipe_count(), 0, "seed {seed}");
        let all: Vec<_> = (0..PTYS).filter_map(|_| kernel.open_terminal(Winsize::default()).ok()).collect();
        assert_eq!(all.len(), PTYS as usize, "seed {seed}: terminals");
        // A session number that is forgotten can be that of a terminal again.
        drop(all);
        tokio::time::timeout(Duration::from_secs(5), kernel.shutdown()).await.expect("nobody is waited for");
        drop(world);
        assert_eq!(Arc::strong_count(&kernel), 1, "seed {seed}: somebody holds the kernel");
    }
}

/// A fork bomb whose members all make others while they are killed: none escapes.
#[test]
fn a_session_that_is_killed_makes_no_more_members() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for round in 0..20 {
        let kernel = runtime.block_on(kernel());
        let terminal = kernel.open_terminal(Winsize::default()).unwrap();
        let spawn = HostSpawn {
            image: Image::default(),
            cwd: kernel.namespace.root(),
            stdio: terminal.stdio().unwrap(),
            cpu_limit_ns: 0,
            agent: false,
            controlling: true,
        };
        let leader = kernel.host_spawn(spawn).unwrap();
        let (killed, late) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|threads| {
            for seed in 0..4 {
                let (kernel, leader, killed, late) = (&kernel, &leader, &killed, &late);
                threads.spawn(move || {
                    let mut random = Random(seed);
                    let mut own: Vec<Arc<Process>> = Vec::new();
                    loop {
                        let after = killed.load(Ordering::SeqCst);
                        let parent = random.pick(&own).unwrap_or_else(|| Arc::clone(leader));
                        let pgid = [PGID_INHERIT, PGID_NEW][random.below(2)];
                        match kernel.spawn_child(&parent, spec(&parent, pgid)) {
                            Ok(child) => {
                                late.fetch_add(usize::from(after), Ordering::SeqCst);
                                own.push(child);
                            }
                            Err(Errno::EINTR) => {}
                            // At the limit some end, so that others can be made.
                            Err(_) => own
                                .drain(..own.len() / 2)
                                .for_each(|p| kernel.exit(&p, WaitStatus::Exited(0))),
                        }
                        if after {
                            break;
                        }
                    }
                    for process in own {
                        assert!(process.is_dying(), "one was missed");
                        kernel.exit(&process, WaitStatus::Signaled(9));
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(3));
            kernel.kill_session(leader.pid);
            killed.store(true, Ordering::SeqCst);
        });
        assert_eq!(late.load(Ordering::SeqCst), 0, "round {round}");
        kernel.exit(&leader, WaitStatus::Signaled(9));
        let states: HashMap<_, _> = kernel.processes().into_iter().map(|p| (p, kernel.process(p))).collect();
        assert!(states.is_empty(), "round {round}: {:?}", states.keys());
    }
}
