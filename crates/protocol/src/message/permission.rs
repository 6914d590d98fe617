//! The permission tree of a VM, as its configuration writes it.
//! Matching and checking are the kernel's.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What may be done, by domain. A domain that is absent is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Permissions {
    /// Files. Rules name `paths`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fs: Option<PermissionScope>,
    /// Network; resources `tcp://host:port`, `udp://…`, `dns://name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<PermissionScope>,
    /// Starting programs; resource is the resolved path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_process: Option<PermissionScope>,
    /// Signals and inspection of processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<PermissionScope>,
    /// Environment variables; resource is the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<PermissionScope>,
    /// Toolkits; resource `toolkit:tool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<PermissionScope>,
}

/// How a tree is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionsMode {
    /// What it denies does not happen.
    #[default]
    Enforce,
    /// What it denies happens, and is told as an event.
    DryRun,
    /// As a dry run; and what is used is noted, with or without a tree.
    Learn,
}

/// A domain: one mode for all, or rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PermissionScope {
    /// Everything of the domain.
    Mode(PermissionMode),
    /// The last rule that matches wins.
    Rules(PermissionRules),
}

/// By hand, so that an error says which field of a rule is wrong.
impl<'de> Deserialize<'de> for PermissionScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scope;

        impl<'de> Visitor<'de> for Scope {
            type Value = PermissionScope;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`allow`, `deny`, `ask` or an object with `rules`")
            }

            fn visit_str<E: de::Error>(self, mode: &str) -> Result<PermissionScope, E> {
                PermissionMode::deserialize(mode.into_deserializer()).map(PermissionScope::Mode)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PermissionScope, A::Error> {
                PermissionRules::deserialize(MapAccessDeserializer::new(map)).map(PermissionScope::Rules)
            }
        }

        deserializer.deserialize_any(Scope)
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionMode {
    /// Let it happen.
    Allow,
    /// EACCES.
    Deny,
    /// Ask the host (domain `tool` only).
    Ask,
}

/// Rules of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PermissionRules {
    /// What no rule matches; absent means deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<PermissionMode>,
    /// The rules.
    pub rules: Vec<PermissionRule>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PermissionRule {
    /// What it does.
    pub mode: PermissionMode,
    /// Operations; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Vec<String>>,
    /// Path globs (domain `fs`); absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Globs over the resource (other domains); absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patterns: Option<Vec<String>>,
}

/// Asks what the tree says of an operation, without doing it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExplainPermission {
    /// The VM.
    pub vm_id: String,
    /// The domain, such as `fs`.
    pub domain: String,
    /// The operation, such as `write`.
    pub operation: String,
    /// The resource. A path is resolved as the operation would resolve it.
    pub resource: String,
}

/// What the tree says of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionExplanation {
    /// The domain.
    pub domain: String,
    /// The operation.
    pub operation: String,
    /// The resolved resource.
    pub resource: String,
    /// What happens.
    pub mode: PermissionMode,
    /// What decided, as a path into the tree such as `fs.rules[2]`, or the name of a domain that is the same for all; `None`:
    /// the default of the domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// JSON of the smallest rule that would allow it, if it is not allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_that_would_allow: Option<String>,
}

/// Asks for the smallest tree that allows what guests did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LearnedPermissions {
    /// The VM.
    pub vm_id: String,
    /// Eight and more files of a directory that were used in the same way become `directory/*`.
    pub generalise: bool,
}

/// A learned tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LearnedPermissionsReply {
    /// The tree.
    pub permissions: Permissions,
}
