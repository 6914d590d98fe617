//! A WebDAV server in this process, of a kind that is told: what those that are to be had do not show. The external tests
//! have one that others wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use opendal::{Buffer, HttpBody, HttpTransport};
use parking_lot::Mutex;
use serde_json::json;

use super::fake_s3::decode;
use super::faults::eventually;
use super::*;
use crate::config::ObjectStore;
use crate::transport;

/// How the server is.
#[derive(Clone, Copy, Default)]
struct Kind {
    /// It tells whole addresses, not paths.
    addresses: bool,
    /// It sends files whole.
    no_ranges: bool,
    /// It overlooks conditions.
    unconditional: bool,
    /// It tells no entity tags.
    no_tags: bool,
    /// Its tags are weak.
    weak: bool,
    /// What it sends has its tag.
    tagged: bool,
}

#[derive(Default)]
struct Inner {
    kind: Kind,
    /// By path without `/` at the ends; `None` is a directory.
    files: BTreeMap<String, (Option<Bytes>, u64)>,
    next: u64,
    /// The next requests of this method get this answer.
    answers: Vec<(&'static str, u16, String)>,
    /// The next of this many bodies are cut in half, which is what is there then.
    cuts: usize,
    requests: Vec<String>,
}

#[derive(Clone, Default)]
struct FakeDav(Arc<Mutex<Inner>>);

type Answer = (StatusCode, Vec<(&'static str, String)>, Bytes);

fn status(code: u16) -> Answer {
    (StatusCode::from_u16(code).unwrap(), Vec::new(), Bytes::new())
}

fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(above, _)| above)
}

impl Inner {
    fn tag(&self, version: u64) -> String {
        format!("{}\"{version}\"", if self.kind.weak { "W/" } else { "" })
    }

    fn part(&self, path: &str) -> String {
        let (data, version) = &self.files[path];
        let root = if self.kind.addresses { "http://fake/dav" } else { "/dav" };
        let length =
            data.as_ref().map(|data| format!("<d:getcontentlength>{}</d:getcontentlength>", data.len()));
        let kind = if data.is_none() { "<d:collection/>" } else { "" };
        let tag = if self.kind.no_tags { String::new() } else { self.tag(*version).replace('"', "&quot;") };
        format!(
            "<d:response><d:href>{root}/{}</d:href><d:propstat><d:prop><d:resourcetype>{kind}</d:resourcetype>{}\
             <d:getlastmodified>Fri, 27 Nov 2026 08:00:00 GMT</d:getlastmodified><d:getetag>{tag}</d:getetag></d:prop>\
             <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>",
            path.replace(' ', "%20"),
            length.unwrap_or_default()
        )
    }

    fn answer(&mut self, request: &Request<Buffer>) -> Answer {
        let method = request.method().as_str();
        let path = decode(request.uri().path().strip_prefix("/dav").unwrap()).trim_matches('/').to_owned();
        self.requests.push(format!("{method} /{path}"));
        if let Some(at) = self.answers.iter().position(|(of, ..)| *of == method) {
            let (_, code, body) = self.answers.remove(at);
            return (StatusCode::from_u16(code).unwrap(), Vec::new(), body.into());
        }
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
        if header("authorization") != Some("Bearer t") {
            return status(401);
        }
        let there = self.files.get(&path).cloned();
        let tag = there.as_ref().map(|(_, version)| format!("\"{version}\""));
        if !self.kind.unconditional
            && (header("if-match").is_some_and(|wanted| tag.as_deref() != Some(wanted))
                || header("if-none-match") == Some("*") && tag.is_some())
        {
            return status(412);
        }
        let no_parent = !path.is_empty() && !self.files.contains_key(above(&path));
        self.next += 1;
        match (method, there) {
            ("PUT" | "MKCOL", _) if no_parent => status(409),
            ("MKCOL", Some(_)) | ("PUT", Some((None, _))) => status(405),
            ("MKCOL", None) => {
                self.files.insert(path, (None, self.next));
                status(201)
            }
            ("PUT", _) if self.cuts > 0 => {
                self.cuts -= 1;
                let half = request.body().to_bytes().split_to(request.body().len() / 2);
                self.files.insert(path, (Some(half), self.next));
                status(500)
            }
            ("PUT", _) => {
                assert_eq!(header("content-length"), Some(request.body().len().to_string().as_str()));
                self.files.insert(path, (Some(request.body().to_bytes()), self.next));
                status(201)
            }
            (_, None) => status(404),
            ("GET", Some((data, version))) => {
                let data = data.unwrap();
                let mut headers = Vec::new();
                if self.kind.tagged {
                    headers.push(("etag", self.tag(version)));
                }
                let range = header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
                let Some((from, to)) = range.filter(|_| !self.kind.no_ranges) else {
                    return (StatusCode::OK, headers, data);
                };
                let (from, to) = (from.parse().unwrap(), to.parse::<usize>().unwrap() + 1);
                let told = format!("bytes {from}-{}/{}", to - 1, data.len());
                headers.push(("content-range", told));
                (StatusCode::PARTIAL_CONTENT, headers, data.slice(from..to))
            }
            ("PROPFIND", Some(_)) => {
                let inside =
                    |other: &&String| header("depth") == Some("1") && above(other) == path && **other != path;
                let mut parts = self.part(&path);
                parts.extend(self.files.keys().filter(inside).map(|other| self.part(other)));
                let xml = format!("<d:multistatus xmlns:d=\"DAV:\">{parts}</d:multistatus>");
                (StatusCode::MULTI_STATUS, Vec::new(), xml.into())
            }
            ("DELETE", Some(_)) => {
                self.take(&path);
                status(204)
            }
            ("MOVE", Some(_)) => {
                let to = decode(header("destination").unwrap().strip_prefix("http://fake/dav/").unwrap());
                let to = to.trim_matches('/');
                self.take(to);
                for (below, file) in self.take(&path) {
                    self.files.insert(format!("{to}{below}"), file);
                }
                status(201)
            }
            _ => status(501),
        }
    }

    /// A path and all below it, as seen from there.
    fn take(&mut self, path: &str) -> Vec<(String, (Option<Bytes>, u64))> {
        let below = |other: &String| {
            other == path || other.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
        };
        let taken: Vec<_> = self.files.keys().filter(|other| below(other)).cloned().collect();
        taken
            .into_iter()
            .map(|other| (other[path.len()..].to_owned(), self.files.remove(&other).unwrap()))
            .collect()
    }
}

impl HttpTransport for FakeDav {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let (status, headers, body) = self.0.lock().answer(&request);
        if request.method().as_str() == "MOVE" {
            // It is moved, and the answer is on its way.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let length = body.len() as u64;
        let stream = futures_util::stream::iter([Ok(Buffer::from(body))]);
        Ok(response.body(HttpBody::new(stream, Some(length))).unwrap())
    }
}

impl FakeDav {
    fn new(kind: Kind) -> Self {
        let server = FakeDav::default();
        server.0.lock().kind = kind;
        server.0.lock().files.insert(String::new(), (None, 0));
        server
    }

    fn mounted(&self) -> Mounted {
        let store =
            ObjectStore::new("webdav", &json!({"endpoint": "http://fake/dav/", "token": "t"})).unwrap();
        let traits = store.traits;
        over(transport::with(store.operator, self.clone()), traits, options())
    }

    fn put(&self, path: &str, data: &str) {
        let inner = &mut *self.0.lock();
        inner.next += 1;
        inner.files.insert(path.to_owned(), (Some(data.to_owned().into()), inner.next));
    }

    fn get(&self, path: &str) -> String {
        String::from_utf8(self.0.lock().files[path].0.as_ref().unwrap().to_vec()).unwrap()
    }

    fn answer(&self, method: &'static str, times: usize, code: u16, body: &str) {
        self.0.lock().answers.extend(std::iter::repeat_n((method, code, body.to_owned()), times));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_directories_on_servers_of_all_kinds() {
    let kinds = [
        Kind::default(),
        Kind { addresses: true, no_ranges: true, ..Kind::default() },
        Kind { unconditional: true, weak: true, ..Kind::default() },
        Kind { no_tags: true, no_ranges: true, unconditional: true, ..Kind::default() },
    ];
    for kind in kinds {
        let store = FakeDav::new(kind).mounted();
        store.mkdir("/d").await.unwrap();
        store.mkdir("/d/e e").await.unwrap();
        let data = pattern(700_000);
        store.write("/d/e e/f", &data).await.unwrap();
        assert_eq!(store.read("/d/e e/f").await.unwrap(), data);
        let file = store.open("/d/e e/f").await.unwrap();
        file.append(b"end").await.unwrap();
        file.flush().await.unwrap();
        let mut end = [0; 5];
        assert_eq!(store.open("/d/e e/f").await.unwrap().read_at(&mut end, 699_998).await.unwrap(), 5);
        assert_eq!(end[2..], *b"end");
        // Not the same name with more behind it.
        store.write("/dx", b"x").await.unwrap();
        assert_eq!(store.list("/").await.unwrap(), ["d", "dx"]);
        assert_eq!(store.list("/d").await.unwrap(), ["e e"]);
        assert_eq!(store.rmdir("/d/e e").await, Err(Errno::ENOTEMPTY));
        store.rename("/d/e e", "/d/g").await.unwrap();
        store.rename("/dx", "/d/g/f").await.unwrap();
        assert_eq!(store.read("/d/g/f").await.unwrap(), b"x");
        store.unlink("/d/g/f").await.unwrap();
        store.rmdir("/d/g").await.unwrap();
        assert_eq!(store.list("/d").await.unwrap(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_others_are_not_overwritten_whether_the_server_heeds_conditions_or_not() {
    for unconditional in [false, true] {
        let server = FakeDav::new(Kind { unconditional, ..Kind::default() });
        let store = server.mounted();
        store.write("/f", b"one").await.unwrap();
        let file = store.open("/f").await.unwrap();
        file.append(b" more").await.unwrap();
        server.put("f", "theirs");
        assert_eq!(file.flush().await, Err(Errno::ESTALE));
        assert_eq!(server.get("f"), "theirs");
        server.put("new", "theirs");
        assert_eq!(store.create("/new").await.unwrap_err(), Errno::EEXIST);
        assert_eq!(server.get("new"), "theirs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_file_never_mixes_with_the_old_one_whatever_the_server_heeds() {
    for (unconditional, tagged) in [(false, true), (true, true), (true, false)] {
        let server = FakeDav::new(Kind { unconditional, tagged, ..Kind::default() });
        let store = server.mounted();
        let data = vec![1; 700_000];
        store.write("/f", &data).await.unwrap();
        let file = store.open("/f").await.unwrap();
        let mut buf = [0; 100];
        assert_eq!(file.read_at(&mut buf, 0).await.unwrap(), 100);
        server.put("f", &"2".repeat(700_000));
        assert_eq!(file.read_at(&mut buf, 600_000).await, Err(Errno::ESTALE));
        assert_eq!(store.read("/f").await.unwrap(), vec![b'2'; 700_000]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_within_a_second_is_seen_where_nothing_tells_it_apart() {
    let store = FakeDav::new(Kind { no_tags: true, ..Kind::default() }).mounted();
    for content in [b"one", b"two"] {
        store.write("/f", content).await.unwrap();
        assert_eq!(store.read("/f").await.unwrap(), content);
    }
    store.write("/g", b"new").await.unwrap();
    store.rename("/g", "/f").await.unwrap();
    assert_eq!(store.read("/f").await.unwrap(), b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_becomes_strong_is_no_change() {
    let server = FakeDav::new(Kind { weak: true, ..Kind::default() });
    let store = server.mounted();
    store.write("/f", b"one").await.unwrap();
    let file = store.open("/f").await.unwrap();
    server.0.lock().kind.weak = false;
    file.append(b" more").await.unwrap();
    file.flush().await.unwrap();
    assert_eq!(server.get("f"), "one more");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_make_a_directory_one_hears_of_the_other() {
    let server = FakeDav::new(Kind::default());
    let store = server.mounted();
    // The other one is faster than the look.
    server.answer("PROPFIND", 1, 404, "");
    server.0.lock().files.insert("d".into(), (None, 1));
    assert_eq!(store.mkdir("/d").await.unwrap_err(), Errno::EEXIST);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_numbers_and_what_passes_is_tried_again() {
    let server = FakeDav::new(Kind::default());
    let store = server.mounted();
    store.mkdir("/d").await.unwrap();
    store.write("/d/f", b"one").await.unwrap();
    server.answer("PROPFIND", 2, 503, "");
    assert_eq!(store.read("/d/f").await.unwrap(), b"one");
    for (code, errno) in
        [(401, Errno::EACCES), (423, Errno::EBUSY), (507, Errno::ENOSPC), (413, Errno::EFBIG)]
    {
        server.answer("PUT", 1, code, "");
        assert_eq!(store.create("/d/g").await.unwrap_err(), errno);
    }
    // A tree of which something stays.
    let locked = "<multistatus xmlns=\"DAV:\"><response><href>/dav/d/f</href><status>HTTP/1.1 423 Locked</status>\
                  </response></multistatus>";
    server.answer("DELETE", 1, 207, locked);
    assert_eq!(store.unlink("/d/f").await, Err(Errno::EBUSY));
    server.answer("MOVE", 1, 207, locked);
    assert_eq!(store.rename("/d", "/e").await, Err(Errno::EBUSY));
    assert_eq!(store.read("/d/f").await.unwrap(), b"one");
    // No page of a proxy reads as an empty directory.
    for (code, body) in
        [(200, "<html/>"), (207, "<html/>"), (207, ""), (302, ""), (207, "<multistatus xmlns=\"DAV:\">")]
    {
        server.answer("PROPFIND", 1, code, body);
        assert_eq!(store.list("/").await.unwrap_err(), Errno::EIO, "{code} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_tells_is_bounded_and_stays_in_its_directory() {
    let server = FakeDav::new(Kind::default());
    let store = server.mounted();
    let part = |href: &str| {
        format!(
            "<response><href>{href}</href><propstat><prop><getcontentlength>1</getcontentlength></prop>\
             <status>HTTP/1.1 200 OK</status></propstat></response>"
        )
    };
    let answer = |hrefs: &[&str]| {
        let parts: String = hrefs.iter().map(|href| part(href)).collect();
        format!("<multistatus xmlns=\"DAV:\">{parts}</multistatus>")
    };
    let long = format!("/dav/{}", "n".repeat(300));
    let names =
        ["/dav/a%2Fb", "/dav/d/deep", "/dav/..", "/dav/.", "/dav/%00", "/dav/%FF", "/dav/good", &long];
    server.answer("PROPFIND", 1, 207, &answer(&names));
    assert_eq!(store.list("/").await.unwrap(), ["good"]);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for elsewhere in ["/etc/passwd", "http://other/", "/davx"] {
        server.answer("PROPFIND", 1, 207, &answer(&[elsewhere]));
        assert_eq!(store.list("/").await.unwrap_err(), Errno::EIO, "{elsewhere}");
    }
    server.answer("PROPFIND", 1, 207, &" ".repeat((64 << 20) + 1));
    assert_eq!(store.list("/").await.unwrap_err(), Errno::EOVERFLOW);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_some_servers_move_elsewhere_are_copied() {
    let server = FakeDav::new(Kind::default());
    let store = server.mounted();
    store.write("/f", b"one").await.unwrap();
    store.rename("/f", "/f?").await.unwrap();
    assert_eq!((server.get("f?").as_str(), store.list("/").await.unwrap()), ("one", vec!["f?".to_owned()]));
    store.mkdir("/d").await.unwrap();
    store.rename("/d", "/d;").await.unwrap();
    store.write("/d;/in", b"1").await.unwrap();
    assert_eq!(store.rename("/d;", "/e;").await, Err(Errno::EXDEV));
    store.rename("/d;", "/e").await.unwrap();
    assert_eq!(store.list("/e").await.unwrap(), ["in"]);
    let requests = std::mem::take(&mut server.0.lock().requests);
    assert_eq!(requests.iter().filter(|line| line.starts_with("MOVE")).collect::<Vec<_>>(), ["MOVE /d;"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_upload_left_is_replaced_by_the_next() {
    for unconditional in [false, true] {
        let server = FakeDav::new(Kind { unconditional, ..Kind::default() });
        let store = server.mounted();
        store.write("/f", b"as it was").await.unwrap();
        let file = store.open("/f").await.unwrap();
        file.write_at(b"an", 0).await.unwrap();
        // The second time it is tried again at once: there is nothing left to overwrite.
        server.0.lock().cuts = 2;
        assert_eq!(file.flush().await, Err(Errno::EIO));
        assert_eq!(server.get("f"), "an i");
        file.flush().await.unwrap();
        assert_eq!(server.get("f"), "an it was");
        // From here on others are heeded again.
        server.put("f", "of others");
        file.append(b"!").await.unwrap();
        assert_eq!(file.flush().await, Err(Errno::ESTALE));
        assert_eq!(server.get("f"), "of others");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_with_what_cannot_be_shown_is_not_empty() {
    let server = FakeDav::new(Kind::default());
    let store = server.mounted();
    for directory in ["/d", "/e"] {
        store.mkdir(directory).await.unwrap();
    }
    let hidden = format!("d/{}", "n".repeat(300));
    server.put(&hidden, "of others");
    assert_eq!(store.list("/d").await.unwrap(), Vec::<String>::new());
    assert_eq!(store.rmdir("/d").await, Err(Errno::ENOTEMPTY));
    assert_eq!(store.rename("/e", "/d").await, Err(Errno::ENOTEMPTY));
    assert_eq!(server.get(&hidden), "of others");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_with_what_addresses_leave_out_are_not_moved_to() {
    let server = FakeDav::new(Kind::default());
    let store = server.mounted();
    for (number, name) in ["a\tb", "a\nb", "a\rb"].into_iter().enumerate() {
        let old = format!("/f{number}");
        store.write(&old, b"one").await.unwrap();
        store.rename(&old, &format!("/{name}")).await.unwrap();
        assert_eq!(server.get(name), "one");
    }
    assert!(!server.0.lock().requests.iter().any(|line| line.starts_with("MOVE")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_its_directory_moves_goes_along() {
    let server = FakeDav::new(Kind::default());
    let store = server.mounted();
    store.mkdir("/d").await.unwrap();
    store.write("/d/f", b"one").await.unwrap();
    let file = store.open("/d/f").await.unwrap();
    let written = async {
        let moving = || server.0.lock().requests.iter().any(|line| line.starts_with("MOVE"));
        eventually("it moves", moving).await;
        file.write_at(b"two", 0).await?;
        file.flush().await
    };
    assert_eq!(tokio::join!(store.rename("/d", "/e"), written), (Ok(()), Ok(())));
    assert_eq!(server.get("e/f"), "two");
    assert!(!server.0.lock().files.contains_key("d/f"));
}
