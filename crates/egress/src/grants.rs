//! What the host allows beyond the policy, for a time: one URL and what lies below it, with headers that no guest sees. A request
//! says by name under which grant it goes, so that two for the same URL stay apart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agentos_abi::http::GRANT_HEADER;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Semaphore;
use url::Url;
use zeroize::Zeroizing;

use crate::policy::{may_have_secrets, refuse};
use crate::request::is_of_the_connection;
use crate::{Code, Egress, Failure, Origin, Outgoing, Policy, Refusal};

/// Grants of a machine.
const GRANTS: usize = 512;
/// Requests at once under one grant.
const REQUESTS: usize = 64;
/// Headers of a grant.
const HEADERS: usize = 64;
/// Bytes of the headers of a grant.
const HEADER_BYTES: usize = 32 << 10;

/// A grant as it is asked for.
pub struct GrantSource {
    /// What may be asked, and what lies below its path.
    pub url: String,
    /// Headers that the host adds, in place of what the guest sent under their names.
    pub headers: Vec<(String, Zeroizing<String>)>,
}

impl std::fmt::Debug for GrantSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("GrantSource").field("headers", &names).finish_non_exhaustive()
    }
}

/// A grant that holds.
pub(crate) struct Grant {
    origin: Origin,
    path: String,
    headers: Vec<(HeaderName, Zeroizing<Vec<u8>>)>,
    /// Places for requests. Closed, it does not hold any more.
    places: Semaphore,
    /// Without a place for anybody: who waits here hears of its end.
    end: Semaphore,
}

/// The grants of a machine.
#[derive(Default)]
pub(crate) struct Grants(Mutex<HashMap<String, Arc<Grant>>>);

/// A grant that was given. Dropped, it is taken back, and what is under way under it ends.
#[must_use = "it is taken back when it is dropped"]
pub struct Granted {
    egress: Arc<Egress>,
    name: String,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Granted").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let gone = self.egress.grants.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        if let Some(grant) = gone {
            grant.places.close();
            grant.end.close();
        }
    }
}

impl Egress {
    /// Allows one URL and what lies below it to requests that name this grant, until what is returned is dropped.
    ///
    /// # Errors
    /// What of it cannot be: `url`, or `headers[n]`.
    pub fn grant(self: &Arc<Self>, name: String, source: GrantSource) -> Result<Granted, Refusal> {
        let grant = Grant::of(&self.policy, source)?;
        let mut all = self.grants.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= GRANTS {
            return refuse(
                "url",
                format!("{GRANTS} servers of sessions are the most; end sessions that have some"),
            );
        }
        if all.contains_key(&name) {
            return refuse("url", "there is a grant of this name");
        }
        all.insert(name.clone(), Arc::new(grant));
        Ok(Granted { egress: Arc::clone(self), name })
    }
}

impl Grants {
    /// The grant under which a request goes, if it says one.
    pub(crate) fn of(&self, outgoing: &Outgoing) -> Result<Option<Arc<Grant>>, Failure> {
        let Some(name) = &outgoing.grant else { return Ok(None) };
        let denied = |why: String| Failure::new(Code::Denied, why);
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let grant = found.ok_or_else(|| denied(over()))?;
        if !grant.covers(&outgoing.origin, &outgoing.target) {
            let Grant { origin, path, .. } = &*grant;
            return Err(denied(format!("the grant is for {origin}{path} and what lies below it only")));
        }
        Ok(Some(grant))
    }
}

/// What a request hears whose grant was taken back.
fn over() -> String {
    "the grant does not hold any more: the session that it was for is over".to_owned()
}

impl Grant {
    fn of(policy: &Policy, source: GrantSource) -> Result<Grant, Refusal> {
        let url = Url::parse(&source.url);
        let Some(origin) = url.as_ref().ok().and_then(Origin::of) else {
            return refuse("url", "is not http:// or https:// with a host");
        };
        let Ok(url) = url else { return refuse("url", "is none") };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("url", "has a user, which every guest would see; use a header");
        }
        if url.fragment().is_some() {
            return refuse("url", "has a fragment, which no server gets");
        }
        policy.is_reachable(&origin).map_err(|reason| Refusal { path: "url".to_owned(), reason })?;
        if source.headers.len() > HEADERS {
            return refuse("headers", format!("{HEADERS} are the most"));
        }
        if !source.headers.is_empty() && !may_have_secrets(&origin) {
            return refuse("headers", "secrets would cross the internet in the clear; use https");
        }
        let (mut headers, mut bytes) = (Vec::new(), 0);
        for (n, (name, value)) in source.headers.into_iter().enumerate() {
            let at = || format!("headers[{n}]");
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
                return refuse(at(), "its name is no name of a header");
            };
            if is_of_the_connection(&name) || is_of_the_protocol(&name) {
                return refuse(at(), format!("`{name}` is about the connection, and not yours to say"));
            }
            if HeaderValue::from_bytes(value.as_bytes()).is_err() {
                return refuse(at(), format!("the value of `{name}` has bytes that no header can have"));
            }
            if headers.iter().any(|(known, _)| *known == name) {
                return refuse(at(), format!("`{name}` is there twice"));
            }
            bytes += name.as_str().len() + value.len();
            if bytes > HEADER_BYTES {
                return refuse("headers", format!("they have more than {HEADER_BYTES} bytes"));
            }
            headers.push((name, Zeroizing::new(value.as_bytes().to_vec())));
        }
        let path = url.path().to_owned();
        Ok(Grant { origin, path, headers, places: Semaphore::new(REQUESTS), end: Semaphore::new(0) })
    }

    fn covers(&self, origin: &Origin, target: &str) -> bool {
        let path = target.split('?').next().unwrap_or_default();
        if *origin != self.origin {
            return false;
        }
        if path == self.path {
            return true;
        }
        let base = self.path.strip_suffix('/').unwrap_or(&self.path);
        path.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).is_some_and(stays_below)
    }

    /// A place among its requests, as long as it holds.
    pub(crate) fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Failure> {
        self.places.try_acquire().map_err(|error| match error {
            tokio::sync::TryAcquireError::Closed => Failure::new(Code::Denied, over()),
            tokio::sync::TryAcquireError::NoPermits => Failure::new(
                Code::Busy,
                format!("{REQUESTS} requests to this server are under way; wait for some to end"),
            ),
        })
    }

    /// Waits until it does not hold any more.
    pub(crate) async fn ended(&self) {
        let _never = self.end.acquire().await;
    }

    /// Puts its headers in, in place of the guest's.
    pub(crate) fn add(&self, all: &mut HeaderMap, of_guest: &mut HeaderMap) {
        for (name, value) in &self.headers {
            let Ok(mut value) = HeaderValue::from_bytes(value) else { continue };
            value.set_sensitive(true);
            of_guest.remove(name);
            all.insert(name.clone(), value);
        }
    }
}

/// Headers with which the transport of MCP says what is asked.
fn is_of_the_protocol(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == GRANT_HEADER
        || matches!(
            name,
            "accept" | "content-type" | "last-event-id" | "mcp-protocol-version" | "mcp-session-id"
        )
}

/// Whether no server can take a path for one that leads out: dots and separators are not written in another way, nor is the
/// percent sign, which some decode twice; and no segment is one of dots once the parameters behind a `;` are gone.
fn stays_below(rest: &str) -> bool {
    let rest = rest.to_ascii_lowercase();
    let hidden = ["%25", "%2e", "%2f", "%3b", "%5c"].iter().any(|code| rest.contains(code));
    let leads_out = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    !hidden && !rest.split('/').any(leads_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, RawRequest};

    fn source(url: &str, headers: &[(&str, &str)]) -> GrantSource {
        let headers =
            headers.iter().map(|(n, v)| ((*n).to_owned(), Zeroizing::new((*v).to_owned()))).collect();
        GrantSource { url: url.to_owned(), headers }
    }

    fn egress(ports: Vec<u16>) -> Arc<Egress> {
        Arc::new(Egress::new(Arc::new(Policy::nothing_but(ports).unwrap()), Limits::default()))
    }

    fn asked(egress: &Egress, grant: &str, url: &str) -> Result<bool, Code> {
        let headers = vec![(GRANT_HEADER.as_bytes().to_vec(), grant.as_bytes().to_vec())];
        let raw = RawRequest { method: b"POST".to_vec(), url: url.into(), headers, ..RawRequest::default() };
        let outgoing = Outgoing::parse(raw).map_err(|failure| failure.code)?;
        egress.grants.of(&outgoing).map(|grant| grant.is_some()).map_err(|failure| failure.code)
    }

    #[test]
    fn what_cannot_be_granted_is_refused_with_its_path() {
        let egress = egress(vec![8080]);
        let long = "x".repeat(HEADER_BYTES);
        for (url, headers, path) in [
            ("nonsense", &[][..], "url"),
            ("ftp://a.example/", &[], "url"),
            ("https://u:p@a.example/", &[], "url"),
            ("https://a.example/#x", &[], "url"),
            ("http://127.0.0.1:80/mcp", &[], "url"),
            ("http://localhost/mcp", &[], "url"),
            ("http://0.0.0.0:8080/mcp", &[], "url"),
            ("http://a.example/", &[("authorization", "x")], "headers"),
            ("https://a.example/", &[("a", "x"), ("b c", "x")], "headers[1]"),
            ("https://a.example/", &[("host", "x")], "headers[0]"),
            ("https://a.example/", &[("Mcp-Session-Id", "x")], "headers[0]"),
            ("https://a.example/", &[(GRANT_HEADER, "x")], "headers[0]"),
            ("https://a.example/", &[("a", "x\r\n")], "headers[0]"),
            ("https://a.example/", &[("a", "x"), ("A", "y")], "headers[1]"),
            ("https://a.example/", &[("a", &long)], "headers"),
        ] {
            let refusal = egress.grant("g".to_owned(), source(url, headers)).unwrap_err();
            assert_eq!(refusal.path, path, "{url} {headers:?}: {refusal}");
            assert!(!refusal.reason.contains(&long));
        }
        let refused = egress.grant("g".to_owned(), source("http://localhost/", &[])).unwrap_err();
        assert!(refused.reason.contains("loopbackExemptPorts"), "{refused}");
        for url in ["https://a.example/", "http://10.0.0.7/mcp", "http://localhost:8080/mcp"] {
            drop(egress.grant("g".to_owned(), source(url, &[("authorization", "x")])).unwrap());
        }
        drop(egress.grant("g".to_owned(), source("http://a.example/", &[])).unwrap());
        assert!(
            !format!("{:?}", source("https://a.example/?key=hunter2", &[("a", "hunter2")]))
                .contains("hunter2")
        );
    }

    #[test]
    fn a_grant_covers_its_path_and_what_is_below_as_long_as_it_holds() {
        let egress = egress(Vec::new());
        let granted = egress.grant("one".to_owned(), source("https://a.example/mcp?x=1", &[])).unwrap();
        for (url, covered) in [
            ("https://a.example/mcp", true),
            ("https://a.example/mcp?x=2", true),
            ("https://a.example/mcp/", true),
            ("https://a.example/mcp/b/c", true),
            ("https://a.example/mcp/../mcp/b", true),
            ("https://a.example/mcp2", false),
            ("https://a.example/", false),
            ("https://a.example/mcp/../b", false),
            ("https://a.example/mcp/%2e%2e/b", false),
            ("https://a.example/mcp/..%2Fb", false),
            ("https://a.example/mcp/..%5cb", false),
            ("https://a.example/mcp/a;b/c", true),
            ("https://a.example/mcp/..;/b", false),
            ("https://a.example/mcp/a/..;x=1/..;/b", false),
            ("https://a.example/mcp/..%3b/b", false),
            ("https://a.example/mcp/%252e%252e/b", false),
            ("https://a.example:444/mcp", false),
            ("http://a.example/mcp", false),
            ("https://b.example/mcp", false),
        ] {
            let expected = if covered { Ok(true) } else { Err(Code::Denied) };
            assert_eq!(asked(&egress, "one", url), expected, "{url}");
        }
        assert_eq!(asked(&egress, "two", "https://a.example/mcp"), Err(Code::Denied));
        assert!(egress.grant("one".to_owned(), source("https://a.example/", &[])).is_err());
        drop(granted);
        assert_eq!(asked(&egress, "one", "https://a.example/mcp"), Err(Code::Denied));
        let all: Vec<Granted> = (0..GRANTS)
            .map(|n| egress.grant(n.to_string(), source("https://a.example/", &[])).unwrap())
            .collect();
        assert!(egress.grant("more".to_owned(), source("https://a.example/", &[])).is_err());
        drop(all);
        drop(egress.grant("more".to_owned(), source("https://a.example/", &[])).unwrap());
    }
}
