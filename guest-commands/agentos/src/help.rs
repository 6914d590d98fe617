//! What `--help` says, at every level.

use std::fmt::Write as _;

use crate::flags::shown;
use crate::kit::{Kit, Tool};
use crate::names;
use crate::schema::{self, Kind, Property};

/// The command as a whole.
pub(crate) fn command(kits: &[Kit]) -> String {
    let mut text = "Calls tools of the host of this machine.\n\n\
        Usage: agentos list-tools [TOOLKIT] [--json]\n\
        \u{20}      agentos TOOLKIT TOOL [FLAGS]   (also: agentos-TOOLKIT TOOL [FLAGS])\n\
        \u{20}      agentos TOOLKIT --help\n\
        \u{20}      agentos TOOLKIT TOOL --help\n\
        \u{20}      agentos mcp\n\
        \u{20}      agentos mcp-remote URL\n\n\
        A result is written as {\"ok\":true,\"result\":...}. The status is 0, 1 if the tool failed, 2 if it was asked wrongly.\n"
        .to_owned();
    if kits.is_empty() {
        text.push_str("\nThis machine has no toolkits.\n");
    } else {
        text.push_str("\nToolkits:\n");
        let rows: Vec<_> = kits.iter().map(|kit| (kit.name.clone(), kit.description.clone())).collect();
        table(&mut text, &rows);
    }
    text
}

/// `list-tools`.
pub(crate) fn list() -> String {
    "Lists the tools of the host.\n\nUsage: agentos list-tools [TOOLKIT] [--json]\n\n\
     \u{20} --json  as JSON, with the schemas of the inputs\n"
        .to_owned()
}

/// `mcp`.
pub(crate) fn mcp() -> String {
    "Offers the tools of the host as an MCP server on standard input and output.\n\nUsage: agentos mcp\n"
        .to_owned()
}

/// `mcp-remote`.
pub(crate) fn remote() -> String {
    "Offers an MCP server elsewhere, which speaks HTTP, as one on standard input and output.\n\n\
     Usage: agentos mcp-remote [--grant NAME] URL\n\n\
     \u{20} --grant NAME  ask under this grant of the host, which adds the headers that the server wants\n"
        .to_owned()
}

/// A toolkit.
pub(crate) fn kit(kit: &Kit) -> String {
    let mut text = String::new();
    if !kit.description.is_empty() {
        let _ = writeln!(text, "{}\n", kit.description);
    }
    let _ =
        writeln!(text, "Usage: agentos {0} TOOL [FLAGS]\n       agentos {0} TOOL --help\n\nTools:", kit.name);
    let rows: Vec<_> = kit.tools.iter().map(|tool| (tool.name.clone(), tool.description.clone())).collect();
    table(&mut text, &rows);
    text
}

/// A tool.
pub(crate) fn tool(kit: &Kit, tool: &Tool) -> String {
    let mut text = String::new();
    if !tool.description.is_empty() {
        let _ = writeln!(text, "{}\n", tool.description);
    }
    let properties = schema::properties(&tool.input_schema);
    let (kit, name) = (&kit.name, &tool.name);
    let _ = writeln!(
        text,
        "Usage: agentos {kit} {name} [FLAGS]\n       agentos {kit} {name} --json INPUT\n\nFlags:"
    );
    let flags = names::flags(&properties);
    let mut rows: Vec<(String, String)> = properties
        .iter()
        .filter_map(|property| {
            let name = names::kebab(&property.name);
            flags.contains_key(&name).then(|| {
                let no = flags.contains_key(&format!("no-{name}"));
                (form(&name, &property.kind, no), about(property))
            })
        })
        .collect();
    for (form, about) in [
        ("--json INPUT", "the whole input as JSON, in place of flags"),
        ("--json-file FILE", "the same from a file; - is standard input"),
        ("--help", "this text"),
    ] {
        rows.push((form.to_owned(), about.to_owned()));
    }
    table(&mut text, &rows);
    let hidden: Vec<&str> = properties
        .iter()
        .filter(|property| !flags.contains_key(&names::kebab(&property.name)))
        .map(|property| property.name.as_str())
        .collect();
    if !hidden.is_empty() {
        let _ = writeln!(text, "\nOnly by --json: {}", hidden.join(", "));
    }
    text
}

fn form(name: &str, kind: &Kind, no: bool) -> String {
    match kind {
        Kind::Boolean if no => format!("--{name}, --no-{name}"),
        Kind::Boolean => format!("--{name}"),
        Kind::List(item) => format!("--{name} {}...", value(item)),
        kind => format!("--{name} {}", value(kind)),
    }
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::Text => "TEXT".to_owned(),
        Kind::Integer => "INTEGER".to_owned(),
        Kind::Number => "NUMBER".to_owned(),
        Kind::Boolean => "true|false".to_owned(),
        Kind::Choice(all) => all.iter().map(shown).collect::<Vec<_>>().join("|"),
        Kind::Json | Kind::List(_) => "JSON".to_owned(),
        Kind::Any => "VALUE".to_owned(),
    }
}

fn about(property: &Property) -> String {
    let mut about = property.description.clone();
    let mut add = |note: String| {
        if !about.is_empty() {
            about.push(' ');
        }
        about.push_str(&note);
    };
    if property.required {
        add("(required)".to_owned());
    }
    if matches!(property.kind, Kind::List(_)) {
        add("(may be repeated)".to_owned());
    }
    if let Some(default) = &property.default {
        add(format!("(default: {})", shown(default)));
    }
    about
}

/// Rows of two columns. Descriptions are the host's: control characters in them are no affair of the terminal.
pub(crate) fn table(text: &mut String, rows: &[(String, String)]) {
    let width =
        rows.iter().map(|(left, _)| left.chars().count()).filter(|width| *width <= 32).max().unwrap_or(0);
    for (left, right) in rows {
        let right: String = right.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(text, "{}", format!("  {left:width$}  {right}").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tool_tells_its_flags() {
        let kit = Kit { name: "weather".into(), description: "The weather.".into(), tools: vec![] };
        let of = Tool {
            name: "get".into(),
            description: "Asks for it.".into(),
            input_schema: json!({
                "properties": {
                    "city": {"type": "string", "description": "Where\u{1b}[31m"},
                    "days": {"type": "array", "items": {"type": "integer"}},
                    "help": {"type": "string"},
                    "metric": {"type": "boolean", "default": true},
                    "unit": {"enum": ["c", "f"]},
                },
                "required": ["city"],
            }),
            timeout_ms: 1,
        };
        let want = "\
Asks for it.

Usage: agentos weather get [FLAGS]
       agentos weather get --json INPUT

Flags:
  --city TEXT            Where [31m (required)
  --days INTEGER...      (may be repeated)
  --metric, --no-metric  (default: true)
  --unit c|f
  --json INPUT           the whole input as JSON, in place of flags
  --json-file FILE       the same from a file; - is standard input
  --help                 this text

Only by --json: help
";
        assert_eq!(tool(&kit, &of), want);
    }

    #[test]
    fn the_command_tells_its_toolkits() {
        assert!(command(&[]).ends_with("This machine has no toolkits.\n"));
        let kit = Kit { name: "weather".into(), description: "The\nweather.".into(), tools: vec![] };
        assert!(command(std::slice::from_ref(&kit)).ends_with("Toolkits:\n  weather  The weather.\n"));
        assert!(super::kit(&kit).starts_with("The\nweather.\n\nUsage: agentos weather TOOL"));
    }
}
