//! Completion of the word before the cursor: commands, variables, users, files. It shows nothing.

use super::width::shown_width;
use crate::completion::Request;
use crate::shell::Shell;
use crate::symbols;
use agentos_guest::fs;
use std::collections::BTreeSet;

/// How many candidates are collected.
const MAX_CANDIDATES: usize = 20_000;

const KEYWORDS: &[&str] = &[
    "!", "[[", "]]", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if",
    "in", "select", "then", "time", "until", "while", "{", "}",
];

/// What a word is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What it looks like, and what `complete` says about the command.
    Any,
    File,
    Command,
    User,
    Host,
    Variable,
}

/// What completes a word.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Completion {
    /// The first byte of what is replaced.
    pub(crate) start: usize,
    /// What all candidates begin with, quoted as the line needs it.
    pub(crate) common: String,
    /// The candidates as they are listed, and as they stand in the line.
    pub(crate) shown: Vec<String>,
    pub(crate) choices: Vec<String>,
    /// What follows the only candidate.
    pub(crate) ends: String,
}

/// The word before the cursor.
#[derive(Debug, PartialEq, Eq)]
struct Word {
    start: usize,
    /// Its text without quotes.
    text: String,
    quote: Option<char>,
    /// It names a command.
    command: bool,
    /// The words of the command before it, and where the command begins.
    before: Vec<String>,
    begins: usize,
}

/// Finds the word at the end of a line.
fn word(line: &str) -> Word {
    let mut word =
        Word { start: 0, text: String::new(), quote: None, command: true, before: Vec::new(), begins: 0 };
    let mut begun = false;
    // The word is the value of an assignment, after which a command may follow.
    let mut value = false;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (word.quote, c) {
            (None | Some('"'), '\\') => {
                begun = true;
                word.text.extend(chars.next().map(|(_, c)| c));
            }
            (Some(open), c) if open == c => word.quote = None,
            (Some(_), c) => word.text.push(c),
            (None, '\'' | '"') => {
                if !begun {
                    word.start = at;
                }
                begun = true;
                word.quote = Some(c);
            }
            (None, ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | '<' | '>') => {
                if begun || value {
                    word.command = word.command && (value || stays_command(&word.text));
                    if !(word.before.is_empty() && (value || word.command)) {
                        word.before.push(std::mem::take(&mut word.text));
                    }
                }
                value = false;
                match c {
                    ';' | '&' | '|' | '(' | '\n' => {
                        word.command = true;
                        word.before.clear();
                        word.begins = at + 1;
                    }
                    '<' | '>' => word.command = false,
                    _ => {}
                }
                begun = false;
                word.text.clear();
                word.start = at + 1;
            }
            // What follows is a word of its own for completion.
            (None, '=' | ':') if begun && !word.text.starts_with('~') => {
                value = value || word.command && c == '=' && crate::text::is_name(&word.text);
                word.command = value;
                begun = false;
                word.text.clear();
                word.start = at + 1;
            }
            (None, c) => {
                if !begun {
                    word.start = at;
                }
                begun = true;
                word.text.push(c);
            }
        }
    }
    if !begun {
        word.start = line.len();
    }
    word.command = word.command && !value;
    word
}

/// Whether a command may still follow a word.
fn stays_command(word: &str) -> bool {
    matches!(
        word,
        "!" | "do"
            | "elif"
            | "else"
            | "if"
            | "then"
            | "time"
            | "until"
            | "while"
            | "{"
            | "exec"
            | "sudo"
            | "nohup"
    ) || word.is_empty()
}

/// What is found for a word.
#[derive(Default)]
struct Found {
    /// What the candidates have before themselves, such as the directory.
    head: String,
    names: BTreeSet<String>,
    /// Where a name is a directory.
    files: bool,
    ends: &'static str,
    /// The names are put into the line as they are.
    raw: bool,
    /// Nothing follows the only one.
    open: bool,
}

/// Completes the word at the end of a line.
pub(crate) fn complete(sh: &mut Shell, line: &str, kind: Kind) -> Completion {
    let word = word(line);
    let nothing = Completion { start: word.start, ..Completion::default() };
    if kind == Kind::Any && word.command && word.text.is_empty() && sh.shopts.no_empty_cmd_completion {
        return nothing;
    }
    let found = match kind {
        Kind::Any => programmed(sh, &word, line),
        _ => None,
    };
    let mut found = match found {
        Some(found) => found,
        None => find(sh, &word, kind),
    };
    let sh = &*sh;
    if found.files {
        ignore(sh, &mut found.names);
    }
    let fold = sh.bindings.on("completion-ignore-case");
    let Some(first) = found.names.first() else { return nothing };
    let common = found.names.iter().skip(1).fold(first.as_str(), |common, name| {
        let same = |(a, b): &(char, char)| if fold { a.to_lowercase().eq(b.to_lowercase()) } else { a == b };
        let len = common.chars().zip(name.chars()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
        &common[..len]
    });
    let mark = sh.bindings.on("mark-directories");
    let path = |name: &str| directory(sh, &found.head) + name;
    let is_dir = |name: &str| found.files && crate::builtins::test::is_dir(&path(name));
    let only = found.names.len() == 1;
    let open = word.quote.map(String::from).unwrap_or_default();
    // A directory that was spelled with a variable keeps it.
    let varies = found.files && found.head.contains('$') && word.quote != Some('\'');
    let written = |name: &str| {
        let text = found.head.clone() + name;
        let variable = text.starts_with('$') && !found.files;
        open.clone()
            + &match () {
                () if variable || found.raw => text,
                () if varies => found.head.clone() + &quoted(name, word.quote, sh.shopts.complete_fullquote),
                () => quoted(&text, word.quote, true),
            }
    };
    let text = written(common);
    let link = || std::fs::symlink_metadata(&*crate::text::os(&path(first))).is_ok_and(|m| m.is_symlink());
    let variable = found.head.starts_with('$') && !found.files;
    let ends = match () {
        () if !only => String::new(),
        () if is_dir(first) => {
            // A link to a directory is marked once its name is complete.
            let changed = text != line[word.start..];
            match () {
                () if !mark => String::new(),
                () if changed && !sh.bindings.on("mark-symlinked-directories") && link() => String::new(),
                () => "/".to_owned(),
            }
        }
        () if found.ends == "/" || variable && crate::builtins::test::is_dir(&value(sh, first)) => {
            "/".to_owned()
        }
        () if found.open => found.ends.to_owned(),
        () => found.ends.to_owned() + &open + " ",
    };
    let stats = sh.bindings.on("visible-stats");
    let listed = |name: &String| match () {
        () if found.files && stats => name.clone() + kind_of_file(&path(name)),
        () if mark && is_dir(name) => format!("{name}/"),
        () => name.clone(),
    };
    Completion {
        start: word.start,
        shown: found.names.iter().map(listed).collect(),
        choices: found.names.iter().map(|name| written(name)).collect(),
        common: text,
        ends,
    }
}

/// The character that tells what a file is.
fn kind_of_file(path: &str) -> &'static str {
    use agentos_guest::fs::FileType;
    let Ok(stat) = fs::lstat(&*crate::text::os(path)) else { return "" };
    match fs::file_type(stat.mode) {
        FileType::Dir => "/",
        FileType::Symlink => "@",
        FileType::Fifo => "|",
        FileType::Socket => "=",
        FileType::File if stat.mode & 0o111 != 0 => "*",
        _ => "",
    }
}

/// Drops the names that end as `FIGNORE` says; without `force_fignore` not all of them.
fn ignore(sh: &Shell, names: &mut BTreeSet<String>) {
    let Some(suffixes) = sh.vars.get(symbols::sym("FIGNORE")) else { return };
    let ignored = |name: &str| {
        suffixes.split(':').any(|end| !end.is_empty() && name.len() > end.len() && name.ends_with(end))
    };
    if sh.shopts.force_fignore || names.iter().any(|name| !ignored(name)) {
        names.retain(|name| !ignored(name));
    }
}

/// The value of a variable.
fn value(sh: &Shell, name: &str) -> String {
    sh.vars.get(crate::symbols::sym(name)).unwrap_or_default().into_owned()
}

/// What `complete` says about the arguments of the command; `None` if it says nothing.
fn programmed(sh: &mut Shell, word: &Word, line: &str) -> Option<Found> {
    if !sh.shopts.progcomp {
        return None;
    }
    let specs = &sh.completions;
    let (command, spec) = if word.command {
        let empty = line.trim().is_empty();
        let spec = if empty { specs.get("_EmptycmD_") } else { specs.get("_InitialWorD_") };
        (word.text.clone(), spec?.clone())
    } else {
        let command = word.before.first()?.clone();
        let name = command.rsplit('/').next().unwrap_or(&command);
        let spec = specs.get(&command).or_else(|| specs.get(name)).or_else(|| specs.get("_DefaultCmD_"))?;
        let spec = spec.clone();
        (command, spec)
    };
    let mut words = word.before.clone();
    words.push(word.text.clone());
    let request = Request {
        command,
        word: word.text.clone(),
        previous: word.before.last().cloned().unwrap_or_default(),
        line: line[word.begins..].trim_start().to_owned(),
        point: line[word.begins..].trim_start().len(),
        index: words.len() as i64 - 1,
        words,
        kind: 9,
        key: 9,
    };
    let status = sh.status;
    let names = sh.candidates_or_files(&spec, &request);
    sh.flush();
    sh.status = status;
    let names: BTreeSet<String> = names.ok()?.into_iter().take(MAX_CANDIDATES).collect();
    if names.is_empty() && spec.has("bashdefault") {
        return None;
    }
    let files = spec.has("filenames") || spec.has("default") || spec.actions.contains(&"file");
    Some(Found { names, files, raw: !files, open: spec.has("nospace"), ..Found::default() })
}

fn find(sh: &mut Shell, word: &Word, kind: Kind) -> Found {
    let text = word.text.as_str();
    let any = kind == Kind::Any;
    let mut found = Found::default();
    let variable = text.strip_prefix('$').filter(|_| any && word.quote != Some('\''));
    if let Some(prefix) = variable.or(Some(text).filter(|_| kind == Kind::Variable)) {
        let prefix = prefix.strip_prefix('$').unwrap_or(prefix);
        let (brace, name) = match prefix.strip_prefix('{') {
            Some(name) => ("{", name),
            None => ("", prefix),
        };
        if name.is_empty() || crate::text::is_name(name) {
            found.head = format!("${brace}");
            found.ends = if brace.is_empty() { "" } else { "}" };
            let names = sh.vars.all().into_iter().map(|(name, _)| name.to_string());
            found.names = names.filter(|n| n.starts_with(name)).collect();
            return found;
        }
    }
    let user = text.strip_prefix('~').filter(|user| any && !user.contains('/') && word.quote.is_none());
    if let Some(user) = user.or(Some(text).filter(|_| kind == Kind::User)) {
        let user = user.strip_prefix('~').unwrap_or(user);
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let names = users.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name));
        found.names = names.filter(|n| n.starts_with(user)).map(|n| format!("~{n}")).collect();
        found.ends = "/";
        if !found.names.is_empty() || kind == Kind::User {
            return found;
        }
        found.ends = "";
    }
    let host = text.rsplit_once('@').filter(|_| any && sh.shopts.hostcomplete);
    if let Some((before, name)) = host.or(Some(("", text)).filter(|_| kind == Kind::Host)) {
        found.head =
            if before.is_empty() && !text.contains('@') { String::new() } else { format!("{before}@") };
        let name = name.rsplit('@').next().unwrap_or(name);
        found.names = hosts(sh).into_iter().filter(|host| host.starts_with(name)).collect();
        if !found.names.is_empty() || kind == Kind::Host {
            return found;
        }
    }
    if (any && word.command || kind == Kind::Command) && !text.contains('/') {
        found = Found { names: commands(sh, text), ..Found::default() };
        if !found.names.is_empty() || kind == Kind::Command {
            return found;
        }
    }
    let (dir, name) = text.rfind('/').map_or(("", text), |at| text.split_at(at + 1));
    found = Found { head: dir.to_owned(), files: true, ..Found::default() };
    if dir.contains('$') && word.quote != Some('\'') || sh.shopts.direxpand {
        let full = directory(sh, dir);
        let full = match crate::builtins::test::is_dir(&full) {
            false if sh.shopts.direxpand && sh.shopts.dirspell && !dir.is_empty() => {
                super::spell::correct(&full).unwrap_or(full)
            }
            _ => full,
        };
        if sh.shopts.direxpand {
            found.head = full;
        }
    }
    if sh.bindings.on("expand-tilde") && word.quote.is_none() {
        found.head = expand_tilde(sh, &found.head);
    }
    let full = directory(sh, &found.head);
    let command = word.command && any;
    found.names =
        files(sh, &full, name, |path| !command || crate::builtins::test::is_dir(path) || executable(path));
    found
}

/// The hosts of the file that `HOSTFILE` names, or of the system.
fn hosts(sh: &Shell) -> BTreeSet<String> {
    let named = sh.vars.get(symbols::sym("HOSTFILE")).filter(|path| !path.is_empty());
    let path = named.as_deref().unwrap_or("/etc/hosts");
    let text = std::fs::read(&*crate::text::os(path)).map(crate::text::from_bytes).unwrap_or_default();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let names = lines.flat_map(|line| line.split_whitespace().skip(1)).take(MAX_CANDIDATES);
    names.map(str::to_owned).collect()
}

/// The directory that a text names: tildes and simple variables are expanded.
fn directory(sh: &Shell, text: &str) -> String {
    let text = expand_tilde(sh, text);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, used) = match after.strip_prefix('{') {
            Some(inner) => match inner.find('}') {
                Some(end) => (&inner[..end], end + 2),
                None => return text,
            },
            None => {
                let len = after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
                (&after[..len], len)
            }
        };
        if !crate::text::is_name(name) {
            return text;
        }
        out.push_str(&value(sh, name));
        rest = &after[used..];
    }
    out + rest
}

fn commands(sh: &Shell, prefix: &str) -> BTreeSet<String> {
    let own = KEYWORDS.iter().copied().chain(crate::builtins::table::names()).map(str::to_owned);
    let own = own.chain(sh.functions.keys().map(|name| name.to_string())).chain(sh.aliases.keys().cloned());
    let mut names: BTreeSet<String> = own.filter(|name| begins(sh, name, prefix)).collect();
    let path = sh.vars.get(symbols::PATH).unwrap_or_default();
    for dir in path.split(':').filter(|dir| !dir.is_empty()) {
        names.extend(files(sh, &format!("{dir}/"), prefix, executable));
    }
    if sh.shopts.autocd && !prefix.is_empty() {
        names.extend(files(sh, "", prefix, crate::builtins::test::is_dir));
    }
    names
}

fn executable(path: &str) -> bool {
    crate::builtins::test::is_file(path) && fs::access(&*crate::text::os(path), fs::X_OK).is_ok()
}

/// Whether a name begins with a text, as the settings compare them.
fn begins(sh: &Shell, name: &str, prefix: &str) -> bool {
    if !sh.bindings.on("completion-ignore-case") {
        return name.starts_with(prefix);
    }
    let map = sh.bindings.on("completion-map-case");
    let plain = |c: char| if map && c == '-' { '_' } else { c };
    let mut name = name.chars();
    prefix.chars().all(|p| name.next().is_some_and(|n| plain(n).to_lowercase().eq(plain(p).to_lowercase())))
}

/// The names in a directory that begin with a text.
fn files(sh: &Shell, dir: &str, prefix: &str, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let place = if dir.is_empty() { "." } else { dir };
    let Ok(entries) = std::fs::read_dir(&*crate::text::os(place)) else { return BTreeSet::new() };
    let hidden = sh.bindings.on("match-hidden-files") || prefix.starts_with('.');
    let dots = [".", ".."].map(str::to_owned).into_iter().filter(|_| prefix.starts_with('.'));
    entries
        .filter_map(|entry| entry.ok().map(|entry| crate::text::from_os(entry.file_name())))
        .chain(dots)
        .filter(|name| begins(sh, name, prefix) && (hidden || !name.starts_with('.')))
        .filter(|name| wanted(&format!("{dir}{name}")))
        .take(MAX_CANDIDATES)
        .collect()
}

fn expand_tilde(sh: &Shell, path: &str) -> String {
    match path.strip_prefix('~') {
        Some(rest) => {
            let (user, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            sh.tilde(user) + rest
        }
        None => path.to_owned(),
    }
}

/// Text as it stands in the line within the quotes that are open; without `full` a dollar sign is left as it is.
fn quoted(text: &str, quote: Option<char>, full: bool) -> String {
    let special = match quote {
        Some('\'') => "",
        Some(_) => "\"$`\\",
        None => " \t\n\\\"'`$&|;<>()*?[]{}!#",
    };
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.chars().enumerate() {
        if special.contains(c) && (full || c != '$') && !(c == '#' && i > 0 && quote.is_none()) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Candidates in columns, as wide as the window allows: each column from top to bottom, or with `across` each row.
pub(crate) fn columns(names: &[String], width: usize, across: bool) -> String {
    // The slash of a directory is not counted, as in readline.
    let widest =
        names.iter().map(|name| shown_width(name.strip_suffix('/').unwrap_or(name))).max().unwrap_or(0) + 2;
    let columns = (width / widest).max(1);
    let rows = names.len().div_ceil(columns);
    let mut out = String::new();
    let place = |row, column| if across { row * columns + column } else { column * rows + row };
    for row in 0..rows {
        for column in 0..columns {
            let Some(name) = names.get(place(row, column)) else { break };
            out.extend(name.chars().map(|c| if c.is_control() { '?' } else { c }));
            if column + 1 < columns && names.len() > place(row, column + 1) {
                out.push_str(&" ".repeat(widest.saturating_sub(shown_width(name))));
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (line, start, text, quote, command) in [
            ("", 0, "", None, true),
            ("ec", 0, "ec", None, true),
            ("echo ", 5, "", None, false),
            ("ls a\\ b", 3, "a b", None, false),
            ("ls \"a b", 3, "a b", Some('"'), false),
            ("ls 'a", 3, "a", Some('\''), false),
            ("a; if gr", 6, "gr", None, true),
            ("a | b", 4, "b", None, true),
            ("cat <fi", 5, "fi", None, false),
            ("x=1 ec", 4, "ec", None, true),
            ("x=fi", 2, "fi", None, false),
            ("dd if=/e", 6, "/e", None, false),
        ] {
            let found = word(line);
            let wanted = (start, text, quote, command);
            assert_eq!((found.start, found.text.as_str(), found.quote, found.command), wanted, "{line}");
        }
    }

    #[test]
    fn lists() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(columns(&names(&["a", "bb", "c"]), 10, false), "a   c   \nbb\n".replace("c   ", "c"));
        assert_eq!(columns(&names(&["long name"]), 4, false), "long name\n");
    }

    #[test]
    fn quotes() {
        for (text, quote, wanted) in [
            ("a b", None, "a\\ b"),
            ("a b$", Some('"'), "a b\\$"),
            ("a b$", Some('\''), "a b$"),
            ("a#", None, "a#"),
        ] {
            assert_eq!(quoted(text, quote, true), wanted);
        }
    }
}
