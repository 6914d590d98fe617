//! Files that the editor has open: an agent that asks its client for them gets them as they are there, saved or not, and what
//! it writes is written there. Those that the editor cannot have are the machine's own.

use std::sync::Arc;
use std::time::Duration;

use agentos::{ClientFiles, SessionFiles, TextFile, TextFuture, TextLines};
use agentos_acp::Error;
use agentos_acp::connection::Connection;
use agentos_acp::envelope::code;
use serde_json::{Value, json};

use super::client::Client;
use super::directories::Directories;
use crate::args::EditorFilesArg;
use crate::output;

/// How long the editor is waited for, after the agent has been told that it does not answer: what it was asked for it may still open,
/// and until then names are held. Less than the machine waits for us.
const PATIENCE: Duration = Duration::from_secs(110);

/// Bytes of an error of the editor that the agent is told.
const MESSAGE: usize = 512;

/// Agents that use the files of their client as they use their own. Others change their tools when there are any.
const AT_EASE: &[&str] = &["coder"];

/// The files of an editor.
struct EditorFiles {
    connection: Connection,
    directories: Arc<Directories>,
    reads: bool,
    writes: bool,
}

/// What the editor has for an agent; nothing if it has nothing, or the agent is not to have it.
pub(super) fn of_editor(
    client: Client,
    wanted: EditorFilesArg,
    agent: &str,
    connection: &Connection,
    directories: &Arc<Directories>,
) -> Option<SessionFiles> {
    let (reads, writes) = client.files();
    if wanted == EditorFilesArg::Always && !reads && !writes {
        output::note("agentos: --editor-files always: the editor offers no files");
    }
    let wanted = match wanted {
        EditorFilesArg::Always => true,
        // Who changes a text has to read and write the same one.
        EditorFilesArg::Auto => AT_EASE.contains(&agent) && reads && writes,
        EditorFilesArg::Never => false,
    };
    (wanted && (reads || writes)).then(|| {
        let (connection, directories) = (connection.clone(), Arc::clone(directories));
        SessionFiles::new(EditorFiles { connection, directories, reads, writes })
    })
}

impl EditorFiles {
    /// Asks the editor; nothing if it does not have the file.
    async fn ask(&self, method: &str, file: &TextFile, mut params: Value) -> Result<Option<Value>, String> {
        let Some(path) = self.directories.of_host(&file.mount, &file.beneath).await? else { return Ok(None) };
        params["sessionId"] = json!(file.session_id);
        params["path"] = json!(path);
        match self.connection.request(method, None, &params, PATIENCE).await {
            Ok(answer) => Ok(Some(serde_json::from_str(answer.get()).unwrap_or_default())),
            Err(Error::NotSupported { .. }) => Ok(None),
            Err(Error::Rpc { error, .. })
                if matches!(error.code, code::NOT_FOUND | code::METHOD_NOT_FOUND) =>
            {
                Ok(None)
            }
            Err(Error::Rpc { error, .. }) => {
                let said = &error.message[..error.message.floor_char_boundary(MESSAGE)];
                Err(format!("the editor: {said}"))
            }
            Err(Error::Timeout { .. }) => {
                Err(format!("the editor has not answered within {} s", PATIENCE.as_secs()))
            }
            Err(error) => Err(format!("the editor could not be asked: {error}")),
        }
    }
}

impl ClientFiles for EditorFiles {
    fn reads(&self) -> bool {
        self.reads
    }

    fn writes(&self) -> bool {
        self.writes
    }

    fn read_text_file<'a>(&'a self, file: &'a TextFile, lines: TextLines) -> TextFuture<'a, Option<String>> {
        Box::pin(async move {
            let mut params = json!({});
            for (name, value) in [("line", lines.line), ("limit", lines.limit)] {
                if let Some(value) = value {
                    params[name] = json!(value);
                }
            }
            let Some(mut answer) = self.ask("fs/read_text_file", file, params).await? else {
                return Ok(None);
            };
            match answer.get_mut("content").map(Value::take) {
                Some(Value::String(text)) => Ok(Some(text)),
                _ => Err("the editor answered without the content of the file".to_owned()),
            }
        })
    }

    fn write_text_file<'a>(&'a self, file: &'a TextFile, text: String) -> TextFuture<'a, bool> {
        Box::pin(async move {
            let answer = self.ask("fs/write_text_file", file, json!({"content": text})).await?;
            Ok(answer.is_some())
        })
    }
}
