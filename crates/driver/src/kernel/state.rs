//! Where a session is, and the steps from there. It emits nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::broker::Interaction;
use super::items::Items;
use crate::event::RawMessage;
use crate::{Draft, ResumeRef};

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The backend is being started.
    Starting,
    /// It waits for input.
    Ready,
    /// A turn runs.
    Running,
    /// A turn runs, and somebody has to answer it.
    NeedsApproval,
    /// It is being stopped.
    Stopping,
    /// It was stopped.
    Stopped,
    /// Its backend is gone for good.
    Failed,
}

impl State {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, State::Stopped | State::Failed)
    }
}

/// The state without what follows from the open questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Ready,
    Running,
    Stopping,
    Stopped,
    Failed,
}

/// The turn that runs.
pub(crate) struct Turn {
    pub(crate) id: Ulid,
    pub(crate) began: Instant,
    /// Somebody wants it to end, and why.
    pub(crate) cancelled: Option<String>,
    pub(crate) items: Items,
    /// What the vendor answered to it, where messages are wanted.
    pub(crate) answer: Option<Arc<RawMessage>>,
}

/// What a session knows of itself.
pub(crate) struct Session {
    pub(crate) phase: Phase,
    pub(crate) turn: Option<Turn>,
    /// Turns that were asked for and have not begun, and whether they were taken back.
    pub(crate) pending: HashMap<Ulid, bool>,
    /// Questions that nobody has answered yet.
    pub(crate) open: HashMap<String, Interaction>,
    /// How often an id was used for a question: a vendor may repeat them.
    pub(crate) used: HashMap<String, u32>,
    pub(crate) resume: Option<ResumeRef>,
    pub(crate) cost_total: Option<f64>,
    /// Starts since the last turn that ended by itself.
    pub(crate) restarts: u32,
    /// What is said before `session.started`, which goes before it.
    pub(crate) held: Option<Vec<Draft>>,
}

impl Session {
    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::Starting => State::Starting,
            Phase::Ready => State::Ready,
            Phase::Running if self.open.is_empty() => State::Running,
            Phase::Running => State::NeedsApproval,
            Phase::Stopping => State::Stopping,
            Phase::Stopped => State::Stopped,
            Phase::Failed => State::Failed,
        }
    }

    /// Goes to another phase; whether that is a way there is.
    pub(crate) fn go(&mut self, to: Phase) -> bool {
        use Phase::{Failed, Ready, Running, Starting, Stopped, Stopping};
        let legal = matches!(
            (self.phase, to),
            (Starting, Ready)
                | (Ready, Running | Starting)
                | (Running, Ready | Starting)
                | (Starting | Ready | Running, Stopping)
                | (Stopping, Stopped)
                | (Starting | Ready | Running | Stopping, Failed)
        );
        debug_assert!(legal, "no way from {:?} to {to:?}", self.phase);
        if legal {
            self.phase = to;
        }
        legal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(phase: Phase) -> Session {
        Session {
            phase,
            turn: None,
            pending: HashMap::new(),
            open: HashMap::new(),
            used: HashMap::new(),
            resume: None,
            cost_total: None,
            restarts: 0,
            held: None,
        }
    }

    #[test]
    fn ways_are_those_of_the_table() {
        use Phase::{Failed, Ready, Running, Starting, Stopped, Stopping};
        let all = [Starting, Ready, Running, Stopping, Stopped, Failed];
        let ways: &[(Phase, &[Phase])] = &[
            (Starting, &[Ready, Stopping, Failed]),
            (Ready, &[Starting, Running, Stopping, Failed]),
            (Running, &[Starting, Ready, Stopping, Failed]),
            (Stopping, &[Stopped, Failed]),
            (Stopped, &[]),
            (Failed, &[]),
        ];
        for (from, to) in ways {
            for next in all {
                let went = std::panic::catch_unwind(|| session(*from).go(next)).unwrap_or(false);
                assert_eq!(went, to.contains(&next), "{from:?} to {next:?}");
            }
        }
    }
}
