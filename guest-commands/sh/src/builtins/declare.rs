//! `declare`, `typeset`, `local`, `export`, `readonly` and `unset`.

use crate::compile;
use crate::compile::word::{self, Mode};
use crate::expand_double_quote;
use crate::ir::{Arg, Assign, AssignValue};
use crate::shell::{Flow, Shell};
use crate::symbols::{Sym, sym};
use crate::vars::{EXPORT, INTEGER, Key, LOWER, NAMEREF, READONLY, UPPER, Value};

/// Whether a name is a builtin whose arguments can be assignments.
pub(crate) fn is_declaration(name: &str) -> bool {
    matches!(name, "export" | "declare" | "typeset" | "local" | "readonly")
}

enum What {
    Text(String),
    /// The assignment that an argument is, and its value unless that is a list.
    Assign(usize, Option<String>),
}

#[derive(Default)]
struct Want {
    on: u8,
    off: u8,
    array: bool,
    assoc: bool,
    print: bool,
    functions: bool,
    names_only: bool,
    global: bool,
}

/// Called by name through `command` or `builtin`: arguments are text.
pub(super) fn declaration(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words = args[1..].iter().map(|a| What::Text(a.clone())).collect();
    sh.declare(&args[0], words, &[])
}

impl Shell {
    /// Runs a declaration builtin; assignments among its arguments are carried out unsplit.
    pub(crate) fn declaration_builtin(&mut self, args: &[Arg]) -> Result<i32, Flow> {
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
        let name = args.first().and_then(|a| a.word.literal()).unwrap_or("declare").to_owned();
        self.declare(&name, words, args)
    }

    fn declare(&mut self, name: &str, words: Vec<What>, args: &[Arg]) -> Result<i32, Flow> {
        let mut want = Want::default();
        match name {
            "export" => want.on |= EXPORT,
            "readonly" => want.on |= READONLY,
            "local" if self.functions_active == 0 => {
                self.complain("local", "can only be used in a function");
                return Ok(1);
            }
            _ => {}
        }
        let mut words = words.into_iter().peekable();
        while let Some(What::Text(option)) = words.peek() {
            let on = match option.as_bytes() {
                [b'-', b'-'] => {
                    words.next();
                    break;
                }
                [b'-', _, ..] => true,
                [b'+', _, ..] => false,
                _ => break,
            };
            for letter in option[1..].chars() {
                if !want.set(letter, on, name) {
                    let message = format!("{option}: invalid option");
                    self.complain(name, &message);
                    return Ok(2);
                }
            }
            words.next();
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
                What::Assign(i, value) => match args.get(i).and_then(|a| a.assign.as_deref()) {
                    Some(assign) => self.declare_assign(assign, value, &want, name)?,
                    None => 0,
                },
                What::Text(text) if want.print && name != "export" && name != "readonly" => {
                    let known = sym(&text);
                    if self.vars.is_set(known) || self.vars.flags(known) != 0 {
                        let line = self.declaration(known) + "\n";
                        self.print(&line);
                        0
                    } else {
                        let message = format!("{text}: not found");
                        self.complain(name, &message)
                    }
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
            if self.is_scoped(want, name) && self.is_fixed(sym(text), want, name) {
                return Ok(1);
            }
            self.prepare(sym(text), want, name);
            self.vars.set_flags(sym(text), want.on, want.off);
            return Ok(0);
        }
        // `declare "a=(1 2)"` and `declare "$name=$value"`: the value is text, not expanded again.
        let assign = match text[len..].strip_prefix("+=").or_else(|| text[len..].strip_prefix('=')) {
            Some(value) if len > 0 => {
                let append = text[len..].starts_with("+=");
                let array = (want.array || want.assoc) && value.starts_with('(') && value.ends_with(')');
                let value = if array {
                    compile::elements(&value[1..value.len() - 1], self.line).map(AssignValue::Array)
                } else {
                    word::parse(value, self.line, Mode::Literal).map(AssignValue::Scalar)
                };
                value.map(|value| Some(Assign { name: sym(&text[..len]), index: None, append, value }))
            }
            _ => compile::assignment(text, self.line),
        };
        match assign {
            Ok(Some(assign)) => {
                let value = match &assign.value {
                    AssignValue::Scalar(word) => Some(self.expand_string(word)?),
                    AssignValue::Array(_) => None,
                };
                self.declare_assign(&assign, value, want, name)
            }
            // `declare -a x[3]`.
            Ok(None) if len > 0 && text[len..].starts_with('[') => {
                self.prepare(sym(&text[..len]), want, name);
                Ok(0)
            }
            _ => {
                let message = format!("`{text}': not a valid identifier");
                Ok(self.complain(name, &message))
            }
        }
    }

    fn declare_assign(
        &mut self,
        assign: &Assign,
        ready: Option<String>,
        want: &Want,
        name: &str,
    ) -> Result<i32, Flow> {
        let flags = want.on & !READONLY;
        if self.is_fixed(assign.name, want, name) {
            return Ok(1);
        }
        self.prepare(assign.name, want, name);
        self.vars.set_flags(assign.name, flags, want.off);
        match ready {
            Some(text) if flags & NAMEREF != 0 => self.vars.put_str(assign.name, text),
            Some(text) => match &assign.index {
                Some(index) => match self.element_key(assign.name, index) {
                    Ok(key) => self.set_element(assign.name, key, text, assign.append)?,
                    Err(error) => self.arith_failed(error)?,
                },
                None if assign.append => self.append(assign.name, text)?,
                None => self.set(assign.name, text)?,
            },
            None => self.assign(assign)?,
        }
        self.vars.set_flags(assign.name, want.on, 0);
        Ok(self.subst_status.map_or(0, |_| 0))
    }

    /// Whether a variable is a constant that cannot be assigned, which is reported. A local one may hide only what is
    /// local to a caller.
    fn is_fixed(&mut self, var: Sym, want: &Want, name: &str) -> bool {
        let fixed = self.vars.flags(var) & READONLY != 0
            && (!self.is_scoped(want, name) || self.vars.is_local(var) || self.vars.is_global(var));
        if fixed {
            self.error(&format!("{name}: {}: readonly variable", var.name()));
        }
        fixed
    }

    fn is_scoped(&self, want: &Want, name: &str) -> bool {
        self.functions_active > 0 && !want.global && matches!(name, "local" | "declare" | "typeset")
    }

    /// Makes the variable local or an array as asked.
    fn prepare(&mut self, var: Sym, want: &Want, name: &str) {
        if self.is_scoped(want, name) {
            self.vars.make_local(var);
        }
        if want.assoc && !self.vars.is_assoc(var) {
            self.vars.put(var, Value::Assoc(std::collections::BTreeMap::new()));
        } else if want.array && !self.vars.is_array(var) {
            let old = self.vars.get(var).map(|v| (0, v.into_owned()));
            self.vars.put(var, Value::Array(old.into_iter().collect()));
        }
    }

    fn declare_functions(&mut self, words: &[What], want: &Want, name: &str) -> i32 {
        let mut names: Vec<String> =
            words.iter().filter_map(|w| if let What::Text(t) = w { Some(t.clone()) } else { None }).collect();
        if names.is_empty() {
            names = self.functions.keys().map(|k| k.to_string()).collect();
            names.sort();
            for function in names {
                match want.names_only || name == "export" {
                    true => self.print(&format!("declare -f {function}\n")),
                    false => self.print_function(&function),
                }
            }
            return 0;
        }
        let mut status = 0;
        for function in names {
            match self.functions.contains_key(function.as_str()) {
                true if want.names_only => self.print(&format!("{function}\n")),
                true if name == "export" || want.on & EXPORT != 0 => {
                    let text = (want.off & EXPORT == 0).then(|| self.function_text(&function)).flatten();
                    self.vars.export_function(&function, text);
                }
                true => self.print_function(&function),
                false => status = 1,
            }
        }
        status
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

    fn print_declared(&mut self, want: &Want, name: &str) {
        let wanted = match name {
            "export" => EXPORT,
            "readonly" => READONLY,
            _ => want.on,
        };
        for (_, var) in self.vars.all() {
            let flags = self.vars.flags(var);
            let array = matches!(self.vars.slot(var).map(|s| &s.value), Some(Value::Array(_)));
            let assoc = matches!(self.vars.slot(var).map(|s| &s.value), Some(Value::Assoc(_)));
            if flags & wanted != wanted || want.array && !array || want.assoc && !assoc {
                continue;
            }
            if name == "local" && !self.vars.is_local(var) {
                continue;
            }
            let line = if wanted == 0 && !want.print && !want.array && !want.assoc {
                self.set_line(var)
            } else {
                Some(self.declaration(var))
            };
            if let Some(line) = line {
                self.print(&(line + "\n"));
            }
        }
    }

    /// A variable as `set` prints it.
    pub(super) fn set_line(&self, var: Sym) -> Option<String> {
        let value = match &self.vars.slot(var)?.value {
            Value::Unset => return None,
            Value::Str(_) | Value::Int(_) => {
                let text = self.vars.get(var)?.into_owned();
                let plain = text.chars().all(|c| c.is_alphanumeric() || "_-+=:,./%@^".contains(c));
                if plain { text } else { crate::expand_quote(&text) }
            }
            Value::Array(_) | Value::Assoc(_) => self.array_text(var),
        };
        Some(format!("{}={value}", var.name()))
    }

    fn array_text(&self, var: Sym) -> String {
        let pairs = self.vars.keys(var).into_iter().zip(self.vars.elements(var));
        let assoc = self.vars.is_assoc(var);
        let items: Vec<String> = pairs
            .map(|(k, v)| {
                let key = if assoc && !k.chars().all(|c| c.is_alphanumeric() || c == '_') {
                    expand_double_quote(&k)
                } else {
                    k
                };
                format!("[{key}]={}", expand_double_quote(&v))
            })
            .collect();
        // Bash leaves a blank before the parenthesis of an associative array.
        if assoc && !items.is_empty() {
            format!("({} )", items.join(" "))
        } else {
            format!("({})", items.join(" "))
        }
    }

    /// A variable as `declare -p` prints it.
    pub(crate) fn declaration(&self, var: Sym) -> String {
        let letters = self.attributes(var);
        let letters = if letters.is_empty() { "-".to_owned() } else { letters };
        let head = format!("declare -{letters} {}", var.name());
        match self.vars.slot(var).map(|s| &s.value) {
            None | Some(Value::Unset) => head,
            Some(Value::Str(_) | Value::Int(_)) => {
                let text = self.vars.get(var).unwrap_or_default().into_owned();
                format!("{head}={}", expand_double_quote(&text))
            }
            Some(_) => format!("{head}={}", self.array_text(var)),
        }
    }
}

impl Want {
    fn set(&mut self, letter: char, on: bool, name: &str) -> bool {
        let flag = match letter {
            'x' => EXPORT,
            'r' => READONLY,
            'i' => INTEGER,
            'l' => LOWER,
            'u' => UPPER,
            'n' if name == "export" => {
                self.on &= !EXPORT;
                self.off |= EXPORT;
                return true;
            }
            'n' => NAMEREF,
            'a' => {
                self.array = on;
                return true;
            }
            'A' => {
                self.assoc = on;
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
            'F' => {
                self.functions = true;
                self.names_only = true;
                return true;
            }
            'g' => {
                self.global = true;
                return true;
            }
            't' | 'I' => return true,
            _ => return false,
        };
        if on {
            self.on |= flag;
        } else {
            self.off |= flag;
        }
        true
    }
}

pub(super) fn unset(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut variables, mut functions, mut reference) = (true, true, false);
    let mut words = &args[1..];
    while let Some(option) = words.first().filter(|w| w.starts_with('-') && w.len() > 1) {
        match option.as_str() {
            "-v" => functions = false,
            "-f" => variables = false,
            "-n" => reference = true,
            "--" => {
                words = &words[1..];
                break;
            }
            _ => {
                sh.complain("unset", &format!("{option}: invalid option"));
                return Ok(2);
            }
        }
        words = &words[1..];
    }
    let mut status = 0;
    for word in words {
        if let Some((name, rest)) = word.split_once('[')
            && let Some(key) = rest.strip_suffix(']')
            && variables
        {
            status |= unset_element(sh, sym(name), key)?;
            continue;
        }
        if !crate::text::is_name(word) && functions && sh.functions.remove(word.as_str()).is_some() {
            sh.generation = sh.generation.wrapping_add(1);
            sh.vars.export_function(word, None);
            continue;
        }
        let name = if reference { sym(word) } else { sh.vars.resolve(sym(word)) };
        if variables && (sh.vars.is_set(name) || sh.vars.flags(name) != 0) {
            if sh.vars.flags(name) & READONLY != 0 {
                sh.complain("unset", &format!("{word}: cannot unset: readonly variable"));
                status = 1;
            } else {
                sh.vars.remove(name);
            }
        } else if functions && sh.functions.remove(word.as_str()).is_some() {
            sh.generation = sh.generation.wrapping_add(1);
            sh.vars.export_function(word, None);
        }
    }
    Ok(status)
}

fn unset_element(sh: &mut Shell, name: Sym, key: &str) -> Result<i32, Flow> {
    let name = sh.vars.resolve(name);
    if matches!(key, "@" | "*") && !sh.vars.is_assoc(name) {
        sh.vars.remove(name);
        return Ok(0);
    }
    let Ok(index) = compile::index(key, sh.line) else { return Ok(1) };
    let key = match sh.element_key(name, &index) {
        Ok(key) => key,
        Err(error) => {
            sh.arith_failed(error)?;
            return Ok(1);
        }
    };
    match (&mut sh.vars.slot_mut(name).value, key) {
        (Value::Array(items), Key::Number(n)) => drop(items.remove(&n)),
        (Value::Assoc(items), Key::Text(k)) => drop(items.remove(&k)),
        (value @ (Value::Str(_) | Value::Int(_)), Key::Number(0)) => *value = Value::Unset,
        _ => {}
    }
    Ok(0)
}
