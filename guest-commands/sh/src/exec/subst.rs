//! Command and process substitution. Where the script cannot tell, a substitution runs in this process: no clone, and what
//! it changed is undone.

use crate::ir::{Command, Item, Kind, List, RedirectKind, Subst};
use crate::shell::{Flow, Shell};
use crate::source::units::Units;
use agentos_guest::process::WaitFor;
use agentos_guest::{fd, process, strerror};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Builtins whose effect outlives a substitution or that could do anything.
const OUTSIDE: &[&str] = &[
    "cd", "pushd", "popd", "exec", "trap", "umask", "ulimit", "eval", ".", "source", "set", "shift", "wait",
    "alias", "unalias", "hash", "shopt", "unset", "command", "builtin", "exit", "jobs", "kill", "enable",
    "getopts",
];

impl Shell {
    /// The commands of a substitution, and whether wrong text follows them, which is reported.
    fn parsed(&mut self, subst: &Subst) -> (Rc<List>, bool) {
        let dialect = self.dialect();
        // Aliases count when the commands run, in POSIX mode when they were read.
        if (dialect.aliases.is_none() || dialect.posix)
            && let Some(list) = subst.list.get()
        {
            return (list.clone(), false);
        }
        let keep = dialect.aliases.is_none();
        let mut units = Units::new(subst.text.to_string(), self.line).named("command substitution");
        let mut all = Vec::new();
        let wrong = loop {
            match self.next_unit(&mut units) {
                Ok(Some(unit)) => {
                    all.extend(Rc::into_inner(unit).map(|list| list.items).unwrap_or_default());
                }
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let list = Rc::new(List { items: all });
        if keep && !wrong {
            let _ = subst.list.set(list.clone());
        }
        (list, wrong)
    }

    /// The output of commands, without the newlines at its end.
    #[inline(never)]
    pub(crate) fn command_subst(&mut self, subst: &Subst) -> Result<String, Flow> {
        self.check_depth()?;
        let (list, wrong) = self.parsed(subst);
        if matches!(&*subst.text, "" | "\n") {
            // Nothing runs: a status from before stays.
            return Ok(String::new());
        }
        if list.items.is_empty() {
            self.status = if wrong { 2 } else { 0 };
            self.subst_status = Some(self.status);
            return Ok(String::new());
        }
        self.depth += 1;
        let line = self.line;
        let first = list.items.first().and_then(|item| item.first.stages.first()).map_or(line, |c| c.line);
        let offset = std::mem::replace(&mut self.line_offset, line.wrapping_sub(first));
        let result = match self.file_of(&list) {
            Some(_) => self.read_file(&list),
            None if self.may_stay(subst, &list) => Ok(self.run_captured(&list)),
            None => Ok(self.run_forked(subst, &list, wrong)),
        };
        self.line = line;
        self.line_offset = offset;
        self.depth -= 1;
        let mut bytes = result?;
        while bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.contains(&0) {
            self.error("warning: command substitution: ignored null byte in input");
            bytes.retain(|b| *b != 0);
        }
        if wrong {
            self.status = 2;
        }
        self.subst_status = Some(self.status);
        Ok(crate::text::from_bytes(bytes))
    }

    /// Whether the commands are `< file`.
    fn file_of<'a>(&self, list: &'a List) -> Option<&'a Command> {
        let [item] = list.items.as_slice() else { return None };
        let [stage] = item.first.stages.as_slice() else { return None };
        let Kind::Simple(simple) = &stage.kind else { return None };
        let reads = matches!(stage.redirects.as_slice(), [r] if r.kind == RedirectKind::Read);
        (reads
            && simple.args.is_empty()
            && simple.assigns.is_empty()
            && item.rest.is_empty()
            && !item.background)
            .then_some(&**stage)
    }

    fn read_file(&mut self, list: &List) -> Result<Vec<u8>, Flow> {
        let Some(command) = self.file_of(list) else { return Ok(Vec::new()) };
        let Some(saved) = self.push_redirects(&command.redirects)? else {
            self.status = 1;
            if self.opts.errexit {
                // No command runs that could fail instead.
                self.session.leaving = true;
                return Err(Flow::Exit);
            }
            return Ok(Vec::new());
        };
        let number = match command.redirects.first().map(|r| r.fd) {
            Some(crate::ir::RedirectFd::Number(n)) => n,
            _ => 0,
        };
        let bytes = fd::read_to_end(number);
        self.pop_redirects(saved);
        self.status = i32::from(bytes.is_err());
        Ok(bytes.unwrap_or_default())
    }

    fn may_stay(&mut self, subst: &Subst, list: &List) -> bool {
        if self.traps.err.is_some() || self.traps.debug.is_some() || self.traps.on_return.is_some() {
            return false;
        }
        match subst.in_process.get() {
            Some((generation, answer)) if generation == self.generation => answer,
            _ => {
                let mut seen = Vec::new();
                let answer = !subst.text.contains("BASHPID")
                    && !subst.text.contains("BASH_SUBSHELL")
                    && self.list_may_stay(list, &mut seen);
                subst.in_process.set(Some((self.generation, answer)));
                answer
            }
        }
    }

    fn list_may_stay(&self, list: &List, seen: &mut Vec<Rc<str>>) -> bool {
        list.items.iter().all(|item: &Item| {
            !item.background
                && item.first.timed.is_none()
                && std::iter::once(&item.first)
                    .chain(item.rest.iter().map(|(_, p)| p))
                    // The stages of a pipeline are children anyway.
                    .all(|p| p.stages.len() > 1 || p.stages.iter().all(|c| self.command_may_stay(c, seen)))
        })
    }

    fn command_may_stay(&self, command: &Command, seen: &mut Vec<Rc<str>>) -> bool {
        let mut all = |lists: &[&List]| lists.iter().all(|list| self.list_may_stay(list, seen));
        match &command.kind {
            Kind::Simple(simple) => {
                let Some(first) = simple.args.first() else { return true };
                let Some(name) = first.word.literal() else { return false };
                if let Some(function) = self.functions.get(name) {
                    if seen.iter().any(|s| **s == *name) {
                        return true;
                    }
                    seen.push(function.name.clone());
                    return seen.len() < 200 && self.command_may_stay(&function.body, seen);
                }
                if OUTSIDE.contains(&name) {
                    // `exit` merely ends the substitution.
                    return name == "exit";
                }
                true
            }
            Kind::Brace(list) => all(&[list]),
            Kind::Subshell(_) | Kind::Arith(_) | Kind::Cond(_) => true,
            Kind::If { arms, otherwise } => {
                arms.iter().all(|(a, b)| all(&[a, b])) && otherwise.as_ref().is_none_or(|list| all(&[list]))
            }
            Kind::While { condition, body, .. } => all(&[condition, body]),
            Kind::For { body, .. } | Kind::Select { body, .. } | Kind::ForArith { body, .. } => all(&[body]),
            Kind::Case { arms, .. } => arms.iter().all(|arm| all(&[&arm.body])),
            Kind::Function { .. } | Kind::Coproc { .. } => false,
        }
    }

    #[inline(never)]
    fn run_captured(&mut self, list: &List) -> Vec<u8> {
        let mark = self.vars.begin();
        let routes = self.capture.routes.clone();
        let buffer = self.capture.buffers.len();
        self.capture.buffers.push(Vec::new());
        self.capture.set(1, Some(buffer));
        // `break` within ends the substitution, as in bash: it counts the loops around it.
        let (opts, calls, functions_active, loops, tested) =
            (self.opts, self.calls.len(), self.functions_active, self.loops, self.tested);
        let pending = std::mem::take(&mut self.out);
        if !self.shopts.inherit_errexit && !self.opts.posix {
            self.opts.errexit = false;
        }
        self.in_process += 1;
        self.indirection += 1;
        let lowers = std::mem::replace(&mut self.lowers, true);
        let result = self.run_list(list, true);
        self.lowers = lowers;
        self.in_process -= 1;
        self.indirection -= 1;
        if result == Err(Flow::Discard) && self.status == 0 {
            self.status = 1;
        }
        self.flush();
        self.out = pending;
        self.opts = opts;
        self.calls.truncate(calls);
        self.functions_active = functions_active;
        self.loops = loops;
        self.tested = tested;
        self.capture.routes = routes;
        self.vars.undo(mark);
        self.capture.buffers.pop().unwrap_or_default()
    }

    #[inline(never)]
    fn run_forked(&mut self, subst: &Subst, list: &List, wrong: bool) -> Vec<u8> {
        let io = self.child_io();
        let (read, write) = match fd::pipe(true) {
            Ok(ends) => ends,
            Err(error) => {
                self.error(&format!("pipe: {}", strerror(&error)));
                self.status = 1;
                return Vec::new();
            }
        };
        let loops = self.loops;
        let started = process::fork_call(|| {
            let parenthesized = self.parenthesized;
            self.enter_subshell();
            self.parenthesized = parenthesized;
            self.indirection += 1;
            self.loops = loops;
            if !self.shopts.inherit_errexit && !self.opts.posix {
                self.opts.errexit = false;
            }
            if !self.apply_io(&io) || fd::dup2(write.raw(), 1, false).is_err() {
                return 1;
            }
            let _ = (fd::close(write.raw()), fd::close(read.raw()));
            let result =
                if !wrong && !self.opts.posix && self.shopts.expand_aliases && subst.text.contains("alias") {
                    self.run_by_lines(subst)
                } else {
                    self.run_list(list, true)
                };
            self.finish_child(result)
        });
        drop(write);
        match started {
            Ok(pid) => {
                self.begin_wait();
                let bytes = fd::read_to_end(read.raw()).unwrap_or_default();
                self.collect(io);
                let ended = self.wait_child(pid);
                self.end_wait(&[ended]);
                self.status = ended.shell_status();
                bytes
            }
            Err(error) => {
                self.error(&format!("fork: {}", strerror(&error)));
                self.status = 254;
                Vec::new()
            }
        }
    }

    /// Runs commands that may define aliases for those on the lines after them.
    fn run_by_lines(&mut self, subst: &Subst) -> Result<(), Flow> {
        let mut units = Units::new(subst.text.to_string(), self.line).named("command substitution");
        loop {
            match self.next_unit(&mut units) {
                Ok(Some(unit)) => self.run_list(&unit, false)?,
                Ok(None) => return Ok(()),
                Err(_) => {
                    self.status = 2;
                    return Ok(());
                }
            }
        }
    }

    /// Starts the commands of `<( )` or `>( )`; returns the path of the other end of their pipe.
    pub(crate) fn process_subst(&mut self, subst: &Subst, read: bool) -> Result<String, Flow> {
        let (list, wrong) = self.parsed(subst);
        if wrong {
            self.status = 1;
            return Err(Flow::Discard);
        }
        let (reader, writer) = match fd::pipe(true) {
            Ok(ends) => ends,
            Err(error) => {
                self.error(&format!("pipe: {}", strerror(&error)));
                self.status = 1;
                return Err(Flow::Discard);
            }
        };
        let (ours, theirs, number) = if read { (reader, writer, 1) } else { (writer, reader, 0) };
        let started = process::fork_call(|| {
            self.enter_subshell();
            self.indirection += 1;
            self.traps.former.clear();
            if fd::dup2(theirs.raw(), number, false).is_err() {
                return 1;
            }
            let _ = (fd::close(ours.raw()), fd::close(theirs.raw()));
            let result = self.run_list(&list, true);
            self.finish_child(result)
        });
        drop(theirs);
        // As bash, out of the way of the script's numbers while the limit leaves room there.
        match started.and_then(|pid| Ok((pid, super::redirect::high(ours.raw(), false)?))) {
            Ok((pid, kept)) => {
                self.jobs.last = Some(pid);
                self.jobs.last_subst = Some(pid);
                if !read {
                    self.jobs.reader(pid);
                }
                self.proc_fds.push(kept);
                Ok(format!("/dev/fd/{kept}"))
            }
            Err(error) => {
                self.error(&format!("fork: {}", strerror(&error)));
                self.status = 254;
                Err(Flow::Discard)
            }
        }
    }

    /// Lets the commands of `>( )` finish with what was written to them: when the shell has ended, its machine may end, too.
    /// It is the last thing a shell does, and does not wait for what takes no notice of its end.
    pub(crate) fn wait_for_readers(&mut self) {
        const MOST: Duration = Duration::from_secs(5);
        const LOOK: Duration = Duration::from_millis(2);
        if self.jobs.readers.is_empty() || self.session.active {
            return;
        }
        // They read to the end of what this shell holds open.
        for number in 0..256 {
            let _ = fd::close(number);
        }
        let begin = Instant::now();
        self.jobs.readers.retain(|pid| {
            while begin.elapsed() < MOST && matches!(process::try_wait(WaitFor::Pid(*pid)), Ok(None)) {
                std::thread::sleep(LOOK);
            }
            false
        });
    }

    /// Closes the pipes of the command's process substitutions, which are those after the first `before`.
    pub(super) fn close_process_substs(&mut self, before: usize) {
        for number in self.proc_fds.drain(before..) {
            let _ = fd::close(number);
        }
    }
}
