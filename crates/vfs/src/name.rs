//! One component of a path, held inline. It does not know where the name leads.

use std::fmt;
use std::ops::Deref;

use crate::{Errno, Result};

/// The longest component, in bytes (NAME_MAX).
pub const NAME_MAX: usize = 255;

/// An owned component of a path that needs no allocation.
///
/// ```
/// use agentos_vfs::NameBuf;
/// let name = NameBuf::new(b"passwd")?;
/// assert_eq!(&name[..], b"passwd");
/// assert!(NameBuf::new(&[b'a'; 256]).is_err());
/// # Ok::<(), agentos_vfs::Errno>(())
/// ```
#[derive(Clone, Copy)]
pub struct NameBuf {
    len: u8,
    bytes: [u8; NAME_MAX],
}

impl NameBuf {
    /// A copy of `name`. ENAMETOOLONG above [`NAME_MAX`].
    pub fn new(name: &[u8]) -> Result<Self> {
        let len = u8::try_from(name.len()).map_err(|_| Errno::ENAMETOOLONG)?;
        let mut bytes = [0; NAME_MAX];
        bytes[..name.len()].copy_from_slice(name);
        Ok(NameBuf { len, bytes })
    }
}

impl Deref for NameBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl PartialEq for NameBuf {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl Eq for NameBuf {}

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
