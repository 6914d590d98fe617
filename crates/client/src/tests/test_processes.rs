//! Processes: output inline, by stream, live; input of any size; cancelling; replay.

use std::sync::Arc;
use std::time::Duration;

use agentos_protocol::message::{Request, Spawn, SpawnReply};
use parking_lot::Mutex;

use super::{soon, vm};
use crate::{Errno, Error, ExecOptions};

#[tokio::test]
async fn short_output_is_one_frame_each_way() {
    let (os, fake) = vm().await;
    let before = fake.calls.lock().len();
    let result = soon(os.exec("echo hello", ExecOptions::default())).await.unwrap();
    assert!(result.success());
    assert_eq!((result.stdout.as_str(), result.stderr.as_str()), ("hello", ""));
    assert_eq!(fake.calls.lock().len(), before + 1);
    let result = soon(os.exec_argv(["exit", "3"], ExecOptions::default())).await.unwrap();
    assert_eq!((result.exit_code, result.success()), (3, false));
    let raw = soon(os.exec("binary", ExecOptions::default())).await.unwrap();
    assert_eq!((raw.stdout.as_str(), raw.stdout_bytes()), ("\u{fffd}\u{fffd}", &[0xff, 0xfe][..]));
}

#[tokio::test]
async fn long_output_is_complete_or_a_limit() {
    let (os, _fake) = vm().await;
    for size in [65_536, 65_537, 5_000_000] {
        let result = soon(os.exec(format!("bytes {size}"), ExecOptions::default())).await.unwrap();
        assert_eq!(result.stdout.len(), size);
    }
    let options = ExecOptions { max_output: 1_000_000, ..ExecOptions::default() };
    let error = soon(os.exec("bytes 5000000", options)).await.unwrap_err();
    assert!(matches!(error, Error::Limit { configured: 1_000_000, .. }), "{error:?}");
    // Also where it would fit into the reply.
    let options = ExecOptions { max_output: 100, ..ExecOptions::default() };
    let error = soon(os.exec("bytes 300", options.clone())).await.unwrap_err();
    assert!(matches!(error, Error::Limit { configured: 100, used: 0, requested: 300, .. }), "{error:?}");
    assert!(soon(os.exec("bytes 100", options)).await.unwrap().success());
    let options = ExecOptions { capture: false, ..ExecOptions::default() };
    assert_eq!(soon(os.exec("bytes 5000000", options)).await.unwrap().stdout, "");
}

#[tokio::test]
async fn callbacks_see_everything() {
    let (os, _fake) = vm().await;
    for capture in [false, true] {
        let seen = Arc::new(Mutex::new(0));
        let sink = Arc::clone(&seen);
        let options = ExecOptions {
            on_stdout: Some(Arc::new(move |bytes: &[u8]| *sink.lock() += bytes.len())),
            capture,
            ..ExecOptions::default()
        };
        let result = soon(os.exec("bytes 1000000", options)).await.unwrap();
        assert_eq!(*seen.lock(), 1_000_000);
        assert_eq!(result.stdout.len(), if capture { 1_000_000 } else { 0 });
    }
}

#[tokio::test]
async fn input_of_any_size_arrives() {
    let (os, _fake) = vm().await;
    for size in [0, 10, 256 << 10, 3_000_000] {
        let options = ExecOptions { stdin: Some(vec![b'i'; size]), ..ExecOptions::default() };
        assert_eq!(soon(os.exec("cat", options)).await.unwrap().stdout.len(), size);
    }
}

#[tokio::test]
async fn streams_may_be_passed_through() {
    let (os, _fake) = vm().await;
    let (mut writer, reader) = tokio::io::duplex(1000);
    let feeding = tokio::spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut writer, &vec![b'i'; 2_000_000]).await.unwrap();
    });
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status =
        soon(os.exec_streams(["cat"], ExecOptions::default(), reader, &mut out, &mut err)).await.unwrap();
    assert_eq!((status.exit_code, out.len(), err.len()), (0, 2_000_000, 0));
    soon(feeding).await.unwrap();

    // Input that never ends does not hold up a program that does not read it.
    let (_writer, silent) = tokio::io::duplex(10);
    let run = os.exec_streams(["exit", "4"], ExecOptions::default(), silent, &mut out, &mut err);
    assert_eq!(soon(run).await.unwrap().exit_code, 4);

    // An output that nobody reads any more is given up, and the status awaited all the same.
    let (gone, other) = tokio::io::duplex(10);
    drop(other);
    let run = os.exec_streams(["bytes 5000000"], ExecOptions::default(), &b""[..], gone, &mut err);
    assert_eq!(soon(run).await.unwrap().exit_code, 0);
}

#[tokio::test]
async fn failures_and_cancelling() {
    let (os, fake) = vm().await;
    let error = soon(os.exec("nonsense", ExecOptions::default())).await.unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOENT));
    let none: [&str; 0] = [];
    assert!(matches!(os.exec_argv(none, ExecOptions::default()).await, Err(Error::InvalidRequest { .. })));
    let dropped =
        tokio::time::timeout(Duration::from_millis(50), os.exec("sleep", ExecOptions::default())).await;
    assert!(dropped.is_err());
    let responder = fake.kept.lock().pop().unwrap();
    soon(responder.cancelled().cancelled()).await;
}

#[tokio::test]
async fn spawned_processes_are_fed_read_and_waited_for() {
    let (os, fake) = vm().await;
    let process = soon(os.spawn("cat", ["-n"], Default::default())).await.unwrap();
    assert_eq!(process.pid, 33);
    soon(process.write_stdin("one ")).await.unwrap();
    soon(process.write_stdin(vec![b'.'; 1_000_000])).await.unwrap();
    soon(process.close_stdin()).await.unwrap();
    soon(process.close_stdin()).await.unwrap();
    assert!(matches!(process.write_stdin("x").await, Err(Error::ProcessNotFound { pid: 33 })));
    soon(async {
        while fake.files.lock().get(&"/stdin".into()).is_none_or(|all| all.len() != 1_000_004) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;

    let mut out = soon(process.stdout()).await.unwrap();
    let chunk = soon(out.next()).await.unwrap().unwrap();
    assert_eq!((chunk.offset, &chunk.data[..]), (100, &b"output"[..]), "the ring begins at 100");
    assert!(soon(out.next()).await.is_none());
    assert_eq!(out.offset(), 106);
    let mut err = soon(os.on_process_stderr_from(33, 104)).await.unwrap();
    assert_eq!(soon(err.next()).await.unwrap().unwrap().offset, 104);
    assert!(soon(err.next()).await.unwrap().is_err(), "a broken stream is not an end");
    assert!(soon(err.next()).await.is_none());

    assert_eq!(soon(os.on_process_exit(33)).await.unwrap().exit_code, 3);
    assert!(matches!(soon(os.wait_process(9)).await, Err(Error::ProcessNotFound { pid: 9 })));
}

#[tokio::test]
async fn a_dropped_spawn_leaves_no_process() {
    let (os, fake) = vm().await;
    let none: [&str; 0] = [];
    let dropped = tokio::time::timeout(Duration::from_millis(50), os.spawn("slow", none, Default::default()));
    assert!(dropped.await.is_err());
    let responder = fake.kept.lock().pop().unwrap();
    soon(responder.cancelled().cancelled()).await;
    // The reply was under way.
    responder.reply::<Spawn>(Ok(SpawnReply { pid: 77 }));
    let killed = soon(async {
        loop {
            let last = fake.calls.lock().last().cloned();
            match last {
                Some(Request::SignalProcess(call)) => return call,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    });
    let killed = killed.await;
    assert_eq!((killed.pid, killed.signal.as_str(), killed.group), (77, "SIGKILL", true));
}
