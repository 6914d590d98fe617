//! Terminals with processes: sessions, job control, hang-up, windows, and stops that parents hear of.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use agentos_abi::fd::{F_SETFL, O_NOCTTY, O_NONBLOCK, O_RDWR};
use agentos_abi::process::{PGID_INHERIT, PGID_NEW, WCONTINUED, WNOHANG, WUNTRACED};
use agentos_abi::tty::{TCSANOW, Termios, cc, lflag};
use agentos_kernel::sys::{At, WaitTarget};
use agentos_kernel::tty::{Typeahead, Winsize};
use agentos_kernel::{
    ChildSpec, Description, Disposition, Errno, Fd, HostSpawn, Interrupt, Kernel, Limits, Process, Signal,
    Terminal, WaitStatus,
};
use agentos_vfs::Tree;

use crate::config;

const SIZE: Winsize = Winsize { rows: 24, cols: 80, xpixel: 0, ypixel: 0 };

async fn kernel() -> Arc<Kernel> {
    let tree = Tree::new();
    for dir in ["/dev", "/dev/pts", "/proc"] {
        tree.put_dir(dir, 0o755, 0, 0).unwrap();
    }
    tree.put_char_device("/dev/tty", 0o666, agentos_kernel::tty::TTY).unwrap();
    tree.put_char_device("/dev/ptmx", 0o666, agentos_kernel::tty::PTMX).unwrap();
    Kernel::new(config(&tree, Limits { ptys: 4, ..Limits::default() })).await.unwrap()
}

/// A shell that leads a session on a terminal.
async fn shell() -> (Arc<Kernel>, Terminal, Arc<Process>) {
    let kernel = kernel().await;
    let terminal = kernel.open_terminal(SIZE).unwrap();
    let spawn = HostSpawn {
        image: agentos_kernel::process::Image::default(),
        cwd: kernel.namespace.root(),
        stdio: terminal.stdio().unwrap(),
        cpu_limit_ns: 0,
        agent: false,
        controlling: true,
    };
    let shell = kernel.host_spawn(spawn).unwrap();
    (kernel, terminal, shell)
}

fn child(kernel: &Kernel, parent: &Process, pgid: i32, foreground: bool) -> Arc<Process> {
    let spec = ChildSpec {
        fds: parent.fds.lock().clone(),
        image: None,
        cwd: None,
        pgid,
        setsid: false,
        reset_signals: false,
        foreground,
    };
    kernel.spawn_child(parent, spec).unwrap()
}

fn input(process: &Process) -> Arc<Description> {
    Arc::clone(process.fds.lock().get(Fd(0)).unwrap())
}

async fn read(kernel: &Kernel, process: &Process) -> Result<String, Errno> {
    let mut buf = [0; 64];
    let file = input(process);
    let read = kernel.read(process, &file, &mut buf);
    let n = tokio::time::timeout(Duration::from_secs(5), read).await.expect("the read ends")?;
    Ok(String::from_utf8_lossy(&buf[..n]).into_owned())
}

async fn shown(terminal: &Terminal) -> String {
    let mut buf = [0; 256];
    let n = tokio::time::timeout(Duration::from_secs(5), terminal.read(&mut buf)).await.expect("output");
    String::from_utf8_lossy(&buf[..n]).into_owned()
}

async fn change(kernel: &Kernel, parent: &Process) -> Option<WaitStatus> {
    let flags = WNOHANG | WUNTRACED | WCONTINUED;
    kernel.waitpid(parent, WaitTarget::Any, flags).await.unwrap().map(|(_, info)| info.status)
}

fn stopped_by(signal: Signal) -> Option<WaitStatus> {
    Some(WaitStatus::Stopped(signal.raw()))
}

/// Runs `wait` until something else is true of the process, then gives it up.
async fn until(process: &Process, state: Interrupt, wait: impl Future) {
    let seen = async {
        while process.pending_interrupt() != Some(state) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = seen => {}
        _ = wait => panic!("the wait ended"),
        () = tokio::time::sleep(Duration::from_secs(5)) => panic!("never {state:?}"),
    }
}

#[tokio::test]
async fn lines_go_both_ways() {
    let (kernel, terminal, shell) = shell().await;
    terminal.write(b"hello\r").await.unwrap();
    assert_eq!(read(&kernel, &shell).await.unwrap(), "hello\n");
    assert_eq!(shown(&terminal).await, "hello\r\n");
    kernel.write(&shell, &input(&shell), b"a\nb\n").await.unwrap();
    assert_eq!(shown(&terminal).await, "a\r\nb\r\n");
    assert_eq!(kernel.ttyname(&input(&shell)).unwrap(), b"/dev/pts/0");
    assert_eq!(kernel.tcgetpgrp(&shell, &input(&shell)).unwrap(), shell.pid);
    assert_eq!(kernel.tcgetsid(&shell, &input(&shell)).unwrap(), shell.pid);
}

#[tokio::test]
async fn typed_signals_reach_the_foreground_group_only() {
    let (kernel, terminal, shell) = shell().await;
    let job = child(&kernel, &shell, PGID_NEW, true);
    let background = child(&kernel, &shell, PGID_NEW, false);
    terminal.write(b"\x03").await.unwrap();
    assert!(job.is_dying());
    assert!(!shell.is_dying() && !background.is_dying());
    assert_eq!(shown(&terminal).await, "^C");
    let job = child(&kernel, &shell, PGID_NEW, false);
    kernel.sigaction(&shell, Signal::SIGTTOU, Disposition::Ignore);
    kernel.tcsetpgrp(&shell, &input(&shell), job.pid).await.unwrap();
    terminal.write(b"\x1a").await.unwrap();
    assert_eq!(job.pending_interrupt(), Some(Interrupt::Stopped));
    assert_eq!(change(&kernel, &shell).await, stopped_by(Signal::SIGTSTP));
    kernel.kill(&shell, -(job.pid.0 as i32), Some(Signal::SIGCONT)).unwrap();
    assert_eq!(change(&kernel, &shell).await, Some(WaitStatus::Continued));
    assert_eq!(change(&kernel, &shell).await, None);
}

/// Types all that can be typed now.
fn type_now(terminal: &Terminal, ahead: &mut Typeahead) {
    let mut cx = Context::from_waker(Waker::noop());
    while !ahead.is_empty() && terminal.poll_type(&mut cx, ahead).is_ready() {}
}

async fn all_lines(kernel: &Kernel, shell: &Process, terminal: &Terminal, ahead: &mut Typeahead) -> String {
    kernel.fcntl(shell, Fd(0), F_SETFL, O_NONBLOCK).unwrap();
    let mut all = String::new();
    while let Ok(line) = read(kernel, shell).await {
        all.push_str(&line);
        type_now(terminal, ahead);
    }
    all
}

#[tokio::test]
async fn a_signal_passes_a_queue_that_was_filled_before() {
    let (kernel, terminal, shell) = shell().await;
    kernel.sigaction(&shell, Signal::SIGINT, Disposition::Catch);
    let mut ahead = Typeahead::default();
    ahead.push(&b"x\n".repeat(10_000));
    type_now(&terminal, &mut ahead);
    assert!(!ahead.is_empty() && ahead.has_room());
    // Quoted it is a character; in raw mode too, and what changes the mode is looked at again.
    ahead.push(b"\x16\x03\n");
    type_now(&terminal, &mut ahead);
    assert_eq!(shell.take_caught(), None);
    ahead.push(b"y\x03z\n");
    type_now(&terminal, &mut ahead);
    assert_eq!(shell.take_caught(), Some(Signal::SIGINT));
    assert!(ahead.is_empty());
    assert_eq!(all_lines(&kernel, &shell, &terminal, &mut ahead).await, "z\n", "the rest was discarded");
}

#[tokio::test]
async fn a_signal_that_discards_nothing_passes_alone() {
    let (kernel, terminal, shell) = shell().await;
    kernel.sigaction(&shell, Signal::SIGINT, Disposition::Catch);
    kernel.sigaction(&shell, Signal::SIGTSTP, Disposition::Catch);
    let file = input(&shell);
    let sane = kernel.tcgetattr(&file).unwrap();
    let mut raw = sane;
    raw.make_raw();
    kernel.tcsetattr(&shell, &file, TCSANOW, &raw).await.unwrap();
    let mut ahead = Typeahead::default();
    let typed = [b"x\n".repeat(10_000), b"y\x03z\x1a\n".to_vec()].concat();
    ahead.push(&typed);
    type_now(&terminal, &mut ahead);
    assert_eq!(shell.take_caught(), None);
    let kept = Termios { lflag: sane.lflag | lflag::NOFLSH, ..sane };
    kernel.tcsetattr(&shell, &file, TCSANOW, &kept).await.unwrap();
    type_now(&terminal, &mut ahead);
    assert_eq!(shell.take_caught(), Some(Signal::SIGINT));
    assert_eq!(shell.take_caught(), Some(Signal::SIGTSTP));
    let lines = all_lines(&kernel, &shell, &terminal, &mut ahead).await;
    assert!(ahead.is_empty());
    assert_eq!(lines, "x\n".repeat(10_000) + "yz\n");
}

#[tokio::test]
async fn a_group_that_nobody_can_continue_is_not_stopped_from_the_terminal() {
    let (kernel, terminal, shell) = shell().await;
    terminal.write(b"\x1a").await.unwrap();
    assert_eq!(shell.pending_interrupt(), None);
    kernel.set_sigmask(&shell, Signal::SIGTSTP.bit());
    kernel.kill(&shell, shell.pid.0 as i32, Some(Signal::SIGTSTP)).unwrap();
    kernel.set_sigmask(&shell, 0);
    assert_eq!(shell.pending_interrupt(), None, "nor by one that waited");
    let stop = Some(Signal::SIGSTOP);
    kernel.kill(&shell, shell.pid.0 as i32, stop).unwrap();
    assert_eq!(shell.pending_interrupt(), Some(Interrupt::Stopped), "but by SIGSTOP it is");
}

#[tokio::test]
async fn a_window_change_is_told_once() {
    let (kernel, terminal, shell) = shell().await;
    kernel.sigaction(&shell, Signal::SIGWINCH, Disposition::Catch);
    terminal.resize(SIZE);
    assert_eq!(shell.take_caught(), None);
    terminal.resize(Winsize { rows: 50, ..SIZE });
    assert_eq!(shell.take_caught(), Some(Signal::SIGWINCH));
    assert_eq!(terminal.size().rows, 50);
}

#[tokio::test]
async fn background_reads_stop_with_sigttin() {
    let (kernel, terminal, shell) = shell().await;
    let job = child(&kernel, &shell, PGID_NEW, false);
    terminal.write(b"line\n").await.unwrap();
    until(&job, Interrupt::Stopped, read(&kernel, &job)).await;
    assert_eq!(change(&kernel, &shell).await, stopped_by(Signal::SIGTTIN));
    // Who ignores it gets an error.
    let deaf = child(&kernel, &shell, PGID_NEW, false);
    kernel.sigaction(&deaf, Signal::SIGTTIN, Disposition::Ignore);
    assert_eq!(read(&kernel, &deaf).await, Err(Errno::EIO));
    // Brought to the foreground, the first one goes on where it was.
    kernel.sigaction(&shell, Signal::SIGTTOU, Disposition::Ignore);
    kernel.tcsetpgrp(&shell, &input(&shell), job.pid).await.unwrap();
    kernel.kill(&shell, job.pid.0 as i32, Some(Signal::SIGCONT)).unwrap();
    assert_eq!(read(&kernel, &job).await.unwrap(), "line\n");
}

#[tokio::test]
async fn a_stopped_reader_leaves_the_input_to_others() {
    let (kernel, terminal, shell) = shell().await;
    let job = child(&kernel, &shell, PGID_NEW, true);
    let reading = read(&kernel, &job);
    tokio::pin!(reading);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut reading).await.is_err());
    terminal.write(b"\x1a").await.unwrap();
    kernel.sigaction(&shell, Signal::SIGTTOU, Disposition::Ignore);
    kernel.tcsetpgrp(&shell, &input(&shell), shell.pid).await.unwrap();
    terminal.write(b"for the shell\n").await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut reading).await.is_err());
    assert_eq!(read(&kernel, &shell).await.unwrap(), "for the shell\n");
    kernel.tcsetpgrp(&shell, &input(&shell), job.pid).await.unwrap();
    kernel.kill(&shell, job.pid.0 as i32, Some(Signal::SIGCONT)).unwrap();
    terminal.write(b"for the job\n").await.unwrap();
    assert_eq!(reading.await.unwrap(), "for the job\n");
}

#[tokio::test]
async fn background_changes_and_writes_stop_with_sigttou() {
    let (kernel, _terminal, shell) = shell().await;
    let job = child(&kernel, &shell, PGID_NEW, false);
    let file = input(&job);
    assert_eq!(kernel.write(&job, &file, b"x").await, Ok(1), "writes may come without TOSTOP");
    let mut termios = kernel.tcgetattr(&file).unwrap();
    until(&job, Interrupt::Stopped, kernel.tcsetattr(&job, &file, TCSANOW, &termios)).await;
    assert_eq!(change(&kernel, &shell).await, stopped_by(Signal::SIGTTOU));
    kernel.kill(&shell, job.pid.0 as i32, Some(Signal::SIGCONT)).unwrap();
    termios.lflag |= lflag::TOSTOP;
    kernel.tcsetattr(&shell, &file, TCSANOW, &termios).await.unwrap();
    until(&job, Interrupt::Stopped, kernel.write(&job, &file, b"x")).await;
    kernel.kill(&shell, job.pid.0 as i32, Some(Signal::SIGCONT)).unwrap();
    kernel.sigaction(&job, Signal::SIGTTOU, Disposition::Ignore);
    assert_eq!(kernel.write(&job, &file, b"x").await, Ok(1));
}

#[tokio::test]
async fn a_group_that_nobody_can_continue_gets_errors_and_signals() {
    let (kernel, _terminal, shell) = shell().await;
    let parent = child(&kernel, &shell, PGID_NEW, false);
    let orphan = child(&kernel, &parent, PGID_NEW, false);
    let other = child(&kernel, &parent, PGID_NEW, false);
    kernel.kill(&shell, other.pid.0 as i32, Some(Signal::SIGSTOP)).unwrap();
    kernel.sigaction(&other, Signal::SIGHUP, Disposition::Catch);
    kernel.exit(&parent, WaitStatus::Exited(0));
    assert_eq!(read(&kernel, &orphan).await, Err(Errno::EIO));
    assert_eq!(other.take_caught(), Some(Signal::SIGHUP), "it was stopped: told and continued");
    assert_eq!(other.pending_interrupt(), None);
    assert_eq!(orphan.pending_interrupt(), None, "it was not stopped: not told");
}

#[tokio::test]
async fn closing_the_host_end_hangs_up() {
    let (kernel, terminal, shell) = shell().await;
    let job = child(&kernel, &shell, PGID_NEW, true);
    let background = child(&kernel, &shell, PGID_NEW, false);
    kernel.sigaction(&shell, Signal::SIGHUP, Disposition::Catch);
    drop(terminal);
    assert_eq!(shell.take_caught(), Some(Signal::SIGHUP));
    assert!(job.is_dying() && !background.is_dying());
    assert_eq!(read(&kernel, &background).await.unwrap(), "", "the end of file");
    assert_eq!(kernel.write(&background, &input(&background), b"x").await, Err(Errno::EIO));
    assert_eq!(kernel.isatty(&input(&shell)), Err(Errno::EIO));
    let who = kernel.who(&shell);
    let tty = kernel.open(&who, Some(&shell), At::Cwd(b"/dev/tty"), O_RDWR, 0).await;
    assert_eq!(tty.err(), Some(Errno::ENXIO));
}

#[tokio::test]
async fn the_end_of_the_session_leader_hangs_up() {
    let (kernel, terminal, shell) = shell().await;
    let job = child(&kernel, &shell, PGID_NEW, true);
    let background = child(&kernel, &shell, PGID_NEW, false);
    kernel.write(&shell, &input(&shell), b"bye").await.unwrap();
    kernel.exit(&shell, WaitStatus::Exited(0));
    assert!(job.is_dying() && !background.is_dying());
    assert_eq!(shown(&terminal).await, "bye", "what was written before is still shown");
    assert_eq!(shown(&terminal).await, "", "then it is over, whoever holds it open");
}

#[tokio::test]
async fn the_controlling_terminal_is_taken_by_a_leader_that_opens_one() {
    let (kernel, terminal, shell) = shell().await;
    let who = kernel.who(&shell);
    let tty = kernel.open(&who, Some(&shell), At::Cwd(b"/dev/tty"), O_RDWR, 0).await.unwrap();
    assert_eq!(kernel.ttyname(&tty).unwrap(), b"/dev/pts/0");
    let daemon = child(&kernel, &shell, PGID_INHERIT, false);
    kernel.setsid(&daemon).unwrap();
    let open = async |path: &str, flags: u32| {
        kernel.open(&who, Some(&daemon), At::Cwd(path.as_bytes()), O_RDWR | flags, 0).await
    };
    assert_eq!(open("/dev/tty", 0).await.err(), Some(Errno::ENXIO));
    let theirs = open("/dev/pts/0", 0).await.unwrap();
    assert_eq!(kernel.tcgetpgrp(&daemon, &theirs), Err(Errno::ENOTTY), "it is that of another session");
    let master = open("/dev/ptmx", 0).await.unwrap();
    assert_eq!(kernel.ttyname(&master).unwrap(), b"/dev/pts/1");
    let own = open("/dev/pts/1", O_NOCTTY).await.unwrap();
    assert_eq!(kernel.tcgetpgrp(&daemon, &own), Err(Errno::ENOTTY));
    let own = open("/dev/pts/1", 0).await.unwrap();
    assert_eq!(kernel.tcgetpgrp(&daemon, &own), Ok(daemon.pid));
    assert!(open("/dev/tty", 0).await.is_ok());
    assert_eq!(open("/dev/pts/7", 0).await.err(), Some(Errno::ENOENT));
    assert_eq!(kernel.tcsetctty(&shell, &own), Err(Errno::EPERM));
    drop(terminal);
}

#[tokio::test]
async fn a_child_that_never_ran_gives_the_terminal_back() {
    let (kernel, _terminal, shell) = shell().await;
    let foreground = || kernel.tcgetpgrp(&shell, &input(&shell)).unwrap();
    let failed = child(&kernel, &shell, PGID_NEW, true);
    assert_eq!(foreground(), failed.pid);
    kernel.abandon(&failed);
    assert_eq!(foreground(), shell.pid);
    // Into a group that lives on, likewise; but what somebody else has chosen meanwhile stays.
    let job = child(&kernel, &shell, PGID_NEW, false);
    let failed = child(&kernel, &shell, job.pid.0 as i32, true);
    assert_eq!(foreground(), job.pid);
    kernel.abandon(&failed);
    assert_eq!(foreground(), shell.pid);
    let failed = child(&kernel, &shell, PGID_NEW, true);
    kernel.sigaction(&shell, Signal::SIGTTOU, Disposition::Ignore);
    kernel.tcsetpgrp(&shell, &input(&shell), job.pid).await.unwrap();
    kernel.abandon(&failed);
    assert_eq!(foreground(), job.pid);
}

#[tokio::test]
async fn vmin_and_vtime() {
    let (kernel, terminal, shell) = shell().await;
    let file = input(&shell);
    let set = async |min: u8, time: u8| {
        let mut raw = Termios::default();
        raw.make_raw();
        (raw.cc[cc::VMIN], raw.cc[cc::VTIME]) = (min, time);
        kernel.tcsetattr(&shell, &file, TCSANOW, &raw).await.unwrap();
    };
    set(0, 0).await;
    assert_eq!(read(&kernel, &shell).await.unwrap(), "");
    set(0, 1).await;
    assert_eq!(read(&kernel, &shell).await.unwrap(), "", "after a tenth of a second");
    set(3, 0).await;
    terminal.write(b"ab").await.unwrap();
    let reading = read(&kernel, &shell);
    tokio::pin!(reading);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut reading).await.is_err());
    terminal.write(b"c").await.unwrap();
    assert_eq!(reading.await.unwrap(), "abc");
    set(3, 1).await;
    terminal.write(b"x").await.unwrap();
    assert_eq!(read(&kernel, &shell).await.unwrap(), "x", "no second byte came in time");
}

#[tokio::test]
async fn a_read_is_interrupted_by_a_caught_signal() {
    let (kernel, terminal, shell) = shell().await;
    kernel.sigaction(&shell, Signal::SIGINT, Disposition::Catch);
    let reading = read(&kernel, &shell);
    tokio::pin!(reading);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut reading).await.is_err());
    terminal.write(b"abc\x03").await.unwrap();
    assert_eq!(reading.await, Err(Errno::EINTR));
    assert_eq!(shell.take_caught(), Some(Signal::SIGINT));
}

#[tokio::test]
async fn a_stop_that_was_held_is_told_when_it_is_let_through() {
    let (kernel, _terminal, shell) = shell().await;
    let job = child(&kernel, &shell, PGID_NEW, false);
    kernel.set_sigmask(&job, Signal::SIGTSTP.bit());
    kernel.kill(&shell, job.pid.0 as i32, Some(Signal::SIGTSTP)).unwrap();
    assert_eq!(change(&kernel, &shell).await, None);
    kernel.set_sigmask(&job, 0);
    assert_eq!(change(&kernel, &shell).await, stopped_by(Signal::SIGTSTP));
}

#[tokio::test]
async fn a_stop_that_was_to_be_caught_is_told_when_nobody_catches_it_any_more() {
    let (kernel, _terminal, shell) = shell().await;
    for by_exec in [false, true] {
        let job = child(&kernel, &shell, PGID_NEW, false);
        kernel.sigaction(&job, Signal::SIGTSTP, Disposition::Catch);
        kernel.kill(&shell, job.pid.0 as i32, Some(Signal::SIGTSTP)).unwrap();
        assert_eq!(change(&kernel, &shell).await, None);
        if by_exec {
            kernel.exec(&job, agentos_kernel::process::Image::default()).unwrap();
        } else {
            kernel.sigaction(&job, Signal::SIGTSTP, Disposition::Default);
        }
        assert_eq!(change(&kernel, &shell).await, stopped_by(Signal::SIGTSTP));
    }
}

#[tokio::test]
async fn terminals_are_bounded_and_come_back() {
    let (kernel, terminal, shell) = shell().await;
    let (a, b) = kernel.openpty(&shell, true).unwrap();
    kernel.openpty(&shell, true).unwrap();
    kernel.openpty(&shell, true).unwrap();
    assert_eq!(kernel.openpty(&shell, true), Err(Errno::ENOSPC));
    match kernel.open_terminal(SIZE) {
        Err(agentos_kernel::KernelError::Limit(hit)) => assert_eq!((hit.name, hit.used), ("ptys", 4)),
        _ => panic!("a fifth terminal"),
    }
    kernel.close(&shell, a).unwrap();
    kernel.close(&shell, b).unwrap();
    assert!(kernel.open_terminal(SIZE).is_ok());
    kernel.exit(&shell, WaitStatus::Exited(0));
    drop(terminal);
    let four: Vec<_> = (0..4).map(|_| kernel.open_terminal(SIZE).unwrap()).collect();
    assert_eq!(four.len(), 4);
}

#[tokio::test]
async fn a_timer_rings_again() {
    let (kernel, _terminal, shell) = shell().await;
    kernel.sigaction(&shell, Signal::SIGALRM, Disposition::Catch);
    let ms = Duration::from_millis;
    assert_eq!(kernel.setitimer(&shell, ms(5), ms(5)), (Duration::ZERO, Duration::ZERO));
    for _ in 0..3 {
        assert_eq!(kernel.pause(&shell).await, Errno::EINTR);
        assert_eq!(shell.take_caught(), Some(Signal::SIGALRM));
    }
    let (interval, left) = kernel.setitimer(&shell, Duration::ZERO, Duration::ZERO);
    assert!(interval == ms(5) && left <= ms(5));
    assert_eq!(kernel.getitimer(&shell), (Duration::ZERO, Duration::ZERO));
    // It ends with the process, not when somebody has waited for it.
    let job = child(&kernel, &shell, PGID_NEW, false);
    kernel.sigaction(&job, Signal::SIGALRM, Disposition::Catch);
    kernel.setitimer(&job, ms(1), ms(1));
    kernel.exit(&job, WaitStatus::Exited(0));
    while job.take_caught().is_some() {}
    tokio::time::sleep(ms(20)).await;
    assert_eq!(job.take_caught(), None);
}
