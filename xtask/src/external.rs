//! Tests with a counterpart outside of this repository: they are ignored by a plain `cargo test`, since they need programs of the
//! host. It contains no test itself.

use std::path::Path;
use std::process::{Command, ExitCode};

/// Packages of the guest workspace with a test target `external`, and the programs of the host that it needs.
const TESTS: [(&str, &[&str]); 2] = [
    ("agentos-archive", &["tar", "gzip", "bzip2", "xz", "zstd", "zip", "unzip", "diff", "cmp"]),
    ("agentos-git", &["git"]),
];

/// Runs them all.
pub(crate) fn run(root: &Path) -> ExitCode {
    let mut good = true;
    for (package, programs) in TESTS {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there = |name: &&&str| std::env::split_paths(&path).any(|dir| dir.join(name).exists());
        let missing: Vec<_> = programs.iter().filter(|name| !there(name)).copied().collect();
        if !missing.is_empty() {
            eprintln!("test-external: {package} needs {} on this host", missing.join(", "));
            good = false;
            continue;
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .current_dir(root)
            .args([
                "test",
                "--manifest-path",
                "guest-commands/Cargo.toml",
                "--target-dir",
                "target/guest-native",
            ])
            .args(["-p", package, "--test", "external", "--", "--ignored"])
            .status();
        good &= status.is_ok_and(|status| status.success());
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
