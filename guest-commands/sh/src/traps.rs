//! Traps: what runs when a signal was caught, a command failed, or the shell ends. Signals are taken between commands.

use crate::ir::Command;
use crate::shell::{Current, Flow, Run, Shell};
use agentos_guest::Signal;
use agentos_guest::signal::{self, Disposition};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Which action is being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Running {
    Signal,
    Exit,
    Err,
    Debug,
    Return,
}

/// The traps that are set.
#[derive(Debug, Default)]
pub(crate) struct Traps {
    /// Actions by signal; an empty one ignores.
    pub(crate) signals: BTreeMap<Signal, Rc<str>>,
    pub(crate) exit: Option<Rc<str>>,
    pub(crate) err: Option<Rc<str>>,
    pub(crate) debug: Option<Rc<str>>,
    pub(crate) on_return: Option<Rc<str>>,
    /// In a subshell: the traps of its parent as `trap` prints them, until it sets one of its own.
    pub(crate) former: Vec<(String, String)>,
    /// Taken, but not yet acted on.
    pending: Vec<Signal>,
    /// The actions that are being run, innermost last, and `$?` before each.
    running: Vec<(Running, i32)>,
    /// Signals of which it is known whether they were ignored when the shell started, and those that were.
    known: u64,
    hard: u64,
    /// Signals without a trap that are caught, to run the EXIT trap before they end the shell.
    pub(crate) guarded: u64,
    /// SIGINT is caught as long as a program is waited for.
    pub(crate) lent: bool,
    /// The next simple command's DEBUG trap has run already, in the parent.
    pub(crate) debug_done: bool,
    /// SIGQUIT is ignored by the shell itself, but not by what it starts.
    own_quit: bool,
}

impl Traps {
    /// The name of each trap, and the line that `trap` prints.
    pub(crate) fn lines(&self) -> Vec<(String, String)> {
        let mut signals: BTreeMap<Signal, &str> =
            self.signals.iter().map(|(which, action)| (*which, &**action)).collect();
        signals.extend(Signal::ALL.iter().filter(|s| self.hard & s.bit() != 0).map(|s| (*s, "")));
        let signals = signals.iter().map(|(which, action)| (which.name(), Some(*action)));
        std::iter::once(("EXIT", self.exit.as_deref()))
            .chain(signals)
            .chain([
                ("DEBUG", self.debug.as_deref()),
                ("ERR", self.err.as_deref()),
                ("RETURN", self.on_return.as_deref()),
            ])
            .filter_map(|(name, action)| {
                let line = format!("trap -- {} {name}\n", single_quoted(action?));
                Some((name.to_owned(), line))
            })
            .collect()
    }

    /// Notes a signal that was taken elsewhere.
    pub(crate) fn note(&mut self, signal: Signal) {
        self.pending.push(signal);
    }

    /// Whether a signal was taken and is not acted on yet.
    pub(crate) fn holds(&self, which: Signal) -> bool {
        self.pending.contains(&which)
    }

    /// Forgets a signal that was taken; true if there was one.
    pub(crate) fn forget(&mut self, which: Signal) -> bool {
        let before = self.pending.len();
        self.pending.retain(|s| *s != which);
        self.pending.len() < before
    }

    /// A signal that was taken and ends the shell; `waits`: not SIGINT.
    pub(crate) fn guarded_pending(&self, waits: bool) -> Option<Signal> {
        let ends = |s: &Signal| self.guarded & s.bit() != 0 && !(waits && *s == Signal::SIGINT);
        self.pending.iter().copied().find(ends)
    }

    /// Whether a signal was ignored when the shell started.
    pub(crate) fn is_hard(&self, which: Signal) -> bool {
        self.hard & which.bit() != 0
    }

    /// Whether a trap could run when the shell is replaced by a program.
    pub(crate) fn any(&self) -> bool {
        self.exit.is_some() || self.err.is_some() || self.signals.values().any(|a| !a.is_empty())
    }

    /// Whether a trap is being run.
    pub(crate) fn active(&self) -> bool {
        !self.running.is_empty()
    }

    fn runs(&self, which: Running) -> bool {
        self.running.iter().any(|(running, _)| *running == which)
    }

    /// `$?` before the innermost action, if that is not a DEBUG trap: what `return` takes.
    pub(crate) fn status_for_return(&self) -> Option<i32> {
        self.running.last().filter(|(which, _)| *which != Running::Debug).map(|(_, status)| *status)
    }

    /// `$?` before the EXIT trap that is being run.
    pub(crate) fn status_for_exit(&self) -> Option<i32> {
        self.running.last().filter(|(which, _)| *which == Running::Exit).map(|(_, status)| *status)
    }

    /// Finds out whether a signal was ignored when the shell started, before that can no longer be told.
    pub(crate) fn learn(&mut self, which: Signal) {
        if self.known & which.bit() != 0 || matches!(which, Signal::SIGKILL | Signal::SIGSTOP) {
            return;
        }
        self.known |= which.bit();
        if let Ok(former) = signal::set(which, Disposition::Ignore) {
            if former == Disposition::Ignore {
                self.hard |= which.bit();
            } else {
                let _ = signal::set(which, former);
            }
        }
    }
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The traps that a function does not inherit, to be restored when it has not set its own.
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    err: Option<Rc<str>>,
    debug: Option<Rc<str>>,
    on_return: Option<Rc<str>>,
}

impl Shell {
    /// Runs the traps of signals that were caught.
    #[inline]
    pub(crate) fn poll_traps(&mut self) -> Run {
        if self.in_process > 0 {
            return Ok(());
        }
        if let Some(first) = signal::take_pending() {
            self.traps.pending.push(first);
        }
        if self.traps.pending.is_empty() { Ok(()) } else { self.run_pending() }
    }

    fn run_pending(&mut self) -> Run {
        while let Some(next) = signal::take_pending() {
            self.traps.pending.push(next);
        }
        while !self.traps.pending.is_empty() {
            let caught = self.traps.pending.remove(0);
            if self.is_guarded(caught) {
                return self.end_by(caught);
            }
            self.interrupted(caught)?;
            if let Some(action) = self.traps.signals.get(&caught).cloned()
                && !action.is_empty()
            {
                self.run_trap(&action, Running::Signal, 1)?;
            }
        }
        Ok(())
    }

    /// A caught signal that has a trap, taken but not yet acted on.
    pub(crate) fn caught(&mut self) -> Option<Signal> {
        while let Some(next) = signal::next() {
            self.traps.pending.push(next);
        }
        if let Some(which) = self.traps.guarded_pending(false) {
            // It only comes back if the signal could not be sent.
            let _ = self.end_by(which);
        }
        let trapped = |s: &Signal| self.traps.signals.get(s).is_some_and(|a| !a.is_empty());
        self.traps.pending.iter().copied().find(|s| trapped(s) || self.interrupts(*s))
    }

    /// Runs an action whose first line is `line`; `$?` is what it was before, unless the action ends the shell.
    fn run_trap(&mut self, action: &str, which: Running, line: u32) -> Run {
        self.flush();
        let status = self.status;
        let pipestatus = self.pipestatus.clone();
        let last_arg = self.last_arg.clone();
        let tested = std::mem::take(&mut self.tested);
        let subst_status = self.subst_status;
        let before = self.line;
        self.traps.running.push((which, status));
        let result = self.eval_at(action, "trap", line);
        self.flush();
        self.traps.running.pop();
        self.line = before;
        self.tested = tested;
        self.subst_status = subst_status;
        result?;
        self.last_arg = last_arg;
        if which != Running::Debug {
            self.status = status;
        }
        self.pipestatus = pipestatus;
        Ok(())
    }

    /// Runs the ERR trap for a command that failed.
    pub(crate) fn err_trap(&mut self) -> Run {
        match self.traps.err.clone() {
            Some(action) if !action.is_empty() && !self.traps.runs(Running::Err) => {
                let line = self.line;
                self.run_trap(&action, Running::Err, line)
            }
            _ => Ok(()),
        }
    }

    /// Runs the RETURN trap of a function or sourced file that ends; `$?` is in it what it was before `return`.
    pub(crate) fn return_trap(&mut self, returned: bool) -> Run {
        let status = self.status;
        if returned {
            self.status = self.before_return;
        }
        let result = self.return_trap_now();
        if result.is_ok() {
            self.status = status;
        }
        result
    }

    fn return_trap_now(&mut self) -> Run {
        match self.traps.on_return.clone() {
            Some(action) if !action.is_empty() && !self.traps.runs(Running::Return) => {
                let line = self.line;
                self.run_trap(&action, Running::Return, line)
            }
            _ => Ok(()),
        }
    }

    /// Before a command: notes it for `BASH_COMMAND` and runs the DEBUG trap; false: the command is to be skipped.
    #[inline]
    pub(crate) fn announce(&mut self, command: &Rc<Command>) -> Result<bool, Flow> {
        if !self.traps.active() {
            self.current = Current::Command(command.clone());
        }
        if self.traps.debug.is_some() { self.debug_trap() } else { Ok(true) }
    }

    /// As [`Shell::announce`] for what is only a part of a command.
    pub(crate) fn announce_text(&mut self, text: impl FnOnce() -> String) -> Result<bool, Flow> {
        if !self.traps.active() {
            self.current = Current::Text(text());
        }
        if self.traps.debug.is_some() { self.debug_trap() } else { Ok(true) }
    }

    /// Runs the DEBUG trap; false: the command is to be skipped, as `extdebug` allows.
    #[inline(never)]
    pub(crate) fn debug_trap(&mut self) -> Result<bool, Flow> {
        if std::mem::take(&mut self.traps.debug_done) {
            return Ok(true);
        }
        let Some(action) = self.traps.debug.clone() else { return Ok(true) };
        if action.is_empty() || self.traps.runs(Running::Debug) {
            return Ok(true);
        }
        let (line, before) = (self.line, self.status);
        let result = self.run_trap(&action, Running::Debug, line);
        let verdict = std::mem::replace(&mut self.status, before);
        if result.is_err() {
            self.status = verdict;
            result?;
        }
        if !self.shopts.extdebug || verdict == 0 {
            return Ok(true);
        }
        if verdict == 2 && !self.calls.is_empty() {
            self.status = verdict;
            return Err(Flow::Return);
        }
        Ok(false)
    }

    /// Runs the EXIT trap; returns the status to end with.
    pub(crate) fn exit_trap(&mut self) -> i32 {
        // Signals that came while the last command ran come first.
        if self.poll_traps() == Err(Flow::Exit) {
            self.traps.pending.clear();
        }
        if let Some(action) = self.traps.exit.clone()
            && !action.is_empty()
        {
            let status = self.status;
            self.tested = 0;
            self.loops = 0;
            self.traps.running.push((Running::Exit, status));
            let result = self.eval_at(&action, "exit trap", 1);
            self.traps.running.pop();
            self.traps.exit = None;
            if matches!(result, Err(Flow::Exit | Flow::Return)) {
                return self.status;
            }
            self.status = status;
        }
        self.status
    }

    /// Takes away the traps that a call does not inherit; `traced`: the function has the trace attribute.
    pub(crate) fn withhold_traps(&mut self, traced: bool) -> Withheld {
        let traced = traced || self.opts.functrace;
        let mut out = Withheld::default();
        if !traced {
            out.debug = self.traps.debug.take();
        }
        if !self.opts.errtrace {
            out.err = self.traps.err.take();
        }
        if !traced || self.traps.runs(Running::Debug) {
            out.on_return = self.traps.on_return.take();
        }
        out
    }

    /// Gives them back, except where the call has set its own.
    pub(crate) fn restore_traps(&mut self, withheld: Withheld) {
        let traps = &mut self.traps;
        for (slot, former) in [
            (&mut traps.err, withheld.err),
            (&mut traps.debug, withheld.debug),
            (&mut traps.on_return, withheld.on_return),
        ] {
            if slot.is_none() {
                *slot = former;
            }
        }
    }

    /// Sets or removes the trap of a signal. One that was ignored when the shell started stays so.
    pub(crate) fn set_signal_trap(&mut self, which: Signal, action: Option<&str>) {
        self.traps.learn(which);
        if self.traps.hard & which.bit() != 0 {
            return;
        }
        if which == Signal::SIGQUIT {
            self.traps.own_quit = action.is_none() && self.subshell == 0;
        }
        let disposition = match action {
            None if self.is_spared(which) => Disposition::Catch,
            None if which == Signal::SIGQUIT && self.traps.own_quit => Disposition::Ignore,
            None => Disposition::Default,
            Some("") => Disposition::Ignore,
            Some(_) => Disposition::Catch,
        };
        // SIGKILL and SIGSTOP cannot be caught; bash says nothing either.
        let _ = signal::set(which, disposition);
        match action {
            Some(action) => drop(self.traps.signals.insert(which, Rc::from(action))),
            None => drop(self.traps.signals.remove(&which)),
        }
        self.traps.guarded &= !which.bit();
        self.guard_exit();
    }

    /// When a shell starts: as bash, it ignores SIGQUIT unless there is a trap.
    pub(crate) fn ignore_quit(&mut self) {
        self.traps.learn(Signal::SIGQUIT);
        if self.traps.hard & Signal::SIGQUIT.bit() == 0 {
            self.traps.own_quit = signal::ignore(Signal::SIGQUIT).is_ok();
        }
    }

    /// Starts or becomes something that has SIGQUIT as this shell was given it.
    pub(crate) fn with_quit<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        if !self.traps.own_quit {
            return f(self);
        }
        let former = signal::default(Signal::SIGQUIT);
        let result = f(self);
        if let Ok(former) = former {
            let _ = signal::set(Signal::SIGQUIT, former);
        }
        result
    }

    /// In a new subshell: caught signals have their default again, ignored ones stay ignored.
    pub(crate) fn reset_traps(&mut self) {
        if self.traps.former.is_empty() {
            self.traps.former = self.traps.lines();
        }
        if std::mem::take(&mut self.traps.own_quit) {
            let _ = signal::default(Signal::SIGQUIT);
        }
        let caught: Vec<Signal> =
            self.traps.signals.iter().filter(|(_, a)| !a.is_empty()).map(|(s, _)| *s).collect();
        for which in caught {
            self.set_signal_trap(which, None);
        }
        self.traps.exit = None;
        self.unguard_all();
        if !self.opts.functrace {
            self.traps.debug = None;
            self.traps.on_return = None;
        }
        if !self.opts.errtrace {
            self.traps.err = None;
        }
        self.traps.pending.clear();
    }
}
