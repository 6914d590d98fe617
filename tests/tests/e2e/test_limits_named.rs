//! At a limit the host is told which one it was, and a machine that is at all of its limits is nobody else's business.
//! What a guest sees at each limit is in `test_limits`.

use std::time::Duration;

use agentos::{
    AgentOs, AgentOsConfig, DeleteOptions, Errno, Error, Event, ExecOptions, MkdirOptions, MountFsOptions,
    MountPlugin, SpawnOptions, VmLimits,
};
use agentos_tests::{Sidecar, module, sh};

static SIDECAR: Sidecar = Sidecar::new();

fn with(limits: VmLimits) -> AgentOsConfig {
    AgentOsConfig::builder().limits(limits).build()
}

/// Name, configured, used and requested.
fn limit(error: Error) -> (String, u64, u64, u64) {
    match error {
        Error::Limit { name, configured, used, requested } => (name, configured, used, requested),
        other => panic!("{other:?}"),
    }
}

async fn mount_memory(os: &AgentOs, path: &str, config: serde_json::Value) {
    let plugin = MountPlugin { id: "memory".to_owned(), config };
    os.mount_native(path, plugin, MountFsOptions { read_only: false }).await.unwrap();
}

/// Grows until it is refused, and gives up.
fn hungry() -> Vec<u8> {
    let body =
        "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    module(body, "")
}

async fn program(os: &AgentOs, path: &str, module: Vec<u8>) {
    os.write_file(path, module).await.unwrap();
    os.chmod(path, 0o755).await.unwrap();
}

#[test]
fn errors_of_files_name_the_limit_and_what_was_used() {
    const MIB: u64 = 1 << 20;
    let limits =
        VmLimits { filesystem_bytes: 4 * MIB, name_bytes: 40, path_bytes: 300, ..VmLimits::default() };
    SIDECAR.test_with(with(limits), async |os| {
        let full = os.write_file("/tmp/f", vec![1; 6 * MIB as usize]).await.unwrap_err();
        assert_eq!(full.errno(), Some(Errno::ENOSPC));
        let (name, configured, used, requested) = limit(full);
        assert_eq!((&*name, configured), ("filesystemBytes", 4 * MIB));
        assert!(used > 4 * MIB - 1024 && used <= 4 * MIB && used + requested > 4 * MIB, "{used} {requested}");
        let (name, ..) = limit(os.write_file("/tmp/g", vec![1; 1000]).await.unwrap_err());
        assert_eq!(name, "filesystemBytes");
        // A guest has the number, as ever.
        assert!(sh(os, "echo more than nothing > /tmp/h").await.stderr.contains("No space left"));
        os.delete("/tmp/f", DeleteOptions::default()).await.unwrap();

        // Memory that is mounted counts with the root.
        mount_memory(os, "/m", serde_json::json!({})).await;
        os.write_file("/tmp/f", vec![1; 2 * MIB as usize]).await.unwrap();
        let (name, configured, used, _) =
            limit(os.write_file("/m/f", vec![1; 3 * MIB as usize]).await.unwrap_err());
        assert_eq!((&*name, configured), ("filesystemBytes", 4 * MIB));
        assert!(used > 4 * MIB - 1024, "{used}");
        assert_eq!(sh(os, "echo more than nothing > /tmp/h; echo $?").await.stdout, "1\n");
        os.delete("/m/f", DeleteOptions::default()).await.unwrap();
        os.unmount_fs("/m").await.unwrap();
        os.write_file("/tmp/h", vec![1; 1900 << 10]).await.unwrap();
        os.delete("/tmp/h", DeleteOptions::default()).await.unwrap();

        let mut events = os.events();
        mount_memory(os, "/small", serde_json::json!({ "size": 100_000 })).await;
        let (name, configured, ..) = limit(os.write_file("/small/f", vec![1; 200_000]).await.unwrap_err());
        assert_eq!((&*name, configured), ("mountSize", 100_000));
        match events.next().await.unwrap() {
            Event::LimitWarning(warning) => assert_eq!(warning.limit.name, "mountSize"),
            other => panic!("{other:?}"),
        }

        let long = os.write_file(format!("/tmp/{}", "n".repeat(41)), "").await.unwrap_err();
        assert_eq!(long.errno(), Some(Errno::ENAMETOOLONG));
        assert_eq!(limit(long), ("nameBytes".to_owned(), 40, 0, 41));
        let long = os.stat(format!("/tmp{}", "/d".repeat(148))).await.unwrap_err();
        assert_eq!(limit(long), ("pathBytes".to_owned(), 300, 0, 301));
        assert_eq!(sh(os, "mkdir $(printf %041d 0) 2>&1 | grep -c 'too long'").await.stdout, "1\n");
    });
    SIDECAR.test_with(with(VmLimits { inodes: 50, symlink_depth: 2, ..VmLimits::default() }), async |os| {
        for (target, link) in [("hosts", "/tmp/1"), ("1", "/tmp/2"), ("2", "/tmp/3")] {
            let target = if target == "hosts" { "/etc/hosts" } else { target };
            os.symlink(target, link).await.unwrap();
        }
        assert!(os.stat("/tmp/2").await.is_ok());
        assert_eq!(os.stat("/tmp/3").await.unwrap_err().errno(), Some(Errno::ELOOP));
        let full = loop {
            let path = format!("/tmp/d{}", os.readdir("/tmp").await.unwrap().len());
            if let Err(error) = os.mkdir(path, MkdirOptions::default()).await {
                break error;
            }
        };
        assert_eq!(limit(full), ("inodes".to_owned(), 50, 50, 1));
        let (name, ..) = limit(os.write_file("/tmp/one-more", "").await.unwrap_err());
        assert_eq!(name, "inodes");
    });
}

#[test]
fn a_fork_has_accounts_of_its_own() {
    SIDECAR.test_with(with(VmLimits { filesystem_bytes: 4 << 20, ..VmLimits::default() }), async |os| {
        mount_memory(os, "/m", serde_json::json!({})).await;
        os.write_file("/m/f", vec![1; 3 << 20]).await.unwrap();
        let fork = os.fork().await.unwrap();
        for os in [&fork, os] {
            let (name, ..) = limit(os.write_file("/tmp/f", vec![1; 2 << 20]).await.unwrap_err());
            assert_eq!(name, "filesystemBytes");
            os.delete("/tmp/f", DeleteOptions::default()).await.unwrap();
            os.delete("/m/f", DeleteOptions::default()).await.unwrap();
            os.write_file("/tmp/f", vec![1; 3 << 20]).await.unwrap();
        }
        fork.dispose().await.unwrap();
    });
}

#[test]
fn who_is_ended_by_a_limit_is_told_which() {
    let limits = VmLimits { process_memory: 32 << 20, cpu_time_ms: 300, ..VmLimits::default() };
    SIDECAR.test_with(with(limits), async |os| {
        let mut events = os.events();
        program(os, "/tmp/hungry", hungry()).await;
        let done = os.exec_argv(["/tmp/hungry"], ExecOptions::default()).await.unwrap();
        assert_eq!((done.exit_code, done.signal.as_deref()), (137, Some("SIGKILL")));
        let hit = done.limit.unwrap();
        assert_eq!((&*hit.name, hit.configured), ("processMemory", 32 << 20));
        assert!(hit.used <= hit.configured && hit.used + hit.requested > hit.configured, "{hit:?}");

        program(os, "/tmp/busy", module("(loop $again (br $again))", "")).await;
        let done = os.exec_argv(["/tmp/busy"], ExecOptions::default()).await.unwrap();
        assert_eq!(done.signal.as_deref(), Some("SIGXCPU"));
        let hit = done.limit.unwrap();
        assert_eq!((&*hit.name, hit.configured), ("cpuTimeMs", 300));
        let spawned = os.spawn("/tmp/busy", Vec::<String>::new(), SpawnOptions::default()).await.unwrap();
        assert_eq!(spawned.wait().await.unwrap().limit.unwrap().name, "cpuTimeMs");

        // Killed by somebody: no limit.
        let spawned = os.spawn("sleep", ["100"], SpawnOptions::default()).await.unwrap();
        spawned.kill().await.unwrap();
        assert_eq!(spawned.wait().await.unwrap().limit, None);

        // What a program started itself is told as an event.
        let done = sh(os, "/tmp/hungry; echo $?").await;
        assert_eq!((&*done.stdout, done.limit), ("137\n", None));
        let mut told = Vec::new();
        while told.len() < 4 {
            let event = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
            if let Event::LimitKilled(killed) = event.unwrap().unwrap() {
                told.push(killed.limit.name);
            }
        }
        assert_eq!(told, ["processMemory", "cpuTimeMs", "cpuTimeMs", "processMemory"]);
    });
}

#[test]
fn a_machine_can_have_only_so_much_cpu_time() {
    SIDECAR.test_with(with(VmLimits { vm_cpu_time_ms: 1_000, ..VmLimits::default() }), async |os| {
        program(os, "/tmp/busy", module("(loop $again (br $again))", "")).await;
        let mut both = Vec::new();
        for _ in 0..2 {
            both.push(os.spawn("/tmp/busy", Vec::<String>::new(), SpawnOptions::default()).await.unwrap());
        }
        for process in both {
            let status = process.wait().await.unwrap();
            assert_eq!(
                (status.signal.as_deref(), &*status.limit.unwrap().name),
                (Some("SIGKILL"), "vmCpuTimeMs")
            );
        }
        let (name, configured, ..) = limit(os.exec("true", ExecOptions::default()).await.unwrap_err());
        assert_eq!((&*name, configured), ("vmCpuTimeMs", 1_000));
        assert!(os.exists("/tmp/busy").await.unwrap(), "its files are there");
    });
}

#[test]
fn a_machine_at_all_its_limits_harms_no_other() {
    static OWN: Sidecar = Sidecar::new();
    let limits = VmLimits {
        processes: 60,
        process_memory: 32 << 20,
        vm_memory: 128 << 20,
        filesystem_bytes: 16 << 20,
        inodes: 500,
        pipes: 40,
        fds_per_process: 40,
        argv_env_bytes: 100_000,
        watches: 2,
        watch_queue_bytes: 16 << 10,
        ..VmLimits::default()
    };
    OWN.test(async |other| {
        let bad = OWN.create(with(limits)).await.unwrap();
        program(&bad, "/tmp/hungry", hungry()).await;
        // Nobody reads these.
        let _watches = [bad.watch("/", agentos::WatchOptions { recursive: true }).await.unwrap()];
        let scripts = [
            "f(){ f|f& }; f; while :; do :; done",
            "while :; do /tmp/hungry; done",
            "while :; do head -c 1000000 /dev/zero >> /tmp/full; done",
            "i=0; while :; do : > /tmp/i$i; ln -s i$i /tmp/l$i; i=$((i+1)); done",
            "while :; do exec {fd}</dev/null; done",
            "while :; do cat | cat | cat | cat & done",
            "mkfifo p q r s; for i in p q r s; do sh -c \"exec 3<$i\" & done; wait",
            "x=$(head -c 200000 /dev/zero | tr '\\0' x); while :; do /bin/echo $x; done",
            "i=0; while mkdir d && cd d; do :; done; while :; do ls -R /; done",
            "yes",
        ];
        let mut events = bad.events();
        for script in scripts {
            // The limit of processes may come first.
            let _ = bad.spawn("sh", ["-c", script], SpawnOptions::default()).await;
        }
        for i in 0..12 {
            let done = sh(other, &format!("echo {i} > f && cat f | cat && ls / | wc -l > g")).await;
            assert_eq!((&*done.stdout, done.exit_code), (&*format!("{i}\n"), 0), "{done:?}");
            other.write_file("/tmp/x", vec![i; 100_000]).await.unwrap();
            assert_eq!(other.read_file("/tmp/x").await.unwrap().len(), 100_000);
        }
        // It did come to a limit.
        let came = async {
            loop {
                let event = events.next().await.unwrap();
                if matches!(event, Event::LimitWarning(warning) if warning.limit.name == "processes") {
                    break;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), came).await.unwrap();
        assert!(bad.all_processes().await.unwrap().len() <= 60);
        bad.dispose().await.unwrap();
        assert_eq!(sh(other, "echo fine").await.stdout, "fine\n");
        let pid = OWN.handle().await.describe().await.unwrap().pid;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        // The machine's 128 MiB and 16 MiB, and what the sidecar and its programs take.
        assert!(peak.unwrap() < 700 << 10, "{peak:?} KB");
    });
}
