//! File systems of a VM. It knows nothing of processes, permissions or wasm.

#![forbid(unsafe_code)]

mod attr;
mod fs;
mod reply;

pub use attr::{Attr, FileType, SetAttr, SetTime, Timespec};
pub use fs::{Access, DirEntry, FileSystem, FsStat, Link, Name, NewKind, NewNode, OpenFile, RenameFlags};
pub use reply::Reply;

pub use agentos_abi::Errno;

/// The result of a file system call.
pub type Result<T> = std::result::Result<T, Errno>;

/// An inode number, unique within one [`FileSystem`].
pub type Ino = u64;
