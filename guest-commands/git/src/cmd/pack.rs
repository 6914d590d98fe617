//! Packs by hand: `gc`, `repack`, `prune`, `pack-objects`, `index-pack`, `unpack-objects`, `verify-pack`.

use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, fatal, out, put, say};
use crate::oid::Oid;
use crate::packread::unpack;
use crate::packwrite::{self, Place};
use crate::reach::{self, Item, Request};
use crate::repo::{Repo, Setting};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Everything that something in the repository leads to.
fn roots(repo: &Repo) -> Res<Vec<Oid>> {
    let mut all: Vec<Oid> = repo.refs("refs/").into_iter().map(|r| r.1).collect();
    let names: Vec<String> = repo.refs("refs/").into_iter().map(|r| r.0).chain(["HEAD".to_owned()]).collect();
    for name in names {
        all.extend(repo.reflog(&name).iter().flat_map(|e| [e.old, e.new]));
    }
    all.extend(repo.head());
    for name in ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD"] {
        let text = fs::read(repo.file(name)).unwrap_or_default();
        all.extend(text.split(|b| *b == b'\n').filter_map(|l| Oid::parse(l.get(..40)?)));
    }
    if repo.work_tree.is_some() {
        all.extend(
            repo.index()?.entries.iter().filter(|e| e.mode != crate::oid::MODE_GITLINK).map(|e| e.oid),
        );
    }
    all.sort();
    all.dedup();
    all.retain(|o| repo.odb.exists(o));
    Ok(all)
}

fn reachable(repo: &Repo) -> Res<Vec<Item>> {
    let request = Request { wants: roots(repo)?, ..Request::default() };
    Ok(reach::collect(&repo.odb, &request)?.items)
}

/// Writes one pack of everything that is reachable, and takes away what it makes needless.
fn pack_all(repo: &mut Repo, delete: bool) -> Res<bool> {
    let mut items = reachable(repo)?;
    let alternates: HashSet<Oid> = repo.odb.borrowed();
    items.retain(|i| !alternates.contains(&i.oid));
    if items.is_empty() {
        return Ok(false);
    }
    let old: Vec<PathBuf> = repo.odb.own_packs();
    let mut pack = Vec::new();
    let (sum, places) = packwrite::write(&repo.odb, &items, &mut pack)?;
    // Objects of old packs that nothing leads to become loose again, as git leaves them for a while.
    let packed: HashSet<Oid> = items.iter().map(|i| i.oid).collect();
    if delete {
        for oid in repo.odb.all() {
            if !packed.contains(&oid) && repo.odb.is_packed(&oid) && !alternates.contains(&oid) {
                let (kind, data) = repo.odb.read(&oid)?;
                repo.odb.write_loose(kind, &data, &oid)?;
            }
        }
    }
    let new = repo.odb.add_pack(&pack, &places, &sum)?;
    if delete {
        for pack in old.iter().filter(|p| p.with_extension("") != new) {
            for suffix in ["idx", "rev", "bitmap", "mtimes", "pack"] {
                let _ = fs::remove_file(pack.with_extension(suffix));
            }
        }
        let _ = fs::remove_file(repo.odb.dir().join("pack/multi-pack-index"));
    }
    repo.reload();
    Ok(true)
}

/// Takes away loose objects that are in a pack too.
fn prune_packed(repo: &Repo) {
    for oid in repo.odb.loose() {
        if repo.odb.is_packed(&oid) {
            repo.odb.remove_loose(&oid);
        }
    }
}

pub(crate) fn gc(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "",
        "gc",
        "[--aggressive] [--auto] [-q | --quiet] [--prune=<date> | --no-prune] [--force]",
    );
    let (mut auto, mut prune) = (false, Some("2.weeks.ago".to_owned()));
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-q"
                | "--quiet"
                | "--no-quiet"
                | "--aggressive"
                | "--force"
                | "--detach"
                | "--no-detach"
                | "--cruft"
                | "--no-cruft"
                | "--keep-largest-pack" => {}
                "--auto" => auto = true,
                "--prune" => {}
                "--prune=" => prune = Some(args.value(&o)?),
                "--no-prune" => prune = None,
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(_) => return Err(Stop::Said(129, args.usage_text())),
        }
    }
    let mut repo = Repo::open(setting)?;
    let limit: usize = repo.config.get("gc.auto").and_then(|v| v.parse().ok()).unwrap_or(6700);
    if auto && (limit == 0 || repo.odb.loose().len() <= limit) {
        return Ok(0);
    }
    repo.pack_refs()?;
    pack_all(&mut repo, true)?;
    prune_packed(&repo);
    if let Some(date) = prune
        && date != "never"
    {
        prune_loose(&repo, crate::date::approximate(&date), false, false)?;
    }
    Ok(0)
}

/// Takes away loose objects that nothing leads to and that are older than a moment.
fn prune_loose(repo: &Repo, before: i64, dry: bool, verbose: bool) -> Res<()> {
    let kept: HashSet<Oid> = reachable(repo)?.into_iter().map(|i| i.oid).collect();
    let mut loose = repo.odb.loose();
    loose.sort();
    for oid in loose.into_iter().filter(|o| !kept.contains(o)) {
        let old = agentos_guest::fs::lstat(repo.odb.loose_file(&oid)).is_ok_and(|s| s.mtime <= before);
        if old && (dry || verbose) {
            out!("{oid} {}\n", repo.odb.kind(&oid)?.name());
        }
        if old && !dry {
            repo.odb.remove_loose(&oid);
        }
    }
    Ok(())
}

pub(crate) fn prune(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "prune", "[-n] [-v] [--progress] [--expire <time>] [--] [<head>...]");
    let (mut dry, mut verbose, mut before) = (false, false, i64::MAX);
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-n" | "--dry-run" => dry = true,
                "-v" | "--verbose" => verbose = true,
                "--progress" | "--no-progress" => {}
                "--expire" | "--expire=" => {
                    let date = args.value(&o)?;
                    before = if date == "never" { i64::MIN } else { crate::date::approximate(&date) };
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(_) => fatal!("pruning with more heads is not supported"),
        }
    }
    let repo = Repo::open(setting)?;
    prune_loose(&repo, before, dry, verbose)?;
    prune_packed(&repo);
    Ok(0)
}

pub(crate) fn repack(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "",
        "repack",
        "[-a] [-A] [-d] [-f] [-F] [-l] [-n] [-q] [--window=<n>] [--depth=<n>]",
    );
    let (mut all, mut delete, mut quiet) = (false, false, false);
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-a" | "-A" => all = true,
                "-d" => delete = true,
                "-q" | "--quiet" => quiet = true,
                "-f" | "-F" | "-l" | "-n" | "--no-write-bitmap-index" => {}
                "--window" | "--window=" | "--depth" | "--depth=" | "--threads=" => drop(args.value(&o)?),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(_) => return Err(Stop::Said(129, args.usage_text())),
        }
    }
    let mut repo = Repo::open(setting)?;
    let packed = if all {
        pack_all(&mut repo, delete)?
    } else {
        let loose: HashSet<Oid> = repo.odb.loose().into_iter().filter(|o| !repo.odb.is_packed(o)).collect();
        let items: Vec<Item> = reachable(&repo)?.into_iter().filter(|i| loose.contains(&i.oid)).collect();
        if !items.is_empty() {
            let mut pack = Vec::new();
            let (sum, places) = packwrite::write(&repo.odb, &items, &mut pack)?;
            repo.odb.add_pack(&pack, &places, &sum)?;
            repo.reload();
        }
        !items.is_empty()
    };
    if !packed && !quiet {
        out!("Nothing new to pack.\n");
    }
    if delete {
        prune_packed(&repo);
    }
    Ok(0)
}

pub(crate) fn pack_objects(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let usage = "[-q] [--revs] [--all] [--stdout | <base-name>]";
    let mut args = Args::new(words, "", "pack-objects", usage);
    let (mut stdout, mut revs, mut all, mut base) = (false, false, false, None);
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--stdout" => stdout = true,
                "--revs" => revs = true,
                "--all" => (all, revs) = (true, true),
                "-q"
                | "--quiet"
                | "--progress"
                | "--no-progress"
                | "--delta-base-offset"
                | "--no-reuse-delta"
                | "--no-reuse-object" => {}
                "--window" | "--window=" | "--depth" | "--depth=" | "--threads=" | "--compression=" => {
                    drop(args.value(&o)?)
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => base = Some(bytes::text(&word)),
        }
    }
    let repo = Repo::open(setting)?;
    if stdout == base.is_some() {
        return Err(Stop::Said(129, args.usage_text()));
    }
    let text = if all { Vec::new() } else { agentos_guest::fd::read_to_end(0)? };
    let lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty());
    let mut items = Vec::new();
    if revs {
        let mut request = Request::default();
        for line in lines {
            let line = bytes::text(line);
            match line.strip_prefix('^') {
                Some(rev) => request.haves.push(crate::revision::resolve(&repo, rev)?),
                None => request.wants.push(crate::revision::resolve(&repo, &line)?),
            }
        }
        if all {
            request.wants.extend(repo.refs("refs/").into_iter().map(|r| r.1).chain(repo.head()));
        }
        items = reach::collect(&repo.odb, &request)?.items;
    } else {
        let mut seen = HashSet::new();
        for line in lines {
            let Some(oid) = line.get(..40).and_then(Oid::parse) else {
                fatal!("expected object ID, got garbage:\n {}\n", bytes::text(line));
            };
            if seen.insert(oid) {
                items.push(Item { oid, kind: repo.odb.kind(&oid)?, hint: 0 });
            }
        }
    }
    let mut pack = Vec::new();
    let (sum, places) = packwrite::write(&repo.odb, &items, &mut pack)?;
    match base {
        None => put(&pack),
        Some(base) => {
            let base = repo.cwd.join(base);
            write_pair(&base, &pack, &places, &sum)?;
            out!("{sum}\n");
        }
    }
    Ok(0)
}

fn write_pair(base: &Path, pack: &[u8], places: &[Place], sum: &Oid) -> Res<()> {
    for (suffix, content) in [("pack", pack), ("idx", &packwrite::index(places, sum)[..])] {
        let mut name = base.as_os_str().to_owned();
        name.push(format!("-{sum}.{suffix}"));
        fs::write(name, content)?;
    }
    Ok(())
}

pub(crate) fn index_pack(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args =
        Args::new(words, "o", "index-pack", "[-v] [-o <index-file>] [--fix-thin] [--stdin] [<pack-file>]");
    let (mut stdin, mut fix, mut target, mut file) = (false, false, None, None);
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--stdin" => stdin = true,
                "--fix-thin" => fix = true,
                "-v" | "--no-rev-index" => {}
                "-o" => target = Some(args.value(&o)?),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => file = Some(bytes::text(&word)),
        }
    }
    let repo = Repo::open(setting);
    let here = match &repo {
        Ok(repo) => repo.cwd.clone(),
        Err(_) => agentos_guest::env::current_dir()?,
    };
    let mut pack = match &file {
        _ if stdin => agentos_guest::fd::read_to_end(0)?,
        Some(file) => fs::read(here.join(file)).map_err(|e| {
            Stop::Fatal(format!("cannot open packfile '{file}': {}", agentos_guest::strerror(&e)))
        })?,
        None => return Err(Stop::Said(129, args.usage_text())),
    };
    let mut places = Vec::new();
    let odb = repo.as_ref().ok().filter(|_| fix).map(|r| &r.odb);
    let sum = unpack(&mut pack, odb, &mut |object| {
        places.push(object.place);
        Ok(())
    })?;
    places.sort_by_key(|p| p.oid);
    if stdin {
        let Ok(repo) = &repo else { fatal!("--stdin requires a git repository") };
        repo.odb.add_pack(&pack, &places, &sum)?;
        out!("pack\t{sum}\n");
        return Ok(0);
    }
    let file = here.join(file.unwrap_or_default());
    let target = target.map_or_else(|| file.with_extension("idx"), |t| here.join(t));
    let _ = fs::remove_file(&target);
    fs::write(&target, packwrite::index(&places, &sum))?;
    out!("{sum}\n");
    Ok(0)
}

pub(crate) fn unpack_objects(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "unpack-objects", "[-n] [-q] [-r] [--strict]");
    let mut dry = false;
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) if o == "-n" => dry = true,
            Word::Option(o) if matches!(o.as_str(), "-q" | "-r" | "--strict") => {}
            Word::Option(o) => return Err(args.unknown(&o)),
            Word::Plain(_) => return Err(Stop::Said(129, args.usage_text())),
        }
    }
    let repo = Repo::open(setting)?;
    let mut pack = agentos_guest::fd::read_to_end(0)?;
    unpack(&mut pack, Some(&repo.odb), &mut |object| {
        if !dry {
            repo.odb.write(object.kind, object.data)?;
        }
        Ok(())
    })?;
    Ok(0)
}

pub(crate) fn verify_pack(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "verify-pack", "[--] <pack>.idx...");
    let mut files = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) if matches!(o.as_str(), "-v" | "--verbose" | "-s" | "--stat-only") => {
                fatal!("option {o} is not supported")
            }
            Word::Option(o) => return Err(args.unknown(&o)),
            Word::Plain(word) => files.push(bytes::text(&word)),
        }
    }
    let here = match Repo::open(setting) {
        Ok(repo) => repo.cwd,
        Err(_) => agentos_guest::env::current_dir()?,
    };
    let mut status = 0;
    for name in &files {
        let file = here.join(name).with_extension("pack");
        let check = || -> Res<()> {
            let index = crate::pack::Pack::open(&file.with_extension("idx"))?;
            let mut pack = fs::read(&file)?;
            let (mut count, mut good) = (0, true);
            unpack(&mut pack, None, &mut |o| {
                count += 1;
                good &= index.find(&o.place.oid) == Some(o.place.offset);
                Ok(())
            })?;
            if !good || count != index.names().count() {
                fatal!("packfile {} does not match index", file.display());
            }
            Ok(())
        };
        if let Err(stop) = check() {
            say!("error: {}", stop.message());
            status = 1;
        }
    }
    Ok(status)
}
