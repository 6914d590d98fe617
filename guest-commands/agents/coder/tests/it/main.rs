//! What the agent promises, tested natively over pipes: the client's side and the model are played by the tests.

mod agent;
mod cancel;
mod editor;
mod editor_waits;
mod endpoint;
#[path = "../../../../../tests/src/model.rs"]
#[allow(unreachable_pub, dead_code, reason = "the end-to-end tests share it")]
mod model;
mod permissions;
mod servers;
mod sessions;
mod tools;
mod turns;
