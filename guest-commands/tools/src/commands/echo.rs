//! `echo`, as GNU's: `-n`, `-e`, `-E` and the backslash escapes. It takes no long option.

use crate::context::{Cx, End, Outcome};
use crate::os::OsStrExt;
use std::ffi::OsString;

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let mut newline = true;
    let mut escapes = false;
    let mut first = 0;
    for arg in args {
        let letters = match arg.as_bytes().strip_prefix(b"-") {
            Some(letters) if !letters.is_empty() && letters.iter().all(|b| b"neE".contains(b)) => letters,
            _ => break,
        };
        for letter in letters {
            match letter {
                b'n' => newline = false,
                b'e' => escapes = true,
                _ => escapes = false,
            }
        }
        first += 1;
    }
    for (i, arg) in args[first..].iter().enumerate() {
        if i > 0 {
            cx.put(b" ")?;
        }
        if !escapes {
            cx.put(arg.as_bytes())?;
        } else if put_escaped(cx, arg.as_bytes())? {
            return Ok(0);
        }
    }
    if newline {
        cx.put(b"\n")?;
    }
    Ok(0)
}

/// Writes `text` with its escapes replaced; true when `\c` ends all output.
fn put_escaped(cx: &mut Cx, text: &[u8]) -> Result<bool, End> {
    let mut rest = text;
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        if b != b'\\' || rest.is_empty() {
            cx.put(&[b])?;
            continue;
        }
        let letter = rest[0];
        rest = &rest[1..];
        let plain = match letter {
            b'a' => 7,
            b'b' => 8,
            b'c' => return Ok(true),
            b'e' => 27,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'\\' => b'\\',
            b'x' => {
                let (value, used) = number(rest, 16, 2);
                if used == 0 {
                    cx.put(b"\\x")?;
                    continue;
                }
                rest = &rest[used..];
                value
            }
            b'0' => {
                let (value, used) = number(rest, 8, 3);
                rest = &rest[used..];
                value
            }
            b'1'..=b'7' => {
                let (value, used) = number(rest, 8, 2);
                let first = letter - b'0';
                rest = &rest[used..];
                (first << (3 * used)).wrapping_add(value)
            }
            other => {
                cx.put(&[b'\\', other])?;
                continue;
            }
        };
        cx.put(&[plain])?;
    }
    Ok(false)
}

/// The number that up to `most` digits of `text` give, modulo 256, and how many digits there were.
fn number(text: &[u8], base: u32, most: usize) -> (u8, usize) {
    let mut value: u8 = 0;
    let mut used = 0;
    for b in text.iter().take(most) {
        let Some(digit) = char::from(*b).to_digit(base) else { break };
        value = value.wrapping_mul(base as u8).wrapping_add(digit as u8);
        used += 1;
    }
    (value, used)
}
