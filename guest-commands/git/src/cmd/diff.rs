//! `git diff`: between work tree, index, trees, blobs, and (with `--no-index`) any two files.

use crate::bytes;
use crate::changes::{self, Change, Side};
use crate::diffout::{self, Options};
use crate::error::{Res, Stop, fatal};
use crate::oid::{Kind, Oid};
use crate::repo::{Repo, Setting};
use crate::textdiff;
use crate::{revision, walk, worktree};

pub(crate) fn diff(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let repo = Repo::open(setting);
    let mut options = Options::new(repo.as_ref().ok());
    let (mut cached, mut merge_base, mut no_index) = (false, false, repo.is_err());
    let mut plain: Vec<Vec<u8>> = Vec::new();
    let mut dashdash = None;
    let mut at = 0;
    while at < words.len() {
        let word = bytes::text(&words[at]);
        at += 1;
        if word == "--" {
            dashdash = Some(plain.len());
            plain.extend(words[at..].iter().cloned());
            break;
        }
        if !word.starts_with('-') || word == "-" {
            plain.push(words[at - 1].clone());
            continue;
        }
        let mut next = || {
            let value = words.get(at).map(|w| bytes::text(w));
            at += 1;
            value
        };
        match word.as_str() {
            "--cached" | "--staged" => cached = true,
            "--merge-base" => merge_base = true,
            "--no-index" => no_index = true,
            "-c" => options.dense = false,
            "--cc" | "-q" => {}
            _ if options.take(&word, &mut next)? => {}
            _ => {
                return Err(Stop::Said(
                    129,
                    format!(
                        "error: invalid option: {word}\nusage: git diff [<options>] [<commit>] [--] [<path>...]"
                    ),
                ));
            }
        }
    }
    if !options.asked() {
        options.patch = true;
    }
    if no_index {
        if repo.is_err() && plain.len() != 2 {
            return Err(Stop::Said(129, "warning: Not a git repository. Use --no-index to compare two paths outside a working tree\nusage: git diff --no-index [<options>] <path> <path>".to_owned()));
        }
        return outside(&plain, &options);
    }
    let repo = repo?;
    let limit = dashdash.unwrap_or(plain.len());
    let mut revisions: Vec<Oid> = Vec::new();
    let mut used = 0;
    let resolve = |name: &str| -> Res<Option<Oid>> {
        revision::find(&repo, if name.is_empty() { "HEAD" } else { name })
    };
    while used < limit {
        let text = bytes::text(&plain[used]);
        if dashdash.is_none()
            && resolve(&text).is_err()
            && std::fs::symlink_metadata(bytes::path(&repo.user_path(&plain[used])?)).is_ok()
        {
            break;
        }
        if let Some((a, b)) = text.split_once("...") {
            let (Some(a), Some(b)) = (resolve(a)?, resolve(b)?) else { break };
            let (Some(a), Some(b)) = (repo.odb.peel_commit(&a)?, repo.odb.peel_commit(&b)?) else { break };
            match walk::merge_bases(&repo, &a, &b)?.first() {
                Some(base) => revisions.extend([*base, b]),
                None => fatal!("{text}: no merge base"),
            }
        } else if let Some((a, b)) = text.split_once("..")
            && text != ".."
        {
            let (Some(a), Some(b)) = (resolve(a)?, resolve(b)?) else { break };
            revisions.extend([a, b]);
        } else {
            match resolve(&text)? {
                Some(oid) => revisions.push(oid),
                None if dashdash.is_some() => fatal!("bad revision '{text}'"),
                None => break,
            }
        }
        used += 1;
    }
    let paths = plain[if dashdash.is_some() { limit } else { used }..].to_vec();
    if dashdash.is_none() {
        for word in &paths {
            walk::check_path(&repo, word)?;
        }
    }
    let spec = repo.pathspec(&paths)?;
    let tree = |oid: &Oid| -> Res<Oid> {
        match repo.odb.peel_tree(oid)? {
            Some(tree) => Ok(tree),
            None => fatal!("object {oid} is not a tree"),
        }
    };
    let all: Vec<Change> = match revisions[..] {
        [] if cached => changes::tree_to_index(&super::head_files(&repo)?, &repo.index()?, &spec),
        [] => {
            repo.need_work_tree()?;
            let mut index = repo.index()?;
            let looks = worktree::refresh_and_write(&repo, &mut index);
            changes::seen_in_worktree(&repo, &index, &spec, looks)
        }
        [one] => {
            let mut one = one;
            if merge_base {
                let (Some(a), Some(b)) = (repo.head(), repo.odb.peel_commit(&one)?) else {
                    fatal!("no merge base found")
                };
                one = *walk::merge_bases(&repo, &a, &b)?.first().unwrap_or(&one);
            }
            if repo.odb.peel(&one)?.1 == Kind::Blob {
                fatal!("comparing one blob is not supported");
            }
            let files = changes::files(&repo, Some(tree(&one)?))?;
            let index = repo.index()?;
            if cached {
                changes::tree_to_index(&files, &index, &spec)
            } else {
                repo.need_work_tree()?;
                changes::tree_to_worktree(&repo, &files, &index, &spec)?
            }
        }
        [a, b] => {
            if repo.odb.peel(&a)?.1 == Kind::Blob && repo.odb.peel(&b)?.1 == Kind::Blob {
                let side = |oid: Oid, text: &[u8]| {
                    let path = text
                        .iter()
                        .rposition(|c| *c == b':')
                        .map_or_else(|| oid.to_string().into_bytes(), |at| text[at + 1..].to_vec());
                    Side { path, mode: 0o100_644, oid, worktree: false }
                };
                let old = side(a, &plain[0]);
                let new = side(b, &plain[plain.len().min(2) - 1]);
                vec![Change { status: b'M', old, new, score: 0 }]
            } else {
                let mut a = a;
                if merge_base
                    && let (Some(x), Some(y)) = (repo.odb.peel_commit(&a)?, repo.odb.peel_commit(&b)?)
                {
                    a = *walk::merge_bases(&repo, &x, &y)?.first().unwrap_or(&a);
                }
                changes::trees(&repo, Some(tree(&a)?), Some(tree(&b)?), &spec)?
            }
        }
        _ => {
            // A merge against its parents.
            let (tree, parents) = (tree(&revisions[0])?, &revisions[1..]);
            crate::combined::put_merge(&repo, parents, &tree, &spec, &options)?;
            return Ok(0);
        }
    };
    let any = diffout::show(&repo, all, &options)?;
    if options.check {
        return Ok(if any { 2 } else { 0 });
    }
    Ok(i32::from(options.exit_code && any))
}

/// Two files that need not be in a repository.
fn outside(paths: &[Vec<u8>], options: &Options) -> Res<i32> {
    let [a, b] = paths else {
        return Err(Stop::Said(129, "usage: git diff --no-index [<options>] <path> <path>".to_owned()));
    };
    let read = |path: &[u8]| -> Res<(u32, Vec<u8>)> {
        let stat = agentos_guest::fs::stat(bytes::path(path)).map_err(|e| {
            Stop::Error(
                1,
                format!("Could not access '{}'", bytes::text(path))
                    + if e.raw_os_error().is_none() { " " } else { "" },
            )
        })?;
        if agentos_guest::fs::file_type(stat.mode) == agentos_guest::fs::FileType::Dir {
            fatal!("comparing directories without an index is not supported");
        }
        Ok((crate::index::index_mode(&stat).unwrap_or(0o100_644), std::fs::read(bytes::path(path))?))
    };
    let ((old_mode, old), (new_mode, new)) = (read(a)?, read(b)?);
    if old == new && old_mode == new_mode {
        return Ok(0);
    }
    if options.quiet {
        return Ok(1);
    }
    let name = |prefix: &str, path: &[u8]| {
        format!("{prefix}{}", bytes::text(path.strip_prefix(b"/").unwrap_or(path)))
    };
    let (an, bn) = (name(&options.prefixes.0, a), name(&options.prefixes.1, b));
    let short = |data: &[u8]| crate::oid::hash_object(Kind::Blob, data).to_string()[..7].to_owned();
    if options.name_only || options.name_status {
        crate::error::out!("{}{}\n", if options.name_status { "M\t" } else { "" }, bytes::text(b));
        return Ok(1);
    }
    if options.stat || options.numstat {
        fatal!("this form of output is not supported with --no-index");
    }
    let (bold, reset) = if options.style.color { (textdiff::BOLD, textdiff::RESET) } else { ("", "") };
    let line = |text: String| crate::error::out!("{bold}{text}{reset}\n");
    line(format!("diff --git {an} {bn}"));
    if old_mode != new_mode {
        line(format!("old mode {old_mode:06o}"));
        line(format!("new mode {new_mode:06o}"));
    }
    if old != new {
        let mode = if old_mode == new_mode { format!(" {new_mode:06o}") } else { String::new() };
        line(format!("index {}..{}{mode}", short(&old), short(&new)));
        if textdiff::is_binary(&old) || textdiff::is_binary(&new) {
            crate::error::out!("Binary files {an} and {bn} differ\n");
        } else {
            line(format!("--- {an}"));
            line(format!("+++ {bn}"));
            textdiff::print(&old, &new, &options.style);
        }
    }
    Ok(1)
}
