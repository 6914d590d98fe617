//! Forks of a machine: they start as it is, share nothing that changes, and leave nothing behind.

use std::sync::Arc;

use agentos::{
    AgentOs, AgentOsConfig, Error, MountConfig, MountFsOptions, MountPlugin, SpawnOptions, VmLimits,
};
use agentos_tests::{MemoryDriver, Sidecar, live_processes, sh};

static SIDECAR: Sidecar = Sidecar::new();

async fn text(os: &AgentOs, path: &str) -> String {
    String::from_utf8(os.read_file(path).await.unwrap()).unwrap()
}

fn plugin(id: &str) -> MountPlugin {
    MountPlugin { id: id.to_owned(), config: serde_json::Value::Null }
}

#[test]
fn a_hundred_forks_each_with_its_own_change() {
    SIDECAR.test(async |os| {
        sh(os, "mkdir src && for i in $(seq 50); do echo line $i > src/f$i; done; ln src/f1 src/same").await;
        let before = sh(os, "find /workspace -type f | sort | xargs cat | cksum").await.stdout;
        let mut forks = Vec::new();
        for n in 0..100 {
            let fork = os.fork().await.unwrap();
            sh(&fork, &format!("echo change {n} > src/f1; echo new > src/only{n}; rm src/f50")).await;
            forks.push(fork);
        }
        for (n, fork) in forks.iter().enumerate() {
            let names = sh(fork, "cd src; ls only*; ls f50; cat f1 same; ls | wc -l").await.stdout;
            assert_eq!(names, format!("only{n}\nchange {n}\nchange {n}\n51\n"));
        }
        assert_eq!(sh(os, "find /workspace -type f | sort | xargs cat | cksum").await.stdout, before);
        let kept = forks.swap_remove(42);
        for fork in forks {
            fork.dispose().await.unwrap();
        }
        os.write_file("/workspace/src/f2", "of the original").await.unwrap();
        assert_eq!(text(&kept, "/workspace/src/only42").await, "new\n");
        assert_eq!(text(&kept, "/workspace/src/f2").await, "line 2\n");
        // A fork of a fork, whose parent goes.
        let child = kept.fork().await.unwrap();
        kept.dispose().await.unwrap();
        assert_eq!(
            sh(&child, "cat src/only42; echo more >> src/only42; cat src/only42").await.stdout,
            "new\nnew\nmore\n"
        );
        child.dispose().await.unwrap();
        let sidecar = SIDECAR.handle().await;
        assert_eq!(sidecar.describe().await.unwrap().active_vm_count, 1);
    });
}

#[test]
fn the_configuration_is_copied_and_processes_are_not() {
    let limits = VmLimits { processes: 7, filesystem_bytes: 4 << 20, ..VmLimits::default() };
    let config =
        AgentOsConfig::builder().limits(limits).env("KEY", "value").hostname("first").cwd("/srv/here");
    SIDECAR.test_with(config.build(), async |os| {
        sh(os, "echo 1 > kept; exec 3>gone; rm gone").await;
        let running = os.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap();
        let fork = os.fork().await.unwrap();
        assert!(live_processes(&fork).await.is_empty());
        assert_eq!(fork.describe().await.unwrap().processes, 0);
        assert_eq!(
            sh(&fork, "echo $KEY $(hostname) $(pwd) $(id -un); ls").await.stdout,
            "value first /srv/here agentos\nkept\n"
        );
        let mut started = Vec::new();
        for _ in 0..7 {
            started.push(fork.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap());
        }
        match fork.spawn("true", Vec::<String>::new(), SpawnOptions::default()).await.map(|_| ()) {
            Err(Error::Limit { name, configured, .. }) => assert_eq!((&*name, configured), ("processes", 7)),
            other => panic!("{other:?}"),
        }
        // What the original had written counts for the fork as well.
        os.write_file("/srv/here/big", vec![1; 3 << 20]).await.unwrap();
        let full = os.fork().await.unwrap();
        match full.write_file("/srv/here/more", vec![1; 2 << 20]).await {
            Err(Error::Limit { name, .. }) => assert_eq!(name, "filesystemBytes"),
            other => panic!("{other:?}"),
        }
        fork.write_file("/srv/here/more", vec![1; 2 << 20]).await.unwrap();
        full.dispose().await.unwrap();
        fork.dispose().await.unwrap();
        running.kill().await.unwrap();
        running.wait().await.unwrap();
        assert_eq!(text(os, "/srv/here/kept").await, "1\n");
    });
}

#[test]
fn memory_mounts_are_copied_and_others_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let config = AgentOsConfig::builder()
        .mount(MountConfig::memory("/mem"))
        .mount(MountConfig::host_dir("/mem/host", folder.path().to_str().unwrap(), false))
        .build();
    SIDECAR.test_with(config, async |os| {
        let driver = Arc::new(MemoryDriver::with(&[("f", "driver")]));
        os.mount_fs("/mnt/driver", driver, MountFsOptions { read_only: true }).await.unwrap();
        sh(os, "echo memory > /mem/f; echo host > /mem/host/f").await;
        let fork = os.fork().await.unwrap();
        let all = "cat /mem/f /mem/host/f /mnt/driver/f";
        assert_eq!(sh(&fork, all).await.stdout, "memory\nhost\ndriver");
        sh(&fork, "echo changed > /mem/f; echo changed > /mem/host/f").await;
        assert_eq!(sh(os, all).await.stdout, "memory\nchanged\ndriver");
        let mounts = async |os: &AgentOs| {
            let all = os.list_mounts().await.unwrap();
            all.into_iter().map(|m| (m.path, m.fs_type, m.source, m.read_only)).collect::<Vec<_>>()
        };
        assert_eq!(mounts(os).await, mounts(&fork).await);
        // The driver stays for the fork when the original lets it go.
        os.unmount_fs("/mnt/driver").await.unwrap();
        assert_eq!(sh(&fork, "cat /mnt/driver/f; echo x > /mnt/driver/f").await.stdout, "driver");
        assert_eq!(os.list_mounts().await.unwrap().len() + 1, fork.list_mounts().await.unwrap().len());
        fork.dispose().await.unwrap();
    });
}

#[test]
fn a_root_of_the_host_is_shared_and_a_disposed_machine_has_no_forks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "host").unwrap();
    let root = MountConfig::host_dir("/", folder.path().to_str().unwrap(), false);
    SIDECAR.test_with(AgentOsConfig::builder().mount(root).build(), async |os| {
        let fork = os.fork().await.unwrap();
        assert_eq!(text(&fork, "/f").await, "host");
        fork.write_file("/g", "of the fork").await.unwrap();
        assert_eq!(text(os, "/g").await, "of the fork");
        fork.dispose().await.unwrap();
        assert!(matches!(fork.fork().await, Err(Error::Disposed)));
    });
}

#[test]
fn a_copy_has_its_mounts_where_they_are_now_whatever_the_guest_did_to_their_paths() {
    SIDECAR.test(async |os| {
        sh(os, "mkdir -p a/m").await;
        os.mount_native("/workspace/a/m", plugin("memory"), MountFsOptions::default()).await.unwrap();
        // The path of old leads elsewhere now.
        let moved =
            sh(os, "echo inside > a/m/f && mv a b && mkdir -p c/m && ln -s c a && cat b/m/f a/m/f").await;
        assert_eq!(moved.stdout, "inside\n", "{moved:?}");
        let fork = os.fork().await.unwrap();
        assert_eq!(sh(&fork, "cat b/m/f; ls c/m; echo of the copy > b/m/f").await.stdout, "inside\n");
        assert_eq!(text(os, "/workspace/b/m/f").await, "inside\n");
        fork.dispose().await.unwrap();
        // What the path names was left for good.
        sh(os, "rm a && rmdir c/m c").await;
        let fork = os.fork().await.unwrap();
        assert_eq!(text(&fork, "/workspace/b/m/f").await, "inside\n");
        fork.dispose().await.unwrap();
    });
}
