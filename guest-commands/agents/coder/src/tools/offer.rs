//! What the model is told of the built-in tools, and what a call is for the client: its title, kind and places.

use serde_json::{Value, json};

use super::files::absolute;
use crate::model::Tool;

/// How long a command may run unless told otherwise, and at most, in seconds.
pub(crate) const BASH_TIMEOUT: u64 = 120;
pub(crate) const BASH_MAX_TIMEOUT: u64 = 1800;

/// Length of a title, in bytes.
const TITLE: usize = 120;

/// A built-in tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    Bash,
    Read,
    Write,
    Edit,
    Glob,
    Grep,
    Plan,
}

impl BuiltIn {
    pub(crate) const ALL: [(&'static str, BuiltIn); 7] = [
        ("bash", BuiltIn::Bash),
        ("read", BuiltIn::Read),
        ("write", BuiltIn::Write),
        ("edit", BuiltIn::Edit),
        ("glob", BuiltIn::Glob),
        ("grep", BuiltIn::Grep),
        ("plan", BuiltIn::Plan),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, tool)| *tool)
    }
}

/// What ACP calls a call of a tool.
pub(crate) fn kind(name: &str) -> &'static str {
    match BuiltIn::named(name) {
        Some(BuiltIn::Bash) => "execute",
        Some(BuiltIn::Read) => "read",
        Some(BuiltIn::Write | BuiltIn::Edit) => "edit",
        Some(BuiltIn::Glob | BuiltIn::Grep) => "search",
        Some(BuiltIn::Plan) => "think",
        None => "other",
    }
}

/// What a person reads of a call.
pub(crate) fn title(name: &str, input: &Value) -> String {
    let text = |key: &str| input[key].as_str().unwrap_or_default();
    let title = match BuiltIn::named(name) {
        Some(BuiltIn::Bash) => text("command").to_owned(),
        Some(BuiltIn::Read | BuiltIn::Write | BuiltIn::Edit) => format!("{name} {}", text("path")),
        Some(BuiltIn::Glob | BuiltIn::Grep) => format!("{name} {}", text("pattern")),
        Some(BuiltIn::Plan) | None => name.to_owned(),
    };
    // All of it in one line: what is cut off or comes after the first line must be seen to be there.
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let title = if title.is_empty() { name.to_owned() } else { title };
    let cut = title.floor_char_boundary(TITLE);
    if cut < title.len() { format!("{} […]", &title[..cut]) } else { title }
}

/// The files that a call is about.
pub(crate) fn locations(name: &str, input: &Value, cwd: &str) -> Value {
    match (BuiltIn::named(name), input["path"].as_str()) {
        (Some(BuiltIn::Read | BuiltIn::Write | BuiltIn::Edit), Some(path)) => {
            let mut place = json!({"path": absolute(cwd, path)});
            if let Some(line) = input["offset"].as_u64() {
                place["line"] = json!(u32::try_from(line).unwrap_or(u32::MAX));
            }
            json!([place])
        }
        _ => json!([]),
    }
}

/// The built-in tools as the model is told of them.
pub(crate) fn built_in() -> Vec<Tool> {
    let text = |about: &str| json!({"type": "string", "description": about});
    let number = |about: &str| json!({"type": "integer", "minimum": 0, "description": about});
    let switch = |about: &str| json!({"type": "boolean", "description": about});
    let path = "Path of the file, absolute or from the working directory";
    let tool = |name: &str, description: &str, properties: Value, required: &[&str]| Tool {
        name: name.to_owned(),
        description: description.to_owned(),
        schema: json!({"type": "object", "properties": properties, "required": required}),
    };
    vec![
        tool(
            "bash",
            "Runs a command with the shell in the working directory and returns its output and exit status. Every call \
             has a shell of its own: cd and variables do not last. There is no terminal and nothing to read on \
             standard input. Long output is cut in the middle. A process that is to outlive the call needs & and its \
             output in a file.",
            json!({
                "command": text("The command"),
                "timeout": number(&format!(
                    "Seconds until it is killed; {BASH_TIMEOUT} if missing, at most {BASH_MAX_TIMEOUT}"
                )),
            }),
            &["command"],
        ),
        tool(
            "read",
            "Reads a text file and returns its lines with their numbers, a tab in between. The numbers are no part of \
             the file. Long files come in parts: go on with offset.",
            json!({
                "path": text(path),
                "offset": number("First line, from 1"),
                "limit": number("How many lines; 2000 if missing"),
            }),
            &["path"],
        ),
        tool(
            "write",
            "Makes a file with this content, or replaces the whole of one; directories above it are made. To change a \
             part of a file use edit.",
            json!({"path": text(path), "content": text("The whole content")}),
            &["path", "content"],
        ),
        tool(
            "edit",
            "Replaces a piece of a file. old_text has to be exactly what the file has, with its white space, and be there \
             once; add lines around it where it is not. Read the file first.",
            json!({
                "path": text(path),
                "old_text": text("What is there now, without line numbers"),
                "new_text": text("What is to be there instead"),
                "replace_all": switch("Replace it wherever it is"),
            }),
            &["path", "old_text", "new_text"],
        ),
        tool(
            "glob",
            "Lists files whose path matches a pattern as ignore files have them, such as *.rs or src/**/*.ts. Files that \
             are ignored by .gitignore are left out.",
            json!({
                "pattern": text("The pattern"),
                "path": text("Where to look; the working directory if missing"),
            }),
            &["pattern"],
        ),
        tool(
            "grep",
            "Searches files for lines that match a regular expression of Rust's regex and returns path:line:text. Files \
             that are ignored by .gitignore, and binary ones, are left out.",
            json!({
                "pattern": text("The regular expression"),
                "path": text("File or directory; the working directory if missing"),
                "glob": text("Only files that match this pattern, such as *.rs"),
                "ignore_case": switch("Match upper and lower case alike"),
                "context": number("Lines to show around a match"),
                "limit": number("Most matches; 200 if missing"),
            }),
            &["pattern"],
        ),
        tool(
            "plan",
            "Shows the user a plan of the work, and how far it is. Use it for work of several steps, and again \
             whenever a step begins or is finished. It replaces the whole plan.",
            json!({
                "entries": {
                    "type": "array",
                    "description": "All steps, in order",
                    "items": {
                        "type": "object",
                        "properties": {
                            "content": text("What is done"),
                            "status": {"type": "string", "enum": ["pending", "in_progress", "completed"]},
                            "priority": {"type": "string", "enum": ["high", "medium", "low"]},
                        },
                        "required": ["content", "status"],
                    },
                },
            }),
            &["entries"],
        ),
    ]
}

/// Entries of a plan, and bytes of one.
const MAX_ENTRIES: usize = 100;
const MAX_ENTRY: usize = 1000;

/// The plan that a call shows, as ACP has it.
pub(crate) fn plan(input: &Value) -> Result<Value, String> {
    let entries = input["entries"].as_array().ok_or("entries must be a list")?;
    if entries.len() > MAX_ENTRIES {
        return Err(format!("a plan has at most {MAX_ENTRIES} entries"));
    }
    let entry = |entry: &Value| {
        let content = super::text(entry, "content")?;
        let one_of = |name: &str, words: [&'static str; 3], or: Option<&'static str>| match &entry[name] {
            Value::Null => or.ok_or_else(|| format!("{name} is missing")),
            value => words
                .into_iter()
                .find(|word| value == word)
                .ok_or_else(|| format!("{name} is one of {}", words.join(", "))),
        };
        let status = one_of("status", ["pending", "in_progress", "completed"], None)?;
        let priority = one_of("priority", ["high", "medium", "low"], Some("medium"))?;
        let content = &content[..content.floor_char_boundary(MAX_ENTRY)];
        Ok(json!({"content": content, "status": status, "priority": priority}))
    };
    let entries = entries.iter().map(entry).collect::<Result<Vec<_>, String>>()?;
    Ok(json!({"sessionUpdate": "plan", "entries": entries}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_shown_by_what_they_do() {
        for (name, input, want) in [
            ("bash", json!({"command": "ls\npwd"}), "execute ls pwd"),
            ("bash", json!({}), "execute bash"),
            ("edit", json!({"path": "a.rs"}), "edit edit a.rs"),
            ("grep", json!({"pattern": "x"}), "search grep x"),
            ("mcp__a__b", json!({"path": "x"}), "other mcp__a__b"),
        ] {
            assert_eq!(format!("{} {}", kind(name), title(name, &input)), want);
        }
        let long = title("bash", &json!({"command": "ä".repeat(100)}));
        assert_eq!((long.len(), long.ends_with(" […]")), (TITLE + " […]".len(), true));
        let place = locations("read", &json!({"path": "a", "offset": 7}), "/w");
        assert_eq!(place, json!([{"path": "/w/a", "line": 7}]));
        assert_eq!(locations("bash", &json!({"path": "a"}), "/w"), json!([]));
        let names: Vec<String> = built_in().into_iter().map(|tool| tool.name).collect();
        assert_eq!(names, BuiltIn::ALL.map(|(name, _)| name));
    }

    #[test]
    fn plans_are_those_of_acp() {
        let one = plan(&json!({"entries": [{"content": "a", "status": "pending"}]})).unwrap();
        assert_eq!(one["entries"], json!([{"content": "a", "status": "pending", "priority": "medium"}]));
        for (input, want) in [
            (json!({}), "entries must be a list"),
            (json!({"entries": [{}]}), "content is missing"),
            (json!({"entries": [{"content": "a"}]}), "status is missing"),
            (json!({"entries": [{"content": "a", "status": "done"}]}), "status is one of pending"),
            (
                json!({"entries": [{"content": "a", "status": "pending", "priority": 1}]}),
                "priority is one of",
            ),
            (json!({"entries": vec![1; 101]}), "at most 100"),
        ] {
            assert!(plan(&input).unwrap_err().contains(want), "{input}");
        }
    }
}
