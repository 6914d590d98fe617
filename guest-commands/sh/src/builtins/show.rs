//! How variables are shown: by `set`, `declare -p` and the lists of `declare`, `export` and `readonly`.

use super::declare::Want;
use crate::expand_double_quote;
use crate::shell::Shell;
use crate::symbols;
use crate::symbols::{
    BASH_ARGC, BASH_ARGV, BASH_LINENO, BASH_SOURCE, BASHOPTS, COMP_WORDBREAKS, DIRSTACK, FUNCNAME, GROUPS,
    LAST_DYNAMIC, PIPESTATUS, SHELLOPTS, Sym, UNDERSCORE, sym,
};
use crate::vars::{EXPORT, NAMEREF, NOVALUE, ORDINARY, READONLY, Value};

/// The arrays whose elements are computed.
const COMPUTED_ARRAYS: &[Sym] =
    &[BASH_ARGC, BASH_ARGV, BASH_LINENO, BASH_SOURCE, DIRSTACK, FUNCNAME, GROUPS, PIPESTATUS];

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
        if name == "local" {
            for var in self.vars.locals() {
                if wanted == 0 || self.vars.flags(var) & wanted != 0 {
                    let line = self.declaration(var);
                    self.print(&(line + "\n"));
                }
            }
            return;
        }
        let bare = wanted == 0 && !want.print && !want.array && !want.assoc;
        for (_, var) in self.vars.all() {
            let flags = self.vars.flags(var);
            let array = matches!(self.vars.slot(var).map(|s| &s.value), Some(Value::Array(_)))
                || COMPUTED_ARRAYS.contains(&var) && !self.vars.is_ordinary(var);
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
                self.listed(var)
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
        let value = match &self.vars.slot(var)?.value {
            _ if var == COMP_WORDBREAKS => return None,
            _ if self.is_computed(var) => match var {
                UNDERSCORE | SHELLOPTS | BASHOPTS => self.get(var)?.into_owned(),
                var if COMPUTED_ARRAYS.contains(&var) => self.listed(var)?.split_once('=')?.1.to_owned(),
                _ => return None,
            },
            Value::Unset => return None,
            Value::Str(_) | Value::Int(_) => {
                // Of a name reference the name.
                let text = match self.vars.flags(var) & NAMEREF {
                    0 => self.get(var)?.into_owned(),
                    _ => self.vars.get(var)?.into_owned(),
                };
                let plain = text.chars().all(|c| c.is_alphanumeric() || "_-+=:,./%@^".contains(c));
                if plain { text } else { crate::expand_quote(&text) }
            }
            Value::Array(_) | Value::Assoc(_) if self.vars.flags(var) & NOVALUE != 0 => return None,
            Value::Array(_) | Value::Assoc(_) => self.array_text(var),
        };
        Some(format!("{}={value}", var.name()))
    }

    /// Whether a variable's value is computed when somebody asks for it.
    fn is_computed(&self, var: Sym) -> bool {
        var <= LAST_DYNAMIC && !self.vars.is_ordinary(var)
    }

    /// A variable as lists of declarations show it. As in bash, what is computed on demand is not for a list.
    fn listed(&self, var: Sym) -> Option<String> {
        let own = matches!(var, UNDERSCORE | SHELLOPTS | BASHOPTS | BASH_SOURCE | BASH_LINENO | PIPESTATUS);
        if var != COMP_WORDBREAKS && (own || !self.is_computed(var)) {
            return self.declaration_of(var).or_else(|| Some(format!("declare -a {}=()", var.name())));
        }
        let letters = self.attributes(var);
        let name = var.name();
        Some(match var {
            FUNCNAME => return self.declaration_of(var).or_else(|| Some(format!("declare -a {name}"))),
            var if COMPUTED_ARRAYS.contains(&var) => format!("declare -a {name}=()"),
            _ if letters.is_empty() => format!("declare -- {name}"),
            _ => format!("declare -{letters} {name}"),
        })
    }

    fn array_text(&self, var: Sym) -> String {
        let pairs = self.vars.keys(var).into_iter().zip(self.vars.elements(var));
        let assoc = self.vars.is_assoc(var);
        let items: Vec<String> = pairs
            .map(|(k, v)| {
                let key = if assoc { crate::expand::quoted_key(k) } else { k };
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
        if var == symbols::FUNCNAME && self.computed_array(var).is_none() {
            return Some("declare -a FUNCNAME".to_owned());
        }
        if let Some(items) = self.computed_array(var).or_else(|| {
            // Outside of calls these are empty.
            matches!(var, symbols::BASH_SOURCE | symbols::BASH_LINENO).then(Vec::new)
        }) {
            let items: Vec<String> =
                items.iter().enumerate().map(|(i, v)| format!("[{i}]={}", expand_double_quote(v))).collect();
            return Some(format!("declare -a {}=({})", var.name(), items.join(" ")));
        }
        if var <= LAST_DYNAMIC
            && let Some(value) = self.computed(var)
        {
            let mut letters = self.attributes(var);
            if var == UNDERSCORE {
                // Each command's last argument is a new value, which is not exported.
                letters.retain(|letter| letter == 'r');
            }
            let letters = if letters.is_empty() { "-".to_owned() } else { letters };
            return Some(format!("declare -{letters} {}={}", var.name(), expand_double_quote(&value)));
        }
        let known = self.vars.is_set(var) || self.vars.flags(var) & !ORDINARY != 0 || self.vars.is_local(var);
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
