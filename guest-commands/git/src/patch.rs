//! Patches as text: reading them, and applying the changes of one file to its content. It touches no files.

use crate::bytes;
use crate::error::{Res, fatal, say};

/// A change of one file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FilePatch {
    /// `None`: the file is new.
    pub(crate) old: Option<Vec<u8>>,
    /// `None`: the file goes.
    pub(crate) new: Option<Vec<u8>>,
    pub(crate) old_mode: Option<u32>,
    pub(crate) new_mode: Option<u32>,
    pub(crate) copy: bool,
    pub(crate) renamed: bool,
    pub(crate) score: u32,
    /// Names of the contents, as far as the patch gives them.
    pub(crate) old_oid: String,
    pub(crate) new_oid: String,
    pub(crate) hunks: Vec<Hunk>,
    pub(crate) binary: bool,
}

/// A run of changed lines and those around them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hunk {
    pub(crate) old_start: usize,
    pub(crate) old_len: usize,
    pub(crate) new_start: usize,
    pub(crate) new_len: usize,
    /// What follows the second `@@`.
    pub(crate) tail: Vec<u8>,
    /// Each with its sign: ` `, `-` or `+`.
    pub(crate) lines: Vec<(u8, Vec<u8>)>,
    /// The line of the patch where the first one stands.
    pub(crate) line: usize,
}

/// How a patch is read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// How many parts of names are taken away.
    pub(crate) strip: usize,
    /// What is put before names.
    pub(crate) root: Vec<u8>,
    /// Lengths are counted, not believed.
    pub(crate) recount: bool,
}

impl FilePatch {
    /// The name that messages have.
    pub(crate) fn name(&self) -> &[u8] {
        self.new.as_deref().or(self.old.as_deref()).unwrap_or(b"")
    }

    /// Added and deleted lines.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let count = |sign: u8| self.hunks.iter().flat_map(|h| &h.lines).filter(|l| l.0 == sign).count();
        (count(b'+'), count(b'-'))
    }

    /// The opposite.
    pub(crate) fn reverse(&mut self) {
        std::mem::swap(&mut self.old, &mut self.new);
        std::mem::swap(&mut self.old_mode, &mut self.new_mode);
        std::mem::swap(&mut self.old_oid, &mut self.new_oid);
        for hunk in &mut self.hunks {
            std::mem::swap(&mut hunk.old_start, &mut hunk.new_start);
            std::mem::swap(&mut hunk.old_len, &mut hunk.new_len);
            for line in &mut hunk.lines {
                line.0 = match line.0 {
                    b'-' => b'+',
                    b'+' => b'-',
                    other => other,
                };
            }
            // Deleted lines come first.
            let mut lines: Vec<(u8, Vec<u8>)> = Vec::new();
            let mut added = Vec::new();
            for line in std::mem::take(&mut hunk.lines) {
                match line.0 {
                    b'+' => added.push(line),
                    b' ' => {
                        lines.append(&mut added);
                        lines.push(line);
                    }
                    _ => lines.push(line),
                }
            }
            lines.append(&mut added);
            hunk.lines = lines;
        }
    }
}

/// A name in a patch: quoted or up to a tab; without its first parts.
fn name(text: &[u8], reading: &Reading, line: usize) -> Res<Option<Vec<u8>>> {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let path = if text.starts_with(b"\"") {
        unquote(text)
    } else {
        let end = text.iter().position(|b| *b == b'\t').unwrap_or(text.len());
        text[..end].to_vec()
    };
    if path == b"/dev/null" {
        return Ok(None);
    }
    let mut rest = &path[..];
    for _ in 0..reading.strip {
        match rest.iter().position(|b| *b == b'/') {
            Some(at) => rest = &rest[at + 1..],
            None => fatal_lacks(reading.strip, line)?,
        }
    }
    let rest: &[u8] = if rest.starts_with(b"/") { rest.trim_ascii() } else { rest };
    Ok(Some([&reading.root[..], rest].concat()))
}

fn fatal_lacks(strip: usize, line: usize) -> Res<()> {
    Err(crate::error::Stop::Error(
        128,
        format!(
            "git diff header lacks filename information when removing {strip} leading pathname component{} (line {line})",
            if strip == 1 { "" } else { "s" }
        ),
    ))
}

/// A name in double quotes with C's escapes.
pub(crate) fn unquote(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 1;
    while let Some(b) = text.get(at) {
        at += 1;
        match b {
            b'"' => break,
            b'\\' => {
                let next = text.get(at).copied().unwrap_or(b'\\');
                at += 1;
                match next {
                    b'n' => out.push(b'\n'),
                    b't' => out.push(b'\t'),
                    b'r' => out.push(b'\r'),
                    b'a' => out.push(7),
                    b'b' => out.push(8),
                    b'f' => out.push(12),
                    b'v' => out.push(11),
                    b'0'..=b'3' => {
                        let digits = text.get(at - 1..at + 2).unwrap_or(b"0");
                        out.push(digits.iter().fold(0u8, |n, d| n.wrapping_mul(8).wrapping_add(d & 7)));
                        at += 2;
                    }
                    other => out.push(other),
                }
            }
            other => out.push(*other),
        }
    }
    out
}

/// Both names of `diff --git`, if they are the same.
fn git_names(rest: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if rest.starts_with(b"\"") {
        let a = unquote(rest);
        let mut end = 1;
        while end < rest.len() && rest[end] != b'"' {
            end += if rest[end] == b'\\' { 2 } else { 1 };
        }
        let b = rest.get(end + 2..)?;
        let b = if b.starts_with(b"\"") { unquote(b) } else { b.to_vec() };
        return Some((a, b));
    }
    // The second half repeats the first but for its prefix.
    for (at, _) in rest.iter().enumerate().filter(|(_, b)| **b == b' ') {
        let (a, b) = (&rest[..at], &rest[at + 1..]);
        let tail = |p: &[u8]| p.iter().position(|c| *c == b'/').map(|i| p[i + 1..].to_vec());
        if a == b || (tail(a).is_some() && tail(a) == tail(b)) {
            return Some((a.to_vec(), b.to_vec()));
        }
    }
    None
}

fn numbers(text: &[u8]) -> Option<(usize, usize)> {
    let text = std::str::from_utf8(text).ok()?;
    let (start, len) = text.split_once(',').unwrap_or((text, "1"));
    Some((start.parse().ok()?, len.parse().ok()?))
}

/// `@@ -a,b +c,d @@ tail`
fn hunk_head(line: &[u8]) -> Option<Hunk> {
    let rest = line.strip_prefix(b"@@ -")?;
    let at = bytes::find(rest, b" +")?;
    let (old, rest) = (&rest[..at], &rest[at + 2..]);
    let at = bytes::find(rest, b" @@")?;
    let ((old_start, old_len), (new_start, new_len)) = (numbers(old)?, numbers(&rest[..at])?);
    Some(Hunk { old_start, old_len, new_start, new_len, tail: rest[at + 3..].to_vec(), ..Hunk::default() })
}

/// All changes in a text; what is around them is passed over.
pub(crate) fn parse(text: &[u8], reading: &Reading) -> Res<Vec<FilePatch>> {
    let lines: Vec<&[u8]> = bytes::lines(text).collect();
    let bare = |at: usize| lines.get(at).map(|l: &&[u8]| l.strip_suffix(b"\n").unwrap_or(l));
    let mut out: Vec<FilePatch> = Vec::new();
    let mut at = 0;
    while let Some(line) = bare(at) {
        if let Some(rest) = line.strip_prefix(b"diff --git ") {
            let mut patch = FilePatch::default();
            let head = at;
            at += 1;
            let (mut old, mut new) = (None, None);
            let (mut gone, mut made) = (false, false);
            while let Some(line) = bare(at) {
                let mode = |t: &[u8]| u32::from_str_radix(&bytes::text(t.trim_ascii()), 8).ok();
                let plain = Reading { strip: reading.strip.saturating_sub(1), ..reading.clone() };
                if let Some(t) = line.strip_prefix(b"old mode ") {
                    patch.old_mode = mode(t);
                } else if let Some(t) = line.strip_prefix(b"new mode ") {
                    patch.new_mode = mode(t);
                } else if let Some(t) = line.strip_prefix(b"new file mode ") {
                    (patch.new_mode, made) = (mode(t), true);
                } else if let Some(t) = line.strip_prefix(b"deleted file mode ") {
                    (patch.old_mode, gone) = (mode(t), true);
                } else if let Some(t) =
                    line.strip_prefix(b"rename from ").or_else(|| line.strip_prefix(b"copy from "))
                {
                    (patch.copy, patch.renamed) = (line.starts_with(b"copy"), line.starts_with(b"rename"));
                    old = name(t, &plain, at + 1)?;
                } else if let Some(t) =
                    line.strip_prefix(b"rename to ").or_else(|| line.strip_prefix(b"copy to "))
                {
                    new = name(t, &plain, at + 1)?;
                } else if let Some(t) = line.strip_prefix(b"similarity index ") {
                    patch.score = bytes::text(t).trim_end_matches('%').parse().unwrap_or(0);
                } else if let Some(t) = line.strip_prefix(b"index ") {
                    let text = bytes::text(t);
                    let mut words = text.split(' ');
                    if let Some((a, b)) = words.next().and_then(|w| w.split_once("..")) {
                        (patch.old_oid, patch.new_oid) = (a.to_owned(), b.to_owned());
                    }
                    if let Some(m) = words.next().and_then(|w| u32::from_str_radix(w, 8).ok()) {
                        patch.old_mode = patch.old_mode.or(Some(m));
                        patch.new_mode = patch.new_mode.or(Some(m));
                    }
                } else if let Some(t) = line.strip_prefix(b"--- ") {
                    old = name(t, reading, at + 1)?;
                } else if let Some(t) = line.strip_prefix(b"+++ ") {
                    new = name(t, reading, at + 1)?;
                } else if line.starts_with(b"Binary files ") || line.starts_with(b"GIT binary patch") {
                    patch.binary = true;
                } else if !line.starts_with(b"dissimilarity index ") {
                    break;
                }
                at += 1;
            }
            if old.is_none() && new.is_none() {
                match git_names(rest) {
                    Some((a, b)) => (old, new) = (name(&a, reading, head + 1)?, name(&b, reading, head + 1)?),
                    None => fatal_lacks(reading.strip, at)?,
                }
            }
            patch.old = if made { None } else { old.clone().or(new.clone()) };
            patch.new = if gone { None } else { new.or(old) };
            at = hunks(&lines, at, &mut patch, reading)?;
            out.push(patch);
            continue;
        }
        // A patch without git's header.
        if let (Some(a), Some(b)) =
            (line.strip_prefix(b"--- "), bare(at + 1).and_then(|l| l.strip_prefix(b"+++ ")))
            && bare(at + 2).is_some_and(|l| hunk_head(l).is_some())
        {
            let mut patch = FilePatch {
                old: name(a, reading, at + 1)?,
                new: name(b, reading, at + 2)?,
                ..FilePatch::default()
            };
            at = hunks(&lines, at + 2, &mut patch, reading)?;
            // A file that is empty on one side may be missing there.
            let epoch = |t: &[u8]| bytes::find(t, b"1970-01-01").is_some();
            if let [hunk] = &patch.hunks[..] {
                if hunk.old_len == 0 && hunk.old_start == 0 && epoch(a) {
                    patch.old = None;
                }
                if hunk.new_len == 0 && hunk.new_start == 0 && epoch(b) {
                    patch.new = None;
                }
            }
            if let (Some(o), Some(n)) = (&patch.old, &patch.new)
                && o != n
            {
                // The shorter one is likelier to be the file.
                let name = if o.len() < n.len() { o.clone() } else { n.clone() };
                (patch.old, patch.new) = (Some(name.clone()), Some(name));
            }
            out.push(patch);
            continue;
        }
        at += 1;
    }
    Ok(out)
}

/// Reads the hunks from a line on; the line after them.
fn hunks(lines: &[&[u8]], mut at: usize, patch: &mut FilePatch, reading: &Reading) -> Res<usize> {
    while let Some(mut hunk) = lines.get(at).and_then(|l| hunk_head(l.strip_suffix(b"\n").unwrap_or(l))) {
        at += 1;
        hunk.line = at + 1;
        let (mut old, mut new) = (0, 0);
        while reading.recount || old < hunk.old_len || new < hunk.new_len {
            let Some(line) = lines.get(at) else {
                if reading.recount {
                    break;
                }
                return Err(crate::error::Stop::Error(128, format!("corrupt patch at line {}", at + 1)));
            };
            let (sign, body) = match line.first() {
                Some(s @ (b' ' | b'-' | b'+')) => (*s, line[1..].to_vec()),
                Some(b'\n') => (b' ', b"\n".to_vec()),
                Some(b'\\') if reading.recount => {
                    unended(&mut hunk);
                    at += 1;
                    continue;
                }
                Some(b'\\') => {
                    unended(&mut hunk);
                    at += 1;
                    continue;
                }
                _ if reading.recount => break,
                _ => return Err(crate::error::Stop::Error(128, format!("corrupt patch at line {}", at + 1))),
            };
            if reading.recount && sign == b'-' && line.starts_with(b"-- \n") {
                break;
            }
            old += usize::from(sign != b'+');
            new += usize::from(sign != b'-');
            hunk.lines.push((sign, body));
            at += 1;
        }
        if lines.get(at).is_some_and(|l| l.starts_with(b"\\ ")) {
            unended(&mut hunk);
            at += 1;
        }
        if reading.recount {
            (hunk.old_len, hunk.new_len) = (old, new);
        }
        patch.hunks.push(hunk);
    }
    Ok(at)
}

fn unended(hunk: &mut Hunk) {
    if let Some((_, line)) = hunk.lines.last_mut()
        && line.ends_with(b"\n")
    {
        line.pop();
    }
}

/// How strictly hunks are placed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Placing {
    /// Least lines of context that must be the same; all of them if it is not given.
    pub(crate) context: Option<usize>,
    /// Hunks without context are believed.
    pub(crate) zero: bool,
    /// White space does not count in context.
    pub(crate) loose: bool,
}

/// What became of the hunks.
pub(crate) struct Applied {
    pub(crate) text: Vec<u8>,
    /// For each hunk where it was placed (from 1) and how far that is from where it should be.
    pub(crate) places: Vec<Option<(usize, isize)>>,
}

/// Applies all hunks that can be.
pub(crate) fn apply(old: &[u8], patch: &FilePatch, placing: Placing) -> Applied {
    let mut image: Vec<Vec<u8>> = bytes::lines(old).map(<[u8]>::to_vec).collect();
    let mut places = Vec::new();
    for hunk in &patch.hunks {
        let place = place(&image, hunk, placing);
        let Some((at, skip, keep)) = place else {
            places.push(None);
            continue;
        };
        let lines = &hunk.lines[skip..hunk.lines.len() - keep];
        let count = lines.iter().filter(|l| l.0 != b'+').count();
        let mut new = Vec::new();
        let mut from = at;
        for (sign, line) in lines {
            match sign {
                b'+' => new.push(line.clone()),
                b' ' => {
                    // Context stays as it is in the file.
                    new.push(image.get(from).cloned().unwrap_or_default());
                    from += 1;
                }
                _ => from += 1,
            }
        }
        image.splice(at..at + count, new);
        let wanted = hunk.new_start.max(1) as isize - 1 + skip as isize;
        places.push(Some((at + 1, at as isize - wanted)));
    }
    Applied { text: image.concat(), places }
}

/// Where a hunk goes, and how many lines of it are left out at both ends.
fn place(image: &[Vec<u8>], hunk: &Hunk, placing: Placing) -> Option<(usize, usize, usize)> {
    let lead = hunk.lines.iter().take_while(|l| l.0 == b' ').count();
    let trail = hunk.lines.iter().rev().take_while(|l| l.0 == b' ').count();
    let least = placing.context.unwrap_or(usize::MAX);
    let (mut skip, mut keep) = (0, 0);
    let mut first = hunk.old_start == 0 || (hunk.old_start == 1 && !placing.zero);
    let mut last = !placing.zero && trail == 0;
    loop {
        let lines: Vec<&[u8]> = hunk.lines[skip..hunk.lines.len() - keep]
            .iter()
            .filter(|l| l.0 != b'+')
            .map(|l| &l.1[..])
            .collect();
        let fits = |at: usize| {
            at + lines.len() <= image.len()
                && (!first || at == 0)
                && (!last || at + lines.len() == image.len())
                && lines.iter().zip(&image[at..]).all(|(a, b)| same(a, b, placing.loose))
        };
        let wanted = (hunk.new_start.max(1) - 1 + skip).min(image.len());
        let found = (0..=image.len()).find_map(|d| {
            [wanted.checked_sub(d), wanted.checked_add(d)]
                .into_iter()
                .flatten()
                .find(|at| *at <= image.len() && fits(*at))
        });
        if let Some(at) = found {
            return Some((at, skip, keep));
        }
        let (l, t) = (lead - skip.min(lead), trail - keep.min(trail));
        if l <= least && t <= least {
            return None;
        }
        if first || last {
            (first, last) = (false, false);
            continue;
        }
        skip += usize::from(l >= t);
        keep += usize::from(t >= l);
    }
}

fn same(a: &[u8], b: &[u8], loose: bool) -> bool {
    if a == b {
        return true;
    }
    // Runs of white space are the same, but not one and none; ends of lines are always.
    let key = |line: &[u8]| -> Vec<u8> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut out: Vec<u8> = Vec::new();
        for b in line {
            let b = if b.is_ascii_whitespace() { b' ' } else { *b };
            if !(b == b' ' && out.last() == Some(&b' ')) {
                out.push(b);
            }
        }
        out
    };
    loose && key(a) == key(b)
}

/// Complains of white space at the ends of added lines and of spaces before tabs; how many lines have it. With `fix` it
/// is taken away instead.
pub(crate) fn white_space(patches: &mut [FilePatch], from: &str, fix: bool, quiet: bool) -> usize {
    let mut count = 0;
    for hunk in patches.iter_mut().flat_map(|p| &mut p.hunks) {
        for (here, (sign, line)) in (hunk.line..).zip(hunk.lines.iter_mut()) {
            if *sign != b'+' {
                continue;
            }
            let body = line.strip_suffix(b"\n").unwrap_or(line);
            let indent = &body[..body.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()];
            let trailing = body.last().is_some_and(u8::is_ascii_whitespace);
            let before = bytes::find(indent, b" \t").is_some();
            if !trailing && !before {
                continue;
            }
            count += 1;
            if !quiet && count <= 5 {
                let what: Vec<&str> =
                    [(trailing, "trailing whitespace"), (before, "space before tab in indent")]
                        .iter()
                        .filter_map(|(is, what)| is.then_some(*what))
                        .collect();
                say!("{from}:{here}: {}.\n{}", what.join(", "), bytes::text(body));
            }
            if fix && trailing {
                let ended = line.ends_with(b"\n");
                *line = line.trim_ascii_end().to_vec();
                if ended {
                    line.push(b'\n');
                }
            }
        }
    }
    count
}

/// Fails if a name leads out of the tree.
pub(crate) fn check_name(path: &[u8]) -> Res<()> {
    if crate::worktree::unsafe_path(path) || path.starts_with(b"/") {
        fatal!("invalid path '{}'", bytes::text(path));
    }
    Ok(())
}
