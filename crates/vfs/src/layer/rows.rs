//! A layer as rows that stand for themselves: inodes by number, entries of directories, chunks of files, each only where it
//! differs from a base. It is how a layer is kept elsewhere; in which bytes, it does not know.
//!
//! [`changed_rows`] costs what changed between two moments of one tree, not what the tree holds. What is derived, such as link
//! counts, is kept as well: [`Restore`] checks all of it, so that what was damaged elsewhere never becomes a file system.

use std::borrow::Cow;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use super::change::Meta;
use crate::tree::{Body, Content, Entry, Frozen, Homes, Inode, Node};
use crate::{FileType, Ino, Layer};

/// An inode without its entries and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InodeRow {
    /// Its attributes.
    pub meta: Meta,
    /// Its link count.
    pub nlink: u32,
    /// The directories that hold its names, and how many in each.
    pub homes: Vec<(Ino, u32)>,
    /// What it is.
    pub body: BodyRow,
}

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyRow {
    /// A regular file.
    Regular {
        /// Bytes.
        size: u64,
        /// How many chunks it has; `None`: the bytes are those that the base has under this number.
        chunks: Option<u64>,
    },
    /// A directory.
    Directory {
        /// Its own name in its parent.
        name: Vec<u8>,
        /// How many directories are in it.
        subdirs: u32,
        /// As the upper of an overlay, it hides the lower directories of its path.
        hides_lower: bool,
    },
    /// A symbolic link to this target.
    Symlink(Vec<u8>),
    /// A character device of this number.
    CharDevice(u64),
    /// A block device of this number.
    BlockDevice(u64),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// The name of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowKey<'a> {
    /// An inode.
    Inode(Ino),
    /// An entry of a directory.
    Entry(Ino, Cow<'a, [u8]>),
    /// A chunk of a file, by its index; all have [`CHUNK_BYTES`] but that zeros at the end are left out.
    Chunk(Ino, u64),
}

/// Bytes of a chunk.
pub const CHUNK_BYTES: usize = crate::tree::CHUNK;

/// A row: something that is not as in the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row<'a> {
    /// An inode; `None`: the base has it and it is gone.
    Inode(Ino, Option<InodeRow>),
    /// An entry of a directory: number and type; `None`: the base has it and it is gone.
    Entry(Ino, Cow<'a, [u8]>, Option<(Ino, FileType)>),
    /// A chunk of a file.
    Chunk(Ino, u64, Cow<'a, [u8]>),
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange<'a> {
    /// It is this one now.
    Put(Row<'a>),
    /// There is none any more: it is as in the base, or belonged to what is gone.
    Remove(RowKey<'a>),
}

type Entries = OrdMap<std::sync::Arc<[u8]>, Entry>;

/// What makes the rows of `new` of the rows of `old`, both being moments of trees that began as `base`.
///
/// All rows of a layer are `changed_rows(base, base, layer, ..)`. The first error of `tell` ends it.
///
/// ```
/// use agentos_vfs::layer::{Row, RowChange, changed_rows};
/// use agentos_vfs::{Layer, Tree};
/// let base = Layer::empty();
/// let tree = Tree::from_layer(&base);
/// tree.put_file("/f", 0o644, 0, 0, "hello")?;
/// let mut chunks = Vec::new();
/// changed_rows(&base, &base, &tree.freeze(), &mut |change| {
///     if let RowChange::Put(Row::Chunk(_, index, bytes)) = change {
///         chunks.push((index, bytes.into_owned()));
///     }
///     Ok::<(), ()>(())
/// })
/// .unwrap();
/// assert_eq!(chunks, [(0, b"hello".to_vec())]);
/// # Ok::<(), agentos_vfs::Errno>(())
/// ```
pub fn changed_rows<'a, E>(
    base: &'a Layer,
    old: &'a Layer,
    new: &'a Layer,
    tell: &mut dyn FnMut(RowChange<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let base = &*base.0;
    for item in old.0.table.diff(&new.0.table) {
        let (ino, old, new) = match item {
            DiffItem::Add(ino, node) => (*ino, None, Some(node)),
            DiffItem::Remove(ino, node) => (*ino, Some(node), None),
            DiffItem::Update { old: (ino, old), new: (_, new) } => (*ino, Some(old), Some(new)),
        };
        let known = base.table.get(&ino);
        tell(match (new, known) {
            (Some(new), Some(known)) if new == known => RowChange::Remove(RowKey::Inode(ino)),
            (Some(new), _) => RowChange::Put(Row::Inode(ino, Some(inode_row(base, ino, &new.0)))),
            (None, Some(_)) => RowChange::Put(Row::Inode(ino, None)),
            (None, None) => RowChange::Remove(RowKey::Inode(ino)),
        })?;
        entries(ino, known, old, new, tell)?;
        chunks(base, ino, old, new, tell)?;
    }
    Ok(())
}

/// Where no row says otherwise, the entries are those of the base; that holds of removed directories too.
fn entries<'a, E>(
    dir: Ino,
    base: Option<&'a Node>,
    old: Option<&'a Node>,
    new: Option<&'a Node>,
    tell: &mut dyn FnMut(RowChange<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let of = |node: Option<&'a Node>| node.and_then(|node| entries_of(&node.0));
    let known = of(base);
    let none = Entries::new();
    let (old, new) = (of(old).or(known), of(new).or(known));
    if old.is_none() && new.is_none() {
        return Ok(());
    }
    let mut names = Vec::new();
    for item in old.unwrap_or(&none).diff(new.unwrap_or(&none)) {
        names.push(match item {
            DiffItem::Add(name, entry) | DiffItem::Update { new: (name, entry), .. } => {
                (name.clone(), Some(*entry))
            }
            DiffItem::Remove(name, _) => (name.clone(), None),
        });
    }
    for (name, entry) in names {
        let known = known.and_then(|entries| entries.get(&name));
        let name = Cow::Owned(name.to_vec());
        tell(if entry.as_ref() == known {
            RowChange::Remove(RowKey::Entry(dir, name))
        } else {
            RowChange::Put(Row::Entry(dir, name, entry.map(|entry| (entry.ino, entry.kind))))
        })?;
    }
    Ok(())
}

fn chunks<'a, E>(
    base: &'a Frozen,
    ino: Ino,
    old: Option<&'a Node>,
    new: Option<&'a Node>,
    tell: &mut dyn FnMut(RowChange<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let of = |node: Option<&'a Node>| node.and_then(|node| own_content(base, ino, &node.0));
    let (old, new) = (of(old), of(new));
    let count = |content: Option<&Content>| content.map_or(0, Content::slots);
    for index in 0..count(old).max(count(new)) {
        let of = |content: Option<&'a Content>| content.and_then(|content| content.slot(index));
        match (of(old), of(new)) {
            (None, None) => {}
            // A chunk that was not written to is the same one in memory.
            (Some(old), Some(new))
                if old.len() == new.len() && (old.as_ptr() == new.as_ptr() || old == new) => {}
            (_, Some(new)) => {
                tell(RowChange::Put(Row::Chunk(ino, index as u64, Cow::Borrowed(new))))?;
            }
            (Some(_), None) => tell(RowChange::Remove(RowKey::Chunk(ino, index as u64)))?,
        }
    }
    Ok(())
}

fn entries_of(inode: &Inode) -> Option<&Entries> {
    match &inode.body {
        Body::Directory(dir) => Some(&dir.entries),
        _ => None,
    }
}

pub(super) fn content_of(inode: &Inode) -> Option<&Content> {
    match &inode.body {
        Body::Regular(content) => Some(content),
        _ => None,
    }
}

/// The content of a file unless it is the one that the base has under this number.
fn own_content<'a>(base: &Frozen, ino: Ino, inode: &'a Inode) -> Option<&'a Content> {
    let content = content_of(inode)?;
    let known = base.get(ino).and_then(content_of);
    (!known.is_some_and(|known| known.is_same_piece(content))).then_some(content)
}

fn inode_row(base: &Frozen, ino: Ino, inode: &Inode) -> InodeRow {
    let body = match &inode.body {
        Body::Regular(content) => BodyRow::Regular {
            size: content.size(),
            chunks: own_content(base, ino, inode).map(|content| {
                (0..content.slots()).filter(|&index| content.slot(index).is_some()).count() as u64
            }),
        },
        Body::Directory(dir) => {
            BodyRow::Directory { name: dir.name.to_vec(), subdirs: dir.subdirs, hides_lower: dir.opaque }
        }
        Body::Symlink(target) => BodyRow::Symlink(target.to_vec()),
        Body::CharDevice(rdev) => BodyRow::CharDevice(*rdev),
        Body::BlockDevice(rdev) => BodyRow::BlockDevice(*rdev),
        Body::Fifo => BodyRow::Fifo,
        Body::Socket => BodyRow::Socket,
    };
    let homes = match &inode.homes {
        Homes::None => Vec::new(),
        Homes::One(dir) => vec![(*dir, 1)],
        Homes::Many(homes) => homes.iter().map(|(dir, count)| (*dir, *count)).collect(),
    };
    InodeRow { meta: Meta::of(inode), nlink: inode.nlink, homes, body }
}
