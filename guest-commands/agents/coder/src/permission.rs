//! Which calls run without a question: by the mode of the session, or because the user allowed them for the rest of it.

use serde_json::Value;

use crate::tools::offer::BuiltIn;

/// Answers for always that a session remembers.
const MAX_GRANTS: usize = 256;

/// Programs whose first argument says what they do: the answer for always is for both words, whatever follows.
const WITH_VERB: [&str; 12] =
    ["cargo", "git", "go", "jj", "make", "npm", "pip", "pip3", "pnpm", "rustup", "uv", "yarn"];

/// What makes of a command more than one, or another.
const SHELL: [char; 19] =
    [';', '&', '|', '<', '>', '$', '`', '(', ')', '{', '}', '\n', '\r', '\\', '"', '\'', '*', '?', '~'];

/// How a session treats calls that change something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The user is asked.
    #[default]
    Ask,
    /// Files are changed without a question.
    AcceptEdits,
    /// Nothing is asked.
    Bypass,
    /// Nothing is changed.
    Plan,
}

impl Mode {
    /// Id, name and description of all.
    pub(crate) const ALL: [(Mode, &'static str, &'static str, &'static str); 4] = [
        (Mode::Ask, "ask", "Ask", "Ask before commands, changes of files and tools of MCP servers"),
        (
            Mode::AcceptEdits,
            "accept-edits",
            "Accept edits",
            "Change files without a question; ask before the rest",
        ),
        (Mode::Bypass, "bypass", "Bypass", "Ask nothing"),
        (Mode::Plan, "plan", "Plan", "Only read and search; change nothing and run nothing"),
    ];

    pub(crate) fn named(id: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name, ..)| *name == id).map(|(mode, ..)| *mode)
    }

    pub(crate) fn id(self) -> &'static str {
        Self::ALL.iter().find(|(mode, ..)| *mode == self).map_or("", |(_, id, ..)| id)
    }
}

/// What is to be done with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Run,
    /// Ask; an answer for always is for this.
    Ask(Grant),
    /// Refuse, and say why to the model.
    Refuse(&'static str),
}

/// What an answer for always is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grant {
    /// This command exactly.
    Command(String),
    /// Simple commands that begin with these two words.
    Prefix(String),
    /// All changes of files.
    Edits,
    /// A tool of an MCP server.
    Tool(String),
}

impl Grant {
    fn of(name: &str, input: &Value) -> Self {
        match BuiltIn::named(name) {
            Some(BuiltIn::Bash) => {
                let command = input["command"].as_str().unwrap_or_default().trim();
                match prefix(command) {
                    Some(words) => Self::Prefix(words),
                    None => Self::Command(command.to_owned()),
                }
            }
            Some(_) => Self::Edits,
            None => Self::Tool(name.to_owned()),
        }
    }

    /// What the option is called.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Command(_) => "Always allow this very command".to_owned(),
            Self::Prefix(words) => format!("Always allow `{words} …`"),
            Self::Edits => "Always allow changes of files".to_owned(),
            Self::Tool(name) => format!("Always allow {name}"),
        }
    }
}

/// The two words that an answer for always is for, if a command is one that has such.
fn prefix(command: &str) -> Option<String> {
    if command.contains(SHELL) {
        return None;
    }
    let mut words = command.split_ascii_whitespace();
    let (program, verb) = (words.next()?, words.next()?);
    let plain = verb.starts_with(|c: char| c.is_ascii_lowercase())
        && verb.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    (WITH_VERB.contains(&program) && plain).then(|| format!("{program} {verb}"))
}

/// The answers for always of a session.
#[derive(Debug, Default)]
pub(crate) struct Grants(Vec<Grant>);

impl Grants {
    /// Remembers one; beyond the limit the oldest is forgotten, and asked for again.
    pub(crate) fn add(&mut self, grant: Grant) {
        if self.0.contains(&grant) {
            return;
        }
        if self.0.len() >= MAX_GRANTS {
            self.0.remove(0);
        }
        self.0.push(grant);
    }

    /// What is to be done with a call.
    pub(crate) fn verdict(&self, mode: Mode, name: &str, input: &Value) -> Verdict {
        let harmless = [BuiltIn::Read, BuiltIn::Glob, BuiltIn::Grep, BuiltIn::Plan]
            .map(Some)
            .contains(&BuiltIn::named(name));
        let grant = Grant::of(name, input);
        match mode {
            _ if harmless => Verdict::Run,
            Mode::Plan => {
                Verdict::Refuse("the session is in plan mode: only read, glob, grep and plan may be used")
            }
            Mode::Bypass => Verdict::Run,
            Mode::AcceptEdits if grant == Grant::Edits => Verdict::Run,
            _ if self.0.contains(&grant) => Verdict::Run,
            _ => Verdict::Ask(grant),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn modes_decide() {
        let run = json!({"command": "ls"});
        for (mode, name, want) in [
            (Mode::Ask, "read", "run"),
            (Mode::Ask, "plan", "run"),
            (Mode::Ask, "bash", "ask"),
            (Mode::Ask, "edit", "ask"),
            (Mode::Ask, "mcp__a__read", "ask"),
            (Mode::AcceptEdits, "write", "run"),
            (Mode::AcceptEdits, "edit", "run"),
            (Mode::AcceptEdits, "bash", "ask"),
            (Mode::AcceptEdits, "mcp__a__b", "ask"),
            (Mode::Bypass, "bash", "run"),
            (Mode::Bypass, "mcp__a__b", "run"),
            (Mode::Plan, "grep", "run"),
            (Mode::Plan, "bash", "refuse"),
            (Mode::Plan, "write", "refuse"),
            (Mode::Plan, "mcp__a__b", "refuse"),
        ] {
            let verdict = match Grants::default().verdict(mode, name, &run) {
                Verdict::Run => "run",
                Verdict::Ask(_) => "ask",
                Verdict::Refuse(_) => "refuse",
            };
            assert_eq!(verdict, want, "{name} in {}", mode.id());
        }
        assert_eq!(Mode::named("accept-edits"), Some(Mode::AcceptEdits));
        assert_eq!(Mode::named("Ask"), None);
    }

    #[test]
    fn always_is_for_what_was_asked() {
        let bash = |command: &str| json!({"command": command});
        for (granted, asked, runs) in [
            ("cargo test", "cargo test", true),
            ("cargo test", "cargo test --release -p x", true),
            ("cargo test -p a", "cargo test", true),
            ("cargo test", "cargo testing", false),
            ("cargo test", "cargo build", false),
            ("cargo test", "cargo test; rm -r /", false),
            ("cargo test", "cargo test && ls", false),
            ("cargo test", "cargo test $(ls)", false),
            ("cargo test", "cargo test > /etc/passwd", false),
            ("cargo test", "cargo test\nls", false),
            ("git -c core.pager=sh log", "git -c core.pager=x log", false),
            ("cargo +nightly test", "cargo +nightly build", false),
            ("ls", "ls", true),
            (" ls ", "ls", true),
            ("ls", "ls -l", false),
            ("rm a", "rm b", false),
            ("sh -c ls", "sh -c rm", false),
            ("make test && ls", "make test && ls", true),
            ("make test && ls", "make test", false),
        ] {
            let mut grants = Grants::default();
            grants.add(Grant::of("bash", &bash(granted)));
            let verdict = grants.verdict(Mode::Ask, "bash", &bash(asked));
            assert_eq!(verdict == Verdict::Run, runs, "{granted:?} then {asked:?}");
            assert!(matches!(grants.verdict(Mode::Ask, "write", &json!({})), Verdict::Ask(Grant::Edits)));
            assert!(matches!(grants.verdict(Mode::Plan, "bash", &bash(asked)), Verdict::Refuse(_)));
        }
        let mut grants = Grants::default();
        grants.add(Grant::of("edit", &json!({})));
        assert_eq!(grants.verdict(Mode::Ask, "write", &json!({})), Verdict::Run);
        grants.add(Grant::of("mcp__a__b", &json!({})));
        assert_eq!(grants.verdict(Mode::Ask, "mcp__a__b", &json!({})), Verdict::Run);
        assert!(matches!(grants.verdict(Mode::Ask, "mcp__a__c", &json!({})), Verdict::Ask(_)));
        assert_eq!(Grant::of("bash", &bash("npm test -- x")).label(), "Always allow `npm test …`");
        for n in 0..1000 {
            grants.add(Grant::Command(n.to_string()));
        }
        assert_eq!(grants.0.len(), MAX_GRANTS);
    }
}
