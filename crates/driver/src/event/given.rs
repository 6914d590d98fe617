//! Blocks of a prompt: what is understood of them, and what else they came with, for vendors that may know more of it than
//! we do. Blocks that vendors say have no such thing: their form is the same whoever said them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::ContentBlock;

/// A block of a prompt. Written, it is what it was when it was read, members that are not known included.
///
/// ```
/// use agentos_driver::event::GivenBlock;
/// let json = r#"{"type":"text","text":"hi","annotations":{"priority":1.0}}"#;
/// let given: GivenBlock = serde_json::from_str(json)?;
/// assert_eq!(serde_json::to_value(&given)?, serde_json::from_str::<serde_json::Value>(json)?);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GivenBlock {
    /// What is understood of it.
    pub block: ContentBlock,
    /// The members that are not, each at its depth.
    more: Map<String, Value>,
}

impl GivenBlock {
    /// The members that are not understood, each at its depth.
    pub(crate) fn more(&self) -> &Map<String, Value> {
        &self.more
    }
}

impl From<ContentBlock> for GivenBlock {
    fn from(block: ContentBlock) -> Self {
        GivenBlock { block, more: Map::new() }
    }
}

impl<'de> Deserialize<'de> for GivenBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut more = Map::deserialize(deserializer)?;
        let wrong = <D::Error as serde::de::Error>::custom;
        let block = ContentBlock::deserialize(&Value::Object(more.clone())).map_err(wrong)?;
        if let ContentBlock::Other(_) = block {
            return Ok(GivenBlock { block, more: Map::new() });
        }
        if let Value::Object(known) = serde_json::to_value(&block).map_err(wrong)? {
            leave(&mut more, &known);
        }
        Ok(GivenBlock { block, more })
    }
}

impl Serialize for GivenBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.more.is_empty() {
            return self.block.serialize(serializer);
        }
        let mut value = serde_json::to_value(&self.block).map_err(serde::ser::Error::custom)?;
        if let Value::Object(known) = &mut value {
            join(known, &self.more);
        }
        value.serialize(serializer)
    }
}

/// Leaves what is not known; of objects that are, their members that are not.
fn leave(all: &mut Map<String, Value>, known: &Map<String, Value>) {
    all.retain(|name, value| match (value, known.get(name)) {
        (Value::Object(value), Some(Value::Object(known))) => {
            leave(value, known);
            !value.is_empty()
        }
        (_, Some(_)) => false,
        (_, None) => true,
    });
}

/// Takes back what was left.
fn join(known: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, value) in more {
        match (known.get_mut(name), value) {
            (Some(Value::Object(known)), Value::Object(more)) => join(known, more),
            (Some(_), _) => {}
            (None, value) => {
                known.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_are_written_as_they_were_read() {
        for value in [
            json!({"type": "text", "text": "a"}),
            json!({"type": "text", "text": "a", "annotations": {"audience": ["user"]}, "_meta": {"x": {"y": null}}}),
            json!({"type": "image", "mimeType": "image/png", "data": "AA==", "uri": null, "annotations": {}}),
            json!({"type": "audio", "mimeType": "audio/wav", "data": "AA==", "_meta": null}),
            json!({"type": "resource_link", "uri": "file:///a", "name": "a", "title": "A", "description": "of a", "size": 3}),
            // One that lacks something is of no type that is known.
            json!({"type": "resource_link", "uri": "file:///a", "title": "A"}),
            json!({"type": "resource", "resource": {"uri": "file:///a", "text": "b", "_meta": {"line": 3}}, "_meta": {"a": 1}}),
            json!({"type": "resource", "resource": {"uri": "file:///a", "blob": "AA==", "mimeType": null}}),
            json!({"type": "x_hologram", "depth": 3, "resource": {}}),
            json!({}),
        ] {
            let given: GivenBlock = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(&given).unwrap(), value);
        }
        for wrong in [json!("text"), json!([]), json!(null)] {
            assert!(serde_json::from_value::<GivenBlock>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_understood_is_kept_once() {
        let value =
            json!({"type": "resource", "resource": {"uri": "file:///a", "text": "b"}, "_meta": {"a": 1}});
        let given: GivenBlock = serde_json::from_value(value).unwrap();
        assert_eq!(Value::Object(given.more), json!({"_meta": {"a": 1}}));
    }
}
