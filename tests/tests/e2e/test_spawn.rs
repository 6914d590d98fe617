//! `spawn`: processes that stay, their streams, their signals, and how they are listed.
//! Ends by time and by cancelling are in `test_exec`.

use std::collections::BTreeSet;
use std::time::Duration;

use agentos::{
    AgentOs, AgentOsConfig, Errno, Error, ProcessHandle, ProcessOutput, ProcessTreeNode, Signal,
    SpawnOptions, SpawnStdin, VmLimits,
};
use agentos_tests::{Sidecar, eventually, live_processes};

static SIDECAR: Sidecar = Sidecar::new();

async fn spawn(os: &AgentOs, line: &str) -> ProcessHandle {
    os.spawn("sh", ["-c", line], SpawnOptions::default()).await.unwrap()
}

/// All of it, and the offset of its first byte.
async fn all(mut output: ProcessOutput) -> (u64, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut start = None;
    while let Some(chunk) = output.next().await {
        let chunk = chunk.unwrap();
        start.get_or_insert(chunk.offset);
        bytes.extend_from_slice(&chunk.data);
    }
    (start.unwrap_or(0), bytes)
}

/// Waits for this much output, so that a process is known to have come that far.
async fn see(output: &mut ProcessOutput, text: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let chunk = output.next().await.expect("the process goes on").unwrap();
        seen.extend_from_slice(&chunk.data);
    }
}

#[test]
fn input_is_written_as_it_comes_and_closed_once() {
    SIDECAR.test(async |os| {
        let cat = os.spawn("cat", Vec::<String>::new(), SpawnOptions::default()).await.unwrap();
        let mut out = cat.stdout().await.unwrap();
        for word in ["one ", "two ", "three"] {
            cat.write_stdin(word).await.unwrap();
            see(&mut out, word.trim()).await;
        }
        cat.close_stdin().await.unwrap();
        cat.close_stdin().await.unwrap();
        assert_eq!(cat.wait().await.unwrap().exit_code, 0);
        assert!(matches!(cat.write_stdin("x").await, Err(Error::ProcessNotFound { .. })));
        assert_eq!(all(cat.stdout().await.unwrap()).await.1, b"one two three");
    });
}

#[test]
fn writing_to_what_no_longer_reads_is_a_broken_pipe() {
    SIDECAR.test(async |os| {
        let process = spawn(os, "exit 0").await;
        process.wait().await.unwrap();
        let big = vec![0; 4 << 20];
        let refused = process.write_stdin(&big).await.unwrap_err();
        assert_eq!(refused.errno(), Some(agentos::Errno::EPIPE), "{refused:?}");
    });
}

#[test]
fn input_can_be_absent_or_given() {
    SIDECAR.test(async |os| {
        for (stdin, seen) in [(SpawnStdin::Null, ""), (SpawnStdin::Bytes(b"given".to_vec()), "given")] {
            let options = SpawnOptions { stdin, ..SpawnOptions::default() };
            let cat = os.spawn("cat", Vec::<String>::new(), options).await.unwrap();
            assert_eq!(cat.wait().await.unwrap().exit_code, 0);
            assert_eq!(all(cat.stdout().await.unwrap()).await.1, seen.as_bytes());
        }
    });
}

#[test]
fn output_can_be_read_again_from_any_offset() {
    SIDECAR.test(async |os| {
        let process = spawn(os, "printf 0123456789; printf errors >&2; read line; printf abc").await;
        let mut early = process.stdout().await.unwrap();
        see(&mut early, "0123456789").await;
        assert_eq!(early.offset(), 10);
        process.write_stdin("go\n").await.unwrap();
        assert_eq!(process.wait().await.unwrap().exit_code, 0);
        assert_eq!(all(early).await, (10, b"abc".to_vec()), "a reader goes on");
        for (from, rest) in [(0, "0123456789abc"), (4, "456789abc"), (10, "abc"), (13, "")] {
            let (start, bytes) = all(os.on_process_stdout_from(process.pid, from).await.unwrap()).await;
            assert_eq!(bytes, rest.as_bytes());
            assert!(rest.is_empty() || start == from);
        }
        assert_eq!(all(process.stderr().await.unwrap()).await.1, b"errors");
        assert_eq!(all(os.on_process_stderr_from(process.pid, 3).await.unwrap()).await.1, b"ors");
    });
}

#[test]
fn a_full_ring_drops_the_oldest_and_the_offset_tells() {
    let limits = VmLimits { process_output_bytes: 65_536, ..VmLimits::default() };
    SIDECAR.test_with(AgentOsConfig::builder().limits(limits).build(), async |os| {
        let process = spawn(os, "seq 1 50000").await;
        let whole: String = (1..=50_000).map(|i| format!("{i}\n")).collect();
        // Nobody reads: the process must end all the same, or wait for a reader; either way nothing is made up.
        let (start, bytes) = all(process.stdout().await.unwrap()).await;
        assert_eq!(process.wait().await.unwrap().exit_code, 0);
        let start = usize::try_from(start).unwrap();
        assert!(whole.as_bytes()[start..] == bytes, "what is kept is the end of it");
        let late = os.on_process_stdout_from(process.pid, 0).await.unwrap();
        assert!(late.offset() > 0, "the ring is smaller than the output");
        let (start, bytes) = all(late).await;
        let start = usize::try_from(start).unwrap();
        assert!(bytes.len() <= 65_536 && whole.as_bytes()[start..] == bytes);
    });
}

#[test]
fn the_end_is_told_to_all_who_wait() {
    SIDECAR.test(async |os| {
        let process = spawn(os, "read line; exit 5").await;
        let waits: Vec<_> = (0..5).map(|_| tokio::spawn(os.on_process_exit(process.pid))).collect();
        process.write_stdin("\n").await.unwrap();
        for wait in waits {
            assert_eq!(wait.await.unwrap().unwrap().exit_code, 5);
        }
        assert_eq!(process.wait().await.unwrap().exit_code, 5, "and later");
        for unknown in [999_999, 0] {
            let refused = os.wait_process(unknown).await.unwrap_err();
            assert!(matches!(refused, Error::ProcessNotFound { pid } if pid == unknown), "{refused:?}");
        }
    });
}

#[test]
fn spawned_processes_are_listed_running_and_ended() {
    SIDECAR.test(async |os| {
        let ended = spawn(os, "exit 4").await;
        ended.wait().await.unwrap();
        let running = os.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap();
        let list = os.list_processes().await.unwrap();
        let of = |pid| list.iter().find(|p| p.pid == pid).unwrap();
        assert_eq!((of(ended.pid).running, of(ended.pid).exit_code), (false, Some(4)));
        assert_eq!((of(running.pid).running, of(running.pid).exit_code), (true, None));
        assert_eq!((&*of(running.pid).command, &*of(running.pid).args), ("sleep", &["1000".to_owned()][..]));
        assert_eq!(os.get_process(running.pid).await.unwrap(), *of(running.pid));
        assert!(matches!(os.get_process(1_000_000).await, Err(Error::ProcessNotFound { .. })));
        running.kill().await.unwrap();
        assert_eq!(running.wait().await.unwrap().exit_code, 137);
        assert!(!os.get_process(running.pid).await.unwrap().running);
    });
}

#[test]
fn the_tree_shows_who_started_whom() {
    SIDECAR.test(async |os| {
        let root = spawn(os, "sh -c 'sleep 1000 & echo up; wait' & wait").await;
        see(&mut root.stdout().await.unwrap(), "up").await;
        let all = live_processes(os).await;
        let pids: BTreeSet<u32> = all.iter().map(|p| p.pid).collect();
        assert_eq!(pids.len(), 3, "{all:?}");
        for process in &all {
            assert_eq!((process.pgid, process.sid), (root.pid, root.pid), "{process:?}");
            assert_eq!(process.cwd, "/workspace");
            assert!(process.start_time > 1.0e12);
        }
        let tree = os.process_tree().await.unwrap();
        let top = tree.iter().find(|node| node.process.pid == root.pid).unwrap();
        let chain = |node: &ProcessTreeNode| node.children.first().cloned().unwrap();
        let sleep = chain(&chain(top));
        assert_eq!((&*sleep.process.command, &*sleep.process.args), ("sleep", &["1000".to_owned()][..]));
        root.kill().await.unwrap();
        root.wait().await.unwrap();
        // They are orphans now; nobody but us can end them.
        for pid in pids.into_iter().filter(|pid| *pid != root.pid) {
            match os.kill_process(pid).await {
                Ok(()) | Err(Error::ProcessNotFound { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn signals_reach_their_process() {
    SIDECAR.test(async |os| {
        let trap =
            spawn(os, "trap 'echo usr1' USR1; trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done")
                .await;
        let mut out = trap.stdout().await.unwrap();
        see(&mut out, "up").await;
        trap.signal(Signal::SIGUSR1).await.unwrap();
        see(&mut out, "usr1").await;
        trap.stop().await.unwrap();
        let status = trap.wait().await.unwrap();
        assert_eq!((status.exit_code, status.signal), (9, None), "TERM was caught");

        let plain = spawn(os, "sleep 1000; :").await;
        plain.stop().await.unwrap();
        let status = plain.wait().await.unwrap();
        assert_eq!((status.exit_code, status.signal.as_deref()), (143, Some("SIGTERM")));
        let late = plain.signal(Signal::SIGTERM).await.unwrap_err();
        assert_eq!(late.errno(), Some(Errno::ESRCH), "{late:?}");
        assert!(matches!(os.kill_process(1_000_000).await, Err(Error::ProcessNotFound { .. })));
        // The child of the shell that was told to end is an orphan: it is not ended by its parent's end.
        for orphan in live_processes(os).await {
            let _ = os.kill_process(orphan.pid).await;
        }
    });
}

#[test]
fn a_stopped_process_goes_on_when_told() {
    SIDECAR.test(async |os| {
        let process = spawn(os, "while :; do echo tick; sleep 0.01; done").await;
        let mut out = process.stdout().await.unwrap();
        see(&mut out, "tick").await;
        process.signal(Signal::SIGSTOP).await.unwrap();
        eventually("it is stopped", async || {
            let all = os.all_processes().await.unwrap();
            all.iter().any(|p| p.pid == process.pid && p.status == agentos::ProcessStatus::Stopped)
        })
        .await;
        process.signal(Signal::SIGCONT).await.unwrap();
        see(&mut out, "tick\ntick\ntick\n").await;
        process.kill().await.unwrap();
        assert_eq!(process.wait().await.unwrap().signal.as_deref(), Some("SIGKILL"));
        for orphan in live_processes(os).await {
            let _ = os.kill_process(orphan.pid).await;
        }
    });
}

#[test]
fn what_cannot_be_started_is_an_error() {
    SIDECAR.test(async |os| {
        os.write_file("/workspace/plain", "x").await.unwrap();
        for (program, errno) in [
            ("no-such-program", agentos::Errno::ENOENT),
            ("/workspace/plain", agentos::Errno::EACCES),
            ("/workspace", agentos::Errno::EACCES),
        ] {
            let refused = os.spawn(program, ["x"], SpawnOptions::default()).await.unwrap_err();
            assert_eq!(refused.errno(), Some(errno), "{program}: {refused:?}");
        }
    });
}

#[test]
fn a_timeout_ends_a_spawned_process_with_its_children() {
    SIDECAR.test(async |os| {
        let options = SpawnOptions { timeout: Some(Duration::from_millis(300)), ..SpawnOptions::default() };
        let process = os.spawn("sh", ["-c", "sleep 1000 & sleep 1001; :"], options).await.unwrap();
        let status = process.wait().await.unwrap();
        assert!(status.timed_out, "{status:?}");
        assert_eq!(status.exit_code, 137);
    });
}

#[test]
fn disposing_ends_what_runs_and_all_waits() {
    SIDECAR.test(async |_| {
        let os = SIDECAR.create(AgentOsConfig::default()).await.unwrap();
        let process = spawn(&os, "sleep 1000 & wait").await;
        let mut out = process.stdout().await.unwrap();
        let wait = tokio::spawn(os.on_process_exit(process.pid));
        os.dispose().await.unwrap();
        os.dispose().await.unwrap();
        // It was killed, or the machine is gone: in any case the wait ends, and so does the output.
        match wait.await.unwrap() {
            Ok(status) => assert_eq!(status.exit_code, 137),
            Err(error) => {
                assert!(matches!(error, Error::Disposed | Error::ProcessNotFound { .. }), "{error:?}")
            }
        }
        while let Some(Ok(_)) = out.next().await {}
        assert!(matches!(process.wait().await, Err(Error::Disposed)));
        assert!(matches!(os.read_file("/etc/passwd").await, Err(Error::Disposed)));
    });
}
