//! Tests with a counterpart outside of this repository: they are ignored by a plain `cargo test`, since they need programs of the
//! host. It contains no test itself.

use std::path::Path;
use std::process::{Command, ExitCode};

/// Packages of the guest workspace with a test target `external`, and the programs of the host that it needs.
const TESTS: [(&str, &[&str]); 2] = [
    ("agentos-archive", &["tar", "gzip", "bzip2", "xz", "zstd", "zip", "unzip", "diff", "cmp"]),
    ("agentos-git", &["git"]),
];

/// Servers of object stores, in `target/counterparts`: `.ci/run` installs them.
const SERVERS: [&str; 2] = ["moto_server", "wsgidav"];

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// The tests of object stores.
fn stores(root: &Path) -> bool {
    let folder = std::env::var_os("AGENTOS_COUNTERPARTS")
        .map_or_else(|| root.join("target/counterparts"), std::path::PathBuf::from);
    let missing: Vec<_> = SERVERS.iter().filter(|name| !folder.join("bin").join(name).exists()).collect();
    if !missing.is_empty() {
        eprintln!(
            "test-external: {} lacks {missing:?}; `.ci/run` says how they are installed",
            folder.display()
        );
        return false;
    }
    // All of the workspace, as the tests are run: with fewer packages features differ, and much would be built once more. The
    // program is the one that is there, or the tests build it.
    let tests = ["test", "--release", "--workspace", "--test", "stores", "--", "--ignored"];
    cargo(root).args(tests).status().map(|tested| tested.success()).unwrap_or_else(|error| {
        eprintln!("test-external: cargo: {error}");
        false
    })
}

/// Runs them all.
pub(crate) fn run(root: &Path) -> ExitCode {
    let mut good = stores(root);
    for (package, programs) in TESTS {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there = |name: &&&str| std::env::split_paths(&path).any(|dir| dir.join(name).exists());
        let missing: Vec<_> = programs.iter().filter(|name| !there(name)).copied().collect();
        if !missing.is_empty() {
            eprintln!("test-external: {package} needs {} on this host", missing.join(", "));
            good = false;
            continue;
        }
        let status = cargo(root)
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
