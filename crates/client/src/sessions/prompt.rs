//! Prompting: one turn of a session.
//! Prompts of one session queue in the sidecar.

use agentos_protocol::message::{JsonText, Prompt};
use serde::Serialize;
use serde_json::{Value, json};

use super::parse;
use crate::error::{Error, Result};
use crate::vm::AgentOs;

/// What to prompt with: text, or ACP content blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptInput(pub Vec<Value>);

impl From<&str> for PromptInput {
    fn from(text: &str) -> Self {
        PromptInput(vec![json!({ "type": "text", "text": text })])
    }
}

impl From<String> for PromptInput {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for PromptInput {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Vec<Value>> for PromptInput {
    fn from(blocks: Vec<Value>) -> Self {
        PromptInput(blocks)
    }
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PromptResult {
    /// Text of the agent's messages in this turn.
    pub text: String,
    /// ACP stop reason: `end_turn`, `max_tokens`, `max_turn_requests`, `refusal`, `cancelled`, or the agent's own.
    pub stop_reason: String,
    /// Token usage, if the agent told.
    pub usage: Option<Value>,
    /// The whole JSON-RPC result.
    pub response: Value,
}

impl AgentOs {
    /// Runs one turn. Dropping the future cancels the turn.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`]; [`Error::Agent`] if the agent exits or answers with an error.
    pub async fn prompt(
        &self,
        session_id: impl Into<String>,
        prompt: impl Into<PromptInput>,
    ) -> Result<PromptResult> {
        let PromptInput(blocks) = prompt.into();
        if blocks.is_empty() {
            return Err(Error::InvalidRequest { message: "the prompt has no content".to_owned() });
        }
        let content = JsonText::new(&Value::Array(blocks));
        let call = Prompt { vm_id: self.vm.id(), session_id: session_id.into(), content };
        let reply = self.vm.call(&call).await?;
        Ok(PromptResult {
            text: reply.text,
            stop_reason: reply.stop_reason,
            usage: reply.usage.map(|usage| parse("usage", &usage)).transpose()?,
            response: parse("response", &reply.response)?,
        })
    }
}
