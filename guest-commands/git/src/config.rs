//! Configuration files: reading them in order of weight, with includes, and editing them in place. It knows no keys.

use crate::bytes;
use crate::error::{Res, Stop, fatal};
use std::fs;
use std::path::{Path, PathBuf};

/// A variable: `section.sub.name` with the section and name in lower case, and its value (`None`: named without `=`).
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) scope: Scope,
    pub(crate) file: PathBuf,
}

/// Which file a variable is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    System,
    Global,
    Local,
    Command,
}

impl Scope {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scope::System => "system",
            Scope::Global => "global",
            Scope::Local => "local",
            Scope::Command => "command",
        }
    }
}

/// All variables, the strongest last.
#[derive(Default)]
pub(crate) struct Config {
    pub(crate) variables: Vec<Variable>,
}

const MAX_INCLUDES: usize = 10;

/// A piece of a file: a section header, a variable, or neither. Ranges are of bytes.
struct Item {
    section: Vec<u8>,
    variable: Option<(Vec<u8>, Option<Vec<u8>>)>,
    start: usize,
    end: usize,
}

/// Reads a file's text into items; an error is the number of the line that is wrong.
fn parse(text: &[u8]) -> Result<Vec<Item>, usize> {
    let mut items = Vec::new();
    let mut section: Vec<u8> = Vec::new();
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let line_of = |at: usize| text[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1;
    while at < text.len() {
        let b = text[at];
        if b.is_ascii_whitespace() {
            at += 1;
        } else if b == b'#' || b == b';' {
            at += text[at..].iter().position(|b| *b == b'\n').unwrap_or(text.len() - at);
        } else if b == b'[' {
            let start = at;
            at += 1;
            let from = at;
            while at < text.len() && (text[at].is_ascii_alphanumeric() || matches!(text[at], b'-' | b'.')) {
                at += 1;
            }
            section = text[from..at].to_ascii_lowercase();
            while at < text.len() && matches!(text[at], b' ' | b'\t') {
                at += 1;
            }
            if text.get(at) == Some(&b'"') {
                section.push(b'.');
                at += 1;
                loop {
                    match text.get(at) {
                        None | Some(b'\n') => return Err(line_of(at)),
                        Some(b'"') => break,
                        Some(b'\\') => {
                            at += 1;
                            section.push(*text.get(at).ok_or(line_of(at))?);
                        }
                        Some(b) => section.push(*b),
                    }
                    at += 1;
                }
                at += 1;
            }
            if text.get(at) != Some(&b']') {
                return Err(line_of(at));
            }
            at += 1;
            items.push(Item { section: section.clone(), variable: None, start, end: at });
        } else if b.is_ascii_alphabetic() && !section.is_empty() {
            let start = at;
            while at < text.len() && (text[at].is_ascii_alphanumeric() || text[at] == b'-') {
                at += 1;
            }
            let name = text[start..at].to_ascii_lowercase();
            while at < text.len() && matches!(text[at], b' ' | b'\t' | b'\r') {
                at += 1;
            }
            let value = match text.get(at) {
                None | Some(b'\n' | b'#' | b';') => None,
                Some(b'=') => {
                    at += 1;
                    Some(value(text, &mut at).ok_or_else(|| line_of(at))?)
                }
                Some(_) => return Err(line_of(at)),
            };
            items.push(Item { section: section.clone(), variable: Some((name, value)), start, end: at });
        } else {
            return Err(line_of(at));
        }
    }
    Ok(items)
}

/// A value up to the end of its line.
fn value(text: &[u8], at: &mut usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut quoted = false;
    let mut keep = 0;
    while matches!(text.get(*at), Some(b' ' | b'\t')) {
        *at += 1;
    }
    while let Some(&b) = text.get(*at) {
        match b {
            b'\n' if quoted => return None,
            b'\n' => break,
            b'"' => {
                quoted = !quoted;
                keep = out.len();
            }
            b'\\' => {
                *at += 1;
                match text.get(*at)? {
                    b'\n' => {}
                    b'n' => out.push(b'\n'),
                    b't' => out.push(b'\t'),
                    b'b' => out.push(8),
                    b @ (b'"' | b'\\') => out.push(*b),
                    _ => return None,
                }
                keep = out.len();
            }
            b'#' | b';' if !quoted => {
                *at += text[*at..].iter().position(|b| *b == b'\n').unwrap_or(text.len() - *at);
                break;
            }
            b => {
                out.push(b);
                if quoted || !b.is_ascii_whitespace() {
                    keep = out.len();
                }
            }
        }
        *at += 1;
    }
    out.truncate(keep);
    (!quoted).then_some(out)
}

/// Splits `section.sub.name`; the section and the name are put in lower case. `None` if it has no section.
pub(crate) fn split_key(key: &str) -> Option<(String, Option<String>, String)> {
    let first = key.find('.')?;
    let last = key.rfind('.')?;
    let sub = (last > first).then(|| key[first + 1..last].to_owned());
    Some((key[..first].to_ascii_lowercase(), sub, key[last + 1..].to_ascii_lowercase()))
}

fn canonical(key: &str) -> Vec<u8> {
    match split_key(key) {
        Some((section, Some(sub), name)) => format!("{section}.{sub}.{name}").into_bytes(),
        Some((section, None, name)) => format!("{section}.{name}").into_bytes(),
        None => key.as_bytes().to_vec(),
    }
}

/// `~` at the start is the home directory.
pub(crate) fn expand_home(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => match std::env::var("HOME") {
            Ok(home) => format!("{home}/{rest}"),
            Err(_) => path.to_owned(),
        },
        None => path.to_owned(),
    }
}

/// The files of the user, the weaker one first.
pub(crate) fn global_files() -> Vec<PathBuf> {
    if let Some(file) = std::env::var_os("GIT_CONFIG_GLOBAL") {
        return vec![PathBuf::from(file)];
    }
    let mut files = Vec::new();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    match std::env::var_os("XDG_CONFIG_HOME").filter(|d| !d.is_empty()) {
        Some(dir) => files.push(Path::new(&dir).join("git/config")),
        None => files.extend(home.iter().map(|home| home.join(".config/git/config"))),
    }
    files.extend(home.map(|home| home.join(".gitconfig")));
    files
}

/// The file of the machine.
pub(crate) fn system_file() -> PathBuf {
    std::env::var_os("GIT_CONFIG_SYSTEM").map_or_else(|| PathBuf::from("/etc/gitconfig"), PathBuf::from)
}

impl Config {
    /// Everything that holds: system, user, repository, environment and command line.
    pub(crate) fn load(git_dir: Option<&Path>, arguments: &[String]) -> Res<Config> {
        let mut config = Config::default();
        let no_system =
            std::env::var("GIT_CONFIG_NOSYSTEM").is_ok_and(|v| !matches!(v.as_str(), "" | "0" | "false"));
        if !no_system {
            config.read(&system_file(), Scope::System, git_dir, 0)?;
        }
        for file in global_files() {
            config.read(&file, Scope::Global, git_dir, 0)?;
        }
        if let Some(dir) = git_dir {
            config.read(&dir.join("config"), Scope::Local, git_dir, 0)?;
        }
        if let Ok(count) = std::env::var("GIT_CONFIG_COUNT") {
            let Ok(count) = count.parse::<usize>() else { fatal!("bogus count in GIT_CONFIG_COUNT") };
            for i in 0..count.min(10_000) {
                let Ok(key) = std::env::var(format!("GIT_CONFIG_KEY_{i}")) else {
                    fatal!("missing config key GIT_CONFIG_KEY_{i}")
                };
                let Ok(value) = std::env::var(format!("GIT_CONFIG_VALUE_{i}")) else {
                    fatal!("missing config value GIT_CONFIG_VALUE_{i}")
                };
                config.command(&key, Some(value.into_bytes()));
            }
        }
        for argument in arguments {
            match argument.split_once('=') {
                Some((key, value)) => config.command(key, Some(value.as_bytes().to_vec())),
                None => config.command(argument, None),
            }
        }
        Ok(config)
    }

    fn command(&mut self, key: &str, value: Option<Vec<u8>>) {
        let (key, file) = (canonical(key), PathBuf::new());
        self.variables.push(Variable { key, value, scope: Scope::Command, file });
    }

    /// Adds what a file says, if it is there.
    pub(crate) fn read(
        &mut self,
        file: &Path,
        scope: Scope,
        git_dir: Option<&Path>,
        depth: usize,
    ) -> Res<()> {
        let Ok(text) = fs::read(file) else { return Ok(()) };
        if depth > MAX_INCLUDES {
            fatal!("exceeded maximum include depth ({MAX_INCLUDES}) while including\n\t{}", file.display());
        }
        let items = parse(&text)
            .map_err(|line| Stop::Fatal(format!("bad config line {line} in file {}", file.display())))?;
        for item in items {
            let Some((name, value)) = item.variable else { continue };
            let include = name == b"path"
                && (item.section == b"include"
                    || item
                        .section
                        .strip_prefix(b"includeif.")
                        .is_some_and(|when| included(when, git_dir, file)));
            if include && let Some(path) = &value {
                let path = expand_home(&bytes::text(path));
                let path = file.parent().unwrap_or(Path::new("")).join(path);
                self.read(&path, scope, git_dir, depth + 1)?;
            }
            let key = [&item.section[..], b".", &name].concat();
            self.variables.push(Variable { key, value, scope, file: file.to_owned() });
        }
        Ok(())
    }

    /// The strongest value; a variable without `=` is `true`.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        let key = canonical(key);
        let found = self.variables.iter().rev().find(|v| v.key == key)?;
        Some(found.value.as_ref().map_or_else(|| "true".to_owned(), |v| bytes::text(v)))
    }

    /// All values, the strongest last.
    pub(crate) fn all(&self, key: &str) -> Vec<String> {
        let key = canonical(key);
        let found = self.variables.iter().filter(|v| v.key == key);
        found.map(|v| v.value.as_ref().map_or_else(|| "true".to_owned(), |v| bytes::text(v))).collect()
    }

    /// A value as yes or no.
    pub(crate) fn flag(&self, key: &str, otherwise: bool) -> bool {
        self.get(key).and_then(|v| truth(&v)).unwrap_or(otherwise)
    }

    /// The names between `section.` and `.name`, in order, each once.
    pub(crate) fn subsections(&self, section: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for variable in &self.variables {
            let key = bytes::text(&variable.key);
            if let Some(rest) = key.strip_prefix(section).and_then(|r| r.strip_prefix('.'))
                && let Some((sub, _)) = rest.rsplit_once('.')
                && !names.iter().any(|n| n == sub)
            {
                names.push(sub.to_owned());
            }
        }
        names
    }
}

/// What a word says as yes or no.
pub(crate) fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" | "" => Some(false),
        number => number.parse::<i64>().ok().map(|n| n != 0),
    }
}

/// Whether the condition of an `includeIf` holds.
fn included(when: &[u8], git_dir: Option<&Path>, file: &Path) -> bool {
    let when = bytes::text(when);
    let (pattern, fold) = match (when.strip_prefix("gitdir:"), when.strip_prefix("gitdir/i:")) {
        (Some(pattern), _) => (pattern, false),
        (_, Some(pattern)) => (pattern, true),
        _ => return false,
    };
    let Some(dir) = git_dir else { return false };
    let dir = agentos_guest::env::current_dir().unwrap_or_default().join(dir);
    let mut pattern = expand_home(pattern);
    if let Some(rest) = pattern.strip_prefix("./") {
        pattern = file.parent().unwrap_or(Path::new("")).join(rest).to_string_lossy().into_owned();
    }
    if !pattern.starts_with('/') {
        pattern = format!("**/{pattern}");
    }
    if pattern.ends_with('/') {
        pattern.push_str("**");
    }
    crate::glob::matches(pattern.as_bytes(), dir.as_os_str().as_encoded_bytes(), true, fold)
}

/// How a file is changed.
pub(crate) enum Edit<'a> {
    /// The one value is replaced or added.
    Set(&'a [u8]),
    /// Another value is added.
    Add(&'a [u8]),
    /// All values (that match) are replaced by one.
    ReplaceAll(&'a [u8]),
    /// The one value goes.
    Unset,
    /// All values go.
    UnsetAll,
}

/// Text of a value as it has to be written.
fn quoted(value: &[u8]) -> Vec<u8> {
    let need = value.first().is_some_and(|b| *b == b' ')
        || value.last().is_some_and(|b| *b == b' ')
        || value.iter().any(|b| matches!(b, b';' | b'#' | b'\r'));
    let mut out = Vec::new();
    if need {
        out.push(b'"');
    }
    for b in value {
        match b {
            b'\n' => out.extend(b"\\n"),
            b'\t' => out.extend(b"\\t"),
            b'"' | b'\\' => out.extend([b'\\', *b]),
            b => out.push(*b),
        }
    }
    if need {
        out.push(b'"');
    }
    out
}

fn header(section: &str, sub: Option<&str>) -> Vec<u8> {
    match sub {
        Some(sub) => {
            format!("[{section} \"{}\"]\n", sub.replace('\\', "\\\\").replace('"', "\\\"")).into_bytes()
        }
        None => format!("[{section}]\n").into_bytes(),
    }
}

/// Writes a file under its lock.
fn replace(file: &Path, text: &[u8]) -> Res<()> {
    let lock = crate::lock::Lock::new(file).map_err(|error| {
        Stop::Error(
            255,
            format!("could not lock config file {}: {}", file.display(), agentos_guest::strerror(&error)),
        )
    })?;
    lock.commit(text)?;
    Ok(())
}

/// Changes a variable in a file. `name` keeps its spelling where it is added. The result is an exit status: 5 if nothing,
/// or more than one value, is there to be unset or replaced.
pub(crate) fn edit(file: &Path, key: &str, edit: &Edit<'_>, matching: &dyn Fn(&[u8]) -> bool) -> Res<i32> {
    let Some((section, sub, name)) = split_key(key) else {
        return Err(Stop::Error(2, format!("key does not contain a section: {key}")));
    };
    let spelling = &key[key.rfind('.').map_or(0, |at| at + 1)..];
    let full: Vec<u8> = match &sub {
        Some(sub) => format!("{section}.{sub}").into_bytes(),
        None => section.clone().into_bytes(),
    };
    let text = fs::read(file).unwrap_or_default();
    let items = parse(&text)
        .map_err(|line| Stop::Fatal(format!("bad config line {line} in file {}", file.display())))?;
    let hits: Vec<&Item> = items
        .iter()
        .filter(|i| {
            i.section == full
                && i.variable
                    .as_ref()
                    .is_some_and(|(n, v)| n == name.as_bytes() && matching(v.as_deref().unwrap_or_default()))
        })
        .collect();
    let line = |value: &[u8]| [b"\t", spelling.as_bytes(), b" = ", &quoted(value), b"\n"].concat();
    let mut new = text.clone();
    let whole = |item: &Item| {
        let start = text[..item.start].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        let start =
            if text[start..item.start].iter().all(u8::is_ascii_whitespace) { start } else { item.start };
        let end = text[item.end..].iter().position(|b| *b == b'\n').map_or(text.len(), |n| item.end + n + 1);
        (start, end)
    };
    match edit {
        Edit::Unset | Edit::UnsetAll => {
            if hits.is_empty() || (hits.len() > 1 && matches!(edit, Edit::Unset)) {
                if !hits.is_empty() {
                    crate::error::say!("warning: {key} has multiple values");
                }
                return Ok(5);
            }
            for hit in hits.iter().rev() {
                let (start, end) = whole(hit);
                new.drain(start..end);
            }
            drop_empty(&mut new, &full);
        }
        Edit::Set(value) | Edit::ReplaceAll(value) if !hits.is_empty() => {
            if hits.len() > 1 && matches!(edit, Edit::Set(_)) {
                crate::error::say!("warning: {key} has multiple values");
                crate::error::say!(
                    "error: cannot overwrite multiple values with a single value\n       Use a regexp, --add or --replace-all to change {key}."
                );
                return Ok(5);
            }
            for (at, hit) in hits.iter().enumerate().rev() {
                let (start, end) = whole(hit);
                let with = if at + 1 == hits.len() { line(value) } else { Vec::new() };
                new.splice(start..end, with);
            }
        }
        Edit::Set(value) | Edit::Add(value) | Edit::ReplaceAll(value) => {
            // After the last item of the last such section, or in a new one at the end.
            match items.iter().rposition(|i| i.section == full) {
                Some(last) => {
                    let end = items[last].end;
                    let end =
                        text[end..].iter().position(|b| *b == b'\n').map_or(text.len(), |n| end + n + 1);
                    let mut with = line(value);
                    if end > 0 && text[end - 1] != b'\n' {
                        with.insert(0, b'\n');
                    }
                    new.splice(end..end, with);
                }
                None => {
                    if new.last().is_some_and(|b| *b != b'\n') {
                        new.push(b'\n');
                    }
                    new.extend(header(&section, sub.as_deref()));
                    new.extend(line(value));
                }
            }
        }
    }
    replace(file, &new)?;
    Ok(0)
}

/// Takes the header of a section away that has nothing below it any more.
fn drop_empty(text: &mut Vec<u8>, section: &[u8]) {
    let Ok(items) = parse(text) else { return };
    for (at, item) in items.iter().enumerate().rev() {
        if item.section == section && item.variable.is_none() {
            let next = items.get(at + 1);
            let end = next.map_or(text.len(), |n| n.start);
            let alone = next.is_none_or(|n| n.variable.is_none());
            if alone && text[item.end..end].iter().all(u8::is_ascii_whitespace) {
                text.drain(item.start..end);
            }
        }
    }
}

/// Renames a section, or removes it (`to` is `None`); false if it is not there.
pub(crate) fn rename_section(file: &Path, from: &str, to: Option<&str>) -> Res<bool> {
    let text = fs::read(file).unwrap_or_default();
    let items = parse(&text)
        .map_err(|line| Stop::Fatal(format!("bad config line {line} in file {}", file.display())))?;
    let split = |name: &str| match name.split_once('.') {
        Some((section, sub)) => (section.to_ascii_lowercase(), Some(sub.to_owned())),
        None => (name.to_ascii_lowercase(), None),
    };
    let key = match split(from) {
        (section, Some(sub)) => format!("{section}.{sub}"),
        (section, None) => section,
    };
    let mut new = text.clone();
    let mut found = false;
    for (at, item) in items.iter().enumerate().rev() {
        if item.section != key.as_bytes() || item.variable.is_some() {
            continue;
        }
        found = true;
        match to {
            Some(to) => {
                let (section, sub) = split(to);
                let mut with = header(&section, sub.as_deref());
                with.pop();
                new.splice(item.start..item.end, with);
            }
            None => {
                let end =
                    items[at + 1..].iter().find(|i| i.variable.is_none()).map_or(text.len(), |i| i.start);
                new.drain(item.start..end);
            }
        }
    }
    if found {
        replace(file, &new)?;
    }
    Ok(found)
}
