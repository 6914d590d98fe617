//! Prompting: one turn of a session.
//! Prompts of one session queue in the sidecar.

use agentos_protocol::message::{JsonText, Prompt};
use serde::Serialize;
use serde_json::{Map, Value, json};

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

/// Options of [`AgentOs::prompt_with`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptOptions {
    /// Members of ACP `session/prompt` beside `sessionId` and `prompt`, such as `_meta`: they reach the agent as they are. At
    /// most 64 KiB as JSON. For agents that speak ACP; an error for others.
    pub params: Map<String, Value>,
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
        self.prompt_with(session_id, prompt, PromptOptions::default()).await
    }

    /// As [`prompt`](Self::prompt), with more than content.
    ///
    /// # Errors
    /// Those of [`prompt`](Self::prompt); [`Error::InvalidRequest`] for members that cannot be passed on.
    ///
    /// ```no_run
    /// # async fn f(os: agentos::AgentOs, id: &str) -> Result<(), agentos::Error> {
    /// use agentos::PromptOptions;
    /// let mut options = PromptOptions::default();
    /// options.params.insert("_meta".into(), serde_json::json!({"traceparent": "00-80e1afed08e019fc1110464cfa66635c-7a085853722dc6d2-01"}));
    /// os.prompt_with(id, "Where were we?", options).await?;
    /// # Ok(()) }
    /// ```
    pub async fn prompt_with(
        &self,
        session_id: impl Into<String>,
        prompt: impl Into<PromptInput>,
        options: PromptOptions,
    ) -> Result<PromptResult> {
        let PromptInput(blocks) = prompt.into();
        if blocks.is_empty() {
            return Err(Error::InvalidRequest { message: "the prompt has no content".to_owned() });
        }
        let content = JsonText::new(&Value::Array(blocks));
        let PromptOptions { params } = options;
        let params = (!params.is_empty()).then(|| JsonText::new(&Value::Object(params)));
        let call = Prompt { vm_id: self.vm.id(), session_id: session_id.into(), content, params };
        let reply = self.vm.call(&call).await?;
        Ok(PromptResult {
            text: reply.text,
            stop_reason: reply.stop_reason,
            usage: reply.usage.map(|usage| parse("usage", &usage)).transpose()?,
            response: parse("response", &reply.response)?,
        })
    }
}
