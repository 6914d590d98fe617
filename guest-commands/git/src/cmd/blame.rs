//! `git blame`: which commit each line of a file is from, followed through renames.

use crate::args::{Args, Word};
use crate::bytes;
use crate::changes;
use crate::date::{self, Style};
use crate::error::{Res, Stop, fatal, out, put};
use crate::oid::{Oid, Person};
use crate::pathspec::Pathspec;
use crate::repo::{Repo, Setting};
use crate::textdiff::{self, Space, Way};
use crate::{revision, worktree};
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;

/// Lines of the final file, and where they are in the file of a commit.
#[derive(Clone, Copy)]
struct Run {
    last: usize,
    here: usize,
    len: usize,
}

/// A commit that lines may be from, with the name that the file has in it.
type Suspect = (Oid, Vec<u8>);

const USAGE: &str = "[-L <start>,<end>] [-s] [-e] [-l] [-w] [<rev>] [--] <file>";

pub(crate) fn blame(setting: &Setting, words: &[Vec<u8>]) -> Res<i32> {
    let mut args = Args::new(words, "L", "blame", USAGE);
    let (mut short, mut email, mut long, mut space, mut range) =
        (false, false, false, Space::default(), None);
    let mut plain: Vec<Vec<u8>> = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(o) => match o.as_str() {
                "-s" => short = true,
                "-e" | "--show-email" => email = true,
                "-l" => long = true,
                "-w" => space.all = true,
                "-L" => range = Some(args.value(&o)?),
                _ => fatal!("option {} is not supported", o.trim_end_matches('=')),
            },
            Word::Plain(word) => plain.push(word),
        }
    }
    let repo = Repo::open(setting)?;
    let (rev, file) = match &plain[..] {
        [file] => (None, file),
        [rev, file] => (Some(bytes::text(rev)), file),
        _ => return Err(Stop::Said(129, args.usage_text())),
    };
    let path = repo.user_path(file)?;
    let start = match &rev {
        Some(rev) => revision::commit(&repo, rev)?,
        None => match repo.head() {
            Some(head) => head,
            None => fatal!("no such ref: HEAD"),
        },
    };
    let Some(committed) = text_at(&repo, &start, &path)? else {
        fatal!("no such path '{}' in {}", bytes::text(&path), rev.as_deref().unwrap_or("HEAD"));
    };
    let mut last = committed.clone();
    if rev.is_none() && repo.work_tree.is_some() {
        let name = bytes::text(&path);
        let stat = agentos_guest::fs::lstat(bytes::path(&path))
            .map_err(|e| Stop::Fatal(format!("Cannot lstat '{name}': {}", agentos_guest::strerror(&e))))?;
        last = Rc::new(worktree::clean(&repo, &path, worktree::read(&path, &stat)?)?);
    }
    let lines: Vec<&[u8]> = bytes::lines(&last).collect();
    let mut owners: Vec<Option<Suspect>> = vec![None; lines.len()];
    let (kept, _) = pass(&committed, &last, &[Run { last: 0, here: 0, len: lines.len() }], space);
    let mut waiting: HashMap<Suspect, Vec<Run>> = HashMap::from([((start, path.clone()), kept)]);
    let mut heap: BinaryHeap<(i64, Suspect)> = BinaryHeap::new();
    heap.push((repo.odb.commit(&start)?.committer.time, (start, path.clone())));
    while let Some((_, suspect)) = heap.pop() {
        let Some(mut runs) = waiting.remove(&suspect) else { continue };
        let (oid, name) = &suspect;
        let commit = repo.odb.commit(oid)?;
        let Some(text) = text_at(&repo, oid, name)? else { continue };
        for parent in &commit.parents {
            let old_name = match text_at(&repo, parent, name)? {
                Some(_) => name.clone(),
                None => {
                    let tree = repo.odb.commit(parent)?.tree;
                    let all = changes::trees(&repo, Some(tree), Some(commit.tree), &Pathspec::default())?;
                    let all = changes::find_renames(&repo, all, changes::MAX_SCORE / 2, false)?;
                    match all.into_iter().find(|c| c.status == b'R' && c.new.path == *name) {
                        Some(change) => change.old.path,
                        None => continue,
                    }
                }
            };
            let Some(old) = text_at(&repo, parent, &old_name)? else { continue };
            let (passed, own) = pass(&old, &text, &runs, space);
            runs = own;
            if !passed.is_empty() {
                let next = (*parent, old_name);
                waiting.entry(next.clone()).or_default().extend(passed);
                heap.push((repo.odb.commit(parent)?.committer.time, next));
            }
        }
        for run in runs {
            for owner in &mut owners[run.last..run.last + run.len] {
                *owner = Some(suspect.clone());
            }
        }
    }
    let (first, end) = match range {
        Some(text) => limits(&text, lines.len(), &path)?,
        None => (0, lines.len()),
    };
    let uncommitted = Person {
        name: b"Not Committed Yet".to_vec(),
        email: b"not.committed.yet".to_vec(),
        time: date::now().0,
        zone: date::now().1,
    };
    let mut rows = Vec::new();
    for at in first..end {
        let (mark, who, name) = match &owners[at] {
            Some((oid, name)) => {
                let commit = repo.odb.commit(oid)?;
                let root = commit.parents.is_empty();
                let len = if long { 40 } else { repo.abbrev() + 1 };
                let hex = oid.to_string();
                let mark = if root { format!("^{}", &hex[..len - 1]) } else { hex[..len.min(40)].to_owned() };
                (mark, commit.author.clone(), name.clone())
            }
            None => {
                ("0".repeat(if long { 40 } else { repo.abbrev() + 1 }), uncommitted.clone(), path.clone())
            }
        };
        let shown = if email { format!("<{}>", bytes::text(&who.email)) } else { bytes::text(&who.name) };
        rows.push((mark, shown, who, name, lines[at], at + 1));
    }
    let width =
        rows.iter().map(|r| r.1.chars().map(crate::pretty::char_width).sum::<usize>()).max().unwrap_or(0);
    let digits = rows.last().map_or(1, |r| r.5.to_string().len());
    let names = rows.iter().any(|r| r.3 != path);
    let name_width = rows.iter().map(|r| r.3.len()).max().unwrap_or(0);
    for (mark, shown, who, name, line, number) in rows {
        out!("{mark} ");
        if names {
            out!("{:<name_width$} ", bytes::text(&name));
        }
        if short {
            out!("{number:>digits$}) ");
        } else {
            let pad = width - shown.chars().map(crate::pretty::char_width).sum::<usize>();
            let style = Style { kind: date::Kind::Iso, local: false };
            out!("({shown}{} {} {number:>digits$}) ", " ".repeat(pad), style.show(who.time, who.zone));
        }
        put(line);
        if !line.ends_with(b"\n") {
            put(b"\n");
        }
    }
    Ok(0)
}

/// The text of a file in a commit.
fn text_at(repo: &Repo, oid: &Oid, path: &[u8]) -> Res<Option<Rc<Vec<u8>>>> {
    match revision::entry_at(repo, &repo.odb.commit(oid)?.tree, path)? {
        Some((mode, blob)) if mode != crate::oid::MODE_DIR && mode != crate::oid::MODE_GITLINK => {
            repo.odb.blob(&blob).map(Some)
        }
        _ => Ok(None),
    }
}

/// Divides runs of `new` into those that `old` has, with their places there, and the others.
fn pass(old: &[u8], new: &[u8], runs: &[Run], space: Space) -> (Vec<Run>, Vec<Run>) {
    let (a, b): (Vec<&[u8]>, Vec<&[u8]>) = (bytes::lines(old).collect(), bytes::lines(new).collect());
    let mut origin: Vec<Option<usize>> = Vec::with_capacity(b.len());
    let mut at = 0;
    for h in textdiff::hunks(&a, &b, space, Way::Myers) {
        origin.extend((at..h.old.start).map(Some));
        origin.extend(h.new.clone().map(|_| None));
        at = h.old.end;
    }
    origin.extend((at..a.len()).map(Some));
    let (mut passed, mut own) = (Vec::new(), Vec::new());
    for run in runs {
        for i in 0..run.len {
            let (list, here) = match origin.get(run.here + i).copied().flatten() {
                Some(place) => (&mut passed, place),
                None => (&mut own, run.here + i),
            };
            extend(list, run.last + i, here);
        }
    }
    (passed, own)
}

/// Adds a line to the last run if it follows it.
fn extend(list: &mut Vec<Run>, last: usize, here: usize) {
    match list.last_mut() {
        Some(run) if run.last + run.len == last && run.here + run.len == here => run.len += 1,
        _ => list.push(Run { last, here, len: 1 }),
    }
}

/// `-L 3,5`, `-L 3,+2`, `-L 3`
fn limits(text: &str, count: usize, path: &[u8]) -> Res<(usize, usize)> {
    let (from, to) = text.split_once(',').map_or((text, ""), |(f, t)| (f, t));
    let bad = || Stop::Fatal(format!("-L parameter '{text}': not a pair of numbers"));
    let first: usize = if from.is_empty() { 1 } else { from.parse().map_err(|_| bad())? };
    let end: usize = match to.strip_prefix('+') {
        Some(n) => first + n.parse::<usize>().map_err(|_| bad())?.saturating_sub(1),
        None if to.is_empty() => count,
        None => to.parse().map_err(|_| bad())?,
    };
    if first > count {
        fatal!("file {} has only {count} line{}", bytes::text(path), if count == 1 { "" } else { "s" });
    }
    let (first, end) = if end < first { (end, first) } else { (first, end) };
    Ok((first.max(1) - 1, end.min(count)))
}
