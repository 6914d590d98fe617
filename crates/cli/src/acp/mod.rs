//! `agentos acp`: an agent of the Agent Client Protocol on standard streams, so that an editor can use any agent inside a
//! machine. What the agent says goes on as it came, with our id of the session; what is ours is the machine, the sessions
//! in it, and their history.
//!
//! | file | for |
//! |---|---|
//! | `editor` | the requests of the editor, in their order |
//! | `boot` | the machine, and what its agent can do |
//! | `bridge`, `lifecycle`, `turn` | what is between the two; sessions; prompts, settings and requests of extensions |
//! | `directories`, `host_path` | which directories of the host the machine gets, and whether they are still where they were |
//! | `follow`, `history` | what an agent says, as it says it and once more |
//! | `ask` | permissions |
//! | `files` | files that the editor has open |
//! | `client`, `params`, `refusal` | what the editor can; what it asks; why not |
//! | `stdout` | the end of who reads |

mod ask;
mod boot;
mod bridge;
mod client;
mod directories;
mod editor;
mod files;
mod follow;
mod history;
mod host_path;
mod lifecycle;
mod params;
mod refusal;
mod stdout;
mod turn;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agentos_acp::connection::Connection;
use agentos_acp::{Closure, Limits, Timeouts};
use miette::{IntoDiagnostic, Result, miette};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::AcpArgs;
use crate::output;
use boot::Setup;
use editor::Editor;
use stdout::Watched;

/// How long an editor that is busy may leave our output unread.
const UNREAD: Duration = Duration::from_secs(300);

/// How long the last of our output may take to be written.
const LAST_WORD: Duration = Duration::from_secs(5);

/// How it ended.
enum End {
    Connection(Closure),
    ReaderGone,
    Signal,
    Failure,
    Lost,
}

pub(crate) async fn acp(args: AcpArgs) -> Result<ExitCode> {
    let setup = Setup::new(args)?;
    let mut signals = Vec::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        signals.push(signal(kind).into_diagnostic()?);
    }
    let editor = Arc::new(Editor::new(setup));
    let (writer, seen) = Watched::new(tokio::io::stdout());
    // A long line is answered and skipped: the requests around it are worth more.
    let limits = Limits { skip_long_lines: true, answer_long_lines: true, ..Limits::default() };
    // The end of its output is the end of the editor, which has no status for us.
    let timeouts = Timeouts { write: UNREAD, exit_status: Duration::ZERO };
    let connection = Connection::spawn(tokio::io::stdin(), writer, Arc::clone(&editor), limits, timeouts);
    editor.connected(connection.clone());
    let told = futures_util::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv())));
    let end = tokio::select! {
        closure = connection.closed() => End::Connection(closure),
        () = seen.broken.cancelled() => End::ReaderGone,
        _ = told => End::Signal,
        () = editor.failed() => End::Failure,
        () = editor.lost() => End::Lost,
    };
    if matches!(end, End::Failure | End::Lost) {
        // The editor is told first.
        connection.close_stdin();
        let _ = tokio::time::timeout(LAST_WORD, seen.shut.cancelled()).await;
    }
    connection.end();
    let ended = editor.end().await;
    match end {
        End::Connection(Closure::Fatal(fatal)) => {
            let why = fatal.to_string().replacen("the agent", "the editor", 1);
            Err(miette!("{why}"))
        }
        End::ReaderGone => ended.and_then(|()| Err(output::ReaderGone.into())),
        End::Lost => Err(miette!("the sidecar has ended, and the machine with it")),
        End::Connection(_) | End::Signal | End::Failure => ended.map(|()| ExitCode::SUCCESS),
    }
}
