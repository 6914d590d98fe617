//! What is known of the turn that runs, and of turns that are over. It reads no messages.

use std::collections::{BTreeMap, HashMap, VecDeque};

use ulid::Ulid;

use super::failure::Failure;
use super::wire::Incoming;

/// Turns whose late messages are told from those of the next one.
const MAX_OVER: usize = 64;
/// Ids of items that are remembered.
const MAX_NAMES: usize = 8192;
/// Messages that wait for the id of their turn, and their bytes.
const MAX_EARLY: (usize, usize) = (256, 4 << 20);
/// Items of a turn that are open at once.
pub(super) const MAX_ITEMS: usize = 512;
/// How often a vendor that refuses to interrupt is asked again.
const MAX_INTERRUPTS: u8 = 3;

/// An item that has begun and has not ended.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Our id of it.
    pub(super) id: String,
    /// It began, and nobody knows whether it runs.
    pub(super) pending: bool,
    /// It was refused: it will not run.
    pub(super) refused: bool,
    /// Only a request has told of it yet.
    pub(super) guessed: bool,
    /// The host has given the vendor its result.
    pub(super) told: bool,
}

/// The turn that runs.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) run: Ulid,
    /// The vendor's id; nothing until it is told.
    pub(super) native: Option<String>,
    /// It is to end.
    pub(super) cancelled: bool,
    interrupting: bool,
    interrupts: u8,
    /// An error after which the vendor does not go on.
    pub(super) error: Option<Failure>,
    /// By the vendor's ids.
    pub(super) items: BTreeMap<String, Open>,
    /// The plan has begun.
    pub(super) plan: bool,
    /// A compaction was seen as an item.
    pub(super) compacted: bool,
    early: Vec<Incoming>,
    early_bytes: usize,
}

impl Turn {
    pub(super) fn new(run: Ulid) -> Self {
        Turn {
            run,
            native: None,
            cancelled: false,
            interrupting: false,
            interrupts: 0,
            error: None,
            items: BTreeMap::new(),
            plan: false,
            compacted: false,
            early: Vec::new(),
            early_bytes: 0,
        }
    }

    /// Keeps a message until the id of the turn is known; whether there was room.
    pub(super) fn keep(&mut self, message: Incoming, bytes: usize) -> bool {
        self.early_bytes = self.early_bytes.saturating_add(bytes);
        self.early.push(message);
        self.early.len() < MAX_EARLY.0 && self.early_bytes < MAX_EARLY.1
    }

    pub(super) fn take_early(&mut self) -> Vec<Incoming> {
        self.early_bytes = 0;
        std::mem::take(&mut self.early)
    }

    /// Whether the vendor is to be asked to interrupt now. Once, and again only if it refuses.
    pub(super) fn interrupt(&mut self) -> bool {
        let now = self.cancelled && !self.interrupting && self.native.is_some();
        let now = now && self.interrupts < MAX_INTERRUPTS;
        if now {
            self.interrupting = true;
            self.interrupts += 1;
        }
        now
    }

    /// The vendor refused: it may not have begun yet.
    pub(super) fn not_interrupted(&mut self) {
        self.interrupting = false;
    }
}

/// Ids of turns that are over, the last ones.
#[derive(Debug, Default)]
pub(super) struct Over(VecDeque<String>);

impl Over {
    pub(super) fn add(&mut self, turn: String) {
        if self.0.len() >= MAX_OVER {
            self.0.pop_front();
        }
        self.0.push_back(turn);
    }

    pub(super) fn has(&self, turn: &str) -> bool {
        self.0.iter().any(|over| over == turn)
    }
}

/// Our ids of items: those of the vendor, but for one that it uses again in another turn.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// In which turn an id was first used.
    turns: HashMap<String, String>,
    order: VecDeque<String>,
}

impl Names {
    pub(super) fn of(&mut self, item: &str, turn: &str) -> String {
        match self.turns.get(item) {
            Some(first) if first == turn => item.to_owned(),
            Some(_) => format!("{turn}:{item}"),
            None => {
                if self.order.len() >= MAX_NAMES
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.turns.remove(&oldest);
                }
                self.turns.insert(item.to_owned(), turn.to_owned());
                self.order.push_back(item.to_owned());
                item.to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_used_again_gets_the_name_of_its_turn() {
        let mut names = Names::default();
        let all =
            [("a", "t1", "a"), ("a", "t1", "a"), ("a", "t2", "t2:a"), ("b", "t2", "b"), ("a", "t2", "t2:a")];
        for (item, turn, expected) in all {
            assert_eq!(names.of(item, turn), expected);
        }
    }

    #[test]
    fn what_is_remembered_has_a_limit() {
        let (mut names, mut over) = (Names::default(), Over::default());
        for n in 0..2 * MAX_NAMES {
            names.of(&n.to_string(), "t");
            over.add(n.to_string());
        }
        assert_eq!((names.turns.len(), names.order.len(), over.0.len()), (MAX_NAMES, MAX_NAMES, MAX_OVER));
        assert!(over.has(&(2 * MAX_NAMES - 1).to_string()) && !over.has("0"));
        let mut turn = Turn::new(Ulid::nil());
        let message = || Incoming::Other("x");
        let kept = (0..2 * MAX_EARLY.0).take_while(|_| turn.keep(message(), 1)).count();
        assert_eq!(kept, MAX_EARLY.0 - 1);
        turn.take_early();
        assert!(!turn.keep(message(), MAX_EARLY.1));
    }

    #[test]
    fn a_vendor_is_asked_to_interrupt_once_and_again_only_if_it_refuses() {
        let mut turn = Turn::new(Ulid::nil());
        turn.cancelled = true;
        assert!(!turn.interrupt(), "the turn has no id yet");
        turn.native = Some("u".to_owned());
        assert!(turn.interrupt() && !turn.interrupt());
        turn.not_interrupted();
        assert!(turn.interrupt());
        turn.not_interrupted();
        assert!(turn.interrupt());
        turn.not_interrupted();
        assert!(!turn.interrupt(), "three times is enough");
    }
}
