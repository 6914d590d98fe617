//! Compiled regular expressions with POSIX's leftmost-longest match, and a bounded store of those made at run time.

use crate::error::{Error, Result};
use crate::posix::{self, Mode};
use regex_automata::hybrid::dfa;
use regex_automata::meta;
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, HirKind, Look};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// How large a compiled pattern may become, bytes.
const MAX_SIZE: usize = 16 << 20;
/// How much memory its lazy automaton takes, bytes.
const CACHE: usize = 4 << 20;
/// Patterns of strings that are kept compiled.
const MAX_KEPT: usize = 256;

/// A regular expression.
pub(crate) struct Regex {
    source: Vec<u8>,
    search: meta::Regex,
    cache: RefCell<meta::Cache>,
    /// Finds the longest end for a start; none where the first match is the longest anyway.
    longest: Option<Longest>,
    /// Matches exactly what was found, for the groups in it.
    groups: OnceCell<Option<meta::Regex>>,
    hir: Hir,
    count: usize,
}

struct Longest {
    dfa: dfa::DFA,
    cache: RefCell<dfa::Cache>,
}

impl std::fmt::Debug for Regex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Regex").field(&String::from_utf8_lossy(&self.source)).finish()
    }
}

fn build(hir: &Hir) -> Option<meta::Regex> {
    let config =
        meta::Config::new().utf8_empty(false).nfa_size_limit(Some(MAX_SIZE)).hybrid_cache_capacity(CACHE);
    meta::Builder::new().configure(config).build_from_hir(hir).ok()
}

fn build_longest(hir: &Hir) -> Option<Longest> {
    let config = thompson::Config::new()
        .utf8(false)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(MAX_SIZE));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(hir).ok()?;
    let config =
        dfa::Config::new().match_kind(MatchKind::All).cache_capacity(CACHE).skip_cache_capacity_check(true);
    let dfa = dfa::Builder::new().configure(config).build_from_nfa(nfa).ok()?;
    let cache = RefCell::new(dfa.create_cache());
    Some(Longest { dfa, cache })
}

impl Regex {
    /// Compiles a pattern. The error does not say that it is one of a pattern.
    pub(crate) fn new(source: &[u8], mode: Mode) -> Result<Regex> {
        let wrong = |why: &str| Error::Fatal(format!("{why}: /{}/", String::from_utf8_lossy(source)));
        let (hir, count) = posix::parse(source, mode).map_err(wrong)?;
        let too_big = || wrong("Regular expression too big");
        let search = build(&hir).ok_or_else(too_big)?;
        let longest =
            if first_is_longest(&hir) { None } else { Some(build_longest(&hir).ok_or_else(too_big)?) };
        let cache = RefCell::new(search.create_cache());
        Ok(Regex {
            source: source.to_vec(),
            search,
            cache,
            longest,
            groups: OnceCell::new(),
            hir,
            count: count as usize,
        })
    }

    /// The pattern's text.
    pub(crate) fn source(&self) -> &[u8] {
        &self.source
    }

    /// Whether it matches anywhere.
    #[inline]
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        let input = Input::new(text).earliest(true);
        self.search.search_half_with(&mut self.cache.borrow_mut(), &input).is_some()
    }

    /// The leftmost-longest match that begins at `from` or later.
    #[inline]
    pub(crate) fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let input = Input::new(text).range(from..);
        let found = self.search.search_with(&mut self.cache.borrow_mut(), &input)?;
        let (start, end) = (found.start(), found.end());
        let Some(longest) = &self.longest else { return Some((start, end)) };
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        // An automaton that gives up leaves the match that was found.
        match longest.dfa.try_search_fwd(&mut longest.cache.borrow_mut(), &input) {
            Ok(Some(half)) => Some((start, half.offset())),
            _ => Some((start, end)),
        }
    }

    /// The groups of a match that [`Regex::find`] gave, from group 1.
    pub(crate) fn groups(&self, text: &[u8], found: (usize, usize)) -> Vec<Option<(usize, usize)>> {
        if self.count == 0 {
            return Vec::new();
        }
        let exact =
            self.groups.get_or_init(|| build(&Hir::concat(vec![self.hir.clone(), Hir::look(Look::End)])));
        let Some(exact) = exact else { return vec![None; self.count] };
        let mut captures = exact.create_captures();
        exact.search_captures(
            &Input::new(&text[..found.1]).range(found.0..).anchored(Anchored::Yes),
            &mut captures,
        );
        (1..=self.count).map(|i| captures.get_group(i).map(|span| (span.start, span.end))).collect()
    }
}

/// Whether a search that prefers the first way finds the longest match: one choice at most, and that of a number.
fn first_is_longest(hir: &Hir) -> bool {
    let unit = |hir: &Hir| {
        matches!(hir.kind(), HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_))
    };
    match hir.kind() {
        HirKind::Repetition(repetition) => unit(&repetition.sub),
        HirKind::Capture(capture) => first_is_longest(&capture.sub),
        HirKind::Concat(parts) => {
            let mut choices = parts.iter().filter(|part| !unit(part));
            choices.next().is_none_or(first_is_longest) && choices.next().is_none()
        }
        HirKind::Alternation(_) => false,
        _ => true,
    }
}

/// Compiled patterns of strings.
#[derive(Debug, Default)]
pub(crate) struct Store {
    kept: HashMap<(Vec<u8>, bool), Rc<Regex>>,
}

impl Store {
    /// The pattern, compiled now or before.
    pub(crate) fn get(&mut self, source: &[u8], mode: Mode) -> Result<Rc<Regex>> {
        let key = (source.to_vec(), mode.fold);
        if let Some(regex) = self.kept.get(&key) {
            return Ok(regex.clone());
        }
        if self.kept.len() >= MAX_KEPT {
            self.kept.clear();
        }
        let regex = Rc::new(Regex::new(source, mode).map_err(|error| match error {
            Error::Fatal(text) => Error::Fatal(format!("invalid regexp: {text}")),
            other => other,
        })?);
        self.kept.insert(key, regex.clone());
        Ok(regex)
    }
}
