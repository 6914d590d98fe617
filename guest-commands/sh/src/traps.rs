//! Traps: what runs when a signal was caught, a command failed, or the shell ends. Signals are taken between commands.

use crate::shell::{Flow, Run, Shell};
use agentos_guest::Signal;
use agentos_guest::signal::{self, Disposition};
use std::collections::BTreeMap;
use std::rc::Rc;

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
    running: u32,
}

impl Traps {
    /// The name of each trap, and the line that `trap` prints.
    pub(crate) fn lines(&self) -> Vec<(String, String)> {
        let signals = self.signals.iter().map(|(which, action)| (which.name(), Some(action)));
        std::iter::once(("EXIT", self.exit.as_ref()))
            .chain(signals)
            .chain([
                ("DEBUG", self.debug.as_ref()),
                ("ERR", self.err.as_ref()),
                ("RETURN", self.on_return.as_ref()),
            ])
            .filter_map(|(name, action)| {
                let line = format!("trap -- {} {name}\n", crate::expand_quote(action?));
                Some((name.to_owned(), line))
            })
            .collect()
    }

    /// Notes a signal that was taken elsewhere.
    pub(crate) fn note(&mut self, signal: Signal) {
        self.pending.push(signal);
    }

    /// Whether a trap could run when the shell is replaced by a program.
    pub(crate) fn any(&self) -> bool {
        self.exit.is_some() || self.err.is_some() || self.signals.values().any(|a| !a.is_empty())
    }
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
            self.interrupted(caught)?;
            if let Some(action) = self.traps.signals.get(&caught).cloned()
                && !action.is_empty()
            {
                self.run_trap(&action)?;
            }
        }
        Ok(())
    }

    /// A caught signal that has a trap, taken but not yet acted on.
    pub(crate) fn caught(&mut self) -> Option<Signal> {
        while let Some(next) = signal::next() {
            self.traps.pending.push(next);
        }
        let trapped = |s: &Signal| self.traps.signals.get(s).is_some_and(|a| !a.is_empty());
        self.traps.pending.iter().copied().find(|s| trapped(s) || self.interrupts(*s))
    }

    /// Runs an action; `$?` is what it was before, unless the action ends the shell.
    pub(crate) fn run_trap(&mut self, action: &str) -> Run {
        let status = self.status;
        let pipestatus = self.pipestatus.clone();
        let tested = std::mem::take(&mut self.tested);
        self.traps.running += 1;
        let result = self.eval_as(action, "trap");
        self.traps.running -= 1;
        self.tested = tested;
        match result {
            Ok(()) => {
                self.status = status;
                self.pipestatus = pipestatus;
                Ok(())
            }
            Err(flow) => Err(flow),
        }
    }

    /// Runs the ERR trap for a command that failed.
    pub(crate) fn err_trap(&mut self) -> Run {
        if self.functions_active > 0 && !self.opts.errtrace {
            return Ok(());
        }
        match self.traps.err.take() {
            Some(action) => {
                let result = self.run_trap(&action);
                self.traps.err.get_or_insert(action);
                result
            }
            None => Ok(()),
        }
    }

    /// Runs the DEBUG trap before a command.
    pub(crate) fn debug_trap(&mut self) -> Run {
        if self.functions_active > 0 && !self.opts.functrace {
            return Ok(());
        }
        match self.traps.debug.take() {
            Some(action) => {
                let result = self.run_trap(&action);
                self.traps.debug.get_or_insert(action);
                result
            }
            None => Ok(()),
        }
    }

    /// Runs the EXIT trap; returns the status to end with.
    pub(crate) fn exit_trap(&mut self) -> i32 {
        if let Some(action) = self.traps.exit.take() {
            let status = self.status;
            if let Err(flow) = self.eval_as(&action, "exit trap")
                && flow == Flow::Exit
            {
                return self.status;
            }
            self.status = status;
        }
        self.status
    }

    /// Sets or removes the trap of a signal.
    pub(crate) fn set_signal_trap(&mut self, which: Signal, action: Option<&str>) {
        let disposition = match action {
            None if self.is_spared(which) => Disposition::Catch,
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
    }

    /// In a new subshell: caught signals have their default again, ignored ones stay ignored.
    pub(crate) fn reset_traps(&mut self) {
        if self.traps.former.is_empty() {
            self.traps.former = self.traps.lines();
        }
        let caught: Vec<Signal> =
            self.traps.signals.iter().filter(|(_, a)| !a.is_empty()).map(|(s, _)| *s).collect();
        for which in caught {
            self.set_signal_trap(which, None);
        }
        self.traps.exit = None;
        self.traps.debug = None;
        self.traps.on_return = None;
        if !self.opts.errtrace {
            self.traps.err = None;
        }
        self.traps.pending.clear();
    }
}
