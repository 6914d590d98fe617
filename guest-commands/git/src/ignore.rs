//! What is ignored: `.gitignore` of every directory, `info/exclude` and `core.excludesFile`. It does not walk.

use crate::bytes;
use crate::glob;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

/// A line of an ignore file.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) pattern: Vec<u8>,
    pub(crate) negative: bool,
    pub(crate) dir_only: bool,
    /// With a slash inside: it is matched against the whole path below `base`.
    anchored: bool,
    /// The directory of the file, `""` at the top.
    base: Vec<u8>,
    /// For check-ignore: the file, the number of the line, and the line.
    pub(crate) source: Rc<Vec<u8>>,
    pub(crate) line: usize,
    pub(crate) text: Vec<u8>,
}

/// The rules of one file.
pub(crate) fn parse(text: &[u8], base: &[u8], source: &[u8]) -> Vec<Rule> {
    let source = Rc::new(source.to_vec());
    let mut rules = Vec::new();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (number, line) in text.split(|b| *b == b'\n').enumerate() {
        let mut p = line.strip_suffix(b"\r").unwrap_or(line);
        if p.starts_with(b"#") {
            continue;
        }
        // Spaces at the end count only behind a backslash.
        while let Some(rest) = p.strip_suffix(b" ") {
            if rest.ends_with(b"\\") {
                break;
            }
            p = rest;
        }
        let shown = p.to_vec();
        let negative = p.starts_with(b"!");
        if negative {
            p = &p[1..];
        }
        let dir_only = p.ends_with(b"/");
        if dir_only {
            p = &p[..p.len() - 1];
        }
        if p.is_empty() {
            continue;
        }
        let anchored = p.contains(&b'/');
        let pattern = p.strip_prefix(b"/").unwrap_or(p).to_vec();
        let (base, source) = (base.to_vec(), source.clone());
        rules.push(Rule {
            pattern,
            negative,
            dir_only,
            anchored,
            base,
            source,
            line: number + 1,
            text: shown,
        });
    }
    rules
}

impl Rule {
    fn matches(&self, path: &[u8], dir: bool, fold: bool) -> bool {
        if self.dir_only && !dir {
            return false;
        }
        if !bytes::within(path, &self.base) {
            return false;
        }
        if !self.anchored {
            return glob::matches(&self.pattern, bytes::base(path), true, fold);
        }
        let below =
            if self.base.is_empty() { path } else { path.get(self.base.len() + 1..).unwrap_or_default() };
        glob::matches(&self.pattern, below, true, fold)
    }
}

/// All rules of a work tree; files of directories are read when they are asked for.
pub(crate) struct Ignore {
    /// Weakest first.
    general: Vec<Rule>,
    dirs: RefCell<HashMap<Vec<u8>, Rc<Vec<Rule>>>>,
    verdicts: RefCell<HashMap<Vec<u8>, bool>>,
    fold: bool,
    off: bool,
}

impl Ignore {
    /// Nothing is ignored, whatever files say.
    pub(crate) fn none() -> Ignore {
        Ignore { off: true, ..Ignore::new(&[], false) }
    }

    /// With the files that hold for the whole work tree, weakest first. The work tree is the working directory.
    pub(crate) fn new(files: &[std::path::PathBuf], fold: bool) -> Ignore {
        let mut general = Vec::new();
        for file in files {
            if let Ok(text) = std::fs::read(file) {
                general.extend(parse(&text, b"", file.as_os_str().as_encoded_bytes()));
            }
        }
        Ignore { general, dirs: RefCell::default(), verdicts: RefCell::default(), fold, off: false }
    }

    fn rules_of(&self, dir: &[u8]) -> Rc<Vec<Rule>> {
        if let Some(rules) = self.dirs.borrow().get(dir) {
            return rules.clone();
        }
        let name = bytes::join(dir, b".gitignore");
        let link = agentos_guest::fs::lstat(bytes::path(&name))
            .is_ok_and(|s| agentos_guest::fs::file_type(s.mode) == agentos_guest::fs::FileType::Symlink);
        let text =
            if link { Vec::new() } else { std::fs::read::<&Path>(bytes::path(&name)).unwrap_or_default() };
        let rules = Rc::new(parse(&text, dir, &name));
        self.dirs.borrow_mut().insert(dir.to_vec(), rules.clone());
        rules
    }

    /// The rule that decides about a path by itself, not looking at the directories above.
    pub(crate) fn rule(&self, path: &[u8], dir: bool) -> Option<Rule> {
        if self.off {
            return None;
        }
        let mut at = bytes::parent(path);
        loop {
            if let Some(rule) = self.rules_of(at).iter().rev().find(|r| r.matches(path, dir, self.fold)) {
                return Some(rule.clone());
            }
            if at.is_empty() {
                break;
            }
            at = bytes::parent(at);
        }
        self.general.iter().rev().find(|r| r.matches(path, dir, self.fold)).cloned()
    }

    /// The rule that decides about a path: the first one from the top that ignores a directory above it, or its own.
    pub(crate) fn deciding(&self, path: &[u8], dir: bool) -> Option<Rule> {
        for at in path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at) {
            if let Some(rule) = self.rule(&path[..at], true)
                && !rule.negative
            {
                return Some(rule);
            }
        }
        self.rule(path, dir)
    }

    /// Whether a path is ignored.
    pub(crate) fn ignored(&self, path: &[u8], dir: bool) -> bool {
        let parent = bytes::parent(path);
        if !parent.is_empty() {
            let known = self.verdicts.borrow().get(parent).copied();
            let above = known.unwrap_or_else(|| {
                let verdict = self.ignored(parent, true);
                self.verdicts.borrow_mut().insert(parent.to_vec(), verdict);
                verdict
            });
            if above {
                return true;
            }
        }
        self.rule(path, dir).is_some_and(|r| !r.negative)
    }
}
