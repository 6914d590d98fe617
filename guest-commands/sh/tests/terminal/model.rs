//! A model of the screen of a terminal, for tests: it understands the sequences that the line editor sends, and panics at
//! others.

/// How wide a character is.
fn width(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{ff00}'..='\u{ff60}' => 2,
        _ => 1,
    }
}

/// A terminal.
pub(crate) struct Model {
    cells: Vec<Vec<char>>,
    /// Where the cursor stands.
    pub(crate) row: usize,
    pub(crate) column: usize,
    columns: usize,
}

impl Model {
    pub(crate) fn new(columns: usize, height: usize) -> Self {
        Model { cells: vec![vec![' '; columns]; height], row: 0, column: 0, columns }
    }

    fn down(&mut self) {
        self.row += 1;
        if self.row == self.cells.len() {
            self.cells.remove(0);
            self.cells.push(vec![' '; self.columns]);
            self.row -= 1;
        }
    }

    fn clear(&mut self) {
        let column = self.column.min(self.columns);
        self.cells[self.row][column..].fill(' ');
    }

    /// Shows what a program wrote.
    pub(crate) fn feed(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.down(),
                '\x08' => self.column = self.column.min(self.columns - 1) - 1,
                '\x1b' => {
                    assert_eq!(chars.next(), Some('['));
                    let mut number = String::new();
                    let letter = loop {
                        match chars.next() {
                            Some(c @ ('0'..='9' | '?')) => number.push(c),
                            other => break other,
                        }
                    };
                    let n = number.parse().unwrap_or(1);
                    match letter {
                        Some('A') => self.row = self.row.saturating_sub(n),
                        Some('B') => self.row = (self.row + n).min(self.cells.len() - 1),
                        Some('C') => self.column = (self.column + n).min(self.columns - 1),
                        Some('D') => self.column = self.column.min(self.columns - 1).saturating_sub(n),
                        Some('K') => self.clear(),
                        Some('J') => {
                            self.clear();
                            let row = self.row;
                            self.cells[row + 1..].iter_mut().for_each(|cells| cells.fill(' '));
                        }
                        Some('H') => (self.row, self.column) = (0, 0),
                        Some('m' | 'h' | 'l') => {}
                        other => panic!("an unknown sequence: {number}{other:?}"),
                    }
                }
                '\x07' => {}
                c if width(c) == 0 => {}
                c => {
                    if self.column + width(c) > self.columns {
                        self.column = 0;
                        self.down();
                    }
                    self.cells[self.row][self.column] = c;
                    if width(c) == 2 {
                        self.cells[self.row][self.column + 1] = '\0';
                    }
                    self.column += width(c);
                }
            }
        }
    }

    /// Its lines, without blanks at their ends and empty lines below the last.
    pub(crate) fn text(&self) -> Vec<String> {
        let line = |cells: &Vec<char>| {
            let text: String = cells.iter().filter(|c| **c != '\0').collect();
            text.trim_end().to_owned()
        };
        let mut lines: Vec<String> = self.cells.iter().map(line).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }
}
