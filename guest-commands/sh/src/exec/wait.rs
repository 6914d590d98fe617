//! Waiting for the foreground, noting what became of children, and telling of those that a signal ended.

use crate::ir::Command;
use crate::jobs::{Job, Process, State, describe};
use crate::shell::Shell;
use crate::symbols;
use agentos_guest::process::{self, Pid, WaitFor, WaitStatus};
use agentos_guest::{Errno, Signal, errno_of, fd};
use std::rc::Rc;

impl Shell {
    /// Runs `f` in a child; `group` is the process group it joins (0: its own).
    pub(super) fn fork(
        &mut self,
        group: Option<Pid>,
        f: impl FnOnce(&mut Self) -> i32,
    ) -> std::io::Result<Pid> {
        let foreground = self.session.active && !self.in_background;
        match group {
            None => process::fork_call(|| f(self)),
            Some(group) if foreground => {
                let started = process::fork_call_in_foreground(group, || f(self));
                self.pass_keys_on(started.as_ref().ok().copied());
                started
            }
            Some(group) => process::fork_call_in_group(group, || f(self)),
        }
    }

    /// Makes a process group the foreground one of the terminal; `None`: the shell's own.
    pub(crate) fn give_terminal(&self, group: Option<Pid>) {
        if self.session.active && self.opts.monitor {
            let own = || process::getpgid(0).ok();
            if let Some(group) = group.or_else(own) {
                // Without a terminal there is nothing to give.
                let _ = crate::interactive::control::set_foreground(group);
            }
        }
    }

    /// Whether the shell may be replaced by its last command.
    pub(super) fn may_become(&self) -> bool {
        !self.restricted
            && !self.traps.any()
            && self.in_process == 0
            && self.capture.routes.is_empty()
            && self.traps.on_return.is_none()
            && self.jobs.coprocs.is_empty()
    }

    /// Waits for one child that is no job. What becomes of jobs meanwhile is noted at once, so that a program which looks
    /// whether one is still there finds it gone.
    pub(super) fn wait_child(&mut self, pid: Pid) -> WaitStatus {
        let jobs = !self.jobs.list.is_empty() && !self.jobs.foreign;
        if jobs {
            // It may have been noted while another was waited for.
            match process::try_wait(WaitFor::Pid(pid)) {
                Ok(Some(waited)) => return waited.status,
                Ok(None) => {}
                Err(_) => return self.jobs.status_of(pid).unwrap_or(WaitStatus::Exited(127)),
            }
        }
        loop {
            match process::wait(if jobs { WaitFor::Any } else { WaitFor::Pid(pid) }) {
                Ok(waited) if waited.pid != pid => self.jobs.note(waited.pid, waited.status),
                Ok(waited) => return waited.status,
                Err(error) if errno_of(&error) == Some(Errno::EINTR) => self.poll_end(true),
                Err(_) => return self.jobs.status_of(pid).unwrap_or(WaitStatus::Exited(127)),
            }
        }
    }

    /// Waits for a foreground command in a child of its own; returns its status.
    pub(super) fn wait_command(&mut self, pid: Pid, command: &Rc<Command>) -> i32 {
        self.wait_foreground(&[pid], |_| crate::print::command(command)).0
    }

    /// Waits for the processes of a foreground pipeline; returns its status and those of all. One that is stopped
    /// becomes a job.
    pub(super) fn wait_foreground(
        &mut self,
        pids: &[Pid],
        text: impl Fn(usize) -> String,
    ) -> (i32, Vec<i32>) {
        let mut ended = Vec::with_capacity(pids.len());
        self.begin_wait();
        for pid in pids {
            ended.push(if self.opts.monitor { self.wait_stop(*pid) } else { self.wait_child(*pid) });
        }
        self.end_wait(&ended);
        let statuses: Vec<i32> = ended.iter().map(|status| status.shell_status()).collect();
        let mut decisive = ended.last().copied().unwrap_or(WaitStatus::Exited(0));
        if self.opts.pipefail {
            let failed = ended.iter().rev().find(|status| **status != WaitStatus::Exited(0));
            decisive = failed.copied().unwrap_or(WaitStatus::Exited(0));
        }
        if self.opts.monitor {
            self.give_terminal(None);
            self.interrupted_with(decisive);
        }
        if let Some(stop) = ended.iter().find(|s| matches!(s, WaitStatus::Stopped(_))).copied() {
            let texts = (0..pids.len()).map(text).collect();
            self.add_job(pids, &ended.iter().map(|s| Some(*s)).collect::<Vec<_>>(), texts, true);
            if self.session.active {
                let number = self.jobs.list.last().map_or(0, |job| job.number);
                self.tell_job(number);
            }
            return (stop.shell_status(), statuses);
        }
        if let WaitStatus::Signaled(raw) = decisive
            && self.in_process == 0
            && self.tells(raw, false)
        {
            let lines = pids.iter().zip(&ended).enumerate().map(|(i, (pid, status))| {
                let lead = if i > 0 { "     " } else { "" };
                let pipe = if i > 0 { "| " } else { "" };
                format!("{lead}{pid:>5} {:<24}{pipe}{}", describe(Some(*status), true), text(i))
            });
            let lines: Vec<String> = lines.collect();
            self.tell_of_signal(raw, &lines.join("\n"));
        } else if let WaitStatus::Signaled(raw) = decisive
            && self.in_process == 0
            && !self.session.active
            && !matches!(Signal::from_raw(raw), Some(Signal::SIGINT | Signal::SIGPIPE))
        {
            // Of what has a trap, or is meant to end programs, only the name.
            self.write_error(&format!("{}\n", describe(Some(decisive), true)));
        }
        if !self.jobs.list.is_empty() || !self.jobs.coprocs.is_empty() {
            self.reap();
            self.report_jobs();
            self.drop_coprocs();
        }
        (decisive.shell_status(), statuses)
    }

    fn wait_stop(&mut self, pid: Pid) -> WaitStatus {
        loop {
            match process::wait_untraced(WaitFor::Pid(pid)) {
                Ok(waited) => return waited.status,
                Err(error) if errno_of(&error) == Some(Errno::EINTR) => self.poll_end(true),
                Err(_) => return self.jobs.status_of(pid).unwrap_or(WaitStatus::Exited(127)),
            }
        }
    }

    /// Whether the end by a signal is worth a message.
    fn tells(&self, raw: u8, background: bool) -> bool {
        let Some(signal) = Signal::from_raw(raw) else { return false };
        let quiet = match signal {
            Signal::SIGINT => true,
            Signal::SIGPIPE | Signal::SIGTERM => !self.session.active || background,
            _ => false,
        };
        !quiet && self.traps.signals.get(&signal).is_none_or(|action| action.is_empty())
    }

    fn tell_of_signal(&mut self, raw: u8, lines: &str) {
        let text = if self.session.active {
            format!("{}\n", describe(Some(WaitStatus::Signaled(raw)), true))
        } else {
            let source = if self.source.is_empty() { &*self.zero } else { &*self.source };
            format!("{source}: line {}: {lines}\n", self.line)
        };
        self.write_error(&text);
    }

    /// Prints the line of a job to standard error.
    pub(crate) fn tell_job(&mut self, number: u32) {
        let here = self.vars.get(symbols::PWD).unwrap_or_default().into_owned();
        let mark = self.jobs.mark(number);
        let line = self.jobs.get(number).map(|job| job.line(mark, false, &here));
        self.write_error(&format!("\n{}", line.unwrap_or_default()));
    }

    /// Adds a job of these processes.
    pub(super) fn add_job(
        &mut self,
        pids: &[Pid],
        states: &[Option<WaitStatus>],
        texts: Vec<String>,
        foreground: bool,
    ) -> u32 {
        let dir = self.vars.get(symbols::PWD).unwrap_or_default().into_owned();
        let processes = pids
            .iter()
            .zip(texts)
            .enumerate()
            .map(|(i, (pid, text))| Process { pid: *pid, status: states.get(i).copied().flatten(), text })
            .collect();
        let (grouped, pipefail) = (self.opts.monitor, self.opts.pipefail);
        let job = Job { number: 0, grouped, processes, dir, foreground, pipefail };
        self.jobs.add(job, !foreground)
    }

    /// Waits until some child changes state, and notes that; false when there is no child. A signal ends the wait, too.
    pub(crate) fn wait_any(&mut self) -> bool {
        let waited = if self.opts.monitor {
            process::wait_untraced(WaitFor::Any)
        } else {
            process::wait(WaitFor::Any)
        };
        match waited {
            Ok(changed) => {
                self.jobs.note(changed.pid, changed.status);
                true
            }
            Err(error) => errno_of(&error) == Some(Errno::EINTR),
        }
    }

    /// Notes what became of children, without waiting.
    pub(crate) fn reap(&mut self) {
        if self.opts.monitor {
            while let Ok(Some(changed)) = process::try_wait_untraced(WaitFor::Any) {
                self.jobs.note(changed.pid, changed.status);
            }
            return;
        }
        while let Ok(Some(changed)) = process::try_wait(WaitFor::Any) {
            self.jobs.note(changed.pid, changed.status);
        }
    }

    /// Tells of background jobs that a signal ended, once. With job control all that ended are told of.
    pub(crate) fn report_jobs(&mut self) {
        if self.jobs.foreign || self.in_process > 0 {
            return;
        }
        let ended: Vec<u32> =
            self.jobs.list.iter().filter(|j| j.ended().is_some()).map(|j| j.number).collect();
        for number in ended {
            let mark = self.jobs.mark(number);
            let Some(job) = self.jobs.get(number) else { continue };
            let (Some(WaitStatus::Signaled(raw)), State::Ended(_)) = (job.ended(), job.state()) else {
                continue;
            };
            let mut lines = Vec::new();
            for (i, p) in job.processes.iter().enumerate() {
                let (lead, pipe) = if i > 0 { ("     ", "| ") } else { ("", "") };
                lines.push(format!("{lead}{:>5} {:<24}{pipe}{}", p.pid, describe(p.status, true), p.text));
            }
            let line = job.line(mark, false, &job.dir);
            if self.tells(raw, true) {
                self.tell_of_signal(raw, &lines.join("\n"));
            } else if self.opts.monitor {
                self.write_error(&line);
            }
            self.jobs.remove(|job| job.number == number);
        }
    }

    /// Forgets coprocesses that have ended: their pipes are closed, their variables unset.
    pub(crate) fn drop_coprocs(&mut self) {
        while let Some(at) = self.jobs.coprocs.iter().position(|c| c.ended) {
            let coproc = self.jobs.coprocs.remove(at);
            for end in coproc.fds {
                let _ = fd::close(end);
            }
            self.vars.remove(symbols::sym(&coproc.name));
            self.vars.remove(symbols::sym(&format!("{}_PID", coproc.name)));
        }
    }
}
