//! The kernel and its backends from outside.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not test functions themselves")]

mod acp;
mod acp_agent;
mod acp_fuzz;
mod acp_given;
mod acp_recordings;
mod acp_session;
mod acp_texts;
mod claude;
mod codex;
mod codex_ends;
mod codex_fuzz;
mod codex_recording;
mod codex_vendor;
mod ends;
mod fake;
mod golden;
mod kernel;
mod loss;
mod made;
mod process;
mod questions;
mod runner;
mod runner_host;
mod sink;
mod skill_archives;
mod skill_events;
mod skill_store;
mod zips;
