//! The lines of a text in pieces of bounded size, so that a change in the middle of a million lines moves only a few. It knows
//! nothing of undo.

use std::cell::Cell;

/// How many lines a piece has at most before it is cut in two.
const MOST: usize = 1024;

/// A line: bytes without the end of line, and whether a `:global` still has to visit it.
#[derive(Clone, Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    tagged: bool,
}

/// Lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pieces: Vec<Vec<Line>>,
    len: usize,
    /// The piece that was asked for last, and the number of its first line.
    last: Cell<(usize, usize)>,
    /// No line before this one is tagged.
    lowest: usize,
}

impl Lines {
    /// These lines.
    pub(crate) fn of(lines: impl Iterator<Item = Vec<u8>>) -> Lines {
        let mut out = Lines::default();
        let mut piece = Vec::with_capacity(MOST / 2);
        for bytes in lines {
            piece.push(Line { bytes, tagged: false });
            out.len += 1;
            if piece.len() == MOST / 2 {
                out.pieces.push(std::mem::replace(&mut piece, Vec::with_capacity(MOST / 2)));
            }
        }
        if !piece.is_empty() {
            piece.shrink_to_fit();
            out.pieces.push(piece);
        }
        out
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The piece of a line and its place there; for the end, the place after the last line.
    fn find(&self, at: usize) -> (usize, usize) {
        let (mut piece, mut first) = self.last.get();
        if at < first || piece >= self.pieces.len() {
            (piece, first) = (0, 0);
        }
        while piece + 1 < self.pieces.len() && at >= first + self.pieces[piece].len() {
            first += self.pieces[piece].len();
            piece += 1;
        }
        self.last.set((piece, first));
        (piece, at - first)
    }

    fn line(&self, at: usize) -> Option<&Line> {
        if at >= self.len {
            return None;
        }
        let (piece, index) = self.find(at);
        self.pieces[piece].get(index)
    }

    /// The bytes of a line.
    pub(crate) fn get(&self, at: usize) -> Option<&[u8]> {
        self.line(at).map(|l| l.bytes.as_slice())
    }

    /// Puts lines in place of others, which it gives back. Tags stay with the lines that stand in the same place.
    pub(crate) fn splice(&mut self, at: usize, count: usize, new: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let at = at.min(self.len);
        let count = count.min(self.len - at);
        if at < self.lowest {
            self.lowest = if self.lowest >= at + count {
                self.lowest - count + new.len()
            } else {
                self.lowest.min(at + new.len())
            };
        }
        let mut old = Vec::with_capacity(count);
        let mut new = new.into_iter();
        let (mut piece, mut index) = if self.pieces.is_empty() { (0, 0) } else { self.find(at) };
        let first = (piece, index);
        // What has a counterpart is exchanged in place.
        while old.len() < count {
            if index >= self.pieces[piece].len() {
                (piece, index) = (piece + 1, 0);
                continue;
            }
            let Some(bytes) = new.next() else { break };
            old.push(std::mem::replace(&mut self.pieces[piece][index].bytes, bytes));
            index += 1;
        }
        let rest: Vec<Line> = new.map(|bytes| Line { bytes, tagged: false }).collect();
        let mut changed = false;
        while old.len() < count {
            if index >= self.pieces[piece].len() {
                (piece, index) = (piece + 1, 0);
                continue;
            }
            let here = &mut self.pieces[piece];
            let end = here.len().min(index + count - old.len());
            self.len -= end - index;
            old.extend(here.drain(index..end).map(|l| l.bytes));
            changed = true;
        }
        if !rest.is_empty() {
            changed = true;
            self.len += rest.len();
            if self.pieces.is_empty() {
                self.pieces.push(Vec::new());
            }
            let here = &mut self.pieces[piece];
            let index = index.min(here.len());
            if rest.len() + here.len() <= MOST {
                here.splice(index..index, rest);
            } else {
                let tail = here.split_off(index);
                let mut all = rest;
                all.extend(tail);
                let mut made: Vec<Vec<Line>> = Vec::new();
                let mut all = all.into_iter().peekable();
                while all.peek().is_some() {
                    made.push(all.by_ref().take(MOST / 2).collect());
                }
                self.pieces.splice(piece + 1..piece + 1, made);
            }
        }
        if changed {
            let until = (piece + 1).min(self.pieces.len());
            if self.pieces[first.0.min(until)..until].iter().any(Vec::is_empty) {
                self.pieces.retain(|p| !p.is_empty());
            }
            self.last.set((0, 0));
        }
        old
    }

    /// Marks a line for a visit.
    pub(crate) fn tag(&mut self, at: usize) {
        if at < self.len {
            let (piece, index) = self.find(at);
            self.pieces[piece][index].tagged = true;
            self.lowest = self.lowest.min(at);
        }
    }

    /// The first line that is marked; it is not any more.
    pub(crate) fn next_tagged(&mut self) -> Option<usize> {
        while self.lowest < self.len {
            let at = self.lowest;
            let (piece, index) = self.find(at);
            if std::mem::take(&mut self.pieces[piece][index].tagged) {
                return Some(at);
            }
            self.lowest += 1;
        }
        None
    }

    /// Takes all marks away.
    pub(crate) fn untag(&mut self) {
        while self.next_tagged().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &Lines) -> Vec<String> {
        (0..lines.len()).map(|i| String::from_utf8_lossy(lines.get(i).unwrap()).into_owned()).collect()
    }

    #[test]
    fn changes_are_those_of_a_vector() {
        let mut seed = 7_usize;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        let mut lines = Lines::of((0..3000).map(|i| i.to_string().into_bytes()));
        let mut model: Vec<String> = (0..3000).map(|i| i.to_string()).collect();
        for turn in 0..600 {
            let at = random(model.len() + 1);
            let count = random(model.len() - at + 1).min(random(40) * random(40));
            let many = random(30) * random(60);
            let new: Vec<String> = (0..many).map(|i| format!("{turn}.{i}")).collect();
            let old = lines.splice(at, count, new.iter().map(|l| l.clone().into_bytes()).collect());
            let wanted: Vec<String> = model.splice(at..at + count, new).collect();
            assert_eq!(old, wanted.into_iter().map(String::into_bytes).collect::<Vec<_>>());
            assert_eq!(lines.len(), model.len());
        }
        assert_eq!(all(&lines), model);
        lines.splice(0, model.len(), Vec::new());
        assert_eq!(lines.len(), 0);
        lines.splice(0, 0, vec![b"x".to_vec()]);
        assert_eq!(all(&lines), ["x"]);
    }

    #[test]
    fn tags_follow_their_lines() {
        let mut lines = Lines::of((0..10).map(|i| i.to_string().into_bytes()));
        for i in [2, 3, 5, 9] {
            lines.tag(i);
        }
        assert_eq!(lines.next_tagged(), Some(2));
        lines.splice(2, 1, Vec::new());
        assert_eq!(lines.next_tagged(), Some(2));
        lines.splice(0, 0, vec![Vec::new(), Vec::new()]);
        assert_eq!(lines.next_tagged(), Some(6));
        lines.splice(10, 1, vec![b"y".to_vec()]);
        assert_eq!(lines.next_tagged(), Some(10));
        assert_eq!(lines.next_tagged(), None);
    }
}
