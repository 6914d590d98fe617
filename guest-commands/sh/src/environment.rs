//! What a shell takes over when it starts: variables and functions of the environment, and its own names. What it passes
//! on is in `vars`.

use crate::shell::{Function, Shell, same_directory};
use crate::source::Dialect;
use crate::source::units::{Next, Units};
use crate::symbols::{self, sym};
use crate::vars::{self, Value};
use std::rc::Rc;

impl Shell {
    pub(crate) fn import_environment(&mut self) {
        let mut functions = Vec::new();
        for (key, value) in std::env::vars_os() {
            let (key, value) = (crate::text::from_os(key), crate::text::from_os(value));
            if let Some(name) = key.strip_prefix("BASH_FUNC_").and_then(|k| k.strip_suffix("%%")) {
                functions.push((name.to_owned(), value));
            } else if crate::text::is_name(&key) {
                let name = sym(&key);
                // What these hold is the shell's own business.
                if !matches!(name, symbols::IFS | symbols::UNDERSCORE | symbols::OPTIND | symbols::OPTERR) {
                    self.vars.put_str(name, value);
                    self.vars.set_flags(name, vars::EXPORT, 0);
                }
            } else {
                // It cannot be a variable, but programs may know it.
                self.vars.pass_on(&key, &value);
            }
        }
        let cwd = agentos_guest::env::current_dir()
            .map(|d| crate::text::from_os(d.into_os_string()))
            .unwrap_or_default();
        let pwd_holds =
            self.vars.get(symbols::PWD).is_some_and(|pwd| pwd.starts_with('/') && same_directory(&pwd, "."));
        if !pwd_holds {
            self.vars.put_str(symbols::PWD, cwd);
        }
        self.vars.set_flags(symbols::PWD, vars::EXPORT, 0);
        self.cwd = self.vars.get(symbols::PWD).map(std::borrow::Cow::into_owned).unwrap_or_default();
        if !self.vars.get(symbols::OLDPWD).is_some_and(|dir| crate::builtins::test::is_dir(&dir)) {
            self.vars.put(symbols::OLDPWD, Value::Unset);
        }
        self.vars.set_flags(symbols::OLDPWD, vars::EXPORT, 0);
        self.vars.put_str(symbols::IFS, " \t\n");
        self.vars.put(symbols::OPTIND, Value::Int(1));
        self.vars.put_str(symbols::PS4, "+ ");
        self.vars.put(symbols::OPTERR, Value::Int(1));
        if !self.vars.is_set(symbols::PATH) {
            self.vars.put_str(symbols::PATH, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        }
        self.change_level(1);
        self.vars.put_str(symbols::BASH_VERSION, "5.2.15(1)-release");
        let names = agentos_guest::system::uname().unwrap_or_default();
        let machine = format!("{}-pc-linux-gnu", names.machine);
        let info = ["5", "2", "15", "1", "release", &machine];
        let info = info.iter().enumerate().map(|(i, s)| (i as i64, (*s).to_owned())).collect();
        self.vars.put(symbols::BASH_VERSINFO, Value::Array(info));
        self.vars.set_flags(symbols::BASH_VERSINFO, vars::READONLY, 0);
        let zero = self.zero.trim_start_matches('-').to_owned();
        let own = if zero.contains('/') { zero } else { self.find_program(&zero).unwrap_or(zero) };
        self.last_arg.clone_from(&self.zero);
        self.vars.put_str(symbols::BASH, own);
        self.vars.put_str(symbols::OSTYPE, "linux-gnu");
        self.vars.put(symbols::PPID, Value::Int(i64::from(agentos_guest::process::parent_id())));
        self.vars.set_flags(symbols::PPID, vars::READONLY | vars::INTEGER, 0);
        self.vars.put(symbols::UID, Value::Int(i64::from(agentos_guest::user::getuid())));
        self.vars.set_flags(symbols::UID, vars::READONLY | vars::INTEGER, 0);
        self.vars.put(symbols::EUID, Value::Int(i64::from(agentos_guest::user::geteuid())));
        self.vars.set_flags(symbols::EUID, vars::READONLY | vars::INTEGER, 0);
        self.vars.put_str(symbols::HOSTNAME, names.nodename);
        self.vars.put_str(symbols::HOSTTYPE, names.machine.clone());
        self.vars.put_str(symbols::MACHTYPE, machine);
        self.vars.set_flags(symbols::OPTIND, vars::INTEGER, 0);
        for number in [symbols::BASHPID, symbols::HISTCMD, symbols::RANDOM, symbols::SRANDOM] {
            self.vars.set_flags(number, vars::INTEGER, 0);
        }
        self.vars.put_str(
            sym("BASH_LOADABLES_PATH"),
            "/usr/local/lib/bash:/usr/lib/bash:/opt/local/lib/bash:/usr/pkg/lib/bash:/opt/pkg/lib/bash:.",
        );
        for table in [symbols::BASH_ALIASES, symbols::BASH_CMDS] {
            self.vars.put(table, Value::Assoc(crate::assoc::Assoc::default()));
        }
        self.vars.put_str(symbols::COMP_WORDBREAKS, " \t\n\"'@><=;|&(:");
        for (name, value) in [("TERM", "dumb"), ("SHELL", "/bin/bash")] {
            if !self.vars.is_set(sym(name)) {
                self.vars.put_str(sym(name), value);
            }
        }
        for (name, text) in functions {
            self.import_function(&name, &text);
        }
    }

    /// Changes `SHLVL`, which stays between 0 and 999.
    pub(crate) fn change_level(&mut self, by: i64) {
        let text = self.vars.get(symbols::SHLVL).unwrap_or_default();
        let mut level = text.trim().parse::<i64>().unwrap_or(0).saturating_add(by).max(0);
        if level >= 1000 {
            self.write_error(&format!(
                "{}: warning: shell level ({level}) too high, resetting to 1\n",
                self.zero
            ));
            level = 1;
        }
        self.vars.put_str(symbols::SHLVL, level.to_string());
        self.vars.set_flags(symbols::SHLVL, vars::EXPORT, 0);
    }

    /// Defines a function of the environment; text that is more or less than one definition is ignored.
    fn import_function(&mut self, name: &str, text: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.:+".contains(&b);
        if name.is_empty() || !name.bytes().all(plain) || !text.starts_with("() {") {
            return;
        }
        let dialect = || Dialect { extglob: true, ..Dialect::default() };
        let mut units = Units::new(format!("{name} {text}\n"), 1);
        let (Ok(Next::Unit(unit)), Ok(Next::End)) = (units.next(dialect()), units.next(dialect())) else {
            return;
        };
        if let [item] = unit.items.as_slice()
            && let ([stage], true, false) =
                (item.first.stages.as_slice(), item.rest.is_empty(), item.background)
            && let crate::ir::Kind::Function { name, body } = &stage.kind
        {
            let function =
                Function { name: name.clone(), body: body.clone(), source: Rc::from("environment"), line: 0 };
            self.functions.insert(name.clone(), Rc::new(function));
            self.vars.export_function(name, self.function_text(name));
        }
    }
}
