//! A coding agent without a model: it runs the `sh` blocks of a prompt as tool calls and reports what came out, over
//! ACP v1 on stdio. It never guesses, never goes to the network and keeps nothing between runs, so that hosts can be
//! tested against it and examples work offline.
//!
//! ````text
//! Look around, please.
//! ```sh
//! ls -l
//! ```
//! ````
//!
//! A prompt such as `scenario:text` is a turn that is known beforehand; `docs/scripted.md` has them all, and their texts.
//!
//! One thread does everything: while a command or a tool runs, the loop waits for its output and for the client at
//! once, which is what makes `session/cancel` work.
#![forbid(unsafe_code)]

mod agent;
mod custom_tool;
mod output;
mod scenario;
mod script;
mod session;
mod tool;
mod turn;

pub use agent::Agent;
