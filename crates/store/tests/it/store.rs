//! A store by itself: whom it lets in, what it makes of what it did not write, and how it fails.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentos_store::{Durable, FileStore, Options, Place, Root, StoreError};
use agentos_vfs::{Access, Errno, FileSystem, Layer, Reply, Tree};
use futures_executor::block_on;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::device::Device;
use crate::work::{self, base, listing, now, rows};

/// Both kinds of places, in a directory.
fn places(scratch: &Path) -> [Place; 2] {
    [Place::Directory(scratch.join("state")), Place::Sqlite(scratch.join("state.db"))]
}

/// The file that holds the rows.
fn file(place: &Place) -> std::path::PathBuf {
    match place {
        Place::Directory(path) => path.join("root.redb"),
        Place::Sqlite(path) => path.clone(),
    }
}

fn each_place(test: impl Fn(Place)) {
    let scratch = tempfile::tempdir().unwrap();
    places(scratch.path()).into_iter().for_each(test);
}

fn sync(fs: &dyn FileSystem) -> agentos_vfs::Result<()> {
    block_on(async { fs.sync().await })
}

#[test]
fn it_goes_on_where_it_was() {
    each_place(|place| {
        let base = base();
        let mut kept: Option<Layer> = None;
        for round in 0..5 {
            let root = Root::open(&place, &base).unwrap();
            assert_eq!(root.is_new(), kept.is_none());
            let tree = Tree::from_layer(root.layer());
            tree.fsck().unwrap();
            if let Some(kept) = &kept {
                assert_eq!(rows(&base, root.layer()), rows(&base, kept));
                assert_eq!(root.layer().usage(), kept.usage());
                assert_eq!(root.layer().next_ino(), kept.next_ino());
            }
            let durable = Durable::start(root, tree.clone(), Options::default()).unwrap();
            for number in 0..400 {
                work::step(&tree, round * 1000 + number);
                if number % 50 == 0 {
                    sync(&tree).unwrap();
                }
            }
            durable.close_blocking().unwrap();
            kept = Some(tree.freeze());
        }
    });
}

#[test]
fn a_sync_is_enough() {
    each_place(|place| {
        let root = Root::open(&place, &base()).unwrap();
        let tree = Tree::from_layer(root.layer());
        let options = Options { interval: Duration::from_secs(3600), ..Options::default() };
        let durable = Durable::start(root, tree.clone(), options).unwrap();
        let ino = tree.put_file("/f", 0o600, 5, 6, "one").unwrap();
        let file = now(tree.open(ino, Access { read: true, write: true })).unwrap();
        now(file.append(b", two")).unwrap();
        block_on(async { file.sync(true).await }).unwrap();
        // As if the process ended here: the bytes of the file are those of now.
        let copy = tempfile::tempdir().unwrap();
        let copied = match &place {
            Place::Directory(path) => {
                fs::copy(path.join("root.redb"), copy.path().join("root.redb")).unwrap();
                Place::Directory(copy.path().to_owned())
            }
            Place::Sqlite(path) => {
                let wal = format!("{}-wal", path.display());
                fs::copy(path, copy.path().join("s.db")).unwrap();
                fs::copy(wal, copy.path().join("s.db-wal")).unwrap();
                Place::Sqlite(copy.path().join("s.db"))
            }
        };
        let root = Root::open(&copied, &base()).unwrap();
        assert_eq!(Tree::from_layer(root.layer()).read_file("/f").unwrap(), b"one, two");
        durable.close_blocking().unwrap();
    });
}

/// Going back to an earlier moment swaps the whole table.
#[test]
fn a_tree_that_went_back_is_kept() {
    each_place(|place| {
        let base = base();
        for seed in 0..20u64 {
            let mut root = Root::open(&place, &base).unwrap();
            let tree = Tree::from_layer(root.layer());
            let work = |part: u64| (0..40).for_each(|n| work::step(&tree, (seed << 16) + (part << 8) + n));
            work(0);
            let earlier = tree.freeze();
            work(1);
            root.commit(&tree.freeze()).unwrap();
            work(2);
            tree.restore(if seed % 3 == 0 { &base } else { &earlier });
            if seed % 2 == 0 {
                work(3);
            }
            root.commit(&tree.freeze()).unwrap();
            drop(root);
            let root = Root::open(&place, &base).unwrap();
            assert_eq!(rows(&base, root.layer()), rows(&base, &tree.freeze()), "{seed}");
        }
    });
}

#[test]
fn without_a_sync_it_is_committed_soon() {
    let device = Device::default();
    let root =
        Root::on(FileStore::on(device.clone(), Path::new("d")).unwrap(), Path::new("d"), &base()).unwrap();
    let tree = Tree::from_layer(root.layer());
    let options = Options { interval: Duration::from_millis(1), ..Options::default() };
    let durable = Durable::start(root, tree.clone(), options).unwrap();
    tree.put_file("/f", 0o600, 0, 0, "text").unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    // What a host would find that lost its power now.
    let kept = || {
        let store = FileStore::on(Device::holding(device.image()), Path::new("d")).unwrap();
        let root = Root::on(store, Path::new("d"), &base()).unwrap();
        Tree::from_layer(root.layer()).read_file("/f").ok()
    };
    while kept().is_none() {
        assert!(Instant::now() < until, "no commit in 30 seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(kept().unwrap(), b"text");
    durable.close_blocking().unwrap();
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let device = Device::default();
    let path = Path::new("d");
    let mut root = Root::on(FileStore::on(device.clone(), path).unwrap(), path, &base()).unwrap();
    let tree = Tree::from_layer(root.layer());
    tree.put_file("/f", 0o600, 0, 0, "text").unwrap();
    root.commit(&tree.freeze()).unwrap();
    let (before, sequence) = (device.ops(), root.sequence());
    for _ in 0..10 {
        root.commit(&tree.freeze()).unwrap();
    }
    assert_eq!((device.ops(), root.sequence()), (before, sequence));
}

#[test]
fn only_what_changed_is_written() {
    let device = Device::default();
    let path = Path::new("d");
    let mut root = Root::on(FileStore::on(device.clone(), path).unwrap(), path, &base()).unwrap();
    let tree = Tree::from_layer(root.layer());
    let ino = tree.put_file("/large", 0o600, 0, 0, vec![1; 8 << 20]).unwrap();
    root.commit(&tree.freeze()).unwrap();
    let written = |from: usize| -> usize {
        let log = device.log();
        log[from..]
            .iter()
            .map(|op| if let crate::device::Op::Write(_, data) = op { data.len() } else { 0 })
            .sum()
    };
    assert!(written(0) > 8 << 20);
    // The bytes came as one piece; the first write makes chunks of them.
    let file = now(tree.open(ino, Access { read: true, write: true })).unwrap();
    for offset in [5 << 20, 100] {
        let before = device.ops();
        now(file.write_at(b"changed", offset)).unwrap();
        root.commit(&tree.freeze()).unwrap();
        let written = written(before);
        assert!(written < 512 << 10, "{written} bytes for a change of 7");
    }
    // What is of the base is not kept.
    let before = device.ops();
    let tool = tree.ino_at("/bin/tool").unwrap();
    now(tree.setattr(tool, &agentos_vfs::SetAttr { perm: Some(0o700), ..Default::default() })).unwrap();
    root.commit(&tree.freeze()).unwrap();
    assert!(written(before) < 128 << 10);
}

#[test]
fn a_store_has_one_user_at_a_time() {
    each_place(|place| {
        let root = Root::open(&place, &base()).unwrap();
        for _ in 0..3 {
            let error = Root::open(&place, &base()).unwrap_err();
            assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        }
        let tree = Tree::from_layer(root.layer());
        let durable = Durable::start(root, tree.clone(), Options::default()).unwrap();
        let error = Root::open(&place, &base()).unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        tree.put_file("/f", 0o600, 0, 0, "text").unwrap();
        durable.close_blocking().unwrap();
        // Closed is closed, whoever still has the tree.
        assert_eq!(sync(&tree), Err(Errno::EIO));
        durable.close_blocking().unwrap();
        let root = Root::open(&place, &base()).unwrap();
        assert_eq!(Tree::from_layer(root.layer()).read_file("/f").unwrap(), b"text");
    });
}

#[test]
fn a_dropped_one_is_committed_too() {
    each_place(|place| {
        let root = Root::open(&place, &base()).unwrap();
        let tree = Tree::from_layer(root.layer());
        let durable = Durable::start(root, tree.clone(), Options::default()).unwrap();
        tree.put_file("/f", 0o600, 0, 0, "text").unwrap();
        drop(durable);
        let root = loop {
            match Root::open(&place, &base()) {
                Ok(root) => break root,
                Err(StoreError::InUse { .. }) => std::thread::yield_now(),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(Tree::from_layer(root.layer()).read_file("/f").unwrap(), b"text");
    });
}

/// Opens the store when it is dropped, and notes whether that went.
struct Guard {
    place: Place,
    free: Arc<Mutex<Option<bool>>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        *self.free.lock() = Some(Root::open(&self.place, &base()).is_ok());
    }
}

#[test]
fn what_is_told_of_a_failure_lasts_until_the_store_is_closed() {
    each_place(|place| {
        for close in [true, false] {
            let root = Root::open(&place, &base()).unwrap();
            let tree = Tree::from_layer(root.layer());
            let free = Arc::new(Mutex::new(None));
            let guard = Guard { place: place.clone(), free: Arc::clone(&free) };
            let failed = Box::new(move |_: &StoreError| {
                let _held = &guard;
            });
            let durable = Durable::start(root, tree, Options { failed, ..Options::default() }).unwrap();
            assert_eq!(*free.lock(), None);
            if close {
                durable.close_blocking().unwrap();
                assert_eq!(*free.lock(), Some(true));
                continue;
            }
            drop(durable);
            let until = Instant::now() + Duration::from_secs(30);
            while free.lock().is_none() {
                assert!(Instant::now() < until, "it is open after 30 seconds");
                std::thread::yield_now();
            }
            assert_eq!(*free.lock(), Some(true));
        }
    });
}

#[test]
fn it_is_for_its_owner_alone() {
    each_place(|place| {
        drop(Root::open(&place, &base()).unwrap());
        assert_eq!(fs::metadata(file(&place)).unwrap().permissions().mode() & 0o777, 0o600);
        if let Place::Directory(path) = &place {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
            fs::set_permissions(path, fs::Permissions::from_mode(0o770)).unwrap();
            let error = Root::open(&place, &base()).unwrap_err();
            assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
        }
    });
}

#[test]
fn what_is_no_store_is_left_alone() {
    each_place(|place| {
        fs::create_dir_all(file(&place).parent().unwrap()).unwrap();
        let path = file(&place);
        fs::write(&path, vec![b'x'; 10_000]).unwrap();
        let before = fs::read(&path).unwrap();
        let error = Root::open(&place, &base()).unwrap_err();
        assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    });
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    use redb::TableDefinition;
    use sqlx::{ConnectOptions, Connection};
    each_place(|place| {
        let path = file(&place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match &place {
            Place::Directory(_) => {
                let database = redb::Database::create(&path).unwrap();
                let transaction = database.begin_write().unwrap();
                transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
                transaction.commit().unwrap();
            }
            Place::Sqlite(_) => block_on(async {
                let options =
                    sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
                let mut connection = options.connect().await.unwrap();
                sqlx::raw_sql("CREATE TABLE head (theirs TEXT)").execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }),
        }
        let error = Root::open(&place, &base()).unwrap_err();
        assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
    });
}

#[test]
fn a_newer_format_is_told_and_kept() {
    each_place(|place| {
        drop(Root::open(&place, &base()).unwrap());
        set_format(&place, 7);
        for _ in 0..2 {
            match Root::open(&place, &base()).unwrap_err() {
                StoreError::Newer { found: 7, known: 1, .. } => {}
                error => panic!("{error}"),
            }
        }
        set_format(&place, 1);
        assert!(!Root::open(&place, &base()).unwrap().is_new());
    });
}

fn set_format(place: &Place, format: u32) {
    use redb::TableDefinition;
    use sqlx::{ConnectOptions, Connection};
    let value = [b"root\0", &format.to_be_bytes()[..]].concat();
    match place {
        Place::Directory(_) => {
            let database = redb::Database::open(file(place)).unwrap();
            let transaction = database.begin_write().unwrap();
            let head = TableDefinition::<&[u8], &[u8]>::new("head");
            transaction.open_table(head).unwrap().insert(&b"agentos"[..], &value[..]).unwrap();
            transaction.commit().unwrap();
        }
        Place::Sqlite(path) => block_on(async {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut connection = options.connect().await.unwrap();
            sqlx::query("UPDATE head SET value = ? WHERE key = ?")
                .bind(value)
                .bind(&b"agentos"[..])
                .execute(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
        }),
    }
}

/// Whatever a disk does to a store, it is never taken for something that was not written.
#[test]
fn damage_is_found() {
    each_place(|place| {
        let base = base();
        let mut root = Root::open(&place, &base).unwrap();
        let tree = Tree::from_layer(root.layer());
        for number in 0..600 {
            work::step(&tree, number);
        }
        root.commit(&tree.freeze()).unwrap();
        drop(root);
        let (expected, path) = (listing(&tree), file(&place));
        let whole = fs::read(&path).unwrap();
        let rng = &mut StdRng::seed_from_u64(3);
        let mut found = 0;
        for _ in 0..150 {
            let mut image = whole.clone();
            match rng.random_range(0..3) {
                0 => {
                    let at = rng.random_range(0..image.len());
                    image[at] ^= 1 << rng.random_range(0..8);
                }
                1 => {
                    let at = rng.random_range(0..image.len() / 4096) * 4096;
                    image[at..at + 4096].fill(0);
                }
                _ => image.truncate(rng.random_range(1..image.len())),
            }
            fs::write(&path, image).unwrap();
            match Root::open(&place, &base) {
                // The damage was where nothing is.
                Ok(root) => assert_eq!(listing(&Tree::from_layer(root.layer())), expected),
                Err(StoreError::Damaged { .. } | StoreError::NotAStore { .. } | StoreError::Io { .. }) => {
                    found += 1
                }
                Err(error) => panic!("{error}"),
            }
            if let Place::Sqlite(path) = &place {
                let _ = fs::remove_file(format!("{}-wal", path.display()));
            }
        }
        assert!(found > 50, "only {found} of 150 were found in {place:?}");
    });
}

#[test]
fn syncs_that_wait_together_share_a_commit() {
    let device = Device::default();
    let path = Path::new("d");
    let root = Root::on(FileStore::on(device.clone(), path).unwrap(), path, &base()).unwrap();
    let tree = Tree::from_layer(root.layer());
    let durable = Durable::start(root, tree.clone(), Options::default()).unwrap();
    // All are in the queue before the first is answered, but for those the thread took at once.
    let replies: Vec<Reply<'_, ()>> = (0..500)
        .map(|n| {
            tree.put_file(format!("/f{n}"), 0o600, 0, 0, "text").unwrap();
            tree.sync()
        })
        .collect();
    for reply in replies {
        block_on(async { reply.await }).unwrap();
    }
    durable.close_blocking().unwrap();
    let root =
        Root::on(FileStore::on(Device::holding(device.image()), path).unwrap(), path, &base()).unwrap();
    assert!(root.sequence() < 500, "{} commits for 500 syncs", root.sequence());
    assert_eq!(Tree::from_layer(root.layer()).read_file("/f499").unwrap(), b"text");
}

#[test]
fn a_failing_store_fails_every_sync_and_loses_nothing() {
    for (kind, errno) in [(ErrorKind::StorageFull, Errno::ENOSPC), (ErrorKind::Other, Errno::EIO)] {
        for after in [0, 1, 2, 3, 5] {
            let device = Device::default();
            let path = Path::new("d");
            let root = Root::on(FileStore::on(device.clone(), path).unwrap(), path, &base()).unwrap();
            let tree = Tree::from_layer(root.layer());
            let told = Arc::new(Mutex::new(Vec::new()));
            let telling = Arc::clone(&told);
            let failed = Box::new(move |error: &StoreError| telling.lock().push(error.to_string()));
            let durable =
                Durable::start(root, tree.clone(), Options { failed, ..Options::default() }).unwrap();
            tree.put_file("/kept", 0o600, 0, 0, "kept").unwrap();
            sync(&tree).unwrap();
            device.fail_after(after, kind);
            tree.put_file("/more", 0o600, 0, 0, vec![3; 300_000]).unwrap();
            assert_eq!(sync(&tree), Err(errno), "after {after}");
            tree.put_file("/f", 0o600, 0, 0, "in memory").unwrap();
            assert_eq!(sync(&tree), Err(errno));
            assert_eq!(tree.read_file("/f").unwrap(), b"in memory");
            assert_eq!(durable.close_blocking().unwrap_err().errno(), errno);
            assert_eq!(told.lock().len(), 1);
            let device = Device::holding(device.image());
            let root = Root::on(FileStore::on(device, path).unwrap(), path, &base()).unwrap();
            assert_eq!(Tree::from_layer(root.layer()).read_file("/kept").unwrap(), b"kept");
        }
    }
}

#[test]
fn notes_are_kept_with_the_next_commit() {
    each_place(|place| {
        let mut root = Root::open(&place, &base()).unwrap();
        assert_eq!(root.note(), None);
        root.set_note(b"furnished".to_vec());
        drop(root);
        let mut root = Root::open(&place, &base()).unwrap();
        assert_eq!(root.note(), None);
        root.set_note(b"furnished".to_vec());
        let layer = root.layer().clone();
        root.commit(&layer).unwrap();
        drop(root);
        assert_eq!(Root::open(&place, &base()).unwrap().note(), Some(&b"furnished"[..]));
    });
}
