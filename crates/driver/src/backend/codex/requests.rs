//! Requests of ours that the vendor has not answered: their ids, and who waits for each.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::sync::oneshot;
use ulid::Ulid;

use super::wire::RpcError;

/// Requests that are open at once. More than that are never asked at a time: those beyond are of a vendor that does not
/// answer, and the oldest is given up.
const MAX_OPEN: usize = 64;

/// The answer to a request.
pub(super) type Answer = Result<Value, RpcError>;

/// Who waits for an answer.
#[derive(Debug)]
pub(super) enum Waiter {
    /// A call.
    Call(oneshot::Sender<Answer>),
    /// The start of a turn: its answer counts in the order of what the vendor says.
    TurnStart(Ulid),
    /// The interrupt of a turn.
    Interrupt(Ulid),
}

/// The requests that are open.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: u64,
    open: BTreeMap<u64, Waiter>,
}

impl Requests {
    /// The id of a new one.
    pub(super) fn open(&mut self, waiter: Waiter) -> u64 {
        if self.open.len() >= MAX_OPEN {
            self.open.pop_first();
        }
        self.last += 1;
        self.open.insert(self.last, waiter);
        self.last
    }

    /// Who waits for the answer to this.
    pub(super) fn take(&mut self, id: u64) -> Option<Waiter> {
        self.open.remove(&id)
    }

    /// Nobody is there to answer any more.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_an_id_of_its_own_and_one_answer() {
        let mut requests = Requests::default();
        let first = requests.open(Waiter::Interrupt(Ulid::nil()));
        let (sender, _waits) = oneshot::channel();
        let second = requests.open(Waiter::Call(sender));
        assert!(first != second);
        assert!(matches!(requests.take(first), Some(Waiter::Interrupt(_))));
        assert!(requests.take(first).is_none() && requests.take(99).is_none());
        assert!(matches!(requests.take(second), Some(Waiter::Call(_))));
    }

    #[test]
    fn a_vendor_that_never_answers_fills_nothing() {
        let mut requests = Requests::default();
        for _ in 0..3 * MAX_OPEN {
            requests.open(Waiter::TurnStart(Ulid::nil()));
        }
        assert_eq!(requests.open.len(), MAX_OPEN);
        requests.clear();
        assert!(requests.open.is_empty());
    }
}
