//! Mounts: memory, host directories and drivers of this program, seen alike by guest and host.
//! Ways out of a host directory are in `test_escapes`.

use std::sync::Arc;

use agentos::{
    AgentOsConfig, DeleteOptions, Errno, Error, MkdirOptions, MountConfig, MountFsOptions, MountPlugin,
};
use agentos_tests::{BrokenDriver, MemoryDriver, Sidecar, eventually, sh};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

const RW: MountFsOptions = MountFsOptions { read_only: false };
const RO: MountFsOptions = MountFsOptions { read_only: true };

fn plugin(id: &str, config: Value) -> MountPlugin {
    MountPlugin { id: id.to_owned(), config }
}

fn host_dir(path: &std::path::Path) -> MountPlugin {
    plugin("host_dir", json!({ "hostPath": path }))
}

#[test]
fn a_memory_mount_is_a_file_system_of_its_own() {
    let config = AgentOsConfig::builder().mount(MountConfig::memory("/mem/deep")).build();
    SIDECAR.test_with(config, async |os| {
        assert_eq!(sh(os, "echo x > /mem/deep/f && cat /mem/deep/f && ls /mem").await.stdout, "x\ndeep\n");
        assert_eq!(os.read_file("/mem/deep/f").await.unwrap(), b"x\n");
        let (inside, outside) = (os.stat("/mem/deep").await.unwrap(), os.stat("/mem").await.unwrap());
        assert_ne!(inside.dev, outside.dev);
        let refused = os.link("/mem/deep/f", "/workspace/f").await.unwrap_err();
        assert_eq!(refused.errno(), Some(Errno::EXDEV), "{refused:?}");
        os.mount_native("/mem/small", plugin("memory", json!({ "size": 100_000 })), RW).await.unwrap();
        let full = os.write_file("/mem/small/f", vec![0; 200_000]).await.unwrap_err();
        assert_eq!(full.errno(), Some(Errno::ENOSPC), "{full:?}");
    });
}

#[test]
fn a_host_directory_is_the_same_for_host_guest_and_client() {
    let folder = tempfile::tempdir().unwrap();
    let (host, at) = (folder.path(), folder.path().to_str().unwrap());
    std::fs::write(host.join("a"), "from outside\n").unwrap();
    let config = AgentOsConfig::builder().mount(MountConfig::host_dir("/workspace/h", at, false)).build();
    SIDECAR.test_with(config, async |os| {
        assert_eq!(
            sh(os, "cat h/a; echo guest > h/b; mkdir h/d; ln -s a h/l; mv h/b h/d/c").await.stdout,
            "from outside\n"
        );
        assert_eq!(std::fs::read_to_string(host.join("d/c")).unwrap(), "guest\n");
        assert_eq!(std::fs::read_link(host.join("l")).unwrap().to_str(), Some("a"));
        os.write_file("/workspace/h/client", "c").await.unwrap();
        assert_eq!(std::fs::read(host.join("client")).unwrap(), b"c");
        // What the host changes is seen at once: by the guest, and by the client.
        for i in 0..20 {
            std::fs::write(host.join("a"), format!("{i}")).unwrap();
            assert_eq!(sh(os, "cat h/a").await.stdout, format!("{i}"));
            assert_eq!(os.read_file("/workspace/h/a").await.unwrap(), format!("{i}").as_bytes());
        }
        std::fs::remove_file(host.join("a")).unwrap();
        assert_eq!(os.read_file("/workspace/h/a").await.unwrap_err().errno(), Some(Errno::ENOENT));
        os.delete("/workspace/h/d", DeleteOptions { recursive: true }).await.unwrap();
        assert!(!host.join("d").exists());
        assert_eq!(sh(os, "ls h").await.stdout, "client\nl\n");
    });
}

#[test]
fn nothing_changes_in_a_read_only_mount() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "kept").unwrap();
    std::fs::create_dir(folder.path().join("d")).unwrap();
    let at = folder.path().to_str().unwrap();
    let config = AgentOsConfig::builder().mount(MountConfig::host_dir("/ro", at, true)).build();
    SIDECAR.test_with(config, async |os| {
        os.mount_fs("/rodriver", Arc::new(MemoryDriver::with(&[("f", "kept")])), RO).await.unwrap();
        os.mount_native("/romem", plugin("memory", Value::Null), RO).await.unwrap();
        for mount in ["/ro", "/rodriver"] {
            let f = format!("{mount}/f");
            let results = [
                os.write_file(&f, "changed").await,
                os.write_file(&f, vec![0; 1 << 20]).await,
                os.write_file(format!("{mount}/new"), "").await,
                os.mkdir(format!("{mount}/new"), MkdirOptions::default()).await,
                os.delete(&f, DeleteOptions::default()).await,
                os.move_path(&f, format!("{mount}/g")).await,
                os.move_path(&f, "/workspace/f").await,
                os.symlink("x", format!("{mount}/s")).await,
                os.chmod(&f, 0o777).await,
                os.truncate(&f, 0).await,
                os.utimes(&f, std::time::UNIX_EPOCH, std::time::UNIX_EPOCH).await,
            ];
            for (n, result) in results.into_iter().enumerate() {
                let error = result.expect_err(&format!("{mount}, case {n}"));
                assert!(matches!(error, Error::ReadOnly { .. }), "{mount}, case {n}: {error:?}");
            }
            let line = format!(
                "cd {mount}; echo x > f; echo x >> f; rm f; touch new; mkdir e; chmod 777 f; ln -s a b; cat f"
            );
            let result = sh(os, &line).await;
            assert_eq!(result.stdout, "kept");
            assert_eq!(result.stderr.matches("Read-only file system").count(), 7, "{result:?}");
        }
        assert!(matches!(os.write_file("/romem/x", "").await, Err(Error::ReadOnly { .. })));
        let list = os.list_mounts().await.unwrap();
        for mount in ["/ro", "/rodriver", "/romem"] {
            assert!(list.iter().any(|m| m.path == mount && m.read_only), "{list:?}");
        }
    });
    assert_eq!(std::fs::read_to_string(folder.path().join("f")).unwrap(), "kept");
}

#[test]
fn a_driver_of_this_program_is_a_file_system_for_the_guest() {
    let driver = Arc::new(MemoryDriver::with(&[("hello", "from the driver\n")]));
    let mount = MountConfig::Plain { path: "/d".into(), driver: Arc::clone(&driver) as _, read_only: false };
    SIDECAR.test_with(AgentOsConfig::builder().mount(mount).build(), async |os| {
        let result = sh(
            os,
            "cd /d; cat hello; ls; mkdir sub; echo one > sub/f; echo two >> sub/f; cp sub/f g; mv g sub/h; \
             ln -s sub/f link; cat link; head -c 3 > part < hello; rm hello; wc -c < sub/h; truncate -s 2 sub/h",
        )
        .await;
        assert_eq!(result.stdout, "from the driver\nhello\none\ntwo\n8\n", "{result:?}");
        assert_eq!(result.stderr, "");
        let content = |path: &str| driver.content(path).map(|c| String::from_utf8(c).unwrap());
        assert_eq!(content("/sub/f").as_deref(), Some("one\ntwo\n"));
        assert_eq!(content("/sub/h").as_deref(), Some("on"));
        assert_eq!(content("/part").as_deref(), Some("fro"));
        assert_eq!(content("/hello"), None);
        // The client goes the same way.
        assert_eq!(os.read_file("/d/link").await.unwrap(), b"one\ntwo\n");
        let big: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 249) as u8).collect();
        os.write_file("/d/big", &big).await.unwrap();
        assert!(driver.content("/big").unwrap() == big);
        assert!(os.read_file("/d/big").await.unwrap() == big);
        assert_eq!(sh(os, "cat /d/big | wc -c").await.stdout.trim(), "3000000");
        os.delete("/d/sub", DeleteOptions { recursive: true }).await.unwrap();
        assert_eq!(driver.content("/sub/f"), None);
        let mut names = os.readdir("/d").await.unwrap();
        names.sort();
        assert_eq!(names, ["big", "link", "part"]);
    });
}

#[test]
fn a_mount_made_while_running_takes_effect_at_once() {
    SIDECAR.test(async |os| {
        let shell =
            os.spawn("sh", ["-c", "while read line; do cat /m/f; done"], Default::default()).await.unwrap();
        let mut out = shell.stdout().await.unwrap();
        let driver = Arc::new(MemoryDriver::with(&[("f", "mounted\n")]));
        os.mount_fs("/m", driver, RW).await.unwrap();
        shell.write_stdin("go\n").await.unwrap();
        assert_eq!(&out.next().await.unwrap().unwrap().data[..], b"mounted\n");
        // The program that read is perhaps not gone yet.
        eventually("it is unmounted", async || os.unmount_fs("/m").await.is_ok()).await;
        shell.write_stdin("go\n").await.unwrap();
        shell.close_stdin().await.unwrap();
        shell.wait().await.unwrap();
        let error = shell.stderr().await.unwrap().next().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&error.data).contains("No such file"), "{error:?}");
    });
}

#[test]
fn errors_of_a_driver_reach_guest_and_client_as_they_are() {
    SIDECAR.test(async |os| {
        os.mount_fs("/b", Arc::new(BrokenDriver), RW).await.unwrap();
        assert_eq!(os.stat("/b/broken").await.unwrap_err().errno(), Some(Errno::EIO));
        assert_eq!(os.readdir("/b").await.unwrap_err().errno(), Some(Errno::EIO));
        assert_eq!(os.read_file("/b/file").await.unwrap_err().errno(), Some(Errno::ENXIO));
        assert!(matches!(os.write_file("/b/file", "x").await, Err(Error::ReadOnly { .. })));
        let result = sh(os, "cat /b/file; ls /b; cat /b/broken; echo alive").await;
        assert_eq!(result.stdout, "alive\n");
        assert!(result.stderr.contains("No such device or address"), "{result:?}");
        assert_eq!(
            result.stderr.to_lowercase().matches("i/o error").count()
                + result.stderr.matches("Input/output error").count(),
            2,
            "{result:?}"
        );
    });
}

#[test]
fn mounts_are_listed_as_the_guest_sees_them() {
    let folder = tempfile::tempdir().unwrap();
    SIDECAR.test(async |os| {
        os.mount_native("/with space", plugin("memory", Value::Null), RW).await.unwrap();
        os.mount_native("/h", host_dir(folder.path()), RO).await.unwrap();
        os.mount_fs("/d", Arc::new(MemoryDriver::default()), RW).await.unwrap();
        let list = os.list_mounts().await.unwrap();
        assert_eq!(list[0].path, "/");
        let text = sh(os, "cat /proc/mounts").await.stdout;
        let guest: Vec<Vec<String>> = text
            .lines()
            .map(|line| line.split(' ').map(|field| field.replace("\\040", " ")).collect())
            .collect();
        assert_eq!(guest.len(), list.len(), "{text}\n{list:?}");
        for mount in &list {
            let line = guest.iter().find(|line| line[1] == mount.path).unwrap_or_else(|| panic!("{mount:?}"));
            assert_eq!((&line[0], &line[2]), (&mount.source, &mount.fs_type));
            let read_only = line[3].split(',').any(|option| option == "ro");
            assert_eq!(read_only, mount.read_only, "{line:?}");
        }
        for path in ["/with space", "/h", "/d", "/proc"] {
            assert!(list.iter().any(|m| m.path == path), "{path}");
        }
        assert!(list.iter().any(|m| m.path == "/h" && m.source == folder.path().to_str().unwrap()));
    });
}

#[test]
fn a_mount_that_is_used_or_unknown_cannot_be_removed() {
    SIDECAR.test(async |os| {
        for path in ["/nowhere", "/workspace"] {
            let refused = os.unmount_fs(path).await.unwrap_err();
            assert!(matches!(&refused, Error::MountNotFound { path: p } if p == path), "{refused:?}");
        }
        for path in ["/", "/proc", "/dev", "/dev/pts"] {
            assert_eq!(os.unmount_fs(path).await.unwrap_err().errno(), Some(Errno::EBUSY), "{path}");
        }
        os.mount_native("/m", plugin("memory", Value::Null), RW).await.unwrap();
        os.mount_native("/m/inner", plugin("memory", Value::Null), RW).await.unwrap();
        assert_eq!(os.unmount_fs("/m").await.unwrap_err().errno(), Some(Errno::EBUSY), "there is one inside");
        os.unmount_fs("/m/inner").await.unwrap();
        let user = os.spawn("sh", ["-c", "cd /m; echo in; read line"], Default::default()).await.unwrap();
        user.stdout().await.unwrap().next().await.unwrap().unwrap();
        assert_eq!(os.unmount_fs("/m").await.unwrap_err().errno(), Some(Errno::EBUSY), "someone is there");
        user.close_stdin().await.unwrap();
        user.wait().await.unwrap();
    });
}

#[test]
fn moving_across_mounts_copies_all_and_deletes_the_source() {
    let folder = tempfile::tempdir().unwrap();
    SIDECAR.test(async |os| {
        os.mount_native("/h", host_dir(folder.path()), RW).await.unwrap();
        let big: Vec<u8> = (0..5_000_000_u32).map(|i| (i % 241) as u8).collect();
        os.mkdir("/workspace/t/sub", MkdirOptions { recursive: true }).await.unwrap();
        os.write_file("/workspace/t/sub/big", &big).await.unwrap();
        os.write_file("/workspace/t/run", "#!/bin/sh\n").await.unwrap();
        os.chmod("/workspace/t/run", 0o755).await.unwrap();
        os.symlink("sub/big", "/workspace/t/link").await.unwrap();
        os.move_path("/workspace/t", "/h/t").await.unwrap();
        assert!(!os.exists("/workspace/t").await.unwrap());
        assert!(std::fs::read(folder.path().join("t/sub/big")).unwrap() == big);
        assert_eq!(os.read_link("/h/t/link").await.unwrap(), "sub/big");
        assert_eq!(os.stat("/h/t/run").await.unwrap().mode & 0o777, 0o755);
        os.move_path("/h/t/sub/big", "/workspace/back").await.unwrap();
        assert!(os.read_file("/workspace/back").await.unwrap() == big);
        assert!(!folder.path().join("t/sub/big").exists());
    });
}

#[test]
fn a_guest_moves_across_mounts() {
    let folder = tempfile::tempdir().unwrap();
    SIDECAR.test(async |os| {
        os.mount_native("/h", host_dir(folder.path()), RW).await.unwrap();
        let line = "mkdir -p t/sub; echo data > t/sub/f; chmod 750 t/sub; ln -s sub/f t/link; mv t /h/ && mv /h/t/link back; \
                    cat /h/t/sub/f; readlink back; stat -c %a /h/t/sub; ls t";
        let moved = sh(os, line).await;
        assert_eq!((moved.stdout.as_str(), moved.exit_code), ("data\nsub/f\n750\n", 2), "{moved:?}");
        assert!(folder.path().join("t/sub/f").is_file() && !folder.path().join("t/link").exists());
    });
}

#[test]
fn a_root_of_the_host_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "of the host").unwrap();
    for read_only in [true, false] {
        let root = MountConfig::host_dir("/", folder.path().to_str().unwrap(), read_only);
        SIDECAR.test_with(AgentOsConfig::builder().mount(root).build(), async |os| {
            assert_eq!(os.read_file("/f").await.unwrap(), b"of the host");
            assert_eq!(os.readdir("/").await.unwrap().len(), 1);
        });
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was made in it");
}

#[test]
fn a_host_directory_that_is_not_there_is_named() {
    SIDECAR.test(async |os| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for missing in [folder.path().join("no/such/dir"), file] {
            let name = missing.to_str().unwrap();
            let config = AgentOsConfig::builder().mount(MountConfig::host_dir("/h", name, false)).build();
            let refused = SIDECAR.create(config).await.unwrap_err();
            let text = refused.to_string();
            assert!(
                matches!(&refused, Error::InvalidConfig { path, .. } if path == "mounts[0]"),
                "{refused:?}"
            );
            assert!(text.contains(name), "{text}");
            let refused = os.mount_native("/h", host_dir(&missing), RW).await.unwrap_err();
            assert!(refused.to_string().contains(name), "{refused}");
            assert!(refused.errno().is_some(), "{refused:?}");
        }
        assert!(!os.list_mounts().await.unwrap().iter().any(|m| m.path == "/h"));
    });
}

#[test]
fn a_driver_is_let_go_with_its_mount_and_with_its_machine() {
    SIDECAR.test(async |os| {
        let driver: Arc<MemoryDriver> = Arc::default();
        os.mount_fs("/d", Arc::clone(&driver) as _, RW).await.unwrap();
        assert!(Arc::strong_count(&driver) > 1);
        os.unmount_fs("/d").await.unwrap();
        eventually("it is let go", async || Arc::strong_count(&driver) == 1).await;
        // One that was not mounted after all is not kept either.
        assert!(os.mount_fs("/proc", Arc::clone(&driver) as _, RW).await.is_err());
        eventually("it is let go", async || Arc::strong_count(&driver) == 1).await;
        let mount =
            MountConfig::Plain { path: "/d".into(), driver: Arc::clone(&driver) as _, read_only: false };
        let other = SIDECAR.create(AgentOsConfig::builder().mount(mount).build()).await.unwrap();
        other.write_file("/d/f", "x").await.unwrap();
        drop(other);
        eventually("it is let go", async || Arc::strong_count(&driver) == 1).await;
    });
}

#[test]
fn a_second_mount_at_the_same_place_is_refused() {
    SIDECAR.test(async |os| {
        os.mount_native("/m", plugin("memory", Value::Null), RW).await.unwrap();
        os.write_file("/m/f", "first").await.unwrap();
        let again = os.mount_native("/m", plugin("memory", Value::Null), RW).await.unwrap_err();
        assert_eq!(again.errno(), Some(Errno::EBUSY), "{again:?}");
        let driver = Arc::new(MemoryDriver::with(&[("f", "driver")]));
        let again = os.mount_fs("/m", driver, RW).await.unwrap_err();
        assert_eq!(again.errno(), Some(Errno::EBUSY), "{again:?}");
        assert_eq!(os.read_file("/m/f").await.unwrap(), b"first");
    });
}

#[test]
fn a_mount_is_free_when_its_users_have_ended() {
    SIDECAR.test(async |os| {
        os.mount_native("/m", plugin("memory", Value::Null), RW).await.unwrap();
        let user =
            os.spawn("sh", ["-c", "cd /m; exec 3>f; echo in; read line"], Default::default()).await.unwrap();
        user.stdout().await.unwrap().next().await.unwrap().unwrap();
        assert_eq!(os.unmount_fs("/m").await.unwrap_err().errno(), Some(Errno::EBUSY), "someone is there");
        user.close_stdin().await.unwrap();
        user.wait().await.unwrap();
        eventually("it is unmounted", async || os.unmount_fs("/m").await.is_ok()).await;
        assert!(matches!(os.unmount_fs("/m").await, Err(Error::MountNotFound { .. })));
    });
}

#[test]
fn a_link_of_the_guest_leads_no_mount_elsewhere() {
    SIDECAR.test(async |os| {
        let memory = || plugin("memory", json!({}));
        os.mount_native("/mnt/first", memory(), MountFsOptions::default()).await.unwrap();
        sh(os, "echo kept > /mnt/first/f; ln -s /proc p; ln -s /mnt/first q; mkdir d; ln -s /workspace/d r; echo x > plain").await;
        let before = os.list_mounts().await.unwrap();
        for (path, real) in
            [("/workspace/p", "/proc"), ("/workspace/q", "/mnt/first"), ("/workspace/r", "/workspace/d")]
        {
            let error = os.mount_native(path, memory(), MountFsOptions::default()).await.unwrap_err();
            assert!(error.to_string().contains(&format!("leads to {real}")), "{error}");
        }
        let under_file = os.mount_native("/workspace/plain/x", memory(), MountFsOptions::default()).await;
        assert!(matches!(under_file, Err(Error::Kernel { errno: Errno::ENOTDIR, .. })), "{under_file:?}");
        assert_eq!(os.list_mounts().await.unwrap(), before);
        assert_eq!(sh(os, "cat /mnt/first/f q/f; test -d /proc/self && echo there").await.stdout, "kept\nkept\nthere\n");
        // Where it leads, it can be mounted.
        os.mount_native("/workspace/d", memory(), MountFsOptions::default()).await.unwrap();
        os.unmount_fs("/workspace/d").await.unwrap();
    });
}
