//! As much of Google Drive (v3) as its client asks for, in this process, and the promises that hold over it. The real service was
//! never asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use opendal::{Buffer, HttpBody, HttpTransport};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::fake_s3::decode;
use super::*;
use crate::config::ObjectStore;
use crate::transport;

const FOLDER: &str = "application/vnd.google-apps.folder";

struct Item {
    name: String,
    parent: String,
    /// `None`: a folder.
    data: Option<Bytes>,
    changes: u64,
}

#[derive(Clone, Default)]
struct FakeDrive(Arc<Mutex<(BTreeMap<String, Item>, u64)>>);

fn show(id: &str, item: &Item) -> Value {
    let time = format!("2026-11-27T08:00:{:02}.{:03}Z", item.changes / 1000, item.changes % 1000);
    let mut shown = json!({"id": id, "name": item.name, "parents": [item.parent], "modifiedTime": time});
    match &item.data {
        None => shown["mimeType"] = FOLDER.into(),
        Some(data) => {
            shown["mimeType"] = "application/octet-stream".into();
            shown["size"] = data.len().to_string().into();
        }
    }
    shown
}

/// What stands between quotes behind or before a word of a query.
fn quoted(text: &str) -> &str {
    text.trim().trim_matches(|c| "()".contains(c)).split('\'').nth(1).unwrap_or("")
}

impl FakeDrive {
    fn answer(&self, request: &Request<Buffer>) -> Option<(StatusCode, Bytes)> {
        let (items, changes) = &mut *self.0.lock();
        *changes += 1;
        let now = *changes;
        let uri = request.uri();
        if uri.host() == Some("oauth2.googleapis.com") {
            assert!(uri.query()?.contains("refresh_token=r") && uri.query()?.contains("client_secret=s"));
            return Some((
                StatusCode::OK,
                json!({"access_token": "t", "expires_in": 3600}).to_string().into(),
            ));
        }
        if request.headers().get("authorization")? != "Bearer t" {
            return Some((StatusCode::UNAUTHORIZED, Bytes::new()));
        }
        let query: BTreeMap<_, _> =
            uri.query().unwrap_or("").split('&').filter_map(|p| p.split_once('=')).collect();
        let id = uri.path().rsplit("/files").next()?.trim_start_matches('/').to_owned();
        let body = request.body().to_bytes();
        let ok = |value: Value| Some((StatusCode::OK, value.to_string().into()));
        match (request.method().as_str(), id.as_str()) {
            ("GET", "") => {
                let wanted = decode(&decode(query.get("q")?));
                let parts: Vec<_> = wanted.split(" and ").flat_map(|part| part.split(" or ")).collect();
                let parents: Vec<_> = parts
                    .iter()
                    .filter(|part| part.contains("in parents"))
                    .map(|part| quoted(part))
                    .collect();
                let name = wanted.split(" and ").find(|part| part.starts_with("name = "));
                let name = name.map(|part| part[8..part.len() - 1].replace("\\'", "'"));
                let folder = wanted.contains("mimeType");
                let found = items.iter().filter(|(_, item)| {
                    parents.contains(&item.parent.as_str())
                        && name.as_ref().is_none_or(|name| *name == item.name)
                        && (!folder || item.data.is_none())
                });
                ok(json!({"files": found.map(|(id, item)| show(id, item)).collect::<Vec<_>>()}))
            }
            ("GET", id) => {
                let item = items.get(id)?;
                if !query.contains_key("alt") {
                    return ok(show(id, item));
                }
                let data = item.data.clone()?;
                let range = request.headers().get("range").and_then(|range| range.to_str().ok());
                let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
                let Some((from, to)) = range else { return Some((StatusCode::OK, data)) };
                let from = from.parse().ok()?;
                let to = to.parse().map_or(data.len(), |to: usize| (to + 1).min(data.len()));
                Some((StatusCode::PARTIAL_CONTENT, data.slice(from..to)))
            }
            ("POST", id) => {
                let (metadata, data) = if let Some(from) = id.strip_suffix("/copy") {
                    (body, items.get(from)?.data.clone())
                } else if query.contains_key("uploadType") {
                    let text = String::from_utf8_lossy(&body).into_owned();
                    let boundary = text.lines().next()?.to_owned();
                    let parts: Vec<_> = text.split(&boundary).collect();
                    let content =
                        |part: &str| Some(part.split_once("\r\n\r\n")?.1.trim_end_matches("\r\n").to_owned());
                    (content(parts.get(1)?)?.into(), Some(content(parts.get(2)?)?.into()))
                } else {
                    (body, None)
                };
                let metadata: Value = serde_json::from_slice(&metadata).ok()?;
                let (name, parent) =
                    (metadata["name"].as_str()?.to_owned(), metadata["parents"][0].as_str()?.to_owned());
                let id = format!("id{now}");
                let item = Item { name, parent, data, changes: now };
                let shown = show(&id, &item);
                items.insert(id, item);
                ok(shown)
            }
            ("PATCH", id) => {
                if query.contains_key("uploadType") {
                    let item = items.get_mut(id)?;
                    (item.data, item.changes) = (Some(body), now);
                    return ok(show(id, item));
                }
                let change: Value = serde_json::from_slice(&body).ok()?;
                if change["trashed"] == true {
                    items.remove(id)?;
                    return ok(json!({"id": id}));
                }
                let item = items.get_mut(id)?;
                (item.name, item.parent) =
                    (change["name"].as_str()?.into(), change["addParents"][0].as_str()?.into());
                ok(show(id, item))
            }
            _ => None,
        }
    }
}

impl HttpTransport for FakeDrive {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let (status, body) = self.answer(&request).unwrap_or((StatusCode::NOT_FOUND, Bytes::new()));
        let length = (request.method() != Method::HEAD).then_some(body.len() as u64);
        let response = Response::builder().status(status).header("content-length", body.len());
        let stream = futures_util::stream::iter([Ok(Buffer::from(body))]);
        Ok(response.body(HttpBody::new(stream, length)).unwrap())
    }
}

fn drive(server: &FakeDrive, config: &Value) -> Mounted {
    let store = ObjectStore::new("google_drive", config).unwrap();
    let traits = store.traits;
    over(transport::with(store.operator, server.clone()), traits, options())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drive_is_a_folder() {
    let server = FakeDrive::default();
    let store = drive(&server, &json!({"accessToken": "t", "root": "sub"}));
    store.mkdir("/d").await.unwrap();
    assert_eq!(store.mkdir("/d").await.unwrap_err(), Errno::EEXIST);
    store.write("/d/it's", b"one").await.unwrap();
    assert_eq!(store.create("/d/it's").await.unwrap_err(), Errno::EEXIST);
    assert_eq!(store.read("/d/it's").await.unwrap(), b"one");
    let file = store.open("/d/it's").await.unwrap();
    file.append(b" two").await.unwrap();
    file.flush().await.unwrap();
    store.rename("/d/it's", "/b").await.unwrap();
    store.write("/c", b"other").await.unwrap();
    store.rename("/b", "/c").await.unwrap();
    assert_eq!(store.read("/c").await.unwrap(), b"one two");
    store.write("/d/in", b"1").await.unwrap();
    assert_eq!(store.rmdir("/d").await, Err(Errno::ENOTEMPTY));
    store.rename("/d", "/e").await.unwrap();
    assert_eq!(store.read("/e/in").await.unwrap(), b"1");
    store.unlink("/e/in").await.unwrap();
    store.rmdir("/e").await.unwrap();
    assert_eq!(store.list("/").await.unwrap(), ["c"]);
    assert_eq!(store.stat("/none").await.unwrap_err(), Errno::ENOENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_refreshed_and_wrong_ones_refused() {
    let server = FakeDrive::default();
    let good = drive(&server, &json!({"refreshToken": "r", "clientId": "c", "clientSecret": "s"}));
    good.write("/f", b"1").await.unwrap();
    let wrong = drive(&server, &json!({"accessToken": "wrong"}));
    assert!(matches!(wrong.read("/f").await, Err(Errno::EACCES | Errno::EIO)));
}
