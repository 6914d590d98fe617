//! JSON written by hand: defaults, and errors that name the entry.

use agentos_vfs::{Layer, Tree};

use crate::{all, file, paths, stack, unpack};

#[test]
fn what_is_left_out_has_a_default() {
    let lower = Tree::new();
    lower.put_file("/gone", 0o644, 0, 0, "x").unwrap();
    lower.put_file("/d/old", 0o644, 0, 0, "x").unwrap();
    let json = br#" {"entries": [
        {"path": "/etc/motd", "type": "file", "content": "hello\n"},
        {"path": "/bin/run", "type": "file", "mode": "0755", "content": "aGk=", "encoding": "base64", "mtime": "12.5"},
        {"path": "/empty", "type": "file"},
        {"path": "/d", "type": "directory", "opaque": true},
        {"path": "/l", "type": "symlink", "target": "etc/motd"},
        {"path": "/h", "type": "hard-link", "target": "/etc/motd"},
        {"path": "/holes", "type": "file", "size": 200000, "pieces": [{"offset": 131072, "content": "x"}]},
        {"path": "/gone", "type": "whiteout"}
    ]}"#;
    let layer = stack(&lower.freeze(), &unpack(json).unwrap());
    assert_eq!(
        paths(&layer),
        ["/", "/bin", "/bin/run", "/d", "/empty", "/etc", "/etc/motd", "/h", "/holes", "/l"]
    );
    assert_eq!((file(&layer, "/h"), file(&layer, "/bin/run")), ("hello\n".into(), "hi".into()));
    assert_eq!(Tree::from_layer(&layer).read_file("/holes").unwrap().len(), 200_000);
    let run = all(&layer).into_iter().find(|change| change.path == b"/bin/run").unwrap();
    assert!(format!("{run:?}").contains("perm: 493, uid: 0, gid: 0"), "{run:?}");
    assert!(format!("{run:?}").contains("ctime: Timespec { secs: 12, nanos: 500000000 }"), "{run:?}");
}

#[test]
fn both_forms_are_read() {
    let whole =
        br#"{"kind":"snapshot-export","source":{"version":1,"entries":[{"path":"/a","type":"fifo"}]}}"#;
    assert_eq!(paths(&stack(&Layer::empty(), &unpack(whole).unwrap())), ["/", "/a"]);
}

#[test]
fn what_is_wrong_is_named() {
    let entry = |fields: &str| format!(r#"{{"entries":[{{{fields}}}]}}"#);
    for (json, expected) in [
        (entry(r#""path":"a","type":"file""#), "absolute"),
        (entry(r#""path":"/../a","type":"file""#), "`..`"),
        (entry(r#""path":"/","type":"file""#), "the root is a directory"),
        (entry(r#""path":"/a","type":"file","target":"x""#), "target says nothing"),
        (entry(r#""path":"/a","type":"file","size":1"#), "size says nothing"),
        (entry(r#""path":"/a","type":"whiteout","uid":1"#), "uid"),
        (entry(r#""path":"/a","type":"file","mode":"0999""#), "octal"),
        (entry(r#""path":"/a","type":"file","mode":"10000""#), "octal"),
        (entry(r#""path":"/a","type":"file","mtime":"1e3""#), "decimal"),
        (entry(r#""path":"/a","type":"file","content":"*","encoding":"base64""#), "base64"),
        (entry(r#""path":"/a","type":"file","contents":"*""#), "unknown field `contents`"),
        (
            entry(r#""path":"/a","type":"file","size":5,"pieces":[{"offset":5,"content":"x"}]"#),
            "behind the end",
        ),
        (
            entry(
                r#""path":"/a","type":"file","size":5,"pieces":[{"offset":1,"content":"xx"},{"offset":2,"content":"x"}]"#,
            ),
            "overlap",
        ),
        (entry(r#""path":"/a","type":"file","pieces":[]"#), "size"),
        (entry(r#""path":"/a","type":"symlink""#), "without a target"),
        (entry(r#""path":"/a","type":"hard-link","target":"/../x""#), "leads out"),
        (entry(r#""path":"/a","type":"char-device""#), "device"),
        (entry(r#""path":"/a","type":"door""#), "door"),
        (r#"{"version":2,"entries":[]}"#.into(), "version 2"),
        (r#"{"kind":"zip","entries":[]}"#.into(), "zip"),
        (r#"{"entries":[],"entries":[]}"#.into(), "second field"),
        (r#"{"entry":[]}"#.into(), "`entry`"),
        ("{}".into(), "without `entries`"),
        (r#"{"entries":[]} x"#.into(), "trailing"),
        (r#"{"entries":["#.into(), "EOF"),
        (format!("{}{}", r#"{"a":"#, "[".repeat(100_000)), "snapshot"),
    ] {
        let error = unpack(json.as_bytes()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{json:.200}: {error}");
        if json.contains("\"path\"") && !json.contains("contents") && !json.contains("door") {
            assert!(error.contains("entry "), "{json}: {error}");
        }
    }
}
