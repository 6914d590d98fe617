//! Patches against several parents at once (`diff --cc`): of conflicts in the work tree, and of merges.

use crate::bytes;
use crate::changes::{self, Change};
use crate::diffout::Options;
use crate::error::{Res, out, put};
use crate::oid::{Kind, Oid, hash_object};
use crate::pathspec::Pathspec;
use crate::repo::Repo;
use crate::textdiff::{self, BOLD, CYAN, GREEN, RED, RESET, Way};

/// A line of the result, and which parents lack it; with what parents had before it.
#[derive(Default, Clone)]
struct Line {
    text: Vec<u8>,
    /// A bit per parent that does not have the line.
    added: u32,
    /// Lines that are gone here, each with the parents that had it.
    lost: Vec<(Vec<u8>, u32)>,
}

/// Whether a conflict has both sides and a file in the work tree.
pub(crate) fn has_both(repo: &Repo, c: &Change) -> bool {
    repo.work_tree.is_some()
        && agentos_guest::fs::lstat(bytes::path(c.path())).is_ok()
        && repo.index().is_ok_and(|i| i.stage(c.path(), 2).is_some() && i.stage(c.path(), 3).is_some())
}

/// Shows a file that is in conflict: against both sides if they are there.
pub(crate) fn put_unmerged(repo: &Repo, c: &Change, options: &Options) -> Res<()> {
    let path = c.path();
    let index = repo.index()?;
    let name = repo.quoted(path);
    let (ours, theirs) = (index.stage(path, 2), index.stage(path, 3));
    let stat = agentos_guest::fs::lstat(bytes::path(path)).ok();
    let cached = repo.work_tree.is_none();
    let (Some(ours), Some(theirs), Some(stat)) = (ours, theirs, stat) else {
        out!("* Unmerged path {name}\n");
        return Ok(());
    };
    if cached {
        out!("* Unmerged path {name}\n");
        return Ok(());
    }
    let result = crate::worktree::read(path, &stat)?;
    let mode = crate::index::index_mode(&stat).unwrap_or(0);
    let parents = [(ours.mode, ours.oid), (theirs.mode, theirs.oid)];
    put_file(repo, path, &parents, (mode, None), &result, options, true)
}

/// Shows what a merge changed against all its parents, in files that differ from each of them.
pub(crate) fn put_merge(
    repo: &Repo,
    parents: &[Oid],
    tree: &Oid,
    spec: &Pathspec,
    options: &Options,
) -> Res<bool> {
    let mut lists = Vec::new();
    for parent in parents {
        let old = repo.odb.commit(parent)?.tree;
        lists.push(changes::trees(repo, Some(old), Some(*tree), spec)?);
    }
    let mut any = false;
    for c in &lists[0] {
        let others: Vec<&Change> =
            lists[1..].iter().filter_map(|l| l.iter().find(|o| o.path() == c.path())).collect();
        if others.len() + 1 != parents.len() {
            continue;
        }
        let sides: Vec<(u32, Oid)> =
            std::iter::once(c).chain(others).map(|c| (c.old.mode, c.old.oid)).collect();
        let result = changes::content(repo, &c.new)?;
        if options.patch {
            put_file(repo, c.path(), &sides, (c.new.mode, Some(c.new.oid)), &result, options, !any)?;
        }
        any = true;
    }
    Ok(any)
}

/// One file against its parents, dense: hunks where the result is that of one parent are left out.
fn put_file(
    repo: &Repo,
    path: &[u8],
    parents: &[(u32, Oid)],
    new: (u32, Option<Oid>),
    result: &[u8],
    options: &Options,
    _first: bool,
) -> Res<()> {
    let quote = repo.quote_path();
    let len = options.abbrev.unwrap_or_else(|| if options.full_index { 40 } else { repo.abbrev() });
    let short = |oid: &Oid| if oid.is_zero() { "0".repeat(len) } else { repo.odb.short(oid, len) };
    let (bold, reset) = if options.style.color { (BOLD, RESET) } else { ("", "") };
    let new_oid = match new.1 {
        Some(oid) => oid,
        None => Oid::ZERO,
    };
    let names: Vec<String> = parents.iter().map(|p| short(&p.1)).collect();
    let mut texts = Vec::new();
    for (mode, oid) in parents {
        texts.push(if *mode == 0 { std::rc::Rc::default() } else { repo.odb.blob(oid)? });
    }
    let how: &[u8] = if options.dense { b"diff --cc " } else { b"diff --combined " };
    let mut head = vec![[how, &bytes::quote(path, quote)[..]].concat()];
    head.push(format!("index {}..{}", names.join(","), short(&new_oid)).into_bytes());
    if new.0 == 0 {
        let modes: Vec<String> = parents.iter().map(|p| format!("{:06o}", p.0)).collect();
        head.push(format!("deleted file mode {}", modes.join(",")).into_bytes());
    } else if parents.iter().all(|p| p.0 == 0) {
        head.push(format!("new file mode {:06o}", new.0).into_bytes());
    } else if parents.iter().any(|p| p.0 != new.0) {
        let modes: Vec<String> = parents.iter().map(|p| format!("{:06o}", p.0)).collect();
        head.push(format!("mode {}..{:06o}", modes.join(","), new.0).into_bytes());
    }
    let put_head = |head: &[Vec<u8>]| {
        for line in head {
            put(&[bold.as_bytes(), line, reset.as_bytes(), b"\n"].concat());
        }
    };
    if textdiff::is_binary(result) || texts.iter().any(|t| textdiff::is_binary(t)) {
        put_head(&head);
        put(b"Binary files differ\n");
        return Ok(());
    }
    let lines = combine(&texts.iter().map(|t| t.as_slice()).collect::<Vec<_>>(), result, options);
    let hunks = interesting(&lines, parents.len(), options);
    let same = new.1.is_none() && parents.iter().any(|p| hash_object(Kind::Blob, result) == p.1);
    if hunks.is_empty() && (same || new.1.is_none()) {
        put_head(&head);
        return Ok(());
    }
    let a = if parents.iter().all(|p| p.0 == 0) {
        b"/dev/null".to_vec()
    } else {
        bytes::quote_with(options.prefixes.0.as_bytes(), path, quote)
    };
    let b = if new.0 == 0 {
        b"/dev/null".to_vec()
    } else {
        bytes::quote_with(options.prefixes.1.as_bytes(), path, quote)
    };
    if hunks.is_empty() {
        return Ok(());
    }
    head.push([b"--- ", &a[..]].concat());
    head.push([b"+++ ", &b[..]].concat());
    put_head(&head);
    let n = parents.len();
    for (start, end) in hunks {
        put_hunk(&lines, start, end, n, options.style.color);
    }
    Ok(())
}

/// All lines of the result, and one more that only holds what is lost at the end.
fn combine(texts: &[&[u8]], result: &[u8], options: &Options) -> Vec<Line> {
    let new: Vec<&[u8]> = bytes::lines(result).collect();
    let mut lines: Vec<Line> = new.iter().map(|l| Line { text: l.to_vec(), ..Line::default() }).collect();
    lines.push(Line::default());
    for (at, text) in texts.iter().enumerate() {
        let old: Vec<&[u8]> = bytes::lines(text).collect();
        for h in textdiff::hunks(&old, &new, options.style.space, Way::Myers) {
            for line in &mut lines[h.new.clone()] {
                line.added |= 1 << at;
            }
            // Lines that several parents lost are one.
            let place = h.new.start;
            let mut from = 0;
            let mut waiting: Vec<(Vec<u8>, u32)> = Vec::new();
            let lost = &mut lines[place].lost;
            for gone in &old[h.old.clone()] {
                match lost[from..].iter().position(|(t, who)| t == gone && who & (1 << at) == 0) {
                    Some(found) => {
                        let found = from + found;
                        lost[found].1 |= 1 << at;
                        from = found + 1 + waiting.len();
                        lost.splice(found..found, waiting.drain(..));
                    }
                    None => waiting.push((gone.to_vec(), 1 << at)),
                }
            }
            lost.append(&mut waiting);
        }
    }
    lines
}

/// Ranges of lines to be shown. A run of changes counts if no parent has the same there.
fn interesting(lines: &[Line], parents: usize, options: &Options) -> Vec<(usize, usize)> {
    let (all, context) = ((1u32 << parents) - 1, options.style.context);
    let changed = |l: &Line| l.added != 0 || !l.lost.is_empty();
    let mut runs = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if !changed(&lines[at]) {
            at += 1;
            continue;
        }
        let start = at;
        let (mut who, mut same) = (0u32, true);
        let mut pattern: Option<u32> = None;
        while at < lines.len() && changed(&lines[at]) {
            for bits in
                lines[at].lost.iter().map(|l| l.1).chain((lines[at].added != 0).then_some(lines[at].added))
            {
                who |= bits;
                same &= *pattern.get_or_insert(bits) == bits;
            }
            at += 1;
        }
        // With two parents: changed against one only is the version of the other.
        if who == all || !same || !options.dense {
            runs.push((start, at));
        }
    }
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for (start, end) in runs {
        let from = start.saturating_sub(context);
        // What is lost before a line is shown before the context that begins there.
        let to = (end + context).min(lines.len() - 1).max(end.min(lines.len()));
        match hunks.last_mut() {
            Some(last) if from <= last.1 => last.1 = to,
            _ => hunks.push((from, to)),
        }
    }
    hunks
}

fn put_hunk(lines: &[Line], start: usize, end: usize, parents: usize, color: bool) {
    let mut head = "@".repeat(parents + 1);
    for p in 0..parents {
        let bit = 1 << p;
        let before: usize = lines[..start]
            .iter()
            .map(|l| usize::from(l.added & bit == 0) + l.lost.iter().filter(|x| x.1 & bit != 0).count())
            .sum();
        let count: usize = lines[start..end]
            .iter()
            .enumerate()
            .map(|(i, l)| {
                let text = start + i + 1 < lines.len();
                usize::from(text && l.added & bit == 0) + l.lost.iter().filter(|x| x.1 & bit != 0).count()
            })
            .sum();
        head += &format!(" -{},{count}", if count == 0 { before } else { before + 1 });
    }
    let shown = (end.min(lines.len() - 1)).saturating_sub(start);
    head += &format!(" +{},{shown} ", if shown == 0 { start } else { start + 1 });
    head += &"@".repeat(parents + 1);
    let (cyan, reset) = if color { (CYAN, RESET) } else { ("", "") };
    out!("{cyan}{head}{reset}");
    // The nearest line above that names a function.
    if let Some(line) = lines[..start]
        .iter()
        .rev()
        .find(|l| l.text.first().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$')))
    {
        // As git shows it: up to, but without, the last character that is no space.
        let text = line.text.strip_suffix(b"\n").unwrap_or(&line.text);
        let end = text[..text.len().min(40)].iter().rposition(|b| !b.is_ascii_whitespace()).unwrap_or(0);
        if end > 0 {
            out!(" {}", bytes::text(&text[..end]));
        }
    }
    out!("\n");
    let put_line = |signs: &str, text: &[u8], paint: &str| {
        let (body, ended) = text.strip_suffix(b"\n").map_or((text, false), |b| (b, true));
        let (on, off) = if color && !paint.is_empty() { (paint, RESET) } else { ("", "") };
        put(&[on.as_bytes(), signs.as_bytes(), body, off.as_bytes(), b"\n"].concat());
        if !ended {
            put(b" \\ No newline at end of file\n");
        }
    };
    for (i, line) in lines[start..end].iter().enumerate() {
        for (text, who) in &line.lost {
            let signs: String = (0..parents).map(|p| if who & (1 << p) != 0 { '-' } else { ' ' }).collect();
            put_line(&signs, text, RED);
        }
        if start + i + 1 < lines.len() {
            let signs: String =
                (0..parents).map(|p| if line.added & (1 << p) != 0 { '+' } else { ' ' }).collect();
            put_line(&signs, &line.text, if line.added != 0 { GREEN } else { "" });
        }
    }
}
