//! What a store promises: that it is whole after any loss of power, that nobody else gets at it, and that it outlives its base.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test program")]

mod device;
mod limits;
mod power;
mod rebase;
mod sessions;
mod store;
mod work;
