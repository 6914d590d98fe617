//! What the end-to-end tests share: the real program, machines in it, file systems of the host, small guest programs.
//! It promises nothing itself; the promises are in `tests/e2e`, one module per area.
//!
//! The program under test is `agentos` of the profile that the tests are built with. Cargo builds programs only for
//! the tests of their own package, so [`program`] has it built if it is missing or older than its sources;
//! `AGENTOS_SIDECAR` names another one. Images are kept in the usual cache: compiling them takes far longer than
//! all tests together.
#![forbid(unsafe_code)]

mod drivers;
pub mod editor;
mod machine;
pub mod mcp;
pub mod model;
mod place;
pub mod preview1;
mod program;
mod wasm;
pub mod web;

pub use drivers::{BrokenDriver, MemoryDriver, StuckDriver};
pub use machine::{Sidecar, eventually, kill_sidecar, live_processes, sh, watched};
pub use place::{Place, SECRET, bytes_below, not_seen};
pub use program::{cli, image_cache, program, socket_of};
pub use wasm::{assemble, module};
