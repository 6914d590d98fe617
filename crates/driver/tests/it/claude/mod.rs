//! Sessions of Claude Code, whose process a test plays.

mod arbitrary;
mod cancels;
mod custom_tools;
mod dialogs;
mod permissions;
mod play;
mod processes;
mod recording;
mod turns;
