//! Events of a turn on their way from the agent to a client that reads them all.
//!
//! The agent shows the output of a command at most ten times a second, so a chatty command measures its timer. It answers
//! every paragraph between commands with a message of its own; empty commands only part them.

use std::time::Duration;

use super::{Rows, put};
use crate::failure::{Failure, Result, within};
use crate::rig::{Rig, STEP};
use crate::sample::{Measure, US, measure};

/// Messages of one turn: more than the sidecar keeps, so that the stream cannot lean on its log.
const EVENTS: usize = 2_000;

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    let session = within("create_session", STEP, os.create_session("scripted", Default::default())).await?;
    let prompt = "token\n```sh\n```\n".repeat(EVENTS);
    let mut cursor = None;
    let ours = async || -> Result<Duration> {
        let mut events = session.events(cursor).await?;
        let begin = std::time::Instant::now();
        let read = async {
            let mut seen = 0;
            while seen < EVENTS {
                let event = events.next().await.ok_or_else(|| Failure::wrong("the events ended"))??;
                cursor = Some(event.seq);
                let kind = event.params.pointer("/update/sessionUpdate").and_then(|kind| kind.as_str());
                seen += usize::from(kind == Some("agent_message_chunk"));
            }
            Ok(begin.elapsed())
        };
        let turn = async { session.prompt(&prompt).await.map_err(Failure::from) };
        let (took, turn) = tokio::try_join!(read, turn)?;
        match turn.stop_reason.as_str() {
            "end_turn" => Ok(took),
            reason => Err(Failure::wrong(format!("the turn ended with {reason}"))),
        }
    };
    let m = Measure::new("session_events", US).per(EVENTS as f64).heavy();
    let row = measure(m, ours, None).await;
    put(
        rows,
        "session_events",
        row.map(|row| row.note("from the agent to the client, whichever is slowest")),
    );
    Ok(())
}
