//! Overlays and the host's `node_modules`: what lies below stays as it is.

use std::os::unix::fs::symlink;

use agentos::{AgentOsConfig, Errno, Error, MountConfig, OverlayMountConfig};
use agentos_tests::{Sidecar, sh};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

fn overlay(filesystem: Value) -> OverlayMountConfig {
    serde_json::from_value(filesystem).unwrap()
}

/// A project of the host.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("src/deep")).unwrap();
    std::fs::write(folder.path().join("src/main"), "of the host\n").unwrap();
    std::fs::write(folder.path().join("src/deep/f"), "deep\n").unwrap();
    std::fs::write(folder.path().join("big"), vec![b'x'; 3 << 20]).unwrap();
    symlink("src/main", folder.path().join("link")).unwrap();
    folder
}

/// All files of a directory with what they hold.
fn content(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                todo.push(path.clone());
                all.push((path, Vec::new()));
            } else {
                all.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn an_overlay_takes_all_changes_and_the_host_keeps_its_files() {
    let folder = project();
    let before = content(folder.path());
    let mount = MountConfig::overlay("/p", folder.path().to_str().unwrap());
    SIDECAR.test_with(AgentOsConfig::builder().mount(mount).build(), async |os| {
        let line = "cd /p; cat src/main link; echo changed > src/main; echo more >> src/deep/f; rm big; mkdir new; mv src/deep new/; \
                    echo n > n; chmod 600 n; cat link new/deep/f; ls; mv src renamed; cat renamed/main";
        let result = sh(os, line).await;
        let want = "of the host\nof the host\nchanged\ndeep\nmore\nlink\nn\nnew\nsrc\nchanged\n";
        assert_eq!((result.stdout.as_str(), result.stderr.as_str()), (want, ""), "{result:?}");
        assert_eq!(os.read_file("/p/renamed/main").await.unwrap(), b"changed\n");
        assert!(!os.exists("/p/big").await.unwrap());
        let list = os.list_mounts().await.unwrap();
        let mount = list.iter().find(|mount| mount.path == "/p").unwrap();
        assert_eq!((mount.fs_type.as_str(), mount.read_only), ("overlay", false));
        assert_eq!(mount.source, folder.path().to_str().unwrap());
        // A copy of the machine has its own changes.
        let fork = os.fork().await.unwrap();
        assert_eq!(sh(&fork, "cat /p/renamed/main; echo fork > /p/renamed/main; rm /p/n; ls /p").await.stdout, "changed\nlink\nnew\nrenamed\n");
        assert_eq!(sh(os, "cat /p/renamed/main /p/n").await.stdout, "changed\nn\n");
        fork.dispose().await.unwrap();
    });
    assert_eq!(content(folder.path()), before);
}

#[test]
fn layers_lie_on_each_other_and_may_be_read_only() {
    let (top, below) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (folder, text) in [(&top, "top"), (&below, "below")] {
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("d/both"), text).unwrap();
        std::fs::write(folder.path().join("d").join(text), text).unwrap();
    }
    SIDECAR.test(async |os| {
        let lower = |folder: &tempfile::TempDir| json!({ "kind": "host-dir", "hostPath": folder.path() });
        let base = json!({ "kind": "bundled-base-filesystem" });
        let all = overlay(
            json!({ "type": "overlay", "mode": "read-only", "lowers": [lower(&top), lower(&below), base] }),
        );
        os.mount_overlay("/o", all).await.unwrap();
        let result = sh(
            os,
            "cat /o/d/both /o/d/top /o/d/below; ls /o/d; /o/bin/echo; echo x > /o/d/new; rm /o/d/both",
        )
        .await;
        assert_eq!(result.stdout, "toptopbelowbelow\nboth\ntop\n\n", "{result:?}");
        assert_eq!(result.stderr.matches("Read-only file system").count(), 2, "{result:?}");
        assert!(matches!(os.write_file("/o/d/new", "").await, Err(Error::ReadOnly { .. })));
        // What is wrong says where.
        let missing =
            overlay(json!({ "lowers": [lower(&top), { "kind": "host-dir", "hostPath": "/no/such/place" }] }));
        let refused = os.mount_overlay("/p", missing).await.unwrap_err();
        assert_eq!(refused.errno(), Some(Errno::ENOENT), "{refused:?}");
        let many = overlay(json!({ "lowers": vec![lower(&top); 101] }));
        match os.mount_overlay("/p", many).await.unwrap_err() {
            Error::InvalidConfig { path, .. } => assert_eq!(path, "filesystem.lowers"),
            other => panic!("{other:?}"),
        }
        assert!(!os.exists("/p").await.unwrap());
    });
}

#[test]
fn an_overlay_is_bounded_as_the_machine_is() {
    let folder = project();
    let limits = agentos::VmLimits { filesystem_bytes: 4 << 20, ..agentos::VmLimits::default() };
    let mount = MountConfig::overlay("/p", folder.path().to_str().unwrap());
    SIDECAR.test_with(AgentOsConfig::builder().limits(limits).mount(mount).build(), async |os| {
        let result =
            sh(os, "cd /p; echo x >> big; cp big two; wc -c < big; cat src/main; df -k /p | tail -1").await;
        assert!(result.stderr.contains("No space left"), "{result:?}");
        assert!(result.stdout.starts_with("3145730\nof the host\n"), "{result:?}");
    });
}

#[test]
fn the_host_may_change_what_lies_below() {
    let folder = project();
    let host = folder.path();
    let mount = MountConfig::overlay("/p", host.to_str().unwrap());
    SIDECAR.test_with(AgentOsConfig::builder().mount(mount).build(), async |os| {
        sh(os, "cd /p; echo mine > src/mine; cat src/main").await;
        // Nothing is promised of what is seen, but that it is an answer, and that the machine's own changes stay.
        for n in 0..30 {
            match n % 5 {
                0 => drop(std::fs::remove_dir_all(host.join("src"))),
                1 => std::fs::write(host.join("src"), "a file now").unwrap(),
                2 => std::fs::remove_file(host.join("src")).unwrap(),
                3 => symlink("/etc", host.join("src")).unwrap(),
                _ => {
                    std::fs::remove_file(host.join("src")).unwrap();
                    std::fs::create_dir_all(host.join("src/deep")).unwrap();
                    std::fs::write(host.join("src/main"), format!("{n}\n")).unwrap();
                }
            }
            sh(os, "cd /p; ls -lR . ; cat src/main src/deep/f; echo y >> src/main; mv src/deep src/d2; rm -r src/d2").await;
        }
        assert_eq!(sh(os, "cat /p/src/mine; ls /p | head -1").await.stdout, "mine\nbig\n");
    });
}

#[test]
fn modules_of_the_host_are_found_and_only_read() {
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().join("node_modules");
    // As pnpm lays them out.
    let real = modules.join(".pnpm/left@1.0.0/node_modules/left");
    std::fs::create_dir_all(&real).unwrap();
    std::fs::write(real.join("index.js"), "module\n").unwrap();
    symlink(".pnpm/left@1.0.0/node_modules/left", modules.join("left")).unwrap();
    std::fs::create_dir_all(folder.path().join("packages/own")).unwrap();
    std::fs::write(folder.path().join("packages/own/secret"), "not shared\n").unwrap();
    symlink("../packages/own", modules.join("own")).unwrap();
    symlink(folder.path().join("packages/own"), modules.join("absolute")).unwrap();
    let config = || AgentOsConfig::builder().module_access_cwd(folder.path().to_str().unwrap());
    SIDECAR.test_with(config().build(), async |os| {
        let result = sh(os, "cat /node_modules/left/index.js; ls /node_modules; cat /node_modules/*/secret; touch /node_modules/x").await;
        assert_eq!(result.stdout, "module\nabsolute\nleft\nown\n", "{result:?}");
        assert!(matches!(os.write_file("/node_modules/x", "").await, Err(Error::ReadOnly { .. })));
        assert!(os.list_mounts().await.unwrap().iter().any(|m| m.path == "/node_modules" && m.read_only));
    });
    let field = async |config: AgentOsConfig| match SIDECAR.create(config).await.unwrap_err() {
        Error::InvalidConfig { path, .. } => path,
        other => panic!("{other:?}"),
    };
    SIDECAR.test(async |_| {
        assert_eq!(
            field(config().mount(MountConfig::memory("/node_modules")).build()).await,
            "moduleAccessCwd"
        );
        let none = AgentOsConfig::builder().module_access_cwd(real.to_str().unwrap()).build();
        assert_eq!(field(none).await, "moduleAccessCwd");
        // What only the sidecar knows is told of the field as well.
        let cache = agentos_tests::image_cache();
        let evil = tempfile::tempdir().unwrap();
        symlink(&cache, evil.path().join("node_modules")).unwrap();
        let config = AgentOsConfig::builder().module_access_cwd(evil.path().to_str().unwrap()).build();
        assert_eq!(field(config).await, "moduleAccessCwd");
    });
}
