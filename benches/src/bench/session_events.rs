//! Events of a turn on their way from an agent to a client that reads them all.
//!
//! `session_events` is the target's figure, deltas: an agent streams one message in small pieces, as a model writes it. The agent is a
//! script that shows a file, so that what is measured is the way and not the agent. `session_messages` is what a message costs that
//! comes whole: the item begins, has its text and ends, which are three events.

use std::time::{Duration, Instant};

use agentos::{AgentConfig, AgentOs, Session};
use serde_json::Value;

use super::{Rows, put};
use crate::failure::{Failure, Result, within};
use crate::rig::{Rig, STEP};
use crate::sample::{Measure, US, measure};

/// Pieces of the message of a turn: more than the sidecar keeps, so that the stream cannot lean on its log.
const DELTAS: usize = 20_000;
/// Messages of a turn.
const MESSAGES: usize = 2_000;
/// Where the script finds what it says.
const SAID: &str = "/tmp/said";

/// Answers as an agent should; a prompt with what is in the file.
const STREAMS: &str = r#"
answer() { echo '{"jsonrpc":"2.0","id":'"$id"',"result":'"$1"'}'; }
while read -r line; do
    id=${line#*'"id":'}
    id=${id%%,*}
    case $line in
    *'"method":"initialize"'*) answer '{"protocolVersion":1}' ;;
    *'"method":"session/new"'*) answer '{"sessionId":"s"}' ;;
    *'"method":"session/prompt"'*) cat /tmp/said; answer '{"stopReason":"end_turn"}' ;;
    esac
done
"#;

pub(crate) async fn run(rig: &Rig, rows: &mut Rows) -> Result<()> {
    let os = rig.vm().await?;
    let session = streaming(&os).await?;
    let mut cursor = None;
    let m = Measure::new("session_events", US).per(DELTAS as f64).heavy();
    let row = measure(m, async || turn(&session, "go", DELTAS, &mut cursor).await, None).await;
    put(rows, "session_events", row.map(|row| row.note("a delta from the agent to the client")));
    within("destroy", STEP, session.destroy()).await?;

    let session = within("create_session", STEP, os.create_session("scripted", Default::default())).await?;
    // Empty commands only part the messages.
    let prompt = "token\n```sh\n```\n".repeat(MESSAGES);
    let mut cursor = None;
    let m = Measure::new("session_messages", US).per(MESSAGES as f64).heavy();
    let row = measure(m, async || turn(&session, &prompt, MESSAGES, &mut cursor).await, None).await;
    put(rows, "session_messages", row.map(|row| row.note("a whole message from the agent to the client")));
    Ok(())
}

/// A session with the agent that streams.
async fn streaming(os: &AgentOs) -> Result<Session> {
    let piece = r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"agent_message_chunk","messageId":"m","content":{"type":"text","text":" token"}}}}"#;
    within("write_file", STEP, os.write_file(SAID, format!("{piece}\n").repeat(DELTAS))).await?;
    let agent = AgentConfig {
        id: "streams".into(),
        acp_adapter: "sh".into(),
        command: Some("sh".into()),
        args: vec!["-c".into(), STREAMS.into()],
        ..AgentConfig::default()
    };
    within("register_agent", STEP, os.register_agent(agent)).await?;
    within("create_session", STEP, os.create_session("streams", Default::default())).await
}

/// A turn whose reader waits for so many chunks of messages: how long that took.
async fn turn(session: &Session, prompt: &str, chunks: usize, cursor: &mut Option<u64>) -> Result<Duration> {
    let mut events = session.events(*cursor).await?;
    let begin = Instant::now();
    let read = async {
        let mut seen = 0;
        while seen < chunks {
            let event = events.next().await.ok_or_else(|| Failure::wrong("the events ended"))??;
            *cursor = Some(event.seq);
            let kind = event.params.pointer("/update/sessionUpdate").and_then(Value::as_str);
            seen += usize::from(kind == Some("agent_message_chunk"));
        }
        Ok(begin.elapsed())
    };
    let prompted = async { session.prompt(prompt).await.map_err(Failure::from) };
    let (took, prompted) = tokio::try_join!(read, prompted)?;
    match prompted.stop_reason.as_str() {
        "end_turn" => Ok(took),
        reason => Err(Failure::wrong(format!("the turn ended with {reason}"))),
    }
}
