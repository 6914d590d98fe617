//! One component of a path. It does not know where the name leads.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use crate::{Errno, Result};

/// The longest component, in bytes (NAME_MAX).
pub const NAME_MAX: usize = 255;

/// An owned component of a path; a short one, as nearly all are, needs no allocation.
///
/// ```
/// use agentos_vfs::NameBuf;
/// let name = NameBuf::new(b"passwd")?;
/// assert_eq!(&name[..], b"passwd");
/// assert!(NameBuf::new(&[b'a'; 256]).is_err());
/// # Ok::<(), agentos_vfs::Errno>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NameBuf(SmallVec<[u8; INLINE]>);

/// Bytes that fit beside the length into four words.
const INLINE: usize = 24;

impl NameBuf {
    /// A copy of `name`. ENAMETOOLONG above [`NAME_MAX`].
    pub fn new(name: &[u8]) -> Result<Self> {
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        Ok(NameBuf(SmallVec::from_slice(name)))
    }
}

impl Deref for NameBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self))
    }
}

/// Refuses what can never be an entry: empty, `.`, `..`, with `/` or NUL (EINVAL), too long (ENAMETOOLONG).
pub(crate) fn check(name: &[u8]) -> Result<()> {
    if name.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if name.is_empty() || name == b"." || name == b".." || name.iter().any(|&b| b == b'/' || b == 0) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}
