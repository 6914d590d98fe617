//! One hunk of a diff: how each format writes it, and how rejected ones are written down. It does not know the file.

use super::source::{Kind, Reader, bare};
use std::fmt::Write as _;

/// What a line of a hunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Keep,
    Take,
    Add,
}

/// A hunk. The lines of a change have all that is taken before all that is added.
#[derive(Clone, Debug, Default)]
pub(super) struct Hunk {
    /// The first line of the old and of the new part.
    pub(super) start: [usize; 2],
    /// Lines with their ends.
    pub(super) lines: Vec<(Op, Vec<u8>)>,
    /// What stands behind the second `@@`.
    section: Vec<u8>,
}

impl Hunk {
    /// The old and the new side change places.
    pub(super) fn swap(&mut self) {
        self.start.swap(0, 1);
        for (op, _) in &mut self.lines {
            *op = match op {
                Op::Keep => Op::Keep,
                Op::Take => Op::Add,
                Op::Add => Op::Take,
            };
        }
        self.order();
    }

    /// Puts what is taken before what is added, within each run of changes.
    fn order(&mut self) {
        for run in self.lines.split_mut(|(op, _)| *op == Op::Keep) {
            run.sort_by_key(|(op, _)| *op == Op::Add);
        }
    }

    /// How many lines the side has.
    pub(super) fn len(&self, side: usize) -> usize {
        let other = if side == 0 { Op::Add } else { Op::Take };
        self.lines.iter().filter(|(op, _)| *op != other).count()
    }

    /// The lines that the file must have.
    pub(super) fn pattern(&self) -> Vec<&[u8]> {
        self.lines.iter().filter(|(op, _)| *op != Op::Add).map(|(_, l)| &l[..]).collect()
    }

    /// The lines of context before the first change and after the last one.
    pub(super) fn context(&self) -> (usize, usize) {
        let keeps = |(op, _): &&(Op, Vec<u8>)| *op == Op::Keep;
        let before = self.lines.iter().take_while(keeps).count();
        let after = self.lines.iter().rev().take_while(keeps).count();
        (before, if before == self.lines.len() { 0 } else { after })
    }

    /// As a unified diff, both sides moved by `moved` lines.
    pub(super) fn unified(&self, moved: isize, out: &mut Vec<u8>) {
        let range = |side: usize| {
            let start = self.start[side].saturating_add_signed(moved);
            match self.len(side) {
                0 => format!("{},0", start.saturating_sub(1)),
                1 => start.to_string(),
                n => format!("{start},{n}"),
            }
        };
        out.extend_from_slice(format!("@@ -{} +{} @@", range(0), range(1)).as_bytes());
        out.extend_from_slice(&self.section);
        out.push(b'\n');
        for (op, line) in &self.lines {
            out.push(match op {
                Op::Keep => b' ',
                Op::Take => b'-',
                Op::Add => b'+',
            });
            out.extend_from_slice(line);
        }
    }

    /// As a context diff; that of a normal diff has no `!`.
    pub(super) fn context_diff(&self, kind: Kind, moved: isize, out: &mut Vec<u8>) {
        let mut changed = vec![false; self.lines.len()];
        let mut i = 0;
        while kind != Kind::Normal && i < self.lines.len() {
            let run = self.lines[i..].iter().take_while(|(op, _)| *op != Op::Keep).count();
            let both = self.lines[i..i + run].iter().any(|(op, _)| *op == Op::Take)
                && self.lines[i..i + run].iter().any(|(op, _)| *op == Op::Add);
            changed[i..i + run].fill(both);
            i += run.max(1);
        }
        let range = |side: usize| {
            let start = self.start[side].saturating_add_signed(moved);
            match self.len(side) {
                0 => "0".to_owned(),
                1 => start.to_string(),
                n => format!("{start},{}", start + n - 1),
            }
        };
        let (stars, dashes) = if kind == Kind::Normal { ("", " -----") } else { (" ****", " ----") };
        let mut heading = String::from("***************");
        heading += &String::from_utf8_lossy(&self.section);
        // Writing to a String cannot fail.
        let _ = write!(heading, "\n*** {}{stars}\n", range(0));
        out.extend_from_slice(heading.as_bytes());
        let half = |mine: Op, sign: u8, out: &mut Vec<u8>| {
            for ((op, line), changed) in self.lines.iter().zip(&changed) {
                if *op != Op::Keep && *op != mine {
                    continue;
                }
                let sign = if *changed { b'!' } else { sign };
                out.extend_from_slice(&[if *op == Op::Keep { b' ' } else { sign }, b' ']);
                out.extend_from_slice(line);
            }
        };
        half(Op::Take, b'-', out);
        out.extend_from_slice(format!("--- {}{dashes}\n", range(1)).as_bytes());
        half(Op::Add, b'+', out);
    }
}

/// A line of the patch that cannot be.
pub(super) struct Malformed {
    /// Its index.
    pub(super) line: usize,
}

/// The next hunk of the diff, if the reader stands at one.
pub(super) fn next(reader: &mut Reader<'_>, kind: Kind, crlf: bool) -> Result<Option<Hunk>, Malformed> {
    let mut hunk = match kind {
        Kind::Unified => unified(reader)?,
        Kind::Context => context(reader)?,
        Kind::Normal => normal(reader)?,
        Kind::Headings | Kind::Binary => None,
    };
    if let Some(hunk) = &mut hunk {
        if crlf {
            for (_, line) in &mut hunk.lines {
                if line.ends_with(b"\r\n") {
                    line.truncate(line.len() - 2);
                    line.push(b'\n');
                }
            }
        }
        hunk.order();
    }
    Ok(hunk)
}

fn number(text: &[u8]) -> Option<(usize, &[u8])> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let value: usize = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    // No file has more lines, and sums stay far from overflow.
    Some((value.min(1 << 30), &text[digits..]))
}

/// `1,3` or `1`: start and the second number, if there.
fn range(text: &[u8]) -> Option<(usize, Option<usize>, &[u8])> {
    let (first, rest) = number(text)?;
    match rest.strip_prefix(b",") {
        Some(rest) => number(rest).map(|(second, rest)| (first, Some(second), rest)),
        None => Some((first, None, rest)),
    }
}

/// The four numbers of a `@@` line.
pub(super) fn unified_range(line: &[u8]) -> Option<[usize; 4]> {
    let (old, old_len, rest) = range(line.strip_prefix(b"@@ -")?)?;
    let (new, new_len, rest) = range(rest.strip_prefix(b" +")?)?;
    rest.starts_with(b" @@").then_some([old, old_len.unwrap_or(1), new, new_len.unwrap_or(1)])
}

/// First and last line of one half of a context hunk.
pub(super) fn context_range(line: &[u8], mark: &[u8]) -> Option<(usize, usize)> {
    let (first, last, rest) = range(line.strip_prefix(mark)?)?;
    (rest.starts_with(b" *") || rest.starts_with(b" -")).then_some((first, last.unwrap_or(first)))
}

/// Both ranges of a normal diff's command, and its letter.
pub(super) fn normal_range(line: &[u8]) -> Option<([usize; 4], u8)> {
    if !line.first()?.is_ascii_digit() {
        return None;
    }
    let (a, a_end, rest) = range(line)?;
    let (letter, rest) = rest.split_first().filter(|(l, _)| b"acd".contains(l))?;
    let (b, b_end, rest) = range(rest)?;
    rest.is_empty().then_some(([a, a_end.unwrap_or(a), b, b_end.unwrap_or(b)], *letter))
}

/// Takes the newline of the last line away if the next line of the patch says that there was none.
fn no_newline(reader: &mut Reader<'_>, lines: &mut [(Op, Vec<u8>)]) {
    if reader.line(reader.at).is_some_and(|l| l.starts_with(b"\\ ")) {
        reader.at += 1;
        if let Some((_, last)) = lines.last_mut()
            && last.ends_with(b"\n")
        {
            last.pop();
        }
    }
}

/// A line always has an end, but for the marker.
fn whole(line: &[u8]) -> Vec<u8> {
    let mut line = line.to_vec();
    if !line.ends_with(b"\n") {
        line.push(b'\n');
    }
    line
}

fn unified(reader: &mut Reader<'_>) -> Result<Option<Hunk>, Malformed> {
    let Some(head) = reader.line(reader.at).filter(|l| l.starts_with(b"@@ -")).map(bare) else {
        return Ok(None);
    };
    let Some([old, mut old_left, new, mut new_left]) = unified_range(head) else {
        return Err(Malformed { line: reader.at });
    };
    let section = head[4..].windows(3).position(|w| w == b" @@").map_or(&b""[..], |i| &head[4 + i + 3..]);
    // A side without lines is named by the line before it.
    let start = [old + usize::from(old_left == 0), new + usize::from(new_left == 0)];
    let mut hunk = Hunk { start, lines: Vec::new(), section: section.to_vec() };
    reader.at += 1;
    while old_left > 0 || new_left > 0 {
        let Some(line) = reader.line(reader.at) else {
            // Blank lines at the end get lost on the way.
            if old_left == new_left && new_left < 3 {
                hunk.lines.extend((0..new_left).map(|_| (Op::Keep, b"\n".to_vec())));
                break;
            }
            return Err(Malformed { line: reader.at });
        };
        let malformed = Malformed { line: reader.at };
        let (op, text) = match line[0] {
            b' ' => (Op::Keep, &line[1..]),
            b'\t' | b'\n' | b'\r' => (Op::Keep, line),
            b'-' => (Op::Take, &line[1..]),
            b'+' => (Op::Add, &line[1..]),
            _ => return Err(malformed),
        };
        let (takes, adds) = (usize::from(op != Op::Add), usize::from(op != Op::Take));
        let (Some(o), Some(n)) = (old_left.checked_sub(takes), new_left.checked_sub(adds)) else {
            return Err(malformed);
        };
        (old_left, new_left) = (o, n);
        hunk.lines.push((op, whole(text)));
        reader.at += 1;
        no_newline(reader, &mut hunk.lines);
    }
    Ok(Some(hunk))
}

/// The lines of one half of a context hunk, as marks and texts.
fn half(reader: &mut Reader<'_>, marks: &[u8], count: usize) -> Result<Vec<(Op, Vec<u8>)>, Malformed> {
    let mut lines = Vec::new();
    while let Some(line) = reader.line(reader.at) {
        if lines.len() == count || line.starts_with(b"--- ") || line.starts_with(b"********") {
            break;
        }
        let text = match (line[0], line.get(1)) {
            (b' ' | b'!' | b'-' | b'+', Some(b' ' | b'\t')) => &line[2..],
            (b'\n', None) => line,
            (_, _) => break,
        };
        let op = match line[0] {
            b' ' | b'\n' => Op::Keep,
            mark if marks.contains(&mark) => {
                if marks[0] == b'-' {
                    Op::Take
                } else {
                    Op::Add
                }
            }
            _ => return Err(Malformed { line: reader.at }),
        };
        lines.push((op, whole(text)));
        reader.at += 1;
        no_newline(reader, &mut lines);
    }
    Ok(lines)
}

fn context(reader: &mut Reader<'_>) -> Result<Option<Hunk>, Malformed> {
    let Some(stars) = reader.line(reader.at).filter(|l| l.starts_with(b"********")).map(bare) else {
        return Ok(None);
    };
    let second = reader.line(reader.at + 1).map(bare).unwrap_or_default();
    let Some(old) = context_range(second, b"*** ") else { return Ok(None) };
    let section = stars.iter().position(|b| *b != b'*').map_or(&b""[..], |i| &stars[i..]);
    let count = |(first, last): (usize, usize)| if last == 0 { 0 } else { (last + 1).saturating_sub(first) };
    reader.at += 2;
    let olds = half(reader, b"-!", count(old))?;
    let line = reader.line(reader.at).map(bare).unwrap_or_default();
    let Some(new) = context_range(line, b"--- ") else { return Err(Malformed { line: reader.at }) };
    reader.at += 1;
    let news = half(reader, b"+!", count(new))?;
    let malformed = Malformed { line: reader.at };
    // A half without changes may be left out.
    let lacks = |got: usize, range: (usize, usize)| got != count(range) && got != 0;
    if lacks(olds.len(), old) || lacks(news.len(), new) || (olds.is_empty() && news.is_empty()) {
        return Err(malformed);
    }
    let kept = |half: &[(Op, Vec<u8>)]| -> Vec<(Op, Vec<u8>)> {
        half.iter().filter(|(op, _)| *op == Op::Keep).cloned().collect()
    };
    let olds = if olds.is_empty() { kept(&news) } else { olds };
    let news = if news.is_empty() { kept(&olds) } else { news };
    let mut lines = Vec::new();
    let (mut a, mut b) = (olds.into_iter().peekable(), news.into_iter().peekable());
    loop {
        while let Some(line) = a.next_if(|(op, _)| *op == Op::Take) {
            lines.push(line);
        }
        while let Some(line) = b.next_if(|(op, _)| *op == Op::Add) {
            lines.push(line);
        }
        match (a.next(), b.next()) {
            (Some(line), Some(_)) => lines.push(line),
            (None, None) => break,
            _ => return Err(malformed),
        }
    }
    let start = |range: (usize, usize)| range.0 + usize::from(count(range) == 0);
    Ok(Some(Hunk { start: [start(old), start(new)], lines, section: section.to_vec() }))
}

fn normal(reader: &mut Reader<'_>) -> Result<Option<Hunk>, Malformed> {
    let Some(([a, a_end, b, b_end], letter)) = reader.line(reader.at).and_then(|l| normal_range(bare(l)))
    else {
        return Ok(None);
    };
    reader.at += 1;
    let old = if letter == b'a' { 0 } else { (a_end + 1).saturating_sub(a) };
    let new = if letter == b'd' { 0 } else { (b_end + 1).saturating_sub(b) };
    let mut lines = Vec::new();
    for (count, mark, op) in [(old, b"< ", Op::Take), (new, b"> ", Op::Add)] {
        for _ in 0..count {
            match reader.line(reader.at).and_then(|l| l.strip_prefix(mark)) {
                Some(text) => lines.push((op, whole(text))),
                None => return Err(Malformed { line: reader.at }),
            }
            reader.at += 1;
            no_newline(reader, &mut lines);
        }
        if op == Op::Take && letter == b'c' {
            if reader.line(reader.at).map(bare) != Some(b"---") {
                return Err(Malformed { line: reader.at });
            }
            reader.at += 1;
        }
    }
    let start = [a + usize::from(old == 0), b + usize::from(new == 0)];
    Ok(Some(Hunk { start, lines, section: Vec::new() }))
}
