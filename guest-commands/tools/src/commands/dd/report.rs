//! What `dd` tells at its end: blocks in and out, bytes, time, rate.

use super::parse::Status;
use std::io::Write;
use std::time::Duration;

/// Blocks and bytes so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) full_in: u64,
    pub(super) partial_in: u64,
    pub(super) full_out: u64,
    pub(super) partial_out: u64,
    pub(super) bytes: u64,
}

/// Writes the report to standard error; not `last`: the line of `status=progress`.
pub(super) fn report(c: &Counts, time: Duration, status: Status, last: bool) {
    let mut text = String::new();
    if !last {
        text += &format!("\r{}", transfer(c.bytes, time));
    } else if status != Status::None {
        if status == Status::Progress {
            text += &format!("\r{}\r", " ".repeat(79));
        }
        text += &format!("{}+{} records in\n", c.full_in, c.partial_in);
        text += &format!("{}+{} records out\n", c.full_out, c.partial_out);
        if status != Status::NoTransfer {
            text += &transfer(c.bytes, time);
            text.push('\n');
        }
    }
    // A failing standard error cannot be reported.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn transfer(bytes: u64, time: Duration) -> String {
    let amount = match bytes {
        1 => "1 byte".to_owned(),
        ..1000 => format!("{bytes} bytes"),
        1000..1024 => format!("{bytes} bytes ({})", human(bytes as f64, 1000.0)),
        _ => format!("{bytes} bytes ({}, {})", human(bytes as f64, 1000.0), human(bytes as f64, 1024.0)),
    };
    let seconds = time.as_secs_f64();
    let rate = if seconds > 0.0 { human(bytes as f64 / seconds, 1000.0) } else { "Infinity B".to_owned() };
    format!("{amount} copied, {} s, {rate}/s", significant(seconds))
}

/// Rounded to the nearest, with one decimal below ten: `4.2 MB`, `852 kB`, `1.0 MiB`.
fn human(value: f64, base: f64) -> String {
    let (units, end) = if base == 1000.0 {
        (["", "k", "M", "G", "T", "P", "E"], "B")
    } else {
        (["", "K", "M", "G", "T", "P", "E"], "iB")
    };
    let (mut value, mut unit) = (value, 0);
    while unit + 1 < units.len() && value >= base {
        value /= base;
        unit += 1;
    }
    if unit == 0 {
        return format!("{value:.0} B");
    }
    let mut text = format!("{value:.1}");
    if value >= 9.95 {
        text = format!("{value:.0}");
        // Rounding may have made it a whole unit of the next kind.
        if value.round() >= base && unit + 1 < units.len() {
            (text, unit) = ("1.0".to_owned(), unit + 1);
        }
    }
    format!("{text} {}{end}", units[unit])
}

/// Six significant digits, as printf's `%g`.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponent = value.abs().log10().floor() as i32;
    if exponent < -4 {
        let text = format!("{value:.5e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        let number: i32 = exponent.parse().unwrap_or(0);
        return format!("{digits}e-{:02}", number.abs());
    }
    let decimals = usize::try_from(5 - exponent).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::{human, significant, transfer};
    use std::time::Duration;

    #[test]
    fn figures() {
        for (value, want) in [(999.0, "999 B"), (1000.0, "1.0 kB"), (9_960.0, "10 kB"), (999_600.0, "1.0 MB")]
        {
            assert_eq!(human(value, 1000.0), want);
        }
        for (value, want) in
            [(0.5, "0.5"), (0.000_123_4, "0.0001234"), (0.000_012_3, "1.23e-05"), (12.0, "12")]
        {
            assert_eq!(significant(value), want);
        }
        let text = transfer(2048, Duration::from_secs(2));
        assert_eq!(text, "2048 bytes (2.0 kB, 2.0 KiB) copied, 2 s, 1.0 kB/s");
    }
}
