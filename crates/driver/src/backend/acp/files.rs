//! Text files that an agent reads and writes through the driver: only beneath the directories of its session, whatever links
//! there are. A path is resolved first, and then opened component by component without following any link, so that a link
//! that is put there meanwhile leads nowhere.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;

use super::client::Refusal;
use crate::ErrorInfo;
use crate::backend::options::MALFORMED;

/// Most bytes of a file.
const MAX_FILE: u64 = 10 << 20;

/// The directories of a session, resolved.
#[derive(Debug)]
pub(super) struct Roots(Vec<PathBuf>);

fn refused(errno: Errno) -> Refusal {
    match errno {
        Errno::NOENT | Errno::NOTDIR => Refusal::missing("no such file"),
        Errno::LOOP | Errno::MLINK => Refusal::params("the path leads over a link"),
        other => Refusal::failed(std::io::Error::from(other).to_string()),
    }
}

fn unresolved(error: &std::io::Error) -> Refusal {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Refusal::missing("no such file"),
        _ => Refusal::failed(error.to_string()),
    }
}

/// A place beneath a root: the root, and the names that lead there.
struct Place {
    root: PathBuf,
    names: Vec<OsString>,
}

impl Place {
    /// Opens the directory that the first names lead to; makes those that are missing, if that is wanted.
    fn parent(&self, make: bool) -> Result<(OwnedFd, Option<&OsStr>), Refusal> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let mut directory = openat(CWD, &self.root, flags, Mode::empty()).map_err(refused)?;
        let Some((last, before)) = self.names.split_last() else { return Ok((directory, None)) };
        for name in before {
            directory = match openat(&directory, name, flags, Mode::empty()) {
                Err(Errno::NOENT) if make => {
                    match mkdirat(&directory, name, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(refused(errno)),
                    }
                    openat(&directory, name, flags, Mode::empty())
                }
                opened => opened,
            }
            .map_err(refused)?;
        }
        Ok((directory, Some(last)))
    }

    /// Opens the file itself.
    fn open(&self, flags: OFlags, make: bool) -> Result<File, Refusal> {
        let (directory, name) = self.parent(make)?;
        let name = name.ok_or_else(|| Refusal::params("the path is a directory"))?;
        // Not to wait for the other end of a pipe.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&directory, name, flags, Mode::from_raw_mode(0o666)).map_err(refused)?;
        let stat = fstat(&file).map_err(refused)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Refusal::params("the path is no file"));
        }
        Ok(File::from(file))
    }
}

impl Roots {
    /// The working directory and more; of those, what is not there is left out.
    ///
    /// # Errors
    /// `driver.provider_options_malformed`: the working directory is not there.
    pub(super) fn of(cwd: &str, more: &[String]) -> Result<Self, ErrorInfo> {
        let resolved = std::fs::canonicalize(cwd).map_err(|error| {
            ErrorInfo::new(MALFORMED, format!("`clientFiles`: the working directory cannot be used: {error}"))
        })?;
        let mut roots = vec![resolved];
        roots.extend(more.iter().filter_map(|path| std::fs::canonicalize(path).ok()));
        Ok(Roots(roots))
    }

    /// The place of a path, which need not be there to its end.
    fn place(&self, path: &str) -> Result<Place, Refusal> {
        let path = Path::new(path);
        let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !path.is_absolute() || !plain {
            return Err(Refusal::params("the path is not absolute, or goes up"));
        }
        let mut rest = Vec::new();
        let mut known = path;
        let resolved = loop {
            match std::fs::canonicalize(known) {
                Ok(resolved) => break resolved,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let (Some(parent), Some(name)) = (known.parent(), known.file_name()) else {
                        return Err(unresolved(&error));
                    };
                    rest.push(name.to_owned());
                    known = parent;
                }
                Err(error) => return Err(unresolved(&error)),
            }
        };
        for root in &self.0 {
            if let Ok(beneath) = resolved.strip_prefix(root) {
                let mut names: Vec<OsString> = beneath.iter().map(OsStr::to_owned).collect();
                names.extend(rest.into_iter().rev());
                return Ok(Place { root: root.clone(), names });
            }
        }
        Err(Refusal::params("the path is outside of the session's directories"))
    }

    /// Reads a text, or `limit` lines of it from `line`, which counts from 1.
    pub(super) fn read(&self, path: &str, line: Option<u64>, limit: Option<u64>) -> Result<String, Refusal> {
        let file = self.place(path)?.open(OFlags::RDONLY, false)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Refusal::failed(error.to_string()))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(Refusal::failed(format!("the file is larger than {MAX_FILE} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| Refusal::failed("the file is no UTF-8 text"))?;
        if line.is_none() && limit.is_none() {
            return Ok(text);
        }
        let from = usize::try_from(line.unwrap_or(1).saturating_sub(1)).unwrap_or(usize::MAX);
        let count = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        Ok(text.split_inclusive('\n').skip(from).take(count).collect())
    }

    /// Writes a text, with the directories that lead there.
    pub(super) fn write(&self, path: &str, text: &str) -> Result<(), Refusal> {
        if text.len() as u64 > MAX_FILE {
            return Err(Refusal::failed(format!("the text is larger than {MAX_FILE} bytes")));
        }
        // Emptied only once it is known to be a file.
        let mut file = self.place(path)?.open(OFlags::WRONLY | OFlags::CREATE, true)?;
        let written = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(|error| Refusal::failed(error.to_string()))
    }

    /// Whether a path is a directory of the session.
    pub(super) fn directory(&self, path: &str) -> Result<(), Refusal> {
        let mut place = self.place(path)?;
        // All names are of directories.
        place.names.push(OsString::new());
        place.parent(false).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use agentos_acp::envelope::code::{INVALID_PARAMS, NOT_FOUND};

    use super::*;

    /// Two directories beside each other, the first of which is a root.
    fn tree() -> (tempfile::TempDir, Roots, String, String) {
        let all = tempfile::tempdir().unwrap();
        let (inside, outside) = (all.path().join("in"), all.path().join("out"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("secret"), "s").unwrap();
        let [inside, outside] = [inside, outside].map(|path| path.to_str().unwrap().to_owned());
        let roots = Roots::of(&inside, &["/no/such/directory".to_owned()]).unwrap();
        (all, roots, inside, outside)
    }

    #[test]
    fn a_text_is_written_with_its_directories_and_read_by_lines() {
        let (_all, roots, inside, _) = tree();
        let path = format!("{inside}/a/b/c.txt");
        roots.write(&path, "1\n2\n3\n4").unwrap();
        assert_eq!(roots.read(&path, None, None).unwrap(), "1\n2\n3\n4");
        assert_eq!(roots.read(&path, Some(2), Some(2)).unwrap(), "2\n3\n");
        assert_eq!(roots.read(&path, Some(4), None).unwrap(), "4");
        assert_eq!(roots.read(&path, Some(9), Some(u64::MAX)).unwrap(), "");
        roots.write(&path, "x").unwrap();
        assert_eq!(roots.read(&path, Some(0), None).unwrap(), "x");
        assert!(roots.directory(&inside).is_ok() && roots.directory(&format!("{inside}/a")).is_ok());
        assert!(roots.directory(&path).is_err());
    }

    #[test]
    fn nothing_outside_is_reached_over_links_or_upwards() {
        let (_all, roots, inside, outside) = tree();
        symlink(&outside, format!("{inside}/dir")).unwrap();
        symlink(format!("{outside}/secret"), format!("{inside}/file")).unwrap();
        symlink(format!("{outside}/new"), format!("{inside}/dangling")).unwrap();
        symlink(format!("{inside}/real"), format!("{inside}/good")).unwrap();
        std::fs::write(format!("{inside}/real"), "r").unwrap();
        for path in [
            format!("{outside}/secret"),
            format!("{inside}/dir/secret"),
            format!("{inside}/file"),
            format!("{inside}/../out/secret"),
            "secret".to_owned(),
            String::new(),
        ] {
            assert_eq!(roots.read(&path, None, None).unwrap_err().code, INVALID_PARAMS, "{path}");
            assert_eq!(roots.write(&path, "w").unwrap_err().code, INVALID_PARAMS, "{path}");
        }
        assert!(roots.write(&format!("{inside}/dangling"), "w").is_err());
        assert!(!Path::new(&format!("{outside}/new")).exists());
        assert_eq!(std::fs::read_to_string(format!("{outside}/secret")).unwrap(), "s");
        // A link that stays inside is followed.
        assert_eq!(roots.read(&format!("{inside}/good"), None, None).unwrap(), "r");
        assert_eq!(roots.read(&format!("{inside}/none"), None, None).unwrap_err().code, NOT_FOUND);
        assert_eq!(roots.read(&inside, None, None).unwrap_err().code, INVALID_PARAMS);
        assert!(roots.directory(&outside).is_err());
    }
}
