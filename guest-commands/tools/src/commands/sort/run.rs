//! Sorting itself: pieces of the input that fit into memory, written away sorted if there are several, and the merging of what
//! is sorted. It reads no options and never holds more than its share of memory, whatever comes in.

use super::files::{Lines, Sink, Temporary, failed, open, same};
use super::key::Rules;
use crate::context::End;
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};

/// How much is done at once, and where the rest waits.
pub(super) struct Limits {
    /// Bytes of text and its index.
    pub(super) memory: usize,
    /// How many files are merged at once.
    pub(super) batch: usize,
    /// Directories of temporary files.
    pub(super) dirs: Vec<OsString>,
}

/// A line in the text of a piece.
#[derive(Clone, Copy)]
struct Line {
    /// See [`Rules::rank`].
    rank: u64,
    start: usize,
    end: usize,
}

/// Sorts `inputs` into `output`.
pub(super) fn sort(
    rules: &Rules,
    limits: &Limits,
    inputs: &[OsString],
    end: u8,
    output: &mut dyn Sink,
) -> Result<(), End> {
    let mut pieces = Pieces { rules, limits, end, waiting: Vec::new(), made: 0 };
    let mut text: Vec<u8> = Vec::new();
    let mut lines: Vec<Line> = Vec::new();
    let mut indexed = 0;
    for name in inputs {
        let mut input = open(name)?;
        loop {
            if indexed > 0 && text.len() + size_of_val(&lines[..]) * 2 > limits.memory {
                let rest = text[indexed..].to_vec();
                text.truncate(indexed);
                let mut file = pieces.temporary()?;
                write_sorted(rules, &text, &mut lines, &mut file)?;
                pieces.add(file)?;
                text.clear();
                lines.clear();
                text.extend_from_slice(&rest);
                indexed = 0;
            }
            // By doubling a large text would be there in three sizes at once, more than a process may have.
            let large = limits.memory / 8..limits.memory;
            if text.capacity() - text.len() < STEP && large.contains(&text.len()) {
                text.reserve_exact(limits.memory + STEP - text.len());
            }
            let n = read_some(&mut *input, &mut text).map_err(|error| failed("read failed", name, &error))?;
            if n == 0 {
                break;
            }
            let new = text.len() - n;
            for at in memchr::memchr_iter(end, &text[new..]) {
                lines.push(Line { rank: 0, start: indexed, end: new + at });
                indexed = new + at + 1;
            }
        }
        // The last line of a file ends, whether it does or not.
        if indexed < text.len() {
            lines.push(Line { rank: 0, start: indexed, end: text.len() });
            text.push(end);
            indexed = text.len();
        }
    }
    if pieces.waiting.is_empty() {
        output.begin();
        return write_sorted(rules, &text, &mut lines, output);
    }
    let mut file = pieces.temporary()?;
    write_sorted(rules, &text, &mut lines, &mut file)?;
    drop((text, lines));
    pieces.add(file)?;
    let sources = pieces.waiting.into_iter().map(|(lines, _)| lines).collect();
    output.begin();
    merge_all(rules, limits, sources, end, output)
}

/// Bytes that are read at once.
const STEP: usize = 64 * 1024;

fn read_some(input: &mut dyn Read, text: &mut Vec<u8>) -> io::Result<usize> {
    let filled = text.len();
    text.resize(filled + STEP, 0);
    loop {
        match input.read(&mut text[filled..]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => {
                text.truncate(filled + *other.as_ref().unwrap_or(&0));
                return other;
            }
        }
    }
}

/// Sorts the lines of a piece and writes them.
fn write_sorted(rules: &Rules, text: &[u8], lines: &mut Vec<Line>, output: &mut dyn Sink) -> Result<(), End> {
    for line in lines.iter_mut() {
        line.rank = rules.rank(&text[line.start..line.end]);
    }
    let compare = |a: &Line, b: &Line| {
        a.rank.cmp(&b.rank).then_with(|| rules.compare(&text[a.start..a.end], &text[b.start..b.end]))
    };
    // Only where lines that compare equal can differ does their order count.
    if !rules.keys.is_empty() && (rules.stable || rules.unique) {
        lines.sort_by(compare);
    } else {
        lines.sort_unstable_by(compare);
    }
    if rules.unique {
        lines.dedup_by(|b, a| compare(a, b).is_eq());
    }
    for line in lines.iter() {
        output.put(&text[line.start..=line.end])?;
    }
    Ok(())
}

/// Sorted pieces that wait in temporary files. Sixteen of one age become one, so that few are open at a time.
struct Pieces<'a> {
    rules: &'a Rules,
    limits: &'a Limits,
    end: u8,
    waiting: Vec<(Lines, u32)>,
    made: usize,
}

impl Pieces<'_> {
    fn temporary(&mut self) -> Result<Temporary, End> {
        let dir = &self.limits.dirs[self.made % self.limits.dirs.len()];
        self.made += 1;
        Temporary::create(dir)
    }

    fn add(&mut self, file: Temporary) -> Result<(), End> {
        self.waiting.push((file.read_back(self.end)?, 0));
        while let Some((_, age)) = self.waiting.last() {
            let age = *age;
            let first = self.waiting.iter().rposition(|(_, other)| *other != age).map_or(0, |at| at + 1);
            if self.waiting.len() - first < self.limits.batch {
                break;
            }
            let sources = self.waiting.drain(first..).map(|(lines, _)| lines).collect();
            let mut merged = self.temporary()?;
            merge(self.rules, sources, &mut merged)?;
            self.waiting.push((merged.read_back(self.end)?, age + 1));
        }
        Ok(())
    }
}

/// Merges sorted files (`-m`).
pub(super) fn merge_files(
    rules: &Rules,
    limits: &Limits,
    inputs: &[OsString],
    end: u8,
    overwritten: Option<&OsStr>,
    output: &mut dyn Sink,
) -> Result<(), End> {
    let mut pieces = Pieces { rules, limits, end, waiting: Vec::new(), made: 0 };
    let mut sources = Vec::new();
    for name in inputs {
        let mut lines = Lines::new(open(name)?, name, end);
        // What is to be overwritten is put aside first.
        if overwritten.is_some_and(|out| same(name, out)) {
            let mut copy = pieces.temporary()?;
            while lines.advance()? {
                copy.put(lines.whole())?;
            }
            lines = copy.read_back(end)?;
        }
        sources.push(lines);
    }
    output.begin();
    merge_all(rules, limits, sources, end, output)
}

/// Merges any number of sources, so many at a time as is allowed.
fn merge_all(
    rules: &Rules,
    limits: &Limits,
    mut sources: Vec<Lines>,
    end: u8,
    output: &mut dyn Sink,
) -> Result<(), End> {
    while sources.len() > limits.batch {
        // Neighbours are merged, so that equal lines stay in the order of the files.
        let mut merged = Vec::new();
        let mut rest = sources.into_iter().peekable();
        while rest.peek().is_some() {
            let group: Vec<Lines> = rest.by_ref().take(limits.batch).collect();
            let mut file = Temporary::create(&limits.dirs[merged.len() % limits.dirs.len()])?;
            merge(rules, group, &mut file)?;
            merged.push(file.read_back(end)?);
        }
        sources = merged;
    }
    merge(rules, sources, output)
}

/// A source with the rank of its line.
struct Merging {
    lines: Lines,
    rank: u64,
    /// Its place among all: of equal lines the first comes first.
    place: usize,
}

fn merge(rules: &Rules, sources: Vec<Lines>, output: &mut dyn Sink) -> Result<(), End> {
    let mut waiting: Vec<Merging> = Vec::with_capacity(sources.len());
    let order = |a: &Merging, b: &Merging| {
        let lines = a.rank.cmp(&b.rank).then_with(|| rules.compare(a.lines.line(), b.lines.line()));
        lines.then(a.place.cmp(&b.place))
    };
    // The next is the last, so that taking it out moves nothing.
    let insert = |waiting: &mut Vec<Merging>, new: Merging| {
        let at = waiting.partition_point(|old| order(old, &new) == Ordering::Greater);
        waiting.insert(at, new);
    };
    for (place, mut lines) in sources.into_iter().enumerate() {
        if lines.advance()? {
            let rank = rules.rank(lines.line());
            insert(&mut waiting, Merging { lines, rank, place });
        }
    }
    let mut last: Option<Vec<u8>> = None;
    while let Some(mut next) = waiting.pop() {
        let line = next.lines.line();
        let repeated =
            rules.unique && last.as_ref().is_some_and(|last| rules.compare(last, line) == Ordering::Equal);
        if !repeated {
            output.put(next.lines.whole())?;
            if rules.unique {
                let last = last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(line);
            }
        }
        if next.lines.advance()? {
            next.rank = rules.rank(next.lines.line());
            insert(&mut waiting, next);
        }
    }
    Ok(())
}

/// The first line that is not in its place (`-c`), with its number.
pub(super) fn disorder(rules: &Rules, name: &OsStr, end: u8) -> Result<Option<(u64, Vec<u8>)>, End> {
    let mut lines = Lines::new(open(name)?, name, end);
    let mut last: Option<Vec<u8>> = None;
    let mut number = 0;
    while lines.advance()? {
        number += 1;
        let line = lines.line();
        if let Some(last) = &last {
            let order = rules.compare(last, line);
            if order == Ordering::Greater || (rules.unique && order == Ordering::Equal) {
                return Ok(Some((number, line.to_vec())));
            }
        }
        let last = last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(line);
    }
    Ok(None)
}
