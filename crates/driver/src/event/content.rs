//! Blocks of content, as in prompts, messages and results of tools.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A block of content. One of a type that is not known is kept as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ContentBlock {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture: its bytes, or where it is.
    Image {
        /// Such as `image/png`.
        mime_type: String,
        /// Base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data: Option<String>,
        /// Where it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uri: Option<String>,
    },
    /// Sound.
    Audio {
        /// Such as `audio/wav`.
        mime_type: String,
        /// Base64.
        data: String,
    },
    /// A file by its address.
    ResourceLink {
        /// Where it is.
        uri: String,
        /// Its name.
        name: String,
        /// Its type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mime_type: Option<String>,
        /// Bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// A file with its content.
    Resource {
        /// The file.
        resource: Resource,
    },
    /// Any other type.
    #[serde(untagged)]
    Other(Map<String, Value>),
}

/// A file with its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Where it comes from.
    pub uri: String,
    /// Its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its content, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its content in base64, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
}

impl ContentBlock {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        ContentBlock::Text { text: text.into() }
    }
}

/// The texts of some blocks, one after the other.
#[must_use]
pub fn text_of(blocks: &[ContentBlock]) -> String {
    let mut all = String::new();
    for block in blocks {
        if let ContentBlock::Text { text } = block {
            all.push_str(text);
        }
    }
    all
}
