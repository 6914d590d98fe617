//! `git cherry-pick` and `git revert`, one commit after the other. A sequence that stops is not remembered but for its commit.

use super::merge;
use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, fatal, out, say};
use crate::message::{self, Cleanup};
use crate::oid::{Commit, Kind, Oid};
use crate::repo::{Repo, Setting};
use crate::threeway::{self, Labels};
use crate::{changes, revision, tree, walk};
use std::fs;

/// What status says of a rebase that another git began.
pub(crate) fn status_text(repo: &Repo, conflicts: bool) -> String {
    let name = fs::read_to_string(repo.git_dir.join("rebase-merge/head-name")).unwrap_or_default();
    let _ = conflicts;
    format!("You are currently rebasing branch '{}'.\n\n", Repo::shorten(name.trim()))
}

pub(crate) fn cherry_pick(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    pick(setting, words, false)
}

pub(crate) fn revert(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    pick(setting, words, true)
}

fn pick(setting: &Setting, words: &[Vec<u8>], revert: bool) -> Res<i32> {
    let command = if revert { "revert" } else { "cherry-pick" };
    let mut args = Args::new(
        words,
        "m",
        command,
        "[-n] [-x] [-e | --no-edit] [-m <parent>] [--continue | --abort | --skip | --quit] <commit>...",
    );
    let (mut commit, mut note, mut mainline, mut action, mut signoff, mut empty) =
        (true, false, None, "", false, false);
    let mut names = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-n" | "--no-commit" => commit = false,
                "-x" => note = true,
                "-s" | "--signoff" => signoff = true,
                "--no-edit" | "--no-gpg-sign" => {}
                "--allow-empty" => empty = true,
                "-m" | "--mainline" | "--mainline=" => mainline = args.value(&o)?.parse::<usize>().ok(),
                "--abort" => action = "abort",
                "--continue" => action = "continue",
                "--skip" => action = "skip",
                "--quit" => action = "quit",
                "-e" | "--edit" | "--ff" | "-X" | "--strategy=" | "--keep-redundant-commits" => {
                    fatal!("option {} is not supported", o.trim_end_matches('='))
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let Some(mut head) = repo.head() else { fatal!("your current branch does not have any commits yet") };
    let state = if revert { "REVERT_HEAD" } else { "CHERRY_PICK_HEAD" };
    match action {
        "" => {}
        _ if !repo.git_dir.join(state).exists() => {
            say!("error: no cherry-pick or revert in progress");
            fatal!("{command} failed");
        }
        "continue" => return super::commit::commit(setting, &[]),
        "quit" => {
            merge::clear_state(&repo);
            return Ok(0);
        }
        _ => {
            merge::restore(&repo, &head)?;
            merge::clear_state(&repo);
            return Ok(0);
        }
    }
    let mut picks = Vec::new();
    for name in &names {
        if name.contains("..") {
            let mut walk = walk::Walk { reverse: !revert, ..walk::Walk::default() };
            if !walk.take(&repo, name, false)? {
                fatal!("bad revision '{name}'");
            }
            picks.extend(walk.run(&repo)?);
        } else {
            match revision::find(&repo, name)? {
                Some(oid) => picks.extend(repo.odb.peel_commit(&oid)?),
                None => fatal!("bad revision '{name}'"),
            }
        }
    }
    if picks.is_empty() {
        return Err(Stop::Said(129, args.usage_text()));
    }
    for oid in picks {
        let old = repo.odb.commit(&oid)?;
        let parent = match (old.parents.len(), mainline) {
            (0, _) => None,
            (1, None) => Some(old.parents[0]),
            (_, Some(n)) => match old.parents.get(n.saturating_sub(1)) {
                Some(parent) => Some(*parent),
                None => {
                    say!("error: commit {oid} does not have parent {n}");
                    fatal!("{command} failed");
                }
            },
            (_, None) => {
                say!("error: commit {oid} is a merge but no -m option was given.");
                fatal!("{command} failed");
            }
        };
        let before = match parent {
            Some(parent) => super::commit_files(&repo, &parent)?,
            None => changes::Files::new(),
        };
        let after = super::commit_files(&repo, &oid)?;
        let mut index = repo.index()?;
        let ours = if commit {
            super::commit_files(&repo, &head)?
        } else {
            index.entries.iter().map(|e| (e.path.clone(), (e.mode, e.oid))).collect()
        };
        if commit && !changes::tree_to_index(&ours, &index, &Default::default()).is_empty() {
            say!("error: your local changes would be overwritten by {command}.");
            say!("hint: commit your changes or stash them to proceed.");
            fatal!("{command} failed");
        }
        let subject = bytes::text(&old.subject());
        let label = format!("{}{} ({subject})", if revert { "parent of " } else { "" }, repo.short(&oid));
        let labels = Labels { ours: "HEAD", theirs: &label };
        let (base, theirs) = if revert { (&after, &before) } else { (&before, &after) };
        let merged = threeway::trees(&repo, base, &ours, theirs, &labels)?;
        let lock = index.lock()?;
        if let Err(stop) = merge::apply(&repo, &mut index, &ours, &merged) {
            say!("{}", stop.message());
            fatal!("{command} failed");
        }
        index.write(lock)?;
        for line in &merged.messages {
            out!("{line}\n");
        }
        let mut text = if revert {
            let title = match subject.strip_prefix("Revert \"") {
                Some(rest) if !rest.starts_with("Revert \"") => format!("Reapply \"{rest}"),
                _ => format!("Revert \"{subject}\""),
            };
            let of = match mainline {
                Some(_) => format!(", reversing\nchanges made to {}", parent.unwrap_or_default()),
                None => String::new(),
            };
            format!("{title}\n\nThis reverts commit {oid}{of}.\n").into_bytes()
        } else {
            old.message.clone()
        };
        if note && !revert {
            if !bytes::text(&text).trim_end().contains("\n\n") || !text.ends_with(b")\n") {
                text.push(b'\n');
            }
            text.extend(format!("(cherry picked from commit {oid})\n").bytes());
        }
        if signoff {
            message::add_trailer(&mut text, &[b"Signed-off-by: ", &repo.committer()?.ident()[..]].concat());
        }
        if !merged.conflicts.is_empty() {
            text.extend(merge::conflict_comment(&merged).bytes());
            fs::write(repo.file("MERGE_MSG"), &text)?;
            if commit {
                fs::write(repo.file(state), format!("{oid}\n"))?;
            }
            let verb = if revert { "revert" } else { "apply" };
            say!("error: could not {verb} {}... {subject}", repo.short(&oid));
            if !commit {
                say!(
                    "hint: after resolving the conflicts, mark the corrected paths\nhint: with 'git add <paths>' or 'git rm <paths>'\nhint: Disable this message with \"git config advice.mergeConflict false\""
                );
                return Ok(1);
            }
            say!(
                "hint: After resolving the conflicts, mark them with\nhint: \"git add/rm <pathspec>\", then run\nhint: \"git {command} --continue\".\nhint: You can instead skip this commit with \"git {command} --skip\".\nhint: To abort and get back to the state before \"git {command}\",\nhint: run \"git {command} --abort\".\nhint: Disable this message with \"git config advice.mergeConflict false\""
            );
            return Ok(1);
        }
        if !commit {
            continue;
        }
        let new_tree = tree::from_files(&repo, &merged.files)?;
        if new_tree == repo.odb.commit(&head)?.tree && !empty {
            fs::write(repo.file("MERGE_MSG"), &text)?;
            fs::write(repo.file(state), format!("{oid}\n"))?;
            let shown = super::status::state(
                &repo,
                &index,
                &Default::default(),
                super::status::Untracked::Normal,
                false,
                true,
            )?;
            super::status::long(&repo, &shown, super::status::Untracked::Normal, false)?;
            say!(
                "The previous cherry-pick is now empty, possibly due to conflict resolution.\nIf you wish to commit it anyway, use:\n\n    git commit --allow-empty\n\nOtherwise, please use 'git cherry-pick --skip'"
            );
            return Ok(1);
        }
        head = finish(&repo, &old, new_tree, head, text, revert)?;
    }
    Ok(0)
}

fn finish(repo: &Repo, old: &Commit, tree: Oid, head: Oid, text: Vec<u8>, revert: bool) -> Res<Oid> {
    let author = if revert { repo.author()? } else { old.author.clone() };
    let message = message::clean(&text, Cleanup::Whitespace);
    let made = Commit {
        tree,
        parents: vec![head],
        author,
        committer: repo.committer()?,
        extra: Vec::new(),
        message,
    };
    let oid = repo.odb.write(Kind::Commit, &made.write())?;
    let what = if revert { "revert" } else { "cherry-pick" };
    repo.set_head(&oid, &format!("{what}: {}", bytes::text(&made.subject())))?;
    super::commit::summary(repo, &oid, &made, true)?;
    Ok(oid)
}
