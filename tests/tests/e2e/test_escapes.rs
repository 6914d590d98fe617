//! Nothing outside a mounted host directory is ever reached from inside, whatever guest and host do with names.
//! What can be done inside is in `test_mounts`.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agentos::{AgentOs, AgentOsConfig, DeleteOptions, Error, MountConfig};
use agentos_tests::{Place, Sidecar, image_cache, not_seen, sh};

static SIDECAR: Sidecar = Sidecar::new();

/// Runs a test, and looks whether all beside the mount is as it was.
fn attack(place: &Place, test: impl AsyncFnOnce(&AgentOs)) {
    SIDECAR.test_with(AgentOsConfig::builder().mount(place.mount(false)).build(), test);
    place.check();
}

#[test]
fn dots_lead_to_the_machine_and_not_to_the_host() {
    let place = Place::new();
    attack(&place, async |os| {
        for path in ["/m/../secret", "/m/../outside/secret", "../m/../../../secret", "/m/./../../secret"] {
            let result = sh(os, &format!("cat {path}; echo x > {path}; ls {path}/..")).await;
            not_seen(path, result.stdout.as_bytes());
        }
        let result = sh(os, "cd /m && cd .. && pwd && ls").await;
        assert!(result.stdout.starts_with("/\n") && result.stdout.contains("etc"), "{result:?}");
    });
}

#[test]
fn links_of_the_host_resolve_inside_the_machine() {
    let place = Place::new();
    let inside = place.inside();
    symlink(place.outside().join("secret"), inside.join("absolute")).unwrap();
    symlink("../outside/secret", inside.join("relative")).unwrap();
    symlink("../outside", inside.join("folder")).unwrap();
    symlink(place.outside(), inside.join("absolute-folder")).unwrap();
    symlink("/etc/passwd", inside.join("passwd")).unwrap();
    symlink("../../../../../../../../../../etc/hostname", inside.join("up")).unwrap();
    std::fs::create_dir(inside.join("d")).unwrap();
    symlink("../../outside/secret", inside.join("d/deep")).unwrap();
    attack(&place, async |os| {
        for path in ["absolute", "relative", "folder/secret", "absolute-folder/secret", "d/deep"] {
            let full = format!("/m/{path}");
            assert!(os.read_file(&full).await.is_err(), "{path}");
            assert!(os.stat(&full).await.is_err(), "{path}");
            let written = os.write_file(&full, "overwritten").await;
            let result =
                sh(os, &format!("cat {full}; echo overwritten > {full}; cp {full} /tmp/x; cat /tmp/x")).await;
            if written.is_err() {
                not_seen(path, result.stdout.as_bytes());
            }
        }
        // The machine's own files, not the host's.
        assert_eq!(os.read_file("/m/passwd").await.unwrap(), os.read_file("/etc/passwd").await.unwrap());
        assert_eq!(sh(os, "cat /m/up").await.stdout, "agentos\n");
        for listing in ["folder", "absolute-folder"] {
            assert!(os.readdir(format!("/m/{listing}")).await.is_err(), "{listing}");
        }
        let tree = os.readdir_recursive("/m", Default::default()).await.unwrap();
        assert!(tree.iter().all(|e| !e.path.contains("secret")), "{tree:?}");
        os.delete("/m/folder", DeleteOptions { recursive: true }).await.unwrap();
        os.delete("/m/absolute-folder", DeleteOptions { recursive: true }).await.unwrap();
    });
}

#[test]
fn links_that_the_guest_makes_lead_nowhere_else() {
    let place = Place::new();
    let outside = place.outside();
    attack(&place, async |os| {
        let outside = outside.to_str().unwrap();
        let script = format!(
            "cd /m; ln -s {outside}/secret a; ln -s ../outside/secret b; ln -s {outside} c; ln -s .. d; \
             cat a b c/secret d/secret d/outside/secret; echo x > a; echo x > b; echo x > c/new; mkdir c/dir; \
             ln a hard; cat hard; mv c e; ls e/ d/; find -L . -name secret"
        );
        let result = sh(os, &script).await;
        not_seen("a guest's link", result.stdout.as_bytes());
        assert!(!result.stdout.contains("secret"), "{result:?}");
        for path in ["/m/a", "/m/b", "/m/e/secret", "/m/d/secret"] {
            if let Ok(bytes) = os.read_file(path).await {
                not_seen(path, &bytes);
            }
        }
    });
}

#[test]
fn a_directory_swapped_for_a_link_while_it_is_read_shows_nothing_outside() {
    let place = Place::new();
    let inside = place.inside();
    std::fs::create_dir(inside.join("real")).unwrap();
    std::fs::write(inside.join("real/secret"), "the inner one").unwrap();
    symlink(place.outside(), inside.join("evil")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (inside, stop) = (inside.clone(), Arc::clone(&stop));
        std::thread::spawn(move || {
            let swap = |from: &str, to: &str| {
                use rustix::fs::{CWD, RenameFlags, renameat_with};
                renameat_with(CWD, inside.join(from), CWD, inside.join(to), RenameFlags::EXCHANGE).unwrap();
            };
            let mut swaps = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                swap("real", "evil");
                swaps += 1;
            }
            swaps
        })
    };
    attack(&place, async |os| {
        let script = "i=0; while [ $i -lt 400 ]; do cat /m/real/secret; cat /m/evil/secret; i=$((i+1)); done 2>/dev/null";
        let guests = [sh(os, script), sh(os, script)];
        let host = async {
            let (mut inner, mut failed) = (0, 0);
            for _ in 0..1000 {
                match os.read_file("/m/real/secret").await {
                    Ok(bytes) => {
                        assert_eq!(bytes, b"the inner one");
                        inner += 1;
                    }
                    Err(_) => failed += 1,
                }
                let _ = os.write_file("/m/real/new", "x").await;
                let _ = os.mkdir("/m/evil/newdir", Default::default()).await;
            }
            (inner, failed)
        };
        let [one, two] = guests;
        let (one, two, (inner, failed)) = tokio::join!(one, two, host);
        for result in [one, two] {
            not_seen("a race", result.stdout.as_bytes());
            assert!(result.stdout.contains("the inner one"));
        }
        assert!(inner > 0 && failed > 0, "both were seen: {inner} {failed}");
        stop.store(true, Ordering::Relaxed);
    });
    assert!(swapper.join().unwrap() > 100);
}

#[test]
fn a_mounted_directory_that_is_moved_keeps_its_bounds() {
    let place = Place::new();
    let inside = place.inside();
    std::fs::create_dir(inside.join("d")).unwrap();
    attack(&place, async |os| {
        // The guest's working directory leaves the mount on the host.
        let shell = os
            .spawn(
                "sh",
                ["-c", "cd /m/d; echo in; read line; cat ../secret ../outside/secret secret; ls .."],
                Default::default(),
            )
            .await
            .unwrap();
        let mut out = shell.stdout().await.unwrap();
        out.next().await.unwrap().unwrap();
        std::fs::rename(inside.join("d"), inside.parent().unwrap().join("d")).unwrap();
        shell.write_stdin("go\n").await.unwrap();
        shell.close_stdin().await.unwrap();
        shell.wait().await.unwrap();
        while let Some(chunk) = out.next().await {
            let data = chunk.unwrap().data;
            not_seen("a moved directory", &data);
            assert!(!String::from_utf8_lossy(&data).contains("outside"), "{data:?}");
        }
        // Where the place expects it.
        std::fs::rename(inside.parent().unwrap().join("d"), inside.join("d")).unwrap();
    });
}

#[test]
fn what_is_no_file_on_the_host_is_never_opened() {
    let place = Place::new();
    let inside = place.inside();
    let _socket = std::os::unix::net::UnixListener::bind(inside.join("socket")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        inside.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o666),
        0,
    )
    .unwrap();
    let inside = &inside;
    attack(&place, async |os| {
        assert!(os.read_file("/m/socket").await.is_err());
        assert!(os.read_file("/m/fifo").await.is_err());
        assert!(sh(os, "cat /m/socket").await.exit_code != 0);
        // A FIFO is one of the machine: its programs meet in it, and the host's stays without a reader.
        let reader = os.spawn("sh", ["-c", "echo up; cat /m/fifo"], Default::default()).await.unwrap();
        let mut out = reader.stdout().await.unwrap();
        out.next().await.unwrap().unwrap();
        for _ in 0..20 {
            use rustix::fs::{Mode, OFlags};
            let opened =
                rustix::fs::open(inside.join("fifo"), OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty());
            assert_eq!(opened.unwrap_err(), rustix::io::Errno::NXIO, "a guest reads the host's FIFO");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(sh(os, "echo met > /m/fifo").await.exit_code, 0);
        assert_eq!(&out.next().await.unwrap().unwrap().data[..], b"met\n");
        assert_eq!(reader.wait().await.unwrap().exit_code, 0);
    });
}

#[test]
fn the_cache_of_images_cannot_be_mounted() {
    SIDECAR.test(async |_| {
        let cache = image_cache();
        let link = tempfile::tempdir().unwrap();
        symlink(&cache, link.path().join("cache")).unwrap();
        let parent = cache.parent().unwrap().to_owned();
        for host in [cache.clone(), parent, PathBuf::from("/"), link.path().join("cache")] {
            let mount = MountConfig::host_dir("/h", host.to_str().unwrap(), true);
            let refused = SIDECAR.create(AgentOsConfig::builder().mount(mount).build()).await.unwrap_err();
            assert!(matches!(refused, Error::InvalidConfig { .. }), "{}: {refused:?}", host.display());
            assert!(refused.to_string().contains(host.to_str().unwrap()), "{refused}");
        }
    });
}
