//! The way out of a VM: from its configuration to a policy, and from what a guest asks to an answer in its pipe. The permission
//! tree is asked first, then the policy: both must allow.

use std::sync::Arc;
use std::task::{Context, Poll};

use agentos_egress::{
    Answer, Code, CredentialSource, Egress, Failure, Gone, GrantSource, Granted, Limits, Outgoing, Policy,
    PolicySource, RawRequest, Refusal,
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
        None if !secrets.is_empty() => {
            return Err(WireError::invalid_config("secrets", "has no effect without `egress`"));
        }
        // Sessions may have MCP servers there.
        None => Policy::nothing_but(loopback_exempt_ports),
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
        }
    };
    let policy = policy.map_err(|refusal| WireError::invalid_config(refusal.path, refusal.reason))?;
    Ok(WayOut::new(Egress::new(Arc::new(policy), Limits::default())))
}

impl WayOut {
    fn new(egress: Egress) -> Arc<Self> {
        Arc::new(WayOut { egress: Arc::new(egress), runtime: Handle::current() })
    }

    /// Allows one URL and what lies below it to requests that name this grant, until what is returned is dropped.
    pub(crate) fn grant(&self, name: String, source: GrantSource) -> Result<Granted, Refusal> {
        self.egress.grant(name, source)
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

    use agentos_kernel::permissions::{Domain, Guarded, Mode, Permissions, ScopeSource};
    use agentos_kernel::{Cred, KernelConfig};
    use agentos_protocol::message::{CredentialSpec, EgressSpec, Secret};
    use agentos_vfs::Tree;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
        assert_eq!(path_of(VmConfig { loopback_exempt_ports: vec![80], ..none() }), "");
        let twice = VmConfig { loopback_exempt_ports: vec![80, 80], ..none() };
        assert_eq!(path_of(twice), "loopbackExemptPorts[1]");
        assert_eq!(path_of(VmConfig { egress: Some(EgressSpec::default()), ..none() }), "egress.allow");
        assert_eq!(path_of(VmConfig { egress: Some(allow()), secrets: key(), ..none() }), "secrets.key");
    }

    async fn kernel(network: Option<ScopeSource>) -> Arc<Kernel> {
        let permissions = network.map(|scope| {
            let tree = Permissions::compile([(Domain::Network, scope)]).unwrap();
            Guarded { tree: Arc::new(tree), ..Guarded::default() }
        });
        let root = Tree::new();
        Kernel::new(KernelConfig {
            root: Arc::new(root),
            limits: agentos_kernel::Limits::default(),
            hostname: "h".into(),
            cred: Cred::root(),
            env: Vec::new(),
            permissions,
            tools: None,
            observer: None,
        })
        .await
        .unwrap()
    }

    /// A way out to a server that says `answer` and then waits for the end of the connection, of which it tells.
    async fn way_out(answer: &'static str) -> (Arc<WayOut>, String, tokio::sync::mpsc::Receiver<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, told) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let n = stream.read(&mut head).await.unwrap();
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = tell.send(String::from_utf8_lossy(&head[..n]).into_owned()).await;
                let _ = stream.read(&mut head).await;
                let _ = tell.send("closed".to_owned()).await;
            }
        });
        let origin = format!("http://127.0.0.1:{port}");
        let credential =
            CredentialSpec { origin: origin.clone(), header: "x-key".into(), value: "{key}".into() };
        let mut config = VmConfig {
            egress: Some(EgressSpec { allow: vec![origin.clone()], credentials: vec![credential] }),
            secrets: BTreeMap::from([("key".to_owned(), Secret::from("hunter2".to_owned()))]),
            loopback_exempt_ports: vec![port],
            ..VmConfig::default()
        };
        (take(&mut config).unwrap(), origin, told)
    }

    fn ask(way_out: &WayOut, kernel: &Arc<Kernel>, url: &str) -> Arc<Description> {
        let (reader, writer) = kernel.new_pipe(0).unwrap();
        let (method, url) = (b"GET".to_vec(), url.as_bytes().to_vec());
        way_out.fetch(kernel, HttpRequest { method, url, ..HttpRequest::default() }, writer);
        reader
    }

    /// Reads once.
    async fn read(reader: &Description) -> Vec<u8> {
        let FileKind::PipeReader(pipe) = reader.kind() else { panic!("it is the read end") };
        let mut buf = vec![0; 64 << 10];
        let n = std::future::poll_fn(|cx| pipe.poll_read(cx, &mut buf)).await.unwrap();
        buf[..n].to_vec()
    }

    async fn all(reader: Arc<Description>) -> String {
        let mut bytes = Vec::new();
        loop {
            match read(&reader).await {
                more if more.is_empty() => return String::from_utf8_lossy(&bytes).into_owned(),
                more => bytes.extend(more),
            }
        }
    }

    #[tokio::test]
    async fn answers_come_through_the_pipe_and_leave_none_behind() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        let (way_out, origin, mut told) = way_out(answer).await;
        let kernel = kernel(None).await;
        for way_out in [Arc::clone(&way_out), way_out.for_fork()] {
            let got = all(ask(&way_out, &kernel, &origin)).await;
            assert!(got.contains("\"status\":200") && got.contains("Dhi") && got.ends_with('Z'), "{got:?}");
            assert!(told.recv().await.unwrap().contains("\r\nx-key: hunter2\r\n"));
            assert_eq!(told.recv().await.unwrap(), "closed");
        }
        let got = all(ask(&way_out, &kernel, "https://b.example")).await;
        assert!(got.contains("\"denied\"") && !got.contains("hunter2"), "{got:?}");
        let got = all(ask(&way_out, &kernel, "nonsense")).await;
        assert!(got.contains("\"bad_request\""), "{got:?}");
        assert_eq!(kernel.pipe_count(), 0);
    }

    #[tokio::test]
    async fn whoever_drops_the_pipe_gives_the_request_up() {
        let (way_out, origin, mut told) = way_out("HTTP/1.1 200 OK\r\n\r\nbegin").await;
        let kernel = kernel(None).await;
        let reader = ask(&way_out, &kernel, &origin);
        assert!(!read(&reader).await.is_empty());
        told.recv().await.unwrap();
        drop(reader);
        assert_eq!(told.recv().await.unwrap(), "closed");
        while kernel.pipe_count() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_tree_is_asked_before_the_policy() {
        let (way_out, origin, mut told) = way_out("").await;
        let kernel = kernel(Some(ScopeSource::Mode(Mode::Deny))).await;
        let got = all(ask(&way_out, &kernel, &origin)).await;
        assert!(got.contains("permissions: `network` denies fetch on tcp://127.0.0.1:"), "{got:?}");
        let got = all(ask(&way_out, &kernel, "https://b.example")).await;
        assert!(got.contains("denies fetch on tcp://b.example:443"), "{got:?}");
        assert!(told.try_recv().is_err());
    }
}
