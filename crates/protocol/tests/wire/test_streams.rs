//! Streams: bytes in order, bounded by credit, independent of each other, and with honest ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use agentos_protocol::message::SessionEventRecord;
use agentos_protocol::mux::{Limits, RecordReader, RecordWriter, StreamError, reset_code};
use proptest::prelude::*;

use crate::{Nobody, pair, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_arrive_in_order_whatever_the_pieces() {
    let (client, sidecar) = pair(Nobody, Nobody, Limits::default()).await;
    let recv = client.open_recv().unwrap();
    let send = sidecar.accept_send(recv.id()).unwrap();
    let data: Arc<Vec<u8>> = Arc::new((0..3_000_000_u32).map(|i| (i % 251) as u8).collect());
    let sent = Arc::clone(&data);
    let writer = tokio::spawn(async move {
        let mut at = 0;
        for size in [1_usize, 7, 100, 8191, 8192, 70_000, 300_000].into_iter().cycle() {
            let end = (at + size).min(sent.len());
            send.write_all(&sent[at..end]).await.unwrap();
            at = end;
            if at == sent.len() {
                break;
            }
        }
        send.finish();
        assert_eq!(send.ended(), Some(StreamError::Finished));
    });
    let all = soon(recv.read_to_end(usize::MAX)).await.unwrap().unwrap();
    assert!(all == *data);
    soon(writer).await.unwrap();
}

#[tokio::test]
async fn a_slow_reader_stops_only_its_own_producer() {
    let (client, sidecar) = pair(Nobody, Nobody, Limits::default()).await;
    let slow = client.open_recv().unwrap();
    let fast = client.open_recv().unwrap();
    let to_slow = sidecar.accept_send(slow.id()).unwrap();
    let to_fast = sidecar.accept_send(fast.id()).unwrap();
    let mut stuffed = 0;
    let piece = vec![1_u8; 50_000];
    loop {
        match to_slow.try_write(&piece).unwrap() {
            0 if stuffed == client.limits().window as usize => break,
            0 => tokio::task::yield_now().await,
            n => stuffed += n,
        }
    }
    let writer = tokio::spawn(async move {
        to_fast.write_all(&vec![2; 5_000_000]).await.unwrap();
        to_fast.finish();
    });
    assert_eq!(soon(fast.read_to_end(usize::MAX)).await.unwrap().unwrap().len(), 5_000_000);
    soon(writer).await.unwrap();

    let mut blocked = Context::from_waker(std::task::Waker::noop());
    assert!(to_slow.poll_write(&mut blocked, b"x").is_pending());
    let mut taken = 0;
    while taken < stuffed {
        taken += soon(slow.next_chunk()).await.unwrap().unwrap().len();
    }
    soon(to_slow.write_all(b"x")).await.unwrap();
    assert_eq!(&soon(slow.next_chunk()).await.unwrap().unwrap()[..], b"x");
}

#[tokio::test]
async fn closing_the_reader_fails_the_writer() {
    let (client, sidecar) = pair(Nobody, Nobody, Limits::default()).await;
    let recv = client.open_recv().unwrap();
    let send = sidecar.accept_send(recv.id()).unwrap();
    let writer = tokio::spawn(async move { send.write_all(&vec![0; 10_000_000]).await });
    soon(recv.next_chunk()).await.unwrap();
    drop(recv);
    assert_eq!(soon(writer).await.unwrap(), Err(StreamError::Closed));

    // Also when the reader went before the writer came.
    let recv = client.open_recv().unwrap();
    let id = recv.id();
    drop(recv);
    let send = sidecar.accept_send(id).unwrap();
    assert_eq!(soon(send.write_all(&vec![0; 10_000_000])).await, Err(StreamError::Closed));
    assert_eq!(soon(send.closed()).await, StreamError::Closed);
}

#[tokio::test]
async fn a_part_is_not_taken_for_the_whole() {
    let (client, sidecar) = pair(Nobody, Nobody, Limits::default()).await;
    let recv = client.open_recv().unwrap();
    let send = sidecar.accept_send(recv.id()).unwrap();
    send.write_all(b"half").await.unwrap();
    drop(send);
    assert_eq!(&soon(recv.next_chunk()).await.unwrap().unwrap()[..], b"half");
    assert_eq!(soon(recv.next_chunk()).await, Err(StreamError::Reset { code: reset_code::ABANDONED }));
}

#[tokio::test]
async fn ids_of_the_wrong_side_or_in_use_are_refused() {
    let (client, sidecar) = pair(Nobody, Nobody, Limits { streams: 4, ..Limits::default() }).await;
    let recv = client.open_recv().unwrap();
    let _send = sidecar.accept_send(recv.id()).unwrap();
    assert_eq!(sidecar.accept_send(recv.id()).unwrap_err(), StreamError::BadId { id: recv.id() });
    assert_eq!(sidecar.accept_send(2).unwrap_err(), StreamError::BadId { id: 2 });
    assert_eq!(sidecar.accept_recv(0).unwrap_err(), StreamError::BadId { id: 0 });
    let _more: Vec<_> = (0..3).map(|_| client.open_send().unwrap()).collect();
    assert_eq!(client.open_send().unwrap_err(), StreamError::TooMany { streams: 4 });
}

#[tokio::test]
async fn an_unused_stream_costs_no_frame_and_frees_its_place() {
    let limits = Limits { streams: 1, ..Limits::default() };
    let (client, _sidecar) = pair(Nobody, Nobody, limits).await;
    for _ in 0..10 {
        client.open_recv().unwrap().discard_unused();
    }
}

#[test]
fn streams_work_from_a_thread_without_a_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (client, sidecar) = runtime.block_on(pair(Nobody, Nobody, Limits::default()));
    let recv = client.open_recv().unwrap();
    let send = sidecar.accept_send(recv.id()).unwrap();
    let thread = std::thread::spawn(move || {
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Arc::new(Unpark(std::thread::current())).into();
        let mut cx = Context::from_waker(&waker);
        let data = vec![3_u8; 2_000_000];
        let mut at = 0;
        while at < data.len() {
            match send.poll_write(&mut cx, &data[at..]) {
                Poll::Ready(n) => at += n.unwrap(),
                Poll::Pending => std::thread::park_timeout(std::time::Duration::from_secs(20)),
            }
        }
        send.finish();
    });
    let all = runtime.block_on(soon(recv.read_to_end(usize::MAX))).unwrap().unwrap();
    assert_eq!(all.len(), 2_000_000);
    thread.join().unwrap();
}

#[tokio::test]
async fn records_arrive_whole() {
    let (client, sidecar) = pair(Nobody, Nobody, Limits::default()).await;
    let recv = client.open_recv().unwrap();
    let writer = RecordWriter::new(sidecar.accept_send(recv.id()).unwrap());
    let mut reader = RecordReader::<SessionEventRecord>::new(recv);
    let record = |seq: u64| SessionEventRecord {
        seq,
        method: "m".repeat(usize::try_from(seq).unwrap() * 1000),
        ..SessionEventRecord::default()
    };
    let task = tokio::spawn(async move {
        for seq in 1..=25 {
            writer.send(&record(seq)).await.unwrap();
        }
        let rest: Vec<_> = (26..=50).map(record).collect();
        writer.send_all(&[]).await.unwrap();
        writer.send_all(&rest).await.unwrap();
        writer.stream().finish();
    });
    for seq in 1..=50 {
        assert_eq!(soon(reader.next()).await.unwrap().unwrap(), record(seq));
    }
    assert_eq!(soon(reader.next()).await.unwrap(), None);
    soon(task).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the window, the sizes written and the sizes read: nothing is lost, reordered or over the credit (which
    /// would end the connection).
    #[test]
    fn credit_never_loses_bytes(
        window in 2_u32..5000,
        writes in prop::collection::vec(1_usize..3000, 1..60),
        reads in prop::collection::vec(1_usize..3000, 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let total: usize = writes.iter().sum();
        let data: Vec<u8> = (0..total).map(|i| (i % 253) as u8).collect();
        let expected = data.clone();
        let seen = runtime.block_on(async {
            let limits = Limits { window, ..Limits::default() };
            let (client, sidecar) = pair(Nobody, Nobody, limits).await;
            let recv = sidecar.open_recv().unwrap();
            let send = client.accept_send(recv.id()).unwrap();
            let writer = tokio::spawn(async move {
                let mut at = 0;
                for size in writes {
                    send.write_all(&data[at..at + size]).await.unwrap();
                    at += size;
                }
                send.finish();
            });
            let mut seen = Vec::new();
            for size in reads.into_iter().cycle() {
                let mut buf = vec![0; size];
                let n = soon(std::future::poll_fn(|cx| recv.poll_read(cx, &mut buf))).await.unwrap();
                if n == 0 {
                    break;
                }
                seen.extend_from_slice(&buf[..n]);
            }
            soon(writer).await.unwrap();
            seen
        });
        prop_assert!(seen == expected);
    }
}

#[tokio::test]
async fn a_stream_is_ready_only_when_a_write_would_take_something() {
    let limits = Limits { window: 100, ..Limits::default() };
    let (client, sidecar) = pair(Nobody, Nobody, limits).await;
    let recv = sidecar.open_recv().unwrap();
    let send = client.accept_send(recv.id()).unwrap();
    let ready = || send.poll_ready(&mut Context::from_waker(std::task::Waker::noop()));
    soon(send.write_all(&[1; 99])).await.unwrap();
    assert_eq!(ready(), Poll::Ready(()));
    soon(send.write_all(&[1])).await.unwrap();
    assert_eq!((ready(), send.try_write(&[1]).unwrap()), (Poll::Pending, 0));
    let reader = tokio::spawn(async move {
        let mut buf = [0; 100];
        assert!(std::future::poll_fn(|cx| recv.poll_read(cx, &mut buf)).await.unwrap() > 0);
        recv
    });
    soon(std::future::poll_fn(|cx| send.poll_ready(cx))).await;
    assert_eq!(send.try_write(&[1]).unwrap(), 1);
    drop(soon(reader).await.unwrap());
    // Whoever looks away makes every write fail at once.
    soon(async {
        while send.ended().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(ready(), Poll::Ready(()));
}

/// Counts how often a future is polled.
struct Counted<F>(F, Arc<AtomicUsize>);

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, Ordering::Relaxed);
        std::pin::Pin::new(&mut self.0).poll(cx)
    }
}

#[tokio::test]
async fn two_hundred_waiters_of_a_stream_are_woken_by_the_stream_alone() {
    const WAITERS: usize = 200;
    let (client, sidecar) = pair(Nobody, Nobody, Limits::default()).await;
    let recv = client.open_recv().unwrap();
    let send = Arc::new(sidecar.accept_send(recv.id()).unwrap());
    let polls = Arc::<AtomicUsize>::default();
    let waiting: Vec<_> = (0..WAITERS)
        .map(|_| {
            let (send, polls) = (Arc::clone(&send), Arc::clone(&polls));
            tokio::spawn(async move { Counted(Box::pin(send.closed()), polls).await })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(polls.load(Ordering::Relaxed), WAITERS, "nobody is woken while nothing happens");
    recv.close();
    for waiter in waiting {
        assert_eq!(soon(waiter).await.unwrap(), StreamError::Closed);
    }
    assert_eq!(polls.load(Ordering::Relaxed), 2 * WAITERS);
}
