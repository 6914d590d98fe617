//! The machine that matches at one place. It backtracks on a stack of its own, counts its steps and gives up when there are too many.

use super::compile::{GROUP_SLOTS, One, Program, Step};
use super::parse::{Spot, lower};
use super::{Match, TooHard};
use crate::buffer::{Buffer, Place, place};
use crate::chars;

/// How many steps the search at one place may take, all its looking around included.
const MOST_STEPS: usize = 4_000_000;
/// How many choices may wait.
const MOST_CHOICES: usize = 2_000_000;

/// What is done when the way that was taken leads nowhere.
enum Choice {
    Try(usize, Place),
    Restore(usize, Option<Place>),
    /// A greedy repetition gives one character back.
    Less {
        pc: usize,
        at: Place,
        left: usize,
    },
    /// A shy one takes one more.
    More {
        pc: usize,
        at: Place,
        left: usize,
    },
}

/// A machine for the search in one line.
pub(super) struct Machine<'a> {
    program: &'a Program,
    buffer: &'a Buffer,
    slots: Vec<Option<Place>>,
    steps: usize,
    /// Stacks of choices that are not in use.
    spare: Vec<Vec<Choice>>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(program: &'a Program, buffer: &'a Buffer) -> Self {
        Machine { program, buffer, slots: vec![None; program.slots], steps: 0, spare: Vec::new() }
    }

    /// The match that begins at a place.
    pub(super) fn run(&mut self, at: Place) -> Result<Option<Match>, TooHard> {
        self.slots.fill(None);
        self.steps = 0;
        let Some(end) = self.go(0, at, None)? else { return Ok(None) };
        let start = self.slots[0].unwrap_or(at);
        let end = self.slots[1].unwrap_or(end).max(start);
        let mut groups = [None; 10];
        groups[0] = Some((start, end));
        for (n, group) in groups.iter_mut().enumerate().skip(1) {
            *group = self.slots[2 * n].zip(self.slots[2 * n + 1]);
        }
        Ok(Some(Match { start, end, groups }))
    }
}

impl Machine<'_> {
    /// Where one character leads.
    fn one(&self, one: &One, at: Place) -> Option<Place> {
        self.one_in(self.buffer.line(at.line), one, at)
    }

    /// The same, for whoever has the line.
    #[inline]
    fn one_in(&self, line: &[u8], one: &One, at: Place) -> Option<Place> {
        if let One::Set(_, bits) = one
            && let Some(b) = line.get(at.col).filter(|b| **b < 0x80)
        {
            return (bits >> b & 1 == 1).then(|| place(at.line, at.col + 1));
        }
        let Some((c, len)) = chars::decode(line, at.col) else {
            let newline = match one {
                One::Newline => true,
                One::Set(set, _) => set.newline,
                One::Char(_) => false,
            };
            // The end of the last line can be matched, too.
            return (newline && at.line < self.buffer.len()).then(|| place(at.line + 1, 0));
        };
        let fold = self.program.fold;
        let found = match one {
            One::Char(wanted) => c == *wanted || (fold && lower(c) == *wanted),
            One::Set(set, _) => set.has(c, fold),
            One::Newline => false,
        };
        found.then(|| place(at.line, at.col + len))
    }

    /// The place one character before; only after one was taken.
    fn back(&self, at: Place) -> Place {
        if at.col == 0 {
            let line = at.line.saturating_sub(1);
            return place(line, self.buffer.line(line).len());
        }
        let line = self.buffer.line(at.line);
        let col = (1..=at.col.min(4))
            .rev()
            .find(|n| chars::decode(line, at.col - n).is_some_and(|(_, len)| len == *n));
        place(at.line, at.col - col.unwrap_or(1))
    }

    fn spot(&self, spot: Spot, at: Place) -> bool {
        let line = self.buffer.line(at.line);
        let word = |at: Option<(char, usize)>| chars::class(at.map(|(c, _)| c), false) == 1;
        let before = || {
            at.col > 0 && {
                let start = self.back(at).col;
                word(chars::decode(line, start))
            }
        };
        let here = || word(chars::decode(line, at.col));
        match spot {
            Spot::LineStart => at.col == 0,
            Spot::LineEnd => at.col >= line.len(),
            Spot::WordStart => here() && !before(),
            Spot::WordEnd => before() && !here(),
            Spot::TextStart => at == Place::default(),
            Spot::TextEnd => at.line + 1 >= self.buffer.len() && at.col >= line.len(),
        }
    }

    fn back_reference(&self, n: usize, at: Place) -> Option<Place> {
        let (Some(mut from), Some(to)) = (self.slots[2 * n], self.slots[2 * n + 1]) else { return Some(at) };
        let mut at = at;
        while from < to {
            let line = self.buffer.line(from.line);
            let one = chars::decode(line, from.col);
            let (step, one) = match one {
                Some((c, len)) => (
                    place(from.line, from.col + len),
                    One::Char(if self.program.fold { lower(c) } else { c }),
                ),
                None => (place(from.line + 1, 0), One::Newline),
            };
            at = self.one(&one, at)?;
            from = step;
        }
        Some(at)
    }

    /// Runs from an instruction at a place; where it ends. `until`: only there it may end.
    fn go(&mut self, pc: usize, at: Place, until: Option<Place>) -> Result<Option<Place>, TooHard> {
        let mut choices = self.spare.pop().unwrap_or_default();
        choices.clear();
        let result = self.go_with(pc, at, until, &mut choices);
        self.spare.push(choices);
        result
    }

    fn go_with(
        &mut self,
        pc: usize,
        at: Place,
        until: Option<Place>,
        choices: &mut Vec<Choice>,
    ) -> Result<Option<Place>, TooHard> {
        let program = self.program;
        let (mut pc, mut at) = (pc, at);
        loop {
            self.steps += 1;
            if self.steps > MOST_STEPS || choices.len() > MOST_CHOICES {
                return Err(TooHard);
            }
            let mut ok = true;
            match &program.steps[pc] {
                Step::One(one) => match self.one(one, at) {
                    Some(next) => (at, pc) = (next, pc + 1),
                    None => ok = false,
                },
                Step::Many { one, least, most, greedy } => {
                    let mut count = 0;
                    let start = at;
                    let wanted = if *greedy { *most } else { *least };
                    let mut line = self.buffer.line(at.line);
                    while count < wanted
                        && let Some(next) = self.one_in(line, one, at)
                    {
                        if next.line != at.line {
                            line = self.buffer.line(next.line);
                        }
                        at = next;
                        count += 1;
                    }
                    // A long run costs as much as short steps do, but is far quicker.
                    self.steps += count / 64;
                    if count < *least {
                        ok = false;
                    } else if *greedy {
                        if count > *least {
                            choices.push(Choice::Less { pc: pc + 1, at, left: count - *least });
                        }
                        pc += 1;
                    } else {
                        if most > least {
                            choices.push(Choice::More { pc, at, left: *most - *least });
                        }
                        pc += 1;
                    }
                    debug_assert!(at >= start);
                }
                Step::Spot(spot) => {
                    ok = self.spot(*spot, at);
                    pc += 1;
                }
                Step::Save(n) => {
                    choices.push(Choice::Restore(*n, self.slots[*n]));
                    self.slots[*n] = Some(at);
                    pc += 1;
                }
                Step::Moved(n) => {
                    ok = self.slots[*n] != Some(at);
                    pc += 1;
                }
                Step::Split(first, second) => {
                    choices.push(Choice::Try(*second, at));
                    pc = *first;
                }
                Step::Jump(to) => pc = *to,
                Step::Back(n) => match self.back_reference(*n, at) {
                    Some(next) => (at, pc) = (next, pc + 1),
                    None => ok = false,
                },
                Step::Look { behind, negated, then } => {
                    let saved = self.slots.clone();
                    let found =
                        if *behind { self.behind(pc + 1, at)? } else { self.go(pc + 1, at, None)?.is_some() };
                    ok = found != *negated;
                    if !ok || *negated {
                        self.slots = saved;
                    } else {
                        self.keep(&saved, choices);
                    }
                    pc = *then;
                }
                Step::Atomic { then } => {
                    let saved = self.slots.clone();
                    match self.go(pc + 1, at, None)? {
                        Some(end) => {
                            at = end;
                            self.keep(&saved, choices);
                        }
                        None => {
                            self.slots = saved;
                            ok = false;
                        }
                    }
                    pc = *then;
                }
                Step::Match => {
                    if until.is_none_or(|u| u == at) {
                        return Ok(Some(at));
                    }
                    ok = false;
                }
            }
            while !ok {
                match choices.pop() {
                    None => return Ok(None),
                    Some(Choice::Restore(n, old)) => self.slots[n] = old,
                    Some(Choice::Try(to, place)) => (pc, at, ok) = (to, place, true),
                    Some(Choice::Less { pc: to, at: end, left }) => {
                        at = self.back(end);
                        if left > 1 {
                            choices.push(Choice::Less { pc: to, at, left: left - 1 });
                        }
                        (pc, ok) = (to, true);
                    }
                    Some(Choice::More { pc: from, at: end, left }) => {
                        if let Step::Many { one, .. } = &program.steps[from]
                            && let Some(next) = self.one(one, end)
                        {
                            at = next;
                            if left > 1 {
                                choices.push(Choice::More { pc: from, at, left: left - 1 });
                            }
                            (pc, ok) = (from + 1, true);
                        }
                    }
                }
            }
        }
    }

    /// What an inner run set is taken back with the choices of the outer one.
    fn keep(&self, before: &[Option<Place>], choices: &mut Vec<Choice>) {
        for (n, old) in before.iter().enumerate().take(GROUP_SLOTS) {
            if *old != self.slots[n] {
                choices.push(Choice::Restore(n, *old));
            }
        }
    }

    /// Whether the program from `pc` leads from somewhere before, in this line or the one above, to here.
    fn behind(&mut self, pc: usize, at: Place) -> Result<bool, TooHard> {
        let mut from = at;
        loop {
            if self.go(pc, from, Some(at))?.is_some() {
                return Ok(true);
            }
            if from.col == 0 && (from.line < at.line || from.line == 0) {
                return Ok(false);
            }
            from = self.back(from);
        }
    }
}
