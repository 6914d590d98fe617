//! Whether one host directory lies in another, by (device, inode): names and links do not hide it. A directory that the
//! operator has bound to a second place is judged by that place.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, CWD, Mode, OFlags};

use super::attr::identity;
use super::table::Identity;

const HANDLE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn of(fd: impl AsFd) -> io::Result<Identity> {
    Ok(identity(&fs::fstat(fd)?))
}

/// Whether `inner` is `outer` or lies below it. Where `inner` does not exist yet, its nearest existing ancestor counts.
/// Errors are those of looking at either path.
///
/// ```no_run
/// use std::path::Path;
/// use agentos_vfs::host_dir::contains;
/// assert!(contains(Path::new("/var"), Path::new("/var/cache"))?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn contains(outer: &Path, inner: &Path) -> io::Result<bool> {
    lies_in(directory(inner)?, of(fs::openat(CWD, outer, HANDLE, Mode::empty())?)?)
}

/// Whether an open directory contains the one at `path`, or is it.
pub(super) fn shows(open: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
    lies_in(directory(path)?, of(open)?)
}

/// Whether an open directory contains the one at `path`, or lies in it, or is it.
pub(super) fn overlaps(open: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
    let there = directory(path)?;
    let other = of(&there)?;
    Ok(lies_in(there, of(open)?)? || lies_in(fs::openat(open, c".", HANDLE, Mode::empty())?, other)?)
}

/// The directory at `path`, or the nearest that exists above it.
fn directory(path: &Path) -> io::Result<OwnedFd> {
    let mut at = path;
    loop {
        match fs::openat(CWD, at, HANDLE, Mode::empty()) {
            Ok(directory) => return Ok(directory),
            Err(rustix::io::Errno::NOENT) => match at.parent() {
                Some(parent) if parent != Path::new("") => at = parent,
                Some(_) => at = Path::new("."),
                None => return Err(rustix::io::Errno::NOENT.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
}

/// Goes up by `..` and not by names: nobody can swap a name meanwhile.
fn lies_in(mut inner: OwnedFd, outer: Identity) -> io::Result<bool> {
    let mut here = of(&inner)?;
    loop {
        if here == outer {
            return Ok(true);
        }
        inner = fs::openat(&inner, c"..", HANDLE, Mode::empty())?;
        let above = of(&inner)?;
        if above == here {
            return Ok(false);
        }
        here = above;
    }
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
