//! Pattern trees to the program of a machine that backtracks. It runs nothing.

use super::parse::{Node, Parsed, Set, Spot, lower};

/// How many instructions a pattern may have.
const MOST: usize = 30_000;

/// What takes one character.
#[derive(Clone, Debug)]
pub(super) enum One {
    Char(char),
    /// With the bits of the ASCII characters that are in it.
    Set(Set, u128),
    Newline,
}

/// An instruction. Targets are numbers of instructions.
#[derive(Clone, Debug)]
pub(super) enum Step {
    One(One),
    /// One kind of character, as often as it comes.
    Many {
        one: One,
        least: usize,
        most: usize,
        greedy: bool,
    },
    Spot(Spot),
    /// Remembers this place.
    Save(usize),
    /// Fails if nothing was taken since this place was remembered.
    Moved(usize),
    /// Tries the first, then the second.
    Split(usize, usize),
    Jump(usize),
    Back(usize),
    /// What follows up to `Match` must be found, or not, from here or up to here; goes on at `then`.
    Look {
        behind: bool,
        negated: bool,
        then: usize,
    },
    /// What follows up to `Match` is taken as it is found first.
    Atomic {
        then: usize,
    },
    Match,
}

/// A program.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) fold: bool,
    pub(super) slots: usize,
    /// Only the beginning of a line can match.
    pub(super) anchored: bool,
    /// The match may begin before or behind the place where the machine began.
    pub(super) moves: bool,
    /// The byte that every match begins with.
    pub(super) first: Option<u8>,
    /// The bytes that a match may begin with; none if it may be empty.
    pub(super) firsts: Option<Box<[bool; 256]>>,
}

/// Slots 0 to 19 are starts and ends of groups; that of the whole match may be set by `\zs` and `\ze`.
pub(super) const GROUP_SLOTS: usize = 20;

/// Makes the program.
pub(super) fn compile(parsed: &Parsed) -> Result<Program, String> {
    let mut program = Program {
        steps: Vec::new(),
        fold: parsed.fold,
        slots: GROUP_SLOTS,
        anchored: false,
        moves: false,
        first: None,
        firsts: None,
    };
    program.put(&parsed.node)?;
    program.push(Step::Match)?;
    let first = program.steps.iter().find(|s| !matches!(s, Step::Save(n) if *n > 1));
    match first {
        Some(Step::Spot(Spot::LineStart)) => program.anchored = true,
        Some(Step::One(One::Char(c)) | Step::Many { one: One::Char(c), least: 1.., .. }) => {
            let letter = program.fold && (lower(*c) != *c || c.is_alphabetic());
            program.first = (!letter).then(|| {
                let mut bytes = Vec::new();
                crate::chars::encode(*c, &mut bytes);
                bytes[0]
            });
        }
        _ => {}
    }
    let mut firsts = Box::new([false; 256]);
    let mut seen = vec![false; program.steps.len()];
    if program.firsts_of(0, &mut firsts, &mut seen) && !program.moves {
        program.firsts = Some(firsts);
    }
    Ok(program)
}

fn bits(set: &Set, fold: bool) -> u128 {
    (0..128_u8).filter(|b| set.has(char::from(*b), fold)).fold(0, |all, b| all | 1 << b)
}

fn one(node: &Node, fold: bool) -> Option<One> {
    Some(match node {
        Node::Char(c) => One::Char(*c),
        Node::Set(set) => One::Set(set.clone(), bits(set, fold)),
        Node::Newline => One::Newline,
        Node::Group(None, inner) => return one(inner, fold),
        Node::All(list) if list.len() == 1 => return one(&list[0], fold),
        _ => return None,
    })
}

impl Program {
    /// Adds the bytes that a match from `pc` on may begin with; whether it has to begin with one.
    fn firsts_of(&self, pc: usize, firsts: &mut [bool; 256], seen: &mut [bool]) -> bool {
        let mut pc = pc;
        loop {
            if std::mem::replace(&mut seen[pc], true) {
                return true;
            }
            let mut mark = |one: &One| match one {
                One::Char(c) if c.is_ascii() => {
                    firsts[*c as usize] = true;
                    if self.fold {
                        firsts[c.to_ascii_uppercase() as usize] = true;
                        // Other letters may be the same in another case.
                        firsts[0x80..].fill(true);
                    }
                    true
                }
                One::Char(_) => {
                    firsts[0x80..].fill(true);
                    if self.fold {
                        firsts.fill(true);
                    }
                    true
                }
                One::Set(set, bits) => {
                    (0..128).filter(|b| bits >> b & 1 == 1).for_each(|b| firsts[b] = true);
                    firsts[0x80..].fill(true);
                    !set.newline
                }
                One::Newline => false,
            };
            match &self.steps[pc] {
                Step::One(one) | Step::Many { one, least: 1.., .. } => return mark(one),
                Step::Many { one, .. } => {
                    if !mark(one) {
                        return false;
                    }
                    pc += 1;
                }
                Step::Save(_)
                | Step::Moved(_)
                | Step::Spot(Spot::WordStart | Spot::LineStart | Spot::TextStart | Spot::WordEnd) => pc += 1,
                Step::Jump(to) => pc = *to,
                Step::Split(a, b) => {
                    if !self.firsts_of(*a, firsts, seen) {
                        return false;
                    }
                    pc = *b;
                }
                Step::Look { then, .. } => pc = *then,
                Step::Spot(_) | Step::Back(_) | Step::Atomic { .. } | Step::Match => return false,
            }
        }
    }

    fn push(&mut self, step: Step) -> Result<usize, String> {
        if self.steps.len() >= MOST {
            return Err("E339: Pattern too long".into());
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn put(&mut self, node: &Node) -> Result<(), String> {
        match node {
            Node::Char(c) => {
                let c = if self.fold { lower(*c) } else { *c };
                self.push(Step::One(One::Char(c)))?;
            }
            Node::Set(set) => {
                let bits = bits(set, self.fold);
                self.push(Step::One(One::Set(set.clone(), bits)))?;
            }
            Node::Newline => {
                self.push(Step::One(One::Newline))?;
            }
            Node::Spot(spot) => {
                self.push(Step::Spot(*spot))?;
            }
            Node::Begin => {
                self.moves = true;
                self.push(Step::Save(0))?;
            }
            Node::End => {
                self.push(Step::Save(1))?;
            }
            Node::Back(n) => {
                self.push(Step::Back(*n))?;
            }
            Node::Group(None, inner) => self.put(inner)?,
            Node::Group(Some(n), inner) => {
                self.push(Step::Save(2 * n))?;
                self.put(inner)?;
                self.push(Step::Save(2 * n + 1))?;
            }
            Node::All(list) => list.iter().try_for_each(|n| self.put(n))?,
            Node::Any(list) => {
                let mut ends = Vec::new();
                for (i, branch) in list.iter().enumerate() {
                    if i + 1 == list.len() {
                        self.put(branch)?;
                        break;
                    }
                    let split = self.push(Step::Split(0, 0))?;
                    self.put(branch)?;
                    ends.push(self.push(Step::Jump(0))?);
                    self.steps[split] = Step::Split(split + 1, self.steps.len());
                }
                let here = self.steps.len();
                ends.into_iter().for_each(|end| self.steps[end] = Step::Jump(here));
            }
            Node::Repeat { node, least, most, greedy } => self.repeat(node, *least, *most, *greedy)?,
            Node::Look { node, behind, negated } => {
                let look = self.push(Step::Match)?;
                self.put(node)?;
                self.push(Step::Match)?;
                self.steps[look] = Step::Look { behind: *behind, negated: *negated, then: self.steps.len() };
            }
            Node::Atomic(node) => {
                let look = self.push(Step::Match)?;
                self.put(node)?;
                self.push(Step::Match)?;
                self.steps[look] = Step::Atomic { then: self.steps.len() };
            }
        }
        Ok(())
    }

    fn repeat(&mut self, node: &Node, least: usize, most: Option<usize>, greedy: bool) -> Result<(), String> {
        if let Some(one) = one(node, self.fold) {
            let one = match one {
                One::Char(c) if self.fold => One::Char(lower(c)),
                one => one,
            };
            self.push(Step::Many { one, least, most: most.unwrap_or(usize::MAX), greedy })?;
            return Ok(());
        }
        for _ in 0..least {
            self.put(node)?;
            if self.steps.len() >= MOST {
                return Err("E339: Pattern too long".into());
            }
        }
        let order = |yes: usize, no: usize| if greedy { Step::Split(yes, no) } else { Step::Split(no, yes) };
        match most {
            None => {
                let slot = self.slots;
                self.slots += 1;
                let split = self.push(Step::Match)?;
                self.push(Step::Save(slot))?;
                self.put(node)?;
                self.push(Step::Moved(slot))?;
                self.push(Step::Jump(split))?;
                self.steps[split] = order(split + 1, self.steps.len());
            }
            Some(most) => {
                let mut splits = Vec::new();
                for _ in least..most {
                    splits.push(self.push(Step::Match)?);
                    self.put(node)?;
                }
                let here = self.steps.len();
                splits.into_iter().for_each(|s| self.steps[s] = order(s + 1, here));
            }
        }
        Ok(())
    }
}
