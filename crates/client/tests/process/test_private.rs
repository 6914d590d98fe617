//! A sidecar of one program: killed, disposed, dropped.

use std::time::{Duration, Instant};

use agentos::{AgentOs, AgentOsConfig, AgentOsSidecarConfig, CreateSidecarOptions, Error, ExecOptions};

use crate::{Test, gone, own_path};

pub(crate) const TESTS: &[Test] = &[
    ("a killed sidecar ends every call at once", || Box::pin(killed())),
    ("dispose waits for the process", || Box::pin(disposed())),
    ("a dropped handle ends the process", || Box::pin(dropped())),
];

fn options() -> CreateSidecarOptions {
    CreateSidecarOptions { binary: Some(own_path()) }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

async fn killed() {
    let handle = AgentOs::create_sidecar(options()).await.unwrap();
    let pid = handle.describe().await.unwrap().pid;
    assert_ne!(pid, std::process::id());
    let config =
        AgentOsConfig::builder().sidecar(AgentOsSidecarConfig::Explicit { handle: handle.clone() }).build();
    let os = AgentOs::create(config).await.unwrap();
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let os = os.clone();
            tokio::spawn(async move { os.exec("anything", ExecOptions::default()).await })
        })
        .collect();
    while handle.last_stderr().len() < 10 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begin = Instant::now();
    kill(pid);
    for call in calls {
        match call.await.unwrap() {
            Err(Error::SidecarExited { status, last_stderr }) => {
                assert!(status.as_ref().unwrap().contains("signal: 9"), "{status:?}");
                assert_eq!(last_stderr.last().unwrap(), "an exec waits");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    os.dispose().await.unwrap();
    handle.dispose().await.unwrap();
}

async fn disposed() {
    let handle = AgentOs::create_sidecar(options()).await.unwrap();
    let pid = handle.describe().await.unwrap().pid;
    handle.dispose().await.unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    handle.dispose().await.unwrap();
    assert_eq!(handle.describe().await.unwrap().pid, 0);
}

async fn dropped() {
    let handle = AgentOs::create_sidecar(options()).await.unwrap();
    let pid = handle.describe().await.unwrap().pid;
    drop(handle);
    gone(pid).await;
}
