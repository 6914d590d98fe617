//! A coding agent with a model, over ACP v1 on stdio: it asks a model of Anthropic's or OpenAI's APIs, runs the tools that
//! the model calls, asks the user before what changes something, and keeps its sessions in files. The key of the model is
//! not here: the host puts it into requests.
//!
//! One thread does everything: while the model answers, a tool runs or a question is open, the loop waits for that and for
//! the client at once, which is what makes `session/cancel` work.
#![forbid(unsafe_code)]

mod agent;
mod ask;
mod call;
mod client;
mod clip;
mod compact;
mod config;
mod content;
mod editor;
mod history;
mod instructions;
mod mcp;
mod model;
mod permission;
mod replay;
mod session;
mod store;
mod tools;
mod turn;

pub use agent::Agent;
pub use config::{Api, Settings};
