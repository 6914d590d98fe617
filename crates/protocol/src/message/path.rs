//! Values with an encoding of their own: paths that need not be UTF-8, and JSON kept as text.
//! It does not check that a path is absolute or normalised.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A path or file name: bytes. A MessagePack string when it is UTF-8, else binary.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct WirePath(pub Vec<u8>);

impl WirePath {
    /// As text, with U+FFFD in place of what is not UTF-8.
    #[must_use]
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl fmt::Debug for WirePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Display for WirePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl From<&str> for WirePath {
    fn from(path: &str) -> Self {
        WirePath(path.as_bytes().to_vec())
    }
}

impl From<String> for WirePath {
    fn from(path: String) -> Self {
        WirePath(path.into_bytes())
    }
}

impl From<Vec<u8>> for WirePath {
    fn from(path: Vec<u8>) -> Self {
        WirePath(path)
    }
}

impl From<&[u8]> for WirePath {
    fn from(path: &[u8]) -> Self {
        WirePath(path.to_vec())
    }
}

impl AsRef<[u8]> for WirePath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for WirePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_bytes(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for WirePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = WirePath;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<WirePath, E> {
                Ok(WirePath(v.as_bytes().to_vec()))
            }

            fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<WirePath, E> {
                Ok(WirePath(v.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, v: Vec<u8>) -> Result<WirePath, E> {
                Ok(WirePath(v))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A JSON document as text, handed through without being looked into.
/// `Debug` shows its length only: it may hold what somebody wrote to an agent, or credentials of a store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonText(pub String);

impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonText({} bytes)", self.0.len())
    }
}

impl JsonText {
    /// The text of a value.
    #[must_use]
    pub fn new(value: &serde_json::Value) -> Self {
        JsonText(value.to_string())
    }

    /// Parses the text.
    ///
    /// # Errors
    /// If the other side sent something that is not JSON.
    pub fn parse<T: de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl Default for JsonText {
    fn default() -> Self {
        JsonText("null".to_owned())
    }
}
