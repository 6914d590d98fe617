//! The base of a store without its bytes: what its rows are differences from. It tells whether a base is still the same one,
//! and when it is not, stands in for the old one.

use agentos_vfs::layer::{BodyRow, InodeRow, Restore, Row, RowChange, RowsDamaged, changed_rows};
use agentos_vfs::{Ino, Layer};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::row::{self, Inode, kind, letter};

/// A base without bytes.
#[derive(Serialize, Deserialize)]
pub(crate) struct Outline {
    inodes: Vec<(Ino, Inode)>,
    /// Directory, name, number, type.
    entries: Vec<(Ino, ByteBuf, Ino, char)>,
    next: Ino,
    /// Over numbers, types and names: bases of the same numbers take the same rows.
    pub(crate) fingerprint: [u8; 32],
}

impl Outline {
    pub(crate) fn of(base: &Layer) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut outline =
            Outline { inodes: Vec::new(), entries: Vec::new(), next: base.next_ino(), fingerprint: [0; 32] };
        let empty = Layer::empty();
        let result = changed_rows(&empty, &empty, base, &mut |change| {
            match change {
                RowChange::Put(Row::Inode(ino, Some(mut inode))) => {
                    if let BodyRow::Regular { chunks, .. } = &mut inode.body {
                        *chunks = Some(0);
                    }
                    hasher.update(&row::packed(&(ino, tag(&inode))));
                    outline.inodes.push((ino, Inode::from(inode)));
                }
                RowChange::Put(Row::Entry(dir, name, Some((ino, kind)))) => {
                    let entry = (dir, ByteBuf::from(name.into_owned()), ino, letter(kind));
                    hasher.update(&row::packed(&entry));
                    outline.entries.push(entry);
                }
                _ => {}
            }
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(()) = result;
        outline.fingerprint = *hasher.finalize().as_bytes();
        outline
    }

    /// A layer of the same shape; the bytes of a file are its number, in one piece ([`stand_in`]).
    pub(crate) fn layer(self) -> Result<Layer, RowsDamaged> {
        let mut restore = Restore::from_nothing();
        let mut files = Vec::new();
        for (ino, inode) in self.inodes {
            let row = InodeRow::from(inode);
            if let BodyRow::Regular { .. } = row.body {
                files.push(ino);
            }
            restore.row(Row::Inode(ino, Some(row)))?;
        }
        for ino in files {
            restore.content(ino, Bytes::copy_from_slice(&ino.to_be_bytes()))?;
        }
        for (dir, name, ino, letter) in self.entries {
            let kind = kind(letter).map_err(RowsDamaged)?;
            restore.row(Row::Entry(dir, name.into_vec().into(), Some((ino, kind))))?;
        }
        restore.finish(self.next)
    }
}

/// The number for which the bytes of a file of [`Outline::layer`] stand.
pub(crate) fn stand_in(bytes: &Bytes) -> Option<Ino> {
    <[u8; 8]>::try_from(&bytes[..]).ok().map(u64::from_be_bytes)
}

fn tag(inode: &InodeRow) -> u8 {
    match inode.body {
        BodyRow::Regular { .. } => 0,
        BodyRow::Directory { .. } => 1,
        BodyRow::Symlink(_) => 2,
        BodyRow::CharDevice(_) => 3,
        BodyRow::BlockDevice(_) => 4,
        BodyRow::Fifo => 5,
        BodyRow::Socket => 6,
    }
}
