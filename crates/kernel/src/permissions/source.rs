//! The tree as it is written down, before it is compiled, and how it is refused.

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Let it happen.
    Allow,
    /// EACCES.
    Deny,
    /// Ask the host; domain `tool` only.
    Ask,
}

impl Mode {
    /// As the configuration writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Allow => "allow",
            Mode::Deny => "deny",
            Mode::Ask => "ask",
        }
    }
}

/// A domain as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeSource {
    /// The same for all of it.
    Mode(Mode),
    /// The last rule that matches wins.
    Rules {
        /// What no rule matches; `None` denies.
        default: Option<Mode>,
        /// The rules.
        rules: Vec<RuleSource>,
    },
}

/// A rule as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSource {
    /// What it does.
    pub mode: Mode,
    /// Names of operations; `None` is all.
    pub operations: Option<Vec<String>>,
    /// Patterns of paths, in the domain `fs`; `None` is all.
    pub paths: Option<Vec<String>>,
    /// Patterns of resources, in other domains; `None` is all.
    pub patterns: Option<Vec<String>>,
}

#[cfg(test)]
pub(super) fn rule(mode: Mode, operations: &[&str], paths: &[&str]) -> RuleSource {
    let list = |items: &[&str]| (!items.is_empty()).then(|| items.iter().map(|s| (*s).to_owned()).collect());
    RuleSource { mode, operations: list(operations), paths: list(paths), patterns: None }
}

/// Why a tree is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Refusal {
    /// Where in the tree, such as `fs.rules[2].paths[0]`.
    pub path: String,
    /// Why, and what to write instead.
    pub reason: String,
}

impl Refusal {
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Refusal { path: path.into(), reason: reason.into() }
    }
}
