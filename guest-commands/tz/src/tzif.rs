//! Zone files, TZif of RFC 9636. A file that is not one, whole and of a sane size, is no zone; leap seconds are skipped.

use agentos_guest::fd;
use agentos_guest::fs::{FileType, file_type, stat};
use std::io::Read as _;
use std::path::Path;

use crate::posix::Rule;
use crate::{Kind, Zone};

/// Files of all real zones, with every change listed, are below 5 kB.
const MAX_FILE: u64 = 128 * 1024;
/// The farthest that a clock may be from UTC: a week, more than any.
const MAX_OFFSET: i64 = 7 * 86_400;

/// The zone of a file. Only regular files are opened: others may block or never end.
pub(crate) fn read(path: &Path) -> Option<Zone> {
    if file_type(stat(path).ok()?.mode) != FileType::File {
        return None;
    }
    // Should it be replaced by a FIFO just now, nobody waits.
    let file = fd::open(path, fd::O_RDONLY | fd::O_CLOEXEC | fd::O_NONBLOCK | fd::O_NOCTTY, 0).ok()?;
    let mut data = Vec::new();
    fd::Owned::from_raw(file).take(MAX_FILE + 1).read_to_end(&mut data).ok()?;
    if data.len() as u64 > MAX_FILE {
        return None;
    }
    Some(Zone { file: Some(path.to_path_buf()), ..parse(&data)? })
}

/// Changes of a zone, as [`Zone`] holds them, and its kinds.
type Block = (Vec<(i64, u8)>, Vec<Kind>);

/// The counts of a header, in its order.
struct Header {
    version: u8,
    universal: usize,
    standard: usize,
    leaps: usize,
    times: usize,
    kinds: usize,
    letters: usize,
}

impl Header {
    fn new(data: &mut &[u8]) -> Option<Self> {
        if take(data, 4)? != b"TZif" {
            return None;
        }
        let version = take(data, 16)?[0];
        let mut count = || take(data, 4).map(|b| b.iter().fold(0, |n, b| n << 8 | usize::from(*b)));
        Some(Header {
            version,
            universal: count()?,
            standard: count()?,
            leaps: count()?,
            times: count()?,
            kinds: count()?,
            letters: count()?,
        })
    }
}

fn take<'a>(data: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, rest) = data.split_at_checked(n)?;
    *data = rest;
    Some(taken)
}

/// A table of so many entries of one size.
fn table<'a>(data: &mut &'a [u8], count: usize, size: usize) -> Option<std::slice::ChunksExact<'a, u8>> {
    Some(take(data, count.checked_mul(size)?)?.chunks_exact(size))
}

fn signed(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|b| b & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |n, b| n << 8 | i64::from(*b))
}

/// The zone of the bytes of a file.
pub(crate) fn parse(mut data: &[u8]) -> Option<Zone> {
    let data = &mut data;
    let mut header = Header::new(data)?;
    let mut width = 4;
    if header.version >= b'2' {
        // The same in 32 bits comes first.
        block(data, &header, width)?;
        header = Header::new(data)?;
        width = 8;
    }
    let (changes, kinds) = block(data, &header, width)?;
    let mut rule = None;
    if width == 8 {
        let line = data.strip_prefix(b"\n")?;
        let line = &line[..line.iter().position(|b| *b == b'\n')?];
        rule = Some(std::str::from_utf8(line).ok()?).filter(|text| !text.is_empty()).map(Rule::new);
    }
    let sorted = changes.is_sorted_by(|(a, _), (b, _)| a < b);
    let known = changes.iter().all(|(_, kind)| usize::from(*kind) < kinds.len());
    // Only the block in use must have kinds: the first one may be empty.
    (sorted && known && !kinds.is_empty()).then_some(Zone { file: None, changes, kinds, rule })
}

/// The changes and kinds of one block.
fn block(data: &mut &[u8], header: &Header, width: usize) -> Option<Block> {
    let times = table(data, header.times, width)?;
    let which = take(data, header.times)?;
    let kinds = table(data, header.kinds, 6)?;
    let letters = take(data, header.letters)?;
    take(data, header.leaps.checked_mul(width + 4)?)?;
    take(data, header.standard)?;
    take(data, header.universal)?;
    // An index is one byte; so is the place of a name.
    if header.kinds > 256 {
        return None;
    }
    let kinds = kinds
        .map(|kind| {
            let (offset, name) = (signed(&kind[..4]), letters.get(usize::from(kind[5])..)?);
            let name = &name[..name.iter().take(256).position(|b| *b == 0)?];
            (offset.abs() <= MAX_OFFSET && name.iter().all(u8::is_ascii_graphic))
                .then(|| Kind { offset, name: name.iter().map(|b| char::from(*b)).collect() })
        })
        .collect::<Option<Vec<_>>>()?;
    Some((times.map(signed).zip(which.iter().copied()).collect(), kinds))
}
