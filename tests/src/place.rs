//! A folder to mount, and secrets beside it that no machine may see or change.

use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use agentos::MountConfig;

/// What is in the files beside the mount.
pub const SECRET: &str = "never seen inside";

/// The folder `mounted` is for a machine; `secret` and `outside/secret` are not.
#[derive(Debug)]
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A new one.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place { folder };
        for directory in ["mounted", "outside"] {
            std::fs::create_dir(place.path(directory)).expect("a folder");
        }
        for file in ["secret", "outside/secret"] {
            std::fs::write(place.path(file), SECRET).expect("a file");
            let mode = std::fs::Permissions::from_mode(0o640);
            std::fs::set_permissions(place.path(file), mode).expect("its mode");
        }
        place
    }

    /// Something in the folder.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is mounted.
    #[must_use]
    pub fn inside(&self) -> PathBuf {
        self.path("mounted")
    }

    /// What is not.
    #[must_use]
    pub fn outside(&self) -> PathBuf {
        self.path("outside")
    }

    /// The mount, at `/m`.
    #[must_use]
    pub fn mount(&self, read_only: bool) -> MountConfig {
        MountConfig::host_dir("/m", self.inside().to_string_lossy(), read_only)
    }

    /// Looks whether all beside the mount is as it was made.
    pub fn check(&self) {
        for file in ["secret", "outside/secret"] {
            assert_eq!(std::fs::read_to_string(self.path(file)).expect("the secret"), SECRET, "{file}");
            let mode = std::fs::metadata(self.path(file)).expect("the secret").mode();
            assert_eq!(mode & 0o7777, 0o640, "{file}");
        }
        for (directory, names) in [("", &["mounted", "outside", "secret"][..]), ("outside", &["secret"])] {
            let all = std::fs::read_dir(self.path(directory)).expect("a folder");
            let mut all: Vec<OsString> = all.flatten().map(|entry| entry.file_name()).collect();
            all.sort();
            assert_eq!(all, names, "something was made in {directory:?}");
        }
    }
}

/// Fails if there is a secret in what a machine showed.
pub fn not_seen(what: &str, bytes: &[u8]) {
    assert!(!String::from_utf8_lossy(bytes).contains(SECRET), "{what} shows the secret");
}

/// The bytes of all files below a directory, one after the other: what is in none of them is not on the disk.
///
/// # Panics
/// Something there cannot be read.
pub fn bytes_below(directory: &std::path::Path) -> Vec<u8> {
    let (mut bytes, mut places) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(place) = places.pop() {
        if place.is_dir() {
            let entries = std::fs::read_dir(place).expect("a directory of the test");
            places.extend(entries.map(|entry| entry.expect("an entry of it").path()));
        } else {
            bytes.extend(std::fs::read(place).expect("a file of the test"));
        }
    }
    bytes
}
