//! The legacy member `models` of session results, which the schema dropped while every adapter still sends it. Newer
//! agents use a config option of category `model` instead; this file knows nothing of those.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One model an agent offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// For `session/set_model`.
    pub model_id: String,
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
}

/// The models an agent offers and the one in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Models {
    /// In use.
    pub current_model_id: String,
    /// Offered.
    #[serde(default)]
    pub available_models: Vec<Model>,
}

impl Models {
    /// Reads `models` from a raw session result; `None` if it is absent or of another shape.
    #[must_use]
    pub fn from_result(result: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Holder {
            models: Option<Models>,
        }
        serde_json::from_str::<Holder>(result.get()).ok()?.models
    }
}
