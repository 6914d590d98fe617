//! Reading JSON that is not trusted, one entry at a time.

use std::fmt;
use std::io::Read;

use agentos_vfs::layer::ChangeKind;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::VERSION;
use super::entry::{Entry, Type};
use crate::archive::symlink;
use crate::collect::Collector;
use crate::{ImportError, names};

pub(crate) fn read(input: &mut dyn Read, into: &mut Collector<'_>) -> Result<(), ImportError> {
    // Strings are read whole. No entry is longer than what is left, and base64 is a third more; other fields are short.
    let most = into.left().saturating_mul(2).saturating_add(256 << 20);
    let mut json = serde_json::Deserializer::from_reader(input.take(most));
    let mut failed = None;
    let object = Object { into, failed: &mut failed, outer: true };
    let result = object.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    match (failed, result) {
        (Some(error), _) => Err(error),
        (None, Ok(true)) => Ok(()),
        (None, Ok(false)) => Err(ImportError::archive("JSON without `entries` is no snapshot")),
        (None, Err(error)) if error.is_io() => Err(ImportError::Read(error.into())),
        (None, Err(error)) => Err(ImportError::archive(format!("not the JSON of a snapshot: {error}"))),
    }
}

/// The snapshot, or (`outer`) what it is the `source` of. Tells whether there were entries.
struct Object<'a, 'b> {
    into: &'a mut Collector<'b>,
    failed: &'a mut Option<ImportError>,
    outer: bool,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `entries`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "kind" if self.outer => {
                    let kind: String = map.next_value()?;
                    if kind != "snapshot-export" {
                        return Err(A::Error::custom(format_args!("kind {kind:?} is no snapshot-export")));
                    }
                }
                "source" if self.outer && !found => {
                    let inner = Object { into: self.into, failed: self.failed, outer: false };
                    found = map.next_value_seed(inner)?;
                }
                "version" => {
                    let version: u32 = map.next_value()?;
                    if version != VERSION {
                        return Err(A::Error::custom(format_args!(
                            "version {version}; this program knows version {VERSION}"
                        )));
                    }
                }
                "entries" if !found => {
                    map.next_value_seed(Entries { into: self.into, failed: self.failed })?;
                    found = true;
                }
                other => {
                    let wrong = A::Error::custom(format_args!("unknown or second field `{other}`"));
                    map.next_value::<IgnoredAny>()?;
                    return Err(wrong);
                }
            }
        }
        Ok(found)
    }
}

struct Entries<'a, 'b> {
    into: &'a mut Collector<'b>,
    failed: &'a mut Option<ImportError>,
}

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<(), A::Error> {
        while let Some(entry) = all.next_element::<Entry>()? {
            if let Err(error) = take(entry, self.into) {
                *self.failed = Some(error);
                return Err(A::Error::custom("an entry"));
            }
        }
        Ok(())
    }
}

fn take(mut entry: Entry, into: &mut Collector<'_>) -> Result<(), ImportError> {
    into.count()?;
    let name = entry.path.clone().into_bytes();
    let wrong = |reason: &str| ImportError::entry(&name, reason);
    if let Some(field) = entry.misplaced() {
        return Err(wrong(&format!("{field} says nothing here")));
    }
    let path = entry.path_encoding.bytes(std::mem::take(&mut entry.path)).map_err(wrong)?;
    if !path.starts_with(b"/") {
        return Err(wrong("the path must be absolute"));
    }
    let path = names::absolute(&path)?;
    let meta = entry.meta().map_err(wrong)?;
    let target = match entry.target.take() {
        Some(target) => Some(entry.target_encoding.bytes(target).map_err(wrong)?),
        None => None,
    };
    let device = || match &entry.device {
        Some(device) if device.major <= u64::MAX >> 8 && device.minor < 256 => {
            Ok(device.major << 8 | device.minor)
        }
        Some(_) => Err(wrong("a device number that does not exist here: the minor one is below 256")),
        None => Err(wrong("a device without `device`")),
    };
    if path == b"/" && entry.kind != Type::Directory {
        return Err(wrong("the root is a directory"));
    }
    let kind = match entry.kind {
        Type::Whiteout => ChangeKind::Removed,
        Type::Directory => {
            if entry.opaque {
                into.empty(path.clone())?;
            }
            ChangeKind::Directory { meta, opaque: false, hides_lower: entry.hides_lower }
        }
        Type::Symlink => ChangeKind::Symlink { meta, target: symlink(&name, target)?.into() },
        Type::HardLink => {
            let target = target.ok_or_else(|| wrong("a hard link without a target"))?;
            let target = names::absolute(&target)
                .map_err(|_| wrong("the target of the hard link leads out of the tree"))?;
            ChangeKind::HardLink { target }
        }
        Type::CharDevice => ChangeKind::CharDevice { meta, rdev: device()? },
        Type::BlockDevice => ChangeKind::BlockDevice { meta, rdev: device()? },
        Type::Fifo => ChangeKind::Fifo { meta },
        Type::Socket => ChangeKind::Socket { meta },
        Type::File => ChangeKind::Regular { meta, content: content(&name, &mut entry, into)? },
    };
    into.add(path, kind)
}

fn content(
    name: &[u8],
    entry: &mut Entry,
    into: &mut Collector<'_>,
) -> Result<agentos_vfs::FileContent, ImportError> {
    let wrong = |reason: &str| ImportError::entry(name, reason);
    let Some(pieces) = entry.pieces.take() else {
        let bytes = entry.encoding.bytes(entry.content.take().unwrap_or_default()).map_err(wrong)?;
        return into.file(name, bytes.len() as u64, &mut &bytes[..]);
    };
    let size = entry.size.ok_or_else(|| wrong("pieces without the size of the file"))?;
    let mut runs = Vec::new();
    let mut all = Vec::new();
    let mut end = 0;
    for piece in pieces {
        let bytes = piece.encoding.bytes(piece.content).map_err(wrong)?;
        let length = bytes.len() as u64;
        if piece.offset < end {
            return Err(wrong("the pieces overlap, or are not in order"));
        }
        end = piece.offset.saturating_add(length);
        if end > size {
            return Err(wrong("a piece lies behind the end of the file"));
        }
        runs.push((piece.offset, length));
        all.extend_from_slice(&bytes);
    }
    into.sparse(name, size, &runs, &mut &all[..])
}
