//! Extended regular expressions as POSIX and glibc have them: the leftmost match, and of those the longest. It knows nothing of
//! the shell's quoting but the mark that stands before a quoted character.

mod parse;
mod run;
mod shell;

/// Stands before a quoted character, which then matches itself.
pub(crate) const MARK: char = '\u{10ff00}';

/// A step of a compiled expression.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Char(char),
    Any,
    Set(usize),
    /// Go on at both; the first is preferred.
    Split(usize, usize),
    Jump(usize),
    Save(usize),
    Assert(Place),
    /// What the group matched before.
    Back(usize),
    Match,
}

/// Where an anchor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    End,
    Boundary,
    Inside,
    WordStart,
    WordEnd,
}

/// A bracket expression.
#[derive(Debug, Clone, Default)]
struct Set {
    negate: bool,
    ranges: Vec<(char, char)>,
    /// Names of classes; true if what is not in the class matches.
    classes: Vec<(String, bool)>,
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Regex {
    steps: Vec<Step>,
    sets: Vec<Set>,
    groups: usize,
    back: bool,
    nocase: bool,
}

impl Regex {
    /// Compiles an expression; `None` if it is wrong.
    pub(crate) fn new(source: &str, nocase: bool) -> Option<Self> {
        parse::compile(source, nocase)
    }

    /// Compiles a shell pattern; `None` if it cannot be written as an expression.
    pub(crate) fn of_pattern(pattern: &str, how: crate::pattern::Rules, backwards: bool) -> Option<Self> {
        shell::compile(pattern, how, backwards)
    }

    /// Where the first match from `from` on starts and ends, the longest at its start.
    pub(crate) fn find(&self, text: &[char], from: usize) -> Option<(usize, usize)> {
        run::span(self, text, from)
    }

    /// The length of the longest or shortest match at the start of the text.
    pub(crate) fn prefix(&self, text: impl Iterator<Item = char>, longest: bool) -> Option<usize> {
        run::prefix(self, text, longest)
    }

    /// The text of the match and of its groups; `None` if there is no match.
    pub(crate) fn captures(&self, text: &str) -> Option<Vec<Option<String>>> {
        let chars: Vec<char> = text.chars().collect();
        let slots = run::find(self, &chars)?;
        Some(
            slots
                .chunks(2)
                .map(|pair| match pair {
                    [Some(from), Some(to)] if from <= to => Some(chars[*from..*to].iter().collect()),
                    _ => None,
                })
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Regex;

    fn check(source: &str, text: &str, expected: &str) {
        let found = Regex::new(source, false).map(|r| {
            r.captures(text).map_or("no".to_owned(), |groups| {
                groups.into_iter().map(|g| g.unwrap_or_else(|| "-".into())).collect::<Vec<_>>().join(",")
            })
        });
        assert_eq!(found.as_deref().unwrap_or("wrong"), expected, "{source} {text}");
    }

    #[test]
    fn matches() {
        check("a|ab", "xab", "ab");
        check("(a|ab)(c|bcd)(d*)", "abcd", "abcd,a,bcd,");
        check("((a)|(b))*", "aba", "aba,a,a,b");
        check("(a)\\1", "xaa", "aa,a");
        check("(a{1,2})*b", "aaab", "aaab,a");
        check("[]a]+", "]a]", "]a]");
        check("[^[:alpha:]]", "ab1", "1");
        check("\\bworld", "hello world", "world");
        check("(x)|(y)", "y", "y,-,y");
        check("()", "abc", ",");
        check("x*", "", "");
        check("(a*)*", "aa", "aa,aa");
    }

    #[test]
    fn wrong_ones() {
        for source in ["(", "x{2", "*x", "^*a", "[a", "[b-a]", "[[:foo:]]", "a{70000}", "a\\", "(*a)", "a|*b"]
        {
            check(source, "x", "wrong");
        }
    }

    #[test]
    fn hard_ones_end() {
        let text = "a".repeat(3000);
        check("(a*)*(a*)*(a*)*b", &text, "no");
        check("^(a|a)*c|(a?){50}d", &text, "no");
        let deep = "(".repeat(5000);
        check(&deep, "x", "wrong");
        check("((a{200}){200}){200}", "x", "wrong");
        check("(a*)*\\1(a*)*\\1(a*)*\\2b", &text, "no");
    }
}
