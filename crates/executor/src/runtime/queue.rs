//! The run queue: which guest runs next.
//!
//! VMs share the processors by virtual run time, as CFS does: the VM that had least goes first, and one that was idle
//! starts a little ahead of the others, so an interactive VM passes a busy one. Within a VM, guests that were just
//! woken go before guests that used up their slice.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_task::{Runnable, ScheduleInfo, WithInfo};
use parking_lot::{Condvar, Mutex};

/// How far ahead a VM that was idle may start, nanoseconds.
const WAKE_BONUS: u64 = 2_000_000;
/// Charged when a guest is taken, corrected when it ran, so that one VM does not take all threads at once.
const EXPECTED: u64 = 50_000;
/// So many woken guests in a row, then one that used up its slice: nobody starves within a VM.
const WOKEN_IN_A_ROW: u32 = 16;

/// A VM's share of the processors; the queue forgets the VM when it is dropped.
pub struct VmShare {
    id: u64,
    queue: Weak<RunQueue>,
}

impl Drop for VmShare {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.upgrade() {
            let mut state = queue.state.lock();
            if let Some(vm) = state.vms.remove(&self.id) {
                state.order.remove(&(vm.vruntime, self.id));
            }
        }
    }
}

#[derive(Default)]
struct VmQueue {
    woken: VecDeque<Runnable<Meta>>,
    yielded: VecDeque<Runnable<Meta>>,
    woken_in_a_row: u32,
    vruntime: u64,
    queued: bool,
    /// Threads that run its guests now.
    running: usize,
}

impl VmQueue {
    fn has_ready(&self) -> bool {
        !self.woken.is_empty() || !self.yielded.is_empty()
    }
}

#[derive(Default)]
struct State {
    vms: HashMap<u64, VmQueue>,
    order: BTreeSet<(u64, u64)>,
    floor: u64,
    idle: usize,
    closed: bool,
}

struct Meta {
    vm: Arc<VmShare>,
}

/// A guest that is ready to run.
pub(super) struct Task(Runnable<Meta>);

impl Task {
    pub(super) fn spawn(
        queue: &Arc<RunQueue>,
        vm: &Arc<VmShare>,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        let weak = Arc::downgrade(queue);
        let schedule = move |runnable: Runnable<Meta>, info: ScheduleInfo| {
            if let Some(queue) = weak.upgrade() {
                queue.push(runnable, info.woken_while_running);
            }
        };
        let (runnable, task) = async_task::Builder::new()
            .metadata(Meta { vm: Arc::clone(vm) })
            .spawn(|_| future, WithInfo(schedule));
        task.detach();
        runnable.schedule();
    }

    pub(super) fn vm(&self) -> Arc<VmShare> {
        Arc::clone(&self.0.metadata().vm)
    }

    pub(super) fn run(self) {
        self.0.run();
    }
}

pub(super) struct RunQueue {
    state: Mutex<State>,
    wakeup: Condvar,
    waiting: AtomicUsize,
    next_id: AtomicU64,
    /// A VM leaves some threads to the others: its guests may be in calls that no epoch interrupts.
    most_per_vm: usize,
}

impl RunQueue {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            state: Mutex::default(),
            wakeup: Condvar::new(),
            waiting: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            most_per_vm: threads.saturating_sub(threads / 4).max(1),
        }
    }

    pub(super) fn share(self: &Arc<Self>) -> Arc<VmShare> {
        Arc::new(VmShare { id: self.next_id.fetch_add(1, Ordering::Relaxed), queue: Arc::downgrade(self) })
    }

    pub(super) fn contended(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn push(&self, runnable: Runnable<Meta>, yielded: bool) {
        let id = runnable.metadata().vm.id;
        let idle = {
            let mut guard = self.state.lock();
            let state = &mut *guard;
            if state.closed {
                drop(guard);
                drop(runnable);
                return;
            }
            let vm = state.vms.entry(id).or_default();
            if yielded {
                vm.yielded.push_back(runnable);
            } else {
                vm.woken.push_back(runnable);
            }
            if !vm.queued && vm.running < self.most_per_vm {
                vm.queued = true;
                vm.vruntime = vm.vruntime.max(state.floor.saturating_sub(WAKE_BONUS));
                state.order.insert((vm.vruntime, id));
            }
            self.waiting.fetch_add(1, Ordering::Relaxed);
            state.idle
        };
        if idle > 0 {
            self.wakeup.notify_one();
        }
    }

    /// The next guest; waits for one. `None` when closed.
    pub(super) fn next(&self) -> Option<Task> {
        let mut guard = self.state.lock();
        loop {
            if guard.closed {
                return None;
            }
            let state = &mut *guard;
            if let Some((vruntime, id)) = state.order.pop_first() {
                state.floor = state.floor.max(vruntime);
                let Some(vm) = state.vms.get_mut(&id) else { continue };
                let prefer_yielded = vm.woken_in_a_row >= WOKEN_IN_A_ROW && !vm.yielded.is_empty();
                let runnable = if prefer_yielded { None } else { vm.woken.pop_front() };
                let runnable = match runnable {
                    Some(runnable) => {
                        vm.woken_in_a_row += 1;
                        Some(runnable)
                    }
                    None => {
                        vm.woken_in_a_row = 0;
                        vm.yielded.pop_front()
                    }
                };
                vm.vruntime += EXPECTED;
                vm.running += usize::from(runnable.is_some());
                vm.queued = vm.has_ready() && vm.running < self.most_per_vm;
                if vm.queued {
                    state.order.insert((vm.vruntime, id));
                }
                if let Some(runnable) = runnable {
                    self.waiting.fetch_sub(1, Ordering::Relaxed);
                    return Some(Task(runnable));
                }
                continue;
            }
            state.idle += 1;
            self.wakeup.wait(&mut guard);
            guard.idle -= 1;
        }
    }

    /// A guest of `vm` ran for `elapsed`.
    pub(super) fn ran(&self, share: &VmShare, elapsed: Duration) {
        let elapsed = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(vm) = state.vms.get_mut(&share.id) else { return };
        let before = vm.vruntime;
        vm.vruntime = (before + elapsed).saturating_sub(EXPECTED);
        vm.running = vm.running.saturating_sub(1);
        if vm.queued {
            state.order.remove(&(before, share.id));
        }
        // It may have waited for one of its own threads to come free: this one looks for work next.
        vm.queued = vm.has_ready() && vm.running < self.most_per_vm;
        if vm.queued {
            state.order.insert((vm.vruntime, share.id));
        }
    }

    pub(super) fn close(&self) {
        let left = {
            let mut state = self.state.lock();
            state.closed = true;
            state.order.clear();
            std::mem::take(&mut state.vms)
        };
        self.wakeup.notify_all();
        drop(left);
    }
}
