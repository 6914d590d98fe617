//! The connection below ACP: open ids, order, limits of the tables.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use agentos_acp::{
    Closure, Error, Limits, Timeouts,
    connection::{Connection, Incoming, IncomingRequest, Outcome, Responder},
};
use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader, ReadBuf},
    sync::mpsc,
};

/// Notes what comes, in order, and keeps requests open.
struct Recorder {
    notes: mpsc::Sender<String>,
    open: mpsc::Sender<Responder>,
}

impl Incoming for Recorder {
    async fn notification(&self, method: &str, _: Option<Box<RawValue>>) -> bool {
        self.notes.send(format!("notification {method}")).await.is_ok()
    }

    async fn request(&self, request: IncomingRequest) -> bool {
        let _ = self.notes.send(format!("request {}", request.method)).await;
        self.open.send(request.responder).await.is_ok()
    }

    async fn responded(&self, method: &str, context: Option<&str>, outcome: &mut Outcome) {
        let _ = self.notes.send(format!("responded {method} {context:?} {}", outcome.is_ok())).await;
    }

    async fn ignored(&self, what: &'static str) {
        let _ = self.notes.send(format!("ignored {what}")).await;
    }

    fn closed(&self, _: &Closure) {
        let _ = self.notes.try_send("closed".to_owned());
    }
}

struct Bench {
    connection: Connection,
    notes: mpsc::Receiver<String>,
    open: mpsc::Receiver<Responder>,
    output: tokio::io::DuplexStream,
    input: tokio::io::Lines<BufReader<tokio::io::DuplexStream>>,
}

fn bench(limits: Limits) -> Bench {
    let (stdin, input) = tokio::io::duplex(64 << 10);
    let (output, stdout) = tokio::io::duplex(64 << 10);
    let (notes_in, notes) = mpsc::channel(1000);
    let (open_in, open) = mpsc::channel(1000);
    let handler = Arc::new(Recorder { notes: notes_in, open: open_in });
    let connection = Connection::spawn(stdout, stdin, handler, limits, Timeouts::default());
    Bench { connection, notes, open, output, input: BufReader::new(input).lines() }
}

impl Bench {
    async fn send(&mut self, message: Value) {
        self.output.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn recv(&mut self) -> Value {
        serde_json::from_str(&self.input.next_line().await.unwrap().unwrap()).unwrap()
    }

    async fn note(&mut self) -> String {
        self.notes.recv().await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn lines_take_effect_in_order() {
    let mut bench = bench(Limits::default());
    let connection = bench.connection.clone();
    let call =
        tokio::spawn(
            async move { connection.request("m", Some("c"), &json!({}), Duration::from_secs(9)).await },
        );
    assert_eq!(bench.recv().await, json!({"jsonrpc": "2.0", "id": 0, "method": "m", "params": {}}));
    bench.send(json!({"jsonrpc": "2.0", "method": "a"})).await;
    bench.send(json!({"jsonrpc": "2.0", "id": 0, "result": 5})).await;
    bench.send(json!({"jsonrpc": "2.0", "method": "b"})).await;
    assert_eq!(call.await.unwrap().unwrap().get(), "5");
    for want in ["notification a", "responded m Some(\"c\") true", "notification b"] {
        assert_eq!(bench.note().await, want);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_too_long_is_skipped_where_that_is_wanted_and_what_is_no_message_is_told() {
    let limits =
        Limits { line_bytes: 100, skip_long_lines: true, answer_long_lines: true, ..Limits::default() };
    let mut bench = bench(limits);
    let long = json!({"jsonrpc": "2.0", "method": "long", "params": ["x".repeat(100_000)]});
    bench.send(long).await;
    let told = bench.recv().await;
    assert_eq!((&told["id"], &told["error"]["code"]), (&json!(null), &json!(-32600)), "{told}");
    bench.output.write_all(b"chatter\n[]\n\n").await.unwrap();
    bench.send(json!({"jsonrpc": "2.0", "method": "a"})).await;
    for want in [
        "ignored a line that is too long",
        "ignored a line that is not JSON",
        "ignored a line that is no JSON-RPC message",
        "notification a",
    ] {
        assert_eq!(bench.note().await, want);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_ended_reads_no_more_and_fails_what_is_open() {
    let mut bench = bench(Limits::default());
    let connection = bench.connection.clone();
    let call =
        tokio::spawn(async move { connection.request("m", None, &json!({}), Duration::from_secs(9)).await });
    bench.recv().await;
    bench.connection.end();
    assert_eq!(bench.connection.closed().await, Closure::Dropped);
    assert!(matches!(call.await.unwrap(), Err(Error::Closed)));
    let _ = bench.output.write_all(b"{\"jsonrpc\":\"2.0\",\"method\":\"late\"}\n").await;
    assert_eq!(bench.note().await, "closed");
    assert_eq!(bench.notes.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn equal_ids_in_both_directions_and_types_are_kept_apart() {
    let mut bench = bench(Limits::default());
    let connection = bench.connection.clone();
    let call =
        tokio::spawn(async move { connection.request("m", None, &json!({}), Duration::from_secs(9)).await });
    bench.recv().await;
    for id in [json!(0), json!("0"), json!(null)] {
        bench.send(json!({"jsonrpc": "2.0", "id": id, "method": "r"})).await;
        bench.note().await;
    }
    // All three are open; each is a duplicate now.
    bench.send(json!({"jsonrpc": "2.0", "id": "0", "method": "r"})).await;
    assert_eq!(bench.recv().await["error"]["code"], -32600);
    for id in [json!(0), json!("0"), json!(null)] {
        bench.open.recv().await.unwrap().ok(&json!("done")).await;
        assert_eq!(bench.recv().await, json!({"jsonrpc": "2.0", "id": id, "result": "done"}));
    }
    // Once answered the id may be used again.
    bench.send(json!({"jsonrpc": "2.0", "id": "0", "method": "again"})).await;
    assert_eq!(bench.note().await, "request again");
    drop(bench.open.recv().await);
    assert_eq!(bench.recv().await["error"]["code"], -32603);
    bench.send(json!({"jsonrpc": "2.0", "id": 0, "result": null})).await;
    assert_eq!(call.await.unwrap().unwrap().get(), "null");
}

#[tokio::test(start_paused = true)]
async fn reading_stops_at_sixty_four_open_requests() {
    let mut bench = bench(Limits::default());
    for id in 0..70 {
        bench.send(json!({"jsonrpc": "2.0", "id": id, "method": "r"})).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.notes.len(), 64);
    bench.open.recv().await.unwrap().error(-32002, "gone").await;
    assert_eq!(bench.recv().await["error"], json!({"code": -32002, "message": "gone"}));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.notes.len(), 65);
}

#[tokio::test(start_paused = true)]
async fn our_own_open_requests_are_limited_and_a_dropped_one_is_withdrawn() {
    let mut bench = bench(Limits { outgoing_requests: 1, ..Limits::default() });
    let connection = bench.connection.clone();
    let call =
        tokio::spawn(async move { connection.request("m", None, &json!({}), Duration::from_secs(9)).await });
    bench.recv().await;
    let second = bench.connection.request("n", None, &json!({}), Duration::from_secs(9)).await;
    assert!(matches!(second, Err(Error::Limit { name: "outgoing_requests", configured: 1, used: 2 })));
    call.abort();
    let cancel = bench.recv().await;
    assert_eq!((&cancel["method"], &cancel["params"]["requestId"]), (&json!("$/cancel_request"), &json!(0)));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_before_it_is_sent_leaves_nothing_open() {
    let bench = bench(Limits { outgoing_requests: 3, write_queue: 1, ..Limits::default() });
    let big = "x".repeat(100_000);
    // One in the pipe, which nobody reads, and one in the queue.
    let _sent = [
        bench.connection.start("m", None, &big).await.unwrap(),
        bench.connection.start("m", None, &big).await.unwrap(),
    ];
    for n in 0..5 {
        let start = bench.connection.start("m", None, &big);
        let waited = tokio::time::timeout(Duration::from_secs(1), start).await;
        assert!(waited.is_err(), "{n}: {waited:?}");
    }
}

/// A stream that has always more to read.
struct Endless(usize);

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        const LINE: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"m\"}\n";
        let n = buf.remaining().min(LINE.len() - self.0);
        buf.put_slice(&LINE[self.0..][..n]);
        self.0 = (self.0 + n) % LINE.len();
        Poll::Ready(Ok(()))
    }
}

/// Finds every message useful.
struct Glad;

impl Incoming for Glad {
    async fn notification(&self, _: &str, _: Option<Box<RawValue>>) -> bool {
        true
    }

    async fn request(&self, _: IncomingRequest) -> bool {
        true
    }

    async fn responded(&self, _: &str, _: Option<&str>, _: &mut Outcome) {}

    fn closed(&self, _: &Closure) {}
}

#[tokio::test]
async fn a_stream_that_never_pauses_does_not_keep_the_thread() {
    let (stdin, _input) = tokio::io::duplex(1 << 10);
    let connection =
        Connection::spawn(Endless(0), stdin, Arc::new(Glad), Limits::default(), Timeouts::default());
    // One thread: this goes on only if the reading pauses.
    tokio::time::sleep(Duration::from_millis(20)).await;
    connection.end();
    assert_eq!(connection.closed().await, Closure::Dropped);
}
