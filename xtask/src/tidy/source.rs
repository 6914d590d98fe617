//! Rules about the text of files. Lines are looked at one by one: there is no parser here.

use std::collections::BTreeMap;
use std::path::Path;

use super::Finding;

/// Most lines of a source file.
const LINES: usize = 1000;

/// Calls that belong to few places, since one place can be reviewed: the word, where it may be, why.
const CONFINED: [(&str, &[&str], &str); 5] = [
    (
        "ambient_authority",
        &["crates/vfs/src/host_dir/"],
        "only vfs::host_dir opens host directories for guests, and keeps every look-up beneath them",
    ),
    (
        "deserialize_file",
        &["crates/executor/src/cache.rs"],
        "native code is only loaded from the image cache, which checks owner and mode",
    ),
    (
        "Command::new(",
        &[
            "base-snapshot/build.rs",
            "crates/cli/",
            "crates/client/",
            "crates/driver/src/process/host.rs",
            "crates/executor/src/executor.rs",
        ],
        "only the client starts sidecars, the executor its compiler, and the driver a vendor beside it",
    ),
    (
        "TcpStream::connect",
        &["crates/egress/src/connect.rs"],
        "only egress opens sockets for guests, to addresses that it checked (and libraries of `object-store`, to what the host configured)",
    ),
    ("UdpSocket::bind", &[], "nothing opens datagram sockets of the host for guests"),
];

/// Host code that is not part of the product: it may do what it needs.
fn beside_the_product(name: &str) -> bool {
    ["xtask/", "tests/", "benches/", "examples/", "fuzz/", "guest-commands/"]
        .iter()
        .any(|f| name.starts_with(f))
        || name.contains("/tests/")
}

/// Paths that only mean something on the machine of whoever wrote them.
pub(crate) fn machine_paths(root: &Path) -> Vec<String> {
    let set = |name: &str| std::env::var(name).ok();
    let own =
        [root.to_str().map(str::to_owned), set("CARGO_HOME"), set("RUSTUP_HOME"), set("CARGO_TARGET_DIR")];
    let mut paths: Vec<String> = own
        .into_iter()
        .flatten()
        // `/root` or `/src` are words that files may contain.
        .filter(|path| path.matches('/').count() >= 2)
        .collect();
    paths.push(concat!("/Us", "ers/").to_owned());
    paths
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Words that do not belong.
pub(crate) fn words(name: &str, text: &str, machine: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let source = name.ends_with(".rs");
    for (n, line) in text.lines().enumerate() {
        let mut find = |rule: String| findings.push(Finding { place: format!("{name}:{}", n + 1), rule });
        for path in machine {
            if line.contains(path.as_str()) {
                find(format!("{path} is a path of one machine"));
            }
        }
        if !source || is_comment(line) {
            continue;
        }
        // Cut in two, so that this file does not break its own rule.
        for word in [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("db", "g!(")] {
            if line.contains(word) {
                find(format!("`{word}…)`: finish it, or leave it out"));
            }
        }
        if line.contains(concat!("unbounded_", "channel")) {
            find("a queue without a limit: give it one".to_owned());
        }
        if !beside_the_product(name) {
            for (word, places, why) in CONFINED {
                if line.contains(word) && !places.iter().any(|place| name.starts_with(place)) {
                    find(format!("`{word}`: {why}"));
                }
            }
        }
    }
    findings
}

/// Size and header of a source file.
pub(crate) fn shape(name: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |rule: String| findings.push(Finding { place: name.to_owned(), rule });
    let lines = text.lines().count();
    if lines > LINES {
        find(format!("{lines} lines; a file is one idea and has at most {LINES}: make it a folder"));
    }
    if !text.starts_with("//! ") {
        find("begins without `//! ` and what the file is for".to_owned());
    }
    findings
}

/// Crates that need `unsafe`, each with the reason.
const UNSAFE: [(&str, &str); 3] = [
    ("crates/executor/", "maps native images"),
    ("guest-commands/sdk/", "calls imports"),
    ("guest-commands/agents/common/", "calls poll(2), denied elsewhere"),
];

/// Every crate forbids `unsafe`, in its library or else in its program.
pub(crate) fn unsafe_is_forbidden(files: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in files.keys().filter_map(|name| name.strip_suffix("Cargo.toml")) {
        if manifest.is_empty() || manifest.starts_with("fuzz/") || UNSAFE.iter().any(|(f, _)| *f == manifest)
        {
            continue;
        }
        let roots = ["src/lib.rs", "src/main.rs"].map(|root| files.get(&format!("{manifest}{root}")));
        let Some(root) = roots.into_iter().flatten().next() else { continue };
        if !root.contains("#![forbid(unsafe_code)]") {
            let rule = "`#![forbid(unsafe_code)]` is missing in the crate's root".to_owned();
            findings.push(Finding { place: manifest.to_owned(), rule });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(name: &str, text: &str) -> usize {
        words(name, text, &["/srv/checkout".to_owned()]).len()
    }

    #[test]
    fn words_are_found_where_they_do_not_belong() {
        let unfinished = concat!("    to", "do!()\n");
        let bare = concat!("    unbounded_", "channel();\n");
        for (name, text, expected) in [
            ("crates/a/src/lib.rs", unfinished, 1),
            ("crates/a/src/lib.rs", "    // see /srv/checkout/x\n", 1),
            ("README.md", "cd /srv/checkout\n", 1),
            ("crates/a/src/lib.rs", bare, 1),
            ("crates/kernel/src/lib.rs", "Command::new(\"ls\")\n", 1),
            ("crates/client/src/x.rs", "Command::new(\"ls\")\n", 0),
            ("crates/kernel/tests/it.rs", "Command::new(\"ls\")\n", 0),
            ("crates/vfs/src/tree.rs", "ambient_authority()\n", 1),
            ("crates/vfs/src/host_dir/mod.rs", "ambient_authority()\n", 0),
            ("crates/kernel/src/net.rs", "TcpStream::connect(a)\n", 1),
            ("crates/a/src/lib.rs", "// Command::new( in a comment\n", 0),
        ] {
            assert_eq!(rules(name, text), expected, "{name}: {text}");
        }
    }

    #[test]
    fn files_have_a_header_and_an_end() {
        assert!(shape("a.rs", "//! For tests.\n").is_empty());
        assert_eq!(shape("a.rs", "fn main() {}\n").len(), 1);
        assert_eq!(shape("a.rs", &format!("//! Long.\n{}", "\n".repeat(LINES))).len(), 1);
    }

    #[test]
    fn unsafe_is_forbidden_but_where_it_is_needed() {
        let files = |root: &str, text: &str| {
            BTreeMap::from([
                (format!("{root}Cargo.toml"), String::new()),
                (format!("{root}src/lib.rs"), text.to_owned()),
                (format!("{root}src/main.rs"), "//! Thin.\n".to_owned()),
            ])
        };
        assert!(unsafe_is_forbidden(&files("crates/a/", "#![forbid(unsafe_code)]\n")).is_empty());
        assert_eq!(unsafe_is_forbidden(&files("crates/a/", "//! A.\n")).len(), 1);
        assert!(unsafe_is_forbidden(&files("crates/executor/", "//! A.\n")).is_empty());
    }
}
