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

/// What completes a word.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Completion {
    /// The first byte of what is replaced.
    pub(crate) start: usize,
    /// What all candidates begin with, quoted as the line needs it.
    pub(crate) common: String,
    /// The candidates as they are listed.
    pub(crate) shown: Vec<String>,
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
pub(crate) fn complete(sh: &mut Shell, line: &str) -> Completion {
    let word = word(line);
    let found = match programmed(sh, &word, line) {
        Some(found) => found,
        None => find(sh, &word),
    };
    let sh = &*sh;
    let Some(first) = found.names.first() else {
        return Completion { start: word.start, ..Completion::default() };
    };
    let last = found.names.last().unwrap_or(first);
    let common: String =
        first.chars().zip(last.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    let is_dir = |name: &str| {
        let path = expand_tilde(sh, &(found.head.clone() + name));
        found.files && crate::builtins::test::is_dir(&path)
    };
    let only = found.names.len() == 1;
    let open = word.quote.map(String::from).unwrap_or_default();
    let text = found.head.clone() + &common;
    let variable = text.starts_with('$') && !found.files;
    let common =
        if variable || found.raw { open.clone() + &text } else { open.clone() + &quoted(&text, word.quote) };
    let ends = match () {
        () if !only => String::new(),
        () if is_dir(first) => "/".to_owned(),
        () if found.ends == "/" || variable && crate::builtins::test::is_dir(&value(sh, first)) => {
            "/".to_owned()
        }
        () if found.open => found.ends.to_owned(),
        () => found.ends.to_owned() + &open + " ",
    };
    let shown =
        found.names.iter().map(|name| if is_dir(name) { format!("{name}/") } else { name.clone() }).collect();
    Completion { start: word.start, common, shown, ends }
}

/// The value of a variable.
fn value(sh: &Shell, name: &str) -> String {
    sh.vars.get(crate::symbols::sym(name)).unwrap_or_default().into_owned()
}

/// What `complete` says about the arguments of the command; `None` if it says nothing.
fn programmed(sh: &mut Shell, word: &Word, line: &str) -> Option<Found> {
    let command = word.before.first().filter(|_| sh.shopts.progcomp && !word.command)?.clone();
    let name = command.rsplit('/').next().unwrap_or(&command);
    let specs = &sh.completions;
    let spec = specs.get(&command).or_else(|| specs.get(name)).or_else(|| specs.get("_DefaultCmD_"))?.clone();
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

fn find(sh: &Shell, word: &Word) -> Found {
    let text = word.text.as_str();
    let mut found = Found::default();
    if word.quote != Some('\'')
        && let Some(prefix) = text.strip_prefix('$')
    {
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
    if let Some(user) = text.strip_prefix('~').filter(|user| !user.contains('/') && word.quote.is_none()) {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let names = users.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name));
        found.names = names.filter(|n| n.starts_with(user)).map(|n| format!("~{n}")).collect();
        found.ends = "/";
        if !found.names.is_empty() {
            return found;
        }
        found.ends = "";
    }
    if word.command && !text.contains('/') {
        found.names = commands(sh, text);
        if !found.names.is_empty() {
            return found;
        }
    }
    let (dir, name) = text.rfind('/').map_or(("", text), |at| text.split_at(at + 1));
    found.head = dir.to_owned();
    found.files = true;
    found.names = files(&expand_tilde(sh, dir), name, |path| {
        !word.command || crate::builtins::test::is_dir(path) || executable(path)
    });
    found
}

fn commands(sh: &Shell, prefix: &str) -> BTreeSet<String> {
    let own = KEYWORDS.iter().copied().chain(crate::builtins::table::names()).map(str::to_owned);
    let own = own.chain(sh.functions.keys().map(|name| name.to_string())).chain(sh.aliases.keys().cloned());
    let mut names: BTreeSet<String> = own.filter(|name| name.starts_with(prefix)).collect();
    let path = sh.vars.get(symbols::PATH).unwrap_or_default();
    for dir in path.split(':').filter(|dir| !dir.is_empty()) {
        names.extend(files(&format!("{dir}/"), prefix, executable));
    }
    names
}

fn executable(path: &str) -> bool {
    crate::builtins::test::is_file(path) && fs::access(&*crate::text::os(path), fs::X_OK).is_ok()
}

/// The names in a directory that begin with a text.
fn files(dir: &str, prefix: &str, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let place = if dir.is_empty() { "." } else { dir };
    let Ok(entries) = std::fs::read_dir(&*crate::text::os(place)) else { return BTreeSet::new() };
    entries
        .filter_map(|entry| entry.ok().map(|entry| crate::text::from_os(entry.file_name())))
        .filter(|name| name.starts_with(prefix) && (prefix.starts_with('.') || !name.starts_with('.')))
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

/// Text as it stands in the line within the quotes that are open.
fn quoted(text: &str, quote: Option<char>) -> String {
    let special = match quote {
        Some('\'') => "",
        Some(_) => "\"$`\\",
        None => " \t\n\\\"'`$&|;<>()*?[]{}!#",
    };
    let mut out = String::with_capacity(text.len());
    for (i, c) in text.chars().enumerate() {
        if special.contains(c) && !(c == '#' && i > 0 && quote.is_none()) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Candidates in columns, each column from top to bottom, as wide as the window allows.
pub(crate) fn columns(names: &[String], width: usize) -> String {
    // The slash of a directory is not counted, as in readline.
    let widest =
        names.iter().map(|name| shown_width(name.strip_suffix('/').unwrap_or(name))).max().unwrap_or(0) + 2;
    let columns = (width / widest).max(1);
    let rows = names.len().div_ceil(columns);
    let mut out = String::new();
    for row in 0..rows {
        for column in 0..columns {
            let Some(name) = names.get(column * rows + row) else { break };
            out.extend(name.chars().map(|c| if c.is_control() { '?' } else { c }));
            if names.len() > (column + 1) * rows + row {
                out.push_str(&" ".repeat(widest - shown_width(name)));
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
        assert_eq!(columns(&names(&["a", "bb", "c"]), 10), "a   c   \nbb\n".replace("c   ", "c"));
        assert_eq!(columns(&names(&["long name"]), 4), "long name\n");
    }

    #[test]
    fn quotes() {
        for (text, quote, wanted) in [
            ("a b", None, "a\\ b"),
            ("a b$", Some('"'), "a b\\$"),
            ("a b$", Some('\''), "a b$"),
            ("a#", None, "a#"),
        ] {
            assert_eq!(quoted(text, quote), wanted);
        }
    }
}
