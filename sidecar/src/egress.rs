//! The way out of a VM: from its configuration to a policy, and from what a guest asks to an answer in its pipe. The permission
//! tree is asked first, then the policy: both must allow.

use std::sync::Arc;
use std::task::{Context, Poll};

use agentos_egress::{
    Answer, Code, CredentialSource, Egress, Failure, Gone, Limits, Outgoing, Policy, PolicySource, RawRequest,
};
use agentos_executor::{HttpRequest, Outbound};
use agentos_kernel::permissions::Denial;
use agentos_kernel::{Description, FileKind, Kernel, PipeWriter};
use agentos_protocol::WireError;
use agentos_protocol::message::VmConfig;
use tokio::runtime::Handle;

/// The way out of a VM.
pub(crate) struct WayOut {
    egress: Arc<Egress>,
    runtime: Handle,
}

/// Takes out of a configuration what is about its way out: nobody else is to have its secrets.
pub(crate) fn take(config: &mut VmConfig) -> Result<Arc<WayOut>, WireError> {
    let secrets = std::mem::take(&mut config.secrets);
    let loopback_exempt_ports = std::mem::take(&mut config.loopback_exempt_ports);
    let policy = match config.egress.take() {
        None if !secrets.is_empty() => return idle("secrets"),
        None if !loopback_exempt_ports.is_empty() => return idle("loopbackExemptPorts"),
        None => Policy::nothing(),
        Some(spec) => {
            let credentials = spec.credentials.into_iter().map(|credential| CredentialSource {
                origin: credential.origin,
                header: credential.header,
                value: credential.value,
            });
            let secrets = secrets.into_iter().map(|(name, secret)| (name, secret.into_inner().into()));
            let source = PolicySource {
                allow: spec.allow,
                credentials: credentials.collect(),
                secrets: secrets.collect(),
                loopback_exempt_ports,
            };
            Policy::compile(source)
                .map_err(|refusal| WireError::invalid_config(refusal.path, refusal.reason))?
        }
    };
    Ok(WayOut::new(Egress::new(Arc::new(policy), Limits::default())))
}

fn idle<T>(field: &str) -> Result<T, WireError> {
    Err(WireError::invalid_config(field, "has no effect without `egress`"))
}

impl WayOut {
    fn new(egress: Egress) -> Arc<Self> {
        Arc::new(WayOut { egress: Arc::new(egress), runtime: Handle::current() })
    }

    /// The same for a fork, which may have as much under way as its parent.
    pub(crate) fn for_fork(&self) -> Arc<Self> {
        Self::new(self.egress.for_another())
    }
}

impl Outbound for WayOut {
    fn fetch(&self, kernel: &Arc<Kernel>, request: HttpRequest, answer: Arc<Description>) {
        let HttpRequest { method, url, headers, body, head_timeout_ms } = request;
        let outgoing = Outgoing::parse(RawRequest { method, url, headers, body, head_timeout_ms });
        let permitted = outgoing.and_then(|outgoing| {
            let resource = outgoing.origin().resource();
            kernel.may_fetch(resource.as_bytes()).map_err(|denial| told(&denial))?;
            Ok(outgoing)
        });
        let egress = Arc::clone(&self.egress);
        self.runtime.spawn(async move {
            let answer = Pipe(answer);
            match permitted {
                Ok(outgoing) => egress.run(outgoing, &answer).await,
                Err(failure) => Egress::fail(&failure, &answer).await,
            }
        });
    }
}

/// A denial in words for the guest.
fn told(denial: &Denial) -> Failure {
    let denied = crate::permissions::denial(denial);
    let by = denied.rule.map_or_else(|| "the default of `network`".to_owned(), |rule| format!("`{rule}`"));
    let grant = denied.grant_that_would_allow.unwrap_or_default();
    let message = format!("permissions: {by} denies fetch on {}; {grant} would allow it", denied.resource);
    Failure::new(Code::Denied, message)
}

/// The write end of the pipe that the guest reads.
struct Pipe(Arc<Description>);

impl Pipe {
    fn writer(&self) -> Option<&PipeWriter> {
        match self.0.kind() {
            FileKind::PipeWriter(writer) => Some(writer),
            _ => None,
        }
    }
}

impl Answer for Pipe {
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Gone>> {
        match self.writer() {
            Some(writer) => writer.poll_write(cx, bytes).map_err(|_| Gone),
            None => Poll::Ready(Err(Gone)),
        }
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.writer().map_or(Poll::Ready(()), |writer| writer.poll_broken(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use agentos_protocol::message::{CredentialSpec, EgressSpec, Secret};

    use super::*;

    #[tokio::test]
    async fn refusals_name_the_field_and_nothing_is_left_in_the_configuration() {
        let path_of = |config: VmConfig| {
            let mut config = config;
            match take(&mut config) {
                Ok(_) => {
                    assert_eq!(config, VmConfig::default());
                    String::new()
                }
                Err(error) => error.details.unwrap().config.unwrap().path,
            }
        };
        let allow = || EgressSpec { allow: vec!["https://a.example".into()], credentials: Vec::new() };
        let key = || BTreeMap::from([("key".to_owned(), Secret::from("hunter2".to_owned()))]);
        let credential = CredentialSpec {
            origin: "https://a.example".into(),
            header: "authorization".into(),
            value: "Bearer {key}".into(),
        };
        let none = VmConfig::default;
        assert_eq!(path_of(none()), "");
        assert_eq!(path_of(VmConfig { egress: Some(allow()), ..none() }), "");
        let with = EgressSpec { credentials: vec![credential], ..allow() };
        assert_eq!(path_of(VmConfig { egress: Some(with), secrets: key(), ..none() }), "");
        assert_eq!(path_of(VmConfig { secrets: key(), ..none() }), "secrets");
        assert_eq!(path_of(VmConfig { loopback_exempt_ports: vec![80], ..none() }), "loopbackExemptPorts");
        assert_eq!(path_of(VmConfig { egress: Some(EgressSpec::default()), ..none() }), "egress.allow");
        assert_eq!(path_of(VmConfig { egress: Some(allow()), secrets: key(), ..none() }), "secrets.key");
    }
}
