//! A server that speaks as much S3 as is needed, in this process, counts requests and fails when told to. It checks no
//! signatures; the external tests have a server that does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Operator};
use parking_lot::Mutex;
use serde_json::json;

use crate::config::ObjectStore;
use crate::transport;

/// How a request fails.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// With this status.
    Status(u16),
    /// Never answers.
    Hang,
    /// Answers rightly, after this time.
    Slow(Duration),
    /// The connection is closed at once.
    Closed,
    /// The body is shorter than it says, as of a connection that is cut.
    Cut,
}

struct Rule {
    method: Method,
    part: &'static str,
    skip: usize,
    times: usize,
    fault: Fault,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, (Bytes, String)>,
    uploads: HashMap<String, BTreeMap<u32, Bytes>>,
    rules: Vec<Rule>,
    requests: Vec<String>,
    next: u64,
}

#[derive(Clone, Default)]
pub(super) struct FakeS3(Arc<Mutex<Inner>>);

impl FakeS3 {
    /// An operator that speaks with it.
    pub(super) fn operator(&self) -> Operator {
        let config =
            json!({"bucket": "b", "endpoint": "http://fake", "accessKeyId": "id", "secretAccessKey": "s"});
        let store = ObjectStore::new("s3", &config).unwrap();
        transport::with(store.operator, self.clone())
    }

    /// After `skip` of them, `times` requests of this method whose address contains `part` fail.
    pub(super) fn fail(&self, method: Method, part: &'static str, skip: usize, times: usize, fault: Fault) {
        self.0.lock().rules.push(Rule { method, part, skip, times, fault });
    }

    pub(super) fn put(&self, key: &str, data: impl Into<Bytes>) {
        let inner = &mut *self.0.lock();
        inner.next += 1;
        inner.objects.insert(key.to_owned(), (data.into(), format!("\"{}\"", inner.next)));
    }

    pub(super) fn get(&self, key: &str) -> Option<Bytes> {
        self.0.lock().objects.get(key).map(|(data, _)| data.clone())
    }

    /// Requests since the last call.
    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().requests)
    }

    pub(super) fn uploads(&self) -> usize {
        self.0.lock().uploads.len()
    }

    fn answer(&self, request: &Request<Buffer>) -> (StatusCode, Vec<(&'static str, String)>, Bytes) {
        let inner = &mut *self.0.lock();
        let uri = request.uri();
        let key = decode(uri.path().strip_prefix("/b").unwrap().trim_start_matches('/'));
        let query: HashMap<String, String> = uri
            .query()
            .unwrap_or("")
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_owned(), decode(value)))
            .collect();
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let body = request.body().to_bytes();
        let status = |code: u16| (StatusCode::from_u16(code).unwrap(), Vec::new(), Bytes::new());
        let xml = |text: String| {
            (StatusCode::OK, vec![("content-type", "application/xml".into())], Bytes::from(text))
        };
        let etag = inner.objects.get(&key).map(|(_, etag)| etag.clone());
        if header("if-match").is_some_and(|wanted| etag.as_deref() != Some(wanted))
            || header("if-none-match") == Some("*") && etag.is_some()
        {
            return status(412);
        }
        inner.next += 1;
        let fresh = format!("\"{}\"", inner.next);
        match (request.method().as_str(), query.get("uploadId")) {
            ("POST", None) if query.contains_key("uploads") => {
                inner.uploads.insert(fresh.clone(), BTreeMap::new());
                let id = fresh.replace('"', "");
                inner.uploads.insert(id.clone(), BTreeMap::new());
                inner.uploads.remove(&fresh);
                xml(format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ))
            }
            ("PUT", Some(id)) => {
                let Some(parts) = inner.uploads.get_mut(id) else { return status(404) };
                parts.insert(query["partNumber"].parse().unwrap(), body);
                (StatusCode::OK, vec![("etag", fresh)], Bytes::new())
            }
            ("POST", Some(id)) => {
                let Some(parts) = inner.uploads.remove(id) else { return status(404) };
                let data: Vec<u8> = parts.into_values().flatten().collect();
                inner.objects.insert(key, (data.into(), fresh.clone()));
                xml(format!(
                    "<CompleteMultipartUploadResult><ETag>{fresh}</ETag></CompleteMultipartUploadResult>"
                ))
            }
            ("DELETE", Some(id)) => {
                inner.uploads.remove(id);
                status(204)
            }
            ("PUT", None) => {
                let source = header("x-amz-copy-source")
                    .map(|from| decode(from.trim_start_matches('/').strip_prefix("b/").unwrap()));
                let data = match source {
                    None => body,
                    Some(from) => match inner.objects.get(&from) {
                        Some((data, _)) => data.clone(),
                        None => return status(404),
                    },
                };
                inner.objects.insert(key, (data, fresh.clone()));
                if header("x-amz-copy-source").is_some() {
                    return xml(format!("<CopyObjectResult><ETag>{fresh}</ETag></CopyObjectResult>"));
                }
                (StatusCode::OK, vec![("etag", fresh)], Bytes::new())
            }
            ("DELETE", None) => {
                inner.objects.remove(&key);
                status(204)
            }
            ("GET", None) if query.contains_key("list-type") => xml(list(&inner.objects, &query)),
            ("GET" | "HEAD", None) => {
                let Some((data, etag)) = inner.objects.get(&key) else { return status(404) };
                let headers = vec![
                    ("etag", etag.clone()),
                    ("last-modified", "Fri, 27 Nov 2026 08:00:00 GMT".to_owned()),
                ];
                object(request, header("range"), data, headers)
            }
            _ => status(501),
        }
    }
}

fn object(
    request: &Request<Buffer>,
    range: Option<&str>,
    data: &Bytes,
    mut headers: Vec<(&'static str, String)>,
) -> (StatusCode, Vec<(&'static str, String)>, Bytes) {
    if request.method() == Method::HEAD {
        headers.push(("content-length", data.len().to_string()));
        return (StatusCode::OK, headers, Bytes::new());
    }
    let Some((from, to)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        headers.push(("content-length", data.len().to_string()));
        return (StatusCode::OK, headers, data.clone());
    };
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let to = (to + 1).min(data.len());
    headers.push(("content-length", (to - from).to_string()));
    headers.push(("content-range", format!("bytes {from}-{}/{}", to - 1, data.len())));
    (StatusCode::PARTIAL_CONTENT, headers, data.slice(from..to))
}

fn list(objects: &BTreeMap<String, (Bytes, String)>, query: &HashMap<String, String>) -> String {
    let prefix = query.get("prefix").map_or("", String::as_str);
    let after = query.get("continuation-token").or(query.get("start-after")).cloned().unwrap_or_default();
    let most = query.get("max-keys").and_then(|most| most.parse().ok()).unwrap_or(1000);
    let (mut names, mut more) = (BTreeMap::new(), None);
    for (key, (data, etag)) in objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        let folder = query.contains_key("delimiter").then(|| key[prefix.len()..].find('/')).flatten();
        let name = folder.map_or(key.as_str(), |end| &key[..=prefix.len() + end]);
        if name <= after.as_str() || names.contains_key(name) {
            continue;
        }
        if names.len() == most {
            more = names.last_key_value().map(|(name, _): (&&str, _)| (*name).to_owned());
            break;
        }
        names.insert(name, folder.is_none().then_some((data.len(), etag)));
    }
    let entries: String = names
        .iter()
        .map(|(name, object)| match object {
            Some((size, etag)) => format!(
                "<Contents><Key>{name}</Key><LastModified>2026-11-27T08:00:00.000Z</LastModified><ETag>{}</ETag>\
                 <Size>{size}</Size></Contents>",
                etag.replace('"', "&quot;")
            ),
            None => format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
        })
        .collect();
    let next = more.as_ref().map(|next| format!("<NextContinuationToken>{next}</NextContinuationToken>"));
    format!(
        "<ListBucketResult><IsTruncated>{}</IsTruncated>{}{entries}</ListBucketResult>",
        more.is_some(),
        next.unwrap_or_default()
    )
}

pub(super) fn decode(text: &str) -> String {
    let (mut bytes, mut out) = (text.bytes(), Vec::new());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
        out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
    }
    String::from_utf8(out).unwrap()
}

impl HttpTransport for FakeS3 {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let fault = {
            let inner = &mut *self.0.lock();
            let line = format!("{} {}", request.method(), request.uri().path_and_query().unwrap());
            let hit = inner.rules.iter_mut().find(|rule| {
                rule.method == request.method() && line.contains(rule.part) && rule.skip + rule.times > 0
            });
            inner.requests.push(line);
            hit.and_then(|rule| {
                if rule.skip > 0 {
                    rule.skip -= 1;
                    return None;
                }
                rule.times -= 1;
                Some(rule.fault.clone())
            })
        };
        let (status, headers, mut body) = match fault {
            Some(Fault::Hang) => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                (StatusCode::OK, Vec::new(), Bytes::new())
            }
            Some(Fault::Slow(time)) => {
                tokio::time::sleep(time).await;
                self.answer(&request)
            }
            Some(Fault::Closed) => {
                return Err(Error::new(ErrorKind::Unexpected, "connection closed").with_temporary(true));
            }
            Some(Fault::Status(code)) => (StatusCode::from_u16(code).unwrap(), Vec::new(), Bytes::new()),
            Some(Fault::Cut) | None => self.answer(&request),
        };
        let length = headers.iter().find(|(name, _)| *name == "content-length");
        let length =
            length.and_then(|(_, length)| length.parse().ok()).filter(|_| request.method() != Method::HEAD);
        if matches!(fault, Some(Fault::Cut)) {
            body.truncate(body.len() / 2);
        }
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let stream = futures_util::stream::iter([Ok(Buffer::from(body))]);
        Ok(response.body(HttpBody::new(stream, length)).unwrap())
    }
}
