//! Files as the client has them, with what is not saved yet: asked for where the client offers it, those of the machine
//! otherwise. Searches and commands do not come here: they see what is saved.

use std::{
    fs,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use agentos_agent_common::{
    rpc::{METHOD_NOT_FOUND, NOT_FOUND},
    wire::MAX_LINE,
};
use serde_json::{Value, json};

use crate::{
    agent::Agent,
    client::{Heard, Nothing},
    tools::{
        disk,
        files::{Before, Disk, Files, Halt},
    },
};

/// How long the client may take with a file.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Longest explanation of the client that the model is told, in bytes.
const MAX_WHY: usize = 400;

/// What is said of a file whose writing has no end that we know.
const UNSURE: &str = "it is not known whether it was written";

/// Room in a line for all that is not the parameters, in bytes.
const ENVELOPE: usize = 1 << 10;

const READ: &str = "fs/read_text_file";
const WRITE: &str = "fs/write_text_file";

/// Whether the files are those of the client. With a client that only reads or only writes they are not: a text that was read in one
/// place and written in the other would undo what was changed in between.
pub(crate) fn offered(capabilities: &Value) -> bool {
    capabilities["readTextFile"] == true && capabilities["writeTextFile"] == true
}

/// The files of an agent's client.
pub(crate) struct Editor<'a>(pub(crate) &'a mut Agent);

/// What the client says of a file.
#[derive(Debug)]
enum Said {
    Text(String),
    /// There is none.
    Missing,
    /// Nothing: it does not know the method, whatever it offered.
    Unknown,
    /// It cannot; why.
    Refused(String),
}

impl Files for Editor<'_> {
    fn text(&mut self, path: &Path) -> Result<String, Halt> {
        if !self.0.files_of_client {
            return Disk.text(path);
        }
        if let Some(about) = disk::at(path)? {
            disk::may_read(path, &about)?;
        }
        match self.read(path)? {
            Said::Text(text) => Ok(disk::as_text(path, text.into_bytes())?),
            Said::Missing => Err(missing(path)),
            Said::Unknown => Disk.text(path),
            Said::Refused(why) => Err(Halt::Failed(why)),
        }
    }

    fn before(&mut self, path: &Path) -> Result<Before, Halt> {
        if !self.0.files_of_client {
            return Disk.before(path);
        }
        let about = disk::at(path)?;
        if let Some(about) = &about {
            disk::may_replace(path, about)?;
        }
        // The text is for the user to compare with: what is too long is not asked for.
        if about.is_none_or(|about| about.len() <= disk::MAX_FILE) {
            match self.read(path)? {
                Said::Text(text) => {
                    let text = disk::as_text(path, text.into_bytes()).ok();
                    return Ok(Before { is_there: true, text });
                }
                Said::Missing => return Ok(Before::default()),
                // Replaced may be what cannot be read.
                Said::Unknown | Said::Refused(_) => {}
            }
        }
        Disk.before(path)
    }

    fn write(&mut self, path: &Path, content: &str) -> Result<(), Halt> {
        if !self.0.files_of_client {
            return Disk.write(path, content);
        }
        let too_long = || {
            let most = MAX_LINE >> 20;
            let path = path.display();
            Halt::Failed(format!("{path}: the client takes at most {most} MiB at once; write it with bash"))
        };
        if content.len() > MAX_LINE {
            return Err(too_long());
        }
        let params = json!({"sessionId": self.session(), "path": plain(path), "content": content});
        if params.to_string().len() > MAX_LINE - ENVELOPE {
            return Err(too_long());
        }
        match self.ask(WRITE, params)? {
            Heard::Answer(Ok(Value::Null | Value::Object(_))) => Ok(()),
            Heard::Answer(Ok(_)) => {
                let path = path.display();
                let why = format!("{path}: the client answered {WRITE} with what is no answer; {UNSURE}");
                Err(Halt::Failed(why))
            }
            Heard::Answer(Err(error)) if error["code"] == METHOD_NOT_FOUND => {
                self.0.files_of_client = false;
                let why = "the client does not write files; those of the machine are used from now on: read it again";
                Err(Halt::Failed(format!("{}: {why}", path.display())))
            }
            Heard::Answer(Err(error)) if error["code"] == NOT_FOUND => Err(missing(path)),
            Heard::Answer(Err(error)) => {
                let why = format!("{}: the client cannot write it: {}", path.display(), why(&error));
                Err(Halt::Failed(why))
            }
            Heard::Cancelled => Err(Halt::Cancelled(UNSURE.to_owned())),
            Heard::Nothing(nothing) => {
                Err(Halt::Failed(format!("{}; {UNSURE}", silent(path, WRITE, nothing))))
            }
        }
    }
}

impl Editor<'_> {
    fn read(&mut self, path: &Path) -> Result<Said, Halt> {
        let params = json!({"sessionId": self.session(), "path": plain(path)});
        Ok(match self.ask(READ, params)? {
            Heard::Answer(Ok(mut result)) => match result.get_mut("content").map(Value::take) {
                Some(Value::String(text)) => Said::Text(text),
                _ => {
                    let path = path.display();
                    return Err(Halt::Failed(format!("{path}: the client answered {READ} without content")));
                }
            },
            Heard::Answer(Err(error)) if error["code"] == METHOD_NOT_FOUND => {
                self.0.files_of_client = false;
                Said::Unknown
            }
            Heard::Answer(Err(error)) if error["code"] == NOT_FOUND => Said::Missing,
            Heard::Answer(Err(error)) => {
                Said::Refused(format!("{}: the client cannot read it: {}", path.display(), why(&error)))
            }
            Heard::Cancelled => return Err(Halt::Cancelled(String::new())),
            Heard::Nothing(Nothing::TooLong) => Said::Refused(silent(path, READ, Nothing::TooLong)),
            Heard::Nothing(late) => return Err(Halt::Failed(silent(path, READ, late))),
        })
    }

    /// Asks the client, unless the turn is cancelled already.
    fn ask(&mut self, method: &str, params: Value) -> Result<Heard, Halt> {
        if self.0.is_cancelled() {
            return Err(Halt::Cancelled(String::new()));
        }
        let patience = self.0.file_patience;
        Ok(self.0.ask_client(method, params, Some(patience))?)
    }

    fn session(&self) -> String {
        self.0.turn.as_ref().map(|turn| turn.session.clone()).unwrap_or_default()
    }
}

fn missing(path: &Path) -> Halt {
    Halt::Failed(format!("{}: No such file or directory", path.display()))
}

fn silent(path: &Path, method: &str, nothing: Nothing) -> String {
    format!("{}: {method}: the client {nothing}", path.display())
}

/// What an error object says, in one line. Many clients say in `data` what it is about.
fn why(error: &Value) -> String {
    let message = error["message"].as_str().unwrap_or("an error without a message");
    let more = error["data"].as_str().or(error["data"]["details"].as_str()).unwrap_or_default();
    let line = |text: &str| -> String {
        let text = &text[..text.floor_char_boundary(MAX_WHY)];
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let mut why = line(message);
    if !more.is_empty() {
        why.push_str(&format!(" ({})", line(more)));
    }
    why.truncate(why.floor_char_boundary(MAX_WHY));
    why
}

/// A path without `.` and `..`, as clients know their files. One that leads through a link and back stays as it is.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if fs::symlink_metadata(&plain).is_ok_and(|about| about.is_symlink()) => {
                return path.to_owned();
            }
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_clients_if_it_reads_and_writes_them() {
        for (capabilities, both) in [
            (json!(null), false),
            (json!({}), false),
            (json!({"readTextFile": true}), false),
            (json!({"readTextFile": false, "writeTextFile": true}), false),
            (json!({"readTextFile": "yes", "writeTextFile": 1}), false),
            (json!(["readTextFile"]), false),
            (json!({"readTextFile": true, "writeTextFile": true}), true),
        ] {
            assert_eq!(offered(&capabilities), both, "{capabilities}");
        }
    }

    #[test]
    fn paths_are_those_of_the_client() {
        let folder = std::env::temp_dir().join(format!("agentos-coder-plain-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("real/inner")).unwrap();
        std::os::unix::fs::symlink("real/inner", folder.join("link")).unwrap();
        for (path, want) in [
            ("a", "a"),
            ("./a", "a"),
            ("a//b/./c", "a/b/c"),
            ("none/../a", "a"),
            ("real/inner/../a", "real/a"),
            ("link/a", "link/a"),
            ("link/../a", "link/../a"),
            ("real/../../x", "../x"),
        ] {
            let want = if want == "../x" { folder.parent().unwrap().join("x") } else { folder.join(want) };
            assert_eq!(plain(&folder.join(path)).into_os_string(), want.into_os_string(), "{path}");
        }
        assert_eq!(plain(Path::new("/../../a")), Path::new("/a"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn explanations_are_short_and_of_one_line() {
        for (error, want) in [
            (json!({"code": 1, "message": "no\n\tway"}), "no way".to_owned()),
            (
                json!({"message": "Internal error", "data": {"details": "EACCES\nx"}}),
                "Internal error (EACCES x)".into(),
            ),
            (json!({"message": "Internal error", "data": "disk full"}), "Internal error (disk full)".into()),
            (json!({"message": 5}), "an error without a message".into()),
            (json!("odd"), "an error without a message".into()),
            (json!({"message": "ä".repeat(1000)}), "ä".repeat(MAX_WHY / 2)),
        ] {
            assert_eq!(why(&error), want, "{error}");
        }
        let long = json!({"message": "x".repeat(300), "data": "y".repeat(300)});
        assert_eq!(why(&long).len(), MAX_WHY);
    }
}
