//! Functions of strings, and between strings and other values.

use super::Table;
use crate::json::{number, parse, print::compact};
use crate::ops::{self, Outcome, described, fail};
use crate::value::Value;

pub(super) const TABLE: Table = &[
    ("utf8bytelength", 0, |_, v, _| match &v {
        Value::Str(s) => Ok(Value::count(s.len())),
        v => fail(format!("{} only strings have UTF-8 byte length", described(v))),
    }),
    ("tostring", 0, |_, v, _| Ok(text(v))),
    ("tojson", 0, |_, v, _| Ok(compact(&v).into())),
    ("fromjson", 0, |_, v, _| match &v {
        Value::Str(s) => parse::one(s).or_else(|e| fail(format!("{e} (while parsing '{s}')"))),
        v => fail(format!("{} only strings can be parsed", described(v))),
    }),
    ("tonumber", 0, |_, v, _| match &v {
        Value::Num(_) => Ok(v),
        Value::Str(s) => match number::parse(s.trim_matches([' ', '\t', '\n', '\r']).as_bytes()) {
            Some(n) => Ok(Value::Num(n)),
            // The message of the parser that jq asks.
            None => match parse::one(s) {
                Err(e) => fail(format!("{e} (while parsing '{s}')")),
                Ok(_) => fail(format!("{} cannot be parsed as a number", described(&v))),
            },
        },
        v => fail(format!("{} cannot be parsed as a number", described(v))),
    }),
    ("explode", 0, |_, v, _| match &v {
        Value::Str(s) => Ok(s.chars().map(|c| Value::Num(f64::from(u32::from(c)))).collect()),
        _ => fail("explode input must be a string"),
    }),
    ("implode", 0, |_, v, _| {
        let Value::Arr(list) = &v else { return fail("implode input must be an array") };
        let mut out = String::new();
        for item in list.iter() {
            let Value::Num(n) = item else { return fail("Unicode codepoint must be numeric") };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
            let c = char::from_u32(*n as u32).unwrap_or('\u{fffd}');
            out.push(c);
        }
        Ok(out.into())
    }),
    ("ascii_downcase", 0, |_, v, _| match &v {
        Value::Str(s) => Ok(s.to_ascii_lowercase().into()),
        _ => fail("explode input must be a string"),
    }),
    ("ascii_upcase", 0, |_, v, _| match &v {
        Value::Str(s) => Ok(s.to_ascii_uppercase().into()),
        _ => fail("explode input must be a string"),
    }),
    ("ltrimstr", 1, |_, v, args| match (&v, &args[0]) {
        (Value::Str(s), Value::Str(x)) => Ok(s.strip_prefix(&**x).map_or(v.clone(), Value::from)),
        _ => Ok(v),
    }),
    ("rtrimstr", 1, |_, v, args| match (&v, &args[0]) {
        (Value::Str(s), Value::Str(x)) => Ok(s.strip_suffix(&**x).map_or(v.clone(), Value::from)),
        _ => Ok(v),
    }),
    ("trim", 0, |_, v, _| trimmed(&v, str::trim)),
    ("ltrim", 0, |_, v, _| trimmed(&v, str::trim_start)),
    ("rtrim", 0, |_, v, _| trimmed(&v, str::trim_end)),
    ("startswith", 1, |_, v, args| match (&v, &args[0]) {
        (Value::Str(s), Value::Str(x)) => Ok(s.starts_with(&**x).into()),
        _ => fail("startswith() requires string inputs"),
    }),
    ("endswith", 1, |_, v, args| match (&v, &args[0]) {
        (Value::Str(s), Value::Str(x)) => Ok(s.ends_with(&**x).into()),
        _ => fail("endswith() requires string inputs"),
    }),
    ("split", 1, |_, v, args| match (&v, &args[0]) {
        (Value::Str(s), Value::Str(x)) => Ok(ops::split(s, x)),
        _ => fail("split input and separator must be strings"),
    }),
    ("format", 1, |_, v, args| match &args[0] {
        Value::Str(name) => match super::Format::named(name) {
            Some(format) => format.apply(&v),
            None => fail(format!("{name} is not a valid format")),
        },
        f => fail(format!("{} is not a valid format", described(f))),
    }),
];

/// A string as it stands, any other value as JSON.
pub(super) fn text(v: Value) -> Value {
    match v {
        Value::Str(_) => v,
        v => compact(&v).into(),
    }
}

fn trimmed(v: &Value, by: fn(&str) -> &str) -> Outcome {
    match v {
        Value::Str(s) => Ok(by(s).into()),
        v => fail(format!("{} cannot be trimmed", described(v))),
    }
}

/// Where `part` is found in `text`, overlapping, in characters.
pub(super) fn indices(text: &str, part: &str) -> Value {
    if part.is_empty() {
        return Value::Null;
    }
    let mut found = Vec::new();
    let (mut from, mut chars) = (0, 0);
    while let Some(at) = text[from..].find(part) {
        chars += text[from..from + at].chars().count();
        found.push(Value::count(chars));
        let step = text[from + at..].chars().next().map_or(1, char::len_utf8);
        from += at + step;
        chars += 1;
    }
    found.into()
}
