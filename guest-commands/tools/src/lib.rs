//! The commands of a VM's userland besides the shell, as one multicall program with an exact-name dispatcher.
//!
//! It holds no shell, no editor and no network tool. Where an upstream uutils crate works on wasip1 and starts fast
//! enough it is used as it is; the rest is written here over the guest SDK.

#![forbid(unsafe_code)]

mod context;
mod dispatch;
mod glob;
mod mode;
mod names;
mod options;
mod os;
mod quote;
mod size;
mod time;
mod walk;

mod commands;

pub use dispatch::{command_names, main};
