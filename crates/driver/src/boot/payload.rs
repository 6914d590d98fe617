//! The boot payload: all that a driver in a sandbox is told before it begins, and where it is read from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::Execution;
use crate::kernel::StartInput;
use crate::{ErrorInfo, Runtime, paths};

/// The version of payloads.
pub const PROTOCOL_VERSION: u32 = 1;
/// The variable that holds a payload.
pub const PAYLOAD: &str = "AGENT_DRIVER_BOOT_PAYLOAD";
/// The variable that names a file with a payload, which is removed once it was read.
pub const PAYLOAD_FILE: &str = "AGENT_DRIVER_BOOT_PAYLOAD_FILE";
/// All variables of the driver begin with this; none of them reaches a vendor.
pub const PREFIX: &str = "AGENT_DRIVER_";
/// The program of Claude Code.
pub const CLAUDE_EXECUTABLE: &str = "AGENT_DRIVER_CLAUDE_EXECUTABLE";
/// The program of Codex.
pub const CODEX_EXECUTABLE: &str = "AGENT_DRIVER_CODEX_EXECUTABLE";
/// The program of an agent that speaks ACP.
pub const ACP_COMMAND: &str = "AGENT_DRIVER_ACP_COMMAND";
/// Its arguments: a list of strings in JSON.
pub const ACP_ARGS: &str = "AGENT_DRIVER_ACP_ARGS";
/// How it is let in.
pub const ACP_AUTH_METHOD: &str = "AGENT_DRIVER_ACP_AUTH_METHOD";

/// The largest payload, in bytes.
const MAX_PAYLOAD: u64 = 16 << 20;
/// Ports that a driver may be told to listen on.
const PORTS: std::ops::RangeInclusive<u16> = 20_000..=59_999;
/// The shortest interval of heartbeats, in milliseconds.
const MIN_HEARTBEAT: u64 = 250;

/// What a driver in a sandbox is told. Unknown members are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BootPayload {
    /// [`PROTOCOL_VERSION`].
    pub protocol_version: u32,
    /// This driver.
    pub driver_instance_id: Ulid,
    /// Its sandbox.
    pub sandbox_id: Ulid,
    /// Of two drivers of a session, the one with the higher number is the right one.
    pub driver_generation: u64,
    /// Who knows it may control the driver.
    pub boot_token: String,
    /// Where it is controlled: 20000 to 59999.
    pub driver_control_port: u16,
    /// How often it says that it is alive, in milliseconds: 250 or more.
    pub heartbeat_interval_ms: u64,
    /// The trace that it belongs to.
    pub traceparent: String,
    /// The runtime.
    pub runtime: Runtime,
    /// How it is spoken to; it must be one of that runtime.
    pub runtime_transport: String,
    /// What is to be run.
    pub execution: Execution,
    /// How long a permission stays open; `null`: for ever; left out: five minutes.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub permission_timeout_ms: Option<Option<u64>>,
    /// How long a vendor may take to end a cancelled turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_grace_ms: Option<u64>,
    /// The number of the next event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_seq: Option<u64>,
}

/// Tells `null` from left out.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::<u64>::deserialize(from).map(Some)
}

fn malformed(path: &str, why: impl std::fmt::Display) -> ErrorInfo {
    ErrorInfo::new("boot.malformed", format!("boot payload: {path}: {why}"))
}

fn check(path: &str, holds: bool, why: &str) -> Result<(), ErrorInfo> {
    if holds { Ok(()) } else { Err(malformed(path, why)) }
}

fn check_id(path: &str, id: &str) -> Result<(), ErrorInfo> {
    Ulid::from_string(id).map(drop).map_err(|error| malformed(path, format!("{id:?} is no ULID: {error}")))
}

impl BootPayload {
    /// Reads a payload.
    ///
    /// # Errors
    /// `boot.malformed`, which names the member.
    pub fn parse(json: &str) -> Result<Self, ErrorInfo> {
        let mut from = serde_json::Deserializer::from_str(json);
        let payload: BootPayload = serde_path_to_error::deserialize(&mut from)
            .map_err(|error| malformed(&error.path().to_string(), error.inner()))?;
        payload.validate()?;
        Ok(payload)
    }

    fn validate(&self) -> Result<(), ErrorInfo> {
        let execution = &self.execution;
        check("protocolVersion", self.protocol_version == PROTOCOL_VERSION, "only 1 is known")?;
        check("bootToken", !self.boot_token.is_empty(), "must not be empty")?;
        check("driverControlPort", PORTS.contains(&self.driver_control_port), "not within 20000 to 59999")?;
        check("heartbeatIntervalMs", self.heartbeat_interval_ms >= MIN_HEARTBEAT, "less than 250")?;
        check("traceparent", !self.traceparent.is_empty(), "must not be empty")?;
        check("runtimeTransport", !self.runtime_transport.is_empty(), "must not be empty")?;
        check("execution.model", !execution.model.is_empty(), "must not be empty")?;
        check("execution.provider", !execution.provider.is_empty(), "must not be empty")?;
        let at = |path: &str, value: &str| {
            paths::check(value).map(drop).map_err(|error| malformed(path, error.message))
        };
        at("execution.session.cwd", &execution.session.cwd)?;
        for (n, directory) in execution.session.additional_directories.iter().enumerate() {
            at(&format!("execution.session.additionalDirectories[{n}]"), directory)?;
        }
        let revision = &execution.config_revision;
        for (name, id) in [
            ("agentId", &revision.agent_id),
            ("environmentId", &revision.environment_id),
            ("environmentRevisionId", &revision.environment_revision_id),
            ("sessionId", &revision.session_id),
        ] {
            check_id(&format!("execution.configRevision.{name}"), id)?;
        }
        for (name, id) in
            [("deploymentVersionId", &revision.deployment_version_id), ("runId", &revision.run_id)]
        {
            if let Some(id) = id {
                check_id(&format!("execution.configRevision.{name}"), id)?;
            }
        }
        if let Some(reference) = &execution.session.native_resume_ref
            && !reference.fits(self.runtime)
        {
            return Err(malformed("execution.session.nativeResumeRef", "it is not one of the runtime"));
        }
        for (n, server) in execution.session.mcp_servers.iter().enumerate() {
            let path = format!("execution.session.mcpServers[{n}].proxyUrl");
            let active = server.authorization_state == "active";
            check(&path, !active || server.proxy_url.is_some(), "missing though the server is active")?;
        }
        for (n, tool) in execution.custom_tools.iter().enumerate() {
            check(&format!("execution.customTools[{n}].name"), !tool.name.is_empty(), "must not be empty")?;
        }
        Ok(())
    }

    /// What the session begins with.
    ///
    /// # Errors
    /// `boot.malformed`: the id of the session is none.
    pub fn start_input(&self) -> Result<StartInput, ErrorInfo> {
        let id = &self.execution.config_revision.session_id;
        let session_id =
            Ulid::from_string(id).map_err(|error| malformed("execution.configRevision.sessionId", error))?;
        let input = StartInput::new(self.execution.clone());
        let timeout = match self.permission_timeout_ms {
            Some(limit) => limit.map(Duration::from_millis),
            None => input.permission_timeout,
        };
        Ok(StartInput {
            session_id,
            next_seq: self.next_seq.unwrap_or(1),
            trace_id: Some(self.traceparent.clone()),
            permission_timeout: timeout,
            cancel_grace: self.cancel_grace_ms.map_or(input.cancel_grace, Duration::from_millis),
            ..input
        })
    }
}

/// Where a payload comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadSource {
    /// This very text.
    Text(String),
    /// A file, which is removed once it was read.
    File(PathBuf),
    /// Standard input to its end.
    Stdin,
}

impl PayloadSource {
    /// The first there is: the variable with the payload, the variable with the name of a file, standard input. The caller
    /// has to see to it that the variables reach no other process.
    #[must_use]
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(text) = variable(PAYLOAD) {
            PayloadSource::Text(text)
        } else if let Some(file) = variable(PAYLOAD_FILE) {
            PayloadSource::File(PathBuf::from(file))
        } else {
            PayloadSource::Stdin
        }
    }

    /// Reads the payload.
    ///
    /// # Errors
    /// `boot.unreadable`, `boot.malformed`.
    pub async fn read(&self) -> Result<BootPayload, ErrorInfo> {
        use tokio::io::AsyncReadExt as _;
        let unreadable = |what: &str, error: std::io::Error| {
            ErrorInfo::new("boot.unreadable", format!("boot payload: {what}: {error}"))
        };
        let mut text = String::new();
        match self {
            PayloadSource::Text(given) => text.clone_from(given),
            PayloadSource::File(path) => {
                let shown = path.display().to_string();
                text = read_file(path).await.map_err(|error| unreadable(&shown, error))?;
                tokio::fs::remove_file(path).await.map_err(|error| unreadable(&shown, error))?;
            }
            PayloadSource::Stdin => {
                let read = tokio::io::stdin().take(MAX_PAYLOAD).read_to_string(&mut text).await;
                read.map_err(|error| unreadable("standard input", error))?;
            }
        }
        BootPayload::parse(&text)
    }
}

async fn read_file(path: &Path) -> std::io::Result<String> {
    use tokio::io::AsyncReadExt as _;
    let mut text = String::new();
    tokio::fs::File::open(path).await?.take(MAX_PAYLOAD).read_to_string(&mut text).await?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn payload() -> Value {
        let id = Ulid::generate().to_string();
        json!({
            "protocolVersion": 1, "driverInstanceId": id, "sandboxId": id, "driverGeneration": 0,
            "bootToken": "t", "driverControlPort": 20000, "heartbeatIntervalMs": 250, "traceparent": "00-x",
            "runtime": "openai-runtime", "runtimeTransport": "openai-app-server", "later": true,
            "execution": {
                "configRevision": {"agentId": id, "deploymentVersionId": null, "deploymentVersionNumber": null,
                    "environmentId": id, "environmentRevisionId": id, "runId": null, "sessionId": id},
                "environment": {"variables": {"A": "b"}}, "model": "m", "provider": "p", "profilePrompt": "",
                "session": {"cwd": "/workspace", "additionalDirectories": [], "nativeResumeRef": null, "mcpServers": [],
                    "context": {"homePath": "/home", "appAccessSnapshot": {"entries": [
                        {"type": "space", "spaceId": "s", "mountPath": "/x", "canWrite": true}]}}},
            }
        })
    }

    #[test]
    fn a_payload_is_read_and_unknown_members_are_ignored() {
        let payload = BootPayload::parse(&payload().to_string()).unwrap();
        assert_eq!(payload.execution.environment.variables["A"], "b");
        assert_eq!(payload.execution.session.context.access_snapshot.entries.len(), 1, "by its older name");
        let input = payload.start_input().unwrap();
        assert_eq!((input.next_seq, input.permission_timeout), (1, Some(Duration::from_secs(300))));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("/protocolVersion", json!(2), "protocolVersion"),
            ("/sandboxId", json!("x"), "sandboxId"),
            ("/bootToken", json!(""), "bootToken"),
            ("/driverControlPort", json!(80), "driverControlPort"),
            ("/heartbeatIntervalMs", json!(249), "heartbeatIntervalMs"),
            ("/runtime", json!("other"), "runtime"),
            ("/execution/model", json!(""), "execution.model"),
            ("/execution/session/cwd", json!("work"), "execution.session.cwd"),
            ("/execution/session/additionalDirectories", json!(["/a", "/b/"]), "additionalDirectories[1]"),
            ("/execution/environment/variables/A", json!(7), "execution.environment.variables.A"),
            ("/execution/configRevision/agentId", json!("x"), "execution.configRevision.agentId"),
            (
                "/execution/session/nativeResumeRef",
                json!({"kind": "claude_session_id", "runtimeId": "claude-agent-sdk", "value": "s"}),
                "nativeResumeRef",
            ),
            (
                "/execution/session/mcpServers",
                json!([{"name": "m", "authorizationState": "active"}]),
                "mcpServers[0].proxyUrl",
            ),
        ];
        for (pointer, value, named) in table {
            let mut payload = payload();
            *payload.pointer_mut(pointer).unwrap() = value;
            let error = BootPayload::parse(&payload.to_string()).unwrap_err();
            assert!(error.message.contains(named), "{pointer}: {error}");
        }
        assert!(BootPayload::parse("{").is_err());
    }

    #[test]
    fn null_is_not_left_out() {
        let mut payload = payload();
        payload["permissionTimeoutMs"] = json!(null);
        payload["cancelGraceMs"] = json!(5);
        payload["nextSeq"] = json!(9);
        let input = BootPayload::parse(&payload.to_string()).unwrap().start_input().unwrap();
        assert_eq!((input.permission_timeout, input.cancel_grace), (None, Duration::from_millis(5)));
        assert_eq!(input.next_seq, 9);
    }

    #[tokio::test]
    async fn it_is_read_from_the_first_place_there_is_and_a_file_is_removed() {
        let text = payload().to_string();
        let only =
            |name: &'static str, value: String| move |asked: &str| (asked == name).then(|| value.clone());
        assert!(PayloadSource::find(only(PAYLOAD, text.clone())).read().await.is_ok());
        assert_eq!(PayloadSource::find(|_| None), PayloadSource::Stdin);
        let file = std::env::temp_dir().join(format!("payload-{}", Ulid::generate()));
        std::fs::write(&file, &text).unwrap();
        let source = PayloadSource::find(only(PAYLOAD_FILE, file.display().to_string()));
        assert!(source.read().await.is_ok());
        assert!(!file.exists());
        assert!(source.read().await.is_err());
    }
}
