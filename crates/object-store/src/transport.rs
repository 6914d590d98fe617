//! HTTP for the stores: one client for each mount, so that none waits for another's connections. The host configures where it
//! goes; no guest can.

use std::time::Duration;

use opendal::{HttpTransporter, Operator};
use opendal_http_transport_reqwest::ReqwestTransport;
use reqwest::redirect::Policy;

use crate::config::ConfigError;

/// Most time to connect; a request has the time of the mount.
const CONNECT: Duration = Duration::from_secs(10);
/// Redirects of one request.
const REDIRECTS: usize = 5;

/// Gives an operator its transport.
pub(crate) fn install(operator: Operator) -> Result<Operator, ConfigError> {
    // Another part of this process may have chosen one before; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A redirect to another host would take what is written there, or let it answer for the store.
    let same_host = Policy::custom(|attempt| {
        let first = attempt.previous().first().map(reqwest::Url::origin);
        if attempt.previous().len() > REDIRECTS
            || first.is_some_and(|origin| origin != attempt.url().origin())
        {
            attempt.stop()
        } else {
            attempt.follow()
        }
    });
    let client = reqwest::Client::builder()
        .user_agent(concat!("agentos/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .redirect(same_host)
        .build()
        .map_err(|_| ConfigError {
            field: "id".to_owned(),
            reason: "no HTTP client can be made: are there certificates on this host (ca-certificates)?"
                .to_owned(),
        })?;
    Ok(with(operator, ReqwestTransport::new(client)))
}

/// Gives an operator any transport.
pub(crate) fn with(operator: Operator, transport: impl opendal::HttpTransport) -> Operator {
    let context = operator.context().with_http_transport(HttpTransporter::new(transport));
    operator.with_context(context)
}
