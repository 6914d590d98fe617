//! What may leave: origins, patterns of them, and which addresses they may lead to. What can match nothing is refused with its
//! path, so that no rule is there in vain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderName;
use url::Url;
use zeroize::Zeroizing;

use crate::address::{Class, class};
use crate::request::is_of_the_connection;
use crate::{Code, Credentials, Failure, Fixed, Host, Origin, Scheme};

/// Most origins of a policy.
const ORIGINS: usize = 256;
/// Most credentials of a policy.
const CREDENTIALS: usize = 64;
/// Most loopback ports of a policy.
const PORTS: usize = 1024;
/// Most bytes of the value of a credential.
const VALUE: usize = 16 << 10;

/// A policy as it is configured.
#[derive(Default)]
pub struct PolicySource {
    /// `scheme://host[:port]`, where the host may begin with `*.` for one label.
    pub allow: Vec<String>,
    /// Headers that the host adds.
    pub credentials: Vec<CredentialSource>,
    /// What their values may name.
    pub secrets: BTreeMap<String, Zeroizing<String>>,
    /// Ports of this host's loopback that may be reached.
    pub loopback_exempt_ports: Vec<u16>,
}

/// A header that the host adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialSource {
    /// To requests to exactly this origin.
    pub origin: String,
    /// Its name.
    pub header: String,
    /// Its value, where `{name}` stands for a secret.
    pub value: String,
}

/// Something in a policy that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Refusal {
    /// Where, such as `egress.allow[0]`.
    pub path: String,
    /// Why, and what to do.
    pub reason: String,
}

pub(crate) fn refuse<T>(path: impl Into<String>, reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { path: path.into(), reason: reason.into() })
}

/// An allowed origin, or many that differ in the first label.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// One more label stands before the host.
    any_label: bool,
    origin: Origin,
}

/// What may leave a machine.
pub struct Policy {
    patterns: Vec<Pattern>,
    exempt: BTreeSet<u16>,
    credentials: Arc<dyn Credentials>,
}

impl Policy {
    /// Nothing may leave.
    #[must_use]
    pub fn nothing() -> Self {
        Policy { patterns: Vec::new(), exempt: BTreeSet::new(), credentials: Arc::new(Fixed::default()) }
    }

    /// Nothing may leave but what is granted; that may reach these ports of this host's loopback.
    ///
    /// # Errors
    /// A port is there twice, or there are too many.
    pub fn nothing_but(loopback_exempt_ports: Vec<u16>) -> Result<Self, Refusal> {
        let exempt = exempt(&loopback_exempt_ports)?;
        Ok(Policy { exempt, ..Policy::nothing() })
    }

    /// A policy that holds together.
    ///
    /// # Errors
    /// What of it cannot be, or would have no effect.
    pub fn compile(source: PolicySource) -> Result<Self, Refusal> {
        if source.allow.is_empty() {
            return refuse("egress.allow", "allows nothing; name an origin, or leave `egress` out");
        }
        if source.allow.len() > ORIGINS {
            return refuse("egress.allow", format!("{ORIGINS} origins are the most"));
        }
        let exempt = exempt(&source.loopback_exempt_ports)?;
        let mut patterns: Vec<Pattern> = Vec::new();
        for (n, text) in source.allow.iter().enumerate() {
            let path = format!("egress.allow[{n}]");
            let pattern = Pattern::parse(text).map_err(|reason| Refusal { path: path.clone(), reason })?;
            if let Some(first) = patterns.iter().position(|known| *known == pattern) {
                return refuse(path, format!("is the same as egress.allow[{first}]"));
            }
            is_reachable(&pattern.origin, &exempt).map_err(|reason| Refusal { path, reason })?;
            patterns.push(pattern);
        }
        let credentials = Arc::new(credentials(&patterns, &source)?);
        Ok(Policy { patterns, exempt, credentials })
    }

    /// The same with credentials from elsewhere.
    #[must_use]
    pub fn with_credentials(self, credentials: Arc<dyn Credentials>) -> Self {
        Policy { credentials, ..self }
    }

    pub(crate) fn credentials(&self) -> &dyn Credentials {
        &*self.credentials
    }

    /// Fails with what would allow it, unless the origin may be asked.
    ///
    /// # Errors
    /// [`Code::Denied`].
    pub fn check(&self, origin: &Origin) -> Result<(), Failure> {
        if self.patterns.iter().any(|pattern| pattern.matches(origin)) {
            return Ok(());
        }
        let why = match self.patterns.is_empty() {
            true => "nothing may leave this machine: its configuration has no `egress`".to_owned(),
            false => format!("no origin of `egress.allow` is {origin}"),
        };
        Err(Failure::new(Code::Denied, format!("{why}; \"{origin}\" in `egress.allow` would allow it")))
    }

    /// Fails with why nothing at this origin could be reached, allowed or not.
    pub(crate) fn is_reachable(&self, origin: &Origin) -> Result<(), String> {
        is_reachable(origin, &self.exempt)
    }

    /// Whether an allowed origin may lead to this address.
    #[must_use]
    pub fn may_reach(&self, origin: &Origin, ip: IpAddr) -> bool {
        match class(ip) {
            Class::Public => true,
            Class::Loopback => self.exempt.contains(&origin.port),
            // It was allowed by its very address: no pattern has one.
            Class::Near => origin.host == Host::Ip(ip),
            Class::Never => false,
        }
    }

    /// What would have to be there for addresses that may not be reached.
    pub(crate) fn blocked(&self, origin: &Origin, addresses: &[IpAddr]) -> Failure {
        let first = addresses.first().copied();
        let help = match first.map(class) {
            Some(Class::Loopback) => {
                format!("the loopback of the host; {} in `loopbackExemptPorts` would allow it", origin.port)
            }
            Some(Class::Near) => {
                "not of the public internet; an origin that names the address itself would allow it"
                    .to_owned()
            }
            _ => "no address of a host".to_owned(),
        };
        let address = first.map(|ip| ip.to_string()).unwrap_or_default();
        Failure::new(Code::BlockedAddress, format!("{} is {address}, {help}", origin.host))
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("patterns", &self.patterns)
            .field("exempt", &self.exempt)
            .finish_non_exhaustive()
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, String> {
        const SHAPE: &str = "write scheme://host or scheme://host:port, with http or https";
        let (scheme, rest) = text.split_once("://").ok_or(SHAPE)?;
        if !matches!(scheme, "http" | "https") {
            return Err(format!("{scheme:?} is not http or https; {SHAPE}"));
        }
        // What a URL parser would forgive, and what is no part of an origin.
        if rest.contains(|c: char| c.is_whitespace() || c.is_control() || "/\\?#@%".contains(c)) {
            return Err(format!("an origin has no path, no user and no spaces; {SHAPE}"));
        }
        let (any_label, host) = match rest.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, rest),
        };
        if host.contains('*') {
            return Err(
                "`*` stands for the first label of a host only, as in https://*.example.com".to_owned()
            );
        }
        let url = Url::parse(&format!("{scheme}://{host}")).map_err(|error| format!("{error}; {SHAPE}"))?;
        let origin = Origin::of(&url).ok_or(SHAPE)?;
        if origin.port == 0 {
            return Err("nobody can be reached on port 0".to_owned());
        }
        if any_label && matches!(origin.host, Host::Ip(_)) {
            return Err("an address has no labels for `*`".to_owned());
        }
        Ok(Pattern { any_label, origin })
    }

    fn matches(&self, origin: &Origin) -> bool {
        if !self.any_label {
            return self.origin == *origin;
        }
        let (Host::Name(suffix), Host::Name(name)) = (&self.origin.host, &origin.host) else { return false };
        self.origin.scheme == origin.scheme
            && self.origin.port == origin.port
            && name.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == suffix)
    }
}

/// The ports of this host's loopback that may be reached.
fn exempt(ports: &[u16]) -> Result<BTreeSet<u16>, Refusal> {
    for (n, port) in ports.iter().enumerate() {
        let path = format!("loopbackExemptPorts[{n}]");
        if n >= PORTS {
            return refuse(path, format!("{PORTS} ports are the most"));
        }
        if ports.get(..n).is_some_and(|before| before.contains(port)) {
            return refuse(path, "is there twice");
        }
    }
    Ok(ports.iter().copied().collect())
}

/// Fails with why nothing at an origin could be reached.
fn is_reachable(Origin { host, port, .. }: &Origin, exempt: &BTreeSet<u16>) -> Result<(), String> {
    let class = match host {
        Host::Ip(ip) => class(*ip),
        Host::Name(_) if host.is_localhost() => Class::Loopback,
        Host::Name(_) => Class::Public,
    };
    match class {
        _ if *port == 0 => Err("nobody can be reached on port 0".to_owned()),
        Class::Loopback if !exempt.contains(port) => {
            Err(format!("is the loopback of the host, and `loopbackExemptPorts` has no {port}"))
        }
        Class::Never => Err("is no address of a host".to_owned()),
        _ => Ok(()),
    }
}

/// Whether what nobody is to see may be sent there: over TLS, or within this host and the networks around it.
pub(crate) fn may_have_secrets(origin: &Origin) -> bool {
    let stays_near = match &origin.host {
        Host::Ip(ip) => class(*ip) != Class::Public,
        Host::Name(_) => origin.host.is_localhost(),
    };
    origin.scheme == Scheme::Https || stays_near
}

fn credentials(patterns: &[Pattern], source: &PolicySource) -> Result<Fixed, Refusal> {
    if source.credentials.len() > CREDENTIALS {
        return refuse("egress.credentials", format!("{CREDENTIALS} are the most"));
    }
    let mut fixed = Fixed::default();
    let mut used = BTreeSet::new();
    for (n, credential) in source.credentials.iter().enumerate() {
        let at = |field: &str| format!("egress.credentials[{n}].{field}");
        let Pattern { any_label, origin } =
            Pattern::parse(&credential.origin).map_err(|reason| Refusal { path: at("origin"), reason })?;
        if any_label {
            return refuse(at("origin"), "a credential goes to one origin; write one for each");
        }
        if !patterns.iter().any(|pattern| pattern.matches(&origin)) {
            return refuse(at("origin"), format!("`egress.allow` does not allow {origin}"));
        }
        if !may_have_secrets(&origin) {
            return refuse(at("origin"), "a secret would cross the internet in the clear; use https");
        }
        let Ok(name) = HeaderName::from_bytes(credential.header.as_bytes()) else {
            return refuse(at("header"), "is no name of a header");
        };
        if is_of_the_connection(&name) {
            return refuse(
                at("header"),
                format!("`{name}` is about the connection, which egress makes itself"),
            );
        }
        let value = fill(&credential.value, &source.secrets, &mut used)
            .map_err(|reason| Refusal { path: at("value"), reason })?;
        if value.len() > VALUE {
            return refuse(at("value"), format!("is longer than {VALUE} bytes with its secrets"));
        }
        if http::HeaderValue::from_bytes(value.as_bytes()).is_err() {
            return refuse(at("value"), "has, with its secrets, bytes that no header can have");
        }
        let value = Zeroizing::new(value.as_bytes().to_vec());
        if !fixed.add(origin, name, value) {
            return refuse(at("header"), "another credential gives the same header to this origin");
        }
    }
    match source.secrets.keys().find(|name| !used.contains(*name)) {
        Some(name) => refuse(format!("secrets.{name}"), "no credential of `egress` names it"),
        None => Ok(fixed),
    }
}

/// A template with its secrets.
fn fill(
    template: &str,
    secrets: &BTreeMap<String, Zeroizing<String>>,
    used: &mut BTreeSet<String>,
) -> Result<Zeroizing<String>, String> {
    let mut whole = Zeroizing::new(String::new());
    let mut rest = template;
    let mut names = 0;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').ok_or("a `{` has no `}`")?;
        let secret = secrets.get(name).ok_or_else(|| format!("`secrets` has no {name:?}"))?;
        if secret.is_empty() {
            return Err(format!("the secret {name:?} is empty"));
        }
        // At once as long as it gets: a string that grows leaves copies behind.
        let mut longer =
            Zeroizing::new(String::with_capacity(whole.len() + before.len() + secret.len() + behind.len()));
        longer.push_str(&whole);
        longer.push_str(before);
        longer.push_str(secret);
        whole = longer;
        used.insert(name.to_owned());
        names += 1;
        rest = behind;
    }
    if names == 0 {
        return Err(
            "names no secret, as in \"Bearer {key}\"; what is none, a guest can send itself".to_owned()
        );
    }
    let mut longer = Zeroizing::new(String::with_capacity(whole.len() + rest.len()));
    longer.push_str(&whole);
    longer.push_str(rest);
    Ok(longer)
}
