//! What a turn cost, by difference: agents report what the session has cost until now. It knows nothing of tokens.

use serde_json::Value;

use super::member;

/// What the session has cost, and from where this turn counts.
#[derive(Debug)]
pub(super) struct Costs {
    /// What it had cost when the turn began; nothing if nobody knows.
    base: Option<f64>,
    /// The newest figure.
    total: Option<f64>,
    currency: Option<String>,
    /// No amount can be told for this turn.
    unknown: bool,
}

/// What a new figure says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// Nothing.
    Nothing,
    /// The turn has cost this, in this currency.
    Turn(f64, Option<String>),
    /// It is less than before, or in another currency: no difference can be made.
    Reset,
}

impl Costs {
    /// Of a session that had cost this much; nothing if nobody knows.
    pub(super) fn new(base: Option<f64>) -> Self {
        Costs { base, total: None, currency: None, unknown: false }
    }

    /// A new figure: `cost{amount,currency}`.
    pub(super) fn report(&mut self, cost: &Value, in_turn: bool) -> Said {
        let Some(total) = cost.get("amount").and_then(Value::as_f64).filter(|total| *total >= 0.0) else {
            return Said::Nothing;
        };
        let currency = member::text(cost, "currency").map(|text| member::printable(text, 16));
        let other = self.currency.is_some() && currency.is_some() && self.currency != currency;
        if currency.is_some() {
            self.currency = currency;
        }
        let before = self.total.or(self.base);
        self.total = Some(total);
        if other || before.is_some_and(|before| total < before) {
            (self.base, self.unknown) = (Some(total), in_turn);
            return Said::Reset;
        }
        match self.base {
            None => {
                (self.base, self.unknown) = (Some(total), in_turn);
                Said::Nothing
            }
            // What comes between turns is counted with the next one.
            Some(base) if in_turn && !self.unknown => {
                Said::Turn(((total - base) * 1e9).round() / 1e9, self.currency.clone())
            }
            Some(_) => Said::Nothing,
        }
    }

    /// The turn ended: the next one counts from here. What the session has cost, if there was a figure.
    pub(super) fn end_turn(&mut self) -> Option<f64> {
        self.base = self.total.or(self.base);
        self.unknown = false;
        self.total
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn usd(amount: f64) -> Value {
        json!({"amount": amount, "currency": "USD"})
    }

    fn turn(amount: f64) -> Said {
        Said::Turn(amount, Some("USD".to_owned()))
    }

    #[test]
    fn a_turn_costs_the_difference() {
        let mut costs = Costs::new(Some(0.0));
        assert_eq!(costs.report(&usd(0.000171), true), turn(0.000171));
        assert_eq!(costs.end_turn(), Some(0.000171));
        assert_eq!(costs.report(&usd(0.0003), true), turn(0.000129));
        assert_eq!(costs.report(&usd(0.000513), true), turn(0.000342));
        costs.end_turn();
        // Said late: it counts with the next turn.
        assert_eq!(costs.report(&usd(0.0006), false), Said::Nothing);
        assert_eq!(costs.report(&usd(0.000855), true), turn(0.000342));
    }

    #[test]
    fn a_resumed_session_counts_from_what_it_had_cost() {
        let mut costs = Costs::new(Some(0.000855));
        assert_eq!(costs.report(&usd(0.001197), true), turn(0.000342));
        let mut unknown = Costs::new(None);
        assert_eq!(unknown.report(&usd(5.0), true), Said::Nothing);
        assert_eq!(unknown.report(&usd(6.0), true), Said::Nothing);
        assert_eq!(unknown.end_turn(), Some(6.0));
        assert_eq!(unknown.report(&usd(6.5), true), turn(0.5));
        let mut told = Costs::new(None);
        assert_eq!(told.report(&usd(5.0), false), Said::Nothing);
        assert_eq!(told.report(&usd(6.0), true), turn(1.0));
    }

    #[test]
    fn less_than_before_or_another_currency_starts_anew() {
        let mut costs = Costs::new(Some(2.0));
        assert_eq!(costs.report(&usd(1.0), true), Said::Reset);
        assert_eq!(costs.report(&usd(1.5), true), Said::Nothing);
        costs.end_turn();
        assert_eq!(costs.report(&usd(1.75), true), turn(0.25));
        assert_eq!(costs.report(&json!({"amount": 9, "currency": "EUR"}), true), Said::Reset);
        for nothing in [json!(null), json!({"amount": "1"}), json!({"amount": -1}), json!(3)] {
            assert_eq!(costs.report(&nothing, true), Said::Nothing);
        }
    }
}
