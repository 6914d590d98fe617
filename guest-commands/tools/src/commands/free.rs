//! `free` and `uptime`: memory, and how long the machine runs, out of `/proc`. Nobody is logged in at a VM.

use super::sleep::parse_interval;
use crate::context::{Cx, End, Outcome};
use crate::options::Order;
use crate::time;
use std::collections::HashMap;
use std::ffi::OsString;

const SPEC: &[&str] = &[
    "b,bytes",
    "kilo",
    "mega",
    "giga",
    "tera",
    "peta",
    "k,kibi",
    "m,mebi",
    "g,gibi",
    "tebi",
    "pebi",
    "h,human",
    "si",
    "l,lohi",
    "t,total",
    "s,seconds=",
    "c,count=",
    "w,wide",
    "V,version",
];
const HELP: &str = "{} [options]
Show how much memory is free and used.
  -b, --bytes      show output in bytes; also --kilo --mega --giga --tera --peta
  -k, --kibi       show output in kibibytes (the default)
  -m, --mebi  -g, --gibi  --tebi  --pebi
  -h, --human      show human-readable output
      --si         use powers of 1000 not 1024
  -l, --lohi       show detailed low and high memory statistics
  -t, --total      show total for RAM + swap
  -s, --seconds=N  repeat printing every N seconds
  -c, --count=N    repeat printing N times, then exit
  -w, --wide       wide output
  -V, --version    output version information and exit";

/// How numbers are shown.
struct Unit {
    size: u128,
    human: bool,
    si: bool,
}

impl Unit {
    /// Kibibytes in this unit.
    fn show(&self, kib: u64) -> String {
        let bytes = u128::from(kib) * 1024;
        if !self.human {
            return (bytes / self.size).to_string();
        }
        let base = if self.si { 1000.0 } else { 1024.0 };
        let mut value = bytes as f64;
        let letters =
            if self.si { ["B", "K", "M", "G", "T", "P"] } else { ["B", "Ki", "Mi", "Gi", "Ti", "Pi"] };
        for (i, letter) in letters.into_iter().enumerate() {
            // Four figures at most: one behind the point for what is below ten.
            if i > 0 && value < 9.95 {
                return format!("{value:.1}{letter}");
            }
            if value < 1000.0 || i + 1 == letters.len() {
                return format!("{value:.0}{letter}");
            }
            value /= base;
        }
        String::new()
    }
}

fn meminfo() -> HashMap<String, u64> {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        Some((name.to_owned(), rest.split_whitespace().next()?.parse().ok()?))
    };
    text.lines().filter_map(field).collect()
}

/// `free`.
pub(crate) fn free(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(SPEC, args, Order::Permute, HELP)?;
    let has = |id: &str| parsed.opts.iter().any(|o| o.id == id);
    if has("version") {
        cx.print(format_args!("free (agentos-tools) {}\n", env!("CARGO_PKG_VERSION")))?;
        return Ok(0);
    }
    let si = has("si");
    let thousand: u128 = if si { 1000 } else { 1024 };
    let mut unit = Unit { size: 1024, human: false, si };
    let (mut every, mut count) = (None, None);
    for opt in &parsed.opts {
        let power = match opt.id {
            "bytes" => (1, 0),
            "kilo" => (1000, 1),
            "mega" => (1000, 2),
            "giga" => (1000, 3),
            "tera" => (1000, 4),
            "peta" => (1000, 5),
            "kibi" => (thousand, 1),
            "mebi" => (thousand, 2),
            "gibi" => (thousand, 3),
            "tebi" => (thousand, 4),
            "pebi" => (thousand, 5),
            "human" => {
                unit.human = true;
                continue;
            }
            "seconds" => {
                every = parse_interval(opt.arg()).flatten().filter(|t| !t.is_zero());
                if every.is_none() {
                    return Err(End::Failure(
                        1,
                        format!("seconds argument `{}' is not positive number", opt.text()),
                    ));
                }
                continue;
            }
            "count" => {
                count = opt.text().parse::<u64>().ok().filter(|n| *n > 0);
                if count.is_none() {
                    return Err(End::Failure(1, format!("failed to parse count argument: '{}'", opt.text())));
                }
                continue;
            }
            _ => continue,
        };
        unit.size = u128::pow(power.0, power.1);
    }
    let mut left = count.or(if every.is_some() { None } else { Some(1) });
    loop {
        show(cx, &unit, has("wide"), has("lohi"), has("total"))?;
        left = left.map(|n| n - 1);
        if left == Some(0) {
            return Ok(0);
        }
        cx.put(b"\n")?;
        cx.flush()?;
        std::thread::sleep(every.unwrap_or(std::time::Duration::from_secs(1)));
    }
}

fn show(cx: &mut Cx, unit: &Unit, wide: bool, lohi: bool, total: bool) -> Result<(), End> {
    let info = meminfo();
    let of = |name: &str| info.get(name).copied().unwrap_or(0);
    let (all, free, available) = (of("MemTotal"), of("MemFree"), of("MemAvailable"));
    let (buffers, cache) = (of("Buffers"), of("Cached") + of("SReclaimable"));
    let used = all.saturating_sub(available);
    let (swap, swap_free) = (of("SwapTotal"), of("SwapFree"));
    let row = |name: &str, values: &[u64]| {
        let mut line = format!("{name:<9}");
        for (i, value) in values.iter().enumerate() {
            line += &format!("{}{:>11}", if i == 0 { "" } else { " " }, unit.show(*value));
        }
        line + "\n"
    };
    let head = if wide { ["buffers", "cache"].as_slice() } else { ["buff/cache"].as_slice() };
    let mut heading = format!("{:<9}", "");
    for (i, word) in ["total", "used", "free", "shared"].iter().chain(head).chain(&["available"]).enumerate()
    {
        heading += &format!("{}{word:>11}", if i == 0 { "" } else { " " });
    }
    cx.print(format_args!("{heading}\n"))?;
    let mut memory = vec![all, used, free, of("Shmem")];
    if wide {
        memory.extend([buffers, cache]);
    } else {
        memory.push(buffers + cache);
    }
    memory.push(available);
    cx.print(format_args!("{}", row("Mem:", &memory)))?;
    if lohi {
        cx.print(format_args!("{}", row("Low:", &[all, all.saturating_sub(free), free])))?;
        cx.print(format_args!("{}", row("High:", &[0, 0, 0])))?;
    }
    cx.print(format_args!("{}", row("Swap:", &[swap, swap.saturating_sub(swap_free), swap_free])))?;
    if total {
        let sum = [all + swap, used + swap.saturating_sub(swap_free), free + swap_free];
        cx.print(format_args!("{}", row("Total:", &sum)))?;
    }
    Ok(())
}

/// `uptime`.
pub(crate) fn uptime(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let spec = &["p,pretty", "h,help", "s,since", "V,version"];
    let help = "{} [options]
Tell how long the system has been running.
  -p, --pretty   show uptime in pretty format
  -h, --help     display this help and exit
  -s, --since    system up since
  -V, --version  output version information and exit";
    let parsed = cx.parse(spec, args, Order::Permute, help)?;
    let up = seconds_up();
    let now = time::now();
    match parsed.opts.first().map(|o| o.id) {
        Some("help") => cx.print(format_args!("Usage: {}\n", help.replace("{}", "uptime")))?,
        Some("version") => {
            cx.print(format_args!("uptime (agentos-tools) {}\n", env!("CARGO_PKG_VERSION")))?
        }
        Some("since") => {
            cx.print(format_args!("{}\n", time::format(now - up.cast_signed(), 0, "%Y-%m-%d %H:%M:%S")))?;
        }
        Some(_) => cx.print(format_args!("up {}\n", pretty(up)))?,
        None => cx.put(uptime_line().as_bytes())?,
    }
    Ok(0)
}

fn seconds_up() -> u64 {
    let up = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    up.split(' ').next().and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0) as u64
}

/// What `uptime` says, and `w` above its table.
pub(super) fn uptime_line() -> String {
    let up = seconds_up();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let (days, hours, minutes) = (up / 86_400, up / 3600 % 24, up / 60 % 60);
    let mut since = String::new();
    if days > 0 {
        since += &format!("{days} day{}, ", if days == 1 { "" } else { "s" });
    }
    since += &if hours > 0 { format!("{hours:2}:{minutes:02}") } else { format!("{minutes} min") };
    let clock = time::format(time::now(), 0, "%H:%M:%S");
    format!(" {clock} up {since},  0 user,  load average: {}\n", load.join(", "))
}

/// Weeks, days, hours and minutes, as far as there are any.
fn pretty(seconds: u64) -> String {
    let parts = [
        (seconds / 604_800, "week"),
        (seconds / 86_400 % 7, "day"),
        (seconds / 3600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
    ];
    let words: Vec<String> = parts
        .iter()
        .filter(|(n, unit)| *n > 0 || (*unit == "minute" && seconds < 60))
        .map(|(n, unit)| format!("{n} {unit}{}", if *n == 1 { "" } else { "s" }))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Unit, pretty};

    #[test]
    fn times_in_words() {
        assert_eq!(pretty(8 * 3600 + 14 * 60), "8 hours, 14 minutes");
        assert_eq!(pretty(86_400 + 60), "1 day, 1 minute");
        assert_eq!(pretty(5), "0 minutes");
    }

    #[test]
    fn sizes_as_people_read_them() {
        let unit = Unit { size: 1, human: true, si: false };
        assert_eq!(unit.show(8896), "8.7Mi");
        assert_eq!(unit.show(0), "0B");
        assert_eq!(unit.show(214_016), "209Mi");
    }
}
