//! Background jobs: their processes, and the statuses that `wait` reports. There is no terminal job control.

use agentos_guest::process::{Pid, WaitStatus};

/// How many statuses of ended processes are remembered.
const REMEMBERED: usize = 4096;

/// A background job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) number: u32,
    /// Its processes and, once they ended, how.
    pub(crate) processes: Vec<(Pid, Option<WaitStatus>)>,
    pub(crate) text: String,
}

impl Job {
    /// The process that `$!` names.
    pub(crate) fn pid(&self) -> Pid {
        self.processes.last().map_or(0, |p| p.0)
    }

    /// How it ended, when all of it has.
    pub(crate) fn ended(&self) -> Option<WaitStatus> {
        if self.processes.iter().all(|p| p.1.is_some()) {
            self.processes.last().and_then(|p| p.1)
        } else {
            None
        }
    }
}

/// All jobs.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) list: Vec<Job>,
    pub(crate) last: Option<Pid>,
    done: Vec<(Pid, WaitStatus)>,
    /// The list is that of the parent: it can be shown, but not waited for.
    foreign: bool,
}

impl Jobs {
    /// Adds a job; returns its number.
    pub(crate) fn add(&mut self, pids: &[Pid], text: String) -> u32 {
        if std::mem::take(&mut self.foreign) {
            self.list.clear();
        }
        let number = self.list.iter().map(|j| j.number).max().unwrap_or(0) + 1;
        self.list.push(Job { number, processes: pids.iter().map(|p| (*p, None)).collect(), text });
        self.last = pids.last().copied();
        number
    }

    /// Notes that a process ended.
    pub(crate) fn note(&mut self, pid: Pid, status: WaitStatus) {
        for job in &mut self.list {
            for process in job.processes.iter_mut().filter(|p| p.0 == pid) {
                process.1 = Some(status);
            }
        }
        if self.done.len() >= REMEMBERED {
            self.done.remove(0);
        }
        self.done.push((pid, status));
    }

    /// Takes the status of a process that ended.
    pub(crate) fn take(&mut self, pid: Pid) -> Option<WaitStatus> {
        let at = self.done.iter().position(|(p, _)| *p == pid)?;
        let status = self.done[at].1;
        self.list.retain(|job| job.pid() != pid || job.ended().is_none());
        Some(status)
    }

    /// Whether `pid` is a child that has not been waited for.
    pub(crate) fn knows(&self, pid: Pid) -> bool {
        !self.foreign && self.list.iter().any(|j| j.processes.iter().any(|p| p.0 == pid))
            || self.done.iter().any(|(p, _)| *p == pid)
    }

    /// The job that `%…` names.
    pub(crate) fn find(&self, spec: &str) -> Option<&Job> {
        match spec.strip_prefix('%')? {
            "" | "%" | "+" => self.list.last(),
            "-" => self.list.iter().rev().nth(1).or(self.list.last()),
            text => match text.parse::<u32>() {
                Ok(n) => self.list.iter().find(|j| j.number == n),
                Err(_) => self.list.iter().find(|j| j.text.starts_with(text)),
            },
        }
    }

    /// In a subshell: the jobs are the parent's.
    pub(crate) fn disown_all(&mut self) {
        self.foreign = true;
        self.done.clear();
    }
}
