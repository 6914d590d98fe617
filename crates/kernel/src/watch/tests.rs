//! What is told to whom, and what becomes of a watcher that does not look.

use super::*;
use crate::Limits;

fn path(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

fn watches(queue_bytes: u32) -> Arc<Watches> {
    Watches::new(&Limits { watches: 3, watch_queue_bytes: queue_bytes, ..Limits::default() }, None)
}

fn watch(watches: &Arc<Watches>, at: &str, recursive: bool) -> Watch {
    watches.add(at.into(), recursive).unwrap().unwrap()
}

/// All that waits, as text.
async fn heard(watch: &mut Watch) -> Vec<String> {
    let mut changes = Vec::new();
    // There is a mark, so this waits for nothing.
    watch.queue.push(Change { path: path("mark"), kind: ChangeKind::Created, is_dir: false });
    assert!(watch.next(usize::MAX, &mut changes).await);
    changes.pop();
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    changes
        .iter()
        .map(|change| match &change.kind {
            ChangeKind::Renamed { from } => format!("{}<{}", text(&change.path), text(from)),
            kind => format!("{}:{}", text(&change.path), &format!("{kind:?}")[..1]),
        })
        .collect()
}

#[tokio::test]
async fn a_watch_hears_of_its_path_and_what_lies_in_it() {
    let all = watches(1 << 20);
    let (mut one, mut deep, mut root) =
        (watch(&all, "/a", false), watch(&all, "/a", true), watch(&all, "/", true));
    for at in ["/a", "/a/b", "/a/b/c", "/ab", "/"] {
        all.changed(&path(at), &ChangeKind::Created, false);
    }
    assert_eq!(heard(&mut one).await, ["/a:C", "/a/b:C"]);
    assert_eq!(heard(&mut deep).await, ["/a:C", "/a/b:C", "/a/b/c:C"]);
    assert_eq!(heard(&mut root).await.len(), 5);
}

#[tokio::test]
async fn a_move_is_what_the_watcher_can_see_of_it() {
    let all = watches(1 << 20);
    let (mut a, mut b, mut inside) =
        (watch(&all, "/a", true), watch(&all, "/b", false), watch(&all, "/a/d/e", true));
    all.moved(&path("/a/x"), &path("/a/y"), false);
    all.moved(&path("/a/y"), &path("/b/z"), false);
    all.moved(&path("/c/d"), &path("/b/d"), true);
    assert_eq!(heard(&mut a).await, ["/a/y</a/x", "/a/y:R"]);
    assert_eq!(heard(&mut b).await, ["/b/z:C", "/b/d:C"]);
    assert!(heard(&mut inside).await.is_empty());
    // What is watched went away with a directory above it.
    all.moved(&path("/a/d"), &path("/a/f"), true);
    assert_eq!(heard(&mut inside).await, ["/a/d/e:O"]);
}

#[tokio::test]
async fn writes_that_nobody_took_yet_are_one() {
    let all = watches(1 << 20);
    let mut one = watch(&all, "/", true);
    for _ in 0..3 {
        all.changed(&path("/f"), &ChangeKind::Modified, false);
        all.changed(&path("/g"), &ChangeKind::Modified, false);
        all.changed(&path("/f"), &ChangeKind::Attributes, false);
    }
    assert_eq!(heard(&mut one).await, ["/f:M", "/g:M", "/f:A"]);
    all.changed(&path("/f"), &ChangeKind::Modified, false);
    all.changed(&path("/f"), &ChangeKind::Removed, false);
    all.changed(&path("/f"), &ChangeKind::Created, false);
    all.changed(&path("/f"), &ChangeKind::Modified, false);
    assert_eq!(heard(&mut one).await, ["/f:M", "/f:R", "/f:C", "/f:M"]);
}

#[tokio::test]
async fn a_full_queue_is_told_and_goes_on() {
    let all = watches(1000);
    let mut one = watch(&all, "/", true);
    for n in 0..1000 {
        all.changed(&path(&format!("/{n}")), &ChangeKind::Created, false);
    }
    let mut changes = Vec::new();
    assert!(one.next(usize::MAX, &mut changes).await);
    assert_eq!(changes[0].kind, ChangeKind::Overflow);
    assert!(changes[1..].iter().all(|change| change.kind == ChangeKind::Created) && changes.len() < 12);
    // Even a path that alone is too long only says to look.
    all.changed(&path(&"/x".repeat(1000)), &ChangeKind::Created, false);
    all.changed(&path("/y"), &ChangeKind::Created, false);
    assert_eq!(heard(&mut one).await, ["/:O", "/y:C"]);
    all.rescan(b"/mnt");
    assert_eq!(heard(&mut one).await, ["/:O"]);
}

#[tokio::test]
async fn watches_are_bounded_and_end() {
    let all = watches(1 << 20);
    assert!(!all.any());
    let mut three: Vec<_> = (0..3).map(|_| watch(&all, "/", true)).collect();
    let hit = all.add(b"/".to_vec(), true).err().unwrap();
    assert_eq!((hit.name, hit.configured, hit.used, hit.requested), ("watches", 3, 3, 1));
    three.pop();
    assert!(all.any() && all.add(b"/".to_vec(), true).is_ok());
    all.changed(&path("/f"), &ChangeKind::Created, false);
    all.close();
    assert!(!all.any() && all.add(b"/".to_vec(), true).unwrap().is_none());
    let mut changes = Vec::new();
    assert!(three[0].next(9, &mut changes).await && !three[0].next(9, &mut changes).await);
    assert_eq!(changes.len(), 1);
}
