//! Directories on disk of which no name is ever followed through a link. Each step opens one name below a handle; what is
//! above the directory that was opened first is its owner's matter.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// The deepest tree that is removed: each level holds a handle.
const MAX_DEPTH: usize = 128;
/// Names that are read before they are removed.
const AT_ONCE: usize = 512;
/// How often names are read again.
const MAX_ROUNDS: usize = 4096;

/// Modes of what is written.
pub(super) const PLAIN: Mode = Mode::from_raw_mode(0o644);
/// Those of programs and directories.
pub(super) const EXECUTABLE: Mode = Mode::from_raw_mode(0o755);

/// An open directory.
#[derive(Debug)]
pub(super) struct Dir(OwnedFd);

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Dir {
    /// Opens the one below which no link is followed.
    pub(super) fn open(path: &Path) -> io::Result<Dir> {
        Ok(Dir(fs::open(path, OPEN, Mode::empty())?))
    }

    /// Opens a directory in it. A link is an error.
    pub(super) fn at(&self, name: impl Arg) -> io::Result<Dir> {
        Ok(Dir(fs::openat(&self.0, name, OPEN | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// Opens a directory in it, and makes it if it is missing.
    pub(super) fn make(&self, name: &str) -> io::Result<Dir> {
        match self.create(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.at(name),
            made => made,
        }
    }

    /// Makes a directory that must not be there yet.
    pub(super) fn create(&self, name: &str) -> io::Result<Dir> {
        fs::mkdirat(&self.0, name, EXECUTABLE)?;
        let made = self.at(name)?;
        // Whatever the mask of the process takes away.
        fs::fchmod(&made.0, EXECUTABLE)?;
        Ok(made)
    }

    /// Writes a file that must not be there yet.
    pub(super) fn write(&self, name: &str, bytes: &[u8], mode: Mode) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(fs::openat(&self.0, name, flags, PLAIN)?);
        file.write_all(bytes)?;
        fs::fchmod(&file, mode)?;
        Ok(())
    }

    /// Reads a regular file of at most `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        // Of a pipe nobody may write to.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(fs::openat(&self.0, name, flags, Mode::empty())?);
        let attributes = file.metadata()?;
        if !attributes.is_file() || attributes.len() > limit {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What a name is, itself; nothing if it is not there.
    pub(super) fn kind(&self, name: impl Arg) -> io::Result<Option<FileType>> {
        match fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives something another name in it. A file takes the place of a file.
    pub(super) fn rename(&self, from: impl Arg, to: impl Arg) -> io::Result<()> {
        Ok(fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a name and all below it. A link is removed, not what it leads to.
    pub(super) fn remove(&self, name: &CStr) -> io::Result<()> {
        self.remove_below(name, MAX_DEPTH)
    }

    fn remove_below(&self, name: &CStr, depth: usize) -> io::Result<()> {
        match fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Err(io::Error::other("directories are nested too deep"));
        };
        let directory = self.at(name)?;
        // Somebody may fill it meanwhile, but not for ever.
        for _ in 0..MAX_ROUNDS {
            let names = directory.names(AT_ONCE)?;
            if names.is_empty() {
                break;
            }
            for name in names {
                directory.remove_below(&name, depth)?;
            }
        }
        Ok(fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// At most this many of the names in it.
    pub(super) fn names(&self, most: usize) -> io::Result<Vec<CString>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            if names.len() == most {
                break;
            }
            names.push(entry.file_name().to_owned());
        }
        Ok(names)
    }

    /// Takes it for this handle alone, as long as that is open; whether it was free. File systems that have no locks say yes.
    pub(super) fn lock(&self) -> bool {
        !matches!(fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK))
    }
}
