//! `sleep`: waits for the sum of its intervals. `inf` waits for about 68 years at a time, for ever.

use crate::context::{Cx, Outcome};
use crate::options::Order;
use crate::quote::quote;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let help = "{} NUMBER[SUFFIX]...\nPause for the sum of the NUMBERs, in s (default), m, h or d.";
    let parsed = cx.parse(&[], args, Order::Permute, help)?;
    if parsed.operands.is_empty() {
        return Err(cx.missing_operand());
    }
    let mut total = Some(Duration::ZERO);
    let mut bad = false;
    for operand in &parsed.operands {
        match parse_interval(operand) {
            None => {
                cx.warn(format_args!("invalid time interval {}", quote(operand)));
                bad = true;
            }
            Some(None) => total = None,
            Some(Some(time)) => total = total.and_then(|t| t.checked_add(time)),
        }
    }
    if bad {
        let name = cx.name;
        eprintln!("Try '{name} --help' for more information.");
        return Ok(1);
    }
    match total {
        Some(time) => std::thread::sleep(time),
        None => loop {
            std::thread::sleep(Duration::from_secs(1 << 31));
        },
    }
    Ok(0)
}

/// A GNU interval: a decimal number, possibly with a fraction or exponent, and one of `s m h d`.
///
/// `None`: not an interval. `Some(None)`: longer than can be waited for.
pub(crate) fn parse_interval(text: &OsStr) -> Option<Option<Duration>> {
    let text = text.to_str()?;
    let (number, unit) = match text.as_bytes().last()? {
        b's' => (&text[..text.len() - 1], 1.0),
        b'm' => (&text[..text.len() - 1], 60.0),
        b'h' => (&text[..text.len() - 1], 3600.0),
        b'd' => (&text[..text.len() - 1], 86400.0),
        _ => (text, 1.0),
    };
    let value: f64 = number.parse().ok()?;
    if value.is_nan() || value < 0.0 || number.ends_with(['n', 'N']) {
        return None;
    }
    Some(Duration::try_from_secs_f64(value * unit).ok())
}

#[cfg(test)]
mod tests {
    use super::parse_interval;
    use std::ffi::OsStr;
    use std::time::Duration;

    #[test]
    fn intervals() {
        let check = |text: &str, want| assert_eq!(parse_interval(OsStr::new(text)), want, "{text}");
        check("1.5", Some(Some(Duration::from_millis(1500))));
        check(".5m", Some(Some(Duration::from_secs(30))));
        check("2h", Some(Some(Duration::from_secs(7200))));
        check("1e2", Some(Some(Duration::from_secs(100))));
        check("inf", Some(None));
        for bad in ["", "x", "-1", "1x", "nan", "1 s", "s"] {
            check(bad, None);
        }
    }
}
