//! Refspecs: `[+]from:to`, with one `*` on both sides, or `^not`. It knows no repository.

use crate::error::{Res, fatal};

/// A rule for which refs are moved where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) force: bool,
    pub(crate) negative: bool,
    pub(crate) from: String,
    /// `None`: there was no colon.
    pub(crate) to: Option<String>,
}

impl Spec {
    pub(crate) fn parse(text: &str) -> Res<Spec> {
        let mut spec = Spec::default();
        let mut rest = text;
        if let Some(not) = rest.strip_prefix('^') {
            spec.negative = true;
            spec.from = not.to_owned();
            return Ok(spec);
        }
        if let Some(plus) = rest.strip_prefix('+') {
            spec.force = true;
            rest = plus;
        }
        match rest.rsplit_once(':') {
            Some((from, to)) => {
                spec.from = from.to_owned();
                spec.to = Some(to.to_owned());
            }
            None => spec.from = rest.to_owned(),
        }
        let stars = |text: &str| text.matches('*').count();
        let to = spec.to.as_deref().unwrap_or(&spec.from);
        if stars(&spec.from) > 1 || (stars(to) != stars(&spec.from) && !to.is_empty()) {
            fatal!("invalid refspec '{text}'");
        }
        Ok(spec)
    }

    pub(crate) fn is_pattern(&self) -> bool {
        self.from.contains('*')
    }

    /// Whether a full name is of those on the left.
    pub(crate) fn takes(&self, name: &str) -> bool {
        star(&self.from, name).is_some()
    }

    /// Where a full name goes to.
    pub(crate) fn map(&self, name: &str) -> Option<String> {
        let to = self.to.as_deref().filter(|t| !t.is_empty())?;
        star(&self.from, name).map(|middle| to.replacen('*', middle, 1))
    }

    /// Where a full name on the right comes from.
    pub(crate) fn back(&self, name: &str) -> Option<String> {
        star(self.to.as_deref()?, name).map(|middle| self.from.replacen('*', middle, 1))
    }
}

/// What the star of a pattern stands for in a name; nothing stands for itself.
fn star<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    match pattern.split_once('*') {
        None => (pattern == name).then_some(""),
        Some((before, after)) => name.strip_prefix(before)?.strip_suffix(after),
    }
}

/// Where a full name goes to by the first rule that takes it, unless a negative one does.
pub(crate) fn map(specs: &[Spec], name: &str) -> Option<String> {
    if specs.iter().any(|s| s.negative && s.takes(name)) {
        return None;
    }
    specs.iter().filter(|s| !s.negative).find_map(|s| s.map(name))
}

#[cfg(test)]
mod tests {
    use super::{Spec, map};

    #[test]
    fn names_go_where_rules_say() {
        let specs: Vec<Spec> = ["+refs/heads/*:refs/remotes/o/*", "^refs/heads/no/*", "refs/x:refs/y"]
            .iter()
            .map(|s| Spec::parse(s).expect("valid"))
            .collect();
        for (name, to) in [
            ("refs/heads/a/b", Some("refs/remotes/o/a/b")),
            ("refs/heads/no/b", None),
            ("refs/x", Some("refs/y")),
            ("refs/tags/v", None),
        ] {
            assert_eq!(map(&specs, name).as_deref(), to, "{name}");
        }
        assert_eq!(specs[0].back("refs/remotes/o/m").as_deref(), Some("refs/heads/m"));
        for bad in ["a*:b", "a*b*:c*", "a:b*"] {
            assert!(Spec::parse(bad).is_err(), "{bad}");
        }
    }
}
