//! `comm`: the lines of two sorted files, in columns by where they are. Lines are ordered by their bytes.

use crate::context::{Cx, End, Outcome, open_input};
use crate::lines::Lines;
use crate::options::Order;
use crate::os::OsStrExt;
use crate::quote::{quote, quotef};
use agentos_guest::strerror;
use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};

const SPEC: &[&str] =
    &["1", "2", "3", "check-order", "nocheck-order", "output-delimiter=", "total", "z,zero-terminated"];
const HELP: &str = "{} [OPTION]... FILE1 FILE2
Compare sorted files FILE1 and FILE2 line by line.
  -1                      suppress column 1 (lines unique to FILE1)
  -2                      suppress column 2 (lines unique to FILE2)
  -3                      suppress column 3 (lines that appear in both files)
      --check-order       check that the input is correctly sorted, even if all input lines are pairable
      --nocheck-order     do not check that the input is correctly sorted
      --output-delimiter=STR  separate columns with STR
      --total             output a summary
  -z, --zero-terminated   line delimiter is NUL, not newline";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Never,
    /// When the files differ.
    Default,
    Always,
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let mut columns = [true; 3];
    let (mut check, mut total, mut end) = (Check::Default, false, b'\n');
    let mut delimiter: Option<OsString> = None;
    for opt in &parsed.opts {
        match opt.id {
            "1" => columns[0] = false,
            "2" => columns[1] = false,
            "3" => columns[2] = false,
            "check-order" => check = Check::Always,
            "nocheck-order" => check = Check::Never,
            "total" => total = true,
            "zero-terminated" => end = 0,
            _ => {
                if delimiter.as_deref().is_some_and(|old| old != opt.arg()) {
                    return Err(End::Failure(1, "multiple output delimiters specified".to_owned()));
                }
                delimiter = Some(opt.arg().to_owned());
            }
        }
    }
    match &parsed.operands[..] {
        [] => return Err(cx.missing_operand()),
        [last] => return Err(cx.usage(format!("missing operand after {}", quote(last)))),
        [_, _] => {}
        [_, _, extra, ..] => return Err(cx.usage(format!("extra operand {}", quote(extra)))),
    }
    let delimiter = match delimiter {
        Some(text) if text.is_empty() => vec![0],
        Some(text) => text.as_bytes().to_vec(),
        None => b"\t".to_vec(),
    };
    let mut sides = [Side::open(&parsed.operands[0], end, 1)?, Side::open(&parsed.operands[1], end, 2)?];
    let mut counts = [0_u64; 3];
    let (mut unpaired, mut wrong) = (false, false);
    while sides[0].more || sides[1].more {
        let order = match (sides[0].more, sides[1].more) {
            (true, false) => Ordering::Less,
            (false, _) => Ordering::Greater,
            _ => sides[0].lines.line().cmp(sides[1].lines.line()),
        };
        let column = match order {
            Ordering::Less => 0,
            Ordering::Greater => 1,
            Ordering::Equal => 2,
        };
        unpaired |= column != 2;
        counts[column] += 1;
        if columns[column] {
            for _ in columns[..column].iter().filter(|shown| **shown) {
                cx.put(&delimiter)?;
            }
            cx.put(sides[usize::from(column == 1)].lines.whole())?;
        }
        for (i, side) in sides.iter_mut().enumerate() {
            if column == 2 || column == i {
                // As long as all lines have partners their order does not matter.
                let checked = check == Check::Always || (check == Check::Default && unpaired);
                wrong |= side.advance(cx, checked, check == Check::Always)?;
            }
        }
    }
    if total {
        for count in counts {
            cx.print(format_args!("{count}"))?;
            cx.put(&delimiter)?;
        }
        cx.put(b"total")?;
        cx.put(&[end])?;
    }
    if wrong {
        return Err(End::Failure(1, "input is not in sorted order".to_owned()));
    }
    Ok(0)
}

struct Side {
    lines: Lines,
    name: OsString,
    number: u8,
    more: bool,
    last: Vec<u8>,
    told: bool,
}

impl Side {
    fn open(name: &OsStr, end: u8, number: u8) -> Result<Side, End> {
        let failed =
            |error: std::io::Error| End::Failure(1, format!("{}: {}", quotef(name), strerror(&error)));
        let mut lines = Lines::new(open_input(name).map_err(failed)?, end);
        let more = lines.advance().map_err(failed)?;
        Ok(Side { lines, name: name.to_owned(), number, more, last: Vec::new(), told: false })
    }

    /// Goes on; whether a line is told to be out of order, which can be the end.
    fn advance(&mut self, cx: &mut Cx, checked: bool, fatal: bool) -> Result<bool, End> {
        self.last.clear();
        self.last.extend_from_slice(self.lines.line());
        self.more = self
            .lines
            .advance()
            .map_err(|error| End::Failure(1, format!("{}: {}", quotef(&self.name), strerror(&error))))?;
        if !checked || self.told || !self.more || self.last[..] <= *self.lines.line() {
            return Ok(false);
        }
        self.told = true;
        let message = format!("file {} is not in sorted order", self.number);
        if fatal {
            return Err(End::Failure(1, message));
        }
        cx.say(message);
        Ok(true)
    }
}
