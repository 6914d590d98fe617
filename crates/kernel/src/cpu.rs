//! CPU time: what limits it for one process, and the account of a VM where that is limited. Who measures it is the embedder.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{LimitHit, Limits, Observer, Warning};

/// Nanoseconds of a millisecond: limits are told in milliseconds.
pub(crate) const MS: u64 = 1_000_000;

/// Limits of CPU time, nanoseconds; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuLimits {
    /// SIGXCPU.
    pub(crate) soft_ns: u64,
    /// SIGKILL.
    pub(crate) kill_ns: u64,
    /// What the host set.
    pub(crate) host_ns: u64,
}

/// CPU time between SIGXCPU and SIGKILL where the host set the limit: it has no hard one of its own.
const CPU_GRACE: Duration = Duration::from_secs(1);

impl CpuLimits {
    pub(crate) fn of_host(ns: u64) -> Self {
        let grace = CPU_GRACE.as_nanos() as u64;
        Self { soft_ns: ns, kill_ns: if ns == 0 { 0 } else { ns.saturating_add(grace) }, host_ns: ns }
    }
}

/// The CPU time of all processes of a VM against its limit.
#[derive(Debug)]
pub(crate) struct CpuAccount {
    used_ns: AtomicU64,
    limit_ns: u64,
    warning: Warning,
}

impl CpuAccount {
    /// The account, if there is a limit.
    pub(crate) fn new(limits: &Limits, observer: Option<&Arc<dyn Observer>>) -> Option<Arc<Self>> {
        let limit = limits.vm_cpu_time_ms;
        let account = || CpuAccount {
            used_ns: AtomicU64::new(0),
            limit_ns: limit.saturating_mul(MS),
            warning: Warning::new(observer, "vmCpuTimeMs", limit),
        };
        (limit > 0).then(account).map(Arc::new)
    }

    pub(crate) fn add(&self, ns: u64) {
        let used = self.used_ns.fetch_add(ns, Ordering::Relaxed).saturating_add(ns);
        self.warning.uses(used / MS);
    }

    /// Nothing is left: all that still runs ends.
    pub(crate) fn used_up(&self) -> Option<LimitHit> {
        let used = self.used_ns.load(Ordering::Relaxed);
        let (configured, used_ms) = (self.limit_ns / MS, used / MS);
        (used >= self.limit_ns).then_some(LimitHit {
            name: "vmCpuTimeMs",
            configured,
            used: used_ms,
            requested: 1,
        })
    }
}
