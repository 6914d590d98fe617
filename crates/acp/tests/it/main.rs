//! What a connection promises, tested against a fake agent on in-memory pipes.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not test functions themselves")]

mod agent;
mod connection;
mod floods;
mod hostile;
