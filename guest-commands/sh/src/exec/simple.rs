//! Simple commands: assignments, and finding out what a name means.

use super::redirect::Saved;
use crate::builtins::{self, Builtin};
use crate::ir::{Assign, AssignValue, Command, Meaning, Part, Simple};
use crate::shell::{Flow, Function, Run, Shell};
use crate::vars::{self, Key, Value};
use std::collections::BTreeMap;
use std::rc::Rc;

impl Shell {
    pub(super) fn run_simple(&mut self, command: &Command, simple: &Simple, tail: bool) -> Run {
        self.line = command.line;
        if self.traps.debug.is_some() {
            self.debug_trap()?;
        }
        self.subst_status = None;
        if simple.args.is_empty() {
            let result = self.run_assignments(command, simple);
            self.last_arg.clear();
            self.close_process_substs();
            return result;
        }
        let known = self.known_meaning(simple);
        if let Some(Meaning::Declaration(_)) = known {
            return self.run_declaration(command, simple);
        }
        let mut args = self.spare.list();
        for arg in &simple.args {
            self.expand_fields(&arg.word, &mut args)?;
        }
        let result = self.run_expanded(command, simple, &mut args, known, tail);
        if let Some(last) = args.pop() {
            let former = std::mem::replace(&mut self.last_arg, last);
            self.spare.give(former);
        }
        self.spare.give_list(args);
        self.close_process_substs();
        result
    }

    /// What a name means.
    fn meaning(&self, name: &str) -> Meaning {
        if let Some(function) = self.functions.get(name) {
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
        command: &Command,
        simple: &Simple,
        args: &mut Vec<String>,
        known: Option<Meaning>,
        tail: bool,
    ) -> Run {
        let Some(name) = args.first() else { return self.run_assignments(command, simple) };
        let meaning = known.unwrap_or_else(|| self.meaning(name));
        self.trace_args(args);
        match meaning {
            Meaning::Function(function) => self.run_function(command, simple, &function, args),
            Meaning::Exec => self.run_exec(command, simple, args),
            Meaning::Builtin(builtin) | Meaning::Declaration(builtin) => {
                self.run_builtin(command, simple, builtin, args)
            }
            Meaning::Program => self.run_external(command, simple, args, tail),
        }
    }

    #[inline(never)]
    fn run_function(
        &mut self,
        command: &Command,
        simple: &Simple,
        function: &Rc<Function>,
        args: &mut Vec<String>,
    ) -> Run {
        let Some(saved) = self.push_some(&command.redirects)? else { return Ok(()) };
        let last = args.last().map(|last| self.spare.text(last));
        let mut given = std::mem::replace(args, self.spare.list());
        let name = given.remove(0);
        self.spare.give(name);
        let result = self.with_assigns(&simple.assigns, |sh| sh.call(function, given));
        args.extend(last);
        self.pop_some(saved);
        result
    }

    #[inline(never)]
    fn run_builtin(&mut self, command: &Command, simple: &Simple, builtin: Builtin, args: &[String]) -> Run {
        let Some(saved) = self.push_some(&command.redirects)? else { return self.not_redirected(&args[0]) };
        let result = if simple.assigns.is_empty() {
            builtin(self, args)
        } else if self.opts.posix && builtins::is_special(&args[0]) {
            // POSIX: assignments before a special builtin stay.
            let assigned = simple.assigns.iter().try_for_each(|assign| self.assign(assign));
            assigned.and_then(|()| builtin(self, args))
        } else {
            let mut status = Ok(0);
            let run = self.with_assigns(&simple.assigns, |sh| {
                status = builtin(sh, args);
                Ok(())
            });
            run.and(status)
        };
        let written = self.flush();
        self.pop_some(saved);
        match result {
            Ok(status) => {
                self.status = if written || status != 0 { status } else { 1 };
                Ok(())
            }
            Err(flow) => Err(flow),
        }
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
        if self.opts.posix && builtins::is_special(name) { Err(Flow::Exit) } else { Ok(()) }
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
        if args.len() == 1 {
            for assign in &simple.assigns {
                self.assign(assign)?;
            }
            self.keep_redirects(&mut saved);
            self.status = 0;
            return Ok(());
        }
        let result = self.with_assigns(&simple.assigns, |sh| sh.exec_builtin(&args[1..]));
        self.pop_some(saved);
        result
    }

    /// A command without a name: assignments stay, redirections are only tried.
    #[inline(never)]
    fn run_assignments(&mut self, command: &Command, simple: &Simple) -> Run {
        if !command.redirects.is_empty() {
            let Some(saved) = self.push_some(&command.redirects)? else { return Ok(()) };
            self.pop_some(saved);
        }
        for assign in &simple.assigns {
            self.assign(assign)?;
        }
        self.status = self.subst_status.unwrap_or(0);
        Ok(())
    }

    #[inline(never)]
    fn run_declaration(&mut self, command: &Command, simple: &Simple) -> Run {
        let Some(saved) = self.push_some(&command.redirects)? else { return Ok(()) };
        let result = self.with_assigns(&simple.assigns, |sh| {
            sh.status = sh.declaration_builtin(&simple.args)?;
            Ok(())
        });
        if !self.flush() {
            self.status = 1;
        }
        self.pop_some(saved);
        self.close_process_substs();
        result
    }

    /// Runs `f` with assignments that last only as long, and are exported.
    pub(super) fn with_assigns(&mut self, assigns: &[Assign], f: impl FnOnce(&mut Self) -> Run) -> Run {
        if !assigns.is_empty() {
            self.push_assigns(assigns)?;
        }
        let result = f(self);
        if !assigns.is_empty() {
            self.vars.pop_scope();
        }
        result
    }

    /// Makes assignments in a scope of their own, which is gone again if one fails.
    #[inline(never)]
    fn push_assigns(&mut self, assigns: &[Assign]) -> Run {
        self.vars.push_scope();
        let result = assigns.iter().try_for_each(|assign| self.assign_temporary(assign));
        if result.is_err() {
            self.vars.pop_scope();
        }
        result
    }

    #[inline(never)]
    fn assign_temporary(&mut self, assign: &Assign) -> Run {
        let AssignValue::Scalar(word) = &assign.value else { return self.assign(assign) };
        let mut value = self.expand_string(word)?;
        if self.vars.flags(assign.name) & vars::READONLY != 0 {
            // Bash runs the command without the assignment; POSIX wants the shell to end.
            return match self.check_writable(assign.name) {
                Err(Flow::Exit) => {
                    self.status = 1;
                    Err(Flow::Exit)
                }
                _ => Ok(()),
            };
        }
        if assign.append {
            value = self.get(assign.name).map(std::borrow::Cow::into_owned).unwrap_or_default() + &value;
        }
        self.trace_text(|| format!("{}={}", assign.name.name(), super::trace::shown(&value)));
        self.vars.make_local(assign.name);
        self.set(assign.name, value)?;
        self.vars.set_flags(assign.name, vars::EXPORT, 0);
        Ok(())
    }

    /// Carries an assignment out.
    pub(crate) fn assign(&mut self, assign: &Assign) -> Run {
        let name = assign.name;
        match &assign.value {
            AssignValue::Scalar(word) => {
                if let [Part::Arith(arith, _)] = word.parts.as_slice()
                    && assign.index.is_none()
                    && !assign.append
                    && !self.opts.xtrace
                {
                    // The number need not become text before somebody asks for it.
                    let n = self.arith(arith)?;
                    return self.set_integer(name, n);
                }
                let value = self.expand_string(word)?;
                self.trace_text(|| format!("{}={}", name.name(), super::trace::shown(&value)));
                if let Some(index) = &assign.index {
                    return match self.element_key(name, index) {
                        Ok(key) => self.set_element(name, key, value, assign.append),
                        Err(error) => self.arith_failed(error),
                    };
                }
                if !assign.append {
                    return self.set_owned(name, value);
                }
                self.append(name, value)
            }
            AssignValue::Array(elements) => self.assign_array(name, elements, assign.append),
        }
    }

    /// `name+=value`.
    pub(crate) fn append(&mut self, name: crate::symbols::Sym, value: String) -> Run {
        if self.vars.is_array(name) {
            return self.set_element(name, Key::Number(0), value, true);
        }
        let target = self.vars.resolve(name);
        if self.vars.flags(target) & vars::INTEGER != 0 {
            let old = self.get(name).map(std::borrow::Cow::into_owned).unwrap_or_default();
            return self.set(name, format!("{}+({value})", if old.is_empty() { "0" } else { &old }));
        }
        // Appending in place keeps loops that build a string linear.
        if self.vars.flags(target) & !vars::EXPORT == 0 && target > crate::symbols::OPTIND {
            let slot = self.vars.slot_mut(target);
            if let Value::Str(text) = &mut slot.value {
                text.push_str(&value);
                self.spare.give(value);
                return Ok(());
            }
        }
        let old = self.get(name).map(std::borrow::Cow::into_owned).unwrap_or_default();
        self.set(name, old + &value)
    }

    #[inline(never)]
    fn assign_array(
        &mut self,
        name: crate::symbols::Sym,
        elements: &[crate::ir::Element],
        append: bool,
    ) -> Run {
        let name = self.vars.resolve(name);
        self.check_writable(name)?;
        if self.vars.is_assoc(name) {
            return self.assign_assoc(name, elements, append);
        }
        // The elements are expanded before the old value goes: they may refer to it.
        let mut items: Vec<(Option<i64>, bool, String)> = Vec::new();
        for element in elements {
            match &element.key {
                Some(index) => {
                    let key = match self.try_arith(&index.arith) {
                        Ok(n) => n,
                        Err(error) => return self.arith_failed(error),
                    };
                    items.push((Some(key), element.append, self.expand_string(&element.word)?));
                }
                None => {
                    let mut fields = Vec::new();
                    self.expand_fields(&element.word, &mut fields)?;
                    items.extend(fields.into_iter().map(|f| (None, false, f)));
                }
            }
        }
        if self.vars.flags(name) & vars::INTEGER != 0 {
            for (_, _, value) in &mut items {
                *value = match self.eval_text(value, 0) {
                    Ok(n) => n.to_string(),
                    Err(error) => return self.arith_failed(error),
                };
            }
        }
        // Appending works on the array itself: a copy would make loops that collect into one quadratic.
        let old = if append { std::mem::take(&mut self.vars.slot_mut(name).value) } else { Value::Unset };
        let mut array = match old {
            Value::Array(old) => old,
            Value::Str(old) => BTreeMap::from([(0, old)]),
            Value::Int(old) => BTreeMap::from([(0, old.to_string())]),
            Value::Unset | Value::Assoc(_) => BTreeMap::new(),
        };
        let mut next = array.keys().next_back().map_or(0, |n: &i64| n.saturating_add(1));
        for (key, add, value) in items {
            let mut key = key.unwrap_or(next);
            if key < 0 {
                key += next;
            }
            if add {
                array.entry(key).or_default().push_str(&value);
            } else {
                array.insert(key, value);
            }
            next = key.saturating_add(1);
        }
        self.vars.put(name, Value::Array(array));
        Ok(())
    }

    #[inline(never)]
    fn assign_assoc(
        &mut self,
        name: crate::symbols::Sym,
        elements: &[crate::ir::Element],
        append: bool,
    ) -> Run {
        let mut pairs: Vec<(String, bool, String)> = Vec::new();
        let mut plain = Vec::new();
        for element in elements {
            match &element.key {
                Some(index) => {
                    let key = self.expand_string(&index.word)?;
                    pairs.push((key, element.append, self.expand_string(&element.word)?));
                }
                None => self.expand_fields(&element.word, &mut plain)?,
            }
        }
        // `m=(key value …)`.
        let mut plain = plain.into_iter();
        while let Some(key) = plain.next() {
            pairs.push((key, false, plain.next().unwrap_or_default()));
        }
        let mut items = match std::mem::take(&mut self.vars.slot_mut(name).value) {
            Value::Assoc(old) if append => old,
            _ => BTreeMap::new(),
        };
        for (key, add, value) in pairs {
            if add {
                items.entry(key).or_default().push_str(&value);
            } else {
                items.insert(key, value);
            }
        }
        self.vars.put(name, Value::Assoc(items));
        Ok(())
    }
}
