//! The records of pax headers (POSIX, pax Interchange Format): read, put over a member, and written. Records that nobody here knows
//! are ignored, as POSIX asks.

use super::header::{Member, Missing};
use super::reader;

/// Records by their keyword, the last of each; maps of holes repeat theirs.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Records that one archive may have at once.
const MAX_RECORDS: usize = 1 << 17;

impl Records {
    /// Adds what is newer.
    pub(super) fn merge(&mut self, newer: Records) {
        if self.entries.len() + newer.entries.len() > MAX_RECORDS {
            self.entries.clear();
        }
        self.entries.extend(newer.entries);
    }

    fn get(&self, key: &str) -> Option<&[u8]> {
        self.entries.iter().rfind(|(k, _)| k == key.as_bytes()).map(|(_, v)| &v[..])
    }

    fn number(&self, key: &str) -> Option<Option<u64>> {
        self.get(key).map(|v| std::str::from_utf8(v).ok().and_then(|t| t.parse().ok()))
    }

    /// Whether the map of holes is at the beginning of the data (GNU's format 1.0).
    pub(super) fn holes_in_data(&self) -> bool {
        self.get("GNU.sparse.major") == Some(b"1") && self.get("GNU.sparse.minor") == Some(b"0")
    }

    /// The map of GNU's formats 0.0 and 0.1.
    fn map(&self) -> Option<Option<Vec<(u64, u64)>>> {
        let number = |v: &[u8]| std::str::from_utf8(v).ok().and_then(|t| t.parse::<u64>().ok());
        let numbers: Option<Vec<u64>> = if let Some(list) = self.get("GNU.sparse.map") {
            list.split(|b| *b == b',').filter(|v| !v.is_empty()).map(number).collect()
        } else if self.get("GNU.sparse.numblocks").is_some() {
            let of = |(k, _): &&(Vec<u8>, Vec<u8>)| k == b"GNU.sparse.offset" || k == b"GNU.sparse.numbytes";
            self.entries.iter().filter(of).map(|(_, v)| number(v)).collect()
        } else {
            return None;
        };
        Some(
            numbers
                .filter(|n| n.len() % 2 == 0)
                .map(|n| n.chunks_exact(2).map(|run| (run[0], run[1])).collect()),
        )
    }
}

/// Reads records: `length keyword=value\n`, one after the other.
pub(super) fn parse(data: &[u8]) -> Option<Records> {
    let mut records = Records::default();
    let mut rest = data;
    while !rest.is_empty() && rest[0] != 0 {
        let space = rest.iter().take(20).position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|b| *b == b'=')?;
        records.entries.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
        rest = &rest[length..];
    }
    Some(records)
}

/// A time in seconds with a fraction, rounded down.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let mut digits = fraction
        .bytes()
        .filter(u8::is_ascii_digit)
        .take(9)
        .fold((0_u32, 0), |(n, count), b| (n * 10 + u32::from(b - b'0'), count + 1));
    while digits.1 < 9 {
        digits = (digits.0 * 10, digits.1 + 1);
    }
    if whole.starts_with('-') && digits.0 > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - digits.0));
    }
    Some((seconds, digits.0))
}

/// Puts records over what the header block says; false when one makes no sense.
pub(super) fn apply(records: &Records, member: &mut Member) -> bool {
    if let Some(path) = records.get("path") {
        member.name = path.to_vec();
    }
    if let Some(path) = records.get("GNU.sparse.name") {
        member.name = path.to_vec();
    }
    if let Some(link) = records.get("linkpath") {
        member.link = link.to_vec();
    }
    for (key, field) in [("uname", &mut member.user), ("gname", &mut member.group)] {
        if let Some(name) = records.get(key) {
            *field = String::from_utf8_lossy(name).into_owned();
        }
    }
    if let Some(value) = records.get("mtime") {
        let Some((seconds, nanoseconds)) = time(value) else { return false };
        (member.mtime, member.mtime_nsec) = (seconds, nanoseconds);
    }
    let mut good = true;
    let mut number = |key: &str, field: &mut u64| match records.number(key) {
        Some(Some(value)) => *field = value,
        Some(None) => good = false,
        None => {}
    };
    number("uid", &mut member.uid);
    number("gid", &mut member.gid);
    if matches!(member.kind, super::header::Kind::File | super::header::Kind::Other(_)) {
        number("size", &mut member.stored);
        // An old map of holes has said the size before.
        if member.map.is_none() {
            member.size = member.stored;
        }
        number("GNU.sparse.size", &mut member.size);
        number("GNU.sparse.realsize", &mut member.size);
    }
    good && match records.map() {
        None => true,
        Some(None) => false,
        Some(Some(map)) => {
            let real = member.size;
            reader::set_map(member, map, real)
        }
    }
}

fn push(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    // The length counts itself.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// The records that a member needs beside its header block.
pub(super) fn records(member: &Member, missing: &Missing) -> Vec<u8> {
    let mut out = Vec::new();
    if missing.name || !member.name.is_ascii() {
        push(&mut out, "path", &member.name);
    }
    if missing.link || !member.link.is_ascii() {
        push(&mut out, "linkpath", &member.link);
    }
    if missing.uid {
        push(&mut out, "uid", member.uid.to_string().as_bytes());
    }
    if missing.gid {
        push(&mut out, "gid", member.gid.to_string().as_bytes());
    }
    if missing.size {
        push(&mut out, "size", member.stored.to_string().as_bytes());
    }
    if missing.mtime || member.mtime_nsec != 0 {
        let text = format!("{}.{:09}", member.mtime, member.mtime_nsec);
        push(&mut out, "mtime", text.trim_end_matches('0').trim_end_matches('.').as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_written() {
        let mut out = Vec::new();
        push(&mut out, "path", b"a\nb");
        push(&mut out, "comment", &b"x".repeat(90));
        assert!(out.starts_with(b"12 path=a\nb\n103 comment="));
        let records = parse(&out).unwrap();
        assert_eq!(records.get("path"), Some(&b"a\nb"[..]));
        for bad in
            [&b"12 path"[..], b"5 a=b", b"99999999999999999999 a=b\n", b"x a=b\n", b"0 a=b\n", b"6 abc\n"]
        {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
        assert_eq!(time(b"1.5"), Some((1, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"x"), None);
    }
}
