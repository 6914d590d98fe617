//! The tables of `unzip -l`, `unzip -v` and `zipinfo`.

use super::format::{Directory, Entry, STREAMED, dos_parts};
use crate::context::{Cx, End};
use crate::mode;
use crate::time;

/// The time of a member as text.
fn when(entry: &Entry, format: &str) -> String {
    match entry.mtime {
        Some(seconds) => time::format(seconds, 0, format),
        // What is local needs no zone: it is shown as it stands.
        None => {
            let [year, month, day, hour, minute, _] = dos_parts(entry.dos);
            let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
                .get((month as usize).wrapping_sub(1))
                .unwrap_or(&"???");
            format
                .replace("%Y", &year.to_string())
                .replace("%y", &format!("{:02}", year % 100))
                .replace("%m", &format!("{month:02}"))
                .replace("%b", name)
                .replace("%d", &format!("{day:02}"))
                .replace("%H", &format!("{hour:02}"))
                .replace("%M", &format!("{minute:02}"))
        }
    }
}

/// The time of a member in seconds since 1970.
pub(super) fn seconds(entry: &Entry) -> i64 {
    entry.mtime.unwrap_or_else(|| {
        let [year, month, day, hour, minute, second] = dos_parts(entry.dos);
        let text = format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
        time::parse(&text).map_or(0, |(seconds, _)| seconds)
    })
}

fn name(entry: &Entry) -> String {
    String::from_utf8_lossy(&entry.name).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn files(n: usize) -> String {
    format!("{n} file{}", if n == 1 { "" } else { "s" })
}

/// How much smaller it became, in percent, rounded.
pub(super) fn ratio(size: u64, packed: u64) -> i64 {
    if size == 0 {
        return 0;
    }
    let saved = (i128::from(size) - i128::from(packed)) * 1000 / i128::from(size);
    i64::try_from(if saved >= 0 { (saved + 5) / 10 } else { (saved - 5) / 10 }).unwrap_or(0)
}

pub(super) fn short(cx: &mut Cx, entries: &[Entry], quiet: u32) -> Result<i32, End> {
    if quiet < 2 {
        cx.print(format_args!("  Length      Date    Time    Name\n---------  ---------- -----   ----\n"))?;
    }
    let mut total = 0;
    for entry in entries {
        total += entry.size;
        cx.print(format_args!("{:9}  {}   {}\n", entry.size, when(entry, "%Y-%m-%d %H:%M"), name(entry)))?;
    }
    if quiet < 2 {
        cx.print(format_args!(
            "---------                     -------\n{total:9}                     {}\n",
            files(entries.len())
        ))?;
    }
    Ok(if entries.is_empty() { 11 } else { 0 })
}

fn method(entry: &Entry) -> String {
    match entry.method {
        0 => "Stored".to_owned(),
        8 => format!("Defl:{}", ['N', 'X', 'F', 'S'][usize::from(entry.flags >> 1 & 3)]),
        12 => "BZip2".to_owned(),
        other => format!("Unk:{other:03}"),
    }
}

pub(super) fn long(cx: &mut Cx, entries: &[Entry], quiet: u32) -> Result<i32, End> {
    if quiet < 2 {
        cx.print(format_args!(" Length   Method    Size  Cmpr    Date    Time   CRC-32   Name\n"))?;
        cx.print(format_args!("--------  ------  ------- ---- ---------- ----- --------  ----\n"))?;
    }
    let (mut size, mut packed) = (0, 0);
    for entry in entries {
        size += entry.size;
        packed += entry.packed;
        cx.print(format_args!(
            "{:8}  {:<6} {:8} {:3}% {} {:08x}  {}\n",
            entry.size,
            method(entry),
            entry.packed,
            ratio(entry.size, entry.packed),
            when(entry, "%Y-%m-%d %H:%M"),
            entry.crc,
            name(entry)
        ))?;
    }
    if quiet < 2 {
        cx.print(format_args!("--------          -------  ---                            -------\n"))?;
        let n = files(entries.len());
        cx.print(format_args!(
            "{size:8}         {packed:8} {:3}%                            {n}\n",
            ratio(size, packed)
        ))?;
    }
    Ok(if entries.is_empty() { 11 } else { 0 })
}

/// The listing of zipinfo; `part`: only some members were asked for, so that it has no heading.
pub(super) fn info(
    cx: &mut Cx,
    entries: &[Entry],
    directory: &Directory,
    title: &str,
    part: bool,
) -> Result<i32, End> {
    if !part {
        let n = directory.entries.len();
        cx.print(format_args!("Archive:  {title}\n"))?;
        cx.print(format_args!("Zip file size: {} bytes, number of entries: {n}\n", directory.length))?;
    }
    let (mut size, mut packed) = (0, 0);
    for entry in entries {
        size += entry.size;
        packed += entry.packed;
        let kind = if entry.internal & 1 != 0 { 't' } else { 'b' };
        let extra = match (entry.flags & STREAMED != 0, entry.extra.is_empty()) {
            (false, true) => '-',
            (false, false) => 'x',
            (true, true) => 'l',
            (true, false) => 'X',
        };
        let how = match entry.method {
            0 => "stor".to_owned(),
            8 => format!("def{}", ['N', 'X', 'F', 'S'][usize::from(entry.flags >> 1 & 3)]),
            12 => "bzp2".to_owned(),
            other => format!("u{other:03}"),
        };
        let system = if entry.made_by >> 8 == 3 { "unx" } else { "fat" };
        let version = entry.made_by & 0xff;
        cx.print(format_args!(
            "{}  {}.{} {system} {:8} {kind}{extra} {how} {} {}\n",
            mode::letters(entry.mode()),
            version / 10,
            version % 10,
            entry.size,
            when(entry, "%y-%b-%d %H:%M"),
            name(entry)
        ))?;
    }
    if !part {
        let n = files(entries.len());
        let saved = if size == 0 { 0.0 } else { (size as f64 - packed as f64) / size as f64 * 100.0 };
        cx.print(format_args!("{n}, {size} bytes uncompressed, {packed} bytes compressed:  {saved:.1}%\n"))?;
    }
    Ok(if entries.is_empty() { 11 } else { 0 })
}
