//! Names of revisions: `HEAD~2`, `v1^{tree}`, `main@{1}`, `:path`, `@{u}`. It walks no history but for `:/text`.

use crate::bytes;
use crate::error::{Res, Stop, fatal};
use crate::oid::{Kind, Oid, Tag};
use crate::repo::Repo;

/// What git says of a word that is neither a revision nor a file.
pub(crate) fn ambiguous(text: &str) -> Stop {
    Stop::Fatal(format!(
        "ambiguous argument '{text}': unknown revision or path not in the working tree.\nUse '--' to separate paths from revisions, like this:\n'git <command> [<revision>...] -- [<file>...]'"
    ))
}

/// The full name of a ref that a short name means.
pub(crate) fn dwim(repo: &Repo, name: &str) -> Option<(String, Oid)> {
    for form in ["", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"] {
        let full = format!("{form}{name}");
        if form.is_empty()
            && !name.starts_with("refs/")
            && !name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        {
            continue;
        }
        if !crate::refs::valid(&full) && full != "HEAD" {
            continue;
        }
        if let Some(oid) = repo.ref_oid(&full) {
            return Some((full, oid));
        }
    }
    let head = format!("refs/remotes/{name}/HEAD");
    if crate::refs::valid(&head) { repo.ref_oid(&head).map(|oid| (head, oid)) } else { None }
}

/// The ref that a branch is set up to be merged with.
pub(crate) fn upstream(repo: &Repo, branch: &str) -> Option<String> {
    let remote = repo.config.get(&format!("branch.{branch}.remote"))?;
    let merge = repo.config.get(&format!("branch.{branch}.merge"))?;
    if remote == "." {
        return Some(merge);
    }
    let short = merge.strip_prefix("refs/heads/")?;
    for spec in repo.config.all(&format!("remote.{remote}.fetch")) {
        let spec = spec.trim_start_matches('+');
        if let Some((from, to)) = spec.split_once(':') {
            if let (Some(f), Some(t)) = (from.strip_suffix('*'), to.strip_suffix('*')) {
                if let Some(rest) = merge.strip_prefix(f) {
                    return Some(format!("{t}{rest}"));
                }
            } else if from == merge {
                return Some(to.to_owned());
            }
        }
    }
    Some(format!("refs/remotes/{remote}/{short}"))
}

/// The branch that was checked out `n` changes ago.
pub(crate) fn previous_branch(repo: &Repo, n: usize) -> Option<String> {
    let log = repo.reflog("HEAD");
    log.iter()
        .rev()
        .filter_map(|e| {
            let rest = bytes::text(&e.message);
            let rest = rest.strip_prefix("checkout: moving from ")?;
            Some(rest.split(" to ").next()?.to_owned())
        })
        .nth(n.checked_sub(1)?)
}

/// A name without suffixes.
fn base(repo: &Repo, name: &str) -> Res<Option<Oid>> {
    let name = if name == "@" || name.is_empty() { "HEAD" } else { name };
    if let Some(oid) = Oid::parse(name.as_bytes()) {
        return Ok(Some(oid));
    }
    if let Some(open) = name.find("@{")
        && let Some(inside) = name[open + 2..].strip_suffix('}')
    {
        let before = &name[..open];
        if let Ok(n) = inside.parse::<i64>() {
            if n < 0 {
                let Some(branch) = previous_branch(repo, n.unsigned_abs() as usize) else { return Ok(None) };
                return base(repo, &branch);
            }
            let full = match before {
                "" => repo.head_ref().unwrap_or_else(|| "HEAD".to_owned()),
                "@" => "HEAD".to_owned(),
                before => match dwim(repo, before) {
                    Some((full, _)) => full,
                    None => return Ok(None),
                },
            };
            let log = repo.reflog(&full);
            let n = n as usize;
            if n < log.len() {
                return Ok(Some(log[log.len() - 1 - n].new));
            }
            if n == log.len() && n > 0 && !log[0].old.is_zero() {
                return Ok(Some(log[0].old));
            }
            fatal!(
                "log for '{}' only has {} entries",
                if before.is_empty() { Repo::shorten(&full) } else { before },
                log.len()
            );
        }
        if matches!(inside.to_ascii_lowercase().as_str(), "u" | "upstream" | "push") {
            let branch = match before {
                "" | "@" | "HEAD" => repo.head_branch(),
                name => Some(name.to_owned()),
            };
            let Some(branch) = branch else { fatal!("HEAD does not point to a branch") };
            if repo.ref_value(&format!("refs/heads/{branch}")).is_none() {
                fatal!("no such branch: '{branch}'");
            }
            let Some(up) = upstream(repo, &branch) else {
                fatal!("no upstream configured for branch '{branch}'")
            };
            return Ok(repo.ref_oid(&up));
        }
        let full = match before {
            "" => repo.head_ref().unwrap_or_else(|| "HEAD".to_owned()),
            before => match dwim(repo, before) {
                Some((full, _)) => full,
                None => return Ok(None),
            },
        };
        let time = crate::date::approximate(inside);
        let log = repo.reflog(&full);
        return Ok(match log.iter().rev().find(|e| e.who.time <= time) {
            Some(entry) => Some(entry.new),
            None => log.first().map(|e| if e.old.is_zero() { e.new } else { e.old }),
        });
    }
    if let Some((_, oid)) = dwim(repo, name) {
        return Ok(Some(oid));
    }
    let hex = |text: &str| (4..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    let digits = match name.rsplit_once("-g") {
        Some((_, tail)) if hex(tail) => Some(tail),
        _ => hex(name).then_some(name),
    };
    let Some(digits) = digits else { return Ok(None) };
    let mut found = repo.odb.abbreviated(digits);
    if found.len() > 1 {
        // A short name means a commit if only one of them is one.
        let commits: Vec<Oid> = found
            .iter()
            .copied()
            .filter(|o| repo.odb.peel(o).is_ok_and(|(_, k)| k == Kind::Commit))
            .collect();
        if commits.len() == 1 {
            found = commits;
        } else {
            crate::error::say!("error: short object ID {digits} is ambiguous");
            return Ok(None);
        }
    }
    Ok(found.first().copied())
}

/// The object that a name means, if it means one.
pub(crate) fn find(repo: &Repo, text: &str) -> Res<Option<Oid>> {
    if let Some(rest) = text.strip_prefix(":/") {
        return by_message(repo, rest, None);
    }
    if let Some(rest) = text.strip_prefix(':') {
        let (stage, path) = match rest.as_bytes() {
            [s @ b'0'..=b'3', b':', ..] => (s - b'0', &rest[2..]),
            _ => (0, rest),
        };
        let path = tree_path(repo, path)?;
        return match repo.index()?.stage(&path, stage) {
            Some(entry) => Ok(Some(entry.oid)),
            None => Err(missing_path(repo, &path, "", stage)),
        };
    }
    // A colon outside of braces divides a tree from a path.
    let mut depth = 0;
    let colon = text.bytes().position(|b| {
        match b {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        b == b':' && depth == 0
    });
    if let Some(colon) = colon {
        let rev = &text[..colon];
        let Some(oid) = find(repo, rev)? else {
            fatal!("invalid object name '{rev}'.");
        };
        let Some(tree) = repo.odb.peel_tree(&oid)? else { return Ok(None) };
        let path = tree_path(repo, &text[colon + 1..])?;
        return match entry_at(repo, &tree, &path)? {
            Some((_, oid)) => Ok(Some(oid)),
            None => Err(missing_path(repo, &path, rev, 0)),
        };
    }
    // Suffixes, from the first `^` or `~` on.
    let cut = text.find(['^', '~']).unwrap_or(text.len());
    let Some(mut oid) = base(repo, &text[..cut])? else { return Ok(None) };
    let mut rest = &text[cut..];
    while !rest.is_empty() {
        let op = rest.as_bytes()[0];
        rest = &rest[1..];
        if op == b'^' && rest.starts_with('{') {
            let Some(end) = rest.find('}') else { return Ok(None) };
            let what = &rest[1..end];
            rest = &rest[end + 1..];
            oid = match what {
                "" => repo.odb.peel(&oid)?.0,
                "object" => oid,
                "commit" => match repo.odb.peel_commit(&oid)? {
                    Some(oid) => oid,
                    None => return Ok(None),
                },
                "tree" => match repo.odb.peel_tree(&oid)? {
                    Some(oid) => oid,
                    None => return Ok(None),
                },
                "blob" if repo.odb.peel(&oid)?.1 == Kind::Blob => repo.odb.peel(&oid)?.0,
                "tag" if repo.odb.kind(&oid)? == Kind::Tag => oid,
                text if text.starts_with('/') => match by_message(repo, &text[1..], Some(oid))? {
                    Some(oid) => oid,
                    None => return Ok(None),
                },
                _ => return Ok(None),
            };
            continue;
        }
        let len = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: usize = if len == 0 { 1 } else { rest[..len].parse().unwrap_or(usize::MAX) };
        rest = &rest[len..];
        if !rest.is_empty() && !rest.starts_with(['^', '~']) {
            return Ok(None);
        }
        if !repo.odb.exists(&oid) {
            return Ok(None);
        }
        let Some(commit) = repo.odb.peel_commit(&oid)? else { return Ok(None) };
        oid = commit;
        match op {
            b'^' if number == 0 => {}
            b'^' => match repo.odb.commit(&oid)?.parents.get(number - 1) {
                Some(parent) => oid = *parent,
                None => return Ok(None),
            },
            _ => {
                for _ in 0..number {
                    match repo.odb.commit(&oid)?.parents.first() {
                        Some(parent) => oid = *parent,
                        None => return Ok(None),
                    }
                }
            }
        }
    }
    Ok(Some(oid))
}

fn missing_path(repo: &Repo, path: &[u8], rev: &str, stage: u8) -> Stop {
    let path = bytes::text(path);
    let there = std::fs::symlink_metadata(&path).is_ok() && repo.work_tree.is_some();
    Stop::Fatal(if rev.is_empty() {
        let _ = stage;
        if there {
            format!("path '{path}' exists on disk, but not in the index")
        } else {
            format!("path '{path}' does not exist (neither on disk nor in the index)")
        }
    } else if there {
        format!("path '{path}' exists on disk, but not in '{rev}'")
    } else {
        format!("path '{path}' does not exist in '{rev}'")
    })
}

fn tree_path(repo: &Repo, path: &str) -> Res<Vec<u8>> {
    if path.starts_with("./") || path.starts_with("../") || path == "." || path == ".." {
        return repo.user_path(path.as_bytes());
    }
    Ok(bytes::normalize(b"", path.as_bytes()).unwrap_or_default())
}

/// Mode and name of what is at a path of a tree.
pub(crate) fn entry_at(repo: &Repo, tree: &Oid, path: &[u8]) -> Res<Option<(u32, Oid)>> {
    let mut at = (crate::oid::MODE_DIR, *tree);
    for part in path.split(|b| *b == b'/').filter(|p| !p.is_empty()) {
        if at.0 != crate::oid::MODE_DIR {
            return Ok(None);
        }
        match repo.odb.tree(&at.1)?.into_iter().find(|e| e.name == part) {
            Some(entry) => at = (entry.mode, entry.oid),
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

fn by_message(repo: &Repo, text: &str, from: Option<Oid>) -> Res<Option<Oid>> {
    let pattern = crate::regex::Regex::new(text, false, false)
        .map_err(|e| Stop::Fatal(format!("invalid regex: {e}")))?;
    let mut walk = crate::walk::Walk::default();
    match from {
        Some(oid) => walk.include.push(oid),
        None => {
            walk.include.extend(repo.head());
            for (_, oid) in repo.refs("refs/") {
                walk.include.extend(repo.odb.peel_commit(&oid)?);
            }
        }
    }
    for oid in walk.run(repo)? {
        if pattern.is_match(&repo.odb.commit(&oid)?.message) {
            return Ok(Some(oid));
        }
    }
    Ok(None)
}

/// The object that a name means; fails as commands do that only take revisions.
pub(crate) fn resolve(repo: &Repo, text: &str) -> Res<Oid> {
    find(repo, text)?.ok_or_else(|| ambiguous(text))
}

/// The commit that a name means.
pub(crate) fn commit(repo: &Repo, text: &str) -> Res<Oid> {
    let oid = resolve(repo, text)?;
    if !repo.odb.exists(&oid) {
        fatal!("bad object {text}");
    }
    match repo.odb.peel_commit(&oid)? {
        Some(commit) => Ok(commit),
        None => {
            let kind = repo.odb.kind(&oid)?;
            crate::error::say!("error: object {oid} is a {}, not a commit", kind.name());
            fatal!("invalid object name '{text}'.");
        }
    }
}

/// The tag object that a name leads to, if it is one.
pub(crate) fn tag(repo: &Repo, oid: &Oid) -> Res<Option<Tag>> {
    match repo.odb.read(oid)? {
        (Kind::Tag, data) => Tag::parse(&data).map(Some),
        _ => Ok(None),
    }
}
