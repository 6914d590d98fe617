//! Blocks of columns: what `^V` selects, and the commands on it. A character that is only partly inside counts by its first column.

use crate::buffer::{Place, place};
use crate::chars;
use crate::edit::{Case, change_case};
use crate::editor::{Editor, Mode, Res, Stop};
use crate::insert::Start;
use crate::key::Key;
use crate::register::{Came, Text};

/// A block: lines from and to, columns from and up to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    top: usize,
    bottom: usize,
    left: usize,
    right: usize,
}

impl Editor {
    /// The block between a place and the cursor.
    pub(crate) fn block_from(&self, from: Place) -> Block {
        let column = |p: Place| {
            let line = self.buf.line(p.line);
            let start = chars::column(line, p.col, self.tab());
            let wide =
                chars::decode(line, p.col).map_or(1, |(c, _)| chars::width(c, start, self.tab()).max(1));
            (start, start + wide)
        };
        let (a, mut b) = (column(from), column(self.cursor));
        // On a line that is too short the cursor stands behind its text.
        let line = self.line();
        let wide = chars::column(line, line.len(), self.tab());
        if self.want != usize::MAX && self.want >= wide && !line.is_empty() {
            b = (wide, wide + 1);
        }
        let right = if self.behind { usize::MAX } else { a.1.max(b.1) };
        Block {
            top: from.line.min(self.cursor.line),
            bottom: from.line.max(self.cursor.line),
            left: a.0.min(b.0),
            right,
        }
    }

    /// The bytes of a line that are in a block.
    pub(crate) fn in_block(&self, block: Block, line: usize) -> Option<(usize, usize)> {
        if line < block.top || line > block.bottom {
            return None;
        }
        let bytes = self.buf.line(line);
        let (mut column, mut start, mut end) = (0, None, bytes.len());
        for (i, c) in chars::iterate(bytes) {
            let width = chars::width(c, column, self.tab());
            if column >= block.left && start.is_none() {
                start = Some(i);
            }
            if column >= block.right {
                end = i;
                break;
            }
            column += width;
        }
        let start = start.unwrap_or(bytes.len());
        Some((start, end.max(start)))
    }

    fn block_text(&self, block: Block) -> Text {
        let part = |line: usize| {
            let (start, end) = self.in_block(block, line).unwrap_or_default();
            self.buf.line(line)[start..end].to_vec()
        };
        Text { lines: (block.top..=block.bottom).map(part).collect(), whole: false, block: true }
    }

    /// Makes something else of the part of each line that is in the block.
    fn change_block(&mut self, block: Block, make: impl Fn(&[u8]) -> Vec<u8>) {
        let mut lines = self.buf.copy(block.top, block.bottom + 1);
        for (i, line) in lines.iter_mut().enumerate() {
            let (start, end) = self.in_block(block, block.top + i).unwrap_or_default();
            let new = make(&line[start..end]);
            line.splice(start..end, new);
        }
        self.buf.replace(block.top, lines.len(), lines);
        self.mark_change(place(block.top, 0), place(block.bottom, 0));
    }

    /// A command on a block; whether it was one.
    pub(crate) fn block_command(&mut self, key: Key, register: Option<char>, from: Place) -> Res<bool> {
        let mut block = self.block_from(from);
        let command = match key {
            Key::Char(c) => c,
            Key::Delete => 'x',
            _ => return Ok(false),
        };
        if matches!(command, 'D' | 'C') {
            block.right = usize::MAX;
        }
        let corner = |e: &Editor| place(block.top, e.in_block(block, block.top).unwrap_or_default().0);
        match command {
            'y' | 'Y' => {
                let text = self.block_text(block);
                self.end_visual();
                self.keep(register, text, Came::Yanked);
                self.go(corner(self));
            }
            'd' | 'x' | 'D' | 'c' | 's' | 'C' => {
                let text = self.block_text(block);
                self.end_visual();
                self.keep(register, text, Came::Large);
                let corner = corner(self);
                self.buf.changes_at(corner);
                self.change_block(block, |_| Vec::new());
                self.go(corner);
                if matches!(command, 'c' | 's' | 'C') {
                    self.type_in_block(block, corner.col, |e, line| {
                        let (start, _) = e.in_block(block, line)?;
                        (chars::column(e.buf.line(line), start, e.tab()) >= block.left).then_some(start)
                    })?;
                }
            }
            'I' => {
                self.end_visual();
                let corner = corner(self);
                self.type_in_block(block, corner.col, |e, line| {
                    let bytes = e.buf.line(line);
                    // Lines that end before the block stay as they are.
                    let wide = chars::column(bytes, bytes.len(), e.tab());
                    (wide >= block.left).then(|| e.in_block(block, line).unwrap_or_default().0)
                })?;
            }
            'A' => {
                self.end_visual();
                if block.right != usize::MAX {
                    self.pad(block);
                }
                let (_, end) = self.in_block(block, block.top).unwrap_or_default();
                let corner = corner(self);
                self.type_in_block(block, end, |e, line| e.in_block(block, line).map(|(_, end)| end))?;
                self.go(corner);
            }
            'r' => {
                let c = self.literal_key()?;
                self.end_visual();
                let corner = corner(self);
                self.change_block(block, |part| {
                    let mut out = Vec::new();
                    chars::iterate(part).for_each(|_| chars::encode(c, &mut out));
                    out
                });
                self.go(corner);
            }
            '~' | 'u' | 'U' => {
                self.end_visual();
                let case = match command {
                    '~' => Case::Swap,
                    'u' => Case::Lower,
                    _ => Case::Upper,
                };
                let corner = corner(self);
                self.change_block(block, |part| {
                    chars::iterate(part).flat_map(|(_, c)| chars::bytes(&change_case(c, case))).collect()
                });
                self.go(corner);
            }
            'p' | 'P' | '>' | '<' | 'O' | 'R' | 'S' | 'X' | 'i' | 'a' => return Err(Stop::Bell),
            _ => return Ok(false),
        }
        if !matches!(command, 'y' | 'Y') {
            // It is not done again by a dot, and neither is what was done before it.
            self.again = None;
        }
        self.changes = false;
        Ok(true)
    }

    /// Lines that end before the right side of the block get blanks.
    fn pad(&mut self, block: Block) {
        let mut lines = self.buf.copy(block.top, block.bottom + 1);
        for line in &mut lines {
            let wide = chars::column(line, line.len(), self.tab());
            line.extend(std::iter::repeat_n(b' ', block.right.saturating_sub(wide)));
        }
        self.buf.replace(block.top, lines.len(), lines);
    }

    /// Text is typed in the first line, and comes into the others at the places that `at` says.
    fn type_in_block(
        &mut self,
        block: Block,
        col: usize,
        at: impl Fn(&Editor, usize) -> Option<usize>,
    ) -> Res<()> {
        let places: Vec<Option<usize>> = (block.top + 1..=block.bottom).map(|line| at(self, line)).collect();
        self.cursor = place(block.top, col);
        let lines = self.buf.len();
        let result = self.insert_command(1, Start::Exactly);
        let text = self.inserted.clone();
        // A line end, or a cursor that went away, ends the block.
        if !text.is_empty()
            && !text.contains(&b'\n')
            && self.cursor.line == block.top
            && self.buf.len() == lines
        {
            let mut all = self.buf.copy(block.top + 1, block.bottom + 1);
            for (line, at) in all.iter_mut().zip(places) {
                if let Some(at) = at {
                    line.splice(at..at, text.iter().copied());
                }
            }
            if !all.is_empty() {
                self.buf.replace(block.top + 1, all.len(), all);
            }
            self.go(place(block.top, col));
        }
        result
    }

    /// Puts a block, its lines below one another.
    pub(crate) fn put_block(&mut self, text: &Text, before: bool, count: usize) {
        let line = self.line();
        let col =
            if before || line.is_empty() { self.cursor.col } else { chars::next(line, self.cursor.col) };
        let column = chars::column(line, col, self.tab());
        let wide = text.lines.iter().map(|l| chars::column(l, l.len(), self.tab())).max().unwrap_or(0);
        let top = self.cursor.line;
        let there = self.buf.len().saturating_sub(top).min(text.lines.len());
        let mut all = self.buf.copy(top, top + there);
        all.resize(text.lines.len(), Vec::new());
        for (line, part) in all.iter_mut().zip(&text.lines) {
            let have = chars::column(line, line.len(), self.tab());
            line.extend(std::iter::repeat_n(b' ', column.saturating_sub(have)));
            let (mut at, mut here) = (0, 0);
            for (i, c) in chars::iterate(line) {
                if here >= column {
                    break;
                }
                here += chars::width(c, here, self.tab());
                at = i + chars::decode(line, i).map_or(1, |(_, len)| len);
            }
            let last = at >= line.len();
            let mut new = Vec::new();
            for i in 0..count {
                new.extend_from_slice(part);
                // At the end of a line no blanks are left behind.
                if !(last && i + 1 == count) {
                    let have = chars::column(part, part.len(), self.tab());
                    new.extend(std::iter::repeat_n(b' ', wide.saturating_sub(have)));
                }
            }
            line.splice(at..at, new);
        }
        let many = all.len();
        self.buf.replace(top, there, all);
        self.mark_change(place(top, col), place(top + many - 1, col));
        self.go(place(top, chars::at_column(self.buf.line(top), column, self.tab())));
    }

    /// Begins a block.
    pub(crate) fn start_block(&mut self) {
        self.message.clear();
        self.mode = Mode::Visual { from: self.cursor, lines: false };
        self.behind = false;
        self.block = true;
    }
}
