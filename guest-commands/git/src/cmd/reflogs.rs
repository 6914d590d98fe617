//! `git reflog expire` and `git reflog delete`: taking lines out of reflogs. Showing them is in `log.rs`.

use crate::args::{Args, Word};
use crate::bytes;
use crate::error::{Res, Stop, failed, fatal};
use crate::oid::Oid;
use crate::repo::Repo;
use crate::{revision, walk};

/// What `--expire=` says, as a moment before which lines go.
fn moment(text: &str) -> i64 {
    match text {
        "never" | "false" => i64::MIN,
        "all" | "now" => i64::MAX,
        text => crate::date::approximate(text),
    }
}

pub(crate) fn expire(repo: &Repo, words: &[Vec<u8>]) -> Res<i32> {
    let usage = "expire [--expire=<time>] [--expire-unreachable=<time>] [--all] [--dry-run | -n] [<refs>...]";
    let mut args = Args::new(words, "", "reflog", usage);
    let day = |days: i64| crate::date::now().0 - days * 24 * 3600;
    let (mut before, mut lost) = (day(90), day(30));
    let (mut all, mut dry, mut names) = (false, false, Vec::new());
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "--expire=" => before = moment(&args.value(&o)?),
                "--expire-unreachable=" => lost = moment(&args.value(&o)?),
                "--all" => all = true,
                "-n" | "--dry-run" => dry = true,
                "--single-worktree" => {}
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    let list: Vec<String> = if all {
        repo.refs("refs/").into_iter().map(|r| r.0).chain(["HEAD".to_owned()]).collect()
    } else {
        let full = |name: &String| match revision::dwim(repo, name) {
            Some((full, _)) => Ok(full),
            None => failed!("reflog could not be found: '{name}'"),
        };
        names.iter().map(full).collect::<Res<_>>()?
    };
    for name in list {
        let mut entries = repo.reflog(&name);
        if entries.is_empty() || dry {
            continue;
        }
        let count = entries.len();
        let tip: Vec<Oid> =
            repo.ref_oid(&name).and_then(|o| repo.odb.peel_commit(&o).ok()?).into_iter().collect();
        let kept = walk::ancestors(repo, &tip)?;
        entries.retain(|e| e.who.time >= before && (e.who.time >= lost || kept.contains(&e.new)));
        if entries.len() != count {
            repo.write_reflog(&name, &entries)?;
        }
    }
    Ok(0)
}

pub(crate) fn delete(repo: &Repo, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(
        words,
        "",
        "reflog",
        "delete [--rewrite] [--updateref] [--dry-run | -n] <ref>@{<specifier>}...",
    );
    let mut names = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => fatal!("option {} of reflog delete is not supported", o.trim_end_matches('=')),
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    if names.is_empty() {
        return Err(Stop::Error(255, "no reflog specified to delete".to_owned()));
    }
    for name in names {
        let Some((base, number)) = name.split_once("@{").and_then(|(b, n)| Some((b, n.strip_suffix('}')?)))
        else {
            return Err(Stop::Error(255, format!("not a reflog: {name}")));
        };
        let base = if base.is_empty() { "HEAD" } else { base };
        let Some((full, _)) = revision::dwim(repo, base) else {
            return Err(Stop::Error(255, format!("no reflog for '{name}'")));
        };
        let mut entries = repo.reflog(&full);
        let Ok(number) = number.parse::<usize>() else {
            fatal!("reflog delete takes numbers only: {name}");
        };
        if number < entries.len() {
            entries.remove(entries.len() - 1 - number);
            repo.write_reflog(&full, &entries)?;
        }
    }
    Ok(0)
}
