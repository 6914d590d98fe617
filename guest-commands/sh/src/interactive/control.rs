//! Job control of the shell itself: its process group, the terminal that it has and takes back, the signals it does not
//! die of. What becomes of jobs is in `exec`.

use crate::shell::{Flow, Run, Shell};
use agentos_guest::process::{self, Pid, WaitStatus};
use agentos_guest::signal::{self, Disposition};
use agentos_guest::{Signal, fd, strerror, tty};

/// The terminal whose foreground group is changed.
const TERMINAL: u32 = 2;

/// Signals that a shell at a terminal takes note of without dying. Programs it starts get their defaults, because these
/// are caught and not ignored.
const SPARED: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// Makes a group the foreground one of the terminal, also from the background.
///
/// # Errors
/// Those of tcsetpgrp(3).
pub(crate) fn set_foreground(group: Pid) -> std::io::Result<()> {
    let mask = signal::block(Signal::SIGTTOU.bit())?;
    let result = tty::tcsetpgrp(TERMINAL, group);
    signal::set_mask(mask)?;
    result
}

impl Shell {
    /// Begins job control: the shell gets a group of its own and the terminal. Without one it says so and goes on.
    pub(super) fn begin_job_control(&mut self) {
        for which in SPARED {
            if !self.traps.signals.contains_key(&which) {
                let _ = signal::set(which, Disposition::Catch);
            }
        }
        match self.take_terminal() {
            Ok(()) => self.opts.monitor = true,
            Err(error) => {
                let group = tty::tcgetpgrp(TERMINAL).map_or(-1, i64::from);
                let text = format!("cannot set terminal process group ({group}): {}", strerror(&error));
                self.error(&text);
                self.error("no job control in this shell");
            }
        }
    }

    /// `-m` for a shell that is not interactive wants a terminal, too.
    pub(crate) fn check_terminal(&mut self) {
        let known = tty::tcgetpgrp(TERMINAL).map(drop);
        let opened =
            || fd::open("/dev/tty", fd::O_RDWR | fd::O_CLOEXEC, 0).map(|tty| drop(fd::Owned::from_raw(tty)));
        if let Err(error) = known
            && opened().is_err()
        {
            self.opts.monitor = false;
            self.write_error(&format!(
                "{0}: cannot set terminal process group (-1): {1}\n{0}: no job control in this shell\n",
                self.zero,
                strerror(&error)
            ));
        }
    }

    fn take_terminal(&mut self) -> std::io::Result<()> {
        let own = process::getpgid(0)?;
        // Started in the background: the shell waits until it is given the terminal.
        while tty::tcgetpgrp(TERMINAL)? != own {
            let former = signal::set(Signal::SIGTTIN, Disposition::Default)?;
            let stopped = signal::kill(0, Some(Signal::SIGTTIN));
            signal::set(Signal::SIGTTIN, former)?;
            stopped?;
        }
        let pid = process::id();
        if own != pid {
            process::setpgid(0, 0)?;
        }
        set_foreground(pid)
    }

    /// In a subshell: signals do what they do in any program.
    pub(crate) fn end_session(&mut self) {
        if !std::mem::take(&mut self.session.active) {
            return;
        }
        for which in SPARED.into_iter().chain([Signal::SIGWINCH]) {
            if !self.traps.signals.contains_key(&which) {
                let _ = signal::set(which, Disposition::Default);
            }
        }
    }

    /// Whether a signal without a trap is caught so that the shell does not die of it.
    pub(crate) fn is_spared(&self, which: Signal) -> bool {
        self.session.active && SPARED.contains(&which)
    }

    /// Whether a signal that has no trap ends what is being done.
    pub(crate) fn interrupts(&self, which: Signal) -> bool {
        self.session.active
            && matches!(which, Signal::SIGINT | Signal::SIGHUP)
            && !self.traps.signals.contains_key(&which)
    }

    /// Does what a caught signal without a trap means: the command is given up, or the terminal is gone.
    pub(crate) fn interrupted(&mut self, which: Signal) -> Run {
        if !self.interrupts(which) {
            return Ok(());
        }
        self.status = 128 + i32::from(which.raw());
        if which == Signal::SIGINT {
            self.write_error("\n");
            return Err(Flow::Discard);
        }
        self.hang_up_jobs();
        self.session.leaving = true;
        Err(Flow::Exit)
    }

    /// What a person interrupts is the whole command, and not only the program that has the terminal.
    pub(crate) fn interrupted_with(&mut self, status: WaitStatus) {
        if !self.session.active || status != WaitStatus::Signaled(Signal::SIGINT.raw()) {
            return;
        }
        if !self.interrupts(Signal::SIGINT) {
            self.write_error("\n");
        }
        if !self.traps.holds(Signal::SIGINT) {
            self.traps.note(Signal::SIGINT);
        }
    }

    /// Before a command that takes the terminal is started: a person's interrupt that came while it was prepared gives it up.
    pub(crate) fn heed_interrupt(&mut self) -> Run {
        if !self.session.active || self.in_process > 0 {
            return Ok(());
        }
        self.poll_end(true);
        if self.interrupts(Signal::SIGINT) && self.traps.forget(Signal::SIGINT) {
            return self.interrupted(Signal::SIGINT);
        }
        Ok(())
    }

    /// After something was started in the foreground: the signals of keys that the shell still got, because its own group
    /// had the terminal until then, were meant for that, too. Each process that is started meanwhile gets them once.
    pub(crate) fn pass_keys_on(&mut self, started: Option<Pid>) {
        let Some(pid) = started.filter(|_| self.session.active) else { return };
        self.poll_end(true);
        for which in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP] {
            // What has a trap is the script's own affair.
            if self.traps.holds(which) && !self.traps.signals.contains_key(&which) {
                // It may have ended in the meantime.
                let _ = signal::kill(i32::try_from(pid).unwrap_or_default(), Some(which));
            }
        }
    }

    /// Passes a hang-up on to all jobs; those that are stopped go on, to notice it.
    pub(crate) fn hang_up_jobs(&mut self) {
        for job in &self.jobs.list {
            let Ok(group) = process::getpgid(job.pid()) else { continue };
            if group != process::getpgid(0).unwrap_or(group) {
                for which in [Signal::SIGHUP, Signal::SIGCONT] {
                    // It may have ended in the meantime.
                    let _ = signal::kill(-(group as i32), Some(which));
                }
            }
        }
    }
}
