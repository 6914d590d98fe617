//! Images of bundled programs: what the executor gets, and preparing them without serving anybody.

use std::ffi::OsString;
use std::sync::Arc;

use agentos_executor::{Bundled, Executor, ExecutorConfig, ExecutorError};

/// The bundled programs as the executor wants them. Empty ones come from a build that only checked.
fn bundled() -> Vec<Bundled> {
    agentos_base_snapshot::PROGRAMS
        .iter()
        .filter(|p| !p.wasm.is_empty())
        .map(|p| Bundled { name: p.name, wasm: p.wasm, hash: p.hash })
        .collect()
}

/// The executor of this process. `compiler` is the command line that compiles a guest's module.
pub(crate) fn executor(compiler: Vec<OsString>) -> Result<Arc<Executor>, ExecutorError> {
    Executor::new(ExecutorConfig {
        cache_directory: None,
        bundled: bundled(),
        compiler,
        timers: tokio::runtime::Handle::current(),
    })
}

/// Compiles the images that are missing on this machine. `progress` is told name, done, total. Must run within a tokio
/// runtime; blocks for seconds.
///
/// # Errors
/// [`ExecutorError`]: the cache directory cannot be used, or a bundled program is broken.
pub fn prepare_images(progress: impl FnMut(&'static str, usize, usize)) -> Result<(), ExecutorError> {
    executor(Vec::new())?.prepare(progress)
}
