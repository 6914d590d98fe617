//! Reading tar that is not trusted: every size is checked before it is believed, every name stays in the tree, and links
//! are taken in as they are, never followed.

use std::io::Read;

use agentos_vfs::Timespec;
use agentos_vfs::layer::{ChangeKind, Meta};
use tar::{EntryType, Header};

use super::pax::{self, Records};
use super::{BLOCK, HIDES_LOWER, LITERAL, OPAQUE, SOCKET, WHITEOUT, padding, sparse};
use crate::collect::Collector;
use crate::{ImportError, names, time};

/// Most bytes of data of an entry that should have none.
const IGNORED: u64 = 1 << 20;

/// An error for input that ends too early, or cannot be read.
pub(super) fn ended(entry: &[u8], error: std::io::Error) -> ImportError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            ImportError::entry(entry, "the archive ends in the middle of it")
        }
        _ => error.into(),
    }
}

/// What extended headers and their predecessors said of the next entry.
#[derive(Default)]
struct Ahead {
    records: Option<Records>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

pub(crate) fn read(input: &mut dyn Read, into: &mut Collector<'_>) -> Result<(), ImportError> {
    let mut global = Records::default();
    let mut ahead = Ahead::default();
    let mut last = b"its beginning".to_vec();
    loop {
        let mut header = Header::new_old();
        input.read_exact(header.as_mut_bytes()).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                let last = String::from_utf8_lossy(&last).into_owned();
                ImportError::archive(format!("the archive has no end; its last entry is {last:?}"))
            }
            _ => error.into(),
        })?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        into.count()?;
        if !sound(&header) {
            let last = String::from_utf8_lossy(&last).into_owned();
            return Err(ImportError::archive(format!("damaged tar header behind {last:?}")));
        }
        match header.entry_type() {
            EntryType::XHeader => {
                ahead.records = Some(extended(&header, input, global.clone(), pax::LONGEST + pax::GLOBAL)?);
            }
            EntryType::XGlobalHeader => global = extended(&header, input, global, pax::GLOBAL)?,
            EntryType::GNULongName => ahead.name = Some(long(&header, input)?),
            EntryType::GNULongLink => ahead.link = Some(long(&header, input)?),
            _ => {
                let ahead = std::mem::take(&mut ahead);
                last = entry(&header, ahead, &global, input, into)?;
                last.truncate(256);
            }
        }
    }
}

/// Whether the checksum is right, as it must be of anything that is a header.
pub(crate) fn sound(header: &Header) -> bool {
    let mut again = header.clone();
    again.set_cksum();
    matches!((header.cksum(), again.cksum()), (Ok(said), Ok(is)) if said == is)
}

fn short(header: &Header, input: &mut dyn Read) -> Result<Vec<u8>, ImportError> {
    let name = header.path_bytes();
    let size = header.entry_size().map_err(|_| ImportError::entry(&name, "its size is no number"))?;
    if size > pax::LONGEST {
        return Err(ImportError::entry(&name, format!("an extended header of {size} bytes")));
    }
    let mut data = vec![0; size as usize + padding(size)];
    input.read_exact(&mut data).map_err(|error| ended(&name, error))?;
    data.truncate(size as usize);
    Ok(data)
}

/// Adds an extended header to what is known, which may then have `most` bytes.
fn extended(
    header: &Header,
    input: &mut dyn Read,
    mut records: Records,
    most: u64,
) -> Result<Records, ImportError> {
    let data = short(header, input)?;
    records.parse(&data).map_err(|reason| ImportError::entry(&header.path_bytes(), reason))?;
    if records.size() > most {
        let reason = format!("extended headers of more than {most} bytes together");
        return Err(ImportError::entry(&header.path_bytes(), reason));
    }
    Ok(records)
}

/// A long name of GNU tar.
fn long(header: &Header, input: &mut dyn Read) -> Result<Vec<u8>, ImportError> {
    let mut data = short(header, input)?;
    while data.last() == Some(&0) {
        data.pop();
    }
    Ok(data)
}

/// Takes one entry in; returns its name.
fn entry(
    header: &Header,
    ahead: Ahead,
    global: &Records,
    input: &mut dyn Read,
    into: &mut Collector<'_>,
) -> Result<Vec<u8>, ImportError> {
    let Ahead { records, name, link } = ahead;
    let records = records.as_ref().unwrap_or(global);
    let name = records
        .get("GNU.sparse.name")
        .or(records.get("path"))
        .map(<[u8]>::to_vec)
        .or(name)
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let wrong = |reason: &str| ImportError::entry(&name, reason);
    let link = records.get("linkpath").map(<[u8]>::to_vec).or(link);
    let link = || link.clone().or_else(|| header.link_name_bytes().map(|link| link.into_owned()));
    let fields = header.as_old();
    let size = number(records, "size", &fields.size, header.entry_size());
    let size = size.ok_or_else(|| wrong("its size is no number"))?;
    let path = names::absolute(&name)?;
    let mut kind = header.entry_type();
    if kind.is_file() && name.ends_with(b"/") && records.get("GNU.sparse.major").is_none() {
        // Before there was a type for directories.
        kind = EntryType::Directory;
    }

    let (dir, last) = names::split(&path);
    if last.starts_with(WHITEOUT) && records.get(LITERAL).is_none() {
        skip(&name, size, input)?;
        whiteout(&name, dir, last, into)?;
        return Ok(name);
    }
    let meta = meta(header, records).map_err(wrong)?;
    let device = || -> Result<u64, ImportError> {
        // Both formats that have device numbers have them at the same place.
        let (major, minor) =
            header.as_ustar().map_or(Default::default(), |ustar| (ustar.dev_major, ustar.dev_minor));
        let (major, minor) = header.as_gnu().map_or((major, minor), |gnu| (gnu.dev_major, gnu.dev_minor));
        let part = |key: &str, bytes: [u8; 8], field: std::io::Result<Option<u32>>| {
            number(records, key, &bytes, field.map(|part| u64::from(part.unwrap_or(0))))
        };
        match (
            part("SCHILY.devmajor", major, header.device_major()),
            part("SCHILY.devminor", minor, header.device_minor()),
        ) {
            (Some(major), Some(minor)) if major <= u64::MAX >> 8 && minor < 256 => Ok(major << 8 | minor),
            _ => Err(wrong("a device number that does not exist here: the minor one is below 256")),
        }
    };
    if path == b"/" && kind != EntryType::Directory {
        return Err(wrong("the root is a directory"));
    }
    let mut ignored = size;
    let change = match kind {
        EntryType::Directory => {
            let hides_lower = records.get(HIDES_LOWER).is_some();
            ChangeKind::Directory { meta, opaque: false, hides_lower }
        }
        _ if kind.is_file() && records.get(SOCKET).is_some() => ChangeKind::Socket { meta },
        _ if kind.is_file() => {
            ignored = 0;
            let content = match records.keys().any(|key| key.starts_with("GNU.sparse.")) {
                true => holes(&name, size, records, input, into)?,
                false => into.file(&name, size, input)?,
            };
            ChangeKind::Regular { meta, content }
        }
        EntryType::Symlink => {
            let target = link().filter(|target| !target.is_empty());
            ChangeKind::Symlink { meta, target: symlink(&name, target)?.into() }
        }
        EntryType::Link => {
            let target = link().filter(|target| !target.is_empty());
            let target = target.ok_or_else(|| wrong("a hard link without a target"))?;
            let target = names::absolute(&target)
                .map_err(|_| wrong("the target of the hard link leads out of the tree"))?;
            ChangeKind::HardLink { target }
        }
        EntryType::Char => ChangeKind::CharDevice { meta, rdev: device()? },
        EntryType::Block => ChangeKind::BlockDevice { meta, rdev: device()? },
        EntryType::Fifo => ChangeKind::Fifo { meta },
        EntryType::GNUSparse => {
            return Err(wrong("a sparse file in GNU's old format; pack with `tar --format=posix`"));
        }
        other => {
            let kind = char::from(other.as_byte());
            return Err(wrong(&format!("entries of type {kind:?} are not known")));
        }
    };
    match ignored {
        0 => pad(&name, size, input)?,
        _ => skip(&name, size, input)?,
    }
    into.add(path, change)?;
    Ok(name)
}

/// The target of a symbolic link, as long as a tree takes it.
pub(crate) fn symlink(name: &[u8], target: Option<Vec<u8>>) -> Result<Vec<u8>, ImportError> {
    match target {
        Some(target) if target.len() > 4095 => {
            Err(ImportError::entry(name, "the target of the link has more than 4,095 bytes"))
        }
        Some(target) if target.contains(&0) => {
            Err(ImportError::entry(name, "the target of the link contains NUL"))
        }
        Some(target) => Ok(target),
        None => Err(ImportError::entry(name, "a symbolic link without a target")),
    }
}

fn whiteout(name: &[u8], dir: &[u8], last: &[u8], into: &mut Collector<'_>) -> Result<(), ImportError> {
    if last == OPAQUE {
        return into.empty(if dir.is_empty() { b"/".to_vec() } else { dir.to_vec() });
    }
    match last.strip_prefix(WHITEOUT).unwrap_or_default() {
        b"" | b"." | b".." => Err(ImportError::entry(name, "a whiteout of nothing")),
        // Notes of a union file system of old.
        hidden if hidden.starts_with(WHITEOUT) => Ok(()),
        hidden => into.add([dir, b"/", hidden].concat(), ChangeKind::Removed),
    }
}

fn holes(
    name: &[u8],
    size: u64,
    records: &Records,
    input: &mut dyn Read,
    into: &mut Collector<'_>,
) -> Result<agentos_vfs::FileContent, ImportError> {
    let wrong = |reason: &str| ImportError::entry(name, reason);
    if (records.get("GNU.sparse.major"), records.get("GNU.sparse.minor")) != (Some(b"1"), Some(b"0")) {
        return Err(wrong("a sparse file in a format other than 1.0; pack with `tar --format=posix`"));
    }
    let real = records.text("GNU.sparse.realsize").and_then(|size| size.parse().ok());
    let real: u64 = real.ok_or_else(|| wrong("a sparse file without a size"))?;
    let (runs, table) = sparse::read(name, real, into.left(), input)?;
    if table.checked_add(runs.iter().map(|run| run.1).sum()) != Some(size) {
        return Err(wrong("the table of a sparse file does not fit its size"));
    }
    into.sparse(name, real, &runs, input)
}

fn pad(name: &[u8], size: u64, input: &mut dyn Read) -> Result<(), ImportError> {
    let mut rest = [0; BLOCK];
    input.read_exact(&mut rest[..padding(size)]).map_err(|error| ended(name, error))
}

fn skip(name: &[u8], size: u64, input: &mut dyn Read) -> Result<(), ImportError> {
    if size > IGNORED {
        return Err(ImportError::entry(name, format!("{size} bytes of data where there should be none")));
    }
    if std::io::copy(&mut input.take(size), &mut std::io::sink())? < size {
        return Err(ImportError::entry(name, "the archive ends in the middle of it"));
    }
    pad(name, size, input)
}

/// A number of an extended header, or that of the field. One that was left blank is 0.
fn number(records: &Records, key: &str, bytes: &[u8], field: std::io::Result<u64>) -> Option<u64> {
    match records.get(key) {
        Some(_) => records.text(key)?.parse().ok(),
        None if blank(bytes) => Some(0),
        None => field.ok(),
    }
}

fn blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, 0 | b' '))
}

fn meta(header: &Header, records: &Records) -> Result<Meta, &'static str> {
    let fields = header.as_old();
    let id = |key: &str, bytes: &[u8], field| {
        number(records, key, bytes, field).and_then(|id| u32::try_from(id).ok())
    };
    let moment = |key: &str| match records.get(key) {
        Some(_) => records.text(key).and_then(time::parse).map(Some).ok_or("its time is no number"),
        None => Ok(None),
    };
    let mtime = match moment("mtime")? {
        Some(time) => time,
        None => {
            let secs =
                number(records, "mtime", &fields.mtime, header.mtime()).ok_or("its time is no number")?;
            // Times before 1970 are told by extended headers only.
            Timespec { secs: i64::try_from(secs).map_err(|_| "its time is too late")?, nanos: 0 }
        }
    };
    Ok(Meta {
        perm: match blank(&fields.mode) {
            true => 0,
            false => header.mode().map_err(|_| "its mode is no number")? & 0o7777,
        },
        uid: id("uid", &fields.uid, header.uid()).ok_or("its owner is no number of 32 bits")?,
        gid: id("gid", &fields.gid, header.gid()).ok_or("its group is no number of 32 bits")?,
        mtime,
        atime: moment("atime")?.unwrap_or(mtime),
        ctime: moment("ctime")?.unwrap_or(mtime),
        btime: moment("LIBARCHIVE.creationtime")?.unwrap_or(mtime),
    })
}
