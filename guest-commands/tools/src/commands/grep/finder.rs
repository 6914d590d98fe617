//! What finds the lines: ripgrep's matcher where patterns need no going back, else `regex`. Where in a line the matches lie
//! POSIX wants to be longer than ripgrep tells, so that is `regex`'s business always.

use crate::regex::{Flags, Regex, TooHard, Translated};
use grep_matcher::{ByteSet, LineMatchKind, LineTerminator, Match, Matcher, NoCaptures};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};

/// What is found and how.
pub(crate) struct Finder {
    fast: Option<RegexMatcher>,
    exact: Vec<Regex>,
}

/// How the patterns are to match.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) fold: bool,
    pub(crate) word: bool,
    pub(crate) line: bool,
    /// What ends lines.
    pub(crate) end: u8,
    /// Places of matches will be asked for.
    pub(crate) places: bool,
}

impl Finder {
    /// Compiles the patterns, or says what is wrong with them.
    pub(crate) fn new(patterns: &[Translated], manner: Manner) -> Result<Finder, String> {
        // Between NUL bytes a newline ends nothing, which ripgrep's matcher cannot be told.
        let fancy = patterns.iter().any(|p| p.fancy);
        let slow = fancy || manner.end == 0;
        let flags = Flags { fold: manner.fold, lines: false, newlines: manner.end == 0 };
        let whole = |text: &str| match manner {
            Manner { line: true, .. } => format!("^(?:{text})$"),
            Manner { word: true, .. } if fancy => format!("(?<!\\w)(?:{text})(?!\\w)"),
            Manner { word: true, .. } => format!("\\b{{start-half}}(?:{text})\\b{{end-half}}"),
            _ => text.to_owned(),
        };
        if slow {
            let compile = |p: &Translated| {
                Regex::compile(
                    &Translated {
                        text: whole(&p.text),
                        fancy,
                        ambiguous: p.ambiguous,
                        ..Translated::default()
                    },
                    flags,
                )
            };
            let exact = patterns.iter().map(compile).collect::<Result<_, _>>()?;
            return Ok(Finder { fast: None, exact });
        }
        let mut builder = RegexMatcherBuilder::new();
        builder
            .case_insensitive(manner.fold)
            .word(manner.word && !manner.line)
            .whole_line(manner.line)
            .multi_line(true)
            .octal(false)
            .line_terminator(Some(manner.end));
        let texts: Vec<&str> = patterns.iter().map(|p| p.text.as_str()).collect();
        let fast = builder.build_many(&texts).map_err(|error| {
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })?;
        let mut exact = Vec::new();
        if manner.places {
            let ambiguous = patterns.len() > 1 || patterns.iter().any(|p| p.ambiguous);
            let text = texts.iter().map(|text| whole(text)).collect::<Vec<_>>().join("|");
            exact.push(Regex::compile(&Translated { text, ambiguous, ..Translated::default() }, flags)?);
        }
        Ok(Finder { fast: Some(fast), exact })
    }

    /// The leftmost and longest match in a line that begins at `at` or later.
    pub(crate) fn place(&self, line: &[u8], at: usize) -> Result<Option<(usize, usize)>, TooHard> {
        let mut best: Option<(usize, usize)> = None;
        for regex in &self.exact {
            let Some((start, end)) = regex.find_at(line, at)? else { continue };
            if best.is_none_or(|(s, e)| start < s || (start == s && end > e)) {
                best = Some((start, end));
            }
        }
        Ok(best)
    }
}

/// What a search that takes too many steps is called.
const TOO_HARD: &str = "exceeded PCRE's backtracking limit";

impl Matcher for Finder {
    type Captures = NoCaptures;
    type Error = String;

    fn find_at(&self, hay: &[u8], at: usize) -> Result<Option<Match>, String> {
        match &self.fast {
            Some(fast) => fast.find_at(hay, at).map_err(|error| error.to_string()),
            None => {
                let found = self.place(hay, at).map_err(|_| TOO_HARD.to_owned())?;
                Ok(found.map(|(start, end)| Match::new(start, end)))
            }
        }
    }

    fn new_captures(&self) -> Result<NoCaptures, String> {
        Ok(NoCaptures::new())
    }

    fn shortest_match_at(&self, hay: &[u8], at: usize) -> Result<Option<usize>, String> {
        match &self.fast {
            Some(fast) => fast.shortest_match_at(hay, at).map_err(|error| error.to_string()),
            None => Ok(self.find_at(hay, at)?.map(|m| m.end())),
        }
    }

    fn non_matching_bytes(&self) -> Option<&ByteSet> {
        self.fast.as_ref()?.non_matching_bytes()
    }

    fn line_terminator(&self) -> Option<LineTerminator> {
        self.fast.as_ref()?.line_terminator()
    }

    fn find_candidate_line(&self, hay: &[u8]) -> Result<Option<LineMatchKind>, String> {
        match &self.fast {
            Some(fast) => fast.find_candidate_line(hay).map_err(|error| error.to_string()),
            None => Ok(self.shortest_match_at(hay, 0)?.map(LineMatchKind::Confirmed)),
        }
    }
}
