//! Writes a ZIP archive: beside the old one until it is whole, or straight to standard output.

use super::format::{Bad, Data, Entry, STREAMED, UTF8, dos_time, ending};
use super::{Config, error, warn};
use crate::context::{Cx, End};
use crate::files::{self, CopyError};
use crate::os::{OsStrExt, os_owned};
use crate::time;
use agentos_guest::fd::{self, Owned};
use agentos_guest::fs::{self, FileType, Stat, file_type};
use agentos_guest::strerror;
use flate2::write::DeflateEncoder;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Read, SeekFrom, Write};

/// A file that becomes a member.
pub(super) struct Source {
    pub(super) name: Vec<u8>,
    pub(super) path: OsString,
    pub(super) stat: Stat,
    pub(super) link: bool,
}

impl Source {
    pub(super) fn is_dir(&self) -> bool {
        self.name.ends_with(b"/")
    }
}

/// An archive that is being written.
pub(super) struct Writer {
    out: BufWriter<Owned>,
    /// Where it is until it is whole.
    temporary: Option<OsString>,
    at: u64,
    pub(super) entries: Vec<Entry>,
}

impl Writer {
    pub(super) fn open(archive: &OsStr, standard: bool) -> io::Result<Writer> {
        let (file, temporary) = if standard {
            (files::stdout()?, None)
        } else {
            let bytes = archive.as_bytes();
            let directory = bytes.iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
            let mut attempt = 0;
            loop {
                let name = format!("zi{}{attempt}", agentos_guest::process::id());
                let path = os_owned([&bytes[..directory], name.as_bytes()].concat());
                match files::create_new(&path, 0o666) {
                    Ok(file) => break (file, Some(path)),
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
                    Err(e) => return Err(e),
                }
            }
        };
        Ok(Writer { out: BufWriter::with_capacity(64 << 10, file), temporary, at: 0, entries: Vec::new() })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn seek(&mut self, to: u64) -> io::Result<()> {
        self.out.flush()?;
        fd::seek(self.out.get_ref().raw(), SeekFrom::Start(to))?;
        self.at = to;
        Ok(())
    }

    /// Copies a member of another archive as it is.
    pub(super) fn copy(&mut self, file: &Owned, entry: &Entry) -> io::Result<()> {
        let mut data = Data::new(file, entry).map_err(|bad| match bad {
            Bad::System(e) => e,
            Bad::NoEnd | Bad::Directory => io::ErrorKind::InvalidData.into(),
        })?;
        let mut entry = entry.clone();
        // The sizes are known now, so they stand before the data.
        entry.flags &= !STREAMED;
        entry.offset = self.at;
        self.put(&entry.local(&entry.extra))?;
        let mut buf = vec![0; files::PIECE];
        let mut left = entry.packed;
        while left > 0 {
            match data.read(&mut buf)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    self.put(&buf[..n])?;
                    left -= n as u64;
                }
            }
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Writes the directory and puts the archive into its place.
    pub(super) fn finish(mut self, archive: &OsStr, comment: &[u8]) -> io::Result<()> {
        let end = ending(&self.entries, self.at, comment);
        let written = self.put(&end).and_then(|()| self.out.flush()).and_then(|()| {
            if self.temporary.is_some() { fd::set_len(self.out.get_ref().raw(), self.at) } else { Ok(()) }
        });
        if let Some(temporary) = &self.temporary {
            let placed = written.and_then(|()| {
                if let Ok(stat) = fs::stat(archive) {
                    fs::chmod(temporary, stat.mode & 0o777)?;
                }
                std::fs::rename(temporary, archive)
            });
            if placed.is_err() {
                let _ = std::fs::remove_file(temporary);
            }
            return placed;
        }
        written
    }

    /// Gives up.
    pub(super) fn discard(self) {
        if let Some(temporary) = &self.temporary {
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Extra fields that Info-ZIP writes: times, and owners.
fn extras(stat: &Stat, local: bool) -> Vec<u8> {
    let seconds = |s: i64| i32::try_from(s).unwrap_or(i32::MAX).to_le_bytes();
    let mut out = b"UT".to_vec();
    out.extend(if local { 9_u16 } else { 5 }.to_le_bytes());
    out.push(3);
    out.extend(seconds(stat.mtime));
    if local {
        out.extend(seconds(stat.atime));
    }
    out.extend(b"ux\x0b\0\x01\x04");
    out.extend(stat.uid.to_le_bytes());
    out.push(4);
    out.extend(stat.gid.to_le_bytes());
    out
}

/// The MS-DOS time of a moment, in the zone of the environment.
fn dos(seconds: i64) -> u32 {
    let text = time::format(seconds, 0, "%Y %m %d %H %M %S");
    let mut parts = [0; 6];
    for (part, word) in parts.iter_mut().zip(text.split(' ')) {
        *part = word.parse().unwrap_or(0);
    }
    dos_time(parts)
}

/// Whether bytes look like text: none of the control characters that text never has.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty() && !bytes.iter().any(|b| matches!(b, 0..=6 | 14..=25 | 28..=31))
}

/// Counts, sums and looks at the beginning of what passes.
struct Watched<'a> {
    inner: &'a mut dyn Read,
    crc: crc32fast::Hasher,
    size: u64,
    text: Option<bool>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.crc.update(&buf[..n]);
        self.size += n as u64;
        if n > 0 && self.text.is_none() {
            self.text = Some(is_text(&buf[..n]));
        }
        Ok(n)
    }
}

/// How much smaller it became, in percent, as zip counts it: half a percent more, rounded towards nothing.
fn percent(size: u64, packed: u64) -> i64 {
    let halves = (i128::from(size) - i128::from(packed)) * 200 / i128::from(size.max(1));
    i64::try_from((halves + 1) / 2).unwrap_or(0)
}

/// The most of standard input that is kept, should compressing be no use: only what is short does not shrink at all.
const KEPT: u64 = 64 * 1024;

/// Adds one file. False: it cannot be read, which has been said.
pub(super) fn one(
    cx: &mut Cx,
    c: &Config,
    writer: &mut Writer,
    source: &Source,
    word: &str,
    standard: bool,
) -> Result<bool, End> {
    let shown = String::from_utf8_lossy(&source.name).into_owned();
    let input: io::Result<Box<dyn Read>> = if source.is_dir() {
        Ok(Box::new(io::empty()))
    } else if source.link {
        std::fs::read_link(&source.path).map(|target| {
            Box::new(io::Cursor::new(target.into_os_string().as_bytes().to_vec())) as Box<dyn Read>
        })
    } else if source.path == "-" {
        files::stdin().map(|file| Box::new(file) as Box<dyn Read>)
    } else {
        files::open(&source.path, 0).map(|file| Box::new(file) as Box<dyn Read>)
    };
    let input = match input {
        Ok(input) => input,
        Err(e) => {
            warn(cx, c, &format!("could not open for reading: {shown} ({})", strerror(&e)));
            return Ok(false);
        }
    };
    // Listings go where the archive does not.
    let say = |cx: &mut Cx, text: &str| -> Result<(), End> {
        if c.quiet {
            return Ok(());
        }
        if standard {
            eprint!("{text}");
            return Ok(());
        }
        cx.put(text.as_bytes())
    };
    say(cx, &format!("{word}: {shown}"))?;
    let mut entry = Entry {
        name: source.name.clone(),
        made_by: 3 << 8 | 30,
        needed: 10,
        dos: dos(source.stat.mtime),
        mtime: Some(source.stat.mtime),
        external: source.stat.mode << 16 | if source.is_dir() { 0x10 } else { 0 },
        offset: writer.at,
        extra: if c.no_extra { Vec::new() } else { extras(&source.stat, false) },
        ..Entry::default()
    };
    if file_type(source.stat.mode) == FileType::Fifo {
        // What comes through a pipe becomes a file.
        entry.external = 0o010_600 << 16;
    }
    if !source.name.is_ascii() && std::str::from_utf8(&source.name).is_ok() {
        entry.flags |= UTF8;
    }
    let local = if c.no_extra { Vec::new() } else { extras(&source.stat, true) };
    let stores = c.level == 0 || source.link || source.is_dir();
    match write(c, writer, &mut entry, input, &local, stores, standard, source) {
        Ok(()) => {}
        Err(CopyError::Read(e)) => {
            return Err(error(cx, c, 11, &format!("Error reading {shown}: {}", strerror(&e))));
        }
        Err(CopyError::Write(e)) => {
            return Err(error(cx, c, 14, &format!("Error writing to output: {}", strerror(&e))));
        }
    }
    let how = if entry.method == 0 { "stored" } else { "deflated" };
    let percent = if entry.method == 0 { 0 } else { percent(entry.size, entry.packed) };
    writer.entries.push(entry);
    say(cx, &format!(" ({how} {percent}%)\n"))?;
    Ok(true)
}

#[allow(clippy::too_many_arguments, reason = "one step of adding a file")]
fn write(
    c: &Config,
    writer: &mut Writer,
    entry: &mut Entry,
    mut input: Box<dyn Read>,
    local: &[u8],
    stores: bool,
    standard: bool,
    source: &Source,
) -> Result<(), CopyError> {
    let start = writer.at;
    if !stores {
        (entry.method, entry.needed) = (8, 20);
        entry.flags |= match c.level {
            1 => 6,
            2 => 4,
            8 | 9 => 2,
            _ => 0,
        };
    }
    if standard {
        entry.flags |= STREAMED;
    }
    // A file that may not fit 32 bits gets room for more in its header, which is written again once the size is known.
    (entry.size, entry.packed) = (source.stat.size, source.stat.size);
    let header = entry.local(local);
    writer.put(&header).map_err(CopyError::Write)?;
    let mut watched = Watched { inner: &mut input, crc: crc32fast::Hasher::new(), size: 0, text: None };
    let data = writer.at;
    let mut kept = None;
    if source.path == "-" && !stores {
        let mut bytes = Vec::new();
        watched.by_ref().take(KEPT).read_to_end(&mut bytes).map_err(CopyError::Read)?;
        kept = Some(bytes);
    }
    if stores {
        let size = files::copy(&mut watched, &mut writer.out)?;
        writer.at += size;
    } else {
        let mut encoder = DeflateEncoder::new(&mut writer.out, flate2::Compression::new(c.level));
        if let Some(bytes) = &kept {
            encoder.write_all(bytes).map_err(CopyError::Write)?;
        }
        files::copy(&mut watched, &mut encoder)?;
        encoder.try_finish().map_err(CopyError::Write)?;
        writer.at += encoder.total_out();
    }
    let promised = entry.size;
    (entry.crc, entry.size, entry.packed) = (watched.crc.finalize(), watched.size, writer.at - data);
    entry.internal = u16::from(watched.text == Some(true) && !source.link && c.level > 0);
    if standard {
        return writer.put(&entry.descriptor()).map_err(CopyError::Write);
    }
    let end = writer.at;
    let again = kept.as_ref().is_none_or(|bytes| bytes.len() as u64 == entry.size);
    if !stores && entry.packed >= entry.size && again {
        // Compressing was no use: the file itself takes that place.
        let again: Box<dyn Read> = match kept {
            Some(bytes) => Box::new(io::Cursor::new(bytes)),
            None => Box::new(files::open(&source.path, 0).map_err(CopyError::Read)?),
        };
        (entry.method, entry.needed) = (0, 10);
        entry.flags &= !6;
        writer.seek(start).map_err(CopyError::Write)?;
        return write(c, writer, entry, again, local, true, false, source);
    }
    let large = |n: u64| n >= u64::from(u32::MAX);
    if large(promised) != (large(entry.size) || large(entry.packed)) {
        return Err(CopyError::Read(io::Error::other("the file changed its size while it was read")));
    }
    writer.seek(start).map_err(CopyError::Write)?;
    writer.put(&entry.local(local)).map_err(CopyError::Write)?;
    writer.seek(end).map_err(CopyError::Write)
}
