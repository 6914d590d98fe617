//! The lists of `compgen -A`: names that the shell, the system and the file system know. It filters by the beginning only.

use crate::builtins::{lookup, table};
use crate::interactive::bindings;
use crate::options::{Options, Shopts};
use crate::shell::Shell;
use crate::vars::{self, Value};

/// How many names one list has at most.
const MAX_NAMES: usize = 100_000;

/// The actions in the order in which they generate.
const ORDER: &[&str] = &[
    "alias",
    "arrayvar",
    "binding",
    "builtin",
    "disabled",
    "enabled",
    "export",
    "function",
    "helptopic",
    "hostname",
    "job",
    "keyword",
    "running",
    "setopt",
    "shopt",
    "signal",
    "stopped",
    "variable",
    "command",
    "file",
    "user",
    "group",
    "service",
    "directory",
];

impl Shell {
    /// What some actions generate for the beginning of a word.
    pub(super) fn complete_actions(&self, actions: &[&'static str], text: &str) -> Vec<String> {
        let mut out = Vec::new();
        for action in ORDER.iter().filter(|action| actions.contains(action)) {
            out.extend(self.complete_action(action, text));
            out.truncate(MAX_NAMES);
        }
        out
    }

    fn complete_action(&self, action: &str, text: &str) -> Vec<String> {
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let names: Vec<String> = match action {
            "command" => return self.complete_commands(text),
            "file" => return files(text, false),
            "directory" => return files(text, true),
            "alias" => sorted(self.aliases.keys().cloned().collect()),
            "function" => sorted(self.functions.keys().map(|name| name.to_string()).collect()),
            "variable" => self.variables(|_, _| true),
            "export" => self.variables(|flags, _| flags & vars::EXPORT != 0),
            "arrayvar" => self.variables(|_, value| matches!(value, Value::Array(_) | Value::Assoc(_))),
            "binding" => bindings::function_names().map(str::to_owned).collect(),
            "builtin" => table::names().map(str::to_owned).collect(),
            "disabled" => self.disabled.iter().map(|name| (*name).to_owned()).collect(),
            "enabled" => {
                table::names().filter(|name| !self.disabled.contains(name)).map(str::to_owned).collect()
            }
            "helptopic" => table::TOPICS.iter().map(|(name, ..)| (*name).to_owned()).collect(),
            "keyword" => lookup::RESERVED.iter().map(|name| (*name).to_owned()).collect(),
            "setopt" => Options::NAMES.iter().map(|name| (*name).to_owned()).collect(),
            "shopt" => sorted(Shopts::NAMES.iter().map(|name| (*name).to_owned()).collect()),
            "signal" => crate::builtins::signals::names(),
            "job" | "running" | "stopped" => self.job_names(action),
            "hostname" => hosts(),
            "user" => column("/etc/passwd", ':'),
            "group" => column("/etc/group", ':'),
            "service" => column("/etc/services", ' '),
            _ => Vec::new(),
        };
        names.into_iter().filter(|name| name.starts_with(text)).collect()
    }

    fn variables(&self, wanted: impl Fn(u16, &Value) -> bool) -> Vec<String> {
        self.vars
            .all()
            .into_iter()
            .filter(|(_, name)| {
                self.vars
                    .slot(*name)
                    .is_some_and(|slot| slot.value != Value::Unset && wanted(slot.flags, &slot.value))
            })
            .map(|(name, _)| name.to_string())
            .collect()
    }

    fn job_names(&self, action: &str) -> Vec<String> {
        let stopped = action == "stopped";
        self.jobs
            .list
            .iter()
            .filter(|job| !stopped && (action == "job" || job.ended().is_none()))
            .filter_map(|job| job.text().split_whitespace().next().map(str::to_owned))
            .collect()
    }

    fn complete_commands(&self, text: &str) -> Vec<String> {
        if text.contains('/') {
            let program = |name: &String| is_dir(name) || crate::builtins::test::is_program(name);
            return files(text, false).into_iter().filter(program).collect();
        }
        let mut out = Vec::new();
        for action in ["alias", "keyword", "function", "enabled"] {
            out.extend(self.complete_action(action, text));
        }
        let path = self.vars.get(crate::symbols::PATH).unwrap_or_default().into_owned();
        for directory in path.split(':') {
            let directory = if directory.is_empty() { "." } else { directory };
            let mut names: Vec<String> =
                entries(directory).into_iter().filter(|name| name.starts_with(text)).collect();
            names.retain(|name| crate::builtins::test::is_program(&format!("{directory}/{name}")));
            names.sort();
            out.extend(names);
            if out.len() > MAX_NAMES {
                break;
            }
        }
        out
    }

    /// A word as a file name: a tilde at its start is the home directory.
    pub(super) fn home_path(&self, text: &str) -> Option<String> {
        let rest = text.strip_prefix('~')?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        Some(format!("{}{rest}", self.vars.get(crate::symbols::HOME)?))
    }

    /// Files whose name begins so, as the word would name them.
    pub(super) fn complete_files(&self, text: &str, directories: bool) -> Vec<String> {
        match self.home_path(text).filter(|_| text.contains('/')) {
            Some(path) => {
                let home = path.len() - (text.len() - 1);
                files(&path, directories).iter().map(|name| format!("~{}", &name[home..])).collect()
            }
            None => files(text, directories),
        }
    }
}

/// Files whose name begins so, sorted.
fn files(text: &str, directories: bool) -> Vec<String> {
    let (base, name) = text.rsplit_once('/').map_or(("", text), |(base, name)| {
        let end = base.len() + 1;
        (&text[..end], name)
    });
    let mut names: Vec<String> = entries(if base.is_empty() { "." } else { base })
        .into_iter()
        .filter(|entry| entry.starts_with(name))
        .map(|entry| format!("{base}{entry}"))
        .filter(|path| !directories || is_dir(path))
        .collect();
    names.sort();
    names
}

fn entries(directory: &str) -> Vec<String> {
    let Ok(list) = std::fs::read_dir(&*crate::text::os(directory)) else { return Vec::new() };
    list.filter_map(Result::ok)
        .map(|entry| crate::text::from_os(entry.file_name()))
        .filter(|name| name != "." && name != "..")
        .take(MAX_NAMES)
        .collect()
}

fn is_dir(path: &str) -> bool {
    use agentos_guest::fs::{FileType, file_type, stat};
    stat(&*crate::text::os(path)).is_ok_and(|s| file_type(s.mode) == FileType::Dir)
}

/// The first column of a table of the system.
fn column(file: &str, separator: char) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split([separator, '\t']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The names in `/etc/hosts`.
fn hosts() -> Vec<String> {
    let text = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.split_whitespace().skip(1))
        .map(str::to_owned)
        .collect()
}
