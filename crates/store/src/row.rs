//! Rows as bytes. Every value ends with a checksum over its table, its key and itself, so that what a disk mixed up is found.

use std::borrow::Cow;

use agentos_vfs::layer::{BodyRow, InodeRow, Meta, Row, RowKey};
use agentos_vfs::{FileType, Ino, Timespec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::backend::Table;

/// Bytes of a checksum.
const SUM: usize = 8;

fn sum(table: Table, key: &[u8], value: &[u8]) -> [u8; SUM] {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(table.name().as_bytes())
        .update(&(key.len() as u64).to_be_bytes())
        .update(key)
        .update(value);
    let mut sum = [0; SUM];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..SUM]);
    sum
}

/// A value with its checksum.
pub(crate) fn sealed(table: Table, key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let sum = sum(table, key, &value);
    value.extend_from_slice(&sum);
    value
}

/// A value without its checksum; an error if that is wrong.
pub(crate) fn opened<'v>(table: Table, key: &[u8], value: &'v [u8]) -> Result<&'v [u8], String> {
    match value.split_last_chunk::<SUM>() {
        Some((value, found)) if *found == sum(table, key, value) => Ok(value),
        _ => Err(format!("a row of {} has a wrong checksum", table.name())),
    }
}

/// A value as MessagePack. It cannot fail in memory; if it did, the empty value would be found to be damaged.
pub(crate) fn packed(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec(value).unwrap_or_default()
}

pub(crate) fn unpacked<T: DeserializeOwned>(table: Table, value: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(value).map_err(|error| format!("a row of {} is none: {error}", table.name()))
}

/// An inode as it is kept. Fields have no names: the format has a number.
#[derive(Serialize, Deserialize)]
pub(crate) struct Inode {
    perm: u32,
    uid: u32,
    gid: u32,
    /// Access, change of content, change of the inode, creation.
    times: [(i64, u32); 4],
    nlink: u32,
    homes: Vec<(Ino, u32)>,
    body: Body,
}

#[derive(Serialize, Deserialize)]
enum Body {
    Regular(u64, Option<u64>),
    Directory(ByteBuf, u32, bool),
    Symlink(ByteBuf),
    CharDevice(u64),
    BlockDevice(u64),
    Fifo,
    Socket,
}

impl From<InodeRow> for Inode {
    fn from(row: InodeRow) -> Self {
        let InodeRow { meta, nlink, homes, body } = row;
        let Meta { perm, uid, gid, atime, mtime, ctime, btime } = meta;
        let times = [atime, mtime, ctime, btime].map(|time| (time.secs, time.nanos));
        let body = match body {
            BodyRow::Regular { size, chunks } => Body::Regular(size, chunks),
            BodyRow::Directory { name, subdirs, hides_lower } => {
                Body::Directory(ByteBuf::from(name), subdirs, hides_lower)
            }
            BodyRow::Symlink(target) => Body::Symlink(ByteBuf::from(target)),
            BodyRow::CharDevice(rdev) => Body::CharDevice(rdev),
            BodyRow::BlockDevice(rdev) => Body::BlockDevice(rdev),
            BodyRow::Fifo => Body::Fifo,
            BodyRow::Socket => Body::Socket,
        };
        Inode { perm, uid, gid, times, nlink, homes, body }
    }
}

impl From<Inode> for InodeRow {
    fn from(inode: Inode) -> Self {
        let Inode { perm, uid, gid, times, nlink, homes, body } = inode;
        let [atime, mtime, ctime, btime] = times.map(|(secs, nanos)| Timespec { secs, nanos });
        let meta = Meta { perm, uid, gid, atime, mtime, ctime, btime };
        let body = match body {
            Body::Regular(size, chunks) => BodyRow::Regular { size, chunks },
            Body::Directory(name, subdirs, hides_lower) => {
                BodyRow::Directory { name: name.into_vec(), subdirs, hides_lower }
            }
            Body::Symlink(target) => BodyRow::Symlink(target.into_vec()),
            Body::CharDevice(rdev) => BodyRow::CharDevice(rdev),
            Body::BlockDevice(rdev) => BodyRow::BlockDevice(rdev),
            Body::Fifo => BodyRow::Fifo,
            Body::Socket => BodyRow::Socket,
        };
        InodeRow { meta, nlink, homes, body }
    }
}

/// The letter of a type, as `ls -l` and find(1) have it.
pub(crate) fn letter(kind: FileType) -> char {
    match kind {
        FileType::Regular => 'f',
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::CharDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
    }
}

pub(crate) fn kind(letter: char) -> Result<FileType, String> {
    Ok(match letter {
        'f' => FileType::Regular,
        'd' => FileType::Directory,
        'l' => FileType::Symlink,
        'c' => FileType::CharDevice,
        'b' => FileType::BlockDevice,
        'p' => FileType::Fifo,
        's' => FileType::Socket,
        other => return Err(format!("an entry has the unknown type {other:?}")),
    })
}

/// The table and the key of a row; keys sort by inode.
pub(crate) fn key(key: &RowKey<'_>) -> (Table, Vec<u8>) {
    match key {
        RowKey::Inode(ino) => (Table::Inodes, ino.to_be_bytes().to_vec()),
        RowKey::Entry(dir, name) => (Table::Entries, [&dir.to_be_bytes()[..], name].concat()),
        RowKey::Chunk(ino, index) => (Table::Chunks, [ino.to_be_bytes(), index.to_be_bytes()].concat()),
    }
}

/// A row as table, key and value.
pub(crate) fn encode(row: Row<'_>) -> (Table, Vec<u8>, Vec<u8>) {
    let (name, value) = match row {
        Row::Inode(ino, inode) => (RowKey::Inode(ino), packed(&inode.map(Inode::from))),
        Row::Entry(dir, name, entry) => {
            (RowKey::Entry(dir, name), packed(&entry.map(|(ino, kind)| (ino, letter(kind)))))
        }
        Row::Chunk(ino, index, bytes) => {
            // With room for the checksum: chunks are large.
            let mut value = Vec::with_capacity(bytes.len() + SUM);
            value.extend_from_slice(&bytes);
            (RowKey::Chunk(ino, index), value)
        }
    };
    let (table, key) = key(&name);
    let value = sealed(table, &key, value);
    (table, key, value)
}

/// A row of its bytes; the error says what is wrong with it.
pub(crate) fn decode<'r>(table: Table, key: &'r [u8], value: &'r [u8]) -> Result<Row<'r>, String> {
    let value = opened(table, key, value)?;
    let broken = || format!("a row of {} has a key of {} bytes", table.name(), key.len());
    let (ino, rest) = key.split_first_chunk::<8>().ok_or_else(broken)?;
    let ino = u64::from_be_bytes(*ino);
    match table {
        Table::Inodes if rest.is_empty() => {
            let inode: Option<Inode> = unpacked(table, value)?;
            Ok(Row::Inode(ino, inode.map(InodeRow::from)))
        }
        Table::Entries if !rest.is_empty() => {
            let entry: Option<(Ino, char)> = unpacked(table, value)?;
            let entry = entry.map(|(ino, letter)| kind(letter).map(|kind| (ino, kind))).transpose()?;
            Ok(Row::Entry(ino, Cow::Borrowed(rest), entry))
        }
        Table::Chunks => {
            let index = <[u8; 8]>::try_from(rest).map_err(|_| broken())?;
            Ok(Row::Chunk(ino, u64::from_be_bytes(index), Cow::Borrowed(value)))
        }
        _ => Err(broken()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were() {
        let time = Timespec { secs: -5, nanos: 999_999_999 };
        let meta = Meta { perm: 0o4755, uid: 7, gid: 8, atime: time, mtime: time, ctime: time, btime: time };
        let inode = |body| Some(InodeRow { meta, nlink: 3, homes: vec![(1, 2), (9, 1)], body });
        for row in [
            Row::Inode(5, None),
            Row::Inode(5, inode(BodyRow::Regular { size: 1 << 40, chunks: Some(3) })),
            Row::Inode(5, inode(BodyRow::Regular { size: 9, chunks: None })),
            Row::Inode(
                u64::MAX,
                inode(BodyRow::Directory { name: b"\xff".to_vec(), subdirs: 4, hides_lower: true }),
            ),
            Row::Inode(5, inode(BodyRow::Symlink(b"../x".to_vec()))),
            Row::Inode(5, inode(BodyRow::CharDevice(0x0105))),
            Row::Inode(5, inode(BodyRow::BlockDevice(1))),
            Row::Inode(5, inode(BodyRow::Fifo)),
            Row::Inode(5, inode(BodyRow::Socket)),
            Row::Entry(1, Cow::Borrowed(b"name"), None),
            Row::Entry(1, Cow::Borrowed(b"\0\n"), Some((77, FileType::Socket))),
            Row::Chunk(3, 1, Cow::Borrowed(&[1, 2, 3])),
        ] {
            let (table, key, value) = encode(row.clone());
            assert_eq!(decode(table, &key, &value), Ok(row));
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let (table, key, value) = encode(Row::Chunk(3, 1, Cow::Borrowed(b"content")));
        for bit in 0..value.len() * 8 {
            let mut value = value.clone();
            value[bit / 8] ^= 1 << (bit % 8);
            decode(table, &key, &value).unwrap_err();
        }
        for bit in 0..key.len() * 8 {
            let mut key = key.clone();
            key[bit / 8] ^= 1 << (bit % 8);
            decode(table, &key, &value).unwrap_err();
        }
        decode(Table::Inodes, &key, &value).unwrap_err();
    }
}
