//! The tools `read`, `write` and `edit`, wherever the files are.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Shown, disk, edit};

/// Lines that are read at once unless told otherwise, and at most.
const LINES: u64 = 2000;

/// Longest line that is shown, in bytes.
const MAX_LINE: usize = 2000;

/// Bytes that are shown of a file at once.
const MAX_SHOWN: usize = 100_000;

/// Longest texts whose difference is shown to the client, in bytes.
const MAX_DIFF: usize = 256 << 10;

/// A path of the model's, from the working directory of the session.
pub(super) fn absolute(cwd: &str, path: &str) -> PathBuf {
    Path::new(cwd).join(path)
}

/// Why a tool did not do what it was to do.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The connection to the client failed.
    Client(io::Error),
    /// The turn was cancelled; what is to be said of it.
    Cancelled(String),
    /// The error is for the model.
    Failed(String),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Client(error)
    }
}

impl From<String> for Halt {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// What is there before a file is written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) is_there: bool,
    /// Its text, if it can be read.
    pub(crate) text: Option<String>,
}

/// Where files are. Paths are absolute.
pub(crate) trait Files {
    /// The whole text of a file.
    fn text(&mut self, path: &Path) -> Result<String, Halt>;

    /// What is there before a file is written; an error if it may not be replaced.
    fn before(&mut self, path: &Path) -> Result<Before, Halt>;

    /// Makes or replaces a file, and the directories above it.
    fn write(&mut self, path: &Path, content: &str) -> Result<(), Halt>;
}

/// The files of the machine.
#[derive(Debug)]
pub(crate) struct Disk;

impl Files for Disk {
    fn text(&mut self, path: &Path) -> Result<String, Halt> {
        Ok(disk::text(path)?)
    }

    fn before(&mut self, path: &Path) -> Result<Before, Halt> {
        // What cannot even be looked at shows when it is written.
        match disk::at(path) {
            Ok(Some(about)) => disk::may_replace(path, &about)?,
            Ok(None) | Err(_) => return Ok(Before::default()),
        }
        Ok(Before { is_there: true, text: disk::text(path).ok() })
    }

    fn write(&mut self, path: &Path, content: &str) -> Result<(), Halt> {
        Ok(disk::write(path, content)?)
    }
}

/// Lines with their numbers.
pub(crate) fn read(files: &mut impl Files, cwd: &str, input: &Value) -> Result<Shown, Halt> {
    let path = absolute(cwd, super::text(input, "path")?);
    let offset = super::number(input, "offset")?.unwrap_or(1).max(1);
    let limit = super::number(input, "limit")?.unwrap_or(LINES).clamp(1, LINES);
    let text = files.text(&path)?;
    if text.is_empty() {
        return Ok("(the file is empty)".to_owned().into());
    }
    let total = text.lines().count() as u64;
    if offset > total {
        return Err(format!("offset {offset} is behind the end: the file has {total} lines").into());
    }
    let mut shown = String::new();
    let mut next = offset;
    for line in text.lines().skip(usize::try_from(offset - 1).unwrap_or(usize::MAX)) {
        let cut = line.floor_char_boundary(MAX_LINE);
        let mark = if cut < line.len() { " […]" } else { "" };
        if next >= offset + limit || shown.len() + cut > MAX_SHOWN {
            break;
        }
        shown.push_str(&format!("{next:>6}\t{}{mark}\n", &line[..cut]));
        next += 1;
    }
    if next <= total {
        shown.push_str(&format!("[lines {offset} to {} of {total}; go on with offset {next}]\n", next - 1));
    }
    Ok(shown.into())
}

/// Makes or replaces a file, and the directories above it.
pub(crate) fn write(files: &mut impl Files, cwd: &str, input: &Value) -> Result<Shown, Halt> {
    let path = absolute(cwd, super::text(input, "path")?);
    let content = super::text(input, "content")?;
    let before = files.before(&path)?;
    files.write(&path, content)?;
    let what = if before.is_there { "replaced" } else { "made" };
    let said = format!("{what} {} ({} lines)", path.display(), content.lines().count());
    Ok(Shown { diff: diff(&path, before.text.as_deref(), content), ..said.into() })
}

/// Replaces an exact piece of a file.
pub(crate) fn edit(files: &mut impl Files, cwd: &str, input: &Value) -> Result<Shown, Halt> {
    let path = absolute(cwd, super::text(input, "path")?);
    let (old, new) = (super::text(input, "old_text")?, super::text(input, "new_text")?);
    let all = super::flag(input, "replace_all")?;
    let before = files.text(&path)?;
    let edited = edit::replace(&before, old, new, all)?;
    files.write(&path, &edited.text)?;
    let said = match edited.times {
        1 => format!("changed {} at line {}", path.display(), edited.line),
        times => format!("changed {} in {times} places, the first at line {}", path.display(), edited.line),
    };
    Ok(Shown { diff: diff(&path, Some(&before), &edited.text), ..said.into() })
}

fn diff(path: &Path, old: Option<&str>, new: &str) -> Option<Value> {
    let short = old.map_or(0, str::len) + new.len() <= MAX_DIFF;
    short.then(|| json!({"type": "diff", "path": path, "oldText": old, "newText": new}))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::disk::MAX_FILE, *};

    /// What a tool says, or its error for the model.
    fn of(outcome: Result<Shown, Halt>) -> Result<Shown, String> {
        outcome.map_err(|halt| match halt {
            Halt::Failed(why) => why,
            halt => panic!("{halt:?}"),
        })
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("agentos-coder-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn files_are_read_in_parts() {
        let folder = folder("read");
        let cwd = folder.to_str().unwrap();
        fs::write(folder.join("five"), "one\ntwo\nthree\nfour\nfive").unwrap();
        fs::write(folder.join("empty"), "").unwrap();
        fs::write(folder.join("long"), "ä".repeat(5000)).unwrap();
        fs::write(folder.join("many"), "x".repeat(99).repeat(50).replace("x", "y\n")).unwrap();
        fs::write(folder.join("binary"), b"a\0b").unwrap();
        fs::write(folder.join("latin"), b"gr\xf6\xdfe").unwrap();
        fs::File::create(folder.join("huge")).unwrap().set_len(MAX_FILE + 1).unwrap();
        let read = |input: Value| of(read(&mut Disk, cwd, &input)).map(|shown| shown.text);
        assert_eq!(
            read(json!({"path": "five"})).unwrap(),
            "     1\tone\n     2\ttwo\n     3\tthree\n     4\tfour\n     5\tfive\n"
        );
        assert_eq!(
            read(json!({"path": "five", "offset": 2, "limit": 2})).unwrap(),
            "     2\ttwo\n     3\tthree\n[lines 2 to 3 of 5; go on with offset 4]\n"
        );
        assert_eq!(read(json!({"path": folder.join("empty")})).unwrap(), "(the file is empty)");
        let long = read(json!({"path": "long"})).unwrap();
        assert!(long.ends_with("ä […]\n") && long.len() < 2100);
        assert!(read(json!({"path": "many", "limit": 100_000})).unwrap().contains("go on with offset 2001"));
        for (input, want) in [
            (json!({"path": "five", "offset": 6}), "has 5 lines"),
            (json!({"path": "none"}), "none: No such file or directory"),
            (json!({"path": "."}), "is a directory"),
            (json!({"path": "binary"}), "is no text"),
            (json!({"path": "latin"}), "is no text"),
            (json!({"path": "huge"}), "has 10485761 bytes"),
            (json!({}), "path is missing"),
            (json!({"path": "five", "offset": "x"}), "offset must be a number"),
        ] {
            let error = read(input).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn files_are_written_and_edited() {
        let folder = folder("write");
        let cwd = folder.to_str().unwrap();
        let write = |input: &Value| of(write(&mut Disk, cwd, input));
        let edit = |input: &Value| of(edit(&mut Disk, cwd, input));
        let made = write(&json!({"path": "a/b/c.txt", "content": "one\ntwo\n"})).unwrap();
        assert!(made.text.starts_with("made") && made.text.ends_with("c.txt (2 lines)"));
        assert_eq!(made.diff.unwrap()["oldText"], Value::Null);
        let changed = edit(&json!({"path": "a/b/c.txt", "old_text": "two", "new_text": "2"})).unwrap();
        assert!(changed.text.ends_with("c.txt at line 2"));
        assert_eq!(changed.diff.unwrap()["newText"], "one\n2\n");
        assert_eq!(fs::read_to_string(folder.join("a/b/c.txt")).unwrap(), "one\n2\n");
        let input = json!({"path": "a/b/c.txt", "old_text": "\n", "new_text": ";", "replace_all": true});
        assert!(edit(&input).unwrap().text.contains("in 2 places"));
        assert!(write(&json!({"path": "a/b/c.txt", "content": ""})).unwrap().text.starts_with("replaced"));
        assert!(write(&json!({"path": "a", "content": ""})).unwrap_err().contains("is a directory"));
        assert!(write(&json!({"path": "a/b/c.txt/d", "content": ""})).unwrap_err().contains("make "));
        let input = json!({"path": "a/b/c.txt", "old_text": "x", "new_text": "y", "replace_all": 1});
        assert!(edit(&input).unwrap_err().contains("replace_all must be true or false"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
