//! `git fetch` and `git ls-remote`; what `git pull` and `git remote update` fetch with.

use crate::address;
use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, fatal, out, say};
use crate::oid::{Kind, Oid};
use crate::refspec::Spec;
use crate::remotes::{self, Remote};
use crate::repo::{Repo, Setting};
use crate::transport::{self, Advertised};
use crate::walk;
use std::fs::OpenOptions;
use std::io::Write as _;

/// What a fetch is asked to do.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) force: bool,
    pub(crate) prune: Option<bool>,
    pub(crate) prune_tags: bool,
    /// All tags, no tags, or those of what is fetched.
    pub(crate) tags: Option<bool>,
    pub(crate) depth: Option<usize>,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) dry: bool,
    pub(crate) append: bool,
    pub(crate) no_head_file: bool,
    pub(crate) update_head: bool,
    /// What reflogs say.
    pub(crate) action: String,
}

impl Options {
    /// Takes an option of fetch; false if it is none.
    pub(crate) fn take(&mut self, o: &str, args: &mut Args) -> Res<bool> {
        match o {
            "-f" | "--force" => self.force = true,
            "-p" | "--prune" => self.prune = Some(true),
            "--no-prune" => self.prune = Some(false),
            "-P" | "--prune-tags" => self.prune_tags = true,
            "-t" | "--tags" => self.tags = Some(true),
            "--no-tags" => self.tags = Some(false),
            "--depth" | "--depth=" => {
                let text = args.value(o)?;
                match text.parse() {
                    Ok(depth) if depth > 0 => self.depth = Some(depth),
                    _ => fatal!("depth {text} is not a positive number"),
                }
            }
            "--unshallow" => self.depth = Some(usize::MAX),
            "-q" | "--quiet" => self.quiet = true,
            "-v" | "--verbose" => self.verbose = true,
            "--dry-run" => self.dry = true,
            "-a" | "--append" => self.append = true,
            "-k"
            | "--keep"
            | "--progress"
            | "--no-progress"
            | "--no-auto-gc"
            | "--no-auto-maintenance"
            | "--auto-gc"
            | "--auto-maintenance"
            | "--no-recurse-submodules"
            | "--show-forced-updates"
            | "--no-show-forced-updates"
            | "--no-write-commit-graph"
            | "-4"
            | "-6"
            | "--ipv4"
            | "--ipv6" => {}
            "-j" | "--jobs" | "--jobs=" | "--upload-pack" | "--upload-pack=" => {
                args.value(o)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// A ref of the other side and what becomes of it.
struct Row {
    name: String,
    oid: Oid,
    to: Option<String>,
    force: bool,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Merge,
    NotForMerge,
    /// Only a tracking ref is updated.
    Ignore,
}

/// The ref of the other side that a name means.
fn remote_ref<'a>(refs: &'a [Advertised], name: &str) -> Option<&'a Advertised> {
    let name = if name.is_empty() || name == "@" { "HEAD" } else { name };
    ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"]
        .iter()
        .find_map(|form| refs.iter().find(|r| r.name == format!("{form}{name}")))
}

/// The ref of ours that the right side of a refspec means.
fn local_name(to: &str, from: &str) -> String {
    if to.starts_with("refs/") {
        to.to_owned()
    } else if ["heads/", "tags/", "remotes/"].iter().any(|p| to.starts_with(p)) {
        format!("refs/{to}")
    } else if from.starts_with("refs/tags/") {
        format!("refs/tags/{to}")
    } else {
        format!("refs/heads/{to}")
    }
}

fn expand(refs: &[Advertised], spec: &Spec, all: &[Spec], role: Role, rows: &mut Vec<Row>) {
    let not = |name: &str| all.iter().any(|s| s.negative && s.takes(name));
    for r in refs.iter().filter(|r| r.name.starts_with("refs/") && spec.takes(&r.name) && !not(&r.name)) {
        rows.push(Row { name: r.name.clone(), oid: r.oid, to: spec.map(&r.name), force: spec.force, role });
    }
}

fn rows(repo: &Repo, refs: &[Advertised], remote: &Remote, words: &[Spec], o: &Options) -> Res<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    if !words.is_empty() {
        for spec in words.iter().filter(|s| !s.negative) {
            if spec.is_pattern() {
                expand(refs, spec, words, Role::Merge, &mut rows);
                continue;
            }
            let (name, oid) = match (remote_ref(refs, &spec.from), Oid::parse(spec.from.as_bytes())) {
                (Some(r), _) => (r.name.clone(), r.oid),
                (None, Some(oid)) => (spec.from.clone(), oid),
                (None, None)
                    if !crate::refs::valid(&format!("refs/heads/{}", spec.from)) && !spec.from.is_empty() =>
                {
                    fatal!("invalid refspec '{}'", spec.from)
                }
                (None, None) => {
                    let name = if spec.from.is_empty() { "HEAD" } else { &spec.from };
                    fatal!("couldn't find remote ref {name}")
                }
            };
            let to = spec.to.as_deref().filter(|t| !t.is_empty()).map(|t| local_name(t, &name));
            rows.push(Row { name, oid, to, force: spec.force, role: Role::Merge });
        }
        let more: Vec<Row> = rows
            .iter()
            .filter_map(|r| {
                let spec = remote.fetch.iter().find(|s| !s.negative && s.takes(&r.name))?;
                let to = remote.tracking(&r.name)?;
                let new = r.to.as_ref() != Some(&to);
                new.then(|| Row {
                    name: r.name.clone(),
                    oid: r.oid,
                    to: Some(to),
                    force: spec.force,
                    role: Role::Ignore,
                })
            })
            .collect();
        if o.tags == Some(true) {
            let spec = Spec::parse("refs/tags/*:refs/tags/*")?;
            expand(refs, &spec, &[], Role::NotForMerge, &mut rows);
        }
        rows.extend(more);
    } else {
        let branch = repo.head_branch().unwrap_or_default();
        let own = repo.config.get(&format!("branch.{branch}.remote")).as_deref() == Some(&remote.name);
        let merges = if own { repo.config.all(&format!("branch.{branch}.merge")) } else { Vec::new() };
        for (at, spec) in remote.fetch.iter().filter(|s| !s.negative).enumerate() {
            if spec.is_pattern() {
                expand(refs, spec, &remote.fetch, Role::NotForMerge, &mut rows);
            } else if let Some(r) = remote_ref(refs, &spec.from) {
                let role = if at == 0 && merges.is_empty() { Role::Merge } else { Role::NotForMerge };
                let to = spec.to.as_deref().filter(|t| !t.is_empty()).map(|t| local_name(t, &r.name));
                rows.push(Row { name: r.name.clone(), oid: r.oid, to, force: spec.force, role });
            } else {
                fatal!("couldn't find remote ref {}", spec.from);
            }
        }
        for merge in &merges {
            match rows.iter_mut().find(|r| r.name == *merge) {
                Some(row) => row.role = Role::Merge,
                None => {
                    if let Some(r) = remote_ref(refs, merge) {
                        let row = Row {
                            name: r.name.clone(),
                            oid: r.oid,
                            to: None,
                            force: false,
                            role: Role::Merge,
                        };
                        rows.push(row);
                    }
                }
            }
        }
        if remote.fetch.is_empty() && merges.is_empty() {
            let Some(r) = remote_ref(refs, "HEAD") else { fatal!("couldn't find remote ref HEAD") };
            rows.push(Row { name: r.name.clone(), oid: r.oid, to: None, force: false, role: Role::Merge });
        }
        if o.tags == Some(true) {
            let spec = Spec::parse("refs/tags/*:refs/tags/*")?;
            expand(refs, &spec, &[], Role::NotForMerge, &mut rows);
        }
    }
    let mut seen = std::collections::HashSet::new();
    rows.retain(|r| r.to.as_ref().is_none_or(|t| seen.insert(t.clone())));
    rows.iter_mut().for_each(|r| r.force |= o.force);
    Ok(rows)
}

/// `branch`, `tag`, …: what a ref of the other side is, and its name as it is said with that.
fn kind_of(name: &str) -> (&'static str, &str) {
    for (prefix, kind) in
        [("refs/heads/", "branch"), ("refs/tags/", "tag"), ("refs/remotes/", "remote-tracking branch")]
    {
        if let Some(short) = name.strip_prefix(prefix) {
            return (kind, short);
        }
    }
    ("", name)
}

/// The lines that a fetch shows, with the address above the first.
struct Report<'a> {
    url: &'a str,
    width: usize,
    begun: bool,
    quiet: bool,
}

impl Report<'_> {
    fn line(&mut self, flag: char, summary: &str, from: &str, to: &str, note: &str) {
        if self.quiet {
            return;
        }
        if !self.begun {
            self.begun = true;
            say!("From {}", self.url);
        }
        let note = if note.is_empty() { String::new() } else { format!("  ({note})") };
        say!(" {flag} {summary:<17} {from:<width$} -> {to}{note}", width = self.width);
    }
}

/// What became of a ref.
enum Done {
    Yes,
    Refused,
    /// It could not be written.
    Failed,
}

impl From<bool> for Done {
    fn from(done: bool) -> Done {
        if done { Done::Yes } else { Done::Failed }
    }
}

/// Brings one ref of ours up to date.
fn update(repo: &Repo, row: &Row, to: &str, o: &Options, report: &mut Report<'_>) -> Res<Done> {
    let (from, short) = (Repo::shorten(&row.name), Repo::shorten(to));
    let old = repo.ref_oid(to);
    if old == Some(row.oid) {
        if o.verbose {
            report.line('=', "[up to date]", from, short, "");
        }
        return Ok(Done::Yes);
    }
    let is_commit = |oid: &Oid| matches!(repo.odb.kind(oid), Ok(Kind::Commit));
    if let Some(old) = old
        && !o.update_head
        && repo.head_ref().as_deref() == Some(to)
        && repo.work_tree.is_some()
        && !old.is_zero()
    {
        report.line('!', "[rejected]", from, short, "can't fetch into checked-out branch");
        return Ok(Done::Refused);
    }
    let set = |what: &str| -> Res<bool> {
        if o.dry {
            return Ok(true);
        }
        match repo.set_ref(to, &row.oid, old.or(Some(Oid::ZERO)), &format!("{}: {what}", o.action)) {
            Ok(()) => Ok(true),
            Err(stop) => {
                say!("error: {}", stop.message());
                Ok(false)
            }
        }
    };
    let failed = "unable to update local ref";
    let Some(old) = old else {
        let (what, log) = match kind_of(&row.name).0 {
            "tag" => ("[new tag]", "storing tag"),
            "branch" => ("[new branch]", "storing head"),
            _ => ("[new ref]", "storing ref"),
        };
        let done = set(log)?;
        report.line(if done { '*' } else { '!' }, what, from, short, if done { "" } else { failed });
        return Ok(done.into());
    };
    if to.starts_with("refs/tags/") {
        if !row.force {
            report.line('!', "[rejected]", from, short, "would clobber existing tag");
            return Ok(Done::Refused);
        }
        let done = set("updating tag")?;
        report.line(
            if done { 't' } else { '!' },
            "[tag update]",
            from,
            short,
            if done { "" } else { failed },
        );
        return Ok(done.into());
    }
    let both = is_commit(&old) && is_commit(&row.oid);
    if both && walk::is_ancestor(repo, &old, &row.oid)? {
        let done = set("fast-forward")?;
        let range = format!("{}..{}", repo.short(&old), repo.short(&row.oid));
        report.line(if done { ' ' } else { '!' }, &range, from, short, if done { "" } else { failed });
        return Ok(done.into());
    }
    if row.force {
        let done = set("forced-update")?;
        let range = format!("{}...{}", repo.short(&old), repo.short(&row.oid));
        let note = if done { "forced update" } else { failed };
        report.line(if done { '+' } else { '!' }, &range, from, short, note);
        return Ok(done.into());
    }
    report.line('!', "[rejected]", from, short, "non-fast-forward");
    Ok(Done::Refused)
}

/// Takes away refs that follow what the other side has not any more.
fn prune(repo: &Repo, refs: &[Advertised], specs: &[Spec], o: &Options, report: &mut Report<'_>) -> Res<()> {
    for (name, _) in repo.refs("refs/") {
        let sources: Vec<String> = specs.iter().filter_map(|s| s.back(&name)).collect();
        if sources.is_empty()
            || sources.iter().any(|s| refs.iter().any(|r| r.name == *s))
            || transport::symbolic(repo, &name).is_some()
        {
            continue;
        }
        report.line('-', "[deleted]", "(none)", Repo::shorten(&name), "");
        if !o.dry {
            repo.delete_ref(&name)?;
        }
    }
    Ok(())
}

/// Fetches from one remote.
pub(crate) fn fetch_from(repo: &mut Repo, remote: &Remote, words: &[String], o: &Options) -> Res<i32> {
    let url = remote.url(repo);
    let mut from = transport::open(&url)?;
    let refs = from.refs().to_vec();
    let mut specs = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        if word == "tag" {
            let Some(tag) = words.get(at) else { fatal!("you need to specify a tag name") };
            at += 1;
            specs.push(Spec::parse(&format!("refs/tags/{tag}:refs/tags/{tag}"))?);
        } else {
            specs.push(Spec::parse(word)?);
        }
    }
    let file = repo.file("FETCH_HEAD");
    if !o.append && !o.dry && !o.no_head_file {
        std::fs::write(&file, "")?;
    }
    let mut rows = rows(repo, &refs, remote, &specs, o)?;
    if let Some(row) = rows.iter().find(|r| {
        !o.update_head
            && repo.work_tree.is_some()
            && repo.head().is_some()
            && r.to == repo.head_ref()
            && r.to.is_some()
    }) {
        fatal!(
            "refusing to fetch into branch '{}' checked out at '{}'",
            row.to.as_deref().unwrap_or_default(),
            bytes::text(&repo.root())
        );
    }
    let shown = address::shown(&url).to_owned();
    let width = |repo: &Repo, rows: &[Row]| {
        rows.iter()
            .filter(|r| r.name != "HEAD" && r.to.is_some())
            .filter(|r| o.verbose || r.to.as_ref().is_none_or(|t| repo.ref_oid(t) != Some(r.oid)))
            .map(|r| Repo::shorten(&r.name).chars().count())
            .filter(|w| *w + 25 < 80)
            .max()
            .unwrap_or(0)
            .max(10)
    };
    let mut report = Report { url: &shown, width: 10, begun: false, quiet: o.quiet };
    let key = |name: &str| format!("remote.{}.{name}", remote.name);
    let pruning = o.prune.unwrap_or_else(|| {
        let general = repo.config.flag("fetch.prune", false);
        repo.config.flag(&key("prune"), general)
    });
    if pruning {
        let mut rules = if specs.is_empty() { remote.fetch.clone() } else { specs.clone() };
        let general = repo.config.flag("fetch.prunetags", false);
        if o.prune_tags || (repo.config.flag(&key("prunetags"), general) && specs.is_empty()) {
            rules.push(Spec::parse("refs/tags/*:refs/tags/*")?);
        }
        prune(repo, &refs, &rules, o, &mut report)?;
    }
    let wants: Vec<Oid> = rows.iter().map(|r| r.oid).collect();
    transport::bring(repo, &mut *from, &wants, o.depth)?;
    // Tags of what is here now come along, if anything is followed.
    let option = repo.config.get(&key("tagopt"));
    let follow = o.tags.is_none()
        && option.as_deref() != Some("--no-tags")
        && rows.iter().any(|r| r.to.is_some() && r.role != Role::Ignore);
    if follow || (o.tags.is_none() && option.as_deref() == Some("--tags")) {
        let every = option.as_deref() == Some("--tags");
        let tags: Vec<&Advertised> = refs
            .iter()
            .filter(|r| r.name.starts_with("refs/tags/") && !rows.iter().any(|w| w.name == r.name))
            .filter(|r| repo.ref_oid(&r.name).is_none())
            .filter(|r| every || repo.odb.exists(&r.peeled.unwrap_or(r.oid)))
            .collect();
        let wants: Vec<Oid> = tags.iter().map(|t| t.oid).collect();
        transport::bring(repo, &mut *from, &wants, None)?;
        rows.extend(tags.into_iter().map(|t| Row {
            name: t.name.clone(),
            oid: t.oid,
            to: Some(t.name.clone()),
            force: false,
            role: Role::NotForMerge,
        }));
    }
    report.width = width(repo, &rows);
    let mut lines = String::new();
    let (mut status, mut conflict) = (0, false);
    for role in [Role::Merge, Role::NotForMerge, Role::Ignore] {
        for row in rows.iter().filter(|r| r.role == role) {
            let (kind, short) = kind_of(&row.name);
            if role != Role::Ignore {
                let mark = if role == Role::Merge && matches!(repo.odb.peel(&row.oid), Ok((_, Kind::Commit)))
                {
                    ""
                } else {
                    "not-for-merge"
                };
                let what = match (kind, row.name.as_str()) {
                    (_, "HEAD") => String::new(),
                    ("", name) => format!("'{name}' of "),
                    (kind, _) => format!("{kind} '{short}' of "),
                };
                lines += &format!("{}\t{mark}\t{what}{shown}\n", row.oid);
            }
            match &row.to {
                Some(to) => match update(repo, row, to, o, &mut report)? {
                    Done::Yes => {}
                    Done::Refused => status = 1,
                    Done::Failed => (status, conflict) = (1, true),
                },
                None if role != Role::Ignore => {
                    let kind = if kind.is_empty() { "branch" } else { kind };
                    report.line('*', kind, short, "FETCH_HEAD", "");
                }
                None => {}
            }
        }
    }
    if !o.dry && !o.no_head_file {
        OpenOptions::new().append(true).create(true).open(&file)?.write_all(lines.as_bytes())?;
    }
    if conflict {
        say!(
            "error: some local refs could not be updated; try running\n 'git remote prune {}' to remove any old, conflicting branches",
            remote.name
        );
    }
    Ok(status)
}

const USAGE: &str = "[<options>] [<repository> [<refspec>...]]\n   or: git fetch [<options>] <group>\n   or: git fetch --multiple [<options>] [(<repository> | <group>)...]\n   or: git fetch --all [<options>]";

pub(crate) fn fetch(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "j", "fetch", USAGE);
    let mut o = Options::default();
    let (mut all, mut multiple, mut upstream) = (false, false, false);
    let mut plain: Vec<String> = Vec::new();
    let mut extra: Vec<String> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(name) => match name.as_str() {
                "--all" => all = true,
                "--multiple" => multiple = true,
                "-u" | "--update-head-ok" => o.update_head = true,
                "--set-upstream" => upstream = true,
                "--no-write-fetch-head" => o.no_head_file = true,
                "--refmap" | "--refmap=" => extra.push(args.value(&name)?),
                "--stdin"
                | "--deepen"
                | "--deepen="
                | "--shallow-since="
                | "--shallow-exclude="
                | "--filter="
                | "--negotiate-only"
                | "--recurse-submodules"
                | "--recurse-submodules="
                | "--porcelain" => {
                    fatal!("option {} is not supported", name.trim_end_matches('='))
                }
                other => {
                    if !o.take(other, &mut args)? {
                        return Err(args.unknown(other));
                    }
                }
            },
            Word::Plain(word) => plain.push(bytes::text(&word)),
        }
    }
    if !extra.is_empty() {
        fatal!("option --refmap is not supported");
    }
    let mut repo = Repo::open(setting)?;
    let mut action = vec!["fetch".to_owned()];
    action.extend(words.iter().map(|w| bytes::text(w)));
    o.action = std::env::var("GIT_REFLOG_ACTION").unwrap_or_else(|_| action.join(" "));
    if o.depth == Some(usize::MAX) && repo.odb.shallow().is_empty() {
        fatal!("--unshallow on a complete repository does not make sense");
    }
    let names: Vec<String> = if all {
        if !plain.is_empty() {
            fatal!("fetch --all does not take a repository argument");
        }
        repo.config
            .subsections("remote")
            .into_iter()
            .filter(|r| !repo.config.flag(&format!("remote.{r}.skipfetchall"), false))
            .collect()
    } else if multiple {
        std::mem::take(&mut plain)
    } else {
        if plain.is_empty() {
            let name = remotes::default(&repo);
            // Where no remote is known there is nothing to do.
            if repo.config.get(&format!("remote.{name}.url")).is_none() && name == "origin" {
                return Ok(0);
            }
            vec![name]
        } else {
            vec![plain.remove(0)]
        }
    };
    if !all && !multiple || names.len() == 1 {
        let Some(name) = names.first() else { return Ok(0) };
        let remote = Remote::new(&repo, name)?;
        let status = fetch_from(&mut repo, &remote, &plain, &o)?;
        if upstream && let (Some(branch), Some(word)) = (repo.head_branch(), plain.first()) {
            super::branch::track(&repo, &branch, name, &format!("refs/heads/{word}"), o.quiet)?;
        }
        return Ok(status);
    }
    several(&mut repo, &names, &mut o)
}

/// Fetches from several remotes, and goes on after one that fails.
pub(crate) fn several(repo: &mut Repo, names: &[String], o: &mut Options) -> Res<i32> {
    let mut status = 0;
    for name in names {
        if !o.quiet {
            out!("Fetching {name}\n");
        }
        let remote = Remote::new(repo, name)?;
        match fetch_from(repo, &remote, &[], o) {
            Ok(code) => status |= code,
            Err(stop) => {
                if !matches!(stop, Stop::Exit(_)) {
                    say!("fatal: {}", stop.message());
                }
                say!("error: could not fetch {name}");
                status = 1;
            }
        }
        o.append = true;
    }
    Ok(status)
}

pub(crate) fn ls_remote(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let usage = "[--branches] [--tags] [--refs] [-q | --quiet] [--exit-code] [--get-url] [--sort=<key>] [--symref] [<repository> [<patterns>...]]";
    let mut args = Args::new(words, "", "ls-remote", usage);
    let (mut heads, mut tags, mut plain_refs, mut quiet, mut code, mut get_url, mut symref) =
        (false, false, false, false, false, false, false);
    let mut plain: Vec<String> = Vec::new();
    let mut sort = None;
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-b" | "--branches" | "-h" | "--heads" => heads = true,
                "-t" | "--tags" => tags = true,
                "--refs" => plain_refs = true,
                "-q" | "--quiet" => quiet = true,
                "--exit-code" => code = true,
                "--get-url" => get_url = true,
                "--symref" => symref = true,
                "--sort" | "--sort=" => sort = Some(args.value(&o)?),
                "--upload-pack" | "--upload-pack=" => drop(args.value(&o)?),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => plain.push(bytes::text(&word)),
        }
    }
    let repo = Repo::open(setting);
    let named = !plain.is_empty();
    let name = match (&repo, named) {
        (_, true) => plain.remove(0),
        (Ok(repo), false) => {
            if repo.config.subsections("remote").is_empty() {
                fatal!("No remote configured to list refs from.");
            }
            remotes::default(repo)
        }
        (Err(_), false) => fatal!("No remote configured to list refs from."),
    };
    let url = match &repo {
        Ok(repo) => Remote::new(repo, &name)?.url(repo),
        Err(_) => {
            let config = crate::config::Config::load(None, &setting.config)?;
            address::rewrite(&config, &name, false)
        }
    };
    if get_url {
        out!("{url}\n");
        return Ok(0);
    }
    let from = transport::open(&url)?;
    if !named && !quiet {
        say!("From {url}");
    }
    let wanted = |full: &str| {
        let kind = !(heads || tags)
            || (heads && full.starts_with("refs/heads/"))
            || (tags && full.starts_with("refs/tags/"));
        let text = format!("/{full}");
        let path = plain.is_empty()
            || plain
                .iter()
                .any(|p| crate::glob::matches(format!("**/{p}").as_bytes(), text.as_bytes(), true, false));
        kind && path
    };
    let mut list: Vec<(String, Oid)> = Vec::new();
    for r in from.refs() {
        if plain_refs && !r.name.starts_with("refs/") {
            continue;
        }
        list.push((r.name.clone(), r.oid));
        if let (Some(peeled), false) = (r.peeled, plain_refs) {
            list.push((format!("{}^{{}}", r.name), peeled));
        }
    }
    match sort.as_deref() {
        None | Some("refname") => {}
        Some("-refname") => list.reverse(),
        Some("version:refname" | "v:refname") => list.sort_by(|a, b| version_order(&a.0, &b.0)),
        Some("-version:refname" | "-v:refname") => list.sort_by(|a, b| version_order(&b.0, &a.0)),
        Some(other) => fatal!("sorting by {other} is not supported"),
    }
    let mut found = false;
    for (name, oid) in list {
        if wanted(&name) {
            if symref
                && name == "HEAD"
                && let Some(head) = from.head()
            {
                out!("ref: {head}\tHEAD\n");
            }
            found = true;
            out!("{oid}\t{name}\n");
        }
    }
    Ok(if code && !found { 2 } else { 0 })
}

/// Numbers in names count as numbers.
fn version_order(a: &str, b: &str) -> std::cmp::Ordering {
    let parts = |text: &str| -> Vec<(u64, String)> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if digits > 0 {
                parts.push((rest[..digits].parse().unwrap_or(u64::MAX), String::new()));
                rest = &rest[digits..];
            } else {
                let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
                parts.push((0, rest[..end].to_owned()));
                rest = &rest[end..];
            }
        }
        parts
    };
    parts(a).cmp(&parts(b))
}
