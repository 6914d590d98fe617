//! Patterns over resources: `?` is one character but `/`, `*` any run without `/`, `**` any run. There is no escape: a `*` in
//! the name of a file is matched by `?`. A character is one of UTF-8, or a byte that belongs to none.

use std::ops::Range;

use memchr::{memchr, memmem};

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    text: Box<str>,
    /// Literal bytes before the first wildcard; all of them if there is none.
    head: usize,
    /// Where the literal bytes after the last wildcard begin.
    tail: usize,
    /// The longest run of literal bytes between wildcards.
    core: Range<usize>,
}

/// Steps of the quick matcher per byte of text; beyond them the one that looks at every state once takes over, so that no
/// text takes long.
const STEPS: usize = 16;

impl Glob {
    pub(crate) fn new(text: &str) -> Self {
        let is_wild = |b: &u8| matches!(b, b'*' | b'?');
        let head = text.bytes().position(|b| is_wild(&b)).unwrap_or(text.len());
        let tail = text.bytes().rposition(|b| is_wild(&b)).map_or(text.len(), |last| last + 1);
        let mut core = 0..0;
        let mut begin = head;
        for (at, byte) in text.bytes().enumerate().take(tail).skip(head) {
            if is_wild(&byte) {
                begin = at + 1;
            } else if at + 1 - begin > core.len() {
                core = begin..at + 1;
            }
        }
        Glob { text: text.into(), head, tail, core }
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it has no wildcard.
    pub(crate) fn is_literal(&self) -> bool {
        self.head == self.text.len()
    }

    /// What every text begins with that it matches.
    pub(crate) fn head(&self) -> &[u8] {
        &self.text.as_bytes()[..self.head]
    }

    /// What every text ends with that it matches; of a literal nothing is told.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.text.as_bytes()[self.tail..]
    }

    fn core(&self) -> &[u8] {
        &self.text.as_bytes()[self.core.clone()]
    }

    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let pattern = self.text.as_bytes();
        if self.is_literal() {
            return text == pattern;
        }
        let (head, tail) = (&pattern[..self.head], &pattern[self.tail..]);
        if text.len() < head.len() + tail.len() || !text.starts_with(head) || !text.ends_with(tail) {
            return false;
        }
        // Both cuts lie between characters: a literal begins with one.
        let middle = &text[head.len()..text.len() - tail.len()];
        if !self.core.is_empty() && memmem::find(middle, self.core()).is_none() {
            return false;
        }
        match &pattern[self.head..self.tail] {
            b"**" => true,
            b"*" => memchr(b'/', middle).is_none(),
            wild => {
                quick(wild, middle).unwrap_or_else(|| slow(&tokens(&self.text[self.head..self.tail]), middle))
            }
        }
    }

    /// What of this pattern is left after a text that ends between characters: equal remainders match equal rests.
    pub(crate) fn after(&self, text: &[u8]) -> Remainder {
        let head = self.head();
        let shorter = head.len().min(text.len());
        if head[..shorter] != text[..shorter] {
            return Remainder { states: Vec::new(), all: false };
        }
        let tokens = tokens(&self.text);
        let states = advance(&tokens, text);
        let all = states.iter().any(|&at| at + 1 == tokens.len() && tokens[at] == Token::Deep);
        Remainder { states, all }
    }

    /// Whether it surely matches all that `other` matches. Where this is not seen, `false`.
    pub(crate) fn covers(&self, other: &Glob) -> bool {
        if !other.text.as_bytes().starts_with(self.head()) || (self.is_literal() && self.text != other.text) {
            return false;
        }
        if other.is_literal() {
            return self.matches(other.text.as_bytes());
        }
        // Whatever it demands, the other one has to write down.
        if !other.tail().ends_with(self.tail()) || memmem::find(other.text.as_bytes(), self.core()).is_none()
        {
            return false;
        }
        let tokens = tokens(&self.text);
        let mut states = closed(&tokens, vec![0]);
        for symbol in self::tokens(&other.text) {
            states = step(&tokens, &states, |token| token.takes(symbol));
            if states.is_empty() {
                return false;
            }
        }
        states.contains(&tokens.len())
    }
}

/// See [`Glob::after`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remainder {
    states: Vec<usize>,
    /// It matches whatever follows.
    pub(crate) all: bool,
}

impl Remainder {
    /// Nothing that follows is matched.
    pub(crate) fn is_nothing(&self) -> bool {
        self.states.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    /// A byte that is no character; only in texts.
    Byte,
    /// `?`
    Any,
    /// `*`
    Star,
    /// `**`
    Deep,
}

impl Token {
    /// Whether whatever `symbol` stands for is taken by this one.
    fn takes(self, symbol: Token) -> bool {
        match (self, symbol) {
            (Token::Deep, _) | (Token::Star, Token::Star) => true,
            (_, Token::Star | Token::Deep) => false,
            (Token::Any | Token::Star, symbol) => symbol != Token::Char('/'),
            (own, symbol) => own == symbol && own != Token::Byte,
        }
    }

    fn repeats(self) -> bool {
        matches!(self, Token::Star | Token::Deep)
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(pattern.len());
    for c in pattern.chars() {
        match (c, tokens.last()) {
            ('*', Some(Token::Star)) => {
                tokens.pop();
                tokens.push(Token::Deep);
            }
            // Three stars and more are two.
            ('*', Some(Token::Deep)) => {}
            ('*', _) => tokens.push(Token::Star),
            ('?', _) => tokens.push(Token::Any),
            (c, _) => tokens.push(Token::Char(c)),
        }
    }
    tokens
}

/// With the places reached by taking nothing.
fn closed(tokens: &[Token], states: Vec<usize>) -> Vec<usize> {
    let mut all = Vec::with_capacity(states.len() + 1);
    for mut at in states {
        loop {
            if all.last().is_none_or(|last| *last < at) {
                all.push(at);
            }
            if !tokens.get(at).is_some_and(|token| token.repeats()) {
                break;
            }
            at += 1;
        }
    }
    all
}

/// `states` is ascending, and so is what comes out.
fn step(tokens: &[Token], states: &[usize], takes: impl Fn(Token) -> bool) -> Vec<usize> {
    let mut next = Vec::with_capacity(states.len() + 1);
    for &at in states {
        let Some(token) = tokens.get(at).filter(|token| takes(**token)) else { continue };
        let to = if token.repeats() { at } else { at + 1 };
        if next.last().is_none_or(|last| *last < to) {
            next.push(to);
        }
    }
    closed(tokens, next)
}

fn advance(tokens: &[Token], text: &[u8]) -> Vec<usize> {
    let mut states = closed(tokens, vec![0]);
    let mut at = 0;
    while at < text.len() && !states.is_empty() {
        let len = character(text, at);
        let symbol = std::str::from_utf8(&text[at..at + len]).ok().and_then(|s| s.chars().next());
        let symbol = symbol.map_or(Token::Byte, Token::Char);
        states = step(tokens, &states, |token| token.takes(symbol));
        at += len;
    }
    states
}

fn slow(tokens: &[Token], text: &[u8]) -> bool {
    advance(tokens, text).contains(&tokens.len())
}

/// Bytes of the character at `at`.
fn character(text: &[u8], at: usize) -> usize {
    let len = match text[at] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return 1,
    };
    let valid = text.get(at..at + len).is_some_and(|bytes| std::str::from_utf8(bytes).is_ok());
    if valid { len } else { 1 }
}

/// Goes back only to the last `*` and the last `**`: an earlier one could only take more of what they can take as well.
/// `None` when that takes too long.
fn quick(pattern: &[u8], text: &[u8]) -> Option<bool> {
    let (mut p, mut t) = (0, 0);
    // After the wildcard in the pattern, and what of the text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    let mut deep: Option<(usize, usize)> = None;
    let mut steps = STEPS * (text.len() + STEPS);
    loop {
        steps = steps.checked_sub(1)?;
        match pattern.get(p) {
            Some(b'*') => {
                let stars = pattern[p..].iter().take_while(|b| **b == b'*').count();
                p += stars;
                if stars == 1 {
                    star = Some((p, t));
                } else {
                    (star, deep) = (None, Some((p, t)));
                }
                continue;
            }
            Some(b'?') if t < text.len() && text[t] != b'/' => {
                (p, t) = (p + 1, t + character(text, t));
                continue;
            }
            Some(byte) if *byte != b'?' && text.get(t) == Some(byte) => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            None if t == text.len() => return Some(true),
            _ => {}
        }
        if let Some((after, taken)) = star
            && taken < text.len()
            && text[taken] != b'/'
        {
            let taken = taken + character(text, taken);
            (star, p, t) = (Some((after, taken)), after, taken);
        } else if let Some((after, taken)) = deep
            && taken < text.len()
        {
            let taken = taken + character(text, taken);
            (star, deep, p, t) = (None, Some((after, taken)), after, taken);
        } else {
            return Some(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_rules_of_the_contract() {
        for (pattern, yes, no) in [
            ("/a", &["/a"][..], &["/a/", "/", "/ab", ""][..]),
            ("/a/*", &["/a/", "/a/b", "/a/.b"], &["/a", "/a/b/c"]),
            ("/a/**", &["/a/", "/a/b", "/a/b/c"], &["/a", "/ab"]),
            ("/**/b", &["/a/b", "/a/c/b", "//b"], &["/b", "/a/b/c"]),
            ("/**b", &["/b", "/ab", "/a/b"], &["/a"]),
            ("/?", &["/a", "/é", "/漢", "/*", "/?"], &["/", "//", "/ab"]),
            ("/*?", &["/a", "/ab", "/漢"], &["/", "/a/b"]),
            ("/*??", &["/ab", "/漢字"], &["/a", "/漢"]),
            ("/*.rs", &["/.rs", "/a.rs", "/a.rs.rs"], &["/a.rsx", "/a/b.rs"]),
            ("/**/*.rs", &["/a/b.rs", "/a/b/c.rs"], &["/b.rs", "/a/b"]),
            ("/*/x/*", &["/a/x/b"], &["/a/y/x/b", "/a/x/b/c"]),
            ("/a***b", &["/ab", "/a/b"], &["/a"]),
            ("**", &["", "/", "/a/b"], &[]),
            ("*", &["", "a"], &["/"]),
            ("AWS_*", &["AWS_", "AWS_KEY"], &["AW"]),
            ("tcp://*:443", &["tcp://a.b:443"], &["tcp://a:80", "tcp://a/b:443"]),
            ("/[a]{b}\\", &["/[a]{b}\\"], &["/a"]),
        ] {
            let glob = Glob::new(pattern);
            for text in yes {
                assert!(glob.matches(text.as_bytes()), "{pattern} {text}");
            }
            for text in no {
                assert!(!glob.matches(text.as_bytes()), "{pattern} {text}");
            }
        }
        assert!(Glob::new("/?").matches(b"/\xff"));
        assert!(!Glob::new("/?").matches(b"/\xff\xff"));
        assert!(Glob::new("/é").matches("/é".as_bytes()));
    }

    #[test]
    fn a_hostile_text_takes_no_longer_than_it_must() {
        let pattern = format!("/{}b", "**a*".repeat(20));
        let text = format!("/{}", "a".repeat(4000));
        assert!(!Glob::new(&pattern).matches(text.as_bytes()));
        assert!(Glob::new(&pattern).matches(format!("{text}b").as_bytes()));
    }

    #[test]
    fn covering() {
        for (wide, narrow) in [
            ("/a/**", "/a/*"),
            ("/a/**", "/a/b"),
            ("/a/**", "/a/**/b"),
            ("/a/*", "/a/?b*"),
            ("/**", "/"),
            ("**", "*"),
            ("/a?", "/ab"),
            ("/a", "/a"),
            ("/*/b", "/a*/b"),
        ] {
            assert!(Glob::new(wide).covers(&Glob::new(narrow)), "{wide} {narrow}");
            if wide != narrow {
                assert!(!Glob::new(narrow).covers(&Glob::new(wide)), "{narrow} {wide}");
            }
        }
        assert!(!Glob::new("/a/*").covers(&Glob::new("/a/**")));
        assert!(!Glob::new("/a/?").covers(&Glob::new("/a/*")));
        assert!(!Glob::new("/a/**").covers(&Glob::new("/a")));
    }

    /// The rules, word for word.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', '*', rest @ ..] => (0..=text.len()).any(|n| naive(rest, &text[n..])),
            ['*', rest @ ..] => {
                (0..=text.len()).take_while(|n| !text[..*n].contains(&'/')).any(|n| naive(rest, &text[n..]))
            }
            ['?', rest @ ..] => text.first().is_some_and(|c| *c != '/') && naive(rest, &text[1..]),
            [c, rest @ ..] => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    fn pattern() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof!["[ab/é]", Just("?".into()), Just("*".into()), Just("**".into())],
            0..8,
        )
        .prop_map(|parts| parts.concat().replace("***", "**").replace("***", "**"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn it_is_the_naive_one(pattern in pattern(), text in "[ab/é]{0,8}") {
            let (chars, of_text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
            let expected = naive(&chars, &of_text);
            prop_assert_eq!(Glob::new(&pattern).matches(text.as_bytes()), expected);
            prop_assert_eq!(slow(&tokens(&pattern), text.as_bytes()), expected);
        }

        #[test]
        fn what_covers_matches_all(wide in pattern(), narrow in pattern(), text in "[ab/é]{0,8}") {
            let (wide, narrow) = (Glob::new(&wide), Glob::new(&narrow));
            if wide.covers(&narrow) && narrow.matches(text.as_bytes()) {
                prop_assert!(wide.matches(text.as_bytes()));
            }
        }

        #[test]
        fn equal_remainders_match_equal_rests(pattern in pattern(), one in "[ab/é]{0,4}", two in "[ab/é]{0,4}", rest in "[ab/é]{0,4}") {
            let glob = Glob::new(&pattern);
            let (first, second) = (glob.after(one.as_bytes()), glob.after(two.as_bytes()));
            let matches = |begin: &str| glob.matches(format!("{begin}{rest}").as_bytes());
            if first == second {
                prop_assert_eq!(matches(&one), matches(&two));
            }
            if first.all {
                prop_assert!(matches(&one));
            }
            if first.is_nothing() {
                prop_assert!(!matches(&one));
            }
        }
    }
}
