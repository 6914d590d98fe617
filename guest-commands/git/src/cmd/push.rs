//! `git push`: which refs go where, whether that would lose anything, and what is said of it.

use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, fatal, out, say};
use crate::oid::{Kind, Oid};
use crate::packwrite;
use crate::reach::{self, Request};
use crate::refspec::Spec;
use crate::remotes::{self, Remote};
use crate::repo::{Repo, Setting};
use crate::revision;
use crate::transport::{Advertised, Transport, Update, open};
use crate::walk;
use std::fs;

const USAGE: &str = "[<options>] [<repository> [<refspec>...]]";

#[derive(Default)]
struct Options {
    force: bool,
    /// Refs that must be as we know them; an empty name stands for all.
    lease: Vec<(String, Option<String>)>,
    delete: bool,
    all: bool,
    tags: bool,
    mirror: bool,
    prune: bool,
    follow_tags: bool,
    upstream: bool,
    atomic: bool,
    dry: bool,
    quiet: bool,
    verbose: bool,
    porcelain: bool,
    no_verify: bool,
}

/// Whether and why a ref is not pushed.
#[derive(Clone, PartialEq, Eq)]
enum Status {
    Todo,
    Same,
    Done,
    NonForward,
    FetchFirst,
    NeedsForce,
    TagExists,
    Stale,
    Atomic,
    Refused(String),
}

/// A ref that is to be pushed.
struct Row {
    /// As it was given; nothing if the ref goes away.
    from: String,
    /// The full name of what is pushed, if it is a ref.
    source: Option<String>,
    to: String,
    old: Oid,
    new: Oid,
    force: bool,
    forced: bool,
    status: Status,
}

fn parse(words: &[Vec<u8>]) -> Res<(Options, Vec<String>)> {
    let mut args = Args::new(words, "o", "push", USAGE);
    let mut o = Options::default();
    let mut plain = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(name) => match name.as_str() {
                "-f" | "--force" => o.force = true,
                "--no-force" => o.force = false,
                "--force-with-lease" => o.lease.push((String::new(), None)),
                "--force-with-lease=" => {
                    let text = args.value(&name)?;
                    o.lease.push(match text.split_once(':') {
                        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                        None => (text, None),
                    });
                }
                "--no-force-with-lease" => o.lease.clear(),
                "-d" | "--delete" => o.delete = true,
                "--all" | "--branches" => o.all = true,
                "--tags" => o.tags = true,
                "--mirror" => o.mirror = true,
                "--prune" => o.prune = true,
                "--follow-tags" => o.follow_tags = true,
                "--no-follow-tags" => o.follow_tags = false,
                "-u" | "--set-upstream" => o.upstream = true,
                "--atomic" => o.atomic = true,
                "-n" | "--dry-run" => o.dry = true,
                "-q" | "--quiet" => o.quiet = true,
                "-v" | "--verbose" => o.verbose = true,
                "--porcelain" => o.porcelain = true,
                "--no-verify" => o.no_verify = true,
                "--verify"
                | "--progress"
                | "--no-progress"
                | "--thin"
                | "--no-thin"
                | "--no-signed"
                | "--no-recurse-submodules"
                | "-4"
                | "-6" => {}
                "--receive-pack" | "--receive-pack=" | "--exec" | "--exec=" => drop(args.value(&name)?),
                "--recurse-submodules=" => {
                    let value = args.value(&name)?;
                    if !matches!(value.as_str(), "no" | "check" | "on-demand") {
                        fatal!("bad recurse-submodules argument: {value}");
                    }
                }
                "-o"
                | "--push-option"
                | "--push-option="
                | "--signed"
                | "--signed="
                | "--repo"
                | "--repo="
                | "--force-if-includes" => fatal!("option {} is not supported", name.trim_end_matches('=')),
                _ => return Err(args.unknown(&name)),
            },
            Word::Plain(word) => plain.push(bytes::text(&word)),
        }
    }
    if o.delete && (o.all || o.mirror || o.tags) {
        fatal!("options '--delete' and '--all/--branches/--mirror/--tags' cannot be used together");
    }
    if o.delete && plain.len() < 2 {
        fatal!("--delete doesn't make sense without any refs");
    }
    if o.all && o.tags {
        fatal!("options '--tags' and '--all/--branches' cannot be used together");
    }
    if o.all && plain.len() > 1 {
        fatal!("--all can't be combined with refspecs");
    }
    if o.mirror && plain.len() > 1 {
        fatal!("--mirror can't be combined with refspecs");
    }
    Ok((o, plain))
}

/// The refspecs of a push without any, by `push.default`. `true`: the upstream is to be set too.
fn default_specs(repo: &Repo, remote: &Remote) -> Res<(Vec<String>, bool)> {
    if !remote.push.is_empty() {
        return Ok((Vec::new(), false));
    }
    let how = repo.config.get("push.default").unwrap_or_else(|| "simple".to_owned());
    if how == "matching" {
        return Ok((vec![":".to_owned()], false));
    }
    if how == "nothing" {
        fatal!("You didn't specify any refspecs to push, and push.default is \"nothing\".");
    }
    let name = &remote.name;
    let Some(branch) = repo.head_branch() else {
        fatal!(
            "You are not currently on a branch.\nTo push the history leading to the current (detached HEAD)\nstate now, use\n\n    git push {name} HEAD:<name-of-remote-branch>\n"
        )
    };
    let full = format!("refs/heads/{branch}");
    if how == "current" {
        return Ok((vec![full], false));
    }
    let usual = remotes::default(repo);
    let triangular = usual != *name && repo.config.get(&format!("remote.{usual}.url")).is_some();
    if triangular && how == "simple" {
        return Ok((vec![full], false));
    }
    if triangular {
        fatal!(
            "You are pushing to remote '{name}', which is not the upstream of\nyour current branch '{branch}', without telling me what to push\nto update which remote branch."
        );
    }
    let merge = repo.config.get(&format!("branch.{branch}.merge"));
    let own = repo.config.get(&format!("branch.{branch}.remote"));
    let (Some(merge), Some(_)) = (merge, own) else {
        if repo.config.flag("push.autosetupremote", false) {
            return Ok((vec![full], true));
        }
        fatal!(
            "The current branch {branch} has no upstream branch.\nTo push the current branch and set the remote as upstream, use\n\n    git push --set-upstream {name} {branch}\n\nTo have this happen automatically for branches without a tracking\nupstream, see 'push.autoSetupRemote' in 'git help config'.\n"
        )
    };
    if how == "simple" && merge != full {
        let short = merge.trim_start_matches("refs/heads/");
        fatal!(
            "The upstream branch of your current branch does not match\nthe name of your current branch.  To push to the upstream branch\non the remote, use\n\n    git push {name} HEAD:{short}\n\nTo push to the branch of the same name on the remote, use\n\n    git push {name} HEAD\n\nTo choose either option permanently, see push.default in 'git help config'.\n\nTo avoid automatically configuring an upstream branch when its name\nwon't match the local branch, see option 'simple' of branch.autoSetupMerge\nin 'git help config'.\n"
        );
    }
    Ok((vec![format!("{full}:{merge}")], false))
}

/// What of a push was not understood; git says it and goes on to the next.
struct Bad;

/// The row of one refspec that is no pattern.
fn row(repo: &Repo, refs: &[Advertised], spec: &Spec, remote: &Remote) -> Res<Result<Row, Bad>> {
    let bad = |text: String| {
        say!("error: {text}");
        Ok(Err(Bad))
    };
    let (mut source, mut new) = (None, Oid::ZERO);
    if !spec.from.is_empty() {
        let name = if spec.from == "@" { "HEAD" } else { &spec.from };
        if let Some((full, oid)) = revision::dwim(repo, name) {
            source = Some(if full == "HEAD" { repo.head_ref().unwrap_or(full) } else { full });
            new = oid;
        } else {
            match revision::find(repo, name) {
                Ok(Some(oid)) if repo.odb.exists(&oid) => new = oid,
                _ => return bad(format!("src refspec {} does not match any", spec.from)),
            }
        }
    }
    let to = match &spec.to {
        Some(to) => to.clone(),
        None => match &source {
            Some(full) if full.starts_with("refs/") => {
                let mapped = remote.push.iter().find_map(|s| s.map(full));
                let upstream = || {
                    let branch = full.strip_prefix("refs/heads/")?;
                    (repo.config.get("push.default").as_deref() == Some("upstream"))
                        .then(|| repo.config.get(&format!("branch.{branch}.merge")))
                        .flatten()
                };
                mapped.or_else(upstream).unwrap_or_else(|| full.clone())
            }
            _ => spec.from.clone(),
        },
    };
    let matches: Vec<&Advertised> = ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"]
        .iter()
        .filter_map(|form| refs.iter().find(|r| r.name == format!("{form}{to}") && r.name != "HEAD"))
        .collect();
    let to = if to.starts_with("refs/") {
        to
    } else if let [one] = matches[..] {
        one.name.clone()
    } else if matches.len() > 1 {
        return bad(format!("dst refspec {to} matches more than one"));
    } else if spec.from.is_empty() {
        return bad(format!("unable to delete '{to}': remote ref does not exist"));
    } else if let Some(full) = &source {
        if full.starts_with("refs/tags/") { format!("refs/tags/{to}") } else { format!("refs/heads/{to}") }
    } else {
        say!(
            "error: The destination you provided is not a full refname (i.e.,\nstarting with \"refs/\"). We tried to guess what you meant by:\n\n- Looking for a ref that matches '{to}' on the remote side.\n- Checking if the <src> being pushed ('{}')\n  is a ref in \"refs/{{heads,tags}}/\". If so we add a corresponding\n  refs/{{heads,tags}}/ prefix on the remote side.\n\nNeither worked, so we gave up. You must fully qualify the ref.",
            spec.from
        );
        if let Ok((_, Kind::Commit)) = repo.odb.peel(&new) {
            say!(
                "hint: The <src> part of the refspec is a commit object.\nhint: Did you mean to create a new branch by pushing to\nhint: '{}:refs/heads/{to}'?",
                spec.from
            );
        }
        return Ok(Err(Bad));
    };
    let old = refs.iter().find(|r| r.name == to).map_or(Oid::ZERO, |r| r.oid);
    if spec.from.is_empty() && old.is_zero() {
        return bad(format!("unable to delete '{}': remote ref does not exist", Repo::shorten(&to)));
    }
    let from =
        if spec.from.starts_with("refs/") { Repo::shorten(&spec.from).to_owned() } else { spec.from.clone() };
    Ok(Ok(Row { from, source, to, old, new, force: spec.force, forced: false, status: Status::Todo }))
}

/// All rows of a push; `None` if a refspec was no good, which was said.
fn rows(
    repo: &Repo,
    refs: &[Advertised],
    specs: &[Spec],
    remote: &Remote,
    o: &Options,
) -> Res<Option<Vec<Row>>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut good = true;
    let old = |to: &str| refs.iter().find(|r| r.name == to).map_or(Oid::ZERO, |r| r.oid);
    let pattern = |rows: &mut Vec<Row>, map: &dyn Fn(&str) -> Option<String>, force: bool| {
        for (name, new) in repo.refs("refs/") {
            if let Some(to) = map(&name)
                && !rows.iter().any(|r| r.to == to)
            {
                rows.push(Row {
                    from: Repo::shorten(&name).to_owned(),
                    source: Some(name),
                    old: old(&to),
                    to,
                    new,
                    force,
                    forced: false,
                    status: Status::Todo,
                });
            }
        }
    };
    let not = |name: &str| specs.iter().any(|s| s.negative && s.takes(name));
    for spec in specs.iter().filter(|s| !s.negative) {
        if spec.from.is_empty() && spec.to.as_deref() == Some("") {
            let both = |name: &str| {
                (name.starts_with("refs/heads/") && !old(name).is_zero() && !not(name))
                    .then(|| name.to_owned())
            };
            pattern(&mut rows, &both, spec.force);
        } else if spec.is_pattern() {
            let map = |name: &str| match &spec.to {
                _ if not(name) => None,
                Some(_) => spec.map(name),
                None => spec.takes(name).then(|| name.to_owned()),
            };
            pattern(&mut rows, &map, spec.force);
        } else {
            match row(repo, refs, spec, remote)? {
                Ok(row) => {
                    rows.retain(|r| r.to != row.to);
                    rows.push(row);
                }
                Err(Bad) => good = false,
            }
        }
    }
    if o.prune || o.mirror {
        for r in refs.iter().filter(|r| r.name.starts_with("refs/")) {
            let source = if o.mirror {
                Some(r.name.clone())
            } else {
                specs.iter().find_map(|s| {
                    if s.to.is_some() { s.back(&r.name) } else { s.takes(&r.name).then(|| r.name.clone()) }
                })
            };
            if source.is_some_and(|s| repo.ref_oid(&s).is_none()) {
                rows.push(Row {
                    from: String::new(),
                    source: None,
                    to: r.name.clone(),
                    old: r.oid,
                    new: Oid::ZERO,
                    force: false,
                    forced: false,
                    status: Status::Todo,
                });
            }
        }
    }
    if o.follow_tags || repo.config.flag("push.followtags", false) {
        let tips: Vec<Oid> = rows.iter().filter(|r| !r.new.is_zero()).map(|r| r.new).collect();
        let mut commits = Vec::new();
        for tip in tips {
            commits.extend(repo.odb.peel_commit(&tip)?);
        }
        let reachable = walk::ancestors(repo, &commits)?;
        let follow = |name: &str| {
            let oid = repo.ref_oid(name).filter(|_| name.starts_with("refs/tags/") && old(name).is_zero())?;
            let (peeled, _) = repo.odb.peel(&oid).ok().filter(|p| p.0 != oid)?;
            reachable.contains(&peeled).then(|| name.to_owned())
        };
        pattern(&mut rows, &follow, false);
    }
    // As the other side lists them, then what is new.
    rows.sort_by_key(|r| refs.iter().position(|a| a.name == r.to).unwrap_or(usize::MAX));
    Ok(good.then_some(rows))
}

/// Whether a row may go: what is on the other side must not be lost.
fn check(repo: &Repo, row: &mut Row, remote: &Remote, o: &Options) -> Res<()> {
    if row.old == row.new {
        row.status = Status::Same;
        return Ok(());
    }
    let mut force = row.force || o.force || o.mirror;
    if !o.lease.is_empty() {
        let short = Repo::shorten(&row.to);
        let own = o
            .lease
            .iter()
            .find(|(n, _)| n == short || *n == row.to)
            .or_else(|| o.lease.iter().find(|l| l.0.is_empty()));
        if let Some((_, expected)) = own {
            let tracking = remote.tracking(&row.to).and_then(|t| repo.ref_oid(&t));
            let expected = match expected.as_deref() {
                Some("") => Some(Oid::ZERO),
                Some(text) => Some(revision::resolve(repo, text)?),
                None => tracking.or((row.old.is_zero()).then_some(Oid::ZERO)),
            };
            if expected != Some(row.old) {
                if !force {
                    row.status = Status::Stale;
                    return Ok(());
                }
            } else {
                force = true;
            }
        }
    }
    if row.new.is_zero() || row.old.is_zero() {
        return Ok(());
    }
    let problem = if row.to.starts_with("refs/tags/") {
        Some(Status::TagExists)
    } else if !repo.odb.exists(&row.old) {
        Some(Status::FetchFirst)
    } else if repo.odb.kind(&row.old)? != Kind::Commit || repo.odb.kind(&row.new)? != Kind::Commit {
        Some(Status::NeedsForce)
    } else if !walk::is_ancestor(repo, &row.old, &row.new)? {
        Some(Status::NonForward)
    } else {
        None
    };
    match problem {
        Some(_) if force => row.forced = true,
        Some(status) => row.status = status,
        None => {}
    }
    Ok(())
}

fn pre_push(repo: &Repo, remote: &Remote, url: &str, rows: &[Row]) -> Res<bool> {
    let mut input = String::new();
    for row in rows.iter().filter(|r| r.status == Status::Todo) {
        let name = if row.new.is_zero() { "(delete)" } else { row.source.as_deref().unwrap_or(&row.from) };
        input += &format!("{name} {} {} {}\n", row.new, row.to, row.old);
    }
    let file = repo.file("HOOK_INPUT");
    fs::write(&file, input)?;
    let done = crate::message::hook_with(repo, "pre-push", &[&remote.name, url], Some(&file));
    let _ = fs::remove_file(&file);
    Ok(done? == 0)
}

/// Pushes to one address. True if everything went.
fn push_to(repo: &Repo, remote: &Remote, url: &str, specs: &[Spec], o: &Options) -> Res<bool> {
    let failed = || {
        say!("error: failed to push some refs to '{url}'");
        Ok(false)
    };
    let mut to = open(url)?;
    let refs = to.refs().to_vec();
    let Some(mut rows) = rows(repo, &refs, specs, remote, o)? else { return failed() };
    if rows.is_empty() && refs.is_empty() && !specs.is_empty() && specs.iter().all(|s| s.from.is_empty()) {
        say!("No refs in common and none specified; doing nothing.\nPerhaps you should specify a branch.");
    }
    for row in &mut rows {
        check(repo, row, remote, o)?;
    }
    if !o.no_verify && !pre_push(repo, remote, url, &rows)? {
        return failed();
    }
    let clean = |r: &Row| matches!(r.status, Status::Todo | Status::Same);
    if o.atomic && !rows.iter().all(clean) {
        rows.iter_mut().filter(|r| r.status == Status::Todo).for_each(|r| r.status = Status::Atomic);
    }
    if let Some(row) = rows.iter().find(|r| o.atomic && !clean(r) && r.status != Status::Atomic) {
        let number = match row.status {
            Status::NonForward => 2,
            Status::TagExists => 3,
            Status::FetchFirst => 5,
            Status::NeedsForce => 6,
            _ => 7,
        };
        say!("error: atomic push failed for ref {}. status: {number}", row.to);
        say!("fatal: the remote end hung up unexpectedly");
    }
    if o.dry {
        rows.iter_mut().filter(|r| r.status == Status::Todo).for_each(|r| r.status = Status::Done);
    } else {
        send(repo, &mut *to, &refs, &mut rows)?;
        follow(repo, remote, &rows)?;
    }
    if o.upstream && !o.dry {
        for row in rows.iter().filter(|r| matches!(r.status, Status::Done | Status::Same)) {
            let branch = row.source.as_deref().and_then(|s| s.strip_prefix("refs/heads/"));
            if let Some(branch) = branch
                && row.to.starts_with("refs/heads/")
            {
                super::branch::track(repo, branch, &remote.name, &row.to, o.quiet)?;
            }
        }
    }
    report(repo, url, &rows, o);
    if o.verbose && !o.dry {
        for row in rows.iter().filter(|r| matches!(r.status, Status::Done | Status::Same)) {
            if let Some(name) = remote.tracking(&row.to) {
                say!("updating local tracking ref '{name}'");
            }
        }
    }
    let good = rows.iter().all(|r| matches!(r.status, Status::Done | Status::Same));
    if !good {
        say!("error: failed to push some refs to '{url}'");
        hints(repo, &rows);
    } else if !rows.iter().any(|r| r.status == Status::Done) && !o.quiet && !o.porcelain {
        say!("Everything up-to-date");
    }
    Ok(good)
}

/// Sends what the other side lacks and has the refs changed.
fn send(repo: &Repo, to: &mut dyn Transport, refs: &[Advertised], rows: &mut [Row]) -> Res<()> {
    let todo: Vec<usize> = (0..rows.len()).filter(|at| rows[*at].status == Status::Todo).collect();
    if todo.is_empty() {
        return Ok(());
    }
    let wants: Vec<Oid> = todo.iter().map(|at| rows[*at].new).filter(|o| !o.is_zero()).collect();
    let mut pack = Vec::new();
    if !wants.is_empty() {
        let haves = refs.iter().map(|r| r.oid).filter(|o| repo.odb.exists(o)).collect();
        let reached = reach::collect(&repo.odb, &Request { wants, haves, ..Request::default() })?;
        packwrite::write(&repo.odb, &reached.items, &mut pack)?;
    }
    let updates: Vec<Update> = todo
        .iter()
        .map(|at| Update { name: rows[*at].to.clone(), old: rows[*at].old, new: rows[*at].new })
        .collect();
    for (at, result) in todo.iter().zip(to.push(&updates, pack)?) {
        rows[*at].status = result.map_or(Status::Done, Status::Refused);
    }
    Ok(())
}

/// Our refs that follow those of the other side move with them.
fn follow(repo: &Repo, remote: &Remote, rows: &[Row]) -> Res<()> {
    for row in rows.iter().filter(|r| matches!(r.status, Status::Done | Status::Same)) {
        let Some(name) = remote.tracking(&row.to) else { continue };
        if row.new.is_zero() {
            if repo.ref_oid(&name).is_some() {
                repo.delete_ref(&name)?;
            }
        } else if repo.ref_oid(&name) != Some(row.new) {
            repo.set_ref(&name, &row.new, None, "update by push")?;
        }
    }
    Ok(())
}

fn report(repo: &Repo, url: &str, rows: &[Row], o: &Options) {
    let mut begun = false;
    let mut line = |flag: char, summary: &str, row: &Row, note: &str| {
        if !begun {
            begun = true;
            if o.porcelain { out!("To {url}\n") } else { say!("To {url}") }
        }
        let (to, note) =
            (Repo::shorten(&row.to), if note.is_empty() { String::new() } else { format!(" ({note})") });
        if o.porcelain {
            let from = if row.new.is_zero() { "" } else { row.source.as_deref().unwrap_or(&row.from) };
            out!("{flag}\t{from}:{}\t{summary}{note}\n", row.to);
        } else if row.new.is_zero() {
            say!(" {flag} {summary:<17} {to}{note}");
        } else {
            say!(" {flag} {summary:<17} {} -> {to}{note}", row.from);
        }
    };
    if o.verbose || o.porcelain {
        for row in rows.iter().filter(|r| r.status == Status::Same) {
            line('=', "[up to date]", row, "");
        }
    }
    for row in rows.iter().filter(|r| r.status == Status::Done && !o.quiet) {
        if row.new.is_zero() {
            line('-', "[deleted]", row, "");
        } else if row.old.is_zero() {
            let what = match row.to.as_str() {
                to if to.starts_with("refs/tags/") => "[new tag]",
                to if to.starts_with("refs/heads/") => "[new branch]",
                _ => "[new reference]",
            };
            line('*', what, row, "");
        } else if row.forced {
            let range = format!("{}...{}", repo.short(&row.old), repo.short(&row.new));
            line('+', &range, row, "forced update");
        } else {
            line(' ', &format!("{}..{}", repo.short(&row.old), repo.short(&row.new)), row, "");
        }
    }
    for row in rows {
        let rejected = "[rejected]";
        match &row.status {
            Status::NonForward => line('!', rejected, row, "non-fast-forward"),
            Status::FetchFirst => line('!', rejected, row, "fetch first"),
            Status::NeedsForce => line('!', rejected, row, "needs force"),
            Status::TagExists => line('!', rejected, row, "already exists"),
            Status::Stale => line('!', rejected, row, "stale info"),
            Status::Atomic => line('!', rejected, row, "atomic push failed"),
            Status::Refused(why) => line('!', "[remote rejected]", row, why),
            Status::Todo | Status::Same | Status::Done => {}
        }
    }
    if o.porcelain && rows.iter().all(|r| matches!(r.status, Status::Done | Status::Same)) {
        out!("Done\n");
    }
}

fn hints(repo: &Repo, rows: &[Row]) {
    let has = |status: &Status| rows.iter().any(|r| r.status == *status);
    let current = repo.head_ref();
    let text = if rows.iter().any(|r| r.status == Status::NonForward && Some(&r.to) == current.as_ref()) {
        "Updates were rejected because the tip of your current branch is behind\nits remote counterpart. If you want to integrate the remote changes,\nuse 'git pull' before pushing again.\nSee the 'Note about fast-forwards' in 'git push --help' for details."
    } else if has(&Status::NonForward) {
        "Updates were rejected because a pushed branch tip is behind its remote\ncounterpart. If you want to integrate the remote changes, use 'git pull'\nbefore pushing again.\nSee the 'Note about fast-forwards' in 'git push --help' for details."
    } else if has(&Status::TagExists) {
        "Updates were rejected because the tag already exists in the remote."
    } else if has(&Status::FetchFirst) {
        "Updates were rejected because the remote contains work that you do not\nhave locally. This is usually caused by another repository pushing to\nthe same ref. If you want to integrate the remote changes, use\n'git pull' before pushing again.\nSee the 'Note about fast-forwards' in 'git push --help' for details."
    } else if has(&Status::NeedsForce) {
        "You cannot update a remote ref that points at a non-commit object,\nor update a remote ref to make it point at a non-commit object,\nwithout using the '--force' option."
    } else {
        return;
    };
    if repo.config.flag("advice.pushupdaterejected", true) {
        for line in text.lines() {
            say!("hint: {line}");
        }
    }
}

pub(crate) fn push(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let (mut o, mut plain) = parse(words)?;
    let repo = Repo::open(setting)?;
    let name = if plain.is_empty() {
        let name = remotes::default_push(&repo);
        if !repo.config.subsections("remote").contains(&name) {
            fatal!(
                "No configured push destination.\nEither specify the URL from the command-line or configure a remote repository using\n\n    git remote add <name> <url>\n\nand then push using the remote name\n\n    git push <name>\n"
            );
        }
        name
    } else {
        plain.remove(0)
    };
    if name.is_empty() {
        fatal!("bad repository ''");
    }
    let remote = Remote::new(&repo, &name)?;
    o.mirror |= remote.mirror && plain.is_empty() && !o.all && !o.tags;
    let mut texts: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(word) = plain.get(at) {
        at += 1;
        if word == "tag" {
            let Some(tag) = plain.get(at) else { fatal!("tag shorthand without <tag>") };
            at += 1;
            texts.push(if o.delete { format!(":refs/tags/{tag}") } else { format!("refs/tags/{tag}") });
        } else if o.delete {
            if word.contains(':') {
                fatal!("--delete only accepts plain target ref names");
            }
            texts.push(format!(":{word}"));
        } else {
            texts.push(word.clone());
        }
    }
    let mut specs: Vec<Spec> = texts.iter().map(|t| Spec::parse(t)).collect::<Res<_>>()?;
    if o.all {
        specs.push(Spec::parse("refs/heads/*")?);
    }
    if o.mirror {
        specs.push(Spec::parse("+refs/*:refs/*")?);
    }
    if o.tags {
        specs.push(Spec::parse("refs/tags/*")?);
    }
    if specs.is_empty() {
        let (texts, upstream) = default_specs(&repo, &remote)?;
        o.upstream |= upstream;
        specs = texts.iter().map(|t| Spec::parse(t)).collect::<Res<_>>()?;
        if specs.is_empty() {
            specs = remote.push.clone();
        }
    }
    let mut good = true;
    for url in remote.push_urls(&repo) {
        if o.verbose {
            say!("Pushing to {url}");
        }
        match push_to(&repo, &remote, &url, &specs, &o) {
            Ok(done) => good &= done,
            Err(Stop::Exit(_)) => good = false,
            Err(stop) => return Err(stop),
        }
    }
    Ok(i32::from(!good))
}
