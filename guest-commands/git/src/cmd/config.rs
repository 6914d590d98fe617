//! `git config`: reading and changing variables, with the old options and the newer subcommands.

use crate::args::{Args, Word};
use crate::config::{self, Config, Edit, Scope, truth};
use crate::error::{Res, Stop, failed, fatal, out, put};
use crate::regex::Regex;
use crate::repo::{Repo, Setting};
use std::path::PathBuf;

const USAGE: &str = "[<file-option>] [--get | --get-all | --get-regexp | --add | --unset | --unset-all | --replace-all | --list | --rename-section | --remove-section | --edit] [<name> [<value> [<value-pattern>]]]";

pub(crate) fn config(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "f", "config", USAGE);
    let (mut action, mut file, mut scope, mut kind) = (String::new(), None::<PathBuf>, None, String::new());
    let (mut nul, mut names, mut origin, mut show_scope, mut default) =
        (false, false, false, false, None::<String>);
    let mut plain: Vec<String> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--global" => scope = Some(Scope::Global),
                "--system" => scope = Some(Scope::System),
                "--local" | "--worktree" => scope = Some(Scope::Local),
                "-f" | "--file" | "--file=" => file = Some(PathBuf::from(args.value(&o)?)),
                "--get" | "--get-all" | "--get-regexp" | "--add" | "--unset" | "--unset-all"
                | "--replace-all" | "--rename-section" | "--remove-section" => action = o[2..].to_owned(),
                "--all" if action == "get" => action = "get-all".to_owned(),
                "--all" if action == "unset" => action = "unset-all".to_owned(),
                "--append" if action == "set" => action = "add".to_owned(),
                "--regexp" if action == "get" => action = "get-regexp".to_owned(),
                "-l" | "--list" => action = "list".to_owned(),
                "-e" | "--edit" => action = "edit".to_owned(),
                "-z" | "--null" => nul = true,
                "--name-only" => names = true,
                "--show-origin" => origin = true,
                "--show-scope" => show_scope = true,
                "--bool" => kind = "bool".to_owned(),
                "--int" => kind = "int".to_owned(),
                "--path" => kind = "path".to_owned(),
                "--bool-or-int" => kind = "bool-or-int".to_owned(),
                "--type=" | "--type" => kind = args.value(&o)?,
                "--default=" | "--default" => default = Some(args.value(&o)?),
                "--includes" | "--no-includes" => {}
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => {
                let word = crate::bytes::text(&word);
                let verbs = ["list", "get", "set", "unset", "rename-section", "remove-section", "edit"];
                if plain.is_empty() && action.is_empty() && verbs.contains(&word.as_str()) {
                    action = word;
                } else {
                    plain.push(word);
                }
            }
        }
    }
    let repo = Repo::open(setting);
    let repo = match repo {
        Ok(repo) => Some(repo),
        Err(_) if scope != Some(Scope::Local) => None,
        Err(_) => fatal!("--local can only be used inside a git repository"),
    };
    let dir = repo.as_ref().map(|r| r.common_dir.clone());
    let target = || -> Res<PathBuf> {
        if let Some(file) = &file {
            return Ok(repo.as_ref().map_or_else(|| file.clone(), |r| r.cwd.join(file)));
        }
        match scope {
            Some(Scope::Global) => {
                let files = config::global_files();
                let existing = files.iter().rev().find(|f| f.exists()).cloned();
                match existing.or_else(|| files.last().cloned()) {
                    Some(file) => Ok(file),
                    None => fatal!("$HOME not set"),
                }
            }
            Some(Scope::System) => Ok(config::system_file()),
            _ => match &dir {
                Some(dir) => Ok(dir.join("config")),
                None => fatal!("not in a git directory"),
            },
        }
    };
    if action.is_empty() {
        action = match plain.len() {
            1 => "get",
            2 | 3 => "set",
            _ => return Err(Stop::Said(129, args.usage_text())),
        }
        .to_owned();
    }
    let all = match (&file, scope) {
        (None, None) => Config::load(dir.as_deref(), &setting.config)?,
        (None, Some(Scope::Global)) => {
            let mut all = Config::default();
            for file in config::global_files() {
                all.read(&file, Scope::Global, dir.as_deref(), 0)?;
            }
            all
        }
        _ => {
            let mut all = Config::default();
            all.read(&target()?, scope.unwrap_or(Scope::Command), dir.as_deref(), 0)?;
            all
        }
    };
    let end: &[u8] = if nul { b"\0" } else { b"\n" };
    let head = |v: &config::Variable| {
        if show_scope {
            out!("{}{}", v.scope.name(), if nul { '\0' } else { '\t' });
        }
        if origin {
            let from = if v.scope == Scope::Command {
                "command line:".to_owned()
            } else {
                let cwd = agentos_guest::env::current_dir().unwrap_or_default();
                format!("file:{}", v.file.strip_prefix(&cwd).unwrap_or(&v.file).display())
            };
            out!("{from}{}", if nul { '\0' } else { '\t' });
        }
    };
    let pattern = |text: Option<&String>| -> Res<Option<Regex>> {
        text.map(|t| {
            Regex::new(t, true, false).map_err(|e| Stop::Error(6, format!("invalid pattern: {t}: {e}")))
        })
        .transpose()
    };
    let need = |n: usize| {
        if plain.len() < n { Err(Stop::Error(129, "wrong number of arguments".to_owned())) } else { Ok(()) }
    };
    match action.as_str() {
        "list" => {
            for v in &all.variables {
                head(v);
                put(&v.key);
                if let Some(value) = v.value.as_ref().filter(|_| !names) {
                    put(if nul { b"\n" } else { b"=" });
                    put(value);
                }
                put(end);
            }
            Ok(0)
        }
        "get" | "get-all" | "get-regexp" => {
            need(1)?;
            let filter = pattern(plain.get(1))?;
            let key_pattern =
                if action == "get-regexp" { pattern(Some(&plain[0].to_ascii_lowercase()))? } else { None };
            if key_pattern.is_none() && !plain[0].contains('.') {
                failed!("key does not contain a section: {}", plain[0]);
            }
            let wanted = config::split_key(&plain[0]).map(|(s, sub, n)| match sub {
                Some(sub) => format!("{s}.{sub}.{n}"),
                None => format!("{s}.{n}"),
            });
            let mut found: Vec<&config::Variable> = all
                .variables
                .iter()
                .filter(|v| match &key_pattern {
                    Some(pattern) => pattern.is_match(&v.key),
                    None => Some(crate::bytes::text(&v.key)) == wanted,
                })
                .filter(|v| {
                    filter.as_ref().is_none_or(|f| f.is_match(v.value.as_deref().unwrap_or_default()))
                })
                .collect();
            if action == "get" && found.len() > 1 {
                found = found.split_off(found.len() - 1);
            }
            if found.is_empty() {
                if let Some(value) = default {
                    out!("{}\n", typed(&value, &kind, &plain[0])?);
                    return Ok(0);
                }
                return Ok(1);
            }
            for v in found {
                head(v);
                if key_pattern.is_some() {
                    put(&v.key);
                    if names {
                        put(end);
                        continue;
                    }
                    put(if nul { b"\n" } else { b" " });
                }
                match &v.value {
                    Some(value) if kind.is_empty() => put(value),
                    Some(value) => out!("{}", typed(&crate::bytes::text(value), &kind, &plain[0])?),
                    None if kind.starts_with("bool") => put(b"true"),
                    None => {}
                }
                put(end);
            }
            Ok(0)
        }
        "set" | "add" | "replace-all" => {
            need(2)?;
            if plain.len() > 3 {
                return Err(Stop::Error(129, "wrong number of arguments".to_owned()));
            }
            let value = if kind.is_empty() { plain[1].clone() } else { typed(&plain[1], &kind, &plain[0])? };
            let filter = pattern(plain.get(2))?;
            let edit = match action.as_str() {
                "set" => Edit::Set(value.as_bytes()),
                "add" => Edit::Add(value.as_bytes()),
                _ => Edit::ReplaceAll(value.as_bytes()),
            };
            check_key(&plain[0])?;
            config::edit(&target()?, &plain[0], &edit, &|v| filter.as_ref().is_none_or(|f| f.is_match(v)))
        }
        "unset" | "unset-all" => {
            need(1)?;
            check_key(&plain[0])?;
            let filter = pattern(plain.get(1))?;
            let edit = if action == "unset" { Edit::Unset } else { Edit::UnsetAll };
            config::edit(&target()?, &plain[0], &edit, &|v| filter.as_ref().is_none_or(|f| f.is_match(v)))
        }
        "rename-section" | "remove-section" => {
            let rename = action == "rename-section";
            need(if rename { 2 } else { 1 })?;
            if !config::rename_section(&target()?, &plain[0], rename.then(|| plain[1].as_str()))? {
                fatal!("no such section: {}", plain[0]);
            }
            Ok(0)
        }
        _ => {
            let file = target()?;
            let repo = Repo::open(setting)?;
            crate::message::edit(&repo, &file)?;
            Ok(0)
        }
    }
}

fn check_key(key: &str) -> Res<()> {
    let Some((section, _, name)) = config::split_key(key) else {
        return Err(Stop::Error(2, format!("key does not contain a section: {key}")));
    };
    if name.is_empty() {
        return Err(Stop::Error(2, format!("key does not contain variable name: {key}")));
    }
    let word = |w: &str| w.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !word(&section) || !word(&name) || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Stop::Error(1, format!("invalid key: {key}")));
    }
    Ok(())
}

/// A value as its type is written.
fn typed(value: &str, kind: &str, key: &str) -> Res<String> {
    let number = |value: &str| -> Option<i64> {
        let (digits, unit) = match value.to_ascii_lowercase().as_bytes().last()? {
            b'k' => (&value[..value.len() - 1], 1 << 10),
            b'm' => (&value[..value.len() - 1], 1 << 20),
            b'g' => (&value[..value.len() - 1], 1 << 30),
            _ => (value, 1),
        };
        digits.parse::<i64>().ok()?.checked_mul(unit)
    };
    Ok(match kind {
        "" => value.to_owned(),
        "bool" => match truth(value) {
            Some(yes) => yes.to_string(),
            None => fatal!("bad boolean config value '{value}' for '{}'", key.to_ascii_lowercase()),
        },
        "int" => match number(value) {
            Some(number) => number.to_string(),
            None => {
                fatal!("bad numeric config value '{value}' for '{}': invalid unit", key.to_ascii_lowercase())
            }
        },
        "bool-or-int" => number(value)
            .map(|n| n.to_string())
            .or_else(|| truth(value).map(|t| t.to_string()))
            .unwrap_or_else(|| value.to_owned()),
        "path" => config::expand_home(value),
        other => fatal!("unrecognized --type argument, {other}"),
    })
}
