//! `git cherry`: which commits of a branch another one has as the same change.

use crate::args::{Args, Word};
use crate::bytes;
use crate::diffout;
use crate::error::{Res, Stop, out};
use crate::repo::{Repo, Setting};
use crate::{revision, walk};
use std::collections::HashSet;

const USAGE: &str = "[-v] [<upstream> [<head> [<limit>]]]\n";

pub(crate) fn cherry(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "", "cherry", USAGE);
    let (mut verbose, mut names) = (false, Vec::new());
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-v" | "--verbose" => verbose = true,
                _ => return Err(args.unknown(&o)),
            },
            Word::Plain(word) => names.push(bytes::text(&word)),
        }
    }
    let repo = Repo::open(setting)?;
    let upstream = match names.first() {
        Some(name) => name.clone(),
        None => match repo.head_branch().and_then(|b| revision::upstream(&repo, &b)) {
            Some(full) => full,
            None => {
                return Err(Stop::Said(
                    129,
                    format!(
                        "Could not find a tracked remote branch, please specify <upstream> manually.\n{}",
                        args.usage_text()
                    ),
                ));
            }
        },
    };
    let up = revision::commit(&repo, &upstream)?;
    let head = revision::commit(&repo, names.get(1).map_or("HEAD", String::as_str))?;
    let select = |include, exclude| walk::Walk {
        include: vec![include],
        exclude,
        max_parents: Some(1),
        reverse: true,
        ..walk::Walk::default()
    };
    let mut known: HashSet<[u8; 20]> = HashSet::new();
    for oid in select(up, vec![head]).run(&repo)? {
        known.extend(diffout::patch_id(&repo, &oid)?);
    }
    let mut exclude = vec![up];
    if let Some(limit) = names.get(2) {
        exclude.push(revision::commit(&repo, limit)?);
    }
    for oid in select(head, exclude).run(&repo)? {
        let sign =
            if diffout::patch_id(&repo, &oid)?.is_some_and(|id| known.contains(&id)) { '-' } else { '+' };
        if verbose {
            out!("{sign} {oid} {}\n", bytes::text(&repo.odb.commit(&oid)?.subject()));
        } else {
            out!("{sign} {oid}\n");
        }
    }
    Ok(0)
}
