//! The end of a turn: how it ended, what it used, what it cost. The vendor counts cost over the whole session; a turn's
//! share of it is told here.

use serde_json::{Map, Value};
use ulid::Ulid;

use super::{Effect, Translator, diagnostic, of_turn, session};
use crate::ErrorInfo;
use crate::backend::TurnOutcome;
use crate::backend::claude::wire::{count, flag, list, shortened, text, word};
use crate::event::{Basis, Body, Severity, StopReason, Usage};

/// The longest message of an error, in bytes.
const MESSAGE: usize = 4096;

/// What the session has cost.
#[derive(Debug, Default)]
pub(super) struct Cost {
    /// By the last result; nothing if it is not known.
    total: Option<f64>,
    /// Whether a process has begun before.
    begun: bool,
}

/// What a turn cost.
#[derive(Debug, PartialEq)]
enum Share {
    Known(f64),
    /// There is nothing to tell it by.
    Unknown,
    /// The vendor counts less than before.
    Negative,
}

impl Cost {
    /// A new process begins. What is known of an earlier one of this session holds; a new session begins at nothing.
    pub(super) fn process(&mut self, resumes: bool, stored: Option<f64>) {
        self.total = match (resumes, self.begun) {
            (false, _) => Some(0.0),
            (true, false) => stored,
            (true, true) => self.total.or(stored),
        };
        self.begun = true;
    }

    /// The share of a turn, and the new total.
    fn share(&mut self, result: &Value) -> Share {
        let total = result.get("total_cost_usd").and_then(Value::as_f64).filter(|total| total.is_finite());
        let before = self.total;
        if total.is_some() {
            self.total = total;
        }
        let since = result.get("model_usage_since_last_result").and_then(Value::as_object);
        let costs = since.into_iter().flat_map(Map::values).filter_map(|of| of.get("costUSD")?.as_f64());
        let share = match (costs.fold(None, |sum: Option<f64>, cost| Some(sum.unwrap_or(0.0) + cost)), total)
        {
            (Some(sum), _) => sum,
            (None, Some(total)) => match before {
                Some(before) => total - before,
                None => return Share::Unknown,
            },
            (None, None) => return Share::Unknown,
        };
        match rounded(share) {
            share if !share.is_finite() => Share::Unknown,
            share if share < 0.0 => Share::Negative,
            share => Share::Known(share),
        }
    }
}

/// To a billionth: differences of sums have tails.
fn rounded(amount: f64) -> f64 {
    let scaled = amount * 1e9;
    if scaled.is_finite() { scaled.round() / 1e9 } else { amount }
}

impl Translator {
    /// The vendor's turn has ended.
    pub(super) fn result(&mut self, result: &Value, effects: &mut Vec<Effect>) {
        let subtype = text(result, "subtype").unwrap_or_default();
        let share = self.cost.share(result);
        if share == Share::Negative {
            let text = "the agent counts less cost than before: what the turn cost is not known";
            let of = diagnostic("claude.cost_decreased", Severity::Warn, text);
            effects.push(session(Body::DiagnosticReported(of)));
        }
        if subtype != "success"
            && let Some(error) = self.lose()
        {
            if let Some(turn) = self.turn.take() {
                let mut messages = turn.messages;
                effects.extend(messages.give_up(turn.id));
                effects.push(Effect::Ended(TurnOutcome::Lost { error }));
            }
            return;
        }
        if let (Some(id), Some(total)) = (&self.process.session, self.cost.total) {
            effects.push(Effect::Resumable(id.clone(), Some(total)));
        }
        // A turn that nobody began has its cost, and that is all.
        let Some(mut turn) = self.turn.take() else { return };
        effects.extend(turn.messages.give_up(turn.id));
        self.window = window(result).or(self.window);
        let cost = if let Share::Known(cost) = share { Some(cost) } else { None };
        if let Some(mut usage) = usage(turn.id, result, cost) {
            usage.context_window = self.window;
            usage.context_used = turn.context_used;
            effects.push(of_turn(turn.id, Body::UsageUpdated(usage)));
        }
        effects.push(Effect::Ended(outcome(subtype, result, turn.unwanted, turn.error)));
    }
}

fn outcome(subtype: &str, result: &Value, unwanted: bool, vendor_error: Option<String>) -> TurnOutcome {
    let ended = word(result, "terminal_reason").unwrap_or_default();
    let aborted = ended.starts_with("aborted");
    if subtype == "success" && !flag(result, "is_error") && !(unwanted && aborted) {
        let stop_reason = match word(result, "stop_reason") {
            Some("max_tokens" | "model_context_window_exceeded") => StopReason::MaxTokens,
            Some("refusal") => StopReason::Refusal,
            _ => StopReason::EndTurn,
        };
        return TurnOutcome::Completed { stop_reason };
    }
    if unwanted {
        return TurnOutcome::Cancelled;
    }
    let status = count(result, "api_error_status");
    let code = match subtype {
        "success" => "claude.api_error".to_owned(),
        "" => "claude.error".to_owned(),
        other => format!("claude.{}", shortened(other, 64)),
    };
    let errors: Vec<&str> = list(result, "errors").filter_map(Value::as_str).collect();
    let message = match (errors.is_empty(), word(result, "result"), ended) {
        (false, ..) => errors.join("\n"),
        (true, Some(said), _) => said.to_owned(),
        (true, None, "") => "the agent failed".to_owned(),
        (true, None, ended) => format!("the agent failed: {ended}"),
    };
    let mut error = ErrorInfo::new(code, shortened(&message, MESSAGE));
    error.retryable = status.is_some_and(|status| status == 429 || (500..600).contains(&status));
    for (name, value) in [
        ("apiErrorStatus", status.map(Value::from)),
        ("terminalReason", (!ended.is_empty()).then(|| shortened(ended, 128).into())),
        ("vendorError", vendor_error.map(Value::from)),
    ] {
        if let Some(value) = value {
            error.details.insert(name.to_owned(), value);
        }
    }
    let limit = matches!(subtype, "error_max_turns" | "error_max_budget_usd");
    let stop_reason = if limit { StopReason::MaxTurns } else { StopReason::Error };
    TurnOutcome::Failed { error, stop_reason }
}

/// The largest window of the models that were used.
fn window(result: &Value) -> Option<u64> {
    let models = result.get("modelUsage").and_then(Value::as_object)?;
    models.values().filter_map(|of| count(of, "contextWindow")).max()
}

fn usage(turn_id: Ulid, result: &Value, cost: Option<f64>) -> Option<Usage> {
    let of = result.get("usage").filter(|of| of.is_object());
    if of.is_none() && cost.is_none() {
        return None;
    }
    let of = of.unwrap_or(&Value::Null);
    let tokens = |name| count(of, name).unwrap_or(0);
    let (input, output) = (tokens("input_tokens"), tokens("output_tokens"));
    let (read, write) = (tokens("cache_read_input_tokens"), tokens("cache_creation_input_tokens"));
    Some(Usage {
        turn_id,
        input_tokens: input,
        output_tokens: output,
        cache_read_tokens: read,
        cache_write_tokens: write,
        reasoning_tokens: of.get("output_tokens_details").and_then(|of| count(of, "thinking_tokens")),
        total_tokens: [input, output, read, write].into_iter().fold(0, u64::saturating_add),
        cost_amount: cost,
        cost_currency: cost.map(|_| "USD".to_owned()),
        basis: Basis::Exclusive,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn total(total: f64) -> Value {
        json!({ "total_cost_usd": total })
    }

    #[test]
    fn a_turn_costs_what_the_total_grew_by() {
        let mut cost = Cost::default();
        cost.process(false, None);
        let shares = [0.000171, 0.000513, 0.000855].map(|sum| cost.share(&total(sum)));
        assert_eq!(shares, [Share::Known(0.000171), Share::Known(0.000342), Share::Known(0.000342)]);
        // Another process that resumes goes on counting.
        cost.process(true, None);
        assert_eq!(cost.share(&total(0.001197)), Share::Known(0.000342));
    }

    #[test]
    fn a_resumed_session_begins_at_the_stored_total() {
        let mut cost = Cost::default();
        cost.process(true, Some(0.5));
        assert_eq!(cost.share(&total(0.75)), Share::Known(0.25));
    }

    #[test]
    fn without_a_stored_total_the_first_turn_has_no_cost() {
        let mut cost = Cost::default();
        cost.process(true, None);
        assert_eq!(cost.share(&total(0.75)), Share::Unknown);
        assert_eq!(cost.share(&total(1.0)), Share::Known(0.25));
    }

    #[test]
    fn what_the_vendor_says_of_the_models_goes_first() {
        let mut cost = Cost::default();
        cost.process(true, None);
        let result = json!({
            "total_cost_usd": 9.0,
            "model_usage_since_last_result": { "a": { "costUSD": 0.25 }, "b": { "costUSD": 0.5 }, "c": 7 },
        });
        assert_eq!(cost.share(&result), Share::Known(0.75));
        assert_eq!(cost.share(&total(9.5)), Share::Known(0.5));
    }

    #[test]
    fn a_total_that_went_down_is_the_new_base() {
        let mut cost = Cost::default();
        cost.process(false, None);
        assert_eq!(cost.share(&total(1.0)), Share::Known(1.0));
        assert_eq!(cost.share(&total(0.5)), Share::Negative);
        assert_eq!(cost.share(&total(0.75)), Share::Known(0.25));
        assert_eq!(cost.share(&json!({})), Share::Unknown);
        assert_eq!(cost.share(&json!({ "total_cost_usd": "much" })), Share::Unknown);
    }

    #[test]
    fn results_are_what_they_say_and_not_what_they_are_called() {
        let of = |result: Value, unwanted| {
            let subtype = result["subtype"].as_str().unwrap_or_default().to_owned();
            match outcome(&subtype, &result, unwanted, None) {
                TurnOutcome::Completed { stop_reason } => format!("{stop_reason:?}"),
                TurnOutcome::Cancelled => "cancelled".to_owned(),
                TurnOutcome::Failed { error, stop_reason } => {
                    format!("{stop_reason:?} {} {}", error.code, error.retryable)
                }
                TurnOutcome::Lost { .. } => "lost".to_owned(),
            }
        };
        let success = |stop: &str| json!({ "subtype": "success", "is_error": false, "stop_reason": stop });
        for (result, unwanted, expected) in [
            (success("end_turn"), false, "EndTurn"),
            (success("max_tokens"), false, "MaxTokens"),
            (success("refusal"), false, "Refusal"),
            (success("tool_use"), false, "EndTurn"),
            (success("end_turn"), true, "EndTurn"),
            (
                json!({ "subtype": "success", "is_error": false, "terminal_reason": "aborted_tools" }),
                true,
                "cancelled",
            ),
            (
                json!({ "subtype": "success", "is_error": true, "api_error_status": 529 }),
                false,
                "Error claude.api_error true",
            ),
            (
                json!({ "subtype": "success", "is_error": true, "api_error_status": 400 }),
                false,
                "Error claude.api_error false",
            ),
            (json!({ "subtype": "success", "is_error": true, "api_error_status": 429 }), true, "cancelled"),
            (
                json!({ "subtype": "error_max_turns", "is_error": true }),
                false,
                "MaxTurns claude.error_max_turns false",
            ),
            (
                json!({ "subtype": "error_max_budget_usd" }),
                false,
                "MaxTurns claude.error_max_budget_usd false",
            ),
            (
                json!({ "subtype": "error_during_execution" }),
                false,
                "Error claude.error_during_execution false",
            ),
            (json!({ "subtype": "error_during_execution" }), true, "cancelled"),
            (json!({}), false, "Error claude.error false"),
        ] {
            assert_eq!(of(result.clone(), unwanted), expected, "{result} {unwanted}");
        }
    }
}
