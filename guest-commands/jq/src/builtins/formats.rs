//! The formats: `@csv`, `@sh`, `@base64` and the others.

use crate::compile::Piece;
use crate::json::print::compact;
use crate::ops::{Outcome, Stop, described, fail};
use crate::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Html,
    Uri,
    UriDecode,
    Csv,
    Tsv,
    Sh,
    Base64,
    Base64Decode,
    Base32,
    Base32Decode,
}

impl Format {
    pub(crate) fn named(name: &str) -> Option<Format> {
        Some(match name {
            "text" => Format::Text,
            "json" => Format::Json,
            "html" => Format::Html,
            "uri" => Format::Uri,
            "urid" => Format::UriDecode,
            "csv" => Format::Csv,
            "tsv" => Format::Tsv,
            "sh" => Format::Sh,
            "base64" => Format::Base64,
            "base64d" => Format::Base64Decode,
            "base32" => Format::Base32,
            "base32d" => Format::Base32Decode,
            _ => return None,
        })
    }

    /// A value as a string of this format.
    pub(crate) fn apply(self, v: &Value) -> Outcome {
        let text = || match v {
            Value::Str(s) => s.to_string(),
            v => compact(v),
        };
        Ok(match self {
            Format::Text => match v {
                Value::Str(_) => v.clone(),
                v => compact(v).into(),
            },
            Format::Json => compact(v).into(),
            Format::Html => {
                let mut out = String::new();
                for c in text().chars() {
                    match c {
                        '<' => out.push_str("&lt;"),
                        '>' => out.push_str("&gt;"),
                        '&' => out.push_str("&amp;"),
                        '\'' => out.push_str("&#39;"),
                        '"' => out.push_str("&quot;"),
                        c => out.push(c),
                    }
                }
                out.into()
            }
            Format::Uri => {
                let mut out = String::new();
                for b in text().bytes() {
                    if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
                        out.push(b as char);
                    } else {
                        out.push_str(&format!("%{b:02X}"));
                    }
                }
                out.into()
            }
            Format::UriDecode => uri_decoded(v, &text())?,
            Format::Csv => row(v, ",", "csv", |s| format!("\"{}\"", s.replace('"', "\"\"")))?,
            Format::Tsv => row(v, "\t", "tsv", |s| {
                s.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
            })?,
            Format::Sh => shell(v)?,
            Format::Base64 => STANDARD.encode(text()).into(),
            Format::Base64Decode => base64_decoded(v, &text())?,
            Format::Base32 => data_encoding::BASE32.encode(text().as_bytes()).into(),
            Format::Base32Decode => match data_encoding::BASE32.decode(text().as_bytes()) {
                Ok(bytes) => (&*String::from_utf8_lossy(&bytes)).into(),
                Err(_) => return fail(format!("{} is not valid base32 data", described(v))),
            },
        })
    }

    /// A string of its parts; the values are those of its interpolations from the last to the first.
    pub(crate) fn join(self, pieces: &[Piece], mut values: Vec<Value>) -> Outcome {
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(_) => {
                    if let Value::Str(s) = self.apply(&values.pop().unwrap_or_default())? {
                        out.push_str(&s);
                    }
                }
            }
        }
        Ok(out.into())
    }
}

fn row(v: &Value, separator: &str, name: &str, quoted: impl Fn(&str) -> String) -> Outcome {
    let Value::Arr(list) = v else {
        return fail(format!("{} cannot be {name}-formatted, only array", described(v)));
    };
    let mut fields = Vec::with_capacity(list.len());
    for item in list.iter() {
        fields.push(match item {
            Value::Null => String::new(),
            Value::Num(_) | Value::Bool(_) => compact(item),
            Value::Str(s) => quoted(s),
            item => return fail(format!("{} is not valid in a csv row", described(item))),
        });
    }
    Ok(fields.join(separator).into())
}

fn shell(v: &Value) -> Outcome {
    let word = |v: &Value| -> Result<String, Stop> {
        match v {
            Value::Str(s) => Ok(format!("'{}'", s.replace('\'', "'\\''"))),
            Value::Arr(_) | Value::Obj(_) => fail(format!("{} can not be escaped for shell", described(v))),
            v => Ok(compact(v)),
        }
    };
    match v {
        Value::Arr(list) => {
            let words: Result<Vec<String>, Stop> = list.iter().map(word).collect();
            Ok(words?.join(" ").into())
        }
        v => word(v).map(Value::from),
    }
}

/// Takes what it can: padding may be missing, and the rest after the last whole byte is left out.
fn base64_decoded(v: &Value, text: &str) -> Outcome {
    let config = base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let engine = base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let mut plain: String = text.trim_end_matches('=').to_owned();
    if plain.len() % 4 == 1 && plain.len() > 1 {
        plain.pop();
    }
    match engine.decode(plain) {
        Ok(bytes) => Ok((&*String::from_utf8_lossy(&bytes)).into()),
        Err(_) => fail(format!("{} is not valid base64 data", described(v))),
    }
}

fn uri_decoded(v: &Value, text: &str) -> Outcome {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        match text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(b) => out.push(b),
            None => return fail(format!("{} is not a valid uri encoding", described(v))),
        }
        at += 3;
    }
    Ok((&*String::from_utf8_lossy(&out)).into())
}
