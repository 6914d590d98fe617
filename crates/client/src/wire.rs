//! The threads of this library: one for the wire, a few for callbacks into the program.
//! The program's own runtime is not used, so that a program that blocks it, or has several, does not stop the wire.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, Result};

static WIRE: OnceLock<Option<Runtime>> = OnceLock::new();
static CALLBACKS: OnceLock<Option<Runtime>> = OnceLock::new();

fn start(name: &str, threads: usize) -> Option<Runtime> {
    let built = Builder::new_multi_thread().worker_threads(threads).thread_name(name).enable_all().build();
    built.map_err(|error| tracing::error!(%error, name, "cannot start threads")).ok()
}

fn handle(cell: &'static OnceLock<Option<Runtime>>, name: &str, threads: usize) -> Result<&'static Handle> {
    let runtime = cell.get_or_init(|| start(name, threads)).as_ref();
    runtime
        .map(Runtime::handle)
        .ok_or_else(|| Error::Transport { message: "cannot start threads".to_owned() })
}

/// The wire's thread. Nothing on it may block.
pub(crate) fn wire() -> Result<&'static Handle> {
    handle(&WIRE, "agentos-wire", 1)
}

/// Threads for code of the program that the sidecar calls back.
pub(crate) fn callbacks() -> Result<&'static Handle> {
    handle(&CALLBACKS, "agentos-callbacks", 2)
}

/// Runs on the wire's thread and waits for the result, from any executor.
pub(crate) async fn on_wire<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let ended = |_| Error::Transport { message: "the task was ended".to_owned() };
    wire()?.spawn(work).await.map_err(ended)?
}

/// A timer that needs no runtime of the program.
pub(crate) fn sleep(time: Duration) -> Result<tokio::time::Sleep> {
    let _context = wire()?.enter();
    Ok(tokio::time::sleep(time))
}
