//! Executes lists, pipelines and commands. Words are expanded, builtins run and processes started in rooms of their own.

mod assign;
mod compound;
mod external;
mod function;
mod pipeline;
mod redirect;
mod simple;
mod subst;
mod trace;

use crate::ir::{Command, Item, Kind, List, Pipeline};
use crate::shell::{Flow, Run, Shell};
use crate::source::units::Units;

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
        if pipeline.negate {
            self.tested += 1;
        }
        let result = match pipeline.stages.as_slice() {
            [] => Ok(()),
            [one] => {
                let checks =
                    matches!(one.kind, Kind::Simple(_) | Kind::Subshell(_) | Kind::Arith(_) | Kind::Cond(_));
                self.run_command(one, tail).and_then(|()| {
                    if checks {
                        self.pipestatus.clear();
                        self.pipestatus.push(self.status);
                        self.check_failure()
                    } else {
                        Ok(())
                    }
                })
            }
            stages => self.run_stages(stages).and_then(|()| self.check_failure()),
        };
        if pipeline.negate {
            self.tested -= 1;
            if result.is_ok() {
                self.status = i32::from(self.status == 0);
            }
        }
        if let (Some(clock), Some(timed)) = (clock, pipeline.timed) {
            self.report_times(clock, times, timed);
        }
        result
    }

    /// After a command: runs the ERR trap and leaves the shell if a failure should end it.
    #[inline]
    fn check_failure(&mut self) -> Run {
        if self.status == 0 || self.tested > 0 { Ok(()) } else { self.failed() }
    }

    #[inline(never)]
    fn failed(&mut self) -> Run {
        self.err_trap()?;
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
    pub(crate) fn run_command(&mut self, command: &Command, tail: bool) -> Run {
        if let Kind::Simple(simple) = &command.kind {
            return self.run_simple(command, simple, tail);
        }
        self.check_depth()?;
        self.depth += 1;
        let result = self.run_redirected(command, tail);
        self.depth -= 1;
        result
    }

    fn run_redirected(&mut self, command: &Command, tail: bool) -> Run {
        if command.redirects.is_empty() {
            return self.run_compound(command, tail);
        }
        self.line = command.line;
        let Some(saved) = self.push_redirects(&command.redirects)? else {
            self.status = 1;
            return self.check_failure();
        };
        let result = self.run_compound(command, false);
        self.pop_redirects(saved);
        result
    }

    /// Runs text in this shell, as `eval` does.
    pub(crate) fn eval(&mut self, text: &str) -> Run {
        self.eval_as(text, "eval")
    }

    /// The same for text that messages call otherwise.
    #[inline(never)]
    pub(crate) fn eval_as(&mut self, text: &str, name: &'static str) -> Run {
        self.check_depth()?;
        self.depth += 1;
        let line = self.line;
        let mut units =
            Units::new(text.to_owned(), if name == "exit trap" { 1 } else { line.max(1) }).named(name);
        let mut empty = true;
        let result = loop {
            match self.next_unit(&mut units) {
                Ok(Some(unit)) => {
                    empty = false;
                    if let Err(flow) = self.run_list(&unit, false) {
                        break Err(flow);
                    }
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
        self.line = line;
        result
    }
}
