//! What is to be run: the `execution` of the boot payload. Unknown members are ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ResumeRef;
use crate::command::AccessSnapshot;

/// Which configuration the session has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigRevision {
    /// The agent.
    pub agent_id: String,
    /// Its deployment.
    pub deployment_version_id: Option<String>,
    /// The number of that.
    pub deployment_version_number: Option<u64>,
    /// The environment.
    pub environment_id: String,
    /// Which revision of it.
    pub environment_revision_id: String,
    /// The run.
    pub run_id: Option<String>,
    /// The session.
    pub session_id: String,
}

/// The environment of the vendor's process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Environment {
    /// Its variables.
    pub variables: BTreeMap<String, String>,
}

/// An MCP server that the vendor is to use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct McpServer {
    /// Its name.
    pub name: String,
    /// Its id.
    pub server_id: String,
    /// How one is let in.
    pub auth_type: String,
    /// Whose credential it is.
    pub credential_scope: String,
    /// How that is.
    pub credential_status: String,
    /// Who that is.
    pub subject_label: Option<String>,
    /// `active`, or why it is skipped: `authorization_required`, `disabled`, `expired`, `revoked`.
    pub authorization_state: String,
    /// If it is active: its credential,
    pub credential_id: Option<String>,
    /// the grant for the proxy of the host,
    pub proxy_grant_id: Option<String>,
    /// and its address there.
    pub proxy_url: Option<String>,
}

impl McpServer {
    /// Its address, if it can be used.
    #[must_use]
    pub fn active_url(&self) -> Option<&str> {
        if self.authorization_state == "active" { self.proxy_url.as_deref() } else { None }
    }
}

/// Who began the session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Origin {
    /// `agent`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `api` or `chat`.
    pub entrypoint: String,
    /// Who asked.
    pub caller_user_id: String,
    /// On whose account.
    pub execution_owner_user_id: String,
}

/// A shared space under a name of the session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SpaceAlias {
    /// The name.
    pub alias_path: String,
    /// Where it is for all.
    pub global_mount_path: String,
    /// The space.
    pub space_id: String,
    /// For people.
    pub space_name: String,
}

/// Where and for whom a session runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionContext {
    /// The home directory.
    pub home_path: String,
    /// The directory that all sessions share.
    pub session_organization_path: String,
    /// The sandbox.
    pub sandbox_id: String,
    /// What kind of sandbox.
    pub sandbox_kind: String,
    /// The session in it.
    pub sandbox_session_id: String,
    /// Whose it is.
    pub sandbox_subject_id: String,
    /// What that is.
    pub sandbox_subject_kind: String,
    /// Who began it.
    pub origin: Origin,
    /// What it may use.
    #[serde(alias = "appAccessSnapshot")]
    pub access_snapshot: AccessSnapshot,
    /// Names of shared spaces.
    pub space_aliases: Vec<SpaceAlias>,
}

/// The session of the vendor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionSpec {
    /// Where it works; absolute.
    pub cwd: String,
    /// Where it may work besides.
    pub additional_directories: Vec<String>,
    /// What is to be resumed.
    pub native_resume_ref: Option<ResumeRef>,
    /// MCP servers.
    pub mcp_servers: Vec<McpServer>,
    /// Where and for whom.
    pub context: SessionContext,
}

/// What a skill says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SkillFrontmatter {
    /// Who wrote it.
    pub author: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

/// A skill of the catalog.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SkillEntry {
    /// Its id.
    pub skill_id: String,
    /// Its name.
    pub skill_name: String,
    /// The directory it is to be in.
    pub mount_path: String,
    /// `auto`, `explicit` or `tombstone`.
    pub resolution_mode: String,
    /// What it says of itself.
    pub frontmatter: SkillFrontmatter,
}

/// Where a skill comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SkillSource {
    /// Its id.
    pub skill_id: String,
    /// Its name.
    pub skill_name: String,
    /// The directory it is to be in.
    pub mount_path: String,
    /// `auto`, `explicit` or `tombstone`.
    pub resolution_mode: String,
    /// `zip`.
    pub archive_format: String,
    /// `deflate`.
    pub compression: String,
    /// Of the archive.
    pub blob_sha256: String,
    /// Where it is.
    pub download_url: String,
    /// `failed`, `pending`, `ready` or `skipped`.
    pub materialization_status: String,
    /// Which version.
    pub snapshot_id: Option<String>,
    /// Why it is not there.
    pub warning_code: Option<String>,
}

/// A tool of the host that the vendor can call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomToolSpec {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// What it takes, as JSON schema.
    pub input_schema: Map<String, Value>,
}

/// What is to be run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Execution {
    /// Which configuration the session has.
    pub config_revision: ConfigRevision,
    /// The environment of the vendor's process.
    pub environment: Environment,
    /// The model; empty: the vendor's own choice.
    pub model: String,
    /// Whose model.
    pub provider: String,
    /// What the agent is told besides its own instructions.
    pub profile_prompt: String,
    /// Put over the backend's options, last and deep.
    pub provider_options: Map<String, Value>,
    /// The session of the vendor.
    pub session: SessionSpec,
    /// All skills.
    pub skill_catalog: Vec<SkillEntry>,
    /// Those to be had.
    pub skills: Vec<SkillSource>,
    /// Tools of the host.
    pub custom_tools: Vec<CustomToolSpec>,
}
