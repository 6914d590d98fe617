//! Shell patterns as expressions, so that a long text takes no longer than it is. `!( )` is not among them: what it matches
//! cannot be written so.

use super::parse::{Node, emit};
use super::{Regex, Set, Step};
use crate::pattern::Rules;

/// How deeply groups nest.
const MAX_DEPTH: u32 = 60;

struct Parser<'a> {
    chars: &'a [char],
    i: usize,
    depth: u32,
    groups: bool,
    sets: Vec<Set>,
}

/// The expression that matches what a pattern does, from its end if `backwards`; `None` if there is none.
pub(super) fn compile(pattern: &str, how: Rules, backwards: bool) -> Option<Regex> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut p = Parser { chars: &chars, i: 0, depth: 0, groups: how.groups, sets: Vec::new() };
    let mut node = p.concat()?;
    if backwards {
        node = reverse(node);
    }
    let mut steps = vec![Step::Save(0)];
    emit(&node, &mut steps)?;
    steps.push(Step::Save(1));
    steps.push(Step::Match);
    Some(Regex { steps, sets: p.sets, groups: 1, back: false, nocase: how.nocase })
}

fn reverse(node: Node) -> Node {
    match node {
        Node::Concat(items) => Node::Concat(items.into_iter().rev().map(reverse).collect()),
        Node::Choice(items) => Node::Choice(items.into_iter().map(reverse).collect()),
        Node::Repeat(inner, min, max) => Node::Repeat(Box::new(reverse(*inner)), min, max),
        other => other,
    }
}

impl Parser<'_> {
    fn at(&self, i: usize) -> Option<char> {
        self.chars.get(i).copied()
    }

    fn concat(&mut self) -> Option<Node> {
        let mut items = Vec::new();
        while let Some(c) = self.at(self.i) {
            if self.depth > 0 && matches!(c, '|' | ')') {
                break;
            }
            if self.groups
                && self.at(self.i + 1) == Some('(')
                && "@?*+!".contains(c)
                && self.closes(self.i + 1)
            {
                items.push(self.group(c)?);
                continue;
            }
            self.i += 1;
            items.push(match c {
                '*' => Node::Repeat(Box::new(Node::Step(Step::Any)), 0, None),
                '?' => Node::Step(Step::Any),
                '[' => match self.bracket() {
                    Some(set) => {
                        self.sets.push(set);
                        Node::Step(Step::Set(self.sets.len() - 1))
                    }
                    None => Node::Step(Step::Char('[')),
                },
                '\\' => match self.at(self.i) {
                    Some(c) => {
                        self.i += 1;
                        Node::Step(Step::Char(c))
                    }
                    None => Node::Step(Step::Char('\\')),
                },
                c => Node::Step(Step::Char(c)),
            });
        }
        Some(Node::Concat(items))
    }

    /// Whether the parenthesis at `i` has an end.
    fn closes(&self, mut i: usize) -> bool {
        let mut depth = 0;
        while let Some(c) = self.at(i) {
            match c {
                '\\' => i += 1,
                '(' => depth += 1,
                ')' => {
                    depth -= 1;
                    if depth == 0 {
                        return true;
                    }
                }
                _ => {}
            }
            i += 1;
        }
        false
    }

    fn group(&mut self, kind: char) -> Option<Node> {
        self.depth += 1;
        if kind == '!' || self.depth > MAX_DEPTH {
            return None;
        }
        self.i += 2;
        let mut choices = vec![self.concat()?];
        while self.at(self.i) == Some('|') {
            self.i += 1;
            choices.push(self.concat()?);
        }
        if self.at(self.i) != Some(')') {
            return None;
        }
        self.i += 1;
        self.depth -= 1;
        let inner = Node::Choice(choices);
        Some(match kind {
            '@' => inner,
            '?' => Node::Repeat(Box::new(inner), 0, Some(1)),
            '*' => Node::Repeat(Box::new(inner), 0, None),
            _ => Node::Repeat(Box::new(inner), 1, None),
        })
    }

    /// After `[`: the set, or nothing if the bracket has no end, which leaves the place as it was.
    fn bracket(&mut self) -> Option<Set> {
        let mut i = self.i;
        let mut set = Set::default();
        if matches!(self.at(i), Some('!' | '^')) {
            set.negate = true;
            i += 1;
        }
        let mut first = true;
        loop {
            let c = self.at(i)?;
            if c == ']' && !first {
                self.i = i + 1;
                return Some(set);
            }
            first = false;
            if c == '['
                && self.at(i + 1) == Some(':')
                && let Some(len) = self.chars[i + 2..].windows(2).position(|w| w == [':', ']'])
            {
                let name = self.chars[i + 2..i + 2 + len].iter().collect();
                set.classes.push((name, false));
                i += len + 4;
                continue;
            }
            let (low, next) = self.member(i)?;
            i = next;
            let mut high = low;
            if self.at(i) == Some('-') && self.at(i + 1).is_some_and(|c| c != ']') {
                (high, i) = self.member(i + 1)?;
            }
            set.ranges.push((low, high));
        }
    }

    /// A character of a bracket expression and the place after it.
    fn member(&self, i: usize) -> Option<(char, usize)> {
        let c = self.at(i)?;
        if c == '\\' {
            return Some((self.at(i + 1)?, i + 2));
        }
        if c == '['
            && let Some(kind @ ('=' | '.')) = self.at(i + 1)
            && self.at(i + 3) == Some(kind)
            && self.at(i + 4) == Some(']')
        {
            return Some((self.at(i + 2)?, i + 5));
        }
        Some((c, i + 1))
    }
}
