//! The memory account of a VM: what its processes hold beyond their initial images.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Limits, Warning};

/// Bytes in use against a limit; shared by all processes of a VM.
#[derive(Debug)]
pub struct MemoryAccount {
    used: AtomicU64,
    limit: u64,
    warning: Warning,
}

impl MemoryAccount {
    /// An empty account.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self::warned(limit, Warning::default())
    }

    /// An empty account whose limit is warned of.
    #[must_use]
    pub fn warned(limit: u64, warning: Warning) -> Self {
        Self { used: AtomicU64::new(0), limit, warning }
    }

    /// Takes `bytes`; false and nothing taken if that would pass the limit.
    #[must_use]
    pub fn charge(&self, bytes: u64) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|total| *total <= self.limit)
            })
            .inspect(|before| self.warning.uses(before + bytes))
            .is_ok()
    }

    /// Takes `bytes` until the result is dropped; `None` if that would pass the limit.
    #[must_use]
    pub fn try_take(self: &Arc<Self>, bytes: u64) -> Option<Held> {
        self.charge(bytes).then(|| Held { account: Arc::clone(self), bytes })
    }

    /// Gives `bytes` back.
    pub fn release(&self, bytes: u64) {
        let before = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(bytes)));
        let (Ok(before) | Err(before)) = before;
        self.warning.uses(before.saturating_sub(bytes));
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }
}

/// The memory that a process may have beyond its initial image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryLimit {
    /// Name in the client API.
    pub(crate) name: &'static str,
    /// Bytes.
    pub(crate) bytes: u64,
}

impl MemoryLimit {
    /// That of the runtime of an agent, or of any other program.
    pub(crate) fn of(limits: &Limits, agent: bool) -> Self {
        if agent {
            MemoryLimit { name: "agentMemory", bytes: limits.agent_memory }
        } else {
            MemoryLimit { name: "processMemory", bytes: limits.memory_per_process }
        }
    }
}

/// A part of an account, given back when dropped.
#[derive(Debug)]
pub struct Held {
    account: Arc<MemoryAccount>,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.account.release(self.bytes);
    }
}
