//! Walking history: which commits, and in which order. What is printed of them is elsewhere.

use crate::bytes;
use crate::changes;
use crate::error::{Res, Stop, fatal};
use crate::oid::{Commit, Oid};
use crate::pathspec::Pathspec;
use crate::regex::Regex;
use crate::repo::Repo;
use crate::revision;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// A selection of commits.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) include: Vec<Oid>,
    pub(crate) exclude: Vec<Oid>,
    pub(crate) paths: Pathspec,
    pub(crate) max: Option<usize>,
    pub(crate) skip: usize,
    pub(crate) since: Option<i64>,
    pub(crate) until: Option<i64>,
    pub(crate) authors: Vec<Regex>,
    pub(crate) committers: Vec<Regex>,
    pub(crate) greps: Vec<Regex>,
    pub(crate) all_match: bool,
    pub(crate) invert: bool,
    pub(crate) first_parent: bool,
    pub(crate) min_parents: usize,
    pub(crate) max_parents: Option<usize>,
    pub(crate) reverse: bool,
    pub(crate) topo: bool,
    pub(crate) date_order: bool,
    pub(crate) full_history: bool,
    /// Which side of `a...b` each commit is on is wanted.
    pub(crate) left: Vec<Oid>,
    pub(crate) no_walk: bool,
    /// `-S` and `-G` of a log look at the changes of every commit.
    pub(crate) pickaxe: Option<Box<crate::diffout::Options>>,
    pub(crate) follow: Option<Vec<u8>>,
    /// Parents as they are in the history that is shown.
    pub(crate) rewritten: HashMap<Oid, Vec<Oid>>,
    pub(crate) want_parents: bool,
    /// Refs were asked for as a group, of which there may be none.
    pub(crate) groups: bool,
    /// What the last walk left out.
    pub(crate) excluded: HashSet<Oid>,
}

/// All commits that are reachable from these.
pub(crate) fn ancestors(repo: &Repo, from: &[Oid]) -> Res<HashSet<Oid>> {
    let mut seen: HashSet<Oid> = HashSet::new();
    let mut todo = from.to_vec();
    while let Some(oid) = todo.pop() {
        if seen.insert(oid) {
            todo.extend(repo.odb.commit(&oid)?.parents.iter().copied());
        }
    }
    Ok(seen)
}

/// Whether `ancestor` is reachable from `from`.
pub(crate) fn is_ancestor(repo: &Repo, ancestor: &Oid, from: &Oid) -> Res<bool> {
    if ancestor == from {
        return Ok(true);
    }
    let mut seen: HashSet<Oid> = HashSet::new();
    let mut todo = vec![*from];
    while let Some(oid) = todo.pop() {
        if oid == *ancestor {
            return Ok(true);
        }
        if seen.insert(oid) {
            todo.extend(repo.odb.commit(&oid)?.parents.iter().copied());
        }
    }
    Ok(false)
}

/// The best common ancestors of two commits: those that are no ancestors of another one.
pub(crate) fn merge_bases(repo: &Repo, a: &Oid, b: &Oid) -> Res<Vec<Oid>> {
    if a == b {
        return Ok(vec![*a]);
    }
    let of_a = ancestors(repo, &[*a])?;
    let mut seen = HashSet::new();
    let mut todo = vec![*b];
    let mut common = Vec::new();
    while let Some(oid) = todo.pop() {
        if !seen.insert(oid) {
            continue;
        }
        if of_a.contains(&oid) {
            common.push(oid);
        } else {
            todo.extend(repo.odb.commit(&oid)?.parents.iter().copied());
        }
    }
    let mut best = Vec::new();
    for (at, oid) in common.iter().enumerate() {
        let mut covered = false;
        for (other, from) in common.iter().enumerate() {
            if other != at && is_ancestor(repo, oid, from)? {
                covered = true;
                break;
            }
        }
        if !covered {
            best.push(*oid);
        }
    }
    let time = |oid: &Oid| repo.odb.commit(oid).map_or(0, |c| c.committer.time);
    best.sort_by_key(|oid| Reverse(time(oid)));
    Ok(best)
}

impl Walk {
    /// Takes a revision argument (`a`, `^a`, `a..b`, `a...b`, `a^@`, `a^!`); false if it is none.
    pub(crate) fn take(&mut self, repo: &Repo, text: &str, not: bool) -> Res<bool> {
        let commit = |name: &str| -> Res<Option<Oid>> {
            let name = if name.is_empty() { "HEAD" } else { name };
            match revision::find(repo, name)? {
                Some(oid) if !repo.odb.exists(&oid) => fatal!("bad object {name}"),
                Some(oid) => match repo.odb.peel_commit(&oid)? {
                    Some(commit) => Ok(Some(commit)),
                    None => Ok(None),
                },
                None => Ok(None),
            }
        };
        if let Some((a, b)) = text.split_once("...") {
            let (Some(a), Some(b)) = (commit(a)?, commit(b)?) else { return Ok(false) };
            self.exclude.extend(merge_bases(repo, &a, &b)?);
            self.left.push(a);
            self.include.extend([a, b]);
            return Ok(true);
        }
        if let Some((a, b)) = text.split_once("..")
            && text != ".."
        {
            let (Some(a), Some(b)) = (commit(a)?, commit(b)?) else { return Ok(false) };
            self.exclude.push(a);
            self.include.push(b);
            return Ok(true);
        }
        if let Some(name) = text.strip_prefix('^') {
            let Some(oid) = commit(name)? else { return Ok(false) };
            if not {
                self.include.push(oid)
            } else {
                self.exclude.push(oid)
            }
            return Ok(true);
        }
        if let Some(name) = text.strip_suffix("^@") {
            let Some(oid) = commit(name)? else { return Ok(false) };
            self.include.extend(&repo.odb.commit(&oid)?.parents);
            return Ok(true);
        }
        if let Some(name) = text.strip_suffix("^!") {
            let Some(oid) = commit(name)? else { return Ok(false) };
            self.include.push(oid);
            self.exclude.extend(&repo.odb.commit(&oid)?.parents);
            return Ok(true);
        }
        let Some(oid) = commit(text)? else { return Ok(false) };
        if not {
            self.exclude.push(oid)
        } else {
            self.include.push(oid)
        }
        Ok(true)
    }

    /// Adds the commits of refs below a prefix.
    pub(crate) fn take_refs(&mut self, repo: &Repo, prefix: &str, not: bool) -> Res<()> {
        for (_, oid) in repo.refs(prefix) {
            if let Ok(Some(commit)) = repo.odb.peel_commit(&oid) {
                if not { self.exclude.push(commit) } else { self.include.push(commit) }
            }
        }
        Ok(())
    }

    fn wanted(&self, commit: &Commit) -> bool {
        if commit.parents.len() < self.min_parents
            || self.max_parents.is_some_and(|m| commit.parents.len() > m)
        {
            return false;
        }
        if self.until.is_some_and(|t| commit.committer.time > t)
            || self.since.is_some_and(|t| commit.committer.time < t)
        {
            return false;
        }
        let any = |list: &[Regex], text: &[u8]| list.is_empty() || list.iter().any(|r| r.is_match(text));
        if !any(&self.authors, &commit.author.ident()) || !any(&self.committers, &commit.committer.ident()) {
            return false;
        }
        if self.greps.is_empty() {
            return true;
        }
        let hit = if self.all_match {
            self.greps.iter().all(|r| r.is_match(&commit.message))
        } else {
            self.greps.iter().any(|r| r.is_match(&commit.message))
        };
        hit != self.invert
    }

    /// Whether an edge of a graph leads to this parent: it is not excluded, and would be shown but for a limit.
    pub(crate) fn is_shown(&self, repo: &Repo, oid: &Oid) -> bool {
        !self.excluded.contains(oid) && repo.odb.commit(oid).is_ok_and(|c| self.wanted(&c))
    }

    /// The parents that the walk goes on to, and whether the commit changes what is asked for.
    fn simplify(&self, repo: &Repo, commit: &Commit) -> Res<(Vec<Oid>, bool)> {
        let mut parents = commit.parents.clone();
        if self.first_parent {
            parents.truncate(1);
        }
        if self.paths.is_empty() {
            return Ok((parents, true));
        }
        if parents.is_empty() {
            let changed = !changes::trees(repo, None, Some(commit.tree), &self.paths)?.is_empty();
            return Ok((parents, changed));
        }
        let mut same = 0;
        for parent in &parents {
            let tree = repo.odb.commit(parent)?.tree;
            if tree == commit.tree
                || changes::trees(repo, Some(tree), Some(commit.tree), &self.paths)?.is_empty()
            {
                same += 1;
                if !self.full_history {
                    return Ok((vec![*parent], false));
                }
            }
        }
        let shown = if self.full_history { same == 0 } else { true };
        Ok((parents, shown))
    }

    /// The commits, in order.
    pub(crate) fn run(&mut self, repo: &Repo) -> Res<Vec<Oid>> {
        let mut list = if self.no_walk {
            let mut seen = HashSet::new();
            let mut list: Vec<Oid> = self.include.iter().copied().filter(|o| seen.insert(*o)).collect();
            list.sort_by_key(|o| Reverse(repo.odb.commit(o).map_or(0, |c| c.committer.time)));
            list
        } else {
            self.collect(repo)?
        };
        if self.topo || self.date_order {
            list = self.topological(repo, list)?;
        }
        let mut out = Vec::new();
        let mut skip = self.skip;
        for oid in list {
            if self.max.is_some_and(|m| out.len() >= m) {
                break;
            }
            if !self.wanted(&*repo.odb.commit(&oid)?) {
                continue;
            }
            if let Some(options) = &self.pickaxe {
                let commit = repo.odb.commit(&oid)?;
                let parent = match commit.parents.first() {
                    Some(_) if commit.parents.len() > 1 => continue,
                    Some(parent) => Some(repo.odb.commit(parent)?.tree),
                    None => None,
                };
                let found = changes::trees(repo, parent, Some(commit.tree), &self.paths)?;
                if crate::diffout::prepare(repo, found, options)?.is_empty() {
                    continue;
                }
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            out.push(oid);
        }
        if self.reverse {
            out.reverse();
        }
        Ok(out)
    }

    fn collect(&mut self, repo: &Repo) -> Res<Vec<Oid>> {
        let excluded = if self.exclude.is_empty() { HashSet::new() } else { ancestors(repo, &self.exclude)? };
        self.excluded.clone_from(&excluded);
        let mut heap: BinaryHeap<(i64, Reverse<usize>, Oid)> = BinaryHeap::new();
        let mut seen: HashSet<Oid> = HashSet::new();
        let mut order = 0;
        let mut add = |heap: &mut BinaryHeap<_>, oid: Oid| -> Res<()> {
            if !excluded.contains(&oid) && seen.insert(oid) {
                order += 1;
                heap.push((repo.odb.commit(&oid)?.committer.time, Reverse(order), oid));
            }
            Ok(())
        };
        for oid in &self.include {
            add(&mut heap, *oid)?;
        }
        let mut list = Vec::new();
        let plain = !(self.topo
            || self.date_order
            || self.reverse
            || self.want_parents
            || self.pickaxe.is_some()
            || self.follow.is_some());
        let mut found = 0;
        let mut links: HashMap<Oid, (Vec<Oid>, bool)> = HashMap::new();
        while let Some((time, _, oid)) = heap.pop() {
            // Older ones than the oldest wanted have only older parents, but for clocks that were wrong.
            if self.since.is_some_and(|t| time < t)
                && heap.iter().all(|(t, ..)| self.since.is_some_and(|s| *t < s))
            {
                break;
            }
            let commit = repo.odb.commit(&oid)?;
            let (parents, shown) = self.follow_or_simplify(repo, &commit)?;
            for parent in &parents {
                add(&mut heap, *parent)?;
            }
            if shown {
                list.push(oid);
                if plain && self.wanted(&commit) {
                    found += 1;
                    if self.max.is_some_and(|m| found >= m + self.skip) {
                        break;
                    }
                }
            }
            if self.want_parents {
                links.insert(oid, (parents, shown));
            }
        }
        if self.want_parents {
            let kept: HashSet<Oid> = list.iter().copied().collect();
            for oid in &list {
                let mut parents = Vec::new();
                for parent in &links[oid].0 {
                    let mut at = *parent;
                    // Past commits that are not shown.
                    while !kept.contains(&at) {
                        match links.get(&at).and_then(|(p, _)| p.first()) {
                            Some(next) => at = *next,
                            None => break,
                        }
                    }
                    if kept.contains(&at) && !parents.contains(&at) {
                        parents.push(at);
                    }
                }
                self.rewritten.insert(*oid, parents);
            }
        }
        Ok(list)
    }

    fn follow_or_simplify(&mut self, repo: &Repo, commit: &Commit) -> Res<(Vec<Oid>, bool)> {
        let result = self.simplify(repo, commit)?;
        if let Some(path) = self.follow.clone()
            && result.1
            && commit.parents.len() == 1
        {
            // The commit that made the file may have renamed it.
            let old = repo.odb.commit(&commit.parents[0])?.tree;
            if revision::entry_at(repo, &old, &path)?.is_none() {
                let all = changes::trees(repo, Some(old), Some(commit.tree), &Pathspec::default())?;
                let renamed = changes::find_renames(repo, all, changes::MAX_SCORE / 2, false)?;
                if let Some(c) = renamed.iter().find(|c| c.status == b'R' && c.new.path == path) {
                    self.follow = Some(c.old.path.clone());
                    let literal = [b":(top,literal)", &c.old.path[..]].concat();
                    self.paths = Pathspec::new(&[literal], b"", b"")?;
                }
            }
        }
        Ok(result)
    }

    /// Children before parents; branches are not mixed (or by date with `date_order`).
    fn topological(&self, repo: &Repo, list: Vec<Oid>) -> Res<Vec<Oid>> {
        let kept: HashSet<Oid> = list.iter().copied().collect();
        let parents = |oid: &Oid| -> Res<Vec<Oid>> {
            if let Some(parents) = self.rewritten.get(oid) {
                return Ok(parents.clone());
            }
            let mut parents = repo.odb.commit(oid)?.parents.clone();
            if self.first_parent {
                parents.truncate(1);
            }
            Ok(parents)
        };
        let mut degree: HashMap<Oid, usize> = HashMap::new();
        for oid in &list {
            for parent in parents(oid)? {
                if kept.contains(&parent) {
                    *degree.entry(parent).or_default() += 1;
                }
            }
        }
        let mut stack: Vec<Oid> = Vec::new();
        let mut heap: BinaryHeap<(i64, Reverse<usize>, Oid)> = BinaryHeap::new();
        let mut order = 0;
        let time = |oid: &Oid| repo.odb.commit(oid).map_or(0, |c| c.committer.time);
        for oid in list.iter().rev().filter(|o| !degree.contains_key(o)) {
            stack.push(*oid);
        }
        if self.date_order {
            for oid in stack.drain(..).rev() {
                order += 1;
                heap.push((time(&oid), Reverse(order), oid));
            }
        }
        let mut out = Vec::new();
        while let Some(oid) = if self.date_order { heap.pop().map(|h| h.2) } else { stack.pop() } {
            out.push(oid);
            for parent in parents(&oid)? {
                if let Some(left) = degree.get_mut(&parent) {
                    *left -= 1;
                    if *left == 0 {
                        order += 1;
                        if self.date_order {
                            heap.push((time(&parent), Reverse(order), parent))
                        } else {
                            stack.push(parent)
                        }
                    }
                }
            }
        }
        Ok(out)
    }

    /// Takes an option that selects commits; false if it is none.
    pub(crate) fn option(
        &mut self,
        repo: &Repo,
        option: &str,
        fold: bool,
        kind: Syntax,
        next: &mut dyn FnMut() -> Option<String>,
    ) -> Res<bool> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) if option.starts_with("--") => (name, Some(value.to_owned())),
            _ => (option, None),
        };
        let mut need = || -> Res<String> {
            match value.clone().or_else(&mut *next) {
                Some(value) => Ok(value),
                None => fatal!("Option '{}' requires a value", name.trim_start_matches('-')),
            }
        };
        let regex = |text: &str| -> Res<Regex> {
            match kind {
                Syntax::Fixed => Regex::fixed(text, fold),
                Syntax::Basic => Regex::new(text, false, fold),
                Syntax::Extended => Regex::new(text, true, fold),
            }
            .map_err(|e| Stop::Fatal(format!("command line, '{text}': {e}")))
        };
        let number = |text: &str| -> Res<usize> {
            match text.parse::<i64>() {
                Ok(n) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
                Err(_) => fatal!("'{text}': not an integer"),
            }
        };
        self.groups |= matches!(option, "--all" | "--branches" | "--tags" | "--remotes");
        match name {
            "-n" | "--max-count" => self.max = Some(number(&need()?)?),
            "--skip" => self.skip = number(&need()?)?,
            "--since" | "--after" | "--since-as-filter" => {
                self.since = Some(crate::date::approximate(&need()?))
            }
            "--until" | "--before" => self.until = Some(crate::date::approximate(&need()?)),
            "--author" => self.authors.push(regex(&need()?)?),
            "--committer" => self.committers.push(regex(&need()?)?),
            "--grep" => self.greps.push(regex(&need()?)?),
            "--all-match" => self.all_match = true,
            "--invert-grep" => self.invert = true,
            "--first-parent" => self.first_parent = true,
            "--merges" => self.min_parents = 2,
            "--no-merges" => self.max_parents = Some(1),
            "--min-parents" => self.min_parents = number(&need()?)?,
            "--max-parents" => self.max_parents = Some(number(&need()?)?),
            "--reverse" => self.reverse = true,
            "--topo-order" => self.topo = true,
            "--date-order" | "--author-date-order" => self.date_order = true,
            "--full-history" => self.full_history = true,
            "--no-walk" => self.no_walk = true,
            "--all" => {
                self.take_refs(repo, "refs/", false)?;
                self.include.extend(repo.head());
            }
            "--branches" if value.is_none() => self.take_refs(repo, "refs/heads/", false)?,
            "--tags" if value.is_none() => self.take_refs(repo, "refs/tags/", false)?,
            "--remotes" if value.is_none() => self.take_refs(repo, "refs/remotes/", false)?,
            _ => match option.strip_prefix('-') {
                Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                    self.max = Some(number(digits)?);
                }
                Some(rest)
                    if rest.starts_with('n')
                        && rest.len() > 1
                        && rest[1..].bytes().all(|b| b.is_ascii_digit()) =>
                {
                    self.max = Some(number(&rest[1..])?);
                }
                _ => return Ok(false),
            },
        }
        Ok(true)
    }
}

/// What the text of `--grep` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Basic,
    Extended,
    Fixed,
}

/// Divides arguments into revisions and paths, as log and diff do: what is no revision must be a path that exists.
pub(crate) fn divide(
    repo: &Repo,
    words: &[Vec<u8>],
    paths_from: Option<usize>,
    walk: &mut Walk,
    not_from: &[usize],
) -> Res<Vec<Vec<u8>>> {
    let limit = paths_from.unwrap_or(words.len());
    let mut at = 0;
    while at < limit {
        let text = bytes::text(&words[at]);
        let not = not_from.iter().filter(|n| **n <= at).count() % 2 == 1;
        if paths_from.is_none()
            && revision::find(repo, &text).is_err()
            && repo.user_path(&words[at]).is_ok_and(|p| exists(&p))
        {
            break;
        }
        if !walk.take(repo, &text, not)? {
            if paths_from.is_some() {
                fatal!("bad revision '{text}'");
            }
            break;
        }
        at += 1;
    }
    if paths_from.is_none() {
        for word in &words[at..] {
            check_path(repo, word)?;
        }
        return Ok(words[at..].to_vec());
    }
    Ok(words[limit..].to_vec())
}

fn exists(path: &[u8]) -> bool {
    let path = if path.is_empty() { b"." } else { path };
    std::fs::symlink_metadata(bytes::path(path)).is_ok()
}

/// Fails if a word is no path of the work tree and no pattern.
pub(crate) fn check_path(repo: &Repo, word: &[u8]) -> Res<()> {
    if word.starts_with(b":") || crate::glob::is_pattern(word) {
        return Ok(());
    }
    let path = repo.user_path(word)?;
    if !exists(&path) {
        return Err(revision::ambiguous(&bytes::text(word)));
    }
    Ok(())
}
