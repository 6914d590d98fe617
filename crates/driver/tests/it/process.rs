//! Vendors' processes: how they are started, spoken to and ended, here as children of the test and as scripts of it.

use std::collections::BTreeMap;
use std::time::Duration;

use agentos_driver::process::host::HostLauncher;
use agentos_driver::process::{Closed, Exit, LaunchSpec, Line, Vendor};
use agentos_driver::testing::ScriptedLauncher;
use serde_json::json;

fn sh(script: &str) -> LaunchSpec {
    let env = BTreeMap::from([("GIVEN".to_owned(), "to the child".to_owned())]);
    LaunchSpec {
        program: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env,
        cwd: "/".to_owned(),
    }
}

fn text(line: Option<Line>) -> String {
    match line {
        Some(Line::Text(text)) => String::from_utf8(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_child_reads_writes_logs_and_ends() {
    let script =
        "read line; echo \"$line $GIVEN ${CARGO_MANIFEST_DIR-not passed on}\"; pwd; echo why >&2; exit 3";
    let (vendor, mut lines) = Vendor::launch(&HostLauncher, sh(script)).await.unwrap();
    vendor.send(&json!({"a": 1})).await.unwrap();
    assert_eq!(text(lines.next().await.unwrap()), "{\"a\":1} to the child not passed on");
    assert_eq!(text(lines.next().await.unwrap()), "/");
    assert_eq!(lines.next().await.unwrap(), None);
    assert_eq!(vendor.exited().await, Exit { code: Some(3), signal: None });
    let error = vendor.exit_error().await;
    assert_eq!(error.code, "driver.backend_exited");
    assert_eq!((&error.details["exitCode"], &error.details["stderr"]), (&json!(3), &json!("why\n")));
}

#[tokio::test]
async fn what_cannot_be_started_is_named() {
    let missing = LaunchSpec { program: "there-is-no-such-agent".to_owned(), ..sh("") };
    let error = Vendor::launch(&HostLauncher, missing).await.unwrap_err();
    assert!(error.message.contains("there-is-no-such-agent"), "{error}");
    let nowhere = LaunchSpec { cwd: "/there/is/nothing".to_owned(), ..sh("true") };
    assert!(Vendor::launch(&HostLauncher, nowhere).await.is_err());
}

#[tokio::test]
async fn a_killed_child_takes_what_it_started_along() {
    let (vendor, mut lines) = Vendor::launch(&HostLauncher, sh("sleep 1000 & echo $!; wait")).await.unwrap();
    let child = text(lines.next().await.unwrap());
    let runs = || {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim().starts_with('Z'))
    };
    assert!(runs());
    vendor.kill();
    assert_eq!(vendor.exited().await.signal, Some(9));
    // The log and output that the child held are closed with it.
    assert_eq!(lines.next().await.unwrap(), None);
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while runs() {
        assert!(std::time::Instant::now() < end, "it still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn stop_closes_the_input_first() {
    let (vendor, _lines) = Vendor::launch(&HostLauncher, sh("cat >/dev/null; exit 5")).await.unwrap();
    vendor.stop().await;
    assert_eq!(vendor.exited().await.code, Some(5));
    assert_eq!(vendor.send(&json!(1)).await, Err(Closed));
}

#[tokio::test(start_paused = true)]
async fn stop_tells_twice_and_then_does_not_wait_any_more() {
    // One that ends when it is told.
    let polite = ScriptedLauncher::new(|side| async move {
        side.terminated().await;
        Exit { code: Some(143), signal: None }
    });
    let (vendor, _lines) = Vendor::launch(&polite, LaunchSpec::default()).await.unwrap();
    vendor.stop().await;
    assert_eq!(vendor.exited().await.code, Some(143));
    // One that does not.
    let stubborn = ScriptedLauncher::new(|side| async move {
        let _side = side;
        std::future::pending().await
    });
    let (vendor, _lines) = Vendor::launch(&stubborn, LaunchSpec::default()).await.unwrap();
    let begun = tokio::time::Instant::now();
    vendor.stop().await;
    assert_eq!(vendor.exited().await.signal, Some(9));
    assert!(begun.elapsed() <= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_read_is_killed() {
    let deaf = ScriptedLauncher::new(|side| async move {
        let _side = side;
        std::future::pending().await
    });
    let (vendor, _lines) = Vendor::launch(&deaf, LaunchSpec::default()).await.unwrap();
    let long = "x".repeat(100_000);
    // The pipe is full, then the queue.
    while vendor.send(&json!(long)).await.is_ok() {}
    assert_eq!(vendor.exited().await.signal, Some(9));
}

#[tokio::test]
async fn only_the_end_of_a_log_is_kept() {
    let (vendor, _lines) =
        Vendor::launch(&HostLauncher, sh("yes 0123456789 | head -c 100000 >&2; echo last >&2"))
            .await
            .unwrap();
    vendor.exited().await;
    let log = vendor.stderr();
    assert!(log.len() <= 4096 && log.ends_with("last\n"), "{} bytes", log.len());
}
