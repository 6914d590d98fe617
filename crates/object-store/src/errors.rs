//! Errors of a store as POSIX numbers. Nothing of their text is kept: it may hold addresses with credentials in them.

use agentos_vfs::Errno;
use opendal::{Error, ErrorKind};

/// The number of an error that no kind of theirs stands for, as its source.
#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
pub(crate) struct Refusal(pub(crate) Errno);

/// The number for an error of an operation that has no meaning of its own for it.
pub(crate) fn errno(error: &Error) -> Errno {
    let source = std::error::Error::source(error);
    if let Some(Refusal(errno)) = source.and_then(|source| source.downcast_ref()) {
        return *errno;
    }
    match error.kind() {
        ErrorKind::NotFound => Errno::ENOENT,
        ErrorKind::PermissionDenied => Errno::EACCES,
        ErrorKind::AlreadyExists => Errno::EEXIST,
        ErrorKind::IsADirectory => Errno::EISDIR,
        ErrorKind::NotADirectory => Errno::ENOTDIR,
        // Somebody else changed the object since it was looked at.
        ErrorKind::ConditionNotMatch | ErrorKind::RangeNotSatisfied => Errno::ESTALE,
        ErrorKind::Unsupported => Errno::ENOTSUP,
        ErrorKind::ConfigInvalid => Errno::EINVAL,
        _ => Errno::EIO,
    }
}
