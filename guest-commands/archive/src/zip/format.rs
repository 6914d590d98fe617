//! The ZIP format (PKWARE's APPNOTE), with what Info-ZIP puts into it: Unix modes, times and owners, UTF-8 names, zip64. Headers are
//! read and written here, since zip and unzip show, keep and change fields that libraries hide. Encryption and parts on several
//! disks are refused.

use agentos_guest::fd::{self, Owned};
use std::io::{self, Read, SeekFrom};

/// One member, as the central directory tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// Made by: the system in the upper byte (3: Unix), the version in the lower.
    pub(super) made_by: u16,
    pub(super) needed: u16,
    pub(super) flags: u16,
    /// 0: stored, 8: deflated; others cannot be read.
    pub(super) method: u16,
    /// MS-DOS time and date, local.
    pub(super) dos: u32,
    /// Modification in seconds since 1970, if an extra field says so.
    pub(super) mtime: Option<i64>,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) internal: u16,
    pub(super) external: u32,
    /// Where the local header is.
    pub(super) offset: u64,
    pub(super) extra: Vec<u8>,
    pub(super) comment: Vec<u8>,
}

/// An archive's directory.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) entries: Vec<Entry>,
    pub(super) comment: Vec<u8>,
    /// Size of the whole file.
    pub(super) length: u64,
}

/// Why an archive cannot be read.
#[derive(Debug)]
pub(super) enum Bad {
    System(io::Error),
    /// No end of a central directory: no archive.
    NoEnd,
    /// The directory makes no sense.
    Directory,
}

impl From<io::Error> for Bad {
    fn from(error: io::Error) -> Bad {
        if error.kind() == io::ErrorKind::UnexpectedEof { Bad::Directory } else { Bad::System(error) }
    }
}

pub(super) const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
/// Names and sizes are in UTF-8.
pub(super) const UTF8: u16 = 1 << 11;
/// Sizes follow the data.
pub(super) const STREAMED: u16 = 1 << 3;
pub(super) const ENCRYPTED: u16 = 1;
/// Members that are held in memory at once.
const MAX_ENTRIES: u64 = 1 << 20;
const MAX_DIRECTORY: u64 = 256 << 20;

/// A little-endian reader over bytes; beyond the end it is an error, never a panic.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Bad> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Bad::Directory)?;
        self.0 = rest;
        Ok(head)
    }

    fn u16(&mut self) -> Result<u16, Bad> {
        let b = self.take(2)?;
        Ok(u16::from_le_bytes([b[0], b[1]]))
    }

    fn u32(&mut self) -> Result<u32, Bad> {
        let b = self.take(4)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn u64(&mut self) -> Result<u64, Bad> {
        let (low, high) = (self.u32()?, self.u32()?);
        Ok(u64::from(low) | (u64::from(high) << 32))
    }
}

/// Reads `length` bytes from `offset` on.
fn read_at(file: &Owned, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    fd::seek(file.raw(), SeekFrom::Start(offset))?;
    let mut buf = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match fd::read(file.raw(), &mut buf[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
    }
    Ok(buf)
}

impl Directory {
    /// Reads the directory of an open archive.
    pub(super) fn read(file: &Owned) -> Result<Directory, Bad> {
        let length = fd::seek(file.raw(), SeekFrom::End(0))?;
        // The end may be followed by a comment of up to 65,535 bytes.
        let tail_length = length.min(22 + 65_535);
        let tail = read_at(file, length - tail_length, tail_length as usize)?;
        let at =
            (0..tail.len().saturating_sub(21)).rev().find(|i| tail[*i..].starts_with(&END.to_le_bytes()));
        let Some(at) = at else { return Err(Bad::NoEnd) };
        let end_offset = length - tail_length + at as u64;
        let mut end = Fields(&tail[at + 4..]);
        let (disk, directory_disk) = (end.u16()?, end.u16()?);
        let (_, mut count) = (end.u16()?, u64::from(end.u16()?));
        let (mut size, mut offset) = (u64::from(end.u32()?), u64::from(end.u32()?));
        let comment_length = usize::from(end.u16()?);
        let comment = end.0[..comment_length.min(end.0.len())].to_vec();
        let mut before = end_offset;
        let large = count == 0xffff || size == u64::from(u32::MAX) || offset == u64::from(u32::MAX);
        if large && end_offset >= 20 {
            let locator = read_at(file, end_offset - 20, 20)?;
            let mut fields = Fields(&locator);
            if fields.u32()? == LOCATOR64 {
                fields.u32()?;
                let record_offset = fields.u64()?;
                if record_offset.checked_add(56).is_none_or(|end| end > length) {
                    return Err(Bad::Directory);
                }
                let record = read_at(file, record_offset, 56)?;
                let mut fields = Fields(&record);
                if fields.u32()? != END64 {
                    return Err(Bad::Directory);
                }
                fields.take(20)?;
                fields.u64()?;
                count = fields.u64()?;
                size = fields.u64()?;
                offset = fields.u64()?;
                before = record_offset;
            }
        } else if disk != 0 || directory_disk != 0 {
            return Err(Bad::Directory);
        }
        if size > before || size > MAX_DIRECTORY || count > MAX_ENTRIES {
            return Err(Bad::Directory);
        }
        // What comes before the archive, such as a program that unpacks it, shifts all offsets.
        let start = before - size;
        let shift = start.checked_sub(offset).ok_or(Bad::Directory)?;
        let bytes = read_at(file, start, size as usize)?;
        let mut fields = Fields(&bytes);
        let mut entries = Vec::new();
        for _ in 0..count {
            let mut entry = central(&mut fields)?;
            entry.offset = entry.offset.checked_add(shift).filter(|o| *o < start).ok_or(Bad::Directory)?;
            entries.push(entry);
        }
        Ok(Directory { entries, comment, length })
    }
}

fn central(fields: &mut Fields<'_>) -> Result<Entry, Bad> {
    if fields.u32()? != CENTRAL {
        return Err(Bad::Directory);
    }
    let mut entry = Entry {
        made_by: fields.u16()?,
        needed: fields.u16()?,
        flags: fields.u16()?,
        method: fields.u16()?,
        dos: fields.u32()?,
        crc: fields.u32()?,
        packed: u64::from(fields.u32()?),
        size: u64::from(fields.u32()?),
        ..Entry::default()
    };
    let lengths = [usize::from(fields.u16()?), usize::from(fields.u16()?), usize::from(fields.u16()?)];
    fields.u16()?;
    entry.internal = fields.u16()?;
    entry.external = fields.u32()?;
    entry.offset = u64::from(fields.u32()?);
    entry.name = fields.take(lengths[0])?.to_vec();
    entry.extra = fields.take(lengths[1])?.to_vec();
    entry.comment = fields.take(lengths[2])?.to_vec();
    let extra = entry.extra.clone();
    extras(&extra, |id, data| {
        let mut data = Fields(data);
        match id {
            // zip64: only those numbers that did not fit.
            1 => {
                for field in [&mut entry.size, &mut entry.packed, &mut entry.offset] {
                    if *field == u64::from(u32::MAX) {
                        *field = data.u64()?;
                    }
                }
            }
            // Extended timestamps.
            0x5455 if data.take(1)?[0] & 1 != 0 => {
                entry.mtime = Some(i64::from(data.u32()?.cast_signed()));
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(entry)
}

/// Calls `each` for every extra field; what is cut is ignored.
fn extras(extra: &[u8], mut each: impl FnMut(u16, &[u8]) -> Result<(), Bad>) -> Result<(), Bad> {
    let mut fields = Fields(extra);
    while fields.0.len() >= 4 {
        let (id, length) = (fields.u16()?, usize::from(fields.u16()?));
        let Ok(data) = fields.take(length) else { break };
        each(id, data)?;
    }
    Ok(())
}

impl Entry {
    /// Where the data of the member begin.
    pub(super) fn data_start(&self, file: &Owned) -> Result<u64, Bad> {
        let header = read_at(file, self.offset, 30)?;
        let mut fields = Fields(&header);
        if fields.u32()? != LOCAL {
            return Err(Bad::Directory);
        }
        fields.take(22)?;
        let (name, extra) = (u64::from(fields.u16()?), u64::from(fields.u16()?));
        Ok(self.offset + 30 + name + extra)
    }

    /// The Unix mode, or one that fits the attributes of other systems.
    pub(super) fn mode(&self) -> u32 {
        if self.made_by >> 8 == 3 && self.external >> 16 != 0 {
            return self.external >> 16;
        }
        let directory = self.name.ends_with(b"/") || self.external & 0x10 != 0;
        let read_only = if self.external & 1 != 0 { 0o222 } else { 0 };
        if directory { 0o040_755 } else { 0o100_644 & !read_only }
    }

    pub(super) fn is_dir(&self) -> bool {
        self.name.ends_with(b"/")
    }

    pub(super) fn is_link(&self) -> bool {
        self.mode() & 0o170_000 == 0o120_000
    }

    fn needs64(&self) -> bool {
        self.size >= u64::from(u32::MAX) || self.packed >= u64::from(u32::MAX)
    }

    /// The header before the data. A member whose size is not known yet has room for sizes of 64 bits if it may need them.
    pub(super) fn local(&self, extra: &[u8]) -> Vec<u8> {
        let streamed = self.flags & STREAMED != 0;
        let large = self.needs64();
        let mut out = Vec::new();
        out.extend(LOCAL.to_le_bytes());
        out.extend(if large { 45 } else { self.needed }.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        out.extend(self.method.to_le_bytes());
        out.extend(self.dos.to_le_bytes());
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let (crc, packed, size) =
            if streamed { (0, 0, 0) } else { (self.crc, small(self.packed), small(self.size)) };
        let (packed, size) = if large && !streamed { (u32::MAX, u32::MAX) } else { (packed, size) };
        out.extend(crc.to_le_bytes());
        out.extend(packed.to_le_bytes());
        out.extend(size.to_le_bytes());
        let mut whole = Vec::new();
        if large && !streamed {
            whole.extend(1_u16.to_le_bytes());
            whole.extend(16_u16.to_le_bytes());
            whole.extend(self.size.to_le_bytes());
            whole.extend(self.packed.to_le_bytes());
        }
        whole.extend_from_slice(extra);
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend((whole.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.name);
        out.extend(whole);
        out
    }

    /// What follows the data of a member whose size was not known before.
    pub(super) fn descriptor(&self) -> Vec<u8> {
        let mut out = 0x0807_4b50_u32.to_le_bytes().to_vec();
        out.extend(self.crc.to_le_bytes());
        if self.needs64() {
            out.extend(self.packed.to_le_bytes());
            out.extend(self.size.to_le_bytes());
        } else {
            out.extend((self.packed as u32).to_le_bytes());
            out.extend((self.size as u32).to_le_bytes());
        }
        out
    }

    fn central(&self) -> Vec<u8> {
        let limit = u64::from(u32::MAX);
        let large = self.needs64() || self.offset >= limit;
        let mut extra = Vec::new();
        if large {
            let numbers: Vec<u64> =
                [self.size, self.packed, self.offset].into_iter().filter(|n| *n >= limit).collect();
            extra.extend(1_u16.to_le_bytes());
            extra.extend(((numbers.len() * 8) as u16).to_le_bytes());
            numbers.iter().for_each(|n| extra.extend(n.to_le_bytes()));
        }
        // The rest of what there was, without an older field of sizes.
        let _ = extras(&self.extra, |id, data| {
            if id != 1 {
                extra.extend(id.to_le_bytes());
                extra.extend((data.len() as u16).to_le_bytes());
                extra.extend_from_slice(data);
            }
            Ok(())
        });
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
        let mut out = CENTRAL.to_le_bytes().to_vec();
        out.extend(self.made_by.to_le_bytes());
        out.extend(if large { 45 } else { self.needed }.to_le_bytes());
        out.extend(self.flags.to_le_bytes());
        out.extend(self.method.to_le_bytes());
        out.extend(self.dos.to_le_bytes());
        out.extend(self.crc.to_le_bytes());
        out.extend(small(self.packed));
        out.extend(small(self.size));
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend((extra.len() as u16).to_le_bytes());
        out.extend((self.comment.len() as u16).to_le_bytes());
        out.extend([0, 0]);
        out.extend(self.internal.to_le_bytes());
        out.extend(self.external.to_le_bytes());
        out.extend(small(self.offset));
        out.extend_from_slice(&self.name);
        out.extend(extra);
        out.extend_from_slice(&self.comment);
        out
    }
}

/// The central directory and the end of an archive whose directory begins at `start`.
pub(super) fn ending(entries: &[Entry], start: u64, comment: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    entries.iter().for_each(|entry| out.extend(entry.central()));
    let (size, count) = (out.len() as u64, entries.len() as u64);
    if count >= 0xffff || size >= u64::from(u32::MAX) || start >= u64::from(u32::MAX) {
        let record = start + size;
        out.extend(END64.to_le_bytes());
        out.extend(44_u64.to_le_bytes());
        out.extend(((3_u16 << 8) | 45).to_le_bytes());
        out.extend(45_u16.to_le_bytes());
        out.extend([0; 8]);
        out.extend(count.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(size.to_le_bytes());
        out.extend(start.to_le_bytes());
        out.extend(LOCATOR64.to_le_bytes());
        out.extend([0; 4]);
        out.extend(record.to_le_bytes());
        out.extend(1_u32.to_le_bytes());
    }
    out.extend(END.to_le_bytes());
    out.extend([0; 4]);
    let short = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
    out.extend(short);
    out.extend(short);
    out.extend(u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(u32::try_from(start).unwrap_or(u32::MAX).to_le_bytes());
    out.extend((comment.len() as u16).to_le_bytes());
    out.extend_from_slice(comment);
    out
}

/// Reads the packed bytes of a member, and no more.
pub(super) struct Data<'a> {
    file: &'a Owned,
    left: u64,
}

impl<'a> Data<'a> {
    pub(super) fn new(file: &'a Owned, entry: &Entry) -> Result<Data<'a>, Bad> {
        let start = entry.data_start(file)?;
        fd::seek(file.raw(), SeekFrom::Start(start))?;
        Ok(Data { file, left: entry.packed })
    }
}

impl Read for Data<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let n = if most == 0 { 0 } else { fd::read(self.file.raw(), &mut buf[..most])? };
        self.left -= n as u64;
        Ok(n)
    }
}

/// The data of a member, unpacked; `None`: a method that nobody here knows.
pub(super) fn unpack<'a>(file: &'a Owned, entry: &Entry) -> Result<Option<Box<dyn Read + 'a>>, Bad> {
    let data = Data::new(file, entry)?;
    Ok(match entry.method {
        0 => Some(Box::new(data)),
        8 => Some(Box::new(flate2::read::DeflateDecoder::new(io::BufReader::with_capacity(32 << 10, data)))),
        12 => Some(Box::new(bzip2::read::BzDecoder::new(data))),
        _ => None,
    })
}

/// MS-DOS date and time of a local time as numbers: year, month, day, hour, minute, second.
pub(super) fn dos_time(parts: [u32; 6]) -> u32 {
    let [year, month, day, hour, minute, second] = parts;
    if year < 1980 {
        return 0x0021_0000;
    }
    let date = ((year - 1980).min(127) << 9) | (month << 5) | day;
    (date << 16) | (hour << 11) | (minute << 5) | (second / 2)
}

/// The parts of an MS-DOS date and time.
pub(super) fn dos_parts(dos: u32) -> [u32; 6] {
    let (date, time) = (dos >> 16, dos & 0xffff);
    [1980 + (date >> 9), date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2]
}
