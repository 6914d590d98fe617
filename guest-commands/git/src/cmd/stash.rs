//! `git stash`: push, pop, apply, list, show, drop, clear, branch.

use super::merge;
use crate::args::{Args, Word};
use crate::bytes;
use crate::changes::{self, Files};
use crate::diffout;
use crate::error::{Res, Stop, fatal, out, say};
use crate::index::{Entry, Index};
use crate::oid::{Commit, Kind, Oid};
use crate::pathspec::Pathspec;
use crate::repo::{Repo, Setting};
use crate::threeway::{self, Labels};
use crate::{revision, switch, tree, worktree};
use std::fs;

const REF: &str = "refs/stash";

pub(crate) fn stash(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let verb = words.first().map(|w| bytes::text(w)).unwrap_or_default();
    let rest = words.get(1..).unwrap_or_default();
    match verb.as_str() {
        "push" | "save" => push(setting, rest, verb == "save"),
        "" => push(setting, &[], false),
        option if option.starts_with('-') => push(setting, words, false),
        "list" => {
            let repo = Repo::open(setting)?;
            if repo.ref_oid(REF).is_none() {
                return Ok(0);
            }
            let mut all = vec![b"-g".to_vec(), b"--format=%gd: %gs".to_vec()];
            all.extend(rest.iter().cloned());
            all.push(b"refs/stash".to_vec());
            if rest.is_empty() {
                for (at, entry) in repo.reflog(REF).iter().rev().enumerate() {
                    out!("stash@{{{at}}}: {}\n", bytes::text(&entry.message));
                }
                return Ok(0);
            }
            super::log::log(setting, &all)
        }
        "apply" | "pop" => apply(setting, rest, verb == "pop"),
        "drop" => {
            let repo = Repo::open(setting)?;
            let mut quiet = false;
            let mut name = None;
            for word in rest {
                if word == b"-q" || word == b"--quiet" {
                    quiet = true
                } else {
                    name = Some(bytes::text(word))
                }
            }
            let (at, oid) = find(&repo, name.as_deref())?;
            drop_entry(&repo, at)?;
            if !quiet {
                out!("Dropped {} ({oid})\n", shown(name.as_deref(), at));
            }
            Ok(0)
        }
        "clear" => {
            let repo = Repo::open(setting)?;
            repo.delete_ref(REF)?;
            Ok(0)
        }
        "show" => show(setting, rest),
        "branch" => {
            let repo = Repo::open(setting)?;
            let Some(name) = rest.first() else { fatal!("No branch name specified") };
            let (_, oid) = find(&repo, rest.get(1).map(|w| bytes::text(w)).as_deref())?;
            let base = repo.odb.commit(&oid)?.parents[0].to_string();
            let words = [b"-b".to_vec(), name.clone(), base.into_bytes()];
            let status = super::checkout::checkout(setting, &words)?;
            if status != 0 {
                return Ok(status);
            }
            apply(setting, &[&[b"--index".to_vec()], rest.get(1..).unwrap_or_default()].concat(), true)
        }
        other => Err(Stop::Said(
            129,
            format!(
                "fatal: subcommand wasn't specified; 'push' can't be assumed due to unexpected token '{other}'"
            ),
        )),
    }
}

fn shown(name: Option<&str>, at: usize) -> String {
    match name {
        Some(name) if !name.bytes().all(|b| b.is_ascii_digit()) => name.to_owned(),
        _ => format!("refs/stash@{{{at}}}"),
    }
}

/// Place and commit of a stash.
fn find(repo: &Repo, name: Option<&str>) -> Res<(usize, Oid)> {
    let at = match name {
        None => 0,
        Some(name) => {
            let inside = name
                .strip_prefix("stash@{")
                .or_else(|| name.strip_prefix("refs/stash@{"))
                .and_then(|r| r.strip_suffix('}'));
            match inside.unwrap_or(name).parse::<usize>() {
                Ok(at) => at,
                Err(_) if name == "stash" => 0,
                Err(_) => return Err(Stop::Error(1, format!("{name} is not a valid reference"))),
            }
        }
    };
    let log = repo.reflog(REF);
    if log.is_empty() {
        return Err(Stop::Said(1, "No stash entries found.".to_owned()));
    }
    match log.len().checked_sub(at + 1) {
        Some(i) => Ok((at, log[i].new)),
        None => Err(Stop::Error(1, format!("stash@{{{at}}} is not a valid reference"))),
    }
}

fn drop_entry(repo: &Repo, at: usize) -> Res<()> {
    let mut log = repo.reflog(REF);
    let i = log.len() - 1 - at;
    log.remove(i);
    if log.is_empty() {
        return repo.delete_ref(REF);
    }
    for n in i.max(1)..log.len() {
        log[n].old = log[n - 1].new;
    }
    if i == 0 {
        log[0].old = Oid::ZERO;
    }
    let last = log[log.len() - 1].new;
    repo.set_ref(REF, &last, None, "")?;
    repo.write_reflog(REF, &log)
}

/// Puts local changes into a commit that is on no list, and takes them out of the work tree.
pub(crate) fn put_away(setting: &Setting, repo: &Repo) -> Res<Oid> {
    let words = [b"-q".to_vec(), b"-m".to_vec(), b"autostash".to_vec()];
    make(setting, &words, false, false)?;
    let (at, oid) = find(repo, None)?;
    drop_entry(repo, at)?;
    Ok(oid)
}

/// Applies what `put_away` made; if that gives conflicts, it goes to the list.
pub(crate) fn take_back(setting: &Setting, repo: &Repo, oid: &Oid) -> Res<()> {
    let words = [b"-q".to_vec(), oid.to_string().into_bytes()];
    let (result, _) = crate::error::captured(|| apply(setting, &words, false));
    if matches!(result, Ok(0)) {
        say!("Applied autostash.");
        return Ok(());
    }
    keep(repo, oid, "autostash")?;
    say!(
        "Applying autostash resulted in conflicts.\nYour changes are safe in the stash.\nYou can run \"git stash pop\" or \"git stash drop\" at any time."
    );
    Ok(())
}

/// Adds a commit to the list.
pub(crate) fn keep(repo: &Repo, oid: &Oid, title: &str) -> Res<()> {
    let old = repo.ref_oid(REF).unwrap_or_default();
    repo.append_log(REF, &old, oid, title)?;
    // The log is written by hand: only here has this ref one.
    let log = repo.reflog(REF);
    repo.set_ref(REF, oid, None, title)?;
    repo.write_reflog(REF, &log)
}

fn push(setting: &Setting, words: &[Vec<u8>], save: bool) -> Res<i32> {
    make(setting, words, save, true)
}

/// Makes a stash; `logged`: as a reset of HEAD would be.
fn make(setting: &Setting, words: &[Vec<u8>], save: bool, logged: bool) -> Res<i32> {
    let mut args =
        Args::new(words, "m", "stash push", "[-k] [-q] [-u | -a] [-S] [-m <message>] [--] [<pathspec>...]");
    let (mut keep, mut quiet, mut untracked, mut all, mut message, mut staged) =
        (false, false, false, false, None, false);
    let mut paths = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-k" | "--keep-index" => keep = true,
                "--no-keep-index" => keep = false,
                "-q" | "--quiet" => quiet = true,
                "-u" | "--include-untracked" => untracked = true,
                "-a" | "--all" => (untracked, all) = (true, true),
                "-S" | "--staged" => staged = true,
                "-m" | "--message" | "--message=" => message = Some(args.value(&o)?),
                "-p" | "--patch" => fatal!("option {o} is not supported: it needs a terminal dialogue"),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => paths.push(word),
        }
    }
    if save && !paths.is_empty() {
        message = Some(bytes::text(&paths.join(&b' ')));
        paths.clear();
    }
    if staged {
        fatal!("option --staged is not supported");
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let Some(head) = repo.head() else {
        return Err(Stop::Said(1, "You do not have the initial commit yet".to_owned()));
    };
    let spec = repo.pathspec(&paths)?;
    let mut index = repo.index()?;
    if !index.unmerged().is_empty() {
        for path in index.unmerged() {
            say!("{}: needs merge", bytes::text(&path));
        }
        return Ok(1);
    }
    let mut used = Vec::new();
    index.entries.iter().for_each(|e| spec.mark(&e.path, &mut used));
    let extra: Vec<Vec<u8>> = if untracked {
        let found = worktree::untracked(
            &index,
            &repo.ignore(),
            &spec,
            worktree::Walk { collapse: false, ignored: all },
        )?;
        found.untracked.into_iter().chain(found.ignored).filter(|p| !p.ends_with(b"/")).collect()
    } else {
        Vec::new()
    };
    extra.iter().for_each(|p| spec.mark(p, &mut used));
    if let Some(s) = spec.unused(&used).next() {
        return Err(Stop::Error(
            1,
            format!(
                "pathspec ':({}){}' did not match any file(s) known to git\nDid you forget to 'git add'?",
                "prefix:0",
                s.text()
            ),
        ));
    }
    worktree::refresh(&mut index, repo.filemode());
    let files = super::commit_files(&repo, &head)?;
    let in_index = changes::tree_to_index(&files, &index, &spec);
    let in_work = changes::index_to_worktree(&repo, &index, &spec);
    if in_index.is_empty() && in_work.is_empty() && extra.is_empty() {
        if !quiet {
            out!("No local changes to save\n");
        }
        return Ok(0);
    }
    let lock = index.lock()?;
    let who = repo.stashers()?;
    let branch = repo.head_branch().unwrap_or_else(|| "(no branch)".to_owned());
    let base = format!("{branch}: {} {}", repo.short(&head), bytes::text(&repo.odb.commit(&head)?.subject()));
    let make = |tree: Oid, parents: Vec<Oid>, message: String| -> Res<Oid> {
        let commit = Commit {
            tree,
            parents,
            author: who.0.clone(),
            committer: who.1.clone(),
            extra: Vec::new(),
            message: message.into_bytes(),
        };
        repo.odb.write(Kind::Commit, &commit.write())
    };
    let index_tree = tree::from_index(&repo, &index)?;
    let index_commit = make(index_tree, vec![head], format!("index on {base}\n"))?;
    let mut parents = vec![head, index_commit];
    if !extra.is_empty() {
        let mut other = Files::new();
        for path in &extra {
            let stat = agentos_guest::fs::lstat(bytes::path(path))?;
            let mode = crate::index::index_mode(&stat).unwrap_or(0o100_644);
            other.insert(path.clone(), (mode, worktree::store(&repo, path, &stat)?));
        }
        parents.push(make(
            tree::from_files(&repo, &other)?,
            Vec::new(),
            format!("untracked files on {base}\n"),
        )?);
    }
    let mut work = Index {
        file: index.file.clone(),
        entries: index.entries.clone(),
        written: index.written,
        existed: index.existed,
    };
    super::add::update_tracked(&repo, &mut work, &spec, false, false)?;
    if !spec.is_empty() {
        // Outside of the paths the work tree is that of HEAD.
        let mut only = files.clone();
        for change in &in_index {
            only.remove(change.path());
        }
        only.retain(|p, _| !spec.matches(p));
        only.extend(
            work.entries.iter().filter(|e| spec.matches(&e.path)).map(|e| (e.path.clone(), (e.mode, e.oid))),
        );
        tree::into_index(&mut work, &only);
    }
    let work_tree = tree::from_index(&repo, &work)?;
    let title = match &message {
        Some(text) => format!("On {branch}: {text}"),
        None => format!("WIP on {base}"),
    };
    let oid = make(work_tree, parents, title.clone())?;
    self::keep(&repo, &oid, &title)?;
    if !quiet {
        out!("Saved working directory and index state {title}\n");
    }
    for path in &extra {
        worktree::remove(path)?;
    }
    let back =
        if keep { index.entries.iter().map(|e| (e.path.clone(), (e.mode, e.oid))).collect() } else { files };
    if spec.is_empty() {
        switch::force(&repo, &mut index, &back)?;
        if logged {
            fs::write(repo.file("ORIG_HEAD"), format!("{head}\n"))?;
            repo.log_ref("HEAD", &head, &head, "reset: moving to HEAD")?;
        }
    } else {
        for change in in_index.iter().chain(&in_work) {
            let path = change.path().to_vec();
            match back.get(&path) {
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
    index.write(lock)?;
    Ok(0)
}

fn apply(setting: &Setting, words: &[Vec<u8>], pop: bool) -> Res<i32> {
    let mut args = Args::new(words, "", "stash apply", "[--index] [-q] [<stash>]");
    let (mut with_index, mut quiet, mut name) = (false, false, None);
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--index" => with_index = true,
                "-q" | "--quiet" => quiet = true,
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => name = Some(bytes::text(&word)),
        }
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let direct = name.as_ref().filter(|n| !n.contains("stash") && n.len() > 4 && !pop);
    let (at, oid) = match direct {
        Some(name) => (0, revision::commit(&repo, name)?),
        None => find(&repo, name.as_deref())?,
    };
    let saved = repo.odb.commit(&oid)?;
    if saved.parents.len() < 2 {
        fatal!("'{oid}' is not a stash-like commit");
    }
    let mut index = repo.index()?;
    if !index.unmerged().is_empty() {
        for path in index.unmerged() {
            say!("{}: needs merge", bytes::text(&path));
        }
        return Ok(1);
    }
    worktree::refresh(&mut index, repo.filemode());
    let base = super::commit_files(&repo, &saved.parents[0])?;
    let ours: Files = index.entries.iter().map(|e| (e.path.clone(), (e.mode, e.oid))).collect();
    let theirs = changes::files(&repo, Some(saved.tree))?;
    let labels = Labels {
        ours: "Updated upstream",
        theirs: "Stashed changes",
        base: "Stash base",
        ..Labels::default()
    };
    let merged = threeway::trees(&repo, &base, &ours, &theirs, &labels)?;
    if let Some(other) = saved.parents.get(2) {
        let files = super::commit_files(&repo, other)?;
        let exist: Vec<&Vec<u8>> =
            files.keys().filter(|p| fs::symlink_metadata(bytes::path(p)).is_ok()).collect();
        if !exist.is_empty() {
            for path in exist {
                say!("{} already exists, no checkout", bytes::text(path));
            }
            say!("error: could not restore untracked files from stash");
            if pop {
                out!("The stash entry is kept in case you need it again.\n");
            }
            return Ok(1);
        }
    }
    let lock = index.lock()?;
    if let Err(stop) = merge::apply(&repo, &mut index, &ours, &merged) {
        say!("{}", stop.message());
        if pop {
            say!("The stash entry is kept in case you need it again.");
        }
        return Ok(1);
    }
    if let Some(other) = saved.parents.get(2) {
        for (path, (mode, oid)) in super::commit_files(&repo, other)? {
            worktree::checkout(&repo, &mut Entry::new(path, mode, oid, 0))?;
        }
    }
    for line in &merged.messages {
        out!("{line}\n");
    }
    let clean = merged.conflicts.is_empty();
    if clean {
        // Only new files stay in the index; other changes are those of the work tree.
        let keep = if with_index { super::commit_files(&repo, &saved.parents[1])? } else { ours.clone() };
        let mut entries = Vec::new();
        for entry in std::mem::take(&mut index.entries) {
            match keep.get(&entry.path) {
                Some((mode, oid)) if entry.mode == *mode && entry.oid == *oid => entries.push(entry),
                Some((mode, oid)) => entries.push(Entry::new(entry.path, *mode, *oid, 0)),
                None if !with_index => entries.push(entry),
                None => {}
            }
        }
        for (path, (mode, oid)) in &keep {
            if !merged.files.contains_key(path) {
                entries.push(Entry::new(path.clone(), *mode, *oid, 0));
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        index.entries = entries;
        worktree::refresh(&mut index, repo.filemode());
    }
    index.write(lock)?;
    if !quiet || !clean {
        let shown = super::status::state(
            &repo,
            &repo.index()?,
            &Pathspec::default(),
            super::status::Untracked::Normal,
            false,
            true,
        )?;
        super::status::long(&repo, &shown, super::status::Untracked::Normal, false)?;
    }
    if !clean {
        if pop {
            out!("The stash entry is kept in case you need it again.\n");
        }
        return Ok(1);
    }
    if pop {
        drop_entry(&repo, at)?;
        if !quiet {
            out!("Dropped {} ({oid})\n", shown(name.as_deref(), at));
        }
    }
    Ok(0)
}

fn show(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    let mut options = diffout::Options::new(Some(&repo));
    let mut name = None;
    for word in words {
        let text = bytes::text(word);
        if text.starts_with('-') {
            if !options.take(&text, &mut || None)? {
                fatal!("unrecognized argument: {text}");
            }
        } else {
            name = Some(text);
        }
    }
    if !options.asked() {
        options.stat = true;
    }
    let (_, oid) = find(&repo, name.as_deref())?;
    let saved = repo.odb.commit(&oid)?;
    let base = repo.odb.commit(&saved.parents[0])?.tree;
    let all = changes::trees(&repo, Some(base), Some(saved.tree), &Pathspec::default())?;
    diffout::show(&repo, all, &options)?;
    Ok(0)
}
