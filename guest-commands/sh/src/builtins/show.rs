//! How variables are shown: by `set`, `declare -p` and the lists of `declare`, `export` and `readonly`.

use super::declare::Want;
use crate::expand_double_quote;
use crate::shell::Shell;
use crate::symbols::{LAST_DYNAMIC, Sym, UNDERSCORE, sym};
use crate::vars::{EXPORT, NOVALUE, READONLY, Value};

impl Shell {
    /// `declare -p name`.
    pub(super) fn print_one(&mut self, text: &str, name: &str) -> i32 {
        let known = sym(text);
        if crate::text::is_name(text)
            && (name != "local" || self.vars.is_local(known))
            && let Some(line) = self.declaration_of(known)
        {
            self.print(&(line + "\n"));
            return 0;
        }
        self.complain(name, &format!("{text}: not found"))
    }

    pub(super) fn print_declared(&mut self, want: &Want, name: &str) {
        let wanted = match name {
            "export" => EXPORT,
            "readonly" => READONLY,
            _ => want.on,
        };
        let bare = wanted == 0 && !want.print && !want.array && !want.assoc && name != "local";
        let vars = if name == "local" { self.vars.locals() } else { self.vars.all() };
        for (_, var) in vars {
            let flags = self.vars.flags(var);
            let array = matches!(self.vars.slot(var).map(|s| &s.value), Some(Value::Array(_)));
            let assoc = matches!(self.vars.slot(var).map(|s| &s.value), Some(Value::Assoc(_)));
            let kind = !(want.array || want.assoc) || want.array && array || want.assoc && assoc;
            if wanted != 0 && flags & wanted == 0 || !kind {
                continue;
            }
            let line = if bare {
                self.set_line(var)
            } else if self.opts.posix && matches!(name, "export" | "readonly") {
                self.declaration_of(var).map(|line| {
                    let rest = line.splitn(3, ' ').nth(2).unwrap_or_default();
                    format!("{name} {rest}")
                })
            } else {
                self.declaration_of(var)
            };
            if let Some(line) = line {
                self.print(&(line + "\n"));
            }
        }
        if bare && !matches!(name, "export" | "readonly") && !self.opts.posix {
            self.print_functions();
        }
    }

    /// The definitions of all functions.
    pub(super) fn print_functions(&mut self) {
        let mut names: Vec<String> = self.functions.keys().map(|k| k.to_string()).collect();
        names.sort();
        for name in names {
            if let Some(text) = self.function_text(&name) {
                self.print(&(text + "\n"));
            }
        }
    }

    /// A variable as `set` prints it.
    pub(super) fn set_line(&self, var: Sym) -> Option<String> {
        let last = if var == UNDERSCORE { Value::Str(self.get(var)?.into_owned()) } else { Value::Unset };
        let value = match if var == UNDERSCORE { &last } else { &self.vars.slot(var)?.value } {
            Value::Unset => return None,
            Value::Str(_) | Value::Int(_) => {
                let text = self.get(var)?.into_owned();
                let plain = text.chars().all(|c| c.is_alphanumeric() || "_-+=:,./%@^".contains(c));
                if plain { text } else { crate::expand_quote(&text) }
            }
            Value::Array(_) | Value::Assoc(_) if self.vars.flags(var) & NOVALUE != 0 => return None,
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

    /// A variable as `declare -p` prints it; `None` if there is none.
    pub(crate) fn declaration_of(&self, var: Sym) -> Option<String> {
        if let Some(items) = self.computed_array(var) {
            let items: Vec<String> =
                items.iter().enumerate().map(|(i, v)| format!("[{i}]={}", expand_double_quote(v))).collect();
            return Some(format!("declare -a {}=({})", var.name(), items.join(" ")));
        }
        if var <= LAST_DYNAMIC
            && let Some(value) = self.computed(var)
        {
            let letters = self.attributes(var);
            let letters = if letters.is_empty() { "-".to_owned() } else { letters };
            return Some(format!("declare -{letters} {}={}", var.name(), expand_double_quote(&value)));
        }
        let known = self.vars.is_set(var) || self.vars.flags(var) != 0 || self.vars.is_local(var);
        known.then(|| self.declaration(var))
    }

    /// A variable that is known as `declare -p` prints it.
    pub(crate) fn declaration(&self, var: Sym) -> String {
        let letters = self.attributes(var);
        let letters = if letters.is_empty() { "-".to_owned() } else { letters };
        let head = format!("declare -{letters} {}", var.name());
        match self.vars.slot(var).map(|s| &s.value) {
            None | Some(Value::Unset) => head,
            Some(_) if self.vars.flags(var) & NOVALUE != 0 => head,
            Some(Value::Str(_) | Value::Int(_)) => {
                let text = self.vars.get(var).unwrap_or_default().into_owned();
                format!("{head}={}", expand_double_quote(&text))
            }
            Some(_) => format!("{head}={}", self.array_text(var)),
        }
    }
}
