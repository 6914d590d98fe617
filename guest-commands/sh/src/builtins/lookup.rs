//! Builtins about what names mean: `command`, `builtin`, `type`. Remembered places are in `hash`, aliases in `alias`.

use super::getopt::{self, Options};
use crate::shell::{Flow, Shell};

pub(crate) const RESERVED: &[&str] = &[
    "if", "then", "else", "elif", "fi", "case", "esac", "for", "select", "while", "until", "do", "done",
    "in", "function", "time", "{", "}", "!", "[[", "]]", "coproc",
];

/// Where the system's own programs are, for `command -p`.
const STANDARD_PATH: &str = "/bin:/usr/bin:/sbin:/usr/sbin:/etc:/usr/etc";

enum Meaning {
    Alias(String),
    Keyword,
    Function,
    Builtin,
    Hashed(String),
    File(String),
}

/// Which meanings are looked for.
#[derive(Default, Clone, Copy)]
struct Search {
    /// All of them, not the first.
    all: bool,
    /// Only files.
    files: bool,
    no_functions: bool,
    /// Files of the standard path.
    standard: bool,
}

fn meanings(sh: &mut Shell, name: &str, search: Search) -> Vec<Meaning> {
    let mut found = Vec::new();
    if !search.files {
        if let Some(value) = sh.aliases.get(name).filter(|_| sh.shopts.expand_aliases) {
            found.push(Meaning::Alias(value.clone()));
        }
        if RESERVED.contains(&name) {
            found.push(Meaning::Keyword);
        }
        if !search.no_functions && sh.functions.contains_key(name) {
            found.push(Meaning::Function);
        }
        if sh.builtin(name).is_some() {
            found.push(Meaning::Builtin);
        }
        if !search.all && !found.is_empty() {
            found.truncate(1);
            return found;
        }
    }
    if name.contains('/') {
        if super::test::is_program(name) {
            found.push(Meaning::File(name.to_owned()));
        }
        return found;
    }
    if name.is_empty() {
        return found;
    }
    if (!search.all || search.files && !search.standard)
        && let Some(path) = sh.hashed_path(name)
    {
        found.push(Meaning::Hashed(path));
        if !search.all {
            return found;
        }
    }
    if search.all {
        found.extend(sh.programs(name).into_iter().map(Meaning::File));
    } else if search.standard {
        let files = STANDARD_PATH.split(':').map(|dir| format!("{dir}/{name}"));
        found.extend(files.into_iter().find(|file| super::test::is_program(file)).map(Meaning::File));
    } else {
        found.extend(sh.program_or_file(name).map(Meaning::File));
    }
    found
}

pub(super) fn command(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut options = Options::new(args);
    let (mut show, mut standard) = (None, false);
    loop {
        match options.next(sh, "pvV") {
            Ok(Some(('p', _))) => standard = true,
            Ok(Some((letter, _))) => show = Some(letter),
            Ok(None) => break,
            Err(status) => return Ok(status),
        }
    }
    let words = options.rest();
    if words.is_empty() {
        return Ok(0);
    }
    let Some(how) = show else { return sh.run_without_functions(words, standard) };
    let search = Search { standard, ..Search::default() };
    let mut status = 1;
    for name in words {
        match meanings(sh, name, search).first() {
            Some(found) => {
                status = 0;
                let line = if how == 'V' { describe(sh, name, found) } else { short(name, found) };
                sh.print(&(line + "\n"));
            }
            None if how == 'V' => drop(sh.complain("command", &format!("{name}: not found"))),
            None => {}
        }
    }
    Ok(status)
}

fn short(name: &str, meaning: &Meaning) -> String {
    match meaning {
        Meaning::Alias(value) => super::alias::definition(false, name, value),
        Meaning::File(path) | Meaning::Hashed(path) => path.clone(),
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
        Meaning::Builtin if sh.opts.posix && super::is_special(name) => {
            format!("{name} is a special shell builtin")
        }
        Meaning::Builtin => format!("{name} is a shell builtin"),
        Meaning::Hashed(path) => format!("{name} is hashed ({path})"),
        Meaning::File(path) => format!("{name} is {path}"),
    }
}

impl Shell {
    /// Runs a builtin or program, whatever functions there are.
    fn run_without_functions(&mut self, words: &[String], standard: bool) -> Result<i32, Flow> {
        match self.builtin(&words[0]) {
            Some(_) if words[0] == "exec" => {
                self.flush();
                self.keeps = words.len() == 1;
                self.exec_words(words)?;
                Ok(self.status)
            }
            Some(builtin) => self.call_builtin(builtin, words),
            None => {
                self.flush();
                let path = self.standard_program(&words[0]).filter(|_| standard);
                match path {
                    // Known for the time of the command, the name need not be looked for.
                    Some(path) => {
                        let before = self.hashed.insert(words[0].clone(), (path, 0));
                        self.run_words(words);
                        match before {
                            Some(before) => drop(self.hashed.insert(words[0].clone(), before)),
                            None => drop(self.hashed.remove(&words[0])),
                        }
                    }
                    None => self.run_words(words),
                }
                Ok(self.status)
            }
        }
    }

    fn standard_program(&self, name: &str) -> Option<String> {
        if name.contains('/') {
            return None;
        }
        STANDARD_PATH.split(':').map(|dir| format!("{dir}/{name}")).find(|file| super::test::is_program(file))
    }
}

pub(super) fn builtin(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let words = match getopt::flags(sh, args, "") {
        Ok((_, words)) => words,
        Err(status) => return Ok(status),
    };
    let Some(name) = words.first() else { return Ok(0) };
    match sh.builtin(name) {
        Some(_) if name == "exec" => sh.run_without_functions(words, false),
        Some(found) => sh.call_builtin(found, words),
        None => Ok(sh.complain("builtin", &format!("{name}: not a shell builtin"))),
    }
}

pub(super) fn type_of(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let mut args = args.to_vec();
    for word in args.iter_mut().skip(1).take_while(|w| w.starts_with('-') && *w != "--") {
        match word.trim_start_matches('-') {
            "type" => *word = "-t".into(),
            "path" => *word = "-p".into(),
            "all" => *word = "-a".into(),
            _ => {}
        }
    }
    let (flags, words) = match getopt::flags(sh, &args, "aptPf") {
        Ok(found) => found,
        Err(status) => return Ok(status),
    };
    let has = |letter| flags.contains(letter);
    // The last of `-t` and `-p` holds.
    let shape = flags.chars().rfind(|c| matches!(c, 't' | 'p' | 'P'));
    let (kind, path) = (shape == Some('t'), matches!(shape, Some('p' | 'P')));
    let search = Search { all: has('a'), files: has('P'), no_functions: has('f'), standard: false };
    let mut status = 0;
    for name in words {
        let found = meanings(sh, name, search);
        if found.is_empty() {
            status = 1;
            if !kind && !path {
                sh.complain("type", &format!("{name}: not found"));
            }
            continue;
        }
        for found in &found {
            let line = match (found, kind, path) {
                (Meaning::Alias(_), true, _) => "alias".to_owned(),
                (Meaning::Keyword, true, _) => "keyword".to_owned(),
                (Meaning::Function, true, _) => "function".to_owned(),
                (Meaning::Builtin, true, _) => "builtin".to_owned(),
                (Meaning::File(_) | Meaning::Hashed(_), true, _) => "file".to_owned(),
                (Meaning::File(file) | Meaning::Hashed(file), _, true) => file.clone(),
                (_, _, true) => continue,
                _ => describe(sh, name, found),
            };
            sh.print(&(line + "\n"));
        }
    }
    Ok(status)
}
