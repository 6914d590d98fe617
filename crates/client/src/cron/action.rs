//! One run of a job, to its end or until the machine is disposed. When it runs is decided elsewhere.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::CronAction;
use crate::error::Error;
use crate::processes::ExecOptions;
use crate::sessions::{CreateSessionOptions, PromptInput};
use crate::vm::AgentOs;
use crate::wire;

/// What closing a session may take.
const CLOSE_WAIT: Duration = Duration::from_secs(10);
/// Bytes of standard error that an event tells.
const STDERR_TAIL: usize = 2048;

/// Does what the action says; the error is for people. A panic is an error.
pub(super) async fn perform(
    os: &AgentOs,
    action: &CronAction,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let work = async {
        match action {
            CronAction::Session { agent_type, prompt, options } => {
                session(os, agent_type, prompt, options, stop).await
            }
            CronAction::Exec { command, args } => until(stop, exec(os, command, args)).await?,
            CronAction::Callback(callback) => until(stop, async { callback().await }).await?,
        }
    };
    // What was half done when it panicked is dropped with it, and never looked at again.
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|payload| Err(panicked(&*payload)))
}

fn panicked(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    match text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)) {
        Some(text) => format!("it panicked: {text}"),
        None => "it panicked".to_owned(),
    }
}

/// The result, unless the machine is disposed first: then the work is dropped.
async fn until<T>(mut stop: watch::Receiver<bool>, work: impl Future<Output = T>) -> Result<T, String> {
    tokio::select! {
        biased;
        // Without a sender the machine is gone too.
        _ = stop.wait_for(|stop| *stop) => Err("cancelled: the machine was disposed".to_owned()),
        result = work => Ok(result),
    }
}

async fn session(
    os: &AgentOs,
    agent_type: &str,
    prompt: &PromptInput,
    options: &CreateSessionOptions,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let text = |error: Error| error.to_string();
    let making = os.create_session(agent_type, options.clone());
    let session = until(stop.clone(), making).await?.map_err(text)?;
    let turn = until(stop, session.prompt(prompt.clone())).await;
    let closing = async {
        let late = wire::sleep(CLOSE_WAIT)?;
        tokio::select! {
            closed = session.close() => closed,
            () = late => Err(Error::Timeout { operation: "close_session".into(), after: Some(CLOSE_WAIT) }),
        }
    };
    let closed = closing.await;
    turn?.map_err(text)?;
    match closed {
        // It has gone by itself.
        Ok(()) | Err(Error::SessionNotFound { .. }) => Ok(()),
        Err(error) => Err(format!("the session could not be closed: {error}")),
    }
}

async fn exec(os: &AgentOs, command: &str, args: &[String]) -> Result<(), String> {
    let tail = Arc::new(Mutex::new(Vec::new()));
    let keeping = Arc::clone(&tail);
    let options = ExecOptions {
        capture: false,
        on_stderr: Some(Arc::new(move |piece| keep_tail(&mut keeping.lock(), piece))),
        ..ExecOptions::default()
    };
    let argv = std::iter::once(command).chain(args.iter().map(String::as_str));
    let result = os.exec_argv(argv, options).await.map_err(|error| error.to_string())?;
    if result.success() {
        return Ok(());
    }
    let how = match (&result.signal, &result.limit) {
        (Some(signal), Some(limit)) => format!("ended by {signal} at the limit {}", limit.name),
        (Some(signal), None) => format!("ended by {signal}"),
        (None, _) => format!("status {}", result.exit_code),
    };
    let tail = tail.lock();
    match String::from_utf8_lossy(&tail).trim() {
        "" => Err(how),
        said => Err(format!("{how}: {said}")),
    }
}

/// Keeps the last bytes of what comes in pieces.
fn keep_tail(tail: &mut Vec<u8>, piece: &[u8]) {
    tail.extend_from_slice(piece);
    tail.drain(..tail.len().saturating_sub(STDERR_TAIL));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_end_of_everything() {
        let mut tail = Vec::new();
        for n in 0..1000 {
            keep_tail(&mut tail, format!("line {n}\n").as_bytes());
        }
        assert_eq!(tail.len(), STDERR_TAIL);
        assert!(tail.ends_with(b"line 998\nline 999\n"));
    }
}
