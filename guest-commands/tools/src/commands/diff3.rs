//! `diff3`: what three files differ in, as a list, as a script for `ed`, or merged. The changes between two are `diff`'s.

use super::diff::lines::{Compare, changes, split};
use super::diff::look::Patterns;
use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use crate::quote::quote_plain;
use agentos_guest::{Errno, io_error, strerror};
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] = &[
    "A,show-all",
    "e,ed",
    "E,show-overlap",
    "3,easy-only",
    "x,overlap-only",
    "X",
    "i",
    "m,merge",
    "a,text",
    "strip-trailing-cr",
    "T,initial-tab",
    "L,label=",
    "v,version",
];
const HELP: &str = "{} [OPTION]... MYFILE OLDFILE YOURFILE
Compare three files line by line.
  -A, --show-all              output all changes, bracketing conflicts
  -e, --ed                    output ed script incorporating changes from OLDFILE to YOURFILE into MYFILE
  -E, --show-overlap          like -e, but bracket conflicts
  -3, --easy-only             like -e, but incorporate only nonoverlapping changes
  -x, --overlap-only          like -e, but incorporate only overlapping changes
  -X                          like -x
  -i                          append 'w' and 'q' commands to ed scripts
  -m, --merge                 output actual merged file, according to -A if no other options are given
  -a, --text                  treat all files as text (they always are)
      --strip-trailing-cr     strip trailing carriage return on input
  -T, --initial-tab           make tabs line up by prepending a tab
  -L, --label=LABEL           use LABEL instead of file name (can be repeated up to three times)
A FILE may be '-', which is standard input.
Exit status is 0 if successful, 1 if conflicts, 2 if trouble.";

/// Lines of a file: the first, and the one after the last, from 0.
type Range = (usize, usize);

/// Which of the files differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    All,
    /// Only this one.
    One(usize),
}

/// A place where not all three are equal.
struct Block {
    kind: Kind,
    at: [Range; 3],
}

/// What of the changes goes into a script or merge.
#[derive(Clone, Copy, Default)]
struct Choice {
    /// Changes that both made are shown too (`-A`).
    both: bool,
    /// Conflicts are bracketed.
    brackets: bool,
    /// Only what does not overlap.
    easy: bool,
    /// Only what overlaps.
    overlap: bool,
}

struct Files<'a> {
    lines: [Vec<&'a [u8]>; 3],
    labels: [OsString; 3],
}

impl Files<'_> {
    fn of(&self, i: usize, (from, to): Range) -> &[&[u8]] {
        &self.lines[i][from..to]
    }
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let (mut merge, mut finish, mut tab, mut strip) = (false, false, false, false);
    let mut choice: Option<Choice> = None;
    let mut labels = Vec::new();
    let mut scripts = 0;
    for opt in &parsed.opts {
        let chosen = match opt.id {
            "show-all" => Choice { both: true, brackets: true, ..Choice::default() },
            "ed" => Choice::default(),
            "show-overlap" => Choice { brackets: true, ..Choice::default() },
            "easy-only" => Choice { easy: true, ..Choice::default() },
            "overlap-only" | "X" => Choice { overlap: true, ..Choice::default() },
            other => {
                match other {
                    "i" => finish = true,
                    "merge" => merge = true,
                    "initial-tab" => tab = true,
                    "strip-trailing-cr" => strip = true,
                    "label" => labels.push(opt.arg().to_owned()),
                    "version" => return Err(cx.version()),
                    // Every file is taken for text.
                    _ => {}
                }
                continue;
            }
        };
        choice = Some(chosen);
        scripts += 1;
    }
    if labels.len() > 3 {
        return Err(End::Failure(
            2,
            "too many file label options\ndiff3: Try 'diff3 --help' for more information.".to_owned(),
        ));
    }
    if merge && choice.is_none() {
        choice = Some(Choice { both: true, brackets: true, ..Choice::default() });
        scripts = 1;
    }
    let brackets = choice.is_some_and(|c| c.brackets);
    if scripts > 1 || (merge && finish) || (!labels.is_empty() && !brackets) {
        return Err(cx.usage("incompatible options"));
    }
    match &parsed.operands[..] {
        [_, _, _] => {}
        [_, _, _, extra, ..] => return Err(cx.usage(format!("extra operand {}", quote_plain(extra)))),
        list => {
            let last = list.last().map_or(OsStr::new("diff3"), |o| o.as_os_str());
            return Err(cx.usage(format!("missing operand after {}", quote_plain(last))));
        }
    }
    let mut texts = Vec::new();
    for path in &parsed.operands {
        texts.push(read(path, strip)?);
    }
    labels.extend(parsed.operands.iter().skip(labels.len()).cloned());
    let [mine, old, yours] = &texts[..] else { return Ok(2) };
    let [a, b, c] = &labels[..] else { return Ok(2) };
    let files =
        Files { lines: [split(mine), split(old), split(yours)], labels: [a.clone(), b.clone(), c.clone()] };
    // A list refers to the last file, a merge to the one that both began with.
    let common = if choice.is_some() { 1 } else { 2 };
    let blocks = blocks(&files, common);
    let Some(choice) = choice else {
        for block in &blocks {
            list(cx, &files, block, if tab { "\t" } else { "  " })?;
        }
        return Ok(0);
    };
    let conflict = if merge {
        merged(cx, &files, &blocks, choice)?
    } else {
        let conflict = script(cx, &files, &blocks, choice)?;
        if finish {
            cx.put(b"w\nq\n")?;
        }
        conflict
    };
    Ok(i32::from(conflict))
}

fn read(path: &OsStr, strip: bool) -> Result<Vec<u8>, End> {
    let failed = |error| End::Failure(2, format!("{}: {}", path.to_string_lossy(), strerror(&error)));
    let mut text = Vec::new();
    if path != "-" && std::fs::metadata(path).is_ok_and(|m| m.is_dir()) {
        return Err(failed(io_error(Errno::EISDIR)));
    }
    open_input(path).and_then(|mut input| input.read_to_end(&mut text)).map_err(failed)?;
    if strip {
        super::diff::strip_cr(&mut text);
    }
    Ok(text)
}

/// A change between one of the other files and the common one.
#[derive(Clone, Copy)]
struct Two {
    other: Range,
    common: Range,
}

/// Joins the changes of two files against the common one, where they overlap or touch.
fn blocks(files: &Files<'_>, common: usize) -> Vec<Block> {
    let others = if common == 1 { [0, 2] } else { [0, 1] };
    let lists = others.map(|i| {
        let found = changes(Compare::default(), &Patterns::default(), &files.lines[i], &files.lines[common]);
        found.iter().map(|c| Two { other: c.old, common: c.new }).collect::<Vec<_>>()
    });
    let mut next = [0usize; 2];
    // Where the two files stand when the common one is at 0, as (other, common) after the last change.
    let mut after = [(0usize, 0usize); 2];
    let mut blocks = Vec::new();
    loop {
        let head = |i: usize, next: &[usize; 2]| lists[i].get(next[i]).copied();
        let first = match (head(0, &next), head(1, &next)) {
            (None, None) => return blocks,
            (Some(_), None) => 0,
            (None, Some(_)) => 1,
            (Some(a), Some(b)) => usize::from(b.common.0 < a.common.0),
        };
        let mut used: [Option<(Two, Two)>; 2] = [None, None];
        let mut take = first;
        let mut end: Option<usize> = None;
        let mut start = usize::MAX;
        // The one whose end is furthest decides what still belongs to the block.
        while let Some(two) = head(take, &next).filter(|two| end.is_none_or(|end| two.common.0 <= end)) {
            start = start.min(two.common.0);
            used[take] = Some((used[take].map_or(two, |(first, _)| first), two));
            next[take] += 1;
            if end.is_none_or(|end| two.common.1 > end) {
                end = Some(two.common.1);
                take = 1 - take;
            } else if head(take, &next).is_none_or(|t| end.is_some_and(|end| t.common.0 > end)) {
                take = 1 - take;
            }
        }
        let end = end.unwrap_or(start);
        let mut at = [(0, 0); 3];
        at[common] = (start, end);
        for (i, file) in others.into_iter().enumerate() {
            at[file] = match used[i] {
                Some((first, last)) => {
                    after[i] = (last.other.1, last.common.1);
                    (first.other.0 - (first.common.0 - start), last.other.1 + (end - last.common.1))
                }
                None => (after[i].0 + (start - after[i].1), after[i].0 + (end - after[i].1)),
            };
        }
        let kind = match used {
            [Some(_), None] => Kind::One(others[0]),
            [None, Some(_)] => Kind::One(others[1]),
            _ if files.of(others[0], at[others[0]]) == files.of(others[1], at[others[1]]) => {
                Kind::One(common)
            }
            _ => Kind::All,
        };
        blocks.push(Block { kind, at });
    }
}

fn list(cx: &mut Cx, files: &Files<'_>, block: &Block, lead: &str) -> Result<(), End> {
    // Of two that are equal the second is shown with its lines.
    let (order, silent) = match block.kind {
        Kind::All => ([0, 1, 2], None),
        Kind::One(0) => ([0, 1, 2], Some(1)),
        Kind::One(1) => ([0, 2, 1], Some(0)),
        Kind::One(_) => ([0, 1, 2], Some(0)),
    };
    match block.kind {
        Kind::All => cx.put(b"====\n")?,
        Kind::One(odd) => cx.print(format_args!("===={}\n", odd + 1))?,
    }
    for i in order {
        let (from, to) = block.at[i];
        match to - from {
            0 => cx.print(format_args!("{}:{from}a\n", i + 1))?,
            1 => cx.print(format_args!("{}:{to}c\n", i + 1))?,
            _ => cx.print(format_args!("{}:{},{to}c\n", i + 1, from + 1))?,
        }
        if silent == Some(i) {
            continue;
        }
        for line in files.of(i, (from, to)) {
            cx.put(lead.as_bytes())?;
            cx.put(line)?;
            if line.last() != Some(&b'\n') {
                cx.put(b"\n\\ No newline at end of file\n")?;
            }
        }
    }
    Ok(())
}

/// What becomes of a block in a script or merge.
enum Fate {
    /// My lines stay.
    Keep,
    /// Yours come in.
    Take,
    /// Both, in brackets; whether they are a conflict.
    Bracket,
}

fn fate(block: &Block, choice: Choice) -> Fate {
    match block.kind {
        Kind::One(0) => Fate::Keep,
        Kind::One(2) if choice.overlap => Fate::Keep,
        Kind::One(2) => Fate::Take,
        Kind::One(_) if choice.both => Fate::Bracket,
        Kind::One(_) => Fate::Keep,
        Kind::All if choice.easy => Fate::Keep,
        Kind::All if choice.brackets => Fate::Bracket,
        Kind::All => Fate::Take,
    }
}

fn merged(cx: &mut Cx, files: &Files<'_>, blocks: &[Block], choice: Choice) -> Result<bool, End> {
    let [mine, old, yours] = files.labels.each_ref().map(|l| l.to_string_lossy());
    let mut conflict = false;
    let mut at = 0;
    let lines =
        |cx: &mut Cx, i: usize, range: Range| files.of(i, range).iter().try_for_each(|line| cx.put(line));
    for block in blocks {
        lines(cx, 0, (at, block.at[0].0))?;
        at = block.at[0].1;
        match fate(block, choice) {
            Fate::Keep => lines(cx, 0, block.at[0])?,
            Fate::Take => lines(cx, 2, block.at[2])?,
            Fate::Bracket => {
                conflict = true;
                if block.kind == Kind::All {
                    cx.print(format_args!("<<<<<<< {mine}\n"))?;
                    lines(cx, 0, block.at[0])?;
                    if choice.both {
                        cx.print(format_args!("||||||| {old}\n"))?;
                        lines(cx, 1, block.at[1])?;
                    }
                } else {
                    cx.print(format_args!("<<<<<<< {old}\n"))?;
                    lines(cx, 1, block.at[1])?;
                }
                cx.put(b"=======\n")?;
                lines(cx, 2, block.at[2])?;
                cx.print(format_args!(">>>>>>> {yours}\n"))?;
            }
        }
    }
    lines(cx, 0, (at, files.lines[0].len()))?;
    Ok(conflict)
}

/// Lines as `ed` takes them: one dot more before a dot. Whether there was one.
fn dotted(cx: &mut Cx, lines: &[&[u8]]) -> Result<bool, End> {
    let mut any = false;
    for line in lines {
        if line.first() == Some(&b'.') {
            any = true;
            cx.put(b".")?;
        }
        cx.put(line.strip_suffix(b"\n").unwrap_or(line))?;
        cx.put(b"\n")?;
    }
    Ok(any)
}

/// Takes the dots away again, in lines counted from 1.
fn undot(cx: &mut Cx, from: usize, count: usize) -> Result<(), End> {
    match count {
        0 => Ok(()),
        1 => cx.print(format_args!("{from}s/^\\.//\n")),
        _ => cx.print(format_args!("{from},{}s/^\\.//\n", from + count - 1)),
    }
}

fn script(cx: &mut Cx, files: &Files<'_>, blocks: &[Block], choice: Choice) -> Result<bool, End> {
    let [mine, old, yours] = files.labels.each_ref().map(|l| l.to_string_lossy());
    let mut conflict = false;
    for block in blocks.iter().rev() {
        let [own, older, new] = [0, 1, 2].map(|i| files.of(i, block.at[i]));
        let (from, to) = block.at[0];
        match fate(block, choice) {
            Fate::Keep => {}
            Fate::Bracket if block.kind == Kind::All => {
                conflict = true;
                cx.print(format_args!("{to}a\n"))?;
                let mut count = new.len();
                let mut dots = false;
                if choice.both {
                    cx.print(format_args!("||||||| {old}\n"))?;
                    dots |= dotted(cx, older)?;
                    count += older.len() + 1;
                }
                cx.put(b"=======\n")?;
                dots |= dotted(cx, new)?;
                cx.print(format_args!(">>>>>>> {yours}\n.\n"))?;
                if dots {
                    undot(cx, to + 2, count)?;
                }
                cx.print(format_args!("{from}a\n<<<<<<< {mine}\n.\n"))?;
            }
            Fate::Bracket => {
                conflict = true;
                cx.print(format_args!("{to}a\n>>>>>>> {yours}\n.\n{from}a\n<<<<<<< {old}\n"))?;
                let dots = dotted(cx, older)?;
                cx.put(b"=======\n.\n")?;
                if dots {
                    undot(cx, from + 2, older.len())?;
                }
            }
            Fate::Take => {
                let letter = match (own.is_empty(), new.is_empty()) {
                    (_, true) => 'd',
                    (true, _) => 'a',
                    _ => 'c',
                };
                match to - from {
                    0 | 1 => cx.print(format_args!("{to}{letter}\n"))?,
                    _ => cx.print(format_args!("{},{to}{letter}\n", from + 1))?,
                }
                if letter != 'd' {
                    let dots = dotted(cx, new)?;
                    cx.put(b".\n")?;
                    if dots {
                        undot(cx, from + 1, new.len())?;
                    }
                }
            }
        }
    }
    Ok(conflict)
}
