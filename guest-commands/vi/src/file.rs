//! Files: reading, and writing so that the old or the new content is there whatever happens. It knows no text.

use agentos_guest::fs::{FileType, access, chmod, file_type, lstat, stat};
use agentos_guest::{strerror, user};
use std::io::{Error, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// When a file was changed, and how large it is.
pub(crate) fn stamp(path: &str) -> Option<(i64, u32, u64)> {
    stat(path).ok().map(|s| (s.mtime, s.mtime_nsec, s.size))
}

/// Whether a file may be written; one that does not exist is not asked about its directory.
pub(crate) fn read_only(path: &str) -> bool {
    stat(path).is_ok_and(|s| {
        file_type(s.mode) == FileType::File && (s.mode & 0o222 == 0 || access(path, 2).is_err())
    })
}

/// Reads a file. A directory is an error, and what never ends is cut.
pub(crate) fn read(path: &str) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let kind = stat(path)?;
    if file_type(kind.mode) == FileType::Dir {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(kind.size).unwrap_or(0).min(1 << 28));
    std::fs::File::open(path)?.take(1 << 31).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What writes the content of a file; how many bytes it were.
pub(crate) type Content<'a> = &'a dyn Fn(&mut dyn Write) -> std::io::Result<u64>;

/// Writes a file: as another one that takes its name. Where that would make something else of it (links, owners, no right to the
/// directory) it is written in place.
pub(crate) fn save(path: &Path, content: Content<'_>) -> Result<u64, String> {
    let before = lstat(path).ok();
    let simple = before.as_ref().is_none_or(|s| {
        file_type(s.mode) == FileType::File
            && s.nlink == 1
            && s.uid == user::geteuid()
            && s.gid == user::getegid()
    });
    if simple && before.is_some() {
        let spare = beside(path, &format!("{}.new", agentos_guest::process::id()));
        let mode = before.as_ref().map_or(0o644, |s| s.mode & 0o7777);
        match write_new(&spare, content, mode).and_then(|n| std::fs::rename(&spare, path).map(|()| n)) {
            Ok(size) => return Ok(size),
            Err(error) => {
                // What is left of the attempt is ours.
                let _ = std::fs::remove_file(&spare);
                // A full disk would be as full in place, and the old content would be gone.
                if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                    return Err(strerror(&error));
                }
            }
        }
    }
    in_place(path, content).map_err(|e| strerror(&e))
}

fn write_new(path: &Path, content: Content<'_>, mode: u32) -> std::io::Result<u64> {
    let mut file = std::fs::File::options().write(true).create_new(true).open(path)?;
    let size = content(&mut file)?;
    chmod(path, mode)?;
    // What cannot be synchronised, such as a file in memory, is as safe as it gets.
    let _ = file.sync_all();
    Ok(size)
}

fn in_place(path: &Path, content: Content<'_>) -> std::io::Result<u64> {
    let kind = std::fs::metadata(path).ok();
    let regular = kind.as_ref().is_none_or(std::fs::Metadata::is_file);
    let old = match &kind {
        Some(m) if m.is_file() => std::fs::read(path).ok(),
        _ => None,
    };
    let mut file = std::fs::File::options().write(true).create(true).truncate(false).open(path)?;
    let result = content(&mut file).and_then(|n| if regular { file.set_len(n).map(|()| n) } else { Ok(n) });
    if result.is_err()
        && let Some(old) = old
    {
        // The old content comes back as far as the disk lets it.
        let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&old));
        let _ = file.set_len(old.len() as u64);
    }
    result
}

/// Adds to a file.
pub(crate) fn append(path: &str, content: Content<'_>) -> std::io::Result<u64> {
    content(&mut std::fs::File::options().append(true).create(true).open(path)?)
}

/// A hidden name in the same directory.
fn beside(path: &Path, end: &str) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    dir.join(format!(".{name}.{end}"))
}

/// Where a text that was not written is kept.
pub(crate) fn kept_as(name: Option<&str>) -> PathBuf {
    beside(Path::new(name.unwrap_or("")), "kept")
}

/// Keeps a text that was not written; where.
pub(crate) fn keep(name: Option<&str>, content: Content<'_>) -> Result<PathBuf, Error> {
    let near = kept_as(name);
    // An older one may be the only copy of something: it is not overwritten.
    let first = std::iter::once(near.clone()).chain((1..20).map(|n| near.with_extension(format!("kept{n}"))));
    let temp = agentos_guest::env::temp_dir();
    let far = (0..20).map(|n| temp.join(format!("vi-{}-{n}.kept", agentos_guest::process::id())));
    let mut last = ErrorKind::AlreadyExists.into();
    for path in first.chain(far) {
        match write_new(&path, content, 0o600) {
            Ok(_) => return Ok(path),
            Err(e) => last = e,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(path: &Path, bytes: &[u8]) -> Result<u64, String> {
        super::save(path, &|out| out.write_all(bytes).map(|()| bytes.len() as u64))
    }

    #[test]
    fn a_write_that_fails_leaves_the_file() {
        let dir = agentos_guest::env::temp_dir().join(format!("vi-test-{}", agentos_guest::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("f");
        std::fs::write(&file, "old").unwrap();
        chmod(&file, 0o640).unwrap();
        save(&file, b"new\n").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new\n");
        assert_eq!(stat(&file).unwrap().mode & 0o777, 0o640);
        std::fs::hard_link(&file, dir.join("g")).unwrap();
        save(&file, b"newer\n").unwrap();
        assert_eq!(std::fs::read(dir.join("g")).unwrap(), b"newer\n");
        assert!(save(&dir.join("no/such"), b"x").is_err());
        assert!(save(Path::new("/dev/full"), b"x").is_err());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
