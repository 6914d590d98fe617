//! Makes a checkout ready to run: the release build, then the native images of the bundled programs. It tests nothing.

use std::path::Path;
use std::process::{Command, ExitCode};

pub(crate) fn prepare(root: &Path) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "-p", "agentos-cli"]).current_dir(root);
    // Where cargo put it is asked of nobody: running it by cargo works with any target directory.
    let mut images = Command::new(build.get_program());
    images
        .args(["run", "--quiet", "--release", "-p", "agentos-cli", "--", "sidecar", "--prepare-images"])
        .current_dir(root);
    for (what, command) in [("build", &mut build), ("prepare images", &mut images)] {
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(status) => {
                eprintln!("prepare: {what}: {status}");
                return ExitCode::FAILURE;
            }
            Err(error) => {
                eprintln!("prepare: {what}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
