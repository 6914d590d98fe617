//! What may leave a VM, as the client writes it. The sidecar checks it; what can match nothing is refused there.

use agentos_protocol::message::{CredentialSpec, EgressSpec};

/// What may leave the VM: HTTP requests of guests to these origins. Absent: nothing.
///
/// ```no_run
/// # async fn f() -> Result<(), agentos::Error> {
/// use agentos::{AgentOs, AgentOsConfig, EgressPolicy};
/// let api = "https://api.example.com";
/// let egress = EgressPolicy::new([api]).credential(api, "authorization", "Bearer {model-key}");
/// let key = std::env::var("MODEL_KEY").unwrap_or_default();
/// let config = AgentOsConfig::builder().egress(egress).secret("model-key", key).build();
/// let os = AgentOs::create(config).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct EgressPolicy {
    /// Origins that may be asked, such as `https://api.example.com` or `http://localhost:8080`: scheme, host and port. A host
    /// that begins with `*.` has any one label there.
    pub allow: Vec<String>,
    /// Headers that the host adds to requests, and that no guest sees.
    pub credentials: Vec<EgressCredential>,
}

/// A header that the host adds to requests to one origin, in place of one that the guest sent.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct EgressCredential {
    /// To exactly this origin, which `allow` allows: over https, or not beyond networks around this host.
    pub origin: String,
    /// Name of the header.
    pub header: String,
    /// Its value, such as `Bearer {model-key}`: each `{name}` is an entry of
    /// [`secrets`](crate::AgentOsConfig::secrets).
    pub value: String,
}

impl EgressPolicy {
    /// Requests to these origins may leave.
    pub fn new<T: Into<String>>(allow: impl IntoIterator<Item = T>) -> Self {
        EgressPolicy { allow: allow.into_iter().map(Into::into).collect(), credentials: Vec::new() }
    }

    /// Adds a credential.
    #[must_use]
    pub fn credential(
        mut self,
        origin: impl Into<String>,
        header: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.credentials.push(EgressCredential::new(origin, header, value));
        self
    }
}

impl EgressCredential {
    /// A header with this value for this origin.
    pub fn new(origin: impl Into<String>, header: impl Into<String>, value: impl Into<String>) -> Self {
        EgressCredential { origin: origin.into(), header: header.into(), value: value.into() }
    }
}

/// As it is sent.
pub(super) fn spec(policy: EgressPolicy) -> EgressSpec {
    let credential = |EgressCredential { origin, header, value }| CredentialSpec { origin, header, value };
    EgressSpec { allow: policy.allow, credentials: policy.credentials.into_iter().map(credential).collect() }
}
