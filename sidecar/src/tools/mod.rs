//! Tools of the client: what a VM has of them, compiled once, and what agents are told about them. Who may call one is the
//! kernel's business, what it does the client's.

mod call;
mod names;
mod reference;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentos_abi::tools::TOOL_NAME_MAX;
use agentos_acp::schema::{McpServer, McpServerStdio};
use agentos_base_snapshot::{AGENT_PROGRAMS, TOOLS_PROGRAM};
use agentos_protocol::WireError;
use agentos_protocol::message::{ToolKitSpec, ToolSpec, ToolsSpec};
use jsonschema::{PatternOptions, Validator};
use serde_json::{Value, json};

pub(crate) use call::VmTools;
pub(crate) use names::{link, links};

use crate::vm::Vm;

/// Toolkits of a VM.
const KITS: usize = 64;
/// Tools of a toolkit.
const TOOLS: usize = 256;
/// Characters of a description.
const DESCRIPTION: usize = 200;
/// Bytes of all toolkits as guests see them, with descriptions and schemas.
const BYTES: usize = 1 << 20;
/// Time for a call that says none.
const TIMEOUT_MS: u64 = 30_000;
/// The longest time that a call or an answer may be given: a day.
const LONGEST_MS: u64 = 86_400_000;
/// What the command understands itself.
const RESERVED: [&str; 5] = ["help", "list-tools", "mcp", "mcp-remote", "version"];

/// The toolkits of a VM.
pub(crate) struct Toolkits {
    /// As the guest ABI tells them.
    list: Arc<[u8]>,
    kits: BTreeMap<String, BTreeMap<String, Compiled>>,
    reference: String,
}

struct Compiled {
    validator: Validator,
    timeout: Duration,
}

impl Toolkits {
    /// Checks and compiles the toolkits of a configuration.
    pub(crate) fn compile(spec: &ToolsSpec) -> Result<Arc<Self>, WireError> {
        if spec.kits.len() > KITS {
            return refuse("toolKits", format!("{} toolkits; {KITS} are allowed", spec.kits.len()));
        }
        if spec.asks && !(1..=LONGEST_MS).contains(&spec.ask_timeout_ms) {
            return refuse("toolRequestTimeoutMs", format!("must be 1 to {LONGEST_MS}"));
        }
        let (mut kits, mut told, mut bytes) = (BTreeMap::new(), Vec::new(), 0);
        for (n, kit) in spec.kits.iter().enumerate() {
            let at = format!("toolKits[{n}]");
            let (compiled, shown) = self::kit(&at, kit)?;
            bytes += shown.to_string().len();
            if bytes > BYTES {
                return refuse(
                    "toolKits",
                    format!("names, descriptions and schemas have more than {BYTES} bytes"),
                );
            }
            if kits.insert(kit.name.clone(), compiled).is_some() {
                return refuse(format!("{at}.name"), format!("there are two toolkits {:?}", kit.name));
            }
            told.push(shown);
        }
        let list = Value::Array(told).to_string().into_bytes().into();
        Ok(Arc::new(Self { list, kits, reference: reference::text(&spec.kits) }))
    }

    /// The names of the toolkits, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.kits.keys().map(String::as_str)
    }

    /// What agents are told of them.
    pub(crate) fn reference(&self) -> &str {
        &self.reference
    }

    fn tool(&self, kit: &str, tool: &str) -> Option<&Compiled> {
        self.kits.get(kit)?.get(tool)
    }
}

/// The MCP server with the tools of a VM, for its sessions; `None` if it has no toolkits, or not the program that serves them.
pub(crate) fn mcp_server(vm: &Vm) -> Option<McpServer> {
    vm.toolkits.as_ref().filter(|_| vm.root.bundled.is_some())?;
    let server = McpServerStdio::new(TOOLS_PROGRAM, format!("/bin/{TOOLS_PROGRAM}")).args(vec!["mcp".into()]);
    Some(McpServer::Stdio(server))
}

type CompiledKit = (BTreeMap<String, Compiled>, Value);

fn kit(at: &str, kit: &ToolKitSpec) -> Result<CompiledKit, WireError> {
    let ToolKitSpec { name, description, tools } = kit;
    named(at, name, description)?;
    let program = names::command(name);
    if RESERVED.contains(&name.as_str()) || AGENT_PROGRAMS.iter().any(|(agent, _)| *agent == program) {
        let reason = format!("{name:?} is taken: it would hide a command or program of that name");
        return refuse(format!("{at}.name"), reason);
    }
    if tools.is_empty() || tools.len() > TOOLS {
        return refuse(format!("{at}.tools"), format!("{} tools; 1 to {TOOLS} are allowed", tools.len()));
    }
    let (mut compiled, mut told) = (BTreeMap::new(), Vec::new());
    for (n, tool) in tools.iter().enumerate() {
        let at = format!("{at}.tools[{n}]");
        let (of, shown) = self::tool(&at, tool)?;
        if compiled.insert(tool.name.clone(), of).is_some() {
            return refuse(format!("{at}.name"), format!("the toolkit has two tools {:?}", tool.name));
        }
        told.push(shown);
    }
    Ok((compiled, json!({"name": name, "description": description, "tools": told})))
}

fn tool(at: &str, tool: &ToolSpec) -> Result<(Compiled, Value), WireError> {
    let ToolSpec { name, description, input_schema, timeout_ms } = tool;
    named(at, name, description)?;
    let timeout_ms = timeout_ms.unwrap_or(TIMEOUT_MS);
    if !(1..=LONGEST_MS).contains(&timeout_ms) {
        return refuse(format!("{at}.timeoutMs"), format!("must be 1 to {LONGEST_MS}"));
    }
    let at = format!("{at}.inputSchema");
    if input_schema.0.len() > BYTES {
        return refuse(at, format!("{} bytes; all toolkits together may have {BYTES}", input_schema.0.len()));
    }
    let schema: Value = match input_schema.parse() {
        Ok(schema) => schema,
        Err(error) => return refuse(at, format!("is no JSON: {error}")),
    };
    match schema.get("type") {
        _ if !schema.is_object() => return refuse(at, "must be a JSON schema of an object"),
        None => {}
        Some(kind) if kind == "object" => {}
        Some(kind) => {
            return refuse(format!("{at}.type"), format!("is {kind}; the input of a tool is an object"));
        }
    }
    // Nothing is fetched, and no pattern takes more than linear time: inputs are a guest's.
    let options = jsonschema::options().offline().with_pattern_options(PatternOptions::regex());
    let validator = match options.build(&schema) {
        Ok(validator) => validator,
        Err(error) => {
            let place = error.schema_path().to_string();
            return refuse(
                at,
                format!("is no JSON schema{}: {}", at_place(&place), short(&error.to_string())),
            );
        }
    };
    let told =
        json!({"name": name, "description": description, "inputSchema": schema, "timeoutMs": timeout_ms});
    Ok((Compiled { validator, timeout: Duration::from_millis(timeout_ms) }, told))
}

fn named(at: &str, name: &str, description: &str) -> Result<(), WireError> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if name.is_empty() || name.len() > TOOL_NAME_MAX || !plain || name.starts_with('-') {
        let reason = format!(
            "{:?} is no name: 1 to {TOOL_NAME_MAX} of a-z, 0-9 and '-', and no '-' at the beginning",
            short(name)
        );
        return refuse(format!("{at}.name"), reason);
    }
    let characters = description.chars().count();
    if characters > DESCRIPTION {
        let reason = format!("{characters} characters; {DESCRIPTION} are allowed");
        return refuse(format!("{at}.description"), reason);
    }
    Ok(())
}

fn at_place(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(" at {place}") }
}

/// The beginning of a text that may be long.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(300)]
}

fn refuse<T>(path: impl Into<String>, reason: impl Into<String>) -> Result<T, WireError> {
    Err(WireError::invalid_config(path, reason))
}

#[cfg(test)]
mod tests {
    use agentos_protocol::message::JsonText;

    use super::*;

    fn spec() -> ToolsSpec {
        let tool = ToolSpec {
            name: "get".into(),
            description: "Gets it.".into(),
            input_schema: JsonText::new(
                &json!({"type": "object", "properties": {"city": {"type": "string"}}}),
            ),
            timeout_ms: None,
        };
        let kit =
            ToolKitSpec { name: "weather".into(), description: "The weather.".into(), tools: vec![tool] };
        ToolsSpec { kits: vec![kit], ask_timeout_ms: 1000, ..ToolsSpec::default() }
    }

    #[test]
    fn refusals_name_the_field() {
        let path_of = |change: &dyn Fn(&mut ToolsSpec)| {
            let mut spec = spec();
            change(&mut spec);
            match Toolkits::compile(&spec) {
                Ok(_) => String::new(),
                Err(error) => error.details.unwrap().config.unwrap().path,
            }
        };
        let schema = |text: &str| {
            let text = JsonText(text.to_owned());
            path_of(&move |spec| spec.kits[0].tools[0].input_schema = text.clone())
        };
        let kit_name = |name: &str| path_of(&|spec| spec.kits[0].name = name.to_owned());
        let tool_name = |name: &str| path_of(&|spec| spec.kits[0].tools[0].name = name.to_owned());
        assert_eq!(path_of(&|_| ()), "");
        for name in
            ["", "Weather", "a_b", "a b", "-a", "ä", "help", "list-tools", "mcp", "version", "scripted"]
        {
            assert_eq!(kit_name(name), "toolKits[0].name", "{name:?}");
        }
        assert_eq!(kit_name(&"a".repeat(TOOL_NAME_MAX)), "");
        assert_eq!(kit_name(&"a".repeat(TOOL_NAME_MAX + 1)), "toolKits[0].name");
        for name in ["", "A", "a_b", "--json"] {
            assert_eq!(tool_name(name), "toolKits[0].tools[0].name", "{name:?}");
        }
        assert_eq!(tool_name("mcp"), "");
        let same = |spec: &mut ToolsSpec| spec.kits = vec![spec.kits[0].clone(), spec.kits[0].clone()];
        assert_eq!(path_of(&same), "toolKits[1].name");
        assert_eq!(path_of(&|spec| spec.kits[0].tools.clear()), "toolKits[0].tools");
        let twice = |spec: &mut ToolsSpec| {
            let tool = spec.kits[0].tools[0].clone();
            spec.kits[0].tools.push(tool);
        };
        assert_eq!(path_of(&twice), "toolKits[0].tools[1].name");
        let long = |spec: &mut ToolsSpec| spec.kits[0].description = "ä".repeat(201);
        assert_eq!(path_of(&long), "toolKits[0].description");
        assert_eq!(path_of(&|spec| spec.kits[0].description = "ä".repeat(200)), "");
        for (count, path) in [(64, ""), (65, "toolKits")] {
            let many = |spec: &mut ToolsSpec| {
                let kit = spec.kits[0].clone();
                spec.kits =
                    (0..count).map(|n| ToolKitSpec { name: format!("k{n}"), ..kit.clone() }).collect();
            };
            assert_eq!(path_of(&many), path);
        }
        for (count, path) in [(256, ""), (257, "toolKits[0].tools")] {
            let many = |spec: &mut ToolsSpec| {
                let tool = spec.kits[0].tools[0].clone();
                let tools = (0..count).map(|n| ToolSpec { name: format!("t{n}"), ..tool.clone() });
                spec.kits[0].tools = tools.collect();
            };
            assert_eq!(path_of(&many), path);
        }
        let timeout = |ms| path_of(&|spec| spec.kits[0].tools[0].timeout_ms = Some(ms));
        assert_eq!((timeout(1).as_str(), timeout(0).as_str()), ("", "toolKits[0].tools[0].timeoutMs"));
        assert_eq!(timeout(LONGEST_MS + 1), "toolKits[0].tools[0].timeoutMs");
        let never = |spec: &mut ToolsSpec| (spec.asks, spec.ask_timeout_ms) = (true, 0);
        assert_eq!(path_of(&never), "toolRequestTimeoutMs");
        for text in [
            "{",
            "[]",
            "true",
            r#"{"properties": 1}"#,
            r#"{"properties": {"a": {"type": "nonsense"}}}"#,
            r#"{"properties": {"a": {"$ref": "http://example.com/schema.json"}}}"#,
            r##"{"properties": {"a": {"$ref": "#/$defs/missing"}}}"##,
            r#"{"$ref": "file:///etc/passwd"}"#,
            r#"{"properties": {"a": {"pattern": "("}}}"#,
            r#"{"properties": {"a": {"pattern": "(a*)*\\1"}}}"#,
            r#"{"$schema": "http://example.com/mine"}"#,
        ] {
            assert_eq!(schema(text), "toolKits[0].tools[0].inputSchema", "{text}");
        }
        assert_eq!(schema(r#"{"type": "string"}"#), "toolKits[0].tools[0].inputSchema.type");
        assert_eq!(schema("{}"), "");
        assert_eq!(schema(r##"{"$ref": "#"}"##), "");
        let large = format!(r#"{{"description": "{}"}}"#, "x".repeat(BYTES));
        assert_eq!(schema(&large), "toolKits[0].tools[0].inputSchema");
        let half = JsonText(format!(r#"{{"description": "{}"}}"#, "x".repeat(BYTES / 2)));
        let two = |spec: &mut ToolsSpec| {
            spec.kits[0].tools[0].input_schema = half.clone();
            spec.kits.push(ToolKitSpec { name: "other".into(), ..spec.kits[0].clone() });
        };
        assert_eq!(path_of(&two), "toolKits");
    }

    #[test]
    fn guests_see_what_was_configured() {
        let kits = Toolkits::compile(&spec()).unwrap();
        let list: Value = serde_json::from_slice(&kits.list).unwrap();
        assert_eq!(list[0]["name"], "weather");
        assert_eq!(list[0]["tools"][0]["timeoutMs"], 30_000);
        assert_eq!(list[0]["tools"][0]["inputSchema"]["properties"]["city"]["type"], "string");
        assert!(kits.tool("weather", "get").is_some());
        assert!(kits.tool("weather", "set").is_none() && kits.tool("get", "weather").is_none());
        assert_eq!(kits.names().collect::<Vec<_>>(), ["weather"]);
    }
}
