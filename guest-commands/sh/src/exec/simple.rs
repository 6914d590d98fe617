//! Simple commands: assignments, and finding out what a name means.

use super::redirect::Saved;
use crate::builtins::{self, Builtin};
use crate::ir::{Assign, Command, Meaning, Simple};
use crate::shell::{Flow, Function, Run, Shell};
use crate::vars;
use std::rc::Rc;

impl Shell {
    pub(super) fn run_simple(&mut self, command: &Rc<Command>, simple: &Simple, tail: bool) -> Run {
        self.line = self.line_of(command.line);
        if !self.announce(command)? {
            self.status = 0;
            return Ok(());
        }
        self.subst_status = None;
        if simple.args.is_empty() {
            let result = self.run_assignments(command, simple);
            self.last_arg.clear();
            return result;
        }
        if self.opts.keyword && simple.args.iter().any(|arg| arg.assign.is_some()) {
            return self.run_keywords(command, simple);
        }
        let known = self.known_meaning(simple);
        if let Some(Meaning::Declaration(_)) = known {
            return self.run_declaration(command, simple);
        }
        let mut args = self.spare.list();
        let whole = self.opts.posix && declares_after_command(simple);
        for arg in &simple.args {
            if whole && arg.assign.is_some() {
                args.push(self.expand_string(&arg.word)?);
            } else {
                self.expand_fields(&arg.word, &mut args)?;
            }
        }
        let result = self.run_expanded(command, simple, &mut args, known, tail);
        if let Some(last) = args.pop() {
            let former = std::mem::replace(&mut self.last_arg, last);
            self.spare.give(former);
        }
        self.spare.give_list(args);
        result
    }

    /// A command some of whose arguments are assignments for it, as `set -k` wants.
    fn run_keywords(&mut self, command: &Rc<Command>, simple: &Simple) -> Run {
        let mut args = Vec::new();
        for arg in simple.args.iter().filter(|arg| arg.assign.is_none()) {
            self.expand_fields(&arg.word, &mut args)?;
        }
        let result = self.with_assigns(simple.args.iter().filter_map(|arg| arg.assign.as_deref()), |sh| {
            sh.run_expanded(command, simple, &mut args, None, false)
        });
        if let Some(last) = args.pop() {
            self.last_arg = last;
        }
        result
    }

    /// What a name means.
    fn meaning(&self, name: &str) -> Meaning {
        // POSIX finds a special builtin before a function.
        if let Some(function) = self.functions.get(name)
            && !(self.opts.posix && builtins::is_special(name))
        {
            return Meaning::Function(function.clone());
        }
        match self.builtin(name) {
            Some(builtin) if builtins::declare::is_declaration(name) => Meaning::Declaration(builtin),
            Some(_) if name == "exec" => Meaning::Exec,
            Some(builtin) => Meaning::Builtin(builtin),
            None => Meaning::Program,
        }
    }

    /// What the first word means if the script names it; looked up once until functions change.
    #[inline]
    fn known_meaning(&self, simple: &Simple) -> Option<Meaning> {
        if let Some((generation, meaning)) = &*simple.meaning.borrow()
            && *generation == self.generation
        {
            return Some(meaning.clone());
        }
        let word = &simple.args.first()?.word;
        let name = word.literal().filter(|name| !name.is_empty() && !crate::expand::has_glob(name))?;
        let meaning = self.meaning(name);
        simple.meaning.replace(Some((self.generation, meaning.clone())));
        Some(meaning)
    }

    fn run_expanded(
        &mut self,
        command: &Rc<Command>,
        simple: &Simple,
        args: &mut Vec<String>,
        known: Option<Meaning>,
        tail: bool,
    ) -> Run {
        if std::mem::take(&mut self.counts_later) {
            self.uncounted -= 1;
        }
        let Some(name) = args.first() else { return self.run_assignments(command, simple) };
        let meaning = known.unwrap_or_else(|| self.meaning(name));
        self.trace_args(args, !simple.assigns.is_empty());
        match meaning {
            Meaning::Function(function) => self.run_function(command, simple, &function, args),
            Meaning::Exec => self.run_exec(command, simple, args),
            Meaning::Builtin(builtin) | Meaning::Declaration(builtin) => {
                self.last_of_child = tail && self.lowers && args[0] == "command";
                let result = self.run_builtin(command, simple, builtin, args);
                self.last_of_child = false;
                result
            }
            Meaning::Program if self.shopts.autocd && self.session.active && self.is_directory(&args[0]) => {
                args.splice(0..0, ["cd".to_owned(), "--".to_owned()]);
                self.write_error(&format!("{}\n", args.join(" ")));
                let meaning = self.meaning("cd");
                self.run_expanded(command, simple, args, Some(meaning), tail)
            }
            Meaning::Program => self.run_external(command, simple, args, tail),
        }
    }

    /// Whether a command's name is no program but a directory.
    fn is_directory(&self, name: &str) -> bool {
        builtins::test::is_dir(name) && (name.contains('/') || self.find_program(name).is_none())
    }

    #[inline(never)]
    fn run_function(
        &mut self,
        command: &Command,
        simple: &Simple,
        function: &Rc<Function>,
        args: &mut Vec<String>,
    ) -> Run {
        let keeps = std::mem::take(&mut self.keeps);
        let Some(mut saved) = self.push_some(&command.redirects)? else { return Ok(()) };
        if keeps {
            self.keep_redirects(&mut saved);
        }
        let last = args.last().map(|last| self.spare.text(last));
        let mut given = std::mem::replace(args, self.spare.list());
        let name = given.remove(0);
        self.spare.give(name);
        self.trace_fd = self.former_error(&saved);
        let result = self.with_assigns(&simple.assigns, |sh| {
            sh.trace_fd = None;
            sh.call(function, given, !simple.assigns.is_empty())
        });
        self.trace_fd = None;
        args.extend(last);
        self.pop_some(saved);
        result
    }

    #[inline(never)]
    fn run_builtin(&mut self, command: &Command, simple: &Simple, builtin: Builtin, args: &[String]) -> Run {
        let Some(mut saved) = self.push_some(&command.redirects)? else {
            return self.not_redirected(&args[0]);
        };
        let special = self.opts.posix && builtins::is_special(&args[0]);
        self.trace_fd = self.former_error(&saved);
        let run = |sh: &mut Shell| {
            sh.trace_fd = None;
            let tolerant = std::mem::replace(&mut sh.tolerant, !special);
            let result = sh.call_builtin(builtin, args);
            sh.tolerant = tolerant;
            result
        };
        let result = if simple.assigns.is_empty() {
            run(self)
        } else if special {
            let assigned = self.assign_for_good(&simple.assigns);
            if let Some(text) = self.trace_later.take() {
                self.trace_text(|| text);
            }
            assigned.and_then(|()| run(self))
        } else {
            let mut status = Ok(0);
            let assigned = self.with_assigns(&simple.assigns, |sh| {
                status = run(sh);
                Ok(())
            });
            assigned.and(status)
        };
        self.trace_fd = None;
        let written = self.flush_of(&args[0]);
        if std::mem::take(&mut self.keeps) {
            self.keep_redirects(&mut saved);
        }
        self.pop_some(saved);
        let status = result?;
        self.status = if written || status != 0 { status } else { 1 };
        // The status of these can also be that of what they ran.
        let runs = matches!(args[0].as_str(), "eval" | "." | "source") && args.len() > 1;
        self.after_special(special && !runs)
    }

    /// POSIX: assignments before a special builtin stay; in bash they are exported, too.
    fn assign_for_good(&mut self, assigns: &[Assign]) -> Run {
        for assign in assigns {
            self.assign(assign)?;
            self.vars.set_flags(assign.name, vars::EXPORT, 0);
        }
        Ok(())
    }

    /// After a special builtin: POSIX wants that its wrong use ends a shell that is not interactive.
    fn after_special(&self, special: bool) -> Run {
        let heeded = !self.session.active && !self.tolerant && self.tested == 0;
        let ends = special && self.opts.posix && self.status == 2 && heeded;
        if ends { Err(Flow::Exit) } else { Ok(()) }
    }

    /// Applies redirections if there are any; `None` when one failed, which is then the command's status.
    #[inline(never)]
    fn push_some(&mut self, redirects: &[crate::ir::Redirect]) -> Result<Option<Saved>, Flow> {
        if redirects.is_empty() {
            return Ok(Some(Saved::default()));
        }
        let saved = self.push_redirects(redirects)?;
        if saved.is_none() {
            self.status = 1;
        }
        Ok(saved)
    }

    /// A builtin whose redirection failed: POSIX wants that to end the shell if the builtin is a special one.
    fn not_redirected(&mut self, name: &str) -> Run {
        if self.opts.posix && !self.session.active && builtins::is_special(name) {
            Err(Flow::Exit)
        } else {
            Ok(())
        }
    }

    fn pop_some(&mut self, saved: Saved) {
        if !saved.is_empty() {
            self.pop_redirects(saved);
        }
    }

    /// `exec`: makes redirections permanent, or becomes the program.
    #[inline(never)]
    fn run_exec(&mut self, command: &Command, simple: &Simple, args: &[String]) -> Run {
        let Some(mut saved) = self.push_some(&command.redirects)? else {
            return self.not_redirected("exec");
        };
        if args.len() == 1 || args.len() == 2 && args[1] == "--" {
            if self.opts.posix {
                simple.assigns.iter().try_for_each(|assign| self.assign(assign))?;
            } else {
                self.with_assigns(&simple.assigns, |_| Ok(()))?;
            }
            self.keep_redirects(&mut saved);
            self.status = 0;
            return Ok(());
        }
        let result = self.with_assigns(&simple.assigns, |sh| {
            if args[1] == "--help" {
                sh.status = sh.print_help("exec");
                sh.flush();
                return Ok(());
            }
            sh.exec_builtin(args)
        });
        self.pop_some(saved);
        result.and_then(|()| self.after_special(true))
    }

    /// A command without a name: assignments stay, redirections are only tried.
    #[inline(never)]
    fn run_assignments(&mut self, command: &Command, simple: &Simple) -> Run {
        for assign in &simple.assigns {
            self.assign(assign)?;
        }
        if !command.redirects.is_empty() {
            // What a variable is given here stays open, as bash has it.
            let lends = std::mem::take(&mut self.shopts.varredir_close);
            let saved = self.push_some(&command.redirects);
            self.shopts.varredir_close = lends;
            let Some(saved) = saved? else { return Ok(()) };
            self.pop_some(saved);
        }
        self.status = self.subst_status.unwrap_or(0);
        Ok(())
    }

    #[inline(never)]
    fn run_declaration(&mut self, command: &Command, simple: &Simple) -> Run {
        let name = simple.args.first().and_then(|arg| arg.word.literal());
        let Some(saved) = self.push_some(&command.redirects)? else {
            return self.not_redirected(name.unwrap_or_default());
        };
        let special = self.opts.posix && name.is_some_and(builtins::is_special);
        self.trace_fd = self.former_error(&saved);
        let mut assigned = Ok(());
        let mut assigns = simple.assigns.as_slice();
        if special {
            assigned = self.assign_for_good(assigns);
            assigns = &[];
        }
        let result = assigned.and_then(|()| {
            // The arguments do not see the assignments before the name.
            let words = self.declaration_words(&simple.args)?;
            self.with_assigns(assigns, |sh| {
                sh.status = sh.declaration_builtin(words, &simple.args)?;
                Ok(())
            })
        });
        self.trace_fd = None;
        if !self.flush() {
            self.status = 1;
        }
        self.pop_some(saved);
        result.and_then(|()| self.after_special(special))
    }
}

/// Whether a declaration builtin stands after `command`: POSIX wants its assignments unsplit there, too.
fn declares_after_command(simple: &Simple) -> bool {
    let mut names =
        simple.args.iter().map(|arg| arg.word.literal()).skip_while(|name| *name == Some("command"));
    simple.args.first().is_some_and(|arg| arg.word.literal() == Some("command"))
        && names.next().flatten().is_some_and(builtins::declare::is_declaration)
}
