//! The commands of a VM's userland besides the shell, as one multicall program with an exact-name dispatcher.
//!
//! It holds no shell, no editor and no network tool. Where an upstream uutils crate works on wasip1 and starts fast
//! enough it is used as it is; the rest is written here over the guest SDK.

#![forbid(unsafe_code)]

mod commands;
mod dispatch;
mod float;
mod lines;
mod regex;
mod tabs;

// Under the names that commands know them by.
use agentos_command::{block, context, glob, mode, names, options, os, quote, size, time, walk};

pub use dispatch::{command_names, main};
