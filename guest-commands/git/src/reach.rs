//! Which objects a history is made of, and which of them somebody lacks. It reads one store and no refs.

use crate::error::Res;
use crate::odb::Odb;
use crate::oid::{Kind, MODE_DIR, MODE_GITLINK, Oid, Tag};
use std::collections::{HashSet, VecDeque};

/// An object that belongs to what was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) oid: Oid,
    pub(crate) kind: Kind,
    /// Files of the same name have the same hint; a good base for a delta has too.
    pub(crate) hint: u32,
}

/// What is asked for.
#[derive(Default)]
pub(crate) struct Request {
    pub(crate) wants: Vec<Oid>,
    /// What is there already, with all that belongs to it.
    pub(crate) haves: Vec<Oid>,
    /// Commits without their parents, where the histories of `haves` end.
    pub(crate) shallow: Vec<Oid>,
    /// So many commits deep.
    pub(crate) depth: Option<usize>,
}

/// What a request comes to.
#[derive(Default)]
pub(crate) struct Reached {
    pub(crate) items: Vec<Item>,
    /// Commits whose parents are not there afterwards.
    pub(crate) shallow: Vec<Oid>,
    /// Commits that had no parents before and have them afterwards.
    pub(crate) unshallow: Vec<Oid>,
}

/// Hints of names: the last letters count most, so that files of one type are near each other.
fn hint(name: &[u8]) -> u32 {
    name.iter()
        .filter(|b| !b.is_ascii_whitespace())
        .fold(0, |hash: u32, b| (hash >> 2).wrapping_add(u32::from(*b) << 24))
}

struct Trees<'a> {
    odb: &'a Odb,
    seen: HashSet<Oid>,
}

impl Trees<'_> {
    /// A tree and what is in it, but for what was seen.
    fn walk(&mut self, tree: Oid, found: &mut Vec<Item>) -> Res<()> {
        if !self.seen.insert(tree) {
            return Ok(());
        }
        found.push(Item { oid: tree, kind: Kind::Tree, hint: 0 });
        let mut todo = vec![tree];
        while let Some(at) = todo.pop() {
            for entry in self.odb.tree(&at)? {
                if entry.mode == MODE_GITLINK || !self.seen.insert(entry.oid) {
                    continue;
                }
                let kind = if entry.mode == MODE_DIR { Kind::Tree } else { Kind::Blob };
                found.push(Item { oid: entry.oid, kind, hint: hint(&entry.name) });
                if kind == Kind::Tree {
                    todo.push(entry.oid);
                }
            }
        }
        Ok(())
    }
}

/// The objects of a request: commits, then tags, then trees and files.
pub(crate) fn collect(odb: &Odb, request: &Request) -> Res<Reached> {
    let mut reached = Reached::default();
    let ends: HashSet<Oid> = request.shallow.iter().copied().collect();
    let mut theirs: HashSet<Oid> = HashSet::new();
    let mut todo: Vec<Oid> = Vec::new();
    let mut trees = Trees { odb, seen: HashSet::new() };
    let mut none = Vec::new();
    for have in request.haves.iter().filter(|o| odb.exists(o)) {
        let mut at = *have;
        while odb.kind(&at)? == Kind::Tag {
            theirs.insert(at);
            at = Tag::parse(&odb.read(&at)?.1)?.target;
        }
        match odb.kind(&at)? {
            Kind::Commit => todo.push(at),
            Kind::Tree => trees.walk(at, &mut none)?,
            _ => drop(trees.seen.insert(at)),
        }
    }
    while let Some(oid) = todo.pop() {
        if theirs.insert(oid) && !ends.contains(&oid) {
            todo.extend(odb.commit(&oid)?.parents.iter().copied().filter(|p| odb.exists(p)));
        }
    }
    let (mut commits, mut tags, mut files) = (Vec::new(), Vec::new(), Vec::new());
    let mut queue = VecDeque::new();
    let mut seen: HashSet<Oid> = HashSet::new();
    let mut loose = Vec::new();
    for want in &request.wants {
        let mut at = *want;
        loop {
            match odb.kind(&at)? {
                Kind::Tag => {
                    if !theirs.contains(&at) && seen.insert(at) {
                        tags.push(Item { oid: at, kind: Kind::Tag, hint: 0 });
                    }
                    at = Tag::parse(&odb.read(&at)?.1)?.target;
                    continue;
                }
                Kind::Commit => queue.push_back((at, 1)),
                kind => loose.push((at, kind)),
            }
            break;
        }
    }
    let mut order = Vec::new();
    while let Some((oid, depth)) = queue.pop_front() {
        if !seen.insert(oid) || (request.depth.is_none() && theirs.contains(&oid)) {
            continue;
        }
        let commit = odb.commit(&oid)?;
        if !theirs.contains(&oid) {
            commits.push(Item { oid, kind: Kind::Commit, hint: 0 });
            order.push(commit.tree);
        }
        if request.depth.is_some_and(|d| depth >= d) {
            reached.shallow.push(oid);
            continue;
        }
        if request.depth.is_some() && ends.contains(&oid) && !odb.is_shallow(&oid) {
            reached.unshallow.push(oid);
        } else if odb.is_shallow(&oid) {
            reached.shallow.push(oid);
        }
        for parent in &commit.parents {
            if theirs.contains(parent) && trees.seen.len() < 1 << 20 {
                trees.walk(odb.commit(parent)?.tree, &mut none)?;
            }
            queue.push_back((*parent, depth + 1));
        }
    }
    for have in request.haves.iter().filter(|o| odb.exists(o)) {
        if let Some(tree) = odb.peel_tree(have)? {
            trees.walk(tree, &mut none)?;
        }
    }
    for tree in order {
        trees.walk(tree, &mut files)?;
    }
    for (oid, kind) in loose {
        if kind == Kind::Tree {
            trees.walk(oid, &mut files)?;
        } else if trees.seen.insert(oid) {
            files.push(Item { oid, kind, hint: 0 });
        }
    }
    reached.items = commits;
    reached.items.append(&mut tags);
    let (dirs, blobs): (Vec<Item>, Vec<Item>) = files.into_iter().partition(|i| i.kind == Kind::Tree);
    reached.items.extend(dirs);
    reached.items.extend(blobs);
    Ok(reached)
}
