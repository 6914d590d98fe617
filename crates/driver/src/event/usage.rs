//! What a turn used of the model.

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// Whether `input_tokens` counts what came from the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// It does not.
    #[default]
    Exclusive,
    /// It does.
    Inclusive,
}

/// The running total of one turn, never of the session; the last one of a turn holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The turn.
    pub turn_id: Ulid,
    /// Always `turn`.
    #[serde(default)]
    pub scope: Scope,
    /// Tokens sent to the model.
    pub input_tokens: u64,
    /// Tokens it wrote.
    pub output_tokens: u64,
    /// Read from its cache.
    pub cache_read_tokens: u64,
    /// Written to its cache.
    pub cache_write_tokens: u64,
    /// Of the output, those of reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// All of them.
    pub total_tokens: u64,
    /// What the turn cost; absent if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_amount: Option<f64>,
    /// `USD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_currency: Option<String>,
    /// Tokens that the model can take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// Of which are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_used: Option<u64>,
    /// How `input_tokens` is counted.
    pub basis: Basis,
}

/// What a [`Usage`] is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One turn.
    #[default]
    Turn,
}
