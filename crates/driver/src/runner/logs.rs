//! Lines for the host's log on their way there: bounded, without secrets. When there is no room the oldest are dropped, and
//! that is counted.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::secrets::Secrets;
use crate::event::{Severity, Time, now};
use crate::ports::Logger;

/// Most lines that wait.
const MAX_LINES: usize = 1024;
/// Most bytes that they have, about.
const MAX_BYTES: usize = 1 << 20;
/// The longest message; more of it is cut.
const MAX_MESSAGE: usize = 16 << 10;
/// Most lines of one push.
pub(super) const BATCH: usize = 64;

/// A line, as the host gets it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    #[serde(with = "crate::event::millis")]
    at: Time,
    level: Severity,
    message: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    details: Map<String, Value>,
    #[serde(skip)]
    bytes: usize,
}

#[derive(Default)]
struct Inner {
    lines: VecDeque<Line>,
    bytes: usize,
    dropped: u64,
    /// Lines that are being pushed.
    away: bool,
}

/// Lines that the host does not have yet.
pub(super) struct Logs {
    level: Severity,
    secrets: Secrets,
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
}

/// Lines for one push.
pub(super) struct Batch {
    pub(super) lines: Vec<Line>,
    pub(super) dropped: u64,
}

impl Logs {
    pub(super) fn new(level: Severity, secrets: Secrets) -> Self {
        Logs { level, secrets, inner: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// A text without secrets.
    pub(super) fn hide(&self, text: &str) -> String {
        self.secrets.hide(text)
    }

    pub(super) fn add(&self, level: Severity, message: &str, details: &Map<String, Value>) {
        if level < self.level {
            return;
        }
        let mut message = self.secrets.hide(message);
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        let mut details = self.secrets.hide_in(details);
        let mut bytes = message.len() + serde_json::to_vec(&details).map_or(0, |json| json.len());
        if bytes > 2 * MAX_MESSAGE {
            details = Map::from_iter([("cut".to_owned(), Value::from(bytes))]);
            bytes = message.len();
        }
        let mut inner = self.inner.lock();
        inner.bytes += bytes;
        inner.lines.push_back(Line { at: now(), level, message, details, bytes });
        while inner.lines.len() > MAX_LINES || inner.bytes > MAX_BYTES {
            let Some(oldest) = inner.lines.pop_front() else { break };
            inner.bytes -= oldest.bytes;
            inner.dropped += 1;
        }
        drop(inner);
        self.changed.send_replace(());
    }

    /// The next lines, once there are some. They are away until [`Logs::done`] is said.
    pub(super) async fn next(&self) -> Batch {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            {
                let mut inner = self.inner.lock();
                let most = inner.lines.len().min(BATCH);
                if most > 0 {
                    inner.away = true;
                    let lines: Vec<Line> = inner.lines.drain(..most).collect();
                    inner.bytes -= lines.iter().map(|line| line.bytes).sum::<usize>();
                    let dropped = std::mem::take(&mut inner.dropped);
                    return Batch { lines, dropped };
                }
            }
            // The sender is here: it cannot be gone.
            let _ = changed.changed().await;
        }
    }

    /// The lines that were away are there, or are lost.
    pub(super) fn done(&self) {
        self.inner.lock().away = false;
        self.changed.send_replace(());
    }

    /// Waits until none is left.
    pub(super) async fn flushed(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let empty = {
                let inner = self.inner.lock();
                inner.lines.is_empty() && !inner.away
            };
            if empty {
                return;
            }
            let _ = changed.changed().await;
        }
    }
}

impl Logger for Logs {
    fn log(&self, severity: Severity, message: &str, details: &Map<String, Value>) {
        self.add(severity, message, details);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(level: Severity) -> Logs {
        let payload = super::super::tests_payload();
        Logs::new(level, Secrets::of(&payload))
    }

    #[tokio::test]
    async fn lines_below_the_level_are_left_out_and_secrets_of_all_kinds_hidden() {
        let logs = logs(Severity::Info);
        logs.add(Severity::Debug, "nothing", &Map::new());
        let details = Map::from_iter([("a".to_owned(), Value::from("with grant-one"))]);
        logs.add(Severity::Info, "boot-token and sk-12345678", &details);
        let batch = logs.next().await;
        let line = serde_json::to_string(&batch.lines).unwrap();
        assert_eq!(batch.lines.len(), 1);
        for secret in ["boot-token", "grant-one", "sk-12345678"] {
            assert!(!line.contains(secret), "{line}");
        }
        assert_eq!(line.matches("[redacted]").count(), 3, "{line}");
    }

    #[tokio::test]
    async fn a_flood_of_lines_is_bounded_and_what_was_dropped_is_counted() {
        let logs = logs(Severity::Debug);
        for n in 0..3 * MAX_LINES {
            logs.add(Severity::Warn, &n.to_string(), &Map::new());
        }
        logs.add(Severity::Warn, &"ä".repeat(MAX_BYTES), &Map::new());
        let batch = logs.next().await;
        assert_eq!((batch.lines.len(), batch.dropped), (BATCH, 2 * MAX_LINES as u64 + 1));
        logs.done();
        loop {
            let lines = logs.next().await.lines;
            logs.done();
            if let Some(last) = lines.last().filter(|line| line.message.contains('ä')) {
                assert!(last.message.len() <= MAX_MESSAGE);
                break;
            }
        }
        logs.flushed().await;
    }
}
