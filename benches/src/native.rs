//! The native counterpart: the same work by the host's programs, with the same environment and the same pipes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// What a native program wrote, and how long it took.
pub(crate) struct Ran {
    pub(crate) stdout: Vec<u8>,
    pub(crate) took: Duration,
}

/// Runs a program of the host to its end: no input, both outputs by pipes, the environment of a guest.
pub(crate) fn run(argv: &[&str], cwd: &Path) -> Result<Ran> {
    let (program, args) = argv.split_first().ok_or_else(|| Failure::wrong("no program"))?;
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(cwd)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let begin = Instant::now();
    let output = command.output().map_err(|e| Failure::wrong(format!("{program}: {e}")))?;
    let took = begin.elapsed();
    if !output.status.success() {
        let status = output.status.code().unwrap_or(-1);
        return Err(Failure::status(&argv.join(" "), status, &String::from_utf8_lossy(&output.stderr)));
    }
    Ok(Ran { stdout: output.stdout, took })
}

/// The time that `work` takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> std::io::Result<T>) -> Result<Duration> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed())
}
