//! Calls of functions, and subshells.

use crate::ir::List;
use crate::shell::{Call, Flow, Function, Run, Shell};
use agentos_guest::process;
use std::rc::Rc;

/// How deeply functions may call each other: the guest's stack is 1 MiB.
const MAX_CALLS: u32 = 1000;

impl Shell {
    /// Calls a function.
    #[inline(never)]
    /// Calls the function that the first word names.
    pub(crate) fn call_words(&mut self, words: &[String]) -> Run {
        match words.split_first().and_then(|(name, args)| Some((self.functions.get(name.as_str())?, args))) {
            Some((function, args)) => self.call(&function.clone(), args.to_vec()),
            None => Ok(()),
        }
    }

    pub(super) fn call(&mut self, function: &Rc<Function>, args: Vec<String>) -> Run {
        if self.functions_active >= MAX_CALLS {
            self.error(&format!("{}: maximum function nesting level exceeded ({MAX_CALLS})", function.name));
            self.status = 1;
            return Err(Flow::Discard);
        }
        self.check_depth()?;
        let outer = std::mem::replace(&mut self.args, args);
        let loops = std::mem::take(&mut self.loops);
        let getopts_at = self.getopts_at;
        self.functions_active += 1;
        self.calls.push(Call {
            name: function.name.clone(),
            source: self.source.clone(),
            line: self.line,
            opts: None,
        });
        let source = std::mem::replace(&mut self.source, function.source.clone());
        self.vars.push_scope();
        let mut result = self.run_command(&function.body, false);
        if result == Err(Flow::Return) {
            result = Ok(());
        }
        if result.is_ok()
            && let Some(action) = self.traps.on_return.take()
        {
            result = self.run_trap(&action);
            self.traps.on_return.get_or_insert(action);
        }
        self.vars.pop_scope();
        self.source = source;
        if let Some(opts) = self.calls.pop().and_then(|call| call.opts) {
            self.opts = opts;
        }
        self.functions_active -= 1;
        self.loops = loops;
        self.getopts_at = getopts_at;
        let used = std::mem::replace(&mut self.args, outer);
        self.spare.give_list(used);
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
        self.loops = 0;
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
    pub(super) fn run_subshell(&mut self, list: &List, tail: bool) -> Run {
        let _ = tail;
        let io = self.child_io();
        let started = process::fork_call(|| {
            self.enter_subshell();
            if !self.apply_io(&io) {
                return 1;
            }
            let result = self.run_list(list, true);
            self.finish_child(result)
        });
        match started {
            Ok(pid) => {
                self.collect(io);
                self.status = self.wait_foreground(pid).shell_status();
            }
            Err(error) => {
                self.error(&format!("fork: {}", agentos_guest::strerror(&error)));
                self.status = 254;
            }
        }
        Ok(())
    }
}
