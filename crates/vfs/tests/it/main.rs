//! What the file systems promise, checked through their public interface.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test program")]

mod cases;
mod driver;
mod host_dir;
mod layer;
mod namespace;
mod ops;
mod overlay;
mod quota;
mod restore;
mod script;
