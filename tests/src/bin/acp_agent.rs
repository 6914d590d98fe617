//! An agent for tests that speaks the Agent Client Protocol on its standard streams. It has no model: a prompt says what it
//! does. `hang` waits for a cancel, `environment` tells what it and its parent were started with, and anything else is said
//! back, word by word.
#![forbid(unsafe_code)]

use std::io::{BufRead, Write};

use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let mut hangs = None;
    for line in std::io::stdin().lock().lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        let answer = |result: Value| say(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}));
        match message["method"].as_str().unwrap_or_default() {
            "initialize" => {
                answer(json!({"protocolVersion": 1, "agentCapabilities": {}, "authMethods": []}))?;
            }
            "session/new" => answer(json!({"sessionId": "s1"}))?,
            "session/prompt" => match message["params"]["prompt"][0]["text"].as_str().unwrap_or_default() {
                "hang" => hangs = Some(message["id"].clone()),
                "environment" => {
                    chunk(&environment())?;
                    answer(json!({"stopReason": "end_turn"}))?;
                }
                text => {
                    for (n, word) in text.split_whitespace().enumerate() {
                        let call = json!({"sessionUpdate": "tool_call", "toolCallId": format!("{n}-{word}"),
                            "title": word, "kind": "other", "status": "completed"});
                        update(&call)?;
                        chunk(word)?;
                    }
                    answer(json!({"stopReason": "end_turn"}))?;
                }
            },
            "session/cancel" => {
                if let Some(id) = hangs.take() {
                    say(&json!({"jsonrpc": "2.0", "id": id, "result": {"stopReason": "cancelled"}}))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn say(message: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{message}")?;
    out.flush()
}

fn update(update: &Value) -> std::io::Result<()> {
    let params = json!({"sessionId": "s1", "update": update});
    say(&json!({"jsonrpc": "2.0", "method": "session/update", "params": params}))
}

fn chunk(text: &str) -> std::io::Result<()> {
    update(&json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}))
}

/// Its own variables and files in memory, and what it can see of those of the process that started it.
fn environment() -> String {
    let own: Vec<String> = std::env::vars_os().map(|(name, value)| format!("{name:?}={value:?}")).collect();
    let parent = std::os::unix::process::parent_id();
    let seen = ["environ", "cmdline"].map(|file| {
        let bytes = std::fs::read(format!("/proc/{parent}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', "\n")
    });
    let memory = (3..64).map(|fd| format!("/proc/self/fd/{fd}")).filter(|path| {
        std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:"))
    });
    let open: Vec<String> = memory
        .filter_map(|path| std::fs::read(path).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect();
    format!("{}\n{}\n{}", own.join("\n"), seen.join("\n"), open.join("\n"))
}
