//! MessagePack encoding of messages: named fields, so that fields may be added.
//! It does not know the frames around them.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A call: its parameters are the value, its method and reply belong to the type.
pub trait Call: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name on the wire.
    const METHOD: &'static str;
    /// What comes back.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
}

/// A value that cannot be encoded, such as a map with keys that are not text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode: {0}")]
pub struct EncodeError(pub String);

/// Bytes that are not the expected message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A name that this version does not know.
    #[error("unknown method {0:?}")]
    Unknown(String),
    /// Not the message it should be.
    #[error("malformed message: {0}")]
    Malformed(String),
}

/// Deepest nesting; the library's own 1024 needs more stack than a thread may have.
const MAX_DEPTH: usize = 64;

type Reader<'a> = rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'a, [u8]>>;

/// Appends one value.
pub(crate) fn encode_into<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), EncodeError> {
    let mut writer = rmp_serde::Serializer::new(out).with_struct_map();
    value.serialize(&mut writer).map_err(|e| EncodeError(e.to_string()))
}

/// Encodes one value.
///
/// # Errors
/// [`EncodeError`].
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(128);
    encode_into(&mut out, value)?;
    Ok(out)
}

/// Encodes a name and then a value.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_named<T: Serialize + ?Sized>(name: &str, value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(256);
    encode_into(&mut out, name)?;
    encode_into(&mut out, value)?;
    Ok(out)
}

/// Decodes one value; bytes after it are ignored.
///
/// # Errors
/// [`DecodeError::Malformed`].
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, DecodeError> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(payload);
    reader.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut reader).map_err(|e| DecodeError::Malformed(e.to_string()))
}

/// Decodes a name and lets `pick` decode the value after it; `pick` returns `None` for a name it does not know.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_named<T>(
    payload: &[u8],
    pick: impl FnOnce(&str, &mut Reader<'_>) -> Option<Result<T, rmp_serde::decode::Error>>,
) -> Result<T, DecodeError> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(payload);
    reader.set_max_depth(MAX_DEPTH);
    let name = <&str>::deserialize(&mut reader).map_err(|e| DecodeError::Malformed(e.to_string()))?;
    match pick(name, &mut reader) {
        None => Err(DecodeError::Unknown(name.chars().take(100).collect())),
        Some(result) => result.map_err(|e| DecodeError::Malformed(format!("{name}: {e}"))),
    }
}
