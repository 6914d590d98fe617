//! Six and seven fields, in the dialect of the crate `cron`, which also reads them. Here it is only made sure that a field
//! is one field, for that reader needs no spaces, and said which one is wrong.

use super::{DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH, SECOND, YEAR};

/// Name of a field, and what it takes.
const FIELDS: [(&str, &str); 7] = [
    (SECOND, "0 to 59"),
    (MINUTE, "0 to 59"),
    (HOUR, "0 to 23"),
    (DAY_OF_MONTH, "1 to 31"),
    (MONTH, "1 to 12, or jan to dec"),
    (DAY_OF_WEEK, "1 (Sunday) to 7 (Saturday), or sun to sat; 0 is Sunday with five fields only"),
    (YEAR, "1970 to 2100"),
];

/// Reads six or seven fields.
pub(super) fn parse(fields: &[&str]) -> Result<::cron::Schedule, String> {
    let wrong = |at: usize| {
        let (name, takes) = FIELDS.get(at).copied().unwrap_or_default();
        format!("{name}: {:?} is not right; it takes {takes}", fields.get(at).copied().unwrap_or_default())
    };
    if let Some(at) = fields.iter().position(|field| !is_one(field)) {
        return Err(wrong(at));
    }
    ::cron::Schedule::try_from(fields.join(" ")).map_err(|error| {
        let alone = |at: &usize| {
            let others = fields.iter().enumerate().map(|(n, field)| if n == *at { field } else { "*" });
            ::cron::Schedule::try_from(others.collect::<Vec<_>>().join(" ")).is_err()
        };
        (0..fields.len()).find(alone).map_or_else(|| error.to_string(), wrong)
    })
}

/// A list of stars, values and ranges, each with a step or without.
fn is_one(field: &str) -> bool {
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    field.split(',').all(|item| {
        let (span, step) = item.split_once('/').map_or((item, None), |(span, step)| (span, Some(step)));
        let span_is_one = matches!(span, "*" | "?")
            || span.split_once('-').map_or_else(|| word(span), |(low, high)| word(low) && word(high));
        span_is_one && step.is_none_or(word)
    })
}
