//! Files: every method of the client, and what the guest sees of it: there is one file system.
//! Mounts are in `test_mounts`, streams that stall in `test_streams`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agentos::{
    BatchWriteEntry, DeleteOptions, Errno, Error, FileType, MkdirOptions, OpenReadOptions, OpenWriteOptions,
    ReaddirRecursiveOptions,
};
use agentos_tests::{Sidecar, sh};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

static SIDECAR: Sidecar = Sidecar::new();

const ALL: DeleteOptions = DeleteOptions { recursive: true };

#[test]
fn host_and_guest_see_the_same_content() {
    SIDECAR.test(async |os| {
        os.write_file("/workspace/host", "from the host\n").await.unwrap();
        assert_eq!(sh(os, "cat host; echo from the guest > guest").await.stdout, "from the host\n");
        assert_eq!(os.read_file("/workspace/guest").await.unwrap(), b"from the guest\n");
        os.write_file("/workspace/host", "").await.unwrap();
        assert_eq!(sh(os, "wc -c < host").await.stdout.trim(), "0");
        let owner = os.stat("/workspace/host").await.unwrap();
        assert_eq!((owner.uid, owner.gid, owner.mode & 0o777), (1000, 1000, 0o644));
        assert_eq!(sh(os, "stat -c %i host").await.stdout.trim(), owner.ino.to_string());
    });
}

#[test]
fn contents_of_every_length_around_the_limits_are_kept() {
    SIDECAR.test(async |os| {
        for length in [0, 1, 4095, 4096, 4097, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 9 << 20] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 253) as u8).collect();
            os.write_file("/tmp/f", &bytes).await.unwrap();
            assert_eq!(os.stat("/tmp/f").await.unwrap().size, length as u64);
            assert!(os.read_file("/tmp/f").await.unwrap() == bytes, "{length}");
            assert_eq!(sh(os, "wc -c < /tmp/f").await.stdout.trim(), length.to_string());
        }
    });
}

#[test]
fn errors_are_the_exact_errno_with_the_path() {
    SIDECAR.test(async |os| {
        os.write_file("/workspace/file", "x").await.unwrap();
        os.mkdir("/workspace/dir", MkdirOptions::default()).await.unwrap();
        os.write_file("/workspace/dir/inside", "x").await.unwrap();
        os.symlink("loop", "/workspace/loop").await.unwrap();
        let w = "/workspace";
        let long = format!("/workspace/{}", "n".repeat(256));
        let none = DeleteOptions::default();
        let one = MkdirOptions::default();
        let cases = [
            (os.read_file(format!("{w}/none")).await.err(), Errno::ENOENT, "none"),
            (os.read_file(format!("{w}/dir")).await.err(), Errno::EISDIR, "dir"),
            (os.read_file(format!("{w}/file/x")).await.err(), Errno::ENOTDIR, "file/x"),
            (os.read_file(format!("{w}/loop")).await.err(), Errno::ELOOP, "loop"),
            (os.read_file(&long).await.err(), Errno::ENAMETOOLONG, "nnn"),
            (os.write_file(format!("{w}/none/x"), "").await.err(), Errno::ENOENT, "none/x"),
            (os.write_file(format!("{w}/dir"), "").await.err(), Errno::EISDIR, "dir"),
            (os.write_file(format!("{w}/dir"), vec![0; 1 << 20]).await.err(), Errno::EISDIR, "dir"),
            (os.mkdir(format!("{w}/dir"), one).await.err(), Errno::EEXIST, "dir"),
            (os.mkdir(format!("{w}/a/b"), one).await.err(), Errno::ENOENT, "a/b"),
            (os.readdir(format!("{w}/file")).await.err(), Errno::ENOTDIR, "file"),
            (os.readdir(format!("{w}/none")).await.err(), Errno::ENOENT, "none"),
            (os.stat(format!("{w}/none")).await.err(), Errno::ENOENT, "none"),
            (os.lstat(format!("{w}/none")).await.err(), Errno::ENOENT, "none"),
            (os.delete(format!("{w}/none"), none).await.err(), Errno::ENOENT, "none"),
            (os.delete(format!("{w}/dir"), none).await.err(), Errno::ENOTEMPTY, "dir"),
            (os.move_path(format!("{w}/none"), format!("{w}/x")).await.err(), Errno::ENOENT, ""),
            (os.move_path(format!("{w}/dir"), format!("{w}/dir/sub")).await.err(), Errno::EINVAL, ""),
            (os.symlink("x", format!("{w}/file")).await.err(), Errno::EEXIST, "file"),
            (os.read_link(format!("{w}/file")).await.err(), Errno::EINVAL, "file"),
            (os.link(format!("{w}/none"), format!("{w}/x")).await.err(), Errno::ENOENT, ""),
            (os.chmod(format!("{w}/none"), 0o600).await.err(), Errno::ENOENT, "none"),
            (os.chown(format!("{w}/none"), 1, 1).await.err(), Errno::ENOENT, "none"),
            (os.truncate(format!("{w}/none"), 1).await.err(), Errno::ENOENT, "none"),
            (os.truncate(format!("{w}/dir"), 1).await.err(), Errno::EISDIR, "dir"),
        ];
        for (n, (error, errno, part)) in cases.into_iter().enumerate() {
            let error = error.unwrap_or_else(|| panic!("case {n} succeeds, not {errno:?}"));
            assert_eq!(error.errno(), Some(errno), "case {n}: {error:?}");
            assert!(error.to_string().contains(part), "case {n}: {error}");
        }
    });
}

#[test]
fn paths_that_are_not_absolute_or_not_normalised_are_refused() {
    SIDECAR.test(async |os| {
        for path in ["", "x", "./x", "~/x"] {
            let refused = os.read_file(path).await.unwrap_err();
            assert!(matches!(&refused, Error::PathNotAbsolute { path: p } if p == path), "{refused:?}");
        }
        for path in ["/a/../b", "/./a", "//a", "/a//b", "/a\0b", "/.."] {
            let refused = os.write_file(path, "x").await.unwrap_err();
            assert!(matches!(&refused, Error::PathNotNormalized { path: p } if p == path), "{refused:?}");
            assert!(os.move_path("/etc/passwd", path).await.is_err());
        }
    });
}

#[test]
fn directories_are_made_listed_and_deleted() {
    SIDECAR.test(async |os| {
        os.mkdir("/workspace/a/b/c", MkdirOptions { recursive: true }).await.unwrap();
        os.mkdir("/workspace/a/b/c", MkdirOptions { recursive: true }).await.unwrap();
        os.write_file("/workspace/a/b/f.txt", "12345").await.unwrap();
        os.symlink("b", "/workspace/a/l").await.unwrap();
        os.mkdir("/workspace/a/skip", MkdirOptions::default()).await.unwrap();
        os.write_file("/workspace/a/skip/hidden", "").await.unwrap();
        let mut names = os.readdir("/workspace/a").await.unwrap();
        names.sort();
        assert_eq!(names, ["b", "l", "skip"]);

        let options = ReaddirRecursiveOptions { exclude: vec!["skip".into()], max_depth: None };
        let tree = os.readdir_recursive("/workspace/a", options).await.unwrap();
        let mut seen: Vec<_> = tree.iter().map(|e| (&*e.path, e.kind)).collect();
        let place = |path: &str| tree.iter().position(|e| e.path == path).unwrap();
        assert!(place("/workspace/a/b") < place("/workspace/a/b/c"), "parents come first");
        seen.sort_by_key(|(path, _)| *path);
        assert_eq!(
            seen,
            [
                ("/workspace/a/b", FileType::Directory),
                ("/workspace/a/b/c", FileType::Directory),
                ("/workspace/a/b/f.txt", FileType::File),
                ("/workspace/a/l", FileType::Symlink),
            ]
        );
        assert_eq!(tree[place("/workspace/a/b/f.txt")].size, 5);
        let flat = ReaddirRecursiveOptions { max_depth: Some(0), ..Default::default() };
        assert_eq!(os.readdir_recursive("/workspace/a", flat).await.unwrap().len(), 3);
        let deeper = ReaddirRecursiveOptions { max_depth: Some(1), ..Default::default() };
        assert_eq!(os.readdir_recursive("/workspace/a", deeper).await.unwrap().len(), 6);

        os.delete("/workspace/a", ALL).await.unwrap();
        assert!(!os.exists("/workspace/a").await.unwrap());
        assert_eq!(sh(os, "ls").await.stdout, "");
    });
}

#[test]
fn a_large_directory_is_listed_whole() {
    SIDECAR.test(async |os| {
        let entries =
            (0..5000).map(|i| BatchWriteEntry { path: format!("/tmp/many/{i}"), content: Vec::new() });
        assert!(os.write_files(entries).await.iter().all(|w| w.result.is_ok()));
        let names: std::collections::HashSet<String> =
            os.readdir("/tmp/many").await.unwrap().into_iter().collect();
        assert_eq!(names.len(), 5000);
        assert_eq!(os.readdir_recursive("/tmp/many", Default::default()).await.unwrap().len(), 5000);
        assert_eq!(sh(os, "ls /tmp/many | wc -l").await.stdout.trim(), "5000");
    });
}

#[test]
fn deleting_never_follows_links() {
    SIDECAR.test(async |os| {
        os.mkdir("/workspace/keep", MkdirOptions::default()).await.unwrap();
        os.write_file("/workspace/keep/file", "kept").await.unwrap();
        os.mkdir("/workspace/gone", MkdirOptions::default()).await.unwrap();
        os.symlink("/workspace/keep", "/workspace/gone/link").await.unwrap();
        os.symlink("/workspace/keep", "/workspace/link").await.unwrap();
        os.delete("/workspace/gone", ALL).await.unwrap();
        os.delete("/workspace/link", ALL).await.unwrap();
        assert_eq!(os.read_file("/workspace/keep/file").await.unwrap(), b"kept");
        assert!(!os.exists("/workspace/link").await.unwrap());
    });
}

#[test]
fn links_moves_modes_owners_lengths_and_times_are_what_was_asked_for() {
    SIDECAR.test(async |os| {
        os.write_file("/workspace/f", "0123456789").await.unwrap();
        os.symlink("f", "/workspace/s").await.unwrap();
        os.symlink("nowhere", "/workspace/dangling").await.unwrap();
        assert_eq!(os.read_link("/workspace/s").await.unwrap(), "f");
        assert!(os.lstat("/workspace/s").await.unwrap().is_symbolic_link);
        assert_eq!(os.stat("/workspace/s").await.unwrap().size, 10);
        assert!(!os.exists("/workspace/dangling").await.unwrap());
        assert!(os.lstat("/workspace/dangling").await.is_ok());

        os.link("/workspace/f", "/workspace/hard").await.unwrap();
        let (a, b) = (os.stat("/workspace/f").await.unwrap(), os.stat("/workspace/hard").await.unwrap());
        assert_eq!((a.ino, a.nlink), (b.ino, 2));

        os.chmod("/workspace/f", 0o4751).await.unwrap();
        assert_eq!(os.stat("/workspace/hard").await.unwrap().mode & 0o7777, 0o4751);
        os.chown("/workspace/f", 7, 8).await.unwrap();
        let owner = os.stat("/workspace/f").await.unwrap();
        assert_eq!((owner.uid, owner.gid), (7, 8));
        assert_eq!(sh(os, "stat -c '%u %g %s' f").await.stdout, "7 8 10\n");
        os.chown("/workspace/f", 1000, 1000).await.unwrap();

        os.truncate("/workspace/f", 4).await.unwrap();
        assert_eq!(os.read_file("/workspace/f").await.unwrap(), b"0123");
        os.truncate("/workspace/f", 6).await.unwrap();
        assert_eq!(os.read_file("/workspace/f").await.unwrap(), b"0123\0\0");

        let time = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        os.utimes("/workspace/f", time(1_000_000), time(2_000_000)).await.unwrap();
        let times = os.stat("/workspace/f").await.unwrap();
        assert_eq!((times.atime_ms, times.mtime_ms), (1.0e9, 2.0e9));
        assert_eq!(sh(os, "stat -c %Y f").await.stdout, "2000000\n");
        os.utimes("/workspace/f", SystemTime::now(), SystemTime::now()).await.unwrap();

        os.write_file("/workspace/g", "old").await.unwrap();
        os.move_path("/workspace/f", "/workspace/g").await.unwrap();
        assert!(!os.exists("/workspace/f").await.unwrap());
        assert_eq!(os.read_file("/workspace/g").await.unwrap(), b"0123\0\0");
        os.mkdir("/workspace/d", MkdirOptions::default()).await.unwrap();
        os.write_file("/workspace/d/x", "in").await.unwrap();
        os.move_path("/workspace/d", "/workspace/e").await.unwrap();
        assert_eq!(sh(os, "cat e/x").await.stdout, "in");
    });
}

#[test]
fn several_files_at_once_have_a_result_each() {
    SIDECAR.test(async |os| {
        let entry =
            |path: &str, content: &str| BatchWriteEntry { path: path.into(), content: content.into() };
        let written = os
            .write_files([
                entry("/workspace/x/y/z/file", "deep"),
                entry("relative", ""),
                entry("/etc/passwd/x", ""),
                entry("/workspace/top", "top"),
            ])
            .await;
        let ok: Vec<bool> = written.iter().map(|w| w.result.is_ok()).collect();
        assert_eq!(ok, [true, false, false, true]);
        assert_eq!(written[1].path, "relative");
        assert!(matches!(written[1].result, Err(Error::PathNotAbsolute { .. })));
        assert_eq!(written[2].result.as_ref().unwrap_err().errno(), Some(Errno::ENOTDIR));
        let read = os.read_files(["/workspace/top", "/none", "/workspace/x/y/z/file"]).await;
        assert_eq!(read[0].result.as_ref().unwrap(), b"top");
        assert_eq!(read[1].result.as_ref().unwrap_err().errno(), Some(Errno::ENOENT));
        assert_eq!(read[2].result.as_ref().unwrap(), b"deep");
        assert_eq!(sh(os, "cat x/y/z/file").await.stdout, "deep", "parents belong to the user");
        assert_eq!(sh(os, "touch x/y/z/more && echo ok").await.stdout, "ok\n");
    });
}

#[test]
fn streams_read_and_write_parts() {
    SIDECAR.test(async |os| {
        let mut writer = os
            .open_write(
                "/workspace/p/f",
                OpenWriteOptions { create_parents: true, mode: Some(0o600), ..OpenWriteOptions::default() },
            )
            .await
            .unwrap();
        for part in ["0123", "4567", "89"] {
            writer.write_all(part.as_bytes()).await.unwrap();
        }
        writer.shutdown().await.unwrap();
        assert_eq!(os.stat("/workspace/p/f").await.unwrap().mode & 0o777, 0o600);

        let read = async |offset, length| {
            let mut reader =
                os.open_read("/workspace/p/f", OpenReadOptions { offset, length }).await.unwrap();
            let mut text = String::new();
            reader.read_to_string(&mut text).await.unwrap();
            text
        };
        assert_eq!(read(0, None).await, "0123456789");
        assert_eq!(read(3, Some(4)).await, "3456");
        assert_eq!(read(8, Some(100)).await, "89");
        assert_eq!(read(100, None).await, "");

        let write = async |text: &str, options| -> std::io::Result<()> {
            let mut writer = os.open_write("/workspace/p/f", options).await.unwrap();
            writer.write_all(text.as_bytes()).await?;
            writer.shutdown().await
        };
        write("end", OpenWriteOptions { append: true, ..Default::default() }).await.unwrap();
        write("XY", OpenWriteOptions { offset: Some(2), ..Default::default() }).await.unwrap();
        assert_eq!(read(0, None).await, "01XY456789end");
        let exclusive = OpenWriteOptions { exclusive: true, ..Default::default() };
        let refused = write("no", exclusive).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::AlreadyExists, "{refused}");
        assert_eq!(read(0, None).await, "01XY456789end");
        write("short", OpenWriteOptions::default()).await.unwrap();
        assert_eq!(read(0, None).await, "short");
    });
}

#[test]
fn names_of_any_bytes_are_kept() {
    SIDECAR.test(async |os| {
        for name in ["a b", "ü∂", "-x", "new\nline", "'\"$`\\", "*?["] {
            let path = format!("/workspace/{name}");
            os.write_file(&path, name).await.unwrap();
            assert_eq!(os.read_file(&path).await.unwrap(), name.as_bytes());
            assert!(os.readdir("/workspace").await.unwrap().contains(&name.to_owned()));
        }
        use std::os::unix::ffi::OsStrExt;
        let raw = std::path::Path::new(std::ffi::OsStr::from_bytes(b"/workspace/\xff\xfe"));
        os.write_file(raw, "raw").await.unwrap();
        assert_eq!(os.read_file(raw).await.unwrap(), b"raw");
        let tree = os.readdir_recursive("/workspace", Default::default()).await.unwrap();
        assert!(tree.iter().any(|e| e.raw_path.as_deref() == Some(b"/workspace/\xff\xfe")));
        assert_eq!(sh(os, r"cat $'/workspace/\xff\xfe'").await.stdout, "raw");
    });
}

#[test]
fn a_guest_that_is_not_root_cannot_change_the_base() {
    SIDECAR.test(async |os| {
        let result = sh(os, "echo x >> /etc/passwd; rm /bin/cat; echo $(id -u)").await;
        assert_eq!(result.stdout, "1000\n");
        assert_eq!(result.stderr.matches("ermission denied").count(), 2, "{result:?}");
        os.write_file("/etc/motd", "the host may\n").await.unwrap();
        assert_eq!(sh(os, "cat /etc/motd").await.stdout, "the host may\n");
    });
}

#[test]
fn a_device_without_an_end_is_an_error_or_a_stream() {
    SIDECAR.test(async |os| {
        for device in ["/dev/zero", "/dev/urandom"] {
            match os.read_file(device).await.unwrap_err() {
                Error::Limit { name, .. } => assert_eq!(name, "readFile", "{device}"),
                other => panic!("{device}: {other:?}"),
            }
        }
        // A size costs a guest nothing, so it is not believed either.
        assert_eq!(sh(os, "truncate -s 1T /tmp/sparse").await.exit_code, 0);
        match os.read_file("/tmp/sparse").await.unwrap_err() {
            Error::Limit { name, requested, .. } => {
                assert_eq!((name.as_str(), requested), ("readFile", 1 << 40))
            }
            other => panic!("{other:?}"),
        }
        let mut zeros = os.open_read("/dev/zero", OpenReadOptions::default()).await.unwrap();
        let mut some = [1; 100_000];
        zeros.read_exact(&mut some).await.unwrap();
        assert!(some == [0; 100_000]);
        let part = OpenReadOptions { offset: 0, length: Some(10) };
        let mut part = os.open_read("/dev/zero", part).await.unwrap();
        let mut all = Vec::new();
        part.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [0; 10]);
        assert_eq!(os.read_file("/dev/null").await.unwrap(), b"");
    });
}

#[test]
fn a_program_in_a_removed_directory_reaches_nothing_else() {
    SIDECAR.test(async |os| {
        sh(os, "echo kept > /workspace/kept; echo kept > /tmp/kept").await;
        // As on Linux: there is nothing in it, and nothing can be made in it. It must not be taken for `/`.
        let removed = sh(os, "mkdir x; cd x; rmdir ../x; ls | wc -l; find . | wc -l; rm -rf ./* tmp workspace; touch a; echo $?").await;
        assert_eq!(removed.stdout, "0\n1\n1\n", "{removed:?}");
        let closed = sh(os, "mkdir y; cd y; chmod 0 .; rm -rf tmp; cat tmp/kept; echo $?; mkdir z; echo $?").await;
        assert_eq!(closed.stdout, "1\n1\n", "{closed:?}");
        assert_eq!(sh(os, "cat kept /tmp/kept").await.stdout, "kept\nkept\n");
    });
}
