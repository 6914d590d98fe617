//! Who has a schedule driver. Machines may share one, forks do; it is disposed when the last lets go, and not before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::config::ScheduleDriver;

/// Drivers of configurations that are in use: machines may share one.
static GIVEN: Mutex<Vec<Weak<DriverLease>>> = Mutex::new(Vec::new());

/// A driver in use, disposed with the last machine that has it.
pub(super) struct DriverLease {
    pub(super) driver: Arc<dyn ScheduleDriver>,
    /// Machines that have had it.
    machines: AtomicU64,
}

impl DriverLease {
    pub(super) fn new(driver: Arc<dyn ScheduleDriver>) -> Arc<DriverLease> {
        Arc::new(DriverLease { driver, machines: AtomicU64::new(0) })
    }

    /// The lease of a driver that others may have.
    pub(super) fn of(driver: &Arc<dyn ScheduleDriver>) -> Arc<DriverLease> {
        let mut given = GIVEN.lock();
        given.retain(|lease| lease.strong_count() > 0);
        let same =
            |lease: &Arc<DriverLease>| std::ptr::addr_eq(Arc::as_ptr(&lease.driver), Arc::as_ptr(driver));
        let found = given.iter().filter_map(Weak::upgrade).find(same);
        found.unwrap_or_else(|| {
            let lease = DriverLease::new(Arc::clone(driver));
            given.push(Arc::downgrade(&lease));
            lease
        })
    }

    /// What ids of one more machine begin with: nothing for the first.
    pub(super) fn prefix(&self) -> String {
        match self.machines.fetch_add(1, Ordering::Relaxed) {
            0 => String::new(),
            before => format!("machine-{}/", before + 1),
        }
    }
}

impl Drop for DriverLease {
    fn drop(&mut self) {
        self.driver.dispose();
    }
}
