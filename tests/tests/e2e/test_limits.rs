//! Everything a guest can grow has a limit; at the limit it gets an error, and nobody else notices.
//! Time is limited in `test_exec`.

use agentos::{AgentOsConfig, Errno, Error, Event, ExecOptions, MkdirOptions, SpawnOptions, VmLimits};
use agentos_tests::{Sidecar, eventually, live_processes, module, sh};

static SIDECAR: Sidecar = Sidecar::new();

fn with(limits: VmLimits) -> AgentOsConfig {
    AgentOsConfig::builder().limits(limits).build()
}

#[test]
fn fork_bombs_end_at_the_limit_and_do_not_stop_a_neighbour() {
    static OWN: Sidecar = Sidecar::new();
    OWN.test(async |ninth| {
        let mut bombs = Vec::new();
        for _ in 0..8 {
            bombs
                .push(SIDECAR.create(with(VmLimits { processes: 64, ..VmLimits::default() })).await.unwrap());
        }
        for bomb in &bombs {
            bomb.spawn("sh", ["-c", "f(){ f|f& };f; while :; do :; done"], SpawnOptions::default())
                .await
                .unwrap();
        }
        for i in 0..50 {
            let result = sh(ninth, &format!("echo {i} | cat")).await;
            assert_eq!(result.stdout, format!("{i}\n"));
        }
        for bomb in &bombs {
            assert!(bomb.all_processes().await.unwrap().len() <= 64);
        }
        for bomb in bombs {
            bomb.dispose().await.unwrap();
        }
        assert_eq!(OWN.handle().await.describe().await.unwrap().active_vm_count, 1);
    });
}

#[test]
fn one_process_too_many_is_an_error_that_names_the_limit() {
    SIDECAR.test_with(with(VmLimits { processes: 3, ..VmLimits::default() }), async |os| {
        let mut started = Vec::new();
        for _ in 0..3 {
            started.push(os.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap());
        }
        for refused in [
            os.spawn("sleep", ["1"], SpawnOptions::default()).await.map(|_| ()).unwrap_err(),
            os.exec("true", ExecOptions::default()).await.map(|_| ()).unwrap_err(),
        ] {
            match refused {
                Error::Limit { name, configured, used, requested } => {
                    assert_eq!((&*name, configured, used, requested), ("processes", 3, 3, 1));
                }
                other => panic!("{other:?}"),
            }
        }
        for process in &started {
            process.kill().await.unwrap();
            process.wait().await.unwrap();
        }
        let result = sh(os, "echo a | cat | cat; echo after").await;
        assert!(result.stderr.contains("emporarily unavailable"), "a guest gets EAGAIN: {result:?}");
        assert!(live_processes(os).await.is_empty());
        assert_eq!(sh(os, "echo again | cat").await.stdout, "again\n");
    });
}

#[test]
fn descriptors_end_with_emfile() {
    SIDECAR.test_with(with(VmLimits { fds_per_process: 128, ..VmLimits::default() }), async |os| {
        let result =
            sh(os, "tee $(seq 200) < /etc/hostname; cat 1; wc -c < 100; [ -s 150 ] || echo empty").await;
        let refused = result.stderr.lines().filter(|line| line.contains("tee: ")).count();
        assert!((70..100).contains(&refused), "{result:?}");
        assert_eq!(result.stdout, "agentos\nagentos\n8\nempty\n");
        assert_eq!(sh(os, "cat /etc/hostname").await.stdout, "agentos\n");
    });
}

#[test]
fn pipes_end_with_enfile_and_come_back() {
    SIDECAR.test_with(with(VmLimits { pipes: 4, ..VmLimits::default() }), async |os| {
        let result = sh(os, "sleep 1 | cat | cat | cat | cat | cat | cat | cat").await;
        assert!(result.stderr.contains("oo many open files"), "{result:?}");
        assert!(result.exit_code != 0);
        for _ in 0..10 {
            assert_eq!(sh(os, "echo x | cat | cat | cat").await.stdout, "x\n");
        }
    });
}

#[test]
fn a_program_that_takes_too_much_memory_is_killed_alone() {
    SIDECAR.test(async |os| {
        // Grows by 16 MiB and touches each page of it, for ever.
        let body = "(local $at i32) (loop $again \
            (local.set $at (i32.mul (memory.grow (i32.const 256)) (i32.const 65536))) \
            (if (i32.eq (local.get $at) (i32.const -65536)) (then unreachable)) \
            (memory.fill (local.get $at) (i32.const 1) (i32.const 16777216)) \
            (br $again))";
        os.write_file("/workspace/hungry.wasm", module(body, "")).await.unwrap();
        os.chmod("/workspace/hungry.wasm", 0o755).await.unwrap();
        let other = os.spawn("cat", Vec::<String>::new(), SpawnOptions::default()).await.unwrap();
        let result = os.exec_argv(["/workspace/hungry.wasm"], ExecOptions::default()).await.unwrap();
        assert_eq!((result.exit_code, result.signal.as_deref()), (137, Some("SIGKILL")), "{result:?}");
        assert_eq!(sh(os, "./hungry.wasm; echo $?").await.stdout, "137\n");
        other.close_stdin().await.unwrap();
        assert_eq!(other.wait().await.unwrap().exit_code, 0);
    });
}

#[test]
fn all_processes_together_have_a_limit_of_memory() {
    let limits = VmLimits { vm_memory: 96 << 20, process_memory: 64 << 20, ..VmLimits::default() };
    SIDECAR.test_with(with(limits), async |os| {
        // 48 MiB each: one fits, three do not.
        let body = "(if (i32.eq (memory.grow (i32.const 768)) (i32.const -1)) (then (call $exit (i32.const 44)))) \
            (memory.fill (i32.const 65536) (i32.const 1) (i32.const 50331648)) \
            (loop $wait (br $wait))";
        os.write_file("/workspace/holds.wasm", module(body, "")).await.unwrap();
        os.chmod("/workspace/holds.wasm", 0o755).await.unwrap();
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(os.spawn("/workspace/holds.wasm", Vec::<String>::new(), SpawnOptions::default()).await.unwrap());
        }
        eventually("one is killed", async || live_processes(os).await.len() < 3).await;
        for process in &all {
            let _ = process.kill().await;
            process.wait().await.unwrap();
        }
        assert_eq!(sh(os, "echo again | cat").await.stdout, "again\n");
    });
}

#[test]
fn a_full_file_system_is_enospc_and_deleting_makes_room() {
    SIDECAR.test_with(with(VmLimits { filesystem_bytes: 4 << 20, ..VmLimits::default() }), async |os| {
        for length in [6_u32 << 20, 5 << 20] {
            let full = os.write_file("/tmp/f", vec![1; length as usize]).await.unwrap_err();
            assert_eq!(full.errno(), Some(Errno::ENOSPC), "{full:?}");
            os.delete("/tmp/f", Default::default()).await.unwrap();
        }
        let result = sh(os, "head -c 6000000 /dev/zero > /tmp/g; echo $?; wc -c < /tmp/g; rm /tmp/g; echo ok > /tmp/h && cat /tmp/h").await;
        assert!(result.stderr.contains("No space left"), "{result:?}");
        assert!(result.stdout.ends_with("ok\n"), "{result:?}");
        // A sparse file has length, not bytes; whatever is charged, it must not be refused for ever.
        os.write_file("/tmp/i", vec![1; 3 << 20]).await.unwrap();
    });
    SIDECAR.test_with(with(VmLimits { inodes: 50, ..VmLimits::default() }), async |os| {
        let mut made = 0;
        let full = loop {
            match os.mkdir(format!("/tmp/{made}"), MkdirOptions::default()).await {
                Ok(()) => made += 1,
                Err(error) => break error,
            }
        };
        assert!(made <= 50, "{made}");
        assert_eq!(full.errno(), Some(Errno::ENOSPC), "{full:?}");
    });
}

#[test]
fn arguments_that_are_too_long_are_e2big() {
    SIDECAR.test_with(with(VmLimits { argv_env_bytes: 100_000, ..VmLimits::default() }), async |os| {
        let refused = os.spawn("echo", ["x".repeat(200_000)], SpawnOptions::default()).await.unwrap_err();
        let ok = match &refused {
            Error::Kernel { errno, .. } => *errno == Errno::E2BIG,
            Error::Limit { name, .. } => name == "argvEnvBytes",
            _ => false,
        };
        assert!(ok, "{refused:?}");
        let result = sh(os, "x=$(head -c 200000 /dev/zero | tr '\\0' x); /bin/echo $x; echo $?").await;
        assert_eq!(result.stdout, "126\n", "{result:?}");
        assert!(result.stderr.contains("rgument list too long"), "{result:?}");
        assert_eq!(
            sh(os, "x=$(head -c 50000 /dev/zero | tr '\\0' x); /bin/echo $x | wc -c").await.stdout.trim(),
            "50001"
        );
    });
}

#[test]
fn names_paths_and_links_have_posix_limits() {
    SIDECAR.test(async |os| {
        let name = |n: usize| format!("/tmp/{}", "n".repeat(n));
        os.write_file(name(255), "").await.unwrap();
        assert_eq!(os.write_file(name(256), "").await.unwrap_err().errno(), Some(Errno::ENAMETOOLONG));
        let long = "/d".repeat(2100);
        assert_eq!(os.stat(&long).await.unwrap_err().errno(), Some(Errno::ENAMETOOLONG));
        os.symlink("/etc/hostname", "/tmp/l0").await.unwrap();
        for i in 1..=40 {
            os.symlink(format!("l{}", i - 1), format!("/tmp/l{i}")).await.unwrap();
        }
        assert!(os.stat("/tmp/l39").await.is_ok());
        assert_eq!(os.stat("/tmp/l40").await.unwrap_err().errno(), Some(Errno::ELOOP));
    });
}

#[test]
fn deep_trees_are_no_danger() {
    SIDECAR.test(async |os| {
        let script = "i=0; while [ $i -lt 2000 ] && mkdir d && cd d; do i=$((i+1)); done; echo $i";
        let result = sh(os, script).await;
        assert_eq!(result.stdout, "2000\n", "{result:?}");
        assert_eq!(os.readdir_recursive("/workspace", Default::default()).await.unwrap().len(), 2000);
        os.delete("/workspace/d", agentos::DeleteOptions { recursive: true }).await.unwrap();
        assert_eq!(os.readdir("/workspace").await.unwrap().len(), 0);
    });
}

/// A program that calls `spawn` once with a path and an environment of its making, and exits with the errno.
fn spawner(path_len: u32, fd_map_len: u32) -> Vec<u8> {
    // At 64 the name, at 65,536 the environment: one variable, PATH, that ends in two million colons.
    const COLONS: u32 = 2_000_000;
    let env_len = 4 + 5 + COLONS;
    agentos_tests::assemble(&format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "agentos_v1" "spawn" (func $spawn
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1600)
            (data (i32.const 64) "x")
            (data (i32.const 65540) "PATH=")
            (func (export "_start")
              (i32.store (i32.const 65536) (i32.const {value}))
              (memory.fill (i32.const 65545) (i32.const 58) (i32.const {COLONS}))
              (call $exit (call $spawn (i32.const 64) (i32.const {path_len}) (i32.const 0) (i32.const 0)
                (i32.const 65536) (i32.const {env_len}) (i32.const 0) (i32.const 0)
                (i32.const 4194304) (i32.const {fd_map_len}) (i32.const 0) (i32.const 1) (i32.const 0)))))"#,
        value = env_len - 4,
    ))
}

#[test]
fn what_a_guest_gives_to_spawn_is_bounded() {
    SIDECAR.test(async |os| {
        // A long search, a long name, a long table of descriptors: each would keep a thread of the host busy.
        for (name, path_len, map_len, errno) in
            [("search", 1, 0, 1), ("name", 64 << 20, 0, 37), ("descriptors", 1, 80 << 20, 28)]
        {
            let path = format!("/workspace/{name}");
            os.write_file(&path, spawner(path_len, map_len)).await.unwrap();
            os.chmod(&path, 0o755).await.unwrap();
            let done = os.exec_argv([&*path], ExecOptions::default()).await.unwrap();
            // E2BIG, ENAMETOOLONG and EINVAL of WASI: it was this bound, and not that there is no such program.
            assert_eq!((done.exit_code, done.signal.as_deref()), (errno, None), "{name}: {done:?}");
        }
    });
}

#[test]
fn a_module_that_makes_its_compiler_talk_stops_nobody() {
    SIDECAR.test(async |os| {
        // Two exports of one very long name: the message of the validator is longer than a pipe holds.
        let name = vec![b'n'; 99_990];
        let number = |mut n: usize| {
            let mut bytes = Vec::new();
            loop {
                bytes.push((n & 0x7f) as u8 | if n > 0x7f { 0x80 } else { 0 });
                n >>= 7;
                if n == 0 {
                    return bytes;
                }
            }
        };
        let export = [&number(name.len())[..], &name, &[0, 0]].concat();
        let exports = [&[2][..], &export, &export].concat();
        let start = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07";
        let talker = [&start[..], &number(exports.len()), &exports, b"\x0a\x04\x01\x02\0\x0b"].concat();
        for file in ["/workspace/a", "/workspace/b"] {
            os.write_file(file, &talker).await.unwrap();
            os.chmod(file, 0o755).await.unwrap();
            let refused = os.exec_argv([file], ExecOptions::default()).await.unwrap();
            assert_eq!(refused.exit_code, 126, "{refused:?}");
            assert!(
                refused.stderr.contains("duplicate") && refused.stderr.len() < 5_000,
                "{}",
                refused.stderr
            );
        }
        os.write_file("/workspace/plain", module("", "")).await.unwrap();
        os.chmod("/workspace/plain", 0o755).await.unwrap();
        assert_eq!(os.exec_argv(["/workspace/plain"], ExecOptions::default()).await.unwrap().exit_code, 0);
    });
}

#[test]
fn a_storm_of_alarms_takes_no_memory_of_the_host() {
    static OWN: Sidecar = Sidecar::new();
    OWN.test(async |os| {
        let storm = agentos_tests::assemble(
            r#"(module
                (import "agentos_v1" "alarm" (func $alarm (param i64 i32) (result i32)))
                (memory (export "memory") 1)
                (func (export "_start") (local $i i32)
                  (loop $again
                    (drop (call $alarm (i64.const 3600000) (i32.const 0)))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $again (i32.lt_u (local.get $i) (i32.const 1000000))))))"#,
        );
        os.write_file("/workspace/storm", storm).await.unwrap();
        os.chmod("/workspace/storm", 0o755).await.unwrap();
        let all = "for i in 1 2 3 4 5 6 7 8; do ./storm & done; wait";
        assert_eq!(sh(os, all).await.exit_code, 0);
        let pid = OWN.handle().await.describe().await.unwrap().pid;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        let peak: u64 = peak.unwrap();
        assert!(peak < 400 << 10, "{peak} KB");
    });
}

/// The names of limits that a script is warned of, and what was in use of how much.
async fn warned(limits: VmLimits, run: impl AsyncFnOnce(&agentos::AgentOs)) -> Vec<(String, u64, u64)> {
    let os = SIDECAR.create(with(limits)).await.unwrap();
    let mut events = os.events();
    run(&os).await;
    let mut told = Vec::new();
    // The directory is the mark that all before it has arrived: events and answers keep their order.
    os.mkdir("/tmp/mark", MkdirOptions::default()).await.unwrap();
    while let Ok(Some(event)) =
        tokio::time::timeout(std::time::Duration::from_millis(200), events.next()).await
    {
        if let Event::LimitWarning(warning) = event {
            assert_eq!(warning.limit.requested, 0);
            told.push((warning.limit.name, warning.limit.used, warning.limit.configured));
        }
    }
    os.dispose().await.unwrap();
    told
}

#[test]
fn four_fifths_of_a_limit_are_told_once_and_again_after_half_was_free() {
    SIDECAR.test(async |_| {
        let limits = VmLimits { filesystem_bytes: 10 << 20, inodes: 100, ..VmLimits::default() };
        let told = warned(limits, async |os| {
            let script = "dd if=/dev/zero of=/tmp/a bs=1M count=7; dd if=/dev/zero of=/tmp/b bs=1M count=2; \
                rm /tmp/a; dd if=/dev/zero of=/tmp/c bs=1M count=7 2>/dev/null; \
                for i in $(seq 90); do : > /tmp/f$i; done; rm /tmp/*";
            assert_eq!(sh(os, script).await.exit_code, 0);
        })
        .await;
        let names: Vec<_> = told.iter().map(|(name, ..)| &name[..]).collect();
        assert_eq!(names, ["filesystemBytes", "filesystemBytes", "inodes"], "{told:?}");
        for (name, used, configured) in &told {
            assert_eq!(*configured, if name == "inodes" { 100 } else { 10 << 20 });
            assert!((*configured * 4 / 5..configured * 9 / 10).contains(used), "{told:?}");
        }

        let limits = VmLimits { processes: 10, ..VmLimits::default() };
        let told = warned(limits, async |os| {
            // The shell and six; then seven.
            sh(os, "for i in 1 2 3 4 5; do sleep 9 & done; sleep 0; kill $(jobs -p); wait").await;
            sh(os, "for i in 1 2 3 4 5 6 7; do sleep 9 & done; kill $(jobs -p); wait").await;
        })
        .await;
        assert_eq!(told, [("processes".to_owned(), 8, 10)]);

        let limits = VmLimits { pipes: 10, fds_per_process: 20, ptys: 1, ..VmLimits::default() };
        let told = warned(limits, async |os| {
            // The first ends when the last is there: all eight pipes exist at once.
            let cats = ["cat"; 7].join(" | ");
            sh(os, &format!("mkfifo f; cat f | {cats} | (echo > f; cat)")).await;
            sh(os, "exec 3<. 4<. 5<. 6<. 7<. 8<. 9<.; for i in $(seq 6); do exec {fd}</dev/null; done").await;
            os.open_shell(Default::default()).await.unwrap();
        })
        .await;
        let mut names: Vec<_> = told.iter().map(|(name, ..)| &name[..]).collect();
        names.dedup();
        assert_eq!(names, ["pipes", "fdsPerProcess", "ptys"], "{told:?}");

        let limits = VmLimits { process_memory: 64 << 20, vm_memory: 68 << 20, ..VmLimits::default() };
        let told = warned(limits, async |os| {
            let grow = module("(drop (memory.grow (i32.const 900)))", "");
            os.write_file("/tmp/grow", grow).await.unwrap();
            sh(os, "chmod +x /tmp/grow && /tmp/grow").await;
        })
        .await;
        let mut names: Vec<_> = told.iter().map(|(name, ..)| &name[..]).collect();
        names.sort_unstable();
        assert_eq!(names, ["processMemory", "vmMemory"], "{told:?}");
    });
}

#[test]
fn a_machine_that_stays_below_its_limits_is_warned_of_nothing() {
    SIDECAR.test(async |_| {
        let told = warned(VmLimits::default(), async |os| {
            sh(os, "seq 100000 | sort -rn | head -1; ls -R /usr > /tmp/x; find / > /dev/null").await;
        })
        .await;
        assert_eq!(told, []);
    });
}
