//! Where a snapshot comes from, as the configuration says it.

use std::path::PathBuf;

use agentos_protocol::message::SnapshotFormat;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// A snapshot that is to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    pub(crate) bytes: Bytes,
    /// Absent: the sidecar looks.
    pub(crate) format: Option<SnapshotFormat>,
}

/// Where its bytes are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bytes {
    /// In a file of the host.
    File(PathBuf),
    /// Here.
    Here(Vec<u8>),
}

impl Source {
    /// Reads the value at the field `at`.
    pub(crate) fn of(at: &str, source: Value) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Outside {
            path: Option<PathBuf>,
            data: Option<String>,
            format: Option<SnapshotFormat>,
        }
        let wrong = |reason: &str| Error::config(at, reason);
        let Value::Object(fields) = &source else {
            return Err(wrong("must be an object with `entries`, `path` or `data`"));
        };
        if fields.contains_key("entries") {
            let bytes = serde_json::to_vec(&source).map_err(|error| wrong(&error.to_string()))?;
            return Ok(Source { bytes: Bytes::Here(bytes), format: Some(SnapshotFormat::Json) });
        }
        let outside: Outside = serde_json::from_value(source).map_err(|error| wrong(&error.to_string()))?;
        let bytes = match (outside.path, outside.data) {
            (Some(path), None) if path.is_absolute() => Bytes::File(path),
            (Some(_), None) => return Err(wrong("path must be an absolute path of the host")),
            (None, Some(data)) => {
                Bytes::Here(STANDARD.decode(data).map_err(|_| wrong("data must be base64"))?)
            }
            _ => return Err(wrong("must have one of `entries`, `path` and `data`")),
        };
        Ok(Source { bytes, format: outside.format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sources_are_files_bytes_or_entries() {
        let of = |value: Value| Source::of("here", value);
        let file = Source { bytes: Bytes::File("/a".into()), format: Some(SnapshotFormat::Oci) };
        assert_eq!(of(json!({"path": "/a", "format": "oci"})).unwrap(), file);
        assert_eq!(
            of(json!({"data": "aGk="})).unwrap(),
            Source { bytes: Bytes::Here(b"hi".into()), format: None }
        );
        let json = of(json!({"entries": []})).unwrap();
        assert_eq!(
            json,
            Source { bytes: Bytes::Here(b"{\"entries\":[]}".into()), format: Some(SnapshotFormat::Json) }
        );
        for wrong in [
            json!(null),
            json!("/a"),
            json!({}),
            json!({"path": "a"}),
            json!({"path": "/a", "data": ""}),
            json!({"path": "/a", "format": "zip"}),
            json!({"path": "/a", "formats": "tar"}),
            json!({"data": "*"}),
        ] {
            match of(wrong.clone()) {
                Err(Error::InvalidConfig { path, .. }) => assert_eq!(path, "here"),
                other => panic!("{wrong}: {other:?}"),
            }
        }
    }
}
