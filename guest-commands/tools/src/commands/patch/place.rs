//! Where a hunk fits into a file, exactly or nearly, and the file that results. It reads and writes no file.

use super::hunk::{Hunk, Op};

/// A file that hunks are applied to, one after the other.
pub(super) struct Work<'a> {
    lines: Vec<&'a [u8]>,
    /// How many lines are in the output already.
    done: usize,
    /// The result so far.
    pub(super) out: Vec<u8>,
    /// How far the last hunk was from where it should be.
    pub(super) off: isize,
    /// How many lines the result has more than the file, up to here.
    pub(super) grown: isize,
    /// Any run of blanks is as good as any other.
    loose: bool,
}

impl<'a> Work<'a> {
    pub(super) fn new(file: &'a [u8], loose: bool) -> Work<'a> {
        let lines = file.split_inclusive(|b| *b == b'\n').collect();
        Work { lines, done: 0, out: Vec::with_capacity(file.len()), off: 0, grown: 0, loose }
    }

    /// The line, from 1, where the hunk fits with `fuzz` lines of its context ignored; `off` then tells how far away.
    pub(super) fn locate(&mut self, hunk: &Hunk, fuzz: usize) -> Option<usize> {
        let pattern = hunk.pattern();
        let guess = (hunk.start[0].cast_signed() + self.off).max(1);
        if pattern.is_empty() {
            // Nothing must be there: but no line is in the output twice.
            return Some(
                guess.cast_unsigned().clamp(self.done + 1, (self.lines.len() + 1).max(self.done + 1)),
            );
        }
        let (prefix, suffix) = hunk.context();
        let context = prefix.max(suffix);
        let drop = |side: usize| fuzz.cast_signed() + side.cast_signed() - context.cast_signed();
        let (prefix_fuzz, suffix_fuzz) = (drop(prefix), drop(suffix));
        let (at_start, at_end) = (prefix_fuzz < 0, suffix_fuzz < 0);
        let (skip, cut) = (prefix_fuzz.max(0).cast_unsigned(), suffix_fuzz.max(0).cast_unsigned());
        let (count, wanted) = (self.lines.len().cast_signed(), pattern.len().cast_signed());
        let last = count - (wanted - cut.cast_signed()) + 1;
        let first = self.done.cast_signed() + 1;
        let found = |work: &Work<'_>, at: isize| {
            at >= first.max(1) && at <= last && work.fits(&pattern, at.cast_unsigned() - 1, skip, cut)
        };
        let at = if at_start {
            // Less context than behind: the hunk began where the file begins.
            Some(1).filter(|at| (!at_end || wanted == count) && found(self, *at))
        } else if at_end {
            Some(count - wanted + 1).filter(|at| found(self, *at))
        } else {
            let most = (last - guess).max(guess - first).max(0);
            (0..=most).find_map(|d| [guess + d, guess - d].into_iter().find(|at| found(self, *at)))
        }?;
        self.off += at - guess;
        Some(at.cast_unsigned())
    }

    fn fits(&self, pattern: &[&[u8]], at: usize, skip: usize, cut: usize) -> bool {
        let end = pattern.len().saturating_sub(cut);
        (skip..end).all(|i| {
            let Some(line) = self.lines.get(at + i) else { return false };
            if self.loose { alike(line, pattern[i]) } else { *line == pattern[i] }
        })
    }

    /// Whether the file ends its lines otherwise than the hunk does.
    pub(super) fn other_ends(&self, hunk: &Hunk) -> bool {
        let at = hunk.start[0].max(1) - 1;
        let crlf = |line: &[u8]| line.ends_with(b"\r\n");
        match (hunk.pattern().first(), self.lines.get(at.min(self.lines.len().saturating_sub(1)))) {
            (Some(wanted), Some(line)) => crlf(wanted) != crlf(line),
            _ => false,
        }
    }

    /// Puts the hunk at line `at`, from 1, where it fits.
    pub(super) fn apply(&mut self, hunk: &Hunk, at: usize) {
        self.copy_to(at - 1);
        for (op, line) in &hunk.lines {
            match op {
                // What the file has stays: it may differ from the hunk where that fits but nearly.
                Op::Keep => self.copy_to(self.done + 1),
                Op::Take => self.done = (self.done + 1).min(self.lines.len()),
                Op::Add => push(&mut self.out, line),
            }
        }
        self.grown += hunk.len(1).cast_signed() - hunk.len(0).cast_signed();
    }

    /// The whole result.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.copy_to(self.lines.len());
        self.out
    }

    fn copy_to(&mut self, end: usize) {
        let end = end.min(self.lines.len());
        while self.done < end {
            push(&mut self.out, self.lines[self.done]);
            self.done += 1;
        }
    }
}

/// Adds a line; one that had no end gets it if anything follows.
fn push(out: &mut Vec<u8>, line: &[u8]) {
    if out.last().is_some_and(|b| *b != b'\n') {
        out.push(b'\n');
    }
    out.extend_from_slice(line);
}

/// Whether two lines are the same but for the amount of white space, and that at their ends.
fn alike(a: &[u8], b: &[u8]) -> bool {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let (mut a, mut b) = (a.trim_ascii_end(), b.trim_ascii_end());
    loop {
        match (a.first(), b.first()) {
            (None, None) => return true,
            (Some(x), Some(y)) if blank(x) && blank(y) => {
                let skip = |text: &[u8]| text.iter().take_while(|b| blank(b)).count();
                (a, b) = (&a[skip(a)..], &b[skip(b)..]);
            }
            (Some(x), Some(y)) if x == y => (a, b) = (&a[1..], &b[1..]),
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::alike;

    #[test]
    fn white_space_counts_once() {
        assert!(alike(b"a  b \n", b"a\tb\n"));
        assert!(!alike(b" a\n", b"a\n"));
        assert!(!alike(b"ab\n", b"a b\n"));
    }
}
