//! Jobs: their processes, which of them is the current one, and the statuses that `wait` reports. It starts and waits for
//! nothing.

use agentos_guest::process::{Pid, WaitStatus};
use agentos_guest::{Signal, fd};
use std::collections::VecDeque;

/// How many statuses of ended processes are remembered.
const REMEMBERED: usize = 4096;

/// One process of a job.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    /// What became of it, unless it runs.
    pub(crate) status: Option<WaitStatus>,
    pub(crate) text: String,
}

/// A job: a pipeline or list that runs in the background or was stopped.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) number: u32,
    /// It leads a process group of its own.
    pub(crate) grouped: bool,
    pub(crate) processes: Vec<Process>,
    /// The working directory it was started in.
    pub(crate) dir: String,
    /// It began in the foreground and was stopped.
    pub(crate) foreground: bool,
    /// It fails if any of its processes fails.
    pub(crate) pipefail: bool,
}

/// What a job is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Stopped,
    Ended(WaitStatus),
}

impl Job {
    /// The process that `$!` names.
    pub(crate) fn pid(&self) -> Pid {
        self.processes.last().map_or(0, |p| p.pid)
    }

    /// Its process group, or else its first process.
    pub(crate) fn leader(&self) -> Pid {
        self.processes.first().map_or(0, |p| p.pid)
    }

    /// What it is doing as a whole.
    pub(crate) fn state(&self) -> State {
        let mut last = None;
        let mut stopped = false;
        for process in &self.processes {
            match process.status {
                None | Some(WaitStatus::Continued) => return State::Running,
                Some(WaitStatus::Stopped(_)) => stopped = true,
                status if self.pipefail && last.is_some() && status == Some(WaitStatus::Exited(0)) => {}
                status => last = status,
            }
        }
        if stopped { State::Stopped } else { State::Ended(last.unwrap_or(WaitStatus::Exited(0))) }
    }

    /// How it ended, when all of it has.
    pub(crate) fn ended(&self) -> Option<WaitStatus> {
        match self.state() {
            State::Ended(status) => Some(status),
            _ => None,
        }
    }

    /// Its command.
    pub(crate) fn text(&self) -> String {
        self.processes.iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join(" | ")
    }

    /// The line of `jobs`, with the pids if `long`.
    pub(crate) fn line(&self, mark: char, long: bool, here: &str) -> String {
        let mut out = format!("[{}]{mark} ", self.number);
        let state = self.state();
        if long {
            for (i, process) in self.processes.iter().enumerate() {
                let same = i > 0 && process.status == self.processes[0].status;
                // As bash: while one runs all do, and the mark of the pipe stands in the column of a state that is not repeated.
                let status = process.status.filter(|_| state != State::Running);
                let (shown, width) = if same { (String::new(), 22) } else { (describe(status, true), 24) };
                let (lead, pipe) = if i > 0 { ("     ", "| ") } else { ("", "") };
                out += &format!("{lead}{:>5} {shown:<width$}{pipe}{}", process.pid, process.text);
                if i + 1 < self.processes.len() {
                    out.push('\n');
                }
            }
        } else {
            let shown = match state {
                State::Running => "Running".to_owned(),
                State::Stopped => "Stopped".to_owned(),
                State::Ended(status) => describe(Some(status), false),
            };
            out += &format!(" {shown:<24}{}", self.text());
        }
        if state == State::Running && !self.foreground {
            out += " &";
        }
        if self.dir != here {
            out += &format!("  (wd: {})", self.dir);
        }
        out.push('\n');
        out
    }
}

/// A state in words.
pub(crate) fn describe(status: Option<WaitStatus>, long: bool) -> String {
    let name = |raw| Signal::from_raw(raw).map_or("Unknown signal", Signal::description).to_owned();
    match status {
        None | Some(WaitStatus::Continued) => "Running".into(),
        Some(WaitStatus::Exited(0)) => "Done".into(),
        Some(WaitStatus::Exited(n)) => format!("Exit {n}"),
        Some(WaitStatus::Signaled(raw)) => name(raw),
        Some(WaitStatus::Stopped(raw)) if long => name(raw),
        Some(WaitStatus::Stopped(_)) => "Stopped".into(),
    }
}

/// A coprocess and this shell's ends of its pipes.
#[derive(Debug)]
pub(crate) struct Coproc {
    pub(crate) pid: Pid,
    pub(crate) name: String,
    pub(crate) fds: [u32; 2],
    pub(crate) ended: bool,
}

/// All jobs.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) list: Vec<Job>,
    pub(crate) last: Option<Pid>,
    /// The last process substitution that was started.
    pub(crate) last_subst: Option<Pid>,
    /// Process substitutions that read what this shell writes, newest last; the oldest are forgotten.
    pub(crate) readers: VecDeque<Pid>,
    pub(crate) coprocs: Vec<Coproc>,
    done: VecDeque<(Pid, WaitStatus)>,
    current: Option<u32>,
    previous: Option<u32>,
    /// The list is that of the parent: it can be shown, but not waited for.
    pub(crate) foreign: bool,
}

impl Jobs {
    /// Adds a job and returns its number; `background`: it becomes `$!`.
    pub(crate) fn add(&mut self, mut job: Job, background: bool) -> u32 {
        if std::mem::take(&mut self.foreign) {
            self.list.clear();
            self.current = None;
            self.previous = None;
        }
        job.number = self.list.iter().map(|j| j.number).max().unwrap_or(0) + 1;
        let number = job.number;
        if background {
            self.last = Some(job.pid());
        }
        let stopped = job.state() == State::Stopped;
        self.list.push(job);
        if stopped {
            self.make_current(number);
        } else {
            self.choose_current();
        }
        number
    }

    /// Remembers a process substitution that reads.
    pub(crate) fn reader(&mut self, pid: Pid) {
        const MOST: usize = 64;
        if self.readers.len() == MOST {
            self.readers.pop_front();
        }
        self.readers.push_back(pid);
    }

    /// Notes what became of a process.
    pub(crate) fn note(&mut self, pid: Pid, status: WaitStatus) {
        let mut changed = None;
        for job in &mut self.list {
            for process in job.processes.iter_mut().filter(|p| p.pid == pid) {
                process.status = Some(status);
                changed = Some(job.number);
            }
        }
        if let WaitStatus::Stopped(_) | WaitStatus::Continued = status {
            if let Some(number) = changed
                && matches!(status, WaitStatus::Stopped(_))
            {
                self.make_current(number);
            }
            return;
        }
        for coproc in self.coprocs.iter_mut().filter(|c| c.pid == pid) {
            coproc.ended = true;
        }
        if self.done.len() >= REMEMBERED {
            self.done.pop_front();
        }
        self.done.push_back((pid, status));
    }

    /// The status of a process that ended.
    pub(crate) fn status_of(&self, pid: Pid) -> Option<WaitStatus> {
        self.done.iter().rev().find(|(p, _)| *p == pid).map(|(_, status)| *status)
    }

    /// Forgets the statuses of ended processes that belong to no job.
    pub(crate) fn forget(&mut self) {
        self.done.clear();
    }

    /// Whether `pid` is a child that has not been waited for, or whose status is remembered.
    pub(crate) fn knows(&self, pid: Pid) -> bool {
        !self.foreign && self.list.iter().any(|j| j.processes.iter().any(|p| p.pid == pid))
            || self.done.iter().any(|(p, _)| *p == pid)
            || self.last_subst == Some(pid)
            || self.coprocs.iter().any(|c| c.pid == pid)
    }

    /// Removes jobs.
    pub(crate) fn remove(&mut self, mut which: impl FnMut(&Job) -> bool) {
        let mut choose = false;
        let (current, previous) = (self.current, self.previous);
        self.list.retain(|job| {
            let goes = which(job);
            choose |= goes && (Some(job.number) == current || Some(job.number) == previous);
            !goes
        });
        if choose {
            self.choose_current();
        }
    }

    fn newest(&self, below: Option<u32>, state: State) -> Option<u32> {
        let jobs = self.list.iter().filter(|j| below.is_none_or(|n| j.number < n) && j.state() == state);
        jobs.map(|j| j.number).max()
    }

    fn is_stopped(&self, number: Option<u32>) -> bool {
        self.list.iter().any(|j| Some(j.number) == number && j.state() == State::Stopped)
    }

    /// Chooses `%+` anew: a stopped job before one that runs, a newer one before an older.
    fn choose_current(&mut self) {
        let candidate = if self.is_stopped(self.current) {
            self.current
        } else if self.is_stopped(self.previous) {
            self.previous
        } else {
            self.newest(None, State::Stopped).or_else(|| self.newest(None, State::Running))
        };
        match candidate {
            Some(number) => self.make_current(number),
            None => (self.current, self.previous) = (None, None),
        }
    }

    /// Makes a job `%+`, and finds one to be `%-`.
    pub(crate) fn make_current(&mut self, number: u32) {
        if self.current != Some(number) {
            self.previous = self.current;
            self.current = Some(number);
        }
        if self.previous != self.current && self.is_stopped(self.previous) {
            return;
        }
        let stopped = self.is_stopped(self.current);
        let candidate = if stopped { self.newest(Some(number), State::Stopped) } else { None };
        let running = || self.newest(if stopped { None } else { Some(number) }, State::Running);
        self.previous = candidate.or_else(running).or(self.current);
    }

    /// The mark of a job in lists.
    pub(crate) fn mark(&self, number: u32) -> char {
        match Some(number) {
            n if n == self.current => '+',
            n if n == self.previous => '-',
            _ => ' ',
        }
    }

    /// The number of the job that `%…` names; the error is bash's message.
    pub(crate) fn find(&self, spec: &str) -> Result<u32, String> {
        let missing = || format!("{spec}: no such job");
        let text = spec.strip_prefix('%').unwrap_or(spec);
        let exists = |n: Option<u32>| n.filter(|n| self.list.iter().any(|j| j.number == *n));
        match text {
            "" | "%" | "+" => return exists(self.current).ok_or_else(missing),
            "-" => return exists(self.previous).ok_or_else(missing),
            _ => {}
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return exists(text.parse().ok()).ok_or_else(missing);
        }
        let mut hits = self.list.iter().filter(|job| match text.strip_prefix('?') {
            Some(part) => job.processes.iter().any(|p| p.text.contains(part)),
            None => job.processes.iter().any(|p| p.text.starts_with(text)),
        });
        match (hits.next(), hits.next()) {
            (Some(job), None) => Ok(job.number),
            (Some(_), Some(_)) => Err(format!("{}: ambiguous job spec", text.trim_start_matches('?'))),
            _ => Err(missing()),
        }
    }

    /// The job of a number.
    pub(crate) fn get(&mut self, number: u32) -> Option<&mut Job> {
        self.list.iter_mut().find(|j| j.number == number)
    }

    /// In a subshell: the jobs are the parent's, and so are the ends of its coprocesses.
    pub(crate) fn disown_all(&mut self) {
        self.foreign = true;
        self.done.clear();
        self.last_subst = None;
        for coproc in self.coprocs.drain(..) {
            for end in coproc.fds {
                let _ = fd::close(end);
            }
        }
    }
}
