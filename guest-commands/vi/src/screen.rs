//! How the text looks in the window: rows of characters, the last row, and where the cursor is. It draws nothing itself.

use crate::buffer::place;
use crate::chars;
use crate::editor::{Editor, Mode, Res, Stop};

/// What is to be seen. Rows hold no control characters but the sequences for reverse video, and are no wider than the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Screen {
    pub(crate) rows: Vec<String>,
    /// Row and column, from 0.
    pub(crate) cursor: (usize, usize),
}

const REVERSE: &str = "\x1b[7m";
const PLAIN: &str = "\x1b[m";

/// A row that is filled character by character.
struct Row {
    text: String,
    used: usize,
    reverse: bool,
}

impl Row {
    fn new() -> Row {
        Row { text: String::new(), used: 0, reverse: false }
    }

    fn put(&mut self, text: &str, width: usize, reverse: bool) {
        if reverse != self.reverse {
            self.text.push_str(if reverse { REVERSE } else { PLAIN });
            self.reverse = reverse;
        }
        self.text.push_str(text);
        self.used += width;
    }

    fn end(mut self) -> String {
        if self.reverse {
            self.text.push_str(PLAIN);
        }
        self.text
    }
}

impl Editor {
    /// Rows for the text.
    pub(crate) fn text_rows(&self) -> usize {
        self.view.rows.max(2) - 1
    }

    /// Columns that line numbers take.
    fn number_width(&self) -> usize {
        if self.options.on("number") || self.options.on("relativenumber") {
            (self.buf.len().to_string().len() + 1).max(4)
        } else {
            0
        }
    }

    fn text_cols(&self) -> usize {
        self.view.cols.saturating_sub(self.number_width()).max(2)
    }

    /// How tabs are shown: 0 as `^I`.
    fn shown_tab(&self) -> usize {
        if self.options.on("list") { 0 } else { self.tab() }
    }

    /// Where each character of a line stands when it is wrapped: calls `put` with byte, character, row, column, width; gives the
    /// row and column of the end.
    fn lay_out(
        &self,
        line: &[u8],
        most_rows: usize,
        mut put: impl FnMut(usize, char, usize, usize, usize),
    ) -> (usize, usize) {
        let (cols, tab) = (self.text_cols(), self.shown_tab());
        let wrap = self.options.on("wrap");
        let (mut row, mut column, mut at) = (0, 0, 0);
        for (i, c) in chars::iterate(line) {
            let width = chars::width(c, at, tab);
            at += width;
            if !wrap {
                put(i, c, 0, column, width);
                column += width;
                continue;
            }
            let split = c == '\t' && tab > 0;
            if width > 0 && (column >= cols || (!split && column > 0 && column + width > cols)) {
                row += 1;
                column = 0;
            }
            if row >= most_rows {
                return (row, 0);
            }
            put(i, c, row, column, width.min(cols - column));
            column += width;
            // A tab goes on in the next row.
            while column > cols {
                row += 1;
                column -= cols;
            }
        }
        if wrap && column >= cols { (row + 1, 0) } else { (row, column) }
    }

    /// How many rows a line takes.
    pub(crate) fn height(&self, line: usize) -> usize {
        let bytes = self.buf.line(line);
        let cols = self.text_cols();
        if !self.options.on("wrap") || (bytes.len() < cols / 4 && !bytes.contains(&b'\t')) {
            return 1;
        }
        let (row, column) = self.lay_out(bytes, usize::MAX, |_, _, _, _, _| {});
        // With the mark of the end of a line.
        if column == 0 && row > 0 && !self.options.on("list") { row } else { row + 1 }
    }

    /// The first and last line that are shown whole.
    pub(crate) fn shown_lines(&self) -> (usize, usize) {
        let (mut line, mut used) = (self.view.top, 0);
        loop {
            used += self.height(line);
            if used >= self.text_rows() || line >= self.buf.last() {
                let whole = used <= self.text_rows() || line == self.view.top;
                return (self.view.top, if whole { line } else { line - 1 });
            }
            line += 1;
        }
    }

    /// Moves the window so that the cursor is in it.
    pub(crate) fn show_cursor(&mut self) {
        let rows = self.text_rows();
        let line = self.cursor.line;
        self.view.top = self.view.top.min(self.buf.last());
        let off = self.options.number("scrolloff").min(rows.saturating_sub(1) / 2);
        if line < self.view.top + off && self.view.top > 0 {
            let far = self.view.top - line.min(self.view.top) > rows;
            if far {
                self.halfway(false);
            } else {
                self.view.top = line.saturating_sub(off);
                self.view.skip = 0;
            }
        } else if line >= self.view.top {
            // Far below: the line comes into the middle; near: the window goes down as far as needed.
            let want = (line + off).min(self.buf.last());
            let mut used = 0;
            let mut top = want;
            let mut fits = false;
            loop {
                used += self.height(top);
                if used > rows {
                    break;
                }
                if top == self.view.top {
                    fits = true;
                    break;
                }
                if top == 0 {
                    break;
                }
                top -= 1;
            }
            if !fits {
                let first = if used > rows { (top + 1).min(line) } else { top };
                if first > self.view.top + rows {
                    self.halfway(false);
                } else if first != self.view.top || self.height(line) <= rows {
                    self.view.top = first;
                    self.view.skip = 0;
                }
            }
        }
        // Inside of a line that is higher than the window.
        if self.view.top == line && self.height(line) > rows {
            let row = self.place_of_cursor().0;
            if row < self.view.skip {
                self.view.skip = row;
            } else if row >= self.view.skip + rows {
                self.view.skip = row + 1 - rows;
            }
        } else {
            self.view.skip = 0;
        }
        if self.options.on("wrap") {
            self.view.left = 0;
        } else {
            let cols = self.text_cols();
            let column = self.place_of_cursor().1;
            if column < self.view.left || column >= self.view.left + cols {
                self.view.left = if column < cols { 0 } else { column.saturating_sub(cols / 2) };
            }
        }
    }

    /// The line of the cursor comes into the middle. `beyond`: rows below the end of the text count as such.
    fn halfway(&mut self, beyond: bool) {
        let rows = self.text_rows();
        let (mut top, mut bottom) = (self.cursor.line, self.cursor.line);
        let (mut above, mut below) = (0, 0);
        let mut used = self.height(top);
        while used < rows {
            if above < below {
                if top == 0 {
                    break;
                }
                let height = self.height(top - 1);
                used += height;
                if used > rows {
                    break;
                }
                above += height;
                top -= 1;
            } else if bottom < self.buf.last() {
                bottom += 1;
                let height = self.height(bottom);
                used += height;
                below += height;
            } else {
                below += 1;
                used += usize::from(beyond);
            }
        }
        self.view.top = top;
        self.view.skip = 0;
    }

    /// The line of the cursor comes so many rows below the top.
    pub(crate) fn center(&mut self, above: usize) {
        let (mut top, mut used) = (self.cursor.line, 0);
        while top > 0 {
            used += self.height(top - 1);
            if used > above {
                break;
            }
            top -= 1;
        }
        self.view.top = top;
        self.view.skip = 0;
    }

    /// Row inside of its line, and column, of the cursor.
    fn place_of_cursor(&self) -> (usize, usize) {
        let line = self.line();
        let mut found = None;
        let normal = !matches!(self.mode, Mode::Insert | Mode::Replace);
        let end = self.lay_out(line, usize::MAX, |i, c, row, column, width| {
            if i == self.cursor.col {
                // On a tab the cursor is at its end.
                let last = c == '\t' && normal && !self.options.on("list");
                found = Some((row, column + if last { width.saturating_sub(1) } else { 0 }));
            }
        });
        found.unwrap_or(end)
    }

    /// Everything.
    pub(crate) fn screen(&mut self) -> Screen {
        if !self.output.is_empty() {
            return self.output_screen();
        }
        self.show_cursor();
        let (rows, cols) = (self.text_rows(), self.text_cols());
        let mut out: Vec<String> = Vec::with_capacity(rows + 1);
        let mut cursor = (0, 0);
        let mut line = self.view.top;
        let pattern = if self.options.on("hlsearch") && self.highlight {
            self.search.pattern.clone().and_then(|p| self.pattern(&p).ok())
        } else {
            None
        };
        while out.len() < rows && line < self.buf.len() {
            let skip = if line == self.view.top { self.view.skip } else { 0 };
            let room = rows - out.len();
            let shown = self.line_rows(line, skip, room, pattern.as_ref());
            if line == self.cursor.line {
                let (row, column) = self.place_of_cursor();
                cursor = (
                    out.len() + row.saturating_sub(skip),
                    column.saturating_sub(self.view.left).min(cols - 1) + self.number_width(),
                );
                if cursor.0 >= rows {
                    cursor.0 = rows - 1;
                }
            }
            // A line that does not fit is not shown in part, but for one that fills the window.
            if self.height(line) - skip > room && line > self.view.top {
                while out.len() < rows {
                    out.push("@".into());
                }
                break;
            }
            out.extend(shown);
            line += 1;
        }
        while out.len() < rows {
            out.push("~".into());
        }
        let (last, column) = self.last_row();
        out.push(last);
        if let Some(column) = column {
            cursor = (rows, column.min(self.view.cols - 1));
        }
        Screen { rows: out, cursor }
    }

    fn line_rows(
        &self,
        number: usize,
        skip: usize,
        room: usize,
        pattern: Option<&crate::pattern::Pattern>,
    ) -> Vec<String> {
        let line = self.buf.line(number);
        let (cols, list, width) = (self.text_cols(), self.options.on("list"), self.number_width());
        let wrap = self.options.on("wrap");
        let selected = self.selected_part(number);
        let mut matches: Vec<(usize, usize)> = Vec::new();
        if let Some(pattern) = pattern.filter(|_| line.len() < 10_000) {
            let mut from = 0;
            while let Ok(Some(m)) = pattern.find(&self.buf, number, from) {
                let end = if m.end.line > number { line.len() } else { m.end.col };
                matches.push((m.start.col, end));
                from = end.max(chars::next(line, m.start.col));
                if from >= line.len() {
                    break;
                }
            }
        }
        let lit = |i: usize| {
            selected.is_some_and(|(a, b)| (a..b).contains(&i))
                || matches.iter().any(|(a, b)| (*a..*b).contains(&i))
        };
        let mut rows: Vec<Row> = Vec::new();
        let start = |rows: &mut Vec<Row>| {
            let mut row = Row::new();
            if width > 0 {
                let text = if rows.is_empty() && skip == 0 {
                    let away = number.abs_diff(self.cursor.line);
                    match (self.options.on("relativenumber"), self.options.on("number")) {
                        (true, true) if away == 0 => format!("{:<w$} ", number + 1, w = width - 1),
                        (true, _) => format!("{away:>w$} ", w = width - 1),
                        _ => format!("{:>w$} ", number + 1, w = width - 1),
                    }
                } else {
                    " ".repeat(width)
                };
                row.put(&text, 0, false);
            }
            rows.push(row);
        };
        start(&mut rows);
        let (left, tab) = (self.view.left, self.shown_tab());
        let most = skip.saturating_add(room).saturating_add(1);
        let (end_row, end_column) = self.lay_out(line, most, |i, c, row, column, taken| {
            if row < skip || (!wrap && (column + taken <= left || column >= left + cols)) {
                return;
            }
            while rows.len() <= row - skip {
                start(&mut rows);
            }
            let Some(here) = rows.last_mut() else { return };
            let on = lit(i);
            let before = column.saturating_sub(left).saturating_sub(here.used);
            here.put(&" ".repeat(before), before, here.reverse);
            let free = cols.saturating_sub(here.used);
            match c {
                '\t' if tab > 0 => {
                    let n = if wrap {
                        taken.min(free)
                    } else {
                        (column + taken).min(left + cols) - column.max(left)
                    };
                    here.put(&" ".repeat(n), n, on);
                }
                ' '..='~' => here.put(c.encode_utf8(&mut [0; 4]), 1, on),
                c => match chars::shown(c) {
                    Some(s) => {
                        let cut: String = s
                            .chars()
                            .skip(if wrap { 0 } else { left.saturating_sub(column) })
                            .take(free)
                            .collect();
                        here.put(&cut, cut.len(), on);
                    }
                    None if taken > free || (!wrap && column < left && taken > 0) => here.put(">", 1, on),
                    None => here.put(c.encode_utf8(&mut [0; 4]), taken, on),
                },
            }
        });
        if list
            && end_row >= skip
            && (wrap || (end_column >= left && end_column < left + cols))
            && end_row - skip < room
        {
            while rows.len() <= end_row - skip {
                start(&mut rows);
            }
            if let Some(row) = rows.last_mut() {
                row.put("$", 1, false);
            }
        } else if selected.is_some_and(|(a, b)| line.is_empty() && a < b)
            && let Some(row) = rows.last_mut()
        {
            row.put(" ", 1, true);
        }
        rows.into_iter().take(room).map(Row::end).collect()
    }

    /// The bytes of a line that are selected.
    fn selected_part(&self, line: usize) -> Option<(usize, usize)> {
        let Mode::Visual { from, lines } = self.mode else { return None };
        let (a, b) = (from.min(self.cursor), from.max(self.cursor));
        if line < a.line || line > b.line {
            return None;
        }
        if lines {
            return Some((0, usize::MAX));
        }
        if self.block {
            return self.in_block(self.block_from(from), line);
        }
        let start = if line == a.line { a.col } else { 0 };
        let end = if line == b.line { chars::next(self.buf.line(line), b.col) } else { usize::MAX };
        Some((start, end))
    }

    /// The last row, and the column of the cursor if it is there.
    fn last_row(&self) -> (String, Option<usize>) {
        let cols = self.view.cols;
        if let Some((first, text, at)) = &self.prompt {
            let mut row = Row::new();
            let mut column = 0;
            let whole = format!("{first}{text}");
            let skip = first.chars().count() + at;
            // As much as fits, its end rather than its beginning.
            let all: Vec<(String, usize)> = whole
                .chars()
                .map(|c| {
                    let text = chars::shown(c).unwrap_or_else(|| c.to_string());
                    let width = chars::width(c, 0, 0);
                    (text, width)
                })
                .collect();
            let before: usize = all.iter().take(skip).map(|c| c.1).sum();
            let mut gone = 0;
            let mut from = 0;
            while before - gone >= cols && from < all.len() {
                gone += all[from].1;
                from += 1;
            }
            for (i, (text, width)) in all.iter().enumerate().skip(from) {
                if row.used + width > cols {
                    break;
                }
                if i < skip {
                    column += width;
                }
                row.put(text, *width, false);
            }
            return (row.end(), Some(column));
        }
        let mode = match self.mode {
            _ if !self.options.on("showmode") => "",
            Mode::Insert => "-- INSERT --",
            Mode::Replace => "-- REPLACE --",
            Mode::Visual { lines: true, .. } => "-- VISUAL LINE --",
            Mode::Visual { .. } if self.block => "-- VISUAL BLOCK --",
            Mode::Visual { .. } => "-- VISUAL --",
            Mode::Normal => "",
        };
        let mut text = if mode.is_empty() { self.message.clone() } else { mode.to_owned() };
        if let Some((name, _)) = &self.recording
            && (mode.is_empty() && self.message.is_empty() || !mode.is_empty())
        {
            text.push_str(&format!("recording @{name}"));
        }
        // A message that does not fit beside the ruler is worth more than it.
        let wide: usize = text.chars().map(|c| chars::width(c, 0, 0)).sum();
        let ruler = self.options.on("ruler") && cols >= 38 && wide <= cols - 19;
        let room = if ruler { cols - 19 } else { cols.saturating_sub(1) };
        let mut row = Row::new();
        for c in text.chars() {
            let width = chars::width(c, row.used, 0);
            if row.used + width > room {
                break;
            }
            row.put(&chars::shown(c).unwrap_or_else(|| c.to_string()), width, false);
        }
        if ruler {
            let fill = cols - 18 - row.used;
            row.put(&" ".repeat(fill), fill, false);
            row.put(&self.ruler(), 0, false);
        }
        (row.end().trim_end().to_owned(), None)
    }

    fn ruler(&self) -> String {
        let line = self.line();
        let column = chars::column(line, self.cursor.col, self.shown_tab());
        let column = match chars::decode(line, self.cursor.col) {
            Some(('\t', _)) if !matches!(self.mode, Mode::Insert | Mode::Replace) => {
                column + chars::width('\t', column, self.shown_tab())
            }
            _ => column + 1,
        };
        let byte = self.cursor.col + 1;
        let place = if self.buf.void {
            "0,0-1".to_owned()
        } else if line.is_empty() {
            format!("{},0-1", self.cursor.line + 1)
        } else if byte == column {
            format!("{},{byte}", self.cursor.line + 1)
        } else {
            format!("{},{byte}-{column}", self.cursor.line + 1)
        };
        let (_, bottom) = self.shown_lines();
        let above = self.view.top;
        let below = self.buf.last() - bottom;
        let part = match (above, below) {
            (0, 0) => "All".to_owned(),
            (0, _) => "Top".to_owned(),
            (_, 0) => "Bot".to_owned(),
            (a, b) => format!("{:2}%", a * 100 / (a + b)),
        };
        format!("{place:<13} {part}")
    }

    fn output_screen(&self) -> Screen {
        let rows = self.text_rows();
        let mut out: Vec<String> = Vec::new();
        let clip = |text: &str| {
            let mut row = Row::new();
            for c in text.chars() {
                let width = chars::width(c, row.used, 8);
                if row.used + width > self.view.cols {
                    break;
                }
                match c {
                    '\t' => row.put(&" ".repeat(width), width, false),
                    c => row.put(&chars::shown(c).unwrap_or_else(|| c.to_string()), width, false),
                }
            }
            row.end()
        };
        for line in self.output.iter().take(rows) {
            out.push(clip(line));
        }
        let prompt =
            if self.output.len() > rows { "-- More --" } else { "Press ENTER or type command to continue" };
        // What was printed stands at the bottom, above the prompt.
        let mut all = vec![String::new(); rows - out.len()];
        all.extend(out);
        all.push(prompt.chars().take(self.view.cols - 1).collect());
        let column = prompt.len().min(self.view.cols - 1);
        Screen { rows: all, cursor: (rows, column) }
    }

    /// The window goes down by lines; the cursor stays if it can.
    pub(crate) fn scroll(&mut self, by: isize) {
        let top = self.view.top.saturating_add_signed(by).min(self.buf.last());
        self.view.top = top;
        self.view.skip = 0;
        let (first, last) = self.shown_lines();
        let line = self.cursor.line.clamp(first, last);
        if line != self.cursor.line {
            self.cursor = self.aimed(line);
            self.clamp();
        }
    }

    /// `^F` and `^B`.
    pub(crate) fn page(&mut self, down: bool, n: usize) -> Res<()> {
        for _ in 0..n.min(100_000) {
            let (first, last) = self.shown_lines();
            if down {
                if first == self.buf.last() {
                    return Err(Stop::Bell);
                }
                // Two lines of the old page stay.
                self.view.top = if last >= self.buf.last() {
                    self.buf.last()
                } else {
                    (last + 1).saturating_sub(2).max(first + 1)
                };
                self.view.skip = 0;
                self.cursor = self.aimed(self.cursor.line.max(self.view.top));
                let line = self.view.top.max(self.cursor.line.min(self.shown_lines().1));
                self.go_line(line.max(self.view.top));
            } else {
                if first == 0 {
                    return Err(Stop::Bell);
                }
                let bottom = (first + 1).min(self.buf.last());
                self.cursor = place(bottom, 0);
                self.center(self.text_rows().saturating_sub(self.height(bottom)));
                self.go_line(bottom.min(self.shown_lines().1));
            }
        }
        Ok(())
    }

    /// `^D` and `^U`.
    pub(crate) fn half_page(&mut self, down: bool, count: Option<usize>) -> Res<()> {
        if count.is_some() {
            self.scroll_by = count;
        }
        let n = self.scroll_by.unwrap_or_else(|| match self.options.number("scroll") {
            0 => (self.text_rows() / 2).max(1),
            n => n,
        });
        let last = self.buf.last();
        if if down { self.cursor.line == last } else { self.cursor.line == 0 } {
            return Err(Stop::Bell);
        }
        let line = if down { (self.cursor.line + n).min(last) } else { self.cursor.line.saturating_sub(n) };
        if down {
            let room = last.saturating_sub(self.shown_lines().1);
            self.view.top += n.min(room);
        } else {
            self.view.top = self.view.top.saturating_sub(n);
        }
        self.view.skip = 0;
        self.go_line(line);
        Ok(())
    }

    /// `z` and what follows.
    pub(crate) fn z_command(&mut self, count: Option<usize>) -> Res<()> {
        if let Some(n) = count {
            let line = n.max(1) - 1;
            self.cursor = place(line.min(self.buf.last()), self.cursor.col);
            self.clamp();
        }
        let key = self.literal_key()?;
        let rows = self.text_rows();
        match key {
            't' | '\r' | '+' => self.center(0),
            'z' | '.' => self.halfway(true),
            'b' | '-' => self.center(rows.saturating_sub(self.height(self.cursor.line))),
            _ => return Err(Stop::Bell),
        }
        if matches!(key, '\r' | '.' | '-' | '+') {
            self.go_line(self.cursor.line);
        }
        Ok(())
    }
}
