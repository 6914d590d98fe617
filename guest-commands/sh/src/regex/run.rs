//! Matches text: first where the match is, step by step with all ways at once; then how its groups lie. Only references to
//! groups need trying one way after the other, and that is bounded.

use super::{Place, Regex, Set, Step};
use crate::text::{lower_char, upper_char};
use std::collections::HashSet;

/// How many steps are tried with references, and how many places are remembered to find the groups.
const MAX_TRIES: usize = 2_000_000;
const MAX_PLACES: usize = 1 << 26;

type Slots = Vec<Option<usize>>;

/// Where the match and its groups start and end.
pub(super) fn find(regex: &Regex, text: &[char]) -> Option<Slots> {
    if regex.back {
        return with_references(regex, text);
    }
    let (start, end) = span(regex, text, 0)?;
    let mut slots = vec![None; regex.groups * 2];
    slots[0] = Some(start);
    slots[1] = Some(end);
    if regex.groups > 1 {
        groups(regex, text, (start, end), &mut slots);
    }
    Some(slots)
}

fn is_word(c: Option<&char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || *c == '_')
}

fn holds(place: Place, text: &[char], at: usize) -> bool {
    let before = is_word(at.checked_sub(1).and_then(|i| text.get(i)));
    let after = is_word(text.get(at));
    match place {
        Place::Start => at == 0,
        Place::End => at == text.len(),
        Place::Boundary => before != after,
        Place::Inside => before == after,
        Place::WordStart => !before && after,
        Place::WordEnd => before && !after,
    }
}

fn in_set(set: &Set, c: char) -> bool {
    set.ranges.iter().any(|(low, high)| *low <= c && c <= *high)
        || set.classes.iter().any(|(name, not)| crate::pattern::in_class(name, c) != *not)
}

fn takes(regex: &Regex, step: &Step, c: char) -> bool {
    match step {
        Step::Char(want) => *want == c || regex.nocase && lower_char(*want) == lower_char(c),
        Step::Any => true,
        Step::Set(n) => {
            let set = &regex.sets[*n];
            let hit =
                in_set(set, c) || regex.nocase && (in_set(set, lower_char(c)) || in_set(set, upper_char(c)));
            hit != set.negate
        }
        _ => false,
    }
}

/// The ways that are open at a place: steps with the smallest start of a match that leads there.
struct Ways {
    list: Vec<usize>,
    start: Vec<usize>,
}

impl Ways {
    fn new(steps: usize) -> Self {
        Ways { list: Vec::new(), start: vec![usize::MAX; steps] }
    }

    fn clear(&mut self) {
        for step in self.list.drain(..) {
            self.start[step] = usize::MAX;
        }
    }

    /// Adds a step and what follows from it without a character.
    fn add(&mut self, regex: &Regex, text: &[char], at: usize, step: usize, start: usize) {
        let mut stack = vec![step];
        while let Some(step) = stack.pop() {
            if self.start[step] <= start {
                continue;
            }
            if self.start[step] == usize::MAX {
                self.list.push(step);
            }
            self.start[step] = start;
            match &regex.steps[step] {
                Step::Split(a, b) => stack.extend([*b, *a]),
                Step::Jump(to) => stack.push(*to),
                Step::Save(_) => stack.push(step + 1),
                Step::Assert(place) if holds(*place, text, at) => stack.push(step + 1),
                _ => {}
            }
        }
    }
}

/// Start and end of the leftmost, longest match.
pub(super) fn span(regex: &Regex, text: &[char], from: usize) -> Option<(usize, usize)> {
    let mut now = Ways::new(regex.steps.len());
    let mut next = Ways::new(regex.steps.len());
    let last = regex.steps.len() - 1;
    let mut best: Option<(usize, usize)> = None;
    for at in from..=text.len() {
        if best.is_none() {
            now.add(regex, text, at, 0, at);
        }
        let start = now.start[last];
        if start != usize::MAX && best.is_none_or(|(s, _)| start <= s) {
            best = Some((start, at));
        }
        let Some(c) = text.get(at) else { break };
        for i in 0..now.list.len() {
            let step = now.list[i];
            let start = now.start[step];
            if best.is_none_or(|(s, _)| start <= s) && takes(regex, &regex.steps[step], *c) {
                next.add(regex, text, at + 1, step + 1, start);
            }
        }
        now.clear();
        std::mem::swap(&mut now, &mut next);
        if now.list.is_empty() && best.is_some() {
            break;
        }
    }
    best
}

/// The length of the longest or shortest match at the start of a text. There are no anchors in it.
pub(super) fn prefix(regex: &Regex, text: impl Iterator<Item = char>, longest: bool) -> Option<usize> {
    let mut now = Ways::new(regex.steps.len());
    let mut next = Ways::new(regex.steps.len());
    let last = regex.steps.len() - 1;
    let mut best = None;
    now.add(regex, &[], 0, 0, 0);
    let mut len = 0;
    let mut text = text;
    loop {
        if now.start[last] != usize::MAX {
            best = Some(len);
            if !longest {
                break;
            }
        }
        if now.list.is_empty() {
            break;
        }
        let Some(c) = text.next() else { break };
        for i in 0..now.list.len() {
            let step = now.list[i];
            if takes(regex, &regex.steps[step], c) {
                next.add(regex, &[], 0, step + 1, 0);
            }
        }
        len += 1;
        now.clear();
        std::mem::swap(&mut now, &mut next);
    }
    best
}

/// Finds the groups of a match: the first way in order of preference that leads from its start to its end.
fn groups(regex: &Regex, text: &[char], (start, end): (usize, usize), slots: &mut Slots) {
    enum Todo {
        Go(usize, usize),
        Restore(usize, Option<usize>),
    }
    let width = end - start + 1;
    if regex.steps.len().saturating_mul(width) > MAX_PLACES {
        return;
    }
    let mut seen = vec![0u64; (regex.steps.len() * width).div_ceil(64)];
    let mut todo = vec![Todo::Go(0, start)];
    while let Some(next) = todo.pop() {
        let (mut step, mut at) = match next {
            Todo::Restore(slot, value) => {
                slots[slot] = value;
                continue;
            }
            Todo::Go(step, at) => (step, at),
        };
        loop {
            let place = step * width + (at - start);
            if seen[place / 64] >> (place % 64) & 1 != 0 {
                break;
            }
            seen[place / 64] |= 1 << (place % 64);
            match &regex.steps[step] {
                Step::Match if at == end => return,
                Step::Split(a, b) => {
                    todo.push(Todo::Go(*b, at));
                    step = *a;
                }
                Step::Jump(to) => step = *to,
                Step::Save(slot) => {
                    todo.push(Todo::Restore(*slot, slots[*slot]));
                    slots[*slot] = Some(at);
                    step += 1;
                }
                Step::Assert(place) if holds(*place, text, at) => step += 1,
                other if at < end && takes(regex, other, text[at]) => {
                    step += 1;
                    at += 1;
                }
                _ => break,
            }
        }
    }
}

/// Matching with references to groups: every way is tried, within a bound.
fn with_references(regex: &Regex, text: &[char]) -> Option<Slots> {
    let mut tries = 0;
    for start in 0..=text.len() {
        let mut best: Option<Slots> = None;
        let mut todo: Vec<(usize, usize, Slots)> = vec![(0, start, vec![None; regex.groups * 2])];
        let mut seen: HashSet<(usize, usize, Slots)> = HashSet::new();
        while let Some((mut step, mut at, mut slots)) = todo.pop() {
            loop {
                tries += 1;
                if tries > MAX_TRIES {
                    return best;
                }
                match &regex.steps[step] {
                    Step::Match => {
                        let end = |slots: &Slots| slots[1];
                        if best.as_ref().is_none_or(|best| end(best) < Some(at)) {
                            best = Some(slots);
                        }
                        break;
                    }
                    Step::Split(a, b) => {
                        // Coming back to the same place with nothing new is a loop around an empty match.
                        if seen.len() < MAX_TRIES / 20 && !seen.insert((step, at, slots.clone())) {
                            break;
                        }
                        if todo.len() < MAX_TRIES / 20 {
                            todo.push((*b, at, slots.clone()));
                        }
                        step = *a;
                    }
                    Step::Jump(to) => step = *to,
                    Step::Save(slot) => {
                        slots[*slot] = Some(at);
                        step += 1;
                    }
                    Step::Assert(place) if holds(*place, text, at) => step += 1,
                    Step::Back(n) => {
                        let (Some(from), Some(to)) = (slots[2 * n], slots[2 * n + 1]) else { break };
                        let part = text.get(from..to).unwrap_or_default();
                        if !text[at..].starts_with(part) {
                            break;
                        }
                        at += part.len();
                        step += 1;
                    }
                    other if at < text.len() && takes(regex, other, text[at]) => {
                        step += 1;
                        at += 1;
                    }
                    _ => break,
                }
            }
        }
        if best.is_some() {
            return best;
        }
    }
    None
}
