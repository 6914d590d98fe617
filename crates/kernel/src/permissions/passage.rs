//! What a hard link or a move may not do: give a guest under the new name what it may not do under the old one.

use super::{By, Denial, Domain, Mode, Operation, Permissions, Scope};

impl Permissions {
    /// Whether what has the path `from` may get the path `to` as well, or instead: every operation on it that is denied under
    /// the old name has to be denied under the new one. Of a directory this holds for everything beneath it, whatever that
    /// is: where rules tell some of it apart, it may not move out of their reach.
    ///
    /// # Errors
    /// What would become possible. For what lies beneath a directory the resource ends in `/**`.
    pub fn passage(&self, from: &[u8], to: &[u8], directory: bool) -> Result<(), Denial> {
        self.gained(from, to, directory).next().map_or(Ok(()), Err)
    }

    /// All that would become possible.
    pub(crate) fn gained(&self, from: &[u8], to: &[u8], directory: bool) -> impl Iterator<Item = Denial> {
        let operations =
            [Domain::Fs, Domain::ChildProcess].into_iter().flat_map(|domain| domain.operations().iter());
        operations.filter_map(move |operation| self.gains(operation, from, to, directory))
    }

    fn gains(&self, operation: Operation, from: &[u8], to: &[u8], directory: bool) -> Option<Denial> {
        let domain = operation.domain();
        let Scope::Rules(rules) = self.scope(domain) else { return None };
        let old = self.decide(operation, from);
        if old.mode != Mode::Allow && self.decide(operation, to).mode == Mode::Allow {
            return Some(Denial { operation, resource: from.to_vec(), by: old.by });
        }
        if !directory || rules.same_beneath(operation, from, to) {
            return None;
        }
        let old = rules.beneath(operation, from);
        if old == Ok(Mode::Allow) || rules.beneath(operation, to) == Ok(Mode::Deny) {
            return None;
        }
        let by = old.err().map_or(By::Default(domain), |rule| By::Rule(domain, rule));
        Some(Denial { operation, resource: [from, b"/**"].concat(), by })
    }
}

#[cfg(test)]
mod tests {
    use crate::permissions::{Domain, Mode, Permissions, RuleSource, ScopeSource};

    fn tree(default: Mode, rules: &[(Mode, &str, &str)]) -> Permissions {
        let rule = |(mode, operation, path): &(Mode, &str, &str)| RuleSource {
            mode: *mode,
            operations: (!operation.is_empty()).then(|| vec![(*operation).to_owned()]),
            paths: Some(vec![(*path).to_owned()]),
            patterns: None,
        };
        let rules = rules.iter().map(rule).collect();
        Permissions::compile([(Domain::Fs, ScopeSource::Rules { default: Some(default), rules })]).unwrap()
    }

    #[test]
    fn no_name_gives_what_another_one_denies() {
        use Mode::{Allow, Deny};
        let secret = tree(Allow, &[(Deny, "read", "/s/*")]);
        let dotenv = tree(Allow, &[(Deny, "read", "/**/.env")]);
        let only_work = tree(Deny, &[(Allow, "", "/w/**"), (Deny, "write", "/w/ro/**")]);
        for (tree, from, to, directory, fine) in [
            (&secret, "/s/a", "/a", false, false),
            (&secret, "/a", "/s/a", false, true),
            (&secret, "/s/a", "/s/b", false, true),
            (&secret, "/s", "/t", false, true),
            (&secret, "/s", "/t", true, false),
            (&secret, "/t", "/s", true, true),
            (&secret, "/s/d", "/d", true, false),
            (&secret, "/t", "/u", true, true),
            (&dotenv, "/a", "/b", true, true),
            (&dotenv, "/a/.env", "/a/env", false, false),
            (&dotenv, "/.e", "/b", true, true),
            (&only_work, "/w/a", "/w/b", true, true),
            (&only_work, "/w/a", "/b", true, true),
            (&only_work, "/w/ro", "/w/b", true, false),
            (&only_work, "/w/ro/x", "/w/x", false, false),
            (&only_work, "/b", "/w/b", true, false),
        ] {
            let answer = tree.passage(from.as_bytes(), to.as_bytes(), directory);
            assert_eq!(answer.is_ok(), fine, "{from} {to} {directory} {answer:?}");
        }
        let denial = secret.passage(b"/s", b"/t", true).unwrap_err();
        assert_eq!(
            (denial.resource.as_slice(), denial.by.path().as_deref()),
            (&b"/s/**"[..], Some("fs.rules[0]"))
        );
    }
}
