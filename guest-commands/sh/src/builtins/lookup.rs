//! Builtins about what names mean: `command`, `builtin`, `type`, `hash`, `alias`.

use crate::shell::{Flow, Shell};

pub(crate) const RESERVED: &[&str] = &[
    "if", "then", "else", "elif", "fi", "case", "esac", "for", "select", "while", "until", "do", "done",
    "in", "function", "time", "{", "}", "!", "[[", "]]", "coproc",
];

enum Meaning {
    Alias(String),
    Keyword,
    Function,
    Builtin,
    File(String),
}

fn meaning(sh: &Shell, name: &str) -> Option<Meaning> {
    if let Some(value) = sh.aliases.get(name).filter(|_| sh.shopts.expand_aliases) {
        return Some(Meaning::Alias(value.clone()));
    }
    if RESERVED.contains(&name) {
        return Some(Meaning::Keyword);
    }
    if sh.functions.contains_key(name) {
        return Some(Meaning::Function);
    }
    if sh.builtin(name).is_some() {
        return Some(Meaning::Builtin);
    }
    sh.find_program(name).filter(|path| super::test::is_program(path)).map(Meaning::File)
}

pub(super) fn command(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut words = &args[1..];
    let mut show = None;
    while let Some(option) = words.first().filter(|w| w.starts_with('-') && w.len() > 1) {
        match option.as_str() {
            "--" => {
                words = &words[1..];
                break;
            }
            "-p" => {}
            "-v" | "-V" | "-pv" | "-pV" => show = option.chars().last(),
            _ => {
                sh.complain("command", &format!("{option}: invalid option"));
                return Ok(2);
            }
        }
        words = &words[1..];
    }
    if words.is_empty() {
        return Ok(0);
    }
    match show {
        None => sh.run_without_functions(words),
        Some(how) => {
            let mut status = 1;
            for name in words {
                let found = meaning(sh, name);
                if found.is_some() {
                    status = 0;
                } else if how == 'V' {
                    sh.complain("command", &format!("{name}: not found"));
                }
                if let Some(found) = found {
                    let line = if how == 'V' { describe(sh, name, &found) } else { short(name, &found) };
                    sh.print(&(line + "\n"));
                }
            }
            Ok(status)
        }
    }
}

fn short(name: &str, meaning: &Meaning) -> String {
    match meaning {
        Meaning::Alias(value) => format!("alias {name}={}", crate::expand_quote(value)),
        Meaning::File(path) => path.clone(),
        _ => name.to_owned(),
    }
}

fn describe(sh: &Shell, name: &str, meaning: &Meaning) -> String {
    match meaning {
        Meaning::Alias(value) => format!("{name} is aliased to `{value}'"),
        Meaning::Keyword => format!("{name} is a shell keyword"),
        Meaning::Function => {
            format!("{name} is a function\n{}", sh.function_text(name).unwrap_or_default())
        }
        Meaning::Builtin => format!("{name} is a shell builtin"),
        Meaning::File(path) => format!("{name} is {path}"),
    }
}

impl Shell {
    /// Runs a builtin or program, whatever functions there are.
    fn run_without_functions(&mut self, words: &[String]) -> Result<i32, Flow> {
        match self.builtin(&words[0]) {
            Some(_) if words[0] == "exec" => {
                self.flush();
                self.exec_words(&words[1..])?;
                Ok(self.status)
            }
            Some(builtin) => builtin(self, words),
            None => {
                self.flush();
                self.run_words(words);
                Ok(self.status)
            }
        }
    }
}

pub(super) fn builtin(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words = if args.get(1).is_some_and(|a| a == "--") { &args[2..] } else { &args[1..] };
    let Some(name) = words.first() else { return Ok(0) };
    match sh.builtin(name) {
        Some(found) => found(sh, words),
        None => Ok(sh.complain("builtin", &format!("{name}: not a shell builtin"))),
    }
}

pub(super) fn type_of(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut kind, mut path, mut force) = (false, false, false);
    let mut words = &args[1..];
    while let Some(option) = words.first().filter(|w| w.starts_with('-') && w.len() > 1) {
        for letter in option[1..].chars() {
            match letter {
                't' => kind = true,
                'p' => path = true,
                'P' => {
                    path = true;
                    force = true;
                }
                _ => {}
            }
        }
        words = &words[1..];
    }
    let mut status = 0;
    for name in words {
        let found = if force {
            sh.find_program(name).filter(|p| super::test::is_program(p)).map(Meaning::File)
        } else {
            meaning(sh, name)
        };
        let Some(found) = found else {
            status = 1;
            if !kind && !path {
                sh.complain("type", &format!("{name}: not found"));
            }
            continue;
        };
        let line = match (&found, kind, path) {
            (_, true, _) => match found {
                Meaning::Alias(_) => "alias",
                Meaning::Keyword => "keyword",
                Meaning::Function => "function",
                Meaning::Builtin => "builtin",
                Meaning::File(_) => "file",
            }
            .to_owned(),
            (Meaning::File(file), _, true) => file.clone(),
            (_, _, true) => continue,
            _ => describe(sh, name, &found),
        };
        sh.print(&(line + "\n"));
    }
    Ok(status)
}

pub(super) fn hash(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    match args.get(1).map(String::as_str) {
        None => {
            let lines: String = sh.hashed.values().map(|p| format!("   0\t{p}\n")).collect();
            let head = if lines.is_empty() { "" } else { "hits\tcommand\n" };
            sh.print(&format!("{head}{lines}"));
        }
        Some("-r") => sh.hashed.clear(),
        Some("-p") => {
            if let (Some(path), Some(name)) = (args.get(2), args.get(3)) {
                sh.hashed.insert(name.clone(), path.clone());
            }
        }
        Some("-d") => {
            for name in &args[2..] {
                sh.hashed.remove(name);
            }
        }
        Some("-t") => {
            for name in &args[2..] {
                match sh.hashed.get(name).cloned().or_else(|| sh.find_program(name)) {
                    Some(path) => sh.print(&(path + "\n")),
                    None => return Ok(sh.complain("hash", &format!("{name}: not found"))),
                }
            }
        }
        Some(_) => {
            let mut status = 0;
            for name in &args[1..] {
                if sh.builtin(name).is_some() || sh.functions.contains_key(name.as_str()) {
                    continue;
                }
                match sh.find_program(name) {
                    Some(path) => drop(sh.hashed.insert(name.clone(), path)),
                    None => status = sh.complain("hash", &format!("{name}: not found")),
                }
            }
            return Ok(status);
        }
    }
    Ok(0)
}

pub(super) fn alias(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words: Vec<&String> = args[1..].iter().filter(|a| *a != "-p" && *a != "--").collect();
    let show = |name: &str, value: &str| format!("alias {name}={}\n", crate::expand_quote(value));
    if words.is_empty() {
        let mut lines: Vec<String> = sh.aliases.iter().map(|(n, v)| show(n, v)).collect();
        lines.sort();
        sh.print(&lines.concat());
        return Ok(0);
    }
    let mut status = 0;
    for word in words {
        match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                drop(sh.aliases.insert(name.to_owned(), value.to_owned()))
            }
            _ => match sh.aliases.get(word).cloned() {
                Some(value) => sh.print(&show(word, &value)),
                None => status = sh.complain("alias", &format!("{word}: not found")),
            },
        }
    }
    Ok(status)
}

pub(super) fn unalias(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut status = 0;
    for word in &args[1..] {
        if word == "-a" {
            sh.aliases.clear();
        } else if sh.aliases.remove(word).is_none() {
            status = sh.complain("unalias", &format!("{word}: not found"));
        }
    }
    Ok(status)
}
