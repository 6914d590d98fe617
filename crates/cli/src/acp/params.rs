//! Parameters of a request, read as far as we have to know them.

use agentos_acp::envelope::{RpcError, code};
use agentos_acp::schema::McpServer;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The members of the parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(pub(super) Map<String, Value>);

/// The parameters are wrong.
pub(super) fn invalid(message: impl Into<String>) -> RpcError {
    RpcError::new(code::INVALID_PARAMS, message)
}

impl Params {
    /// Reads them; none are as an empty object.
    pub(super) fn read(raw: Option<&RawValue>) -> Result<Self, RpcError> {
        let Some(raw) = raw else { return Ok(Params::default()) };
        match serde_json::from_str(raw.get()) {
            Ok(Value::Object(members)) => Ok(Params(members)),
            _ => Err(invalid("params: must be an object")),
        }
    }

    /// A text that has to be there.
    pub(super) fn text(&self, name: &str) -> Result<&str, RpcError> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(invalid(format!("{name}: must be a string"))),
            None => Err(invalid(format!("{name}: is missing"))),
        }
    }

    /// A text that may be missing.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&str>, RpcError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    /// A list; nothing if it is missing.
    pub(super) fn list(&self, name: &str) -> Result<Option<&[Value]>, RpcError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => Err(invalid(format!("{name}: must be an array"))),
        }
    }

    /// `_meta`; nothing if it is missing.
    pub(super) fn meta(&self) -> Result<Option<Map<String, Value>>, RpcError> {
        match self.0.get("_meta") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(meta)) => Ok(Some(meta.clone())),
            Some(_) => Err(invalid("_meta: must be an object")),
        }
    }

    /// `additionalDirectories`.
    pub(super) fn directories(&self) -> Result<Vec<&str>, RpcError> {
        let all = self.list("additionalDirectories")?.unwrap_or_default();
        all.iter()
            .map(|one| one.as_str().ok_or_else(|| invalid("additionalDirectories: must be strings")))
            .collect()
    }

    /// `mcpServers`; nothing if it is missing.
    pub(super) fn servers(&self) -> Result<Option<Vec<Value>>, RpcError> {
        let Some(servers) = self.list("mcpServers")? else { return Ok(None) };
        for server in servers {
            serde_json::from_value::<McpServer>(server.clone())
                .map_err(|error| invalid(format!("mcpServers: {error}")))?;
        }
        Ok(Some(servers.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Params, RpcError> {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        Params::read(Some(&raw))
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, name) in [
            ("[]", "params"),
            ("{}", "sessionId"),
            (r#"{"sessionId":1}"#, "sessionId"),
            (r#"{"sessionId":"a","mcpServers":{}}"#, "mcpServers"),
            (r#"{"sessionId":"a","mcpServers":[{"command":3}]}"#, "mcpServers"),
            (r#"{"sessionId":"a","additionalDirectories":[1]}"#, "additionalDirectories"),
            (r#"{"sessionId":"a","_meta":[]}"#, "_meta"),
        ] {
            let all = || {
                let params = read(json)?;
                params.text("sessionId")?;
                params.directories()?;
                params.meta()?;
                params.servers().map(drop)
            };
            let error = all().unwrap_err();
            assert!(error.message.starts_with(name) && error.code == code::INVALID_PARAMS, "{error:?}");
        }
        let params = read(r#"{"mcpServers":null,"additionalDirectories":null,"cursor":null}"#).unwrap();
        assert!(params.servers().unwrap().is_none() && params.directories().unwrap().is_empty());
        assert_eq!(params.optional_text("cursor"), Ok(None));
    }
}
