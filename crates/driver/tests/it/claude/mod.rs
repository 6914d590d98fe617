//! Sessions of Claude Code, whose process a test plays.

mod arbitrary;
mod cancels;
mod custom_tools;
mod play;
mod processes;
mod questions;
mod recording;
mod turns;
