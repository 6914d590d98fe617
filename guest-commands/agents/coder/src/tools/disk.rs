//! The files of the machine: what may be read as text and what may be replaced. Errors are for the model.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

/// Largest file that is read or edited, in bytes.
pub(crate) const MAX_FILE: u64 = 10 << 20;

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {}", path.display(), agentos_guest::strerror(error))
}

/// What is at a path; `None` if nothing is.
pub(crate) fn at(path: &Path) -> Result<Option<fs::Metadata>, String> {
    match fs::metadata(path) {
        Ok(about) => Ok(Some(about)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Whether what is at a path may be read as text.
pub(crate) fn may_read(path: &Path, about: &fs::Metadata) -> Result<(), String> {
    if about.is_dir() {
        return Err(format!("{} is a directory; use glob or bash to look into it", path.display()));
    }
    if !about.is_file() {
        return Err(format!("{} is no regular file", path.display()));
    }
    is_short(path, about.len())
}

/// Whether what is at a path may be replaced by a file.
pub(crate) fn may_replace(path: &Path, about: &fs::Metadata) -> Result<(), String> {
    if about.is_dir() {
        return Err(format!("{} is a directory", path.display()));
    }
    // To open a FIFO is to wait for who reads it.
    if !about.is_file() {
        return Err(format!("{} is no regular file", path.display()));
    }
    Ok(())
}

fn is_short(path: &Path, size: u64) -> Result<(), String> {
    if size <= MAX_FILE {
        return Ok(());
    }
    Err(format!(
        "{} has {size} bytes; files of at most {} MiB are read: look at a part of it with bash or grep",
        path.display(),
        MAX_FILE >> 20,
    ))
}

/// The text that a file has, if it is one and not too long.
pub(crate) fn as_text(path: &Path, bytes: Vec<u8>) -> Result<String, String> {
    is_short(path, bytes.len() as u64)?;
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(format!(
            "{} is no text (UTF-8); look at it with bash, as with file, od or strings",
            path.display()
        )),
    }
}

/// Reads a text file.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    let about = fs::metadata(path).map_err(|e| failed(path, &e))?;
    may_read(path, &about)?;
    let mut bytes = Vec::new();
    // It may have grown since.
    let file = fs::File::open(path).map_err(|e| failed(path, &e))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|e| failed(path, &e))?;
    as_text(path, bytes)
}

/// Makes or replaces a file, and the directories above it.
pub(crate) fn write(path: &Path, content: &str) -> Result<(), String> {
    if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
        fs::create_dir_all(parent)
            .map_err(|e| format!("make {}: {}", parent.display(), agentos_guest::strerror(&e)))?;
    }
    fs::write(path, content).map_err(|e| format!("write {}: {}", path.display(), agentos_guest::strerror(&e)))
}
