//! Directories and names: what POSIX asks of them as far as a store can, and the errors beyond it.

use agentos_vfs::{FileType, SetTime, Timespec};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn directories_live_and_die_as_posix_says() {
    for store in both() {
        store.mkdir("/d").await.unwrap();
        assert_eq!(store.mkdir("/d").await.unwrap_err(), Errno::EEXIST);
        assert_eq!(store.stat("/d").await.unwrap().kind, FileType::Directory);
        assert_eq!(store.list("/d").await.unwrap(), [""; 0]);
        store.mkdir("/d/e").await.unwrap();
        store.write("/d/f", b"1").await.unwrap();
        assert_eq!(store.list("/d").await.unwrap(), ["e", "f"]);
        assert_eq!(store.rmdir("/d").await, Err(Errno::ENOTEMPTY));
        assert_eq!(store.rmdir("/d/f").await, Err(Errno::ENOTDIR));
        assert_eq!(store.unlink("/d/e").await, Err(Errno::EISDIR));
        store.unlink("/d/f").await.unwrap();
        store.rmdir("/d/e").await.unwrap();
        assert_eq!(store.list("/d").await.unwrap(), [""; 0]);
        store.rmdir("/d").await.unwrap();
        assert_eq!(store.stat("/d").await.unwrap_err(), Errno::ENOENT);
        assert_eq!(store.stat("/d/f").await.unwrap_err(), Errno::ENOENT);
        assert_eq!(store.unlink("/f").await, Err(Errno::ENOENT));
        assert_eq!(store.rmdir("/f").await, Err(Errno::ENOENT));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_others_stays_when_its_last_name_goes() {
    let operator = Operator::new(Memory::default()).unwrap();
    operator.write("a/b/c", "1").await.unwrap();
    let store = over(operator, PREFIXES, options());
    store.unlink("/a/b/c").await.unwrap();
    assert_eq!(store.list("/a/b").await.unwrap(), [""; 0]);
    store.rmdir("/a/b").await.unwrap();
    assert_eq!(store.list("/").await.unwrap(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_move_and_replace() {
    for store in both() {
        store.write("/a", b"of a").await.unwrap();
        store.write("/b", b"of b, longer").await.unwrap();
        store.mkdir("/d").await.unwrap();
        assert_eq!(store.rename("/a", "/d").await, Err(Errno::EISDIR));
        assert_eq!(store.rename("/d", "/a").await, Err(Errno::ENOTDIR));
        assert_eq!(store.rename("/none", "/a").await, Err(Errno::ENOENT));
        assert_eq!(store.rename("/d", "/d/in").await, Err(Errno::EINVAL));
        store.rename("/a", "/b").await.unwrap();
        assert_eq!(store.read("/b").await.unwrap(), b"of a");
        store.rename("/b", "/d/c").await.unwrap();
        assert_eq!(store.list("/").await.unwrap(), ["d"]);
        assert_eq!(store.read("/d/c").await.unwrap(), b"of a");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_moves_onto_one_that_was_just_made() {
    for store in both() {
        store.write("/a", b"of a").await.unwrap();
        store.create("/b").await.unwrap();
        store.rename("/a", "/b").await.unwrap();
        assert_eq!(store.read("/b").await.unwrap(), b"of a");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_and_not_closed_moves_along() {
    for store in both() {
        store.write("/a", b"old").await.unwrap();
        let file = store.open("/a").await.unwrap();
        file.write_at(b"new", 0).await.unwrap();
        store.rename("/a", "/b").await.unwrap();
        assert_eq!(store.read("/b").await.unwrap(), b"new");
        file.append(b"er").await.unwrap();
        file.flush().await.unwrap();
        assert_eq!(store.read("/b").await.unwrap(), b"newer");
        assert_eq!(store.list("/").await.unwrap(), ["b"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_directories_move_in_one_step_or_not_at_all() {
    let [prefixes, directories]: [Mounted; 2] = both().try_into().ok().unwrap();
    for store in [&prefixes, &directories] {
        store.mkdir("/empty").await.unwrap();
        store.rename("/empty", "/moved").await.unwrap();
        assert_eq!(store.list("/").await.unwrap(), ["moved"]);
        store.mkdir("/moved/in").await.unwrap();
        store.write("/moved/in/f", b"1").await.unwrap();
    }
    assert_eq!(prefixes.rename("/moved", "/again").await, Err(Errno::EXDEV));
    assert_eq!(prefixes.read("/moved/in/f").await.unwrap(), b"1");
    let file = directories.open("/moved/in/f").await.unwrap();
    file.append(b"2").await.unwrap();
    directories.rename("/moved", "/again").await.unwrap();
    file.append(b"3").await.unwrap();
    file.flush().await.unwrap();
    assert_eq!(directories.read("/again/in/f").await.unwrap(), b"123");
    assert_eq!(directories.list("/").await.unwrap(), ["again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_that_no_store_keeps_are_refused_and_not_ignored() {
    for store in both() {
        store.write("/f", b"1").await.unwrap();
        let ino = store.ino("/f").await.unwrap();
        let set = |change: SetAttr| {
            let fs = store.fs.clone();
            async move { fs.setattr(ino, &change).await.map(|attr| attr.perm) }
        };
        let same = SetAttr { perm: Some(0o644), uid: Some(0), gid: Some(0), ..SetAttr::default() };
        assert_eq!(set(same).await, Ok(0o644));
        assert_eq!(set(SetAttr { perm: Some(0o755), ..SetAttr::default() }).await, Err(Errno::EPERM));
        assert_eq!(set(SetAttr { uid: Some(7), ..SetAttr::default() }).await, Err(Errno::EPERM));
        let long_ago = SetTime::At(Timespec { secs: 1, nanos: 0 });
        assert_eq!(set(SetAttr { mtime: Some(long_ago), ..SetAttr::default() }).await, Err(Errno::EPERM));
        let is = |mtime| Some(SetTime::At(mtime));
        for path in ["/f", "/"] {
            let (ino, stat) = (store.ino(path).await.unwrap(), store.stat(path).await.unwrap());
            let same = SetAttr { atime: is(stat.atime), mtime: is(stat.mtime), ..SetAttr::default() };
            store.fs.setattr(ino, &same).await.expect("what is the case already is no change");
        }
        let now = Some(SetTime::Now);
        set(SetAttr { atime: now, mtime: now, ..SetAttr::default() }).await.unwrap();
        assert_eq!(store.read("/f").await.unwrap(), b"1");
        let root = store.fs.root();
        assert_eq!(store.fs.link(ino, root, b"l").await.unwrap_err(), Errno::EPERM);
        let link = NewNode { kind: NewKind::Symlink(b"f".to_vec()), perm: 0o777, uid: 0, gid: 0 };
        assert_eq!(store.fs.create(root, b"s", &link).await.unwrap_err(), Errno::EPERM);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_kept_as_they_are_or_refused() {
    for store in both() {
        for name in ["with space", "ü-é-漢", "a%20b+c?d#e", "-rf", "..x", "a:b*c"] {
            store.write(&format!("/{name}"), name.as_bytes()).await.unwrap();
            assert_eq!(store.read(&format!("/{name}")).await.unwrap(), name.as_bytes());
            assert_eq!(store.list("/").await.unwrap(), [name]);
            store.unlink(&format!("/{name}")).await.unwrap();
        }
        // What the client of the store would take for another name.
        for name in [" a", "a ", "\ta"] {
            assert_eq!(store.create(&format!("/{name}")).await.unwrap_err(), Errno::EINVAL);
        }
        assert_eq!(store.create(&format!("/{}", "n".repeat(256))).await.unwrap_err(), Errno::ENAMETOOLONG);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_no_names_are_left_out() {
    let operator = Operator::new(Memory::default()).unwrap();
    for key in ["good", &"n".repeat(300), "d/x"] {
        operator.write(key, "1").await.unwrap();
    }
    let store = over(operator, PREFIXES, options());
    assert_eq!(store.list("/").await.unwrap(), ["d", "good"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_mount_changes_nothing() {
    let operator = Operator::new(Memory::default()).unwrap();
    operator.write("f", "1").await.unwrap();
    let store = over(operator, PREFIXES, StoreOptions { read_only: true, ..options() });
    let file =
        store.fs.open(store.ino("/f").await.unwrap(), Access { read: true, write: false }).await.unwrap();
    assert_eq!(read_all(&*file).await.unwrap(), b"1");
    for result in [
        store.create("/g").await.map(drop),
        store.mkdir("/d").await.map(drop),
        store.unlink("/f").await,
        store.rename("/f", "/g").await,
        store.open("/f").await.map(drop),
        file.setattr(&SetAttr { size: Some(0), ..SetAttr::default() }).await.map(drop),
    ] {
        assert_eq!(result, Err(Errno::EROFS));
    }
}
