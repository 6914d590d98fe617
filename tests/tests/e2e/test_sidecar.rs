//! The life of sidecars: killed ones end every wait, killed clients leave nothing, and each ends with its last user.
//! Finding and starting one is tested in the client.

use std::future::Future;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use agentos::{
    AgentOs, AgentOsConfig, AgentOsSidecar, AgentOsSidecarConfig, CreateSessionOptions, CreateSidecarOptions,
    Error, ExecOptions, MountConfig, MountFsOptions, OpenReadOptions, OpenWriteOptions, SharedSidecarOptions,
    SpawnOptions,
};
use agentos_tests::{Sidecar, StuckDriver, eventually, program, sh, socket_of, watched};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// Within a second is promised; more only for a machine under load.
const AFTER_KILL: Duration = Duration::from_secs(5);

type Waiting = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

fn waiting<T, E: std::fmt::Debug>(call: impl Future<Output = Result<T, E>> + Send + 'static) -> Waiting {
    Box::pin(async move { call.await.map(|_| ()).map_err(|error| format!("{error:?}")) })
}

async fn machine(sidecar: &Arc<AgentOsSidecar>) -> AgentOs {
    let handle = Some(AgentOsSidecarConfig::Explicit { handle: Arc::clone(sidecar) });
    AgentOs::create(AgentOsConfig { sidecar: handle, ..AgentOsConfig::default() }).await.unwrap()
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn is_running(pid: u32) -> bool {
    // A zombie that nobody waited for has ended too.
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

async fn shared(pool: &str) -> Arc<AgentOsSidecar> {
    let options = SharedSidecarOptions { pool: Some(pool.to_owned()), binary: Some(program().to_owned()) };
    AgentOs::get_shared_sidecar(options).await.unwrap()
}

fn pool(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

#[test]
fn every_wait_ends_with_an_error_when_the_sidecar_is_killed() {
    watched(async || {
        let sidecar = Sidecar::start().await;
        let os = machine(&sidecar).await;
        os.mount_fs("/stuck", Arc::new(StuckDriver), MountFsOptions::default()).await.unwrap();
        os.write_file("/tmp/big", vec![7; 20 << 20]).await.unwrap();
        let sleeper = os.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap();
        let session = os.create_session("scripted", CreateSessionOptions::default()).await.unwrap();
        let mut events = session.events(None).await.unwrap();
        let mut requests = session.permission_requests().await.unwrap();
        let mut output = sleeper.stdout().await.unwrap();
        let mut read = os.open_read("/tmp/big", OpenReadOptions::default()).await.unwrap();
        let mut write = os.open_write("/tmp/w", OpenWriteOptions::default()).await.unwrap();
        write.write_all(b"x").await.unwrap();
        let exec = |line: &'static str, options: ExecOptions| {
            let os = os.clone();
            waiting(async move { os.exec(line, options).await })
        };
        let live =
            ExecOptions { on_stdout: Some(Arc::new(|_| ())), capture: false, ..ExecOptions::default() };
        let fed = ExecOptions { stdin: Some(vec![0; 8 << 20]), ..ExecOptions::default() };
        let timed = ExecOptions { timeout: Some(Duration::from_secs(1000)), ..ExecOptions::default() };
        macro_rules! call {
            ($os:ident => $call:expr) => {{
                let $os = os.clone();
                waiting(async move { $call.await })
            }};
        }
        let pid = sleeper.pid;
        let id = session.session_id.clone();
        let calls = vec![
            ("exec", exec("sleep 1000", ExecOptions::default())),
            ("exec with live output", exec("yes", live)),
            ("exec with input", exec("sleep 1000", fed)),
            ("exec with a timeout", exec("while :; do :; done", timed)),
            ("exec in a driver", exec("cat /stuck/f", ExecOptions::default())),
            (
                "exec_streams",
                call!(os => os.exec_streams(["cat"], ExecOptions::default(), Never, Vec::new(), Vec::new())),
            ),
            ("wait", call!(os => os.wait_process(pid))),
            ("exit", waiting(os.on_process_exit(pid))),
            ("output", waiting(async move { output.next().await.transpose() })),
            ("stdin", call!(os => os.write_process_stdin(pid, vec![0; 8 << 20]))),
            ("read a stuck driver", call!(os => os.read_file("/stuck/f"))),
            ("list a stuck driver", call!(os => os.readdir("/stuck"))),
            ("list a stuck tree", call!(os => os.readdir_recursive("/stuck", Default::default()))),
            ("copy from a stuck driver", call!(os => os.move_path("/stuck/f", "/tmp/f"))),
            ("open in a driver", call!(os => os.open_read("/stuck/f", OpenReadOptions::default()))),
            (
                "write stream",
                waiting(async move {
                    // It takes what fits in its window, and the rest never.
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    write.write_all(&[0; 1 << 20]).await?;
                    write.shutdown().await
                }),
            ),
            (
                "read stream",
                waiting(async move {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    read.read_to_end(&mut Vec::new()).await
                }),
            ),
            (
                "events",
                waiting(async move {
                    // An end without an error would be silent.
                    while events.next().await.transpose()?.is_some() {}
                    Ok::<_, Error>(())
                }),
            ),
            (
                "permissions",
                waiting(async move {
                    while requests.next().await.transpose()?.is_some() {}
                    Ok::<_, Error>(())
                }),
            ),
            ("prompt", call!(os => os.prompt(id, "```sh\nsleep 1000\n```"))),
            ("ping by exec", exec("sleep 999", ExecOptions::default())),
        ];
        assert!(calls.len() >= 20);
        let running: Vec<_> = calls.into_iter().map(|(what, call)| (what, tokio::spawn(call))).collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        for (what, call) in &running {
            assert!(!call.is_finished(), "{what} does not wait");
        }
        kill(sidecar.describe().await.unwrap().pid);
        let begin = std::time::Instant::now();
        for (what, call) in running {
            let left = AFTER_KILL.saturating_sub(begin.elapsed());
            let ended = tokio::time::timeout(left, call).await.unwrap_or_else(|_| panic!("{what} hangs"));
            assert!(ended.unwrap().is_err(), "{what} succeeds");
        }
        // What comes later is told the same, at once.
        assert!(matches!(os.exec("true", ExecOptions::default()).await, Err(Error::SidecarExited { .. })));
        assert!(matches!(os.read_file("/etc/passwd").await, Err(Error::SidecarExited { .. })));
        os.dispose().await.unwrap();
        assert_eq!(sidecar.describe().await.unwrap().state, agentos::sidecar::SidecarState::Disposed);
    });
}

/// Input that never comes.
struct Never;

impl tokio::io::AsyncRead for Never {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Pending
    }
}

#[test]
fn the_error_after_a_kill_says_how_the_sidecar_ended() {
    watched(async || {
        let sidecar = Sidecar::start().await;
        let os = machine(&sidecar).await;
        let (run, ()) = tokio::join!(os.exec("sleep 1000", ExecOptions::default()), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            kill(sidecar.describe().await.unwrap().pid);
        });
        match run.unwrap_err() {
            Error::SidecarExited { status: Some(status), .. } => assert!(status.contains('9'), "{status}"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_private_sidecar_ends_with_its_handles() {
    watched(async || {
        let sidecar = Sidecar::start().await;
        let pid = sidecar.describe().await.unwrap().pid;
        let os = machine(&sidecar).await;
        os.spawn("sh", ["-c", "trap '' TERM; while :; do :; done"], SpawnOptions::default()).await.unwrap();
        drop(sidecar);
        assert_eq!(sh(&os, "echo still").await.stdout, "still\n", "a machine holds it");
        drop(os);
        eventually("the process has ended", async || !is_running(pid)).await;

        let sidecar = Sidecar::start().await;
        let description = sidecar.describe().await.unwrap();
        assert_eq!((description.active_vm_count, is_running(description.pid)), (0, true));
        let os = machine(&sidecar).await;
        assert_eq!(sidecar.describe().await.unwrap().active_vm_count, 1);
        sidecar.dispose().await.unwrap();
        sidecar.dispose().await.unwrap();
        assert!(!is_running(description.pid), "it is waited for");
        assert!(os.exec("true", ExecOptions::default()).await.is_err());
    });
}

#[test]
fn a_low_soft_limit_of_open_files_is_not_that_of_machines() {
    watched(async || {
        let folder = tempfile::tempdir().unwrap();
        // What machines may open of host directories is half of the limit.
        let script = format!("#!/bin/sh\nulimit -Sn 200 && exec '{}' \"$@\"\n", program().display());
        let limited = folder.path().join("sidecar");
        std::fs::write(&limited, script).unwrap();
        std::fs::set_permissions(&limited, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(folder.path().join("file"), "there\n").unwrap();
        let options = CreateSidecarOptions { binary: Some(limited) };
        let handle = AgentOs::create_sidecar(options).await.unwrap();
        let mount = MountConfig::host_dir("/mnt/host", folder.path().to_string_lossy().into_owned(), true);
        let config = AgentOsConfig::builder().mount(mount).build();
        let sidecar = Some(AgentOsSidecarConfig::Explicit { handle });
        let os = AgentOs::create(AgentOsConfig { sidecar, ..config }).await.unwrap();
        let script = "for n in $(seq 11 210); do eval \"exec $n< /mnt/host/file\"; done; cat <&210";
        assert_eq!(sh(&os, script).await.stdout, "there\n");
        os.dispose().await.unwrap();
    });
}

#[test]
fn a_dropped_machine_is_gone() {
    watched(async || {
        let sidecar = Sidecar::start().await;
        let os = machine(&sidecar).await;
        let clone = os.clone();
        os.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap();
        drop(os);
        assert_eq!(sh(&clone, "echo same").await.stdout, "same\n");
        drop(clone);
        eventually("it is gone", async || sidecar.describe().await.unwrap().active_vm_count == 0).await;
    });
}

/// A program that has a machine in a pool until it is killed.
async fn holder(pool: &str) -> tokio::process::Child {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_holder"))
        .arg(pool)
        .arg(program())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).await.unwrap();
    assert_eq!(line, "ready\n");
    child
}

#[test]
fn a_killed_client_leaves_no_machine() {
    watched(async || {
        let pool = pool("killed");
        let sidecar = shared(&pool).await;
        let os = machine(&sidecar).await;
        let mut child = holder(&pool).await;
        assert_eq!(sidecar.describe().await.unwrap().active_vm_count, 2, "they share the sidecar");
        child.kill().await.unwrap();
        eventually("its machine is gone", async || sidecar.describe().await.unwrap().active_vm_count == 1)
            .await;
        assert_eq!(sh(&os, "echo mine lives").await.stdout, "mine lives\n");
        os.dispose().await.unwrap();
    });
}

#[test]
fn a_shared_sidecar_outlives_who_started_it_and_ends_after_its_last_client() {
    watched(async || {
        let pool = pool("last");
        let mut first = holder(&pool).await;
        let sidecar = shared(&pool).await;
        let pid = sidecar.describe().await.unwrap().pid;
        let socket = socket_of(&pool);
        first.kill().await.unwrap();
        let os = machine(&sidecar).await;
        assert_eq!(sh(&os, "echo lives").await.stdout, "lives\n");
        assert!(is_running(pid));
        os.dispose().await.unwrap();
        drop((os, sidecar));
        let begin = std::time::Instant::now();
        while is_running(pid) {
            assert!(begin.elapsed() < Duration::from_secs(30), "it stays without clients");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!socket.exists(), "its socket is removed");
    });
}

#[test]
fn a_shared_sidecar_stays_while_its_first_client_is_there() {
    watched(async || {
        let pool = pool("first");
        let sidecar = shared(&pool).await;
        let os = machine(&sidecar).await;
        // Longer than it stays without clients; nothing happens meanwhile that it could notice.
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert_eq!(sh(&os, "echo lives").await.stdout, "lives\n");
        os.dispose().await.unwrap();
    });
}

#[test]
fn a_sidecar_that_is_told_to_stay_stays() {
    watched(async || {
        let folder = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir()
            .unwrap();
        let socket = folder.path().join("s.sock");
        let start = |stay: bool| {
            let mut command = agentos_tests::cli();
            command.args(["sidecar", "--socket"]).arg(&socket).stdin(Stdio::null());
            if stay {
                command.arg("--stay");
            }
            command.spawn().unwrap()
        };
        for stay in [false, true] {
            let mut child = start(stay);
            eventually("it listens", async || tokio::net::UnixStream::connect(&socket).await.is_ok()).await;
            let ended =
                tokio::time::timeout(Duration::from_secs(if stay { 8 } else { 30 }), child.wait()).await;
            assert_eq!(ended.is_err(), stay);
            if stay {
                let pid =
                    rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
                assert!(child.wait().await.unwrap().success(), "TERM is an orderly end");
            }
            assert!(!socket.exists());
        }
    });
}
