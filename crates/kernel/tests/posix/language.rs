//! The language of the cases. It does not know what a command does.
//!
//! A case is a block of lines after `== title`, up to the next one:
//!
//! ```text
//! == a directory is not unlinked
//! mkdir d
//! unlink d => EISDIR
//! @host_dir => EPERM # why this one is different
//! ```
//!
//! A line is a command; after `=>` comes what it answers, or the name of an error. A command without `=>` must succeed. A
//! line `@name => ANSWER # reason` is what the backend `name` (or several, with commas; `ours` is all but Linux) answers to the command above; anywhere
//! in a case, `@name skip # reason` takes it out there, and `@name root # reason` where the test is not the superuser. `--` puts the file system away and takes it up
//! again: what there was is then the lower layer of an overlay, the frozen base of a tree, what was stored of a durable
//! root; nothing may be open then. Words are separated by spaces; in them, `\xNN` is a byte, `\_` a space, `<text*N>`
//! repeats, and `''` is empty. Lines that begin with `#` are comments.

use std::path::Path;

/// A command and what it must answer.
pub struct Line {
    pub text: String,
    pub words: Vec<Vec<u8>>,
    expected: Option<String>,
    /// Backend, answer.
    elsewhere: Vec<(String, Option<String>)>,
}

impl Line {
    /// What `backend` must answer; `None` is any success.
    pub fn expected(&self, backend: &str) -> Option<&str> {
        match self.elsewhere.iter().find(|(name, _)| means(name, backend)) {
            Some((_, answer)) => answer.as_deref(),
            None => self.expected.as_deref(),
        }
    }
}

/// Some commands that belong together.
pub struct Case {
    pub title: String,
    /// File and line.
    pub place: String,
    pub lines: Vec<Line>,
    skipped: Vec<(String, String)>,
}

impl Case {
    /// Why it is not run on `backend`.
    pub fn not_on(&self, backend: &str) -> Option<&str> {
        self.skipped.iter().find(|(name, _)| means(name, backend)).map(|(_, why)| why.as_str())
    }
}

/// Whether an exception for `name` is one for `backend`. A root that is kept is a tree in memory.
fn means(name: &str, backend: &str) -> bool {
    name == backend
        || (name == "ours" && backend != crate::backends::LINUX)
        || (name == "memory" && backend == "durable")
}

/// All cases of all files, by file name.
pub fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/posix/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        parse(&name, &std::fs::read_to_string(&file).unwrap(), &mut cases);
    }
    cases
}

fn parse(file: &str, text: &str, cases: &mut Vec<Case>) {
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let place = format!("{file}:{}", number + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            let title = title.to_owned();
            assert!(cases.iter().all(|case| case.title != title), "{place}: there is a case of that title");
            cases.push(Case { title, place, lines: Vec::new(), skipped: Vec::new() });
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{place}: no case begins before it"));
        if let Some(rule) = line.strip_prefix('@') {
            exception(rule, case).unwrap_or_else(|| panic!("{place}: no exception: {line}"));
            continue;
        }
        let (command, expected) = match line.split_once("=>") {
            Some((command, expected)) => (command.trim(), Some(expected.trim().to_owned())),
            None => (line, None),
        };
        let words = command.split_whitespace().map(word).collect();
        case.lines.push(Line { text: line.to_owned(), words, expected, elsewhere: Vec::new() });
    }
}

/// `name[,name] => ANSWER # reason`, `name[,name] skip # reason` or `name[,name] root # reason`.
fn exception(rule: &str, case: &mut Case) -> Option<()> {
    let (rule, reason) = rule.split_once(" # ")?;
    match rule.split_once("=>") {
        Some((names, answer)) => {
            let answer = match answer.trim() {
                "ok" => None,
                answer => Some(answer.to_owned()),
            };
            let line = case.lines.last_mut()?;
            line.elsewhere.extend(names.trim().split(',').map(|name| (name.to_owned(), answer.clone())));
        }
        None => {
            let (names, how) = rule.trim().split_once(' ')?;
            match how {
                "skip" => {}
                "root" if rustix::process::geteuid().is_root() => return Some(()),
                "root" => {}
                _ => return None,
            }
            case.skipped.extend(names.split(',').map(|name| (name.to_owned(), reason.to_owned())));
        }
    }
    Some(())
}

/// The bytes that a word stands for.
fn word(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    if rest == "''" {
        return out;
    }
    while let Some(first) = rest.chars().next() {
        let taken = if let Some(hex) = rest.strip_prefix("\\x").and_then(|rest| rest.get(..2)) {
            out.push(u8::from_str_radix(hex, 16).unwrap());
            4
        } else if rest.starts_with("\\_") {
            out.push(b' ');
            2
        } else if let Some((inside, _)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            let (piece, times) = inside.rsplit_once('*').unwrap();
            out.extend(piece.repeat(times.parse().unwrap()).bytes());
            inside.len() + 2
        } else {
            out.extend(first.to_string().bytes());
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    out
}

#[test]
fn words_stand_for_bytes() {
    assert_eq!(word("a\\xff\\_b<xy*3>"), b"a\xff bxyxyxy");
    assert_eq!(word("''"), b"");
}
