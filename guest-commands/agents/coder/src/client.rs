//! Requests to the client in the middle of a turn, and the wait for their answers. What is asked is decided by those who ask.

use std::{
    io,
    time::{Duration, Instant},
};

use agentos_agent_common::wire::MAX_LINE;
use serde_json::Value;

use crate::agent::Agent;

/// What became of a request.
pub(crate) enum Heard {
    /// `Err` with the error object.
    Answer(Result<Value, Value>),
    /// The turn was cancelled first.
    Cancelled,
    /// Why there is no answer: what the client did.
    Nothing(Nothing),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// It did not come in this time.
    Late(Duration),
    /// What came is too long to be read.
    TooLong,
}

impl std::fmt::Display for Nothing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Late(patience) => write!(f, "did not answer in {patience:?}"),
            Self::TooLong => write!(f, "answered with more than {} MiB", MAX_LINE >> 20),
        }
    }
}

impl Agent {
    /// Asks the client and waits for its answer: for the time given, or without end. An answer that comes later is
    /// ignored.
    pub(crate) fn ask_client(
        &mut self,
        method: &str,
        params: Value,
        patience: Option<Duration>,
    ) -> io::Result<Heard> {
        // A line that was too long before this is no answer to it.
        self.has_skipped();
        let id = self.ask(method, params)?;
        if let Some(turn) = &mut self.turn {
            turn.asked(id);
        }
        let asked = Instant::now();
        loop {
            let Some(turn) = &mut self.turn else { return Ok(Heard::Cancelled) };
            if turn.cancelled.is_some() {
                turn.forget();
                return Ok(Heard::Cancelled);
            }
            if let Some(answer) = turn.take_answer() {
                return Ok(Heard::Answer(answer));
            }
            let Some(patience) = patience else {
                self.wait(None, None)?;
                continue;
            };
            let left = patience.saturating_sub(asked.elapsed());
            let nothing = match self.has_skipped() {
                true => Nothing::TooLong,
                false if left.is_zero() => Nothing::Late(patience),
                false => {
                    self.wait(None, Some(left))?;
                    continue;
                }
            };
            if let Some(turn) = &mut self.turn {
                turn.forget();
            }
            return Ok(Heard::Nothing(nothing));
        }
    }
}
