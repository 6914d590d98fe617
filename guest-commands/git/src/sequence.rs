//! Bringing the change of one commit to HEAD: what cherry-pick, revert and rebase share. It keeps no state of a sequence.

use crate::changes::Files;
use crate::cmd::merge;
use crate::error::{Res, out, say};
use crate::index::Index;
use crate::message;
use crate::oid::{Commit, Kind, Oid, Person};
use crate::repo::Repo;
use crate::threeway::{self, Favor, Labels, Merged};
use crate::{bytes, cmd};
use std::rc::Rc;

/// A commit whose change is wanted, or its opposite.
pub(crate) struct Change {
    pub(crate) oid: Oid,
    pub(crate) commit: Rc<Commit>,
    /// What it is compared with.
    pub(crate) parent: Option<Oid>,
    pub(crate) revert: bool,
}

impl Change {
    /// The change of a commit against its parent, or against parent number `mainline` if it is a merge. The error is a
    /// message.
    pub(crate) fn new(
        repo: &Repo,
        oid: Oid,
        mainline: Option<usize>,
        revert: bool,
    ) -> Res<Result<Change, String>> {
        let commit = repo.odb.commit(&oid)?;
        let parent = match (commit.parents.len(), mainline) {
            (0, _) => None,
            (1, None | Some(1)) => Some(commit.parents[0]),
            (_, Some(n)) => match n.checked_sub(1).and_then(|n| commit.parents.get(n)) {
                Some(parent) => Some(*parent),
                None => return Ok(Err(format!("commit {oid} does not have parent {n}"))),
            },
            (_, None) => return Ok(Err(format!("commit {oid} is a merge but no -m option was given."))),
        };
        Ok(Ok(Change { oid, commit, parent, revert }))
    }

    /// The first line of its message.
    pub(crate) fn subject(&self) -> String {
        bytes::text(&self.commit.subject())
    }

    fn files(&self, repo: &Repo) -> Res<(Files, Files)> {
        let before = match self.parent {
            Some(parent) => cmd::commit_files(repo, &parent)?,
            None => Files::new(),
        };
        Ok((before, cmd::commit_files(repo, &self.oid)?))
    }

    /// Whether the commit is the same as its parent.
    pub(crate) fn is_empty(&self, repo: &Repo) -> Res<bool> {
        let before = match self.parent {
            Some(parent) => repo.odb.commit(&parent)?.tree,
            None => crate::oid::EMPTY_TREE,
        };
        Ok(before == self.commit.tree)
    }

    /// Changes index and work tree, whose files were `ours`, and says what was merged; with `quiet` only if there are
    /// conflicts.
    pub(crate) fn apply(
        &self,
        repo: &Repo,
        index: &mut Index,
        ours: &Files,
        favor: Favor,
        quiet: bool,
    ) -> Res<Merged> {
        let (before, after) = self.files(repo)?;
        let name = format!("{} ({})", repo.short(&self.oid), self.subject());
        let parent = format!("parent of {name}");
        let (theirs, base) = if self.revert { (&parent, &name) } else { (&name, &parent) };
        let labels = Labels { ours: "HEAD", theirs, base, favor, ..Labels::default() };
        let (base, theirs) = if self.revert { (&after, &before) } else { (&before, &after) };
        let merged = threeway::trees(repo, base, ours, theirs, &labels)?;
        let lock = index.lock()?;
        merge::apply(repo, index, ours, &merged)?;
        index.write(lock)?;
        if !quiet || !merged.conflicts.is_empty() {
            merged.messages.iter().for_each(|line| out!("{line}\n"));
        }
        Ok(merged)
    }
}

/// Makes a commit and moves HEAD to it.
pub(crate) fn record(
    repo: &Repo,
    tree: Oid,
    parents: Vec<Oid>,
    author: Person,
    message: Vec<u8>,
    log: &str,
) -> Res<(Oid, Commit)> {
    let committer = repo.committer()?;
    let made = Commit { tree, parents, author, committer, extra: Vec::new(), message };
    let oid = repo.odb.write(Kind::Commit, &made.write())?;
    repo.set_head(&oid, &format!("{log}: {}", bytes::text(&made.subject())))?;
    message::hook(repo, "post-commit", &[])?;
    Ok((oid, made))
}

/// The hint after a conflict.
pub(crate) fn hint(text: &str) {
    for line in text.lines() {
        if line.is_empty() { say!("hint:") } else { say!("hint: {line}") }
    }
}
