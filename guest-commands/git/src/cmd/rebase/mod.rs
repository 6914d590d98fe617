//! `git rebase`: its options, what is to be replayed, and the end. The steps are in `replay`, the list in `todo`. Merges
//! are not kept (`--rebase-merges` is refused).

mod replay;
mod state;
mod todo;

pub(crate) use state::{head_line, status_text};

use crate::args::{Args, Word};
use crate::bytes;
use crate::changes::{self};
use crate::error::{Res, Stop, fatal, flush, out, say};
use crate::message;
use crate::oid::{Commit, EMPTY_TREE, Kind, Oid};
use crate::repo::{Repo, Setting};
use crate::threeway::Favor;
use crate::{diffout, revision, switch, walk};
use replay::Replay;
use state::State;
use std::collections::HashSet;
use std::fs;
use todo::{Item, Verb};

const USAGE: &str = "[-i] [options] [--exec <cmd>] [--onto <newbase> | --keep-base] [<upstream> [<branch>]]
   or: git rebase [-i] [options] [--exec <cmd>] [--onto <newbase>] --root [<branch>]
   or: git rebase --continue | --abort | --skip | --edit-todo
";

#[derive(Default)]
struct Options {
    interactive: bool,
    onto: Option<String>,
    keep_base: bool,
    root: bool,
    force: bool,
    quiet: bool,
    autostash: Option<bool>,
    autosquash: Option<bool>,
    reapply: Option<bool>,
    no_verify: bool,
    signoff: bool,
    empty: Option<&'static str>,
    exec: Vec<String>,
    favor: Favor,
}

pub(crate) fn rebase(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "xXsC", "rebase", USAGE);
    let mut o = Options::default();
    let mut action = String::new();
    let mut names = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(option) => match option.as_str() {
                "-i" | "--interactive" => o.interactive = true,
                "--onto" | "--onto=" => o.onto = Some(args.value(&option)?),
                "--keep-base" => o.keep_base = true,
                "--root" => o.root = true,
                "-f" | "--force-rebase" | "--no-ff" => o.force = true,
                "--ff" => o.force = false,
                "-q" | "--quiet" => o.quiet = true,
                "-v" | "--verbose" => o.quiet = false,
                "--autostash" => o.autostash = Some(true),
                "--no-autostash" => o.autostash = Some(false),
                "--autosquash" => o.autosquash = Some(true),
                "--no-autosquash" => o.autosquash = Some(false),
                "--reapply-cherry-picks" => o.reapply = Some(true),
                "--no-reapply-cherry-picks" => o.reapply = Some(false),
                "--no-verify" => o.no_verify = true,
                "--verify" => o.no_verify = false,
                "--signoff" => (o.signoff, o.force) = (true, true),
                "-x" | "--exec" | "--exec=" => {
                    let command = args.value(&option)?;
                    if command.trim().is_empty() {
                        fatal!("empty exec command");
                    }
                    o.exec.push(command);
                }
                "--empty" | "--empty=" => {
                    o.empty = Some(match args.value(&option)?.as_str() {
                        "drop" => "drop",
                        "keep" => "keep",
                        "stop" | "ask" => "stop",
                        other => fatal!(
                            "unrecognized empty type '{other}'; valid values are \"drop\", \"keep\", and \"stop\"."
                        ),
                    });
                }
                "-k"
                | "--keep-empty"
                | "-m"
                | "--merge"
                | "--no-stat"
                | "-n"
                | "--no-rebase-merges"
                | "--no-gpg-sign"
                | "--no-update-refs"
                | "--no-rerere-autoupdate"
                | "--no-reschedule-failed-exec"
                | "--no-fork-point" => {}
                "-X" | "--strategy-option" | "--strategy-option=" => {
                    o.favor = super::merge::favor(&args.value(&option)?)?;
                }
                "-s" | "--strategy" | "--strategy=" => {
                    let name = args.value(&option)?;
                    if !matches!(name.as_str(), "ort" | "recursive") {
                        fatal!("merge strategy '{name}' is not supported");
                    }
                }
                "--continue" | "--abort" | "--skip" | "--quit" | "--edit-todo" | "--show-current-patch" => {
                    action = option[2..].to_owned();
                }
                "-r"
                | "--rebase-merges"
                | "--rebase-merges="
                | "--stat"
                | "--apply"
                | "--fork-point"
                | "--update-refs"
                | "-S"
                | "--gpg-sign"
                | "--rerere-autoupdate"
                | "--ignore-date"
                | "--reset-author-date"
                | "--committer-date-is-author-date"
                | "--reschedule-failed-exec"
                | "--whitespace="
                | "-C"
                | "--ignore-whitespace"
                | "--no-keep-empty" => {
                    fatal!("option {} is not supported", option.trim_end_matches('='))
                }
                _ => return Err(args.unknown(&option)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    if !action.is_empty() {
        if !State::there(&repo) {
            fatal!("no rebase in progress");
        }
        let state = State::load(&repo)?;
        return Replay::new(setting, &repo, state).act(&action);
    }
    if State::there(&repo) {
        fatal!(
            "It seems that there is already a rebase-merge directory, and\nI wonder if you are in the middle of another rebase.  If that is the\ncase, please try\n\tgit rebase (--continue | --abort | --skip)\nIf that is not the case, please\n\trm -fr \".git/rebase-merge\"\nand run me again.  I am stopping in case you still have something\nvaluable there.\n"
        );
    }
    if names.len() > 2 || (o.root && names.len() > 1) {
        return Err(Stop::Said(129, args.usage_text()));
    }
    start(setting, &repo, &o, names)
}

/// What the user wants of the branch that is rebased.
struct Plan {
    upstream: Option<Oid>,
    onto: Oid,
    onto_name: String,
    head: Oid,
    /// `refs/heads/…` or `detached HEAD`.
    head_name: String,
    squash_onto: Option<Oid>,
}

fn start(setting: &Setting, repo: &Repo, o: &Options, mut names: Vec<String>) -> Res<i32> {
    let upstream_name = if o.root {
        None
    } else if names.is_empty() {
        let Some(branch) = repo.head_branch() else {
            return Err(no_upstream(None));
        };
        match revision::upstream(repo, &branch) {
            Some(full) => Some(Repo::shorten(&full).to_owned()),
            None => return Err(no_upstream(Some(&branch))),
        }
    } else {
        Some(names.remove(0))
    };
    let upstream_name = match upstream_name.as_deref() {
        Some("-") => revision::previous_branch(repo, 1),
        _ => upstream_name,
    };
    let find = |name: &str| -> Option<Oid> {
        revision::find(repo, name).ok().flatten().and_then(|oid| repo.odb.peel_commit(&oid).ok().flatten())
    };
    let upstream = match &upstream_name {
        Some(name) => match find(name) {
            Some(oid) => Some(oid),
            None => fatal!("invalid upstream '{name}'"),
        },
        None => None,
    };
    let (head, head_name, switched) = match names.first() {
        Some(name) => match (repo.ref_oid(&format!("refs/heads/{name}")), find(name)) {
            (Some(oid), _) => (oid, format!("refs/heads/{name}"), Some(name.clone())),
            (None, Some(oid)) => (oid, "detached HEAD".to_owned(), Some(name.clone())),
            (None, None) => fatal!("no such branch/commit '{name}'"),
        },
        None => {
            let Some(head) = repo.head() else { fatal!("Could not resolve HEAD to a commit") };
            let name = repo.head_branch().map_or("detached HEAD".to_owned(), |b| format!("refs/heads/{b}"));
            (head, name, None)
        }
    };
    let mut squash_onto = None;
    let (onto, onto_name) = match (&o.onto, upstream) {
        (Some(name), _) if name.contains("...") => {
            let (a, b) = name.split_once("...").unwrap_or_default();
            let side = |n: &str| find(if n.is_empty() { "HEAD" } else { n });
            match (side(a), side(b)) {
                (Some(a), Some(b)) => match walk::merge_bases(repo, &a, &b)?[..] {
                    [one] => (one, name.clone()),
                    _ => fatal!("'{name}': need exactly one merge base"),
                },
                _ => fatal!("'{name}': need exactly one merge base"),
            }
        }
        (Some(name), _) => match find(name) {
            Some(oid) => (oid, name.clone()),
            None => fatal!("Does not point to a valid commit '{name}'"),
        },
        (None, None) => {
            // A commit of nothing, only to be the base of the first one.
            let committer = repo.committer()?;
            let empty = Commit {
                tree: EMPTY_TREE,
                parents: Vec::new(),
                author: repo.author()?,
                committer,
                extra: Vec::new(),
                message: Vec::new(),
            };
            let oid = repo.odb.write(Kind::Commit, &empty.write())?;
            squash_onto = Some(oid);
            (oid, oid.to_string())
        }
        (None, Some(up)) if o.keep_base => match walk::merge_bases(repo, &up, &head)?[..] {
            [one] => (one, upstream_name.clone().unwrap_or_default()),
            _ => fatal!("'{}': need exactly one merge base with branch", upstream_name.unwrap_or_default()),
        },
        (None, Some(up)) => (up, upstream_name.clone().unwrap_or_default()),
    };
    let plan = Plan { upstream, onto, onto_name, head, head_name, squash_onto };
    // Local changes are put away or refused.
    let mut index = repo.index()?;
    crate::worktree::refresh_and_write(repo, &mut index);
    let unstaged = !changes::index_to_worktree(repo, &index, &Default::default()).is_empty();
    let files = super::head_files(repo)?;
    let staged = !changes::tree_to_index(&files, &index, &Default::default()).is_empty();
    let mut stash = None;
    if (staged || unstaged) && o.autostash.unwrap_or(repo.config.flag("rebase.autostash", false)) {
        let oid = super::stash::put_away(setting, repo)?;
        out!("Created autostash: {}\n", repo.short(&oid));
        stash = Some(oid);
    } else if unstaged || staged {
        if unstaged {
            say!("error: cannot rebase: You have unstaged changes.");
            if staged {
                say!("error: additionally, your index contains uncommitted changes.");
            }
        } else {
            say!("error: cannot rebase: Your index contains uncommitted changes.");
        }
        say!("error: Please commit or stash them.");
        return Ok(1);
    }
    let explicit = o.interactive || !o.exec.is_empty() || o.autosquash == Some(true);
    if !explicit && plan.squash_onto.is_none() && is_current(repo, &plan)? {
        let short = Repo::shorten(&plan.head_name).to_owned();
        let what = if plan.head_name.starts_with("refs/") {
            format!("Current branch {short} is up to date")
        } else {
            "HEAD is up to date".to_owned()
        };
        if !o.force {
            if let Some(name) = &switched
                && repo.head_ref().as_deref() != Some(&plan.head_name)
            {
                let lock = index.lock()?;
                let new = super::commit_files(repo, &plan.head)?;
                switch::two_way(repo, &mut index, &files, &new, &switch::CHECKOUT)?;
                index.write(lock)?;
                let old = repo.head().unwrap_or_default();
                let log = format!("rebase (start): checkout {name}");
                if plan.head_name.starts_with("refs/") {
                    repo.set_symbolic("HEAD", &plan.head_name, Some((old, plan.head, &log)))?;
                } else {
                    repo.detach(&plan.head, &log)?;
                }
            }
            if !o.quiet {
                out!("{what}.\n");
            }
            if let Some(stash) = stash {
                flush();
                super::stash::take_back(setting, repo, &stash)?;
            }
            return Ok(0);
        }
        if !o.quiet {
            out!("{what}, rebase forced.\n");
        }
    }
    if !o.no_verify {
        let name = upstream_name.clone().unwrap_or_else(|| "--root".to_owned());
        let arguments: Vec<&std::path::Path> =
            std::iter::once(name.as_str()).chain(switched.as_deref()).map(std::path::Path::new).collect();
        if message::hook(repo, "pre-rebase", &arguments)? != 0 {
            fatal!("The pre-rebase hook refused to rebase.");
        }
    }
    let mut items = list(repo, o, &plan)?;
    let autosquash = o.autosquash.unwrap_or(o.interactive && repo.config.flag("rebase.autosquash", false));
    if autosquash {
        items = todo::autosquash(repo, items)?;
    }
    if !o.exec.is_empty() {
        let mut with = Vec::new();
        let mut waiting = false;
        let add = |with: &mut Vec<Item>| {
            with.extend(o.exec.iter().map(|c| Item::new(Verb::Exec, Oid::ZERO, c.clone())));
        };
        for item in items {
            if waiting && !matches!(item.verb, Verb::Fixup | Verb::Squash) {
                add(&mut with);
            }
            waiting = true;
            with.push(item);
        }
        if waiting {
            add(&mut with);
        }
        items = with;
    }
    fs::write(repo.file("ORIG_HEAD"), format!("{}\n", plan.head))?;
    let empty = o.empty.unwrap_or(if o.interactive {
        "stop"
    } else if o.exec.is_empty() {
        "drop"
    } else {
        "keep"
    });
    let state = State {
        dir: repo.git_dir.join("rebase-merge"),
        head_name: plan.head_name.clone(),
        onto: plan.onto,
        orig_head: plan.head,
        squash_onto: plan.squash_onto,
        quiet: o.quiet,
        signoff: o.signoff,
        favor: o.favor,
        empty: empty.to_owned(),
        force: o.force,
        done: Vec::new(),
        todo: items,
    };
    state.create(stash)?;
    let mut replay = Replay::new(setting, repo, state);
    let range = match plan.upstream {
        Some(up) => format!("{}..{}", repo.short(&up), repo.short(&plan.head)),
        None => repo.short(&plan.head),
    };
    replay.begin(o.interactive, &range, &plan.onto_name)
}

/// Whether the branch already stands on its base, in a line.
fn is_current(repo: &Repo, plan: &Plan) -> Res<bool> {
    let bases = walk::merge_bases(repo, &plan.onto, &plan.head)?;
    if bases[..] != [plan.onto] {
        return Ok(false);
    }
    if let Some(up) = plan.upstream
        && up != plan.onto
        && walk::merge_bases(repo, &up, &plan.head)?[..] != [plan.onto]
    {
        return Ok(false);
    }
    let mut at = plan.head;
    while at != plan.onto {
        match repo.odb.commit(&at)?.parents[..] {
            [parent] => at = parent,
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The commits that are replayed, oldest first, without those whose change the other side has.
fn list(repo: &Repo, o: &Options, plan: &Plan) -> Res<Vec<Item>> {
    let base = plan.upstream.or(o.onto.as_ref().map(|_| plan.onto));
    let mut walk = walk::Walk {
        include: vec![plan.head],
        exclude: base.into_iter().collect(),
        topo: true,
        reverse: true,
        max_parents: Some(1),
        ..walk::Walk::default()
    };
    let commits = walk.run(repo)?;
    let mut known: HashSet<[u8; 20]> = HashSet::new();
    if let Some(up) = base
        && !o.reapply.unwrap_or(o.keep_base)
    {
        let mut others = walk::Walk {
            include: vec![up],
            exclude: vec![plan.head],
            max_parents: Some(1),
            ..walk::Walk::default()
        };
        for oid in others.run(repo)? {
            known.extend(diffout::patch_id(repo, &oid)?);
        }
    }
    let mut items = Vec::new();
    let mut skipped = false;
    for oid in commits {
        if !known.is_empty() && diffout::patch_id(repo, &oid)?.is_some_and(|id| known.contains(&id)) {
            say!("warning: skipped previously applied commit {}", repo.short(&oid));
            skipped = true;
            continue;
        }
        items.push(Item::new(Verb::Pick, oid, bytes::text(&repo.odb.commit(&oid)?.subject())));
    }
    if skipped {
        say!(
            "hint: use --reapply-cherry-picks to include skipped commits\nhint: Disable this message with \"git config advice.skippedCherryPicks false\""
        );
    }
    Ok(items)
}

fn no_upstream(branch: Option<&str>) -> Stop {
    match branch {
        Some(branch) => {
            out!(
                "There is no tracking information for the current branch.\nPlease specify which branch you want to rebase against.\nSee git-rebase(1) for details.\n\n    git rebase '<branch>'\n\nIf you wish to set tracking information for this branch you can do so with:\n\n    git branch --set-upstream-to=<remote>/<branch> {branch}\n\n"
            );
        }
        None => out!(
            "You are not currently on a branch.\nPlease specify which branch you want to rebase against.\nSee git-rebase(1) for details.\n\n    git rebase '<branch>'\n\n"
        ),
    }
    Stop::Exit(1)
}
