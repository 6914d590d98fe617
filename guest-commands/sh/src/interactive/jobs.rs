//! What a person is told about jobs, and what jobs mean for leaving the shell.

use crate::shell::{Flow, Shell};
use agentos_guest::process::{self, WaitFor};

impl Shell {
    /// The number that the next entry of the history gets.
    pub(super) fn next_history_number(&self) -> usize {
        self.history.base() + self.history.len()
    }

    /// Tells of jobs that ended, before a prompt.
    pub(super) fn report_jobs(&mut self) {
        while let Ok(Some(ended)) = process::try_wait(WaitFor::Any) {
            self.jobs.note(ended.pid, ended.status);
        }
        let last = self.jobs.list.len();
        let ended = self.jobs.list.iter().enumerate().filter(|(_, job)| job.ended().is_some());
        let text: String = ended.map(|(i, job)| crate::builtins::job_line(job, last - i)).collect();
        if !text.is_empty() {
            self.write_error(&text);
            self.jobs.list.retain(|job| job.ended().is_none());
        }
    }

    /// Leaves the shell, as `exit` does.
    pub(crate) fn leave(&mut self) -> Result<i32, Flow> {
        if self.session.active {
            let word = if self.shopts.login_shell { "logout\n" } else { "exit\n" };
            self.flush();
            self.write_error(word);
        }
        self.session.leaving = true;
        Err(Flow::Exit)
    }
}
