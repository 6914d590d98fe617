//! Reading directories for `tree`: which entries there are, filtered and sorted. It prints nothing.

use super::ignore::Rules;
use super::{Options, Sort};
use crate::glob;
use crate::os::{OsStrExt, join};
use crate::walk::{MAX_DEPTH, names};
use agentos_guest::fs::{FileType, Stat, file_type, lstat, stat};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};

/// One file.
pub(super) struct Node {
    pub(super) name: OsString,
    pub(super) path: OsString,
    pub(super) stat: Option<Stat>,
    /// The kind, that of a link itself.
    pub(super) kind: FileType,
    /// Where a link points, and what is there.
    pub(super) target: Option<(OsString, Option<Stat>)>,
    /// What is said of a directory that is not shown.
    pub(super) note: Option<String>,
    pub(super) children: Vec<Node>,
    /// Whether the patterns name this directory.
    matched: bool,
}

impl Node {
    /// Looks at a file.
    pub(super) fn new(name: OsString, path: OsString) -> Node {
        let found = lstat(&path).ok();
        let kind = found.as_ref().map_or(FileType::Other, |s| file_type(s.mode));
        let target = (kind == FileType::Symlink).then(|| {
            let text = std::fs::read_link(&path).map(std::path::PathBuf::into_os_string).unwrap_or_default();
            (text, stat(&path).ok())
        });
        Node { name, path, stat: found, kind, target, note: None, children: Vec::new(), matched: false }
    }

    /// Whether it is a directory, or a link to one.
    pub(super) fn is_dir(&self) -> bool {
        let behind =
            |t: &(OsString, Option<Stat>)| t.1.as_ref().is_some_and(|s| file_type(s.mode) == FileType::Dir);
        self.kind == FileType::Dir || self.target.as_ref().is_some_and(behind)
    }

    /// The size that is shown: with `--du` of all that is in it.
    pub(super) fn size(&self, du: bool) -> u64 {
        let own = self.stat.as_ref().map_or(0, |s| s.size);
        if du { own + self.children.iter().map(|c| c.size(true)).sum::<u64>() } else { own }
    }
}

/// The walk below one root.
pub(super) struct Walk<'a> {
    o: &'a Options,
    /// The directories from the root to here, against loops.
    above: Vec<(u64, u64)>,
    /// All the directories so far, where links are followed.
    seen: HashSet<(u64, u64)>,
    /// The rules of each directory above, and how many parts of the path come before it.
    rules: Vec<(Rules, usize)>,
    parts: Vec<OsString>,
    device: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(o: &'a Options) -> Walk<'a> {
        Walk { o, above: Vec::new(), seen: HashSet::new(), rules: Vec::new(), parts: Vec::new(), device: 0 }
    }

    /// Reads what is below `node`; `false`: it cannot be opened.
    pub(super) fn fill(&mut self, node: &mut Node) -> bool {
        let o = self.o;
        let behind = stat(&node.path).ok();
        let here = behind.as_ref().map_or((0, 0), |s| (s.dev, s.ino));
        if self.above.is_empty() {
            self.device = here.0;
        }
        if self.above.contains(&here) || (node.kind == FileType::Symlink && self.seen.contains(&here)) {
            node.note = Some("recursive, not followed".into());
            return true;
        }
        if o.one_system && here.0 != self.device {
            return true;
        }
        if self.above.len() >= o.level.min(MAX_DEPTH) {
            return true;
        }
        let Ok(list) = names(&node.path) else {
            node.note = Some("error opening dir".into());
            return false;
        };
        self.above.push(here);
        if o.follow {
            self.seen.insert(here);
        }
        let ruled = o.gitignore.then(|| Rules::read(&node.path)).flatten();
        let has_rules = ruled.is_some();
        if let Some(rules) = ruled {
            self.rules.push((rules, self.parts.len()));
        }
        let mut children = Vec::new();
        for name in list {
            if !o.all && name.as_bytes().starts_with(b".") {
                continue;
            }
            let path = join(&node.path, &name);
            let mut child = Node::new(name, path);
            if self.wanted(&mut child) {
                children.push(child);
            }
        }
        if o.file_limit > 0 && children.len() > o.file_limit {
            node.note = Some(format!("{} entries exceeds filelimit, not opening dir", children.len()));
            children.clear();
        }
        for child in &mut children {
            if child.kind == FileType::Dir || (o.follow && child.is_dir()) {
                self.parts.push(child.name.clone());
                // What cannot be opened is told in its line.
                self.fill(child);
                self.parts.pop();
            }
        }
        if o.prune {
            children.retain(|c| !c.is_dir() || c.matched || !c.children.is_empty());
        }
        sort(&mut children, o);
        node.children = children;
        if has_rules {
            self.rules.pop();
        }
        self.above.pop();
        true
    }

    fn wanted(&self, node: &mut Node) -> bool {
        let o = self.o;
        let is_dir = node.is_dir();
        let hit = |patterns: &[String]| {
            patterns.iter().any(|p| match p.strip_suffix('/') {
                Some(p) => is_dir && glob::matches(p.as_bytes(), node.name.as_bytes(), o.fold),
                None => glob::matches(p.as_bytes(), node.name.as_bytes(), o.fold),
            })
        };
        if o.dirs_only && !is_dir {
            return false;
        }
        // Links count as files here.
        let real_dir = node.kind == FileType::Dir;
        let named = hit(&o.include);
        if !o.include.is_empty() && !real_dir && !named {
            return false;
        }
        if hit(&o.exclude) {
            return false;
        }
        let mut path: Vec<&[u8]> = self.parts.iter().map(|p| p.as_bytes()).collect();
        path.push(node.name.as_bytes());
        let verdict = self.rules.iter().rev().find_map(|(r, from)| r.ignores(&path[*from..], real_dir));
        let matched = named && o.match_dirs;
        node.matched = matched;
        !verdict.unwrap_or(false)
    }
}

fn sort(children: &mut [Node], o: &Options) {
    let time = |n: &Node, changed: bool| {
        n.stat
            .as_ref()
            .map_or((0, 0), |s| if changed { (s.mtime, s.mtime_nsec) } else { (s.ctime, s.ctime_nsec) })
    };
    let by_name = |a: &Node, b: &Node| a.name.as_bytes().cmp(b.name.as_bytes());
    let order = |a: &Node, b: &Node| match o.sort {
        Sort::Name => by_name(a, b),
        Sort::Version => version(&a.name, &b.name).then_with(|| by_name(a, b)),
        Sort::Size => b.size(o.du).cmp(&a.size(o.du)).then_with(|| by_name(a, b)),
        Sort::Changed => time(a, true).cmp(&time(b, true)).then_with(|| by_name(a, b)),
        Sort::Status => time(a, false).cmp(&time(b, false)).then_with(|| by_name(a, b)),
        Sort::None => Ordering::Equal,
    };
    let sorted = o.sort != Sort::None;
    children.sort_by(|a, b| {
        let kinds = match (a.is_dir(), b.is_dir()) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => Ordering::Equal,
        };
        let first = match (sorted && o.dirs_first, sorted && o.files_first) {
            (true, _) => kinds,
            (_, true) => kinds.reverse(),
            _ => Ordering::Equal,
        };
        first.then_with(|| if o.reverse { order(b, a) } else { order(a, b) })
    });
}

/// Names with runs of digits compared as numbers.
fn version(a: &OsStr, b: &OsStr) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let digits = |s: &[u8]| s.iter().take_while(|c| c.is_ascii_digit()).count();
        let (x, y) = (digits(a), digits(b));
        if x > 0 && y > 0 {
            let strip = |s: &[u8]| s.iter().position(|c| *c != b'0').unwrap_or(s.len());
            let (m, n) = (&a[strip(&a[..x])..x], &b[strip(&b[..y])..y]);
            let order = m.len().cmp(&n.len()).then_with(|| m.cmp(n));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[x..], &b[y..]);
            continue;
        }
        match (a.first(), b.first()) {
            (Some(x), Some(y)) if x == y => (a, b) = (&a[1..], &b[1..]),
            (x, y) => return x.cmp(&y),
        }
    }
}
