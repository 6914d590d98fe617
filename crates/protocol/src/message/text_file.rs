//! Text files that the client has in hand, as an editor has: agents read them as they are there, saved or not, and write them
//! there. Which file a path means, and whether the agent may, has been decided before.

use serde::{Deserialize, Serialize};

use super::WirePath;

/// Most bytes of a text: it travels inside a control frame.
pub const TEXT_FILE_LIMIT: usize = 8 << 20;

/// What the client does for agents of a session that ask for texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientFilesSpec {
    /// Names the client's files in callbacks; the client chose it.
    pub files_id: u64,
    /// It reads them.
    pub read: bool,
    /// It writes them.
    pub write: bool,
}

/// Reads a text. An error is told to the agent with its message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadTextFile {
    /// [`ClientFilesSpec::files_id`].
    pub files_id: u64,
    /// The session.
    pub session_id: String,
    /// Where the file system is mounted that it is in, as it was asked for.
    pub mount: WirePath,
    /// Where the file is, from there; it begins with `/`, and there are no links in it.
    pub beneath: WirePath,
    /// The first line that is wanted, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// How many lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// A text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TextFileReply {
    /// The text; absent: the file is none of the client's, and is as it is in the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Writes a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WriteTextFile {
    /// [`ClientFilesSpec::files_id`].
    pub files_id: u64,
    /// The session.
    pub session_id: String,
    /// As in [`ReadTextFile`].
    pub mount: WirePath,
    /// As in [`ReadTextFile`].
    pub beneath: WirePath,
    /// The whole text.
    pub text: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TextFileWritten {
    /// It was written; false: the file is none of the client's, and is to be written in the machine.
    pub written: bool,
}
