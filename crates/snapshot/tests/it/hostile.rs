//! Archives that somebody made to do harm, or that broke on their way.

use std::io::Read;

use agentos_snapshot::{Format, ImportError, Limits, read};
use agentos_vfs::layer::{Change, ChangeKind, LayerDiff, Meta};
use agentos_vfs::{Layer, Timespec, Tree};
use tar::{EntryType, Header};

use crate::image::{gzip, tar};
use crate::{limits, packed, paths, stack, unpack};

/// One entry, its name and link as they are.
fn entry(name: &[u8], kind: EntryType, link: &[u8], size: u64, data: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name);
    old.linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    let mut all = header.as_bytes().to_vec();
    all.extend_from_slice(data);
    all.resize(all.len().next_multiple_of(512), 0);
    all
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [&entries.concat()[..], &[0; 1024]].concat()
}

fn plain(name: &[u8], data: &[u8]) -> Vec<u8> {
    entry(name, EntryType::Regular, b"", data.len() as u64, data)
}

/// What reading, or laying it over a tree, says.
fn refused(archive: &[u8]) -> String {
    let lower = Tree::new();
    lower.put_file("/etc/passwd", 0o644, 0, 0, "x").unwrap();
    lower.put_symlink("/link", "/etc").unwrap();
    match unpack(archive) {
        Err(error) => error.to_string(),
        Ok(layers) => match layers[0].lay_over(&lower.freeze()) {
            Err(error) => error.to_string(),
            Ok(layer) => panic!("taken: {:?}", paths(&layer)),
        },
    }
}

#[test]
fn global_headers_are_bounded_together() {
    let global = |n: usize| {
        let record = |length: usize| format!("{length} key{n:04}={}\n", "x".repeat(1000));
        let text = record(record(1000).len());
        entry(b"global", EntryType::XGlobalHeader, b"", text.len() as u64, text.as_bytes())
    };
    let few: Vec<_> = (0..50).map(global).chain([plain(b"f", b"1")]).collect();
    assert_eq!(paths(&stack(&Layer::empty(), &unpack(&archive(&few)).unwrap())), ["/", "/f"]);
    let many: Vec<_> = (0..100).map(global).collect();
    assert!(refused(&archive(&many)).contains("more than 65536 bytes together"));
}

#[test]
fn nothing_leaves_the_tree_and_the_entry_is_named() {
    let regular = EntryType::Regular;
    let link = |name: &[u8], target: &[u8]| entry(name, EntryType::Link, target, 0, b"");
    let cases: Vec<(Vec<Vec<u8>>, &str, &str)> = vec![
        (vec![plain(b"../x", b"")], "../x", "`..`"),
        (vec![plain(b"a/../../x", b"")], "a/../../x", "`..`"),
        (vec![entry(b"d/..", EntryType::Directory, b"", 0, b"")], "d/..", "`..`"),
        // A link in the archive, or in the layer below, as a parent.
        (
            vec![entry(b"s", EntryType::Symlink, b"/etc", 0, b""), plain(b"s/x", b"")],
            "/s/x",
            "not a directory",
        ),
        (vec![plain(b"link/x", b"")], "/link/x", "not a directory"),
        (vec![plain(b"f", b""), plain(b"f/x", b"")], "/f/x", "not a directory"),
        (vec![entry(b"l", EntryType::Symlink, b"", 0, b"")], "\"l\"", "without a target"),
        (vec![link(b"h", b"missing")], "/h", "no such file"),
        (vec![link(b"h", b"../etc/passwd")], "\"h\"", "leads out"),
        (vec![link(b"h", b"etc")], "/h", "not permitted"),
        (vec![link(b"h", b"h")], "/h", "no such file"),
        (vec![plain(b"f", b""), link(b"f", b"f")], "/f", "no such file"),
        (vec![plain(b".wh.", b"")], ".wh.", "whiteout of nothing"),
        (vec![plain(b"a/.wh...", b"")], "a/.wh...", "whiteout of nothing"),
        (vec![plain(b".wh..", b"")], ".wh..", "whiteout of nothing"),
        (vec![entry(b"./", EntryType::Symlink, b"x", 0, b"")], "./", "root is a directory"),
        (vec![entry(b"x", EntryType::new(b'D'), b"", 0, b"")], "x", "'D'"),
        (vec![entry(b"s", EntryType::GNUSparse, b"", 0, b"")], "s", "--format=posix"),
        (vec![entry(b"big", regular, b"", 1 << 50, b"")], "filesystemBytes", "more asked for"),
        (vec![entry(b"d", EntryType::Directory, b"", 1 << 50, b"")], "d", "bytes of data"),
        (vec![entry(b"n", EntryType::GNULongName, b"", 1 << 40, b"")], "n", "extended header"),
        (vec![entry(b"x", EntryType::XHeader, b"", 1 << 40, b"")], "x", "extended header"),
        (vec![entry(b"x", EntryType::XHeader, b"", 5, b"5 a=b")], "x", "damaged extended"),
    ];
    for (entries, name, reason) in cases {
        let said = refused(&archive(&entries));
        assert!(said.contains(name) && said.contains(reason), "{name}: {said}");
    }
}

#[test]
fn absolute_names_count_from_the_root_of_the_tree() {
    let layers = unpack(&archive(&[plain(b"/etc/x", b"1"), plain(b"//y", b"2")])).unwrap();
    assert_eq!(paths(&stack(&Layer::empty(), &layers)), ["/", "/etc", "/etc/x", "/y"]);
}

#[test]
fn names_may_be_long_but_not_longer_than_a_directory_takes() {
    let long = |name: &[u8]| entry(b"././@LongLink", EntryType::GNULongName, b"", name.len() as u64, name);
    let said = refused(&archive(&[long(&[b'n'; 100_000]), plain(b"x", b"")]));
    assert!(said.contains("65,536 bytes") && said.len() < 1000, "{said}");
    let said = refused(&archive(&[long(&[b'n'; 256]), plain(b"x", b"")]));
    assert!(said.contains("255 bytes"), "{said}");
    let deep = b"d/".repeat(3000);
    let layers = unpack(&archive(&[long(&deep), plain(b"x", b"")])).unwrap();
    assert_eq!(paths(&stack(&Layer::empty(), &layers)).len(), 3001);
}

#[test]
fn duplicates_replace_one_another_and_devices_are_only_nodes() {
    let entries = [
        plain(b"a", b"1"),
        plain(b"a", b"2"),
        entry(b"a", EntryType::Directory, b"", 0, b""),
        plain(b"a/b", b""),
        entry(b"a", EntryType::Directory, b"", 0, b""),
        entry(b"sda", EntryType::Block, b"", 0, b""),
        entry(b"up", EntryType::Symlink, b"../../..", 0, b""),
    ];
    let layers = unpack(&archive(&entries)).unwrap();
    assert_eq!(paths(&stack(&Layer::empty(), &layers)), ["/", "/a", "/a/b", "/sda", "/up"]);
}

#[test]
fn what_is_cut_off_is_no_archive() {
    let whole = archive(&[plain(b"first", b"1"), plain(b"second", &[7; 3000])]);
    let end = whole.len() - 1024;
    for cut in [1, 100, 511, 512, 513, 1023, 1024, 1536, 2000, 4000, end - 1, end, end + 100] {
        let said = refused(&whole[..cut]);
        let gz = gzip(&whole);
        assert!(said.contains("first") || said.contains("second") || cut < 1024, "{cut}: {said}");
        assert!(unpack(&gz[..gz.len() * cut / (end + 1000)]).is_err());
    }
    assert!(refused(b"").contains("empty"));
    assert!(refused(b"PK\x03\x04").contains("neither"));
    assert!(refused(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0]).contains("zstd"));
    assert!(unpack(&[0; 1024]).unwrap()[0].diff.is_empty());
}

#[test]
fn bombs_end_at_the_limits() {
    /// An entry that says it has a terabyte, and has.
    struct Endless(Vec<u8>);
    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.len().min(buf.len());
            buf[..n].copy_from_slice(&self.0[..n]);
            buf[n..].fill(0);
            self.0.drain(..n);
            Ok(buf.len())
        }
    }
    let limit = |result: Result<_, ImportError>| match result.map(|_: Vec<agentos_snapshot::Snapshot>| ()) {
        Err(ImportError::Limit { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    let header = entry(b"bomb", EntryType::Regular, b"", 1 << 39, b"");
    assert_eq!(limit(read(Endless(header), None, &limits())), "filesystemBytes");
    // Many small ones, in a gzip of a gzip ratio that hides them.
    let many = archive(&vec![plain(b"x", b""); 20_000]);
    assert_eq!(limit(unpack(&gzip(&many))), "inodes");
    let whiteouts = archive(&vec![plain(b".wh.x", b""); 50_000]);
    assert_eq!(limit(unpack(&whiteouts)), "snapshotEntries");
    let links = archive(&vec![entry(b"l", EntryType::Link, b"x", 0, b""); 50_000]);
    assert_eq!(limit(unpack(&links)), "snapshotEntries");
    let globals = archive(&vec![entry(b"g", EntryType::XGlobalHeader, b"", 0, b""); 50_000]);
    assert_eq!(limit(unpack(&globals)), "snapshotEntries");
    let long = entry(b"L", EntryType::GNULongName, b"", 60_000, &b"e/".repeat(30_000));
    let paths = archive(&vec![[&long[..], &plain(b"x", b"")].concat(); 1500]);
    assert_eq!(limit(unpack(&paths)), "snapshotPathBytes");
    let zeros = gzip(&archive(&[plain(b"zeros", &vec![0; 9 << 20])]));
    assert!(zeros.len() < 1 << 20);
    assert_eq!(limit(unpack(&zeros)), "filesystemBytes");
    let text =
        format!(r#"{{"entries":[{{"path":"/a","type":"file","content":"{}"}}]}}"#, "x".repeat(9 << 20));
    assert_eq!(limit(unpack(text.as_bytes())), "filesystemBytes");
    let exact = Limits { bytes: 512 + 65, inodes: 1, known: Vec::new() };
    assert!(read(&tar(&[("a", b"1")])[..], None, &exact).is_ok());
    assert_eq!(
        limit(read(&tar(&[("a", b"1")])[..], None, &Limits { bytes: 512 + 64, ..exact })),
        "filesystemBytes"
    );
}

#[test]
fn tables_of_sparse_files_must_fit() {
    let sparse = |real: &str, table: &[u8], size: u64| {
        let record = |key: &str, value: &str| {
            let rest = key.len() + value.len() + 3;
            let length = if rest + 2 >= 100 { rest + 3 } else { rest + 2 };
            format!("{length} {key}={value}\n")
        };
        let records = record("GNU.sparse.major", "1")
            + &record("GNU.sparse.minor", "0")
            + &record("GNU.sparse.name", "holes")
            + &record("GNU.sparse.realsize", real);
        let extended = entry(b"x", EntryType::XHeader, b"", records.len() as u64, records.as_bytes());
        archive(&[extended, entry(b"GNUSparseFile.0/holes", EntryType::Regular, b"", size, table)])
    };
    let block = |text: &str| [text.as_bytes(), &vec![0; 512 - text.len()]].concat();
    let good = [&block("1\n100\n4\n")[..], b"data"].concat();
    let layers = unpack(&sparse("200", &good, 516)).unwrap();
    assert_eq!(Tree::from_layer(&stack(&Layer::empty(), &layers)).read_file("/holes").unwrap().len(), 200);
    for (real, table, size, reason) in [
        ("50", &good, 516, "behind its end"),
        ("200", &good, 515, "does not fit"),
        ("x", &good, 516, "without a size"),
        ("2199023255552", &good, 516, "1 TiB"),
        ("200", &block("2\n100\n4\n50\n1\n"), 517, "overlap"),
        ("200", &block("99999999999\n"), 512, "too many"),
        ("200", &block("-1\n"), 512, "damaged"),
        ("200", &block("1\n18446744073709551615\n1\n"), 512, "behind its end"),
    ] {
        let said = refused(&sparse(real, table, size));
        assert!(said.contains("holes") && said.contains(reason), "{reason}: {said}");
    }
}

#[test]
fn a_path_that_no_reader_takes_is_not_written() {
    let zero = Timespec { secs: 0, nanos: 0 };
    let meta = Meta { perm: 0o644, uid: 0, gid: 0, atime: zero, mtime: zero, ctime: zero, btime: zero };
    let change = Change { path: b"/d".repeat(40_000), kind: ChangeKind::Fifo { meta } };
    let diff = LayerDiff { changes: vec![change] };
    for format in [Format::Tar, Format::Json, Format::Oci] {
        let error = agentos_snapshot::write(&diff, format, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("/d/d/d") && error.len() < 500, "{error}");
    }
    let short = LayerDiff { changes: vec![Change { path: b"/a".to_vec(), kind: ChangeKind::Fifo { meta } }] };
    assert!(unpack(&packed(&short, Format::Tar)).is_ok());
}
