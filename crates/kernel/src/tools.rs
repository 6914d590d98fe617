//! What the kernel wants of whoever has the tools of the host. It knows no schemas, no callbacks and no wire.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::Errno;

/// A step of a call.
pub type ToolFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The toolkit.
    pub kit: String,
    /// The tool.
    pub tool: String,
    /// Its input: text that should be JSON.
    pub input: String,
}

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ToolFailure {
    /// What the guest's call returns.
    pub errno: Errno,
    /// What it tells people.
    pub message: String,
}

impl ToolFailure {
    /// A failure.
    #[must_use]
    pub fn new(errno: Errno, message: impl Into<String>) -> Self {
        Self { errno, message: message.into() }
    }
}

/// The tools of a machine. The embedder implements it; [`Kernel::call_tool`](crate::Kernel::call_tool) says what may be done, and
/// in which order.
pub trait Tools: Send + Sync + 'static {
    /// All toolkits as JSON, as the guest ABI has it.
    fn list(&self) -> Arc<[u8]>;

    /// Takes a place for a call, and does nothing yet. ENOENT if there is no such tool, EAGAIN if there are too many calls.
    ///
    /// # Errors
    /// The failure.
    fn begin(&self, call: ToolCall) -> Result<Box<dyn ToolRun>, ToolFailure>;
}

/// A call under way. Dropped, it ends, whatever step it is in.
pub trait ToolRun: Send {
    /// Whether the input fits the tool. EINVAL.
    fn check(&mut self) -> ToolFuture<'_, Result<(), ToolFailure>>;

    /// Asks the host whether it may go on. No answer in time is a no.
    fn ask(&mut self) -> ToolFuture<'_, bool>;

    /// Does it; the JSON result.
    fn run(&mut self) -> ToolFuture<'_, Result<Vec<u8>, ToolFailure>>;
}
