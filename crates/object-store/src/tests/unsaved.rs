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
