//! File systems of a VM. It knows nothing of processes, permissions or wasm.

#![forbid(unsafe_code)]

mod attr;
pub mod driver;
mod fs;
pub mod host_dir;
pub mod layer;
mod listing;
mod name;
pub mod namespace;
pub mod overlay;
mod pin;
mod reply;
pub mod tree;

pub use attr::{Attr, FileType, SetAttr, SetTime, Timespec};
pub use driver::{DriverFs, DriverHandle, DriverOptions, PathDriver, VirtualStat};
pub use fs::{
    Access, Descent, DirEntry, FileSystem, FsStat, Link, Name, NewKind, NewNode, OpenFile, Reached,
    RenameFlags, Steps,
};
pub use host_dir::{HostDir, HostDirOptions};
pub use layer::Layer;
pub use listing::Listing;
pub use name::{NAME_MAX, NameBuf};
pub use namespace::{
    Descriptor, Found, GuestPath, Last, Location, Missing, Mount, MountOptions, Namespace, PATH_MAX,
    PathError, PathLimits, Resolved, WalkContext, WalkFlags,
};
pub use overlay::Overlay;
pub use pin::InodePin;
pub use reply::Reply;
pub use tree::{FileContent, Quota, Tree, TreeLimits, Usage};

pub use agentos_abi::Errno;

/// The result of a file system call.
pub type Result<T> = std::result::Result<T, Errno>;

/// An inode number, unique within one [`FileSystem`].
pub type Ino = u64;
