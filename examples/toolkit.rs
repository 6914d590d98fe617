//! Tools of this program for a machine: a shop with stock and orders, called by a shell script in it, and an order that is asked
//! for first: `cargo run --release -p agentos-examples --bin toolkit`.

#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};

use agentos::{AgentOs, AgentOsConfig, Error, ExecOptions, HostTool, ToolKit, ToolRequest};
use serde_json::{Value, json};

fn main() -> Result<(), Error> {
    agentos::sidecar::init();
    run()
}

#[tokio::main]
async fn run() -> Result<(), Error> {
    let orders = Arc::new(Mutex::new(Vec::new()));
    let tree = json!({"tool": {"default": "allow", "rules": [{"mode": "ask", "patterns": ["shop:order"]}]}});
    let config = AgentOsConfig::builder()
        .tool_kits(vec![shop(&orders)])
        .permissions(serde_json::from_value(tree).expect("a tree"))
        .on_tool_request(Arc::new(|request: ToolRequest| {
            println!("{} asks for {}: {}", request.tool_kit, request.tool, request.input);
            let modest = request.input["count"].as_u64().is_some_and(|count| count <= 10);
            Box::pin(async move { modest })
        }))
        .build();
    let os = AgentOs::create(config).await?;

    let list = exec(&os, "agentos list-tools").await?;
    assert_eq!(list.0, 0);
    println!("{}", list.1);

    // The tools are commands among others: what one tells, another one takes.
    let script = "agentos shop stock | jq -r '.result[] | select(.count < 5) | .item' |
        while read item; do agentos-shop order --item \"$item\" --count 10; done";
    let (status, out, err) = exec(&os, script).await?;
    print!("{out}");
    assert_eq!((status, err.as_str()), (0, ""));
    assert_eq!(*orders.lock().expect("no panic"), [("tea".to_owned(), 10)]);

    let (status, _, err) = exec(&os, "agentos shop order --item coffee --count 1000").await?;
    print!("{err}");
    assert!(status == 1 && err.contains("the host did not agree"));
    let (status, _, err) = exec(&os, "agentos shop order --item coffee --count 0").await?;
    print!("{err}");
    assert!(status == 1 && err.contains("at /count"));
    assert_eq!(orders.lock().expect("no panic").len(), 1);
    os.dispose().await
}

fn shop(orders: &Arc<Mutex<Vec<(String, u64)>>>) -> ToolKit {
    let stock = HostTool {
        name: "stock".into(),
        description: "What is there, and how much of it".into(),
        input_schema: json!({"type": "object", "additionalProperties": false}),
        timeout_ms: None,
        execute: Arc::new(|_| {
            let stock = json!([{"item": "coffee", "count": 12}, {"item": "tea", "count": 3}]);
            Box::pin(async move { Ok(stock) })
        }),
    };
    let orders = Arc::clone(orders);
    let order = HostTool {
        name: "order".into(),
        description: "Orders more of something".into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "item": {"type": "string", "description": "What"},
                "count": {"type": "integer", "minimum": 1, "description": "How many"},
            },
            "required": ["item", "count"],
        }),
        timeout_ms: Some(5_000),
        execute: Arc::new(move |input: Value| {
            let orders = Arc::clone(&orders);
            Box::pin(async move {
                let item = input["item"].as_str().ok_or("no item")?.to_owned();
                let count = input["count"].as_u64().ok_or("no count")?;
                let mut orders = orders.lock().map_err(|_| "the orders are lost")?;
                orders.push((item, count));
                Ok(json!({"order": orders.len()}))
            })
        }),
    };
    ToolKit { name: "shop".into(), description: "The stock of a shop".into(), tools: vec![stock, order] }
}

/// Status, output and errors of a script.
async fn exec(os: &AgentOs, script: &str) -> Result<(i32, String, String), Error> {
    let done = os.exec(script, ExecOptions::default()).await?;
    Ok((done.exit_code, done.stdout, done.stderr))
}
