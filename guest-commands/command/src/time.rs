//! File times as text in the zone of `TZ`, and text as a time. The zones themselves are those of `agentos-tz`.

pub use agentos_tz::MONTHS;
use agentos_tz::Zone;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 UTC, now.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// The zone of the environment.
fn zone() -> Rc<Zone> {
    let value = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    Zone::kept(value("TZ").as_deref(), value("TZDIR").as_deref())
}

/// The moment as strftime(3) writes it, with `%N` for nanoseconds.
pub fn format(sec: i64, nsec: u32, format: &str) -> String {
    agentos_tz::format(format, sec, Some(nsec), &zone())
}

/// Puts a value into `TZ` that jiff, which upstream's commands use, understands as glibc does the one that is there. On
/// wasip1 jiff knows no `/etc/localtime` and takes zones by name out of its own data. For the start of a program only.
pub fn prepare_environment() {
    let zone = zone();
    let value = match zone.file() {
        // With an empty component after the name of the database jiff does not take its own data for the file.
        Some(file) => format!(":{}", file.to_string_lossy().replace("zoneinfo/", "zoneinfo//")),
        None => zone.rules(),
    };
    agentos_guest::env::set_var("TZ", value);
}

/// The moment that a text names, as `date -d` reads it: seconds and nanoseconds.
pub fn parse(text: &str) -> Option<(i64, u32)> {
    parse_from(text, None)
}

/// The same; what the text leaves open is that of another moment than now.
pub fn parse_from(text: &str, base: Option<(i64, u32)>) -> Option<(i64, u32)> {
    let zone = zone();
    let zone = match zone.file() {
        Some(file) => TimeZone::tzif("local", &std::fs::read(file).ok()?).ok()?,
        None => TimeZone::posix(&zone.rules()).ok()?,
    };
    let now = match base {
        Some((sec, nsec)) => Timestamp::new(sec, i32::try_from(nsec).ok()?).ok()?,
        None => Timestamp::now(),
    };
    let now = now.to_zoned(zone);
    let moment = parse_datetime::parse_datetime_at_date(now, text).ok()?.into_zoned()?.timestamp();
    // Before 1970 jiff's fraction is negative too.
    let nanoseconds = moment.as_nanosecond();
    let second = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    Some((second, u32::try_from(nanoseconds.rem_euclid(1_000_000_000)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn dates() {
        for (sec, want) in [
            (0, "1970-01-01 00:00:00 Thu"),
            (951_782_400, "2000-02-29 00:00:00 Tue"),
            (-1, "1969-12-31 23:59:59 Wed"),
            (4_107_542_399, "2100-02-28 23:59:59 Sun"),
        ] {
            assert_eq!(format(sec, 0, "%F %T %a"), want);
        }
    }
}
