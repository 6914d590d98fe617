//! Signals that end the shell: the EXIT trap that they run before, and SIGINT while a program is waited for. Traps of
//! signals are in `traps.rs`; what a person's interrupt does is in `interactive`.

use crate::shell::{Run, Shell};
use agentos_guest::Signal;
use agentos_guest::process::WaitStatus;
use agentos_guest::signal::{self, Disposition};

/// The signals that end a shell, except those of its own faults.
const ENDING: &[Signal] = &[
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGTRAP,
    Signal::SIGABRT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGPIPE,
    Signal::SIGALRM,
    Signal::SIGTERM,
    Signal::SIGXCPU,
    Signal::SIGXFSZ,
    Signal::SIGVTALRM,
    Signal::SIGSYS,
];

impl Shell {
    /// After the EXIT trap was set or taken away: with one, signals that end the shell are caught, to run it first. Subshells
    /// in parentheses and in the background do not do that in bash either.
    pub(crate) fn guard_exit(&mut self) {
        let wanted = self.traps.exit.as_ref().is_some_and(|action| !action.is_empty()) && self.subshell == 0;
        for which in ENDING.iter().copied() {
            if wanted && !self.session.active && !self.traps.signals.contains_key(&which) {
                self.guard(which);
            } else if !wanted {
                self.unguard(which);
            }
        }
    }

    /// Whether a signal without a trap is caught, because it ends the shell only after the EXIT trap.
    pub(crate) fn is_guarded(&self, which: Signal) -> bool {
        self.traps.guarded & which.bit() != 0
    }

    fn guard(&mut self, which: Signal) {
        self.traps.learn(which);
        if !self.traps.is_hard(which) && !self.is_guarded(which) && signal::catch(which).is_ok() {
            self.traps.guarded |= which.bit();
        }
    }

    fn unguard(&mut self, which: Signal) {
        if self.is_guarded(which) {
            self.traps.guarded &= !which.bit();
            // The disposition of a known signal can be set.
            let _ = signal::default(which);
        }
    }

    /// In a new child: what ended the parent after its EXIT trap ends this process at once.
    pub(crate) fn unguard_all(&mut self) {
        for which in ENDING {
            self.unguard(*which);
        }
        if std::mem::take(&mut self.traps.lent) {
            let _ = signal::default(Signal::SIGINT);
        }
    }

    /// During a call that a signal has interrupted: ends the shell if it was one that does. SIGINT is left to the program
    /// that is being waited for.
    pub(crate) fn poll_end(&mut self, waits: bool) {
        while let Some(next) = signal::next() {
            self.traps.note(next);
        }
        if let Some(which) = self.traps.guarded_pending(waits) {
            // It only comes back if the signal could not be sent.
            let _ = self.end_by(which);
        }
    }

    /// Ends the shell by a signal, after the EXIT trap.
    pub(crate) fn end_by(&mut self, which: Signal) -> Run {
        self.capture = crate::shell::Capture::default();
        self.in_process = 0;
        self.traps.forget(which);
        self.status = 128 + i32::from(which.raw());
        self.exit_trap();
        self.flush();
        let _ = signal::default(which);
        let own = i32::try_from(agentos_guest::process::id()).unwrap_or_default();
        let _ = signal::kill(own, Some(which));
        self.session.leaving = true;
        Err(crate::shell::Flow::Exit)
    }

    /// Before a program is waited for: SIGINT is caught, since the program may be meant to survive it.
    pub(crate) fn begin_wait(&mut self) {
        let own = self.session.active || self.traps.signals.contains_key(&Signal::SIGINT);
        if own || self.is_guarded(Signal::SIGINT) {
            return;
        }
        self.traps.learn(Signal::SIGINT);
        if !self.traps.is_hard(Signal::SIGINT) {
            self.traps.lent |= matches!(signal::catch(Signal::SIGINT), Ok(Disposition::Default));
        }
    }

    /// After that: a shell that got SIGINT ends by it if the program did, and goes on if not.
    pub(crate) fn end_wait(&mut self, ended: &[WaitStatus]) {
        let changed = std::mem::take(&mut self.traps.lent);
        if !changed && !self.is_guarded(Signal::SIGINT) {
            return;
        }
        while let Some(next) = signal::take_pending() {
            self.traps.note(next);
        }
        let came = self.traps.forget(Signal::SIGINT);
        if changed {
            let _ = signal::default(Signal::SIGINT);
        }
        if came && ended.contains(&WaitStatus::Signaled(Signal::SIGINT.raw())) {
            let _ = self.end_by(Signal::SIGINT);
        }
    }
}
