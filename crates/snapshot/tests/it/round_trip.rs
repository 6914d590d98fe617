//! Export and import: the same tree, whatever is in it.

use agentos_snapshot::{Format, Limits, read};
use agentos_vfs::layer::{Change, ChangeKind, LayerDiff, Meta, diff};
use agentos_vfs::{FileContent, Layer, Timespec, Tree};
use proptest::prelude::*;

use crate::{all, packed, stack, unpack};

const FORMATS: [Format; 3] = [Format::Tar, Format::Json, Format::Oci];

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(|name| name.as_bytes().to_vec()),
        1 => prop::sample::select(vec![
            &b".wh.a"[..], b".wh..wh..opq", b"\xff\xfe", b"new\nline", "\u{e4}\u{2028}".as_bytes(), b"=", b" ", b"...",
        ])
        .prop_map(<[u8]>::to_vec),
        1 => Just(vec![b'x'; 255]),
        1 => Just([&[b'y'; 250][..], b"\xc3"].concat()),
    ]
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(name(), 1..4)
        .prop_map(|names| names.iter().flat_map(|name| [b"/", &name[..]].concat()).collect())
}

fn time() -> impl Strategy<Value = Timespec> {
    prop_oneof![
        Just(Timespec { secs: 0, nanos: 0 }),
        (-(1_i64 << 35)..1 << 35, 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Timespec { secs, nanos }),
    ]
}

fn meta() -> impl Strategy<Value = Meta> {
    let id = || prop_oneof![Just(0), Just(1000), any::<u32>()];
    ((0..0o10000_u32), id(), id(), time(), time(), time(), time()).prop_map(
        |(perm, uid, gid, atime, mtime, ctime, btime)| Meta { perm, uid, gid, atime, mtime, ctime, btime },
    )
}

fn content() -> impl Strategy<Value = FileContent> {
    prop_oneof![
        2 => prop::sample::select(vec!["", "text\n", "\u{7}bell", "\"quoted\\"])
            .prop_map(|text| FileContent::from(bytes::Bytes::from_static(text.as_bytes()))),
        2 => prop::collection::vec(any::<u8>(), 0..1500).prop_map(|data| FileContent::from(bytes::Bytes::from(data))),
        1 => (prop::collection::vec((0..40_u64, 1..90_000_usize), 0..3), 0..50_u64).prop_map(|(pieces, tail)| {
            let mut content = FileContent::default();
            for (at, length) in pieces {
                content.write_at(&vec![at as u8 + 1; length], at * 65_536, u64::MAX).unwrap();
            }
            content.set_len(content.len() + tail * 9_999).unwrap();
            content
        }),
    ]
}

fn kind() -> impl Strategy<Value = ChangeKind> {
    let target = || prop_oneof![Just(b"/a/b".to_vec()), path(), Just(vec![b't'; 4095])];
    prop_oneof![
        5 => meta().prop_map(|meta| ChangeKind::Directory { meta, opaque: false, hides_lower: meta.uid == 7 }),
        5 => (meta(), content()).prop_map(|(meta, content)| ChangeKind::Regular { meta, content }),
        1 => (meta(), target()).prop_map(|(meta, target)| ChangeKind::Symlink { meta, target: target.into() }),
        2 => path().prop_map(|target| ChangeKind::HardLink { target }),
        1 => (meta(), 0..1_u64 << 40).prop_map(|(meta, rdev)| ChangeKind::CharDevice { meta, rdev }),
        1 => (meta(), 0..1_u64 << 16).prop_map(|(meta, rdev)| ChangeKind::BlockDevice { meta, rdev }),
        1 => meta().prop_map(|meta| ChangeKind::Fifo { meta }),
        1 => meta().prop_map(|meta| ChangeKind::Socket { meta }),
        2 => Just(ChangeKind::Removed),
    ]
}

/// A layer with some of these changes over it: each one that fits.
fn change(base: &Layer, changes: Vec<(Vec<u8>, ChangeKind)>) -> Layer {
    changes.into_iter().fold(base.clone(), |layer, (path, kind)| {
        let one = LayerDiff { changes: vec![Change { path, kind }] };
        one.lay_over(&layer, &[]).unwrap_or(layer)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_packed_comes_back(
        before in prop::collection::vec((path(), kind()), 0..12),
        after in prop::collection::vec((path(), kind()), 0..12),
    ) {
        let base = change(&Layer::empty(), before);
        let top = change(&base, after);
        for format in FORMATS {
            let relative = packed(&diff(&base, &top), format);
            prop_assert_eq!(all(&stack(&base, &unpack(&relative).unwrap())), all(&top), "{:?}", format);
            let whole = packed(&diff(&Layer::empty(), &top), format);
            prop_assert_eq!(all(&stack(&Layer::empty(), &unpack(&whole).unwrap())), all(&top), "{:?}", format);
        }
    }

    #[test]
    fn what_is_damaged_never_panics(
        changes in prop::collection::vec((path(), kind()), 1..6),
        format in prop::sample::select(FORMATS.to_vec()),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut archive = packed(&diff(&Layer::empty(), &change(&Layer::empty(), changes)), format);
        let at = at.index(archive.len());
        if cut {
            archive.truncate(at);
        } else {
            archive[at] = byte;
        }
        for layer in unpack(&archive).unwrap_or_default() {
            let _ = layer.lay_over(&Layer::empty());
        }
    }
}

#[test]
fn the_same_layer_gives_the_same_bytes() {
    let tree = Tree::new();
    tree.put_file("/a/b", 0o644, 1, 2, "text").unwrap();
    let changes = diff(&Layer::empty(), &tree.freeze());
    for format in FORMATS {
        assert_eq!(packed(&changes, format), packed(&changes, format));
    }
}

#[test]
fn holes_stay_holes() {
    let mut content = FileContent::default();
    content.write_at(b"begin", 0, u64::MAX).unwrap();
    content.write_at(b"middle", 300 << 30, u64::MAX).unwrap();
    content.set_len(1 << 40).unwrap();
    let tree = Tree::with_limits(agentos_vfs::TreeLimits { bytes: 1 << 30, inodes: 10 });
    tree.put_content("/giant", 0o644, 0, 0, &content).unwrap();
    let limits = Limits { bytes: 1 << 30, inodes: 10, known: Vec::new() };
    for format in FORMATS {
        let archive = packed(&diff(&Layer::empty(), &tree.freeze()), format);
        assert!(archive.len() < 300_000, "{format:?}: {}", archive.len());
        let layer = stack(&Layer::empty(), &read(&archive[..], None, &limits).unwrap());
        let Some(ChangeKind::Regular { content, .. }) = all(&layer).pop().map(|change| change.kind) else {
            panic!("a file")
        };
        assert_eq!(content.len(), 1 << 40);
        let mut six = [0; 6];
        content.read_at(&mut six, 300 << 30);
        assert_eq!(&six, b"middle");
        // The table of its holes is charged, so a small limit is one.
        let small = Limits { bytes: 1 << 20, inodes: 10, known: Vec::new() };
        let error = read(&archive[..], None, &small).unwrap_err().to_string();
        assert!(error.starts_with("limit filesystemBytes"), "{error}");
    }
}

#[test]
fn contents_that_are_known_are_shared() {
    let program = FileContent::from(bytes::Bytes::from_static(&[7; 100_000]));
    let tree = Tree::new();
    tree.put_content("/bin/tool", 0o755, 0, 0, &program).unwrap();
    let archive = packed(&diff(&Layer::empty(), &tree.freeze()), Format::Tar);
    let limits = Limits { known: vec![program.clone()], ..crate::limits() };
    let layers = read(&archive[..], None, &limits).unwrap();
    let Some(ChangeKind::Regular { content, .. }) = layers[0].diff.changes.last().map(|change| &change.kind)
    else {
        panic!("a file")
    };
    assert_eq!(content.as_shared().unwrap().as_ptr(), program.as_shared().unwrap().as_ptr());
}
