//! Absolute, normalised paths by construction. They are text only: symbolic links are the walker's.

use std::fmt;

use crate::NAME_MAX;

/// The longest path, in bytes (PATH_MAX without the NUL that C adds).
pub const PATH_MAX: usize = 4095;

/// Why bytes are no [`GuestPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("path {path:?} is not absolute")]
    NotAbsolute {
        /// The path.
        path: String,
    },
    /// It has `.`, `..`, `//` or a trailing slash, where only a normalised path is accepted.
    #[error("path {path:?} is not normalised, write {normalised:?}")]
    NotNormalised {
        /// The path.
        path: String,
        /// What to write.
        normalised: String,
    },
    /// It is longer than [`PATH_MAX`].
    #[error("path of {len} bytes is longer than {PATH_MAX}")]
    TooLong {
        /// Its bytes.
        len: usize,
    },
    /// A component is longer than [`NAME_MAX`].
    #[error("component of {len} bytes is longer than {NAME_MAX}")]
    ComponentTooLong {
        /// The bytes of the component.
        len: usize,
    },
    /// It holds a NUL byte.
    #[error("path holds a NUL byte at {at}")]
    Nul {
        /// Where.
        at: usize,
    },
}

impl From<PathError> for crate::Errno {
    fn from(error: PathError) -> Self {
        match error {
            PathError::NotAbsolute { .. } | PathError::NotNormalised { .. } | PathError::Nul { .. } => {
                crate::Errno::EINVAL
            }
            PathError::TooLong { .. } | PathError::ComponentTooLong { .. } => crate::Errno::ENAMETOOLONG,
        }
    }
}

/// An absolute path without `.`, `..`, empty components or trailing slash, at most [`PATH_MAX`] bytes.
///
/// ```
/// use agentos_vfs::GuestPath;
/// let path = GuestPath::new("/home//agentos/./x/../.profile")?;
/// assert_eq!(path.as_bytes(), b"/home/agentos/.profile");
/// assert!(path.starts_with(&GuestPath::new("/home")?));
/// assert!(GuestPath::new("relative").is_err());
/// # Ok::<(), agentos_vfs::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GuestPath(Box<[u8]>);

impl GuestPath {
    /// Normalises `path`; `..` takes the component before it away, at the root it stays.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let path = path.as_ref();
        if path.len() > PATH_MAX {
            return Err(PathError::TooLong { len: path.len() });
        }
        if path.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute { path: lossy(path) });
        }
        if let Some(at) = path.iter().position(|&byte| byte == 0) {
            return Err(PathError::Nul { at });
        }
        let mut out = Vec::with_capacity(path.len());
        for part in path.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => out.truncate(out.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
                part if part.len() > NAME_MAX => {
                    return Err(PathError::ComponentTooLong { len: part.len() });
                }
                part => {
                    out.push(b'/');
                    out.extend_from_slice(part);
                }
            }
        }
        if out.is_empty() {
            out.push(b'/');
        }
        Ok(GuestPath(out.into()))
    }

    /// Accepts only what is normalised already; one trailing slash is not.
    pub fn strict(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let path = path.as_ref();
        let normal = Self::new(path)?;
        if *normal.0 == *path {
            Ok(normal)
        } else {
            Err(PathError::NotNormalised { path: lossy(path), normalised: lossy(&normal.0) })
        }
    }

    /// `/`.
    #[must_use]
    pub fn root() -> Self {
        GuestPath(Box::from(&b"/"[..]))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/').filter(|part| !part.is_empty())
    }

    /// The last component; `None` for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// The path without its last component; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<GuestPath> {
        let name = self.file_name()?;
        let end = self.0.len() - name.len() - 1;
        Some(GuestPath(Box::from(&self.0[..end.max(1)])))
    }

    /// This path with `relative` appended and normalised.
    pub fn join(&self, relative: impl AsRef<[u8]>) -> Result<Self, PathError> {
        Self::new([self.as_bytes(), b"/", relative.as_ref()].concat())
    }

    /// Whether this is `prefix` or lies below it, component by component.
    #[must_use]
    pub fn starts_with(&self, prefix: &GuestPath) -> bool {
        let prefix = if prefix.0.len() == 1 { &[] } else { &*prefix.0 };
        self.0.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
    }
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

impl AsRef<[u8]> for GuestPath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}
