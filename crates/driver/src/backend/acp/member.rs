//! Members of JSON that may be absent, null or of a wrong type: all three count as not there.

use serde_json::Value;

/// A string.
pub(super) fn text<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    of.get(name)?.as_str()
}

/// A whole number that is not negative.
pub(super) fn count(of: &Value, name: &str) -> Option<u64> {
    of.get(name)?.as_u64()
}

/// The elements of an array; none if it is not one.
pub(super) fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Whether it is there at all: how ACP says that something is supported.
pub(super) fn is_there(of: &Value, name: &str) -> bool {
    of.get(name).is_some_and(|value| !value.is_null() && *value != Value::Bool(false))
}

/// The first bytes of a text of the agent, without what a terminal would act on.
pub(super) fn printable(text: &str, max: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() + c.len_utf8() > max {
            break;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

/// About how many bytes a value takes.
pub(super) fn weight(of: &Value) -> usize {
    match of {
        Value::String(text) => 32 + text.len(),
        Value::Array(all) => 32 + all.iter().map(weight).sum::<usize>(),
        Value::Object(members) => {
            32 + members.iter().map(|(name, value)| 64 + name.len() + weight(value)).sum::<usize>()
        }
        _ => 32,
    }
}
