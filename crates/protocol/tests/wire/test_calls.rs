//! Calls: answered once, cancelled by dropping, bounded, and ended at once with the connection.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use agentos_protocol::frame::{self, Kind};
use agentos_protocol::message::*;
use agentos_protocol::mux::{CallError, ConnectionLost, Limits, connect};
use agentos_protocol::version::{Hello, Role};
use agentos_protocol::{Connection, Handler, Responder};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{Nobody, pair, soon};

/// Answers `sidecar.describe` at once, keeps `sidecar.ping` open, and drops `vm.list`.
#[derive(Default)]
struct Sidecar {
    kept: Arc<Mutex<Vec<Responder>>>,
}

impl Handler for Sidecar {
    fn request(&self, request: Request, responder: Responder) {
        match request {
            Request::DescribeSidecar(_) => {
                responder.reply::<DescribeSidecar>(Ok(SidecarInfo { pid: 42, ..SidecarInfo::default() }));
            }
            Request::Ping(_) => self.kept.lock().push(responder),
            Request::ListVms(_) => drop(responder),
            other => responder.unsupported(other.method()),
        }
    }
}

fn remote(result: Result<impl std::fmt::Debug, CallError>) -> String {
    match result.unwrap_err() {
        CallError::Remote(error) => error.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_is_answered() {
    let (client, _sidecar) = pair(Nobody, Sidecar::default(), Limits::default()).await;
    assert_eq!(soon(client.call(&DescribeSidecar {})).await.unwrap().pid, 42);
    assert_eq!(remote(soon(client.call(&ListVms {})).await), code::INTERNAL);
    let get = DescribeVm { vm_id: "x".into() };
    assert_eq!(remote(soon(client.call(&get)).await), code::UNSUPPORTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_at_once_find_their_answers() {
    let (client, _sidecar) = pair(Nobody, Sidecar::default(), Limits::default()).await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    assert_eq!(client.call(&DescribeSidecar {}).await.unwrap().pid, 42);
                }
            })
        })
        .collect();
    for task in tasks {
        soon(task).await.unwrap();
    }
}

#[tokio::test]
async fn a_method_of_a_later_version_is_unsupported() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Teleport {}
    impl Call for Teleport {
        const METHOD: &'static str = "vm.teleport";
        type Reply = Empty;
    }
    let (client, sidecar) = pair(Nobody, Sidecar::default(), Limits::default()).await;
    assert_eq!(remote(soon(client.call(&Teleport {})).await), code::UNSUPPORTED);
    assert_eq!(remote(soon(sidecar.call(&Teleport {})).await), code::UNSUPPORTED);
    assert_eq!(soon(client.call(&DescribeSidecar {})).await.unwrap().pid, 42, "the connection goes on");
}

#[tokio::test]
async fn dropping_a_call_cancels_it() {
    let kept = Arc::new(Mutex::new(Vec::<Responder>::new()));
    let (client, _sidecar) = pair(Nobody, Sidecar { kept: Arc::clone(&kept) }, Limits::default()).await;
    let call = client.start_call(&Ping {}).unwrap();
    soon(async {
        while kept.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let responder = kept.lock().pop().unwrap();
    assert!(!responder.cancelled().is_cancelled());
    drop(call);
    soon(responder.cancelled().cancelled()).await;
    responder.reply::<Ping>(Ok(Empty {}));
    assert_eq!(
        soon(client.call(&DescribeSidecar {})).await.unwrap().pid,
        42,
        "a late answer disturbs nothing"
    );
}

#[tokio::test]
async fn a_cancelled_call_still_hears_what_became_of_it() {
    let kept = Arc::new(Mutex::new(Vec::<Responder>::new()));
    let (client, _sidecar) = pair(Nobody, Sidecar { kept: Arc::clone(&kept) }, Limits::default()).await;
    let call = client.start_call(&Ping {}).unwrap();
    call.cancel();
    let responder = soon(async {
        loop {
            if let Some(responder) = kept.lock().pop() {
                return responder;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(responder.cancelled().cancelled()).await;
    responder.reply::<Ping>(Ok(Empty {}));
    soon(call).await.unwrap();
}

#[tokio::test]
async fn calls_are_bounded() {
    let limits = Limits { calls: 3, ..Limits::default() };
    let (client, _sidecar) = pair(Nobody, Sidecar::default(), limits).await;
    let open: Vec<_> = (0..3).map(|_| client.start_call(&Ping {}).unwrap()).collect();
    assert!(matches!(client.call(&DescribeSidecar {}).await, Err(CallError::Busy { calls: 3 })));
    drop(open);

    // A peer that does not keep to it is told so.
    let small = Limits { calls: 2, ..Limits::default() };
    let (a, b) = UnixStream::pair().unwrap();
    let (client, _sidecar) = tokio::join!(
        connect(a, Hello::new(Role::Client), Arc::new(Nobody), Limits::default()),
        connect(b, Hello::new(Role::Sidecar), Arc::new(Sidecar::default()), small),
    );
    let client = client.unwrap();
    let _open = [client.start_call(&Ping {}).unwrap(), client.start_call(&Ping {}).unwrap()];
    assert_eq!(remote(soon(client.call(&Ping {})).await), code::BUSY);
}

#[tokio::test]
async fn everything_ends_when_the_other_side_goes() {
    let (a, b) = UnixStream::pair().unwrap();
    let raw = b.try_clone().unwrap();
    let (client, sidecar) = tokio::join!(
        connect(a, Hello::new(Role::Client), Arc::new(Nobody), Limits::default()),
        connect(b, Hello::new(Role::Sidecar), Arc::new(Sidecar::default()), Limits::default()),
    );
    let (client, _sidecar) = (client.unwrap(), sidecar.unwrap());
    let call = client.start_call(&Ping {}).unwrap();
    let recv = client.open_recv().unwrap();
    let send = client.open_send().unwrap();
    let waiting = tokio::spawn(async move { recv.next_chunk().await });
    tokio::task::yield_now().await;
    raw.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(matches!(soon(call).await, Err(CallError::Lost(ConnectionLost::Closed))));
    assert!(soon(waiting).await.unwrap().is_err());
    assert!(soon(send.write_all(b"x")).await.is_err());
    assert!(matches!(client.call(&Ping {}).await, Err(CallError::Lost(ConnectionLost::Closed))));
    assert!(client.open_recv().is_err());
    assert_eq!(soon(client.closed()).await, ConnectionLost::Closed);
}

#[tokio::test]
async fn closing_delivers_what_was_sent_before() {
    let (closed, mut was_closed) = mpsc::channel(1);
    struct Client(mpsc::Sender<ConnectionLost>);
    impl Handler for Client {
        fn closed(&self, reason: &ConnectionLost) {
            self.0.try_send(reason.clone()).unwrap();
        }
    }
    let (client, sidecar) = pair(Client(closed), Sidecar::default(), Limits::default()).await;
    let recv = client.open_recv().unwrap();
    let send = sidecar.accept_send(recv.id()).unwrap();
    send.write_all(&vec![7; 200_000]).await.unwrap();
    send.finish();
    sidecar.goodbye(&WireError::new(code::SHUTTING_DOWN, "bye"));
    assert_eq!(soon(recv.read_to_end(1 << 20)).await.unwrap().unwrap().len(), 200_000);
    match soon(was_closed.recv()).await.unwrap() {
        ConnectionLost::Goodbye(reason) => assert_eq!(reason.code, code::SHUTTING_DOWN),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn malformed_bytes_end_only_this_connection_with_a_reason() {
    let (a, mut b) = UnixStream::pair().unwrap();
    let hello = encode(&Hello::new(Role::Client)).unwrap();
    let mut bytes = bytes::BytesMut::new();
    frame::encode(&mut bytes, Kind::Hello, 0, 0, &hello);
    b.write_all(&bytes).unwrap();
    let sidecar =
        connect(a, Hello::new(Role::Sidecar), Arc::new(Sidecar::default()), Limits::default()).await.unwrap();
    b.write_all(&[0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert!(matches!(soon(sidecar.closed()).await, ConnectionLost::Protocol { .. }));
    let read = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        b.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        b.read_to_end(&mut all).unwrap();
        all
    });
    let mut all = bytes::BytesMut::from(&soon(read).await.unwrap()[..]);
    assert_eq!(frame::decode(&mut all).unwrap().unwrap().header.kind, Kind::Hello);
    let goodbye = frame::decode(&mut all).unwrap().unwrap();
    assert_eq!(goodbye.header.kind, Kind::Goodbye);
    assert_eq!(decode::<WireError>(&goodbye.payload).unwrap().code, code::PROTOCOL);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_given_up() {
    let limits = Limits { outgoing_max: 2 << 20, ..Limits::default() };
    let (a, mut b) = UnixStream::pair().unwrap();
    let mut bytes = bytes::BytesMut::new();
    frame::encode(&mut bytes, Kind::Hello, 0, 0, &encode(&Hello::new(Role::Sidecar)).unwrap());
    b.write_all(&bytes).unwrap();
    let client: Connection = connect(a, Hello::new(Role::Client), Arc::new(Nobody), limits).await.unwrap();
    let write = WriteFile {
        vm_id: "v".into(),
        path: "/x".into(),
        source: WriteSource::Inline(vec![0; 200_000]),
        mode: None,
        create_parents: false,
        append: false,
        exclusive: false,
        offset: None,
    };
    let mut open = Vec::new();
    let lost = loop {
        match client.start_call(&write) {
            Ok(call) => open.push(call),
            Err(error) => break error,
        }
        assert!(open.len() < 100);
    };
    assert!(matches!(lost, CallError::Lost(ConnectionLost::Stuck { .. })), "{lost:?}");
    for call in open {
        assert!(soon(call).await.is_err());
    }
}

#[tokio::test]
async fn events_arrive_and_unknown_ones_are_skipped() {
    struct Client(mpsc::Sender<Event>);
    impl Handler for Client {
        fn event(&self, event: Event) {
            self.0.try_send(event).unwrap();
        }
    }
    let (seen, mut events) = mpsc::channel(8);
    let (a, mut b) = UnixStream::pair().unwrap();
    let mut bytes = bytes::BytesMut::new();
    frame::encode(&mut bytes, Kind::Hello, 0, 0, &encode(&Hello::new(Role::Sidecar)).unwrap());
    frame::encode(&mut bytes, Kind::Event, 0, 0, &encode_named("vm.teleported", &Empty {}).unwrap());
    let progress = Event::Progress(Progress { what: "images".into(), done: 1, total: 4 });
    frame::encode(&mut bytes, Kind::Event, 0, 0, &progress.encode().unwrap());
    b.write_all(&bytes).unwrap();
    let _client =
        connect(a, Hello::new(Role::Client), Arc::new(Client(seen)), Limits::default()).await.unwrap();
    assert_eq!(soon(events.recv()).await.unwrap(), progress);
}

#[tokio::test]
async fn callbacks_go_the_other_way() {
    struct Client;
    impl Handler for Client {
        fn callback(&self, callback: Callback, responder: Responder) {
            match callback {
                Callback::DriverReadLink(call) => {
                    responder.reply::<DriverReadLink>(Ok(DriverTarget { target: call.path }));
                }
                _ => responder.error(&WireError::kernel("EROFS", "driver", None)),
            }
        }
    }
    let (_client, sidecar) = pair(Client, Nobody, Limits::default()).await;
    let call = DriverReadLink { driver_id: 1, path: "/l".into() };
    assert_eq!(soon(sidecar.call(&call)).await.unwrap().target, "/l".into());
    match soon(sidecar.call(&DriverUnlink { driver_id: 1, path: "/l".into() })).await {
        Err(CallError::Remote(error)) => assert_eq!(error.errno(), Some("EROFS")),
        other => panic!("{other:?}"),
    }
}
