//! The epoch clock: it ticks only while guests run, so an idle machine costs no CPU.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use wasmtime::Engine;

/// Time between two epochs: how long a guest runs before it looks up.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// Ticks without a running guest before the clock stops.
const IDLE_TICKS: u32 = 20;

/// Starts and stops the epoch clock.
pub(crate) struct Ticker {
    running: AtomicUsize,
    stopped: AtomicBool,
    lock: Mutex<bool>,
    start: Condvar,
}

impl Ticker {
    /// A stopped clock for `engine`; its thread ends when the ticker is dropped.
    pub(crate) fn new(engine: &Engine) -> std::io::Result<Arc<Self>> {
        let ticker = Arc::new(Self {
            running: AtomicUsize::new(0),
            stopped: AtomicBool::new(true),
            lock: Mutex::new(false),
            start: Condvar::new(),
        });
        let weak = Arc::downgrade(&ticker);
        let engine = engine.clone();
        std::thread::Builder::new().name("epoch".into()).spawn(move || tick(&weak, &engine))?;
        Ok(ticker)
    }

    pub(crate) fn guest_runs(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.stopped.load(Ordering::SeqCst) {
            let mut go = self.lock.lock();
            *go = true;
            self.start.notify_one();
        }
    }

    pub(crate) fn guest_rests(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits for a guest to run, at most a second. The thread then looks whether the ticker still exists.
    fn wait(&self) -> bool {
        self.stopped.store(true, Ordering::SeqCst);
        if self.running.load(Ordering::SeqCst) == 0 {
            let mut go = self.lock.lock();
            if !*go {
                self.start.wait_for(&mut go, Duration::from_secs(5));
            }
            if !std::mem::take(&mut *go) && self.running.load(Ordering::SeqCst) == 0 {
                return false;
            }
        }
        self.stopped.store(false, Ordering::SeqCst);
        true
    }
}

fn tick(ticker: &Weak<Ticker>, engine: &Engine) {
    let mut idle = IDLE_TICKS;
    loop {
        {
            let Some(ticker) = ticker.upgrade() else { return };
            if ticker.running.load(Ordering::SeqCst) > 0 {
                idle = 0;
            } else if idle < IDLE_TICKS {
                idle += 1;
            } else if ticker.wait() {
                idle = 0;
            } else {
                continue;
            }
        }
        std::thread::sleep(TICK);
        engine.increment_epoch();
    }
}
