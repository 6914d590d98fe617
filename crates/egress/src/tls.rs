//! TLS as a client, trusting the certificates that this host trusts.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use tokio::sync::OnceCell;

use crate::{Code, Failure};

/// The certificates of the host, read once for all machines.
static TRUSTED: OnceCell<Arc<dyn ServerCertVerifier>> = OnceCell::const_new();

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn failed(error: &rustls::Error) -> Failure {
    let help = "are there certificates on the host (ca-certificates)?";
    Failure::new(Code::Tls, format!("no TLS client can be made: {error}; {help}"))
}

/// A client of its own for each machine: what one remembers of servers, no other can be recognised by.
#[derive(Default)]
pub(crate) struct Tls(OnceCell<Arc<ClientConfig>>);

impl Tls {
    /// The client, made when it is first needed.
    pub(crate) async fn client(&self) -> Result<Arc<ClientConfig>, Failure> {
        let client = self.0.get_or_try_init(|| async {
            let trusted = TRUSTED.get_or_try_init(|| async {
                // It reads files.
                let made =
                    tokio::task::spawn_blocking(|| rustls_platform_verifier::Verifier::new(provider()));
                let made = made.await.map_err(|error| Failure::new(Code::Tls, error.to_string()))?;
                made.map(|verifier| Arc::new(verifier) as Arc<dyn ServerCertVerifier>).map_err(|e| failed(&e))
            });
            client(Arc::clone(trusted.await?))
        });
        client.await.map(Arc::clone)
    }

    /// A client that trusts who this says.
    #[cfg(test)]
    pub(crate) fn trusting(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Tls(OnceCell::new_with(client(verifier).ok()))
    }
}

fn client(verifier: Arc<dyn ServerCertVerifier>) -> Result<Arc<ClientConfig>, Failure> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| failed(&e))?;
    // Not dangerous: the verifier is the platform's own.
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut client = builder.with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(client))
}
