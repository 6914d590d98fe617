//! The clocks of a VM.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall clock and monotonic clock of a VM; the monotonic clock starts at 0 when the VM is created.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_wall: Duration,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// Clocks that start now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            start_wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// Time since 1970 UTC.
    #[must_use]
    pub fn realtime(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// Time since the VM was created.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    /// When the VM was created, since 1970 UTC.
    #[must_use]
    pub fn boot_time(&self) -> Duration {
        self.start_wall
    }

    /// The host instant at which the monotonic clock shows `at`.
    #[must_use]
    pub fn instant_of(&self, at: Duration) -> Option<Instant> {
        self.start.checked_add(at)
    }
}
