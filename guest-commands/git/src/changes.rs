//! Lists of changed files: between trees, the index and the work tree, with renames. It compares no lines.

use crate::bytes;
use crate::error::Res;
use crate::index::{Index, index_mode};
use crate::oid::{Kind, MODE_DIR, MODE_GITLINK, Oid, TreeEntry, hash_object, tree_order};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::worktree::{self, State};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// One side of a change. A mode of 0: the file is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) path: Vec<u8>,
    pub(crate) mode: u32,
    /// Zero if it is not known, for a file of the work tree.
    pub(crate) oid: Oid,
    /// The content is in the work tree.
    pub(crate) worktree: bool,
}

/// A changed file.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// `A`, `D`, `M`, `T`, `R`, `C` or `U`.
    pub(crate) status: u8,
    pub(crate) old: Side,
    pub(crate) new: Side,
    /// Likeness of a rename, of [`MAX_SCORE`].
    pub(crate) score: u32,
}

/// Files of a tree by path, with mode and name.
pub(crate) type Files = BTreeMap<Vec<u8>, (u32, Oid)>;

/// The likeness of what is the same.
pub(crate) const MAX_SCORE: u32 = 60_000;
const MAX_DEPTH: usize = 1000;

impl Change {
    /// A change between two sides of one path.
    pub(crate) fn new(path: &[u8], old: (u32, Oid), new: (u32, Oid), worktree: bool) -> Change {
        let status = match (old.0, new.0) {
            (0, _) => b'A',
            (_, 0) => b'D',
            (a, b) if a & 0o170_000 != b & 0o170_000 => b'T',
            _ => b'M',
        };
        let side = |(mode, oid), worktree| Side { path: path.to_vec(), mode, oid, worktree };
        Change { status, old: side(old, false), new: side(new, worktree), score: 0 }
    }

    /// The path that names the change.
    pub(crate) fn path(&self) -> &[u8] {
        if self.new.mode == 0 && self.status != b'U' { &self.old.path } else { &self.new.path }
    }

    /// The other way round.
    pub(crate) fn reverse(self) -> Change {
        let status = match self.status {
            b'A' => b'D',
            b'D' => b'A',
            other => other,
        };
        Change { status, old: self.new, new: self.old, score: self.score }
    }
}

/// The content of a side; nothing if it is not there.
pub(crate) fn content(repo: &Repo, side: &Side) -> Res<Rc<Vec<u8>>> {
    if side.mode == 0 {
        return Ok(Rc::default());
    }
    if side.mode == MODE_GITLINK {
        return Ok(Rc::new(format!("Subproject commit {}\n", side.oid).into_bytes()));
    }
    if side.worktree {
        let stat = agentos_guest::fs::lstat(bytes::path(&side.path))?;
        let data = worktree::read(&side.path, &stat)?;
        return Ok(Rc::new(worktree::clean(repo, &side.path, data)?));
    }
    repo.odb.blob(&side.oid)
}

/// The name of a side's object, computed if it is not known.
pub(crate) fn side_oid(repo: &Repo, side: &Side) -> Res<Oid> {
    if side.mode == 0 || !side.oid.is_zero() {
        return Ok(side.oid);
    }
    Ok(hash_object(Kind::Blob, &content(repo, side)?))
}

/// All files of a tree (`None`: no tree).
pub(crate) fn files(repo: &Repo, tree: Option<Oid>) -> Res<Files> {
    let mut all = Files::new();
    if let Some(tree) = tree {
        flatten(repo, &tree, b"", &mut all, 0)?;
    }
    Ok(all)
}

fn flatten(repo: &Repo, tree: &Oid, prefix: &[u8], all: &mut Files, depth: usize) -> Res<()> {
    if depth > MAX_DEPTH {
        crate::error::fatal!("trees are nested too deeply");
    }
    for entry in repo.odb.tree(tree)? {
        let path = bytes::join(prefix, &entry.name);
        if entry.mode == MODE_DIR {
            flatten(repo, &entry.oid, &path, all, depth + 1)?;
        } else {
            all.insert(path, (entry.mode, entry.oid));
        }
    }
    Ok(())
}

/// Changes between two trees.
pub(crate) fn trees(repo: &Repo, old: Option<Oid>, new: Option<Oid>, spec: &Pathspec) -> Res<Vec<Change>> {
    let mut changes = Vec::new();
    subtrees(repo, old, new, b"", spec, &mut changes, 0)?;
    changes.sort_by(|a, b| a.path().cmp(b.path()));
    Ok(changes)
}

fn subtrees(
    repo: &Repo,
    old: Option<Oid>,
    new: Option<Oid>,
    prefix: &[u8],
    spec: &Pathspec,
    changes: &mut Vec<Change>,
    depth: usize,
) -> Res<()> {
    if old == new {
        return Ok(());
    }
    if depth > MAX_DEPTH {
        crate::error::fatal!("trees are nested too deeply");
    }
    let load = |tree: Option<Oid>| tree.map_or(Ok(Vec::new()), |t| repo.odb.tree(&t));
    let (old, new) = (load(old)?, load(new)?);
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => tree_order((&a.name, a.mode == MODE_DIR), (&b.name, b.mode == MODE_DIR)),
        };
        let a = if order == Ordering::Greater { None } else { old.next() };
        let b = if order == Ordering::Less { None } else { new.next() };
        if let (Some(a), Some(b)) = (&a, &b)
            && a.oid == b.oid
            && a.mode == b.mode
        {
            continue;
        }
        let name = a.as_ref().or(b.as_ref()).map(|e| e.name.clone()).unwrap_or_default();
        let path = bytes::join(prefix, &name);
        let dir = |e: &Option<TreeEntry>| e.as_ref().filter(|e| e.mode == MODE_DIR).map(|e| e.oid);
        let file = |e: &Option<TreeEntry>| {
            e.as_ref().filter(|e| e.mode != MODE_DIR).map_or((0, Oid::ZERO), |e| (e.mode, e.oid))
        };
        if (dir(&a).is_some() || dir(&b).is_some()) && spec.may_be_below(&path) {
            subtrees(repo, dir(&a), dir(&b), &path, spec, changes, depth + 1)?;
        }
        let (a, b) = (file(&a), file(&b));
        if (a.0 != 0 || b.0 != 0) && spec.matches(&path) {
            changes.push(Change::new(&path, a, b, false));
        }
    }
}

/// Changes from a tree's files to the index.
pub(crate) fn tree_to_index(old: &Files, index: &Index, spec: &Pathspec) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut new: BTreeMap<&[u8], Option<(u32, Oid)>> = BTreeMap::new();
    for entry in &index.entries {
        if entry.intent_to_add {
            continue;
        }
        new.insert(&entry.path, (entry.stage == 0).then_some((entry.mode, entry.oid)));
    }
    for (path, side) in &new {
        if !spec.matches(path) {
            continue;
        }
        let before = old.get(*path).copied().unwrap_or((0, Oid::ZERO));
        match side {
            Some(after) if *after != before => changes.push(Change::new(path, before, *after, false)),
            Some(_) => {}
            None => changes.push(unmerged(path)),
        }
    }
    for (path, before) in old {
        if !new.contains_key(path.as_slice()) && spec.matches(path) {
            changes.push(Change::new(path, *before, (0, Oid::ZERO), false));
        }
    }
    changes.sort_by(|a, b| a.path().cmp(b.path()));
    changes
}

fn unmerged(path: &[u8]) -> Change {
    let mut change = Change::new(path, (0, Oid::ZERO), (0, Oid::ZERO), false);
    change.status = b'U';
    change
}

/// Changes from the index to the work tree.
pub(crate) fn index_to_worktree(repo: &Repo, index: &Index, spec: &Pathspec) -> Vec<Change> {
    let filemode = repo.filemode();
    compared(repo, index, spec, &mut |_, entry| worktree::compare(index, entry, filemode))
}

/// [`index_to_worktree`] of what a refresh saw, without looking again.
pub(crate) fn seen_in_worktree(
    repo: &Repo,
    index: &Index,
    spec: &Pathspec,
    mut looks: worktree::Looks,
) -> Vec<Change> {
    compared(repo, index, spec, &mut |at, _| (looks[at].0, looks[at].1.take()))
}

type Compare<'a> = dyn FnMut(usize, &crate::index::Entry) -> (State, Option<agentos_guest::fs::Stat>) + 'a;

fn compared(repo: &Repo, index: &Index, spec: &Pathspec, compare: &mut Compare<'_>) -> Vec<Change> {
    let filemode = repo.filemode();
    let mut changes: Vec<Change> = Vec::new();
    for (at, entry) in index.entries.iter().enumerate() {
        if !spec.matches(&entry.path) {
            continue;
        }
        if entry.stage != 0 {
            if changes.last().is_none_or(|c| c.path() != entry.path || c.status != b'U') {
                changes.push(unmerged(&entry.path));
            }
            continue;
        }
        let old = if entry.intent_to_add { (0, Oid::ZERO) } else { (entry.mode, entry.oid) };
        match compare(at, entry) {
            (State::Same | State::Stale, _) => {}
            (State::Deleted, _) if entry.intent_to_add => {}
            (State::Deleted, _) => changes.push(Change::new(&entry.path, old, (0, Oid::ZERO), false)),
            (State::Modified | State::Type, stat) => {
                let Some(stat) = stat else { continue };
                let mode = worktree::mode_of(filemode, &stat, entry.mode);
                // Only the mode is another: the content is known.
                let oid = if mode != entry.mode
                    && mode & 0o170_000 == entry.mode & 0o170_000
                    && worktree::same_content(entry, &stat)
                {
                    entry.oid
                } else {
                    Oid::ZERO
                };
                changes.push(Change::new(&entry.path, old, (mode, oid), true));
            }
        }
    }
    changes
}

/// Changes from a tree's files to the work tree, for the paths that the index has.
pub(crate) fn tree_to_worktree(repo: &Repo, old: &Files, index: &Index, spec: &Pathspec) -> Res<Vec<Change>> {
    let mut changes = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let dirty: HashMap<Vec<u8>, Change> =
        index_to_worktree(repo, index, spec).into_iter().map(|c| (c.path().to_vec(), c)).collect();
    for entry in &index.entries {
        if !spec.matches(&entry.path) || !seen.insert(entry.path.clone()) {
            continue;
        }
        let before = old.get(&entry.path).copied().unwrap_or((0, Oid::ZERO));
        let (after, worktree) = match dirty.get(&entry.path) {
            None => ((entry.mode, entry.oid), false),
            Some(change) if change.status == b'U' => match agentos_guest::fs::lstat(bytes::path(&entry.path))
            {
                Ok(stat) => {
                    changes.push(unmerged(&entry.path));
                    ((index_mode(&stat).unwrap_or(0), Oid::ZERO), true)
                }
                Err(_) => {
                    changes.push(unmerged(&entry.path));
                    continue;
                }
            },
            Some(change) => ((change.new.mode, change.new.oid), change.new.worktree),
        };
        if before == after {
            continue;
        }
        let mut change = Change::new(&entry.path, before, after, worktree);
        if worktree && before.0 == after.0 && side_oid(repo, &change.new)? == before.1 {
            continue;
        }
        if after.0 == 0 && before.0 == 0 {
            continue;
        }
        if after.0 == 0 {
            change.status = b'D';
        }
        changes.push(change);
    }
    for (path, before) in old {
        if !seen.contains(path) && spec.matches(path) {
            changes.push(Change::new(path, *before, (0, Oid::ZERO), false));
        }
    }
    changes.sort_by(|a, b| a.path().cmp(b.path()));
    Ok(changes)
}

/// Bytes of a content by line (or by 64 bytes), for likeness.
fn spans(data: &[u8]) -> HashMap<&[u8], usize> {
    let mut spans: HashMap<&[u8], usize> = HashMap::new();
    let mut rest = data;
    while !rest.is_empty() {
        let len = rest.iter().take(64).position(|b| *b == b'\n').map_or(rest.len().min(64), |n| n + 1);
        let (span, more) = rest.split_at(len);
        *spans.entry(span).or_default() += span.len();
        rest = more;
    }
    spans
}

/// How much of `new` comes from `old`, of [`MAX_SCORE`].
fn likeness(old: &[u8], new: &[u8], minimum: u32) -> u32 {
    let (max, min) = (old.len().max(new.len()), old.len().min(new.len()));
    if max == 0 || old.is_empty() {
        return 0;
    }
    if (max as u64) * u64::from(MAX_SCORE - minimum) < (max - min) as u64 * u64::from(MAX_SCORE) {
        return 0;
    }
    let (a, b) = (spans(old), spans(new));
    let copied: usize = a.iter().map(|(span, n)| (*n).min(b.get(span).copied().unwrap_or(0))).sum();
    (copied as u64 * u64::from(MAX_SCORE) / max as u64) as u32
}

/// Pairs of added and deleted files that are one file renamed. With `copies`, files that were changed may be copied too.
pub(crate) fn find_renames(
    repo: &Repo,
    changes: Vec<Change>,
    minimum: u32,
    copies: bool,
) -> Res<Vec<Change>> {
    let added: Vec<usize> = (0..changes.len())
        .filter(|i| changes[*i].status == b'A' && changes[*i].new.mode != MODE_GITLINK)
        .collect();
    let mut sources: Vec<usize> = (0..changes.len())
        .filter(|i| changes[*i].status == b'D' && changes[*i].old.mode != MODE_GITLINK)
        .collect();
    if copies {
        sources.extend((0..changes.len()).filter(|i| matches!(changes[*i].status, b'M')));
    }
    if added.is_empty() || sources.is_empty() {
        return Ok(changes);
    }
    // For each added file: its source and the likeness.
    let mut pairs: HashMap<usize, (usize, u32)> = HashMap::new();
    let mut used: HashMap<usize, u32> = HashMap::new();
    let same_type = |a: u32, b: u32| a & 0o170_000 == b & 0o170_000;
    let mut by_oid: HashMap<Oid, Vec<usize>> = HashMap::new();
    for &s in &sources {
        by_oid.entry(changes[s].old.oid).or_default().push(s);
    }
    for &a in &added {
        let oid = side_oid(repo, &changes[a].new)?;
        let Some(candidates) = by_oid.get(&oid) else { continue };
        let new = &changes[a].new;
        let score = |s: usize| {
            let free = !used.contains_key(&s) && changes[s].status == b'D';
            let name = bytes::base(&changes[s].old.path) == bytes::base(&new.path);
            i32::from(free) + i32::from(name)
        };
        let mut best: Option<(i32, usize)> = None;
        for &s in candidates {
            if !same_type(changes[s].old.mode, new.mode) || (used.contains_key(&s) && !copies) {
                continue;
            }
            // An empty file is no sign of a rename.
            let value = score(s);
            if best.is_none_or(|(b, _)| value > b) {
                best = Some((value, s));
            }
        }
        if let Some((_, s)) = best {
            pairs.insert(a, (s, MAX_SCORE));
            *used.entry(s).or_default() += 1;
        }
    }
    let left_added: Vec<usize> = added.iter().copied().filter(|a| !pairs.contains_key(a)).collect();
    let left_sources: Vec<usize> =
        sources.iter().copied().filter(|s| copies || !used.contains_key(s)).collect();
    let limit = repo.config.get("diff.renamelimit").and_then(|l| l.parse().ok()).unwrap_or(1000usize);
    let fits = limit == 0 || left_added.len().saturating_mul(left_sources.len()) <= limit * limit;
    if !left_added.is_empty() && !left_sources.is_empty() && fits {
        let mut texts: HashMap<usize, Rc<Vec<u8>>> = HashMap::new();
        for &s in &left_sources {
            texts.insert(s, content(repo, &changes[s].old)?);
        }
        for &a in &left_added {
            texts.insert(a + changes.len(), content(repo, &changes[a].new)?);
        }
        let text = |a: usize| texts.get(&a).map(|t| t.as_slice()).unwrap_or_default();
        let compare = |s: usize, a: usize| {
            if same_type(changes[s].old.mode, changes[a].new.mode) {
                likeness(text(s), text(a + changes.len()), minimum)
            } else {
                0
            }
        };
        // Files that kept their name in another directory come first, if the name is the only one of its kind.
        if !copies {
            let unique = |list: &[usize], side: fn(&Change) -> &Side| {
                let mut names: HashMap<Vec<u8>, Option<usize>> = HashMap::new();
                for &i in list {
                    let name = bytes::base(&side(&changes[i]).path).to_vec();
                    names.entry(name).and_modify(|e| *e = None).or_insert(Some(i));
                }
                names
            };
            let old = unique(&left_sources, |c| &c.old);
            let new = unique(&left_added, |c| &c.new);
            let wanted = minimum + (MAX_SCORE - minimum) / 2;
            for (name, s) in &old {
                if let (Some(s), Some(Some(a))) = (s, new.get(name)) {
                    let score = compare(*s, *a);
                    if score >= wanted {
                        pairs.insert(*a, (*s, score));
                        used.insert(*s, 1);
                    }
                }
            }
        }
        let mut all: Vec<(u32, bool, usize, usize)> = Vec::new();
        for &a in left_added.iter().filter(|a| !pairs.contains_key(a)) {
            for &s in left_sources.iter().filter(|s| copies || !used.contains_key(s)) {
                let score = compare(s, a);
                if score >= minimum {
                    let name = bytes::base(&changes[s].old.path) == bytes::base(&changes[a].new.path);
                    all.push((score, name, s, a));
                }
            }
        }
        all.sort_by(|x, y| {
            (y.0, y.1).cmp(&(x.0, x.1)).then_with(|| x.3.cmp(&y.3)).then_with(|| x.2.cmp(&y.2))
        });
        for (score, _, s, a) in &all {
            if pairs.contains_key(a) || (used.contains_key(s) || changes[*s].status != b'D') {
                continue;
            }
            pairs.insert(*a, (*s, *score));
            used.insert(*s, 1);
        }
        if copies {
            for (score, _, s, a) in all {
                if let std::collections::hash_map::Entry::Vacant(place) = pairs.entry(a) {
                    place.insert((s, score));
                    *used.entry(s).or_default() += 1;
                }
            }
        }
    }
    // The last user of a deleted file is a rename, the others are copies.
    let mut out = Vec::new();
    let mut left = used.clone();
    for (i, change) in changes.iter().enumerate() {
        if let Some((s, score)) = pairs.get(&i) {
            let count = left.entry(*s).or_default();
            *count = count.saturating_sub(1);
            let status = if *count == 0 && changes[*s].status == b'D' { b'R' } else { b'C' };
            out.push(Change { status, old: changes[*s].old.clone(), new: change.new.clone(), score: *score });
        } else if change.status == b'D' && used.contains_key(&i) {
        } else {
            out.push(change.clone());
        }
    }
    Ok(out)
}
