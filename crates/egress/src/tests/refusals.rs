//! What does not leave.

use std::sync::{Arc, Mutex};

use super::kit::{fetch, get, says, serves, way_out, with_credentials};
use crate::connect::Names;
use crate::tls::Tls;
use crate::{Egress, Limits, Outgoing, Policy, PolicySource, RawRequest};

#[tokio::test]
async fn what_is_not_allowed_is_not_even_looked_up() {
    let (port, mut came) = says("HTTP/1.1 204 No\r\n\r\n").await;
    let egress = way_out(&["https://a.example"], &[]);
    for url in
        [format!("http://127.0.0.1:{port}/"), "https://b.invalid/".to_owned(), "http://a.example".to_owned()]
    {
        let got = fetch(&egress, get(&url)).await;
        assert_eq!(got.failed(), "denied", "{url}: {got:?}");
    }
    let nothing = Egress::new(Arc::new(Policy::nothing()), Limits::default());
    assert_eq!(fetch(&nothing, get("https://a.example/")).await.failed(), "denied");
    assert!(came.try_recv().is_err());
}

/// A way out for a name that is what these look-ups say, one after the other.
fn told(origin: &str, ports: &[u16], answers: &[&[&str]]) -> Egress {
    let source = PolicySource {
        allow: vec![origin.to_owned()],
        loopback_exempt_ports: ports.to_vec(),
        ..PolicySource::default()
    };
    let answers = answers.iter().map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
    let policy = Arc::new(Policy::compile(source).unwrap());
    Egress::over(policy, Limits::default(), Names::Told(Mutex::new(answers)), Tls::default())
}

#[tokio::test]
async fn names_that_lead_where_nobody_may_go_are_blocked() {
    let (port, mut came) = says("HTTP/1.1 204 No\r\n\r\n").await;
    let origin = format!("http://a.example:{port}");
    for ips in [
        &["127.0.0.1"][..],
        &["::1", "127.0.0.1"],
        &["::ffff:127.0.0.1"],
        &["0.0.0.0"],
        &["10.0.0.1", "169.254.169.254"],
        &["fd00:ec2::254"],
    ] {
        let got = fetch(&told(&origin, &[], &[ips]), get(&origin)).await;
        assert_eq!(got.failed(), "blocked_address", "{ips:?} {got:?}");
    }
    let got = fetch(&told(&origin, &[], &[&["127.0.0.1"]]), get(&origin)).await;
    assert!(got.message.contains(&format!("{port} in `loopbackExemptPorts`")), "{}", got.message);
    assert!(came.try_recv().is_err());
}

#[tokio::test]
async fn only_addresses_that_were_checked_are_connected_to() {
    let (port, _came) = says("HTTP/1.1 204 No\r\n\r\n").await;
    let origin = format!("http://a.example:{port}");
    // The others would be tried first, and are not.
    let egress = told(&origin, &[port], &[&["10.0.0.1", "0.0.0.0", "127.0.0.1"], &["10.0.0.1"]]);
    assert_eq!(fetch(&egress, get(&origin)).await.status, 204);
    // Every request looks again: what was found once is good for one connection.
    assert_eq!(fetch(&egress, get(&origin)).await.failed(), "blocked_address");
    assert_eq!(fetch(&egress, get(&origin)).await.failed(), "dns");
}

#[tokio::test]
async fn nobody_there_is_told_and_so_is_a_name_that_is_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let origin = format!("http://127.0.0.1:{port}");
    let got = fetch(&way_out(&[&origin], &[port]), get(&origin)).await;
    assert_eq!(got.failed(), "connect", "{got:?}");
    // RFC 6761: no name below `invalid` exists.
    let got =
        fetch(&way_out(&["http://no-such-name.invalid"], &[]), get("http://no-such-name.invalid/")).await;
    assert_eq!(got.failed(), "dns", "{got:?}");
}

#[tokio::test]
async fn too_many_and_too_much_at_once_are_refused() {
    let (port, mut came) = serves(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let origin = format!("http://127.0.0.1:{port}");
    let limits = Limits { requests: 2, request_bytes: 4096, ..Limits::default() };
    let egress = with_credentials(&[&origin], &[port], &[], limits);
    let start = |body: usize| {
        let (egress, origin) = (Arc::clone(&egress), origin.clone());
        let reader = Arc::new(super::kit::Reader::default());
        let request = RawRequest { method: b"PUT".into(), body: vec![0; body], ..get(&origin) };
        let outgoing = Outgoing::parse(request).unwrap();
        let kept = Arc::clone(&reader);
        (tokio::spawn(async move { egress.run(outgoing, &*kept).await }), reader)
    };
    let (first, reader) = start(4000);
    came.recv().await.unwrap();
    let big = RawRequest { method: b"PUT".into(), body: vec![0; 2000], ..get(&origin) };
    let got = fetch(&egress, big.clone()).await;
    assert_eq!(got.failed(), "busy", "{got:?}");
    let (second, other) = start(0);
    came.recv().await.unwrap();
    assert_eq!(fetch(&egress, get(&origin)).await.failed(), "busy");
    reader.close();
    other.close();
    first.await.unwrap();
    second.await.unwrap();
    let (third, reader) = start(4000);
    came.recv().await.unwrap();
    reader.close();
    third.await.unwrap();
}
