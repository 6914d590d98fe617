//! The handshake: who may talk to whom, and what is said when they may not.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use agentos_protocol::mux::{ConnectionLost, HandshakeError, Limits, connect};
use agentos_protocol::version::{Hello, Role};

use crate::{Nobody, soon};

async fn meet(a: Hello, b: Hello) -> (Option<HandshakeError>, Option<HandshakeError>) {
    let (x, y) = UnixStream::pair().unwrap();
    let (a, b) = soon(async {
        tokio::join!(
            connect(x, a, Arc::new(Nobody), Limits::default()),
            connect(y, b, Arc::new(Nobody), Limits::default())
        )
    })
    .await;
    (a.err(), b.err())
}

#[tokio::test]
async fn another_minor_is_welcome() {
    let newer =
        Hello { protocol_minor: 77, features: vec!["time-travel".into()], ..Hello::new(Role::Sidecar) };
    let (a, b) = meet(Hello::new(Role::Client), newer).await;
    assert!(a.is_none() && b.is_none());
}

#[tokio::test]
async fn another_major_says_which_side_to_upgrade() {
    let newer = Hello { protocol_major: 2, package_version: "9.1.0".into(), ..Hello::new(Role::Sidecar) };
    let (client, sidecar) = meet(Hello::new(Role::Client), newer).await;
    for error in [client.unwrap(), sidecar.unwrap()] {
        let HandshakeError::Version(mismatch) = &error else { panic!("{error:?}") };
        assert_eq!(mismatch.upgrade, Role::Client);
        let text = error.to_string();
        let minor = agentos_protocol::version::PROTOCOL_MINOR;
        let (ours, theirs) = (format!("1.{minor}"), format!("2.{minor}"));
        for part in ["9.1.0", env!("CARGO_PKG_VERSION"), &ours, &theirs, "upgrade the client"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[tokio::test]
async fn two_clients_do_not_talk() {
    let (a, _) = meet(Hello::new(Role::Client), Hello::new(Role::Client)).await;
    assert!(matches!(a, Some(HandshakeError::SameRole(Role::Client))));
}

#[tokio::test]
async fn silence_and_garbage_end_the_handshake() {
    let (x, _silent) = UnixStream::pair().unwrap();
    let limits = Limits { handshake: Duration::from_millis(50), ..Limits::default() };
    let error = connect(x, Hello::new(Role::Client), Arc::new(Nobody), limits).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Timeout(_)));

    let (x, mut y) = UnixStream::pair().unwrap();
    y.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    let error =
        soon(connect(x, Hello::new(Role::Client), Arc::new(Nobody), Limits::default())).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Lost(ConnectionLost::Protocol { .. })), "{error:?}");

    let (x, y) = UnixStream::pair().unwrap();
    drop(y);
    let error =
        soon(connect(x, Hello::new(Role::Client), Arc::new(Nobody), Limits::default())).await.unwrap_err();
    assert!(matches!(error, HandshakeError::Lost(ConnectionLost::Closed)), "{error:?}");
}
