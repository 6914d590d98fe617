//! Methods of the client side that an agent may call if it was told so: files and terminals. Each call is a task of its own,
//! within its time; the agent's place is the session's directories.

use std::sync::Arc;
use std::time::Duration;

use agentos_acp::connection::Responder;
use agentos_acp::envelope::{RpcError, code};
use serde_json::{Value, json};

use super::files::Roots;
use super::inbox::Inbox;
use super::member;
use super::terminals::Terminals;
use crate::ErrorInfo;
use crate::boot::SessionSpec;
use crate::event::{Body, ChangedFile, Draft, FileChange};
use crate::ports::{ServedTexts, TEXT_NOT_FOUND, TextRead};
use crate::process::Launcher;

/// How long a call may take, but for one that waits for the end of a program.
const CALL: Duration = Duration::from_secs(30);

/// Why a call was refused, as the wire has it.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) message: String,
}

impl Refusal {
    /// Wrong parameters.
    pub(super) fn params(message: &str) -> Self {
        Refusal { code: code::INVALID_PARAMS, message: message.to_owned() }
    }

    /// There is no such thing.
    pub(super) fn missing(message: &str) -> Self {
        Refusal { code: code::NOT_FOUND, message: message.to_owned() }
    }

    /// It failed.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Refusal { code: code::INTERNAL_ERROR, message: message.into() }
    }
}

/// Files and programs that an agent may use.
pub(super) struct ClientSide {
    files: TextFiles,
    terminals: Option<Terminals>,
}

/// Whose files they are.
enum TextFiles {
    /// Those of the driver's own machine, beneath the directories of the session.
    Own(Arc<Roots>),
    /// Those of the host's port.
    Port(ServedTexts),
}

impl ClientSide {
    /// Of a session whose agent uses files and programs of the driver's own machine.
    ///
    /// # Errors
    /// `acp.bad_options`: its working directory is not there.
    pub(super) fn own(session: &SessionSpec, launcher: Arc<dyn Launcher>) -> Result<Self, ErrorInfo> {
        let roots = Arc::new(Roots::of(&session.cwd, &session.additional_directories)?);
        let terminals = Terminals::new(launcher, session.cwd.clone());
        Ok(ClientSide { files: TextFiles::Own(roots), terminals: Some(terminals) })
    }

    /// Of one whose host has files for it; nothing if it has none.
    pub(super) fn of_port(texts: ServedTexts) -> Option<Self> {
        (texts.read || texts.write).then(|| ClientSide { files: TextFiles::Port(texts), terminals: None })
    }

    /// What agents may ask for.
    pub(super) fn texts(&self) -> ServedTexts {
        match &self.files {
            TextFiles::Own(_) => ServedTexts { read: true, write: true },
            TextFiles::Port(texts) => *texts,
        }
    }

    /// Programs that it may run, if it may.
    pub(super) fn terminals(&self) -> Option<&Terminals> {
        self.terminals.as_ref()
    }

    /// Whether a method is one of these.
    pub(super) fn serves(&self, method: &str) -> bool {
        match method {
            "fs/read_text_file" => self.texts().read,
            "fs/write_text_file" => self.texts().write,
            "terminal/create"
            | "terminal/output"
            | "terminal/wait_for_exit"
            | "terminal/kill"
            | "terminal/release" => self.terminals.is_some(),
            _ => false,
        }
    }

    async fn call(&self, inbox: &Inbox, method: &str, params: &Value) -> Result<Value, Refusal> {
        match method {
            "fs/read_text_file" => {
                let read = TextRead {
                    path: path(params)?,
                    line: member::count(params, "line"),
                    limit: member::count(params, "limit"),
                };
                let content = match &self.files {
                    TextFiles::Own(roots) => {
                        let roots = Arc::clone(roots);
                        blocking(move || roots.read(&read.path, read.line, read.limit)).await?
                    }
                    TextFiles::Port(_) => {
                        inbox.cx.ports.files.read_text(&read).await.map_err(|error| refused(&error))?
                    }
                };
                Ok(json!({"content": content}))
            }
            "fs/write_text_file" => {
                let path = path(params)?;
                let text = member::text(params, "content").ok_or_else(|| Refusal::params("no content"))?;
                match &self.files {
                    TextFiles::Own(roots) => {
                        let (roots, written, text) = (Arc::clone(roots), path.clone(), text.to_owned());
                        blocking(move || roots.write(&written, &text)).await?;
                    }
                    TextFiles::Port(_) => {
                        let written = inbox.cx.ports.files.write_text(&path, text).await;
                        written.map_err(|error| refused(&error))?;
                    }
                }
                changed(inbox, path).await;
                Ok(json!({}))
            }
            other => match &self.terminals {
                Some(terminals) => self.of_terminal(terminals, other, params).await,
                None => Err(Refusal::failed("there are no terminals")),
            },
        }
    }

    async fn of_terminal(
        &self,
        terminals: &Terminals,
        method: &str,
        params: &Value,
    ) -> Result<Value, Refusal> {
        match method {
            "terminal/create" => {
                if let (Some(cwd), TextFiles::Own(roots)) = (member::text(params, "cwd"), &self.files) {
                    let (roots, cwd) = (Arc::clone(roots), cwd.to_owned());
                    blocking(move || roots.directory(&cwd)).await?;
                }
                Ok(json!({"terminalId": terminals.create(params).await?}))
            }
            "terminal/output" => terminals.read(terminal(params)?),
            "terminal/wait_for_exit" => terminals.wait(terminal(params)?).await,
            "terminal/kill" => terminals.kill(terminal(params)?),
            _ => terminals.release(terminal(params)?),
        }
    }
}

/// An error of the port as the wire has it.
fn refused(error: &ErrorInfo) -> Refusal {
    match error.code.as_str() {
        TEXT_NOT_FOUND => Refusal::missing(&error.message),
        _ => Refusal::failed(error.message.as_str()),
    }
}

fn path(params: &Value) -> Result<String, Refusal> {
    member::text(params, "path").map(str::to_owned).ok_or_else(|| Refusal::params("no path"))
}

fn terminal(params: &Value) -> Result<&str, Refusal> {
    member::text(params, "terminalId").ok_or_else(|| Refusal::params("no terminal"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Refusal::failed("the work was given up")))
}

/// Says that a file is another now.
async fn changed(inbox: &Inbox, path: String) {
    let change = ChangedFile { path, change: FileChange::Upsert, item_id: None };
    let heard = tokio::time::timeout(CALL, inbox.cx.ports.files.report_changed(&change)).await;
    if matches!(heard, Ok(Ok(false))) || inbox.retired.is_cancelled() {
        return;
    }
    let body = Body::FileChanged { changes: vec![change] };
    let draft = match inbox.turn() {
        Some(turn) => Draft::of_turn(turn.id, body),
        None => Draft::of_session(body),
    };
    inbox.cx.emit(draft).await;
}

/// Answers a call, in a task of its own.
pub(super) fn serve(
    inbox: Arc<Inbox>,
    client: Arc<ClientSide>,
    method: String,
    params: Value,
    responder: Responder,
) {
    tokio::spawn(async move {
        let withdrawn = responder.cancel_token();
        let unlimited = method == "terminal/wait_for_exit";
        let late = async {
            if unlimited {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(CALL).await;
        };
        let answer = tokio::select! {
            answer = client.call(&inbox, &method, &params) => answer,
            () = late => Err(Refusal::failed("it took too long")),
            () = withdrawn.cancelled() => {
                Err(Refusal { code: code::REQUEST_CANCELLED, message: "request cancelled".to_owned() })
            }
            () = inbox.retired.cancelled() => return,
        };
        match answer {
            Ok(result) => responder.ok(&result).await,
            Err(Refusal { code, message }) => {
                // Agents tell a file that is not there by its address.
                let uri = member::text(&params, "path").filter(|_| code == code::NOT_FOUND);
                let data = uri.map(|uri| json!({"uri": uri}));
                responder.refuse(&RpcError { code, message, data }).await;
            }
        }
    });
}
