//! Regular expressions as POSIX means them, for `sed`, `grep -o`, `find -regex` and what else shows where a match lies: the
//! leftmost of them, and of those the longest. Searching whole files for lines is `grep`'s business.

mod translate;

pub(crate) use translate::{Syntax, Translated, escaped_byte, from_emacs, translate};

use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind, hybrid, meta, nfa::thompson};
use std::cell::{OnceCell, RefCell};

/// How many steps an engine that goes back takes before it gives up.
const MOST_STEPS: usize = 20_000_000;
/// The most memory of a compiled pattern, in bytes.
const MOST_MEMORY: usize = 32 << 20;

/// Where a group matched: start and end.
pub(crate) type Span = (usize, usize);

/// What a pattern is compiled for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) fold: bool,
    /// `^` and `$` match at every line.
    pub(crate) lines: bool,
    /// `.` and negated lists match newlines.
    pub(crate) newlines: bool,
}

/// The search took too many steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooHard;

/// A compiled pattern.
pub(crate) struct Regex {
    engine: Engine,
    groups: usize,
}

enum Engine {
    Automaton(Box<Automaton>),
    Back(Box<fancy_regex::Regex>),
}

struct Automaton {
    regex: meta::Regex,
    cache: RefCell<meta::Cache>,
    slots: RefCell<Captures>,
    /// For patterns whose first way to match may not be the longest: their text.
    ambiguous: Option<(String, Flags)>,
    longest: OnceCell<Option<Longest>>,
}

/// The engines that find the longest match at a place.
struct Longest {
    end: hybrid::dfa::DFA,
    end_cache: RefCell<hybrid::dfa::Cache>,
    groups: PikeVM,
    groups_cache: RefCell<pikevm::Cache>,
}

fn rules(flags: Flags) -> syntax::Config {
    syntax::Config::new()
        .utf8(false)
        .case_insensitive(flags.fold)
        .multi_line(flags.lines)
        .dot_matches_new_line(flags.newlines)
}

impl Longest {
    fn new(text: &str, flags: Flags) -> Option<Longest> {
        let nfa = thompson::Config::new().utf8(false).nfa_size_limit(Some(MOST_MEMORY));
        let end = hybrid::dfa::DFA::builder()
            .configure(hybrid::dfa::Config::new().match_kind(MatchKind::All).unicode_word_boundary(true))
            .thompson(nfa.clone())
            .syntax(rules(flags))
            .build(text)
            .ok()?;
        let groups = PikeVM::builder()
            .configure(PikeVM::config().match_kind(MatchKind::All))
            .thompson(nfa)
            .syntax(rules(flags))
            .build(text)
            .ok()?;
        let (end_cache, groups_cache) =
            (RefCell::new(end.create_cache()), RefCell::new(groups.create_cache()));
        Some(Longest { end, end_cache, groups, groups_cache })
    }

    /// The end of the longest match that begins at `start`.
    fn end(&self, hay: &[u8], start: usize) -> Option<usize> {
        let input = Input::new(hay).range(start..).anchored(Anchored::Yes);
        match self.end.try_search_fwd(&mut self.end_cache.borrow_mut(), &input) {
            Ok(found) => found.map(|half| half.offset()),
            // Word boundaries beside letters that are not ASCII.
            Err(_) => {
                let cache = &mut self.groups_cache.borrow_mut();
                let mut slots = [None; 2];
                self.groups.search_slots(cache, &input, &mut slots);
                slots[1].map(|at| at.get())
            }
        }
    }
}

impl Regex {
    /// Compiles a pattern, or says in GNU's words what is wrong with it.
    pub(crate) fn new(pattern: &[u8], syntax: Syntax, flags: Flags) -> Result<Regex, String> {
        Regex::compile(&translate(pattern, syntax, flags.newlines)?, flags)
    }

    /// Compiles a rewritten pattern.
    pub(crate) fn compile(pattern: &Translated, flags: Flags) -> Result<Regex, String> {
        let groups = pattern.groups;
        if pattern.fancy {
            let regex = fancy_regex::RegexBuilder::new(&pattern.text)
                .case_insensitive(flags.fold)
                .multi_line(flags.lines)
                .dot_matches_new_line(flags.newlines)
                .bytes_mode(fancy_regex::BytesMode::UnicodeBytes)
                .backtrack_limit(MOST_STEPS)
                .build()
                .map_err(|error| error.to_string())?;
            return Ok(Regex { engine: Engine::Back(Box::new(regex)), groups });
        }
        let regex = meta::Regex::builder()
            .configure(meta::Config::new().utf8_empty(false).nfa_size_limit(Some(MOST_MEMORY)))
            .syntax(rules(flags))
            .build(&pattern.text)
            .map_err(|error| match error.size_limit() {
                Some(_) => "Regular expression too big".to_owned(),
                None => error
                    .syntax_error()
                    .map_or_else(|| error.to_string(), |e| e.to_string())
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
            })?;
        let cache = RefCell::new(regex.create_cache());
        let slots = RefCell::new(regex.create_captures());
        let ambiguous = pattern.ambiguous.then(|| (pattern.text.clone(), flags));
        Ok(Regex {
            engine: Engine::Automaton(Box::new(Automaton {
                regex,
                cache,
                slots,
                ambiguous,
                longest: OnceCell::new(),
            })),
            groups,
        })
    }

    /// How many groups the pattern has.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// Whether the pattern is found anywhere.
    pub(crate) fn is_match(&self, hay: &[u8]) -> Result<bool, TooHard> {
        match &self.engine {
            Engine::Automaton(a) => {
                let input = Input::new(hay).earliest(true);
                Ok(a.regex.search_half_with(&mut a.cache.borrow_mut(), &input).is_some())
            }
            Engine::Back(regex) => regex.is_match(hay).map_err(|_| TooHard),
        }
    }

    /// The first match that begins at `start` or later.
    pub(crate) fn find_at(&self, hay: &[u8], start: usize) -> Result<Option<Span>, TooHard> {
        if start > hay.len() {
            return Ok(None);
        }
        match &self.engine {
            Engine::Automaton(a) => {
                let found = a.regex.search_with(&mut a.cache.borrow_mut(), &Input::new(hay).range(start..));
                Ok(found.map(|m| match a.longest() {
                    Some(longest) => (m.start(), longest.end(hay, m.start()).unwrap_or(m.end()).max(m.end())),
                    None => (m.start(), m.end()),
                }))
            }
            Engine::Back(regex) => {
                let found = regex.find_from_pos(hay, start).map_err(|_| TooHard)?;
                Ok(found.map(|m| (m.start(), m.end())))
            }
        }
    }

    /// As [`Regex::find_at`], with what each group matched; the whole is the first in the list.
    pub(crate) fn groups_at(
        &self,
        hay: &[u8],
        start: usize,
        groups: &mut Vec<Option<Span>>,
    ) -> Result<bool, TooHard> {
        groups.clear();
        if start > hay.len() {
            return Ok(false);
        }
        match &self.engine {
            Engine::Automaton(a) => {
                let mut slots = a.slots.borrow_mut();
                let cache = &mut a.cache.borrow_mut();
                a.regex.search_captures_with(cache, &Input::new(hay).range(start..), &mut slots);
                let Some(whole) = slots.get_match() else { return Ok(false) };
                if let Some(longest) = a.longest()
                    && longest.end(hay, whole.start()).is_some_and(|end| end > whole.end())
                {
                    let input = Input::new(hay).range(whole.start()..).anchored(Anchored::Yes);
                    longest.groups.search(&mut longest.groups_cache.borrow_mut(), &input, &mut slots);
                }
                groups.extend(slots.iter().map(|s| s.map(|s| (s.start, s.end))));
                Ok(true)
            }
            Engine::Back(regex) => {
                let found = regex.captures_from_pos(hay, start).map_err(|_| TooHard)?;
                let Some(found) = found else { return Ok(false) };
                groups.extend(found.iter().map(|g| g.map(|g| (g.start(), g.end()))));
                Ok(true)
            }
        }
    }
}

impl Automaton {
    fn longest(&self) -> Option<&Longest> {
        let (text, flags) = self.ambiguous.as_ref()?;
        self.longest.get_or_init(|| Longest::new(text, *flags)).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, Regex, Syntax};

    #[test]
    fn the_longest_of_the_leftmost() {
        for (pattern, text, want) in [
            ("a|ab|abc", "xabcd", Some((1, 4))),
            ("a?(ab)?", "ab", Some((0, 2))),
            ("(a|ab)(c|bcd)", "abcd", Some((0, 4))),
            ("(.)\\1", "abccd", Some((2, 4))),
            ("\\bé+|x", "a éé", Some((2, 6))),
            ("z", "abc", None),
        ] {
            let regex = Regex::new(pattern.as_bytes(), Syntax::Extended, Flags::default()).unwrap();
            assert_eq!(regex.find_at(text.as_bytes(), 0).unwrap(), want, "{pattern}");
            let mut groups = Vec::new();
            assert_eq!(regex.groups_at(text.as_bytes(), 0, &mut groups).unwrap(), want.is_some());
            assert_eq!(groups.first().copied().flatten(), want, "{pattern}");
        }
    }
}
