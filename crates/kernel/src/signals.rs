//! Signal state of a process: dispositions, mask, pending set, and what a new signal does.

use agentos_abi::signal::DefaultAction;

use crate::{Interrupt, Signal};

/// What a process does with a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    /// The default action.
    #[default]
    Default,
    /// Nothing.
    Ignore,
    /// Its program asks with `next_signal`.
    Catch,
}

/// Real-time signals that there are.
const REAL_TIME: usize = (Signal::SIGRTMAX.raw() - Signal::SIGRTMIN.raw()) as usize + 1;

/// Signals of one process.
#[derive(Clone, Debug)]
pub struct SignalState {
    /// By number.
    dispositions: [Disposition; 65],
    blocked: u64,
    pending: u64,
    /// Of each real-time signal, how many wait beyond the first; more are lost.
    queued: [u8; REAL_TIME],
    fatal: Option<Signal>,
    stopped: bool,
    /// It runs no instruction any more: signals reach nobody.
    ending: bool,
}

/// What posting a signal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It was discarded.
    Discarded,
    /// It waits, blocked.
    Held,
    /// The process has to act.
    Act,
    /// The process was stopped by it.
    Stopped,
    /// The process was stopped and goes on.
    Continued,
    /// The process has ended.
    Gone,
}

impl Default for SignalState {
    fn default() -> Self {
        Self {
            dispositions: [Disposition::Default; 65],
            blocked: 0,
            pending: 0,
            queued: [0; REAL_TIME],
            fatal: None,
            stopped: false,
            ending: false,
        }
    }
}

/// The stops that a terminal sends.
pub(crate) const TERMINAL_STOPS: u64 = Signal::SIGTSTP.bit() | Signal::SIGTTIN.bit() | Signal::SIGTTOU.bit();
const STOPS: u64 = Signal::SIGSTOP.bit() | TERMINAL_STOPS;

impl SignalState {
    /// The disposition of `signal`.
    #[must_use]
    pub fn disposition(&self, signal: Signal) -> Disposition {
        self.dispositions[usize::from(signal.raw())]
    }

    /// Sets it and returns the old one, and what waiting signals now did. SIGKILL and SIGSTOP cannot change: `None`. A
    /// pending signal that becomes ignored is discarded (POSIX sigaction()).
    pub fn set_disposition(
        &mut self,
        signal: Signal,
        to: Disposition,
        orphaned: bool,
    ) -> Option<(Disposition, Vec<(Signal, Posted)>)> {
        if matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) && to != Disposition::Default {
            return None;
        }
        let slot = &mut self.dispositions[usize::from(signal.raw())];
        let old = std::mem::replace(slot, to);
        let ignored = match to {
            Disposition::Ignore => true,
            Disposition::Default => signal.default_action() == DefaultAction::Ignore,
            Disposition::Catch => false,
        };
        if ignored {
            self.take_all(signal);
        }
        let acted = if to == Disposition::Catch { Vec::new() } else { self.repost(orphaned) };
        Some((old, acted))
    }

    /// The blocked signals.
    #[must_use]
    pub fn blocked(&self) -> u64 {
        self.blocked
    }

    /// Blocks exactly `mask` (never SIGKILL and SIGSTOP); signals that were held are acted on. In an `orphaned` group the
    /// stops of a terminal do nothing by default (POSIX 2.4.3).
    pub fn set_blocked(&mut self, mask: u64, orphaned: bool) -> Vec<(Signal, Posted)> {
        self.blocked = mask & !(Signal::SIGKILL.bit() | Signal::SIGSTOP.bit());
        let released = self.pending & !self.blocked;
        let mut done = Vec::new();
        for signal in Signal::ALL.iter().copied().filter(|s| released & s.bit() != 0) {
            if self.disposition(signal) == Disposition::Catch {
                done.push((signal, Posted::Act));
            } else {
                self.take_all(signal);
                if !orphaned || TERMINAL_STOPS & signal.bit() == 0 {
                    let posted = self.post(signal);
                    done.push((signal, posted));
                }
            }
        }
        done
    }

    /// The pending signals.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending
    }

    fn queued_of(&mut self, signal: Signal) -> Option<&mut u8> {
        let at = signal.raw().checked_sub(Signal::SIGRTMIN.raw())?;
        self.queued.get_mut(usize::from(at))
    }

    /// One more waits: of real-time signals each counts.
    fn hold(&mut self, signal: Signal) {
        let waits = self.pending & signal.bit() != 0;
        self.pending |= signal.bit();
        if let Some(more) = self.queued_of(signal).filter(|_| waits) {
            *more = more.saturating_add(1);
        }
    }

    /// None waits any more.
    fn take_all(&mut self, signal: Signal) {
        self.pending &= !signal.bit();
        if let Some(more) = self.queued_of(signal) {
            *more = 0;
        }
    }

    /// The process has run its last instruction. Returns the signal that would have ended it: it came first.
    pub fn end(&mut self) -> Option<Signal> {
        self.ending = true;
        self.fatal
    }

    /// A signal arrives.
    pub fn post(&mut self, signal: Signal) -> Posted {
        if self.ending {
            return Posted::Gone;
        }
        if signal == Signal::SIGKILL {
            self.fatal = Some(signal);
            return Posted::Act;
        }
        let mut continued = false;
        if signal == Signal::SIGCONT {
            self.pending &= !STOPS;
            continued = std::mem::take(&mut self.stopped);
        } else if STOPS & signal.bit() != 0 {
            self.pending &= !Signal::SIGCONT.bit();
        }
        let otherwise = if continued { Posted::Continued } else { Posted::Discarded };
        if self.blocked & signal.bit() != 0 && self.disposition(signal) != Disposition::Ignore {
            self.hold(signal);
            return if continued { Posted::Continued } else { Posted::Held };
        }
        match self.disposition(signal) {
            Disposition::Ignore => otherwise,
            Disposition::Catch => {
                self.hold(signal);
                if continued { Posted::Continued } else { Posted::Act }
            }
            Disposition::Default => match signal.default_action() {
                DefaultAction::Ignore | DefaultAction::Continue => otherwise,
                // What ends already is not held up.
                DefaultAction::Stop if self.fatal.is_some() && !self.stopped => otherwise,
                DefaultAction::Stop => {
                    self.stopped = true;
                    Posted::Stopped
                }
                DefaultAction::Terminate => {
                    self.fatal.get_or_insert(signal);
                    Posted::Act
                }
            },
        }
    }

    /// What the process has to act on, most urgent first.
    #[must_use]
    pub fn interrupt(&self) -> Option<Interrupt> {
        if let Some(signal) = self.fatal
            && (!self.stopped || signal == Signal::SIGKILL)
        {
            Some(Interrupt::Terminate(signal))
        } else if self.stopped {
            Some(Interrupt::Stopped)
        } else if self.pending & !self.blocked != 0 {
            Some(Interrupt::Caught)
        } else {
            None
        }
    }

    /// Takes the lowest caught and unblocked signal.
    pub fn take_caught(&mut self) -> Option<Signal> {
        let ready = self.pending & !self.blocked;
        let signal = Signal::ALL.iter().copied().find(|s| ready & s.bit() != 0)?;
        match self.queued_of(signal) {
            Some(more @ 1..) => *more -= 1,
            _ => self.pending &= !signal.bit(),
        }
        Some(signal)
    }

    /// Whether it is stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The state after exec(2): caught signals go back to the default. Returns what waiting ones now did.
    pub fn on_exec(&mut self, orphaned: bool) -> Vec<(Signal, Posted)> {
        for d in &mut self.dispositions {
            if *d == Disposition::Catch {
                *d = Disposition::Default;
            }
        }
        self.repost(orphaned)
    }

    /// Pending signals that nobody will ask for any more act as their disposition now says.
    fn repost(&mut self, orphaned: bool) -> Vec<(Signal, Posted)> {
        self.set_blocked(self.blocked, orphaned)
    }

    /// The state of a forked child: as the parent, nothing pending.
    #[must_use]
    pub fn for_child(&self) -> Self {
        Self { dispositions: self.dispositions, blocked: self.blocked, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_actions() {
        for (signal, posted, interrupt) in [
            (Signal::SIGTERM, Posted::Act, Some(Interrupt::Terminate(Signal::SIGTERM))),
            (Signal::SIGKILL, Posted::Act, Some(Interrupt::Terminate(Signal::SIGKILL))),
            (Signal::SIGCHLD, Posted::Discarded, None),
            (Signal::SIGCONT, Posted::Discarded, None),
            (Signal::SIGTSTP, Posted::Stopped, Some(Interrupt::Stopped)),
        ] {
            let mut state = SignalState::default();
            assert_eq!(state.post(signal), posted, "{signal:?}");
            assert_eq!(state.interrupt(), interrupt, "{signal:?}");
        }
    }

    #[test]
    fn a_signal_ends_a_process_or_finds_it_gone() {
        let mut state = SignalState::default();
        assert_eq!(state.post(Signal::SIGTERM), Posted::Act);
        assert_eq!(state.end(), Some(Signal::SIGTERM));
        let mut state = SignalState::default();
        assert_eq!(state.end(), None);
        for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGSTOP] {
            assert_eq!(state.post(signal), Posted::Gone);
        }
        assert_eq!(state.interrupt(), None);
        assert_eq!(state.for_child().post(Signal::SIGTERM), Posted::Act);
    }

    #[test]
    fn a_blocked_signal_waits_and_acts_when_unblocked() {
        let mut state = SignalState::default();
        state.set_blocked(Signal::SIGTERM.bit() | Signal::SIGKILL.bit(), false);
        assert_eq!(state.post(Signal::SIGTERM), Posted::Held);
        assert_eq!(state.interrupt(), None);
        assert_eq!(state.set_blocked(0, false), vec![(Signal::SIGTERM, Posted::Act)]);
        assert_eq!(state.interrupt(), Some(Interrupt::Terminate(Signal::SIGTERM)));
        assert_eq!(state.blocked(), 0);
    }

    #[test]
    fn caught_signals_are_taken_once_and_reset_by_exec() {
        let mut state = SignalState::default();
        let (old, acted) = state.set_disposition(Signal::SIGTERM, Disposition::Catch, false).unwrap();
        assert_eq!((old, acted), (Disposition::Default, Vec::new()));
        assert_eq!(state.set_disposition(Signal::SIGKILL, Disposition::Catch, false), None);
        state.post(Signal::SIGTERM);
        state.post(Signal::SIGTERM);
        assert_eq!(state.interrupt(), Some(Interrupt::Caught));
        assert_eq!(state.take_caught(), Some(Signal::SIGTERM));
        assert_eq!(state.take_caught(), None);
        state.on_exec(false);
        assert_eq!(state.disposition(Signal::SIGTERM), Disposition::Default);
    }

    #[test]
    fn a_caught_signal_that_is_still_pending_acts_after_exec() {
        let mut state = SignalState::default();
        state.set_disposition(Signal::SIGTERM, Disposition::Catch, false);
        state.set_disposition(Signal::SIGCHLD, Disposition::Catch, false);
        state.post(Signal::SIGCHLD);
        state.on_exec(false);
        assert_eq!(state.interrupt(), None, "SIGCHLD is ignored by default");
        state.set_disposition(Signal::SIGTERM, Disposition::Catch, false);
        state.post(Signal::SIGTERM);
        state.set_disposition(Signal::SIGTERM, Disposition::Default, false);
        assert_eq!(state.interrupt(), Some(Interrupt::Terminate(Signal::SIGTERM)));
    }

    #[test]
    fn stop_holds_termination_until_continued_but_not_sigkill() {
        let mut state = SignalState::default();
        state.post(Signal::SIGSTOP);
        state.post(Signal::SIGTERM);
        assert_eq!(state.interrupt(), Some(Interrupt::Stopped));
        assert_eq!(state.post(Signal::SIGCONT), Posted::Continued);
        assert_eq!(state.interrupt(), Some(Interrupt::Terminate(Signal::SIGTERM)));
        assert_eq!(state.post(Signal::SIGSTOP), Posted::Discarded, "it ends already");
        assert_eq!(state.interrupt(), Some(Interrupt::Terminate(Signal::SIGTERM)));
        let mut state = SignalState::default();
        state.post(Signal::SIGSTOP);
        state.post(Signal::SIGKILL);
        assert_eq!(state.interrupt(), Some(Interrupt::Terminate(Signal::SIGKILL)));
    }

    #[test]
    fn real_time_signals_are_counted_and_others_are_not() {
        let mut state = SignalState::default();
        for signal in [Signal::SIGRTMAX, Signal::SIGRTMIN, Signal::SIGUSR1] {
            state.set_disposition(signal, Disposition::Catch, false);
            for _ in 0..3 {
                state.post(signal);
            }
        }
        let taken: Vec<_> = std::iter::from_fn(|| state.take_caught()).collect();
        let expected = [vec![Signal::SIGUSR1], vec![Signal::SIGRTMIN; 3], vec![Signal::SIGRTMAX; 3]];
        assert_eq!(taken, expected.concat());
        for _ in 0..100_000 {
            state.post(Signal::SIGRTMIN);
        }
        state.set_disposition(Signal::SIGRTMIN, Disposition::Ignore, false);
        state.set_disposition(Signal::SIGRTMIN, Disposition::Catch, false);
        assert_eq!(state.take_caught(), None, "ignoring discards all");
        state.set_disposition(Signal::SIGRTMIN, Disposition::Default, false);
        state.post(Signal::SIGRTMIN);
        assert_eq!(state.interrupt(), Some(Interrupt::Terminate(Signal::SIGRTMIN)));
    }

    #[test]
    fn ignoring_discards_what_is_pending() {
        let mut state = SignalState::default();
        state.set_disposition(Signal::SIGUSR1, Disposition::Catch, false);
        state.post(Signal::SIGUSR1);
        state.set_disposition(Signal::SIGUSR1, Disposition::Ignore, false);
        assert_eq!(state.interrupt(), None);
    }
}
