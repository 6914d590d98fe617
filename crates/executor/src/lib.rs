//! Runs guest WebAssembly over the kernel. The only room that names wasmtime; it knows nothing of the wire and of sessions.

mod cache;
mod clone;
mod copy;
mod engine;
mod executor;
mod guest;
mod host;
mod huge;
mod loader;
mod memory;
mod outbound;
mod program;
mod run;
mod runtime;

pub use cache::{CacheError, ImageCache, Origin, content_hash};
pub use engine::slots;
pub use executor::{Bundled, Executor, ExecutorConfig, ExecutorError, compile_child};
pub use loader::{Invocation, Launch, LoadError, Machine};
pub use outbound::{HttpRequest, Outbound};
pub use program::{Program, ProgramError};
pub use runtime::{GuestRuntime, VmShare};
