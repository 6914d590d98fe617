//! What is known of an object: whether it is one, its size, and by what a change is recognised.

use std::sync::Arc;
use std::time::SystemTime;

use agentos_vfs::Timespec;
use opendal::Metadata;

/// One content of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    /// Bytes.
    pub(crate) size: u64,
    /// Last change, as the store tells it.
    pub(crate) modified: Timespec,
    /// The entity tag, if the store has any.
    pub(crate) etag: Option<Arc<str>>,
}

impl Version {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let etag: Option<Arc<str>> = metadata.etag().filter(|etag| !etag.is_empty()).map(Into::into);
        let since = metadata
            .last_modified()
            .and_then(|at| SystemTime::from(at).duration_since(SystemTime::UNIX_EPOCH).ok())
            .unwrap_or_default();
        // Listings and look-ups of one store differ in the fraction; where a tag tells changes it is not needed.
        let nanos = if etag.is_some() { 0 } else { since.subsec_nanos() };
        let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        Version { size: metadata.content_length(), modified: Timespec { secs, nanos }, etag }
    }

    /// Whether it is the same content as far as the store tells.
    pub(crate) fn same(&self, other: &Version) -> bool {
        self.size == other.size
            && match (&self.etag, &other.etag) {
                (Some(a), Some(b)) => a == b,
                _ => self.modified == other.modified,
            }
    }

    /// The tag for `If-Match`, which weak ones never match (RFC 9110, 13.1.1).
    pub(crate) fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/"))
    }
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An object.
    File(Version),
    /// A directory.
    Directory,
}
