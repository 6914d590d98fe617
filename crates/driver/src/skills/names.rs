//! Names in archives of skills: which there may be, and which are the same to some file system. It looks at no file.

use std::collections::HashMap;

/// The file that makes a skill.
pub(super) const SKILL: &str = "SKILL.md";
/// What may lie beside it.
const DIRECTORIES: [&str; 3] = ["assets", "references", "scripts"];
/// Most bytes of a path, and of one of its segments.
const MAX_PATH: usize = 1024;
const MAX_SEGMENT: usize = 255;

/// Segments that no skill may have, at any depth, as [`plain`] makes them.
const RESERVED: [&str; 15] = [
    "--proto--",
    "constructor",
    "prototype",
    "credential",
    "credentials",
    "private",
    "provenance",
    "runtime-state",
    "secret",
    "secrets",
    "session",
    "sessions",
    "token",
    "tokens",
    "vault",
];
/// Endings of keys.
const RESERVED_ENDINGS: [&str; 2] = [".key", ".pem"];

/// A name as one that does not tell capitals from small letters has it.
pub(super) fn folded(name: &str) -> String {
    // Three steps, as some letters have several small or capital forms.
    name.to_lowercase().to_uppercase().to_lowercase()
}

/// As reserved names are compared.
fn plain(segment: &str) -> String {
    folded(segment).replace('_', "-")
}

fn check_segment(segment: &str) -> Result<(), &'static str> {
    if matches!(segment, "" | "." | "..") {
        return Err("its name has an empty segment, or one of . and ..");
    }
    if segment.len() > MAX_SEGMENT {
        return Err("its name is too long");
    }
    if segment.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
        return Err("its name has control characters, or such as are none");
    }
    let plain = plain(segment);
    let key = RESERVED_ENDINGS.iter().any(|ending| plain.ends_with(ending));
    if segment.starts_with('.') || key || RESERVED.contains(&plain.as_str()) {
        return Err("its name is reserved");
    }
    Ok(())
}

/// The path that a name in an archive stands for, and whether that is a directory.
pub(super) fn path(name: &[u8]) -> Result<(String, bool), &'static str> {
    let name = std::str::from_utf8(name).map_err(|_| "its name is not UTF-8")?;
    if name.len() > MAX_PATH {
        return Err("its name is too long");
    }
    let name = name.replace('\\', "/");
    let (path, directory) = match name.strip_suffix('/') {
        Some(path) => (path, true),
        None => (name.as_str(), false),
    };
    path.split('/').try_for_each(check_segment)?;
    let allowed = match path.split_once('/') {
        None if directory => DIRECTORIES.contains(&path),
        None => path == SKILL,
        Some((top, _)) => DIRECTORIES.contains(&top),
    };
    if allowed {
        Ok((path.to_owned(), directory))
    } else {
        Err("only SKILL.md, assets, references and scripts may be at the top")
    }
}

/// The paths of an archive, by their folded form.
#[derive(Default)]
pub(super) struct Names(HashMap<String, Seen>);

struct Seen {
    path: String,
    directory: bool,
    /// It has an entry of its own; a directory need not have one.
    listed: bool,
}

impl Names {
    /// Takes one more path, unless it is that of another.
    pub(super) fn admit(&mut self, path: &str, directory: bool) -> Result<(), &'static str> {
        for (at, _) in path.match_indices('/') {
            self.note(path.get(..at).unwrap_or_default(), true, false)?;
        }
        self.note(path, directory, true)
    }

    fn note(&mut self, path: &str, directory: bool, listed: bool) -> Result<(), &'static str> {
        let new = Seen { path: path.to_owned(), directory, listed };
        let seen = self.0.entry(folded(path)).or_insert(Seen { listed: false, ..new });
        if seen.path != path {
            return Err("it differs from another in capitals alone");
        }
        if seen.directory != directory {
            return Err("it is a file and a directory at once");
        }
        if seen.listed && listed {
            return Err("it is there twice");
        }
        seen.listed |= listed;
        Ok(())
    }

    /// Whether there is this file.
    pub(super) fn has_file(&self, path: &str) -> bool {
        self.0.get(&folded(path)).is_some_and(|seen| seen.path == path && !seen.directory)
    }
}
