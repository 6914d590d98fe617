//! What outlives a VM: the files of its root, in a directory or an SQLite file of the host. It knows nothing of kernels, the
//! wire or HTTP.
//!
//! A durable root stays a [`Tree`](agentos_vfs::Tree) in memory. To make it durable the tree is frozen, which costs nothing,
//! and what differs from the last frozen one is written in one transaction. So a store always holds one moment of the whole
//! file system, never a mixture of two.
//!
//! ```
//! use agentos_store::{Durable, Options, Place, Root};
//! use agentos_vfs::{FileSystem, Layer, Tree};
//!
//! # let scratch = tempfile::tempdir()?;
//! let place = Place::Directory(scratch.path().join("state"));
//! let base = Layer::empty();
//! let root = Root::open(&place, &base)?;
//! let tree = Tree::from_layer(root.layer());
//! let durable = Durable::start(root, tree.clone(), Options::default())?;
//! tree.put_file("/notes", 0o644, 0, 0, "kept")?;
//! durable.close_blocking()?;
//!
//! let root = Root::open(&place, &base)?;
//! assert_eq!(Tree::from_layer(root.layer()).read_file("/notes")?, b"kept");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod backend;
mod durable;
mod error;
mod outline;
mod place;
mod rebase;
mod root;
mod row;
pub mod sessions;

pub use backend::file::FileStore;
pub use durable::{Durable, Options};
pub use error::StoreError;
pub use place::Place;
pub use root::Root;
