//! `wait`, `jobs`, `fg`, `bg` and `disown`.

use crate::jobs::State;
use crate::shell::{Flow, Shell};
use agentos_guest::process::{Pid, WaitStatus};
use agentos_guest::{Signal, signal};

enum Waited {
    Status(i32),
    /// A trapped signal came first.
    Signal(i32),
    NoChild,
}

impl Shell {
    /// Waits until `ready` finds something; the children that end are noted.
    fn wait_until<T>(&mut self, mut ready: impl FnMut(&Self) -> Option<T>) -> Result<T, Waited> {
        loop {
            if let Some(found) = ready(self) {
                return Ok(found);
            }
            // A signal that came together with the end of another child has interrupted nothing.
            if let Some(signal) = self.caught() {
                return Err(Waited::Signal(128 + i32::from(signal.raw())));
            }
            if !self.wait_any() {
                return Err(Waited::NoChild);
            }
            // One that the ended child itself has sent came first.
            if let Some(signal) = self.caught() {
                return Err(Waited::Signal(128 + i32::from(signal.raw())));
            }
        }
    }

    /// Waits for the job that a process belongs to, or for any process that is known.
    fn wait_for(&mut self, pid: Pid) -> Waited {
        let of_job = self.jobs.list.iter().find(|job| job.processes.iter().any(|p| p.pid == pid));
        if let Some(number) = of_job.filter(|job| job.processes.len() > 1).map(|job| job.number) {
            return self.wait_job(number, false);
        }
        match self.wait_until(|sh| sh.jobs.status_of(pid)) {
            Ok(status) => Waited::Status(status.shell_status()),
            Err(other) => other,
        }
    }

    /// Waits until a job has ended, or stopped if `stops`.
    fn wait_job(&mut self, number: u32, stops: bool) -> Waited {
        let result = self.wait_until(|sh| {
            let job = sh.jobs.list.iter().find(|j| j.number == number)?;
            match job.state() {
                State::Ended(status) => Some(status),
                State::Stopped if stops => job.processes.iter().rev().find_map(|p| p.status),
                _ => None,
            }
        });
        match result {
            Ok(status) => Waited::Status(status.shell_status()),
            Err(other) => other,
        }
    }
}

pub(super) fn wait(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut words = &args[1..];
    let (mut next, mut full, mut variable) = (false, false, None);
    while let Some(option) = words.first().filter(|w| w.len() > 1 && w.starts_with('-')) {
        if option == "--" {
            words = &words[1..];
            break;
        }
        let mut rest = option[1..].chars();
        while let Some(letter) = rest.next() {
            match letter {
                'n' => next = true,
                'f' => full = true,
                'p' => {
                    let own: String = rest.by_ref().collect();
                    if own.is_empty() {
                        words = &words[1..];
                        variable = words.first().cloned();
                        if variable.is_none() {
                            sh.complain("wait", "-p: option requires an argument");
                            return Ok(sh.usage("wait"));
                        }
                    } else {
                        variable = Some(own);
                    }
                }
                letter => {
                    sh.complain("wait", &format!("-{letter}: invalid option"));
                    return Ok(sh.usage("wait"));
                }
            }
        }
        words = words.get(1..).unwrap_or_default();
    }
    if let Some(name) = &variable {
        if !crate::text::is_name(name.split('[').next().unwrap_or_default()) {
            return Ok(sh.complain("wait", &format!("`{name}': not a valid identifier")));
        }
        if !name.contains('[') {
            sh.vars.remove(crate::symbols::sym(name));
        }
    }
    let status = if next {
        wait_next(sh, words, variable)?
    } else if words.is_empty() {
        wait_all(sh)
    } else {
        wait_each(sh, words, full, variable)?
    };
    sh.report_jobs();
    Ok(status)
}

fn wait_all(sh: &mut Shell) -> i32 {
    sh.reap();
    let result = sh.wait_until(|sh| {
        let jobs = sh.jobs.foreign || sh.jobs.list.iter().all(|j| j.state() != State::Running);
        let subst = sh.jobs.last_subst.filter(|pid| sh.jobs.last == Some(*pid));
        (jobs && subst.is_none_or(|pid| sh.jobs.status_of(pid).is_some())).then_some(())
    });
    if let Err(Waited::Signal(status)) = result {
        return status;
    }
    sh.report_jobs();
    if !sh.jobs.foreign {
        sh.jobs.remove(|job| job.ended().is_some());
        sh.jobs.forget();
    }
    sh.drop_coprocs();
    0
}

fn wait_each(sh: &mut Shell, words: &[String], full: bool, variable: Option<String>) -> Result<i32, Flow> {
    let mut status = 0;
    for word in words {
        let waited = if word.starts_with('%') {
            let found =
                if sh.jobs.foreign { Err(format!("{word}: no such job")) } else { sh.jobs.find(word) };
            match found {
                Ok(number) => {
                    let pid = sh.jobs.get(number).map_or(0, |job| job.pid());
                    (sh.wait_job(number, sh.opts.monitor && !full), pid)
                }
                Err(message) => {
                    sh.complain("wait", &message);
                    status = 127;
                    continue;
                }
            }
        } else {
            let digits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
            let Some(pid) = word.parse::<Pid>().ok().filter(|_| digits) else {
                sh.complain("wait", &format!("`{word}': not a pid or valid job spec"));
                status = 1;
                continue;
            };
            if !sh.jobs.knows(pid) {
                sh.complain("wait", &format!("pid {pid} is not a child of this shell"));
                status = 127;
                continue;
            }
            (sh.wait_for(pid), pid)
        };
        status = match waited.0 {
            Waited::Status(status) => status,
            Waited::Signal(status) => return Ok(status),
            Waited::NoChild => 127,
        };
        sh.report_jobs();
        let pid = waited.1;
        sh.jobs.remove(|job| job.ended().is_some() && job.processes.iter().any(|p| p.pid == pid));
        sh.drop_coprocs();
        if let Some(name) = &variable {
            sh.assign_text(name, pid.to_string())?;
        }
    }
    Ok(status)
}

fn wait_next(sh: &mut Shell, words: &[String], variable: Option<String>) -> Result<i32, Flow> {
    sh.reap();
    let mut wanted = Vec::new();
    for word in words {
        if word.starts_with('%') {
            match sh.jobs.find(word) {
                Ok(number) => wanted.extend(sh.jobs.get(number).map(|job| job.pid())),
                Err(message) => drop(sh.complain("wait", &message)),
            }
        } else if let Ok(pid) = word.parse::<Pid>() {
            if sh.jobs.knows(pid) {
                wanted.push(pid);
            } else {
                sh.complain("wait", &format!("{pid}: no such job"));
            }
        } else {
            sh.complain("wait", &format!("`{word}': not a pid or valid job spec"));
        }
    }
    if !words.is_empty() && wanted.is_empty() || sh.jobs.foreign {
        return Ok(127);
    }
    let waited = sh.wait_until(|sh| {
        let mut jobs = sh.jobs.list.iter().filter(|j| words.is_empty() || wanted.contains(&j.pid()));
        if let Some(job) = jobs.clone().find(|j| j.ended().is_some()) {
            return Some(job.ended().map(|status| (job.pid(), status)));
        }
        let old = wanted.iter().find_map(|pid| Some((*pid, sh.jobs.status_of(*pid)?)));
        match old {
            Some(old) => Some(Some(old)),
            None if jobs.next().is_none() => Some(None),
            None => None,
        }
    });
    match waited {
        Ok(Some((pid, status))) => {
            if let Some(name) = variable {
                sh.assign_text(&name, pid.to_string())?;
            }
            sh.report_jobs();
            sh.jobs.remove(|j| j.pid() == pid);
            sh.drop_coprocs();
            Ok(status.shell_status())
        }
        Err(Waited::Signal(status)) => Ok(status),
        _ => Ok(127),
    }
}

pub(super) fn jobs(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut words = &args[1..];
    let (mut long, mut pids, mut only, mut new, mut run) = (false, false, None, false, false);
    while let Some(option) = words.first().filter(|w| w.len() > 1 && w.starts_with('-')) {
        words = &words[1..];
        if option == "--" {
            break;
        }
        for letter in option[1..].chars() {
            match letter {
                'l' => long = true,
                'p' => pids = true,
                'r' => only = Some(State::Running),
                's' => only = Some(State::Stopped),
                'n' => new = true,
                'x' => run = true,
                letter => {
                    sh.complain("jobs", &format!("-{letter}: invalid option"));
                    return Ok(sh.usage("jobs"));
                }
            }
        }
        if run {
            return run_with_pids(sh, words);
        }
    }
    sh.reap();
    let mut status = 0;
    let mut wanted: Vec<u32> = Vec::new();
    for word in words {
        match sh.jobs.find(word) {
            Ok(number) => wanted.push(number),
            Err(message) => status = sh.complain("jobs", &message),
        }
    }
    if words.is_empty() {
        wanted = sh.jobs.list.iter().map(|j| j.number).collect();
    }
    let here = sh.vars.get(crate::symbols::PWD).unwrap_or_default().into_owned();
    let mut lines = String::new();
    let mut shown = Vec::new();
    for number in &wanted {
        let mark = sh.jobs.mark(*number);
        let Some(job) = sh.jobs.get(*number) else { continue };
        let state = job.state();
        if only.is_some_and(|only| only != state) || new && state == State::Running {
            continue;
        }
        shown.push(*number);
        lines += &if pids { format!("{}\n", job.leader()) } else { job.line(mark, long, &here) };
    }
    sh.print(&lines);
    if !pids && !sh.jobs.foreign {
        sh.jobs.remove(|job| shown.contains(&job.number) && job.ended().is_some());
    }
    Ok(status)
}

/// `jobs -x`: a command whose job specifications become process ids.
fn run_with_pids(sh: &mut Shell, words: &[String]) -> Result<i32, Flow> {
    let mut command = vec!["command".to_owned()];
    for word in words {
        let found = if word.starts_with('%') { sh.jobs.find(word).ok() } else { None };
        let leader = found.and_then(|number| sh.jobs.get(number).map(|job| job.leader()));
        command.push(leader.map_or_else(|| word.clone(), |pid| pid.to_string()));
    }
    super::lookup::command(sh, &command)
}

/// The jobs that the arguments of `fg` and `bg` name; the current one if there are none.
fn named(sh: &mut Shell, name: &str, words: &[String]) -> Result<u32, i32> {
    let spec = words.first().map_or("%", String::as_str);
    match sh.jobs.find(spec) {
        Ok(number) if !sh.jobs.foreign => Ok(number),
        Err(message) if !words.is_empty() => Err(sh.complain(name, &message)),
        _ => Err(sh.complain(name, &format!("{}: no such job", words.first().map_or("current", |w| w)))),
    }
}

/// Sets a stopped job going again.
fn go_on(sh: &mut Shell, number: u32) {
    let Some(job) = sh.jobs.get(number) else { return };
    for process in &mut job.processes {
        if matches!(process.status, Some(WaitStatus::Stopped(_))) {
            process.status = None;
        }
    }
    let pids: Vec<i32> = if job.grouped {
        vec![-(job.leader() as i32)]
    } else {
        job.processes.iter().map(|p| p.pid as i32).collect()
    };
    for pid in pids {
        let _ = signal::kill(pid, Some(Signal::SIGCONT));
    }
}

pub(super) fn fg(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words = operands(args);
    if !sh.opts.monitor {
        return Ok(sh.complain("fg", "no job control"));
    }
    sh.reap();
    let number = match named(sh, "fg", words) {
        Ok(number) => number,
        Err(status) => return Ok(status),
    };
    let Some(job) = sh.jobs.get(number) else { return Ok(1) };
    if job.ended().is_some() {
        let status = sh.complain("fg", "job has terminated");
        sh.jobs.remove(|j| j.number == number);
        return Ok(status);
    }
    let text = job.text();
    job.foreground = true;
    sh.print(&format!("{text}\n"));
    sh.flush();
    let leader = sh.jobs.get(number).filter(|job| job.grouped).map(|job| job.leader());
    sh.give_terminal(leader);
    go_on(sh, number);
    let status = loop {
        match sh.wait_job(number, true) {
            Waited::Status(status) => break status,
            // The trap runs when the job has ended or stopped.
            Waited::Signal(_) if sh.wait_any() => {}
            _ => break 127,
        }
    };
    sh.give_terminal(None);
    match sh.jobs.get(number).map(|job| job.state()) {
        Some(State::Ended(how)) => sh.interrupted_with(how),
        Some(State::Stopped) if sh.session.active => sh.tell_job(number),
        _ => {}
    }
    sh.jobs.remove(|job| job.number == number && job.ended().is_some());
    Ok(status)
}

pub(super) fn bg(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words = operands(args);
    if !sh.opts.monitor {
        return Ok(sh.complain("bg", "no job control"));
    }
    sh.reap();
    let count = words.len().max(1);
    let mut status = 0;
    for i in 0..count {
        let number = match named(sh, "bg", words.get(i..).unwrap_or_default()) {
            Ok(number) => number,
            Err(failed) => {
                status = failed;
                continue;
            }
        };
        let mark = sh.jobs.mark(number);
        let Some(job) = sh.jobs.get(number) else { continue };
        match job.state() {
            State::Ended(_) => status = sh.complain("bg", "job has terminated"),
            State::Running => {
                status = 0;
                sh.complain("bg", &format!("job {number} already in background"));
            }
            State::Stopped => {
                job.foreground = false;
                let line = format!("[{number}]{mark} {} &\n", job.text());
                sh.print(&line);
                sh.flush();
                go_on(sh, number);
            }
        }
    }
    Ok(status)
}

fn operands(args: &[String]) -> &[String] {
    if args.get(1).is_some_and(|a| a == "--") { &args[2..] } else { &args[1..] }
}

pub(super) fn disown(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut words = &args[1..];
    let (mut all, mut running, mut keep) = (false, false, false);
    while let Some(option) = words.first().filter(|w| w.len() > 1 && w.starts_with('-')) {
        words = &words[1..];
        if option == "--" {
            break;
        }
        for letter in option[1..].chars() {
            match letter {
                'a' => all = true,
                'r' => running = true,
                'h' => keep = true,
                letter => {
                    sh.complain("disown", &format!("-{letter}: invalid option"));
                    return Ok(sh.usage("disown"));
                }
            }
        }
    }
    sh.reap();
    if words.is_empty() && (all || running) {
        if !keep {
            sh.jobs.remove(|job| !running || job.state() == State::Running);
        }
        return Ok(0);
    }
    let mut status = 0;
    let current = ["%".to_owned()];
    for word in if words.is_empty() { &current[..] } else { words } {
        let by_pid = word.parse::<Pid>().ok().and_then(|pid| {
            let job = sh.jobs.list.iter().find(|j| j.processes.iter().any(|p| p.pid == pid))?;
            Some(job.number)
        });
        let found = match by_pid {
            Some(number) => Ok(number),
            None if words.is_empty() => sh.jobs.find(word).map_err(|_| "current: no such job".to_owned()),
            None => sh.jobs.find(word),
        };
        match found {
            Ok(number) if !keep => sh.jobs.remove(|job| job.number == number),
            Ok(_) => {}
            Err(message) => status = sh.complain("disown", &message),
        }
    }
    Ok(status)
}
