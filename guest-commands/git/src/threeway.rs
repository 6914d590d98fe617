//! Three-way merges: of lines with conflict markers, and of trees with renames. It writes no refs and no work tree.

use crate::bytes;
use crate::changes::{self, Change, Files, MAX_SCORE};
use crate::error::{Res, fatal};
use crate::oid::{Kind, MODE_LINK, Oid};
use crate::repo::Repo;
use crate::textdiff::{self, Hunk, Space, Way};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the sides of a conflict are called, and who wins.
#[derive(Clone, Copy, Default)]
pub(crate) struct Labels<'a> {
    pub(crate) ours: &'a str,
    pub(crate) theirs: &'a str,
    /// Shown with the styles that show the base.
    pub(crate) base: &'a str,
    pub(crate) favor: Favor,
    pub(crate) style: Style,
}

/// Which side is taken where both changed the same lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Favor {
    #[default]
    None,
    Ours,
    Theirs,
    Union,
}

/// How conflicts are marked (`merge.conflictStyle`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Merge,
    Diff3,
    Zdiff3,
}

impl Style {
    /// The style of the configuration.
    pub(crate) fn of(repo: &Repo) -> Res<Style> {
        match repo.config.get("merge.conflictstyle") {
            None => Ok(Style::Merge),
            Some(name) => match Style::parse(&name) {
                Some(style) => Ok(style),
                None => fatal!("unknown style '{name}' given for 'merge.conflictstyle'"),
            },
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Style> {
        match name {
            "merge" => Some(Style::Merge),
            "diff3" => Some(Style::Diff3),
            "zdiff3" => Some(Style::Zdiff3),
            _ => None,
        }
    }
}

/// A piece of the result: lines of ours and theirs, and whose they are.
#[derive(Clone, Debug)]
struct Piece {
    kind: Whose,
    i0: usize,
    n0: usize,
    i1: usize,
    n1: usize,
    i2: usize,
    n2: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Conflict,
    Ours,
    Theirs,
    /// Both made the same change.
    Same,
}

fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    if let Some(last) = pieces.last_mut()
        && (piece.i1 <= last.i1 + last.n1 || piece.i2 <= last.i2 + last.n2)
    {
        if piece.kind != last.kind {
            last.kind = Whose::Conflict;
        }
        last.n0 = piece.i0 + piece.n0 - last.i0;
        last.n1 = piece.i1 + piece.n1 - last.i1;
        last.n2 = piece.i2 + piece.n2 - last.i2;
        return;
    }
    pieces.push(piece);
}

/// Merges two changed texts; the result, and the number of conflicts in it.
pub(crate) fn texts(base: &[u8], ours: &[u8], theirs: &[u8], labels: &Labels<'_>) -> (Vec<u8>, usize) {
    let bs: Vec<&[u8]> = bytes::lines(base).collect();
    let os: Vec<&[u8]> = bytes::lines(ours).collect();
    let ts: Vec<&[u8]> = bytes::lines(theirs).collect();
    let h1 = textdiff::hunks(&bs, &os, Space::default(), Way::Myers);
    let h2 = textdiff::hunks(&bs, &ts, Space::default(), Way::Myers);
    let mut pieces = pieces(&bs, &os, &ts, &h1, &h2);
    match labels.style {
        Style::Merge => pieces = refine(pieces, &os, &ts),
        Style::Diff3 => {}
        Style::Zdiff3 => pieces.iter_mut().for_each(|p| trim(p, &os, &ts)),
    }
    let mut out = Vec::new();
    let mut conflicts = 0;
    let mut at = 0;
    let copy = |out: &mut Vec<u8>, lines: &[&[u8]]| lines.iter().for_each(|l| out.extend_from_slice(l));
    let crlf = |lines: &[&[u8]]| lines.first().is_some_and(|l| l.ends_with(b"\r\n"));
    let end: &[u8] = if crlf(&os) && crlf(&ts) { b"\r\n" } else { b"\n" };
    let ended = |out: &mut Vec<u8>| {
        if out.last().is_some_and(|b| *b != b'\n') {
            out.extend_from_slice(end);
        }
    };
    for piece in &pieces {
        if piece.kind == Whose::Same {
            continue;
        }
        copy(&mut out, &os[at..piece.i1]);
        match piece.kind {
            Whose::Ours => copy(&mut out, &os[piece.i1..piece.i1 + piece.n1]),
            Whose::Theirs => copy(&mut out, &ts[piece.i2..piece.i2 + piece.n2]),
            _ if labels.favor != Favor::None => {
                if labels.favor != Favor::Theirs {
                    copy(&mut out, &os[piece.i1..piece.i1 + piece.n1]);
                }
                if labels.favor == Favor::Union {
                    ended(&mut out);
                }
                if labels.favor != Favor::Ours {
                    copy(&mut out, &ts[piece.i2..piece.i2 + piece.n2]);
                }
            }
            _ => {
                conflicts += 1;
                let mark = |out: &mut Vec<u8>, sign: &str, label: &str| {
                    ended(out);
                    out.extend(sign.repeat(7).bytes());
                    if !label.is_empty() {
                        out.extend(format!(" {label}").bytes());
                    }
                    out.extend_from_slice(end);
                };
                mark(&mut out, "<", labels.ours);
                copy(&mut out, &os[piece.i1..piece.i1 + piece.n1]);
                if labels.style != Style::Merge {
                    mark(&mut out, "|", labels.base);
                    copy(&mut out, &bs[piece.i0..piece.i0 + piece.n0]);
                }
                mark(&mut out, "=", "");
                copy(&mut out, &ts[piece.i2..piece.i2 + piece.n2]);
                mark(&mut out, ">", labels.theirs);
            }
        }
        at = piece.i1 + piece.n1;
    }
    copy(&mut out, &os[at..]);
    (out, conflicts)
}

/// Puts the changes of both sides in order; those that touch each other are conflicts.
fn pieces(base: &[&[u8]], ours: &[&[u8]], theirs: &[&[u8]], h1: &[Hunk], h2: &[Hunk]) -> Vec<Piece> {
    let mut out = Vec::new();
    let (mut a, mut b) = (0, 0);
    // The places of unchanged lines are those of the base moved by what came before.
    let place2 = |b: usize, i0: usize| match h2[..b].last() {
        Some(h) => h.new.end + i0 - h.old.end,
        None => i0,
    };
    let place1 = |a: usize, i0: usize| match h1[..a].last() {
        Some(h) => h.new.end + i0 - h.old.end,
        None => i0,
    };
    while a < h1.len() && b < h2.len() {
        let (x, y) = (&h1[a], &h2[b]);
        if x.old.end < y.old.start {
            push(
                &mut out,
                Piece {
                    kind: Whose::Ours,
                    i0: x.old.start,
                    n0: x.old.len(),
                    i1: x.new.start,
                    n1: x.new.len(),
                    i2: place2(b, x.old.start),
                    n2: x.old.len(),
                },
            );
            a += 1;
            continue;
        }
        if y.old.end < x.old.start {
            push(
                &mut out,
                Piece {
                    kind: Whose::Theirs,
                    i0: y.old.start,
                    n0: y.old.len(),
                    i1: place1(a, y.old.start),
                    n1: y.old.len(),
                    i2: y.new.start,
                    n2: y.new.len(),
                },
            );
            b += 1;
            continue;
        }
        let same = x.old == y.old && ours[x.new.clone()] == theirs[y.new.clone()];
        if !same {
            let start = x.old.start.min(y.old.start);
            let end = x.old.end.max(y.old.end);
            let (d1, e1) = (x.old.start - start, end - x.old.end);
            let (d2, e2) = (y.old.start - start, end - y.old.end);
            push(
                &mut out,
                Piece {
                    kind: Whose::Conflict,
                    i0: start,
                    n0: end - start,
                    i1: x.new.start - d1,
                    n1: x.new.len() + d1 + e1,
                    i2: y.new.start - d2,
                    n2: y.new.len() + d2 + e2,
                },
            );
        }
        let (x_end, y_end) = (x.old.end, y.old.end);
        if x_end >= y_end {
            b += 1;
        }
        if y_end >= x_end {
            a += 1;
        }
    }
    for x in &h1[a..] {
        let i2 = x.old.start + theirs.len() - base.len();
        push(
            &mut out,
            Piece {
                kind: Whose::Ours,
                i0: x.old.start,
                n0: x.old.len(),
                i1: x.new.start,
                n1: x.new.len(),
                i2,
                n2: x.old.len(),
            },
        );
    }
    for y in &h2[b..] {
        let i1 = y.old.start + ours.len() - base.len();
        push(
            &mut out,
            Piece {
                kind: Whose::Theirs,
                i0: y.old.start,
                n0: y.old.len(),
                i1,
                n1: y.old.len(),
                i2: y.new.start,
                n2: y.new.len(),
            },
        );
    }
    out
}

/// Takes lines that both sides have out of the ends of a conflict.
fn trim(piece: &mut Piece, ours: &[&[u8]], theirs: &[&[u8]]) {
    if piece.kind != Whose::Conflict {
        return;
    }
    while piece.n1 > 0 && piece.n2 > 0 && ours[piece.i1] == theirs[piece.i2] {
        piece.i1 += 1;
        piece.n1 -= 1;
        piece.i2 += 1;
        piece.n2 -= 1;
    }
    while piece.n1 > 0 && piece.n2 > 0 && ours[piece.i1 + piece.n1 - 1] == theirs[piece.i2 + piece.n2 - 1] {
        piece.n1 -= 1;
        piece.n2 -= 1;
    }
}

/// Takes lines that both sides have out of conflicts; conflicts with at most three lines between them are one again.
fn refine(pieces: Vec<Piece>, ours: &[&[u8]], theirs: &[&[u8]]) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for mut piece in pieces {
        if piece.kind != Whose::Conflict || piece.n1 == 0 || piece.n2 == 0 {
            out.push(piece);
            continue;
        }
        let (o, t) = (&ours[piece.i1..piece.i1 + piece.n1], &theirs[piece.i2..piece.i2 + piece.n2]);
        let hunks = textdiff::hunks(o, t, Space::default(), Way::Myers);
        if hunks.is_empty() {
            piece.kind = Whose::Same;
            out.push(piece);
            continue;
        }
        for h in hunks {
            out.push(Piece {
                i1: piece.i1 + h.old.start,
                n1: h.old.len(),
                i2: piece.i2 + h.new.start,
                n2: h.new.len(),
                ..piece.clone()
            });
        }
    }
    let mut merged: Vec<Piece> = Vec::new();
    for piece in out {
        if let Some(last) = merged.last_mut()
            && last.kind == Whose::Conflict
            && piece.kind == Whose::Conflict
            && piece.i1 - (last.i1 + last.n1) <= 3
        {
            last.n1 = piece.i1 + piece.n1 - last.i1;
            last.n2 = piece.i2 + piece.n2 - last.i2;
            continue;
        }
        merged.push(piece);
    }
    merged
}

/// A path that is in conflict: base, ours, theirs.
pub(crate) struct Conflict {
    pub(crate) path: Vec<u8>,
    pub(crate) stages: [Option<(u32, Oid)>; 3],
}

/// The result of a merge of trees.
pub(crate) struct Merged {
    /// What the work tree gets, with markers where there are conflicts.
    pub(crate) files: Files,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) messages: Vec<String>,
}

/// Old name to new name of what a side renamed.
fn renames(repo: &Repo, base: &Files, side: &Files) -> Res<HashMap<Vec<u8>, Vec<u8>>> {
    let none = (0, Oid::ZERO);
    let mut all = Vec::new();
    for path in base.keys().chain(side.keys()).collect::<BTreeSet<_>>() {
        let (a, b) = (base.get(path).copied().unwrap_or(none), side.get(path).copied().unwrap_or(none));
        if a != b {
            all.push(Change::new(path, a, b, false));
        }
    }
    let found = changes::find_renames(repo, all, MAX_SCORE / 2, false)?;
    Ok(found.into_iter().filter(|c| c.status == b'R').map(|c| (c.old.path, c.new.path)).collect())
}

/// Merges files.
pub(crate) fn trees(
    repo: &Repo,
    base: &Files,
    ours: &Files,
    theirs: &Files,
    labels: &Labels<'_>,
) -> Res<Merged> {
    let style = Style::of(repo)?;
    let (r1, r2) = (renames(repo, base, ours)?, renames(repo, base, theirs)?);
    // Each path with its three sides, and the name that it had before in a side that did not rename it.
    type Row = [Option<(u32, Oid)>; 3];
    let mut rows: BTreeMap<Vec<u8>, Row> = BTreeMap::new();
    for path in base.keys().chain(ours.keys()).chain(theirs.keys()) {
        rows.entry(path.clone())
            .or_insert_with(|| [base.get(path).copied(), ours.get(path).copied(), theirs.get(path).copied()]);
    }
    let mut messages = Vec::new();
    let mut conflicts = Vec::new();
    let mut files = Files::new();
    let mut old_names: HashMap<Vec<u8>, (Vec<u8>, bool)> = HashMap::new();
    for old in r1.keys().chain(r2.keys()).collect::<BTreeSet<_>>() {
        let before = base.get(old).copied();
        match (r1.get(old), r2.get(old)) {
            (Some(a), Some(b)) if a == b => {
                rows.insert(a.clone(), [before, ours.get(a).copied(), theirs.get(a).copied()]);
                rows.remove(old);
            }
            (Some(a), None) if theirs.contains_key(old) && !theirs.contains_key(a) => {
                rows.insert(a.clone(), [before, ours.get(a).copied(), theirs.get(old).copied()]);
                rows.remove(old);
                old_names.insert(a.clone(), (old.clone(), true));
            }
            (None, Some(b)) if ours.contains_key(old) && !ours.contains_key(b) => {
                rows.insert(b.clone(), [before, ours.get(old).copied(), theirs.get(b).copied()]);
                rows.remove(old);
                old_names.insert(b.clone(), (old.clone(), false));
            }
            (Some(a), None) if !theirs.contains_key(old) => {
                let text = bytes::text(old);
                messages.push(format!(
                    "CONFLICT (rename/delete): {text} renamed to {} in {}, but deleted in {}.",
                    bytes::text(a),
                    labels.ours,
                    labels.theirs
                ));
                rows.insert(a.clone(), [before, ours.get(a).copied(), None]);
                rows.remove(old);
            }
            (None, Some(b)) if !ours.contains_key(old) => {
                let text = bytes::text(old);
                messages.push(format!(
                    "CONFLICT (rename/delete): {text} renamed to {} in {}, but deleted in {}.",
                    bytes::text(b),
                    labels.theirs,
                    labels.ours
                ));
                rows.insert(b.clone(), [before, None, theirs.get(b).copied()]);
                rows.remove(old);
            }
            _ => {}
        }
    }
    for (path, [b, o, t]) in rows {
        if o == t || t == b {
            if let Some(side) = o {
                files.insert(path, side);
            }
            continue;
        }
        if o == b {
            if let Some(side) = t {
                files.insert(path, side);
            }
            continue;
        }
        let name = bytes::text(&path);
        let (Some(o), Some(t)) = (o, t) else {
            // One side deleted what the other changed.
            let (gone, kept, side) =
                if o.is_none() { (labels.ours, labels.theirs, t) } else { (labels.theirs, labels.ours, o) };
            if !messages.iter().any(|m| {
                m.starts_with("CONFLICT (rename/delete)") && m.contains(&format!(" renamed to {name} in "))
            }) {
                messages.push(format!("CONFLICT (modify/delete): {name} deleted in {gone} and modified in {kept}.  Version {kept} of {name} left in tree."));
            }
            if let Some(side) = side {
                files.insert(path.clone(), side);
            }
            conflicts.push(Conflict { path, stages: [b, o, t] });
            continue;
        };
        let base_mode = b.map_or(0, |b| b.0);
        let mode = if o.0 == base_mode || base_mode == 0 && t.0 == 0o100_755 { t.0 } else { o.0 };
        if o.1 == t.1 || b.is_some_and(|b| b.1 == t.1) || b.is_some_and(|b| b.1 == o.1) {
            let oid = if b.is_some_and(|b| b.1 == o.1) { t.1 } else { o.1 };
            files.insert(path, (mode, oid));
            continue;
        }
        if o.0 & 0o170_000 != 0o100_000 || t.0 & 0o170_000 != 0o100_000 {
            let what = if o.0 == MODE_LINK && t.0 == MODE_LINK {
                if b.is_some() { "content" } else { "add/add" }
            } else {
                "distinct types"
            };
            messages.push(format!("CONFLICT ({what}): Merge conflict in {name}"));
            files.insert(path.clone(), o);
            conflicts.push(Conflict { path, stages: [b, Some(o), Some(t)] });
            continue;
        }
        let text = match b {
            Some(b) => repo.odb.blob(&b.1)?,
            None => std::rc::Rc::default(),
        };
        let (ours_text, theirs_text) = (repo.odb.blob(&o.1)?, repo.odb.blob(&t.1)?);
        messages.push(format!("Auto-merging {name}"));
        let binary = [&text, &ours_text, &theirs_text].iter().any(|t| textdiff::is_binary(t));
        if binary && labels.favor == Favor::None {
            messages.pop();
            messages.push(format!(
                "warning: Cannot merge binary files: {name} ({} vs. {})",
                labels.ours, labels.theirs
            ));
            messages.push(format!("Auto-merging {name}"));
        }
        let (result, count) = if binary {
            match labels.favor {
                Favor::Theirs => (theirs_text.to_vec(), 0),
                Favor::Ours => (ours_text.to_vec(), 0),
                _ => (ours_text.to_vec(), 1),
            }
        } else {
            let (mut l1, mut l2, mut l0) =
                (labels.ours.to_owned(), labels.theirs.to_owned(), labels.base.to_owned());
            if let Some((old, ours_renamed)) = old_names.get(&path) {
                let (new, old) = (name.clone(), bytes::text(old));
                l1 += &format!(":{}", if *ours_renamed { &new } else { &old });
                l2 += &format!(":{}", if *ours_renamed { &old } else { &new });
                l0 += &format!(":{old}");
            }
            let labels = Labels { ours: &l1, theirs: &l2, base: &l0, style, ..*labels };
            texts(&text, &ours_text, &theirs_text, &labels)
        };
        let oid = repo.odb.write(Kind::Blob, &result)?;
        files.insert(path.clone(), (mode, oid));
        if count > 0 {
            let what = if b.is_some() { "content" } else { "add/add" };
            messages.push(format!("CONFLICT ({what}): Merge conflict in {name}"));
            conflicts.push(Conflict { path, stages: [b, Some(o), Some(t)] });
        }
    }
    Ok(Merged { files, conflicts, messages })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_in_different_places_join_and_others_are_marked() {
        let labels = Labels { ours: "A", theirs: "B", ..Labels::default() };
        let base = b"1\n2\n3\n4\n5\n6\n7\n8\n";
        let (text, n) = texts(base, b"one\n2\n3\n4\n5\n6\n7\n8\n", b"1\n2\n3\n4\n5\n6\n7\neight\n", &labels);
        assert_eq!((&text[..], n), (&b"one\n2\n3\n4\n5\n6\n7\neight\n"[..], 0));
        let (text, n) = texts(b"a\n", b"b\n", b"c\n", &labels);
        assert_eq!((&text[..], n), (&b"<<<<<<< A\nb\n=======\nc\n>>>>>>> B\n"[..], 1));
        let (text, n) = texts(b"a\n", b"b\n", b"b\n", &labels);
        assert_eq!((&text[..], n), (&b"b\n"[..], 0));
    }
}
