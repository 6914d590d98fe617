//! Archives of skills: what is read, and everything that is refused.

use agentos_driver::skills::archive::{self, Content, MAX_ENTRIES, MAX_FILE, MAX_FILES};
use proptest::prelude::*;

use crate::zips::{Entry, FILE, LINK, PROGRAM, Zip, descriptor, directory, file};

fn paths(zip: &Zip) -> Vec<String> {
    let read = archive::read(&zip.bytes()).unwrap_or_else(|refused| panic!("{refused}"));
    read.into_iter().map(|entry| entry.path).collect()
}

/// A good archive with one entry more.
fn with(entry: Entry) -> Zip {
    let mut zip = Zip::good();
    zip.entries.push(entry);
    zip
}

/// A good archive whose `scripts/run.sh` is another.
fn changed(change: impl FnOnce(&mut Entry)) -> Zip {
    let mut zip = Zip::good();
    change(&mut zip.entries[2]);
    zip
}

fn whole(change: impl FnOnce(&mut Zip)) -> Zip {
    let mut zip = Zip::good();
    change(&mut zip);
    zip
}

fn check_refused(table: Vec<(&str, Zip, &str)>) {
    for (what, zip, why) in table {
        match archive::read(&zip.bytes()) {
            Ok(_) => panic!("{what}: it was read"),
            Err(refused) => assert!(refused.to_string().contains(why), "{what}: {refused}"),
        }
    }
}

#[test]
fn a_good_archive_is_read_as_it_is() {
    let entries = archive::read(&Zip::good().bytes()).unwrap();
    let file = |bytes: &[u8], executable| Content::File { bytes: bytes.to_vec(), executable };
    let expected = [
        ("SKILL.md", file("# Good\n".repeat(50).as_bytes(), false)),
        ("scripts", Content::Directory),
        ("scripts/run.sh", file(b"#!/bin/sh\n", true)),
        ("references/deep/er/text.md", file(b"text", false)),
        ("assets/picture", file(&[0, 255, 7], false)),
    ];
    let read: Vec<(&str, Content)> =
        entries.iter().map(|entry| (entry.path.as_str(), entry.content.clone())).collect();
    assert_eq!(read, expected);
}

#[test]
fn what_programs_that_write_zips_differ_in_is_read() {
    let late = |signature: bool| {
        changed(|entry| {
            entry.flags = 1 << 3;
            (entry.local.crc, entry.local.size, entry.local.compressed) = (Some(0), Some(0), Some(0));
            entry.after = descriptor(&entry.bytes, signature);
        })
    };
    // A time stamp, longer in the local header.
    let stamps = |entry: &mut Entry| {
        entry.extra = b"UT\x05\x00\x01abcd".to_vec();
        entry.local.extra = b"UT\x09\x00\x01abcdefgh".to_vec();
    };
    let table = [
        ("sizes after the data", late(true)),
        ("the same without a signature", late(false)),
        ("time stamps", changed(stamps)),
        ("a comment of an entry", changed(|entry| entry.comment = b"made by hand".to_vec())),
        ("a name in UTF-8", with(Entry { flags: 1 << 11, ..file("assets/\u{e4}\u{1f980}", "x") })),
        ("a backslash", with(file("assets\\sub\\file", "x"))),
        ("a directory of DOS", with(Entry { mode: 0, system: 0, dos: 0x10, ..directory("assets/empty/") })),
        ("a directory by its slash alone", with(Entry { mode: 0, system: 0, ..directory("assets/empty/") })),
        ("a directory after what is in it", with(directory("assets/"))),
        ("an empty file", with(file("assets/nothing", ""))),
        ("a name that only begins like a reserved one", with(file("assets/tokenizer.keys", ""))),
    ];
    for (what, zip) in table {
        assert!(paths(&zip).len() >= 5, "{what}");
    }
}

#[test]
fn a_program_is_one_by_the_mode_of_unix_alone() {
    for (mode, system, expected) in
        [(PROGRAM, 3, true), (0o100_100, 19, true), (FILE, 3, false), (PROGRAM, 0, false), (0o755, 3, true)]
    {
        let zip = Zip::of([file("SKILL.md", ""), Entry { mode, system, ..file("scripts/a", "") }]);
        let entries = archive::read(&zip.bytes()).unwrap();
        let executable = matches!(entries[1].content, Content::File { executable: true, .. });
        assert_eq!(executable, expected, "{mode:o} of {system}");
    }
}

#[test]
fn names_that_may_not_be_are_refused() {
    let mut table = Vec::new();
    for name in
        ["skill.md", "README.md", "src/a", "scripts", "SKILL.md/", "SKILL.md/a", "Scripts/a", "C:/assets/a"]
    {
        table.push((name, with(file(name, "")), ""));
    }
    for name in ["/assets/a", "assets//a", "assets/./a", "assets/../a", "..", "assets/..", "../assets/a", ""]
    {
        table.push((name, with(file(name, "")), "segment"));
    }
    for name in ["\\assets\\a", "assets\\..\\..\\a", "assets/..\\a"] {
        table.push((name, with(file(name, "")), "segment"));
    }
    for name in ["assets/a\0b", "assets/a\nb", "assets/\u{7f}", "assets/\u{85}", "assets/\u{fffd}"] {
        table.push((name, with(file(name, "")), "control characters"));
    }
    for name in [
        "assets/.git",
        "assets/.env/x",
        "assets/__proto__/x",
        "assets/--PROTO--",
        "assets/_-proto-_/x",
        "assets/constructor",
        "assets/Prototype",
        "assets/credential",
        "assets/CREDENTIALS/x",
        "assets/private/x",
        "assets/a/b/provenance",
        "assets/runtime-state",
        "assets/Runtime_State/x",
        "assets/secret",
        "assets/secrets/x",
        "assets/session",
        "assets/sessions/x",
        "assets/token",
        "assets/TOKENS",
        "assets/to\u{212a}en",
        "assets/\u{17f}ecret",
        "assets/vault/x",
        "assets/a.key",
        "assets/A.KEY",
        "assets/x.pem/y",
        "assets/b.Pem",
    ] {
        table.push((name, with(file(name, "")), "reserved"));
    }
    let long = format!("assets/{}", "a".repeat(256));
    table.push(("a long segment", with(file(&long, "")), "too long"));
    let deep = format!("assets{}", "/aaaa".repeat(250));
    table.push(("a long path", with(file(&deep, "")), "too long"));
    let latin = Entry { name: b"assets/\xe4".to_vec(), ..file("", "") };
    table.push(("no UTF-8", with(latin), "UTF-8"));
    check_refused(table);
}

#[test]
fn names_that_are_one_to_some_file_system_are_refused() {
    let two = |a: Entry, b: Entry| {
        let mut zip = with(a);
        zip.entries.push(b);
        zip
    };
    check_refused(vec![
        ("a file twice", with(file("SKILL.md", "other")), "twice"),
        ("a directory twice", with(directory("scripts/")), "twice"),
        ("twice by a backslash", with(file("scripts\\run.sh", "")), "twice"),
        ("another case", with(file("scripts/RUN.sh", "")), "capitals"),
        ("another case of a directory", two(file("assets/A/x", ""), file("assets/a/y", "")), "capitals"),
        ("another case beyond ASCII", two(file("assets/\u{c4}", ""), file("assets/\u{e4}", "")), "capitals"),
        ("sharp s", two(file("assets/stra\u{df}e", ""), file("assets/STRASSE", "")), "capitals"),
        ("a file that is a directory", with(file("scripts/run.sh/x", "")), "file and a directory"),
        ("a directory that is a file", with(file("references/deep", "")), "file and a directory"),
        (
            "the same in another order",
            two(file("assets/a", ""), directory("assets/a/")),
            "file and a directory",
        ),
    ]);
}

#[test]
fn links_devices_and_modes_that_lie_are_refused() {
    let of = |mode: u32| Entry { mode, ..file("assets/x", "SKILL.md") };
    check_refused(vec![
        ("a link", with(of(LINK)), "a link"),
        ("a link that says it is of DOS", with(Entry { system: 0, ..of(LINK) }), "a link"),
        ("a device", with(of(0o020_666)), "a device"),
        ("a disk", with(of(0o060_666)), "a device"),
        ("a pipe", with(of(0o010_666)), "a device"),
        ("a socket", with(of(0o140_666)), "a device"),
        ("a directory without a slash", with(of(0o040_755)), "its mode"),
        ("a file with a slash", with(Entry { mode: FILE, ..directory("assets/x/") }), "its mode"),
        ("DOS says directory", with(Entry { mode: 0, dos: 0x10, ..of(0) }), "its mode"),
        ("DOS and unix differ", with(Entry { dos: 0x10, ..of(FILE) }), "nothing that is known"),
        (
            "a directory with data",
            with(Entry { bytes: b"x".to_vec(), ..directory("assets/x/") }),
            "with data",
        ),
    ]);
}

#[test]
fn sizes_are_counted_and_not_believed() {
    let many = |count: usize| {
        let files = (1..count).map(|n| file(&format!("assets/{n}"), ""));
        Zip::of([file("SKILL.md", "")].into_iter().chain(files))
    };
    assert_eq!(paths(&many(MAX_ENTRIES)).len(), MAX_ENTRIES);
    let largest = with(file("assets/x", vec![7; MAX_FILE]));
    assert_eq!(paths(&largest).len(), 6);
    let full = |last: usize| {
        let mut zip = Zip::of((1..13).map(|n| file(&format!("assets/{n}"), vec![0; MAX_FILE])));
        zip.entries.push(file("assets/last", vec![0; last]));
        zip.entries.push(file("SKILL.md", "#"));
        zip
    };
    let rest = MAX_FILES - 12 * MAX_FILE - 1;
    assert_eq!(paths(&full(rest)).len(), 14);
    let bomb = vec![0; MAX_FILE + 1];
    check_refused(vec![
        ("an entry too many", many(MAX_ENTRIES + 1), "256 entries"),
        ("a large file", with(file("assets/x", bomb.clone())), "2 MiB"),
        ("a large stored file", with(Entry { deflate: false, ..file("assets/x", bomb.clone()) }), "2 MiB"),
        ("one that says it is small", with(Entry { size: Some(1), ..file("assets/x", bomb) }), "2 MiB"),
        ("a byte too much in all", full(rest + 1), "25 MiB"),
    ]);
    let huge = vec![0; archive::MAX_ARCHIVE + 1];
    assert!(archive::read(&huge).unwrap_err().to_string().contains("32 MiB"));
}

#[test]
fn headers_that_differ_or_lie_are_refused() {
    check_refused(vec![
        ("another name", changed(|e| e.local.name = Some(b"scripts/ruin.s".to_vec())), "in the name"),
        ("another method", changed(|e| e.local.method = Some(0)), "differ in method"),
        ("another checksum", changed(|e| e.local.crc = Some(1)), "differ in method"),
        ("another size", changed(|e| e.local.size = Some(1)), "differ in method"),
        ("another compressed size", changed(|e| e.local.compressed = Some(1)), "differ in method"),
        ("other flags", changed(|e| e.local.flags = Some(2)), "differ in method"),
        (
            "sums left out without a descriptor",
            changed(|e| {
                (e.local.crc, e.local.size, e.local.compressed) = (Some(0), Some(0), Some(0));
            }),
            "differ in method",
        ),
        ("a wrong checksum", changed(|e| e.crc = Some(1)), "checksum is wrong"),
        ("a wrong size", changed(|e| e.size = Some(9)), "another size"),
        (
            "a wrong stored size",
            changed(|e| {
                e.deflate = false;
                e.size = Some(9);
            }),
            "another size",
        ),
        ("encrypted", changed(|e| e.flags = 1), "encrypted"),
        ("strongly encrypted", changed(|e| e.flags = 1 << 6), "encrypted"),
        ("hidden headers", changed(|e| e.flags = 1 << 13), "encrypted"),
        ("a patch", changed(|e| e.flags = 1 << 5), "encrypted"),
        ("another method in both", changed(|e| e.method = Some(12)), "neither stored nor deflated"),
        ("AES", changed(|e| e.method = Some(99)), "neither stored nor deflated"),
        ("zip64", changed(|e| e.extra = b"\x01\x00\x08\x0012345678".to_vec()), "extra field"),
        (
            "zip64 in the local header",
            changed(|e| e.local.extra = b"\x01\x00\x00\x00".to_vec()),
            "extra field",
        ),
        ("sizes of zip64", changed(|e| e.compressed = Some(u32::MAX)), "overlap"),
        ("another name in Unicode", changed(|e| e.extra = b"up\x05\x00\x01abcd".to_vec()), "extra field"),
        ("AES in an extra field", changed(|e| e.extra = b"\x01\x99\x00\x00".to_vec()), "extra field"),
        ("malformed extra", changed(|e| e.extra = b"UT\xff\x00".to_vec()), "malformed"),
        ("another disk", changed(|e| e.disk = 1), "part of a set"),
        ("data that are not deflated", changed(|e| e.data = Some(vec![0xff; 12])), "not deflated"),
        (
            "a stream without an end",
            changed(|e| {
                let mut data = crate::zips::deflated(&e.bytes);
                data.pop();
                e.data = Some(data);
            }),
            "no end",
        ),
        (
            "bytes behind the stream",
            changed(|e| {
                let mut data = crate::zips::deflated(&e.bytes);
                data.push(0);
                e.data = Some(data);
            }),
            "behind the end",
        ),
        ("no stream at all", changed(|e| e.data = Some(Vec::new())), "no end"),
    ]);
}

#[test]
fn no_byte_is_left_over_or_used_twice() {
    let late = |after: Vec<u8>| {
        changed(|entry| {
            entry.flags = 1 << 3;
            entry.after = after;
        })
    };
    let right = descriptor(b"#!/bin/sh\n", true);
    let mut wrong = right.clone();
    wrong[5] ^= 1;
    let mut long = right.clone();
    long.extend([0; 8]);
    check_refused(vec![
        ("nothing", Zip::default(), "no SKILL.md"),
        ("no SKILL.md", Zip::of([file("assets/a", "")]), "no SKILL.md"),
        ("data before", whole(|zip| zip.entries[0].before = b"#!".to_vec()), "before it"),
        ("data between", changed(|entry| entry.before = b"x".to_vec()), "after it"),
        ("data after an entry", changed(|entry| entry.after = b"x".to_vec()), "after it"),
        ("data before the directory", whole(|zip| zip.before_directory = b"x".to_vec()), "after it"),
        ("more in the directory", whole(|zip| zip.in_directory = b"x".to_vec()), "more entries"),
        ("data after the directory", whole(|zip| zip.after_directory = vec![0; 20]), "right before its end"),
        ("data after the end", whole(|zip| zip.after_end = b"x".to_vec()), "does not end"),
        ("a comment", whole(|zip| zip.comment = b"x".to_vec()), "does not end"),
        (
            "another end in a comment",
            whole(|zip| zip.comment = Zip::default().bytes()),
            "right before its end",
        ),
        ("fewer entries than there are", whole(|zip| zip.count = Some(4)), "more entries"),
        ("more entries than there are", whole(|zip| zip.count = Some(6)), "malformed"),
        ("as many as zip64 has", whole(|zip| zip.count = Some(u16::MAX)), "256 entries"),
        ("a part of a set", whole(|zip| zip.disk = 1), "part of a set"),
        ("a directory elsewhere", whole(|zip| zip.directory_offset = Some(0)), "right before its end"),
        ("a directory of zip64", whole(|zip| zip.directory_offset = Some(u32::MAX)), "right before its end"),
        ("two entries of the same data", changed(|entry| entry.offset = Some(0)), "overlaps"),
        ("an entry beyond the end", changed(|entry| entry.offset = Some(u32::MAX)), ""),
        ("an entry within another", changed(|entry| entry.offset = Some(4)), ""),
        ("a descriptor that differs", late(wrong), "describes it"),
        ("a descriptor of zip64", late(long), "describes it"),
        ("no descriptor", late(Vec::new()), "describes it"),
    ]);
    for short in [&b""[..], b"PK", b"not a zip, but longer than the record at the end of one"] {
        assert!(archive::read(short).is_err());
    }
}

/// What must hold of whatever was read, said another way than the reader does it.
pub(crate) fn assert_harmless(entries: &[archive::Entry]) {
    assert!(entries.len() <= MAX_ENTRIES);
    let mut total = 0;
    for entry in entries {
        assert!(!entry.path.contains(['\\', '\0']) && !entry.path.starts_with('/'), "{}", entry.path);
        assert!(entry.path.split('/').all(|segment| !segment.is_empty() && !segment.starts_with('.')));
        let top = entry.path.split('/').next().unwrap();
        assert!(["SKILL.md", "assets", "references", "scripts"].contains(&top), "{}", entry.path);
        if let Content::File { bytes, .. } = &entry.content {
            assert!(bytes.len() <= MAX_FILE);
            total += bytes.len();
        }
    }
    assert!(total <= MAX_FILES);
    assert!(entries.iter().any(|entry| entry.path == "SKILL.md"));
}

/// A good archive in which some bytes are others, or missing, or there twice.
pub(crate) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4_u8);
    prop::collection::vec(change, 0..6).prop_map(|changes| {
        let mut bytes = Zip::good().bytes();
        for (at, value, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = value,
                1 => bytes[at] ^= 1 << (value % 8),
                2 => bytes.insert(at, value),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

/// An archive with right headers and names of all kinds.
pub(crate) fn strange() -> impl Strategy<Value = Vec<u8>> {
    let segment = prop::sample::select(vec![
        "assets", "scripts", "a", "A", "b", "..", ".", "", "SKILL.md", "token", "x.pem", "\u{fffd}", "a\\..",
        "C:",
    ]);
    let name = (prop::collection::vec(segment, 1..5), prop::sample::select(vec!["/", "\\"]));
    let mode = prop::sample::select(vec![0, FILE, PROGRAM, LINK, crate::zips::DIRECTORY]);
    let entry = (name, mode, prop::collection::vec(any::<u8>(), 0..40), any::<bool>());
    prop::collection::vec(entry, 0..4).prop_map(|entries| {
        let entries = entries.into_iter().map(|((segments, separator), mode, bytes, deflate)| Entry {
            mode,
            deflate,
            ..file(&segments.join(separator), bytes)
        });
        Zip::of([file("SKILL.md", "#")].into_iter().chain(entries)).bytes()
    })
}

proptest! {
    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(entries) = archive::read(&bytes) {
            assert_harmless(&entries);
        }
    }

    #[test]
    fn a_changed_archive_is_harmless_or_refused(bytes in mutated()) {
        if let Ok(entries) = archive::read(&bytes) {
            assert_harmless(&entries);
        }
    }

    #[test]
    fn an_archive_with_strange_names_is_harmless_or_refused(bytes in strange()) {
        if let Ok(entries) = archive::read(&bytes) {
            assert_harmless(&entries);
        }
    }
}
