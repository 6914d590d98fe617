//! A WebDAV server as a folder of a guest, seen from both sides.

use std::fs;
use std::time::{Duration, Instant};

use agentos::{AgentOsConfig, Errno, MkdirOptions};
use agentos_tests::{Sidecar, sh};
use serde_json::json;

use crate::git;
use crate::server::native;
use crate::webdav::WebDav;

static SIDECAR: Sidecar = Sidecar::new();

fn mounted(server: &WebDav) -> AgentOsConfig {
    AgentOsConfig::builder().mount(native("/data", "webdav", server.config("right"))).build()
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn programs_of_a_guest_work_over_webdav() {
    let server = WebDav::start();
    fs::write(server.path("a.txt"), "one\ntwo\n").unwrap();
    SIDECAR.test_with(mounted(&server), async |os| {
        let script = "cd /data && mkdir -p d/e/f && mkdir -p d/e/f && cp a.txt d/b.txt && mv d/b.txt d/c.txt \
                      && sed -i s/two/three/ d/c.txt && echo four >> d/c.txt && grep -r three . && find . | sort";
        let out = sh(os, script).await;
        let found = "./d/c.txt:three\n.\n./a.txt\n./d\n./d/c.txt\n./d/e\n./d/e/f\n";
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), (found, ""));
        assert_eq!(fs::read(server.path("d/c.txt")).unwrap(), b"one\nthree\nfour\n");
        assert_eq!(os.read_file("/data/d/c.txt").await.unwrap(), b"one\nthree\nfour\n");

        // Names that are taken, and those that cannot be.
        let script = "cd /data && mkdir full && touch full/x && mkdir empty && mv d/c.txt a.txt && cat a.txt \
                      && mv -T d empty && ls -R empty; mkdir d; mv -T d full; mv -T a.txt full; mv -T full a.txt; rmdir full; \
                      mkdir full; mkdir no/where; echo > no/where; set -C; echo > a.txt";
        let out = sh(os, script).await;
        assert_eq!(out.stdout, "one\nthree\nfour\nempty:\ne\n\nempty/e:\nf\n\nempty/e/f:\n", "{}", out.stderr);
        assert_eq!(out.stderr.lines().count(), 8, "{}", out.stderr);
        let said = [
            "Directory not empty",
            "directory 'full' with non-directory",
            "non-directory 'a.txt' with directory",
            "Directory not empty",
            "File exists",
            "No such file or directory",
            "No such file or directory",
            "cannot overwrite existing file",
        ];
        for (line, part) in out.stderr.lines().zip(said) {
            assert!(line.contains(part), "{line}");
        }
        assert!(server.path("full/x").exists() && !server.path("d/c.txt").exists());

        assert_eq!(sh(os, "cd /data && rm -r full empty d && ls").await.stdout, "a.txt\n");
        assert_eq!(fs::read_dir(server.path("")).unwrap().count(), 1);
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn git_works_over_webdav() {
    let server = WebDav::start();
    SIDECAR.test_with(mounted(&server), git::works);
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn names_are_kept_over_webdav() {
    let server = WebDav::start();
    SIDECAR.test_with(mounted(&server), async |os| {
        let mut names = [
            "with space",
            "100%",
            "a%20b",
            "#1",
            "what?",
            "a;b",
            "a&b<c>",
            "ü-é-漢",
            "it's \"so\"",
            "a+b",
            "~x",
            "-rf",
        ];
        names.sort_unstable();
        for name in names {
            let path = |name: &str| format!("/data/{name}");
            os.write_file(&path(name), name).await.unwrap();
            assert_eq!(fs::read_to_string(server.path(name)).unwrap(), name);
            assert_eq!(os.read_file(&path(name)).await.unwrap(), name.as_bytes());
            // Away and back, as a file and as a directory.
            os.move_path(&path(name), "/data/other").await.unwrap();
            assert!(server.path("other").exists() && !server.path(name).exists());
            os.move_path("/data/other", &path(name)).await.unwrap();
            assert_eq!(fs::read_to_string(server.path(name)).unwrap(), name);
            let inside = format!("/data/in {name}");
            os.mkdir(&inside, MkdirOptions::default()).await.unwrap();
            os.write_file(&format!("{inside}/{name}"), name).await.unwrap();
            assert_eq!(sh(os, "mv /data/in* /data/other && mv /data/other /data/back").await.stderr, "");
            assert_eq!(fs::read_to_string(server.path("back").join(name)).unwrap(), name);
            assert_eq!(sh(os, "rm -r /data/back").await.stderr, "");
        }
        let listed = sh(os, "ls -A /data | LC_ALL=C sort").await.stdout;
        assert_eq!(listed, names.join("\n") + "\n");
        // Which mv(1) copies; of what is some seconds old it says that it could not keep the times, and leaves it.
        let out = sh(os, "cd /data && mkdir -p d/e && echo 1 > d/e/f && sleep 3 && mv d 'is?this'").await;
        assert!(out.stderr.contains("preserving attributes"), "{out:?}");
        assert_eq!(fs::read(server.path("is?this/e/f")).unwrap(), b"1\n");
        assert!(server.path("d/e/f").exists());
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn long_listings_are_whole_over_webdav() {
    let server = WebDav::start();
    fs::create_dir(server.path("many")).unwrap();
    for n in 0..1500 {
        fs::write(server.path(&format!("many/file {n}")), "").unwrap();
    }
    SIDECAR.test_with(mounted(&server), async |os| {
        let out = sh(
            os,
            "ls -l /data/many | grep -c file; ls /data/many/'file 1499'; rm -r /data/many && ls /data",
        )
        .await;
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("1500\n/data/many/file 1499\n", ""));
        assert!(!server.path("many").exists());
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn large_files_go_and_come_whole_over_webdav() {
    let server = WebDav::start();
    let data: Vec<u8> = (0..20_u32 << 20).map(|n| (n % 251) as u8 ^ (n >> 16) as u8).collect();
    fs::write(server.path("big"), &data).unwrap();
    SIDECAR.test_with(mounted(&server), async |os| {
        let script = "cd /data && dd if=big of=/tmp/part bs=1000 skip=12345 count=3 2>/dev/null && cp big copy && cmp big copy \
                      && printf end >> copy && wc -c < copy && tail -c 5 copy | od -An -tx1";
        let out = sh(os, script).await;
        let last = &data[data.len() - 2..];
        let end = format!("20971523\n {:02x} {:02x} 65 6e 64\n", last[0], last[1]);
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), (end.as_str(), ""));
        assert!(os.read_file("/tmp/part").await.unwrap() == data[12_345_000..12_348_000]);
        let copy = fs::read(server.path("copy")).unwrap();
        assert!(copy[..data.len()] == data && &copy[data.len()..] == b"end");
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn what_others_change_is_seen_over_webdav() {
    let server = WebDav::start();
    fs::write(server.path("f"), "first").unwrap();
    SIDECAR.test_with(mounted(&server), async |os| {
        assert_eq!(os.read_file("/data/f").await.unwrap(), b"first");
        fs::write(server.path("f"), "second, longer").unwrap();
        assert_eq!(os.read_file("/data/f").await.unwrap(), b"second, longer");
        // What is in the middle of a change of ours is not written over theirs.
        let script = "exec 3>>/data/f; echo mine >&3; echo ready > /tmp/ready; while [ ! -e /tmp/go ]; do sleep 0.05; done; exec 3>&-";
        let theirs = async {
            while os.read_file("/tmp/ready").await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            fs::write(server.path("f"), "theirs").unwrap();
            os.write_file("/tmp/go", "").await.unwrap();
        };
        tokio::join!(sh(os, script), theirs);
        assert_eq!(fs::read_to_string(server.path("f")).unwrap(), "theirs");
        assert_eq!(os.read_file("/data/f").await.unwrap(), b"theirs");
        fs::remove_file(server.path("f")).unwrap();
        fs::write(server.path("new"), "").unwrap();
        // After the time of the cache.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(sh(os, "ls /data").await.stdout, "new\n");
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn a_wrong_password_is_eacces() {
    let server = WebDav::start();
    fs::write(server.path("f"), "secret").unwrap();
    let mounts = AgentOsConfig::builder()
        .mount(native("/data", "webdav", server.config("wrong")))
        .mount(native("/none", "webdav", json!({ "endpoint": server.config("")["endpoint"] })))
        .build();
    SIDECAR.test_with(mounts, async |os| {
        for root in ["/data", "/none"] {
            let path = format!("{root}/f");
            let refused = [
                os.read_file(&path).await.map(drop),
                os.write_file(&path, "mine").await,
                os.readdir(root).await.map(drop),
                os.mkdir(format!("{root}/d"), MkdirOptions::default()).await,
            ];
            for result in refused {
                assert_eq!(result.as_ref().unwrap_err().errno(), Some(Errno::EACCES), "{result:?}");
            }
        }
        assert_eq!(fs::read_to_string(server.path("f")).unwrap(), "secret");
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn a_root_that_is_not_there_is_enoent() {
    let server = WebDav::start();
    let mut config = server.config("right");
    config["root"] = json!("sub/none");
    let mounts = AgentOsConfig::builder().mount(native("/data", "webdav", config)).build();
    SIDECAR.test_with(mounts, async |os| {
        for result in [os.readdir("/data").await.map(drop), os.write_file("/data/f", "1").await] {
            assert_eq!(result.as_ref().unwrap_err().errno(), Some(Errno::ENOENT), "{result:?}");
        }
        assert!(!server.path("none").exists());
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn a_server_that_went_and_comes_back_works_again() {
    let mut server = WebDav::start();
    SIDECAR.test_with(mounted(&server), async |os| {
        os.write_file("/data/f", "1").await.unwrap();
        server.stop();
        let begin = Instant::now();
        for result in [os.read_file("/data/f").await.map(drop), os.write_file("/data/f", "2").await] {
            let errno = result.as_ref().unwrap_err().errno();
            assert!([Some(Errno::EIO), Some(Errno::ETIMEDOUT)].contains(&errno), "{result:?}");
        }
        // Each of the requests has the 20 seconds of the configuration.
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
        assert_eq!(sh(os, "echo others go on").await.stdout, "others go on\n");
        server.start_again();
        assert_eq!(os.read_file("/data/f").await.unwrap(), b"1");
        os.write_file("/data/f", "3").await.unwrap();
        assert_eq!(fs::read_to_string(server.path("f")).unwrap(), "3");
    });
}
