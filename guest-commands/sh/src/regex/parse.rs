//! Parses and compiles expressions. It matches nothing.

use super::{MARK, Place, Regex, Set, Step};

/// How deeply groups may nest, how often something may be repeated, and how long a compiled expression may be.
const MAX_DEPTH: u32 = 100;
const MAX_REPEAT: u32 = 32_767;
const MAX_STEPS: usize = 100_000;

/// A part of an expression.
#[derive(Debug)]
pub(super) enum Node {
    Empty,
    Step(Step),
    Group(usize, Box<Node>),
    Concat(Vec<Node>),
    Choice(Vec<Node>),
    Repeat(Box<Node>, u32, Option<u32>),
}

struct Parser {
    chars: Vec<char>,
    i: usize,
    depth: u32,
    groups: usize,
    sets: Vec<Set>,
    back: bool,
}

pub(super) fn compile(source: &str, nocase: bool) -> Option<Regex> {
    let mut p =
        Parser { chars: source.chars().collect(), i: 0, depth: 0, groups: 1, sets: Vec::new(), back: false };
    let node = p.choice()?;
    if p.i < p.chars.len() {
        return None;
    }
    let mut regex = Regex { steps: Vec::new(), sets: p.sets, groups: p.groups, back: p.back, nocase };
    regex.steps.push(Step::Save(0));
    emit(&node, &mut regex.steps)?;
    regex.steps.push(Step::Save(1));
    regex.steps.push(Step::Match);
    Some(regex)
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.i).copied()
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.i += usize::from(found);
        found
    }

    fn choice(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut choices = vec![self.concat()?];
        while self.take('|') {
            choices.push(self.concat()?);
        }
        self.depth -= 1;
        Some(if choices.len() == 1 { choices.remove(0) } else { Node::Choice(choices) })
    }

    fn concat(&mut self) -> Option<Node> {
        let mut items = Vec::new();
        while let Some(c) = self.peek() {
            // A `)` without its `(` is ordinary.
            if c == '|' || c == ')' && self.depth > 1 {
                break;
            }
            let anchor = c == '^';
            let mut item = self.atom()?;
            while let Some(c) = self.peek() {
                let (min, max) = match c {
                    '*' => (0, None),
                    '+' => (1, None),
                    '?' => (0, Some(1)),
                    '{' => (0, Some(0)),
                    _ => break,
                };
                if anchor {
                    return None;
                }
                self.i += 1;
                let (min, max) = if c == '{' { self.interval()? } else { (min, max) };
                item = Node::Repeat(Box::new(item), min, max);
            }
            items.push(item);
        }
        Some(match items.len() {
            0 => Node::Empty,
            1 => items.remove(0),
            _ => Node::Concat(items),
        })
    }

    fn number(&mut self) -> Option<u32> {
        let mut n = None;
        while let Some(d) = self.peek().and_then(|c| c.to_digit(10)) {
            n = Some((n.unwrap_or(0u32) * 10 + d).min(MAX_REPEAT + 1));
            self.i += 1;
        }
        n
    }

    /// After `{`: the numbers of an interval.
    fn interval(&mut self) -> Option<(u32, Option<u32>)> {
        let min = self.number();
        let (min, max) = if self.take(',') {
            (min.unwrap_or(0), self.number())
        } else {
            let n = min?;
            (n, Some(n))
        };
        let fits = max.is_none_or(|max| min <= max && max <= MAX_REPEAT) && min <= MAX_REPEAT;
        (self.take('}') && fits).then_some((min, max))
    }

    fn atom(&mut self) -> Option<Node> {
        let c = self.peek()?;
        self.i += 1;
        Some(match c {
            MARK => {
                let c = self.peek()?;
                self.i += 1;
                Node::Step(Step::Char(c))
            }
            '(' => {
                let number = self.groups;
                self.groups += 1;
                let inner = self.choice()?;
                if !self.take(')') {
                    return None;
                }
                Node::Group(number, Box::new(inner))
            }
            '*' | '+' | '?' | '{' => return None,
            '^' => Node::Step(Step::Assert(Place::Start)),
            '$' => Node::Step(Step::Assert(Place::End)),
            '.' => Node::Step(Step::Any),
            '[' => Node::Step(self.bracket()?),
            '\\' => {
                let c = self.peek()?;
                self.i += 1;
                match c {
                    'w' | 'W' => self.class("word", c == 'W'),
                    's' | 'S' => self.class("space", c == 'S'),
                    'b' => Node::Step(Step::Assert(Place::Boundary)),
                    'B' => Node::Step(Step::Assert(Place::Inside)),
                    '<' => Node::Step(Step::Assert(Place::WordStart)),
                    '>' => Node::Step(Step::Assert(Place::WordEnd)),
                    '`' => Node::Step(Step::Assert(Place::Start)),
                    '\'' => Node::Step(Step::Assert(Place::End)),
                    '1'..='9' => {
                        let n = c.to_digit(10)? as usize;
                        if n >= self.groups {
                            return None;
                        }
                        self.back = true;
                        Node::Step(Step::Back(n))
                    }
                    c => Node::Step(Step::Char(c)),
                }
            }
            c => Node::Step(Step::Char(c)),
        })
    }

    fn class(&mut self, name: &str, not: bool) -> Node {
        self.sets.push(Set { negate: false, ranges: Vec::new(), classes: vec![(name.to_owned(), not)] });
        Node::Step(Step::Set(self.sets.len() - 1))
    }

    /// The next character of a bracket expression: quotes mean nothing there.
    fn bracket_char(&mut self) -> Option<char> {
        while self.take(MARK) {}
        let c = self.peek()?;
        self.i += 1;
        Some(c)
    }

    /// After `[`.
    fn bracket(&mut self) -> Option<Step> {
        let mut set = Set { negate: self.take('^'), ..Set::default() };
        let mut first = true;
        loop {
            let c = self.bracket_char()?;
            if c == ']' && !first {
                break;
            }
            first = false;
            let low = match (c, self.peek()) {
                ('[', Some(kind @ (':' | '=' | '.'))) => {
                    let name = self.named(kind)?;
                    if kind == ':' {
                        if !crate::pattern::is_class(&name) {
                            return None;
                        }
                        set.classes.push((name, false));
                        continue;
                    }
                    single(&name)?
                }
                _ => c,
            };
            let mut high = low;
            let before = self.i;
            if self.bracket_char()? == '-' && self.peek().is_some_and(|c| c != ']') {
                high = self.bracket_char()?;
                if high == '['
                    && let Some(kind @ ('=' | '.')) = self.peek()
                {
                    high = single(&self.named(kind)?)?;
                }
                if high < low {
                    return None;
                }
            } else {
                self.i = before;
            }
            set.ranges.push((low, high));
        }
        self.sets.push(set);
        Some(Step::Set(self.sets.len() - 1))
    }

    /// The name in `[:name:]` and its kin, whose kind is next.
    fn named(&mut self, kind: char) -> Option<String> {
        self.i += 1;
        let mut name = String::new();
        loop {
            let c = self.bracket_char()?;
            if c == kind && self.take(']') {
                return Some(name);
            }
            name.push(c);
        }
    }
}

fn single(name: &str) -> Option<char> {
    let mut chars = name.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// Adds the steps of a part; nothing if they are too many.
pub(super) fn emit(node: &Node, out: &mut Vec<Step>) -> Option<()> {
    if out.len() > MAX_STEPS {
        return None;
    }
    match node {
        Node::Empty => {}
        Node::Step(step) => out.push(step.clone()),
        Node::Group(n, inner) => {
            out.push(Step::Save(2 * n));
            emit(inner, out)?;
            out.push(Step::Save(2 * n + 1));
        }
        Node::Concat(items) => {
            for item in items {
                emit(item, out)?;
            }
        }
        Node::Choice(items) => {
            let mut ends = Vec::new();
            for (i, item) in items.iter().enumerate() {
                if i + 1 < items.len() {
                    let split = out.len();
                    out.push(Step::Split(split + 1, 0));
                    emit(item, out)?;
                    ends.push(out.len());
                    out.push(Step::Jump(0));
                    out[split] = Step::Split(split + 1, out.len());
                } else {
                    emit(item, out)?;
                }
            }
            let end = out.len();
            for jump in ends {
                out[jump] = Step::Jump(end);
            }
        }
        Node::Repeat(inner, min, max) => {
            for _ in 0..*min {
                emit(inner, out)?;
            }
            match max {
                None => {
                    let split = out.len();
                    out.push(Step::Split(split + 1, 0));
                    emit(inner, out)?;
                    out.push(Step::Jump(split));
                    out[split] = Step::Split(split + 1, out.len());
                }
                Some(max) => {
                    let mut splits = Vec::new();
                    for _ in *min..*max {
                        splits.push(out.len());
                        out.push(Step::Split(out.len() + 1, 0));
                        emit(inner, out)?;
                    }
                    let end = out.len();
                    for split in splits {
                        out[split] = Step::Split(split + 1, end);
                    }
                }
            }
        }
    }
    (out.len() <= MAX_STEPS).then_some(())
}
