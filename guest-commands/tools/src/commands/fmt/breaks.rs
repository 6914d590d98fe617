//! Where the lines of a paragraph break best: the breaks whose costs, by the width of the lines and the words around each, add
//! up to the least. The costs are those of GNU's fmt. It reads and writes nothing.

/// What there is to know of a word.
#[derive(Clone, Debug, Default)]
pub(super) struct Word {
    pub(super) text: Vec<u8>,
    /// Blanks after it.
    pub(super) space: i64,
    /// It begins with an opening bracket or quote.
    pub(super) opens: bool,
    /// Its last character is one of punctuation.
    pub(super) punctuation: bool,
    /// It ends as a sentence may.
    pub(super) period: bool,
    /// It ends a sentence.
    pub(super) last: bool,
}

impl Word {
    pub(super) fn new(text: Vec<u8>) -> Word {
        let end = text.iter().rposition(|b| !b")]'\"".contains(b)).unwrap_or(0);
        Word {
            opens: text.first().is_some_and(|b| b"(['`\"".contains(b)),
            punctuation: text.last().is_some_and(u8::is_ascii_punctuation),
            period: text.get(end).is_some_and(|b| b".?!".contains(b)),
            text,
            ..Word::default()
        }
    }

    fn length(&self) -> i64 {
        self.text.len() as i64
    }
}

/// The measures of a paragraph, in columns.
pub(super) struct Measures {
    pub(super) goal: i64,
    pub(super) most: i64,
    pub(super) first_indent: i64,
    pub(super) other_indent: i64,
    /// The line before, if it belongs to the same paragraph.
    pub(super) last_line: i64,
}

/// The best way on from a word that begins a line.
#[derive(Clone, Copy, Default)]
pub(super) struct Line {
    /// The word that begins the line after.
    pub(super) next: usize,
    pub(super) cost: i64,
    width: i64,
}

const fn square(n: i64) -> i64 {
    n.saturating_mul(n)
}

const LINE: i64 = square(70);
const SENTENCE: i64 = square(50);
const NO_BREAK: i64 = square(600);
const BRACKET: i64 = square(40);
const PUNCTUATION: i64 = square(40);

fn short(columns: i64) -> i64 {
    square(columns * 10)
}

fn ragged(columns: i64) -> i64 {
    short(columns) / 2
}

/// For every word the best line that begins with it; one more stands for the end.
pub(super) fn best(words: &[Word], m: &Measures) -> Vec<Line> {
    let end = words.len();
    let mut lines = vec![Line::default(); end + 1];
    for start in (0..end).rev() {
        let mut best = Line { next: end, cost: i64::MAX, width: 0 };
        let mut width = if start == 0 { m.first_indent } else { m.other_indent } + words[start].length();
        let mut next = start;
        loop {
            next += 1;
            let mut cost = lines[next].cost;
            if next < end {
                cost += short(m.goal - width);
                if lines[next].next < end {
                    cost += ragged(width - lines[next].width);
                }
            }
            if start == 0 && m.last_line > 0 {
                cost += ragged(width - m.last_line);
            }
            if cost < best.cost {
                best = Line { next, cost, width };
            }
            if next == end {
                break;
            }
            width += words[next - 1].space + words[next].length();
            if width >= m.most {
                break;
            }
        }
        best.cost += beginning(words, start);
        lines[start] = best;
    }
    lines
}

/// What it costs that a line begins with this word.
fn beginning(words: &[Word], at: usize) -> i64 {
    let mut cost = LINE;
    if let Some(before) = at.checked_sub(1).map(|i| &words[i]) {
        if before.period {
            cost += if before.last { -SENTENCE } else { NO_BREAK };
        } else if before.punctuation {
            cost -= PUNCTUATION;
        } else if at > 1 && words[at - 2].last {
            // The first word of a sentence alone on a line.
            cost += square(200) / (before.length() + 2);
        }
    }
    let word = &words[at];
    if word.opens {
        cost -= BRACKET;
    } else if word.last {
        // The last one alone.
        cost += square(150) / (word.length() + 2);
    }
    cost
}

/// Where a paragraph that is too long to be held is cut: at the cheapest of its breaks, rather a late one.
pub(super) fn cut(lines: &[Line]) -> usize {
    let end = lines.len() - 1;
    let (mut found, mut least) = (end, i64::MAX);
    let mut at = lines[0].next;
    while at < end {
        let cost = lines[at].cost - lines[lines[at].next].cost;
        if cost < least {
            (found, least) = (at, cost);
        }
        least = least.saturating_add(square(3));
        at = lines[at].next;
    }
    found
}
