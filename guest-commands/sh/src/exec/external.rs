//! Programs: starting them with a descriptor map, becoming them, and waiting for them.

use super::redirect::FdMap;
use crate::builtins::getopt::Options;
use crate::ir::{Command, Simple};
use crate::shell::{Flow, Run, Shell};
use crate::symbols;
use agentos_guest::process::{self, Pid};
use agentos_guest::{Errno, errno_of, fd, strerror};
use std::ffi::OsString;
use std::io;
use std::rc::Rc;

/// Where a child's descriptors lead that are collected in this process.
#[derive(Debug, Default)]
pub(super) struct ChildIo {
    /// Child descriptor and the descriptor it becomes.
    pub(super) map: Vec<(u32, u32)>,
    pipe: Option<(fd::Owned, fd::Owned, usize)>,
    /// Files for buffers other than the innermost: their content is read when the child ended.
    files: Vec<(fd::Owned, usize)>,
}

impl ChildIo {
    /// Descriptors that a child made by `fork_call` has to close.
    pub(super) fn close_in_child(&self) -> Option<u32> {
        self.pipe.as_ref().map(|(read, ..)| read.raw())
    }
}

impl Shell {
    /// Makes pipes for what a child would write to descriptors that are collected.
    pub(super) fn child_io(&mut self) -> ChildIo {
        let mut io = ChildIo::default();
        if self.capture.routes.is_empty() {
            return io;
        }
        let top = self.capture.buffers.len().saturating_sub(1);
        for (number, buffer) in self.capture.routes.clone() {
            if buffer == top {
                if io.pipe.is_none() {
                    io.pipe = fd::pipe(true).ok().map(|(r, w)| (r, w, top));
                }
                io.map.extend(io.pipe.as_ref().map(|(_, w, _)| (number, w.raw())));
            } else {
                let known = io.files.iter().position(|(_, b)| *b == buffer);
                let at = known.or_else(|| {
                    let file = super::redirect::temporary(&[]).ok()?;
                    io.files.push((fd::Owned::from_raw(file), buffer));
                    Some(io.files.len() - 1)
                });
                io.map.extend(at.map(|at| (number, io.files[at].0.raw())));
            }
        }
        io
    }

    /// In a child made by `fork_call`: puts the descriptors in place.
    pub(super) fn apply_io(&mut self, io: &ChildIo) -> bool {
        let mut ok = true;
        for (number, source) in &io.map {
            ok &= fd::dup2(*source, *number, false).is_ok();
        }
        if let Some(read) = io.close_in_child() {
            let _ = fd::close(read);
        }
        ok
    }

    /// Takes in what a child writes, until it and its children have closed their end.
    pub(super) fn collect(&mut self, io: ChildIo) {
        if let Some((read, write, buffer)) = io.pipe {
            drop(write);
            if let Ok(bytes) = fd::read_to_end(read.raw())
                && let Some(buffer) = self.capture.buffers.get_mut(buffer)
            {
                buffer.extend_from_slice(&bytes);
            }
        }
        for (file, buffer) in io.files {
            if let Ok(bytes) = super::redirect::read_back(file.raw())
                && let Some(buffer) = self.capture.buffers.get_mut(buffer)
            {
                buffer.extend_from_slice(&bytes);
            }
        }
    }

    #[inline(never)]
    pub(super) fn run_external(
        &mut self,
        command: &Rc<Command>,
        simple: &Simple,
        args: &[String],
        tail: bool,
    ) -> Run {
        self.with_assigns(&simple.assigns, |sh| {
            if tail && sh.may_become() {
                let Some(_saved) = sh.push_redirects(&command.redirects)? else {
                    sh.status = 1;
                    return Ok(());
                };
                if sh.lowers && command.redirects.is_empty() {
                    sh.change_level(-1);
                }
                return sh.become_program(&args[0], args, true).and(Err(Flow::Exit));
            }
            // In a substitution that stays in this process it has the place that it would take of a child.
            let lowered = tail && sh.lowers && sh.in_process > 0 && command.redirects.is_empty();
            if lowered {
                sh.change_level(-1);
            }
            let result = sh.run_program(command, args);
            if lowered {
                sh.change_level(1);
            }
            result
        })
    }

    /// Starts a program and waits for it.
    fn run_program(&mut self, command: &Rc<Command>, args: &[String]) -> Run {
        self.heed_interrupt()?;
        let io = self.child_io();
        let mut map = FdMap::new(io.map.clone());
        if !self.map_in_child(&command.redirects, &mut map) {
            self.status = 1;
            return Ok(());
        }
        self.begin_wait();
        match self.spawn(args, &map) {
            Ok(pid) => {
                drop(map);
                self.collect(io);
                self.status = self.wait_command(pid, command);
            }
            Err(status) => {
                self.end_wait(&[]);
                // The message may have gone where the output is collected.
                drop(map);
                self.collect(io);
                self.status = status;
            }
        }
        Ok(())
    }

    /// What a program is given, with the names of the options that are on where the script exports those.
    fn environment(&mut self) -> Rc<Vec<OsString>> {
        for (name, list) in [(symbols::SHELLOPTS, self.opts.list()), (symbols::BASHOPTS, self.shopts.list())]
        {
            if self.vars.flags(name) & crate::vars::EXPORT != 0
                && self.vars.get(name).is_none_or(|known| known != list)
            {
                self.vars.put_str(name, list);
            }
        }
        self.vars.environment()
    }

    /// Starts a program; a failure is reported, and its status returned.
    pub(super) fn spawn(&mut self, args: &[String], map: &FdMap) -> Result<Pid, i32> {
        let env = self.environment();
        // A message belongs where the program would have written it.
        let stderr =
            map.pairs().find(|(child, _)| *child == 2).map_or(2, |(_, source)| source.unwrap_or(u32::MAX));
        if self.restricted {
            self.stderr = stderr;
            let refused = self.refuses_program(&args[0]);
            self.stderr = 2;
            if refused {
                return Err(1);
            }
        }
        let started = self.spawn_with(&args[0], args, &env, map);
        self.stderr = stderr;
        let result = self.started(started, args, &env, map);
        self.stderr = 2;
        if result.is_err() {
            // A process that came no further may have been given it already.
            self.give_terminal(None);
        }
        result
    }

    fn started(
        &mut self,
        started: io::Result<Pid>,
        args: &[String],
        env: &Rc<Vec<OsString>>,
        map: &FdMap,
    ) -> Result<Pid, i32> {
        match started {
            Ok(pid) => Ok(pid),
            Err(error) if errno_of(&error) == Some(Errno::ENOEXEC) => {
                let path = self.find_program(&args[0]).unwrap_or_else(|| args[0].clone());
                if !looks_like_text(&path) {
                    self.error(&format!("{path}: cannot execute binary file: Exec format error"));
                    return Err(126);
                }
                let mut script = vec!["sh".to_owned(), path];
                script.extend_from_slice(&args[1..]);
                let shell = self.own_path();
                self.spawn_with(&shell, &script, env, map).map_err(|e| self.not_started(&args[0], &e))
            }
            Err(error) => Err(self.not_started(&args[0], &error)),
        }
    }

    fn own_path(&self) -> String {
        match self.vars.get(symbols::BASH) {
            Some(path) if path.starts_with('/') => path.into_owned(),
            _ => "/bin/sh".into(),
        }
    }

    fn spawn_with(
        &mut self,
        program: &str,
        args: &[String],
        env: &Rc<Vec<OsString>>,
        map: &FdMap,
    ) -> io::Result<Pid> {
        let path = self.place_of(program)?;
        let mut command = process::Command::new(&*crate::text::os(&path));
        let mut env = env.to_vec();
        env.push(crate::text::to_os(&format!("_={path}")));
        command.arg0(&*crate::text::os(&args[0])).env_list(env).search_path(true);
        for arg in &args[1..] {
            command.arg(&*crate::text::os(arg));
        }
        for (child, source) in map.pairs() {
            match source {
                Some(source) => command.fd(child, source),
                None => command.close_fd(child),
            };
        }
        if let Some(group) = self.group.or(self.opts.monitor.then_some(0)) {
            command.process_group(group).foreground(self.session.active && !self.in_background);
        }
        let started = self.with_quit(|_| command.spawn().map(|child| child.id()));
        if self.opts.monitor && !self.in_background {
            self.pass_keys_on(started.as_ref().ok().copied());
        }
        if started.is_err() && self.group.is_none_or(|group| group == 0) && !self.in_background {
            // The child may have had the terminal before it turned out that there is no such program.
            self.give_terminal(None);
        }
        started
    }

    /// The file of a program: where it was found before, or is found now.
    fn place_of(&mut self, program: &str) -> io::Result<String> {
        if program.contains('/') {
            return Ok(program.to_owned());
        }
        // A PATH that holds for a while is searched anew every time.
        let lasting = self.opts.hashall && self.vars.is_global(symbols::PATH);
        let checks = self.opts.posix || self.shopts.checkhash;
        if lasting
            && let Some(path) = self.hashed_path(program)
            && (!checks || crate::builtins::test::is_program(&path))
        {
            return Ok(path);
        }
        match self.find_program(program) {
            Some(path) => {
                if lasting && path.starts_with('/') {
                    self.remember_program(program, path.clone(), 1);
                }
                Ok(path)
            }
            // The system says why.
            None if self.path_is_exported() => Ok(program.to_owned()),
            None => Err(agentos_guest::io_error(Errno::ENOENT)),
        }
    }

    fn path_is_exported(&self) -> bool {
        self.vars.flags(symbols::PATH) & crate::vars::EXPORT != 0 && self.vars.is_set(symbols::PATH)
    }

    /// Reports why a program did not start; returns the status.
    pub(super) fn not_started(&mut self, name: &str, error: &io::Error) -> i32 {
        let os = crate::text::os(name);
        match errno_of(error) {
            Some(Errno::ENOENT) if !name.contains('/') => {
                if let Some(path) = self.hashed_path(name).filter(|_| self.opts.hashall) {
                    // It was there once.
                    self.error(&format!("{path}: {}", strerror(error)));
                    return 127;
                }
                if self.vars.get(symbols::PATH).is_none_or(|path| path.is_empty()) {
                    // Without PATH it can only be in the working directory.
                    self.error(&format!("{name}: {}", strerror(error)));
                    return 127;
                }
                self.error(&format!("{}: command not found", crate::expand::printable(name)));
                127
            }
            Some(Errno::ENOENT) if agentos_guest::fs::stat(&*os).is_ok() => {
                self.error(&format!("{name}: cannot execute: required file not found"));
                127
            }
            Some(Errno::ENOENT | Errno::ENOTDIR) => {
                self.error(&format!("{name}: {}", strerror(error)));
                127
            }
            Some(Errno::EACCES) if crate::builtins::test::is_dir(name) => {
                self.error(&format!("{name}: Is a directory"));
                126
            }
            Some(Errno::EACCES)
                if !name.contains('/')
                    && !self.candidates(name).any(|f| crate::builtins::test::is_file(&f)) =>
            {
                self.error(&format!("{}: command not found", crate::expand::printable(name)));
                127
            }
            Some(Errno::E2BIG) => {
                self.error(&format!("{name}: Argument list too long"));
                126
            }
            _ => {
                let file = self.program_or_file(name);
                let name = file.as_deref().unwrap_or(name);
                self.error(&format!("{name}: {}", strerror(error)));
                126
            }
        }
    }

    /// Replaces this shell by a program, which is told its path in `_` if `named`; returns when that failed, with the status set.
    pub(crate) fn become_program(&mut self, program: &str, args: &[String], named: bool) -> Run {
        let env = self.environment();
        let argv: Vec<OsString> = args.iter().map(|a| crate::text::to_os(a)).collect();
        let path = if program.contains('/') || self.path_is_exported() {
            program.to_owned()
        } else {
            self.find_program(program).unwrap_or_else(|| program.to_owned())
        };
        let mut env = env.to_vec();
        if named {
            let found = if program.contains('/') { None } else { self.find_program(program) };
            env.push(crate::text::to_os(&format!("_={}", found.as_ref().unwrap_or(&path))));
        }
        let error =
            self.with_quit(|_| process::exec(&*crate::text::os(&path), &argv, Some(env.as_slice()), true));
        if errno_of(&error) == Some(Errno::ENOEXEC) {
            let path = self.find_program(program).unwrap_or(path);
            if looks_like_text(&path) {
                let mut script = vec![OsString::from("sh"), crate::text::to_os(&path)];
                script.extend(argv.into_iter().skip(1));
                let shell = self.own_path();
                let _ = process::exec(&*crate::text::os(&shell), &script, Some(env.as_slice()), true);
            } else {
                self.error(&format!("{path}: cannot execute binary file: Exec format error"));
                self.status = 126;
                return Ok(());
            }
        }
        self.status = self.not_started(program, &error);
        Ok(())
    }

    /// `exec program …`, with the name `exec`.
    pub(super) fn exec_builtin(&mut self, args: &[String]) -> Run {
        let (mut zero, mut clear, mut login) = (None, false, false);
        let mut options = Options::new(args);
        loop {
            match options.next(self, "cla:") {
                Ok(Some(('c', _))) => clear = true,
                Ok(Some(('l', _))) => login = true,
                Ok(Some((_, name))) => zero = name.map(str::to_owned),
                Ok(None) => break,
                Err(status) => {
                    self.status = status;
                    return Ok(());
                }
            }
        }
        let args = options.rest();
        let Some(program) = args.first().cloned() else {
            self.status = 0;
            return Ok(());
        };
        if self.refuses("exec") {
            self.status = 1;
            return Ok(());
        }
        let mut argv = args.to_vec();
        if let Some(zero) = zero {
            argv[0] = zero;
        }
        if login {
            argv[0].insert(0, '-');
        }
        if clear {
            let names: Vec<_> = self.vars.all();
            for (_, name) in names {
                self.vars.set_flags(name, 0, crate::vars::EXPORT);
            }
        }
        if self.in_process > 0 {
            self.status = 126;
            return Err(Flow::Exit);
        }
        if !self.parenthesized {
            self.change_level(-1);
        }
        let found = program.contains('/') || self.find_program(&program).is_some();
        if found {
            // Messages name the whole path.
            let path = match program.strip_prefix("./") {
                Some(rest) => format!("{}/{rest}", self.vars.get(symbols::PWD).unwrap_or_default()),
                None => program,
            };
            self.become_program(&path, &argv, false)?;
            if self.status == 126 && !crate::builtins::test::is_program(&path) {
                let why = if crate::builtins::test::is_dir(&path) { Errno::EISDIR } else { Errno::EACCES };
                let why = strerror(&agentos_guest::io_error(why));
                self.error(&format!("exec: {path}: cannot execute: {why}"));
            }
        } else {
            self.error(&format!("exec: {program}: not found"));
            self.status = 127;
        }
        if !self.parenthesized {
            self.change_level(1);
        }
        // What other programs need is as it was: a shell that goes on after this is the exception.
        let stays = self.shopts.execfail || self.session.active;
        if stays && self.subshell == 0 { Ok(()) } else { Err(Flow::Exit) }
    }

    /// The file that a name means, by PATH.
    pub(crate) fn find_program(&self, name: &str) -> Option<String> {
        if name.contains('/') {
            return Some(name.to_owned());
        }
        self.candidates(name).find(|file| crate::builtins::test::is_program(file))
    }

    /// All programs of a name, by PATH.
    pub(crate) fn programs(&self, name: &str) -> Vec<String> {
        self.candidates(name).filter(|file| crate::builtins::test::is_program(file)).collect()
    }

    /// The program of a name, or else the first file that has it.
    pub(crate) fn program_or_file(&self, name: &str) -> Option<String> {
        self.find_program(name)
            .or_else(|| self.candidates(name).find(|file| crate::builtins::test::is_file(file)))
    }

    /// The files that a name could mean, by PATH.
    fn candidates(&self, name: &str) -> impl Iterator<Item = String> {
        let path = self.vars.get(symbols::PATH).unwrap_or_default();
        let file = |dir: &str| if dir.is_empty() { format!("./{name}") } else { format!("{dir}/{name}") };
        path.split(':').map(file).collect::<Vec<_>>().into_iter()
    }
}

/// Whether a file that cannot be executed may be a script.
fn looks_like_text(path: &str) -> bool {
    let Ok(file) = fd::open(&*crate::text::os(path), fd::O_RDONLY | fd::O_CLOEXEC, 0) else { return false };
    let file = fd::Owned::from_raw(file);
    let mut head = [0u8; 80];
    let n = fd::read(file.raw(), &mut head).unwrap_or(0);
    let line = head[..n].split(|b| *b == b'\n').next().unwrap_or_default();
    !line.contains(&0)
}

impl Shell {
    /// Runs a program with the descriptors of this process, as `command` does.
    pub(crate) fn run_words(&mut self, words: &[String]) {
        let io = self.child_io();
        let map = FdMap::new(io.map.clone());
        let lowered = std::mem::take(&mut self.last_of_child);
        if lowered {
            self.change_level(-1);
        }
        let started = self.spawn(words, &map);
        if lowered {
            self.change_level(1);
        }
        match started {
            Ok(pid) => {
                drop(map);
                self.collect(io);
                let text = words.join(" ");
                self.status = self.wait_foreground(&[pid], |_| text.clone()).0;
            }
            Err(status) => {
                drop(map);
                self.collect(io);
                self.status = status;
            }
        }
    }

    /// `command exec …`.
    pub(crate) fn exec_words(&mut self, words: &[String]) -> Run {
        self.exec_builtin(words)
    }
}
