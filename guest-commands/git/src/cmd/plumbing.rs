//! Commands for scripts that deal with objects and the index.

use crate::args::{Args, Word};
use crate::bytes;
use crate::changes;
use crate::error::{Res, Stop, fatal, out, put, say};
use crate::index::{Entry, Index};
use crate::oid::{
    Commit, Kind, MODE_DIR, Oid, TreeEntry, kind_of_mode, parse_tree, write_tree as tree_bytes,
};
use crate::repo::{Repo, Setting};
use crate::worktree::{self, State, Walk};
use crate::{message, revision, switch, tree, walk};
use std::fs;

pub(crate) fn cat_file(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "",
        "cat-file",
        "(-e | -p | -t | -s | <type>) <object>\n   or: git cat-file (--batch | --batch-check)[=<format>]",
    );
    let repo = Repo::open(setting)?;
    let (mut mode, mut batch, mut format) =
        (' ', ' ', "%(objectname) %(objecttype) %(objectsize)".to_owned());
    let mut names: Vec<String> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-e" | "-p" | "-t" | "-s" => mode = o.chars().nth(1).unwrap_or(' '),
                "--batch" => batch = 'b',
                "--batch-check" => batch = 'c',
                "--batch=" => (batch, format) = ('b', args.value(&o)?),
                "--batch-check=" => (batch, format) = ('c', args.value(&o)?),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    if batch != ' ' {
        let input = agentos_guest::fd::read_to_end(0)?;
        for line in input.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let name = bytes::text(line);
            let Some(oid) = revision::find(&repo, &name).ok().flatten().filter(|o| repo.odb.exists(o)) else {
                out!("{name} missing\n");
                continue;
            };
            let (kind, data) = repo.odb.read(&oid)?;
            let line = format
                .replace("%(objectname)", &oid.to_string())
                .replace("%(objecttype)", kind.name())
                .replace("%(objectsize)", &data.len().to_string())
                .replace("%(rest)", "");
            out!("{line}\n");
            if batch == 'b' {
                put(&data);
                put(b"\n");
            }
        }
        return Ok(0);
    }
    let (name, want) = match (&names[..], mode) {
        ([name], m) if m != ' ' => (name, None),
        ([kind, name], ' ') => match Kind::parse(kind.as_bytes()) {
            Some(kind) => (name, Some(kind)),
            None => fatal!("invalid object type \"{kind}\""),
        },
        _ => return Err(Stop::Said(129, args.usage_text())),
    };
    let Some(oid) = revision::find(&repo, name)? else { fatal!("Not a valid object name {name}") };
    if mode == 'e' {
        return Ok(i32::from(!repo.odb.exists(&oid)));
    }
    let Some((kind, data)) = repo.odb.try_read(&oid)? else {
        if mode == 'p' {
            fatal!("Not a valid object name {name}");
        }
        fatal!("git cat-file: could not get object info");
    };
    match (mode, want) {
        ('t', _) => out!("{}\n", kind.name()),
        ('s', _) => out!("{}\n", data.len()),
        ('p', _) if kind == Kind::Tree => {
            for e in parse_tree(&data)? {
                out!("{:06o} {} {}\t{}\n", e.mode, kind_of_mode(e.mode).name(), e.oid, repo.quoted(&e.name));
            }
        }
        ('p', _) => put(&data),
        (_, Some(want)) => {
            let mut at = oid;
            loop {
                let (kind, data) = repo.odb.read(&at)?;
                if kind == want {
                    put(&data);
                    return Ok(0);
                }
                at = match (kind, want) {
                    (Kind::Tag, _) => repo.odb.peel(&at)?.0,
                    (Kind::Commit, Kind::Tree) => repo.odb.commit(&at)?.tree,
                    _ => fatal!("git cat-file {name}: bad file"),
                };
            }
        }
        _ => {}
    }
    Ok(0)
}

pub(crate) fn hash_object(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args =
        Args::new(words, "t", "hash-object", "[-t <type>] [-w] [--stdin] [--stdin-paths] [--] <file>...");
    let (mut write, mut stdin, mut kind, mut from_stdin) = (false, false, Kind::Blob, false);
    let mut paths = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-w" => write = true,
                "--stdin" => stdin = true,
                "--stdin-paths" => from_stdin = true,
                "--no-filters" | "--literally" => {}
                "--path=" => {
                    args.value(&o)?;
                }
                "-t" => {
                    let name = args.value(&o)?;
                    match Kind::parse(name.as_bytes()) {
                        Some(k) => kind = k,
                        None => fatal!("invalid object type \"{name}\""),
                    }
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => paths.push(word),
        }
    }
    let cwd = agentos_guest::env::current_dir()?;
    let repo = if write { Some(Repo::open(setting)?) } else { None };
    let done = |data: &[u8]| -> Res<()> {
        let oid = match &repo {
            Some(repo) => repo.odb.write(kind, data)?,
            None => crate::oid::hash_object(kind, data),
        };
        out!("{oid}\n");
        Ok(())
    };
    if stdin {
        done(&agentos_guest::fd::read_to_end(0)?)?;
    }
    if from_stdin {
        let input = agentos_guest::fd::read_to_end(0)?;
        paths.extend(input.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec));
    }
    for path in paths {
        let data = fs::read(cwd.join(bytes::path(&path))).map_err(|e| {
            Stop::Fatal(format!(
                "could not open '{}' for reading: {}",
                bytes::text(&path),
                agentos_guest::strerror(&e)
            ))
        })?;
        done(&data)?;
    }
    Ok(0)
}

pub(crate) fn ls_files(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "x",
        "ls-files",
        "[-c] [-d] [-m] [-o] [-i] [-s] [-u] [-t] [-z] [--exclude-standard] [--full-name] [--error-unmatch] [--] [<file>...]",
    );
    let repo = Repo::open(setting)?;
    let (
        mut cached,
        mut deleted,
        mut modified,
        mut others,
        mut ignored,
        mut stage,
        mut unmerged,
        mut nul,
        mut standard,
        mut full,
        mut strict,
        mut tags,
        mut dirs,
    ) = (false, false, false, false, false, false, false, false, false, false, false, false, false);
    let mut paths = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-c" | "--cached" => cached = true,
                "-d" | "--deleted" => deleted = true,
                "-m" | "--modified" => modified = true,
                "-o" | "--others" => others = true,
                "-i" | "--ignored" => ignored = true,
                "-s" | "--stage" => stage = true,
                "-u" | "--unmerged" => (unmerged, stage) = (true, true),
                "-t" => tags = true,
                "-z" => nul = true,
                "--exclude-standard" => standard = true,
                "--full-name" => full = true,
                "--error-unmatch" => strict = true,
                "--directory" => dirs = true,
                "--deduplicate" | "--no-empty-directory" => {}
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => paths.push(word),
        }
    }
    let spec = if paths.is_empty() && !repo.prefix.is_empty() {
        repo.pathspec(&[b".".to_vec()])?
    } else {
        repo.pathspec(&paths)?
    };
    let index = repo.index()?;
    let end = if nul { '\0' } else { '\n' };
    let name = |path: &[u8]| -> Vec<u8> {
        let path = if full { path.to_vec() } else { repo.relative(path) };
        if nul { path } else { bytes::quote(&path, repo.quote_path()) }
    };
    let show = |tag: &str, path: &[u8]| {
        if tags {
            out!("{tag} ");
        }
        put(&name(path));
        out!("{end}");
    };
    if !(cached || deleted || modified || others || unmerged) {
        cached = true;
    }
    let mut used = Vec::new();
    index.entries.iter().for_each(|e| spec.mark(&e.path, &mut used));
    let ignore = if standard || ignored { repo.ignore() } else { crate::ignore::Ignore::none() };
    if others {
        let found = worktree::untracked(&index, &ignore, &spec, Walk { collapse: dirs, ignored: true })?;
        for path in if ignored { &found.ignored } else { &found.untracked } {
            spec.mark(path, &mut used);
            show("?", path);
        }
    }
    for entry in index.entries.iter().filter(|e| spec.matches(&e.path)) {
        if cached || unmerged {
            if (unmerged && entry.stage == 0) || (ignored && !ignore.ignored(&entry.path, false)) {
                continue;
            }
            if tags {
                out!(
                    "{} ",
                    if entry.stage > 0 {
                        "M"
                    } else if entry.skip_worktree {
                        "S"
                    } else {
                        "H"
                    }
                );
            }
            if stage {
                out!("{:06o} {} {}\t", entry.mode, entry.oid, entry.stage);
            }
            put(&name(&entry.path));
            out!("{end}");
        }
        if deleted || modified {
            let state = worktree::compare(&index, entry, repo.filemode()).0;
            if deleted && state == State::Deleted {
                show("R", &entry.path);
            }
            if modified && matches!(state, State::Deleted | State::Modified | State::Type) {
                show("C", &entry.path);
            }
        }
    }
    if strict && let Some(s) = spec.unused(&used).next() {
        say!("error: pathspec '{}' did not match any file(s) known to git", s.text());
        say!("Did you forget to 'git add'?");
        return Ok(1);
    }
    Ok(0)
}

pub(crate) fn ls_tree(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "",
        "ls-tree",
        "[-d] [-r] [-t] [-l] [-z] [--name-only] [--full-name] [--full-tree] <tree-ish> [<path>...]",
    );
    let repo = Repo::open(setting)?;
    let (
        mut only_dirs,
        mut recursive,
        mut with_dirs,
        mut long,
        mut nul,
        mut names,
        mut full,
        mut objects,
        mut top,
    ) = (false, false, false, false, false, false, false, false, false);
    let mut plain = Vec::new();
    let mut abbrev = 40;
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-d" => only_dirs = true,
                "-r" => recursive = true,
                "-t" => with_dirs = true,
                "-l" | "--long" => long = true,
                "-z" => nul = true,
                "--name-only" | "--name-status" => names = true,
                "--object-only" => objects = true,
                "--full-name" => full = true,
                "--full-tree" => (full, top) = (true, true),
                "--abbrev" => abbrev = repo.abbrev(),
                "--abbrev=" => abbrev = args.value(&o)?.parse().unwrap_or(7),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => plain.push(word),
        }
    }
    let Some(first) = plain.first() else { return Err(Stop::Said(129, args.usage_text())) };
    let text = bytes::text(first);
    let Some(oid) = revision::find(&repo, &text)? else { fatal!("Not a valid object name {text}") };
    let Some(tree) = repo.odb.peel_tree(&oid)? else { fatal!("not a tree object") };
    let prefix = if top { Vec::new() } else { repo.prefix.clone() };
    let mut wanted = Vec::new();
    for path in &plain[1..] {
        let clean = bytes::normalize(&prefix, path).unwrap_or_default();
        wanted.push((clean, path.ends_with(b"/")));
    }
    if plain.len() == 1 && !prefix.is_empty() {
        wanted.push((prefix.clone(), true));
    }
    let mut rows = Vec::new();
    list(&repo, &tree, b"", &wanted, (recursive, with_dirs, only_dirs), &mut rows)?;
    for (path, e) in rows {
        let shown = if full { path } else { bytes::relative(&path, &prefix) };
        let shown = if nul { shown } else { bytes::quote(&shown, repo.quote_path()) };
        if objects {
            out!("{}", repo.odb.short(&e.oid, abbrev));
        } else {
            if !names {
                let kind = kind_of_mode(e.mode);
                out!("{:06o} {} {}", e.mode, kind.name(), repo.odb.short(&e.oid, abbrev));
                if long {
                    let size = if kind == Kind::Blob {
                        repo.odb.blob(&e.oid)?.len().to_string()
                    } else {
                        "-".to_owned()
                    };
                    out!(" {size:>7}");
                }
                put(b"\t");
            }
            put(&shown);
        }
        put(if nul { b"\0" } else { b"\n" });
    }
    Ok(0)
}

fn list(
    repo: &Repo,
    tree: &Oid,
    at: &[u8],
    wanted: &[(Vec<u8>, bool)],
    how: (bool, bool, bool),
    rows: &mut Vec<(Vec<u8>, TreeEntry)>,
) -> Res<()> {
    let (recursive, with_dirs, only_dirs) = how;
    for e in repo.odb.tree(tree)? {
        let path = bytes::join(at, &e.name);
        let dir = e.mode == MODE_DIR;
        let hit = wanted.is_empty()
            || wanted.iter().any(|(w, slash)| bytes::within(&path, w) && !(dir && *slash && path == *w));
        let above = dir
            && wanted
                .iter()
                .any(|(w, slash)| (bytes::within(w, &path) && *w != path) || (*slash && path == *w));
        if dir && (above || (recursive && hit)) {
            if hit && (with_dirs || only_dirs) {
                rows.push((path.clone(), e.clone()));
            }
            if !(only_dirs && !recursive && !above) {
                list(repo, &e.oid, &path, wanted, how, rows)?;
            }
        } else if hit && (dir || !only_dirs) {
            rows.push((path, e));
        }
    }
    Ok(())
}

pub(crate) fn merge_base(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "merge-base", "[-a | --all] [--is-ancestor] <commit> <commit>...");
    let repo = Repo::open(setting)?;
    let (mut all, mut ancestor) = (false, false);
    let mut commits = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-a" | "--all" => all = true,
                "--is-ancestor" => ancestor = true,
                "--octopus" | "--independent" | "--fork-point" => fatal!("option {o} is not supported"),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => {
                let text = bytes::text(&word);
                match revision::find(&repo, &text)? {
                    Some(oid) => match repo.odb.peel_commit(&oid)? {
                        Some(oid) => commits.push(oid),
                        None => fatal!("Not a valid commit name {text}"),
                    },
                    None => fatal!("Not a valid object name {text}"),
                }
            }
        }
    }
    let [a, b] = commits[..] else { return Err(Stop::Said(129, args.usage_text())) };
    if ancestor {
        return Ok(i32::from(!walk::is_ancestor(&repo, &a, &b)?));
    }
    let bases = walk::merge_bases(&repo, &a, &b)?;
    for base in bases.iter().take(if all { usize::MAX } else { 1 }) {
        out!("{base}\n");
    }
    Ok(i32::from(bases.is_empty()))
}

pub(crate) fn write_tree(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    if !words.is_empty() {
        return Err(Stop::Said(129, "usage: git write-tree".to_owned()));
    }
    let repo = Repo::open(setting)?;
    out!("{}\n", tree::from_index(&repo, &repo.index()?)?);
    Ok(0)
}

pub(crate) fn read_tree(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "read-tree", "[-m] [-u] [--reset] [--empty] <tree-ish>");
    let repo = Repo::open(setting)?;
    let (mut update, mut empty, mut reset, mut prefix) = (false, false, false, None);
    let mut names = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-m" => {}
                "-u" => update = true,
                "--reset" => reset = true,
                "--empty" => empty = true,
                "--prefix=" => prefix = Some(args.value_bytes(&o)?),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    let mut index = repo.index()?;
    let lock = index.lock()?;
    if empty {
        index.entries.clear();
        index.write(lock)?;
        return Ok(0);
    }
    if names.len() != 1 {
        fatal!("reading more than one tree is not supported");
    }
    let oid = revision::resolve(&repo, &names[0])?;
    let files = changes::files(&repo, repo.odb.peel_tree(&oid)?)?;
    if let Some(prefix) = prefix {
        for (path, (mode, oid)) in files {
            index.put(Entry::new(bytes::join(&prefix, &path), mode, oid, 0));
        }
    } else if update {
        if reset {
            switch::force(&repo, &mut index, &files)?;
        } else {
            switch::two_way(&repo, &mut index, &super::head_files(&repo)?, &files, &switch::MERGE)?;
        }
    } else {
        tree::into_index(&mut index, &files);
    }
    index.write(lock)?;
    Ok(0)
}

pub(crate) fn commit_tree(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "pmF", "commit-tree", "<tree> [(-p <parent>)...] [-m <message>]");
    let repo = Repo::open(setting)?;
    let (mut tree, mut parents, mut messages) = (None, Vec::new(), Vec::new());
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-p" => parents.push(revision::commit(&repo, &args.value(&o)?)?),
                "-m" => messages.push(args.value(&o)?),
                "-F" => messages.push(
                    bytes::text(&fs::read(repo.cwd.join(args.value(&o)?))?).trim_end_matches('\n').to_owned(),
                ),
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => {
                let text = bytes::text(&word);
                match revision::find(&repo, &text)? {
                    Some(oid) => tree = repo.odb.peel_tree(&oid)?,
                    None => fatal!("not a valid object name {text}"),
                }
            }
        }
    }
    let Some(tree) = tree else { fatal!("must give exactly one tree") };
    let text = if messages.is_empty() {
        agentos_guest::fd::read_to_end(0)?
    } else {
        (messages.join("\n\n") + "\n").into_bytes()
    };
    let commit = Commit {
        tree,
        parents,
        author: repo.author()?,
        committer: repo.committer()?,
        extra: Vec::new(),
        message: text,
    };
    out!("{}\n", repo.odb.write(Kind::Commit, &commit.write())?);
    let _ = message::Cleanup::Strip;
    Ok(0)
}

pub(crate) fn mktree(setting: &Setting, _: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    let mut entries = Vec::new();
    for line in agentos_guest::fd::read_to_end(0)?.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        let text = bytes::text(line);
        let parsed = text.split_once('\t').and_then(|(head, name)| {
            let mut words = head.split(' ');
            let mode = u32::from_str_radix(words.next()?, 8).ok()?;
            words.next()?;
            let oid = Oid::parse(words.next()?.as_bytes())?;
            Some(TreeEntry { mode, name: name.as_bytes().to_vec(), oid })
        });
        match parsed {
            Some(entry) => entries.push(entry),
            None => fatal!("input format error: {text}"),
        }
    }
    out!("{}\n", repo.odb.write(Kind::Tree, &tree_bytes(entries))?);
    Ok(0)
}

pub(crate) fn update_index(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting)?;
    let mut index: Index = repo.index()?;
    let lock = index.lock()?;
    let (mut add, mut remove, mut refresh, mut status) = (false, false, false, 0);
    let mut flag: Option<(bool, bool)> = None;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        match &word[..] {
            b"--add" => add = true,
            b"--remove" => remove = true,
            b"--refresh" | b"--really-refresh" => refresh = true,
            b"-q" | b"--" => {}
            b"--assume-unchanged" => flag = Some((true, true)),
            b"--no-assume-unchanged" => flag = Some((true, false)),
            b"--skip-worktree" => flag = Some((false, true)),
            b"--no-skip-worktree" => flag = Some((false, false)),
            b"--cacheinfo" => {
                let mut parts: Vec<String> = words
                    .get(at)
                    .map(|w| bytes::text(w))
                    .unwrap_or_default()
                    .splitn(3, ',')
                    .map(str::to_owned)
                    .collect();
                at += 1;
                if parts.len() == 1 {
                    parts.extend(words[at.min(words.len())..].iter().take(2).map(|w| bytes::text(w)));
                    at += 2;
                }
                let [mode, oid, path] = &parts[..] else {
                    fatal!("option 'cacheinfo' expects <mode>,<sha1>,<path>")
                };
                let (Ok(mode), Some(oid)) = (u32::from_str_radix(mode, 8), Oid::parse(oid.as_bytes())) else {
                    fatal!("git update-index: --cacheinfo cannot add {path}");
                };
                if !add && !index.has(path.as_bytes()) {
                    fatal!("git update-index: --cacheinfo cannot add {path}");
                }
                index.put(Entry::new(path.clone().into_bytes(), mode, oid, 0));
            }
            option if option.starts_with(b"--chmod=") => {
                let mode = if option.ends_with(b"+x") { 0o100_755 } else { 0o100_644 };
                let path = repo.user_path(words.get(at).map_or(&b""[..], Vec::as_slice))?;
                at += 1;
                let range = index.range(&path);
                index.entries[range].iter_mut().for_each(|e| e.mode = mode);
            }
            option if option.starts_with(b"-") => fatal!("option {} is not supported", bytes::text(option)),
            path => {
                let path = repo.user_path(path)?;
                if let Some((assume, on)) = flag {
                    let range = index.range(&path);
                    if range.is_empty() {
                        fatal!("Unable to mark file {}", bytes::text(&path));
                    }
                    for e in &mut index.entries[range] {
                        if assume { e.assume_valid = on } else { e.skip_worktree = on }
                    }
                    continue;
                }
                let there = fs::symlink_metadata(bytes::path(&path)).is_ok();
                if !there && remove {
                    index.remove(&path);
                } else if !there {
                    say!("error: {}: does not exist and --remove not passed", bytes::text(&path));
                    fatal!("Unable to process path {}", bytes::text(&path));
                } else if !add && !index.has(&path) {
                    say!("error: {}: cannot add to the index - missing --add option?", bytes::text(&path));
                    fatal!("Unable to process path {}", bytes::text(&path));
                } else {
                    super::add::stage(&repo, &mut index, &path)?;
                }
            }
        }
    }
    if refresh {
        worktree::refresh(&mut index, repo.filemode());
        for c in changes::index_to_worktree(&repo, &index, &Default::default()) {
            out!("{}: needs {}\n", bytes::text(c.path()), if c.status == b'U' { "merge" } else { "update" });
            status = 1;
        }
    }
    index.write(lock)?;
    Ok(status)
}

pub(crate) fn check_ignore(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args =
        Args::new(words, "", "check-ignore", "[-q] [-v] [-n] [--no-index] [-z] (--stdin | <pathname>...)");
    let (mut quiet, mut verbose, mut stdin, mut no_index, mut non, mut nul) =
        (false, false, false, false, false, false);
    let mut paths = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-q" | "--quiet" => quiet = true,
                "-v" | "--verbose" => verbose = true,
                "--stdin" => stdin = true,
                "--no-index" => no_index = true,
                "-n" | "--non-matching" => non = true,
                "-z" => nul = true,
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => paths.push(word),
        }
    }
    if stdin {
        let input = agentos_guest::fd::read_to_end(0)?;
        paths.extend(
            input.split(|b| *b == if nul { 0 } else { b'\n' }).filter(|l| !l.is_empty()).map(<[u8]>::to_vec),
        );
    } else if paths.is_empty() {
        fatal!("no path specified");
    }
    let repo = Repo::open(setting)?;
    let index = repo.index()?;
    let ignore = repo.ignore();
    let mut any = false;
    for given in paths {
        let path = repo.user_path(&given)?;
        let dir = given.ends_with(b"/") || bytes::path(&path).is_dir();
        let tracked = !no_index && (index.has(&path) || (dir && index.has_below(&path)));
        let rule = if tracked { None } else { ignore.deciding(&path, dir) };
        let shown = if nul { given.clone() } else { bytes::quote(&given, repo.quote_path()) };
        let hit = rule.as_ref().is_some_and(|r| verbose || !r.negative);
        any |= hit;
        if quiet || !(hit || (verbose && non)) {
            continue;
        }
        if verbose {
            match rule {
                Some(r) => out!("{}:{}:{}\t", bytes::text(&r.source), r.line, bytes::text(&r.text)),
                None => out!("::\t"),
            }
        }
        put(&shown);
        put(if nul { b"\0" } else { b"\n" });
    }
    Ok(i32::from(!any))
}
