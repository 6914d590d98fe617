//! kill, alarm and pause (POSIX 2.4).

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::permissions::Operation;
use crate::signals::Posted;
use crate::table::Entry;
use crate::{Disposition, Errno, Kernel, Pid, Process, Result, Signal, WaitStatus};

impl Kernel {
    /// kill(2): `signal` `None` only checks. ESRCH, EPERM, EACCES if the permission tree forbids it for all.
    pub fn kill(&self, process: &Process, pid: i32, signal: Option<Signal>) -> Result<()> {
        let own_group = self.getpgid(process, 0)?;
        let cred = process.cred();
        let targets: Vec<Arc<Process>> = {
            let table = self.table.lock();
            let chosen = |e: &&Entry| match pid {
                0 => e.pgid == own_group,
                -1 => e.process.pid != Pid::INIT && e.process.pid != process.pid,
                p if p > 0 => e.process.pid.0 == p.unsigned_abs(),
                p => e.pgid.0 == p.unsigned_abs(),
            };
            table.iter().filter(chosen).map(|e| Arc::clone(&e.process)).collect()
        };
        if targets.is_empty() {
            return Err(Errno::ESRCH);
        }
        let allowed: Vec<_> = targets
            .iter()
            .filter(|t| t.pid != Pid::INIT && (cred.uid == 0 || t.cred().uid == cred.uid))
            .collect();
        if allowed.is_empty() {
            return Err(Errno::EPERM);
        }
        let may = |t: &&&Arc<Process>| self.may_touch(process.pid.0, t.pid.0, Operation::Signal).is_ok();
        let allowed: Vec<_> = allowed.iter().filter(may).collect();
        if allowed.is_empty() {
            return Err(Errno::EACCES);
        }
        if let Some(signal) = signal {
            for target in allowed {
                self.deliver(target, signal);
            }
        }
        Ok(())
    }

    /// sigaction(2): sets a disposition and returns the old one; `None` for SIGKILL and SIGSTOP. A signal that waited to be
    /// taken and now is not caught any more acts.
    pub fn sigaction(&self, process: &Process, signal: Signal, to: Disposition) -> Option<Disposition> {
        let orphaned = self.loses_stops(process);
        let (old, acted) = process.with_signals(|s| s.set_disposition(signal, to, orphaned))?;
        self.tell_of_stops(process, acted);
        Some(old)
    }

    /// Blocks exactly `mask`; signals that were held act.
    pub fn set_sigmask(&self, process: &Process, mask: u64) {
        let orphaned = self.loses_stops(process);
        let acted = process.with_signals(|s| s.set_blocked(mask, orphaned));
        self.tell_of_stops(process, acted);
    }

    /// Tells the parent of stops by signals that had waited.
    pub(crate) fn tell_of_stops(&self, process: &Process, acted: Vec<(Signal, Posted)>) {
        for (signal, posted) in acted {
            if posted == Posted::Stopped {
                self.tell_parent(process, WaitStatus::Stopped(signal.raw()));
            }
        }
    }

    /// A signal to every process of a group. `false` if none of it runs any more.
    pub(crate) fn signal_group(&self, group: Pid, signal: Signal) -> bool {
        let targets: Vec<Arc<Process>> = {
            let table = self.table.lock();
            let chosen = |e: &&Entry| e.pgid == group && e.process.pid != Pid::INIT;
            table.iter().filter(chosen).map(|e| Arc::clone(&e.process)).collect()
        };
        let mut reached = false;
        for target in &targets {
            reached |= self.deliver(target, signal);
        }
        reached
    }

    /// Signals to one process, if it is there.
    pub(crate) fn signal_process(&self, pid: Pid, signals: &[Signal]) {
        if let Some(process) = self.process(pid) {
            for signal in signals {
                self.deliver(&process, *signal);
            }
        }
    }

    /// A signal from the host to a process, or with `group` to its process group. `false` if there is no such process.
    pub fn host_kill(&self, pid: Pid, signal: Signal, group: bool) -> bool {
        let targets: Vec<Arc<Process>> = {
            let table = self.table.lock();
            let Some(pgid) = table.get(pid).map(|e| e.pgid) else { return false };
            let chosen = |e: &&Entry| {
                e.process.pid != Pid::INIT && if group { e.pgid == pgid } else { e.process.pid == pid }
            };
            table.iter().filter(chosen).map(|e| Arc::clone(&e.process)).collect()
        };
        for target in &targets {
            self.deliver(target, signal);
        }
        !targets.is_empty()
    }

    /// SIGKILL to everything that descends from the job that the host started as `job`, whatever group or session it
    /// moved to. Returns how many were alive.
    pub fn kill_job(&self, job: Pid) -> usize {
        self.kill_all(|entry| entry.process.job == job)
    }

    /// SIGKILL to every process of a session. Who left it before is spared. Returns how many were alive.
    pub fn kill_session(&self, session: Pid) -> usize {
        self.kill_all(|entry| entry.sid == session)
    }

    /// SIGKILL to all of some processes at once: under the lock under which a child is made and an exit is noted. So none
    /// escapes by making another one meanwhile (a dying one makes none, see `spawn_child`), and none ends because another
    /// one was killed before it.
    fn kill_all(&self, such: impl Fn(&Entry) -> bool) -> usize {
        let table = self.table.lock();
        let alive =
            |e: &&Entry| e.process.pid != Pid::INIT && e.exit.is_none() && !e.process.is_dying() && such(e);
        let mut killed = 0;
        for target in table.iter().filter(alive) {
            target.process.raise(Signal::SIGKILL);
            killed += 1;
        }
        killed
    }

    /// alarm(2) in milliseconds: SIGALRM after `ms` (0: none). Returns what was left of the former one.
    pub fn alarm(&self, process: &Arc<Process>, ms: u64) -> u64 {
        let (_, left) = self.setitimer(process, Duration::ZERO, Duration::from_millis(ms));
        u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// setitimer(2) of real time: SIGALRM after `value` (zero: none), then every `interval` (zero: once). Returns the
    /// former interval and what was left.
    pub fn setitimer(
        &self,
        process: &Arc<Process>,
        interval: Duration,
        value: Duration,
    ) -> (Duration, Duration) {
        let mut alarm = process.alarm.lock();
        let old = left_of(&alarm);
        alarm.due = (!value.is_zero()).then(|| Instant::now() + value.min(LONGEST));
        alarm.interval = if interval.is_zero() { interval } else { interval.clamp(SHORTEST, LONGEST) };
        if alarm.timer.is_some() {
            alarm.changed.notify_one();
        } else if alarm.due.is_some() {
            let timer = tokio::spawn(ring(Arc::downgrade(process), Arc::clone(&alarm.changed)));
            alarm.timer = Some(timer.abort_handle());
        }
        old
    }

    /// getitimer(2) of real time: the interval and what is left.
    #[must_use]
    pub fn getitimer(&self, process: &Process) -> (Duration, Duration) {
        left_of(&process.alarm.lock())
    }

    /// pause(2): waits for a signal; always ends with EINTR.
    pub async fn pause(&self, process: &Process) -> Errno {
        match process.interruptible::<()>(|_| std::task::Poll::Pending, |_| ()).await {
            Ok(()) => Errno::EINTR,
            Err(errno) => errno,
        }
    }
}

/// A year is as good as never, and keeps the arithmetic of instants in range.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// A timer rings no more often: each ring costs the machine something.
const SHORTEST: Duration = Duration::from_millis(1);

fn left_of(alarm: &crate::process::Alarm) -> (Duration, Duration) {
    let left = alarm.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
    (alarm.interval, left)
}

/// The timer of a process: raises SIGALRM whenever its alarm is due. It ends with the process.
async fn ring(process: Weak<Process>, changed: Arc<tokio::sync::Notify>) {
    loop {
        let Some(due) = process.upgrade().map(|process| process.alarm.lock().due) else { return };
        let Some(due) = due else {
            changed.notified().await;
            continue;
        };
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep_until(due.into()) => {
                let Some(process) = process.upgrade() else { return };
                let mut alarm = process.alarm.lock();
                // It may have been set anew in this instant.
                if alarm.due == Some(due) {
                    // Counted from now: a timer that is late does not ring twice at once.
                    alarm.due = (!alarm.interval.is_zero()).then(|| Instant::now() + alarm.interval);
                    drop(alarm);
                    process.raise(Signal::SIGALRM);
                }
            }
        }
    }
}
