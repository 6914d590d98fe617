//! Software for a VM.
//! It does not install anything.

use serde::{Deserialize, Serialize};

/// Something to install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SoftwareInput {
    /// Host directory, or name of a package.
    pub package: String,
    /// Version, for a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it is.
    #[serde(default)]
    pub kind: SoftwareKind,
}

/// What a software is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SoftwareKind {
    /// A directory of wasm binaries, found through PATH.
    #[default]
    WasmCommands,
    /// An agent.
    Agent,
    /// A tool.
    Tool,
}
