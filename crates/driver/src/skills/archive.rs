//! Archives of skills: a zip in memory becomes a list of files, or is refused as a whole. It writes nothing, and it does not
//! mend: an archive that two readers could understand in two ways is refused.
//!
//! The few headers are read here and not by a library. Readers of zip go by the central directory and look at the rest only
//! to find the data; that local headers say the same, and that no byte is left over or used twice, they do not check. What
//! is hard, inflating, is a library's.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::names::{self, Names};

/// Most bytes of an archive.
pub const MAX_ARCHIVE: usize = 32 << 20;
/// Most entries of an archive, directories among them.
pub const MAX_ENTRIES: usize = 256;
/// Most bytes of a file.
pub const MAX_FILE: usize = 2 << 20;
/// Most bytes of all files together.
pub const MAX_FILES: usize = 25 << 20;

/// Bytes of the record at the end. Without a comment: behind one, two readers may find two ends.
const END: usize = 22;
const END_SIGNATURE: u32 = 0x0605_4b50;
const LISTED_SIGNATURE: u32 = 0x0201_4b50;
const LOCAL_SIGNATURE: u32 = 0x0403_4b50;
const DESCRIPTOR_SIGNATURE: u32 = 0x0807_4b50;

/// Sizes and checksum come after the data.
const HAS_DESCRIPTOR: u16 = 1 << 3;
/// What flags may say: how hard it was deflated, a descriptor, a name in UTF-8. All others change how data are read:
/// encryption, patches, hidden headers.
const FLAGS: u16 = (1 << 1) | (1 << 2) | HAS_DESCRIPTOR | (1 << 11);

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Extra fields that put other sizes, another name or a cipher in the place of what the header says: zip64, the name in
/// Unicode, AES, strong encryption.
const REFUSED_EXTRA: [u16; 4] = [0x0001, 0x7075, 0x9901, 0x0017];

/// Systems whose entries have a mode of unix: unix and macOS.
const UNIX: [u8; 2] = [3, 19];
const MODE_TYPE: u32 = 0o170_000;
const MODE_DIRECTORY: u32 = 0o040_000;
const MODE_REGULAR: u32 = 0o100_000;
const MODE_EXECUTABLE: u32 = 0o111;
/// The attribute of DOS.
const DOS_DIRECTORY: u32 = 0x10;

/// Most characters of a name in an error.
const SHOWN: usize = 120;

/// Why an archive is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It as a whole.
    #[error("the archive: {why}")]
    Archive {
        /// What is wrong.
        why: &'static str,
    },
    /// One of its entries.
    #[error("entry {name}: {why}")]
    Entry {
        /// Its name in quotes, shortened.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
}

fn refuse<T>(why: &'static str) -> Result<T, Refused> {
    Err(Refused::Archive { why })
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// All of it.
        bytes: Vec<u8>,
        /// Whether it is a program.
        executable: bool,
    },
}

/// An entry that may be written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it belongs, relative, with `/` between the segments. It begins with `SKILL.md`, `assets`, `references` or
    /// `scripts`.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// Reads an archive. Every rule holds for all entries, or there are none.
///
/// # Errors
/// [`Refused`]: the first rule that it breaks.
///
/// ```
/// assert!(agentos_driver::skills::archive::read(b"no zip").is_err());
/// ```
pub fn read(archive: &[u8]) -> Result<Vec<Entry>, Refused> {
    if archive.len() > MAX_ARCHIVE {
        return refuse("it is larger than 32 MiB");
    }
    let (mut listed, data) = directory(archive)?;
    let mut names = Names::default();
    for entry in &listed {
        names.admit(&entry.path, entry.directory).map_err(|why| entry.refused(why))?;
    }
    if !names.has_file(names::SKILL) {
        return refuse("it has no SKILL.md");
    }
    // The pieces of the entries lie side by side from the first byte to the directory.
    listed.sort_by_key(|entry| entry.offset);
    let mut ends: Vec<usize> = listed.iter().skip(1).map(|entry| entry.offset).collect();
    ends.push(data.len());
    let (mut at, mut room) = (0, MAX_FILES);
    let mut entries = Vec::with_capacity(listed.len());
    for (entry, end) in listed.into_iter().zip(ends) {
        if entry.offset != at {
            return Err(entry.refused("there are data before it that belong to no entry"));
        }
        let piece = data.get(at..end).unwrap_or_default();
        let bytes = entry.bytes(piece, room).map_err(|why| entry.refused(why))?;
        room = room.saturating_sub(bytes.len());
        at = end;
        let executable = entry.executable;
        let content = match entry.directory {
            true if bytes.is_empty() => Content::Directory,
            true => return Err(entry.refused("it is a directory with data")),
            false => Content::File { bytes, executable },
        };
        entries.push(Entry { path: entry.path, content });
    }
    Ok(entries)
}

/// The central directory, and the bytes before it.
fn directory(archive: &[u8]) -> Result<(Vec<Listed>, &[u8]), Refused> {
    let end_at = archive.len().checked_sub(END);
    let Some((before, end)) = end_at.and_then(|at| archive.split_at_checked(at)) else {
        return refuse("it is too short");
    };
    let Some(end) = End::parse(&mut Fields(end)) else {
        return refuse("it does not end as a zip without a comment does");
    };
    if end.disks != [0, 0] || end.here != end.all {
        return refuse("it is part of a set");
    }
    if end.all > MAX_ENTRIES {
        return refuse("it has more than 256 entries");
    }
    if end.offset.checked_add(end.size) != Some(before.len()) {
        return refuse("its directory is not right before its end");
    }
    let Some((data, directory)) = before.split_at_checked(end.offset) else {
        return refuse("its directory is not right before its end");
    };
    let mut fields = Fields(directory);
    let mut listed = Vec::with_capacity(end.all);
    for _ in 0..end.all {
        let Some(header) = Header::listed(&mut fields) else {
            return refuse("its directory is malformed");
        };
        listed.push(Listed::of(header)?);
    }
    if !fields.0.is_empty() {
        return refuse("its directory has more entries than it says");
    }
    Ok((listed, data))
}

/// An entry as the central directory has it.
struct Listed {
    /// As it is written in the header.
    name: Vec<u8>,
    path: String,
    directory: bool,
    executable: bool,
    sums: Sums,
    /// Where its piece begins.
    offset: usize,
}

/// What both headers of an entry say.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sums {
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u32,
    size: u32,
}

impl Listed {
    fn of(header: Header<'_>) -> Result<Self, Refused> {
        let refused = |why| Refused::Entry { name: shown(header.name), why };
        let (path, directory) = names::path(header.name).map_err(refused)?;
        if header.sums.flags & !FLAGS != 0 {
            return Err(refused("it is encrypted, or has flags that are not known"));
        }
        if !matches!(header.sums.method, STORED | DEFLATED) {
            return Err(refused("it is neither stored nor deflated"));
        }
        check_extra(header.extra).map_err(refused)?;
        if header.disk != 0 {
            return Err(refused("it is on another part of a set"));
        }
        let mode = header.attributes >> 16;
        let marked = match mode & MODE_TYPE {
            0 => header.attributes & DOS_DIRECTORY != 0,
            MODE_DIRECTORY => true,
            MODE_REGULAR if header.attributes & DOS_DIRECTORY == 0 => false,
            _ => return Err(refused("it is a link, a device, or nothing that is known")),
        };
        // A slash alone makes a directory as well.
        let plain = mode & MODE_TYPE == 0;
        if marked != directory && !(plain && directory) {
            return Err(refused("its name and its mode differ on whether it is a directory"));
        }
        let [_, system] = header.made_by.to_le_bytes();
        Ok(Listed {
            name: header.name.to_vec(),
            path,
            directory,
            executable: UNIX.contains(&system) && mode & MODE_EXECUTABLE != 0,
            sums: header.sums,
            offset: header.offset,
        })
    }

    fn refused(&self, why: &'static str) -> Refused {
        Refused::Entry { name: shown(&self.name), why }
    }

    /// What it holds, of the piece from its local header to the next one, with room for this many bytes.
    fn bytes(&self, piece: &[u8], room: usize) -> Result<Vec<u8>, &'static str> {
        let mut fields = Fields(piece);
        let local = Header::local(&mut fields).ok_or("its local header is malformed, or overlaps another")?;
        check_extra(local.extra)?;
        if local.name != self.name {
            return Err("its two headers differ in the name");
        }
        let described = self.sums.flags & HAS_DESCRIPTOR != 0;
        let later = Sums { crc: 0, compressed: 0, size: 0, ..self.sums };
        if local.sums != self.sums && !(described && local.sums == later) {
            return Err("its two headers differ in method, flags, sizes or checksum");
        }
        let length = usize::try_from(self.sums.compressed).map_err(|_| "it is too large")?;
        let data = fields.take(length).ok_or("its data overlap what comes next")?;
        if described {
            fields.descriptor(&self.sums).ok_or("what describes it after its data is something else")?;
        }
        if !fields.0.is_empty() {
            return Err("there are data after it that belong to no entry");
        }
        let limit = MAX_FILE.min(room);
        let bytes = match self.sums.method {
            STORED if data.len() > limit => return Err(TOO_LARGE),
            STORED => data.to_vec(),
            _ => inflate(data, limit)?,
        };
        if usize::try_from(self.sums.size) != Ok(bytes.len()) {
            return Err("it has another size than its headers say");
        }
        let mut crc = Crc::new();
        crc.update(&bytes);
        if crc.sum() != self.sums.crc {
            return Err("its checksum is wrong");
        }
        Ok(bytes)
    }
}

const TOO_LARGE: &str = "it is larger than 2 MiB, or all files are larger than 25 MiB";

/// Inflates one stream that takes all of `data`, to at most `limit` bytes.
fn inflate(data: &[u8], limit: usize) -> Result<Vec<u8>, &'static str> {
    let mut inflater = Decompress::new(false);
    let mut chunk = vec![0; 32 << 10];
    let (mut bytes, mut rest) = (Vec::new(), data);
    loop {
        let (taken, given) = (inflater.total_in(), inflater.total_out());
        let status = inflater.decompress(rest, &mut chunk, FlushDecompress::None);
        let status = status.map_err(|_| "its data are not deflated")?;
        let step = |now: u64, before: u64| usize::try_from(now.saturating_sub(before)).unwrap_or(usize::MAX);
        let (taken, given) = (step(inflater.total_in(), taken), step(inflater.total_out(), given));
        if given > limit.saturating_sub(bytes.len()) {
            return Err(TOO_LARGE);
        }
        bytes.extend_from_slice(chunk.get(..given).unwrap_or_default());
        rest = rest.get(taken..).unwrap_or_default();
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(bytes),
            Status::StreamEnd => return Err("there are data behind the end of its stream"),
            _ if taken == 0 && given == 0 => return Err("its stream has no end"),
            _ => {}
        }
    }
}

/// Extra fields are well formed, and none changes what the header says.
fn check_extra(extra: &[u8]) -> Result<(), &'static str> {
    let mut fields = Fields(extra);
    while !fields.0.is_empty() {
        let id = fields.u16().ok_or(EXTRA)?;
        let length = fields.u16().ok_or(EXTRA)?;
        fields.take(usize::from(length)).ok_or(EXTRA)?;
        if REFUSED_EXTRA.contains(&id) {
            return Err("an extra field changes its sizes, its name or its cipher");
        }
    }
    Ok(())
}

const EXTRA: &str = "its extra fields are malformed";

fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    format!("{:?}", name.chars().take(SHOWN).collect::<String>())
}

/// The record at the end.
struct End {
    disks: [u16; 2],
    here: usize,
    all: usize,
    size: usize,
    offset: usize,
}

impl End {
    fn parse(fields: &mut Fields<'_>) -> Option<Self> {
        fields.signature(END_SIGNATURE)?;
        let disks = [fields.u16()?, fields.u16()?];
        let (here, all) = (usize::from(fields.u16()?), usize::from(fields.u16()?));
        let (size, offset) = (fields.offset()?, fields.offset()?);
        (fields.u16()? == 0).then_some(End { disks, here, all, size, offset })
    }
}

/// A header of an entry, whichever of the two.
struct Header<'a> {
    made_by: u16,
    sums: Sums,
    name: &'a [u8],
    extra: &'a [u8],
    disk: u16,
    attributes: u32,
    offset: usize,
}

impl<'a> Header<'a> {
    /// One of the central directory.
    fn listed(fields: &mut Fields<'a>) -> Option<Self> {
        fields.signature(LISTED_SIGNATURE)?;
        let made_by = fields.u16()?;
        let sums = fields.sums()?;
        let (name, extra, comment) = (fields.u16()?, fields.u16()?, fields.u16()?);
        let disk = fields.u16()?;
        fields.take(2)?;
        let (attributes, offset) = (fields.u32()?, fields.offset()?);
        let (name, extra) = (fields.take(name.into())?, fields.take(extra.into())?);
        fields.take(comment.into())?;
        Some(Header { made_by, sums, name, extra, disk, attributes, offset })
    }

    /// One before its data.
    fn local(fields: &mut Fields<'a>) -> Option<Self> {
        fields.signature(LOCAL_SIGNATURE)?;
        let sums = fields.sums()?;
        let (name, extra) = (fields.u16()?, fields.u16()?);
        let (name, extra) = (fields.take(name.into())?, fields.take(extra.into())?);
        Some(Header { made_by: 0, sums, name, extra, disk: 0, attributes: 0, offset: 0 })
    }
}

/// Bytes that are read from their beginning. Numbers are little endian.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn offset(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok()
    }

    fn signature(&mut self, is: u32) -> Option<()> {
        (self.u32()? == is).then_some(())
    }

    /// From the version that is needed to the size.
    fn sums(&mut self) -> Option<Sums> {
        self.take(2)?;
        let (flags, method) = (self.u16()?, self.u16()?);
        self.take(4)?;
        Some(Sums { flags, method, crc: self.u32()?, compressed: self.u32()?, size: self.u32()? })
    }

    /// What follows data whose header came before they were known: with its signature or without, and nothing after it.
    fn descriptor(&mut self, sums: &Sums) -> Option<()> {
        if self.0.len() == 16 {
            self.signature(DESCRIPTOR_SIGNATURE)?;
        }
        let said = (self.u32()?, self.u32()?, self.u32()?);
        (said == (sums.crc, sums.compressed, sums.size)).then_some(())
    }
}
