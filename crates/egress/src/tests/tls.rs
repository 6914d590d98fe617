//! TLS: who is trusted, and for which names.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::kit::{fetch, get};
use crate::connect::Names;
use crate::tls::Tls;
use crate::{Egress, Limits, Policy, PolicySource};

const AUTHORITY: &[u8] = include_bytes!("certificate/authority.der");
const LOCALHOST: &[u8] = include_bytes!("certificate/localhost.der");
const KEY: &[u8] = include_bytes!("certificate/localhost.key.der");

async fn server() -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(LOCALHOST)],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(KEY)),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

fn egress(allow: &str, port: u16, authority: &[u8]) -> Egress {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority)).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let source = PolicySource {
        allow: vec![allow.to_owned()],
        loopback_exempt_ports: vec![port],
        ..PolicySource::default()
    };
    let policy = Arc::new(Policy::compile(source).unwrap());
    Egress::over(policy, Limits::default(), Names::default(), Tls::trusting(verifier))
}

#[tokio::test]
async fn only_a_trusted_certificate_of_the_right_name_is_talked_to() {
    let port = server().await;
    for (host, authority, failed) in [
        ("localhost", AUTHORITY, "nothing"),
        ("127.0.0.1", AUTHORITY, "nothing"),
        ("other.localhost", AUTHORITY, "tls"),
        ("localhost", LOCALHOST, "tls"),
    ] {
        let origin = format!("https://{host}:{port}");
        let got = fetch(&egress(&origin, port, authority), get(&origin)).await;
        assert_eq!(got.failed(), failed, "{host}: {got:?}");
        if failed == "nothing" {
            assert_eq!((got.status, &got.body[..]), (200, &b"hi"[..]));
        }
    }
}
