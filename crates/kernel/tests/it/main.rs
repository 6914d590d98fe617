//! The kernel from the outside: processes, terminals and limits together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests are not test functions themselves"
)]

mod limits;
mod races;
mod rlimits;
mod stress;
mod terminals;
