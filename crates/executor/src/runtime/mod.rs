//! The guest runtime: threads of its own on which guests run, fair between VMs.
//!
//! A waiting guest costs no thread. Threads are a few per core, because a guest inside one long bulk-memory instruction
//! cannot be preempted by an epoch: the operating system then shares the cores between it and the others.

mod meter;
mod queue;
mod ticker;

use std::future::Future;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

pub(crate) use meter::{Metered, slice_elapsed};
pub use queue::VmShare;
use queue::{RunQueue, Task};
pub(crate) use ticker::Ticker;

/// The threads that run guests. Dropping it ends them once they are idle.
pub struct GuestRuntime {
    queue: Arc<RunQueue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl GuestRuntime {
    /// Starts `threads` threads; timers of guests run on `timers`.
    pub(crate) fn start(
        threads: usize,
        timers: tokio::runtime::Handle,
        ticker: Arc<Ticker>,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(RunQueue::new(threads));
        let mut handles = Vec::with_capacity(threads);
        for n in 0..threads {
            let queue = Arc::clone(&queue);
            let timers = timers.clone();
            let ticker = Arc::clone(&ticker);
            let worker = std::thread::Builder::new().name(format!("guest-{n}")).spawn(move || {
                // Sleeping guests register their timers with the wire's runtime.
                let _timers = timers.enter();
                while let Some(task) = queue.next() {
                    ticker.guest_runs();
                    let (vm, started) = (task.vm(), std::time::Instant::now());
                    // A panic is a bug of ours; it ends the guest it happened in and nothing else.
                    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.run()));
                    if ran.is_err() {
                        tracing::error!("a guest's task panicked");
                    }
                    ticker.guest_rests();
                    queue.ran(&vm, started.elapsed());
                }
            })?;
            handles.push(worker);
        }
        Ok(Self { queue, threads: Mutex::new(handles) })
    }

    /// A new VM's share of the processors.
    #[must_use]
    pub fn share(&self) -> Arc<VmShare> {
        self.queue.share()
    }

    /// Runs `future` as a guest of `vm`.
    pub(crate) fn spawn(&self, vm: &Arc<VmShare>, future: impl Future<Output = ()> + Send + 'static) {
        Task::spawn(&self.queue, vm, future);
    }

    /// Whether someone waits for a thread; a guest that could go on yields then.
    pub(crate) fn contended(&self) -> bool {
        self.queue.contended()
    }
}

impl Drop for GuestRuntime {
    fn drop(&mut self) {
        self.queue.close();
        let current = std::thread::current().id();
        for handle in self.threads.get_mut().drain(..) {
            if handle.thread().id() != current {
                let _ = handle.join();
            }
        }
    }
}
