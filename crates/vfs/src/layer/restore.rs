//! A layer made of rows again. It trusts none of them: what does not fit together is no layer.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;

use super::change::Meta;
use super::rows::{BodyRow, InodeRow, Row, content_of};
use crate::tree::{Body, Content, Directory, Entry, Frozen, Homes, Inode, Node, State, fsck};
use crate::{Ino, Layer, TreeLimits, Usage};

/// Rows that make no layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RowsDamaged(pub String);

/// Makes a layer of a base and rows. Rows of inodes come first, in any order; then entries and chunks.
///
/// ```
/// use agentos_vfs::layer::{Restore, RowChange, changed_rows};
/// use agentos_vfs::{Layer, Tree};
/// let base = Layer::empty();
/// let tree = Tree::from_layer(&base);
/// tree.put_file("/f", 0o644, 0, 0, "hello")?;
/// let layer = tree.freeze();
///
/// let mut restore = Restore::new(&base);
/// let mut rows = Vec::new();
/// changed_rows(&base, &base, &layer, &mut |change| {
///     if let RowChange::Put(row) = change {
///         rows.push(row);
///     }
///     Ok::<(), ()>(())
/// })
/// .unwrap();
/// rows.sort_by_key(|row| !matches!(row, agentos_vfs::layer::Row::Inode(..)));
/// for row in rows {
///     restore.row(row).unwrap();
/// }
/// let again = restore.finish(layer.next_ino()).unwrap();
/// assert_eq!(Tree::from_layer(&again).read_file("/f")?, b"hello");
/// # Ok::<(), agentos_vfs::Errno>(())
/// ```
#[derive(Debug)]
pub struct Restore {
    base: Layer,
    table: Table,
    /// Chunks that are still to come, by inode.
    missing: HashMap<Ino, u64>,
}

struct Table(OrdMap<Ino, Node>);

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({})", self.0.len())
    }
}

fn damaged<T>(reason: String) -> Result<T, RowsDamaged> {
    Err(RowsDamaged(reason))
}

impl Restore {
    /// Begins with what `base` holds.
    #[must_use]
    pub fn new(base: &Layer) -> Self {
        Restore { base: base.clone(), table: Table(base.0.table.clone()), missing: HashMap::new() }
    }

    /// Begins with nothing at all, not even a root directory.
    #[must_use]
    pub fn from_nothing() -> Self {
        let mut restore = Restore::new(&Layer::empty());
        restore.table = Table(OrdMap::new());
        restore
    }

    /// Takes a row.
    pub fn row(&mut self, row: Row<'_>) -> Result<(), RowsDamaged> {
        match row {
            Row::Inode(ino, None) => {
                self.table.0.remove(&ino);
                Ok(())
            }
            Row::Inode(ino, Some(row)) => {
                let inode = self.inode(ino, row)?;
                self.table.0.insert(ino, Node(Arc::new(inode)));
                Ok(())
            }
            Row::Entry(dir, name, entry) => {
                let Some(Body::Directory(body)) = self.body(dir) else {
                    return damaged(format!("an entry of {dir}, which is no directory"));
                };
                match entry {
                    None => {
                        body.entries.remove(&name[..]);
                    }
                    Some((ino, kind)) => {
                        body.entries.insert(Arc::from(&name[..]), Entry { ino, kind });
                    }
                }
                Ok(())
            }
            Row::Chunk(ino, index, bytes) => self.chunk(ino, index, bytes),
        }
    }

    /// Gives a file that came as a row bytes of somebody else instead of chunks.
    pub fn content(&mut self, ino: Ino, bytes: Bytes) -> Result<(), RowsDamaged> {
        let Some(Body::Regular(content)) = self.body(ino) else {
            return damaged(format!("the content of {ino}, which is no file"));
        };
        *content = Content::from(bytes);
        self.missing.remove(&ino);
        Ok(())
    }

    fn body(&mut self, ino: Ino) -> Option<&mut Body> {
        self.table.0.get_mut(&ino).map(|node| &mut Arc::make_mut(&mut node.0).body)
    }

    fn chunk(&mut self, ino: Ino, index: u64, bytes: Cow<'_, [u8]>) -> Result<(), RowsDamaged> {
        let Some(left) = self.missing.get_mut(&ino).filter(|left| **left > 0) else {
            return damaged(format!("a chunk too many of {ino}"));
        };
        *left -= 1;
        let fits = match self.body(ino) {
            Some(Body::Regular(content)) => content.put_slot(index, bytes.into_owned()),
            _ => false,
        };
        if fits { Ok(()) } else { damaged(format!("chunk {index} of {ino} has no place")) }
    }

    fn inode(&mut self, ino: Ino, row: InodeRow) -> Result<Inode, RowsDamaged> {
        let known = self.base.0.get(ino);
        let body = match row.body {
            BodyRow::Regular { chunks: None, size } => match known.and_then(content_of) {
                Some(content) => Body::Regular(content.clone()),
                None => return damaged(format!("{ino} has {size} bytes of a base that has none")),
            },
            BodyRow::Regular { chunks: Some(chunks), size } => {
                let Some(content) = Content::hole(size) else {
                    return damaged(format!("{ino} has {size} bytes"));
                };
                if chunks > 0 {
                    self.missing.insert(ino, chunks);
                }
                Body::Regular(content)
            }
            BodyRow::Directory { name, subdirs, hides_lower } => {
                let entries = match known.map(|inode| &inode.body) {
                    Some(Body::Directory(dir)) => dir.entries.clone(),
                    _ => OrdMap::new(),
                };
                Body::Directory(Directory { entries, name: Arc::from(name), subdirs, opaque: hides_lower })
            }
            BodyRow::Symlink(target) => Body::Symlink(Arc::from(target)),
            BodyRow::CharDevice(rdev) => Body::CharDevice(rdev),
            BodyRow::BlockDevice(rdev) => Body::BlockDevice(rdev),
            BodyRow::Fifo => Body::Fifo,
            BodyRow::Socket => Body::Socket,
        };
        let homes = match &row.homes[..] {
            [] => Homes::None,
            [(dir, 1)] => Homes::One(*dir),
            many => Homes::Many(many.iter().copied().collect()),
        };
        let Meta { perm, uid, gid, atime, mtime, ctime, btime } = row.meta;
        Ok(Inode { perm, uid, gid, nlink: row.nlink, atime, mtime, ctime, btime, homes, body })
    }

    /// The layer, if everything fits together; new inodes get numbers from `next` on.
    pub fn finish(self, next: Ino) -> Result<Layer, RowsDamaged> {
        if let Some((ino, left)) = self.missing.iter().find(|(_, left)| **left > 0) {
            return damaged(format!("{left} chunks of {ino} are missing"));
        }
        let table = self.table.0;
        if table.get_max().is_none_or(|(most, _)| *most >= next) {
            return damaged(format!("numbers are given from {next} on, but there are others"));
        }
        let mut usage = Usage { bytes: 0, inodes: table.len() as u64 };
        for node in table.values() {
            usage.bytes += node.0.charge();
            if let Body::Directory(dir) = &node.0.body {
                usage.bytes += dir.entries.keys().map(|name| crate::tree::entry_charge(name)).sum::<u64>();
            }
        }
        let frozen = Frozen { table, next, usage };
        let limits = TreeLimits { bytes: u64::MAX, inodes: u64::MAX };
        let state = State::new(frozen, limits, Default::default());
        fsck::check(&state).map_err(RowsDamaged)?;
        Ok(Layer(Arc::new(state.tree)))
    }
}
