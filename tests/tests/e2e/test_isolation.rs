//! One guest, machine or client that misbehaves ends alone.
//! Limits are in `test_limits`, ways out of host directories in `test_escapes`.

use std::sync::Arc;
use std::time::Duration;

use agentos::{
    AgentOs, AgentOsConfig, AgentOsSidecarConfig, ExecOptions, SharedSidecarOptions, SpawnOptions,
};
use agentos_protocol::mux::{CallError, Handler, Limits, connect};
use agentos_protocol::version::{Hello, Role};
use agentos_tests::{Sidecar, eventually, live_processes, module, program, sh, watched};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

static SIDECAR: Sidecar = Sidecar::new();

#[test]
fn machines_see_nothing_of_each_other() {
    SIDECAR.test(async |one| {
        let two = SIDECAR.create(AgentOsConfig::default()).await.unwrap();
        one.write_file("/tmp/f", "one").await.unwrap();
        one.write_file("/etc/motd", "changed").await.unwrap();
        let sleeper = one.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap();
        assert!(!two.exists("/tmp/f").await.unwrap());
        assert_ne!(two.read_file("/etc/motd").await.ok().as_deref(), Some(&b"changed"[..]));
        assert!(live_processes(&two).await.is_empty());
        assert!(two.kill_process(sleeper.pid).await.is_err());
        assert!(two.on_process_stdout(sleeper.pid).await.is_err());
        let seen = sh(&two, "ls /proc | grep '^[0-9]' | wc -l; ps | grep sleep | wc -l").await;
        assert!(seen.stdout.ends_with("0\n"), "{seen:?}");
        two.dispose().await.unwrap();
        assert_eq!(live_processes(one).await.len(), 1, "its end is not ours");
        sleeper.kill().await.unwrap();
        sleeper.wait().await.unwrap();
    });
}

#[test]
fn every_kind_of_trap_ends_only_its_program() {
    SIDECAR.test(async |os| {
        let bodies = [
            ("unreachable", "unreachable"),
            ("division", "(drop (i32.div_u (i32.const 1) (i32.const 0)))"),
            ("bounds", "(drop (i32.load (i32.const -4)))"),
            ("stack", ""),
            (
                "pointer",
                "(call $exit (call $write (i32.const 1) (i32.const -1) (i32.const 100000) (i32.const -1)))",
            ),
        ];
        for (name, body) in bodies {
            let wasm = if name == "stack" {
                // Calls itself until there is no stack left.
                agentos_tests::assemble(
                    r#"(module (memory (export "memory") 1) (func $f (param i64) (result i64)
                        (i64.add (call $f (i64.add (local.get 0) (i64.const 1))) (i64.const 1)))
                        (func (export "_start") (drop (call $f (i64.const 0)))))"#,
                )
            } else {
                module(body, "")
            };
            let path = format!("/workspace/{name}.wasm");
            os.write_file(&path, wasm).await.unwrap();
            os.chmod(&path, 0o755).await.unwrap();
            let result = os.exec_argv([&*path], ExecOptions::default()).await.unwrap();
            if name == "pointer" {
                // A bad pointer is an errno (EFAULT), or ends the program.
                assert!(result.exit_code != 0, "{result:?}");
            } else {
                assert!(result.exit_code > 128 && result.signal.is_some(), "{name}: {result:?}");
            }
            assert_eq!(sh(os, &format!("{path}; echo after")).await.stdout, "after\n", "{name}");
        }
    });
}

/// A sidecar that this program shares with nobody, by the way of all shared ones.
async fn pool(name: &str) -> (AgentOs, std::path::PathBuf) {
    let pool = format!("{name}-{}", std::process::id());
    let options = SharedSidecarOptions { pool: Some(pool.clone()), binary: Some(program().to_owned()) };
    let handle = AgentOs::get_shared_sidecar(options).await.unwrap();
    let sidecar = Some(AgentOsSidecarConfig::Explicit { handle });
    let os = AgentOs::create(AgentOsConfig { sidecar, ..AgentOsConfig::default() }).await.unwrap();
    (os, agentos_tests::socket_of(&pool))
}

#[test]
fn a_connection_that_carries_nonsense_ends_alone() {
    watched(async || {
        let (os, socket) = pool("nonsense").await;
        let process = os.spawn("cat", Vec::<String>::new(), SpawnOptions::default()).await.unwrap();
        let mut nonsense: Vec<Vec<u8>> = vec![
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            vec![0; 100],
            vec![0xff; 100_000],
            b"\xff\xff\xff\x7f".to_vec(),
            Vec::new(),
        ];
        nonsense.push((0..50_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
        for bytes in nonsense {
            let mut raw = tokio::net::UnixStream::connect(&socket).await.unwrap();
            // It may be closed while it is written.
            let _ = raw.write_all(&bytes).await;
            let _ = raw.shutdown().await;
            let mut answer = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(20), raw.read_to_end(&mut answer)).await;
            assert!(closed.is_ok(), "the sidecar does not close a connection of nonsense");
            assert_eq!(sh(&os, "echo alive").await.stdout, "alive\n");
        }
        // Many that say nothing at all.
        let mut silent = Vec::new();
        for _ in 0..50 {
            silent.push(tokio::net::UnixStream::connect(&socket).await.unwrap());
        }
        assert_eq!(sh(&os, "echo alive").await.stdout, "alive\n");
        drop(silent);
        process.close_stdin().await.unwrap();
        assert_eq!(process.wait().await.unwrap().exit_code, 0);
        eventually("nothing is left", async || live_processes(&os).await.is_empty()).await;
        os.dispose().await.unwrap();
    });
}

#[test]
fn the_directory_of_the_socket_cannot_be_mounted() {
    watched(async || {
        let (os, socket) = pool("socket").await;
        for folder in socket.ancestors().skip(1) {
            let config = serde_json::json!({ "hostPath": folder });
            let plugin = agentos::MountPlugin { id: "host_dir".to_owned(), config };
            let refused = os.mount_native("/h", plugin, agentos::MountFsOptions { read_only: true }).await;
            assert!(matches!(refused, Err(agentos::Error::InvalidConfig { .. })), "{refused:?}");
        }
        assert!(!os.exists("/h").await.unwrap(), "a refused mount leaves no directory");
        os.dispose().await.unwrap();
    });
}

/// A client that answers nothing.
struct Silent;

impl Handler for Silent {}

#[test]
fn the_machines_of_another_client_do_not_exist() {
    use agentos_protocol::message::{
        AllProcesses, CreateSession, DescribeVm, DisposeVm, ListMounts, ListProcesses, ListSessions, ListVms,
        SignalProcess, code,
    };
    watched(async || {
        let (os, socket) = pool("foreign").await;
        let vm_id = os.vm_id().to_owned();
        let process = os.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap();
        let raw = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        let hello = Hello::new(Role::Client);
        let other = connect(raw, hello, Arc::new(Silent), Limits::default()).await.unwrap();
        assert_eq!(other.call(&ListVms {}).await.unwrap().vms.len(), 0);
        macro_rules! refused {
            ($($call:expr),* $(,)?) => {$(
                match other.call(&$call).await.unwrap_err() {
                    CallError::Remote(error) => assert_eq!(error.code, code::VM_NOT_FOUND, "{error:?}"),
                    other => panic!("{other:?}"),
                }
            )*};
        }
        let (pid, signal) = (process.pid, "SIGKILL".to_owned());
        refused!(
            DescribeVm { vm_id: vm_id.clone() },
            ListProcesses { vm_id: vm_id.clone() },
            AllProcesses { vm_id: vm_id.clone() },
            SignalProcess { vm_id: vm_id.clone(), pid, signal, group: false },
            ListMounts { vm_id: vm_id.clone() },
            ListSessions { vm_id: vm_id.clone(), closed: true },
            CreateSession {
                vm_id: vm_id.clone(),
                agent_type: "scripted".to_owned(),
                options: Default::default()
            },
        );
        // Disposing what is not there is no error, since disposing twice is none: it must just do nothing.
        other.call(&DisposeVm { vm_id }).await.unwrap();
        assert_eq!(live_processes(&os).await.len(), 1);
        assert_eq!(sh(&os, "echo alive").await.stdout, "alive\n");
        process.kill().await.unwrap();
        process.wait().await.unwrap();
        os.dispose().await.unwrap();
    });
}
