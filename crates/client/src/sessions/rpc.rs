//! JSON-RPC 2.0 messages as values, and sending one to an agent as it is.
//! It does not frame them.

use agentos_protocol::message::{JsonText, RawNotify, RawSend};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parse;
use crate::error::Result;
use crate::vm::AgentOs;

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JsonRpcRequest {
    /// `2.0`.
    pub jsonrpc: String,
    /// Number, string or null.
    pub id: Value,
    /// Method.
    pub method: String,
    /// Parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

/// A response: result or error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JsonRpcResponse {
    /// `2.0`.
    pub jsonrpc: String,
    /// Of the request.
    pub id: Value,
    /// Result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JsonRpcError>,
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JsonRpcNotification {
    /// `2.0`.
    pub jsonrpc: String,
    /// Method.
    pub method: String,
    /// Parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JsonRpcError {
    /// Code.
    pub code: i64,
    /// Text.
    pub message: String,
    /// More.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl AgentOs {
    /// Sends a request to the agent of a session as it is, and returns its result; `sessionId` is filled in if missing.
    /// Methods that begin a turn or end the session are refused: they have methods of their own here.
    ///
    /// # Errors
    /// [`crate::Error::Agent`] with the agent's JSON-RPC error; [`crate::Error::SessionNotFound`].
    pub async fn raw_send(
        &self,
        session_id: impl Into<String>,
        method: impl Into<String>,
        params: Value,
    ) -> Result<Value> {
        let call = RawSend {
            vm_id: self.vm.id(),
            session_id: session_id.into(),
            method: method.into(),
            params: JsonText::new(&params),
        };
        parse("result", &self.vm.call(&call).await?.result)
    }

    /// Sends a notification to the agent of a session as it is; `sessionId` is filled in if missing. Done when it is on its way.
    ///
    /// # Errors
    /// [`crate::Error::SessionNotFound`]; [`crate::Error::Unsupported`] of an agent that does not speak ACP; those methods that
    /// [`raw_send`](Self::raw_send) refuses are refused here, too.
    pub async fn raw_notify(
        &self,
        session_id: impl Into<String>,
        method: impl Into<String>,
        params: Value,
    ) -> Result<()> {
        let call = RawNotify {
            vm_id: self.vm.id(),
            session_id: session_id.into(),
            method: method.into(),
            params: JsonText::new(&params),
        };
        self.vm.call(&call).await?;
        Ok(())
    }
}
