//! Pipelines of several commands, and commands in the background.

use super::external::ChildIo;
use super::redirect::FdMap;
use crate::ir::{Arg, Command, Item, Kind, List, Op, Part, Simple, Word};
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

impl Stage {
    /// Its process in a job; as in bash, what did not start is a process that failed.
    fn pid(self) -> std::io::Result<Pid> {
        match self {
            Self::Running(pid) => Ok(pid),
            Self::Failed(status) => process::fork_call(|| status),
        }
    }
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
        self.heed_interrupt()?;
        let io = self.child_io();
        let here = self.shopts.lastpipe && !self.opts.monitor && self.in_process == 0;
        self.group = self.opts.monitor.then_some(0);
        let apart = if here { &stages[..stages.len() - 1] } else { stages };
        let started = self.start_stages(apart, here, None, &io);
        self.group = None;
        let (mut running, mut input) = started?;
        let last = stages.len() - 1;
        let mut result = Ok(());
        if here {
            result = self.run_last_stage(&stages[last], input.take());
            running.push(Stage::Failed(self.status));
        }
        drop(input);
        self.collect(io);
        self.wait_stages(stages, &running);
        if let Some(line) = stages.iter().rev().find(|s| matches!(s.kind, Kind::Simple(_))).map(|s| s.line) {
            self.line = line;
        }
        // As bash, a subshell that ends the pipeline has its own run of the trap.
        let failed = self.pipestatus.last().is_some_and(|status| *status != 0);
        if failed && self.tested == 0 && matches!(stages[last].kind, Kind::Subshell(_)) {
            self.err_trap()?;
        }
        result
    }

    /// Starts the commands of a pipeline, or all but the last, whose input is then returned. `input` is that of the first.
    fn start_stages(
        &mut self,
        stages: &[Rc<Command>],
        more: bool,
        mut input: Option<fd::Owned>,
        io: &ChildIo,
    ) -> Result<(Vec<Stage>, Option<fd::Owned>), Flow> {
        let mut running = Vec::with_capacity(stages.len() + usize::from(more));
        for (i, stage) in stages.iter().enumerate() {
            let pipe = if more || i + 1 < stages.len() { fd::pipe(true).map(Some) } else { Ok(None) };
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
            let started = self.start_stage(stage, &Ends { map, foreign, io })?;
            if let (Some(0), Stage::Running(pid)) = (self.group, &started) {
                self.group = Some(*pid);
            }
            running.push(started);
            input = pipe.map(|(read, _)| read);
        }
        Ok((running, input))
    }

    /// With `lastpipe`: the last command of a pipeline in this shell.
    fn run_last_stage(&mut self, stage: &Rc<Command>, input: Option<fd::Owned>) -> Run {
        let Some(saved) = input.map(|read| self.push_input(read)) else { return Ok(()) };
        let result = self.run_command(stage, false);
        self.pop_redirects(saved);
        result
    }

    fn wait_stages(&mut self, stages: &[Rc<Command>], running: &[Stage]) {
        let at: Vec<usize> =
            (0..running.len()).filter(|i| matches!(running[*i], Stage::Running(_))).collect();
        let pids: Vec<Pid> = running
            .iter()
            .filter_map(|stage| match stage {
                Stage::Running(pid) => Some(*pid),
                Stage::Failed(_) => None,
            })
            .collect();
        let (status, ended) = self.wait_foreground(&pids, |i| crate::print::command(&stages[at[i]]));
        let mut ended = ended.into_iter();
        let statuses: Vec<i32> = running
            .iter()
            .map(|stage| match stage {
                Stage::Running(_) => ended.next().unwrap_or(127),
                Stage::Failed(status) => *status,
            })
            .collect();
        self.status = match running.last() {
            _ if self.opts.pipefail => statuses.iter().rev().copied().find(|s| *s != 0).unwrap_or(0),
            Some(Stage::Failed(status)) => *status,
            _ => status,
        };
        self.pipestatus = statuses;
    }

    fn start_stage(&mut self, command: &Rc<Command>, ends: &Ends<'_>) -> Result<Stage, Flow> {
        if let Kind::Simple(simple) = &command.kind {
            if self.can_spawn(command, simple)
                && let Some(stage) = self.spawn_stage(command, simple, ends)?
            {
                return Ok(stage);
            }
            if self.traps.debug.is_some() {
                // As in bash, this shell runs the trap of a simple command before the command has its process.
                self.line = self.line_of(command.line);
                if !self.announce(command)? {
                    return Ok(Stage::Failed(0));
                }
            }
        }
        let simple = matches!(command.kind, Kind::Simple(_));
        let deaf = self.in_background && self.group.is_none();
        let started = self.fork(self.group, |this| {
            this.enter_subshell();
            if deaf {
                this.ignore_keys();
            }
            this.traps.debug_done = simple && this.traps.debug.is_some();
            this.lowers = !simple;
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
            let result = match &command.kind {
                // This process is the one of the parentheses: a signal that ends it ends what they run.
                Kind::Subshell(list) => this.run_for_good(command, list),
                kind => {
                    this.count_later(kind);
                    this.run_command(command, true)
                }
            };
            if result.is_ok() && this.status != 0 && this.opts.errexit {
                return this.finish_child(Err(Flow::Exit));
            }
            this.finish_child(result)
        });
        Ok(match started {
            Ok(pid) => Stage::Running(pid),
            Err(error) => {
                self.error(&format!("fork: {}", strerror(&error)));
                Stage::Failed(254)
            }
        })
    }

    /// In the child of a command: the words of a simple command belong to the level outside.
    fn count_later(&mut self, kind: &Kind) {
        if matches!(kind, Kind::Simple(_)) {
            self.uncounted += 1;
            self.counts_later = true;
        }
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
        self.line = self.line_of(command.line);
        let mut args = Vec::with_capacity(simple.args.len());
        for arg in &simple.args {
            self.expand_fields(&arg.word, &mut args)?;
        }
        let mut map = FdMap::new(ends.map.clone());
        if !self.map_in_child(&command.redirects, &mut map) {
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
        self.line = item.first.stages.first().map_or(self.line, |c| self.line_of(c.line));
        self.in_background = true;
        self.group = self.opts.monitor.then_some(0);
        let started = self.start_background(item);
        self.in_background = false;
        self.group = None;
        match started? {
            Ok(pids) => {
                let texts = match pids.len() {
                    1 => vec![crate::print::job(item)],
                    _ => item.first.stages.iter().map(|stage| crate::print::command(stage)).collect(),
                };
                let number = self.add_job(&pids, &[], texts, false);
                if let Some(pid) = pids.last().filter(|_| self.session.active) {
                    self.write_error(&format!("[{number}] {pid}\n"));
                }
                self.status = 0;
            }
            Err(error) => {
                self.error(&format!("fork: {}", strerror(&error)));
                self.status = 254;
            }
        }
        Ok(())
    }

    /// The group that is all of a child: its redirections hold for the EXIT trap, too.
    fn run_for_good(&mut self, stage: &Command, list: &List) -> Run {
        self.lowers = matches!(stage.kind, Kind::Subshell(_));
        self.parenthesized = self.lowers;
        self.line = self.line_of(stage.line);
        match self.push_redirects(&stage.redirects)? {
            Some(mut saved) => {
                self.keep_redirects(&mut saved);
                self.run_list(list, true)
            }
            None => {
                self.status = 1;
                Ok(())
            }
        }
    }

    /// Starts something with the keys of the terminal ignored, as a background command without job control ignores them.
    fn deaf<T>(&mut self, start: impl FnOnce(&mut Self) -> T) -> T {
        let keys: &[Signal] = if self.group.is_some() { &[] } else { &[Signal::SIGINT, Signal::SIGQUIT] };
        let old: Vec<_> = keys.iter().map(|s| (*s, signal::set(*s, Disposition::Ignore))).collect();
        let started = start(self);
        for (which, former) in old {
            if let Ok(former) = former {
                let _ = signal::set(which, former);
            }
        }
        started
    }

    /// Starts an item in the background; its processes, of which a pipeline has one for each command.
    fn start_background(&mut self, item: &Item) -> Result<std::io::Result<Vec<Pid>>, Flow> {
        let own_group = self.group.is_some();
        // With job control the terminal keeps a background job from reading.
        let redirected = match item.first.stages.as_slice() {
            [stage] => stage.redirects.iter().any(|r| r.fd == crate::ir::RedirectFd::Number(0)),
            _ => false,
        };
        let null = if own_group || redirected {
            None
        } else {
            fd::open("/dev/null", fd::O_RDONLY | fd::O_CLOEXEC, 0).ok()
        };
        let null = null.map(fd::Owned::from_raw);
        let single = item.rest.is_empty() && !item.first.negate && item.first.timed.is_none();
        if single
            && let [stage] = item.first.stages.as_slice()
            && let Kind::Simple(simple) = &stage.kind
            && self.can_spawn(stage, simple)
        {
            let io = ChildIo::default();
            let map = null.iter().map(|n| (0, n.raw())).collect();
            let ends = Ends { map, foreign: Vec::new(), io: &io };
            self.change_level(-1);
            let stage = self.deaf(|this| this.spawn_stage(stage, simple, &ends));
            self.change_level(1);
            if let Some(stage) = stage? {
                return Ok(stage.pid().map(|pid| vec![pid]));
            }
        }
        if single && item.first.stages.len() > 1 {
            let io = self.child_io();
            let started = self.deaf(|this| this.start_stages(&item.first.stages, false, null, &io));
            self.collect(io);
            return Ok(started?.0.into_iter().map(Stage::pid).collect());
        }
        let started = self.fork(self.group, |this| {
            this.enter_subshell();
            this.lowers = single
                && matches!(item.first.stages.as_slice(), [stage] if matches!(stage.kind, Kind::Simple(_)));
            if !own_group {
                this.ignore_keys();
            }
            if let Some(null) = &null {
                let _ = fd::dup2(null.raw(), 0, false);
            }
            let result = match item.first.stages.as_slice() {
                // No ERR trap sees the failure of a simple command in the background.
                [stage] if single && matches!(stage.kind, Kind::Simple(_)) => {
                    // What its EXIT trap writes goes where its own output went.
                    this.keeps = true;
                    let result = this.run_command(stage, true);
                    this.keeps = false;
                    result
                }
                [stage] if single && let Kind::Brace(list) | Kind::Subshell(list) = &stage.kind => {
                    this.run_for_good(stage, list)
                }
                _ => {
                    let result = this.run_foreground(item);
                    // As in bash, no trap that other commands set runs at their end.
                    this.traps.exit = None;
                    result
                }
            };
            this.finish_child(result)
        });
        Ok(started.map(|pid| vec![pid]))
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
