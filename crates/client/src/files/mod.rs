//! Files of a VM: everything the host can do with them. Paths are absolute and normalised guest paths.
//! The file system itself, shared with the guests, is in the sidecar.

mod batch;
mod listing;
mod meta;
mod read;
mod watch;
mod write;

pub use agentos_protocol::message::{FileKind as FileType, VirtualStat};
pub use batch::{BatchReadResult, BatchWriteEntry, BatchWriteResult};
pub use listing::{DirEntry, ReaddirRecursiveOptions};
pub use meta::{DeleteOptions, MkdirOptions};
pub use read::{FileReader, OpenReadOptions};
pub use watch::{WatchEvent, WatchEventKind, WatchOptions, WatchStream};
pub use write::{FileWriter, OpenWriteOptions};
