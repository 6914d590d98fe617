//! `colrm`: standard input without a range of columns. Tabs and wide characters count as on a terminal.

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use unicode_width::UnicodeWidthChar;

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} [startcol [endcol]]\nFilter out the specified columns.";
    let parsed = cx.parse(&[], args, Order::Permute, help)?;
    let number = |i: usize| -> Result<Option<usize>, End> {
        let Some(text) = parsed.operands.get(i).map(|t| t.to_string_lossy()) else { return Ok(None) };
        let which = if i == 0 { "first" } else { "second" };
        match text.parse::<usize>() {
            Ok(n) if n > 0 => Ok(Some(n)),
            _ => Err(End::Failure(1, format!("{which} argument: '{text}'"))),
        }
    };
    let (first, last) = (number(0)?.unwrap_or(usize::MAX), number(1)?.unwrap_or(usize::MAX));
    let mut input = BufReader::new(Descriptor(0));
    let mut line = Vec::new();
    loop {
        line.clear();
        let n = input.read_until(b'\n', &mut line).map_err(End::Output)?;
        if n == 0 {
            return Ok(0);
        }
        let mut column = 0;
        let mut out = String::new();
        for c in String::from_utf8_lossy(&line).chars() {
            let before = column;
            column += match c {
                '\t' => 8 - column % 8,
                c => c.width().unwrap_or(0),
            };
            if c == '\n' || column < first || before >= last {
                out.push(c);
            }
        }
        cx.put(out.as_bytes())?;
    }
}
