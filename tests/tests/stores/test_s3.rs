//! A bucket as a folder of a guest, seen from both sides.

use agentos::{AgentOsConfig, Errno, MountFsOptions, MountPlugin};
use agentos_tests::{Sidecar, eventually, sh};
use serde_json::json;

use crate::git;
use crate::s3::S3;
use crate::server::native;

static SIDECAR: Sidecar = Sidecar::new();

fn mounted(s3: &S3) -> AgentOsConfig {
    AgentOsConfig::builder().mount(native("/data", "s3", s3.config())).build()
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn programs_of_a_guest_work_in_a_bucket() {
    let s3 = S3::start();
    s3.python("put('some/where/in/a.txt', b'one\\ntwo\\n')");
    SIDECAR.test_with(mounted(&s3), async |os| {
        let script = "cd /data && mkdir d && cp in/a.txt d/b.txt && mv d/b.txt d/c.txt && sed -i s/two/three/ d/c.txt \
                      && echo four >> d/c.txt && grep -r three . && find . | sort && tail -n 1 d/c.txt \
                      && cp -r d moved && rm -r d && ls -R moved && rm -r in && touch empty && [ -f empty ] && wc -c < moved/c.txt";
        let out = sh(os, script).await;
        assert_eq!(
            out.stdout,
            "./d/c.txt:three\n.\n./d\n./d/c.txt\n./in\n./in/a.txt\nfour\nmoved:\nc.txt\n15\n",
            "{}",
            out.stderr
        );
        let keys = s3.python("print(keys())");
        assert_eq!(keys, "['some/where/empty', 'some/where/moved/', 'some/where/moved/c.txt']\n");
        assert_eq!(s3.python("print(get('some/where/moved/c.txt'))"), "b'one\\nthree\\nfour\\n'\n");
        assert_eq!(os.read_file("/data/moved/c.txt").await.unwrap(), b"one\nthree\nfour\n");
        os.write_file("/data/host", "h").await.unwrap();
        assert_eq!(s3.python("print(get('some/where/host'))"), "b'h'\n");
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn git_works_in_a_bucket() {
    let s3 = S3::start();
    SIDECAR.test_with(mounted(&s3), git::works);
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn large_files_go_and_come_whole() {
    let s3 = S3::start();
    let (proxy, config) = s3.proxied(20_000);
    let mounted = AgentOsConfig::builder().mount(native("/data", "s3", config)).build();
    let data: Vec<u8> = (0..21_u32 << 20).map(|n| (n % 251) as u8 ^ (n >> 16) as u8).collect();
    SIDECAR.test_with(mounted, async |os| {
        os.write_file("/data/big", data.clone()).await.unwrap();
        assert_eq!(os.read_file("/data/big").await.unwrap(), data);
        let sums = "import hashlib\nd = get('some/where/big')\nprint(hashlib.sha256(d).hexdigest())\n\
                    print(s3.head_object(Bucket='bucket', Key='some/where/big')['ETag'])";
        let sums = s3.python(sums);
        let (sum, etag) = sums.trim().split_once('\n').unwrap();
        assert!(etag.ends_with("-3\""), "three parts: {etag}");
        let out = sh(os, "sha256sum < /data/big; tail -c 5 /data/big | od -An -tu1; cp /data/big /data/copy && cmp /data/big /data/copy").await;
        let last: Vec<String> = data[data.len() - 5..].iter().map(|byte| format!("{byte:>3}")).collect();
        assert_eq!(out.stdout, format!("{sum}  -\n {}\n", last.join(" ")), "{}", out.stderr);
        // Of a large object only what is wanted is fetched, and not again while it is in the cache.
        s3.python("put('some/where/other', get('some/where/big'))");
        proxy.downloaded();
        for fetched in [256 << 10..400 << 10, 0..64 << 10] {
            assert_eq!(sh(os, "tail -c 5 /data/other | wc -c").await.stdout, "5\n");
            let bytes = proxy.downloaded();
            assert!(fetched.contains(&bytes), "{bytes} bytes");
        }
        // A change in the middle.
        let out = sh(os, "printf xyz | dd of=/data/big bs=1 seek=10000000 conv=notrunc status=none").await;
        assert_eq!(out.exit_code, 0, "{}", out.stderr);
        let middle = s3.python("d = get('some/where/big')\nprint(len(d), d[9999999:10000004])");
        assert!(middle.starts_with("22020096 b'") && middle.contains("xyz"), "{middle}");
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn long_listings_are_whole() {
    let s3 = S3::start();
    s3.python("for n in range(2500): put('some/where/d/%04d' % n, b'x')");
    SIDECAR.test_with(mounted(&s3), async |os| {
        let out =
            sh(os, "ls /data/d | wc -l; ls /data/d | tail -n 1; cat /data/d/2499; ls -l /data/d | wc -l")
                .await;
        assert_eq!(out.stdout, "2500\n2499\nx2501\n", "{}", out.stderr);
        let out = sh(os, "rm -r /data/d && ls -a /data").await;
        assert_eq!(out.stdout, ".\n..\n", "{}", out.stderr);
    });
    assert_eq!(
        s3.python("print(s3.list_objects_v2(Bucket='bucket')['KeyCount'])"),
        "0\n",
        "the place of the mount needs no object"
    );
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn what_others_write_is_seen_and_not_undone() {
    let s3 = S3::start();
    let mut config = s3.config();
    config["cacheTtlMs"] = json!(0);
    let config = AgentOsConfig::builder().mount(native("/data", "s3", config)).build();
    s3.python("put('some/where/f', b'1' * 1000000)");
    SIDECAR.test_with(config, async |os| {
        assert_eq!(sh(os, "head -c 3 /data/f").await.stdout, "111");
        s3.python("put('some/where/f', b'2' * 1000000)");
        assert_eq!(sh(os, "tail -c 3 /data/f").await.stdout, "222");
        // Open while it is replaced: not a byte of the new one, and an error.
        let reader = sh(os, "exec 3< /data/f; head -c 3 <&3; touch /tmp/go; until [ -e /tmp/on ]; do sleep 0.05; done; tail -c +900000 <&3");
        let other = async {
            eventually("it is open", async || os.exists("/tmp/go").await.unwrap()).await;
            s3.python("put('some/where/f', b'3' * 1000000)");
            os.write_file("/tmp/on", "").await.unwrap();
        };
        let (out, ()) = tokio::join!(reader, other);
        assert!(!out.stdout.contains('3') && out.exit_code != 0, "{} {}", out.exit_code, out.stderr);
        // Changed in part while others replace it: theirs stays.
        let writer = sh(
            os,
            "awk 'BEGIN { print \"mine\" >> \"/data/f\"; fflush(); print > \"/tmp/go2\"; close(\"/tmp/go2\"); \
             while ((getline < \"/tmp/on2\") < 0) system(\"sleep 0.05\"); exit close(\"/data/f\") }'",
        );
        let other = async {
            eventually("it is written", async || os.exists("/tmp/go2").await.unwrap()).await;
            s3.python("put('some/where/f', b'theirs')");
            os.write_file("/tmp/on2", "\n").await.unwrap();
        };
        tokio::join!(writer, other);
        assert_eq!(s3.python("print(get('some/where/f'))"), "b'theirs'\n");
        // A lock file is one for all.
        s3.python("put('some/where/lock', b'')");
        let out = sh(os, "set -C; echo x > /data/lock || echo taken").await;
        assert_eq!(out.stdout, "taken\n");
    });
}

#[test]
#[ignore = "needs the servers of `cargo xtask test-external`"]
fn wrong_credentials_are_eacces() {
    let s3 = S3::start_strict();
    s3.python("put('some/where/f', b'1')");
    SIDECAR.test(async |os| {
        let right = MountPlugin { id: "s3".into(), config: s3.config() };
        os.mount_native("/right", right, MountFsOptions::default()).await.unwrap();
        assert_eq!(os.read_file("/right/f").await.unwrap(), b"1");
        os.write_file("/right/f", "2").await.unwrap();
        assert_eq!(s3.python("print(get('some/where/f'))"), "b'2'\n");
        for (field, value) in [("secretAccessKey", "wrong"), ("accessKeyId", "AKIAIOSFODNN7EXAMPLE")] {
            let mut config = s3.config();
            config[field] = json!(value);
            let plugin = MountPlugin { id: "s3".into(), config };
            os.mount_native("/data", plugin, MountFsOptions::default()).await.unwrap();
            assert_eq!(os.read_file("/data/f").await.unwrap_err().errno(), Some(Errno::EACCES));
            assert_eq!(os.write_file("/data/g", "x").await.unwrap_err().errno(), Some(Errno::EACCES));
            os.unmount_fs("/data").await.unwrap();
        }
    });
}
