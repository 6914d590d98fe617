//! Files that are closed and not in their store yet.

use std::time::Duration;

use http::Method;

use super::fake_s3::{FakeS3, Fault};
use super::faults::{eventually, mounted};
use super::*;
use crate::mount::{REMEMBERED, Shared};
use crate::node::Node;
use crate::version::Version;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_takes_no_write_of_another_along() {
    let server = FakeS3::default();
    let store = mounted(&server);
    store.write("/f", b"one").await.unwrap();
    let killed = store.open("/f").await.unwrap();
    killed.append(b" more").await.unwrap();
    server.put("f", "theirs");
    server.requests();
    server.fail(Method::PUT, "/b/f", 0, 1, Fault::Slow(Duration::from_millis(300)));
    drop(killed);
    eventually("it is uploaded behind its back", || {
        server.requests().iter().any(|line| line.starts_with("PUT"))
    })
    .await;
    let file = store.open("/f").await.unwrap();
    // Waits for that upload, which fails.
    file.write_at(b"mine", 0).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(file.flush().await, Err(Errno::ESTALE));
    drop(file);
    while store.fs.sync().await.is_err() {}
    assert_eq!(store.read("/f").await.unwrap(), b"theirs");
}

fn shared() -> (Operator, Arc<Shared>) {
    let operator = Operator::new(Memory::default()).unwrap();
    (operator.clone(), Shared::new(operator, PREFIXES, options()))
}

fn node(shared: &Arc<Shared>, path: &str) -> Arc<Node> {
    Node::new(shared, path.into(), Version::default(), 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_tries_what_no_path_leads_to() {
    let (operator, shared) = shared();
    let node = node(&shared, "/f");
    // So that nothing is asked of what is there.
    node.truncate(1).await.unwrap();
    node.truncate(0).await.unwrap();
    node.write(Some(0), b"kept").await.unwrap();
    assert!(shared.keep_unsaved(&node));
    shared.sync().await.unwrap();
    assert_eq!(operator.read("f").await.unwrap().to_vec(), b"kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_wait_as_are_remembered_however_small_they_are() {
    let (_, shared) = shared();
    let first = node(&shared, "/f");
    for n in 0..REMEMBERED {
        let node = if n == 0 { first.clone() } else { node(&shared, &format!("/{n}")) };
        assert!(shared.keep_unsaved(&node));
    }
    assert!(!shared.keep_unsaved(&node(&shared, "/more")));
    assert!(shared.keep_unsaved(&first), "it waits already");
    shared.saved(&first);
    assert!(shared.keep_unsaved(&first));
    shared.close();
    assert!(!shared.keep_unsaved(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_could_not_be_taken_back_are_when_the_store_is_there_again() {
    // By the next sync, or after a moment.
    for (failing, by_sync) in [(3, true), (1, false)] {
        let server = FakeS3::default();
        let store = mounted(&server);
        store.create("/f").await.unwrap();
        let file = store.open("/f").await.unwrap();
        // In one write, and not enough for an upload before the close.
        file.write_at(b"end", (12 << 20) - 3).await.unwrap();
        server.fail(Method::POST, "uploadId", 0, failing, Fault::Status(500));
        server.fail(Method::DELETE, "uploadId", 0, failing, Fault::Status(503));
        assert_eq!(file.flush().await.is_err(), by_sync);
        if by_sync {
            let tried =
                |server: &FakeS3| server.requests().iter().filter(|line| line.starts_with("DELETE")).count();
            let mut deletes = 0;
            while deletes < failing {
                deletes += tried(&server);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(server.uploads(), failing, "they are there still");
            store.fs.sync().await.unwrap();
        }
        assert_eq!(server.get("f").unwrap().len(), 12 << 20);
        eventually("unfinished uploads are taken back", || server.uploads() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_beginning_is_answered_late_is_taken_back() {
    let server = FakeS3::default();
    let store = mounted(&server);
    store.create("/f").await.unwrap();
    let file = store.open("/f").await.unwrap();
    // Longer than the mount waits, and shorter than twice that.
    server.fail(Method::POST, "?uploads", 0, 1, Fault::Slow(Duration::from_millis(2000)));
    for piece in pattern(25 << 20).chunks(1 << 20) {
        file.append(piece).await.unwrap();
    }
    file.flush().await.unwrap();
    assert_eq!(server.get("f").unwrap().len(), 25 << 20);
    let begun = || server.requests().into_iter().any(|line| line.starts_with("DELETE"));
    eventually("it is taken back", begun).await;
    eventually("nothing is left", || server.uploads() == 0).await;
}
