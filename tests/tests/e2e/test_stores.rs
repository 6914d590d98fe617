//! Object stores as mounts, as far as that needs no server: what is refused, what is shown, and one that does not answer.

use std::net::TcpListener;

use agentos::{AgentOsConfig, Errno, Error, MountConfig, MountFsOptions, MountPlugin};
use agentos_tests::{Sidecar, sh};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

fn native(path: &str, id: &str, config: Value) -> MountConfig {
    MountConfig::Native { path: path.into(), plugin: MountPlugin { id: id.into(), config }, read_only: false }
}

#[test]
fn a_wrong_field_is_named_and_no_secret_is_shown() {
    let secret = "hunter2";
    SIDECAR.test(async |os| {
        for (id, config, field) in [
            ("s4", json!({}), "id"),
            ("s3", json!({ "secretAccessKey": secret }), "config.bucket"),
            (
                "s3",
                json!({ "bucket": "b", "region": "r", "accessKeyId": "i", "secretAccesKey": secret }),
                "config.secretAccessKey",
            ),
            ("s3", json!({ "bucket": "b", "endpoint": format!("http://u:{secret}@h") }), "config.endpoint"),
            ("webdav", json!({ "password": secret }), "config.endpoint"),
            ("webdav", json!({ "endpoint": format!("http://u:{secret}@h") }), "config.endpoint"),
            ("webdav", json!({ "endpoint": "http://h", "user": "u", "password": secret }), "config.username"),
            (
                "webdav",
                json!({ "endpoint": "http://h", "username": "u", "password": secret, "depth": 1 }),
                "config.depth",
            ),
            ("google_drive", json!({ "refreshToken": secret }), "config.accessToken"),
            ("fs", json!({ "root": "here" }), "config.root"),
            ("fs", json!({ "root": "/", "path": "/" }), "config.path"),
        ] {
            let plugin = MountPlugin { id: id.into(), config: config.clone() };
            assert!(!format!("{plugin:?}").contains(secret));
            let at_run_time = os.mount_native("/m", plugin, MountFsOptions::default()).await.unwrap_err();
            let config =
                AgentOsConfig::builder().mount(MountConfig::memory("/a")).mount(native("/m", id, config));
            let at_create = SIDECAR.create(config.build()).await.unwrap_err();
            for (error, at) in [(at_run_time, "plugin"), (at_create, "mounts[1].plugin")] {
                let Error::InvalidConfig { path, reason } = &error else { panic!("{error:?}") };
                assert_eq!(*path, format!("{at}.{field}"), "{reason}");
                assert!(!format!("{error:?} {error}").contains(secret), "{error:?}");
            }
        }
    });
}

/// A server that takes connections and says nothing, and one that is not there.
#[test]
fn a_store_that_does_not_answer_hurts_only_its_mount() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let s3 = |address| {
        json!({ "bucket": "b", "prefix": "p", "endpoint": format!("http://{address}"), "timeoutMs": 500,
                "accessKeyId": "hunter1", "secretAccessKey": "hunter2" })
    };
    let config = AgentOsConfig::builder()
        .mount(native("/silent", "s3", s3(silent.local_addr().unwrap())))
        .mount(native("/gone", "s3", s3(gone)))
        .build();
    SIDECAR.test_with(config, async |os| {
        let out = sh(os, "cat /silent/f; ls /gone; echo x > /silent/new; echo on >> log; cat log").await;
        assert_eq!(out.stdout, "on\n");
        assert_eq!(out.stderr.matches("timed out").count(), 2, "{}", out.stderr);
        assert_eq!(
            out.stderr.to_lowercase().matches("i/o error").count()
                + out.stderr.matches("Input/output").count(),
            1,
            "{}",
            out.stderr
        );
        assert_eq!(os.stat("/silent/f").await.unwrap_err().errno(), Some(Errno::ETIMEDOUT));
        assert_eq!(os.write_file("/gone/f", "x").await.unwrap_err().errno(), Some(Errno::EIO));
        let mounts = os.list_mounts().await.unwrap();
        let shown = mounts.iter().find(|mount| mount.path == "/gone").unwrap();
        assert_eq!((shown.fs_type.as_str(), shown.source.as_str()), ("s3", "s3://b/p"));
        assert!(
            !format!("{mounts:?}{}", sh(os, "mount; cat /proc/mounts; env").await.stdout).contains("hunter")
        );
        os.unmount_fs("/silent").await.unwrap();
        os.unmount_fs("/gone").await.unwrap();
    });
}

#[test]
fn fs_is_a_directory_of_the_host_that_nothing_leads_out_of() {
    let (outside, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret"), "s").unwrap();
    std::fs::write(folder.path().join("a.txt"), "one\ntwo\n").unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
    let config =
        AgentOsConfig::builder().mount(native("/data", "fs", json!({ "root": folder.path() }))).build();
    SIDECAR.test_with(config, async |os| {
        let script = "cd /data && cp a.txt b.txt && mv b.txt c.txt && sed -i s/two/three/ c.txt && grep -r three . \
                      && git init -q r && cd r && cp ../c.txt . && git add c.txt \
                      && git -c user.name=n -c user.email=e commit -qm m && git status --short; cat /data/out/secret";
        let out = sh(os, script).await;
        assert_eq!(out.stdout, "./c.txt:three\n", "{}", out.stderr);
        assert!(out.stderr.contains("secret"), "{}", out.stderr);
        assert_eq!(std::fs::read_to_string(folder.path().join("r/c.txt")).unwrap(), "one\nthree\n");
        std::fs::write(folder.path().join("c.txt"), "host").unwrap();
        assert_eq!(os.read_file("/data/c.txt").await.unwrap(), b"host");
    });
}
