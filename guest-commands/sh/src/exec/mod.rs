//! Executes lists, pipelines and commands. Words are expanded, builtins run and processes started in rooms of their own.

mod assign;
mod compound;
mod coproc;
mod external;
mod function;
mod pipeline;
mod redirect;
mod simple;
mod subst;
pub(crate) mod trace;
mod wait;

use crate::ir::{Command, Item, Kind, List, Pipeline};
use crate::shell::{Flow, Run, Shell};
use crate::source::units::Units;
use std::rc::Rc;

impl Shell {
    /// Runs commands in sequence; `tail`: the process ends after them.
    pub(crate) fn run_list(&mut self, list: &List, tail: bool) -> Run {
        let last = list.items.len().saturating_sub(1);
        for (i, item) in list.items.iter().enumerate() {
            self.run_item(item, tail && i == last)?;
        }
        Ok(())
    }

    fn run_item(&mut self, item: &Item, tail: bool) -> Run {
        if item.background {
            return self.run_background(item);
        }
        self.run_and_or(item, tail)
    }

    /// In the child of a background command.
    pub(self) fn run_foreground(&mut self, item: &Item) -> Run {
        self.run_and_or(item, true)
    }

    fn run_and_or(&mut self, item: &Item, tail: bool) -> Run {
        if item.rest.is_empty() {
            return self.run_pipeline(&item.first, tail);
        }
        let last = item.rest.len() - 1;
        self.tested += 1;
        let first = self.run_pipeline(&item.first, false);
        self.tested -= 1;
        first?;
        for (i, (and, pipeline)) in item.rest.iter().enumerate() {
            if (self.status == 0) != *and {
                continue;
            }
            if i == last {
                self.run_pipeline(pipeline, tail)?;
            } else {
                self.tested += 1;
                let result = self.run_pipeline(pipeline, false);
                self.tested -= 1;
                result?;
            }
        }
        Ok(())
    }

    fn run_pipeline(&mut self, pipeline: &Pipeline, tail: bool) -> Run {
        self.poll_traps()?;
        if self.opts.noexec {
            return Ok(());
        }
        let (clock, times) = match pipeline.timed {
            Some(_) => (Some(std::time::Instant::now()), agentos_guest::system::times().unwrap_or_default()),
            None => (None, Default::default()),
        };
        let tail = tail && !pipeline.negate && clock.is_none();
        // Without `set -e` a `!` only excuses the pipeline itself, not what runs within.
        let excused = pipeline.negate && self.opts.errexit;
        if excused {
            self.tested += 1;
        }
        let result = match pipeline.stages.as_slice() {
            [] => Ok(()),
            [one] => {
                let checks =
                    matches!(one.kind, Kind::Simple(_) | Kind::Subshell(_) | Kind::Arith(_) | Kind::Cond(_));
                // Only a trap that was set before the command is run after it.
                let trapped = self.traps.err.is_some();
                self.run_command(one, tail).and_then(|()| {
                    if checks {
                        self.pipestatus.clear();
                        self.pipestatus.push(self.status);
                        if pipeline.negate { Ok(()) } else { self.check_failure(trapped) }
                    } else {
                        Ok(())
                    }
                })
            }
            stages => {
                let trapped = self.traps.err.is_some();
                self.run_stages(stages)
                    .and_then(|()| if pipeline.negate { Ok(()) } else { self.check_failure(trapped) })
            }
        };
        if excused {
            self.tested -= 1;
        }
        if pipeline.negate && matches!(result, Ok(()) | Err(Flow::Break(_) | Flow::Continue(_))) {
            self.status = i32::from(self.status == 0);
        }
        if let (Some(clock), Some(timed)) = (clock, pipeline.timed) {
            self.report_times(clock, times, timed);
        }
        result
    }

    /// After a command: runs the ERR trap and leaves the shell if a failure should end it.
    #[inline]
    fn check_failure(&mut self, trapped: bool) -> Run {
        if self.status == 0 || self.tested > 0 { Ok(()) } else { self.failed(trapped) }
    }

    #[inline(never)]
    fn failed(&mut self, trapped: bool) -> Run {
        if trapped {
            self.err_trap()?;
        }
        if self.opts.errexit {
            self.session.leaving = true;
            return Err(Flow::Exit);
        }
        Ok(())
    }

    /// Runs a command whose failure is being tested.
    pub(crate) fn run_tested(&mut self, list: &List) -> Run {
        self.tested += 1;
        let result = self.run_list(list, false);
        self.tested -= 1;
        result
    }

    /// Runs one command with its redirections.
    #[inline(never)]
    pub(crate) fn run_command(&mut self, command: &Rc<Command>, tail: bool) -> Run {
        let substs = self.proc_fds.len();
        let result = if let Kind::Simple(simple) = &command.kind {
            self.run_simple(command, simple, tail)
        } else {
            self.check_depth()?;
            self.depth += 1;
            // Only a simple command takes the shell's place in `SHLVL`.
            self.lowers &= !tail;
            let result = self.run_redirected(command, tail);
            self.depth -= 1;
            result
        };
        if self.proc_fds.len() > substs {
            self.close_process_substs(substs);
        }
        result
    }

    fn run_redirected(&mut self, command: &Rc<Command>, tail: bool) -> Run {
        if command.redirects.is_empty() {
            return self.run_compound(command, tail);
        }
        self.line = self.line_of(command.line);
        let Some(saved) = self.push_redirects(&command.redirects)? else {
            self.status = 1;
            return self.check_failure(self.traps.err.is_some());
        };
        let result = self.run_compound(command, false);
        self.pop_redirects(saved);
        result
    }

    /// Runs text in this shell, as `eval` does.
    pub(crate) fn eval(&mut self, text: &str) -> Run {
        self.eval_at(text, "eval", self.line)
    }

    /// What an error that gives a command up comes to in the text that `eval`, `.` or a trap runs: the text goes on with
    /// its next command. A subshell ends, and a shell in POSIX mode gives up all of it.
    pub(crate) fn given_up(&mut self, result: Run) -> Run {
        let interrupted = self.session.active && self.status > 128;
        let below = self.subshell > 0 || self.in_process > 0;
        match result {
            Err(Flow::Discard) if !below && !interrupted && !self.opts.posix => {
                self.status = 1;
                Ok(())
            }
            other => other,
        }
    }

    /// The same for text that messages call otherwise, and whose first line has a number.
    #[inline(never)]
    pub(crate) fn eval_at(&mut self, text: &str, name: &'static str, first: u32) -> Run {
        self.check_depth()?;
        self.depth += 1;
        let line = self.line;
        let offset = std::mem::take(&mut self.line_offset);
        let mut units = Units::new(text.to_owned(), first.max(1)).named(name);
        let mut empty = true;
        self.indirection += 1;
        let result = loop {
            match self.next_unit(&mut units) {
                Ok(Some(unit)) => {
                    empty = false;
                    let (loops, tested) = (self.loops, self.tested);
                    let result = self.run_list(&unit, false);
                    if let Err(flow) = self.given_up(result) {
                        break Err(flow);
                    }
                    (self.loops, self.tested) = (loops, tested);
                }
                Ok(None) => {
                    if empty {
                        self.status = 0;
                    }
                    break Ok(());
                }
                Err(effect) => break self.after_syntax_error(effect, name == "eval"),
            }
        };
        self.depth -= 1;
        self.indirection -= 1;
        self.line = line;
        self.line_offset = offset;
        result
    }
}
