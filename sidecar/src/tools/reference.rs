//! What agents are told of the tools, in the OS instructions. It is a list, not the schemas: those are a command away.

use std::fmt::Write as _;

use agentos_protocol::message::ToolKitSpec;
use serde_json::Value;

/// Most bytes of the text; what does not fit is only counted.
const MOST: usize = 16 << 10;
/// Properties of an input that are named.
const PROPERTIES: usize = 16;

/// The text of toolkits that have been checked.
pub(super) fn text(kits: &[ToolKitSpec]) -> String {
    let mut text = "## Tools of the host\n\n\
        These commands call tools outside of this machine. Flags are the properties of the input (`maxSize` is `--max-size`), or the \
        whole input is given by `--json '{...}'`. `agentos TOOLKIT TOOL --help` tells more. The result is JSON, {\"ok\":true,\"result\":...}. \
        The same tools are offered by the MCP server `agentos`.\n"
        .to_owned();
    let mut left_out = 0;
    for kit in kits {
        let head = format!("\n`{}`: {}\n", kit.name, line(&kit.description));
        let mut headed = false;
        for tool in &kit.tools {
            let row = format!(
                "- `agentos {} {}`{}: {}\n",
                kit.name,
                tool.name,
                inputs(tool.input_schema.parse().ok().as_ref()),
                line(&tool.description)
            );
            let more = row.len() + if headed { 0 } else { head.len() };
            if left_out > 0 || text.len() + more > MOST {
                left_out += 1;
                continue;
            }
            if !std::mem::replace(&mut headed, true) {
                text.push_str(&head);
            }
            text.push_str(&row);
        }
    }
    if left_out > 0 {
        let _ = writeln!(text, "\n{left_out} more: `agentos list-tools`.");
    }
    text
}

/// A description on one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The properties of an input, with their types; those that are required have a star.
fn inputs(schema: Option<&Value>) -> String {
    let Some(properties) = schema.and_then(|schema| schema.get("properties")?.as_object()) else {
        return String::new();
    };
    let required = |name: &str| {
        let list = schema.and_then(|schema| schema.get("required")?.as_array());
        list.is_some_and(|list| list.iter().any(|of| of == name))
    };
    let mut all: Vec<String> = properties
        .iter()
        .take(PROPERTIES)
        .map(|(name, of)| {
            let star = if required(name) { "*" } else { "" };
            let kind = of.get("type").and_then(Value::as_str).map(|kind| format!(" {kind}"));
            format!("{}{star}{}", line(name), kind.unwrap_or_default())
        })
        .collect();
    if properties.len() > PROPERTIES {
        all.push("...".to_owned());
    }
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

#[cfg(test)]
mod tests {
    use agentos_protocol::message::{JsonText, ToolSpec};
    use serde_json::json;

    use super::*;

    #[test]
    fn tools_are_told_on_a_line_each_and_their_number_is_bounded() {
        let schema = json!({"properties": {"city": {"type": "string"}, "days": {}}, "required": ["city"]});
        let tool = |n: usize| ToolSpec {
            name: format!("get-{n}"),
            description: "Gets\nit.".into(),
            input_schema: JsonText::new(&schema),
            timeout_ms: None,
        };
        let kit = |count| ToolKitSpec {
            name: "weather".into(),
            description: "The  weather.".into(),
            tools: (0..count).map(tool).collect(),
        };
        let few = text(&[kit(1)]);
        let want = "\n`weather`: The weather.\n- `agentos weather get-0` (city* string, days): Gets it.\n";
        assert!(few.ends_with(want), "{few}");
        let many = text(&[kit(1000), kit(7)]);
        assert!(many.len() <= MOST + 64);
        let shown = many.matches("- `agentos weather").count();
        assert!(many.ends_with(&format!("\n{} more: `agentos list-tools`.\n", 1007 - shown)), "{many}");
    }
}
