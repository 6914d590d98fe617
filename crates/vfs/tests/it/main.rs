//! What the file systems promise, checked through their public interface.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test program")]

mod cases;
mod driver;
mod host_dir;
mod host_dir_idle;
mod host_dir_steady;
mod host_dir_walk;
mod layer;
mod namespace;
mod ops;
mod overlay;
mod quota;
mod restore;
mod script;
