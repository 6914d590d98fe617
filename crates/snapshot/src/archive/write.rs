//! Writing a difference as tar. The same difference gives the same bytes.

use std::io::Write;

use agentos_vfs::layer::{Change, ChangeKind, LayerDiff, Meta};
use agentos_vfs::{FileContent, Timespec};
use tar::EntryType;

use super::header::{self, ELEVEN, Fields, SEVEN};
use super::pax::Records;
use super::{HIDES_LOWER, LITERAL, OPAQUE, SOCKET, WHITEOUT, padding, sparse};
use crate::{ExportError, names, time};

/// Two empty blocks: the end of an archive.
pub(crate) const END: [u8; 2 * super::BLOCK] = [0; 2 * super::BLOCK];
/// Bytes of a file that are copied at a time.
const PIECE: usize = 256 << 10;

/// Whiteouts have no attributes.
const NOTHING: Meta = {
    let zero = Timespec { secs: 0, nanos: 0 };
    Meta { perm: 0, uid: 0, gid: 0, atime: zero, mtime: zero, ctime: zero, btime: zero }
};

pub(crate) fn write(diff: &LayerDiff, out: &mut dyn Write) -> Result<(), ExportError> {
    let mut writer = Writer { out, buffer: Vec::new() };
    for change in &diff.changes {
        names::fits(&change.path)?;
        writer.change(change)?;
    }
    writer.out.write_all(&END)?;
    Ok(())
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
}

/// An entry before it is split into a block and an extended header.
struct Entry<'a> {
    name: Vec<u8>,
    kind: EntryType,
    meta: &'a Meta,
    link: &'a [u8],
    size: u64,
    device: Option<u64>,
    more: Records,
}

impl<'a> Entry<'a> {
    fn new(name: &[u8], kind: EntryType, meta: &'a Meta) -> Self {
        let name = name.to_vec();
        Entry { name, kind, meta, link: b"", size: 0, device: None, more: Records::default() }
    }
}

impl Writer<'_> {
    fn change(&mut self, change: &Change) -> Result<(), ExportError> {
        let name = change.path.strip_prefix(b"/").unwrap_or(&change.path);
        let (dir, last) = names::split(&change.path);
        let mut literal = Records::default();
        if last.starts_with(WHITEOUT) {
            literal.put(LITERAL, "1");
        }
        let entry = |kind, meta| Entry { more: literal.clone(), ..Entry::new(name, kind, meta) };
        match &change.kind {
            ChangeKind::Removed => {
                let name = [dir.strip_prefix(b"/").unwrap_or(dir), b"/", WHITEOUT, last].concat();
                let name = name.strip_prefix(b"/").unwrap_or(&name);
                self.entry(Entry::new(name, EntryType::Regular, &NOTHING))
            }
            ChangeKind::Directory { meta, opaque, hides_lower } => {
                let name = if name.is_empty() { b"./".to_vec() } else { [name, b"/"].concat() };
                let mut own = Entry { name: name.clone(), ..entry(EntryType::Directory, meta) };
                if *hides_lower {
                    own.more.put(HIDES_LOWER, "1");
                }
                self.entry(own)?;
                if *opaque {
                    let name = [&name[..], OPAQUE].concat();
                    self.entry(Entry::new(&name, EntryType::Regular, &NOTHING))?;
                }
                Ok(())
            }
            ChangeKind::Regular { meta, content } => self.file(entry(EntryType::Regular, meta), content),
            ChangeKind::Symlink { meta, target } => {
                self.entry(Entry { link: target, ..entry(EntryType::Symlink, meta) })
            }
            ChangeKind::HardLink { target } => {
                let link = target.strip_prefix(b"/").unwrap_or(target);
                self.entry(Entry { link, ..entry(EntryType::Link, &NOTHING) })
            }
            ChangeKind::CharDevice { meta, rdev } => {
                self.entry(Entry { device: Some(*rdev), ..entry(EntryType::Char, meta) })
            }
            ChangeKind::BlockDevice { meta, rdev } => {
                self.entry(Entry { device: Some(*rdev), ..entry(EntryType::Block, meta) })
            }
            ChangeKind::Fifo { meta } => self.entry(entry(EntryType::Fifo, meta)),
            ChangeKind::Socket { meta } => {
                let mut own = entry(EntryType::Regular, meta);
                own.more.put(SOCKET, "1");
                self.entry(own)
            }
        }
    }

    fn file(&mut self, mut entry: Entry<'_>, content: &FileContent) -> Result<(), ExportError> {
        let map = sparse::map(content);
        entry.size = content.len();
        if let Some(map) = &map {
            entry.size = map.table.len() as u64 + map.stored;
            let (dir, last) = names::split(&entry.name);
            let short = [dir, if dir.is_empty() { b"" } else { b"/" }, b"GNUSparseFile.0/", last].concat();
            entry.more.put("GNU.sparse.major", "1");
            entry.more.put("GNU.sparse.minor", "0");
            entry.more.put("GNU.sparse.realsize", content.len().to_string());
            entry.more.put("GNU.sparse.name", std::mem::replace(&mut entry.name, short));
        }
        let size = entry.size;
        self.entry(entry)?;
        if let Some(map) = map {
            self.out.write_all(&map.table)?;
        }
        for run in sparse::runs(content) {
            self.bytes(content, run)?;
        }
        self.out.write_all(&END[..padding(size)])?;
        Ok(())
    }

    fn bytes(&mut self, content: &FileContent, run: std::ops::Range<u64>) -> Result<(), ExportError> {
        if let Some(bytes) = content.as_shared() {
            self.out.write_all(bytes)?;
            return Ok(());
        }
        self.buffer.resize(PIECE, 0);
        let mut at = run.start;
        while at < run.end {
            let wanted = usize::try_from(run.end - at).unwrap_or(PIECE).min(PIECE);
            let n = content.read_at(&mut self.buffer[..wanted], at);
            self.out.write_all(&self.buffer[..n])?;
            at += n as u64;
        }
        Ok(())
    }

    /// Writes the headers of an entry.
    fn entry(&mut self, entry: Entry<'_>) -> Result<(), ExportError> {
        let Entry { name, kind, meta, link, size, device, more: mut records } = entry;
        let device = device.map(|rdev| (rdev >> 8, rdev & 0xff));
        for (key, name) in [("path", &name[..]), ("linkpath", link)] {
            if !header::fits(name) {
                records.put(key, name);
                if std::str::from_utf8(name).is_err() {
                    records.put("hdrcharset", "BINARY");
                }
            }
        }
        let (major, minor) = device.unwrap_or_default();
        for (key, number, most) in [
            ("uid", meta.uid.into(), SEVEN),
            ("gid", meta.gid.into(), SEVEN),
            ("size", size, ELEVEN),
            ("SCHILY.devmajor", major, SEVEN),
            ("SCHILY.devminor", minor, SEVEN),
        ] {
            if number > most {
                records.put(key, number.to_string());
            }
        }
        // Whiteouts and further links have no times.
        if *meta != NOTHING {
            for (key, moment) in [
                ("mtime", meta.mtime),
                ("atime", meta.atime),
                ("ctime", meta.ctime),
                ("LIBARCHIVE.creationtime", meta.btime),
            ] {
                records.put(key, time::text(moment));
            }
        }
        let extended = records.bytes();
        if !extended.is_empty() {
            let (_, last) = names::split(name.strip_suffix(b"/").unwrap_or(&name));
            let header = header::block(&Fields {
                name: &[&b"PaxHeaders/"[..], last].concat(),
                link: b"",
                kind: EntryType::XHeader,
                mode: 0o644,
                uid: 0,
                gid: 0,
                size: extended.len() as u64,
                mtime: 0,
                device: None,
            });
            self.out.write_all(header.as_bytes())?;
            self.out.write_all(&extended)?;
            self.out.write_all(&END[..padding(extended.len() as u64)])?;
        }
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let header = header::block(&Fields {
            name: &name,
            link,
            kind,
            mode: meta.perm,
            uid: meta.uid.into(),
            gid: meta.gid.into(),
            size,
            mtime: u64::try_from(meta.mtime.secs).unwrap_or(0),
            device: device.map(|(major, minor)| (narrow(major), narrow(minor))),
        });
        self.out.write_all(header.as_bytes())?;
        Ok(())
    }
}
