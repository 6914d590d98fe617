//! `git clean`, `git fsck`, `git pack-refs`, `git count-objects`.

use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, fatal, out, say};
use crate::ignore::Ignore;
use crate::oid::{Commit, Kind, MODE_GITLINK, Oid, Tag, hash_object, parse_tree};
use crate::repo::{Repo, Setting};
use crate::worktree::{self, Walk};
use std::collections::HashSet;
use std::fs;

pub(crate) fn clean(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args =
        Args::new(words, "e", "clean", "[-d] [-f] [-n] [-q] [-e <pattern>] [-x | -X] [--] [<pathspec>...]");
    let (mut dirs, mut force, mut dry, mut quiet, mut all, mut only) = (false, 0, false, false, false, false);
    let mut excludes: Vec<u8> = Vec::new();
    let mut paths = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-d" => dirs = true,
                "-f" | "--force" => force += 1,
                "-n" | "--dry-run" => dry = true,
                "-q" | "--quiet" => quiet = true,
                "-x" => all = true,
                "-X" => only = true,
                "-e" | "--exclude" | "--exclude=" => {
                    excludes.extend(args.value_bytes(&o)?);
                    excludes.push(b'\n');
                }
                "-i" | "--interactive" => fatal!("option {o} is not supported: it needs a terminal dialogue"),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => paths.push(word),
        }
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    if force == 0 && !dry && repo.config.flag("clean.requireforce", true) {
        fatal!("clean.requireForce is true and -f not given: refusing to clean");
    }
    if all && only {
        fatal!("options '-x' and '-X' cannot be used together");
    }
    let spec = repo.pathspec(&paths)?;
    let index = repo.index()?;
    let ignore = if all { Ignore::none() } else { repo.ignore() };
    let found = worktree::untracked(&index, &ignore, &spec, Walk { collapse: true, ignored: true })?;
    let list = if only { found.ignored.clone() } else { found.untracked.clone() };
    let kept = crate::ignore::parse(&excludes, b"", b"-e");
    let mut status = 0;
    // A directory that also holds ignored files only loses the others.
    let mut split = Vec::new();
    for path in list {
        if only || !dirs && spec.is_empty() {
            split.push(path)
        } else {
            divide(&path, &ignore, &mut split, 0)
        }
    }
    for path in split {
        let dir = path.ends_with(b"/");
        let bare = path.strip_suffix(b"/").unwrap_or(&path);
        if list_excludes(&kept, bare) || (dir && !dirs && spec.is_empty()) {
            continue;
        }
        let shown = bytes::text(&bytes::quote(&repo.relative(&path), repo.quote_path()));
        let name = bytes::path(bare);
        if dir && force < 2 && fs::symlink_metadata(name.join(".git")).is_ok() {
            if !quiet {
                out!("{} repository {shown}\n", if dry { "Would skip" } else { "Skipping" });
            }
            continue;
        }
        if !quiet || dry {
            out!("{} {shown}\n", if dry { "Would remove" } else { "Removing" });
        }
        if !dry {
            let done = if dir { fs::remove_dir_all(name) } else { fs::remove_file(name) };
            if let Err(error) = done {
                say!("warning: failed to remove {shown}: {}", agentos_guest::strerror(&error));
                status = 1;
            }
        }
    }
    Ok(status)
}

/// A directory, or what is in it and not ignored if something is.
fn divide(path: &[u8], ignore: &Ignore, out: &mut Vec<Vec<u8>>, depth: usize) {
    let Some(dir) = path.strip_suffix(b"/").filter(|_| depth < 500) else {
        out.push(path.to_vec());
        return;
    };
    if !holds_ignored(dir, ignore, depth) {
        out.push(path.to_vec());
        return;
    }
    let mut below: Vec<(Vec<u8>, bool)> = fs::read_dir(bytes::path(dir))
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| (bytes::join(dir, bytes::of(&e.file_name())), e.file_type().is_ok_and(|k| k.is_dir())))
        .collect();
    below.sort();
    for (name, is_dir) in below {
        if !ignore.ignored(&name, is_dir) {
            divide(&if is_dir { [&name[..], b"/"].concat() } else { name }, ignore, out, depth + 1);
        }
    }
}

fn holds_ignored(dir: &[u8], ignore: &Ignore, depth: usize) -> bool {
    depth < 500
        && fs::read_dir(bytes::path(dir)).into_iter().flatten().flatten().any(|e| {
            let name = bytes::join(dir, bytes::of(&e.file_name()));
            let is_dir = e.file_type().is_ok_and(|k| k.is_dir());
            ignore.ignored(&name, is_dir) || (is_dir && holds_ignored(&name, ignore, depth + 1))
        })
}

fn list_excludes(rules: &[crate::ignore::Rule], path: &[u8]) -> bool {
    rules
        .iter()
        .any(|r| crate::glob::matches(&r.pattern, bytes::base(path), true, false) || r.pattern == path)
}

pub(crate) fn pack_refs(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    for word in words {
        match &word[..] {
            b"--all" | b"--prune" => {}
            other => fatal!("option {} is not supported", bytes::text(other)),
        }
    }
    Repo::open(setting)?.pack_refs()?;
    Ok(0)
}

pub(crate) fn count_objects(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    let verbose = words.iter().any(|w| w == b"-v" || w == b"--verbose");
    let loose = repo.odb.loose();
    let mut blocks = 0;
    for oid in &loose {
        let hex = oid.to_string();
        if let Ok(stat) = agentos_guest::fs::stat(repo.odb.dir().join(&hex[..2]).join(&hex[2..])) {
            blocks += stat.blocks;
        }
    }
    if !verbose {
        out!("{} objects, {} kilobytes\n", loose.len(), blocks / 2);
        return Ok(0);
    }
    let packs = repo.odb.packs();
    let packed: usize = packs.iter().map(|p| p.names().count()).sum();
    let size: u64 =
        packs.iter().filter_map(|p| agentos_guest::fs::stat(&p.path).ok()).map(|s| s.size).sum::<u64>()
            + packs
                .iter()
                .filter_map(|p| agentos_guest::fs::stat(p.path.with_extension("idx")).ok())
                .map(|s| s.size)
                .sum::<u64>();
    let twice = loose.iter().filter(|o| packs.iter().any(|p| p.find(o).is_some())).count();
    out!(
        "count: {}\nsize: {}\nin-pack: {packed}\npacks: {}\nsize-pack: {}\nprune-packable: {twice}\ngarbage: 0\nsize-garbage: 0\n",
        loose.len(),
        blocks / 2,
        packs.len(),
        size / 1024
    );
    Ok(0)
}

pub(crate) fn fsck(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "fsck", "[--full] [--strict] [--no-dangling] [--unreachable]");
    let mut dangling = true;
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--full" | "--strict" | "--no-progress" | "--progress" | "--no-reflogs" => {}
                "--no-dangling" => dangling = false,
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(_) => return Err(Stop::Said(129, args.usage_text())),
        }
    }
    let repo = Repo::open(setting)?;
    let all = repo.odb.all();
    let known: HashSet<Oid> = all.iter().copied().collect();
    let mut named: HashSet<Oid> = HashSet::new();
    let mut status = 0;
    if let (Some(branch), None) = (repo.head_ref(), repo.head()) {
        say!("notice: HEAD points to an unborn branch ({})", Repo::shorten(&branch));
        if repo.refs("refs/").is_empty() {
            say!("notice: No default references");
        }
    }
    for oid in &all {
        let (kind, data) = match repo.odb.read(oid) {
            Ok(object) => object,
            Err(stop) => {
                say!("error: {oid}: object corrupt or missing: {}", stop.message());
                status |= 1;
                continue;
            }
        };
        if hash_object(kind, &data) != *oid {
            say!("error: {oid}: hash mismatch");
            status |= 1;
            continue;
        }
        let links: Res<Vec<(Kind, Oid)>> = match kind {
            Kind::Blob => Ok(Vec::new()),
            Kind::Tree => parse_tree(&data).map(|entries| {
                entries
                    .into_iter()
                    .filter(|e| e.mode != MODE_GITLINK)
                    .map(|e| (crate::oid::kind_of_mode(e.mode), e.oid))
                    .collect()
            }),
            Kind::Commit => Commit::parse(&data).map(|c| {
                std::iter::once((Kind::Tree, c.tree))
                    .chain(c.parents.iter().map(|p| (Kind::Commit, *p)))
                    .collect()
            }),
            Kind::Tag => Tag::parse(&data).map(|t| vec![(t.kind, t.target)]),
        };
        let links = match links {
            Ok(links) => links,
            Err(stop) => {
                say!("error in {} {oid}: {}", kind.name(), stop.message());
                status |= 1;
                continue;
            }
        };
        for (to, target) in links {
            if !known.contains(&target) && !repo.odb.exists(&target) {
                out!(
                    "broken link from {:>7} {oid}\n              to {:>7} {target}\nmissing {} {target}\n",
                    kind.name(),
                    to.name(),
                    to.name()
                );
                status |= 2;
            }
            named.insert(target);
        }
    }
    for (name, oid) in repo.refs("refs/") {
        if !known.contains(&oid) && !repo.odb.exists(&oid) {
            say!("error: {name}: invalid sha1 pointer {oid}");
            status |= 2;
        }
        named.insert(oid);
        named.extend(repo.reflog(&name).iter().flat_map(|e| [e.old, e.new]));
    }
    named.extend(repo.head());
    named.extend(repo.reflog("HEAD").iter().flat_map(|e| [e.old, e.new]));
    named.extend(repo.index()?.entries.iter().map(|e| e.oid));
    if dangling {
        for oid in all.iter().filter(|o| !named.contains(o)) {
            out!("dangling {} {oid}\n", repo.odb.kind(oid)?.name());
        }
    }
    Ok(status)
}
