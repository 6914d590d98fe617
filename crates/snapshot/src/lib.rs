//! Layers as archives: tar with the whiteouts of OCI images, JSON, and OCI image layouts, written from a [`LayerDiff`] and
//! read into one. It knows no machine; where the bytes come from and go to is the business of its callers.
//!
//! Everything here is streamed: a writer holds one piece of one file, a reader what it has read so far, within
//! [`Limits`]. What is read is not trusted.
#![forbid(unsafe_code)]

mod archive;
mod collect;
mod error;
mod input;
mod json;
mod names;
mod oci;
mod time;

use std::io::{Read, Write};

use agentos_vfs::layer::{ApplyError, LayerDiff};
use agentos_vfs::{FileContent, Layer};

pub use collect::ALL_PATHS;
pub use error::{ExportError, ImportError};

/// What a snapshot is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A tar archive (POSIX.1-2001, extended headers) with whiteouts of OCI images.
    #[default]
    Tar,
    /// JSON: `{"kind":"snapshot-export","source":{"version":1,"entries":[…]}}`.
    Json,
    /// A tar archive of an OCI image layout, with one layer.
    Oci,
}

/// What may be read at most.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes, in the units of `agentos_vfs::TreeLimits`.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
    /// Contents that are in memory anyway: a file of the same bytes shares them.
    pub known: Vec<FileContent>,
}

/// A layer that was read: what it changes of those below it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Its entries, in their order; whiteouts are `Removed`.
    pub diff: LayerDiff,
    /// Directories of which nothing of the layers below is to be seen.
    pub emptied: Vec<Vec<u8>>,
}

impl Snapshot {
    /// `base` with this over it, by the rules of [`LayerDiff::lay_over`].
    ///
    /// # Errors
    /// [`ApplyError`] names the entry that does not fit.
    pub fn lay_over(&self, base: &Layer) -> Result<Layer, ApplyError> {
        self.diff.lay_over(base, &self.emptied)
    }
}

/// Writes a difference. The same difference gives the same bytes.
///
/// ```
/// use agentos_snapshot::{Format, Limits, read, write};
/// use agentos_vfs::{Layer, Tree, layer};
/// let tree = Tree::new();
/// tree.put_file("/etc/motd", 0o644, 0, 0, "hello")?;
/// let mut archive = Vec::new();
/// write(&layer::diff(&Layer::empty(), &tree.freeze()), Format::Tar, &mut archive).unwrap();
///
/// let limits = Limits { bytes: 1 << 20, inodes: 100, known: Vec::new() };
/// let layers = read(&archive[..], None, &limits).unwrap();
/// let copy = Tree::from_layer(&layers[0].lay_over(&Layer::empty()).unwrap());
/// assert_eq!(copy.read_file("/etc/motd")?, b"hello");
/// # Ok::<(), agentos_vfs::Errno>(())
/// ```
///
/// # Errors
/// [`ExportError`].
pub fn write(diff: &LayerDiff, format: Format, out: &mut dyn Write) -> Result<(), ExportError> {
    match format {
        Format::Tar => archive::write(diff, out),
        Format::Json => json::write(diff, out),
        Format::Oci => oci::write(diff, out),
    }
}

/// Reads layers, lowest first: one of tar, tar.gz and JSON, all of an OCI layout. Without a `format` it is found out by
/// looking; tar that has `oci-layout`, `index.json` and `blobs` then is an OCI layout.
///
/// # Errors
/// [`ImportError`].
pub fn read(input: impl Read, format: Option<Format>, limits: &Limits) -> Result<Vec<Snapshot>, ImportError> {
    input::read(Box::new(input), format, limits)
}
