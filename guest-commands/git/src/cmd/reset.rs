//! `git reset`.

use crate::args::{Args, Word};
use crate::bytes;
use crate::changes;
use crate::error::{Res, fatal, out};
use crate::index::Entry;
use crate::pathspec::Pathspec;
use crate::repo::{Repo, Setting};
use crate::{revision, switch, tree, worktree};

pub(crate) fn reset(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "",
        "reset",
        "[--mixed | --soft | --hard | --merge | --keep] [-q] [<commit>] [--] [<pathspec>...]",
    );
    let (mut mode, mut quiet) = ("mixed", false);
    let mut plain: Vec<Vec<u8>> = Vec::new();
    let mut dashdash = None;
    while let Some(word) = args.next()? {
        if args.dashdash && dashdash.is_none() {
            dashdash = Some(plain.len());
        }
        match word {
            Word::Option(o) => match o.as_str() {
                "--soft" => mode = "soft",
                "--mixed" => mode = "mixed",
                "--hard" => mode = "hard",
                "--keep" => mode = "keep",
                "--merge" => mode = "merge",
                "-q" | "--quiet" => quiet = true,
                "--no-quiet" | "--refresh" | "--no-refresh" => {}
                "-p" | "--patch" | "-N" | "--intent-to-add" => fatal!("option {o} is not supported"),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => plain.push(word),
        }
    }
    let repo = Repo::open(setting)?;
    let mut name = "HEAD".to_owned();
    let mut paths = plain.clone();
    if dashdash != Some(0)
        && let Some(first) = plain.first()
    {
        let text = bytes::text(first);
        if revision::find(&repo, &text)?.is_some() {
            name = text;
            paths.remove(0);
        } else if dashdash.is_some() {
            fatal!("Failed to resolve '{text}' as a valid revision.");
        } else {
            crate::walk::check_path(&repo, first)?;
        }
    }
    let head = repo.head();
    let target = if name == "HEAD" && head.is_none() { None } else { Some(revision::resolve(&repo, &name)?) };
    let mut index = repo.index()?;
    if !paths.is_empty() {
        if mode != "mixed" {
            fatal!("Cannot do {mode} reset with paths.");
        }
        repo.need_work_tree()?;
        let spec = repo.pathspec(&paths)?;
        let files = match target {
            Some(oid) => changes::files(&repo, repo.odb.peel_tree(&oid)?)?,
            None => changes::Files::new(),
        };
        let lock = index.lock()?;
        for change in changes::tree_to_index(&files, &index, &spec) {
            let path = change.path().to_vec();
            match files.get(&path) {
                Some((mode, oid)) => index.put(Entry::new(path, *mode, *oid, 0)),
                None => index.remove(&path),
            }
        }
        worktree::refresh(&mut index, repo.filemode());
        list_unstaged(&repo, &index, quiet);
        index.write(lock)?;
        return Ok(0);
    }
    let commit = match target {
        Some(oid) => match repo.odb.peel_commit(&oid)? {
            Some(commit) => Some(commit),
            None => fatal!("Could not parse object '{name}'."),
        },
        None => None,
    };
    let files = match commit {
        Some(commit) => super::commit_files(&repo, &commit)?,
        None => changes::Files::new(),
    };
    if mode != "soft" {
        if mode != "mixed" {
            repo.need_work_tree()?;
        }
        let lock = index.lock()?;
        match mode {
            "hard" => switch::force(&repo, &mut index, &files)?,
            "keep" => switch::two_way(&repo, &mut index, &super::head_files(&repo)?, &files, &switch::MERGE)?,
            "merge" => {
                // What differs from the index stays; what is staged or in conflict goes.
                let staged = changes::tree_to_index(&files, &index, &Pathspec::default());
                for change in staged {
                    let path = change.path().to_vec();
                    match files.get(&path) {
                        Some((mode, oid)) => {
                            let mut entry = Entry::new(path, *mode, *oid, 0);
                            worktree::checkout(&repo, &mut entry)?;
                            index.put(entry);
                        }
                        None => {
                            worktree::remove(&path)?;
                            index.remove(&path);
                        }
                    }
                }
            }
            _ => {
                tree::into_index(&mut index, &files);
                if repo.work_tree.is_some() {
                    worktree::refresh(&mut index, repo.filemode());
                    list_unstaged(&repo, &index, quiet);
                }
            }
        }
        index.write(lock)?;
    }
    if let Some(commit) = commit {
        if let Some(head) = head {
            std::fs::write(repo.file("ORIG_HEAD"), format!("{head}\n"))?;
        }
        repo.set_head(&commit, &format!("reset: moving to {name}"))?;
        if mode != "soft" || !repo.git_dir.join("MERGE_HEAD").exists() {
            super::merge::clear_state(&repo);
        }
        if mode == "hard" && !quiet {
            out!(
                "HEAD is now at {} {}\n",
                repo.short(&commit),
                bytes::text(&repo.odb.commit(&commit)?.subject())
            );
        }
    }
    Ok(0)
}

/// `Unstaged changes after reset:` and the files.
fn list_unstaged(repo: &Repo, index: &crate::index::Index, quiet: bool) {
    if quiet {
        return;
    }
    let all = changes::index_to_worktree(repo, index, &Pathspec::default());
    if !all.is_empty() {
        out!("Unstaged changes after reset:\n");
        for c in all {
            out!("{}\t{}\n", c.status as char, repo.quoted(c.path()));
        }
    }
}
