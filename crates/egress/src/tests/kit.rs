//! A server that says what it is told to, and a guest's end of an answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use agentos_abi::http::{Frame, Kind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    Answer, CredentialSource, Egress, Failure, Gone, Limits, Outgoing, Policy, PolicySource, RawRequest,
};

/// The reading end, with as much room as a pipe.
#[derive(Default)]
pub(super) struct Reader(std::sync::Mutex<State>);

#[derive(Default)]
struct State {
    held: VecDeque<u8>,
    gone: bool,
    wakers: Vec<Waker>,
    taken: u64,
}

const ROOM: usize = 64 << 10;

impl Answer for Reader {
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Gone>> {
        let mut state = self.0.lock().unwrap();
        if state.gone {
            return Poll::Ready(Err(Gone));
        }
        let n = bytes.len().min(ROOM - state.held.len());
        if n == 0 {
            state.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        state.held.extend(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if state.gone {
            return Poll::Ready(());
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Reader {
    /// Takes what is there, and makes room for more.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut state = self.0.lock().unwrap();
        let bytes: Vec<u8> = state.held.drain(..).collect();
        state.taken += bytes.len() as u64;
        state.wakers.drain(..).for_each(Waker::wake);
        bytes
    }

    pub(super) fn taken(&self) -> u64 {
        self.0.lock().unwrap().taken
    }

    pub(super) fn close(&self) {
        let mut state = self.0.lock().unwrap();
        state.gone = true;
        state.wakers.drain(..).for_each(Waker::wake);
    }
}

/// An answer as a guest has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) status: u64,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// The code of a failure; `None` after a clean end.
    pub(super) failed: Option<String>,
    pub(super) message: String,
}

impl Got {
    pub(super) fn of(bytes: &[u8]) -> Got {
        let (mut got, mut rest, mut ended) = (Got::default(), bytes, false);
        while let Some(frame) = Frame::first(rest).unwrap() {
            assert!(!ended, "nothing comes after the end");
            let json = || serde_json::from_slice::<serde_json::Value>(frame.payload).unwrap();
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            match frame.kind {
                Kind::Head => {
                    got.status = json()["status"].as_u64().unwrap();
                    let headers = json()["headers"].as_array().unwrap().clone();
                    got.headers = headers.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
                }
                Kind::Data => got.body.extend_from_slice(frame.payload),
                Kind::Failed => {
                    (got.failed, got.message) = (Some(text(&json()["code"])), text(&json()["message"]))
                }
                Kind::End => {}
            }
            ended = matches!(frame.kind, Kind::Failed | Kind::End);
            rest = &rest[frame.size()..];
        }
        assert!(rest.is_empty() && ended, "{} bytes are left", rest.len());
        got
    }

    pub(super) fn failed(&self) -> &str {
        self.failed.as_deref().unwrap_or("nothing")
    }
}

/// A way out to these origins, of which the ports of loopback are exempt.
pub(super) fn way_out(allow: &[&str], ports: &[u16]) -> Arc<Egress> {
    with_credentials(allow, ports, &[], Limits::default())
}

pub(super) fn with_credentials(
    allow: &[&str],
    ports: &[u16],
    credentials: &[(&str, &str, &str)],
    limits: Limits,
) -> Arc<Egress> {
    let secrets = match credentials {
        [] => Vec::new(),
        _ => vec![("key".to_owned(), "hunter2".to_owned().into())],
    };
    let source = PolicySource {
        allow: allow.iter().map(|text| (*text).to_owned()).collect(),
        credentials: credentials.iter().map(credential).collect(),
        secrets: secrets.into_iter().collect(),
        loopback_exempt_ports: ports.to_vec(),
    };
    Arc::new(Egress::new(Arc::new(Policy::compile(source).unwrap()), limits))
}

pub(super) fn credential((origin, header, value): &(&str, &str, &str)) -> CredentialSource {
    CredentialSource { origin: (*origin).into(), header: (*header).into(), value: (*value).into() }
}

pub(super) fn get(url: &str) -> RawRequest {
    RawRequest { method: b"GET".to_vec(), url: url.as_bytes().to_vec(), ..RawRequest::default() }
}

/// All of an answer.
pub(super) async fn fetch(egress: &Egress, request: RawRequest) -> Got {
    let outgoing = match Outgoing::parse(request) {
        Ok(outgoing) => outgoing,
        Err(Failure { code, message }) => {
            return Got { failed: Some(code.name().into()), message, ..Got::default() };
        }
    };
    let reader = Reader::default();
    let mut bytes = Vec::new();
    let mut run = std::pin::pin!(egress.run(outgoing, &reader));
    let read = std::future::poll_fn(|cx| {
        let polled = run.as_mut().poll(cx);
        let more = reader.take();
        bytes.extend_from_slice(&more);
        match polled {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::time::timeout(std::time::Duration::from_secs(60), read).await.expect("an answer ends");
    Got::of(&bytes)
}

/// Says these bytes to everybody who has sent a head, then closes. It tells the port, and what came.
pub(super) async fn says(answer: impl Into<Vec<u8>>) -> (u16, tokio::sync::mpsc::Receiver<String>) {
    let answer: Vec<u8> = answer.into();
    serves(move |mut stream: TcpStream| {
        let answer = answer.clone();
        async move {
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// Hands everybody who has sent a head to `serve`.
pub(super) async fn serves<F>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> (u16, tokio::sync::mpsc::Receiver<String>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (came, heard) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = head(&mut stream).await;
            let _ = came.send(head).await;
            tokio::spawn(serve(stream));
        }
    });
    (port, heard)
}

async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A count that others see.
#[derive(Clone, Default)]
pub(super) struct Count(Arc<AtomicU64>);

impl Count {
    pub(super) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::SeqCst);
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
