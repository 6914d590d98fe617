//! A sidecar that programs share: started once, found by all, replaced when it has gone.

use std::process::{Command, Stdio};
use std::sync::Arc;

use agentos::{AgentOs, Error, SharedSidecarOptions};

use crate::{Test, gone, own_path};

pub(crate) const TESTS: &[Test] = &[
    ("programs that come at once share one sidecar", || Box::pin(race())),
    ("a program has one connection per pool", || Box::pin(same())),
    ("a sidecar that has gone is replaced", || Box::pin(replaced())),
    ("pool names are checked", || Box::pin(names())),
];

fn options(pool: &str) -> SharedSidecarOptions {
    SharedSidecarOptions { pool: Some(pool.to_owned()), binary: Some(own_path()) }
}

/// Another program: prints the pid of the sidecar it got.
pub(crate) fn print_pid(pool: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let described = runtime.block_on(async {
        let sidecar = AgentOs::get_shared_sidecar(options(pool)).await.unwrap();
        let described = sidecar.describe().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        described
    });
    println!("{}", described.pid);
}

async fn race() {
    let start = || Command::new(own_path()).args(["pool", "race"]).stdout(Stdio::piped()).spawn().unwrap();
    let programs: Vec<_> = (0..8).map(|_| start()).collect();
    let pids: Vec<String> = programs
        .into_iter()
        .map(|p| String::from_utf8(p.wait_with_output().unwrap().stdout).unwrap())
        .collect();
    assert!(pids[0].trim().parse::<u32>().unwrap() > 1);
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    gone(pids[0].trim().parse().unwrap()).await;
}

async fn same() {
    let (a, b) = tokio::join!(
        AgentOs::get_shared_sidecar(options("same")),
        AgentOs::get_shared_sidecar(options("same"))
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(Arc::ptr_eq(&a, &b));
    let other = AgentOs::get_shared_sidecar(options("other")).await.unwrap();
    assert_ne!(other.describe().await.unwrap().pid, a.describe().await.unwrap().pid);
}

async fn replaced() {
    let first = AgentOs::get_shared_sidecar(options("replaced")).await.unwrap();
    let old = first.describe().await.unwrap().pid;
    first.dispose().await.unwrap();
    gone(old).await;
    let second = AgentOs::get_shared_sidecar(options("replaced")).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    assert_ne!(second.describe().await.unwrap().pid, old, "the socket left behind is no obstacle");
}

async fn names() {
    for pool in ["", "a/b", "..", "Upper", &"x".repeat(33)] {
        let error = AgentOs::get_shared_sidecar(options(pool)).await.unwrap_err();
        assert!(matches!(&error, Error::InvalidConfig { path, .. } if path == "sidecar.pool"), "{error:?}");
    }
}
