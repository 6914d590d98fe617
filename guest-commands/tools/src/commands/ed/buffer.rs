//! The text of `ed`: lines with the identity that marks and global commands know them by, and one step back.

use std::collections::HashMap;
use std::rc::Rc;

/// A line without its newline.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) id: u64,
    pub(super) text: Rc<[u8]>,
}

/// The text before a command.
#[derive(Clone, Debug, Default)]
struct Step {
    lines: Vec<Line>,
    dot: usize,
    modified: bool,
}

/// The text, with its current line (0: before the first).
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) lines: Vec<Line>,
    pub(super) dot: usize,
    pub(super) modified: bool,
    marks: HashMap<u8, u64>,
    next: u64,
    before: Option<Step>,
}

impl Buffer {
    pub(super) fn last(&self) -> usize {
        self.lines.len()
    }

    /// Remembers the text as it is, for `u`.
    pub(super) fn keep(&mut self) {
        self.before = Some(Step { lines: self.lines.clone(), dot: self.dot, modified: self.modified });
    }

    /// There is nothing to go back to.
    pub(super) fn forget(&mut self) {
        self.before = None;
    }

    /// Goes a step back, or forward again; false if there is none.
    pub(super) fn undo(&mut self) -> bool {
        let Some(step) = self.before.take() else { return false };
        self.keep();
        (self.lines, self.dot, self.modified) = (step.lines, step.dot, step.modified);
        true
    }

    /// Puts lines after the line `at`; the last of them becomes the current one.
    pub(super) fn insert(&mut self, at: usize, texts: Vec<Rc<[u8]>>) {
        if texts.is_empty() {
            self.dot = at;
            return;
        }
        self.modified = true;
        self.dot = at + texts.len();
        let first = self.next;
        self.next += texts.len() as u64;
        let new = texts.into_iter().zip(first..).map(|(text, id)| Line { id, text });
        self.lines.splice(at..at, new);
    }

    /// Takes lines away; what follows them becomes current.
    pub(super) fn delete(&mut self, from: usize, to: usize) -> Vec<Line> {
        self.modified = true;
        let gone = self.lines.drain(from - 1..to).collect();
        self.dot = from.min(self.last());
        gone
    }

    /// Moves lines behind the line `target`, which is not among them.
    pub(super) fn move_lines(&mut self, from: usize, to: usize, target: usize) {
        let moved = self.delete(from, to);
        let at = if target >= to { target - moved.len() } else { target };
        self.dot = at + moved.len();
        self.lines.splice(at..at, moved);
    }

    pub(super) fn mark(&mut self, letter: u8, line: usize) {
        if let Some(line) = line.checked_sub(1).and_then(|i| self.lines.get(i)) {
            self.marks.insert(letter, line.id);
        }
    }

    /// Where a marked line is now.
    pub(super) fn marked(&self, letter: u8) -> Option<usize> {
        self.place(*self.marks.get(&letter)?)
    }

    /// The number of the line with this identity.
    pub(super) fn place(&self, id: u64) -> Option<usize> {
        self.lines.iter().position(|line| line.id == id).map(|i| i + 1)
    }

    pub(super) fn texts(&self, from: usize, to: usize) -> Vec<Rc<[u8]>> {
        self.lines[from - 1..to].iter().map(|line| Rc::clone(&line.text)).collect()
    }
}
