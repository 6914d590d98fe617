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
            && match self.same_tag(other) {
                Some(same) => same,
                None => self.modified == other.modified,
            }
    }

    /// Whether the tags say that it is the same content. `None` if they do not say: one is missing, or is the weak form of
    /// the other, as servers have it that take a tag for strong once a second has passed.
    pub(crate) fn same_tag(&self, other: &Version) -> Option<bool> {
        let (a, b) = (self.etag.as_deref()?, other.etag.as_deref()?);
        if a == b {
            return Some(true);
        }
        (opaque(a) != opaque(b)).then_some(false)
    }

    /// The tag for `If-Match`, which weak ones never match (RFC 9110, 13.1.1).
    pub(crate) fn strong_etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.starts_with("W/"))
    }
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An object.
    File(Version),
    /// A directory.
    Directory,
}
