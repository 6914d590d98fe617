//! What may leave a VM, as its configuration says. Which of it holds together is the sidecar's to say.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What may leave a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EgressSpec {
    /// Origins that may be asked: `scheme://host[:port]`, where the host may begin with `*.` for one label.
    pub allow: Vec<String>,
    /// Headers that the host adds.
    pub credentials: Vec<CredentialSpec>,
}

/// A header that the host adds to requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CredentialSpec {
    /// To exactly this origin.
    pub origin: String,
    /// Name of the header.
    pub header: String,
    /// Its value, where `{name}` stands for a secret.
    pub value: String,
}

/// A text that nothing shows.
///
/// ```
/// use agentos_protocol::message::Secret;
/// assert_eq!(format!("{:?}", Secret::from("hunter2".to_owned())), "Secret(..)");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The text, taken out.
    #[must_use]
    pub fn into_inner(self) -> String {
        self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
