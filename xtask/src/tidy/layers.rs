//! Who may depend on whom: what a crate deliberately knows nothing of. Tests and programs beside the product are free.

use super::Finding;

/// A crate of the product, and the crates of the project it may name.
const LAYERS: [(&str, &[&str]); 15] = [
    ("crates/abi/", &[]),
    ("crates/acp/", &[]),
    ("crates/driver/", &["agentos-acp"]),
    ("crates/protocol/", &[]),
    ("crates/store/", &["agentos-vfs"]),
    ("crates/vfs/", &["agentos-abi"]),
    ("crates/kernel/", &["agentos-abi", "agentos-vfs"]),
    ("crates/object-store/", &["agentos-vfs"]),
    ("crates/egress/", &["agentos-abi"]),
    ("crates/executor/", &["agentos-abi", "agentos-kernel", "agentos-vfs"]),
    ("crates/snapshot/", &["agentos-vfs"]),
    ("crates/client/", &["agentos-abi", "agentos-protocol", "agentos-sidecar"]),
    ("base-snapshot/", &["agentos-abi", "agentos-vfs"]),
    (
        "sidecar/",
        &[
            "agentos-abi",
            "agentos-acp",
            "agentos-base-snapshot",
            "agentos-driver",
            "agentos-egress",
            "agentos-executor",
            "agentos-kernel",
            "agentos-object-store",
            "agentos-protocol",
            "agentos-store",
            "agentos-snapshot",
            "agentos-vfs",
        ],
    ),
    ("crates/cli/", &["agentos", "agentos-acp", "agentos-driver", "agentos-executor", "agentos-sidecar"]),
];

/// Outside crates that one crate alone may name.
const SINGLE: [(&str, &str); 10] = [
    ("wasmtime", "crates/executor/"),
    ("cap-std", "crates/vfs/"),
    ("clap", "crates/cli/"),
    ("redb", "crates/store/"),
    ("sqlx", "crates/store/"),
    ("opendal", "crates/object-store/"),
    ("reqwest", "crates/object-store/"),
    ("hyper", "crates/egress/"),
    ("tokio-rustls", "crates/egress/"),
    ("jsonschema", "sidecar/"),
];

/// The names in `[dependencies]`, with their line.
fn dependencies(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter_map(move |(n, line)| {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
            return None;
        }
        let end = line.find(['.', ' ', '='])?;
        (inside && !line.starts_with(['#', ' ', '\t'])).then(|| (n + 1, &line[..end]))
    })
}

/// The rules for one manifest.
pub(crate) fn manifest(name: &str, text: &str) -> Vec<Finding> {
    let Some(folder) = name.strip_suffix("Cargo.toml") else { return Vec::new() };
    let Some((_, allowed)) = LAYERS.iter().find(|(of, _)| *of == folder) else { return Vec::new() };
    let mut findings = Vec::new();
    for (n, dependency) in dependencies(text) {
        let ours = dependency == "agentos" || dependency.starts_with("agentos-");
        let single = SINGLE.iter().find(|(of, _)| *of == dependency);
        if ours && !allowed.contains(&dependency) || single.is_some_and(|(_, only)| *only != folder) {
            let rule = format!("{folder} must not know {dependency} (see the layers in ARCHITECTURE.md)");
            findings.push(Finding { place: format!("{name}:{n}"), rule });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_hold() {
        for (name, text, expected) in [
            ("crates/vfs/Cargo.toml", "[dependencies]\nagentos-abi.workspace = true\nimbl = \"7\"\n", 0),
            ("crates/vfs/Cargo.toml", "[dependencies]\nagentos-kernel.workspace = true\n", 1),
            ("crates/vfs/Cargo.toml", "[dev-dependencies]\nagentos-kernel.workspace = true\n", 0),
            ("crates/kernel/Cargo.toml", "[dependencies]\nwasmtime = { version = \"1\" }\n", 1),
            ("crates/executor/Cargo.toml", "[dependencies]\nwasmtime.workspace = true\n", 0),
            ("tests/Cargo.toml", "[dependencies]\nagentos-kernel.workspace = true\n", 0),
        ] {
            assert_eq!(manifest(name, text).len(), expected, "{name}: {text}");
        }
    }
}
