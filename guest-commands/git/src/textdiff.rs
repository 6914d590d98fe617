//! Comparing lines: hunks in unified form with the line that names the function, white space options, colours of a patch.

use crate::bytes;
use crate::error::put;
use imara_diff::{Algorithm, Diff, InternedInput};
use std::ops::Range;

/// Which white space does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Space {
    /// `-w`
    pub(crate) all: bool,
    /// `-b`
    pub(crate) change: bool,
    /// `--ignore-space-at-eol`
    pub(crate) eol: bool,
    /// `--ignore-cr-at-eol`
    pub(crate) cr: bool,
}

impl Space {
    fn any(self) -> bool {
        self.all || self.change || self.eol || self.cr
    }

    /// The line as it is compared.
    fn key(self, line: &[u8]) -> Vec<u8> {
        let blank = |b: &u8| b.is_ascii_whitespace() || *b == 11;
        if self.all {
            return line.iter().copied().filter(|b| !blank(b)).collect();
        }
        let mut out = Vec::with_capacity(line.len());
        if self.change {
            let end = line.iter().rposition(|b| !blank(b)).map_or(0, |e| e + 1);
            let mut space = false;
            for b in &line[..end] {
                if blank(b) {
                    space = true;
                } else {
                    if space {
                        out.push(b' ');
                    }
                    space = false;
                    out.push(*b);
                }
            }
            return out;
        }
        if self.eol {
            let end = line.iter().rposition(|b| !blank(b)).map_or(0, |e| e + 1);
            return line[..end].to_vec();
        }
        let body = line.strip_suffix(b"\n").unwrap_or(line);
        body.strip_suffix(b"\r").unwrap_or(body).to_vec()
    }
}

/// Which algorithm compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    #[default]
    Myers,
    Minimal,
    Histogram,
}

/// A change of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hunk {
    pub(crate) old: Range<usize>,
    pub(crate) new: Range<usize>,
}

/// What changed between two lists of lines.
pub(crate) fn hunks(old: &[&[u8]], new: &[&[u8]], space: Space, way: Way) -> Vec<Hunk> {
    let algorithm = match way {
        Way::Myers => Algorithm::Myers,
        Way::Minimal => Algorithm::MyersMinimal,
        Way::Histogram => Algorithm::Histogram,
    };
    let diff = if space.any() {
        let mut input: InternedInput<Vec<u8>> = InternedInput::default();
        input.update_before(old.iter().map(|l| space.key(l)));
        input.update_after(new.iter().map(|l| space.key(l)));
        let mut diff = Diff::compute(algorithm, &input);
        diff.postprocess_lines(&input);
        diff
    } else {
        let mut input: InternedInput<&[u8]> = InternedInput::default();
        input.update_before(old.iter().copied());
        input.update_after(new.iter().copied());
        let mut diff = Diff::compute(algorithm, &input);
        diff.postprocess_lines(&input);
        diff
    };
    diff.hunks()
        .map(|h| Hunk {
            old: h.before.start as usize..h.before.end as usize,
            new: h.after.start as usize..h.after.end as usize,
        })
        .collect()
}

/// What changed between two lists, without the taste that git has for lines.
pub(crate) fn plain_hunks(old: &[&[u8]], new: &[&[u8]]) -> Vec<Hunk> {
    let mut input: InternedInput<&[u8]> = InternedInput::default();
    input.update_before(old.iter().copied());
    input.update_after(new.iter().copied());
    let mut diff = Diff::compute(Algorithm::Myers, &input);
    diff.postprocess_no_heuristic(&input);
    diff.hunks()
        .map(|h| Hunk {
            old: h.before.start as usize..h.before.end as usize,
            new: h.after.start as usize..h.after.end as usize,
        })
        .collect()
}

/// How a patch is printed.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) context: usize,
    pub(crate) inter: usize,
    pub(crate) space: Space,
    pub(crate) way: Way,
    pub(crate) color: bool,
    pub(crate) ignore_blank: bool,
    /// `-W`
    pub(crate) function: bool,
    /// `--word-diff`
    pub(crate) words: Option<crate::worddiff::Words>,
}

impl Default for Style {
    fn default() -> Self {
        let (space, way) = (Space::default(), Way::default());
        Style {
            context: 3,
            inter: 0,
            space,
            way,
            color: false,
            ignore_blank: false,
            function: false,
            words: None,
        }
    }
}

pub(crate) const BOLD: &str = "\x1b[1m";
pub(crate) const RED: &str = "\x1b[31m";
pub(crate) const GREEN: &str = "\x1b[32m";
pub(crate) const CYAN: &str = "\x1b[36m";
pub(crate) const RESET: &str = "\x1b[m";

/// Whether a content is no text.
pub(crate) fn is_binary(data: &[u8]) -> bool {
    data[..data.len().min(8000)].contains(&0)
}

/// A line that names a function: it begins with a letter, `_` or `$`.
fn names_function(line: &[u8]) -> bool {
    line.first().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$'))
}

/// Prints the hunks of a patch; nothing if there are none. True if there was one.
pub(crate) fn print(old: &[u8], new: &[u8], style: &Style) -> bool {
    let old: Vec<&[u8]> = bytes::lines(old).collect();
    let new: Vec<&[u8]> = bytes::lines(new).collect();
    let mut all = hunks(&old, &new, style.space, style.way);
    if style.ignore_blank {
        all.retain(|h| {
            old[h.old.clone()].iter().chain(&new[h.new.clone()]).any(|l| !l.trim_ascii().is_empty())
        });
    }
    if all.is_empty() {
        return false;
    }
    let mut at = 0;
    let mut function: Option<Vec<u8>> = None;
    let mut searched = 0;
    while at < all.len() {
        let mut end = at + 1;
        let reach = |h: &Hunk| -> (usize, usize) {
            let start = (0..=h.old.start.min(old.len().saturating_sub(1)))
                .rev()
                .find(|i| names_function(old[*i]))
                .unwrap_or(0);
            let stop = (h.old.end.max(h.old.start + 1)..old.len())
                .find(|i| names_function(old[*i]))
                .unwrap_or(old.len());
            (start, stop)
        };
        while end < all.len()
            && (all[end].old.start - all[end - 1].old.end <= style.context * 2 + style.inter
                || (style.function && reach(&all[end]).0 <= reach(&all[end - 1]).1))
        {
            end += 1;
        }
        let group = &all[at..end];
        let (first, last) = (&group[0], &group[group.len() - 1]);
        let mut before = style.context.min(first.old.start);
        let mut after = style.context.min(old.len() - last.old.end);
        if style.function {
            before = before.max(first.old.start.saturating_sub(reach(first).0));
            after = after.max(reach(last).1.saturating_sub(last.old.end));
        }
        let (o, n) = (first.old.start - before, first.new.start.saturating_sub(before));
        let (o_end, n_end) = (last.old.end + after, (last.new.end + after).min(new.len()));
        // The nearest line above that names a function; what was found before need not be searched again.
        if let Some(line) = old[searched.min(o)..o].iter().rfind(|line| names_function(line)) {
            function = Some(line.to_vec());
        }
        searched = searched.max(o);
        let range = |start: usize, len: usize| match len {
            0 => format!("{start},0"),
            1 => format!("{}", start + 1),
            len => format!("{},{len}", start + 1),
        };
        let mut head = format!("@@ -{} +{} @@", range(o, o_end - o), range(n, n_end - n)).into_bytes();
        if style.color {
            head = [CYAN.as_bytes(), &head, RESET.as_bytes()].concat();
        }
        if let Some(line) = &function {
            let line = &line[..line.len().min(80)];
            head.push(b' ');
            head.extend_from_slice(line.trim_ascii_end());
        }
        head.push(b'\n');
        put(&head);
        let (mut i, mut j) = (o, n);
        // Context lines are those of the new file: they differ from the old ones if white space does not count.
        let shared = |i: usize, i_end: usize, j: usize| match new.get(j..j + (i_end - i)) {
            Some(lines) if !style.ignore_blank => lines.to_vec(),
            _ => old[i..i_end].to_vec(),
        };
        if let Some(words) = &style.words {
            for h in group {
                shared(i, h.old.start, j).iter().for_each(|l| words.context(l, style.color));
                words.change(&old[h.old.clone()], &new[h.new.clone()], style.color);
                (i, j) = (h.old.end, h.new.end);
            }
            shared(i, o_end, j).iter().for_each(|l| words.context(l, style.color));
            at = end;
            continue;
        }
        for h in group {
            for line in &shared(i, h.old.start, j) {
                put_line(b' ', line, style.color);
            }
            for line in &old[h.old.clone()] {
                put_line(b'-', line, style.color);
            }
            for line in &new[h.new.clone()] {
                put_line(b'+', line, style.color);
            }
            (i, j) = (h.old.end, h.new.end);
        }
        for line in &shared(i, o_end, j) {
            put_line(b' ', line, style.color);
        }
        at = end;
    }
    true
}

fn put_line(sign: u8, line: &[u8], color: bool) {
    let (body, ended) = match line.strip_suffix(b"\n") {
        Some(body) => (body, true),
        None => (line, false),
    };
    let paint = match sign {
        b'-' if color => RED,
        b'+' if color => GREEN,
        _ => "",
    };
    if paint.is_empty() {
        put(&[sign]);
        put(body);
        if color {
            put(RESET.as_bytes());
        }
    } else if sign == b'+' && !body.is_empty() {
        put(format!("{paint}+{RESET}{paint}").as_bytes());
        put(body);
        put(RESET.as_bytes());
    } else {
        put(paint.as_bytes());
        put(&[sign]);
        put(body);
        put(RESET.as_bytes());
    }
    put(if ended { b"\n" } else { b"\n\\ No newline at end of file\n" });
}

/// Added and deleted lines.
pub(crate) fn count(old: &[u8], new: &[u8], style: &Style) -> (usize, usize) {
    let old: Vec<&[u8]> = bytes::lines(old).collect();
    let new: Vec<&[u8]> = bytes::lines(new).collect();
    let mut all = hunks(&old, &new, style.space, style.way);
    if style.ignore_blank {
        all.retain(|h| {
            old[h.old.clone()].iter().chain(&new[h.new.clone()]).any(|l| !l.trim_ascii().is_empty())
        });
    }
    (all.iter().map(|h| h.new.len()).sum(), all.iter().map(|h| h.old.len()).sum())
}
