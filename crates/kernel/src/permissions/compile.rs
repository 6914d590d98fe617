//! From the written tree to its matchers. A tree of which a part could have no effect is refused, with the path of that part.

use super::glob::Glob;
use super::scope::{Pattern, Rules};
use super::{Domain, Mode, Operations, Permissions, Refusal, RuleSource, Scope, ScopeSource, shape};

/// Most rules of a tree.
const RULES: usize = 4096;
/// Most patterns of a tree.
const PATTERNS: usize = 8192;

impl Permissions {
    /// Compiles a tree; domains that are not given are allowed.
    ///
    /// # Errors
    /// Empty lists, unknown operations, patterns that can match nothing, rules that can never decide, `paths` outside of `fs`,
    /// `patterns` in it, `ask` outside of `tool`, more than 4,096 rules or 8,192 patterns.
    ///
    /// ```
    /// use agentos_kernel::permissions::{Domain, Mode, Operation, Permissions, RuleSource, ScopeSource};
    /// let rule = RuleSource {
    ///     mode: Mode::Allow,
    ///     operations: Some(vec!["read".into()]),
    ///     paths: Some(vec!["/etc/*".into()]),
    ///     patterns: None,
    /// };
    /// let fs = ScopeSource::Rules { default: None, rules: vec![rule] };
    /// let tree = Permissions::compile([(Domain::Fs, fs)]).unwrap();
    /// assert_eq!(tree.decide(Operation::Read, b"/etc/hosts").mode, Mode::Allow);
    /// assert_eq!(tree.decide(Operation::Write, b"/etc/hosts").mode, Mode::Deny);
    /// ```
    pub fn compile(domains: impl IntoIterator<Item = (Domain, ScopeSource)>) -> Result<Self, Refusal> {
        let mut tree = Permissions::default();
        let mut room = Room { rules: RULES, patterns: PATTERNS };
        for (domain, source) in domains {
            tree.scopes[domain as usize] = scope(domain, source, &mut room)?;
        }
        Ok(tree)
    }
}

struct Room {
    rules: usize,
    patterns: usize,
}

fn scope(domain: Domain, source: ScopeSource, room: &mut Room) -> Result<Scope, Refusal> {
    let name = domain.name();
    let mode = |mode, at: String| match (mode, domain) {
        (Mode::Ask, domain) if domain != Domain::Tool => {
            Err(Refusal::new(at, "`ask` is for the domain `tool`; write `allow` or `deny`"))
        }
        (mode, _) => Ok(mode),
    };
    let (default, rules) = match source {
        ScopeSource::Mode(all) => return Ok(Scope::All(mode(all, name.to_owned())?)),
        ScopeSource::Rules { default, rules } => (default, rules),
    };
    let default = default.map(|default| mode(default, format!("{name}.default"))).transpose()?;
    if rules.is_empty() {
        return Err(Refusal::new(
            format!("{name}.rules"),
            "is empty; write the mode itself instead of the rules",
        ));
    }
    room.rules = room
        .rules
        .checked_sub(rules.len())
        .ok_or_else(|| Refusal::new(format!("{name}.rules"), format!("a tree has at most {RULES} rules")))?;
    let mut compiled = Rules::new(default);
    for (n, rule) in rules.into_iter().enumerate() {
        let at = format!("{name}.rules[{n}]");
        let allowed = mode(rule.mode, format!("{at}.mode"))?;
        let operations = operations(domain, &at, &rule)?;
        compiled.add(allowed, operations, globs(domain, &at, rule, room)?);
    }
    compiled.index();
    match idle(&compiled) {
        Some((rule, by)) => Err(Refusal::new(
            format!("{name}.rules[{rule}]"),
            format!(
                "can never decide: what it matches is matched by {name}.rules[{by}] and others that come later; the \
                     last rule that matches wins"
            ),
        )),
        None => Ok(Scope::Rules(Box::new(compiled))),
    }
}

fn operations(domain: Domain, at: &str, rule: &RuleSource) -> Result<Operations, Refusal> {
    let Some(names) = &rule.operations else { return Ok(domain.operations()) };
    if names.is_empty() {
        return Err(Refusal::new(format!("{at}.operations"), "is empty; leave it out for all operations"));
    }
    let mut operations = Operations::NONE;
    for (n, name) in names.iter().enumerate() {
        let operation = domain.operation(name).ok_or_else(|| {
            let known: Vec<_> = domain.operations().iter().map(|operation| operation.name()).collect();
            Refusal::new(
                format!("{at}.operations[{n}]"),
                format!("{name:?} is no operation of {}; they are: {}", domain.name(), known.join(", ")),
            )
        })?;
        operations = operations.with(operation);
    }
    Ok(operations)
}

fn globs(domain: Domain, at: &str, rule: RuleSource, room: &mut Room) -> Result<Option<Vec<Glob>>, Refusal> {
    let (own, texts, foreign, wrong) = match domain {
        Domain::Fs => ("paths", rule.paths, "patterns", rule.patterns),
        _ => ("patterns", rule.patterns, "paths", rule.paths),
    };
    if wrong.is_some() {
        let reason = format!("the domain {} has `{own}`", domain.name());
        return Err(Refusal::new(format!("{at}.{foreign}"), reason));
    }
    let Some(texts) = texts else { return Ok(None) };
    if texts.is_empty() {
        return Err(Refusal::new(format!("{at}.{own}"), "is empty; leave it out for all resources"));
    }
    room.patterns = room.patterns.checked_sub(texts.len()).ok_or_else(|| {
        Refusal::new(format!("{at}.{own}"), format!("a tree has at most {PATTERNS} patterns"))
    })?;
    let glob = |(n, text): (usize, String)| match shape::refusal(domain, &text) {
        Some(reason) => Err(Refusal::new(format!("{at}.{own}[{n}]"), format!("{text:?} {reason}"))),
        None => Ok(Glob::new(&text)),
    };
    texts.into_iter().enumerate().map(glob).collect::<Result<_, _>>().map(Some)
}

/// A rule that can never decide, and a later one that is a reason for it.
fn idle(rules: &Rules) -> Option<(usize, usize)> {
    let last_whole = rules.whole().last().copied();
    // Of each rule, the operations that some resource is left for.
    let mut left = vec![Operations::NONE; rules.len()];
    let mut by = vec![0; rules.len()];
    let mut taken = Operations::NONE;
    let mut whole = rules.whole().iter().rev().copied().peekable();
    let mut note = |rule: usize, free: Operations, because: Option<usize>| {
        left[rule] = left[rule].or(free);
        by[rule] = because.unwrap_or(by[rule]);
    };
    // From the last rule on, so that what is taken is taken by later ones.
    let mut patterns = rules.patterns().iter().enumerate().rev().peekable();
    for rule in (0..rules.len()).rev() {
        let own = rules.operations(rule);
        if whole.next_if_eq(&rule).is_some() {
            note(rule, own.minus(taken), last_whole.filter(|last| *last > rule));
            taken = taken.or(own);
            continue;
        }
        while let Some((at, pattern)) = patterns.next_if(|(_, pattern)| pattern.rule == rule) {
            let mut free = own.minus(taken);
            let mut because = last_whole.filter(|last| *last > rule);
            for Pattern { rule: later, glob } in rules.patterns()[at + 1..].iter().filter(|p| p.rule > rule) {
                if free.is_empty() {
                    break;
                }
                let both = free.and(rules.operations(*later));
                if !both.is_empty() && glob.covers(&pattern.glob) {
                    free = free.minus(both);
                    because = Some(*later);
                }
            }
            note(rule, free, because);
        }
    }
    left.iter().position(|left| left.is_empty()).map(|rule| (rule, by[rule]))
}

#[cfg(test)]
mod tests {
    use super::super::source::rule;
    use super::*;

    fn refused(domain: Domain, source: ScopeSource) -> String {
        Permissions::compile([(domain, source)]).map(|_| ()).unwrap_err().path
    }

    fn rules(rules: Vec<RuleSource>) -> ScopeSource {
        ScopeSource::Rules { default: Some(Mode::Allow), rules }
    }

    #[test]
    fn what_has_no_effect_is_refused_with_its_place() {
        use Mode::{Allow, Ask, Deny};
        let good = || rule(Deny, &["read"], &["/a"]);
        let none = |mode| rule(mode, &[], &[]);
        for (source, path) in [
            (ScopeSource::Mode(Ask), "fs"),
            (ScopeSource::Rules { default: Some(Ask), rules: vec![good()] }, "fs.default"),
            (rules(vec![]), "fs.rules"),
            (rules(vec![good(), none(Ask)]), "fs.rules[1].mode"),
            (rules(vec![RuleSource { operations: Some(vec![]), ..good() }]), "fs.rules[0].operations"),
            (rules(vec![rule(Deny, &["read", "fly"], &[])]), "fs.rules[0].operations[1]"),
            (rules(vec![rule(Deny, &["spawn"], &[])]), "fs.rules[0].operations[0]"),
            (rules(vec![RuleSource { paths: Some(vec![]), ..good() }]), "fs.rules[0].paths"),
            (rules(vec![rule(Deny, &[], &["/a", "b"])]), "fs.rules[0].paths[1]"),
            (
                rules(vec![RuleSource { patterns: Some(vec!["/a".into()]), ..none(Deny) }]),
                "fs.rules[0].patterns",
            ),
            (rules(vec![good(), none(Deny)]), "fs.rules[0]"),
            (rules(vec![good(), good()]), "fs.rules[0]"),
            (rules(vec![none(Deny), none(Allow)]), "fs.rules[0]"),
            (
                rules(vec![rule(Allow, &[], &["/x"]), good(), rule(Deny, &["read", "stat"], &["/*"])]),
                "fs.rules[1]",
            ),
            // One later rule for each operation and path.
            (
                rules(vec![
                    rule(Allow, &["read", "write"], &["/a/b", "/c/*"]),
                    rule(Deny, &["read"], &["/a/**", "/c/**"]),
                    rule(Deny, &["write"], &["/**"]),
                ]),
                "fs.rules[0]",
            ),
        ] {
            assert_eq!(refused(Domain::Fs, source), path);
        }
        assert_eq!(refused(Domain::Env, rules(vec![good()])), "env.rules[0].paths");
        let many = (0..=RULES).map(|n| rule(Deny, &[], &[&format!("/{n}")])).collect();
        assert_eq!(refused(Domain::Fs, rules(many)), "fs.rules");
        let wide: Vec<_> = (0..=PATTERNS).map(|n| format!("/{n}")).collect();
        let wide = RuleSource { paths: Some(wide), ..none(Deny) };
        assert_eq!(refused(Domain::Fs, rules(vec![wide])), "fs.rules[0].paths");
    }

    #[test]
    fn rules_that_decide_something_are_taken() {
        use Mode::{Allow, Deny};
        for source in [
            rules(vec![rule(Deny, &[], &[]), rule(Allow, &["read"], &[])]),
            rules(vec![rule(Deny, &[], &["/**"]), rule(Allow, &[], &["/a"])]),
            rules(vec![rule(Deny, &["read", "write"], &["/a"]), rule(Allow, &["read"], &["/**"])]),
            rules(vec![rule(Deny, &[], &["/a", "/b"]), rule(Allow, &[], &["/a"])]),
            rules(vec![rule(Deny, &[], &["/a/*"]), rule(Allow, &[], &["/a/?", "/a/b*"])]),
            rules(vec![rule(Deny, &[], &["/a/**"]), rule(Allow, &[], &["/a/*"])]),
        ] {
            assert!(Permissions::compile([(Domain::Fs, source.clone())]).is_ok(), "{source:?}");
        }
    }
}
