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
//! One thread does everything: while a command runs, the loop waits for its output and for the client at once, which
//! is what makes `session/cancel` work.
#![deny(unsafe_code)]

mod agent;
mod command;
mod input;
mod output;
mod poll;
mod rpc;
mod script;
mod session;
mod turn;

pub use agent::Agent;
