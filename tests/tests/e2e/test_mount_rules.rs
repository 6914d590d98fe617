//! Where mounts may go, and when they may go away. What they hold is in `test_mounts`.

use std::sync::Arc;

use agentos::{
    AgentOs, AgentOsConfig, Errno, Error, MountConfig, MountFsOptions, MountPlugin, SpawnOptions,
    UnmountOptions,
};
use agentos_tests::{MemoryDriver, Sidecar, eventually, sh};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

const DETACH: UnmountOptions = UnmountOptions { detach: true };

fn memory() -> MountPlugin {
    MountPlugin { id: "memory".to_owned(), config: Value::Null }
}

async fn mount(os: &AgentOs, path: &str) {
    os.mount_native(path, memory(), MountFsOptions::default()).await.unwrap();
}

/// Who uses a mount, as its unmount says.
async fn users(os: &AgentOs, path: &str) -> Vec<String> {
    match os.unmount_fs(path).await.unwrap_err() {
        Error::MountBusy { path: said, users } => {
            assert_eq!(said, path);
            users
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_busy_mount_stays_whole_and_says_who_uses_it() {
    SIDECAR.test(async |os| {
        mount(os, "/m").await;
        mount(os, "/m/inner").await;
        assert_eq!(users(os, "/m").await, ["\"/m/inner\" is mounted in it"]);
        os.unmount_fs("/m/inner").await.unwrap();
        sh(os, "echo kept > /m/f").await;
        for (line, how) in [
            ("cd /m", "works in it"),
            ("exec 3< /m/f", "has it open: 3"),
            ("exec 4> /m/new", "has it open: 4"),
            ("cp /bin/cat /m/cat; exec 3< /m/f; rm /m/f", "has it open: 3"),
        ] {
            let script = format!("{line}; echo in; read line");
            let user = os.spawn("sh", ["-c", &script], SpawnOptions::default()).await.unwrap();
            user.stdout().await.unwrap().next().await.unwrap().unwrap();
            let said = users(os, "/m").await;
            let process = format!("process {} (\"/usr/bin/sh\")", user.pid);
            assert!(
                said.len() == 1 && said[0].contains(how) && said[0].contains(&process),
                "{line}: {said:?}"
            );
            assert!(os.list_mounts().await.unwrap().iter().any(|mount| mount.path == "/m"), "{line}");
            user.close_stdin().await.unwrap();
            user.wait().await.unwrap();
        }
        os.unmount_fs("/m").await.unwrap();
        assert!(matches!(os.unmount_fs("/m").await, Err(Error::MountNotFound { .. })));
    });
}

#[test]
fn looking_at_mounts_does_not_keep_them() {
    SIDECAR.test(async |os| {
        let looking = async {
            for _ in 0..200 {
                os.list_mounts().await.unwrap();
                os.stat("/m").await.unwrap();
            }
        };
        let mounting = async {
            for n in 0..60 {
                mount(os, "/m").await;
                if n % 20 == 0 {
                    os.fork().await.unwrap().dispose().await.unwrap();
                }
                os.unmount_fs("/m").await.unwrap();
            }
        };
        mount(os, "/m").await;
        os.unmount_fs("/m").await.unwrap();
        tokio::join!(looking, mounting);
    });
}

#[test]
fn what_is_detached_is_gone_for_paths_and_there_for_those_who_have_it() {
    SIDECAR.test(async |os| {
        mount(os, "/m").await;
        let driver = Arc::new(MemoryDriver::with(&[("f", "driver")]));
        os.mount_fs("/m/d", Arc::clone(&driver) as _, MountFsOptions::default()).await.unwrap();
        mount(os, "/m/d2").await;
        let script = "cd /m; echo one > f; exec 3<> f; exec 4< d/f; echo in; read line; \
                      read x < f; echo $x; echo two >> f; cat <&3; echo three > g; read x < g; echo $x; ls /m; cat <&4";
        let user = os.spawn("sh", ["-c", script], SpawnOptions::default()).await.unwrap();
        let mut out = user.stdout().await.unwrap();
        out.next().await.unwrap().unwrap();
        os.unmount_fs_with("/m", DETACH).await.unwrap();
        let left: Vec<String> = os.list_mounts().await.unwrap().into_iter().map(|mount| mount.path).collect();
        assert!(!left.iter().any(|path| path.starts_with("/m")), "{left:?}");
        assert_eq!(sh(os, "ls -a /m").await.stdout, ".\n..\n", "what it covered is seen again");
        eventually("the driver is let go", async || Arc::strong_count(&driver) == 1).await;
        // The place is free again.
        mount(os, "/m").await;
        os.write_file("/m/second", "").await.unwrap();
        user.write_stdin("go\n").await.unwrap();
        user.close_stdin().await.unwrap();
        user.wait().await.unwrap();
        let mut text = String::new();
        while let Some(chunk) = out.next().await {
            text.push_str(&String::from_utf8_lossy(&chunk.unwrap().data));
        }
        // Files in memory go on, the driver's fail, and no path leads from one mount to the other.
        assert!(text == "one\none\ntwo\nthree\nsecond\n", "{text}");
        os.unmount_fs_with("/m", DETACH).await.unwrap();
        assert!(matches!(os.unmount_fs_with("/m", DETACH).await, Err(Error::MountNotFound { .. })));
        for path in ["/", "/proc", "/dev/pts"] {
            assert_eq!(os.unmount_fs_with(path, DETACH).await.unwrap_err().errno(), Some(Errno::EBUSY), "{path}");
        }
    });
}

#[test]
fn a_refused_mount_leaves_nothing_behind() {
    SIDECAR.test(async |os| {
        sh(os, "mkdir ro; ln -s /workspace/ro l; echo x > file").await;
        mount(os, "/workspace/ro").await;
        os.unmount_fs("/workspace/ro").await.unwrap();
        os.mount_native("/workspace/ro", memory(), MountFsOptions { read_only: true }).await.unwrap();
        let before = os.readdir_recursive("/workspace", Default::default()).await.unwrap();
        for (path, errno) in [
            ("/workspace/file", Some(Errno::ENOTDIR)),
            ("/workspace/file/below", Some(Errno::ENOTDIR)),
            ("/workspace/ro/new/deep", Some(Errno::EROFS)),
            ("/workspace/ro", Some(Errno::EBUSY)),
            ("/proc", Some(Errno::EBUSY)),
            ("/proc/self", Some(Errno::EBUSY)),
            ("/proc/sys/new", Some(Errno::EBUSY)),
            ("/dev", Some(Errno::EBUSY)),
            ("/dev/pts/x", Some(Errno::EBUSY)),
            ("/workspace/l", None),
            ("/workspace/l/a/b", None),
        ] {
            let refused = os.mount_native(path, memory(), MountFsOptions::default()).await.unwrap_err();
            assert_eq!(refused.errno(), errno, "{path}: {refused:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let missing = json!({ "hostPath": folder.path().join("missing") });
        let plugin = MountPlugin { id: "host_dir".to_owned(), config: missing };
        assert!(os.mount_native("/workspace/a/b/c", plugin, MountFsOptions::default()).await.is_err());
        let after = os.readdir_recursive("/workspace", Default::default()).await.unwrap();
        let paths = |all: &[agentos::DirEntry]| all.iter().map(|e| e.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(&after), paths(&before));
    });
}

#[test]
fn the_number_of_mounts_is_exact_whoever_counts() {
    SIDECAR.test(async |os| {
        let first = os.list_mounts().await.unwrap().len();
        let mut many = tokio::task::JoinSet::new();
        for n in 0..260 {
            let os = os.clone();
            many.spawn(async move {
                os.mount_native(format!("/mnt/a/{n}"), memory(), MountFsOptions::default()).await
            });
        }
        let (made, refused): (Vec<_>, Vec<_>) = many.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!(made.len() + first, 256);
        for error in refused.into_iter().filter_map(Result::err) {
            match error {
                Error::Limit { name, configured: 256, .. } => assert_eq!(name, "mounts"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(os.list_mounts().await.unwrap().len(), 256);
        // What was made for those that were refused is gone.
        assert_eq!(os.readdir("/mnt/a").await.unwrap().len(), made.len());
        let taken = os.list_mounts().await.unwrap().pop().unwrap().path;
        os.unmount_fs(&taken).await.unwrap();
        mount(os, "/mnt/again").await;
    });
}

#[test]
fn one_mount_per_place_whoever_is_first() {
    SIDECAR.test(async |os| {
        for _ in 0..20 {
            let (one, two) = tokio::join!(
                os.mount_native("/m", memory(), MountFsOptions::default()),
                os.mount_native("/m", memory(), MountFsOptions::default())
            );
            assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
            let error = one.and(two).unwrap_err();
            assert_eq!(error.errno(), Some(Errno::EBUSY), "{error:?}");
            os.unmount_fs("/m").await.unwrap();
        }
    });
}

#[test]
fn guests_neither_move_nor_remove_mount_points() {
    let config = AgentOsConfig::builder().mount(MountConfig::memory("/workspace/d/m")).build();
    SIDECAR.test_with(config, async |os| {
        let line = "rmdir d/m; mv d/m e; rm -r d; mkdir x; mv x d/m; mv -T x d/m; echo hidden > d/m/f; mv d moved; cat moved/m/f; \
                    cd moved/m; cd ..; pwd; cd m/..; pwd";
        let result = sh(os, line).await;
        assert_eq!(result.stdout, "hidden\n/workspace/moved\n/workspace/moved\n", "{result:?}");
        // It is known by the path it was given.
        os.unmount_fs("/workspace/d/m").await.unwrap();
        assert_eq!(sh(os, "ls moved/m").await.stdout, "");
    });
}

#[test]
fn memory_is_made_as_asked() {
    let plugin = |config: Value| MountPlugin { id: "memory".to_owned(), config };
    SIDECAR.test(async |os| {
        let asked = json!({ "sizeBytes": 1 << 20, "inodes": 5, "mode": 0o1777, "uid": 7, "gid": 8 });
        os.mount_native("/m", plugin(asked), MountFsOptions::default()).await.unwrap();
        assert_eq!(sh(os, "stat -c '%a %u %g' /m").await.stdout, "1777 7 8\n");
        let made = sh(os, "cd /m; for n in 1 2 3 4 5 6; do touch $n; done; ls").await;
        assert_eq!(made.stdout, "1\n2\n3\n4\n", "{made:?}");
        assert!(made.stderr.contains("No space left"), "{made:?}");
        let space = sh(os, "df -k --output=size /m || df -k /m; df -i /m").await.stdout;
        assert!(space.contains(" 1024 ") && space.contains(" 5 "), "{space}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("f"), "").unwrap();
        let config = json!({ "hostPath": folder.path(), "readOnly": true, "uid": 0, "gid": 3 });
        let host_dir = MountPlugin { id: "host_dir".to_owned(), config };
        os.mount_native("/h", host_dir, MountFsOptions::default()).await.unwrap();
        assert_eq!(sh(os, "stat -c '%u %g' /h/f; touch /h/f").await.stdout, "0 3\n");
        assert!(matches!(os.write_file("/h/f", "").await, Err(Error::ReadOnly { .. })));
    });
}
