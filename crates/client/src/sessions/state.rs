//! Modes, models, options and abilities of a session, in the agent's own words.
//! Always the state as it is now: agents change it by themselves.

use agentos_protocol::message::{JsonText, SetSessionConfigOption, SetSessionMode, SetSessionModel};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::parse;
use crate::error::{Error, Result};
use crate::vm::AgentOs;

/// A mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionMode {
    /// Its id.
    pub id: String,
    /// Text for a person.
    pub name: String,
    /// More text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The modes of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionModeState {
    /// Id of the mode it is in.
    pub current_mode_id: String,
    /// All.
    pub available_modes: Vec<SessionMode>,
}

/// A configuration option of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionConfigOption {
    /// Its id.
    pub id: String,
    /// Text for a person.
    pub name: String,
    /// More text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `mode`, `model`, `thought_level`, or the agent's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// `select` or `boolean`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Value.
    pub current_value: Value,
    /// Choices of a `select`, flat or in groups.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub options: Value,
}

/// What an agent can do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentCapabilities {
    /// It can load earlier sessions.
    pub load_session: bool,
    /// Kinds of content it takes: `image`, `audio`, `embeddedContext`.
    pub prompt_capabilities: Map<String, Value>,
    /// MCP transports it speaks besides stdio: `http`, `sse`.
    pub mcp_capabilities: Map<String, Value>,
    /// Session methods it has: `list`, `delete`, `resume`, `close`…
    pub session_capabilities: Map<String, Value>,
    /// Everything else it said.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Who an agent is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentInfo {
    /// Name.
    pub name: String,
    /// Text for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Version.
    pub version: String,
}

fn typed<T: for<'de> Deserialize<'de>>(what: &str, value: Option<Value>) -> Result<Option<T>> {
    let wrong = |error: serde_json::Error| Error::Transport { message: format!("{what}: {error}") };
    value.map(|value| serde_json::from_value(value).map_err(wrong)).transpose()
}

impl AgentOs {
    /// Sets the mode.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`], [`Error::Unsupported`], [`Error::Agent`]; so do all methods of this file.
    pub async fn set_session_mode(
        &self,
        session_id: impl Into<String>,
        mode_id: impl Into<String>,
    ) -> Result<()> {
        let (session_id, mode_id) = (session_id.into(), mode_id.into());
        self.vm.call(&SetSessionMode { vm_id: self.vm.id(), session_id, mode_id }).await?;
        Ok(())
    }

    /// The modes; `None` if the agent has none.
    ///
    /// # Errors
    /// As [`AgentOs::set_session_mode`].
    pub async fn get_session_modes(&self, session_id: impl Into<String>) -> Result<Option<SessionModeState>> {
        typed("modes", self.describe_session(session_id).await?.modes)
    }

    /// Sets the model.
    ///
    /// # Errors
    /// As [`AgentOs::set_session_mode`].
    pub async fn set_session_model(
        &self,
        session_id: impl Into<String>,
        model_id: impl Into<String>,
    ) -> Result<()> {
        let (session_id, model_id) = (session_id.into(), model_id.into());
        self.vm.call(&SetSessionModel { vm_id: self.vm.id(), session_id, model_id }).await?;
        Ok(())
    }

    /// Sets how much the agent thinks, by the option of category `thought_level`. Returns all options: an agent may
    /// have chosen another value.
    ///
    /// # Errors
    /// As [`AgentOs::set_session_mode`].
    pub async fn set_session_thought_level(
        &self,
        session_id: impl Into<String>,
        level: impl Into<String>,
    ) -> Result<Vec<SessionConfigOption>> {
        self.set_option(session_id.into(), "thought_level".to_owned(), true, Value::String(level.into()))
            .await
    }

    /// Sets an option by its id; the value is a string or a boolean. Returns all options.
    ///
    /// # Errors
    /// As [`AgentOs::set_session_mode`].
    pub async fn set_session_config_option(
        &self,
        session_id: impl Into<String>,
        config_id: impl Into<String>,
        value: impl Into<Value>,
    ) -> Result<Vec<SessionConfigOption>> {
        self.set_option(session_id.into(), config_id.into(), false, value.into()).await
    }

    async fn set_option(
        &self,
        session_id: String,
        config_id: String,
        category: bool,
        value: Value,
    ) -> Result<Vec<SessionConfigOption>> {
        if !(value.is_string() || value.is_boolean()) {
            return Err(Error::InvalidRequest {
                message: format!("{config_id}: neither a string nor a boolean"),
            });
        }
        let value = JsonText::new(&value);
        let call = SetSessionConfigOption { vm_id: self.vm.id(), session_id, config_id, category, value };
        let options: Option<Vec<SessionConfigOption>> =
            parse("configOptions", &self.vm.call(&call).await?.config_options)?;
        Ok(options.unwrap_or_default())
    }

    /// The options; empty if the agent has none.
    ///
    /// # Errors
    /// As [`AgentOs::set_session_mode`].
    pub async fn get_session_config_options(
        &self,
        session_id: impl Into<String>,
    ) -> Result<Vec<SessionConfigOption>> {
        let options = self.describe_session(session_id).await?.config_options;
        Ok(typed("configOptions", options)?.unwrap_or_default())
    }

    /// What the agent can do.
    ///
    /// # Errors
    /// As [`AgentOs::set_session_mode`].
    pub async fn get_session_capabilities(&self, session_id: impl Into<String>) -> Result<AgentCapabilities> {
        let capabilities = self.describe_session(session_id).await?.capabilities;
        Ok(typed("agentCapabilities", capabilities)?.unwrap_or_default())
    }

    /// Who the agent is, if it said.
    ///
    /// # Errors
    /// As [`AgentOs::set_session_mode`].
    pub async fn get_session_agent_info(&self, session_id: impl Into<String>) -> Result<Option<AgentInfo>> {
        typed("agentInfo", self.describe_session(session_id).await?.agent_info)
    }
}
