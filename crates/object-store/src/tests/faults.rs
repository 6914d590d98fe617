//! A server that fails, hangs, cuts and is changed by others, and how often it is asked.

use std::time::{Duration, Instant};

use http::Method;

use super::fake_s3::{FakeS3, Fault};
use super::*;

pub(super) fn mounted(server: &FakeS3) -> Mounted {
    let timeout = Duration::from_millis(1500);
    over(
        server.operator(),
        PREFIXES,
        StoreOptions { timeout, cache_ttl: Duration::from_secs(60), ..options() },
    )
}

pub(super) async fn eventually(what: &str, is_true: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_true() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const FOREVER: usize = usize::MAX / 2;

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again() {
    for fault in [Fault::Status(503), Fault::Closed, Fault::Cut] {
        let server = FakeS3::default();
        let data = pattern(600_000);
        server.put("f", data.clone());
        let store = mounted(&server);
        server.fail(Method::GET, "/b/f", 1, 1, fault);
        assert_eq!(store.read("/f").await.unwrap(), data);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_numbers_that_programs_know() {
    for (status, errno) in [(403, Errno::EACCES), (500, Errno::EIO), (503, Errno::EIO)] {
        let server = FakeS3::default();
        server.put("f", "1");
        server.put("d/g", "1");
        let store = mounted(&server);
        store.ino("/f").await.unwrap();
        server.fail(Method::GET, "/b/f", 0, FOREVER, Fault::Status(status));
        assert_eq!(store.read("/f").await.unwrap_err(), errno);
        server.fail(Method::PUT, "", 0, FOREVER, Fault::Status(status));
        assert_eq!(store.create("/new").await.unwrap_err(), errno);
        server.fail(Method::HEAD, "", 0, FOREVER, Fault::Status(status));
        assert_eq!(store.stat("/d/h").await.unwrap_err(), errno);
        // No failure reads as an empty directory.
        server.fail(Method::GET, "list-type", 0, FOREVER, Fault::Status(status));
        assert_eq!(store.list("/").await.unwrap_err(), errno);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_costs_its_time_and_nobody_elses() {
    let server = FakeS3::default();
    server.put("slow", pattern(300_000));
    server.put("good", "1");
    let store = Arc::new(mounted(&server));
    let file = store.open("/slow").await.unwrap();
    server.fail(Method::GET, "/b/slow", 0, FOREVER, Fault::Hang);
    server.fail(Method::PUT, "/b/slow", 0, FOREVER, Fault::Hang);
    let begin = Instant::now();
    let hung = tokio::spawn(async move {
        let mut buf = [0; 10];
        let read = file.read_at(&mut buf, 0).await;
        file.setattr(&SetAttr { size: Some(0), ..SetAttr::default() }).await.unwrap();
        (read, file.flush().await)
    });
    assert_eq!(store.read("/good").await.unwrap(), b"1");
    assert!(!hung.is_finished());
    assert_eq!(hung.await.unwrap(), (Err(Errno::ETIMEDOUT), Err(Errno::ETIMEDOUT)));
    assert!(begin.elapsed() < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_go_in_parts_and_come_back_by_ranges() {
    let server = FakeS3::default();
    let store = mounted(&server);
    let data = pattern(20 << 20);
    store.write("/big", &data).await.unwrap();
    assert_eq!(server.get("big").unwrap(), data);
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|line| line.contains("partNumber")).count(), 3);
    let file = store.open("/big").await.unwrap();
    server.requests();
    let mut piece = [0; 100];
    file.read_at(&mut piece, 10 << 20).await.unwrap();
    assert_eq!(piece, data[10 << 20..][..100]);
    file.read_at(&mut piece, (10 << 20) + 1000).await.unwrap();
    assert_eq!(server.requests().len(), 1, "the second piece is there");
    assert_eq!(read_all(&*file).await.unwrap(), data);
    let requests = server.requests().len();
    assert!(requests < 16, "{requests} requests for 20 MiB");
    // Still there when it is opened again, as long as the object is the same.
    drop(file);
    store.read("/big").await.unwrap();
    assert!(server.requests().iter().all(|line| line.starts_with("HEAD")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_leaves_the_old_object_and_can_be_repeated() {
    let server = FakeS3::default();
    let store = mounted(&server);
    store.write("/f", b"old").await.unwrap();
    let file = store.open("/f").await.unwrap();
    file.write_at(&pattern(20 << 20), 0).await.unwrap();
    server.fail(Method::PUT, "partNumber=2", 0, 40, Fault::Status(500));
    assert_eq!(file.flush().await, Err(Errno::EIO));
    assert_eq!(server.get("f").unwrap(), "old");
    eventually("unfinished uploads are taken back", || server.uploads() == 0).await;
    drop(file);
    // Those who look here see what was written, and the next sync brings it there.
    assert_eq!(store.stat("/f").await.unwrap().size, 20 << 20);
    while store.fs.sync().await.is_err() {}
    assert_eq!(server.get("f").unwrap(), pattern(20 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grows_is_uploaded_meanwhile_unless_it_is_changed() {
    for change in [None, Some(5), Some(17 << 20)] {
        let server = FakeS3::default();
        let store = mounted(&server);
        store.create("/f").await.unwrap();
        let file = store.open("/f").await.unwrap();
        let mut data = pattern(25 << 20);
        for piece in data.chunks(1_000_000) {
            file.append(piece).await.unwrap();
        }
        assert_eq!(server.get("f").unwrap(), "", "it is there at its close only");
        assert_eq!(server.uploads(), 1);
        if let Some(at) = change {
            for _ in 0..3 {
                file.write_at(b"changed", at).await.unwrap();
            }
            data[at as usize..][..7].copy_from_slice(b"changed");
        }
        file.flush().await.unwrap();
        assert!(server.get("f").unwrap() == data);
        let requests = server.requests();
        let parts = requests.iter().filter(|line| line.contains("partNumber")).count();
        let begun = requests.iter().filter(|line| line.contains("?uploads")).count();
        assert_eq!(begun, if change.is_none() { 1 } else { 2 }, "only the close begins again, {change:?}");
        // Of those of an upload that is given up some may be under way.
        assert!(parts == 4 || change.is_some() && parts > 4, "{parts} parts were sent, {change:?}");
        assert!(file.append(b"end").await.is_ok() && file.flush().await.is_ok());
        drop(file);
        assert!(store.read("/f").await.unwrap().ends_with(b"end"));
        eventually("unfinished uploads are taken back", || server.uploads() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_upload_that_fails_is_done_at_the_close() {
    for (method, part, times) in [(Method::PUT, "partNumber=1", 2), (Method::POST, "?uploads", 3)] {
        let server = FakeS3::default();
        let store = mounted(&server);
        store.create("/f").await.unwrap();
        let file = store.open("/f").await.unwrap();
        server.fail(method, part, 0, times, Fault::Status(500));
        let data = pattern(30 << 20);
        for piece in data.chunks(1_000_000) {
            file.append(piece).await.unwrap();
        }
        let begun = server.requests().iter().filter(|line| line.contains("?uploads")).count();
        assert_eq!(begun, 1, "it is not begun anew with each write");
        file.flush().await.unwrap();
        assert!(server.get("f").unwrap() == data);
        eventually("unfinished uploads are taken back", || server.uploads() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_of_what_is_left_for_the_close_has_its_own_time() {
    let server = FakeS3::default();
    let store = mounted(&server);
    store.create("/f").await.unwrap();
    let file = store.open("/f").await.unwrap();
    file.write_at(&pattern(16 << 20), 0).await.unwrap();
    file.setattr(&SetAttr { size: Some(96 << 20), ..SetAttr::default() }).await.unwrap();
    server.fail(Method::PUT, "partNumber", 0, FOREVER, Fault::Slow(Duration::from_millis(700)));
    file.flush().await.unwrap();
    assert_eq!(server.get("f").unwrap().len(), 96 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_took_is_written_though_it_cannot_be_looked_at() {
    for size in [1000, 20 << 20] {
        let server = FakeS3::default();
        let store = mounted(&server);
        store.write("/f", b"old").await.unwrap();
        let file = store.open("/f").await.unwrap();
        let data = pattern(size);
        file.write_at(&data, 0).await.unwrap();
        server.fail(Method::HEAD, "/b/f", 0, FOREVER, Fault::Status(500));
        file.flush().await.unwrap();
        assert!(server.get("f").unwrap() == data);
        file.append(b"end").await.unwrap();
        file.flush().await.unwrap();
        assert!(server.get("f").unwrap().ends_with(b"end"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_listings_are_whole_and_answer_what_is_in_them() {
    let server = FakeS3::default();
    for n in 0..2500 {
        server.put(&format!("d/{n:04}"), "1");
        server.put(&format!("d/sub{n:04}/x"), "1");
    }
    let store = mounted(&server);
    assert_eq!(store.list("/d").await.unwrap().len(), 5000);
    server.requests();
    assert_eq!(store.stat("/d/1234").await.unwrap().size, 1);
    assert_eq!(store.stat("/d/none").await.unwrap_err(), Errno::ENOENT);
    assert_eq!(server.requests(), [""; 0], "the listing knows");
    server.put("d/other", "1");
    store.write("/d/own", b"1").await.unwrap();
    assert_eq!(store.list("/d").await.unwrap().len(), 5002);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_sees_what_others_wrote() {
    let server = FakeS3::default();
    server.put("f", pattern(1_000_000));
    let store = mounted(&server);
    let old = store.open("/f").await.unwrap();
    let mut piece = [0; 4];
    old.read_at(&mut piece, 0).await.unwrap();
    server.put("f", vec![9; 1_000_000]);
    assert_eq!(store.read("/f").await.unwrap(), vec![9; 1_000_000]);
    assert_eq!(old.read_at(&mut piece, 900_000).await, Err(Errno::ESTALE));
    // Conditional writes: the store itself refuses what would undo it.
    let file = store.open("/f").await.unwrap();
    file.write_at(b"mine", 0).await.unwrap();
    server.put("f", "theirs");
    assert_eq!(file.flush().await, Err(Errno::ESTALE));
    assert_eq!(server.get("f").unwrap(), "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_is_new_for_the_store_too() {
    let server = FakeS3::default();
    let store = mounted(&server);
    assert_eq!(store.stat("/lock").await.unwrap_err(), Errno::ENOENT);
    server.put("lock", "of others");
    assert_eq!(store.create("/lock").await.unwrap_err(), Errno::EEXIST);
}

#[tokio::test(flavor = "multi_thread")]
async fn renames_copy_within_the_store() {
    let server = FakeS3::default();
    let store = mounted(&server);
    store.write("/a", &pattern(100_000)).await.unwrap();
    server.requests();
    store.rename("/a", "/b").await.unwrap();
    let requests = server.requests();
    assert!(requests.iter().all(|line| !line.starts_with("GET /b/a")), "{requests:?}");
    assert_eq!(store.read("/b").await.unwrap(), pattern(100_000));
    assert_eq!(server.get("a"), None);
    server.fail(Method::PUT, "/b/c", 0, FOREVER, Fault::Status(500));
    assert_eq!(store.rename("/b", "/c").await, Err(Errno::EIO));
    assert_eq!(store.read("/b").await.unwrap(), pattern(100_000));
}
