//! `git add`, `git rm`, `git mv`.

use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, fatal, out, say};
use crate::index::{Entry, Index, index_mode};
use crate::oid::{MODE_GITLINK, MODE_LINK};
use crate::pathspec::Pathspec;
use crate::repo::{Repo, Setting};
use crate::worktree::{self, State, Walk};
use agentos_guest::fs::lstat;
use std::fs;

/// Puts a file of the work tree into the index.
pub(crate) fn stage(repo: &Repo, index: &mut Index, path: &[u8]) -> Res<()> {
    let stat = lstat(bytes::path(path)).map_err(|e| {
        Stop::Error(128, format!("open(\"{}\"): {}", bytes::text(path), agentos_guest::strerror(&e)))
    })?;
    let old = index.get(path).or_else(|| index.stage(path, 2)).map_or(0, |e| e.mode);
    let mut mode = worktree::mode_of(repo.filemode(), &stat, if old == 0 { 0o100_644 } else { old });
    if mode == 0 {
        fatal!("{}: can only add regular files, symbolic links or git-directories", bytes::text(path));
    }
    if mode == MODE_GITLINK {
        fatal!("adding embedded repositories is not supported: {}", bytes::text(path));
    }
    if mode == MODE_LINK && index_mode(&stat) != Some(MODE_LINK) {
        mode = 0o100_644;
    }
    let oid = worktree::store(repo, path, &stat)?;
    let mut entry = Entry::new(path.to_vec(), mode, oid, 0);
    entry.set_stat(&stat);
    index.put(entry);
    Ok(())
}

/// Takes changes and deletions of tracked files into the index. True if there were any.
pub(crate) fn update_tracked(
    repo: &Repo,
    index: &mut Index,
    spec: &Pathspec,
    verbose: bool,
    dry: bool,
) -> Res<()> {
    let filemode = repo.filemode();
    let mut todo = Vec::new();
    for entry in &index.entries {
        if !spec.matches(&entry.path) || todo.last().is_some_and(|(p, _)| *p == entry.path) {
            continue;
        }
        if entry.stage != 0 {
            let gone = lstat(bytes::path(&entry.path)).is_err();
            todo.push((entry.path.clone(), gone));
            continue;
        }
        match worktree::compare(index, entry, filemode).0 {
            State::Same | State::Stale => {}
            State::Deleted => todo.push((entry.path.clone(), true)),
            _ => todo.push((entry.path.clone(), false)),
        }
    }
    for (path, gone) in todo {
        if verbose || dry {
            out!("{} '{}'\n", if gone { "remove" } else { "add" }, bytes::text(&path));
        }
        if dry {
            continue;
        }
        if gone { index.remove(&path) } else { stage(repo, index, &path)? }
    }
    Ok(())
}

/// Pathspecs out of a file (`--pathspec-from-file`).
fn from_file(file: &str, nul: bool) -> Res<Vec<Vec<u8>>> {
    let text = if file == "-" {
        agentos_guest::fd::read_to_end(0)?
    } else {
        fs::read(file).map_err(|e| {
            Stop::Fatal(format!("could not open '{file}' for reading: {}", agentos_guest::strerror(&e)))
        })?
    };
    Ok(text
        .split(|b| *b == if nul { 0 } else { b'\n' })
        .filter(|l| !l.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}

pub(crate) fn add(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "add", "[-A] [-u] [-n] [-f] [-v] [-N] [--] <pathspec>...");
    let (mut all, mut update, mut dry, mut force, mut verbose, mut intent) =
        (false, false, false, false, false, false);
    let (mut ignore_errors, mut ignore_removal, mut nul, mut chmod, mut refresh) =
        (false, false, false, None, false);
    let mut paths = Vec::new();
    let mut file = None;
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-A" | "--all" | "--no-ignore-removal" => all = true,
                "--no-all" | "--ignore-removal" => ignore_removal = true,
                "-u" | "--update" => update = true,
                "-n" | "--dry-run" => dry = true,
                "-f" | "--force" => force = true,
                "-v" | "--verbose" => verbose = true,
                "-N" | "--intent-to-add" => intent = true,
                "--ignore-errors" => ignore_errors = true,
                "--refresh" => refresh = true,
                "--chmod=" => chmod = Some(args.value(&o)?),
                "--pathspec-from-file=" | "--pathspec-from-file" => file = Some(args.value(&o)?),
                "--pathspec-file-nul" => nul = true,
                "-p" | "--patch" | "-i" | "--interactive" | "-e" | "--edit" => {
                    fatal!("option {o} is not supported: it needs a terminal dialogue")
                }
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => paths.push(word),
        }
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    if let Some(file) = file {
        paths.extend(from_file(&file, nul)?);
    }
    if all && update {
        fatal!("options '-A' and '-u' cannot be used together");
    }
    if paths.is_empty() && !all && !update {
        say!("Nothing specified, nothing added.");
        say!("hint: Maybe you wanted to say 'git add .'?");
        say!("hint: Disable this message with \"git config advice.addEmptyPathspec false\"");
        return Ok(0);
    }
    let spec = repo.pathspec(&paths)?;
    let mut index = repo.index()?;
    let lock = index.lock()?;
    if refresh {
        worktree::refresh(&mut index, repo.filemode());
        index.write(lock)?;
        return Ok(0);
    }
    let mut used: Vec<bool> = Vec::new();
    for entry in &index.entries {
        spec.mark(&entry.path, &mut used);
    }
    let mut new = Vec::new();
    let mut refused: Vec<Vec<u8>> = Vec::new();
    if !update {
        let ignore = repo.ignore();
        let found = worktree::untracked(&index, &ignore, &spec, Walk { collapse: false, ignored: true })?;
        for path in &found.untracked {
            spec.mark(path, &mut used);
            new.push(path.clone());
        }
        for path in &found.ignored {
            if force {
                spec.mark(path, &mut used);
                new.push(path.clone());
            } else if let Some(named) = spec.specs.iter().find(|s| {
                !s.path.is_empty()
                    && (s.path == *path || bytes::within(path, &s.path))
                    && ignore.deciding(&s.path, bytes::path(&s.path).is_dir()).is_some_and(|r| !r.negative)
            }) {
                refused.push(named.original.clone());
                spec.mark(path, &mut used);
            }
        }
    }
    // A directory that exists, even an empty one, is no mistake.
    for s in spec.unused(&used).cloned().collect::<Vec<_>>() {
        let there = s.path.is_empty() || fs::symlink_metadata(bytes::path(&s.path)).is_ok();
        if !there {
            fatal!("pathspec '{}' did not match any files", s.text());
        }
    }
    refused.dedup();
    if !refused.is_empty() {
        say!("The following paths are ignored by one of your .gitignore files:");
        refused.iter().for_each(|p| say!("{}", bytes::text(p)));
        say!("hint: Use -f if you really want to add them.");
        say!("hint: Disable this message with \"git config advice.addIgnoredFile false\"");
    }
    if !ignore_removal {
        update_tracked(&repo, &mut index, &spec, verbose, dry)?;
    }
    new.sort();
    let mut status = i32::from(!refused.is_empty());
    for path in new {
        if path.ends_with(b"/") {
            let name = bytes::text(&path);
            fatal!("adding embedded repositories is not supported: {}", name.trim_end_matches('/'));
        }
        if verbose || dry {
            out!("add '{}'\n", bytes::text(&path));
        }
        if dry {
            continue;
        }
        if intent {
            let stat = lstat(bytes::path(&path))?;
            let oid = repo.odb.write(crate::oid::Kind::Blob, b"")?;
            let mut entry = Entry::new(path, index_mode(&stat).unwrap_or(0o100_644), oid, 0);
            entry.intent_to_add = true;
            index.put(entry);
            continue;
        }
        match stage(&repo, &mut index, &path) {
            Ok(()) => {}
            Err(stop) => {
                say!("error: {}", stop.message());
                say!("error: unable to index file '{}'", bytes::text(&path));
                if !ignore_errors {
                    fatal!("adding files failed");
                }
                status = 1;
            }
        }
    }
    if let Some(chmod) = chmod {
        let mode = match chmod.as_str() {
            "+x" => 0o100_755,
            "-x" => 0o100_644,
            _ => fatal!("--chmod param '{chmod}' must be either -x or +x"),
        };
        for entry in
            index.entries.iter_mut().filter(|e| spec.matches(&e.path) && e.mode & 0o170_000 == 0o100_000)
        {
            entry.mode = mode;
        }
    }
    if !dry {
        index.write(lock)?;
    }
    Ok(status)
}

pub(crate) fn rm(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args =
        Args::new(words, "", "rm", "[-f] [-n] [-r] [--cached] [--ignore-unmatch] [-q] [--] <pathspec>...");
    let (mut force, mut dry, mut recursive, mut cached, mut unmatched, mut quiet) =
        (false, false, false, false, false, false);
    let mut paths = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-f" | "--force" => force = true,
                "-n" | "--dry-run" => dry = true,
                "-r" => recursive = true,
                "--cached" => cached = true,
                "--ignore-unmatch" => unmatched = true,
                "-q" | "--quiet" => quiet = true,
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => paths.push(word),
        }
    }
    if paths.is_empty() {
        fatal!("No pathspec was given. Which files should I remove?");
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let spec = repo.pathspec(&paths)?;
    let mut index = repo.index()?;
    let lock = index.lock()?;
    let mut used = Vec::new();
    let mut found: Vec<Vec<u8>> = Vec::new();
    for entry in &index.entries {
        if spec.matches(&entry.path) {
            spec.mark(&entry.path, &mut used);
            found.push(entry.path.clone());
        }
    }
    found.dedup();
    if !unmatched && let Some(s) = spec.unused(&used).next() {
        fatal!("pathspec '{}' did not match any files", s.text());
    }
    if !recursive {
        for s in &spec.specs {
            if !crate::glob::is_pattern(&s.path)
                && found.iter().any(|p| *p != s.path && bytes::within(p, &s.path))
            {
                fatal!("not removing '{}' recursively without -r", s.text());
            }
        }
    }
    if !force {
        let head = super::head_files(&repo)?;
        let (mut both, mut staged, mut local) = (Vec::new(), Vec::new(), Vec::new());
        for path in &found {
            let Some(entry) = index.get(path) else { continue };
            let state = worktree::compare(&index, entry, repo.filemode()).0;
            let changed = matches!(state, State::Modified | State::Type);
            let in_head = head.get(path) == Some(&(entry.mode, entry.oid));
            match (changed, in_head) {
                (true, false) => both.push(path.clone()),
                (false, false) if !cached && state != State::Deleted => staged.push(path.clone()),
                (true, true) if !cached => local.push(path.clone()),
                _ => {}
            }
        }
        let complain = |paths: &[Vec<u8>], one: &str, many: &str, hint: &str| {
            if paths.is_empty() {
                return false;
            }
            let what = if paths.len() == 1 { one } else { many };
            let list: String = paths.iter().map(|p| format!("    {}\n", bytes::text(p))).collect();
            say!("error: {what}:\n{list}({hint})");
            true
        };
        let mut bad = complain(
            &both,
            "the following file has staged content different from both the\nfile and the HEAD",
            "the following files have staged content different from both the\nfile and the HEAD",
            "use -f to force removal",
        );
        bad |= complain(
            &staged,
            "the following file has changes staged in the index",
            "the following files have changes staged in the index",
            "use --cached to keep the file, or -f to force removal",
        );
        bad |= complain(
            &local,
            "the following file has local modifications",
            "the following files have local modifications",
            "use --cached to keep the file, or -f to force removal",
        );
        if bad {
            return Ok(1);
        }
    }
    for path in found {
        if !quiet {
            out!("rm '{}'\n", bytes::text(&path));
        }
        if dry {
            continue;
        }
        index.remove(&path);
        if !cached {
            worktree::remove(&path).map_err(|e| {
                Stop::Fatal(format!("git rm: '{}': {}", bytes::text(&path), agentos_guest::strerror(&e)))
            })?;
        }
    }
    if !dry {
        index.write(lock)?;
    }
    Ok(0)
}

pub(crate) fn mv(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "mv", "[-v] [-f] [-n] [-k] <source>... <destination>");
    let (mut force, mut dry, mut skip, mut verbose) = (false, false, false, false);
    let mut paths = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-f" | "--force" => force = true,
                "-n" | "--dry-run" => dry = true,
                "-k" => skip = true,
                "-v" | "--verbose" => verbose = true,
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => paths.push(word),
        }
    }
    if paths.len() < 2 {
        return Err(Stop::Said(129, args.usage_text()));
    }
    let repo = Repo::open(setting)?;
    repo.need_work_tree()?;
    let mut index = repo.index()?;
    let lock = index.lock()?;
    let last = paths.pop().unwrap_or_default();
    let target = repo.user_path(&last)?;
    let into = target.is_empty() || bytes::path(&target).is_dir();
    if paths.len() > 1 && !into {
        fatal!("destination '{}' is not a directory", bytes::text(&last));
    }
    let mut moves = Vec::new();
    for source in &paths {
        let from = repo.user_path(source)?;
        let to = if into { bytes::join(&target, bytes::base(&from)) } else { target.clone() };
        let dir = bytes::path(&from).is_dir() && !index.has(&from);
        let bad = if fs::symlink_metadata(bytes::path(&from)).is_err() {
            Some("bad source")
        } else if dir && bytes::within(&to, &from) {
            Some("can not move directory into itself")
        } else if dir && !index.has_below(&from) {
            Some("source directory is empty")
        } else if !dir && index.get(&from).is_none() {
            Some(if index.has(&from) { "conflicted" } else { "not under version control" })
        } else if fs::symlink_metadata(bytes::path(&to)).is_ok() && !force {
            Some(if dir { "destination already exists" } else { "destination exists" })
        } else if last.ends_with(b"/") && !into {
            Some("destination directory does not exist")
        } else {
            None
        };
        if let Some(why) = bad {
            if skip {
                continue;
            }
            fatal!(
                "{why}, source={}, destination={}{}",
                bytes::text(&from),
                bytes::text(&to),
                if why.contains("does not exist") { "/" } else { "" }
            );
        }
        moves.push((from, to));
    }
    for (from, to) in moves {
        let names: Vec<Vec<u8>> =
            index.entries.iter().filter(|e| bytes::within(&e.path, &from)).map(|e| e.path.clone()).collect();
        if verbose || dry {
            if dry {
                out!("Checking rename of '{}' to '{}'\n", bytes::text(&from), bytes::text(&to));
            }
            out!("Renaming {} to {}\n", bytes::text(&from), bytes::text(&to));
        }
        if dry {
            continue;
        }
        fs::rename(bytes::path(&from), bytes::path(&to)).map_err(|e| {
            Stop::Fatal(format!("renaming '{}' failed: {}", bytes::text(&from), agentos_guest::strerror(&e)))
        })?;
        for name in names {
            let Some(mut entry) = index.get(&name).cloned() else { continue };
            index.remove(&name);
            entry.path = [&to[..], &name[from.len()..]].concat();
            if let Ok(stat) = lstat(bytes::path(&entry.path))
                && stat.size as u32 == entry.size
                && (stat.mtime as u32, stat.mtime_nsec) == entry.mtime
            {
                entry.set_stat(&stat);
            }
            index.put(entry);
        }
    }
    if !dry {
        index.write(lock)?;
    }
    Ok(0)
}
