//! Zips that are written header by header, so that a test can make any of them say something else.

use std::io::Write as _;

pub(crate) const DIRECTORY: u32 = 0o040_755;
pub(crate) const PROGRAM: u32 = 0o100_755;
pub(crate) const FILE: u32 = 0o100_644;
pub(crate) const LINK: u32 = 0o120_777;

/// An entry. What is `None` is right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) deflate: bool,
    pub(crate) mode: u32,
    pub(crate) dos: u32,
    pub(crate) system: u8,
    pub(crate) flags: u16,
    pub(crate) method: Option<u16>,
    pub(crate) crc: Option<u32>,
    pub(crate) size: Option<u32>,
    pub(crate) compressed: Option<u32>,
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) offset: Option<u32>,
    pub(crate) disk: u16,
    pub(crate) extra: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    pub(crate) local: Local,
    /// Bytes before its local header, and right after its data.
    pub(crate) before: Vec<u8>,
    pub(crate) after: Vec<u8>,
}

/// What the local header says of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Local {
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) flags: Option<u16>,
    pub(crate) method: Option<u16>,
    pub(crate) crc: Option<u32>,
    pub(crate) size: Option<u32>,
    pub(crate) compressed: Option<u32>,
    pub(crate) extra: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Zip {
    pub(crate) entries: Vec<Entry>,
    /// Between the entries and the directory, within what the end says is the directory, and at the very end.
    pub(crate) before_directory: Vec<u8>,
    pub(crate) in_directory: Vec<u8>,
    pub(crate) after_directory: Vec<u8>,
    pub(crate) after_end: Vec<u8>,
    pub(crate) comment: Vec<u8>,
    pub(crate) count: Option<u16>,
    pub(crate) disk: u16,
    pub(crate) directory_offset: Option<u32>,
}

pub(crate) fn file(name: &str, bytes: impl Into<Vec<u8>>) -> Entry {
    let (name, bytes) = (name.as_bytes().to_vec(), bytes.into());
    Entry { name, bytes, deflate: true, mode: FILE, system: 3, ..Entry::default() }
}

pub(crate) fn directory(name: &str) -> Entry {
    Entry { mode: DIRECTORY, deflate: false, ..file(name, "") }
}

pub(crate) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A number as zips have it.
fn short(to: &mut Vec<u8>, number: u16) {
    to.extend(number.to_le_bytes());
}

fn long(to: &mut Vec<u8>, number: usize) {
    to.extend(u32::try_from(number).unwrap().to_le_bytes());
}

/// What stands after the data of an entry whose sizes came late.
pub(crate) fn descriptor(bytes: &[u8], signature: bool) -> Vec<u8> {
    let mut to = Vec::new();
    if signature {
        long(&mut to, 0x0807_4b50);
    }
    long(&mut to, crc(bytes) as usize);
    long(&mut to, deflated(bytes).len());
    long(&mut to, bytes.len());
    to
}

impl Zip {
    pub(crate) fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        Zip { entries: entries.into_iter().collect(), ..Zip::default() }
    }

    /// A skill with one of everything that is allowed.
    pub(crate) fn good() -> Self {
        Zip::of([
            file("SKILL.md", "# Good\n".repeat(50)),
            directory("scripts/"),
            Entry { mode: PROGRAM, ..file("scripts/run.sh", "#!/bin/sh\n") },
            file("references/deep/er/text.md", "text"),
            Entry { deflate: false, ..file("assets/picture", vec![0, 255, 7]) },
        ])
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (mut all, mut listed) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            all.extend(&entry.before);
            let offset = all.len();
            let data = match (&entry.data, entry.deflate) {
                (Some(data), _) => data.clone(),
                (None, true) => deflated(&entry.bytes),
                (None, false) => entry.bytes.clone(),
            };
            let method = entry.method.unwrap_or(if entry.deflate { 8 } else { 0 });
            let sum = entry.crc.unwrap_or_else(|| crc(&entry.bytes)) as usize;
            let compressed = entry.compressed.map_or(data.len(), |n| n as usize);
            let size = entry.size.map_or(entry.bytes.len(), |n| n as usize);
            let local = &entry.local;
            let local_name = local.name.as_ref().unwrap_or(&entry.name);
            long(&mut all, 0x0403_4b50);
            for number in [20, local.flags.unwrap_or(entry.flags), local.method.unwrap_or(method), 0, 0x21] {
                short(&mut all, number);
            }
            long(&mut all, local.crc.map_or(sum, |n| n as usize));
            long(&mut all, local.compressed.map_or(compressed, |n| n as usize));
            long(&mut all, local.size.map_or(size, |n| n as usize));
            short(&mut all, u16::try_from(local_name.len()).unwrap());
            short(&mut all, u16::try_from(local.extra.len()).unwrap());
            all.extend(local_name);
            all.extend(&local.extra);
            all.extend(data);
            all.extend(&entry.after);

            long(&mut listed, 0x0201_4b50);
            for number in [u16::from(entry.system) << 8 | 20, 20, entry.flags, method, 0, 0x21] {
                short(&mut listed, number);
            }
            long(&mut listed, sum);
            long(&mut listed, compressed);
            long(&mut listed, size);
            for text in [&entry.name, &entry.extra, &entry.comment] {
                short(&mut listed, u16::try_from(text.len()).unwrap());
            }
            short(&mut listed, entry.disk);
            short(&mut listed, 0);
            long(&mut listed, (entry.mode << 16 | entry.dos) as usize);
            long(&mut listed, entry.offset.map_or(offset, |n| n as usize));
            for text in [&entry.name, &entry.extra, &entry.comment] {
                listed.extend(text);
            }
        }
        listed.extend(&self.in_directory);
        all.extend(&self.before_directory);
        let at = self.directory_offset.map_or(all.len(), |n| n as usize);
        let count = self.count.unwrap_or_else(|| u16::try_from(self.entries.len()).unwrap());
        all.extend(&listed);
        all.extend(&self.after_directory);
        long(&mut all, 0x0605_4b50);
        for number in [self.disk, 0, count, count] {
            short(&mut all, number);
        }
        long(&mut all, listed.len());
        long(&mut all, at);
        short(&mut all, u16::try_from(self.comment.len()).unwrap());
        all.extend(&self.comment);
        all.extend(&self.after_end);
        all
    }
}
