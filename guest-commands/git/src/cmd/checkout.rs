//! `git checkout`, `git switch`, `git restore`.

use crate::args::{Args, Word};
use crate::bytes;
use crate::changes::{self, Files};
use crate::error::{Res, Stop, fatal, out, say};
use crate::index::Entry;
use crate::oid::Oid;
use crate::pathspec::Pathspec;
use crate::repo::{Repo, Setting};
use crate::{revision, switch, walk, worktree};

#[derive(Default)]
struct Options {
    create: Option<String>,
    force_create: bool,
    orphan: Option<String>,
    detach: bool,
    force: bool,
    quiet: bool,
    guess: Option<bool>,
    track: Option<bool>,
    stage: Option<u8>,
}

pub(crate) fn checkout(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "bB", "checkout", "[<options>] [<branch>] [--] [<file>...]");
    let mut o = Options::default();
    let mut plain: Vec<Vec<u8>> = Vec::new();
    let mut dashdash = None;
    while let Some(word) = args.next()? {
        if args.dashdash && dashdash.is_none() {
            dashdash = Some(plain.len());
        }
        match word {
            Word::Option(name) => match name.as_str() {
                "-b" => o.create = Some(args.value(&name)?),
                "-B" => (o.create, o.force_create) = (Some(args.value(&name)?), true),
                "--orphan" | "--orphan=" => o.orphan = Some(args.value(&name)?),
                "-d" | "--detach" => o.detach = true,
                "-f" | "--force" => o.force = true,
                "-q" | "--quiet" => o.quiet = true,
                "--guess" => o.guess = Some(true),
                "--no-guess" => o.guess = Some(false),
                "-t" | "--track" => o.track = Some(true),
                "--no-track" => o.track = Some(false),
                "--ours" => o.stage = Some(2),
                "--theirs" => o.stage = Some(3),
                "--progress" | "--no-progress" | "--overwrite-ignore" => {}
                "-p" | "--patch" | "-m" | "--merge" | "--conflict=" => {
                    fatal!("option {} is not supported", name.trim_end_matches('='))
                }
                _ => return Err(args.unknown(&name)),
            },
            Word::Plain(word) => plain.push(word),
        }
    }
    if args.dashdash && dashdash.is_none() {
        dashdash = Some(plain.len());
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    if o.create.is_some() || o.orphan.is_some() {
        let start = plain.first().map(|w| bytes::text(w));
        return go(&repo, &o, start.as_deref(), "checkout");
    }
    let first = plain.first().map(|w| bytes::text(w));
    let (revision, paths) = match (dashdash, &first) {
        (Some(0), _) => (None, plain),
        (Some(_), Some(first)) => (Some(first.clone()), plain[1..].to_vec()),
        (_, None) => (None, Vec::new()),
        (None, Some(first)) => {
            let name = if first == "-" { "@{-1}" } else { first };
            let known = revision::find(&repo, name).ok().flatten().is_some();
            let file = repo.user_path(first.as_bytes()).is_ok_and(|p| {
                std::fs::symlink_metadata(bytes::path(if p.is_empty() { b"." } else { &p })).is_ok()
            });
            if known && file && plain.len() == 1 && revision::dwim(&repo, name).is_none() {
                fatal!(
                    "'{first}' could be both a local file and a tracking branch.\nPlease use -- (and optionally --no-guess) to disambiguate"
                );
            }
            if known || (plain.len() == 1 && !file && guess(&repo, first).is_some() && o.guess != Some(false))
            {
                (Some(first.clone()), plain[1..].to_vec())
            } else {
                (None, plain)
            }
        }
    };
    if paths.is_empty() && dashdash.is_none_or(|d| d > 0) {
        return go(&repo, &o, revision.as_deref(), "checkout");
    }
    if paths.is_empty() {
        return go(&repo, &o, None, "checkout");
    }
    let spec = repo.pathspec(&paths)?;
    let source = match &revision {
        Some(name) => Some(tree_of(&repo, name)?),
        None => None,
    };
    let count = restore_paths(&repo, &spec, source.as_ref(), true, true, true, o.stage)?;
    if !o.quiet && dashdash.is_none() {
        let plural = if count == 1 { "" } else { "s" };
        match &revision {
            Some(name) => {
                let oid = tree_oid(&repo, name)?;
                say!("Updated {count} path{plural} from {}", repo.short(&oid));
            }
            None => say!("Updated {count} path{plural} from the index"),
        }
    }
    Ok(0)
}

fn tree_oid(repo: &Repo, name: &str) -> Res<Oid> {
    let name = if name == "-" { "@{-1}" } else { name };
    match revision::find(repo, name)? {
        Some(oid) => match repo.odb.peel_tree(&oid)? {
            Some(tree) => Ok(tree),
            None => fatal!("reference is not a tree: {name}"),
        },
        None => fatal!("could not resolve {name}"),
    }
}

fn tree_of(repo: &Repo, name: &str) -> Res<Files> {
    changes::files(repo, Some(tree_oid(repo, name)?))
}

/// The only remote branch of this name.
fn guess(repo: &Repo, name: &str) -> Option<String> {
    let mut found = repo
        .refs("refs/remotes/")
        .into_iter()
        .map(|(n, _)| n)
        .filter(|n| n["refs/remotes/".len()..].split_once('/').is_some_and(|(_, branch)| branch == name));
    let one = found.next()?;
    found.next().is_none().then_some(one)
}

/// Goes to a branch or commit.
fn go(repo: &Repo, o: &Options, target: Option<&str>, command: &str) -> Res<i32> {
    let old = repo.head().unwrap_or_default();
    let status = move_to(repo, o, target, command)?;
    let (old, new) = (old.to_string(), repo.head().unwrap_or_default().to_string());
    let arguments = [old.as_str(), new.as_str(), "1"].map(std::path::Path::new);
    match crate::message::hook(repo, "post-checkout", &arguments)? {
        0 => Ok(status),
        bad => Ok(bad),
    }
}

/// The move itself.
fn move_to(repo: &Repo, o: &Options, target: Option<&str>, command: &str) -> Res<i32> {
    let head = repo.head();
    let here = repo.head_branch().unwrap_or_else(|| head.map(|h| h.to_string()).unwrap_or_default());
    if let Some(name) = &o.orphan {
        if repo.ref_oid(&format!("refs/heads/{name}")).is_some() {
            fatal!("a branch named '{name}' already exists");
        }
        if command == "switch" {
            let mut index = repo.index()?;
            let lock = index.lock()?;
            switch::two_way(repo, &mut index, &super::head_files(repo)?, &Files::new(), &switch::CHECKOUT)?;
            index.write(lock)?;
        }
        repo.set_symbolic("HEAD", &format!("refs/heads/{name}"), None)?;
        if !o.quiet {
            say!("Switched to a new branch '{name}'");
        }
        return Ok(0);
    }
    let named = match target {
        Some("-") => match revision::previous_branch(repo, 1) {
            Some(name) => Some(name),
            None => fatal!("invalid reference: @{{-1}}"),
        },
        Some(text) if text.starts_with("@{-") => {
            let n = text[3..].trim_end_matches('}').parse().unwrap_or(0);
            Some(revision::previous_branch(repo, n).unwrap_or_else(|| text.to_owned()))
        }
        other => other.map(str::to_owned),
    };
    // A branch that is only there remotely is made here.
    if let Some(name) = &named
        && o.create.is_none()
        && !o.detach
        && o.guess != Some(false)
        && revision::find(repo, name).ok().flatten().is_none()
        && let Some(remote) = guess(repo, name)
    {
        let made = Options {
            create: Some(name.clone()),
            quiet: o.quiet,
            track: Some(true),
            force: o.force,
            ..Options::default()
        };
        return go(repo, &made, Some(Repo::shorten(&remote)), command);
    }
    let branch = named
        .as_ref()
        .map(|n| format!("refs/heads/{n}"))
        .filter(|full| repo.ref_oid(full).is_some() && !o.detach);
    let commit = match &named {
        None => head,
        Some(name) => match revision::find(repo, name)? {
            Some(_) if branch.is_some() => repo.ref_oid(branch.as_deref().unwrap_or_default()),
            Some(oid) => match repo.odb.peel_commit(&oid)? {
                Some(oid) => Some(oid),
                None => fatal!("reference is not a tree: {name}"),
            },
            None if command == "switch" || o.create.is_some() => match &o.create {
                Some(made) if command == "checkout" => {
                    fatal!("'{name}' is not a commit and a branch '{made}' cannot be created from it")
                }
                _ => fatal!("invalid reference: {name}"),
            },
            None => {
                return Err(Stop::Error(
                    1,
                    format!("pathspec '{name}' did not match any file(s) known to git"),
                ));
            }
        },
    };
    if command == "switch" && branch.is_none() && o.create.is_none() && !o.detach {
        let Some(name) = &named else { fatal!("missing branch or commit argument") };
        let what = match revision::dwim(repo, name) {
            Some((full, _)) if full.starts_with("refs/tags/") => "tag",
            Some((full, _)) if full.starts_with("refs/remotes/") => "remote branch",
            _ => "commit",
        };
        say!("fatal: a branch is expected, got {what} '{name}'");
        say!("hint: If you want to detach HEAD at the commit, try again with the --detach option.");
        return Err(Stop::Exit(128));
    }
    if let Some(name) = &o.create {
        if !crate::refs::valid_branch(name) {
            fatal!("'{name}' is not a valid branch name");
        }
        if repo.ref_oid(&format!("refs/heads/{name}")).is_some() && !o.force_create {
            fatal!("a branch named '{name}' already exists");
        }
    }
    if command == "switch" && repo.git_dir.join("MERGE_HEAD").exists() {
        fatal!("cannot switch branch while merging\nConsider \"git merge --quit\" or \"git worktree add\".");
    }
    for (name, doing, end) in [
        ("rebase-merge", "while rebasing", "rebase"),
        ("rebase-apply", "in the middle of an am session", "am"),
        ("CHERRY_PICK_HEAD", "while cherry-picking", "cherry-pick"),
        ("REVERT_HEAD", "while reverting", "revert"),
    ] {
        if command == "switch" && repo.git_dir.join(name).exists() {
            fatal!("cannot switch branch {doing}\nConsider \"git {end} --quit\" or \"git worktree add\".");
        }
    }
    if commit.is_some() && !o.force && (target.is_some() || o.detach) {
        let unmerged = repo.index()?.unmerged();
        if !unmerged.is_empty() {
            unmerged.iter().for_each(|p| out!("{}: needs merge\n", bytes::text(p)));
            return Err(Stop::Error(1, "you need to resolve your current index first".to_owned()));
        }
    }
    if let Some(commit) = commit
        && (Some(commit) != head || o.force)
    {
        let mut index = repo.index()?;
        let lock = index.lock()?;
        let new = super::commit_files(repo, &commit)?;
        if o.force {
            switch::force(repo, &mut index, &new)?;
        } else {
            switch::two_way(repo, &mut index, &super::head_files(repo)?, &new, &switch::CHECKOUT)?;
        }
        index.write(lock)?;
    }
    if !o.quiet
        && let Some(commit) = commit
        && (target.is_some() || o.create.is_some())
    {
        // What is still changed is listed.
        let mut index = repo.index()?;
        worktree::refresh_and_write(repo, &mut index);
        let files = super::commit_files(repo, &commit)?;
        for c in changes::tree_to_worktree(repo, &files, &index, &Pathspec::default())? {
            out!("{}\t{}\n", c.status as char, repo.quoted(c.path()));
        }
    }
    let zero = Oid::ZERO;
    let old = head.unwrap_or(zero);
    if let Some(name) = &o.create {
        let full = format!("refs/heads/{name}");
        match commit {
            Some(commit) => {
                let existed = repo.ref_oid(&full).is_some();
                let from = named.as_deref().unwrap_or("HEAD");
                repo.set_ref(
                    &full,
                    &commit,
                    None,
                    &format!("branch: {} {from}", if existed { "Reset to" } else { "Created from" }),
                )?;
                repo.set_symbolic(
                    "HEAD",
                    &full,
                    Some((old, commit, &format!("checkout: moving from {here} to {name}"))),
                )?;
                if !o.quiet {
                    if existed {
                        say!(
                            "{} branch '{name}'",
                            if here == *name { "Reset" } else { "Switched to and reset" }
                        );
                    } else {
                        say!("Switched to a new branch '{name}'");
                    }
                }
                let source = named.as_deref().and_then(|n| revision::dwim(repo, n)).map(|(n, _)| n);
                let remote = source.as_ref().is_some_and(|s| s.starts_with("refs/remotes/"));
                if source.is_some() && o.track.unwrap_or(remote) {
                    super::branch::set_upstream(repo, name, named.as_deref().unwrap_or(""), o.quiet)?;
                }
            }
            None => {
                repo.set_symbolic("HEAD", &full, None)?;
                if !o.quiet {
                    say!("Switched to a new branch '{name}'");
                }
            }
        }
        return Ok(0);
    }
    let Some(commit) = commit else { return Ok(0) };
    match (&branch, &named) {
        (Some(full), Some(name)) => {
            let same = repo.head_ref().as_ref() == Some(full);
            repo.set_symbolic(
                "HEAD",
                full,
                Some((old, commit, &format!("checkout: moving from {here} to {name}"))),
            )?;
            if !o.quiet {
                if same {
                    say!("Already on '{name}'");
                } else {
                    if repo.head_ref().is_some() && here.len() == 40 && head.is_some() {
                        leaving(repo, &old, &commit)?;
                    }
                    say!("Switched to branch '{name}'");
                }
                crate::error::put(super::status::tracking_text(repo, name)?.as_bytes());
            }
        }
        (None, None) if !o.detach => {
            if !o.quiet
                && let Some(branch) = repo.head_branch()
            {
                crate::error::put(super::status::tracking_text(repo, &branch)?.as_bytes());
            }
        }
        _ => {
            let name = named.as_deref().unwrap_or("HEAD");
            let was_detached = repo.head_ref().is_none();
            let to = if name == "HEAD" { commit.to_string() } else { name.to_owned() };
            repo.detach(&commit, &format!("checkout: moving from {here} to {to}"))?;
            if !o.quiet {
                if was_detached && old != commit {
                    leaving(repo, &old, &commit)?;
                } else if !was_detached && !o.detach && repo.config.flag("advice.detachedhead", true) {
                    detached_advice(name);
                }
                say!(
                    "HEAD is now at {} {}",
                    repo.short(&commit),
                    bytes::text(&repo.odb.commit(&commit)?.subject())
                );
            }
        }
    }
    Ok(0)
}

/// What is said to who leaves all branches.
pub(crate) fn detached_advice(name: &str) {
    say!(
        "Note: switching to '{name}'.\n\nYou are in 'detached HEAD' state. You can look around, make experimental\nchanges and commit them, and you can discard any commits you make in this\nstate without impacting any branches by switching back to a branch.\n\nIf you want to create a new branch to retain commits you create, you may\ndo so (now or later) by using -c with the switch command. Example:\n\n  git switch -c <new-branch-name>\n\nOr undo this operation with:\n\n  git switch -\n\nTurn off this advice by setting config variable advice.detachedHead to false\n"
    );
}

/// What is said of a commit that HEAD leaves: whether branches have it.
fn leaving(repo: &Repo, old: &Oid, new: &Oid) -> Res<()> {
    let mut walk = walk::Walk::default();
    walk.include.push(*old);
    walk.exclude.push(*new);
    walk.take_refs(repo, "refs/", true)?;
    let lost = walk.run(repo)?;
    if lost.is_empty() {
        say!(
            "Previous HEAD position was {} {}",
            repo.short(old),
            bytes::text(&repo.odb.commit(old)?.subject())
        );
        return Ok(());
    }
    let one = lost.len() == 1;
    let mut text = format!(
        "Warning: you are leaving {} commit{} behind, not connected to\nany of your branches:\n\n",
        lost.len(),
        if one { "" } else { "s" }
    );
    for oid in lost.iter().take(4) {
        text += &format!("  {} {}\n", repo.short(oid), bytes::text(&repo.odb.commit(oid)?.subject()));
    }
    if lost.len() > 4 {
        text += &format!(" ... and {} more.\n", lost.len() - 4);
    }
    text += &format!(
        "\nIf you want to keep {} by creating a new branch, this may be a good time\nto do so with:\n\n git branch <new-branch-name> {}\n",
        if one { "it" } else { "them" },
        repo.short(old)
    );
    say!("{text}");
    Ok(())
}

pub(crate) fn switch(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "cC", "switch", "[<options>] [<branch>]");
    let mut o = Options::default();
    let mut plain: Vec<String> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(name) => match name.as_str() {
                "-c" | "--create" | "--create=" => o.create = Some(args.value(&name)?),
                "-C" | "--force-create" | "--force-create=" => {
                    (o.create, o.force_create) = (Some(args.value(&name)?), true)
                }
                "--orphan" | "--orphan=" => o.orphan = Some(args.value(&name)?),
                "-d" | "--detach" => o.detach = true,
                "-f" | "--force" | "--discard-changes" => o.force = true,
                "-q" | "--quiet" => o.quiet = true,
                "--guess" => o.guess = Some(true),
                "--no-guess" => o.guess = Some(false),
                "-t" | "--track" => o.track = Some(true),
                "--no-track" => o.track = Some(false),
                "--progress" | "--no-progress" => {}
                "-m" | "--merge" => fatal!("option {name} is not supported"),
                _ => return Err(args.unknown(&name)),
            },
            Word::Plain(word) => plain.push(bytes::text(&word)),
        }
    }
    if plain.len() > 1 {
        fatal!("only one reference expected");
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    if plain.is_empty() && o.create.is_none() && o.orphan.is_none() && !o.detach {
        fatal!("missing branch or commit argument");
    }
    go(&repo, &o, plain.first().map(String::as_str), "switch")
}

/// Restores paths in index and work tree from the index or a tree. Returns how many files were written.
/// `overlay`: files that the source has not stay.
fn restore_paths(
    repo: &Repo,
    spec: &Pathspec,
    source: Option<&Files>,
    staged: bool,
    worktree: bool,
    overlay: bool,
    stage: Option<u8>,
) -> Res<usize> {
    let mut index = repo.index()?;
    let lock = index.lock()?;
    let mut used = Vec::new();
    if overlay || source.is_none() {
        match source {
            Some(files) => files.keys().for_each(|p| spec.mark(p, &mut used)),
            None => index.entries.iter().for_each(|e| spec.mark(&e.path, &mut used)),
        }
    } else {
        source.iter().flat_map(|f| f.keys()).for_each(|p| spec.mark(p, &mut used));
        index.entries.iter().for_each(|e| spec.mark(&e.path, &mut used));
    }
    let unused: Vec<String> = spec.unused(&used).map(crate::pathspec::Spec::text).collect();
    if !unused.is_empty() {
        for text in &unused {
            say!("error: pathspec '{text}' did not match any file(s) known to git");
        }
        return Err(Stop::Exit(1));
    }
    let mut count = 0;
    type Todo = (Vec<u8>, Option<(u32, Oid)>);
    let mut work: Vec<Todo> = Vec::new();
    match source {
        Some(files) => {
            for (path, side) in files.iter().filter(|(p, _)| spec.matches(p)) {
                work.push((path.clone(), Some(*side)));
            }
            if !overlay {
                for entry in &index.entries {
                    if spec.matches(&entry.path) && !files.contains_key(&entry.path) {
                        work.push((entry.path.clone(), None));
                    }
                }
            }
        }
        None => {
            let mut bad = false;
            let mut last = None;
            for entry in index.entries.iter().filter(|e| spec.matches(&e.path)) {
                match (entry.stage, stage) {
                    (0, _) => work.push((entry.path.clone(), Some((entry.mode, entry.oid)))),
                    (s, Some(wanted)) if s == wanted => {
                        work.push((entry.path.clone(), Some((entry.mode, entry.oid))))
                    }
                    (_, Some(_)) => {}
                    (_, None) => {
                        if last != Some(&entry.path) {
                            say!("error: path '{}' is unmerged", bytes::text(&entry.path));
                        }
                        last = Some(&entry.path);
                        bad = true;
                    }
                }
            }
            if bad {
                return Err(Stop::Exit(1));
            }
        }
    }
    work.dedup_by(|a, b| a.0 == b.0);
    let filemode = repo.filemode();
    for (path, side) in work {
        let Some((mode, oid)) = side else {
            if worktree {
                worktree::remove(&path)?;
            }
            if staged {
                index.remove(&path);
            }
            continue;
        };
        let old = index.get(&path).cloned();
        let mut entry = match &old {
            Some(e) if e.mode == mode && e.oid == oid => e.clone(),
            _ => Entry::new(path.clone(), mode, oid, 0),
        };
        if worktree {
            let same = matches!(&old, Some(e) if e.mode == mode && e.oid == oid)
                && matches!(
                    worktree::compare(&index, &entry, filemode).0,
                    worktree::State::Same | worktree::State::Stale
                );
            if !same {
                worktree::checkout(repo, &mut entry)?;
                count += 1;
            }
        }
        let conflict = index.range(&path).len() > 1 || index.get(&path).is_none() && index.has(&path);
        if (staged && !(conflict && source.is_none()))
            || old.as_ref().is_some_and(|e| e.mode == mode && e.oid == oid)
        {
            index.put(entry);
        }
    }
    index.write(lock)?;
    Ok(count)
}

pub(crate) fn restore(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "s", "restore", "[<options>] [--source=<branch>] <file>...");
    let (mut staged, mut worktree, mut source, mut stage, mut overlay) = (false, false, None, None, false);
    let mut paths = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-S" | "--staged" => staged = true,
                "-W" | "--worktree" => worktree = true,
                "-s" | "--source" | "--source=" => source = Some(args.value(&o)?),
                "--ours" => stage = Some(2),
                "--theirs" => stage = Some(3),
                "--overlay" => overlay = true,
                "--no-overlay" => overlay = false,
                "-q" | "--quiet" | "--progress" | "--no-progress" => {}
                "-p" | "--patch" | "-m" | "--merge" | "--conflict=" => {
                    fatal!("option {} is not supported", o.trim_end_matches('='))
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => paths.push(word),
        }
    }
    if paths.is_empty() {
        fatal!("you must specify path(s) to restore");
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let spec = repo.pathspec(&paths)?;
    let files = match (&source, staged) {
        (Some(name), _) => Some(tree_of(&repo, name)?),
        (None, true) => Some(super::head_files(&repo)?),
        (None, false) => None,
    };
    restore_paths(&repo, &spec, files.as_ref(), staged, worktree || !staged, overlay, stage)?;
    Ok(0)
}
