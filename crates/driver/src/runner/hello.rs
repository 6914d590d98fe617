//! The words of the control connection: what is said when a connection begins, and what the host answers. Wire shapes, checked
//! where they come in.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use ulid::Ulid;

use crate::boot::{BootPayload, PROTOCOL_VERSION};
use crate::event::{SCHEMA_VERSION, Time, now};
use crate::registry::Capability;
use crate::{ErrorInfo, Runtime};

/// Most events of one push, where the host does not say.
pub(super) const BATCH: usize = 64;
/// The largest batch that a host may ask for.
const MAX_BATCH: usize = 1000;
/// The code of an answer that cannot be used.
const MALFORMED: &str = "control.hello_malformed";

/// What the driver says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hello {
    pub(super) capabilities: Vec<Capability>,
    pub(super) driver_version: &'static str,
    pub(super) protocol_version: u32,
    pub(super) event_schema_version: u32,
    pub(super) runtime: Runtime,
    pub(super) pid: u32,
    #[serde(with = "crate::event::millis")]
    pub(super) started_at: Time,
}

impl Hello {
    pub(super) fn new(runtime: Runtime, capabilities: Vec<Capability>) -> Self {
        Hello {
            capabilities,
            driver_version: env!("CARGO_PKG_VERSION"),
            protocol_version: PROTOCOL_VERSION,
            event_schema_version: SCHEMA_VERSION,
            runtime,
            pid: std::process::id(),
            started_at: now(),
        }
    }
}

/// How the host wants the run. What is about its own bookkeeping is not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RunConfig {
    env_policy: Option<String>,
    event_batch_max_size: Option<usize>,
}

/// What the host answers to a [`Hello`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    driver_instance_id: Option<String>,
    heartbeat_interval_ms: Option<u64>,
    run_config: RunConfig,
    next_seq: Option<u64>,
    event_schema_version: Option<u32>,
}

/// What came of a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Welcome {
    /// How often a sign of life is wanted, in milliseconds.
    pub(super) heartbeat_ms: u64,
    /// Most events of one push.
    pub(super) batch: usize,
    /// The number of the next event, as the host counts.
    pub(super) next_seq: Option<u64>,
}

impl Welcome {
    /// Reads the answer of a host to this driver.
    pub(super) fn of(answer: Value, payload: &BootPayload) -> Result<Self, ErrorInfo> {
        let wrong = |what: String| ErrorInfo::new(MALFORMED, format!("answer to hello: {what}"));
        let answer: Answer =
            serde_path_to_error::deserialize(answer).map_err(|error| wrong(error.to_string()))?;
        let own = payload.driver_instance_id.to_string();
        if answer.driver_instance_id.as_ref().is_some_and(|id| *id != own) {
            return Err(wrong("driverInstanceId: it is that of another driver".to_owned()));
        }
        if answer.event_schema_version.is_some_and(|version| version != SCHEMA_VERSION) {
            return Err(wrong(format!("eventSchemaVersion: only {SCHEMA_VERSION} is known")));
        }
        if let Some(policy) = answer.run_config.env_policy.filter(|policy| policy != "strict") {
            return Err(wrong(format!("runConfig.envPolicy: {policy:?}: there is only \"strict\"")));
        }
        let batch = answer.run_config.event_batch_max_size.unwrap_or(BATCH);
        if !(1..=MAX_BATCH).contains(&batch) {
            return Err(wrong(format!("runConfig.eventBatchMaxSize: {batch}: not within 1 to {MAX_BATCH}")));
        }
        let heartbeat_ms = answer.heartbeat_interval_ms.unwrap_or(payload.heartbeat_interval_ms);
        if heartbeat_ms < 250 {
            return Err(wrong(format!("heartbeatIntervalMs: {heartbeat_ms}: less than 250")));
        }
        if answer.next_seq == Some(0) {
            return Err(wrong("nextSeq: events are numbered from 1".to_owned()));
        }
        Ok(Welcome { heartbeat_ms, batch, next_seq: answer.next_seq })
    }
}

/// The backend was started.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ready {
    #[serde(with = "crate::event::millis")]
    pub(super) at: Time,
    pub(super) driver_instance_id: Ulid,
    pub(super) pid: u32,
}

/// A sign of life.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Heartbeat {
    #[serde(with = "crate::event::millis")]
    pub(super) at: Time,
    pub(super) pid: u32,
    /// `interval` or `ping`.
    pub(super) reason: &'static str,
}

/// Events of one push.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PushEvents<'a> {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    pub(super) events: &'a [Box<RawValue>],
}

/// An event that the host will not have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Rejected {
    pub(super) id: String,
    pub(super) code: String,
}

/// What the host keeps of a push.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pushed {
    pub(super) last_seq: u64,
    #[serde(default)]
    pub(super) rejected: Vec<Rejected>,
}

/// The command that a host gives when it is asked.
pub(super) fn next_command(answer: &Value) -> Option<&Map<String, Value>> {
    answer.get("command").and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_read_or_what_is_wrong_with_it_is_named() {
        let payload = super::super::tests_payload();
        let all = json!({
            "acceptedCapabilities": ["input_start"], "connectionId": "c", "driverInstanceId": payload.driver_instance_id,
            "heartbeatIntervalMs": 300, "runId": null, "nextSeq": 7,
            "runConfig": {"commandLeaseMs": 1, "envPolicy": "strict", "eventBatchMaxSize": 5, "organizationPath": "/o"},
        });
        let read = Welcome::of(all.clone(), &payload).unwrap();
        assert_eq!(read, Welcome { heartbeat_ms: 300, batch: 5, next_seq: Some(7) });
        let least = Welcome::of(json!({}), &payload).unwrap();
        assert_eq!(
            least,
            Welcome { heartbeat_ms: payload.heartbeat_interval_ms, batch: BATCH, next_seq: None }
        );
        for (pointer, value, named) in [
            ("/driverInstanceId", json!("01ARZ3NDEKTSV4RRFFQ69G5FAV"), "driverInstanceId"),
            ("/heartbeatIntervalMs", json!(1), "heartbeatIntervalMs"),
            ("/nextSeq", json!(0), "nextSeq"),
            ("/runConfig/envPolicy", json!("open"), "envPolicy"),
            ("/runConfig/eventBatchMaxSize", json!(0), "eventBatchMaxSize"),
            ("/runConfig/eventBatchMaxSize", json!("x"), "eventBatchMaxSize"),
        ] {
            let mut answer = all.clone();
            *answer.pointer_mut(pointer).unwrap() = value;
            let error = Welcome::of(answer, &payload).unwrap_err();
            assert!(error.message.contains(named), "{error}");
        }
        assert!(Welcome::of(json!(7), &payload).is_err());
    }
}
