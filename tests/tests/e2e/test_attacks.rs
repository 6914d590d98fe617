//! Guests that attack the host through what is mounted: archives, `/proc`, devices, names, links, and mounts that come
//! and go under them. Swaps by the host are in `test_escapes` and, by the thousand, in the tests of the kernel.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use agentos::{
    AgentOs, AgentOsConfig, DeleteOptions, Errno, Error, MountConfig, MountFsOptions, MountPlugin,
    SpawnOptions, UnmountOptions, UserConfig,
};
use agentos_tests::{Place, SECRET, Sidecar, image_cache, not_seen, sh};
use rustix::fs::{Mode, OFlags};
use serde_json::json;

static SIDECAR: Sidecar = Sidecar::new();

/// Runs a test as the superuser of a machine, and looks whether all beside the mount is as it was.
fn attack(place: &Place, test: impl AsyncFnOnce(&AgentOs)) {
    let root = UserConfig { name: "root".into(), uid: 0, gid: 0, home: None };
    SIDECAR.test_with(AgentOsConfig::builder().user(root).mount(place.mount(false)).build(), test);
    place.check();
}

/// A member of a tar archive, as POSIX lays out its header.
fn tar_member(name: &str, kind: u8, link: &str, data: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000777\0");
    header[108..124].copy_from_slice(b"0000000\x000000000\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].copy_from_slice(b"        ");
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[329..345].copy_from_slice(b"0000001\x000000003\0");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut member = header.to_vec();
    member.extend_from_slice(data);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

/// A zip archive of stored files; the mode says whether one is a link.
fn zip(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
    fn crc(data: &[u8]) -> u32 {
        !data.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
        })
    }
    let (mut files, mut directory) = (Vec::new(), Vec::new());
    for (name, mode, data) in members {
        let at = files.len() as u32;
        let (crc, size, len) =
            (crc(data).to_le_bytes(), (data.len() as u32).to_le_bytes(), name.len() as u16);
        let same =
            [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x50], &crc[..], &size, &size, &len.to_le_bytes(), &[0, 0]]
                .concat();
        files.extend([b"PK\x03\x04", &same[..], name.as_bytes(), data].concat());
        let attributes = (mode << 16).to_le_bytes();
        directory.extend(
            [b"PK\x01\x02", &[20, 3][..], &same, &[0; 6], &attributes, &at.to_le_bytes(), name.as_bytes()]
                .concat(),
        );
    }
    let (count, size, at) = (members.len() as u16, directory.len() as u32, files.len() as u32);
    let end =
        [&count.to_le_bytes()[..], &count.to_le_bytes(), &size.to_le_bytes(), &at.to_le_bytes(), &[0, 0]]
            .concat();
    [&files[..], &directory, b"PK\x05\x06\0\0\0\0", &end].concat()
}

#[test]
fn archives_write_nothing_beside_their_directory() {
    let place = Place::new();
    let outside = place.path("outside");
    let outside = outside.to_str().unwrap();
    let evil = b"written by an archive";
    let tar: Vec<u8> = [
        tar_member("../escape1", b'0', "", evil),
        tar_member("a/../../escape2", b'0', "", evil),
        tar_member("/escape3", b'0', "", evil),
        tar_member("up", b'2', "..", b""),
        tar_member("up/escape4", b'0', "", evil),
        tar_member("far", b'2', outside, b""),
        tar_member("far/secret", b'0', "", evil),
        tar_member("root", b'2', "/", b""),
        tar_member("root/escape5", b'0', "", evil),
        tar_member("hard", b'1', "../secret", b""),
        tar_member("hard2", b'1', "far/secret", b""),
        tar_member("hard2", b'0', "", evil),
        tar_member("device", b'4', "", b""),
        tar_member("line\nbreak\x1b[2J", b'0', "", evil),
        tar_member("good", b'0', "", b"good"),
        vec![0; 1024],
    ]
    .concat();
    std::fs::write(place.inside().join("evil.tar"), tar).unwrap();
    let link = 0o120_777;
    let zipped = zip(&[
        ("../escape1", 0o100_644, evil),
        ("a/../../escape2", 0o100_644, evil),
        ("/escape3", 0o100_644, evil),
        ("up", link, b".."),
        ("up/escape4", 0o100_644, evil),
        ("far", link, outside.as_bytes()),
        ("far/secret", 0o100_644, evil),
        ("good", 0o100_644, b"good"),
    ]);
    std::fs::write(place.inside().join("evil.zip"), zipped).unwrap();
    attack(&place, async |os| {
        for (program, line) in [("tar", "tar -xf ../evil.tar"), ("unzip", "unzip -o ../evil.zip")] {
            let line = format!(
                "mkdir /m/{program} && cd /m/{program} && {line}; ls /m / /tmp; cat /m/{program}/good"
            );
            let result = sh(os, &line).await;
            assert!(result.stdout.ends_with("good"), "{program}: {result:?}");
            for n in 1..=5 {
                for above in ["/", "/m/"] {
                    let path = format!("{above}escape{n}");
                    assert!(!os.exists(&path).await.unwrap(), "{program} made {path}");
                }
            }
            not_seen(program, result.stdout.as_bytes());
        }
    });
}

#[test]
fn process_files_lead_no_further_than_the_machine() {
    let place = Place::new();
    attack(&place, async |os| {
        let sleeper = os.spawn("sleep", ["1000"], SpawnOptions::default()).await.unwrap();
        let pid = sleeper.pid;
        let line = format!(
            "cd /m; cat /proc/self/root/m/../secret /proc/self/cwd/../secret /proc/{pid}/root/secret /proc/{pid}/cwd/../../secret; \
             ls /proc/self/root/ /proc/1/root/ /proc/{pid}/cwd/..; exec 3< /m; ls /proc/self/fd/3/.. /proc/self/fd/3/../..; \
             cat /proc/self/fd/3/../secret /proc/self/fd/3/../outside/secret; ln -s /proc/self/root/.. x; cat x/secret; \
             for n in 0 1 2 3 4 5 6 7 8 9; do cat /proc/{pid}/fd/$n/secret /proc/1/fd/$n/secret; done; cat /proc/{pid}/mem; ls /proc/{pid}/map_files; echo end"
        );
        let result = sh(os, &line).await;
        not_seen("/proc", result.stdout.as_bytes());
        assert!(result.stdout.ends_with("end\n"), "{result:?}");
        assert!(!result.stdout.contains("outside") && !result.stdout.contains("mounted"), "{result:?}");
        sleeper.kill().await.unwrap();
        sleeper.wait().await.unwrap();
    });
    // A descriptor that is opened to read opens nothing to write, on a mount that is read-only.
    std::fs::write(place.inside().join("f"), "kept").unwrap();
    let config = AgentOsConfig::builder().mount(place.mount(true)).build();
    SIDECAR.test_with(config, async |os| {
        let line = "exec 3< /m/f; echo x > /proc/self/fd/3; echo x >> /dev/fd/3; chmod 777 /proc/self/fd/3; truncate -s 0 /proc/self/fd/3; \
                    touch /proc/self/fd/3; ln /m/f /m/g; ln -L /proc/self/fd/3 /m/g; cat <&3; echo x > /proc/self/exe; /bin/echo alive";
        let result = sh(os, line).await;
        assert_eq!(result.stdout, "keptalive\n", "{result:?}");
    });
    assert_eq!(std::fs::read_to_string(place.inside().join("f")).unwrap(), "kept");
}

#[test]
fn device_nodes_open_no_device_of_the_host() {
    let place = Place::new();
    let device = place.inside().join("null");
    let number = rustix::fs::makedev(1, 3);
    let kind = rustix::fs::FileType::CharacterDevice;
    // Only the superuser of the host can make one to look at.
    let made = rustix::fs::mknodat(rustix::fs::CWD, &device, kind, 0o666.into(), number).is_ok();
    attack(&place, async |os| {
        if made {
            let result =
                sh(os, "echo x > /m/null; cat /m/null; stat -c '%F %t %T' /m/null; cp -a /m/null /m/copy")
                    .await;
            assert_eq!(result.stdout, "character special file 0 0\n", "{result:?}");
        }
        let line = "mknod /m/disk b 8 0; mknod /m/mem c 1 1; mkfifo /m/pipe; mknod /tmp/disk b 8 0 && head -c 1 /tmp/disk; \
                    mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem; mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg; echo x > /tmp/disk; ls /m";
        let result = sh(os, line).await;
        assert_eq!(result.stdout, if made { "null\n" } else { "" }, "{result:?}");
    });
}

#[test]
fn names_are_bytes_and_nothing_else() {
    let place = Place::new();
    let long = "l".repeat(255);
    let names: Vec<Vec<u8>> = vec![
        b"new\nline".to_vec(),
        b"\x1b[2J\x1b]0;title\x07".to_vec(),
        b"\xff\xfe not text".to_vec(),
        b"-rf".to_vec(),
        b"$(touch escape)".to_vec(),
        b"; touch escape #".to_vec(),
        b"..a".to_vec(),
        b"a\\b".to_vec(),
        b" ".to_vec(),
        long.clone().into_bytes(),
    ];
    for name in &names {
        std::fs::write(place.inside().join(OsStr::from_bytes(name)), name).unwrap();
    }
    let inside = place.inside();
    attack(&place, async |os| {
        for name in &names {
            let path = Path::new("/m").join(OsStr::from_bytes(name));
            assert_eq!(&os.read_file(&path).await.unwrap(), name);
        }
        let line = "cd /m; for f in *; do cat -- \"$f\" > \"/tmp/$f\" || echo no; mv -- \"$f\" \"$f.x\" 2>&-; done; ls | wc -l";
        let result = sh(os, line).await;
        // The name with a line break is two lines, and one name is hidden.
        assert_eq!(result.stdout.trim(), names.len().to_string(), "{result:?}");
        for name in names.iter().filter(|name| name.len() < 254 && !name.starts_with(b".")) {
            let moved = [&name[..], b".x"].concat();
            assert_eq!(&std::fs::read(inside.join(OsStr::from_bytes(&moved))).unwrap(), name);
        }
        // Too long, by one and by far.
        for name in ["l".repeat(256), "l".repeat(5000)] {
            let refused = os.write_file(format!("/m/{name}"), "").await.unwrap_err();
            assert_eq!(refused.errno(), Some(Errno::ENAMETOOLONG), "{refused:?}");
            let result = sh(os, &format!("echo x > /m/{name}")).await;
            assert!(result.stderr.contains("File name too long"), "{result:?}");
        }
        assert!(!os.exists("/m/escape").await.unwrap() && !os.exists("/workspace/escape").await.unwrap());
    });
}

#[test]
fn trees_deeper_than_a_path_have_an_end() {
    let place = Place::new();
    let inside = place.inside();
    attack(&place, async |os| {
        // 200 directories of 40 bytes each: twice the longest path.
        let name = "d".repeat(40);
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let mut at = rustix::fs::open(&inside, flags, Mode::empty()).unwrap();
        for _ in 0..200 {
            rustix::fs::mkdirat(&at, &*name, 0o755.into()).unwrap();
            at = rustix::fs::openat(&at, &*name, flags, Mode::empty()).unwrap();
        }
        let result = sh(os, &format!("cd /m; find . | wc -l; n=0; while cd {name} 2>&-; do n=$((n+1)); done; echo $n; echo x > f; ls")).await;
        assert!(result.stdout.ends_with("f\n"), "{result:?}");
        let deep = os.readdir_recursive("/m", Default::default()).await;
        assert_eq!(deep.unwrap_err().errno(), Some(Errno::ENAMETOOLONG));
        // Whatever can be said of it by one path, it can be removed.
        os.delete(format!("/m/{name}"), DeleteOptions { recursive: true }).await.unwrap();
        assert!(!inside.join(&name).exists());
    });
}

#[test]
fn a_hard_link_of_the_host_is_that_file_and_the_guest_makes_none_out_of_the_mount() {
    let place = Place::new();
    let shared = place.path("mounted-too");
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("f"), "one").unwrap();
    std::fs::hard_link(shared.join("f"), place.inside().join("f")).unwrap();
    let config = AgentOsConfig::builder().mount(place.mount(false)).mount(MountConfig::memory("/mem"));
    SIDECAR.test_with(config.build(), async |os| {
        // The host gave this file by this name.
        let line = "stat -c %h /m/f; echo two > /m/f; ln /m/f /m/g; ln /m/f /mem/g; ln /m/f /workspace/g; ln /mem /m/d; ln -s /etc/passwd /m/l; \
                    ln -L /m/l /m/passwd; ls /m /mem /workspace";
        let result = sh(os, line).await;
        assert_eq!(result.stdout, "2\n/m:\nf\ng\nl\n\n/mem:\n\n/workspace:\n", "{result:?}");
        assert_eq!(result.stderr.matches("ross-device").count(), 3, "{result:?}");
    });
    assert_eq!(std::fs::read_to_string(shared.join("f")).unwrap(), "two\n");
}

#[test]
fn no_alias_of_the_image_cache_is_mounted_or_changed() {
    let cache = image_cache();
    let place = Place::new();
    // A file of the cache that no sidecar looks for.
    let image = cache.join(format!("of-a-test-{}", std::process::id()));
    std::fs::write(&image, SECRET).unwrap();
    std::fs::set_permissions(&image, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::hard_link(&image, place.inside().join("image")).unwrap();
    let open = rustix::fs::open(&cache, OFlags::PATH, Mode::empty()).unwrap();
    let by_descriptor = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&open));
    symlink(&cache, place.path("outside/link")).unwrap();
    let by_link = place.path("outside/link");
    let twisted = cache.join("../images/./");
    let own = format!("/proc/{}", std::process::id());
    let aliases =
        [by_descriptor.as_str(), by_link.to_str().unwrap(), twisted.to_str().unwrap(), "/proc", &own];
    let config = AgentOsConfig::builder().mount(place.mount(false)).build();
    SIDECAR.test_with(config, async |os| {
        for alias in aliases {
            let config = json!({ "hostPath": alias });
            let plugin = MountPlugin { id: "host_dir".into(), config };
            let refused = os.mount_native("/h", plugin, MountFsOptions { read_only: true }).await.unwrap_err();
            assert!(matches!(&refused, Error::InvalidConfig { path, .. } if path == "plugin.config.hostPath"), "{alias}: {refused:?}");
            let overlay = MountConfig::overlay("/h", alias);
            let refused = SIDECAR.create(AgentOsConfig::builder().mount(overlay).build()).await.unwrap_err();
            assert!(matches!(&refused, Error::InvalidConfig { path, .. } if path == "mounts[0].filesystem.lowers[0].hostPath"), "{alias}: {refused:?}");
        }
        let line = "cd /m; echo x > image; echo x >> image; truncate -s 1 image; chmod 777 image; touch image; cp /bin/echo image; mv image moved; rm moved; ls";
        let result = sh(os, line).await;
        assert_eq!(result.stdout, "", "{result:?}");
        assert!(result.stderr.matches("Permission denied").count() >= 5, "{result:?}");
    });
    let stat = std::fs::metadata(&image).unwrap();
    assert_eq!((std::fs::read_to_string(&image).unwrap().as_str(), stat.mode() & 0o777), (SECRET, 0o600));
    std::fs::remove_file(&image).unwrap();
}

#[test]
fn mounts_may_come_and_go_under_running_programs() {
    let place = Place::new();
    std::fs::write(place.inside().join("f"), "host").unwrap();
    SIDECAR.test(async |os| {
        sh(os, "mkdir -p d/deep; echo below > d/f; echo below > d/deep/f").await;
        let line = "while [ ! -e stop ]; do cat d/f; cat d/deep/f; echo x > d/new; mkdir d/sub; mv d/new d/sub/; ls d/..; rm -r d/sub; (cd d/deep && cat ../f); done 2>/dev/null | sort -u";
        let mut guests = Vec::new();
        for _ in 0..3 {
            guests.push(os.spawn("sh", ["-c", line], SpawnOptions::default()).await.unwrap());
        }
        let memory = || MountPlugin { id: "memory".into(), config: json!({}) };
        let host = || MountPlugin { id: "host_dir".into(), config: json!({ "hostPath": place.inside() }) };
        for n in 0..60 {
            let plugin = if n % 2 == 0 { memory() } else { host() };
            os.mount_native("/workspace/d", plugin, MountFsOptions { read_only: n % 3 == 0 }).await.unwrap();
            let _ = os.mount_native("/workspace/d/deep", memory(), MountFsOptions::default()).await;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            os.unmount_fs_with("/workspace/d", UnmountOptions { detach: true }).await.unwrap();
            let _ = os.unmount_fs_with("/workspace/d/deep", UnmountOptions { detach: true }).await;
        }
        os.write_file("/workspace/stop", "").await.unwrap();
        for guest in guests {
            let mut text = String::new();
            let mut out = guest.stdout().await.unwrap();
            while let Some(chunk) = out.next().await {
                text.push_str(&String::from_utf8_lossy(&chunk.unwrap().data));
            }
            guest.wait().await.unwrap();
            // It had its turns. What one of the mounts says, in any order, and nothing else.
            assert!(text.lines().any(|line| line == "d"), "{text}");
            let said = ["below", "host", "stop", "d"].iter().fold(text.clone(), |text, word| text.replace(word, ""));
            assert_eq!(said.trim(), "", "{text}");
        }
        let left: Vec<_> = os.list_mounts().await.unwrap().into_iter().filter(|m| m.path.starts_with("/workspace")).collect();
        assert_eq!(left, []);
        assert_eq!(os.read_file("/workspace/d/f").await.unwrap(), b"below\n");
    });
}
