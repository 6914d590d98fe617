//! The vendor's methods by what they are about.

use serde_json::Value;

use crate::backend::codex::wire;

/// The turn that a message is of.
pub(super) fn turn_of(params: &Value) -> Option<&str> {
    wire::name(params, "turnId").or_else(|| wire::name(params.get("turn")?, "id"))
}

/// Whether a notification is about a turn, and we know what it means.
pub(super) fn is_of_turn(method: &str) -> bool {
    matches!(
        method,
        "turn/started"
            | "turn/completed"
            | "turn/plan/updated"
            | "error"
            | "thread/tokenUsage/updated"
            | "thread/compacted"
            | "item/started"
            | "item/completed"
            | "item/agentMessage/delta"
            | "item/plan/delta"
            | "item/reasoning/textDelta"
            | "item/reasoning/summaryTextDelta"
            | "item/commandExecution/outputDelta"
            | "item/commandExecution/terminalInteraction"
            | "item/fileChange/outputDelta"
            | "item/fileChange/patchUpdated"
            | "item/mcpToolCall/progress"
    )
}

/// Whether a notification is known to say nothing that an event has a place for.
pub(super) fn is_quiet(method: &str) -> bool {
    const FAMILIES: &[&str] = &[
        "account/",
        "app/",
        "fs/",
        "hook/",
        "mcpServer/",
        "remoteControl/",
        "skills/",
        "thread/",
        "windows",
    ];
    let known = is_of_turn(method);
    let family = FAMILIES.iter().any(|family| method.starts_with(family));
    (family && !known)
        || matches!(
            method,
            "turn/diff/updated"
                | "item/reasoning/summaryPartAdded"
                | "rawResponseItem/completed"
                | "model/rerouted"
        )
}
