//! Toolkits: tools of this program as commands of a machine and as an MCP server, what may be called, and what comes of
//! callbacks that do not behave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use agentos::{
    AgentOs, AgentOsConfig, AgentOsConfigBuilder, CreateSessionOptions, Error, Event, ExecOptions, HostTool,
    Permissions, PersistenceConfig, SpawnOptions, ToolKit, ToolRequest,
};
use agentos_tests::{Sidecar, eventually, live_processes, sh, watched};
use serde_json::{Value, json};

static SIDECAR: Sidecar = Sidecar::new();

type Answer = Result<Value, String>;
type Allowed = std::pin::Pin<Box<dyn Future<Output = bool> + Send>>;

fn tool<F>(name: &str, schema: Value, execute: impl Fn(Value) -> F + Send + Sync + 'static) -> HostTool
where
    F: Future<Output = Answer> + Send + 'static,
{
    HostTool {
        name: name.into(),
        description: format!("Does {name}."),
        input_schema: schema,
        timeout_ms: None,
        execute: Arc::new(move |input| Box::pin(execute(input))),
    }
}

fn quick(name: &str, execute: impl Fn(Value) -> Answer + Send + Sync + 'static) -> HostTool {
    let execute = Arc::new(execute);
    tool(name, json!({"type": "object"}), move |input| {
        let execute = Arc::clone(&execute);
        async move { execute(input) }
    })
}

fn kit(name: &str, tools: Vec<HostTool>) -> ToolKit {
    ToolKit { name: name.into(), description: format!("Tools of {name}."), tools }
}

/// What tests look at from outside.
#[derive(Clone, Default)]
struct Seen {
    calls: Arc<AtomicUsize>,
    waits: Arc<AtomicUsize>,
    let_go: Arc<AtomicBool>,
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn weather(seen: &Seen) -> ToolKit {
    let Seen { calls, waits, let_go } = seen.clone();
    let schema = json!({
        "type": "object",
        "properties": {
            "city": {"type": "string", "minLength": 2, "description": "Where"},
            "maxDays": {"type": "integer", "minimum": 1},
            "metric": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "unit": {"enum": ["c", "f"]},
        },
        "required": ["city"],
        "additionalProperties": false,
    });
    let get = tool("get-weather", schema, move |input| {
        calls.fetch_add(1, Ordering::SeqCst);
        async move { Ok(json!({"input": input, "sunny": true})) }
    });
    let wait = tool("wait", json!({"type": "object"}), move |_| {
        let held = SetOnDrop(Arc::clone(&let_go));
        waits.fetch_add(1, Ordering::SeqCst);
        async move {
            let _held = held;
            std::future::pending().await
        }
    });
    let hang = HostTool { timeout_ms: Some(300), ..tool("hang", json!({}), |_| std::future::pending()) };
    let block = HostTool {
        timeout_ms: Some(300),
        ..quick("block", |_| {
            std::thread::sleep(Duration::from_secs(3));
            Ok(json!(null))
        })
    };
    let panics = HostTool {
        execute: Arc::new(|_| panic!("before it began")),
        ..quick("panic-at-once", |_| Ok(json!(null)))
    };
    kit(
        "weather",
        vec![
            get,
            wait,
            hang,
            block,
            panics,
            quick("fail", |_| Err("no such city\nnor any other".into())),
            quick("panic", |_| panic!("the secret of the host")),
            quick("huge", |_| Ok(json!("x".repeat(2 << 20)))),
            quick("large", |_| Ok(json!("x".repeat(1_000_000)))),
            quick("deep", |_| Ok((0..200).fold(json!(1), |inner, _| json!([inner])))),
            quick("words", |_| Ok(json!("sunny in Paris"))),
        ],
    )
}

fn config(seen: &Seen) -> AgentOsConfigBuilder {
    AgentOsConfig::builder().tool_kits(vec![weather(seen)])
}

fn tree(tree: Value) -> Permissions {
    serde_json::from_value(tree).unwrap()
}

/// Runs a line and says what came of it: status, output, errors.
async fn ran(os: &AgentOs, line: &str) -> (i32, String, String) {
    let done = sh(os, line).await;
    (done.exit_code, done.stdout, done.stderr)
}

#[test]
fn tools_are_commands() {
    let seen = Seen::default();
    SIDECAR.test_with(config(&seen).build(), async |os| {
        let result = |input: Value| {
            let text = json!({"input": input, "sunny": true});
            (0, format!("{{\"ok\":true,\"result\":{text}}}\n"), String::new())
        };
        for (line, input) in [
            ("agentos weather get-weather --city Paris", json!({"city": "Paris"})),
            ("agentos-weather get-weather --city=Rome --max-days 3", json!({"city": "Rome", "maxDays": 3})),
            (
                "agentos weather get-weather --city 'São Paulo' --no-metric --tags a --tags b --unit f",
                json!({"city": "São Paulo", "metric": false, "tags": ["a", "b"], "unit": "f"}),
            ),
            (r#"agentos-weather get-weather --json '{"city": "Oslo"}'"#, json!({"city": "Oslo"})),
            (
                r#"echo '{"city": "Bern"}' > in; agentos weather get-weather --json-file in"#,
                json!({"city": "Bern"}),
            ),
            (
                r#"echo '{"city": "Wien"}' | agentos-weather get-weather --json-file -"#,
                json!({"city": "Wien"}),
            ),
        ] {
            assert_eq!(ran(os, line).await, result(input), "{line}");
        }
        assert_eq!(seen.calls.load(Ordering::SeqCst), 6);
        let (status, out, _) = ran(os, "agentos list-tools").await;
        assert!(status == 0 && out.contains("  weather get-weather"), "{out}");
        let (_, out, _) =
            ran(os, "agentos list-tools weather --json | jq -r '.[0].tools[0].inputSchema.required[0]'")
                .await;
        assert_eq!(out, "city\n");
        for (line, has) in [
            ("agentos --help", "  weather  Tools of weather."),
            ("agentos weather --help", "  get-weather"),
            ("agentos-weather --help", "  get-weather"),
            ("agentos-weather get-weather --help", "--city TEXT"),
        ] {
            let (status, out, _) = ran(os, line).await;
            assert!(status == 0 && out.contains(has), "{line}: {out}");
        }
        // A result that is as long as may be comes whole.
        let (_, out, _) = ran(os, "agentos weather large | wc -c").await;
        assert_eq!(out.trim(), (1_000_002 + r#"{"ok":true,"result":}"#.len() + 1).to_string());
    });
}

#[test]
fn what_is_wrong_is_told_and_never_reaches_the_callback() {
    let seen = Seen::default();
    SIDECAR.test_with(config(&seen).build(), async |os| {
        for (line, status, has) in [
            ("agentos weather get-weather", 2, "--city is required"),
            ("agentos weather get-weather --town x", 2, "there is no --town"),
            ("agentos weather get-weather --city x --max-days many", 2, "\"many\" is no integer"),
            ("agentos weather nonsense", 2, "weather has no tool \"nonsense\""),
            ("agentos news list", 2, "there is no toolkit \"news\"; there are: weather"),
            ("agentos weather get-weather --city x", 1, "/city"),
            ("agentos weather get-weather --city xx --max-days 0", 1, "/maxDays"),
            ("agentos weather get-weather --json '{}'", 1, "\"city\" is a required property"),
            ("agentos weather get-weather --json '[]'", 1, "is no JSON object"),
            (r#"agentos weather get-weather --json '{"city": "xx", "x": 1}'"#, 1, "Additional properties"),
        ] {
            let (code, out, err) = ran(os, line).await;
            assert!(code == status && out.is_empty() && err.contains(has), "{line}: {code} {err}");
        }
        assert_eq!(seen.calls.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn callbacks_that_do_not_behave_become_errors() {
    let seen = Seen::default();
    SIDECAR.test_with(config(&seen).build(), async |os| {
        for (tool, has) in [
            ("fail", "weather fail: no such city\nnor any other\n"),
            ("panic", "the callback of the tool panicked"),
            ("panic-at-once", "the callback of the tool panicked"),
            ("hang", "did not answer within 300ms"),
            ("block", "did not answer within 300ms"),
            ("huge", "has 2097154 bytes; 1048576 are allowed"),
            ("deep", "nested deeper than 100"),
        ] {
            let (code, out, err) = ran(os, &format!("agentos weather {tool}")).await;
            assert!(code == 1 && out.is_empty() && err.contains(has), "{tool}: {code} {err}");
            assert!(!err.contains("secret"), "{err}");
        }
        // Others are served while two block.
        let line = "agentos weather block & agentos weather block & agentos weather words; wait";
        let (_, out, _) = ran(os, line).await;
        assert_eq!(out, "{\"ok\":true,\"result\":\"sunny in Paris\"}\n");
    });
}

#[test]
fn a_killed_guest_lets_the_tool_go() {
    let seen = Seen::default();
    SIDECAR.test_with(config(&seen).build(), async |os| {
        for signal in ["TERM", "KILL"] {
            seen.let_go.store(false, Ordering::SeqCst);
            seen.waits.store(0, Ordering::SeqCst);
            let line = format!("agentos weather wait & until [ -e go ]; do sleep 0.01; done; rm go; kill -{signal} $!; wait $!; echo $?");
            let called = async {
                eventually("it is called", async || seen.waits.load(Ordering::SeqCst) == 1).await;
                os.write_file("/workspace/go", "").await.unwrap();
            };
            let ((_, out, _), ()) = tokio::join!(ran(os, &line), called);
            assert!(out.ends_with(if signal == "TERM" { "143\n" } else { "137\n" }), "{out}");
            eventually("the callback is dropped", async || seen.let_go.load(Ordering::SeqCst)).await;
        }
        seen.let_go.store(false, Ordering::SeqCst);
        let options = ExecOptions { timeout: Some(Duration::from_millis(500)), ..ExecOptions::default() };
        assert!(os.exec("agentos weather wait", options).await.unwrap().timed_out);
        eventually("the callback is dropped", async || seen.let_go.load(Ordering::SeqCst)).await;
    });
}

#[test]
fn calls_at_once_are_limited() {
    let seen = Seen::default();
    SIDECAR.test_with(config(&seen).build(), async |os| {
        let many = "for i in $(seq 64); do agentos weather wait & done; until [ -e go ]; do sleep 0.05; done; \
                    agentos weather words 2>&1; kill $(jobs -p); wait; echo done";
        let full = async {
            eventually("all places are taken", async || seen.waits.load(Ordering::SeqCst) == 64).await;
            os.write_file("/workspace/go", "").await.unwrap();
        };
        let ((_, out, err), ()) = tokio::join!(ran(os, many), full);
        assert!(out.contains("under way") && out.ends_with("done\n"), "{out} {err}");
        eventually("there is room again", async || ran(os, "agentos weather words").await.0 == 0).await;
    });
}

#[test]
fn the_tree_says_what_may_be_called() {
    let seen = Seen::default();
    let rules =
        json!({"tool": {"default": "allow", "rules": [{"mode": "deny", "patterns": ["weather:get-*"]}]}});
    SIDECAR.test_with(config(&seen).permissions(tree(rules)).build(), async |os| {
        let mut events = os.events();
        let (code, out, err) = ran(os, "agentos weather get-weather --city Paris").await;
        assert!(code == 1 && out.is_empty(), "{code} {out}");
        assert_eq!(
            err,
            "agentos: weather get-weather: permission denied: tool invoke on weather:get-weather by tool.rules[0]; a rule that \
             would allow it: {\"mode\":\"allow\",\"operations\":[\"invoke\"],\"patterns\":[\"weather:get-weather\"]}\n"
        );
        // Nobody learns about the schema by asking for what is denied.
        assert!(ran(os, "agentos weather get-weather --json '{}'").await.2.contains("permission denied"));
        assert_eq!(seen.calls.load(Ordering::SeqCst), 0);
        assert_eq!(ran(os, "agentos weather words").await.0, 0);
        let told = loop {
            if let Event::PermissionDenied(denied) = events.next().await.unwrap() {
                break denied;
            }
        };
        assert_eq!(told.denial.resource, "weather:get-weather");
        assert_eq!(told.denial.rule.as_deref(), Some("tool.rules[0]"));
        let told = os.explain_permission("tool", "invoke", "weather:get-weather").await.unwrap();
        assert_eq!(told.rule.as_deref(), Some("tool.rules[0]"));
    });
    SIDECAR.test_with(config(&seen).permissions(tree(json!({"tool": "deny"}))).build(), async |os| {
        let (code, _, err) = ran(os, "agentos weather words").await;
        assert!(code == 1 && err.contains("by tool;"), "{err}");
    });
}

#[test]
fn the_host_is_asked_where_the_tree_says_so() {
    let seen = Seen::default();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let on_request = Arc::new(move |request: ToolRequest| -> Allowed {
        count.fetch_add(1, Ordering::SeqCst);
        assert_eq!((request.tool_kit.as_str(), request.tool.as_str()), ("weather", "get-weather"));
        match request.input["city"].as_str() {
            Some("Paris") => Box::pin(async { true }),
            Some("never") => Box::pin(std::future::pending()),
            Some("panic") => panic!("asked too much"),
            _ => Box::pin(async { false }),
        }
    });
    let rules = json!({"tool": {"default": "allow", "rules": [{"mode": "ask", "patterns": ["weather:get-weather"]}]}});
    let config = config(&seen)
        .permissions(tree(rules))
        .on_tool_request(on_request)
        .tool_request_timeout_ms(500)
        .build();
    SIDECAR.test_with(config, async |os| {
        assert_eq!(ran(os, "agentos weather get-weather --city Paris").await.0, 0);
        for city in ["Rome", "never", "panic"] {
            let (code, _, err) = ran(os, &format!("agentos weather get-weather --city {city}")).await;
            assert_eq!(code, 1);
            let why = "by tool.rules[0], which asks, and the host did not agree; a rule that would allow it";
            assert!(err.contains(why), "{err}");
        }
        assert_eq!(seen.calls.load(Ordering::SeqCst), 1);
        // Nobody is asked about an input that does not fit, nor about what is allowed.
        assert!(ran(os, "agentos weather get-weather --city x").await.2.contains("/city"));
        assert_eq!(ran(os, "agentos weather words").await.0, 0);
        assert_eq!(asked.load(Ordering::SeqCst), 4);
    });
}

#[test]
fn configurations_without_effect_are_refused() {
    watched(async || {
        let path_of = async |config: AgentOsConfig| match SIDECAR.create(config).await {
            Err(Error::InvalidConfig { path, .. }) => path,
            Err(other) => panic!("{other:?}"),
            Ok(os) => {
                os.dispose().await.unwrap();
                String::new()
            }
        };
        let seen = Seen::default();
        let yes = || Arc::new(|_| -> Allowed { Box::pin(async { true }) });
        let ask = || tree(json!({"tool": "ask"}));
        assert_eq!(path_of(config(&seen).permissions(ask()).build()).await, "permissions.tool");
        assert_eq!(path_of(config(&seen).permissions(ask()).on_tool_request(yes()).build()).await, "");
        assert_eq!(path_of(config(&seen).on_tool_request(yes()).build()).await, "onToolRequest");
        assert_eq!(path_of(AgentOsConfig::builder().permissions(ask()).build()).await, "permissions.tool");
        let named = |name: &str, tool: &str| {
            AgentOsConfig::builder().tool_kits(vec![kit(name, vec![quick(tool, |_| Ok(json!(1)))])]).build()
        };
        assert_eq!(path_of(named("a", "b")).await, "");
        assert_eq!(path_of(named("mcp", "b")).await, "toolKits[0].name");
        assert_eq!(path_of(named("scripted", "b")).await, "toolKits[0].name");
        assert_eq!(path_of(named("A", "b")).await, "toolKits[0].name");
        assert_eq!(path_of(named("a", "get_b")).await, "toolKits[0].tools[0].name");
        let twice = AgentOsConfig::builder().tool_kits(vec![weather(&seen), weather(&seen)]).build();
        assert_eq!(path_of(twice).await, "toolKits[1].name");
        let wrong = tool("t", json!({"type": "nonsense"}), |_| async { Ok(json!(1)) });
        let wrong = AgentOsConfig::builder().tool_kits(vec![kit("k", vec![wrong])]).build();
        assert_eq!(path_of(wrong).await, "toolKits[0].tools[0].inputSchema.type");
    });
}

#[test]
fn each_machine_has_its_own_tools_and_forks_have_them_too() {
    let seen = Seen::default();
    SIDECAR.test_with(config(&seen).build(), async |os| {
        let fork = os.fork().await.unwrap();
        let line = "agentos-weather words";
        assert_eq!(ran(&fork, line).await.0, 0);
        let other =
            AgentOsConfig::builder().tool_kits(vec![kit("news", vec![quick("list", |_| Ok(json!([])))])]);
        let other = SIDECAR.create(other.build()).await.unwrap();
        assert_eq!(ran(&other, line).await.0, 127);
        assert_eq!(ran(&other, "agentos weather words").await.0, 2);
        assert_eq!(ran(&other, "agentos-news list").await.1, "{\"ok\":true,\"result\":[]}\n");
        let none = SIDECAR.create(AgentOsConfig::default()).await.unwrap();
        assert_eq!(ran(&none, "agentos list-tools").await.1, "This machine has no toolkits.\n");
        assert_eq!(ran(&none, "agentos list-tools --json; ls /usr/local/bin").await.1, "[]\n");
        for os in [&fork, &other, &none] {
            os.dispose().await.unwrap();
        }
        // The original's go on when its fork has gone.
        assert_eq!(ran(os, line).await.0, 0);
        let text = os.read_file("/etc/agentos/instructions.md").await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.contains("- `agentos weather get-weather` (city* string, "), "{text}");
    });
}

/// What a client of MCP says, a line each, and the answers by their id.
async fn spoken(os: &AgentOs, lines: &[Value]) -> Vec<Value> {
    let hello = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    });
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let all: String = [&hello, &ready].into_iter().chain(lines).map(|line| format!("{line}\n")).collect();
    os.write_file("/tmp/said", all).await.unwrap();
    let (code, out, err) = ran(os, "agentos mcp < /tmp/said").await;
    assert_eq!(code, 0, "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn request(id: u32, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn by_id(answers: &[Value], id: u32) -> &Value {
    answers.iter().find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("no {id} in {answers:?}"))
}

#[test]
fn an_mcp_server_offers_the_same_tools() {
    let seen = Seen::default();
    SIDECAR.test_with(config(&seen).build(), async |os| {
        let call = |id, name: &str, arguments: Value| {
            request(id, "tools/call", json!({"name": name, "arguments": arguments}))
        };
        let answers = spoken(
            os,
            &[
                request(1, "ping", json!({})),
                request(2, "tools/list", json!({})),
                call(3, "get_weather", json!({"city": "Paris"})),
                call(4, "get_weather", json!({"city": 1})),
                call(5, "words", json!({})),
                call(6, "fail", json!({})),
                call(7, "hang", json!({})),
                call(8, "nonsense", json!({})),
                request(9, "resources/nonsense", json!({})),
                json!([request(10, "ping", json!({}))]),
            ],
        )
        .await;
        assert_eq!(by_id(&answers, 0)["result"]["protocolVersion"], "2025-06-18");
        assert_eq!(by_id(&answers, 0)["result"]["serverInfo"]["name"], "agentos");
        assert_eq!(by_id(&answers, 1)["result"], json!({}));
        let tools = by_id(&answers, 2)["result"]["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 11);
        let get = tools.iter().find(|tool| tool["name"] == "get_weather").unwrap();
        assert_eq!(get["inputSchema"]["required"], json!(["city"]));
        let structure = &by_id(&answers, 3)["result"]["structuredContent"];
        assert_eq!(*structure, json!({"sunny": true, "input": {"city": "Paris"}}));
        let text = |id| by_id(&answers, id)["result"]["content"][0]["text"].as_str().unwrap().to_owned();
        assert!(text(4).contains("is not of type \"string\" at /city"), "{}", text(4));
        assert_eq!(by_id(&answers, 4)["result"]["isError"], true);
        assert_eq!(text(5), "sunny in Paris");
        assert_eq!(text(6), "no such city\nnor any other");
        assert!(text(7).contains("did not answer within 300ms"));
        assert_eq!(by_id(&answers, 8)["error"]["code"], -32602);
        assert_eq!(by_id(&answers, 9)["error"]["code"], -32601);
        // A batch is refused, and answered to nobody in particular.
        let refused = answers.iter().find(|answer| answer["id"].is_null()).unwrap();
        assert_eq!(refused["error"]["code"], -32600);
        assert!(!answers.iter().any(|answer| answer["id"] == 10));
    });
}

#[test]
fn a_call_by_mcp_is_cancelled_and_others_go_on() {
    let seen = Seen::default();
    SIDECAR.test_with(config(&seen).build(), async |os| {
        let call = |id, name: &str| request(id, "tools/call", json!({"name": name, "arguments": {}}));
        let cancelled =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
        let answers = spoken(os, &[call(1, "wait"), call(2, "hang"), call(3, "words"), cancelled]).await;
        assert_eq!(by_id(&answers, 3)["result"]["content"][0]["text"], "sunny in Paris");
        assert_eq!(by_id(&answers, 2)["result"]["isError"], true);
        assert!(!answers.iter().any(|answer| answer["id"] == 1), "{answers:?}");
        eventually("no process is left", async || live_processes(os).await.is_empty()).await;
    });
}

#[test]
fn an_mcp_server_survives_what_is_no_message() {
    let seen = Seen::default();
    SIDECAR.test_with(config(&seen).build(), async |os| {
        let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        os.write_file("/tmp/hello", format!("{hello}\n")).await.unwrap();
        let script = "{ cat /tmp/hello; echo nonsense; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo; \
                      echo '{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\"}'; } | agentos mcp";
        let (code, out, err) = ran(os, script).await;
        assert_eq!(code, 0, "{err}");
        let answers: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(by_id(&answers, 5)["result"], json!({}));
        assert_eq!(by_id(&answers, 0)["result"]["protocolVersion"], "2024-11-05");
        // Without a word, and with one that is no beginning.
        assert_eq!(ran(os, "agentos mcp < /dev/null").await.0, 0);
        let early = request(1, "tools/list", json!({}));
        os.write_file("/tmp/early", format!("{early}\n")).await.unwrap();
        let (_, out, _) = ran(os, "timeout 20 agentos mcp < /tmp/early").await;
        assert!(!out.contains("get_weather"), "{out}");
    });
}

#[test]
fn agents_call_tools_in_their_shell_and_by_mcp() {
    let seen = Seen::default();
    SIDECAR.test_with(config(&seen).build(), async |os| {
        // Its MCP server is one of every session.
        let session = os.create_session("scripted", CreateSessionOptions::default()).await.unwrap();
        let turn = session.prompt("scenario:custom_tool").await.unwrap();
        assert_eq!(turn.text, r#"get_weather answered: {"input":{"city":"Paris"},"sunny":true}"#);
        os.set_session_config_option(&session.session_id, "permission", "never").await.unwrap();
        session.prompt("```sh\nagentos weather words > /tmp/result\n```").await.unwrap();
        let result = os.read_file("/tmp/result").await.unwrap();
        assert_eq!(&result[..], b"{\"ok\":true,\"result\":\"sunny in Paris\"}\n");
        assert_eq!(seen.calls.load(Ordering::SeqCst), 1);
        session.close().await.unwrap();
    });
}

#[test]
fn calls_end_with_their_machine() {
    watched(async || {
        let seen = Seen::default();
        let os = SIDECAR.create(config(&seen).build()).await.unwrap();
        os.spawn("agentos", ["weather", "wait"], SpawnOptions::default()).await.unwrap();
        eventually("it is called", async || seen.waits.load(Ordering::SeqCst) == 1).await;
        os.dispose().await.unwrap();
        eventually("the callback is dropped", async || seen.let_go.load(Ordering::SeqCst)).await;
    });
}

#[test]
fn a_durable_root_has_the_commands_of_its_present_configuration() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let machine = async |name: Option<&str>| {
            let kept = PersistenceConfig::Directory { path: scratch.path().join("vm").display().to_string() };
            let kits = name.map(|name| kit(name, vec![quick("list", |_| Ok(json!([])))]));
            let config = AgentOsConfig::builder().persistence(kept).tool_kits(kits.into_iter().collect());
            SIDECAR.create(config.build()).await.unwrap()
        };
        let told = "ls /usr/local/bin; grep -c 'Tools of the host' /etc/agentos/instructions.md";
        for (name, want) in [
            (Some("news"), "agentos-news\n1\n"),
            (Some("shop"), "agentos-shop\n1\n"),
            (None, "0\n"),
            (Some("news"), "agentos-news\n1\n"),
        ] {
            let os = machine(name).await;
            assert_eq!(ran(&os, told).await.1, want, "{name:?}");
            os.dispose().await.unwrap();
        }
    });
}
