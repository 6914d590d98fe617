//! The tools `glob` and `grep`: a walk that obeys ignore files, and ripgrep's searcher. A search is taken in steps, so that
//! the client is heard in between.

use std::path::{Path, PathBuf};

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use ignore::{
    Walk, WalkBuilder,
    gitignore::{Gitignore, GitignoreBuilder},
};
use serde_json::Value;

use super::files::absolute;

/// Entries of directories that one search looks at.
const MAX_ENTRIES: usize = 200_000;

/// Entries of one step.
const STEP: usize = 64;

/// Largest file that is searched, in bytes.
const MAX_FILE: u64 = 8 << 20;

/// Paths that are listed.
const MAX_PATHS: usize = 300;

/// Matches that are shown unless told otherwise, and at most.
const MATCHES: u64 = 200;
const MAX_MATCHES: u64 = 1000;

/// Longest line that is shown, in bytes.
const MAX_LINE: usize = 500;

/// Bytes that a search shows.
const MAX_SHOWN: usize = 60_000;

/// Lines around a match.
const MAX_CONTEXT: u64 = 20;

/// What is done with the files of a walk.
#[derive(Debug)]
enum Work {
    List,
    Grep { matcher: RegexMatcher, searcher: Box<Searcher>, left: u64 },
}

/// A search under way.
pub(crate) struct Search {
    walk: Walk,
    /// Paths are shown from here.
    base: PathBuf,
    pattern: Option<Gitignore>,
    work: Work,
    seen: usize,
    shown: String,
    found: usize,
    /// Why it ended before its end.
    cut: Option<String>,
}

impl Search {
    /// Prepares the tool `glob`.
    pub(crate) fn glob(cwd: &str, input: &Value) -> Result<Self, String> {
        let pattern = super::text(input, "pattern")?;
        Self::new(cwd, input, Some(pattern), Work::List)
    }

    /// Prepares the tool `grep`.
    pub(crate) fn grep(cwd: &str, input: &Value) -> Result<Self, String> {
        let pattern = super::text(input, "pattern")?;
        let context = super::number(input, "context")?.unwrap_or(0).min(MAX_CONTEXT);
        let context = usize::try_from(context).unwrap_or(0);
        let matcher = RegexMatcherBuilder::new()
            .case_insensitive(super::flag(input, "ignore_case")?)
            .line_terminator(Some(b'\n'))
            .build(pattern)
            .map_err(|e| format!("pattern is no regular expression: {e}"))?;
        let searcher = SearcherBuilder::new()
            .line_number(true)
            .before_context(context)
            .after_context(context)
            .binary_detection(BinaryDetection::quit(0))
            .build();
        let left = super::number(input, "limit")?.unwrap_or(MATCHES).clamp(1, MAX_MATCHES);
        let glob = if input["glob"].is_null() { None } else { Some(super::text(input, "glob")?) };
        Self::new(cwd, input, glob, Work::Grep { matcher, searcher: Box::new(searcher), left })
    }

    fn new(cwd: &str, input: &Value, pattern: Option<&str>, work: Work) -> Result<Self, String> {
        let base = match &input["path"] {
            Value::Null => PathBuf::from(cwd),
            _ => absolute(cwd, super::text(input, "path")?),
        };
        if let Err(error) = std::fs::metadata(&base) {
            return Err(format!("{}: {}", base.display(), agentos_guest::strerror(&error)));
        }
        // Ignore files hold for what is below them: from the working directory on, also for a search in a part of it.
        let top = if base.starts_with(cwd) { PathBuf::from(cwd) } else { base.clone() };
        let part = base.clone();
        let walk = WalkBuilder::new(top)
            .hidden(false)
            // Looking above needs the real path of a file, which WASI does not tell.
            .parents(false)
            .require_git(false)
            .git_global(false)
            .sort_by_file_name(Ord::cmp)
            .filter_entry(move |entry| {
                let path = entry.path();
                let is_git = entry.file_name() == ".git" && entry.depth() > 0;
                !is_git && (path.starts_with(&part) || part.starts_with(path))
            })
            .build();
        let pattern = pattern.map(|pattern| patterns(&base, pattern)).transpose()?;
        Ok(Self { walk, base, pattern, work, seen: 0, shown: String::new(), found: 0, cut: None })
    }

    /// Looks at some more files; the result, once there is one.
    pub(crate) fn step(&mut self) -> Option<String> {
        for _ in 0..STEP {
            let Some(entry) = self.walk.next() else { return Some(self.result()) };
            self.seen += 1;
            if self.seen > MAX_ENTRIES {
                self.cut =
                    Some(format!("stopped after {MAX_ENTRIES} entries; search in a part of it with path"));
            } else if let Ok(entry) = entry
                // A link is followed only where it is what was asked for.
                && (entry.file_type().is_some_and(|kind| kind.is_file()) || (entry.path() == self.base && entry.path().is_file()))
                && entry.path().starts_with(&self.base)
            {
                self.file(entry.path());
            }
            if self.cut.is_some() {
                return Some(self.result());
            }
        }
        None
    }

    fn file(&mut self, path: &Path) {
        let name = path.strip_prefix(&self.base).ok().filter(|name| !name.as_os_str().is_empty());
        let short = name.unwrap_or(path);
        if let Some(pattern) = &self.pattern
            && let Some(name) = name
            && !pattern.matched(name, false).is_ignore()
        {
            return;
        }
        match &mut self.work {
            Work::List => {
                self.found += 1;
                if self.found > MAX_PATHS {
                    self.cut =
                        Some(format!("only the first {MAX_PATHS} files are listed; use a narrower pattern"));
                    return;
                }
                self.shown.push_str(&format!("{}\n", short.display()));
            }
            Work::Grep { matcher, searcher, left } => {
                if std::fs::metadata(path).is_ok_and(|about| about.len() > MAX_FILE) {
                    return;
                }
                let mut sink = Lines { path: short, shown: &mut self.shown, left, found: 0 };
                // A file that cannot be read is not what was looked for.
                let _ = searcher.search_path(&*matcher, path, &mut sink);
                self.found += sink.found;
                if *left == 0 || self.shown.len() > MAX_SHOWN {
                    self.cut = Some(format!(
                        "only the first {} matches are shown; use a narrower pattern",
                        self.found
                    ));
                }
            }
        }
    }

    fn result(&mut self) -> String {
        let mut text = std::mem::take(&mut self.shown);
        if text.is_empty() {
            text.push_str(match self.work {
                Work::List => "no file matches\n",
                Work::Grep { .. } => "no line matches\n",
            });
        }
        if let Some(cut) = &self.cut {
            text.push_str(&format!("[{cut}]\n"));
        }
        text
    }
}

/// A pattern as ignore files have them: without a slash it is for names at any depth.
fn patterns(base: &Path, pattern: &str) -> Result<Gitignore, String> {
    if pattern.starts_with(['!', '#']) || pattern.trim().is_empty() {
        return Err(format!("{pattern:?} is no pattern; write one such as src/**/*.rs"));
    }
    let mut builder = GitignoreBuilder::new(base);
    builder.add_line(None, pattern.trim_start_matches("./")).map_err(|error| format!("pattern: {error}"))?;
    builder.build().map_err(|error| format!("pattern: {error}"))
}

/// Shows lines as grep does: `path:line:text`, with `-` for lines around a match.
struct Lines<'a> {
    path: &'a Path,
    shown: &'a mut String,
    left: &'a mut u64,
    found: usize,
}

impl Lines<'_> {
    fn line(&mut self, mark: char, number: Option<u64>, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end_matches(['\n', '\r']);
        let cut = text.floor_char_boundary(MAX_LINE);
        let more = if cut < text.len() { " […]" } else { "" };
        let number = number.unwrap_or(0);
        self.shown.push_str(&format!("{}{mark}{number}{mark}{}{more}\n", self.path.display(), &text[..cut]));
    }
}

impl Sink for Lines<'_> {
    type Error = std::io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, Self::Error> {
        self.line(':', found.line_number(), found.bytes());
        self.found += 1;
        *self.left = self.left.saturating_sub(1);
        Ok(*self.left > 0 && self.shown.len() <= MAX_SHOWN)
    }

    fn context(&mut self, _: &Searcher, around: &SinkContext<'_>) -> Result<bool, Self::Error> {
        self.line('-', around.line_number(), around.bytes());
        Ok(true)
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, Self::Error> {
        self.shown.push_str("--\n");
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn all(search: Result<Search, String>) -> Result<String, String> {
        let mut search = search?;
        Ok(loop {
            if let Some(text) = search.step() {
                break text;
            }
        })
    }

    #[test]
    fn files_and_lines_are_found() {
        let folder = std::env::temp_dir().join(format!("agentos-coder-search-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for (name, text) in [
            (".gitignore", "/target\n*.log\n"),
            (".github/ci.yml", "on: push\n"),
            (".git/config", "needle\n"),
            ("README.md", "read me\n"),
            ("src/main.rs", "fn main() {\n    needle();\n}\n"),
            ("src/deep/lib.rs", "// Needle\n"),
            ("src/a.log", "needle\n"),
            ("target/out.rs", "needle\n"),
            ("bin", "needle\0\n"),
            ("long.txt", &"needle ".repeat(200)),
        ] {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let cwd = folder.to_str().unwrap();
        for (input, want) in [
            (json!({"pattern": "*.rs"}), "src/deep/lib.rs\nsrc/main.rs\n"),
            (json!({"pattern": "src/*.rs"}), "src/main.rs\n"),
            (json!({"pattern": "**/*.{yml,md}"}), ".github/ci.yml\nREADME.md\n"),
            (json!({"pattern": "*.rs", "path": "src/deep"}), "lib.rs\n"),
            // What is ignored above is ignored in a part too.
            (json!({"pattern": "*", "path": "src"}), "deep/lib.rs\nmain.rs\n"),
            (json!({"pattern": "*.log"}), "no file matches\n"),
        ] {
            assert_eq!(all(Search::glob(cwd, &input)).unwrap(), want, "{input}");
        }
        for (input, want) in [
            (json!({"pattern": "needle\\(", }), "src/main.rs:2:    needle();\n"),
            (
                json!({"pattern": "needle", "glob": "*.rs", "ignore_case": true}),
                "src/deep/lib.rs:1:// Needle\nsrc/main.rs:2:    needle();\n",
            ),
            (
                json!({"pattern": "needle", "path": "src", "context": 1}),
                "main.rs-1-fn main() {\nmain.rs:2:    needle();\nmain.rs-3-}\n",
            ),
            (json!({"pattern": "nothing"}), "no line matches\n"),
        ] {
            assert_eq!(all(Search::grep(cwd, &input)).unwrap(), want, "{input}");
        }
        let one = all(Search::grep(cwd, &json!({"pattern": "main", "path": "src/main.rs"}))).unwrap();
        assert!(one.ends_with("main.rs:1:fn main() {\n"), "{one}");
        let long = all(Search::grep(cwd, &json!({"pattern": "needle", "path": "long.txt"}))).unwrap();
        assert!(long.ends_with(" […]\n") && long.len() < 700);
        let cut = all(Search::grep(cwd, &json!({"pattern": ".", "limit": 1}))).unwrap();
        assert!(cut.ends_with("[only the first 1 matches are shown; use a narrower pattern]\n"), "{cut}");
        for (search, want) in [
            (Search::grep(cwd, &json!({"pattern": "("})), "no regular expression"),
            (Search::grep(cwd, &json!({})), "pattern is missing"),
            (Search::grep(cwd, &json!({"pattern": "a", "path": "none"})), "No such file"),
            (Search::glob(cwd, &json!({"pattern": "!x"})), "is no pattern"),
            (Search::glob(cwd, &json!({"pattern": "[b-a]"})), "pattern"),
        ] {
            let error = all(search).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
