//! Taking fields out of a JSON object by name and type. What is left over at the end is refused.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::ConfigError;

pub(super) struct Fields(Map<String, Value>);

fn wrong(name: &str, reason: &str) -> ConfigError {
    ConfigError::new(&format!("config.{name}"), reason)
}

impl Fields {
    pub(super) fn new(config: &Value) -> Result<Self, ConfigError> {
        match config {
            Value::Null => Ok(Fields(Map::new())),
            Value::Object(fields) => Ok(Fields(fields.clone())),
            _ => Err(ConfigError::new("config", "must be an object")),
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ConfigError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && !text.contains(char::is_control) => {
                Ok(Some(text))
            }
            Some(_) => Err(wrong(name, "must be a text that is not empty and has no control characters")),
        }
    }

    pub(super) fn required(&mut self, name: &str) -> Result<String, ConfigError> {
        self.text(name)?.ok_or_else(|| wrong(name, "is needed"))
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool, ConfigError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(value)) => Ok(value),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    pub(super) fn number(
        &mut self,
        name: &str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_u64().filter(|value| range.contains(value)).ok_or_else(|| {
                wrong(name, &format!("must be a whole number from {} to {}", range.start(), range.end()))
            }),
        }
    }

    /// Permission bits: octal digits in a text, since JSON has no octal numbers.
    pub(super) fn mode(&mut self, name: &str, default: u32) -> Result<u32, ConfigError> {
        let Some(value) = self.0.remove(name) else { return Ok(default) };
        let mode = value.as_str().and_then(|text| u32::from_str_radix(text, 8).ok());
        mode.filter(|mode| *mode <= 0o777).ok_or_else(|| wrong(name, "must be octal digits such as \"0644\""))
    }

    /// A folder within the store: `/`-separated names, with `/` at the ends or not. The result is without.
    pub(super) fn folder(&mut self, name: &str) -> Result<String, ConfigError> {
        let text = self.text(name)?.unwrap_or_default();
        let folder = text.trim_matches('/');
        let good = |part: &str| !part.is_empty() && part != "." && part != ".." && part.trim() == part;
        if folder.is_empty() || folder.split('/').all(good) {
            Ok(folder.to_owned())
        } else {
            Err(wrong(
                name,
                "must be names separated by single `/`, without `.`, `..` and spaces at their ends",
            ))
        }
    }

    /// An `http` or `https` address, without a `/` at its end. Credentials in it would be shown wherever it is.
    pub(super) fn endpoint(&mut self, name: &str) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let plain = reqwest::Url::parse(&text).ok().filter(|url| {
            ["http", "https"].contains(&url.scheme())
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        match plain {
            Some(_) => Ok(Some(text.trim_end_matches('/').to_owned())),
            None => Err(wrong(
                name,
                "must be http://HOST or https://HOST, perhaps with a port and a path; nothing else",
            )),
        }
    }

    /// Two fields that only make sense together.
    pub(super) fn pair(&mut self, a: &str, b: &str) -> Result<Option<(String, String)>, ConfigError> {
        match (self.text(a)?, self.text(b)?) {
            (Some(first), Some(second)) => Ok(Some((first, second))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(wrong(b, &format!("is needed with `{a}`"))),
            (None, Some(_)) => Err(wrong(a, &format!("is needed with `{b}`"))),
        }
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        match self.0.keys().next() {
            Some(name) => Err(wrong(name, "unknown field")),
            None => Ok(()),
        }
    }

    pub(super) fn refuse(name: &str, reason: &str) -> ConfigError {
        wrong(name, reason)
    }
}
