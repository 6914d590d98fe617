//! The rules of one domain, compiled: which of them decides, found without looking at all of them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::glob::Glob;
use super::{Mode, Operation, Operations};

/// The rules of a domain and how they are found.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    modes: Vec<Mode>,
    operations: Vec<Operations>,
    default: Option<Mode>,
    patterns: Vec<Pattern>,
    /// Patterns without wildcards, by their hash.
    literal: Buckets,
    /// Others by what they begin or end with.
    begun: Ends,
    ended: Ends,
    /// Rules for every resource.
    whole: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) rule: usize,
    pub(crate) glob: Glob,
}

/// Patterns by hash, in their order. What is in a bucket by chance is found out by matching it.
type Buckets = HashMap<u64, Vec<usize>, BuildHasherDefault<Hashed>>;

/// Patterns by the hash of one end of them.
#[derive(Debug, Default)]
struct Ends {
    buckets: Buckets,
    /// Which lengths there are: others need not be looked up.
    lengths: Vec<bool>,
}

impl Ends {
    fn add<'a>(&mut self, end: impl ExactSizeIterator<Item = &'a u8>, pattern: usize) {
        let length = end.len();
        if self.lengths.len() <= length {
            self.lengths.resize(length + 1, false);
        }
        self.lengths[length] = true;
        self.buckets.entry(hash(end)).or_default().push(pattern);
    }

    /// Patterns with an end of this length and hash.
    fn get(&self, length: usize, hash: u64) -> &[usize] {
        match self.lengths.get(length) {
            Some(true) => self.buckets.get(&hash).map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }
}

/// Keys are hashes already.
#[derive(Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = fnv(self.0, *byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        // FNV mixes its low bits best, the table looks at the high ones too.
        self.0 = hash ^ hash.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Begin of an FNV-1a hash.
const START: u64 = 0xcbf2_9ce4_8422_2325;

const fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0100_0000_01b3)
}

fn hash<'a>(text: impl Iterator<Item = &'a u8>) -> u64 {
    text.fold(START, |hash, byte| fnv(hash, *byte))
}

impl Rules {
    pub(crate) fn new(default: Option<Mode>) -> Self {
        Rules { default, ..Rules::default() }
    }

    /// Adds the next rule; without patterns it is for every resource.
    pub(crate) fn add(&mut self, mode: Mode, operations: Operations, globs: Option<Vec<Glob>>) {
        let rule = self.modes.len();
        self.modes.push(mode);
        self.operations.push(operations);
        let Some(globs) = globs else {
            self.whole.push(rule);
            return;
        };
        for glob in globs {
            self.patterns.push(Pattern { rule, glob });
        }
    }

    /// Makes the index, once all rules are added. Of the two ends of a pattern the one is taken that fewer others have.
    pub(crate) fn index(&mut self) {
        let mut heads: HashMap<&[u8], usize> = HashMap::new();
        let mut tails: HashMap<&[u8], usize> = HashMap::new();
        for Pattern { glob, .. } in self.patterns.iter().filter(|pattern| !pattern.glob.is_literal()) {
            *heads.entry(glob.head()).or_default() += 1;
            *tails.entry(glob.tail()).or_default() += 1;
        }
        for (pattern, Pattern { glob, .. }) in self.patterns.iter().enumerate() {
            let (head, tail) = (glob.head(), glob.tail());
            if glob.is_literal() {
                self.literal.entry(hash(head.iter())).or_default().push(pattern);
            } else if heads.get(head) <= tails.get(tail) {
                self.begun.add(head.iter(), pattern);
            } else {
                self.ended.add(tail.iter().rev(), pattern);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.modes.len()
    }

    pub(crate) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    pub(crate) fn operations(&self, rule: usize) -> Operations {
        self.operations[rule]
    }

    /// Rules for every resource, in their order.
    pub(crate) fn whole(&self) -> &[usize] {
        &self.whole
    }

    fn last_whole(&self, operation: Operation) -> Option<usize> {
        self.whole.iter().rev().copied().find(|rule| self.operations[*rule].has(operation))
    }

    pub(crate) fn mode(&self, rule: Option<usize>) -> Mode {
        rule.map_or(self.default.unwrap_or(Mode::Deny), |rule| self.modes[rule])
    }

    /// The rule that decides; `None`: the default does.
    pub(crate) fn decides(&self, operation: Operation, resource: &[u8]) -> Option<usize> {
        let mut best = self.last_whole(operation);
        let mut look = |bucket: &[usize]| {
            for pattern in bucket.iter().rev() {
                let Pattern { rule, glob } = &self.patterns[*pattern];
                if best.is_some_and(|best| best >= *rule) {
                    break;
                }
                if self.operations[*rule].has(operation) && glob.matches(resource) {
                    best = Some(*rule);
                    break;
                }
            }
        };
        let mut so_far = START;
        look(self.begun.get(0, so_far));
        for (at, byte) in resource.iter().enumerate() {
            so_far = fnv(so_far, *byte);
            look(self.begun.get(at + 1, so_far));
        }
        look(self.literal.get(&so_far).map_or(&[], Vec::as_slice));
        so_far = START;
        look(self.ended.get(0, so_far));
        for (at, byte) in resource.iter().rev().enumerate().take(self.ended.lengths.len()) {
            so_far = fnv(so_far, *byte);
            look(self.ended.get(at + 1, so_far));
        }
        best
    }

    /// What is decided for everything beneath a directory (a path without slash at its end); `None` if that is not the same
    /// for all of it, with the rule that makes the difference.
    pub(crate) fn beneath(&self, operation: Operation, directory: &[u8]) -> Result<Mode, usize> {
        let begin = [directory, b"/"].concat();
        let whole = self.last_whole(operation);
        let mut partly: Vec<usize> = Vec::new();
        let mut decides = whole;
        for Pattern { rule, glob } in self.patterns.iter().rev() {
            if decides.is_some_and(|decides| decides >= *rule) {
                break;
            }
            if !self.operations[*rule].has(operation) {
                continue;
            }
            let rest = glob.after(&begin);
            if rest.all {
                decides = Some(*rule);
            } else if !rest.is_nothing() {
                partly.push(*rule);
            }
        }
        let mode = self.mode(decides);
        let later = |rule: &&usize| decides.is_none_or(|decides| **rule > decides);
        match partly.iter().filter(later).find(|rule| self.modes[**rule] != mode) {
            Some(rule) => Err(*rule),
            None => Ok(mode),
        }
    }

    /// Whether all rules of an operation treat what is beneath one directory as they treat what is beneath another one.
    pub(crate) fn same_beneath(&self, operation: Operation, one: &[u8], other: &[u8]) -> bool {
        let (one, other) = ([one, b"/"].concat(), [other, b"/"].concat());
        let of = |pattern: &&Pattern| self.operations[pattern.rule].has(operation);
        self.patterns.iter().filter(of).all(|pattern| pattern.glob.after(&one) == pattern.glob.after(&other))
    }
}
