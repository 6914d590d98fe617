//! Random commands for property tests, on few names so that they meet.

use proptest::prelude::*;

fn path() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]);
    prop_oneof![
        4 => name().prop_map(|a| format!("/{a}")),
        3 => (name(), name()).prop_map(|(a, b)| format!("/{a}/{b}")),
        1 => (name(), name(), name()).prop_map(|(a, b, c)| format!("/{a}/{b}/{c}")),
    ]
}

/// One command for [`crate::script::Script`].
pub fn op() -> impl Strategy<Value = String> {
    let text = || prop::sample::select(vec!["x", "yy", "zzz"]);
    prop_oneof![
        4 => path().prop_map(|p| format!("mkdir {p}")),
        4 => (path(), text()).prop_map(|(p, t)| format!("file {p} {t}")),
        1 => path().prop_map(|p| format!("symlink target {p}")),
        2 => (path(), path()).prop_map(|(p, q)| format!("link {p} {q}")),
        2 => path().prop_map(|p| format!("unlink {p}")),
        2 => path().prop_map(|p| format!("rmdir {p}")),
        4 => (path(), path()).prop_map(|(p, q)| format!("mv {p} {q}")),
        1 => (path(), path()).prop_map(|(p, q)| format!("mvn {p} {q}")),
        1 => (path(), path()).prop_map(|(p, q)| format!("swap {p} {q}")),
        2 => (path(), 0..9u32, text()).prop_map(|(p, n, t)| format!("write {p} {n} {t}")),
        1 => (path(), text()).prop_map(|(p, t)| format!("append {p} {t}")),
        1 => (path(), 0..9u32).prop_map(|(p, n)| format!("truncate {p} {n}")),
        1 => (path(), 0..0o1000u32).prop_map(|(p, n)| format!("chmod {p} {n}")),
        1 => (path(), 1..9u32).prop_map(|(p, n)| format!("mtime {p} {n}")),
    ]
}

/// One command that only looks.
pub fn look() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => path().prop_map(|p| format!("read {p}")),
        2 => path().prop_map(|p| format!("ls {p}")),
        1 => Just("ls /".to_owned()),
        2 => path().prop_map(|p| format!("stat {p} nlink")),
        1 => path().prop_map(|p| format!("stat {p} size")),
        1 => path().prop_map(|p| format!("stat {p} perm")),
        1 => (path(), path()).prop_map(|(p, q)| format!("same {p} {q}")),
        1 => path().prop_map(|p| format!("listed {p}")),
        1 => path().prop_map(|p| format!("readlink {p}")),
    ]
}
