//! Pipelines of several commands, and commands in the background.

use super::external::ChildIo;
use super::redirect::FdMap;
use crate::ir::{Arg, Command, Item, Kind, Op, Part, Simple, Word};
use crate::shell::{Flow, Run, Shell};
use agentos_guest::process::{self, Pid};
use agentos_guest::signal::{self, Disposition};
use agentos_guest::{Signal, fd, strerror};
use std::rc::Rc;

/// What became of a stage.
enum Stage {
    Running(Pid),
    /// It did not start; its status.
    Failed(i32),
}

/// Where a stage's descriptors lead.
struct Ends<'a> {
    map: Vec<(u32, u32)>,
    /// Open in this process, and none of the stage's business.
    foreign: Vec<u32>,
    io: &'a ChildIo,
}

impl Shell {
    #[inline(never)]
    pub(super) fn run_stages(&mut self, stages: &[Rc<Command>]) -> Run {
        let io = self.child_io();
        let mut running = Vec::with_capacity(stages.len());
        let mut input: Option<fd::Owned> = None;
        let last = stages.len() - 1;
        for (i, stage) in stages.iter().enumerate() {
            let pipe = if i < last { fd::pipe(true).map(Some) } else { Ok(None) };
            let pipe = match pipe {
                Ok(pipe) => pipe,
                Err(error) => {
                    self.error(&format!("pipe: {}", strerror(&error)));
                    running.push(Stage::Failed(1));
                    break;
                }
            };
            let mut map: Vec<(u32, u32)> =
                io.map.iter().copied().filter(|(c, _)| pipe.is_none() || *c != 1).collect();
            map.extend(input.as_ref().map(|read| (0, read.raw())));
            map.extend(pipe.as_ref().map(|(_, write)| (1, write.raw())));
            let mut foreign: Vec<u32> = io.close_in_child().into_iter().collect();
            foreign.extend(pipe.as_ref().map(|(read, _)| read.raw()));
            let ends = Ends { map, foreign, io: &io };
            running.push(self.start_stage(stage, &ends)?);
            input = pipe.map(|(read, _)| read);
        }
        drop(input);
        self.collect(io);
        let mut statuses = Vec::with_capacity(running.len());
        for stage in running {
            statuses.push(match stage {
                Stage::Running(pid) => self.wait_foreground(pid).shell_status(),
                Stage::Failed(status) => status,
            });
        }
        self.status = statuses.last().copied().unwrap_or(0);
        if self.opts.pipefail {
            self.status = statuses.iter().rev().copied().find(|s| *s != 0).unwrap_or(0);
        }
        self.pipestatus = statuses;
        Ok(())
    }

    fn start_stage(&mut self, command: &Rc<Command>, ends: &Ends<'_>) -> Result<Stage, Flow> {
        if let Kind::Simple(simple) = &command.kind
            && self.can_spawn(command, simple)
            && let Some(stage) = self.spawn_stage(command, simple, ends)?
        {
            return Ok(stage);
        }
        let started = process::fork_call(|| {
            self.enter_subshell();
            for (number, source) in &ends.map {
                if fd::dup2(*source, *number, false).is_err() {
                    return 1;
                }
            }
            for foreign in &ends.foreign {
                let _ = fd::close(*foreign);
            }
            for (_, source) in &ends.map {
                if *source > 2 {
                    let _ = fd::close(*source);
                }
            }
            let _ = ends.io;
            let result = self.run_command(command, true);
            if result.is_ok() && self.status != 0 && self.opts.errexit {
                return self.finish_child(Err(Flow::Exit));
            }
            self.finish_child(result)
        });
        Ok(match started {
            Ok(pid) => Stage::Running(pid),
            Err(error) => {
                self.error(&format!("fork: {}", strerror(&error)));
                Stage::Failed(254)
            }
        })
    }

    /// Whether a command is a program whose words can be expanded here without the script noticing.
    fn can_spawn(&self, command: &Command, simple: &Simple) -> bool {
        let Some(name) = simple.args.first().and_then(|a| a.word.literal()) else { return false };
        !self.opts.nounset
            && !self.opts.xtrace
            && self.traps.debug.is_none()
            && simple.assigns.is_empty()
            && !self.functions.contains_key(name)
            && self.builtin(name).is_none()
            && simple.args.iter().all(|Arg { word, .. }| is_pure(word))
            && command
                .redirects
                .iter()
                .all(|r| is_pure(r.word()) && !matches!(r.fd, crate::ir::RedirectFd::Named(_)))
            && command
                .redirects
                .iter()
                .all(|r| !r.word().literal().is_some_and(crate::builtins::test::is_fifo))
    }

    fn spawn_stage(
        &mut self,
        command: &Command,
        simple: &Simple,
        ends: &Ends<'_>,
    ) -> Result<Option<Stage>, Flow> {
        self.line = command.line;
        let mut args = Vec::with_capacity(simple.args.len());
        for arg in &simple.args {
            self.expand_fields(&arg.word, &mut args)?;
        }
        let mut map = FdMap::new(ends.map.clone());
        if !self.map_redirects(&command.redirects, &mut map)? {
            return Ok(Some(Stage::Failed(1)));
        }
        Ok(Some(match self.spawn(&args, &map) {
            Ok(pid) => Stage::Running(pid),
            Err(status) => Stage::Failed(status),
        }))
    }

    /// Starts a command in the background.
    #[inline(never)]
    pub(super) fn run_background(&mut self, item: &Item) -> Run {
        self.line = item.first.stages.first().map_or(self.line, |c| c.line);
        let null = fd::open("/dev/null", fd::O_RDONLY | fd::O_CLOEXEC, 0).ok().map(fd::Owned::from_raw);
        let single = item.rest.is_empty() && !item.first.negate && item.first.timed.is_none();
        let mut started = None;
        if single
            && let [stage] = item.first.stages.as_slice()
            && let Kind::Simple(simple) = &stage.kind
            && self.can_spawn(stage, simple)
        {
            let io = ChildIo::default();
            let map = null.iter().map(|n| (0, n.raw())).collect();
            let ends = Ends { map, foreign: Vec::new(), io: &io };
            // Without job control a background command ignores what the terminal sends.
            let old = [Signal::SIGINT, Signal::SIGQUIT].map(|s| (s, signal::set(s, Disposition::Ignore)));
            let stage = self.spawn_stage(stage, simple, &ends);
            for (which, former) in old {
                if let Ok(former) = former {
                    let _ = signal::set(which, former);
                }
            }
            match stage? {
                Some(Stage::Running(pid)) => started = Some(Ok(pid)),
                // As in bash, the failure is the job's.
                Some(Stage::Failed(status)) => started = Some(process::fork_call(|| status)),
                None => {}
            }
        }
        let started = started.unwrap_or_else(|| {
            process::fork_call(|| {
                self.enter_subshell();
                for which in [Signal::SIGINT, Signal::SIGQUIT] {
                    let _ = signal::set(which, Disposition::Ignore);
                }
                if let Some(null) = &null {
                    let _ = fd::dup2(null.raw(), 0, false);
                }
                let result = self.run_foreground(item);
                self.finish_child(result)
            })
        });
        match started {
            Ok(pid) => {
                let text = describe(item);
                self.jobs.add(&[pid], text);
                self.status = 0;
            }
            Err(error) => {
                self.error(&format!("fork: {}", strerror(&error)));
                self.status = 254;
            }
        }
        Ok(())
    }
}

/// The words of a job's first command, for `jobs`.
fn describe(item: &Item) -> String {
    match item.first.stages.first().map(|c| &c.kind) {
        Some(Kind::Simple(simple)) => {
            simple.args.iter().map(|a| a.word.raw.to_string()).collect::<Vec<_>>().join(" ")
        }
        Some(Kind::Subshell(_)) => "( … )".into(),
        _ => "{ … }".into(),
    }
}

/// Whether expanding a word changes nothing in the shell and cannot fail.
fn is_pure(word: &Word) -> bool {
    word.parts.iter().all(|part| match part {
        Part::Lit(_) | Part::Quoted(_) | Part::Tilde(_) => true,
        Part::Subst(..) => true,
        Part::Param(param, _) => {
            !param.indirect && matches!(param.op, Op::None | Op::Length) && param.index.is_none()
        }
        Part::Arith(..) | Part::Process(..) => false,
    })
}
