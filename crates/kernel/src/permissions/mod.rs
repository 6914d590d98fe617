//! The permission tree: what guests may do, compiled once into matchers that say which rule decides. It knows no processes
//! and no files: who asks, and about which resolved resource, is the business of the system calls.

mod compile;
mod gate;
mod glob;
mod learned;
mod operation;
mod passage;
mod scope;
mod shape;
mod source;
mod told;

pub(crate) use gate::{Admission, Gate};
pub use gate::{Guarded, Policy, ToldDenial};
pub use operation::{Domain, Operation, Operations};
pub use source::{Mode, Refusal, RuleSource, ScopeSource};

use scope::Rules;

/// A compiled tree. See [`Permissions::compile`].
#[derive(Debug, Default)]
pub struct Permissions {
    scopes: [Scope; 6],
}

/// A domain.
#[derive(Debug)]
enum Scope {
    All(Mode),
    Rules(Box<Rules>),
}

impl Default for Scope {
    fn default() -> Self {
        Scope::All(Mode::Allow)
    }
}

/// What the tree says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub mode: Mode,
    /// What decided.
    pub by: By,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// The mode of the whole domain, or its absence.
    Scope(Domain),
    /// The default, since no rule matched.
    Default(Domain),
    /// The rule of this number, from 0.
    Rule(Domain, usize),
}

impl By {
    /// The path into the tree, such as `fs.rules[2]` or `fs`; `None` for the default.
    #[must_use]
    pub fn path(self) -> Option<String> {
        match self {
            By::Scope(domain) => Some(domain.name().to_owned()),
            By::Default(_) => None,
            By::Rule(domain, rule) => Some(format!("{}.rules[{rule}]", domain.name())),
        }
    }
}

/// Something that the tree forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What was to be done.
    pub operation: Operation,
    /// With what.
    pub resource: Vec<u8>,
    /// What forbids it.
    pub by: By,
}

impl Denial {
    /// The smallest rule that would allow it, as the last one of its domain.
    #[must_use]
    pub fn grant(&self) -> RuleSource {
        let pattern = Some(vec![pattern_of(&self.resource)]);
        let (paths, patterns) = match self.operation.domain() {
            Domain::Fs => (pattern, None),
            _ => (None, pattern),
        };
        RuleSource {
            mode: Mode::Allow,
            operations: Some(vec![self.operation.name().to_owned()]),
            paths,
            patterns,
        }
    }
}

/// The narrowest pattern that matches a resource: itself, with `?` for what no pattern can name.
#[must_use]
pub fn pattern_of(resource: &[u8]) -> String {
    let mut pattern = String::with_capacity(resource.len());
    for chunk in resource.utf8_chunks() {
        pattern.extend(chunk.valid().chars().map(|c| if c == '*' { '?' } else { c }));
        pattern.extend(chunk.invalid().iter().map(|_| '?'));
    }
    pattern
}

impl Permissions {
    /// What the tree says of an operation on a resolved resource.
    #[must_use]
    pub fn decide(&self, operation: Operation, resource: &[u8]) -> Decision {
        let domain = operation.domain();
        match self.scope(domain) {
            Scope::All(mode) => Decision { mode: *mode, by: By::Scope(domain) },
            Scope::Rules(rules) => {
                let rule = rules.decides(operation, resource);
                let by = rule.map_or(By::Default(domain), |rule| By::Rule(domain, rule));
                Decision { mode: rules.mode(rule), by }
            }
        }
    }

    /// Fails with why, if it is not allowed.
    ///
    /// # Errors
    /// The denial.
    pub fn check(&self, operation: Operation, resource: &[u8]) -> Result<(), Denial> {
        let Decision { mode, by } = self.decide(operation, resource);
        if mode == Mode::Allow {
            return Ok(());
        }
        Err(Denial { operation, resource: resource.to_vec(), by })
    }

    /// Whether all of a domain is allowed, so that nobody has to ask.
    #[must_use]
    pub fn is_free(&self, domain: Domain) -> bool {
        matches!(self.scope(domain), Scope::All(Mode::Allow))
    }

    fn scope(&self, domain: Domain) -> &Scope {
        &self.scopes[domain as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::glob::Glob;
    use super::source::rule;
    use super::*;

    fn fs(default: Option<Mode>, rules: Vec<RuleSource>) -> Permissions {
        Permissions::compile([(Domain::Fs, ScopeSource::Rules { default, rules })]).unwrap()
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        use Mode::{Allow, Deny};
        let tree = fs(
            None,
            vec![
                rule(Allow, &["read", "stat"], &[]),
                rule(Deny, &["read"], &["/etc/**", "/secret"]),
                rule(Allow, &["read"], &["/etc/hosts"]),
                rule(Allow, &[], &["/work/**"]),
                rule(Deny, &["rm"], &["**/.git/**"]),
            ],
        );
        for (operation, path, mode, by) in [
            (Operation::Read, "/x", Allow, Some(0)),
            (Operation::Read, "/etc/passwd", Deny, Some(1)),
            (Operation::Read, "/etc/hosts", Allow, Some(2)),
            (Operation::Stat, "/etc/passwd", Allow, Some(0)),
            (Operation::Read, "/secret", Deny, Some(1)),
            (Operation::Write, "/x", Deny, None),
            (Operation::Write, "/work", Deny, None),
            (Operation::Write, "/work/a", Allow, Some(3)),
            (Operation::Rm, "/work/a/.git/config", Deny, Some(4)),
        ] {
            let by = by.map_or(By::Default(Domain::Fs), |rule| By::Rule(Domain::Fs, rule));
            assert_eq!(tree.decide(operation, path.as_bytes()), Decision { mode, by }, "{operation} {path}");
        }
        let denial = tree.check(Operation::Read, b"/etc/a*\xff").unwrap_err();
        assert_eq!(denial.by.path().as_deref(), Some("fs.rules[1]"));
        assert_eq!(denial.grant(), rule(Allow, &["read"], &["/etc/a??"]));
        let denial = tree.check(Operation::Chmod, b"/x").unwrap_err();
        assert_eq!(denial.by.path(), None);
    }

    #[test]
    fn either_end_of_a_pattern_may_be_all_of_the_resource() {
        let patterns = ["A_*", "*_KEY", "B*", "*_B"].map(str::to_owned).to_vec();
        let rule = RuleSource { mode: Mode::Allow, operations: None, paths: None, patterns: Some(patterns) };
        let env = ScopeSource::Rules { default: None, rules: vec![rule] };
        let tree = Permissions::compile([(Domain::Env, env)]).unwrap();
        for (name, mode) in [
            ("A_", Mode::Allow),
            ("A_B", Mode::Allow),
            ("_KEY", Mode::Allow),
            ("MY_KEY", Mode::Allow),
            ("KEY", Mode::Deny),
            ("B", Mode::Allow),
            ("_B", Mode::Allow),
            ("", Mode::Deny),
        ] {
            assert_eq!(tree.decide(Operation::ReadEnv, name.as_bytes()).mode, mode, "{name}");
        }
    }

    #[test]
    fn what_is_absent_is_allowed_and_a_mode_is_for_all() {
        let tree = Permissions::compile([(Domain::Network, ScopeSource::Mode(Mode::Deny))]).unwrap();
        assert!(tree.is_free(Domain::Fs) && !tree.is_free(Domain::Network));
        assert_eq!(tree.decide(Operation::Write, b"/").mode, Mode::Allow);
        let decision = tree.decide(Operation::Dns, b"dns://a");
        assert_eq!((decision.mode, decision.by.path().as_deref()), (Mode::Deny, Some("network")));
    }

    fn path() -> impl Strategy<Value = String> {
        "(/[ab]{1,2}){1,4}"
    }

    fn pattern() -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof!["/[ab]", "/\\*", "/\\*\\*", "/[ab]\\?", "/[ab]\\*"], 1..4)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        /// The index finds what a look at every rule finds, whatever rules there are; and a rule that is refused as one
        /// that never decides never does.
        #[test]
        fn the_index_is_a_search_from_the_end(
            rules in proptest::collection::vec((any::<bool>(), 0..3usize, proptest::collection::vec(pattern(), 0..3)), 1..8),
            paths in proptest::collection::vec(path(), 1..8),
        ) {
            let operations = [&["read"][..], &["read", "write"], &[]];
            let sources: Vec<_> = rules
                .iter()
                .map(|(allow, operation, patterns)| {
                    let texts: Vec<_> = patterns.iter().map(String::as_str).collect();
                    rule(if *allow { Mode::Allow } else { Mode::Deny }, operations[*operation], &texts)
                })
                .collect();
            let searched = |operation: &str, path: &str| {
                sources.iter().rposition(|rule| {
                    rule.operations.as_ref().is_none_or(|all| all.iter().any(|o| o == operation))
                        && rule.paths.as_ref().is_none_or(|all| all.iter().any(|p| Glob::new(p).matches(path.as_bytes())))
                })
            };
            let source = ScopeSource::Rules { default: None, rules: sources.clone() };
            match Permissions::compile([(Domain::Fs, source)]) {
                Ok(tree) => for path in &paths {
                    for operation in [Operation::Read, Operation::Write, Operation::Stat] {
                        let by = searched(operation.name(), path).map_or(By::Default(Domain::Fs), |n| By::Rule(Domain::Fs, n));
                        prop_assert_eq!(tree.decide(operation, path.as_bytes()).by, by);
                    }
                },
                Err(refusal) => for path in &paths {
                    for operation in Domain::Fs.operations().iter() {
                        let decides = searched(operation.name(), path).map(|n| format!("fs.rules[{n}]"));
                        prop_assert_ne!(decides, Some(refusal.path.clone()));
                    }
                },
            }
        }
    }
}
