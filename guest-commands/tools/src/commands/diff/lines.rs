//! Two files as lists of lines, and the changes that lead from one to the other. The shortest list of changes is the
//! library's work; where a change may stand in several places it is put where GNU puts it.

use super::look::{Patterns, expanded};
use imara_diff::{Algorithm, Diff, InternedInput};
use std::borrow::Cow;

/// What counts as a difference between two lines.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compare {
    pub(crate) fold: bool,
    /// `-w`
    pub(crate) no_space: bool,
    /// `-b`
    pub(crate) space_change: bool,
    /// `-E`: columns of a tab.
    pub(crate) tab_expansion: Option<usize>,
    /// `-Z`
    pub(crate) trailing_space: bool,
    /// `-B`
    pub(crate) blank_lines: bool,
    /// Look for the shortest list whatever it costs.
    pub(crate) minimal: bool,
}

impl Compare {
    /// Whether lines are compared as they are.
    pub(crate) fn exact(self) -> bool {
        !(self.fold
            || self.no_space
            || self.space_change
            || self.trailing_space
            || self.tab_expansion.is_some()
            || self.blank_lines)
    }

    /// What of a line is compared. A newline at its end counts, unless white space there does not.
    fn key(self, line: &[u8]) -> Cow<'_, [u8]> {
        let mut key = Cow::Borrowed(line);
        if self.no_space {
            key = Cow::Owned(key.iter().copied().filter(|b| !space(*b)).collect());
        } else if self.space_change || self.trailing_space {
            let end = key.iter().rposition(|b| !space(*b)).map_or(0, |i| i + 1);
            let text = &key[..end];
            let mut out = Vec::with_capacity(end);
            for (i, b) in text.iter().enumerate() {
                if self.space_change && space(*b) {
                    if i == 0 || !space(text[i - 1]) {
                        out.push(b' ');
                    }
                } else {
                    out.push(*b);
                }
            }
            key = Cow::Owned(out);
        }
        if let Some(tab) = self.tab_expansion
            && memchr::memchr(b'\t', &key).is_some()
        {
            key = Cow::Owned(expanded(&key, tab));
        }
        if self.fold {
            key = Cow::Owned(String::from_utf8_lossy(&key).to_lowercase().into_bytes());
        }
        key
    }

    fn blank(self, line: &[u8]) -> bool {
        let spaces = self.no_space || self.space_change || self.trailing_space;
        if spaces { line.iter().all(|b| space(*b)) } else { line == b"\n" }
    }
}

fn space(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r')
}

/// Lines of one file that others take the place of; either side may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// First line, and the line after the last, counted from 0.
    pub(crate) old: (usize, usize),
    pub(crate) new: (usize, usize),
    /// Only blank lines, which `-B` does not count, or such that fit `-I`.
    pub(crate) ignore: bool,
}

/// A file cut into lines, newlines included.
pub(crate) fn split(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut from = 0;
    for at in memchr::memchr_iter(b'\n', text) {
        lines.push(&text[from..=at]);
        from = at + 1;
    }
    if from < text.len() {
        lines.push(&text[from..]);
    }
    lines
}

/// The changes between two lists of lines, in order.
pub(crate) fn changes(compare: Compare, uncounted: &Patterns, old: &[&[u8]], new: &[&[u8]]) -> Vec<Change> {
    let mut input: InternedInput<Cow<'_, [u8]>> = InternedInput::default();
    input.update_before(old.iter().map(|line| compare.key(line)));
    input.update_after(new.iter().map(|line| compare.key(line)));
    let algorithm = if compare.minimal { Algorithm::MyersMinimal } else { Algorithm::Myers };
    let diff = Diff::compute(algorithm, &input);
    let mut removed: Vec<bool> = (0..old.len()).map(|i| diff.is_removed(i as u32)).collect();
    let mut added: Vec<bool> = (0..new.len()).map(|i| diff.is_added(i as u32)).collect();
    shift(&mut removed, &added, &input.before);
    shift(&mut added, &removed, &input.after);
    let may_ignore = compare.blank_lines || !uncounted.is_empty();
    let trivial = |line: &[u8]| (compare.blank_lines && compare.blank(line)) || uncounted.fit(line);
    let ignored = |lines: &[&[u8]]| lines.iter().all(|line| trivial(line));
    let mut found = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let (from_old, from_new) = (i, j);
        while removed.get(i) == Some(&true) {
            i += 1;
        }
        while added.get(j) == Some(&true) {
            j += 1;
        }
        if (i, j) != (from_old, from_new) {
            let ignore = may_ignore && ignored(&old[from_old..i]) && ignored(&new[from_new..j]);
            found.push(Change { old: (from_old, i), new: (from_new, j), ignore });
        }
        i += 1;
        j += 1;
    }
    found
}

/// Moves every run of changed lines as far down as equal lines let it, joining runs that meet and ending next to a change
/// of the other file if there is one: GNU's `shift_boundaries`.
fn shift<T: PartialEq>(changed: &mut [bool], other: &[bool], lines: &[T]) {
    let is = |flags: &[bool], i: usize| flags.get(i).copied().unwrap_or(false);
    let end = changed.len();
    let (mut i, mut j) = (0, 0);
    loop {
        // The next run, keeping the two files in step.
        while i < end && !changed[i] {
            while is(other, j) {
                j += 1;
            }
            j += 1;
            i += 1;
        }
        if i == end {
            return;
        }
        let mut start = i;
        while i < end && changed[i] {
            i += 1;
        }
        while is(other, j) {
            j += 1;
        }
        let mut corresponding;
        loop {
            let length = i - start;
            // Up, to join a run before this one.
            while start > 0 && lines[start - 1] == lines[i - 1] {
                start -= 1;
                i -= 1;
                changed[start] = true;
                changed[i] = false;
                while start > 0 && changed[start - 1] {
                    start -= 1;
                }
                j -= 1;
                while j > 0 && is(other, j) {
                    j -= 1;
                }
            }
            // Where it may stand beside a change of the other file.
            corresponding = if j > 0 && is(other, j - 1) { i } else { end };
            // Down, joining runs after it.
            while i < end && lines[start] == lines[i] {
                changed[start] = false;
                changed[i] = true;
                start += 1;
                i += 1;
                while i < end && changed[i] {
                    i += 1;
                }
                j += 1;
                while is(other, j) {
                    j += 1;
                    corresponding = i;
                }
            }
            if i - start == length {
                break;
            }
        }
        while corresponding < i {
            start -= 1;
            i -= 1;
            changed[start] = true;
            changed[i] = false;
            j -= 1;
            while j > 0 && is(other, j) {
                j -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Compare, Patterns, changes, split};

    fn shown(compare: Compare, old: &str, new: &str) -> String {
        let (old, new) = (split(old.as_bytes()), split(new.as_bytes()));
        let list: Vec<String> = changes(compare, &Patterns::default(), &old, &new)
            .iter()
            .map(|c| format!("{}-{}:{}-{}", c.old.0, c.old.1, c.new.0, c.new.1))
            .collect();
        list.join(" ")
    }

    #[test]
    fn changes_stand_where_gnu_puts_them() {
        let exact = Compare::default();
        assert_eq!(shown(exact, "a\nb\n", "a\nb\n"), "");
        assert_eq!(shown(exact, "a\nb\nc\n", "a\nx\nc\n"), "1-2:1-2");
        assert_eq!(shown(exact, "a\na\na\n", "a\na\n"), "2-3:2-2");
        assert_eq!(shown(exact, "{\n1\n}\n", "{\n1\n}\n{\n2\n}\n"), "3-3:3-6");
        assert_eq!(shown(exact, "", "a\n"), "0-0:0-1");
        assert_eq!(shown(exact, "a", "a\n"), "0-1:0-1");
    }

    #[test]
    fn what_is_not_compared_is_no_change() {
        let with = |set: fn(&mut Compare)| {
            let mut compare = Compare::default();
            set(&mut compare);
            compare
        };
        for (set, old, new) in [
            ((|c| c.fold = true) as fn(&mut Compare), "A\n", "a\n"),
            (|c| c.no_space = true, "a b\n", " a  b \n"),
            (|c| c.space_change = true, "a  b\n", "a b  \n"),
            (|c| c.trailing_space = true, "a\t\n", "a\n"),
            (|c| c.tab_expansion = Some(8), "a\tb\n", "a       b\n"),
        ] {
            assert_eq!(shown(with(set), old, new), "", "{old:?} {new:?}");
            assert_ne!(shown(Compare::default(), old, new), "");
        }
        assert_ne!(shown(with(|c| c.space_change = true), "ab\n", "a b\n"), "");
    }
}
