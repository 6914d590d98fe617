//! `declare`, `typeset`, `local`, `export` and `readonly`. How variables are shown is in `show`, `unset` has its own file.

use crate::assoc::Assoc;
use crate::compile;
use crate::compile::word::{self, Mode};
use crate::exec::trace::{shown, shown_or_empty};
use crate::ir::{Arg, Assign, AssignValue, Element, Word};
use crate::shell::{Flow, Run, Shell};
use crate::symbols::{Sym, sym};
use crate::vars::{
    CAPITAL, DECLARED, EXPORT, Flags, INTEGER, LOWER, NAMEREF, NOVALUE, READONLY, TRACE, Target, UPPER, Value,
};

/// Whether a name is a builtin whose arguments can be assignments.
pub(crate) fn is_declaration(name: &str) -> bool {
    matches!(name, "export" | "declare" | "typeset" | "local" | "readonly")
}

pub(crate) enum What {
    Text(String),
    /// The assignment that an argument is, and its value unless that is a list.
    Assign(usize, Option<String>),
}

/// What the options ask for.
#[derive(Default)]
pub(super) struct Want {
    pub(super) on: Flags,
    pub(super) off: Flags,
    pub(super) array: bool,
    pub(super) assoc: bool,
    /// `+a`, `+A`: no longer an array.
    scalar: bool,
    pub(super) print: bool,
    pub(super) functions: bool,
    pub(super) names_only: bool,
    global: bool,
    inherit: bool,
    /// A subscript makes it an array.
    subscript: bool,
}

/// The elements of a list as the trace shows them.
fn traced_elements(elements: &[Element]) -> String {
    let quoted = |word: &Word| match word.literal() {
        Some(text) => format!("'{}'", text.replace('\'', "'\\''")),
        None => word.raw.to_string(),
    };
    let shown: Vec<String> = elements
        .iter()
        .map(|element| match &element.key {
            Some(key) => {
                let sign = if element.append { "+=" } else { "=" };
                format!("['{}']{sign}{}", key.word.raw, quoted(&element.word))
            }
            None => quoted(&element.word),
        })
        .collect();
    shown.join(" ")
}

/// Called by name through `command` or `builtin`: arguments are text.
pub(super) fn declaration(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words = args[1..].iter().map(|a| What::Text(a.clone())).collect();
    sh.declare(&args[0], words, &[])
}

impl Shell {
    /// Expands the arguments of a declaration builtin; the values of assignments are not split.
    pub(crate) fn declaration_words(&mut self, args: &[Arg]) -> Result<Vec<What>, Flow> {
        let mut words = Vec::new();
        for (i, arg) in args.iter().enumerate().skip(1) {
            if let Some(assign) = &arg.assign {
                // All values are expanded before the first variable changes: `local a=1 b=$a` has the outer `a`.
                let value = match &assign.value {
                    AssignValue::Scalar(word) => Some(self.expand_string(word)?),
                    AssignValue::Array(_) => None,
                };
                words.push(What::Assign(i, value));
            } else {
                let mut fields = Vec::new();
                self.expand_fields(&arg.word, &mut fields)?;
                words.extend(fields.into_iter().map(What::Text));
            }
        }
        Ok(words)
    }

    /// Runs a declaration builtin, whose arguments are expanded.
    pub(crate) fn declaration_builtin(&mut self, words: Vec<What>, args: &[Arg]) -> Result<i32, Flow> {
        self.note_locale();
        let name = args.first().and_then(|a| a.word.literal()).unwrap_or("declare").to_owned();
        let last = match words.last() {
            Some(What::Text(text)) => text.clone(),
            Some(What::Assign(i, value)) => {
                let assigned = args.get(*i).and_then(|a| a.assign.as_ref()).map(|a| a.name.name());
                let assigned = assigned.unwrap_or_default();
                value.as_ref().map_or_else(|| assigned.to_string(), |value| format!("{assigned}={value}"))
            }
            None => name.clone(),
        };
        if self.opts.xtrace {
            self.trace_declaration(&name, &words, args);
        }
        self.trace_fd = None;
        let result = self.declare(&name, words, args);
        self.last_arg = last;
        result
    }

    /// What `set -x` shows of a declaration: lists come first, then the words, then what `export` and `readonly` assign.
    #[inline(never)]
    fn trace_declaration(&mut self, name: &str, words: &[What], args: &[Arg]) {
        let mut line = name.to_owned();
        let mut assigned = Vec::new();
        for word in words {
            line.push(' ');
            match word {
                What::Text(text) => line += &shown_or_empty(text),
                What::Assign(i, value) => {
                    let Some(assign) = args.get(*i).and_then(|a| a.assign.as_deref()) else { continue };
                    let variable = assign.name.name();
                    let index =
                        assign.index.as_ref().map(|i| format!("[{}]", i.word.raw)).unwrap_or_default();
                    let sign = if assign.append { "+=" } else { "=" };
                    match (value, &assign.value) {
                        (None, AssignValue::Array(elements)) => {
                            self.trace_text(|| format!("{variable}{sign}({})", traced_elements(elements)));
                            line += &variable;
                        }
                        (value, _) => {
                            let value = value.as_deref().unwrap_or_default();
                            line += &shown(&format!("{variable}{index}{sign}{value}"));
                            assigned.push(format!("{variable}{sign}{}", shown(value)));
                        }
                    }
                }
            }
        }
        self.trace_text(|| line);
        if matches!(name, "export" | "readonly") {
            for text in assigned {
                self.trace_text(|| text);
            }
        }
    }

    fn declare(&mut self, name: &str, words: Vec<What>, args: &[Arg]) -> Result<i32, Flow> {
        let mut want = Want::default();
        match name {
            "export" => want.on |= EXPORT,
            "readonly" => want.on |= READONLY,
            "local" if self.functions_active == 0 => {
                self.complain("local", "can only be used in a function");
                for word in words {
                    if let What::Assign(i, None) = word
                        && let Some(assign) = args.get(i).and_then(|a| a.assign.as_deref())
                    {
                        self.assign(assign)?;
                    }
                }
                return Ok(1);
            }
            _ => {}
        }
        let mut words = words.into_iter().peekable();
        while let Some(What::Text(option)) = words.peek() {
            let on = match option.as_bytes() {
                b"--" => {
                    words.next();
                    break;
                }
                b"--help" => return Ok(self.print_help(name)),
                b"-" if name == "local" => {
                    let opts = self.opts;
                    if let Some(call) = self.calls.last_mut() {
                        call.opts.get_or_insert(opts);
                    }
                    words.next();
                    continue;
                }
                [b'-', _, ..] => true,
                [b'+', _, ..] if !matches!(name, "export" | "readonly") => false,
                _ => break,
            };
            for letter in option[1..].chars() {
                if !want.set(letter, on, name) {
                    let message = format!("{}{letter}: invalid option", if on { '-' } else { '+' });
                    self.complain(name, &message);
                    return Ok(self.usage(name));
                }
            }
            words.next();
        }
        // Both mean neither; an array cannot be a reference.
        if want.on & (LOWER | UPPER) == LOWER | UPPER {
            want.on &= !(LOWER | UPPER);
        }
        if want.on & NAMEREF != 0 && (want.array || want.assoc || want.on & INTEGER != 0) {
            want.on &= !(NAMEREF | if want.array || want.assoc { 0 } else { INTEGER });
        }
        let words: Vec<What> = words.collect();
        if want.functions {
            return Ok(self.declare_functions(&words, &want, name));
        }
        if words.is_empty() {
            self.print_declared(&want, name);
            return Ok(0);
        }
        let mut status = 0;
        for word in words {
            let one = match word {
                What::Assign(i, Some(value)) if want.print && !matches!(name, "export" | "readonly") => {
                    let target = args.get(i).and_then(|a| a.assign.as_deref()).map(assigned_to);
                    self.complain(name, &format!("{}{value}: not found", target.unwrap_or_default()))
                }
                What::Assign(i, value) => match args.get(i).and_then(|a| a.assign.as_deref()) {
                    Some(assign) => self.declare_assign(assign, value, &want, name)?,
                    None => 0,
                },
                What::Text(text) if want.print && name != "export" && name != "readonly" => {
                    self.print_one(&text, name)
                }
                What::Text(text) => self.declare_text(&text, &want, name)?,
            };
            status = status.max(one);
        }
        Ok(status)
    }

    fn declare_text(&mut self, text: &str, want: &Want, name: &str) -> Result<i32, Flow> {
        let len = crate::text::name_len(text.as_bytes());
        if len > 0 && len == text.len() {
            return self.declare_name(sym(text), want, name);
        }
        // `declare "a=(1 2)"` and `declare "$name=$value"`: the value is text, not expanded again.
        let assign = match text[len..].strip_prefix("+=").or_else(|| text[len..].strip_prefix('=')) {
            Some(value) if len > 0 => {
                let append = text[len..].starts_with("+=");
                let value = word::parse(value, self.line, Mode::Literal).map(AssignValue::Scalar);
                value.map(|value| Some(Assign { name: sym(&text[..len]), index: None, append, value }))
            }
            _ => compile::literal_assignment(text, self.line),
        };
        let whole = !matches!(name, "export" | "readonly");
        match assign {
            Ok(Some(assign)) if whole || assign.index.is_none() => {
                let value = match &assign.value {
                    AssignValue::Scalar(word) => Some(self.expand_string(word)?),
                    AssignValue::Array(_) => None,
                };
                self.declare_assign(&assign, value, want, name)
            }
            // `declare -a x[3]`.
            Ok(None) if whole && len > 0 && text[len..].starts_with('[') && text.ends_with(']') => {
                if want.on & NAMEREF != 0 {
                    return Ok(self.complain(name, &format!("{text}: reference variable cannot be an array")));
                }
                let want = Want { subscript: true, ..*want };
                self.declare_name(sym(&text[..len]), &want, name)
            }
            Ok(Some(_)) => {
                let target = text.split('=').next().unwrap_or_default();
                Ok(self.complain(name, &format!("`{target}': not a valid identifier")))
            }
            _ => {
                let message = format!("`{text}': not a valid identifier");
                Ok(self.complain(name, &message))
            }
        }
    }

    /// A name without a value.
    fn declare_name(&mut self, written: Sym, want: &Want, name: &str) -> Result<i32, Flow> {
        if self.is_scoped(want, name) && self.is_fixed(written, want, name)? {
            return Ok(1);
        }
        self.on_global(written, want, |sh| {
            let Some(var) = sh.declared(written, want, name) else { return Ok(1) };
            // These make no array without a value.
            let kind = !matches!(name, "export" | "readonly");
            if kind && !sh.prepare(var, want, name) {
                return Ok(1);
            }
            if want.on & NAMEREF != 0
                && let Some(target) = sh.vars.get(var).map(std::borrow::Cow::into_owned)
                && !target.is_empty()
                && !(target == *var.name() || sh.may_refer(var, &target, name))
            {
                return Ok(1);
            }
            let known = sh.vars.is_set(var) || sh.vars.flags(var) != 0;
            let export = sh.opts.allexport && !known && !sh.is_scoped(want, name);
            let fresh = if want.off & EXPORT != 0 && name == "export" { 0 } else { DECLARED };
            sh.vars.set_flags(var, want.on | fresh | if export { EXPORT } else { 0 }, want.off);
            sh.keep_temporary(var, name);
            Ok(0)
        })
    }

    fn declare_assign(
        &mut self,
        assign: &Assign,
        ready: Option<String>,
        want: &Want,
        name: &str,
    ) -> Result<i32, Flow> {
        if assign.index.is_some() && matches!(name, "export" | "readonly") {
            let target = assigned_to(assign);
            let target = target.trim_end_matches(['=', '+']);
            return Ok(self.complain(name, &format!("`{target}': not a valid identifier")));
        }
        if self.is_fixed(assign.name, want, name)? {
            return Ok(1);
        }
        if want.on & NAMEREF != 0 && (ready.is_none() || assign.index.is_some()) {
            let index = assign.index.as_ref().map_or(String::new(), |i| format!("[{}]", i.word.raw));
            let message = format!("{}{index}: reference variable cannot be an array", assign.name.name());
            return Ok(self.complain(name, &message));
        }
        // The value of an array may be a list in quotes.
        let quoted = match &ready {
            Some(text)
                if (want.array || want.assoc || self.vars.is_array(assign.name))
                    && assign.index.is_none()
                    && text.starts_with('(')
                    && text.ends_with(')') =>
            {
                compile::elements(&text[1..text.len() - 1], self.line).ok()
            }
            _ => None,
        };
        if let Some(elements) = quoted {
            let value = AssignValue::Array(elements);
            let assign = Assign { name: assign.name, index: None, append: assign.append, value };
            return self.declare_assign(&assign, None, want, name);
        }
        self.on_global(assign.name, want, |sh| {
            let Some(var) = sh.declared(assign.name, want, name) else { return Ok(1) };
            if want.on & NAMEREF != 0 && !ready.as_ref().is_none_or(|target| sh.may_refer(var, target, name))
            {
                return Ok(1);
            }
            if sh.vars.flags(var) & READONLY != 0 && var != assign.name {
                sh.error(&format!("{name}: {}: readonly variable", var.name()));
                return Ok(1);
            }
            let list = Want { subscript: assign.index.is_some(), ..*want };
            if let (None, Some(why)) = (&ready, sh.cannot_convert(var, want)) {
                // A list is assigned before the builtin runs, whose name bash then does not give.
                sh.error(&format!("{}: {why}", var.name()));
                return Err(sh.fatal());
            }
            if !sh.prepare(var, &list, name) {
                return Ok(1);
            }
            sh.vars.set_flags(var, want.on & !READONLY, want.off);
            let own = ready.is_some().then(|| super::table::own_name(name)).flatten();
            let before = std::mem::replace(&mut sh.assigns_for, own);
            let result = sh.declare_value(var, assign, ready, want);
            sh.assigns_for = before;
            let status = match result {
                Ok(()) => 0,
                Err(Flow::Discard) if assign.index.is_some() && want.on & INTEGER == 0 => 1,
                Err(flow) => return Err(flow),
            };
            sh.vars.set_flags(var, want.on, 0);
            sh.keep_temporary(var, name);
            Ok(status)
        })
    }

    fn declare_value(&mut self, var: Sym, assign: &Assign, ready: Option<String>, want: &Want) -> Run {
        match (ready, &assign.value) {
            (Some(text), _) if want.on & NAMEREF != 0 => {
                let text = match assign.append {
                    true => self.vars.get(var).map(std::borrow::Cow::into_owned).unwrap_or_default() + &text,
                    false => text,
                };
                self.vars.put_str(var, text);
                Ok(())
            }
            (Some(text), _) => match &assign.index {
                Some(index) => match self.element_key(var, index) {
                    Ok(key) => self.set_element(var, key, text, assign.append),
                    Err(error) => self.arith_failed(error),
                },
                None if assign.append => self.append(var, text),
                None => self.set(var, text),
            },
            (None, AssignValue::Array(elements)) => self.assign_array(var, elements, assign.append),
            (None, AssignValue::Scalar(_)) => Ok(()),
        }
    }

    /// Runs `f` with the global variable of a name in its place if `-g` asks for it.
    fn on_global<T>(&mut self, name: Sym, want: &Want, f: impl FnOnce(&mut Self) -> T) -> T {
        let swapped = want.global && self.vars.swap_global(name);
        let result = f(self);
        if swapped {
            self.vars.swap_global(name);
        }
        result
    }

    /// The variable that a name means here: made local if it should be, a reference followed unless it is meant itself.
    fn declared(&mut self, written: Sym, want: &Want, name: &str) -> Option<Sym> {
        let itself = (want.on | want.off) & NAMEREF != 0;
        // `+n` takes the attribute of the last reference of a chain.
        let last = if want.off & NAMEREF != 0 { self.vars.last_reference(written) } else { None };
        let written = last.unwrap_or(written);
        let reference = self.vars.flags(written) & NAMEREF != 0;
        let scoped = self.is_scoped(want, name);
        let mut var = written;
        if reference && !itself && (!scoped || self.vars.is_local(written)) {
            var = match self.vars.target(written) {
                Target::Var(target) if self.vars.flags(target) & NAMEREF == 0 => target,
                Target::Element(text) if matches!(name, "export" | "readonly") => {
                    self.complain(name, &format!("`{text}': not a valid identifier"));
                    return None;
                }
                Target::Element(text) => sym(text.split('[').next().unwrap_or_default()),
                Target::Var(_) => written,
                Target::Nothing | Target::Global(_) => {
                    self.warn_circle();
                    return None;
                }
            };
        }
        if scoped && !self.vars.is_local(var) {
            let inherit = want.inherit || self.shopts.localvar_inherit;
            let kept =
                (inherit || self.vars.is_temporary(var)).then(|| self.vars.slot(var).cloned()).flatten();
            self.vars.make_local(var);
            if let Some(old) = kept {
                self.vars.put(var, old.value);
                self.vars.set_flags(var, old.flags & !(READONLY | if inherit { NAMEREF } else { 0 }), 0);
            }
        }
        Some(var)
    }

    /// Whether a reference may refer to `target`; if not, that is reported.
    fn may_refer(&mut self, var: Sym, target: &str, name: &str) -> bool {
        let own = var.name();
        if target.split('[').next() == Some(&*own) {
            if self.functions_active == 0 {
                self.complain(name, &format!("{own}: nameref variable self references not allowed"));
                return false;
            }
            self.complain(name, &format!("warning: {own}: circular name reference"));
        }
        if matches!(self.vars.slot(var).map(|s| &s.value), Some(Value::Array(_) | Value::Assoc(_))) {
            self.complain(name, &format!("{own}: reference variable cannot be an array"));
            return false;
        }
        if !target.is_empty() && !crate::text::is_reference(target) {
            self.complain(name, &format!("`{target}': invalid variable name for name reference"));
            return false;
        }
        true
    }

    /// What stands before `export` or `readonly` as an assignment stays when that names it.
    fn keep_temporary(&mut self, var: Sym, name: &str) {
        if matches!(name, "export" | "readonly") {
            self.vars.keep_temporary(var);
        }
    }

    /// Whether a variable is a constant that cannot be assigned, which is reported. A local one may hide only what is
    /// local to a caller.
    fn is_fixed(&mut self, var: Sym, want: &Want, name: &str) -> Result<bool, Flow> {
        let fixed = self.vars.flags(var) & READONLY != 0
            && (!self.is_scoped(want, name) || self.vars.is_local(var) || self.vars.is_global(var));
        if fixed && matches!(name, "export" | "readonly") {
            // These assign as a command without a name does, which POSIX wants to end the shell.
            self.error(&format!("{}: readonly variable", var.name()));
            if self.serious() == Flow::Exit {
                self.status = 1;
                return Err(Flow::Exit);
            }
        } else if fixed {
            self.error(&format!("{name}: {}: readonly variable", var.name()));
        }
        Ok(fixed)
    }

    fn is_scoped(&self, want: &Want, name: &str) -> bool {
        self.functions_active > 0 && !want.global && matches!(name, "local" | "declare" | "typeset")
    }

    /// Makes the variable an array as asked; false if it cannot be, which is reported.
    fn prepare(&mut self, var: Sym, want: &Want, name: &str) -> bool {
        if want.off & READONLY != 0 && self.vars.flags(var) & READONLY != 0 {
            self.error(&format!("{name}: {}: readonly variable", var.name()));
            return false;
        }
        let slot = self.vars.slot(var).map(|slot| (&slot.value, slot.flags));
        let fresh = match slot {
            Some((Value::Array(_) | Value::Assoc(_), _)) if want.scalar => {
                self.complain(name, &format!("{}: cannot destroy array variables in this way", var.name()));
                return false;
            }
            Some((Value::Array(_), _)) if want.on & NAMEREF != 0 => {
                self.complain(name, &format!("{}: reference variable cannot be an array", var.name()));
                return false;
            }
            Some((Value::Array(_) | Value::Assoc(_), _)) => {
                let Some(why) = self.cannot_convert(var, want) else { return true };
                self.complain(name, &format!("{}: {why}", var.name()));
                return false;
            }
            Some((Value::Unset, _)) | None => true,
            Some(_) => false,
        };
        if !want.array && !want.assoc && !want.subscript {
            return true;
        }
        let old = self.vars.get(var).map(std::borrow::Cow::into_owned);
        if want.assoc {
            let mut items = Assoc::default();
            if let Some(old) = old {
                items.insert("0".to_owned(), old);
            }
            self.vars.put(var, Value::Assoc(items));
        } else {
            self.vars.put(var, Value::Array(old.into_iter().map(|v| (0, v)).collect()));
        }
        if fresh {
            self.vars.set_flags(var, NOVALUE, 0);
        }
        true
    }

    /// Why an array cannot become one of the other kind.
    fn cannot_convert(&self, var: Sym, want: &Want) -> Option<&'static str> {
        match self.vars.slot(var)?.value {
            Value::Array(_) if want.assoc => Some("cannot convert indexed to associative array"),
            Value::Assoc(_) if want.array && !want.assoc => {
                Some("cannot convert associative to indexed array")
            }
            _ => None,
        }
    }

    fn declare_functions(&mut self, words: &[What], want: &Want, name: &str) -> i32 {
        let mut names: Vec<String> =
            words.iter().filter_map(|w| if let What::Text(t) = w { Some(t.clone()) } else { None }).collect();
        if names.is_empty() {
            names = self.functions.keys().map(|k| k.to_string()).collect();
            names.sort();
            for function in names {
                if want.on & EXPORT != 0 && !self.vars.exports_function(&function) {
                    continue;
                }
                if want.on & READONLY != 0 && !self.fixed_functions.contains(&function) {
                    continue;
                }
                if !want.names_only {
                    self.print_function(&function);
                }
                let marked =
                    self.fixed_functions.contains(&function) || self.vars.exports_function(&function);
                if want.names_only || marked {
                    self.print_attributes(&function);
                }
            }
            return 0;
        }
        let mut status = 0;
        for function in names {
            if !self.functions.contains_key(function.as_str()) {
                if matches!(name, "export" | "readonly") {
                    self.complain(name, &format!("{function}: not a function"));
                } else if want.print {
                    self.complain(name, &format!("{function}: not found"));
                }
                status = 1;
            } else if name == "export" || (want.on | want.off) & EXPORT != 0 {
                let text = (want.off & EXPORT == 0).then(|| self.function_text(&function)).flatten();
                self.vars.export_function(&function, text);
            } else if want.on & READONLY != 0 {
                self.fixed_functions.insert(function);
            } else if want.names_only && want.print {
                self.print_attributes(&function);
            } else if want.names_only {
                let known = self.functions.get(function.as_str()).filter(|_| self.shopts.extdebug);
                let place =
                    known.map(|known| format!(" {} {}", known.line, known.source)).unwrap_or_default();
                self.print(&format!("{function}{place}\n"));
            } else {
                self.print_function(&function);
            }
        }
        status
    }

    /// A function's attributes, as a command.
    fn print_attributes(&mut self, function: &str) {
        let mut letters = String::from("f");
        letters.extend(self.fixed_functions.contains(function).then_some('r'));
        letters.extend(self.vars.exports_function(function).then_some('x'));
        self.print(&format!("declare -{letters} {function}\n"));
    }

    /// The definition of a function as script text.
    pub(crate) fn function_text(&self, name: &str) -> Option<String> {
        self.functions.get(name).map(|function| crate::print::function(name, &function.body))
    }

    fn print_function(&mut self, name: &str) {
        if let Some(text) = self.function_text(name) {
            self.print(&(text + "\n"));
        }
    }
}

/// What stands before the value of an assignment.
fn assigned_to(assign: &Assign) -> String {
    let index = assign.index.as_ref().map_or(String::new(), |index| format!("[{}]", index.word.raw));
    format!("{}{index}{}=", assign.name.name(), if assign.append { "+" } else { "" })
}

impl Want {
    fn set(&mut self, letter: char, on: bool, name: &str) -> bool {
        if matches!(name, "export" | "readonly") && !"aAfnp".contains(letter) {
            return false;
        }
        let flag = match letter {
            'x' => EXPORT,
            'r' => READONLY,
            'i' => INTEGER,
            'l' => LOWER,
            'u' => UPPER,
            'c' => CAPITAL,
            't' => TRACE,
            'n' if name == "export" => {
                self.on &= !EXPORT;
                self.off |= EXPORT;
                return true;
            }
            'n' if name == "readonly" => return true,
            'n' => NAMEREF,
            'a' => {
                self.array = on;
                self.scalar |= !on;
                return true;
            }
            'A' => {
                self.assoc = on;
                self.scalar |= !on;
                return true;
            }
            'p' => {
                self.print = true;
                return true;
            }
            'f' => {
                self.functions = true;
                return true;
            }
            'F' if name != "local" => {
                self.functions = true;
                self.names_only = true;
                return true;
            }
            'g' => {
                self.global = true;
                return true;
            }
            'I' => {
                self.inherit = true;
                return true;
            }
            _ => return false,
        };
        if on {
            self.on |= flag;
            if flag & (LOWER | UPPER | CAPITAL) != 0 {
                self.off |= (LOWER | UPPER | CAPITAL) & !flag;
            }
        } else {
            self.off |= flag;
        }
        true
    }
}
