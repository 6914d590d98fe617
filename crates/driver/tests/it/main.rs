//! The kernel and its backends from outside.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not test functions themselves")]

mod fake;
mod kernel;
mod process;
mod questions;
mod sink;

mod claude;
