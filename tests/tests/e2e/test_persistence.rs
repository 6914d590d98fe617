//! Machines whose files are kept: they go on where they were, also after the sidecar was killed, and nobody else gets at the store.

use std::path::Path;
use std::sync::Arc;

use agentos::{
    AgentOs, AgentOsConfig, AgentOsSidecar, AgentOsSidecarConfig, Error, MountConfig, MountFsOptions,
    MountPlugin, PersistenceConfig, RootFilesystemConfig, RootLowerInput,
};
use agentos_tests::{Sidecar, kill_sidecar, sh, watched};

static SIDECAR: Sidecar = Sidecar::new();

fn directory(scratch: &Path) -> PersistenceConfig {
    PersistenceConfig::Directory { path: scratch.join("state").to_str().unwrap().to_owned() }
}

fn sqlite(scratch: &Path) -> PersistenceConfig {
    PersistenceConfig::Sqlite { path: scratch.join("state.db").to_str().unwrap().to_owned() }
}

fn kept(persistence: PersistenceConfig) -> AgentOsConfig {
    AgentOsConfig { persistence: Some(persistence), ..AgentOsConfig::default() }
}

fn host_dir(path: &Path) -> MountPlugin {
    MountPlugin { id: "host_dir".to_owned(), config: serde_json::json!({ "hostPath": path }) }
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, field: &str, why: &str) {
    match result {
        Err(Error::InvalidConfig { path, reason }) => {
            assert!(path == field && reason.contains(why), "{path}: {reason}");
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it is allowed"),
    }
}

#[test]
fn a_machine_goes_on_with_its_files() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        for persistence in [directory(scratch.path()), sqlite(scratch.path())] {
            let os = SIDECAR.create(kept(persistence.clone())).await.unwrap();
            sh(&os, "mkdir -p a/b; echo one > a/b/f; ln a/b/f a/same; ln -s b/f a/link; chmod 640 a/b/f")
                .await;
            sh(&os, "touch -d 2001-02-03T04:05:06.789Z a/b/f; mkfifo a/pipe; rm /bin/true").await;
            os.write_file("/workspace/large", vec![7; 3 << 20]).await.unwrap();
            let show = "find /workspace -printf '%p %y %m %u %s %n %l\\n' | sort; stat -c '%y %i' a/b/f; \
                        cat a/same; cksum large; ls /bin | wc -l";
            let before = sh(&os, show).await.stdout;
            assert!(before.contains("a/link l") && before.contains("2001-02-03"), "{before}");
            os.dispose().await.unwrap();

            let os = SIDECAR.create(kept(persistence.clone())).await.unwrap();
            assert_eq!(sh(&os, show).await.stdout, before);
            sh(&os, "echo two >> a/same; rm -r a/b").await;
            os.dispose().await.unwrap();
            let os = SIDECAR.create(kept(persistence)).await.unwrap();
            assert_eq!(sh(&os, "cat a/same; ls a").await.stdout, "one\ntwo\nlink\npipe\nsame\n");
            os.dispose().await.unwrap();
        }
    });
}

/// A layer with these files.
fn layer(files: &[(&str, &str)]) -> RootLowerInput {
    let entry = |(path, content): &(&str, &str)| serde_json::json!({"path": path, "type": "file", "content": content});
    let entries: Vec<_> = files.iter().map(entry).collect();
    RootLowerInput::SnapshotExport { source: serde_json::json!({ "entries": entries }) }
}

#[test]
fn what_was_changed_over_layers_is_kept() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        for persistence in [directory(scratch.path()), sqlite(scratch.path())] {
            let machine = async |lowers: &[RootLowerInput]| {
                let root =
                    RootFilesystemConfig { lowers: lowers.to_vec(), ..RootFilesystemConfig::default() };
                SIDECAR
                    .create(AgentOsConfig { root_filesystem: root, ..kept(persistence.clone()) })
                    .await
                    .unwrap()
            };
            let show = "cd /opt; for f in $(find . -type f | sort); do echo $f $(cat $f); done";
            let all = [("/opt/a", "a"), ("/opt/b", "b"), ("/opt/c/d", "d")];
            let os = machine(&[layer(&all[1..]), layer(&all[..1])]).await;
            os.write_file("/opt/b", "of the guest").await.unwrap();
            os.delete("/opt/a", Default::default()).await.unwrap();
            os.write_file("/opt/c/new", "new").await.unwrap();
            let told = sh(&os, show).await.stdout;
            assert_eq!(told, "./b of the guest\n./c/d d\n./c/new new\n");
            os.dispose().await.unwrap();
            let os = machine(&[layer(&all[1..]), layer(&all[..1])]).await;
            assert_eq!(sh(&os, show).await.stdout, told);
            os.dispose().await.unwrap();
            // Of other layers the changes are made to those.
            let next = [("/opt/a", "a 2"), ("/opt/b", "b 2"), ("/opt/c/d", "d 2"), ("/opt/e", "e 2")];
            let os = machine(&[layer(&next)]).await;
            assert_eq!(sh(&os, show).await.stdout, "./b of the guest\n./c/d d 2\n./c/new new\n./e e 2\n");
            os.dispose().await.unwrap();
            let os = machine(&[]).await;
            assert_eq!(sh(&os, show).await.stdout, "./b of the guest\n./c/new new\n");
            os.dispose().await.unwrap();
            // What was only moved is in its layer alone: without that the store is left as it is.
            let os = machine(&[layer(&next)]).await;
            os.move_path("/opt/e", "/opt/moved").await.unwrap();
            os.dispose().await.unwrap();
            for lowers in [vec![], vec![layer(&next[..3])]] {
                let root = RootFilesystemConfig { lowers, ..RootFilesystemConfig::default() };
                let config = AgentOsConfig { root_filesystem: root, ..kept(persistence.clone()) };
                refused(SIDECAR.create(config).await, "persistence", "/opt/moved would be lost");
            }
            let os = machine(&[layer(&next)]).await;
            let moved = "./a a 2\n./b of the guest\n./c/d d 2\n./c/new new\n./moved e 2\n";
            assert_eq!(sh(&os, show).await.stdout, moved);
            os.dispose().await.unwrap();
        }
    });
}

#[test]
fn a_root_without_the_base_is_kept_too() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let machine = async |disable_default_base_layer, lowers: Vec<RootLowerInput>| {
            let root = RootFilesystemConfig { disable_default_base_layer, lowers, ..Default::default() };
            let config = AgentOsConfig { root_filesystem: root, ..kept(directory(scratch.path())) };
            SIDECAR.create(config).await.unwrap()
        };
        let names = async |os: &AgentOs| {
            let mut names = os.readdir("/").await.unwrap();
            names.retain(|name| !name.starts_with('.'));
            names.sort();
            names
        };
        let os = machine(true, vec![layer(&[("/opt/a", "a")])]).await;
        os.write_file("/workspace/mine", "mine").await.unwrap();
        let bare = names(&os).await;
        assert!(bare.contains(&"opt".to_owned()) && !bare.contains(&"bin".to_owned()), "{bare:?}");
        os.dispose().await.unwrap();
        let os = machine(true, vec![layer(&[("/opt/a", "a")])]).await;
        assert_eq!(names(&os).await, bare);
        assert_eq!(os.read_file("/workspace/mine").await.unwrap(), b"mine");
        assert!(os.exists("/dev/null").await.unwrap());
        os.dispose().await.unwrap();
        // Over the base from now on.
        let os = machine(false, vec![]).await;
        assert_eq!(sh(&os, "cat mine; id -un; echo x > /dev/null").await.stdout, "mineagentos\n");
        os.dispose().await.unwrap();
        let os = machine(true, vec![]).await;
        assert_eq!(os.read_file("/workspace/mine").await.unwrap(), b"mine");
        assert!(!os.exists("/bin/sh").await.unwrap() && os.exists("/dev/null").await.unwrap());
        os.dispose().await.unwrap();
    });
}

#[test]
fn what_the_configuration_says_is_put_there_once() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let config = |name: &str| AgentOsConfig {
            hostname: Some(name.to_owned()),
            additional_instructions: Some("Be brief.".to_owned()),
            ..kept(directory(scratch.path()))
        };
        let os = SIDECAR.create(config("first")).await.unwrap();
        os.write_file("/etc/motd", "of the guest").await.unwrap();
        os.write_file("/etc/hostname", "of the guest").await.unwrap();
        os.dispose().await.unwrap();
        let os = SIDECAR.create(config("first")).await.unwrap();
        assert_eq!(os.read_file("/etc/hostname").await.unwrap(), b"of the guest");
        os.dispose().await.unwrap();
        let os = SIDECAR.create(config("second")).await.unwrap();
        let text = sh(
            &os,
            "cat /etc/hostname; grep -c 127.0.1.1 /etc/hosts; grep 127.0.1.1 /etc/hosts; \
                            grep -c 'Be brief' /etc/agentos/instructions.md; cat /etc/motd",
        )
        .await
        .stdout;
        assert_eq!(text, "second\n1\n127.0.1.1\tsecond\n1\nof the guest");
        os.dispose().await.unwrap();
    });
}

async fn on(sidecar: &Arc<AgentOsSidecar>, config: AgentOsConfig) -> Result<AgentOs, Error> {
    let sidecar = Some(AgentOsSidecarConfig::Explicit { handle: Arc::clone(sidecar) });
    AgentOs::create(AgentOsConfig { sidecar, ..config }).await
}

#[test]
fn what_a_guest_synced_outlives_the_sidecar() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        for persistence in [directory(scratch.path()), sqlite(scratch.path())] {
            for round in 0..6 {
                let sidecar = Sidecar::start().await;
                let os = on(&sidecar, kept(persistence.clone())).await.unwrap();
                let there = sh(&os, "cat log 2>/dev/null; ls").await.stdout;
                let lines: String = (0..round).map(|n| format!("round {n}\n")).collect();
                assert!(there.starts_with(&lines), "round {round} of {persistence:?}: {there}");
                assert_eq!(there.contains("dir"), round > 0, "{there}");
                // By fsync of a file, of a directory and of an open file, by syncfs, and by sync.
                let line = format!("echo round {round} >> log; ");
                let synced = match round {
                    0 => "mkdir dir; sync log",
                    1 => "sync dir",
                    2 => "sync -f .",
                    3 => "sync",
                    4 => "sync -d log",
                    _ => "dd if=/dev/zero of=dir/zeros bs=1 count=1 conv=fsync 2>/dev/null",
                };
                assert_eq!(sh(&os, &(line + synced)).await.exit_code, 0);
                kill_sidecar(&sidecar).await;
            }
        }
    });
}

#[test]
fn a_store_has_one_machine_at_a_time() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let other = Sidecar::start().await;
        for persistence in [directory(scratch.path()), sqlite(scratch.path())] {
            let os = SIDECAR.create(kept(persistence.clone())).await.unwrap();
            os.write_file("/f", "text").await.unwrap();
            refused(SIDECAR.create(kept(persistence.clone())).await, "persistence", "another VM");
            refused(on(&other, kept(persistence.clone())).await, "persistence", "another VM");
            os.dispose().await.unwrap();
            let os = on(&other, kept(persistence.clone())).await.unwrap();
            assert_eq!(os.read_file("/f").await.unwrap(), b"text");
            os.dispose().await.unwrap();
            // One that could not be made leaves it free.
            let mount = MountConfig::host_dir("/m", scratch.path().join("missing").to_str().unwrap(), true);
            let broken = AgentOsConfig { mounts: vec![mount], ..kept(persistence.clone()) };
            SIDECAR.create(broken).await.unwrap_err();
            SIDECAR.create(kept(persistence)).await.unwrap().dispose().await.unwrap();
        }
    });
}

#[test]
fn a_fork_is_not_kept() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let os = SIDECAR.create(kept(directory(scratch.path()))).await.unwrap();
        os.write_file("/of_both", "text").await.unwrap();
        let fork = os.fork().await.unwrap();
        assert_eq!(
            sh(&fork, "cat /of_both; echo new > /of_the_fork; sync /of_the_fork").await.stdout,
            "text"
        );
        fork.dispose().await.unwrap();
        os.dispose().await.unwrap();
        let os = SIDECAR.create(kept(directory(scratch.path()))).await.unwrap();
        assert!(os.exists("/of_both").await.unwrap() && !os.exists("/of_the_fork").await.unwrap());
        os.dispose().await.unwrap();
    });
}

#[test]
fn no_mount_shows_a_store() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let (state, beside) = (scratch.path().join("state"), scratch.path().join("beside"));
        std::fs::create_dir_all(state.join("inner")).unwrap();
        std::fs::create_dir(&beside).unwrap();
        std::os::unix::fs::symlink(&state, scratch.path().join("link")).unwrap();
        let other = SIDECAR.create(AgentOsConfig::default()).await.unwrap();
        let of_file = |path: &str| (sqlite(scratch.path()), scratch.path().join(path));
        let of_directory = |path: &str| (directory(scratch.path()), scratch.path().join(path));
        std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        for (persistence, shown) in [
            of_directory(""),
            of_directory("state"),
            of_directory("link"),
            of_directory("state/inner"),
            of_file(""),
        ] {
            // At creation of the machine itself, later by it and by another one.
            let mount = MountConfig::host_dir("/m", shown.to_str().unwrap(), true);
            let config = AgentOsConfig { mounts: vec![mount], ..kept(persistence.clone()) };
            refused(SIDECAR.create(config).await, "mounts[0].plugin.config.hostPath", "keeps the files");
            let os = SIDECAR.create(kept(persistence.clone())).await.unwrap();
            for os in [&os, &other] {
                let mounted = os.mount_native("/m", host_dir(&shown), MountFsOptions::default()).await;
                refused(mounted, "plugin.config.hostPath", "keeps the files");
                os.mount_native("/beside", host_dir(&beside), MountFsOptions::default()).await.unwrap();
                os.unmount_fs("/beside").await.unwrap();
            }
            os.dispose().await.unwrap();
            // What is mounted already keeps a store out.
            other.mount_native("/m", host_dir(&shown), MountFsOptions::default()).await.unwrap();
            let opened = SIDECAR.create(kept(persistence)).await;
            if shown.ends_with("inner") {
                opened.unwrap().dispose().await.unwrap();
            } else {
                refused(opened, "persistence", "shows it; keep it elsewhere");
            }
            other.unmount_fs("/m").await.unwrap();
        }
        other.dispose().await.unwrap();
    });
}

#[test]
fn what_is_no_store_is_refused() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("state.db"), "SELECT 1;").unwrap();
        refused(SIDECAR.create(kept(sqlite(scratch.path()))).await, "persistence", "name another place");
        let missing = PersistenceConfig::Sqlite { path: "/no/such/directory/x.db".into() };
        refused(SIDECAR.create(kept(missing)).await, "persistence", "/no/such/directory/x.db");
        assert_eq!(std::fs::read(scratch.path().join("state.db")).unwrap(), b"SELECT 1;");
    });
}
