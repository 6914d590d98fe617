//! What a machine used, and the smallest tree that allows it.

use std::collections::{BTreeMap, BTreeSet};

use super::glob::Glob;
use super::{Domain, Mode, Operation, Operations, Permissions, RuleSource, ScopeSource, pattern_of, shape};
use crate::LimitHit;

/// Resources that are noted as they are.
const EXACT: usize = 4096;
/// Resources in all: of further files only the directory is noted, as `/directory/*`.
const RESOURCES: usize = 8000;
/// Bytes of all resources.
const BYTES: usize = 8 << 20;
/// So many files of a directory, used in the same way, are generalised.
const ALIKE: usize = 8;
/// Stands for a part that is another one in every run, twice for one with slashes. It is in no resource.
const ANY: u8 = 0;
/// Links and moves.
const MOVES: usize = 4096;
/// How often a tree is widened for the sake of its links and moves; each time brings the operations that the last one lacked.
const ROUNDS: usize = 8;

/// What was used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned {
    used: BTreeMap<Domain, BTreeMap<Box<[u8]>, Operations>>,
    resources: usize,
    bytes: usize,
    full: bool,
    moves: BTreeSet<Move>,
}

/// Something got another name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Move {
    from: Box<[u8]>,
    to: Box<[u8]>,
    directory: bool,
}

impl Learned {
    pub(crate) fn note(&mut self, operation: Operation, resource: &[u8]) {
        let domain = operation.domain();
        // A variable without a name cannot be spoken of, and nobody can ask for it.
        if resource.is_empty() {
            return;
        }
        let mut resource = without_numbers(resource);
        let known = |all: &Self, resource: &[u8]| {
            all.used.get(&domain).is_some_and(|used| used.contains_key(resource))
        };
        if self.resources >= EXACT
            && !known(self, &resource)
            && let (Domain::Fs, Some(slash)) = (domain, resource.iter().rposition(|b| *b == b'/'))
        {
            resource.truncate(slash + 1);
            resource.push(ANY);
        }
        if !known(self, &resource) {
            // A path may be longer than a pattern.
            let spoken_of = shape::refusal(domain, &pattern(&resource)).is_none();
            if self.resources >= RESOURCES || self.bytes + resource.len() > BYTES || !spoken_of {
                self.full = true;
                return;
            }
            self.resources += 1;
            self.bytes += resource.len();
        }
        let operations = self.used.entry(domain).or_default().entry(resource.into_boxed_slice()).or_default();
        *operations = operations.with(operation);
    }

    /// Notes a link or a move.
    pub(crate) fn note_move(&mut self, from: &[u8], to: &[u8], directory: bool) {
        let bytes = from.len() + to.len();
        let new = Move { from: from.into(), to: to.into(), directory };
        if self.moves.contains(&new) {
            return;
        }
        if self.moves.len() >= MOVES || self.bytes + bytes > BYTES {
            self.full = true;
            return;
        }
        self.bytes += bytes;
        self.moves.insert(new);
    }

    /// The smallest tree that allows it: a rule for each set of operations, and `deny` for domains of which nothing was used.
    /// With `generalise`, eight and more files of one directory that were used in the same way become `directory/*`.
    ///
    /// # Errors
    /// More was used than can be noted.
    pub(crate) fn tree(mut self, generalise: bool) -> Result<Vec<(Domain, ScopeSource)>, LimitHit> {
        for _ in 0..ROUNDS {
            let tree = self.written(generalise)?;
            if self.moves.is_empty() || !self.widen_for_moves(&tree) {
                return Ok(tree);
            }
        }
        self.full = true;
        self.written(generalise)
    }

    /// What a link or move would give is noted for the old name as well, since otherwise it is refused. Whether something
    /// was.
    fn widen_for_moves(&mut self, tree: &[(Domain, ScopeSource)]) -> bool {
        let Ok(tree) = Permissions::compile(tree.to_vec()) else { return false };
        let mut lacking = Vec::new();
        for Move { from, to, directory } in &self.moves {
            for denial in tree.gained(from, to, *directory) {
                let beneath = denial.resource != **from;
                lacking.push((
                    denial.operation,
                    if beneath { [from, &[b'/', ANY, ANY][..]].concat() } else { denial.resource },
                ));
            }
        }
        for (operation, resource) in &lacking {
            self.note(*operation, resource);
        }
        !lacking.is_empty()
    }

    fn written(&self, generalise: bool) -> Result<Vec<(Domain, ScopeSource)>, LimitHit> {
        if self.full {
            let configured = RESOURCES as u64;
            let used = self.resources as u64;
            return Err(LimitHit { name: "learnedResources", configured, used, requested: 1 });
        }
        let domains = [Domain::Fs, Domain::Network, Domain::ChildProcess, Domain::Process, Domain::Env];
        Ok(domains.into_iter().map(|domain| (domain, self.scope(domain, generalise))).collect())
    }

    fn scope(&self, domain: Domain, generalise: bool) -> ScopeSource {
        let mut by_operations: BTreeMap<Operations, BTreeSet<String>> = BTreeMap::new();
        for (resource, operations) in self.used.get(&domain).into_iter().flatten() {
            by_operations.entry(*operations).or_default().insert(pattern(resource));
        }
        if generalise && domain == Domain::Fs {
            by_operations.values_mut().for_each(widen);
        }
        let mut all: Vec<(Operations, Glob)> = by_operations
            .into_iter()
            .flat_map(|(operations, patterns)| patterns.into_iter().map(move |p| (operations, Glob::new(&p))))
            .collect();
        // What others together allow as well would be a rule without effect. One after the other, so that two that allow the
        // same are not both left out.
        let mut n = 0;
        while n < all.len() {
            let (operations, glob) = &all[n];
            let others = all
                .iter()
                .enumerate()
                .filter(|(other, (_, wide))| *other != n && !wide.is_literal() && wide.covers(glob));
            let left = others.fold(*operations, |left, (_, (more, _))| left.minus(*more));
            match left.is_empty() {
                true => drop(all.remove(n)),
                false => n += 1,
            }
        }
        let mut rules: Vec<RuleSource> = Vec::new();
        for (operations, glob) in all {
            let names: Vec<_> = operations.iter().map(|operation| operation.name().to_owned()).collect();
            let pattern = glob.text().to_owned();
            let list = |rule: &mut RuleSource| match domain {
                Domain::Fs => rule.paths.get_or_insert_default().push(pattern.clone()),
                _ => rule.patterns.get_or_insert_default().push(pattern.clone()),
            };
            match rules.last_mut().filter(|rule| rule.operations.as_ref() == Some(&names)) {
                Some(rule) => list(rule),
                None => {
                    let mut rule = RuleSource {
                        mode: Mode::Allow,
                        operations: Some(names),
                        paths: None,
                        patterns: None,
                    };
                    list(&mut rule);
                    rules.push(rule);
                }
            }
        }
        if rules.is_empty() {
            return ScopeSource::Mode(Mode::Deny);
        }
        ScopeSource::Rules { default: Some(Mode::Deny), rules }
    }
}

/// Numbers of processes and terminals are others in every run.
fn without_numbers(resource: &[u8]) -> Vec<u8> {
    for begin in [&b"/proc/"[..], b"/dev/pts/"] {
        let Some(rest) = resource.strip_prefix(begin) else { continue };
        let end = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
        if end > 0 && rest[..end].iter().all(u8::is_ascii_digit) {
            return [begin, &[ANY], &rest[end..]].concat();
        }
    }
    resource.to_vec()
}

fn pattern(resource: &[u8]) -> String {
    let parts: Vec<_> = resource.split(|b| *b == ANY).map(pattern_of).collect();
    parts.join("*")
}

/// Puts `directory/*` in the place of many files.
fn widen(patterns: &mut BTreeSet<String>) {
    let directory = |pattern: &str| pattern.rfind('/').map(|slash| pattern[..=slash].to_owned());
    let mut files: BTreeMap<String, usize> = BTreeMap::new();
    for directory in patterns.iter().filter_map(|p| directory(p)) {
        *files.entry(directory).or_default() += 1;
    }
    files.retain(|_, count| *count >= ALIKE);
    patterns.retain(|p| !directory(p).is_some_and(|d| files.contains_key(&d)));
    patterns.extend(files.into_keys().map(|directory| directory + "*"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compiled(learned: &Learned, generalise: bool) -> Permissions {
        Permissions::compile(learned.clone().tree(generalise).unwrap()).unwrap()
    }

    #[test]
    fn it_is_the_smallest_and_says_nothing_twice() {
        let mut learned = Learned::default();
        for (operation, resource) in [
            (Operation::Read, "/a"),
            (Operation::Stat, "/a"),
            (Operation::Read, "/b"),
            (Operation::Stat, "/b"),
            (Operation::Read, "/c"),
            (Operation::Read, "/proc/12/stat"),
            (Operation::Read, "/proc/13/stat"),
            (Operation::Spawn, "/bin/ls"),
        ] {
            learned.note(operation, resource.as_bytes());
        }
        let rule = |operations: &[&str], paths: &[&str]| RuleSource {
            mode: Mode::Allow,
            operations: Some(operations.iter().map(|s| (*s).to_owned()).collect()),
            paths: Some(paths.iter().map(|s| (*s).to_owned()).collect()),
            patterns: None,
        };
        let tree = learned.clone().tree(false).unwrap();
        let rules = vec![rule(&["read"], &["/c", "/proc/*/stat"]), rule(&["read", "stat"], &["/a", "/b"])];
        assert_eq!(tree[0], (Domain::Fs, ScopeSource::Rules { default: Some(Mode::Deny), rules }));
        assert_eq!(tree[1], (Domain::Network, ScopeSource::Mode(Mode::Deny)));
        assert_eq!(tree[3], (Domain::Process, ScopeSource::Mode(Mode::Deny)));
        let tree = compiled(&learned, false);
        assert_eq!(tree.decide(Operation::Write, b"/a").mode, Mode::Deny);
        assert_eq!(tree.decide(Operation::Read, b"/proc/99/stat").mode, Mode::Allow);
    }

    #[test]
    fn generalising_takes_directories_of_files_used_alike() {
        let mut learned = Learned::default();
        for n in 0..8 {
            learned.note(Operation::Read, format!("/many/{n}").as_bytes());
        }
        learned.note(Operation::Write, b"/many/w");
        learned.note(Operation::Read, b"/few/1");
        let exact = compiled(&learned, false);
        let wide = compiled(&learned, true);
        for (resource, operation, narrow, general) in [
            ("/many/9", Operation::Read, Mode::Deny, Mode::Allow),
            ("/many/9", Operation::Write, Mode::Deny, Mode::Deny),
            ("/many/w", Operation::Write, Mode::Allow, Mode::Allow),
            ("/few/2", Operation::Read, Mode::Deny, Mode::Deny),
        ] {
            assert_eq!(exact.decide(operation, resource.as_bytes()).mode, narrow, "{resource}");
            assert_eq!(wide.decide(operation, resource.as_bytes()).mode, general, "{resource}");
        }
    }

    #[test]
    fn whatever_was_used_it_compiles() {
        let mut learned = Learned::default();
        // Together the two wide rules allow what the narrow one does.
        for n in 0..8 {
            for (operation, name) in [(Operation::Read, 'r'), (Operation::Write, 'w')] {
                let path = format!("/d/{name}{n}");
                learned.note(operation, path.as_bytes());
                learned.note(Operation::Stat, path.as_bytes());
            }
        }
        learned.note(Operation::Read, b"/d/f");
        learned.note(Operation::Write, b"/d/f");
        // env(1) takes names of any kind.
        learned.note(Operation::ReadEnv, b"a/b");
        learned.note(Operation::ReadEnv, b"");
        let tree = compiled(&learned, true);
        for operation in [Operation::Read, Operation::Write, Operation::Stat] {
            assert_eq!(tree.decide(operation, b"/d/f").mode, Mode::Allow);
        }
        assert_eq!(tree.decide(Operation::ReadEnv, b"a/b").mode, Mode::Allow);
        learned.note(Operation::Read, &[&b"/"[..], &b"long/".repeat(1000)].concat());
        assert!(learned.tree(false).is_err());
    }

    #[test]
    fn a_link_or_move_may_be_made_again() {
        let mut learned = Learned::default();
        let uses = [
            (Operation::Write, "/d/tmp"),
            (Operation::Rename, "/d/tmp"),
            (Operation::Rename, "/d/new"),
            (Operation::Read, "/d/new"),
            (Operation::Rename, "/d"),
            (Operation::Rename, "/e"),
            (Operation::Rm, "/e/new"),
            (Operation::Spawn, "/e/new"),
        ];
        for (operation, resource) in uses {
            learned.note(operation, resource.as_bytes());
        }
        learned.note_move(b"/d/tmp", b"/d/new", false);
        learned.note_move(b"/d", b"/e", true);
        for generalise in [false, true] {
            let tree = compiled(&learned, generalise);
            for (operation, resource) in uses {
                assert_eq!(tree.decide(operation, resource.as_bytes()).mode, Mode::Allow);
            }
            assert_eq!(tree.passage(b"/d/tmp", b"/d/new", false), Ok(()));
            assert_eq!(tree.passage(b"/d", b"/e", true), Ok(()));
            assert_eq!(tree.decide(Operation::Write, b"/e/new").mode, Mode::Deny);
            assert_eq!(tree.decide(Operation::Chmod, b"/d/new").mode, Mode::Deny);
        }
    }

    #[test]
    fn what_it_notes_is_bounded() {
        let mut learned = Learned::default();
        for n in 0..20_000 {
            learned.note(Operation::Read, format!("/d/{n}").as_bytes());
        }
        assert_eq!(learned.resources, EXACT + 1);
        assert_eq!(compiled(&learned, false).decide(Operation::Read, b"/d/19999").mode, Mode::Allow);
        for n in 0..20_000 {
            learned.note(Operation::Read, format!("/{n}/x").as_bytes());
        }
        assert_eq!(learned.resources, RESOURCES);
        assert_eq!(learned.clone().tree(false).unwrap_err().name, "learnedResources");
    }

    proptest! {
        #[test]
        fn a_learned_tree_compiles_and_allows_what_it_learned(
            uses in proptest::collection::vec((0..28_usize, "(/[ab*?é]{1,2}){1,3}"), 1..40),
            generalise: bool,
        ) {
            let mut learned = Learned::default();
            let uses: Vec<_> = uses
                .into_iter()
                .map(|(n, path)| (Operation::ALL[n], path))
                .filter(|(operation, _)| matches!(operation.domain(), Domain::Fs | Domain::ChildProcess | Domain::Process))
                .collect();
            for (operation, path) in &uses {
                learned.note(*operation, path.as_bytes());
            }
            let tree = compiled(&learned, generalise);
            for (operation, path) in &uses {
                prop_assert_eq!(tree.decide(*operation, path.as_bytes()).mode, Mode::Allow);
            }
        }
    }
}
