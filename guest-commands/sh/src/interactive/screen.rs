//! What a terminal must be sent so that it shows the prompt and the line. It reads no keys, and writes nothing itself.

use super::width::width;
use crate::prompt::{INVISIBLE, VISIBLE};

/// A place on the screen that is written at once: a character with what joins it, and sequences that take no room.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    text: String,
    width: usize,
}

/// Lines as they stand below each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Layout {
    rows: Vec<Vec<Cell>>,
    /// Whether a row goes on in the next one because it is full.
    full: Vec<bool>,
    row: usize,
    column: usize,
}

/// What is on the screen of the line being edited.
#[derive(Debug)]
pub(crate) struct Screen {
    columns: usize,
    height: usize,
    /// No escape sequences: one row that is scrolled sideways.
    dumb: bool,
    shown: Layout,
    /// The first row of the layout that is on the screen.
    top: usize,
    /// In a dumb terminal, how wide the text is that stands in the row.
    written: String,
}

/// Builds a layout.
struct Builder {
    columns: usize,
    layout: Layout,
    used: usize,
    /// Sequences that take no room, for the next cell.
    pending: String,
}

impl Builder {
    fn new(columns: usize) -> Self {
        let layout = Layout { rows: vec![Vec::new()], ..Layout::default() };
        Builder { columns, layout, used: 0, pending: String::new() }
    }

    fn row(&mut self, full: bool) {
        self.layout.full.push(full);
        self.layout.rows.push(Vec::new());
        self.used = 0;
    }

    fn put(&mut self, text: &str, width: usize) {
        if self.used + width > self.columns {
            self.row(true);
        }
        let text = std::mem::take(&mut self.pending) + text;
        if let Some(row) = self.layout.rows.last_mut() {
            row.push(Cell { text, width });
        }
        self.used += width;
    }

    fn join(&mut self, text: &str) {
        match self.layout.rows.last_mut().and_then(|row| row.last_mut()) {
            Some(cell) if self.used > 0 => cell.text.push_str(text),
            _ => self.pending.push_str(text),
        }
    }

    fn char(&mut self, c: char) {
        let mut text = [0; 4];
        match c {
            '\n' => self.row(false),
            '\t' => {
                for _ in 0..8 - self.used % 8 {
                    self.put(" ", 1);
                }
            }
            c if c.is_control() => {
                self.put("^", 1);
                let shown = char::from_u32((c as u32 & 0x7f) ^ 0x40).unwrap_or('?');
                self.put(shown.encode_utf8(&mut text), 1);
            }
            c => match width(c) {
                0 => self.join(c.encode_utf8(&mut text)),
                columns => self.put(c.encode_utf8(&mut text), columns),
            },
        }
    }

    /// The text of a prompt: what is marked takes no room.
    fn prompt(&mut self, prompt: &str) {
        let mut hidden = false;
        for c in prompt.chars() {
            match c {
                INVISIBLE => hidden = true,
                VISIBLE => hidden = false,
                '\r' if !hidden => {}
                c if hidden || c == '\x07' => self.pending.push(c),
                c => self.char(c),
            }
        }
        // What follows the last character, such as the end of a colour, belongs to it.
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() {
            self.join(&rest);
        }
    }

    fn mark(&mut self) {
        self.layout.row = self.layout.rows.len() - 1;
        self.layout.column = self.used;
    }

    fn finish(mut self) -> Layout {
        if !self.pending.is_empty() {
            self.put("", 0);
        }
        // A cursor behind a full row stands at the start of the next.
        if self.layout.column >= self.columns {
            self.layout.row += 1;
            self.layout.column = 0;
            if self.layout.row == self.layout.rows.len() {
                self.layout.full.push(true);
                self.layout.rows.push(Vec::new());
            }
        }
        self.layout.full.resize(self.layout.rows.len(), false);
        self.layout
    }
}

fn layout(prompt: &str, text: &[char], point: usize, columns: usize) -> Layout {
    let mut builder = Builder::new(columns);
    builder.prompt(prompt);
    for (i, c) in text.iter().enumerate() {
        if i == point {
            builder.mark();
        }
        builder.char(*c);
    }
    if point >= text.len() {
        builder.mark();
    }
    builder.finish()
}

impl Screen {
    pub(crate) fn new(columns: usize, height: usize, dumb: bool) -> Self {
        Screen {
            columns: columns.max(2),
            height: height.max(1),
            dumb,
            shown: Layout { rows: vec![Vec::new()], full: vec![false], ..Layout::default() },
            top: 0,
            written: String::new(),
        }
    }

    /// Forgets what is shown: the cursor stands at the start of an empty row.
    pub(crate) fn restart(&mut self) {
        *self = Screen::new(self.columns, self.height, self.dumb);
    }

    /// Makes the screen show a prompt and a text.
    pub(crate) fn draw(&mut self, prompt: &str, text: &[char], point: usize) -> String {
        if self.dumb {
            return self.draw_row(prompt, text, point);
        }
        let wanted = layout(prompt, text, point, self.columns);
        let mut top = self.top.min(wanted.row);
        top = top.max((wanted.row + 1).saturating_sub(self.height));
        // As much as there is room for.
        top = top.min(wanted.rows.len().saturating_sub(self.height.min(wanted.rows.len())));
        let mut out =
            Writer { out: String::new(), row: self.shown.row - self.top, column: self.shown.column };
        let old = self.shown.rows.len().saturating_sub(self.top).min(self.height);
        let new = (wanted.rows.len() - top).min(self.height);
        let empty = Vec::new();
        for i in 0..new {
            let row = &wanted.rows[top + i];
            let before = if i < old { &self.shown.rows[self.top + i] } else { &empty };
            let follows = i > 0 && wanted.full[top + i - 1];
            if i >= old {
                out.new_row(i, follows, self.columns);
            }
            let same = row.iter().zip(before).take_while(|(a, b)| a == b).count();
            if same == row.len() && same == before.len() {
                continue;
            }
            // Colours of a prompt go on from cell to cell, so a row with sequences is written as a whole.
            let plain = |cells: &[Cell]| cells.iter().all(|c| !c.text.contains('\x1b'));
            let same = if plain(&row[same..]) && plain(&before[same..]) { same } else { 0 };
            out.go(i, columns_of(&row[..same]), self.columns);
            for cell in &row[same..] {
                out.out.push_str(&cell.text);
                out.column += cell.width;
            }
            if columns_of(before) > columns_of(row) || i >= old && !before.is_empty() {
                out.out.push_str("\x1b[K");
            }
        }
        if old > new {
            out.go(new, 0, self.columns);
            out.out.push_str("\x1b[J");
        }
        out.go(wanted.row - top, wanted.column, self.columns);
        self.shown = wanted;
        self.top = top;
        out.out
    }

    /// The cursor leaves the line: to the row below it.
    pub(crate) fn leave(&mut self) -> String {
        if self.dumb {
            self.restart();
            return "\r\n".into();
        }
        let last = (self.shown.rows.len() - self.top).min(self.height) - 1;
        let mut out =
            Writer { out: String::new(), row: self.shown.row - self.top, column: self.shown.column };
        let end = self.shown.rows.last().map_or(0, |row| columns_of(row));
        out.go(last, end.min(self.columns - 1), self.columns);
        // Behind a full row the cursor is in the row below already.
        let below = end == 0 && self.shown.full.iter().rev().nth(1).is_some_and(|full| *full);
        out.out.push_str(if below { "" } else { "\r\n" });
        self.restart();
        out.out
    }

    /// The cursor goes to the start of the line, and nothing is shown any more.
    pub(crate) fn erase(&mut self) -> String {
        if self.dumb {
            let out = format!("\r{}\r", " ".repeat(super::width::shown_width(&self.written)));
            self.restart();
            return out;
        }
        let mut out =
            Writer { out: String::new(), row: self.shown.row - self.top, column: self.shown.column };
        out.go(0, 0, self.columns);
        out.out.push_str("\x1b[J");
        self.restart();
        out.out
    }

    /// The window has another size; the terminal has wrapped what it shows anew.
    pub(crate) fn resize(
        &mut self,
        columns: usize,
        height: usize,
        prompt: &str,
        text: &[char],
        point: usize,
    ) -> String {
        let now = layout(prompt, text, point, columns.max(2));
        let out = if self.dumb {
            "\r".to_owned()
        } else {
            self.shown = now;
            self.top = 0;
            self.columns = columns.max(2);
            self.erase()
        };
        (self.columns, self.height) = (columns.max(2), height.max(1));
        self.restart();
        out + &self.draw(prompt, text, point)
    }

    /// How many rows the window has.
    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// How wide the window is.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// One row without escape sequences: the part of the line around the cursor.
    fn draw_row(&mut self, prompt: &str, text: &[char], point: usize) -> String {
        let mut cells = Vec::new();
        let mut at = 0;
        let all = layout(prompt, &[], 0, usize::MAX / 2);
        cells.extend(all.rows.into_iter().next_back().unwrap_or_default());
        for (i, c) in text.iter().enumerate() {
            if i == point {
                at = cells.len();
            }
            let mut builder = Builder::new(usize::MAX / 2);
            builder.char(if *c == '\n' { ' ' } else { *c });
            cells.extend(builder.finish().rows.into_iter().next().unwrap_or_default());
        }
        if point >= text.len() {
            at = cells.len();
        }
        let room = self.columns - 1;
        let mut from = 0;
        while columns_of(&cells[from..at]) > room {
            from = (from + room / 2).clamp(from + 1, at);
        }
        let mut line = String::new();
        let mut back = 0;
        let mut used = 0;
        // Marks tell that the line goes on to either side.
        let goes_on = columns_of(&cells[from..]) > room && columns_of(&cells[from..at]) < room;
        for (i, cell) in cells.iter().enumerate().skip(from) {
            if used + cell.width > room - usize::from(goes_on) {
                back += usize::from(goes_on);
                line.push_str(if goes_on { ">" } else { "" });
                break;
            }
            used += cell.width;
            line.push_str(if i == from && from > 0 && cell.width == 1 && at > from {
                "<"
            } else {
                &cell.text
            });
            back += if i >= at { cell.width } else { 0 };
        }
        let before = std::mem::replace(&mut self.written, line.clone());
        let former = super::width::shown_width(&before);
        let now = super::width::shown_width(&line);
        if back == 0
            && let Some(added) = line.strip_prefix(&before)
            && (!before.is_empty() || from == 0)
            && self.shown.column == former
        {
            self.shown.column = now;
            return added.to_owned();
        }
        let pad = former.saturating_sub(now);
        self.shown.column = now - back;
        format!("\r{line}{}{}", " ".repeat(pad), "\x08".repeat(pad + back))
    }
}

fn columns_of(cells: &[Cell]) -> usize {
    cells.iter().map(|c| c.width).sum()
}

/// Output, and where the cursor stands after it.
struct Writer {
    out: String,
    row: usize,
    column: usize,
}

impl Writer {
    fn go(&mut self, row: usize, column: usize, columns: usize) {
        if self.column >= columns {
            // Behind a full row: where exactly differs between terminals.
            self.out.push('\r');
            self.column = 0;
        }
        match row {
            r if r < self.row => self.out.push_str(&format!("\x1b[{}A", self.row - r)),
            r if r > self.row => self.out.push_str(&format!("\x1b[{}B", r - self.row)),
            _ => {}
        }
        self.row = row;
        match column {
            c if c == self.column => {}
            0 => self.out.push('\r'),
            c if c < self.column && self.column - c < 4 => self.out.push_str(&"\x08".repeat(self.column - c)),
            c if c < self.column => self.out.push_str(&format!("\x1b[{}D", self.column - c)),
            c => self.out.push_str(&format!("\x1b[{}C", c - self.column)),
        }
        self.column = column;
    }

    /// To the start of a row that is not on the screen yet.
    fn new_row(&mut self, row: usize, follows: bool, columns: usize) {
        if follows && self.row + 1 == row && self.column == columns {
            // The terminal wraps by itself, and knows that the rows are one line.
            self.out.push_str(" \r");
        } else {
            if self.row + 1 < row {
                self.go(row - 1, 0, columns);
            }
            self.out.push_str("\r\n");
        }
        (self.row, self.column) = (row, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bindings::{Bindings, Keymap, Table};
    use super::super::editor::{Editor, Past};
    use super::super::keys::{Decoder, Next};
    use super::super::model::Model;
    use super::*;

    struct Lines(&'static [&'static str]);

    impl Past for Lines {
        fn count(&self) -> usize {
            self.0.len()
        }
        fn line(&self, index: usize) -> Option<&str> {
            self.0.get(index).copied()
        }
    }

    const PAST: Lines = Lines(&["echo one", "ls -l two", "echo \"a b\""]);

    /// Types keys, drawing after each; the screen must always be what drawing it at once would give.
    fn typed(keys: &str, columns: usize, height: usize, prompt: &str) -> (Vec<String>, usize, usize) {
        let mut editor = Editor::default();
        editor.begin(&PAST, false);
        let mut decoder = Decoder::default();
        let mut table = Table::default();
        Bindings::default().fill(&mut table, Keymap::Emacs);
        let mut screen = Screen::new(columns, height, false);
        let mut model = Model::new(columns, height);
        decoder.feed(keys.as_bytes());
        loop {
            let message = editor.message();
            let shown = message.as_deref().unwrap_or(prompt);
            model.feed(&screen.draw(shown, &editor.buffer.text, editor.buffer.point));
            let mut fresh = Model::new(columns, height);
            fresh.feed(&Screen::new(columns, height, false).draw(
                shown,
                &editor.buffer.text,
                editor.buffer.point,
            ));
            if layout(shown, &editor.buffer.text, 0, columns).rows.len() <= height {
                assert_eq!(
                    (model.text(), model.row, model.column),
                    (fresh.text(), fresh.row, fresh.column),
                    "{keys:?}"
                );
            }
            let Next::Key(key) = decoder.next(&table, false) else { break };
            let _ = editor.key(key, &PAST);
        }
        (model.text(), model.row, model.column)
    }

    #[test]
    fn keys_and_screens() {
        for (keys, wanted, row, column) in [
            ("abc", &["$ abc"][..], 0, 5),
            ("abc\x01x", &["$ xabc"], 0, 3),
            ("abc\x1b[D\x1b[D\x04", &["$ ac"], 0, 3),
            ("one two\x17x", &["$ one x"], 0, 7),
            ("one two\x1b\x7f\x19\x19", &["$ one twotwo"], 0, 12),
            ("ab\x14", &["$ ba"], 0, 4),
            ("abc\x15x\x19", &["$ xabc"], 0, 6),
            ("one two\x1bb\x1bu", &["$ one TWO"], 0, 9),
            ("x\x1f", &["$"], 0, 2),
            ("\x10", &["$ echo \"a b\""], 0, 12),
            ("\x10\x10\x10\x10", &["$ echo one"], 0, 10),
            ("new\x10\x0e!", &["$ new!"], 0, 6),
            ("ls \x1b.", &["$ ls \"a b\""], 0, 10),
            ("ls \x1b.\x1b.", &["$ ls two"], 0, 8),
            ("\x12ls", &["(reverse-i-search)`l", "s': ls -l two"], 1, 4),
            ("\x12ls\x01x", &["$ xls -l two"], 0, 3),
            ("\x12zz", &["(failed reverse-i-se", "arch)`zz':"], 1, 11),
            ("\x1b3x", &["$ xxx"], 0, 5),
            ("0123456789abcdefgh", &["$ 0123456789abcdefgh"], 1, 0),
            ("0123456789abcdefghi", &["$ 0123456789abcdefgh", "i"], 1, 1),
            ("0123456789abcdefghi\x01X", &["$ X0123456789abcdefg", "hi"], 0, 3),
            ("0123456789abcdefghi\x7f\x7f", &["$ 0123456789abcdefg"], 0, 19),
            ("漢漢漢漢漢漢漢漢漢漢", &["$ 漢漢漢漢漢漢漢漢漢", "漢"], 1, 2),
            ("a漢\x02x", &["$ ax漢"], 0, 4),
            ("e\u{301}\x7f", &["$"], 0, 2),
            ("\x1b[200~a\r\nb\x1b[201~", &["$ a", "b"], 1, 1),
        ] {
            let wanted: Vec<String> = wanted.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(typed(keys, 20, 6, "$ "), (wanted, row, column), "{keys:?}");
        }
    }

    #[test]
    fn prompts() {
        let (text, _, column) = typed("abc\x01x", 20, 6, "\x01\x1b[1m\x02B\x01\x1b[0m\x02> ");
        assert_eq!((text, column), (vec!["B> xabc".to_owned()], 4));
        let (text, row, column) = typed("x", 20, 6, "one\r\ntwo> ");
        assert_eq!((text, row, column), (vec!["one".to_owned(), "two> x".to_owned()], 1, 6));
    }

    #[test]
    fn more_than_the_window() {
        let (text, row, column) = typed(&"0123456789".repeat(10), 20, 3, "$ ");
        assert_eq!((text.len(), row, column), (3, 2, 2));
        let (text, row, column) = typed(&("0123456789".repeat(10) + "\x01"), 20, 3, "$ ");
        assert_eq!((text.len(), row, column), (3, 0, 2));
        assert!(text[0].starts_with("$ 0123"));
    }

    #[test]
    fn a_dumb_terminal_gets_no_escapes() {
        let mut screen = Screen::new(20, 6, true);
        let mut model = Model::new(20, 6);
        let text: Vec<char> = "0123456789abcdefghijklmnop".chars().collect();
        for (len, point) in [(3, 3), (3, 1), (4, 4), (26, 26), (26, 0), (10, 5), (0, 0)] {
            let out = screen.draw("$ ", &text[..len], point);
            assert!(!out.contains('\x1b'));
            model.feed(&out);
            if len <= 10 {
                let line = "$ ".to_owned() + &text[..len].iter().collect::<String>();
                assert_eq!((model.text(), model.column), (vec![line.trim_end().to_owned()], 2 + point));
            }
            assert_eq!(model.row, 0);
        }
    }

    #[test]
    fn a_window_that_changes() {
        let mut screen = Screen::new(20, 6, false);
        let text: Vec<char> = "0123456789abcdefghijklmnop".chars().collect();
        let _ = screen.draw("$ ", &text, text.len());
        let out = screen.resize(40, 6, "$ ", &text, text.len());
        let mut model = Model::new(40, 6);
        model.feed("$ 0123456789abcdefghijklmnop");
        model.feed(&out);
        assert_eq!(model.text(), ["$ 0123456789abcdefghijklmnop"]);
    }
}
