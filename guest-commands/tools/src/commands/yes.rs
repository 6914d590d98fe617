//! `yes`: writes a line until nobody reads it. It never ends by itself.

use crate::context::{Cx, Outcome};
use crate::options::Order;
use crate::os::OsStrExt;
use std::ffi::OsString;

const BLOCK: usize = 16 * 1024;

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(
        &[],
        args,
        Order::Permute,
        "{} [STRING]...\nRepeatedly output a line with all STRINGs, or 'y'.",
    )?;
    let mut line = parsed.operands.iter().map(|a| a.as_bytes()).collect::<Vec<_>>().join(&b' ');
    if parsed.operands.is_empty() {
        line.push(b'y');
    }
    line.push(b'\n');
    let times = (BLOCK / line.len()).max(1);
    let block = line.repeat(times);
    loop {
        cx.put(&block)?;
    }
}
