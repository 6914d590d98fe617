//! A request of a guest, checked: nothing in it is trusted, and what is about the connection is not the guest's to say.

use std::time::Duration;

use agentos_abi::http::{BODY_BYTES, GRANT_HEADER, HEAD_BYTES, HEAD_TIMEOUT_MS, HEADERS};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::{Code, Failure, Origin};

/// A request as it came.
#[derive(Clone, Default)]
pub struct RawRequest {
    /// Such as `POST`.
    pub method: Vec<u8>,
    /// Absolute.
    pub url: Vec<u8>,
    /// Names and values.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// All of it.
    pub body: Vec<u8>,
    /// Most milliseconds until the head of the answer is there; 0 is the most.
    pub head_timeout_ms: u32,
}

/// A request that can be sent, if it may.
pub struct Outgoing {
    pub(crate) origin: Origin,
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) head_time: Duration,
    /// The grant under which it goes.
    pub(crate) grant: Option<String>,
}

/// Headers that are about the connection and not about what is asked (RFC 9110, 7.6.1), which is egress's own.
pub(crate) fn is_of_the_connection(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("proxy-")
        || matches!(
            name,
            "connection"
                | "content-length"
                | "expect"
                | "host"
                | "http2-settings"
                | "keep-alive"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        )
}

impl Outgoing {
    /// Checks a request.
    ///
    /// # Errors
    /// [`Code::BadRequest`], [`Code::TooLarge`].
    pub fn parse(raw: RawRequest) -> Result<Self, Failure> {
        let bad = |what: &str| Failure::new(Code::BadRequest, what);
        let large = |what: String| Failure::new(Code::TooLarge, what);
        let fields: usize = raw.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let head = raw.method.len() + raw.url.len() + fields;
        if head > HEAD_BYTES {
            return Err(large(format!(
                "method, URL and headers have {head} bytes; {HEAD_BYTES} are the most"
            )));
        }
        if raw.headers.len() > HEADERS {
            return Err(large(format!("{} headers; {HEADERS} are the most", raw.headers.len())));
        }
        if raw.body.len() > BODY_BYTES {
            return Err(large(format!("the body has {} bytes; {BODY_BYTES} are the most", raw.body.len())));
        }
        let method = Method::from_bytes(&raw.method).map_err(|_| bad("the method is none"))?;
        // A tunnel would carry anything; an echo would show what the host puts in.
        if method == Method::CONNECT || method == Method::TRACE {
            return Err(bad(&format!("{method} is not for guests")));
        }
        let text = std::str::from_utf8(&raw.url).map_err(|_| bad("the URL is not UTF-8"))?;
        let url = Url::parse(text).map_err(|error| bad(&format!("the URL: {error}")))?;
        let origin = Origin::of(&url).ok_or_else(|| bad("the URL is not http:// or https:// with a host"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("the URL has a user; send a header instead"));
        }
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut headers = HeaderMap::with_capacity(raw.headers.len());
        for (name, value) in &raw.headers {
            let shown = || String::from_utf8_lossy(name).chars().take(64).collect::<String>();
            let name = HeaderName::from_bytes(name)
                .map_err(|_| bad(&format!("{:?} is no name of a header", shown())))?;
            let value = HeaderValue::from_bytes(value)
                .map_err(|_| bad(&format!("the value of {name} has bytes that no header can have")))?;
            if !is_of_the_connection(&name) {
                headers.append(name, value);
            }
        }
        // It is for the host: no server sees it.
        let grant =
            headers.remove(GRANT_HEADER).map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
        let head_time = match raw.head_timeout_ms {
            0 => HEAD_TIMEOUT_MS,
            ms => ms.min(HEAD_TIMEOUT_MS),
        };
        Ok(Outgoing {
            origin,
            method,
            target,
            headers,
            body: Bytes::from(raw.body),
            head_time: Duration::from_millis(u64::from(head_time)),
            grant,
        })
    }

    /// Where it goes.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &str, url: &str, headers: &[(&str, &str)]) -> Result<Outgoing, Code> {
        let headers = headers.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        let raw = RawRequest { method: method.into(), url: url.into(), headers, ..RawRequest::default() };
        Outgoing::parse(raw).map_err(|failure| failure.code)
    }

    #[test]
    fn urls_are_read_as_browsers_read_them() {
        for (url, origin, resource, target) in [
            ("https://API.example.com", "https://api.example.com", "tcp://api.example.com:443", "/"),
            ("http://a.b:80/x y?q=1#f", "http://a.b", "tcp://a.b:80", "/x%20y?q=1"),
            ("https://a.b:8443/v1/../v2", "https://a.b:8443", "tcp://a.b:8443", "/v2"),
            ("http://0x7f.1/", "http://127.0.0.1", "tcp://127.0.0.1:80", "/"),
            ("http://2130706433:81", "http://127.0.0.1:81", "tcp://127.0.0.1:81", "/"),
            ("http://[::FFFF:7f00:1]/", "http://[::ffff:127.0.0.1]", "tcp://[::ffff:127.0.0.1]:80", "/"),
            (
                "https://bücher.example/",
                "https://xn--bcher-kva.example",
                "tcp://xn--bcher-kva.example:443",
                "/",
            ),
            ("http:\\\\a.b\\c", "http://a.b", "tcp://a.b:80", "/c"),
        ] {
            let outgoing = parse("GET", url, &[]).unwrap_or_else(|code| panic!("{url}: {code}"));
            assert_eq!(outgoing.origin.to_string(), origin, "{url}");
            assert_eq!(outgoing.origin.resource(), resource, "{url}");
            assert_eq!(outgoing.target, target, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let long = "x".repeat(HEAD_BYTES);
        let many = vec![("a", "b"); HEADERS + 1];
        for (method, url, headers, code) in [
            ("G T", "http://a.b/", &[][..], Code::BadRequest),
            ("", "http://a.b/", &[], Code::BadRequest),
            ("CONNECT", "http://a.b/", &[], Code::BadRequest),
            ("TRACE", "http://a.b/", &[], Code::BadRequest),
            ("GET", "/path", &[], Code::BadRequest),
            ("GET", "ftp://a.b/", &[], Code::BadRequest),
            ("GET", "file:///etc/passwd", &[], Code::BadRequest),
            ("GET", "http://", &[], Code::BadRequest),
            ("GET", "http://u:p@a.b/", &[], Code::BadRequest),
            ("GET", "http://a.b:99999/", &[], Code::BadRequest),
            ("GET", "http://a.b/", &[("a b", "c")], Code::BadRequest),
            ("GET", "http://a.b/", &[("a", "c\r\nhost: d")], Code::BadRequest),
            ("GET", "http://a.b/", &[("a", &long)], Code::TooLarge),
            ("GET", "http://a.b/", &many, Code::TooLarge),
        ] {
            assert_eq!(parse(method, url, headers).map(|_| ()), Err(code), "{method} {url}");
        }
        let body = vec![0; BODY_BYTES + 1];
        let raw =
            RawRequest { method: b"PUT".into(), url: b"http://a.b/".into(), body, ..RawRequest::default() };
        assert_eq!(Outgoing::parse(raw).map(|_| ()).unwrap_err().code, Code::TooLarge);
    }

    #[test]
    fn headers_of_the_connection_are_not_the_guests() {
        let headers = [
            ("Host", "other.example"),
            ("Content-Length", "7"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "upgrade"),
            ("Proxy-Authorization", "x"),
            ("Accept", "a"),
            ("accept", "b"),
        ];
        let outgoing = parse("GET", "http://a.b/", &headers).unwrap_or_else(|code| panic!("{code}"));
        let left: Vec<_> = outgoing.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(left, [("accept", "a"), ("accept", "b")]);
    }
}
