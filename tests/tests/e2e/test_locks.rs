//! Locks of files between programs of a machine: who waits gets the lock when its holder goes, however it goes, and what is
//! killed leaves nothing. What single calls answer is the case table of the kernel.

use std::fmt::Write as _;

use agentos::{AgentOs, ProcessHandle, ProcessOutput, Signal, SpawnOptions};
use agentos_tests::{Sidecar, assemble, eventually, sh};

static SIDECAR: Sidecar = Sidecar::new();

const SETLK: u32 = 6;
const SETLKW: u32 = 7;
const OK: &str = "00";
const EAGAIN: &str = "06";
const EDEADLK: &str = "16";
const EINTR: &str = "27";

/// What a program does with `/workspace/f`.
enum Step {
    /// Locks this one byte exclusively, and says the errno.
    Lock(u32, u32),
    /// Waits for a byte of its input; ends at its end.
    Await,
}
use Step::{Await, Lock};

fn locker(steps: &[Step]) -> Vec<u8> {
    let mut body = String::new();
    for step in steps {
        let _ = match step {
            Lock(command, byte) => writeln!(body, "(call $lock (i32.const {command}) (i64.const {byte}))"),
            Await => writeln!(body, "(call $await)"),
        };
    }
    // At 64 the name, at 128 the lock, at 192 a vector and its count, at 256 a line, at 320 what is read.
    assemble(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "agentos_v1" "open" (func $open (param i32 i32 i32 i32 i32 i32) (result i32)))
            (import "agentos_v1" "record_lock" (func $record (param i32 i32 i32) (result i32)))
            (import "agentos_v1" "sigaction" (func $sigaction (param i32 i32 i32) (result i32)))
            (import "agentos_v1" "next_signal" (func $next (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "/workspace/f")
            (data (i32.const 258) "\n")
            (global $fd (mut i32) (i32.const 0))
            (func $lock (param $command i32) (param $byte i64) (local $errno i32)
              (i32.store (i32.const 128) (i32.const 1))
              (i64.store (i32.const 136) (local.get $byte))
              (i64.store (i32.const 144) (i64.const 1))
              (local.set $errno (call $record (global.get $fd) (local.get $command) (i32.const 128)))
              (drop (call $next))
              (i32.store8 (i32.const 256) (i32.add (i32.const 48) (i32.div_u (local.get $errno) (i32.const 10))))
              (i32.store8 (i32.const 257) (i32.add (i32.const 48) (i32.rem_u (local.get $errno) (i32.const 10))))
              (i32.store (i32.const 192) (i32.const 256))
              (i32.store (i32.const 196) (i32.const 3))
              (drop (call $write (i32.const 1) (i32.const 192) (i32.const 1) (i32.const 200))))
            (func $await
              (i32.store (i32.const 192) (i32.const 320))
              (i32.store (i32.const 196) (i32.const 1))
              (drop (call $read (i32.const 0) (i32.const 192) (i32.const 1) (i32.const 200)))
              (if (i32.eqz (i32.load (i32.const 200))) (then (call $exit (i32.const 0)))))
            (func (export "_start")
              (drop (call $sigaction (i32.const 10) (i32.const 2) (i32.const 0)))
              (if (call $open (i32.const -100) (i32.const 64) (i32.const 12) (i32.const 66) (i32.const 420) (i32.const 200))
                (then (call $exit (i32.const 1))))
              (global.set $fd (i32.load (i32.const 200)))
              {body}))"#
    ))
}

/// A locker that runs.
struct Running {
    process: ProcessHandle,
    output: ProcessOutput,
}

impl Running {
    async fn start(os: &AgentOs, name: &str, steps: &[Step]) -> Self {
        let path = format!("/workspace/{name}");
        os.write_file(&path, locker(steps)).await.unwrap();
        os.chmod(&path, 0o755).await.unwrap();
        let process = os.spawn(&path, Vec::<String>::new(), SpawnOptions::default()).await.unwrap();
        let output = process.stdout().await.unwrap();
        Running { process, output }
    }

    /// The errno of the next lock.
    async fn told(&mut self) -> String {
        let mut line = Vec::new();
        while line.len() < 3 {
            let chunk = self.output.next().await.expect("the process goes on").unwrap();
            line.extend_from_slice(&chunk.data);
        }
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    async fn go_on(&self) {
        self.process.write_stdin("x").await.unwrap();
    }

    async fn end(self) {
        self.process.close_stdin().await.unwrap();
        assert_eq!(self.process.wait().await.unwrap().exit_code, 0);
    }
}

async fn locks(os: &AgentOs) -> Vec<String> {
    let told = String::from_utf8(os.read_file("/proc/locks").await.unwrap()).unwrap();
    told.lines().map(str::to_owned).collect()
}

/// Until so many wait for records.
async fn waiting(os: &AgentOs, many: usize) {
    eventually("the waits for records", async || {
        locks(os).await.iter().filter(|line| line.contains("->")).count() == many
    })
    .await;
}

#[test]
fn whoever_waits_gets_the_lock_of_a_killed_holder() {
    SIDECAR.test(async |os| {
        let mut holder = Running::start(os, "holder", &[Lock(SETLK, 0), Await]).await;
        assert_eq!(holder.told().await, OK);
        let steps = [Lock(SETLK, 0), Lock(SETLKW, 0), Await];
        let (mut one, mut two) =
            (Running::start(os, "w", &steps).await, Running::start(os, "w", &steps).await);
        assert_eq!((one.told().await, two.told().await), (EAGAIN.to_owned(), EAGAIN.to_owned()));
        waiting(os, 2).await;
        // One that is killed while it waits is gone from the line.
        two.process.kill().await.unwrap();
        waiting(os, 1).await;
        let told = locks(os).await;
        let pids = (holder.process.pid, one.process.pid);
        assert!(told[0].starts_with(&format!("1: POSIX  ADVISORY  WRITE {} 00:", pids.0)), "{told:?}");
        assert!(told[0].ends_with(" 0 0"), "{told:?}");
        assert!(told[1].starts_with(&format!("1: -> POSIX  ADVISORY  WRITE {} 00:", pids.1)), "{told:?}");
        holder.process.kill().await.unwrap();
        assert_eq!(one.told().await, OK);
        one.end().await;
        assert_eq!(locks(os).await, Vec::<String>::new());
    });
}

#[test]
fn a_signal_ends_a_wait_for_a_record() {
    SIDECAR.test(async |os| {
        let mut holder = Running::start(os, "holder", &[Lock(SETLKW, 0), Await]).await;
        assert_eq!(holder.told().await, OK);
        let mut one = Running::start(os, "w", &[Lock(SETLKW, 0), Lock(SETLK, 1), Await]).await;
        waiting(os, 1).await;
        one.process.signal(Signal::SIGUSR1).await.unwrap();
        let told = one.told().await;
        assert!(told.starts_with(EINTR), "{told}");
        waiting(os, 0).await;
        one.end().await;
        holder.end().await;
    });
}

#[test]
fn two_programs_that_wait_for_each_other_are_told() {
    SIDECAR.test(async |os| {
        let mut one = Running::start(os, "one", &[Lock(SETLK, 0), Await, Lock(SETLKW, 1), Await]).await;
        assert_eq!(one.told().await, OK);
        let mut two = Running::start(os, "two", &[Lock(SETLK, 1), Await, Lock(SETLKW, 0), Await]).await;
        assert_eq!(two.told().await, OK);
        one.go_on().await;
        waiting(os, 1).await;
        two.go_on().await;
        assert_eq!(two.told().await, EDEADLK);
        two.end().await;
        assert_eq!(one.told().await, OK);
        one.end().await;
    });
}

#[test]
fn locks_of_shell_scripts_are_listed_and_exclude_each_other() {
    SIDECAR.test(async |os| {
        let refused = sh(os, "exec 9> g; flock -s --fcntl 9").await;
        assert_eq!(refused.stderr, "flock: 9: Bad file descriptor\n", "it cannot be read: {refused:?}");
        let script = "exec 8> f 9<> g; flock 8; flock -s --fcntl 9; cat /proc/locks; stat -c %i f g";
        let told = sh(os, script).await.stdout;
        let lines: Vec<_> = told.lines().collect();
        let (f, g) = (lines[2], lines[3]);
        assert!(lines[0].starts_with("1: FLOCK  ADVISORY  WRITE "), "{told}");
        assert!(lines[0].ends_with(&format!(":{f} 0 EOF")), "{told}");
        assert!(lines[1].starts_with("2: OFDLCK ADVISORY  READ -1 00:"), "{told}");
        assert!(lines[1].ends_with(&format!(":{g} 0 EOF")), "{told}");
        // The two kinds know nothing of each other; each keeps others of its kind out, and for as long as the command runs.
        let script = "flock --fcntl f sh -c 'flock -n f echo other; flock -n --fcntl f echo same || echo no';\n\
                      flock --fcntl -n f echo free";
        assert_eq!(sh(os, script).await.stdout, "other\nno\nfree\n");
        assert_eq!(locks(os).await, Vec::<String>::new());
    });
}
