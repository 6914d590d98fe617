//! `git remote`: the names and addresses of other repositories, and the refs that follow theirs.

use super::fetch;
use crate::args::{Args, Word};
use crate::bytes;
use crate::config::{self, Edit};
use crate::error::{Res, Stop, fatal, out, say};
use crate::oid::Oid;
use crate::refspec::Spec;
use crate::remotes::Remote;
use crate::repo::{Repo, Setting};
use crate::transport::{self, Transport};
use crate::walk;

const USAGE: &str = "[-v | --verbose]
   or: git remote add [-t <branch>] [-m <master>] [-f] [--tags | --no-tags] [--mirror=<fetch|push>] <name> <url>
   or: git remote rename [--[no-]progress] <old> <new>
   or: git remote remove <name>
   or: git remote set-head <name> (-a | --auto | -d | --delete | <branch>)
   or: git remote [-v | --verbose] show [-n] <name>
   or: git remote prune [-n | --dry-run] <name>
   or: git remote [-v | --verbose] update [-p | --prune] [(<group> | <remote>)...]
   or: git remote set-branches [--add] <name> <branch>...
   or: git remote get-url [--push] [--all] <name>
   or: git remote set-url [--push] <name> <newurl> [<oldurl>]
   or: git remote set-url --add <name> <newurl>
   or: git remote set-url --delete <name> <url>

    -v, --[no-]verbose    be verbose; must be placed before a subcommand
";

#[derive(Default)]
struct Options {
    verbose: bool,
    push: bool,
    all: bool,
    add: bool,
    delete: bool,
    dry: bool,
    fetch: bool,
    auto: bool,
    prune: bool,
    tags: Option<bool>,
    track: Vec<String>,
    master: Option<String>,
    mirror: Option<String>,
}

pub(crate) fn remote(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "tm", "remote", USAGE);
    let mut o = Options::default();
    let mut plain: Vec<String> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Plain(word) => plain.push(bytes::text(&word)),
            Word::Option(name) => {
                let verb = plain.first().map_or("", String::as_str);
                match (name.as_str(), verb) {
                    ("-v" | "--verbose", _) => o.verbose = true,
                    ("--push", "get-url" | "set-url") => o.push = true,
                    ("--all", "get-url") => o.all = true,
                    ("--add", "set-url" | "set-branches") => o.add = true,
                    ("--delete", "set-url") | ("-d" | "--delete", "set-head") => o.delete = true,
                    ("-a" | "--auto", "set-head") => o.auto = true,
                    ("-n", "show") | ("-n" | "--dry-run", "prune") => o.dry = true,
                    ("-p" | "--prune", "update") => o.prune = true,
                    ("--progress" | "--no-progress", "rename") => {}
                    ("-f" | "--fetch", "add") => o.fetch = true,
                    ("--tags", "add") => o.tags = Some(true),
                    ("--no-tags", "add") => o.tags = Some(false),
                    ("-t" | "--track" | "--track=", "add") => o.track.push(args.value(&name)?),
                    ("-m" | "--master" | "--master=", "add") => o.master = Some(args.value(&name)?),
                    ("--mirror", "add") => o.mirror = Some("both".to_owned()),
                    ("--mirror=", "add") => o.mirror = Some(args.value(&name)?),
                    _ => return Err(args.unknown(&name)),
                }
            }
        }
    }
    let mut repo = Repo::open(setting)?;
    let words: Vec<&str> = plain.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["show"] => list(&repo, o.verbose),
        ["add", name, address] => add(&mut repo, &o, name, address),
        ["rename", from, to] => rename(&repo, from, to),
        ["remove" | "rm", name] => remove(&repo, name),
        ["get-url", name] => get_url(&repo, &o, name),
        ["set-url", name, ref rest @ ..] if matches!(rest.len(), 1 | 2) => set_url(&repo, &o, name, rest),
        ["set-head", name, ref rest @ ..] if rest.len() < 2 => {
            set_head(&repo, &o, name, rest.first().copied())
        }
        ["set-branches", name, ref branches @ ..] if !branches.is_empty() => {
            if !known(&repo, name) {
                return missing(name);
            }
            let list: Vec<String> = branches.iter().map(|b| (*b).to_owned()).collect();
            let key = format!("remote.{name}.fetch");
            if !o.add {
                config::edit(&file(&repo), &key, &Edit::UnsetAll, &|_| true)?;
            }
            set_branches(&repo, name, &list)
        }
        ["show", ref names @ ..] => {
            for name in names {
                show(&repo, name, o.dry)?;
            }
            Ok(0)
        }
        ["prune", ref names @ ..] if !names.is_empty() => {
            for name in names {
                prune(&repo, name, o.dry)?;
            }
            Ok(0)
        }
        ["update", ref names @ ..] => {
            let mut all = repo.config.subsections("remote");
            all.retain(|r| !repo.config.flag(&format!("remote.{r}.skipdefaultupdate"), false));
            let names: Vec<String> = match names {
                [] | ["default"] => all,
                names => names.iter().map(|n| (*n).to_owned()).collect(),
            };
            if let Some(name) = names.iter().find(|n| !known(&repo, n)) {
                fatal!("no such remote or remote group: {name}");
            }
            let mut options = fetch::Options {
                action: "remote update".to_owned(),
                prune: o.prune.then_some(true),
                ..fetch::Options::default()
            };
            if let ([one], true) = (&names[..], words.len() == 1) {
                let remote = Remote::new(&repo, one)?;
                return fetch::fetch_from(&mut repo, &remote, &[], &options);
            }
            fetch::several(&mut repo, &names, &mut options)
        }
        [
            "add" | "rename" | "remove" | "rm" | "get-url" | "set-url" | "set-head" | "set-branches"
            | "prune",
            ..,
        ] => Err(Stop::Said(129, args.usage_text())),
        [other, ..] => {
            say!("error: unknown subcommand: `{other}'");
            Err(Stop::Said(129, args.usage_text()))
        }
    }
}

fn file(repo: &Repo) -> std::path::PathBuf {
    repo.common_dir.join("config")
}

fn known(repo: &Repo, name: &str) -> bool {
    repo.config.subsections("remote").iter().any(|n| n == name)
}

fn missing(name: &str) -> Res<i32> {
    say!("error: No such remote '{name}'");
    Ok(2)
}

fn list(repo: &Repo, verbose: bool) -> Res<i32> {
    let mut names = repo.config.subsections("remote");
    names.sort();
    for name in &names {
        if !verbose {
            out!("{name}\n");
            continue;
        }
        let remote = Remote::new(repo, name)?;
        out!("{name}\t{} (fetch)\n", remote.url(repo));
        for url in remote.push_urls(repo) {
            out!("{name}\t{url} (push)\n");
        }
    }
    Ok(0)
}

fn set_branches(repo: &Repo, name: &str, branches: &[String]) -> Res<i32> {
    for branch in branches {
        let spec = format!("+refs/heads/{branch}:refs/remotes/{name}/{branch}");
        config::edit(&file(repo), &format!("remote.{name}.fetch"), &Edit::Add(spec.as_bytes()), &|_| true)?;
    }
    Ok(0)
}

fn add(repo: &mut Repo, o: &Options, name: &str, address: &str) -> Res<i32> {
    if known(repo, name) {
        say!("error: remote {name} already exists.");
        return Ok(3);
    }
    if !crate::refs::valid(&format!("refs/remotes/{name}/x")) {
        fatal!("'{name}' is not a valid remote name");
    }
    let file = file(repo);
    let set = |key: &str, value: &str| {
        config::edit(&file, &format!("remote.{name}.{key}"), &Edit::Set(value.as_bytes()), &|_| true)
    };
    set("url", address)?;
    match o.mirror.as_deref() {
        Some("push") => {}
        Some("fetch" | "both") => drop(set("fetch", "+refs/*:refs/*")?),
        Some(other) => {
            say!("error: unknown --mirror argument: {other}");
            return Ok(129);
        }
        None if o.track.is_empty() => drop(set("fetch", &format!("+refs/heads/*:refs/remotes/{name}/*"))?),
        None => drop(set_branches(repo, name, &o.track)?),
    }
    if matches!(o.mirror.as_deref(), Some("push" | "both")) {
        set("mirror", "true")?;
    }
    if let Some(tags) = o.tags {
        set("tagOpt", if tags { "--tags" } else { "--no-tags" })?;
    }
    if o.fetch {
        out!("Updating {name}\n");
        repo.config = config::Config::load(Some(&repo.common_dir), &[])?;
        let options = fetch::Options { action: format!("fetch {name}"), ..fetch::Options::default() };
        let remote = Remote::new(repo, name)?;
        if let Err(stop) = fetch::fetch_from(repo, &remote, &[], &options) {
            say!("fatal: {}\nerror: Could not fetch {name}", stop.message());
            return Ok(1);
        }
    }
    if let Some(branch) = &o.master {
        let target = format!("refs/remotes/{name}/{branch}");
        repo.set_symbolic(&format!("refs/remotes/{name}/HEAD"), &target, None)?;
    }
    Ok(0)
}

/// The sections of branches that belong to a remote.
fn branches_of(repo: &Repo, name: &str) -> Vec<String> {
    let mut all = repo.config.subsections("branch");
    all.retain(|b| repo.config.get(&format!("branch.{b}.remote")).as_deref() == Some(name));
    all
}

fn rename(repo: &Repo, from: &str, to: &str) -> Res<i32> {
    if !known(repo, from) {
        say!("error: No such remote: '{from}'");
        return Ok(2);
    }
    if known(repo, to) {
        say!("error: remote {to} already exists.");
        return Ok(3);
    }
    if !crate::refs::valid(&format!("refs/remotes/{to}/x")) {
        fatal!("'{to}' is not a valid remote name");
    }
    let file = file(repo);
    config::rename_section(&file, &format!("remote.{from}"), Some(&format!("remote.{to}")))?;
    let (old, new) = (format!(":refs/remotes/{from}/"), format!(":refs/remotes/{to}/"));
    let key = format!("remote.{to}.fetch");
    let specs = repo.config.all(&format!("remote.{from}.fetch"));
    if specs.iter().any(|s| s.contains(&old)) {
        config::edit(&file, &key, &Edit::UnsetAll, &|_| true)?;
        for spec in &specs {
            config::edit(&file, &key, &Edit::Add(spec.replace(&old, &new).as_bytes()), &|_| true)?;
        }
    }
    for branch in branches_of(repo, from) {
        config::edit(&file, &format!("branch.{branch}.remote"), &Edit::Set(to.as_bytes()), &|_| true)?;
    }
    let prefix = format!("refs/remotes/{from}/");
    for (name, _) in repo.refs(&prefix) {
        let other = format!("refs/remotes/{to}/{}", &name[prefix.len()..]);
        let message = format!("remote: renamed {name} to {other}");
        match transport::symbolic(repo, &name) {
            Some(target) => {
                let target = target.replacen(&prefix, &format!("refs/remotes/{to}/"), 1);
                repo.delete_ref(&name)?;
                repo.set_symbolic(&other, &target, None)?;
            }
            None => repo.rename_ref(&name, &other, &message)?,
        }
    }
    Ok(0)
}

fn remove(repo: &Repo, name: &str) -> Res<i32> {
    if !known(repo, name) {
        say!("error: No such remote: '{name}'");
        return Ok(2);
    }
    let file = file(repo);
    for branch in branches_of(repo, name) {
        for key in ["remote", "merge"] {
            config::edit(&file, &format!("branch.{branch}.{key}"), &Edit::UnsetAll, &|_| true)?;
        }
    }
    for (branch, _) in repo.refs(&format!("refs/remotes/{name}/")) {
        repo.delete_ref(&branch)?;
    }
    config::rename_section(&file, &format!("remote.{name}"), None)?;
    Ok(0)
}

fn get_url(repo: &Repo, o: &Options, name: &str) -> Res<i32> {
    if !known(repo, name) {
        return missing(name);
    }
    let remote = Remote::new(repo, name)?;
    let urls = if o.push {
        remote.push_urls(repo)
    } else if o.all {
        let all = repo.config.all(&format!("remote.{name}.url"));
        all.iter().map(|u| crate::address::rewrite(&repo.config, u, false)).collect()
    } else {
        vec![remote.url(repo)]
    };
    for url in urls.iter().take(if o.all { usize::MAX } else { 1 }) {
        out!("{url}\n");
    }
    Ok(0)
}

fn set_url(repo: &Repo, o: &Options, name: &str, rest: &[&str]) -> Res<i32> {
    if !known(repo, name) {
        return missing(name);
    }
    let (file, url) = (file(repo), rest[0]);
    let key = format!("remote.{name}.{}", if o.push { "pushurl" } else { "url" });
    if o.add {
        return config::edit(&file, &key, &Edit::Add(url.as_bytes()), &|_| true);
    }
    let all = repo.config.all(&key);
    // As git, that an old address is a pattern.
    let pattern = if o.delete { Some(url) } else { rest.get(1).copied() };
    let Some(pattern) = pattern else {
        return config::edit(&file, &key, &Edit::Set(url.as_bytes()), &|_| true);
    };
    let regex = crate::regex::Regex::new(pattern, true, false)
        .map_err(|_| Stop::Fatal(format!("Invalid old URL pattern: {pattern}")))?;
    let matching = |value: &[u8]| regex.is_match(value);
    let hits = all.iter().filter(|u| matching(u.as_bytes())).count();
    if hits == 0 {
        fatal!("No such URL found: {pattern}");
    }
    if o.delete {
        if hits == all.len() && !o.push {
            fatal!("Will not delete all non-push URLs");
        }
        return config::edit(&file, &key, &Edit::UnsetAll, &matching);
    }
    config::edit(&file, &key, &Edit::ReplaceAll(url.as_bytes()), &matching)
}

fn set_head(repo: &Repo, o: &Options, name: &str, branch: Option<&str>) -> Res<i32> {
    let full = format!("refs/remotes/{name}/HEAD");
    if o.delete {
        if repo.ref_value(&full).is_none() {
            say!("error: Could not delete {full}");
            return Ok(1);
        }
        repo.delete_ref(&full)?;
        return Ok(0);
    }
    let branch = if o.auto {
        let from = transport::open(&Remote::new(repo, name)?.url(repo))?;
        let Some(head) = from.head().and_then(|h| h.strip_prefix("refs/heads/")) else {
            say!("error: Cannot determine remote HEAD");
            return Ok(1);
        };
        head.to_owned()
    } else {
        match branch {
            Some(branch) => branch.to_owned(),
            None => return Err(Stop::Said(129, format!("usage: git remote {USAGE}"))),
        }
    };
    let target = format!("refs/remotes/{name}/{branch}");
    if repo.ref_oid(&target).is_none() {
        say!("error: Not a valid ref: {target}");
        return Ok(1);
    }
    repo.set_symbolic(&full, &target, None)?;
    if o.auto {
        out!("{name}/HEAD set to {branch}\n");
    }
    Ok(0)
}

/// Our refs that follow what the other side has not.
fn stale(repo: &Repo, remote: &Remote, from: &dyn Transport) -> Vec<String> {
    let gone = |name: &str| {
        let sources: Vec<String> = remote.fetch.iter().filter_map(|s: &Spec| s.back(name)).collect();
        !sources.is_empty() && !sources.iter().any(|s| from.refs().iter().any(|r| r.name == *s))
    };
    repo.refs("refs/")
        .into_iter()
        .map(|r| r.0)
        .filter(|name| gone(name) && transport::symbolic(repo, name).is_none())
        .collect()
}

fn prune(repo: &Repo, name: &str, dry: bool) -> Res<()> {
    let remote = Remote::new(repo, name)?;
    let url = remote.url(repo);
    let from = transport::open(&url)?;
    let gone = stale(repo, &remote, &*from);
    if gone.is_empty() {
        return Ok(());
    }
    out!("Pruning {name}\nURL: {url}\n");
    for full in gone {
        if !dry {
            repo.delete_ref(&full)?;
        }
        out!(" * [{}] {}\n", if dry { "would prune" } else { "pruned" }, Repo::shorten(&full));
    }
    Ok(())
}

/// `Remote branch:` or `Remote branches:` and the lines below, names in one column.
fn section(title: (&str, &str), note: &str, rows: &[(String, String)]) {
    if rows.is_empty() {
        return;
    }
    out!("  {}{note}\n", if rows.len() == 1 { title.0 } else { title.1 });
    let width = rows.iter().map(|r| r.0.chars().count()).max().unwrap_or(0);
    for (name, text) in rows {
        out!("{}\n", format!("    {name:<width$} {text}").trim_end());
    }
}

fn show(repo: &Repo, name: &str, offline: bool) -> Res<()> {
    let remote = Remote::new(repo, name)?;
    let url = remote.url(repo);
    let from = if offline { None } else { Some(transport::open(&url)?) };
    out!("* remote {name}\n  Fetch URL: {url}\n");
    for push in remote.push_urls(repo) {
        out!("  Push  URL: {push}\n");
    }
    let note = if offline { " (status not queried)" } else { "" };
    let mut rows: Vec<(String, String)> = Vec::new();
    match &from {
        None => {
            out!("  HEAD branch: (not queried)\n");
            let prefix = format!("refs/remotes/{name}/");
            for (full, _) in repo.refs(&prefix) {
                if transport::symbolic(repo, &full).is_none() {
                    rows.push((full[prefix.len()..].to_owned(), String::new()));
                }
            }
        }
        Some(from) => {
            match from.head().filter(|_| from.refs().iter().any(|r| r.name == "HEAD")) {
                Some(head) => out!("  HEAD branch: {}\n", head.trim_start_matches("refs/heads/")),
                None => out!("  HEAD branch: (unknown)\n"),
            }
            for r in from.refs() {
                let Some(to) = remote.tracking(&r.name) else { continue };
                let short = r.name.strip_prefix("refs/heads/").unwrap_or(&r.name).to_owned();
                let text = if repo.ref_oid(&to).is_some() {
                    "tracked".to_owned()
                } else {
                    format!("new (next fetch will store in remotes/{name})")
                };
                rows.push((short, text));
            }
            for full in stale(repo, &remote, &**from) {
                let shown = full.strip_prefix("refs/heads/").unwrap_or(&full).to_owned();
                rows.push((shown, "stale (use 'git remote prune' to remove)".to_owned()));
            }
            rows.sort();
        }
    }
    section(("Remote branch:", "Remote branches:"), note, &rows);
    let mut rows = Vec::new();
    let mut branches = branches_of(repo, name);
    branches.sort();
    for branch in branches {
        if let Some(merge) = repo.config.get(&format!("branch.{branch}.merge")) {
            let rebase = repo
                .config
                .get(&format!("branch.{branch}.rebase"))
                .is_some_and(|v| config::truth(&v) != Some(false));
            let how = if rebase { "rebases onto remote" } else { "merges with remote" };
            rows.push((branch, format!("{how} {}", merge.trim_start_matches("refs/heads/"))));
        }
    }
    let title = ("Local branch configured for 'git pull':", "Local branches configured for 'git pull':");
    section(title, "", &rows);
    push_section(repo, &remote, from.as_deref())
}

/// Which branches a push would move.
fn push_section(repo: &Repo, remote: &Remote, from: Option<&dyn Transport>) -> Res<()> {
    let title = ("Local ref configured for 'git push'", "Local refs configured for 'git push'");
    let Some(from) = from else {
        section(
            title,
            " (status not queried):",
            &[("(matching)".to_owned(), "pushes to (matching)".to_owned())],
        );
        return Ok(());
    };
    let mut found: Vec<(String, String, &str)> = Vec::new();
    let theirs = |full: &str| from.refs().iter().find(|r| r.name == full).map(|r| r.oid);
    for (full, ours) in repo.refs("refs/heads/") {
        let to = if remote.push.is_empty() {
            full.clone()
        } else {
            match crate::refspec::map(&remote.push, &full) {
                Some(to) => to,
                None => continue,
            }
        };
        let state = match theirs(&to) {
            None if remote.push.is_empty() => continue,
            None => "create",
            Some(oid) if oid == ours => "up to date",
            Some(oid) if newer(repo, &oid, &ours)? => "fast-forwardable",
            Some(_) => "local out of date",
        };
        found.push((Repo::shorten(&full).to_owned(), Repo::shorten(&to).to_owned(), state));
    }
    let width = found.iter().map(|f| f.1.chars().count()).max().unwrap_or(0);
    let rows: Vec<(String, String)> =
        found.into_iter().map(|(a, b, state)| (a, format!("pushes to {b:<width$} ({state})"))).collect();
    section(title, ":", &rows);
    Ok(())
}

fn newer(repo: &Repo, old: &Oid, new: &Oid) -> Res<bool> {
    Ok(repo.odb.exists(old) && walk::is_ancestor(repo, old, new)?)
}
