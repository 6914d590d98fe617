//! Moving index and work tree from one tree to another, so that nothing of the user is lost; or by force.

use crate::bytes;
use crate::changes::Files;
use crate::error::{Res, Stop, failed, say};
use crate::index::{Entry, Index};
use crate::oid::Oid;
use crate::repo::Repo;
use crate::tree;
use crate::worktree::{self, State};
use agentos_guest::fs::{FileType, file_type, lstat};
use std::collections::BTreeSet;

/// The words of a refusal: what would overwrite, and before what one should commit.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) before: &'static str,
}

pub(crate) const CHECKOUT: Operation = Operation { name: "checkout", before: "switch branches" };
pub(crate) const MERGE: Operation = Operation { name: "merge", before: "merge" };

/// Moves from `old` to `new`. Local changes of files that are the same in both are kept; others make it fail before
/// anything is touched. The caller writes the index.
pub(crate) fn two_way(
    repo: &Repo,
    index: &mut Index,
    old: &Files,
    new: &Files,
    operation: &Operation,
) -> Res<()> {
    if index.entries.iter().any(|e| e.stage != 0) {
        for path in index.unmerged() {
            say!("{}: needs merge", bytes::text(&path));
        }
        failed!("you need to resolve your current index first");
    }
    let filemode = repo.filemode();
    let ignore = repo.ignore();
    let none = (0, Oid::ZERO);
    let mut local = Vec::new();
    let mut untracked = Vec::new();
    let mut todo: Vec<(Vec<u8>, (u32, Oid))> = Vec::new();
    let paths: BTreeSet<&Vec<u8>> = old.keys().chain(new.keys()).collect();
    for path in paths {
        let (a, b) = (old.get(path).copied().unwrap_or(none), new.get(path).copied().unwrap_or(none));
        if a == b {
            continue;
        }
        let entry = index.get(path).cloned();
        let now = entry.as_ref().map_or(none, |e| (e.mode, e.oid));
        if now == b && (b != none || entry.is_none()) {
            continue;
        }
        if now != a {
            local.push(path.clone());
            continue;
        }
        match &entry {
            Some(entry) => match worktree::compare(index, entry, filemode).0 {
                State::Same | State::Stale | State::Deleted => {}
                State::Modified | State::Type => {
                    local.push(path.clone());
                    continue;
                }
            },
            None => {
                if in_the_way(index, &ignore, path) {
                    untracked.push(path.clone());
                    continue;
                }
            }
        }
        todo.push((path.clone(), b));
    }
    if !local.is_empty() || !untracked.is_empty() {
        let list =
            |paths: &[Vec<u8>]| paths.iter().map(|p| format!("\t{}\n", bytes::text(p))).collect::<String>();
        if !local.is_empty() {
            say!(
                "error: Your local changes to the following files would be overwritten by {}:\n{}Please commit your changes or stash them before you {}.",
                operation.name,
                list(&local),
                operation.before
            );
        }
        if !untracked.is_empty() {
            say!(
                "error: The following untracked working tree files would be overwritten by {}:\n{}Please move or remove them before you {}.",
                operation.name,
                list(&untracked),
                operation.before
            );
        }
        return Err(Stop::Said(1, "Aborting".to_owned()));
    }
    for (path, _) in todo.iter().filter(|(_, b)| b.0 == 0) {
        worktree::remove(path)?;
        index.remove(path);
    }
    for (path, b) in todo.into_iter().filter(|(_, b)| b.0 != 0) {
        let mut entry = Entry::new(path, b.0, b.1, 0);
        worktree::checkout(repo, &mut entry)?;
        index.put(entry);
    }
    Ok(())
}

/// Whether something that is not tracked and not ignored would be lost if `path` were written.
pub(crate) fn in_the_way(index: &Index, ignore: &crate::ignore::Ignore, path: &[u8]) -> bool {
    match lstat(bytes::path(path)) {
        Ok(stat) if worktree::behind_link(path) => {
            let _ = stat;
            false
        }
        Ok(stat) if file_type(stat.mode) == FileType::Dir => {
            !index.has_below(path)
                && std::fs::read_dir(bytes::path(path)).is_ok_and(|mut d| d.next().is_some())
        }
        Ok(_) => !ignore.ignored(path, false) && !index.has(path),
        Err(_) => {
            // A file above is in the way of the directory.
            let mut dir = bytes::parent(path);
            while !dir.is_empty() {
                if let Ok(stat) = lstat(bytes::path(dir))
                    && file_type(stat.mode) != FileType::Dir
                {
                    return !index.has(dir) && !ignore.ignored(dir, false);
                }
                dir = bytes::parent(dir);
            }
            false
        }
    }
}

/// Makes index and work tree the same as a tree, whatever was there.
pub(crate) fn force(repo: &Repo, index: &mut Index, new: &Files) -> Res<()> {
    let tracked: Vec<Vec<u8>> = index.entries.iter().map(|e| e.path.clone()).collect();
    for path in tracked {
        if !new.contains_key(&path) {
            worktree::remove(&path)?;
        }
    }
    tree::into_index(index, new);
    let filemode = repo.filemode();
    for at in 0..index.entries.len() {
        let (state, stat) = worktree::compare(index, &index.entries[at], filemode);
        match (state, stat) {
            (State::Same, _) => {}
            (State::Stale, Some(stat)) => index.entries[at].set_stat(&stat),
            _ => {
                let mut entry = index.entries[at].clone();
                worktree::checkout(repo, &mut entry)?;
                index.entries[at] = entry;
            }
        }
    }
    Ok(())
}
