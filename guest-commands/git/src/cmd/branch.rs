//! `git branch` and `git tag`.

use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, fatal, out, put, say};
use crate::glob;
use crate::message::{self, Cleanup};
use crate::oid::{Kind, Oid, Tag};
use crate::repo::{Repo, Setting};
use crate::{config, revision, walk};

/// Which refs of a list are wanted.
#[derive(Default)]
struct Filter {
    contains: Vec<Oid>,
    no_contains: Vec<Oid>,
    merged: Vec<Oid>,
    no_merged: Vec<Oid>,
    points_at: Vec<Oid>,
    patterns: Vec<Vec<u8>>,
}

impl Filter {
    fn wants(&self, repo: &Repo, name: &str, oid: &Oid) -> Res<bool> {
        let short = Repo::shorten(name);
        if !self.patterns.is_empty()
            && !self.patterns.iter().any(|p| glob::matches(p, short.as_bytes(), true, false))
        {
            return Ok(false);
        }
        if !self.points_at.is_empty()
            && !self.points_at.iter().any(|o| o == oid || repo.odb.peel(oid).is_ok_and(|(p, _)| p == *o))
        {
            return Ok(false);
        }
        if self.contains.is_empty()
            && self.no_contains.is_empty()
            && self.merged.is_empty()
            && self.no_merged.is_empty()
        {
            return Ok(true);
        }
        let Some(commit) = repo.odb.peel_commit(oid)? else { return Ok(false) };
        let has = |list: &[Oid], up: bool| -> Res<bool> {
            for other in list {
                let yes = if up {
                    walk::is_ancestor(repo, &commit, other)?
                } else {
                    walk::is_ancestor(repo, other, &commit)?
                };
                if yes {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        Ok((self.contains.is_empty() || has(&self.contains, false)?)
            && !has(&self.no_contains, false)?
            && (self.merged.is_empty() || has(&self.merged, true)?)
            && !has(&self.no_merged, true)?)
    }
}

/// Sorts refs by keys such as `-committerdate`.
fn sort(repo: &Repo, refs: &mut [(String, Oid)], keys: &[String]) -> Res<()> {
    for key in keys {
        let (reverse, key) = key.strip_prefix('-').map_or((false, key.as_str()), |k| (true, k));
        let time = |oid: &Oid, committer: bool| -> i64 {
            match repo.odb.read(oid) {
                Ok((Kind::Tag, data)) => Tag::parse(&data).ok().and_then(|t| t.tagger).map_or(0, |p| p.time),
                Ok((Kind::Commit, _)) => repo
                    .odb
                    .commit(oid)
                    .map_or(0, |c| if committer { c.committer.time } else { c.author.time }),
                _ => 0,
            }
        };
        // Turned round twice, what is equal keeps its order.
        if reverse {
            refs.reverse();
        }
        match key {
            "refname" => refs.sort_by(|a, b| a.0.cmp(&b.0)),
            "committerdate" | "creatordate" | "taggerdate" => refs.sort_by_cached_key(|r| time(&r.1, true)),
            "authordate" => refs.sort_by_cached_key(|r| time(&r.1, false)),
            "version:refname" | "v:refname" => refs.sort_by(|a, b| version(&a.0, &b.0)),
            "objectname" => refs.sort_by_key(|r| r.1),
            _ => fatal!("unknown field name: {key}"),
        }
        if reverse {
            refs.reverse();
        }
    }
    Ok(())
}

/// Names with numbers in them in the order of the numbers.
fn version(a: &str, b: &str) -> std::cmp::Ordering {
    let parts = |s: &str| -> Vec<(u64, String)> {
        let mut out = Vec::new();
        let mut rest = s;
        while !rest.is_empty() {
            let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let digits = rest[text..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - text);
            out.push((rest[text..text + digits].parse().unwrap_or(0), rest[..text].to_owned()));
            rest = &rest[text + digits..];
        }
        out
    };
    let (a, b) = (parts(a), parts(b));
    for (x, y) in a.iter().zip(&b) {
        let order = x.1.cmp(&y.1).then(x.0.cmp(&y.0));
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

const USAGE: &str = "[-a | -r] [-v] [-d | -D | -m | -M | -c | -C] [-f] [--list] [--show-current] [--contains <commit>] [--merged <commit>] [<branch-name>] [<start-point>]";

pub(crate) fn branch(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "u", "branch", USAGE);
    let repo = Repo::open(setting)?;
    let (mut remote, mut all, mut verbose, mut list, mut force, mut quiet) =
        (false, false, 0, false, false, false);
    let mut action = ' ';
    let mut filter = Filter::default();
    let mut names: Vec<String> = Vec::new();
    let mut format = None;
    let mut track = None;
    let mut upstream = None;
    let mut keys = vec![repo.config.get("branch.sort").unwrap_or_else(|| "refname".to_owned())];
    let with = |args: &mut Args, o: &str| -> Res<Oid> {
        let value = if o.ends_with('=') {
            args.value(o)?
        } else {
            match args.next()? {
                Some(Word::Plain(word)) => bytes::text(&word),
                _ => "HEAD".to_owned(),
            }
        };
        match revision::find(&repo, &value)? {
            Some(oid) => Ok(repo.odb.peel_commit(&oid)?.unwrap_or(oid)),
            None => Err(Stop::Error(129, format!("malformed object name {value}"))),
        }
    };
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-a" | "--all" => all = true,
                "-r" | "--remotes" => remote = true,
                "-v" | "--verbose" => verbose += 1,
                "-l" | "--list" => list = true,
                "-f" | "--force" => force = true,
                "-q" | "--quiet" => quiet = true,
                "-d" | "--delete" => action = 'd',
                "-D" => (action, force) = ('d', true),
                "-m" | "--move" => action = 'm',
                "-M" => (action, force) = ('m', true),
                "-c" | "--copy" => action = 'c',
                "-C" => (action, force) = ('c', true),
                "--show-current" => action = 's',
                "-t" | "--track" => track = Some(true),
                "--track=" => {
                    args.value(&o)?;
                    track = Some(true);
                }
                "--no-track" => track = Some(false),
                "-u" | "--set-upstream-to" | "--set-upstream-to=" => {
                    action = 'u';
                    upstream = Some(args.value(&o)?);
                }
                "--unset-upstream" => action = 'U',
                "--contains" | "--contains=" => filter.contains.push(with(&mut args, &o)?),
                "--no-contains" | "--no-contains=" => filter.no_contains.push(with(&mut args, &o)?),
                "--merged" | "--merged=" => filter.merged.push(with(&mut args, &o)?),
                "--no-merged" | "--no-merged=" => filter.no_merged.push(with(&mut args, &o)?),
                "--points-at" | "--points-at=" => filter.points_at.push(with(&mut args, &o)?),
                "--sort" | "--sort=" => keys.push(args.value(&o)?),
                "--format" | "--format=" => format = Some(args.value(&o)?),
                "--no-color" | "--color=" | "--color" | "--no-column" | "--column" | "--no-abbrev"
                | "--abbrev" => {
                    if o.ends_with('=') {
                        args.value(&o)?;
                    }
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    let filtered = !(filter.contains.is_empty()
        && filter.no_contains.is_empty()
        && filter.merged.is_empty()
        && filter.no_merged.is_empty()
        && filter.points_at.is_empty());
    match action {
        's' => {
            if let Some(branch) = repo.head_branch() {
                out!("{branch}\n");
            }
            return Ok(0);
        }
        'd' => return delete(&repo, &names, force, quiet, remote),
        'm' | 'c' => return rename(&repo, &names, force, action == 'c'),
        'u' | 'U' => {
            let Some(branch) = names.first().cloned().or_else(|| repo.head_branch()) else {
                fatal!("could not set upstream of HEAD when it does not point to any branch");
            };
            if let Some(name) = upstream {
                return set_upstream(&repo, &branch, &name, quiet);
            }
            let file = repo.common_dir.join("config");
            if revision::upstream(&repo, &branch).is_none() {
                fatal!("Branch '{branch}' has no upstream information");
            }
            for key in ["remote", "merge"] {
                config::edit(&file, &format!("branch.{branch}.{key}"), &config::Edit::UnsetAll, &|_| true)?;
            }
            return Ok(0);
        }
        _ => {}
    }
    if list || names.is_empty() || filtered || remote || all {
        filter.patterns = names.iter().map(|n| n.clone().into_bytes()).collect();
        return print_list(&repo, &filter, (remote, all), verbose, &keys, format.as_deref());
    }
    if names.len() > 2 {
        return Err(Stop::Said(129, args.usage_text()));
    }
    let start = names.get(1).map_or("HEAD", String::as_str);
    create(&repo, &names[0], start, force, track)?;
    Ok(0)
}

/// Makes a branch at a commit.
pub(crate) fn create(repo: &Repo, name: &str, start: &str, force: bool, track: Option<bool>) -> Res<Oid> {
    if !crate::refs::valid_branch(name) {
        say!("fatal: '{name}' is not a valid branch name");
        say!("hint: See `man git check-ref-format`");
        say!("hint: Disable this message with \"git config advice.refSyntax false\"");
        return Err(Stop::Exit(128));
    }
    let full = format!("refs/heads/{name}");
    let exists = repo.ref_oid(&full).is_some();
    if exists && !force {
        fatal!("a branch named '{name}' already exists");
    }
    if exists && repo.head_ref().as_deref() == Some(&full) {
        fatal!("cannot force update the branch '{name}' used by worktree at '{}'", bytes::text(&repo.root()));
    }
    let start = if start == "-" { "@{-1}" } else { start };
    let oid = match revision::find(repo, start)? {
        Some(oid) => repo.odb.peel_commit(&oid)?,
        None => None,
    };
    let Some(oid) = oid else {
        if start == "HEAD" {
            fatal!("not a valid object name: '{}'", repo.head_branch().unwrap_or_default());
        }
        fatal!("not a valid object name: '{start}'");
    };
    let message = format!("branch: {} {start}", if exists { "Reset to" } else { "Created from" });
    repo.set_ref(&full, &oid, None, &message)?;
    let source = revision::dwim(repo, start).map(|(n, _)| n);
    let auto = source.as_ref().is_some_and(|s| s.starts_with("refs/remotes/"))
        && repo.config.get("branch.autosetupmerge").as_deref() != Some("false");
    if track.unwrap_or(auto) && source.is_some() {
        set_upstream(repo, name, start, false)?;
    }
    Ok(oid)
}

/// Sets what a branch is to be merged with.
pub(crate) fn set_upstream(repo: &Repo, branch: &str, name: &str, quiet: bool) -> Res<i32> {
    if repo.ref_oid(&format!("refs/heads/{branch}")).is_none() {
        fatal!("branch '{branch}' does not exist");
    }
    let Some((full, _)) = revision::dwim(repo, name) else {
        say!("fatal: the requested upstream branch '{name}' does not exist");
        return Err(Stop::Exit(128));
    };
    let (remote, merge) = if let Some(rest) = full.strip_prefix("refs/remotes/") {
        let remotes = repo.config.subsections("remote");
        let remote = remotes
            .iter()
            .find(|r| rest.starts_with(&format!("{r}/")))
            .cloned()
            .or_else(|| rest.split('/').next().map(str::to_owned))
            .unwrap_or_default();
        let merge = format!("refs/heads/{}", &rest[remote.len() + 1..]);
        (remote, merge)
    } else {
        (".".to_owned(), full.clone())
    };
    write_upstream(repo, branch, &remote, &merge)?;
    if !quiet {
        out!("branch '{branch}' set up to track '{}'.\n", Repo::shorten(&full));
    }
    Ok(0)
}

fn write_upstream(repo: &Repo, branch: &str, remote: &str, merge: &str) -> Res<()> {
    let file = repo.common_dir.join("config");
    for (key, value) in [("remote", remote), ("merge", merge)] {
        let value = config::Edit::Set(value.as_bytes());
        config::edit(&file, &format!("branch.{branch}.{key}"), &value, &|_| true)?;
    }
    Ok(())
}

/// Sets what a branch is to be merged with: a branch of a remote, which need not be known here.
pub(crate) fn track(repo: &Repo, branch: &str, remote: &str, merge: &str, quiet: bool) -> Res<()> {
    write_upstream(repo, branch, remote, merge)?;
    if quiet {
        return Ok(());
    }
    match crate::remotes::Remote::new(repo, remote)?.tracking(merge) {
        Some(name) => out!("branch '{branch}' set up to track '{}'.\n", Repo::shorten(&name)),
        None => out!("branch '{branch}' set up to track '{}' by merging.\n", Repo::shorten(merge)),
    }
    Ok(())
}

fn delete(repo: &Repo, names: &[String], force: bool, quiet: bool, remote: bool) -> Res<i32> {
    if names.is_empty() {
        fatal!("branch name required");
    }
    let mut status = 0;
    for name in names {
        let name =
            match name.strip_prefix("@{-").and_then(|r| r.strip_suffix('}')).and_then(|n| n.parse().ok()) {
                Some(n) => revision::previous_branch(repo, n).unwrap_or_default(),
                None => name.clone(),
            };
        let full = format!("refs/{}/{name}", if remote { "remotes" } else { "heads" });
        let Some(oid) = repo.ref_oid(&full) else {
            say!("error: {}branch '{name}' not found", if remote { "remote-tracking " } else { "" });
            status = 1;
            continue;
        };
        if repo.head_ref().as_deref() == Some(&full) {
            say!("error: cannot delete branch '{name}' used by worktree at '{}'", bytes::text(&repo.root()));
            status = 1;
            continue;
        }
        if !force && !remote {
            let up = revision::upstream(repo, &name).and_then(|u| repo.ref_oid(&u));
            let into = up.or_else(|| repo.head());
            let merged = match into {
                Some(into) => walk::is_ancestor(repo, &oid, &into)?,
                None => false,
            };
            if !merged {
                say!("error: the branch '{name}' is not fully merged");
                say!("hint: If you are sure you want to delete it, run 'git branch -D {name}'");
                say!("hint: Disable this message with \"git config advice.forceDeleteBranch false\"");
                status = 1;
                continue;
            }
        }
        repo.delete_ref(&full)?;
        config::rename_section(&repo.common_dir.join("config"), &format!("branch.{name}"), None)?;
        if !quiet {
            out!(
                "Deleted {}branch {name} (was {}).\n",
                if remote { "remote-tracking " } else { "" },
                repo.short(&oid)
            );
        }
    }
    Ok(status)
}

fn rename(repo: &Repo, names: &[String], force: bool, copy: bool) -> Res<i32> {
    let (from, to) = match names {
        [to] => match repo.head_branch() {
            Some(from) => (from, to.clone()),
            None => fatal!("cannot rename the current branch while not on any"),
        },
        [from, to] => (from.clone(), to.clone()),
        _ => fatal!("branch name required"),
    };
    let (old, new) = (format!("refs/heads/{from}"), format!("refs/heads/{to}"));
    if !crate::refs::valid_branch(&to) {
        fatal!("'{to}' is not a valid branch name");
    }
    let unborn = repo.head_ref().as_deref() == Some(&old) && repo.ref_oid(&old).is_none();
    if unborn && !copy {
        repo.set_symbolic("HEAD", &new, None)?;
        return Ok(0);
    }
    let Some(oid) = repo.ref_oid(&old) else { fatal!("no branch named '{from}'") };
    if old == new {
        return Ok(0);
    }
    if repo.ref_oid(&new).is_some() {
        if !force {
            fatal!("a branch named '{to}' already exists");
        }
        repo.delete_ref(&new)?;
    }
    if copy {
        repo.set_ref(&new, &oid, None, &format!("Branch: copied {old} to {new}"))?;
        return Ok(0);
    }
    repo.rename_ref(&old, &new, &format!("Branch: renamed {old} to {new}"))?;
    config::rename_section(
        &repo.common_dir.join("config"),
        &format!("branch.{from}"),
        Some(&format!("branch.{to}")),
    )?;
    Ok(0)
}

fn print_list(
    repo: &Repo,
    filter: &Filter,
    kinds: (bool, bool),
    verbose: u32,
    keys: &[String],
    format: Option<&str>,
) -> Res<i32> {
    let (remote, all) = kinds;
    let mut rows: Vec<(String, Oid, String)> = Vec::new();
    let head = repo.head_ref();
    let color = crate::diffout::color_wanted(
        repo.config.get("color.branch").or_else(|| repo.config.get("color.ui")).as_deref(),
    );
    if !remote
        && head.is_none()
        && let Some(oid) = repo.head()
    {
        let name = super::detached_name(repo, &oid)
            .map_or_else(|| "(no branch)".to_owned(), |name| format!("(HEAD detached {name})"));
        if filter.patterns.is_empty() && filter.wants(repo, "HEAD", &oid)? {
            rows.push(("HEAD".to_owned(), oid, name));
        }
    }
    for (prefix, on) in [("refs/heads/", !remote || all), ("refs/remotes/", remote || all)] {
        if !on {
            continue;
        }
        let mut refs = repo.refs(prefix);
        sort(repo, &mut refs, keys)?;
        for (name, oid) in refs {
            if filter.wants(repo, &name, &oid)? {
                let short = &name[prefix.len()..];
                let shown = if prefix == "refs/remotes/" && all {
                    format!("remotes/{short}")
                } else {
                    short.to_owned()
                };
                rows.push((name, oid, shown));
            }
        }
    }
    if let Some(format) = format {
        for (name, oid, _) in &rows {
            out!("{}\n", super::refs::expand(repo, format, name, oid)?);
        }
        return Ok(0);
    }
    let width = rows.iter().map(|r| r.2.chars().count()).max().unwrap_or(0);
    for (name, oid, shown) in &rows {
        let here = head.as_ref() == Some(name) || name == "HEAD";
        let paint = match (color, here, name.starts_with("refs/remotes/")) {
            (true, true, _) => "\x1b[32m",
            (true, _, true) => "\x1b[31m",
            _ => "",
        };
        let reset = if paint.is_empty() { "" } else { "\x1b[m" };
        let mark = if here { '*' } else { ' ' };
        if let Some(crate::refs::Value::Symbolic(target)) = repo.ref_value(name).filter(|_| name != "HEAD") {
            out!(
                "{mark} {paint}{shown}{reset} -> {}\n",
                target.strip_prefix("refs/remotes/").unwrap_or(&target)
            );
            continue;
        }
        if verbose == 0 {
            out!("{mark} {paint}{shown}{reset}\n");
            continue;
        }
        let commit = repo.odb.commit(oid)?;
        let mut line = format!("{mark} {paint}{shown:<width$}{reset} {} ", repo.short(oid));
        if let Some(branch) = name.strip_prefix("refs/heads/")
            && let Some((up, apart)) = super::status::tracking(repo, branch)?
        {
            let counts = match apart {
                None => "gone".to_owned(),
                Some((0, 0)) => String::new(),
                Some((a, 0)) => format!("ahead {a}"),
                Some((0, b)) => format!("behind {b}"),
                Some((a, b)) => format!("ahead {a}, behind {b}"),
            };
            match (verbose > 1, counts.is_empty()) {
                (true, true) => line += &format!("[{up}] "),
                (true, false) => line += &format!("[{up}: {counts}] "),
                (false, false) => line += &format!("[{counts}] "),
                _ => {}
            }
        }
        put(line.as_bytes());
        put(&commit.subject());
        put(b"\n");
    }
    Ok(0)
}

pub(crate) fn tag(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "mF",
        "tag",
        "[-a] [-f] [-d] [-l] [-n<num>] [-m <msg> | -F <file>] [<tagname>] [<head>]",
    );
    let repo = Repo::open(setting)?;
    let (mut annotate, mut force, mut action, mut lines) = (false, false, ' ', None::<usize>);
    let mut messages: Vec<Vec<u8>> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut filter = Filter::default();
    let mut format = None;
    let mut keys = vec![repo.config.get("tag.sort").unwrap_or_else(|| "refname".to_owned())];
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-a" | "--annotate" => annotate = true,
                "-f" | "--force" => force = true,
                "-d" | "--delete" => action = 'd',
                "-l" | "--list" => action = 'l',
                "-n" => {
                    lines = Some(args.own_value(&o).and_then(|v| v.parse().ok()).unwrap_or(1));
                    action = if action == ' ' { 'l' } else { action };
                }
                "-m" | "--message" | "--message=" => messages.push(args.value_bytes(&o)?),
                "-F" | "--file" | "--file=" => {
                    let file = args.value(&o)?;
                    messages.push(if file == "-" {
                        agentos_guest::fd::read_to_end(0)?
                    } else {
                        std::fs::read(repo.cwd.join(&file)).map_err(|e| {
                            Stop::Fatal(format!(
                                "could not open or read '{file}': {}",
                                agentos_guest::strerror(&e)
                            ))
                        })?
                    });
                }
                "--contains" | "--merged" | "--no-merged" | "--no-contains" | "--points-at"
                | "--contains=" | "--merged=" | "--no-merged=" | "--no-contains=" | "--points-at=" => {
                    action = 'l';
                    let value = match o.ends_with('=') {
                        true => args.value(&o)?,
                        false => match args.next()? {
                            Some(Word::Plain(word)) => bytes::text(&word),
                            _ => "HEAD".to_owned(),
                        },
                    };
                    let list = match o.trim_end_matches('=') {
                        "--contains" => &mut filter.contains,
                        "--no-contains" => &mut filter.no_contains,
                        "--merged" => &mut filter.merged,
                        "--no-merged" => &mut filter.no_merged,
                        _ => &mut filter.points_at,
                    };
                    list.push(revision::commit(&repo, &value)?);
                }
                "--sort" | "--sort=" => keys.push(args.value(&o)?),
                "--format" | "--format=" => format = Some(args.value(&o)?),
                "--no-column" | "--column" | "--no-sign" => {}
                "-s" | "--sign" | "-v" | "--verify" | "-u" => {
                    fatal!("option {o} is not supported: signatures need another program")
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    if action == 'd' {
        let mut status = 0;
        for name in &names {
            let full = format!("refs/tags/{name}");
            match repo.ref_oid(&full) {
                Some(oid) => {
                    repo.delete_ref(&full)?;
                    out!("Deleted tag '{name}' (was {})\n", repo.short(&oid));
                }
                None => {
                    say!("error: tag '{name}' not found.");
                    status = 1;
                }
            }
        }
        return Ok(status);
    }
    if action == 'l' || names.is_empty() {
        filter.patterns = names.iter().map(|n| n.clone().into_bytes()).collect();
        let mut refs = repo.refs("refs/tags/");
        sort(&repo, &mut refs, &keys)?;
        for (name, oid) in refs {
            if !filter.wants(&repo, &name, &oid)? {
                continue;
            }
            if let Some(format) = &format {
                out!("{}\n", super::refs::expand(&repo, format, &name, &oid)?);
                continue;
            }
            let short = Repo::shorten(&name);
            let Some(n) = lines else {
                out!("{short}\n");
                continue;
            };
            let text = match revision::tag(&repo, &oid)? {
                Some(tag) => tag.message,
                None => repo.odb.commit(&oid).map(|c| c.message.clone()).unwrap_or_default(),
            };
            let text = bytes::text(&text);
            let shown: Vec<&str> = text.trim_end().lines().take(n).collect();
            out!("{short:<15} {}\n", shown.join("\n    "));
        }
        return Ok(0);
    }
    if names.len() > 2 {
        fatal!("too many arguments");
    }
    let name = &names[0];
    let full = format!("refs/tags/{name}");
    if !crate::refs::valid(&full) || name.starts_with('-') {
        fatal!("'{name}' is not a valid tag name.");
    }
    let target = names.get(1).map_or("HEAD", String::as_str);
    let Some(object) = revision::find(&repo, target)? else {
        fatal!("Failed to resolve '{target}' as a valid ref.")
    };
    let old = repo.ref_oid(&full);
    if old.is_some() && !force {
        fatal!("tag '{name}' already exists");
    }
    let mut oid = object;
    if annotate || !messages.is_empty() {
        let mut text = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            if at > 0 {
                text.push(b'\n');
            }
            text.extend_from_slice(message);
            text.push(b'\n');
        }
        if messages.is_empty() {
            let file = repo.file("TAG_EDITMSG");
            std::fs::write(
                &file,
                format!(
                    "\n#\n# Write a message for tag:\n#   {name}\n# Lines starting with '#' will be ignored.\n"
                ),
            )?;
            message::edit(&repo, &file)?;
            text = message::clean(&std::fs::read(&file)?, Cleanup::Strip);
            let _ = std::fs::remove_file(&file);
            if text.is_empty() {
                fatal!("no tag message?");
            }
        }
        let text = message::clean(&text, Cleanup::Strip);
        let kind = repo.odb.kind(&object)?;
        let mut data = format!("object {object}\ntype {}\ntag {name}\ntagger ", kind.name()).into_bytes();
        data.extend(repo.committer()?.line());
        data.extend(b"\n\n");
        data.extend(text);
        oid = repo.odb.write(Kind::Tag, &data)?;
    }
    repo.set_ref(&full, &oid, None, "")?;
    if let Some(old) = old
        && old != oid
    {
        out!("Updated tag '{name}' (was {})\n", repo.short(&old));
    }
    Ok(0)
}
