//! The word ahead of a limit: told when four fifths of it are in use, and again once less than half was. It enforces nothing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{LimitHit, Notice, Observer};

/// From which use on a limit is nearly reached.
pub(crate) const fn nearly(configured: u64) -> u64 {
    configured - configured / 5
}

/// The warning of one limit of a VM. Without an observer it does nothing.
#[derive(Clone, Default)]
pub struct Warning(Option<Arc<Inner>>);

struct Inner {
    name: &'static str,
    configured: u64,
    nearly: u64,
    warned: AtomicBool,
    observer: Arc<dyn Observer>,
}

impl Warning {
    /// A warning of the limit `name` (as in the client API) that lies at `configured`, in whatever unit its use is told in.
    #[must_use]
    pub fn new(observer: Option<&Arc<dyn Observer>>, name: &'static str, configured: u64) -> Self {
        let inner = |observer: &Arc<dyn Observer>| Inner {
            name,
            configured,
            nearly: nearly(configured),
            warned: AtomicBool::new(false),
            observer: Arc::clone(observer),
        };
        Warning(observer.filter(|_| configured > 0).map(inner).map(Arc::new))
    }

    /// Notes what is in use, after every change of it.
    pub fn uses(&self, used: u64) {
        let Some(inner) = &self.0 else { return };
        if used >= inner.nearly {
            inner.warn(used);
        } else if used < inner.configured / 2 && inner.warned.load(Ordering::Relaxed) {
            inner.warned.store(false, Ordering::Relaxed);
        }
    }
}

impl Inner {
    #[cold]
    fn warn(&self, used: u64) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            let Inner { name, configured, .. } = *self;
            self.observer.notice(Notice::LimitWarning(LimitHit { name, configured, used, requested: 0 }));
        }
    }
}

impl fmt::Debug for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Warning").field(&self.0.as_ref().map(|inner| inner.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<u64>>);

    impl Observer for Heard {
        fn notice(&self, notice: Notice) {
            let Notice::LimitWarning(hit) = notice else { panic!("{notice:?}") };
            assert_eq!((hit.name, hit.configured, hit.requested), ("pipes", 10, 0));
            self.0.lock().push(hit.used);
        }
    }

    #[test]
    fn it_comes_once_and_again_after_half_was_free() {
        let heard = Arc::new(Heard::default());
        let observer: Arc<dyn Observer> = heard.clone();
        let warning = Warning::new(Some(&observer), "pipes", 10);
        for used in [1, 7, 8, 9, 10, 5, 8, 4, 7, 9] {
            warning.uses(used);
        }
        assert_eq!(*heard.0.lock(), [8, 9]);
    }

    #[test]
    fn small_limits_are_warned_of_when_they_are_full() {
        for (configured, at) in [(1, 1), (2, 2), (4, 4), (5, 4), (6, 5), (100, 80)] {
            assert_eq!(nearly(configured), at, "{configured}");
        }
    }
}
