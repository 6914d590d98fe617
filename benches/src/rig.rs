//! What a bench works with: a sidecar of its own, VMs in it, and a directory of the host.
//! A bench never sees what another did to a sidecar.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentos::{
    AgentOs, AgentOsConfig, AgentOsSidecar, AgentOsSidecarConfig, CreateSidecarOptions, ExecOptions,
    ExecResult,
};

use crate::failure::{Failure, Result, within};
use crate::host::Process;

/// Longest time to start a sidecar and make the first VM: images may have to be compiled.
const START: Duration = Duration::from_secs(90);
/// Longest time for a step that is not itself measured.
pub(crate) const STEP: Duration = Duration::from_secs(30);

/// The program that is measured, beside this one.
pub(crate) fn program() -> Result<std::path::PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name("agentos");
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::wrong(format!("{} is missing: cargo build --release -p agentos-cli", path.display())))
}

/// A sidecar and a directory.
pub(crate) struct Rig {
    sidecar: Arc<AgentOsSidecar>,
    /// Of the sidecar.
    pub(crate) process: Process,
    scratch: tempfile::TempDir,
}

impl Rig {
    /// Starts a sidecar and warms it up: images are mapped, pools exist.
    pub(crate) async fn new() -> Result<Rig> {
        let options = CreateSidecarOptions { binary: Some(program()?) };
        let sidecar = within("start of the sidecar", START, AgentOs::create_sidecar(options)).await?;
        let described = within("describe", STEP, sidecar.describe()).await?;
        let rig = Rig { sidecar, process: Process(described.pid), scratch: tempfile::tempdir()? };
        let os = within("first VM", START, rig.vm()).await?;
        exec_argv(&os, &["true"]).await?;
        within("dispose", STEP, os.dispose()).await?;
        Ok(rig)
    }

    /// A directory of the host that goes away with the rig.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Another VM, with default configuration.
    pub(crate) async fn vm(&self) -> Result<AgentOs> {
        self.vm_with(AgentOsConfig::default()).await
    }

    /// Another VM.
    pub(crate) async fn vm_with(&self, mut config: AgentOsConfig) -> Result<AgentOs> {
        config.sidecar = Some(AgentOsSidecarConfig::Explicit { handle: Arc::clone(&self.sidecar) });
        within("create a VM", STEP, AgentOs::create(config)).await
    }

    /// Ends the sidecar.
    pub(crate) async fn end(self) -> Result<()> {
        within("end of the sidecar", STEP, self.sidecar.dispose()).await
    }
}

/// Puts a program into a VM.
pub(crate) async fn install(os: &AgentOs, path: &str, wasm: &[u8]) -> Result<()> {
    within("write a program", STEP, os.write_file(path, wasm)).await?;
    within("chmod", STEP, os.chmod(path, 0o755)).await
}

/// Runs a shell line; a status other than 0 is a failure.
pub(crate) async fn exec(os: &AgentOs, line: &str) -> Result<ExecResult> {
    exec_in(os, line, None).await
}

/// Runs a shell line in a directory.
pub(crate) async fn exec_in(os: &AgentOs, line: &str, cwd: Option<&str>) -> Result<ExecResult> {
    let options = ExecOptions { cwd: cwd.map(str::to_owned), ..ExecOptions::default() };
    checked(line, within(line, STEP, os.exec(line, options)).await?)
}

/// Runs a program; a status other than 0 is a failure.
pub(crate) async fn exec_argv(os: &AgentOs, argv: &[&str]) -> Result<ExecResult> {
    exec_argv_in(os, argv, None).await
}

/// Runs a program in a directory.
pub(crate) async fn exec_argv_in(os: &AgentOs, argv: &[&str], cwd: Option<&str>) -> Result<ExecResult> {
    let options = ExecOptions { cwd: cwd.map(str::to_owned), ..ExecOptions::default() };
    let done = within(argv[0], STEP, os.exec_argv(argv.iter().copied(), options)).await?;
    checked(&argv.join(" "), done)
}

fn checked(what: &str, done: ExecResult) -> Result<ExecResult> {
    if done.success() { Ok(done) } else { Err(Failure::status(what, done.exit_code, &done.stderr)) }
}

/// The time that a future takes.
pub(crate) async fn timed<T, E: Into<Failure>>(
    work: impl Future<Output = std::result::Result<T, E>>,
) -> Result<Duration> {
    let begin = Instant::now();
    work.await.map_err(Into::into)?;
    Ok(begin.elapsed())
}
