//! Requests to a WebDAV server: addresses, what a status means, bodies that are bounded.

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use opendal::raw::oio::ReadStream;
use opendal::{Buffer, Error, ErrorKind, HttpBody, OperationContext, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::multistatus::{self, Part};
use crate::errors::Refusal;
use crate::staging::waiting;
use agentos_vfs::Errno;

/// Everything but what never means anything else (RFC 3986, 2.3), and the separator.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// The longest listing: some 100,000 names.
const LISTING: usize = 64 << 20;
/// The longest answer of several parts that is none.
const ANSWER: usize = 1 << 20;
/// From this length on, other tasks do not wait until an answer is read.
const LONG: usize = 64 << 10;
/// What is read of a body that nobody needs, so that its connection can be used again.
const DRAIN: usize = 64 << 10;

/// Where the server is, and who asks.
#[derive(Clone, Default)]
pub(super) struct Server {
    /// `http://host/base`, without a `/` at its end.
    endpoint: String,
    /// `/folder`, or nothing.
    root: String,
    /// `/base/folder` as names, not as written in an address.
    path: String,
    authorization: Option<HeaderValue>,
}

/// The path of an address, or of what is a path already, as names; without the `/` at its end. `Err` has what can be read
/// of one that is no text.
fn path_of(address: &str) -> std::result::Result<String, String> {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => address,
    };
    let path = percent_decode_str(path.trim_end_matches('/'));
    path.clone().decode_utf8().map(Into::into).map_err(|_| path.decode_utf8_lossy().into_owned())
}

impl Server {
    /// `None` for an address whose path is no text.
    pub(super) fn new(endpoint: &str, root: &str, authorization: Option<HeaderValue>) -> Option<Self> {
        let root = if root.is_empty() { String::new() } else { format!("/{root}") };
        let path = path_of(endpoint).ok()? + &root;
        Some(Server { endpoint: endpoint.to_owned(), root, path, authorization })
    }

    /// The address of a path below the root.
    pub(super) fn address(&self, path: &str) -> String {
        let path = path.trim_start_matches('/');
        format!(
            "{}{}/{}",
            self.endpoint,
            utf8_percent_encode(&self.root, ESCAPED),
            utf8_percent_encode(path, ESCAPED)
        )
    }

    /// The path below the root that the server means; `None` for one that is no text. An error for what is elsewhere.
    pub(super) fn below(&self, href: &str) -> Result<Option<String>> {
        let path = path_of(href);
        let (Ok(shown) | Err(shown)) = &path;
        let rest = shown.strip_prefix(&self.path).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let rest = rest
            .ok_or_else(|| Error::new(ErrorKind::Unexpected, "the server tells of what is elsewhere"))?
            .trim_start_matches('/');
        Ok(path.is_ok().then(|| rest.to_owned()))
    }

    pub(super) async fn send(
        &self,
        context: &OperationContext,
        method: &str,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: Buffer,
    ) -> Result<Response<HttpBody>> {
        let mut request = Request::builder().method(method).uri(self.address(path));
        // Also that there is none: servers answer 411 otherwise.
        if !["GET", "HEAD"].contains(&method) {
            request = request.header(CONTENT_LENGTH, body.len());
        }
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request =
            request.body(body).map_err(|_| Error::new(ErrorKind::ConfigInvalid, "the request cannot be"))?;
        context.http_transport().fetch(request).await
    }

    /// Sends what has no answer but its status.
    pub(super) async fn ask(
        &self,
        context: &OperationContext,
        method: &str,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: Buffer,
    ) -> Result<(StatusCode, http::HeaderMap)> {
        let (head, mut body) = self.send(context, method, path, headers, body).await?.into_parts();
        if head.status != StatusCode::MULTI_STATUS {
            drain(&mut body).await;
            return Ok((head.status, head.headers));
        }
        // Of several resources: the first that failed says why.
        let failed = |part: &Part| part.status.filter(|status| *status >= 300);
        let status = parts(&mut body, ANSWER).await?.iter().find_map(failed);
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        Ok((status.unwrap_or(StatusCode::OK), head.headers))
    }

    /// What the server tells of a path, and with `names` of what is in it.
    pub(super) async fn properties(
        &self,
        context: &OperationContext,
        path: &str,
        names: bool,
    ) -> Result<Vec<Part>> {
        let headers = [
            (HeaderName::from_static("depth"), if names { "1" } else { "0" }),
            (http::header::CONTENT_TYPE, "application/xml; charset=utf-8"),
        ];
        let body = Buffer::from(multistatus::PROPERTIES.as_bytes());
        let (head, mut body) = self.send(context, "PROPFIND", path, &headers, body).await?.into_parts();
        if head.status == StatusCode::MULTI_STATUS {
            return parts(&mut body, if names { LISTING } else { ANSWER }).await;
        }
        drain(&mut body).await;
        Err(refused(head.status))
    }
}

/// Reads up to `most` bytes. `false` when there is more.
async fn read(body: &mut HttpBody, most: usize, into: &mut Vec<u8>) -> Result<bool> {
    loop {
        let piece = body.read().await?;
        if piece.is_empty() {
            return Ok(true);
        }
        if into.len() + piece.len() > most {
            return Ok(false);
        }
        for bytes in piece {
            into.extend_from_slice(&bytes);
        }
    }
}

pub(super) async fn drain(body: &mut HttpBody) {
    // What fails here costs a connection only.
    let _ = read(body, DRAIN, &mut Vec::new()).await;
}

async fn parts(body: &mut HttpBody, most: usize) -> Result<Vec<Part>> {
    let mut xml = Vec::new();
    if !read(body, most, &mut xml).await? {
        return Err(
            Error::new(ErrorKind::Unexpected, "the answer is too long").set_source(Refusal(Errno::EOVERFLOW))
        );
    }
    let parse = || std::str::from_utf8(&xml).ok().and_then(multistatus::parse);
    let parts = waiting(xml.len() > LONG, parse);
    parts.ok_or_else(|| Error::new(ErrorKind::Unexpected, "the answer is none of WebDAV"))
}

/// What a status means that is no success (RFC 9110, RFC 4918).
pub(super) fn refused(status: StatusCode) -> Error {
    let error = |kind| Error::new(kind, "the server refused").with_context("status", status.as_u16());
    let other = |errno| error(ErrorKind::Unexpected).set_source(Refusal(errno));
    match status.as_u16() {
        401 | 403 => error(ErrorKind::PermissionDenied),
        // 409: the directory it should be in is not there.
        404 | 409 | 410 => error(ErrorKind::NotFound),
        405 | 501 => error(ErrorKind::Unsupported),
        412 => error(ErrorKind::ConditionNotMatch),
        413 => other(Errno::EFBIG),
        414 => other(Errno::ENAMETOOLONG),
        416 => error(ErrorKind::RangeNotSatisfied),
        // Somebody holds a lock on it.
        423 => other(Errno::EBUSY),
        507 => other(Errno::ENOSPC),
        408 | 429 | 500 | 502..=504 => error(ErrorKind::Unexpected).set_temporary(),
        _ => error(ErrorKind::Unexpected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::errno;

    #[test]
    fn addresses_have_names_escaped_and_are_found_again() {
        let server = Server::new("http://h:1/b%20c", "r ü", None).unwrap();
        for (path, address) in [
            ("/", "http://h:1/b%20c/r%20%C3%BC/"),
            ("d/", "http://h:1/b%20c/r%20%C3%BC/d/"),
            ("a b%20?#;&+", "http://h:1/b%20c/r%20%C3%BC/a%20b%2520%3F%23%3B%26%2B"),
        ] {
            assert_eq!(server.address(path), address);
            let name = path.trim_matches('/');
            for href in [address, &address["http://h:1".len()..]] {
                assert_eq!(server.below(href).unwrap().as_deref(), Some(name));
            }
        }
        for other in ["/b%20c/r%20%C3%BCx", "/b%20c", "", "/other/f", "/other/%FF"] {
            assert!(server.below(other).is_err(), "{other}");
        }
        assert_eq!(server.below("/b%20c/r%20%C3%BC/%FF").unwrap(), None);
        let whole = Server::new("http://h", "", None).unwrap();
        assert_eq!(whole.address("/"), "http://h/");
        assert_eq!(whole.below("http://h").unwrap().as_deref(), Some(""));
        assert_eq!(whole.below("/a%2Fb/").unwrap().as_deref(), Some("a/b"));
    }

    #[test]
    fn statuses_are_numbers_of_posix() {
        for (status, expected, passes) in [
            (401, Errno::EACCES, false),
            (403, Errno::EACCES, false),
            (404, Errno::ENOENT, false),
            (409, Errno::ENOENT, false),
            (405, Errno::ENOTSUP, false),
            (412, Errno::ESTALE, false),
            (413, Errno::EFBIG, false),
            (423, Errno::EBUSY, false),
            (507, Errno::ENOSPC, false),
            (302, Errno::EIO, false),
            (400, Errno::EIO, false),
            (503, Errno::EIO, true),
        ] {
            let error = refused(StatusCode::from_u16(status).unwrap());
            assert_eq!((errno(&error), error.is_temporary()), (expected, passes), "{status}");
        }
    }
}
