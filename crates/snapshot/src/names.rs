//! Names of entries as paths of a tree. A name never leads out of the tree, and no path is longer than a reader takes.

use agentos_vfs::NAME_MAX;

use crate::{ExportError, ImportError};

/// The longest path of an entry, in bytes. Guests can make longer ones, step by step.
pub(crate) const PATH_BYTES: usize = 64 << 10;

/// The absolute path that a name of an archive means: relative names count from the root. `/` for the root itself.
pub(crate) fn absolute(name: &[u8]) -> Result<Vec<u8>, ImportError> {
    let wrong = |reason: &str| Err(ImportError::entry(name, reason));
    if name.len() > PATH_BYTES {
        return wrong("the path has more than 65,536 bytes");
    }
    if name.contains(&0) {
        return wrong("the path contains NUL");
    }
    let mut path = Vec::with_capacity(name.len() + 1);
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return wrong("the path contains `..`"),
            _ => {
                path.push(b'/');
                path.extend_from_slice(part);
            }
        }
    }
    if path.is_empty() {
        path.push(b'/');
    }
    Ok(path)
}

/// Refuses components that no directory takes. For paths that [`absolute`] made.
pub(crate) fn check(path: &[u8]) -> Result<(), ImportError> {
    if path.split(|&byte| byte == b'/').any(|part| part.len() > NAME_MAX) {
        return Err(ImportError::entry(path, "a name in it has more than 255 bytes"));
    }
    Ok(())
}

/// Refuses a path that [`absolute`] would not take back.
pub(crate) fn fits(path: &[u8]) -> Result<(), ExportError> {
    if path.len() <= PATH_BYTES {
        return Ok(());
    }
    let path = String::from_utf8_lossy(&path[..256]).into_owned();
    Err(ExportError::Path { path, reason: "a snapshot has paths of at most 65,536 bytes".to_owned() })
}

/// Directory and last component of a path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for (name, path) in [
            ("a", "/a"),
            ("./a/b/", "/a/b"),
            ("/etc//x", "/etc/x"),
            ("./", "/"),
            ("", "/"),
            ("a..b", "/a..b"),
        ] {
            assert_eq!(absolute(name.as_bytes()).unwrap(), path.as_bytes());
        }
        for name in ["..", "../x", "a/../../x", "/..", "a/..", "a\0b"] {
            assert!(absolute(name.as_bytes()).is_err(), "{name}");
        }
        assert!(absolute(&[b'x'; PATH_BYTES + 1]).is_err());
        assert!(check(&[&b"/"[..], &[b'x'; 256]].concat()).is_err());
        assert_eq!(split(b"/a/b"), (&b"/a"[..], &b"b"[..]));
        assert_eq!(split(b"/a"), (&b""[..], &b"a"[..]));
    }
}
