//! The kernel from the outside: processes, terminals and limits together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests are not test functions themselves"
)]

mod limits;
mod locks;
mod placed;
mod races;
mod rlimits;
mod stress;
mod syncs;
mod terminals;
mod tools;

use std::sync::Arc;

use agentos_kernel::{Cred, KernelConfig, Limits};
use agentos_vfs::Tree;

/// A kernel on this root for the user 1000.
fn config(root: &Tree, limits: Limits) -> KernelConfig {
    KernelConfig {
        root: Arc::new(root.clone()),
        limits,
        hostname: "agentos".into(),
        cred: Cred { uid: 1000, gid: 1000, groups: Vec::new() },
        env: Vec::new(),
        permissions: None,
        tools: None,
        observer: None,
    }
}
