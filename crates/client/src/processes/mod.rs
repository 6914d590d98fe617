//! Processes of a VM: running one to its end, starting ones that stay, and looking at all of them.
//! Terminals are not here: see `shells`.

mod capture;
mod exec;
mod handle;
mod list;
mod output;
mod passthrough;
mod spawn;

pub use agentos_protocol::message::{ExitStatus, ProcessInfo, ProcessStatus, SpawnedProcessInfo};
pub use exec::{ExecOptions, ExecResult, OutputCallback};
pub use handle::ProcessHandle;
pub use list::ProcessTreeNode;
pub use output::{OutputChunk, ProcessOutput};
pub use spawn::{SpawnOptions, SpawnStdin};

use std::collections::BTreeMap;
use std::time::Duration;

use agentos_protocol::message::ProcessOptions;

use crate::error::{Error, Result};
use crate::path::guest_path;

/// Checks and translates what exec, spawn and terminals have in common.
pub(crate) fn process_options(
    env: BTreeMap<String, String>,
    clear_env: bool,
    cwd: Option<&str>,
    timeout: Option<Duration>,
    cpu_time_limit: Option<Duration>,
) -> Result<ProcessOptions> {
    if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        return Err(Error::InvalidRequest {
            message: format!("environment name {name:?}: empty, or has `=` or NUL"),
        });
    }
    // Rounded up: a limit of less than a millisecond is not no limit.
    let millis = |time: Duration| u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Ok(ProcessOptions {
        env,
        clear_env,
        cwd: cwd.map(guest_path).transpose()?,
        timeout_ms: timeout.map(millis),
        cpu_time_limit_ms: cpu_time_limit.map(millis),
    })
}
