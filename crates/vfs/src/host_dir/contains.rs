//! Whether one host directory lies in another, by (device, inode): names, links and bind mounts do not hide it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether `inner` is `outer` or lies below it. Where `inner` does not exist yet, its nearest existing ancestor counts.
///
/// The sidecar refuses mounts for which either direction is true with its cache, socket or persistence directory.
/// Errors are those of looking at either path.
///
/// ```no_run
/// use std::path::Path;
/// use agentos_vfs::host_dir::contains;
/// assert!(contains(Path::new("/var"), Path::new("/var/cache"))?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn contains(outer: &Path, inner: &Path) -> io::Result<bool> {
    let outer = outer.metadata()?;
    let mut at = inner;
    // Canonical first: the parents of a link are not the parents of its target.
    let real = loop {
        match at.canonicalize() {
            Ok(real) => break real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => match at.parent() {
                Some(parent) if parent != Path::new("") => at = parent,
                Some(_) => break Path::new(".").canonicalize()?,
                None => return Err(error),
            },
            Err(error) => return Err(error),
        }
    };
    for ancestor in real.ancestors() {
        let found = ancestor.metadata()?;
        if found.dev() == outer.dev() && found.ino() == outer.ino() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_identity_not_by_name() {
        let temp = tempfile::tempdir().unwrap();
        let (a, b) = (temp.path().join("a"), temp.path().join("a/b"));
        std::fs::create_dir_all(&b).unwrap();
        let link = temp.path().join("link");
        std::os::unix::fs::symlink(&b, &link).unwrap();
        assert!(contains(&a, &a).unwrap());
        assert!(contains(&a, &b).unwrap());
        assert!(contains(&a, &link).unwrap());
        assert!(contains(&link, &b).unwrap());
        assert!(contains(&a, &a.join("not/there/yet")).unwrap());
        assert!(!contains(&b, &a).unwrap());
        assert!(!contains(&b, &temp.path().join("ab")).unwrap());
        assert!(contains(&temp.path().join("missing"), &a).is_err());
    }
}
