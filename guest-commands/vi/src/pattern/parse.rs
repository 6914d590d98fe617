//! The syntax of patterns: text to a tree. It knows how much is "magic", and nothing of matching.

use super::Reading;

/// How deep groups may stand in one another.
const DEEPEST: usize = 100;

/// A place that a pattern asks for, without taking a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    TextStart,
    TextEnd,
}

/// Some of all characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) ranges: Vec<(char, char)>,
    pub(super) negated: bool,
    /// The end of a line is one of them.
    pub(super) newline: bool,
}

impl Set {
    pub(super) fn has(&self, c: char, fold: bool) -> bool {
        let inside = |c: char| self.ranges.iter().any(|(a, b)| (*a..=*b).contains(&c));
        let found = inside(c) || (fold && (inside(lower(c)) || inside(upper(c))));
        found != self.negated
    }
}

/// A character as a small letter.
pub(super) fn lower(c: char) -> char {
    let mut all = c.to_lowercase();
    all.next().filter(|_| all.next().is_none()).unwrap_or(c)
}

fn upper(c: char) -> char {
    let mut all = c.to_uppercase();
    all.next().filter(|_| all.next().is_none()).unwrap_or(c)
}

/// A part of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Char(char),
    Set(Set),
    Newline,
    Spot(Spot),
    /// The start or end of what counts as the match.
    Begin,
    End,
    Back(usize),
    Group(Option<usize>, Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: usize,
        most: Option<usize>,
        greedy: bool,
    },
    Look {
        node: Box<Node>,
        behind: bool,
        negated: bool,
    },
    Atomic(Box<Node>),
}

/// A pattern as a tree.
pub(super) struct Parsed {
    pub(super) node: Node,
    pub(super) fold: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Magic {
    VeryNo,
    No,
    Yes,
    Very,
}

struct Parser<'a> {
    chars: Vec<char>,
    at: usize,
    magic: Magic,
    groups: usize,
    depth: usize,
    fold: Option<bool>,
    reading: &'a Reading,
}

/// A character of the pattern: with its special meaning or as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    /// Something special, named by its character as in `\v`; `\` forms without a very magic one, too.
    Special(char),
    Escaped(char),
    Plain(char),
}

/// Reads a pattern.
pub(super) fn parse(text: &str, reading: &Reading) -> Result<Parsed, String> {
    let mut p = Parser {
        chars: text.chars().collect(),
        at: 0,
        magic: if reading.magic { Magic::Yes } else { Magic::No },
        groups: 0,
        depth: 0,
        fold: None,
        reading,
    };
    let node = p.alternatives()?;
    if p.at < p.chars.len() {
        return Err(format!("E55: Unmatched {}", if p.magic == Magic::Very { ")" } else { "\\)" }));
    }
    let smart = reading.smart_case && has_upper(text);
    Ok(Parsed { node, fold: p.fold.unwrap_or(reading.ignore_case && !smart) })
}

/// Capitals that are not part of an escape.
fn has_upper(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            match chars.next() {
                Some('_' | '%') => {
                    chars.next();
                }
                _ => continue,
            }
        } else if c.is_uppercase() {
            return true;
        }
    }
    false
}

/// Whether a character is special without a backslash.
fn special(c: char, magic: Magic) -> bool {
    match c {
        '^' | '$' => true,
        '.' | '*' | '[' | '~' => magic >= Magic::Yes,
        '(' | ')' | '|' | '&' | '+' | '?' | '=' | '{' | '<' | '>' | '@' | '%' => magic == Magic::Very,
        _ => false,
    }
}

impl Parser<'_> {
    /// The token here and its length.
    fn token(&self) -> Option<(Token, usize)> {
        let c = *self.chars.get(self.at)?;
        if c != '\\' {
            return Some((if special(c, self.magic) { Token::Special(c) } else { Token::Plain(c) }, 1));
        }
        let Some(d) = self.chars.get(self.at + 1).copied() else { return Some((Token::Plain('\\'), 1)) };
        let token = match d {
            '.' | '*' | '[' | '~' | '(' | ')' | '|' | '&' | '+' | '?' | '=' | '{' | '<' | '>' | '@' | '%'
            | '^' | '$' => {
                if special(d, self.magic) {
                    Token::Plain(d)
                } else {
                    Token::Special(d)
                }
            }
            d => Token::Escaped(d),
        };
        Some((token, 2))
    }

    fn name(&self, c: char) -> String {
        if special(c, self.magic) { c.to_string() } else { format!("\\{c}") }
    }

    fn alternatives(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("E872: (NFA regexp) Too many '('".into());
        }
        let mut list = vec![self.together()?];
        while let Some((Token::Special('|'), n)) = self.token() {
            self.at += n;
            list.push(self.together()?);
        }
        self.depth -= 1;
        Ok(if list.len() == 1 { list.remove(0) } else { Node::Any(list) })
    }

    /// `a\&b`: both at the same place.
    fn together(&mut self) -> Result<Node, String> {
        let mut list = vec![self.row()?];
        while let Some((Token::Special('&'), n)) = self.token() {
            self.at += n;
            list.push(self.row()?);
        }
        let last = list.len() - 1;
        Ok(Node::All(
            list.into_iter()
                .enumerate()
                .map(|(i, node)| {
                    if i < last {
                        Node::Look { node: Box::new(node), behind: false, negated: false }
                    } else {
                        node
                    }
                })
                .collect(),
        ))
    }

    fn row(&mut self) -> Result<Node, String> {
        let mut list = Vec::new();
        while let Some((token, _)) = self.token() {
            if matches!(token, Token::Special('|' | '&' | ')')) {
                break;
            }
            let first = list.is_empty() || matches!(list.last(), Some(Node::Spot(Spot::LineStart)));
            if let Some(node) = self.atom(first, list.is_empty())? {
                list.push(self.multi(node)?);
            }
        }
        Ok(Node::All(list))
    }

    /// What follows an atom and says how often it comes.
    fn multi(&mut self, node: Node) -> Result<Node, String> {
        let mut node = node;
        while let Some((Token::Special(c @ ('*' | '+' | '?' | '=' | '{' | '@')), n)) = self.token() {
            self.at += n;
            let repeat =
                |node, least, most, greedy| Node::Repeat { node: Box::new(node), least, most, greedy };
            node = match c {
                '*' => repeat(node, 0, None, true),
                '+' => repeat(node, 1, None, true),
                '{' => {
                    let (least, most, greedy) = self.counts()?;
                    repeat(node, least, most, greedy)
                }
                '@' => self.look(node)?,
                _ => repeat(node, 0, Some(1), true),
            };
        }
        Ok(node)
    }

    fn number(&mut self) -> Option<usize> {
        let from = self.at;
        let mut n = 0_usize;
        while let Some(d) = self.chars.get(self.at).and_then(|c| c.to_digit(10)) {
            n = n.saturating_mul(10).saturating_add(d as usize);
            self.at += 1;
        }
        (self.at > from).then_some(n)
    }

    fn counts(&mut self) -> Result<(usize, Option<usize>, bool), String> {
        let name = format!("E554: Syntax error in {}...}}", self.name('{'));
        let greedy = self.chars.get(self.at) != Some(&'-');
        self.at += usize::from(!greedy);
        let least = self.number();
        let comma = self.chars.get(self.at) == Some(&',');
        let mut most = least;
        if comma {
            self.at += 1;
            most = self.number();
        }
        if self.chars.get(self.at) == Some(&'\\') {
            self.at += 1;
        }
        if self.chars.get(self.at) != Some(&'}') {
            return Err(name);
        }
        self.at += 1;
        let least = least.unwrap_or(0);
        Ok(match most {
            Some(most) if most < least => (most, Some(least), greedy),
            most => (least, most, greedy),
        })
    }

    fn look(&mut self, node: Node) -> Result<Node, String> {
        // A limit of how far to look back changes only the time that it takes.
        self.number();
        let rest = &self.chars[self.at.min(self.chars.len())..];
        let (behind, negated, used) = match rest {
            ['>', ..] => {
                self.at += 1;
                return Ok(Node::Atomic(Box::new(node)));
            }
            ['=', ..] => (false, false, 1),
            ['!', ..] => (false, true, 1),
            ['<', '=', ..] => (true, false, 2),
            ['<', '!', ..] => (true, true, 2),
            _ => return Err(format!("E59: Invalid character after {}", self.name('@'))),
        };
        self.at += used;
        Ok(Node::Look { node: Box::new(node), behind, negated })
    }

    /// One atom; none for what only changes the reading.
    fn atom(&mut self, first: bool, very_first: bool) -> Result<Option<Node>, String> {
        let Some((token, n)) = self.token() else { return Ok(None) };
        let escaped = n == 2;
        self.at += n;
        Ok(Some(match token {
            Token::Plain(c) => Node::Char(c),
            Token::Special(c) => match c {
                '^' if escaped || very_first || self.magic == Magic::Very => Node::Spot(Spot::LineStart),
                '$' if escaped || self.magic == Magic::Very || self.at_end() => Node::Spot(Spot::LineEnd),
                '.' => Node::Set(Set { ranges: Vec::new(), negated: true, newline: false }),
                '~' => Node::All(self.reading.last_substitute.chars().map(Node::Char).collect()),
                '[' => match self.bracket(false) {
                    Some(set) => Node::Set(set),
                    None => Node::Char('['),
                },
                '(' => {
                    self.groups += 1;
                    // Groups beyond the ninth have no number.
                    let number = (self.groups < 10).then_some(self.groups);
                    self.group(number, "(")?
                }
                '<' => Node::Spot(Spot::WordStart),
                '>' => Node::Spot(Spot::WordEnd),
                '%' => return self.percent().map(Some),
                '*' if first => Node::Char('*'),
                '{' | '+' | '?' | '=' | '@' if first => {
                    return Err(format!("E64: {} follows nothing", self.name(c)));
                }
                c => Node::Char(c),
            },
            Token::Escaped(c) => match c {
                'v' | 'm' | 'M' | 'V' => {
                    self.magic = match c {
                        'v' => Magic::Very,
                        'm' => Magic::Yes,
                        'M' => Magic::No,
                        _ => Magic::VeryNo,
                    };
                    return Ok(None);
                }
                'c' | 'C' => {
                    self.fold = Some(c == 'c');
                    return Ok(None);
                }
                // The choice of an engine; there is one.
                'Z' => return Ok(None),
                'n' => Node::Newline,
                'z' => {
                    let node = match self.chars.get(self.at) {
                        Some('s') => Node::Begin,
                        Some('e') => Node::End,
                        _ => return Err("E68: Invalid character after \\z".into()),
                    };
                    self.at += 1;
                    node
                }
                '_' => {
                    let next = self.chars.get(self.at).copied().unwrap_or(' ');
                    self.at += 1;
                    match next {
                        '^' => Node::Spot(Spot::LineStart),
                        '$' => Node::Spot(Spot::LineEnd),
                        '.' => Node::Set(Set { ranges: Vec::new(), negated: true, newline: true }),
                        '[' => match self.bracket(true) {
                            Some(set) => Node::Set(set),
                            None => Node::Char('['),
                        },
                        c => match class(c) {
                            Some(set) => Node::Set(Set { newline: true, ..set }),
                            None => return Err("E63: Invalid use of \\_".into()),
                        },
                    }
                }
                '1'..='9' => {
                    let number = c as usize - '0' as usize;
                    if number > self.groups {
                        return Err("E65: Illegal back reference".into());
                    }
                    Node::Back(number)
                }
                c => match (class(c), control(c)) {
                    (Some(set), _) => Node::Set(set),
                    (None, Some(c)) => Node::Char(c),
                    _ => Node::Char(c),
                },
            },
        }))
    }

    /// Whether `$` here is at the end of a branch.
    fn at_end(&self) -> bool {
        match self.token() {
            None | Some((Token::Special('|' | '&' | ')'), _)) | Some((Token::Escaped('n'), _)) => true,
            Some((Token::Escaped('c' | 'C' | 'v' | 'm' | 'M' | 'V'), 2)) => self.at + 2 >= self.chars.len(),
            Some((Token::Escaped('z'), _)) => true,
            _ => false,
        }
    }

    fn group(&mut self, number: Option<usize>, open: &str) -> Result<Node, String> {
        let name = if self.magic == Magic::Very { open.to_owned() } else { format!("\\{open}") };
        let node = self.alternatives()?;
        match self.token() {
            Some((Token::Special(')'), n)) => self.at += n,
            _ => {
                return Err(format!(
                    "{} {name}",
                    if number.is_some() { "E54: Unmatched" } else { "E53: Unmatched" }
                ));
            }
        }
        Ok(Node::Group(number, Box::new(node)))
    }

    fn percent(&mut self) -> Result<Node, String> {
        let c = self.chars.get(self.at).copied();
        self.at += 1;
        let name = self.name('%');
        match c {
            Some('^') => Ok(Node::Spot(Spot::TextStart)),
            Some('$') => Ok(Node::Spot(Spot::TextEnd)),
            Some('(') => self.group(None, "%("),
            Some('[') => {
                let mut list = Vec::new();
                loop {
                    match self.chars.get(self.at) {
                        None => return Err(format!("E69: Missing ] after {name}[")),
                        Some(']') => break,
                        Some(_) => list.extend(self.atom(false, false)?),
                    }
                }
                self.at += 1;
                // The longest beginning of the list that is there.
                let mut node: Option<Node> = None;
                if list.len() > DEEPEST {
                    return Err(format!("E69: Missing ] after {name}["));
                }
                for part in list.into_iter().rev() {
                    let mut all = vec![part];
                    all.extend(node);
                    node = Some(Node::Repeat {
                        node: Box::new(Node::All(all)),
                        least: 0,
                        most: Some(1),
                        greedy: true,
                    });
                }
                node.ok_or_else(|| format!("E70: Empty {name}[]"))
            }
            Some(k @ ('d' | 'x' | 'u' | 'U' | 'o')) => {
                let (radix, most) = match k {
                    'd' => (10, 10),
                    'x' => (16, 2),
                    'u' => (16, 4),
                    'U' => (16, 8),
                    _ => (8, 4),
                };
                let mut n = 0_u32;
                let mut digits = 0;
                while digits < most
                    && let Some(d) = self.chars.get(self.at).and_then(|c| c.to_digit(radix))
                {
                    n = n.saturating_mul(radix).saturating_add(d);
                    self.at += 1;
                    digits += 1;
                }
                let c = char::from_u32(n).filter(|_| digits > 0);
                c.map(Node::Char).ok_or_else(|| format!("E678: Invalid character after {name}[dxouU]"))
            }
            _ => Err(format!("E71: Invalid character after {name}")),
        }
    }

    /// `[...]` behind its bracket; none if it has no end.
    fn bracket(&mut self, newline: bool) -> Option<Set> {
        let mut at = self.at;
        let get = |at: usize| self.chars.get(at).copied();
        let mut set = Set { ranges: Vec::new(), negated: false, newline };
        if get(at) == Some('^') {
            set.negated = true;
            at += 1;
        }
        let start = at;
        loop {
            let c = get(at)?;
            if c == ']' && at > start {
                break;
            }
            if c == '['
                && get(at + 1) == Some(':')
                && let Some((ranges, used)) = named(&self.chars[at..])
            {
                set.ranges.extend(ranges);
                at += used;
                continue;
            }
            let (from, used) = self.item(at)?;
            at += used;
            let Some(from) = from else {
                set.newline = true;
                continue;
            };
            if get(at) == Some('-')
                && get(at + 1).is_some_and(|c| c != ']')
                && let Some((Some(to), used)) = self.item(at + 1)
            {
                at += 1 + used;
                set.ranges.push((from, to));
            } else {
                set.ranges.push((from, from));
            }
        }
        self.at = at + 1;
        Some(set)
    }

    /// A character inside of brackets and how long it is written; no character is the end of a line.
    fn item(&self, at: usize) -> Option<(Option<char>, usize)> {
        let c = *self.chars.get(at)?;
        if c != '\\' {
            return Some((Some(c), 1));
        }
        Some(match self.chars.get(at + 1) {
            Some('n') => (None, 2),
            Some(d @ ('e' | 't' | 'r' | 'b')) => (control(*d), 2),
            Some(d @ (']' | '^' | '-' | '\\')) => (Some(*d), 2),
            _ => (Some('\\'), 1),
        })
    }
}

fn control(c: char) -> Option<char> {
    Some(match c {
        'e' => '\x1b',
        't' => '\t',
        'r' => '\r',
        'b' => '\x08',
        _ => return None,
    })
}

/// The classes `\s`, `\d` and so on.
fn class(c: char) -> Option<Set> {
    let ranges: &[(char, char)] = match c.to_ascii_lowercase() {
        's' => &[(' ', ' '), ('\t', '\t')],
        'd' => &[('0', '9')],
        'x' => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        'o' => &[('0', '7')],
        'w' => &[('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')],
        'h' => &[('A', 'Z'), ('a', 'z'), ('_', '_')],
        'a' => &[('A', 'Z'), ('a', 'z')],
        'l' => &[('a', 'z')],
        'u' => &[('A', 'Z')],
        'i' | 'k' => {
            &[('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_'), ('\u{c0}', '\u{24f}'), ('\u{370}', '\u{1fff}')]
        }
        'f' => {
            &[('0', '9'), ('A', 'Z'), ('a', 'z'), ('#', '%'), ('+', '/'), ('_', '_'), ('=', '='), ('~', '~')]
        }
        'p' => &[(' ', '~'), ('\u{a0}', '\u{10ffff}')],
        _ => return None,
    };
    let big = c.is_ascii_uppercase();
    // In capitals these leave out digits; the others are the contrary.
    if big && matches!(c, 'I' | 'K' | 'F' | 'P') {
        let ranges = ranges.iter().copied().filter(|r| *r != ('0', '9')).collect();
        return Some(Set { ranges, negated: false, newline: false });
    }
    Some(Set { ranges: ranges.to_vec(), negated: big, newline: false })
}

/// `[:name:]` and how long it is.
fn named(rest: &[char]) -> Option<(Vec<(char, char)>, usize)> {
    let end = rest.iter().skip(2).take(12).position(|c| *c == ':')? + 2;
    if rest.get(end + 1) != Some(&']') {
        return None;
    }
    let name: String = rest[2..end].iter().collect();
    let ranges: &[(char, char)] = match name.as_str() {
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "digit" => &[('0', '9')],
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "lower" => &[('a', 'z')],
        "upper" => &[('A', 'Z')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[(' ', ' '), ('\t', '\r')],
        "blank" => &[(' ', ' '), ('\t', '\t')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "print" => &[(' ', '~'), ('\u{a0}', '\u{10ffff}')],
        "graph" => &[('!', '~')],
        "return" => &[('\r', '\r')],
        "tab" => &[('\t', '\t')],
        "escape" => &[('\x1b', '\x1b')],
        "backspace" => &[('\x08', '\x08')],
        _ => return None,
    };
    Some((ranges.to_vec(), end + 2))
}
