//! A machine, an agent in it, one prompt: `cargo run --release -p agentos-examples --bin quickstart`.
//! The agent is the scripted one: it needs no model, and runs the `sh` blocks of the prompt as tool calls.

#![forbid(unsafe_code)]

use agentos::{AgentOs, AgentOsConfig, CreateSessionOptions, Error, PermissionReply};
use serde_json::Value;

const PROMPT: &str = "Greet the world, please.
```sh
echo 'hello, world' > greeting.txt
tr a-z A-Z < greeting.txt
```
";

fn main() -> Result<(), Error> {
    // This program is its own sidecar.
    agentos::sidecar::init();
    run()
}

#[tokio::main]
async fn run() -> Result<(), Error> {
    let os = AgentOs::create(AgentOsConfig::default()).await?;
    let session = os.create_session("scripted", CreateSessionOptions::default()).await?;

    // Whoever embeds agents decides what they may do; this one says yes, and says so.
    let mut requests = session.permission_requests().await?;
    let answering = session.clone();
    let permissions = tokio::spawn(async move {
        let mut granted = 0;
        while let Some(request) = requests.next().await {
            let request = request?;
            println!("? {}: once", request.tool_call["title"]);
            answering.respond_permission(request.permission_id, PermissionReply::Once).await?;
            granted += 1;
        }
        Ok::<u32, Error>(granted)
    });

    let mut events = session.events(None).await?;
    let printing = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            let event = event?;
            let what = event.params.pointer("/update/sessionUpdate").and_then(Value::as_str);
            println!("{} {} {}", event.seq, event.method, what.unwrap_or_default());
            seen.extend(what.map(str::to_owned));
        }
        Ok::<Vec<String>, Error>(seen)
    });

    let turn = session.prompt(PROMPT).await?;
    println!("{}\n[{}]", turn.text, turn.stop_reason);
    // Host and guest see the same files.
    let greeting = os.read_file("/workspace/greeting.txt").await?;
    // Streams of a session end with it.
    session.destroy().await?;
    let granted = permissions.await.expect("the task does not panic")?;
    let seen = printing.await.expect("the task does not panic")?;
    os.dispose().await?;

    assert_eq!(turn.stop_reason, "end_turn");
    assert_eq!(greeting, b"hello, world\n");
    assert_eq!(granted, 1);
    for update in ["agent_message_chunk", "tool_call", "tool_call_update"] {
        assert!(seen.iter().any(|s| s == update), "{update} in {seen:?}");
    }
    Ok(())
}
