//! Answering the sidecar's questions for texts.

use std::any::Any;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use agentos_protocol::Responder;
use agentos_protocol::message::{
    ClientFilesSpec, ReadTextFile, TEXT_FILE_LIMIT, TextFileReply, TextFileWritten, WireError, WirePath,
    WriteTextFile, code,
};

use super::{SessionFiles, TextLines, file};
use crate::callbacks::{Callbacks, words};

/// Most bytes of a failure's message.
const MESSAGE: usize = 4 << 10;

/// The files of one session.
pub(crate) struct TextHost {
    files: SessionFiles,
    callbacks: Callbacks,
}

fn path(path: &WirePath) -> &Path {
    Path::new(OsStr::from_bytes(&path.0))
}

/// What the agent is told.
fn failed(mut message: String) -> WireError {
    message.truncate(message.floor_char_boundary(MESSAGE));
    WireError::new(code::TOOL, if message.is_empty() { "the client failed".to_owned() } else { message })
}

fn panicked(panic: &(dyn Any + Send)) -> WireError {
    tracing::error!(panic = words(panic), "the files of a session panicked");
    failed("the client panicked".to_owned())
}

impl TextHost {
    pub(crate) fn new(files: SessionFiles) -> Arc<Self> {
        Arc::new(TextHost { files, callbacks: Callbacks::new() })
    }

    /// What the sidecar is told of them.
    pub(crate) fn spec(&self, files_id: u64) -> ClientFilesSpec {
        let SessionFiles(files) = &self.files;
        ClientFilesSpec { files_id, read: files.reads(), write: files.writes() }
    }

    /// Reads a text.
    pub(crate) fn read(&self, call: ReadTextFile, responder: Responder) {
        let SessionFiles(files) = self.files.clone();
        let lines = TextLines { line: call.line, limit: call.limit };
        let wanted = file(call.session_id, path(&call.mount), path(&call.beneath));
        self.callbacks.run(
            responder,
            move || Box::pin(async move { files.read_text_file(&wanted, lines).await }),
            |responder, done| {
                let reply = match done {
                    Ok(Ok(Some(text))) if text.len() > TEXT_FILE_LIMIT => Err(failed(format!(
                        "the text has {} bytes; {TEXT_FILE_LIMIT} are allowed",
                        text.len()
                    ))),
                    Ok(Ok(text)) => Ok(TextFileReply { text }),
                    Ok(Err(message)) => Err(failed(message)),
                    Err(panic) => Err(panicked(&*panic)),
                };
                responder.reply::<ReadTextFile>(reply);
            },
        );
    }

    /// Writes a text.
    pub(crate) fn write(&self, call: WriteTextFile, responder: Responder) {
        let SessionFiles(files) = self.files.clone();
        let wanted = file(call.session_id, path(&call.mount), path(&call.beneath));
        self.callbacks.run(
            responder,
            move || Box::pin(async move { files.write_text_file(&wanted, call.text).await }),
            |responder, done| {
                let reply = match done {
                    Ok(Ok(written)) => Ok(TextFileWritten { written }),
                    Ok(Err(message)) => Err(failed(message)),
                    Err(panic) => Err(panicked(&*panic)),
                };
                responder.reply::<WriteTextFile>(reply);
            },
        );
    }
}
