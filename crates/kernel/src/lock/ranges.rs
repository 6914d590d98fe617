//! The record locks of one owner on one file: ranges of bytes that do not overlap, merged and split as fcntl(2) says. It knows
//! no other owners.

use std::collections::BTreeMap;

/// The last byte that a file can have.
pub(crate) const LAST: u64 = i64::MAX as u64;

/// Bytes from `start` to `end`, both included, `end` at most [`LAST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The rest of a range that begins somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    end: u64,
    exclusive: bool,
}

/// No room for the ranges that a change would make.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Ranges by their first byte. Neighbours of one kind are one range.
#[derive(Debug, Default)]
pub(crate) struct Ranges(BTreeMap<u64, Span>);

impl Ranges {
    /// The first range that keeps another owner from this one, and whether it is exclusive.
    pub(crate) fn conflict(&self, range: Range, exclusive: bool) -> Option<(Range, bool)> {
        let before = self.0.range(..=range.start).next_back().filter(|(_, span)| span.end >= range.start);
        let from = before.map_or(range.start, |(start, _)| *start);
        let mut over = self.0.range(from..=range.end);
        let (start, span) = over.find(|(_, span)| exclusive || span.exclusive)?;
        Some((Range { start: *start, end: span.end }, span.exclusive))
    }

    /// Makes a range exclusive, shared or free (`None`), if it takes at most `room` ranges more than before. Nothing changes
    /// otherwise. How many more it took.
    pub(crate) fn change(&mut self, range: Range, kind: Option<bool>, room: usize) -> Result<isize, Full> {
        let before = self.0.range(..range.start).next_back().filter(|(_, span)| span.end + 1 >= range.start);
        let from = before.map_or(range.start, |(start, _)| *start);
        let touched: Vec<(u64, Span)> =
            self.0.range(from..=range.end + 1).map(|(start, span)| (*start, *span)).collect();
        let mut pieces: Vec<(u64, Span)> = Vec::new();
        let mut push = |start: u64, end: u64, exclusive: bool| match pieces.last_mut() {
            Some((_, last)) if last.exclusive == exclusive && last.end + 1 == start => last.end = end,
            _ => pieces.push((start, Span { end, exclusive })),
        };
        for (start, span) in touched.iter().filter(|(start, _)| *start < range.start) {
            push(*start, span.end.min(range.start - 1), span.exclusive);
        }
        if let Some(exclusive) = kind {
            push(range.start, range.end, exclusive);
        }
        for (start, span) in touched.iter().filter(|(_, span)| span.end > range.end) {
            push((*start).max(range.end + 1), span.end, span.exclusive);
        }
        let grows = pieces.len() as isize - touched.len() as isize;
        if grows > 0 && grows.unsigned_abs() > room {
            return Err(Full);
        }
        for (start, _) in &touched {
            self.0.remove(start);
        }
        self.0.extend(pieces);
        Ok(grows)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, in order, and whether each is exclusive.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Range, bool)> + '_ {
        self.0.iter().map(|(start, span)| (Range { start: *start, end: span.end }, span.exclusive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYTES: u64 = 24;

    /// The same, byte by byte.
    fn runs(bytes: &[Option<bool>]) -> Vec<(Range, bool)> {
        let mut runs: Vec<(Range, bool)> = Vec::new();
        for (at, kind) in bytes.iter().enumerate() {
            let (at, Some(exclusive)) = (at as u64, *kind) else { continue };
            match runs.last_mut() {
                Some((range, same)) if *same == exclusive && range.end + 1 == at => range.end = at,
                _ => runs.push((Range { start: at, end: at }, exclusive)),
            }
        }
        runs
    }

    proptest! {
        #[test]
        fn ranges_are_what_bytes_are(
            changes in prop::collection::vec((0..BYTES, 0..BYTES, prop::option::of(any::<bool>()), 0..4usize), 0..40),
        ) {
            let (mut ranges, mut bytes) = (Ranges::default(), vec![None; BYTES as usize]);
            for (a, b, kind, room) in changes {
                let range = Range { start: a.min(b), end: a.max(b) };
                let mut after = bytes.clone();
                after[range.start as usize..=range.end as usize].fill(kind);
                let (was, is) = (runs(&bytes).len(), runs(&after).len());
                let changed = ranges.change(range, kind, room);
                if is > was + room {
                    prop_assert_eq!(changed, Err(Full));
                } else {
                    prop_assert_eq!(changed, Ok(is as isize - was as isize));
                    bytes = after;
                }
                let all = runs(&bytes);
                prop_assert_eq!(ranges.iter().collect::<Vec<_>>(), all.clone());
                for exclusive in [false, true] {
                    let meets = |(held, of): &&(Range, bool)| {
                        held.start <= range.end && held.end >= range.start && (exclusive || *of)
                    };
                    prop_assert_eq!(ranges.conflict(range, exclusive), all.iter().find(meets).copied());
                }
            }
        }
    }

    #[test]
    fn the_last_byte_is_one_like_others() {
        let mut ranges = Ranges::default();
        let all = Range { start: 0, end: LAST };
        assert_eq!(ranges.change(all, Some(true), 1), Ok(1));
        assert_eq!(ranges.change(Range { start: LAST, end: LAST }, Some(false), 1), Ok(1));
        assert_eq!(ranges.conflict(Range { start: LAST, end: LAST }, false), None);
        assert_eq!(ranges.change(all, None, 0), Ok(-2));
        assert!(ranges.is_empty());
    }
}
