//! A directory of the host that the machine has, as the editor knows it: by its path. The machine holds the directory itself, whatever
//! becomes of its path; so before a path goes to the editor it is looked whether it still leads to the same file.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A directory and how it is spelled.
#[derive(Clone, Debug)]
pub(super) struct HostPath {
    said: String,
    /// Without links.
    real: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|about| (about.dev(), about.ino()))
}

impl HostPath {
    /// The directory that is at a path now.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let said = std::path::absolute(path)?;
        let said = said.to_str().ok_or_else(|| io::Error::other("the path is not UTF-8"))?.to_owned();
        let real = path.canonicalize()?;
        Ok(HostPath { identity: identity(&real)?, said, real })
    }

    /// As it was said.
    pub(super) fn said(&self) -> &str {
        &self.said
    }

    /// Whether a path that begins in it leads to a place outside of it: `leads_to` is that without links.
    pub(super) fn is_left_by(&self, path: &Path, leads_to: &Path) -> bool {
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        let begins = path.starts_with(&self.said)
            || path.starts_with(&self.real)
            || parent.is_some_and(|parent| parent.starts_with(&self.real));
        begins && !leads_to.starts_with(&self.real)
    }

    /// The path of a file in it; nothing if it is none that can be said. It holds for as long as names are held in the machine.
    ///
    /// # Errors
    /// Another directory is there by now, or a link is on the way: the editor would open something else than what is meant.
    pub(super) fn file(&self, beneath: &Path) -> Result<Option<String>, String> {
        let elsewhere = || format!("{}: another file than that of the machine is there now", self.said);
        let target = Path::new(&self.said).join(beneath);
        let (Some(parent), Some(inner)) = (target.parent(), beneath.parent()) else { return Ok(None) };
        let is_there = identity(&self.real).is_ok_and(|now| now == self.identity)
            && parent.canonicalize().is_ok_and(|parent| parent == self.real.join(inner));
        let is_itself = match fs::symlink_metadata(&target) {
            Ok(about) => !about.is_symlink(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        if is_there && is_itself { Ok(target.to_str().map(str::to_owned)) } else { Err(elsewhere()) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_that_leads_out_is_known() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        for name in ["p/sub", "secret/deep"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        symlink("../secret", root.join("p/link")).unwrap();
        symlink("sub", root.join("p/inside")).unwrap();
        symlink("p", root.join("mine")).unwrap();
        let known = HostPath::new(&root.join("mine")).unwrap();
        for (path, is_left) in [
            ("p/sub", false),
            ("p/inside", false),
            ("p/link", true),
            ("p/link/deep", true),
            ("mine/link", true),
            ("mine/link/deep", true),
            ("secret", false),
        ] {
            let path = root.join(path);
            assert_eq!(known.is_left_by(&path, &path.canonicalize().unwrap()), is_left, "{}", path.display());
        }
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_not_given_away() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        for name in ["outer/inner/deep", "secret/deep"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        for name in ["outer/inner/file", "outer/inner/deep/file", "secret/file", "secret/deep/file"] {
            fs::write(root.join(name), "").unwrap();
        }
        symlink(root.join("outer"), root.join("mine")).unwrap();
        let said = root.join("mine/inner");
        let inner = HostPath::new(&said).unwrap();
        let path = |beneath: &str| inner.file(Path::new(beneath));
        // The user's own links are the user's.
        assert_eq!(path("file").unwrap().unwrap(), said.join("file").to_str().unwrap());
        assert!(path("deep/new").unwrap().is_some());
        assert!(path("none/new").is_err(), "its directory is not there");
        symlink(root.join("secret/file"), said.join("link")).unwrap();
        assert!(path("link").unwrap_err().contains("another file"));
        fs::rename(said.join("deep"), said.join("away")).unwrap();
        symlink(root.join("secret/deep"), said.join("deep")).unwrap();
        assert!(path("deep/file").is_err());
        // The directory itself is another one.
        fs::rename(root.join("outer/inner"), root.join("outer/before")).unwrap();
        assert!(path("file").is_err());
        symlink(root.join("secret"), root.join("outer/inner")).unwrap();
        assert!(path("file").is_err());
        fs::remove_file(root.join("outer/inner")).unwrap();
        fs::create_dir(root.join("outer/inner")).unwrap();
        assert!(path("file").is_err());
        fs::remove_dir(root.join("outer/inner")).unwrap();
        fs::rename(root.join("outer/before"), root.join("outer/inner")).unwrap();
        assert!(path("file").unwrap().is_some());
    }
}
