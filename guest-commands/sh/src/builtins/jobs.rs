//! `wait`, `jobs` and what little else there is of job control.

use crate::shell::{Flow, Shell};
use agentos_guest::process::{self, Pid, WaitFor};
use agentos_guest::{Errno, errno_of};

enum Waited {
    Status(i32),
    /// A trapped signal came first.
    Signal(i32),
    NoChild,
}

impl Shell {
    /// Waits for one child, or for any if `pid` is `None`; the children that end are noted.
    fn wait_for(&mut self, pid: Option<Pid>) -> (Waited, Option<Pid>) {
        loop {
            if let Some(pid) = pid
                && let Some(status) = self.jobs.take(pid)
            {
                return (Waited::Status(status.shell_status()), Some(pid));
            }
            // A signal that came together with the end of another child has interrupted nothing.
            if let Some(signal) = self.caught() {
                return (Waited::Signal(128 + i32::from(signal.raw())), None);
            }
            match process::wait(WaitFor::Any) {
                Ok(ended) => {
                    self.jobs.note(ended.pid, ended.status);
                    if pid.is_none() {
                        return (Waited::Status(ended.status.shell_status()), Some(ended.pid));
                    }
                }
                Err(error) if errno_of(&error) == Some(Errno::EINTR) => {}
                Err(_) => return (Waited::NoChild, None),
            }
        }
    }

    /// Notes children that have ended.
    fn reap(&mut self) {
        while let Ok(Some(ended)) = process::try_wait(WaitFor::Any) {
            self.jobs.note(ended.pid, ended.status);
        }
    }
}

pub(super) fn wait(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut words = &args[1..];
    let (mut next, mut variable) = (false, None);
    while let Some(option) = words.first().filter(|w| w.starts_with('-')) {
        match option.as_str() {
            "-n" => next = true,
            "-f" => {}
            "-p" => {
                variable = words.get(1).cloned();
                words = &words[1..];
            }
            "--" => {
                words = &words[1..];
                break;
            }
            _ => {
                sh.complain("wait", &format!("{option}: invalid option"));
                return Ok(2);
            }
        }
        words = words.get(1..).unwrap_or_default();
    }
    if next {
        return wait_next(sh, variable);
    }
    if words.is_empty() {
        loop {
            match sh.wait_for(None).0 {
                Waited::Status(_) => {}
                Waited::Signal(status) => return Ok(status),
                Waited::NoChild => break,
            }
        }
        sh.jobs.list.retain(|job| job.ended().is_none());
        return Ok(0);
    }
    let mut status = 0;
    for word in words {
        let pid = if word.starts_with('%') {
            sh.jobs.find(word).map(crate::jobs::Job::pid)
        } else {
            word.parse::<u32>().ok()
        };
        let Some(pid) = pid else {
            let what = if word.starts_with('%') { "no such job" } else { "not a pid or valid job spec" };
            sh.complain("wait", &format!("`{word}': {what}"));
            status = if word.starts_with('%') { 127 } else { 1 };
            continue;
        };
        if !sh.jobs.knows(pid) && sh.jobs.last != Some(pid) {
            sh.complain("wait", &format!("pid {pid} is not a child of this shell"));
            status = 127;
            continue;
        }
        status = match sh.wait_for(Some(pid)).0 {
            Waited::Status(status) => status,
            Waited::Signal(status) => return Ok(status),
            Waited::NoChild => 127,
        };
        if let Some(name) = &variable {
            sh.assign_text(name, pid.to_string())?;
        }
    }
    Ok(status)
}

fn wait_next(sh: &mut Shell, variable: Option<String>) -> Result<i32, Flow> {
    // A job that has ended, but that nobody has asked about, is next.
    sh.reap();
    let ended = sh.jobs.list.iter().find(|j| j.ended().is_some()).map(crate::jobs::Job::pid);
    let (waited, pid) =
        if sh.jobs.list.is_empty() && ended.is_none() { (Waited::NoChild, None) } else { sh.wait_for(ended) };
    if let (Some(name), Some(pid)) = (variable, pid) {
        sh.assign_text(&name, pid.to_string())?;
    }
    if let Some(pid) = pid {
        sh.jobs.list.retain(|j| j.pid() != pid);
    }
    Ok(match waited {
        Waited::Status(status) | Waited::Signal(status) => status,
        Waited::NoChild => 127,
    })
}

/// The line about a job, which is the `from_last`th last one.
pub(crate) fn line(job: &crate::jobs::Job, from_last: usize) -> String {
    let mark = match from_last {
        1 => '+',
        2 => '-',
        _ => ' ',
    };
    let state = match job.ended() {
        None => "Running".to_owned(),
        Some(process::WaitStatus::Exited(0)) => "Done".to_owned(),
        Some(process::WaitStatus::Exited(n)) => format!("Exit {n}"),
        Some(process::WaitStatus::Signaled(n)) => {
            agentos_guest::Signal::from_raw(n).map_or("Killed".into(), |s| s.description().to_owned())
        }
        Some(_) => "Stopped".to_owned(),
    };
    let amp = if job.ended().is_none() { " &" } else { "" };
    format!("[{}]{mark}  {state:<24}{}{amp}\n", job.number, job.text)
}

pub(super) fn jobs(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    sh.reap();
    let pids = args.iter().any(|a| a == "-p");
    let last = sh.jobs.list.len();
    let lines: Vec<String> = sh
        .jobs
        .list
        .iter()
        .enumerate()
        .map(|(i, job)| {
            if pids {
                return format!("{}\n", job.pid());
            }
            line(job, last - i)
        })
        .collect();
    sh.print(&lines.concat());
    sh.jobs.list.retain(|job| job.ended().is_none());
    Ok(0)
}

pub(super) fn disown(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    if args.len() == 1 {
        sh.jobs.list.pop();
    } else if args[1] == "-a" {
        sh.jobs.list.clear();
    } else {
        for word in &args[1..] {
            let pid = sh.jobs.find(word).map(crate::jobs::Job::pid).or_else(|| word.parse().ok());
            sh.jobs.list.retain(|job| Some(job.pid()) != pid);
        }
    }
    Ok(0)
}

pub(super) fn no_job_control(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    Ok(sh.complain(&args[0], "no job control"))
}
