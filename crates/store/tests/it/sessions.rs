//! Logs of sessions: numbers without a gap, segments, ends that were cut off, and what is not kept any more.

use agentos_store::StoreError;
use agentos_store::sessions::{SessionLog, SessionLogs};

const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn all(log: &SessionLog, after: u64) -> Vec<(u64, Vec<u8>)> {
    let mut reader = log.reader(after).unwrap();
    std::iter::from_fn(|| reader.next_record().unwrap()).collect()
}

fn record(n: u64) -> Vec<u8> {
    format!("record {n} {}", "x".repeat(usize::try_from(n % 40).unwrap())).into_bytes()
}

#[test]
fn records_are_read_from_any_number_while_more_are_written() {
    let scratch = tempfile::tempdir().unwrap();
    let logs = SessionLogs::open(&scratch.path().join("a/sessions")).unwrap();
    let mut log = logs.create(ID, b"head").unwrap();
    assert_eq!((log.first(), log.next()), (1, 1));
    let mut live = log.reader(0).unwrap();
    assert_eq!(live.next_record().unwrap(), None);
    let mut seen = Vec::new();
    for n in 1..=200 {
        log.append(n, &record(n)).unwrap();
        seen.push(live.next_record().unwrap().unwrap());
        assert_eq!(live.next_record().unwrap(), None, "{n}");
    }
    assert_eq!(seen, all(&log, 0));
    assert_eq!(all(&log, 150), seen[150..]);
    assert!(all(&log, 200).is_empty() && all(&log, u64::MAX).is_empty());
    log.set_head(b"other").unwrap();
    log.sync().unwrap();
    drop(log);
    let (log, head) = logs.log(ID).unwrap();
    assert_eq!((log.next(), head.as_slice()), (201, &b"other"[..]));
    assert_eq!(all(&log, 0), seen);
    let last = log.back_to(|data| data.starts_with(b"record 190 ")).unwrap();
    assert_eq!(last, seen[189..]);
    assert_eq!(log.back_to(|_| false).unwrap(), seen);
    assert_eq!(logs.list().unwrap(), [ID]);
    logs.remove(ID).unwrap();
    logs.remove(ID).unwrap();
    assert!(logs.list().unwrap().is_empty());
}

#[test]
fn whatever_was_cut_off_at_the_end_is_left_out_and_writing_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let logs = SessionLogs::open(scratch.path()).unwrap();
    let mut log = logs.create(ID, b"{}").unwrap();
    log.append_all((1..=5).map(|n| (n, &b"some data"[..]))).unwrap();
    drop(log);
    let file = scratch.path().join(ID).join("00000000000000000001.events");
    let whole = std::fs::read(&file).unwrap();
    let one = SessionLog::cost(9);
    assert_eq!(whole.len(), 5 * one);
    for cut in 0..=whole.len() {
        std::fs::write(&file, &whole[..cut]).unwrap();
        let (mut log, _) = logs.log(ID).unwrap();
        let kept = (cut / one) as u64;
        assert_eq!(log.next(), kept + 1, "{cut}");
        log.append(kept + 1, b"after").unwrap();
        let after = all(&log, 0);
        assert_eq!(after.len() as u64, kept + 1);
        assert_eq!(after.last().unwrap().1, b"after");
    }
    // A byte that the disk mixed up ends what is believed.
    let mut wrong = whole.clone();
    wrong[3 * one + 25] ^= 1;
    std::fs::write(&file, &wrong).unwrap();
    assert_eq!(logs.log(ID).unwrap().0.next(), 4);
}

#[test]
fn the_oldest_segments_go_and_that_can_be_seen() {
    let scratch = tempfile::tempdir().unwrap();
    let logs = SessionLogs::open(scratch.path()).unwrap();
    let mut log = logs.create(ID, b"{}").unwrap();
    let mut slow = log.reader(0).unwrap();
    let data = vec![b'x'; 4 << 20];
    for n in 1..=70 {
        log.append(n, &data).unwrap();
    }
    // 32 segments of two records each.
    assert_eq!((log.first(), log.next()), (7, 71));
    assert_eq!(slow.next_record().unwrap().unwrap().0, 7, "the first that is kept");
    assert_eq!(all(&log, 60).len(), 10);
    drop(log);
    assert_eq!(logs.log(ID).unwrap().0.first(), 7);
}

#[test]
fn ids_and_numbers_that_cannot_be_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let logs = SessionLogs::open(scratch.path()).unwrap();
    for id in ["", "..", "a/b", "a\0", &"a".repeat(65)] {
        assert!(matches!(logs.create(id, b""), Err(StoreError::NotAStore { .. })), "{id:?}");
    }
    let mut log = logs.create(ID, b"").unwrap();
    assert!(logs.create(ID, b"").is_err());
    assert!(log.append(2, b"").is_err());
    // After a failure it is not known what is there.
    assert!(log.append(1, b"").is_err());
    assert!(logs.head("none").is_err());
}
