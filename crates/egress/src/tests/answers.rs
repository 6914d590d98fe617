//! What becomes of answers, and what is sent.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::kit::{Count, Got, Reader, fetch, get, says, serves, way_out, with_credentials};
use crate::{Egress, GrantSource, Limits, Outgoing, Policy, RawRequest};

const HANG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_answer_comes_as_it_is() {
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nX-A: 1\r\nx-a: 2\r\nX-B: \u{fc}\r\n\
                transfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nx-trailer: t\r\n\r\n";
    let (port, mut came) = says(text).await;
    let origin = format!("http://localhost:{port}");
    let egress = way_out(&[&origin], &[port]);
    let request = RawRequest {
        method: b"POST".into(),
        headers: vec![(b"X-Mine".into(), b"y".into()), (b"host".into(), b"evil".into())],
        body: b"the body".into(),
        ..get(&format!("{origin}/path?q=1#f"))
    };
    let got = fetch(&egress, request).await;
    assert_eq!((got.status, &got.body[..], &got.failed), (201, &b"onetwo"[..], &None));
    let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    let expected = [
        pair("x-a", "1"),
        pair("x-a", "2"),
        pair("x-b", "\u{c3}\u{bc}"),
        pair("transfer-encoding", "chunked"),
    ];
    assert_eq!(got.headers, expected);
    let head = came.recv().await.unwrap();
    assert!(head.starts_with("POST /path?q=1 HTTP/1.1\r\n"), "{head}");
    for line in [&format!("host: localhost:{port}"), "connection: close", "x-mine: y", "content-length: 8"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
    assert!(!head.contains("evil") && !head.contains("user-agent"), "{head}");
}

#[tokio::test]
async fn redirects_are_answers() {
    let (port, mut came) =
        says("HTTP/1.1 302 Found\r\nlocation: http://localhost:1/\r\ncontent-length: 0\r\n\r\n").await;
    let origin = format!("http://localhost:{port}");
    let got = fetch(&way_out(&[&origin], &[port]), get(&origin)).await;
    assert_eq!((got.status, got.failed), (302, None));
    came.recv().await.unwrap();
    assert!(came.try_recv().is_err(), "nobody asked again");
}

#[tokio::test]
async fn credentials_go_to_their_origin_only_and_take_the_place_of_the_guests() {
    let (port, mut came) = says("HTTP/1.1 204 No\r\n\r\n").await;
    let (name, address) = (format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}"));
    let credentials = [(&name[..], "Authorization", "Bearer {key}"), (&name[..], "x-key", "{key}")];
    let egress = with_credentials(&[&name, &address], &[port], &credentials, Limits::default());
    let own =
        || vec![(b"AUTHORIZATION".to_vec(), b"mine".to_vec()), (b"authorization".to_vec(), b"too".to_vec())];
    assert_eq!(fetch(&egress, RawRequest { headers: own(), ..get(&name) }).await.status, 204);
    let head = came.recv().await.unwrap();
    assert!(head.contains("\r\nauthorization: Bearer hunter2\r\n"), "{head}");
    assert!(head.contains("\r\nx-key: hunter2\r\n") && head.matches("authorization").count() == 1, "{head}");
    assert_eq!(fetch(&egress, RawRequest { headers: own(), ..get(&address) }).await.status, 204);
    let head = came.recv().await.unwrap();
    assert!(!head.contains("hunter2") && head.matches("authorization").count() == 2, "{head}");
    // A fork's.
    assert_eq!(fetch(&egress.for_another(), get(&name)).await.status, 204);
    assert!(came.recv().await.unwrap().contains("hunter2"));
}

#[tokio::test]
async fn a_long_answer_waits_for_its_reader() {
    let sent = Count::default();
    let counted = sent.clone();
    let (port, _came) = serves(move |mut stream| {
        let sent = counted.clone();
        async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[7; 64 << 10]).await.is_ok() {
                sent.add(64 << 10);
            }
        }
    })
    .await;
    let origin = format!("http://127.0.0.1:{port}");
    let egress = way_out(&[&origin], &[port]);
    let reader = std::sync::Arc::new(Reader::default());
    let running = tokio::spawn({
        let reader = std::sync::Arc::clone(&reader);
        let outgoing = Outgoing::parse(get(&origin)).unwrap();
        async move { egress.run(outgoing, &*reader).await }
    });
    let slow = async {
        while reader.taken() < 4 << 20 {
            reader.take();
            tokio::task::yield_now().await;
        }
        // Sockets hold some megabytes, and nobody else holds anything.
        assert!(sent.now() < reader.taken() + (64 << 20), "{} sent", sent.now());
        reader.close();
        running.await.unwrap();
    };
    tokio::time::timeout(HANG, slow).await.expect("it goes on, and ends");
}

#[tokio::test]
async fn who_is_gone_is_not_answered() {
    let (closed, mut seen) = tokio::sync::mpsc::channel(1);
    let (port, mut came) = serves(move |mut stream| {
        let closed = closed.clone();
        async move {
            // It never answers; what it waits for is the end of the connection.
            let _ = stream.read_u8().await;
            let _ = closed.send(()).await;
        }
    })
    .await;
    let origin = format!("http://127.0.0.1:{port}");
    let egress = way_out(&[&origin], &[port]);
    let reader = Reader::default();
    let outgoing = Outgoing::parse(get(&origin)).unwrap();
    let both = async {
        tokio::join!(egress.run(outgoing, &reader), async {
            came.recv().await.unwrap();
            reader.close();
        });
        seen.recv().await.unwrap();
    };
    tokio::time::timeout(HANG, both).await.expect("the connection is closed");
    assert!(reader.take().is_empty());
}

#[tokio::test]
async fn what_is_no_answer_is_told_as_what_it_is() {
    let long = "a".repeat(100);
    let huge: String = (0..800).map(|n| format!("h{n}: {long}\r\n")).collect();
    let many: String = (0..300).map(|n| format!("h{n}: x\r\n")).collect();
    for (answer, status, body, failed) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_owned(), 200, "half", "aborted"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_owned(),
            200,
            "half",
            "aborted",
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(), 200, "", "aborted"),
        (String::new(), 0, "", "aborted"),
        ("HTTP/1.1 200 OK\r\nx".to_owned(), 0, "", "aborted"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(), 0, "", "protocol"),
        ("HTTP/1.1 200 OK\r\n: x\r\n\r\n".to_owned(), 0, "", "protocol"),
        (format!("HTTP/1.1 200 OK\r\n{huge}\r\n"), 0, "", "too_large"),
        (format!("HTTP/1.1 200 OK\r\n{huge}"), 0, "", "too_large"),
        (format!("HTTP/1.1 200 OK\r\n{many}\r\n"), 0, "", "too_large"),
    ] {
        let (port, _came) = says(answer.clone()).await;
        let origin = format!("http://127.0.0.1:{port}");
        let got = fetch(&way_out(&[&origin], &[port]), get(&origin)).await;
        let shown = &answer[..answer.len().min(60)];
        assert_eq!(
            (got.status, &got.body[..], got.failed()),
            (status, body.as_bytes(), failed),
            "{shown:?} {got:?}"
        );
        assert!(!got.message.is_empty());
    }
}

#[tokio::test]
async fn waits_have_an_end() {
    let (port, _came) = serves(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let origin = format!("http://127.0.0.1:{port}");
    let got = fetch(&way_out(&[&origin], &[port]), RawRequest { head_timeout_ms: 50, ..get(&origin) }).await;
    assert_eq!((got.failed(), got.status), ("timeout", 0), "{got:?}");
    assert!(got.message.contains("50 ms"), "{}", got.message);

    let (port, _came) = serves(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    let origin = format!("http://127.0.0.1:{port}");
    let limits = Limits { idle: Duration::from_millis(50), ..Limits::default() };
    let got = fetch(&with_credentials(&[&origin], &[port], &[], limits), get(&origin)).await;
    assert_eq!((got.failed(), got.status, &got.body[..]), ("timeout", 200, &b"half"[..]), "{got:?}");
}

#[tokio::test]
async fn bodies_of_requests_arrive_whole() {
    let got_all = Count::default();
    let counted = got_all.clone();
    let (port, _came) = serves(move |mut stream| {
        let all = counted.clone();
        async move {
            let mut buf = vec![0; 64 << 10];
            while all.now() < 32 << 20 {
                match stream.read(&mut buf).await {
                    Ok(n @ 1..) => all.add(n),
                    _ => return,
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await;
    let origin = format!("http://127.0.0.1:{port}");
    let request = RawRequest { method: b"PUT".into(), body: vec![7; 32 << 20], ..get(&origin) };
    let got: Got = fetch(&way_out(&[&origin], &[port]), request).await;
    assert_eq!((got.status, got.failed), (200, None));
    assert_eq!(got_all.now(), 32 << 20);
}

#[tokio::test]
async fn a_grant_opens_one_url_with_its_headers_and_ends_what_is_under_way_when_it_is_taken_back() {
    let (port, mut came) = serves(async |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbegin").await;
        let _ = stream.read(&mut [0; 64]).await;
    })
    .await;
    let policy = Policy::nothing_but(vec![port]).unwrap();
    let egress = Arc::new(Egress::new(Arc::new(policy), Limits::default()));
    let url = format!("http://localhost:{port}/mcp");
    let headers = vec![("Authorization".to_owned(), "hunter2".to_owned().into())];
    let granted = egress.grant("g".to_owned(), GrantSource { url: url.clone(), headers }).unwrap();
    let under = |grant: &str, url: &str| {
        let headers =
            vec![(b"agentos-grant".to_vec(), grant.into()), (b"authorization".to_vec(), b"mine".to_vec())];
        RawRequest { headers, ..get(url) }
    };
    // Nothing else is open by it: not without its name, not beside its path, not to another machine.
    for (egress, request) in [
        (&egress, get(&url)),
        (&egress, under("h", &url)),
        (&egress, under("g", &format!("http://localhost:{port}/mcp2"))),
        (&Arc::new(egress.for_another()), under("g", &url)),
    ] {
        let got = fetch(egress, request).await;
        assert_eq!(got.failed(), "denied", "{}", got.message);
    }
    let reader = Arc::new(Reader::default());
    let (running, read) = (Arc::clone(&egress), Arc::clone(&reader));
    let outgoing = Outgoing::parse(under("g", &url)).unwrap_or_else(|failure| panic!("{failure:?}"));
    let run = tokio::spawn(async move { running.run(outgoing, &*read).await });
    let head = came.recv().await.unwrap();
    assert!(head.contains("\r\nauthorization: hunter2\r\n"), "{head}");
    assert!(!head.contains("mine") && !head.contains("agentos-grant"), "{head}");
    drop(granted);
    tokio::time::timeout(HANG, run).await.expect("it ends").unwrap();
    let got = fetch(&egress, under("g", &url)).await;
    assert!(got.failed() == "denied" && got.message.contains("is over"), "{}", got.message);
    assert!(came.try_recv().is_err());
}
