//! Rows of the report: a figure with its native counterpart, or the error that took its place.

use serde::Serialize;

use crate::failure::Failure;
use crate::stats::{self, Summary};

/// A row. Figures are absent in a row with an error, native ones where there is no counterpart.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Unit of the figures.
    pub(crate) unit: &'static str,
    /// Samples.
    pub(crate) n: usize,
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) max: Option<f64>,
    /// Median of the native counterpart, in the same unit.
    pub(crate) native_p50: Option<f64>,
    /// `p50` over `native_p50`.
    pub(crate) ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl Row {
    /// A row of samples.
    pub(crate) fn measured(name: &str, unit: &'static str, ours: &[f64], native: &[f64]) -> Row {
        let Some(Summary { n, p50, p90, p99, max }) = stats::summary(ours) else {
            return Row::failed(name, unit, &Failure::wrong("no samples"));
        };
        let native_p50 = stats::summary(native).map(|s| s.p50);
        let ratio = native_p50.filter(|native| *native > 0.0).map(|native| p50 / native);
        Row {
            name: name.to_owned(),
            unit,
            n,
            p50: Some(p50),
            p90: Some(p90),
            p99: Some(p99),
            max: Some(max),
            native_p50,
            ratio,
            note: None,
            error: None,
        }
    }

    /// A row of one value.
    pub(crate) fn value(name: &str, unit: &'static str, value: f64) -> Row {
        Row::measured(name, unit, &[value], &[])
    }

    /// A row without a figure.
    pub(crate) fn failed(name: &str, unit: &'static str, failure: &Failure) -> Row {
        Row {
            name: name.to_owned(),
            unit,
            n: 0,
            p50: None,
            p90: None,
            p99: None,
            max: None,
            native_p50: None,
            ratio: None,
            note: None,
            error: Some(failure.to_string()),
        }
    }

    /// With a remark.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Row {
        self.note = Some(note.into());
        self
    }
}
