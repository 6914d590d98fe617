//! Permission trees between the wire and the kernel. What they mean is the kernel's business.

use std::sync::Arc;

use agentos_kernel::permissions::{
    Decision, Denial, Domain, Guarded, Mode, Operation, Policy, RuleSource, ScopeSource,
};
use agentos_protocol::WireError;
use agentos_protocol::message::{
    PermissionDenial, PermissionExplanation, PermissionMode, PermissionRule, PermissionRules,
    PermissionScope, Permissions, PermissionsMode, VmConfig,
};

/// The compiled tree of a configuration, if it has one or is to learn one.
pub(crate) fn compile(config: &VmConfig) -> Result<Option<Guarded>, WireError> {
    let policy = match config.permissions_mode {
        PermissionsMode::Enforce => Policy::Enforce,
        PermissionsMode::DryRun => Policy::DryRun,
        PermissionsMode::Learn => Policy::Learn,
    };
    who_answers(config, policy)?;
    let Some(tree) = &config.permissions else {
        return match policy {
            Policy::Enforce => Ok(None),
            Policy::DryRun => {
                Err(WireError::invalid_config("permissionsMode", "a dry run needs `permissions`"))
            }
            Policy::Learn => Ok(Some(Guarded { policy, ..Guarded::default() })),
        };
    };
    let Permissions { fs, network, child_process, process, env, tool } = tree;
    let domains = [
        (Domain::Fs, fs),
        (Domain::Network, network),
        (Domain::ChildProcess, child_process),
        (Domain::Process, process),
        (Domain::Env, env),
        (Domain::Tool, tool),
    ];
    if domains.iter().all(|(_, scope)| scope.is_none()) {
        return Err(WireError::invalid_config(
            "permissions",
            "names no domain; leave it out to allow everything",
        ));
    }
    let given = domains.into_iter().filter_map(|(domain, scope)| Some((domain, written(scope.as_ref()?))));
    let tree = agentos_kernel::permissions::Permissions::compile(given).map_err(|refusal| {
        WireError::invalid_config(format!("permissions.{}", refusal.path), refusal.reason)
    })?;
    let later =
        |domain: &str, reason: &str| Err(WireError::invalid_config(format!("permissions.{domain}"), reason));
    match network {
        // Without `egress` it is for the MCP servers of sessions.
        None | Some(PermissionScope::Mode(_)) => {}
        Some(PermissionScope::Rules(rules)) => {
            let fetch = |rule: &PermissionRule| {
                rule.operations
                    .as_ref()
                    .is_none_or(|all| all.iter().any(|one| one == Operation::Fetch.name()))
            };
            if let Some(n) = rules.rules.iter().position(|rule| !fetch(rule)) {
                let field = format!("network.rules[{n}].operations");
                return later(&field, "this version has no network but `fetch`");
            }
        }
    }
    match tool {
        None | Some(PermissionScope::Mode(PermissionMode::Deny)) => {}
        Some(_) if config.tools.is_some() => {}
        Some(_) => return later("tool", "this machine has no toolkits: leave it out, or write `deny`"),
    }
    Ok(Some(Guarded { tree: Arc::new(tree), policy }))
}

/// Refuses questions that nobody answers, and answers to what nobody asks.
fn who_answers(config: &VmConfig, policy: Policy) -> Result<(), WireError> {
    let Some(tools) = &config.tools else { return Ok(()) };
    let scope = config.permissions.as_ref().and_then(|tree| tree.tool.as_ref());
    match (scope.is_some_and(says_ask), tools.asks) {
        // Where nothing is enforced nobody is asked.
        (true, false) if policy == Policy::Enforce => Err(WireError::invalid_config(
            "permissions.tool",
            "says `ask`, and nobody answers: set `on_tool_request`",
        )),
        (false, true) => Err(WireError::invalid_config(
            "onToolRequest",
            "is never called: no rule of `permissions.tool` says `ask`",
        )),
        _ => Ok(()),
    }
}

/// Whether a scope can come to a question.
fn says_ask(scope: &PermissionScope) -> bool {
    match scope {
        PermissionScope::Mode(mode) => *mode == PermissionMode::Ask,
        PermissionScope::Rules(PermissionRules { default, rules }) => {
            *default == Some(PermissionMode::Ask) || rules.iter().any(|rule| rule.mode == PermissionMode::Ask)
        }
    }
}

fn written(scope: &PermissionScope) -> ScopeSource {
    match scope {
        PermissionScope::Mode(all) => ScopeSource::Mode(mode(*all)),
        PermissionScope::Rules(PermissionRules { default, rules }) => ScopeSource::Rules {
            default: default.map(mode),
            rules: rules
                .iter()
                .map(|rule| RuleSource {
                    mode: mode(rule.mode),
                    operations: rule.operations.clone(),
                    paths: rule.paths.clone(),
                    patterns: rule.patterns.clone(),
                })
                .collect(),
        },
    }
}

fn mode(mode: PermissionMode) -> Mode {
    match mode {
        PermissionMode::Allow => Mode::Allow,
        PermissionMode::Deny => Mode::Deny,
        PermissionMode::Ask => Mode::Ask,
    }
}

fn mode_back(mode: Mode) -> PermissionMode {
    match mode {
        Mode::Allow => PermissionMode::Allow,
        Mode::Deny => PermissionMode::Deny,
        Mode::Ask => PermissionMode::Ask,
    }
}

fn rule_back(rule: RuleSource) -> PermissionRule {
    let RuleSource { mode, operations, paths, patterns } = rule;
    PermissionRule { mode: mode_back(mode), operations, paths, patterns }
}

/// A tree as the configuration writes it.
pub(crate) fn tree_back(domains: Vec<(Domain, ScopeSource)>) -> Permissions {
    let mut tree = Permissions::default();
    for (domain, scope) in domains {
        let scope = match scope {
            ScopeSource::Mode(mode) => PermissionScope::Mode(mode_back(mode)),
            ScopeSource::Rules { default, rules } => PermissionScope::Rules(PermissionRules {
                default: default.map(mode_back),
                rules: rules.into_iter().map(rule_back).collect(),
            }),
        };
        let place = match domain {
            Domain::Fs => &mut tree.fs,
            Domain::Network => &mut tree.network,
            Domain::ChildProcess => &mut tree.child_process,
            Domain::Process => &mut tree.process,
            Domain::Env => &mut tree.env,
            Domain::Tool => &mut tree.tool,
        };
        *place = Some(scope);
    }
    tree
}

/// A denial as the wire carries it.
pub(crate) fn denial(denial: &Denial) -> PermissionDenial {
    PermissionDenial {
        domain: denial.operation.domain().name().to_owned(),
        operation: denial.operation.name().to_owned(),
        resource: String::from_utf8_lossy(&denial.resource).into_owned(),
        rule: denial.by.path(),
        grant_that_would_allow: serde_json::to_string(&rule_back(denial.grant())).ok(),
    }
}

/// A decision as the wire carries it.
pub(crate) fn explanation(
    operation: Operation,
    decision: Decision,
    resource: Vec<u8>,
) -> PermissionExplanation {
    let Decision { mode, by } = decision;
    let told = denial(&Denial { operation, resource, by });
    PermissionExplanation {
        domain: told.domain,
        operation: told.operation,
        resource: told.resource,
        mode: mode_back(mode),
        rule: told.rule,
        grant_that_would_allow: told.grant_that_would_allow.filter(|_| mode != Mode::Allow),
    }
}

#[cfg(test)]
mod tests {
    use agentos_protocol::message::ToolsSpec;

    use super::*;

    fn path_of(config: &VmConfig) -> String {
        match compile(config) {
            Ok(_) => String::new(),
            Err(error) => error.details.unwrap().config.unwrap().path,
        }
    }

    fn refused(tree: &str, mode: PermissionsMode) -> String {
        let permissions = serde_json::from_str(tree).unwrap();
        path_of(&VmConfig { permissions, permissions_mode: mode, ..VmConfig::default() })
    }

    #[test]
    fn with_a_way_out_the_network_has_rules() {
        for (network, path) in [
            (r#""allow""#, ""),
            (r#""deny""#, ""),
            (r#"{"rules": [{"mode": "allow", "patterns": ["tcp://*:443"]}]}"#, ""),
            (r#"{"rules": [{"mode": "allow", "operations": ["fetch", "connect"]}]}"#, ""),
            (
                r#"{"rules": [{"mode": "allow", "operations": ["connect"]}]}"#,
                "permissions.network.rules[0].operations",
            ),
        ] {
            let permissions = serde_json::from_str(&format!(r#"{{"network": {network}}}"#)).unwrap();
            let config = VmConfig { permissions, ..VmConfig::default() };
            assert_eq!(path_of(&config), path, "{network}");
        }
    }

    #[test]
    fn who_asks_must_be_answered() {
        let refused = |tree: &str, mode, asks| {
            let permissions = serde_json::from_str(tree).unwrap();
            let tools = Some(ToolsSpec { asks, ..ToolsSpec::default() });
            let config = VmConfig { permissions, permissions_mode: mode, tools, ..VmConfig::default() };
            compile(&config).err().map(|error| error.details.unwrap().config.unwrap().path)
        };
        let (enforce, dry_run) = (PermissionsMode::Enforce, PermissionsMode::DryRun);
        let some = |path: &str| Some(path.to_owned());
        let rules = r#"{"tool": {"default": "allow", "rules": [{"mode": "ask", "patterns": ["a:*"]}]}}"#;
        let default = r#"{"tool": {"default": "ask", "rules": [{"mode": "allow", "patterns": ["a:*"]}]}}"#;
        for tree in [r#"{"tool": "ask"}"#, rules, default] {
            assert_eq!(refused(tree, enforce, true), None);
            assert_eq!(refused(tree, enforce, false), some("permissions.tool"), "{tree}");
            assert_eq!(refused(tree, dry_run, false), None);
        }
        assert_eq!(refused(r#"{"tool": "deny"}"#, enforce, false), None);
        assert_eq!(refused(r#"{"tool": "deny"}"#, enforce, true), some("onToolRequest"));
        assert_eq!(refused("null", enforce, true), some("onToolRequest"));
    }

    #[test]
    fn refusals_name_the_field() {
        use PermissionsMode::{DryRun, Enforce, Learn};
        for (tree, mode, path) in [
            ("null", Enforce, ""),
            ("null", DryRun, "permissionsMode"),
            ("null", Learn, ""),
            ("{}", Enforce, "permissions"),
            (r#"{"fs": "deny", "network": "deny"}"#, Enforce, ""),
            (r#"{"network": "allow"}"#, Enforce, ""),
            (
                r#"{"network": {"rules": [{"mode": "deny", "patterns": ["x"]}]}}"#,
                Enforce,
                "permissions.network.rules[0].patterns[0]",
            ),
            (r#"{"tool": "ask"}"#, Enforce, "permissions.tool"),
            (r#"{"tool": "allow"}"#, Enforce, "permissions.tool"),
            (r#"{"tool": "deny"}"#, Enforce, ""),
            (r#"{"fs": "ask"}"#, DryRun, "permissions.fs"),
            (
                r#"{"fs": {"rules": [{"mode": "deny", "paths": ["a"]}]}}"#,
                Enforce,
                "permissions.fs.rules[0].paths[0]",
            ),
        ] {
            assert_eq!(refused(tree, mode), path, "{tree}");
        }
    }
}
