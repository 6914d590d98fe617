//! Coprocesses: commands in the background with a pipe to and one from them.

use super::redirect::high;
use crate::ir::Command;
use crate::jobs::Coproc;
use crate::shell::{Flow, Run, Shell};
use crate::symbols::sym;
use crate::vars::Value;
use agentos_guest::signal::{self, Disposition};
use agentos_guest::{Signal, fd, strerror};
use std::rc::Rc;

/// How many coprocesses may exist at a time.
const MAX_COPROCS: usize = 64;

impl Shell {
    /// `coproc NAME command`.
    #[inline(never)]
    pub(super) fn run_coproc(&mut self, name: &str, body: &Rc<Command>) -> Run {
        self.reap();
        self.drop_coprocs();
        if let Some(other) = self.jobs.coprocs.last() {
            let message =
                format!("warning: execute_coproc: coproc [{}:{}] still exists", other.pid, other.name);
            self.error(&message);
        }
        if !crate::text::is_name(name) {
            self.error(&format!("`{name}': not a valid identifier"));
            self.status = 1;
            return Ok(());
        }
        if self.jobs.coprocs.len() >= MAX_COPROCS {
            self.error(&format!("coproc: {name}: too many coprocesses"));
            self.status = 1;
            return Ok(());
        }
        match self.start_coproc(name, body) {
            Ok(()) => self.status = 0,
            Err(error) => {
                self.error(&format!("coproc: {}", strerror(&error)));
                self.status = 254;
            }
        }
        self.set_coproc(name)
    }

    fn start_coproc(&mut self, name: &str, body: &Rc<Command>) -> std::io::Result<()> {
        let (from_read, from_write) = fd::pipe(true)?;
        let (to_read, to_write) = fd::pipe(true)?;
        // All four go up together, as bash has it, so that scripts see the same numbers.
        let mut own = [0; 4];
        for (i, end) in [from_read, from_write, to_read, to_write].iter().enumerate() {
            match high(end.raw(), true) {
                Ok(number) => own[i] = number,
                Err(error) => {
                    for number in &own[..i] {
                        let _ = fd::close(*number);
                    }
                    return Err(error);
                }
            }
        }
        let [ours_read, theirs_write, theirs_read, ours_write] = own;
        self.in_background = true;
        let group = self.opts.monitor.then_some(0);
        let started = self.fork(group, |this| {
            this.enter_subshell();
            if group.is_none() {
                this.ignore_keys();
            }
            if fd::dup2(theirs_read, 0, false).is_err() || fd::dup2(theirs_write, 1, false).is_err() {
                return 1;
            }
            for number in own {
                let _ = fd::close(number);
            }
            let result = this.run_command(body, true);
            let result = if result.is_ok() && this.status != 0 && this.opts.errexit {
                Err(Flow::Exit)
            } else {
                result
            };
            this.finish_child(result)
        });
        self.in_background = false;
        let _ = (fd::close(theirs_read), fd::close(theirs_write));
        match started {
            Ok(pid) => {
                let text = format!("coproc {name} {}", crate::print::command(body));
                self.add_job(&[pid], &[], vec![text], false);
                let fds = [ours_read, ours_write];
                self.jobs.coprocs.push(Coproc { pid, name: name.to_string(), fds, ended: false });
                Ok(())
            }
            Err(error) => {
                let _ = (fd::close(ours_read), fd::close(ours_write));
                Err(error)
            }
        }
    }

    /// Gives the variables of the newest coprocess their values.
    fn set_coproc(&mut self, name: &str) -> Run {
        let Some(coproc) = self.jobs.coprocs.last().filter(|c| c.name == name) else { return Ok(()) };
        let (pid, [read, write]) = (coproc.pid, coproc.fds);
        let array = sym(name);
        self.check_writable(array)?;
        self.vars.put(array, Value::Array([(0, read.to_string()), (1, write.to_string())].into()));
        self.set(sym(&format!("{name}_PID")), pid.to_string())
    }

    /// In a background child without job control: what the terminal sends is ignored.
    pub(super) fn ignore_keys(&mut self) {
        for which in [Signal::SIGINT, Signal::SIGQUIT] {
            self.traps.learn(which);
            let _ = signal::set(which, Disposition::Ignore);
        }
    }
}
