//! What a person is told about jobs, and what jobs mean for leaving the shell.

use crate::jobs::State;
use crate::shell::{Flow, Shell};

impl Shell {
    /// The number that the next entry of the history gets.
    pub(super) fn next_history_number(&self) -> usize {
        self.history.base() + self.history.len()
    }

    /// Tells of jobs that ended, before a prompt.
    pub(super) fn tell_of_jobs(&mut self) {
        self.reap();
        let here = self.vars.get(crate::symbols::PWD).unwrap_or_default().into_owned();
        let ended = self.jobs.list.iter().filter(|job| job.ended().is_some());
        let text: String = ended.map(|job| job.line(self.jobs.mark(job.number), false, &here)).collect();
        if !text.is_empty() {
            self.write_error(&text);
            self.jobs.remove(|job| job.ended().is_some());
        }
        self.drop_coprocs();
    }

    /// Whether the shell may end: the first attempt only warns of stopped jobs, unless nothing was done in between.
    pub(super) fn may_leave(&mut self) -> bool {
        let stopped = self.jobs.list.iter().any(|job| job.state() == State::Stopped);
        if !stopped || self.session.warned.is_some_and(|at| at + 1 >= self.session.command_number) {
            return true;
        }
        self.session.warned = Some(self.session.command_number);
        self.write_error("There are stopped jobs.\n");
        false
    }

    /// Leaves the shell, as `exit` does.
    pub(crate) fn leave(&mut self) -> Result<i32, Flow> {
        if self.session.active {
            let word = if self.shopts.login_shell { "logout\n" } else { "exit\n" };
            self.flush();
            self.write_error(word);
            if !self.may_leave() {
                return Ok(1);
            }
        }
        self.session.leaving = true;
        Err(Flow::Exit)
    }
}
