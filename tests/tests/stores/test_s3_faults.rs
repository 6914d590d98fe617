//! A bucket whose server goes away, stalls and comes back, in the midst of uploads: nothing is half there, nothing is lost that can
//! be kept, and no part stays behind.

use std::time::Duration;

use agentos::{AgentOsConfig, Errno, UnmountOptions};
use agentos_tests::{Sidecar, eventually, sh};

use crate::proxy::{Line, Proxy};
use crate::s3::S3;
use crate::server::native;

static SIDECAR: Sidecar = Sidecar::new();

const SIZE: usize = 30_000_000;
/// In the second part of an upload of [`SIZE`].
const MIDST: u64 = 12_000_000;

fn mounted(s3: &S3) -> (Proxy, AgentOsConfig) {
    let (proxy, config) = s3.proxied(4000);
    (proxy, AgentOsConfig::builder().mount(native("/data", "s3", config)).build())
}

async fn no_part_stays(s3: &S3) {
    let none = async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        s3.python("print(uploads())") == "[]\n"
    };
    eventually("unfinished uploads are taken back", none).await;
}

fn whole(s3: &S3, key: &str) {
    let sum = s3.python(&format!("d = get('some/where/{key}')\nprint(len(d), set(d))"));
    assert_eq!(sum, format!("{SIZE} {{7}}\n"));
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn an_upload_that_is_cut_once_is_done_again() {
    let s3 = S3::start();
    let (proxy, config) = mounted(&s3);
    SIDECAR.test_with(config, async |os| {
        os.write_file("/tmp/z", vec![7; SIZE]).await.unwrap();
        for (from, name) in [("guest", "one"), ("host", "two")] {
            proxy.after(MIDST, Line::Up);
            if from == "guest" {
                let out = sh(os, &format!("cp /tmp/z /data/{name}")).await;
                assert_eq!((out.exit_code, out.stderr.as_str()), (0, ""));
            } else {
                os.write_file(format!("/data/{name}"), vec![7; SIZE]).await.unwrap();
            }
            assert!(proxy.burnt(), "it was cut");
            whole(&s3, name);
            no_part_stays(&s3).await;
        }
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn a_store_that_goes_away_in_an_upload_keeps_the_old_object_until_a_sync() {
    let s3 = S3::start();
    let (proxy, config) = mounted(&s3);
    s3.python("put('some/where/old', b'as it was')");
    SIDECAR.test_with(config, async |os| {
        os.write_file("/tmp/z", vec![7; SIZE]).await.unwrap();
        for away in [Line::Down, Line::Stalled] {
            s3.python("put('some/where/old', b'as it was')");
            proxy.after(MIDST, away);
            let out = sh(os, "dd if=/tmp/z of=/data/old bs=1M conv=fsync || echo failed").await;
            assert_eq!(proxy.line(), away);
            assert_eq!(out.stdout, "failed\n", "{away:?}: {}", out.stderr);
            let close = os.write_file("/data/old", vec![7; SIZE]).await.unwrap_err();
            let errno = if away == Line::Down { Errno::EIO } else { Errno::ETIMEDOUT };
            assert_eq!(close.errno(), Some(errno), "{close:?}");
            assert_eq!(s3.python("print(get('some/where/old'))"), "b'as it was'\n");
            // Others have their work.
            assert_eq!(sh(os, "echo fine > /tmp/f; cat /tmp/f").await.stdout, "fine\n");
            proxy.set(Line::Up);
            let out = sh(os, "cmp /tmp/z /data/old && sync /data/old").await;
            assert_eq!((out.exit_code, out.stderr.as_str()), (0, ""), "{away:?}");
            whole(&s3, "old");
            no_part_stays(&s3).await;
        }
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn who_copies_into_a_store_that_goes_away_hears_of_it() {
    let s3 = S3::start();
    let (proxy, config) = mounted(&s3);
    SIDECAR.test_with(config, async |os| {
        for (command, name) in [("cp", "copied"), ("mv", "moved"), ("install", "installed")] {
            os.write_file("/tmp/z", vec![7; SIZE]).await.unwrap();
            proxy.after(MIDST, Line::Down);
            let out = sh(os, &format!("{command} /tmp/z /data/{name}; echo $?; ls /tmp/z")).await;
            assert_eq!(out.stdout, "1\n/tmp/z\n", "{command}: {}", out.stderr);
            assert!(out.stderr.contains("Input/output error"), "{command}: {}", out.stderr);
            proxy.set(Line::Up);
            assert_eq!(sh(os, &format!("sync /data/{name}")).await.exit_code, 0, "{command}");
            whole(&s3, name);
        }
        no_part_stays(&s3).await;
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn what_a_killed_program_wrote_waits_for_the_store() {
    let s3 = S3::start();
    let (proxy, config) = mounted(&s3);
    SIDECAR.test_with(config, async |os| {
        for (away, detach) in [(Line::Down, false), (Line::Stalled, false), (Line::Down, true)] {
            s3.python("put('some/where/log', b'begin,')");
            // Each close of the shell would be an upload: awk writes and waits for what never comes.
            let script = "rm -f /tmp/go /tmp/never; mkfifo /tmp/never; awk 'BEGIN { printf \"end\" >> \"/data/log\"; fflush(); \
                          print > \"/tmp/go\"; close(\"/tmp/go\"); getline < \"/tmp/never\" }' & \
                          until [ -e /tmp/go ]; do sleep 0.05; done; echo $!";
            let pid = sh(os, script).await.stdout;
            proxy.set(away);
            assert_eq!(sh(os, &format!("kill -9 {pid}")).await.exit_code, 0);
            // Those who look here see what was written, which is nowhere else.
            assert_eq!(os.read_file("/data/log").await.unwrap(), b"begin,end");
            assert_eq!(s3.python("print(get('some/where/log'))"), "b'begin,'\n");
            let kept = os.unmount_fs("/data").await.unwrap_err();
            let errno = if away == Line::Down { Errno::EIO } else { Errno::ETIMEDOUT };
            assert_eq!(kept.errno(), Some(errno), "{kept:?}");
            if detach {
                os.unmount_fs_with("/data", UnmountOptions { detach }).await.unwrap();
                proxy.set(Line::Up);
                assert_eq!(s3.python("print(get('some/where/log'))"), "b'begin,'\n", "it was given up");
            } else {
                proxy.set(Line::Up);
                let out = sh(os, "sync /data/log").await;
                assert_eq!((out.exit_code, out.stderr.as_str()), (0, ""));
                assert_eq!(s3.python("print(get('some/where/log'))"), "b'begin,end'\n");
            }
            no_part_stays(&s3).await;
        }
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn a_machine_that_ends_brings_what_waits_to_the_store() {
    let s3 = S3::start();
    let (proxy, config) = mounted(&s3);
    SIDECAR.test_with(config, async |os| {
        proxy.after(MIDST, Line::Down);
        assert!(os.write_file("/data/new", vec![7; SIZE]).await.is_err());
        proxy.set(Line::Up);
    });
    whole(&s3, "new");
    assert_eq!(s3.python("print(uploads())"), "[]\n");
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn a_reader_whose_store_goes_away_fails_and_hurts_nobody() {
    let s3 = S3::start();
    let (proxy, config) = mounted(&s3);
    SIDECAR.test_with(config, async |os| {
        for away in [Line::Down, Line::Stalled] {
            s3.python("put('some/where/big', bytes([7] * 30000000))");
            sh(os, "rm -f /tmp/r /tmp/on").await;
            let reader = "exec 3< /data/big; head -c 1000 <&3 | wc -c; touch /tmp/r; \
                          until [ -e /tmp/on ]; do sleep 0.05; done; cat <&3 > /tmp/rest || echo failed";
            let killer = async {
                eventually("it has begun", async || os.exists("/tmp/r").await.unwrap()).await;
                proxy.set(away);
                os.write_file("/tmp/on", "").await.unwrap();
            };
            let (read, ()) = tokio::join!(sh(os, reader), killer);
            assert_eq!(read.stdout, "1000\nfailed\n", "{away:?} {}", read.stderr);
            assert_eq!(sh(os, "echo fine > /tmp/f; cat /tmp/f").await.stdout, "fine\n");
            proxy.set(Line::Up);
            assert_eq!(sh(os, "cat /data/big | wc -c").await.stdout, format!("{SIZE}\n"));
        }
    });
}
