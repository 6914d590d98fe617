//! `git pull`: a fetch, then a merge or a rebase of what it brought.

use super::fetch;
use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, fatal, say};
use crate::oid::Oid;
use crate::remotes::{self, Remote};
use crate::repo::{Repo, Setting};
use crate::walk;
use std::fs;

const USAGE: &str = "[<options>] [<repository> [<refspec>...]]";

/// How diverging histories come together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Merge,
    Rebase,
    /// Nobody said.
    Open,
}

pub(crate) fn pull(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "jsXrS", "pull", USAGE);
    let mut o = fetch::Options { update_head: true, ..fetch::Options::default() };
    let mut plain: Vec<String> = Vec::new();
    let (mut way, mut ff) = (Way::Open, None::<&str>);
    let mut merge_words: Vec<Vec<u8>> = Vec::new();
    let mut rebase_words: Vec<Vec<u8>> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(name) => match name.as_str() {
                "-r" | "--rebase" => way = Way::Rebase,
                "--rebase=" => way = rebase_value(&args.value(&name)?, &mut rebase_words)?,
                "--no-rebase" => way = Way::Merge,
                "--ff" | "--no-ff" | "--ff-only" => {
                    ff = Some(match name.as_str() {
                        "--ff" => "--ff",
                        "--no-ff" => "--no-ff",
                        _ => "--ff-only",
                    })
                }
                "--commit"
                | "--no-commit"
                | "--squash"
                | "--no-squash"
                | "-e"
                | "--edit"
                | "--no-edit"
                | "--no-stat"
                | "-n"
                | "--stat"
                | "--allow-unrelated-histories"
                | "--no-verify"
                | "--verify"
                | "--no-log" => {
                    merge_words.push(name.into_bytes());
                }
                "-s" | "--strategy" | "--strategy=" | "-X" | "--strategy-option=" => {
                    let value = args.value(&name)?;
                    let flag = if name.contains('X') || name.contains("option") { "-X" } else { "-s" };
                    for list in [&mut merge_words, &mut rebase_words] {
                        list.extend([flag.as_bytes().to_vec(), value.clone().into_bytes()]);
                    }
                }
                "--autostash" | "--no-autostash" => {
                    rebase_words.push(name.clone().into_bytes());
                    if name == "--autostash" {
                        merge_words.push(name.into_bytes());
                    }
                }
                "--signoff"
                | "--no-signoff"
                | "-S"
                | "--gpg-sign"
                | "--verify-signatures"
                | "--cleanup="
                | "--recurse-submodules" => fatal!("option {} is not supported", name.trim_end_matches('=')),
                "--all" | "--set-upstream" => fatal!("option {name} is not supported"),
                other => {
                    if !o.take(other, &mut args)? {
                        return Err(args.unknown(other));
                    }
                }
            },
            Word::Plain(word) => plain.push(bytes::text(&word)),
        }
    }
    let mut repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let mut action = vec!["pull".to_owned()];
    action.extend(words.iter().map(|w| bytes::text(w)));
    o.action = std::env::var("GIT_REFLOG_ACTION").unwrap_or_else(|_| action.join(" "));
    agentos_guest::env::set_var("GIT_REFLOG_ACTION", &o.action);
    let branch = repo.head_branch();
    let config = |key: &str| repo.config.get(key);
    if way == Way::Open {
        let own = branch.as_ref().and_then(|b| config(&format!("branch.{b}.rebase")));
        if let Some(value) = own.or_else(|| config("pull.rebase")) {
            way = rebase_value(&value, &mut rebase_words)?;
        }
    }
    let from_config;
    if ff.is_none() {
        from_config = config("pull.ff");
        ff = match from_config.as_deref() {
            Some("only") => Some("--ff-only"),
            Some("false" | "no") => Some("--no-ff"),
            Some(_) => Some("--ff"),
            None => None,
        };
    }
    if !repo.index()?.unmerged().is_empty() {
        say!("error: Pulling is not possible because you have unmerged files.");
        say!(
            "hint: Fix them up in the work tree, and then use 'git add/rm <file>'\nhint: as appropriate to mark resolution and make a commit."
        );
        fatal!("Exiting because of an unresolved conflict.");
    }
    if repo.file("MERGE_HEAD").exists() {
        say!("error: You have not concluded your merge (MERGE_HEAD exists).");
        say!("hint: Please, commit your changes before merging.");
        fatal!("Exiting because of unfinished merge.");
    }
    if way == Way::Rebase {
        clean_enough(&repo, &rebase_words)?;
    }
    let named_none = plain.is_empty();
    let name = if named_none { remotes::default(&repo) } else { plain.remove(0) };
    let remote = Remote::new(&repo, &name)?;
    if named_none && !remote.known && name == "origin" {
        return Err(no_candidates(&repo, &name, None, way));
    }
    let before = repo.head();
    let status = fetch::fetch_from(&mut repo, &remote, &plain, &o)?;
    if status != 0 {
        return Ok(status);
    }
    if o.dry {
        return Ok(0);
    }
    let text = fs::read(repo.file("FETCH_HEAD")).unwrap_or_default();
    let heads: Vec<Oid> = text
        .split(|b| *b == b'\n')
        .filter(|l| l.get(40..42) == Some(b"\t\t"))
        .filter_map(|l| Oid::parse(&l[..40]))
        .filter_map(|o| repo.odb.peel_commit(&o).ok().flatten())
        .collect();
    let Some(theirs) = heads.first().copied() else {
        return Err(no_candidates(&repo, &name, plain.first().map(String::as_str), way));
    };
    let mut call: Vec<Vec<u8>> = Vec::new();
    if o.quiet {
        call.push(b"-q".to_vec());
    }
    let Some(ours) = repo.head() else {
        if heads.len() > 1 {
            fatal!("Cannot merge multiple branches into empty head.");
        }
        call.push(b"FETCH_HEAD".to_vec());
        return super::merge::merge(setting, &call);
    };
    if before.is_some() && before != repo.head() {
        // The fetch moved the branch that is checked out: the work tree has to follow.
        let old = super::commit_files(&repo, &before.unwrap_or_default())?;
        say!(
            "warning: fetch updated the current branch head.\nfast-forwarding your working tree from\ncommit {}.",
            before.unwrap_or_default()
        );
        let mut index = repo.index()?;
        let lock = index.lock()?;
        let new = super::commit_files(&repo, &ours)?;
        crate::switch::two_way(&repo, &mut index, &old, &new, &crate::switch::MERGE)?;
        index.write(lock)?;
    }
    let done = walk::is_ancestor(&repo, &theirs, &ours)?;
    let forward = walk::is_ancestor(&repo, &ours, &theirs)?;
    let diverging = heads.len() == 1 && !done && !forward;
    if ff == Some("--ff-only") && diverging {
        say!(
            "hint: Diverging branches can't be fast-forwarded, you need to either:\nhint:\nhint: \tgit merge --no-ff\nhint:\nhint: or:\nhint:\nhint: \tgit rebase\nhint:\nhint: Disable this message with \"git config advice.diverging false\""
        );
        fatal!("Not possible to fast-forward, aborting.");
    }
    if way == Way::Open && ff.is_none() && diverging {
        say!("{DIVERGENT}");
        fatal!("Need to specify how to reconcile divergent branches.");
    }
    if way == Way::Rebase && !forward {
        if heads.len() > 1 {
            fatal!("Cannot rebase onto multiple branches.");
        }
        call.extend(rebase_words);
        call.push(theirs.to_string().into_bytes());
        return super::run(setting, "rebase", &call);
    }
    if way == Way::Rebase {
        call.push(b"--ff-only".to_vec());
    } else {
        call.extend(ff.map(|f| f.as_bytes().to_vec()));
        call.extend(merge_words);
    }
    call.push(b"FETCH_HEAD".to_vec());
    super::merge::merge(setting, &call)
}

fn rebase_value(value: &str, words: &mut Vec<Vec<u8>>) -> Res<Way> {
    Ok(match value {
        "merges" | "m" => {
            words.push(b"--rebase-merges".to_vec());
            Way::Rebase
        }
        "interactive" | "i" => {
            words.push(b"-i".to_vec());
            Way::Rebase
        }
        other => match crate::config::truth(other) {
            Some(true) => Way::Rebase,
            Some(false) => Way::Merge,
            None => fatal!("invalid value for 'pull.rebase': '{other}'"),
        },
    })
}

/// A rebase starts from a clean tree only.
fn clean_enough(repo: &Repo, rebase_words: &[Vec<u8>]) -> Res<()> {
    let stashes =
        rebase_words.iter().any(|w| w == b"--autostash") || repo.config.flag("rebase.autostash", false);
    if stashes || repo.head().is_none() {
        return Ok(());
    }
    let all = crate::pathspec::Pathspec::default();
    let mut index = repo.index()?;
    crate::worktree::refresh_and_write(repo, &mut index);
    let unstaged = !crate::changes::index_to_worktree(repo, &index, &all).is_empty();
    let staged = !crate::changes::tree_to_index(&super::head_files(repo)?, &index, &all).is_empty();
    if unstaged {
        say!("error: cannot pull with rebase: You have unstaged changes.");
    }
    if staged && unstaged {
        say!("error: additionally, your index contains uncommitted changes.");
    } else if staged {
        say!("error: cannot pull with rebase: Your index contains uncommitted changes.");
    }
    if staged || unstaged {
        say!("error: Please commit or stash them.");
        return Err(Stop::Exit(128));
    }
    Ok(())
}

/// Why there is nothing to merge.
fn no_candidates(repo: &Repo, remote: &str, spec: Option<&str>, way: Way) -> Stop {
    let (verb, with) =
        if way == Way::Rebase { ("rebase", "rebase against") } else { ("merge", "merge with") };
    let branch = repo.head_branch();
    let merge = branch.as_ref().and_then(|b| repo.config.get(&format!("branch.{b}.merge")));
    let own = branch.as_ref().and_then(|b| repo.config.get(&format!("branch.{b}.remote")));
    let text = if spec.is_some() {
        format!(
            "There {} for {}ing among the refs that you just fetched.\nGenerally this means that you provided a wildcard refspec which had no\nmatches on the remote end.",
            if way == Way::Rebase { "is no candidate" } else { "are no candidates" },
            if way == Way::Rebase { "rebas" } else { "merg" }
        )
    } else if own.as_deref().is_some_and(|o| o != remote) {
        format!(
            "You asked to pull from the remote '{remote}', but did not specify\na branch. Because this is not the default configured remote\nfor your current branch, you must specify a branch on the command line."
        )
    } else if branch.is_none() {
        format!(
            "You are not currently on a branch.\nPlease specify which branch you want to {with}.\nSee git-pull(1) for details.\n\n    git pull <remote> <branch>\n"
        )
    } else if merge.is_none() {
        let name = if repo.config.subsections("remote").len() == 1 { remote } else { "<remote>" };
        format!(
            "There is no tracking information for the current branch.\nPlease specify which branch you want to {with}.\nSee git-pull(1) for details.\n\n    git pull <remote> <branch>\n\nIf you wish to set tracking information for this branch you can do so with:\n\n    git branch --set-upstream-to={name}/<branch> {}\n",
            branch.unwrap_or_default()
        )
    } else {
        format!(
            "Your configuration specifies to {verb} with the ref '{}'\nfrom the remote, but no such ref was fetched.",
            merge.unwrap_or_default()
        )
    };
    Stop::Said(1, text)
}

const DIVERGENT: &str = "hint: You have divergent branches and need to specify how to reconcile them.
hint: You can do so by running one of the following commands sometime before
hint: your next pull:
hint:
hint:   git config pull.rebase false  # merge
hint:   git config pull.rebase true   # rebase
hint:   git config pull.ff only       # fast-forward only
hint:
hint: You can replace \"git config\" with \"git config --global\" to set a default
hint: preference for all repositories. You can also pass --rebase, --no-rebase,
hint: or --ff-only on the command line to override the configured default per
hint: invocation.";
