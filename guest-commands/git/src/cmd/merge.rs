//! `git merge`, and applying a three-way merge to index and work tree for the commands that need one.

use crate::args::{Args, Word};
use crate::bytes;
use crate::changes::{self, Files};
use crate::diffout;
use crate::error::{Res, Stop, fatal, out, put, say};
use crate::index::{Entry, Index};
use crate::message::{self, Cleanup};
use crate::oid::{Commit, Kind, Oid};
use crate::pathspec::Pathspec;
use crate::repo::{Repo, Setting};
use crate::threeway::{self, Favor, Labels, Merged};
use crate::{revision, switch, tree, walk};
use std::fs;

/// Takes away what a merge, cherry-pick or revert left to be finished.
pub(crate) fn clear_state(repo: &Repo) {
    for name in [
        "MERGE_HEAD",
        "MERGE_MODE",
        "MERGE_MSG",
        "SQUASH_MSG",
        "CHERRY_PICK_HEAD",
        "REVERT_HEAD",
        "AUTO_MERGE",
    ] {
        let _ = fs::remove_file(repo.file(name));
    }
}

/// Brings a merge into index and work tree. True if there was no conflict.
pub(crate) fn apply(repo: &Repo, index: &mut Index, ours: &Files, merged: &Merged) -> Res<bool> {
    switch::two_way(repo, index, ours, &merged.files, &switch::MERGE)?;
    for conflict in &merged.conflicts {
        index.remove(&conflict.path);
        for (at, side) in conflict.stages.iter().enumerate() {
            if let Some((mode, oid)) = side {
                index.put_stage(Entry::new(conflict.path.clone(), *mode, *oid, at as u8 + 1));
            }
        }
    }
    if !merged.conflicts.is_empty() {
        let tree = tree::from_files(repo, &merged.files)?;
        fs::write(repo.file("AUTO_MERGE"), format!("{tree}\n"))?;
    }
    Ok(merged.conflicts.is_empty())
}

/// The tree that stands for the common history of two commits; several bases are merged with each other first.
pub(crate) fn base_files(repo: &Repo, bases: &[Oid]) -> Res<Files> {
    let Some((first, rest)) = bases.split_first() else { return Ok(Files::new()) };
    let mut files = super::commit_files(repo, first)?;
    for other in rest {
        let below = walk::merge_bases(repo, first, other)?;
        let base = base_files(repo, &below[..below.len().min(1)])?;
        let labels = Labels {
            ours: "Temporary merge branch 1",
            theirs: "Temporary merge branch 2",
            ..Labels::default()
        };
        files = threeway::trees(repo, &base, &files, &super::commit_files(repo, other)?, &labels)?.files;
    }
    Ok(files)
}

/// The side that `-X` prefers.
pub(crate) fn favor(option: &str) -> Res<Favor> {
    match option {
        "ours" => Ok(Favor::Ours),
        "theirs" => Ok(Favor::Theirs),
        "find-renames" | "patience" | "histogram" | "diff-algorithm=histogram" => Ok(Favor::None),
        _ => fatal!("strategy option '{option}' is not supported"),
    }
}

const USAGE: &str = "[--ff | --no-ff | --ff-only] [--squash] [--no-commit] [-m <msg>] [--no-edit] [-q] [--abort | --continue | --quit] <commit>";

pub(crate) fn merge(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "mFsX", "merge", USAGE);
    let (mut ff, mut commit, mut squash, mut quiet, mut action, mut unrelated) =
        (None, true, false, false, "", false);
    let mut messages: Vec<String> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut edit = false;
    let mut stat = true;
    let mut favor = Favor::None;
    let mut only_ours = false;
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--ff" => ff = None,
                "--no-ff" => ff = Some(false),
                "--ff-only" => ff = Some(true),
                "--commit" => commit = true,
                "--no-commit" => commit = false,
                "--squash" => squash = true,
                "--no-squash" => squash = false,
                "-m" | "--message" | "--message=" => messages.push(args.value(&o)?),
                "-F" | "--file" | "--file=" => messages.push(bytes::text(&fs::read(args.value(&o)?)?)),
                "-e" | "--edit" => edit = true,
                "-n" | "--no-stat" => stat = false,
                "--no-edit"
                | "--stat"
                | "--no-verify"
                | "--no-progress"
                | "--no-rerere-autoupdate"
                | "--no-gpg-sign"
                | "--no-log" => {}
                "-q" | "--quiet" => quiet = true,
                "-v" | "--verbose" => {}
                "--abort" => action = "abort",
                "--continue" => action = "continue",
                "--quit" => action = "quit",
                "--allow-unrelated-histories" => unrelated = true,
                "-s" | "--strategy" | "--strategy=" => {
                    let name = args.value(&o)?;
                    match name.as_str() {
                        "ort" | "recursive" | "octopus" => {}
                        "ours" => only_ours = true,
                        "resolve" | "subtree" => fatal!("merge strategy '{name}' is not supported"),
                        _ => {
                            say!("Could not find merge strategy '{name}'.");
                            say!("Available strategies are: octopus ours recursive resolve subtree.");
                            return Ok(1);
                        }
                    }
                }
                "-X" | "--strategy-option" | "--strategy-option=" => {
                    favor = self::favor(&args.value(&o)?)?;
                }
                "-S" | "--autostash" | "--signoff" => {
                    fatal!("option {} is not supported", o.trim_end_matches('='))
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let merging = repo.git_dir.join("MERGE_HEAD").exists();
    match action {
        "abort" => {
            if !merging {
                fatal!("There is no merge to abort (MERGE_HEAD missing).");
            }
            let Some(head) = repo.head() else { fatal!("There is no merge to abort (MERGE_HEAD missing).") };
            restore(&repo, &head)?;
            repo.set_head(&head, "reset: moving to HEAD")?;
            clear_state(&repo);
            return Ok(0);
        }
        "continue" => {
            if !merging {
                fatal!("There is no merge in progress (MERGE_HEAD missing).");
            }
            return super::commit::commit(setting, &[]);
        }
        "quit" => {
            clear_state(&repo);
            return Ok(0);
        }
        _ => {}
    }
    let index_now = repo.index()?;
    if !index_now.unmerged().is_empty() {
        say!("error: Merging is not possible because you have unmerged files.");
        say!(
            "hint: Fix them up in the work tree, and then use 'git add/rm <file>'\nhint: as appropriate to mark resolution and make a commit."
        );
        fatal!("Exiting because of an unresolved conflict.");
    }
    if merging {
        fatal!(
            "You have not concluded your merge (MERGE_HEAD exists).\nPlease, commit your changes before you merge."
        );
    }
    if names.is_empty() {
        let branch = repo.head_branch().unwrap_or_default();
        match revision::upstream(&repo, &branch) {
            Some(up) => names.push(Repo::shorten(&up).to_owned()),
            None => fatal!("No remote for the current branch."),
        }
    }
    if names.len() > 1 {
        reduce(&repo, &mut names)?;
        if names.is_empty() {
            out!("Already up to date.\n");
            return Ok(0);
        }
    }
    if names.len() > 1 {
        let text = (!messages.is_empty()).then(|| messages.join("\n\n") + "\n");
        if squash || !commit || edit {
            fatal!("merging more than one commit at once without a commit is not supported");
        }
        return octopus(&repo, &names, text, only_ours, quiet, stat);
    }
    let name = if names[0] == "-" {
        revision::previous_branch(&repo, 1).unwrap_or_default()
    } else {
        names[0].clone()
    };
    let theirs = match revision::find(&repo, &name)? {
        Some(oid) => repo.odb.peel_commit(&oid)?,
        None => None,
    };
    let Some(theirs) = theirs else {
        return Err(Stop::Said(1, format!("merge: {name} - not something we can merge")));
    };
    // What was fetched has no name of its own: its address stands in the message, its hash in conflicts.
    let fetched = name == "FETCH_HEAD";
    let action = std::env::var("GIT_REFLOG_ACTION").unwrap_or_else(|_| format!("merge {name}"));
    let label = if fetched { theirs.to_string() } else { name.clone() };
    let Some(ours) = repo.head() else {
        let mut index = repo.index()?;
        let lock = index.lock()?;
        switch::two_way(
            &repo,
            &mut index,
            &Files::new(),
            &super::commit_files(&repo, &theirs)?,
            &switch::MERGE,
        )?;
        index.write(lock)?;
        repo.set_head(&theirs, "initial pull")?;
        return Ok(0);
    };
    let bases = walk::merge_bases(&repo, &ours, &theirs)?;
    if bases.contains(&theirs) {
        if !quiet {
            out!("Already up to date.{}\n", if squash { " (nothing to squash)" } else { "" });
        }
        return Ok(0);
    }
    if bases.is_empty() && !unrelated {
        fatal!("refusing to merge unrelated histories");
    }
    fs::write(repo.file("ORIG_HEAD"), format!("{ours}\n"))?;
    let mut index = repo.index()?;
    let old = super::commit_files(&repo, &ours)?;
    let new = super::commit_files(&repo, &theirs)?;
    let no_ff = only_ours
        || ff == Some(false)
        || repo.config.get("merge.ff").as_deref() == Some("false") && ff.is_none();
    if bases.contains(&ours) && !no_ff {
        if !quiet {
            out!("Updating {}..{}\n", repo.short(&ours), repo.short(&theirs));
        }
        let lock = index.lock()?;
        switch::two_way(&repo, &mut index, &old, &new, &switch::MERGE)?;
        index.write(lock)?;
        if squash {
            squash_message(&repo, &ours, &theirs)?;
            if !quiet {
                out!("Fast-forward\nSquash commit -- not updating HEAD\n");
            }
        } else {
            if !quiet {
                out!("Fast-forward\n");
            }
            repo.set_head(&theirs, &format!("{action}: Fast-forward"))?;
        }
        show_stat(&repo, &ours, &theirs, quiet || !stat)?;
        message::hook(&repo, "post-merge", &[std::path::Path::new(if squash { "1" } else { "0" })])?;
        return Ok(0);
    }
    if ff == Some(true) {
        say!(
            "hint: Diverging branches can't be fast-forwarded, you need to either:\nhint:\nhint: \tgit merge --no-ff\nhint:\nhint: or:\nhint:\nhint: \tgit rebase\nhint:\nhint: Disable this message with \"git config advice.diverging false\""
        );
        fatal!("Not possible to fast-forward, aborting.");
    }
    let staged = changes::tree_to_index(&old, &index, &Pathspec::default());
    if !staged.is_empty() {
        let list: String = staged.iter().map(|c| format!("\t{}\n", bytes::text(c.path()))).collect();
        say!(
            "error: Your local changes to the following files would be overwritten by merge:\n{}",
            list.trim_end_matches('\n').replace('\t', "  ").trim_end()
        );
        return Err(Stop::Exit(2));
    }
    let base_name = match &bases[..] {
        [] => "empty tree".to_owned(),
        [one] => repo.short(one),
        _ => "merged common ancestors".to_owned(),
    };
    // The strategy `ours` takes nothing of the other side.
    let theirs_files = if only_ours { &old } else { &new };
    let strategy = if only_ours { "ours" } else { "ort" };
    let merged = threeway::trees(
        &repo,
        &if only_ours { old.clone() } else { base_files(&repo, &bases)? },
        &old,
        theirs_files,
        &Labels { ours: "HEAD", theirs: &label, base: &base_name, favor, ..Labels::default() },
    )?;
    let lock = index.lock()?;
    match apply(&repo, &mut index, &old, &merged) {
        Err(Stop::Said(_, text)) => {
            say!("{text}\nMerge with strategy ort failed.");
            return Err(Stop::Exit(2));
        }
        other => other?,
    };
    index.write(lock)?;
    for line in &merged.messages {
        out!("{line}\n");
    }
    let default = merge_message(&repo, &name);
    let mut text = if messages.is_empty() { default } else { messages.join("\n\n") + "\n" };
    let clean = merged.conflicts.is_empty();
    if squash {
        squash_message(&repo, &ours, &theirs)?;
        out!("Squash commit -- not updating HEAD\n");
    } else if !clean || !commit {
        fs::write(repo.file("MERGE_HEAD"), format!("{theirs}\n"))?;
        fs::write(repo.file("MERGE_MODE"), if no_ff { "no-ff" } else { "" })?;
        if !clean {
            text += &conflict_comment(&merged);
        }
        fs::write(repo.file("MERGE_MSG"), &text)?;
    }
    if !clean {
        out!("Automatic merge failed; fix conflicts and then commit the result.\n");
        return Ok(1);
    }
    if squash || !commit {
        if !squash {
            say!("Automatic merge went well; stopped before committing as requested");
        }
        return Ok(0);
    }
    if edit {
        let file = repo.file("MERGE_MSG");
        fs::write(&file, &text)?;
        message::edit(&repo, &file)?;
        text = bytes::text(&message::clean(&fs::read(&file)?, Cleanup::Strip));
        let _ = fs::remove_file(&file);
    }
    if message::hook(&repo, "pre-merge-commit", &[])? != 0 {
        return Ok(1);
    }
    let file = repo.file("MERGE_MSG");
    let shown = repo.shown_file("MERGE_MSG");
    for (name, arguments) in [
        ("prepare-commit-msg", vec![shown.as_path(), std::path::Path::new("merge")]),
        ("commit-msg", vec![shown.as_path()]),
    ] {
        if !message::has_hook(&repo, name) {
            continue;
        }
        fs::write(&file, &text)?;
        if message::hook(&repo, name, &arguments)? != 0 {
            return Ok(1);
        }
        text = bytes::text(&fs::read(&file)?);
        let _ = fs::remove_file(&file);
    }
    let tree = tree::from_files(&repo, &merged.files)?;
    let message = message::clean(text.as_bytes(), Cleanup::Whitespace);
    let made = Commit {
        tree,
        parents: vec![ours, theirs],
        author: repo.author()?,
        committer: repo.committer()?,
        extra: Vec::new(),
        message,
    };
    let oid = repo.odb.write(Kind::Commit, &made.write())?;
    repo.set_head(&oid, &format!("{action}: Merge made by the '{strategy}' strategy."))?;
    if !quiet {
        out!("Merge made by the '{strategy}' strategy.\n");
    }
    show_stat(&repo, &ours, &oid, quiet || !stat)?;
    message::hook(&repo, "post-merge", &[std::path::Path::new("0")])?;
    Ok(0)
}

/// Leaves out what HEAD or another one of the names has.
fn reduce(repo: &Repo, names: &mut Vec<String>) -> Res<()> {
    let mut sides = Vec::new();
    for name in names.iter() {
        match revision::find(repo, name)? {
            Some(oid) => sides.extend(repo.odb.peel_commit(&oid)?.map(|oid| (name.clone(), oid))),
            None => return Ok(()),
        }
    }
    let mut kept = Vec::new();
    for (at, (name, oid)) in sides.iter().enumerate() {
        let mut covered = match repo.head() {
            Some(head) => walk::is_ancestor(repo, oid, &head)?,
            None => false,
        };
        for (other, (_, from)) in sides.iter().enumerate() {
            // Of two names of the same commit the first one counts.
            covered |= other != at && (oid != from || other < at) && walk::is_ancestor(repo, oid, from)?;
        }
        if !covered {
            kept.push(name.clone());
        }
    }
    *names = kept;
    Ok(())
}

/// Merges several branches at once, as long as nothing is in conflict.
fn octopus(
    repo: &Repo,
    names: &[String],
    text: Option<String>,
    only_ours: bool,
    quiet: bool,
    stat: bool,
) -> Res<i32> {
    let Some(head) = repo.head() else { fatal!("merging several commits into nothing is not supported") };
    let mut sides = Vec::new();
    for name in names {
        let found = match revision::find(repo, name)? {
            Some(oid) => repo.odb.peel_commit(&oid)?,
            None => None,
        };
        match found {
            Some(oid) => sides.push((name.clone(), oid)),
            None => return Err(Stop::Said(1, format!("merge: {name} - not something we can merge"))),
        }
    }
    fs::write(repo.file("ORIG_HEAD"), format!("{head}\n"))?;
    let old = super::commit_files(repo, &head)?;
    let mut index = repo.index()?;
    if !changes::tree_to_index(&old, &index, &Pathspec::default()).is_empty() {
        say!("error: Your local changes to the following files would be overwritten by merge:");
        for change in changes::tree_to_index(&old, &index, &Pathspec::default()) {
            say!("  {}", bytes::text(change.path()));
        }
        return Ok(2);
    }
    let mut files = old.clone();
    let mut merged = vec![head];
    let mut forward = true;
    for (name, oid) in &sides {
        if only_ours {
            merged.push(*oid);
            continue;
        }
        let bases = walk::merge_bases(repo, &merged[0], oid)?;
        let mut known = false;
        for have in &merged {
            known |= walk::is_ancestor(repo, oid, have)?;
        }
        if known {
            out!("Already up to date with {name}\n");
            continue;
        }
        if forward && bases[..] == merged[..1] {
            out!("Fast-forwarding to: {name}\n");
            files = super::commit_files(repo, oid)?;
            merged = vec![*oid];
            continue;
        }
        forward = false;
        out!("Trying simple merge with {name}\n");
        let labels = Labels { ours: "HEAD", theirs: name, ..Labels::default() };
        let result = threeway::trees(
            repo,
            &base_files(repo, &bases)?,
            &files,
            &super::commit_files(repo, oid)?,
            &labels,
        )?;
        if !result.messages.is_empty() {
            out!("Simple merge did not work, trying automatic merge.\n");
            result.messages.iter().for_each(|m| out!("{m}\n"));
        }
        if !result.conflicts.is_empty() {
            out!("Automated merge did not work.\nShould not be doing an octopus.\n");
            say!("Merge with strategy octopus failed.");
            return Ok(2);
        }
        files = result.files;
        merged.push(*oid);
    }
    let mut parents = Vec::new();
    for (at, oid) in merged.iter().enumerate() {
        let mut covered = false;
        for (other, from) in merged.iter().enumerate() {
            covered |= other != at && oid != from && walk::is_ancestor(repo, oid, from)?;
        }
        if !covered && !parents.contains(oid) {
            parents.push(*oid);
        }
    }
    if parents[..] == [head] {
        out!("Already up to date.\n");
        return Ok(0);
    }
    let lock = index.lock()?;
    switch::two_way(repo, &mut index, &old, &files, &switch::MERGE)?;
    index.write(lock)?;
    let joined = names.join(" ");
    if let [one] = parents[..] {
        repo.set_head(&one, &format!("merge {joined}: Fast-forward"))?;
        show_stat(repo, &head, &one, quiet || !stat)?;
        return Ok(0);
    }
    let strategy = if only_ours { "ours" } else { "octopus" };
    let text = text.unwrap_or_else(|| several_message(repo, names));
    let made = Commit {
        tree: tree::from_files(repo, &files)?,
        parents,
        author: repo.author()?,
        committer: repo.committer()?,
        extra: Vec::new(),
        message: message::clean(text.as_bytes(), Cleanup::Whitespace),
    };
    let oid = repo.odb.write(Kind::Commit, &made.write())?;
    repo.set_head(&oid, &format!("merge {joined}: Merge made by the '{strategy}' strategy."))?;
    if !quiet {
        out!("Merge made by the '{strategy}' strategy.\n");
    }
    show_stat(repo, &head, &oid, quiet || !stat)?;
    Ok(0)
}

/// `Merge branches 'a', 'b' and 'c'`
fn several_message(repo: &Repo, names: &[String]) -> String {
    let is_branch =
        |n: &&String| revision::dwim(repo, n).is_some_and(|(full, _)| full.starts_with("refs/heads/"));
    if !names.iter().all(|n| is_branch(&n)) {
        let parts: Vec<String> = names.iter().map(|n| merge_message(repo, n)).collect();
        let parts: Vec<&str> = parts.iter().filter_map(|p| p.trim_end().strip_prefix("Merge ")).collect();
        return format!("Merge {}\n", parts.join("; "));
    }
    let quoted: Vec<String> = names.iter().map(|n| format!("'{n}'")).collect();
    let (last, rest) = quoted.split_last().map_or((String::new(), &[][..]), |(l, r)| (l.clone(), r));
    let one = merge_message(repo, &names[0]);
    let into = one.find(" into ").map_or("\n", |at| &one[at..]);
    format!("Merge branches {} and {last}{into}", rest.join(", "))
}

/// Back to a commit, keeping local changes of files that the merge did not touch.
pub(crate) fn restore(repo: &Repo, head: &Oid) -> Res<()> {
    let mut index = repo.index()?;
    let lock = index.lock()?;
    let files = super::commit_files(repo, head)?;
    let touched = changes::tree_to_index(&files, &index, &Pathspec::default());
    for change in touched {
        let path = change.path().to_vec();
        match files.get(&path) {
            Some((mode, oid)) => {
                let mut entry = Entry::new(path, *mode, *oid, 0);
                crate::worktree::checkout(repo, &mut entry)?;
                index.put(entry);
            }
            None => {
                crate::worktree::remove(&path)?;
                index.remove(&path);
            }
        }
    }
    index.write(lock)?;
    Ok(())
}

/// Which files are in conflict, as a comment of the message.
pub(crate) fn conflict_comment(merged: &Merged) -> String {
    let mut text = "\n# Conflicts:\n".to_owned();
    for conflict in &merged.conflicts {
        text += &format!("#\t{}\n", bytes::text(&conflict.path));
    }
    text
}

/// `Merge branch 'topic'`
fn merge_message(repo: &Repo, name: &str) -> String {
    let what = match revision::dwim(repo, name) {
        Some(_) if name == "FETCH_HEAD" => fetched_name(repo),
        Some((full, _)) if full.starts_with("refs/heads/") => format!("branch '{name}'"),
        Some((full, _)) if full.starts_with("refs/tags/") => format!("tag '{name}'"),
        Some((full, _)) if full.starts_with("refs/remotes/") => {
            format!("remote-tracking branch '{}'", Repo::shorten(&full))
        }
        _ => format!("commit '{name}'"),
    };
    let into = match repo.head_branch() {
        Some(branch) if branch == "main" || branch == "master" => String::new(),
        Some(branch) => format!(" into {branch}"),
        None => " into HEAD".to_owned(),
    };
    format!("Merge {what}{into}\n")
}

/// What the first line of FETCH_HEAD that is for merging says: `branch 'x' of url`.
fn fetched_name(repo: &Repo) -> String {
    let text = bytes::text(&fs::read(repo.file("FETCH_HEAD")).unwrap_or_default());
    let line = text.lines().find_map(|l| l.get(40..)?.strip_prefix("\t\t"));
    line.unwrap_or("commit 'FETCH_HEAD'").to_owned()
}

fn squash_message(repo: &Repo, ours: &Oid, theirs: &Oid) -> Res<()> {
    let mut walk = walk::Walk { include: vec![*theirs], exclude: vec![*ours], ..walk::Walk::default() };
    let mut text = b"Squashed commit of the following:\n".to_vec();
    let show = crate::pretty::Show::new(repo);
    for oid in walk.run(repo)? {
        let commit = repo.odb.commit(&oid)?;
        text.push(b'\n');
        text.extend(show.text(repo, &oid, &commit, &commit.parents)?);
    }
    fs::write(repo.file("SQUASH_MSG"), text)?;
    Ok(())
}

/// The histogram of what a merge brought.
fn show_stat(repo: &Repo, old: &Oid, new: &Oid, quiet: bool) -> Res<()> {
    if quiet {
        return Ok(());
    }
    let (old, new) = (repo.odb.commit(old)?.tree, repo.odb.commit(new)?.tree);
    let all = changes::trees(repo, Some(old), Some(new), &Pathspec::default())?;
    let mut options = diffout::Options::new(Some(repo));
    options.stat = true;
    options.summary = true;
    diffout::show(repo, all, &options)?;
    put(b"");
    Ok(())
}
