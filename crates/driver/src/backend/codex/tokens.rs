//! What a turn used: the vendor counts by request (`last`) and by thread (`total`), events count by turn. It has no cost:
//! this vendor names none.

use serde_json::Value;
use ulid::Ulid;

use crate::event::{Basis, Usage};

/// Counts of one kind of update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tokens {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    reasoning: u64,
    total: u64,
}

impl Tokens {
    fn read(counts: &Value) -> Option<Self> {
        counts.as_object()?;
        let count = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or(0);
        let (input, output) = (count("inputTokens"), count("outputTokens"));
        Some(Tokens {
            input,
            output,
            cache_read: count("cachedInputTokens"),
            cache_write: count("cacheWriteInputTokens"),
            reasoning: count("reasoningOutputTokens"),
            total: counts.get("totalTokens").and_then(Value::as_u64).unwrap_or(input.saturating_add(output)),
        })
    }

    fn pairs(self, other: Tokens, of: impl Fn(u64, u64) -> Option<u64>) -> Option<Tokens> {
        Some(Tokens {
            input: of(self.input, other.input)?,
            output: of(self.output, other.output)?,
            cache_read: of(self.cache_read, other.cache_read)?,
            cache_write: of(self.cache_write, other.cache_write)?,
            reasoning: of(self.reasoning, other.reasoning)?,
            total: of(self.total, other.total)?,
        })
    }

    /// What came since; nothing if any count went back.
    fn since(self, before: Tokens) -> Option<Tokens> {
        self.pairs(before, u64::checked_sub)
    }

    fn plus(self, more: Tokens) -> Tokens {
        self.pairs(more, |a, b| Some(a.saturating_add(b))).unwrap_or(self)
    }
}

/// Counts of a thread, and of the turn that runs in it.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Of the thread, as last told; nothing if it was resumed and has told nothing yet.
    thread: Option<Tokens>,
    turn: Tokens,
}

impl Meter {
    /// A thread begins; whether it is a new one.
    pub(super) fn thread(&mut self, is_new: bool) {
        *self = Meter { thread: is_new.then(Tokens::default), turn: Tokens::default() };
    }

    /// A turn begins.
    pub(super) fn turn(&mut self) {
        self.turn = Tokens::default();
    }

    /// What the thread had used by another turn than the one that runs: told again at a resume, or late.
    pub(super) fn other(&mut self, usage: &Value) {
        if let Some(total) = usage.get("total").and_then(Tokens::read) {
            self.thread = Some(total);
        }
    }

    /// What the turn that runs has used by now. The same update may come twice, as it does at an interrupt: the totals
    /// tell, and the last request counts only where they do not.
    pub(super) fn update(&mut self, run: Ulid, usage: &Value) -> Option<Usage> {
        let total = usage.get("total").and_then(Tokens::read);
        let last = usage.get("last").and_then(Tokens::read);
        let by_totals = match (total, self.thread) {
            (Some(total), Some(before)) => total.since(before),
            _ => None,
        };
        let more = by_totals.or(last);
        if total.is_some() {
            self.thread = total;
        }
        self.turn = self.turn.plus(more?);
        Some(Usage {
            turn_id: run,
            input_tokens: self.turn.input,
            output_tokens: self.turn.output,
            cache_read_tokens: self.turn.cache_read,
            cache_write_tokens: self.turn.cache_write,
            reasoning_tokens: Some(self.turn.reasoning),
            total_tokens: self.turn.total,
            context_window: usage.get("modelContextWindow").and_then(Value::as_u64),
            context_used: last.map(|last| last.total),
            basis: Basis::Inclusive,
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn counts(n: u64) -> Value {
        json!({ "totalTokens": 18 * n, "inputTokens": 11 * n, "cachedInputTokens": 2 * n,
            "cacheWriteInputTokens": n, "outputTokens": 7 * n, "reasoningOutputTokens": 3 * n })
    }

    fn update(total: u64, last: u64) -> Value {
        json!({ "total": counts(total), "last": counts(last), "modelContextWindow": 1000 })
    }

    fn totals(meter: &mut Meter, usage: &Value) -> Option<u64> {
        meter.update(Ulid::nil(), usage).map(|usage| usage.total_tokens / 18)
    }

    #[test]
    fn a_turn_counts_its_own_requests_and_a_repeated_update_counts_nothing() {
        let mut meter = Meter::default();
        meter.thread(true);
        meter.turn();
        assert_eq!(totals(&mut meter, &update(1, 1)), Some(1));
        assert_eq!(totals(&mut meter, &update(1, 1)), Some(1));
        assert_eq!(totals(&mut meter, &update(3, 2)), Some(3));
        meter.turn();
        let usage = meter.update(Ulid::nil(), &update(4, 1)).unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.total_tokens), (11, 7, 18));
        assert_eq!(
            (usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens),
            (2, 1, Some(3))
        );
        assert_eq!((usage.context_window, usage.context_used), (Some(1000), Some(18)));
        assert_eq!((usage.basis, usage.cost_amount), (Basis::Inclusive, None));
    }

    #[test]
    fn a_resumed_thread_counts_from_what_is_told_of_old_turns_or_from_the_last_request() {
        let mut told = Meter::default();
        told.thread(false);
        told.other(&update(5, 1));
        told.turn();
        assert_eq!(totals(&mut told, &update(7, 1)), Some(2));
        let mut untold = Meter::default();
        untold.thread(false);
        untold.turn();
        assert_eq!(totals(&mut untold, &update(7, 1)), Some(1));
        assert_eq!(totals(&mut untold, &update(9, 1)), Some(3));
    }

    #[test]
    fn totals_that_go_back_are_not_used() {
        let mut meter = Meter::default();
        meter.thread(true);
        meter.turn();
        assert_eq!(totals(&mut meter, &update(5, 5)), Some(5));
        assert_eq!(totals(&mut meter, &update(1, 1)), Some(6));
        assert_eq!(totals(&mut meter, &json!({ "last": counts(1) })), Some(7));
        assert_eq!(totals(&mut meter, &json!({})), None);
        assert_eq!(totals(&mut meter, &json!([1])), None);
        let huge = json!({ "last": { "totalTokens": u64::MAX, "inputTokens": 1e300, "outputTokens": "x" } });
        assert_eq!(meter.update(Ulid::nil(), &huge).map(|usage| usage.total_tokens), Some(u64::MAX));
    }
}
