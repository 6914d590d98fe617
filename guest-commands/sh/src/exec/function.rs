//! Calls of functions, and subshells.

use crate::ir::{Command, List};
use crate::shell::{Call, Flow, Function, Run, Shell};
use std::rc::Rc;

/// How deeply functions may call each other: the guest's stack is 1 MiB.
const MAX_CALLS: u32 = 1000;

impl Shell {
    /// Calls a function.
    #[inline(never)]
    /// Calls the function that the first word names.
    pub(crate) fn call_words(&mut self, words: &[String]) -> Run {
        match words.split_first().and_then(|(name, args)| Some((self.functions.get(name.as_str())?, args))) {
            Some((function, args)) => self.call(&function.clone(), args.to_vec(), false),
            None => Ok(()),
        }
    }

    /// Calls a function; `assigned`: assignments stand before its name.
    pub(super) fn call(&mut self, function: &Rc<Function>, args: Vec<String>, assigned: bool) -> Run {
        if self.functions_active >= MAX_CALLS {
            self.error(&format!("{}: maximum function nesting level exceeded ({MAX_CALLS})", function.name));
            self.status = 1;
            return Err(Flow::Discard);
        }
        self.check_depth()?;
        let outer = std::mem::replace(&mut self.args, args);
        let loops = self.loops;
        if self.compat > 43 {
            self.loops = 0;
        }
        let getopts_at = self.getopts_at;
        let line = self.line;
        let offset = std::mem::take(&mut self.line_offset);
        self.functions_active += 1;
        let shown = self.shopts.extdebug.then(|| self.args.clone());
        let (name, file) = (function.name.clone(), function.source.clone());
        let (called, first) = (self.shown_line(), function.line);
        self.calls.push(Call { name, source: file.clone(), line: called, first, args: shown, opts: None });
        let source = std::mem::replace(&mut self.source, file);
        let withheld = self.withhold_traps(self.traced.contains(&function.name));
        self.vars.push_scope(assigned);
        let result = self.run_body(function);
        self.vars.pop_scope();
        self.restore_traps(withheld);
        self.source = source;
        if let Some(opts) = self.calls.pop().and_then(|call| call.opts) {
            self.opts = opts;
        }
        self.functions_active -= 1;
        self.line = line;
        self.line_offset = offset;
        self.loops = loops;
        self.getopts_at = getopts_at;
        let used = std::mem::replace(&mut self.args, outer);
        self.spare.give_list(used);
        result
    }

    /// The body of a function and the traps around it.
    fn run_body(&mut self, function: &Rc<Function>) -> Run {
        let mut result = Ok(());
        let mut wanted = true;
        if self.traps.debug.is_some() {
            self.line = function.line;
            match self.debug_trap() {
                Ok(answer) => wanted = answer,
                Err(flow) => result = Err(flow),
            }
        }
        if wanted && result.is_ok() {
            result = self.run_command(&function.body, false);
        }
        let returned = result == Err(Flow::Return);
        if returned {
            result = Ok(());
        }
        if result.is_ok() && self.traps.on_return.is_some() {
            result = match self.return_trap(returned) {
                Err(Flow::Return) => Ok(()),
                other => other,
            };
        }
        result
    }

    /// In a new child: nothing of the parent's jobs, traps and unwritten output is ours.
    pub(super) fn enter_subshell(&mut self) {
        self.subshell += 1;
        self.in_process = 0;
        self.capture = crate::shell::Capture::default();
        self.out.clear();
        self.reset_traps();
        self.end_session();
        self.jobs.disown_all();
        self.opts.monitor = false;
        self.group = None;
        self.lowers = true;
        self.parenthesized = false;
        self.in_background = false;
        if self.compat > 44 {
            self.loops = 0;
        }
        self.reseed();
    }

    /// Ends a child's work: the status to exit with.
    pub(super) fn finish_child(&mut self, result: Run) -> i32 {
        if result == Err(Flow::Discard) && self.status == 0 {
            self.status = 1;
        }
        let status = self.exit_trap();
        self.flush();
        status & 0xff
    }

    /// `( … )`.
    #[inline(never)]
    pub(super) fn run_subshell(&mut self, command: &Rc<Command>, list: &List) -> Run {
        let io = self.child_io();
        let started = self.fork(self.opts.monitor.then_some(0), |this| {
            this.enter_subshell();
            this.parenthesized = true;
            if !this.apply_io(&io) {
                return 1;
            }
            let result = this.run_list(list, true);
            this.finish_child(result)
        });
        match started {
            Ok(pid) => {
                self.collect(io);
                self.status = self.wait_command(pid, command);
            }
            Err(error) => {
                self.error(&format!("fork: {}", agentos_guest::strerror(&error)));
                self.status = 254;
            }
        }
        Ok(())
    }
}
