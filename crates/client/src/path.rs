//! Guest paths, checked once at the edge: absolute and normalised.
//! It does not resolve anything: the file system is in the sidecar.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use agentos_protocol::message::WirePath;

use crate::error::{Error, Result};

/// A guest path for the wire. A slash at the end is dropped.
pub(crate) fn guest_path(path: impl AsRef<Path>) -> Result<WirePath> {
    let path = path.as_ref();
    let bytes = path.as_os_str().as_bytes();
    let shown = || path.to_string_lossy().into_owned();
    let Some(rest) = bytes.strip_prefix(b"/") else {
        return Err(Error::PathNotAbsolute { path: shown() });
    };
    let rest = rest.strip_suffix(b"/").filter(|head| !head.is_empty()).unwrap_or(rest);
    let bad = |part: &[u8]| part.is_empty() || part == b"." || part == b".." || part.contains(&0);
    if !rest.is_empty() && rest.split(|b| *b == b'/').any(bad) {
        return Err(Error::PathNotNormalized { path: shown() });
    }
    let keep = if rest.is_empty() { 1 } else { 1 + rest.len() };
    Ok(WirePath(bytes.get(..keep).unwrap_or(bytes).to_vec()))
}

#[cfg(test)]
mod tests {
    use super::guest_path;
    use crate::error::Error;

    #[test]
    fn paths_are_checked() {
        for (path, kept) in [("/", "/"), ("/a", "/a"), ("/a/b/", "/a/b"), ("/a/...", "/a/...")] {
            assert_eq!(guest_path(path).unwrap(), kept.into());
        }
        for path in ["", "a", "./a", "~"] {
            assert!(matches!(guest_path(path), Err(Error::PathNotAbsolute { .. })), "{path}");
        }
        for path in ["//", "/a//b", "/a/../b", "/.", "/a/.", "/..", "/a\0b"] {
            assert!(matches!(guest_path(path), Err(Error::PathNotNormalized { .. })), "{path}");
        }
    }
}
